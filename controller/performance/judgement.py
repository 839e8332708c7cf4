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
from controller.performance.comparison import Figure, figure, pooled, surely_lost
from controller.performance.kpis import EVERYBODY, Kpi, Level, Subscribers, Tally, subscribers_where_shared, tally

_HOUR = timedelta(seconds=HOUR)
#: Numbers of latest hours that are combined until the sample of a station or cell suffices.
POOLS = (1, 2, 4)
#: How long an hour is shown after its end, by when a newer one should exist.
FRESH = timedelta(hours=3)
#: Number of days before whose same hours define what is usual.
DAYS = 7


class IndicatorValues(NamedTuple):
    """Values and losses of the KPIs that could be judged, by name.

    Attributes:
        values: Values in their units.
        losses: Of watched ones: how much worse than usual they surely are (``comparison.surely_lost``).
    """

    values: dict[str, float] = {}
    losses: dict[str, float] = {}


class Judgement(Noun):
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


def _degraded(
    kpi: Kpi, hours: Sequence[Measured], end: datetime, last: Tally, cells: Collection[str]
) -> tuple[Figure, Figure]:
    """A KPI of one station in the same hours of the days before, and in the last hours before ``end``."""
    begin = end - max(POOLS) * _HOUR
    after = _latest(kpi, hours, end, last, EVERYBODY, cells)
    like = {(one.hour, one.minute) for one in _starts(after.begin, end)}
    earlier = [one for one in hours if one.begin < begin and (one.begin.hour, one.begin.minute) in like]
    return _usual(kpi, tally(kpi, earlier, EVERYBODY, cells), begin), after


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


def _usual(kpi: Kpi, counted: Tally, until: datetime) -> Figure:
    return figure(kpi, counted, until - timedelta(days=DAYS), until)


def _starts(begin: datetime, end: datetime) -> Iterator[datetime]:
    while begin < end:
        yield begin
        begin += _HOUR


#: Level, name, and tenant (or empty).
_Part = tuple[Level, str, str]


class Sums(NamedTuple):
    """Counts of regions and the network in an hour, and in the same hours of the days before.

    Attributes:
        end: End of the hour.
        network: The network then.
    """

    end: datetime
    network: Network
    now: dict[tuple[_Part, str], Tally]
    before: dict[tuple[_Part, str], Tally]


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
        earlier: Iterable[Sums] = (),
    ) -> None:
        self.end = end
        self._kpis, self._tenant_kpis, self._network = tuple(kpis), frozenset(tenant_kpis), network
        self._tenants = {name: subscribers_where_shared(network, name) for name in network.tenant_by_id}
        #: Of regions and the network.
        self.sums = Sums(end, network, {}, {})
        #: This hour and the hours right before it, with the same network.
        self._row = [self.sums]
        for one in earlier:
            if one.network is network and one.end == end - len(self._row) * _HOUR:
                self._row.append(one)
        self._verdicts: defaultdict[str, dict[str, int]] = defaultdict(
            lambda: {"judged": 0, "too-few": 0, "unmeasured": 0}
        )

    def take(self, station: str, hours: Sequence[Measured]) -> tuple[Judgement, dict[str, tuple[Figure, Figure]]]:
        """Judge a station, and add it to its region and the network.

        Args:
            station: One of the network.
            hours: What it counted in the last hours, and in the same ones of the days before.

        Returns:
            Its judgement, and of each watched indicator what is usual and what it is.
        """
        names = {cell.id: cell.name for cell in self._network.cells_by_station.get(station, ())}
        cells = frozenset(names.values())
        recent = [one for one in hours if self.end - max(POOLS) * _HOUR <= one.begin < self.end]
        last = self._add_up(station, hours, cells)
        compared = {
            kpi.name: _degraded(kpi, hours, self.end, last["", kpi.name], cells) for kpi in self._kpis if kpi.watched
        }
        whole = IndicatorValues({}, {})
        for kpi in (one for one in self._kpis if Level.STATION in one.levels):
            before, after = compared.get(kpi.name, (None, None))
            after = after or _latest(kpi, recent, self.end, last["", kpi.name], EVERYBODY, cells)
            verdict = "judged" if not after.why else "too-few" if after.cells else "unmeasured"
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
            Judgement(
                level=Level.STATION,
                of=station,
                end=self.end,
                whole=whole,
                tenants={tenant: found for tenant, found in of_tenants.items() if found.values},
                cells={cell: found for cell, found in of_cells.items() if found.values},
            ),
            compared,
        )

    def _add_up(self, station: str, hours: Sequence[Measured], cells: frozenset[str]) -> dict[tuple[str, str], Tally]:
        """Add a station's counts to its region and the network.

        Returns:
            What it counted in the last hour, by tenant (an empty string for all) and indicator.
        """
        begin = self.end - _HOUR
        last = [one for one in hours if begin <= one.begin < self.end]
        same = [one for one in hours if one.begin < begin and last and _same_hour(one, last[0])]
        region = self._network.region_of(station)
        shared = {name: who for name, who in self._tenants.items() if who.cells is None or who.cells & cells}
        found: dict[tuple[str, str], Tally] = {}
        for kpi in self._kpis:
            parts = {"": EVERYBODY} | (shared if kpi.name in self._tenant_kpis else {})
            for tenant, who in parts.items():
                now = found[tenant, kpi.name] = tally(kpi, last, who, cells).fold()
                before = tally(kpi, same if kpi.watched else (), who, cells).fold()
                for part in ((Level.REGION, region, tenant), (Level.NETWORK, "*", tenant)):
                    self.sums.now.setdefault((part, kpi.name), Tally(kpi)).merge(now)
                    self.sums.before.setdefault((part, kpi.name), Tally(kpi)).merge(before)
        return found

    def areas(self) -> list[Judgement]:
        """Judgements of regions and of the network, of the stations so far."""
        found: dict[tuple[Level, str], dict[str, IndicatorValues]] = {(Level.NETWORK, "*"): {}}
        for part, counted in self.sums.now.items():
            ((level, name, tenant), _), kpi = part, counted.kpi
            if not tenant and level not in kpi.levels:
                continue
            after = pooled(kpi, self._attempts(part, kpi))
            hours = [one.before for one in self._row if one.end > after.begin]
            usual = _usual(kpi, _together(kpi, part, hours), after.begin) if kpi.watched else None
            _say(found.setdefault((level, name), {}).setdefault(tenant, IndicatorValues({}, {})), kpi, after, usual)
        return [
            Judgement(
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


def _together(kpi: Kpi, part: tuple[_Part, str], hours: Iterable[Mapping[tuple[_Part, str], Tally]]) -> Tally:
    """Counts of a part in several hours."""
    found = Tally(kpi)
    for hour in hours:
        if part in hour:
            found.merge(hour[part])
    return found


def _same_hour(one: Measured, other: Measured) -> bool:
    return (one.begin.hour, one.begin.minute) == (other.begin.hour, other.begin.minute)


def _say(said: IndicatorValues, kpi: Kpi, after: Figure, before: Figure | None = None) -> None:
    """Add the value of a figure that can be judged."""
    if after.why or after.value is None:
        return
    said.values[kpi.name] = _digits(after.value)
    if before is not None and (loss := surely_lost(kpi, before, after)) is not None:
        said.losses[kpi.name] = _digits(loss)


def _digits(value: float) -> float:
    """Round to six digits, which is precise enough."""
    return float(f"{value:.6g}")
