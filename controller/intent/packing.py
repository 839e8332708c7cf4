"""Whether functions fit into a pool: node by node, with its reserve, and within the capacity sold of it.

A pool bears the loss of its ``spare_nodes`` if all functions fit on the remaining nodes, whichever failure domains are
lost. Each such loss is a *case* with a packing of its own; losses of equally large nodes are one case. Packing is by
best fit; if that fails, by a search with a limited number of steps. All that it accepts fits; a little of what it
refuses would fit too (bin packing is NP-hard). The pool's own scheduler may pack in another way.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import combinations
from operator import le
from typing import NamedTuple

from controller.models.cloud import Function, Node, Package, Pool
from controller.models.network import HOST


class Size(NamedTuple):
    """Resources of a replica or node: cores, GiB of memory and of hugepages, accelerators."""

    cpus: int
    memory_gb: int
    hugepages_gb: int
    accelerators: int

    @classmethod
    def of(cls, one: Node | Package) -> Size:
        """The size of a node, or of a replica of a package."""
        return cls(one.cpus, one.memory_gb, one.hugepages_gb, one.accelerators)


#: Words for the parts of a size, in order.
PARTS = ("cores", "GiB of memory", "GiB of hugepages", "accelerators")


@dataclass(frozen=True, slots=True)
class Load:
    """A function as a pool sees it.

    Attributes:
        side: Whose resources it takes: those of ``host``, or those that a tenant bought there.
        stations: Number of stations that depend on it: if room is short, functions with more stations go first.
    """

    function: str
    size: Size
    replicas: int
    ptp: bool
    side: str
    gbps: float
    stations: int

    @property
    def cpus(self) -> int:
        """Cores of all replicas."""
        return self.size.cpus * self.replicas


def load_of(function: Function, package: Package, side: str, stations: int) -> Load:
    """The load of a function of a package."""
    gbps = (package.gbps or 0) * function.replicas
    return Load(function.id, Size.of(package), function.replicas, package.ptp, side, gbps, stations)


@dataclass(frozen=True, slots=True)
class SoldCapacity:
    """Capacity that a tenant bought of a pool: the total, and the part that is kept for it, used or not."""

    cores: int = 0
    gbps: float = 0
    kept_cores: float = 0
    kept_gbps: float = 0


#: State of a case: free resources by node and in total, its functions, their nodes, and those without a node.
Packing = tuple[list[list[int]], list[int], dict[str, Load], dict[str, list[int]], set[str]]


class FailureCase:
    """A packing of functions onto the nodes that remain in one case."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        self.nodes = nodes
        self.total = _sum(Size.of(node) for node in nodes)
        self._shapes = [(node.ptp, Size.of(node)) for node in nodes]
        self._free = [list(size) for _, size in self._shapes]
        self._left = list(self.total)
        self._loads: dict[str, Load] = {}
        self._at: dict[str, list[int]] = {}
        self._loose: set[str] = set()

    @property
    def free(self) -> Size:
        """Free resources of all nodes together."""
        return Size(*self._left)

    def nodes_of(self, function: str) -> tuple[Node, ...]:
        """Nodes that its replicas are on."""
        return tuple(self.nodes[number] for number in self._at.get(function, ()))

    def may_take(self, load: Load, instead_of: Load | None = None) -> bool:
        """Whether total resources suffice for a function if another one goes; it may still fit on no node."""
        cpus, memory, hugepages, accelerators = self._left
        want, count = load.size, load.replicas
        if instead_of is not None:
            gone, times = instead_of.size, instead_of.replicas
            cpus, memory = cpus + gone.cpus * times, memory + gone.memory_gb * times
            hugepages, accelerators = hugepages + gone.hugepages_gb * times, accelerators + gone.accelerators * times
        return (
            cpus >= want.cpus * count
            and accelerators >= want.accelerators * count
            and memory >= want.memory_gb * count
            and hugepages >= want.hugepages_gb * count
        )

    def add(self, load: Load) -> bool:
        """Pack a function; returns False and changes nothing if it does not fit."""
        if not self.may_take(load):
            return False
        return (not self._loose and self._put(load)) or self._pack((*self._loads.values(), load))

    def hold(self, load: Load) -> None:
        """Take in a function that runs there, even if no packing is found; after that nothing else fits."""
        if not self.add(load):
            self._loads[load.function], self._at[load.function] = load, []
            self._loose.add(load.function)
            for part, want in enumerate(load.size):
                self._left[part] -= want * load.replicas

    def remove(self, load: Load) -> None:
        """Take a function out again."""
        del self._loads[load.function]
        for number in self._at.pop(load.function):
            self._move(number, load.size, -1)
        if load.function in self._loose:
            self._loose.remove(load.function)
            for part, want in enumerate(load.size):
                self._left[part] += want * load.replicas

    @property
    def proven(self) -> bool:
        """Whether all its functions have a node."""
        return not self._loose

    def mark(self) -> Packing:
        """The current packing, for ``restore``."""
        return [list(one) for one in self._free], list(self._left), dict(self._loads), dict(self._at), set(self._loose)

    def restore(self, mark: Packing) -> None:
        """Return to an earlier packing; each mark can be used once."""
        self._free, self._left, self._loads, self._at, self._loose = mark

    def _put(self, load: Load) -> bool:
        numbers: list[int] = []
        for _ in range(load.replicas):
            number = self._best(load, {self.nodes[one].domain for one in numbers})
            if number is None:
                for one in numbers:
                    self._move(one, load.size, -1)
                return False
            self._move(number, load.size, 1)
            numbers.append(number)
        self._loads[load.function], self._at[load.function] = load, numbers
        return True

    def _pack(self, loads: Sequence[Load]) -> bool:
        """Pack functions in place of the present ones; returns False and changes nothing if no packing is found."""
        replicas = Counter[_Kind]()
        for load in loads:
            replicas[load.ptp, load.size] += load.replicas
        order = sorted(range(len(self.nodes)), key=lambda number: (*self._shapes[number], number))
        found = _packed(tuple(self._shapes[number] for number in order), tuple(sorted(replicas.items(), key=_hardest)))
        if found is None:
            return False
        slots: dict[_Kind, dict[int, int]] = defaultdict(dict)
        for number, there in zip(order, found, strict=True):
            for kind, count in there:
                slots[kind][number] = count
        self._free, self._left = [list(size) for _, size in self._shapes], list(self.total)
        self._loads, self._at = {}, {}
        for load in sorted(loads, key=lambda one: (-one.replicas, one.function)):
            self._loads[load.function], self._at[load.function] = load, self._spread(load, slots[load.ptp, load.size])
        self._loose.clear()
        return True

    def _spread(self, load: Load, slots: dict[int, int]) -> list[int]:
        """Nodes with a slot for the replicas of a function, as far apart as possible."""
        numbers: list[int] = []
        for _ in range(load.replicas):
            beside = {self.nodes[one].domain for one in numbers}
            free = (one for one, count in slots.items() if count)
            number = min(free, key=lambda one: (self.nodes[one].domain in beside, -slots[one], one))
            slots[number] -= 1
            self._move(number, load.size, 1)
            numbers.append(number)
        return numbers

    def _best(self, load: Load, beside: Collection[str]) -> int | None:
        """The node for a replica: apart from its others, sparing what others need, with the least room left."""
        found: tuple[bool, bool, bool, int, int] | None = None
        cpus, memory, hugepages, accelerators = load.size
        for number, (free, node) in enumerate(zip(self._free, self.nodes, strict=True)):
            fits = free[0] >= cpus and free[1] >= memory and free[2] >= hugepages and free[3] >= accelerators
            if fits and (node.ptp or not load.ptp):
                spares = node.ptp and not load.ptp, bool(node.accelerators and not accelerators)
                found_here = (node.domain in beside, *spares, free[0] - cpus, number)
                found = found_here if found is None else min(found, found_here)
        return None if found is None else found[-1]

    def _move(self, number: int, size: Size, sign: int) -> None:
        free = self._free[number]
        for part, want in enumerate(size):
            free[part] -= sign * want
            self._left[part] -= sign * want


