"""Stations that were looked at all the time, and carried what was agreed, for tests of something else."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from controller.intent.central_units import halves
from controller.models.network import Network
from controller.store import Store
from controller.store.network.devices import observed_times
from controller.store.network.ledger import carried_times


def observe(store: Store, stations: Iterable[str], since: datetime, until: datetime, *networks: Network) -> None:
    """Put on record that stations were checked without a gap between two times, and carried all tenants' PLMNs.

    Tenants are those of these networks; without one, of the current one.
    """
    known = [*stations]
    rows = [{"station": one, "since": since, "until": until} for one in known]
    if rows:
        store.database.run(lambda tx: tx.execute(observed_times.insert(), rows))
    deliver(store, known, since, until, *networks)


def deliver(store: Store, stations: Iterable[str], since: datetime, until: datetime | None, *networks: Network) -> None:
    """Put on record that cells of stations carried all PLMNs of all tenants between two times, or still do."""
    known = set(stations)
    made = {
        (*half.split("/"), plmn, tenant.id)
        for network in networks or (store.networks.get()[1],)
        for cell in network.cells
        if cell.station in known
        for half in halves(network, cell.name)
        for tenant in network.tenants
        for plmn in tenant.plmns
    }
    names = "station", "cell", "plmn", "tenant"
    rows = [{**dict(zip(names, one, strict=True)), "since": since, "until": until} for one in sorted(made)]
    if rows:
        store.database.run(lambda tx: tx.execute(carried_times.insert(), rows))
