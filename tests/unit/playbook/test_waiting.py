"""Jobs that wait for people, and for the end of a soak: without a worker, whoever dies in between."""

from __future__ import annotations

import pytest

from controller.inventory.source import Report
from controller.models.run import Outcome, RunState
from controller.models.step import StepRecord, StepState
from controller.playbook.actions.shipped import registry
from controller.playbook.language.library import parse
from controller.ports.store import JobResult
from tests.unit.playbook.test_takeover import HEAD, LOCK, Rests, Stage
from tests.unit.runs.transaction_bench import STATION, Interrupter, Killed

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


async def once(stage: Stage, interrupter: Interrupter | None = None) -> JobResult:
    return await stage.work(stage.bench.claim(), interrupter or Interrupter())


async def to_the_end(stage: Stage) -> JobResult:
    """Claim as a worker does, again and again, while time passes."""
    for _ in range(40):
        for claim in stage.bench.store.claims.take(stage.bench.store.processes.register("w"), 10):
            try:
                return await stage.work(claim, Interrupter())
            except Rests:
                pass
        stage.bench.clock.pause(40)
    raise AssertionError("it never ends")


def rows(stage: Stage) -> list[StepRecord]:
    return stage.bench.store.steps.find(f"{stage.run.id}.0.{STATION}")


async def test_an_answer_lets_it_go_on() -> None:
    stage = Stage(LOCK + ASK)
    with pytest.raises(Rests, match=r"waits for an answer: Go on\?"):
        await once(stage)
    assert stage.lock == "LOCKED"
    assert stage.bench.store.claims.take(stage.bench.store.processes.register("x"), 10) == []
    stage.bench.store.questions.answer(stage.run.id, "yes", actor="eva", reason="all well")
    stage.settled(await once(stage), Outcome.SUCCEEDED, "LOCKED")
    assert rows(stage)[1].output == {"answer": "yes", "by": "eva", "reason": "all well"}


async def test_another_answer_takes_it_back() -> None:
    stage = Stage(LOCK + ASK)
    with pytest.raises(Rests):
        await once(stage)
    stage.bench.store.questions.answer(stage.run.id, "no", actor="eva")
    stage.settled(await once(stage), Outcome.ROLLED_BACK, "UNLOCKED")


@pytest.mark.parametrize(
    ("steps", "outcome", "lock"),
    [(LOCK + DEFAULT, Outcome.SUCCEEDED, "LOCKED"), (LOCK + ASK, Outcome.ROLLED_BACK, "UNLOCKED")],
)
async def test_nobody_answers(steps: str, outcome: Outcome, lock: str) -> None:
    stage = Stage(steps)
    with pytest.raises(Rests):
        await once(stage)
    stage.bench.clock.pause(1001)
    result = await once(stage)
    stage.settled(result, outcome, lock)
    assert ("nobody answered" in result.detail) is not outcome.good


@pytest.mark.parametrize(("steps", "outcome"), [(ASK, Outcome.CANCELLED), (LOCK + ASK, Outcome.WITHDRAWN)])
async def test_a_cancel_ends_the_waiting(steps: str, outcome: Outcome) -> None:
    stage = Stage(steps)
    with pytest.raises(Rests):
        await once(stage)
    assert stage.bench.store.runs.cancel(stage.run.id, "ana").state is RunState.CANCELLING
    result = await once(stage)
    stage.settled(result, outcome, "UNLOCKED")
    assert "the run was cancelled" in result.detail


async def test_what_holds_after_the_soak_stays() -> None:
    stage = Stage(LOCK + WELL)
    with pytest.raises(Rests, match="soaks"):
        await once(stage)
    stage.bench.clock.pause(101)
    stage.settled(await once(stage), Outcome.SUCCEEDED, "LOCKED")
    assert [(row.name, row.state) for row in rows(stage)] == [
        ("lock", StepState.DONE),
        ("soak", StepState.DONE),
        ("well", StepState.DONE),
        ("soak-result", StepState.DONE),
    ]
    assert [row.outcome for row in rows(stage)] == [Outcome.SUCCEEDED, None, None, None]


async def test_what_fails_after_the_soak_is_undone_and_the_run_stops() -> None:
    stage = Stage(LOCK + ILL)
    with pytest.raises(Rests):
        await once(stage)
    stage.bench.clock.pause(101)
    result = await once(stage)
    stage.settled(result, Outcome.ROLLED_BACK, "UNLOCKED")
    assert "check 'all' after the soak: check failed: {{ output.cells_on_air > 90 }}" in result.detail
    assert stage.bench.store.runs.get(stage.run.id).halted.startswith(f"the soak failed at {STATION}: check 'all'")


@pytest.mark.parametrize(
    ("steps", "outcome", "lock"),
    [
        (LOCK + DEFAULT, Outcome.SUCCEEDED, "LOCKED"),
        (LOCK + ILL, Outcome.ROLLED_BACK, "UNLOCKED"),
    ],
)
async def test_killed_at_every_call(steps: str, outcome: Outcome, lock: str) -> None:
    at, done = 0, False
    while not done:
        at += 1
        stage, killer = Stage(steps), Interrupter(at, after=at % 2 == 0)
        claim = stage.bench.claim()
        try:
            try:
                await stage.work(claim, killer)
            except Rests:
                stage.bench.clock.pause(1001)
                claim = stage.bench.claim()
                result = await stage.work(claim, killer)
                done = True
        except Killed:
            stage.bench.declare_dead(claim)
            ended = [job.outcome for job in stage.bench.store.runs.jobs(stage.run.id) if job.outcome is not None]
            if ended:  # the last call took effect, only its answer was lost
                assert ended == [outcome]
                continue
            result = await to_the_end(stage)
        stage.settled(result, outcome, lock)
    assert at > 20


def test_what_soak_checks_may_be() -> None:
    report = Report()
    wrong = (
        "soak_checks:\n"
        "  - {name: lock, action: lock-cell}\n"
        "  - {name: ask, action: ask-a-human, with: {text: x}}\n"
        "  - {name: look, action: read-state, register: seen}\n"
    )
    parse(HEAD + LOCK + wrong, "own.yaml", registry(), report)
    said = "\n".join(map(str, report.problems))
    assert "lock-cell does more than look" in said
    assert "ask-a-human does more than look" in said
    assert "a check after the soak leaves nothing behind" in said


def test_who_may_wait_undoes_nothing() -> None:
    report = Report()
    undo = "  - {name: two, action: read-state, undo: {action: ask-a-human, with: {text: x}}}\n"
    parse(HEAD + LOCK + undo, "own.yaml", registry(), report)
    assert "ask-a-human may wait for long and undoes nothing" in "\n".join(map(str, report.problems))
