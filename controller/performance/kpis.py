"""Key performance indicators: definitions from files, and values from periods. Pure.

An indicator is a formula over the counters of ``controller.performance.vocabulary``. Counts are added up first, over
time and cells, and the formula is applied to the sums: an indicator of a region is no mean of those of its cells.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import cached_property, lru_cache
from typing import Final, Literal, NamedTuple, Self

from pydantic import Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from controller.inventory.parse import FORMS, report_error
from controller.inventory.source import Entry, Report, unknown
from controller.inventory.yaml_tree import read_yaml
from controller.models.definitions import DefinitionKind, Definitions
from controller.models.errors import InputError
from controller.models.measurement import QUARTER, Measured, Subject, Values, parts
from controller.models.network import Identifier, Network, Noun, Snssai
from controller.performance.formula import CounterTerm, Number, Operation, Seconds, Tree, counters, parse, ratios
from controller.performance.vocabulary import COUNTERS, Aggregation, counter_named


class KpiCategory(StrEnum):
    """Category of an indicator (TS 28.554 clause 6, TS 32.450 clause 6)."""

    ACCESSIBILITY = "accessibility"
    RETAINABILITY = "retainability"
    MOBILITY = "mobility"
    INTEGRITY = "integrity"
    VOICE = "voice"
    AVAILABILITY = "availability"
    UTILISATION = "utilisation"
    USERS = "users"
    VOLUME = "volume"


class Level(StrEnum):
    """Level at which a KPI is computed."""

    CELL = "cell"
    STATION = "station"
    REGION = "region"
    NETWORK = "network"
    TENANT = "tenant"


class Statistic(StrEnum):
    """Kind of sample, which decides the confidence interval."""

    SHARE = "share"
    """A product of shares: successes of attempts. Wilson score intervals."""
    RATE = "rate"
    """Events in a time. Score interval of a Poisson count."""
    MEAN = "mean"
    """A mean of cells and periods. Normal interval of their spread."""
    EXACT = "exact"
    """Everything was counted; nothing is estimated."""


class Kpi(Noun):
    """One key performance indicator.

    Attributes:
        title: Its name for people.
        category: What it says something of.
        formula: See ``controller.performance.formula``.
        source: The clause that defines it, and how it departs from that.
        unit: Of its value, as in ``%``.
        better: What is better, a higher or a lower value; ``neither`` where that can't be said.
        statistic: What the sample is.
        minimum: What the sample has to have at least, for a verdict: attempts in each ratio of a share, seconds of a
            rate, periods of cells of a mean, seconds of what is exact.
        tolerance: How much worse it may become, in its unit, before that is a verdict.
        levels: Of what it can be asked for.
        watched: Whether it is an alarm where it becomes worse.
    """

    name: Identifier
    title: str = Field(min_length=1, max_length=80)
    category: KpiCategory
    description: str = Field(min_length=1, max_length=1000)
    formula: str
    source: str = Field(min_length=1, max_length=300)
    unit: str = Field(max_length=12)
    better: Literal["higher", "lower", "neither"]
    statistic: Statistic
    minimum: float = Field(gt=0)
    tolerance: float = Field(default=2.0, ge=0)
    levels: tuple[Level, ...] = Field(min_length=1)
    watched: bool = False

    @cached_property
    def tree(self) -> Tree:
        """Its parsed formula."""
        return parse(self.formula)

    @cached_property
    def counters(self) -> tuple[CounterTerm, ...]:
        """The counters that it needs, each once."""
        return tuple(dict.fromkeys(counters(self.tree)))

    @cached_property
    def factors(self) -> tuple[Operation | Number, ...]:
        """For a share or rate, the numbers and ratios whose product the formula is; otherwise empty."""
        return tuple(ratios(self.tree)) if self.statistic in (Statistic.SHARE, Statistic.RATE) else ()

    @cached_property
    def ratios(self) -> tuple[Operation, ...]:
        """Those of the factors that are ratios of counts."""
        return tuple(one for one in self.factors if isinstance(one, Operation))

    @cached_property
    def overs(self) -> tuple[_Folding, ...]:
        """How each of its counters is aggregated."""
        return tuple(map(_folding, self.counters))

    @cached_property
    def places(self) -> Mapping[CounterTerm, tuple[int, _Folding]]:
        """Index of each of its counters, and how it is aggregated."""
        return {one: (place, over) for place, (one, over) in enumerate(zip(self.counters, self.overs, strict=True))}

    @cached_property
    def joins(self) -> bool:
        """Whether sums over cells of several hours can be added: not for means over time that are sums over cells."""
        return _Folding.TOTAL not in self.overs

    @model_validator(mode="after")
    def _is_sound(self) -> Self:
        try:
            _check_formula(self.tree, self.statistic)
        except InputError as error:
            raise PydanticCustomError(_OF_FORMULA, "{why}", {"why": error.message}) from error
        return self


#: Type of errors about the formula.
_OF_FORMULA: Final = "kpi_formula"


def _check_formula(tree: Tree, statistic: Statistic) -> None:
    """Check that the counters exist, and that the formula suits its statistic."""
    known = list(counters(tree))
    if not known:
        raise InputError("there is no counter in it")
    for one in known:
        _folding(one)
    if statistic is Statistic.MEAN and (len(known) > 1 or not _is_mean(tree)):
        raise InputError("a mean is one counter that is a mean over time and cells, times a number or not")
    if statistic in (Statistic.SHARE, Statistic.RATE):
        found = sum(isinstance(one, Operation) for one in ratios(tree))
        if not found or (statistic is Statistic.RATE and found > 1):
            raise InputError(f"a {statistic} has {'one ratio' if found else 'a ratio'} of counts")


def _is_mean(tree: Tree) -> bool:
    """Whether it is a mean over time and cells, perhaps times a number."""
    if isinstance(tree, Operation):
        return tree.symbol == "*" and isinstance(tree.left, Number) and _is_mean(tree.right)
    return isinstance(tree, CounterTerm) and _folding(tree) is _Folding.MEAN


class _Folding(StrEnum):
    """How the values of a counter are aggregated over time and cells."""

    SUM = "adds up over time and cells"
    TOTAL = "is a mean over time and adds up over cells"
    MEAN = "is a mean over time and cells"


_FOLDINGS = {
    (Aggregation.SUM, Aggregation.SUM): _Folding.SUM,
    (Aggregation.MEAN, Aggregation.SUM): _Folding.TOTAL,
    (Aggregation.MEAN, Aggregation.MEAN): _Folding.MEAN,
}


@lru_cache(maxsize=512)
def _folding(one: CounterTerm) -> _Folding:
    """How a term is aggregated. Raises InputError if the counter is unknown, or not usable in formulas."""
    found = {_folding_of(name) for name in one.names}
    units = {known.unit for name in one.names if (known := counter_named(name)) is not None}
    if len(found) > 1 or len(units) > 1:
        raise InputError(f"{' and '.join(one.names)} differ in unit or aggregation: one can't replace the other")
    return found.pop()


def _folding_of(name: str) -> _Folding:
    known = counter_named(name)
    if known is None:
        raise InputError(unknown("counter", name, (one.name for one in COUNTERS)))
    if (known.over_time, known.over_cells) not in _FOLDINGS:
        raise InputError(f"{name} is a maximum: formulas have sums and means")
    return _FOLDINGS[known.over_time, known.over_cells]


# ----------------------------------------------------------------------- files


def parse_kpis(files: Mapping[str, str], report: Report) -> tuple[Kpi, ...]:
    """The valid KPIs of files, by name; problems of all others are reported. Of two with the same name one is valid.

    Args:
        files: Content by path.
        report: Collects problems.
    """
    found: dict[str, Kpi] = {}
    for path, text in sorted(files.items()):
        before = len(report.problems)
        node = read_yaml(text, path, report)
        if node is None:
            if len(report.problems) == before:
                report.file(path, 0, "the file is empty", "delete it, or write a KPI")
            continue
        entry = Entry("kpi", path, node.line, "kpi", None, node)
        try:
            kpi = Kpi.model_validate(node.plain())
        except ValidationError as error:
            _report(entry, error, report)
            continue
        if kpi.name in found:
            report.entry(entry, ("name",), f"another KPI is called {kpi.name!r}", expected="a name of its own")
            continue
        found[kpi.name] = kpi
    return tuple(found[name] for name in sorted(found))


@lru_cache(maxsize=4)
def kpis_of(definitions: Definitions, kind: DefinitionKind = DefinitionKind.KPI) -> tuple[Kpi, ...]:
    """The valid KPIs of a version of the definitions: those of networks, or those of regulators."""
    return parse_kpis(definitions.files.of(kind), Report())


def _report(entry: Entry, error: ValidationError, report: Report) -> None:
    for one in error.errors():
        if one["type"] == _OF_FORMULA:
            report.entry(entry, ("formula",), one["msg"])
        else:
            report_error(entry, one, report, Kpi, FORMS)


def counters_of(kpis: Iterable[Kpi]) -> set[str]:
    """Names of all counters that KPIs need."""
    return {name for kpi in kpis for one in kpi.counters for name in one.names}


# ------------------------------------------------------------------- what counts


class Subscribers(NamedTuple):
    """Whose part of a cell's counts is meant: one tenant's, by its PLMNs and own slices, or all.

    Attributes:
        plmns: As in ``71610``; none for all.
        slices: As in ``1-000001``, those that no other tenant has.
        cells: Cells that its agreements reach, as ``station/cell``: also of what is the same for all only theirs count.
            None for all.
    """

    plmns: frozenset[str] = frozenset()
    slices: frozenset[str] = frozenset()
    cells: frozenset[str] | None = None

    @property
    def all(self) -> bool:
        """Whether all counts of a cell are meant."""
        return not self.plmns and not self.slices

    def has(self, subject: Subject) -> bool:
        """Whether a value is theirs: the PLMN decides, or else the slice."""
        return subject.plmn in self.plmns if subject.plmn else subject.slice in self.slices


EVERYBODY = Subscribers()


def subscribers_of(network: Network, tenant: str) -> Subscribers:
    """A tenant's part of cells' counts. Slices of several tenants can't be distinguished (TS 28.552)."""
    known = network.tenant_by_id[tenant]
    others = {_slice(one) for other in network.tenants if other.id != tenant for one in other.slices}
    return Subscribers(frozenset(known.plmns), frozenset(map(_slice, known.slices)) - others)


