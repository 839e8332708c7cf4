"""What profiles and habits change, beyond what the numbered sequences hold."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from lxml import etree

from simulators.clock import VirtualClock
from simulators.netconf import capabilities, notifications
from simulators.netconf.faults import HABITS, MANY, Fault, FaultKind
from simulators.netconf.profiles import PROFILES, STANDARD, profile_named
from simulators.netconf.server import STORM
from simulators.station import Station, StationSettings
from tests.unit.simulators.netconf.bench import (
    BASE,
    ENB,
    Client,
    cell,
    edit,
    enb,
    label_config,
    make_station,
    within_enb,
)

NOTIFICATION = "urn:ietf:params:xml:ns:netconf:notification:1.0"
SUBSCRIBE = f'<create-subscription xmlns="{NOTIFICATION}"/>'
CONFIRMED = "<commit><confirmed/><confirm-timeout>10</confirm-timeout></commit>"
OLD = "T-LTE-1"


def station_like(name: str, clock: VirtualClock) -> Station:
    return make_station(clock, StationSettings(profile=PROFILES[name]))


# ---------------------------------------------------------------- capabilities


@pytest.mark.parametrize("name", sorted(PROFILES))
async def test_hello_and_monitoring_say_the_same(clock: VirtualClock, name: str) -> None:
    station = station_like(name, clock)
    client = Client(station, chunked=PROFILES[name].base_1_1)
    await client.receive()
    hello = client.inbox[0]
    assert [element.text for element in hello.iter(f"{{{BASE}}}capability")] == list(station.server.capabilities)
    assert len(set(station.server.capabilities)) == len(station.server.capabilities)


def test_capabilities_follow_the_profile(clock: VirtualClock) -> None:
    names = {name: set(station_like(name, clock).server.capabilities) for name in PROFILES}
    uri = "urn:ietf:params:netconf:capability:"
    assert {f"{uri}writable-running:1.0", f"{uri}startup:1.0", f"{uri}xpath:1.0"} <= names["full"] - names["standard"]
    assert f"{uri}confirmed-commit:1.1" not in names["confirmed-commit-1.0"]
    assert f"{uri}confirmed-commit:1.0" in names["confirmed-commit-1.0"]
    assert not any("confirmed-commit" in name and name.startswith(uri) for name in names["plain-commit"])
    for name in PROFILES:
        (base,) = (each for each in names[name] if "module=ietf-netconf&" in each)
        for feature in ("confirmed-commit", "validate"):  # both of version 1.1 (RFC 6241, appendix C)
            assert (feature in base) == (f"{uri}{feature}:1.1" in names[name]), (name, feature)
    streams = [
        name for name in names["standard"] if "module=notifications&" in name or "module=nc-notifications&" in name
    ]
    assert len(streams) == 2
    assert not any(name.startswith(f"{uri}candidate") for name in names["writable-running"])
    assert any("basic-mode=trim" in name for name in names["trim"])
    assert any("yang-library:1.0?revision=2016-06-21&module-set-id=" in name for name in names["library-1.0"])
    assert capabilities.BASE_1_1 not in names["base-1.0"]


def test_profiles_have_names() -> None:
    assert profile_named("standard") is STANDARD
    with pytest.raises(ValueError, match="none of standard, full"):
        profile_named("nonsense")


async def test_another_profile_comes_with_a_restart(client: Client, station: Station) -> None:
    await client.set_label("new")
    await client.ok("<commit/>")
    station.change_profile(PROFILES["like-yuma123"])
    assert client.wire.aborted
    again = await Client(station).greeted()
    await again.set_label("lost")
    await again.ok("<validate><source><candidate/></source></validate>")
    await again.ok("<commit/>")
    assert await again.label() == "new"
    station.change_profile(STANDARD)
    assert not list(station.faults)
    assert station.server.replay is None


async def test_a_station_that_becomes_one_with_startup_starts_with_what_it_runs(
    client: Client, station: Station
) -> None:
    await client.set_label("new")
    await client.ok("<commit/>")
    station.change_profile(PROFILES["startup"])
    station.restart()
    assert await (await Client(station).greeted()).label() == "new"


# -------------------------------------------------------------------- sessions


async def test_one_session_too_many_is_dropped_before_its_hello(clock: VirtualClock) -> None:
    station = make_station(clock, StationSettings(profile=replace(STANDARD, max_sessions=1, drops_excess=True)))
    first = await Client(station).greeted()
    second = Client(station)
    assert second.wire.aborted
    assert second.wire.sent == b""
    assert len(station.server.sessions) == 1
    await first.ok("<close-session/>")
    assert not Client(station).wire.aborted


async def test_without_interleave_a_subscriber_only_listens(clock: VirtualClock) -> None:
    station = make_station(clock, StationSettings(profile=replace(STANDARD, interleave=False)))
    client, other = await Client(station).greeted(), await Client(station).greeted()
    await client.ok(SUBSCRIBE)
    assert (await client.error("<get/>"))[0] == "operation-not-supported"
    await other.set_label("new")
    await client.ok("<close-session/>")


async def test_counters(client: Client, station: Station) -> None:
    await client.error("<nonsense/>")
    client.send(f'<rpc xmlns="{BASE}"><get/></rpc>'.encode())
    await client.receive()
    counts = client.session.counts
    assert (counts.in_rpcs, counts.in_bad_rpcs, counts.out_rpc_errors) == (2, 1, 2)
    client.session.lost()
    assert (station.server.statistics.in_sessions, station.server.statistics.dropped_sessions) == (1, 1)
    bad = Client(station)
    bad.send(b"<nonsense/>")
    await bad.receive()
    assert station.server.statistics.in_bad_hellos <= 1


# ---------------------------------------------------------------- notifications


@pytest.mark.parametrize(("limit", "told"), [(notifications.MAX_EDITS, 1), (0, 0)])
async def test_a_change_beyond_the_limit_is_reported_without_its_edits(
    client: Client, other: Client, monkeypatch: pytest.MonkeyPatch, limit: int, told: int
) -> None:
    monkeypatch.setattr(notifications, "MAX_EDITS", limit)
    await other.ok(SUBSCRIBE)
    await client.ok(edit(enb(cell())))
    await client.ok("<commit/>")
    await other.receive()
    (change,) = other.inbox[-1].iter(f"{{{notifications.NOTIFICATIONS_NS}}}netconf-config-change")
    edits = list(change.iter(f"{{{notifications.NOTIFICATIONS_NS}}}edit"))
    assert [entry.findtext(f"{{{notifications.NOTIFICATIONS_NS}}}operation") for entry in edits] == ["create"] * told


def within_attributes(content: str) -> str:
    return f"<EUtranCellFDD><id>1</id><attributes>{content}</attributes></EUtranCellFDD>"


async def test_replay_forgets_the_oldest(clock: VirtualClock) -> None:
    station = make_station(clock, StationSettings(profile=replace(STANDARD, replay=2)))
    client = await Client(station).greeted()
    for label in ("one", "two", "three"):
        clock.advance(1)
        await client.set_label(label)
        await client.ok("<commit/>")
    assert station.server.replay is not None
    assert station.server.replay.aged is not None
    start = "<startTime>2026-01-01T00:00:00Z</startTime>"
    await client.ok(SUBSCRIBE.replace("/>", f">{start}</create-subscription>"))
    kinds = [etree.QName(notification[1]).localname for notification in client.inbox]
    assert kinds == ["netconf-config-change", "netconf-config-change", "replayComplete"]


@pytest.mark.parametrize("end", ["dropped", "restarted"])
async def test_a_cancel_names_the_session_whose_commit_is_taken_back(clock: VirtualClock, end: str) -> None:
    # RFC 6470 §2.2: username and session-id are mandatory unless the event is timeout.
    station = make_station(clock, StationSettings(profile=replace(STANDARD, replay=20)))
    client = await Client(station).greeted()
    await client.set_label("new")
    await client.ok(CONFIRMED)
    if end == "dropped":
        client.session.drop()
    else:
        station.restart()
    assert station.server.replay is not None
    events = [notified.content for notified in station.server.replay.between(clock.now() - timedelta(days=1), None)]
    (cancelled,) = (event for event in events if event.findtext("{*}confirm-event") == "cancel")
    assert cancelled.findtext("{*}username") == "minka"
    assert cancelled.findtext("{*}session-id") == str(client.session.origin.session)


# --------------------------------------------------------------- wrong-doings


async def test_second_commit_overwrites_the_backup(client: Client, station: Station, clock: VirtualClock) -> None:
    station.faults.inject(Fault(FaultKind.SECOND_COMMIT_OVERWRITES_BACKUP))
    await client.set_label("first")
    await client.ok(CONFIRMED)
    await client.set_label("second")
    await client.ok(CONFIRMED)
    clock.advance(11)
    assert await client.label() == "first"


async def test_stuck_lock_stays_until_a_restart(client: Client, other: Client, station: Station) -> None:
    station.faults.inject(Fault(FaultKind.STUCK_LOCK))
    await client.ok("<lock><target><candidate/></target></lock>")
    client.session.lost()
    tag, info = await other.error("<lock><target><candidate/></target></lock>")
    assert (tag, info) == ("lock-denied", {"session-id": str(client.session.origin.session)})
    assert (await other.error(f"<kill-session><session-id>{info['session-id']}</session-id></kill-session>"))[0]
    station.restart()
    again = await Client(station).greeted()
    await again.ok("<lock><target><candidate/></target></lock>")


async def test_half_applied_edit_keeps_its_first_half(client: Client, station: Station) -> None:
    await client.ok(edit(enb(cell())))
    station.faults.inject(Fault(FaultKind.HALF_APPLIED_EDIT, "edit-config"))
    changed = within_enb(within_attributes("<pci>77</pci><tac>77</tac>"))
    tag, _ = await client.error(edit(changed))
    assert tag == "unknown-namespace"
    data = await client.data("<get-config><source><candidate/></source></get-config>")
    values = {name: data.findtext(f".//{{{ENB}}}{name}") for name in ("pci", "tac")}
    assert sorted(values.values(), key=str) != ["77", "77"]
    assert "77" in values.values()


async def test_many_errors(client: Client, station: Station) -> None:
    station.faults.inject(Fault(FaultKind.MANY_ERRORS, "commit"))
    assert len(await client.rpc("<commit/>")) == MANY


async def test_notification_storm(client: Client, other: Client, station: Station) -> None:
    await other.ok(SUBSCRIBE)
    station.faults.inject(Fault(FaultKind.NOTIFICATION_STORM, "get"))
    await client.data("<get><filter/></get>")
    await other.receive()
    assert len(other.inbox) == STORM
    other.inbox.clear()
    assert await other.label() == OLD


async def test_a_confirmed_commit_is_taken_back_early(client: Client, station: Station, clock: VirtualClock) -> None:
    station.faults.inject(Fault(FaultKind.REVERT_EARLY, seconds=3))
    await client.set_label("new")
    await client.ok("<commit><confirmed/><confirm-timeout>600</confirm-timeout></commit>")
    clock.advance(2)
    assert await client.label() == "new"
    clock.advance(1)
    assert await client.label() == OLD
    tag, _ = await client.error("<cancel-commit/>")
    assert tag == "operation-failed"


def test_a_probable_fault_strikes_as_the_seed_has_it(clock: VirtualClock) -> None:
    def strikes(station: str) -> list[bool]:
        faults = make_station(clock, station=station).faults
        faults.inject(Fault(FaultKind.DELAY, count=20, probability=0.3))
        return [bool(faults.take({FaultKind.DELAY}, "commit")) for _ in range(40)]

    assert strikes("T-LTE-1") == strikes("T-LTE-1")
    assert strikes("T-LTE-1") != strikes("T-LTE-2")
    assert 4 < sum(strikes("T-LTE-1")) < 20


def test_habits_strike_no_operation(client: Client, station: Station) -> None:
    for kind in HABITS:
        station.faults.inject(Fault(kind))
    assert station.faults.take(set(FaultKind) - HABITS, "commit") == ()


# ------------------------------------------------------------------------ xpath


SELECT = {"bad-attribute": "select", "bad-element": "filter"}
EXSLT = "http://exslt.org/regular-expressions"


@pytest.mark.parametrize(
    ("select", "tag"),
    [
        *[(select, "bad-attribute") for select in ("/" + "a" * 2001, "a[", "unknown()", "$x", "x:a", "//a[frob()]")],
        *[(select, "bad-attribute") for select in ("//a[$x]", "//a[re:test(., '(a+)+b')]", "(" * 30 + "1" + ")" * 30)],
        *[(select, "invalid-value") for select in ("1", "count(/)", "'a'", "/a = 1")],
        ("count(1)", "bad-attribute"),
        ("//*[//*[//*[//*]]]", "resource-denied"),
    ],
)
async def test_wrong_and_costly_expressions_are_refused(clock: VirtualClock, select: str, tag: str) -> None:
    """With an rpc-error, and neither a lost session nor time of others."""
    client = await Client(station_like("full", clock)).greeted()
    wanted = f'<filter type="xpath" xmlns:re="{EXSLT}" select="{select}"/>'
    assert await client.error(f"<get>{wanted}</get>") == (tag, SELECT)
    assert await client.label() == OLD


@pytest.mark.parametrize("select", ["//a[frob()]", "//a[$x]", "/x:a[", "//a[re:test(., '(a+)+b')]"])
async def test_a_subscription_is_refused_whose_filter_cannot_be_evaluated(clock: VirtualClock, select: str) -> None:
    client = await Client(station_like("full", clock)).greeted()
    wanted = f'<filter type="xpath" xmlns:re="{EXSLT}" select="{select}"/>'
    subscribe = SUBSCRIBE.replace("/>", f">{wanted}</create-subscription>")
    assert await client.error(subscribe) == ("bad-attribute", SELECT)
    assert client.session.subscription is None


async def test_a_subscriber_whose_filter_costs_too_much_is_dropped_alone(clock: VirtualClock) -> None:
    station = station_like("full", clock)
    client, costly, other = [await Client(station).greeted() for _ in range(3)]
    costly_select = "//*[count(" * 8 + "//*" + ") > 0]" * 8
    wanted = f'<filter type="xpath" select="{costly_select}"/>'
    await costly.ok(SUBSCRIBE.replace("/>", f">{wanted}</create-subscription>"))
    await other.ok(SUBSCRIBE)
    cells = "".join(cell(pci=number).replace("<id>1</id>", f"<id>{number}</id>", 1) for number in range(1, 5))
    await client.ok(edit(enb(cells)))
    await client.ok(CONFIRMED)
    assert costly.wire.aborted
    clock.advance(11)
    assert (await client.data("<get-config><source><running/></source></get-config>")).find(f".//{{{ENB}}}pci") is None
    await other.receive()
    assert [etree.QName(message[1]).localname for message in other.inbox] == [
        *("netconf-session-end", "netconf-config-change", "netconf-confirmed-commit"),
        *("netconf-config-change", "netconf-confirmed-commit"),
    ]


MONITORING = "urn:ietf:params:xml:ns:yang:ietf-netconf-monitoring"


@pytest.mark.parametrize(
    "select",
    [
        "m:netconf-state/m:sessions/m:session/m:username",
        "/m:netconf-state/m:sessions/m:session/m:username[../../../../me:ManagedElement]",
        "//m:session[count(/*) > 5]/m:username/text()",
    ],
)
async def test_an_expression_starts_at_the_root_of_all_data(clock: VirtualClock, select: str) -> None:
    client = await Client(station_like("full", clock)).greeted()
    spaces = f'xmlns:m="{MONITORING}" xmlns:me="urn:3gpp:sa5:_3gpp-common-managed-element"'
    data = await client.data(f'<get><filter type="xpath" {spaces} select="{select}"/></get>')
    assert [(etree.QName(leaf).localname, leaf.text) for leaf in data.iter() if not len(leaf)] == [
        ("session-id", "1"),
        ("username", "minka"),
    ]


async def test_the_root_is_all_data(clock: VirtualClock) -> None:
    client = await Client(station_like("full", clock)).greeted()
    whole = await client.data('<get><filter type="xpath" select="/"/></get>')
    assert [top.tag for top in whole] == [top.tag for top in await client.data("<get/>")]


async def test_xpath_of_notifications(clock: VirtualClock) -> None:
    station = station_like("full", clock)
    client, other = await Client(station).greeted(), await Client(station).greeted()
    select = "/n:netconf-config-change[n:edit/n:operation='replace']"
    given = f'<filter type="xpath" xmlns:n="{notifications.NOTIFICATIONS_NS}" select="{select}"/>'
    await client.ok(SUBSCRIBE.replace("/>", f">{given}</create-subscription>"))
    await other.ok(edit(enb("")))
    await other.ok("<commit/>")
    await client.receive()
    assert client.inbox == []
    await other.set_label("new")
    await other.ok("<commit/>")
    await client.receive()
    assert len(client.inbox) == 1


async def test_hidden_data_is_hidden_from_xpath_and_get_too(clock: VirtualClock) -> None:
    station = station_like("guarded", clock)
    station.server.profile = replace(station.server.profile, xpath=True)
    client = await Client(station).greeted()
    await client.ok(edit(enb(cell())))
    await client.ok("<commit/>")
    hidden = await Client(station, user="transport").greeted()
    wanted = f'<filter type="xpath" xmlns:e="{ENB}" select="//e:EUtranCellFDD"/>'
    assert len(await client.data(f"<get-config><source><running/></source>{wanted}</get-config>")) == 1
    assert len(await hidden.data(f"<get-config><source><running/></source>{wanted}</get-config>")) == 0
    assert (await hidden.data("<get/>")).find(f".//{{{ENB}}}EUtranCellFDD") is None
    assert (await hidden.error(edit(label_config("no"))))[0] == "access-denied"
