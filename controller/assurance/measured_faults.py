"""Faults that only measurements show: cells that serve nobody although they say so, and KPIs that became worse.

A cell sleeps where nobody got a connection for an hour, or for hours or days where one tells too little, although its
own last weeks make sure that somebody would have at this time, and cells around it carry users. An indicator is
degraded where it is worse than at these hours of the days before, beyond its tolerance and beyond chance, twice in a
row. Both are alarms of Minka's own, raised and cleared here. The indicators of each hour go on record, for metrics.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import structlog

from controller.access.disclosure import tenant_kpis
from controller.intent.neighbours import Places, nearest_stations
from controller.models.alarm import (
    KPI_DEGRADED,
    SLEEPING_CELL,
    Alarm,
    AlarmReport,
    AlarmSource,
    ObjectClass,
    PerceivedSeverity,
)
from controller.models.health import Health, ServiceState
from controller.models.measurement import HOUR, QUARTER, Measured
from controller.models.network import Network
from controller.performance.comparison import VerdictKind, compare
from controller.performance.kpi_evaluation import DAYS, POOLS, Comparison, Hour, KpiEvaluation, Sums
from controller.performance.kpis import Kpi, counters_of, kpis_of
from controller.performance.rollups import span_of
from controller.performance.silence import (
    EXPECTED,
    HISTORY,
    HOURS,
    SEVERAL_DAYS,
    USES,
    Use,
    expected,
    expected_in_days,
    is_silent,
    uses,
)
from controller.ports.clock import Clock
from controller.store import AsyncStore, Device, Store

log = structlog.get_logger()

_HOUR, _QUARTER, _DAY = timedelta(seconds=HOUR), timedelta(seconds=QUARTER), timedelta(days=1)
#: Time after the end of a quarter of an hour until its files are there, and after an hour until its roll-up is.
_COLLECTED, _ROLLED_UP = timedelta(minutes=8), timedelta(minutes=40)
#: Nearby stations of which one has to carry users.
_AROUND = 6
#: Stations that are judged together, and rounds over which those of an hour are spread: much history is read.
_TOGETHER, _SPREAD = 100, 30
#: How long a evaluation is kept without a newer one, for example of a station that is gone.
_FORGOTTEN = _DAY
_GRAVE = (PerceivedSeverity.CRITICAL, PerceivedSeverity.MAJOR)


def says_it_serves(health: Health | None, cell: str) -> bool:
    """Whether a station does not say that a cell is off air or locked."""
    return (
        health is not None
        and health.reachable
        and cell not in health.locked
        and health.cells.get(cell) is not ServiceState.DOWN
    )


def cells_around(network: Network, places: Places, station: str, used: Mapping[str, Use]) -> Iterator[str]:
    """Cells of a station and those around it that carry users."""
    for name in (station, *nearest_stations(network, station, _AROUND, places)):
        for cell in network.cells_by_station.get(name, ()):
            if used.get(f"{name}/{cell.id}", Use()).alive:
                yield cell.name


@dataclass(frozen=True, slots=True)
class _Span:
    """A time in which nobody used a cell: hours of a day, or whole days."""

    hours: int = 0
    days: int = 0

    @property
    def length(self) -> timedelta:
        return timedelta(hours=self.hours, days=self.days)

    @property
    def words(self) -> str:
        if self.days:
            return f"{self.days} days"
        return "an hour" if self.hours == 1 else f"{self.hours} hours"

    @property
    def when(self) -> str:
        return "in so many days" if self.days else "at this time"


#: Times that are looked at, until enough connections are usual in one.
_SPANS = (*(_Span(hours=hours) for hours in HOURS), *(_Span(days=days) for days in SEVERAL_DAYS))


@dataclass(frozen=True, slots=True)
class _Watched:
    """Inputs of one round."""

    network: Network
    stations: Sequence[str]
    standing: Mapping[tuple[str, str, str, str], Alarm]
    grave: Collection[str]


def kpis_in_force(store: Store) -> tuple[Kpi, ...]:
    """The KPIs that are in force. Raises NotFoundError before any were put in force."""
    return kpis_of(store.definitions.get())


class MeasuredFaults:
    """Judges measurements when a quarter of an hour, or an hour, is on record.

    Args:
        kpis: Indicators that are in force; those that are watched may raise alarms. An hour is judged by those that
            are in force when that begins.
        alarms: Whether alarms are raised and cleared; judging goes on without them.
    """

    def __init__(
        self,
        store: AsyncStore,
        clock: Clock,
        kpis: Callable[[Store], Sequence[Kpi]] = kpis_in_force,
        *,
        alarms: bool = True,
    ) -> None:
        self._store = store
        self._clock = clock
        self._in_force = kpis
        self._kpis: Sequence[Kpi] = ()
        self._alarms = alarms
        self._zone = ZoneInfo("UTC")
        #: End of the last quarter and hour that was judged, or is being judged.
        self._latest: dict[int, datetime] = {}
        #: The last hour, and stations that are still to be judged in it.
        self._hour: Hour | None = None
        #: Sums of completely judged hours, latest first.
        self._sums: deque[Sums] = deque(maxlen=max(POOLS) - 1)
        self._left: list[str] = []
        #: KPIs of stations that were worse once, and until when that counts.
        self._suspected: dict[tuple[str, str], datetime] = {}

    async def round(self) -> None:
        """Judge the latest quarter, if that was not done yet, and some stations of the latest hour."""
        quarter, hour = self._due(QUARTER, _COLLECTED), self._due(HOUR, _ROLLED_UP)
        if quarter is None and hour is None and not self._left:
            return
        if not (records := await self._store.devices.find()):
            return  # there may be no network either
        watched = await self._watched(records)
        reports = [] if quarter is None or not self._alarms else await self._sleeping(watched, quarter)
        if hour is not None:
            self._left, self._latest[HOUR] = list(watched.stations), hour
            reports += await self._take_up(watched, hour)
            names = [kpi.name for kpi in tenant_kpis(self._kpis)]
            self._hour = Hour(self._kpis, names, watched.network, hour, self._sums)
        for _ in range(1 + len(watched.stations) // (_TOGETHER * _SPREAD)):
            reports += await self._judge(watched)
        if reports and self._alarms:
            for alarm in await self._store.alarms.report_all(reports):
                log.info("alarm.reported", alarm=alarm.id, object=alarm.object, cause=alarm.probable_cause)
        if quarter is not None:
            self._latest[QUARTER] = quarter

    async def _take_up(self, watched: _Watched, hour: datetime) -> list[AlarmReport]:
        """Judge by the indicators that are in force now; clears alarms of those that are not watched any more."""
        kpis = await self._store.read(self._in_force)
        if kpis != self._kpis:
            self._kpis = kpis
            self._sums.clear()  # these are sums of other indicators
        names = {kpi.name for kpi in kpis if kpi.watched}
        gone = [(station, kpi) for cause, station, _, kpi in watched.standing if cause == KPI_DEGRADED]
        cleared = PerceivedSeverity.CLEARED
        return [_worse(station, kpi, cleared, "", hour) for station, kpi in gone if kpi not in names]

    def _due(self, length: int, wait: timedelta) -> datetime | None:
        """End of the latest span of a length on record; None if it was judged already."""
        end, _ = span_of(self._clock.now() - wait, length, self._zone)
        return None if self._latest.get(length) == end else end

    async def _watched(self, records: Mapping[str, Device]) -> _Watched:
        _, network = await self._store.networks.get()
        self._zone = ZoneInfo(network.header.timezone)
        adopted = sorted(name for name, one in records.items() if one.adopted is not None and network.has_cells(name))
        alarms = [one for one in await self._store.alarms.standing() if one.cleared is None]
        ours = [one for one in alarms if one.probable_cause in (SLEEPING_CELL, KPI_DEGRADED)]
        standing = {(one.probable_cause, one.station, one.object, one.specific_problem): one for one in ours}
        grave = {one.station for one in alarms if one.severity in _GRAVE and one not in ours}
        return _Watched(network, adopted, standing, grave)

    async def _read(
        self, begin: datetime, end: datetime, length: int, stations: Sequence[str], counters: Collection[str]
    ) -> list[Measured]:
        found: list[Measured] = []
        after: tuple[str, datetime] | None = None
        while page := await self._store.measurements.page(begin, end, length, stations, after, counters=counters):
            found += page
            after = page[-1].station, page[-1].begin
        return found

    # --------------------------------------------------------------- sleeping cells

    async def _sleeping(self, watched: _Watched, end: datetime) -> list[AlarmReport]:
        """Cells that sleep, and cells that woke up."""
        used: dict[str, Use] = {}
        for first in range(0, len(watched.stations), _TOGETHER):
            some = watched.stations[first : first + _TOGETHER]
            periods = await self._read(end - _HOUR, end, QUARTER, some, USES)
            used |= await asyncio.to_thread(uses, periods, end - _QUARTER)
        raised = {key[2] for key in watched.standing if key[0] == SLEEPING_CELL}
        silent = [name for name, use in used.items() if is_silent(use, HOUR) and name not in raised]
        stations = sorted({name.partition("/")[0] for name in (*silent, *raised)})
        healths = await self._store.healths.find(stations)
        known = {cell.name for cell in watched.network.cells}
        awake = [name for name in raised if name not in known or _is_awake(name, used, healths)]
        found = [_sleep(name, PerceivedSeverity.CLEARED, "", end) for name in sorted(awake)]
        candidates = [
            name
            for name in silent
            for station, _, cell in (name.partition("/"),)
            if says_it_serves(healths.get(station), cell) and station not in watched.grave
        ]
        if not candidates:
            return found
        places = Places(watched.network)
        around = {
            name: len(list(cells_around(watched.network, places, name.partition("/")[0], used))) for name in candidates
        }
        left = [name for name in sorted(candidates) if around[name]]
        for span in _SPANS:
            left = left if span == _SPANS[0] else await self._silent(left, end, span)
            usual = await self._usual(left, end, span) if left else {}
            for name in (one for one in left if usual.get(one, 0.0) >= EXPECTED):
                words = f"usually there are at least {usual[name]:,.0f} {span.when}"
                text = f"no connection for {span.words}; {words}, and {around[name]} cells around carry users"
                found.append(_sleep(name, PerceivedSeverity.MAJOR, text, end))
            left = [one for one in left if usual.get(one, 0.0) < EXPECTED]
        return found

    async def _silent(self, cells: Sequence[str], end: datetime, span: _Span) -> list[str]:
        """Those of cells that nobody used in a span."""
        stations = sorted({name.partition("/")[0] for name in cells})
        until = self._hours_until(end) if span.days else end
        periods = await self._read(until - span.length, until, HOUR if span.days else QUARTER, stations, USES)
        used = await asyncio.to_thread(uses, periods)
        return [name for name in cells if is_silent(used.get(name, Use()), span.length.total_seconds())]

    async def _usual(self, cells: Iterable[str], end: datetime, span: _Span) -> dict[str, float]:
        """The fewest connections of cells in the same hours of the days before, or in as many days before the span."""
        stations = sorted({name.partition("/")[0] for name in cells})
        until, length = self._hours_until(end), _DAY if span.days else span.length
        days: dict[int, list[Measured]] = {}
        for day in range(1, HISTORY + 1):
            at = until - timedelta(days=day + max(0, span.days - 1))
            days[day] = await self._read(at - length, at, HOUR, stations, USES)
        if span.days:
            return await asyncio.to_thread(expected_in_days, days, span.days)
        return await asyncio.to_thread(expected, days, span.hours)

    def _hours_until(self, end: datetime) -> datetime:
        """The end of the latest hour that is rolled up."""
        return span_of(end - _HOUR, HOUR, self._zone)[1]

    # ------------------------------------------------------------------- indicators

    async def _judge(self, watched: _Watched) -> list[AlarmReport]:
        """Judge some of the remaining stations; after the last one, regions and the network.

        Returns:
            Indicators that became worse, and those that are well again.
        """
        some, self._left = self._left[:_TOGETHER], self._left[_TOGETHER:]
        hour = self._hour
        if hour is None or not some:
            return []
        hours = await self._history(some, hour.end)
        evaluations, reports = await asyncio.to_thread(self._judged, watched, hour, {one: hours[one] for one in some})
        await self._store.kpi_evaluations.put(evaluations)
        if not self._left:
            whole = await asyncio.to_thread(hour.areas)
            await self._store.kpi_evaluations.put(whole)
            await self._store.kpi_evaluations.forget(hour.end - _FORGOTTEN)
            self._sums.appendleft(hour.sums)
            self._hour = None
        return reports

    async def _history(self, stations: Sequence[str], end: datetime) -> defaultdict[str, list[Measured]]:
        """Counters of stations in the hours before the end, and in the same hours of the days before."""
        hours: defaultdict[str, list[Measured]] = defaultdict(list)
        for day in range(DAYS + 1):
            until = end - timedelta(days=day)
            wanted = counters_of(kpi for kpi in self._kpis if kpi.watched or not day)
            for one in await self._read(until - max(POOLS) * _HOUR, until, HOUR, stations, wanted):
                hours[one.station].append(one)
        return hours

    def _judged(
        self, watched: _Watched, hour: Hour, hours: Mapping[str, Sequence[Measured]]
    ) -> tuple[list[KpiEvaluation], list[AlarmReport]]:
        """Evaluations of stations that measured something, and reports of KPIs that became worse or well again."""
        evaluations: list[KpiEvaluation] = []
        reports: list[AlarmReport] = []
        for station, counted in hours.items():
            evaluation, compared = hour.take(station, counted)
            if counted:
                evaluations.append(evaluation)
                reports += self._of(watched, station, compared, hour.end)
        return evaluations, reports

    def _of(
        self, watched: _Watched, station: str, compared: Mapping[str, Comparison], end: datetime
    ) -> Iterator[AlarmReport]:
        for kpi in (one for one in self._kpis if one.watched):
            key = KPI_DEGRADED, station, ObjectClass.STATION.value, kpi.name
            found = compared[kpi.name]
            if key in watched.standing:
                # A KPI that is half as much worse is not well yet: otherwise its alarm would flap.
                now = compare(kpi, found.usual, found.latest, kpi.tolerance / 2, chance=0)
                if now.kind is VerdictKind.NO_WORSE:
                    yield _worse(station, kpi.name, PerceivedSeverity.CLEARED, "", end)
            elif found.verdict.kind is not VerdictKind.WORSE or station in watched.grave:
                self._suspected.pop((station, kpi.name), None)
            elif found.begin >= self._suspected.setdefault((station, kpi.name), end):
                spans = f"the same hours of the days before, and the last {found.hours}"
                words = f"{kpi.title}: {found.verdict.words} ({spans})"
                yield _worse(station, kpi.name, PerceivedSeverity.MINOR, words, end)


def _is_awake(name: str, used: Mapping[str, Use], healths: Mapping[str, Health]) -> bool:
    """Whether somebody uses a cell again, or its station says that it does not serve, which is another alarm."""
    station, _, cell = name.partition("/")
    health = healths.get(station)
    gone = health is not None and health.reachable and not says_it_serves(health, cell)
    return gone or used.get(name, Use()).latest


def _sleep(name: str, severity: PerceivedSeverity, text: str, at: datetime) -> AlarmReport:
    return AlarmReport(
        station=name.partition("/")[0],
        object=name,
        object_class=ObjectClass.CELL,
        probable_cause=SLEEPING_CELL,
        severity=severity,
        text=text,
        source=AlarmSource.CHECK,
        at=at,
    )


def _worse(station: str, kpi: str, severity: PerceivedSeverity, text: str, at: datetime) -> AlarmReport:
    return AlarmReport(
        station=station,
        object=ObjectClass.STATION.value,
        object_class=ObjectClass.STATION,
        probable_cause=KPI_DEGRADED,
        specific_problem=kpi,
        severity=severity,
        text=text,
        source=AlarmSource.CHECK,
        at=at,
    )
