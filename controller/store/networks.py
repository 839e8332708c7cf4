"""Network versions, devices, ledger and health."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from pydantic import ValidationError
from sqlalchemy import and_, select, update

from controller.inventory.access import changed_ways, in_rows
from controller.models.errors import NotFoundError
from controller.models.health import Health
from controller.models.network import Network
from controller.models.packing import packed, unpacked
from controller.models.plan import LedgerNode
from controller.models.run import LedgerEntry
from controller.ports.store import Device
from controller.store.encoding import rows_of
from controller.store.ledger import LedgerChange, as_entry, change_ledger
from controller.store.tables import devices, healths, leases, ledger, networks
from controller.store.transaction import Transactions, Tx, reads, writes

#: Network versions kept in memory by each process: the current one and those that running plans were made of.
_CACHED = 4
_known: dict[str, Network] = {}


class NetworkRecords(Transactions):
    """What should be, and what we know of devices."""

    @writes
    def save_network(self, tx: Tx, network: Network, digest: str, actor: str) -> bool:
        """See ``Store.save_network``."""
        tx.guard("network")
        known = current_digest(tx)
        if known == digest:
            return False
        before = load_network(tx, known) if known else None
        tx.execute(update(networks).where(networks.c.current).values(current=False))
        row = tx.insert(networks).values(digest=digest, current=True, saved=tx.now, content=packed(network))
        again = {"current": True, "saved": row.excluded.saved}
        tx.execute(row.on_conflict_do_update(index_elements=["digest"], set_=again))
        tx.note(actor, "network.saved", network.header.id, digest=digest)
        for detail in in_rows(changed_ways(before, network)):
            tx.note(actor, "network.ways", network.header.id, **detail)
        return True

    @reads
    def network(self, tx: Tx, digest: str | None = None) -> tuple[str, Network]:
        """See ``Store.network``."""
        found = digest or current_digest(tx)
        if not found:
            raise NotFoundError("no network was loaded yet")
        return found, load_network(tx, found)

    @reads
    def devices(self, tx: Tx, stations: Iterable[str] | None = None) -> dict[str, Device]:
        """See ``Store.devices``."""
        rows = rows_of(tx, select(devices), devices.c.station, stations)
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
        """See ``Store.adopt``."""
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
        """See ``Store.retire``."""
        served = and_(devices.c.station == station, devices.c.retired.is_(None))
        if tx.execute(update(devices).where(served).values(adopted=None, retired=tx.now)).rowcount:
            tx.note(actor, "station.retired", station)

    @reads
    def ledger(self, tx: Tx, stations: Iterable[str] | None = None) -> dict[str, dict[str, LedgerEntry]]:
        """See ``Store.ledger``."""
        entries: dict[str, dict[str, LedgerEntry]] = {}
        for row in rows_of(tx, select(ledger), ledger.c.station, stations):
            entries.setdefault(row.station, {})[row.path] = as_entry(row)
        return entries

    @reads
    def ledger_nodes(self, tx: Tx, nodes: Collection[tuple[str, str]]) -> dict[tuple[str, str], LedgerEntry]:
        """See ``Store.ledger_nodes``."""
        stations, paths = {station for station, _ in nodes}, {path for _, path in nodes}
        found = select(ledger).where(ledger.c.station.in_(sorted(stations)), ledger.c.path.in_(sorted(paths)))
        return {(row.station, row.path): as_entry(row) for row in tx.execute(found)}

    @writes
    def save_health(self, tx: Tx, seen: Sequence[Health]) -> None:
        """See ``Store.save_health``."""
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
    def healths(self, tx: Tx, stations: Iterable[str] | None = None) -> dict[str, Health]:
        """See ``Store.healths``."""
        rows = rows_of(tx, select(healths), healths.c.station, stations)
        return {row.station: health for row in rows if (health := _as_health(row.content)) is not None}


def _as_health(content: str) -> Health | None:
    """What is on record; None where another version wrote it: the next look replaces it."""
    try:
        return Health.model_validate_json(content)
    except ValidationError:
        return None


def current_digest(tx: Tx) -> str:
    """Digest of the current network; empty where none was loaded yet."""
    return tx.execute(select(networks.c.digest).where(networks.c.current)).scalar() or ""


def load_network(tx: Tx, digest: str) -> Network:
    """The network version with this digest. Raises NotFoundError."""
    global _known  # noqa: PLW0603  # replaced as a whole, since other threads may be reading the old one
    cached = _known.get(digest)
    if cached is None:
        content = tx.execute(select(networks.c.content).where(networks.c.digest == digest)).scalar()
        if content is None:
            raise NotFoundError(f"there is no network version {digest}")
        cached = unpacked(Network, content)
        _known = {**dict(list(_known.items())[1 - _CACHED :]), digest: cached}
    return cached
