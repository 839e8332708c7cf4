"""Incidents on record: with their alarms in one transaction, told with cells, tenants and people, and on the trail."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from itertools import permutations
from typing import Any

import pytest
from sqlalchemy import event, text

from controller.intent.incidents import QUIET, SETTLES
from controller.intent.times import seconds
from controller.models.alarm import Alarm, AlarmReport, AlarmSource, AlarmState, ObjectClass, PerceivedSeverity
from controller.models.approval import PartyWindows, RunConstraints, StationConstraints
from controller.models.cloud import Function
from controller.models.errors import NotFoundError
from controller.models.health import Health, ServiceState
from controller.models.incident import Incident, IncidentFilter, IncidentState
from controller.models.network import network_digest
from controller.models.plan import LedgerNode
from controller.models.run import JournalStep, Outcome, RunState, Strategy
from controller.models.sharing import MaintenanceWindow
from controller.models.step import RunPlaybook, StepRecord, StepState
from controller.ports.clock import VirtualClock
from controller.store import JobResult, NewJob, Page, Store, Transition
from controller.store.network.ledger import LedgerChange, change_ledger
from tests.contract.store.test_roots import CLEARED, MAJOR, cut, dark, link, lost, mains
from tests.support.launch import prepared
from tests.support.observed import observe
from tests.support.records import make_entry, make_plan
from tests.unit.intent import test_interruptions as interruptions
from tests.unit.intent.backhaul_tree import network
from tests.unit.intent.test_interruptions import switch
from tests.unit.intent.test_lost_service import behind_a_hill
from tests.unit.intent.test_outages import network as outage_network
from tests.unit.plan.samples import LTE_CELL

SITES = tuple(site.model_copy(update={"population": 100}) for site in network().sites)
NETWORK = network().model_copy(update={"sites": SITES})


@pytest.fixture(autouse=True)
def _loaded(store: Store, clock: VirtualClock) -> None:
    """All devices are looked at all the time, and carry what was agreed."""
    store.networks.save(NETWORK, network_digest(NETWORK), "ana")
    devices = ("S1", "S2", "S3", "S4", "CU-1", "DU-1")
    observe(store, devices, clock.now() - timedelta(days=1), clock.now() + timedelta(days=9), NETWORK, outage_network())


def open_(store: Store) -> dict[str, set[tuple[str, str]]]:
    """What stands by cause of the root of its incident."""
    found = {
        one.probable_cause: {
            (alarm.station, alarm.probable_cause)
            for alarm in store.incidents.alarms(one.id)
            if alarm.cleared is None and alarm.incident == one.id
        }
        for one in store.incidents.open()
    }
    assert {one.id for one in store.incidents.open()} == {alarm.incident for alarm in store.alarms.standing()}
    return found


def test_an_incident_chatters_from_the_tenth_return_until_people_know(store: Store) -> None:
    known = []
    for returns in range(12):
        alarm = store.alarms.report(mains(at=2 * returns + 1))
        ids = {alarm.incident, "i-nowhere"}
        assert store.incidents.get(alarm.incident).flaps == returns
        known.append(bool(store.incidents.chattering(ids)))
        if returns == 11:
            assert store.alarms.escalate(alarm, "it chatters", actor="remediation")
            assert store.incidents.chattering(ids) == []
        store.alarms.report(mains(CLEARED, at=2 * returns + 2))
    assert known == [False] * 10 + [True] * 2
    assert store.incidents.chattering([]) == []


def test_a_cell_that_fails_while_its_station_serves_on_its_battery_is_an_incident_of_its_own(
    store: Store, clock: VirtualClock
) -> None:
    store.alarms.report(mains())

    def fails(name: str) -> str:
        path = f"/ManagedElement[S3]/ENBFunction[1]/EUtranCellFDD[{name}]"
        off = AlarmReport(
            station="S3",
            object=path,
            object_class=ObjectClass.CELL,
            probable_cause="cell-off-air",
            severity=MAJOR,
            source="check",
            at=clock.now(),
        )
        return store.alarms.report(off).id

    def checked(**cells: ServiceState) -> None:
        store.healths.save([Health(station="S3", at=clock.now(), reachable=True, read=clock.now(), cells=cells)])

    clock.pause(600)
    checked(one=ServiceState.UP, two=ServiceState.DOWN)
    by_itself = fails("two")
    assert store.alarms.get(by_itself).root == ""
    assert set(open_(store)) == {"mains-lost", "cell-off-air"}
    # Somebody else tells of a fault, before a check says whether the station serves.
    clock.pause(600)
    told = fails("three")
    supply = store.alarms.get(told).root
    assert store.alarms.get(supply).probable_cause == "mains-lost"
    clock.pause(30)
    checked(one=ServiceState.UP, two=ServiceState.DOWN, three=ServiceState.DOWN)
    store.alarms.reassess(["S3"])
    assert store.alarms.get(told).root == ""
    # The battery is empty.
    clock.pause(600)
    checked(one=ServiceState.DOWN, two=ServiceState.DOWN, three=ServiceState.DOWN)
    last = fails("one")
    store.alarms.reassess(["S3"])
    store.alarms.correlate()
    assert [store.alarms.get(one).root for one in (by_itself, told, last)] == ["", "", supply]
    assert open_(store)["mains-lost"] == {("S3", "mains-lost"), ("S3", "cell-off-air")}


async def test_a_core_link_that_fails_on_battery_is_an_incident_of_its_own_and_its_minutes_are_owed(
    store: Store, clock: VirtualClock
) -> None:
    shared = outage_network(outside_causes=["mains-lost"])
    store.networks.save(shared, network_digest(shared), "ana")
    store.alarms.report(mains(station="S1"))

    def checked(**state: Any) -> None:
        health: dict[str, Any] = {"station": "S1", "at": clock.now(), "read": clock.now(), "reachable": True} | state
        store.healths.save([Health(**health)])
        store.alarms.reassess(["S1"])

    await clock.advance(600)
    down = _off_air(MAJOR, 0).model_copy(update={"at": clock.now()})
    path = "/ManagedElement[S1]/ENBFunction[1]/EP_S1C[alfa-mme]"
    of_link: dict[str, Any] = {"object": path, "object_class": ObjectClass.CORE_LINK, "tenant": "alfa"}
    checked(cells={"S1/1": ServiceState.UP})
    failed = store.alarms.report(down.model_copy(update=of_link | {"probable_cause": "core-link-down"}))
    own = store.alarms.get(failed.id)
    assert own.root == ""
    assert set(open_(store)) == {"mains-lost", "core-link-down"}
    await clock.advance(600)
    (alfa,) = store.incidents.minutes(own.incident)
    assert (alfa.lost > 0, alfa.outside) == (True, 0)
    # The battery is empty: what fails from now on follows from the mains.
    checked(reachable=False)
    told = {"object": "station", "object_class": ObjectClass.STATION, "probable_cause": "all-core-links-down"}
    dark = store.alarms.report(down.model_copy(update=told | {"at": clock.now()}))
    supply = store.alarms.get(dark.id).root
    assert store.alarms.get(supply).probable_cause == "mains-lost"
    assert store.alarms.get(failed.id).incident == own.incident


@pytest.mark.parametrize("core", [False, True])
async def test_a_core_link_of_which_another_source_tells_first_is_put_down_to_its_own_cause_from_its_beginning(
    store: Store, clock: VirtualClock, core: bool
) -> None:
    """A station may notify of it before a check has seen that it is still fed on its battery."""
    shared = outage_network(outside_causes=["mains-lost"])
    store.networks.save(shared, network_digest(shared), "ana")
    store.alarms.report(mains(station="S1"))

    def checked(**state: Any) -> None:
        health: dict[str, Any] = {"station": "S1", "at": clock.now(), "read": clock.now(), "reachable": True} | state
        store.healths.save([Health(**health)])
        store.alarms.reassess(["S1"])

    checked(cells={"S1/1": ServiceState.UP})
    await clock.advance(600)
    path = "/ManagedElement[S1]/ENBFunction[1]/EP_S1C[alfa-mme]"
    down = AlarmReport(
        station="S1",
        object=path,
        object_class=ObjectClass.CORE_LINK,
        tenant="alfa",
        probable_cause="core-link-down",
        severity=MAJOR,
        source=AlarmSource.ORAN_FM,
        at=clock.now(),
    )
    failed = store.alarms.report(down)
    supply = store.alarms.get(failed.id).incident
    assert store.incidents.get(supply).probable_cause == "mains-lost", "nobody has seen yet that the station is fed"
    if core:
        await clock.advance(30)
        lost = {"station": "", "object": "alfa-mme", "object_class": ObjectClass.CORE_NODE, "at": clock.now()}
        store.alarms.report(down.model_copy(update=lost | {"probable_cause": "core-node-down"}))
    await clock.advance(270)
    checked(cells={"S1/1": ServiceState.UP})
    now = store.alarms.get(failed.id)
    own = store.incidents.get(now.incident)
    assert own.id != supply
    assert own.probable_cause == ("core-node-down" if core else "core-link-down")
    await clock.advance(300)
    (alfa,) = [one for one in store.incidents.minutes(own.id) if one.tenant == "alfa"]
    counted = alfa.own_core if core else alfa.lost
    assert (counted, alfa.outside) == (10 if core else 9.5, 0), "from its beginning, and not from the check on"
    of_supply = [one for one in store.incidents.minutes(supply) if one.tenant == "alfa"]
    assert [one.lost + one.outside + one.own_core for one in of_supply] in ([], [0]), "no minute counts twice"
    rows = [row for row in store.incidents.timeline(own.id) if row.action == "incident.split"]
    assert core or "still fed" in rows[0].detail["why"]


@pytest.mark.parametrize("order", list(permutations(range(4)))[::5])
def test_the_same_alarms_have_the_same_incidents_in_whatever_order_they_come(
    store: Store, order: tuple[int, ...]
) -> None:
    reports = [cut(), mains(), dark(), link("S3")]
    for number in order:
        store.alarms.report(reports[number])
    assert open_(store) == {
        "backhaul-down": {("", "backhaul-down"), ("S3", "station-unreachable"), ("S3", "core-link-down")},
        "mains-lost": {("S3", "mains-lost")},
    }


def test_an_incident_says_of_which_cells_nobody_knows_whether_they_serve_on_a_battery(store: Store) -> None:
    shared = outage_network()
    store.networks.save(shared, network_digest(shared), "ana")
    store.alarms.report(mains(station="S1"))
    (incident,) = store.incidents.open()
    assert incident.silent == ()
    store.alarms.report(dark(station="S1"))
    (incident,) = store.incidents.open()
    assert incident.losing == {}
    assert incident.silent == incident.cells != ()
    store.alarms.report(dark(CLEARED, station="S1"))
    assert [one.silent for one in store.incidents.open()] == [()]


def test_an_incident_says_what_failed_who_suffers_and_how_many_people(store: Store) -> None:
    store.alarms.report_all([cut(), dark(), dark(station="S4")])
    (one,) = store.incidents.open()
    assert one == store.incidents.get(one.id)
    assert (one.object, one.probable_cause, one.standing) == ("radio", "backhaul-down", 3)
    assert one.cells == ("S3/1", "S4/1", "S5/1")
    assert one.people == 200, "S4 and S5 share a site"
    assert store.incidents.page(Page(), IncidentFilter(stations=("S4",)))[0] == 1
    assert store.incidents.page(Page(), IncidentFilter(stations=("S1",)))[0] == 0
    store.alarms.report_all([cut(CLEARED, 2), dark(CLEARED, 2), dark(CLEARED, 2, "S4")])
    over = store.incidents.get(one.id)
    assert (over.state, over.standing, over.cells, over.people) == (IncidentState.CLOSED, 0, one.cells, 200)
    assert store.incidents.open() == []


async def test_what_outlives_its_root_splits_off_once_it_has_settled(store: Store, clock: VirtualClock) -> None:
    store.alarms.report_all([cut(), dark(), link("S3")])
    store.alarms.report(cut(CLEARED, 2))
    await clock.advance(SETTLES.total_seconds() - 1)
    assert store.incidents.unsettled() == []
    store.incidents.settle()
    assert open_(store).keys() == {"backhaul-down"}
    await clock.advance(1)
    assert len(store.incidents.unsettled()) == 2
    store.incidents.settle()
    assert store.incidents.unsettled() == []
    assert open_(store) == {
        "station-unreachable": {("S3", "station-unreachable")},
        "core-link-down": {("S3", "core-link-down")},
    }


async def test_a_fault_that_comes_again_soon_is_the_same_incident_and_later_another(
    store: Store, clock: VirtualClock
) -> None:
    for turn in range(3):
        store.alarms.report_all([link("S1", at=10 * turn), link("S1", CLEARED, 10 * turn + 5)])
        store.alarms.report(link("S1", at=10 * turn + 6))
        store.alarms.report(link("S1", CLEARED, 10 * turn + 7))
    total, (one,) = store.incidents.page(Page())
    assert (total, one.flaps, one.flapping) == (1, 2, True)
    await clock.advance(QUIET.total_seconds() + 1)
    store.alarms.report(link("S1", at=700))
    assert store.incidents.page(Page())[0] == 2


def test_each_decision_is_on_the_timeline_with_its_why(store: Store) -> None:
    symptom = store.alarms.report(dark())
    own = symptom.incident
    root = store.alarms.report(cut())
    store.alarms.report(link("S3"))
    store.comments.add(root.incident, "ana", "host", "the digger is there")
    told = [(row.action, row.detail.get("why", "")) for row in store.incidents.timeline(root.incident)]
    assert [one for one in told if one[0].startswith("incident.")] == [
        ("incident.opened", "no alarm that stands explains it"),
        ("incident.opened", "no alarm that stands explains it"),
        ("incident.merged", "station-unreachable follows from backhaul-down of radio"),
        ("incident.grew", f"core-link-down follows from {root.id}"),
    ]
    assert {"alarm.raised", "alarm.follows", "comment.added"} < {action for action, _ in told}
    merged = store.incidents.get(own)
    assert (merged.state, merged.merged_into) == (IncidentState.MERGED, root.incident)
    assert [one.id for one in store.incidents.page(Page())[1]] == [root.incident]
    assert store.alarms.get(symptom.id).incident == root.incident


def test_what_stood_before_a_root_keeps_its_incident_and_both_say_so_once(store: Store) -> None:
    early = store.alarms.report(dark())
    alone = store.alarms.report(dark(station="S6"))
    late, root = store.alarms.report_all([dark(at=700, station="S4"), cut(at=701)])
    store.alarms.report(dark(at=702, station="S5"))
    store.alarms.correlate()
    assert (early.incident, late.incident == root.incident) == (store.alarms.get(early.id).incident, True)
    assert store.alarms.get(early.id).root == ""
    assert [one.standing for one in store.incidents.open()] == [1, 1, 3]
    why = "station-unreachable of S3 stood 12 min before backhaul-down of radio began: it has a cause of its own"
    for one, other in ((early.incident, root.incident), (root.incident, early.incident)):
        said = [row.detail for row in store.incidents.timeline(one) if row.action == "incident.kept-apart"]
        assert [(row["beside"], row["why"]) for row in said] == [(other, why)]
    assert not [row for row in store.incidents.timeline(alone.incident) if row.action == "incident.kept-apart"]


def test_a_row_of_the_trail_that_nobody_can_read_stops_neither_correlation_nor_the_timeline(store: Store) -> None:
    early = store.alarms.report(dark())
    store.audit.append("eve", "incident.kept-apart", early.incident)
    with store.database.engine.begin() as connection:
        connection.execute(text("UPDATE audit SET detail = '[' WHERE actor = 'eve'"))
    _, root = store.alarms.report_all([dark(at=700, station="S4"), cut(at=701)])
    store.alarms.correlate()
    told = store.incidents.timeline(early.incident)
    assert len([row for row in told if row.at is None]) == 1
    assert [row.detail["beside"] for row in told if row.action == "incident.kept-apart"] == [root.incident]


def test_a_row_that_somebody_changed_says_of_no_incident_that_it_is_kept_apart(store: Store) -> None:
    early = store.alarms.report(dark())
    store.alarms.report_all([dark(at=700, station="S4"), cut(at=701)])
    store.alarms.correlate()
    with store.database.engine.begin() as connection:
        connection.execute(text("UPDATE audit SET actor = 'eve' WHERE action = 'incident.kept-apart'"))
    store.alarms.report(dark(at=702, station="S5"))
    store.alarms.correlate()
    told = [row.actor for row in store.incidents.timeline(early.incident) if row.action == "incident.kept-apart"]
    assert told == ["eve", "correlation"]


def test_people_acknowledge_take_and_hand_back(store: Store) -> None:
    incident = store.alarms.report(lost()).incident
    store.incidents.acknowledge(incident, "ana")
    assert store.incidents.acknowledge(incident, "ben").acknowledged_by == "ana"
    assert store.incidents.take(incident, "ana").owner == "ana"
    assert store.incidents.take(incident, "ben").owner == "ben"
    assert store.incidents.page(Page(), IncidentFilter(owner="ben"))[0] == 1
    assert store.incidents.hand_back(incident, "ben").owner == ""
    acts = [(row.actor, row.action) for row in store.incidents.timeline(incident)][2:]
    assert acts == [
        ("ana", "incident.acknowledged"),
        ("ana", "incident.taken"),
        ("ben", "incident.taken"),
        ("ben", "incident.handed-back"),
    ]
    # What alarms do meanwhile undoes nothing of this.
    store.alarms.report(link("S1"))
    assert store.incidents.get(incident).acknowledged_by == "ana"


@pytest.mark.parametrize(
    "ask",
    [
        lambda store: store.incidents.get("i-none"),
        lambda store: store.incidents.alarms("i-none"),
        lambda store: store.incidents.timeline("i-none"),
        lambda store: store.incidents.take("i-none", "ana"),
    ],
)
def test_an_unknown_incident_is_not_found(store: Store, ask: Callable[[Store], object]) -> None:
    with pytest.raises(NotFoundError, match="there is no incident i-none"):
        ask(store)


def test_an_alarm_that_a_person_or_rule_ends_closes_its_incident(store: Store) -> None:
    alarm = store.alarms.report(mains())
    store.alarms.move(store.alarms.get(alarm.id), AlarmState.CLEARED, actor="remediation", note="expired")
    assert store.incidents.get(alarm.incident).state is IncidentState.CLOSED


def test_an_alarm_without_any_network_has_an_incident(store: Store) -> None:
    report = mains(station="gone").model_copy(update={"probable_cause": "too-many-repairs"})
    assert store.incidents.get(store.alarms.report(report).incident).people == 0


def test_a_new_alarm_costs_as_many_statements_beside_a_thousand_others_of_its_incident(store: Store) -> None:
    statements: list[str] = []
    event.listen(store.database.engine, "before_cursor_execute", lambda *given: statements.append(given[2]))

    def cost(report: AlarmReport) -> int:
        statements.clear()
        store.alarms.report(report)
        return len(statements)

    def many(number: int) -> AlarmReport:
        return link("S3").model_copy(update={"specific_problem": f"p{number}", "at": link("S3").at})

    store.alarms.report(cut())
    alone = cost(many(0))
    store.alarms.report_all([many(number) for number in range(1, 1001)])
    assert cost(many(1001)) == alone
    (one,) = store.incidents.open()
    assert one.standing == 1003
    assert len(store.incidents.timeline(one.id)) < 400


def test_severity_is_the_worst_of_what_stands(store: Store) -> None:
    def worst() -> Incident:
        return store.incidents.open()[0]

    store.alarms.report(cut(PerceivedSeverity.MINOR))
    assert worst().severity is PerceivedSeverity.MINOR
    store.alarms.report(dark(PerceivedSeverity.CRITICAL))
    assert worst().severity is PerceivedSeverity.CRITICAL
    store.alarms.report(dark(CLEARED, 2))
    assert worst().severity is PerceivedSeverity.MINOR


# ---------------------------------------------------------------------------------------------------------- minutes

MME = "/ManagedElement[S1]/ENBFunction[1]/EP_S1C[alfa-mme]"


def _load_shared(store: Store) -> None:
    """Alfa and beta share two stations with two cells each, and 100 people live at each."""
    shared = outage_network(availability_percent=99.9)
    store.networks.save(shared, network_digest(shared), "ana")


def _off_air(severity: PerceivedSeverity, minute: int) -> AlarmReport:
    of = {"object": "S1/L1", "object_class": ObjectClass.CELL, "probable_cause": "cell-off-air"}
    return mains(severity, 60 * minute, "S1").model_copy(update=of)


async def test_minutes_are_counted_by_tenant_and_against_its_agreement(store: Store, clock: VirtualClock) -> None:
    _load_shared(store)
    incident = store.alarms.report(_off_air(MAJOR, 0)).incident
    await clock.advance(600)
    alfa, beta = store.incidents.minutes(incident)
    assert (alfa.tenant, alfa.lost, alfa.people, beta.lost) == ("alfa", 10, 500, 10)
    assert store.incidents.minutes(incident, "beta") == (beta,)
    assert store.incidents.agreements("beta") == ()
    store.incidents.count_agreements()
    (own,) = store.incidents.agreements("beta")
    assert (own.agreement, own.used, own.share) == ("beta-all", 10, round(10 / own.allowed, 4))
    (rank,) = store.incidents.ranks().values()
    assert rank == (
        1,
        f"100 people, 100 without service, 2 tenants, SLA of beta at {own.share:.0%}".replace("%", " %"),
    )
    assert rank.why == f"rank 1: {rank.because}"
    store.alarms.report(_off_air(CLEARED, 10))
    await clock.advance(600)
    assert store.incidents.minutes(incident) == (alfa, beta)
    assert store.incidents.ranks() == {}


async def test_a_link_costs_nothing_while_another_one_of_its_tenant_is_there_and_works(
    store: Store, clock: VirtualClock
) -> None:
    _load_shared(store)
    adopted = [LedgerNode(path=path, owners=(owner,)) for path, owner in ((MME, "alfa"), (f"{MME}x", "beta"))]
    store.devices.adopt("S1", adopted, "d", "ana")
    report = link("S1", tenant="alfa", at=0).model_copy(update={"object": MME})
    incident = store.alarms.report(report).incident

    async def lost(minutes: float) -> list[float]:
        await clock.advance(minutes * 60)
        return [one.lost for one in store.incidents.minutes(incident)]

    assert await lost(1) == [1]
    other = LedgerNode(path=MME.replace("mme", "mme-2"), owners=("alfa",))
    store.devices.adopt("S1", [other], "d", "ana")
    assert await lost(1) == [1], "what comes later was no other path"
    store.database.run(lambda tx: change_ledger(tx, [LedgerChange("S1", (), [other.path])]))
    assert await lost(1) == [2], "what is gone later was one"


async def test_a_link_takes_no_service_while_another_one_works_and_both_do_together(
    store: Store, clock: VirtualClock
) -> None:
    """Rank and losses, to the host and to the tenant, say what minutes say; also where it is two incidents."""
    _load_shared(store)
    other = MME.replace("mme", "mme-2")
    store.devices.adopt("S1", [LedgerNode(path=path, owners=("alfa",)) for path in (MME, other)], "d", "ana")

    def report(path: str, at: int, severity: PerceivedSeverity = MAJOR) -> str:
        down = link("S1", severity, tenant="alfa", at=at)
        return store.alarms.report(down.model_copy(update={"object": path})).incident

    def told(*incidents: str) -> list[dict[str, tuple[str, ...]]]:
        found = [store.incidents.get(one).losing for one in incidents]
        pages = {one.id: one.losing for one in store.incidents.page(Page())[1]}
        assert found == [pages[one] for one in incidents]
        own = store.incidents.losing(incidents, "alfa")
        assert [one.get("alfa") for one in found] == [own.get(one) for one in incidents]
        assert store.incidents.losing(incidents, "beta") == {}
        return [{tenant: loss.cells for tenant, loss in one.items()} for one in found]

    incident = report(MME, 0)
    await clock.advance(60)
    assert (told(incident), store.incidents.minutes(incident)) == ([{}], ())
    assert "without service" not in store.incidents.ranks()[incident].why
    assert report(other, 60) == incident
    await clock.advance(60)
    assert [one.lost for one in store.incidents.minutes(incident)] == [1]
    assert told(incident) == [{"alfa": ("S1/L1",)}]
    assert "100 people, 100 without service" in store.incidents.ranks()[incident].why
    (own,) = store.incidents.losing([incident], "alfa").values()
    assert own.since == store.incidents.get(incident).opened + timedelta(minutes=1)
    report(other, 120, CLEARED)
    assert told(incident) == [{}]
    core = store.alarms.report(lost(at=121).model_copy(update={"object": "alfa-mme-2", "tenant": "alfa"})).incident
    assert report(other, 122) == core != incident
    assert told(incident, core) == [{"alfa": ("S1/L1",)}] * 2


async def test_what_a_cut_takes_away_is_lost_to_the_host_and_to_its_tenants(store: Store, clock: VirtualClock) -> None:
    """A station that can't be reached is lost only while its way is known to be cut."""
    made = behind_a_hill()
    store.networks.save(made, network_digest(made), "ana")
    incident = store.alarms.report(dark(at=0, station="S1")).incident
    await clock.advance(60)
    assert store.incidents.get(incident).losing == {}
    assert "without service" not in store.incidents.ranks()[incident].why
    above = store.alarms.report_all([cut(at=60, node="hill")])[0].incident
    while store.alarms.correlate_more():
        pass
    await clock.advance(120)
    found = store.incidents.get(above)
    cells = tuple(sorted(cell.name for cell in made.cells_by_station["S1"]))
    assert {tenant: loss.cells for tenant, loss in found.losing.items()} == {"alfa": cells, "beta": cells}
    assert "100 people, 100 without service" in store.incidents.ranks()[above].why
    lost_by = {one.tenant: one.lost for one in store.incidents.minutes(above)}
    assert lost_by == {"alfa": 2 * len(cells), "beta": 2 * len(cells)}
    for tenant, loss in found.losing.items():
        assert store.incidents.losing([above], tenant) == {above: loss}
        assert [one.lost for one in store.incidents.minutes(above, tenant)] == [lost_by[tenant]]


