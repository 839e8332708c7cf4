"""A network of so many stations, for whoever has no network files."""

from __future__ import annotations

from simulators.datastore import PROFILE_MODULES
from simulators.network import EndpointRecord, SimulatedNetwork, StationRecord

#: Name of the network, and so the seed of its host keys.
NAME = "counted"
_PORT = 8300
#: Addresses 127.20.0.1 and up, as in shipped networks: 250 by 250 for each second octet.
_MOST = 62_500 * 200


def counted(count: int, profile: str = "lte-28658") -> SimulatedNetwork:
    """Stations ``S-00001`` and so on with three cells each, on addresses of their own.

    Raises:
        ValueError: there is no such profile, or there are not so many addresses.
    """
    if profile not in PROFILE_MODULES:
        raise ValueError(f"there is no profile {profile!r}, only {', '.join(sorted(PROFILE_MODULES))}")
    if not 0 < count <= _MOST:
        raise ValueError(f"{count} is no number of stations between 1 and {_MOST}")
    names = [f"S-{number:05}" for number in range(1, count + 1)]
    stations = tuple(
        StationRecord(name, "site", (profile,), f"10.{index // 65536}.{index // 256 % 256}.{index % 256}", _CELLS)
        for index, name in enumerate(names)
    )
    endpoints = {name: EndpointRecord(name, address(index), _PORT) for index, name in enumerate(names)}
    return SimulatedNetwork(NAME, stations, (), endpoints)


_CELLS = ("1", "2", "3")


def address(index: int) -> str:
    """The loopback address of a station by its place in the network, counted from 0."""
    return f"127.{20 + index // 62500}.{index // 250 % 250}.{index % 250 + 1}"
