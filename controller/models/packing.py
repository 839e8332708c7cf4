"""Compressed canonical JSON of nouns, for memory and record."""

from __future__ import annotations

import zlib
from typing import TypeVar

import orjson
from pydantic import BaseModel

N = TypeVar("N", bound=BaseModel)


def packed(noun: BaseModel, exclude: set[str] | None = None) -> bytes:
    """Compressed canonical JSON of a noun."""
    content = noun.model_dump(mode="json", exclude=exclude)
    return zlib.compress(orjson.dumps(content, option=orjson.OPT_SORT_KEYS), 1)


def unpacked(noun: type[N], content: bytes) -> N:
    """Restore a packed noun."""
    return noun.model_validate_json(zlib.decompress(content))
