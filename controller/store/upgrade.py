"""Brings a database to the tables of this version."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Engine, inspect

from controller.models.errors import StoreError
from controller.ports.clock import Clock, SystemClock
from controller.store.engine import make_engine
from controller.store.transaction import Database, Tx

if TYPE_CHECKING:
    from alembic.config import Config

_MIGRATIONS = Path(__file__).parent / "migrations"
#: Folders with one file for each change of the tables, named by its revision: ``NNNN_name.py``.
VERSIONS = (_MIGRATIONS / "versions",)


def upgrade(url: str, clock: Clock | None = None) -> None:
    """Bring the database at ``url`` up to date; several processes may do so at once.

    Raises:
        StoreError: The database is unreachable, or was made by a version that this one does not know.
    """
    engine = make_engine(url, busy_timeout=30.0)
    try:
        upgrade_engine(engine, clock or SystemClock())
    finally:
        engine.dispose()


def upgrade_engine(engine: Engine, clock: Clock) -> None:
    """Do what ``upgrade`` does, in one transaction."""
    Database(engine, clock).run(_to_head)


def alembic_config() -> Config:
    """Alembic's configuration, without a file."""
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.set_main_option("version_locations", os.pathsep.join(map(str, VERSIONS)))
    config.set_main_option("path_separator", "os")
    return config


def _to_head(tx: Tx) -> None:
    tx.guard("migrations")
    if _is_at_head(tx):
        return
    # Imported only if there is something to migrate: it takes as long as all of SQLAlchemy.
    from alembic import command  # noqa: PLC0415
    from alembic.util import CommandError  # noqa: PLC0415

    from controller.store.postgresql import unhurried  # noqa: PLC0415

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


def _is_at_head(tx: Tx) -> bool:
    head = max(file.name for folder in VERSIONS for file in folder.glob("[0-9]*_*.py")).partition("_")[0]
    return inspect(tx.connection).has_table("alembic_version") and tx.connection.exec_driver_sql(
        "SELECT version_num FROM alembic_version"
    ).scalars().all() == [head]
