"""Locks, edits, reading and the operations around them (RFC 6241 §7)."""

from __future__ import annotations

import re

import pytest
from lxml import etree

from simulators.clock import VirtualClock
from simulators.history import EventKind
from simulators.netconf.capabilities import modules_of_station
from simulators.netconf.profiles import PROFILES
from simulators.netconf.server import Transport
from simulators.netconf.session import Session
from simulators.station import Station, StationSettings
from tests.unit.simulators.netconf.bench import (
    BASE,
    CREATE,
    DELETE,
    ENB,
    ME,
    Client,
    Wire,
    cell,
    edit,
    enb,
    label_config,
    link,
    make_station,
    within_enb,
)

LOCK = "<lock><target><candidate/></target></lock>"
UNLOCK = "<unlock><target><candidate/></target></unlock>"
OLD = "T-LTE-1"
COPY_TO_RUNNING = "<copy-config><target><running/></target><source><candidate/></source></copy-config>"


def number(client: Client) -> dict[str, str]:
    return {"session-id": str(client.session.origin.session)}


# ------------------------------------------------------------------------ hello


async def test_hello_names_what_the_station_can_do(station: Station) -> None:
    client = Client(station)
    await client.receive()
    names = [element.text or "" for element in client.inbox[0].iter(f"{{{BASE}}}capability")]
    for wanted in ("base:1.0", "base:1.1", "candidate:1.0", "confirmed-commit:1.1", "validate:1.1", "interleave:1.0"):
        assert any(name.endswith(wanted) for name in names), wanted
    assert any("basic-mode=explicit" in name for name in names)
    assert any(name.startswith("urn:minka:eutran-nrm?module=minka-eutran-nrm&revision=") for name in names)
    assert client.inbox[0].findtext(f"{{{BASE}}}session-id") == "1"


async def test_base_1_0_stations_answer_in_old_framing(clock: VirtualClock) -> None:
    station = make_station(clock, StationSettings(profile=PROFILES["base-1.0"]))
    client = Client(station, chunked=False)
    await client.greeted()
    assert await client.label() == OLD


async def test_old_clients_get_old_framing(station: Station) -> None:
    client = await Client(station, chunked=False).greeted()
    assert await client.label() == OLD


async def test_without_confirmed_commit(clock: VirtualClock) -> None:
    station = make_station(clock, StationSettings(profile=PROFILES["plain-commit"]))
    assert not any("confirmed-commit" in name for name in station.server.capabilities)
    client = await Client(station).greeted()
    await client.set_label("new")
    assert (await client.error("<commit><confirmed/></commit>"))[0] == "unknown-element"
    assert (await client.error("<cancel-commit/>"))[0] == "operation-not-supported"
    await client.ok("<commit/>")
    assert await client.label() == "new"


# ------------------------------------------------------------------------ locks


async def test_second_lock_names_the_holder(client: Client, other: Client) -> None:
    await client.ok(LOCK)
    assert await other.error(LOCK) == ("lock-denied", number(client))
    assert await client.error(LOCK) == ("lock-denied", number(client))
    await client.ok(UNLOCK)
    await other.ok(LOCK)


async def test_only_the_holder_edits_and_commits(client: Client, other: Client) -> None:
    await client.ok(LOCK)
    for operation in (edit(label_config("x")), "<commit/>", "<discard-changes/>"):
        assert await other.error(operation) == ("in-use", number(client))
    assert (await other.error(UNLOCK))[0] == "operation-failed"
    await client.ok(edit(label_config("x")))


async def test_lock_on_running_stops_commits_of_others(client: Client, other: Client) -> None:
    await client.ok("<lock><target><running/></target></lock>")
    await other.set_label("new")
    assert await other.error("<commit/>") == ("in-use", number(client))


async def test_dirty_candidate_cannot_be_locked(client: Client, other: Client) -> None:
    await client.set_label("new")
    assert await other.error(LOCK) == ("lock-denied", {"session-id": "0"})
    await client.ok("<discard-changes/>")
    await other.ok(LOCK)


async def test_unlock_and_session_loss_discard_the_candidate(client: Client, other: Client) -> None:
    for end in (UNLOCK, None):
        await client.ok(LOCK)
        await client.set_label("new")
        if end:
            await client.ok(end)
        else:
            client.session.lost()
        assert await other.label("candidate") == OLD
        await other.ok(LOCK)
        await other.ok(UNLOCK)


