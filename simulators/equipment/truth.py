"""What really happened at a station, whatever it measured and reported: volume, and time without service.

For tests that compare reports with it; no manager of a real station can know this.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from simulators.equipment.fault_kinds import Service
from simulators.equipment.performance import Performance, off_air_by, volumes
from simulators.equipment.traffic import Load


@dataclass(frozen=True, slots=True)
class Truth:
    """What really happened in a span of time.

    Attributes:
        volume: Mbit carried down and up, by cell, PLMN, slice (empty on LTE) and QCI or 5QI.
        off_air: Seconds in which a cell was off air, by cell and ``manual`` or ``fault``.
        without_core: Seconds in which a tenant's users could not attach to a cell on air, by cell and tenant.
        without_data: Seconds in which they could attach, but none of their traffic got through.
        asleep: Seconds in which a cell was on air without serving anybody.
    """

    volume: dict[tuple[str, str, str, int], tuple[float, float]] = field(default_factory=dict)
    off_air: defaultdict[tuple[str, str], float] = field(default_factory=lambda: defaultdict(float))
    without_core: defaultdict[tuple[str, str], float] = field(default_factory=lambda: defaultdict(float))
    without_data: defaultdict[tuple[str, str], float] = field(default_factory=lambda: defaultdict(float))
    asleep: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))

    def serve(self, cell: str, load: Load, tenants: Mapping[str, str], seconds: float) -> None:
        """Add a while in which a cell was awake; ``tenants`` says whose each PLMN is."""
        attached: defaultdict[str, bool] = defaultdict(bool)
        carried: defaultdict[str, bool] = defaultdict(bool)
        for flow in load.flows:
            for qci, down, up in volumes(flow, load, seconds):
                key = cell, flow.plmn, flow.slice, qci
                sums = self.volume.get(key, (0.0, 0.0))
                self.volume[key] = sums[0] + down, sums[1] + up
            tenant = tenants.get(flow.plmn, "")
            attached[tenant] |= flow.connected
            carried[tenant] |= flow.wanted > 0
        for tenant, can in attached.items():
            if not can:
                self.without_core[cell, tenant] += seconds
            elif not carried[tenant]:
                self.without_data[cell, tenant] += seconds

    def to_json(self) -> dict[str, Any]:
        """The truth as JSON."""
        return {
            "volume": [
                {"cell": cell, "plmn": plmn, "slice": slice_, "qci": qci, "down": round(down, 6), "up": round(up, 6)}
                for (cell, plmn, slice_, qci), (down, up) in sorted(self.volume.items())
            ],
            "off_air": [{"cell": cell, "cause": why, "seconds": s} for (cell, why), s in sorted(self.off_air.items())],
            "without_core": _by_tenant(self.without_core),
            "without_data": _by_tenant(self.without_data),
            "asleep": [{"cell": cell, "seconds": seconds} for cell, seconds in sorted(self.asleep.items())],
        }


def _by_tenant(found: Mapping[tuple[str, str], float]) -> list[dict[str, Any]]:
    return [{"cell": cell, "tenant": tenant, "seconds": s} for (cell, tenant), s in sorted(found.items())]


def truth_of(performance: Performance, begin: datetime, end: datetime) -> Truth:
    """What happened at a station in a span.

    Raises:
        ValueError: the station does not remember so far back.
    """
    since = next((moment for moment, _ in performance.epochs()), begin)
    if performance.forgets and since > begin:
        raise ValueError(f"the station remembers what happened from {since} on, not from {begin}")
    truth = Truth()
    for quarter, epoch, _, seconds in performance.parts(begin, end):
        for status in epoch.cells:
            cell = status.configured.id
            if not status.on_air:
                truth.off_air[cell, off_air_by(status, powered=epoch.powered)] += seconds
            elif status.service is Service.SLEEPING:
                truth.asleep[cell] += seconds
            else:
                truth.serve(cell, performance.load(epoch, status, quarter), performance.tenants, seconds)
    return truth
