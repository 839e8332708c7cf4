"""Locking and unlocking cells at a person's word: changes of the administrative state and nothing else (X.731)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from controller.models.errors import ConflictError, NotFoundError
from controller.models.facts import HOST_OWNED, Owners
from controller.models.network import HOST
from controller.models.plan import Change, DiffRow, Edit, Op, Phase, PhaseKind, WaitFor
from controller.nrm.fingerprint import fingerprint
from controller.nrm.inverse import invert
from controller.nrm.profiles import administrative_state, cell_of, cells, root_spec
from controller.nrm.schema import NodeSpec
from controller.nrm.tree import Observed, Path, Tree
from controller.plan.edits import ADMINISTRATIVE_STATE
from controller.plan.phases import LOCK_SECONDS, ON_AIR_SECONDS
from controller.plan.rows import entry_name, row

Switched = Literal["LOCKED", "UNLOCKED", "SHUTTINGDOWN"]
#: What to wait for before it is confirmed; users of a cell that shuts down may stay for long.
_WAIT: Mapping[Switched, Literal["cell-off-air", "cell-on-air"]] = {"LOCKED": "cell-off-air", "UNLOCKED": "cell-on-air"}


def switch_change(
    station: str,
    profiles: tuple[str, ...],
    observed: Observed,
    names: Sequence[str],
    owners: Mapping[Path, Owners],
    final: Switched,
) -> Change | None:
    """Lock, unlock or shut down cells; None where all are so already.

    A cell that shuts down serves its users until they leave, takes no new ones, and locks itself in the end; one
    that is locked or shuts down already is left alone then.

    Args:
        station: Station id.
        profiles: Its profiles.
        observed: What it says of itself.
        names: Cells by their names on the station; empty for all that are ours.
        owners: Owners of the nodes that are ours there; other cells are not switched.
        final: What they become.

    Raises:
        NotFoundError: The station has no such cell.
        ConflictError: A cell is not ours, or somebody is shutting it down.
    """
    root = root_spec(profiles)
    wanted = _chosen(station, observed.tree, names, owners)
    there = (final, "LOCKED") if final == "SHUTTINGDOWN" else (final,)
    paths = [path for path in wanted if administrative_state(observed.tree, path) not in there]
    busy = [cell_of(path) for path in paths if administrative_state(observed.tree, path) == "SHUTTINGDOWN"]
    if busy and final == "UNLOCKED":
        raise ConflictError(f"somebody is shutting cell {', '.join(busy)} of {station} down")
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
        outage_seconds=ON_AIR_SECONDS if final == "UNLOCKED" else LOCK_SECONDS,
        fingerprint=fingerprint(root, observed.tree, [f"{path}/{ADMINISTRATIVE_STATE}" for path in paths]),
        checks=wait,
    )


def _chosen(station: str, tree: Tree, names: Sequence[str], owners: Mapping[Path, Owners]) -> list[Path]:
    there = {entry.cell: entry.path for entry in cells(tree)}
    missing = [name for name in names if name not in there]
    if missing:
        known = ", ".join(there) or "none"
        raise NotFoundError(f"{station} has no cell {', '.join(missing)}; it has {known}")
    foreign = [name for name in names if there[name] not in owners]
    if foreign:
        raise ConflictError(f"cell {', '.join(foreign)} of {station} is not ours")
    return [path for name, path in there.items() if path in owners and (not names or name in names)]


def _edit(tree: Tree, path: Path, state: str, owners: Mapping[Path, Owners]) -> Edit:
    return Edit(
        op=Op.MERGE,
        path=path,
        before={ADMINISTRATIVE_STATE: administrative_state(tree, path)},
        after={ADMINISTRATIVE_STATE: state},
        owners=owners.get(path, HOST_OWNED),
    )


def _tenants_on(path: Path, owners: Mapping[Path, Owners]) -> set[str]:
    name = cell_of(path)
    return {owner for other, found in owners.items() if cell_of(other) == name for owner in found} - {HOST}


def _row(root: NodeSpec, tree: Tree, path: Path, after: str) -> DiffRow:
    what = f"{entry_name(root, path)}: administrative state"
    return row(path, HOST_OWNED, what, administrative_state(tree, path), after)
