"""Measurements of stations (TS 28.552, TS 32.425), as counted in granularity periods."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from pydantic import AwareDatetime

from controller.models.network import Noun

#: Levels of measurements on record, in seconds: a period, an hour, a day and a month in the network's time zone. A day
#: or month may be longer or shorter than this nominal length.
QUARTER, HOUR, DAY, MONTH = 900, 3600, 86400, 31 * 86400
#: From the begin of a day, moved by a new time zone or not, to a moment that has its date.
HALF_A_DAY = timedelta(hours=12)
#: Lengths of granularity periods, in seconds: those of TS 32.401 §5.2.1, and a day. No other length goes on record.
GRANULARITIES = (300, QUARTER, 1800, HOUR, DAY)
#: By how much a period may miss its grid: some stations write a time that is a few seconds late.
_OFF_GRID = timedelta(seconds=30)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: The largest magnitude of a value. No cell counts as much in a day, and no sum of such values ever overflows.
LARGEST = 1e15


class Unread(StrEnum):
    """Why something of a granularity period is left out."""

    NO_NUMBER = "no-number"
    """A value is no number, and does not say either that there is none."""

    IMPOSSIBLE = "impossible"
    """A value is infinite or beyond ``LARGEST``, or a counter's that can't be negative is. Its period is suspect."""

    GRANULARITY = "granularity"
    """A period ends before it begins, or its length is not one of ``GRANULARITIES``."""

    OFF_GRID = "off-grid"
    """A period does not end where periods of its length do (``aligned``)."""

    TOO_MANY = "too-many"
    """A file has more periods than are taken of one; the newest are."""

    PLMN_POSITION = "plmn-position"
    """A value is for a PLMN named by its position in the station's list, which was not read throughout that period."""

    FILTERS_OVERLAP = "filters-overlap"
    """Values of a PLMN are for parts of its traffic (QCI, ARP, GBR) that overlap, so that their sum means nothing, or
    for one that can't be, such as a range that ends before it begins."""


#: Words for a value that is not there (TS 32.435 §4.1), in capitals.
_NOTHING = ("", "NIL", "NULL", "NONE")


def value_of(word: str) -> float | Unread | None:
    """A value as a station wrote it; why it can't be read; or None where the station has none."""
    text = word.strip()
    try:
        value = float(text)
    except ValueError:
        return None if text.upper() in _NOTHING else Unread.NO_NUMBER
    if math.isnan(value) or "_" in text:
        return Unread.NO_NUMBER
    return value if is_possible(value) else Unread.IMPOSSIBLE


def is_possible(value: float) -> bool:
    """Whether a value is finite and not beyond ``LARGEST``."""
    return abs(value) <= LARGEST


def aligned(begin: datetime, seconds: int) -> datetime | None:
    """Where a granularity period begins that a station wrote, in UTC; None if it begins nowhere near.

    Periods are aligned to the hour (TS 32.401 §5.2.1), those of hours and days to the station's own, and all time zones
    are quarters of an hour apart. So those of 15 minutes or less never overlap, however often a station writes one.
    """
    if seconds not in GRANULARITIES:
        return None
    grid = timedelta(seconds=min(seconds, QUARTER))
    late = (begin - _EPOCH + grid / 2) % grid - grid / 2
    try:
        return None if abs(late) > _OFF_GRID else (begin - late).astimezone(UTC)
    except OverflowError:  # Before the first year, or after the last.
        return None


def least_apart(seconds: int) -> timedelta:
    """How far apart the begins of two periods of a length are at least.

    The day on which clocks go forward has 23 hours. A station may write 24, from before its begin.
    """
    return timedelta(seconds=seconds - HOUR if seconds == DAY else seconds)


