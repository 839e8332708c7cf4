"""Phases: which cells must be locked for the edits, and the order of all edits."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from controller.models.facts import HOST_OWNED, Owners
from controller.models.health import ServiceState
from controller.models.outage import FOR_GOOD, UNTIL_UNLOCKED, Outage
from controller.models.plan import Edit, Op, Phase, PhaseKind, WaitFor
from controller.nrm.apply import apply_edits
from controller.nrm.inverse import invert
from controller.nrm.profiles import (
    administrative_leaf,
    administrative_state,
    carriers_of,
    cell_of,
    cell_state,
    is_carrier,
    is_unlocked,
)
from controller.nrm.schema import LeafRole, Mutability, NodeRole, NodeSpec, spec_of
from controller.nrm.tree import Observed, Path, Tree, is_below, parent

#: Expected seconds: estimates for people; nothing waits for them.
LOCK_SECONDS = 2
EDIT_SECONDS = 1
ON_AIR_SECONDS = 5
#: A reconfigured core link sets up its association again.
LINK_SECONDS = 5
RESTART_SECONDS = 180
#: Changes that a cell on air can't take, the most severe first.
_GRAVE = (Mutability.RESTART, Mutability.LOCKED)


@dataclass(frozen=True, slots=True)
class Locks:
    """Cells that must be locked because of the edits.

    Attributes:
        cells: Cells that have to be locked already or by us, in device order.
        to_lock: Those of them that are unlocked now: we lock them, and unlock those that remain.
        restarts: Whether the station restarts.
        left: Cells that a run of ours left locked, and that are unlocked in the end.
    """

    cells: tuple[Path, ...]
    to_lock: tuple[Path, ...]
    restarts: bool
    left: tuple[Path, ...] = ()


def find_locks(root: NodeSpec, observed: Tree, edits: Iterable[Edit], renamed: Collection[Path] = ()) -> Locks:
    """Cells to lock for the edits, and cells that get another global identity."""
    grave = [(edit, need) for edit in edits if (need := _need(root, observed, edit)) in _GRAVE]
    if not (grave or renamed):
        return Locks((), (), False)
    cells = [path for path in observed if (spec := spec_of(root, path)) and spec.is_cell]
    concerned: set[Path] = set(renamed)
    restarts = False
    for edit, need in grave:
        if need is Mutability.RESTART:
            restarts = True
            concerned.update(cells)
        else:
            own = {cell for cell in cells if is_below(edit.path, cell) or cell_of(cell) == cell_of(edit.path)}
            own |= {cell for cell in cells if edit.path in carriers_of(observed, cell)}
            concerned.update(own if own or is_carrier(edit.path) else cells)
    ordered = tuple(cell for cell in cells if cell in concerned)
    to_lock = tuple(cell for cell in ordered if administrative_state(observed, cell) == "UNLOCKED")
    return Locks(ordered, to_lock, restarts)


def _need(root: NodeSpec, observed: Tree, edit: Edit) -> Mutability:
    """How severely an edit affects a running station."""
    spec = spec_of(root, edit.path)
    if spec is None:
        return Mutability.LIVE
    if edit.op is Op.MERGE:
        kinds = {spec.leaf_by_name[name].mutability for name in {*edit.before, *edit.after}}
        return next((kind for kind in _GRAVE if kind in kinds), Mutability.LIVE)
    if edit.op is Op.DELETE:
        # A cell never leaves the air without being locked first.
        below = (child for path in observed if is_below(path, edit.path) and (child := spec_of(root, path)))
        return Mutability.LOCKED if any(child.is_cell for child in below) else spec.mutability
    return spec.mutability if parent(edit.path) in observed else Mutability.LIVE


def build_phases(
    root: NodeSpec,
    observed: Observed,
    edits: Sequence[Edit],
    locks: Locks,
    keep_locked: frozenset[Path],
    owners: Mapping[Path, Owners],
    moved: Sequence[Path] = (),
) -> tuple[tuple[Phase, ...], Tree]:
    """Lock, edit, unlock, each with its exact inverse; and the tree after all phases.

    Where a tenant's core links go and others of its come, the old ones go in a phase of their own, once the new are up;
    likewise where a function moves to another pool.

    Args:
        root: Schema of the station.
        observed: What it says of itself now.
        edits: The edits of the edit phase.
        locks: Which cells they need locked.
        keep_locked: New cells that stay locked (they are under a hold, or were locked when the station lost them).
        owners: Owners of all nodes, wanted or in the ledger.
        moved: PLMNs on air that go behind all others of their cells: each is taken out and appended, in phases of
            their own, since an edit names an entry once.
    """
    made = [edit.path for edit in edits if edit.op is Op.CREATE and _is_cell(root, edit.path)]
    gone = {edit.path for edit in edits if edit.op is Op.DELETE}
    back = [cell for cell in (*locks.to_lock, *locks.left) if not any(is_below(cell, path) for path in gone)]
    unlocked = [*back, *(cell for cell in made if cell not in keep_locked)]
    failed = {cell for cell in locks.to_lock if was_failed(observed, cell)}
    make, gone_links = make_before_break(root, edits)
    new_links = (*link_waits(root, make), *ready_waits(root, make)) if gone_links else ()
    steps: list[tuple[PhaseKind, Sequence[Edit], tuple[WaitFor, ...]]] = [
        (PhaseKind.LOCK, _switch(locks.to_lock, "UNLOCKED", "LOCKED", owners), _waits("cell-off-air", locks.to_lock)),
        (PhaseKind.EDIT, make, new_links),
        (PhaseKind.EDIT, gone_links, ()),
        (PhaseKind.EDIT, [_entry_edit(Op.DELETE, path, observed.tree, owners) for path in moved], ()),
        (PhaseKind.EDIT, [_entry_edit(Op.CREATE, path, observed.tree, owners) for path in moved], ()),
        (
            PhaseKind.UNLOCK,
            _switch(unlocked, "LOCKED", "UNLOCKED", owners),
            _waits("cell-on-air", (cell for cell in unlocked if cell not in failed)),
        ),
    ]
    phases = []
    tree = observed.tree
    for kind, sent, wait in steps:
        if sent:
            inverse = invert(root, tree, sent, owners)
            phases.append(Phase(kind=kind, edits=tuple(sent), inverse=inverse, wait=wait))
            tree = apply_edits(root, tree, sent)
    return tuple(phases), tree


def _entry_edit(op: Op, path: Path, tree: Tree, owners: Mapping[Path, Owners]) -> Edit:
    leaves = dict(tree[path])
    before, after = (leaves, {}) if op is Op.DELETE else ({}, leaves)
    return Edit(op=op, path=path, before=before, after=after, owners=owners[path])


def make_before_break(root: NodeSpec, edits: Sequence[Edit]) -> tuple[list[Edit], list[Edit]]:
    """All edits; and separately those that go later: old core links, after the tenant's new ones are up.

    Of a function that is made on another pool, all that goes from the first one goes once it is ready there.
    """
    if any(edit.op is Op.CREATE and _is_workload(root, edit.path) for edit in edits):
        gone = [edit for edit in edits if edit.op is Op.DELETE]
        return [edit for edit in edits if edit.op is not Op.DELETE], gone
    served = {edit.owners for edit in edits if edit.op is Op.CREATE and _is_link(root, edit.path)}
    gone = [edit for edit in edits if edit.op is Op.DELETE and _is_link(root, edit.path) and edit.owners in served]
    return [edit for edit in edits if edit not in gone], gone


def link_waits(root: NodeSpec, edits: Iterable[Edit]) -> Iterator[WaitFor]:
    """Conditions that core links made by the edits are up."""
    for edit in edits:
        if edit.op is Op.CREATE and _is_link(root, edit.path) and is_unlocked({edit.path: edit.after}, edit.path):
            yield WaitFor(kind="link-up", path=edit.path, tenant=", ".join(edit.owners))


def ready_waits(root: NodeSpec, edits: Iterable[Edit]) -> Iterator[WaitFor]:
    """Conditions that functions made by the edits are ready."""
    made = (edit.path for edit in edits if edit.op is Op.CREATE and _is_workload(root, edit.path))
    return (WaitFor(kind="ready", path=path) for path in made)


def was_failed(observed: Observed, cell: Path) -> bool:
    """Whether a cell is not on air although it is unlocked: a fault from before the change."""
    unlocked = cell in observed.tree and administrative_state(observed.tree, cell) == "UNLOCKED"
    return unlocked and cell_state(observed, cell) is ServiceState.DOWN


def outage_of(phases: Iterable[Phase], seconds: int) -> Outage:
    """The outage by phases in order: cells that they lock are off the air until they are unlocked, by these or others.

    Args:
        phases: All phases of a change.
        seconds: Expected seconds that it takes, where it interrupts anything.
    """
    off, gone, interrupts = set[Path](), set[Path](), False
    for phase in phases:
        interrupts = interrupts or phase.kind is not PhaseKind.UNLOCK
        for edit in phase.edits:
            if phase.kind is PhaseKind.LOCK:
                off.add(edit.path)
            elif phase.kind is PhaseKind.UNLOCK:
                off.discard(edit.path)
            elif edit.op is Op.DELETE:
                gone |= {cell for cell in off if is_below(cell, edit.path)}
            elif edit.op is Op.CREATE:
                gone.discard(edit.path)
    if gone:
        return FOR_GOOD
    if off:
        return UNTIL_UNLOCKED
    return Outage.timed(seconds if interrupts else 0)


def outage_seconds(root: NodeSpec, observed: Tree, edits: Sequence[Edit], locks: Locks) -> int:
    """Expected seconds that the edits take the worst cell off the air (or a link down that is set up again)."""
    if locks.restarts:
        return RESTART_SECONDS
    if locks.to_lock:
        return LOCK_SECONDS + EDIT_SECONDS + ON_AIR_SECONDS
    return LINK_SECONDS if any(_renews_link(root, observed, edit) for edit in edits) else 0


def _renews_link(root: NodeSpec, observed: Tree, edit: Edit) -> bool:
    """Whether the edit changes an end of an existing link."""
    if edit.op is Op.MERGE:
        spec = spec_of(root, edit.path)
        return spec is not None and spec.link is not None and spec.leaf(LeafRole.REMOTE_ADDRESS) in edit.after
    above = spec_of(root, parent(edit.path)) if parent(edit.path) in observed else None
    spec = spec_of(root, edit.path)
    return above is not None and above.link is not None and spec is not None and spec.single


def _is_cell(root: NodeSpec, path: Path) -> bool:
    spec = spec_of(root, path)
    return spec is not None and spec.is_cell


def _is_workload(root: NodeSpec, path: Path) -> bool:
    spec = spec_of(root, path)
    return spec is not None and spec.role is NodeRole.WORKLOAD


def _is_link(root: NodeSpec, path: Path) -> bool:
    spec = spec_of(root, path)
    return spec is not None and spec.link is not None


def _switch(cells: Iterable[Path], before: str, after: str, owners: Mapping[Path, Owners]) -> tuple[Edit, ...]:
    return tuple(
        Edit(
            op=Op.MERGE,
            path=cell,
            before={administrative_leaf(cell): before},
            after={administrative_leaf(cell): after},
            owners=owners.get(cell, HOST_OWNED),
        )
        for cell in cells
    )


def _waits(kind: str, cells: Iterable[Path]) -> tuple[WaitFor, ...]:
    if kind == "cell-on-air":
        return tuple(WaitFor(kind="cell-on-air", path=cell) for cell in cells)
    return tuple(WaitFor(kind="cell-off-air", path=cell) for cell in cells)
