"""Engines of PostgreSQL over psycopg, which notice a server that hangs."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

import psycopg
from psycopg.errors import ConnectionTimeout
from sqlalchemy import URL, Connection, Engine, create_engine, event

from controller.store.database.blockers import Blockers
from controller.store.database.failures import SilenceError

T = TypeVar("T")

#: Seconds to wait for one of the process's connections, and for a new connection.
_POOL_TIMEOUT, _CONNECT_TIMEOUT = 10, 5
#: Seconds between two checks of how long a server has said nothing.
_TICK = 0.1
#: Seconds without an answer after which a statement may be waiting for a lock.
_MAY_BE_BLOCKED = 1.0


class _SilenceError(SilenceError, psycopg.OperationalError):
    """The same as an error of the driver."""


class _Connection(psycopg.Connection[Any]):
    """A connection that is given up when the server says nothing for ``silence`` seconds; None waits for ever.

    The server's own time-outs do not help if the server hangs. TCP's do not either: the kernel still answers. Where an
    answer takes long, ``look`` is called with the server's number of this session.
    """

    silence: float | None = None
    look: Callable[[int], None] | None = None

    def wait(self, gen: Generator[Any, Any, T], interval: float = _TICK, *more: Any, **others: Any) -> T:
        return super().wait(self._watched(gen, interval), interval, *more, **others)

    def _watched(self, gen: Generator[Any, Any, T], interval: float) -> Generator[Any, Any, T]:
        silent = 0.0
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                before, silent = silent, 0.0 if ready else silent + interval
                if self.look is not None and before < _MAY_BE_BLOCKED <= silent:
                    self.look(self.info.backend_pid)
                if self.silence is not None and silent >= self.silence:
                    self.close()
                    raise _SilenceError(f"the database has not answered for {self.silence:g} s")
                wanted = gen.send(ready)
        except StopIteration as end:
            result: T = end.value
            return result


def postgresql_engine(url: URL, busy_timeout: float, silence: float, role: str) -> Engine:
    """Do what ``make_engine`` does, for PostgreSQL."""
    limits = {
        "lock_timeout": int(busy_timeout * 1000),
        "statement_timeout": int(silence * 800),
        # Transactions of ours are short. A process that is stopped in one must not block other writers for longer than
        # they take to declare it dead.
        "idle_in_transaction_session_timeout": 10_000,
        "timezone": "UTC",
    }
    engine = create_engine(
        url.set(drivername="postgresql+psycopg"),
        pool_timeout=_POOL_TIMEOUT,
        connect_args={
            "connect_timeout": _CONNECT_TIMEOUT,
            # So that a DBA sees in pg_stat_activity who is who; a name in the URL goes first.
            "fallback_application_name": f"minka-{role}",
            "options": " ".join(f"-c {name}={value}" for name, value in limits.items()),
        },
    )

    blockers = Blockers()

    def opened(words: list[str], names: dict[str, Any]) -> _Connection:
        made = _Connection.connect(*words, **names)
        made.silence = silence
        return made

    @event.listens_for(engine, "do_connect")
    def connect(_: object, __: object, words: list[str], names: dict[str, Any]) -> _Connection:
        try:
            made = opened(words, names)
        except ConnectionTimeout as error:
            raise _SilenceError(str(error)) from error
        made.look = partial(blockers.look, partial(opened, words, names))
        return made

    return engine


@contextmanager
def unhurried(connection: Connection) -> Iterator[None]:
    """Let statements of a transaction take as long as they need: changes of tables may take hours."""
    driver = connection.connection.driver_connection
    if not isinstance(driver, _Connection):
        yield
        return
    connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
    connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
    silence, driver.silence = driver.silence, None
    try:
        yield
    finally:
        driver.silence = silence
