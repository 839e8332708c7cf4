"""Roll-ups: a span of time is worked out from all its finer ones, and never incremented. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from zoneinfo import ZoneInfo

from controller.models.measurement import DAY, HOUR, MONTH, QUARTER, Measured, Subject, Values, parts, shape_of
from controller.performance.vocabulary import Aggregation, counter_named

#: Clocks change at a quarter of an hour.
_QUARTER = timedelta(seconds=QUARTER)


def span_of(moment: datetime, level: int, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Begin and end of the span of a level that contains a moment.

    Days and months begin at midnight in the time zone, so days last 23 or 25 hours when its clocks change. Hours begin
    with its hours: there are zones that differ from UTC by a half or a quarter of one. Where clocks change by half an
    hour, the hour ends with that, and the next one begins: a half belongs to one of them, and to no other.
    """
    if level in (DAY, MONTH):
        day = moment.astimezone(zone).date()
        if level == MONTH:
            day = day.replace(day=1)
        after = day + timedelta(days=1) if level == DAY else (day + timedelta(days=31)).replace(day=1)
        begin, end = (datetime(one.year, one.month, one.day, tzinfo=zone) for one in (day, after))
        return begin.astimezone(UTC), end.astimezone(UTC)
    ahead = _ahead(moment, zone) if level == HOUR else 0
    seconds = int(moment.timestamp())
    begin = datetime.fromtimestamp(seconds - (seconds + ahead) % level, UTC)
    end = begin + timedelta(seconds=level)
    if level == HOUR:
        while begin + _QUARTER <= moment and _ahead(begin, zone) != ahead:
            begin += _QUARTER
        while end - _QUARTER > moment and _ahead(end - _QUARTER, zone) != ahead:
            end -= _QUARTER
    return begin, end


def _ahead(moment: datetime, zone: ZoneInfo) -> int:
    """By how many seconds hours of a time zone are further than those of UTC."""
    return int((moment.astimezone(zone).utcoffset() or timedelta()).total_seconds()) % HOUR


@dataclass(frozen=True, slots=True)
class Zones:
    """The time zones of a network, each from a time on; the first one also holds before it.

    A span ends where a time zone does, and the rest is one of the next zone. So spans of a level never overlap, and
    leave nothing out, whatever zones come: each count is part of one day.
    """

    held: tuple[tuple[datetime, ZoneInfo], ...]

    @classmethod
    def of(cls, named: Iterable[tuple[datetime, str]]) -> Zones:
        """Zones by the times since when a network has had them, in order; each holds from the next full hour of UTC on.

        Periods of measurements begin with the hour, so none is in two zones.
        """
        held: list[tuple[datetime, ZoneInfo]] = []
        for since, name in named:
            hour = since.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
            begin = hour if hour == since else hour + timedelta(hours=1)
            while held and held[-1][0] >= begin:
                held.pop()
            if not held or held[-1][1].key != name:
                held.append((begin, ZoneInfo(name)))
        return cls(tuple(held) or ((datetime.min.replace(tzinfo=UTC), ZoneInfo("UTC")),))

    def span_of(self, moment: datetime, level: int) -> tuple[datetime, datetime]:
        """Begin and end of the span of a level that contains a moment, within the time of its zone."""
        place = max(bisect_right(self.held, moment, key=itemgetter(0)), 1)
        since, zone = self.held[place - 1]
        begin, end = span_of(moment, level, zone)
        until = self.held[place][0] if place < len(self.held) else end
        return (begin if place == 1 else max(begin, since)), min(end, until)


