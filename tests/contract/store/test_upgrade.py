"""Upgrades: of several processes one changes the tables; rows of a newer version, met by an older one that works."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import structlog
from alembic import command
from sqlalchemy import inspect, update

from controller.models.health import Health
from controller.ports.clock import SystemClock
from controller.store import Store
from controller.store.database.engine import make_engine
from controller.store.database.transaction import Database
from controller.store.jobs.run_rows import runs
from controller.store.network.devices import healths
from controller.store.upgrade import upgrade_database
from tests.support.records import START, start_run


def test_a_run_that_only_a_newer_version_understands_is_left_to_it(store: Store) -> None:
    newer, known = start_run(store, ["A"], salt="newer"), start_run(store, ["B"], salt="known")
    text = newer.strategy.model_dump_json()
    with store.database.engine.begin() as connection:
        future = text.removesuffix("}") + ', "from_the_future": true}'
        connection.execute(update(runs).where(runs.c.id == newer.id).values(strategy=future))
    worker = store.processes.register("old")
    assert [claim.job.run for claim in store.claims.take(worker, 10)] == [known.id]
    assert store.claims.take(worker, 10) == []
    with store.database.engine.begin() as connection:
        connection.execute(update(runs).where(runs.c.id == newer.id).values(strategy=text))
    assert [claim.job.run for claim in store.claims.take(worker, 10)] == [newer.id]


def test_health_that_another_version_wrote_is_as_if_nobody_had_looked(store: Store) -> None:
    store.healths.save([Health(station=name, at=START, reachable=True) for name in ("A", "B")])
    with store.database.engine.begin() as connection:
        older = '{"station": "A", "at": "2026-01-01T00:00:00Z", "reachable": true, "cells": {"1": true}}'
        connection.execute(update(healths).where(healths.c.station == "A").values(content=older))
    assert set(store.healths.find()) == {"B"}
    store.healths.save([Health(station="A", at=START, reachable=True)])
    assert set(store.healths.find()) == {"A", "B"}


def test_of_processes_that_start_together_one_changes_the_tables_and_the_others_wait_however_long(
    shared_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if shared_url.startswith("postgresql"):  # it comes with tables
        emptied = make_engine(shared_url, busy_timeout=5)
        with emptied.begin() as connection:
            connection.exec_driver_sql("DROP SCHEMA public CASCADE")
            connection.exec_driver_sql("CREATE SCHEMA public")
        emptied.dispose()
    changed, go_on, begun = list[str](), threading.Event(), threading.Event()
    change = command.upgrade

    def slow(*args: Any) -> None:
        changed.append(threading.current_thread().name)
        change(*args)
        begun.set()
        assert go_on.wait(90)

    monkeypatch.setattr(command, "upgrade", slow)
    ended: dict[str, object] = {}

    def start(name: str) -> None:
        engine = make_engine(shared_url, busy_timeout=0.05)
        try:
            upgrade_database(Database(engine, SystemClock()))
            ended[name] = inspect(engine).has_table("alembic_version")
        except Exception as error:
            ended[name] = error
        finally:
            engine.dispose()

    names = ("api", "listener", "worker")
    threads = [threading.Thread(target=start, args=(name,), name=name) for name in names]
    with structlog.testing.capture_logs() as said:
        for thread in threads:
            thread.start()
        assert begun.wait(90)
        # Longer than any lock is waited for: until both others have said that they wait, and looked again.
        while sum(line["event"] == "database.waits" for line in said) < len(names) - 1:
            assert not ended
            go_on.wait(0.05)
        go_on.wait(2)
        assert not ended
        go_on.set()
        for thread in threads:
            thread.join(90)
    assert ended == dict.fromkeys(names, True)
    assert len(changed) == 1
    assert sum(line["event"] == "database.ready" for line in said) == len(names) - 1
