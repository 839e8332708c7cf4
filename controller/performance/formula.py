"""Formulas of KPIs: sums, differences, products and ratios of counters, parsed into a tree. Pure.

    100 * RRC.ConnEstabSucc / RRC.ConnEstabAtt
    3600 * (ERAB.RelActNbr | DRB.RelActNbr) / (ERAB.SessionTime | DRB.SessionTime)
    100 * ERAB.EstabInitSuccNbr[qos=1] / ERAB.EstabInitAttNbr[qos=1]
    DRB.PdcpSduVolumeDL / seconds

``A | B`` is the first of them that a cell counts, since LTE and NR have different names for one thing. ``A | 0`` is no
event where a cell does not have the counter at all, as LTE's set-ups by handover in an NR cell. ``[qos=1]``
selects a QCI or 5QI, ``[cell]`` the cell's total even where one tenant is asked for. ``seconds`` is the time that was
measured. How a counter adds up over time and cells is said by the vocabulary. There is nothing else: no names, calls or
conditions, so that what a formula costs is bounded by its length.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

from controller.models.errors import InputError
from controller.performance.vocabulary import Aggregation, counter_named

#: Longest formula in characters, deepest nesting, most counters.
LONGEST, DEEPEST, MOST = 1000, 20, 24
_TOKEN = re.compile(r"\s*(?:(\d+(?:\.\d+)?)|([A-Za-z][A-Za-z0-9]*(?:\.[A-Za-z0-9_]+)*)|([-+*/()\[\]=|]))")
_SECONDS = "seconds"


@dataclass(frozen=True, slots=True)
class CounterTerm:
    """A counter in a formula.

    Attributes:
        names: Its name; of several, the first that a cell counts.
        qos: Only this QCI or 5QI; 0 for all.
        whole: Of the whole cell, even in a KPI of one tenant.
        optional: Whether a cell that has none of them counts as 0. One that has it, and not of these users, does not.
    """

    names: tuple[str, ...]
    qos: int = 0
    whole: bool = False
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Seconds:
    """The time that was measured."""


@dataclass(frozen=True, slots=True)
class Number:
    """A constant."""

    value: float


@dataclass(frozen=True, slots=True)
class Operation:
    """``left`` and ``right``, combined with one of ``+ - * /``."""

    symbol: str
    left: Tree
    right: Tree


Tree = CounterTerm | Seconds | Number | Operation


def counters(tree: Tree) -> Iterator[CounterTerm]:
    """All counters of a formula, each as often as it occurs."""
    if isinstance(tree, CounterTerm):
        yield tree
    elif isinstance(tree, Operation):
        yield from counters(tree.left)
        yield from counters(tree.right)


def is_count(tree: Tree) -> bool:
    """Whether it is a count of events or seconds: counters that are sums, and their sums and differences."""
    if isinstance(tree, Operation):
        return tree.symbol in "+-" and is_count(tree.left) and is_count(tree.right)
    if isinstance(tree, CounterTerm):
        return all(over_time(name) is Aggregation.SUM for name in tree.names)
    return isinstance(tree, Seconds)


def over_time(name: str) -> Aggregation | None:
    """How values of a counter combine over time; None if there is no such counter."""
    known = counter_named(name)
    return None if known is None else known.over_time


def ratios(tree: Tree) -> Iterator[Operation | Number]:
    """Factors of a product of numbers and ratios of counts. Raises InputError if it is anything else."""
    if isinstance(tree, Operation) and tree.symbol == "/" and is_count(tree.left) and is_count(tree.right):
        yield tree
    elif isinstance(tree, Operation) and tree.symbol == "/" and is_count(tree.right):
        # 100 * A / B is parsed from the left, as (100 * A) / B.
        *factors, last = _factors(tree.left)
        yield from (factor for one in factors for factor in ratios(one))
        yield from ratios(Operation("/", last, tree.right))
    elif isinstance(tree, Operation) and tree.symbol == "*":
        yield from ratios(tree.left)
        yield from ratios(tree.right)
    elif isinstance(tree, Number):
        yield tree
    else:
        raise InputError("it is not a product of numbers and ratios of counts")


def _factors(tree: Tree) -> list[Tree]:
    if isinstance(tree, Operation) and tree.symbol == "*":
        return [*_factors(tree.left), *_factors(tree.right)]
    return [tree]


@lru_cache(maxsize=512)
def parse(text: str) -> Tree:
    """The tree of a formula.

    Raises:
        InputError: It is not valid; the message says what is wrong, where, and what would be right.
    """
    if len(text) > LONGEST:
        raise InputError(f"a formula has at most {LONGEST} characters")
    reader = _Reader(text)
    tree = reader.sum(DEEPEST)
    reader.end()
    if len(list(counters(tree))) > MOST:
        raise InputError(f"a formula has at most {MOST} counters")
    return tree


class _Reader:
    """Recursive-descent parser of a formula."""

    def __init__(self, text: str) -> None:
        self._tokens: list[tuple[str, int]] = []
        position, end = 0, len(text.rstrip())
        while position < end:
            found = _TOKEN.match(text, position)
            if found is None:
                at = position + len(text[position:]) - len(text[position:].lstrip())
                raise InputError(f"{text[at]!r} at character {at + 1} means nothing in a formula")
            self._tokens.append((found[found.lastindex or 0], found.start(found.lastindex or 0) + 1))
            position = found.end()
        self._next = 0

    def _peek(self) -> str:
        return self._tokens[self._next][0] if self._next < len(self._tokens) else ""

    def _take(self) -> str:
        token = self._peek()
        self._next += 1
        return token

    def _wrong(self, expected: str) -> InputError:
        if self._next < len(self._tokens):
            token, at = self._tokens[self._next]
            return InputError(f"{token!r} at character {at}: expected {expected}")
        return InputError(f"it ends too early: expected {expected}")

    def _expect(self, token: str) -> None:
        if self._peek() != token:
            raise self._wrong(repr(token))
        self._take()

    def end(self) -> None:
        """Check that nothing follows."""
        if self._peek():
            raise self._wrong("one of + - * / or the end")

    def sum(self, left: int) -> Tree:
        """Products combined with ``+`` and ``-``."""
        if left == 0:
            raise InputError(f"a formula is nested {DEEPEST} levels at most")
        tree = self._product(left)
        while self._peek() in ("+", "-"):
            tree = Operation(self._take(), tree, self._product(left))
        return tree

    def _product(self, left: int) -> Tree:
        tree = self._factor(left)
        while self._peek() in ("*", "/"):
            tree = Operation(self._take(), tree, self._factor(left))
        return tree

    def _factor(self, left: int) -> Tree:
        first = self._peek()
        if first == "(":
            self._take()
            tree = self.sum(left - 1)
            self._expect(")")
            return self._or(tree)
        if first[:1].isdigit():
            return Number(float(self._take()))
        return self._or(self._counter())

    def _counter(self) -> Tree:
        if not self._peek()[:1].isalpha():
            raise self._wrong("a counter such as RRC.ConnEstabAtt, a number or '('")
        name = self._take()
        if name == _SECONDS:
            return Seconds()
        qos, whole = self._selector() if self._peek() == "[" else (0, False)
        return CounterTerm((name,), qos, whole)

    def _or(self, tree: Tree) -> Tree:
        """Alternative names after ``|``, for cells that count under these."""
        while self._peek() == "|":
            self._take()
            if self._peek() == "0" and isinstance(tree, CounterTerm):
                self._take()
                return replace(tree, optional=True)
            other = self._counter()
            if not (isinstance(tree, CounterTerm) and isinstance(other, CounterTerm)):
                raise InputError("'|' stands between two counters, as in ERAB.RelActNbr | DRB.RelActNbr")
            if (tree.qos, tree.whole) != (other.qos, other.whole):
                raise InputError("counters joined by '|' must have the same selector")
            tree = CounterTerm((*tree.names, *other.names), tree.qos, tree.whole)
        return tree

    def _selector(self) -> tuple[int, bool]:
        self._expect("[")
        word = self._take()
        if word == "cell":
            self._expect("]")
            return 0, True
        if word != "qos":
            self._next -= 1
            raise self._wrong("qos=NUMBER or cell")
        self._expect("=")
        if not self._peek().isdigit() or not 1 <= int(self._peek()) <= 255:
            raise self._wrong("a QCI or 5QI from 1 to 255")
        qos = int(self._take())
        self._expect("]")
        return qos, False
