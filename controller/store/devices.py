"""Devices and their health."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pydantic import ValidationError
from sqlalchemy import Column, String, Table, Text, and_, select, update

from controller.models.health import Health
from controller.models.plan import LedgerNode
from controller.ports.store import Device, Devices, Healths, Sync
from controller.store.columns import Instant, metadata, string
from controller.store.leases import leases
from controller.store.ledger import LedgerChange, change_ledger
from controller.store.repository import SqlRepository, reads, writes
from controller.store.transaction import Tx

devices = Table(
    "devices",
    metadata,
    Column("station", String, primary_key=True),
    Column("adopted", Instant),
    string("network_digest"),
    Column("applied", Instant),
    Column("retired", Instant),
)

healths = Table(
    "healths",
    metadata,
    Column("station", String, primary_key=True),
    Column("at", Instant, nullable=False),
    Column("content", Text, nullable=False),
)

_DEVICES = select(devices)
_HEALTHS = select(healths)


class SqlDevices(SqlRepository, Devices[Sync]):
    """What we know of devices."""

    @reads
    def find(self, tx: Tx, stations: Iterable[str] | None = None) -> dict[str, Device]:
        rows = tx.rows(_DEVICES, devices.c.station, stations)
        return {
            row.station: Device(row.station, row.adopted, row.network_digest, row.applied, row.retired) for row in rows
        }

    @writes
    def adopt(
        self,
        tx: Tx,
        station: str,
        nodes: Sequence[LedgerNode],
        network_digest: str,
        actor: str,
        generation: int = 0,
    ) -> None:
        if generation:
            lease = tx.insert(leases).values(station=station, fence=generation)
            newer = leases.c.fence < lease.excluded.fence
            tx.execute(
                lease.on_conflict_do_update(
                    index_elements=["station"], set_={"fence": lease.excluded.fence}, where=newer
                )
            )
        row = tx.insert(devices).values(station=station, adopted=tx.now, network_digest=network_digest, applied=tx.now)
        values = {"adopted": row.excluded.adopted, "network_digest": network_digest, "applied": tx.now, "retired": None}
        tx.execute(
            row.on_conflict_do_update(index_elements=["station"], set_=values, where=devices.c.adopted.is_(None))
        )
        change_ledger(tx, [LedgerChange(station, nodes)])
        tx.note(actor, "station.adopted", station, nodes=len(nodes), network=network_digest)

    @writes
    def retire(self, tx: Tx, station: str, actor: str) -> None:
        served = and_(devices.c.station == station, devices.c.retired.is_(None))
        if tx.execute(update(devices).where(served).values(adopted=None, retired=tx.now)).rowcount:
            tx.note(actor, "station.retired", station)


class SqlHealths(SqlRepository, Healths[Sync]):
    """The latest look at each station."""

    @writes
    def save(self, tx: Tx, seen: Sequence[Health]) -> None:
        if not seen:
            return
        row = tx.insert(healths)
        update_newer = row.on_conflict_do_update(
            index_elements=["station"],
            set_={"at": row.excluded.at, "content": row.excluded.content},
            where=healths.c.at <= row.excluded.at,
        )
        ordered = sorted(seen, key=lambda health: health.station)  # the same order of locks in every process
        tx.execute(
            update_newer,
            [{"station": health.station, "at": health.at, "content": health.model_dump_json()} for health in ordered],
        )

    @reads
    def find(self, tx: Tx, stations: Iterable[str] | None = None) -> dict[str, Health]:
        return healths_of(tx, stations)


def healths_of(tx: Tx, stations: Iterable[str] | None) -> dict[str, Health]:
    """What ``Healths.find`` does, as part of a transaction."""
    rows = tx.rows(_HEALTHS, healths.c.station, stations)
    return {row.station: health for row in rows if (health := _as_health(row.content)) is not None}


def _as_health(content: str) -> Health | None:
    """What is on record; None where another version wrote it: the next look replaces it."""
    try:
        return Health.model_validate_json(content)
    except ValidationError:
        return None
