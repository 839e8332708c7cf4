"""A managed element of another id is seen, beside the station's own and in its place, and nothing is made beside it."""

from __future__ import annotations

import pytest

from controller.drivers.target import DeviceTarget
from controller.inventory.frame import Frame
from controller.models.enums import AdoptionCode
from controller.models.facts import Severity
from controller.models.network import Network, network_digest
from controller.models.plan import Plan
from controller.nrm import namespaces as ns
from controller.nrm.containers import carries_its_own, foreign_elements
from controller.nrm.profiles import root_spec
from controller.nrm.tree import Observed, with_unknown
from controller.plan import StationView, drift
from controller.plan.drift import applied
from controller.plan.network_import import import_network
from controller.runs.planning.planner import Planner, PlanRequest
from controller.store import AuditQuery, Page
from tests.unit.plan import samples
from tests.unit.runs.transaction_bench import STATION, TARGET, InstantStore, TransactionBench, add_tenant

ROOT = root_spec(samples.PROFILES)
#: A station that carries another element than its own, and one that carries it beside its own.
FACTORY = Observed({f"/ManagedElement[{STATION}]": {}})
OTHER = Observed({}, unknown=(f"/{{{ns.MANAGED_ELEMENT}}}ManagedElement[ran1]",))
BESIDE = with_unknown(FACTORY, OTHER.unknown)
PLACES = [pytest.param(OTHER, id="in its place"), pytest.param(BESIDE, id="beside its own")]
AGREED = frozenset({"ran1"})


def told(made: Plan) -> list[tuple[Severity, str]]:
    return [(finding.severity, finding.message) for finding in made.findings if finding.code == "foreign-element"]


def planner_of(bench: TransactionBench) -> Planner:
    def target(_network: Network, _station: str) -> DeviceTarget:
        return TARGET

    bench.store.networks.save(samples.network(), network_digest(samples.network()), "ana")
    return Planner(InstantStore(bench.store), bench.devices, bench.clock, target)


def test_it_is_known_beside_the_own_and_in_its_place() -> None:
    assert foreign_elements(ROOT, OTHER) == foreign_elements(ROOT, BESIDE) == ("ran1",)
    assert [carries_its_own(ROOT, one) for one in (OTHER, BESIDE)] == [False, True]
    assert foreign_elements(ROOT, Observed({})) == foreign_elements(ROOT, FACTORY) == ()


@pytest.mark.parametrize("seen", PLACES)
def test_a_plan_changes_nothing_beside_it(seen: Observed) -> None:
    made = samples.plan(samples.network(), {STATION: StationView(seen, adopted=True)})
    assert made.is_empty
    assert "ManagedElement=ran1" in made.unplanned[STATION]
    ((severity, said),) = told(made)
    assert severity is Severity.ERROR
    assert f"minka device adopt {STATION} --beside ID" in said
    assert not [finding for finding in made.findings if finding.code == "unknown-node"]
    assert samples.only_change(samples.plan(samples.network(), {STATION: samples.factory()}))


@pytest.mark.parametrize("seen", PLACES)
def test_a_plan_goes_on_beside_one_that_a_person_agreed_to_and_names_it(seen: Observed) -> None:
    made = samples.plan(samples.network(), {STATION: StationView(seen, adopted=True, beside=AGREED)})
    ((severity, said),) = told(made)
    assert severity is Severity.INFO
    assert "ManagedElement=ran1" in said
    edits = [edit for phase in samples.only_change(made).phases for edit in phase.edits]
    assert not [edit for edit in edits if "ran1" in edit.path]
    two = with_unknown(seen, (f"/{{{ns.MANAGED_ELEMENT}}}ManagedElement[ran2]",))
    made = samples.plan(samples.network(), {STATION: StationView(two, adopted=True, beside=AGREED)})
    assert made.is_empty
    assert "ran1" not in made.unplanned[STATION]


