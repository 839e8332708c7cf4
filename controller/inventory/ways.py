"""The ways to devices, in words for the audit trail: who gets which secret, at which address."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from controller.models.credentials import ManagementDefaults
from controller.models.network import Endpoint, Network, Router

#: Devices in one row of the trail.
_AT_ONCE = 100


def ways(devices: Iterable[Endpoint | Router], defaults: ManagementDefaults) -> dict[str, str]:
    """Address and names of credentials by device, as in ``10.0.0.1:830 device``."""
    return {device.id if isinstance(device, Router) else device.station: _words(device, defaults) for device in devices}


def changed_ways(before: Network | None, after: Network) -> dict[str, str]:
    """Ways of a network that an earlier one did not have."""
    known = set(_of(before).items()) if before is not None else set()
    return {device: way for device, way in _of(after).items() if (device, way) not in known}


def in_rows(found: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """Details of as many audit rows as it takes."""
    words = [f"{device} {way}" for device, way in sorted(found.items())]
    for first in range(0, len(words), _AT_ONCE):
        yield {"devices": "; ".join(words[first : first + _AT_ONCE])}


def _of(network: Network) -> dict[str, str]:
    return ways((*network.endpoints, *network.router_by_id.values()), network.header.management)


def _words(device: Endpoint | Router, defaults: ManagementDefaults) -> str:
    names = " ".join(device.credentials(defaults).values())
    return f"{device.address}:{device.port} {names}" if device.address else f"calls home {names}"
