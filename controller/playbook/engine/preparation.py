"""Prepares runs of playbooks with their parameters, and dry runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

import structlog

from controller.inventory.selectors import select
from controller.inventory.source import unknown
from controller.models.approval import Outlook
from controller.models.enums import OBSERVE_ONLY
from controller.models.errors import ConflictError, InputError, MinkaError, NotFoundError, PlanRefusedError
from controller.models.facts import Finding
from controller.models.many import first_names, lines_of
from controller.models.network import Network, Noun
from controller.models.plan import Change, Plan
from controller.models.run import INSIDE, LedgerEntry, OnHold, Run, Strategy
from controller.models.step import RunPlaybook
from controller.nrm.tree import Path
from controller.plan import PlanOptions, check_share, nodes_behind, seal
from controller.plan.rows import devices
from controller.playbook.engine.consents import (
    AskingAct,
    asking_acts,
    loss_at_most,
    loss_of_all,
    playbook_constraints,
)
from controller.playbook.engine.context import ActionServices, DryRunContext, StationContext, hold_at
from controller.playbook.engine.dry_run import NO_REASON, THIS_RUN, Previewer, StationPreview
from controller.playbook.engine.plan_section import drifted_again, expected_stations, in_parameters, section_plan
from controller.playbook.engine.reach import Reach, beyond_tenant, holds_on, reach, refusals
from controller.playbook.language.check import (
    check_devices,
    check_secrets,
    check_values,
    readies_pools,
)
from controller.playbook.language.endings import late_step
from controller.playbook.language.expressions import UNKNOWN, evaluate, foreseen
from controller.playbook.language.library import Library, Loaded
from controller.playbook.language.parameters import Plain, parse_parameters
from controller.playbook.language.playbook import APPLY_INTENT, RUN, TARGET, PlanSource, Playbook, Step, target_names
from controller.playbook.language.registry import DeviceAccess, Registry, ServiceLoss
from controller.runs.approval.outlook import LateStep, outlook
from controller.runs.rollout.timers import fitted
from controller.runs.rollout.waves import cut_stages, ranks_in, ranks_inside, units_of
from controller.store import NewJob, PreparedRun, RunRequest, Store

log = structlog.get_logger()

#: Actions that carry out the plan of a run that has one, also on stations that come back with their function.
_BY_PLAN = frozenset({APPLY_INTENT, "configure-station"})
#: Stations that are previewed at the same time.
_PARALLEL = 100


class DryRun(Noun):
    """What a run would do; no device was touched.

    Attributes:
        plan: Id of the plan that the run would carry out, empty where it needs none.
        stations: What happens on its stations and routers, in order.
        left_out: Stations that the plan leaves out, with the reason.
        findings: Findings of the plan.
        elsewhere: Number of contract warnings about the network as a whole that concern none of the plan's devices.
        refused: Why the run would be refused; empty if it would be accepted.
        would_expect: Number of devices that the request would have to expect, where the first reason is that it expects
            none or others.
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
    elsewhere: int = 0
    refused: tuple[str, ...]
    would_expect: int | None = None
    outlook: Outlook


@dataclass(frozen=True, slots=True)
class Draft:
    """A prepared run, with what a dry run shows in addition."""

    run: PreparedRun
    loaded: Loaded
    parameters: dict[str, Plain]
    network: Network
    reached: Reach


