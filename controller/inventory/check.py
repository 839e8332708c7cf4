"""Checks between objects of the network files: references, identities, the backhaul tree.

What an agreement asks of the cells it covers (PLMNs per cell and tracking area, sums of
shares) is checked in ``controller.intent``.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from controller.inventory.source import Entry, FieldPath, Report
from controller.models.network import BackhaulNode, Endpoint, NetworkHeader, Noun, Region, Router, Site, Station

Model = TypeVar("Model", bound=Noun)
Found = list[tuple[Entry, Model]]


@dataclass(frozen=True)
class Objects:
    """The valid objects of all files with their places, and the names of all, valid or not."""

    found: dict[str, Found[Noun]]
    names: dict[str, set[str]]
    report: Report

    def all(self, kind: str, model: type[Model]) -> Found[Model]:
        """The objects of a kind."""
        return [(entry, item) for entry, item in self.found.get(kind, []) if isinstance(item, model)]

    def refer(self, entry: Entry, path: FieldPath, value: str | None, kind: str, noun: str) -> None:
        """Report a reference to an object that is in no file.

        Nothing is reported while a file is unreadable: what is missing may stand in it.
        """
        if value is None or value in self.names[kind] or not self.report.complete:
            return
        expected = self.report.did_you_mean(value, self.names[kind])
        self.report.entry(entry, path, f"no such {noun}", value=value, expected=expected)

    def unique(
        self, found: Iterable[tuple[Entry, Model]], key: Callable[[Model], Hashable], path: FieldPath, what: str
    ) -> None:
        """Report objects that share what must be unique; a key of none is not compared."""
        first: dict[Hashable, Entry] = {}
        for entry, item in found:
            value = key(item)
            if value is None:
                continue
            if value in first:
                self.report.entry(entry, path, f"the same {what} as {first[value].label}, {at(first[value])}")
            else:
                first[value] = entry


def at(entry: Entry) -> str:
    """Where an object stands, as people say it."""
    return f"{entry.file} line {entry.line}"


def check_header(objects: Objects) -> NetworkHeader | None:
    """The one head of the network."""
    found = objects.all("network", NetworkHeader)
    for entry, _ in found[1:]:
        objects.report.entry(entry, (), f"the network is described twice; first in {at(found[0][0])}")
    if not found and not objects.names["network"] and objects.report.complete:
        objects.report.file("network.yaml", 0, "there is no 'network' key in any file", "it holds id, name, country …")
    return found[0][1] if found else None


def check_places(objects: Objects) -> None:
    """Regions, backhaul, sites, routers."""
    for kind, model in (("regions", Region), ("backhaul", BackhaulNode), ("sites", Site), ("routers", Router)):
        objects.unique(objects.all(kind, model), lambda item: getattr(item, "id", None), ("id",), "id")
    for entry, node in objects.all("backhaul", BackhaulNode):
        objects.refer(entry, ("parent",), node.parent, "backhaul", "backhaul node")
    for entry, site in objects.all("sites", Site):
        objects.refer(entry, ("region",), site.region, "regions", "region")
        objects.refer(entry, ("backhaul",), site.backhaul, "backhaul", "backhaul node")
    for entry, router in objects.all("routers", Router):
        objects.refer(entry, ("site",), router.site, "sites", "site")
        if router.id in objects.names["stations"]:
            objects.report.entry(entry, ("id",), "a station has the same id", value=router.id)
    _check_cycles(objects)


def check_stations(objects: Objects) -> None:
    """Stations and their endpoints."""
    stations = objects.all("stations", Station)
    objects.unique(stations, lambda s: s.id, ("id",), "id")
    objects.unique(stations, lambda s: s.transport_address, ("transport_address",), "transport address")
    objects.unique(stations, _enb, ("enb_id",), "eNB id")
    objects.unique(stations, _gnb, ("gnb_id",), "gNB id")
    for entry, station in stations:
        objects.refer(entry, ("site",), station.site, "sites", "site")
        objects.refer(entry, ("owner",), station.owner, "tenants", "tenant")
    endpoints = objects.all("endpoints", Endpoint)
    objects.unique(endpoints, lambda e: e.station, ("station",), "station")
    objects.unique(endpoints, _address, ("address",), "address and port")
    calling = [(entry, endpoint) for entry, endpoint in endpoints if endpoint.call_home]
    objects.unique(calling, lambda e: e.host_key, ("host_key",), "host key, by which callers are known,")
    for entry, endpoint in endpoints:
        objects.refer(entry, ("station",), endpoint.station, "stations", "station")


def _address(endpoint: Endpoint) -> Hashable:
    return None if endpoint.address is None else (endpoint.address.lower(), endpoint.port)


def _enb(station: Station) -> Hashable:
    return None if station.enb_id is None else (station.enb_id, station.enb_id_length)


def _gnb(station: Station) -> Hashable:
    return None if station.gnb_id is None else (station.gnb_id, station.gnb_id_length)


def _check_cycles(objects: Objects) -> None:
    """Report every cycle of the backhaul once, at its first node by id."""
    nodes = {node.id: (entry, node) for entry, node in objects.all("backhaul", BackhaulNode)}
    done: set[str] = set()
    for start in sorted(nodes):
        path: list[str] = []
        here: str | None = start
        while here in nodes and here not in done and here not in path:
            path.append(here)
            here = nodes[here][1].parent
        if here in path:
            cycle = path[path.index(here) :]
            entry, node = nodes[min(cycle)]
            turn = cycle.index(node.id)
            way = " → ".join([*cycle[turn:], *cycle[:turn], node.id])
            objects.report.entry(entry, ("parent",), f"the backhaul goes in a circle: {way}", value=node.parent)
        done.update(path)
