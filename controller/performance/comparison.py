"""Figures of KPIs: value, confidence, and whether a KPI became worse. Pure.

Where the sample is too small, more periods or more cells are taken until it suffices. What still can't be judged is not
judged, and says why.

Intervals have 95 % confidence. Of a share it is the Wilson score interval (E. B. Wilson, JASA 22, 1927); of a product
of shares the product of their intervals, which is wider than need be. Of a rate it is the score interval of a Poisson
count, made in the same way. Of a mean it is the normal interval of the spread of its periods of cells. What was counted
as a whole has none. Differences are those of R. G. Newcombe (Statistics in Medicine 17, 1998, method 10), from the
intervals of both.

Attempts of one hour share their fate: a bad minute fails many of them, so that hours differ by more than the chance of
each attempt alone. Where that is known (``Clustering``), a sample counts for as many attempts as it is worth.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple, assert_never

from pydantic import AwareDatetime

from controller.models.network import Noun
from controller.performance.formula import Number, Operation
from controller.performance.kpis import Kpi, Statistic, Tally

#: Of the normal distribution, for 95 % confidence on both sides.
_Z = 1.959963984540054
#: The correlation from which it is no clustering of attempts but a fault.
_CLUSTERED = 0.1


class NotJudged(StrEnum):
    """Why an indicator is not judged.

    - ``not-measured``: a counter that it needs is counted by no cell. ``nothing-measured``: nothing was in this time.
    - ``interrupted``: the station did not run all the time.
    - ``too-few``: the sample is smaller than the indicator needs.
    - ``nothing-tried``: nobody tried what it is about.
    """

    NOT_MEASURED = "not-measured"
    NOTHING_MEASURED = "nothing-measured"
    INTERRUPTED = "interrupted"
    TOO_FEW = "too-few"
    NOTHING_TRIED = "nothing-tried"


class Figure(Noun):
    """A KPI in a time: its value and confidence interval.

    Attributes:
        value: None where nothing was measured.
        low: Lower end of the 95 % confidence interval; None where there is none.
        sample: What it rests on, as ``minimum`` of the indicator means it.
        cells: Number of cells that it rests on.
        begin: Begin of the time.
        pooled: What was taken together until the sample sufficed, empty where that was not needed.
        unjudged: Why it is not judged; None if it is.
        why: The same in words, for people only; empty if it is judged.
    """

    kpi: str
    unit: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    sample: float = 0
    cells: int = 0
    begin: AwareDatetime
    end: AwareDatetime
    pooled: str = ""
    unjudged: NotJudged | None = None
    why: str = ""

    @property
    def words(self) -> str:
        """Its value with its unit, and its interval if there is one."""
        if self.value is None or self.unjudged:
            return f"not judged: {self.why}"
        unit = f" {self.unit}".rstrip()
        if self.low is None or self.high is None:
            return f"{self.value:.2f}{unit}"
        return f"{self.value:.2f}{unit} ({self.low:.2f} to {self.high:.2f})"


class Clustering(NamedTuple):
    """How far attempts of one hour share their fate, for each ratio of a share or rate.

    The variance of a share of n attempts with the intraclass correlation c is 1 + c (n - 1) times that of independent
    ones (beta-binomial distribution); that of a count whose mean is m is 1 + c m times that of Poisson's (negative
    binomial distribution). Both are estimated by moments, from hours in which the indicator should be the same.

    Attributes:
        excess: Squares of the distances of hours from their mean, beyond those that independence makes.
        room: What the excess would be if c was 1: 0.25 at most of a share, 1 of a rate.
    """

    excess: tuple[float, ...] = ()
    room: tuple[float, ...] = ()

    @classmethod
    def of(cls, kpi: Kpi, hours: Sequence[Tally]) -> Clustering:
        """As hours show it, each with its own tally."""
        found = [_clustered(kpi, one, hours) for one in kpi.ratios]
        return cls(tuple(excess for excess, _ in found), tuple(room for _, room in found))

    def __add__(self, other: Clustering) -> Clustering:  # type: ignore[override]
        """Of both, which are of one indicator."""
        if not self.room:
            return other
        return Clustering(
            tuple(map(operator.add, self.excess, other.excess)), tuple(map(operator.add, self.room, other.room))
        )

    @property
    def capped(self) -> Clustering:
        """With no more excess than clusters make: an hour that failed as a whole says nothing of other stations."""
        return Clustering(tuple(map(min, self.excess, (_CLUSTERED * room for room in self.room))), self.room)

    @property
    def correlations(self) -> tuple[float, ...]:
        """The correlation of each ratio, 0 at least."""
        return tuple(max(0.0, one / room) if room else 0.0 for one, room in zip(self.excess, self.room, strict=True))

    def among(self, others: Clustering) -> tuple[float, ...]:
        """The correlations to count with at one place: those of all places, and more where its own few hours show more.

        A week of hours tells little, and most often too little, as bad hours are rare: what others show is the least.
        """
        own, all_ = self.correlations, others.correlations
        return tuple(max(one, (one + mine) / 2) for one, mine in zip(all_, own, strict=True)) if all_ else own


def _clustered(kpi: Kpi, ratio: Operation, hours: Sequence[Tally]) -> tuple[float, float]:
    """Excess and room of one ratio of a KPI, as hours show it, by pair of attempts.

    So a place weighs no more in a sum for having many attempts: one that makes them up says little about others.
    """
    counts = [(one.read(ratio.left) or 0.0, total) for one in hours if (total := one.read(ratio.right))]
    if len(counts) < 2:
        return 0.0, 0.0
    mean = sum(events for events, _ in counts) / sum(total for _, total in counts)
    squares = sum((events - total * mean) ** 2 for events, total in counts) * len(counts) / (len(counts) - 1)
    if kpi.statistic is Statistic.RATE:
        room = sum((total * mean) ** 2 for _, total in counts)
        return ((squares - sum(total * mean for _, total in counts)) / room, 1.0) if room else (0.0, 0.0)
    chance = min(max(mean, 0.0), 1.0) * (1 - min(max(mean, 0.0), 1.0))
    pairs = sum(total * max(0.0, total - 1) for _, total in counts)
    return ((squares - chance * sum(total for _, total in counts)) / pairs, chance) if pairs else (0.0, 0.0)


def figure(
    kpi: Kpi,
    counted: Tally,
    begin: datetime,
    end: datetime,
    minimum: float | None = None,
    pooled: str = "",
    correlations: Sequence[float] = (),
) -> Figure:
    """The figure of a KPI from counts.

    Args:
        kpi: The indicator.
        counted: What was counted.
        begin: Begin of the time.
        end: End of the time.
        minimum: Sample that is enough, instead of that of the indicator.
        pooled: What was taken together until the sample sufficed.
        correlations: Of each ratio (``Clustering``), where they are known.
    """
    value = counted.read(kpi.tree)
    sample = sample_of(kpi, counted)
    needed = kpi.minimum if minimum is None else minimum
    low, high = _interval(kpi, counted, value, correlations)
    unjudged = _why_not(counted, value, sample, needed)
    return Figure(
        kpi=kpi.name,
        unit=kpi.unit,
        value=value,
        low=low,
        high=high,
        sample=sample,
        cells=counted.number,
        begin=begin,
        end=end,
        pooled=pooled,
        unjudged=unjudged,
        why="" if unjudged is None else why_not_in_words(unjudged, kpi.statistic, sample, needed),
    )


def pooled(
    kpi: Kpi,
    attempts: Iterable[tuple[str, datetime, datetime, Tally]],
    minimum: float | None = None,
    correlations: Sequence[float] = (),
) -> Figure:
    """The first figure that can be judged, of longer times or more cells; otherwise the last one, with the reason.

    Args:
        kpi: The indicator.
        attempts: In words what is taken together, begin, end and what was counted; at least one.
        minimum: Sample that is enough, instead of that of the indicator.
        correlations: Of each ratio (``Clustering``), where they are known.
    """
    found: Figure | None = None
    for words, begin, end, counted in attempts:
        found = figure(kpi, counted, begin, end, minimum, words, correlations)
        if found.unjudged is None:
            return found
    assert found is not None, "at least one attempt"
    return found


def sample_of(kpi: Kpi, counted: Tally) -> float:
    """The sample of a KPI: attempts, seconds, or periods of cells."""
    if kpi.statistic is Statistic.MEAN:
        return counted.periods
    if kpi.statistic is Statistic.EXACT:
        return counted.seconds
    return min((counted.read(one.right) or 0.0 for one in kpi.ratios), default=0.0)


def judged(kpi: Kpi, counted: Tally) -> float | None:
    """A KPI's value, if it can be judged."""
    value = counted.read(kpi.tree) if counted.cells else None
    return None if _why_not(counted, value, sample_of(kpi, counted), kpi.minimum) else value


