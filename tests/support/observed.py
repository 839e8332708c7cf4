"""Stations that were looked at all the time, and had what was agreed, for tests of something else."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from functools import partial
from itertools import product

from sqlalchemy import Table

from controller.intent.central_units import halves
from controller.models.network import Network, Rat, ResourceType
from controller.store import Store
from controller.store.database.transaction import Tx
from controller.store.network.devices import observed_times
from controller.store.network.ledger import carried_shares, carried_times


def observe(store: Store, stations: Iterable[str], since: datetime, until: datetime, *networks: Network) -> None:
    """Put on record that stations were checked without a gap between two times, and delivered to all tenants.

    Tenants are those of these networks; without one, of the current one.
    """
    known = [*stations]
    rows = [{"station": one, "since": since, "until": until} for one in known]
    if rows:
        store.database.run(lambda tx: tx.execute(observed_times.insert(), rows))
    deliver(store, known, since, until, *networks)


def deliver(store: Store, stations: Iterable[str], since: datetime, until: datetime | None, *networks: Network) -> None:
    """Put on record that cells carried all PLMNs of all tenants and guaranteed all of their shares, or still do.

    Each cell of these stations does, on NR for each slice of the tenant, all the time between the two.
    """
    known = set(stations)
    plmns, shares = set[tuple[object, ...]](), set[tuple[object, ...]]()
    for network in networks or (store.networks.get()[1],):
        percents = defaultdict[str, set[int]](set)
        for agreement in network.agreements:
            percents[agreement.tenant] |= {one.min for one in agreement.shares if one.resource is ResourceType.PRB}
        for cell in (cell for cell in network.cells if cell.station in known):
            for tenant in network.tenants:
                slices = [str(one) for one in tenant.slices] if cell.rat is Rat.NR else [""]
                for half, plmn in product(halves(network, cell.name), tenant.plmns):
                    of = *half.split("/"), plmn, tenant.id
                    plmns.add(of)
                    shares |= {(*of, *share) for share in product(slices, percents[tenant.id])}
    for table, names, made in (
        (carried_times, ("station", "cell", "plmn", "tenant"), plmns),
        (carried_shares, ("station", "cell", "plmn", "tenant", "slice", "percent"), shares),
    ):
        rows = [{**dict(zip(names, one, strict=True)), "since": since, "until": until} for one in made]
        if rows:
            store.database.run(partial(_insert, table, rows))


def _insert(table: Table, rows: list[dict[str, object]], tx: Tx) -> None:
    tx.execute(table.insert(), rows)