async def test_unlocked_edits_stay_when_their_session_goes(client: Client, other: Client) -> None:
    await client.set_label("new")
    client.session.lost()
    assert await other.label("candidate") == "new"


# ------------------------------------------------------------------------- edits


async def test_edit_is_seen_in_candidate_then_in_running(client: Client, station: Station) -> None:
    await client.set_label("new")
    assert (await client.label("candidate"), await client.label()) == ("new", OLD)
    await client.ok("<commit/>")
    assert (await client.label("candidate"), await client.label()) == ("new", "new")
    (event,) = station.history.events(EventKind.RUNNING_CHANGED)
    assert (event.user, event.session, event.detail["cause"]) == ("minka", 1, "commit")


async def test_a_commit_that_changes_nothing_is_no_change(client: Client, station: Station) -> None:
    await client.ok("<commit/>")
    await client.set_label(OLD)
    await client.ok("<commit/>")
    assert station.history.counts[EventKind.RUNNING_CHANGED] == 0


async def test_operations_are_counted_in_the_history(client: Client, station: Station) -> None:
    await client.ok(edit(enb(cell() + link(operation=CREATE), operation=CREATE), "none"))
    await client.ok("<commit/>")
    (event,) = station.history.events(EventKind.RUNNING_CHANGED)
    assert event.detail["operations"] == {"create": 2}


SET = "<test-option>set</test-option>"


async def test_create_delete_remove_replace(client: Client) -> None:
    await client.ok(edit(enb(cell() + link(), operation=CREATE), "none"))
    assert (await client.error(edit(enb(cell(), operation=CREATE), "none")))[0] == "data-exists"
    gone = f"<EP_S1C{DELETE}><id>andes-mme-1</id></EP_S1C>"
    await client.ok(edit(within_enb(gone), "none"))
    assert (await client.error(edit(within_enb(gone), "none")))[0] == "data-missing"
    await client.ok(edit(within_enb(gone.replace("delete", "remove")), "none"))
    await client.ok(edit(label_config("replaced"), "replace", SET))
    data = await client.data("<get-config><source><candidate/></source></get-config>")
    assert data.find(f".//{{{ENB}}}ENBFunction") is None
    assert (await client.error(edit(within_enb(cell()), "none")))[0] == "data-missing"


async def test_an_edit_that_fails_changes_nothing(client: Client) -> None:
    bad = label_config("new").replace("</ManagedElement>", "<nonsense/></ManagedElement>")
    tag, _ = await client.error(edit(bad, extra="<error-option>continue-on-error</error-option>"))
    assert tag == "unknown-element"
    assert await client.label("candidate") == OLD


async def test_test_only_tries(client: Client) -> None:
    await client.ok(edit(label_config("new"), extra="<test-option>test-only</test-option>"))
    assert await client.label("candidate") == OLD
    incomplete = within_enb("")
    reply = await client.rpc(edit(incomplete, extra="<test-option>test-then-set</test-option>"))
    assert all(child.tag == f"{{{BASE}}}rpc-error" for child in reply)
    await client.ok(edit(incomplete, extra="<test-option>set</test-option>"))


async def test_what_is_incomplete_is_refused_by_validate_and_commit(client: Client) -> None:
    incomplete = within_enb("<EUtranCellFDD><id>1</id><attributes><pci>1</pci></attributes></EUtranCellFDD>")
    await client.ok(edit(incomplete, extra=SET))
    for operation in ("<validate><source><candidate/></source></validate>", "<commit/>"):
        reply = await client.rpc(operation)
        assert len(reply) > 1
        assert all(error.findtext(f"{{{BASE}}}error-severity") == "error" for error in reply)
    assert await client.label() == OLD


