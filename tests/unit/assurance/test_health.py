from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pytest

from controller.assurance.health import (
    STATION,
    as_grave,
    health_of,
    renewed,
    reported_between,
    reports_of,
    returned,
    tenant_of,
    unread,
    wrongs,
)
from controller.intent.folding import folded
from controller.intent.impact import OF_MANAGEMENT
from controller.models.alarm import (
    ALL_LINKS_DOWN,
    CELL_OFF_AIR,
    CELL_UNSTABLE,
    CONFIGURATION_DRIFT,
    CORE_LINK_DOWN,
    DIVERGED,
    HIDES,
    LOSES,
    PLMN_MISSING,
    RADIO_UNIT_LOST,
    STATE_UNKNOWN,
    UNREACHABLE,
    USER_PLANE_DOWN,
    ActiveAlarm,
    Alarm,
    AlarmRecord,
    AlarmReport,
    AlarmSource,
    AlarmState,
    ObjectClass,
    PerceivedSeverity,
)
from controller.models.equipment import UnitState
from controller.models.health import Health, LinkFault, LinkHealth, MissingPlmn, Refusal, ServiceState
from controller.models.network import ExternalInput, Rat
from controller.models.run import LedgerEntry
from controller.nrm.profiles import broadcast_plmn, cell_of
from controller.nrm.tree import Observed
from tests.unit.plan import samples

AT = datetime(2026, 1, 1, tzinfo=UTC)
CRITICAL, MAJOR = PerceivedSeverity.CRITICAL, PerceivedSeverity.MAJOR
ME = "/ManagedElement[A]/ENBFunction[1]"
CELL, OTHER, LINK = f"{ME}/EUtranCellFDD[1]", f"{ME}/EUtranCellFDD[2]", f"{ME}/EP_S1C[claro-1]"
THEIRS = f"{ME}/EP_S1C[alfa-1]"

STATES = {True: ServiceState.UP, False: ServiceState.DOWN, None: ServiceState.UNKNOWN}


def entry(path: str, *owners: str) -> LedgerEntry:
    return LedgerEntry(station="A", path=path, owners=owners)


def seen(
    *, up: bool | None = True, drift: int = 0, locked: bool = False, reachable: bool = True, reason: str = ""
) -> Health:
    if not reachable:
        return Health(station="A", at=AT, reachable=False, reason=reason)
    link = LinkHealth(path=LINK, tenant="claro", kind="S1C", state=STATES[up], locked=locked)
    return Health(station="A", at=AT, reachable=True, links=(link,), drift=drift)


def said(reports: tuple[AlarmReport, ...]) -> list[tuple[str, str, str]]:
    return [(report.object, report.probable_cause, report.severity.value) for report in reports]


def test_health_is_what_the_station_says_of_what_is_ours() -> None:
    state = {
        CELL: {"operationalState": "ENABLED", "cellState": "ACTIVE"},
        LINK: {"operationalState": "ENABLED"},
    }
    tree = {CELL: {"administrativeState": "UNLOCKED"}, OTHER: {}, LINK: {}, f"{ME}/EP_S1C[unknown]": {}}
    ledger = {path: entry(path, "claro") for path in (CELL, OTHER, LINK)}
    health = health_of("A", Observed(tree, state, ()), ledger, 2, AT)
    assert health.cells == {"1": "up", "2": "down"}
    assert health.locked == ("2",)
    assert health.links == (LinkHealth(path=LINK, tenant="claro", kind="S1C", state=ServiceState.UP),)
    assert health.drift == 2


def test_a_plmn_that_the_ledger_has_and_the_cell_lacks_is_missing_for_its_tenant() -> None:
    net = samples.network()
    ledger = samples.ledger(net)
    on_air = {path for path in ledger if broadcast_plmn(path) and ledger[path].owners == ("beta",)}
    gone = {path for path in on_air if cell_of(path) == "L1"}
    assert gone
    whole = health_of("S1", samples.carrying(net), ledger, 0, AT)
    lacking = health_of("S1", samples.carrying(net, edit=dict.fromkeys(gone)), ledger, 0, AT)
    (entry,) = gone
    assert (whole.missing, lacking.missing) == ((), (MissingPlmn("L1", "716-02", "beta", entry),))
    assert unread("S1", ledger, lacking, AT, "unreachable").missing == lacking.missing, "as it was seen"
    # Another slice of the same PLMN keeps it on air.
    (at_du,) = (path for path in on_air if cell_of(path) == "N1" and "NRCellDU" in path)
    other = at_du.replace("000002", "000009")
    assert other != at_du
    moved = samples.carrying(net, edit={at_du: None, other: {}})
    assert health_of("S1", moved, ledger, 0, AT).missing == ()


