"""Placement: which pool each function runs on, and why.

A function may run on pools that are near enough to all its stations (``Delays.pools_for``) and have room
(``controller.intent.packing``). Running functions stay where they are as long as they may, so that a new function moves
none; ``rebalance`` lets all move. Of the others, as many as possible get a place; CUs leave edges to DUs if regional
pools suffice; and then the total delay from pools to stations is as short as possible.

This is the generalised assignment problem with several resources, which is NP-hard. Functions with the greatest regret
(what a function loses if its best pool is taken) are placed first. Then chains of moves, in which one function makes
way for the next (shortest augmenting paths, as for the transportation problem), improve the result until none is
better. ``lower_bound`` shows how far from the optimum that may be, by Lagrangian relaxation of the pools' resources.
Solvers (OR-tools CP-SAT, HiGHS) were measured and not used: docs/explanation/placement.md.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from heapq import heappop, heappush
from types import MappingProxyType

from controller.intent.packing import FailureCase, Load, PoolPacking, PoolSnapshot, Size, SoldCapacity, load_of, losses
from controller.models.cloud import Function, Node, Package, Pool
from controller.models.network import HOST, Network

#: Cost of a function without a place, in microseconds for each of its stations: more than any place.
UNPLACED_US = 10_000_000
_NOBODY: Mapping[str, Collection[str]] = MappingProxyType({})
_AS_FILED: Mapping[str, int] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Choice:
    """The place of a function.

    Attributes:
        pool: Its pool; empty if there is no place for it.
        latency_us: Delay to the farthest of its stations, one way, in microseconds.
        was: Where it runs, if that is not ``pool``.
        reason: Why there, in words.
    """

    function: str
    pool: str
    latency_us: int
    was: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class SideUse:
    """The part of a pool that the host or a tenant has: bought, kept for it alone, and taken by functions.

    Functions that were bought as such count as the host's.
    """

    bought_cores: int
    kept_cores: float
    used_cores: int
    bought_gbps: float
    kept_gbps: float
    used_gbps: float


@dataclass(frozen=True, slots=True)
class PoolUse:
    """Resources of a pool, without its reserve: the total, and what is taken, kept and free.

    Attributes:
        committed_cores: Cores taken by functions, or kept for tenants that bought them.
        sides: Sides that bought some of it, or have functions there.
    """

    pool: str
    capacity: Size
    used: Size
    committed_cores: float
    sides: Mapping[str, SideUse]
    functions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Placement:
    """Places of all functions.

    Attributes:
        cost_us: The minimised cost: the sum of microseconds from functions' pools to the sites of their stations. A CU
            on an edge pool costs its delay limit more for each station; on a site's pool, twice that.
    """

    choices: Mapping[str, Choice]
    pools: Mapping[str, PoolUse]
    cost_us: int

    @property
    def unplaced(self) -> tuple[Choice, ...]:
        """Functions without a place."""
        return tuple(choice for choice in self.choices.values() if not choice.pool)

    @property
    def moves(self) -> tuple[Choice, ...]:
        """Functions that run on another pool than their place."""
        return tuple(choice for choice in self.choices.values() if choice.pool and choice.was)


@dataclass(frozen=True, slots=True)
class Closures:
    """Pools that take no further functions now, each with the reason in words.

    Attributes:
        pools: Pools that take none.
        fixed: Those of them that functions do not leave for a better place either.
        frozen: Sites and regions under a freeze (``site:cusco-1``): pools there take only functions that the freeze
            binds as well, which then wait for its end or for an override.
        short: Pools that lack nodes: they take only functions without another place.
    """

    pools: Mapping[str, str] = field(default_factory=dict)
    fixed: Collection[str] = frozenset()
    frozen: Mapping[str, str] = field(default_factory=dict)
    short: Mapping[str, str] = field(default_factory=dict)

    def __hash__(self) -> int:
        """Equal hash for equal closures, so that results can be cached."""
        return hash(tuple(tuple(sorted(one.items())) for one in (self.pools, self.frozen, self.short)))

    def reasons(self, network: Network, function: str) -> dict[str, str]:
        """Why a function goes to none of these pools, among those near enough."""
        shut = {pool: self.pools[pool] for pool in network.delays.pools_for[function] if pool in self.pools}
        return shut | self.frozen_for(network, function)

    def frozen_for(self, network: Network, function: str) -> dict[str, str]:
        """Pools near enough that a freeze closes for a function, which it does not bind itself, with the reason."""
        near = network.delays.pools_for[function] if self.frozen else ()
        bound = network.bound_by(function) if self.frozen else ()
        found: dict[str, str] = {}
        for pool in (network.pool_by_id[one] for one in near if one in network.pool_by_id):
            for target in self._frozen_with(pool):
                if target not in bound:
                    found[pool.id] = self.frozen[target]
        return found

    def words(self, pool: Pool) -> str:
        """Why a pool takes no functions, or not all; empty if it is open."""
        if pool.id in self.pools:
            return self.pools[pool.id]
        said = [f"{self.frozen[target]}: takes only what the freeze binds too" for target in self._frozen_with(pool)]
        if pool.id in self.short:
            said.append(f"{self.short[pool.id]}: takes only what has no other place")
        return "; ".join(said)

    def _frozen_with(self, pool: Pool) -> list[str]:
        return [target for target in (f"site:{pool.site}", f"region:{pool.region}") if target in self.frozen]


#: All pools take functions, as far as they have room.
OPEN = Closures()


def place(
    network: Network,
    as_of: date,
    running: Mapping[str, Collection[str]] = _NOBODY,
    closures: Closures = OPEN,
    *,
    avoid: Mapping[str, Collection[str]] = _NOBODY,
    rebalance: bool = False,
    applied: Mapping[str, int] = _AS_FILED,
) -> Placement:
    """Find a pool for each function. Pure: equal input gives an equal answer, whatever its order.

    Args:
        network: The network as loaded.
        as_of: The day whose agreements count.
        running: Pools that functions run on, by function. Of several, the first that may keep it counts: name the one
            first to which it came last.
        closures: Pools that take no further functions.
        avoid: Pools that functions have to leave, by function.
        rebalance: Let also functions move that may stay where they are.
        applied: Replicas that functions were applied with. They take room, where they are more than the files'.
    """
    return _Placing(network, as_of, running, rebalance, closures, avoid, applied).answer()


def scaling_refusal(
    network: Network,
    as_of: date,
    running: Mapping[str, Collection[str]],
    function: str,
    replicas: int,
    applied: Mapping[str, int] = _AS_FILED,
) -> str:
    """Why a function can't have so many replicas on its pool; empty if it can, or runs nowhere.

    See ``place`` for the arguments.
    """
    placing = _Placing(network, as_of, running, rebalance=False, applied=applied)
    if placing.at.get(function, "") not in running.get(function, ()):
        return ""
    job = placing.jobs[function]
    pool = placing.take(job)
    known = job.function.model_copy(update={"replicas": replicas})
    wanted = load_of(known, network.package_by_id[known.package], job.load.side, job.load.stations)
    return placing.rooms[pool].refusal(wanted)


@dataclass(frozen=True, slots=True)
class NodeLoss:
    """The effect of losing nodes of a pool, in the worst case.

    Attributes:
        restarting: Functions that lose all replicas, and start elsewhere on the pool.
        moving: Functions for which the pool has no room any more, each with a pool that has.
        down: Functions for which no pool has room.
        seconds: Time until restarting or moving functions are ready again, by their packages.
        tenants: Tenants with cells on the stations that these functions serve, by agreements in force.
    """

    pool: str
    nodes: tuple[str, ...]
    restarting: tuple[str, ...]
    moving: Mapping[str, str]
    down: tuple[str, ...]
    seconds: int
    stations: tuple[str, ...]
    tenants: tuple[str, ...]


def worst_losses(
    network: Network,
    as_of: date,
    count: int,
    running: Mapping[str, Collection[str]] = _NOBODY,
    applied: Mapping[str, int] = _AS_FILED,
) -> tuple[NodeLoss, ...]:
    """The effect of losing ``count`` failure domains, for each pool with functions in its worst case.

    The worst case has the most stations of functions without a place, then of functions that restart or move. Nodes of
    functions are those of Minka's packing; the pool's scheduler may have chosen others. Arguments are those of
    ``place``.
    """
    placing = _Placing(network, as_of, running, rebalance=False, applied=applied)
    found = []
    for pool, room in sorted(placing.rooms.items()):
        ways = [placing.loss(pool, lost, as_of) for lost in losses(room.nodes, count)] if room.loads else []
        found += sorted(ways, key=lambda one: (-len(placing.served(one.down)), -len(one.stations), one.nodes))[:1]
    return tuple(found)


def sold(network: Network, as_of: date) -> dict[str, dict[str, SoldCapacity]]:
    """Capacity of pools that agreements in force give tenants, by pool and tenant."""
    found: dict[str, dict[str, SoldCapacity]] = {}
    for agreement in sorted(network.agreements, key=lambda one: one.id):
        for one in agreement.capacity if agreement.validity.holds_on(as_of) else ():
            before = found.setdefault(one.pool, {}).get(agreement.tenant, SoldCapacity())
            found[one.pool][agreement.tenant] = SoldCapacity(
                before.cores + one.cores,
                before.gbps + one.gbps,
                before.kept_cores + one.cores * one.kept_percent / 100,
                before.kept_gbps + one.gbps * one.kept_percent / 100,
            )
    return found


def bought(network: Network, as_of: date) -> frozenset[str]:
    """Functions that agreements in force give tenants as such."""
    return frozenset(name for one in network.agreements if one.validity.holds_on(as_of) for name in one.functions)


@dataclass(frozen=True, slots=True)
class _Job:
    """A function to place.

    Attributes:
        ways: Its cost on a pool, and the delay to its farthest station, by pool.
        near: These pools, the best first.
        shut: Why it may not go to pools that are near enough.
        fixed: Why it stays where it runs although all may move; mostly empty.
    """

    function: Function
    central: bool
    load: Load
    ways: Mapping[str, tuple[int, int]]
    apart: frozenset[str]
    near: tuple[str, ...]
    shut: Mapping[str, str]
    fixed: str

    def cost(self, pool: str) -> int:
        """Its cost on a pool, or without one (empty)."""
        return self.ways[pool][0] if pool else UNPLACED_US * max(1, self.load.stations)

    @property
    def regret(self) -> int:
        """The extra cost if it does not get its best pool."""
        if len(self.near) < 2:
            return self.cost("")
        return self.ways[self.near[1]][0] - self.ways[self.near[0]][0]


def jobs(
    network: Network,
    as_of: date,
    running: Mapping[str, Collection[str]] = _NOBODY,
    closures: Closures = OPEN,
    avoid: Mapping[str, Collection[str]] = _NOBODY,
    applied: Mapping[str, int] = _AS_FILED,
) -> dict[str, _Job]:
    """All functions of known packages, by id."""
    apart: dict[str, set[str]] = defaultdict(set)
    for function in network.functions:
        for other in function.apart_from:
            apart[function.id].add(other)
            apart[other].add(function.id)
    own = bought(network, as_of)
    found: dict[str, _Job] = {}
    for function in sorted(network.functions, key=lambda one: one.id):
        package = network.package_by_id.get(function.package)
        if package is None:
            continue
        stations = network.stations_served[function.id]
        side = HOST if function.id in own else function.side
        here, closed = running.get(function.id, ()), closures.reasons(network, function.id)
        stays = {*closures.fixed, *closures.frozen_for(network, function.id)}
        fixed = [why for pool, why in closed.items() if pool in here and pool in stays]
        shut = {pool: why for pool, why in closed.items() if pool not in here}
        shut |= {pool: closed.get(pool, "it has to leave it") for pool in avoid.get(function.id, ())}
        short = closures.short.keys() - set(here)
        ways = {
            pool: _way(network, function, package, pool, short=pool in short)
            for pool in network.delays.pools_for[function.id]
            if pool not in shut
        }
        near = tuple(sorted(ways, key=lambda pool: (ways[pool][0], pool)))
        found[function.id] = _Job(
            function,
            package.kind.is_central,
            load_of(_as_applied(function, applied), package, side, len(stations)),
            ways,
            frozenset(apart[function.id]),
            near,
            shut,
            next(iter(fixed), ""),
        )
    return found


def _as_applied(function: Function, applied: Mapping[str, int]) -> Function:
    """A function with the replicas that it was applied with, if these are more than the network files'."""
    more = applied.get(function.id, 0)
    return function if more <= function.replicas else function.model_copy(update={"replicas": more})