@pytest.mark.parametrize(
    ("operation", "tag"),
    [
        ("<get-config/>", "missing-element"),
        ("<get-config><source><startup/></source></get-config>", "invalid-value"),
        ("<get-config><source/></get-config>", "missing-element"),
        ("<get><filter type='xpath' select='/'/></get>", "bad-attribute"),
        ("<edit-config><target><candidate/></target></edit-config>", "missing-element"),
        ("<edit-config><target><running/></target><config/></edit-config>", "operation-not-supported"),
        (edit("", "merger"), "invalid-value"),
        (edit("", extra="<test-option>no</test-option>"), "invalid-value"),
        (edit("", extra="<error-option>no</error-option>"), "invalid-value"),
        (COPY_TO_RUNNING, "operation-not-supported"),
        ("<delete-config><target><running/></target></delete-config>", "unknown-element"),
        ("<delete-config><target><startup/></target></delete-config>", "invalid-value"),
        ("<lock><target><startup/></target></lock>", "invalid-value"),
        ("<kill-session><session-id>1</session-id></kill-session>", "invalid-value"),
        ("<kill-session><session-id>77</session-id></kill-session>", "invalid-value"),
        ("<kill-session><session-id>0</session-id></kill-session>", "invalid-value"),
        ("<kill-session/>", "missing-element"),
        ("<validate><source><config xmlns='urn:else'/></source></validate>", "unknown-element"),
        ("<lock><target><config/></target></lock>", "unknown-element"),
            ("<get><source><running/></source></get>", "unknown-element"),
        ("<commit><now/></commit>", "unknown-element"),
        ("<launch-rocket/>", "operation-not-supported"),
        ('<commit xmlns="urn:else"/>', "operation-not-supported"),
    ],
)  # fmt: skip
async def test_refusals(client: Client, operation: str, tag: str) -> None:
    assert (await client.error(operation))[0] == tag
    assert await client.label() == OLD


async def test_copy_config_fills_the_candidate(client: Client) -> None:
    await client.set_label("new")
    await client.ok("<copy-config><target><candidate/></target><source><running/></source></copy-config>")
    assert await client.label("candidate") == OLD
    config = f"<config>{label_config('copied')}</config>"
    await client.ok(f"<copy-config><target><candidate/></target><source>{config}</source></copy-config>")
    assert await client.label("candidate") == "copied"


# ----------------------------------------------------------------------- replies


def unresolved(reply: etree._Element) -> list[str]:
    """Prefixes in values that are declared nowhere."""
    return [
        f"{prefix}:"
        for element in reply.iter()
        if etree.QName(element).localname in ("error-path", "name")
        for prefix in re.findall(r"([\w-]+):(?!/)", element.text or "")
        if prefix not in element.nsmap
    ]


@pytest.mark.parametrize("prefix", ["x", "me3gpp", "ds"])
async def test_prefixes_in_values_are_declared_whatever_the_request_declares(clock: VirtualClock, prefix: str) -> None:
    """Also where it gives the same namespaces other prefixes, or other namespaces the same ones."""
    client = await Client(make_station(clock, StationSettings(profile=PROFILES["full"]))).greeted()
    library, datastores = "urn:ietf:params:xml:ns:yang:ietf-yang-library", "urn:ietf:params:xml:ns:yang:ietf-datastores"
    wrong = within_enb(f"<EUtranCellFDD{DELETE}><id>9</id></EUtranCellFDD>")
    operations = [edit(wrong, "none"), "<get/>", f'<get><filter type="xpath" xmlns:l="{library}" select="/l:*"/></get>']
    for declared in (ME, ENB, datastores, library, BASE):
        for operation in operations:
            client.send(f'<rpc xmlns="{BASE}" xmlns:{prefix}="{declared}" message-id="1">{operation}</rpc>'.encode())
            await client.receive()
            reply = client.inbox.pop()
            assert unresolved(reply) == []
            path = reply.find(f".//{{{BASE}}}error-path")
            if path is not None:
                used = set(re.findall(r"/([\w-]+):", path.text or ""))
                assert {path.nsmap[each] for each in used} == {ME, ENB}
            for name in reply.iterfind(f".//{{{library}}}datastore/{{{library}}}name"):
                assert name.nsmap[(name.text or "").partition(":")[0]] == datastores


async def test_attributes_of_the_rpc_come_back(client: Client) -> None:
    client.send(f'<x:rpc xmlns:x="{BASE}" xmlns:u="urn:u" message-id="a &lt; b" u:tag="7"><x:get/></x:rpc>'.encode())
    await client.receive()
    reply = client.inbox.pop()
    assert {str(name): value for name, value in reply.attrib.items()} == {"message-id": "a < b", "{urn:u}tag": "7"}


