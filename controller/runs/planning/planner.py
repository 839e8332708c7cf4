"""Makes plans for live devices: reads the stations, compiles the intent, compares, and keeps the plan.

The pure work is in ``intent``, ``nrm`` and ``plan``; this module connects it with store and devices.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from datetime import date, datetime
from typing import TypeVar

from controller.drivers.protocols import Devices, Observed, elements_beside, equipped, measuring
from controller.drivers.target import DeviceTarget
from controller.intent import compile_intent
from controller.intent.packing import PARTS
from controller.intent.placement import OPEN, Choice, Closures, Placement, place, scaling_refusal
from controller.intent.pools import pool_facts
from controller.inventory.selectors import select_with_ways
from controller.models.alarm import FUNCTION_DOWN, HIDES
from controller.models.behaviour import TRUSTED, UNTRUSTED
from controller.models.enums import AdoptionCode
from controller.models.equipment import Equipment
from controller.models.errors import DeviceError, DeviceRefusedError, InputError, NotFoundError
from controller.models.facts import Intent, PoolFact
from controller.models.measurement import Period
from controller.models.network import HOST, Network, Plmn
from controller.models.plan import Change, DiffRow, Plan
from controller.models.record import CarriedNodes
from controller.models.run import LedgerEntry
from controller.nrm.containers import carries_its_own, foreign_elements
from controller.nrm.generation import generation_of
from controller.nrm.profiles import (
    Rendered,
    administrative_state,
    broadcast_plmn,
    cells,
    is_reserved,
    link_locked,
    links,
    root_spec,
)
from controller.nrm.profiles.function import deployment_path
from controller.nrm.profiles.pool import namespace_of, needed_on, priority_of, quota_path
from controller.nrm.schema import NodeSpec
from controller.nrm.tree import with_unknown
from controller.plan import (
    Limit,
    Planning,
    PlanOptions,
    StationPlan,
    StationView,
    adopted_nodes,
    applied,
    brought_to,
    carried_nodes,
    coming_back,
    drift,
    nodes_behind,
    plan_station,
    pools_of,
    under_hold,
    wanted_by,
)
from controller.plan.routers import link_owners, watched
from controller.ports.clock import Clock
from controller.runs.planning.adoption import AdoptionOutcome
from controller.runs.transaction.probe import server_of
from controller.store import EVER, AsyncStore, Device, Store
from controller.store.lock_holders import LeftLocked, left_by_diverged, lock_holders
from controller.store.placements import closures_now, replicas_of, running_on

T = TypeVar("T")

#: Stations that are read at the same time.
_PARALLEL = 500


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """What a person wants planned.

    Attributes:
        selector: Stations (``controller.inventory.selectors``); ``*`` is all of them.
        remove: Nodes that may be removed, by tenant, as named by the person.
        expect_stations: Number of stations the person expects to be touched; needed above a set share.
        limit: The part of what is wanted that the plan is about; None for all of it.
        adopt: Whether stations that are observe-only are planned as if they were adopted just now.
        skip_under_hold: Whether stations under a hold are left out.
        identities: Whether identities on air may change, see ``PlanOptions``.
        reserved: Whether PLMNs that come on air are reserved for operator use.
        unlocks: Whether cells that a diverged run left locked come back on air, see ``PlanOptions``.
        beneath: Whether what has to be there before is planned too: functions that the stations are made of and that
            run nowhere yet, and pools that lack the namespace or the priority class of a function.
        stations: Whether stations that live in functions which restart come back by the same plan; not where a playbook
            has steps of its own for them.
    """

    selector: str = "*"
    remove: Mapping[str, int] = field(default_factory=dict)
    expect_stations: int | None = None
    _: KW_ONLY
    limit: Limit | None = None
    adopt: bool = False
    skip_under_hold: bool = False
    identities: bool = False
    reserved: bool = False
    unlocks: bool = False
    beneath: bool = False
    stations: bool = True


#: Stations that live in functions whose ledger is read, or intent worked out, together; how many such parts are cached.
_TOGETHER, _KEPT = 100, 4


@dataclass(frozen=True, slots=True)
class DesiredStation:
    """Desired configuration of one station, and its schema."""

    root: NodeSpec
    rendered: Rendered


@dataclass
class Progress:
    """How many stations are read and compared, of how many; the total is 0 until it is known."""

    done: int = 0
    total: int = 0


class Planner:
    """Reads devices and makes plans."""

    def __init__(
        self,
        store: AsyncStore,
        devices: Devices,
        clock: Clock,
        target_of: Callable[[Network, str], DeviceTarget],
    ) -> None:
        self._store = store
        self._devices = devices
        self._clock = clock
        self._target_of = target_of
        #: Intents of stations that live in functions, by network, day and part; the newest last.
        self._intents: list[tuple[Network, date, int, asyncio.Future[Intent]]] = []
        #: Functions that wait to be placed, with the pools that they leave; by whether all may move.
        self._waiting: dict[bool, tuple[Network, dict[str, set[str]], asyncio.Future[Placement]]] = {}
        self._placing = asyncio.Lock()

    @property
    def store(self) -> AsyncStore:
        """The record."""
        return self._store

    @property
    def clock(self) -> Clock:
        """The clock."""
        return self._clock

    # ---------------------------------------------------------------- reading

    async def read(self, network: Network, station: str, *, beside: bool = False) -> Observed:
        """Read one station's managed nodes, live.

        Args:
            network: The network as loaded.
            station: Its id.
            beside: Whether managed elements of other ids are asked for, too, which is a request of its own.

        Raises:
            DeviceError: It could not be read.
            NotFoundError: It has no endpoint.
        """
        target = self._target_of(network, station)
        async with self._devices.session(target) as session:
            seen, can = await session.read(), session.capabilities
            seen = with_unknown(seen, await elements_beside(session)) if beside else seen
        behaviour = TRUSTED if can.safe_commit else UNTRUSTED
        if (server := server_of(target, can, seen)) is not None:
            behaviour = await self._store.behaviours.get(server) or behaviour
        # The same object if possible: by that a session knows that a device reports the same again.
        return seen if seen.behaviour == behaviour else replace(seen, behaviour=behaviour)

    async def equipment(self, network: Network, station: str) -> Equipment:
        """One station's units and software, live; raises the errors of ``read``."""
        async with self._devices.session(self._target_of(network, station)) as session:
            known = equipped(session)
            return Equipment() if known is None else await known.equipment()

    async def measurements(self, network: Network, station: str) -> tuple[Period, ...]:
        """One station's latest measurements, live; raises the errors of ``read``."""
        async with self._devices.session(self._target_of(network, station)) as session:
            known = measuring(session)
            return () if known is None else await known.measurements()

    async def each(
        self, network: Network, stations: Iterable[str], work: Callable[[str, StationView], Awaitable[T]]
    ) -> dict[str, T]:
        """The result of ``work`` for each station's view: its configuration, or why it can't be read, and its records.

        Many are read at the same time, but views are not kept: those of a network take more memory than all else.
        """
        wanted = tuple(stations)
        records = await self._store.devices.find(wanted)
        gate = asyncio.Semaphore(_PARALLEL)

        async def one(station: str) -> T:
            async with gate:
                return await work(station, await self._view(network, station, records.get(station)))

        found = await asyncio.gather(*(one(station) for station in wanted))
        return dict(zip(wanted, found, strict=True))

    async def _view(self, network: Network, station: str, record: Device | None) -> StationView:
        adopted = record is not None and record.adopted is not None
        behind = network.stations_served.get(station, ())
        ledgers = await self._store.ledger.find([station, *behind])
        ledger = ledgers.get(station, {})
        nodes = nodes_behind(network, station, ledgers) if behind else ()
        served = frozenset(owner for node in nodes for owner in node.owners)
        try:
            observed = await self.read(network, station, beside=True)
        except (DeviceError, NotFoundError) as error:
            return StationView(None, adopted, ledger, error.message)
        retired, beside = (record.retired, record.beside) if record else (None, ())
        view = StationView(observed, adopted, ledger, retired=retired, served=served - {HOST}, beside=frozenset(beside))
        return await self._with_locks(station, view)

    async def _with_locks(self, station: str, view: StationView) -> StationView:
        """The view with who locked what, and with lost cells that were locked while the station still had them."""
        gone = view.ledger.keys() - (view.observed.tree if view.observed else view.ledger).keys()
        lost = {entry.cell for entry in cells({path: {} for path in gone})}
        health = (await self._store.healths.find([station])).get(station) if lost else None
        locked = frozenset(() if health is None else lost.intersection(health.locked))
        tree = {} if view.observed is None else view.observed.tree
        shut = [
            one for one in cells(tree) if one.path in view.ledger and administrative_state(tree, one.path) != "UNLOCKED"
        ]
        names = sorted({*locked, *(one.cell for one in shut)})
        held = [link.path for link in links(tree) if link.path in view.ledger and link_locked(tree, link.path)]
        if not names and not held:
            return view
        holders = await self._store.read(lock_holders, station, EVER, cells=names, links=held)
        left = await self._store.read(left_by_diverged, station, EVER, names) if holders else LeftLocked()
        words = {one: holder.words for one, holder in holders.items()}
        return replace(view, locked=locked, holders=words, left_locked=left.cells, lapsed=left.lapsed)

    async def views(self, network: Network, stations: Iterable[str]) -> dict[str, StationView]:
        """The views of a few stations; see ``each``."""

        async def keep(_station: str, view: StationView) -> StationView:
            return view

        return await self.each(network, stations, keep)

    # --------------------------------------------------------------- planning

    async def intent(self, network: Network, devices: Collection[str], at: datetime | None = None) -> Intent:
        """Facts of devices on the day of a time, by default now: functions stay on their pools as long as they may."""
        virtual = any(network.kind_of(device).rules.in_cloud for device in devices)
        running = await self.running(network) if virtual else None
        replicas = await self._replicas(network) if virtual else None
        closures = await self._closures(network) if virtual else OPEN
        day = network.day(at or self._clock.now())
        return await asyncio.to_thread(compile_intent, network, day, devices, running, closures, replicas)

    async def _closures(self, network: Network) -> Closures:
        """Pools that take no further functions now."""
        return await self._store.read(closures_now, network, self._clock.now())

    async def running(self, network: Network) -> dict[str, tuple[str, ...]]:
        """Pools of functions by the ledger, by function; the one that each came to last is first."""
        return await self._store.read(running_on, network.function_by_id)

    async def _replicas(self, network: Network) -> dict[str, int]:
        """Replicas that functions were applied with."""
        return await self._store.read(replicas_of, network.function_by_id)

    async def rebalanced(self, network: Network) -> Placement:
        """Where all functions would go if all may move."""
        running, day = await self.running(network), network.day(self._clock.now())
        closures, replicas = await self._closures(network), await self._replicas(network)
        return await asyncio.to_thread(lambda: place(network, day, running, closures, rebalance=True, applied=replicas))

    async def scaling_refusal(self, network: Network, function: str, replicas: int) -> str:
        """Why a function can't have so many replicas on its pool; empty if it can."""
        running, day = await self.running(network), network.day(self._clock.now())
        before = await self._replicas(network)
        refusal = await asyncio.to_thread(scaling_refusal, network, day, running, function, replicas, before)
        return refusal or await self._store.read(beyond_quota, network, running, function, replicas)

    async def elsewhere(self, network: Network, function: str, avoid: Collection[str] | None = None) -> Choice:
        """Where a function goes if it has to leave pools, with all others that are down now; or if all may move.

        No pool that takes nothing new is a place, nor one on which all functions are down. One
        placement looks at the whole network, for one function as for many. So one is made at a time, and is for all
        that have asked before it begins.

        Args:
            network: The network as loaded.
            function: Its id.
            avoid: Pools that it has to leave; None if all functions may move.
        """
        known, leaving, placed = self._waiting.get(avoid is None, (None, {}, None))
        if placed is None or known is not network:
            leaving = {}
            placed = asyncio.ensure_future(self._placed_together(network, leaving, rebalance=avoid is None))
            self._waiting[avoid is None] = network, leaving, placed
        leaving.setdefault(function, set()).update(avoid or ())
        return (await asyncio.shield(placed)).choices[function]

    async def _placed_together(self, network: Network, leaving: dict[str, set[str]], *, rebalance: bool) -> Placement:
        async with self._placing:
            if self._waiting[rebalance][1] is leaving:
                del self._waiting[rebalance]
            return await (self.rebalanced(network) if rebalance else self._relocated(network, leaving))

    async def _relocated(self, network: Network, leaving: Mapping[str, Collection[str]]) -> Placement:
        """Where functions go that leave pools, with those that are down and have not moved since."""
        now, on = self._clock.now(), await self.running(network)
        running = {name: pools[:1] for name, pools in on.items()}
        standing = await self._store.alarms.standing(network.function_by_id)
        down = {one.station: one.raised for one in standing if one.probable_cause in (FUNCTION_DOWN, *HIDES)}
        down_there = down.keys() & on.keys()
        jobs = await self._store.runs.ended_jobs(down_there, min(down.values(), default=now))
        moved = {job.station for job in jobs if job.finished >= down[job.station] and brought_to(job.changes)}
        still = down_there - moved
        well = {pool for name, pools in running.items() if name not in {*still, *leaving} for pool in pools}
        failed = {pool for name in still for pool in running[name]} - well
        closures = await self._closures(network)
        closures = replace(closures, pools={**dict.fromkeys(failed, "all functions there are down"), **closures.pools})
        away = {name: {*on.get(name, ()), *closures.pools} for name in still}
        away |= {name: {*pools, *closures.pools} for name, pools in leaving.items()}
        day, replicas = network.day(now), await self._replicas(network)
        return await asyncio.to_thread(lambda: place(network, day, running, closures, avoid=away, applied=replicas))

    async def restoration(self, network: Network, station: str, view: StationView) -> StationPlan:
        """The plan for a station that lost its configuration: what was applied, or else the network files."""
        view, options = await self._with_locks(station, view), PlanOptions()
        record = (await self._store.devices.find([station])).get(station)
        view = replace(view, beside=frozenset(record.beside if record else ()))
        if view.ledger:
            profiles = network.profiles_of(station)
            return await asyncio.to_thread(plan_station, station, profiles, applied(view.ledger), view, options)
        intent = await self._intent_around(network, station)
        return await asyncio.to_thread(lambda: Planning(network, intent, options).made(station, view))

    async def _intent_around(self, network: Network, station: str) -> Intent:
        """Facts of a station, worked out once for all that live in the same functions.

        Going through the whole network costs as much for one station as for many.
        """
        if station not in network.endpoint_function:
            return await self.intent(network, [station])
        names, day = sorted(network.endpoint_function), network.day(self._clock.now())
        part = names.index(station) // _TOGETHER
        for of, on, number, made in self._intents:
            if of is network and (on, number) == (day, part):
                return await asyncio.shield(made)
        chosen = names[part * _TOGETHER : (part + 1) * _TOGETHER]
        made = asyncio.ensure_future(asyncio.to_thread(compile_intent, network, day, chosen))
        self._intents = [*self._intents[1 - _KEPT :], (network, day, part, made)]
        return await asyncio.shield(made)

    async def plan(self, request: PlanRequest, actor: str, progress: Progress | None = None) -> Plan:
        """A plan that brings the selected stations to the state of the current network files.

        Args:
            request: What to plan.
            actor: Who asks, for the record.
            progress: Is called with how far the reading of stations is.

        Raises:
            InputError: The selector is wrong or matches nothing.
            PlanRefusedError: It removes or touches more than was named.
        """
        digest, network = await self._store.networks.get()
        stations = selected(network, request.selector)
        missing = await self._missing(network, stations) if request.beneath else frozenset()
        coming = {one for function in missing for one in network.stations_in.get(function, ())}.intersection(stations)
        stations = tuple(sorted({*stations, *missing} - coming))
        now = self._clock.now()
        holds = await self._store.holds.find(now)
        options = PlanOptions(
            selector=request.selector,
            remove=dict(request.remove),
            expect_stations=request.expect_stations,
            limit=request.limit,
            skip_under_hold=request.skip_under_hold,
            identities=request.identities,
            reserved=request.reserved,
            unlocks=request.unlocks,
            under_hold=under_hold(network, holds),
        )
        intent = await self.intent(network, stations, now)
        lacking = await self._lacking(network, intent, stations) if request.beneath else {}
        intent = replace(intent, pools={**intent.pools, **lacking})
        planning = Planning(network, intent, options)

        def add(station: str, view: StationView) -> None:
            planning.add(station, _as_adopted(network, intent, station, view) if request.adopt else view)

        progress = progress or Progress()
        progress.total = len(lacking) + len(stations)
        tested: list[asyncio.Task[Mapping[str, frozenset[Plmn]]]] = []

        async def one(station: str, view: StationView) -> None:
            if not request.reserved and planning.comes_anew(station, view):
                if not tested:
                    tested.append(asyncio.create_task(self._tested(network)))
                view = replace(view, tested=(await tested[0]).get(network.region_of(station), frozenset()))
            await asyncio.to_thread(add, station, view)
            change = planning.change_of(station)
            # Functions on a pool that the same plan makes ready can't be tested yet.
            ready = change is not None and not any(map(planning.change_of, lacking.keys() & brought_to([change])))
            if change is not None and ready and (refusal := await self.refusal(network, change, view)):
                planning.leave_out(station, refusal)
            progress.done += 1

        await self.each(network, lacking, one)
        functions = [station for station in stations if network.kind_of(station).rules.placed]
        await self.each(network, functions, one)
        back = await self._back(network, planning, functions) if request.stations else {}
        first = {*back, *functions}
        others = [station for station in stations if station not in first]
        progress.total = progress.done + len(others)
        await self.each(network, others, one)
        for change in back.values():
            planning.add_back(change)
        for station in coming:
            planning.follow(station, network.endpoint_function[station])
        planning.withhold({station: await self._linked(station) for station in planning.behind})
        plan = await asyncio.to_thread(planning.plan, digest, now)
        await self._store.plans.save(plan, actor)
        return plan

    async def _back(self, network: Network, planning: Planning, functions: Iterable[str]) -> dict[str, Change]:
        """Stations that lose what was applied to them by the planned changes of their functions."""
        changes = [change for function in functions if (change := planning.change_of(function)) is not None]
        back = await self.coming_back(network, changes)
        applied_to = await self._store.ledger.paths(back)
        return {station: change for station, change in back.items() if applied_to.get(station)}

    async def coming_back(self, network: Network, changes: Iterable[Change]) -> dict[str, Change]:
        """Stations in service that live in functions which these changes restart, and that are on a pool afterwards."""
        restarting = [change for change in changes if change.outage.interrupts]
        on = await self.pools_after(restarting)
        inside = {
            station: function
            for function, pools in on.items()
            for station in (network.stations_in.get(function, ()) if pools else ())
        }
        records, found = await self._store.devices.find(inside), dict[str, Change]()
        known = [one for one, record in records.items() if record.adopted is not None and record.retired is None]
        for start in range(0, len(known), _TOGETHER):
            part = known[start : start + _TOGETHER]
            ledgers = await self._store.ledger.find(part)
            found |= {station: coming_back(station, inside[station], ledgers.get(station, {})) for station in part}
        return found

    async def pools_after(self, changes: Iterable[Change]) -> dict[str, tuple[str, ...]]:
        """Pools that functions are on after changes of them, by function."""
        made = {change.station: change for change in changes}
        paths = await self._store.ledger.paths(made)
        return {
            function: pools_of({*paths.get(function, ()), *(node.path for node in change.gained)} - {*change.lost})
            for function, change in made.items()
        }

    async def _missing(self, network: Network, devices: Collection[str]) -> frozenset[str]:
        """Functions of stations that run nowhere yet."""
        named = {one for device in devices for one in network.functions_of(device)}
        return frozenset(named - (await self.running(network)).keys())

    async def _lacking(self, network: Network, intent: Intent, devices: Collection[str]) -> dict[str, PoolFact]:
        """Facts of pools that are not selected, and are not ready for a function that comes."""
        needed = {fact.pool for fact in intent.functions.values()}.difference(devices)
        ledgers = await self._store.ledger.paths(needed)
        comes = (one for one in intent.functions.values() if one.pool in needed)
        needs = ((one.pool, path) for one in comes for path in needed_on(one.pool, one.owner, one.priority))
        return await self._pools(network, {pool for pool, path in needs if path not in ledgers.get(pool, ())})

    async def _pools(self, network: Network, pools: Collection[str]) -> dict[str, PoolFact]:
        """Facts of pools today."""
        day = network.day(self._clock.now())
        return pool_facts(network, day, pools, await self.running(network)) if pools else {}

    async def unready(self, network: Network, functions: Iterable[str]) -> dict[str, frozenset[str]]:
        """Possible pools of functions that are not ready for them, by function; ready functions are absent."""
        may = {name: network.delays.pools_for[name] for name in functions}
        ledgers = await self._store.ledger.paths({pool for pools in may.values() for pool in pools})
        carried = {pool: frozenset(paths) for pool, paths in ledgers.items()}
        found = {}
        for name, pools in may.items():
            function = network.function_by_id[name]
            priority = priority_of(network.package_by_id[function.package].kind)
            needed = {
                pool: carried.get(pool, frozenset()).issuperset(needed_on(pool, function.side, priority))
                for pool in pools
            }
            if lacking := frozenset(pool for pool, there in needed.items() if not there):
                found[name] = lacking
        return found

    async def readied(self, network: Network, digest: str, pools: Collection[str]) -> Plan:
        """A plan that brings pools to the network files, as if they were adopted just now; it is not put on record.

        Raises:
            PlanRefusedError: It would remove something.
        """
        intent = Intent({}, (), pools=await self._pools(network, pools))
        planning = Planning(network, intent, PlanOptions(max_share=1.0))

        async def one(pool: str, view: StationView) -> None:
            await asyncio.to_thread(planning.add, pool, _as_adopted(network, intent, pool, view))

        await self.each(network, sorted(pools), one)
        return await asyncio.to_thread(planning.plan, digest, self._clock.now())

    async def _tested(self, network: Network) -> Mapping[str, frozenset[Plmn]]:
        """PLMNs of ours that are reserved for operator use, by region: their tenants are not open to all users yet."""
        found: dict[str, frozenset[Plmn]] = {}
        for station, entries in (await self._store.ledger.saying("true")).items():
            plmns = {broadcast_plmn(path) for path, one in entries.items() if is_reserved({path: one.leaves}, path)}
            if plmns and network.manages(station):
                region = network.region_of(station)
                found[region] = found.get(region, frozenset()) | plmns
        return found

    async def refusal(self, network: Network, change: Change, view: StationView) -> str:
        """Why a device that tests edits refuses its change; empty if it accepts it, tests none, or is away by now."""
        if view.observed is None or not view.observed.tries:
            return ""
        try:
            async with self._devices.session(self._target_of(network, change.station)) as session:
                await session.read()
                for phase in change.phases:
                    await session.edit(phase.edits)
                await session.discard()
        except DeviceRefusedError as error:
            return error.message
        except DeviceError:
            return ""
        return ""

    async def _linked(self, station: str) -> frozenset[str]:
        """Tenants that have core links of ours on a station."""
        ledgers = await self._store.ledger.find([station])
        return link_owners(ledgers.get(station, {}))

    async def with_links(self, network: Network, change: Change) -> Change:
        """A change whose checks include the core links behind a router, if it takes something from the router."""
        if not network.kind_of(change.station).rules.carries_links:
            return change
        ledgers = await self._store.ledger.find(network.stations_behind(change.station))
        return watched(change, network, ledgers)

    async def adopt(
        self, selector: str, actor: str, progress: Progress | None = None, *, beside: Collection[str] = ()
    ) -> dict[str, AdoptionOutcome]:
        """Adopt the selected stations, and the routers of their sites; see ``adopt_devices``."""
        _, network = await self._store.networks.get()
        return await self.adopt_devices(selected(network, selector), actor, progress, beside=beside)

    async def adopt_devices(
        self,
        stations: Sequence[str],
        actor: str,
        progress: Progress | None = None,
        *,
        beside: Collection[str] = (),
    ) -> dict[str, AdoptionOutcome]:
        """Adopt devices: nodes that match the intent exactly enter the ledger.

        Args:
            stations: The devices.
            actor: Who asks, for the record.
            progress: Is told how many are done.
            beside: Ids of managed elements that may stand beside a station's own, or come before it: the person knows
                whose they are. What was agreed to before holds as long as the station carries it.

        Returns:
            The outcome by device.
        """
        digest, network = await self._store.networks.get()
        progress = progress or Progress()
        progress.total = len(stations)
        intent = await self.intent(network, stations)

        async def adopt(station: str, view: StationView) -> AdoptionOutcome:
            if view.observed is None and station in network.endpoint_function:
                await self._store.devices.adopt(station, (), digest, actor)
                return AdoptionOutcome(station, AdoptionCode.EMPTY)
            if view.observed is None:
                return AdoptionOutcome(station, AdoptionCode.UNREAD, unread=view.unreachable)
            wanted = _wanted(network, intent, station)
            foreign = foreign_elements(wanted.root, view.observed)
            if strange := [one for one in foreign if one not in {*beside, *view.beside}]:
                own = carries_its_own(wanted.root, view.observed)
                return AdoptionOutcome(station, AdoptionCode.FOREIGN, foreign=tuple(strange), own=own)
            nodes = adopted_nodes(wanted.root, wanted.rendered, view.observed)
            generation = generation_of(wanted.root, view.observed, station)
            await self._store.devices.adopt(station, nodes, digest, actor, generation, foreign)
            return AdoptionOutcome(station, AdoptionCode.ADOPTED, nodes=len(nodes), foreign=tuple(foreign))

        async def one(station: str, view: StationView) -> AdoptionOutcome:
            said = await adopt(station, view)
            progress.done += 1
            return said

        return await self.each(network, stations, one)

    async def carried(self) -> tuple[list[CarriedNodes], list[str]]:
        """Managed nodes on all adopted stations, in the form of the ledger; and stations that could not be read."""
        records, (_, network) = await self._store.devices.find(), await self._store.networks.get()
        adopted = [name for name, record in records.items() if record.adopted is not None and network.manages(name)]
        intent = await self.intent(network, adopted)

        def look(station: str, view: StationView) -> CarriedNodes | None:
            if view.observed is None:
                return None
            wanted = _wanted(network, intent, station)
            nodes, lost = carried_nodes(wanted.root, wanted.rendered, view.ledger, view.observed)
            return CarriedNodes(station=station, nodes=nodes, lost=lost)

        found = await self.each(network, adopted, lambda station, view: asyncio.to_thread(look, station, view))
        unread = sorted(station for station, carried in found.items() if carried is None)
        return [
            carried for carried in found.values() if carried is not None and (carried.nodes or carried.lost)
        ], unread

    # ------------------------------------------------------------------ drift

    async def drift(self, stations: Sequence[str]) -> dict[str, tuple[DiffRow, ...]]:
        """Differences from what was last applied, for adopted stations that can be read; see ``compared``."""
        return (await self.compared(stations))[0]

    async def compared(self, stations: Sequence[str]) -> tuple[dict[str, tuple[DiffRow, ...]], dict[str, str]]:
        """Differences of adopted stations from what was last applied, and why others of them could not be read.

        Drift is measured against this and not against the current files, so that a repair never applies a change that
        is loaded but that nobody applied yet.
        """
        records, (_, network) = await self._store.devices.find(stations), await self._store.networks.get()
        adopted = [name for name, record in records.items() if record.adopted is not None and network.manages(name)]

        def differs(station: str, view: StationView) -> tuple[DiffRow, ...] | str:
            if view.observed is None:
                return view.unreachable
            return drift(root_spec(network.profiles_of(station)), applied(view.ledger), view)

        found = await self.each(network, adopted, lambda station, view: asyncio.to_thread(differs, station, view))
        return (
            {station: rows for station, rows in found.items() if not isinstance(rows, str)},
            {station: reason for station, reason in found.items() if isinstance(reason, str)},
        )


