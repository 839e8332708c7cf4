"""Nothing of a run begins that does not follow from the network files in force any more, on every database."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest

from controller.models.approval import NoticeKind, Requirement, StationConstraints, VoteChoice
from controller.models.errors import ConflictError, NotClearedError
from controller.models.network import Network
from controller.models.people import Person, Role
from controller.models.run import INSIDE, JobState, JournalStep, Outcome, Run, RunState, Strategy
from controller.models.sharing import ActionClass, Consent
from controller.models.stopping import StopCode
from controller.ports.clock import VirtualClock
from controller.ports.queue import FakeWakeups
from controller.runs.approval.clearance import reassess
from controller.runs.rollout.transitions import OUTDATED, decide
from controller.store import Claim, JobResult, NewJob, Page, Store
from tests.contract.store.test_approvals import constraints
from tests.support.callers import admit
from tests.support.launch import prepared
from tests.support.records import make_entry, make_network, make_plan

#: The files that plans of these tests are made on, and others.
FILES, OTHERS = make_network(), make_network("Peru with another share")
LEO = Person(name="leo", role=Role.TENANT_APPROVER, tenant="entel")


def load(store: Store, version: tuple[str, Network]) -> None:
    digest, network = version
    store.networks.save(network, digest, "ana")


def accept(store: Store, jobs: Sequence[NewJob], *, from_files: bool = True, judge_from: datetime | None = None) -> Run:
    """A run of a plan that was made on ``FILES``."""
    names = [job.station for job in jobs]
    plan = make_plan(names)
    store.plans.save(plan, "ana")
    bound = constraints(*names, subject=plan.digest)
    return store.runs.create(
        prepared(plan, "apply", Strategy(), jobs, constraints=bound, from_files=from_files, judge_from=judge_from)
    )


def judge(store: Store, run: Run, *void: str) -> None:
    """Put on record, by the files in force, which stations of a run must not be changed any more."""
    (known,) = store.runs.unjudged()
    assert known.id == run.id
    outdated = [job.id for job in store.runs.jobs(run.id) if job.station in void]
    assert store.runs.judge(run.id, store.networks.get()[0], outdated, None)
    assert store.runs.unjudged() == []


def settle(store: Store, clock: VirtualClock, run: Run) -> Run:
    """Move the run on as far as it goes, as sweepers do."""
    reassess(store, clock, FakeWakeups())
    while store.runs.advance(run.id, lambda one, jobs: decide(one, jobs, clock.now())) is not None:
        pass
    return store.runs.get(run.id)


def act(store: Store, claim: Claim, step: JournalStep = JournalStep.READ) -> None:
    """Write what a job does next on its device; with ``READ`` it begins."""
    begins = step is JournalStep.READ
    store.journal.append(make_entry(claim, 0 if begins else 1, step), claim, begins=begins)


def ends(store: Store, run: Run) -> dict[str, tuple[Outcome | None, str]]:
    return {job.station: (job.outcome, job.detail) for job in store.runs.jobs(run.id)}


def test_a_run_that_waits_for_a_freeze_does_not_carry_out_a_plan_of_older_files(
    store: Store, clock: VirtualClock
) -> None:
    admit(store, "token-of-leo", LEO.name, LEO.role, LEO.tenant)
    load(store, FILES)
    freeze = store.freezes.add("network", clock.now(), clock.now() + timedelta(days=3), "ana", "elections")
    run = settle(store, clock, accept(store, [NewJob(0, "A"), NewJob(0, "B")]))
    assert run.state is RunState.RUNNING
    assert all(job.blocked for job in store.runs.jobs(run.id))
    load(store, OTHERS)
    store.freezes.end(freeze.id, "ana")
    reassess(store, clock, FakeWakeups())
    worker = store.processes.register("w")
    assert store.claims.take(worker, 10) == [], "it is not judged yet"
    judge(store, run, "A", "B")
    load(store, FILES)
    judge(store, run)
    assert store.claims.take(worker, 10) == [], "it is void, and stays so"
    run = settle(store, clock, run)
    assert run.state is RunState.STOPPED
    assert run.outdated is not None
    assert run.stopped is not None
    assert (run.stopped.code, run.stopped.count) == (StopCode.FILES, 2)
    assert ends(store, run) == dict.fromkeys(("A", "B"), (Outcome.CANCELLED, OUTDATED))
    rows = [one for one in store.audit.page(Page(limit=100))[1] if one.action == "run.judged"]
    assert [(row.object, row.detail["network"], row.detail["outdated"]) for row in rows] == [
        (run.id, FILES[0], "0"),
        (run.id, OTHERS[0], "2"),
    ]
    store.notices.write()
    told = [one.text for one in store.notices.page(Page(limit=9), "entel")[1] if one.kind is NoticeKind.ENDED]
    assert told == ["work has ended: 2 cancelled"], "as by any cancel: it may be what another tenant changed"


def test_a_yes_to_work_that_other_files_ended_counts_for_no_further_run(store: Store, clock: VirtualClock) -> None:
    """Else a removal that somebody agreed to would begin months later, after all was taken back in between."""
    admit(store, "token-of-leo", LEO.name, LEO.role, LEO.tenant)
    load(store, FILES)
    plan = make_plan(["A", "B"])
    store.plans.save(plan, "ana")
    run = accept(store, [NewJob(0, "A"), NewJob(0, "B")])
    store.approvals.vote(subject_of(store, run), LEO, VoteChoice.APPROVE, "", run.id)
    settle(store, clock, run)
    load(store, OTHERS)
    judge(store, run, "A", "B")
    assert settle(store, clock, run).state is RunState.STOPPED
    assert said(store, run) == ["leo"], "who agreed to it stays on record"
    load(store, FILES)
    bound = constraints("A", "B", subject=plan.digest)
    jobs = [NewJob(0, "A"), NewJob(0, "B")]
    again = store.runs.create(prepared(plan, "apply", Strategy(), jobs, constraints=bound, from_files=True))
    assert said(store, again) == []


def subject_of(store: Store, run: Run) -> str:
    standing = store.approvals.standing(run.id)
    assert standing is not None
    return standing.constraints.subject


def said(store: Store, run: Run) -> list[str]:
    return [vote.person for vote in store.approvals.votes(subject_of(store, run))]


def test_what_is_under_way_is_completed_and_what_is_void_never_begins(store: Store, clock: VirtualClock) -> None:
    load(store, FILES)
    run = settle(store, clock, accept(store, [NewJob(0, "A"), NewJob(0, "B"), NewJob(1, "C")]))
    first, second = store.claims.take(store.processes.register("w"), 10)
    act(store, first)
    load(store, OTHERS)
    # It was claimed and had not begun.
    with pytest.raises(NotClearedError, match="has to be judged by the network files and agreements in force first"):
        act(store, second)
    judge(store, run, "A", "B", "C")
    with pytest.raises(
        NotClearedError, match="does not follow from the network files and agreements in force any more"
    ):
        act(store, second)
    store.claims.release(second, "put back", keep_transaction=False)
    act(store, first, JournalStep.EDITING)
    assert settle(store, clock, run).state is RunState.RUNNING
    store.claims.finish(first, JobResult(Outcome.SUCCEEDED))
    assert settle(store, clock, run).state is RunState.STOPPED
    assert ends(store, run) == {
        "A": (Outcome.SUCCEEDED, ""),
        **dict.fromkeys(("B", "C"), (Outcome.CANCELLED, OUTDATED)),
    }


def test_a_queued_run_ends_without_having_begun(store: Store, clock: VirtualClock) -> None:
    load(store, FILES)
    run = accept(store, [NewJob(0, "A")])
    load(store, OTHERS)
    assert settle(store, clock, run).state is RunState.QUEUED
    judge(store, run, "A")
    run = settle(store, clock, run)
    assert (run.state, run.started) == (RunState.STOPPED, None)


def test_what_still_holds_goes_on(store: Store, clock: VirtualClock) -> None:
    load(store, FILES)
    run = settle(store, clock, accept(store, [NewJob(0, "A"), NewJob(0, "B"), NewJob(1, "C")]))
    worker = store.processes.register("w")
    load(store, OTHERS)
    assert store.claims.take(worker, 10) == []
    judge(store, run, "B")
    settle(store, clock, run)
    for station in ("A", "C"):
        (claim,) = store.claims.take(worker, 10)
        assert claim.job.station == station
        act(store, claim)
        store.claims.finish(claim, JobResult(Outcome.SUCCEEDED))
        run = settle(store, clock, run)
    assert run.state is RunState.STOPPED
    assert ends(store, run) == {
        "A": (Outcome.SUCCEEDED, ""),
        "B": (Outcome.CANCELLED, OUTDATED),
        "C": (Outcome.SUCCEEDED, ""),
    }


def test_a_tenant_whose_part_is_void_is_not_waited_for(store: Store, clock: VirtualClock) -> None:
    """Nobody can answer for a part that has ended, so its yes and the lead time of its notice count no more."""
    load(store, FILES)
    claro, bitel = (
        StationConstraints(
            region="cusco", timezone="America/Lima", tenants=(one,), asks=((one, ActionClass.INTERRUPT),)
        )
        for one in ("claro", "bitel")
    )
    bound = constraints("A", "B", "C", requirement=Requirement(side="claro", action=ActionClass.INTERRUPT))
    late = Requirement(side="claro", action=ActionClass.CONFIGURE, consent=Consent.NOTICE, lead_hours=24)
    asks = (*claro.asks, ("claro", ActionClass.CONFIGURE))
    bound = bound.model_copy(
        update={
            "groups": (claro.model_copy(update={"asks": asks}), bitel),
            "stations": {"A": ("a", 0), "B": ("b", 0), "C": ("c", 1)},
            "requirements": (*bound.requirements, late),
            "tenants": ("bitel", "claro"),
        }
    )
    plan = make_plan(["A", "B", "C"])
    store.plans.save(plan, "ana")
    jobs = [NewJob(0, "A"), NewJob(0, "B"), NewJob(0, "C")]
    run = store.runs.create(prepared(plan, "apply", Strategy(), jobs, constraints=bound, from_files=True))
    run = settle(store, clock, run)
    worker = store.processes.register("w")
    load(store, OTHERS)
    judge(store, run, "A")
    settle(store, clock, run)
    blocked = {job.station: job.blocked for job in store.runs.jobs(run.id)}
    assert "approval by 1 of claro" in blocked["C"], "B is claro's, and is left"
    assert "h notice to claro" in blocked["C"]
    load(store, FILES)
    judge(store, run, "B")
    # At once, also before the void jobs have ended.
    reassess(store, clock, FakeWakeups())
    assert {job.station: job.blocked for job in store.runs.jobs(run.id)}["C"] == ""
    settle(store, clock, run)
    (standing,) = [one for of, one in store.approvals.standings() if of.id == run.id]
    assert standing.over == frozenset("AB")
    assert standing.requirements == ()
    (claim,) = store.claims.take(worker, 10)
    assert claim.job.station == "C"


async def test_a_run_is_judged_when_an_agreement_begins_or_ends(store: Store, clock: VirtualClock) -> None:
    load(store, FILES)
    due = clock.now() + timedelta(hours=1)
    run = settle(store, clock, accept(store, [NewJob(0, "A")], judge_from=due))
    assert store.runs.unjudged() == []
    worker = store.processes.register("w")
    (claim,) = store.claims.take(worker, 10)
    store.claims.release(claim, "put back", keep_transaction=False)
    await clock.advance(3600)
    assert [one.id for one in store.runs.unjudged()] == [run.id]
    assert store.claims.take(worker, 10) == []
    judge(store, run)
    assert [one.job.station for one in store.claims.take(worker, 10)] == ["A"]


def test_stations_of_a_function_that_restarted_are_brought_back_all_the_same(store: Store, clock: VirtualClock) -> None:
    load(store, FILES)
    run = settle(store, clock, accept(store, [NewJob(0, "DU", "DU"), NewJob(0, "S", "DU", INSIDE[1])]))
    worker = store.processes.register("w")
    (function,) = store.claims.take(worker, 10)
    load(store, OTHERS)
    judge(store, run, "DU", "S")
    store.claims.finish(function, JobResult(Outcome.SUCCEEDED))
    settle(store, clock, run)
    (inside,) = store.claims.take(worker, 10)
    assert inside.job.station == "S"
    act(store, inside)
    store.claims.finish(inside, JobResult(Outcome.SUCCEEDED))
    assert settle(store, clock, run).state is RunState.SUCCEEDED


def test_a_plan_that_follows_from_the_ledger_goes_on(store: Store, clock: VirtualClock) -> None:
    load(store, FILES)
    run = settle(store, clock, accept(store, [NewJob(0, "A")], from_files=False))
    load(store, OTHERS)
    (claim,) = store.claims.take(store.processes.register("w"), 10)
    act(store, claim)
    assert store.runs.get(run.id).outdated is None


def test_a_run_is_accepted_only_while_the_files_of_its_plan_are_in_force(store: Store) -> None:
    load(store, FILES)
    load(store, OTHERS)
    with pytest.raises(ConflictError, match="older version of the network files: plan again"):
        accept(store, [NewJob(0, "A")])
    assert store.runs.active() == []
    assert accept(store, [NewJob(0, "A")], from_files=False).state is RunState.QUEUED


def test_the_same_files_again_stop_nothing(store: Store, clock: VirtualClock) -> None:
    load(store, FILES)
    run = settle(store, clock, accept(store, [NewJob(0, "A")]))
    load(store, FILES)
    assert store.runs.get(run.id).outdated is None
    (claim,) = store.claims.take(store.processes.register("w"), 10)
    assert claim.job.state is JobState.CLAIMED


def test_how_long_a_run_waits_to_be_judged_is_a_figure(store: Store, clock: VirtualClock) -> None:
    def waits() -> float:
        return store.status.figures()["minka_oldest_unjudged_run_age_seconds"][()]

    load(store, FILES)
    run = accept(store, [NewJob(0, "A")])
    later = accept(store, [NewJob(0, "B")], judge_from=clock.now() + timedelta(seconds=100))
    assert waits() == 0
    clock.pause(30)
    load(store, OTHERS)
    clock.pause(7)
    assert waits() == 7
    for one in (run, later):
        assert store.runs.judge(one.id, store.networks.get()[0], (), clock.now() + timedelta(seconds=10))
    assert waits() == 0
    clock.pause(12)
    assert waits() == 2
