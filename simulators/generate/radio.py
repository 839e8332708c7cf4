"""The radio plan: carriers, cell identities, PCIs and tracking area codes."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import NamedTuple

from simulators.generate.contracts import MOCN_BANDS, OWN_PLANS, PLMN, has_own_carrier, on_air
from simulators.generate.layout import Area, Base, Mast
from simulators.generate.places import Region, Zone, draw


@dataclass(frozen=True)
class CellRow:
    """A row of cells.csv."""

    station: str
    id: str
    rat: str
    local_id: int
    band: str
    arfcn_dl: int
    arfcn_ul: int
    bandwidth_mhz: int
    pci: int
    tac: int
    primary_plmn: str
    max_tx_power_dbm: float
    antenna_gain_dbi: int
    antenna_height_m: int
    antenna_azimuth_deg: int
    prach_root: int | str
    prach_zcz: int | str
    ssb_arfcn: int | str


@dataclass(frozen=True)
class OwnCellRow:
    """A row of own_cells.csv."""

    tenant: str
    station: str
    cell: str
    tac: int
    node_id: int
    node_id_length: int
    local_id: int


@dataclass(frozen=True)
class Carrier:
    """A carrier as licensed to one tenant; local cell ids of a band start above ``local_base``.

    ``power_dbm`` is a sector's in the countryside. ``ssb`` is on NR the point of the synchronisation raster next to the
    centre: each 1.44 MHz from 3 GHz on, which is 96 channel numbers from 600000 (TS 38.104 §5.4.3.1).
    """

    tenant: str
    rat: str
    band: str
    arfcn_dl: int
    arfcn_ul: int
    bandwidth_mhz: int
    local_base: int
    power_dbm: float
    ssb: int | str = ""


# Channel numbers lie in the operators' parts of the bands (TS 36.101 §5.7.3, TS 38.104 §5.4.2.1).
_B28 = Carrier("movistar", "LTE", "B28", 9285, 27285, 15, 0, 46)  # 765.5 MHz down, 710.5 MHz up
_B8 = Carrier("bitel", "LTE", "B8", 3650, 21650, 10, 20, 46)  # 945 MHz, 900 MHz
_B40 = Carrier("entel", "LTE", "B40", 38950, 38950, 20, 30, 43)  # 2330 MHz TDD
_B2 = Carrier("claro", "LTE", "B2", 750, 18750, 10, 40, 46)  # 1945 MHz, 1865 MHz
_B4 = (
    Carrier("entel", "LTE", "B4", 2300, 20300, 20, 10, 46),  # 2145 MHz, 1745 MHz
    Carrier("movistar", "LTE", "B4", 2050, 20050, 20, 10, 46),  # 2120 MHz, 1720 MHz
)
_N78 = (
    Carrier("claro", "NR", "n78", 630000, 630000, 100, 0, 50, 629952),  # 3450 MHz TDD
    Carrier("entel", "NR", "n78", 640000, 640000, 100, 0, 50, 640032),  # 3600 MHz
    Carrier("movistar", "NR", "n78", 623334, 623334, 100, 0, 50, 623328),  # 3350.01 MHz
)

# TACs: 2,000 per region, the upper 1,000 for carriers of a tenant's own (their PLMN set differs).
_TACS_PER_REGION = 2000
_MORAN_TAC = 1000
_NR_TAC = 100_000
_NODES_PER_REGION = 20_000
# Codes of a tenant's own plan lie apart from the host's, so that people tell them from each other.
_OWN_TAC = 60_000
_OWN_NODES = 600_000


class _Roots(NamedTuple):
    """A plan of PRACH roots for cells that reach equally far, of the 838 of the long preambles (TS 36.211 §5.7.2).

    Attributes:
        each: Roots of a cell, which its 64 preambles need with its cyclic shift.
        zcz: zeroCorrelationZoneConfig for that shift.
        first: Its first root; plans don't overlap.
        groups: Groups of three cells, one for each sector of a station.
        reach_km: What the shift bears.
    """

    each: int
    zcz: int
    first: int
    groups: int
    reach_km: float


#: Plans for masts far from others, near to others, and in towns.
_ROOTS = {
    "roots": _Roots(8, 11, 0, 15, 12.3),
    "roots near others": _Roots(4, 8, 360, 19, 5.6),
    "roots in towns": _Roots(2, 5, 588, 41, 2.7),
}
#: Groups of three, one for each sector of a station: PCIs, on NR each fourth, since sectors that face each other then
#: differ modulo 4, too (TS 36.211 §6.11, TS 38.211 §7.4.2), and PRACH roots.
_GROUPS = {"LTE": 168, "NR": 84, **{kind: roots.groups for kind, roots in _ROOTS.items()}}
#: How far NR cells reach, and the farthest cells of all.
_NR_REACH_KM, _WIDEST_KM = 5.2, 12.3
#: Masts with another one nearer than this are near others, in km.
_NEAR_KM = 8.0
#: Side of the tiles of the map in degrees, and in km at the least (in the south of Peru).
_TILE, _TILE_KM = 0.25, 26

#: Gains of antennas in dBi, of NR with beams, and their heights in m.
_LTE_GAIN, _NR_GAIN = 17, 24
_HEIGHT, _TOWN_HEIGHT = 30, 25
#: People of a place from which on cells are small and send with 3 dB less.
_DENSE = 50_000
#: People of a place from which on its masts are so near to each other that cells reach no farther than 3 km.
_TOWN = 10_000

#: Groups of codes of stations, by station and kind (``_GROUPS``).
Codes = Mapping[tuple[str, str], int]


def node_id(base: Base) -> int:
    """The eNB and gNB id: unique network-wide, within 20 bits.

    Raises:
        ValueError: if the region has more stations than numbers.
    """
    if base.number >= _NODES_PER_REGION:
        raise ValueError(f"more than {_NODES_PER_REGION} stations in one region: {base.id}")
    return base.mast.place.region.index * _NODES_PER_REGION + base.number


def plan_codes(areas: Iterable[Area]) -> Codes:
    """Groups of PCIs and of PRACH roots for each station: one that none in reach has, else that reused farthest away.

    Stations take turns by number, so neighbours in number, which are so in place, differ to begin with.
    """
    bases = [base for area in areas for base in area.bases]
    near = _near_others([base.mast for base in bases if base.kind.lte])
    planned: dict[tuple[str, str], int] = {}
    users: dict[tuple[str, int, int], list[tuple[Mast, float, int]]] = defaultdict(list)
    for base in bases:
        for kind, reach in _kinds_of_codes(base, near):
            nearest: dict[int, float] = {}
            beyond = 0 if kind in _ROOTS else 2 * _WIDEST_KM
            for tile in _tiles(base.mast, reach + _WIDEST_KM + beyond):
                for mast, its, group in users.get((kind, *tile), ()):
                    margin = base.mast.km_to(mast) / (reach + its + beyond)
                    nearest[group] = min(nearest.get(group, 1.0), margin)
            turn, groups = base.number + 37 * base.mast.place.region.index, _GROUPS[kind]
            ordered = [(turn + step) % groups for step in range(groups)]
            chosen = max(ordered, key=lambda group: nearest.get(group, 1.0))
            planned[base.id, kind] = chosen
            (own,) = _tiles(base.mast, 0)
            users[kind, *own].append((base.mast, reach, chosen))
    return planned


def _tiles(mast: Mast, km: float) -> Iterator[tuple[int, int]]:
    """Tiles of the map that hold all masts up to a distance, and some that are farther away."""
    row, column = math.floor(mast.latitude / _TILE), math.floor(mast.longitude / _TILE)
    around = range(-math.ceil(km / _TILE_KM), math.ceil(km / _TILE_KM) + 1)
    return ((row + north, column + east) for north in around for east in around)


def _near_others(masts: Sequence[Mast]) -> Set[str]:
    """Masts with another one near them."""
    on: dict[tuple[int, int], dict[str, Mast]] = defaultdict(dict)
    for mast in masts:
        (own,) = _tiles(mast, 0)
        on[own][mast.id] = mast
    return {
        mast.id
        for mast in masts
        if any(
            other.id != mast.id and mast.km_to(other) < _NEAR_KM
            for tile in _tiles(mast, _NEAR_KM)
            for other in on.get(tile, {}).values()
        )
    }


def _in_town(mast: Mast) -> bool:
    return mast.place.population >= _TOWN


def _kinds_of_codes(base: Base, near: Set[str]) -> Iterator[tuple[str, float]]:
    """Kinds of codes of a station, and how far the cells with them reach."""
    if base.kind.lte:
        alone = "roots near others" if base.mast.id in near else "roots"
        kind = "roots in towns" if _in_town(base.mast) else alone
        yield from ((one, _ROOTS[kind].reach_km) for one in ("LTE", kind))
    if base.kind.nr:
        yield "NR", _NR_REACH_KM


def _prach(base: Base, sector: int, codes: Codes) -> tuple[int, int]:
    """First root and zeroCorrelationZoneConfig of an LTE cell."""
    kind, roots = next((kind, roots) for kind, roots in _ROOTS.items() if (base.id, kind) in codes)
    return roots.first + roots.each * (3 * codes[base.id, kind] + sector - 1), roots.zcz


def cells(area: Area, seed: int, codes: Codes) -> Iterator[CellRow]:
    """The cells of a tracking area, station by station."""
    for base in area.bases:
        sectors = 3 if base.mast.place.population >= 1000 else 2
        for carrier in _carriers(base, seed):
            for sector in range(1, sectors + 1):
                group = codes[base.id, carrier.rat] * (4 if carrier.rat == "NR" else 1)
                pci = 3 * group + sector - 1
                root, zcz = _prach(base, sector, codes) if carrier.rat == "LTE" else ("", "")
                yield CellRow(
                    station=base.id,
                    id=f"{carrier.band}-{sector}",
                    rat=carrier.rat,
                    local_id=carrier.local_base + sector,
                    band=carrier.band,
                    arfcn_dl=carrier.arfcn_dl,
                    arfcn_ul=carrier.arfcn_ul,
                    bandwidth_mhz=carrier.bandwidth_mhz,
                    pci=pci,
                    tac=_tac(area, carrier),
                    primary_plmn=PLMN[carrier.tenant],
                    max_tx_power_dbm=carrier.power_dbm - (3 if base.mast.place.population >= _DENSE else 0),
                    antenna_gain_dbi=_NR_GAIN if carrier.rat == "NR" else _LTE_GAIN,
                    antenna_height_m=_TOWN_HEIGHT if _in_town(base.mast) else _HEIGHT,
                    antenna_azimuth_deg=360 * (sector - 1) // sectors,
                    prach_root=root,
                    prach_zcz=zcz,
                    ssb_arfcn=carrier.ssb,
                )


def own_cells(area: Area, seed: int, codes: Codes) -> Iterator[OwnCellRow]:
    """What a tenant plans for itself in a tracking area: LTE cells that it shares on another one's carrier."""
    tenant = OWN_PLANS.get(area.region.id, "")
    if not on_air(tenant, area.region, "LTE"):
        return
    numbers = {base.id: base.number for base in area.bases}
    for cell in cells(area, seed, codes):
        if cell.rat == "LTE" and cell.band in MOCN_BANDS and cell.primary_plmn != PLMN[tenant]:
            node = _OWN_NODES + numbers[cell.station]
            yield OwnCellRow(tenant, cell.station, cell.id, _OWN_TAC + area.number, node, 20, cell.local_id)


