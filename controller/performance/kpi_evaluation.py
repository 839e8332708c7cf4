"""Judges an hour by KPIs: stations with their cells, regions and the network, in total and by tenant.

Pure. Stations come one after the other, and of those that are through only sums are kept: the network may be large.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import product
from typing import NamedTuple

from pydantic import AwareDatetime

from controller.models.measurement import HOUR, Measured
from controller.models.network import Network, Noun
from controller.performance.comparison import (
    Clustering,
    Figure,
    Verdict,
    VerdictKind,
    compare,
    figure,
    pooled,
    surely_lost,
)
from controller.performance.kpis import EVERYBODY, Kpi, Level, Subscribers, Tally, subscribers_where_shared, tally

_HOUR = timedelta(seconds=HOUR)
#: Numbers of latest hours that are combined until the sample of a station or cell suffices.
POOLS = (1, 2, 4)
#: How long an hour is shown after its end, by when a newer one should exist.
FRESH = timedelta(hours=3)
#: Multiple of the 95 % interval by which a KPI has to be worse, since many are judged each hour.
_BEYOND = 1.7
#: Number of days before whose same hours define what is usual.
DAYS = 7


class IndicatorValues(NamedTuple):
    """Values and degradations of the KPIs that could be judged, by name.

    Attributes:
        values: Values in their units.
        degradations: Of watched ones: how much worse than usual they surely are (``comparison.surely_lost``).
    """

    values: dict[str, float] = {}
    degradations: dict[str, float] = {}


class KpiEvaluation(Noun):
    """KPIs of one place in the last hour, or in some hours if one has too small a sample.

    KPIs that could not be judged are absent.

    Attributes:
        level: A station, a region or the network.
        of: Its id; ``*`` for the network.
        end: End of the hour.
        whole: Of all that its cells counted.
        tenants: Of each tenant's part of it: indicators that tenants see.
        cells: Of a station, by id of the cell: watched indicators.
        verdicts: Of the network, by indicator: number of stations whose indicator was ``judged``, had ``too-few``
            samples, or was ``unmeasured``.
    """

    level: Level
    of: str
    end: AwareDatetime
    whole: IndicatorValues = IndicatorValues()
    tenants: dict[str, IndicatorValues] = {}
    cells: dict[str, IndicatorValues] = {}
    verdicts: dict[str, dict[str, int]] = {}


class _Hours:
    """Counts of an indicator at one station, of each hour once.

    Args:
        kpi: The indicator.
        hours: What the station counted in its last hours, and in the same ones of the days before.
        end: Of the last hour.
        cells: Which of its cells, as ``station/cell``.
    """

    def __init__(self, kpi: Kpi, hours: Iterable[Measured], end: datetime, cells: Collection[str]) -> None:
        self._kpi, self._end, self._cells = kpi, end, cells
        self._measured = {one.begin: one for one in hours}
        self._tallies: dict[datetime, Tally] = {}

    def alike(self) -> list[Tally]:
        """Counts of the last hour's like on the days before."""
        begin = self._end - _HOUR
        return [self._of(at) for at in self._measured if at < begin and _clock(at) == _clock(begin)]

    def windows(self, correlations: Sequence[float]) -> Iterator[tuple[Figure, Figure]]:
        """What is usual in these hours and what it is: in the last hour, then in more hours together."""
        before = self._end - max(POOLS) * _HOUR
        for count in POOLS:
            since = self._end - count * _HOUR
            like = {_clock(since + number * _HOUR) for number in range(count)}
            usual = self._together(at for at in self._measured if at < before and _clock(at) in like)
            now = self._together(at for at in self._measured if since <= at < self._end)
            yield (
                _usual(self._kpi, usual, before, correlations),
                figure(self._kpi, now, since, self._end, pooled=f"{count} h", correlations=correlations),
            )

    def _together(self, hours: Iterable[datetime]) -> Tally:
        found = Tally(self._kpi)
        for at in hours:
            found.merge(self._of(at))
        return found

    def _of(self, at: datetime) -> Tally:
        known = self._tallies.get(at)
        if known is None:
            known = self._tallies[at] = _by_hour(self._kpi, [self._measured[at]], EVERYBODY, self._cells)
        return known


class Comparison(NamedTuple):
    """A watched indicator of a station compared with the same hours of the days before.

    Attributes:
        verdict: By all hours that were looked at together.
        usual: What is usual.
        latest: What it is in the last hour, or in as many as the sample needs.
        begin: Begin of the hours of the verdict.
        hours: Number of them, in words.
    """

    verdict: Verdict
    usual: Figure
    latest: Figure
    begin: datetime
    hours: str


def _compared(kpi: Kpi, windows: Iterable[tuple[Figure, Figure]]) -> Comparison:
    """Compare more hours together for as long as fewer of them don't settle it."""
    first: tuple[Figure, Figure] | None = None
    for before, after in windows:
        if first is None or first[1].unjudged:
            first = before, after
        verdict = compare(kpi, before, after, chance=_BEYOND)
        if verdict.kind is not VerdictKind.UNJUDGED:
            break
    assert first is not None, "at least one window"
    return Comparison(verdict, *first, after.begin, after.pooled)


