"""Repairs on record: which begin to act, how many there were, and what works at a device."""

from __future__ import annotations

from datetime import timedelta

import pytest

from controller.models.alarm import REMEDIATION_STOPPED, Alarm, AlarmReport, AlarmSource, AlarmState, PerceivedSeverity
from controller.models.errors import RepairStoppedError
from controller.models.run import JournalStep, Outcome, RunState
from controller.ports.clock import VirtualClock
from controller.ports.store import JobResult, StartedRepair, Transition
from controller.store import SqlStore
from tests.support.records import make_entry, start_run, stations

A, B = stations(2)


def raised(store: SqlStore, clock: VirtualClock, station: str = A, tenant: str = "") -> Alarm:
    return store.alarms.report(
        AlarmReport(
            station=station,
            object="ru-1",
            tenant=tenant,
            probable_cause="o-ran-fault-30",
            severity=PerceivedSeverity.MAJOR,
            source=AlarmSource.ORAN_FM,
            at=clock.now(),
        )
    )


def test_a_repair_acts_only_while_repair_is_not_stopped(store: SqlStore) -> None:
    start_run(store, [A], cause="alarm:a-1")
    start_run(store, [B], salt="of a person")
    claims = {claim.job.station: claim for claim in store.claims.take(store.processes.register("w"), 10)}
    store.switches.set(REMEDIATION_STOPPED, True, "ana", "storm")
    for step in (JournalStep.READ, JournalStep.OPERATING):
        with pytest.raises(RepairStoppedError, match=r"^automatic repair is stopped by ana: storm$"):
            store.journal.append(make_entry(claims[A], 0, step), claims[A], begins=True)
    assert store.journal.find(claims[A].transaction) == []
    store.journal.append(make_entry(claims[B], 0, JournalStep.READ), claims[B], begins=True)
    store.switches.set(REMEDIATION_STOPPED, False, "ana")
    store.journal.append(make_entry(claims[A], 0, JournalStep.READ), claims[A], begins=True)
    store.switches.set(REMEDIATION_STOPPED, True, "ana", "storm")
    # What has begun goes on.
    store.journal.append(make_entry(claims[A], 1, JournalStep.EDITING), claims[A])


def test_repairs_are_counted_with_whose_they_are_until_one_is_withdrawn(store: SqlStore, clock: VirtualClock) -> None:
    start = clock.now()
    first, second = raised(store, clock), raised(store, clock, B, "entel")
    store.repairs.record("unit", f"{A}:ru-1", first.id, "r-1")
    clock.pause(60)
    store.repairs.record("unit", f"{B}:ru-1", second.id, "r-2")
    minute = start + timedelta(seconds=60)
    found = [
        StartedRepair("unit", f"{A}:ru-1", start, first.id, "r-1", A, ()),
        StartedRepair("unit", f"{B}:ru-1", minute, second.id, "r-2", B, ("entel",)),
    ]
    assert store.repairs.since(start) == found
    assert store.repairs.since(minute, alone=True) == found[1:]
    store.repairs.withdraw("r-2")
    store.repairs.withdraw("r-2")
    assert store.repairs.since(start) == found[:1]
    assert store.repairs.count("unit", f"{B}:ru-1", start) == 0


def test_stations_under_repair(store: SqlStore, clock: VirtualClock) -> None:
    first, _ = raised(store, clock), raised(store, clock, B)
    assert store.alarms.under_repair() == frozenset()
    moved = store.alarms.move(first, AlarmState.REPAIRING, actor="minka")
    assert store.alarms.under_repair() == {A}
    assert moved is not None
    store.alarms.move(moved, AlarmState.RAISED, actor="minka")
    assert store.alarms.under_repair() == frozenset()


def test_what_works_at_a_device_and_when_it_left_it(store: SqlStore, clock: VirtualClock) -> None:
    run = start_run(store, [A, B], waves=2)
    assert (store.runs.under_way(A, clock.now()), store.runs.under_way(B, clock.now())) == (run.id, "")
    (claim,) = store.claims.take(store.processes.register("w"), 10)
    assert (store.runs.under_way(A, clock.now()), store.runs.left(A)) == (run.id, None)
    clock.pause(5)
    store.claims.finish(claim, JobResult(Outcome.SUCCEEDED))
    assert (store.runs.under_way(A, clock.now()), store.runs.left(A)) == ("", clock.now())
    store.runs.advance(run.id, lambda *_: Transition(RunState.RUNNING, wave=1))
    assert store.runs.under_way(B, clock.now()) == run.id
    (claim,) = store.claims.take(store.processes.register("x"), 10)
    store.claims.finish(claim, JobResult(Outcome.REFUSED))
    assert store.runs.left(B) is None, "it changed nothing"
