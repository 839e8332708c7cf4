"""Changes that follow from no network file: lock cells, open PLMNs, re-create core links, remove all our nodes."""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Literal

from controller.models.errors import ConflictError, NotFoundError, PlanRefusedError
from controller.models.facts import HOST_OWNED, Owners
from controller.models.network import HOST
from controller.models.outage import Outage
from controller.models.plan import Change, DiffRow, Edit, LeafValues, Op, Phase, PhaseKind, WaitFor
from controller.models.run import LedgerEntry
from controller.nrm.apply import apply_edits
from controller.nrm.fingerprint import fingerprint
from controller.nrm.inverse import invert
from controller.nrm.profiles import (
    Rendered,
    administrative_leaf,
    administrative_state,
    cell_of,
    cells,
    is_reserved,
    leaf_of,
    link_locked,
    root_spec,
)
from controller.nrm.schema import LeafRole, NodeSpec, spec_of
from controller.nrm.tree import LeafName, Observed, Path, Tree, child
from controller.plan.edits import find_edits
from controller.plan.inputs import PlanOptions, StationView, given_in, in_sight
from controller.plan.phases import LINK_SECONDS, LOCK_SECONDS, ON_AIR_SECONDS, outage_of
from controller.plan.rows import contents, describe, entry_name, locked_outside, row
from controller.plan.station import StationPlan, plan_station

#: Expected seconds of a cell that is locked and unlocked again.
CYCLE_SECONDS = LOCK_SECONDS + ON_AIR_SECONDS
AdministrativeState = Literal["LOCKED", "UNLOCKED", "SHUTTINGDOWN"]
#: What to wait for before the confirm; users of a cell that shuts down may stay for long.
_WAIT: Mapping[AdministrativeState, Literal["cell-off-air", "cell-on-air"]] = {
    "LOCKED": "cell-off-air",
    "UNLOCKED": "cell-on-air",
}


def left_locked(changes: Iterable[Change]) -> dict[Path, Change]:
    """Cells and core links that changes leave locked or shutting down, each with the last one that did so.

    Args:
        changes: Changes of one device, in the order in which it got them.
    """
    found: dict[Path, Change] = {}
    for change in changes:
        for edit in (edit for phase in change.phases for edit in phase.edits if edit.op is Op.MERGE):
            if administrative_leaf(edit.path) not in edit.before.keys() | edit.after.keys():
                continue
            if administrative_state({edit.path: edit.after}, edit.path) == "UNLOCKED":
                found.pop(edit.path, None)
            else:
                found[edit.path] = change
    return found


def administrative_state_change(
    station: str,
    profiles: tuple[str, ...],
    observed: Observed,
    names: Collection[str] | None,
    owners: Mapping[Path, Owners],
    final: AdministrativeState,
    ours: Container[Path] = (),
    holders: Mapping[str, str] = MappingProxyType({}),
) -> Change | None:
    """Lock, unlock or shut down cells; None if all are so already.

    A cell that shuts down serves its users until they leave, takes no new ones, and locks itself in the end; one
    that is locked or shuts down already is left alone then.

    Args:
        station: Station id.
        profiles: Its profiles.
        observed: What it says of itself.
        names: Cells by their names on the station; None for all that are ours.
        owners: Owners of the nodes that are ours there; other cells are not switched.
        final: What they become.
        ours: Cells that the same work shuts down, and so may unlock before their last user has left.
        holders: Who shut cells down, in words by cell, as far as a run of ours did.

    Raises:
        NotFoundError: The station has no such cell.
        ConflictError: A cell is not ours, or is shutting down by another run or by somebody else.
    """
    root = root_spec(profiles)
    wanted = _chosen(station, observed.tree, names, owners)
    there = (final, "LOCKED") if final == "SHUTTINGDOWN" else (final,)
    paths = [path for path in wanted if administrative_state(observed.tree, path) not in there]
    closing = (path for path in paths if administrative_state(observed.tree, path) == "SHUTTINGDOWN")
    busy = [cell_of(path) for path in closing if path not in ours]
    if busy and final == "UNLOCKED":
        by_runs = [f"cell {cell} of {station} is shutting down: {holders[cell]}" for cell in busy if cell in holders]
        others = ", ".join(cell for cell in busy if cell not in holders)
        said = [*by_runs, *([f"somebody else is shutting cell {others} of {station} down"] if others else ())]
        raise ConflictError("; ".join(said))
    if not paths:
        return None
    edits = tuple(_edit(observed.tree, path, final, owners) for path in paths)
    wait = tuple(WaitFor(kind=_WAIT[final], path=path) for path in paths if final in _WAIT)
    kind = PhaseKind.UNLOCK if final == "UNLOCKED" else PhaseKind.LOCK
    phase = Phase(kind=kind, edits=edits, inverse=invert(root, observed.tree, edits, owners), wait=wait)
    tenants = {owner for path in paths for owner in _tenants_on(path, owners)}
    return Change(
        station=station,
        phases=(phase,),
        diff=tuple(_row(root, observed.tree, path, final) for path in paths),
        touched=(),
        interrupted=tuple(sorted(tenants)),
        outage=outage_of([phase], LOCK_SECONDS),
        fingerprint=fingerprint(root, observed.tree, [f"{path}/{administrative_leaf(path)}" for path in paths]),
        checks=wait,
        reverts=observed.reverts(1),
    )


