"""What stations counted: one row per station, span of time and level, and the files that it came from."""

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
        repeated: Nothing in them was new.
        replaced: They took the place of a suspect one, or added counters to one.
        conflicting: The first stays, and that another differs is on record.
        refused: They lie in the future, or are of a length that is no granularity period.
    """

    new: int = 0
    repeated: int = 0
    replaced: int = 0
    conflicting: int = 0
    refused: int = 0


class Gap(NamedTuple):
    """A span of time in which a station measured nothing that is on record."""

    station: str
    begin: datetime
    end: datetime


class CollectedFile(Noun):
    """A measurement file that was taken from a station, or that is of no use.

    Attributes:
        name: As the station names it (TS 32.432 §5.2).
        digest: Of its content as it was fetched.
        at: When it was taken; now if none is given.
        periods: Periods in it.
        error: Why it is of no use, empty where it was taken.
    """

    station: str
    name: str
    digest: str
    at: AwareDatetime | None = None
    periods: int = 0
    error: str = ""


class UnknownCounter(Noun):
    """A counter that the vocabulary does not know: counted and named once, and not kept.

    Attributes:
        name: Without its subcounters.
        count: Values of it so far.
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

        A period's identity is station, begin and length. What is on record already is ignored. Counters that the
        first did not have are added, since jobs of a station write files of their own. A whole period replaces a
        suspect one. Else the first stays, and the difference is on the audit trail, once for each period.
        Put some hundred stations at once, no more: each is locked meanwhile.
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
        """What began from ``begin`` to before ``end`` on one level (QUARTER to MONTH), by station and time; lazily.

        Each has these ``counters`` only, of this tenant and of whole cells: that takes a fraction of the time.

        Periods shorter than 900 s are also there as 900 s; read them themselves by their own length. For threads:
        a coroutine asks for pages, or reads in a thread.
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
        """About the first ``limit`` of what ``read`` gives, from behind a station and time; empty at the end."""
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
        """All of what ``read`` gives as one for each station, as roll-ups are made, and many times as fast."""
        ...

    @method
    def amounts(
        self, begin: datetime, end: datetime, seconds: int, stations: Collection[str], wanted: Sequence[CounterQuery]
    ) -> Iterator[CellCounts]:
        """Of all of what ``read`` gives what is wanted of each cell, by station and time; lazily, for threads."""
        ...

    @method
    def gaps(self, begin: datetime, end: datetime, stations: Collection[str] | None = None) -> list[Gap]:
        """Spans without data, by station and time; of all stations that ever measured where none are named.

        Ask for what is younger than the shortest retention: of older times only whole hours are known.
        """
        ...

    @method
    def roll_up(self, now: datetime) -> int:
        """Work out some hours, days and months again of which finer rows came; how many. Call it until that is 0.

        An hour is worked out some minutes after its end, a day after its last hour, a month after its last day, in the
        time zone of the current network. Late periods make them due again. Always from the finer rows, so to repeat it
        changes nothing.
        """
        ...

    @method
    def retire(self, now: datetime, keep: Mapping[int, timedelta]) -> int:
        """Delete some rows that are older than ``keep`` says by level; how many. Call it until that is 0.

        Shorter periods are kept as long as those of 900 s. Unknown counters go with the shortest; so do files, or after
        a week.
        """
        ...

    @method
    def collect(self, files: Iterable[CollectedFile]) -> None:
        """Put files on record as taken, in the transaction in which their periods are put."""
        ...

    @method
    def collected(self, station: str, names: Collection[str]) -> dict[str, CollectedFile]:
        """Those of these files of a station that were taken already, by name."""
        ...

    @method
    def files(self, station: str, limit: int) -> list[CollectedFile]:
        """The newest files of a station that were taken or refused, newest first."""
        ...

    @method
    def miss(self, station: str, unknown: Mapping[str, int]) -> list[str]:
        """Count values of counters that are not known, by name; the names that are new."""
        ...

    @method
    def unknown(self) -> list[UnknownCounter]:
        """Counters that stations have and the vocabulary does not, by name."""
        ...