@pytest.mark.parametrize(("again", "parts"), [((), (30, 0)), (("S2",), (0, 25))])
async def test_minutes_of_a_core_are_given_back_once_most_links_stay_down_when_it_works(
    store: Store, clock: VirtualClock, again: tuple[str, ...], parts: tuple[float, float]
) -> None:
    """Links at two stations are down for 10 minutes with their core, and one or both of them for 5 more."""
    _load_shared(store)

    def told(severity: PerceivedSeverity, core: tuple[str, ...], *stations: str) -> list[Alarm]:
        links = [
            link(one).model_copy(update={"object": MME.replace("[S1]", f"[{one}]"), "tenant": "alfa"})
            for one in stations
        ]
        ends = [lost().model_copy(update={"object": one, "tenant": "alfa"}) for one in core]
        at = {"severity": severity, "at": clock.now()}
        return store.alarms.report_all([one.model_copy(update=at) for one in (*links, *ends)])

    incident = told(MAJOR, ("alfa-mme",), "S1", "S2")[-1].incident
    await clock.advance(600)
    ((_, own_core),) = [(one.lost, one.own_core) for one in store.incidents.minutes(incident)]
    assert own_core == 20
    told(CLEARED, ("alfa-mme",), *again)
    await clock.advance(SETTLES.total_seconds())
    store.incidents.settle()
    store.incidents.settle()
    (alfa,) = store.incidents.minutes(incident)
    assert (alfa.lost, alfa.own_core) == parts
    noted = [row.detail for row in store.incidents.timeline(incident) if row.action == "incident.cleared-of-blame"]
    assert [row["links"] for row in noted] == ([] if again else ["2"])


