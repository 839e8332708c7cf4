"""Servers that put no entry of a list in order in a place, as netconfd: nobody stays off the air for that."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache

import pytest

from controller.cli.plan_view import conclusion
from controller.drivers.fake import FaultKind
from controller.drivers.protocols import Capabilities
from controller.drivers.target import DeviceTarget
from controller.models.alarm import DIVERGED
from controller.models.behaviour import TRUSTED
from controller.models.network import Network, network_digest
from controller.models.plan import Change, Edit, Op, PhaseKind
from controller.models.run import PERSON, LedgerBefore, Outcome
from controller.models.sharing import ActionClass
from controller.nrm.apply import names_places, sent_to_end, siblings
from controller.nrm.profiles import administrative_state
from controller.nrm.tree import Path, Tree
from controller.plan import plan_to_json
from controller.plan.extent import extent
from controller.plan.undo import undo_change
from controller.runs.approval.consent import effect_of, taken_by
from controller.runs.planning.planner import Planner, PlanRequest
from controller.runs.planning.restore import restore_plan
from controller.runs.planning.undo import undo_plan
from controller.runs.rollout.transitions import decide
from controller.store import EndedJob
from controller.store.jobs import left_locks
from tests.unit.plan import samples
from tests.unit.plan.samples import LTE_CELL
from tests.unit.runs.transaction_bench import QUICK, STATION, TARGET, InstantStore, Scenario, TransactionBench

#: Announces its software, but no confirmed commit that could be trusted.
UNSAFE = Capabilities(
    candidate=True, confirmed_commit=False, writable_running=False, startup=False, validate=True, software="acme-1"
)
THREE = ("alfa", "beta", "gamma")


@cache
def remove_one(name: str, capabilities: Capabilities = UNSAFE) -> Scenario:
    """Three phases: a tenant leaves, of whose cell another physical identity is wanted: lock, edit, unlock."""
    old, new = samples.network(THREE), without(name)
    options = replace(samples.FREELY, remove={name: 14})
    made = samples.plan(new, {STATION: samples.view(old)}, options)
    return Scenario(samples.carrying(old), made, capabilities)


def without(name: str) -> Network:
    cells = [cell.model_dump() | ({"pci": 7} if cell.rat == "LTE" else {}) for cell in samples.network(THREE).cells]
    return samples.network([one for one in THREE if one != name], cells=cells)


def planner_of(bench: TransactionBench) -> Planner:
    def target(_network: Network, _station: str) -> DeviceTarget:
        return TARGET

    return Planner(InstantStore(bench.store), bench.devices, bench.clock, target)


def order(tree: Tree) -> list[Path]:
    return siblings(tree, f"{LTE_CELL}/plmnIdList[1,1]")


def bench_of(name: str) -> TransactionBench:
    bench = TransactionBench(remove_one(name), QUICK)
    assert [phase.kind for phase in bench.scenario.change.phases] == [PhaseKind.LOCK, PhaseKind.EDIT, PhaseKind.UNLOCK]
    bench.device.places = False
    return bench


async def test_a_removal_is_taken_back_though_the_place_is_refused() -> None:
    bench = bench_of("beta")
    before = bench.scenario.before.tree
    bench.fault("edit", FaultKind.REFUSE, skip=2)
    result = await bench.work()
    assert result.outcome is Outcome.ROLLED_BACK, result.detail
    assert bench.device.running == before
    assert administrative_state(bench.device.running, LTE_CELL) == "UNLOCKED"
    # The order differs, and the outcome says so.
    assert order(bench.device.running) == [order(before)[0], *order(before)[2:], order(before)[1]]
    assert order(before)[1].rpartition("/")[2] in result.detail
    assert (await planner_of(bench).read(samples.network(), STATION)).behaviour.places is False


async def test_a_removal_of_the_last_is_taken_back_exactly() -> None:
    bench = bench_of("gamma")
    bench.fault("edit", FaultKind.REFUSE, skip=2)
    result = await bench.work()
    assert result.outcome is Outcome.ROLLED_BACK, result.detail
    bench.assert_settled(result)
    assert (await planner_of(bench).read(samples.network(), STATION)).behaviour.places


@pytest.mark.parametrize("unlocks", [True, False])
async def test_cells_that_were_locked_come_back_though_the_rest_is_refused(unlocks: bool) -> None:
    bench = bench_of("beta")
    # The unlock, the inverse of the edit, and that without places; then the unlock on the way back.
    bench.fault("edit", FaultKind.REFUSE, skip=2, times=2 if unlocks else 3)
    bench.device.places = True
    result = await bench.work()
    assert result.outcome is Outcome.DIVERGED
    assert administrative_state(bench.device.running, LTE_CELL) == ("UNLOCKED" if unlocks else "LOCKED")
    assert ("unlocked all the same" in result.detail) is unlocks
    lost = order(bench.scenario.before.tree)[1].rpartition("/")[2]
    assert lost in result.detail.rpartition("not as it was before: ")[2]
    assert bench.device.candidate == bench.device.running
    assert not bench.device.lock_holder


async def left_locked(bench: TransactionBench) -> Planner:
    """A removal ends diverged and leaves the cell locked; then the files ask for what is left, which is less."""
    planner = planner_of(bench)
    bench.store.networks.save(samples.network(THREE), network_digest(samples.network(THREE)), "ana")
    await planner.adopt(STATION, "ana")
    bench.fault("edit", FaultKind.REFUSE, skip=2, times=4)
    assert (await bench.work()).outcome is Outcome.DIVERGED
    settle(bench)
    bench.store.networks.save(without("beta"), network_digest(without("beta")), "ana")
    return planner


def settle(bench: TransactionBench) -> None:
    while bench.store.runs.advance(bench.run.id, lambda found, jobs: decide(found, jobs, bench.clock.now())):
        pass


async def test_a_plan_names_what_a_diverged_run_left_and_the_way_out() -> None:
    """A plan that no person asked for unlocks nothing; the record has more than the station carries."""
    bench = bench_of("beta")
    planner = await left_locked(bench)
    plan = await planner.plan(PlanRequest(STATION), "ana")
    told = {finding.code: finding.message for finding in plan.findings}
    assert f"minka playbook run unlock-cell station={STATION} cell=L1" in told["left-locked"]
    assert f"minka undo {bench.run.id}" in told["left-locked"]
    assert f"minka device drift {STATION}" in told["gone-on-record"]
    assert (await planner.drift([STATION]))[STATION]
    said = " ".join(conclusion(json.loads(plan_to_json(plan))).said)
    assert plan.is_empty
    assert "Nothing to do" not in said
    assert f"{STATION}/L1 is off the air" in said
    (alarm,) = bench.store.alarms.standing([STATION])
    assert alarm.probable_cause == DIVERGED
    repair = await restore_plan(planner, PlanRequest(STATION), "ana")
    assert "diverged" in repair.unplanned[STATION]
    bench.store.holds.add(f"{STATION}/L1", "ana", "a rigger is on the mast", None)
    held = await planner.plan(PlanRequest(STATION, unlocks=True), "ana")
    assert held.is_empty
    assert {"left-locked", "hold"} <= {finding.code for finding in held.findings}


async def test_a_persons_plan_puts_a_cell_back_on_the_air_that_a_diverged_run_left_locked() -> None:
    bench = bench_of("beta")
    planner = await left_locked(bench)
    plan = await planner.plan(PlanRequest(STATION, unlocks=True), "ana")
    (change,) = plan.changes
    assert change.only_unlocks
    assert [(row.cell, row.before, row.after) for row in change.diff] == [
        ("L1", "LOCKED by a run that diverged", "UNLOCKED")
    ]
    assert change.freed == {"alfa": ("L1",), "gamma": ("L1",)}
    assert not change.outage.interrupts
    assert "left-locked" not in {finding.code for finding in plan.findings}
    assert extent(plan, without("beta")).cells_unlocked == 1
    assert "puts 1 cell back on the air" in " ".join(conclusion(json.loads(plan_to_json(plan))).said)
    # Consent is that of any other unlock: to bring back, and no window is waited for.
    effect = effect_of(change)
    assert effect.asks == {("alfa", ActionClass.RESTORE), ("gamma", ActionClass.RESTORE)}
    assert effect.cells_of("alfa", ActionClass.RESTORE) == {"L1"}
    assert not effect.interrupted
    assert not taken_by(change, ())
    bench.device.faults.clear()
    bench.scenario = replace(bench.scenario, plan=plan)
    bench.run = bench.start(QUICK)
    assert (await bench.work()).outcome is Outcome.SUCCEEDED
    settle(bench)
    assert administrative_state(bench.device.running, LTE_CELL) == "UNLOCKED"
    again = await planner.plan(PlanRequest(STATION, unlocks=True), "ana")
    assert again.is_empty
    # Who takes that back takes tenants off the air, and asks them.
    seen = await planner.read(samples.network(), STATION)
    back = undo_change(samples.PROFILES, change, seen)
    assert {("alfa", ActionClass.INTERRUPT), ("gamma", ActionClass.INTERRUPT)} <= effect_of(back).asks


async def test_a_cell_that_is_unlocked_beside_other_edits_comes_back_in_the_last_phase() -> None:
    bench = bench_of("beta")
    planner = await left_locked(bench)
    bench.store.networks.save(samples.network(THREE), network_digest(samples.network(THREE)), "ana")
    plan = await planner.plan(PlanRequest(STATION, unlocks=True), "ana")
    (change,) = plan.changes
    assert [phase.kind for phase in change.phases] == [PhaseKind.EDIT, PhaseKind.UNLOCK]
    assert ("alfa", ActionClass.RESTORE) in effect_of(change).asks
    assert ("alfa", ActionClass.INTERRUPT) not in effect_of(change).asks


async def test_a_lock_that_is_not_what_the_run_left_stays() -> None:
    """One that came after the station was brought back is somebody else's; one that a run was asked for stays."""
    bench = bench_of("beta")
    planner = await left_locked(bench)
    (alarm,) = bench.store.alarms.standing([STATION])
    bench.store.alarms.clear(alarm.id, "ana", "brought back by hand")
    plan = await planner.plan(PlanRequest(STATION, unlocks=True), "ana")
    assert plan.is_empty
    assert "left-locked" in {finding.code for finding in plan.findings}


