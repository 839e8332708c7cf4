"""Faults 21 and 22: the disk of the database is full, the database dies and comes back, in mid-run."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import suppress

import httpx
import pytest

from controller.models.run import JournalStep
from tests.chaos.faults.world import FIVE, THIRD, brought_up, change, changed_files
from tests.chaos.world import TAKEN_BACK, Attempt, assert_one_effect, begin, reached
from tests.support.controller import Plant, plant, temporary_folder
from tests.support.disks import SmallDisk, small_disk
from tests.support.postgres import PostgresServer, postgres_server

pytestmark = pytest.mark.timeout(400)


@pytest.fixture(scope="module")
def own(request: pytest.FixtureRequest) -> Iterator[tuple[Plant, SmallDisk, PostgresServer]]:
    """A plant on PostgreSQL, which has a small disk to itself."""
    with (
        small_disk(160) as disk,
        postgres_server(disk=disk.folder) as server,
        temporary_folder() as folder,
        plant(folder, "servers", FIVE, server) as made,
    ):
        brought_up(made)
        yield made, disk, server


def _slow_run(site: Plant) -> Attempt:
    """A run whose confirmed commit is under way."""
    site.clear_faults(THIRD)
    plan = change(site, THIRD)
    site.fault(THIRD, "delay", "commit", seconds=3)
    attempt = begin(site, plan, confirm_timeout=12)
    reached(site, attempt, JournalStep.COMMITTING, THIRD)
    return attempt


def _refuses(site: Plant) -> bool:
    """Whether the API says of a request that needs room that it did not happen."""
    answer = site.api.put("/v1/network", json=changed_files(site))
    return answer.status_code == 503 and "Retry-After" in answer.headers


def _is_ready(site: Plant) -> bool:
    with suppress(httpx.ConnectError):
        return site.api.get("/readyz").is_success
    return False


def _assert_ended_well(site: Plant, attempt: Attempt) -> None:
    """What was under way reached one end, station and record agree on it, and what comes next just works."""
    site.ended(attempt.run)
    site.assert_recorded(attempt.run)
    outcome = site.job(attempt.run, THIRD).outcome
    assert outcome is not None
    causes = site.changes(THIRD, attempt.before[THIRD])
    assert_one_effect(causes, len(attempt.plan.changes[0].phases), outcome.good)
    if outcome.good:
        assert any(row.step is JournalStep.CONFIRMING for row in site.journal(attempt.run, THIRD))
    site.assert_agree(THIRD)
    second = begin(site, change(site, THIRD))
    assert site.ended(second.run).counts == {"succeeded": 1}
    site.assert_recorded(second.run)


@pytest.mark.needs("initdb", "redis-server")
def test_postgres_dies_in_mid_run(own: tuple[Plant, SmallDisk, PostgresServer]) -> None:
    site, _, server = own
    attempt = _slow_run(site)
    server.kill()
    site.until("the API says so", lambda: _refuses(site) and not _is_ready(site))
    server.start()
    site.until("the API is back", lambda: _is_ready(site))
    _assert_ended_well(site, attempt)


@pytest.mark.needs("initdb", "redis-server")
def test_postgres_hangs_in_mid_run_and_nobody_waits_for_it(own: tuple[Plant, SmallDisk, PostgresServer]) -> None:
    """Neither a request, nor a process that is asked to end."""
    site, _, server = own
    attempt = _slow_run(site)
    with server.hung():
        site.until("the API says so", lambda: _refuses(site))
        assert site.api.get("/healthz").is_success
        stopped = site.stop_all()
        assert set(stopped.values()) <= {0, -signal.SIGTERM}, stopped
    for name in stopped:
        site.start(name)
    site.until("the API is back", lambda: _is_ready(site))
    _assert_ended_well(site, attempt)


@pytest.mark.needs("initdb", "redis-server")
def test_the_disk_of_postgres_is_full(own: tuple[Plant, SmallDisk, PostgresServer]) -> None:
    site, disk, server = own
    attempt = _slow_run(site)
    with disk.full():
        site.until("the API says so", lambda: _refuses(site))
        _assert_nothing_is_touched(site, attempt)
    # A server whose log could not be written may have ended: whoever made room starts it.
    with suppress(RuntimeError):
        server.start()
    site.until("the API is back", lambda: _is_ready(site))
    _assert_ended_well(site, attempt)


def test_the_disk_of_the_embedded_shape_is_full() -> None:
    """Database, spool and logs all share it."""
    with small_disk(64) as disk, plant(disk.folder, "embedded", FIVE) as site:
        brought_up(site)
        attempt = _slow_run(site)
        with disk.full():
            site.until("the API says so", lambda: _refuses(site) and not _is_ready(site))
            _assert_nothing_is_touched(site, attempt)
            assert not site.ends, "a process ended because it could not log"
        site.until("the API is back", lambda: _is_ready(site))
        _assert_ended_well(site, attempt)


def _assert_nothing_is_touched(site: Plant, attempt: Attempt) -> None:
    """Whatever could not be put on record is not done: at most what was on record before, or the station's timer."""
    causes = site.changes(THIRD, attempt.before[THIRD])
    # A confirm that was on record in time may have gone out; only that it did is not on record yet.
    site.until("nothing is pending there", lambda: not _pending(site) or _settled(site, attempt))
    later = site.changes(THIRD, attempt.before[THIRD])[len(causes) :]
    assert set(later) <= {"confirmed-commit", *TAKEN_BACK}, later
    assert (causes + later).count("confirmed-commit") <= len(attempt.plan.changes[0].phases)


def _pending(site: Plant) -> bool:
    """Whether the station still waits for the confirm of its last change."""
    changed, confirmed = (site.history(THIRD, kind) for kind in ("running-changed", "confirmed"))
    if not changed or changed[-1]["detail"]["cause"] != "confirmed-commit":
        return False
    return not confirmed or confirmed[-1]["time"] < changed[-1]["time"]


def _settled(site: Plant, attempt: Attempt) -> bool:
    with suppress(Exception):
        return site.store.runs.get(attempt.run).state.terminal
    return False
