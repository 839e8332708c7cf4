"""Alarms, their escalations, and the repairs that rules started for them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from controller.models.alarm import (
    PAGE,
    Alarm,
    AlarmFilter,
    AlarmReport,
    AlarmSource,
    AlarmState,
    Comment,
    Escalation,
    RecordedReport,
)
from controller.models.ves import Heartbeat
from controller.ports.store.repository import M_co, Page, Repository, method


@dataclass(frozen=True, slots=True)
class StartedRepair:
    """A repair that a rule started.

    Attributes:
        object: What repairs are counted for.
        station: Device of the alarm that it was for.
        tenants: Tenants that the alarm concerned.
        root: Id of the alarm that it followed from then, empty where it was a root itself.
    """

    rule: str
    object: str
    at: datetime
    alarm: str
    run: str
    station: str
    tenants: tuple[str, ...]
    root: str = ""


class Alarms(Repository[M_co], Protocol[M_co]):
    """Faults."""

    @method
    def report(self, report: AlarmReport) -> Alarm:
        """Deduplicate a report into an alarm: new, counted up, or cleared, and work out what follows from what.

        Events count in the order of their own times (``at``): one that is older than what an alarm
        already received, or than its clearing, only counts up; at equal times the later arrival wins.
        A clearing report without an open alarm is kept as a cleared alarm, so that a late raising one
        with an older time does not open it again. It clears a ``raised`` alarm; a ``repairing`` one
        stays so and only gets its ``cleared`` time, for the verifier to end it as repaired. An
        ``escalated`` one stays escalated, but until it was cleared it goes on taking in reports,
        so that what people were notified of is not raised again by each repeated notification.
        """
        ...

    @method
    def report_all(self, reports: Sequence[AlarmReport], refused: Mapping[str, int] | None = None) -> list[Alarm]:
        """Many reports in one transaction, all or none; the alarms that they became, in order.

        They are taken in the order of their times (``controller.intent.folding``). One that is on record already
        counts, there and for its alarm, and changes nothing. It takes as many statements as one report does.
        ``refused`` counts alerts that became none, by why.
        """
        ...

    @method
    def standing(self, stations: Iterable[str] | None = None) -> list[Alarm]:
        """Alarms that take in reports, oldest first: ``raised``, ``repairing``, and ``escalated`` not yet cleared."""
        ...

    @method
    def find(self, alarm_ids: Iterable[str]) -> list[Alarm]:
        """These alarms, oldest first; none of those that are not on record."""
        ...

    @method
    def under_repair(self, since: datetime | None = None) -> frozenset[str]:
        """Stations with an alarm that is being repaired, of those that changed since a time if one is given."""
        ...

    @method
    def reassess(self, stations: Iterable[str]) -> None:
        """Work out again whom alarms of these stations concern that stand.

        Agreements begin and end, and network files change: tenants that an alarm did not concern before are notified.
        """
        ...

    @method
    def correlate(self) -> None:
        """Work out again what alarms that stand follow from and are part of: devices hang elsewhere in other files."""
        ...

    @method
    def correlate_more(self) -> bool:
        """Work out of some more alarms what they follow from; whether there may be others still.

        Where a root came or went from which many may follow, reports that come do not wait until that is worked out of
        all of them.
        """
        ...

    @method
    def is_correlated(self, alarm_id: str) -> bool:
        """Whether it is worked out what an alarm follows from."""
        ...

    @method
    def changes(self, since: int | None) -> tuple[int, list[str]]:
        """Ids of alarms that were raised, moved or cleared since a row of the audit trail, and the newest row's number.

        What only counts up, or was noted in one, is not among them. ``since`` None, or a row that the record does not
        have (any more), asks for all alarms that take in reports.
        """
        ...

    @method
    def get(self, alarm_id: str) -> Alarm:
        """An alarm by id. Raises NotFoundError."""
        ...

    @method
    def page(
        self, page: Page, states: Iterable[AlarmState] | None = None, like: AlarmFilter | None = None
    ) -> tuple[int, list[Alarm]]:
        """Total and one page of alarms, newest first."""
        ...

    @method
    def symptoms(self, roots: Iterable[str]) -> dict[str, int]:
        """How many alarms follow from each of these and stand; alarms without any are left out."""
        ...

    @method
    def move(self, seen: Alarm, state: AlarmState, *, actor: str, run: str = "", note: str = "") -> Alarm | None:
        """Change an alarm's state if it still is as it was when that was decided; None if it is not.

        What counts is its state, its run, and whether and when it was cleared.
        """
        ...

    @method
    def note(self, noted: Sequence[tuple[Alarm, str]], *, actor: str, patient: bool = True) -> list[str]:
        """Note in alarms what is to be known of them, where they still are as they were seen (``move``).

        Where it is not ``patient``, it leaves out those that somebody is changing just now, and returns their ids.
        """
        ...

    @method
    def acknowledge(self, alarm_id: str, by: str, *, actor: str) -> Alarm:
        """Put on record that people know of an alarm: who said so first, and when, stays.

        Args:
            alarm_id: The alarm.
            by: Who says so, here or at its station.
            actor: Who enters that.

        Raises:
            NotFoundError: There is no such alarm.
        """
        ...

    @method
    def clear(self, alarm_id: str, by: str, reason: str) -> Alarm:
        """Put on record that a person says that it is over; it is back once its source says otherwise.

        Raises:
            NotFoundError: There is no such alarm.
            ConflictError: It is over already.
        """
        ...

    @method
    def shelve(self, alarm_id: str, until: datetime, by: str, reason: str) -> Alarm:
        """Let nobody be called for an alarm, and nothing repair it, until a time, unless it becomes worse.

        The same fault that clears and comes back meanwhile stays shelved. Shelved again, the later word counts.

        Raises:
            NotFoundError: There is no such alarm.
            ConflictError: It does not stand.
        """
        ...

    @method
    def unshelve(self, alarm_id: str, by: str, reason: str) -> Alarm:
        """Bring a shelved alarm back now.

        Raises:
            NotFoundError: There is no such alarm.
            ConflictError: It is not shelved.
        """
        ...

    @method
    def escalate(self, seen: Alarm, reason: str, *, actor: str, kind: str = PAGE) -> Alarm | None:
        """Move an alarm to ``escalated``, as ``move`` does, and put on record that people are to be notified.

        None also while it is shelved, or work that its tenant announced explains it.
        """
        ...


class Comments(Repository[M_co], Protocol[M_co]):
    """What people said."""

    @method
    def add(self, about: str, by: str, side: str, text: str, to: Sequence[str] = ()) -> Comment:
        """Put a comment on record. Raises ConflictError where its side has said too much there already."""
        ...

    @method
    def on(self, about: str, tenant: str | None = None) -> list[Comment]:
        """Comments, oldest first; for a tenant those of its own people, and what the host says to it."""
        ...


class Escalations(Repository[M_co], Protocol[M_co]):
    """Alarms of which people are to be notified."""

    @method
    def pending(self) -> list[Escalation]:
        """Escalations that nobody took yet, oldest first; not those of alarms that are shelved now."""
        ...

    @method
    def claim(self, seen: Escalation) -> Escalation | None:
        """Claim one before people are notified; None if somebody else claimed or sent it since it was ``seen``.

        Whoever claims one that is claimed already holds its claimant for dead.
        """
        ...

    @method
    def release(self, claimed: Escalation, why: str = "") -> None:
        """Give a claim back: people were not notified; why goes on record. One that somebody else took over stays."""
        ...

    @method
    def delivered(self, claimed: Escalation) -> None:
        """Put on record that people were notified."""
        ...


class Repairs(Repository[M_co], Protocol[M_co]):
    """Runs that rules started for alarms."""

    @method
    def count(self, rule: str, object_path: str, since: datetime) -> int:
        """Repair runs that a rule started for an object since then."""
        ...

    @method
    def count_for_root(self, alarm_id: str, since: datetime) -> int:
        """Repair runs that any rule started since then for the root which an alarm outlived."""
        ...

    @method
    def count_all(self, since: datetime) -> int:
        """Repair runs that any rule started since then; whoever else asks waits for the end of this transaction."""
        ...

    @method
    def alone(self) -> None:
        """Let nobody else begin a repair before the end of this transaction."""
        ...

    @method
    def since(self, at: datetime) -> list[StartedRepair]:
        """Repairs that any rule started since then, oldest first."""
        ...

    @method
    def of_run(self, run_id: str) -> StartedRepair | None:
        """The repair that a run is, None where it is none."""
        ...

    @method
    def record(self, rule: str, object_path: str, alarm_id: str, run_id: str) -> None:
        """Record that a rule started a repair."""
        ...

    @method
    def withdraw(self, run_id: str) -> None:
        """Count a repair no more whose run was stopped before it acted."""
        ...


class Reports(Repository[M_co], Protocol[M_co]):
    """Reports of alarms as they came. ``Alarms.report_all`` puts them here."""

    @method
    def after(
        self, number: int, limit: int, since: datetime | None = None, until: datetime | None = None
    ) -> list[RecordedReport]:
        """Reports behind a number, in the order in which they were taken, of those received in a time."""
        ...

    @method
    def of_alarm(self, alarm_id: str, limit: int) -> list[RecordedReport]:
        """The newest reports that became part of an alarm, oldest first."""
        ...

    @method
    def latest(self, alarms: Iterable[str], source: AlarmSource) -> dict[str, RecordedReport]:
        """The newest report of a source to each of these alarms."""
        ...

    @method
    def prune(self, age: timedelta, most: int) -> int:
        """Delete reports that were not received again for so long, and the oldest over ``most``; not all at once.

        Returns:
            How many were deleted.
        """
        ...


class Heartbeats(Repository[M_co], Protocol[M_co]):
    """Devices that tell by VES that they live, and what they say of themselves."""

    @method
    def beat(self, intervals: Mapping[str, float | None], default: float) -> list[str]:
        """Devices reported, each with the interval that it reported.

        Args:
            intervals: Seconds by device; None where it reported none, which keeps the one before.
            default: Seconds where there is none before.

        Returns:
            Those whose silence was reported, and is over.
        """
        ...

    @method
    def find(self) -> list[Heartbeat]:
        """All devices that ever reported."""
        ...

    @method
    def lose(self, device: str, at: datetime) -> bool:
        """Put on record that the silence of a device is reported; False if it is, or it reported since ``at``."""
        ...

    @method
    def register(self, device: str, fields: Mapping[str, str]) -> None:
        """Put on record what a device says of itself; on the audit trail, where it says something new."""
        ...
