"""Brings a database to the tables of this version."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
from sqlalchemy import inspect, text
from sqlalchemy.exc import DBAPIError

from controller.models.errors import StoreError
from controller.models.many import first_names
from controller.ports.clock import Clock, SystemClock
from controller.store.database.columns import metadata
from controller.store.database.engine import make_engine
from controller.store.database.failures import is_away, is_passing
from controller.store.database.transaction import Database, Tx

if TYPE_CHECKING:
    from alembic.config import Config

log = structlog.get_logger()

_MIGRATIONS = Path(__file__).parent / "migrations"
#: Folders with one file for each change of the tables, named by its revision: ``NNNN_name.py``.
VERSIONS = (_MIGRATIONS / "versions",)


#: Seconds between two looks whether another process has changed the tables, and between two lines that say so.
_PAUSE, _SAID_AGAIN = 0.5, 30.0
#: The lock of ``Tx.guard("migrations")``, without waiting for it.
_TRIED = text("SELECT pg_try_advisory_xact_lock(hashtextextended('migrations', 0))")
#: Each column that is there, with its table: one statement, as each process asks at its start.
_COLUMNS = {
    "sqlite": "SELECT t.name, c.name FROM sqlite_master t, pragma_table_info(t.name) c WHERE t.type = 'table'",
    "postgresql": "SELECT c.relname, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid"
    " WHERE pg_table_is_visible(c.oid) AND c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped",
}


def upgrade(url: str, clock: Clock | None = None) -> None:
    """Bring the database at ``url`` up to date. Of several processes one does so; the others wait, however long.

    Raises:
        StoreError: The database is unreachable, or was made by a version that this one does not know, or that had
            other tables under the same revision.
    """
    engine = make_engine(url)
    try:
        upgrade_database(Database(engine, clock or SystemClock()))
    finally:
        engine.dispose()


def upgrade_database(database: Database) -> None:
    """Do what ``upgrade`` does, in one transaction."""
    clock, said = database.clock, 0.0
    began = clock.monotonic()
    while not _is_upgraded(database):
        waited = clock.monotonic() - began
        if waited >= said:
            log.warning("database.waits", reason="another process changes its tables", waited=round(waited))
            said += _SAID_AGAIN
        clock.pause(_PAUSE)
    database.run(_check_tables, "DEFERRED")
    if said:
        log.info("database.ready", waited=round(clock.monotonic() - began))


def _is_upgraded(database: Database) -> bool:
    """Whether the database has the tables of this version; False while another process changes them.

    Raises:
        StoreError: As ``upgrade``.
    """
    try:
        return database.run(_is_at_head, "DEFERRED") or database.run(_to_head)
    except StoreError as error:
        cause = error.__cause__
        if isinstance(cause, DBAPIError) and is_passing(cause) and not is_away(cause):
            return False  # Somebody holds a lock: of all tables in SQLite, of one of them in PostgreSQL.
        raise


def _check_tables(tx: Tx) -> None:
    """Check that all tables and columns of this version are there.

    Nothing is released, so the first revision still changes: one made from an earlier text of it is not brought up to
    date.

    Raises:
        StoreError: One is not there.
    """
    there = {(table, column) for table, column in tx.connection.exec_driver_sql(_COLUMNS[tx.dialect])}
    tables = {table for table, _ in there}
    missing = [f"table {name}" for name in sorted(metadata.tables.keys() - tables)]
    known = (one for one in metadata.sorted_tables if one.name in tables)
    missing += [
        f"column {one.name}.{column.name}"
        for one in known
        for column in one.columns
        if (one.name, column.name) not in there
    ]
    if missing:
        raise StoreError(
            f"the database was made by another version of Minka, whose tables differ: {first_names(missing)} missing; "
            "start with a new home (MINKA_HOME) or name a new database (MINKA_DATABASE_URL), or start the version that "
            "made it"
        )


def alembic_config() -> Config:
    """Alembic's configuration, without a file."""
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.set_main_option("version_locations", os.pathsep.join(map(str, VERSIONS)))
    config.set_main_option("path_separator", "os")
    return config


def _to_head(tx: Tx) -> bool:
    """Bring the tables up to date, unless another process is about to."""
    if tx.dialect == "postgresql" and not tx.execute(_TRIED).scalar_one():
        return False
    if _is_at_head(tx):
        return True
    # Imported only if there is something to migrate: it takes as long as all of SQLAlchemy.
    from alembic import command  # noqa: PLC0415
    from alembic.util import CommandError  # noqa: PLC0415

    from controller.store.database.postgresql import unhurried  # noqa: PLC0415

    config = alembic_config()
    config.attributes["connection"] = tx.connection
    try:
        with unhurried(tx.connection):
            command.upgrade(config, "head")
    except CommandError as error:
        raise StoreError(
            f"the database was made by a newer version, or by one from before the first release: {error}; "
            "start the version that made it, or name a new database"
        ) from error
    return True


def _is_at_head(tx: Tx) -> bool:
    head = max(file.name for folder in VERSIONS for file in folder.glob("[0-9]*_*.py")).partition("_")[0]
    return inspect(tx.connection).has_table("alembic_version") and tx.connection.exec_driver_sql(
        "SELECT version_num FROM alembic_version"
    ).scalars().all() == [head]