async def test_what_a_tenant_lost_takes_as_many_statements_whatever_others_lose(
    store: Store, clock: VirtualClock
) -> None:
    _load_shared(store)
    statements: list[str] = []
    event.listen(store.database.engine, "before_cursor_execute", lambda *args: statements.append(args[2]))

    def lost() -> tuple[int, float]:
        store.incidents.count_agreements()
        statements.clear()
        (own,) = store.incidents.agreements("alfa")
        return len(statements), own.used

    nothing = lost()
    betas = link("S1", tenant="beta", at=0).model_copy(update={"object": MME.replace("alfa", "beta")})
    store.alarms.report(betas)
    await clock.advance(60)
    store.incidents.count_agreements()
    assert store.incidents.agreements("beta")[0].used == 1
    assert lost() == nothing
    store.alarms.report(_off_air(MAJOR, 1))
    await clock.advance(60)
    _, used = lost()
    assert used == 1


async def test_a_cell_that_is_locked_outside_of_windows_uses_up_what_its_agreement_allows(
    store: Store, clock: VirtualClock
) -> None:
    shared = outage_network(availability_percent=99.9)
    start, end = ((clock.now() + timedelta(hours=hours)).astimezone(shared.zone).time() for hours in (3, 4))
    windows = (MaintenanceWindow(start=start, end=end),)
    alfa, beta = shared.agreements
    shared = shared.model_copy(update={"agreements": (alfa.model_copy(update={"windows": windows}), beta)})
    store.networks.save(shared, network_digest(shared), "ana")

    async def look(*locked: str) -> list[float]:
        store.healths.save([Health(station="S1", at=clock.now(), reachable=True, locked=locked)])
        await clock.advance(600)
        store.incidents.count_agreements()
        return [store.incidents.agreements(tenant)[0].used for tenant in ("alfa", "beta")]

    assert await look() == [0, 0]
    assert await look("L1") == [10, 0]
    assert await look("L1", "N1") == [30, 0]
    assert await look() == [30, 0]


