"""The playbook that switches a router to its standby, under a reload that brings the old way back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from controller.models.alarm import Alarm, AlarmState
from controller.models.run import Outcome, RunState
from controller.nrm.tree import child
from controller.runs.planning.undo import undo_plan
from controller.store import Page
from simulators.history import EventKind
from simulators.routers.addresses import read_address
from simulators.routers.faults import RouterFault, RouterFaultKind
from tests.integration.alarms.system import PLAYBOOKS, Playbooks, rules, until
from tests.integration.playbooks.test_stations import gets_worse, measured, with_short_periods
from tests.integration.routers.system import ROUTER, STATION, RouterSystem, open_router_system, same

#: The spare port has an address of its own on the management network.
SPARE = {"standby": "GigabitEthernet0/0/2", "gateway": "10.98.0.2", "standby_gateway": "10.98.1.2"}


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("controller.runs.transaction.remote_links.STEADY", 0.5)


@pytest.fixture
async def spare(tmp_path: Path) -> AsyncIterator[RouterSystem]:
    async with open_router_system(tmp_path, fields=SPARE) as system:
        system.router.foreign_edit(["interface gi0/0/2", "ip address 10.98.1.1 255.255.255.252", "no shutdown"])
        system.router.foreign_edit(["ip route 0.0.0.0 0.0.0.0 10.98.1.2 250"])
        system.router.save(system.router_origin)
        await system.planner.adopt(f"router={ROUTER}", "ana")
        await system.carry()
        yield system


async def links_up(system: RouterSystem, count: int) -> None:
    async def up() -> bool:
        return bool(system.fleet.stations[STATION].summary()["links_up"] == count)

    await until(f"{count} links are up", up)


def distances(system: RouterSystem) -> dict[int, set[int]]:
    """Distances of the routes by the port behind them."""
    spare = {read_address("169.254.0.5"), read_address("10.98.1.2")}
    routes = system.router.running.routes
    return {port: {r.distance for r in routes if (r.next_hop in spare) is (port == 2)} for port in (0, 2)}


async def test_the_way_is_switched_there_and_back(spare: RouterSystem) -> None:
    assert distances(spare) == {0: {1}, 2: {250}}
    preview = await spare.dry_run("switch-backhaul", router=ROUTER)
    assert not preview.refused
    assert preview.reach.tenants == ("andes", "condor")
    assert preview.reach.cells == len(spare.network().cells_by_station[STATION]) > 0
    assert len(preview.stations[0].steps[-2].diff) == 12
    assert distances(spare) == {0: {1}, 2: {250}}
    run = await spare.succeeds("switch-backhaul", router=ROUTER)
    assert spare.steps(run, ROUTER)[1].output["links"] == 5
    assert distances(spare) == {0: {250}, 2: {1}}
    assert same(spare.router.running, spare.router.startup)
    assert spare.router.reload is None
    assert spare.router.history.events(EventKind.RELOAD_PLANNED)
    assert not spare.router.history.events(EventKind.RESTARTED)
    await links_up(spare, 5)
    # The uplink may fail now.
    spare.router.foreign_edit(["interface gi0/0/0.101", "shutdown", "interface gi0/0/0.102", "shutdown"])
    await links_up(spare, 5)
    spare.router.foreign_edit(["interface gi0/0/0.101", "no shutdown", "interface gi0/0/0.102", "no shutdown"])
    spare.router.save(spare.router_origin)
    assert (await spare.plan()).is_empty
    await spare.succeeds("switch-backhaul", router=ROUTER, standby="false")
    assert distances(spare) == {0: {1}, 2: {250}}


async def switched(system: RouterSystem, port: int = 2) -> None:
    """Wait until the routes point to the standby, or to the uplink again, and nothing of it is confirmed yet."""
    ways = {port: {1}, 2 - port: {250}}

    async def waits() -> bool:
        return distances(system) == ways and system.router.reload is not None

    await until("the way is switched", waits)


def impatient(system: RouterSystem, seconds: int = 4, more: str = "") -> Playbooks:
    """The playbook, which waits for links for so long, with more steps."""
    folder = system.folder / "impatient"
    folder.mkdir()
    text = (PLAYBOOKS / "switch-backhaul.yaml").read_text(encoding="utf-8")
    assert "check_timeout: 90" in text
    text = text.replace("check_timeout: 90", f"check_timeout: {seconds}") + more
    (folder / "switch-backhaul.yaml").write_text(text, encoding="utf-8")
    return system.playbooks(folder)


async def test_a_way_on_which_kpis_are_worse_is_taken_back(spare: RouterSystem) -> None:
    await measured(spare, STATION)
    before = spare.router.running
    launcher = with_short_periods(spare, "switch-backhaul", gates=1)
    run = await gets_worse(
        spare, launcher, ROUTER, {"router": ROUTER, "soak": 3, "measured": "true"}, "switch-backhaul"
    )
    job = spare.job(run, ROUTER)
    assert job.outcome is Outcome.ROLLED_BACK, job
    assert f"check 'KPIs of the site no worse' after the soak: {STATION}: s1-setup-success: " in job.detail
    assert distances(spare) == {0: {1}, 2: {250}}
    assert same(spare.router.running, before)
    assert same(spare.router.startup, before)


async def test_links_that_stay_down_bring_the_old_way_back(
    spare: RouterSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    launcher = impatient(spare)
    monkeypatch.setattr("controller.runs.transaction.remote_links.STEADY", 3.0)
    before = spare.router.running
    running = asyncio.create_task(spare.run("switch-backhaul", launcher, router=ROUTER))
    await switched(spare)
    spare.fleet.stations[STATION].equipment.break_link("andes")
    run = await running
    job = spare.job(run, ROUTER)
    assert job.outcome is Outcome.ROLLED_BACK, job
    assert f"link-up {STATION}/" in job.detail
    assert "EP_S1C[andes-andes-mme-1]" in job.detail
    assert "condor" not in job.detail
    assert same(spare.router.running, before)
    assert same(spare.router.startup, before)
    assert spare.router.reload is None
    assert not spare.router.history.events(EventKind.RESTARTED)


async def test_a_link_that_was_down_before_keeps_nobody_from_switching(spare: RouterSystem) -> None:
    spare.fleet.stations[STATION].equipment.break_link("andes")
    run = await spare.succeeds("switch-backhaul", router=ROUTER)
    assert spare.steps(run, ROUTER)[1].output["links"] == 2
    assert f"3 of 5 core links behind it are down, as before: {STATION}/" in spare.job(run, ROUTER).detail
    assert distances(spare)[2] == {1}
    undone, _ = await spare.apply(await undo_plan(spare.planner, run.id, {}, "ana"))
    assert undone.state is RunState.SUCCEEDED
    assert distances(spare) == {0: {1}, 2: {250}}
    # Taken back as patiently, and under a reload as well.
    assert undone.strategy.check_timeout == run.strategy.check_timeout == 90
    assert len(spare.router.history.events(EventKind.RELOAD_PLANNED)) == 2
    assert same(spare.router.running, spare.router.startup)


async def test_where_all_links_are_down_one_has_to_come_up(spare: RouterSystem) -> None:
    station = spare.fleet.stations[STATION]
    for tenant in ("andes", "condor"):
        station.equipment.break_link(tenant)
    running = asyncio.create_task(spare.run("switch-backhaul", router=ROUTER))
    await switched(spare)
    station.equipment.restore_link("condor")
    run = await running
    assert run.state is RunState.SUCCEEDED, spare.steps(run, ROUTER)
    assert spare.steps(run, ROUTER)[1].output["links"] == 0
    assert "3 of 5 core links" in spare.job(run, ROUTER).detail
    await links_up(spare, 2)
    assert distances(spare)[2] == {1}


async def test_a_way_on_which_no_link_comes_up_is_not_kept(spare: RouterSystem) -> None:
    for tenant in ("andes", "condor"):
        spare.fleet.stations[STATION].equipment.break_link(tenant)
    before = spare.router.running
    run = await spare.run("switch-backhaul", impatient(spare), router=ROUTER)
    job = spare.job(run, ROUTER)
    assert (job.outcome, run.state) == (Outcome.ROLLED_BACK, RunState.FAILED)
    assert "not reached within 4 s: any core link behind it up" in job.detail
    assert same(spare.router.running, before)
    assert same(spare.router.startup, before)
    assert spare.router.reload is None


async def test_an_undo_goes_back_although_nothing_is_up(spare: RouterSystem) -> None:
    run = await spare.succeeds("switch-backhaul", router=ROUTER)
    for tenant in ("andes", "condor"):
        spare.fleet.stations[STATION].equipment.break_link(tenant)
    undone, jobs = await spare.apply(await undo_plan(spare.planner, run.id, {}, "ana"))
    assert undone.state is RunState.SUCCEEDED
    assert "5 of 5 core links behind it are down, as before" in jobs[ROUTER].detail
    assert distances(spare) == {0: {1}, 2: {250}}


async def test_drift_that_was_there_before_keeps_nobody_from_switching(spare: RouterSystem) -> None:
    spare.router.foreign_edit(["interface gi0/0/1.101", "description mine"])
    spare.router.save(spare.router_origin)
    assert (await spare.planner.drift((ROUTER,)))[ROUTER]
    await spare.succeeds("switch-backhaul", router=ROUTER)
    assert distances(spare)[2] == {1}


async def test_an_undo_that_keeps_links_down_is_taken_back(
    spare: RouterSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    station = spare.fleet.stations[STATION]
    station.equipment.break_link("andes")
    run = await spare.succeeds("switch-backhaul", impatient(spare), router=ROUTER)
    station.equipment.restore_link("andes")
    await links_up(spare, 5)
    after = spare.router.running
    monkeypatch.setattr("controller.runs.transaction.remote_links.STEADY", 3.0)
    undoing = spare.begin(await undo_plan(spare.planner, run.id, {}, "ana"), check_timeout=4)
    await switched(spare, port=0)
    station.equipment.break_link("andes")
    job = (await spare.end(undoing))[ROUTER]
    assert job.outcome is Outcome.ROLLED_BACK, job
    assert f"link-up {STATION}/" in job.detail
    assert "condor" not in job.detail
    assert same(spare.router.running, after)
    assert same(spare.router.startup, after)
    assert spare.router.reload is None
    assert not spare.router.history.events(EventKind.RESTARTED)


async def test_a_step_is_undone_as_carefully(spare: RouterSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    more = "  - {name: never, action: check-drift, checks: ['{{ false }}']}\n"
    monkeypatch.setattr("controller.runs.transaction.remote_links.STEADY", 3.0)
    running = asyncio.create_task(spare.run("switch-backhaul", impatient(spare, 8, more), router=ROUTER))
    await switched(spare)
    after = spare.router.running
    await switched(spare, port=0)
    spare.fleet.stations[STATION].equipment.break_link("andes")
    job = spare.job(await running, ROUTER)
    assert job.outcome is Outcome.DIVERGED, job
    assert "could not be undone" in job.detail
    assert f"link-up {STATION}/" in job.detail
    assert same(spare.router.running, after)


async def test_whoever_takes_over_goes_on_watching(spare: RouterSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("controller.runs.transaction.remote_links.STEADY", 3.0)
    running = asyncio.create_task(spare.run("switch-backhaul", router=ROUTER))
    await switched(spare)
    await spare.replace_worker()
    run = await running
    assert run.state is RunState.SUCCEEDED, spare.steps(run, ROUTER)
    assert spare.job(run, ROUTER).attempts == 2
    assert same(spare.router.running, spare.router.startup)


async def test_a_refused_line_takes_all_back_without_a_reload(spare: RouterSystem) -> None:
    before = spare.router.running
    spare.router.faults.inject(RouterFault(RouterFaultKind.REFUSE_LINE, line=3))
    run = await spare.run("switch-backhaul", router=ROUTER)
    assert spare.job(run, ROUTER).outcome in (Outcome.ROLLED_BACK, Outcome.FAILED_SAFE), spare.steps(run, ROUTER)
    assert same(spare.router.running, before)
    assert spare.router.reload is None
    assert not spare.router.history.events(EventKind.RESTARTED)


async def test_unsaved_changes_are_not_risked(spare: RouterSystem) -> None:
    spare.router.foreign_edit(["ip route 192.0.2.0 255.255.255.0 Null0"])
    before = spare.router.running
    run = await spare.run("switch-backhaul", router=ROUTER)
    assert run.state is RunState.FAILED
    assert "unsaved changes" in spare.job(run, ROUTER).detail
    assert spare.router.running == before


async def test_a_router_that_is_not_reached_anew_comes_back_by_its_reload(spare: RouterSystem) -> None:
    router, before = spare.router, spare.router.running

    async def strand() -> None:
        """The new way leads nowhere; then the reload's time has come."""
        await until("a reload is planned", has_reload)
        router.faults.inject(RouterFault(RouterFaultKind.REFUSE_SESSIONS, count=None))
        await until("the router is not reached", was_missed)
        router.faults.clear()
        router.restart()
        router._up_again()

    async def has_reload() -> bool:
        return router.reload is not None

    async def was_missed() -> bool:
        return bool(router.history.events(EventKind.FAULT_STRUCK))

    stranding = asyncio.create_task(strand())
    run = await spare.run("switch-backhaul", router=ROUTER)
    await stranding
    assert spare.job(run, ROUTER).outcome is Outcome.ROLLED_BACK, spare.steps(run, ROUTER)
    assert same(router.running, before)


