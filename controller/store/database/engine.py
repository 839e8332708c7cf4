"""Engines of SQLAlchemy: SQLite in memory, SQLite in a file, PostgreSQL, all with the same guarantees."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from math import ceil
from sqlite3 import Connection as SqliteConnection

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection, QueuePool

from controller.models.errors import InputError

#: Key of a connection's ``info`` that says how its next SQLite transaction begins.
BEGIN = "sqlite_begin"
#: Key of a connection's ``info`` with the seconds that its next SQLite transaction waits for its begin, if fewer than
#: usual.
WAITS = "sqlite_waits"
#: Seconds without an answer after which PostgreSQL is taken to hang.
SILENCE = 12.0
#: Seconds for which one call waits for locks that others keep. PostgreSQL gives a statement longer than that, and a
#: process whose heartbeats wait for such a call is not taken for dead.
PATIENCE = 8.0
#: Role of a process without one.
ROLE = "other"
#: Seconds for which a lock is waited for where others should not wait as well.
BRIEFLY = 0.2


def make_engine(url: str, busy_timeout: float = PATIENCE, silence: float = SILENCE, role: str = ROLE) -> Engine:
    """An engine for ``sqlite://`` (memory), ``sqlite:///file`` or ``postgresql://``.

    Args:
        url: SQLAlchemy URL; ``postgresql://`` means psycopg 3.
        busy_timeout: Seconds that a transaction waits for a lock of the database.
        silence: Seconds without an answer after which PostgreSQL is taken to hang. If it can, the server itself gives
            up a statement a little earlier.
        role: Of whose process the connections are, as an administrator of PostgreSQL sees it.

    Raises:
        InputError: The URL is of another database.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        in_memory = parsed.database in (None, "", ":memory:")
        # A database in memory lives in one connection, which threads use in turn.
        engine = create_engine(
            parsed,
            poolclass=QueuePool,
            pool_size=1 if in_memory else 5,
            max_overflow=0 if in_memory else 10,
            connect_args={"check_same_thread": False, "timeout": busy_timeout},
        )
        event.listen(engine, "connect", _prepare_sqlite)
        # Not by the event "begin": an engine with event listeners looks them up at each statement.
        engine.dialect.do_begin = _begin_sqlite  # type: ignore[assignment, method-assign]
        return engine
    if parsed.get_backend_name() != "postgresql":
        raise InputError(
            f"{parsed.drivername} is no database of Minka: use sqlite:///PATH or postgresql://HOST/DATABASE"
        )
    # Imported only where it is needed: the import takes half as long as that of SQLAlchemy.
    from controller.store.database.postgresql import postgresql_engine  # noqa: PLC0415

    return postgresql_engine(parsed, busy_timeout, silence, role)


def _prepare_sqlite(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    assert isinstance(connection, SqliteConnection)
    connection.isolation_level = None  # transactions begin in _begin_sqlite, not in the driver
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")  # A lost persist token means a lost device.
    connection.execute("PRAGMA foreign_keys = ON")


def _begin_sqlite(connection: PoolProxiedConnection) -> None:
    # Writers take the write lock at once: a reader that becomes a writer can fail in a way that waiting does not solve.
    begin, waits = f"BEGIN {connection.info.pop(BEGIN, 'IMMEDIATE')}", connection.info.pop(WAITS, None)
    driver = connection.driver_connection
    assert isinstance(driver, SqliteConnection)
    with nullcontext() if waits is None else _waiting(driver, waits):
        driver.execute(begin)


def limit_locks(connection: Connection, seconds: float) -> None:
    """Let further statements of a transaction of PostgreSQL wait for each lock for so long at most."""
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = {ceil(seconds * 1000)}")


@contextmanager
def impatient(connection: Connection) -> Iterator[None]:
    """Let statements of a transaction fail soon where a lock of somebody else keeps them from going on."""
    driver = connection.connection.driver_connection
    if not isinstance(driver, SqliteConnection):
        limit_locks(connection, BRIEFLY)
        yield
        return
    with _waiting(driver, BRIEFLY):
        yield


@contextmanager
def _waiting(driver: SqliteConnection, seconds: float) -> Iterator[None]:
    """Let a connection to SQLite wait for locks for so long."""
    (before,) = driver.execute("PRAGMA busy_timeout").fetchone()
    driver.execute(f"PRAGMA busy_timeout = {int(seconds * 1000)}")
    try:
        yield
    finally:
        driver.execute(f"PRAGMA busy_timeout = {before}")