class PlaybookPreparation:
    """Prepares runs of playbooks (see ``controller.runs.launch``), and dry runs. It only reads stations.

    Args:
        services: What steps work with.
        library: The playbooks that are in force.
        registry: The actions that there are.
    """

    def __init__(self, services: ActionServices, library: Callable[[Store], Library], registry: Registry) -> None:
        self._services = services
        self._library = library
        self._registry = registry

    async def prepare(self, request: RunRequest) -> PreparedRun:
        """See ``controller.runs.launch.Preparation``; guards and holds that refuse the run are in ``refused``."""
        return (await self._draft(request)).run

    async def repeats(self, request: RunRequest, known: Run) -> bool:
        """See ``controller.runs.launch.Preparation``; stations may have changed, so they are not read again."""
        loaded = await self._load(request.playbook)
        parameters = parse_parameters(loaded.playbook.parameters, request.parameters)
        return (known.playbook, known.parameters) == (loaded.digest, parameters)

    def check(self, store: Store, new: PreparedRun) -> None:
        """See ``controller.runs.launch.Preparation``."""
        asked = new.playbook
        if asked is not None and self._library(store).text(asked.name) != asked.text:
            raise ConflictError(f"playbook {asked.name} was changed while the run was prepared: see it, and ask again")

    async def _load(self, name: str) -> Loaded:
        library = await self._services.store.read(self._library)
        return await asyncio.to_thread(library.load, name)

    async def dry_run(self, request: RunRequest) -> DryRun:
        """What a run would do, from reading the stations; raises the errors of ``prepare``."""
        draft = await self._draft(request)
        new, name = draft.run, request.playbook
        gate = asyncio.Semaphore(_PARALLEL)
        asked = {"id": THIS_RUN, "requested_by": request.actor, "reason": request.reason or NO_REASON}

        async def preview(job: NewJob) -> StationPreview:
            async with gate:
                return StationPreview(
                    station=job.station,
                    wave=job.wave,
                    rank=job.rank,
                    steps=await Previewer(self._services, self._registry, draft.loaded.playbook).steps(
                        draft.network, job.station, new.plan.changes.on(job.station), {**draft.parameters, RUN: asked}
                    ),
                )

        late = await asyncio.to_thread(self._late, draft)
        previews = await asyncio.gather(*(preview(job) for job in sorted(new.jobs, key=_order)))
        await self._services.store.audit.append(
            request.actor, "playbook.rehearsed", name, {"digest": draft.loaded.digest, "plan": new.plan.id}
        )
        return DryRun(
            playbook=name,
            digest=draft.loaded.digest,
            parameters=draft.parameters,
            strategy=new.strategy,
            plan=new.plan.id if draft.loaded.playbook.plan or new.plan.changes.packed else "",
            reach=draft.reached,
            stations=tuple(previews),
            left_out=new.plan.unplanned,
            findings=new.plan.findings,
            elsewhere=new.plan.elsewhere,
            refused=new.refused,
            would_expect=new.would_expect,
            outlook=await self._services.store.transaction(self._outlook, new, late),
        )

    def _outlook(self, store: Store, new: PreparedRun, late: Mapping[str, LateStep]) -> Outlook:
        assert new.constraints is not None
        return outlook(store, new.constraints, new.strategy, self._services.clock.now(), late)

    def _late(self, draft: Draft) -> dict[str, LateStep]:
        """By device, the last step that may interrupt service there, where others may wait before it."""
        found: dict[str, LateStep] = {}
        for job in draft.run.jobs:
            names = {**draft.parameters, TARGET: target_names(draft.network, job.station)}
            planned = draft.run.plan.changes.on(job.station)
            if late := late_step(draft.loaded.playbook, self._registry, names, planned):
                found[job.station] = late
        return found

    # ----------------------------------------------------------------- prepare

    async def _draft(self, request: RunRequest) -> Draft:
        loaded = await self._load(request.playbook)
        playbook, store, actor = loaded.playbook, self._services.store, request.actor
        digest, network = await store.networks.get()
        given, credentials = request.parameters, self._services.credentials
        values = await asyncio.to_thread(parse_parameters, playbook.parameters, given, network, credentials.for_actions)
        check_values(playbook, self._registry, values)
        check_secrets(playbook, self._registry, values, credentials)
        selector = str(evaluate(playbook.targets, values))
        targets = await asyncio.to_thread(select, network, selector)
        targets = await self._concerned(playbook, values, network, targets)
        if not targets:
            raise InputError(_no_targets(playbook, selector, values))
        skips = (request.on_hold or playbook.guards.on_hold) is OnHold.SKIP and self._changes(playbook)
        plan, refused = await self._plan(playbook, values, selector, request, skip_under_hold=skips)
        bound = plan is not None
        if plan is None:
            now = self._services.clock.now()
            holds = await store.holds.find(now) if skips else []
            places = [*targets, *(await self._routers(network, targets) if playbook.routers else ())]
            left_out = {place: words for place in places if (words := hold_at(network, place, holds))}
            # A refused plan would have adopted the stations that it needs.
            observed = await self._not_adopted(targets) if playbook.stations and not refused else {}
            left_out |= observed
            functions = [one for one in targets if network.kind_of(one).rules.placed and one not in left_out]
            changes, unready, unmade = await self._readied(request, playbook, values, network, digest, functions)
            plan = seal(
                created=now,
                network=network.header.id,
                network_digest=digest,
                selector=selector,
                changes=changes,
                unplanned={**left_out, **unready},
                observed_only={*observed, *unmade},
            )
            await store.plans.save(plan, actor)
        beside = [
            one for one in plan.changes.packed if network.kind_of(one).rules.comes_along or one in network.central_units
        ]
        if playbook.plan is not None and playbook.plan.beneath:
            beside += [one for one in plan.changes.packed if network.kind_of(one).rules.placed]
        if playbook.routers:
            beside = await self._routers(network, targets)
        planned = [device for device in {*targets, *beside} if device not in plan.unplanned]
        stations = sorted({*planned, *(await self._inside(playbook, network, planned, targets))})
        check_devices(playbook, self._registry, values, network, stations)
        strategy = playbook.strategy.strategy(len(stations), playbook.soak_seconds(values))
        if playbook.soak_checks:
            # Each job soaks by itself, since it checks again afterwards.
            strategy = strategy.model_copy(update={"soak": 0})
        behind = {one for station in stations for one in network.stations_served.get(station, ())}
        ledger = await store.ledger.find({*stations, *behind})
        losses, taken = await self._outages(loaded, values, network, stations, ledger)
        losses |= dict.fromkeys(
            await self._with_nothing_to_do(loaded.playbook, values, network, stations), ServiceLoss()
        )
        reached = reach(network, stations, plan if bound else None, ledger, taken)
        jobs = () if refused else self._jobs(playbook, values, strategy, plan if bound else None, network, stations)
        begins = min((job.wave for job in jobs if not network.kind_of(job.station).rules.goes_first), default=0)
        strategy = strategy.model_copy(update={"canary_wave": begins})
        constraints = playbook_constraints(
            loaded,
            self._registry,
            values,
            network,
            plan,
            stations,
            ledger,
            automatic=request.automatic,
            outages=losses,
        )
        if not refused:
            touched = stations if playbook.plan is None else sorted({*targets}.intersection(stations))
            refused = self._beyond_share(request, playbook, values, network, touched, plan)
        new = PreparedRun(
            request=request,
            procedure=playbook.name,
            plan=plan,
            jobs=jobs,
            strategy=fitted(strategy, jobs, constraints, self._services.clock.now()),
            constraints=constraints,
            playbook=RunPlaybook(name=playbook.name, digest=loaded.digest, text=loaded.text, parameters=values),
            refused=(
                *(one.message for one in refused),
                *await self._refused(playbook, values, plan, network, targets, stations, reached),
            ),
            would_expect=next((one.expect_stations for one in refused if one.expect_stations is not None), None),
            adopts=await self._observed_only(playbook, plan, jobs),
            idle=bound and plan.is_empty,
            repairs=bound or self._changes(playbook),
            # Without a section ``plan``, what brings pools to the files.
            from_files=bool(plan.changes.packed)
            if playbook.plan is None
            else playbook.plan.source is PlanSource.NETWORK,
            judge_from=network.next_terms(plan.created),
        )
        return Draft(new, loaded, values, network, reached)

    async def _readied(
        self,
        request: RunRequest,
        playbook: Playbook,
        values: Mapping[str, Plain],
        network: Network,
        digest: str,
        functions: Sequence[str],
    ) -> tuple[Iterable[Change], Mapping[str, str], Collection[str]]:
        """Changes for pools that are not ready for the playbook's functions, and pools that can't become ready.

        The last ones are those of them that are observe-only.

        Of those the reason is said; what comes there all the same is refused by the pool, and stays where it was. Only
        a person adopts a pool: no rule makes one ready that is observe-only.
        """
        planner, registry = self._services.planner, self._registry
        unready = await planner.unready(network, functions) if readies_pools(playbook, registry) else {}
        gate = asyncio.Semaphore(_PARALLEL)

        async def comes_to(function: str) -> set[str]:
            names = {**values, TARGET: target_names(network, function)}
            context = StationContext(self._services, network, function, None, "")
            found = set()
            steps, known = playbook.may_run(names)
            for step in steps:
                act, given = registry.action(step.action), foreseen(step.with_, known)
                if act.brings is not None and given is not UNKNOWN:
                    with suppress(MinkaError):  # the step itself says so
                        async with gate:
                            found.add(await act.brings(context, act.check_inputs(given)))
            return found & unready[function]

        pools = set[str]().union(*await asyncio.gather(*map(comes_to, unready)))
        observed = await self._not_adopted(sorted(pools)) if request.automatic else {}
        if not (pools := pools - observed.keys()):
            return (), observed, observed
        try:
            plan = await planner.readied(network, digest, pools)
        except PlanRefusedError as error:
            return (), observed | dict.fromkeys(pools, error.message), observed
        return plan.changes, observed | dict(plan.unplanned), observed

    async def _outages(
        self,
        loaded: Loaded,
        values: Mapping[str, Plain],
        network: Network,
        stations: Sequence[str],
        ledger: Mapping[str, Mapping[Path, LedgerEntry]],
    ) -> tuple[dict[str, ServiceLoss], dict[str, ServiceLoss]]:
        """Service that steps take, by station, if all of them say it and the station can be read: asked for, reached.

        The reach is about those alone that take anything off the air, and about cells that their inputs name. Tenants
        consent to the others too, and to what lasts on cells that do not serve just now.
        """
        gate = asyncio.Semaphore(_PARALLEL)

        async def outage(station: str) -> tuple[ServiceLoss | None, ServiceLoss | None]:
            names = {**values, TARGET: target_names(network, station)}
            acts = asking_acts(loaded.playbook, self._registry, names)
            context = StationContext(self._services, network, station, None, "")
            try:
                async with gate:
                    found = [await service_loss(context, act) for act in acts]
            except MinkaError as error:
                log.info("run.outage_unknown", station=station, reason=error.message)
                return None, None
            nodes, cells = [*nodes_behind(network, station, ledger)], network.cells_by_station.get(station, ())
            return loss_of_all(found), loss_at_most(acts, found, nodes, [cell.id for cell in cells])

        outages = dict(zip(stations, await asyncio.gather(*map(outage, stations)), strict=True))
        asked = {station: known for station, (known, _) in outages.items() if known is not None}
        return asked, {station: known for station, (_, known) in outages.items() if known is not None}

    async def _with_nothing_to_do(
        self, playbook: Playbook, values: Mapping[str, Plain], network: Network, stations: Sequence[str]
    ) -> list[str]:
        """All devices, if by what the steps before the first change read now no step names a cell anywhere.

        Then nobody is asked and told: if that changes until the run acts, it is refused there, by the values of then.
        """
        gate = asyncio.Semaphore(_PARALLEL)

        async def idle(station: str) -> bool | None:
            names: dict[str, Any] = {**values, TARGET: target_names(network, station)}
            acts = asking_acts(playbook, self._registry, names)
            if not acts or not all(act.open for act in acts):
                return None if not acts else False
            context = DryRunContext(self._services, network, station, None, "dry-run")
            try:
                async with gate:
                    for step in takewhile(self._only_looks, playbook.may_run(names)[0]):
                        action, given = self._registry.action(step.action), foreseen(step.with_, names)
                        if step.register_ is not None and given is not UNKNOWN and action.access is DeviceAccess.READS:
                            said = await action.perform(context, action.check_inputs(given))
                            names |= {step.register_: said.model_dump(mode="json")} if isinstance(said, Noun) else {}
            except MinkaError:
                return False  # the run says so
            return not asking_acts(playbook, self._registry, names)

        if playbook.plan is not None:
            return []
        found = dict(zip(stations, await asyncio.gather(*map(idle, stations)), strict=True))
        return [] if False in found.values() else [station for station, known in found.items() if known]

    def _only_looks(self, step: Step) -> bool:
        return self._registry.action(step.action).access is not DeviceAccess.CHANGES

    async def _observed_only(self, playbook: Playbook, plan: Plan, jobs: Sequence[NewJob]) -> tuple[str, ...]:
        """Devices that are still observe-only, if the plan was made as if they were adopted already.

        Stations that live in a function are adopted when it is ready.
        """
        if playbook.plan is None:
            return tuple(await self._not_adopted([*plan.changes.packed]))
        if not playbook.plan.adopt:
            return ()
        return tuple(await self._not_adopted([job.station for job in jobs if job.rank not in INSIDE]))

    async def _not_adopted(self, devices: Sequence[str]) -> dict[str, str]:
        """Those of the devices that are observe-only, with words for it."""
        known = await self._services.store.devices.find(devices)
        found = [device for device in devices if device not in known or known[device].adopted is None]
        return dict.fromkeys(found, OBSERVE_ONLY)

    async def _concerned(
        self, playbook: Playbook, values: Mapping[str, Plain], network: Network, targets: Sequence[str]
    ) -> tuple[str, ...]:
        """The targets; or those on the playbook's pool, or that a new placement would move, if the playbook says so."""
        planner, found = self._services.planner, tuple(targets)
        if playbook.on_pool is not None:
            pool, running = str(evaluate(playbook.on_pool, values)), await planner.running(network)
            found = tuple(one for one in found if pool in running.get(one, ()))
            if playbook.on_node is not None:
                found = await self._on_node(network, pool, str(evaluate(playbook.on_node, values)), found)
        if playbook.rebalances:
            moves = {choice.function for choice in (await planner.rebalanced(network)).moves}
            found = tuple(one for one in found if one in moves)
        return found

    async def _on_node(self, network: Network, pool: str, node: str, functions: Sequence[str]) -> tuple[str, ...]:
        """A pool, with those of the functions on it that have a pod on one of its nodes.

        Raises:
            InputError: It has no such node.
            ConflictError: The pool is not adopted: nothing could keep pods from coming back.
            DeviceError: It can't be read.
        """
        if await self._not_adopted([pool]):
            raise ConflictError(f"pool {pool} is not adopted: adopt it first, with minka plan pool={pool}")
        cluster = (await self._services.planner.read(network, pool)).cluster
        nodes = {one.id: one for one in cluster.nodes} if cluster else {}
        if node not in nodes:
            raise InputError(unknown("node", node, nodes))
        return (pool, *(one for one in functions if one in nodes[node].functions))

    async def _inside(
        self, playbook: Playbook, network: Network, devices: Sequence[str], targets: Collection[str]
    ) -> list[str]:
        """Stations that live in these functions: adopted ones, or all if the run adopts them.

        Of a function that is no target and comes beneath one, only a central unit.
        """
        inside = [
            one
            for device in (devices if playbook.stations else ())
            for one in network.stations_in.get(device, ())
            if device in targets or one in network.central_units
        ]
        if playbook.plan is not None and playbook.plan.adopt:
            return inside
        known = await self._services.store.devices.find(inside)
        return [station for station in inside if station in known and known[station].adopted is not None]

    async def _routers(self, network: Network, stations: Sequence[str]) -> list[str]:
        """Adopted routers of the stations' sites."""
        sites = {network.site_of(station) for station in stations}
        routers = [router for site in sorted(sites) for router in network.routers_at.get(site, ())]
        known = await self._services.store.devices.find(routers)
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
            ranks, together = ranks_in(plan, network), tuple(units_of(plan.changes, network))
        if playbook.stations:
            inside, together = before_their_stations(stations, network)
            ranks = {one: rank for one, rank in ranks.items() if network.has_cells(one)} | inside
        elif plan is None and playbook.routers:
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
            lambda station: (
                -1
                if network.kind_of(station).rules.goes_first
                else 2 * order.get(places.get(station, ""), 0) + (station in last)
            ),
            strategy,
            ranks,
            region_of=network.region_of,
            idle=idle,
        )

    async def _plan(
        self,
        playbook: Playbook,
        values: Mapping[str, Plain],
        selector: str,
        request: RunRequest,
        *,
        skip_under_hold: bool,
    ) -> tuple[Plan | None, list[PlanRefusedError]]:
        """The plan that is bound to the run, if the playbook has one; or why it was refused."""
        section = playbook.plan
        if section is None:
            return None, []
        expected = None if self._changes(playbook, beyond_plan=True) else request.expect_stations
        named = expected_stations(section, values)
        if expected is not None and named is not None and named != expected:
            both = f"the request expects {devices(expected)} and the plan of {playbook.name} {devices(named)}"
            return None, [PlanRefusedError(f"{both}, which can't both be: they are the same devices")]
        try:
            plan = await section_plan(
                self._services,
                section,
                values,
                selector,
                request.actor,
                expect_stations=expected,
                skip_under_hold=skip_under_hold,
            )
        except PlanRefusedError as error:
            given = in_parameters(section, playbook.parameters, error)
            expect = None if given else error.expect_stations
            return None, [PlanRefusedError(f"{error.message}{given}", expect_stations=expect)]
        again = await drifted_again(self._services, section, values, playbook.name, plan)
        return plan, [PlanRefusedError(words) for words in again]

    def _beyond_share(
        self,
        request: RunRequest,
        playbook: Playbook,
        values: Mapping[str, Plain],
        network: Network,
        touched: Sequence[str],
        plan: Plan,
    ) -> list[PlanRefusedError]:
        """Why the run touches too many devices for a person who named no number of them, or another one.

        A plan is checked when it is made; this is about devices that other steps touch. Who named at least as many
        for the plan need not name them again. Rules have guards of their own.
        """
        section, expected = playbook.plan, request.expect_stations
        beyond = self._changes(playbook, beyond_plan=True)
        if request.automatic or (section is not None and not beyond):
            return []
        if section is not None and expected is None and (expected_stations(section, values) or 0) >= len(touched):
            return []
        try:
            options = PlanOptions(expect_stations=expected)
            check_share(network, touched if beyond else (), options, plan.unplanned, "run")
        except PlanRefusedError as error:
            return [error]
        return []

    async def _refused(
        self,
        playbook: Playbook,
        values: Mapping[str, Plain],
        plan: Plan,
        network: Network,
        targets: Collection[str],
        stations: list[str],
        reached: Reach,
    ) -> list[str]:
        found = refusals(playbook.guards, reached)
        beneath = playbook.plan is not None and playbook.plan.beneath
        if not (stations if not beneath else {*stations}.intersection(targets)):
            of_targets = {one: why for one, why in plan.unplanned.items() if not beneath or one in targets}
            reasons = first_names(lines_of(sorted(of_targets.items())), between="; ")
            out = "all devices are left out" if playbook.plan is None else "the plan leaves all devices out"
            found.append(f"{out}: {reasons}")
        if playbook.plan is not None and playbook.plan.only_tenant is not None:
            found += beyond_tenant(plan, str(evaluate(playbook.plan.only_tenant, values)))
        if self._changes(playbook):
            now = self._services.clock.now()
            found += holds_on(network, stations, await self._services.store.holds.find(now))
        return found

    def _changes(self, playbook: Playbook, *, beyond_plan: bool = False) -> bool:
        """Whether a step may change a device; with ``beyond_plan``, apart from carrying out the run's plan."""
        by_plan = _BY_PLAN if beyond_plan and playbook.plan is not None else frozenset()
        names = {step.action for step in playbook.steps} - by_plan
        return any(self._registry.action(name).access is DeviceAccess.CHANGES for name in names)


