"""Tables of the record. Constraints that guard a law stand in the database itself, not only in code."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    false,
    text,
)

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
    }
)


class Instant(TypeDecorator[datetime]):
    """A point in time, UTC; SQLite keeps no time zone, so it is put back on the way out."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Turn into UTC."""
        if value is None:
            return None
        return value.astimezone(UTC).replace(tzinfo=None) if dialect.name == "sqlite" else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Say that it is UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _name(column: str) -> Column[str]:
    return Column(column, String, nullable=False)


def _text(column: str) -> Column[str]:
    return Column(column, Text, nullable=False, server_default="")


networks = Table(
    "networks",
    metadata,
    Column("digest", String, primary_key=True),
    Column("current", Boolean, nullable=False),
    Column("saved", Instant, nullable=False),
    Column("content", LargeBinary, nullable=False),
    Index(
        "ix_networks_current",
        "current",
        unique=True,
        sqlite_where=text('"current"'),
        postgresql_where=text('"current"'),
    ),
)

devices = Table(
    "devices",
    metadata,
    Column("station", String, primary_key=True),
    Column("adopted", Instant),
    _name("network_digest"),
    Column("applied", Instant),
    Column("retired", Instant),
)

#: How servers behave, by the name of their software.
behaviours = Table(
    "behaviours",
    metadata,
    Column("software", String, primary_key=True),
    Column("follow_up", String),
    Column("cancels", Boolean, nullable=False),
    _text("reason"),
    # Where and when it was learned.
    _name("station"),
    Column("learned", Instant, nullable=False),
)

ledger = Table(
    "ledger",
    metadata,
    Column("station", String, primary_key=True),
    Column("path", String, primary_key=True),
    _name("owners"),
    # What we hold the node to, as JSON; empty where that is nothing but its being there.
    _text("leaves"),
    Column("first", Boolean, nullable=False, server_default=false()),
    Column("plan", String, nullable=False, server_default=""),
)

#: What the ledger said before each job or adoption that changed it, and of the changed nodes only.
ledger_history = Table(
    "ledger_history",
    metadata,
    Column("number", Integer, primary_key=True),
    _name("station"),
    # Empty for an adoption.
    _name("job"),
    Column("at", Instant, nullable=False),
    Column("before", LargeBinary, nullable=False),
    Index("ix_ledger_history_station_number", "station", "number"),
)

healths = Table(
    "healths",
    metadata,
    Column("station", String, primary_key=True),
    Column("at", Instant, nullable=False),
    Column("content", Text, nullable=False),
)

plans = Table(
    "plans",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("id", String, nullable=False, unique=True),
    _name("digest"),
    Column("head", LargeBinary, nullable=False),
)

changes = Table(
    "changes",
    metadata,
    Column("plan", String, ForeignKey("plans.id"), primary_key=True),
    Column("station", String, primary_key=True),
    Column("position", Integer, nullable=False),
    Column("content", LargeBinary, nullable=False),
)

runs = Table(
    "runs",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("id", String, nullable=False, unique=True),
    _name("procedure"),
    Column("plan", String, ForeignKey("plans.id"), nullable=False),
    _name("network_digest"),
    Column("state", String, nullable=False, index=True),
    Column("strategy", Text, nullable=False),
    _name("cause"),
    _name("requested_by"),
    # The tenant that it is about, or the host: sides take turns.
    Column("side", String, nullable=False, server_default="host"),
    _text("reason"),
    Column("created", Instant, nullable=False),
    Column("started", Instant),
    Column("finished", Instant),
    # Why nothing more may begin, whatever failures the strategy bears; empty while that is not so.
    _text("halted"),
    Column("wave", Integer, nullable=False),
    Column("waves", Integer, nullable=False),
    Column("idempotency_key", String, unique=True),
)

#: Texts of playbooks that runs were accepted with: a file that changes later changes no run.
playbooks = Table(
    "playbooks",
    metadata,
    Column("digest", String, primary_key=True),
    _name("name"),
    Column("content", LargeBinary, nullable=False),
)

run_playbooks = Table(
    "run_playbooks",
    metadata,
    Column("run", String, ForeignKey("runs.id"), primary_key=True),
    Column("digest", String, ForeignKey("playbooks.digest"), nullable=False),
    Column("parameters", Text, nullable=False),
)