@pytest.mark.parametrize("operation", ["get", "commit"])
@pytest.mark.parametrize("more", ["", ' xmlns:u="urn:u&amp;v" u:tag="7"'])
async def test_attributes_come_back_whatever_is_in_them(client: Client, operation: str, more: str) -> None:
    identity = "&#34;'&lt;&amp;&#10;&#9;ñ ]]&gt;"
    client.send(f'<x:rpc xmlns:x="{BASE}"{more} message-id="{identity}" tag="x"><x:{operation}/></x:rpc>'.encode())
    await client.receive()
    reply = client.inbox.pop()
    theirs = {"message-id": "\"'<&\n\tñ ]]>", "tag": "x"} | ({"{urn:u&v}tag": "7"} if more else {})
    assert {str(name): value for name, value in reply.attrib.items()} == theirs
    assert reply.nsmap["x"] == BASE
    assert reply[0].tag == f"{{{BASE}}}{'data' if operation == 'get' else 'ok'}"
    assert bool(len(reply[0])) == (operation == "get")


async def test_any_prefix_will_do(client: Client) -> None:
    for prefix in ("name", "namespace", "nc", "rpc", "self"):
        client.send(f'<{prefix}:rpc xmlns:{prefix}="{BASE}" message-id="1"><{prefix}:commit/></{prefix}:rpc>'.encode())
        await client.receive()
        assert client.inbox.pop()[0].tag == f"{{{BASE}}}ok"


async def test_missing_message_id(client: Client) -> None:
    client.send(f'<rpc xmlns="{BASE}"><get/></rpc>'.encode())
    await client.receive()
    assert client.inbox.pop().findtext(f".//{{{BASE}}}error-tag") == "missing-attribute"


async def test_pipelined_operations_are_answered_in_order(client: Client) -> None:
    numbers = [client.post(operation) for operation in (edit(label_config("new")), "<commit/>", "<get/>", "<commit/>")]
    await client.receive()
    assert [reply.get("message-id") for reply in client.inbox] == numbers


async def test_with_defaults(client: Client) -> None:
    await client.ok(edit(enb(cell())))
    get = "<get-config><source><candidate/></source>{}</get-config>"
    mode = '<with-defaults xmlns="urn:ietf:params:xml:ns:yang:ietf-netconf-with-defaults">{}</with-defaults>'
    length = f".//{{{ENB}}}eNBIdLength"
    assert (await client.data(get.format(""))).find(length) is None
    assert (await client.data(get.format(mode.format("report-all")))).findtext(length) == "20"
    assert (await client.error(get.format(mode.format("some"))))[0] == "invalid-value"


async def test_subtree_filter_on_state(client: Client, clock: VirtualClock) -> None:
    await client.ok(edit(enb(cell() + link())))
    await client.ok("<commit/>")
    clock.advance(5)
    data = await client.data(
        f'<get><filter type="subtree"><ManagedElement xmlns="{ME}"><ENBFunction xmlns="{ENB}"><EUtranCellFDD>'
        "<id/><attributes><cellState/></attributes></EUtranCellFDD></ENBFunction></ManagedElement></filter></get>"
    )
    assert data.findtext(f".//{{{ENB}}}cellState") == "ACTIVE"
    assert data.find(f".//{{{ENB}}}pci") is None
    assert data.find(f".//{{{ENB}}}EP_S1C") is None


async def test_two_subtrees_of_one_container_of_state(client: Client, other: Client) -> None:
    """Whether they stand in one parent or in two, all that is asked for comes, with the keys of lists (RFC 6241 §6)."""
    space = "urn:ietf:params:xml:ns:yang:ietf-netconf-monitoring"
    parts = (
        "<capabilities/>",
        "<sessions><session><username/></session></sessions>",
        "<statistics><in-sessions/></statistics>",
    )
    together = f'<netconf-state xmlns="{space}">{"".join(parts)}</netconf-state>'
    apart = "".join(f'<netconf-state xmlns="{space}">{part}</netconf-state>' for part in parts)
    split = f"""<netconf-state xmlns="{space}"><capabilities/>
      <sessions><session><username>minka</username></session></sessions>
      <sessions><session><session-id>{other.session.origin.session}</session-id><username/></session></sessions>
      <statistics><in-sessions/></statistics></netconf-state>"""
    for filter_ in (together, apart):
        (state,) = await client.data(f"<get><filter>{filter_}</filter></get>")
        assert [etree.QName(child).localname for child in state] == ["capabilities", "sessions", "statistics"]
        sessions = [[each.text for each in session] for session in state[1]]
        assert sessions == [["1", "minka"], ["2", "other"]]
        assert [etree.QName(leaf).localname for leaf in state[2]] == ["in-sessions"]
    (state,) = await client.data(f"<get><filter>{split}</filter></get>")
    whole, part = state[1]
    assert (len(whole), [each.text for each in part]) == (8, ["2", "other"])


