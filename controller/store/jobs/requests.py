"""Requests for runs, and runs that are prepared but not on record yet (``controller.runs.launch``)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from controller.access.roles import may
from controller.models.approval import Contract, RunConstraints
from controller.models.errors import ConflictError
from controller.models.packing import packed
from controller.models.people import Permission, Person
from controller.models.plan import Plan
from controller.models.run import PERSON, OnHold, Run, Strategy
from controller.models.step import RunPlaybook


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job to be created with its run.

    Attributes:
        unit: Name of its unit within its wave; empty if the device is a unit of its own.
        rank: Order within the unit: it begins when all jobs of lower rank are prepared or ended well.
    """

    wave: int
    station: str
    unit: str = ""
    rank: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """A request: what is to be run, who asks for it, and why. Either a plan is applied, or a playbook is run.

    Attributes:
        plan: The plan to apply; a plan that takes a run back undoes that run.
        strategy: How to go through the stations of the plan; playbooks have their own.
        playbook: Name of the playbook to run; its targets follow from the parameters.
        parameters: The playbook's parameters.
        expect_stations: Number of devices that the playbook's run is expected to touch; None if none was named.
        on_hold: What to do about stations under a hold; None leaves that to the playbook.
        actor: Name of the person, or of the rule, for the record.
        cause: ``person``, or ``alarm:<id>``; a run that no person asks for needs standing consents.
        reason: Why.
        key: Idempotency key: the same key of the same person, or for the same alarm, means the same run.
        asker: The person who asks; the request counts as a yes if the person may approve.
        contracts: Contractual reasons of that person.
        overtake: Whether it may go before a paused run that has yet to change one of its stations.
    """

    plan: Plan | None = None
    strategy: Strategy = field(default_factory=Strategy)
    playbook: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    expect_stations: int | None = None
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
        """Whether a rule asks, and not a person."""
        return self.cause != PERSON

    @property
    def approver(self) -> Person | None:
        """The person who asks, if that person may approve."""
        return self.asker if self.asker is not None and may(self.asker, Permission.APPROVE) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedRun:
    """A run that can be accepted.

    Attributes:
        procedure: The procedure that its jobs execute: ``apply``, ``undo``, or the name of the playbook.
        plan: The plan that it is bound to; an empty one if its playbook makes none.
        strategy: How it goes through its stations, with the timer that its groups need.
        constraints: Approvals, windows and notices that bind it; None if there are none.
        playbook: The playbook's text and parameters, if it runs one.
        refused: Why it is refused; empty if it is not.
        would_expect: Number of devices that the request would have to expect, where the first reason is about that.
        adopts: Observe-only stations that are adopted when the run is accepted.
        idle: Whether its plan finds nothing to change.
        repairs: Whether it may change a device; one that only reads, asks or notifies repairs nothing.
        from_files: Whether its plan follows from network files, and not from the ledger: then nothing of it begins that
            does not follow from those in force.
        judge_from: From when it has to be judged by the files and agreements in force (``Run.judge_from``).
        begins: By tenant, when its work may begin at the earliest, as its notice says; those absent know of no window.
        content: The constraints as they are kept; they are packed here, since a transaction works out nothing.
    """

    request: RunRequest
    procedure: str
    plan: Plan
    jobs: tuple[NewJob, ...]
    strategy: Strategy
    constraints: RunConstraints | None = None
    playbook: RunPlaybook | None = None
    refused: tuple[str, ...] = ()
    would_expect: int | None = None
    adopts: tuple[str, ...] = ()
    idle: bool = False
    repairs: bool = True
    from_files: bool = True
    judge_from: datetime | None = None
    begins: Mapping[str, datetime] = field(default_factory=dict)
    content: bytes = field(init=False, repr=False, compare=False)

    @property
    def restarts(self) -> bool:
        """Whether it may restart a device or a unit of it, whoever is served there."""
        return self.constraints is not None and any(group.restarts for group in self.constraints.groups)

    def __post_init__(self) -> None:
        object.__setattr__(self, "content", b"" if self.constraints is None else packed(self.constraints))


def other_request(known: Run) -> ConflictError:
    """The error if an idempotency key comes again with another request."""
    return ConflictError(f"the idempotency key belongs to run {known.id}, which another request made")
