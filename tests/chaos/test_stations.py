"""Stations that misbehave around the commit, against real processes and real NETCONF."""

from __future__ import annotations

import pytest

from controller.models.plan import Plan
from controller.models.run import Outcome, RunState
from tests.chaos.attempts import STATION, assert_failed, assert_right, begin, change, held
from tests.support.process_system import ProcessSystem

pytestmark = pytest.mark.needs("initdb", "redis-server")


@pytest.fixture(autouse=True)
def _well_behaved(system: ProcessSystem) -> None:
    system.clear_faults(STATION)


@pytest.mark.parametrize("kind", ["drop-before", "drop-after", "lose-reply"])
@pytest.mark.parametrize("operation", ["edit-config", "commit", "confirm"])
def test_sessions_and_replies_lost_around_the_commit(system: ProcessSystem, kind: str, operation: str) -> None:
    plan = change(system)
    system.fault(STATION, kind, operation)
    assert_right(system, begin(system, plan))


@pytest.mark.parametrize("kind", ["garbage-frame", "truncated-frame", "oversized-chunk"])
def test_replies_that_are_no_netconf(system: ProcessSystem, kind: str) -> None:
    plan = change(system)
    system.fault(STATION, kind, "commit")
    assert_right(system, begin(system, plan))


@pytest.mark.parametrize("operation", ["edit-config", "commit"])
def test_an_ok_that_means_nothing(system: ProcessSystem, operation: str) -> None:
    """It is told only after the timer that the commit asked for: until then it may take effect."""
    plan = change(system)
    system.fault(STATION, "ok-without-effect", operation)
    attempt = begin(system, plan, confirm_timeout=20)
    assert_failed(system, attempt, Outcome.FAILED_SAFE, Outcome.ROLLED_BACK)


def test_a_commit_that_takes_effect_later(system: ProcessSystem) -> None:
    plan = change(system)
    system.fault(STATION, "late-effect", "commit", seconds=5)
    attempt = begin(system, plan, confirm_timeout=20)
    assert_failed(system, attempt, Outcome.ROLLED_BACK)


def test_a_commit_that_takes_effect_after_its_session_was_lost(system: ProcessSystem) -> None:
    """It is waited for: begun anew at once, it would be in the way of its own first beginning."""
    plan = change(system)
    system.fault(STATION, "drop-late", "commit", seconds=8)
    assert_right(system, begin(system, plan, confirm_timeout=60))


def test_an_ok_to_the_confirm_that_means_nothing(system: ProcessSystem) -> None:
    """Only a second confirm shows it: without it the station would revert after everybody looked away."""
    plan = change(system)
    system.fault(STATION, "ok-without-effect", "confirm")
    assert_right(system, begin(system, plan))
    assert len(system.history(STATION, "confirmed")) >= 2


@pytest.mark.parametrize("kind", ["fail", "warning-before-error"])
@pytest.mark.parametrize("operation", ["edit-config", "commit"])
def test_refusals(system: ProcessSystem, kind: str, operation: str) -> None:
    plan = change(system)
    system.fault(STATION, kind, operation)
    assert_failed(system, begin(system, plan), Outcome.FAILED_SAFE)


def test_a_lock_of_somebody_else_defers(system: ProcessSystem) -> None:
    plan = change(system)
    system.fault(STATION, "lock-denied", "lock", count=None)
    attempt = begin(system, plan)
    assert system.ended(attempt.run).state is RunState.FAILED
    system.clear_faults(STATION)
    assert_failed(system, attempt, Outcome.DEFERRED)


def test_a_station_that_can_t_be_reached_defers_and_holds_up_nobody(system: ProcessSystem) -> None:
    plan = change(system, "*")
    # Warm sessions are dropped with their next request, and no new ones can be opened.
    system.fault(STATION, "refuse-sessions", count=None)
    system.fault(STATION, "drop-before", count=2)
    attempt = begin(system, plan)
    ended = system.ended(attempt.run)
    system.clear_faults(STATION)
    assert ended.state is RunState.PARTIAL
    outcomes = {job.station: job.outcome for job in system.store.runs.jobs(attempt.run)}
    assert outcomes.pop(STATION) is Outcome.DEFERRED
    assert set(outcomes.values()) == {Outcome.SUCCEEDED}
    system.assert_recorded(attempt.run)


