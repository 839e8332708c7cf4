"""Divides a plan into waves: a canary first, then waves that never split a tracking area. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace

from controller.models.network import Cell, Network, Plmn, Rat
from controller.models.plan import Change, Plan
from controller.models.run import INSIDE, Strategy
from controller.nrm.profiles import broadcast_plmn, broadcast_rat, is_midhaul
from controller.nrm.tree import step
from controller.plan.routers import is_way, ranks_of
from controller.runs.rollout.group_decisions import LAST
from controller.store import NewJob

#: A tracking area: technology, PLMN and TAC.
_Area = tuple[Rat | None, Plmn, int]


def cut_waves(plan: Plan, network: Network, strategy: Strategy) -> tuple[NewJob, ...]:
    """Jobs of a plan, by wave.

    Stations whose PLMNs on air change move together with all planned stations of the same tracking area: on LTE every
    cell of it broadcasts the same PLMNs (TS 23.251 §4.2.2), on NR a PLMN has the same slices in all of them (TS 38.300
    §16.3). Such a unit is never cut, even where it exceeds the wave's size. The canary wave holds the smallest units
    that make up ``strategy.canary`` stations.
    """
    return cut_units(units_of(plan.changes, network), strategy, ranks_in(plan, network), region_of=network.region_of)


def ranks_in(plan: Plan, network: Network) -> Mapping[str, int]:
    """Order of a plan's devices within their group; absent ones have 0.

    In a unit without an order of its own, devices that don't revert by themselves go last, after all others are
    verified. Stations that come back with their function follow it, whatever became of it.
    """
    ranks = dict(ranks_of(plan.changes, network))
    weak = {change.station for change in plan.changes if not change.reverts}
    for unit in units_of(plan.changes, network) if weak else ():
        if not any(ranks.get(device) for device in unit):
            ranks |= dict.fromkeys(weak.intersection(unit), LAST)
    return ranks | ranks_inside(coming_back_in(plan, network), network)


def coming_back_in(plan: Plan, network: Network) -> tuple[str, ...]:
    """Stations of a plan that come back with their function, sorted."""
    inside = sorted(network.endpoint_function.keys() & plan.changes.packed.keys())
    return tuple(one for one in inside if (change := plan.changes.on(one)) is not None and change.comes_back)


def ranks_inside(devices: Iterable[str], network: Network) -> dict[str, int]:
    """Order of those of the devices that live in functions: central units before all others."""
    units, others = INSIDE
    inside = (one for one in devices if one in network.endpoint_function)
    return {one: units if one in network.central_units else others for one in inside}


def cut_units(
    found: Iterable[tuple[str, ...]],
    strategy: Strategy,
    ranks: Mapping[str, int] = {},
    *,
    region_of: Callable[[str], str],
    idle: Collection[str] = (),
) -> tuple[NewJob, ...]:
    """Jobs of devices, by wave; units are never split. See ``cut_waves``.

    Args:
        found: Units, each named after its first device.
        strategy: Sizes of the waves.
        ranks: Order of devices within their units (``NewJob.rank``), 0 where absent.
        region_of: Region of a device, for ``strategy.per_region``.
        idle: Devices that stay as they are: they prove nothing as canaries while there are others.
    """
    units = sorted(
        (tuple(sorted(unit)) for unit in found), key=lambda unit: (all(one in idle for one in unit), len(unit), unit)
    )
    unit_of = {device: unit[0] for unit in units for device in unit}
    waves: list[list[str]] = []
    later = _after_canary(units, strategy.canary, waves)
    waves += _filled(later, strategy.wave_size, strategy.per_region, region_of)
    return tuple(
        NewJob(wave, device, unit_of[device], ranks.get(device, 0))
        for wave, devices in enumerate(waves)
        for device in sorted(devices)
    )


def cut_stages(
    units: Iterable[tuple[str, ...]],
    stage_of: Callable[[str], int],
    strategy: Strategy,
    ranks: Mapping[str, int] = {},
    *,
    region_of: Callable[[str], str],
    idle: Collection[str] = (),
) -> tuple[NewJob, ...]:
    """Jobs by wave, where no wave has devices of two stages; a unit belongs to the last stage of its devices.

    The canary is in the first stage only; stages below 0 prepare what it needs. See ``cut_units`` for
    the rest.
    """
    stages: dict[int, list[tuple[str, ...]]] = {}
    for unit in units:
        stages.setdefault(max(stage_of(device) for device in unit), []).append(unit)
    jobs: list[NewJob] = []
    begins = min((stage for stage in stages if stage >= 0), default=0)
    for stage, found in sorted(stages.items()):
        first = 1 + jobs[-1].wave if jobs else 0
        one = strategy if stage == begins else strategy.model_copy(update={"canary": 0})
        cut = cut_units(found, one, ranks, region_of=region_of, idle=idle)
        jobs += [replace(job, wave=first + job.wave) for job in cut]
    return tuple(jobs)


def _after_canary(units: list[tuple[str, ...]], canary: int, waves: list[list[str]]) -> list[tuple[str, ...]]:
    """Put the smallest units into the canary wave; return the others in order of their first station."""
    first: list[str] = []
    rest: list[tuple[str, ...]] = []
    for unit in units:
        if len(first) < canary:
            first.extend(unit)
        else:
            rest.append(unit)
    if first:
        waves.append(first)
    return sorted(rest)


def _filled(
    units: Iterable[tuple[str, ...]], size: int, per_region: int | None, region_of: Callable[[str], str]
) -> list[list[str]]:
    """Units in waves, each in the first wave with room; without a limit per region only the last wave can have any."""
    waves: list[list[str]] = []
    taken: list[Counter[str]] = []
    for unit in units:
        asked = Counter(region_of(device) for device in unit) if per_region else Counter[str]()
        for wave in range(0 if per_region else max(0, len(waves) - 1), len(waves)):
            crowded = any(taken[wave][region] + count > (per_region or 0) for region, count in asked.items())
            if len(waves[wave]) + len(unit) <= size and not crowded:
                break
        else:
            wave = len(waves)
            waves.append([])
            taken.append(Counter())
        waves[wave].extend(unit)
        taken[wave] += asked
    return waves


def units_of(changes: Iterable[Change], network: Network, others: Collection[str] = ()) -> Iterable[tuple[str, ...]]:
    """Groups of devices that are decided together: tracking areas, stations with their router, those of a function.

    Args:
        changes: What changes.
        network: Where the devices are.
        others: Devices that take part although no change of them is known.
    """
    group: dict[str, set[str]] = {device: {device} for device in others}
    by_area: dict[_Area, str] = {}
    far: list[tuple[str, str]] = []
    for change in changes:
        far += [(change.station, other) for other in _far_ends(change, network)]
        mine = group.setdefault(change.station, {change.station})
        for area in _areas(change, network):
            other = by_area.setdefault(area, change.station)
            if group[other] is not mine:
                mine |= group[other]
                for member in mine:
                    group[member] = mine
    for device, other in far:
        _join(group, device, other)
    for device in tuple(group):
        _join_behind(group, network, device)
    return {tuple(sorted(members)) for members in group.values()}


def _far_ends(change: Change, network: Network) -> Iterable[str]:
    """Stations at the other ends of end points that a central unit loses: the files may not name them any more."""
    lost = change.lost if change.station in network.central_units else ()
    return [step(path)[1][0] for path in lost if is_midhaul(path)]


def _join(group: dict[str, set[str]], device: str, other: str) -> None:
    if other in group and group[other] is not group[device]:
        mine = group[device] | group[other]
        for member in mine:
            group[member] = mine


def _join_behind(group: dict[str, set[str]], network: Network, device: str) -> None:
    """Join a router with the stations of its site, and a function or central unit with the stations that it serves."""
    if not is_way(network, device):
        return
    for station in network.stations_behind(device):
        _join(group, device, station)


def _areas(change: Change, network: Network) -> set[_Area]:
    """Tracking areas that the change puts on or off the air."""
    edited = (edit.path for phase in change.phases for edit in phase.edits)
    plmns = {(broadcast_rat(path), broadcast_plmn(path)) for path in edited if broadcast_plmn(path)}
    cells = network.cells_by_station.get(change.station, ()) if plmns else ()
    return {(rat, plmn, _tac(network, cell, plmn)) for rat, plmn in plmns for cell in cells if cell.rat is rat}


def _tac(network: Network, cell: Cell, plmn: Plmn) -> int:
    """The tracking area code of a PLMN in a cell: the cell's, or one of its tenant's own."""
    planned = network.own_by_cell.get((cell.station, cell.id), {})
    own = next((planned[tenant] for tenant in network.tenants_by_plmn.get(plmn, ()) if tenant in planned), None)
    return cell.tac if own is None else own.tac
