"""Reads a tree without XML: paths, and views of containers and list entries."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from simulators.datastore.schema import Branch, Kind, Node

#: A node name, or a list name with its key values: ``"attributes"``, ``("NRCellDU", "n78-1")``.
Step = str | tuple[str, ...]
#: Steps from the root. Names need no namespace: siblings never share one.
Path = tuple[Step, ...]


def child_node(parent: Node, name: str) -> Node:
    """Return a child by name.

    Raises:
        KeyError: the schema has no such node; a fault of the caller, not of the data.
    """
    try:
        return parent.by_name[name]
    except KeyError:
        raise KeyError(f"{parent.name or 'the root'} has no child {name}") from None


@dataclass(frozen=True, slots=True)
class Instance:
    """A container, a list entry, or the root of a tree."""

    node: Node
    branch: Branch

    @property
    def keys(self) -> tuple[str, ...]:
        """Key values of a list entry, empty for a container."""
        return self.node.key_of(self.branch)

    def leaf(self, name: str) -> str | None:
        """Value of a leaf in canonical form; its default when it isn't set; None without either."""
        node = child_node(self.node, name)
        value = self.branch[node.index]
        return node.default if value is None else str(value)

    def leaves(self, name: str) -> tuple[str, ...]:
        """Values of a leaf-list."""
        return tuple(self.branch[child_node(self.node, name).index] or ())

    def child(self, name: str) -> Instance | None:
        """A container; one without presence is always there, perhaps empty."""
        node = child_node(self.node, name)
        value = self.branch[node.index]
        if value is None and node.presence:
            return None
        return Instance(node, node.blank if value is None else value)

    def entries(self, name: str) -> Iterator[Instance]:
        """Entries of a list in their order."""
        node = child_node(self.node, name)
        return (Instance(node, entry) for entry in self.branch[node.index] or ())

    def find(self, path: Path) -> Instance | None:
        """The container or list entry at a path below this one, None when it is absent."""
        found: Instance | None = self
        for step in path:
            if found is None:
                return None
            found = found.child(step) if isinstance(step, str) else found._entry(step[0], step[1:])
        return found

    def _entry(self, name: str, keys: tuple[str, ...]) -> Instance | None:
        node = child_node(self.node, name)
        if node.kind is not Kind.LIST or len(keys) != len(node.keys):
            raise KeyError(f"{name} takes {len(node.keys)} keys, not {len(keys)}")
        entries = self.branch[node.index] or ()
        position = node.position(entries, keys)
        return None if position is None else Instance(node, entries[position])