#: Needs of equal replicas: whether PTP, and their size.
_Kind = tuple[bool, Size]
#: Most steps of a search for a packing.
_STEPS = 20_000


def _hardest(replicas: tuple[_Kind, int]) -> tuple[bool, int, int, int, int]:
    """Sort key: replicas with the fewest possible nodes first, then the largest."""
    (ptp, size), _ = replicas
    return (not ptp, -size.accelerators, -size.cpus, -size.memory_gb, -size.hugepages_gb)


@lru_cache(maxsize=20_000)
def _packed(
    nodes: tuple[_Kind, ...], replicas: tuple[tuple[_Kind, int], ...]
) -> tuple[tuple[tuple[_Kind, int], ...], ...] | None:
    """A packing of all replicas, by node; None if none is found.

    It fills node by node, each with as much as fits on it (bin completion). Cached, since pools with equal nodes often
    ask the same.
    """
    search = _Search(nodes, replicas)
    found = search.find()
    kinds = [kind for kind, _ in replicas]
    if found is None:
        return None
    return tuple(tuple((kind, count) for kind, count in zip(kinds, there, strict=True) if count) for there in found)


class _Search:
    """The search for one packing."""

    def __init__(self, nodes: Sequence[_Kind], replicas: Sequence[tuple[_Kind, int]]) -> None:
        self._nodes = nodes
        self._kinds = [kind for kind, _ in replicas]
        self._counts = tuple(count for _, count in replicas)
        self._futile: set[tuple[int, tuple[int, ...]]] = set()
        self._steps = _STEPS
        #: Resources of the nodes from each one on: of all, and of those with PTP.
        self._have = [
            (_sum(size for _, size in nodes[at:]), _sum(size for ptp, size in nodes[at:] if ptp))
            for at in range(len(nodes) + 1)
        ]

    def find(self) -> list[tuple[int, ...]] | None:
        """How many replicas of each kind each node takes."""
        left = [self._counts]
        if not self._may_hold(0, self._counts):
            return None
        taken: list[tuple[int, ...]] = []
        ways = [self._fillings(0, self._counts)]
        while ways:
            if not any(left[-1]):
                return taken + [(0,) * len(self._kinds)] * (len(self._nodes) - len(taken))
            there = next(ways[-1], None)
            if there is None:
                self._futile.add((len(taken), left[-1]))
                ways.pop()
                left.pop()
                if taken:
                    taken.pop()
                continue
            rest, at = tuple(have - took for have, took in zip(left[-1], there, strict=True)), len(taken) + 1
            if (at, rest) not in self._futile and self._may_hold(at, rest):
                taken.append(there)
                left.append(rest)
                ways.append(self._fillings(at, rest))
        return None

    def _may_hold(self, at: int, counts: Sequence[int]) -> bool:
        """Whether the nodes from one on have enough resources in total."""
        asked, of_ptp = [0] * len(PARTS), [0] * len(PARTS)
        for (ptp, size), count in zip(self._kinds, counts, strict=True):
            for part, want in enumerate(size if count else ()):
                asked[part] += want * count
                of_ptp[part] += want * count if ptp else 0
        whole, with_ptp = self._have[at]
        return all(map(le, asked, whole)) and all(map(le, of_ptp, with_ptp))

    def _fillings(self, at: int, counts: Sequence[int]) -> Iterator[tuple[int, ...]]:
        """Maximal fillings of one node, those with most of the hardest replicas first."""
        if at < len(self._nodes):
            ptp, size = self._nodes[at]
            yield from self._filled(ptp, size, counts, ())

    def _filled(
        self, ptp: bool, free: Sequence[int], counts: Sequence[int], taken: tuple[int, ...]
    ) -> Iterator[tuple[int, ...]]:
        if len(taken) == len(counts):
            some_left = (kind for kind, have, took in zip(self._kinds, counts, taken, strict=True) if have > took)
            if not any(_room(ptp, free, kind) for kind in some_left):
                yield taken
            return
        kind, count = self._kinds[len(taken)], counts[len(taken)]
        most = min(count, _room(ptp, free, kind))
        for number in range(most, -1, -1):
            self._steps -= 1
            if self._steps < 0:
                return
            left = tuple(have - want * number for have, want in zip(free, kind[1], strict=True)) if number else free
            yield from self._filled(ptp, left, counts, (*taken, number))


