"""Requests for runs, and runs that are prepared and not on record yet (``controller.runs.launch``)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from controller.access.roles import may
from controller.models.approval import Contract, RunConstraints
from controller.models.errors import ConflictError
from controller.models.people import Permission, Person
from controller.models.plan import Plan
from controller.models.run import PERSON, OnHold, Run, Strategy
from controller.models.step import RunPlaybook


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job to be created with its run.

    Attributes:
        unit: Name of the unit it belongs to, within its wave; empty where the device is one of its own.
        rank: Order within the unit: it begins when all of lower rank are prepared or done well.
    """

    wave: int
    station: str
    unit: str = ""
    rank: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """What is to be run, who asks for it, and why: either a plan is applied, or a playbook is run.

    Attributes:
        plan: The plan to apply; one that takes a run back undoes it.
        strategy: How to go through the stations of the plan; playbooks have their own.
        playbook: Name of the playbook to run; its targets follow from the parameters.
        parameters: The playbook's parameters.
        on_hold: What becomes of stations under a hold; None leaves that to the playbook.
        actor: Name of the person, or of the rule, for the record.
        cause: ``person``, or ``alarm:<id>``; what no person asks for needs standing consents.
        reason: Why.
        key: Idempotency key: the same one of the same person, or for the same alarm, is the same run.
        asker: The person who asks; that counts as a yes where the person may approve.
        contracts: Contractual reasons of that person.
        overtake: Whether it may go before a paused run that has yet to change one of its stations.
    """

    plan: Plan | None = None
    strategy: Strategy = field(default_factory=Strategy)
    playbook: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    on_hold: OnHold | None = None
    actor: str
    cause: str = PERSON
    reason: str = ""
    key: str | None = None
    asker: Person | None = None
    contracts: tuple[Contract, ...] = ()
    overtake: bool = False

    @property
    def automatic(self) -> bool:
        """Whether a rule asks, and no person does."""
        return self.cause != PERSON

    @property
    def approver(self) -> Person | None:
        """Who asks, if that person may approve."""
        return self.asker if self.asker is not None and may(self.asker, Permission.APPROVE) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedRun:
    """A run that can be accepted.

    Attributes:
        procedure: What its jobs execute: ``apply``, ``undo``, or the name of the playbook.
        plan: The plan that it is bound to; an empty one where its playbook makes none.
        strategy: How it goes through its stations, with the timer that its groups need.
        constraints: Under which approvals, windows and notices; None where there are none.
        playbook: The playbook's text and parameters, where it runs one.
        refused: Why it is refused; empty if it is not.
        adopts: Stations that are observe-only, and are adopted when the run is accepted.
        idle: Whether its plan finds nothing to change.
    """

    request: RunRequest
    procedure: str
    plan: Plan
    jobs: tuple[NewJob, ...]
    strategy: Strategy
    constraints: RunConstraints | None = None
    playbook: RunPlaybook | None = None
    refused: tuple[str, ...] = ()
    adopts: tuple[str, ...] = ()
    idle: bool = False


def other_request(known: Run) -> ConflictError:
    """The error where an idempotency key comes again with another request."""
    return ConflictError(f"the idempotency key belongs to run {known.id}, which was asked for otherwise")
