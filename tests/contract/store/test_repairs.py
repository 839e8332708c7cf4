"""Repairs on record: which begin to act, how many there were, and what works at a device."""

from __future__ import annotations

from datetime import timedelta

import pytest

from controller.models.alarm import REMEDIATION_STOPPED, Alarm, AlarmReport, AlarmSource, AlarmState, PerceivedSeverity
from controller.models.approval import Clearance, RunConstraints
from controller.models.errors import RepairStoppedError
from controller.models.run import PERSON, JournalStep, Outcome, RunState, Strategy
from controller.models.waiting import WaitCode, WaitReason
from controller.ports.clock import VirtualClock
from controller.store import JobResult, NewJob, Page, StartedRepair, Store, Transition
from tests.contract.store.test_approvals import say, start
from tests.support.launch import prepared
from tests.support.records import make_entry, make_plan, start_run, stations

A, B = stations(2)


def raised(store: Store, clock: VirtualClock, station: str = A, tenant: str = "") -> Alarm:
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


def test_a_repair_acts_only_while_repair_is_not_stopped(store: Store) -> None:
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


def test_repairs_are_counted_with_whose_they_are_until_one_is_withdrawn(store: Store, clock: VirtualClock) -> None:
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
    store.repairs.alone()
    assert store.repairs.since(minute) == found[1:]
    store.repairs.withdraw("r-2")
    store.repairs.withdraw("r-2")
    assert store.repairs.since(start) == found[:1]
    assert store.repairs.count("unit", f"{B}:ru-1", start) == 0


def test_stations_under_repair(store: Store, clock: VirtualClock) -> None:
    first, _ = raised(store, clock), raised(store, clock, B)
    assert store.alarms.under_repair() == frozenset()
    moved = store.alarms.move(first, AlarmState.REPAIRING, actor="minka")
    assert store.alarms.under_repair() == {A}
    assert moved is not None
    store.alarms.move(moved, AlarmState.RAISED, actor="minka")
    assert store.alarms.under_repair() == frozenset()


def test_a_planned_window_that_is_open_is_its_runs(store: Store, clock: VirtualClock) -> None:
    run = start(store, A, begin=False)
    now = clock.now()
    for said, works in (
        (Clearance((WaitReason(code=WaitCode.WINDOW),)), ""),
        (Clearance(), ""),
        (Clearance(closes=now + timedelta(hours=1)), run.id),
        (Clearance((WaitReason(code=WaitCode.HOLD, subject=A),), closes=now + timedelta(hours=1)), ""),
    ):
        say(store, said)
        assert store.runs.under_way(A, now) == works, said
    say(store, Clearance(closes=now + timedelta(hours=1)))
    assert store.runs.under_way(A, now + timedelta(hours=1)) == ""


def test_who_was_not_asked_for_want_of_service_is_on_the_audit_trail(store: Store) -> None:
    plan = make_plan([A])
    store.plans.save(plan, "ana")
    terms = RunConstraints(subject="s", spared={A: (("L1", "bitel"), ("L1", "entel"))})
    run = store.runs.create(prepared(plan, "apply", Strategy(), (), constraints=terms))
    (row,) = [row for row in store.audit.page(Page())[1] if row.action == "run.unserved_not_asked"]
    assert (row.object, row.detail) == (run.id, {"station": A, "unserved": "L1 bitel, L1 entel"})
    standing = store.approvals.standing(run.id)
    assert standing is not None
    assert standing.constraints.spared == terms.spared


def test_a_repair_works_at_its_device_from_its_beginning_and_a_persons_run_from_its_wave_on(
    store: Store, clock: VirtualClock
) -> None:
    for station, cause in ((A, "alarm:a-1"), (B, PERSON)):
        plan = make_plan([station])
        store.plans.save(plan, "ana")
        run = store.runs.create(prepared(plan, "own", Strategy(), [NewJob(0, station)], cause=cause))
        assert store.runs.under_way(station, clock.now()) == (run.id if station == A else "")


def test_what_works_at_a_device_and_when_it_left_it(store: Store, clock: VirtualClock) -> None:
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
