"""The way from what failed to what suffers, in words. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from controller.models.alarm import ObjectClass
from controller.models.incident import Incident
from controller.models.network import Network


def path_of(network: Network, incident: Incident) -> tuple[str, ...]:
    """From the core to what failed, and on to the sites, stations, cells and tenants that suffer."""
    return (*_above(network, incident), *_below(network, incident))


def _above(network: Network, incident: Incident) -> Iterator[str]:
    what = f"{incident.probable_cause}: {incident.object.rpartition('/')[2]}"
    if incident.object_class is ObjectClass.BACKHAUL:
        yield from reversed(network.backhaul_from(incident.object)[1:])
        yield f"{what} (root)"
    elif network.manages(incident.station):
        yield from reversed(network.backhaul_above(incident.station))
        yield network.site_of(incident.station)
        yield f"{incident.station} {what} (root)"
    else:
        yield f"{what} (root)"


def _below(network: Network, incident: Incident) -> Iterator[str]:
    stations = {cell.partition("/")[0] for cell in incident.cells}
    sites = {network.site_of(station) for station in stations if network.manages(station)}
    for names, noun in ((sites, "site"), (stations - {incident.station}, "station"), (incident.cells, "cell")):
        if names:
            yield f"{len(names)} {noun}{'' if len(names) == 1 else 's'}"
    if incident.tenants:
        yield ", ".join(incident.tenants)