def subscribers_where_shared(network: Network, tenant: str) -> Subscribers:
    """The same, limited to cells that its agreements reach at any time."""
    reached = {cell.name for agreement in network.agreements_of(tenant) for cell in network.cells_of(agreement)}
    return subscribers_of(network, tenant)._replace(cells=frozenset(reached))


def _slice(one: Snssai) -> str:
    return f"{one.sst}-{one.sd}"


_TOTAL = Subject()


def amount(values: Mapping[Subject, float], who: Subscribers, qos: int) -> list[float] | None:
    """Parts of a cell's count for some subjects; None if the cell does not distinguish them.

    For a tenant only its own counts are read, so counts of others never change what it sees.
    """
    if who.all and not qos and _TOTAL in values:  # the same as ``parts`` returns, and the most frequent case
        return [values[_TOTAL]]
    choose = _chosen if len(values) <= MOST_SUBJECTS else _chosen.__wrapped__
    chosen = choose(tuple(values), who.plmns, who.slices, qos)
    return None if chosen is None else [values[one] for one in chosen]


#: Most subjects of a counter of which is kept whose they are: stations choose how many there are.
MOST_SUBJECTS = 64


@lru_cache(maxsize=1 << 12)
def _chosen(
    subjects: tuple[Subject, ...], plmns: frozenset[str], slices: frozenset[str], qos: int
) -> tuple[Subject, ...] | None:
    """Subjects whose values make up an amount. Cached by subjects, which are equal in most cells.

    A tenant's cells are no part of the key: they are many, and slow to compare.
    """
    who = Subscribers(plmns, slices)
    own = [one for one in subjects if who.all or who.has(one)]
    found = parts({one: float(place) for place, one in enumerate(own)}, qos=qos)
    # If counts are split by QoS, a level without a value counted nothing.
    known = found or (qos and any(one.qos for one in own))
    return tuple(own[int(place)] for place in found) if known else None


