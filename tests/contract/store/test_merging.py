"""Incidents that become part of a bigger one: what sides are told, and what is kept of them."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import Any

import pytest

from controller.access.disclosure import TenantIncident
from controller.access.timeline import parts_of
from controller.intent.incident_news import HOLD_OFF
from controller.intent.incidents import QUIET, SETTLES
from controller.models.alarm import Alarm, AlarmNote, AlarmReport, ObjectClass, PerceivedSeverity
from controller.models.enums import APART
from controller.models.errors import NotFoundError
from controller.models.incident import IncidentState
from controller.models.network import Agreement, Network, network_digest
from controller.ports.clock import VirtualClock
from controller.store import Page, Store
from tests.support.observed import observe
from tests.support.records import START
from tests.unit.intent.backhaul_tree import HOST_KEY
from tests.unit.plan import samples

MAJOR, CLEARED = PerceivedSeverity.MAJOR, PerceivedSeverity.CLEARED
RAISED, UPDATED, GOES_ON, OVER = (f"incident-{kind}" for kind in ("raised", "updated", "continued", "cleared"))


@pytest.fixture(autouse=True)
def _loaded(store: Store) -> None:
    """S1 hangs on the hill, with a router beside it, S2 on the hub above it; alfa and beta share both."""
    content = samples.network(("alfa", "beta")).model_dump(mode="json")
    content["backhaul"] = [{"id": "hub", "kind": "fibre"}, {"id": "hill", "kind": "fibre", "parent": "hub"}]
    for site, node in zip(content["sites"], ("hill", "hub"), strict=True):
        site["backhaul"] = node
    here = content["sites"][0]["id"]
    content["routers"] = [{"id": "R1", "site": here, "address": "192.0.2.9", "host_key": HOST_KEY}]
    network = Network.model_validate(content)
    store.networks.save(network, network_digest(network), "ana")


class Story:
    """Reports, and what sides were told of them."""

    def __init__(self, store: Store, clock: VirtualClock) -> None:
        self.store, self.clock = store, clock
        self._told = 0

    def report(self, *what: AlarmReport) -> list[Alarm]:
        return self.store.alarms.report_all([one.model_copy(update={"at": self.clock.now()}) for one in what])

    async def told(self, tenant: str = "alfa", seconds: float = HOLD_OFF.total_seconds()) -> list[tuple[str, str]]:
        """What a tenant was told since the last time: kinds and incidents."""
        await self.clock.advance(seconds)
        self.store.notices.write()
        found = list(reversed(self.store.notices.page(Page(limit=1000), tenant)[1]))
        new, self._told = found[self._told :], len(found)
        return [(one.kind.value, one.incident) for one in new]


@pytest.fixture
def story(store: Store, clock: VirtualClock) -> Story:
    return Story(store, clock)


def links(station: str, severity: PerceivedSeverity = MAJOR) -> AlarmReport:
    return _report(station, "station", "all-core-links-down", ObjectClass.STATION, severity)


def cell(station: str, severity: PerceivedSeverity = MAJOR) -> AlarmReport:
    return _report(station, f"{station}/L1", "cell-off-air", ObjectClass.CELL, severity)


def cut(node: str, severity: PerceivedSeverity = MAJOR) -> AlarmReport:
    return _report("", node, "backhaul-down", ObjectClass.BACKHAUL, severity)


def _report(station: str, of: str, cause: str, kind: ObjectClass, severity: PerceivedSeverity) -> AlarmReport:
    known: dict[str, Any] = {"station": station, "object": of, "object_class": kind, "probable_cause": cause}
    return AlarmReport(**known, severity=severity, source="check", at=START)


async def test_an_incident_that_becomes_part_of_another_is_not_over(story: Story, store: Store) -> None:
    (small,) = story.report(links("S1"))
    (other,) = story.report(cell("S2"))
    assert await story.told() == [(RAISED, small.incident), (RAISED, other.incident)]
    begun = store.incidents.get(small.incident).opened
    story.report(cut("hub"), links("S2"))
    whole = store.alarms.get(small.id).incident
    assert await story.told() == [(RAISED, whole), (GOES_ON, small.incident)]
    (last, *_) = [one for one in store.notices.page(Page(), "alfa")[1] if one.incident == small.incident]
    assert f"all-core-links-down is not over: it is part of incident {whole} now; it began" in last.text
    assert (last.cells, last.since) == (("S1/L1", "S1/N1"), small.raised)

    merged = store.incidents.get(small.incident)
    assert (merged.state, merged.merged_into, merged.closed) == (IncidentState.MERGED, whole, None)
    assert (merged.opened, store.incidents.get(whole).opened) == (begun, begun)
    assert (merged.cells, merged.tenants) == (("S1/L1", "S1/N1"), ("alfa", "beta"))
    assert [one.id for one in store.incidents.alarms(small.incident)] == [small.id]
    rows = [row.model_dump() for row in store.incidents.timeline(whole)]
    assert parts_of({"id": whole, "timeline": rows}) == [small.incident]

    # S1 has service again, while the cut stands: that is news of the whole, and nothing of it is told twice.
    story.report(links("S1", CLEARED))
    assert await story.told() == []
    story.report(links("S2", CLEARED), cut("hub", CLEARED))
    assert await story.told() == [(OVER, whole)]
    assert store.incidents.get(other.incident).state is IncidentState.OPEN


async def test_what_is_left_of_a_bigger_cut_goes_on_under_its_old_id(story: Story, store: Store) -> None:
    small, symptom = story.report(cut("hill"), links("S1"))
    assert small.incident == symptom.incident
    assert await story.told() == [(RAISED, small.incident)]
    story.report(cut("hub"), links("S2"))
    whole = store.alarms.get(small.id).incident
    assert await story.told() == [(RAISED, whole), (GOES_ON, small.incident)]
    await story.told(seconds=3600)
    story.report(cut("hub", CLEARED), links("S2", CLEARED))
    assert store.incidents.unsettled() == [small.id], "a cut of its own waits for nothing"
    store.incidents.settle()
    again = store.incidents.get(small.incident)
    assert (again.state, again.standing, again.opened) == (IncidentState.OPEN, 2, small.raised)
    assert store.incidents.get(whole).state is IncidentState.CLOSED
    assert await story.told() == [(UPDATED, small.incident), (GOES_ON, whole)]
    (last, *_) = [one for one in store.notices.page(Page(), "alfa")[1] if one.incident == whole]
    assert f"is over, but not all that came with it: that goes on as incident {small.incident}" in last.text
    # It is told once, and both time lines have it.
    assert await story.told() == []
    for incident in (whole, small.incident):
        acts = [row.action for row in store.incidents.timeline(incident) if row.object == small.incident]
        assert [act for act in acts if act in ("incident.merged", "incident.split")] == [
            "incident.merged",
            "incident.split",
        ]
    assert parts_of({"id": whole, "timeline": [row.model_dump() for row in store.incidents.timeline(whole)]}) == []
    story.report(cut("hill", CLEARED), links("S1", CLEARED))
    assert await story.told() == [(OVER, small.incident)]


async def test_what_went_on_elsewhere_before_an_incident_came_again_is_not_said_to_have_come_with_it(
    story: Story, store: Store
) -> None:
    story.report(cut("hub"), links("S1"))
    ((_, whole),) = await story.told()
    story.report(cut("hub", CLEARED))
    await story.clock.advance(SETTLES.total_seconds())
    store.incidents.settle()
    assert [kind for kind, _ in await story.told(seconds=90)] == [RAISED, GOES_ON]
    story.report(cut("hub"), links("S2"))
    assert store.incidents.get(whole).flaps == 1, "it is the same incident"
    assert await story.told() == [(UPDATED, whole)]
    story.report(cut("hub", CLEARED), links("S2", CLEARED))
    assert await story.told() == [(OVER, whole)], "S1 did not come with it this time"


async def test_minutes_of_an_incident_are_its_own_whatever_it_became_part_of(story: Story, store: Store) -> None:
    (small,) = story.report(links("S1"))
    await story.clock.advance(60)
    story.report(cut("hub"), links("S2"))
    whole = store.alarms.get(small.id).incident
    await story.clock.advance(540)

    observe(store, ["S1", "S2"], small.raised, story.clock.now())

    def lost(incident: str) -> dict[str, float]:
        return {one.tenant: one.lost for one in store.incidents.minutes(incident)}

    assert lost(small.incident) == {"alfa": 20, "beta": 20}, "two cells for ten minutes"
    assert lost(whole) == {"alfa": 38, "beta": 38}, "and those of S2 for nine"
    outages = store.incidents.outages(small.raised, story.clock.now())
    assert outages is not None
    assert {one.tenant: one.lost for one in outages.minutes()} == lost(whole), "no minute counts twice"


def missing(severity: PerceivedSeverity = MAJOR) -> AlarmReport:
    entry = "/ManagedElement[S1]/ENBFunction[1]/EUtranCellFDD[L1]/plmnIdList[716,01]"
    report = _report("S1", entry, "plmn-missing", ObjectClass.CELL, severity)
    return report.model_copy(update={"tenant": "alfa"})


def drift(severity: PerceivedSeverity = MAJOR) -> AlarmReport:
    return _report("S1", "station", "configuration-drift", ObjectClass.STATION, severity)


@pytest.mark.parametrize("stands", [False, True])
async def test_a_root_of_which_a_tenant_is_not_told_joins_none_of_its_faults(
    story: Story, store: Store, stands: bool
) -> None:
    """Two faults are two incidents, by their own ids, and nobody knows of them who took the root's incident."""
    if stands:
        (root,) = story.report(drift())
        store.incidents.take(root.incident, "ana")
    faults = []
    for _ in range(2):
        (fault,) = story.report(missing())
        own = store.alarms.get(fault.id).incident
        assert own == fault.id.replace("a-", "i-")
        assert await story.told() == [(RAISED, own)]
        assert store.notices.page(Page(limit=1), "alfa")[1][0].doing == "nobody has begun yet"
        story.report(missing(CLEARED))
        assert await story.told() == [(OVER, own)]
        await story.clock.advance(QUIET.total_seconds() + 1)
        faults.append(own)
    assert [name for name, _ in store.tenants.incidents("alfa", Page())[1]] == faults[::-1]
    assert [one.id for name in faults for one in store.tenants.incident("alfa", name)] == [
        name.replace("i-", "a-") for name in faults
    ]
    if stands:  # people at the host read which is which
        assert store.alarms.get(fault.id).root == root.id
        apart = [row.detail for row in store.incidents.timeline(root.incident) if row.action == APART]
        assert [one["beside"] for one in apart] == faults
        assert apart[0]["why"] == (
            "plmn-missing of S1 follows from configuration-drift of S1, of which not all of its tenants are told"
        )