def _latest(
    kpi: Kpi, hours: Sequence[Measured], end: datetime, last: Tally | None, who: Subscribers, cells: Collection[str]
) -> Figure:
    """A KPI in the last hour, or in as many hours before ``end`` as its sample needs.

    Args:
        kpi: The indicator.
        hours: What the station counted in these hours, and maybe others before.
        end: Of the last hour.
        last: What it counted of the indicator in the last hour, where that is known.
        who: Whose part of it.
        cells: Which of its cells, as ``station/cell``.
    """

    def attempts() -> Iterator[tuple[str, datetime, datetime, Tally]]:
        for count in POOLS:
            since = end - count * _HOUR
            known = last if count == 1 else None
            counted = known or tally(kpi, (one for one in hours if one.begin >= since), who, cells)
            yield f"{count} h", since, end, counted

    return pooled(kpi, attempts())


def _usual(kpi: Kpi, counted: Tally, until: datetime, correlations: Sequence[float]) -> Figure:
    return figure(kpi, counted, until - timedelta(days=DAYS), until, correlations=correlations)


#: Level, name, and tenant (or empty).
_Part = tuple[Level, str, str]


class Sums(NamedTuple):
    """Counts of regions and the network in an hour, and in the same hours of the days before.

    Attributes:
        end: End of the hour.
        network: The network then.
        now: Counts of the hour, by part and indicator.
        before: Counts of the same hours of the days before.
        clusters: How far attempts share their fate at all stations, by watched indicator.
    """

    end: datetime
    network: Network
    now: dict[tuple[_Part, str], Tally]
    before: dict[tuple[_Part, str], Tally]
    clusters: dict[str, Clustering]


