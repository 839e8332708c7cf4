"""Runs of tests: requests for them, without the doors that make requests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from controller.models.approval import Contract, RunConstraints
from controller.models.people import Person
from controller.models.plan import Plan
from controller.models.run import PERSON, Run, Strategy
from controller.models.step import RunPlaybook
from controller.ports.queue import Wakeups
from controller.runs.launch import check, prepare_plan
from controller.store import NewJob, PreparedRun, RunRequest, Store


def prepared(
    plan: Plan,
    procedure: str,
    strategy: Strategy,
    jobs: Sequence[NewJob],
    *,
    actor: str = "ana",
    cause: str = PERSON,
    reason: str = "",
    key: str | None = None,
    playbook: RunPlaybook | None = None,
    constraints: RunConstraints | None = None,
    asker: Person | None = None,
    contracts: tuple[Contract, ...] = (),
    from_files: bool = False,
    judge_from: datetime | None = None,
) -> PreparedRun:
    """A run as its procedure would have prepared it, of a plan that rests on no network files unless told otherwise."""
    asked = RunRequest(actor=actor, cause=cause, reason=reason, key=key, asker=asker, contracts=contracts)
    request = replace(asked, plan=plan) if playbook is None else replace(asked, playbook=playbook.name)
    return PreparedRun(
        request=request,
        procedure=procedure,
        plan=plan,
        jobs=tuple(jobs),
        strategy=strategy,
        constraints=constraints,
        playbook=playbook,
        from_files=from_files,
        judge_from=judge_from,
    )


def submit(store: Store, wakeups: Wakeups, request: RunRequest) -> Run:
    """Start the run that applies a plan, as a ``Launcher`` does, but at once."""
    assert request.plan is not None
    new = prepare_plan(store, request, request.plan.created)
    check(store, new)
    run = store.runs.create(new)
    wakeups.wake_workers(run.id)
    return run
