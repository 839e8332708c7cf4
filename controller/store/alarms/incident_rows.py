"""Incidents as rows, and how they change as alarms come and go."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from itertools import chain

from sqlalchemy import (
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    and_,
    bindparam,
    case,
    exists,
    select,
    text,
    update,
)

from controller.intent.incident_news import HOLD_OFF
from controller.intent.incidents import OF_ROOT, Outcome, RecordedIncidents, fault_of, root_beside, sort_out
from controller.models.alarm import Alarm
from controller.models.incident import Incident
from controller.store.database.columns import Instant, long_text, metadata, string
from controller.store.database.queries import as_noun
from controller.store.database.transaction import Tx

_OPEN = text("closed IS NULL AND merged_into = ''")
_MERGED = text("merged_into <> ''")
_CURRENT = text("until IS NULL")
_MOVED = text("merged_from <> ''")
_NOTIFIES = text("notify_at IS NOT NULL")
_PUT_ELSEWHERE = text("put_down_to <> ''")

incidents = Table(
    "incidents",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("id", String, nullable=False, unique=True),
    # Identity of its fault (``controller.intent.incidents.fault_of``).
    string("identity"),
    string("root"),
    string("station"),
    string("object"),
    string("object_class"),
    string("tenant"),
    string("probable_cause"),
    string("specific_problem"),
    Column("opened", Instant, nullable=False),
    Column("changed", Instant, nullable=False),
    Column("closed", Instant),
    Column("acknowledged", Instant),
    long_text("acknowledged_by"),
    long_text("owner"),
    Column("taken", Instant),
    string("merged_into"),
    Column("flaps", Integer, nullable=False),
    Column("standing", Integer, nullable=False),
    # When its sides are to be notified of changes; NULL when they know all of them.
    Column("notify_at", Instant),
    Index("ix_incidents_notify_at", "notify_at", sqlite_where=_NOTIFIES, postgresql_where=_NOTIFIES),
    Index("ix_incidents_identity", "identity", "number"),
    Index("ix_incidents_open", "number", sqlite_where=_OPEN, postgresql_where=_OPEN),
    Index("ix_incidents_merged_into", "merged_into", sqlite_where=_MERGED, postgresql_where=_MERGED),
)

#: Which alarm was part of which incident, from when to when. An alarm is part of one incident at a time. What an
#: incident had before it became part of another one is that one's now, and known as its own too (``merged_from``).
incident_alarms = Table(
    "incident_alarms",
    metadata,
    Column("number", Integer, primary_key=True),
    string("incident"),
    Column("alarm", String, ForeignKey("alarms.id"), nullable=False),
    Column("since", Instant, nullable=False),
    Column("until", Instant),
    string("merged_from"),
    # Whether the root of the incident is known not to be its cause (``controller.intent.incidents.cleared_of_blame``).
    Column("blameless", Boolean, nullable=False, default=False),
    # The incident to which the time is put down, since it turned out to be its cause; empty for this one.
    Column("put_down_to", String, nullable=False, default=""),
    Index("ix_incident_alarms_incident", "incident", "number"),
    Index("ix_incident_alarms_merged_from", "merged_from", sqlite_where=_MOVED, postgresql_where=_MOVED),
    Index(
        "ix_incident_alarms_put_down_to", "put_down_to", sqlite_where=_PUT_ELSEWHERE, postgresql_where=_PUT_ELSEWHERE
    ),
    Index("ix_incident_alarms_until", "until", "alarm"),
    Index("ix_incident_alarms_current", "alarm", unique=True, sqlite_where=_CURRENT, postgresql_where=_CURRENT),
)

#: Whether an incident is open.
OPEN_INCIDENT = and_(incidents.c.closed.is_(None), incidents.c.merged_into == "")
#: Columns that change as alarms come and go; people change the others.
_CHANGED = (*OF_ROOT, "root", "opened", "changed", "closed", "merged_into", "flaps", "standing")
_SOON = bindparam("soon", type_=Instant())
#: A side that waits longer, as after a notice, keeps no other side waiting.
_SOONER = case((incidents.c.notify_at < _SOON, incidents.c.notify_at), else_=_SOON)
_UPDATE = (
    update(incidents)
    .where(incidents.c.id == bindparam("of"))
    .values({name: bindparam(f"new_{name}") for name in _CHANGED})
    .values(notify_at=_SOONER)
)
_TOUCH = update(incidents).where(incidents.c.id == bindparam("of")).values(notify_at=_SOONER)
_BELONGS = select(incident_alarms.c.alarm, incident_alarms.c.incident).where(incident_alarms.c.until.is_(None))
_AT = bindparam("at", type_=Instant())
_LEAVE = (
    update(incident_alarms)
    .where(incident_alarms.c.alarm == bindparam("of"), incident_alarms.c.until.is_(None))
    .values(until=case((incident_alarms.c.since > _AT, incident_alarms.c.since), else_=_AT))
)
_MERGE = (
    update(incident_alarms)
    .where(incident_alarms.c.incident == bindparam("of"))
    .values(
        incident=bindparam("new_incident"),
        merged_from=case(
            (incident_alarms.c.merged_from == "", incident_alarms.c.incident), else_=incident_alarms.c.merged_from
        ),
    )
)
#: Times that were put down to an incident go with it.
_MERGE_PUT_DOWN = (
    update(incident_alarms)
    .where(incident_alarms.c.put_down_to == bindparam("of"), incident_alarms.c.put_down_to != "")
    .values(put_down_to=bindparam("new_incident"))
)
_PUT_DOWN = (
    update(incident_alarms)
    .where(incident_alarms.c.alarm == bindparam("of"), incident_alarms.c.incident == bindparam("before"))
    .values(put_down_to=bindparam("cause"))
)
_BY_ID = select(incidents)
_later = incidents.alias()
_NEWEST = select(incidents).where(
    ~exists().where(_later.c.identity == incidents.c.identity, _later.c.number > incidents.c.number)
)


def follow(tx: Tx, alarms: Mapping[str, Alarm], roots: Mapping[str, Alarm]) -> Outcome:
    """Put incidents on record after alarms were raised, cleared, or got another root.

    Args:
        tx: The transaction, which has the guard of alarms.
        alarms: Those alarms, as they are now, by id.
        roots: Standing alarms from which others may follow, as they are now, by id.
    """
    known = known_of(tx, alarms.values(), roots)
    return write(tx, sort_out(alarms.values(), known, tx.now), known)


def known_of(tx: Tx, alarms: Collection[Alarm], roots: Mapping[str, Alarm]) -> RecordedIncidents:
    """The incidents on record that these alarms may be part of."""
    asked = {alarm.id for alarm in alarms}.union(*(_above(alarm, roots) for alarm in alarms))
    belongs = {row.alarm: row.incident for row in tx.rows(_BELONGS, incident_alarms.c.alarm, asked)}
    alone = {identity_of(one) for one in alarms if one.cleared is None and root_beside(one, roots) is None}
    rows = chain(
        tx.rows(_BY_ID, incidents.c.id, belongs.values()) if belongs else (),
        tx.rows(_NEWEST, incidents.c.identity, alone) if alone else (),
    )
    return RecordedIncidents(belongs, {row.id: as_noun(Incident, row) for row in rows}, roots)


def write(tx: Tx, outcome: Outcome, known: RecordedIncidents) -> Outcome:
    """Write how incidents changed."""
    new = [one for name, one in outcome.incidents.items() if name not in known.incidents]
    old = [one for name, one in outcome.incidents.items() if name in known.incidents]
    if new:
        names = incidents.c.keys() & Incident.model_fields.keys()
        more = {"notify_at": tx.now + HOLD_OFF}
        rows = [{name: getattr(one, name) for name in names} | {"identity": identity_of(one)} | more for one in new]
        tx.execute(incidents.insert(), rows)
    if old:
        soon = {"soon": tx.now + HOLD_OFF}
        rows = [{"of": one.id, **{f"new_{name}": getattr(one, name) for name in _CHANGED}} | soon for one in old]
        tx.execute(_UPDATE, rows)
    if outcome.left:
        tx.execute(_LEAVE, [{"of": alarm, "at": at} for alarm, at in outcome.left.items()])
    if outcome.merged:
        onward = [{"of": one, "new_incident": target} for one, target in outcome.merged.items()]
        tx.execute(_MERGE, onward)
        tx.execute(_MERGE_PUT_DOWN, onward)
    if outcome.joined:
        tx.execute(incident_alarms.insert(), [part._asdict() | {"merged_from": ""} for part in outcome.joined])
    for one in outcome.decisions:
        tx.note("correlation", one.action, one.incident, **one.detail)
    return outcome


def put_down(tx: Tx, moved: Iterable[tuple[str, str, str]]) -> None:
    """Put the time of alarms in an incident down to another one, which is the cause all along.

    Args:
        tx: The transaction, which has the guard of alarms.
        moved: Of each alarm its id, the incident that it was part of, and the one that it is part of now.
    """
    if rows := [{"of": alarm, "before": before, "cause": now} for alarm, before, now in moved if before != now]:
        tx.execute(_PUT_DOWN, rows)


def touch(tx: Tx, names: Iterable[str]) -> None:
    """Have the sides of incidents notified of what is new."""
    if rows := [{"of": name, "soon": tx.now + HOLD_OFF} for name in sorted(set(names) - {""})]:
        tx.execute(_TOUCH, rows)


def identity_of(one: Alarm | Incident) -> str:
    """Hash of a fault, the same for all its incidents, so that one column finds them."""
    return hashlib.sha256("\0".join(fault_of(one)).encode()).hexdigest()


def _above(alarm: Alarm, roots: Mapping[str, Alarm]) -> set[str]:
    """Ids of the alarms that an alarm follows from, directly or indirectly."""
    found = set[str]()
    while (above := roots.get(alarm.root)) is not None:
        found.add(above.id)
        alarm = above
    return found
