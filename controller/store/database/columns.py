"""Columns and metadata of all tables. Constraints that guard a law are in the database itself, not only in code."""

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
    """Text as SQLite keeps it. ``Instant`` converts it itself, in a fraction of the time."""

    def bind_processor(self, dialect: Dialect) -> None:
        """Leave texts alone."""

    def result_processor(self, dialect: Dialect, coltype: object) -> None:
        """Leave texts alone."""


class Instant(TypeDecorator[datetime]):
    """A point in time, UTC. SQLite keeps a text without a time zone; UTC is added again on reading."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[datetime]:
        """The column type in a database."""
        return dialect.type_descriptor(_AsText() if dialect.name == "sqlite" else DateTime(timezone=True))  # type: ignore[no-untyped-call]

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | str | None:
        """Convert to UTC."""
        if value is None:
            return None
        utc = value.astimezone(UTC)
        return utc.isoformat(" ", "microseconds")[:-6] if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | str | None, dialect: Dialect) -> datetime | None:
        """Mark as UTC."""
        if value is None:
            return None
        if isinstance(value, str):
            return datetime.fromisoformat(value + "+00:00")
        return value.astimezone(UTC)


def string(column: str) -> Column[str]:
    """A short text that is never NULL."""
    return Column(column, String, nullable=False)


def long_text(column: str) -> Column[str]:
    """A text of any length, empty by default."""
    return Column(column, Text, nullable=False, server_default="")
