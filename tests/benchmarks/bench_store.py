"""Rates of the record: ``python -m tests.benchmarks.bench_store [--postgres]``.

Prints claims and finished jobs per second, journal rows per second with group commit against one
commit each, and what a plan of a whole network costs to keep and to load.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from typing import Any, TypeVar

from controller.models.alarm import Alarm, AlarmReport, PerceivedSeverity
from controller.models.plan import LedgerNode
from controller.models.run import Outcome, Strategy
from controller.store import AsyncStore, Claim, JobResult, LoopStore, Store, open_store
from tests.support.postgres import postgres_server
from tests.support.records import START, make_entry, make_plan, start_run, stations

T = TypeVar("T")
JOBS = 500
ROWS = 2000
STATIONS = 3100


@contextmanager
def measured(what: str, number: int) -> Iterator[None]:
    """Print the rate of the body."""
    start = time.perf_counter()
    yield
    seconds = time.perf_counter() - start
    print(f"  {what:<52} {number:>6} in {seconds:7.3f} s  {number / seconds:>9,.0f}/s")


async def _together(
    store: Store, call: Callable[[AsyncStore, T], Coroutine[Any, Any, Any]], items: Iterable[T]
) -> None:
    """Calls for all items, at the same time."""
    loop = LoopStore(store)
    await asyncio.gather(*(call(loop, item) for item in items))
    await loop.close()


def _write(store: AsyncStore, row: tuple[Claim, int]) -> Coroutine[Any, Any, None]:
    claim, seq = row
    return store.journal.append(make_entry(claim, seq), claim)


def _finish(store: AsyncStore, claim: Claim) -> Coroutine[Any, Any, None]:
    assert claim.change is not None
    return store.claims.finish(claim, JobResult(Outcome.SUCCEEDED, gained=claim.change.gained, applied=True))


def _report(store: AsyncStore, number: int) -> Coroutine[Any, Any, Alarm]:
    report = AlarmReport(
        station=f"PE-{number:05}",
        object="/ManagedElement[1]",
        probable_cause="core-link-down",
        severity=PerceivedSeverity.MAJOR,
        source="check",
        at=START,
    )
    return store.alarms.report(report)


def bench_jobs(store: Store) -> None:
    """Claims, journal rows, finishes."""
    run = start_run(store, stations(STATIONS), strategy=Strategy(parallel=JOBS))
    worker = store.processes.register("bench")
    with measured("claim, 3,100 jobs claimable", JOBS):
        claims = store.claims.take(worker, JOBS)
    rows = [(claims[index % JOBS], index // JOBS) for index in range(ROWS)]
    with measured("journal rows, group commit", ROWS):
        asyncio.run(_together(store, _write, rows))
    with measured("journal rows, one commit each", JOBS):
        for claim in claims:
            store.journal.append(make_entry(claim, 100), claim)
    with measured("finish, group commit", JOBS):
        asyncio.run(_together(store, _finish, claims))
    with measured("advance over the jobs of a run", 1):
        store.runs.advance(run.id, lambda _run, _jobs: None)
    with measured("alarm reports, group commit", JOBS):
        asyncio.run(_together(store, _report, range(JOBS)))
    with measured("verify the audit chain", 1):
        store.audit.verify()


def _adopt(nodes: list[LedgerNode], store: AsyncStore, station: str) -> Coroutine[Any, Any, None]:
    return store.devices.adopt(station, nodes, "digest", "bench")


def bench_plans(store: Store) -> None:
    """A plan of a whole network, its ledger."""
    plan = make_plan(stations(STATIONS), salt="big", edits=8)
    with measured("keep a plan, changes", STATIONS):
        store.plans.save(plan, "bench")
    with measured("load it, changes", STATIONS):
        store.plans.get(plan.id)
    nodes = [LedgerNode(path=f"/ManagedElement[1]/x[{n}]", owners=("entel",)) for n in range(40)]
    with measured("adopt 620 stations, ledger nodes", 620 * 40):
        adopt = partial(_adopt, nodes)
        asyncio.run(_together(store, adopt, stations(620)))
    with measured("load the ledger, nodes", 620 * 40):
        store.ledger.find()


def bench(name: str, url: str) -> None:
    """All rates on one database."""
    print(name)
    with closing(open_store(url)) as store:
        bench_jobs(store)
        bench_plans(store)


def main() -> None:
    """Measure SQLite in a file, and PostgreSQL if asked."""
    with tempfile.TemporaryDirectory() as folder:
        bench("SQLite, file, synchronous=FULL", f"sqlite:///{folder}/bench.sqlite3")
    if "--postgres" in sys.argv:
        with postgres_server(durable=True) as server, server.database() as url:
            bench("PostgreSQL, loopback", url)


if __name__ == "__main__":
    main()
