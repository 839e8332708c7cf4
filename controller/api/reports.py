"""Post-incident reports: an incident with the decisions of rules, and their runs with evidence from devices."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import AwareDatetime

from controller.access.disclosure import TenantIncidentStory, TenantRun
from controller.api.services import Body
from controller.models.alarm import Alarm
from controller.models.approval import Notice
from controller.models.plan import DiffRow
from controller.models.rule import Proposal
from controller.models.run import Outcome, RunState
from controller.models.step import StepState
from controller.store import Store


class RepairDecision(Body):
    """A decision of a rule, or of a person about it, for one alarm; a refusal has its reason."""

    alarm: str
    rule: str
    mode: str
    what: str
    state: str
    reason: str
    by: str
    run: str
    at: AwareDatetime


class StepEvidence(Body):
    """A step of a run on a device: its changes, and what the device showed."""

    name: str
    action: str
    state: StepState
    outcome: Outcome | None
    detail: str
    diff: tuple[DiffRow, ...]
    output: dict[str, Any]


class DeviceEvidence(Body):
    """What a run did on one device.

    Attributes:
        diff: Nodes before and after.
        steps: Steps of a playbook.
    """

    station: str
    outcome: Outcome | None
    detail: str
    diff: tuple[DiffRow, ...]
    steps: tuple[StepEvidence, ...]


class RunEvidence(Body):
    """A repair run, with what devices showed before and after.

    Attributes:
        before: Cells on air and core links up before the run, by cell id and device path.
        after: The same at its verification or failure; null before that, and if the device could not be read.
    """

    id: str
    alarm: str
    procedure: str
    state: RunState
    requested_by: str
    started: AwareDatetime | None
    finished: AwareDatetime | None
    before: tuple[str, ...]
    after: tuple[str, ...] | None
    devices: tuple[DeviceEvidence, ...]


class TenantIncidentReport(TenantIncidentStory):
    """The report for a tenant: its own part, and its notices."""

    runs: tuple[TenantRun, ...]
    notices: tuple[Notice, ...]


def evidence_of(store: Store, alarms: Iterable[Alarm]) -> tuple[tuple[RepairDecision, ...], tuple[RunEvidence, ...]]:
    """Decisions of rules for alarms, oldest first, and the repair runs."""
    known = list(alarms)
    proposals = [one for alarm in known for one in store.rules.of_alarm(alarm.id)]
    proposed = {one.run: one for one in proposals if one.run}
    runs = {one.run: one.alarm for one in proposed.values()} | {one.run: one.id for one in known if one.run}
    return (
        tuple(map(_decision, sorted(proposals, key=lambda one: (one.at, one.id)))),
        tuple(_run(store, run, alarm, proposed.get(run)) for run, alarm in runs.items()),
    )


def _decision(one: Proposal) -> RepairDecision:
    return RepairDecision(
        alarm=one.alarm,
        rule=one.rule,
        mode=one.mode,
        what=one.playbook or f"rung {one.rung + 1} of its ladder",
        state=one.state,
        reason="; ".join(filter(None, (one.obstacle, one.reason))),
        by=one.by,
        run=one.run,
        at=one.at,
    )


def _run(store: Store, run_id: str, alarm: str, proposal: Proposal | None) -> RunEvidence:
    run = store.runs.get(run_id)
    changes = {change.station: change for change in store.plans.get(run.plan).changes} if run.plan else {}
    devices = []
    for job in store.runs.jobs(run_id):
        change = changes.get(job.station)
        steps = tuple(
            StepEvidence(
                name=step.name,
                action=step.action,
                state=step.state,
                outcome=step.outcome,
                detail=step.detail,
                diff=step.change.diff if step.change is not None else (),
                output=step.output,
            )
            for step in store.steps.find(job.id)
        )
        diff = change.diff if change is not None else ()
        devices.append(
            DeviceEvidence(station=job.station, outcome=job.outcome, detail=job.detail, diff=diff, steps=steps)
        )
    return RunEvidence(
        id=run.id,
        alarm=alarm,
        procedure=run.procedure,
        state=run.state,
        requested_by=run.requested_by,
        started=run.started,
        finished=run.finished,
        before=() if proposal is None else proposal.before,
        after=None if proposal is None else proposal.after,
        devices=tuple(devices),
    )