def test_a_plmn_that_a_cell_lacks_is_a_fault_of_its_tenant_and_one_with_its_cell_a_critical_one() -> None:
    entry = "/ManagedElement[S1]/ENBFunction[1]/EUtranCellFDD[L1]/plmnIdList[716,02]"
    drifted = Health(station="S1", at=AT, reachable=True, drift=1)
    one = drifted.model_copy(update={"missing": (MissingPlmn("L1", "716-02", "beta", entry),)})
    _, report = reports_of(one, one, [])
    told = report.probable_cause, report.object, report.tenant, report.object_class, report.severity.value
    assert told == (PLMN_MISSING, entry, "beta", "cell", "MAJOR")
    assert report.text == "cell L1 does not have PLMN 716-02 any more"
    _, report = reports_of(one, one.model_copy(update={"gone": ("L1",)}), [])
    assert report.severity.value == "CRITICAL", report.text
    gone = one.model_copy(update={"gone": ("L1",)})
    alarm = folded(None, reports_of(one, one, [])[1], lambda: "a-1")[0].alarm
    for last, now, severity in ((one, one, []), (one, gone, []), (gone, gone, ["CRITICAL"])):
        assert [again.severity.value for again in renewed(last, now, [alarm])] == severity
    standing = [(STATION, CONFIGURATION_DRIFT), (entry, PLMN_MISSING)]
    assert reports_of(one, one, standing) == ()
    locked = one.model_copy(update={"locked": ("L1",)})
    lost = one.model_copy(update={"lost": True})
    for now in (drifted, locked, lost):
        assert (entry, PLMN_MISSING) not in wrongs(now)
        assert (entry, PLMN_MISSING, "CLEARED") in said(reports_of(one, now, standing))
    silent = unread("S1", {}, one, AT, "unreachable")
    assert (entry, PLMN_MISSING, "CLEARED") not in said(reports_of(one, silent, standing)), "nobody knows"


def test_a_user_plane_that_carries_nothing_is_a_cause_of_its_own() -> None:
    end = f"{ME}/EP_S1U[claro-s1u]"
    observed = Observed(
        {LINK: {}, end: {}}, {LINK: {"operationalState": "ENABLED"}, end: {"operationalState": "DISABLED"}}
    )
    health = health_of("A", observed, {path: entry(path, "claro") for path in (LINK, end)}, 0, AT)
    assert said(reports_of(health, health, ())) == [(end, USER_PLANE_DOWN, "MAJOR")]
    well = health_of("A", Observed({LINK: {}, end: {}}, {}), {end: entry(end, "claro")}, 0, AT)
    assert reports_of(health, well, [(end, USER_PLANE_DOWN)]) == ()  # unknown clears nothing


@pytest.mark.parametrize("told", list(ServiceState))
def test_what_was_counted_counts_where_the_state_of_a_user_plane_is_not_reported(told: ServiceState) -> None:
    end = "/ManagedElement[A]/GNBCUUPFunction[1]/EP_NgU[claro-upf]"
    ledger = {path: entry(path, "claro") for path in (LINK, end)}
    asked: list[tuple[str, Rat | None]] = []

    def traffic(tenant: str, rat: Rat | None) -> ServiceState:
        asked.append((tenant, rat))
        return told

    health = health_of("A", Observed({LINK: {}, end: {}}), ledger, 0, AT, traffic=traffic)
    assert {link.path: link.state for link in health.links} == {LINK: ServiceState.UNKNOWN, end: told}
    assert asked == [("claro", Rat.NR)]


def test_a_link_of_ours_that_vanished_is_down() -> None:
    health = health_of("A", Observed({}, {}, ()), {LINK: entry(LINK, "claro")}, 0, AT)
    assert [(link.path, link.state, link.locked) for link in health.links] == [(LINK, "down", False)]


def test_what_a_station_does_not_tell_is_unknown_and_no_fault() -> None:
    tree = {CELL: {"administrativeState": "UNLOCKED"}, LINK: {}}
    ledger = {path: entry(path, "claro") for path in tree}
    health = health_of("A", Observed(tree, {CELL: {"cellState": "ACTIVE"}}), ledger, 0, AT)
    assert (health.cells, [link.state for link in health.links]) == ({"1": "unknown"}, ["unknown"])
    assert wrongs(health) == {}
    assert reports_of(health, health, ()) == ()


def odd_health(word: str | None, at: int = 0, before: Health | None = None) -> Health:
    """Health of a station that has one word for the operational states of cells and core links."""
    tree = {CELL: {"administrativeState": "UNLOCKED"}, f"{CELL}/plmnIdList[999,01]": {}, LINK: {}, THEIRS: {}}
    ours = {path: entry(path, "alfa" if path == THEIRS else "claro") for path in tree}
    told = {} if word is None else {"operationalState": word}
    state = {CELL: {**told, "cellState": "ACTIVE"}, LINK: told, THEIRS: told}
    return health_of("A", Observed(tree, state), ours, 0, AT + timedelta(seconds=at), before=before)


