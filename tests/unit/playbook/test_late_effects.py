"""A station that carries out a step of a playbook once more, long after the job has ended."""

from __future__ import annotations

import pytest

from controller.assurance.checker import Checker
from controller.drivers.fake import Fault, FaultKind
from controller.models.alarm import DIVERGED, Alarm, AlarmSource
from controller.models.run import FoundState, Outcome
from controller.runs.planning.planner import Planner
from tests.unit.playbook.test_takeover import FAIL, LOCK, LOOK, PlaybookBench
from tests.unit.playbook.test_undoing import UNLOCK
from tests.unit.runs.transaction_bench import STATION, TARGET, UNSAFE, InstantStore, retune


class Watched:
    """A playbook's run on a station that the listener looks at."""

    def __init__(self, steps: str) -> None:
        self.bench = PlaybookBench(steps, scenario=retune(UNSAFE))
        store = InstantStore(self.bench.store)
        planner = Planner(store, self.bench.group.devices, self.bench.clock, lambda _network, _station: TARGET)
        self.checker = Checker(store, planner, self.bench.clock, frozenset(AlarmSource))

    async def look(self) -> Alarm | None:
        self.bench.clock.pause(30)
        _, network = self.bench.store.networks.get()
        await self.checker.record([await self.checker.check(network, STATION)])
        found = [one for one in self.bench.store.alarms.standing([STATION]) if one.probable_cause == DIVERGED]
        return next((one for one in found if one.cleared is None), None)

    def fault(self, wrong: FaultKind, after: float = 0.0) -> None:
        self.bench.device.faults.append(Fault("commit", wrong, after=after))


@pytest.mark.parametrize(
    ("steps", "wrong", "outcome"),
    [
        (LOCK + UNLOCK, FaultKind.DROP_LATE, Outcome.SUCCEEDED),
        (LOCK + FAIL, FaultKind.DROP_LATE, Outcome.ROLLED_BACK),
        (LOCK, FaultKind.LATE, Outcome.FAILED_SAFE),
    ],
    ids=["succeeded", "undone", "in vain"],
)
async def test_a_lock_that_comes_after_the_end_is_an_alarm_that_names_the_run(
    steps: str, wrong: FaultKind, outcome: Outcome
) -> None:
    """The administrative state is no drift, and no repair changes it: nothing else would tell."""
    watched = Watched(steps)
    bench = watched.bench
    watched.fault(wrong, after=6000)
    job = await bench.work()
    assert (job.outcome, bench.lock) == (outcome, "UNLOCKED")
    assert await watched.look() is None
    bench.clock.pause(6000)
    assert bench.lock == "LOCKED"
    alarm = await watched.look()
    assert alarm is not None
    assert alarm.text.startswith(f"run {bench.run}: it may have touched S1/L1; it ended {outcome}")
    (call,) = bench.store.escalations.pending()
    assert "unlock-cell" in call.reason
    assert await watched.look() is not None

    (lock,) = [row.change for row in bench.rows() if row.name == "lock" and row.change is not None and not row.undo]
    bench.device.foreign_edit(lock.phases[0].inverse)
    assert await watched.look() is None
    assert bench.job.found is (FoundState.PLANNED if outcome is Outcome.SUCCEEDED else FoundState.BEFORE)


async def test_a_lock_that_a_playbook_was_asked_for_is_no_surprise() -> None:
    watched = Watched(LOCK + LOOK)
    watched.fault(FaultKind.DROP_BEFORE)
    job = await watched.bench.work()
    assert (job.outcome, watched.bench.lock, job.unanswered) == (Outcome.SUCCEEDED, "LOCKED", True)
    assert await watched.look() is None
