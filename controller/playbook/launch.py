"""From a playbook and parameters to a run, or to a rehearsal of one."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from controller.inventory.selectors import select
from controller.models.approval import Outlook, RunTerms
from controller.models.errors import ConflictError, InputError, MinkaError, PlanRefusedError
from controller.models.network import Network, Noun
from controller.models.people import Person
from controller.models.plan import Change, DiffRow, Plan
from controller.models.run import Run, Strategy
from controller.models.step import RunPlaybook
from controller.plan import seal
from controller.playbook.consents import playbook_terms
from controller.playbook.context import Rehearsal, World, target_names
from controller.playbook.expressions import Expression, evaluate
from controller.playbook.language import OUTPUT, RUN, TARGET, Playbook, Step
from controller.playbook.load import Library, Loaded
from controller.playbook.parameters import Plain, parse_parameters
from controller.playbook.planning import drifted_again, section_plan
from controller.playbook.reach import Reach, holds_on, reach, refusals, strangers
from controller.playbook.registry import Proposal, Touches, Unmet
from controller.ports.queue import Doorbell
from controller.ports.store import NewJob, Store
from controller.runs.outlook import outlook
from controller.runs.stages import cut_stages
from controller.runs.submit import approver
from controller.runs.timing import timed
from controller.runs.waves import ranks_in, units_of

#: Stations rehearsed at once.
_PARALLEL = 100


class StepPreview(Noun):
    """What a step would do on a station."""

    step: str
    action: str
    says: str
    diff: tuple[DiffRow, ...] = ()


class StationPreview(Noun):
    """What a run would do on a station."""

    station: str
    wave: int
    steps: tuple[StepPreview, ...]


class DryRun(Noun):
    """What a run would be; nothing was touched.

    Attributes:
        plan: Id of the plan that would be bound to it, empty where it needs none.
        left_out: Stations that the plan leaves out, with the reason.
        refused: Why the run would be refused; empty if it would be accepted.
        outlook: Who would have to agree, and what it would wait for.
    """

    playbook: str
    digest: str
    parameters: dict[str, Plain]
    strategy: Strategy
    plan: str
    reach: Reach
    stations: tuple[StationPreview, ...]
    left_out: dict[str, str]
    refused: tuple[str, ...]
    outlook: Outlook


@dataclass(frozen=True, slots=True)
class Prepared:
    """A run that could be accepted."""

    loaded: Loaded
    parameters: dict[str, Plain]
    network: Network
    plan: Plan
    jobs: tuple[NewJob, ...]
    strategy: Strategy
    reached: Reach
    refused: tuple[str, ...]
    terms: RunTerms


class Launcher:
    """Prepares, rehearses and starts runs of playbooks. It only reads stations."""

    def __init__(self, world: World, library: Library, doorbell: Doorbell) -> None:
        self._world = world
        self._library = library
        self._doorbell = doorbell

    async def start(
        self,
        name: str,
        given: Mapping[str, Any],
        actor: str,
        reason: str,
        key: str | None,
        asker: Person | None = None,
    ) -> Run:
        """Accept a run; the same key with the same playbook and parameters is the same run.

        ``asker`` is the person who asks: that is a yes where the person may approve.

        Raises:
            NotFoundError: There is no such playbook.
            InputError: Parameters are wrong.
            PlanRefusedError: A guard or a hold refuses it, or there is nothing to do.
            ConflictError: The key was used for something else.
        """
        loaded = await asyncio.to_thread(self._library.load, name)
        if key is not None:
            known = await self._world.store.call(lambda store: store.run_of_key(key))
            if known is not None:
                return self._same(known, loaded, given, reason)
        ready = self._willing(await self._prepare(loaded, given, actor))
        if loaded.playbook.plan is not None and loaded.playbook.plan.adopt:
            await self._adopt([job.station for job in ready.jobs], actor)
        run = await self._world.store.call(
            lambda store: self.accept(
                store, ready, cause="person", actor=actor, reason=reason, key=key, asker=approver(asker)
            )
        )
        self._doorbell.ring(run.id)
        return run

    async def prepare(self, name: str, given: Mapping[str, Any], actor: str) -> Prepared:
        """A run that a rule asks for, ready to be accepted: only standing consent then lets it work by itself.

        Raises:
            NotFoundError: There is no such playbook.
            InputError: Parameters are wrong.
            PlanRefusedError: A guard or a hold refuses it, or there is nothing to do.
        """
        loaded = await asyncio.to_thread(self._library.load, name)
        return self._willing(await self._prepare(loaded, given, actor, automatic=True))

    def accept(
        self,
        store: Store,
        ready: Prepared,
        *,
        cause: str,
        actor: str,
        reason: str,
        key: str | None,
        asker: Person | None = None,
    ) -> Run:
        """Put a prepared run on record, in whatever transaction the caller has."""
        loaded = ready.loaded
        name = loaded.playbook.name
        used = RunPlaybook(name=name, digest=loaded.digest, text=loaded.text, parameters=ready.parameters)
        return store.create_run(
            ready.plan,
            name,
            ready.strategy,
            ready.jobs,
            cause=cause,
            actor=actor,
            reason=reason,
            idempotency_key=key,
            playbook=used,
            terms=ready.terms,
            asker=asker,
        )

    @staticmethod
    def _willing(ready: Prepared) -> Prepared:
        if ready.refused:
            raise PlanRefusedError(f"{ready.loaded.playbook.name} is refused: " + "; ".join(ready.refused))
        return ready

    async def _adopt(self, stations: Sequence[str], actor: str) -> None:
        """Adopt those stations that are still observe-only; the plan was made as if they were adopted already."""
        known = await self._world.store.call(lambda store: store.devices(stations))
        new = [station for station in stations if station not in known or known[station].adopted is None]
        if new:
            await self._world.planner.adopt_devices(new, actor)

    def _same(self, known: Run, loaded: Loaded, given: Mapping[str, Any], reason: str) -> Run:
        asked = (loaded.digest, parse_parameters(loaded.playbook.parameters, given), reason)
        if (known.playbook, known.parameters, known.reason) != asked:
            raise ConflictError(f"the idempotency key belongs to run {known.id}, which was asked for otherwise")
        return known

    async def dry_run(self, name: str, given: Mapping[str, Any], actor: str) -> DryRun:
        """What a run would do, from reading the stations; raises as ``start``, but for refusals, which it tells."""
        loaded = await asyncio.to_thread(self._library.load, name)
        ready = await self._prepare(loaded, given, actor)
        gate = asyncio.Semaphore(_PARALLEL)
        changes = {change.station: change for change in ready.plan.changes}

        async def preview(job: NewJob) -> StationPreview:
            async with gate:
                return StationPreview(
                    station=job.station,
                    wave=job.wave,
                    steps=await self._rehearse(ready, job.station, changes.get(job.station), actor),
                )

        previews = await asyncio.gather(*(preview(job) for job in ready.jobs))
        await self._world.store.call(
            lambda store: store.audit(
                actor, "playbook.rehearsed", name, {"digest": loaded.digest, "plan": ready.plan.id}
            )
        )
        return DryRun(
            playbook=name,
            digest=loaded.digest,
            parameters=ready.parameters,
            strategy=ready.strategy,
            plan=ready.plan.id if loaded.playbook.plan else "",
            reach=ready.reached,
            stations=tuple(previews),
            left_out=ready.plan.unplanned,
            refused=ready.refused,
            outlook=await self._world.store.call(lambda store: self._outlook(store, ready)),
        )

    def _outlook(self, store: Store, ready: Prepared) -> Outlook:
        return outlook(store, ready.terms, ready.strategy, self._world.clock.now())

    # ----------------------------------------------------------------- prepare

    async def _prepare(
        self, loaded: Loaded, given: Mapping[str, Any], actor: str, *, automatic: bool = False
    ) -> Prepared:
        playbook, store = loaded.playbook, self._world.store
        digest, network = await store.call(lambda store: store.network())
        values = await asyncio.to_thread(parse_parameters, playbook.parameters, given, network)
        selector = str(evaluate(playbook.targets, values))
        targets = await asyncio.to_thread(select, network, selector)
        if not targets:
            raise InputError(f"the targets {selector!r} match no station")
        plan, refused = await self._plan(playbook, values, selector, actor)
        bound = plan is not None
        if plan is None:
            now = self._world.clock.now()
            plan = seal(created=now, network=network.header.id, network_digest=digest, selector=selector, changes=())
            await store.call(lambda store: store.save_plan(plan, actor))
        routers = [change.station for change in plan.changes if change.station in network.router_by_id]
        stations = [station for station in sorted({*targets, *routers}) if station not in plan.unplanned]
        strategy = playbook.strategy.strategy(len(stations))
        if playbook.soak_checks:
            # Each job soaks by itself, since it looks again afterwards.
            strategy = strategy.model_copy(update={"soak": 0})
        ledger = await store.call(lambda store: store.ledger(stations))
        reached = reach(network, stations, plan if bound else None, ledger)
        jobs = () if refused else self._jobs(playbook, values, plan if bound else None, network, stations)
        return Prepared(
            loaded=loaded,
            parameters=values,
            network=network,
            plan=plan,
            jobs=jobs,
            strategy=timed(strategy, jobs),
            reached=reached,
            refused=(*refused, *await self._refused(playbook, values, plan, network, stations, reached)),
            terms=playbook_terms(
                loaded, self._library.registry, values, network, plan, stations, ledger, automatic=automatic
            ),
        )

    def _jobs(
        self,
        playbook: Playbook,
        values: Mapping[str, Plain],
        plan: Plan | None,
        network: Network,
        stations: Sequence[str],
    ) -> tuple[NewJob, ...]:
        """The run's jobs in waves, region by region or site by site if the strategy says so."""
        waves = playbook.strategy
        together = tuple(units_of(plan, network)) if plan is not None else ()
        alone = set(stations).difference(*together)
        units = [*together, *((station,) for station in alone)]
        places: dict[str, str] = {}
        if waves.by is not None:
            of = network.region_of if waves.by == "region" else network.site_of
            places = {station: of(station) for station in stations}
        order = {place: number for number, place in enumerate(sorted(set(places.values())))}
        last = select(network, str(evaluate(waves.last, values))) if waves.last is not None else ()
        return cut_stages(
            units,
            lambda station: 2 * order.get(places.get(station, ""), 0) + (station in last),
            waves.strategy(len(stations)),
            ranks_in(plan, network) if plan is not None else {},
            region_of=network.region_of,
        )

    async def _plan(
        self, playbook: Playbook, values: Mapping[str, Plain], selector: str, actor: str
    ) -> tuple[Plan | None, list[str]]:
        """The plan that is bound to the run, if the playbook has one, or why it was refused."""
        section = playbook.plan
        if section is None:
            return None, []
        try:
            plan = await section_plan(self._world, section, values, selector, actor)
        except PlanRefusedError as error:
            return None, [error.message]
        return plan, await drifted_again(self._world, section, values, playbook.name, plan)

    async def _refused(
        self,
        playbook: Playbook,
        values: Mapping[str, Plain],
        plan: Plan,
        network: Network,
        stations: list[str],
        reached: Reach,
    ) -> list[str]:
        found = refusals(playbook.guards, reached)
        if not stations:
            reasons = sorted(f"{station}: {reason}" for station, reason in plan.unplanned.items())
            found.append(f"the plan leaves all stations out: {'; '.join(reasons[:5])}")
        if playbook.plan is not None and playbook.plan.only_tenant is not None:
            found += strangers(plan, str(evaluate(playbook.plan.only_tenant, values)))
        if self._changes(playbook):
            now = self._world.clock.now()
            found += holds_on(network, stations, await self._world.store.call(lambda store: store.holds(now)))
        return found

    def _changes(self, playbook: Playbook) -> bool:
        actions = (self._library.registry.action(step.action) for step in playbook.steps)
        return any(action.touches is Touches.CHANGES for action in actions)

    # ---------------------------------------------------------------- rehearse

    async def _rehearse(
        self, ready: Prepared, station: str, planned: Change | None, actor: str
    ) -> tuple[StepPreview, ...]:
        """What the steps would do on one station; it ends where that can't be told any more."""
        section = ready.loaded.playbook.plan
        adopts = section is not None and section.adopt
        context = Rehearsal(self._world, ready.network, station, planned, "rehearsal", adopts=adopts)
        names: dict[str, Any] = {
            **ready.parameters,
            TARGET: target_names(ready.network, station),
            RUN: {"id": "", "requested_by": actor, "reason": ""},
        }
        found: list[StepPreview] = []
        for step in ready.loaded.playbook.steps:
            try:
                preview, output = await self._preview(step, context, names)
            except MinkaError as error:
                found.append(StepPreview(step=step.name, action=step.action, says=f"would fail: {error.message}"))
                break
            found.append(preview)
            if output is not None and step.register_ is not None:
                names[step.register_] = output
        soak = f"after a soak of {ready.loaded.playbook.strategy.soak} s, or the wave is undone"
        looks = ready.loaded.playbook.soak_checks
        return (*found, *(StepPreview(step=look.name, action=look.action, says=soak) for look in looks))

    async def _preview(
        self, step: Step, context: Rehearsal, names: Mapping[str, Any]
    ) -> tuple[StepPreview, dict[str, Any] | None]:
        action = self._library.registry.action(step.action)
        diff: tuple[DiffRow, ...] = ()
        if step.when is not None and not Expression(step.when).value(names):
            return StepPreview(step=step.name, action=action.name, says=f"skipped: {step.when}"), None
        said = await action.perform(context, action.check_inputs(evaluate(step.with_, names)))
        if isinstance(said, Unmet):
            # What was changed before it in this rehearsal has no state yet that could be looked at.
            later = context.applied or context.asked
            says = f"would check again; now: {said.reason}" if later else f"would fail now: {said.reason}"
            return StepPreview(step=step.name, action=action.name, says=says), None
        output = said.output if isinstance(said, Proposal) else said
        says = "ok"
        if isinstance(said, Proposal):
            says = said.says
            context.asked.extend(said.operations)
            if said.change is not None:
                weak = not said.change.reverts or any(not seen.reverts for seen in context.seen)
                says += "; it can't revert by itself, so it changes last and has only its inverse" if weak else ""
                diff = said.change.diff
                await context.apply(said.change)
        plain = output.model_dump(mode="json")
        wrong = [text for text in step.checks if not Expression(text).value({**names, OUTPUT: plain})]
        if wrong:
            says = f"check would fail: {wrong[0]}"
        return StepPreview(step=step.name, action=action.name, says=says, diff=diff), plain
