"""Whatever devices, pools, alarm sources and files say is read or refused in a time that grows with its length.

Each parser has a budget of processor time for each kB, and refuses by errors of ours.

``MINKA_SEED`` plays the same texts again; a soak plays longer ones, and more of them.
"""

from __future__ import annotations

import ast
import gc
import os
import random
import secrets
import time
import tracemalloc
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from OpenSSL import crypto

from controller.api.routes.ves import _Batch, _One
from controller.api.routes.webhooks import AlertmanagerWebhook, _report
from controller.assurance.station_alarms import report_of_fault
from controller.drivers.cli.codec import port_states, read_config
from controller.drivers.cli.devices import _essence
from controller.drivers.cli.line import _CONFIGURING, CliLine
from controller.drivers.kubernetes.codec import NF_DEPLOYMENT, NODE, POD, FunctionObjects, Kind, Place, PoolObjects
from controller.drivers.kubernetes.ims import _lower, _nodes, _severity, _text
from controller.drivers.netconf.active_alarms import decode_alarm, decode_alarms
from controller.drivers.netconf.capabilities import capabilities_of, features_in, implemented
from controller.drivers.netconf.codec import decode
from controller.drivers.netconf.equipment import decode_equipment, event_of, refusal_of
from controller.drivers.netconf.framing import Framer, FramingError
from controller.drivers.netconf.markup import MalformedXmlError, parse_xml
from controller.drivers.netconf.measurements import decode_measurements
from controller.drivers.netconf.replies import check, check_done
from controller.drivers.netconf.tls_callers import TlsCallers
from controller.inventory.credentials import read_credentials
from controller.inventory.parse import read_file as read_network_file
from controller.inventory.source import YAML_LIMIT, Report, read_text
from controller.models.errors import DeviceError, InputError
from controller.models.network import DeviceKind
from controller.models.untrusted_json import HostileJsonError, parse_json
from controller.nrm.profiles import ROUTER_PROFILES, root_spec
from controller.nrm.tree import path_of
from controller.performance.files import read_file
from controller.performance.vocabulary import measured
from controller.playbook.actions.shipped import registry
from controller.playbook.language.library import parse as parse_playbook
from controller.ports.secrets import FakeSecrets
from tests.security import hostile_texts as texts
from tests.support.definitions import load_kpis, load_rules
from tests.support.soak import SOAK
from tests.unit.nrm.samples import BOTH

CONTROLLER = Path(__file__).parents[2] / "controller"
SEED = int(os.environ.get("MINKA_SEED", secrets.randbits(32) if SOAK else 11))
#: Bytes of a text, and texts that are chosen at random.
SIZE, CHOSEN = (3_000_000, 400) if SOAK else (120_000, 15)
#: Seconds of processor time: for any text, and for each kB of it. Most take 0.001 s for a kB of the smallest parts.
ANY, EACH_KB = 0.5, 0.005
#: Seconds for each kB of a file that people write, of which each line may be a problem with a proposal.
EACH_KB_WRITTEN = 0.025
ROOT = root_spec(BOTH)
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def xml(chosen: random.Random) -> Iterator[bytes]:
    """All XML of stations, also garbled."""
    documents = [
        *texts.rpc_errors(SIZE),
        *texts.measurements(SIZE),
        *texts.equipment(SIZE),
        *texts.trees(ROOT, SIZE, chosen, CHOSEN),
    ]
    yield from documents
    yield from texts.shapes_of_xml(SIZE)
    yield from texts.garbled(documents, chosen, CHOSEN)


def _whole_reply(raw: bytes) -> None:
    """All that is read of an answer, one after the other; what is refused by one is still given to the next."""
    root = parse_xml(raw)
    found = root.find("{*}data")
    content = root if found is None else found
    readers: tuple[Callable[[], object], ...] = (
        lambda: check(root, "S", "get"),
        lambda: check_done(root, "S", "edit-config"),
        lambda: decode(ROOT, root, texts.STATION),
        lambda: decode_equipment(content),
        lambda: measured(texts.STATION, decode_measurements(content)),
        lambda: decode_alarms(content),
        lambda: decode_alarm(content),
        lambda: implemented(content),
        lambda: refusal_of(root),
        lambda: event_of("{urn:o-ran:software-management:1.0}install-event", content, None),
    )
    for read in readers:
        with suppress(DeviceError):
            read()


def _hello(raw: bytes) -> None:
    uris = tuple(raw.decode("latin-1").split("\n"))
    capabilities_of(uris)
    features_in(uris)


def _framed(raw: bytes) -> None:
    """In small pieces, in both framings."""
    for chunked in (False, True):
        framer = Framer()
        framer.chunked = chunked
        with suppress(FramingError):
            for at in range(0, len(raw), 16):
                list(framer.feed(raw[at : at + 16]))


