"""A cell that is off air is found by our own check, also where its station raises no alarm."""

from __future__ import annotations

import pytest

from controller.models.alarm import AlarmSource, AlarmState, ObjectClass
from tests.integration.alarms.system import LTE, LocalSystem, until

CELL = f"/ManagedElement[{LTE}]/ENBFunction[1]/EUtranCellFDD[1]"


async def test_a_dead_cell_of_which_no_station_says_a_word(
    system: LocalSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    equipment = system.fleet.stations[LTE].equipment
    monkeypatch.setattr(type(equipment), "alarm_changed", lambda _self, _alarm, _raised: None)
    fault = equipment.begin_fault("cell-down", "1")
    system.listen()
    alarm = await system.ended(LTE, AlarmState.RAISED)
    assert (alarm.object, alarm.object_class, alarm.probable_cause) == (CELL, ObjectClass.CELL, "cell-off-air")
    assert (alarm.source, alarm.cells, alarm.tenants) == (AlarmSource.CHECK, (f"{LTE}/1",), ("andes", "condor"))
    equipment.faults.end(fault)
    assert (await system.ended(LTE, AlarmState.CLEARED)).id == alarm.id


async def test_what_the_station_says_too_is_one_alarm(notified: LocalSystem) -> None:
    notified.listen()
    await notified.observed()
    equipment = notified.fleet.stations[LTE].equipment
    fault = equipment.begin_fault("cell-down", "1")
    alarm = await notified.ended(LTE, AlarmState.RAISED)
    assert (alarm.object, alarm.probable_cause, alarm.source) == (CELL, "cell-off-air", AlarmSource.ORAN_FM)

    async def seen() -> bool:
        return CELL in notified.store.healths.find([LTE])[LTE].off_air

    await until("the check sees it too", seen)
    assert len(notified.alarms(LTE)) == 1
    equipment.faults.end(fault)
    assert (await notified.ended(LTE, AlarmState.CLEARED)).id == alarm.id
