"""Restarts and resets of simulated stations: sent once, proven, and everything back afterwards."""

from __future__ import annotations

import re
from typing import Any

import pytest

from controller.models.errors import InputError
from controller.models.run import Outcome, Run, RunState
from controller.models.step import StepState
from simulators.history import EventKind
from tests.integration.alarms.system import until
from tests.integration.playbooks.system import PlaybookSystem
from tests.integration.playbooks.test_shipped import lock_of

STATION = "T-LTE-1"


@pytest.fixture(autouse=True)
def _boots(system: PlaybookSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simulators.equipment.equipment.RESET_DELAY", 0.3)
    system.fleet.stations[STATION].boot_seconds = 1.0


def restarts(system: PlaybookSystem) -> int:
    return system.fleet.stations[STATION].history.counts[EventKind.RESTARTED]


def resets(system: PlaybookSystem) -> int:
    return system.fleet.stations[STATION].history.counts[EventKind.REMEDY]


async def well(system: PlaybookSystem) -> None:
    health = await system.checker().health(STATION)
    assert all(health.cells.values())
    assert all(link.up for link in health.links)


async def begin(system: PlaybookSystem, name: str, **given: str) -> Run:
    return await system.playbooks().start(name, given)


async def ended(system: PlaybookSystem, run: Run) -> Run:
    async def done() -> bool:
        return system.store.runs.get(run.id).state.terminal

    await until("the run ends", done)
    return system.store.runs.get(run.id)


async def test_restart(system: PlaybookSystem) -> None:
    seen = await system.dry_run("restart-station", station=STATION)
    assert [step.says for step in seen.stations[0].steps] == [
        "asks for reset; outage for a time that is not known",
        "ok",
        "ok",
    ]
    assert restarts(system) == 0
    before = system.running(STATION)
    run = await system.succeeds("restart-station", station=STATION)
    assert restarts(system) == 1
    assert system.running(STATION) == before
    first = system.steps(run, STATION)[0]
    assert first.output["cells"] == ["1", "2"]
    assert len(first.output["endpoints"]) == 5
    await well(system)


async def test_links_that_were_down_before_a_restart_need_not_come_back(system: PlaybookSystem) -> None:
    for tenant in ("andes", "condor"):
        system.fleet.stations[STATION].equipment.break_link(tenant, curable=False)
    run = await system.succeeds("restart-station", station=STATION)
    assert [step.state for step in system.steps(run, STATION)] == [StepState.DONE, StepState.DONE, StepState.SKIPPED]
    assert restarts(system) == 1


async def test_a_worker_that_dies_in_the_middle_of_a_restart(system: PlaybookSystem) -> None:
    run = await begin(system, "restart-station", station=STATION)

    async def restarting() -> bool:
        return restarts(system) == 1

    await until("the station restarts", restarting)
    await system.replace_worker()
    assert (await ended(system, run)).state is RunState.SUCCEEDED
    assert restarts(system) == 1
    assert system.job(run, STATION).attempts == 2
    await well(system)


async def test_what_is_refused(system: PlaybookSystem) -> None:
    run = await system.run("reset-radio-unit", station=STATION, unit="ru-11")
    assert "has no radio unit 'ru-11'; did you mean 'ru-1'" in system.job(run, STATION).detail
    with pytest.raises(InputError, match="step 'reset': no radio unit is named: give unit, as in ru-1, or cell"):
        await system.dry_run("reset-radio-unit", station=STATION)
    seen = await system.dry_run("reset-radio-unit", station=STATION, unit="ru-1", cell="99")
    assert "has no radio unit 'ru-1' of cell '99'; it has ru-1" in seen.stations[0].steps[0].says
    system.fleet.stations[STATION].equipment.begin_fault("mains-failure")
    run = await system.run("restart-station", station=STATION)
    assert run.state is RunState.FAILED
    assert "runs on battery" in system.job(run, STATION).detail
    system.store.holds.add(STATION, "eva", "on the mast", None)
    seen = await system.dry_run("reset-radio-unit", station=STATION, unit="ru-1")
    assert "on the mast" in seen.refused[0]
    assert (restarts(system), resets(system)) == (0, 0)


async def test_reset_cures_a_lost_unit(system: PlaybookSystem) -> None:
    life = system.fleet.stations[STATION].equipment
    life.begin_fault("cell-down", "1", "7")
    assert not (await system.checker().health(STATION)).cells["1"]
    await system.succeeds("reset-radio-unit", station=STATION, cell="1")
    assert resets(system) == 1
    await well(system)


async def test_a_dry_run_reaches_the_cells_of_the_unit_that_is_reset_and_no_others(system: PlaybookSystem) -> None:
    _, network = system.store.networks.get()
    names = [cell.id for cell in network.cells_by_station[STATION]]
    for name in names:
        seen = await system.dry_run("reset-radio-unit", station=STATION, cell=name)
        assert (seen.reach.cells, seen.reach.stations) == (1, 1)
    whole = await system.dry_run("restart-station", station=STATION)
    assert whole.reach.cells == len(names) > 1


@pytest.mark.parametrize(
    ("action", "given"),
    [
        ("reset-radio-unit", {"unit": "ru-11"}),
        ("reset-radio-unit", {"cell": "99"}),
        ("cycle-cell", {"cell": "99"}),
        ("lock-cell", {"cells": ["99"]}),
    ],
)
async def test_a_step_that_names_nothing_there_reaches_no_cell_and_asks_nobody(
    system: PlaybookSystem, action: str, given: dict[str, Any]
) -> None:
    own = system.own(targets=STATION, steps=[{"name": "wrong", "action": action, "with": given}])
    seen = await system.dry_run("own", own)
    assert (seen.reach.cells, seen.outlook.requirements, seen.outlook.tenants) == (0, (), ())
    says = seen.stations[0].steps[0].says
    assert re.search("would fail: .* has no (cell|radio unit)", says), says
    run = await system.run("own", own)
    assert "99" in (detail := system.job(run, STATION).detail) or "ru-11" in detail
    assert (restarts(system), resets(system), lock_of(system)) == (0, 0, ["UNLOCKED", "UNLOCKED"])


async def test_a_reset_in_vain_fails(system: PlaybookSystem) -> None:
    life = system.fleet.stations[STATION].equipment
    life.begin_fault("sfp", "ru-2", "1")
    steps = [
        {"name": "reset", "action": "reset-radio-unit", "with": {"unit": "ru-2"}, "register": "reset"},
        {
            "name": "on air",
            "action": "wait-until",
            "with": {"condition": "cells-on-air", "cells": "{{ reset.cells }}", "seconds": 2},
        },
    ]
    run = await system.run("own", system.own(targets=STATION, steps=steps))
    assert run.state is RunState.FAILED
    assert "cells-on-air: EUtranCellFDD[2]" in system.job(run, STATION).detail
    assert resets(system) == 1


async def test_a_soft_lock_waits_for_the_users_or_gives_up(
    system: PlaybookSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("simulators.equipment.equipment.STAY", 0.1)
    run = await system.succeeds("soft-lock-cell", station=STATION, cell="1")
    assert lock_of(system) == ["LOCKED", "UNLOCKED"]
    shut = EventKind.SHUT_DOWN
    assert system.fleet.stations[STATION].history.counts[shut] == 1, "the station locked the cell by itself"
    assert system.job(run, STATION).outcome is Outcome.SUCCEEDED
    again = await system.succeeds("soft-lock-cell", station=STATION, cell="1")
    assert system.job(again, STATION).outcome is Outcome.UNCHANGED

    monkeypatch.setattr("simulators.equipment.equipment.STAY", 1000.0)
    run = await system.run("soft-lock-cell", station=STATION, cell="2", seconds=1)
    assert system.job(run, STATION).outcome is Outcome.ROLLED_BACK
    assert lock_of(system) == ["LOCKED", "UNLOCKED"]
