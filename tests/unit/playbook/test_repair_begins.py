"""A rule's run begins to act only while repair is not stopped, no guard says no, and nobody is interrupted unasked."""

from __future__ import annotations

from datetime import datetime
from typing import Any, cast

import pytest

from controller.drivers.fake import FaultKind
from controller.models.alarm import REMEDIATION_STOPPED, SwitchState
from controller.models.errors import RepairStoppedError
from controller.models.plan import LedgerNode
from controller.models.run import PERSON, JournalStep, Outcome, Run, RunState
from controller.models.sharing import ActionClass
from controller.ports.clock import VirtualClock
from controller.runs.procedures import Disturbance
from controller.runs.transaction.record import Record, always
from controller.store import AsyncStore, Claim, Store
from tests.unit.plan.samples import LTE_CELL
from tests.unit.playbook.test_operations import RESET, RESTART
from tests.unit.playbook.test_takeover import LOCK, LOOK, PlaybookBench

ALARM = "alarm:a-1"
INTERRUPT = ActionClass.INTERRUPT
WORDS = "automatic repair is stopped by ana: storm"


def stop(bench: PlaybookBench) -> None:
    """A person stops all automatic repair."""
    bench.store.switches.set(REMEDIATION_STOPPED, True, "ana", "storm")


def untouched(bench: PlaybookBench) -> None:
    """The run was stopped, and its station never sent anything."""
    bench.settled(bench.job, Outcome.CANCELLED, "UNLOCKED")
    assert WORDS in bench.job.detail
    assert bench.device.equipment.sent == []
    assert bench.store.runs.get(bench.run).state is RunState.STOPPED


@pytest.mark.parametrize("steps", [RESET, LOCK])
async def test_a_repair_that_was_claimed_begins_nothing_once_repair_is_stopped(steps: str) -> None:
    bench = PlaybookBench(steps, cause=ALARM)
    stop(bench)
    await bench.work()
    untouched(bench)


@pytest.mark.parametrize("steps", [RESET, LOCK])
async def test_a_stop_while_it_waits_for_the_lock_is_heard_before_it_acts(steps: str) -> None:
    bench = PlaybookBench(steps, cause=ALARM)
    bench.clock.pause(5)
    bench.act("lock", lambda: stop(bench))
    await bench.work()
    untouched(bench)


@pytest.mark.parametrize(("steps", "lock"), [(RESET, "UNLOCKED"), (LOCK, "LOCKED")])
@pytest.mark.parametrize("operation", ["edit", "operate"])
async def test_what_has_begun_ends_in_the_ordinary_way(steps: str, lock: str, operation: str) -> None:
    bench = PlaybookBench(steps, cause=ALARM)
    bench.clock.pause(5)
    bench.act(operation, lambda: stop(bench))
    bench.settled(await bench.work(), Outcome.SUCCEEDED, lock)


@pytest.mark.parametrize("steps", [RESET, LOCK])
async def test_what_a_person_asked_for_goes_on(steps: str) -> None:
    bench = PlaybookBench(steps)
    bench.clock.pause(5)
    stop(bench)
    assert (await bench.work()).outcome is Outcome.SUCCEEDED


async def test_an_operation_that_was_sent_without_an_answer_is_not_repeated_and_is_for_a_person() -> None:
    bench = PlaybookBench(RESET, cause=ALARM)
    bench.clock.pause(5)
    bench.fault("operate", FaultKind.DROP_BEFORE)
    bench.act("lock", lambda: stop(bench), skip=1)
    job = await bench.work()
    assert job.outcome is Outcome.DIVERGED
    assert "whether what was sent before had an effect is not known" in job.detail
    assert bench.device.equipment.sent == []


