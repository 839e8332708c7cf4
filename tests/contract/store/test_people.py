from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace

import pytest
from sqlalchemy import text

from controller.models.alarm import AlarmSource, AlertRefusal, PerceivedSeverity, SwitchState
from controller.models.errors import MinkaError, NotFoundError
from controller.models.rule import ProposalState
from controller.models.run import AuditRow, Outcome, RunState
from controller.models.waiting import COUNTED
from controller.ports.clock import VirtualClock
from controller.store import JobResult, Page, Store
from controller.store.across import status
from tests.contract.store.test_alarms import MAJOR, report
from tests.support.records import START, start_run, stations


def test_a_hold_binds_until_it_ends_or_is_lifted(store: Store) -> None:
    hour = timedelta(hours=1)
    short = store.holds.add("site:cusco-1", "ana", "someone on the mast", START + hour)
    long = store.holds.add("PE-00001/1", "ana", "tests", None)
    assert store.holds.find(START) == [long, short]
    assert store.holds.find(START + hour) == [long]
    store.holds.end(long.id, "eva")
    assert store.holds.find(START + hour) == []
    for gone in (long.id, "h-none"):
        with pytest.raises(NotFoundError):
            store.holds.end(gone, "eva")


def test_switches_are_off_until_set_and_say_by_whom(store: Store) -> None:
    assert not store.switches.is_on("remediation-stopped")
    assert store.switches.get("remediation-stopped") == SwitchState()
    store.switches.set("remediation-stopped", True, "ana", "storm")
    assert store.switches.is_on("remediation-stopped")
    state = SwitchState(on=True, since=START, by="ana", reason="storm")
    assert store.switches.get("remediation-stopped") == state
    store.switches.set("remediation-stopped", False, "ana")
    assert not store.switches.is_on("remediation-stopped")


def test_acts_of_their_own_are_on_record(store: Store, clock: VirtualClock) -> None:
    store.audit.append("ana", "network.imported", "peru", {"stations": "3"})
    clock.pause(1)
    store.audit.append("ana", "alarm.read", "a-1")
    total, rows = store.audit.page(Page(limit=1))
    later = START + timedelta(seconds=1)
    assert (total, rows) == (2, [AuditRow(id=2, at=later, actor="ana", action="alarm.read", object="a-1")])
    assert store.audit.page(Page(limit=1, offset=1))[1][0].detail == {"stations": "3"}
    assert store.audit.verify() is None


