"""The entries of a list, or the values of a leaf-list, while an edit works on them.

An edit of thousands of entries takes time in proportion to their number: each is found by its keys, and what the edit
leaves is put in order once.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from typing import Any

from simulators.datastore.schema import Kind, Node, Value

#: Keys of an entry, a value, or the place of an entry that has no keys.
Identity = Hashable


class Entries:
    """Entries of one list or leaf-list, by identity.

    System-ordered ones are kept sorted by identity, so that equal content is an equal tree.
    """

    def __init__(self, node: Node, items: tuple[Value, ...]) -> None:
        self._sorted = not node.user_ordered and (node.kind is Kind.LEAF_LIST or bool(node.keys))
        if node.kind is Kind.LEAF_LIST:
            self._items = dict(zip(items, items, strict=True))
        elif node.keys:
            self._items = {node.key_of(entry): entry for entry in items}
        else:
            self._items = dict(enumerate(items))
        self._before = items
        self._order: _Order | None = None

    def __len__(self) -> int:
        return len(self._items)

    def __contains__(self, identity: Identity) -> bool:
        return identity in self._items

    def get(self, identity: Identity) -> Value:
        """The entry; None if there is none."""
        return self._items.get(identity)

    def put(self, identity: Identity, item: Value) -> None:
        """Replace an entry in its place, or add it as the last one."""
        if self._order is not None and identity not in self._items:
            self._order.place(identity, None)
        self._items[identity] = item

    def place(
        self, identity: Identity, item: Value, *, before: Identity | None = None, after: Identity | None = None
    ) -> None:
        """Put an entry before or after another; without either, as the first one."""
        order = self._order = self._order or _Order(self._items)
        if identity in self._items:
            order.remove(identity)
        self._items[identity] = item
        if after is not None:
            before = order.following(after)
        elif before is None:
            before = order.first
        order.place(identity, before)

    def remove(self, identity: Identity) -> None:
        """Remove an entry if it is there."""
        if self._items.pop(identity, None) is not None and self._order is not None:
            self._order.remove(identity)

    def items(self) -> tuple[Value, ...]:
        """All entries in their order; the same object as before if they are the same."""
        made = tuple(self._items[identity] for identity in self._identities())
        return self._before if made == self._before else made

    def _identities(self) -> Iterable[Any]:
        if self._order is not None:
            return self._order
        return sorted(self._items) if self._sorted else self._items


class _Order:
    """An order of identities that changes at any place in the same time; None stands before and behind all."""

    def __init__(self, identities: dict[Identity, Value]) -> None:
        self._next: dict[Identity | None, Identity | None] = {None: None}
        self._last: dict[Identity | None, Identity | None] = {None: None}
        for identity in identities:
            self.place(identity, None)

    def __iter__(self) -> Iterator[Identity]:
        at = self._next[None]
        while at is not None:
            yield at
            at = self._next[at]

    @property
    def first(self) -> Identity | None:
        return self._next[None]

    def following(self, identity: Identity) -> Identity | None:
        return self._next[identity]

    def place(self, identity: Identity, before: Identity | None) -> None:
        """Put one before another; before None means behind all."""
        earlier = self._last[before]
        self._next[earlier], self._last[identity] = identity, earlier
        self._next[identity], self._last[before] = before, identity

    def remove(self, identity: Identity) -> None:
        earlier, later = self._last.pop(identity), self._next.pop(identity)
        self._next[earlier], self._last[later] = later, earlier
