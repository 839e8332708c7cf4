"""A station and its router as one unit: what goes first, and what is taken back with what."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.models.approval import Verdict
from controller.models.people import Person, Role
from controller.models.plan import Plan
from controller.models.run import LedgerEntry, Outcome, RunState
from simulators.faults import Fault, FaultKind
from simulators.history import EventKind
from simulators.routers.faults import RouterFault, RouterFaultKind
from tests.integration.routers.house import ROUTER, STATION, RouterHouse, open_router_house, same

LEO = Person(name="leo", role=Role.TENANT_APPROVER, tenant="condor")

pytestmark = pytest.mark.timeout(120)


def seen(house: RouterHouse) -> dict[str, int]:
    histories = {ROUTER: house.router.history, STATION: house.fleet.stations[STATION].history}
    return {name: len(history.events(EventKind.RUNNING_CHANGED)) for name, history in histories.items()}


def since(house: RouterHouse, before: dict[str, int]) -> list[str]:
    """Devices in the order in which they were changed first."""
    histories = {ROUTER: house.router.history, STATION: house.fleet.stations[STATION].history}
    first = {
        name: history.events(EventKind.RUNNING_CHANGED)[before[name]].time
        for name, history in histories.items()
        if len(history.events(EventKind.RUNNING_CHANGED)) > before[name]
    }
    return sorted(first, key=lambda name: first[name])


async def arrival(house: RouterHouse) -> Plan:
    """Everything is as without condor; the plan that brings it."""
    await house.carry("condor-all")
    house.load_without()
    return await house.plan()


@pytest.mark.parametrize("policy", ["station", "unit"])
async def test_the_router_goes_first_where_a_tenant_comes_and_last_where_it_goes(
    house: RouterHouse, policy: str
) -> None:
    plan, before = await arrival(house), seen(house)
    run, jobs = await house.apply(plan, policy=policy)
    assert run.state is RunState.SUCCEEDED, jobs
    assert since(house, before) == [ROUTER, STATION]
    assert house.fleet.stations[STATION].summary()["links_up"] == 3

    house.load_without("condor-all")
    count = sum("condor" in entry.owners for name in (ROUTER, STATION) for entry in ledger(house, name))
    plan, before = await house.plan(condor=count), seen(house)
    house.store.vote(plan.digest, LEO, Verdict.APPROVE, "we leave", plan.id)
    run, jobs = await house.apply(plan, policy=policy)
    assert run.state is RunState.SUCCEEDED, jobs
    assert since(house, before) == [STATION, ROUTER]
    assert "condor" not in house.router.running.vrfs
    assert "andes" in house.router.running.vrfs
    assert same(house.router.running, house.router.startup)


def ledger(house: RouterHouse, name: str) -> list[LedgerEntry]:
    return list(house.store.ledger([name]).get(name, {}).values())


async def test_a_station_that_fails_takes_its_router_back(house: RouterHouse) -> None:
    plan = await arrival(house)
    before, text = house.router.running, house.running(STATION)
    house.fleet.stations[STATION].faults.inject(Fault(FaultKind.FAIL, "commit"))
    run, jobs = await house.apply(plan, policy="unit")
    assert run.state is RunState.FAILED, jobs
    assert jobs[ROUTER].outcome is Outcome.WITHDRAWN, jobs
    assert jobs[STATION].outcome is Outcome.FAILED_SAFE, jobs
    assert same(house.router.running, before)
    assert same(house.router.startup, before)
    assert house.running(STATION) == text
    assert not any("condor" in entry.owners for entry in ledger(house, ROUTER))


async def test_a_router_that_fails_leaves_its_station_alone(house: RouterHouse) -> None:
    plan = await arrival(house)
    before, text = house.router.running, house.running(STATION)
    house.router.faults.inject(RouterFault(RouterFaultKind.REFUSE_LINE, line=8))
    run, jobs = await house.apply(plan, policy="unit")
    assert run.state is RunState.STOPPED, jobs
    assert jobs[ROUTER].outcome is Outcome.ROLLED_BACK, jobs
    assert jobs[STATION].outcome is Outcome.CANCELLED, jobs
    assert same(house.router.running, before)
    assert house.running(STATION) == text


async def test_onboarding_by_the_playbook_spans_both(house: RouterHouse) -> None:
    await house.carry("condor-all")
    house.load_without()
    preview = await house.dry_run("onboard-tenant", tenant="condor", where=STATION)
    assert {station.station for station in preview.stations} == {ROUTER, STATION}
    before = seen(house)
    run = await house.succeeds("onboard-tenant", tenant="condor", where=STATION)
    assert since(house, before) == [ROUTER, STATION]
    assert {job.station for job in house.store.jobs(run.id)} == {ROUTER, STATION}
    assert house.fleet.stations[STATION].summary()["links_up"] == 3


async def test_a_new_station_is_provisioned_with_its_router(tmp_path: Path) -> None:
    async with open_router_house(tmp_path, adopted=False) as house:
        before = seen(house)
        await house.succeeds("provision-station", station=STATION)
        assert since(house, before) == [ROUTER, STATION]
        assert {name for name, one in house.store.devices().items() if one.adopted} == {ROUTER, STATION}
        assert house.fleet.stations[STATION].summary()["links_up"] == 3