class Period(Noun):
    """One complete granularity period.

    Attributes:
        job: Id of its measurement job (PerfMetricJob of TS 28.623).
        begin: By the station's clock, as is ``end``.
        suspect: Whether the station did not run for the whole period.
        values: Counters by measured object and name, as in ``RRC.ConnEstabAtt.mo-Data``.
        unread: How many of its values were left out, by reason (``Unread``).
    """

    job: str
    begin: AwareDatetime
    end: AwareDatetime
    suspect: bool = False
    values: dict[str, dict[str, float]] = {}
    unread: dict[str, int] = {}

    @property
    def granularity(self) -> int:
        """Its length in seconds if that is one of ``GRANULARITIES``, otherwise 0."""
        seconds = round((self.end - self.begin).total_seconds())
        return seconds if seconds in GRANULARITIES else 0

    @property
    def aligned(self) -> datetime | None:
        """Where it begins by the grid of its length; None if it begins nowhere near."""
        return aligned(self.begin, self.granularity)


class ListedPlmns(NamedTuple):
    """PLMNs of a station's LTE cells in their order, as each check between two times read them.

    Attributes:
        since: The first of these checks.
        until: The last one so far; no two were further apart than ``controller.models.health.OBSERVED_AFTER``.
        goes_on: Whether the next check may read the same.
        cells: PLMNs in order, by cell.
    """

    since: datetime
    until: datetime
    goes_on: bool
    cells: Mapping[str, Sequence[str]]


class Subject(NamedTuple):
    """Whom or what a value of a counter is about; ``Subject()`` is the cell's total.

    Attributes:
        plmn: PLMN as in the network files (716-06); empty if the value is not by PLMN.
        qos: QCI, or the 5QI of the same number (TS 23.501 §5.7.4); 0 if the value is not by QCI.
        slice: S-NSSAI as SST-SD, as in 1-00000A; empty if the value is not by slice.
    """

    plmn: str = ""
    qos: int = 0
    slice: str = ""


#: Values of one counter of one cell.
Values = dict[Subject, float]


class Measured(Noun):
    """Counters of a station in a span of time, in the neutral vocabulary (``controller.performance.vocabulary``).

    Attributes:
        seconds: Actual length of the span: a period, an hour, a day or a month.
        covered: Measured seconds of it; fewer if there are gaps.
        suspect: Whether some period of it is suspect.
        cells: Values by cell (as in health), counter and subject. Counters of the station as a whole are under an
            empty cell id.
    """

    station: str
    begin: AwareDatetime
    seconds: int
    covered: float
    suspect: bool = False
    cells: dict[str, dict[str, Values]] = {}


def parts(values: Mapping[Subject, float], plmn: str = "", qos: int = 0, slice_: str = "") -> list[float]:
    """Values of a counter that together make up the wanted total, each part once; empty if it is not counted.

    A station may count a cell's total, and also values by PLMN, and by PLMN and QCI. These overlap and are never mixed:
    the coarsest that answer are taken, for each PLMN those that it has, and so on for each of its QCIs or slices. The
    caller sums them, if the counter is a sum.
    """
    asked = Subject(plmn, qos, slice_)
    if asked in values:
        return [values[asked]]
    answers = [
        subject
        for subject in values
        if all(not wanted or wanted == own for wanted, own in zip(asked, subject, strict=True))
    ]
    return [values[subject] for subject in _making_up(answers, shape_of(asked))]


def shape_of(subject: Subject) -> tuple[bool, ...]:
    """Properties that a subject distinguishes."""
    return tuple(map(bool, subject))


def _making_up(subjects: Sequence[Subject], known: tuple[bool, ...]) -> list[Subject]:
    """The coarsest subjects that make up all of these; ``known`` are properties in which they are equal.

    Slices come last: not all traffic need be in one that was counted.
    """
    shapes = {shape_of(one) for one in subjects}
    if len(shapes) < 2:
        return list(subjects)
    coarsest = min(shapes, key=lambda shape: (sum(shape), shape[-1], shape))
    divides = next((place for place, by in enumerate(coarsest) if by and not known[place]), None)
    if divides is None:
        return [one for one in subjects if shape_of(one) == coarsest]
    groups: dict[object, list[Subject]] = {}
    for one in subjects:
        if one[divides]:
            groups.setdefault(one[divides], []).append(one)
    inside = tuple(by or place == divides for place, by in enumerate(known))
    return [one for group in groups.values() for one in _making_up(group, inside)]