@pytest.mark.parametrize("word", ["enabled", "DEGRADED", "", "x" * 100_000])
def test_states_in_words_that_no_specification_has_are_unknown_no_outage_and_told_to_the_host(word: str) -> None:
    odd = odd_health(word)
    assert set(odd.cells.values()) == {link.state for link in odd.links} == {ServiceState.UNKNOWN}
    assert all(odd.serves("1", tenant) for tenant in ("claro", "alfa"))
    assert (odd.off_air, [link.since for link in odd.links]) == ({}, [None, None])
    for told in (odd.odd["1"], *(link.odd for link in odd.links)):
        assert told.startswith(f"operationalState '{word[:20]}")
        assert len(told) <= 80
    # It is nobody's outage, and a warning to the host alone, which ends with the odd word.
    long_ago = odd_health(word, -600)
    (report,) = reports_of(long_ago, odd, ())
    assert said((report,)) == [("station", STATE_UNKNOWN, "WARNING")]
    assert odd.odd["1"] in report.text
    assert STATE_UNKNOWN in OF_MANAGEMENT
    assert STATE_UNKNOWN not in LOSES | HIDES
    for after in ("ENABLED", None):
        assert said(reports_of(odd, odd_health(after), [("station", STATE_UNKNOWN)])) == [
            ("station", STATE_UNKNOWN, "CLEARED")
        ]
    silent = unread("A", {}, odd, AT, "unreachable")
    assert (silent.odd, [link.odd for link in silent.links]) == ({}, [])
    assert said(reports_of(odd, silent, [("station", STATE_UNKNOWN)])) == [], "nobody knows"


def test_an_odd_word_neither_raises_nor_clears_the_alarm_of_an_outage() -> None:
    down = odd_health("DISABLED")
    standing = [wrong for wrong in wrongs(down) if wrong[1] != STATE_UNKNOWN]
    assert {cause for _, cause in standing} == {ALL_LINKS_DOWN, CORE_LINK_DOWN, CELL_OFF_AIR}
    odd = odd_health("DEGRADED", 90, down)
    assert said(reports_of(down, odd, standing)) == []
    assert {link.fault for link in odd.links} == {LinkFault.REPORTED}
    assert len(reports_of(odd, odd_health("ENABLED", 120, odd), standing)) == len(standing)


def cell_health(
    state: str | None, at: int, before: Health | None = None, *, locked: bool = False, plmn: bool = True
) -> Health:
    tree: dict[str, dict[str, str]] = {CELL: {"administrativeState": "LOCKED" if locked else "UNLOCKED"}}
    tree |= {f"{CELL}/plmnIdList[999,01]": {}} if plmn else {}
    told = {} if state is None else {CELL: {"operationalState": "ENABLED", "cellState": state}}
    ledger = {path: entry(path, "host") for path in tree}
    return health_of("A", Observed(tree, told), ledger, 0, AT + timedelta(seconds=at), before=before)


def test_a_cell_off_air_is_a_fault_once_it_had_its_time_to_settle() -> None:
    dark = cell_health("INACTIVE", 0)
    assert (dark.cells, dark.off_air) == ({"1": "down"}, {CELL: AT})
    for at, raised in ((0, 0), (30, 0), (59, 0), (60, 1), (90, 1)):
        now = cell_health("INACTIVE", at, dark)
        assert now.off_air == {CELL: AT}, "since it was first seen so"
        assert len(reports_of(dark, now, (), 60)) == raised
        assert reports_of(None, now, (), 60) == ()
    (made,) = reports_of(dark, cell_health("INACTIVE", 60, dark), (), 60)
    assert (made.object, made.object_class, made.probable_cause, made.severity) == (
        CELL,
        "cell",
        CELL_OFF_AIR,
        "CRITICAL",
    )
    well = cell_health("ACTIVE", 90, now)
    assert well.off_air == {}
    assert said(reports_of(now, well, [(CELL, CELL_OFF_AIR)], 60)) == [(CELL, CELL_OFF_AIR, "CLEARED")]
    assert cell_health("INACTIVE", 120, well).off_air == {CELL: AT + timedelta(seconds=120)}


def test_a_cell_that_is_locked_or_has_nothing_to_broadcast_is_off_air_and_no_fault() -> None:
    for made in (cell_health("IDLE", 0, locked=True), cell_health("INACTIVE", 0, plmn=False)):
        assert (made.cells, made.off_air) == ({"1": "down"}, {})
        assert said(reports_of(made, made, [(CELL, CELL_OFF_AIR)])) == [(CELL, CELL_OFF_AIR, "CLEARED")]


