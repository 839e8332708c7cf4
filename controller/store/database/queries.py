"""Parts of statements for both databases, and queries about many keys at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from sqlalchemy import Row
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.schema import Table

from controller.models.network import Noun

K = TypeVar("K")
N = TypeVar("N", bound=Noun)
Insert = sqlite.Insert | postgresql.Insert
#: INSERT by dialect, each with its ``on_conflict_do_…``.
INSERTS: dict[str, Callable[[Table], Insert]] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
#: Parameters of one IN list; SQLite takes 32,766 in a statement.
_AT_ONCE = 10_000


def as_noun(noun: type[N], row: Row[Any]) -> N:
    """Make a noun of the row's columns that are its fields."""
    fields = noun.model_fields
    return noun(**{name: value for name, value in zip(row._fields, row, strict=True) if name in fields})


def chunks(keys: Sequence[K]) -> Iterator[Sequence[K]]:
    """Split keys into pieces that fit an IN list."""
    for start in range(0, len(keys), _AT_ONCE):
        yield keys[start : start + _AT_ONCE]
