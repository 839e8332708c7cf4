"""A rolling upgrade: rows that a newer version wrote, met by an older one that still works."""

from __future__ import annotations

from sqlalchemy import update

from controller.store import SqlStore
from controller.store.tables import runs
from tests.support.records import start_run


def test_a_run_that_only_a_newer_version_understands_is_left_to_it(store: SqlStore) -> None:
    newer, known = start_run(store, ["A"], salt="newer"), start_run(store, ["B"], salt="known")
    text = newer.strategy.model_dump_json()
    with store._engine.begin() as connection:
        future = text.removesuffix("}") + ', "from_the_future": true}'
        connection.execute(update(runs).where(runs.c.id == newer.id).values(strategy=future))
    worker = store.register_worker("old")
    assert [claim.job.run for claim in store.claim(worker, 10)] == [known.id]
    assert store.claim(worker, 10) == []
    with store._engine.begin() as connection:
        connection.execute(update(runs).where(runs.c.id == newer.id).values(strategy=text))
    assert [claim.job.run for claim in store.claim(worker, 10)] == [newer.id]
