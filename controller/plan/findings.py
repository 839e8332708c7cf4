"""What a plan tells people besides its changes: orphans, unknown nodes, holds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from controller.models.facts import Finding, Severity
from controller.models.health import ServiceState
from controller.nrm.profiles import broadcast_plmn, cell_of, cell_state, cells
from controller.nrm.schema import NodeSpec
from controller.nrm.tree import Observed, Path, Tree, parent
from controller.plan.edits import Edits
from controller.plan.rows import entry_name
from controller.plan.views import PlanOptions

#: Nodes that a message names before it only counts.
NAMED = 3


def station_findings(
    station: str, root: NodeSpec, observed: Observed, edits: Edits, locked: Mapping[Path, str], options: PlanOptions
) -> tuple[Finding, ...]:
    """All findings about one station; ``locked`` are the states of cells that somebody else locked."""
    return (
        *(
            Finding(code, Severity.ERROR, f"{station}: {entry_name(root, path)}: {text}", station, cell_of(path))
            for code, path, text in edits.refused
        ),
        *_unknown_plmns(station, observed, edits),
        *_unknown_nodes(station, root, observed, edits),
        *_orphans(station, root, edits),
        *_foreign_locks(station, locked),
        *_holds(station, options),
    )


def _unknown_plmns(station: str, observed: Observed, edits: Edits) -> Iterator[Finding]:
    """PLMNs on air that nobody asked for: somebody's network radiates from our mast, so say it loudly."""
    unknown = _below(observed.tree, edits.unknown)
    plmns = {(cell_of(path), plmn) for path in unknown if (plmn := broadcast_plmn(path))}
    states = {cell.cell: cell_state(observed, cell.path) for cell in cells(observed.tree)} if plmns else {}
    for cell, plmn in sorted(plmns):
        state = states.get(cell, ServiceState.DOWN)
        if state is not ServiceState.DOWN:
            has = "has" if state is ServiceState.UP else "is unlocked, and does not tell whether it has"
            message = f"cell {station}/{cell} {has} PLMN {plmn} on air, which no agreement asks for; it was left alone"
            yield Finding("unknown-plmn-on-air", Severity.WARNING, message, station, cell)


def _below(tree: Tree, tops: Iterable[Path]) -> set[Path]:
    """Entries at and below the given ones."""
    found = set(tops)
    if found:
        for path in tree:
            if parent(path) in found:
                found.add(path)
    return found


def _unknown_nodes(station: str, root: NodeSpec, observed: Observed, edits: Edits) -> Iterator[Finding]:
    names = [entry_name(root, path) for path in edits.unknown] + list(observed.unknown)
    if names:
        message = f"{station} has {len(names)} unknown nodes, which were left alone: {_some(names)}"
        yield Finding("unknown-node", Severity.INFO, message, station)


def _orphans(station: str, root: NodeSpec, edits: Edits) -> Iterator[Finding]:
    entangled = set(edits.entangled)
    by_owner: dict[str, list[Path]] = {}
    for path, owners in edits.orphans.items():
        if path not in entangled:
            by_owner.setdefault(", ".join(owners), []).append(path)
    for owner, paths in sorted(by_owner.items()):
        names = [entry_name(root, path) for path in paths]
        message = (
            f"{station} carries {len(paths)} nodes of {owner} that nothing asks for any more "
            f"(an agreement ended, or rows vanished); nothing was removed: {_some(names)}"
        )
        yield Finding("orphan", Severity.WARNING, message, station, tenant=owner)
    for path in edits.entangled:
        owner = ", ".join(edits.orphans[path])
        message = f"{station}: {entry_name(root, path)} was not removed, since it holds nodes that have to stay"
        yield Finding("removal-blocked", Severity.WARNING, message, station, cell_of(path), owner)


def _holds(station: str, options: PlanOptions) -> Iterator[Finding]:
    for name in sorted(options.held):
        if name == station or name.startswith(station + "/"):
            yield Finding("hold", Severity.WARNING, f"{name} is under a hold", station, name[len(station) + 1 :])


def _foreign_locks(station: str, locked: Mapping[Path, str]) -> Iterator[Finding]:
    for path, state in locked.items():
        message = f"cell {station}/{cell_of(path)} is {state}, not by us; it stays so and is not expected on air"
        yield Finding("foreign-lock", Severity.INFO, message, station, cell_of(path))


def _some(names: list[str]) -> str:
    rest = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {rest} more" if rest > 0 else "")
