"""Base of all repositories: methods that are declared once and called in two ways."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, Self, TypeVar, overload

P = ParamSpec("P")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a list to return; lists are newest first unless stated otherwise."""

    limit: int = 100
    offset: int = 0


class Sync:
    """Methods of a repository return when their transaction is committed."""


class Async:
    """Methods of a repository are coroutine functions, which the store's thread carries out."""


#: How methods of a repository are called.
M_co = TypeVar("M_co", bound=Sync | Async, covariant=True)


class Repository(Protocol[M_co]):
    """A repository of one noun."""

    @property
    def mode(self) -> M_co:
        """How its methods are called."""
        ...


class Method(Generic[P, R_co]):
    """Descriptor of a method: blocking on a ``Repository[Sync]``, a coroutine function on a ``Repository[Async]``.

    Args:
        function: The method of the blocking repository.
        reads: Whether it is known to change nothing.
    """

    def __init__(self, function: Callable[Concatenate[Any, P], R_co], reads: bool = False) -> None:
        self.function = function
        self.reads = reads
        self.name = ""
        self.__doc__ = function.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, repository: None, owner: type) -> Self: ...

    @overload
    def __get__(self, repository: Repository[Sync], owner: type) -> Callable[P, R_co]: ...

    @overload
    def __get__(self, repository: Repository[Async], owner: type) -> Callable[P, Coroutine[Any, Any, R_co]]: ...

    def __get__(self, repository: Any, owner: type) -> Any:
        return self if repository is None else partial(self.function, repository)


def method(function: Callable[Concatenate[Any, P], R]) -> Method[P, R]:
    """Declare a method of a repository."""
    return Method(function)
