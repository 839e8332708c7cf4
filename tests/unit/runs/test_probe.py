"""How a server behaves is tried out once, with a commit of nothing, and what it wants is then done."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from controller.models.behaviour import Behaviour, FollowUp
from controller.models.errors import NotClearedError, SessionLostError
from controller.models.run import JournalStep, Outcome, RunState, Strategy
from controller.ports.clock import VirtualClock
from controller.ports.fake_devices import SAFE, Fault, FaultKind
from controller.ports.store import Page
from controller.runs.planning.planner import Planner
from controller.runs.transaction.probe import Findings
from tests.unit.plan import samples
from tests.unit.plan.samples import LTE_CELL
from tests.unit.runs.group_bench import GroupBench, unit
from tests.unit.runs.transaction_bench import (
    QUICK,
    STATION,
    TARGET,
    InstantStore,
    Interrupter,
    Killed,
    TransactionBench,
    add_tenant,
    retune,
)

#: Of software that nobody knows yet.
UNKNOWN = replace(SAFE, software="acme-1")


@pytest.mark.parametrize("form", FollowUp)
async def test_a_change_in_phases_follows_up_as_the_server_wants_it(form: FollowUp) -> None:
    bench = TransactionBench(retune(UNKNOWN), QUICK)
    bench.device.follow_up = form
    result = await bench.work()
    assert result.outcome is Outcome.SUCCEEDED, result.detail
    assert JournalStep.CONFIRMING in bench.steps  # it was guarded by a confirmed commit
    assert bench.store.behaviours.get("acme-1") == Behaviour(follow_up=form)
    bench.assert_settled(result)


async def test_the_probe_changes_nothing_and_comes_before_anything_is_locked_on_air() -> None:
    bench = TransactionBench(retune(UNKNOWN), QUICK)
    history: list[int] = []
    bench.device.faults.append(Fault("cancel", act=lambda: history.append(bench.changes)))
    assert (await bench.work()).outcome is Outcome.SUCCEEDED
    assert history == [0]
    assert bench.steps[:4] == [JournalStep.OPENED, JournalStep.LOCKED, JournalStep.PROBING, JournalStep.READ]
    probing = bench.journal[2]
    assert probing.persist
    assert probing.deadline is not None


async def test_it_is_probed_once_and_remembered() -> None:
    bench = TransactionBench(retune(UNKNOWN), QUICK)
    assert (await bench.work()).outcome is Outcome.SUCCEEDED
    cancels = sum(line.endswith(" cancel") for line in bench.device.log)
    bench.device.foreign_edit([edit for phase in reversed(bench.scenario.change.phases) for edit in phase.inverse])
    bench.run = bench.start(QUICK)
    assert (await bench.work()).outcome is Outcome.SUCCEEDED
    assert sum(line.endswith(" cancel") for line in bench.device.log) == cancels == 1
    _, rows = bench.store.audit.page(Page(limit=1000))
    assert [row.object for row in rows if row.action == "behaviour.learned"] == ["acme-1"]


async def test_who_takes_no_follow_up_is_changed_in_phases_by_the_stored_inverse() -> None:
    bench = TransactionBench(retune(UNKNOWN), QUICK)
    bench.device.follow_up = None
    result = await bench.work()
    assert result.outcome is Outcome.SUCCEEDED
    assert JournalStep.CONFIRMING not in bench.steps
    known = bench.store.behaviours.get("acme-1")
    assert known is not None
    assert (known.follow_up, known.cancels) == (None, True)
    assert "Persist ID given" in known.reason
    bench.assert_settled(result)
    # A change of one phase needs none.
    one = TransactionBench(add_tenant(UNKNOWN), QUICK)
    one.device.follow_up = None
    assert (await one.work()).outcome is Outcome.SUCCEEDED
    assert JournalStep.CONFIRMING in one.steps


@pytest.mark.parametrize("operation", ["commit_confirmed", "cancel"])
async def test_who_refuses_is_not_trusted(operation: str) -> None:
    bench = TransactionBench(add_tenant(UNKNOWN), QUICK)
    bench.fault(operation, FaultKind.REFUSE)
    result = await bench.work()
    assert result.outcome is Outcome.SUCCEEDED
    assert JournalStep.CONFIRMING not in bench.steps
    bench.assert_settled(result)
    assert (
        await Planner(InstantStore(bench.store), bench.devices, bench.clock, lambda *_: TARGET).read(
            samples.network(), STATION
        )
    ).reverts is False


async def test_a_probe_that_does_harm_is_named_and_stops() -> None:
    """As a server whose cancel empties running."""
    bench = TransactionBench(add_tenant(UNKNOWN), QUICK)

    def empty() -> None:
        assert bench.device._pending is not None
        bench.device._pending.backup = {}

    bench.act("cancel", empty)
    result = await bench.work()
    assert result.outcome is Outcome.DIVERGED
    assert "empty confirmed commit" in result.detail
    known = bench.store.behaviours.get("acme-1")
    assert known is not None
    assert not known.cancels


@pytest.mark.parametrize("denies", [False, True], ids=["locks", "locks denied"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_a_worker_that_dies_while_it_probes_leaves_nothing(after: bool, denies: bool) -> None:
    first = TransactionBench(retune(UNKNOWN), QUICK)
    calls = Interrupter()
    await first.transaction(first.claim(), calls).run()
    begin, end = calls.calls.index("commit_confirmed") + 1, calls.calls.index("cancel") + 3
    for at in range(begin, end):
        bench = TransactionBench(retune(UNKNOWN), QUICK)
        bench.device.denies_locks = denies
        claim = bench.claim()
        with pytest.raises(Killed):
            await bench.transaction(claim, Interrupter(at, after, hung=at % 2 == 0)).run()
        bench.declare_dead(claim)
        result = await bench.work()
        assert result.outcome is Outcome.SUCCEEDED, (at, result.detail)
        bench.assert_settled(result)


async def test_who_loses_the_session_at_each_probe_is_changed_without_one() -> None:
    bench = TransactionBench(retune(UNKNOWN), QUICK)
    bench.fault("commit_confirmed", FaultKind.DROP_AFTER, times=2)
    result = await bench.work()
    assert result.outcome is Outcome.SUCCEEDED
    tokens = [row.persist for row in bench.journal if row.step is JournalStep.PROBING]
    assert len(tokens) == len(set(tokens)) == 2, "one of its own for each, so that what is pending can be told"
    # It may have been the network: nothing is remembered of it.
    assert bench.store.behaviours.get("acme-1") is None


async def test_no_job_that_may_not_begin_probes() -> None:
    bench = TransactionBench(retune(UNKNOWN), QUICK)
    claim = bench.claim()
    with bench.store.database.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE jobs SET blocked = 'a hold'")
    with pytest.raises(NotClearedError):
        await bench.transaction(claim).run()
    assert "commit_confirmed" not in " ".join(bench.device.log)
    assert bench.device.running[LTE_CELL]["pci"] == "1"


# ------------------------------------------------------- many stations of one software


def fleet(*names: str) -> GroupBench:
    """Stations of one unknown software that begin together; each answer takes a while."""
    strategy = Strategy(check_timeout=2, confirm_timeout=60, canary=0, stop_after=9)
    bench = GroupBench([job for name in names for job in unit(name)], strategy, scenario=add_tenant(UNKNOWN))
    for name in names:
        bench[name].latency = 0.2
    return bench


def probed(bench: GroupBench) -> list[str]:
    """Stations at which an empty confirmed commit was begun."""
    return [job.station for job in bench.store.runs.jobs(bench.run) if JournalStep.PROBING in bench.steps(job.station)]


def learned_at(bench: GroupBench) -> list[str]:
    _, rows = bench.store.audit.page(Page(limit=1000))
    return [row.detail["station"] for row in rows if row.action == "behaviour.learned"]


async def test_stations_that_begin_together_are_probed_once() -> None:
    bench = fleet(*"ABCDEF")
    await bench.work()
    assert bench.state() is RunState.SUCCEEDED
    assert len(probed(bench)) == 1
    assert probed(bench) == learned_at(bench)
    bench.assert_settled()


async def test_where_the_one_that_probes_goes_away_another_does() -> None:
    bench = fleet(*"ABCDEF")
    await bench.work()
    (first,) = probed(bench)
    bench = fleet(*"ABCDEF")
    bench[first].faults.append(Fault("commit_confirmed", FaultKind.DROP_BEFORE, times=9))
    await bench.work()
    (second,) = learned_at(bench)
    assert second != first
    assert probed(bench) == sorted([first, second])
    assert sum(outcome is Outcome.SUCCEEDED for outcome in bench.outcomes().values()) == 5
    bench.assert_settled()


class Finder:
    """Finds out, once it may.

    Attributes:
        asked: Whether it is or was its turn.
    """

    def __init__(self, reason: str = "", error: Exception | None = None) -> None:
        self._found = Behaviour(reason=reason)
        self._error = error
        self.may = asyncio.Event()
        self.asked = False

    async def find_out(self) -> Behaviour:
        self.asked = True
        await self.may.wait()
        if self._error is not None:
            raise self._error
        return self._found


async def together(findings: Findings, *finders: Finder) -> list[asyncio.Task[Behaviour | None]]:
    tasks = [asyncio.create_task(findings.shared("acme-1", finder.find_out)) for finder in finders]
    await asyncio.sleep(0)
    return tasks


@pytest.mark.parametrize("error", [NotClearedError("a hold"), SessionLostError("gone")])
async def test_who_may_not_or_can_not_find_out_gives_the_turn_to_the_next(error: Exception) -> None:
    first, second, third = Finder(error=error), Finder("second"), Finder("third")
    tasks = await together(Findings(VirtualClock()), first, second, third)
    assert (first.asked, second.asked, third.asked) == (True, False, False)
    first.may.set()
    await asyncio.wait([tasks[0]])
    await asyncio.sleep(0.01)
    assert (second.asked, third.asked) == (True, False)
    second.may.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert results == [error, Behaviour(reason="second"), Behaviour(reason="second")]


async def test_nobody_waits_for_ever_for_who_finds_out() -> None:
    clock = VirtualClock()
    first, second, third = Finder("first"), Finder("second"), Finder("third")
    tasks = await together(Findings(clock), first, second, third)
    await clock.advance(29)
    assert not second.asked
    await clock.advance(2)
    assert (second.asked, third.asked) == (True, False)
    second.may.set()
    assert await asyncio.gather(*tasks[1:]) == [Behaviour(reason="second")] * 2
    first.may.set()
    assert await tasks[0] == Behaviour(reason="first")


async def test_who_stops_waiting_stops_nobody_else() -> None:
    first, second, third = Finder("first"), Finder(), Finder()
    tasks = await together(Findings(VirtualClock()), first, second, third)
    tasks[1].cancel()
    await asyncio.wait([tasks[1]])
    first.may.set()
    assert await tasks[2] == await tasks[0] == Behaviour(reason="first")