def _tac(area: Area, carrier: Carrier) -> int:
    code = area.region.index * _TACS_PER_REGION + area.number
    if carrier.rat == "NR":
        return _NR_TAC + code
    return code + _MORAN_TAC if carrier is _B2 else code


def _carriers(base: Base, seed: int) -> Iterator[Carrier]:
    region = base.mast.place.region
    if base.kind.lte:
        yield from _lte_carriers(base, region, seed)
    if base.kind.nr:
        yield _licensed(_N78, region)


def _lte_carriers(base: Base, region: Region, seed: int) -> Iterator[Carrier]:
    """A coverage band everywhere; capacity bands and Claro's own carrier in larger places."""
    people = base.mast.place.population

    def chance(what: str) -> float:
        return draw(seed, what, base.id)

    low_band_900 = region.zone is Zone.SELVA and on_air("bitel", region, "LTE") and chance("B8") < 0.4
    yield _B8 if low_band_900 else _B28
    if people >= 10_000 or chance("B4") < 0.1:
        yield _licensed(_B4, region)
    if people >= 100_000 and on_air("entel", region, "LTE") and chance("B40") < 0.3:
        yield _B40
    if people >= 20_000 and has_own_carrier("claro", region) and chance("B2") < 0.25:
        yield _B2


def _licensed(carriers: tuple[Carrier, ...], region: Region) -> Carrier:
    """The first carrier whose licensee shares it in the region: its PLMN is the primary one, so it must be on air."""
    return next(carrier for carrier in carriers if on_air(carrier.tenant, region, carrier.rat))