async def test_a_rule_sends_a_site_over_its_standby_when_its_path_is_lost(spare: RouterSystem) -> None:
    """From the loss to the proven repair, through listener, rule, guards and run."""
    chosen = [one for one in rules() if one.name in ("site-cut-off", "core-link-down")]
    spare.listen()
    spare.remediate(chosen=chosen)

    async def seen() -> bool:
        health = spare.store.healths.find([STATION]).get(STATION)
        return health is not None and bool(health.links) and all(link.up for link in health.links)

    await until("its links are seen up", seen)
    others = {name: station.running for name, station in spare.fleet.stations.items()}
    spare.router.lose_path("GigabitEthernet0/0/0")
    assert spare.fleet.stations[STATION].summary()["links_up"] == 0

    async def repaired() -> bool:
        found = spare.store.alarms.page(Page(limit=100), [AlarmState.REPAIRED])[1]
        return any(alarm.probable_cause == "all-core-links-down" for alarm in found)

    await until("the site is repaired", repaired)
    assert distances(spare) == {0: {250}, 2: {1}}
    assert same(spare.router.running, spare.router.startup)
    await links_up(spare, 5)
    (repair,) = spare.store.repairs.since(datetime.min.replace(tzinfo=UTC))
    assert repair.rule == "site-cut-off", "what follows from it is not repaired"
    assert [job.station for job in spare.store.runs.jobs(repair.run)] == [ROUTER]
    assert {name: station.running for name, station in spare.fleet.stations.items()} == others


