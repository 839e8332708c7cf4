"""What of plans that wait still follows from the network files, and from the agreements in force on the day.

A plan is made from files, on a day. Its run may wait for weeks; meanwhile other files are loaded, and agreements begin
and end. From then on nothing more of the run begins (``Run.judge_from``) until this module has compared, station by
station, what the plan was made for with what is wanted now. A change holds as long as all it sets and removes is wanted
as before, and those whom it concerns have agreed to the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog

from controller.models.errors import MinkaError
from controller.models.facts import Intent, Severity
from controller.models.network import Network
from controller.models.plan import Change, PhaseKind
from controller.models.run import PERSON, Job, JobState, Policy, Run
from controller.nrm.profiles import Rendered
from controller.plan import wanted_by
from controller.ports.clock import Clock
from controller.runs.approval.consent import RunOccasion, ask_more, effect_of, terms_at
from controller.runs.planning.planner import Planner

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Basis:
    """What plans are made from: network files, what they want on a day, and a time of that day."""

    network: Network
    intent: Intent
    at: datetime


class Validity:
    """Judges the plans of runs that begin nothing more before. Several processes may: the record takes one answer."""

    def __init__(self, planner: Planner, clock: Clock) -> None:
        self._planner, self._store, self._clock = planner, planner.store, clock

    async def step(self) -> None:
        """Judge all runs that wait for it; one that can't be judged goes on waiting, and never delays the others.

        Raises:
            StoreError: The record can't be read.
        """
        for run in await self._store.runs.unjudged():
            try:
                await self._judge(run)
            except MinkaError as error:
                log.warning("run.not_judged", run=run.id, reason=error.message)
            except Exception:
                log.exception("run.not_judged", run=run.id)

    async def _judge(self, run: Run) -> None:
        plan, jobs = await self._store.plans.get(run.plan), await self._store.runs.jobs(run.id)
        digest, network = await self._store.networks.get()
        now = self._clock.now()
        _, before = await self._store.networks.get(plan.network_digest)
        left = {job.station for job in jobs if job.state is not JobState.DONE} & plan.changes.packed.keys()
        known = sorted(device for device in left if network.manages(device) and before.manages(device))
        made = Basis(before, await self._planner.intent(before, known, plan.created), plan.created)
        wanted = Basis(network, await self._planner.intent(network, known, now), now)
        changes = (change for device in known if (change := plan.changes.on(device)) is not None)
        void = await asyncio.to_thread(outdated, changes, made, wanted, automatic=run.cause != PERSON)
        void |= left.difference(known)
        until = network.next_terms(now)
        if await self._store.runs.judge(run.id, digest, _with_units(run, jobs, void), until) and void:
            log.info("run.outdated", run=run.id, network=digest, devices=len(void))


def outdated(changes: Iterable[Change], made: Basis, wanted: Basis, *, automatic: bool) -> set[str]:
    """Devices whose changes do not follow any more from what is in force. Pure; for a whole network it takes seconds.

    Args:
        changes: Changes of devices that both networks have.
        made: What the plan was made from.
        wanted: What is in force now.
        automatic: Whether a rule asked for the run.
    """
    broken = {one.station for one in wanted.intent.findings if one.severity is Severity.ERROR}
    void, effects = set(), []
    for change in changes:  # Unpacked, those of a whole network would not fit into memory.
        if change.station in broken or not _wanted_alike(change, made, wanted):
            void.add(change.station)
        else:
            effects.append(effect_of(change))
    agreed, agree = (
        terms_at(basis.network, effects, RunOccasion("", basis.at, automatic=automatic)) for basis in (made, wanted)
    )
    return void | {station for station in agreed if ask_more(agree[station], agreed[station])}


def _wanted_alike(change: Change, made: Basis, wanted: Basis) -> bool:
    """Whether all that a change sets and removes is wanted as it was when the change was made."""
    station, networks = change.station, (made.network, wanted.network)
    before, now = (network.profiles_of(station) for network in networks)
    if before != now or (made.network.device_kinds[station].rules.in_cloud and not _same_cloud(*networks)):
        return False
    if made.intent.of(station) == wanted.intent.of(station):
        return True
    was, becomes = (wanted_by(basis.intent, basis.network, station) for basis in (made, wanted))
    paths = set(_paths(change))
    # Some may be fitted to names that the station had already. Then nobody can tell which node of its owners they are.
    fitted = {owner for node in change.gained if node.path not in was.tree for owner in node.owners}
    for tree in (was, becomes) if fitted else ():
        paths |= {path for path in tree.tree if not fitted.isdisjoint(tree.owners.get(path, ()))}
    return all(_node(was, path) == _node(becomes, path) for path in paths)


def _same_cloud(before: Network, now: Network) -> bool:
    """Whether pools, functions and packages are the same: where a function may go depends on all of them."""
    return (before.pools, before.packages, before.functions) == (now.pools, now.packages, now.functions)


def _paths(change: Change) -> Iterator[str]:
    """Nodes that a change sets or removes; cells that it locks for a while are not among them."""
    for phase in change.phases:
        if phase.kind is PhaseKind.EDIT:
            yield from (edit.path for edit in phase.edits)
    yield from (node.path for node in change.gained)
    yield from change.lost


def _node(rendered: Rendered, path: str) -> tuple[object, object]:
    return rendered.tree.get(path), rendered.owners.get(path)


def _with_units(run: Run, jobs: Sequence[Job], void: Iterable[str]) -> frozenset[str]:
    """Ids of the jobs of devices, with all that are decided together with them: a unit is whole or not at all."""
    devices = set(void)
    named = [job for job in jobs if job.station in devices]
    if run.strategy.policy is Policy.STATION:
        return frozenset(job.id for job in named)
    units = {(job.wave, job.unit) for job in named}
    return frozenset(job.id for job in jobs if (job.wave, job.unit) in units)
