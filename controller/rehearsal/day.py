"""A day drawn from a seed: which faults begin when and where, and what people do meanwhile.

The same seed draws the same day, whoever answers it: how each fault goes on is drawn with it.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from controller.models.network import Network
from simulators.equipment.configuration import unit_of
from simulators.equipment.fault_kinds import NETWORK_FAULTS
from simulators.network import SimulatedNetwork, StationRecord

HOUR = 3600.0
YEAR = 365.0 * 24 * HOUR
_RATES = Path(__file__).parent / "rates.yaml"
#: Seconds of a flap in its two states, and the number of flaps.
FLAP, FLAPS = (40.0, 80.0), 20


@dataclass(frozen=True, slots=True)
class Cause:
    """One fault of the day: an incident's root.

    Attributes:
        at: Seconds since the day began.
        kind: A fault of the twin, or ``cut``, ``lost-core``, ``flapping``.
        stations: Where it strikes; none for what is not on stations.
        target: Cell, unit or tenant that it strikes; a backhaul node, a tenant whose core is lost.
        lasts: Seconds that it lasts, where the twin does not draw that itself.
        visit: Seconds after which a technician comes who finds it still there.
        story: Why it is in this day, empty where its rate drew it.
    """

    id: str
    at: float
    kind: str
    stations: tuple[str, ...] = ()
    target: str = ""
    lasts: float = 0.0
    visit: float = 0.0
    story: str = ""


@dataclass(frozen=True, slots=True)
class Restriction:
    """A hold on a station, a freeze of a region, or a public warning in one, for a while."""

    kind: str
    target: str
    begins: float
    ends: float

    def binds(self, station: StationRecord, at: float) -> bool:
        """Whether it binds a station at a time, in seconds since the day began."""
        where = station.id if self.kind == "hold" else f"region:{station.region}"
        return self.target == where and self.begins <= at < self.ends


@dataclass(frozen=True, slots=True)
class Day:
    """What happens.

    Attributes:
        hours: How long it is.
    """

    seed: str
    hours: float
    causes: tuple[Cause, ...]
    stops: tuple[Restriction, ...]


@dataclass
class _Draw:
    network: SimulatedNetwork
    seed: str
    hours: float
    times: float
    chance: random.Random = field(init=False)
    causes: list[Cause] = field(default_factory=list)
    stops: list[Restriction] = field(default_factory=list)
    visits: tuple[float, float] = (4, 16)

    def __post_init__(self) -> None:
        self.chance = random.Random(f"{self.network.id}/{self.seed}")  # noqa: S311 (replayed on purpose)
        self.end = self.hours * HOUR

    def add(self, kind: str, at: float, *stations: str, target: str = "", lasts: float = 0.0, story: str = "") -> None:
        visit = self.chance.uniform(*self.visits) * HOUR
        number = f"{len(self.causes):04}"
        self.causes.append(Cause(number, round(at, 3), kind, stations, target, lasts, round(visit, 3), story))

    def by_rate(self, kind: str, per: str, a_year: float) -> None:
        """Choose objects at random: the number of faults follows a Poisson process."""
        objects = list(_objects(self.network, per))
        at, rate = 0.0, a_year * self.times * len(objects) / YEAR
        while rate and (at := at + self.chance.expovariate(rate)) < self.end:
            station, target = self.chance.choice(objects)
            self.add(kind, at, station, target=target)

    def moment(self, first: float, last: float) -> float:
        """A moment between two fractions of the day."""
        return round(self.chance.uniform(first, last) * self.end, 3)

    def stop(self, kind: str, target: str, seconds: float) -> Restriction:
        begins = self.moment(0.05, 0.6)
        made = Restriction(kind, target, begins, min(begins + seconds, self.end))
        self.stops.append(made)
        return made


def read_rates() -> Mapping[str, Any]:
    """The rates of faults."""
    found: Mapping[str, Any] = yaml.safe_load(_RATES.read_text(encoding="utf-8"))
    return found


def draw_day(network: SimulatedNetwork, tenants: Sequence[str], seed: str, hours: float, times: float = 1.0) -> Day:
    """The day of a seed.

    Args:
        network: Where.
        tenants: Its tenants; the core of the last of them is lost once.
        seed: Draws it.
        hours: How long it is.
        times: How many times as often as in ``rates.yaml`` faults begin.
    """
    rates = read_rates()
    draw = _Draw(network, seed, hours, times, visits=tuple(rates["visit_hours"]))
    for kind, one in rates["faults"].items():
        draw.by_rate(kind, one["per"], one["a_year"])
    _stories(draw, tenants)
    return Day(seed, hours, tuple(sorted(draw.causes, key=lambda cause: cause.at)), tuple(draw.stops))


def sweep(network: SimulatedNetwork, seed: str, hours: float) -> Day:
    """Each fault of the twin once on each kind of station: those that differ in their profiles."""
    kinds: dict[tuple[str, ...], list[StationRecord]] = {}
    for station in network.stations:
        kinds.setdefault(tuple(sorted(station.profiles)), []).append(station)
    draw = _Draw(network, seed, hours, 1.0, visits=(hours, hours))
    for stations in kinds.values():
        order = draw.chance.sample(stations, len(stations))
        for number, kind in enumerate(NETWORK_FAULTS):
            draw.add(kind, 60.0 + number * 30.0, order[number % len(order)].id, story="a sweep")
    return Day(seed, hours, tuple(sorted(draw.causes, key=lambda cause: cause.at)), ())


def _objects(network: SimulatedNetwork, per: str) -> Iterator[tuple[str, str]]:
    for station in network.stations:
        if per == "station":
            yield station.id, ""
        elif per == "cell":
            yield from ((station.id, cell) for cell in station.cells)
        else:
            yield from ((station.id, unit) for unit in sorted({unit_of(cell) for cell in station.cells}))


def _stories(draw: _Draw, tenants: Sequence[str]) -> None:
    """Faults that every day has at least once, so that each guard is asked."""
    chance, stations = draw.chance, draw.network.stations
    by_region: dict[str, list[StationRecord]] = {}
    for one in stations:
        by_region.setdefault(one.region, []).append(one)
    regions = sorted(by_region)
    for held in chance.sample(stations, max(1, len(stations) // 500)):
        stop = draw.stop("hold", held.id, 4 * HOUR)
        draw.add("core-link-down", _within(draw, stop), held.id, story="under a hold")
    stop = draw.stop("freeze", f"region:{(frozen := chance.choice(regions))}", 3 * HOUR)
    draw.add("core-link-down", _within(draw, stop), chance.choice(by_region[frozen]).id, story="in a freeze")
    stop = draw.stop("warning", f"region:{(warned := chance.choice(regions))}", 2 * HOUR)
    draw.add(
        "radio-unit-lost", _within(draw, stop), chance.choice(by_region[warned]).id, story="under a public warning"
    )
    flapping = chance.choice(stations).id
    draw.add("flapping", draw.moment(0.1, 0.5), flapping, lasts=sum(FLAP) * FLAPS, story="a link flaps")
    nodes = _nodes(draw.network)
    if nodes:
        draw.add("cut", draw.moment(0.1, 0.5), target=chance.choice(nodes), lasts=2 * HOUR, story="a fibre is cut")
        below = draw.network.below(chance.choice(nodes))
        dark = [one.id for one in stations if one.backhaul in below]
        storm = draw.moment(0.1, 0.5)
        for name in dark:
            draw.add("mains-failure", storm + chance.uniform(0, 300), name, story="a region on battery")
        draw.add("radio-unit-lost", storm + 900, chance.choice(dark), story="on battery")
    draw.add("lost-core", draw.moment(0.1, 0.7), target=tenants[-1], lasts=2400, story="a core is lost")


def _within(draw: _Draw, stop: Restriction) -> float:
    return round(draw.chance.uniform(stop.begins, (stop.begins + stop.ends) / 2), 3)


def _nodes(network: SimulatedNetwork) -> list[str]:
    """Backhaul nodes with a few stations below them, but not with a large part of the network."""
    hanging: dict[str, int] = {}
    for station in network.stations:
        node, seen = station.backhaul, set()
        while node and node not in seen:
            seen.add(node)
            hanging[node] = hanging.get(node, 0) + 1
            node = network.parents.get(node, "")
    most = max(len(network.stations) // 50, 8)
    return sorted(node for node, count in hanging.items() if 3 <= count <= most and node in network.parents)


def smallest_last(network: Network) -> list[str]:
    """Tenants by the number of stations in their agreements, the one with the fewest last."""
    shares = Counter(one.tenant for one in network.agreements)
    return sorted(shares, key=lambda name: (-shares[name], name))