def test_figures_count_what_is_on_record(store: Store, clock: VirtualClock) -> None:
    start_run(store, stations(3))
    worker = store.processes.register("w")
    store.processes.heartbeat(worker, sessions=40)
    store.processes.heartbeat(store.processes.register("x"), sessions=2)
    store.processes.declare_dead(store.processes.register("y"), 0)
    clock.pause(7)
    first, _ = store.claims.take(worker, 2)
    store.claims.finish(first, JobResult(Outcome.SUCCEEDED))
    alarm = store.alarms.report(report(MAJOR, 1))
    store.repairs.record("rebuild", "/x", "a-1", "r-1")
    store.devices.adopt("A", [], "d", "ana")
    assert store.status.figures() == {
        "minka_runs": {("running",): 1.0},
        "minka_jobs": {("ready",): 1.0, ("claimed",): 1.0, ("done",): 1.0},
        "minka_jobs_ended_total": {(outcome,): float(outcome == "succeeded") for outcome in Outcome},
        "minka_runs_ended_total": {(state,): 0.0 for state in RunState if state.terminal},
        "minka_jobs_away": {(): 0.0},
        "minka_health_age_seconds": {("0.5",): 0.0, ("0.95",): 0.0, ("1",): 0.0},
        "minka_record_in_doubt": {(): 0.0},
        "minka_sessions": {("worker", "w"): 40.0, ("worker", "x"): 2.0},
        "minka_oldest_claimable_job_age_seconds": {(): 7.0},
        "minka_oldest_unjudged_run_age_seconds": {(): 0.0},
        "minka_alarms": {("raised", "MAJOR", "core-link-down"): 1.0},
        "minka_collection_stations": {(): 0.0},
        "minka_collection_age_seconds": {},
        "minka_collection_missing_periods": {(): 0.0},
        "minka_collection_periods_total": {
            (kind,): 0.0 for kind in ("new", "repeated", "replaced", "conflicting", "refused", "late")
        },
        "minka_collection_files_refused_total": {},
        "minka_collection_failures_total": {},
        "minka_incidents": {
            (severity, known): float((severity, known) == ("MAJOR", "new"))
            for severity in set(PerceivedSeverity) - {PerceivedSeverity.CLEARED}
            for known in ("new", "acknowledged", "taken")
        },
        "minka_incident_info": {(alarm.incident, alarm.station, "core-link-down", "MAJOR", "new"): 1.0},
        "minka_incident_root": {(alarm.incident, alarm.station, alarm.object, "core-link-down"): 1.0},
        "minka_incident_symptom": {},
        "minka_tenant_incidents": {("entel", "MAJOR"): 1.0},
        "minka_database_up": {(store.database.engine.dialect.name,): 1.0},
        "minka_record_writable": {},
        "minka_leases": {("held",): 1.0, ("to-recover",): 0.0},
        "minka_runs_waiting": {(code.value,): 0.0 for code in COUNTED},
        "minka_oldest_waiting_run_age_seconds": {(code.value,): 0.0 for code in COUNTED},
        "minka_reports": {(source,): float(source == "check") for source in AlarmSource},
        "minka_proposals": {(state,): 0.0 for state in ProposalState},
        "minka_repairs_started_total": {("rebuild",): 1.0},
        "minka_stations_adopted": {(): 1.0},
        "minka_alerts_refused_total": {(reason,): 0.0 for reason in AlertRefusal},
        "minka_automatic_repair_stopped": {("breaker",): 0.0, ("people",): 0.0},
        "minka_alarms_escalated_total": {(): 0.0},
        "minka_calls_unacknowledged": {("calling",): 0.0, ("used-up",): 0.0},
        "minka_deliveries_failing": {("call",): 0.0, ("escalation",): 0.0, ("notice",): 0.0},
        "minka_process_starts_total": {("worker", "w"): 1.0, ("worker", "x"): 1.0, ("worker", "y"): 1.0},
        "minka_process_instances": {("worker", "w"): 1.0, ("worker", "x"): 1.0, ("worker", "y"): 0.0},
        "minka_process_up": {("worker", "w"): 1.0, ("worker", "x"): 1.0, ("worker", "y"): 0.0},
        "minka_process_ready": {("worker", "w"): 1.0, ("worker", "x"): 1.0, ("worker", "y"): 0.0},
        "minka_processes_ready": {("api",): 0.0, ("worker",): 2.0, ("listener",): 0.0, ("scheduler",): 0.0},
    }


def test_messages_that_do_not_arrive_and_processes_that_start_again_are_counted(store: Store) -> None:
    alarm = store.alarms.report(report(MAJOR, 1))
    store.alarms.escalate(alarm, "nobody answers it", actor="remediation")

    def failing() -> float:
        return store.status.figures()["minka_deliveries_failing"]["escalation",]

    (pending,) = store.escalations.pending()
    claimed = store.escalations.claim(pending)
    assert claimed is not None
    assert failing() == 0, "it is on its way"
    store.escalations.release(claimed, "500")
    assert failing() == 1
    again = store.escalations.claim(store.escalations.pending()[0])
    assert again is not None
    assert failing() == 1
    store.escalations.delivered(again)
    assert failing() == 0
    for _ in range(3):
        store.processes.register("w")
    store.processes.heartbeat(store.processes.alive()[0].id)
    figures = store.status.figures()
    assert figures["minka_process_starts_total"] == {("worker", "w"): 3.0}
    assert figures["minka_process_instances"] == {("worker", "w"): 2.0}, "one that another one replaced lives after all"


def test_a_database_without_room_takes_no_writes_although_it_takes_one_more_of_the_same_size(
    store: Store, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.status.check_writable()
    if store.database.engine.url.database in (None, ":memory:"):
        return  # it has no disk
    if store.database.engine.dialect.name == "sqlite":
        monkeypatch.setattr(status, "disk_usage", lambda _: SimpleNamespace(free=4096))
    else:  # as when blocks can't be had: chaos/faults/test_database.py fills its disk
        monkeypatch.setattr(status, "_ROOM", text("SELECT n/0 FROM generate_series(1, 2) AS n"))
    store.status.check_writable()
    clock.pause(10)
    with pytest.raises(MinkaError):
        store.status.check_writable()
    monkeypatch.undo()
    store.status.check_writable()