def _room(ptp: bool, free: Sequence[int], kind: _Kind) -> int:
    """How many replicas of a kind fit."""
    needs_ptp, size = kind
    if needs_ptp and not ptp:
        return 0
    return min(have // want for have, want in zip(free, size, strict=True) if want)


def _sum(sizes: Iterable[Size]) -> Size:
    found = list(sizes)
    return Size(*map(sum, zip(*found, strict=True))) if found else Size(0, 0, 0, 0)


def losses(nodes: Sequence[Node], count: int) -> Iterator[tuple[Node, ...]]:
    """Lost nodes for each combination of ``count`` failing failure domains of a pool."""
    domains: dict[str, list[Node]] = defaultdict(list)
    for node in nodes:
        domains[node.domain].append(node)
    for names in combinations(sorted(domains), min(count, len(domains))):
        yield tuple(node for name in names for node in domains[name])


def _unlike(ways: Iterable[tuple[Node, ...]]) -> Iterator[tuple[Node, ...]]:
    """One loss of each set of losses with equally large nodes."""
    seen: set[tuple[tuple[object, ...], ...]] = set()
    for lost in ways:
        shape = tuple(sorted((*Size.of(node), node.ptp) for node in lost))
        if shape not in seen:
            seen.add(shape)
            yield lost


@dataclass(frozen=True, slots=True)
class PoolSnapshot:
    """State of a pool, for ``restore``."""

    packings: Sequence[Packing]
    loads: dict[str, Load]
    cores: Counter[str]
    gbps: dict[str, float]


@dataclass(slots=True)
class PoolPacking:
    """A pool as it fills.

    Attributes:
        whole: The packing without a loss.
        cases: The packings that its reserve must bear.
        sold: Capacity that tenants bought there, by tenant.
    """

    pool: Pool
    nodes: Sequence[Node]
    sold: Mapping[str, SoldCapacity] = field(default_factory=dict)
    whole: FailureCase = field(init=False)
    cases: list[FailureCase] = field(init=False)
    loads: dict[str, Load] = field(init=False, default_factory=dict)
    _cores: Counter[str] = field(init=False, default_factory=Counter)
    _gbps: dict[str, float] = field(init=False, default_factory=lambda: defaultdict(float))

    def __post_init__(self) -> None:
        """Derive the cases."""
        self.whole = FailureCase(self.nodes)
        spare = self.pool.spare_nodes
        ways = _unlike(losses(self.nodes, spare)) if spare else ()
        self.cases = [FailureCase([node for node in self.nodes if node not in lost]) for lost in ways]

    @property
    def capacity(self) -> Size:
        """The smallest capacity of all cases, by each part."""
        return Size(*map(min, zip(*(case.total for case in self.cases or [self.whole]), strict=True)))

    @property
    def kept(self) -> float:
        """Cores that are taken, or kept for tenants that bought them."""
        sides = {*self._cores, *self.sold}
        return sum(max(self._cores[side], self._sold(side).kept_cores) for side in sides)

    @property
    def used_gbps(self) -> float:
        """Gbit/s that are taken or kept."""
        return sum(max(self._gbps[side], self._sold(side).kept_gbps) for side in {*self._gbps, *self.sold})

    @property
    def used(self) -> Size:
        """Resources that its functions take."""
        return Size(*(have - free for have, free in zip(self.whole.total, self.whole.free, strict=True)))

    @property
    def sides(self) -> tuple[str, ...]:
        """Sides that bought some of it, or have functions there, in order."""
        return tuple(sorted({*self.sold, *(load.side for load in self.loads.values())}))

    def taken_by(self, side: str) -> tuple[int, float]:
        """Cores and Gbit/s that functions of a side take."""
        return self._cores[side], self._gbps.get(side, 0.0)

    def add(self, load: Load) -> bool:
        """Add a function; returns False and changes nothing if there is no room, or it was not bought."""
        if self._not_bought(load) or self._kept_for_others(load):
            return False
        done: list[FailureCase] = []
        for case in (*self.cases, self.whole):
            if not case.add(load):
                for one in done:
                    one.remove(load)
                return False
            done.append(case)
        self._count(load, 1)
        return True

    def hold(self, load: Load, *, reserve: bool = True) -> bool:
        """Keep a function that runs there; returns False and changes nothing if there are too few resources in total.

        Args:
            load: The function. It does not matter whether a packing is found, nor what was sold.
            reserve: Whether resources must suffice without the reserve.
        """
        if not all(case.may_take(load) for case in ((*self.cases, self.whole) if reserve else (self.whole,))):
            return False
        for case in (*self.cases, self.whole):
            case.hold(load)
        self._count(load, 1)
        return True

    def _count(self, load: Load, sign: int) -> None:
        if sign > 0:
            self.loads[load.function] = load
        else:
            del self.loads[load.function]
        self._cores[load.side] += sign * load.cpus
        self._gbps[load.side] += sign * load.gbps

    def may_take(self, load: Load, instead_of: Load | None = None) -> bool:
        """Whether total resources suffice for a function if another one goes; ``add`` may still refuse it."""
        return all(case.may_take(load, instead_of) for case in self.cases or [self.whole])

    def remove(self, load: Load) -> None:
        """Remove a function."""
        for case in (*self.cases, self.whole):
            case.remove(load)
        self._count(load, -1)

    def mark(self) -> PoolSnapshot:
        """The current state, for ``restore``."""
        return PoolSnapshot(
            [case.mark() for case in (*self.cases, self.whole)], dict(self.loads), self._cores.copy(), self._gbps.copy()
        )

    def restore(self, mark: PoolSnapshot) -> None:
        """Return to an earlier state; each mark can be used once."""
        for case, packed in zip((*self.cases, self.whole), mark.packings, strict=True):
            case.restore(packed)
        self.loads, self._cores, self._gbps = mark.loads, mark.cores, mark.gbps

    def bears(self, lost: Iterable[Node]) -> bool:
        """Whether all functions are known to fit on the remaining nodes."""
        within = len({node.domain for node in lost}) <= self.pool.spare_nodes
        return within and all(case.proven for case in self.cases)

    def takes(self, load: Load) -> bool:
        """Whether there is room for a function."""
        if not self.may_take(load) or not self.add(load):
            return False
        self.remove(load)
        return True

    def refusal(self, load: Load) -> str:
        """Why there is no room for a function, as in ``4 cores are free and it takes 8``; empty if there is."""
        said = self._not_bought(load) or self._short(load) or self._kept_for_others(load)
        if said or self.takes(load):
            return said
        if load.ptp and not any(node.ptp for node in self.nodes):
            return "no node has PTP"
        return f"no node has {load.size.cpus} cores and {load.size.memory_gb} GiB free together{self._beside}"

    @property
    def _beside(self) -> str:
        return " beside its reserve" if self.cases else ""

    def _short(self, load: Load) -> str:
        """Resources that are short, all nodes together."""
        for part, name in enumerate(PARTS):
            free, want = min(case.free[part] for case in self.cases or [self.whole]), load.size[part] * load.replicas
            if free < want:
                return f"{max(free, 0)} {name} are free{self._beside} and it takes {want}"
        return ""

    def _not_bought(self, load: Load) -> str:
        """Resources that a tenant would take without having bought them."""
        sold = self._sold(load.side)
        cores, gbps = self._cores[load.side] + load.cpus, self._gbps[load.side] + load.gbps
        if load.side != HOST and cores > sold.cores:
            return f"{load.side} bought {sold.cores} cores there and would take {cores}"
        if load.side != HOST and gbps > sold.gbps:
            return f"{load.side} bought {sold.gbps:g} Gbit/s there and would take {gbps:g}"
        return ""

    def _kept_for_others(self, load: Load) -> str:
        """Resources that would be exceeded, including those kept for tenants that bought them."""
        sold = self._sold(load.side)
        before = max(self._cores[load.side], sold.kept_cores)
        kept = self.kept - before + max(self._cores[load.side] + load.cpus, sold.kept_cores)
        if kept > self.capacity.cpus and kept > self.kept:
            return f"{kept:g} of {self.capacity.cpus} cores would be taken or kept for whoever bought them"
        limit = self.pool.uplink_gbps
        before = max(self._gbps[load.side], sold.kept_gbps)
        gbps = self.used_gbps - before + max(self._gbps[load.side] + load.gbps, sold.kept_gbps)
        if limit is not None and gbps > limit and gbps > self.used_gbps:
            return f"{gbps:g} of {limit} Gbit/s would be taken or kept for whoever bought them"
        return ""

    def _sold(self, side: str) -> SoldCapacity:
        return self.sold.get(side, _NOTHING)


_NOTHING = SoldCapacity()