async def test_minutes_of_past_days_count_by_the_network_of_that_time(store: Store, clock: VirtualClock) -> None:
    _load_shared(store)
    whole = store.networks.get()[1]
    alone = whole.model_copy(update={"agreements": whole.agreements[:1]})
    renamed = alone.model_copy(update={"header": alone.header.model_copy(update={"name": "Another"})})
    incident = store.alarms.report(_off_air(MAJOR, 0)).incident
    for version in (alone, renamed, whole):
        await clock.advance(300)
        store.networks.save(version, network_digest(version), "ana")
        store.alarms.reassess(["S1"])
    await clock.advance(60)
    alfa, beta = store.incidents.minutes(incident)
    assert (alfa.lost, beta.lost) == (16, 6), "beta had no agreement from minute 5 to minute 15"
    assert store.incidents.minutes(incident, "beta") == (beta,)


async def test_what_has_a_root_outside_of_the_contract_is_not_owed(store: Store, clock: VirtualClock) -> None:
    shared = outage_network(outside_causes=["mains-lost"])
    store.networks.save(shared, network_digest(shared), "ana")
    store.alarms.report_all([mains(station="S1"), _off_air(MAJOR, 0)])
    await clock.advance(600)
    (incident,) = store.incidents.open()
    (alfa, _) = store.incidents.minutes(incident.id)
    assert (incident.probable_cause, alfa.lost, alfa.outside) == ("mains-lost", 0, 10)
    store.incidents.count_agreements()
    assert store.incidents.agreements("alfa")[0].used == 0


