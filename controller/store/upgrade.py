"""Brings a database to the tables of this version."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Engine

from controller.models.errors import StoreError
from controller.ports.clock import Clock, SystemClock
from controller.store.engine import make_engine, unhurried
from controller.store.transaction import Transactions, Tx


def upgrade(url: str, clock: Clock | None = None) -> None:
    """Bring the database at ``url`` up to date; several processes may do so at once.

    Raises:
        StoreError: The database is unreachable, or was made by a newer version.
    """
    engine = make_engine(url, busy_timeout=30.0)
    try:
        upgrade_engine(engine, clock or SystemClock())
    finally:
        engine.dispose()


def upgrade_engine(engine: Engine, clock: Clock) -> None:
    """See ``upgrade``; in one transaction, so that it happens whole or not at all."""
    Transactions(engine, clock).in_transaction(_to_head)


def alembic_config() -> Config:
    """Alembic's configuration, without a file."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    return config


def _to_head(tx: Tx) -> None:
    tx.guard("migrations")
    config = alembic_config()
    config.attributes["connection"] = tx.connection
    try:
        with unhurried(tx.connection):
            command.upgrade(config, "head")
    except CommandError as error:
        raise StoreError(f"the database was made by a newer version: {error}") from error