def test_a_cell_whose_state_is_not_reported_raises_and_clears_nothing() -> None:
    unknown = cell_health(None, 0)
    assert (unknown.cells, unknown.off_air) == ({"1": "unknown"}, {})
    assert reports_of(unknown, unknown, [(CELL, CELL_OFF_AIR)]) == ()
    dark = cell_health("INACTIVE", 0)
    gone = unread("A", {CELL: entry(CELL, "host")}, dark, AT + timedelta(seconds=90), "unreachable")
    assert reports_of(gone, gone, [(CELL, CELL_OFF_AIR), (STATION, UNREACHABLE)]) == ()
    assert gone.off_air == dark.off_air, "a blackout ends none"


def test_what_is_not_reported_any_more_is_not_well_again() -> None:
    now = seen(up=None)
    assert reports_of(seen(up=False), now, [(LINK, CORE_LINK_DOWN)]) == ()
    assert said(reports_of(now, seen(), [(LINK, CORE_LINK_DOWN)])) == [(LINK, CORE_LINK_DOWN, "CLEARED")]


def test_cells_and_links_of_a_station_that_cannot_be_read_are_there_and_unknown() -> None:
    ledger = {path: entry(path, "claro") for path in (CELL, LINK)}
    tree = {CELL: {}, OTHER: {"administrativeState": "UNLOCKED"}, LINK: {"administrativeState": "LOCKED"}}
    state = {OTHER: {"operationalState": "ENABLED", "cellState": "ACTIVE"}}
    before = health_of("A", Observed(tree, state), ledger, 2, AT)
    later = AT + timedelta(seconds=30)
    now = unread("A", ledger, before, later, "unreachable")
    assert (now.reachable, now.reason, now.at, now.read, now.drift) == (False, "unreachable", later, AT, 2)
    assert now.cells == {"1": "unknown", "2": "unknown"}
    assert now.locked == ("1",)
    known = LinkHealth(path=LINK, tenant="claro", kind="S1C", state=ServiceState.UNKNOWN, locked=True, since=AT)
    assert now.links == (known,), "a link that was down may still be"
    assert unread("A", ledger, now, later + timedelta(seconds=30), "unreachable").read == AT


def test_what_was_never_read_is_known_from_the_ledger() -> None:
    ledger = {path: entry(path, "claro") for path in (CELL, LINK)}
    now = unread("A", ledger, None, AT, "unreachable")
    assert (now.read, now.cells, [link.path for link in now.links]) == (None, {"1": "unknown"}, [LINK])


def test_a_locked_cell_that_is_not_ours_holds_nothing() -> None:
    assert health_of("A", Observed({CELL: {}}, {}, ()), {}, 0, AT).locked == ()


def test_a_locked_link_is_no_fault() -> None:
    tree = {LINK: {"administrativeState": "LOCKED"}}
    health = health_of(
        "A", Observed(tree, {LINK: {"operationalState": "DISABLED"}}, ()), {LINK: entry(LINK, "claro")}, 0, AT
    )
    assert (health.links[0].state, health.links[0].locked) == ("down", True)
    assert wrongs(health) == {}


@pytest.mark.parametrize(("owners", "tenant"), [(("claro",), "claro"), (("host",), ""), (("claro", "entel"), "")])
def test_a_node_of_several_tenants_concerns_none_in_particular(owners: tuple[str, ...], tenant: str) -> None:
    assert tenant_of(entry(LINK, *owners)) == tenant


@pytest.mark.parametrize("wrong", [{"up": False}, {"drift": 1}, {"reachable": False}])
def test_one_read_raises_nothing_and_two_do(wrong: dict[str, bool]) -> None:
    now = seen(**wrong)  # type: ignore[arg-type]
    assert reports_of(None, now, ()) == ()
    assert reports_of(seen(), now, ()) == ()
    assert len(reports_of(now, now, ())) == 1


def test_what_is_known_is_not_said_again() -> None:
    now = seen(up=False, drift=1)
    assert said(reports_of(now, now, [(LINK, CORE_LINK_DOWN)])) == [(STATION, CONFIGURATION_DRIFT, "WARNING")]


def test_what_is_well_again_is_cleared_at_once() -> None:
    standing = [(LINK, CORE_LINK_DOWN), (STATION, CONFIGURATION_DRIFT), (STATION, UNREACHABLE)]
    assert said(reports_of(None, seen(), standing)) == [(what, cause, "CLEARED") for what, cause in standing]


def test_a_link_that_is_no_longer_ours_is_cleared() -> None:
    gone = Health(station="A", at=AT, reachable=True)
    assert said(reports_of(seen(up=False), gone, [(LINK, CORE_LINK_DOWN)])) == [(LINK, CORE_LINK_DOWN, "CLEARED")]


