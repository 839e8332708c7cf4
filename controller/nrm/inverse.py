"""The exact inverse of edits: takes them back, including the order of user-ordered lists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from controller.models.facts import Owners
from controller.models.plan import Edit, Op
from controller.nrm.apply import siblings
from controller.nrm.schema import NodeSpec, spec_of
from controller.nrm.tree import Path, Tree, is_below, parent


def invert(root: NodeSpec, tree: Tree, edits: Sequence[Edit], owners: Mapping[Path, Owners]) -> tuple[Edit, ...]:
    """Edits that bring ``apply_edits(root, tree, edits)`` back to ``tree``.

    No path may be edited twice, as in any edit-config.

    Args:
        root: Schema of the device.
        tree: The tree before the edits; its leaves are restored as they were read.
        edits: The edits.
        owners: Owners of entries that go down with a deleted one; those unknown get the deleted one's.
    """
    created = {edit.path for edit in edits if edit.op is Op.CREATE}
    undone = [
        Edit(op=Op.DELETE, path=edit.path, before=edit.after, owners=edit.owners)
        for edit in reversed(edits)
        if edit.op is Op.CREATE and parent(edit.path) not in created
    ]
    merged = [
        Edit(op=Op.MERGE, path=edit.path, before=edit.after, after=edit.before, owners=edit.owners)
        for edit in reversed(edits)
        if edit.op is Op.MERGE
    ]
    deleted = [edit for edit in edits if edit.op is Op.DELETE]
    return (*undone, *merged, *(_restore(root, tree, deleted, owners) if deleted else ()))


def _restore(root: NodeSpec, tree: Tree, deleted: Sequence[Edit], owners: Mapping[Path, Owners]) -> tuple[Edit, ...]:
    """Create what the deletes remove, in device order, each after its former sibling."""
    restored = []
    for path, leaves in tree.items():
        edit = next((edit for edit in deleted if is_below(path, edit.path)), None)
        if edit is not None:
            restored.append(
                Edit(
                    op=Op.CREATE,
                    path=path,
                    after=dict(leaves),
                    owners=owners.get(path, edit.owners),
                    after_sibling=_place(root, tree, path),
                )
            )
    return tuple(restored)


def _place(root: NodeSpec, tree: Tree, path: Path) -> Path | None:
    spec = spec_of(root, path)
    if spec is None or not spec.user_ordered:
        return None
    order = siblings(tree, path)
    index = order.index(path)
    return order[index - 1] if index else ""