def _why_not(counted: Tally, value: float | None, sample: float, needed: float) -> NotJudged | None:
    if not counted.number:
        if counted.left_out:
            return NotJudged.INTERRUPTED
        return NotJudged.NOT_MEASURED if counted.unmeasured else NotJudged.NOTHING_MEASURED
    if sample < needed:
        return NotJudged.TOO_FEW
    return NotJudged.NOTHING_TRIED if value is None else None


def why_not_in_words(code: NotJudged, statistic: Statistic, sample: float = 0, needed: float = 0) -> str:
    """Why an indicator is not judged, for people.

    Args:
        code: Why.
        statistic: That of the indicator.
        sample: What its figure rests on.
        needed: What is needed.
    """
    match code:
        case NotJudged.INTERRUPTED:
            return "the station did not run all the time"
        case NotJudged.NOT_MEASURED:
            return "it is not measured"
        case NotJudged.NOTHING_MEASURED:
            return "nothing was measured"
        case NotJudged.TOO_FEW:
            return f"only {sample:,.0f} {_SAMPLES[statistic]}, and {needed:,.0f} are needed"
        case NotJudged.NOTHING_TRIED:
            return "nothing was tried"
        case _:
            assert_never(code)


#: Unit of a sample, in words.
_SAMPLES = {
    Statistic.SHARE: "attempts",
    Statistic.RATE: "seconds of use",
    Statistic.MEAN: "periods",
    Statistic.EXACT: "seconds",
}