async def test_a_port_without_a_signal_is_known_before_anybody_needs_it(spare: RouterSystem) -> None:
    def standing() -> dict[str, Alarm]:
        return {one.object: one for one in spare.store.alarms.page(Page(limit=100))[1] if one.cleared is None}

    async def stands(*objects: str) -> None:
        async def they_do() -> bool:
            return {*objects} == {*standing()}

        await until(f"{objects or 'nothing'} stands", they_do)

    spare.listen()

    def port(number: int) -> str:
        return child(f"/Router[{ROUTER}]", "Port", f"GigabitEthernet0/0/{number}")

    spare.router.lose_path("GigabitEthernet0/0/2", signal=True)
    await stands(port(2))
    alarm = standing()[port(2)]
    assert (alarm.station, alarm.probable_cause, alarm.object_class) == (ROUTER, "port-down", "port")
    assert (alarm.tenants, alarm.cells) == ((), ()), "the uplink carries everybody"
    await links_up(spare, 5)
    spare.router.foreign_edit(["interface gi0/0/2", "shutdown"])
    await stands()
    spare.router.lose_path("GigabitEthernet0/0/1", signal=True)
    links = [link.path for link in spare.store.healths.find([STATION])[STATION].links]
    await stands(port(1), "station", *links)
    assert standing()["station"].root == standing()[port(1)].id
    spare.router.restore_path("GigabitEthernet0/0/1")
    await stands()


async def test_a_router_without_a_standby_is_refused(tmp_path: Path) -> None:
    async with open_router_system(tmp_path) as system:
        await system.carry()
        run = await system.run("switch-backhaul", router=ROUTER)
        assert "no standby port" in system.job(run, ROUTER).detail