async def test_what_outlives_its_root_and_follows_from_one_of_the_host_alone_splits_off(
    story: Story, store: Store
) -> None:
    """As if there were no such root: the tenant is told that the cut is over."""
    told, symptom = story.report(cut("hill"), links("S1"))
    story.report(_report("R1", "/Router[R1]/Port[up0]", "port-down", ObjectClass.PORT, MAJOR))
    now = store.alarms.get(symptom.id)
    assert (now.root, now.incident) == (told.id, told.incident)
    assert await story.told() == [(RAISED, told.incident)]
    story.report(cut("hill", CLEARED))
    now = store.alarms.get(symptom.id)
    assert (store.alarms.get(now.root).probable_cause, now.incident) == ("port-down", told.incident)
    await story.clock.advance(SETTLES.total_seconds() - 1)
    assert store.incidents.unsettled() == []
    await story.clock.advance(1)
    store.incidents.settle()
    own = store.alarms.get(symptom.id).incident
    assert own == symptom.id.replace("a-", "i-")
    assert await story.told() == [(RAISED, own), (GOES_ON, told.incident)]


async def test_what_ended_while_it_waits_to_be_told_of_is_over_and_nobody_waits_for_ever(
    story: Story, store: Store
) -> None:
    (small,) = story.report(links("S1"))
    assert await story.told() == [(RAISED, small.incident)]
    story.report(links("S2"), cut("hub"))
    whole = store.alarms.get(small.id).incident
    await story.clock.advance(5)
    story.report(links("S1", CLEARED))
    assert await story.told() == [(RAISED, whole), (OVER, small.incident)], "what stands is told before what is over"
    story.report(links("S2", CLEARED), cut("hub", CLEARED))
    assert await story.told() == [(OVER, whole)]


