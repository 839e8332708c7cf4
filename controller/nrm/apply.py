"""Applies edits to a device tree in memory: the meaning of an edit-config, for plans, checks and fakes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from controller.models.errors import DeviceRefusedError
from controller.models.plan import Edit, Op
from controller.nrm.schema import NodeSpec, spec_of
from controller.nrm.tree import Leaves, Path, Tree, is_below, parent


def apply_edits(root: NodeSpec, tree: Tree, edits: Sequence[Edit]) -> Tree:
    """The tree after the edits, one by one in order; ``tree`` itself is not changed.

    Canonical like what devices are read as: leaves that are set to their default are left out.

    Raises:
        DeviceRefusedError: What a device would refuse: ``data-exists`` for a create, ``data-missing``
            for a merge, a delete or a create below nothing, ``unknown-element`` for what the schema
            does not know, ``missing-instance`` for a sibling to go behind that is not there.
    """
    result = dict(tree)
    for edit in edits:
        if edit.op is Op.CREATE:
            result = _create(root, result, edit)
        elif edit.path not in result:
            raise DeviceRefusedError(f"data-missing: there is no {edit.path}")
        elif edit.op is Op.DELETE:
            result = {path: leaves for path, leaves in result.items() if not is_below(path, edit.path)}
        else:
            kept = {
                name: value
                for name, value in result[edit.path].items()
                if name not in edit.before and name not in edit.after
            }
            result[edit.path] = {**kept, **_without_defaults(spec_of(root, edit.path), edit.after)}
    return result


def _create(root: NodeSpec, tree: dict[Path, Leaves], edit: Edit) -> dict[Path, Leaves]:
    if edit.path in tree:
        raise DeviceRefusedError(f"data-exists: there is {edit.path} already")
    above = parent(edit.path)
    if above and above not in tree:
        raise DeviceRefusedError(f"data-missing: there is no {above}")
    spec = spec_of(root, edit.path)
    if spec is None:
        raise DeviceRefusedError(f"unknown-element: {edit.path}")
    leaves = _without_defaults(spec, edit.after)
    if edit.after_sibling is None or not spec.user_ordered:
        tree[edit.path] = leaves
        return tree
    return _insert(tree, edit.path, leaves, edit.after_sibling)


def _insert(tree: dict[Path, Leaves], new: Path, leaves: Leaves, sibling: Path) -> dict[Path, Leaves]:
    """Put an entry of a user-ordered list after ``sibling``, or first if that is empty."""
    others = siblings(tree, new)
    if sibling and sibling not in others:
        raise DeviceRefusedError(f"missing-instance: there is no {sibling} to put {new} behind")
    anchor = sibling or (others[0] if others else "")
    result: dict[Path, Leaves] = {}
    for path, existing in tree.items():
        if path == anchor and not sibling:
            result[new] = leaves
        result[path] = existing
        if path == anchor and sibling:
            result[new] = leaves
    result.setdefault(new, leaves)
    return result


def _without_defaults(spec: NodeSpec | None, leaves: Leaves) -> Leaves:
    known = spec.leaf_by_name if spec else {}
    return {name: value for name, value in leaves.items() if name not in known or known[name].default != value}


def appending(edits: Iterable[Edit]) -> tuple[Edit, ...]:
    """The edits for a device that knows no places in lists in order: what would have one is appended."""
    return tuple(
        edit if edit.after_sibling is None else edit.model_copy(update={"after_sibling": None}) for edit in edits
    )


def sent_to_end(tree: Tree, edits: Sequence[Edit]) -> tuple[Path, ...]:
    """New entries that stand behind all others of their list, although their edits put them elsewhere."""
    new = {edit.path for edit in edits}
    found = []
    for edit in edits:
        if edit.after_sibling is not None and edit.path in tree:
            order = siblings(tree, edit.path)
            index = order.index(edit.path)
            stands = order[index - 1] if index else ""
            if stands != edit.after_sibling and new.issuperset(order[index:]):
                found.append(edit.path)
    return tuple(found)


def names_places(tree: Tree, edits: Sequence[Edit]) -> bool:
    """Whether edits name places in lists in order, each beside an entry that is there or comes by them."""
    there = {"", *tree, *(edit.path for edit in edits if edit.op is Op.CREATE)}
    places = {edit.after_sibling for edit in edits if edit.after_sibling is not None}
    return bool(places) and places <= there


def siblings(tree: Tree, path: Path) -> list[Path]:
    """Entries of the list that ``path`` belongs to, in device order."""
    stem = path[: path.index("[", path.rindex("/")) + 1]
    return [other for other in tree if other.startswith(stem) and "/" not in other[len(stem) :]]