def test_alarms_of_other_causes_are_left_to_their_sources() -> None:
    assert reports_of(seen(), seen(), [(STATION, "o-ran-fault-26"), ("cell/1", "cell-sleeping")]) == ()


def test_an_unreachable_station_says_nothing_of_links_and_drift() -> None:
    now = seen(reachable=False)
    standing = [(LINK, CORE_LINK_DOWN), (STATION, CONFIGURATION_DRIFT)]
    assert said(reports_of(seen(up=False, drift=2), now, standing)) == []
    assert said(reports_of(now, now, standing)) == [(STATION, UNREACHABLE, "MAJOR")]


@pytest.mark.parametrize("refusal", Refusal)
def test_a_station_that_calls_home_and_is_refused_is_unreachable_for_a_reason_with_its_code(refusal: Refusal) -> None:
    now = unread("A", {}, None, AT, "unreachable", refusal=refusal)
    (report,) = reports_of(now, now, [])
    begin, reason = report.text.split(": ")
    assert (report.probable_cause, begin) == (UNREACHABLE, "the station can't be reached")
    assert reason.endswith(f" ({refusal})")
    assert unread("A", {}, now, AT, "unreachable").refusal == "", "it did not call since"


def test_an_alarm_names_the_newest_lasting_reason_of_a_refusal() -> None:
    silent = unread("A", {}, None, AT, "unreachable")
    refused = unread("A", {}, None, AT, "unreachable", refusal=Refusal.OTHER_CERTIFICATE)
    (report,) = reports_of(silent, silent, [])
    folded_alarm, _ = folded(None, report, lambda: "a-1")
    alarm = folded_alarm.alarm
    assert alarm.text == "the station can't be reached"
    assert list(renewed(silent, refused, [alarm])) == [], "one check may meet a caller that is another one"
    (again,) = renewed(refused, refused, [alarm])
    told, _ = folded(folded_alarm, again, lambda: "a-2")
    assert told.alarm.text.endswith("it calls with another certificate than the network files pin (other-certificate)")
    assert list(renewed(refused, refused, [told.alarm])) == []


def test_a_changed_host_key_is_no_matter_of_the_way_there() -> None:
    now = seen(reachable=False, reason="host-key-changed")
    assert said(reports_of(now, now, [(STATION, UNREACHABLE)])) == [
        (STATION, "host-key-changed", "CRITICAL"),
        (STATION, UNREACHABLE, "CLEARED"),
    ]


def test_a_pinned_key_that_can_not_be_read_is_no_changed_one() -> None:
    now = seen(reachable=False, reason="host-key-unreadable")
    (report,) = reports_of(now, now, ())
    assert (report.probable_cause, report.severity) == (UNREACHABLE, "MAJOR")
    assert report.text.endswith("the network files pin a host key that can't be read, so nothing is sent to it")


def test_reports_carry_tenant_time_and_source() -> None:
    later = seen(up=False).model_copy(update={"at": AT + timedelta(seconds=2)})
    (report,) = reports_of(seen(up=False), later, ())
    assert report == AlarmReport(
        station="A",
        object=LINK,
        object_class=ObjectClass.CORE_LINK,
        tenant="claro",
        probable_cause=CORE_LINK_DOWN,
        severity=PerceivedSeverity.MAJOR,
        text="S1C link of claro is down",
        source="check",
        at=AT + timedelta(seconds=2),
        seen=AT,
    )


def test_a_link_that_is_down_names_the_tunnel_that_it_goes_through() -> None:
    now = seen(up=False)
    through = now.model_copy(
        update={"links": tuple(one.model_copy(update={"tunnel": "10.49.0.1"}) for one in now.links)}
    )
    (report,) = reports_of(through, through, ())
    assert report.text == "S1C link of claro is down; it goes through security gateway 10.49.0.1"


def test_a_list_full_of_what_is_over_is_a_matter_of_the_management() -> None:
    def crowded(number: int, severity: PerceivedSeverity = PerceivedSeverity.CLEARED) -> Health:
        one = AlarmRecord("a", "", "", "", "", severity, "")
        return health_of("A", Observed({}, records=(one,) * number), {}, 0, AT)

    full = crowded(201)
    assert said(reports_of(full, full, ())) == [("station", "alarm-list-crowded", "WARNING")]
    assert "alarm-list-crowded" in OF_MANAGEMENT
    for other in (crowded(200), crowded(1000, PerceivedSeverity.MINOR), health_of("A", Observed({}), {}, 0, AT)):
        assert said(reports_of(full, other, [("station", "alarm-list-crowded")])) == [
            ("station", "alarm-list-crowded", "CLEARED")
        ]


