"""From the difference of two trees to edits: what is created, changed, replaced and, where named, removed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from controller.models.facts import HOST_OWNED, Owners
from controller.models.plan import Edit, Op
from controller.models.run import LedgerEntry
from controller.nrm.diff import Difference, diff, plmn_part
from controller.nrm.profiles import Rendered
from controller.nrm.schema import Mutability, NodeSpec, spec_of
from controller.nrm.tree import LeafName, Path, Tree, Value, is_below, parent

ADMINISTRATIVE_STATE = "administrativeState"


@dataclass(slots=True)
class Edits:
    """The edits that one station needs, and what stands in their way.

    Attributes:
        edits: Deletes, then merges, then creates (parents first); each list entry at most once.
        replaced: New path of a ``single`` list → the old path that it takes the place of.
        removes: Ledger nodes deleted, by owner.
        lost: Ledger paths that the edits end, or that are neither there nor wanted.
        orphans: Ledger nodes that nobody wants any more and whose removal was not named.
        entangled: Of those, nodes whose removal was named but that hold nodes which must stay.
        unknown: Nodes that are neither wanted nor in the ledger, topmost only.
        refused: Why the station can't be planned: what would be an operation of its own.
    """

    edits: list[Edit] = field(default_factory=list)
    replaced: dict[Path, Path] = field(default_factory=dict)
    removes: Counter[str] = field(default_factory=Counter)
    lost: list[Path] = field(default_factory=list)
    orphans: dict[Path, Owners] = field(default_factory=dict)
    entangled: list[Path] = field(default_factory=list)
    unknown: list[Path] = field(default_factory=list)
    refused: list[tuple[str, Path, str]] = field(default_factory=list)


def find_edits(
    root: NodeSpec,
    observed: Tree,
    opaque: Collection[str],
    rendered: Rendered,
    ledger: Mapping[Path, LedgerEntry],
    remove: Collection[str],
) -> Edits:
    """Compare one station with what it should carry.

    Args:
        root: Its schema.
        observed: Its tree.
        opaque: Paths of nodes on it that the schema does not know; what holds one is never deleted.
        rendered: What it should carry.
        ledger: What we adopted or applied there.
        remove: Owners whose unwanted nodes may be removed.
    """
    found = Edits()
    difference = diff(root, observed, rendered.tree)
    _surplus(root, observed, opaque, difference, rendered, ledger, remove, found)
    for path, leaves in difference.changed.items():
        fixed = _create_only(root, path, leaves.before, leaves.after)
        if fixed:
            found.refused.append(("create-only", path, f"{fixed} can't be changed on an existing entry"))
        found.edits.append(
            Edit(op=Op.MERGE, path=path, before=leaves.before, after=leaves.after, owners=rendered.owners[path])
        )
    first = _primaries(root, observed, rendered, ledger, found)
    for path in difference.missing:
        found.edits.append(_create(root, rendered, path, "" if path in first else None))
    found.lost.extend(path for path in ledger if path not in observed and path not in rendered.tree)
    return found


def _create(root: NodeSpec, rendered: Rendered, path: Path, after_sibling: Path | None) -> Edit:
    spec = spec_of(root, path)
    after: dict[LeafName, Value] = dict(rendered.tree[path])
    if spec is not None and spec.is_cell:
        # Silent until its unlock phase, whatever the device thinks the default is.
        after[ADMINISTRATIVE_STATE] = "LOCKED"
    return Edit(op=Op.CREATE, path=path, after=after, owners=rendered.owners[path], after_sibling=after_sibling)


def _create_only(root: NodeSpec, path: Path, *leaves: Mapping[LeafName, Value]) -> str:
    spec = spec_of(root, path)
    known = spec.leaf_by_name if spec else {}
    names = {name for some in leaves for name in some if known[name].mutability is Mutability.CREATE_ONLY}
    return ", ".join(sorted(names))


# -------------------------------------------------------------------------- surplus


def _surplus(
    root: NodeSpec,
    observed: Tree,
    opaque: Collection[str],
    difference: Difference,
    rendered: Rendered,
    ledger: Mapping[Path, LedgerEntry],
    remove: Collection[str],
    found: Edits,
) -> None:
    """Sort out what is there and not wanted: replaced, removed, orphaned or unknown."""
    places = _vacant(root, difference, rendered)
    gone: Path = ""
    for path in difference.surplus:
        if gone and is_below(path, gone):
            continue
        place = places.pop(_list_of(path), None)
        if place is not None:
            found.replaced[place] = path
            found.edits.append(_delete(observed, path, rendered.owners[place]))
            found.lost.extend(below for below in ledger if is_below(below, path))
            gone = path
        elif path not in ledger:
            if not (found.unknown and is_below(path, found.unknown[-1])):
                found.unknown.append(path)
        elif not _may_go(ledger[path], remove):
            found.orphans[path] = ledger[path].owners
        elif any(below not in ledger or not _may_go(ledger[below], remove) for below in _below(observed, path)) or any(
            is_below(node, path) for node in opaque
        ):
            found.orphans[path] = ledger[path].owners
            found.entangled.append(path)
        else:
            _remove(observed, path, ledger, found)
            gone = path


def _vacant(root: NodeSpec, difference: Difference, rendered: Rendered) -> dict[str, Path]:
    """Lists that hold one entry at most and that get a new one: list → the new entry."""
    return {
        _list_of(path): path
        for path in difference.missing
        if (spec := spec_of(root, path)) is not None and spec.single and path in rendered.owners
    }


def _list_of(path: Path) -> str:
    return path[: path.index("[", path.rindex("/"))]


def _may_go(entry: LedgerEntry, remove: Collection[str]) -> bool:
    return all(owner in remove for owner in entry.owners)


def _below(tree: Tree, path: Path) -> Iterator[Path]:
    return (other for other in tree if is_below(other, path))


def _remove(observed: Tree, path: Path, ledger: Mapping[Path, LedgerEntry], found: Edits) -> None:
    found.edits.append(_delete(observed, path, ledger[path].owners))
    for below in _below(observed, path):
        found.lost.append(below)
        found.removes.update(ledger[below].owners)
    found.lost.extend(below for below in ledger if is_below(below, path) and below not in observed)


def _delete(observed: Tree, path: Path, owners: Owners) -> Edit:
    return Edit(op=Op.DELETE, path=path, before=dict(observed[path]), owners=owners or HOST_OWNED)


# -------------------------------------------------------------------------- primary


def _primaries(
    root: NodeSpec, observed: Tree, rendered: Rendered, ledger: Mapping[Path, LedgerEntry], found: Edits
) -> set[Path]:
    """See that each list's primary PLMN stays first; entries that have to be put first.

    The primary forms the global cell identity, so moving it is an operation of its own. One of ours that
    vanished from the device is put back where it stood.
    """
    deleted = {edit.path for edit in found.edits if edit.op is Op.DELETE}
    wanted = _first_entries(root, rendered.tree)
    there: dict[str, list[Path]] = {name: [] for name in wanted}
    for path in observed:
        if path not in deleted and (name := _list_of(path)) in there and parent(path) not in deleted:
            there[name].append(path)
    first: set[Path] = set()
    for name, entry in wanted.items():
        order = there[name]
        if not order or plmn_part(order[0]) == plmn_part(entry):
            continue
        if entry not in observed and entry in ledger:
            first.add(entry)
        else:
            reason = f"{plmn_part(order[0])} would stand first where the primary {plmn_part(entry)} has to"
            found.refused.append(("primary-plmn-change", entry, reason.replace(",", "-")))
    return first


def _first_entries(root: NodeSpec, tree: Tree) -> dict[str, Path]:
    """First wanted entry of each list of PLMNs that is ordered by user."""
    first: dict[str, Path] = {}
    for path in tree:
        spec = spec_of(root, path)
        if spec is not None and spec.user_ordered and spec.broadcast:
            first.setdefault(_list_of(path), path)
    return first