async def test_a_side_is_told_that_an_incident_goes_on_only_after_it_was_told_of_the_other(
    story: Story, store: Store
) -> None:
    (small,) = story.report(links("S1"))
    assert await story.told() == [(RAISED, small.incident)]
    store.incidents.acknowledge(small.incident, "ana")
    await story.clock.advance(HOLD_OFF.total_seconds() - 5)
    story.report(cut("hub"), links("S2"))
    whole = store.alarms.get(small.id).incident
    assert await story.told(seconds=6) == [], "the change of the first is due, and the second one is not yet"
    assert await story.told(seconds=20) == [(RAISED, whole), (GOES_ON, small.incident)]


async def test_a_tenant_finds_its_incident_where_it_went_and_others_find_nothing(story: Story, store: Store) -> None:
    (small,) = story.report(links("S1"))
    story.report(cut("hub"), links("S2"))
    whole = store.alarms.get(small.id).incident
    found = TenantIncident.of(small.incident, store.tenants.incident("beta", small.incident))
    assert (found.state, found.merged_into, found.cells) == (IncidentState.MERGED, whole, ("S1/L1", "S1/N1"))
    one = TenantIncident.of(whole, store.tenants.incident("beta", whole))
    assert (one.state, one.merged_into, len(one.cells)) == (IncidentState.OPEN, "", 4)
    with pytest.raises(NotFoundError):
        store.tenants.incident("gamma", small.incident)


