"""Faults 21 and 22, and a writer that dies: no partial row, and StoreError for whoever asked."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, LiteralString

import psycopg
import pytest
from sqlalchemy import event, text
from sqlalchemy.engine import Engine

from controller.models.errors import StoreAwayError, StoreError
from controller.models.health import Health
from controller.models.people import Person, Role
from controller.ports.clock import VirtualClock
from controller.runs.sweeper import DEAD_AFTER
from controller.store import LoopStore, NewToken, Page, Store, open_store
from controller.store.database.postgresql import unhurried
from controller.store.database.transaction import Tx
from tests.support.postgres import PostgresServer, postgres_server
from tests.support.records import make_entry, make_plan, start_run, stations

#: Begins a group of writes, says so, and waits for its death in the middle of it.
_DYING = """
import sys, time
from controller.store import open_store
store = open_store(sys.argv[1])

def linger():
    print("written", flush=True)
    time.sleep(60)

store.database.together([
    lambda: store.switches.set("half", True, "dying"),
    lambda: store.holds.add("A", "dying", "", None),
    linger,
])
"""


def test_a_writer_that_is_killed_leaves_nothing_behind(shared_url: str) -> None:
    with closing(open_store(shared_url)) as store:
        store.switches.set("before", True, "ana")
        process = subprocess.Popen([sys.executable, "-c", _DYING, shared_url], stdout=subprocess.PIPE)
        assert process.stdout is not None
        assert process.stdout.readline() == b"written\n"
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
        store.switches.set("after", True, "ana")  # the dead writer's locks went with it
        assert [store.switches.is_on(name) for name in ("before", "half", "after")] == [True, False, True]
        assert store.holds.find(VirtualClock().now()) == []
        assert [row.actor for row in store.audit.page(Page())[1]] == ["ana", "ana"]
        assert store.audit.verify() is None


@pytest.fixture
def small(tmp_path: Path) -> Iterator[tuple[Store, Path]]:
    """A store on SQLite that is soon full, and its file."""
    file = tmp_path / "minka.sqlite3"
    with closing(open_store(f"sqlite:///{file}", busy_timeout=0.1)) as store:
        yield store, file


def _limit_pages(engine: Engine, pages: int) -> None:
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}"))


def test_a_full_disk_is_a_store_error_and_no_partial_row(small: tuple[Store, Path]) -> None:
    store, file = small
    with sqlite3.connect(file) as connection:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.close()
    _limit_pages(store.database.engine, pages + 4)
    with pytest.raises(StoreError, match="full"):
        store.plans.save(make_plan(stations(500), edits=10), "ana")
    assert store.plans.page(Page()) == (0, [])
    assert store.audit.page(Page()) == (0, [])
    store.switches.set("small", True, "ana")
    assert store.audit.verify() is None


async def test_a_full_disk_fails_only_the_call_that_needs_room(small: tuple[Store, Path]) -> None:
    store, file = small
    with sqlite3.connect(file) as connection:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.close()
    _limit_pages(store.database.engine, pages + 4)
    loop = LoopStore(store)
    results = await asyncio.gather(
        loop.switches.set("a", True, "ana"),
        loop.plans.save(make_plan(stations(500), edits=10), "ana"),
        loop.switches.set("b", True, "ana"),
        return_exceptions=True,
    )
    await loop.close()
    assert [type(result) for result in results] == [type(None), StoreError, type(None)]
    assert [store.switches.is_on("a"), store.switches.is_on("b")] == [True, True]
    assert store.audit.verify() is None


def test_a_database_locked_for_long_is_a_store_error(small: tuple[Store, Path]) -> None:
    store, file = small
    with closing(sqlite3.connect(file, isolation_level=None)) as hog:
        hog.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        with pytest.raises(StoreError, match="locked"):
            store.switches.set("x", True, "ana")
        assert time.monotonic() - began < 5
        with pytest.raises(StoreError, match="locked"):
            store.status.check_writable()
        assert not store.switches.is_on("x")  # readers go on
        hog.execute("ROLLBACK")
    store.switches.set("x", True, "ana")
    store.status.check_writable()
    assert store.switches.is_on("x")
    assert store.audit.verify() is None


def test_an_unreachable_database_is_a_store_error(tmp_path: Path) -> None:
    clock = VirtualClock()
    with pytest.raises(StoreError):
        open_store(f"sqlite:///{tmp_path / 'no' / 'such' / 'folder.sqlite3'}", clock)
    with pytest.raises(StoreError):
        open_store("postgresql://minka@127.0.0.1:1/minka", clock)
    assert clock.monotonic() > 0  # it was tried again


def _keep(url: str, table: LiteralString) -> sqlite3.Connection | psycopg.Connection[Any]:
    """A connection that lets nobody else write a table (of SQLite: any), and all read it."""
    if url.startswith("postgresql"):
        holder = psycopg.connect(url)
        holder.execute(f"LOCK TABLE {table} IN EXCLUSIVE MODE")
        return holder
    file = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None, check_same_thread=False)
    file.execute("BEGIN IMMEDIATE")
    return file


@contextmanager
def _waits_for(seconds: float, and_not: float) -> Iterator[None]:
    """Check that the block waits for so long, which a busy machine may stretch, and not for the time of repetitions."""
    begin = time.monotonic()
    yield
    assert seconds * 0.9 < time.monotonic() - begin < and_not


def test_a_lock_that_goes_away_is_waited_for(shared_url: str) -> None:
    with closing(open_store(shared_url, busy_timeout=60)) as store, closing(_keep(shared_url, "switches")) as hog:
        goes = threading.Timer(1.0, hog.rollback)
        goes.start()
        store.switches.set("x", True, "ana")
        goes.join()
        assert store.switches.is_on("x")


def test_all_attempts_of_a_call_wait_for_a_lock_as_long_as_one(shared_url: str) -> None:
    with closing(open_store(shared_url, busy_timeout=2)) as store:
        with closing(_keep(shared_url, "switches")):
            for _ in range(2):
                with _waits_for(2, and_not=6), pytest.raises(StoreError, match="lock"):
                    store.switches.set("x", True, "ana")
        store.switches.set("x", True, "ana")


@pytest.mark.needs("initdb")
def test_a_call_waits_for_all_its_locks_together_as_long_as_for_one(own_postgres: tuple[PostgresServer, Store]) -> None:
    """The server counts anew for each."""
    _, other = own_postgres
    url = other.database.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    with (
        closing(open_store(url, busy_timeout=4)) as store,
        closing(_keep(url, "switches")) as first,
        closing(_keep(url, "audit")),
    ):
        goes = threading.Timer(3.5, first.rollback)
        goes.start()
        with _waits_for(4, and_not=7), pytest.raises(StoreError, match="lock timeout"):
            store.switches.set("x", True, "ana")
        goes.join()


async def test_a_lock_delays_those_who_write_at_the_same_time_once_and_fails_only_who_needs_it(shared_url: str) -> None:
    """Heartbeats come after them: whoever waits for a lock must not pass for dead."""
    with closing(open_store(shared_url, busy_timeout=2)) as store:
        start_run(store, stations(8))
        worker = store.processes.register("w")
        claims = store.claims.take(worker, 100)
        loop = LoopStore(store)
        with closing(_keep(shared_url, "switches")) as hog:
            calls = [loop.switches.set("x", True, "ana") for _ in range(4)]
            if isinstance(hog, psycopg.Connection):
                hog.execute("SELECT * FROM leases WHERE station = %s FOR UPDATE", [claims[0].job.station])
            calls += [loop.journal.append(make_entry(claim, 0), claim) for claim in claims]
            beat = loop.processes.heartbeat(worker, 3)
            with _waits_for(2, and_not=20):
                answers = await asyncio.gather(*calls, beat, return_exceptions=True)
        await loop.close()
        kept = {4 + number for number, claim in enumerate(claims) if store.journal.find(claim.transaction)}
    ok = {number for number, answer in enumerate(answers) if answer is None}
    everything = isinstance(hog, sqlite3.Connection)
    assert {type(answer) for number, answer in enumerate(answers) if number not in ok} == {StoreError}
    assert ok == (set() if everything else {*range(5, 4 + len(claims)), len(answers) - 1})
    assert kept == ok - {len(answers) - 1}


def test_whoever_calls_with_a_token_waits_for_no_lock_of_the_tokens(shared_url: str) -> None:
    """To note when a token was used is not worth a scrape that is given up."""
    digest, patience = "1" * 64, 60.0
    with closing(open_store(shared_url, VirtualClock(), busy_timeout=patience)) as store:
        store.users.add(Person(name="prometheus", role=Role.HOST_VIEWER), "ana")
        store.tokens.add(NewToken(digest, "prometheus", "scrape", (), None), "ana")
        with closing(_keep(shared_url, "tokens")):
            begin = time.monotonic()
            assert store.tokens.bearer(digest) is not None
            assert time.monotonic() - begin < patience
            assert [one.used for one in store.tokens.find("prometheus")] == [None]
        if shared_url.startswith("sqlite"):
            with store.database.engine.connect() as connection:
                waits = connection.exec_driver_sql("PRAGMA busy_timeout").scalar()
            assert waits == patience * 1000, "work that counts waits as before"
        assert store.tokens.bearer(digest) is not None
        assert [one.used for one in store.tokens.find("prometheus")] == [VirtualClock().now()]


@pytest.fixture
def own_postgres() -> Iterator[tuple[PostgresServer, Store]]:
    """A PostgreSQL that the test may kill, and a store on it."""
    with postgres_server() as server, server.database() as url, closing(open_store(url, busy_timeout=0.3)) as store:
        yield server, store


@pytest.mark.needs("initdb")
def test_postgres_that_dies_and_comes_back(own_postgres: tuple[PostgresServer, Store]) -> None:
    server, store = own_postgres
    store.switches.set("before", True, "ana")
    server.kill()
    with pytest.raises(StoreError):
        store.switches.set("x", True, "ana")
    server.start()
    assert store.switches.is_on("before")  # on a connection that died with the server
    store.switches.set("x", True, "ana")
    assert store.audit.verify() is None


@pytest.mark.needs("initdb")
async def test_postgres_that_hangs_is_given_up(own_postgres: tuple[PostgresServer, Store]) -> None:
    """By whoever has a connection, by whoever wants one, and by all that is asked for together at once."""
    server, patient = own_postgres
    url = patient.database.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    with closing(open_store(url, silence=3.0)) as store:
        store.switches.set("before", True, "ana")
        loop = LoopStore(store)
        with server.hung():
            with pytest.raises(StoreAwayError, match="has not answered for 3 s"):
                store.switches.set("x", True, "ana")
            with pytest.raises(StoreAwayError, match="timeout expired"):
                store.switches.is_on("before")
            calls = [loop.switches.set("y", True, "ana") for _ in range(100)]
            calls += [loop.claims.finish(None, None) for _ in range(100)]  # type: ignore[arg-type]  # never looked at
            assert {type(one) for one in await asyncio.gather(*calls, return_exceptions=True)} == {StoreAwayError}
        assert [store.switches.is_on(name) for name in ("before", "x", "y")] == [True, False, False]
        await loop.switches.set("x", True, "ana")
        await loop.close()
        assert store.audit.verify() is None


@pytest.mark.needs("initdb")
def test_a_statement_without_end_is_stopped_unless_it_changes_tables(
    own_postgres: tuple[PostgresServer, Store],
) -> None:
    _, patient = own_postgres
    url = patient.database.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    sleep = text("SELECT pg_sleep(1.5)")

    def change_tables(tx: Tx) -> None:
        with unhurried(tx.connection):
            tx.execute(sleep)

    with closing(open_store(url, silence=1.0)) as store:
        for _ in range(2):
            with pytest.raises(StoreError, match="statement timeout"):
                store.database.run(lambda tx: tx.execute(sleep))
            store.database.run(change_tables)


@pytest.mark.needs("initdb")
def test_a_connection_that_is_cut_is_opened_again(own_postgres: tuple[PostgresServer, Store]) -> None:
    server, store = own_postgres
    run = start_run(store, stations(3))
    server.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname LIKE 't%'")
    assert len(store.claims.take(store.processes.register("w"), 3)) == 3
    assert store.runs.get(run.id).counts == {"pending": 3}


@pytest.mark.needs("initdb")
def test_a_row_locked_for_long_is_a_store_error(own_postgres: tuple[PostgresServer, Store]) -> None:
    _, store = own_postgres
    run = start_run(store, stations(1))
    url = store.database.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(url) as hog:
        hog.execute("SELECT * FROM runs FOR UPDATE")
        with pytest.raises(StoreError, match="lock timeout"):
            store.runs.cancel(run.id, "ana")
        assert store.runs.get(run.id) == run
    assert store.runs.cancel(run.id, "ana").state == "cancelling"


@pytest.mark.needs("initdb")
def test_who_loses_a_race_for_a_new_row_reads_the_one_that_is_there(own_postgres: tuple[PostgresServer, Store]) -> None:
    """As two listeners do that check the same station at once."""
    _, store = own_postgres
    seen = Health(station="A", at=VirtualClock().now(), reachable=True, plmns={"1": ("71610",)})
    lost: list[str] = []
    with closing(open_store(store.database.engine.url.render_as_string(hide_password=False))) as other:

        def overtake(_: object, __: object, statement: str, *___: object) -> None:
            if "INSERT INTO plmn_lists" in statement and not lost:
                lost.append(statement)
                other.healths.save([seen])

        event.listen(store.database.engine, "before_cursor_execute", overtake)
        store.healths.save([seen])
    assert len(lost) == 1
    assert len(store.healths.listed_plmns("A", seen.at)) == 1


@pytest.mark.needs("initdb")
def test_who_is_stopped_in_a_transaction_does_not_keep_others_from_writing(
    own_postgres: tuple[PostgresServer, Store],
) -> None:
    """PostgreSQL ends it, before others would declare it dead."""
    _, store = own_postgres
    run = start_run(store, stations(1))
    with store.database.engine.connect() as stopped:
        stopped.begin()
        stopped.execute(text("SELECT * FROM runs FOR UPDATE"))
        begun, cancelled = time.monotonic(), False
        while time.monotonic() - begun < DEAD_AFTER and not cancelled:
            with suppress(StoreError):  # the row is locked
                cancelled = store.runs.cancel(run.id, "ana").state == "cancelling"
        stopped.invalidate()
    assert cancelled


@pytest.mark.needs("initdb")
def test_a_commit_whose_answer_is_lost_is_not_repeated_by_itself(
    own_postgres: tuple[PostgresServer, Store],
) -> None:
    server, store = own_postgres
    cut = iter([True])

    def lose_answer(connection: object) -> None:
        if next(cut, False):
            server.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname LIKE 't%'")

    event.listen(store.database.engine, "commit", lose_answer)
    with pytest.raises(StoreError, match="may or may not count"):
        store.audit.append("ana", "did", "it")
    assert store.audit.page(Page())[0] == 0
    store.audit.append("ana", "did", "it")
    assert store.audit.page(Page())[0] == 1