# -------------------------------------------------------------------- confidence


def wilson(good: float, total: float) -> tuple[float, float]:
    """Wilson score interval of a share, from 0 to 1. The whole range if ``total`` is 0."""
    if total <= 0:
        return 0.0, 1.0
    share, z2 = min(max(good / total, 0.0), 1.0), _Z * _Z
    spread = _Z * math.sqrt(share * (1 - share) / total + z2 / (4 * total * total))
    middle, scale = share + z2 / (2 * total), 1 + z2 / total
    # The share must be within, although rounding could exclude it by the last digit.
    return min(share, max(0.0, (middle - spread) / scale)), max(share, min(1.0, (middle + spread) / scale))


def poisson(events: float, time: float) -> tuple[float, float]:
    """Score interval of a rate, events in a time; from 0 to infinity if there is no time."""
    if time <= 0:
        return 0.0, math.inf
    middle, spread = events + _Z * _Z / 2, _Z * math.sqrt(max(events, 0.0) + _Z * _Z / 4)
    return min(events / time, max(0.0, (middle - spread) / time)), (middle + spread) / time


def _interval(
    kpi: Kpi, counted: Tally, value: float | None, correlations: Sequence[float]
) -> tuple[float | None, float | None]:
    if value is None or kpi.statistic is Statistic.EXACT:
        return None, None
    if kpi.statistic is Statistic.MEAN:
        return _of_mean(counted, value)
    low = high = math.prod(one.value for one in kpi.factors if isinstance(one, Number))
    shared = correlations or [0.0] * len(kpi.ratios)
    for one, squares, correlation in zip(kpi.ratios, counted.squares, shared, strict=True):
        events, total = counted.read(one.left) or 0.0, counted.read(one.right) or 0.0
        worth = _worth(kpi, events, total, squares, correlation)
        of_ratio = wilson if kpi.statistic is Statistic.SHARE else poisson
        below, above = of_ratio(events * worth, total * worth)
        low, high = low * below, high * above
    return low, high


