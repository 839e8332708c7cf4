"""The backhaul tree: which nodes still lead to the cores, and which sites hang below a cut."""

from __future__ import annotations

from collections.abc import Mapping

from simulators.connections import Outage


class UnknownNodeError(Exception):
    """The backhaul has no such node."""


class Backhaul:
    """A tree of nodes, each with a link to its parent that can be cut.

    Args:
        parents: Parent of each node, an empty text for those at the top.
    """

    def __init__(self, parents: Mapping[str, str]) -> None:
        self._parents = parents
        self._cuts: dict[str, Outage] = {}

    @property
    def cuts(self) -> Mapping[str, Outage]:
        """The nodes cut off from above, and what clients see of it."""
        return dict(self._cuts)

    def cut(self, node: str, outage: Outage = Outage.SILENCE) -> None:
        """Cut a node off from the one above it; all below is off the net.

        Raises:
            UnknownNodeError: there is no such node.
        """
        self._known(node)
        self._cuts[node] = outage

    def mend(self, node: str) -> bool:
        """Connect a node again; return whether it was cut.

        Raises:
            UnknownNodeError: there is no such node.
        """
        self._known(node)
        return self._cuts.pop(node, None) is not None

    def outage(self, node: str) -> Outage | None:
        """What keeps a node off the net, the cut nearest to the core if there are several; none while it is on it.

        A node that no file describes hangs directly on the cores.
        """
        found = None
        for above in self._path(node):
            found = self._cuts.get(above, found)
        return found

    def _path(self, node: str) -> list[str]:
        """The node and those above it; a circle, which no network file should hold, ends where it closes."""
        path: list[str] = []
        while node and node not in path:
            path.append(node)
            node = self._parents.get(node, "")
        return path

    def _known(self, node: str) -> None:
        if node not in self._parents:
            raise UnknownNodeError(f"the backhaul has no node {node}")