class Working:
    """A job that interrupts alfa on a device, begun by a worker."""

    def __init__(
        self,
        store: Store,
        clock: VirtualClock,
        device: str,
        cause: str = "person",
        windows: tuple[PartyWindows, ...] = (),
    ) -> None:
        self.store, self.clock = store, clock
        plan = make_plan([device], cause)
        store.plans.save(plan, "ana")
        bound = StationConstraints(region="r", timezone="UTC", tenants=("alfa",), interrupts=True, windows=windows)
        constraints = RunConstraints(subject="0" * 64, groups=(bound,), stations={device: ("site-1", 0)})
        jobs, playbook = [NewJob(0, device)], RunPlaybook(name="own", digest="d1", text="name: own\n")
        asked = prepared(plan, "own", Strategy(), jobs, cause=cause, constraints=constraints, playbook=playbook)
        self.run = store.runs.create(asked)
        store.runs.advance(self.run.id, lambda _run, _jobs: Transition(RunState.RUNNING, wave=0))
        (self.claim,) = store.claims.take(store.processes.register(f"w-{cause}"), 1)

    def step(self, position: int, **fields: Any) -> StepRecord:
        known: dict[str, Any] = {"job": self.claim.job.id, "position": position, "name": "one", "action": "own"}
        step = StepRecord(**known | {"state": StepState.STARTED, "started": self.clock.now()} | fields)
        self.store.steps.write(step, self.claim)
        return step

    def journal(self, seq: int, step: JournalStep, own: str = "") -> None:
        name = f"{self.claim.transaction}.{own}" if own else self.claim.transaction
        entry = make_entry(self.claim, seq, step).model_copy(update={"transaction": name, "at": self.clock.now()})
        self.store.journal.append(entry, self.claim)

    async def change(self, position: int, seconds: float, *states: str) -> None:
        """Switch cell L1 of S1 in a transaction."""
        step = self.step(position, change=interruptions.change(*(switch(LTE_CELL, state) for state in states)))
        self.journal(0, JournalStep.EDITING, step.transaction)
        await self.clock.advance(seconds)
        self.journal(1, JournalStep.FINISHED, step.transaction)
        done = {"state": StepState.DONE, "outcome": Outcome.SUCCEEDED}
        self.store.steps.write(step.model_copy(update=done), self.claim)

    def end(self) -> None:
        self.store.claims.finish(self.claim, JobResult(Outcome.SUCCEEDED))


