"""Operations that are no edits: sent once, proven by reading back, whoever dies in between."""

from __future__ import annotations

import re
from typing import cast

import pytest
from sqlalchemy import insert

from controller.drivers.fake import FakeSession, FaultKind
from controller.models.alarm import Alarm, AlarmRecord, AlarmSource, AlarmState, PerceivedSeverity
from controller.models.behaviour import Server
from controller.models.equipment import Equipment, Operation, OperationKind, SlotState
from controller.models.errors import NotFoundError
from controller.models.run import JournalStep, LedgerEntry, Outcome, RunState
from controller.nrm.tree import Observed
from controller.playbook.actions.equipment import RecordChoice, acknowledge_alarm
from controller.playbook.engine.operations import happened
from controller.playbook.language.registry import Context
from controller.store.network.behaviours import behaviours
from tests.support.soak import TURNS
from tests.unit.playbook.test_takeover import PlaybookBench, Rests
from tests.unit.runs.group_bench import kills
from tests.unit.runs.transaction_bench import Killed

RESTART = "  - {name: restart, action: restart-station, with: {seconds: 100}}\n"
RESET = "  - {name: reset, action: reset-radio-unit, with: {unit: ru-1, seconds: 100}}\n"
ACKNOWLEDGE = "  - {name: acknowledge, action: acknowledge-alarm}\n"
URL = "sftp://10.0.0.1/station-2.0.zip"
DOWNLOAD = f"  - {{name: download, action: download-software, with: {{url: '{URL}', seconds: 100}}}}\n"
INSTALL = "  - {name: install, action: install-software, with: {version: '2.0', seconds: 100}, register: new}\n"
ACTIVATE = (
    "  - {name: activate, action: activate-software, with: {slot: '{{ new.slot }}'},\n"
    "     undo: {action: activate-software, with: {slot: '{{ new.previous }}'}}}\n"
)
BOOT = (
    "  - {name: boot, action: restart-station, with: {seconds: 100},\n"
    "     undo: {action: rollback-software, with: {slot: '{{ new.previous }}'}}}\n"
)
CHECK = "  - {name: check, action: check-software, with: {version: '2.0'}}\n"
FAIL = "  - {name: fail, action: check-software, with: {version: '9'}}\n"
UPGRADE = DOWNLOAD + INSTALL + ACTIVATE + BOOT
ALL = (OperationKind.INSTALL, OperationKind.ACTIVATE, OperationKind.RESET)
#: Steps, outcome, and what is sent.
CASES = [
    pytest.param(RESTART, Outcome.SUCCEEDED, [OperationKind.RESET], id="restart"),
    pytest.param(RESET, Outcome.SUCCEEDED, [OperationKind.RESET_UNIT], id="reset"),
    pytest.param(ACKNOWLEDGE, Outcome.SUCCEEDED, [OperationKind.ACKNOWLEDGE], id="acknowledge"),
    pytest.param(INSTALL + ACTIVATE + BOOT + FAIL, Outcome.ROLLED_BACK, [*ALL, *ALL[1:]], id="rolled-back"),
]


def bench_of(steps: str) -> PlaybookBench:
    bench = PlaybookBench(steps)
    device = bench.device
    device.history[-1] = {**device.running, f"/ManagedElement[{device.station}]/AlarmList[1]": {}}
    device.records = [
        AlarmRecord(name, "", "EQUIPMENT_ALARM", "powerProblem", "mains", severity, "mains lost")
        for name, severity in (("a-1", PerceivedSeverity.CLEARED), ("a-2", PerceivedSeverity.MAJOR))
    ]
    return bench


@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize(("steps", "outcome", "sent"), CASES)
async def test_killed_at_every_call(steps: str, outcome: Outcome, sent: list[OperationKind], turn: int) -> None:
    played = await kills(lambda life: bench_of(steps).work(life), turn)
    for death in played:
        bench = bench_of(steps)
        try:
            result = await bench.work(death)
        except Killed:
            done = [job.outcome for job in bench.store.runs.jobs(bench.run) if job.outcome is not None]
            if done:  # the last call took effect, only its answer was lost
                assert done == [outcome]
                continue
            result = await bench.work()
        bench.settled(result, outcome, "UNLOCKED")
        assert bench.device.equipment.sent == sent, death
    assert len(played) >= 4  # of about twenty calls, some of each kind


