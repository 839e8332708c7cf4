"""Drift: what differs on a station from what should be there, and what adoption would record."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from controller.models.plan import DiffRow, LedgerNode
from controller.nrm.diff import diff
from controller.nrm.profiles import Rendered
from controller.nrm.schema import NodeSpec
from controller.nrm.tree import Observed, Path
from controller.plan.edits import find_edits
from controller.plan.views import StationView
from controller.plan.words import NOTHING, contents, entry_name, leaf_texts, row


def drift(root: NodeSpec, rendered: Rendered, view: StationView) -> tuple[DiffRow, ...]:
    """What differs from what should be there: ``before`` is what the station has, ``after`` what it should have.

    Orphans and entries that are not ours are listed too. What the profile does not know at all is no drift:
    stations report states that no profile knows (plans name such nodes). A station that could not be read
    has no rows.
    """
    if view.observed is None:
        return ()
    return tuple(_rows(root, rendered, view, view.observed))


def _rows(root: NodeSpec, rendered: Rendered, view: StationView, observed: Observed) -> Iterator[DiffRow]:
    difference = diff(root, observed.tree, rendered.tree)
    for path in difference.missing:
        wanted = contents(root, path, rendered.tree[path])
        yield row(path, rendered.owners[path], entry_name(root, path), NOTHING, wanted)
    for path, leaves in difference.changed.items():
        for texts in leaf_texts(root, path, leaves.before, leaves.after):
            yield row(path, rendered.owners[path], *texts)
    edits = find_edits(root, observed, rendered, view.ledger, ())
    for new, old in edits.replaced.items():
        has = contents(root, old, observed.tree[old])
        yield row(old, rendered.owners[new], entry_name(root, old), has, NOTHING)
    for path, owners in edits.orphans.items():
        yield row(
            path, owners, entry_name(root, path), contents(root, path, observed.tree[path]), "nothing asks for it"
        )
    for path in edits.unknown:
        yield row(path, (), entry_name(root, path), contents(root, path, observed.tree[path]), "unknown, left alone")


def drifted_nodes(root: NodeSpec, rendered: Rendered, observed: Observed) -> tuple[Path, ...]:
    """Nodes that should be there and are missing or differ: what ``Health.drift`` counts."""
    difference = diff(root, observed.tree, rendered.tree)
    return (*difference.missing, *difference.changed)


def limited_to(rendered: Rendered, ledger: Collection[Path]) -> Rendered:
    """What should be there of what we adopted or applied: the part of the desired tree that is in the ledger.

    Drift is judged and repaired against this, so that what the network files ask for and nobody
    applied yet neither counts as drift nor reaches a station by a repair.
    """
    tree = {path: leaves for path, leaves in rendered.tree.items() if path in ledger}
    return Rendered(tree, {path: rendered.owners[path] for path in tree}, rendered.findings)


def adopted_nodes(root: NodeSpec, rendered: Rendered, observed: Observed) -> tuple[LedgerNode, ...]:
    """Nodes that are there just as wanted: they enter the ledger when the station is adopted.

    One that differs enters it by a person's plan: until then nobody applied what the files say of it, so
    that it is no drift and no repair touches it.
    """
    differing = set(drifted_nodes(root, rendered, observed))
    return tuple(
        LedgerNode(path=path, owners=owners)
        for path, owners in rendered.owners.items()
        if path in observed.tree and path not in differing
    )
