"""Engines: SQLite in memory, SQLite in a file, PostgreSQL, all with the same promises."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from sqlite3 import Connection as SqliteConnection
from typing import Any, TypeVar

import psycopg
from psycopg.errors import ConnectionTimeout
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool

T = TypeVar("T")

#: Execution option that says how a SQLite transaction begins.
BEGIN = "sqlite_begin"

#: SQLSTATEs that promise that the transaction was rolled back and may be tried again
#: (PostgreSQL, appendix A): serialization failure, deadlock, lock not available, server shutting
#: down or starting, connections exhausted, idle too long in a transaction.
_PASSING = frozenset({"40001", "40P01", "55P03", "57P01", "57P02", "57P03", "53300", "25P03"})
#: Seconds without an answer after which PostgreSQL is taken to hang.
SILENCE = 12.0
#: Seconds to wait for one of the connections of this process, and for a new one.
_POOL_TIMEOUT, _CONNECT_TIMEOUT = 10, 5
#: Seconds between two looks at how long a server has said nothing.
_TICK = 0.1


class SilenceError(psycopg.OperationalError):
    """The server said nothing for too long: it hangs, or the network to it does."""


class _Connection(psycopg.Connection[Any]):
    """A connection that is given up when the server says nothing for ``silence`` seconds; None waits for ever.

    The server's own time-outs do not help where it is the server that hangs, nor do the kernel's, which answers for it.
    """

    silence: float | None = None

    def wait(self, gen: Generator[Any, Any, T], interval: float = _TICK, *more: Any, **others: Any) -> T:
        return super().wait(self._heard(gen, interval), interval, *more, **others)

    def _heard(self, gen: Generator[Any, Any, T], interval: float) -> Generator[Any, Any, T]:
        silent = 0.0
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                silent = 0.0 if ready else silent + interval
                if self.silence is not None and silent >= self.silence:
                    self.close()
                    raise SilenceError(f"the database has not answered for {self.silence:g} s")
                wanted = gen.send(ready)
        except StopIteration as end:
            result: T = end.value
            return result


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
    limits = {
        "lock_timeout": int(busy_timeout * 1000),
        "statement_timeout": int(silence * 800),
        # A process that is stopped in a transaction, as all of ours are short, must not keep the others from writing
        # for longer than they take to bury it.
        "idle_in_transaction_session_timeout": 10_000,
        "timezone": "UTC",
    }
    engine = create_engine(
        parsed.set(drivername="postgresql+psycopg"),
        pool_timeout=_POOL_TIMEOUT,
        connect_args={
            "connect_timeout": _CONNECT_TIMEOUT,
            "options": " ".join(f"-c {name}={value}" for name, value in limits.items()),
        },
    )

    @event.listens_for(engine, "do_connect")
    def connect(_: object, __: object, words: list[str], names: dict[str, Any]) -> _Connection:
        made = _Connection.connect(*words, **names)
        made.silence = silence
        return made

    return engine


@contextmanager
def unhurried(connection: Connection) -> Iterator[None]:
    """Let the statements of a transaction take as long as they need: changes of tables may take hours."""
    driver = connection.connection.driver_connection
    if not isinstance(driver, _Connection):
        yield
        return
    connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
    silence, driver.silence = driver.silence, None
    try:
        yield
    finally:
        driver.silence = silence


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
    return isinstance(error.orig, SilenceError | ConnectionTimeout)