class Hour:
    """An hour while it is judged, station by station.

    Args:
        kpis: All indicators.
        tenant_kpis: Names of those that tenants see, each of its own part.
        network: Whose stations and agreements count.
        end: Of the hour.
        earlier: Hours before it, the latest first, for what needs more of a sample.
    """

    def __init__(
        self,
        kpis: Iterable[Kpi],
        tenant_kpis: Collection[str],
        network: Network,
        end: datetime,
        earlier: Collection[Sums] = (),
    ) -> None:
        self.end = end
        self._kpis, self._tenant_kpis, self._network = tuple(kpis), frozenset(tenant_kpis), network
        self._tenants = {name: subscribers_where_shared(network, name) for name in network.tenant_by_id}
        #: Of regions and the network.
        self.sums = Sums(end, network, {}, {}, {})
        #: This hour and the hours right before it, with the same network.
        self._row = [self.sums]
        for one in earlier:
            if one.network is network and one.end == end - len(self._row) * _HOUR:
                self._row.append(one)
        #: What is known of clusters: of the hour before, or of this one as far as it is judged.
        self._clusters = next((one.clusters for one in earlier), self.sums.clusters)
        self._verdicts: defaultdict[str, dict[str, int]] = defaultdict(
            lambda: {"judged": 0, "too-few": 0, "unmeasured": 0}
        )

    def take(self, station: str, hours: Sequence[Measured]) -> tuple[KpiEvaluation, dict[str, Comparison]]:
        """Judge a station, and add it to its region and the network.

        Args:
            station: One of the network.
            hours: What it counted in the last hours, and in the same ones of the days before.

        Returns:
            Its evaluation, and how watched indicators compare with what is usual.
        """
        names = {cell.id: cell.name for cell in self._network.cells_by_station.get(station, ())}
        cells = frozenset(names.values())
        recent = [one for one in hours if self.end - max(POOLS) * _HOUR <= one.begin < self.end]
        last = self._add_up(station, hours, cells)
        compared = {kpi.name: self._compared(kpi, hours, cells) for kpi in self._kpis if kpi.watched}
        whole = IndicatorValues({}, {})
        for kpi in (one for one in self._kpis if Level.STATION in one.levels):
            found = compared.get(kpi.name)
            before = found and found.usual
            after = found.latest if found else _latest(kpi, recent, self.end, last["", kpi.name], EVERYBODY, cells)
            verdict = "judged" if not after.unjudged else "too-few" if after.cells else "unmeasured"
            self._verdicts[kpi.name][verdict] += 1
            _say(whole, kpi, after, before)
        watched = [kpi for kpi in self._kpis if kpi.watched]
        of_tenants: dict[str, IndicatorValues] = {tenant: IndicatorValues({}, {}) for tenant, _ in last if tenant}
        for tenant, said in of_tenants.items():
            for kpi in (one for one in watched if one.name in self._tenant_kpis):
                own = last[tenant, kpi.name]
                _say(said, kpi, _latest(kpi, recent, self.end, own, self._tenants[tenant], cells))
        of_cells: dict[str, IndicatorValues] = {cell: IndicatorValues({}, {}) for cell in names}
        for cell, kpi in product(of_cells, (one for one in watched if Level.CELL in one.levels)):
            _say(of_cells[cell], kpi, _latest(kpi, recent, self.end, None, EVERYBODY, {names[cell]}))
        return (
            KpiEvaluation(
                level=Level.STATION,
                of=station,
                end=self.end,
                whole=whole,
                tenants={tenant: found for tenant, found in of_tenants.items() if found.values},
                cells={cell: found for cell, found in of_cells.items() if found.values},
            ),
            compared,
        )

    def _compared(self, kpi: Kpi, hours: Iterable[Measured], cells: Collection[str]) -> Comparison:
        """Compare an indicator of a station with what is usual, and learn from it how attempts are clustered."""
        counts = _Hours(kpi, hours, self.end, cells)
        own = Clustering.of(kpi, counts.alike())
        self.sums.clusters[kpi.name] = self.sums.clusters.get(kpi.name, Clustering()) + own.capped
        return _compared(kpi, counts.windows(own.among(self._clusters.get(kpi.name, Clustering()))))

    def _add_up(self, station: str, hours: Sequence[Measured], cells: frozenset[str]) -> dict[tuple[str, str], Tally]:
        """Add a station's counts to its region and the network.

        Returns:
            What it counted in the last hour, by tenant (an empty string for all) and indicator.
        """
        begin = self.end - _HOUR
        last = [one for one in hours if begin <= one.begin < self.end]
        same = [one for one in hours if one.begin < begin and last and _clock(one.begin) == _clock(last[0].begin)]
        region = self._network.region_of(station)
        shared = {name: who for name, who in self._tenants.items() if who.cells is None or who.cells & cells}
        found: dict[tuple[str, str], Tally] = {}
        for kpi in self._kpis:
            parts = {"": EVERYBODY} | (shared if kpi.name in self._tenant_kpis else {})
            for tenant, who in parts.items():
                now = found[tenant, kpi.name] = _by_hour(kpi, last, who, cells).fold()
                before = _by_hour(kpi, same if kpi.watched else (), who, cells).fold()
                for part in ((Level.REGION, region, tenant), (Level.NETWORK, "*", tenant)):
                    self.sums.now.setdefault((part, kpi.name), Tally(kpi)).merge(now)
                    self.sums.before.setdefault((part, kpi.name), Tally(kpi)).merge(before)
        return found

    def areas(self) -> list[KpiEvaluation]:
        """Evaluations of regions and of the network, of the stations so far."""
        found: dict[tuple[Level, str], dict[str, IndicatorValues]] = {(Level.NETWORK, "*"): {}}
        for part, counted in self.sums.now.items():
            ((level, name, tenant), _), kpi = part, counted.kpi
            if not tenant and level not in kpi.levels:
                continue
            correlations = self.sums.clusters.get(kpi.name, Clustering()).correlations
            after = pooled(kpi, self._attempts(part, kpi), correlations=correlations)
            hours = [one.before for one in self._row if one.end > after.begin]
            usual = _usual(kpi, _together(kpi, part, hours), after.begin, correlations) if kpi.watched else None
            _say(found.setdefault((level, name), {}).setdefault(tenant, IndicatorValues({}, {})), kpi, after, usual)
        return [
            KpiEvaluation(
                level=level,
                of=name,
                end=self.end,
                whole=said.pop("", IndicatorValues()),
                tenants={tenant: own for tenant, own in said.items() if own.values},
                verdicts=dict(self._verdicts) if level is Level.NETWORK else {},
            )
            for (level, name), said in found.items()
        ]

    def _attempts(self, part: tuple[_Part, str], kpi: Kpi) -> Iterator[tuple[str, datetime, datetime, Tally]]:
        """Counts of a region or the network in the last hour, then in more hours as far as known."""
        for count in POOLS[: None if kpi.joins else 1]:
            if count <= len(self._row):
                hours = [one.now for one in self._row[:count]]
                yield f"{count} h", self.end - count * _HOUR, self.end, _together(kpi, part, hours)


def _by_hour(kpi: Kpi, hours: Iterable[Measured], who: Subscribers, cells: Collection[str]) -> Tally:
    """Counts of hours, each of them a cluster."""
    found = Tally(kpi)
    for one in hours:
        found.merge(tally(kpi, [one], who, cells).as_cluster())
    return found


def _together(kpi: Kpi, part: tuple[_Part, str], hours: Iterable[Mapping[tuple[_Part, str], Tally]]) -> Tally:
    """Counts of a part in several hours."""
    found = Tally(kpi)
    for hour in hours:
        if part in hour:
            found.merge(hour[part])
    return found


def _clock(at: datetime) -> tuple[int, int]:
    """The time of day (UTC) at which an hour begins."""
    return at.hour, at.minute


def _say(said: IndicatorValues, kpi: Kpi, after: Figure, before: Figure | None = None) -> None:
    """Add the value of a figure that can be judged."""
    if after.unjudged or after.value is None:
        return
    said.values[kpi.name] = _digits(after.value)
    if before is not None and (worse := surely_lost(kpi, before, after)) is not None:
        said.degradations[kpi.name] = _digits(worse)


def _digits(value: float) -> float:
    """Round to six digits, which is precise enough."""
    return float(f"{value:.6g}")