class _Sum:
    """Values of one counter in several spans, by subject: their sum, or their time-weighted mean."""

    __slots__ = ("_adds", "_apart", "_spans")

    def __init__(self, name: str) -> None:
        known = counter_named(name)
        self._adds = Aggregation.SUM if known is None else known.over_time
        #: Whether values of its subjects can be added up to a coarser subject.
        self._apart = self._adds is not Aggregation.MAX and (known is None or known.over_cells is Aggregation.SUM)
        self._spans: list[tuple[Values, float]] = []

    def add(self, values: Values, covered: float) -> None:
        """Add a span."""
        self._spans.append((values, covered))

    def result(self) -> dict[Subject, float]:
        """Rounded, since floating-point noise beyond the sixth digit would double the size of a row."""
        found: Values = {}
        weights: Values = {}
        for values, covered in _alike(self._spans) if self._apart else self._spans:
            for subject, value in values.items():
                if self._adds is Aggregation.MAX:
                    found[subject] = max(found.get(subject, value), value)
                else:
                    found[subject] = found.get(subject, 0.0) + (
                        value if self._adds is Aggregation.SUM else value * covered
                    )
                    weights[subject] = weights.get(subject, 0.0) + covered
        if self._adds is not Aggregation.MEAN:
            return {subject: round(value, 6) for subject, value in found.items()}
        # Spans that cover no time have no weight: the mean of these alone is unknown.
        return {subject: round(value / weights[subject], 6) for subject, value in found.items() if weights[subject]}


def _alike(spans: Sequence[tuple[Values, float]]) -> list[tuple[Values, float]]:
    """Spans with values at the coarsest level of any: otherwise a sum would lack what some count at a finer level.

    For example, new software of a station may count by QCI what it counted by PLMN only, or one PLMN of several.
    """
    shapes = [{shape_of(subject) for subject in values} for values, _ in spans]
    every = set[tuple[bool, ...]]().union(*shapes)
    if len(every) < 2:
        return list(spans)
    subjects = set[Subject]().union(*(values for values, _ in spans))
    return [
        (_with_coarser(values, subjects, every, own) if own else values, covered)
        for (values, covered), own in zip(spans, shapes, strict=True)
    ]


def _with_coarser(
    values: Values, subjects: set[Subject], every: set[tuple[bool, ...]], own: set[tuple[bool, ...]]
) -> Values:
    """Values of a span, with those of coarser subjects that others have, or whose shape others have."""
    found = values | _coarser(values, every - own) if own != every else values
    finest = max(map(sum, own))
    more = {
        one: sum(made)
        for one in subjects - found.keys()
        if sum(shape_of(one)) < finest and (made := parts(values, *one))
    }
    return found | more if more else found


def _coarser(values: Values, shapes: Iterable[tuple[bool, ...]]) -> Values:
    """Values of a span for coarser subjects than it reported."""
    found: Values = {}
    for shape in shapes:
        by_plmn, by_qos, by_slice = shape
        finer = {
            one: value
            for one, value in values.items()
            if all(own >= asked for own, asked in zip(shape_of(one), shape, strict=True))
        }
        for one in finer:
            subject = Subject(one.plmn if by_plmn else "", one.qos if by_qos else 0, one.slice if by_slice else "")
            if subject not in found:
                found[subject] = sum(parts(finer, *subject))
    return found


def rolled_up(station: str, begin: datetime, end: datetime, finer: Iterable[Measured]) -> Measured | None:
    """A span made of its finer ones, each counted once; None if there are none.

    Means are weighted with the time that was covered. Time that nobody measured is not made up: sums are of what was
    counted, and ``covered`` tells of how long.
    """
    cells: dict[str, dict[str, _Sum]] = {}
    covered, suspect = 0.0, False
    for one in finer:
        covered += one.covered
        suspect = suspect or one.suspect
        for cell, counters in one.cells.items():
            sums = cells.setdefault(cell, {})
            for name, values in counters.items():
                if name not in sums:
                    sums[name] = _Sum(name)
                sums[name].add(values, one.covered)
    if not covered:
        return None
    seconds = int((end - begin).total_seconds())
    return Measured.model_construct(
        station=station,
        begin=begin,
        seconds=seconds,
        covered=min(covered, float(seconds)),
        suspect=suspect,
        cells={cell: {name: one.result() for name, one in sums.items()} for cell, sums in cells.items()},
    )
