"""Plans one station: makes one Change of its observed and desired tree, or says why there is none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from controller.models.enums import OBSERVE_ONLY
from controller.models.facts import Finding, Owners, Severity
from controller.models.health import ServiceState
from controller.models.many import first_names
from controller.models.network import HOST
from controller.models.plan import Change, DiffRow, Edit, LedgerNode, Op, WaitFor
from controller.nrm.containers import carries_its_own, elements_in_words, foreign_elements, foreign_in_words
from controller.nrm.diff import plmn_part
from controller.nrm.fingerprint import fingerprint
from controller.nrm.profiles import (
    Rendered,
    administrative_leaf,
    administrative_state,
    broadcast_plmn,
    cell_of,
    cell_state,
    cells,
    is_reserved,
    is_unlocked,
    root_spec,
)
from controller.nrm.schema import NodeRole, NodeSpec, place_of, spec_of
from controller.nrm.tree import Observed, Path, Tree, child, is_below, parent
from controller.plan.drift import ledger_nodes
from controller.plan.edits import PRIMARY_CHANGE, Edits, find_edits, first_entries
from controller.plan.inputs import PlanOptions, StationView, in_sight, limited
from controller.plan.phases import Locks, build_phases, find_locks, outage_of, outage_seconds, was_failed
from controller.plan.reduction import lowered, lowered_below
from controller.plan.rows import describe, entry_name, locked_outside, nodes, placed_name, row
from controller.plan.withdrawal import withdrawn

#: Codes of findings about locked cells: by a run of ours, ended or not; by somebody else.
LOCKED_BY_RUN, FOREIGN_LOCK = "locked-by-run", "foreign-lock"
#: Code of the finding about managed elements of other ids: an error unless a person agreed to them.
FOREIGN_ELEMENT = "foreign-element"
#: Codes of findings about what a diverged run left: a cell locked; nodes on record that are gone, and not wanted.
LEFT_LOCKED, GONE_ON_RECORD = "left-locked", "gone-on-record"
#: Code of the finding about a station that does not show the element that all of ours stands in.
NOTHING_TOLD = "nothing-told"


@dataclass(frozen=True, slots=True)
class StationPlan:
    """The result for one station.

    Attributes:
        change: The change; None if nothing is to be done or nothing may be done.
        reason: Why nothing may be done, empty if it may; words for people only.
        findings: What people should know.
        orphans: Number of nodes that nothing asks for any more and that stay, by owner.
        observed_only: Whether nothing may be done since nobody adopted it.
    """

    change: Change | None = None
    reason: str = ""
    findings: tuple[Finding, ...] = ()
    orphans: Mapping[str, int] = field(default_factory=dict)
    observed_only: bool = False


def plan_station(
    station: str, profiles: tuple[str, ...], rendered: Rendered, view: StationView, options: PlanOptions
) -> StationPlan:
    """Plan one station. Administrative state is never repaired: a lock that is not ours is a hold."""
    if view.observed is None:
        return StationPlan(reason=f"unreachable: {view.unreachable or 'it was not read'}")
    observed = view.observed
    root = root_spec(profiles)
    dark = tuple(_dark(station, root, rendered, view))
    unseen = {path: reason for path in rendered.tree if (reason := observed.unseen(path))}
    rendered, view = in_sight(rendered, view)
    within: frozenset[Path] | None = None
    lacking: tuple[Path, ...] = ()
    if options.limit is not None:
        part = limited(root, rendered, view, options.limit)
        rendered, view, within, lacking = part.rendered, part.view, part.within, part.lacking
    remove = {owner for owner, count in options.remove.items() if count}
    edits = find_edits(
        root,
        observed,
        rendered,
        view.ledger,
        remove,
        identities=options.identities,
        repairs=options.automatic and not options.identities,
    )
    if foreign := [one for one in foreign_elements(root, observed) if one not in view.beside]:
        why = foreign_in_words(station, foreign, beside=carries_its_own(root, observed))
        edits.refused.insert(0, (FOREIGN_ELEMENT, child("", root.name, station), why))
    edits.refused.extend(("not-there", path, "it has to be applied first") for path in lacking)
    if any(edit.op is Op.DELETE for edit in edits.edits):
        goes = "nothing goes elsewhere while nobody knows whether it is there"
        edits.refused.extend(("not-read", path, f"{goes}: {reason}") for path, reason in unseen.items())
    locks = find_locks(root, observed.tree, edits.edits, edits.moved)
    locks = replace(locks, left=tuple(_left(station, root, rendered, view, edits, options)))
    edits.refused.extend(_shutting_down(observed.tree, locks, view.holders))
    locked = _foreign_locks(root, observed.tree, {*rendered.tree, *view.ledger})
    staying = {cell: state for cell, state in locked.items() if cell not in locks.left}
    findings = station_findings(station, root, observed, edits, staying, options, view)
    if not view.adopted:
        findings = (*findings, *_unheard(station, root, edits))
    lost = (*_lost_locks(station, view), *_gone(station, root, view, edits), *_nothing_told(station, root, view))
    findings = (*dark, *findings, *lost)
    reason = _reason(station, root, view, options, edits, [cell_of(cell) for cell in locked])
    ours = edits.orphans.values() if view.adopted and view.retired is None else ()
    orphans = Counter(owner for owners in ours for owner in owners)
    if reason or not (edits.edits or edits.moved or locks.left):
        reason = reason or _only_displaced(root, edits)
        observed_only = not view.adopted and view.retired is None
        return StationPlan(reason=reason, findings=findings, orphans=orphans, observed_only=observed_only)
    builder = _Builder(station, root, rendered, observed, view, edits, locks, options, within)
    change = builder.change()
    return StationPlan(change=change, findings=findings, orphans=orphans)


def _reason(
    station: str, root: NodeSpec, view: StationView, options: PlanOptions, edits: Edits, locked: Sequence[str]
) -> str:
    """Why nothing may be done; empty if it may."""
    if view.retired is not None:
        return f"out of service since {view.retired:%Y-%m-%d}: adopt it to have it back"
    if not view.adopted:
        return OBSERVE_ONLY
    if edits.refused:
        code, path, text = edits.refused[0]
        return f"{code}: {entry_name(root, path)}: {text}"
    stops = options.holds_at(station)
    if stops and (options.automatic or options.skip_under_hold):
        return f"hold on {', '.join(stops)}"
    if not options.automatic:
        return ""
    ours = [view.holders[cell] for cell in locked if cell in view.holders]
    others = [cell for cell in locked if cell not in view.holders]
    return "; ".join([*ours, *([f"somebody else locked cell {', '.join(others)}"] if others else ())])


def _only_displaced(root: NodeSpec, edits: Edits) -> str:
    """Why nothing is done about primary PLMNs that stand first no more, where nothing else is to be done."""
    return next((f"{PRIMARY_CHANGE}: {entry_name(root, path)}: {why}" for path, why in edits.displaced.items()), "")


def _foreign_locks(root: NodeSpec, tree: Tree, ours: Collection[Path]) -> dict[Path, str]:
    """States of our cells that are locked or shutting down; ``StationView.holders`` says who did it."""
    return {
        path: state
        for path in tree
        if path in ours
        and (spec := spec_of(root, path))
        and spec.is_cell
        and (state := administrative_state(tree, path)) != "UNLOCKED"
    }


def _left(
    station: str, root: NodeSpec, rendered: Rendered, view: StationView, edits: Edits, options: PlanOptions
) -> Iterator[Path]:
    """Cells that a run of ours left locked and that come back on air: wanted ones, without a hold, that stay."""
    if not options.unlocks or options.limit is not None or not view.lapsed or view.observed is None:
        return
    tree, stops = view.observed.tree, {*options.holds_at(station)}
    gone = [edit.path for edit in edits.edits if edit.op is Op.DELETE]
    for path in rendered.tree:
        spec, name = spec_of(root, path), cell_of(path)
        if (
            spec is not None
            and spec.is_cell
            and name in view.lapsed
            and path in view.ledger
            and path in tree
            and administrative_state(tree, path) == "LOCKED"
            and stops.isdisjoint((station, f"{station}/{name}"))
            and not any(is_below(path, one) for one in gone)
        ):
            yield path


def _shutting_down(tree: Tree, locks: Locks, holders: Mapping[str, str]) -> Iterator[tuple[str, Path, str]]:
    for cell in locks.cells:
        if administrative_state(tree, cell) == "SHUTTINGDOWN":
            name = cell_of(cell)
            who = holders.get(name) or locked_outside(f"cell {name}")
            yield "cell-shutting-down", cell, f"it is shutting down: {who}; plan again when it is LOCKED or UNLOCKED"


@dataclass(frozen=True, slots=True)
class _Builder:
    """Builds a Change."""

    station: str
    root: NodeSpec
    rendered: Rendered
    observed: Observed
    view: StationView
    edits: Edits
    locks: Locks
    options: PlanOptions
    within: frozenset[Path] | None

    def change(self) -> Change:
        owners = {**{path: entry.owners for path, entry in self.view.ledger.items()}, **self.rendered.owners}
        edits = tuple(self.edits.edits)
        moved = [path for paths in self.edits.moved.values() for path in paths]
        phases, after = build_phases(self.root, self.observed, edits, self.locks, self._staying_locked(), owners, moved)
        edited = (*(edit.owners for edit in edits), *(owners[path] for path in moved))
        touched = sorted({owner for found in edited for owner in found} - {HOST})
        interrupted = sorted(self._tenants_on(self.locks.to_lock, owners) - (set(touched) - self.view.served))
        checks = (*self._cells(after), *self._links(after, {*touched, *interrupted}), *self._workloads(after))
        seconds = outage_seconds(self.root, self.observed.tree, edits, self.locks)
        gained = self._gained()
        lowers = lowered_below(self.view.ledger, gained, edits)
        return Change(
            station=self.station,
            phases=phases,
            diff=(
                *(self._lock_row(cell, seconds) for cell in self.locks.to_lock),
                *(self._left_row(cell) for cell in self.locks.left),
                *(self._primary_row(cell, paths) for cell, paths in self.edits.moved.items()),
                *describe(self.root, edits, self.edits.replaced, self.observed.writers),
            ),
            touched=tuple(touched),
            interrupted=tuple(interrupted),
            outage=outage_of(phases, seconds),
            withdrawn=withdrawn(self.observed.tree, after, owners),
            freed=self._freed(owners),
            fingerprint=fingerprint(self.root, self.observed.tree, (*self._covered(edits, checks), *moved)),
            checks=checks,
            gained=gained,
            lost=tuple(sorted(self.edits.lost)),
            removes=dict(sorted(self.edits.removes.items())),
            lowers=None if lowers == lowered(edits) else tuple(sorted(lowers)),
            restarts=self.locks.restarts,
            reverts=self.observed.reverts(len(phases)),
        )

    def _staying_locked(self) -> frozenset[Path]:
        """Cells that stay locked if they are new: those under a hold, and those that people had locked."""
        stops = {*self.options.holds_at(self.station), *(f"{self.station}/{cell}" for cell in self.view.locked)}
        if not stops:
            return frozenset()
        return frozenset(
            path
            for path in self.rendered.tree
            if self._is_cell(path) and (self.station in stops or f"{self.station}/{cell_of(path)}" in stops)
        )

    def _tenants_on(self, cells: Sequence[Path], owners: Mapping[Path, Owners]) -> set[str]:
        """Tenants on the cells now; all there if the device restarts, and on the stations that a function serves."""
        names = {cell_of(cell) for cell in cells}
        tenants = set(self.view.served) if self.locks.restarts else set()
        for path, owner in owners.items():
            if path in self.observed.tree and (self.locks.restarts or cell_of(path) in names):
                tenants.update(owner)
        return tenants - {HOST}

    def _freed(self, owners: Mapping[Path, Owners]) -> dict[str, tuple[str, ...]]:
        """Cells that come back on air, by tenant on them."""
        found: dict[str, list[str]] = {}
        for cell in self.locks.left:
            for tenant in self._tenants_on([cell], owners):
                found.setdefault(tenant, []).append(cell_of(cell))
        return {tenant: tuple(cells) for tenant, cells in sorted(found.items())}

    def _cells(self, after: Tree) -> Iterator[WaitFor]:
        """Cells that have to be on air: unlocked ones, except those with an earlier fault."""
        for path in after:
            if (
                path in self.rendered.tree
                and self._is_cell(path)
                and administrative_state(after, path) == "UNLOCKED"
                and not was_failed(self.observed, path)
            ):
                yield WaitFor(kind="cell-on-air", path=path)

    def _links(self, after: Tree, tenants: set[str]) -> Iterator[WaitFor]:
        """Core links of tenants that this change concerns, except locked ones."""
        for path in after:
            spec = spec_of(self.root, path)
            owners = self.rendered.owners.get(path, ())
            if spec is None or spec.link is None or tenants.isdisjoint(owners):
                continue
            if is_unlocked(after, path):
                yield WaitFor(kind="link-up", path=path, tenant=", ".join(owners))

    def _workloads(self, after: Tree) -> Iterator[WaitFor]:
        """Functions that have to be ready where they should run."""
        for path in after:
            spec = spec_of(self.root, path)
            if path in self.rendered.tree and spec is not None and spec.role is NodeRole.WORKLOAD:
                yield WaitFor(kind="ready", path=path)

    def _covered(self, edits: Sequence[Edit], checks: Sequence[WaitFor]) -> Iterator[Path]:
        """Paths that must be unchanged when the change is applied: those it edits, and those its checks depend on."""
        for edit in edits:
            if edit.op is Op.MERGE:
                yield from (f"{edit.path}/{leaf}" for leaf in {*edit.before, *edit.after})
            else:
                yield edit.path
        # What these cells carry decided who is interrupted.
        yield from self.locks.to_lock
        yield from (f"{cell}/{administrative_leaf(cell)}" for cell in (*self.locks.cells, *self.locks.left))
        for check in checks:
            if check.kind != "ready":
                yield check.path if check.kind == "link-up" else f"{check.path}/{administrative_leaf(check.path)}"

    def _gained(self) -> tuple[LedgerNode, ...]:
        # An identity that stays is ours as it is on air, unless we applied another one: then it is drift.
        stays = {new: old for new, old in self.edits.kept.items() if new not in self.view.ledger}
        carried = self.rendered
        if stays:
            tree = {stays.get(path, path): leaves for path, leaves in carried.tree.items()}
            carried = Rendered(tree, {stays.get(path, path): owned for path, owned in carried.owners.items()}, ())
        nodes = ledger_nodes(self.root, carried, self.view.ledger)
        return tuple(node for node in nodes if self.within is None or node.path in self.within)

    def _lock_row(self, cell: Path, seconds: int) -> DiffRow:
        what = f"{entry_name(self.root, cell)}: administrative state"
        removed = any(edit.op is Op.DELETE and is_below(cell, edit.path) for edit in self.edits.edits)
        after = "LOCKED, then removed" if removed else f"LOCKED for about {seconds} s, then as before"
        return row(cell, (HOST,), what, "UNLOCKED", after)

    def _left_row(self, cell: Path) -> DiffRow:
        what = f"{entry_name(self.root, cell)}: administrative state"
        return row(cell, (HOST,), what, "LOCKED by a run that diverged", "UNLOCKED")

    def _primary_row(self, cell: Path, moved: Sequence[Path]) -> DiffRow:
        # By the half of the cell that has its states, whose list is in order.
        wanted = next(path for path in first_entries(self.root, self.rendered.tree).values() if parent(path) == cell)
        old, new = (broadcast_plmn(path) for path in (moved[0], wanted))
        return row(cell, (HOST,), f"{entry_name(self.root, cell)}: primary PLMN", old, new)

    def _is_cell(self, path: Path) -> bool:
        spec = spec_of(self.root, path)
        return spec is not None and spec.is_cell


# -------------------------------------------------------------------- findings


def station_findings(
    station: str,
    root: NodeSpec,
    observed: Observed,
    edits: Edits,
    locked: Mapping[Path, str],
    options: PlanOptions,
    view: StationView,
) -> tuple[Finding, ...]:
    """All findings about one station; ``locked`` are states of cells that are not unlocked."""
    return (
        *(
            Finding(code, Severity.ERROR, f"{station}: {entry_name(root, path)}: {text}", station, cell_of(path))
            for code, path, text in edits.refused
        ),
        *_displaced(station, root, edits),
        *_identities_that_stay(station, root, edits),
        *_reserved_plmns(station, observed, edits, options),
        *_unknown_plmns(station, observed, edits),
        *_agreed_elements(station, root, observed, view),
        *_unknown_nodes(station, root, observed, edits),
        *_orphans(station, root, edits),
        *(appended(station, root, path, first=True) for path in edits.appended),
        *_lock_findings(station, locked, view),
        *_holds(station, options),
    )


def _dark(station: str, root: NodeSpec, wanted: Rendered, view: StationView) -> Iterator[Finding]:
    """What could not be read, by reason: edits there are not planned."""
    unread: dict[tuple[str, str], list[str]] = {}
    for path, reason in view.observed.dark.items() if view.observed else ():
        asked = {one: leaves for one, leaves in wanted.tree.items() if is_below(one, path)}
        ours = {one: entry.leaves for one, entry in view.ledger.items() if is_below(one, path)}
        if asked or ours:
            undone = "" if asked == ours else ", and what is to change there is not planned"
            unread.setdefault((undone, reason), []).append(entry_name(root, path))
    for (undone, reason), names in unread.items():
        are = "is" if len(names) == 1 else "are"
        message = f"{station}: nobody knows whether {' and '.join(names)} {are} there{undone}: {reason}"
        yield Finding("not-read", Severity.WARNING, message, station)


def _displaced(station: str, root: NodeSpec, edits: Edits) -> Iterator[Finding]:
    """In a repair: primary PLMNs that stand first no more, and stay so."""
    for path, why in edits.displaced.items():
        message = f"{station}: {entry_name(root, path)}: {why}"
        yield Finding(PRIMARY_CHANGE, Severity.WARNING, message, station, cell_of(path))


def _identities_that_stay(station: str, root: NodeSpec, edits: Edits) -> Iterator[Finding]:
    for wanted, there in edits.kept.items():
        message = (
            f"{station}: {entry_name(root, there)} is on air, but {plmn_part(wanted).replace(',', '-')} is wanted; it "
            "stays, since another one means a restart: minka playbook run change-primary-plmn changes it"
        )
        yield Finding("identity-stays", Severity.WARNING, message, station)


def _reserved_plmns(station: str, observed: Observed, edits: Edits, options: PlanOptions) -> Iterator[Finding]:
    """PLMNs that stay closed to ordinary users: of a tenant under test, of a failed run, or set by others."""
    edited = {edit.path for edit in edits.edits}
    for edit in edits.edits if not options.reserved else ():
        if edit.path not in observed.tree and is_reserved({edit.path: edit.after}, edit.path):
            cell = cell_of(edit.path)
            message = (
                f"cell {station}/{cell}: PLMN {broadcast_plmn(edit.path)} comes on air reserved for operator use, as "
                "its tenant is still being tested: minka playbook run onboard-tenant opens it"
            )
            yield Finding("plmn-reserved", Severity.WARNING, message, station, cell)
    for path, leaves in observed.tree.items():
        if leaves and path not in edited and is_reserved(observed.tree, path):
            cell = cell_of(path)
            message = (
                f"cell {station}/{cell}: PLMN {broadcast_plmn(path)} is reserved for operator use and admits test "
                "users only; it stays so: minka playbook run onboard-tenant tests and opens it"
            )
            yield Finding("plmn-reserved", Severity.WARNING, message, station, cell)


def _unheard(station: str, root: NodeSpec, edits: Edits) -> Iterator[Finding]:
    """An entry that came with an observe-only station, and whose setting hides alarms from us."""
    for edit in edits.edits:
        spec = spec_of(root, edit.path)
        if spec is not None and spec.given:
            message = (
                f"{station} keeps no {entry_name(root, edit.path)} that could be read: it is observed only, and the "
                "list is locked; its alarms are not received until it is adopted and applied"
            )
            yield Finding("alarm-list-locked", Severity.INFO, message, station)


def _unknown_plmns(station: str, observed: Observed, edits: Edits) -> Iterator[Finding]:
    """PLMNs on air that nobody asked for: somebody's network radiates from our mast."""
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


