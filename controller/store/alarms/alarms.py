"""Alarms: reports of the same fault become one alarm. Many reports take as many statements as one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
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
    String,
    Table,
    and_,
    bindparam,
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

from controller.intent.folding import TOLD_WITHIN, admitted, takes_in
from controller.intent.incidents import fault_of
from controller.models.alarm import (
    LINK_CAUSES,
    OTHER_ALERT,
    PAGE,
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
from controller.models.errors import ConflictError, NotFoundError
from controller.models.incident import gravest, worst
from controller.models.waiting import WaitCode
from controller.store.alarms.alarm_rows import (
    OLDEST,
    STANDING,
    UNCLEARED,
    alarm_tenants,
    alarms,
    as_alarm,
    stands,
    takes_reports,
)
from controller.store.alarms.concerns import CONCERNS, GUARD
from controller.store.alarms.correlation import (
    correlate,
    correlate_all,
    correlate_left,
    is_left,
    part_from_power,
    reassessed,
)
from controller.store.alarms.incident_rows import touch
from controller.store.alarms.receiving import note_what_shows, take_reports
from controller.store.alarms.repairs import repairs
from controller.store.alarms.works import work_on
from controller.store.database.audit_chain import LAST, audit
from controller.store.database.columns import Instant, long_text, metadata, string
from controller.store.database.outbox import Outbox, first_ones, gravest_first, gravity, pages_first
from controller.store.database.queries import as_noun
from controller.store.database.repository import M_co, Page, Repository, reads, writes, writes_aside
from controller.store.database.transaction import Tx
from controller.store.network.definitions import PUT_IN_FORCE

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


#: Faults that stand, came or changed.
_SINCE = bindparam("since", type_=Instant())
_FAULTS = select(alarms.c.station, alarms.c.identity, alarms.c.source).where(
    or_(alarms.c.cleared.is_(None), alarms.c.changed >= _SINCE, alarms.c.recorded >= _SINCE)
)
#: Actions of the audit trail that change nothing in an alarm.
_NOTED, _CALLED, _NOT_NOTIFIED = "alarm.noted", "alarm.called", "alarm.people-not-notified"
_OF_RULES = ("rule.mode-set", PUT_IN_FORCE)
_NO_CHANGES = (_NOTED, _CALLED, _NOT_NOTIFIED)
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
#: Alarms that take in reports.
_OPEN = takes_reports(alarms.c)
#: Alarms that take in reports, oldest first.
_TAKING = OLDEST.where(_OPEN)
#: A run that changes nothing on devices is no repair.
_IS_REPAIR = or_(alarms.c.run == "", exists().where(repairs.c.run == alarms.c.run))
_UNDER_REPAIR = select(alarms.c.station).where(alarms.c.state == AlarmState.REPAIRING.value, _IS_REPAIR).distinct()
_UNDER_REPAIR_SINCE = _UNDER_REPAIR.where(alarms.c.changed > bindparam("since", type_=Instant()))
#: The newest row of the audit trail, and alarms that changed in rows behind one.
_HEAD = select(func.coalesce(LAST.scalar_subquery(), 0))
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
    ("kind",),
    ("number",),
)
_UNNOTIFIED = select(_first).order_by(pages_first(_first.c.kind), *gravest_first(_first))
_SYMPTOMS = select(alarms.c.root, alarms.c.probable_cause, alarms.c.severity).where(STANDING)
#: Alarms that are noted to wait for what a code says, which stands in a JSON list.
_WAITING = UNCLEARED.where(
    alarms.c.state == AlarmState.RAISED.value, alarms.c.waits.contains(bindparam("code", type_=String()))
)
_EFFECTS = select(alarms.c.root, alarms.c.probable_cause, alarms.c.severity, alarms.c.cells).where(STANDING)
_EVERY_SYMPTOM = _SYMPTOMS.where(alarms.c.root != "").distinct()
#: Faults of alarms that follow from a root.
_FOLLOWING = (
    select(alarms.c.probable_cause, alarms.c.severity).where(STANDING, alarms.c.root == bindparam("root")).distinct()
)

_LAST_TOLD = select(func.max(escalations.c.at)).where(escalations.c.alarm == bindparam("alarm"))


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
        return [as_alarm(row) for row in tx.rows(OLDEST, alarms.c.id, alarm_ids)]

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
        part_from_power(tx, [one for one in found if one.cleared is None])

    @writes
    def correlate(self, tx: Tx) -> None:
        """Work out roots and incidents of all standing alarms again, since devices may have moved in the network."""
        tx.guard(GUARD)
        correlate_all(tx)

    @writes_aside
    def correlate_more(self, tx: Tx) -> bool:
        """Work out the roots of some alarms that ``report_all`` left; returns whether there may be more.

        If many alarms may follow from a root that was raised or cleared, new reports do not wait until all of them are
        worked out.
        """
        tx.guard(GUARD)
        return correlate_left(tx)

    @reads
    def is_correlated(self, tx: Tx, alarm_id: str) -> bool:
        """Whether the root of an alarm has been worked out."""
        return not is_left(tx, alarm_id)

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
    def waiting(self, tx: Tx, code: WaitCode) -> list[Alarm]:
        """Raised alarms whose repair waits for what a code says, as they were last asked; oldest first."""
        return [as_alarm(row) for row in tx.execute(_WAITING, {"code": f'"{code.value}"'})]

    @reads
    def effects(
        self, tx: Tx, roots: Iterable[str]
    ) -> dict[str, tuple[frozenset[tuple[str, PerceivedSeverity]], frozenset[str]]]:
        """Of all standing alarms that follow from each of these: causes and severities, and cells.

        Alarms without symptoms are left out.
        """
        what: dict[str, set[tuple[str, PerceivedSeverity]]] = {}
        cells: dict[str, set[str]] = {}
        for row in tx.rows(_EFFECTS, alarms.c.root, roots):
            what.setdefault(row.root, set()).add((row.probable_cause, PerceivedSeverity(row.severity)))
            cells.setdefault(row.root, set()).update(orjson.loads(row.cells))
        return {root: (frozenset(what[root]), frozenset(cells[root])) for root in what}

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

    @writes
    def call(self, tx: Tx, seen: Alarm, reason: str, *, actor: str) -> bool:
        """Page people about an alarm whose repair waits, which goes on later: its state stays as it was ``seen``.

        Returns False if it changed, if people were told of it since it was raised, when it was as grave, and while it
        is shelved or explained by announced work.
        """
        known = _load(tx, seen.id, lock=True)
        if any(getattr(known, name) != getattr(seen, name) for name in _SEEN):
            return False
        told, severity = _told(tx, known.id, known.raised), gravest(_with_symptoms(tx, known))
        is_told = told is not None and not is_worse(severity, told)
        if is_told or _known_to_people(tx, known) or known.is_shelved(tx.now) or work_on(tx, known) is not None:
            return False
        _notify(tx, known, severity, PAGE, reason)
        tx.note(actor, _CALLED, known.id, reason=reason)
        return True


_OUTBOX = Outbox[Escalation](
    escalations, "notified", lambda one: and_(escalations.c.alarm == one.alarm, escalations.c.number == one.number)
)


class Escalations(Repository[M_co]):
    """Notifications of people about alarms."""

    @reads
    def pending(self, tx: Tx) -> list[Escalation]:
        """The first escalations that are not delivered, without those of alarms shelved now.

        Pages come before tickets, and of each the gravest first.
        """
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

    @reads
    def last(self, tx: Tx, alarm_id: str) -> datetime | None:
        """When people were last notified of an alarm; None if they never were."""
        last: datetime | None = tx.execute(_LAST_TOLD, {"alarm": alarm_id}).scalar_one()
        return last

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


def _rules_changed(tx: Tx, since: int) -> bool:
    """Whether rules or their modes changed since a row of the audit trail, so that alarms have to be judged anew."""
    return tx.execute(_RULES_SINCE, {"since": since}).scalar() is not None


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
    graver = told is not None and is_worse(severity, told)
    stands = kind == PAGE and _page_stands(tx, seen)
    if graver or not (stands or _known_to_people(tx, moved)):
        _notify(tx, moved, severity, kind, reason)
    return moved


def _notify(tx: Tx, alarm: Alarm, severity: PerceivedSeverity, kind: str, reason: str) -> None:
    """Have people notified of an alarm."""
    earlier = select(func.coalesce(func.max(escalations.c.number), 0)).where(escalations.c.alarm == alarm.id)
    number = int(tx.execute(earlier).scalar_one()) + 1
    row = {"alarm": alarm.id, "number": number, "kind": kind, "reason": reason, "at": tx.now, "attempts": 0}
    row["severity"] = severity.value
    row["claimed"] = False
    tx.execute(escalations.insert().values(row))


def _page_stands(tx: Tx, alarm: Alarm) -> bool:
    """Whether people were paged about an alarm while its repair waited (``call``), and no repair began since."""
    called = tx.execute(_LAST_TOLD, {"alarm": alarm.id}).scalar_one()
    if called is None or called < alarm.raised or (alarm.escalated is not None and called <= alarm.escalated):
        return False
    began = select(repairs.c.run).where(repairs.c.alarm == alarm.id, repairs.c.at >= called).limit(1)
    return tx.execute(began).first() is None


def _with_symptoms(tx: Tx, alarm: Alarm) -> frozenset[tuple[str, PerceivedSeverity]]:
    rows = tx.execute(_FOLLOWING, {"root": alarm.id})
    followed = {(row.probable_cause, PerceivedSeverity(row.severity)) for row in rows}
    return frozenset({(alarm.probable_cause, alarm.severity), *followed})


def _told(tx: Tx, alarm_id: str, since: datetime | None = None) -> PerceivedSeverity | None:
    """Do what ``Escalations.worst`` does, as part of a transaction; with ``since``, of what was told from then on."""
    of_alarm = select(escalations.c.severity).where(escalations.c.alarm == alarm_id)
    found = tx.execute(of_alarm if since is None else of_alarm.where(escalations.c.at >= since)).scalars().all()
    return worst(map(PerceivedSeverity, found)) if found else None


def _known_to_people(tx: Tx, alarm: Alarm) -> bool:
    """Whether people were notified of another standing alarm of the same fault."""
    if alarm.probable_cause not in LINK_CAUSES:
        return False
    escalated = UNCLEARED.where(alarms.c.state == AlarmState.ESCALATED.value, alarms.c.id != alarm.id)
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
    note_what_shows(tx, [(before, moved)])
    if before.cleared is None and moved.cleared is not None:
        correlate(tx, [moved])
    if before.state is not moved.state:
        touch(tx, [moved.incident])
    return moved


def _load(tx: Tx, alarm_id: str, *, lock: bool = False) -> Alarm:
    row = tx.execute(_ALARM_LOCKED if lock else _ALARM, {"alarm": alarm_id}).one_or_none()
    if row is None:
        raise NotFoundError.of("alarm", alarm_id)
    return as_alarm(row)
