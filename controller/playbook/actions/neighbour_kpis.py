"""Shipped actions on KPIs of the shared stations around, which take the load that a tenant's own one gives up."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from pydantic import Field

from controller.models.errors import DeviceError
from controller.playbook.actions.kpis import Bounds, Compared, Kpis, compare, kpis_of
from controller.playbook.actions.retirement import Neighbours
from controller.playbook.language.registry import Context, Remarked, Touches, Unmet, action

#: Stations that one station's job reads at once.
_PARALLEL = 10


class NeighbourKpis(Remarked):
    """Indicators of shared stations around."""

    stations: dict[str, Kpis] = Field(description="By station; without a period where it could not be read.")


class NeighbourComparison(Bounds):
    """What is compared with what was before."""

    before: NeighbourKpis = Field(description="What `read-neighbour-kpis` said right before the change.")


class ComparedNeighbours(Remarked):
    """What came of it."""

    stations: dict[str, Compared] = Field(description="By station, `judged` and `not_judged`.")


@action("read-neighbour-kpis", Touches.READS)
async def read_neighbour_kpis(context: Context, given: Neighbours) -> NeighbourKpis:
    """Read the indicators of all shared stations of the region (or site) that the tenant's agreements reach.

    Put it right before the tenant's own station is shut down. `remark` names those without measurements.
    """
    found = await _read(context, await context.neighbours(given.tenant, given.within))
    without = [station for station, kpis in found.items() if kpis.begin is None]
    more = f" and {len(without) - 5} more" if len(without) > 5 else ""
    remark = f"no indicator will be judged of {', '.join(without[:5])}{more}: not measured" if without else ""
    return NeighbourKpis(stations=found, remark=remark)


@action("check-neighbour-kpis", Touches.READS)
async def check_neighbour_kpis(context: Context, given: NeighbourComparison) -> ComparedNeighbours | Unmet:
    """Fail if an indicator of a shared station around is worse than before this station was shut down.

    For `soak_checks`, as `check-kpis`, which says what is judged.
    """
    after = await _read(context, given.before.stations)
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


async def _read(context: Context, stations: Iterable[str]) -> dict[str, Kpis]:
    gate = asyncio.Semaphore(_PARALLEL)

    async def one(station: str) -> Kpis:
        async with gate:
            try:
                return await kpis_of(context, station)
            except DeviceError:
                return Kpis()

    names = tuple(stations)
    return dict(zip(names, await asyncio.gather(*map(one, names)), strict=True))


NEIGHBOUR_KPI = (read_neighbour_kpis, check_neighbour_kpis)
