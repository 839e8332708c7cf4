"""Alarms as rows, and whom each concerns, from when to when."""

from __future__ import annotations

from typing import Any

import orjson
from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    ForeignKey,
    Index,
    Integer,
    Row,
    String,
    Table,
    Text,
    and_,
    or_,
    select,
    text,
)
from sqlalchemy.sql.expression import ColumnCollection

from controller.intent.folding import OPEN
from controller.models.alarm import Alarm, AlarmState
from controller.store.database.columns import Instant, long_text, metadata, string

#: Alarms that may not exist twice: somebody works on them, or people were notified and they are not cleared.
_STANDING = text("state IN ('raised', 'repairing') OR (state = 'escalated' AND cleared IS NULL)")
#: Alarms from which others may follow.
SPREADING = text("spreads AND cleared IS NULL")
#: Rows of tenants whom an alarm does not concern any more.
_PAST = text("until IS NOT NULL")
#: Alarms that outlived their root.
_RELEASED = text("released IS NOT NULL AND cleared IS NULL")

alarms = Table(
    "alarms",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("id", String, nullable=False, unique=True),
    # Hash of station, object, tenant, probable cause and specific problem (``controller.intent.folding.identity``).
    Column("identity", String, nullable=False, server_default=""),
    string("station"),
    string("object"),
    string("object_class"),
    string("tenant"),
    string("probable_cause"),
    string("specific_problem"),
    string("severity"),
    long_text("text"),
    string("source"),
    Column("state", String, nullable=False, index=True),
    Column("raised", Instant, nullable=False),
    Column("seen", Instant),
    Column("ended", Instant),
    Column("unread", Boolean, nullable=False, server_default=text("false")),
    Column("changed", Instant, nullable=False),
    Column("cleared", Instant),
    # Time of the newest event that changed the alarm. Older events are only counted.
    Column("reported", Instant, nullable=False),
    # When it went on record, whatever time its source says.
    Column("recorded", Instant, nullable=False),
    Column("count", Integer, nullable=False),
    long_text("run"),
    long_text("note"),
    # What its repair waits for before there is a run: a JSON list of codes.
    Column("waits", Text, nullable=False, server_default="[]"),
    # The same in words, which are a part of the note.
    long_text("awaits"),
    Column("escalated", Instant),
    Column("acknowledged", Instant),
    long_text("acknowledged_by"),
    # JSON lists: cells affected, tenants to notify, functions affected, functions that lost only some of their pods.
    Column("cells", Text, nullable=False, server_default="[]"),
    Column("tenants", Text, nullable=False, server_default="[]"),
    Column("functions", Text, nullable=False, server_default="[]"),
    Column("degraded", Text, nullable=False, server_default="[]"),
    # The alarm that this one follows from, and whether others may follow from this one (``controller.intent.roots``).
    string("root"),
    Column("released", Instant),
    # The root that this alarm outlived or followed from before.
    Column("followed", String, nullable=False, server_default=""),
    Column("spreads", Boolean, nullable=False),
    # The incident that it is part of (``controller.intent.incidents``).
    Column("incident", String, nullable=False, server_default=""),
    Index("ix_alarms_incident", "incident", "number"),
    Index("ix_alarms_released", "released", sqlite_where=_RELEASED, postgresql_where=_RELEASED),
    long_text("cleared_by"),
    Column("shelved_until", Instant),
    long_text("shelved_by"),
    long_text("shelved_reason"),
    Column("shelved_severity", String),
    Index("ix_alarms_identity", "identity", "number"),
    Index("ix_alarms_station", "station", "number"),
    Index("ix_alarms_root", "root", sqlite_where=text("root <> ''"), postgresql_where=text("root <> ''")),
    Index("ix_alarms_spreading", "station", "probable_cause", sqlite_where=SPREADING, postgresql_where=SPREADING),
    Index(
        "ix_alarms_standing",
        "identity",
        unique=True,
        sqlite_where=_STANDING,
        postgresql_where=_STANDING,
    ),
)

#: The tenants that an alarm concerns or concerned, one per row; when what the tenant is told of the alarm changed last,
#: and when that went on record. The times of the alarm itself tell what the host does to it, and what others suffer of
#: it. From ``until`` on the alarm concerns the tenant no more: the row then has the alarm as the tenant was told of it
#: last (``AS_TOLD``), and nothing later changes it.
alarm_tenants = Table(
    "alarm_tenants",
    metadata,
    Column("tenant", String, primary_key=True),
    Column("alarm", String, ForeignKey("alarms.id"), primary_key=True),
    Column("changed", Instant, nullable=False),
    Column("noted", Instant, nullable=False),
    # Whether the failed device, and the failed object, are disclosed to the tenant.
    Column("there", Boolean, nullable=False),
    Column("named", Boolean, nullable=False),
    # The affected cells that it shares (``controller.models.alarm.AlarmPart``), as JSON.
    Column("part", Text, nullable=False),
    Column("until", Instant),
    Column("severity", String),
    Column("text", Text),
    Column("source", String),
    Column("state", String),
    Column("cleared", Instant),
    Column("root", String),
    Column("incident", String),
    Column("run", Text),
    Index("ix_alarm_tenants_incident", "tenant", "incident", sqlite_where=_PAST, postgresql_where=_PAST),
)
#: Fields that may change after an alarm was raised, and in which a tenant is told of it.
AS_TOLD = ("severity", "text", "source", "state", "cleared", "root", "incident", "run")
#: Columns that hold a JSON list.
LISTS = ("cells", "tenants", "functions", "degraded", "waits")


def takes_reports(columns: ColumnCollection[str, Any]) -> ColumnElement[bool]:
    """Whether alarms take in reports."""
    open_ = columns.state.in_([state.value for state in OPEN])
    return or_(open_, and_(columns.state == AlarmState.ESCALATED.value, columns.cleared.is_(None)))


def stands(columns: ColumnCollection[str, Any]) -> ColumnElement[bool]:
    """Whether alarms stand."""
    return and_(takes_reports(columns), columns.cleared.is_(None))


STANDING = stands(alarms.c)
#: All alarms, and those that stand, oldest first.
OLDEST = select(alarms).order_by(alarms.c.number)
UNCLEARED = OLDEST.where(STANDING)


def as_alarm(row: Row[Any]) -> Alarm:
    """Make an alarm of a row."""
    fields = Alarm.model_fields
    values = {name: value for name, value in row._mapping.items() if name in fields}
    return Alarm(**values | {name: tuple(orjson.loads(values[name])) for name in LISTS})
