"""The exact inverse of edits: takes them back, including the order of user-ordered lists."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

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
    """Create what the deletes remove, in device order; see ``_place``."""
    gone = {path: edit for path in tree for edit in reversed(deleted) if is_below(path, edit.path)}
    return tuple(
        Edit(
            op=Op.CREATE,
            path=path,
            after=dict(tree[path]),
            owners=owners.get(path, edit.owners),
            after_sibling=_place(root, tree, path, gone),
        )
        for path, edit in gone.items()
    )


def _place(root: NodeSpec, tree: Tree, path: Path, gone: Collection[Path]) -> Path | None:
    """The former sibling of an entry that goes, or an empty string for the first place.

    None where entries that are appended in order stand as they did: some servers know no places (RFC 7950 §7.8.6).
    """
    spec = spec_of(root, path)
    if spec is None or not spec.user_ordered:
        return None
    order = siblings(tree, path)
    index = order.index(path)
    if all(later in gone for later in order[index + 1 :]):
        return None
    return order[index - 1] if index else ""