def cycle_change(
    station: str,
    profiles: tuple[str, ...],
    observed: Observed,
    names: Sequence[str],
    owners: Mapping[Path, Owners],
    *,
    on_air: bool = True,
    holders: Mapping[str, str] = MappingProxyType({}),
) -> Change:
    """Two committed phases: lock unlocked cells, then unlock them again.

    The change is good when they are on air afterwards, where that is asked for (``on_air``). If it is taken back they
    are unlocked, as before. It is judged as a whole by what was before it: a cell of which there was an alarm then may
    have that alarm again.

    Raises:
        NotFoundError: The station has no such cell.
        ConflictError: A cell is not ours, or it is not unlocked: that is somebody's hold.
    """
    root = root_spec(profiles)
    paths = _chosen(station, observed.tree, names, owners)
    if locked := [cell_of(path) for path in paths if administrative_state(observed.tree, path) != "UNLOCKED"]:
        who = "; ".join(holders.get(cell) or locked_outside(f"cell {cell}") for cell in locked)
        raise ConflictError(f"{who}: it is not touched on {station}")
    lock = tuple(_edit(observed.tree, path, "LOCKED", owners) for path in paths)
    unlock = invert(root, observed.tree, lock, owners)
    back = invert(root, apply_edits(root, observed.tree, lock), unlock, owners)
    off_air = tuple(WaitFor(kind="cell-off-air", path=path) for path in paths)
    back_on_air = tuple(WaitFor(kind="cell-on-air", path=path) for path in paths) if on_air else ()
    tenants = {owner for path in paths for owner in _tenants_on(path, owners)}
    phases = (
        Phase(kind=PhaseKind.LOCK, edits=lock, inverse=unlock, wait=off_air),
        Phase(kind=PhaseKind.UNLOCK, edits=unlock, inverse=back, wait=back_on_air),
    )
    return Change(
        station=station,
        phases=phases,
        diff=tuple(_row(root, observed.tree, path, "UNLOCKED (locked and unlocked again)") for path in paths),
        touched=(),
        interrupted=tuple(sorted(tenants)),
        outage=outage_of(phases, CYCLE_SECONDS),
        fingerprint=fingerprint(root, observed.tree, [f"{path}/{administrative_leaf(path)}" for path in paths]),
        checks=back_on_air,
        reverts=observed.reverts(len(phases)),
    )


def _chosen(station: str, tree: Tree, names: Collection[str] | None, owners: Mapping[Path, Owners]) -> list[Path]:
    there = {entry.cell: entry.path for entry in cells(tree)}
    if names is None:
        return [path for path in there.values() if path in owners]
    missing = [name for name in names if name not in there]
    if missing:
        known = ", ".join(there) or "none"
        raise NotFoundError(f"{station} has no cell {', '.join(missing)}; it has {known}")
    foreign = [name for name in names if there[name] not in owners]
    if foreign:
        raise ConflictError(f"cell {', '.join(foreign)} of {station} is not ours")
    return [path for name, path in there.items() if name in names]


def _edit(tree: Tree, path: Path, state: str, owners: Mapping[Path, Owners]) -> Edit:
    return Edit(
        op=Op.MERGE,
        path=path,
        before={administrative_leaf(path): administrative_state(tree, path)},
        after={administrative_leaf(path): state},
        owners=owners.get(path, HOST_OWNED),
    )


def _tenants_on(path: Path, owners: Mapping[Path, Owners]) -> set[str]:
    name = cell_of(path)
    return {owner for other, found in owners.items() if cell_of(other) == name for owner in found} - {HOST}


def _row(root: NodeSpec, tree: Tree, path: Path, after: str) -> DiffRow:
    what = f"{entry_name(root, path)}: administrative state"
    return row(path, HOST_OWNED, what, administrative_state(tree, path), after)


# ----------------------------------------------------------------- reservations


def open_plmns_change(
    station: str, profiles: tuple[str, ...], observed: Observed, tenant: str, ledger: Mapping[Path, LedgerEntry]
) -> Change | None:
    """Open a tenant's PLMNs to all users, if ours are reserved for operator use; None if none is.

    Args:
        station: Station id.
        profiles: Its profiles.
        observed: What it says of itself.
        tenant: Whose PLMNs.
        ledger: Nodes that are ours there.
    """
    root, tree = root_spec(profiles), observed.tree
    paths = [path for path, entry in ledger.items() if entry.owners == (tenant,) and is_reserved(tree, path)]
    if not paths:
        return None
    leaf = {path: leaf_of(path, LeafRole.RESERVED) for path in paths}
    edits = tuple(
        Edit(op=Op.MERGE, path=path, before={leaf[path]: tree[path][leaf[path]]}, owners=(tenant,)) for path in paths
    )
    return Change(
        station=station,
        phases=(Phase(kind=PhaseKind.EDIT, edits=edits, inverse=invert(root, tree, edits, {})),),
        diff=describe(root, edits, {}),
        touched=(tenant,),
        fingerprint=fingerprint(root, tree, [f"{path}/{leaf[path]}" for path in paths]),
        gained=tuple(
            ledger[path].node.model_copy(update={"leaves": _without(ledger[path].leaves, leaf[path])}) for path in paths
        ),
        reverts=observed.reverts(1),
    )


