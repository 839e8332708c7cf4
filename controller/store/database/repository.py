"""Base of the repositories: methods that are transactions, called in two ways."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeVar, overload

from controller.models.errors import MinkaError
from controller.store.database.transaction import Database, Mode, Tx

P = ParamSpec("P")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)
C = TypeVar("C")


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


class Repository(Generic[M_co]):
    """A repository of one noun over the database: its methods block, or are coroutine functions.

    Args:
        database: The database.
    """

    def __init__(self, database: Database) -> None:
        self._database = database


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
    """Declare a method that is no transaction as a whole, but has some."""
    return Method(function)


@dataclass(frozen=True, slots=True)
class Invocation:
    """A call of a repository's method, with its arguments."""

    method: Method[..., Any]
    repository: Repository[Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    def __call__(self, store: Any) -> Any:
        """Carry out the call alone."""
        return getattr(self.repository, self.method.name)(*self.args, **self.kwargs)


class AsyncRepository:
    """A repository whose methods are coroutine functions.

    Args:
        repository: The repository.
        call: Carries out a method.
    """

    def __init__(
        self, repository: Repository[Any], call: Callable[[Callable[[Any], Any]], Coroutine[Any, Any, Any]]
    ) -> None:
        self._repository, self._call = repository, call

    def __getattr__(self, name: str) -> Callable[..., Coroutine[Any, Any, Any]]:
        method = getattr(type(self._repository), name)
        return lambda *args, **kwargs: self._call(Invocation(method, self._repository, args, kwargs))


class Grouped(Method[P, R]):
    """A method that is carried out once for all waiting calls.

    Args:
        function: The method for one call.
        many: The method for many calls; what each returns or raises, in order.
        made: Turns the arguments of one call into an element for ``many``.
        reads: Whether the method changes nothing.
    """

    def __init__(
        self,
        function: Callable[Concatenate[Any, P], R],
        many: Callable[[Any, Sequence[Any]], Sequence[R | MinkaError]],
        made: Callable[..., Any],
        reads: bool,
    ) -> None:
        super().__init__(function, reads)
        self._many, self._made = many, made

    def carried_out_alone_by(self, function: Callable[Concatenate[Any, P], R]) -> Grouped[P, R]:
        """The same method, whose calls are carried out by ``function`` where no others wait."""
        return Grouped(function, self._many, self._made, self.reads)

    def together(self, invocations: Sequence[Invocation]) -> Sequence[R | MinkaError]:
        """Carry out calls of this method together."""
        calls = [self._made(*one.args, **one.kwargs) for one in invocations]
        return self._many(invocations[0].repository, calls)


class Urgent(Method[P, R]):
    """A method whose calls go before all that wait."""


class Deferrable(Method[P, R]):
    """A method whose calls may wait for other processes, without delaying other calls."""


def writes(function: Callable[Concatenate[Any, Tx, P], R]) -> Method[P, R]:
    """A method that is one transaction."""
    return Method(_in_transaction(function, "IMMEDIATE"))


def reads(function: Callable[Concatenate[Any, Tx, P], R]) -> Method[P, R]:
    """A method that changes nothing, in a transaction that blocks no writer."""
    return Method(_in_transaction(function, "DEFERRED"), reads=True)


def writes_first(function: Callable[Concatenate[Any, Tx, P], R]) -> Method[P, R]:
    """A method that is one transaction, and goes first on a loop."""
    return Urgent(_in_transaction(function, "IMMEDIATE"))


def writes_aside(function: Callable[Concatenate[Any, Tx, P], R]) -> Method[P, R]:
    """A method that is one transaction, and has a thread of its own on a loop."""
    return Deferrable(_in_transaction(function, "IMMEDIATE"))


def grouped(
    made: Callable[P, C], mode: Mode = "IMMEDIATE"
) -> Callable[[Callable[[Any, Tx, Sequence[C]], Sequence[R | MinkaError]]], Grouped[P, R]]:
    """Declare a method for many calls at once; ``made`` turns the arguments of each into an element."""

    def decorate(function: Callable[[Any, Tx, Sequence[C]], Sequence[R | MinkaError]]) -> Grouped[P, R]:
        many = _in_transaction(function, mode)

        def one(repository: Any, /, *args: P.args, **kwargs: P.kwargs) -> R:
            (result,) = many(repository, [made(*args, **kwargs)])
            if isinstance(result, MinkaError):
                raise result
            return result

        one.__doc__ = function.__doc__
        return Grouped(one, many, made, mode == "DEFERRED")

    return decorate


def _in_transaction(function: Callable[Concatenate[Any, Tx, P], R], mode: Mode) -> Callable[Concatenate[Any, P], R]:
    def run(repository: Repository[Any], /, *args: P.args, **kwargs: P.kwargs) -> R:
        return repository._database.run(lambda tx: function(repository, tx, *args, **kwargs), mode)

    run.__doc__ = function.__doc__
    return run