class CounterQuery(NamedTuple):
    """A counter to read in each cell, of all subscribers or a tenant's, over all QCIs and 5QIs or of one."""

    counter: str
    who: Subscribers = EVERYBODY
    qos: int = 0


class CellCounts(NamedTuple):
    """Results of queries for one station and span: much faster to read than all its counters.

    Attributes:
        cells: For each cell the values, in the order of the queries; None where the cell does not tell them apart.
    """

    station: str
    begin: datetime
    covered: float
    cells: dict[str, tuple[float | None, ...]]


def cell_counts(one: Measured, wanted: Sequence[CounterQuery]) -> CellCounts:
    """Results of queries in a station's counters."""
    cells = {cell: tuple(_sum_of(counted, each) for each in wanted) for cell, counted in one.cells.items()}
    return CellCounts(one.station, one.begin, one.covered, cells)


def _sum_of(counted: Mapping[str, Values], wanted: CounterQuery) -> float | None:
    found = amount(counted.get(wanted.counter, {}), wanted.who, wanted.qos)
    return None if found is None else sum(found)


@dataclass(slots=True)
class _Sums:
    """Totals of one cell over its periods: for each counter its sum, or its sum weighted with seconds."""

    seconds: float
    values: list[float]


@dataclass(slots=True)
class Spread:
    """Variance of time-weighted values, as sums that can be added.

    Attributes:
        number: Number of values.
        seconds: Seconds of all values.
        squares: Of the seconds; then of these times the value, and times its square.
    """

    number: int = 0
    seconds: float = 0.0
    squares: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def add(self, value: float, seconds: float) -> None:
        """Add one value."""
        weight = seconds * seconds
        self.merge(Spread(1, seconds, (weight, weight * value, weight * value * value)))

    def merge(self, other: Spread) -> None:
        """Add other sums."""
        self.number += other.number
        self.seconds += other.seconds
        one, two, three = other.squares
        self.squares = self.squares[0] + one, self.squares[1] + two, self.squares[2] + three

    def around(self, mean: float) -> float:
        """Squares of the distances from a mean, each weighted with the square of its seconds."""
        one, two, three = self.squares
        return max(0.0, three - 2 * mean * two + mean * mean * one)


