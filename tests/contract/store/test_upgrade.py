"""A rolling upgrade: rows that a newer version wrote, met by an older one that still works."""

from __future__ import annotations

from sqlalchemy import update

from controller.models.health import Health
from controller.store import SqlStore
from controller.store.devices import healths
from controller.store.run_rows import runs
from tests.support.records import START, start_run


def test_a_run_that_only_a_newer_version_understands_is_left_to_it(store: SqlStore) -> None:
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


def test_health_that_another_version_wrote_is_as_if_nobody_had_looked(store: SqlStore) -> None:
    store.healths.save([Health(station=name, at=START, reachable=True) for name in ("A", "B")])
    with store.database.engine.begin() as connection:
        older = '{"station": "A", "at": "2026-01-01T00:00:00Z", "reachable": true, "cells": {"1": true}}'
        connection.execute(update(healths).where(healths.c.station == "A").values(content=older))
    assert set(store.healths.find()) == {"B"}
    store.healths.save([Health(station="A", at=START, reachable=True)])
    assert set(store.healths.find()) == {"A", "B"}
