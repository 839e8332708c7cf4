"""Shipped actions on key performance indicators: full granularity periods before and after a change, compared.

Performance data comes once a period, by default every 15 minutes, so it can't gate a commit; ``soak_checks`` use
it. Indicators with too few samples are not judged, which is reported; a playbook may let the check fail instead.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Literal, get_args

from pydantic import AwareDatetime, Field

from controller.models.errors import DeviceError
from controller.models.measurement import Period, Ratio
from controller.models.network import Noun
from controller.playbook.actions.configuration import Nothing
from controller.playbook.actions.retirement import Neighbours
from controller.playbook.language.registry import Context, Remarked, Touches, Unmet, action

KpiName = Literal[
    "availability",
    "rrc-setup-success",
    "s1-setup-success",
    "context-setup-success",
    "session-setup-success",
    "handover-success",
]
#: Stations that one station's job reads at once.
_PARALLEL = 10
_ALL: tuple[KpiName, ...] = get_args(KpiName)
_UNMEASURED = "the station has no measurement job"
#: What succeeded, and of what, by the names of counters with all their subcounters (TS 32.425, TS 28.552).
_SUCCESS: Mapping[KpiName, tuple[str, str]] = {
    "rrc-setup-success": ("RRC.ConnEstabSucc", "RRC.ConnEstabAtt"),
    "s1-setup-success": ("S1SIG.ConnEstabSucc", "S1SIG.ConnEstabAtt"),
    "context-setup-success": ("UECNTX.ConnEstabSucc", "UECNTX.ConnEstabAtt"),
    "session-setup-success": ("SM.PDUSessionSetupSucc", "SM.PDUSessionSetupReq"),
    "handover-success": ("MM.HoExeInterSucc", "MM.HoExeInterReq"),
}
#: Seconds lost to faults only: who locks a cell means it.
#: TS 32.425 has a counter for LTE, TS 28.552 none for NR: there it is the vendor's.
_FAULTS = ("RRU.CellUnavailableTime.fault", "minka-CellUnavailableTime.fault")


class Kpis(Remarked):
    """Indicators of the whole station in its latest full period; none where it has no measurement job."""

    read: AwareDatetime | None = Field(default=None, description="Time of the read, by the station's clock.")
    begin: AwareDatetime | None = Field(default=None, description="Begin of the period.")
    end: AwareDatetime | None = Field(default=None, description="End of the period.")
    suspect: bool = Field(default=False, description="Whether the station did not run for the whole period.")
    values: dict[str, Ratio] = Field(default={}, description="`good` of `total`, by indicator.")


class Bounds(Noun):
    """What is compared, and what is borne."""

    kpis: tuple[KpiName, ...] = Field(default=(), description="Which indicators; empty for all that are measured.")
    worst_drop: float = Field(default=2.0, ge=0, le=100, description="Percentage points that each indicator may lose.")
    min_samples: float = Field(
        default=100, ge=0, description="Attempts that each period needs for an indicator to be judged."
    )
    settle: float = Field(
        default=300, ge=0, le=86400, description="Seconds after the first reading that still belong to the change."
    )
    required: bool = Field(default=False, description="Whether it also fails if an indicator is not judged.")


class Comparison(Bounds):
    """What is compared with what was before."""

    before: Kpis = Field(description="Output of `read-kpis` right before the change.")


class Compared(Remarked):
    """What came of it."""

    judged: dict[str, str] = Field(description="Percentage before and after, by indicator.")
    not_judged: dict[str, str] = Field(description="Why it could not be judged, by indicator.")


@action("read-kpis", Touches.READS)
async def read_kpis(context: Context, _: Nothing) -> Kpis:
    """Read the indicators of the station's latest full period. Put it right before the change.

    The station needs an unlocked measurement job (PerfMetricJob); of several the longest period counts. Without one,
    `begin` is none, which a check may refuse before anything is changed.
    """
    return await kpis_of(context)


@action("check-kpis", Touches.READS)
async def check_kpis(context: Context, given: Comparison) -> Compared | Unmet:
    """Fail if an indicator is worse in the latest full period after the change than in the one before.

    For `soak_checks`, after a soak of at least two periods. Without a full period, or with too few samples, an
    indicator is not judged: that fails with `required` only, and is reported with the job's outcome.
    """
    return compare(given.before, await kpis_of(context), given)


def compare(before: Kpis, after: Kpis, given: Bounds) -> Compared | Unmet:
    """The indicators of a station before and after; what was not measured before is remarked already."""
    measured = [name for name in _ALL if name in before.values or name in after.values]
    judged: dict[str, str] = {}
    not_judged: dict[KpiName, str] = {}
    worse: list[str] = []
    for name in given.kpis or measured or _ALL:
        if reason := _not_comparable(name, before, after, given):
            not_judged[name] = reason
            continue
        old, new = before.values[name].percent, after.values[name].percent
        judged[name] = f"{old:.2f} % before, {new:.2f} % after"
        if old - new > given.worst_drop:
            worse.append(f"{name}: {judged[name]}")
    unknown = f"not judged: {_words(not_judged)}" if not_judged else ""
    if worse or (given.required and unknown):
        return Unmet("; ".join(worse) or unknown)
    return Compared(judged=judged, not_judged=not_judged, remark=unknown if before.begin else "")


def indicators(period: Period) -> dict[str, Ratio]:
    """The indicators of all objects of a period together."""
    found: dict[str, Ratio] = {}
    for name, (succeeded, tried) in _SUCCESS.items():
        if total := _sum(period.values.values(), tried):
            found[name] = Ratio(good=_sum(period.values.values(), succeeded), total=total)
    lost = [counters[name] for counters in period.values.values() for name in _FAULTS if name in counters]
    if lost:
        total = len(lost) * (period.end - period.begin).total_seconds()
        found["availability"] = Ratio(good=total - sum(lost), total=total)
    return found


def _sum(objects: Iterable[Mapping[str, float]], counter: str) -> float:
    return sum(
        value for counters in objects for name, value in counters.items() if f"{name}.".startswith(f"{counter}.")
    )


def _words(not_judged: Mapping[KpiName, str]) -> str:
    """Indicators by why they are not judged."""
    reasons = dict.fromkeys(not_judged.values())
    return "; ".join(
        f"{', '.join(name for name, why in not_judged.items() if why == reason)} ({reason})" for reason in reasons
    )


def _not_comparable(name: KpiName, before: Kpis, after: Kpis, given: Bounds) -> str:
    """Why an indicator can't be judged, or an empty string."""
    if before.read is None or before.begin is None or after.begin is None:
        return f"{_UNMEASURED}, does not tell the time, or can't be read"
    if after.begin < before.read + timedelta(seconds=given.settle):
        return "no full period has passed since the change"
    if before.suspect or after.suspect:
        return "the station did not run all the time"
    if name not in before.values or name not in after.values:
        return "it is not measured"
    fewest = min(before.values[name].total, after.values[name].total)
    if fewest < given.min_samples:
        return f"only {fewest:g} samples, and {given.min_samples:g} are needed"
    return ""