@pytest.mark.parametrize(
    ("steps", "stays"), [(INSTALL + ACTIVATE, False), (RESTART, False), (RESET, True), (ACKNOWLEDGE, True)]
)
async def test_other_software_under_the_same_name_is_not_known_by_what_ran_before(steps: str, stays: bool) -> None:
    bench = bench_of(steps)
    known = Server(bench.device.station, "key", "acme-1")
    with bench.store.database.engine.begin() as connection:
        row = {**known._asdict(), "cancels": True, "places": True, "learned": bench.clock.now()}
        connection.execute(insert(behaviours).values(row))
    await bench.work()
    assert (bench.store.behaviours.get(known) is not None) is stays


async def test_each_act_is_on_record_before_it() -> None:
    bench = bench_of(RESTART)
    await bench.work()
    (row,) = bench.rows()
    assert [operation.kind for operation in row.operations] == [OperationKind.RESET]
    rows = [one for one in bench.journal() if one.transaction.endswith(".0.1")]
    assert [one.step for one in rows] == [
        JournalStep.OPENED,
        JournalStep.LOCKED,
        JournalStep.OPERATING,
        JournalStep.PREPARED,
        JournalStep.FINISHED,
    ]
    assert next(one for one in rows if one.step is JournalStep.OPERATING).deadline is not None


@pytest.mark.parametrize("wrong", [FaultKind.DROP_BEFORE, FaultKind.DROP_AFTER, FaultKind.LOSE_REPLY, FaultKind.LIE])
@pytest.mark.parametrize(("steps", "kind"), [(RESTART, OperationKind.RESET), (RESET, OperationKind.RESET_UNIT)])
async def test_lost_and_false_answers(wrong: FaultKind, steps: str, kind: OperationKind) -> None:
    bench = bench_of(steps)
    bench.fault("operate", wrong)
    result = await bench.work()
    if wrong is FaultKind.LIE:
        # It said that it begins and did nothing: whether it still will is nobody's guess.
        assert result.outcome is Outcome.DIVERGED, result
        assert "nothing shows of it" in result.detail
        assert bench.device.equipment.sent == []
    else:
        bench.settled(result, Outcome.SUCCEEDED, "UNLOCKED")
        assert bench.device.equipment.sent == [kind]


async def test_refused() -> None:
    bench = bench_of(RESTART)
    bench.fault("operate", FaultKind.REFUSE)
    result = await bench.work()
    bench.settled(result, Outcome.FAILED_SAFE, "UNLOCKED")


async def test_a_device_without_equipment_has_no_operations() -> None:
    bench = bench_of(ACKNOWLEDGE)
    bench.device.sessions_of = FakeSession
    result = await bench.work()
    assert result.outcome is Outcome.FAILED_SAFE
    assert "has no operation" in result.detail
    assert bench.device.equipment.sent == []


async def test_a_station_that_does_not_come_back_is_for_a_person() -> None:
    bench = bench_of(RESTART)
    equipment = bench.device.equipment

    def die() -> None:
        bench.device.reboot()
        bench.device.unreachable = "no route"

    equipment.restart = die
    result = await bench.work()
    assert result.outcome is Outcome.DIVERGED
    assert "Whether reset worked is not known" in result.detail
    assert equipment.sent == [OperationKind.RESET]


async def test_nobody_is_interrupted_in_the_middle_of_a_change() -> None:
    bench = bench_of(RESTART)
    bench.device.lock(bench.device.open())
    result = await bench.work()
    assert result.outcome is Outcome.DEFERRED
    assert bench.device.equipment.sent == []


