"""Runs: start, list, show, watch, pause, cancel."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Header, Query, Request
from starlette.concurrency import run_in_threadpool

from controller.access.disclosure import TenantJob, TenantRun
from controller.api.auth import Router, needs, while_admitted
from controller.api.launch import Launch
from controller.api.services import FOLLOW_SECONDS, Backend, Body, Contracts, Listing, Paging, cut, listing
from controller.api.sse import SILENCE, EventStream, InTurn, event, keep_alive
from controller.api.views import CallerView, RunView, View
from controller.models.approval import Contract
from controller.models.errors import NotFoundError
from controller.models.people import Permission, Person
from controller.models.run import Decision, Job, Run, RunState, Strategy
from controller.models.step import StepRecord
from controller.store import RunRequest

router = Router(prefix="/v1/runs", tags=["runs"])


class NewRun(Body):
    """A plan to apply, how, and why; ``overtake`` lets the run start before a paused one on the same stations."""

    plan: str
    strategy: Strategy = Strategy()
    reason: str = ""
    contracts: tuple[Contract, ...] = Contracts
    overtake: bool = False


@router.post("", status_code=202)
async def start(
    asked: NewRun,
    backend: Backend,
    launch: Launch,
    who: Annotated[Person, needs(Permission.RUN)],
    idempotency_key: Annotated[str | None, Header(min_length=1, max_length=200)] = None,
) -> Run:
    """Start a run. Your same Idempotency-Key returns the same run, and with another body a conflict."""
    return await launch.start(
        RunRequest(
            plan=await run_in_threadpool(backend.store.plans.get, asked.plan),
            strategy=asked.strategy,
            actor=who.name,
            reason=asked.reason,
            key=idempotency_key,
            asker=who,
            contracts=asked.contracts,
            overtake=asked.overtake,
        )
    )


@router.get("")
def runs(
    seen: CallerView,
    paging: Paging,
    _: Annotated[Person, needs(Permission.READ)],
    state: Annotated[list[RunState] | None, Query()] = None,
) -> Listing[RunView | TenantRun]:
    """Runs, newest first; ``state`` may be given several times."""
    total, found = seen.runs(paging, state)
    return listing(total, found, paging)


@router.get("/{run_id}")
def show(run_id: str, seen: CallerView, _: Annotated[Person, needs(Permission.READ)]) -> RunView | TenantRun:
    """One run with its counts."""
    return seen.run(run_id)


@router.get("/{run_id}/jobs")
def jobs(
    run_id: str, seen: CallerView, paging: Paging, _: Annotated[Person, needs(Permission.READ)]
) -> Listing[Job | TenantJob]:
    """Jobs of a run, by wave and station."""
    return cut(seen.jobs(run_id), paging)


@router.get("/{run_id}/steps/{station}")
def steps(
    run_id: str, station: str, backend: Backend, paging: Paging, _: Annotated[Person, needs(Permission.OVERSEE)]
) -> Listing[StepRecord]:
    """Steps of a playbook's run on one station, in order, each followed by its undo."""
    job = next((job for job in backend.store.runs.jobs(run_id) if job.station == station), None)
    if job is None:
        raise NotFoundError(f"run {run_id} has no job on {station}")
    return cut(backend.store.steps.find(job.id), paging)


@router.post("/{run_id}/cancel", status_code=202)
def cancel(run_id: str, backend: Backend, who: Annotated[Person, needs(Permission.RUN)]) -> Run:
    """Cancel a run: no more devices start. Devices under way finish; undecided groups are taken back.

    Cancelling a finished run changes nothing.
    """
    run = backend.store.runs.cancel(run_id, who.name)
    backend.wakeups.wake_workers(run_id)
    return run


@router.post("/{run_id}/pause", status_code=202)
def pause(run_id: str, backend: Backend, who: Annotated[Person, needs(Permission.RUN)]) -> Run:
    """Pause a run: no more devices start until it is resumed. Devices and units under way finish.

    Pausing a run that is finished, or being cancelled, changes nothing.
    """
    return backend.store.runs.pause(run_id, who.name)


@router.post("/{run_id}/resume", status_code=202)
def resume(run_id: str, backend: Backend, who: Annotated[Person, needs(Permission.RUN)]) -> Run:
    """Resume a paused run; any other run stays as it is."""
    run = backend.store.runs.resume(run_id, who.name)
    backend.wakeups.wake_workers(run_id)
    return run


@router.get("/{run_id}/decisions")
def decisions(
    run_id: str, backend: Backend, paging: Paging, _: Annotated[Person, needs(Permission.OVERSEE)]
) -> Listing[Decision]:
    """Decisions for units and waves that are confirmed or taken back together."""
    run = backend.store.runs.get(run_id)
    return cut(backend.store.gates.decisions([(run_id, wave) for wave in range(run.waves)]), paging)


@router.get("/{run_id}/events", status_code=200, response_class=EventStream)
async def events(
    run_id: str, request: Request, seen: CallerView, _: Annotated[Person, needs(Permission.READ)]
) -> EventStream:
    """Server-sent events: ``run`` when its state, wave or counts change, ``job`` when a job ends; ends with the run."""
    await run_in_threadpool(seen.run, run_id)
    return EventStream(while_admitted(request, _follow(seen, run_id, request.state.turn.another)))


async def _follow(seen: View, run_id: str, in_turn: InTurn) -> AsyncIterator[str]:
    """Events of a run, as the record changes."""
    sent: set[str] = set()
    last: RunView | TenantRun | None = None
    silent = 0.0
    while True:
        async with in_turn():
            run = await seen.shared(f"run {run_id}", lambda: seen.run(run_id))
            news = await run_in_threadpool(_news, seen, run, sent) if run != last else ""
        if news:
            yield news
            last, silent = run, 0.0
        if run.state.terminal:
            return
        silent += FOLLOW_SECONDS
        if silent >= SILENCE:
            yield keep_alive()
            silent = 0.0
        await seen.clock.sleep(FOLLOW_SECONDS)


def _news(seen: View, run: RunView | TenantRun, sent: set[str]) -> str:
    """The jobs that ended since the last call, which are added to ``sent``, and the run."""
    ended = [job for job in seen.jobs(run.id) if job.outcome is not None and job.station not in sent]
    sent.update(job.station for job in ended)
    return "".join(event("job", job) for job in ended) + event("run", run)