def _without(leaves: LeafValues, name: LeafName) -> LeafValues:
    return {other: value for other, value in leaves.items() if other != name}


# ------------------------------------------------------------------ core links


def recreate_endpoints_change(
    station: str,
    profiles: tuple[str, ...],
    observed: Observed,
    endpoints: Mapping[Path, Owners],
    holders: Mapping[str, str] = MappingProxyType({}),
) -> Change:
    """Two committed phases: delete core links with all below, then create them as they were read.

    The change is good when all of these links are up afterwards. The ledger stays as it is.

    Raises:
        NotFoundError: There is no core link at a path.
        PlanRefusedError: A link is locked: that is somebody's hold, told by ``holders`` where a run of ours did it.
    """
    root, tree = root_spec(profiles), observed.tree
    for path in endpoints:
        spec = spec_of(root, path)
        if spec is None or spec.link is None or path not in tree:
            raise NotFoundError(f"{station} has no core link {path}")
        if link_locked(tree, path):
            who = holders.get(path) or locked_outside(entry_name(root, path))
            raise PlanRefusedError(f"{who}: it is not touched on {station}")
    delete = tuple(Edit(op=Op.DELETE, path=path, before=dict(tree[path]), owners=endpoints[path]) for path in endpoints)
    create = invert(root, tree, delete, {})
    without = apply_edits(root, tree, delete)
    up = tuple(WaitFor(kind="link-up", path=path, tenant=", ".join(owners)) for path, owners in endpoints.items())
    words = {path: contents(root, path, tree[path]) for path in endpoints}
    return Change(
        station=station,
        phases=(
            Phase(kind=PhaseKind.EDIT, edits=delete, inverse=create),
            Phase(kind=PhaseKind.EDIT, edits=create, inverse=invert(root, without, create, {}), wait=up),
        ),
        diff=tuple(
            row(path, owners, entry_name(root, path), words[path], f"{words[path]} (deleted and created again)")
            for path, owners in endpoints.items()
        ),
        touched=tuple(sorted({owner for owners in endpoints.values() for owner in owners} - {HOST})),
        outage=Outage.timed(LINK_SECONDS),
        fingerprint=fingerprint(root, tree, tuple(endpoints)),
        checks=up,
        reverts=observed.reverts(2),
    )


# -------------------------------------------------------------- out of service


def removal_plan(
    station: str, profiles: tuple[str, ...], observed: Observed, ledger: Mapping[Path, LedgerEntry]
) -> StationPlan:
    """The change that removes all nodes of ours, except those that came with the station: its root, its list of alarms.

    Cells that are unlocked are locked first. What is not ours stays, and what of ours holds it.
    """
    kept, view = _given(station, profiles, observed), StationView(observed, adopted=True, ledger=ledger)
    made = plan_station(station, profiles, kept, view, PlanOptions(remove=dict.fromkeys(_owners(ledger), 1)))
    if made.change is None:
        return made
    lost = tuple(sorted({*made.change.lost, *(kept.tree.keys() & ledger.keys())}))
    return StationPlan(made.change.model_copy(update={"lost": lost, "gained": ()}), "", made.findings)


def removed_nodes(
    station: str, profiles: tuple[str, ...], observed: Observed, ledger: Mapping[Path, LedgerEntry]
) -> frozenset[Path]:
    """Nodes of ours there that leave the ledger by ``removal_plan``, also while something still holds that up.

    An entry that stays because of others is none of them; without anything to delete there are none.
    """
    kept = _given(station, profiles, observed)
    rendered, view = in_sight(kept, StationView(observed, adopted=True, ledger=ledger))
    edits = find_edits(root_spec(profiles), observed, rendered, view.ledger, _owners(ledger))
    if not edits.edits:
        return frozenset()
    return frozenset({*edits.lost, *(kept.tree.keys() & ledger.keys())} & observed.tree.keys())


def _given(station: str, profiles: tuple[str, ...], observed: Observed) -> Rendered:
    """What came with the station, and stays."""
    root = root_spec(profiles)
    given = {child("", root.name, station), *given_in(root, observed.tree)}
    stays = {path: dict(leaves) for path, leaves in observed.tree.items() if path in given}
    return Rendered(stays, dict.fromkeys(stays, (HOST,)), ())


def _owners(ledger: Mapping[Path, LedgerEntry]) -> set[str]:
    return {owner for entry in ledger.values() for owner in entry.owners}
