"""A record that is older than what stations carry changes none of them, until a person has decided which is right."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from controller.models.alarm import RECORD_DOUBTED, AlarmState
from controller.models.errors import ConflictError
from controller.models.words import RecordChoice
from controller.nrm.tree import Tree
from controller.ports.store import Page
from tests.unit.runs.restored import NAMES, Restored


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[Restored]:
    made = Restored(tmp_path)
    await made.begin()
    yield made
    made.store.close()


async def _changed(house: Restored) -> tuple[Path, dict[str, Tree]]:
    """A backup, and what all stations carry after a change that it does not know of."""
    copy, before = house.back_up(), house.carried()
    house.load(address="10.42.0.9")
    await house.apply()
    after = house.carried()
    assert all(before[name] != after[name] for name in NAMES)
    return copy, after


async def _stands_still(house: Restored, after: dict[str, Tree], seconds: int = 30) -> None:
    """Nothing is changed, people are told once, and every door says why."""
    changes = house.changes()
    await house.live(seconds)
    assert house.changes() == changes
    assert house.carried() == after
    state = house.store.integrity.check()
    assert state.doubt
    assert [alarm.probable_cause for alarm, _ in house.told.sent] == [RECORD_DOUBTED]
    assert house.actions().count("record.doubted") == 1
    assert house.store.status.figures()["record_in_doubt"] == {(): 1.0}
    assert house.store.audit.verify() is None
    drifted = [
        alarm for alarm in house.store.alarms.page(Page(1000))[1] if alarm.probable_cause == "configuration-drift"
    ]
    assert {alarm.state for alarm in drifted} <= {AlarmState.RAISED}
    with pytest.raises(ConflictError, match="in doubt"):
        await house.apply()


async def _decided(house: Restored, choice: RecordChoice) -> None:
    carried, unread = await house.planner.carried() if choice is RecordChoice.DEVICES else ([], [])
    house.store.integrity.decide(choice, "ana", "INC-77", carried, unread)
    assert not house.store.integrity.check().doubt
    assert house.actions().count("record.decided") == 1
    with pytest.raises(ConflictError, match="nothing to decide"):
        house.store.integrity.decide(choice, "ana", "again")
    await house.live(90 if choice is RecordChoice.RECORD else 30)
    assert not house.store.integrity.check().doubt
    assert house.store.audit.verify() is None
    _, alarms = house.store.alarms.page(Page(1000))
    assert [alarm.cleared is None for alarm in alarms if alarm.probable_cause == RECORD_DOUBTED] == [False]


async def test_a_restored_backup_changes_nothing_until_the_record_is_accepted_and_then_repairs(house: Restored) -> None:
    before = house.carried()
    copy, after = await _changed(house)
    house.restore(copy)
    await _stands_still(house, after, seconds=75)
    await _decided(house, RecordChoice.RECORD)
    assert house.carried() == before


async def test_a_restored_backup_takes_what_stations_carry_for_applied_where_they_are_accepted(house: Restored) -> None:
    copy, after = await _changed(house)
    house.restore(copy)
    await _stands_still(house, after)
    house.load()  # the files as they are by now
    changes = house.changes()
    await _decided(house, RecordChoice.DEVICES)
    assert house.changes() == changes
    assert set((await house.planner.drift(NAMES)).values()) == {()}
    house.load(address="10.42.0.10")
    await house.apply()


async def test_a_failover_that_lost_commits_is_noticed_by_what_runs(house: Restored) -> None:
    copy, after = await _changed(house)
    house.fail_over(copy)
    await _stands_still(house, after)
    await _decided(house, RecordChoice.DEVICES)


async def test_a_failover_in_mid_run_begins_no_more_stations(house: Restored) -> None:
    """The run goes on in the older record, where its first stations were not begun yet."""
    house.load(address="10.42.0.9")
    run = await house.submit(parallel=10)
    copy = house.back_up()
    async with house.at_work():
        while house.store.runs.get(run).counts.get("succeeded", 0) < 20:
            await house.clock.advance(0.25)
        house.fail_over(copy)
        # Until what was under way has ended, and stations took back what nobody confirmed.
        for _ in range(300):
            await house.clock.advance(1)
        changes = house.changes()
        for _ in range(100):
            await house.clock.advance(1)
    assert house.changes() == changes
    assert house.store.integrity.check().doubt
    begun = sum("10.42.0.9" in str(tree) for tree in house.carried().values())
    assert 20 <= begun <= 40
    assert not house.store.runs.get(run).state.terminal
    house.store.integrity.decide(RecordChoice.RECORD, "ana", "INC-77")
    await house.end(run)
    assert all("10.42.0.9" in str(tree) for tree in house.carried().values())


@pytest.mark.parametrize("carries", [True, False], ids=["generation", "drift"])
async def test_a_snapshot_of_the_whole_machine_is_told_by_the_stations_alone(
    house: Restored, tmp_path: Path, carries: bool
) -> None:
    """State folder and database are restored together, so that nothing there knows better."""
    house.carries = carries
    await house.look()
    house.store.close()
    shutil.copytree(house.settings.home, tmp_path / "snapshot")
    house.start()
    _, after = await _changed(house)
    house.store.close()
    shutil.rmtree(house.settings.home)
    shutil.copytree(tmp_path / "snapshot", house.settings.home)
    house.start()
    assert not house.store.integrity.check().doubt
    await _stands_still(house, after)
    expected = "changes that the record does not know of" if carries else "not as they were when the record last looked"
    assert expected in house.store.integrity.check().doubt
    await _decided(house, RecordChoice.DEVICES)


async def test_an_older_anchor_file_elsewhere_is_enough(house: Restored, tmp_path: Path) -> None:
    """The state folder was lost with the database; the anchors were kept on another machine."""
    copy, after = await _changed(house)
    head = house.store.audit.head()
    (house.settings.home / "record-head").unlink()
    (house.settings.home / "audit-anchors").write_text(f"2026 {head.text}\n", encoding="utf-8")
    # None of the processes that knew better lives on.
    house.restore(copy)
    assert "row" in house.store.integrity.check().doubt
    assert house.carried() == after
