"""Columns and metadata of all tables. Constraints that guard a law stand in the database itself, not only in code."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import Column, DateTime, Dialect, MetaData, String, Text, TypeDecorator
from sqlalchemy.dialects.sqlite import DATETIME
from sqlalchemy.types import TypeEngine

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
    }
)


class _AsText(DATETIME):
    """SQLite's, of which ``Instant`` reads and writes the texts itself: that takes a fraction of the time."""

    def bind_processor(self, dialect: Dialect) -> None:
        """Leave texts alone."""

    def result_processor(self, dialect: Dialect, coltype: object) -> None:
        """Leave texts alone."""


class Instant(TypeDecorator[datetime]):
    """A point in time, UTC; SQLite keeps a text without a time zone, so that is put back on the way out."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[datetime]:
        """What a database has for it."""
        return dialect.type_descriptor(_AsText() if dialect.name == "sqlite" else DateTime(timezone=True))  # type: ignore[no-untyped-call]

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | str | None:
        """Turn into UTC."""
        if value is None:
            return None
        utc = value.astimezone(UTC)
        return utc.isoformat(" ", "microseconds")[:-6] if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | str | None, dialect: Dialect) -> datetime | None:
        """Say that it is UTC."""
        if value is None:
            return None
        if isinstance(value, str):
            return datetime.fromisoformat(value + "+00:00")
        return value.astimezone(UTC)


def string(column: str) -> Column[str]:
    """A short text that is always there."""
    return Column(column, String, nullable=False)


def long_text(column: str) -> Column[str]:
    """A text of any length, empty by default."""
    return Column(column, Text, nullable=False, server_default="")
