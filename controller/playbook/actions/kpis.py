"""Shipped actions on key performance indicators: read them before a change and after it, and compare.

Performance data comes once a period, by default every 15 minutes, so it can't gate a commit; ``soak_checks`` use
it. Indicators are those of ``controller.performance.kpis``, for playbooks as for people. Where the sample of one period
is too small, as at night, periods on record are taken together, then stations around; what can't be judged even so is
reported, and a playbook may let the check fail instead.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal

from pydantic import AwareDatetime, Field

from controller.intent.central_units import counted_for
from controller.intent.neighbours import nearest_stations
from controller.inventory.source import unknown
from controller.models.errors import DeviceError, InputError
from controller.models.many import first_names
from controller.models.measurement import Measured
from controller.models.network import Network, Noun
from controller.performance.comparison import (
    Figure,
    NotJudged,
    VerdictKind,
    compare,
    figure,
    pooled,
    why_not_in_words,
)
from controller.performance.kpis import Kpi, KpiCategory, Statistic, Tally, tally
from controller.performance.vocabulary import measured
from controller.playbook.actions.configuration import NoInputs
from controller.playbook.language.registry import Context, DeviceAccess, Remarks, UnmetCondition, action

#: Stations that one station's job reads at the same time.
_PARALLEL = 10
_UNMEASURED = "the station has no measurement job"
#: How far back periods on record are combined, one step after the other until the sample suffices.
_BACK = {"an hour": timedelta(hours=1), "4 hours": timedelta(hours=4), "a day": timedelta(days=1)}
_DAY = _BACK["a day"]
#: The shortest period that can be judged.
_SECOND = timedelta(seconds=1)
#: Numbers of nearest stations that are combined with a small one.
_AROUND = (4, 12, 36)
#: KPIs that a gate judges unless it names others: without throughput, which depends on the number of users, and without
#: voice, of which most stations have too few calls.
_GATED = frozenset(
    {KpiCategory.ACCESSIBILITY, KpiCategory.RETAINABILITY, KpiCategory.MOBILITY, KpiCategory.AVAILABILITY}
)


class Kpis(Remarks):
    """Indicators of the whole station in its latest full period; none where it has no measurement job."""

    read: AwareDatetime | None = Field(default=None, description="Time of the read, by the station's clock.")
    begin: AwareDatetime | None = Field(default=None, description="Begin of the period.")
    end: AwareDatetime | None = Field(default=None, description="End of the period.")
    suspect: bool = Field(default=False, description="Whether the station did not run for the whole period.")
    values: dict[str, Figure] = Field(
        default={},
        description="By indicator, `value`, `low` and `high` of its interval, `sample`, `why` it is not judged, and "
        "`unjudged`, its code.",
    )


class Bounds(Noun):
    """What is compared, and what is borne."""

    kpis: tuple[str, ...] = Field(
        default=(),
        max_length=100,
        description="Which indicators; empty for those of accessibility, retainability, mobility and availability.",
    )
    worst_drop: float = Field(
        default=2.0, ge=0, le=100, description="Percentage points that each indicator in per cent may lose."
    )
    min_samples: float | None = Field(
        default=None,
        ge=0,
        description="Attempts that a share needs to be judged, instead of its own minimum; 0 judges whatever there is.",
    )
    settle: float = Field(
        default=300, ge=0, le=86400, description="Seconds after the first reading that still belong to the change."
    )
    required: bool = Field(default=False, description="Whether it also fails if an indicator is not judged.")

    def minimum(self, kpi: Kpi) -> float | None:
        """The minimum sample that the step sets for a KPI; None leaves it to the KPI."""
        return self.min_samples if self.min_samples == 0 or kpi.statistic is Statistic.SHARE else None

    def tolerance(self, kpi: Kpi) -> float:
        """How much worse a KPI may become."""
        return self.worst_drop if kpi.unit == "%" else kpi.tolerance


class Comparison(Bounds):
    """What is compared with what was before."""

    before: Kpis = Field(description="Output of `read-kpis` right before the change.")


class ComparisonResult(Remarks):
    """Which indicators were judged, and which could not be."""

    judged: dict[str, str] = Field(description="Value before and after, by indicator.")
    not_judged: dict[str, str] = Field(description="Why it could not be judged, by indicator.")


@action("read-kpis", DeviceAccess.READS)
async def read_kpis(context: Context, _: NoInputs) -> Kpis:
    """Read the indicators of the station's latest full period. Put it right before the change.

    Where its sample is too small, periods on record before it are taken together with it, up to a day. The station
    needs an unlocked measurement job (PerfMetricJob); of several the longest period counts. Without one, `begin` is
    none, which a check may refuse before anything is changed.
    """
    return await kpis_of(context)


def _check_names(names: Iterable[str], known: Collection[str]) -> None:
    for name in names:
        if name not in known:
            raise InputError(unknown("KPI", name, known))


async def _are_kpis(context: Context, given: Mapping[str, Any]) -> None:
    """Whether there are these KPIs, whatever they were before the change."""
    if names := given.get("kpis"):
        _check_names(names, {kpi.name for kpi in await context.kpis()})


@action("check-kpis", DeviceAccess.READS, judges=_are_kpis)
async def check_kpis(context: Context, given: Comparison) -> ComparisonResult | UnmetCondition:
    """Fail if an indicator is worse after the change than before, by more than it may be and more than by chance.

    For `soak_checks`, after a soak of at least two periods. All full periods after the change count. Where their sample
    is too small, so do the nearest stations, before and after. Without a full period, or if the sample is too small
    even so, an indicator is not judged: that fails with `required` only, and is reported with the job's outcome.
    """
    since = _since(given.before, given)
    after = await kpis_of(context, since=since, bounds=given)
    return await _judged(context, context.station, given.before, after, given)


async def kpis_of(
    context: Context, station: str = "", since: datetime | None = None, bounds: Bounds | None = None
) -> Kpis:
    """KPIs of the context's station, or of another one; only from a time on, if one is given.

    Raises:
        DeviceError: The station can't be read.
    """
    name = station or context.station
    periods = [one for one in await context.measurements(station) if one.end - one.begin >= _SECOND]
    now = (await context.equipment(station)).now
    if not periods:
        return Kpis(read=now, remark=f"{_UNMEASURED}: no indicator will be judged")
    longest = max(period.end - period.begin for period in periods)
    latest = measured(name, (one for one in periods if one.end - one.begin == longest)).periods[-1]
    latest = await _with_central_half(context, latest)
    back = latest.begin - _DAY if since is None else since
    earlier = await context.recorded(back, latest.begin, [name]) if back < latest.begin else []
    counted = [*(one for one in earlier if _end(one) <= latest.begin), latest]
    values = {}
    for kpi in await context.kpis():
        minimum = bounds.minimum(kpi) if bounds else None
        found = pooled(kpi, _attempts(kpi, counted, since), minimum)
        if found.cells or found.unjudged is not NotJudged.NOT_MEASURED:
            values[kpi.name] = found
    end = _end(latest)
    return Kpis(read=now, begin=latest.begin, end=end, suspect=latest.suspect, values=values)


async def _with_central_half(context: Context, latest: Measured) -> Measured:
    """Counters of a station together with those of its central unit for its cells in the same period.

    Raises:
        DeviceError: That can't be read.
    """
    unit = context.network.gnb_of(latest.station)
    if unit == latest.station:
        return latest
    counted = measured(unit, await context.measurements(unit), counted_for(context.network, unit)).others
    key = latest.station, latest.begin, latest.seconds
    cells = {cell: dict(counters) for cell, counters in latest.cells.items()}
    halves = [one for one in counted if (one.station, one.begin, one.seconds) == key]
    for cell, counters in (item for one in halves for item in one.cells.items()):
        cells[cell] = {**counters, **cells.get(cell, {})}
    suspect = latest.suspect or any(one.suspect for one in halves)
    return latest.model_copy(update={"cells": cells, "suspect": suspect})


def _end(period: Measured) -> datetime:
    return period.begin + timedelta(seconds=period.seconds)


def _attempts(
    kpi: Kpi, counted: Sequence[Measured], since: datetime | None
) -> Iterator[tuple[str, datetime, datetime, Tally]]:
    """The latest period, then longer and longer times before it; after a change all periods at once."""
    latest, end = counted[-1], _end(counted[-1])
    if since is not None:
        yield "", counted[0].begin, end, tally(kpi, counted)
        return
    yield "", latest.begin, end, tally(kpi, [latest])
    for words, back in _BACK.items():
        together = [one for one in counted if one.begin >= end - back]
        if len(together) > 1:
            yield f"{words} together", together[0].begin, end, tally(kpi, together)


def _since(before: Kpis, given: Bounds) -> datetime | None:
    """The time from which a period counts as after the change."""
    return before.read + timedelta(seconds=given.settle) if before.read else None


async def _judged(
    context: Context, station: str, before: Kpis, after: Kpis, given: Bounds
) -> ComparisonResult | UnmetCondition:
    """KPIs of a station before and after; those not measured before are remarked already."""
    known = {kpi.name: kpi for kpi in await context.kpis()}
    judged: dict[str, str] = {}
    not_judged: dict[str, str] = {}
    worse: list[str] = []
    _check_names(given.kpis, known)
    for name in given.kpis or _asked(known.values(), before, after):
        word, words = await _verdict(context, station, known[name], before, after, given)
        (not_judged if word is VerdictKind.UNJUDGED else judged)[name] = words
        if word is VerdictKind.WORSE:
            worse.append(f"{name}: {words}")
    missing = f"not judged: {_words(not_judged)}" if not_judged else ""
    if worse or (given.required and missing):
        return UnmetCondition("; ".join(worse) or missing)
    return ComparisonResult(judged=judged, not_judged=not_judged, remark=missing if before.begin else "")


def _asked(known: Iterable[Kpi], before: Kpis, after: Kpis) -> list[str]:
    """KPIs that show whether all is well: the measured ones, or all."""
    gated = [kpi.name for kpi in known if kpi.category in _GATED and kpi.better != "neither"]
    return [name for name in gated if name in before.values or name in after.values] or gated


async def _verdict(
    context: Context, station: str, kpi: Kpi, before: Kpis, after: Kpis, given: Bounds
) -> tuple[VerdictKind, str]:
    """The verdict about one KPI."""
    if before.read is None or before.begin is None or after.begin is None:
        return VerdictKind.UNJUDGED, f"{_UNMEASURED}, does not tell the time, or can't be read"
    since = before.read + timedelta(seconds=given.settle)
    if after.begin < since:
        return VerdictKind.UNJUDGED, "no full period has passed since the change"
    old, new = before.values.get(kpi.name), after.values.get(kpi.name)
    if old is None or new is None:
        return VerdictKind.UNJUDGED, why_not_in_words(NotJudged.NOT_MEASURED, kpi.statistic)
    minimum, chance = given.minimum(kpi), float(given.min_samples != 0)
    old = _by(old, minimum)
    found = compare(kpi, old, new, given.tolerance(kpi), chance=chance)
    if found.kind is VerdictKind.UNJUDGED and old.value is not None and new.value is not None and after.end is not None:
        around = await _around(context, station, kpi, (before.read - _DAY, before.read), (since, after.end), minimum)
        if around is not None:
            words, old, new = around
            wider = compare(kpi, old, new, given.tolerance(kpi), chance=chance)
            if wider.kind is not VerdictKind.UNJUDGED:
                return wider.kind, f"{wider.words}, with {words}"
    return found.kind, found.words


def _by(one: Figure, minimum: float | None) -> Figure:
    """A figure by the minimum sample of this step, and not by that of the reading step."""
    if minimum is None or one.value is None:
        return one
    if one.sample >= minimum:
        return one.model_copy(update={"unjudged": None, "why": ""})
    if one.unjudged is not None:
        return one
    why = why_not_in_words(NotJudged.TOO_FEW, Statistic.SHARE, one.sample, minimum)
    return one.model_copy(update={"unjudged": NotJudged.TOO_FEW, "why": why})


async def _around(
    context: Context,
    station: str,
    kpi: Kpi,
    before: tuple[datetime, datetime],
    after: tuple[datetime, datetime],
    minimum: float | None,
) -> tuple[str, Figure, Figure] | None:
    """A KPI of a station and its nearest ones on record; None if even that sample is too small."""
    near = nearest_stations(context.network, station, max(_AROUND))
    both = [await context.recorded(*span, [station, *near]) for span in (before, after)] if near else []
    if not all(any(one.station == station for one in span) for span in both):
        return None  # A station is never judged by others alone.
    for count in _AROUND if both else ():
        names = {station, *near[:count]}
        tallies = [tally(kpi, (one for one in span if one.station in names)) for span in both]
        spans = zip((before, after), tallies, strict=True)
        old, new = (figure(kpi, counted, *span, minimum) for span, counted in spans)
        if not old.unjudged and not new.unjudged:
            return f"{min(count, len(near))} stations around", old, new
    return None


def _words(not_judged: Mapping[str, str]) -> str:
    """KPIs by the reason why they are not judged."""
    names: dict[str, list[str]] = {}
    for name, why in not_judged.items():
        names.setdefault(why, []).append(name)
    return "; ".join(f"{', '.join(alike)} ({why})" for why, alike in names.items())


class NeighbourChoice(Noun):
    """Which stations around the device are read."""

    tenant: str = Field(default="", description="Only shared stations that this tenant's agreements reach.")
    within: Literal["region", "site", "served"] = Field(
        default="region", description="Those of the region or of the site, or those that depend on the device."
    )


class NeighbourKpis(Remarks):
    """Indicators of shared stations around."""

    stations: dict[str, Kpis] = Field(description="Indicators by station; no period if it could not be read.")


class NeighbourComparison(Bounds):
    """What is compared with what was before."""

    before: NeighbourKpis = Field(description="Output of `read-neighbour-kpis` right before the change.")


class NeighbourResult(Remarks):
    """What came of it."""

    stations: dict[str, ComparisonResult] = Field(description="By station, `judged` and `not_judged`.")


@action("read-neighbour-kpis", DeviceAccess.READS)
async def read_neighbour_kpis(context: Context, given: NeighbourChoice) -> NeighbourKpis:
    """Read the indicators of all stations of the region (or site), or of shared ones that a tenant's agreements reach.

    Put it right before the tenant's own station is shut down, or the way of a site is changed. `remark` names those
    without measurements.
    """
    if given.tenant:
        stations: Collection[str] = await context.neighbours(given.tenant, given.within)
    else:
        stations = _stations_around(context.network, context.station, given.within)
    found = await _read_all(context, stations)
    without = [station for station, kpis in found.items() if kpis.begin is None]
    remark = f"no indicator will be judged of {first_names(without, 5)}: not measured" if without else ""
    return NeighbourKpis(stations=found, remark=remark)


@action("check-neighbour-kpis", DeviceAccess.READS, judges=_are_kpis)
async def check_neighbour_kpis(context: Context, given: NeighbourComparison) -> NeighbourResult | UnmetCondition:
    """Fail if an indicator of one of these stations is worse than before.

    For `soak_checks`; judged as in `check-kpis`.
    """
    before = given.before.stations
    after = await _read_all(context, before, {name: _since(kpis, given) for name, kpis in before.items()}, given)
    well: dict[str, ComparisonResult] = {}
    worse: list[str] = []
    for station, kpis in before.items():
        said = await _judged(context, station, kpis, after[station], given)
        if isinstance(said, UnmetCondition):
            worse.append(f"{station}: {said.reason}")
        else:
            well[station] = said
    if worse:
        return UnmetCondition(first_names(worse, 5, "; "))
    remarks = [f"{station}: {said.remark}" for station, said in well.items() if said.remark]
    return NeighbourResult(stations=well, remark=first_names(remarks, 5, "; "))


def _stations_around(network: Network, device: str, within: str) -> Collection[str]:
    if within == "served":
        return network.stations_behind(device)
    place_of = network.region_of if within == "region" else network.site_of
    here = place_of(device)
    return sorted(one.id for one in network.stations if place_of(one.id) == here)


async def _read_all(
    context: Context,
    stations: Collection[str],
    since: Mapping[str, datetime | None] | None = None,
    bounds: Bounds | None = None,
) -> dict[str, Kpis]:
    gate = asyncio.Semaphore(_PARALLEL)

    async def one(station: str) -> Kpis:
        async with gate:
            try:
                return await kpis_of(context, station, since[station] if since else None, bounds)
            except DeviceError:
                return Kpis()

    names = tuple(stations)
    return dict(zip(names, await asyncio.gather(*map(one, names)), strict=True))


KPIS = (read_kpis, check_kpis, read_neighbour_kpis, check_neighbour_kpis)