@pytest.mark.parametrize("steps", [RESTART, UPGRADE])
async def test_no_restart_on_battery(steps: str) -> None:
    bench = bench_of(steps)
    bench.device.equipment.power = "BATTERY"
    result = await bench.work()
    assert "runs on battery" in result.detail
    assert OperationKind.RESET not in bench.device.equipment.sent


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (OperationKind.DOWNLOAD, "software-download .*2.0.zip failed: APPLICATION_ERROR"),
        (OperationKind.INSTALL, "software-install slot-b failed"),
        (OperationKind.ACTIVATE, "software-activate slot-b failed"),
    ],
)
async def test_software_that_fails_is_safe(kind: OperationKind, said: str) -> None:
    bench = bench_of(UPGRADE)
    bench.device.equipment.fails.add(kind)
    result = await bench.work()
    assert result.outcome is Outcome.FAILED_SAFE
    assert re.search(said, result.detail), result.detail
    running = bench.device.equipment.read().running
    assert running is not None
    assert running.version == "1.0"


async def test_what_is_there_already_is_left_alone() -> None:
    bench = bench_of(INSTALL + ACTIVATE)
    slots = bench.device.equipment.slots
    bench.device.equipment.slots = (
        slots[0].model_copy(update={"active": False}),
        slots[1].model_copy(update={"status": "VALID", "version": "2.0", "active": True}),
    )
    result = await bench.work()
    assert result.outcome is Outcome.UNCHANGED
    assert bench.device.equipment.sent == []
    assert [row.outcome for row in bench.rows()] == [Outcome.UNCHANGED] * 2


async def test_a_missing_licence_is_fetched_again() -> None:
    bench = bench_of("  - {name: licence, action: reload-licence}\n")
    bench.device.equipment.licence = "MISSING"
    assert (await bench.work()).outcome is Outcome.SUCCEEDED
    assert bench.device.equipment.sent == [OperationKind.RELOAD_LICENCE]


async def test_what_is_over_leaves_the_list_once_it_is_acknowledged() -> None:
    bench = bench_of(ACKNOWLEDGE)
    assert (await bench.work()).outcome is Outcome.SUCCEEDED
    assert [record.id for record in bench.device.records or ()] == ["a-2"]
    (row,) = bench.rows()
    (operation,) = row.operations
    assert (operation.records, operation.user) == (("a-1",), "minka")
    steps = [one.step for one in bench.journal() if one.transaction.endswith(".0.1")]
    assert steps[:2] == [JournalStep.OPENED, JournalStep.LOCKED]


class AlarmContext:
    """A context of a station that tells of an alarm."""

    def __init__(self, bench: PlaybookBench, alarm: Alarm) -> None:
        self.bench, self.station, self.clock, self._alarm = bench, bench.device.station, bench.clock, alarm

    async def read(self) -> Observed:
        return self.bench.device.observe()

    async def ledger(self) -> dict[str, LedgerEntry]:
        return {}

    async def alarm(self, _alarm_id: str) -> Alarm:
        return self._alarm


async def test_an_alarm_is_acknowledged_in_the_name_of_who_did() -> None:
    bench = bench_of(ACKNOWLEDGE)
    now = bench.clock.now()
    alarm = Alarm(
        id="a-9",
        station=bench.device.station,
        object="station",
        tenant="",
        text="",
        probable_cause="3gpp-power-problem",
        specific_problem="mains",
        severity=PerceivedSeverity.MAJOR,
        source=AlarmSource.ALARM_LIST,
        state=AlarmState.RAISED,
        raised=now,
        changed=now,
        acknowledged=now,
        acknowledged_by="ana",
    )
    made = await acknowledge_alarm.perform(cast("Context", AlarmContext(bench, alarm)), RecordChoice(alarm="a-9"))
    ((operation,), said) = made.operations, made.output
    assert (operation.records, operation.user, said.changed) == (("a-2",), "ana", True)
    assert bench.device.operate(operation) == ""
    again = await acknowledge_alarm.perform(cast("Context", AlarmContext(bench, alarm)), RecordChoice(alarm="a-9"))
    assert (again.operations, again.output.changed) == ((), False)
    elsewhere = alarm.model_copy(update={"station": "S9"})
    with pytest.raises(NotFoundError, match="is not of"):
        await acknowledge_alarm.perform(cast("Context", AlarmContext(bench, elsewhere)), RecordChoice(alarm="a-9"))


async def test_a_list_that_is_locked_is_not_written_into() -> None:
    bench = bench_of(ACKNOWLEDGE)
    bench.device.records = None
    result = await bench.work()
    assert result.outcome is Outcome.REFUSED
    assert "keeps no list of alarms" in result.detail


