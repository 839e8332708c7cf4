"""Stores that open fast, since hundreds of tests begin with a new record.

Their empty tables are a copy, as migrations take a hundred times longer. What SQLAlchemy compiles of a statement, and
knows of a kind of database, serves all engines and not one each. SQLite does not wait for the disk: these records only
have to outlive processes, not the machine.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from functools import cache
from threading import Lock
from typing import TypeVar

from sqlalchemy import Engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.util import LRUCache

from controller.ports.clock import VirtualClock
from controller.store import AsyncStore, Store
from controller.store.database.engine import PATIENCE, ROLE, SILENCE, make_engine
from controller.store.database.transaction import Database
from controller.store.upgrade import upgrade_database

T = TypeVar("T")

_one_at_a_time = Lock()
#: The first engine of each kind of database, and how many statements are kept for all of a kind.
_first: dict[str, Engine] = {}
_STATEMENTS = 5000


class DirectStore(AsyncStore):
    """A store without a thread: virtual time has none."""

    async def call(self, work: Callable[[Store], T]) -> T:
        return work(self._store)


def quick_engine(url: str, busy_timeout: float = PATIENCE, silence: float = SILENCE, role: str = ROLE) -> Engine:
    """See ``make_engine``."""
    engine = make_engine(url, busy_timeout, silence, role)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _wait_for_no_disk)
    first = _first.get(engine.dialect.name)
    if first is None:
        engine._compiled_cache = LRUCache(_STATEMENTS)
        _first[engine.dialect.name] = engine
    elif first.dialect.server_version_info:  # it has connected, and so knows all
        engine.dialect = engine.pool._dialect = first.dialect
        engine._compiled_cache = first._compiled_cache
    return engine


def _wait_for_no_disk(connection: sqlite3.Connection, _: object) -> None:
    connection.execute("PRAGMA synchronous = OFF")


def upgrade_from_copy(database: Database) -> None:
    """What ``upgrade_database`` does; an SQLite database without tables gets those of one that it upgraded before."""
    if database.engine.dialect.name != "sqlite" or not copy_tables(database.engine):
        upgrade_database(database)


def copy_tables(engine: Engine) -> bool:
    """Copy the empty tables, unless the database has tables, or can't be written, which the real upgrade will tell."""
    try:
        with _one_at_a_time, closing(engine.raw_connection()) as connection:
            own = connection.driver_connection
            assert isinstance(own, sqlite3.Connection)
            if own.execute("SELECT count(*) FROM sqlite_master").fetchone() != (0,):
                return False
            _tables().backup(own)
            return True
    except (sqlite3.Error, DBAPIError):
        return False


@cache
def _tables() -> sqlite3.Connection:
    tables = sqlite3.connect(":memory:", check_same_thread=False)
    engine = make_engine("sqlite://")
    upgrade_database(Database(engine, VirtualClock()))
    with closing(engine.raw_connection()) as connection:
        connection.driver_connection.backup(tables)  # type: ignore[union-attr]
    engine.dispose()
    return tables
