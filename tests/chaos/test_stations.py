"""Stations that misbehave around the commit, against real processes and real NETCONF."""

from __future__ import annotations

import pytest

from controller.models.plan import Plan
from controller.models.run import Outcome, RunState
from tests.chaos.world import STATION, assert_failed, assert_right, begin, change, held
from tests.support.controller import Plant

pytestmark = [pytest.mark.needs("initdb", "redis-server"), pytest.mark.timeout(400)]


@pytest.fixture(autouse=True)
def _well_behaved(site: Plant) -> None:
    site.clear_faults(STATION)


@pytest.mark.parametrize("kind", ["drop-before", "drop-after", "lose-reply"])
@pytest.mark.parametrize("operation", ["edit-config", "commit", "confirm"])
def test_sessions_and_replies_lost_around_the_commit(site: Plant, kind: str, operation: str) -> None:
    plan = change(site)
    site.fault(STATION, kind, operation)
    assert_right(site, begin(site, plan))


@pytest.mark.parametrize("kind", ["garbage-frame", "truncated-frame", "oversized-chunk"])
def test_replies_that_are_no_netconf(site: Plant, kind: str) -> None:
    plan = change(site)
    site.fault(STATION, kind, "commit")
    assert_right(site, begin(site, plan))


@pytest.mark.parametrize("operation", ["edit-config", "commit"])
def test_an_ok_that_means_nothing(site: Plant, operation: str) -> None:
    plan = change(site)
    site.fault(STATION, "ok-without-effect", operation)
    assert_failed(site, begin(site, plan), Outcome.FAILED_SAFE, Outcome.ROLLED_BACK)


def test_an_ok_to_the_confirm_that_means_nothing(site: Plant) -> None:
    """Only a second confirm shows it: without it the station would revert after everybody looked away."""
    plan = change(site)
    site.fault(STATION, "ok-without-effect", "confirm")
    assert_right(site, begin(site, plan))
    assert len(site.history(STATION, "confirmed")) >= 2


@pytest.mark.parametrize("kind", ["fail", "warning-before-error"])
@pytest.mark.parametrize("operation", ["edit-config", "commit"])
def test_refusals(site: Plant, kind: str, operation: str) -> None:
    plan = change(site)
    site.fault(STATION, kind, operation)
    assert_failed(site, begin(site, plan), Outcome.FAILED_SAFE)


def test_a_lock_of_somebody_else_defers(site: Plant) -> None:
    plan = change(site)
    site.fault(STATION, "lock-denied", "lock", count=None)
    attempt = begin(site, plan)
    assert site.ended(attempt.run).state is RunState.FAILED
    site.clear_faults(STATION)
    assert_failed(site, attempt, Outcome.DEFERRED)


def test_a_station_that_can_t_be_reached_defers_and_holds_up_nobody(site: Plant) -> None:
    plan = change(site, "*")
    # Warm sessions are dropped with their next request, and no new ones can be opened.
    site.fault(STATION, "refuse-sessions", count=None)
    site.fault(STATION, "drop-before", count=2)
    attempt = begin(site, plan)
    ended = site.ended(attempt.run)
    site.clear_faults(STATION)
    assert ended.state is RunState.PARTIAL
    outcomes = {job.station: job.outcome for job in site.store.runs.jobs(attempt.run)}
    assert outcomes.pop(STATION) is Outcome.DEFERRED
    assert set(outcomes.values()) == {Outcome.SUCCEEDED}
    site.assert_recorded(attempt.run)


def test_a_station_that_is_away_is_tried_again(site: Plant) -> None:
    plan = change(site, "*")
    site.fault(STATION, "refuse-sessions", count=None)
    site.fault(STATION, "drop-before", count=2)
    attempt = begin(site, plan, patience=8)
    site.until("all others are done", lambda: site.store.runs.get(attempt.run).counts.get("pending") == 1)
    away = site.until("it is missed", lambda: (job := site.job(attempt.run, STATION)).deferred and job)
    assert away.outcome is None
    assert "was away or busy" in " ".join(site.store.runs.get(attempt.run).waits)
    site.clear_faults(STATION)
    assert assert_right(site, attempt).state is RunState.SUCCEEDED


def test_a_changed_host_key_is_refused_before_authentication(site: Plant) -> None:
    plan = change(site)
    # So that nobody has a warm session left.
    site.control.post(f"/stations/{STATION}/restart").raise_for_status()
    opened = len(site.history(STATION, "session-opened"))
    site.fault(STATION, "changed-host-key", count=None)
    attempt = begin(site, plan)
    ended = site.ended(attempt.run)
    failed = len(site.history(STATION, "authentication-failed"))
    site.clear_faults(STATION)
    assert ended.state is RunState.FAILED
    job = site.job(attempt.run, STATION)
    assert job.outcome is Outcome.FAILED_SAFE
    assert "host key" in job.detail
    assert len(site.history(STATION, "session-opened")) == opened
    assert failed == 0, "a credential was sent to a host that showed another key"
    assert_failed(site, attempt, Outcome.FAILED_SAFE)


def test_a_stale_fingerprint_is_refused(site: Plant) -> None:
    """The cell was changed by hand since the plan was made."""
    plan = change(site)
    edit_share(site, plan, 2)
    before = len(site.changes(STATION))
    attempt = begin(site, plan)
    assert site.ended(attempt.run).state is RunState.FAILED
    assert site.job(attempt.run, STATION).outcome is Outcome.REFUSED
    assert len(site.changes(STATION)) == before
    site.assert_recorded(attempt.run)
    site.assert_agree(STATION)
    # Planned again it goes.
    assert_right(site, begin(site, site.plan(STATION)))


def edit_share(site: Plant, plan: Plan, ratio: int) -> None:
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
    answer = site.control.post(f"/stations/{STATION}/edit", json={"config": edit})
    assert answer.is_success, answer.text


def test_a_foreign_edit_before_the_confirm_is_named_and_all_is_taken_back(site: Plant) -> None:
    plan = change(site)
    with held(site, plan) as attempt:
        edit_share(site, plan, 1)
    ended = site.ended(attempt.run)
    assert ended.state is RunState.FAILED
    job = site.job(attempt.run, STATION)
    assert job.outcome is Outcome.ROLLED_BACK
    assert "behind our back" in job.detail
    assert "minRatio: 1 " in job.detail
    site.clear_faults(STATION)
    assert site.changes(STATION, attempt.before[STATION])[-1] == "cancel"
    assert_failed(site, attempt, Outcome.ROLLED_BACK)


def test_a_restart_in_the_confirm_window(site: Plant) -> None:
    plan = change(site)
    with held(site, plan) as attempt:
        site.control.post(f"/stations/{STATION}/restart").raise_for_status()
    assert_failed(site, attempt, Outcome.ROLLED_BACK)
    assert "restart" in site.job(attempt.run, STATION).detail