def both_cells_off_air(store: Store) -> str:
    """Alarms about the cells of S1, in one incident."""
    shared = outage_network(availability_percent=99.9)
    made = [(one, {"functions": ("CU-1",)} if one.id == "S1" else {}) for one in shared.stations]
    stations = tuple(one.model_copy(update=more) for one, more in made)
    shared = shared.model_copy(update={"stations": stations, "functions": (Function(id="CU-1", package="cu"),)})
    store.networks.save(shared, network_digest(shared), "ana")
    other = _off_air(MAJOR, 0).model_copy(update={"object": "S1/N1"})
    return {alarm.incident for alarm in store.alarms.report_all([_off_air(MAJOR, 0), other])}.pop()


@pytest.mark.parametrize("cause", ["person", "alarm:a-1"])
async def test_planned_is_only_what_a_run_takes_away_while_it_acts_and_nothing_of_a_repair(
    store: Store, clock: VirtualClock, cause: str
) -> None:
    both_cells_off_air(store)
    work = Working(store, clock, "S1", cause)
    await clock.advance(60)
    await work.change(0, 60, "LOCKED", "UNLOCKED")
    work.step(1, name="soak", action="soak", waits=True)
    await clock.advance(180)
    work.end()
    lost = planned = beta = 0.0
    for incident in store.incidents.open():
        for minutes in store.incidents.minutes(incident.id):
            if minutes.tenant == "alfa":
                lost, planned = lost + minutes.lost, planned + minutes.planned
            else:
                beta += minutes.lost
    by_run = 1 if cause == "person" else 0
    assert (lost, planned) == (10 - by_run, by_run), "two cells for five minutes, one of them locked for one"
    assert beta == 10, "beta was not told"