def _no_targets(playbook: Playbook, selector: str, values: Mapping[str, Plain]) -> str:
    """A message that a playbook has nothing to work on, and why."""
    if playbook.rebalances:
        return "there is nothing to move: a new placement leaves all of these functions where they are"
    if playbook.on_pool is not None:
        return f"there is nothing to do: none of these functions is on {evaluate(playbook.on_pool, values)}"
    return f"the targets {selector!r} match no device"


def _order(job: NewJob) -> tuple[int, str, int, str]:
    return job.wave, job.unit, job.rank, job.station


async def service_loss(context: StationContext, act: AskingAct) -> ServiceLoss | None:
    """Service that an act takes; None if that is not known before it is due, or brings tenants of the run's plan.

    Where its inputs name nothing there it fails, and takes nothing: if they do by then, it is refused as not asked for.
    """
    if act.planned:
        return None
    try:
        return await act.action.loss(context, None if act.given is UNKNOWN else act.action.check_inputs(act.given))
    except NotFoundError:
        return ServiceLoss(cells=frozenset())


def before_their_stations(
    devices: Sequence[str], network: Network
) -> tuple[dict[str, int], tuple[tuple[str, ...], ...]]:
    """Ranks of virtual stations, and units of each function with its stations and the routers of their sites.

    Their configuration goes with a function's pod, so it comes back after whatever became of the function; that of a
    central unit before that of its stations.
    """
    return ranks_inside(devices, network), tuple(units_of((), network, devices))


def behind_their_stations(
    devices: Sequence[str], network: Network
) -> tuple[dict[str, int], tuple[tuple[str, ...], ...]]:
    """Ranks of routers, and units of each with the stations of its site."""
    routers = [device for device in devices if network.kind_of(device).rules.carries_links]
    places = {network.site_of(router) for router in routers}
    units = (tuple(device for device in devices if network.site_of(device) == place) for place in sorted(places))
    return dict.fromkeys(routers, 1), tuple(units)
