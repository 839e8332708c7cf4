"""Differences between two trees, node by node: for notifications (RFC 6470) and access control (RFC 8341)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from simulators.datastore.errorpaths import Place, path_namespaces, path_text
from simulators.datastore.schema import Branch, Kind, Node, Value

ChangeKind = Literal["create", "update", "delete"]


@dataclass(frozen=True, slots=True)
class NodeChange:
    """One node that was created, changed or deleted; ``places`` lead to it from the root."""

    kind: ChangeKind
    places: tuple[Place, ...]

    @property
    def path(self) -> str:
        """Its path with prefixes."""
        return path_text(self.places)

    @property
    def namespaces(self) -> dict[str, str]:
        """Namespaces of the prefixes in the path."""
        return path_namespaces(self.places)


def node_changes(
    node: Node, before: Branch, after: Branch, *, deep: bool = False, places: tuple[Place, ...] = ()
) -> Iterator[NodeChange]:
    """Changes below a container or list entry, in the order of the schema.

    Without ``deep``, a created or deleted branch is one change; with it, so is each node in it.
    """
    for child, old, new in zip(node.children, before, after, strict=True):
        if old == new:
            continue
        if child.kind is Kind.LEAF:
            yield from _one(child, old, new, (*places, (child, None)))
        elif child.kind is Kind.CONTAINER:
            yield from _branch(child, old, new, (*places, (child, None)), deep)
        elif child.kind is Kind.LIST and child.keys:
            yield from _entries(child, old or (), new or (), places, deep)
        else:
            yield from _one(child, old, new, (*places, (child, None)))


def _one(_node: Node, old: Value, new: Value, places: tuple[Place, ...]) -> Iterator[NodeChange]:
    yield NodeChange("create" if old is None else "delete" if new is None else "update", places)


def _branch(
    node: Node, old: Branch | None, new: Branch | None, places: tuple[Place, ...], deep: bool
) -> Iterator[NodeChange]:
    appears = old is None or new is None
    if appears:
        yield from _one(node, old, new, places)
    if deep or not appears:
        blank = node.blank
        yield from node_changes(
            node, blank if old is None else old, blank if new is None else new, deep=deep, places=places
        )


def _entries(
    node: Node, before: tuple[Branch, ...], after: tuple[Branch, ...], places: tuple[Place, ...], deep: bool
) -> Iterator[NodeChange]:
    old, new = ({node.key_of(entry): entry for entry in entries} for entries in (before, after))
    for keys, entry in old.items():
        if keys not in new:
            yield from _branch(node, entry, None, (*places, (node, entry)), deep)
    for keys, entry in new.items():
        if old.get(keys) != entry:
            yield from _branch(node, old.get(keys), entry, (*places, (node, entry)), deep)
    yield from _moves(node, [keys for keys in old if keys in new], [keys for keys in new if keys in old], new, places)


def _moves(
    node: Node,
    before: list[tuple[str, ...]],
    after: list[tuple[str, ...]],
    entries: dict[tuple[str, ...], Branch],
    places: tuple[Place, ...],
) -> Iterator[NodeChange]:
    """Entries that stand elsewhere in a list ordered by the user."""
    for old, new in zip(before, after, strict=True):
        if old != new:
            yield NodeChange("update", (*places, (node, entries[new])))
