"""The difference of two device trees, observed and desired, by keys; defaults count as absent."""

from __future__ import annotations

from dataclasses import dataclass

from controller.nrm.schema import LeafRole, NodeSpec, spec_of
from controller.nrm.tree import LeafName, Leaves, Path, Tree, Value


@dataclass(frozen=True, slots=True)
class LeafDifference:
    """Leaves of one entry that differ.

    Attributes:
        before: As read; without those that the device does not have.
        after: As desired; without those that return to their default by being deleted.
    """

    before: dict[LeafName, Value]
    after: dict[LeafName, Value]


@dataclass(frozen=True, slots=True)
class Difference:
    """The difference of two trees.

    Attributes:
        missing: Desired entries that the device lacks, parents first, in desired order; not those that come with it.
        changed: Entries whose compared leaves differ.
        surplus: Entries of the device that are not desired, in device order.
    """

    missing: tuple[Path, ...]
    changed: dict[Path, LeafDifference]
    surplus: tuple[Path, ...]

    @property
    def is_empty(self) -> bool:
        """Whether the trees are equal."""
        return not (self.missing or self.changed or self.surplus)


def diff(root: NodeSpec, observed: Tree, desired: Tree) -> Difference:
    """Compare by keys.

    A compared leaf (``LeafSpec.compared``) that is not among the desired leaves means its default; one
    without default is not managed there. Order is not compared: existing entries keep theirs.
    """
    changed = {}
    for path, leaves in desired.items():
        seen = observed.get(path)
        if seen is None or seen == leaves:
            continue
        found = _compare(root, path, seen, leaves)
        if found is not None:
            changed[path] = found
    return Difference(
        missing=tuple(path for path in desired if path not in observed and not _is_given(root, path)),
        changed=changed,
        surplus=tuple(path for path in observed if path not in desired),
    )


def _is_given(root: NodeSpec, path: Path) -> bool:
    spec = spec_of(root, path)
    return spec is not None and bool(spec.given)


def effective(root: NodeSpec, path: Path, leaves: Leaves) -> dict[LeafName, Value]:
    """Configuration leaves that are not at their default."""
    spec = spec_of(root, path)
    if spec is None:
        return dict(leaves)
    known = spec.leaf_by_name
    return {
        name: value
        for name, value in leaves.items()
        if (leaf := known.get(name)) is None or not (leaf.state or leaf.default == value)
    }


def settled(root: NodeSpec, path: Path, name: LeafName, wanted: Value | None, seen: Value | None) -> bool:
    """Whether an effective leaf is as wanted, or will become so by itself.

    An object that shuts down sets itself LOCKED when its last user has left (ITU-T X.731, TS 28.625).
    """
    if seen == wanted or wanted != "SHUTTINGDOWN":
        return seen == wanted
    leaf = spec.leaf_by_name.get(name) if (spec := spec_of(root, path)) is not None else None
    return leaf is not None and LeafRole.ADMINISTRATIVE_STATE in leaf.roles and (seen or leaf.default) == "LOCKED"


def plmn_part(path: Path) -> str:
    """The path up to MCC and MNC, its first two keys, which all entries of a PLMN share."""
    return ",".join(path.rsplit("[", 1)[1].rstrip("]").split(",")[:2])


def _compare(root: NodeSpec, path: Path, seen: Leaves, wanted: Leaves) -> LeafDifference | None:
    spec = spec_of(root, path)
    if spec is None:
        return None
    before: dict[LeafName, Value] = {}
    after: dict[LeafName, Value] = {}
    for leaf in spec.leaves:
        name = leaf.name
        if not leaf.compared or (name not in wanted and leaf.default is None):
            continue
        if seen.get(name, leaf.default) == wanted.get(name, leaf.default):
            continue
        if name in seen:
            before[name] = seen[name]
        if name in wanted:
            after[name] = wanted[name]
    return LeafDifference(before, after) if before or after else None
