"""Profiles chosen by name, for a fleet and for single stations."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from simulators.netconf.profiles import profile_named
from simulators.network import SimulatedNetwork
from simulators.station import Quirks


def quirks_of(quirks: Quirks, choices: Iterable[str]) -> tuple[Quirks, dict[str, Quirks]]:
    """Those of a fleet and those of single stations, from choices ``NAME`` and ``STATION=NAME`` of profiles.

    Raises:
        ValueError: there is no such profile.
    """
    others: dict[str, Quirks] = {}
    for choice in choices:
        station, _, name = choice.rpartition("=")
        chosen = replace(quirks, profile=profile_named(name))
        if station:
            others[station] = chosen
        else:
            quirks = chosen
    return quirks, others


def check_stations(network: SimulatedNetwork, named: Iterable[str]) -> None:
    """See that the network has the stations for which a choice was made.

    Raises:
        ValueError: it lacks one.
    """
    unknown = set(named) - {station.id for station in network.stations}
    if unknown:
        raise ValueError(f"network {network.id} has no station {', '.join(sorted(unknown))}")
