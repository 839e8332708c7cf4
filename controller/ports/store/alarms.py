"""Alarms, their escalations, and the repairs that rules started for them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from controller.models.alarm import (
    PAGE,
    Alarm,
    AlarmFilter,
    AlarmNote,
    AlarmReport,
    AlarmSource,
    AlarmState,
    Comment,
    Escalation,
    PerceivedSeverity,
    RecordedReport,
)
from controller.models.ves import Heartbeat
from controller.ports.store.repository import M_co, Page, Repository, method


@dataclass(frozen=True, slots=True)
class StartedRepair:
    """A repair that a rule started.

    Attributes:
        object: Path of the object for which repairs are counted.
        station: Device of the alarm.
        tenants: Tenants that the alarm concerned.
        root: Id of the root that the alarm followed from then; empty if it was a root itself.
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
    """Alarms on record."""

    @method
    def report(self, report: AlarmReport) -> Alarm:
        """Fold a report into an alarm (new, counted, or cleared), and work out roots and incidents.

        Reports apply in the order of their own times (``at``): a report older than the newest one of its alarm, or than
        its clearing, is only counted. At equal times the later arrival wins. A clearing report without an open alarm is
        kept as a cleared alarm, so that an older raising report that arrives later does not open one. A clearing report
        clears a ``raised`` alarm. A ``repairing`` one keeps its state and gets a ``cleared`` time, until verification
        ends it as repaired. An ``escalated`` one stays escalated, and takes in reports until it is cleared, so that
        repeated notifications do not raise again what people already know.
        """
        ...

    @method
    def report_all(self, reports: Sequence[AlarmReport], refused: Mapping[str, int] | None = None) -> list[Alarm]:
        """Take in many reports in one transaction, all or none; returns their alarms in order.

        They apply in the order of their times (``controller.intent.folding``). A report that is on record already is
        counted, there and in its alarm, and changes nothing else. This takes as many statements as one report.
        ``refused`` has the number of alerts that became no report, by reason.
        """
        ...

    @method
    def take_told(
        self, reports: Sequence[AlarmReport], real: Collection[str], refused: Mapping[str, int]
    ) -> list[Alarm | None]:
        """Take in reports of other systems or devices as ``report_all`` does, but for those of one fault too many.

        These are counted among the refused ones, and None in the answer. Faults of all callers count, also of those
        that tell at once: see ``controller.intent.folding.admitted``, also for ``real``.
        """
        ...

    @method
    def standing(self, stations: Iterable[str] | None = None) -> list[Alarm]:
        """Alarms that take in reports, oldest first: ``raised``, ``repairing``, and ``escalated`` not yet cleared."""
        ...

    @method
    def find(self, alarm_ids: Iterable[str]) -> list[Alarm]:
        """These alarms, oldest first, without those that are not on record."""
        ...

    @method
    def under_repair(self, since: datetime | None = None) -> frozenset[str]:
        """Stations with an alarm under repair; if a time is given, only of alarms that changed since."""
        ...

    @method
    def reassess(self, stations: Iterable[str]) -> None:
        """Work out again whom standing alarms of these stations concern.

        Agreements begin and end. Newly concerned tenants are notified; those whom an alarm concerns no more are told of
        it as it was last.
        """
        ...

    @method
    def correlate(self) -> None:
        """Work out roots and incidents of all standing alarms again, since devices may have moved in the network."""
        ...

    @method
    def correlate_more(self) -> bool:
        """Work out the roots of some alarms that ``report_all`` left; returns whether there may be more.

        If many alarms may follow from a root that was raised or cleared, new reports do not wait until all of them are
        worked out.
        """
        ...

    @method
    def is_correlated(self, alarm_id: str) -> bool:
        """Whether the root of an alarm has been worked out."""
        ...

    @method
    def changes(self, since: int | None) -> tuple[int, list[str]]:
        """Ids of alarms raised, moved or cleared since a row of the audit trail, and the newest row's number.

        Repeated reports and notes do not count as changes. If ``since`` is None, or a row that the record does not have
        (any more), or rules or their modes are other ones since, returns all alarms that take in reports.
        """
        ...

    @method
    def get(self, alarm_id: str) -> Alarm:
        """An alarm by id. Raises NotFoundError."""
        ...

    @method
    def page(
        self,
        page: Page,
        states: Iterable[AlarmState] | None = None,
        like: AlarmFilter | None = None,
        *,
        newest: bool = False,
    ) -> tuple[int, list[Alarm]]:
        """Total and one page of alarms: those that stand before those that are over, the gravest first.

        Gravity is that of an alarm with all that stands and follows from it (``controller.models.incident.gravest``).
        Of alarms that are equally grave, and of those that are over, the newest come first; ``newest`` orders all so.
        """
        ...

    @method
    def with_symptoms(self, alarm: Alarm) -> frozenset[tuple[str, PerceivedSeverity]]:
        """Causes and severities of an alarm and of all standing alarms that follow from it."""
        ...

    @method
    def symptoms(self, roots: Iterable[str]) -> dict[str, Counter[tuple[str, PerceivedSeverity]]]:
        """Standing alarms that follow from each of these, counted by cause and severity.

        Alarms without symptoms are left out.
        """
        ...

    @method
    def move(
        self, seen: Alarm, state: AlarmState, *, actor: str, run: str = "", note: str | AlarmNote = ""
    ) -> Alarm | None:
        """Change an alarm's state, if it still is as it was ``seen``; None if it is not.

        Compared are its state, its run, and whether and when it was cleared.
        """
        ...

    @method
    def note(self, noted: Sequence[tuple[Alarm, AlarmNote]], *, actor: str, patient: bool = True) -> list[str]:
        """Set the notes of alarms that still are as they were seen (``move``).

        If it is not ``patient``, it leaves out alarms that are locked just now, and returns their ids.
        """
        ...

    @method
    def acknowledge(self, alarm_id: str, by: str, *, actor: str) -> Alarm:
        """Put on record that people know of an alarm; the first acknowledgement stays.

        Args:
            alarm_id: The alarm.
            by: Who knows of it, here or at its station.
            actor: Who enters the acknowledgement.

        Raises:
            NotFoundError: There is no such alarm.
        """
        ...

    @method
    def clear(self, alarm_id: str, by: str, reason: str) -> Alarm:
        """Clear an alarm because a person says that it is over; it opens again if its source reports it again.

        Raises:
            NotFoundError: There is no such alarm.
            ConflictError: It is cleared already.
        """
        ...

    @method
    def shelve(self, alarm_id: str, until: datetime, by: str, reason: str) -> Alarm:
        """Suppress notifications and repairs of an alarm until a time, unless it becomes more severe.

        A fault that clears and comes back meanwhile stays shelved. To shelve an alarm again replaces the time.

        Raises:
            NotFoundError: There is no such alarm.
            ConflictError: The alarm is cleared.
        """
        ...

    @method
    def unshelve(self, alarm_id: str, by: str, reason: str) -> Alarm:
        """End the shelving of an alarm now.

        Raises:
            NotFoundError: There is no such alarm.
            ConflictError: It is not shelved.
        """
        ...

    @method
    def escalate(self, seen: Alarm, reason: str, *, actor: str, kind: str = PAGE) -> Alarm | None:
        """Move an alarm to ``escalated``, as ``move`` does, and have people notified.

        Returns None also while the alarm is shelved, or while announced work of its tenant explains it.
        """
        ...


