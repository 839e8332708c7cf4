"""What one version of a network has that another one has not: objects that are added, changed and removed, by kind."""

from __future__ import annotations

from collections.abc import Iterable

from controller.inventory.parse import BULK_KINDS, NAMED_BY
from controller.models.network import Network, Noun

#: Names that are told of the objects of a kind; the others are counted.
NAMES = 10
#: The order in which differences are told: who shares comes first.
_ORDER = ("tenants", "agreements", *BULK_KINDS)


class Objects(Noun):
    """How many objects there are, and the names of the first of them."""

    count: int
    names: tuple[str, ...]

    @classmethod
    def of(cls, names: Iterable[str]) -> Objects:
        """Objects of these names, in order."""
        found = sorted(names)
        return cls(count=len(found), names=tuple(found[:NAMES]))


class Difference(Noun):
    """What is different of one kind of objects. ``network`` is the head of the network files, which only changes."""

    kind: str
    added: Objects
    changed: Objects
    removed: Objects


def differences(before: Network, now: Network) -> tuple[Difference, ...]:
    """Kinds of objects of which two versions of a network differ, with the objects. Nothing for equal versions."""
    found = [] if before.header == now.header else [_difference("network", {now.header.id: 0}, {now.header.id: 1})]
    found += [_difference(kind, _named(before, kind), _named(now, kind)) for kind in _ORDER]
    return tuple(one for one in found if one.added.count or one.changed.count or one.removed.count)


def _named(network: Network, kind: str) -> dict[str, object]:
    """Objects of a kind by the name that their file gives them, such as ``station/cell`` for a cell."""
    fields = NAMED_BY.get(kind, ("id",))
    return {"/".join(str(getattr(one, field)) for field in fields): one for one in getattr(network, kind)}


def _difference(kind: str, before: dict[str, object], now: dict[str, object]) -> Difference:
    return Difference(
        kind=kind,
        added=Objects.of(now.keys() - before.keys()),
        changed=Objects.of(name for name in now.keys() & before.keys() if now[name] != before[name]),
        removed=Objects.of(before.keys() - now.keys()),
    )
