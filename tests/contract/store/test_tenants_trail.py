"""A tenant's audit trail: what ended before it began is told, and each object is found by what is told of it."""

from __future__ import annotations

from functools import partial

import pytest

from controller.access.disclosure import DECIDED, JOB_FINISHED, JOBS_ENDED, VISIBLE_ACTS, visible_act
from controller.models.people import Person, Role
from controller.models.run import AuditRow, Outcome, RunState
from controller.ports.clock import VirtualClock
from controller.store import AuditQuery, JobResult, Page, Store
from controller.store.jobs.involvement import note_run
from controller.store.runs.runs import Decide, Transition
from tests.support.records import start_run

PAGE = Page(limit=1000)
ONE, OTHER = "S1", "S10"
#: Whose service the stations carry.
SHARED = {ONE: ["claro"], OTHER: ["bitel"]}


def told(store: Store, tenant: str, wanted: AuditQuery | None = None) -> list[AuditRow]:
    """The trail as the tenant reads it, newest first."""
    _, found = store.tenants.audit(tenant, VISIBLE_ACTS, PAGE, wanted or AuditQuery())
    return [visible_act(row, row.id, own) for row, own in found]


def shared(store: Store) -> str:
    """A run on a station of claro's and one of bitel's."""
    run = start_run(store, [ONE, OTHER])
    store.database.run(partial(note_run, run_id=run.id, tenants=SHARED), "IMMEDIATE")
    return run.id


def always(move: Transition) -> Decide:
    return lambda _run, _jobs: move


def ended(store: Store, tenant: str) -> list[str]:
    return [row.object for row in told(store, tenant, AuditQuery(action=JOBS_ENDED))]


@pytest.mark.parametrize("how", ["cancel_rest", "outdated", "withdrawn"])
def test_a_tenant_reads_that_its_own_jobs_ended_before_they_began(store: Store, clock: VirtualClock, how: str) -> None:
    run = shared(store)
    (claim,) = store.claims.take(store.processes.register("w"), 1)
    whose, others = ("claro", "bitel") if claim.job.station == OTHER else ("bitel", "claro")
    (left,) = (job.id for job in store.runs.jobs(run) if job.id != claim.job.id)
    end = {"cancel_rest": True} if how == "cancel_rest" else {how: (left,)}
    clock.pause(5)
    store.runs.advance(run, lambda seen, _jobs: Transition(seen.state, **end))
    assert (ended(store, whose), ended(store, others)) == ([run], [])
    clock.pause(5)
    store.claims.finish(claim, JobResult(Outcome.SUCCEEDED))
    assert (ended(store, whose), ended(store, others)) == ([run], [])
    (row,) = told(store, whose, AuditQuery(action=JOBS_ENDED))
    assert (row.actor, row.detail) == ("host", {}), "the number of jobs counts those of others"


def test_a_cancelled_run_reads_as_a_void_one_before_its_own_jobs_begin(store: Store, clock: VirtualClock) -> None:
    """Which of these it was would tell what others did."""
    read = {}
    for how in ("cancelled", "void"):
        run = start_run(store, [ONE, OTHER], salt=how).id
        store.database.run(partial(note_run, run_id=run, tenants=SHARED), "IMMEDIATE")
        clock.pause(5)
        if how == "cancelled":
            store.runs.cancel(run, "ana")
            move = Transition(RunState.CANCELLING, cancel_rest=True)
        else:
            move = Transition(RunState.RUNNING, outdated=tuple(job.id for job in store.runs.jobs(run)))
        clock.pause(5)
        store.runs.advance(run, always(move))
        read[how] = [row.action for row in told(store, "claro", AuditQuery(object=run))]
    assert read["cancelled"] == read["void"] == [JOBS_ENDED, "run.created"]


def test_each_object_is_found_as_it_is_told(store: Store, clock: VirtualClock) -> None:
    store.users.add(Person(name="rosa", role=Role.TENANT_APPROVER, tenant="claro"), "ana")
    run = shared(store)
    clock.pause(1)
    store.audit.append("rosa", "approval.given", run, {"reason": "fine"})
    store.audit.append("ana", DECIDED, f"{run} claro", {"contracts": "c1", "reason": "agreed"})
    store.audit.append("ana", DECIDED, f"{run} bitel", {"contracts": "c2", "reason": "agreed"})
    for claim in store.claims.take(store.processes.register("w"), 2):
        store.claims.finish(claim, JobResult(Outcome.SUCCEEDED))
    whole = told(store, "claro")
    assert {(row.action, row.object) for row in whole} >= {
        ("run.created", run),
        ("approval.given", run),
        (DECIDED, run),
        (JOB_FINISHED, f"{run} {ONE}"),
    }
    for row in whole:
        assert told(store, "claro", AuditQuery(object=row.object)) == [
            other for other in whole if other.object == row.object
        ]
        assert told(store, "claro", AuditQuery(object=f"{row.object[:-1]}*")) == [
            other for other in whole if other.object.startswith(row.object[:-1])
        ]
    jobs = [job.id for job in store.runs.jobs(run)]
    hidden = [*jobs, f"{run} {OTHER}", f"{run} claro", f"{run} bitel"]
    assert [told(store, "claro", AuditQuery(object=name)) for name in hidden] == [[]] * len(hidden)
    assert told(store, "claro", AuditQuery(object=f"{run}.*")) == [], "a beginning of ids would tell of waves"
