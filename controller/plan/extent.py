"""The extent of a plan in figures: nodes it adds, changes and removes, cells it locks or unlocks, people it reaches."""

from __future__ import annotations

from collections.abc import Iterator

from controller.models.network import Network
from controller.models.plan import Change, Extent, Op, PhaseKind, Plan
from controller.nrm.tree import Path, parent


def extent(plan: Plan, network: Network) -> Extent:
    """The extent of a plan; people by the network that it was made from."""
    figures = [_figures(change) for change in plan.changes]
    added, changed, removed, locked, unlocked = map(sum, zip(*figures, strict=True)) if figures else (0, 0, 0, 0, 0)
    people = network.people_behind(one for one in plan.changes.packed if network.manages(one))
    return Extent(
        added=added,
        changed=changed,
        removed=removed,
        cells_locked=locked,
        cells_unlocked=unlocked,
        people=people,
    )


def _figures(change: Change) -> tuple[int, int, int, int, int]:
    """Nodes that a change adds, changes and removes, with all below those that go; cells that it locks and unlocks."""
    edits = [edit for phase in change.phases if phase.kind is PhaseKind.EDIT for edit in phase.edits]
    paths = {op: {edit.path for edit in edits if edit.op is op} for op in Op}
    switched = {
        kind: {edit.path for phase in change.phases if phase.kind is kind for edit in phase.edits} for kind in PhaseKind
    }
    locked = switched[PhaseKind.LOCK]
    # A new cell is locked as it is made, and counts as added.
    unlocked = switched[PhaseKind.UNLOCK] - locked - paths[Op.CREATE]
    # What leaves the ledger may stay on the device: it was there before, and is not ours any more.
    below = {path for path in change.lost if any(one in paths[Op.DELETE] for one in _above(path))}
    return len(paths[Op.CREATE]), len(paths[Op.MERGE]), len(paths[Op.DELETE] | below), len(locked), len(unlocked)


def _above(path: Path) -> Iterator[Path]:
    """Entries that contain an entry, from the inside out."""
    while path := parent(path):
        yield path