class _Drip:
    """A channel that gives few bytes at a time."""

    def __init__(self, said: bytes) -> None:
        self._said, self._at = said, 0

    def settimeout(self, _: float) -> None:
        pass

    def sendall(self, _: bytes) -> None:
        pass

    def recv(self, _: int) -> bytes:
        self._at += 64
        return self._said[self._at - 64 : self._at]

    def close(self) -> None:
        pass


def _terminal(raw: bytes) -> None:
    """What a router says to lines, and its configuration."""
    line: Any = CliLine.__new__(CliLine)
    line._station, line._timeout, line._client = "R-1", 600.0, _Drip(b"")
    for said in (raw, b"show\r\n" + raw + b"\r\nR-1#"):
        line._channel = _Drip(said)
        with suppress(DeviceError):
            answer = line._read("show\n", CliLine.prompt, echo=True)
            _essence(answer)
            _CONFIGURING.search(answer.rpartition("\n")[2])
        for command in ("configure terminal", "ip vrf x"):
            line._channel = _Drip(command.encode() + b"\r\n" + raw + b"\r\nR-1(config)#" * 2)
            line._observations = _Nothing()
            with suppress(DeviceError):
                line.configure((command,))


class _Nothing:
    """Observations that nobody looks at."""

    def took(self, *_: object) -> None:
        pass


def _router(raw: bytes) -> None:
    text = raw.decode("utf-8", "replace")
    for profile in ROUTER_PROFILES.values():
        for read in (read_config, port_states):
            with suppress(DeviceError):
                read(profile, text, "R-1")


def _objects(raw: bytes) -> None:
    """A pool's objects of all kinds; the session refuses with the same errors (``CloudSession._observed``)."""
    listed = parse_json(raw)
    if not isinstance(listed, list) or not all(isinstance(one, dict) and "metadata" in one for one in listed):
        return  # as ``PoolApi`` refuses it
    kinds: tuple[Kind, ...] = (NODE, POD, NF_DEPLOYMENT)
    for objects in (PoolObjects("p-1"), FunctionObjects("du-1", "minka-host")):
        asked = {place.kind: place for place in objects.asked("p-1")}
        found = {
            Place("p-1", kind, (kind.namespaced and "minka-host") or "", str(one["metadata"]["name"])): one
            for kind in {*kinds, *asked}
            for one in listed
        }
        found |= {place: listed[0] for place in asked.values() if place.single}
        with suppress(DeviceError, ArithmeticError, AttributeError, KeyError, TypeError, ValueError):
            objects.observed(found, {})


def _ims(raw: bytes) -> None:
    listed = parse_json(raw)
    for one in listed if isinstance(listed, list) else ():
        if isinstance(one, dict):
            record = _lower(one)
            _severity(record)
            _text(record, record.get("extensions"))
            list(_nodes(record, {"node-1"}))


def _events(raw: bytes) -> None:
    content = parse_json(raw)
    for form in (_One, _Batch, AlertmanagerWebhook):
        with suppress(ValueError):
            form.model_validate(content)


def _faults(raw: bytes) -> None:
    """Events of VES, as reports of alarms of a station and of a router."""
    event = _One.model_validate(parse_json(raw)).event
    assert event.fault_fields is not None
    for kind in (DeviceKind.STATION, DeviceKind.ROUTER):
        header = event.common_event_header
        report_of_fault(header.source_name, header.event_id, event.fault_fields, NOW, {}, (), kind)


def _alerts(raw: bytes) -> None:
    """Calls of Alertmanager, as reports of alarms."""
    for alert in AlertmanagerWebhook.model_validate(parse_json(raw)).alerts:
        _report(alert, NOW, timedelta(days=1), frozenset(), None, {}, {})


def _in_file(read: Callable[[Path, Report], object], name: str, folder: Path) -> Callable[[bytes], object]:
    def written(raw: bytes) -> None:
        path = folder / name
        path.write_bytes(raw)
        read(path, Report())

    return written


def _playbook(path: Path, report: Report) -> None:
    text = read_text(path, path.name, YAML_LIMIT, report)
    if text is not None:
        parse_playbook(text, path.name, registry(), report)