@pytest.mark.parametrize(
    ("given", "taken"),
    [(-1.0, None), (-0.75, 0.0), (0.0, 0.0), (0.5, 0.5), (30.0, 30.0), (30.25, None), (None, None)],
)
def test_a_time_of_a_station_counts_between_two_reads_and_may_be_cut_to_a_second(
    given: float | None, taken: float | None
) -> None:
    before = Health(station="A", at=AT, reachable=True, read=AT)
    times = [None if one is None else AT + timedelta(seconds=one) for one in (given, taken, 30.0)]
    assert times[2] is not None
    assert reported_between(before, times[0], times[2]) == times[1]
    assert reported_between(None, times[0], times[2]) is None


def test_the_alarm_of_a_link_that_vanished_ends_when_it_is_back_though_its_state_is_not_reported() -> None:
    path = "/ManagedElement[A]/ENBFunction[1]/EP_S1C[claro-mme]"
    ledger = {path: entry(path, "claro")}
    gone = health_of("A", Observed({}), ledger, 1, AT)
    (alarm,) = [wrong for wrong in wrongs(gone) if wrong[0] == path]
    assert gone.links[0].missing
    back = health_of("A", Observed({path: {}}), ledger, 0, AT + timedelta(seconds=9), before=gone)
    assert back.links[0].state is ServiceState.UNKNOWN
    over = [(one.object, one.severity) for one in reports_of(gone, back, [alarm], ended=returned(gone, back))]
    assert over == [(path, PerceivedSeverity.CLEARED)]
    assert not reports_of(back, back, [alarm]), "what else made it, nobody knows"


MAINS, BATTERY = (
    ExternalInput(input="di-1", cause="mains-lost"),
    ExternalInput(input="di-2", cause="on-battery", when="closed"),
)


def powered(inputs: dict[str, bool], *wired: ExternalInput, at: int = 0, before: Health | None = None) -> Health:
    when = AT + timedelta(seconds=at)
    return health_of("A", Observed({}, inputs=inputs), {}, 0, when, before=before, inputs=wired or (MAINS, BATTERY))


@pytest.mark.parametrize(
    ("inputs", "told"),
    [
        ({"di-1": False, "di-2": True}, {"mains-lost": "", "on-battery": ""}),
        (
            {"di-1": True, "di-2": True},
            {"mains-lost": "external input di-1 is open: the mains are lost", "on-battery": ""},
        ),
        (
            {"di-1": False, "di-2": False},
            {"mains-lost": "", "on-battery": "external input di-2 is closed: the site runs on its battery"},
        ),
        ({"di-2": True, "door": True}, {"on-battery": ""}),
        ({}, {}),
    ],
)
def test_external_inputs_tell_of_the_power_of_the_site(inputs: dict[str, bool], told: dict[str, str]) -> None:
    health = powered(inputs)
    assert health.supply == told
    assert {cause: fault.text for (_, cause), fault in wrongs(health).items()} == {
        cause: text for cause, text in told.items() if text
    }


def test_of_two_inputs_for_one_cause_each_is_believed() -> None:
    other = ExternalInput(input="di-9", cause="mains-lost")
    for inputs in ({"di-1": True, "di-9": False}, {"di-1": False, "di-9": True}, {"di-1": True}):
        assert powered(inputs, MAINS, other).supply["mains-lost"]
    assert powered({"di-1": False, "di-9": False}, MAINS, other).supply == {"mains-lost": ""}


def test_lost_mains_are_raised_by_two_reads_and_end_only_if_the_input_says_so() -> None:
    lost = powered({"di-1": True})
    (raised,) = reports_of(lost, powered({"di-1": True}, at=9), ())
    assert (raised.object, raised.object_class, raised.probable_cause) == (STATION, ObjectClass.STATION, "mains-lost")
    assert raised.severity is PerceivedSeverity.MAJOR
    known = [(STATION, "mains-lost")]
    assert reports_of(lost, powered({}, at=9), known) == (), "an input that is not told is unknown"
    assert reports_of(lost, powered({"di-1": True}, at=9), known) == ()
    assert said(reports_of(lost, powered({"di-1": False}, at=9), known)) == [(STATION, "mains-lost", "CLEARED")]
    silent = unread("A", {}, lost, AT, UNREACHABLE)
    assert ("station", "mains-lost", "CLEARED") not in said(reports_of(silent, silent, known))


def silent(*cells: str, name: str = "ru-1") -> UnitState:
    return UnitState(name=name, kind="radio-unit", cells=cells, silent=70)


