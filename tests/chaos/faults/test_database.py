"""Faults 21 and 22: the disk of the database is full, the database refuses, dies and comes back, in mid-run."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress

import httpx
import psycopg
import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from controller.models.run import JournalStep
from controller.store.database.engine import make_engine
from controller.store.database.failures import is_passing
from tests.chaos.attempts import TAKEN_BACK, Attempt, assert_one_effect, begin, reached
from tests.chaos.faults.five_stations import FIVE, THIRD, brought_up, change, renamed_files
from tests.support.disks import SmallDisk, small_disk
from tests.support.postgres import PostgresServer, postgres_server
from tests.support.process_system import ProcessSystem, process_system, temporary_folder
from tests.support.soak import SOAK


@pytest.fixture(scope="module")
def own(request: pytest.FixtureRequest) -> Iterator[tuple[ProcessSystem, SmallDisk, PostgresServer]]:
    """A system on PostgreSQL, which has a small disk to itself."""
    with (
        small_disk(160) as disk,
        postgres_server(disk=disk.folder) as server,
        temporary_folder() as folder,
        process_system(folder, "servers", FIVE, server) as made,
    ):
        brought_up(made)
        yield made, disk, server


def _slow_run(system: ProcessSystem) -> Attempt:
    """A run whose confirmed commit is under way."""
    system.clear_faults(THIRD)
    plan = change(system, THIRD)
    system.fault(THIRD, "delay", "commit", seconds=3)
    attempt = begin(system, plan, confirm_timeout=12)
    reached(system, attempt, JournalStep.COMMITTING, THIRD)
    return attempt


def _refuses(system: ProcessSystem) -> bool:
    """Whether the API says of a request that needs room that it did not happen."""
    answer = system.api.put("/v1/network", json=renamed_files(system))
    return answer.status_code == 503 and "Retry-After" in answer.headers


def _is_ready(system: ProcessSystem) -> bool:
    with suppress(httpx.ConnectError):
        return system.api.get("/readyz").is_success
    return False


def _writable(system: ProcessSystem) -> dict[str, str]:
    """Whether the database takes writes, as metrics show it, by role of the process; empty where there is no page."""
    page = system.api.get("/metrics", params={"part": "controller"})
    series = re.findall(r"^minka_record_writable{(.*)} 1\.0$", page.text, re.MULTILINE) if page.is_success else []
    labels = [dict(re.findall(r'(\w+)="([^"]*)"', one)) for one in series]
    return {one["role"]: one["state"] for one in labels}


def _all_write(system: ProcessSystem) -> bool:
    return _writable(system) == {"api": "yes", "scheduler": "yes"}


def _assert_none_writes(system: ProcessSystem) -> None:
    """Metrics say that the database takes no writes, for several tries on end, so that an alert comes of it."""
    lasts, since = 150 if SOAK else 25, time.monotonic()

    def said() -> bool:
        nonlocal since
        seen = _writable(system)
        # A scheduler whose heartbeats are refused is not shown. One whose heartbeat comes late is shown by its last
        # try, which may have come to its end before the fault.
        if seen.get("api") not in ("no", "unknown") or "yes" in seen.values():
            since = time.monotonic()
        return seen.get("api") == "no" and time.monotonic() - since >= lasts

    system.until("metrics say so, and go on saying so", said, lasts + 90)


def _assert_ended_well(system: ProcessSystem, attempt: Attempt) -> None:
    """What was under way reached one end, station and record agree on it, and what comes next just works."""
    system.ended(attempt.run)
    system.assert_recorded(attempt.run)
    outcome = system.job(attempt.run, THIRD).outcome
    assert outcome is not None
    causes = system.changes(THIRD, attempt.before[THIRD])
    assert_one_effect(causes, len(attempt.plan.changes[0].phases), outcome.good)
    if outcome.good:
        assert any(row.step is JournalStep.CONFIRMING for row in system.journal(attempt.run, THIRD))
    system.assert_agree(THIRD)
    second = begin(system, change(system, THIRD))
    assert system.ended(second.run).counts == {"succeeded": 1}
    system.assert_recorded(second.run)


@pytest.mark.needs("initdb", "redis-server")
def test_postgres_dies_in_mid_run(own: tuple[ProcessSystem, SmallDisk, PostgresServer]) -> None:
    system, _, server = own
    attempt = _slow_run(system)
    server.kill()
    system.until("the API says so", lambda: _refuses(system) and not _is_ready(system))
    server.start()
    system.until("the API is back", lambda: _is_ready(system))
    _assert_ended_well(system, attempt)


@pytest.mark.needs("initdb", "redis-server")
def test_postgres_hangs_in_mid_run_and_nobody_waits_for_it(
    own: tuple[ProcessSystem, SmallDisk, PostgresServer],
) -> None:
    """Neither a request, nor a process that is asked to end."""
    system, _, server = own
    attempt = _slow_run(system)
    with server.hung():
        system.until("the API says so", lambda: _refuses(system))
        assert system.api.get("/healthz").is_success
        stopped = system.stop_all()
        assert set(stopped.values()) <= {0, -signal.SIGTERM}, stopped
    for name in stopped:
        system.start(name)
    system.until("the API is back", lambda: _is_ready(system))
    _assert_ended_well(system, attempt)


@pytest.mark.needs("initdb", "redis-server")
def test_a_long_migration_beside_processes_of_the_version_before_ends_none_of_them(
    own: tuple[ProcessSystem, SmallDisk, PostgresServer],
) -> None:
    """It locks the tables: in the soak for longer than anything is waited for."""
    system, _, _ = own
    system.ends.clear()
    with make_engine(system.env["MINKA_DATABASE_URL"], busy_timeout=30).connect() as migration:
        while not _locks_all_tables(migration):
            system.tend()
        end = time.monotonic() + (75 if SOAK else 12)
        while time.monotonic() < end:
            system.tend()
            time.sleep(0.2)
    system.until("the API is back", lambda: _is_ready(system))
    assert system.ends == []
    second = begin(system, change(system, THIRD))
    assert system.ended(second.run).counts == {"succeeded": 1}
    assert system.ends == []


def _locks_all_tables(migration: Connection) -> bool:
    """False if a process had them in another order, and the server ended this side: ``upgrade`` begins again, too."""
    migration.exec_driver_sql("SET idle_in_transaction_session_timeout = 0")
    tables = migration.exec_driver_sql("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").scalars()
    try:
        migration.exec_driver_sql(f"LOCK TABLE {', '.join(tables)} IN ACCESS EXCLUSIVE MODE")
    except DBAPIError as error:
        if not is_passing(error):
            raise
        migration.rollback()
        return False
    return True


@pytest.mark.needs("initdb", "redis-server")
def test_the_disk_of_postgres_is_full(own: tuple[ProcessSystem, SmallDisk, PostgresServer]) -> None:
    system, disk, server = own
    attempt = _slow_run(system)
    with disk.full():
        system.until("the API says so", lambda: _refuses(system))
        system.until("and so does its probe", lambda: not _is_ready(system))
        _assert_nothing_is_touched(system, attempt)
        _assert_none_writes(system)
    # A server whose log could not be written may have ended: whoever made room starts it.
    with suppress(RuntimeError):
        server.start()
    system.until("the API is back", lambda: _is_ready(system))
    system.until("and metrics say so", lambda: _all_write(system))
    _assert_ended_well(system, attempt)


@contextmanager
def _read_only(_: ProcessSystem, server: PostgresServer) -> Iterator[None]:
    """As a standby, or where an administrator says so."""
    server.execute("ALTER SYSTEM SET default_transaction_read_only = on")
    server.execute("SELECT pg_reload_conf()")
    try:
        yield
    finally:
        server.execute("ALTER SYSTEM RESET default_transaction_read_only")
        server.execute("SELECT pg_reload_conf()")


@contextmanager
def _locked(system: ProcessSystem, _: PostgresServer) -> Iterator[None]:
    """Somebody keeps a table from being written; it can be read. Logs say who, and nobody else is told."""
    with psycopg.connect(system.env["MINKA_DATABASE_URL"], application_name="nightly-report") as hog:
        there = hog.execute("SELECT application_name FROM pg_stat_activity WHERE datname = current_database()")
        assert {"minka-api", "minka-scheduler", "minka-worker"} <= {name for (name,) in there.fetchall()}
        hog.rollback()
        hog.execute("LOCK TABLE switches IN EXCLUSIVE MODE")
        yield
        for name in ("api", "scheduler"):  # both try again and again whether the record takes writes
            assert '"application": "nightly-report"' in system.log(name)
        refused = system.api.get("/readyz")
        assert refused.status_code == 503
        assert "nightly-report" not in refused.text
        hog.rollback()


@pytest.mark.needs("initdb", "redis-server")
@pytest.mark.parametrize("refusing", [_read_only, _locked])
def test_a_database_that_can_be_read_and_takes_no_writes_is_told_by_metrics(
    own: tuple[ProcessSystem, SmallDisk, PostgresServer],
    refusing: Callable[[ProcessSystem, PostgresServer], AbstractContextManager[None]],
) -> None:
    system, _, server = own
    system.until("all write", lambda: _all_write(system))
    with refusing(system, server):
        _assert_none_writes(system)
    system.until("all write again", lambda: _all_write(system))


def test_the_disk_of_the_embedded_shape_is_full() -> None:
    """Database, spool and logs all share it."""
    with small_disk(64) as disk, process_system(disk.folder, "embedded", FIVE) as system:
        brought_up(system)
        attempt = _slow_run(system)
        with disk.full():
            system.until("the API says so", lambda: _refuses(system) and not _is_ready(system))
            _assert_nothing_is_touched(system, attempt)
            _assert_none_writes(system)
            assert not system.ends, "a process ended because it could not log"
        system.until("the API is back", lambda: _is_ready(system))
        system.until("and metrics say so", lambda: _all_write(system))
        _assert_ended_well(system, attempt)


def _assert_nothing_is_touched(system: ProcessSystem, attempt: Attempt) -> None:
    """Whatever could not be put on record is not done: at most what was on record before, or the station's timer."""
    causes = system.changes(THIRD, attempt.before[THIRD])
    # A confirm that was on record in time may have gone out; only that it did is not on record yet.
    system.until("nothing is pending there", lambda: not _pending(system) or _settled(system, attempt))
    later = system.changes(THIRD, attempt.before[THIRD])[len(causes) :]
    assert set(later) <= {"confirmed-commit", *TAKEN_BACK}, later
    assert (causes + later).count("confirmed-commit") <= len(attempt.plan.changes[0].phases)


def _pending(system: ProcessSystem) -> bool:
    """Whether the station still waits for the confirm of its last change."""
    changed, confirmed = (system.history(THIRD, kind) for kind in ("running-changed", "confirmed"))
    if not changed or changed[-1]["detail"]["cause"] != "confirmed-commit":
        return False
    return not confirmed or confirmed[-1]["time"] < changed[-1]["time"]


def _settled(system: ProcessSystem, attempt: Attempt) -> bool:
    with suppress(Exception):
        return system.store.runs.get(attempt.run).state.terminal
    return False