async def test_a_cell_that_a_job_locked_is_planned_until_the_job_ends_and_a_dead_worker_ends_nothing(
    store: Store, clock: VirtualClock
) -> None:
    _load_shared(store)
    work = Working(store, clock, "S1")
    incident = store.alarms.report(_off_air(MAJOR, 0)).incident
    await work.change(0, 60, "LOCKED")
    work.step(1, name="ask", action="ask", waits=True)
    await clock.advance(120)
    assert store.incidents.minutes(incident, "alfa")[0].planned == 3
    work.end()
    await clock.advance(60)
    alfa, _ = store.incidents.minutes(incident)
    assert (alfa.planned, alfa.lost) == (3, 1)


async def test_planned_work_beyond_its_window_is_owed(store: Store, clock: VirtualClock) -> None:
    """Of the ten minutes that it takes, alfa's window is open for four, and the host's for six.

    Another tenant's is open for one, which alfa neither may know nor feel in its own statement.
    """
    _load_shared(store)

    def window(minutes: int, tenant: str = "") -> PartyWindows:
        closes = clock.now() + timedelta(minutes=minutes)
        opened = MaintenanceWindow(start=(clock.now() - timedelta(hours=1)).time(), end=closes.time())
        return PartyWindows(windows=(opened,), tenant=tenant)

    work = Working(store, clock, "S1", windows=(window(6), window(4, "alfa"), window(1, "beta")))
    incident = store.alarms.report(_off_air(MAJOR, 0)).incident
    await work.change(0, 600, "LOCKED")
    work.end()
    (alfa, _) = store.incidents.minutes(incident)
    assert (alfa.planned, alfa.lost) == (4, 6)