@dataclass(slots=True)
class Tally:
    """Counts of cells for the counters of a KPI, aggregated over time.

    Attributes:
        folded: Sums of cells of which no more comes, and how many these are (see ``fold``).
        periods: Periods of cells that went into it.
        left_out: Periods of cells that were suspect, and are no sample.
        unmeasured: Periods of cells that lack one of the counters.
        spread: Of what is a mean: how its values in periods of cells differ.
        squares: Of each ratio of a share or rate: the squares of what it divides by in each cluster (``as_cluster``).
    """

    kpi: Kpi
    cells: dict[str, _Sums] = field(default_factory=dict)
    folded: tuple[int, _Sums] | None = None
    periods: int = 0
    left_out: int = 0
    unmeasured: int = 0
    spread: Spread = field(default_factory=Spread)
    squares: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Make room for the squares."""
        self.squares = self.squares or [0.0] * len(self.kpi.ratios)

    def add(self, period: Measured, who: Subscribers = EVERYBODY, cells: Collection[str] | None = None) -> None:
        """Add a period of a station: all of its cells, or these, named ``station/cell``."""
        for cell in period.cells:
            if cell and (cells is None or f"{period.station}/{cell}" in cells):
                self.add_cell(period, cell, who)

    def add_cell(self, period: Measured, cell: str, who: Subscribers = EVERYBODY) -> None:
        """Add one cell's counts of a period; for a tenant only its own."""
        name, counted = f"{period.station}/{cell}", period.cells[cell]
        if who.cells is not None and name not in who.cells:
            return
        known: list[float] = []
        for one, over in zip(self.kpi.counters, self.kpi.overs, strict=True):
            value = _amount(one, over, counted, who)
            if value is None:
                break
            known.append(value)
        if len(known) < len(self.kpi.counters):
            self.unmeasured += 1
        elif period.suspect and period.seconds <= QUARTER and self.kpi.statistic is not Statistic.EXACT:
            self.left_out += 1
        elif period.covered:
            self._take(name, period.covered, known)

    def _take(self, cell: str, seconds: float, amounts: Sequence[float]) -> None:
        sums = self.cells.setdefault(cell, _Sums(0.0, [0.0] * len(amounts)))
        sums.seconds += seconds
        self.periods += 1
        for index, (over, value) in enumerate(zip(self.kpi.overs, amounts, strict=True)):
            sums.values[index] += value if over is _Folding.SUM else value * seconds
        if self.kpi.statistic is Statistic.MEAN:
            only = _value(self.kpi.tree, lambda _leaf: amounts[0])
            assert only is not None
            self.spread.add(only, seconds)

    def merge(self, other: Tally) -> None:
        """Add another tally, of other periods or cells; cells that are folded in either may not occur again."""
        for cell, sums in other.cells.items():
            mine = self.cells.get(cell)
            if mine is None:
                self.cells[cell] = _Sums(sums.seconds, sums.values.copy())
            else:
                mine.seconds += sums.seconds
                mine.values = [one + more for one, more in zip(mine.values, sums.values, strict=True)]
        self.periods += other.periods
        self.left_out += other.left_out
        self.unmeasured += other.unmeasured
        self.spread.merge(other.spread)
        self.squares = [one + more for one, more in zip(self.squares, other.squares, strict=True)]
        if other.folded is not None:
            self._take_folded(*other.folded)

    def as_cluster(self) -> Tally:
        """Count all that it has so far as one cluster of attempts or seconds. Returns itself."""
        self.squares = [(self.read(one.right) or 0.0) ** 2 for one in self.kpi.ratios]
        return self

    def fold(self) -> Tally:
        """Keep only sums of its complete cells, so that a tally of a whole network stays small. Returns itself."""
        if self.cells:
            self.folded, self.cells = (self.number, self._sums()), {}
        return self

    def _take_folded(self, number: int, sums: _Sums) -> None:
        count, mine = self.folded or (0, _Sums(0.0, [0.0] * len(sums.values)))
        values = [one + more for one, more in zip(mine.values, sums.values, strict=True)]
        self.folded = count + number, _Sums(mine.seconds + sums.seconds, values)

    def _sums(self) -> _Sums:
        """Sums of all cells; a counter that is a mean over time and a sum over cells adds up these means."""
        _, whole = self.folded or (0, _Sums(0.0, [0.0] * len(self.kpi.counters)))
        seconds, values = whole.seconds, list(whole.values)
        for sums in self.cells.values():
            seconds += sums.seconds
            for place, over in enumerate(self.kpi.overs):
                values[place] += sums.values[place] / (sums.seconds if over is _Folding.TOTAL else 1)
        return _Sums(seconds, values)

    @property
    def number(self) -> int:
        """Number of cells."""
        return len(self.cells) + (self.folded[0] if self.folded else 0)

    @property
    def seconds(self) -> float:
        """Measured seconds of all cells."""
        return self._sums().seconds

    def read(self, tree: Tree) -> float | None:
        """The value of a part of the formula; None for a division by zero."""
        sums, places = self._sums(), self.kpi.places

        def read(leaf: CounterTerm | Seconds) -> float:
            if isinstance(leaf, Seconds):
                return sums.seconds
            place, over = places[leaf]
            return sums.values[place] / sums.seconds if over is _Folding.MEAN else sums.values[place]

        return _value(tree, read) if self.number else None