async def test_a_guard_that_says_no_by_now_keeps_it_from_acting() -> None:
    asked: list[tuple[str, Disturbance]] = []

    def forbids(_store: Store, run: Run, disturbance: Disturbance, _now: datetime) -> str:
        asked.append((run.cause, disturbance))
        return "its source says that it is over" if len(asked) == 1 else ""

    bench = PlaybookBench(RESTART, cause=ALARM)
    bench.group.forbids = forbids
    job = await bench.work()
    assert asked == [(ALARM, Disturbance(interrupts=True, restarts=True))]
    assert (job.outcome, "its source says that it is over" in job.detail) == (Outcome.CANCELLED, True)
    assert bench.device.equipment.sent == []


@pytest.mark.parametrize(("cause", "outcome"), [(PERSON, Outcome.SUCCEEDED), (ALARM, Outcome.CANCELLED)])
async def test_a_repair_resets_nothing_on_battery_though_no_alarm_tells_of_it_yet(cause: str, outcome: Outcome) -> None:
    bench = PlaybookBench(RESET, cause=cause)
    bench.clock.pause(5)
    bench.device.equipment.power = "BATTERY"
    job = await bench.work()
    bench.settled(job, outcome, "UNLOCKED")
    assert bool(bench.device.equipment.sent) is outcome.good
    assert outcome.good or "the station runs on its battery" in job.detail


async def test_a_repair_that_restarts_nothing_acts_on_battery() -> None:
    bench = PlaybookBench(LOCK, cause=ALARM)
    bench.clock.pause(5)
    bench.device.equipment.power = "BATTERY"
    bench.settled(await bench.work(), Outcome.SUCCEEDED, "LOCKED")


@pytest.mark.parametrize("cause", [PERSON, ALARM])
@pytest.mark.parametrize("off", [False, True])
async def test_who_gets_service_again_and_was_not_asked_is_not_interrupted(off: bool, cause: str) -> None:
    bench = PlaybookBench(RESET, spared=(("L1", "alfa"),), cause=cause)
    bench.clock.pause(5)
    unit = bench.device.equipment.units["ru-1"]
    bench.device.equipment.units["ru-1"] = unit.model_copy(update={"cells": ("L1",)})
    theirs = [LedgerNode(path=LTE_CELL, owners=("alfa", "beta"))]
    bench.store.devices.adopt(bench.device.station, theirs, "", "ana")
    if off:
        bench.device.failed_cells = {LTE_CELL}
    job = await bench.work()
    if off:
        bench.settled(job, Outcome.SUCCEEDED, "UNLOCKED")
    else:
        bench.settled(job, Outcome.CANCELLED if cause == ALARM else Outcome.REFUSED, "UNLOCKED")
        assert "L1 serves alfa again, whose consent was not asked" in job.detail
        assert bench.device.equipment.sent == []


@pytest.mark.parametrize("cause", [PERSON, ALARM])
@pytest.mark.parametrize(
    ("asks", "about", "begins"),
    [
        ((), (), False),
        ((("alfa", INTERRUPT),), (), False),
        ((("alfa", INTERRUPT), ("beta", ActionClass.RESTORE)), (), False),
        ((("alfa", INTERRUPT), ("beta", INTERRUPT)), ("N1",), False),
        ((("alfa", INTERRUPT), ("beta", INTERRUPT)), (), True),
        ((("alfa", INTERRUPT), ("beta", INTERRUPT)), ("L1", "N1"), True),
    ],
)
async def test_nobody_is_interrupted_whom_the_run_has_not_asked(
    asks: tuple[tuple[str, ActionClass], ...], about: tuple[str, ...], begins: bool, cause: str
) -> None:
    """Right before the act, by its real inputs and by who is there now."""
    bench = PlaybookBench(LOOK + LOCK, asks=asks, about=about, cause=cause)
    theirs = [LedgerNode(path=LTE_CELL, owners=("alfa", "beta"))]
    bench.store.devices.adopt(bench.device.station, theirs, "", "ana")
    job = await bench.work()
    if begins:
        bench.settled(job, Outcome.SUCCEEDED, "LOCKED")
    else:
        bench.settled(job, Outcome.CANCELLED if cause == ALARM else Outcome.REFUSED, "UNLOCKED")
        assert "it would interrupt" in job.detail
        assert "beta at cell L1, whose consent was not asked" in job.detail


