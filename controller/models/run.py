"""Runs: executions of procedures, with their waves and jobs, and how each device ended."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from pydantic import AwareDatetime, Field, computed_field

from controller.models.enums import FoundState as FoundState  # noqa: PLC0414 - offered here, beside what it is about
from controller.models.enums import Outcome as Outcome  # noqa: PLC0414 - offered here, beside what it is about
from controller.models.enums import Policy as Policy  # noqa: PLC0414 - offered here, beside what it is about
from controller.models.enums import RunState as RunState  # noqa: PLC0414 - offered here, beside what it is about
from controller.models.network import Network, Noun
from controller.models.plan import LedgerNode
from controller.models.stopping import StopReason
from controller.models.waiting import WaitCode, WaitReason, words

#: Prefix of a hold's target that is a site.
_SITE = "site:"
#: Cause of a run that a person asked for.
PERSON = "person"
#: Prefix of the cause of a run that a rule asked for; the id of its alarm follows.
ALARM = "alarm:"
#: Procedure of runs that take another run back with its plan.
UNDO = "undo"
#: The longest timer of a confirmed commit, in seconds.
LONGEST_TIMER = 3600
#: Seconds after our deadline until the device's own timer, which started a little later, has also expired.
TIMER_LAG = 3.0
#: The longest time in which a station that was away is tried again, in seconds.
LONGEST_PATIENCE = 30 * 86400
#: The first and the longest pause before another try, in seconds. Each pause is as long as all before it together.
_FIRST_PAUSE, _LONGEST_PAUSE = 60, 3600
#: Seconds to prepare one device (session, locks, reads, edits, commits), and a margin for the decision, the confirms,
#: and a worker that dies and is replaced.
_PREPARATION, _MARGIN = 30, 60


#: Ranks of stations that live in a function of their unit and come after it: central units, then all others.
INSIDE = (10, 11)
#: Outcomes of jobs that restarted nothing.
_UNTOUCHED = (Outcome.FAILED_SAFE, Outcome.REFUSED, Outcome.BUG, Outcome.DEFERRED, Outcome.CANCELLED)


def restarted(jobs: Iterable[Any]) -> frozenset[tuple[int, str]]:
    """Waves and units whose functions have begun, and may have restarted.

    Then the stations that live in them have lost their configuration. They are brought back, however the function or
    the run ends.

    Args:
        jobs: Jobs, or their rows, of a run that decides each device on its own.
    """
    return frozenset(
        (job.wave, job.unit)
        for job in jobs
        if job.rank < min(INSIDE) and job.started is not None and job.outcome not in _UNTOUCHED
    )


class OnHold(StrEnum):
    """What a run does about stations under a hold: leave them out, or refuse the whole run."""

    SKIP = "skip"
    REFUSE = "refuse"


class JobState(StrEnum):
    """State of a job: waiting for its wave, claimable, claimed by a worker, or done."""

    WAITING = "waiting"
    READY = "ready"
    CLAIMED = "claimed"
    DONE = "done"


class GateChoice(StrEnum):
    """The decision for devices that are at a gate together.

    ``postpone``: they are taken back as with ``cancel``, and begin again when windows, freezes and holds allow it.
    """

    CONFIRM = "confirm"
    CANCEL = "cancel"
    POSTPONE = "postpone"


class Decision(Noun):
    """The decision for a unit or a wave at a gate: made once, and never changed.

    Attributes:
        unit: The unit; empty if the whole wave was decided.
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
        policy: Which devices are confirmed or taken back together.
        canary: Stations in the first wave, on their own.
        canary_wave: Number of that wave, worked out from the stations; waves before it prepare what it needs.
        wave_size: Stations in each later wave; tracking areas are never split.
        per_region: The most stations of one region in each later wave; None for no limit.
        parallel: The most device transactions at once.
        stop_after: Failures after which no further wave starts.
        soak: Seconds between the end of a wave and the start of the next.
        patience: Seconds in which a station that is away or busy is tried again, before it ends ``deferred``.
        confirm_timeout: Seconds of each confirmed commit, never extended; None to work it out (``timer``).
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
        """Seconds of a confirmed commit: preparation and checks for each round of a group, and a margin."""
        if self.confirm_timeout is not None:
            return self.confirm_timeout
        return rounds * (_PREPARATION + self.check_timeout) + _MARGIN

    def is_patient(self, since: datetime, now: datetime) -> bool:
        """Whether a station that has been away or busy ``since`` may be tried again."""
        return now < since + timedelta(seconds=self.patience)

    def next_try(self, since: datetime, now: datetime) -> datetime | None:
        """When to try such a station again after a try that ended ``now``; None if the patience has run out.

        The last try is at the end of the patience.
        """
        if not self.is_patient(since, now):
            return None
        pause = min(max((now - since).total_seconds(), _FIRST_PAUSE), _LONGEST_PAUSE)
        return min(now + timedelta(seconds=pause), since + timedelta(seconds=self.patience))


