"""From a playbook and parameters to a run, or to a rehearsal of one."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from controller.inventory.selectors import select
from controller.models.approval import Contract, Outlook, RunTerms
from controller.models.errors import ConflictError, InputError, PlanRefusedError
from controller.models.facts import Finding
from controller.models.network import Network, Noun
from controller.models.people import Person
from controller.models.plan import Plan
from controller.models.run import PERSON, Run, Strategy
from controller.models.step import RunPlaybook
from controller.plan import seal
from controller.playbook.engine.consents import playbook_terms
from controller.playbook.engine.context import World, held_by
from controller.playbook.engine.dry_run import Rehearsing, StationPreview
from controller.playbook.engine.plan_section import drifted_again, in_parameters, section_plan
from controller.playbook.engine.reach import Reach, holds_on, reach, refusals, strangers
from controller.playbook.engine.soak import soak_seconds
from controller.playbook.language.check import check_devices, check_values
from controller.playbook.language.expressions import evaluate
from controller.playbook.language.library import Library, Loaded
from controller.playbook.language.parameters import Plain, parse_parameters
from controller.playbook.language.playbook import RUN, Held, Playbook
from controller.playbook.language.registry import Touches
from controller.ports.queue import Doorbell
from controller.ports.store import NewJob, Store
from controller.runs.approval.consent import check_contracts
from controller.runs.approval.outlook import outlook
from controller.runs.rollout.timers import fitted
from controller.runs.rollout.waves import cut_stages, ranks_in, units_of
from controller.runs.submit import approver, check_overtaking

#: Stations rehearsed at once.
_PARALLEL = 100


class DryRun(Noun):
    """What a run would be; nothing was touched.

    Attributes:
        plan: Id of the plan that would be bound to it, empty where it needs none.
        stations: What happens on its stations and routers, in order.
        left_out: Stations that the plan leaves out, with the reason.
        findings: What the plan has to say besides.
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
    findings: tuple[Finding, ...]
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
        contracts: tuple[Contract, ...] = (),
        *,
        overtake: bool = False,
        held: Held | None = None,
    ) -> Run:
        """Accept a run; the same key with the same playbook and parameters is the same run.

        ``asker`` is the person who asks: that is a yes where the person may approve, with these contractual reasons.
        ``overtake`` lets it go before a paused run that has yet to change one of its stations. ``held`` says what
        becomes of stations under a hold; None leaves that to the playbook.

        Raises:
            NotFoundError: There is no such playbook.
            InputError: Parameters are wrong, or a contractual reason is none.
            PlanRefusedError: A guard or a hold refuses it, or there is nothing to do.
            ConflictError: The key was used for something else, or a paused run would be overtaken.
        """
        loaded = await asyncio.to_thread(self._library.load, name)
        if key is not None:
            known = await self._world.store.call(lambda store: store.run_of_key(key, actor))
            if known is not None:
                return self._same(known, loaded, given, reason)
        ready = self._willing(await self._prepare(loaded, given, actor, held=held))
        check_contracts(ready.terms, contracts, approver(asker))
        if not overtake:
            stations = {job.station for job in ready.jobs}
            await self._world.store.call(lambda store: check_overtaking(store, stations))
        if loaded.playbook.plan is not None and loaded.playbook.plan.adopt:
            await self._adopt([job.station for job in ready.jobs], actor)
        run = await self._world.store.call(
            lambda store: self.accept(
                store,
                ready,
                cause=PERSON,
                actor=actor,
                reason=reason,
                key=key,
                asker=approver(asker),
                contracts=contracts,
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
        contracts: tuple[Contract, ...] = (),
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
            contracts=contracts,
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

    async def dry_run(self, name: str, given: Mapping[str, Any], actor: str, held: Held | None = None) -> DryRun:
        """What a run would do, from reading the stations; raises as ``start``, but for refusals, which it tells."""
        loaded = await asyncio.to_thread(self._library.load, name)
        ready = await self._prepare(loaded, given, actor, held=held)
        gate = asyncio.Semaphore(_PARALLEL)
        asked = {"id": "", "requested_by": actor, "reason": ""}

        async def preview(job: NewJob) -> StationPreview:
            async with gate:
                return StationPreview(
                    station=job.station,
                    wave=job.wave,
                    rank=job.rank,
                    steps=await Rehearsing(self._world, self._library.registry, ready.loaded.playbook).steps(
                        ready.network, job.station, ready.plan.changes.on(job.station), {**ready.parameters, RUN: asked}
                    ),
                )

        previews = await asyncio.gather(*(preview(job) for job in sorted(ready.jobs, key=_order)))
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
            findings=ready.plan.findings,
            refused=ready.refused,
            outlook=await self._world.store.call(lambda store: self._outlook(store, ready)),
        )

    def _outlook(self, store: Store, ready: Prepared) -> Outlook:
        return outlook(store, ready.terms, ready.strategy, self._world.clock.now())

    # ----------------------------------------------------------------- prepare

    async def _prepare(
        self,
        loaded: Loaded,
        given: Mapping[str, Any],
        actor: str,
        *,
        automatic: bool = False,
        held: Held | None = None,
    ) -> Prepared:
        playbook, store = loaded.playbook, self._world.store
        digest, network = await store.call(lambda store: store.network())
        values = await asyncio.to_thread(parse_parameters, playbook.parameters, given, network)
        check_values(playbook, self._library.registry, values)
        selector = str(evaluate(playbook.targets, values))
        targets = await asyncio.to_thread(select, network, selector)
        if not targets:
            raise InputError(f"the targets {selector!r} match no station")
        skips = (held or playbook.guards.held) is Held.SKIP and self._changes(playbook)
        plan, refused = await self._plan(playbook, values, selector, actor, skip_held=skips)
        bound = plan is not None
        if plan is None:
            now = self._world.clock.now()
            holds = await store.call(lambda store: store.holds(now)) if skips else []
            places = [*targets, *(await self._routers(network, targets) if playbook.routers else ())]
            plan = seal(
                created=now,
                network=network.header.id,
                network_digest=digest,
                selector=selector,
                changes=(),
                unplanned={place: words for place in places if (words := held_by(network, place, holds))},
            )
            await store.call(lambda store: store.save_plan(plan, actor))
        routers = [station for station in plan.changes.packed if station in network.router_by_id]
        if playbook.routers:
            routers = await self._routers(network, targets)
        stations = [station for station in sorted({*targets, *routers}) if station not in plan.unplanned]
        check_devices(playbook, self._library.registry, values, network, stations)
        strategy = playbook.strategy.strategy(len(stations), soak_seconds(playbook, values))
        if playbook.soak_checks:
            # Each job soaks by itself, since it looks again afterwards.
            strategy = strategy.model_copy(update={"soak": 0})
        ledger = await store.call(lambda store: store.ledger(stations))
        reached = reach(network, stations, plan if bound else None, ledger)
        jobs = () if refused else self._jobs(playbook, values, strategy, plan if bound else None, network, stations)
        terms = playbook_terms(
            loaded, self._library.registry, values, network, plan, stations, ledger, automatic=automatic
        )
        return Prepared(
            loaded=loaded,
            parameters=values,
            network=network,
            plan=plan,
            jobs=jobs,
            strategy=fitted(strategy, jobs, terms, self._world.clock.now()),
            reached=reached,
            refused=(*refused, *await self._refused(playbook, values, plan, network, stations, reached)),
            terms=terms,
        )

    async def _routers(self, network: Network, stations: Sequence[str]) -> list[str]:
        """Adopted routers of the stations' sites."""
        sites = {network.site_of(station) for station in stations}
        routers = [router for site in sorted(sites) for router in network.routers_at.get(site, ())]
        known = await self._world.store.call(lambda store: store.devices(routers))
        return [router for router in routers if router in known and known[router].adopted is not None]

    def _jobs(
        self,
        playbook: Playbook,
        values: Mapping[str, Plain],
        strategy: Strategy,
        plan: Plan | None,
        network: Network,
        stations: Sequence[str],
    ) -> tuple[NewJob, ...]:
        """The run's jobs in waves, region by region or site by site if the strategy says so."""
        waves = playbook.strategy
        ranks: Mapping[str, int] = {}
        together: tuple[tuple[str, ...], ...] = ()
        idle: set[str] = set()
        if plan is not None:
            idle = set(stations) - plan.changes.packed.keys()
            ranks, together = ranks_in(plan, network), tuple(units_of(plan, network))
        elif playbook.routers:
            ranks, together = behind_their_stations(stations, network)
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
            strategy,
            ranks,
            region_of=network.region_of,
            idle=idle,
        )

    async def _plan(
        self, playbook: Playbook, values: Mapping[str, Plain], selector: str, actor: str, *, skip_held: bool
    ) -> tuple[Plan | None, list[str]]:
        """The plan that is bound to the run, if the playbook has one, or why it was refused."""
        section = playbook.plan
        if section is None:
            return None, []
        try:
            plan = await section_plan(self._world, section, values, selector, actor, skip_held=skip_held)
        except PlanRefusedError as error:
            return None, [error.message + in_parameters(section, playbook.parameters, error.message)]
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


def _order(job: NewJob) -> tuple[int, str, int, str]:
    return job.wave, job.unit, job.rank, job.station


def behind_their_stations(
    devices: Sequence[str], network: Network
) -> tuple[dict[str, int], tuple[tuple[str, ...], ...]]:
    """Ranks of routers, and units of each with the stations of its site."""
    routers = [device for device in devices if device in network.router_by_id]
    places = {network.site_of(router) for router in routers}
    units = (tuple(device for device in devices if network.site_of(device) == place) for place in sorted(places))
    return dict.fromkeys(routers, 1), tuple(units)
