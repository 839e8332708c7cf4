"""Undoes an ended run: makes a plan of the recorded inverses, and refuses stations that changed since."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

from controller.models.errors import ConflictError, PlanRefusedError
from controller.models.many import first_names, lines_of
from controller.models.network import Network
from controller.models.plan import Change, Plan
from controller.models.run import LedgerEntry, Outcome, Run
from controller.nrm.containers import made_by, others_in
from controller.nrm.profiles import root_spec
from controller.nrm.profiles.pool import NAMESPACE
from controller.nrm.schema import NodeSpec
from controller.nrm.tree import LeafName, Observed, Path, Tree, class_of, is_below, within_root
from controller.plan import (
    Draft,
    StationPlan,
    StationView,
    blocked,
    brought_to,
    check_removals,
    goes_along,
    inside,
    pools_of,
    still_named,
    undo_job,
)
from controller.ports.store import EndedJob
from controller.runs.planning.planner import Planner, Progress
from controller.runs.transaction.effects import Effects, effects

#: Stations that are handled together: the changes of a whole network take gigabytes.
_AT_ONCE = 500
#: A leaf of an entry; an entry with all below it; or its content in the ledger.
_Thing = tuple[Path, LeafName]
_WHOLE, _LEDGER = "*", "ledger"


async def undo_plan(
    planner: Planner, run_id: str, remove: Mapping[str, int], actor: str, progress: Progress | None = None
) -> Plan:
    """A plan that takes back what an ended run left on its stations; reads them, and changes nothing.

    It leaves out stations with overlapping later changes, ours or others', and says why.

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
    functions = [job.station for job in jobs if job.station in network.function_by_id]
    others = [job.station for job in jobs if job.station not in network.function_by_id]
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
    """Undo what a run left on some of its devices, but for what ``keeps`` has a reason to leave there."""
    ended_jobs: dict[str, list[EndedJob]] = {station: [] for station in stations}
    for ended in await planner.store.ledger.ended_jobs(stations, run.created):
        ended_jobs[ended.station].append(ended)
    mine = {ended.station: ended for done in ended_jobs.values() for ended in done if ended.run == run.id}
    left = {station: ended for station, ended in mine.items() if ended.changes or ended.outcome is Outcome.DIVERGED}
    views = await planner.views(network, [station for station in left if network.manages(station)])
    for station in stations:
        made = StationPlan()
        if station in left and (reason := keeps(left[station])):
            made = StationPlan(reason=reason)
        elif station in left:
            later = [other for other in ended_jobs[station] if other.finished > left[station].finished]
            profiles = network.profiles_of(station) if station in views else ()
            made = undo_station(profiles, left[station], later, views.get(station))
        if made.change is not None:
            made = replace(made, change=await planner.with_links(network, made.change))
        if made.change is not None and (refusal := await planner.refusal(network, made.change, views[station])):
            made = StationPlan(reason=refusal)
        if made.change is not None and station in network.function_by_id:
            made = replace(made, change=_interrupting(made.change, views[station]))
        draft.add(station, made)


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
    if function is None or function not in functions or ended.outcome is Outcome.DIVERGED or not _restored(ended):
        return ""
    if function in goes:
        return _goes_with(function)
    return f"it came back with {function} as it was before, and stays so"


def _restored(ended: EndedJob) -> bool:
    """Whether a job left the ledger as it was, as one does that only brings back what was applied."""
    return not (ended.before.entries or ended.before.absent)


# ------------------------------------------------------------------------ functions

# A function goes back to where it was if there is a place for it. The stations that live in it lose their configuration
# with its pod once more: they come back in the same run, by the ledger, as with every run that restarts it.