def hellos(chosen: random.Random) -> Iterator[bytes]:
    """Capabilities of a server's hello."""
    for part in ("urn:m{n}?module=m{n}&revision=1&features=a,b", "urn:x?" + "a=b&" * 200, "urn:x?module=m&features="):
        yield texts.fill(part + "\n", SIZE).encode()
    yield b"urn:x?module=m&features=" + b"f," * (SIZE // 2)
    yield b"urn:x?" + b"%41" * (SIZE // 3)
    yield chosen.randbytes(SIZE)


def _certificate(raw: bytes) -> None:
    with suppress(crypto.Error):
        certificate = crypto.load_certificate(crypto.FILETYPE_ASN1, raw)
        door = TlsCallers(FakeSecrets({}), 30, 10)
        assert not door.visit({}, "127.0.0.1").look_at([certificate], 0, 0, fine=True)


def certificates(chosen: random.Random) -> Iterator[bytes]:
    """Certificates with very many names, and garbled ones; OpenSSL takes chains of 100 kB at most."""
    name, key = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")]), ec.generate_private_key(ec.SECP256R1())
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    for count in (1, 5000):
        hosts = x509.SubjectAlternativeName([x509.DNSName(f"host-{number}.example") for number in range(count)])
        made = x509.CertificateBuilder(name, name, key.public_key(), 1, begin, begin + timedelta(days=1))
        raw = made.add_extension(hosts, critical=False).sign(key, hashes.SHA256()).public_bytes(Encoding.DER)
        yield raw
        yield from texts.garbled([raw], chosen, CHOSEN)


def frames(_: random.Random) -> Iterator[bytes]:
    """Messages in frames, and what looks like frames."""
    for part in (b"\n#1\na", b"\n#1\na\n##\n", b"]]>]]>", b"]]>]]", b"\n#", b"\n#4294967295\n", b"x"):
        yield part * (SIZE // len(part) // 4)


def pools(chosen: random.Random) -> Iterator[bytes]:
    """Objects of a pool, or records of its O2 IMS."""
    for _ in range(CHOSEN):
        yield orjson.dumps(texts.objects(chosen, 40), option=orjson.OPT_PASSTHROUGH_SUBCLASS)
    long = {"metadata": {"name": "n" * 250, "labels": {"minka.dev/function": "du"}}}
    many = {"k" * 200 + str(number): "1" for number in range(SIZE // 210)}
    for spec in ({"hard": many}, many, {"interfaces": [{"name": "i" * 1000, **many}]}):
        yield orjson.dumps([{**long, "spec": spec, "data": many, "status": {"conditions": [many]}}])
    yield orjson.dumps([{"extensions": many, "resourceId": "r" * SIZE, "elements": [many]}])
    yield from texts.shapes_of_json(SIZE)


#: Each parser, with the texts that it is given.
PARSERS: Mapping[str, tuple[Callable[[bytes], object], Callable[[random.Random], Iterable[bytes]]]] = {
    "messages of stations": (parse_xml, xml),
    "replies of stations": (_whole_reply, xml),
    "hellos of stations": (_hello, hellos),
    "framing": (_framed, frames),
    "certificates of callers": (_certificate, certificates),
    "terminals of routers": (_terminal, lambda _: texts.command_lines(SIZE // 3)),
    "configurations of routers": (_router, lambda _: texts.command_lines(SIZE)),
    "measurement files": (
        lambda raw: measured(texts.STATION, read_file("A.xml", [raw])),
        lambda _: texts.measurement_files(SIZE),
    ),
    "long names in measurement files": (
        lambda raw: measured(texts.STATION, read_file("A.xml", [raw])),
        partial(texts.long_names_in_files, SIZE),
    ),
    "JSON": (parse_json, lambda _: texts.shapes_of_json(SIZE)),
    "objects of pools": (_objects, pools),
    "records of an O2 IMS": (_ims, pools),
    "events of alarm sources": (_events, lambda _: texts.shapes_of_json(SIZE)),
    "distinguished names": (lambda raw: path_of(raw.decode()), partial(texts.distinguished_names, 4 * SIZE)),
    "faults of VES": (_faults, partial(texts.faults, 4 * SIZE)),
    "labels of Alertmanager": (_alerts, partial(texts.alerts, 4 * SIZE)),
}
FILES: Mapping[str, tuple[Callable[[Path, Report], object], str]] = {
    "network files": (lambda path, report: list(read_network_file(path, path.name, report)), "sites.yaml"),
    "network tables": (lambda path, report: list(read_network_file(path, path.name, report)), "sites.csv"),
    "playbooks": (_playbook, "p.yaml"),
    "rules": (lambda path, _: load_rules(path.parent), "r.yaml"),
    "indicators": (lambda path, _: load_kpis(path.parent), "k.yaml"),
    "credentials": (lambda path, _: read_credentials(path, lambda _: None), "c.yaml"),
}
#: Modules that read raw texts of others, with the parsers above that try them.
READERS: Mapping[str, str] = {
    "api/routes/ves.py": "events of alarm sources",
    "api/routes/webhooks.py": "events of alarm sources",
    "drivers/kubernetes/api.py": "objects of pools",
    "drivers/netconf/tls_callers.py": "certificates of callers",
    "drivers/netconf/transport.py": "messages of stations",
    "inventory/parse.py": "network tables",
    "inventory/yaml_tree.py": "network files",
    "models/untrusted_json.py": "JSON",
    "drivers/netconf/codec.py": "replies of stations",
    "drivers/netconf/markup.py": "messages of stations",
    "performance/files.py": "measurement files",
}
#: Folders and modules whose raw texts are not tried here, and why.
OURS: Mapping[str, str] = {
    "api/auth.py": "bodies of requests: tests/security/test_floods.py",
    "api/progress.py": "events of our own record",
    "cli/": "answers of our own API, and files of the person who runs it",
    "models/metrics.py": "figures that our own processes put on record",
    "models/packing.py": "our own record",
    "nrm/profiles/npn.py": "leaves that our own plans hold",
    "performance/statements.py": "statements, whose digest a key of ours signed",
    "plan/document.py": "our own record",
    "playbook/language/value_types.py": "types of values, of which one is called json",
    "queue/spool.py": "messages of our own spool: tests/unit/queue",
    "rehearsal/": "files of the person who runs it, and simulators",
    "store/": "our own record",
}
#: Calls that read a raw text.
RAW = frozenset(
    (
        *("parse_xml", "fromstring", "iterparse", "XMLParser", "XMLPullParser", "parse_json", "loads", "json"),
        *("model_validate_json", "literal_eval", "reader", "DictReader", "yaml.parse", "safe_load", "compose"),
        *("load_certificate", "to_cryptography", "decompress", "decompressobj", "GzipFile"),
    )
)
#: Errors by which texts may be refused; a bug is none of them.
REFUSALS = (MalformedXmlError, HostileJsonError, DeviceError, InputError)


def _within_budget(
    name: str, read: Callable[[bytes], object], given: Iterable[bytes], each_kb: float = EACH_KB
) -> None:
    for raw in given:
        began = time.thread_time()
        with suppress(*REFUSALS):
            read(raw)
        took, most = time.thread_time() - began, ANY + each_kb * _plain_size(raw) / 1024
        assert took <= most, f"{name}: {took:.1f} s for {len(raw)} bytes that begin with {raw[:200]!r} (seed {SEED})"


def _plain_size(raw: bytes) -> int:
    """Bytes of a text, unpacked as far as a measurement file is."""
    return 50 * len(raw) if raw.startswith(b"\x1f\x8b") else len(raw)


@pytest.mark.parametrize("name", PARSERS)
def test_a_text_costs_what_its_length_allows(name: str) -> None:
    read, given = PARSERS[name]
    _within_budget(name, read, given(random.Random(SEED)))


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_people_write_costs_what_its_length_allows(name: str, tmp_path: Path) -> None:
    read, file = FILES[name]
    _within_budget(name, _in_file(read, file, tmp_path), texts.yaml_files(SIZE // 4), EACH_KB_WRITTEN)


@pytest.mark.parametrize(
    "name", ["distinguished names", "faults of VES", "labels of Alertmanager", "long names in measurement files"]
)
def test_nothing_of_a_long_text_stays_in_memory(name: str) -> None:
    read, given = PARSERS[name]
    read(next(iter(given(random.Random(SEED)))))  # what is loaded when it is needed first does not count
    tracemalloc.start()
    try:
        for raw in given(random.Random(SEED + 1)):  # others, since those above may be kept already
            with suppress(*REFUSALS):
                read(raw)
            del raw
        gc.collect()
        assert tracemalloc.get_traced_memory()[0] < SIZE
    finally:
        tracemalloc.stop()


def _reads_raw(path: Path) -> bool:
    called = (ast.unparse(one.func) for one in ast.walk(ast.parse(path.read_text())) if isinstance(one, ast.Call))
    return any(name in RAW or name.rpartition(".")[2] in RAW for name in called)


def test_whoever_reads_a_raw_text_of_others_is_tried_here() -> None:
    """A module that begins to read raw texts belongs into one of two tables: with its parser, or with the reason."""
    found = {str(path.relative_to(CONTROLLER)) for path in CONTROLLER.rglob("*.py") if _reads_raw(path)}
    folders = tuple(name for name in OURS if name[-1] == "/")
    known = {name for name in found if name in OURS or name.startswith(folders)}
    assert found - known == READERS.keys()
    assert OURS.keys() - set(folders) <= known, "one of them reads none any more"
    assert set(READERS.values()) <= PARSERS.keys() | FILES.keys()
