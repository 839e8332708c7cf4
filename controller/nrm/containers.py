"""What others put into entries of ours: it stays when ours go.

That rule is about what stands beside the managed element (NRNetwork, EUtraNetwork, and the external base stations in
them): they describe what is elsewhere, and whoever adds to them need not be the one who made them. What a station makes
itself inside a cell, as its neighbour relations, can't be without the cell.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

from controller.models.many import first_names
from controller.models.plan import Change, Edit, Op
from controller.nrm.schema import NodeSpec
from controller.nrm.tree import Observed, Path, Tree, is_below, parent


def made_by(change: Change) -> set[Path]:
    """Entries that a change creates."""
    return {edit.path for phase in change.phases for edit in phase.edits if edit.op is Op.CREATE}


def others_in(path: Path, there: Iterable[Path], ours: Collection[Path]) -> tuple[Path, ...]:
    """Nodes inside of an entry that are not ours, in their order.

    Args:
        path: The entry.
        there: All that the device has: entries, and nodes that the profile does not know.
        ours: Entries that we made.
    """
    return tuple(one for one in there if one != path and is_below(one, path) and one not in ours)


def foreign_elements(root: NodeSpec, observed: Observed) -> tuple[str, ...]:
    """Ids of the managed elements that a station carries beside its own, or in its place, as far as they were read."""
    begins = f"/{root.tag}["
    return tuple(path[len(begins) : -1] for path in observed.unknown if path.startswith(begins) and path.endswith("]"))


def carries_its_own(root: NodeSpec, observed: Observed) -> bool:
    """Whether a station carries its own managed element."""
    return any(path.startswith(f"/{root.name}[") for path in observed.tree)


def elements_in_words(ids: Sequence[str]) -> str:
    """Names of managed elements."""
    return first_names([f"ManagedElement={one}" for one in ids])


def foreign_in_words(station: str, ids: Sequence[str], *, beside: bool) -> str:
    """Why a station is left alone that carries managed elements which nobody agreed to, and what is right.

    Args:
        station: The station.
        ids: Their ids.
        beside: Whether it carries its own, too.
    """
    names, agree = elements_in_words(ids), f"minka device adopt {station} --beside ID"
    if beside:
        return (
            f"it carries {names} beside its own, which nobody agreed to, and nothing is changed beside it: find out "
            f"whose it is, and name it if it may stand there: {agree}"
        )
    return (
        f"it carries {names} instead of ManagedElement={station}, so nothing was read of it and nothing is made beside "
        "it: the id of the station in the network files has to be that of its ManagedElement; if both are to stand "
        f"there: {agree}"
    )


def sparing(
    root: NodeSpec,
    edits: Iterable[Edit],
    tree: Tree,
    unknown: Collection[str],
    ours: Collection[Path],
    kept: Collection[Path] = (),
) -> tuple[Edit, ...]:
    """The edits, with deletes beside the root that leave what others put there or need, and what it stands in.

    Args:
        root: Schema of the device.
        edits: The edits.
        tree: What the device carries before them.
        unknown: Nodes there that the profile does not know.
        ours: Entries that we made.
        kept: Those of them that stay all the same, since something that stays names them.
    """
    found: list[Edit] = []
    for edit in edits:
        spare = edit.op is Op.DELETE and edit.path.startswith(root.around)
        named = (one for one in kept if one in tree and is_below(one, edit.path))
        others = (*others_in(edit.path, (*tree, *unknown), ours), *named) if spare else ()
        found.extend(_without(edit, others, tree, ours) if others else (edit,))
    return tuple(found)


def _without(edit: Edit, others: Collection[Path], tree: Tree, ours: Collection[Path]) -> Iterator[Edit]:
    """Deletes of what is ours in an entry, but for what others stand in; the topmost entries only."""
    inside = [path for path in tree if is_below(path, edit.path) and (path in ours or path == edit.path)]
    stays = {path for path in inside if any(is_below(one, path) for one in others)}
    gone: set[Path] = set()
    for path in inside:
        if path in stays:
            continue
        if parent(path) not in gone:
            yield Edit(op=Op.DELETE, path=path, before=dict(tree[path]), owners=edit.owners)
        gone.add(path)
