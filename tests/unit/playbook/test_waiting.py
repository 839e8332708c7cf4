"""Jobs that wait for people, and for the end of a soak: without a worker, whoever dies in between."""

from __future__ import annotations

import pytest

from controller.inventory.source import Report
from controller.models.alarm import AlarmReport, PerceivedSeverity
from controller.models.run import Job, Outcome, RunState
from controller.models.step import StepState
from controller.playbook.actions.shipped import registry
from controller.playbook.language.library import parse
from controller.ports.queue import FakeWakeups
from controller.runs.approval.clearance import reassess
from tests.unit.playbook.test_takeover import HEAD, LOCK, PlaybookBench, Rests
from tests.unit.runs.group_bench import Mortal, kills
from tests.unit.runs.transaction_bench import STATION, Killed

ASK = (
    "  - {name: ask, action: ask-a-human, with: {text: 'Go on?', seconds: 1000},\n"
    "     checks: [\"{{ output.answer == 'yes' }}\"]}\n"
)
DEFAULT = ASK.replace("seconds: 1000", "seconds: 1000, default: 'yes'")
WELL = "soak_checks:\n  - {name: well, action: check-alarms}\nstrategy: {soak: 100}\n"
ILL = (
    "soak_checks:\n  - {name: well, action: check-alarms}\n"
    "  - {name: all, action: read-state, checks: ['{{ output.cells_on_air > 90 }}']}\nstrategy: {soak: 100}\n"
)


async def to_the_end(bench: PlaybookBench) -> Job:
    """Work again whenever the job may go on."""
    for _ in range(40):
        try:
            return await bench.work()
        except Rests as rest:
            bench.clock.pause((rest.until - bench.clock.now()).total_seconds())
    raise AssertionError("it never ends")


async def test_an_answer_lets_it_go_on() -> None:
    bench = PlaybookBench(LOCK + ASK)
    with pytest.raises(Rests, match=r"waits for an answer: Go on\?"):
        await bench.work()
    assert bench.lock == "LOCKED"
    assert bench.store.claims.take(bench.store.processes.register("x"), 10) == []
    bench.store.questions.answer(bench.run, "yes", actor="eva", reason="all well")
    bench.settled(await bench.work(), Outcome.SUCCEEDED, "LOCKED")
    assert bench.rows()[1].output == {"answer": "yes", "by": "eva", "reason": "all well"}


async def test_another_answer_takes_it_back() -> None:
    bench = PlaybookBench(LOCK + ASK)
    with pytest.raises(Rests):
        await bench.work()
    bench.store.questions.answer(bench.run, "no", actor="eva")
    bench.settled(await bench.work(), Outcome.ROLLED_BACK, "UNLOCKED")


@pytest.mark.parametrize("answer", ["no", "yes"])
async def test_an_answer_is_no_condition_also_where_its_type_is_not_known_before(answer: str) -> None:
    lock = LOCK.replace("register: locked", "when: '{{ [go.answer, 1] | first }}'")
    bench = PlaybookBench(ASK.replace("checks: [\"{{ output.answer == 'yes' }}\"]", "register: go") + lock)
    with pytest.raises(Rests):
        await bench.work()
    bench.store.questions.answer(bench.run, answer, actor="eva")
    result = await bench.work()
    bench.settled(result, Outcome.FAILED_SAFE, "UNLOCKED")
    assert f'a condition is "{answer}", which is neither true nor false' in result.detail


@pytest.mark.parametrize(
    ("steps", "outcome", "lock"),
    [(LOCK + DEFAULT, Outcome.SUCCEEDED, "LOCKED"), (LOCK + ASK, Outcome.ROLLED_BACK, "UNLOCKED")],
)
async def test_nobody_answers(steps: str, outcome: Outcome, lock: str) -> None:
    bench = PlaybookBench(steps)
    with pytest.raises(Rests):
        await bench.work()
    bench.clock.pause(1001)
    result = await bench.work()
    bench.settled(result, outcome, lock)
    assert ("nobody answered" in result.detail) is not outcome.good


@pytest.mark.parametrize(("steps", "outcome"), [(ASK, Outcome.CANCELLED), (LOCK + ASK, Outcome.WITHDRAWN)])
async def test_a_cancel_ends_the_waiting(steps: str, outcome: Outcome) -> None:
    bench = PlaybookBench(steps)
    with pytest.raises(Rests):
        await bench.work()
    assert bench.store.runs.cancel(bench.run, "ana").state is RunState.CANCELLING
    result = await bench.work()
    bench.settled(result, outcome, "UNLOCKED")
    assert "the run was cancelled" in result.detail


async def test_nothing_waits_since_a_time_to_come() -> None:
    bench = PlaybookBench(ASK + LOCK, bound=True)
    begun = bench.clock.now()
    with pytest.raises(Rests):
        await bench.work()
    bench.store.holds.add(STATION, "rosa", "on the mast", None)
    reassess(bench.store, bench.clock, FakeWakeups())
    bench.clock.pause(60)
    (held,) = [wait for wait in bench.store.runs.waits([bench.run])[bench.run] if wait.what.startswith("hold on")]
    assert begun <= held.since < bench.clock.now()