def radio(
    *units: UnitState,
    states: tuple[str, str] = ("DISABLED", "DISABLED"),
    locked: str = "",
    faults: tuple[str, ...] = (),
) -> Health:
    """A station with two cells that should serve, unless one is locked."""
    tree: dict[str, dict[str, str]] = {}
    for path in (CELL, OTHER):
        tree[path] = {"administrativeState": "LOCKED" if path == locked else "UNLOCKED"}
        tree[f"{path}/plmnIdList[999,01]"] = {}
    state = {
        path: {"operationalState": told, "cellState": "ACTIVE" if told == "ENABLED" else "IDLE"}
        for path, told in zip((CELL, OTHER), states, strict=True)
    }
    alarms = tuple(ActiveAlarm(fault, "ru-1", PerceivedSeverity.CRITICAL, "") for fault in faults)
    ledger = {path: entry(path, "claro") for path in (CELL, OTHER)}
    return health_of("A", Observed(tree, state, alarms=alarms), ledger, 0, AT, units=units)


@pytest.mark.parametrize(
    ("health", "lost"),
    [
        (radio(silent("1", "2")), {"ru-1": ("1", "2")}),
        (radio(silent("1"), silent("2", name="ru-2")), {"ru-1": ("1",), "ru-2": ("2",)}),
        (radio(silent("1"), states=("DISABLED", "ENABLED")), {"ru-1": ("1",)}),
        (radio(silent("1", "2"), states=("DISABLED", "ENABLED")), {}),
        (radio(silent("1", "2"), locked=CELL), {"ru-1": ("1", "2")}),
        (radio(silent("1"), locked=CELL), {}),
        (radio(silent("3")), {}),
        (radio(silent()), {}),
        (radio(), {}),
        (radio(silent("1", "2"), faults=("29",)), {}),
        (radio(silent("1", "2", name="ru-2"), faults=("29", "30", "21")), {"ru-2": ("1", "2")}),
        (radio(silent("1", "2"), faults=("9", "x", "")), {"ru-1": ("1", "2")}),
    ],
)
def test_a_silent_radio_unit_is_lost_where_its_cells_are_off_air_and_its_fronthaul_is_well(
    health: Health, lost: dict[str, tuple[str, ...]]
) -> None:
    assert health.units == lost
    assert {what for what, cause in wrongs(health) if cause == RADIO_UNIT_LOST} == set(lost)


@pytest.mark.parametrize(("seconds", "is_lost"), [(None, False), (0, False), (69, False), (70, True)])
def test_a_radio_unit_is_lost_after_the_time_of_its_supervision(seconds: int | None, is_lost: bool) -> None:
    assert UnitState(name="ru-1", kind="radio-unit", silent=seconds).lost is is_lost
    assert not UnitState(name="bbu-1", kind="baseband", silent=seconds).lost


def test_a_lost_radio_unit_names_its_cells_and_ends_only_where_the_station_says_so() -> None:
    (raised,) = (
        one for one in reports_of(radio(silent("1")), radio(silent("1")), ()) if one.probable_cause == RADIO_UNIT_LOST
    )
    assert (raised.object, raised.object_class, raised.cells) == ("ru-1", ObjectClass.RADIO_UNIT, ("A/1",))
    known = [("ru-1", RADIO_UNIT_LOST)]
    untold = radio(silent("1")).model_copy(update={"units": {}, "unknown": (RADIO_UNIT_LOST,)})
    assert not [one for one in reports_of(radio(silent("1")), untold, known) if one.object == "ru-1"]
    back = radio(states=("ENABLED", "ENABLED"))
    assert ("ru-1", RADIO_UNIT_LOST, "CLEARED") in said(reports_of(radio(silent("1")), back, known))


def test_where_units_do_not_tell_while_a_cell_is_off_air_it_is_unknown_whether_one_is_lost() -> None:
    tree = {CELL: {"administrativeState": "UNLOCKED"}, f"{CELL}/plmnIdList[999,01]": {}}
    state = {CELL: {"operationalState": "DISABLED", "cellState": "IDLE"}}
    ledger = {CELL: entry(CELL, "claro")}
    assert health_of("A", Observed(tree, state), ledger, 0, AT, units=None).unknown == (RADIO_UNIT_LOST,)
    well = {CELL: {"operationalState": "ENABLED", "cellState": "ACTIVE"}}
    assert health_of("A", Observed(tree, well), ledger, 0, AT, units=None).unknown == ()


def _blinking(periods: Iterable[tuple[int, int]], whole: int) -> list[tuple[int, AlarmReport]]:
    """Reports of checks each 30 s of a cell that is off air in some times, in seconds."""
    off = {second for since, until in periods for second in range(since, until)}
    before: Health | None = None
    standing: set[tuple[str, str]] = set()
    found = []
    for at in range(0, whole, 30):
        now = cell_health("INACTIVE" if at in off else "ACTIVE", at, before)
        for one in reports_of(before, now, standing, 60):
            found.append((at, one))
            (standing.discard if one.severity is PerceivedSeverity.CLEARED else standing.add)(
                (one.object, one.probable_cause)
            )
        before = now
    return found


