"""Notices to tenants about runs, and to all sides about incidents; and who receives them, gathered into messages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cache, partial
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    ForeignKey,
    Index,
    Integer,
    Row,
    Select,
    String,
    Table,
    and_,
    bindparam,
    case,
    exists,
    func,
    literal,
    not_,
    or_,
    select,
    text,
    update,
)

from controller.access.disclosure import involved
from controller.intent.incident_news import TELLING
from controller.models.alarm import DIVERGED, PerceivedSeverity
from controller.models.approval import (
    Delivery,
    Notice,
    NoticeKind,
    NoticeOutage,
)
from controller.models.many import first_names
from controller.models.outage import NO_OUTAGE, UNKNOWN_OUTAGE, UNTIL_UNLOCKED, Outage, OutageKind
from controller.models.run import JobState, Outcome, RunState
from controller.plan import left_locked
from controller.store.alarms.alarm_rows import alarms, as_alarm
from controller.store.alarms.correlation import sharing_of
from controller.store.database.columns import Instant, metadata
from controller.store.database.outbox import Outbox, first_ones, gravest_first, gravity, message_id
from controller.store.database.repository import M_co, Page, Repository, method, reads, writes
from controller.store.database.transaction import Tx
from controller.store.incidents import incident_notices
from controller.store.jobs.involvement import run_tenants
from controller.store.jobs.run_rows import jobs, run_playbooks, runs
from controller.store.jobs.steps import carried_by, steps
from controller.store.network.versions import current_network
from controller.store.runs.run_constraints import (
    as_notice,
    constraints_from,
    notices,
    notify,
    outage_to_come,
    outage_words,
    run_constraints,
    serving,
)

_TERMINAL = tuple(state.value for state in RunState if state.terminal)
#: How long each delivery is tried.
_TRIED = timedelta(days=1)
#: The shortest time between two messages about incidents to one receiver, the second of which is not graver. With the
#: time for which changes are held back (``HOLD_OFF``) a side is told within a minute.
INTERVAL = timedelta(seconds=30)
#: Transactions of a round that write notices of incidents: so many that a storm is on record before it is gathered.
_ROUNDS = 25

#: Which contact receives which notice, in which message. All rows of a message are claimed before it is sent, at once;
#: ``attempts`` distinguishes one claim from the next.
deliveries = Table(
    "deliveries",
    metadata,
    Column("notice", String, ForeignKey("notices.id"), primary_key=True),
    # Id of a contact of the notice's side; empty for the webhook of the settings.
    Column("to", String, primary_key=True),
    Column("at", Instant, nullable=False),
    # The message that it is part of, and since when; null until it is gathered. It is the notice's own id where the
    # message is that alone.
    Column("message", String),
    Column("gathered", Instant),
    # Whether its receiver refuses it for its content, alone.
    Column("refused", Boolean, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("claimed", Boolean, nullable=False),
    Column("sent", Instant),
    Index("ix_deliveries_message", "message", "to"),
    Index("ix_deliveries_gathered", "gathered"),
    Index("ix_deliveries_pending", "at", sqlite_where=text("sent IS NULL"), postgresql_where=text("sent IS NULL")),
)
_NEW = select(notices).where(not_(notices.c.addressed)).order_by(notices.c.number)
#: That an incident is over, or goes on in another one, is no haste; of work a side hears beside what is minor.
_GRAVITY = case(
    (notices.c.incident.is_(None), gravity(literal(PerceivedSeverity.MINOR.value))),
    (notices.c.kind.in_([kind.value for kind in TELLING]), gravity(notices.c.severity)),
    else_=gravity(literal(PerceivedSeverity.CLEARED.value)),
)
_OPEN = (deliveries.c.sent.is_(None), deliveries.c.at > bindparam("since", type_=Instant()))
_OF_INCIDENT = notices.c.incident.is_not(None)
_OF_MESSAGE = (deliveries.c.message, deliveries.c.to)
_messages = (
    select(
        deliveries.c.notice,
        deliveries.c.message,
        deliveries.c.to,
        deliveries.c.attempts,
        deliveries.c.claimed,
        deliveries.c.at,
        notices.c.tenant,
        notices.c.number,
        _OF_INCIDENT.label("of_incident"),
        func.coalesce(notices.c.incident, notices.c.run).label("matter"),
        func.min(_GRAVITY).over(partition_by=_OF_MESSAGE).label("gravity"),
        func.count().over(partition_by=_OF_MESSAGE).label("listed"),
        func.row_number().over(partition_by=_OF_MESSAGE, order_by=notices.c.number).label("nth"),
    )
    .join(notices, notices.c.id == deliveries.c.notice)
    .where(*_OPEN, deliveries.c.message.is_not(None))
    .subquery()
)
_first = first_ones(
    select(
        _messages, case((_messages.c.listed > 1, _messages.c.message), else_=_messages.c.matter).label("about")
    ).where(_messages.c.nth == 1),
    # Neither of incidents and of anything else waits for the other.
    ("tenant", "to", "of_incident"),
    ("number",),
)
_PENDING = (
    select(notices, _first.c.message, _first.c.listed, _first.c.to, _first.c.attempts, _first.c.claimed)
    .join(_first, _first.c.notice == notices.c.id)
    .order_by(_first.c.matter_place, *gravest_first(_first))
)
_GATHERED = (
    select(notices)
    .join(deliveries, deliveries.c.notice == notices.c.id)
    .where(deliveries.c.message == bindparam("message"), deliveries.c.to == bindparam("to"))
    .order_by(notices.c.number)
)
#: What waits for each receiver to be gathered, with the gravest of it, where no message about incidents is on its way.
_ungathered = deliveries.c.message.is_(None)
_READY = (
    select(notices.c.tenant, deliveries.c.to, func.min(case((_ungathered, _GRAVITY))).label("gravest"))
    .join(notices, notices.c.id == deliveries.c.notice)
    .where(*_OPEN, _OF_INCIDENT, not_(deliveries.c.refused))
    .group_by(notices.c.tenant, deliveries.c.to)
    .having(func.count() == func.sum(case((_ungathered, 1), else_=0)))
)
#: The gravest that each receiver was told of incidents lately.
_LATELY = (
    select(notices.c.tenant, deliveries.c.to, func.min(_GRAVITY).label("gravest"))
    .join(notices, notices.c.id == deliveries.c.notice)
    .where(deliveries.c.gathered > bindparam("lately", type_=Instant()))
    .group_by(notices.c.tenant, deliveries.c.to)
)
_WAITING = (
    select(deliveries.c.notice, notices.c.incident)
    .join(notices, notices.c.id == deliveries.c.notice)
    .where(*_OPEN, _ungathered, notices.c.tenant == bindparam("side"), deliveries.c.to == bindparam("to"))
    .order_by(notices.c.number)
)
_GATHER = (
    update(deliveries)
    .where(deliveries.c.notice == bindparam("of"), deliveries.c.to == bindparam("by"))
    .values({name: bindparam(f"new_{name}") for name in ("message", "gathered", "attempts", "claimed")})
)


_IN_DOUBT = (alarms.c.probable_cause == DIVERGED, alarms.c.cleared.is_(None))
#: When a job began to work on its device; of a playbook's job only once a step acts there, since one that only looks
#: may find that it has nothing to do.
_BY_PLAYBOOK = exists().where(run_playbooks.c.run == jobs.c.run)
_ACTED = exists().where(steps.c.job == jobs.c.id, or_(steps.c.change.is_not(None), steps.c.operations != ""))
_BEGUN = case((or_(not_(_BY_PLAYBOOK), _ACTED), jobs.c.started)).label("begun")


_OUTBOX = Outbox[Delivery](
    deliveries, "sent", lambda one: and_(deliveries.c.message == one.message, deliveries.c.to == one.to)
)


class Notices(Repository[M_co]):
    """Notices to tenants about runs, and to all sides about incidents."""

    @reads
    def page(self, tx: Tx, page: Page, tenant: str | None = None) -> tuple[int, list[Notice]]:
        """Total and one page of notices, newest first; those of one tenant if named."""
        chosen = [] if tenant is None else [notices.c.tenant == tenant]
        total = tx.execute(select(func.count()).select_from(notices).where(*chosen)).scalar_one()
        newest = select(notices).where(*chosen).order_by(notices.c.number.desc())
        return total, [as_notice(row) for row in tx.execute(newest.limit(page.limit).offset(page.offset))]

    @reads
    def planned(self, tx: Tx, begins: datetime, tenant: str | None = None) -> list[Notice]:
        """Notices of work that begins at that time or later, newest first; those of one tenant if named."""
        chosen = [] if tenant is None else [notices.c.tenant == tenant]
        query = select(notices).where(notices.c.begins >= begins, *chosen).order_by(notices.c.number.desc())
        return [as_notice(row) for row in tx.execute(query)]

    @reads
    def of_incident(self, tx: Tx, incident: str, tenant: str) -> list[Notice]:
        """Notices to a tenant about an incident, oldest first."""
        query = select(notices).where(notices.c.incident == incident, notices.c.tenant == tenant)
        return [as_notice(row) for row in tx.execute(query.order_by(notices.c.number))]

    @method
    def write(self) -> None:
        """Put notices to sides on record: of runs that began or ended, of incidents that began, grew or ended."""
        if self._database.run(_due, "DEFERRED"):
            self._database.run(_write)
        for _ in range(_ROUNDS):
            if not self._database.run(incident_notices.due, "DEFERRED"):
                break
            self._database.run(incident_notices.write)

    @method
    def address(self, *, webhook: bool) -> None:
        """Settle the recipients of new notices, the contacts of their side, and gather those that are due together.

        All notices of incidents that wait for a receiver become one message (``Delivery``), unless one of these is on
        its way there: what comes meanwhile is gathered once that is sent. After a message the next one waits for a time
        (``INTERVAL``), but for what is graver than all that the receiver was told in it. A notice of another kind is a
        message by itself, at once.

        Args:
            webhook: Whether the webhook of the settings also gets them. One that is set up later gets no earlier
                notices.
        """
        if self._database.run(lambda tx: tx.execute(_NEW).first() is not None, "DEFERRED"):
            self._database.run(partial(_address, webhook=webhook))
        if self._database.run(_ripe, "DEFERRED"):
            self._database.run(_gather)

    @reads
    def pending(self, tx: Tx) -> list[Delivery]:
        """Messages of the last day that are open, in the order in which they go; the first ones of each contact.

        The gravest first, by the gravest open notice of an incident, whose older ones go before it. What is about
        incidents, and what is about anything else, take turns.
        """
        return [
            Delivery(
                message=row.message,
                notice=as_notice(row),
                count=row.listed,
                to=row.to,
                attempts=row.attempts,
                claimed=row.claimed,
            )
            for row in tx.execute(_PENDING, {"since": tx.now - _TRIED})
        ]

    @reads
    def gathered(self, tx: Tx, one: Delivery) -> list[Notice]:
        """The notices of a message, in the order in which they were written."""
        return _notices_of(tx, one)

    @writes
    def refuse(self, tx: Tx, seen: Delivery, why: str) -> None:
        """Put on record that a receiver refuses a message for its content, and why.

        One that lists several is sent in two halves from then on, so that in the end only what it refuses waits.

        Args:
            seen: The message as it was before it was claimed for the attempt that was refused.
            why: The reason, for people.
        """
        same = (deliveries.c.message == seen.message, deliveries.c.to == seen.to, deliveries.c.sent.is_(None))
        claimed = (deliveries.c.claimed, deliveries.c.attempts == seen.attempts + 1)
        if seen.count == 1:
            tx.execute(update(deliveries).where(*same, *claimed).values(refused=True))
        elif tx.execute(select(deliveries.c.notice).where(*same, *claimed).limit(1)).first() is not None:
            tx.note("engine", "notice.not-sent", seen.notice.id, to=seen.to, message=seen.message, reason=why)
            for half in _halves(_notices_of(tx, seen)):
                _put_together(tx, seen.to, half)

    @writes
    def claim(self, tx: Tx, seen: Delivery) -> Delivery | None:
        """Claim a delivery before it is sent, as ``Escalations.claim`` does."""
        return _OUTBOX.claim(tx, seen)

    @writes
    def release(self, tx: Tx, claimed: Delivery, why: str = "") -> None:
        """Give a claim back, with the reason why it was not delivered. A claim that somebody else took over stays."""
        if _OUTBOX.release(tx, claimed) and why:
            tx.note("engine", "notice.not-sent", claimed.notice.id, to=claimed.to, reason=why)

    @writes
    def delivered(self, tx: Tx, claimed: Delivery) -> None:
        """Put on record that it was delivered."""
        if not _OUTBOX.delivered(tx, claimed):
            return
        told = select(deliveries.c.notice).where(deliveries.c.message == claimed.message, deliveries.c.to == claimed.to)
        tx.execute(update(notices).where(notices.c.id.in_(told), notices.c.sent.is_(None)).values(sent=tx.now))
        for one in tx.execute(told.order_by(deliveries.c.notice)).scalars():
            message = claimed.message if claimed.count > 1 else ""
            tx.note("engine", "notice.sent", one, to=claimed.to, message=message)


def _address(tx: Tx, *, webhook: bool) -> None:
    tx.guard("notices")
    found = tx.execute(_NEW).all()
    _, network = current_network(tx) or ("", None)
    rows = []
    for notice in found:
        contacts = [] if network is None else [one.id for one in network.contacts_of(notice.tenant)]
        to = [*([""] if webhook else []), *contacts]
        # What is about no incident is a message by itself, at once.
        message = None if notice.incident is not None else notice.id
        new = {"notice": notice.id, "message": message, "at": tx.now, "refused": False, "attempts": 0, "claimed": False}
        rows += [new | {"to": one} for one in to]
    if rows:
        tx.execute(deliveries.insert(), rows)
    tx.execute(update(notices).where(not_(notices.c.addressed)).values(addressed=True))


def _ripe(tx: Tx) -> list[tuple[str, str]]:
    """Receivers, with their sides, for whom what waits is gathered now."""
    ready = tx.execute(_READY, {"since": tx.now - _TRIED}).all()
    if not ready:
        return []
    lately = {(row.tenant, row.to): row.gravest for row in tx.execute(_LATELY, {"lately": tx.now - INTERVAL})}
    return [
        (row.tenant, row.to)
        for row in ready
        if row.gravest < lately.get((row.tenant, row.to), len(PerceivedSeverity) + 1)
    ]


def _gather(tx: Tx) -> None:
    """Make one message of all that waits for each receiver."""
    tx.guard("notices")
    for side, to in _ripe(tx):
        found = tx.execute(_WAITING, {"since": tx.now - _TRIED, "side": side, "to": to}).all()
        _put_together(tx, to, [row.notice for row in found])


def _put_together(tx: Tx, to: str, together: Sequence[str]) -> None:
    """Make one message of these notices, which nobody tried to send yet."""
    new = {
        "by": to,
        "new_message": message_id(together),
        "new_gathered": tx.now,
        "new_attempts": 0,
        "new_claimed": False,
    }
    tx.execute(_GATHER, [new | {"of": one} for one in together])


def _notices_of(tx: Tx, one: Delivery) -> list[Notice]:
    return [as_notice(row) for row in tx.execute(_GATHERED, {"message": one.message, "to": one.to})]


def _halves(listed: Sequence[Notice]) -> list[list[str]]:
    """Ids of notices in two parts: all of one incident in the same, since their order counts, or else by themselves."""
    incidents = list(dict.fromkeys(one.incident for one in listed))
    if len(incidents) == 1:
        return [[one.id] for one in listed]
    first = set(incidents[: len(incidents) // 2])
    return [
        [one.id for one in listed if one.incident in first],
        [one.id for one in listed if one.incident not in first],
    ]


def _due(tx: Tx) -> bool:
    return bool(tx.execute(_news()).first() or tx.execute(_over()).first())


def _write(tx: Tx) -> None:
    """Tell each tenant when work began and ended on its own stations, whatever happens elsewhere in the run."""
    tx.guard("notices")
    for row in tx.execute(_news()).all():
        _write_about(tx, row, row.tenant, ended=bool(row.done))
    for row in tx.execute(_over()).all():
        sent = and_(notices.c.run == row.run, notices.c.kind == NoticeKind.ENDED.value)
        known = set(tx.execute(select(notices.c.tenant).where(sent)).scalars())
        for tenant in constraints_from(row.content).tenants:
            if tenant not in known:
                _write_about(tx, row, tenant, ended=True)
        tx.execute(
            update(run_constraints).where(run_constraints.c.run == row.run).values(notified=NoticeKind.ENDED.value)
        )


def _write_about(tx: Tx, row: Row[Any], tenant: str, *, ended: bool) -> None:
    """Write the notices of a run that a tenant has not got yet: a run may begin and end between two rounds."""
    constraints = constraints_from(row.content)
    mine, outage = constraints.concerning(tenant), constraints.outages.get(tenant, NO_OUTAGE)
    lost = constraints.withdrawn_from(tenant)
    about = and_(notices.c.run == row.run, notices.c.tenant == tenant)
    known = set(tx.execute(select(notices.c.kind).where(about)).scalars())
    work = [
        job
        for job in tx.execute(select(jobs.c.id, jobs.c.station, jobs.c.outcome, _BEGUN).where(jobs.c.run == row.run))
        if job.station in set(mine)
    ]
    begun = min((job.begun for job in work if job.begun is not None), default=None)
    if NoticeKind.STARTED.value not in known and begun is not None:
        # There is one such notice; the others follow, or turn out to need nothing.
        first = "the first of " if len(mine) > 1 else ""
        words = f"work has begun on {first}{serving(mine)}{outage_words(constraints, tenant)}"
        told, named = outage_to_come(constraints, tenant, begun), constraints.named_off(tenant)
        notify(tx, row.run, tenant, NoticeKind.STARTED, mine, words, told, cells=named)
    if ended:
        counts = Counter(job.outcome for job in work)
        outage = _left(tx, row.run, tenant, [one.id for one in work if one.outcome == Outcome.SUCCEEDED.value], outage)
        words = "work has ended: " + ", ".join(f"{counts[key]} {key}" for key in sorted(counts, key=str))
        # Nothing of why work was cancelled: it may be what another tenant changed.
        if outage.is_open and counts[Outcome.SUCCEEDED.value]:
            words += f"; what it took off the air stays so {outage}"
        # Where none succeeded, nothing is off the air any more, or it never was.
        left = outage if counts[Outcome.SUCCEEDED.value] or not outage.is_open else NO_OUTAGE
        over: datetime | None = tx.now
        diverged = sorted(job.station for job in work if job.outcome == Outcome.DIVERGED.value)
        if diverged and (doubt := _in_doubt(tx, diverged, tenant)):
            left, over = Outage.worst((outage, UNKNOWN_OUTAGE)), None
            words += doubt
        told = None if begun is None else NoticeOutage.of(left, begun, over)
        done = {job.station for job in work if job.outcome == Outcome.SUCCEEDED.value}
        gone = [cell for cell in lost if cell.partition("/")[0] in done]
        notify(tx, row.run, tenant, NoticeKind.ENDED, mine, words, told, cells=gone)


#: Outages that a run's own steps may end, and of which it may leave cells locked all the same.
_ENDED_BY_STEPS = (OutageKind.UNTIL_STEP, OutageKind.UNTIL_UNLOCKED)


def _left(tx: Tx, run: str, tenant: str, succeeded: Sequence[str], planned: Outage) -> Outage:
    """How a tenant's outage ended on devices where a run succeeded: as planned, unless its own steps unlocked again.

    That is not known before, since a step may take its cells from what an earlier one found.
    """
    if (
        planned.kind not in _ENDED_BY_STEPS
        or not tx.execute(select(exists().where(run_playbooks.c.run == run))).scalar_one()
    ):
        return planned
    stays = any(
        tenant in involved(change) for changes in carried_by(tx, succeeded) for change in left_locked(changes).values()
    )
    if stays:
        return UNTIL_UNLOCKED
    return planned if not succeeded or planned != UNTIL_UNLOCKED else UNKNOWN_OUTAGE


def _in_doubt(tx: Tx, stations: Sequence[str], tenant: str) -> str:
    """What a tenant may miss on stations that a run left in neither state; empty where a later run ended well there.

    It is told of its own cells only, or of the stations where these are not known.
    """
    rows = tx.rows(select(alarms).where(*_IN_DOUBT), alarms.c.station, stations)
    standing = [as_alarm(row) for row in rows]
    if not standing:
        return ""
    sharing = sharing_of(tx)
    named = {cell for alarm in standing for cell in alarm.cells}
    cells = sharing.tenants_at(named).get(tenant, ()) if sharing is not None else ()
    where = f"cells {first_names(cells)}" if cells else f"service on {first_names([one.station for one in standing])}"
    return f"; {where} may be away for a time that is not known: people are called to bring it back"


@cache  # asked each second, and longer in the making than in the asking
def _news() -> Select[Any]:
    """Runs and tenants without a notice although work began or ended on the tenant's stations."""
    begun = func.max(case((_BEGUN.is_not(None), 1), else_=0))
    done = func.min(case((jobs.c.state == JobState.DONE.value, 1), else_=0))
    there = and_(run_tenants.c.run == jobs.c.run, run_tenants.c.station == jobs.c.station)
    query = select(run_constraints.c.run, run_constraints.c.content, run_tenants.c.tenant, done.label("done"))
    query = query.join(run_tenants, run_tenants.c.run == run_constraints.c.run).join(jobs, there)
    query = query.where(run_constraints.c.notified.in_([NoticeKind.PLANNED.value, NoticeKind.STARTED.value]))
    query = query.where(_sent(NoticeKind.PLANNED)).group_by(
        run_constraints.c.run, run_constraints.c.content, run_tenants.c.tenant
    )
    unsaid = [and_(known == 1, ~_sent(kind)) for known, kind in ((begun, NoticeKind.STARTED), (done, NoticeKind.ENDED))]
    return query.having(or_(*unsaid)).order_by(run_constraints.c.run, run_tenants.c.tenant)


def _sent(kind: NoticeKind) -> ColumnElement[bool]:
    """Whether a tenant got this kind of notice of a run."""
    same = and_(notices.c.run == run_constraints.c.run, notices.c.tenant == run_tenants.c.tenant)
    return exists().where(same, notices.c.kind == kind.value)


@cache
def _over() -> Select[Any]:
    """Runs that ended, where some tenant may not have been notified."""
    query = select(run_constraints.c.run, run_constraints.c.content).join(runs, runs.c.id == run_constraints.c.run)
    unfinished = run_constraints.c.notified.in_([NoticeKind.PLANNED.value, NoticeKind.STARTED.value])
    return query.where(runs.c.state.in_(_TERMINAL), unfinished).order_by(runs.c.number)
