"""How a station or router of a network is reached."""

from __future__ import annotations

from controller.models.errors import NotFoundError
from controller.models.network import Network
from controller.ports.devices import DeviceTarget


def target_of(network: Network, station: str) -> DeviceTarget:
    """Target of a station or managed router: its endpoint, with the network's management defaults where that is silent.

    Raises:
        NotFoundError: The network has no such station, or no endpoint for it.
    """
    router = network.router_by_id.get(station)
    if router is not None:
        return DeviceTarget.of_router(router, network.header.management)
    endpoint = network.endpoint_by_station.get(station)
    known = network.station_by_id.get(station)
    if endpoint is None or known is None:
        raise NotFoundError(f"the network has no management endpoint for station {station!r}")
    return DeviceTarget.at(endpoint, network.header.management, known.profiles)
