"""Memory of what was worked out from texts of others, bounded in bytes."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import ParamSpec, TypeVar, cast

_P = ParamSpec("_P")
_R = TypeVar("_R")
#: Most characters of all texts of a call whose result is kept: real names are shorter.
MOST = 200


def remembered(calls: int) -> Callable[[Callable[_P, _R]], Callable[_P, _R]]:
    """Keep the results of the latest calls of a function of texts.

    Texts that are longer than ``MOST`` together, or are not ASCII, which take up to four times the memory, are worked
    out each time: others choose them, and a bound on the number of calls alone would let them fill the memory.
    """

    def of(work: Callable[_P, _R]) -> Callable[_P, _R]:
        known = cast("Callable[_P, _R]", lru_cache(maxsize=calls)(work))

        @wraps(work)
        def found(*args: _P.args, **kwargs: _P.kwargs) -> _R:
            texts = cast("tuple[str, ...]", args)
            kept = sum(map(len, texts)) <= MOST and all(map(str.isascii, texts))
            return (known if kept else work)(*args, **kwargs)

        return found

    return of
