"""How nouns lie in the database: canonical JSON, compressed where it is long."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar

import orjson
from pydantic import BaseModel
from sqlalchemy import ColumnElement, Row, Select

from controller.store.transaction import Tx

N = TypeVar("N", bound=BaseModel)

#: Parameters of one IN list; SQLite takes 32,766 in a statement.
_AT_ONCE = 1000


def packed(noun: BaseModel, exclude: set[str] | None = None) -> bytes:
    """Compressed canonical JSON of a noun."""
    content = noun.model_dump(mode="json", exclude=exclude)
    return zlib.compress(orjson.dumps(content, option=orjson.OPT_SORT_KEYS), 1)


def unpacked(noun: type[N], content: bytes) -> N:
    """The noun that was packed."""
    return noun.model_validate_json(zlib.decompress(content))


def rows_of(tx: Tx, query: Select[Any], column: ColumnElement[str], wanted: Iterable[str] | None) -> Iterator[Row[Any]]:
    """Rows of ``query`` whose ``column`` is in ``wanted``, however many that are; all if it is None."""
    if wanted is None:
        yield from tx.execute(query)
        return
    for keys in chunks(sorted(set(wanted))):
        yield from tx.execute(query.where(column.in_(keys)))


def chunks(keys: Sequence[str]) -> Iterator[Sequence[str]]:
    """As many at once as an IN list may hold."""
    for start in range(0, len(keys), _AT_ONCE):
        yield keys[start : start + _AT_ONCE]