async def test_a_filter_has_a_size(client: Client) -> None:
    tag, info = await client.error(f"<get><filter>{'<a/>' * 2001}</filter></get>")
    assert (tag, info) == ("too-big", {"bad-element": "filter"})
    assert await client.label() == OLD


async def test_sessions_name_their_transport(station: Station, client: Client) -> None:
    Session(station.server, "minka", Wire(), Transport.TLS).open()
    space = "urn:ietf:params:xml:ns:yang:ietf-netconf-monitoring"
    data = await client.data(f'<get><filter><netconf-state xmlns="{space}"><sessions/></netconf-state></filter></get>')
    assert [each.text for each in data.iter(f"{{{space}}}transport")] == ["netconf-ssh", "netconf-tls"]


async def test_get_shows_library_monitoring_and_streams(client: Client) -> None:
    data = await client.data("<get/>")
    names = {etree.QName(child).localname for child in data}
    assert names == {
        *("ManagedElement", "active-alarm-list", "netconf-state", "yang-library", "modules-state", "netconf"),
        *("equipment", "operational-info", "performance", "software-inventory"),
    }
    library = "urn:ietf:params:xml:ns:yang:ietf-yang-library"
    modules = {name.text for name in data.iter(f"{{{library}}}name")}
    assert {"minka-eutran-nrm", "ietf-yang-types"} <= modules
    older = {name.text for name in data.iterfind(f"{{{library}}}modules-state/{{{library}}}module/{{{library}}}name")}
    assert {"minka-eutran-nrm", "notifications", "nc-notifications"} <= older
    only = await client.data(
        f'<get><filter><yang-library xmlns="{library}"><content-id/></yang-library></filter></get>'
    )
    assert [etree.QName(child).localname for child in only[0]] == ["content-id"]


async def test_deviations_are_announced_wherever_modules_are(clock: VirtualClock) -> None:
    """In the hello (RFC 7950 §5.6.4) and both libraries (RFC 8525, RFC 7895)."""
    deviations = "minka-3gpp-deviations"
    names = ("gnbdufunction", "nrcelldu", "nroperatorcelldu", "nrsectorcarrier", "operatordu")
    deviated = [f"_3gpp-nr-nrm-{name}" for name in names]
    station = make_station(clock, station="T-NR-1")
    revision = {module.name: module.revision for module in station.server.modules}[deviations]
    client = await Client(station).greeted()
    assert f"urn:minka:3gpp-deviations?module={deviations}&revision={revision}" in station.server.capabilities
    announced = [name for name in station.server.capabilities if "deviations=" in name]
    assert [name.partition("module=")[2].partition("&")[0] for name in announced] == deviated
    assert all(name.endswith(f"&deviations={deviations}") for name in announced)
    library = {"l": "urn:ietf:params:xml:ns:yang:ietf-yang-library"}
    data = await client.data("<get/>")
    newer = list(data.iterfind("l:yang-library/l:module-set/l:module[l:deviation]", library))
    assert [one.findtext("l:name", None, library) for one in newer] == deviated
    assert {one.findtext("l:deviation", None, library) for one in newer} == {deviations}
    older = list(data.iterfind("l:modules-state/l:module[l:deviation]", library))
    assert [one.findtext("l:name", None, library) for one in older] == deviated
    for one in older:
        told = [one.findtext(f"l:deviation/l:{name}", None, library) for name in ("name", "revision")]
        assert told == [deviations, revision]
    monitoring = "urn:ietf:params:xml:ns:yang:ietf-netconf-monitoring"
    (text,) = await client.rpc(f'<get-schema xmlns="{monitoring}"><identifier>{deviations}</identifier></get-schema>')
    assert (text.text or "").startswith(f"module {deviations} {{")


async def test_get_schema_gives_the_text_of_every_module(client: Client, station: Station) -> None:
    space = "urn:ietf:params:xml:ns:yang:ietf-netconf-monitoring"
    for module in modules_of_station(station.schema.modules, station.server.profile):
        named = f"<identifier>{module.name}</identifier><version>{module.revision}</version>"
        (data,) = await client.rpc(f'<get-schema xmlns="{space}">{named}</get-schema>')
        assert f"module {module.name}" in (data.text or "")
    tag, _ = await client.error(f'<get-schema xmlns="{space}"><identifier>nope</identifier></get-schema>')
    assert tag == "invalid-value"