def _agreed_elements(station: str, root: NodeSpec, observed: Observed, view: StationView) -> Iterator[Finding]:
    """Managed elements of other ids that a person agreed to: whoever plans beside them should know."""
    if agreed := [one for one in foreign_elements(root, observed) if one in view.beside]:
        message = (
            f"{station} carries {elements_in_words(agreed)} beside its own, as agreed when it was adopted; left alone"
        )
        yield Finding(FOREIGN_ELEMENT, Severity.INFO, message, station)


def _unknown_nodes(station: str, root: NodeSpec, observed: Observed, edits: Edits) -> Iterator[Finding]:
    told = (*root.around, f"/{root.tag}[")
    around = (path for path in observed.unknown if not path.startswith(told))
    names = [*(placed_name(root, path) for path in edits.unknown), *around]
    if names:
        message = f"{station} has {nodes(len(names), 'unknown ')}, left alone: {first_names(names)}"
        yield Finding("unknown-node", Severity.INFO, message, station)


def _orphans(station: str, root: NodeSpec, edits: Edits) -> Iterator[Finding]:
    told = {*edits.entangled, *edits.required}
    by_owner: dict[str, list[Path]] = {}
    for path, owners in edits.orphans.items():
        if path not in told:
            by_owner.setdefault(", ".join(owners), []).append(path)
    for owner, paths in sorted(by_owner.items()):
        names = [placed_name(root, path) for path in paths]
        message = (
            f"{station} carries {nodes(len(paths))} of {owner} that nothing asks for any more "
            f"(an agreement ended, or rows vanished); nothing was removed: {first_names(names)}"
        )
        yield Finding("orphan", Severity.WARNING, message, station, tenant=owner)
    for path, others in edits.entangled.items():
        owner = ", ".join(edits.orphans[path])
        yield blocked(station, root, path, others, owner, edits.naming[path])
    for path in edits.required:
        yield _needed(station, root, path, ", ".join(edits.orphans[path]))
    for path, along in edits.along.items():
        yield goes_along(station, root, path, along)


