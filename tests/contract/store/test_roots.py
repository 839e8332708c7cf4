"""What follows from what, on record: the same in whatever order alarms come, released when the root is over."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import permutations
from typing import Any

import pytest
from sqlalchemy import Row, event

from controller.models.alarm import Alarm, AlarmFilter, AlarmReport, AlarmState, ObjectClass, PerceivedSeverity
from controller.models.incident import gravest
from controller.models.network import Network, network_digest
from controller.ports.clock import VirtualClock
from controller.store import EVERYTHING, Page, Store
from controller.store.alarms.alarm_rows import as_alarm
from tests.support.records import START
from tests.unit.intent.backhaul_tree import network

MAJOR, CLEARED = PerceivedSeverity.MAJOR, PerceivedSeverity.CLEARED


def cut(severity: PerceivedSeverity = MAJOR, at: int = 1, node: str = "radio") -> AlarmReport:
    return _report("", node, "backhaul-down", ObjectClass.BACKHAUL, severity, at)


def mains(severity: PerceivedSeverity = MAJOR, at: int = 1, station: str = "S3") -> AlarmReport:
    return _report(station, "station", "mains-lost", ObjectClass.STATION, severity, at)


def dark(severity: PerceivedSeverity = MAJOR, at: int = 1, station: str = "S3") -> AlarmReport:
    return _report(station, "station", "station-unreachable", ObjectClass.STATION, severity, at)


def lost(severity: PerceivedSeverity = MAJOR, at: int = 1) -> AlarmReport:
    return _report("", "claro-mme-1", "core-node-down", ObjectClass.CORE_NODE, severity, at, "claro")


def link(station: str, severity: PerceivedSeverity = MAJOR, at: int = 1, tenant: str = "claro") -> AlarmReport:
    path = f"/ManagedElement[{station}]/ENBFunction[1]/EP_S1C[{tenant}-mme-1]"
    return _report(station, path, "core-link-down", ObjectClass.CORE_LINK, severity, at, tenant)


def _report(
    station: str, of: str, cause: str, kind: ObjectClass, severity: PerceivedSeverity, at: int, tenant: str = ""
) -> AlarmReport:
    return AlarmReport(
        station=station,
        object=of,
        object_class=kind,
        tenant=tenant,
        probable_cause=cause,
        severity=severity,
        source="check",
        at=START + timedelta(seconds=at),
    )


@pytest.fixture(autouse=True)
def _loaded(store: Store) -> None:
    store.networks.save(network(), network_digest(network()), "ana")


def roots(store: Store) -> dict[tuple[str, str, str], str]:
    """Cause of the root by station, cause and tenant of each alarm."""
    found = store.alarms.page(Page(limit=1000))[1]
    causes = {alarm.id: alarm.probable_cause for alarm in found} | {"": ""}
    return {(alarm.station, alarm.probable_cause, alarm.tenant): causes[alarm.root] for alarm in found}


def counted(store: Store, roots: list[str]) -> dict[str, int]:
    """How many standing alarms follow from each of these roots."""
    return {root: below.total() for root, below in store.alarms.symptoms(roots).items()}


@pytest.mark.parametrize("order", list(permutations(range(4)))[::5])
def test_the_same_alarms_have_the_same_roots_in_whatever_order_they_come(store: Store, order: tuple[int, ...]) -> None:
    reports = [cut(), mains(), dark(), link("S3")]
    for number in order:
        store.alarms.report(reports[number])
    assert roots(store) == {
        ("", "backhaul-down", ""): "",
        ("S3", "mains-lost", ""): "",
        ("S3", "station-unreachable", ""): "backhaul-down",
        ("S3", "core-link-down", "claro"): "backhaul-down",
    }


def test_alarms_are_listed_by_gravity_with_what_follows_from_them(store: Store) -> None:
    """The gravest first whatever came last, then the newest; what is over comes behind all that stands."""
    minor, critical = PerceivedSeverity.MINOR, PerceivedSeverity.CRITICAL
    over = _report("S1", "S1/1", "x", ObjectClass.CELL, critical, 1)
    reports = [
        _report("S1", "S1/2", "x", ObjectClass.CELL, critical, 2),
        *(mains(minor, 3, "S3"), link("S3", critical, 4)),  # the links follow from the mains: critical in all
        *(mains(minor, 5, "S4"), dark(minor, 6, "S4")),  # dark: critical in all, though none of its alarms is
        _report("S1", "S1/3", "x", ObjectClass.CELL, PerceivedSeverity.INDETERMINATE, 7),
        *(mains(minor, 8, "S5"), link("S5", MAJOR, 9)),
        *(_report("S6", f"S6/{number}", "x", ObjectClass.CELL, minor, 10 + number) for number in range(3)),
    ]
    store.alarms.report(over)
    store.alarms.report(over.model_copy(update={"severity": CLEARED, "at": START + timedelta(seconds=2)}))
    for report in reports:
        store.alarms.report(report)

    def listed(**like: Any) -> list[tuple[str, str]]:
        found = store.alarms.page(Page(), None, AlarmFilter(**like))[1]
        below = store.alarms.symptoms([one.id for one in found])
        of = {one.id: gravest([(one.probable_cause, one.severity), *below.get(one.id, ())]) for one in found}
        return [(one.object if one.probable_cause == "x" else one.station, of[one.id].value) for one in found]

    grave = [("S4", "CRITICAL"), ("S3", "CRITICAL"), ("S1/2", "CRITICAL")]
    less = [("S5", "MAJOR"), ("S6/2", "MINOR"), ("S6/1", "MINOR"), ("S6/0", "MINOR"), ("S1/3", "INDETERMINATE")]
    assert listed(standing=True, roots=True) == [*grave, *less]
    assert listed(roots=True)[:8] == [*grave, *less]
    assert [one for one, _ in listed(roots=True)[8:]] == ["S1/1"]
    # Pages follow each other without a gap, and a filter leaves the order as it is.
    pages = [store.alarms.page(Page(limit=3, offset=at), None, AlarmFilter(roots=True))[1] for at in (0, 3, 6)]
    assert [one for page in pages for one in page] == store.alarms.page(Page(), None, AlarmFilter(roots=True))[1]
    assert listed(stations=["S1"])[0] == ("S1/2", "CRITICAL")
    newest = store.alarms.page(Page(), newest=True)[1]
    assert [one.object for one in newest][:3] == ["S6/2", "S6/1", "S6/0"]
    assert newest[-1].object == "S1/1"


async def test_what_outlives_its_root_is_released_or_has_the_next(store: Store, clock: VirtualClock) -> None:
    store.alarms.report_all([cut(), mains(), dark(), dark(station="S4")])
    await clock.advance(60)
    store.alarms.report(cut(CLEARED, 2))
    assert roots(store)["S3", "station-unreachable", ""] == "mains-lost"
    assert roots(store)["S4", "station-unreachable", ""] == ""
    by_station = {one.station: one for one in store.alarms.standing() if one.probable_cause == "station-unreachable"}
    assert (by_station["S3"].released, by_station["S4"].released) == (None, clock.now())
    store.alarms.report(cut(at=3))
    assert roots(store)["S4", "station-unreachable", ""] == "backhaul-down"
    assert {one.released for one in store.alarms.standing()} == {None}


def test_a_lost_core_node_takes_its_tenants_links_everywhere_and_no_others(store: Store) -> None:
    stations = ("S1", "S3", "S6")
    store.alarms.report_all([link(station) for station in stations])
    store.alarms.report(link("S1", tenant="entel"))
    root = store.alarms.report(lost())
    assert counted(store, [root.id, "a-other"]) == {root.id: 3}
    assert {alarm.station for alarm in store.alarms.page(Page(), None, AlarmFilter(root=root.id))[1]} == set(stations)
    alone = store.alarms.page(Page(), None, AlarmFilter(roots=True))[1]
    assert {(alarm.probable_cause, alarm.tenant) for alarm in alone} == {
        ("core-node-down", "claro"),
        ("core-link-down", "entel"),
    }
    store.alarms.report(link("S1", CLEARED, 2))
    assert counted(store, [root.id]) == {root.id: 2}


def test_a_remote_end_takes_links_of_several_tenants_and_concerns_these(store: Store) -> None:
    of = network(gateway=True)
    content = of.model_dump(mode="json")
    content["agreements"] = [
        {"id": one, "tenant": one, "scope": {"everywhere": True}, "shares": [], "validity": {"start": "2024-01-01"}}
        for one in of.tenant_by_id
    ]
    of = Network.model_validate(content)
    store.networks.save(of, network_digest(of), "ana")
    path = "/ManagedElement[S1]/ENBFunction[1]/EP_S1C[claro-mme]"
    symptoms = [
        link("S1").model_copy(update={"object": path}),
        _report("", "entel-mme", "core-node-down", ObjectClass.CORE_NODE, MAJOR, 1, "entel"),
    ]
    other = link("S3", tenant="entel")  # to a node that is not in the network files
    remote = _report("", "10.8.0.1", "remote-end-down", ObjectClass.CORE_NODE, MAJOR, 1)
    *_, root = store.alarms.report_all([*symptoms, other, remote])
    assert root.tenants == ("claro", "entel")
    store.alarms.reassess([""])
    assert store.alarms.get(root.id).tenants == ("claro", "entel")
    assert counted(store, [root.id]) == {root.id: 2}
    assert root.id in {alarm.id for alarm in store.tenants.alarms("entel", Page())[1]}


def test_each_decision_is_on_the_trail_with_its_root_and_is_a_change_of_the_alarm(store: Store) -> None:
    symptom = store.alarms.report(dark())
    assert symptom.root == ""
    head, _ = store.alarms.changes(None)
    root = store.alarms.report(cut())
    again, changed = store.alarms.changes(head)
    assert set(changed) == {symptom.id, root.id}
    store.alarms.report(cut(CLEARED, 2))
    assert symptom.id in store.alarms.changes(again)[1]
    _, rows = store.audit.page(Page(limit=100), EVERYTHING)
    assert [(row.object, row.detail) for row in rows if row.action == "alarm.follows"] == [
        (symptom.id, {"before": root.id}),
        (symptom.id, {"root": root.id, "cause": "backhaul-down"}),
    ]


def test_a_root_in_the_same_batch_as_its_symptoms_is_answered_with_them(store: Store) -> None:
    symptom, root = store.alarms.report_all([dark(), cut()])
    assert symptom.root == root.id
    assert store.alarms.get(symptom.id) == symptom


def test_an_alarm_that_a_person_or_rule_ends_releases_what_follows_from_it(store: Store) -> None:
    root, symptom = store.alarms.report(mains()), store.alarms.report(dark())
    assert store.alarms.get(symptom.id).root == root.id
    assert store.alarms.move(store.alarms.get(root.id), AlarmState.CLEARED, actor="remediation", note="expired")
    assert store.alarms.get(symptom.id).root == ""


def test_a_new_alarm_costs_as_many_statements_beside_a_thousand_others(store: Store) -> None:
    statements: list[str] = []
    event.listen(store.database.engine, "before_cursor_execute", lambda *given: statements.append(given[2]))

    def cost(report: AlarmReport) -> int:
        statements.clear()
        store.alarms.report(report)
        return len(statements)

    alone = cost(link("S1", tenant="t0"))
    store.alarms.report_all([link("S1", tenant=f"many{number}") for number in range(1000)])
    assert cost(link("S1", tenant="t1")) == alone


def test_roots_and_symptoms_that_come_and_go_at_once_wait_for_each_other_and_end_right(store: Store) -> None:
    stations = ("S1", "S2", "S3", "S4", "S5", "S6")

    def come_and_go(number: int) -> None:
        for turn in range(8):
            severity, at = (MAJOR, CLEARED)[turn % 2], 10 * turn + number
            if number == 0:
                store.alarms.report(lost(severity, at))
            else:  # some in one order, some in the other
                mixed = stations if number % 2 else stations[::-1]
                store.alarms.report_all([link(station, severity, at, tenant="claro") for station in mixed])

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(come_and_go, range(4)))
    root = store.alarms.report(lost(at=1000))
    store.alarms.report_all([link(station, at=1000) for station in stations])
    assert counted(store, [root.id]) == {root.id: len(stations)}


def test_a_flood_of_roots_is_correlated_at_a_cost_in_proportion_to_it(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None of these follows from another, so none is read or compared for another's sake."""
    read: list[str] = []

    def counted(row: Row[Any]) -> Alarm:
        read.append(row.id)
        return as_alarm(row)

    monkeypatch.setattr("controller.store.alarms.correlation.as_alarm", counted)

    def cost(number: int) -> int:
        read.clear()
        given = [mains(station=f"S{one % 6 + 1}") for one in range(number)]
        store.alarms.report_all([one.model_copy(update={"object": f"ru-{i}"}) for i, one in enumerate(given)])
        pieces = 1
        while store.alarms.correlate_more():
            pieces += 1
        assert pieces >= number // 25
        return len(read)

    assert cost(300) <= 3 * 300
    assert cost(600) <= 3 * 600


