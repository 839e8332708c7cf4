"""Waves: every station once, canary first, tracking areas whole."""

from __future__ import annotations

from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st

from controller.models.network import Network, OwnCell, Rat
from controller.models.plan import Change, Changes, Edit, Op, Phase, PhaseKind, Plan
from controller.models.run import Strategy
from controller.runs.rollout.group_decisions import LAST
from controller.runs.rollout.waves import cut_units, cut_waves, units_of
from controller.store import NewJob
from tests.support.records import make_plan
from tests.unit.plan import samples


def network(areas: list[set[int]]) -> Network:
    """LTE stations with a cell in each of their tracking areas."""
    base = samples.network()
    site, station, cell = base.sites[0], base.stations[0], base.cells[0]
    stations = [station.model_copy(update={"id": f"P{n}", "site": site.id}) for n in range(len(areas))]
    cells = [
        cell.model_copy(update={"station": f"P{n}", "id": f"L{tac}", "tac": tac})
        for n, tacs in enumerate(areas)
        for tac in sorted(tacs)
    ]
    return base.model_copy(update={"stations": tuple(stations), "cells": tuple(cells)})


def plan_of(broadcast: list[bool]) -> Plan:
    """A plan on all stations; ``broadcast`` says whether its PLMN list changes."""
    made = make_plan([f"P{n}" for n in range(len(broadcast))])
    return made.model_copy(
        update={"changes": Changes.of(_change(c, b) for c, b in zip(made.changes, broadcast, strict=True))}
    )


def _change(change: Change, broadcast: bool) -> Change:
    if not broadcast:
        return change
    path = f"/ManagedElement[{change.station}]/ENBFunction[1]/EUtranCellFDD[1]/plmnIdList[716,17]"
    edit = Edit(op=Op.CREATE, path=path, owners=("entel",))
    return change.model_copy(update={"phases": (Phase(kind=PhaseKind.EDIT, edits=(edit,), inverse=()),)})


@given(
    stations=st.lists(st.tuples(st.sets(st.integers(1, 6), min_size=1, max_size=2), st.booleans()), max_size=12),
    canary=st.integers(0, 3),
    size=st.integers(1, 5),
)
def test_every_station_once_and_no_tracking_area_cut(
    stations: list[tuple[set[int], bool]], canary: int, size: int
) -> None:
    areas = [tacs for tacs, _ in stations]
    broadcast = [moved for _, moved in stations]
    plan = plan_of(broadcast)
    jobs = cut_waves(plan, network(areas), Strategy(canary=canary, wave_size=size))
    assert sorted(job.station for job in jobs) == sorted(change.station for change in plan.changes)
    wave_of = {job.station: job.wave for job in jobs}
    waves = sorted(set(wave_of.values()))
    assert waves == list(range(len(waves)))
    in_area: dict[int, set[int]] = defaultdict(set)
    for index, (tacs, moved) in enumerate(stations):
        for tac in tacs if moved else ():
            in_area[tac].add(wave_of[f"P{index}"])
    assert all(len(found) == 1 for found in in_area.values()), "a tracking area is cut"
    # A wave is larger than asked only where one unit alone is.
    linked = _linked(areas, broadcast)
    for wave in waves[1 if canary else 0 :]:
        members = {job.station for job in jobs if job.wave == wave}
        assert len(members) <= size or any(unit == members for unit in linked)


def _linked(areas: list[set[int]], broadcast: list[bool]) -> list[set[str]]:
    units: list[tuple[set[int], set[str]]] = []
    for index, (tacs, moved) in enumerate(zip(areas, broadcast, strict=True)):
        mine = (set(tacs) if moved else set(), {f"P{index}"})
        for unit in [unit for unit in units if unit[0] & mine[0]]:
            units.remove(unit)
            mine = (mine[0] | unit[0], mine[1] | unit[1])
        units.append(mine)
    return [members for _, members in units]


def test_nr_tracking_areas_are_whole_too_and_those_of_a_tenants_own_plan_are_its_own() -> None:
    base = samples.network()
    cell = next(cell for cell in base.cells if cell.rat is Rat.NR)
    there = network([set()] * 4)
    cells = [cell.model_copy(update={"station": f"P{n}", "tac": tac}) for n, tac in enumerate((700, 700, 800, 800))]
    made = make_plan([f"P{n}" for n in range(4)])
    slices = "GNBDUFunction[1]/NRCellDU[N1]/pLMNInfoList[716,02,000002,1]"
    edit = Edit(op=Op.CREATE, path="", owners=("beta",))
    changes = []
    for change in made.changes:
        edits = (edit.model_copy(update={"path": f"/ManagedElement[{change.station}]/{slices}"}),)
        phase = Phase(kind=PhaseKind.EDIT, edits=edits, inverse=())
        changes.append(change.model_copy(update={"phases": (phase,)}))
    plan = made.model_copy(update={"changes": Changes.of(changes)})
    own = {"tac": 900, "node_id": 9, "node_id_length": 24, "local_id": 1, "cell": cell.id, "tenant": "beta"}
    planned = tuple(OwnCell.model_validate({**own, "station": station}) for station in ("P1", "P2"))
    for rows, units in (((), [("P0", "P1"), ("P2", "P3")]), (planned, [("P0",), ("P1", "P2"), ("P3",)])):
        of = there.model_copy(update={"cells": tuple(cells), "own_cells": rows})
        assert sorted(units_of(plan.changes, of)) == units


