"""Drift: differences of a station from its desired tree, and the nodes that adoption would record."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from controller.models.network import HOST
from controller.models.plan import Change, DiffRow, LedgerNode
from controller.models.run import LedgerEntry
from controller.nrm.containers import foreign_elements
from controller.nrm.diff import diff, plmn_part
from controller.nrm.profiles import Rendered, broadcast_plmn
from controller.nrm.schema import LeafSpec, NodeSpec, list_of, spec_of
from controller.nrm.tree import Observed, Path, child, parent
from controller.plan.edits import displaced, find_edits, first_entries
from controller.plan.inputs import (
    StationView,
    at_what_cells_name,
    in_sight,
    where_it_stands,
    with_given,
    with_reservations,
)
from controller.plan.rows import NOTHING, contents, entry_name, leaf_texts, placed_name, row

NO_LEDGER: Mapping[Path, LedgerNode] = {}


def drift(root: NodeSpec, rendered: Rendered, view: StationView) -> tuple[DiffRow, ...]:
    """Differences from the desired tree: ``before`` is on the station, ``after`` is desired.

    Orphans and entries that are not ours are listed too. What the profile does not know at all is no drift:
    stations report states that no profile knows (plans name such nodes). A station that could not be read
    has no rows.
    """
    if view.observed is None:
        return ()
    rendered = where_it_stands(root, rendered, view.observed)
    return tuple(_rows(root, *in_sight(rendered, view), view.observed))


def _rows(root: NodeSpec, rendered: Rendered, view: StationView, observed: Observed) -> Iterator[DiffRow]:
    difference = diff(root, observed.tree, rendered.tree)
    for path in difference.missing:
        wanted = contents(root, path, rendered.tree[path])
        yield row(path, rendered.owners[path], placed_name(root, path), NOTHING, wanted)
    for path, leaves in difference.changed.items():
        for texts in leaf_texts(root, path, leaves.before, leaves.after, observed.writers):
            yield row(path, rendered.owners[path], *texts)
    yield from _primary_rows(root, rendered, observed)
    edits = find_edits(root, observed, rendered, view.ledger, ())
    for new, old in {**edits.replaced, **edits.kept}.items():
        has = contents(root, old, observed.tree[old])
        yield row(old, rendered.owners[new], placed_name(root, old), has, NOTHING)
    for path, owners in edits.orphans.items():
        yield row(
            path, owners, placed_name(root, path), contents(root, path, observed.tree[path]), "nothing asks for it"
        )
    for one in (one for one in foreign_elements(root, observed) if one not in view.beside):
        yield row(child("", root.name, one), (), f"{root.name} {one}", "there", "another station's id, left alone")
    for path in edits.unknown:
        yield row(path, (), placed_name(root, path), contents(root, path, observed.tree[path]), "unknown, left alone")


def _primary_rows(root: NodeSpec, rendered: Rendered, observed: Observed) -> Iterator[DiffRow]:
    """Other primary PLMNs, with the way back: no repair changes a global cell identity, and a person has to."""
    for path, instead in displaced(root, observed.tree, rendered.primaries).items():
        plmn, first = broadcast_plmn(path), broadcast_plmn(instead)
        ours = instead in rendered.tree
        way = "change-primary-plmn puts it first" if ours else f"once {first}, which is not ours, is gone"
        yield row(path, (HOST,), f"{entry_name(root, parent(path))}: primary PLMN", first, f"{plmn}; {way}")


def displaced_primaries(root: NodeSpec, rendered: Rendered, observed: Observed) -> tuple[str, ...]:
    """Primary PLMNs that stand first no more, each with the one that does and the way back, in words."""
    rows = _primary_rows(root, rendered, observed)
    return tuple(f"{one.what}: {one.before} instead of {one.after}" for one in rows)


def drifted_nodes(
    root: NodeSpec, rendered: Rendered, observed: Observed, *, repairable: bool = False
) -> tuple[Path, ...]:
    """Desired nodes that are missing or differ, or primary PLMNs that stand first no more, all of which are counted.

    With ``repairable``, without the latter, which a repair leaves where they are.
    """
    difference = diff(root, observed.tree, where_it_stands(root, rendered, observed).tree)
    missing = (path for path in difference.missing if not observed.unseen(path))
    late = () if repairable else displaced(root, observed.tree, rendered.primaries)
    return tuple(dict.fromkeys((*missing, *difference.changed, *late)))


def applied(ledger: Mapping[Path, LedgerNode]) -> Rendered:
    """The tree of all that was adopted or applied last.

    Drift is judged and repaired against this and not against the network files, so that what they ask for and
    nobody applied yet neither counts as drift nor reaches a station by a repair. PLMNs on air come in the order that
    intent gives them: the primary with its slices, then the others by their owners.
    """
    leading = {list_of(node.path): plmn_part(node.path) for node in ledger.values() if node.first}

    def order(node: LedgerNode) -> tuple[object, ...]:
        primary = leading.get(list_of(node.path))
        behind = primary is not None and plmn_part(node.path) != primary
        return parent(node.path), behind, not node.first, node.owners, node.path

    ordered = sorted(ledger.values(), key=order)
    tree = {node.path: dict(node.leaves) for node in ordered}
    primaries = frozenset(node.path for node in ordered if node.first)
    return Rendered(tree, {node.path: node.owners for node in ordered}, (), primaries)


def ledger_after(
    station: str, ledger: Mapping[Path, LedgerEntry], changes: Iterable[Change]
) -> Mapping[Path, LedgerEntry]:
    """The ledger of a station as it will be when the job that made these changes has ended well."""
    found = dict(ledger)
    for change in changes:
        for path in change.lost:
            found.pop(path, None)
        for node in change.gained:
            found[node.path] = LedgerEntry(station=station, **dict(node))
    return found


def ledger_nodes(
    root: NodeSpec, rendered: Rendered, ledger: Mapping[Path, LedgerNode] = NO_LEDGER
) -> Iterator[LedgerNode]:
    """Entries that the ledger needs and does not have, for a station that carries what is rendered."""
    first = frozenset(first_entries(root, rendered.tree).values())
    for path, owners in rendered.owners.items():
        leaves, known = rendered.tree[path], ledger.get(path)
        if known is None or (known.owners, known.leaves, known.first) != (owners, leaves, path in first):
            yield LedgerNode(path=path, owners=owners, leaves=leaves, first=path in first)


def carried_nodes(
    root: NodeSpec, wanted: Rendered, ledger: Mapping[Path, LedgerNode], observed: Observed
) -> tuple[tuple[LedgerNode, ...], tuple[Path, ...]]:
    """Entries of a ledger for the station as applied, and paths that would leave the ledger.

    Nodes are those of the ledger, and those that are wanted; what neither knows stays nobody's.
    """
    wanted = at_what_cells_name(root, with_given(root, wanted, observed), observed.tree, ledger)
    first = frozenset(first_entries(root, observed.tree).values())
    ours = {path: node.owners for path, node in ledger.items()}
    owners = {path: wanted.owners.get(path, ours.get(path, ())) for path in observed.tree}
    nodes = []
    for path in (path for path, owned in owners.items() if owned):
        spec = spec_of(root, path)
        asked = {*(ledger[path].leaves if path in ledger else ()), *wanted.tree.get(path, ())}
        leaves = {
            name: value
            for name, value in observed.tree[path].items()
            if spec is not None and name in spec.leaf_by_name and _managed(spec.leaf_by_name[name], asked)
        }
        nodes.append(LedgerNode(path=path, owners=owners[path], leaves=leaves, first=path in first))
    lost = tuple(path for path in ledger if path not in observed.tree and not observed.unseen(path))
    changed = (node for node in nodes if (known := ledger.get(node.path)) is None or not _same(node, known))
    return tuple(changed), lost


def _managed(leaf: LeafSpec, asked: Collection[str]) -> bool:
    """Whether the ledger guards a leaf of a node: one that is managed there, at its default or not."""
    return leaf.compared and (leaf.name in asked or leaf.default is not None)


def _same(node: LedgerNode, known: LedgerNode) -> bool:
    return (node.owners, node.leaves, node.first) == (known.owners, known.leaves, known.first)


def adopted_nodes(root: NodeSpec, rendered: Rendered, observed: Observed) -> tuple[LedgerNode, ...]:
    """Nodes that are exactly as desired: they enter the ledger when the station is adopted.

    One that differs enters it by a person's plan: until then nobody applied what the files say of it, so
    that it is no drift and no repair touches it.
    """
    wanted = with_reservations(root, with_given(root, rendered, observed), StationView(observed, adopted=True))
    wanted = at_what_cells_name(root, wanted, observed.tree, NO_LEDGER)
    differing, nodes = set(drifted_nodes(root, wanted, observed)), tuple(ledger_nodes(root, wanted))
    late = displaced(root, observed.tree, [node.path for node in nodes if node.first])
    return tuple(
        node.model_copy(update={"first": node.first and node.path not in late})
        for node in nodes
        if node.path in observed.tree and node.path not in differing
    )
