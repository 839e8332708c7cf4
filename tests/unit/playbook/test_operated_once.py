"""Jobs that are put off after they sent an operation: they end, since nobody asked for it twice."""

from __future__ import annotations

from controller.drivers.fake import FakeDevice, Fault, FaultKind
from controller.models.equipment import Operation, OperationKind
from controller.models.run import GateChoice, Outcome, Policy, RunState
from controller.store import NewDecision, Transition
from tests.unit.playbook.test_groups import LOCK, WAVE, group_of, locks
from tests.unit.playbook.test_operations import RESTART
from tests.unit.playbook.test_takeover import PlaybookBench
from tests.unit.playbook.test_windows_between_steps import WINDOWS, freeze
from tests.unit.runs.group_bench import GroupBench, Mortal, kills

ALONE = WAVE.model_copy(update={"policy": Policy.STATION})
LOOK = "  - {name: look, action: read-state}\n"
#: An operation that takes place and does not do what it was to do, and a further attempt.
RETRIED = (
    "  - {name: activate, action: activate-software, with: {slot: slot-b}, retries: 1, retry_seconds: 5,\n"
    "     when: \"{{ target.station == 'A' }}\"}\n"
)
#: An operation that takes place, and a check that it does not pass.
UNMET = "  - {name: restart, action: restart-station, with: {seconds: 100}, checks: ['{{ not output.changed }}']}\n"


def sent(bench: GroupBench, station: str = "A") -> list[OperationKind]:
    return bench[station].equipment.sent


def with_software(device: FakeDevice) -> FakeDevice:
    """A station whose second slot has software."""
    slots = device.equipment.slots
    device.equipment.slots = (slots[0], slots[1].model_copy(update={"status": "VALID", "version": "2.0"}))
    return device


def fails_and_goes_away(bench: GroupBench, *, back: float, kind: OperationKind = OperationKind.ACTIVATE) -> None:
    """The first operation fails; then nobody reaches the station for a while, and the next one would do."""
    device = with_software(bench["A"])
    device.equipment.fails = {kind}
    operate = device.operate

    def once(operation: Operation) -> str:
        answer = operate(operation)
        device.equipment.fails = set()
        bench.after(2, lambda: setattr(device, "unreachable", "no route"))
        bench.after(back, lambda: setattr(device, "unreachable", ""))
        return answer

    device.operate = once  # type: ignore[method-assign]


def postpone(bench: GroupBench, gate: int = 0) -> None:
    """Put on record that the wave is begun again later."""
    decide(bench, NewDecision(0, "", gate, GateChoice.POSTPONE, "the window of B closed"))


def decide(bench: GroupBench, decision: NewDecision) -> None:
    bench.store.runs.advance(bench.run, lambda run, _jobs: Transition(run.state, decisions=(decision,)))


async def test_what_an_attempt_sent_is_not_forgotten_by_the_next_one() -> None:
    """The further attempt does not reach the station, and the run is patient."""
    bench = group_of(RETRIED, ALONE.model_copy(update={"patience": 600}))
    fails_and_goes_away(bench, back=60)
    await bench.work()
    job = bench.job("A")
    assert sent(bench) == [OperationKind.ACTIVATE]
    assert (job.outcome, job.operated) == (Outcome.DEFERRED, True)
    assert "sent before, by an attempt that failed: software-activate slot-b (step 'activate')" in job.detail
    (step,) = bench.store.steps.find(job.id)
    assert (step.attempt, [one.kind for one in step.sent]) == (2, [OperationKind.ACTIVATE])


async def test_what_is_only_brought_is_brought_again() -> None:
    url = "sftp://10.0.0.1/station-2.0.zip"
    steps = RETRIED.replace("activate-software", "download-software").replace("slot: slot-b", f"url: '{url}'")
    bench = group_of(steps, ALONE.model_copy(update={"patience": 600}))
    fails_and_goes_away(bench, back=60, kind=OperationKind.DOWNLOAD)
    await bench.work()
    assert sent(bench) == [OperationKind.DOWNLOAD] * 2
    assert bench.job("A").outcome is Outcome.SUCCEEDED


