"""Queries about many keys at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import ColumnElement, Row, Select

from controller.models.network import Noun

if TYPE_CHECKING:
    from controller.store.transaction import Tx

K = TypeVar("K")
N = TypeVar("N", bound=Noun)

#: Parameters of one IN list; SQLite takes 32,766 in a statement.
_AT_ONCE = 1000


def as_noun(noun: type[N], row: Row[Any]) -> N:
    """A row as a noun that has some of its columns."""
    return noun(**{name: value for name, value in row._mapping.items() if name in noun.model_fields})


def rows_of(tx: Tx, query: Select[Any], column: ColumnElement[str], wanted: Iterable[str] | None) -> Iterator[Row[Any]]:
    """Rows of ``query`` whose ``column`` is in ``wanted``, however many that are; all if it is None."""
    if wanted is None:
        yield from tx.execute(query)
        return
    for keys in chunks(sorted(set(wanted))):
        yield from tx.execute(query.where(column.in_(keys)))


def chunks(keys: Sequence[K]) -> Iterator[Sequence[K]]:
    """As many at once as an IN list may hold."""
    for start in range(0, len(keys), _AT_ONCE):
        yield keys[start : start + _AT_ONCE]