# --------------------------------------------------------------------- a slow record


class SlowRecord:
    """A record that takes seconds to write a row, in which somebody stops repair, or does not."""

    def __init__(self, clock: VirtualClock, seconds: tuple[float, ...], *, on: bool) -> None:
        self.clock, self.seconds, self.on = clock, list(seconds), on
        self.asked = 0
        self.journal = self.switches = self

    async def append(self, *_: object, **__: object) -> None:
        self.clock.pause(self.seconds.pop(0))

    async def get(self, _name: str) -> SwitchState:
        self.asked += 1
        self.clock.pause(self.seconds.pop(0))
        return SwitchState(on=self.on, by="ana", reason="storm")


@pytest.mark.parametrize(
    ("seconds", "on", "asked", "begins"),
    [
        ((0.9,), True, 0, True),
        ((1.1, 0.1), True, 1, False),
        ((1.1, 0.1), False, 1, True),
        ((12.0, 5.0, 3.0, 0.9), False, 3, True),
    ],
)
async def test_a_switch_that_was_read_more_than_a_second_ago_is_read_again(
    seconds: tuple[float, ...], on: bool, asked: int, begins: bool
) -> None:
    bench, clock = PlaybookBench(LOCK, cause=ALARM), VirtualClock()
    bench.group.store.processes.register("w")
    job, run = bench.job, bench.store.runs.get(bench.run)
    claim = Claim(job, run, None, "", "t-1", 1, "w", recovers=False)
    store = SlowRecord(clock, seconds, on=on)
    record = Record(claim, cast("AsyncStore", cast("Any", store)), clock, always)
    await record.write(JournalStep.READ)
    if begins:
        await record.check()
    else:
        with pytest.raises(RepairStoppedError, match=WORDS):
            await record.check()
    assert (store.asked, store.seconds) == (asked, [])
    clock.pause(60)
    if begins:
        await record.check()
        assert store.asked == asked, "it has begun, and ends in the ordinary way"


@pytest.mark.parametrize(("steps", "last"), [(RESET, JournalStep.OPERATING), (LOCK, JournalStep.EDITING)])
@pytest.mark.parametrize(("seconds", "holds"), [(0.9, False), (1.1, True)])
async def test_a_stop_holds_within_a_second_also_between_the_last_row_and_what_is_sent(
    steps: str, last: JournalStep, seconds: float, holds: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench, write = PlaybookBench(steps, cause=ALARM), Record.write
    bench.clock.pause(5)

    async def slowly(record: Record, step: JournalStep, **more: Any) -> None:
        await write(record, step, **more)
        if step is last:
            stop(bench)
            bench.clock.pause(seconds)

    monkeypatch.setattr(Record, "write", slowly)
    job = await bench.work()
    if holds:
        untouched(bench)
    else:
        assert job.outcome is Outcome.SUCCEEDED


@pytest.mark.parametrize(
    ("cells", "known"), [(("L1",), True), (("L1", "elsewhere"), True), (("Cell-1",), False), ((), False)]
)
async def test_a_unit_whose_cells_have_names_of_its_own_may_take_all(cells: tuple[str, ...], known: bool) -> None:
    bench = PlaybookBench(RESET, spared=(("L1", "alfa"),), cause=ALARM)
    bench.clock.pause(5)
    unit = bench.device.equipment.units["ru-1"]
    bench.device.equipment.units["ru-1"] = unit.model_copy(update={"cells": cells})
    bench.device.failed_cells = {LTE_CELL}
    job = await bench.work()
    assert job.outcome is (Outcome.SUCCEEDED if known else Outcome.CANCELLED)