def _way(network: Network, function: Function, package: Package, pool: str, *, short: bool) -> tuple[int, int]:
    """Cost of a function on a pool, and microseconds to its farthest station; 0 if a pinned pool is too far.

    The cost is the delay to the sites of its stations. A CU on an edge pool costs its delay limit in addition, so that
    a regional pool is always better. A function on a pool that is short of nodes costs half as much as one without a
    place.
    """
    ways = network.delays.ways_to_all[function.id].get(pool, ())
    served = network.stations_served[function.id] if ways else ()
    sites = (network.station_by_id[station].site for station in served)
    whole = sum(network.delays.latency_us.get(site, {}).get(pool, us) for site, us in zip(sites, ways, strict=True))
    known = network.pool_by_id.get(pool)
    scarce = known.where.scarcity if known is not None and package.kind.is_central else 0
    more = scarce * (function.max_latency_us or 0) + (UNPLACED_US // 2 if short else 0)
    return whole + more * len(served), max(ways, default=0)


def rooms(network: Network, as_of: date) -> dict[str, PoolPacking]:
    """All pools, empty."""
    bought_there = sold(network, as_of)
    return {
        pool.id: PoolPacking(pool, network.nodes_of[pool.id], bought_there.get(pool.id, {})) for pool in network.pools
    }


class _Placing:
    """A placement under construction."""

    def __init__(
        self,
        network: Network,
        as_of: date,
        running: Mapping[str, Collection[str]],
        rebalance: bool,
        closures: Closures = OPEN,
        avoid: Mapping[str, Collection[str]] = _NOBODY,
        applied: Mapping[str, int] = _AS_FILED,
    ) -> None:
        self.jobs = jobs(network, as_of, running, closures, avoid, applied)
        self._short = closures.short
        self.rooms = rooms(network, as_of)
        self.at: dict[str, str] = {}
        self._network = network
        self._running = {name: tuple(pools) for name, pools in running.items() if pools}
        self._rebalance = rebalance
        self._kept: set[str] = set()
        self._strained: set[str] = set()
        self._attempts: list[dict[str, PoolSnapshot]] = []
        self._effort = self._enough = 0
        self._keep(reserve=True)
        self._fill()
        self._improve()
        self._keep(reserve=False)

    # ------------------------------------------------------------------ moves

    def served(self, functions: Iterable[str]) -> set[str]:
        """Stations of some functions."""
        return {station for name in functions for station in self._network.stations_served[name]}

    def loss(self, pool: str, lost: Sequence[Node], as_of: date) -> NodeLoss:
        """The effect of losing nodes of a pool; changes nothing."""
        room = self.rooms[pool]
        left = FailureCase([node for node in room.nodes if node not in lost])
        gone = {name for name in room.loads if set(room.whole.nodes_of(name)) <= set(lost)}
        there = () if room.bears(lost) else sorted((self.jobs[name] for name in room.loads), key=_important)
        homeless = [job for job in there if not left.add(job.load)]
        moving: dict[str, str] = {}

        def find_room() -> bool:
            for job in homeless:
                elsewhere = (one for one in job.near if one != pool)
                if (found := next((one for one in elsewhere if self._fits(job, one)), None)) is not None:
                    moving[job.function.id] = found
            return False  # Whatever it found, nothing changes.

        here = {job.function.id: pool for job in homeless}
        self._attempt(find_room)
        self.at |= here
        hit = sorted(gone | here.keys())
        stations = tuple(sorted(self.served(hit)))
        tenants = {
            one.tenant
            for one in self._network.agreements
            if one.validity.holds_on(as_of) and next(self._network.cells_of(one, stations), None) is not None
        }
        packages = (self._network.package_by_id[self.jobs[name].function.package] for name in hit)
        return NodeLoss(
            pool=pool,
            nodes=tuple(node.id for node in lost),
            restarting=tuple(sorted(gone - here.keys())),
            moving=moving,
            down=tuple(sorted(here.keys() - moving.keys())),
            seconds=max((package.start_seconds for package in packages), default=0),
            stations=stations,
            tenants=tuple(sorted(tenants)),
        )

    def _fits(self, job: _Job, pool: str) -> bool:
        """Put a function on a pool if there is room."""
        room = self.rooms[pool]
        if not job.apart.isdisjoint(room.loads) or not room.may_take(job.load):
            return False
        self._note(pool)
        if not room.add(job.load):
            return False
        self.at[job.function.id] = pool
        return True

    def take(self, job: _Job) -> str:
        """Take a function off its pool; returns the pool."""
        pool = self.at[job.function.id]
        self._note(pool)
        del self.at[job.function.id]
        self.rooms[pool].remove(job.load)
        return pool

    def _note(self, pool: str) -> None:
        """Remember the state of a pool before it changes, for each attempt that may be given up."""
        for before in self._attempts:
            if pool not in before:
                before[pool] = self.rooms[pool].mark()

    def _attempt(self, steps: Callable[[], bool]) -> bool:
        """Try steps as a whole: if they return False, nothing has changed."""
        before: dict[str, PoolSnapshot] = {}
        self._attempts.append(before)
        done = steps()
        self._attempts.pop()
        for pool, mark in before.items() if not done else ():
            for name in self.rooms[pool].loads:
                self.at.pop(name, None)
            self.rooms[pool].restore(mark)
        for pool in before if not done else ():
            self.at |= dict.fromkeys(self.rooms[pool].loads, pool)
        return done

    def _keep(self, *, reserve: bool) -> None:
        """Keep running functions that have no other place, as far as they may stay and resources suffice."""
        for job in sorted(self.jobs.values(), key=_important):
            may_go = reserve and self._rebalance and not job.fixed
            runs = () if may_go or job.function.id in self.at else self._running.get(job.function.id, ())
            for pool in (one for one in runs if one in job.ways):
                room = self.rooms[pool]
                if job.apart.isdisjoint(room.loads) and room.hold(job.load, reserve=reserve):
                    self.at[job.function.id] = pool
                    self._kept.add(job.function.id)
                    if not reserve:
                        self._strained.add(job.function.id)
                    break

    def _fill(self) -> None:
        """Give each other function its nearest pool with room; those that lose most without it go first."""
        left = [job for name, job in self.jobs.items() if name not in self.at]
        for job in sorted(left, key=lambda job: (-job.regret, *_important(job))):
            any(self._fits(job, pool) for pool in job.near)

    def _improve(self) -> None:
        """Move functions that may move, as long as that is better, and make room for those without a place."""
        waiting = [name for name in self.jobs if name not in self._kept]
        squeezes = _SQUEEZES
        for _ in range(_ROUNDS):
            changed = [name for name in waiting if self._better(self.jobs[name])]
            for name in waiting:
                if name not in self.at and squeezes:
                    self._enough, squeezes = self._effort + _EFFORT, squeezes - 1
                    changed += [name] if self._attempt(partial(self._make_room, self.jobs[name])) else []
            if not changed:
                return

    def _better(self, job: _Job) -> bool:
        """Whether a function found a better place, or a place at all; moves it there."""
        here = self.at.get(job.function.id, "")
        if here and here == job.near[0]:
            return False
        self._enough = self._effort + _EFFORT
        return self._attempt(partial(self._elsewhere, job) if here else partial(self._chain, job, job.cost("")))

    def _elsewhere(self, job: _Job) -> bool:
        """Move a function to a nearer pool."""
        return self._chain(job, job.cost(self.take(job)))

    def _make_room(self, job: _Job) -> bool:
        """Put a function somewhere, whatever that costs others; False unless less is without a place than before."""
        before = self._homeless
        return self._squeeze(job, _DEEPEST) and self._homeless < before

    @property
    def _homeless(self) -> int:
        """Stations of functions that have no place, as these count."""
        return sum(job.cost("") for name, job in self.jobs.items() if name not in self.at)

    def _squeeze(self, job: _Job, depth: int) -> bool:
        """Put a function somewhere; others lose their place at most where they count for less together."""
        if self._chain(job, job.cost("")):
            return True
        return depth > 0 and any(
            self._effort < self._enough and self._attempt(partial(self._clear, job, pool, depth)) for pool in job.near
        )

    def _clear(self, job: _Job, pool: str, depth: int) -> bool:
        """Put a function on a pool that several others leave."""
        leaving: list[_Job] = []
        for other in self._movable(pool, job.cost("")):
            if len(leaving) == _LEAVING or self._fits(job, pool):
                break
            self.take(other)
            leaving.append(other)
        if self.at.get(job.function.id) != pool and not self._fits(job, pool):
            return False
        leaving.sort(key=lambda one: (-one.load.cpus, one.function.id))
        lost = sum(one.cost("") for one in leaving if not self._squeeze(one, depth - 1))
        return lost < job.cost("") and job.function.id in self.at

    def _movable(self, pool: str, cost: int) -> list[_Job]:
        """Functions that may leave a pool for one that counts for so much, those first that lose least by it."""
        found = []
        for name in self.rooms[pool].loads:
            other = self.jobs[name]
            elsewhere = [other.cost(one) for one in other.near if one != pool]
            if name not in self._kept and (elsewhere or other.cost("") < cost):
                found.append((min(elsewhere, default=other.cost("")) - other.cost(pool), name))
        return [self.jobs[name] for _, name in sorted(found)]

    def _chain(self, job: _Job, limit: int) -> bool:
        """Put a function on a pool while others move to other pools, if that costs less than ``limit``."""
        futile: set[tuple[str, str]] = set()
        while len(futile) < _TRIED:
            chain = self._cheapest(job, limit, futile)
            if not chain:
                break
            if self._attempt(partial(self._carry_out, chain)):
                return True
            futile.add(chain[-1])
        # A cheaper chain that leads nowhere may have hidden a pool where there is room.
        return any(job.cost(pool) < limit and self._fits(job, pool) for pool in job.near)

    def _cheapest(self, job: _Job, limit: int, futile: Collection[tuple[str, str]]) -> list[tuple[str, str]]:
        """Functions and their new pools: each but the first leaves the pool that the one before takes.

        This is a shortest path through the pools: from each one to those where its functions could go, until there is
            room.
        """
        way = _Paths(job, limit)
        while self._effort < self._enough and (pool := way.next()) is not None:
            self._effort += 1
            name = way.incoming(pool)
            if not pool:
                return way.to(pool)
            room, coming = self.rooms[pool], self.jobs[name]
            if not coming.apart.isdisjoint(room.loads):
                continue
            if (name, pool) not in futile and room.takes(coming.load):
                return way.to(pool)
            leaving = (self.jobs[other] for other in room.loads if other not in self._kept)
            way.push(pool, [one for one in leaving if room.may_take(coming.load, instead_of=one.load)], futile)
        return []

    def _carry_out(self, chain: Sequence[tuple[str, str]]) -> bool:
        """Move functions, beginning at the end of a chain; False if one does not fit after all."""
        for name, _ in chain[1:]:
            self.take(self.jobs[name])
        return all(not pool or self._fits(self.jobs[name], pool) for name, pool in reversed(chain))

    # ------------------------------------------------------------------ words

    def answer(self) -> Placement:
        """The placement with its reasons."""
        choices = {name: self._choice(job) for name, job in self.jobs.items()}
        pools = {pool: _use(room) for pool, room in sorted(self.rooms.items())}
        cost = sum(job.cost(self.at.get(name, "")) for name, job in self.jobs.items())
        return Placement(choices, pools, cost)

    def _choice(self, job: _Job) -> Choice:
        name = job.function.id
        pool, runs = self.at.get(name, ""), tuple(sorted(self._running.get(name, ())))
        was = () if pool in runs else runs
        latency = job.ways[pool][1] if pool else 0
        return Choice(name, pool, latency, was, self._reason(job, pool, runs))

    def _reason(self, job: _Job, pool: str, runs: tuple[str, ...]) -> str:
        if not pool:
            return self._no_place(job)
        left = ", ".join(f"{one} has no place for it ({self._refusal(job, one)})" for one in runs if one != pool)
        moved = f"moves since {left}; " if pool not in runs and runs and not self._rebalance else ""
        if job.function.id in self._strained:
            return f"runs there and stays, though that takes from the pool's reserve: {self._no_place(job)}"
        if self._rebalance and job.fixed and pool in runs:
            return f"stays there: {job.fixed}"
        if job.function.pool is not None:
            return f"{moved}pinned to {pool} by the network files"
        if pool in runs and not self._rebalance:
            return f"runs there and may stay: {self._far(job, pool)}{self._beside(job, pool)}"
        passed = self._passed(job, pool)
        refused = ", ".join(f"{one} not: {why}" for one, why in passed.items() if one not in runs)
        of = self._nearest_of(job, pool) if not passed else "the nearest with room"
        return f"{moved}{of}: {self._far(job, pool)}" + (f"; {refused}" if refused else "")

    def _beside(self, job: _Job, pool: str) -> str:
        """Where a function that stays might have a better place, if there is room."""
        better = job.near[0]
        if job.ways[better][0] == job.ways[pool][0] or self._refusal(job, better):
            return ""
        alike = self._alike(job, better, pool)
        return f", though {better} " + ("is nearer" if alike else "would do, which leaves edges to DUs")

    def _passed(self, job: _Job, pool: str) -> dict[str, str]:
        """Why a function is not on pools that are better than its own, or would be better."""
        ways = self._network.delays.ways_to_all[job.function.id]
        nearer = {one for one in ways if max(ways[one]) < job.ways[pool][1]}
        better = [one for one in job.near if job.ways[one][0] < job.ways[pool][0]]
        whys = {one: self._refusal(job, one) or "others lose more without it" for one in better}
        whys |= {one: why for one, why in self._short.items() if one in nearer and one not in whys}
        return whys | {one: why for one, why in job.shut.items() if one in nearer}

    def _alike(self, job: _Job, one: str, other: str) -> bool:
        """Whether only the delay decides between two pools."""
        known = self._network.pool_by_id
        return not job.central or known[one].where is known[other].where

    def _nearest_of(self, job: _Job, pool: str) -> str:
        alike = [one for one in job.near if self._alike(job, one, pool)]
        every = len(alike) == len(job.near)
        what = "pool" if every else f"{self._network.pool_by_id[pool].where} pool"
        spared = any(job.ways[one][1] < job.ways[pool][1] for one in job.near)
        found = f"the nearest of {len(alike)} {what}s" if len(alike) > 1 else f"the only {what} near enough"
        return found + (", which leaves edges to DUs" if spared and not every else "")

    def _far(self, job: _Job, pool: str) -> str:
        limit = job.function.max_latency_us
        return f"{job.ways[pool][1]} µs away" + (f" of {limit} that it bears" if limit is not None else "")

    def _no_place(self, job: _Job) -> str:
        name = job.function.id
        stations, may = self._network.stations_served[name], self._network.delays.pools_for[name]
        if not may and not stations:
            return "no station names it, so there is nothing that it has to be near"
        if not may:
            of = f"all its {len(stations)} stations" if len(stations) > 1 else "its station"
            return f"no pool is within {job.function.max_latency_us} µs of {of}"
        pools = (*job.near, *sorted(set(may) - set(job.near)))
        return "no room: " + ", ".join(f"{pool}: {self._refusal(job, pool)}" for pool in pools)

    def _refusal(self, job: _Job, pool: str) -> str:
        if pool in job.shut:
            return job.shut[pool]
        if pool not in job.ways:
            if pool not in self.rooms:
                return "the network files have no such pool"
            return "the files pin it elsewhere" if job.function.pool is not None else "too far away"
        room = self.rooms[pool]
        apart = [f"{one} is there" for one in sorted(job.apart & room.loads.keys())[:1]]
        return " and ".join(filter(None, [*apart, room.refusal(job.load)]))


#: Most rounds of improvement; most chains of moves tried for a function; most functions in a chain.
_ROUNDS = 4
_TRIED = 4
_LONGEST = 8
#: Most functions that leave a pool for another one; how many levels deep.
_LEAVING = 3
_DEEPEST = 2
#: Most pools tried for one function; most functions for which several others make way.
_EFFORT = 1_000
_SQUEEZES = 40


class _Paths:
    """Cheapest known chains for one function, by the pool where they end (empty: without a place)."""

    def __init__(self, job: _Job, limit: int) -> None:
        self._limit = limit
        self._cost: dict[str, int] = {}
        self._came: dict[str, tuple[str, str | None]] = {}
        self._next: list[tuple[int, str]] = []
        for pool in job.near:
            self._reach(pool, job.cost(pool), job.function.id, None)

    def next(self) -> str | None:
        """The end of the cheapest chain that was not tried yet."""
        while self._next:
            cost, pool = heappop(self._next)
            if cost == self._cost[pool]:
                return pool
        return None

    def incoming(self, pool: str) -> str:
        """The function that a chain brings to a pool."""
        return self._came[pool][0]

    def push(self, pool: str, leaving: Iterable[_Job], futile: Collection[tuple[str, str]]) -> None:
        """Note where functions could go that may leave the pool at the end of a chain, but not who left it in vain."""
        before = {one for _, one in self.to(pool)}
        if len(before) < _LONGEST:
            for job in leaving:
                so_far = self._cost[pool] - job.cost(pool)
                for away in (*job.near, *([] if (job.function.id, "") in futile else [""])):
                    if away not in before:
                        self._reach(away, so_far + job.cost(away), job.function.id, pool)

    def to(self, pool: str) -> list[tuple[str, str]]:
        """Functions of the chain to a pool, each with the pool that it goes to."""
        found: list[tuple[str, str]] = []
        here: str | None = pool
        while here is not None:
            name, before = self._came[here]
            found.append((name, here))
            here = before
        return found[::-1]

    def _reach(self, pool: str, cost: int, name: str, before: str | None) -> None:
        if cost < min(self._limit, self._cost.get(pool, self._limit)):
            self._cost[pool], self._came[pool] = cost, (name, before)
            heappush(self._next, (cost, pool))


def _important(job: _Job) -> tuple[int, str]:
    """Sort key: if room is short, functions with more stations go first."""
    return (-job.load.stations, job.function.id)


def lower_bound(network: Network, as_of: date, rounds: int = 100) -> int:
    """A lower bound of the cost of all placements of all functions, in the microseconds of ``Placement.cost_us``.

    Lagrangian relaxation gives it: resources of pools (cores, memory, hugepages, accelerators; not node by node) have
    prices instead of limits, and each function takes its cheapest pool. The subgradient method finds the prices.
    """
    found = list(jobs(network, as_of).values())
    limits = {pool: room.capacity for pool, room in rooms(network, as_of).items()}
    upper = float(_Placing(network, as_of, _NOBODY, True).answer().cost_us)
    prices = {pool: [0.0] * len(limit) for pool, limit in limits.items()}
    best, step, idle = 0.0, 2.0, 0
    for _ in range(rounds):
        bound, over = _relaxed(found, limits, prices)
        best, idle = (bound, 0) if bound > best else (best, idle + 1)
        length = sum(part * part for parts in over.values() for part in parts)
        if not length or upper - best < 1:
            break
        if idle >= _PATIENCE:
            step, idle = step / 2, 0
        scale = step * (upper - bound) / length
        for pool, parts in over.items():
            prices[pool] = [max(0.0, price + scale * part) for price, part in zip(prices[pool], parts, strict=True)]
    return int(best)


#: Rounds of the subgradient method without a better bound after which its steps become smaller.
_PATIENCE = 6


def _relaxed(
    found: Sequence[_Job], limits: Mapping[str, Size], prices: Mapping[str, Sequence[float]]
) -> tuple[float, dict[str, list[float]]]:
    """The bound for given prices of a whole pool by each part, and by how much of a pool its limits are exceeded."""
    bound = -sum(sum(parts) for parts in prices.values())
    over = {pool: [-1.0 if limit else 0.0 for limit in parts] for pool, parts in limits.items()}
    for job in found:
        cheapest, chosen = float(job.cost("")), ""
        size = [part * job.load.replicas for part in job.load.size]
        for pool, (way, _) in job.ways.items():
            cost = float(way)
            for part, limit, price in zip(size, limits[pool], prices[pool], strict=True):
                if price:
                    cost += price * part / limit
            if cost < cheapest:
                cheapest, chosen = cost, pool
        bound += cheapest
        if chosen:
            taken = zip(over[chosen], size, limits[chosen], strict=True)
            over[chosen] = [have + (part / limit if limit else 0.0) for have, part, limit in taken]
    return bound, {
        pool: [part if part > 0 or price else 0.0 for part, price in zip(parts, prices[pool], strict=True)]
        for pool, parts in over.items()
    }


def _use(room: PoolPacking) -> PoolUse:
    return PoolUse(
        pool=room.pool.id,
        capacity=room.capacity,
        used=room.used,
        committed_cores=room.kept,
        sides={side: _side(room, side) for side in room.sides},
        functions=tuple(sorted(room.loads)),
    )


def _side(room: PoolPacking, side: str) -> SideUse:
    sold, (cores, gbps) = room.sold.get(side, SoldCapacity()), room.taken_by(side)
    return SideUse(sold.cores, sold.kept_cores, cores, sold.gbps, sold.kept_gbps, gbps)