async def kpis_of(context: Context, station: str = "") -> Kpis:
    """The indicators of the context's station, or of another one. Raises DeviceError."""
    periods = await context.measurements(station)
    now = (await context.equipment(station)).now
    if not periods:
        return Kpis(read=now, remark=f"{_UNMEASURED}: no indicator will be judged")
    longest = max(periods, key=lambda period: period.end - period.begin)
    return Kpis(read=now, begin=longest.begin, end=longest.end, suspect=longest.suspect, values=indicators(longest))


class NeighbourKpis(Remarked):
    """Indicators of shared stations around."""

    stations: dict[str, Kpis] = Field(description="Indicators by station; no period if it could not be read.")


class NeighbourComparison(Bounds):
    """What is compared with what was before."""

    before: NeighbourKpis = Field(description="Output of `read-neighbour-kpis` right before the change.")


class ComparedNeighbours(Remarked):
    """What came of it."""

    stations: dict[str, Compared] = Field(description="By station, `judged` and `not_judged`.")


@action("read-neighbour-kpis", Touches.READS)
async def read_neighbour_kpis(context: Context, given: Neighbours) -> NeighbourKpis:
    """Read the indicators of all shared stations of the region (or site) that the tenant's agreements reach.

    Put it right before the tenant's own station is shut down. `remark` names those without measurements.
    """
    found = await _read_all(context, await context.neighbours(given.tenant, given.within))
    without = [station for station, kpis in found.items() if kpis.begin is None]
    more = f" and {len(without) - 5} more" if len(without) > 5 else ""
    remark = f"no indicator will be judged of {', '.join(without[:5])}{more}: not measured" if without else ""
    return NeighbourKpis(stations=found, remark=remark)


@action("check-neighbour-kpis", Touches.READS)
async def check_neighbour_kpis(context: Context, given: NeighbourComparison) -> ComparedNeighbours | Unmet:
    """Fail if an indicator of a neighbouring shared station is worse than before this station was shut down.

    For `soak_checks`; judged as in `check-kpis`.
    """
    after = await _read_all(context, given.before.stations)
    well: dict[str, Compared] = {}
    worse: list[str] = []
    for station, before in given.before.stations.items():
        said = compare(before, after[station], given)
        if isinstance(said, Unmet):
            worse.append(f"{station}: {said.reason}")
        else:
            well[station] = said
    if worse:
        return Unmet("; ".join(worse[:5]))
    remarks = [f"{station}: {said.remark}" for station, said in well.items() if said.remark]
    return ComparedNeighbours(stations=well, remark="; ".join(remarks[:5]))


async def _read_all(context: Context, stations: Iterable[str]) -> dict[str, Kpis]:
    gate = asyncio.Semaphore(_PARALLEL)

    async def one(station: str) -> Kpis:
        async with gate:
            try:
                return await kpis_of(context, station)
            except DeviceError:
                return Kpis()

    names = tuple(stations)
    return dict(zip(names, await asyncio.gather(*map(one, names)), strict=True))


KPIS = (read_kpis, check_kpis, read_neighbour_kpis, check_neighbour_kpis)