def test_a_station_that_is_away_is_tried_again(system: ProcessSystem) -> None:
    plan = change(system, "*")
    system.fault(STATION, "refuse-sessions", count=None)
    system.fault(STATION, "drop-before", count=2)
    attempt = begin(system, plan, patience=8)
    system.until("all others are done", lambda: system.store.runs.get(attempt.run).counts.get("pending") == 1)
    away = system.until("it is missed", lambda: (job := system.job(attempt.run, STATION)).deferred and job)
    assert away.outcome is None
    assert "could not be reached or was busy" in " ".join(system.store.runs.get(attempt.run).waits)
    system.clear_faults(STATION)
    assert assert_right(system, attempt).state is RunState.SUCCEEDED


def test_a_changed_host_key_is_refused_before_authentication(system: ProcessSystem) -> None:
    plan = change(system)
    # So that nobody has a warm session left.
    system.control.post(f"/stations/{STATION}/restart").raise_for_status()
    opened = len(system.history(STATION, "session-opened"))
    system.fault(STATION, "changed-host-key", count=None)
    attempt = begin(system, plan)
    ended = system.ended(attempt.run)
    failed = len(system.history(STATION, "authentication-failed"))
    system.clear_faults(STATION)
    assert ended.state is RunState.FAILED
    job = system.job(attempt.run, STATION)
    assert job.outcome is Outcome.FAILED_SAFE
    assert "host key" in job.detail
    assert len(system.history(STATION, "session-opened")) == opened
    assert failed == 0, "a credential was sent to a host that showed another key"
    assert_failed(system, attempt, Outcome.FAILED_SAFE)


def test_a_stale_fingerprint_is_refused(system: ProcessSystem) -> None:
    """The cell was changed by hand since the plan was made."""
    plan = change(system)
    edit_share(system, plan, 2)
    before = len(system.changes(STATION))
    attempt = begin(system, plan)
    assert system.ended(attempt.run).state is RunState.FAILED
    assert system.job(attempt.run, STATION).outcome is Outcome.REFUSED
    assert len(system.changes(STATION)) == before
    system.assert_recorded(attempt.run)
    system.assert_agree(STATION)
    # Planned again it goes.
    assert_right(system, begin(system, system.plan(STATION)))


def edit_share(system: ProcessSystem, plan: Plan, ratio: int) -> None:
    """Somebody changes by hand what the plan works on."""
    path = plan.changes[0].phases[0].edits[0].path
    cell = path.split("EUtranCellFDD[")[1].split("]")[0]
    mcc, mnc = path.rpartition("[")[2].rstrip("]").split(",")
    edit = (
        f'<ManagedElement xmlns="urn:3gpp:sa5:_3gpp-common-managed-element"><id>{STATION}</id>'
        f'<ENBFunction xmlns="urn:minka:eutran-nrm"><id>1</id><EUtranCellFDD><id>{cell}</id><attributes>'
        f"<plmnRadioShareList><mcc>{mcc}</mcc><mnc>{mnc}</mnc><minRatio>{ratio}</minRatio></plmnRadioShareList>"
        "</attributes></EUtranCellFDD></ENBFunction></ManagedElement>"
    )
    answer = system.control.post(f"/stations/{STATION}/edit", json={"config": edit})
    assert answer.is_success, answer.text


def test_a_foreign_edit_before_the_confirm_is_named_and_all_is_taken_back(system: ProcessSystem) -> None:
    plan = change(system)
    with held(system, plan) as attempt:
        edit_share(system, plan, 1)
    ended = system.ended(attempt.run)
    assert ended.state is RunState.FAILED
    job = system.job(attempt.run, STATION)
    assert job.outcome is Outcome.ROLLED_BACK
    assert "somebody else changed the device" in job.detail
    assert "minRatio: 1 " in job.detail
    system.clear_faults(STATION)
    assert system.changes(STATION, attempt.before[STATION])[-1] == "cancel"
    assert_failed(system, attempt, Outcome.ROLLED_BACK)


def test_a_restart_in_the_confirm_window(system: ProcessSystem) -> None:
    plan = change(system)
    with held(system, plan) as attempt:
        system.control.post(f"/stations/{STATION}/restart").raise_for_status()
    assert_failed(system, attempt, Outcome.ROLLED_BACK)
    assert "restart" in system.job(attempt.run, STATION).detail
