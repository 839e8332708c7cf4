"""Hostile XML, JSON, command-line output and files: wide, deep, of long names, and of many small parts."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Iterator, Mapping
from typing import Any

from controller.nrm import namespaces as ns
from controller.nrm.schema import NodeSpec

STATION = "PE-CUS-0042"
_PERFORMANCE = f'xmlns="{ns.PERFORMANCE}"'
#: A letter that takes four bytes, encoded and in memory.
EMOJI = "\U0001f600"
#: Depth that libxml2 still takes, with what stands around.
_DEEP = 200


def reply(content: str) -> bytes:
    return f'<rpc-reply message-id="1" xmlns="{ns.NETCONF}">{content}</rpc-reply>'.encode()


def data(content: str) -> bytes:
    return reply(f"<data>{content}</data>")


def nested(tag: str, content: str, levels: int = _DEEP, attributes: str = "") -> str:
    return f"<{tag} {attributes}>" * levels + content + f"</{tag}>" * levels


def fill(part: str, size: int) -> str:
    """A part again and again; ``{n}`` in it counts."""
    if "{n}" not in part:
        return part * (size // len(part) + 1)
    return "".join(part.replace("{n}", str(number)) for number in range(size // len(part)))


def rpc_errors(size: int) -> Iterator[bytes]:
    """Errors with very much in them, beside each other and within each other."""
    inner = fill("<session-id/>", size)
    yield reply("<rpc-error><error-info>" * 100 + inner + "</error-info></rpc-error>" * 100)
    yield reply(fill("<rpc-error/>", size))
    yield reply(fill("<rpc-error><error-severity>warning</error-severity></rpc-error>", size))
    yield reply(f"<rpc-error><error-info>{fill('<a/>', size)}</error-info></rpc-error>")
    yield reply(f"<rpc-error><error-message>{'x ' * (size // 2)}</error-message></rpc-error>")
    yield reply(fill(nested("rpc-error", "", 20), size))


def measurements(size: int) -> Iterator[bytes]:
    """Jobs, objects and counters within each other."""
    times = "<begin-time>2026-01-01T00:00:00Z</begin-time><end-time>2026-01-01T00:15:00Z</end-time>"
    for tag in ("job", "object", "counter"):
        inner = fill("<counter><name>c{n}</name><value>1</value></counter>", size)
        yield data(f"<performance {_PERFORMANCE}>{nested(tag, times + inner, 100)}</performance>")
    levels = [f"<job>{times}", "<object><name>o</name>", "<counter><name>c</name>"]
    deep = "".join(level * 60 for level in levels) + "".join(f"</{tag}>" * 60 for tag in ("counter", "object", "job"))
    yield data(f"<performance {_PERFORMANCE}>{fill(deep, size)}</performance>")
    yield data(
        f"<performance {_PERFORMANCE}>{fill(f'<job>{times}<object><counter/></object></job>', size)}</performance>"
    )
    named = f"<job>{times}{fill('<object><name>' + 'n' * 400 + '{n}</name></object>', size)}</job>"
    yield data(f"<performance {_PERFORMANCE}>{named}</performance>")


def equipment(size: int) -> Iterator[bytes]:
    """Units, slots and modules of a library, within each other."""
    tops = (
        (ns.EQUIPMENT, "equipment", "unit", "<cell>1</cell>"),
        (ns.ORAN_SOFTWARE, "software-inventory", "software-slot", "<name/>"),
        (ns.ORAN_FM, "active-alarm-list", "active-alarms", "<affected-objects><name/></affected-objects>"),
        (ns.YANG_LIBRARY, "modules-state", "module", "<feature>{n}</feature>"),
    )
    for namespace, top, entry, inner in tops:
        yield data(f'<{top} xmlns="{namespace}">{nested(entry, fill(inner, size), 100)}</{top}>')
        yield data(f'<{top} xmlns="{namespace}">{fill(f"<{entry}>{inner}</{entry}>", size)}</{top}>')
        yield data(f'<{top} xmlns="{namespace}">{fill(f"<{entry}/>", size)}</{top}>')


def trees(root: NodeSpec, size: int, chosen: random.Random, most: int) -> Iterator[bytes]:
    """A station's nodes, of which one has very many values, entries or names; chosen ones, and all leaf-lists."""
    shapes: list[tuple[tuple[NodeSpec, ...], str]] = []
    lists: list[tuple[tuple[NodeSpec, ...], str]] = []
    for chain in _chains((root,)):
        node = chain[-1]
        for leaf in node.leaves:
            tag = f'<{leaf.name} xmlns="{leaf.namespace}"' if leaf.namespace else f"<{leaf.name}"
            (lists if leaf.leaf_list else shapes).append((chain, f"{tag}>{{n}}</{leaf.name}>"))
        for below in node.children:
            keys = "".join(f"<{key}>{{n}}</{key}>" for key in below.keys)
            shapes.append((chain, f'<{below.name} xmlns="{below.namespace}">{keys}</{below.name}>'))
            long = keys.replace("{n}", "/" * 250 + "{n}")
            shapes.append((chain, f'<{below.name} xmlns="{below.namespace}">{long}</{below.name}>'))
        shapes.append((chain, '<strange xmlns="urn:x"><id>{n}</id></strange>'))
    for chain, part in lists:
        yield data(_opened(chain, fill(part, 4 * size)))
    for chain, part in chosen.sample(shapes, most):
        yield data(_opened(chain, fill(part, size)))
    yield data(_opened((root,), nested("strange", fill("<a/>", size), attributes='xmlns="urn:x"')))