class Comments(Repository[M_co], Protocol[M_co]):
    """Comments on record."""

    @method
    def add(self, about: str, by: str, side: str, text: str, to: Sequence[str] = ()) -> Comment:
        """Put a comment on record. Raises ConflictError if its side has too many comments there already."""
        ...

    @method
    def on(self, about: str, tenant: str | None = None) -> list[Comment]:
        """Comments, oldest first; for a tenant only those of its own people, and those of the host to it."""
        ...

    @method
    def said(self, begin: datetime, end: datetime, tenant: str | None = None) -> list[Comment]:
        """Comments on anything from one time to before another; otherwise as ``on``."""
        ...


class Escalations(Repository[M_co], Protocol[M_co]):
    """Notifications of people about alarms."""

    @method
    def pending(self) -> list[Escalation]:
        """The first escalations that are not delivered, the gravest first, without those of alarms shelved now."""
        ...

    @method
    def get(self, alarm_id: str, number: int) -> Escalation:
        """One escalation of an alarm. Raises NotFoundError."""
        ...

    @method
    def worst(self, alarm_id: str) -> PerceivedSeverity | None:
        """The worst severity of an alarm and its symptoms when people were notified of it; None if they never were."""
        ...

    @method
    def claim(self, seen: Escalation) -> Escalation | None:
        """Claim an escalation before it is sent; None if somebody else claimed or sent it since it was ``seen``.

        A caller that claims a claimed one assumes that its claimant is dead.
        """
        ...

    @method
    def release(self, claimed: Escalation, why: str = "") -> None:
        """Give a claim back, with the reason why nobody was notified. A claim that somebody else took over stays."""
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
        """Repair runs that any rule started since then for the root that an alarm outlived."""
        ...

    @method
    def count_all(self, since: datetime) -> int:
        """Repair runs that any rule started since then; other callers wait for the end of this transaction."""
        ...

    @method
    def alone(self) -> None:
        """Let no other transaction begin a repair before the end of this one."""
        ...

    @method
    def since(self, at: datetime) -> list[StartedRepair]:
        """Repairs that any rule started since then, oldest first."""
        ...

    @method
    def of_run(self, run_id: str) -> StartedRepair | None:
        """The repair that a run carries out; None if it carries out none."""
        ...

    @method
    def record(self, rule: str, object_path: str, alarm_id: str, run_id: str) -> None:
        """Record that a rule started a repair."""
        ...

    @method
    def withdraw(self, run_id: str) -> None:
        """Do not count a repair whose run was stopped before it acted."""
        ...


