"""Plans that are made on live stations: wanted, restored, re-created and undone; and what of it is on record."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from controller.drivers.fake import FakeDevices, Fault, FaultKind
from controller.drivers.netconf.target import NetconfTarget
from controller.drivers.target import DeviceTarget
from controller.inventory.frame import Frame
from controller.models.enums import AdoptionCode
from controller.models.errors import ConflictError, InputError, NotFoundError, PlanRefusedError
from controller.models.network import Endpoint, Network, network_digest
from controller.models.plan import Edit, Op, Phase, PhaseKind, Plan
from controller.models.run import RunState, Strategy
from controller.nrm.profiles import cell_of, root_spec
from controller.nrm.tree import Path
from controller.plan import ledger_nodes
from controller.ports.clock import VirtualClock
from controller.runs.launch import prepare_plan
from controller.runs.planning.importer import Importer
from controller.runs.planning.planner import Planner, PlanRequest, Progress
from controller.runs.planning.restore import recreate_plan, restore_plan
from controller.runs.planning.undo import undo_plan
from controller.runs.rollout.transitions import decide
from controller.store import Page, RunRequest, Store, open_store
from tests.support.records import make_change
from tests.unit.plan import samples, test_routers
from tests.unit.runs.transaction_bench import QUICK, STATION, UNSAFE, InstantStore, TransactionBench, add_tenant

TWO, THREE = samples.network(), samples.network(("alfa", "beta", "gamma"))
LINK = f"{samples.LTE}/EP_S1C[alfa-mme]"
SHARE = f"{samples.LTE_CELL}/plmnRadioShareList[716,02]"


def target(_network: Network, station: str) -> DeviceTarget:
    if station == "S9":
        raise NotFoundError("S9 has no endpoint")
    return NetconfTarget(station, samples.PROFILES, "127.0.0.1", 830, "ssh-ed25519 AAAA", "minka", "device")


@dataclass
class Bench:
    """Two stations that carry what the network files say."""

    store: Store
    devices: FakeDevices
    clock: VirtualClock
    planner: Planner

    def load(self, network: Network) -> None:
        self.store.networks.save(network, network_digest(network), "ana")

    async def plan(self, selector: str = "*", **asked: object) -> Plan:
        return await self.planner.plan(PlanRequest(selector, **asked), "ana")  # type: ignore[arg-type]

    async def restore(self, state: str = "", **asked: object) -> Plan:
        return await restore_plan(self.planner, PlanRequest(STATION, **asked), "ana", state)  # type: ignore[arg-type]

    async def recreate(self, endpoint: str) -> Plan:
        return await recreate_plan(self.planner, PlanRequest(STATION), "ana", endpoint)

    def lose(self, path: Path, station: str = STATION) -> None:
        """Somebody deletes an entry with all below."""
        self.devices[station].foreign_edit([Edit(op=Op.DELETE, path=path, owners=("host",))])


@pytest.fixture
def bench() -> Iterator[Bench]:
    clock = VirtualClock()
    store = open_store("sqlite://", clock)
    devices = FakeDevices(clock)
    for station in ("S1", "S2"):
        devices.add(station, samples.PROFILES, samples.carrying(TWO, station).tree)
    made = Bench(store, devices, clock, Planner(InstantStore(store), devices, clock, target))
    made.load(TWO)
    yield made
    store.close()


# ---------------------------------------------------------------------- wanted


async def test_only_adopted_stations_are_planned(bench: Bench) -> None:
    nodes = len(samples.ledger(TWO))
    (made,) = (await bench.planner.adopt("S1", "ana")).values()
    assert (made.code, made.nodes, made.words) == (AdoptionCode.ADOPTED, nodes, f"adopted, {nodes} nodes")
    bench.load(THREE)
    progress = Progress()
    plan = await bench.planner.plan(PlanRequest("*", expect_stations=1), "ana", progress)
    assert [change.station for change in plan.changes] == ["S1"]
    assert plan.unplanned == {"S2": "not adopted: observe-only"}
    assert plan.observed_only == ("S2",)
    assert (progress.done, progress.total) == (2, 2)
    assert bench.store.plans.get(plan.id) == plan
    assert (plan.selector, plan.network_digest) == ("*", network_digest(THREE))


async def test_what_would_be_planned_if_it_were_adopted_adopts_nothing(bench: Bench) -> None:
    bench.load(THREE)
    plan = await bench.plan("S1", adopt=True)
    assert [change.station for change in plan.changes] == ["S1"]
    assert not any(one.adopted for one in bench.store.devices.find(["S1"]).values())
    assert bench.store.ledger.find(["S1"]).get("S1", {}) == {}
    await bench.planner.adopt("S1", "ana")
    assert (await bench.plan("S1", adopt=True)).id == (await bench.plan("S1")).id


async def test_a_plan_says_who_could_not_be_read_and_who_is_under_a_hold(bench: Bench) -> None:
    await bench.planner.adopt("*", "ana")
    bench.load(THREE)
    bench.devices["S2"].unreachable = "no route"
    bench.store.holds.add("S1", "rigger", "on the mast", None)
    plan = await bench.plan(skip_under_hold=True)
    assert set(plan.unplanned) == {"S1", "S2"}
    assert "hold" in plan.unplanned["S1"]
    assert "no route" in plan.unplanned["S2"]
    waits = await bench.plan("S1")
    assert [change.station for change in waits.changes] == ["S1"]
    assert "hold" in {finding.code for finding in waits.findings}


async def test_a_selector_that_matches_nothing_is_refused(bench: Bench) -> None:
    for asked in (bench.plan("S9*"), restore_plan(bench.planner, PlanRequest("S9*"), "ana")):
        with pytest.raises(InputError):
            await asked


async def test_what_can_not_be_read_is_not_adopted(bench: Bench) -> None:
    bench.devices["S2"].unreachable = "no route"
    made = (await bench.planner.adopt("S2", "ana"))["S2"]
    assert made.code is AdoptionCode.UNREAD
    assert "no route" in made.words
    assert bench.store.ledger.find(["S2"]).get("S2", {}) == {}


async def test_who_does_not_revert_by_itself_is_known_when_it_is_read(bench: Bench) -> None:
    bench.devices.add("S2", samples.PROFILES, samples.carrying(TWO, "S2").tree, UNSAFE)
    assert (await bench.planner.read(TWO, "S1")).reverts(1)
    assert not (await bench.planner.read(TWO, "S2")).reverts(1)


async def test_drift_is_told_of_what_is_adopted_and_can_be_read(bench: Bench) -> None:
    await bench.planner.adopt("S1", "ana")
    bench.lose(SHARE)
    bench.load(THREE)
    (row,) = (await bench.planner.drift(["S1", "S2"]))["S1"]
    assert (row.cell, row.tenant) == ("L1", "beta")
    assert "S2" not in await bench.planner.drift(["S1", "S2"])
    bench.devices["S1"].unreachable = "no route"
    assert await bench.planner.drift(["S1"]) == {}


async def test_what_stations_carry_is_told_where_it_is_not_what_the_ledger_says(bench: Bench) -> None:
    await bench.planner.adopt("*", "ana")
    assert await bench.planner.carried() == ([], [])
    bench.lose(SHARE)
    bench.devices["S2"].unreachable = "no route"
    (carried,), unread = await bench.planner.carried()
    assert (carried.station, carried.nodes, carried.lost) == ("S1", (), (SHARE,))
    assert unread == ["S2"]


async def test_what_takes_something_from_a_router_watches_the_links_on_record_behind_it(bench: Bench) -> None:
    network = test_routers.tiny()
    router, station = test_routers.NAME, test_routers.STATION
    nodes = tuple(ledger_nodes(root_spec(network.profiles_of(station)), test_routers.wanted(network, station)))
    bench.load(network)
    delete = Edit(op=Op.DELETE, path=test_routers.ROUTE, owners=("condor",))
    takes = (Phase(kind=PhaseKind.EDIT, edits=(delete,), inverse=()),)
    change = make_change(router).model_copy(update={"phases": takes})
    assert (await bench.planner.with_links(network, change)).checks == ()
    bench.store.devices.adopt(station, nodes, network_digest(network), "ana")
    seen = await bench.planner.with_links(network, change)
    assert {check.behind for check in seen.checks if check.path} == {station}
    # A station's own change watches nothing behind it.
    own = make_change(station).model_copy(update={"phases": takes})
    assert await bench.planner.with_links(network, own) == own


# -------------------------------------------------------------------- restored


async def test_what_was_last_applied_is_restored_whatever_the_files_ask_for(bench: Bench) -> None:
    await bench.planner.adopt(STATION, "ana")
    bench.lose(SHARE)
    bench.load(THREE)
    plan = await bench.restore()
    (change,) = plan.changes
    assert [(edit.op, edit.path) for phase in change.phases for edit in phase.edits] == [(Op.CREATE, SHARE)]
    assert bench.store.plans.get(plan.id) == plan
    assert (change.gained, change.lost) == ((), ())


async def test_a_hold_and_what_is_not_ours_keep_a_station_out_of_a_restore(bench: Bench) -> None:
    restored = await bench.restore()
    assert restored.unplanned == {STATION: "not adopted: observe-only"}
    assert restored.observed_only == (STATION,)
    await bench.planner.adopt(STATION, "ana")
    bench.lose(SHARE)
    bench.store.holds.add(f"{STATION}/L1", "rigger", "on the mast", None)
    plan = await bench.restore()
    assert "hold" in plan.unplanned[STATION]


async def test_a_state_is_a_run_or_a_time_that_has_been(bench: Bench) -> None:
    await bench.planner.adopt(STATION, "ana")
    with pytest.raises(NotFoundError):
        await bench.restore("r-nosuch")
    with pytest.raises(InputError, match="'yesterday' is neither a run"):
        await bench.restore("yesterday")
    with pytest.raises(InputError, match="lies in the future"):
        await bench.restore("2999-01-01T00:00")
    # Without a zone it is the network's: an hour ago in Lima is still to come in local words of UTC.
    now = bench.clock.now()
    assert (await bench.restore(now.isoformat())).changes == ()
    with pytest.raises(InputError, match="lies in the future"):
        await bench.restore(now.replace(tzinfo=None).isoformat())


# ------------------------------------------------------------------ re-created


@pytest.mark.parametrize("name", [LINK, "EP_S1C[alfa-mme]"])
async def test_a_core_link_of_ours_is_made_again(bench: Bench, name: str) -> None:
    await bench.planner.adopt(STATION, "ana")
    plan = await bench.recreate(name)
    (change,) = plan.changes
    first, second = ({(edit.op, edit.path) for edit in phase.edits} for phase in change.phases)
    assert first == {(Op.DELETE, LINK)}
    assert (Op.CREATE, LINK) in second
    assert change.touched == ("alfa",)
    assert bench.store.plans.get(plan.id) == plan


async def test_only_links_that_are_ours_and_free_are_made_again(bench: Bench) -> None:
    with pytest.raises(InputError, match=r"S1 has no core endpoint of ours 'EP_S1C.alfa-mme.'; it has none"):
        await bench.recreate("EP_S1C[alfa-mme]")
    await bench.planner.adopt(STATION, "ana")
    with pytest.raises(InputError, match="no core endpoint of ours"):
        await bench.recreate("EP_S1C[alfa-mm]")
    device = bench.devices[STATION]
    device.foreign_edit([Edit(op=Op.MERGE, path=LINK, after={"administrativeState": "LOCKED"}, owners=("host",))])
    why = (await bench.recreate("EP_S1C[alfa-mme]")).unplanned[STATION]
    assert why == f"somebody locked S1 link alfa-mme outside of Minka: it is not touched on {STATION}"
    hold = bench.store.holds.add(STATION, "rigger", "on the mast", None)
    assert (await bench.recreate("EP_S1C[alfa-mme]")).unplanned[STATION] == f"hold on {STATION}"
    bench.store.holds.end(hold.id, "ana")
    device.unreachable = "no route"
    assert "no route" in (await bench.recreate("EP_S1C[alfa-mme]")).unplanned[STATION]


# ---------------------------------------------------------------------- undone


async def ended() -> tuple[TransactionBench, Planner]:
    """A run that brought tenant gamma, and has ended."""
    world = TransactionBench(add_tenant(), QUICK)
    planner = Planner(InstantStore(world.store), world.devices, world.clock, target)
    await planner.adopt(STATION, "ana")
    with pytest.raises(ConflictError, match=f"run {world.run.id} is running"):
        await undo_plan(planner, world.run.id, {}, "ana")
    await world.work()
    while world.store.runs.advance(world.run.id, lambda run, jobs: decide(run, jobs, world.clock.now())):
        pass
    assert world.store.runs.get(world.run.id).state is RunState.SUCCEEDED
    return world, planner


async def test_a_run_is_undone_by_what_it_left_and_just_that() -> None:
    world, planner = await ended()
    count = len(world.scenario.after) - len(world.scenario.before.tree)
    for wrong in ({}, {"gamma": count + 1}, {"gamma": count, "beta": 1}):
        with pytest.raises(PlanRefusedError):
            await undo_plan(planner, world.run.id, wrong, "ana")
    progress = Progress()
    plan = await undo_plan(planner, world.run.id, {"gamma": count}, "ana", progress)
    (change,) = plan.changes
    assert (plan.undoes, plan.removals) == (world.run.id, {"gamma": count})
    assert (change.removes, set(change.lost)) == (
        {"gamma": count},
        set(world.scenario.after) - set(world.scenario.before.tree),
    )
    assert (progress.done, progress.total) == (1, 1)
    assert world.store.plans.get(plan.id) == plan


async def test_an_undo_waits_at_least_as_long_as_the_run_that_it_undoes() -> None:
    world, planner = await ended()
    count = len(world.scenario.after) - len(world.scenario.before.tree)
    plan = await undo_plan(planner, world.run.id, {"gamma": count}, "ana")
    for asked, waits in ((1, QUICK.check_timeout), (9, 9)):
        strategy = Strategy(check_timeout=asked)
        undo = prepare_plan(world.store, RunRequest(plan=plan, actor="ana", strategy=strategy), plan.created)
        assert (undo.procedure, undo.strategy.check_timeout) == ("undo", waits)
        assert [(job.wave, job.station) for job in undo.jobs] == [(0, STATION)]
    again = prepare_plan(
        world.store, RunRequest(plan=world.scenario.plan, actor="ana", strategy=Strategy(check_timeout=1)), plan.created
    )
    assert (again.procedure, again.strategy.check_timeout) == ("apply", 1)


async def test_a_plan_that_changes_nothing_is_not_applied(bench: Bench) -> None:
    await bench.planner.adopt("S1", "ana")
    plan = await bench.plan("S1")
    with pytest.raises(PlanRefusedError, match=f"plan {plan.id} changes nothing"):
        prepare_plan(bench.store, RunRequest(plan=plan, actor="ana"), plan.created)


async def test_what_was_changed_since_is_not_undone() -> None:
    world, planner = await ended()
    before, after = world.scenario.before.tree, world.scenario.after
    gone = next(path for path in after if path.endswith("plmnIdList[716,03]"))
    world.device.foreign_edit([Edit(op=Op.DELETE, path=gone, owners=("host",))])
    theirs = {path for path in after if path not in before and cell_of(path) == cell_of(gone)} - {gone}
    goes = {path for path in after if path not in before and cell_of(path) not in ("", cell_of(gone))}
    plan = await undo_plan(planner, world.run.id, {"gamma": len(goes)}, "ana")
    (change,) = plan.changes
    assert set(change.lost) == goes
    told = {one.cell: one.message for one in plan.findings if one.code == "stays-as-it-is"}
    assert "changed since by somebody else: " in told[cell_of(gone)]
    assert ("which stays, needs it" in told.get("", "")) == bool(theirs)
    assert plan.unplanned == {}
    world.device.unreachable = "no route"
    with pytest.raises(PlanRefusedError, match=r"can be undone: S1: unreachable: .*no route"):
        await undo_plan(planner, world.run.id, {}, "ana")


async def test_the_state_before_a_run_is_restored_where_removals_are_named() -> None:
    world, planner = await ended()
    count = len(world.scenario.after) - len(world.scenario.before.tree)
    with pytest.raises(PlanRefusedError):
        await restore_plan(planner, PlanRequest(STATION, remove={"gamma": count + 1}), "ana", world.run.id)
    plan = await restore_plan(planner, PlanRequest(STATION, remove={"gamma": count}), "ana", world.run.id)
    (change,) = plan.changes
    assert change.removes == plan.removals == {"gamma": count}
    # Without a name, what is ours now stays, and nothing else was changed.
    kept = await restore_plan(planner, PlanRequest(STATION), "ana", world.run.id)
    assert kept.is_empty


# -------------------------------------------------------------------- imported


async def test_what_can_be_read_is_imported_and_the_ways_to_all_are_on_record_before(bench: Bench) -> None:
    endpoints = [
        Endpoint.model_validate(
            {"station": name, "address": f"127.0.0.{n}", "port": 830, "host_key": "ssh-ed25519 AAAA"}
        )
        for n, name in enumerate(("S1", "S2", "S9"), 1)
    ]
    bare = TWO.model_copy(update={"stations": (), "cells": (), "endpoints": (), "agreements": ()})
    frame = Frame(bare, tuple(endpoints), {"S1": "site-1", "S2": "site-2", "S9": "site-1"})
    bench.devices["S2"].unreachable = "no route"
    # One that does not know all profiles is asked for each alone.
    bench.devices["S1"].faults.append(Fault("read", FaultKind.REFUSE))
    made = await Importer(InstantStore(bench.store), bench.devices, bench.clock).import_network(frame, "ana")
    assert [station.id for station in made.network.stations] == ["S1"]
    assert {cell.name for cell in made.network.cells} == {"S1/L1", "S1/N1"}
    assert any("S2" in note and "no route" in note for note in made.notes)
    assert any("S9" in note for note in made.notes)
    rows = [row for row in bench.store.audit.page(Page())[1] if row.action.startswith("network.import")]
    assert {(row.actor, row.object) for row in rows} == {("ana", "test")}
    (done,) = [row for row in rows if row.action == "network.imported"]
    assert done.detail == {"asked": "3", "found": "1"}
    (begun,) = [row for row in rows if row.action == "network.import_begun"]
    assert begun.id < done.id
    assert bench.store.ledger.find(["S1"]).get("S1", {}) == {}
