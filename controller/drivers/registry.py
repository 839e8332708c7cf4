"""Which kind of target a device of the network files has: the only place that knows all kinds of targets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from controller.drivers.cli.target import router_target
from controller.drivers.kubernetes.target import function_target, pool_target
from controller.drivers.netconf.target import NetconfTarget, station_target
from controller.drivers.target import DeviceTarget
from controller.models.credentials import ManagementDefaults
from controller.models.network import DeviceKind, Endpoint, Network


def target_of(network: Network, device: str) -> DeviceTarget:
    """The target of a device; the network's management defaults fill in what its row leaves out.

    Raises:
        NotFoundError: The network has no such device, or no endpoint for it.
    """
    kind = network.kind_of(device)
    match kind:
        case DeviceKind.STATION:
            return station_target(network, device)
        case DeviceKind.ROUTER:
            return router_target(network, device)
        case DeviceKind.FUNCTION:
            return function_target(network, device)
        case DeviceKind.POOL:
            return pool_target(network, device)
        case _:
            assert_never(kind)


def target_at(endpoint: Endpoint, defaults: ManagementDefaults, profiles: Sequence[str]) -> DeviceTarget:
    """The target of a station that the network files don't have yet, at its endpoint."""
    return NetconfTarget.at(endpoint, defaults, profiles)
