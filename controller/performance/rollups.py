"""Roll-ups: a span of time worked out from finer ones, always anew and never added to. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from controller.models.measurement import DAY, HOUR, MONTH, Measured, Subject, Values
from controller.performance.vocabulary import Adds, counter_named


def span_of(moment: datetime, level: int, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Begin and end of the span of a level that a moment belongs to.

    Days and months begin at midnight in the time zone, so days last 23 or 25 hours when its clocks change. Hours begin
    with its hours: there are zones that differ from UTC by a half or a quarter of one.
    """
    if level in (DAY, MONTH):
        day = moment.astimezone(zone).date()
        if level == MONTH:
            day = day.replace(day=1)
        after = day + timedelta(days=1) if level == DAY else (day + timedelta(days=31)).replace(day=1)
        begin, end = (datetime(one.year, one.month, one.day, tzinfo=zone) for one in (day, after))
        return begin.astimezone(UTC), end.astimezone(UTC)
    offset = moment.astimezone(zone).utcoffset() or timedelta()
    ahead = int(offset.total_seconds()) % HOUR if level == HOUR else 0
    seconds = int(moment.timestamp())
    begin = datetime.fromtimestamp(seconds - (seconds + ahead) % level, UTC)
    return begin, begin + timedelta(seconds=level)


class _Sum:
    """Values of one counter, subject by subject: their sum, weighted where it is a mean, and the weight."""

    __slots__ = ("adds", "values", "weights")

    def __init__(self, name: str) -> None:
        known = counter_named(name)
        self.adds = Adds.SUM if known is None else known.over_time
        self.values: Values = {}
        self.weights: Values = {}

    def add(self, values: Values, covered: float) -> None:
        mine = self.values
        if self.adds is Adds.SUM:
            for subject, value in values.items():
                mine[subject] = mine.get(subject, 0.0) + value
        elif self.adds is Adds.MAX:
            for subject, value in values.items():
                mine[subject] = max(mine.get(subject, value), value)
        else:
            for subject, value in values.items():
                mine[subject] = mine.get(subject, 0.0) + value * covered
                self.weights[subject] = self.weights.get(subject, 0.0) + covered

    def result(self) -> dict[Subject, float]:
        """Rounded, since what floating point adds behind the sixth digit would be half of a row."""
        if self.adds is not Adds.MEAN:
            return {subject: round(value, 6) for subject, value in self.values.items()}
        return {subject: round(value / self.weights[subject], 6) for subject, value in self.values.items()}


def rolled_up(station: str, begin: datetime, end: datetime, finer: Iterable[Measured]) -> Measured | None:
    """A span from the finer ones in it, each of which counts once; None of none.

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
