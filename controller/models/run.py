"""Runs: one execution of a procedure, its waves and jobs, and how each device ended."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from pydantic import AwareDatetime, Field

from controller.models.enums import Outcome as Outcome  # noqa: PLC0414 - offered here, beside what it is about
from controller.models.enums import Policy as Policy  # noqa: PLC0414 - offered here, beside what it is about
from controller.models.enums import RunState as RunState  # noqa: PLC0414 - offered here, beside what it is about
from controller.models.network import Network, Noun
from controller.models.plan import LedgerNode

#: Beginning of a hold's target that is a site.
_SITE = "site:"
#: Cause of a run that a person asked for.
PERSON = "person"
#: Beginning of the cause of a run that a rule asked for; the id of its alarm follows.
ALARM = "alarm:"
#: Procedure of runs that take another run back, by its plan.
UNDO = "undo"
#: Seconds of a confirmed commit at most.
LONGEST_TIMER = 3600
#: Seconds in which a station that was away is tried again at most.
LONGEST_PATIENCE = 30 * 86400
#: Seconds before it is tried again: at first, and at most. Each pause is as long as all before it together.
_FIRST_PAUSE, _LONGEST_PAUSE = 60, 3600
#: Seconds to prepare one device (session, locks, reads, edits, commits), and beyond what is expected (a decision, the
#: confirms, a worker that dies and is replaced).
_PREPARATION, _MARGIN = 30, 60


#: Ranks of stations that live in a function of their unit and come after it: central units, then all others.
INSIDE = (10, 11)
#: What a job comes to that restarted nothing.
_UNTOUCHED = (Outcome.FAILED_SAFE, Outcome.REFUSED, Outcome.DEFERRED, Outcome.CANCELLED)


def restarted(jobs: Iterable[Any]) -> frozenset[tuple[int, str]]:
    """Waves and units whose functions were begun, and may have restarted.

    The stations that live in them have lost their configuration then, and are brought back whatever becomes of the
    function or of the run.

    Args:
        jobs: Jobs of one run where each device is decided on its own, or their rows.
    """
    return frozenset(
        (job.wave, job.unit)
        for job in jobs
        if job.rank < min(INSIDE) and job.started is not None and job.outcome not in _UNTOUCHED
    )


class OnHold(StrEnum):
    """What becomes of a run that would change stations under a hold: it leaves them out, or is refused whole."""

    SKIP = "skip"
    REFUSE = "refuse"


class JobState(StrEnum):
    """State of a job: waiting for its wave, claimable, claimed by a worker, or done."""

    WAITING = "waiting"
    READY = "ready"
    CLAIMED = "claimed"
    DONE = "done"


class GateChoice(StrEnum):
    """What becomes of devices that stand at a gate together.

    ``postpone``: they are taken back as with ``cancel``, and begin again when they may (windows, freezes, holds).
    """

    CONFIRM = "confirm"
    CANCEL = "cancel"
    POSTPONE = "postpone"


class Decision(Noun):
    """What was decided for a unit or a wave at a gate: once, and never changed.

    Attributes:
        unit: The unit; empty where the whole wave was decided.
        gate: Number of the gate in its run's procedure: 0, or the position of a playbook's step.
        round: How often the unit or wave had been postponed before.
        by: Incarnation or process that decided.
    """

    run: str
    wave: int
    unit: str
    gate: int
    round: int = 0
    choice: GateChoice
    at: AwareDatetime
    by: str
    reason: str = ""


class Strategy(Noun):
    """How a run goes through its stations.

    Attributes:
        policy: What is confirmed or taken back together.
        canary: Stations in the first wave, on their own.
        canary_wave: Number of that wave; those before it make ready what it needs. It follows from the stations.
        wave_size: Stations in each later wave; tracking areas are never cut.
        per_region: Stations of one region in each later wave at most; None for no such limit.
        parallel: Device transactions at once.
        stop_after: Failures after which no further wave starts.
        soak: Seconds between the end of a wave and the start of the next.
        patience: Seconds in which a station that is away or busy is tried again, before it ends ``deferred``.
        confirm_timeout: Seconds of each confirmed commit, never extended; None leaves the choice to us (``timer``).
        check_timeout: Seconds to wait for cells, core links and alarms before the confirm.
    """

    policy: Policy = Policy.STATION
    canary: int = Field(default=1, ge=0)
    canary_wave: int = Field(default=0, ge=0)
    wave_size: int = Field(default=50, ge=1)
    per_region: int | None = Field(default=None, ge=1)
    parallel: int = Field(default=500, ge=1)
    stop_after: int = Field(default=1, ge=1)
    soak: int = Field(default=0, ge=0)
    patience: int = Field(default=0, ge=0, le=LONGEST_PATIENCE)
    confirm_timeout: int | None = Field(default=None, ge=5, le=LONGEST_TIMER)
    check_timeout: int = Field(default=30, ge=1, le=1800)

    def timer(self, rounds: int = 1) -> int:
        """Seconds of a confirmed commit: preparation and checks of each round of a group, and a margin."""
        if self.confirm_timeout is not None:
            return self.confirm_timeout
        return rounds * (_PREPARATION + self.check_timeout) + _MARGIN

    def is_patient(self, since: datetime, now: datetime) -> bool:
        """Whether a station that has been away or busy ``since`` may be tried again."""
        return now < since + timedelta(seconds=self.patience)

    def next_try(self, since: datetime, now: datetime) -> datetime | None:
        """When such a station is tried again after a try that ended ``now``; None once the patience has run out.

        The last try comes when it does.
        """
        if not self.is_patient(since, now):
            return None
        pause = min(max((now - since).total_seconds(), _FIRST_PAUSE), _LONGEST_PAUSE)
        return min(now + timedelta(seconds=pause), since + timedelta(seconds=self.patience))


class Job(Noun):
    """One step of a run on one device.

    Attributes:
        unit: Devices of a wave that belong together, as a station and its router, or a tracking area.
        rank: Order within the unit: it begins when all of lower rank are prepared or done well.
        round: How often it, or its unit or wave, was postponed.
        deferred: Since when its device is unreachable or busy, where it is tried again (``Strategy.patience``).
        blocked: Why it may not begin now (approvals, windows, freezes, holds, a pause), for people; empty if it may.
        closes: When the window that it may work in closes; None if none does.
        gate: Number of the gate at which its device stands, prepared and verified, or stood last; of its decision,
            where it soaks and others of its unit come behind it.
        gate_until: When the device at the gate reverts by itself; None where it has no such timer.
        choice: What was decided for it there.
    """

    id: str
    run: str
    wave: int
    station: str
    unit: str = ""
    rank: int = 0
    round: int = 0
    state: JobState
    attempts: int = 0
    gate: int | None = None
    gate_until: AwareDatetime | None = None
    choice: GateChoice | None = None
    outcome: Outcome | None = None
    detail: str = ""
    deferred: AwareDatetime | None = None
    blocked: str = ""
    closes: AwareDatetime | None = None
    started: AwareDatetime | None = None
    finished: AwareDatetime | None = None


class Run(Noun):
    """One execution of a procedure.

    Attributes:
        procedure: Name of the procedure: ``apply``, which is built in, or of a playbook.
        plan: Id of the plan it executes.
        cause: Why it runs: ``person``, or ``alarm:<id>`` for a remediation.
        requested_by: Name of the token's owner, or of the rule.
        halted: Why nothing more may begin, whatever failures the strategy bears: a soak that failed.
        counts: Jobs by outcome, plus ``pending``.
        waits: Of the pending ones, how many may not begin, by the reason.
        playbook: Digest of the playbook's text; empty for procedures that are built in.
        parameters: The playbook's parameters.
    """

    id: str
    procedure: str
    plan: str
    state: RunState
    strategy: Strategy
    cause: str
    requested_by: str
    reason: str = ""
    created: AwareDatetime
    started: AwareDatetime | None = None
    finished: AwareDatetime | None = None
    halted: str = ""
    wave: int = 0
    waves: int = 0
    counts: dict[str, int] = {}
    waits: dict[str, int] = {}
    playbook: str = ""
    parameters: dict[str, Any] = {}

    @property
    def automatic(self) -> bool:
        """Whether a rule asked for it, and no person did."""
        return self.cause != PERSON


class Wait(Noun):
    """What keeps a run, or some of its stations, from going on.

    Attributes:
        what: For people: an approval, a window, a freeze, a hold, a question, a pause, another run.
        since: Since when it waits for that; for a window or a freeze, since when it would have begun.
        who: Who can end it, and how; empty where it ends by itself.
        stations: How many wait; 0 where it is the run as a whole.
    """

    what: str
    since: AwareDatetime
    who: str = ""
    stations: int = 0


class JournalStep(StrEnum):
    """Journal steps of a device transaction, in order; each is written before its act."""

    OPENED = "opened"
    LOCKED = "locked"
    PROBING = "probing"
    READ = "read"
    EDITING = "editing"
    COMMITTING = "committing"
    OPERATING = "operating"
    PREPARED = "prepared"
    GATED = "gated"
    CONFIRMING = "confirming"
    CANCELLING = "cancelling"
    REVERTING = "reverting"
    FINISHED = "finished"


class JournalEntry(Noun):
    """One row of a device transaction's journal.

    Attributes:
        transaction: Id shared by all rows of one attempt chain; also the persist token's name.
        phase: Index of the phase of the change, from 0.
        persist: Persist token of the confirmed commit, empty where there is none.
        deadline: When the device reverts by itself, if a confirmed commit is pending.
        session: NETCONF session id of ours that asks for the device's lock, or has it.
        carried: Paths that the device carried when the transaction began; of ``read`` rows only.
    """

    transaction: str
    job: str
    station: str
    seq: int
    at: AwareDatetime
    step: JournalStep
    phase: int = 0
    persist: str = ""
    deadline: AwareDatetime | None = None
    session: str = ""
    detail: str = ""
    carried: tuple[str, ...] = ()


def place_of(target: str) -> tuple[str, str, str]:
    """Site, device and cell that a hold's target names: a site, or a device, or a device and its cell."""
    if target.startswith(_SITE):
        return target.removeprefix(_SITE), "", ""
    device, _, cell = target.partition("/")
    return "", device, cell


