"""Where masts stand, how they group into tracking areas, and which stations they carry."""

from __future__ import annotations

import heapq
import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum

from simulators.generate.places import Place, Region, Zone, draw, slug

#: Most sites in a tracking area; small ones keep paging and PLMN changes local.
_AREA_SITES = 12
#: Tracking areas that a region's block of TACs has room for.
_AREAS_PER_REGION = 900
_KM_PER_DEGREE = 111.2
_GOLDEN_ANGLE = math.pi * (3 - math.sqrt(5))


class Kind(Enum):
    """What a station speaks, as profiles of the network files."""

    LTE = ("lte-28658",)
    NR = ("nr-28541",)
    BOTH = ("lte-28658", "nr-28541")

    @property
    def lte(self) -> bool:
        """Whether it carries LTE cells."""
        return "lte-28658" in self.value

    @property
    def nr(self) -> bool:
        """Whether it carries NR cells."""
        return "nr-28541" in self.value


@dataclass(frozen=True)
class Mast:
    """A site before it is written: its place, position and the stations it carries."""

    id: str
    name: str
    place: Place
    latitude: float
    longitude: float
    population: int
    kinds: tuple[Kind, ...]

    def km_to(self, other: Mast) -> float:
        """How far another mast nearby is."""
        shrink = math.cos(math.radians(self.latitude))
        return _KM_PER_DEGREE * math.hypot(self.latitude - other.latitude, (self.longitude - other.longitude) * shrink)


@dataclass(frozen=True)
class Base:
    """A station before it is written; ``number`` counts within the region, ``order`` in the network."""

    id: str
    number: int
    order: int
    mast: Mast
    kind: Kind

    @property
    def standalone(self) -> bool:
        """Whether its NR has cores of its own; in the jungle it serves beside LTE of the same mast only (EN-DC)."""
        return self.mast.place.region.zone is not Zone.SELVA or not any(kind.lte for kind in self.mast.kinds)


@dataclass(frozen=True)
class Area:
    """A tracking area: neighbouring masts of one region."""

    id: str
    number: int
    region: Region
    masts: tuple[Mast, ...]
    bases: list[Base] = field(default_factory=list)


def apportion(places: Iterable[Place], stations: int) -> dict[Place, int]:
    """Share stations out: every place gets one, largest first, then more by the root of the population.

    The root keeps the capital from taking the whole network (Adams' divisor method).
    """
    ordered = sorted(places, key=lambda place: (-place.population, place.key))
    shares = dict.fromkeys(ordered[:stations], 1)
    queue = [(-math.sqrt(place.population), place.key, place) for place in shares]
    heapq.heapify(queue)
    for _ in range(stations - len(shares)):
        _, key, place = queue[0]
        shares[place] += 1
        heapq.heapreplace(queue, (-math.sqrt(place.population) / shares[place], key, place))
    return shares


def areas(shares: dict[Place, int], seed: int) -> list[Area]:
    """Masts and stations of all places, grouped into tracking areas and numbered per region."""
    masts: dict[Region, list[Mast]] = defaultdict(list)
    taken: dict[tuple[Region, str], int] = defaultdict(int)
    for place in sorted(shares, key=lambda place: (place.region.index, slug(place.name), place.key)):
        first = taken[place.region, slug(place.name)] + 1
        built = _masts(place, shares[place], seed, first)
        taken[place.region, slug(place.name)] += len(built)
        masts[place.region].extend(built)
    found: list[Area] = []
    order = 0
    for region in sorted(masts, key=lambda region: region.index):
        size = max(_AREA_SITES, math.ceil(2 * len(masts[region]) / _AREAS_PER_REGION))
        number = 0
        for index, group in enumerate(_bisect(masts[region], size), 1):
            area = Area(f"{region.id}-{index:02d}", index, region, tuple(group))
            for mast in group:
                for kind in mast.kinds:
                    number += 1
                    area.bases.append(Base(f"PE-{region.code}-{number:04d}", number, order, mast, kind))
                    order += 1
            found.append(area)
    return found


def _masts(place: Place, stations: int, seed: int, first: int) -> list[Mast]:
    """The masts of a place, laid out like the seeds of a sunflower, about 1 km apart."""
    groups: list[list[Kind]] = []
    for index in range(stations):
        kind = _kind(place, draw(seed, "kind", place.key, str(index)))
        if kind is Kind.NR and groups and len(groups[-1]) == 1 and groups[-1][0] is Kind.LTE:
            groups[-1].append(kind)  # new radio is mostly added to a mast that has LTE already
        else:
            groups.append([kind])
    turn = draw(seed, "turn", place.key) * 2 * math.pi
    built = []
    for index, kinds in enumerate(groups):
        radius, angle = 0.6 * math.sqrt(index), turn + index * _GOLDEN_ANGLE
        shrink = math.cos(math.radians(place.latitude))
        built.append(
            Mast(
                id=f"{place.region.id}-{slug(place.name)}-{first + index:02d}",
                name=place.name if len(groups) == 1 else f"{place.name} {index + 1}",
                place=place,
                latitude=round(place.latitude + radius * math.cos(angle) / _KM_PER_DEGREE, 5),
                longitude=round(place.longitude + radius * math.sin(angle) / _KM_PER_DEGREE / shrink, 5),
                population=place.population // len(groups),
                kinds=tuple(kinds),
            )
        )
    return built


def _kind(place: Place, chance: float) -> Kind:
    """Mostly LTE; the larger the place, the likelier is NR."""
    if place.population >= 50_000:
        nr, both = 0.12, 0.40
    elif place.population >= 5_000:
        nr, both = 0.04, 0.14
    else:
        nr, both = 0.01, 0.03
    if chance < nr:
        return Kind.NR
    return Kind.BOTH if chance < nr + both else Kind.LTE


def _bisect(masts: list[Mast], size: int) -> list[list[Mast]]:
    """Halve across the wider side until no group has more than ``size`` masts: compact areas."""
    if len(masts) <= size:
        return [sorted(masts, key=lambda mast: mast.id)]
    north = max(m.latitude for m in masts) - min(m.latitude for m in masts)
    east = max(m.longitude for m in masts) - min(m.longitude for m in masts)
    if north > east:
        ordered = sorted(masts, key=lambda mast: (mast.latitude, mast.id))
    else:
        ordered = sorted(masts, key=lambda mast: (mast.longitude, mast.id))
    middle = len(ordered) // 2
    return _bisect(ordered[:middle], size) + _bisect(ordered[middle:], size)
