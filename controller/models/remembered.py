"""Memory of what was worked out from texts of others, bounded in bytes."""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from typing import Any, ParamSpec, TypeVar, cast

_P = ParamSpec("_P")
_R = TypeVar("_R")
#: Most characters of all texts of a call whose result is kept: real names are shorter.
MOST = 200


class _Memory(dict[Any, Any]):
    """Results by the text of a call, or by its texts; a result that is kept costs a look into a dictionary."""

    def __init__(self, calls: int, work: Callable[..., Any], texts: int) -> None:
        super().__init__()
        self._calls, self._work, self._texts = calls, work, texts

    def __missing__(self, key: Any) -> Any:
        texts = (key,) if self._texts == 1 else key
        found = self._work(*texts)
        if sum(map(len, texts)) <= MOST and all(map(str.isascii, texts)):
            if len(self) >= self._calls:
                self.clear()
            self[key] = found
        return found


def remembered(calls: int) -> Callable[[Callable[_P, _R]], Callable[_P, _R]]:
    """Keep the results of the latest calls of a function of texts; beyond ``calls`` of them it begins anew.

    Texts that are longer than ``MOST`` together, or are not ASCII, which take up to four times the memory, are worked
    out each time: others choose them, and a bound on the number of calls alone would let them fill the memory.
    """

    def of(work: Callable[_P, _R]) -> Callable[_P, _R]:
        parameters = signature(work).parameters.values()
        # One that takes any number of texts is called with all of them, however many they are.
        texts = 2 if any(one.kind is one.VAR_POSITIONAL for one in parameters) else len(parameters)
        memory = _Memory(calls, work, texts)
        if texts == 1:
            return cast("Callable[_P, _R]", memory.__getitem__)

        def found(*args: _P.args, **_: _P.kwargs) -> _R:
            return cast("_R", memory[args])

        return found

    return of