def blocked(
    station: str, root: NodeSpec, path: Path, others: Sequence[Path], owner: str, naming: Sequence[Path] = ()
) -> Finding:
    """An entry of ours that stays because of what is in it, or names it.

    Args:
        station: The station.
        root: Its schema.
        path: The entry.
        others: Nodes in it that are not ours.
        owner: Its owners, in words.
        naming: Entries that stay and name it.
    """
    why = "it holds nodes that have to stay"
    if others:
        names = first_names([_name_in_words(root, one) for one in others])
        why = f"it holds {nodes(len(others))} that {'are' if len(others) > 1 else 'is'} not ours: {names}"
    elif naming:
        count = "1 entry that stays names it" if len(naming) == 1 else f"{len(naming)} entries that stay name it"
        why = f"{count}: {first_names([entry_name(root, one) for one in naming])}"
    message = f"{station}: {entry_name(root, path)} was not removed, since {why}"
    return Finding("removal-blocked", Severity.WARNING, message, station, cell_of(path), owner)


def appended(station: str, root: NodeSpec, path: Path, *, first: bool) -> Finding:
    """An entry that comes back at the end of a list in order, since the device knows no places.

    Args:
        station: The station.
        root: Its schema.
        path: The entry.
        first: Whether it has to stand first, as the primary PLMN of a cell.
    """
    why = "its server puts no entry of a list in a place"
    then = f"; then put it first with: minka plan {station} --identities" if first else ""
    message = f"{station}: {entry_name(root, path)} goes to the end of its list: {why}{then}"
    return Finding("appended", Severity.WARNING, message, station, cell_of(path))