class Job(Noun):
    """The part of a run on one device.

    Attributes:
        unit: Name of the devices of a wave that belong together, as a station and its router, or a tracking area.
        rank: Order within the unit: it begins when all jobs of lower rank are prepared or ended well.
        round: How often it, or its unit or wave, was postponed.
        deferred: Since when its device is unreachable or busy, if it is tried again (``Strategy.patience``).
        reasons: Why it may not begin now (approvals, windows, freezes, holds, another run); empty if it may.
        closes: When the window in which it may work closes; None if there is none.
        outdated: Since when what it should do does not follow any more from the network files and agreements in force:
            then it never begins. None if it does, or follows from the ledger, as in an undo.
        gate: Number of the gate where its device is, or last was, prepared and verified; or of its decision, if it
            soaks and others of its unit come after it.
        gate_until: When the device at the gate reverts by itself; None if it has no such timer.
        choice: The decision there.
        operated: Whether it ended after it had sent operations that nobody asked for twice: it never begins again.
        unseen: Whether its device answered ok to an edit or commit and carried nothing of it then. What it had sent is
            looked for by later readings.
        unanswered: Whether its device did not answer one, and carried nothing of it in the time that it is given then.
            This is looked for likewise.
        found: Where nobody could know at its end what the device carries: the state in which a later reading found it.
        found_at: When that reading began.
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
    operated: bool = False
    unseen: bool = False
    unanswered: bool = False
    found: FoundState | None = None
    found_at: AwareDatetime | None = None
    deferred: AwareDatetime | None = None
    reasons: tuple[WaitReason, ...] = ()
    closes: AwareDatetime | None = None
    outdated: AwareDatetime | None = None
    started: AwareDatetime | None = None
    finished: AwareDatetime | None = None

    @computed_field  # type: ignore[prop-decorator]  # pydantic's own way
    @property
    def blocked(self) -> str:
        """Why it may not begin now, for people; empty if it may."""
        return words(self.reasons)


class Run(Noun):
    """One execution of a procedure.

    Attributes:
        procedure: Name of the procedure: ``apply``, which is built in, or of a playbook.
        plan: Id of the plan it executes.
        cause: Why it runs: ``person``, or ``alarm:<id>`` for a remediation.
        requested_by: Name of the token's owner, or of the rule.
        stopped: Why it begins nothing more although devices of it were not begun; None if it does not stop itself.
        outdated: Since when a part of its plan does not follow any more from the network files and agreements in force:
            devices of that part that had not begun never do. None if all does, or follows from the ledger, as in an
            undo.
        judge_from: From when its plan has to be judged by the files and agreements in force before more of it begins:
            since other files are loaded, or at the next day on which an agreement begins or ends; None if nothing is
            known that would change it.
        counts: Number of jobs by outcome, and ``pending``.
        waits: Number of pending jobs that may not begin, by reason, for people.
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
    stopped: StopReason | None = None
    outdated: AwareDatetime | None = None
    judge_from: AwareDatetime | None = None
    wave: int = 0
    waves: int = 0
    counts: dict[str, int] = {}
    waits: dict[str, int] = {}
    playbook: str = ""
    parameters: dict[str, Any] = {}

    @computed_field  # type: ignore[prop-decorator]  # pydantic's own way
    @property
    def halted(self) -> str:
        """Why it begins nothing more, for people; empty if it does not stop itself."""
        return self.stopped.words if self.stopped else ""

    @property
    def automatic(self) -> bool:
        """Whether a rule asked for it, and not a person."""
        return self.cause != PERSON


class Wait(Noun):
    """What a run, or some of its stations, waits for.

    Attributes:
        codes: What it waits for: an approval, a window, a freeze, a hold, a question, a pause, another run.
        what: The same for people.
        since: Since when it waits; for a window or a freeze, since when it would have begun.
        who: Who can end the wait, and how; or when it is looked at again. Empty if it ends by itself.
        stations: Number of waiting stations; 0 if the whole run waits.
    """

    codes: tuple[WaitCode, ...]
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
    UNANSWERED = "unanswered"
    UNSEEN = "unseen"
    PREPARED = "prepared"
    GATED = "gated"
    CONFIRMING = "confirming"
    CANCELLING = "cancelling"
    REVERTING = "reverting"
    FINISHED = "finished"


