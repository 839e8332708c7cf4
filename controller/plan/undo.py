"""Takes an applied change back: makes a change of the inverses that were stored with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

from controller.intent.central_units import whole_of
from controller.models.errors import ConflictError, DeviceRefusedError
from controller.models.facts import Finding, Owners, Severity
from controller.models.many import first_names
from controller.models.network import HOST, Cell, Network
from controller.models.plan import Change, Edit, Op, Phase, PhaseKind, WaitFor
from controller.models.run import LedgerBefore, LedgerEntry
from controller.nrm.apply import appending, apply_edits
from controller.nrm.containers import made_by, others_in, sparing
from controller.nrm.fingerprint import fingerprint
from controller.nrm.inverse import invert
from controller.nrm.profiles import administrative_leaf, administrative_state, cell_of, root_spec
from controller.nrm.schema import NodeSpec, elsewhere, lent, self_made, spec_of
from controller.nrm.tree import Observed, Path, Tree, leads_to
from controller.plan.phases import link_waits, outage_of, ready_waits
from controller.plan.rows import nodes
from controller.plan.withdrawal import withdrawn


@dataclass(frozen=True, slots=True)
class Inside:
    """Nodes that are not ours inside of what goes.

    Attributes:
        along: Entries that go → what the station made in them, which goes with them.
        held: What somebody else put there.
    """

    along: dict[Path, tuple[Path, ...]]
    held: tuple[Path, ...]


_OPPOSITE = {PhaseKind.LOCK: PhaseKind.UNLOCK, PhaseKind.UNLOCK: PhaseKind.LOCK, PhaseKind.EDIT: PhaseKind.EDIT}


def undo_change(
    profiles: tuple[str, ...],
    change: Change,
    observed: Observed,
    ours: Collection[Path] = (),
    kept: Collection[Path] = (),
) -> Change:
    """The change that takes ``change`` back on a station that carries it.

    The ledger is not in it: a change that is taken back never entered it. What others put into entries beside the
    managed element that the change made stays, and so do these.

    Args:
        profiles: The station's profiles.
        change: What was done.
        observed: The station as it is.
        ours: Entries there that are ours, beside those that the change made.
        kept: Entries beside the managed element that stay all the same.

    Raises:
        ConflictError: The station no longer carries what the change left there.
    """
    root = root_spec(profiles)
    tree: Tree = observed.tree
    phases = []
    ours = {*ours, *made_by(change)}
    try:
        for done in reversed(change.phases):
            taken = done.inverse if observed.behaviour.places else appending(done.inverse)
            edits = sparing(root, taken, tree, observed.unknown, ours, kept)
            back = invert(root, tree, edits, {})
            tree = apply_edits(root, tree, edits)
            # Removed links, which new ones replaced, are up again before the new ones go.
            links = (
                link_waits(root, done.inverse) if any(wait.kind == "link-up" for wait in _before(change, done)) else ()
            )
            wait = (*_waits(root, done.inverse), *links, *ready_waits(root, done.inverse))
            phases.append(Phase(kind=_OPPOSITE[done.kind], edits=edits, inverse=back, wait=wait))
    except DeviceRefusedError as error:
        raise ConflictError(f"{change.station} was changed since: {error.message}") from error
    return Change(
        station=change.station,
        phases=tuple(phases),
        diff=tuple(row.model_copy(update={"before": row.after, "after": row.before}) for row in change.diff),
        touched=change.touched,
        interrupted=tuple(sorted({*change.interrupted, *change.freed})),  # their cells are locked again
        outage=outage_of(phases, change.outage.seconds),
        fingerprint=fingerprint(root, observed.tree, change.fingerprint.paths),
        checks=tuple(check for check in change.checks if _holds_again(tree, check)),
        restarts=change.restarts,
        reverts=observed.reverts(len(phases)),
    )


def undo_job(
    profiles: tuple[str, ...],
    changes: Sequence[Change],
    observed: Observed,
    before: LedgerBefore,
    ledger: Mapping[Path, LedgerEntry],
    kept: Collection[Path] = (),
) -> Change:
    """The change that takes back all that an ended job left on a station, the last change first.

    Args:
        profiles: The station's profiles.
        changes: What the job left there, in order.
        observed: The station as it is.
        before: What the ledger said before the job, which it will say again: but not of a node that was missing on the
            station then, and is missing again afterwards by the undo itself.
        ledger: What it says now.
        kept: Entries beside the managed element that stay all the same.

    Raises:
        ConflictError: The station no longer carries what the job left there.
    """
    root = root_spec(profiles)
    seen, parts = observed, []
    for change in reversed(changes):
        parts.append(undo_change(profiles, change, seen, ledger, kept))
        tree = seen.tree
        for phase in parts[-1].phases:
            tree = apply_edits(root, tree, phase.edits)
        seen = replace(seen, tree=tree)
    paths = {path for part in parts for path in part.fingerprint.paths}
    touched = {tenant for part in parts for tenant in part.touched}
    interrupted = {tenant for part in parts for tenant in part.interrupted}
    served = {tenant for part in parts for tenant in part.interrupted if tenant in part.touched}
    gone = (path for path in observed.tree if path in ledger and path not in seen.tree and not lent(root, path))
    removed = {path for path in gone if not any(elsewhere(root, path, seen.tree))}
    absent = (path for path in before.absent if path in ledger and not stays_around(root, path, seen.tree))
    removes = Counter(owner for path in removed for owner in ledger[path].owners)
    checks = dict.fromkeys(check for part in parts for check in part.checks if _holds_again(seen.tree, check))
    phases = tuple(phase for part in parts for phase in part.phases)
    return Change(
        station=parts[0].station,
        phases=phases,
        diff=tuple(row for part in parts for row in part.diff),
        touched=tuple(sorted(touched)),
        interrupted=tuple(sorted(interrupted - (touched - served))),
        outage=outage_of(phases, sum(part.outage.seconds for part in parts)),
        withdrawn=withdrawn(observed.tree, seen.tree, {path: entry.owners for path, entry in ledger.items()}),
        fingerprint=fingerprint(root, observed.tree, paths),
        checks=tuple(checks),
        gained=tuple(entry.node for entry in before.entries if entry.path not in removed),
        lost=(*dict.fromkeys((*absent, *sorted(removed))),),
        removes=dict(sorted(removes.items())),
        restarts=any(part.restarts for part in parts),
        reverts=observed.reverts(len(phases)),
    )


def without_agreement(
    network: Network, change: Change, observed: Tree, ledger: Mapping[Path, LedgerEntry], day: date
) -> Iterator[Finding]:
    """Tenants that come back to a station or router, or cells of it, where no agreement of theirs lets them in.

    A run is undone by its record, which asks no agreement: the next plan would call these nodes orphaned.

    Args:
        network: Current network.
        change: What the undo does.
        observed: The device as it is.
        ledger: What the ledger says of it.
        day: The day whose agreements count.
    """
    if not network.device_kinds[change.station].rules.by_agreement:
        return  # a function of a tenant is where its contract of the cloud says, not where its cells are
    found: dict[str, list[Path]] = {}
    for path, owners in _brought(root_spec(network.profiles_of(change.station)), change, observed, ledger).items():
        cells = _cells_at(network, change.station, cell_of(path))
        if HOST not in owners and not any(network.lets_in(tenant, cells, day) for tenant in owners):
            for tenant in owners:
                found.setdefault(tenant, []).append(path)
    for tenant, paths in sorted(found.items()):
        names = sorted({cell_of(path) for path in paths} - {""})
        count = f"{len(names)} cell{'' if len(names) == 1 else 's'}"
        to = f" to {count} ({first_names(names)})" if names else ""
        message = (
            f"{change.station}: {tenant} comes back{to} with {nodes(len(paths))} that the next plan will call "
            f"orphaned: no agreement in force on {day} lets {tenant} in there"
        )
        yield Finding("no-agreement", Severity.WARNING, message, change.station, tenant=tenant)


def _brought(root: NodeSpec, change: Change, observed: Tree, ledger: Mapping[Path, LedgerEntry]) -> dict[Path, Owners]:
    """Owners of the entries that are not on the device and will be."""
    after = observed
    for phase in change.phases:
        after = apply_edits(root, after, phase.edits)
    # The inverse of an inverse gives all that stood in an entry to the entry's owners; the ledger knows better.
    owners = {edit.path: edit.owners for phase in change.phases for edit in phase.edits}
    owners |= {path: entry.owners for path, entry in ledger.items()}
    owners |= {node.path: node.owners for node in change.gained}
    return {path: owners.get(path, ()) for path in after if path not in observed}


def _cells_at(network: Network, device: str, cell: str) -> tuple[Cell, ...]:
    """The cell of that name there; without a name, all cells of a station, or of the stations behind a router."""
    if cell:
        station, _, name = whole_of(network, f"{device}/{cell}").partition("/")
        known = network.cell_by_name.get((station, name))
        return () if known is None else (known,)
    stations = (device,) if network.device_kinds[device].rules.has_cells else network.stations_behind(device)
    return tuple(one for station in stations for one in network.cells_through(station))


def stays_around(root: NodeSpec, path: Path, after: Tree) -> bool:
    """Whether an entry that was to go beside the root is there all the same, since others put something into it."""
    return path.startswith(root.around) and path in after


def inside(profiles: tuple[str, ...], change: Change, observed: Observed, ours: Collection[Path]) -> Inside:
    """What of others is inside of what a change takes away."""
    root = root_spec(profiles)
    goes, held = {}, []
    for edit in (edit for phase in change.phases for edit in phase.edits if edit.op is Op.DELETE):
        others = others_in(edit.path, (*observed.tree, *observed.unknown), ours)
        along = tuple(one for one in others if one in observed.tree and self_made(root, one))
        if along:
            goes[edit.path] = along
        held += [one for one in others if one not in along and not _comes_with_device(root, one)]
    return Inside(goes, tuple(held))


def _comes_with_device(root: NodeSpec, path: Path) -> bool:
    spec = spec_of(root, path)
    return spec is not None and (bool(spec.given) or spec.management_path)


def still_named(profiles: tuple[str, ...], change: Change, tree: Tree) -> dict[Path, tuple[Path, ...]]:
    """What a change takes away beside the managed element → entries that stay and name it.

    Such as an external cell that a relation of the station's ANR leads to, or a frequency of a cell of somebody else.
    """
    root, after = root_spec(profiles), tree
    for phase in change.phases:
        after = apply_edits(root, after, phase.edits)
    gone = [path for path in tree if path.startswith(root.around) and path not in after]
    naming = {path: _named_in(root, path, after) for path in after} if gone else {}
    found = {
        path: tuple(one for one, texts in naming.items() if any(leads_to(text, path) for text in texts))
        for path in gone
    }
    return {path: names for path, names in found.items() if names}


def _named_in(root: NodeSpec, path: Path, tree: Tree) -> list[str]:
    """Distinguished names in an entry."""
    spec = spec_of(root, path) if any(begins in path for begins in root.referring) else None
    return [] if spec is None else [str(tree[path].get(leaf, "")) for leaf in spec.references]


def _before(change: Change, done: Phase) -> Iterator[WaitFor]:
    """Conditions of the phases before one."""
    for phase in change.phases[: change.phases.index(done)]:
        yield from phase.wait


def _waits(root: NodeSpec, edits: tuple[Edit, ...]) -> Iterator[WaitFor]:
    """Cells that the edits lock have to leave the air; those that they unlock have to come back."""
    for edit in edits:
        spec = spec_of(root, edit.path)
        leaf = administrative_leaf(edit.path)
        state = edit.after.get(leaf, edit.before.get(leaf) and "LOCKED")
        if edit.op is Op.MERGE and spec is not None and spec.is_cell and state:
            yield WaitFor(kind="cell-on-air" if state == "UNLOCKED" else "cell-off-air", path=edit.path)


def _holds_again(tree: Tree, check: WaitFor) -> bool:
    """Whether a check of the change can be expected to hold after its undoing, too."""
    if check.behind:
        return True  # links that depend on the device may be lost on the way back, too
    if check.path not in tree:
        return False
    return check.kind in ("link-up", "ready") or (
        check.kind == "cell-on-air" and administrative_state(tree, check.path) == "UNLOCKED"
    )