def _worth(kpi: Kpi, events: float, total: float, squares: float, correlation: float) -> float:
    """How much an attempt, or a second, is worth, from 0 to 1, where those of a period share their fate."""
    if not total:
        return 1.0
    together = squares / total - 1 if kpi.statistic is Statistic.SHARE else events / total * squares / total
    return 1 / (1 + correlation * max(0.0, together))


def _of_mean(counted: Tally, value: float) -> tuple[float | None, float | None]:
    """Normal interval of a time-weighted mean; none for a single period."""
    spread, count = counted.spread, counted.spread.number
    if count < 2 or not spread.seconds:
        return None, None
    error = _Z * math.sqrt(spread.around(value) * count / (count - 1)) / spread.seconds
    return value - error, value + error


# ----------------------------------------------------------------------- verdict


class VerdictKind(StrEnum):
    """Result of comparing two figures."""

    WORSE = "worse"
    NO_WORSE = "no worse"
    UNJUDGED = "not judged"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a KPI became worse.

    Attributes:
        words: Both values, or why it is not judged.
    """

    kind: VerdictKind
    words: str


def compare(kpi: Kpi, before: Figure, after: Figure, tolerance: float | None = None, *, chance: float = 1.0) -> Verdict:
    """Whether a KPI is worse than before, by more than its tolerance and by more than chance.

    Args:
        kpi: The indicator.
        before: What it was.
        after: What it is.
        tolerance: How much worse it may become, instead of the indicator's own.
        chance: By how many times the 95 % interval of the difference it has to be worse; with 0 chance is not minded.
    """
    for one in (before, after):
        if one.value is None or one.unjudged:
            why = why_not_in_words(NotJudged.NOTHING_TRIED, kpi.statistic)
            return Verdict(VerdictKind.UNJUDGED, one.why or why)
    if kpi.better == "neither":
        return Verdict(VerdictKind.UNJUDGED, "more of it is neither better nor worse")
    unit = f" {kpi.unit}".rstrip()
    words = f"{before.value:.2f}{unit} before, {after.value:.2f}{unit} after"
    lost, by_chance = _lost(kpi, before, after)
    if lost <= (kpi.tolerance if tolerance is None else tolerance):
        return Verdict(VerdictKind.NO_WORSE, words)
    if chance and lost <= chance * by_chance:
        return Verdict(VerdictKind.UNJUDGED, f"{words}, which may be chance")
    return Verdict(VerdictKind.WORSE, words)


def surely_lost(kpi: Kpi, before: Figure, after: Figure) -> float | None:
    """Loss of a KPI compared with before, as a multiple of its tolerance, at the lower end of the 95 % interval.

    0 if it may be as good as before; None if it can't be judged, or has no tolerance.
    """
    if kpi.better == "neither" or not kpi.tolerance or before.unjudged or after.unjudged:
        return None
    lost, by_chance = _lost(kpi, before, after)
    return max(0.0, lost - by_chance) / kpi.tolerance


def _lost(kpi: Kpi, before: Figure, after: Figure) -> tuple[float, float]:
    """How much worse it is, and how much of that may be chance, for figures with a value."""
    assert before.value is not None
    assert after.value is not None
    sign = 1 if kpi.better == "higher" else -1
    return sign * (before.value - after.value), _chance(before, after, sign)


def _chance(before: Figure, after: Figure, sign: int) -> float:
    """The loss that chance alone may cause (Newcombe's method 10); 0 if everything was counted."""
    if before.low is None or before.high is None or after.low is None or after.high is None:
        return 0.0
    assert before.value is not None
    assert after.value is not None
    if sign > 0:
        return math.hypot(before.value - before.low, after.high - after.value)
    return math.hypot(before.high - before.value, after.value - after.low)