def _chains(above: tuple[NodeSpec, ...]) -> Iterator[tuple[NodeSpec, ...]]:
    yield above
    for below in above[-1].children:
        yield from _chains((*above, below))


def _opened(chain: tuple[NodeSpec, ...], content: str) -> str:
    for node in reversed(chain):
        keys = "".join(f"<{key}>{STATION if node is chain[0] else 1}</{key}>" for key in node.keys)
        body = (
            f"<attributes>{content}</attributes>{content if node is chain[-1] else ''}" if node.attributes else content
        )
        content = f'<{node.name} xmlns="{node.namespace}">{keys}{body}</{node.name}>'
    return content


def shapes_of_xml(size: int) -> Iterator[bytes]:
    """Documents of no meaning."""
    yield b"<a>" + b"<a/>" * (size // 4) + b"</a>"
    yield b"<a>" * (size // 3)
    yield b"<a " + b" ".join(b"a%d=''" % number for number in range(size // 9)) + b"/>"
    yield b"<a " + b" ".join(b"xmlns:a%d='urn:%d'" % (number, number) for number in range(size // 20)) + b"/>"
    yield b"<a>" + b"&#65;" * (size // 5) + b"</a>"
    yield b"<a>" + b"<!---->" * (size // 7) + b"</a>"
    yield b"<a>" + b"<?b?>" * (size // 5) + b"</a>"
    yield b"<a>" + b"<![CDATA[]]>" * (size // 12) + b"</a>"
    yield b"<" * size
    yield b"\x00" * size
    yield b"<!DOCTYPE a [" + b"<!ENTITY b 'c'>" * (size // 15) + b"]><a/>"
    yield b"<a:" + b"b" * size + b"/>"


def garbled(documents: list[bytes], chosen: random.Random, most: int) -> Iterator[bytes]:
    """Documents that were cut, repeated or mixed."""
    for _ in range(most):
        one, other = chosen.choice(documents), chosen.choice(documents)
        at, to = sorted(chosen.randrange(len(one) + 1) for _ in range(2))
        middle = chosen.choice([b"", other[at:to], one[at:to] * 2, chosen.randbytes(20)])
        yield one[:at] + middle + one[to:]


# --------------------------------------------------------------------------- files


def measurement_files(size: int) -> Iterator[bytes]:
    """Measurement files, some of them packed."""
    head = '<measInfo><granPeriod duration="PT900S" endTime="2026-10-01T05:15:00Z"/>'
    for part in (
        "<x/>",
        '<measType p="{n}">c{n}</measType>',
        '<measValue measObjLdn="Cell={n}"/>',
        f'<measValue measObjLdn="{"d" * 500}{{n}}"/>',
        "<r p='1'>1</r>",
        "<measTypes>a b c</measTypes><measValue measObjLdn='1'><measResults>1 2 3</measResults></measValue>",
        "</measInfo><measInfo>",
        "</measInfo></measData><measData><measInfo>",
    ):
        inner = fill(part, size)
        yield f"<measDataFile><measData>{head}{inner}</measInfo></measData></measDataFile>".encode()
    for kinds in (size // 50, 400):
        yield _filters(head, kinds, size)
    yield b"<measDataFile>" + b"<measData>" * size
    empty = gzip.compress(b"", mtime=0)
    yield empty * (size // len(empty))
    yield gzip.compress(b"<measDataFile>", mtime=0) + empty * (size // len(empty))
    yield gzip.compress(b"<measDataFile>" + b"<a/>" * (50 * size // 4) + b"</measDataFile>", mtime=0)
    yield b"".join(gzip.compress(b"<", mtime=0) for _ in range(size // 21))


def long_names_in_files(size: int, chosen: random.Random) -> Iterator[bytes]:
    """Measurement files of few objects and counters, whose names are long."""
    head = '<measInfo><granPeriod duration="PT900S" endTime="2026-10-01T05:15:00Z"/><measType p="1">c</measType>'
    for name in (f"A={{n}},B={EMOJI * 240}", f"ManagedElement={STATION},A={{n}},B={EMOJI * 240}", "{n}" + "d" * 490):
        unique = name.replace("{n}", f"{chosen.random()}{{n}}")
        inner = fill(f'<measValue measObjLdn="{unique}"><r p="1">1</r></measValue>', size)
        yield f"<measDataFile><measData>{head}{inner}</measInfo></measData></measDataFile>".encode()
    counter = f"DRB.PdcpSduVolumeDl_Plmn{chosen.random()}{{n}}{EMOJI * 400}"
    inner = fill(f'<measType p="{{n}}0">{counter}</measType>', size)
    values = "".join(f'<r p="{number}0">1</r>' for number in range(inner.count("<measType")))
    inner += f'<measValue measObjLdn="Cell=1">{values}</measValue>'
    yield f"<measDataFile><measData>{head}{inner}</measInfo></measData></measDataFile>".encode()


def _filters(head: str, kinds: int, size: int) -> bytes:
    """Values for parts of a PLMN's traffic, none of which overlap, by so many filters (TS 32.425 §4.4.7)."""
    parts = (f"Qci{one // 16}Arp{one % 16}" if one % 16 else f"Qci{one // 16}Arp0Gbr0-9" for one in range(kinds))
    types = " ".join(f"DRB.PdcpSduVolumeDl_Plmn716-06{part}" for part in parts)
    values = f"<measResults>{'1 ' * kinds}</measResults>"
    part = f'<measValue measObjLdn="ENBFunction=1,EUtranCellFDD={{n}}">{values}</measValue>'
    inner = f"<measTypes>{types}</measTypes>{fill(part, max(len(part) + 9, size - len(types)))}"
    return f"<measDataFile><measData>{head}{inner}</measInfo></measData></measDataFile>".encode()


def distinguished_names(size: int, chosen: random.Random) -> Iterator[bytes]:
    """Names of objects: of many steps, of long keys, of letters that are escaped or encoded; also just short enough."""
    for start in (f"ManagedElement={STATION},A=", "A="):
        names = (",A=1", ",A=", "/A[1]", ",A=\\,", ',A="x"', ',A="', '="\\')
        for part in (*names, "\\", "\\,", "\\2C", "\\c3", '"', " ", "\u2603", "\U0001f600", "=", "aB"):
            for most in (990, size):
                yield f"{start}{chosen.random()}{part * (most // len(part))}".encode()
        yield f"{start}\\,{'a' * size}".encode()


def faults(size: int, chosen: random.Random) -> Iterator[bytes]:
    """Events of VES whose texts are long."""
    header = dict.fromkeys(("eventId", "eventName", "reportingEntityName"), "x")
    header |= {"domain": "fault", "priority": "High", "sourceName": STATION, "version": "4.1"}
    header |= {"vesEventListenerVersion": "7.2.1"}
    times = dict.fromkeys(("lastEpochMicrosec", "startEpochMicrosec", "sequence"), 0)
    fields = {"alarmCondition": "x", "eventSeverity": "CRITICAL", "eventSourceType": "other", "specificProblem": "x"}
    fields |= {"faultFieldsVersion": "4.0", "vfStatus": "Active"}
    for name in distinguished_names(size, chosen):
        said = {"objectInstance": name.decode()}
        yield _event(header | times, {**fields, "alarmAdditionalInformation": said})
    for word in ("alarmCondition", "alarmInterfaceA", "eventCategory", "eventSourceType", "specificProblem"):
        yield _event(header | times, {**fields, word: "aB" * (size // 2)})
    yield _event({**header, **times, "eventId": "x" * size}, fields)


def _event(header: Mapping[str, Any], fields: Mapping[str, Any]) -> bytes:
    return json.dumps({"event": {"commonEventHeader": header, "faultFields": fields}}, ensure_ascii=False).encode()


def alerts(size: int, chosen: random.Random) -> Iterator[bytes]:
    """Calls of Alertmanager whose labels are long or many."""
    long = [{"object": name.decode()} for name in distinguished_names(size, chosen)]
    long += [{name: "aB" * (size // 2)} for name in ("alertname", "probable_cause", "severity", "tenant")]
    for labels in (*long, {f"l{number}": "v" for number in range(size // 12)}):
        alert = {"status": "firing", "startsAt": "2026-01-01T00:00:00Z", "labels": {"station": STATION, **labels}}
        yield json.dumps({"version": "4", "alerts": [alert]}, ensure_ascii=False).encode()


def yaml_files(size: int) -> Iterator[bytes]:
    """Files that people write."""
    yield b"[" * size
    yield b"{" * size
    yield b"- " * (size // 2)
    yield b"? " * (size // 2)
    yield b"a: &a [" + b"*a," * (size // 3) + b"]"
    yield b"a: [" + b"1," * (size // 2) + b"]"
    yield b"".join(b"k%d: 1\n" % number for number in range(size // 9))
    yield b"a: |\n" + b"  x\n" * (size // 4)
    yield b'a: "' + b"\\u0041" * (size // 6) + b'"'
    yield b"a: " + b"!" * size
    yield b"sites:\n" + b"".join(b"- {id: s%d, strange%d: 1}\n" % (n, n) for n in range(size // 28))
    yield b"steps:\n" + b"- {action: lock-cells}\n" * (size // 23)
    yield b"a: " + b"x" * size
    yield b"k" * size + b": 1"
    yield b"id," * (size // 3)
    yield b"".join(b"c%d," % number for number in range(size // 7))


# ---------------------------------------------------------------------------- JSON


_WORDS = (
    *("metadata", "name", "namespace", "labels", "annotations", "managedFields", "manager", "operation", "fieldsV1"),
    *("f:spec", "f:data", 'k:{"name":"n3"}', "spec", "status", "conditions", "type", "Ready", "reason", "message"),
    *("containers", "containerStatuses", "resources", "requests", "cpu", "memory", "capacity", "interfaces", "ipv4"),
    *("networkInstances", "parametersRefs", "hard", "ingress", "from", "deletionTimestamp", "finalizers", "uid"),
    *(
        "lastTransitionTime",
        "observedGeneration",
        "generation",
        "restartCount",
        "state",
        "lastState",
        "waiting",
        "time",
    ),
    *(
        "time",
        "minka.dev/function",
        "minka.dev/owner",
        "data",
        "allocatable",
        "unschedulable",
        "creationTimestamp",
        "address",
    ),
)
_VALUES: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    2**63,
    1e308,
    "",
    "True",
    "1e99",
    "1e9999999",
    "9" * 5000,
    "0001-01-01T00:00:00+14:00",
    [],
)


def a_value(chosen: random.Random, levels: int) -> Any:
    """A value of a server that knows the names and not their meaning."""
    kind = chosen.random()
    if levels == 0 or kind < 0.3:
        return chosen.choice(_VALUES)
    if kind < 0.5:
        return [a_value(chosen, levels - 1) for _ in range(chosen.randrange(5))]
    return {chosen.choice(_WORDS): a_value(chosen, levels - 1) for _ in range(chosen.randrange(8))}


def objects(chosen: random.Random, number: int) -> list[dict[str, Any]]:
    """Objects of a pool that have a name and odd content."""
    found = []
    for at in range(number):
        one = a_value(chosen, 6)
        whole = one if isinstance(one, dict) else {"spec": one}
        metadata = whole.get("metadata")
        kept = metadata if isinstance(metadata, dict) else {}
        labels = {"labels": {"minka.dev/function": "du-1"}} if chosen.random() < 0.8 else {}
        found.append({**whole, "metadata": {**kept, **labels, "name": f"one-{at}", "namespace": "minka-host"}})
    return found


def shapes_of_json(size: int) -> Iterator[bytes]:
    """Texts of no meaning."""
    yield b"[" * size
    yield b'{"a":' * (size // 5)
    yield b"[" + b"[]," * (size // 3) + b"[]]"
    yield b"[" + b"{}," * (size // 3) + b"{}]"
    yield b'{"items":[' + b"1," * (size // 2) + b"1]}"
    yield json.dumps({f"k{number}": number for number in range(size // 14)}).encode()
    yield b'["' + b"\\u0041" * (size // 6) + b'"]'
    yield b"1" * size
    yield b'{"event":{"commonEventHeader":{' + b'"domain":"fault",' * (size // 17) + b'"a":1}}}'
    yield b'{"eventList":[' + b'{"commonEventHeader":{}},' * (size // 24) + b"{}]}"
    yield b'{"alerts":[' + b'{"labels":{"a":"b"}},' * (size // 21) + b"{}]}"
    yield b"[" + (b"[" * 60 + b"]" * 60 + b",") * (size // 121) + b"1]"


# ------------------------------------------------------------------- command lines


def command_lines(size: int) -> Iterator[bytes]:
    """Output of a router."""
    yield b"\r" * (3 * size)
    yield b"(config" * (size // 7)
    yield b"Password: " * (size // 10)
    yield b"connecting to " * (size // 14) + b"x" * size
    yield b"closing connection to " + b"x" * size
    yield b"Jan 1 1" + b": %A" * (size // 4)
    yield b"\x1b[?2004h" * (size // 8)
    yield b"\n% " * (size // 3)
    yield b"rejecte" * (size // 7)
    yield b"\xff" * size
    for line in (
        b"interface g.%d\n odd\n",
        b"vrf definition v%d\n description x\n",
        b"ip route vrf v 10.0.0.0 255.0.0.0 10.0.0.%d\n",
        b" ip address 10.0.0.1 255.255.255.%d\n",
        b"Gi%d unassigned YES unset up up\n",
        b"banner motd ^C %d\n",
    ):
        yield b"vrf definition v\n" + b"".join(line % number for number in range(size // len(line)))
    yield b"interface " + b"g" * size + b"\n odd" * (size // 5)
    yield b"vrf definition " + b"v" * size + b"\n ip route 10.0.0.0 255.0.0.0 10.0.0.1" * (size // 39)
    yield b"vrf v\n ip route 1.1.1.1/" + b"9" * size
    yield b"interface g.1\n encapsulation dot1Q " + b"9" * size
    yield b"G" + b"i" * size + b" " * size
