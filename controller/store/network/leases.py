"""Leases of devices: which worker may change a device and write its journal."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import BigInteger, Boolean, Column, String, Table, false, select

from controller.models.claim import Claim
from controller.models.errors import LeaseLostError
from controller.store.database.columns import long_text, metadata
from controller.store.database.transaction import Tx

#: One row for each device that ever had a job. Rows are never deleted, so fences only grow.
leases = Table(
    "leases",
    metadata,
    Column("station", String, primary_key=True),
    Column("fence", BigInteger, nullable=False),
    # By how much more the fence grows with the next claim: a worker that holds the lease keeps its fence until then.
    Column("owed", BigInteger, nullable=False, default=0, server_default="0"),
    Column("transaction", String, unique=True),
    Column("job", String),
    Column("incarnation", String, index=True),
    # Whether another worker held the transaction before this one.
    Column("recovers", Boolean, nullable=False, default=False),
    # NETCONF sessions of ours that may still hold the device's lock, separated by spaces: all that came since a
    # transaction that got the lock itself ended well. ``locked`` is whether the newest one got it.
    long_text("lock_sessions"),
    Column("locked", Boolean, nullable=False, default=False, server_default=false()),
)

Holders = dict[str, tuple[int, str | None]]
_LEASES = select(leases.c.station, leases.c.fence, leases.c.incarnation).order_by(leases.c.station).with_for_update()


#: Devices that jobs have, with the job and its transaction, also while no worker has the job.
RESERVED = select(leases.c.station, leases.c.job, leases.c.transaction).where(leases.c.transaction.is_not(None))


def check_lease(tx: Tx, claim: Claim) -> None:
    """Lock the lease, and check that it is still the claim's."""
    if not holds(claim, lock(tx, [claim])):
        raise lost(claim)


def lock(tx: Tx, claims: Iterable[Claim]) -> Holders:
    """Lock leases, in the same order in every process. Returns fence and holder by station."""
    rows = tx.rows(_LEASES, leases.c.station, [claim.job.station for claim in claims])
    return {row.station: (row.fence, row.incarnation) for row in rows}


def holds(claim: Claim, held: Holders) -> bool:
    """Whether a claim still holds its device."""
    return held.get(claim.job.station) == (claim.fence, claim.incarnation)


def lost(claim: Claim) -> LeaseLostError:
    """The error for a write under a claim that no longer holds its device."""
    return LeaseLostError(f"{claim.job.station} is no longer leased to {claim.incarnation}")
