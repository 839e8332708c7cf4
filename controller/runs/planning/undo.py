"""Undoes an ended run: makes a plan of the recorded inverses, and leaves what changed since."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from controller.models.enums import OBSERVE_ONLY
from controller.models.errors import ConflictError, DeviceRefusedError, PlanRefusedError
from controller.models.facts import Finding, Severity
from controller.models.many import first_names, lines_of
from controller.models.network import HOST, Network
from controller.models.plan import Change, Edit, Op, Phase, PhaseKind, Plan
from controller.models.run import LedgerEntry, Outcome, Run
from controller.nrm.apply import apply_edits
from controller.nrm.containers import made_by, others_in
from controller.nrm.diff import effective, settled
from controller.nrm.profiles import cell_of, root_spec
from controller.nrm.profiles.pool import NAMESPACE
from controller.nrm.schema import NodeSpec
from controller.nrm.tree import LeafName, Observed, Path, Tree, Value, class_of, nodes_named
from controller.plan import (
    Draft,
    StationPlan,
    StationView,
    appended,
    blocked,
    brought_to,
    check_removals,
    describe,
    goes_along,
    inside,
    pools_of,
    still_named,
    undo_job,
    without_agreement,
)
from controller.plan.phases import find_locks
from controller.runs.planning.changed_since import Since, by_plan, restored, things
from controller.runs.planning.planner import Planner, Progress
from controller.runs.transaction.effects import effects, unfinished
from controller.store import EndedJob, OpenJob

#: Stations that are handled together: the changes of a whole network take gigabytes.
_AT_ONCE = 500


async def undo_plan(
    planner: Planner, run_id: str, remove: Mapping[str, int], actor: str, progress: Progress | None = None
) -> Plan:
    """A plan that takes back what an ended run left on its stations; reads them, and changes nothing.

    It leaves cells and entries that were changed since, by us or others, and says why; all of a station where nothing
    is left to take back.

    Args:
        planner: Reads the stations.
        run_id: The run.
        remove: Nodes that go by that, by owner, as named by the person: those that the run had made.
        actor: Who asks.
        progress: Is called with how far the reading of stations is.

    Raises:
        NotFoundError: There is no such run.
        ConflictError: It has not ended.
        PlanRefusedError: It left nothing that could be taken back, or other nodes would go than were named.
    """
    run, jobs = await planner.store.runs.get(run_id), await planner.store.runs.jobs(run_id)
    if not run.state.terminal:
        raise ConflictError(f"run {run_id} is {run.state}: wait for its end, or cancel it, before it is undone")
    digest, network = await planner.store.networks.get()
    draft = Draft()
    progress = progress or Progress()
    progress.total = len(jobs)
    placed = {job.station: network.kind_of(job.station).rules.placed for job in jobs}
    functions = [device for device, is_placed in placed.items() if is_placed]
    others = [device for device, is_placed in placed.items() if not is_placed]
    for part in _parts(functions):
        await _undo(planner, network, run, part, draft)
        progress.done += len(part)
    await _leave_placeless(planner, network, draft)
    changes = list(draft.changes)
    goes = [function for function, pools in (await planner.pools_after(changes)).items() if not pools]
    coming = await planner.coming_back(network, changes)
    keeps = partial(_stays, network, functions, goes)
    for part in _parts(others):
        await _undo(planner, network, run, [one for one in part if one not in coming], draft, keeps)
        progress.done += len(part)
    for station, change in coming.items():
        draft.add(station, StationPlan(change))
    await _leave_lived_in(planner, network, draft, goes)
    if not draft.changes:
        reasons = first_names(lines_of(sorted(draft.unplanned.items())), between="; ")
        raise PlanRefusedError(f"nothing of run {run_id} can be undone: {reasons or 'it left no change on any device'}")
    check_removals(draft.outlines, remove)
    plan = draft.seal(network, digest, f"run {run_id}", planner.clock.now(), removals=remove, undoes=run_id)
    await planner.store.plans.save(plan, actor)
    return plan


def _parts(stations: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(stations), _AT_ONCE):
        yield stations[start : start + _AT_ONCE]


async def _undo(
    planner: Planner,
    network: Network,
    run: Run,
    stations: Sequence[str],
    draft: Draft,
    keeps: Callable[[EndedJob], str] = lambda _ended: "",
) -> None:
    """Undo what a run left on some of its devices, but for what ``keeps`` has a reason to leave there.

    A device that another run has changed and still works on is in no state that could be planned from.
    """
    ended_jobs: dict[str, list[EndedJob]] = {station: [] for station in stations}
    for ended in await planner.store.runs.ended_jobs(stations, run.created):
        ended_jobs[ended.station].append(ended)
    mine = {ended.station: ended for done in ended_jobs.values() for ended in done if ended.run == run.id}
    left = {station: ended for station, ended in mine.items() if ended.changes or ended.outcome is Outcome.DIVERGED}
    views = await planner.views(network, [station for station in left if network.manages(station)])
    under_way = {job.station: job for job in await planner.store.claims.open_jobs([*left])}
    day = network.day(planner.clock.now())
    for station in stations:
        made = StationPlan()
        if station in left and (reason := keeps(left[station]) or _works_there(under_way.get(station))):
            made = StationPlan(reason=reason)
        elif station in left:
            later = [other for other in ended_jobs[station] if other.finished > left[station].finished]
            profiles = network.profiles_of(station) if station in views else ()
            made = undo_station(profiles, left[station], later, views.get(station))
        if made.change is not None:
            as_of = max(other.known for other in ended_jobs[station] if other.changed or other.run == run.id)
            change = await planner.with_links(network, made.change)
            made = replace(made, change=change.model_copy(update={"as_of": as_of}))
        if made.change is not None and (refusal := await planner.refusal(network, made.change, views[station])):
            made = StationPlan(reason=refusal)
        if made.change is not None and network.kind_of(station).rules.placed:
            made = replace(made, change=_interrupting(made.change, views[station]))
        if made.change is not None and (seen := views[station].observed) is not None:
            uninvited = without_agreement(network, made.change, seen.tree, views[station].ledger, day)
            made = replace(made, findings=(*made.findings, *uninvited))
        draft.add(station, made)


def _works_there(job: OpenJob | None) -> str:
    """Why a device is left out on which a job of another run is under way; empty if it has changed nothing there."""
    if job is None or not (job.changes or job.unsure):
        return ""
    waits = f" ({job.waits})" if job.waits else ""
    return f"run {job.run} is under way there and has changed it{waits}: undo again once that has ended"


def _stays(network: Network, functions: Collection[str], goes: Collection[str], ended: EndedJob) -> str:
    """Why a job's change on a device stays although the rest of the run is undone.

    The job made a pool ready for functions, or only restored what a function's new pod had lost.

    Args:
        network: Current network.
        functions: Functions that the run had to do with.
        goes: Those that are on no pool once it is undone.
        ended: The job.
    """
    made = {class_of(node.path) for change in ended.changes for node in change.gained}
    if NAMESPACE.name in made and functions:
        return "functions that the run brought there need it: it stays"
    function = network.endpoint_function.get(ended.station)
    if function is None or function not in functions or ended.outcome is Outcome.DIVERGED or not restored(ended):
        return ""
    if function in goes:
        return _goes_with(function)
    return f"it came back with {function} as it was before, and stays so"


# ------------------------------------------------------------------------ functions

# A function goes back to where it was if there is a place for it. The stations that live in it lose their configuration
# with its pod once more: they come back in the same run, by the ledger, as with every run that restarts it.


async def _leave_placeless(planner: Planner, network: Network, draft: Draft) -> None:
    """Leave out functions that would come to a pool on which there is no place for them now."""
    comes = {change.station: pool for change in draft.changes for pool in brought_to([change])}
    may = {one: pool for one, pool in comes.items() if pool in network.delays.pools_for[one]}
    others = {one: [other for other in network.delays.pools_for[one] if other != pool] for one, pool in may.items()}
    found = await asyncio.gather(*(planner.elsewhere(network, one, avoid) for one, avoid in others.items()))
    choices = dict(zip(others, found, strict=True))
    for function, pool in comes.items():
        if function not in may:
            draft.withhold(function, f"it can't go back: by its place it may not be on {pool} any more")
        elif choices[function].pool != pool:
            draft.withhold(function, f"it can't go back to {pool}: {choices[function].reason}")


def _interrupting(change: Change, view: StationView) -> Change:
    """The same change, with the tenants that a function serves now if it is on no pool afterwards.

    The change that brought the function interrupted nobody, so that its inverse would ask nobody.
    """
    if pools_of({*view.ledger, *(node.path for node in change.gained)} - {*change.lost}):
        return change
    return change.model_copy(update={"interrupted": tuple(sorted(view.served | {*change.interrupted}))})


def _goes_with(function: str) -> str:
    return f"it goes with {function}; what was applied there stays on record, as it was before the run"


async def _leave_lived_in(planner: Planner, network: Network, draft: Draft, goes: Collection[str]) -> None:
    """Leave out functions that would go while a station that lives there keeps what tenants have on it.

    Its tenants would lose all of that without being asked, since nothing of the station is in the plan.
    """
    inside = {station: function for function in goes for station in network.stations_in.get(function, ())}
    carried = await planner.store.ledger.find(inside)
    undone = draft.changes.packed.keys()
    left: dict[str, str] = {}
    for station, function in inside.items():
        whole = station in undone and not ((change := draft.change_of(station)) and change.left)
        if not carried.get(station) or whole:
            continue
        stays = "part of it was changed since" if station in undone else "the run changed nothing there"
        why = draft.unplanned.get(station, stays)
        if why != _goes_with(function):
            left[function] = f"{station} lives in it and stays ({why})"
    for function, reason in left.items():
        draft.withhold(function, reason)


# -------------------------------------------------------------------------- devices


def undo_station(
    profiles: tuple[str, ...], ended: EndedJob, later: Sequence[EndedJob], view: StationView | None
) -> StationPlan:
    """The change that undoes one job, or why there is none.

    Args:
        profiles: The station's profiles.
        ended: What the job left there.
        later: What later jobs left there, oldest first.
        view: The station as it is; None if it is no longer in the network files.
    """
    if view is None:
        return StationPlan(reason="not in the network files")
    root = root_spec(profiles)
    if not things(root, ended):
        return StationPlan(reason=_nothing(ended))
    if view.observed is None:
        return StationPlan(reason=f"unreachable: {view.unreachable}")
    if not view.adopted:
        return StationPlan(reason=OBSERVE_ONLY, observed_only=True)
    since = Since(root, ended, later, view.observed.tree)
    if reason := view.observed.unseen(*since.total.exists, *since.total.leaves):
        return StationPlan(reason=f"unreachable: {reason}")
    since.look()
    made = _parts_back(profiles, since, view.observed, view.ledger)
    while isinstance(made, _Held):  # each turn leaves one part more, at least
        since.leave_around(made.paths)
        made = _parts_back(profiles, since, view.observed, view.ledger)
    return made


@dataclass(frozen=True, slots=True)
class _Held:
    """Nodes of somebody else are inside of what would go: it stays."""

    paths: tuple[Path, ...]


def _parts_back(
    profiles: tuple[str, ...], since: Since, observed: Observed, ledger: Mapping[Path, LedgerEntry]
) -> StationPlan | _Held:
    """The way back of what was not changed since, with findings about the rest."""
    left = since.remaining()
    if not things(since.root, left):
        return StationPlan(reason=since.reason())
    back = _brought_back if left.outcome is Outcome.DIVERGED else _taken_back
    made = back(profiles, left, observed, ledger)
    if isinstance(made, _Held) or made.change is None or not since.left:
        return made
    edits = [edit for phase in made.change.phases if phase.kind is PhaseKind.EDIT for edit in phase.edits]
    off = {cell_of(cell) for cell in find_locks(since.root, observed.tree, edits).cells}
    if both := sorted(off & since.cells):
        needs = f"the rest would take cell {', '.join(both)} off the air, which stays as it is"
        return StationPlan(reason=f"{since.reason()}; {needs}")
    change = _narrowed(since, made.change, observed, ledger)
    return replace(made, change=change, findings=(*made.findings, *since.findings()))


def _narrowed(since: Since, change: Change, observed: Observed, ledger: Mapping[Path, LedgerEntry]) -> Change:
    """The change with whom and what the part of the job that goes back concerns, instead of the whole job."""
    after = observed.tree
    for phase in change.phases:
        after = apply_edits(since.root, after, phase.edits)
    edits = [edit for phase in change.phases for edit in phase.edits]
    locked = {cell_of(edit.path) for phase in change.phases if phase.kind is PhaseKind.LOCK for edit in phase.edits}
    there = {owner for path, entry in ledger.items() if cell_of(path) in locked for owner in entry.owners}
    return change.model_copy(
        update={
            "diff": describe(since.root, _net(change, observed.tree, after), {}),
            "touched": tuple(sorted({owner for edit in edits for owner in edit.owners} - {HOST})),
            "interrupted": tuple(tenant for tenant in change.interrupted if tenant in there),
            "left": since.kept,
        }
    )


def _nothing(ended: EndedJob) -> str:
    """Why there is nothing to take back where a job changed no configuration."""
    if ended.outcome is not Outcome.DIVERGED:
        return "it is as it was before the run"
    return (
        f"the run diverged here without a change of configuration: only that can be undone; {_by_repair(ended.station)}"
    )


def _brought_back(
    profiles: tuple[str, ...], ended: EndedJob, observed: Observed, ledger: Mapping[Path, LedgerEntry]
) -> StationPlan | _Held:
    """The way back of a job that diverged: from what the device carries, however much of the job that is."""
    root = root_spec(profiles)
    try:
        left = _remaining(root, ended, observed.tree)
    except DeviceRefusedError as error:
        reason = f"it lost more than the run changed, so that this can't be taken back by itself ({error.message})"
        return StationPlan(reason=f"{reason}; {_by_repair(ended.station)}")
    if not any(change.phases for change in left):
        return StationPlan(reason=f"it carries nothing of what the run changed; {_by_repair(ended.station)}")
    made = _taken_back(profiles, replace(ended, changes=left, unsure=()), observed, ledger)
    if isinstance(made, _Held) or made.change is None:
        return made
    after = observed.tree
    for phase in made.change.phases:
        after = apply_edits(root, after, phase.edits)
    diff = describe(root, _net(made.change, observed.tree, after), {})
    strange = _strange(root, ended, observed.tree)
    message = f"{ended.station}: neither the run nor the state before it is what these carry, and they go back too: "
    finding = Finding("neither-state", Severity.WARNING, f"{message}{nodes_named(strange)}", ended.station)
    findings = (*made.findings, *([finding] if strange else ()))
    owners = {edit.path: edit.owners for change in left for phase in change.phases for edit in phase.edits}
    removes = Counter(
        owner for path in observed.tree.keys() - after.keys() - ledger.keys() for owner in owners.get(path, ())
    )
    removes.update(made.change.removes)
    news = {"diff": diff, "removes": dict(sorted(removes.items()))}
    return replace(made, change=made.change.model_copy(update=news), findings=findings)


def _remaining(root: NodeSpec, ended: EndedJob, tree: Tree) -> tuple[Change, ...]:
    """The job's changes, with the phases of which a device carries something, and the inverse that is left to do.

    Raises:
        DeviceRefusedError: The device lost what that would be put into.
    """
    left: list[Change] = []
    for change in reversed((*ended.changes, *ended.unsure)):
        phases: list[Phase] = []
        for number in range(len(change.phases), 0, -1):
            if effects(root, change.phases[:number]).before_holds(tree):
                break
            phase = change.phases[number - 1]
            if inverse := unfinished(root, phase.inverse, tree):
                tree = apply_edits(root, tree, inverse)
                phases.insert(0, phase.model_copy(update={"inverse": inverse}))
        left.insert(0, change.model_copy(update={"phases": tuple(phases)}))
    return tuple(left)


def _net(change: Change, before: Tree, after: Tree) -> list[Edit]:
    """What a change comes to, as one edit for each entry, for people."""
    found: dict[Path, Edit] = {}
    for edit in (edit for phase in change.phases for edit in phase.edits):
        was, now = before.get(edit.path), after.get(edit.path)
        if was is None or now is None:
            if was is not now:
                op = Op.CREATE if was is None else Op.DELETE
                found[edit.path] = edit.model_copy(update={"op": op, "before": was or {}, "after": now or {}})
            continue
        names = [name for name in {**was, **now} if was.get(name) != now.get(name)]
        if names:
            values = {
                side: {name: leaves[name] for name in names if name in leaves}
                for side, leaves in (("before", was), ("after", now))
            }
            found[edit.path] = edit.model_copy(update={"op": Op.MERGE, **values})
    return list(found.values())


def _strange(root: NodeSpec, ended: EndedJob, tree: Tree) -> list[Path]:
    """Entries with a leaf of the job that has neither a value that the job gave it nor the one before."""
    phases = [phase for change in (*ended.changes, *ended.unsure) for phase in change.phases]
    known: dict[tuple[Path, LeafName], set[Value | None]] = {}
    for edit in (edit for phase in phases for edit in (*phase.edits, *phase.inverse) if edit.path in tree):
        before, after = (effective(root, edit.path, leaves) for leaves in (edit.before, edit.after))
        for leaf in {*edit.before, *edit.after}:
            known.setdefault((edit.path, leaf), set()).update((before.get(leaf), after.get(leaf)))
    there = {path: effective(root, path, tree[path]) for path, _ in known}
    return [
        path
        for (path, leaf), values in known.items()
        if not any(settled(root, path, leaf, value, there[path].get(leaf)) for value in values)
    ]


def _by_repair(station: str) -> str:
    """The way out where the device needs what was applied instead of what a run changed."""
    return (
        "see what differs from what was applied: minka device drift "
        f"{station}; bring it back, which also clears its alarm: minka playbook run repair-drift where=device={station}"
    )


def _taken_back(
    profiles: tuple[str, ...], ended: EndedJob, observed: Observed, ledger: Mapping[Path, LedgerEntry]
) -> StationPlan | _Held:
    named: dict[Path, tuple[Path, ...]] = {}
    try:
        change = undo_job(profiles, ended.changes, observed, ended.before, ledger)
        while more := still_named(profiles, change, observed.tree):
            named.update(more)  # what they stand in, and what they name themselves, stays as well
            change = undo_job(profiles, ended.changes, observed, ended.before, ledger, named)
    except ConflictError as error:
        return StationPlan(reason=error.message)
    if named and not any(phase.edits for phase in change.phases):
        naming = [one for names in named.values() for one in names]
        reason = f"entries that stay name all that it would take away, {nodes_named(named)}: {nodes_named(naming)}"
        return StationPlan(reason=f"{reason}; {by_plan(ended.station)}")
    root, ours = root_spec(profiles), {*ledger, *(path for done in ended.changes for path in made_by(done))}
    others = inside(profiles, change, observed, ours)
    if others.held:
        return _Held(others.held)
    kept = [path for path in ended.before.absent if path in ledger and path not in change.lost]
    there = (*observed.tree, *observed.unknown)
    findings = (
        *(
            blocked(
                ended.station,
                root,
                path,
                others_in(path, there, ours),
                ", ".join(ledger[path].owners),
                named.get(path, ()),
            )
            for path in kept
        ),
        *(goes_along(ended.station, root, path, along) for path, along in others.along.items()),
        *_appended(root, ended, change, observed),
    )
    return StationPlan(change=change, findings=findings)


def _appended(root: NodeSpec, ended: EndedJob, change: Change, observed: Observed) -> Iterator[Finding]:
    """Entries that come back, but not to the place that they had: the device knows no places."""
    if observed.behaviour.places:
        return
    inverses = (edit for done in ended.changes for phase in done.phases for edit in phase.inverse)
    had = {edit.path: edit.after_sibling for edit in inverses if edit.after_sibling is not None}
    back = dict.fromkeys(edit.path for phase in change.phases for edit in phase.edits if edit.op is Op.CREATE)
    for path in (path for path in back if path in had):
        yield appended(ended.station, root, path, first=had[path] == "")