async def test_a_plmn_that_is_gone_in_a_run_that_its_tenant_was_told_of_is_planned_without_any_alarm(
    store: Store, clock: VirtualClock
) -> None:
    """It is gone for two minutes; the run has the cell locked for the first one."""
    _load_shared(store)
    alfa, begin = store.networks.get()[1].agreements[0], clock.now()
    observe(store, ("S1", "S2"), begin, begin + timedelta(hours=1))
    gone = Health(station="S1", at=begin, reachable=True, missing=(("L1", "716-01", "alfa", "/PLMN[716-01]"),))
    store.healths.save([gone])
    work = Working(store, clock, "S1")
    await work.change(0, 60, "LOCKED")
    work.end()
    await clock.advance(60)
    store.healths.save([Health(station="S1", at=clock.now(), reachable=True)])
    outages = store.incidents.outages(begin, clock.now())
    assert outages is not None
    parts = outages.agreed_service(alfa, begin, clock.now(), clock.now()).parts["S1/L1"]
    assert (seconds(parts.planned), seconds(parts.lost)) == (60, 60)


async def test_planned_work_stays_planned_after_its_cell_was_taken_down(store: Store, clock: VirtualClock) -> None:
    _load_shared(store)
    work = Working(store, clock, "S1")
    incident = store.alarms.report(_off_air(MAJOR, 0)).incident
    await work.change(0, 60, "LOCKED")
    work.end()
    store.alarms.report(_off_air(CLEARED, 1))
    await clock.advance(60)
    before = store.incidents.minutes(incident, "alfa")[0]
    assert (before.planned, before.lost) == (1, 0)
    made = store.networks.get()[1]
    gone = made.model_copy(update={"cells": tuple(one for one in made.cells if one.station != "S1")})
    store.networks.save(gone, network_digest(gone), "ana")
    assert store.incidents.minutes(incident, "alfa")[0] == before


async def test_a_function_is_planned_while_it_is_changed(store: Store, clock: VirtualClock) -> None:
    both_cells_off_air(store)
    work = Working(store, clock, "CU-1")
    await clock.advance(60)
    assert sum(one.planned for i in store.incidents.open() for one in store.incidents.minutes(i.id, "alfa")) == 0
    work.journal(0, JournalStep.COMMITTING)
    await clock.advance(60)
    assert sum(one.planned for i in store.incidents.open() for one in store.incidents.minutes(i.id, "alfa")) == 2
    work.end()
    await clock.advance(60)
    assert sum(one.planned for i in store.incidents.open() for one in store.incidents.minutes(i.id, "alfa")) == 2


def test_a_network_that_is_loaded_anew_parts_what_stands_anew_at_once(store: Store) -> None:
    symptom, root = store.alarms.report_all([dark(), cut()])
    assert symptom.incident == root.incident
    sites = tuple(site.model_copy(update={"backhaul": "spur"}) for site in NETWORK.sites)
    moved = NETWORK.model_copy(update={"sites": sites})
    store.networks.save(moved, network_digest(moved), "ana")
    store.alarms.correlate()
    assert store.alarms.get(symptom.id).root == ""
    store.networks.save(NETWORK, network_digest(NETWORK), "ana")
    store.alarms.correlate()
    again = store.alarms.get(symptom.id)
    assert (again.root, again.released, again.incident) == (root.id, None, root.incident)
