"""Alarms: reports of the same fault become one alarm. Many reports take as many statements as one."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    ForeignKey,
    Index,
    Integer,
    Row,
    String,
    Table,
    and_,
    bindparam,
    case,
    delete,
    exists,
    false,
    func,
    not_,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.sql.expression import ColumnCollection

from controller.access.disclosure import shows
from controller.intent.folding import (
    NAMED,
    OPEN,
    RENEWED,
    TOLD_WITHIN,
    Folded,
    Received,
    Room,
    admitted,
    digest,
    fold,
    identity,
    in_order,
    takes_in,
)
from controller.intent.impact import OF_MANAGEMENT, Impact, Sharing, link_in
from controller.intent.incidents import WAS_FED, Outcome, fault_of, kept_apart, split_off
from controller.intent.roots import NETWORK_WIDE, Fed, Roots, explained, fed_at, may_be_root, no_root_of, reach
from controller.models.alarm import (
    LINK_CAUSES,
    OTHER_ALERT,
    PAGE,
    POWER_CAUSES,
    Alarm,
    AlarmFilter,
    AlarmNote,
    AlarmReport,
    AlarmSource,
    AlarmState,
    AlertRefusal,
    Escalation,
    PerceivedSeverity,
    is_worse,
)
from controller.models.enums import APART
from controller.models.errors import ConflictError, NotFoundError
from controller.models.incident import gravest, worst
from controller.models.network import Network
from controller.store.alarms import reports as report_rows
from controller.store.alarms.alarm_rows import (
    LISTS,
    SPREADING,
    STANDING,
    alarm_tenants,
    alarms,
    as_alarm,
    stands,
    takes_reports,
)
from controller.store.alarms.concerns import (
    CONCERNS,
    GUARD,
    Concern,
    assess,
    begin,
    part_from_ended,
    reassess,
    sharing_on,
)
from controller.store.alarms.incident_rows import follow, known_of, put_down, touch, write
from controller.store.alarms.works import work_on
from controller.store.database.audit_chain import audit
from controller.store.database.columns import Instant, long_text, metadata, string
from controller.store.database.outbox import Outbox, first_ones, gravest_first, gravity
from controller.store.database.queries import as_noun, chunks
from controller.store.database.repository import M_co, Page, Repository, reads, writes, writes_aside
from controller.store.database.transaction import Tx
from controller.store.network.definitions import PUT_IN_FORCE
from controller.store.network.devices import healths_of
from controller.store.network.ledger import ledger_nodes
from controller.store.network.versions import current_network


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


#: Alarms whose root is still to be worked out, because a root with many symptoms was raised or cleared.
uncorrelated = Table(
    "uncorrelated",
    metadata,
    Column("alarm", Integer, ForeignKey("alarms.number"), primary_key=True, autoincrement=False),
)

#: Number of alerts that became no alarm, by reason.
refused_alerts = Table(
    "refused_alerts",
    metadata,
    Column("reason", String, primary_key=True),
    Column("number", BigInteger, nullable=False),
)

#: Notifications of people. Each is claimed before it is sent; ``attempts`` distinguishes one claim from the next.
escalations = Table(
    "escalations",
    metadata,
    Column("alarm", String, ForeignKey("alarms.id"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    string("kind"),
    # Severity of the alarm, with what follows from it, when people were notified.
    string("severity"),
    long_text("reason"),
    Column("at", Instant, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("claimed", Boolean, nullable=False),
    Column("notified", Instant),
    Index(
        "ix_escalations_pending", "at", sqlite_where=text("notified IS NULL"), postgresql_where=text("notified IS NULL")
    ),
)

repairs = Table(
    "repairs",
    metadata,
    Column("number", Integer, primary_key=True),
    string("rule"),
    string("object"),
    Column("at", Instant, nullable=False),
    string("alarm"),
    string("run"),
    # The root that the alarm followed from when the repair started.
    Column("root", String, nullable=False, server_default=""),
    Index("ix_repairs_rule_object_at", "rule", "object", "at"),
    Index("ix_repairs_at", "at"),
)

#: Faults that stand, came or changed; the number of alarms that went on record.
_SINCE = bindparam("since", type_=Instant())
_FAULTS = select(alarms.c.station, alarms.c.identity, alarms.c.source).where(
    or_(alarms.c.cleared.is_(None), alarms.c.changed >= _SINCE, alarms.c.recorded >= _SINCE)
)
_MADE = (
    select(alarms.c.station, alarms.c.source, func.count().label("number"))
    .where(alarms.c.recorded >= _SINCE)
    .group_by(alarms.c.station, alarms.c.source)
)
#: Guard: only one transaction at a time begins a repair.
_BEGINNING = "repairs"
#: Actions of the audit trail that change nothing in an alarm.
_NOTED, _NOT_NOTIFIED = "alarm.noted", "alarm.people-not-notified"
_OF_RULES = ("rule.mode-set", PUT_IN_FORCE)
_NO_CHANGES = (_NOTED, _NOT_NOTIFIED)
#: Columns that a report may change.
_CHANGED = (
    *("severity", "text", "state", "seen", "changed", "cleared", "ended", "count", "shelved_until", "cleared_by"),
    *("cells", "functions", "degraded", "source", "unread"),
)
#: Reports that are folded at once: SQLite takes 32,766 parameters in a statement.
_AT_ONCE = 10_000
#: Alarms whose roots are worked out in the transaction that raises or clears a root, while other reports wait.
_PIECE = 25
_ALARM = select(alarms).where(alarms.c.id == bindparam("alarm"))
_ALARM_LOCKED = _ALARM.with_for_update()
#: Columns that decide whether an alarm is still as it was seen; the query for all alarms, and for those not locked.
_SEEN = ("state", "run", "cleared")
_ALL = select(alarms.c.id, *(alarms.c[name] for name in _SEEN)).order_by(alarms.c.number).with_for_update()
_FREE = _ALL.with_for_update(skip_locked=True)
_NOTE = (
    update(alarms)
    .where(alarms.c.id.in_(bindparam("among", expanding=True)))
    .values(changed=bindparam("now"), **{name: bindparam(f"new_{name}") for name in AlarmNote._fields})
)
_UPDATE = (
    update(alarms)
    .where(alarms.c.id == bindparam("of"))
    .values({name: bindparam(f"new_{name}") for name in (*_CHANGED, "reported")})
)


#: Alarms that take in reports.
_OPEN = takes_reports(alarms.c)
#: Alarms that take in reports, oldest first; those not cleared; those of them from which others may follow.
_OLDEST = select(alarms).order_by(alarms.c.number)
_TAKING = _OLDEST.where(_OPEN)
_UNCLEARED = select(alarms).where(STANDING).order_by(alarms.c.number)
#: A run that changes nothing on devices is no repair.
_IS_REPAIR = or_(alarms.c.run == "", exists().where(repairs.c.run == alarms.c.run))
_UNDER_REPAIR = select(alarms.c.station).where(alarms.c.state == AlarmState.REPAIRING.value, _IS_REPAIR).distinct()
_UNDER_REPAIR_SINCE = _UNDER_REPAIR.where(alarms.c.changed > bindparam("since", type_=Instant()))
#: The newest row of the audit trail, and alarms that changed in rows behind one.
_HEAD = select(func.coalesce(func.max(audit.c.id), 0))
_CHANGED_SINCE = (
    select(audit.c.object)
    .where(audit.c.id > bindparam("since"), audit.c.action.startswith("alarm."), audit.c.action.not_in(_NO_CHANGES))
    .distinct()
)
_RULES_SINCE = select(audit.c.id).where(audit.c.id > bindparam("since"), audit.c.action.in_(_OF_RULES)).limit(1)
_OPEN_IDS = select(alarms.c.id).where(_OPEN).order_by(alarms.c.number)
_first = first_ones(
    select(escalations, escalations.c.alarm.label("about"), gravity(escalations.c.severity).label("gravity")).where(
        escalations.c.notified.is_(None),
        ~exists().where(alarms.c.id == escalations.c.alarm, alarms.c.shelved_until > bindparam("now", type_=Instant())),
    ),
    (),
    ("number",),
)
_UNNOTIFIED = select(_first).order_by(*gravest_first(_first))
_SYMPTOMS = select(alarms.c.root, alarms.c.probable_cause, alarms.c.severity).where(STANDING)
_EVERY_SYMPTOM = _SYMPTOMS.where(alarms.c.root != "").distinct()
#: Faults of alarms that follow from a root.
_FOLLOWING = (
    select(alarms.c.probable_cause, alarms.c.severity).where(STANDING, alarms.c.root == bindparam("root")).distinct()
)
#: Those of a station together, since what they may follow from is read for each piece.
_LEFT = (
    select(alarms)
    .join(uncorrelated, uncorrelated.c.alarm == alarms.c.number)
    .order_by(alarms.c.station, alarms.c.number)
)
_IS_LEFT = select(alarms.c.id).join(uncorrelated, uncorrelated.c.alarm == alarms.c.number)
_ROOTS = select(alarms).where(SPREADING)
#: What follows from an alarm.
_FOLLOWERS = select(alarms).where(STANDING).order_by(alarms.c.number)
_NEW_ROOT = (
    update(alarms)
    .where(alarms.c.id == bindparam("of"))
    .values(
        root=bindparam("new_root"),
        released=bindparam("new_released"),
        followed=case((alarms.c.root != "", alarms.c.root), else_=alarms.c.followed),
    )
)
#: Notes that a fault stood before a root (``controller.intent.incidents.kept_apart``).
_APART = select(audit.c.object, audit.c.detail).where(audit.c.action == APART)
_SHOWS = (
    update(alarm_tenants)
    .where(alarm_tenants.c.alarm == bindparam("of"), alarm_tenants.c.tenant == bindparam("to"), CONCERNS)
    .values(changed=bindparam("new_changed"), noted=bindparam("new_noted"))
)
_JOINED = update(alarms).where(alarms.c.id == bindparam("of")).values(incident=bindparam("new_incident"))
_MERGED = update(alarms).where(alarms.c.incident == bindparam("of")).values(incident=bindparam("new_incident"))


_STARTED = (
    select(
        *(repairs.c[name] for name in ("rule", "object", "at", "alarm", "run", "root")),
        *(alarms.c[name] for name in ("station", "tenants")),
    )
    .join(alarms, alarms.c.id == repairs.c.alarm)
    .order_by(repairs.c.number)
)


class Alarms(Repository[M_co]):
    """Alarms on record."""

    @writes
    def report(self, tx: Tx, report: AlarmReport) -> Alarm:
        """Fold a report into an alarm (new, counted, or cleared), and work out roots and incidents.

        Reports apply in the order of their own times (``at``): a report older than the newest one of its alarm, or than
        its clearing, is only counted. At equal times the later arrival wins. A clearing report without an open alarm is
        kept as a cleared alarm, so that an older raising report that arrives later does not open one. A clearing report
        clears a ``raised`` alarm. A ``repairing`` one keeps its state and gets a ``cleared`` time, until verification
        ends it as repaired. An ``escalated`` one stays escalated, and takes in reports until it is cleared, so that
        repeated notifications do not raise again what people already know.
        """
        return take_reports(tx, [report])[0]

    @writes
    def report_all(
        self, tx: Tx, reports: Sequence[AlarmReport], refused: Mapping[str, int] | None = None
    ) -> list[Alarm]:
        """Take in many reports in one transaction, all or none; returns their alarms in order.

        They apply in the order of their times (``controller.intent.folding``). A report that is on record already is
        counted, there and in its alarm, and changes nothing else. This takes as many statements as one report.
        ``refused`` has the number of alerts that became no report, by reason.
        """
        taken = take_reports(tx, reports)
        _count_refused(tx, refused or {})
        return taken

    @writes
    def take_told(
        self, tx: Tx, reports: Sequence[AlarmReport], real: Collection[str], refused: Mapping[str, int]
    ) -> list[Alarm | None]:
        """Take in reports of other systems or devices as ``report_all`` does, but for those of one fault too many.

        These are counted among the refused ones, and None in the answer. Faults of all callers count, also of those
        that tell at once: see ``controller.intent.folding.admitted``, also for ``real``.
        """
        if reports:
            tx.guard(GUARD)  # Whoever tells at once waits here, and then counts what the others told.
        known = _faults(tx, {one.station for one in reports})
        fitting = admitted(reports, known, real)
        taken = iter(take_reports(tx, [one for one, fits in zip(reports, fitting, strict=True) if fits]))
        beyond = {AlertRefusal.TOO_MANY.value: fitting.count(False)}
        _count_refused(tx, Counter(refused) + Counter(beyond))
        return [next(taken) if fits else None for fits in fitting]

    @reads
    def standing(self, tx: Tx, stations: Iterable[str] | None = None) -> list[Alarm]:
        """Alarms that take in reports, oldest first: ``raised``, ``repairing``, and ``escalated`` not yet cleared."""
        return [as_alarm(row) for row in tx.rows(_TAKING, alarms.c.station, stations)]

    @reads
    def find(self, tx: Tx, alarm_ids: Iterable[str]) -> list[Alarm]:
        """These alarms, oldest first, without those that are not on record."""
        return [as_alarm(row) for row in tx.rows(_OLDEST, alarms.c.id, alarm_ids)]

    @reads
    def under_repair(self, tx: Tx, since: datetime | None = None) -> frozenset[str]:
        """Stations with an alarm under repair; if a time is given, only of alarms that changed since."""
        found = tx.execute(_UNDER_REPAIR) if since is None else tx.execute(_UNDER_REPAIR_SINCE, {"since": since})
        return frozenset(found.scalars())

    @writes
    def reassess(self, tx: Tx, stations: Iterable[str]) -> None:
        """Work out again whom standing alarms of these stations concern.

        Agreements begin and end. Newly concerned tenants are notified; those whom an alarm concerns no more are told of
        it as it was last.
        """
        found = [as_alarm(row) for row in tx.rows(_TAKING, alarms.c.station, stations)]
        reassessed(tx, found)
        _part_from_power(tx, [one for one in found if one.cleared is None])

    @writes
    def correlate(self, tx: Tx) -> None:
        """Work out roots and incidents of all standing alarms again, since devices may have moved in the network."""
        tx.guard(GUARD)
        standing = [as_alarm(row) for row in tx.execute(_UNCLEARED)]
        _place(tx, standing, standing)

    @writes_aside
    def correlate_more(self, tx: Tx) -> bool:
        """Work out the roots of some alarms that ``report_all`` left; returns whether there may be more.

        If many alarms may follow from a root that was raised or cleared, new reports do not wait until all of them are
        worked out.
        """
        tx.guard(GUARD)
        found = [(row.number, as_alarm(row)) for row in tx.execute(_LEFT.limit(_PIECE))]
        if found:
            _place(tx, [], [alarm for _, alarm in found if alarm.state in OPEN or alarm.cleared is None])
            tx.execute(delete(uncorrelated).where(uncorrelated.c.alarm.in_([number for number, _ in found])))
        return len(found) == _PIECE

    @reads
    def is_correlated(self, tx: Tx, alarm_id: str) -> bool:
        """Whether the root of an alarm has been worked out."""
        return tx.execute(_IS_LEFT.where(alarms.c.id == alarm_id)).first() is None

    @reads
    def changes(self, tx: Tx, since: int | None) -> tuple[int, list[str]]:
        """Ids of alarms raised, moved or cleared since a row of the audit trail, and the newest row's number.

        Repeated reports and notes do not count as changes. If ``since`` is None, or a row that the record does not have
        (any more), or rules or their modes are other ones since, returns all alarms that take in reports.
        """
        # Rows of the trail commit with what they tell of, and in the order of numbers.
        head = int(tx.execute(_HEAD).scalar_one())
        if since == head:
            return head, []
        if since is None or since > head or _rules_changed(tx, since):
            found = tx.execute(_OPEN_IDS)
        else:
            found = tx.execute(_CHANGED_SINCE, {"since": since})
        return head, list(found.scalars())

    @reads
    def get(self, tx: Tx, alarm_id: str) -> Alarm:
        """An alarm by id. Raises NotFoundError."""
        return _load(tx, alarm_id)

    @reads
    def page(
        self,
        tx: Tx,
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
        chosen = conditions(like or AlarmFilter(), tx.now)
        if states is not None:
            chosen.append(alarms.c.state.in_([state.value for state in states]))
        total = tx.execute(select(func.count()).select_from(alarms).where(*chosen)).scalar_one()
        standing = [] if newest else _by_gravity(tx, chosen)
        first = standing[page.offset : page.offset + page.limit]
        found = {row.id: row for row in tx.rows(select(alarms), alarms.c.id, first)}
        rows = [found[name] for name in first]
        if len(rows) < page.limit:
            others = select(alarms).where(*chosen) if newest else select(alarms).where(*chosen, not_(STANDING))
            others = others.order_by(alarms.c.number.desc()).offset(max(0, page.offset - len(standing)))
            rows += tx.execute(others.limit(page.limit - len(rows))).all()
        return total, [as_alarm(row) for row in rows]

    @reads
    def with_symptoms(self, tx: Tx, alarm: Alarm) -> frozenset[tuple[str, PerceivedSeverity]]:
        """Causes and severities of an alarm and of all standing alarms that follow from it."""
        return _with_symptoms(tx, alarm)

    @reads
    def symptoms(self, tx: Tx, roots: Iterable[str]) -> dict[str, Counter[tuple[str, PerceivedSeverity]]]:
        """Standing alarms that follow from each of these, counted by cause and severity.

        Alarms without symptoms are left out.
        """
        found: dict[str, Counter[tuple[str, PerceivedSeverity]]] = {}
        for row in tx.rows(_SYMPTOMS, alarms.c.root, roots):
            found.setdefault(row.root, Counter())[row.probable_cause, PerceivedSeverity(row.severity)] += 1
        return found

    @writes
    def move(
        self,
        tx: Tx,
        seen: Alarm,
        state: AlarmState,
        *,
        actor: str,
        run: str = "",
        note: str | AlarmNote = "",
    ) -> Alarm | None:
        """Change an alarm's state, if it still is as it was ``seen``; None if it is not.

        Compared are its state, its run, and whether and when it was cleared.
        """
        return _move(tx, seen, {"state": state.value, "run": run}, actor, note)

    @writes_aside
    def note(self, tx: Tx, noted: Sequence[tuple[Alarm, AlarmNote]], *, actor: str, patient: bool = True) -> list[str]:
        """Set the notes of alarms that still are as they were seen (``move``).

        If it is not ``patient``, it leaves out alarms that are locked just now, and returns their ids.
        """
        query = _ALL if patient else _FREE
        free = {row.id: row for row in tx.rows(query, alarms.c.id, (alarm.id for alarm, _ in noted))}
        by_note: dict[AlarmNote, list[str]] = {}
        for alarm, note in noted:
            row = free.get(alarm.id)
            if row is not None and all(getattr(row, name) == getattr(alarm, name) for name in _SEEN):
                by_note.setdefault(note, []).append(alarm.id)
                tx.note(actor, _NOTED, alarm.id, note=note.note)
        for note, ids in by_note.items():
            new = {f"new_{name}": value for name, value in _of_note(note).items()}
            tx.execute(_NOTE, {"among": ids, "now": tx.now, **new})
        return [alarm.id for alarm, _ in noted if alarm.id not in free]

    @writes
    def acknowledge(self, tx: Tx, alarm_id: str, by: str, *, actor: str) -> Alarm:
        """Put on record that people know of an alarm; the first acknowledgement stays.

        Args:
            alarm_id: The alarm.
            by: Who knows of it, here or at its station.
            actor: Who enters the acknowledgement.

        Raises:
            NotFoundError: There is no such alarm.
        """
        known = _load(tx, alarm_id, lock=True)
        if known.acknowledged is not None:
            return known
        said = {"acknowledged": tx.now, "acknowledged_by": by}
        tx.execute(update(alarms).where(alarms.c.id == alarm_id).values(said))
        touch(tx, [known.incident])
        tx.note(actor, "alarm.acknowledged", alarm_id, by=by)
        return known.model_copy(update=said)

    @writes
    def clear(self, tx: Tx, alarm_id: str, by: str, reason: str) -> Alarm:
        """Clear an alarm because a person says that it is over; it opens again if its source reports it again.

        Raises:
            NotFoundError: There is no such alarm.
            ConflictError: It is cleared already.
        """
        return clear_alarm(tx, alarm_id, by, reason)

    @writes
    def shelve(self, tx: Tx, alarm_id: str, until: datetime, by: str, reason: str) -> Alarm:
        """Suppress notifications and repairs of an alarm until a time, unless it becomes more severe.

        A fault that clears and comes back meanwhile stays shelved. To shelve an alarm again replaces the time.

        Raises:
            NotFoundError: There is no such alarm.
            ConflictError: The alarm is cleared.
        """
        known = _load(tx, alarm_id, lock=True)
        if known.state in (AlarmState.CLEARED, AlarmState.REPAIRED) or known.cleared is not None:
            raise ConflictError(f"alarm {alarm_id} is over; only a standing alarm can be shelved")
        said = {"shelved_until": until, "shelved_by": by, "shelved_reason": reason}
        row = said | {"shelved_severity": known.severity.value}
        tx.execute(update(alarms).where(alarms.c.id == alarm_id).values(row))
        tx.note(by, "alarm.shelved", alarm_id, until=until.isoformat(), reason=reason)
        return known.model_copy(update=said | {"shelved_severity": known.severity})

    @writes
    def unshelve(self, tx: Tx, alarm_id: str, by: str, reason: str) -> Alarm:
        """End the shelving of an alarm now.

        Raises:
            NotFoundError: There is no such alarm.
            ConflictError: It is not shelved.
        """
        known = _load(tx, alarm_id, lock=True)
        if not known.is_shelved(tx.now):
            raise ConflictError(f"alarm {alarm_id} is not shelved")
        tx.execute(update(alarms).where(alarms.c.id == alarm_id).values(shelved_until=None))
        tx.note(by, "alarm.unshelved", alarm_id, reason=reason)
        return known.model_copy(update={"shelved_until": None})

    @writes
    def escalate(self, tx: Tx, seen: Alarm, reason: str, *, actor: str, kind: str = PAGE) -> Alarm | None:
        """Move an alarm to ``escalated``, as ``move`` does, and have people notified.

        Returns None also while the alarm is shelved, or while announced work of its tenant explains it.
        """
        return escalate(tx, seen, reason, actor, kind)


_OUTBOX = Outbox[Escalation](
    escalations, "notified", lambda one: and_(escalations.c.alarm == one.alarm, escalations.c.number == one.number)
)


class Escalations(Repository[M_co]):
    """Notifications of people about alarms."""

    @reads
    def pending(self, tx: Tx) -> list[Escalation]:
        """The first escalations that are not delivered, the gravest first, without those of alarms shelved now."""
        return [as_noun(Escalation, row) for row in tx.execute(_UNNOTIFIED, {"now": tx.now})]

    @reads
    def get(self, tx: Tx, alarm_id: str, number: int) -> Escalation:
        """One escalation of an alarm. Raises NotFoundError."""
        same = and_(escalations.c.alarm == alarm_id, escalations.c.number == number)
        row = tx.execute(select(escalations).where(same)).one_or_none()
        if row is None:
            raise NotFoundError(f"alarm {alarm_id} has no escalation {number}")
        return as_noun(Escalation, row)

    @reads
    def worst(self, tx: Tx, alarm_id: str) -> PerceivedSeverity | None:
        """The worst severity of an alarm and its symptoms when people were notified of it; None if they never were."""
        return _told(tx, alarm_id)

    @writes
    def claim(self, tx: Tx, seen: Escalation) -> Escalation | None:
        """Claim an escalation before it is sent; None if somebody else claimed or sent it since it was ``seen``.

        A caller that claims a claimed one assumes that its claimant is dead.
        """
        return _OUTBOX.claim(tx, seen)

    @writes
    def release(self, tx: Tx, claimed: Escalation, why: str = "") -> None:
        """Give a claim back, with the reason why nobody was notified. A claim that somebody else took over stays."""
        if _OUTBOX.release(tx, claimed) and why:
            tx.note("remediation", _NOT_NOTIFIED, claimed.alarm, key=claimed.key, reason=why)

    @writes
    def delivered(self, tx: Tx, claimed: Escalation) -> None:
        """Put on record that people were notified."""
        if _OUTBOX.delivered(tx, claimed):
            tx.note("remediation", "alarm.people-notified", claimed.alarm, key=claimed.key, attempts=claimed.attempts)


class Repairs(Repository[M_co]):
    """Runs that rules started for alarms."""

    @reads
    def count(self, tx: Tx, rule: str, object_path: str, since: datetime) -> int:
        """Repair runs that a rule started for an object since then."""
        chosen = and_(repairs.c.rule == rule, repairs.c.object == object_path, repairs.c.at >= since)
        return int(tx.execute(select(func.count()).select_from(repairs).where(chosen)).scalar_one())

    @writes
    def count_all(self, tx: Tx, since: datetime) -> int:
        """Repair runs that any rule started since then; other callers wait for the end of this transaction."""
        tx.guard(_BEGINNING)
        return int(tx.execute(select(func.count()).select_from(repairs).where(repairs.c.at >= since)).scalar_one())

    @writes
    def alone(self, tx: Tx) -> None:
        """Let no other transaction begin a repair before the end of this one."""
        tx.guard(_BEGINNING)

    @reads
    def since(self, tx: Tx, at: datetime) -> list[StartedRepair]:
        """Repairs that any rule started since then, oldest first."""
        return [_as_started(row) for row in tx.execute(_STARTED.where(repairs.c.at >= at))]

    @reads
    def count_for_root(self, tx: Tx, alarm_id: str, since: datetime) -> int:
        """Repair runs that any rule started since then for the root that an alarm outlived."""
        root = select(alarms.c.followed).where(alarms.c.id == alarm_id, alarms.c.followed != "").scalar_subquery()
        chosen = and_(repairs.c.alarm == root, repairs.c.at >= since)
        return int(tx.execute(select(func.count()).select_from(repairs).where(chosen)).scalar_one())

    @reads
    def of_run(self, tx: Tx, run_id: str) -> StartedRepair | None:
        """The repair that a run carries out; None if it carries out none."""
        row = tx.execute(_STARTED.where(repairs.c.run == run_id)).one_or_none()
        return None if row is None else _as_started(row)

    @writes
    def record(self, tx: Tx, rule: str, object_path: str, alarm_id: str, run_id: str) -> None:
        """Record that a rule started a repair."""
        row = {"rule": rule, "object": object_path, "at": tx.now, "alarm": alarm_id, "run": run_id}
        root = select(alarms.c.root).where(alarms.c.id == alarm_id).scalar_subquery()
        tx.execute(repairs.insert().values(row | {"root": func.coalesce(root, "")}))
        tx.note(rule, "repair.started", alarm_id, object=object_path, run=run_id)

    @writes
    def withdraw(self, tx: Tx, run_id: str) -> None:
        """Do not count a repair whose run was stopped before it acted."""
        row = tx.execute(select(repairs.c.rule, repairs.c.alarm).where(repairs.c.run == run_id)).one_or_none()
        if row is not None:
            tx.execute(delete(repairs).where(repairs.c.run == run_id))
            tx.note(row.rule, "repair.withdrawn", row.alarm, run=run_id)


def _rules_changed(tx: Tx, since: int) -> bool:
    """Whether rules or their modes changed since a row of the audit trail, so that alarms have to be judged anew."""
    return tx.execute(_RULES_SINCE, {"since": since}).scalar() is not None


def _as_started(row: Row[Any]) -> StartedRepair:
    return StartedRepair(**{**row._mapping, "tenants": tuple(orjson.loads(row.tenants))})


def _faults(tx: Tx, stations: Iterable[str]) -> dict[str, dict[str, AlarmSource]]:
    """Faults of stations that stand or came or changed of late: their identities, with who vouches for them."""
    found: dict[str, dict[str, AlarmSource]] = {}
    for row in tx.rows(_FAULTS, alarms.c.station, stations, since=tx.now - TOLD_WITHIN):
        found.setdefault(row.station, {})[row.identity] = AlarmSource(row.source)
    return found


def _count_refused(tx: Tx, refused: Mapping[str, int]) -> None:
    if not refused:
        return
    row = tx.insert(refused_alerts)
    more = {"number": refused_alerts.c.number + row.excluded.number}
    rows = [{"reason": reason, "number": number} for reason, number in sorted(refused.items())]
    tx.execute(row.on_conflict_do_update(index_elements=["reason"], set_=more), rows)


def take_reports(tx: Tx, reports: Sequence[AlarmReport]) -> list[Alarm]:
    """Do what ``Alarms.report_all`` does, as part of a transaction."""
    taken: list[Alarm] = []
    for start in range(0, len(reports), _AT_ONCE):
        taken += _take(tx, reports[start : start + _AT_ONCE])
    return taken


def _take(tx: Tx, reports: Sequence[AlarmReport]) -> list[Alarm]:
    tx.guard(GUARD)
    digests = [digest(report) for report in reports]
    batch = in_order(digests, reports)
    known = report_rows.repeated(tx, digests)
    newest = _newest(tx, {one.fault for one in batch if one.digest not in known})
    by_id = {one.alarm.id: one for one in newest.values()}
    by_id |= _with_ids(tx, set(known.values()) - by_id.keys())
    taking = [one.alarm for one in by_id.values() if takes_in(one.alarm)]
    for alarm in reassessed(tx, taking):
        by_id[alarm.id] = replace(by_id[alarm.id], alarm=alarm)
    newest = {key: by_id[one.alarm.id] for key, one in newest.items()}
    before = {name: one.alarm for name, one in by_id.items()}
    again = {one: by_id[name] for one, name in known.items() if name in by_id}
    fold_of = fold(batch, newest, again, _new_id, _room(tx, batch, newest))
    touched = fold_of.touched
    renewed = {name: was for name, was in before.items() if name in touched and _is_renewed(was, touched[name].alarm)}
    for source, action, alarm, report in fold_of.acts:
        tx.note(source, action, alarm.id, **_detail(report, alarm, action))
    sharing = sharing_of(tx) if renewed or any(one.new for one in touched.values()) else None
    impacts = _find_impact(tx, sharing, touched, renewed)
    _write(tx, touched.values())
    _note_what_shows(tx, [(was, touched[name].alarm) for name, was in before.items() if name in touched])
    begin(tx, sharing, [(one.alarm, impacts[name]) for name, one in touched.items() if one.new and name in impacts])
    if sharing is not None:
        changed = [(was, touched[name].alarm, impacts[name]) for name, was in renewed.items() if name in impacts]
        assess(tx, sharing, [Concern(was, now, impact) for was, now, impact in changed])
    report_rows.keep(tx, batch, known, fold_of.after)
    reached = [alarm for name, was in renewed.items() for alarm in (was, touched[name].alarm)]
    found = _correlate(tx, list(_news(before, touched)), reached)
    worse = (one for name, one in touched.items() if name in before and before[name].severity is not one.alarm.severity)
    touch(tx, (one.alarm.incident for one in worse))
    after = (fold_of.after[one] for one in digests)
    return [_as_recorded(found.get(one.id, touched[one.id].alarm), one) for one in after]


def _room(tx: Tx, batch: Sequence[Received], newest: Mapping[str, Folded]) -> Room:
    """Room for alarms of faults that return, where any may."""
    number = Counter(one.fault for one in batch)
    over = {name for name, one in newest.items() if not one.stands}
    asked = {one.report.station for one in batch if one.fault in over or number[one.fault] > 1} - {""}
    since = tx.now - TOLD_WITHIN
    rows = tx.rows(_MADE, alarms.c.station, asked, since=since) if asked else ()
    return Room(since, Counter({(row.station, AlarmSource(row.source)): row.number for row in rows}))


def _new_id() -> str:
    return f"a-{secrets.token_hex(5)}"


def sharing_of(tx: Tx) -> Sharing | None:
    """Who shares which cell today; None while no network is loaded."""
    current = current_network(tx)
    if current is None:
        return None
    digest, network = current
    return sharing_on(digest, network, network.day(tx.now))


def reassessed(tx: Tx, found: Collection[Alarm]) -> list[Alarm]:
    """Alarms that take in reports, once it is worked out whom they concern now: before they change otherwise."""
    sharing = sharing_of(tx) if found else None
    return list(found) if sharing is None else reassess(tx, sharing, found)


def _is_renewed(was: Alarm, now: Alarm) -> bool:
    """Whether an alarm names other functions or cells than before, or came back without any cell that is known."""
    returned = was.cleared is not None and now.cleared is None and not now.cells
    return returned or any(getattr(was, name) != getattr(now, name) for name in (*NAMED, "cells"))


def _find_impact(
    tx: Tx, sharing: Sharing | None, touched: dict[str, Folded], renewed: Collection[str]
) -> dict[str, Impact]:
    """Work out whom alarms concern that are new, or name other functions than before; by id, if they may concern any.

    Without a network, and for a fault of management, it is the tenant that the alarm names.
    """
    asked = {name: one for name, one in touched.items() if one.new or name in renewed}
    found = {name: Impact((), {one.alarm.tenant: ()}) for name, one in asked.items() if one.new and one.alarm.tenant}
    if sharing is None:
        return found
    new = {name: one for name, one in asked.items() if one.alarm.probable_cause not in OF_MANAGEMENT}
    owners = _owners(tx, [one.alarm for one in new.values()])
    for name, one in new.items():
        impact = found[name] = sharing.impact_of(one.alarm, owners.get(name, ()))
        alarm = one.alarm.model_copy(update={"cells": impact.cells, "tenants": tuple(impact.tenants)})
        touched[name] = replace(one, alarm=alarm)
    return found


def _as_recorded(known: Alarm, said: Alarm) -> Alarm:
    """The state of an alarm after one of several reports, with the impact, root and incident that are on record."""
    now = {name: getattr(known, name) for name in ("cells", "tenants", "root", "incident")}
    return said if all(getattr(said, name) == value for name, value in now.items()) else said.model_copy(update=now)


def _correlate(tx: Tx, news: Collection[Alarm], renewed: Collection[Alarm] = ()) -> dict[str, Alarm]:
    """Work out roots and incidents after alarms were raised, cleared or renewed.

    If more than a few other alarms may follow from these, or did, only these are placed now. The others are noted, to
    be placed soon.

    Args:
        tx: The transaction, which holds the guard.
        news: Alarms that were raised or cleared, as they are now.
        renewed: Alarms that name other functions than before, as they were and as they are.

    Returns:
        Those alarms, and all whose root or incident changed, by id.
    """
    if not news and not renewed:
        return {}
    current = current_network(tx)
    others = _whose_root_may_be_another(tx, current[1], news, renewed) if current else []
    return _place(tx, news, others)


def _place(tx: Tx, news: Collection[Alarm], others: Collection[Alarm]) -> dict[str, Alarm]:
    """Place alarms as ``_correlate`` does; ``others`` are all whose root may change, including those in the news."""
    current = current_network(tx)
    roots = _roots_for(tx, current[1], [*news, *others]) if current else {}
    found, late, parted = _find_roots(tx, current[1], others, roots.values()) if current else ({}, [], {})
    changed = {alarm.id: alarm for alarm in news} | found
    if not changed:
        _keep_apart(tx, late, {})
        return {}
    outcome = follow(tx, changed, roots | {name: one for name, one in changed.items() if name in roots})
    put_into(tx, outcome)
    joined = {part.alarm: part.incident for part in outcome.joined}
    placed = {
        name: one.model_copy(update={"incident": joined.get(name) or outcome.merged.get(one.incident, one.incident)})
        for name, one in changed.items()
    }
    placed |= _part(tx, {name: (one.incident, placed[name]) for name, one in parted.items()})
    _keep_apart(tx, late, {name: one.incident for name, one in placed.items()})
    return placed


def _part(tx: Tx, parted: Mapping[str, tuple[str, Alarm]]) -> dict[str, Alarm]:
    """Give alarms that were put down to lost power, and do not follow from it, their own incident from their beginning.

    Args:
        tx: The transaction, which holds the guard.
        parted: Each such alarm as it is now, and the incident that it was part of, by id.

    Returns:
        Those alarms, and what follows from them, as they are now.
    """
    put_down(tx, ((name, before, one.incident) for name, (before, one) in parted.items()))
    alone = [one for before, one in parted.values() if not one.root and one.incident == before != ""]
    if not alone:
        return {}
    symptoms = [as_alarm(row) for row in tx.rows(_FOLLOWERS, alarms.c.root, [one.id for one in alone])]
    reassessed(tx, [*alone, *symptoms])
    known = known_of(tx, [*alone, *symptoms], {one.id: one for one in alone})
    outcome = write(tx, split_off(alone, symptoms, known, tx.now, WAS_FED), known)
    put_into(tx, outcome)
    there = {one.id: one for one in (*symptoms, *alone)}
    put_down(tx, ((part.alarm, there[part.alarm].incident, part.incident) for part in outcome.joined))
    return {part.alarm: there[part.alarm].model_copy(update={"incident": part.incident}) for part in outcome.joined}


def _keep_apart(tx: Tx, late: Iterable[tuple[Alarm, Alarm]], incident_of: Mapping[str, str]) -> None:
    """Note once at both incidents that a fault stood before a root that would explain it otherwise.

    Args:
        tx: The transaction, which holds the guard.
        late: Such faults, each with the root that came too late.
        incident_of: Incidents that changed just now, by alarm.
    """
    pairs = [[incident_of.get(one.id, one.incident) for one in pair] for pair in late]
    if not pairs:
        return
    noted = tx.rows(_APART, audit.c.object, {own for own, _ in pairs})
    known = {(row.object, orjson.loads(row.detail).get("root")) for row in noted}
    for (alarm, root), (own, other) in zip(late, pairs, strict=True):
        if own != other and (own, root.id) not in known:
            known.add((own, root.id))
            for decision in kept_apart(alarm, root, own, other):
                tx.note("correlation", decision.action, decision.incident, **decision.detail)


def put_into(tx: Tx, outcome: Outcome) -> None:
    """Put on record which incident each alarm is part of now."""
    if outcome.merged:
        parts = [as_alarm(row) for row in tx.rows(_OLDEST, alarms.c.incident, outcome.merged)]
        reassessed(tx, [one for one in parts if takes_in(one)])
        if (sharing := sharing_of(tx)) is not None:
            part_from_ended(tx, sharing, [one for one in parts if not takes_in(one)])
        tx.execute(_MERGED, [{"of": one, "new_incident": target} for one, target in outcome.merged.items()])
    if outcome.joined:
        tx.execute(_JOINED, [{"of": part.alarm, "new_incident": part.incident} for part in outcome.joined])


def _roots_for(tx: Tx, network: Network, asked: Collection[Alarm]) -> dict[str, Alarm]:
    """Standing alarms from which any of these may follow, and those from which these follow in turn, by id.

    Only those that stand where they may reach these are read: thousands may stand elsewhere.
    """
    stations = {alarm.station for alarm in asked}
    stations = stations.union(network.pool_by_id, *(network.in_front_of.get(one, ()) for one in stations))
    wider = _ROOTS.where(alarms.c.probable_cause.not_in(no_root_of(asked)))
    found = {row.id: as_alarm(row) for row in tx.rows(wider, alarms.c.station, stations)}
    wide = tx.execute(wider.where(alarms.c.probable_cause.in_(NETWORK_WIDE)))
    found |= {row.id: as_alarm(row) for row in wide}
    above = {alarm.root for alarm in (*asked, *found.values())} - found.keys() - {""}
    while above:
        more = {row.id: as_alarm(row) for row in tx.rows(_ROOTS, alarms.c.id, above)}
        found |= more
        above = {alarm.root for alarm in more.values()} - found.keys() - {""}
    return found


def _find_roots(
    tx: Tx, network: Network, others: Collection[Alarm], roots: Collection[Alarm]
) -> tuple[dict[str, Alarm], list[tuple[Alarm, Alarm]], dict[str, Alarm]]:
    """Work out what alarms follow from, and put changed roots on record.

    Returns:
        Alarms whose root changed, as they are now, by id; those that follow from nothing, each with a root that
        came too late for it; and those that were put down to lost power so far and do not follow from it, as they were.
    """
    found: dict[str, Alarm] = {}
    late: list[tuple[Alarm, Alarm]] = []
    parted: dict[str, Alarm] = {}
    known = Roots(network, roots, (alarm.station for alarm in others), _fed(tx, others, roots))
    for alarm in others:
        root, too_late = explained(network, alarm, known)
        late += [(alarm, one) for one in too_late[:1] if root is None]
        if (root.id if root else "") != alarm.root:
            now = {"root": root.id, "released": None} if root else {"root": "", "released": tx.now}
            found[alarm.id] = alarm.model_copy(update=now)
            if known.is_parted(alarm, root):
                parted[alarm.id] = alarm
            why = {"root": root.id, "cause": root.probable_cause} if root else {"root": "", "before": alarm.root}
            tx.note("correlation", "alarm.follows", alarm.id, **why)
    if found:
        reassessed(tx, [alarm for alarm in others if alarm.id in found and takes_in(alarm)])
        rows = ({"of": name, "new_root": one.root, "new_released": one.released} for name, one in found.items())
        tx.execute(_NEW_ROOT, list(rows))
    return found, late, parted


def _whose_root_may_be_another(
    tx: Tx, network: Network, news: Collection[Alarm], renewed: Collection[Alarm]
) -> list[Alarm]:
    """Standing alarms whose root may change: those in the news, and all within reach of roots, unless too many."""
    wide = [reach(network, alarm) for alarm in filter(may_be_root, (*news, *renewed))]
    within = (
        (alarms.c.station, {device for one in wide for device in one.devices}),
        (alarms.c.tenant, {tenant for one in wide for tenant in one.tenants}),
        (alarms.c.probable_cause, {cause for one in wide for cause in one.causes}),
    )
    standing = [alarm for alarm in news if alarm.cleared is None]
    rows = dict[str, Row[Any]]()
    for column, where in within:
        rows |= {row.id: row for row in tx.rows(_UNCLEARED.limit(_PIECE + 1), column, where)} if where else {}
        if len(rows) > _PIECE:
            _leave(tx, within)
            return standing
    return [as_alarm(row) for row in rows.values()] + [alarm for alarm in standing if alarm.id not in rows]


def _leave(tx: Tx, within: Iterable[tuple[Column[str], Set[str]]]) -> None:
    """Note alarms within reach of roots, for ``correlate_more``."""
    for column, where in within:
        for part in chunks(sorted(where)):
            left = select(alarms.c.number).where(STANDING, column.in_(part))
            tx.execute(tx.insert(uncorrelated).from_select(["alarm"], left).on_conflict_do_nothing())


def _part_from_power(tx: Tx, standing: Collection[Alarm]) -> None:
    """Place alarms anew that follow from lost power, after a check.

    Others tell of a fault before a check says whether the station is still fed.
    """
    supply = {one.id for one in standing if one.probable_cause in POWER_CAUSES}
    symptoms = [one for one in standing if one.root in supply]
    if symptoms:
        tx.guard(GUARD)
        _place(tx, (), symptoms)


def _fed(tx: Tx, others: Collection[Alarm], roots: Collection[Alarm]) -> dict[str, Fed]:
    """When the last check saw that a station without power is still fed, where alarms may follow from that."""
    without = {root.station for root in roots if root.probable_cause in POWER_CAUSES}
    asked = sorted(without.intersection(alarm.station for alarm in others))
    seen = healths_of(tx, asked) if asked else {}
    return {name: fed_at(health) for name, health in seen.items()}


def _owners(tx: Tx, new: Sequence[Alarm]) -> dict[str, tuple[str, ...]]:
    """Owners of core links, by alarm, for alarms about links that name no single tenant."""
    links = {one.id: (one.station, link) for one in new if not one.tenant and (link := link_in(one.object))}
    known = ledger_nodes(tx, set(links.values())) if links else {}
    return {alarm: known[link].owners for alarm, link in links.items() if link in known}


def _news(before: Mapping[str, Alarm], touched: Mapping[str, Folded]) -> Iterator[Alarm]:
    """Alarms that were raised, and alarms that were cleared, by these reports."""
    for name, one in touched.items():
        stood = name in before and before[name].cleared is None
        if (one.alarm.cleared is None) is not stood:
            yield one.alarm


def _note_what_shows(tx: Tx, changes: Iterable[tuple[Alarm, Alarm]]) -> None:
    """Note of alarms, as they were and as they are, which tenants are told otherwise of them from now on."""
    rows = [
        {"of": now.id, "to": tenant, "new_changed": now.changed, "new_noted": tx.now}
        for was, now in changes
        for tenant in now.tenants
        if tenant in was.tenants and shows(was, now)
    ]
    if rows:
        tx.execute(_SHOWS, rows)


def _as_json(names: tuple[str, ...]) -> str:
    return orjson.dumps(names).decode()


def _detail(report: AlarmReport, alarm: Alarm, action: str) -> dict[str, object]:
    if action == RENEWED:
        return {name: ", ".join(getattr(alarm, name)) for name in NAMED}
    if alarm.raised == report.at and action in ("alarm.raised", "alarm.cleared"):
        return {"object": report.object, "cause": report.probable_cause}
    return {"severity": report.severity.value, "at": report.at.isoformat()}


def _newest(tx: Tx, keys: set[str]) -> dict[str, Folded]:
    """The newest alarm of each identity, with its row locked."""
    if not keys:
        return {}
    newest = select(func.max(alarms.c.number)).where(alarms.c.identity.in_(sorted(keys))).group_by(alarms.c.identity)
    rows = tx.execute(select(alarms).where(alarms.c.number.in_(newest)).order_by(alarms.c.number).with_for_update())
    return {row.identity: _as_folded(row) for row in rows}


def _with_ids(tx: Tx, ids: set[str]) -> dict[str, Folded]:
    """Alarms by id, with their rows locked."""
    rows = tx.execute(select(alarms).where(alarms.c.id.in_(sorted(ids))).with_for_update()) if ids else ()
    return {row.id: _as_folded(row) for row in rows}


def _as_folded(row: Row[Any]) -> Folded:
    return Folded(as_alarm(row), row.reported, recorded=row.recorded)


def _write(tx: Tx, touched: Collection[Folded]) -> None:
    new, old = [], []
    for one in touched:
        if one.new:
            lists = {name: _as_json(getattr(one.alarm, name)) for name in LISTS}
            row = one.alarm.model_dump(mode="python") | {"identity": identity(one.alarm), "reported": one.reported}
            row |= {"recorded": tx.now, "spreads": may_be_root(one.alarm)}
            new.append({name: getattr(value, "value", value) for name, value in (row | lists).items()})
        else:
            values = {name: getattr(one.alarm, name) for name in _CHANGED} | {"reported": one.reported}
            values |= {name: _as_json(values[name]) for name in LISTS if name in values}
            change = {f"new_{name}": getattr(value, "value", value) for name, value in values.items()}
            old.append({"of": one.alarm.id, **change})
    # Old alarms first: at most one alarm of an identity stands.
    if old:
        tx.execute(_UPDATE, old)
    if new:
        tx.execute(alarms.insert(), new)


def conditions(
    like: AlarmFilter, now: datetime, of: ColumnCollection[str, Any] = alarms.c
) -> list[ColumnElement[bool]]:
    """Conditions of a filter of alarms; ``of`` are their columns."""
    columns = (
        (of.state, [state.value for state in like.looked_for]),
        (of.station, like.stations),
        (of.severity, [severity.value for severity in like.severities]),
    )
    found: list[ColumnElement[bool]] = [column.in_(values) for column, values in columns if values]
    if like.tenants:
        found.append(of.id.in_(select(alarm_tenants.c.alarm).where(CONCERNS, alarm_tenants.c.tenant.in_(like.tenants))))
    if like.objects:
        ends = (of.object.endswith(f"/{name}", autoescape=True) for name in like.objects)
        found.append(or_(of.object.in_(like.objects), *ends))
    if like.causes:
        others = and_(of.probable_cause == OTHER_ALERT, of.specific_problem.in_(like.causes))
        found.append(or_(of.probable_cause.in_(like.causes), others))
    if like.standing:
        found.append(stands(of))
    elif like.leaves_out_ended:
        found.append(or_(of.state != AlarmState.ESCALATED.value, of.cleared.is_(None)))
    if like.roots:
        found.append(of.root == "")
    if like.root:
        found.append(of.root == like.root)
    if like.shelved is not None:
        found.append(func.coalesce(of.shelved_until > now, false()).is_(like.shelved))
    if like.acknowledged is not None:
        found.append(of.acknowledged.is_not(None).is_(like.acknowledged))
    return found if like.since is None else [*found, of.changed >= like.since]


def _by_gravity(tx: Tx, chosen: Iterable[ColumnElement[bool]]) -> list[str]:
    """Ids of the alarms that stand and match: the gravest first, with what follows from them; then the newest.

    The database knows too little of a storm that has just begun to join alarms with their symptoms well.
    """
    below: dict[str, set[tuple[str, PerceivedSeverity]]] = {}
    for row in tx.execute(_EVERY_SYMPTOM):
        below.setdefault(row.root, set()).add((row.probable_cause, PerceivedSeverity(row.severity)))
    places = {severity: place for place, severity in enumerate(PerceivedSeverity)}
    wanted = (alarms.c.number, alarms.c.id, alarms.c.probable_cause, alarms.c.severity)
    ranked = []
    for row in tx.execute(select(*wanted).where(*chosen, STANDING)):
        own = (row.probable_cause, PerceivedSeverity(row.severity))
        ranked.append((places[gravest([own, *below.get(row.id, ())])], -row.number, row.id))
    return [name for *_, name in sorted(ranked)]


def clear_alarm(tx: Tx, alarm_id: str, by: str, reason: str) -> Alarm:
    """Do what ``Alarms.clear`` does, as part of a transaction."""
    tx.guard(GUARD)
    known = _load(tx, alarm_id, lock=True)
    values = {"state": AlarmState.CLEARED.value, "cleared_by": by}
    moved = None if known.cleared is not None else _move(tx, known, values, by, reason)
    if moved is None:
        raise ConflictError(f"alarm {alarm_id} is over")
    return moved


def escalate(tx: Tx, seen: Alarm, reason: str, actor: str, kind: str = PAGE) -> Alarm | None:
    """Do what ``Alarms.escalate`` does, as part of a transaction."""
    if _load(tx, seen.id).is_shelved(tx.now) or work_on(tx, seen) is not None:
        return None
    moved = _move(tx, seen, {"state": AlarmState.ESCALATED.value, "escalated": tx.now}, actor, reason)
    if moved is None:
        return None
    severity, told = gravest(_with_symptoms(tx, moved)), _told(tx, moved.id)
    # People who were told of it are told when it is graver, whatever else they know.
    if (told is not None and is_worse(severity, told)) or not _known_to_people(tx, moved):
        earlier = select(func.coalesce(func.max(escalations.c.number), 0)).where(escalations.c.alarm == seen.id)
        number = int(tx.execute(earlier).scalar_one()) + 1
        row = {"alarm": seen.id, "number": number, "kind": kind, "reason": reason, "at": tx.now, "attempts": 0}
        row["severity"] = severity.value
        row["claimed"] = False
        tx.execute(escalations.insert().values(row))
    return moved


def _with_symptoms(tx: Tx, alarm: Alarm) -> frozenset[tuple[str, PerceivedSeverity]]:
    rows = tx.execute(_FOLLOWING, {"root": alarm.id})
    followed = {(row.probable_cause, PerceivedSeverity(row.severity)) for row in rows}
    return frozenset({(alarm.probable_cause, alarm.severity), *followed})


def _told(tx: Tx, alarm_id: str) -> PerceivedSeverity | None:
    """Do what ``Escalations.worst`` does, as part of a transaction."""
    found = tx.execute(select(escalations.c.severity).where(escalations.c.alarm == alarm_id)).scalars().all()
    return worst(map(PerceivedSeverity, found)) if found else None


def _known_to_people(tx: Tx, alarm: Alarm) -> bool:
    """Whether people were notified of another standing alarm of the same fault."""
    if alarm.probable_cause not in LINK_CAUSES:
        return False
    escalated = _UNCLEARED.where(alarms.c.state == AlarmState.ESCALATED.value, alarms.c.id != alarm.id)
    others = tx.rows(escalated, alarms.c.station, [alarm.station])
    return any(fault_of(as_alarm(row)) == fault_of(alarm) for row in others)


def _of_note(note: AlarmNote) -> dict[str, str]:
    """The columns of a note."""
    return note._asdict() | {"waits": orjson.dumps(list(note.waits)).decode()}


def _move(tx: Tx, seen: Alarm, values: dict[str, Any], actor: str, note: str | AlarmNote) -> Alarm | None:
    """Do what ``Alarms.move`` does, as part of a transaction; empty values stay as they are."""
    ends = values["state"] in (AlarmState.CLEARED, AlarmState.REPAIRED)
    if ends and seen.cleared is None:
        tx.guard(GUARD)
    before = _load(tx, seen.id, lock=True)
    if any(getattr(before, name) != getattr(seen, name) for name in _SEEN):
        return None
    if takes_in(before):
        (before,) = reassessed(tx, [before])
    state = values["state"]
    new = {name: value for name, value in values.items() if value} | {"changed": tx.now}
    noted = note if isinstance(note, AlarmNote) else AlarmNote(note)
    new |= _of_note(noted) if noted.note else {}
    if ends and before.cleared is None:
        new["cleared"] = tx.now
    tx.execute(update(alarms).where(alarms.c.id == seen.id).values(new))
    tx.note(actor, f"alarm.{state}", seen.id, before=before.state.value, run=values.get("run", ""), note=noted.note)
    moved = _load(tx, seen.id)
    _note_what_shows(tx, [(before, moved)])
    if before.cleared is None and moved.cleared is not None:
        _correlate(tx, [moved])
    if before.state is not moved.state:
        touch(tx, [moved.incident])
    return moved


def _load(tx: Tx, alarm_id: str, *, lock: bool = False) -> Alarm:
    row = tx.execute(_ALARM_LOCKED if lock else _ALARM, {"alarm": alarm_id}).one_or_none()
    if row is None:
        raise NotFoundError.of("alarm", alarm_id)
    return as_alarm(row)