def _needed(station: str, root: NodeSpec, path: Path, owner: str) -> Finding:
    """An entry of ours that stays because what it stands in stays, and can't be without one."""
    spec, above = spec_of(root, path), entry_name(root, parent(path))
    label = (spec.label or spec.name) if spec else ""
    message = f"{station}: {entry_name(root, path)} was not removed, since {above} stays and has to have a {label}"
    return Finding("removal-blocked", Severity.WARNING, message, station, cell_of(path), owner)


def _name_in_words(root: NodeSpec, path: Path) -> str:
    """An entry, or a node that the profile does not know, which need not have a key."""
    return entry_name(root, path) if path.endswith("]") else path.rpartition("/")[2]


def goes_along(station: str, root: NodeSpec, path: Path, along: Sequence[Path]) -> Finding:
    """What is not ours and goes with an entry of ours, since the station made it for that entry."""
    names = first_names([entry_name(root, one) for one in along])
    message = f"{station}: with {entry_name(root, path)} go {nodes(len(along))} inside it that are not ours: {names}"
    return Finding("goes-along", Severity.WARNING, message, station, cell_of(path))


def _holds(station: str, options: PlanOptions) -> Iterator[Finding]:
    for name in options.holds_at(station):
        yield Finding("hold", Severity.WARNING, f"{name} is under a hold", station, name[len(station) + 1 :])