steps = Table(
    "steps",
    metadata,
    Column("job", String, ForeignKey("jobs.id"), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("undo", Boolean, primary_key=True),
    _name("name"),
    _name("action"),
    _name("state"),
    Column("attempt", Integer, nullable=False),
    Column("inputs", Text, nullable=False),
    Column("change", LargeBinary),
    # As JSON; empty where there is none.
    _text("operations"),
    Column("output", Text, nullable=False),
    Column("outcome", String),
    _text("detail"),
    Column("started", Instant, nullable=False),
    Column("finished", Instant),
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", String, primary_key=True),
    Column("run", String, ForeignKey("runs.id"), nullable=False),
    Column("wave", Integer, nullable=False),
    _name("station"),
    _text("unit"),
    Column("rank", Integer, nullable=False, server_default="0"),
    # How often it, or its unit or wave, was postponed.
    Column("round", Integer, nullable=False, server_default="0"),
    _name("state"),
    Column("attempts", Integer, nullable=False),
    Column("outcome", String),
    _text("detail"),
    # Why it may not begin, empty if it may; and when the window that it may work in closes.
    _text("blocked"),
    Column("closes", Instant),
    Column("ready", Instant),
    Column("started", Instant),
    Column("finished", Instant),
    Column("incarnation", String),
    # Until when it waits without a worker, unless woken; it keeps its device if it has begun.
    Column("rests", Instant),
    # Since when its device was away or busy, where it is tried again.
    Column("deferred", Instant),
    # The gate at which its device stands, prepared and verified, and when the device reverts by itself there.
    Column("gate", Integer),
    Column("gate_until", Instant),
    Index("ix_jobs_run_wave_station", "run", "wave", "station", unique=True),
    Index("ix_jobs_state_run", "state", "run"),
    Index("ix_jobs_station_finished", "station", "finished"),
    # One writer per device, whatever the code above believes.
    Index(
        "ix_jobs_claimed_station",
        "station",
        unique=True,
        sqlite_where=text("state = 'claimed'"),
        postgresql_where=text("state = 'claimed'"),
    ),
)

#: What becomes of devices that stand at a gate together: decided once in each round, and never changed. No row means
#: cancel.
decisions = Table(
    "decisions",
    metadata,
    Column("run", String, ForeignKey("runs.id"), primary_key=True),
    Column("wave", Integer, primary_key=True, autoincrement=False),
    # Empty where the whole wave was decided.
    Column("unit", String, primary_key=True),
    Column("gate", Integer, primary_key=True, autoincrement=False),
    Column("round", Integer, primary_key=True, autoincrement=False),
    _name("verdict"),
    Column("at", Instant, nullable=False),
    _name("by"),
    _text("reason"),
)

#: One row per device that ever had a job; it stays, so that fences only grow.
leases = Table(
    "leases",
    metadata,
    Column("station", String, primary_key=True),
    Column("fence", BigInteger, nullable=False),
    Column("transaction", String, unique=True),
    Column("job", String),
    Column("incarnation", String, index=True),
    # Whether the transaction had another holder before this one.
    Column("recovers", Boolean, nullable=False, default=False),
    # NETCONF sessions of ours that may still hold the device's lock, apart by spaces: of whatever came since a
    # transaction that got the lock itself ended well. ``locked`` is whether the newest one got it.
    _text("lockers"),
    Column("locked", Boolean, nullable=False, default=False, server_default=false()),
)

journal = Table(
    "journal",
    metadata,
    Column("transaction", String, primary_key=True),
    Column("seq", Integer, primary_key=True),
    _name("job"),
    _name("station"),
    Column("at", Instant, nullable=False),
    _name("step"),
    Column("phase", Integer, nullable=False),
    _text("persist"),
    Column("deadline", Instant),
    _text("session"),
    _text("detail"),
    # Paths that the device carried, compressed; of ``read`` rows only.
    Column("carried", LargeBinary),
)

workers = Table(
    "workers",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("id", String, nullable=False, unique=True),
    _name("name"),
    Column("counter", BigInteger, nullable=False),
    # Sessions to devices that the process has open.
    Column("sessions", Integer, nullable=False, server_default="0"),
    Column("alive", Boolean, nullable=False),
    Column("role", String, nullable=False, server_default="worker"),
    # When it last beat: for people and alerts only, since times of day of different machines say nothing for sure.
    Column("seen", Instant),
    # Rounds of it that have not come through for too long, apart by commas.
    _text("late"),
    # Whether it is listed among the processes: it did not end in good order, and no other has taken its name since.
    Column("listed", Boolean, nullable=False, server_default=false()),
)

#: An alarm that may not stand twice: work goes on, or people were told and it was not cleared yet.
_STANDING = text("state IN ('raised', 'repairing') OR (state = 'escalated' AND cleared IS NULL)")

alarms = Table(
    "alarms",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("id", String, nullable=False, unique=True),
    # Of station, object, tenant, probable cause and specific problem (``controller.store.reports.identity``).
    Column("identity", String, nullable=False, server_default=""),
    _name("station"),
    _name("object"),
    _name("tenant"),
    _name("probable_cause"),
    _name("specific_problem"),
    _name("severity"),
    _text("text"),
    _name("source"),
    Column("state", String, nullable=False, index=True),
    Column("raised", Instant, nullable=False),
    Column("changed", Instant, nullable=False),
    Column("cleared", Instant),
    # Time of the newest event that had its say; older ones only count.
    Column("reported", Instant, nullable=False),
    Column("count", Integer, nullable=False),
    _text("run"),
    _text("note"),
    Column("escalated", Instant),
    Index("ix_alarms_identity", "identity", "number"),
    Index("ix_alarms_station", "station", "number"),
    Index(
        "ix_alarms_standing",
        "identity",
        unique=True,
        sqlite_where=_STANDING,
        postgresql_where=_STANDING,
    ),
)

#: Alerts that became no alarm, counted by why.
refused_alerts = Table(
    "refused_alerts",
    metadata,
    Column("reason", String, primary_key=True),
    Column("number", BigInteger, nullable=False),
)

#: What people are to be told. It is claimed before it is sent: ``attempts`` tells one claim from the next.
escalations = Table(
    "escalations",
    metadata,
    Column("alarm", String, ForeignKey("alarms.id"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    _text("reason"),
    Column("at", Instant, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("claimed", Boolean, nullable=False),
    Column("told", Instant),
    Index("ix_escalations_untold", "at", sqlite_where=text("told IS NULL"), postgresql_where=text("told IS NULL")),
)

repairs = Table(
    "repairs",
    metadata,
    Column("number", Integer, primary_key=True),
    _name("rule"),
    _name("object"),
    Column("at", Instant, nullable=False),
    _name("alarm"),
    _name("run"),
    Index("ix_repairs_rule_object_at", "rule", "object", "at"),
)

holds = Table(
    "holds",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("id", String, nullable=False, unique=True),
    _name("target"),
    _name("by"),
    _text("reason"),
    Column("created", Instant, nullable=False),
    Column("until", Instant),
    Column("ended", Instant),
)

switches = Table(
    "switches",
    metadata,
    Column("name", String, primary_key=True),
    Column("on", Boolean, nullable=False),
    Column("since", Instant),
    _text("by"),
    _text("reason"),
)

#: Rows are chained: each holds the hash of the one before, so that none can be changed or removed unseen.
audit = Table(
    "audit",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("at", Instant, nullable=False),
    _name("actor"),
    _name("action"),
    _name("object"),
    _text("detail"),
    _name("previous"),
    _name("hash"),
    # Id of the key that the hash was made with; empty for a plain hash.
    Column("key", String, nullable=False, server_default=""),
)

#: Where the chain ends (one row), so that a cut tail is seen.
audit_head = Table(
    "audit_head",
    metadata,
    Column("chain", String, primary_key=True),
    Column("last", BigInteger, nullable=False),
    _name("hash"),
)

#: When this record was found to be older than what is known elsewhere, and what a person decided then. The greatest
#: number of a decided one is the epoch of the record.
doubts = Table(
    "doubts",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    _text("reason"),
    Column("since", Instant, nullable=False),
    Column("decided", Instant),
    Column("choice", String),
)