def tally(
    kpi: Kpi, periods: Iterable[Measured], who: Subscribers = EVERYBODY, cells: Collection[str] | None = None
) -> Tally:
    """Counts of a KPI's counters in some periods."""
    found = Tally(kpi)
    for period in periods:
        found.add(period, who, cells)
    return found


def _amount(
    one: CounterTerm, over: _Folding, counted: Mapping[str, Mapping[Subject, float]], who: Subscribers
) -> float | None:
    """A cell's count, under the first of the names that it has."""
    for name in one.names:
        if name not in counted:
            continue
        found = amount(counted[name], EVERYBODY if one.whole else who, one.qos)
        if found is not None:
            return sum(found) / (len(found) or 1 if over is _Folding.MEAN else 1)
    return 0.0 if one.optional and counted.keys().isdisjoint(one.names) else None


def _value(tree: Tree, read: Callable[[CounterTerm | Seconds], float]) -> float | None:
    """The value of a formula; None for a division by zero."""
    if isinstance(tree, Number):
        return tree.value
    if isinstance(tree, CounterTerm | Seconds):
        return read(tree)
    left, right = _value(tree.left, read), _value(tree.right, read)
    if left is None or right is None or (tree.symbol == "/" and right == 0):
        return None
    return _OPERATIONS[tree.symbol](left, right)


_OPERATIONS: Mapping[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
}