@pytest.mark.parametrize("end", ["files", "date"])
async def test_what_becomes_of_an_incident_after_a_tenant_left_is_not_told(
    story: Story, store: Store, end: str
) -> None:
    """Neither of alarms that stood, nor of those that were over."""
    _, net = store.networks.get()
    hers = next(one for one in net.agreements if one.tenant == "beta")
    day = story.clock.now().date()
    last = hers.validity.model_copy(update={"end": day})
    midnight = datetime.combine(day + timedelta(days=1), time(), net.zone)
    await story.clock.advance((midnight - story.clock.now()).total_seconds() - 90)

    def put(hers: Agreement | None) -> None:
        kept = [one for one in net.agreements if one.tenant != "beta"] + ([] if hers is None else [hers])
        changed = net.model_copy(update={"agreements": tuple(kept)})
        store.networks.save(changed, network_digest(changed), "ana")

    put(hers.model_copy(update={"validity": last}))
    stands, ended = story.report(cut("hill"), links("S1"))
    (parts,) = {one.incident for one in store.alarms.find([stands.id, ended.id])}
    await story.clock.advance(60)
    story.report(links("S1", CLEARED))
    before = store.tenants.incident("beta", parts)
    assert [one.id for one in before if one.cleared] == [ended.id]
    if end == "files":
        put(None)
        before = store.tenants.incident("beta", parts)
    await story.clock.advance(60)
    story.report(cut("hub"), links("S2"))
    whole = store.alarms.get(stands.id).incident
    assert whole not in ("", parts)
    assert store.alarms.get(ended.id).incident == whole
    after = store.tenants.incident("beta", parts)
    assert [one.incident for one in after] == [parts, parts]
    told, known = (TenantIncident.of(parts, alarms) for alarms in (after, before))
    if end == "files":
        assert told == known
    else:
        assert (told.closed, known.closed) == (midnight, None)
    assert store.tenants.incidents("beta", Page())[1] == [(parts, after)]
    with pytest.raises(NotFoundError):
        store.tenants.incident("beta", whole)


async def test_what_the_host_does_to_a_merged_incident_changes_nothing_for_a_tenant(story: Story, store: Store) -> None:
    (small,) = story.report(links("S1"))
    story.report(cut("hub"), links("S2"))
    (before,) = store.tenants.incident("beta", small.incident)
    await story.clock.advance(600)
    store.alarms.note([(store.alarms.get(small.id), AlarmNote.waiting("its root"))], actor="remediation")
    store.alarms.shelve(small.id, story.clock.now() + timedelta(hours=1), "ana", "known")
    store.alarms.acknowledge(small.id, "ana", actor="ana")
    assert store.alarms.get(small.id).changed == story.clock.now() != before.changed, "the host's own time"
    (after,) = store.tenants.incident("beta", small.incident)
    assert after.changed == before.changed == store.tenants.alarm("beta", small.id).changed


async def test_two_incidents_may_go_on_in_a_third_and_that_in_a_fourth(story: Story, store: Store) -> None:
    first, second = story.report(links("S1"), cell("S1"))
    assert first.incident != second.incident
    (third,) = story.report(cut("hill"))
    assert store.alarms.get(first.id).incident == third.incident
    story.report(cut("hub"), links("S2"))
    whole = store.alarms.get(third.id).incident
    assert store.alarms.get(first.id).incident == whole
    assert [one.id for one in store.incidents.alarms(first.incident)] == [first.id]
    assert store.alarms.get(second.id).incident == second.incident, "a cut takes no cell off the air"
    assert await story.told() == [(RAISED, second.incident), (RAISED, whole)]
    assert timedelta() <= store.incidents.get(whole).opened - first.raised < timedelta(seconds=1)