class Hold(Noun):
    """A person's stop on a site, cell or station: who, why, until when."""

    id: str
    target: str = Field(description="Station id, station/cell, or site:<id>.")
    by: str
    reason: str
    created: AwareDatetime
    until: AwareDatetime | None = None

    @property
    def site(self) -> str:
        """The site that it stops whole, an empty string where it is on a device or cell."""
        return place_of(self.target)[0]

    @property
    def device(self) -> str:
        """The device that it stops, be it by a cell: who is on the mast is beside all cells; empty where on a site."""
        return place_of(self.target)[1]

    @property
    def words(self) -> str:
        """The hold for people."""
        return f"hold on {self.target} by {self.by}: {self.reason}"

    def targets(self, network: Network) -> tuple[str, ...]:
        """Devices and cells that it stops: all devices of a site, else its target; and functions that serve there."""
        if self.site:
            own = (*network.stations_at.get(self.site, ()), *network.routers_at.get(self.site, ()))
            own = (*own, *(pool.id for pool in network.pools if pool.site == self.site))
        else:
            own = (self.target,)
        place = f"site:{self.site}" if self.site else self.device
        return (*own, *(one for one in network.function_by_id if place in network.bound_by(one)))


class Holds:
    """Holds in force; of several the first counts."""

    def __init__(self, holds: Iterable[Hold]) -> None:
        self._found: dict[tuple[str, str], Hold] = {}
        for hold in holds:
            self._found.setdefault((hold.device, hold.site), hold)

    def on(self, device: str, site: str, beside: Iterable[str] = ()) -> Hold | None:
        """The hold that binds a device: its own or a cell's, else its site's, else that of a place ``beside``."""
        own = self._found.get((device, "")) or self._found.get(("", site))
        others = (self._found.get((one, "")) or self._found.get(("", place_of(one)[0])) for one in beside)
        return own or next(filter(None, others), None) if self._found else None


class LedgerEntry(LedgerNode):
    """A node on a device that Minka adopted or applied: for whom, and what we hold it to.

    Attributes:
        plan: Plan that applied it, empty where it was adopted.
    """

    station: str
    plan: str = ""

    @property
    def node(self) -> LedgerNode:
        """The node itself."""
        return LedgerNode(path=self.path, owners=self.owners, leaves=self.leaves, first=self.first)


class AuditRow(Noun):
    """One row of the audit trail; commits with the state it describes."""

    id: int
    at: AwareDatetime
    actor: str
    action: str
    object: str
    detail: dict[str, str] = {}


class LedgerBefore(Noun):
    """One station's ledger before a change, of the changed nodes only.

    Attributes:
        entries: Nodes that were in it, as they were.
        absent: Paths that were not.
    """

    entries: tuple[LedgerEntry, ...] = ()
    absent: tuple[str, ...] = ()
