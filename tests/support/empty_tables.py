"""Empty tables from a copy: migrations take a hundred times longer, and hundreds of tests begin with a new record."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from functools import cache
from threading import Lock

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from controller.ports.clock import Clock, VirtualClock
from controller.store.engine import make_engine
from controller.store.upgrade import upgrade_engine

_one_at_a_time = Lock()


def upgrade_from_copy(engine: Engine, clock: Clock) -> None:
    """What ``upgrade_engine`` does; an SQLite database without tables gets those of one that it upgraded before."""
    if engine.dialect.name != "sqlite" or not _fill(engine):
        upgrade_engine(engine, clock)


def _fill(engine: Engine) -> bool:
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
    engine = make_engine("sqlite://", 5.0)
    upgrade_engine(engine, VirtualClock())
    with closing(engine.raw_connection()) as connection:
        connection.driver_connection.backup(tables)  # type: ignore[union-attr]
    engine.dispose()
    return tables
