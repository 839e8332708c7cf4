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
#: Seconds without an answer after which PostgreSQL is taken to hang.
SILENCE = 12.0


class SilenceError(Exception):
    """The server said nothing for too long: it hangs, or the network to it does."""


def make_engine(url: str, busy_timeout: float, silence: float = SILENCE) -> Engine:
    """An engine for ``sqlite://`` (memory), ``sqlite:///file`` or ``postgresql://``.

    Args:
        url: SQLAlchemy URL; ``postgresql://`` means psycopg 3.
        busy_timeout: Seconds that one attempt waits for a lock of the database.
        silence: Seconds without an answer after which PostgreSQL is taken to hang. It gives up a statement a
            little earlier by itself, if it can.
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
    # Loaded where it is used only: it takes as long as half of SQLAlchemy.
    from controller.store.postgresql import postgresql_engine  # noqa: PLC0415

    return postgresql_engine(parsed, busy_timeout, silence)


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
    """Whether the transaction did not happen and may succeed when tried again at once."""
    if is_silent(error):
        return False
    if is_away(error) or getattr(error.orig, "sqlstate", None) in _PASSING:
        return True
    code = getattr(error.orig, "sqlite_errorname", "") or ""
    return code.startswith(("SQLITE_BUSY", "SQLITE_LOCKED"))


def is_away(error: DBAPIError) -> bool:
    """Whether there is no database to speak to, so that no other transaction would fare better."""
    # psycopg gives no SQLSTATE where no connection came about.
    return error.connection_invalidated or is_silent(error) or "connection failed" in str(error.orig)


def is_silent(error: DBAPIError) -> bool:
    """Whether the database was waited for in vain: asking again would take as long again."""
    return isinstance(error.orig, SilenceError)