def _lost_locks(station: str, view: StationView) -> Iterator[Finding]:
    for cell in sorted(view.locked):
        by, code = view.holders.get(cell), LOCKED_BY_RUN if cell in view.holders else FOREIGN_LOCK
        message = (
            f"cell {station}/{cell} is gone; it was locked{f' ({by})' if by else ', not by us'}, and comes back so"
        )
        yield Finding(code, Severity.INFO, message, station, cell)


def _gone(station: str, root: NodeSpec, view: StationView, edits: Edits) -> Iterator[Finding]:
    """Nodes of ours that are gone though nobody applied that, and that nothing asks for: drift by the record only.

    Of a function that is at a pool which the files don't have (any more), nobody knows whether it is gone.
    """
    gone = [path for path in edits.lost if not place_of(root, path)]
    if view.adopted and view.retired is None and gone and not edits.edits:
        message = (
            f"{station}: {nodes(len(gone))} on record as ours are gone, and nothing asks for them, so they are "
            f"drift (minka device drift {station}): the next change of the station takes them off the record; to have "
            f"them back: minka playbook run repair-drift where=device={station}"
        )
        yield Finding(GONE_ON_RECORD, Severity.WARNING, message, station)


def _nothing_told(station: str, root: NodeSpec, view: StationView) -> Iterator[Finding]:
    """A station that carried something of ours, and answers without the element that it stands in."""
    top = child("", root.name, station)
    emptied = view.observed is not None and top not in view.observed.tree
    if view.adopted and emptied and top in view.ledger and any(map(cell_of, view.ledger)):
        message = (
            f"{station} answers, and tells nothing of itself, though {nodes(len(view.ledger))} are on record there as "
            "ours: it has lost its configuration, or hides it from our user (NACM), or another device answers: find "
            "out before this is applied"
        )
        yield Finding(NOTHING_TOLD, Severity.WARNING, message, station)


def _lock_findings(station: str, locked: Mapping[Path, str], view: StationView) -> Iterator[Finding]:
    holders = view.holders
    for path, state in locked.items():
        cell = cell_of(path)
        if cell in view.left_locked:
            way = f"minka playbook run unlock-cell station={station} cell={cell}"
            message = f"cell {station}/{cell} is {state} ({holders[cell]}); or put it on the air alone: {way}"
            yield Finding(LEFT_LOCKED, Severity.WARNING, message, station, cell)
            continue
        by, code = holders.get(cell), LOCKED_BY_RUN if cell in holders else FOREIGN_LOCK
        is_so = f"is {state} ({by})" if by else f"is {state}, not by us"
        yield Finding(
            code, Severity.INFO, f"cell {station}/{cell} {is_so}; it stays so and is not expected on air", station, cell
        )