@pytest.mark.parametrize(
    ("status", "version", "slot", "done"),
    [
        ("VALID", "2.0", "b", True),
        ("VALID", "1.0", "b", False),
        ("INVALID", "2.0", "b", False),
        ("VALID", "2.0", "a", False),
    ],
)
def test_software_is_installed_once_its_slot_is_valid_and_holds_its_version(
    status: str, version: str, slot: str, done: bool
) -> None:
    """There are two slots, and the other one holds another version, valid as well."""
    install = Operation(kind=OperationKind.INSTALL, subject="b", version="2.0", seconds=100)
    found = (SlotState(name=slot, status=status, version=version), SlotState(name="c", status="VALID", version="1.0"))
    assert happened(install, Equipment(slots=found)) is done


LOCK = "  - {name: lock, action: lock-cell, with: {cells: [L1]}}\n"
TOOK = "this took place and is not taken back: reset (step 'restart')"


@pytest.mark.parametrize(
    ("steps", "outcome", "detail"),
    [
        (RESTART + FAIL, Outcome.FAILED_SAFE, f"step 'fail': it runs 1.0 from slot-a, and not 9; {TOOK}"),
        (
            LOCK + RESTART + FAIL,
            Outcome.ROLLED_BACK,
            f"step 'fail': it runs 1.0 from slot-a, and not 9; what was done before was undone; {TOOK}",
        ),
        (
            RESTART.replace("seconds: 100}", "seconds: 100}, checks: ['{{ not output.changed }}']"),
            Outcome.FAILED_SAFE,
            "step 'restart': check failed: {{ not output.changed }} (output.changed is true); " + TOOK,
        ),
        (
            RESTART + "  - {name: lock, action: lock-cell, with: {cells: [Q]}}\n",
            Outcome.FAILED_SAFE,
            f"step 'lock': S1 has no cell Q; it has L1, N1; {TOOK}",
        ),
        (
            "  - {name: unlock, action: unlock-cell, with: {cells: [L1]}, checks: ['{{ output.changed }}']}\n",
            Outcome.FAILED_SAFE,
            "step 'unlock': check failed: {{ output.changed }} (output.changed is false)",
        ),
        (
            INSTALL + ACTIVATE.partition(",\n")[0] + "}\n" + FAIL,
            Outcome.DIVERGED,
            "software-activate slot-b (step 'activate'); the next start takes other software than before",
        ),
    ],
    ids=["restart", "lock-and-restart", "own-check", "refused", "nothing-to-do", "activate"],
)
async def test_a_failed_job_says_which_operations_took_place(steps: str, outcome: Outcome, detail: str) -> None:
    bench = bench_of(steps)
    result = await bench.work()
    assert (result.outcome, result.detail.endswith(detail)) == (outcome, True), result.detail
    assert bench.store.runs.get(bench.run).state is not RunState.SUCCEEDED


async def test_a_job_that_is_cancelled_after_a_restart_was_begun() -> None:
    bench = bench_of(RESTART + "  - {name: ask, action: ask-a-human, with: {text: Well?}}\n")
    with pytest.raises(Rests):
        await bench.work()
    bench.store.runs.cancel(bench.run, "ana")
    result = await bench.work()
    assert result.outcome is Outcome.WITHDRAWN
    assert result.detail == f"step 'ask': the run was cancelled; {TOOK}"


async def test_software_that_did_not_start_is_no_other_software_of_the_next_start() -> None:
    """The station falls back to the slot that it ran from, so that the undos find nothing to do."""
    bench = bench_of(INSTALL + ACTIVATE + BOOT + CHECK)
    equipment = bench.device.equipment

    def fall_back() -> None:
        old = {slot.name: slot.name == "slot-a" for slot in equipment.slots}
        equipment.slots = tuple(
            slot.model_copy(update={"active": old[slot.name], "running": old[slot.name]}) for slot in equipment.slots
        )
        bench.device.reboot()

    equipment.restart = fall_back
    result = await bench.work()
    said = "this took place and is not taken back: software-install slot-b (step 'install')"
    assert (result.outcome, result.detail.endswith(said)) == (Outcome.FAILED_SAFE, True), result.detail
