"""Whose radio share a change makes smaller: than the ledger has it, or, where the ledger has none, than the station."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from controller.models.facts import Owners
from controller.models.plan import Edit, LedgerNode, Op
from controller.nrm.profiles import cell_of, leaf_of, share_parts
from controller.nrm.schema import LeafRole, LeafSpec
from controller.nrm.tree import Leaves, Path

#: Tenants, each with the cell of the share; an empty cell is the station.
Lowered = frozenset[tuple[str, str]]


def lowered(edits: Sequence[Edit]) -> Lowered:
    """Whose share becomes smaller than the station has it; a share that moves to another entry is not removed."""
    shares = [edit for edit in edits if share_parts(edit.path)]
    made = [(edit.path, edit.owners, edit.after) for edit in shares if edit.op is Op.CREATE]
    changed = (edit for edit in shares if edit.op is not Op.CREATE)
    before = [(edit.path, edit.owners, edit.before) for edit in changed]
    after = {edit.path: edit.after for edit in shares if edit.op is Op.MERGE}
    return frozenset(_smaller(before, after, made))


def lowered_below(ledger: Mapping[Path, LedgerNode], gained: Iterable[LedgerNode], edits: Sequence[Edit]) -> Lowered:
    """Whose share becomes smaller than it was applied or adopted last, whatever somebody made of it on the station.

    Args:
        ledger: The ledger of the station.
        gained: Nodes that enter it with the change.
        edits: The edits, for shares that the ledger does not have.
    """
    shares = [node for node in gained if share_parts(node.path)]
    made = [(node.path, node.owners, node.leaves) for node in shares if node.path not in ledger]
    after = {node.path: node.leaves for node in shares if node.path in ledger}
    gone = {edit.path for edit in edits if edit.op is Op.DELETE}
    before = [
        (path, node.owners, node.leaves)
        for path, node in ledger.items()
        if share_parts(path) and (path in after or path in gone)
    ]
    return frozenset(_smaller(before, after, made)) | lowered([edit for edit in edits if edit.path not in ledger])


_Shares = Iterable[tuple[Path, Owners, Leaves]]


def _smaller(before: _Shares, after: Mapping[Path, Leaves], made: _Shares) -> Iterator[tuple[str, str]]:
    """Owners of shares that are smaller afterwards, by their path, or by owners and resource where they move."""
    moved: dict[tuple[Owners, object], list[Leaves]] = defaultdict(list)
    for path, owners, leaves in made:
        moved[owners, leaves.get(leaf_of(path, LeafRole.SHARE_RESOURCE))].append(leaves)
    for path, owners, leaves in before:
        resource = leaves.get(leaf_of(path, LeafRole.SHARE_RESOURCE))
        there = [after[path]] if path in after else moved.get((owners, resource), [])
        if any(_lower(leaves, one, part) for one in there for part in share_parts(path)):
            yield from ((owner, cell_of(path)) for owner in owners)


def _lower(before: Leaves, after: Leaves, part: LeafSpec) -> bool:
    """Whether a part of a share becomes smaller; a part that an edit removes falls back to its default."""
    was, becomes = (float(str(side.get(part.name, part.default))) for side in (before, after))
    return becomes < was
