"""Shipped actions on key performance indicators: full granularity periods before and after a change, compared.

Performance data comes once a period, by default every 15 minutes, so it can't gate a commit: it is looked at in
``soak_checks``. What is based on too few samples is not judged, and said so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Literal, get_args

from pydantic import AwareDatetime, Field

from controller.models.measurement import Period, Ratio
from controller.models.network import Noun
from controller.playbook.changing import Nothing
from controller.playbook.registry import Context, Touches, Unmet, action

KpiName = Literal[
    "availability",
    "rrc-setup-success",
    "s1-setup-success",
    "context-setup-success",
    "session-setup-success",
    "handover-success",
]
#: What succeeded, and of what, by the names of counters with all their subcounters (TS 32.425, TS 28.552).
_SUCCESS: Mapping[KpiName, tuple[str, str]] = {
    "rrc-setup-success": ("RRC.ConnEstabSucc", "RRC.ConnEstabAtt"),
    "s1-setup-success": ("S1SIG.ConnEstabSucc", "S1SIG.ConnEstabAtt"),
    "context-setup-success": ("UECNTX.ConnEstabSucc", "UECNTX.ConnEstabAtt"),
    "session-setup-success": ("SM.PDUSessionSetupSucc", "SM.PDUSessionSetupReq"),
    "handover-success": ("MM.HoExeInterSucc", "MM.HoExeInterReq"),
}
#: Seconds lost to faults only: who locks a cell means it.
_UNAVAILABLE = "RRU.CellUnavailableTime"
_FAULT = f"{_UNAVAILABLE}.fault"


class Kpis(Noun):
    """Indicators of the whole station in its latest full period; none where it has no measurement job."""

    read: AwareDatetime | None = Field(default=None, description="When they were read, by the station's clock.")
    begin: AwareDatetime | None = Field(default=None, description="When the period began.")
    end: AwareDatetime | None = Field(default=None, description="When it ended.")
    suspect: bool = Field(default=False, description="Whether the station did not run all the time.")
    values: dict[str, Ratio] = Field(default={}, description="By name of the indicator: `good` of `total`.")


class Comparison(Noun):
    """What is compared, and what is borne."""

    before: Kpis = Field(description="What `read-kpis` said right before the change.")
    kpis: tuple[KpiName, ...] = Field(
        default=get_args(KpiName), description="Which indicators; those not there are none."
    )
    worst_drop: float = Field(default=2.0, ge=0, le=100, description="Percentage points that each may lose.")
    min_samples: float = Field(default=100, ge=0, description="Attempts in each period without which it is not judged.")
    settle: float = Field(
        default=300, ge=0, le=86400, description="Seconds after the first reading that still belong to the change."
    )


class Compared(Noun):
    """What came of it."""

    judged: dict[str, str] = Field(description="By indicator, percent before and after.")
    not_judged: dict[str, str] = Field(description="By indicator, why it could not be judged.")


@action("read-kpis", Touches.READS)
async def read_kpis(context: Context, _: Nothing) -> Kpis:
    """Read the indicators of the station's latest full period. Put it right before the change.

    The station needs an unlocked measurement job (PerfMetricJob); of several the longest period counts.
    """
    return await _read(context)


@action("check-kpis", Touches.READS)
async def check_kpis(context: Context, given: Comparison) -> Compared | Unmet:
    """Fail if an indicator is worse in the latest full period after the change than in the one before.

    For `soak_checks`, after a soak of at least two periods. Without a full period, or with too few samples, an
    indicator is not judged: that does not fail, and is said in `not_judged`.
    """
    after = await _read(context)
    judged: dict[str, str] = {}
    not_judged: dict[str, str] = {}
    worse: list[str] = []
    for name in given.kpis:
        if reason := _not_comparable(name, given, after):
            not_judged[name] = reason
            continue
        old, new = given.before.values[name].percent, after.values[name].percent
        judged[name] = f"{old:.2f} % before, {new:.2f} % after"
        if old - new > given.worst_drop:
            worse.append(f"{name}: {judged[name]}")
    if worse:
        return Unmet("; ".join(worse))
    return Compared(judged=judged, not_judged=not_judged)


def indicators(period: Period) -> dict[str, Ratio]:
    """The indicators of all objects of a period together."""
    found: dict[str, Ratio] = {}
    for name, (succeeded, tried) in _SUCCESS.items():
        if total := _sum(period.values.values(), tried):
            found[name] = Ratio(good=_sum(period.values.values(), succeeded), total=total)
    cells = [counters for counters in period.values.values() if _FAULT in counters]
    if cells:
        total = len(cells) * (period.end - period.begin).total_seconds()
        found["availability"] = Ratio(good=total - sum(counters[_FAULT] for counters in cells), total=total)
    return found


def _sum(objects: Iterable[Mapping[str, float]], counter: str) -> float:
    return sum(
        value for counters in objects for name, value in counters.items() if f"{name}.".startswith(f"{counter}.")
    )


def _not_comparable(name: KpiName, given: Comparison, after: Kpis) -> str:
    """Why an indicator can't be judged, or an empty string."""
    before = given.before
    if before.read is None or before.begin is None or after.begin is None:
        return "the station has no measurement job, or does not tell the time"
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


async def _read(context: Context) -> Kpis:
    periods = await context.measurements()
    now = (await context.equipment()).now
    if not periods:
        return Kpis(read=now)
    longest = max(periods, key=lambda period: period.end - period.begin)
    return Kpis(read=now, begin=longest.begin, end=longest.end, suspect=longest.suspect, values=indicators(longest))


KPI = (read_kpis, check_kpis)
