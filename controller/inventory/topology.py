"""The backhaul tree: how stations hang on the core."""

from __future__ import annotations

from collections import defaultdict

from controller.models.errors import NotFoundError
from controller.models.network import BackhaulNode, Network


class Topology:
    """Answers questions about the backhaul tree of one network."""

    def __init__(self, network: Network) -> None:
        self._nodes = {node.id: node for node in network.backhaul}
        self._node_of = {station.id: network.site_by_id[station.site].backhaul for station in network.stations}
        self._children: dict[str, list[str]] = defaultdict(list)
        for node in network.backhaul:
            if node.parent is not None:
                self._children[node.parent].append(node.id)
        self._stations: dict[str, list[str]] = defaultdict(list)
        for station, hangs_on in self._node_of.items():
            if hangs_on is not None:
                self._stations[hangs_on].append(station)

    def node_of(self, station: str) -> BackhaulNode | None:
        """The node a station hangs on, or none if its site names none.

        Raises:
            NotFoundError: if there is no such station.
        """
        if station not in self._node_of:
            raise NotFoundError(f"no such station: {station}")
        hangs_on = self._node_of[station]
        return None if hangs_on is None else self._nodes[hangs_on]

    def path_to_core(self, station: str) -> tuple[BackhaulNode, ...]:
        """The nodes between a station and the core, nearest first; empty if its site names none.

        Raises:
            NotFoundError: if there is no such station.
        """
        path = []
        node = self.node_of(station)
        while node is not None:
            path.append(node)
            node = None if node.parent is None else self._nodes[node.parent]
        return tuple(path)

    def stations_below(self, node: str) -> tuple[str, ...]:
        """Ids of all stations that lose the core when this node fails, sorted.

        Raises:
            NotFoundError: if there is no such node.
        """
        if node not in self._nodes:
            raise NotFoundError(f"no such backhaul node: {node}")
        found: list[str] = []
        waiting = [node]
        while waiting:
            here = waiting.pop()
            found += self._stations.get(here, ())
            waiting += self._children.get(here, ())
        return tuple(sorted(found))
