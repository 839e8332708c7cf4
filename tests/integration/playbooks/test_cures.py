"""Playbooks of shipped rules against faults of simulated stations: they cure what they can and leave nothing locked."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
import yaml

from controller.models.run import RunState
from simulators.equipment.software import FACTORY_VERSION, WRONG_VERSION
from tests.integration.alarms.system import PLAYBOOKS
from tests.integration.playbooks.system import PlaybookSystem
from tests.integration.playbooks.test_shipped import lock_of

STATION = "T-LTE-1"


@pytest.fixture(autouse=True)
def _quick(system: PlaybookSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simulators.equipment.equipment.RESET_DELAY", 0.2)
    monkeypatch.setattr("simulators.equipment.software.ACTIVATE_SECONDS", 0.4)
    monkeypatch.setattr("simulators.equipment.faults._draw", lambda _dice, _span: 0.1)
    system.fleet.stations[STATION].boot_seconds = 1.0


def seed(fault: str, target: str, wanted: Callable[[float], bool]) -> str:
    """A seed whose fault draws such a number for its first remedy."""
    seeds = (str(number) for number in range(100))
    return next(one for one in seeds if wanted(random.Random(f"{one}/{fault}/{target}/1").random()))


def begin(system: PlaybookSystem, fault: str, target: str, chance: float, *, helps: bool) -> None:
    """A fault that its first remedy cures, or does not."""
    chosen = seed(fault, target, lambda drawn: (drawn < chance) is helps)
    system.fleet.stations[STATION].equipment.begin_fault(fault, target, chosen)


async def test_a_cell_that_is_down_is_on_air_again_after_a_cycle(system: PlaybookSystem) -> None:
    begin(system, "cell-down", "1", 0.7, helps=True)
    assert not (await system.checker().health(STATION)).cells["1"]
    await system.succeeds("cycle-cell", station=STATION, cell="1")
    assert all((await system.checker().health(STATION)).cells.values())


async def test_a_cell_that_does_not_come_on_air_is_unlocked_all_the_same(system: PlaybookSystem) -> None:
    begin(system, "cell-down", "1", 0.7, helps=False)
    impatient = yaml.safe_load((PLAYBOOKS / "cycle-cell.yaml").read_text(encoding="utf-8"))
    impatient |= {"name": "own", "strategy": {"canary": 0, "check_timeout": 2}}
    run = await system.run("own", system.own(**impatient), station=STATION, cell="1")
    assert run.state is RunState.FAILED
    assert lock_of(system) == ["UNLOCKED", "UNLOCKED"]


async def test_a_licence_that_is_gone_is_fetched_again(system: PlaybookSystem) -> None:
    begin(system, "licence-gone", "", 0.85, helps=True)
    await system.succeeds("reload-licence", station=STATION)
    assert not list(system.fleet.stations[STATION].equipment.faults)


async def test_a_station_leaves_the_wrong_software_for_its_other_slot(system: PlaybookSystem) -> None:
    software = system.fleet.stations[STATION].equipment.software
    begin(system, "wrong-software", "", 1.0, helps=True)
    assert software.version == WRONG_VERSION
    await system.succeeds("return-to-software", station=STATION)
    assert software.version == FACTORY_VERSION
    assert not list(system.fleet.stations[STATION].equipment.faults)
