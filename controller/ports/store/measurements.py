"""Counters of stations: one row for each station, span of time and level; and the files that they came from."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol

from pydantic import AwareDatetime

from controller.models.measurement import Measured
from controller.models.network import Noun
from controller.performance.kpis import EVERYBODY, CellCounts, CounterQuery, Subscribers
from controller.ports.store.repository import M_co, Repository, method


class StoredPeriods(NamedTuple):
    """What became of periods that were put on record.

    Attributes:
        new: Periods of which nothing was on record.
        repeated: Periods with nothing new.
        replaced: Periods that replaced a suspect one, or added counters to one.
        conflicting: Periods with other values than the one on record, which stays; the difference is on record.
        refused: Periods in the future, of a length that is no granularity period, off its grid (``aligned``), or that
            overlap another one of their length (``least_apart``).
    """

    new: int = 0
    repeated: int = 0
    replaced: int = 0
    conflicting: int = 0
    refused: int = 0


class Gap(NamedTuple):
    """A span of time without measurements of a station on record."""

    station: str
    begin: datetime
    end: datetime


class CollectedFile(Noun):
    """A measurement file that was collected from a station, or refused.

    Attributes:
        name: As the station names it (TS 32.432 §5.2).
        digest: Digest of its content as it was fetched.
        at: When it was collected; now if None.
        periods: Periods in it.
        error: Why it was refused; empty if it was accepted.
    """

    station: str
    name: str
    digest: str
    at: AwareDatetime | None = None
    periods: int = 0
    error: str = ""


class UnknownCounter(Noun):
    """A counter that the vocabulary does not have: counted and named once, and not kept.

    Attributes:
        name: Its name without subcounters.
        count: Number of its values so far.
        station: The station that had it first.
    """

    name: str
    count: int
    station: str
    since: AwareDatetime
    last: AwareDatetime


class Measurements(Repository[M_co], Protocol[M_co]):
    """Performance data of stations."""

    @method
    def put(self, periods: Iterable[Measured]) -> StoredPeriods:
        """Put granularity periods on record; each counts once, in whatever order they come.

        Station, begin and length identify a period. Values that are on record already are ignored. Counters that the
        first one does not have are added, since each measurement job of a station writes files of its own. A complete
        period replaces a suspect one. Otherwise the first one stays, and the difference goes on the audit trail, once
        for each period; of many of a station in a day only their number does (``retire``).
        Put at most some hundred stations at once: each is locked meanwhile.
        """
        ...

    @method
    def read(
        self,
        begin: datetime,
        end: datetime,
        seconds: int,
        stations: Collection[str] | None = None,
        counters: Collection[str] | None = None,
        who: Subscribers = EVERYBODY,
    ) -> Iterator[Measured]:
        """Periods that began between two times, on one level (QUARTER to MONTH), by station and time; lazily.

        With ``counters`` and ``who``, periods have only these counters, of this tenant and of whole cells, which takes
        a fraction of the time.

        Periods shorter than 900 s also exist as 900 s; to read them, ask for their own length. This is for threads; a
        coroutine asks for pages, or reads in a thread.
        """
        ...

    @method
    def page(
        self,
        begin: datetime,
        end: datetime,
        seconds: int,
        stations: Collection[str] | None = None,
        after: tuple[str, datetime] | None = None,
        limit: int = 500,
        counters: Collection[str] | None = None,
        who: Subscribers = EVERYBODY,
    ) -> list[Measured]:
        """About ``limit`` elements of ``read``, after a station and time; empty at the end."""
        ...

    @method
    def totals(
        self,
        begin: datetime,
        end: datetime,
        seconds: int,
        stations: Collection[str],
        counters: Collection[str] | None = None,
        who: Subscribers = EVERYBODY,
    ) -> list[Measured]:
        """The sum of all elements of ``read`` for each station, made like a roll-up, and many times as fast."""
        ...

    @method
    def amounts(
        self, begin: datetime, end: datetime, seconds: int, stations: Collection[str], wanted: Sequence[CounterQuery]
    ) -> Iterator[CellCounts]:
        """The wanted sums of each cell, for all elements of ``read``, by station and time; lazily, for threads."""
        ...

    @method
    def gaps(self, begin: datetime, end: datetime, stations: Collection[str] | None = None) -> list[Gap]:
        """Spans without data, by station and time; of all stations that ever measured if none are named.

        Ask only for times within the shortest retention: of older times only whole hours are known.
        """
        ...

    @method
    def roll_up(self, now: datetime) -> int:
        """Work out some hours, days and months again that have new finer rows; returns how many. Call it until it is 0.

        An hour is worked out some minutes after its end, a day after its last hour, a month after its last day, in the
        time zone of the current network. Late periods make them due again. A result always comes from all finer rows,
        so repeating it changes nothing.
        """
        ...

    @method
    def retire(self, now: datetime, keep: Mapping[int, timedelta]) -> int:
        """Delete some rows older than ``keep`` allows for their level; returns how many. Call it until it is 0.

        Shorter periods are kept as long as those of 900 s. Unknown counters, and in which order stations had PLMNs, are
        kept as long as the shortest retention; names of files too, but at most a week.
        """
        ...

    @method
    def retired(self, seconds: int) -> datetime | None:
        """Before when rows of a level were deleted because of their age; None if none were."""
        ...

    @method
    def collect(self, files: Iterable[CollectedFile]) -> None:
        """Put files on record as collected, in the transaction that puts their periods."""
        ...

    @method
    def collected(self, station: str, names: Collection[str]) -> dict[str, CollectedFile]:
        """Those of these files of a station that were collected already, by name."""
        ...

    @method
    def files(self, station: str, limit: int) -> list[CollectedFile]:
        """The newest files of a station, collected or refused, newest first."""
        ...

    @method
    def miss(self, station: str, unknown: Mapping[str, int]) -> list[str]:
        """Count values of unknown counters by name; returns the names that are new."""
        ...

    @method
    def unknown(self) -> list[UnknownCounter]:
        """Counters of stations that the vocabulary does not have, by name."""
        ...
