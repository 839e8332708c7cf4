"""Empty tables from a copy: migrations take a hundred times longer, and hundreds of tests begin with a new record."""

from __future__ import annotations

from contextlib import closing
from functools import cache

from sqlalchemy import Engine

from controller.ports.clock import Clock, VirtualClock
from controller.store.engine import make_engine
from controller.store.transaction import Database, Tx
from controller.store.upgrade import upgrade_engine


def upgrade_from_copy(engine: Engine, clock: Clock) -> None:
    """What ``upgrade_engine`` does; an SQLite database without tables gets those of one that it upgraded before."""
    if engine.dialect.name != "sqlite" or not Database(engine, clock).run(_fill):
        upgrade_engine(engine, clock)


def _fill(tx: Tx) -> bool:
    if tx.connection.exec_driver_sql("SELECT count(*) FROM sqlite_master").scalar_one():
        return False
    for statement in _statements():
        tx.connection.exec_driver_sql(statement)
    return True


@cache
def _statements() -> tuple[str, ...]:
    engine = make_engine("sqlite://", 5.0)
    upgrade_engine(engine, VirtualClock())
    with closing(engine.raw_connection()) as connection:
        found = tuple(connection.driver_connection.iterdump())  # type: ignore[union-attr]
    engine.dispose()
    return tuple(statement for statement in found if statement not in ("BEGIN TRANSACTION;", "COMMIT;"))