async def test_no_further_attempt_waits_for_another_window() -> None:
    steps = RETRIED.partition(",\n")[0].replace("retry_seconds: 5", "retry_seconds: 1000") + "}\n"
    bench = PlaybookBench(steps, opens=WINDOWS, bound=True)
    with_software(bench.device).equipment.fails = {OperationKind.ACTIVATE}
    result = await bench.work()
    assert (result.outcome, bench.device.equipment.sent) == (Outcome.WITHDRAWN, [OperationKind.ACTIVATE])
    assert "sent before, by an attempt that failed: software-activate slot-b" in result.detail
    bench.settled(result, Outcome.WITHDRAWN, "UNLOCKED")


async def test_what_was_not_answered_is_not_sent_again_once_the_job_may_not_begin() -> None:
    """It may come yet; a job that was given back would send it in another window."""
    bench = PlaybookBench(RESTART, bound=True)

    def forbid() -> None:
        freeze(bench, "network")

    bench.device.faults.append(Fault("operate", FaultKind.DROP_BEFORE, forbid))
    result = await bench.work()
    assert (result.outcome, bench.device.equipment.sent) == (Outcome.DIVERGED, [])
    assert "nothing shows of it" in result.detail
    bench.settled(result, Outcome.DIVERGED, "UNLOCKED")


async def test_who_operated_and_was_away_is_not_put_back_with_its_wave() -> None:
    bench = group_of(LOOK + RETRIED)
    fails_and_goes_away(bench, back=20)
    bench["B"].latency = 40.0
    bench.after(30, lambda: postpone(bench))
    bench.after(35, lambda: setattr(bench["B"], "latency", 0.0))
    await bench.work()
    assert bench.store.gates.decisions([(bench.run, 0)])[0].choice is GateChoice.POSTPONE
    assert sent(bench) == [OperationKind.ACTIVATE]
    assert [(job.outcome, job.round) for job in bench.store.runs.jobs(bench.run)] == [
        (Outcome.DEFERRED, 0),
        (Outcome.SKIPPED, 1),
    ]


async def test_who_did_nothing_and_was_away_begins_from_its_first_step_with_its_wave() -> None:
    bench = group_of(LOCK)
    bench["A"].unreachable = "no route"
    bench["B"].latency = 10.0
    bench.after(8, lambda: postpone(bench))
    bench.after(8, lambda: setattr(bench["A"], "unreachable", ""))
    bench.after(8, lambda: setattr(bench["B"], "latency", 0.0))
    await bench.work()
    assert bench.outcomes() == {"A": Outcome.SUCCEEDED, "B": Outcome.SUCCEEDED}
    assert {bench.job(name).round for name in "AB"} == {1}
    assert locks(bench) == {"A": "LOCKED", "B": "LOCKED"}


async def _put_off(death: Mortal, steps: str) -> GroupBench:
    """A run whose worker dies; before another one comes, its wave is put off."""
    bench = group_of(steps)
    if not await bench.shift(death):
        postpone(bench)
        await bench.work()
    return bench


async def test_who_was_killed_after_an_operation_does_not_begin_anew() -> None:
    """Whether its end is on record or not, and whatever its checks said."""
    for death in await kills(lambda life: group_of(LOOK + UNMET).shift(life)):
        bench = await _put_off(death, LOOK + UNMET)
        assert sent(bench).count(OperationKind.RESET) <= 1, (death, bench.job("A"))
        assert sent(bench, "B").count(OperationKind.RESET) <= 1, (death, bench.job("B"))


async def test_what_was_changed_after_a_look_is_taken_back_by_whoever_takes_over() -> None:
    """Also where the unit or wave was cancelled meanwhile."""
    for death in await kills(lambda life: group_of(LOOK + LOCK).shift(life)):
        bench = group_of(LOOK + LOCK)
        if not await bench.shift(death):
            decide(bench, NewDecision(0, "", 1, GateChoice.CANCEL, "cancelled by a person"))
            await bench.work()
        assert bench.state() is not RunState.DIVERGED, (death, bench.store.runs.jobs(bench.run))
        assert set(locks(bench).values()) <= {"LOCKED"} or set(locks(bench).values()) <= {"UNLOCKED"}