@pytest.mark.parametrize("seen", PLACES)
def test_drift_names_it_until_a_person_agrees_to_it(seen: Observed) -> None:
    assert "ManagedElement ran1" in [row.what for row in drift(ROOT, applied({}), StationView(seen, adopted=True))]
    rows = drift(ROOT, applied({}), StationView(seen, adopted=True, beside=AGREED))
    assert "ManagedElement ran1" not in [row.what for row in rows]


def test_an_import_names_it_and_takes_the_own() -> None:
    found = import_network(Frame(samples.network(), ()), {STATION: OTHER}, samples.DAY)
    assert any("instead of ManagedElement" in note and "ManagedElement=ran1" in note for note in found.notes)
    assert found.network.stations == ()
    both = with_unknown(samples.carrying(samples.network()), OTHER.unknown)
    found = import_network(Frame(samples.network(), ()), {STATION: both}, samples.DAY)
    assert any("left out ManagedElement=ran1" in note for note in found.notes)
    assert [station.id for station in found.network.stations] == [STATION]


@pytest.mark.parametrize("own", [True, False])
async def test_it_is_adopted_beside_it_only_if_a_person_names_it_and_that_is_on_record(own: bool) -> None:
    bench = TransactionBench(add_tenant())
    planner = planner_of(bench)
    bench.device.history.append(bench.device.running if own else {})
    bench.device.elements = ("ran1",)
    for named in ((), ("ran2",)):
        said = await planner.adopt(STATION, "ana", beside=named)
        assert (said[STATION].code, said[STATION].foreign) == (AdoptionCode.FOREIGN, ("ran1",))
        assert said[STATION].words.startswith("not adopted: it carries ManagedElement=ran1")
        assert bench.store.devices.find([STATION]) == {}
    said = await planner.adopt(STATION, "ana", beside=("ran1", "ran2"))
    assert (said[STATION].code, said[STATION].foreign) == (AdoptionCode.ADOPTED, ("ran1",))
    assert bench.store.devices.find([STATION])[STATION].beside == ("ran1",)
    _, (row,) = bench.store.audit.page(Page(limit=1), AuditQuery(action="station.adopted"))
    assert (row.object, row.actor, row.detail["beside"]) == (STATION, "ana", "ran1")
    plan = await planner.plan(PlanRequest(STATION), "ana")
    assert not plan.unplanned
    assert [severity for severity, _ in told(plan)] == [Severity.INFO]


async def test_one_that_comes_later_stops_plans_and_is_drift_until_a_person_names_it() -> None:
    bench = TransactionBench(add_tenant())
    planner = planner_of(bench)
    await planner.adopt(STATION, "ana")
    before = await planner.drift([STATION])
    bench.device.elements = ("ran1",)
    plan = await planner.plan(PlanRequest(STATION), "ana")
    assert plan.unplanned[STATION].startswith("foreign-element")
    assert "ManagedElement ran1" in [row.what for row in (await planner.drift([STATION]))[STATION]]
    view = (await planner.views(samples.network(), [STATION]))[STATION]
    assert (await planner.restoration(samples.network(), STATION, view)).reason.startswith("foreign-element")
    await planner.adopt(STATION, "ana", beside=["ran1"])
    assert await planner.drift([STATION]) == before
    assert not (await planner.plan(PlanRequest(STATION), "ana")).unplanned
    assert not (await planner.restoration(samples.network(), STATION, view)).reason
    # What was agreed to holds when the station is adopted again, but not longer than the station carries it.
    await planner.adopt(STATION, "ben")
    assert bench.store.devices.find([STATION])[STATION].beside == ("ran1",)
    bench.device.elements = ()
    await planner.adopt(STATION, "ben")
    assert bench.store.devices.find([STATION])[STATION].beside == ()


async def test_nobody_agreed_any_more_once_the_station_was_out_of_service() -> None:
    bench = TransactionBench(add_tenant())
    planner = planner_of(bench)
    bench.device.elements = ("ran1",)
    await planner.adopt(STATION, "ana", beside=["ran1"])
    bench.store.devices.retire(STATION, "ana")
    assert (await planner.adopt(STATION, "ana"))[STATION].code is AdoptionCode.FOREIGN