class Reports(Repository[M_co], Protocol[M_co]):
    """Reports of alarms as they came; ``Alarms.report_all`` puts them here."""

    @method
    def after(
        self, number: int, limit: int, since: datetime | None = None, until: datetime | None = None
    ) -> list[RecordedReport]:
        """Reports after a number, in the order in which they were taken in, that were received between two times."""
        ...

    @method
    def of_alarm(self, alarm_id: str, limit: int) -> list[RecordedReport]:
        """The newest reports of an alarm, oldest first."""
        ...

    @method
    def latest(self, alarms: Iterable[str], source: AlarmSource) -> dict[str, RecordedReport]:
        """The newest report of a source for each of these alarms."""
        ...

    @method
    def prune(self, age: timedelta, most: int) -> int:
        """Delete some reports that were not received again for ``age``, and the oldest ones above the number ``most``.

        Returns:
            The number of deleted reports. Call it again until it is 0.
        """
        ...


class Heartbeats(Repository[M_co], Protocol[M_co]):
    """Heartbeats and registrations of devices by VES."""

    @method
    def beat(self, intervals: Mapping[str, float | None], default: float) -> list[str]:
        """Record heartbeats of devices, each with its reported interval.

        Args:
            intervals: Seconds by device; None keeps the interval before.
            default: Seconds of a device without an interval before.

        Returns:
            Devices whose silence was reported, and is now over.
        """
        ...

    @method
    def find(self) -> list[Heartbeat]:
        """All devices that ever sent a heartbeat."""
        ...

    @method
    def lose(self, device: str, at: datetime) -> bool:
        """Record that a device's silence is reported; False if it was before, or if it was heard since ``at``."""
        ...

    @method
    def register(self, device: str, fields: Mapping[str, str]) -> None:
        """Put on record what a device says of itself; anything new also goes on the audit trail."""
        ...
