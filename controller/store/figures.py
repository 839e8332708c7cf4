"""Figures for the metrics door."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, and_, func, not_, select

from controller.models.run import JobState
from controller.store.claims import CLAIMABLE
from controller.store.tables import alarms, devices, jobs, leases, repairs, runs, switches, workers
from controller.store.transaction import Transactions, Tx, reads, writes


class FigureRecords(Transactions):
    """Counts over the record, and whether it takes any more."""

    @writes
    def check_writable(self, tx: Tx) -> None:
        """See ``Store.check_writable``. A switch of no meaning is turned: SQLite writes nothing that stays as it is."""
        row = tx.insert(switches).values({"name": "write-probe", "on": True})
        tx.execute(row.on_conflict_do_update(index_elements=["name"], set_={"on": not_(switches.c["on"])}))

    @reads
    def figures(self, tx: Tx) -> dict[str, dict[tuple[str, ...], float]]:
        """See ``Store.figures``."""
        # What waits for people, windows or the device of another job waits for no worker.
        ready = select(func.min(jobs.c.ready)).join(runs, runs.c.id == jobs.c.run)
        ready = ready.join(leases, leases.c.station == jobs.c.station).where(CLAIMABLE)
        oldest = tx.execute(ready, {"now": tx.now}).scalar()
        age = 0.0 if oldest is None else max(0.0, (tx.now - oldest).total_seconds())
        return {
            "runs": _grouped(tx, runs.c.state),
            "jobs": _grouped(tx, jobs.c.state),
            "outcomes": _grouped(tx, jobs.c.outcome, where=jobs.c.outcome.is_not(None)),
            "jobs_away": {(): _counted(tx, and_(jobs.c.deferred.is_not(None), jobs.c.state != JobState.DONE.value))},
            "sessions": _sessions(tx),
            "oldest_claimable_seconds": {(): age},
            "alarms": _grouped(tx, alarms.c.state, alarms.c.severity, alarms.c.probable_cause),
            "repairs": _grouped(tx, repairs.c.rule),
            "devices_adopted": {(): _counted(tx, devices.c.adopted.is_not(None))},
            "workers_alive": {(): _counted(tx, workers.c.alive)},
        }


def _grouped(
    tx: Tx, *columns: ColumnElement[Any], where: ColumnElement[bool] | None = None
) -> dict[tuple[str, ...], float]:
    query = select(*columns, func.count()).group_by(*columns)
    rows = tx.execute(query if where is None else query.where(where))
    return {tuple(row[:-1]): float(row[-1]) for row in rows}


def _sessions(tx: Tx) -> dict[tuple[str, ...], float]:
    query = select(workers.c.name, func.sum(workers.c.sessions).label("open"))
    rows = tx.execute(query.where(workers.c.alive).group_by(workers.c.name))
    return {(row.name,): float(row.open) for row in rows}


def _counted(tx: Tx, where: ColumnElement[bool]) -> float:
    return float(tx.execute(select(func.count()).where(where)).scalar_one())