async def _leave_placeless(planner: Planner, network: Network, draft: Draft) -> None:
    """Leave out functions that would come to a pool on which there is no place for them now."""
    comes = {change.station: pool for change in draft.changes for pool in brought_to([change])}
    may = {one: pool for one, pool in comes.items() if pool in network.pools_for[one]}
    others = {one: [other for other in network.pools_for[one] if other != pool] for one, pool in may.items()}
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
        if not carried.get(station) or station in undone:
            continue
        why = draft.unplanned.get(station, "the run changed nothing there")
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
    if ended.outcome is Outcome.DIVERGED:
        return StationPlan(reason="the run diverged here: it is not known what to undo")
    if view is None:
        return StationPlan(reason="not in the network files")
    root = root_spec(profiles)
    if not _things(root, ended):
        return StationPlan(reason="it is as it was before the run")
    if view.observed is None:
        return StationPlan(reason=f"unreachable: {view.unreachable}")
    if not view.adopted:
        return StationPlan(reason="not adopted: observe-only")
    overlaps = [
        f"run {other.run} ({other.procedure}) changed {names}" for other, names in _overlaps(root, ended, later)
    ]
    if overlaps:
        return StationPlan(reason=f"changed since: {'; '.join(overlaps)}")
    total = _effects(root, ended)
    if reason := view.observed.unseen(*total.exists, *total.leaves):
        return StationPlan(reason=f"unreachable: {reason}")
    others = list(_foreign(total, view.observed.tree))
    if others:
        return StationPlan(reason=f"changed since by somebody else: {_names(others)}")
    return _taken_back(profiles, ended, view.observed, view.ledger)


def _taken_back(
    profiles: tuple[str, ...], ended: EndedJob, observed: Observed, ledger: Mapping[Path, LedgerEntry]
) -> StationPlan:
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
        reason = f"entries that stay name all that it would take away, {_names(list(named))}: {_names(naming)}"
        return StationPlan(reason=f"{reason}; {_by_plan(ended.station)}")
    root, ours = root_spec(profiles), {*ledger, *(path for done in ended.changes for path in made_by(done))}
    others = inside(profiles, change, observed, ours)
    if others.held:
        count = f"{len(others.held)} nodes of somebody else are" if len(others.held) > 1 else "somebody else's node is"
        reason = f"{count} inside of what it would take away: {_names(others.held)}"
        return StationPlan(reason=f"{reason}; {_by_plan(ended.station)}")
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
    )
    return StationPlan(change=change, findings=findings)


def _by_plan(station: str) -> str:
    """The way out where an undo takes nothing."""
    return (
        "take what is to go out of the network files, load them, and run: minka plan "
        f"{station} (it names the --remove that takes what may go)"
    )


def _overlaps(root: NodeSpec, ended: EndedJob, later: Sequence[EndedJob]) -> Iterator[tuple[EndedJob, str]]:
    """Later jobs that changed the same nodes, with these nodes; jobs that were undone themselves don't count."""
    undone = {other.undoes for other in later if other.undoes and other.changes}
    mine = _things(root, ended)
    for other in later:
        if other.run in undone or other.undoes in {one.run for one in later}:
            continue
        things = _things(root, other)
        if _restored(other):  # entries that it made were lost, as with a function's pod
            again = [path for path, leaf in things if leaf == _WHOLE]
            things = [one for one in things if not any(is_below(one[0], path) for path in again)]
        common = [path for path, leaf in things if any(_meet((path, leaf), one) for one in mine)]
        if common:
            yield other, _names(common)


def _effects(root: NodeSpec, ended: EndedJob) -> Effects:
    return effects(root, [phase for change in ended.changes for phase in change.phases])


def _things(root: NodeSpec, ended: EndedJob) -> list[_Thing]:
    """What the job changed in total, without, for example, a cell that it locked and unlocked again."""
    total = _effects(root, ended)
    entries = [path for path, (before, after) in total.exists.items() if before is not after]
    leaves = [
        (path, leaf)
        for path, pairs in total.leaves.items()
        for leaf, (before, after) in pairs.items()
        if before != after
    ]
    ledger = (*ended.before.absent, *(entry.path for entry in ended.before.entries))
    return [*((path, _WHOLE) for path in entries), *leaves, *((path, _LEDGER) for path in ledger)]


def _meet(one: _Thing, other: _Thing) -> bool:
    """Whether two are the same, or one is inside the other: an entry includes all below it."""
    for (path, _), (entry, whole) in ((one, other), (other, one)):
        if whole == _WHOLE and is_below(path, entry):
            return True
    return one == other


def _foreign(total: Effects, tree: Tree) -> Iterator[Path]:
    """Nodes that are not as the job left them."""
    for path in dict.fromkeys([*total.exists, *total.leaves]):
        exists = {path: total.exists[path]} if path in total.exists else {}
        leaves = {path: total.leaves[path]} if path in total.leaves else {}
        if not Effects(total.root, exists, leaves).after_holds(tree):
            yield path


def _names(paths: Sequence[Path]) -> str:
    return first_names(list(dict.fromkeys(map(within_root, paths))))
