"""Which devices a warning about the network as a whole concerns, so that plans of others need not repeat it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from functools import cached_property

from controller.models.facts import Finding, Severity
from controller.models.network import Network


class Concerned:
    """Sorts findings by whether they concern some devices.

    A warning that names no device concerns stations: those that its check named, those in the places of its agreements,
    or the one that it is about. Where nobody can tell, as with a scope that is nowhere, it concerns every device. Infos
    are never left out: nothing shows them unasked.

    Args:
        network: The network.
        devices: The devices; all are in the network.
        stations: Stations that findings concern, as their checks named them.
    """

    def __init__(self, network: Network, devices: Collection[str], stations: Mapping[Finding, frozenset[str]]) -> None:
        self._network, self._devices, self._stations = network, frozenset(devices), stations

    def split(self, findings: Iterable[Finding]) -> tuple[tuple[Finding, ...], int]:
        """Findings that concern one of the devices, and how many about the network as a whole concern none of them."""
        about, elsewhere = [], 0
        for one in findings:
            if one.station in self._devices or (not one.station and self._touches(one)):
                about.append(one)
            elif not one.station:
                elsewhere += 1
        return tuple(about), elsewhere

    def _touches(self, one: Finding) -> bool:
        if one.severity is Severity.INFO or self._behind is None:
            return True
        concerned = self._stations.get(one, frozenset()) or self._named_by(one)
        return not concerned or not self._behind.isdisjoint(concerned)

    @cached_property
    def _behind(self) -> frozenset[str] | None:
        """The devices and the stations behind them; None if there is none, or one has none behind it, as a pool."""
        found = {device: self._network.stations_behind(device) for device in self._devices}
        return frozenset(self._devices.union(*found.values())) if found and all(found.values()) else None

    def _named_by(self, one: Finding) -> Collection[str]:
        """Stations in the places of the agreements that a finding names, or else what it is about."""
        if one.agreements:
            held = (held for held in self._network.agreements if held.id in one.agreements)
            return {station for agreement in held for station in self._network.in_places_of(agreement.scope)}
        return {one.subject} & self._network.device_kinds.keys()
