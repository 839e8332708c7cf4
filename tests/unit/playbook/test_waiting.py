"""Jobs that wait for people, and for the end of a soak: without a worker, whoever dies in between."""

from __future__ import annotations

import pytest

from controller.inventory.source import Report
from controller.models.run import Outcome, RunState
from controller.models.step import StepRecord, StepState
from controller.playbook.actions.shipped import registry
from controller.playbook.language.library import parse
from controller.ports.store import JobResult
from tests.unit.playbook.test_takeover import HEAD, LOCK, PlaybookBench, Rests
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


async def once(bench: PlaybookBench, interrupter: Interrupter | None = None) -> JobResult:
    return await bench.work(bench.transactions.claim(), interrupter or Interrupter())


async def to_the_end(bench: PlaybookBench) -> JobResult:
    """Claim as a worker does, again and again, while time passes."""
    for _ in range(40):
        for claim in bench.transactions.store.claims.take(bench.transactions.store.processes.register("w"), 10):
            try:
                return await bench.work(claim, Interrupter())
            except Rests:
                pass
        bench.transactions.clock.pause(40)
    raise AssertionError("it never ends")


def rows(bench: PlaybookBench) -> list[StepRecord]:
    return bench.transactions.store.steps.find(f"{bench.run.id}.0.{STATION}")


async def test_an_answer_lets_it_go_on() -> None:
    bench = PlaybookBench(LOCK + ASK)
    with pytest.raises(Rests, match=r"waits for an answer: Go on\?"):
        await once(bench)
    assert bench.lock == "LOCKED"
    assert bench.transactions.store.claims.take(bench.transactions.store.processes.register("x"), 10) == []
    bench.transactions.store.questions.answer(bench.run.id, "yes", actor="eva", reason="all well")
    bench.settled(await once(bench), Outcome.SUCCEEDED, "LOCKED")
    assert rows(bench)[1].output == {"answer": "yes", "by": "eva", "reason": "all well"}


async def test_another_answer_takes_it_back() -> None:
    bench = PlaybookBench(LOCK + ASK)
    with pytest.raises(Rests):
        await once(bench)
    bench.transactions.store.questions.answer(bench.run.id, "no", actor="eva")
    bench.settled(await once(bench), Outcome.ROLLED_BACK, "UNLOCKED")


@pytest.mark.parametrize(
    ("steps", "outcome", "lock"),
    [(LOCK + DEFAULT, Outcome.SUCCEEDED, "LOCKED"), (LOCK + ASK, Outcome.ROLLED_BACK, "UNLOCKED")],
)
async def test_nobody_answers(steps: str, outcome: Outcome, lock: str) -> None:
    bench = PlaybookBench(steps)
    with pytest.raises(Rests):
        await once(bench)
    bench.transactions.clock.pause(1001)
    result = await once(bench)
    bench.settled(result, outcome, lock)
    assert ("nobody answered" in result.detail) is not outcome.good


@pytest.mark.parametrize(("steps", "outcome"), [(ASK, Outcome.CANCELLED), (LOCK + ASK, Outcome.WITHDRAWN)])
async def test_a_cancel_ends_the_waiting(steps: str, outcome: Outcome) -> None:
    bench = PlaybookBench(steps)
    with pytest.raises(Rests):
        await once(bench)
    assert bench.transactions.store.runs.cancel(bench.run.id, "ana").state is RunState.CANCELLING
    result = await once(bench)
    bench.settled(result, outcome, "UNLOCKED")
    assert "the run was cancelled" in result.detail


async def test_what_holds_after_the_soak_stays() -> None:
    bench = PlaybookBench(LOCK + WELL)
    with pytest.raises(Rests, match="soaks"):
        await once(bench)
    bench.transactions.clock.pause(101)
    bench.settled(await once(bench), Outcome.SUCCEEDED, "LOCKED")
    assert [(row.name, row.state) for row in rows(bench)] == [
        ("lock", StepState.DONE),
        ("soak", StepState.DONE),
        ("well", StepState.DONE),
        ("soak-result", StepState.DONE),
    ]
    assert [row.outcome for row in rows(bench)] == [Outcome.SUCCEEDED, None, None, None]


async def test_what_fails_after_the_soak_is_undone_and_the_run_stops() -> None:
    bench = PlaybookBench(LOCK + ILL)
    with pytest.raises(Rests):
        await once(bench)
    bench.transactions.clock.pause(101)
    result = await once(bench)
    bench.settled(result, Outcome.ROLLED_BACK, "UNLOCKED")
    assert "check 'all' after the soak: check failed: {{ output.cells_on_air > 90 }}" in result.detail
    assert bench.transactions.store.runs.get(bench.run.id).halted.startswith(
        f"the soak failed at {STATION}: check 'all'"
    )


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
        bench, killer = PlaybookBench(steps), Interrupter(at, after=at % 2 == 0)
        claim = bench.transactions.claim()
        try:
            try:
                await bench.work(claim, killer)
            except Rests:
                bench.transactions.clock.pause(1001)
                claim = bench.transactions.claim()
                result = await bench.work(claim, killer)
                done = True
        except Killed:
            bench.transactions.declare_dead(claim)
            ended = [job.outcome for job in bench.transactions.store.runs.jobs(bench.run.id) if job.outcome is not None]
            if ended:  # the last call took effect, only its answer was lost
                assert ended == [outcome]
                continue
            result = await to_the_end(bench)
        bench.settled(result, outcome, lock)
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