def test_what_many_follow_from_is_placed_in_parts_with_the_same_outcome(
    store: Store, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reports that come meanwhile wait for one part at most; what is not placed yet is known."""
    monkeypatch.setattr("controller.store.alarms.correlation._PIECE", 2)
    symptoms = [store.alarms.report(link(station)) for station in ("S1", "S3", "S6")]
    alone = store.alarms.report(link("S1", tenant="entel"))
    root = store.alarms.report(lost())
    assert counted(store, [root.id]) == {}
    assert [store.alarms.is_correlated(one.id) for one in (*symptoms, alone)] == [False] * 3 + [True]
    unknown = {store.alarms.get(one.id).incident for one in (root, *symptoms)}
    assert store.incidents.correlating() == unknown
    assert store.alarms.get(alone.id).incident not in unknown
    late = store.alarms.report(link("S4"))
    assert late.root == root.id
    assert store.alarms.correlate_more()
    assert counted(store, [root.id]) == {root.id: 2}
    while store.alarms.correlate_more():
        pass
    assert all(store.alarms.is_correlated(one.id) for one in symptoms)
    assert store.incidents.correlating() == frozenset()
    assert counted(store, [root.id]) == {root.id: 4}
    (incident,) = {one.incident for one in store.alarms.standing() if one.tenant == "claro"}
    assert incident != store.alarms.get(alone.id).incident
    store.alarms.report(link("S1", CLEARED, 2))
    store.alarms.report(lost(CLEARED, 3))
    while store.alarms.correlate_more():
        pass
    assert counted(store, [root.id]) == {}
    assert {one.released for one in store.alarms.standing()} == {None, clock.now()}
    assert store.audit.verify() is None
