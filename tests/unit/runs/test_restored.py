"""A record that is older than what stations carry changes none of them, until a person has decided which is right."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from controller.models.alarm import RECORD_DOUBTED, AlarmState
from controller.models.enums import RecordChoice
from controller.models.errors import ConflictError
from controller.models.run import LONGEST_TIMER
from controller.nrm.tree import Tree
from controller.store import Page
from tests.unit.runs.restore_bench import NAMES, RestoreBench


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[RestoreBench]:
    made = RestoreBench(tmp_path)
    await made.begin()
    yield made
    made.store.close()


async def _changed(bench: RestoreBench) -> tuple[Path, dict[str, Tree]]:
    """A backup, and what all stations carry after a change that it does not know of."""
    copy, before = bench.back_up(), bench.carried()
    bench.load(address="10.42.0.9")
    await bench.apply()
    after = bench.carried()
    assert all(before[name] != after[name] for name in NAMES)
    return copy, after


async def _stands_still(bench: RestoreBench, after: dict[str, Tree], seconds: int = 30) -> None:
    """Nothing is changed, people are told once, and every door says why."""
    changes = bench.changes()
    await bench.live(seconds)
    assert bench.changes() == changes
    assert bench.carried() == after
    state = bench.store.integrity.check()
    assert state.doubt
    assert [alarm.probable_cause for alarm, _ in bench.notified.sent] == [RECORD_DOUBTED]
    assert bench.actions().count("record.doubted") == 1
    assert bench.store.status.figures()["minka_record_in_doubt"] == {(): 1.0}
    assert bench.store.audit.verify() is None
    drifted = [
        alarm for alarm in bench.store.alarms.page(Page(1000))[1] if alarm.probable_cause == "configuration-drift"
    ]
    assert {alarm.state for alarm in drifted} <= {AlarmState.RAISED}
    with pytest.raises(ConflictError, match="in doubt"):
        await bench.apply()


async def _decided(bench: RestoreBench, choice: RecordChoice) -> None:
    if choice is RecordChoice.DEVICES:
        carried, unread = await bench.planner.carried()
        with pytest.raises(ConflictError, match="nobody confirmed, and take it back by a timer until"):
            bench.store.integrity.decide(choice, "ana", "INC-77", carried, unread)
        await bench.clock.advance(LONGEST_TIMER)
    read = bench.clock.now()
    carried, unread = await bench.planner.carried() if choice is RecordChoice.DEVICES else ([], [])
    bench.store.integrity.decide(choice, "ana", "INC-77", carried, unread, read)
    assert not bench.store.integrity.check().doubt
    assert bench.actions().count("record.decided") == 1
    with pytest.raises(ConflictError, match="nothing to decide"):
        bench.store.integrity.decide(choice, "ana", "again")
    await bench.live(90 if choice is RecordChoice.RECORD else 30)
    assert not bench.store.integrity.check().doubt
    assert bench.store.audit.verify() is None
    _, alarms = bench.store.alarms.page(Page(1000))
    (doubt,) = (alarm for alarm in alarms if alarm.probable_cause == RECORD_DOUBTED)
    assert (doubt.state, doubt.cleared_by) == (AlarmState.CLEARED, "ana")


async def test_a_restored_backup_changes_nothing_until_the_record_is_accepted_and_then_repairs(
    bench: RestoreBench,
) -> None:
    before = bench.carried()
    copy, after = await _changed(bench)
    bench.restore(copy)
    await _stands_still(bench, after, seconds=75)
    await _decided(bench, RecordChoice.RECORD)
    assert bench.carried() == before


async def test_a_restored_backup_takes_what_stations_carry_for_applied_where_they_are_accepted(
    bench: RestoreBench,
) -> None:
    copy, after = await _changed(bench)
    bench.restore(copy)
    await _stands_still(bench, after)
    bench.load()  # the files as they are by now
    changes = bench.changes()
    await _decided(bench, RecordChoice.DEVICES)
    assert bench.changes() == changes
    assert set((await bench.planner.drift(NAMES)).values()) == {()}
    bench.load(address="10.42.0.10")
    await bench.apply()


async def test_nodes_that_an_accepted_record_does_not_know_stay_until_their_stations_are_adopted_again(
    tmp_path: Path,
) -> None:
    """All of a station came with a run that the record lost."""
    bench = RestoreBench(tmp_path)
    await bench.adopt()
    copy = bench.back_up()
    await bench.apply()
    after = bench.carried()
    bench.restore(copy)
    await _decided(bench, RecordChoice.RECORD)
    assert bench.carried() == after, "nothing is taken away"
    drift = await bench.planner.drift(NAMES)
    assert {row.after for rows in drift.values() for row in rows} == {"unknown, left alone"}
    adopted = await bench.planner.adopt("*", "ana")
    assert all(adopted[name].code.adopted for name in NAMES)
    assert set((await bench.planner.drift(NAMES)).values()) == {()}
    bench.load(address="10.42.0.9")
    await bench.apply()
    bench.store.close()


async def test_a_decision_holds_for_stations_that_are_first_read_after_it(bench: RestoreBench) -> None:
    """Only the API is up when the person decides; a listener starts then, and reaches some stations late."""
    await bench.look()
    copy, after = await _changed(bench)
    bench.restore(copy)
    assert bench.store.integrity.check().doubt
    await bench.clock.advance(60)
    bench.store.integrity.decide(RecordChoice.RECORD, "ana", "INC-77")
    assert set((await bench.planner.drift(NAMES)).values()) != {()}, "the stations differ"
    await bench.clock.advance(42)
    await bench.look(NAMES[:12])
    await bench.clock.advance(120)
    await bench.look(NAMES[12:])
    assert not bench.store.integrity.check().doubt
    assert bench.actions().count("record.doubted") == 1
    assert bench.carried() == after


async def test_a_failover_that_lost_commits_is_noticed_by_what_runs(bench: RestoreBench) -> None:
    copy, after = await _changed(bench)
    bench.fail_over(copy)
    await _stands_still(bench, after)
    await _decided(bench, RecordChoice.DEVICES)


async def test_a_failover_in_mid_run_begins_no_more_stations(bench: RestoreBench) -> None:
    """The run goes on in the older record, where its first stations were not begun yet."""
    bench.load(address="10.42.0.9")
    run = await bench.submit(parallel=4)
    copy = bench.back_up()
    async with bench.at_work():
        while bench.store.runs.get(run).counts.get("succeeded", 0) < 8:
            await bench.clock.advance(0.25)
        bench.fail_over(copy)
        # Until what was under way has ended, and stations took back what nobody confirmed.
        for _ in range(300):
            await bench.clock.advance(1)
        changes = bench.changes()
        for _ in range(100):
            await bench.clock.advance(1)
    assert bench.changes() == changes
    assert bench.store.integrity.check().doubt
    begun = sum("10.42.0.9" in str(tree) for tree in bench.carried().values())
    assert 8 <= begun <= 16
    assert not bench.store.runs.get(run).state.terminal
    bench.store.integrity.decide(RecordChoice.RECORD, "ana", "INC-77")
    await bench.end(run)
    assert all("10.42.0.9" in str(tree) for tree in bench.carried().values())


@pytest.mark.parametrize("carries", [True, False], ids=["generation", "drift"])
async def test_a_snapshot_of_the_whole_machine_is_noticed_by_the_stations_alone(
    bench: RestoreBench, tmp_path: Path, carries: bool
) -> None:
    """State folder and database are restored together, so that nothing there knows better."""
    bench.carries = carries
    await bench.look()
    bench.store.close()
    shutil.copytree(bench.settings.home, tmp_path / "snapshot")
    bench.start()
    _, after = await _changed(bench)
    bench.store.close()
    shutil.rmtree(bench.settings.home)
    shutil.copytree(tmp_path / "snapshot", bench.settings.home)
    bench.start()
    assert not bench.store.integrity.check().doubt
    await _stands_still(bench, after)
    expected = "changes that the record does not know of" if carries else "differ from their last read"
    assert expected in bench.store.integrity.check().doubt
    await _decided(bench, RecordChoice.DEVICES)


async def test_an_older_anchor_file_elsewhere_is_enough(bench: RestoreBench, tmp_path: Path) -> None:
    """The state folder was lost with the database; the anchors were kept on another machine."""
    copy, after = await _changed(bench)
    head = bench.store.audit.head()
    (bench.settings.home / "record-head").unlink()
    (bench.settings.home / "audit-anchors").write_text(f"2026 {head.text}\n", encoding="utf-8")
    # None of the processes that knew better lives on.
    bench.restore(copy)
    assert "row" in bench.store.integrity.check().doubt
    assert bench.carried() == after
