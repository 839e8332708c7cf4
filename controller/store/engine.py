"""Engines: SQLite in memory, SQLite in a file, PostgreSQL, all with the same promises."""

from __future__ import annotations

from sqlite3 import Connection as SqliteConnection

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool

#: Execution option that says how a SQLite transaction begins.
BEGIN = "sqlite_begin"

#: SQLSTATEs that promise that the transaction was rolled back and may be tried again
#: (PostgreSQL, appendix A): serialization failure, deadlock, lock not available, server shutting
#: down or starting, connections exhausted, idle too long in a transaction.
_PASSING = frozenset({"40001", "40P01", "55P03", "57P01", "57P02", "57P03", "53300", "25P03"})


def make_engine(url: str, busy_timeout: float) -> Engine:
    """An engine for ``sqlite://`` (memory), ``sqlite:///file`` or ``postgresql://``.

    Args:
        url: SQLAlchemy URL; ``postgresql://`` means psycopg 3.
        busy_timeout: Seconds that one attempt waits for a lock of the database.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        in_memory = parsed.database in (None, "", ":memory:")
        # A database in memory is its one connection, which threads take in turns.
        engine = create_engine(
            parsed,
            poolclass=QueuePool,
            pool_size=1 if in_memory else 5,
            max_overflow=0 if in_memory else 10,
            connect_args={"check_same_thread": False, "timeout": busy_timeout},
        )
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    milliseconds = int(busy_timeout * 1000)
    # A process that hangs in a transaction must not hold its row locks for ever.
    options = f"-c lock_timeout={milliseconds} -c idle_in_transaction_session_timeout=60000 -c timezone=UTC"
    return create_engine(
        parsed.set(drivername="postgresql+psycopg"), connect_args={"connect_timeout": 5, "options": options}
    )


def _prepare_sqlite(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    assert isinstance(connection, SqliteConnection)
    connection.isolation_level = None  # transactions begin in _begin_sqlite, not in the driver
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")  # a lost persist token is a lost device
    connection.execute("PRAGMA foreign_keys = ON")


def _begin_sqlite(connection: Connection) -> None:
    # Writers take the write lock at once: a reader that turns writer can fail where no waiting helps.
    connection.exec_driver_sql(f"BEGIN {connection.get_execution_options().get(BEGIN, 'IMMEDIATE')}")


def is_passing(error: DBAPIError) -> bool:
    """Whether the transaction did not happen and may succeed when tried again."""
    if error.connection_invalidated or getattr(error.orig, "sqlstate", None) in _PASSING:
        return True
    code = getattr(error.orig, "sqlite_errorname", "") or ""
    # psycopg gives no SQLSTATE where no connection came about.
    return code.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")) or "connection failed" in str(error.orig)