#: Steps after which edits of a transaction may be in the candidate.
EDITING_STEPS = (JournalStep.EDITING, JournalStep.COMMITTING, JournalStep.REVERTING)


class JournalEntry(Noun):
    """One row of a device transaction's journal.

    Attributes:
        transaction: Id shared by all rows of a transaction, over all attempts; also in the persist token.
        phase: Index of the phase of the change, from 0.
        persist: Persist token of the confirmed commit; empty if there is none.
        deadline: When the device reverts by itself, if a confirmed commit is pending.
        session: Id of our NETCONF session that asks for the device's lock, or has it.
        detail: Words for people; nothing reads them again.
        carried: Paths that the device carried when the transaction began; only in ``read`` rows.
        excused: Faults that were there then, by path or by the name of the alarm; only in ``read`` rows.
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
    excused: tuple[str, ...] = ()


def place_of(target: str) -> tuple[str, str, str]:
    """Site, device and cell of a hold's target: a site, a device, or a device with a cell."""
    if target.startswith(_SITE):
        return target.removeprefix(_SITE), "", ""
    device, _, cell = target.partition("/")
    return "", device, cell


class Hold(Noun):
    """A person's hold on a site, cell or station: who, why, until when."""

    id: str
    target: str = Field(description="Station id, station/cell, or site:<id>.")
    by: str
    reason: str
    created: AwareDatetime
    until: AwareDatetime | None = None

    @property
    def site(self) -> str:
        """The site, if the whole site is on hold; otherwise empty."""
        return place_of(self.target)[0]

    @property
    def device(self) -> str:
        """The device on hold, also if by a cell: a person on the mast is near all cells. Empty for a site."""
        return place_of(self.target)[1]

    @property
    def words(self) -> str:
        """The hold for people."""
        return self.as_reason.words

    @property
    def as_reason(self) -> WaitReason:
        """Why work waits for its end."""
        return WaitReason(code=WaitCode.HOLD, subject=self.target, by=self.by, because=self.reason, until=self.until)

    def targets(self, network: Network) -> tuple[str, ...]:
        """Devices and cells on hold: its target, or all devices of a site; and functions that serve there."""
        own = network.devices_at.get(self.site, ()) if self.site else (self.target,)
        place = f"site:{self.site}" if self.site else self.device
        return (*own, *(one for one in network.device_kinds if place in network.bound_by(one)))


class Holds:
    """Holds in force; the first one that matches counts."""

    def __init__(self, holds: Iterable[Hold]) -> None:
        self._found: dict[tuple[str, str], Hold] = {}
        for hold in holds:
            self._found.setdefault((hold.device, hold.site), hold)

    def on(self, device: str, site: str, beside: Iterable[str] = ()) -> Hold | None:
        """The hold that binds a device: on it or a cell of it, on its site, or on a place ``beside``."""
        own = self._found.get((device, "")) or self._found.get(("", site))
        others = (self._found.get((one, "")) or self._found.get(("", place_of(one)[0])) for one in beside)
        return own or next(filter(None, others), None) if self._found else None

    def binding(self, network: Network, device: str) -> Hold | None:
        """The hold that binds a device of a network: its own, a cell's, its site's, or one where it serves."""
        return self.on(device, network.site_of(device), network.bound_by(device))


class LedgerEntry(LedgerNode):
    """A node on a device that Minka adopted or applied, with its owners and the leaves that we guard.

    Attributes:
        plan: Plan that applied it; empty if it was adopted.
    """

    station: str
    plan: str = ""

    @property
    def node(self) -> LedgerNode:
        """The node without its origin."""
        return LedgerNode(path=self.path, owners=self.owners, leaves=self.leaves, first=self.first)


class AuditRow(Noun):
    """One row of the audit trail; it commits with the state that it describes.

    Attributes:
        at: When it was done; None for a row that can't be read, since somebody changed it in the database. Such a row
            says nothing but its id.
    """

    id: int
    at: AwareDatetime | None
    actor: str
    action: str
    object: str
    detail: dict[str, str] = {}


class LedgerBefore(Noun):
    """One station's ledger before a change; changed nodes only.

    Attributes:
        entries: Nodes that were in it, as they were.
        absent: Paths that were not in it.
    """

    entries: tuple[LedgerEntry, ...] = ()
    absent: tuple[str, ...] = ()