def test_only_a_lock_for_the_edits_of_a_run_itself_has_lapsed() -> None:
    (change,) = remove_one("beta").plan.changes
    lock, *rest = change.phases
    assert would_have_ended(change)
    assert not would_have_ended(change.model_copy(update={"phases": (lock,)}))
    gone = Edit(op=Op.DELETE, path=LTE_CELL, owners=("host",))
    removed = rest[0].model_copy(update={"edits": (gone,)})
    assert would_have_ended(change.model_copy(update={"phases": (lock, removed)}))


def would_have_ended(change: Change) -> bool:
    before = LedgerBefore()
    job = EndedJob("r-1", "apply", PERSON, "j-1", STATION, samples.NOW, Outcome.DIVERGED, (), before, unsure=(change,))
    return left_locks.would_have_ended(job, "L1")


async def test_an_undo_learns_that_there_are_no_places_and_the_next_one_appends_and_says_so() -> None:
    bench = bench_of("beta")
    planner = planner_of(bench)
    await planner.adopt(STATION, "ana")
    assert (await bench.work()).outcome is Outcome.SUCCEEDED
    run = bench.run.id
    while bench.store.runs.advance(run, lambda found, jobs: decide(found, jobs, bench.clock.now())):
        pass
    refused = await undo(bench, planner, run)
    assert refused == (Outcome.ROLLED_BACK, [], True)
    done = await undo(bench, planner, run)
    gone = order(bench.scenario.before.tree)[1]
    assert done == (Outcome.SUCCEEDED, ["appended"], False)
    assert order(bench.device.running)[-1] == gone
    assert bench.device.running == bench.scenario.before.tree


