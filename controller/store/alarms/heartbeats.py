"""VES events of devices about themselves: heartbeats, and registrations when they are plugged in."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import orjson
from sqlalchemy import Boolean, Column, Float, String, Table, select, update

from controller.models.ves import Heartbeat
from controller.store.database.columns import Instant, long_text, metadata
from controller.store.database.queries import as_noun
from controller.store.database.repository import M_co, Repository, reads, writes
from controller.store.database.transaction import Tx

heartbeats = Table(
    "heartbeats",
    metadata,
    Column("device", String, primary_key=True),
    Column("at", Instant, nullable=False),
    Column("interval", Float, nullable=False),
    # Whether people were told of its silence.
    Column("lost", Boolean, nullable=False),
)

#: The last registration of each device. It changes nothing, and adopts nothing.
registrations = Table(
    "registrations",
    metadata,
    Column("device", String, primary_key=True),
    Column("at", Instant, nullable=False),
    long_text("fields"),
)

_KNOWN = select(heartbeats)


class Heartbeats(Repository[M_co]):
    """Heartbeats and registrations of devices by VES."""

    @writes
    def beat(self, tx: Tx, intervals: Mapping[str, float | None], default: float) -> list[str]:
        """Record heartbeats of devices, each with its reported interval.

        Args:
            intervals: Seconds by device; None keeps the interval before.
            default: Seconds of a device without an interval before.

        Returns:
            Devices whose silence was reported, and is now over.
        """
        known = {row.device: row for row in tx.rows(_KNOWN, heartbeats.c.device, intervals)} if intervals else {}
        rows = []
        for device, interval in sorted(intervals.items()):
            before = known[device].interval if device in known else default
            rows.append({"device": device, "at": tx.now, "interval": interval or before, "lost": False})
        if rows:
            row = tx.insert(heartbeats)
            new = {name: row.excluded[name] for name in ("at", "interval", "lost")}
            tx.execute(row.on_conflict_do_update(index_elements=["device"], set_=new), rows)
        return [device for device in sorted(known) if known[device].lost]

    @reads
    def find(self, tx: Tx) -> list[Heartbeat]:
        """All devices that ever sent a heartbeat."""
        return [as_noun(Heartbeat, row) for row in tx.execute(_KNOWN.order_by(heartbeats.c.device))]

    @writes
    def lose(self, tx: Tx, device: str, at: datetime) -> bool:
        """Record that a device's silence is reported; False if it was before, or if it was heard since ``at``."""
        same = (heartbeats.c.device == device) & (heartbeats.c.at == at) & heartbeats.c.lost.is_(False)
        return tx.execute(update(heartbeats).where(same).values(lost=True)).rowcount == 1

    @writes
    def register(self, tx: Tx, device: str, fields: Mapping[str, str]) -> None:
        """Put on record what a device says of itself; anything new also goes on the audit trail."""
        content = orjson.dumps(fields, option=orjson.OPT_SORT_KEYS).decode()
        before = tx.execute(select(registrations.c.fields).where(registrations.c.device == device)).scalar()
        row = tx.insert(registrations).values(device=device, at=tx.now, fields=content)
        new = {"at": row.excluded.at, "fields": row.excluded.fields}
        tx.execute(row.on_conflict_do_update(index_elements=["device"], set_=new))
        if before != content:
            tx.note("ves", "device.registered", device, **fields)
