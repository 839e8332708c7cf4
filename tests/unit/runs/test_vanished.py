"""A device that lost more than a change removes never ends as if it were well."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.drivers.fake import Fault, FaultKind
from controller.models.alarm import DIVERGED
from controller.models.run import JournalStep, Outcome, RunState
from controller.nrm.tree import Tree
from controller.runs.rollout.transitions import decide
from tests.unit.plan import samples
from tests.unit.runs.test_takeover import bench_of, calls_of, killed
from tests.unit.runs.transaction_bench import QUICK, STATION, Scenario, TransactionBench, add_tenant, retune


def _empties(bench: TransactionBench) -> None:
    """The timer, or a cancel, brings back nothing at all."""
    assert bench.device._pending is not None
    bench.device._pending.backup = {}


@pytest.mark.parametrize("scenario", [add_tenant(), retune()], ids=["creates", "three phases"])
async def test_a_cancel_that_empties_the_station(scenario: Scenario) -> None:
    bench = TransactionBench(scenario, QUICK)
    # The last phase is refused, or what it made does not come up.
    bench.fault("edit", FaultKind.REFUSE, skip=2)
    bench.break_link()
    bench.act("cancel", lambda: _empties(bench))
    result = await bench.work()
    assert result.outcome is Outcome.DIVERGED, result.detail
    assert [alarm.probable_cause for alarm in bench.store.alarms.standing()] == [DIVERGED]


async def test_what_vanished_is_named() -> None:
    bench = TransactionBench(add_tenant(), QUICK)
    bench.break_link()
    bench.act("cancel", lambda: _empties(bench))
    result = await bench.work()
    many = len(bench.scenario.before.tree)
    assert f"{many} of {many} nodes are gone" in result.detail
    assert "/ManagedElement" in result.detail
    assert "not reached within" in result.detail  # why it was taken back


@pytest.mark.parametrize("late", [False, True])
async def test_a_timer_that_empties_the_station_while_nobody_looks(late: bool) -> None:
    """The worker died; who takes over finds nothing, which for creates is the old state."""
    at = (await calls_of("one-phase")).index("confirm") + 1
    bench = bench_of("one-phase")
    device = bench[STATION]
    await killed(bench, at - (2 if late else 0))
    assert device._pending is not None
    device._pending.backup = {}
    bench.clock.pause(61)
    assert device.running == {}
    await bench.work()
    job = bench.job(STATION)
    assert job.outcome is Outcome.DIVERGED, job.detail
    assert "nodes are gone" in job.detail


async def test_software_that_is_still_loading_has_lost_nothing() -> None:
    """The worker died, and who takes over finds software that has just restarted."""
    at = (await calls_of("one-phase")).index("confirm") + 1
    bench = bench_of("one-phase")
    await killed(bench, at - 2)
    bench.clock.pause(61)
    device = bench[STATION]
    loaded, ready = dict(device.running), bench.clock.monotonic() + 3

    def load() -> None:
        if bench.clock.monotonic() < ready:
            device._become({})
        elif not device.running:
            device._become(loaded)

    device.faults.append(Fault("read", act=load, times=100))
    await bench.work()
    job = bench.job(STATION)
    assert job.outcome is Outcome.SUCCEEDED, job.detail


def _without(bench: TransactionBench, part: str) -> Tree:
    return {path: leaves for path, leaves in bench.device.running.items() if part not in path}


async def test_a_commit_that_drops_what_it_does_not_name_is_taken_back() -> None:
    """A policy of another tenant, which neither edits nor checks name."""
    bench = TransactionBench(retune(), QUICK)
    part = next(path for path in reversed(list(bench.device.running)) if not matched(bench, path))
    # Between the last commit and the read that follows it.
    bench.device.faults.append(Fault("read", act=lambda: bench.device._become(_without(bench, part)), skip=3))
    result = await bench.work()
    assert result.outcome is Outcome.ROLLED_BACK, result.detail
    assert part in result.detail
    assert JournalStep.CONFIRMING not in bench.steps
    bench.assert_settled(result)


def matched(bench: TransactionBench, path: str) -> bool:
    """Whether the change's own fingerprint covers a path."""
    paths = bench.scenario.change.fingerprint.paths
    return any(path == one.rpartition("/")[0] or path.startswith(one) for one in paths)


async def test_nodes_that_go_with_the_confirm_are_seen() -> None:
    bench = TransactionBench(add_tenant(), QUICK)
    gone = next(path for path in reversed(list(bench.device.running)) if not matched(bench, path))
    # After the first confirm.
    bench.device.faults.append(Fault("confirm", act=lambda: bench.device._become(_without(bench, gone)), skip=1))
    result = await bench.work()
    assert result.outcome is Outcome.DIVERGED
    assert gone in result.detail


@pytest.mark.parametrize("scenario", [add_tenant(), retune()], ids=["creates", "three phases"])
async def test_relations_that_anr_makes_and_drops_meanwhile_are_no_loss(scenario: Scenario) -> None:
    first, second = (f"{samples.LTE_CELL}/EUtranRelation[{number}]" for number in (17, 18))
    before = replace(scenario.before, tree={**scenario.before.tree, first: {"adjacentCell": "X"}})
    bench = TransactionBench(replace(scenario, before=before), QUICK)

    def anr() -> None:
        bench.device._become({**_without(bench, first), second: {"adjacentCell": "Y"}})

    bench.device.faults.append(Fault("confirm", act=anr, skip=1))
    result = await bench.work()
    assert result.outcome is Outcome.SUCCEEDED, result.detail
    assert second in bench.device.running


async def test_a_station_that_was_emptied_before_its_run_is_no_mere_refusal() -> None:
    bench = TransactionBench(retune(), QUICK)
    bench.device._become({})
    result = await bench.work()
    assert result.outcome is Outcome.DIVERGED
    assert "carries nothing any more" in result.detail
    assert bench.changes == 1


async def test_the_run_stops() -> None:
    bench = TransactionBench(add_tenant(), QUICK)
    bench.break_link()
    bench.act("cancel", lambda: _empties(bench))
    await bench.work()
    transition = decide(bench.store.runs.get(bench.run.id), bench.store.runs.jobs(bench.run.id), bench.clock.now())
    assert transition is not None
    assert transition.state is RunState.DIVERGED
