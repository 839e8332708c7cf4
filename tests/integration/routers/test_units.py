"""A station and its router as one unit: what goes first, and what is taken back with what."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.models.errors import PlanRefusedError
from controller.models.network import network_digest
from controller.models.people import Person, Role
from controller.models.plan import Plan
from controller.models.run import LedgerEntry, Outcome, RunState
from controller.runs.planning.undo import undo_plan
from simulators.history import EventKind
from simulators.netconf.faults import Fault, FaultKind
from simulators.routers.faults import RouterFault, RouterFaultKind
from tests.integration.alarms.system import PLAYBOOKS
from tests.integration.playbooks.test_changing import with_tenants
from tests.integration.routers.system import ROUTER, STATION, RouterSystem, open_router_system, same
from tests.support.callers import agree

LEO = Person(name="leo", role=Role.TENANT_APPROVER, tenant="condor")


def seen(system: RouterSystem) -> dict[str, int]:
    histories = {ROUTER: system.router.history, STATION: system.fleet.stations[STATION].history}
    return {name: len(history.events(EventKind.RUNNING_CHANGED)) for name, history in histories.items()}


def since(system: RouterSystem, before: dict[str, int]) -> list[str]:
    """Devices in the order in which they were changed first."""
    histories = {ROUTER: system.router.history, STATION: system.fleet.stations[STATION].history}
    first = {
        name: history.events(EventKind.RUNNING_CHANGED)[before[name]].time
        for name, history in histories.items()
        if len(history.events(EventKind.RUNNING_CHANGED)) > before[name]
    }
    return sorted(first, key=lambda name: first[name])


async def arrival(system: RouterSystem) -> Plan:
    """Everything is as without condor; the plan that brings it."""
    await system.carry("condor-all")
    system.load_without()
    return await system.plan()


@pytest.mark.parametrize("policy", ["station", "unit"])
async def test_the_router_goes_first_where_a_tenant_comes_and_last_where_it_goes(
    system: RouterSystem, policy: str
) -> None:
    plan, before = await arrival(system), seen(system)
    run, jobs = await system.apply(plan, policy=policy)
    assert run.state is RunState.SUCCEEDED, jobs
    assert since(system, before) == [ROUTER, STATION]
    assert system.fleet.stations[STATION].summary()["links_up"] == 5

    system.load_without("condor-all")
    count = sum("condor" in entry.owners for name in (ROUTER, STATION) for entry in ledger(system, name))
    plan, before = await system.plan(condor=count), seen(system)
    agree(system.store, plan, LEO, "we leave")
    run, jobs = await system.apply(plan, policy=policy)
    assert run.state is RunState.SUCCEEDED, jobs
    assert since(system, before) == [STATION, ROUTER]
    assert "condor" not in system.router.running.vrfs
    assert "andes" in system.router.running.vrfs
    assert same(system.router.running, system.router.startup)


def ledger(system: RouterSystem, name: str) -> list[LedgerEntry]:
    return list(system.store.ledger.find([name]).get(name, {}).values())


async def test_a_station_that_fails_takes_its_router_back(system: RouterSystem) -> None:
    plan = await arrival(system)
    before, text = system.router.running, system.running(STATION)
    system.fleet.stations[STATION].faults.inject(Fault(FaultKind.FAIL, "commit"))
    run, jobs = await system.apply(plan, policy="unit")
    assert run.state is RunState.FAILED, jobs
    assert jobs[ROUTER].outcome is Outcome.WITHDRAWN, jobs
    assert jobs[STATION].outcome is Outcome.FAILED_SAFE, jobs
    assert same(system.router.running, before)
    assert same(system.router.startup, before)
    assert system.running(STATION) == text
    assert not any("condor" in entry.owners for entry in ledger(system, ROUTER))


async def test_a_router_that_fails_leaves_its_station_alone(system: RouterSystem) -> None:
    plan = await arrival(system)
    before, text = system.router.running, system.running(STATION)
    system.router.faults.inject(RouterFault(RouterFaultKind.REFUSE_LINE, line=8))
    run, jobs = await system.apply(plan, policy="unit")
    assert run.state is RunState.STOPPED, jobs
    assert jobs[ROUTER].outcome is Outcome.ROLLED_BACK, jobs
    assert jobs[STATION].outcome is Outcome.CANCELLED, jobs
    assert same(system.router.running, before)
    assert system.running(STATION) == text


async def test_onboarding_by_the_playbook_spans_both(system: RouterSystem) -> None:
    await system.carry("condor-all")
    system.load_without()
    preview = await system.dry_run("onboard-tenant", tenant="condor", where=STATION)
    assert {station.station for station in preview.stations} == {ROUTER, STATION}
    before = seen(system)
    run = await system.succeeds("onboard-tenant", tenant="condor", where=STATION)
    assert since(system, before) == [ROUTER, STATION]
    assert {job.station for job in system.store.runs.jobs(run.id)} == {ROUTER, STATION}
    assert system.fleet.stations[STATION].summary()["links_up"] == 5


async def test_a_new_station_is_provisioned_with_its_router(tmp_path: Path) -> None:
    async with open_router_system(tmp_path, adopted=False) as system:
        before = seen(system)
        await system.succeeds("provision-station", station=STATION)
        assert since(system, before) == [ROUTER, STATION]
        assert {name for name, one in system.store.devices.find().items() if one.adopted} == {ROUTER, STATION}
        assert system.fleet.stations[STATION].summary()["links_up"] == 5


async def test_a_recorded_state_comes_back_on_both(system: RouterSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("controller.runs.transaction.remote_links.STEADY", 0.5)
    plan, before = await arrival(system), seen(system)
    run, jobs = await system.apply(plan)
    assert run.state is RunState.SUCCEEDED, jobs
    count = sum("condor" in entry.owners for name in (ROUTER, STATION) for entry in ledger(system, name))
    given = {"where": STATION, "state": run.id, "remove": f"condor={count}"}
    preview = await system.dry_run("restore-config", **given)
    assert [(one.station, one.rank) for one in preview.stations] == [(STATION, 0), (ROUTER, 1)]
    before = seen(system)
    await system.succeeds("restore-config", **given)
    assert since(system, before) == [STATION, ROUTER]
    assert system.router.running.vrfs.keys() == {"andes"}
    assert same(system.router.running, system.router.startup)
    assert not any("condor" in entry.owners for name in (ROUTER, STATION) for entry in ledger(system, name))


async def test_a_router_alone_is_not_brought_back_from_under_links_that_are_up(
    system: RouterSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("controller.runs.transaction.remote_links.STEADY", 0.5)
    run, jobs = await system.apply(await arrival(system))
    assert run.state is RunState.SUCCEEDED, jobs
    (folder := system.folder / "impatient").mkdir()
    text = (PLAYBOOKS / "restore-config.yaml").read_text(encoding="utf-8")
    (folder / "restore-config.yaml").write_text(text.replace("strategy: {", "strategy: {check_timeout: 4, "))
    launcher, before = system.playbooks(folder), system.router.running
    count = sum("condor" in entry.owners for entry in ledger(system, ROUTER))
    given = {"where": f"router={ROUTER}", "state": run.id, "remove": f"condor={count}"}
    kept = await system.run("restore-config", launcher, **given)
    job = system.job(kept, ROUTER)
    assert job.outcome is Outcome.ROLLED_BACK, job
    assert f"link-up {STATION}/" in job.detail
    assert "andes" not in job.detail
    assert same(system.router.running, before)
    assert same(system.router.startup, before)
    # Whoever is off the air anyway does not mind.
    system.fleet.stations[STATION].equipment.break_link("condor")
    gone = await system.succeeds("restore-config", launcher, **given)
    assert "2 of 5 core links behind it are down, as before" in system.job(gone, ROUTER).detail
    assert system.router.running.vrfs.keys() == {"andes"}


async def test_a_way_is_not_planned_away_from_under_links_that_stay(system: RouterSystem) -> None:
    await system.carry()
    system.load_without("condor-all")
    counts = {name: sum("condor" in entry.owners for entry in ledger(system, name)) for name in (ROUTER, STATION)}
    refused = rf"router {ROUTER} is left out: core links of condor on {STATION} need what would be removed, and stay: "
    with pytest.raises(PlanRefusedError, match=refused + "it is not part of this plan"):
        await system.plan(f"router={ROUTER}", condor=counts[ROUTER])
    await system.plan(condor=sum(counts.values()))


async def test_an_undo_does_not_take_the_way_from_under_links_that_came_later(
    system: RouterSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("controller.runs.transaction.remote_links.STEADY", 0.5)
    await system.carry("condor-all")
    system.load_without()
    run, jobs = await system.apply(await system.plan(f"router={ROUTER}"))
    assert run.state is RunState.SUCCEEDED, jobs
    await system.carry()
    before = system.router.running
    count = sum("condor" in entry.owners for entry in ledger(system, ROUTER))
    plan = await undo_plan(system.planner, run.id, {"condor": count}, "ana")
    agree(system.store, plan, LEO, "we leave")
    undone, jobs = await system.apply(plan, check_timeout=2)
    assert jobs[ROUTER].outcome is Outcome.ROLLED_BACK, undone
    assert f"link-up {STATION}/" in jobs[ROUTER].detail
    assert same(system.router.running, before)


async def test_a_core_that_moves_to_another_network_has_both_ways_for_a_while(system: RouterSystem) -> None:
    def load(mme: int) -> None:
        node = {"id": f"andes-mme-{mme}", "address": f"10.41.0.{mme}"}
        network = with_tenants({"andes": {"core": {"vlan": 101, "mme_pool": [node]}}})(system.network())
        system.store.networks.save(network, network_digest(network), "ana")

    def ways() -> set[str]:
        return {route.target.with_mask() for route in system.router.running.routes if route.vrf == "andes"}

    load(1)
    run, jobs = await system.apply(await system.plan())
    assert run.state is RunState.SUCCEEDED, jobs
    assert ways() == {"10.41.0.1 255.255.255.255"}
    load(2)
    given = {"tenant": "andes", "where": STATION}
    with pytest.raises(PlanRefusedError, match="first without naming what is removed"):
        await system.run("rehome-core", **given, nodes=4)
    await system.succeeds("rehome-core", **given)
    assert ways() == {"10.41.0.1 255.255.255.255", "10.41.0.2 255.255.255.255"}
    before = seen(system)
    await system.succeeds("rehome-core", **given, nodes=4)
    assert since(system, before) == [STATION, ROUTER]
    assert ways() == {"10.41.0.2 255.255.255.255"}
    assert system.fleet.stations[STATION].summary()["links_up"] == 3


async def test_a_recorded_state_that_needs_both_orders_is_refused(system: RouterSystem) -> None:
    await system.carry("andes-all")
    both = system.begin(await plan_without(system))
    await system.end(both)
    plan = await plan_without(system, "condor-all")
    agree(system.store, plan, LEO, "we leave")
    run, jobs = await system.apply(plan)
    assert run.state is RunState.SUCCEEDED, jobs
    count = sum("andes" in entry.owners for name in (ROUTER, STATION) for entry in ledger(system, name))
    given = {"where": STATION, "state": both, "remove": f"andes={count}"}
    preview = await system.dry_run("restore-config", **given)
    assert "apply one after the other" in preview.refused[0]


async def plan_without(system: RouterSystem, gone: str = "") -> Plan:
    """The plan that brings the site to the network files without an agreement, its tenant's nodes named."""
    system.load_without(gone)
    count = sum("condor" in entry.owners for name in (ROUTER, STATION) for entry in ledger(system, name))
    return await (system.plan(condor=count) if gone else system.plan())


@pytest.mark.parametrize("healthy", [True, False])
async def test_a_router_that_soaks_keeps_no_station_behind_it_waiting(system: RouterSystem, healthy: bool) -> None:
    await arrival(system)
    before = system.router.running
    check = {"name": "all well", "action": "read-state", "when": "{{ not target.router }}"}
    wanted = "{{ output.links_up == 5 }}" if healthy else "{{ output.links_up > 90 }}"
    launcher = system.own(
        targets=STATION,
        plan={},
        strategy={"canary": 0, "check_timeout": 10},
        steps=[{"name": "bring it", "action": "apply-intent"}],
        soak_checks=[{**check, "checks": [wanted]}],
    )
    run = await system.run("own", launcher)
    outcomes = {job.station: job.outcome for job in system.store.runs.jobs(run.id)}
    assert outcomes == dict.fromkeys((ROUTER, STATION), Outcome.SUCCEEDED if healthy else Outcome.ROLLED_BACK)
    assert same(system.router.running, before) is not healthy