async def test_what_holds_after_the_soak_stays() -> None:
    bench = PlaybookBench(LOCK + WELL)
    with pytest.raises(Rests, match="soaks"):
        await bench.work()
    bench.clock.pause(101)
    bench.settled(await bench.work(), Outcome.SUCCEEDED, "LOCKED")
    assert [(row.name, row.state) for row in bench.rows()] == [
        ("lock", StepState.DONE),
        ("soak", StepState.DONE),
        ("well", StepState.DONE),
        ("soak-result", StepState.DONE),
    ]
    assert [row.outcome for row in bench.rows()] == [Outcome.SUCCEEDED, None, None, None]


async def test_what_fails_after_the_soak_is_undone_and_the_run_stops() -> None:
    bench = PlaybookBench(LOCK + ILL)
    with pytest.raises(Rests):
        await bench.work()
    bench.clock.pause(101)
    result = await bench.work()
    bench.settled(result, Outcome.ROLLED_BACK, "UNLOCKED")
    assert "check 'all' after the soak: check failed: {{ output.cells_on_air > 90 }} (" in result.detail
    assert bench.store.runs.get(bench.run).halted.startswith(f"the soak failed at {STATION}: check 'all'")


@pytest.mark.parametrize(
    ("steps", "outcome", "lock"),
    [
        (LOCK + DEFAULT, Outcome.SUCCEEDED, "LOCKED"),
        (LOCK + ILL, Outcome.ROLLED_BACK, "UNLOCKED"),
    ],
)
async def test_killed_at_every_call(steps: str, outcome: Outcome, lock: str) -> None:
    async def play(bench: PlaybookBench, life: Mortal) -> Job:
        try:
            return await bench.work(life)
        except Rests:
            bench.clock.pause(1001)
            return await bench.work(life)

    played = await kills(lambda life: play(PlaybookBench(steps), life))
    for death in played:
        bench = PlaybookBench(steps)
        try:
            result = await play(bench, death)
        except Killed:
            ended = [job.outcome for job in bench.store.runs.jobs(bench.run) if job.outcome is not None]
            if ended:  # the last call took effect, only its answer was lost
                assert ended == [outcome]
                continue
            result = await to_the_end(bench)
        bench.settled(result, outcome, lock)
    assert len(played) > 8


def test_what_soak_checks_may_be() -> None:
    report = Report()
    wrong = (
        "soak_checks:\n"
        "  - {name: lock, action: lock-cell, with: {cells: all}}\n"
        "  - {name: ask, action: ask-a-human, with: {text: x}}\n"
        "  - {name: look, action: read-state, register: seen}\n"
    )
    parse(HEAD + LOCK + wrong, "own.yaml", registry(), report)
    said = "\n".join(map(str, report.problems))
    assert "lock-cell does more than read" in said
    assert "ask-a-human does more than read" in said
    assert "a check after the soak leaves nothing behind" in said


def test_who_may_wait_undoes_nothing() -> None:
    report = Report()
    undo = "  - {name: two, action: read-state, undo: {action: ask-a-human, with: {text: x}}}\n"
    parse(HEAD + LOCK + undo, "own.yaml", registry(), report)
    assert "ask-a-human may wait for long and undoes nothing" in "\n".join(map(str, report.problems))


NEW = "  - {name: no new ones, action: check-alarms, with: {new: true}}\n"


def fault(bench: PlaybookBench) -> None:
    """A core link of the station goes down now."""
    bench.store.alarms.report(
        AlarmReport(
            station=STATION,
            object=f"/ManagedElement[{STATION}]",
            tenant="alfa",
            probable_cause="core-link-down",
            severity=PerceivedSeverity.CRITICAL,
            text="",
            source="check",
            at=bench.clock.now(),
        )
    )


@pytest.mark.parametrize(
    ("steps", "fails"),
    [
        (ASK + LOCK + NEW, False),  # it stood before the station's first act, though the run was accepted before
        (LOCK + ASK + NEW, True),
        (ASK + NEW, False),  # the run acted on nothing
    ],
)
async def test_new_alarms_are_those_raised_since_the_run_first_acted_on_the_station(steps: str, fails: bool) -> None:
    bench = PlaybookBench(steps)
    bench.clock.pause(1)
    with pytest.raises(Rests):
        await bench.work()
    bench.clock.pause(39)
    fault(bench)
    bench.clock.pause(1)
    bench.store.questions.answer(bench.run, "yes", actor="eva")
    job = await to_the_end(bench)
    assert job.outcome is (Outcome.ROLLED_BACK if fails else Outcome.SUCCEEDED), job.detail
    assert ("core-link-down" in job.detail) is fails