async def undo(bench: TransactionBench, planner: Planner, run: str) -> tuple[Outcome, list[str], bool]:
    """The outcome of an undo, codes of findings about places, and whether its edits name places."""
    made = await undo_plan(planner, run, {}, "ana")
    (change,) = made.changes
    bench.scenario = replace(bench.scenario, plan=made)
    bench.run = bench.start(QUICK)
    result = await bench.work()
    while bench.store.runs.advance(bench.run.id, lambda found, jobs: decide(found, jobs, bench.clock.now())):
        pass
    placed = any(edit.after_sibling is not None for phase in change.phases for edit in phase.edits)
    codes = sorted({finding.code for finding in made.findings if finding.code == "appended"})
    return result.outcome, codes, placed


def test_a_vanished_primary_is_appended_where_there_are_no_places() -> None:
    old = samples.network()
    seen = samples.carrying(old)
    first = order(seen.tree)[0]
    tree = {path: leaves for path, leaves in seen.tree.items() if path != first}
    found = {}
    for places in (True, False):
        behaviour = TRUSTED.model_copy(update={"places": places})
        view = replace(samples.view(old), observed=replace(seen, tree=tree, behaviour=behaviour))
        made = samples.plan(old, {STATION: view})
        edits = [edit for phase in samples.only_change(made).phases for edit in phase.edits if edit.path == first]
        codes = {finding.code for finding in made.findings}
        found[places] = [edit.after_sibling for edit in edits], "appended" in codes
    assert found == {True: ([""], False), False: ([None], True)}


def test_an_entry_that_went_to_the_end_is_told_from_one_that_others_moved() -> None:
    tree = samples.carrying(samples.network(THREE)).tree
    first, second, third = order(tree)
    wanted = [Edit(op=Op.CREATE, path=third, owners=("gamma",), after_sibling=first)]
    assert sent_to_end(tree, wanted) == (third,)
    wanted = [Edit(op=Op.CREATE, path=second, owners=("beta",), after_sibling="")]
    assert sent_to_end(tree, wanted) == ()
    assert names_places(tree, wanted)
    assert not names_places({}, [Edit(op=Op.CREATE, path=third, owners=("gamma",), after_sibling=first)])