def test_the_canary_is_the_smallest_unit() -> None:
    plan = plan_of([True, True, True, False])
    jobs = cut_waves(plan, network([{1}, {1}, {2}, {3}]), Strategy(canary=1, wave_size=10))
    assert [(job.wave, job.station) for job in jobs] == [(0, "P2"), (1, "P0"), (1, "P1"), (1, "P3")]


def test_the_canary_is_something_that_changes_while_there_is_any() -> None:
    units = [("A",), ("B", "C"), ("D",)]
    jobs = cut_units(units, Strategy(canary=1), region_of=str, idle={"A", "D"})
    assert [job.station for job in jobs if job.wave == 0] == ["B", "C"]
    jobs = cut_units(units, Strategy(canary=1), region_of=str, idle={"A", "B", "C", "D"})
    assert [job.station for job in jobs if job.wave == 0] == ["A"]


def test_without_a_canary_all_waves_are_equal() -> None:
    jobs = cut_waves(plan_of([False] * 4), network([{1}] * 4), Strategy(canary=0, wave_size=2))
    assert [job.wave for job in jobs] == [0, 0, 1, 1]


def test_no_stations_no_waves() -> None:
    assert cut_waves(plan_of([]), network([]), Strategy()) == ()


def test_jobs_name_their_unit_and_their_rank() -> None:
    jobs = cut_units([("B", "A"), ("C",)], Strategy(canary=0), {"B": 1}, region_of=str)
    assert jobs == (NewJob(0, "A", "A", 0), NewJob(0, "B", "A", 1), NewJob(0, "C", "C", 0))


@given(
    units=st.lists(st.integers(1, 3), max_size=15),
    size=st.integers(1, 6),
    limit=st.integers(1, 3),
)
def test_no_wave_takes_more_of_a_region_than_allowed(units: list[int], size: int, limit: int) -> None:
    found = [tuple(f"{index % 2}-{index}-{member}" for member in range(count)) for index, count in enumerate(units)]
    strategy = Strategy(canary=0, wave_size=size, per_region=limit)
    jobs = cut_units(found, strategy, region_of=lambda device: device[0])
    assert sorted(job.station for job in jobs) == sorted(device for unit in found for device in unit)
    for wave in range(max((job.wave for job in jobs), default=-1) + 1):
        members = [job for job in jobs if job.wave == wave]
        assert len(members) <= size or len({job.unit for job in members}) == 1
        for region in "01":
            there = [job for job in members if job.station.startswith(region)]
            assert len(there) <= limit or len({job.unit for job in there}) == 1
    assert all(len({job.wave for job in jobs if job.station in unit}) == 1 for unit in found)


def test_who_can_t_revert_by_itself_goes_last_of_its_unit() -> None:
    plan = plan_of([True, True, False])
    weak = Changes.of(change.model_copy(update={"reverts": change.station != "P1"}) for change in plan.changes)
    plan = plan.model_copy(update={"changes": weak})
    jobs = cut_waves(plan, network([{1}, {1}, {2}]), Strategy(canary=0))
    assert [(job.station, job.unit, job.rank) for job in jobs] == [("P0", "P0", 0), ("P1", "P0", LAST), ("P2", "P2", 0)]


def test_one_tac_of_two_plmns_is_two_tracking_areas() -> None:
    plan = plan_of([True, True])
    one, other = plan.changes
    (edit,) = other.phases[0].edits
    moved = edit.model_copy(update={"path": edit.path.replace("716,17", "716,10")})
    other = other.model_copy(update={"phases": (other.phases[0].model_copy(update={"edits": (moved,)}),)})
    apart = plan.model_copy(update={"changes": Changes.of([one, other])})
    strategy = Strategy(canary=1, wave_size=1)
    assert [job.wave for job in cut_waves(plan, network([{7}, {7}]), strategy)] == [0, 0]
    assert [job.wave for job in cut_waves(apart, network([{7}, {7}]), strategy)] == [0, 1]


def test_a_unit_goes_into_the_first_wave_that_has_room_for_its_region() -> None:
    units = [("A1",), ("A2",), ("B1",), ("B2", "B3"), ("C1",)]
    for per_region, waves in ((1, [0, 1, 0, 2, 2, 0]), (2, [0, 0, 0, 1, 1, 1]), (None, [0, 0, 0, 1, 1, 1])):
        strategy = Strategy(canary=0, wave_size=3, per_region=per_region)
        jobs = cut_units(units, strategy, region_of=lambda device: device[0])
        assert [job.wave for job in sorted(jobs, key=lambda job: job.station)] == waves, per_region
