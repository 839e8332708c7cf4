"""Whether it can be chance that nobody uses a cell: what is usual by its own connections on the days before.

An hour without a connection tells much of a cell in a town and nothing of one in the hills. So hours are looked at
together, then days, until so many connections are usual in them that none at all is no chance. What can't be judged
even so is said with its reason.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from controller.models.measurement import DAY, HOUR, Measured, parts
from controller.models.network import Noun

#: Days before that show what to expect, and fewest of them.
HISTORY, _FEWEST = 14, 5
#: Share of a span that has to be measured.
_COVERED = 3500 / 3600
#: Hours of a day, and then days, that are looked at together until enough connections are usual in them.
HOURS, SEVERAL_DAYS = (1, 2, 4, 8, 24), (2, 3, 7)
#: Connections in the quietest of such spans from which none at all is no chance: below one in a million (Poisson).
EXPECTED = 14.0
#: Counters that tell whether anybody uses a cell, and seconds in which nobody could: it failed or was locked. Time in
#: which it saves energy is its habit.
_SETUPS, _VOLUME = "RRC.ConnEstabSucc", "DRB.PdcpSduVolumeDL"
_OFF_AIR = "RRU.CellUnavailableTime.fault", "RRU.CellUnavailableTime.manual"
#: All that is read of a period.
USES = (_SETUPS, _VOLUME, *_OFF_AIR)


class Use(NamedTuple):
    """Use of a cell in a span of time.

    Attributes:
        seconds: That were measured, without those in which the cell counted that it was locked or failed.
        setups: Connections that were set up.
        volume: Mbit that it carried to users.
        latest: Whether anything of that was in the last period.
    """

    seconds: float = 0.0
    setups: float = 0.0
    volume: float = 0.0
    latest: bool = False

    @property
    def alive(self) -> bool:
        """Whether anybody used it."""
        return self.setups > 0 or self.volume > 0

    def covers(self, seconds: float) -> bool:
        """Whether so many seconds were measured, but for what a restart of a job leaves out."""
        return self.seconds >= seconds * _COVERED


class Obstacle(StrEnum):
    """Why no silence of a cell can be judged."""

    NOT_COUNTED = "not-counted"
    SHORT_HISTORY = "short-history"
    FEW_CONNECTIONS = "few-connections"


class Silence(Noun):
    """How long nobody has to use a cell until that is no chance, on any day of the week.

    Attributes:
        cell: ``station/cell``.
        days: Fewest whole days without anybody that are judged; a busy cell is judged after some hours of a day. None
            if no silence of it can be judged.
        quietest: Connections on the quietest day that was measured; None if none was.
        known: Days of the last 14 that were measured as a whole.
        obstacle: Why no silence can be judged: it counts no connections, fewer than 5 days are known, or fewer than 14
            connections are set up in its 7 quietest days. None if silence is judged.
    """

    cell: str
    days: int | None
    quietest: float | None
    known: int
    obstacle: Obstacle | None


def uses(periods: Iterable[Measured], last: datetime | None = None) -> dict[str, Use]:
    """Use of cells that count connections, by ``station/cell``; ``last`` is the begin of the last period, if one is."""
    found: dict[str, Use] = {}
    for period in periods:
        for cell, counted in period.cells.items():
            if not cell or _SETUPS not in counted:
                continue
            before = found.get(f"{period.station}/{cell}", Use())
            setups, volume, *off_air = (sum(parts(counted.get(name, {}))) for name in USES)
            whole = 0.0 if period.suspect else max(0.0, period.covered - sum(off_air))
            latest = before.latest or (last is not None and period.begin >= last and (setups > 0 or volume > 0))
            added = Use(before.seconds + whole, before.setups + setups, before.volume + volume, latest)
            found[f"{period.station}/{cell}"] = added
    return found


def is_silent(use: Use, seconds: float) -> bool:
    """Whether nobody used a cell in a span that was measured as a whole."""
    return use.covers(seconds) and not use.alive


def expected(days: Mapping[int, Iterable[Measured]], hours: int) -> dict[str, float]:
    """Connections in the quietest of spans of so many hours, by ``station/cell``, for cells with enough known spans.

    Of seven spans one may have been quieter, such as one in which the cell was off air: but none of this day of the
    week, whose quiet may be its habit.

    Args:
        days: Hours that were counted in the span, by the number of days before.
        hours: In each span.
    """
    found = {}
    for name, spans in _known(days, hours * HOUR).items():
        habit = min((setups for day, setups in spans.items() if day % 7 == 0), default=math.inf)
        setups = sorted(spans.values())
        if len(setups) >= _FEWEST:
            found[name] = min(habit, setups[len(setups) // 7])
    return found


def expected_in_days(days: Mapping[int, Iterable[Measured]], number: int) -> dict[str, float]:
    """Connections in so many of the quietest days, whatever days of the week these are, for cells with enough of them.

    Args:
        days: What was counted on each whole day, by the number of days before.
        number: Days that are taken together.
    """
    known = _known(days, DAY)
    return {name: _quietest(spans, number) for name, spans in known.items() if len(spans) >= max(_FEWEST, number)}


def silences(days: Mapping[int, Iterable[Measured]], cells: Collection[str]) -> Iterator[Silence]:
    """How long each of the cells has to be silent until that is judged.

    Args:
        days: What was counted on each whole day, by the number of days before.
        cells: ``station/cell``.
    """
    measured = {day: list(counted) for day, counted in days.items()}
    counting = set(uses(one for counted in measured.values() for one in counted))
    known = _known(measured, DAY)
    for name in cells:
        spans = known.get(name, {})
        enough = (one for one in (1, *SEVERAL_DAYS) if one <= len(spans) and _quietest(spans, one) >= EXPECTED)
        number, obstacle = next(enough, None), None
        if name not in counting:
            obstacle = Obstacle.NOT_COUNTED
        elif len(spans) < _FEWEST:
            obstacle = Obstacle.SHORT_HISTORY
        elif number is None:
            obstacle = Obstacle.SHORT_HISTORY if len(spans) < SEVERAL_DAYS[-1] else Obstacle.FEW_CONNECTIONS
        yield Silence(
            cell=name,
            days=None if obstacle else number,
            quietest=min(spans.values(), default=None),
            known=len(spans),
            obstacle=obstacle,
        )


def _known(days: Mapping[int, Iterable[Measured]], seconds: float) -> dict[str, dict[int, float]]:
    """Connections of each cell in spans that were measured as a whole, by the number of days before."""
    known: defaultdict[str, dict[int, float]] = defaultdict(dict)
    for day, measured in days.items():
        for name, use in uses(measured).items():
            if use.covers(seconds):
                known[name][day] = use.setups
    return known


def _quietest(spans: Mapping[int, float], number: int) -> float:
    return sum(sorted(spans.values())[:number])