def test_people_are_told_of_a_cell_that_is_off_air_again_and_again_for_less_than_an_alarm_takes() -> None:
    """25 of each 90 seconds for a quarter of an hour: no two checks in a row see it off air."""
    found = _blinking([(n * 90 + 20, n * 90 + 45) for n in range(10)], 6000)
    assert {one.probable_cause for _, one in found} == {CELL_UNSTABLE}
    (first, raised), (last, cleared) = found
    assert (raised.object, raised.severity) == (CELL, PerceivedSeverity.MAJOR)
    assert cleared.severity is PerceivedSeverity.CLEARED
    assert first < 600
    assert 900 + 2000 < last < 900 + 3700, "once fewer than three are left of an hour"


def test_outages_that_checks_can_not_tell_apart_are_one_that_is_off_air() -> None:
    """55 of each 70 seconds: checks mostly meet the times in which it is off air."""
    found = _blinking([(n * 70 + 10, n * 70 + 65) for n in range(13)], 1500)
    assert found[0][1].probable_cause == CELL_OFF_AIR


@pytest.mark.parametrize(
    "periods",
    [
        [(100, 155), (1000, 1055)],
        [(100, 155), (2000, 2055), (4000, 4055), (6000, 6055)],
        [(100, 400), (1000, 1300), (2000, 2300)],
    ],
    ids=["twice", "not within an hour", "each long enough for its own alarm"],
)
def test_few_or_long_outages_of_a_cell_are_no_instability(periods: list[tuple[int, int]]) -> None:
    assert CELL_UNSTABLE not in {one.probable_cause for _, one in _blinking(periods, 9000)}


# ---------------------------------------------------------------- a station that diverged

_UP, _DOWN, _UNKNOWN = ServiceState.UP, ServiceState.DOWN, ServiceState.UNKNOWN


@pytest.mark.parametrize(
    ("cells", "gone", "severity", "said_again"),
    [
        ({"1": _UP, "2": _UP, "3": _DOWN}, (), MAJOR, None),
        ({"1": _UP, "2": _DOWN}, (), MAJOR, CRITICAL),
        ({"1": _UP, "2": _DOWN}, (), CRITICAL, None),
        ({"1": _UP}, ("2",), MAJOR, CRITICAL),
        ({"1": _UP, "2": _UP}, (), CRITICAL, MAJOR),
        # Unknown neither raises nor lowers it.
        ({"1": _UP, "2": _UNKNOWN}, (), CRITICAL, None),
        ({"1": _UP}, (), MAJOR, None),
        ({"1": _UNKNOWN, "2": _DOWN}, (), MAJOR, CRITICAL),
    ],
)
def test_a_station_that_diverged_is_as_grave_as_what_its_cells_miss(
    cells: dict[str, ServiceState],
    gone: tuple[str, ...],
    severity: PerceivedSeverity,
    said_again: PerceivedSeverity | None,
) -> None:
    alarm = Alarm(
        id="a-1",
        station="A",
        object="station",
        tenant="",
        probable_cause=DIVERGED,
        specific_problem="",
        severity=severity,
        text="run r-1: it may have touched A/1, A/2",
        source=AlarmSource.CHECK,
        state=AlarmState.ESCALATED,
        raised=AT,
        changed=AT,
        cells=("A/1", "A/2"),
        tenants=("claro",),
    )
    now = Health(station="A", at=AT, reachable=True, read=AT, cells=cells, gone=gone)
    reports = list(as_grave(now, [alarm]))
    assert [one.severity for one in reports] == ([] if said_again is None else [said_again])
    assert {(one.text, one.cells) for one in reports} <= {(alarm.text, alarm.cells)}
    assert list(as_grave(now.model_copy(update={"reachable": False}), [alarm])) == []


def test_a_cell_of_ours_that_is_not_there_any_more_is_gone() -> None:
    assert health_of("A", Observed({}), {CELL: entry(CELL, "host")}, 1, AT).gone == ("1",)
    assert seen().gone == ()


def test_a_cell_that_is_shutting_down_serves_until_it_is_locked() -> None:
    serving = {"operationalState": "ENABLED", "cellState": "ACTIVE"}
    for state, serves in (("SHUTTINGDOWN", ServiceState.UP), ("LOCKED", ServiceState.DOWN)):
        observed = Observed({CELL: {"administrativeState": state}}, {CELL: serving})
        health = health_of("A", observed, {CELL: entry(CELL, "host")}, 0, AT)
        assert (health.cells, health.locked, health.off_air) == ({"1": serves}, ("1",), {})