#: Resources that a quota limits: leaves of a quota and a replica, with their words.
_LIMITED = dict(zip(("cpus", "memoryGb", "hugepagesGb", "accelerators"), PARTS, strict=True))


def beyond_quota(
    store: Store, network: Network, running: Mapping[str, Sequence[str]], function: str, replicas: int
) -> str:
    """Resources that a function's owner lacks for so many replicas, by the quota on its pool; empty if none.

    It compares quota and functions as they were applied.
    """
    pool, owner = next(iter(running.get(function, ())), ""), network.function_by_id[function].side
    beside = [name for name, pools in running.items() if pool in pools and network.function_by_id[name].side == owner]
    ledgers = store.ledger.find([pool, *beside])
    quota = ledgers.get(pool, {}).get(quota_path(pool, owner))
    if quota is None:
        return ""
    taken = Counter[str]()
    for name in beside:
        leaves = ledgers[name][deployment_path(name, pool)].leaves
        count = replicas if name == function else int(str(leaves.get("replicas", "1")))
        taken.update({part: count * int(str(leaves.get(part, "0"))) for part in _LIMITED})
    for part, limit in ((part, int(str(limit))) for part, limit in quota.leaves.items() if part in _LIMITED):
        if taken[part] > limit:
            return (
                f"the quota of {namespace_of(owner)} is {limit} {_LIMITED[part]}, and its pods would ask for "
                f"{taken[part]}; name the replicas in the network files and apply them first (minka plan pool={pool})"
            )
    return ""


def selected(network: Network, selector: str) -> tuple[str, ...]:
    """Stations of a selector.

    Raises:
        InputError: The selector is wrong, or matches nothing.
    """
    stations = select_with_ways(network, selector)
    if not stations:
        raise InputError(f"the selector {selector!r} matches no device")
    return stations


def _wanted(network: Network, intent: Intent, station: str) -> DesiredStation:
    return DesiredStation(root_spec(network.profiles_of(station)), wanted_by(intent, network, station))


def _as_adopted(network: Network, intent: Intent, station: str, view: StationView) -> StationView:
    """A view as it will be after the station is adopted."""
    if view.adopted or view.observed is None:
        return view
    wanted = _wanted(network, intent, station)
    nodes = adopted_nodes(wanted.root, wanted.rendered, view.observed)
    return replace(
        view,
        adopted=True,
        retired=None,
        ledger={node.path: LedgerEntry(station=station, **dict(node)) for node in nodes},
    )
