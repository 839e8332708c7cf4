"""Jobs that wait without a worker: woken by time, an answer, a choice or a cancel, on every database."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import text

from controller.models.equipment import Operation, OperationKind
from controller.models.errors import ConflictError, InputError, LeaseLostError, NotFoundError
from controller.models.process import ProcessRole
from controller.models.question import Question
from controller.models.run import JobState, JournalStep, Outcome, Strategy
from controller.models.step import StepRecord, StepState
from controller.models.stopping import StopCode, StopReason
from controller.ports.clock import VirtualClock
from controller.store import Claim, JobResult, Page, Store
from tests.support.records import forge_row, make_entry, start_run


def claimed(store: Store, *names: str) -> list[Claim]:
    start_run(store, list(names))
    return store.claims.take(store.processes.register("w"), 10)


def rest(store: Store, clock: VirtualClock, claim: Claim, seconds: float = 60) -> None:
    store.claims.release(claim, "soaks", keep_transaction=True, until=clock.now() + timedelta(seconds=seconds))


def question(claim: Claim, clock: VirtualClock, name: str = "q", default: str = "") -> Question:
    return Question(
        id=name,
        run=claim.run.id,
        step="ask",
        text="Go on?",
        choices=("yes", "no"),
        default=default,
        asked=clock.now(),
        until=clock.now() + timedelta(seconds=60),
    )


def choice(store: Store, clock: VirtualClock, claim: Claim, state: StepState, detail: str = "") -> None:
    row = StepRecord(
        job=claim.job.id,
        position=5,
        name="soak-result",
        action="soak-result",
        state=state,
        detail=detail,
        started=clock.now(),
        finished=clock.now(),
    )
    store.steps.write(row, claim)


async def test_a_job_rests_without_a_worker_and_keeps_its_device(store: Store, clock: VirtualClock) -> None:
    (claim,) = claimed(store, "A")
    rest(store, clock, claim)
    (job,) = store.runs.jobs(claim.run.id)
    assert (job.state, job.detail, job.attempts) == (JobState.READY, "soaks", 0)
    assert store.claims.busy(["A"])
    worker = store.processes.register("x")
    assert store.claims.take(worker, 10) == []
    await clock.advance(60)
    (again,) = store.claims.take(worker, 10)
    assert again.transaction == claim.transaction
    assert again.recovers
    with pytest.raises(LeaseLostError):
        rest(store, clock, claim)


def test_a_cancel_wakes(store: Store, clock: VirtualClock) -> None:
    (claim,) = claimed(store, "A")
    rest(store, clock, claim)
    store.runs.cancel(claim.run.id, "ana")
    (again,) = store.claims.take(store.processes.register("x"), 10)
    assert again.run.state.value == "cancelling"


def test_the_first_answer_counts_and_wakes(store: Store, clock: VirtualClock) -> None:
    one, two = claimed(store, "A", "B")
    asked = store.questions.ask(question(one, clock), one)
    assert store.questions.ask(question(two, clock).model_copy(update={"text": "Again?"}), two) == asked
    for claim in (one, two):
        rest(store, clock, claim)
    assert store.questions.find() == store.questions.find(one.run.id) == [asked]
    with pytest.raises(InputError, match="'perhaps' is no answer to 'Go on\\?': yes or no"):
        store.questions.answer(one.run.id, "perhaps", actor="ana")
    with pytest.raises(NotFoundError):
        store.questions.answer(one.run.id, "yes", actor="ana", question="r")
    said = store.questions.answer(one.run.id, "yes", actor="ana", reason="CHG-1")
    assert (said.answer, said.by, said.reason, said.answered) == ("yes", "ana", "CHG-1", clock.now())
    with pytest.raises(NotFoundError, match="no open question"):
        store.questions.answer(one.run.id, "no", actor="eva")
    assert store.questions.take_default("q") == said
    assert store.questions.find() == []
    assert store.questions.find(one.run.id, unanswered=False) == [said]
    assert len(store.claims.take(one.incarnation, 10)) == 2
    actions = [row.action for row in store.audit.page(Page(limit=100))[1]]
    assert (actions.count("question.asked"), actions.count("question.answered")) == (1, 1)


def test_a_run_that_nobody_knows_is_distinguished_from_one_that_asks_nothing(store: Store) -> None:
    (claim,) = claimed(store, "A")
    assert store.questions.find(claim.run.id) == []
    with pytest.raises(NotFoundError, match="r-nowhere"):
        store.questions.find("r-nowhere")


async def test_one_of_several_is_named_and_time_ends_them(store: Store, clock: VirtualClock) -> None:
    (claim,) = claimed(store, "A")
    store.questions.ask(question(claim, clock, "q1", "no"), claim)
    store.questions.ask(question(claim, clock, "q2"), claim)
    with pytest.raises(ConflictError, match="q1, q2"):
        store.questions.answer(claim.run.id, "yes", actor="ana")
    assert store.questions.answer(claim.run.id, "yes", actor="ana", question="q2").id == "q2"
    await clock.advance(60)
    assert store.questions.find() == []
    with pytest.raises(NotFoundError):
        store.questions.answer(claim.run.id, "yes", actor="ana", question="q1")
    said = store.questions.take_default("q1")
    assert (said.answer, said.by) == ("no", "nobody")


def test_only_who_has_the_device_asks(store: Store, clock: VirtualClock) -> None:
    (claim,) = claimed(store, "A")
    store.claims.finish(claim, JobResult(Outcome.SUCCEEDED))
    with pytest.raises(LeaseLostError):
        store.questions.ask(question(claim, clock), claim)


def test_a_wave_stands_when_its_last_choice_is_in(store: Store, clock: VirtualClock) -> None:
    one, two, three = claimed(store, "A", "B", "C")
    store.claims.finish(three, JobResult(Outcome.FAILED_SAFE))
    choice(store, clock, one, StepState.DONE)
    soak = store.gates.soak(one, 5)
    assert (soak.pending, soak.failed) == (1, "")
    rest(store, clock, one)
    worker = store.processes.register("x")
    assert store.claims.take(worker, 10) == []
    choice(store, clock, two, StepState.DONE)
    assert store.gates.soak(two, 5).pending == 0
    assert [claim.job.station for claim in store.claims.take(worker, 10)] == ["A"]
    assert store.runs.get(one.run.id).stopped is None


def test_a_failure_wakes_the_wave_and_halts_the_run(store: Store, clock: VirtualClock) -> None:
    one, two = claimed(store, "A", "B")
    choice(store, clock, one, StepState.DONE)
    store.gates.soak(one, 5)
    rest(store, clock, one)
    choice(store, clock, two, StepState.FAILED, "too few calls")
    soak = store.gates.soak(two, 5)
    assert (soak.pending, soak.failed) == (0, "B: too few calls")
    assert [claim.job.station for claim in store.claims.take(store.processes.register("x"), 10)] == ["A"]
    assert store.runs.get(one.run.id).stopped == StopReason(code=StopCode.SOAK, subject="B", because="too few calls")


def test_what_runs_wait_for_is_reported_with_since_when_and_who_can_end_it(store: Store, clock: VirtualClock) -> None:
    (claim,) = claimed(store, "A")
    run = claim.run.id
    assert store.runs.waits([run]) == {}
    asked = store.questions.ask(question(claim, clock), claim)
    store.runs.pause(run, "ana")
    store.runs.resume(run, "ana")
    store.runs.pause(run, "eva")
    paused, asks = store.runs.waits([run, "r-nowhere"])[run]
    assert (paused.what, paused.since, paused.who) == ("paused by eva", clock.now(), "whoever may run: minka resume")
    with store.database.engine.begin() as connection:
        connection.execute(text("UPDATE audit SET detail = '[' WHERE actor = 'eva'"))
    unreadable, _ = store.runs.waits([run])[run]
    assert (unreadable.what, unreadable.since) == ("paused", store.runs.get(run).created)
    assert asks.what.startswith("asks: Go on? (yes or no), until 20")
    assert (asks.since, asks.who) == (asked.asked, f"whoever may run: minka answer {run} … --question q")
    store.questions.answer(run, "yes", actor="ana")
    store.runs.resume(run, "eva")
    assert store.runs.waits([run]) == {}


def test_a_pause_is_told_by_its_own_row_and_by_none_that_somebody_made_up(store: Store) -> None:
    (claim,) = claimed(store, "A")
    run = claim.run.id
    store.runs.pause(run, "ana")
    told = store.runs.waits([run])
    assert told[run][0].what == "paused by ana"
    forge_row(store, "run.pause-requested", run, store.audit.head().number + 5)
    forge_row(store, "run.resumed", run)
    assert store.runs.waits([run]) == told


def test_a_run_whose_jobs_rest_says_why_and_until_when(store: Store, clock: VirtualClock) -> None:
    one, two = claimed(store, "A", "B")
    run = one.run.id
    rest(store, clock, one)
    rest(store, clock, two, 90)
    (wait,) = store.runs.waits([run])[run]
    until = clock.now() + timedelta(seconds=90)
    assert wait.who == f"it is looked at again by {until:%Y-%m-%d %H:%M:%S} UTC"
    assert (wait.what, wait.since, wait.stations) == ("soaks", clock.now(), 2), "which stays, so that it is told once"


async def test_a_rest_that_is_over_and_a_question_are_no_rest(store: Store, clock: VirtualClock) -> None:
    one, two = claimed(store, "A", "B")
    run = one.run.id
    store.questions.ask(question(one, clock), one)
    rest(store, clock, one)
    rest(store, clock, two, 90)
    (wait,) = store.runs.waits([run])[run]
    assert wait.what.startswith("asks: "), "a question says by itself until when"
    await clock.advance(90)
    assert store.runs.waits([run]) == {}


async def test_a_step_that_reads_for_long_is_named_and_one_that_acts_is_not(store: Store, clock: VirtualClock) -> None:
    one, two, three = claimed(store, "A", "B", "C")
    run = one.run.id
    reads = StepRecord(
        job="", position=0, name="on air", action="wait-until", state=StepState.STARTED, started=clock.now()
    )
    for claim in (one, two):
        store.steps.write(reads.model_copy(update={"job": claim.job.id}), claim)
    asks = (Operation(kind=OperationKind.RESET, seconds=60),)
    acts = reads.model_copy(update={"job": three.job.id, "name": "restart", "operations": asks})
    store.steps.write(acts, three)
    assert store.runs.waits([run]) == {}
    await clock.advance(5)
    (wait,) = store.runs.waits([run])[run]
    assert (wait.what, wait.since, wait.stations) == ("step 'on air': wait-until", reads.started, 2)
    store.steps.write(reads.model_copy(update={"job": one.job.id, "state": StepState.DONE}), one)
    assert [wait.stations for wait in store.runs.waits([run])[run]] == [1]


async def test_a_job_that_waits_for_its_stations_own_timer_says_why(store: Store, clock: VirtualClock) -> None:
    one, two = claimed(store, "A", "B")
    run, at = one.run.id, clock.now()

    def write(claim: Claim, seq: int, step: JournalStep, detail: str = "") -> None:
        row = make_entry(claim, seq, step)
        store.journal.append(row.model_copy(update={"at": clock.now(), "detail": detail}), claim)

    for claim in (one, two):
        write(claim, 0, JournalStep.READ)
        write(claim, 1, JournalStep.CANCELLING, "no link")
    assert store.runs.waits([run]) == {}
    await clock.advance(5)
    write(one, 2, JournalStep.CANCELLING, "no link; A refused the cancel: its own timer takes it back by 12:00:00 UTC")
    write(two, 2, JournalStep.REVERTING)
    assert store.runs.waits([run]) == {}, "it is just being asked"
    await clock.advance(5)
    (wait,) = store.runs.waits([run])[run]
    assert wait.what == "no link; A refused the cancel: its own timer takes it back by 12:00:00 UTC"
    assert (wait.since, wait.who, wait.stations) == (at + timedelta(seconds=5), "", 1)
    store.claims.finish(one, JobResult(Outcome.ROLLED_BACK))
    assert store.runs.waits([run]) == {}


async def test_a_wave_that_stands_before_the_next_begins_is_waited_for(store: Store, clock: VirtualClock) -> None:
    run = start_run(store, ["A", "B", "C"], waves=2, strategy=Strategy(soak=60)).id
    one, two = store.claims.take(store.processes.register("w"), 10)
    store.claims.finish(one, JobResult(Outcome.SUCCEEDED))
    assert store.runs.waits([run]) == {}, "its wave is not over"
    store.claims.finish(two, JobResult(Outcome.SUCCEEDED))
    (wait,) = store.runs.waits([run])[run]
    until = clock.now() + timedelta(seconds=60)
    assert wait.what == f"wave 0 stands until {until:%Y-%m-%d %H:%M:%S} UTC before the next one begins"
    assert (wait.since, wait.stations) == (clock.now(), 1)
    await clock.advance(60)
    assert store.runs.waits([run]) == {}


async def test_a_run_says_that_no_worker_lives(store: Store, clock: VirtualClock) -> None:
    run = start_run(store, ["A", "B"]).id
    none = store.runs.unworked([run, "r-nowhere"])[run]
    assert none.what == "no worker lives that could go on with it; none was ever started"
    assert (none.since, none.stations) == (store.runs.get(run).created, 2)
    assert none.who.startswith("whoever operates Minka: minka worker")
    scheduler = store.processes.register("s", ProcessRole.SCHEDULER)
    worker = store.processes.register("w")
    assert store.runs.unworked([run]) == {}
    heard = clock.now()
    await clock.advance(20)
    store.processes.heartbeat(scheduler)
    silent = store.runs.unworked([run])[run]
    assert (silent.what, silent.since) == (
        f"no worker lives that could go on with it; the last one was heard of at {heard:%Y-%m-%d %H:%M:%S} UTC",
        heard,
    ), "whether or not anybody has declared it dead"
    assert store.status.figures()["minka_runs_waiting"]["worker",] == 1
    store.processes.heartbeat(worker)
    assert store.runs.unworked([run]) == {}
    assert store.status.figures()["minka_runs_waiting"]["worker",] == 0
    store.processes.end(worker)
    assert store.runs.unworked([run])[run].stations == 2, "it ended in good order"


async def test_a_run_that_could_not_go_on_anyway_does_not_wait_for_a_worker(store: Store, clock: VirtualClock) -> None:
    one, _ = claimed(store, "A", "B")
    run = one.run.id
    assert store.runs.unworked([run]) == {}
    await clock.advance(20)
    assert store.runs.unworked([run])[run].stations == 2, "also with what a dead worker had claimed"
    store.processes.heartbeat(one.incarnation)
    rest(store, clock, one)
    assert store.runs.unworked([run]) == {}
    await clock.advance(20)
    assert store.runs.unworked([run])[run].stations == 1
    store.runs.pause(run, "ana")
    assert store.runs.unworked([run]) == {}


def test_a_run_names_the_run_that_has_its_device(store: Store, clock: VirtualClock) -> None:
    (claim,) = claimed(store, "A")
    second = start_run(store, ["A", "B"], salt="2")
    for resting in (False, True):
        if resting:
            rest(store, clock, claim)
        (wait,) = store.runs.waits([second.id])[second.id]
        assert (wait.what, wait.stations) == (f"run {claim.run.id} works there", 1)
    assert claim.run.id not in store.runs.waits([second.id])
