"""Alarms whose notifications were lost are found in the station's list."""

from __future__ import annotations

import pytest

from controller.models.alarm import AlarmSource, AlarmState
from tests.integration.alarms.system import LTE, LocalSystem


async def test_what_was_raised_and_cleared_unheard_is_read_back(
    system: LocalSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    station = system.fleet.stations[LTE]
    station.equipment.begin_fault("vswr", "ru-1")  # nobody listens yet
    system.listen()
    alarm = await system.ended(LTE, AlarmState.RAISED)
    assert (alarm.probable_cause, alarm.specific_problem, alarm.source) == (
        "o-ran-fault-9",
        "ru-1",
        AlarmSource.ORAN_FM,
    )
    monkeypatch.setattr(station, "notify", lambda _content: None)
    station.equipment.faults.clear()
    assert (await system.ended(LTE, AlarmState.CLEARED)).id == alarm.id
    assert len(system.alarms()) == 1
