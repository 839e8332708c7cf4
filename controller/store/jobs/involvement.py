"""Which tenants runs concern; recorded as they are accepted and change stations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sqlalchemy import Column, ForeignKey, Index, String, Table, select

from controller.access.disclosure import involved
from controller.models.plan import Change
from controller.store.database.columns import metadata
from controller.store.database.transaction import Tx
from controller.store.jobs.run_rows import jobs

#: Stations where a run touches or interrupts a tenant, or may do so and the tenant was notified.
run_tenants = Table(
    "run_tenants",
    metadata,
    Column("run", String, ForeignKey("runs.id"), primary_key=True),
    Column("tenant", String, primary_key=True),
    Column("station", String, primary_key=True),
    Index("ix_run_tenants_tenant_run", "tenant", "run"),
)


def note_change(tx: Tx, run_id: str, change: Change) -> None:
    """Record whom a change of a run touches or interrupts. Repeating it adds nothing."""
    note_run(tx, run_id, {change.station: sorted(involved(change))})


def note_run(tx: Tx, run_id: str, tenants: Mapping[str, Iterable[str]]) -> None:
    """Record whom a run concerns: tenants that it touches or interrupts, by station. Repeating it adds nothing."""
    _note(tx, run_id, ((tenant, station) for station, there in tenants.items() for tenant in there))


def note_notified(tx: Tx, run_id: str, tenant: str, stations: Iterable[str]) -> None:
    """Record that a tenant is notified of a run before its changes are known: the tenant may then read the run."""
    working = set(tx.execute(select(jobs.c.station).where(jobs.c.run == run_id)).scalars())
    _note(tx, run_id, ((tenant, station) for station in stations if station in working))


def _note(tx: Tx, run_id: str, where: Iterable[tuple[str, str]]) -> None:
    rows = [{"run": run_id, "tenant": tenant, "station": station} for tenant, station in where]
    if rows:
        tx.execute(tx.insert(run_tenants).on_conflict_do_nothing(), rows)
