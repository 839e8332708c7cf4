"""The radio plan: carriers, cell identities, PCIs and tracking area codes."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

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

#: PRACH root sequences of a cell, of the 838 of the long preambles: with eight, 64 preambles bear the delay of 12 km;
#: with two of some 3 km, enough in towns (TS 36.211 §5.7.2). Cells in towns have the upper half.
_ROOTS, _TOWN_ROOTS, _TOWN_ROOTS_FROM = 8, 2, 408
#: zeroCorrelationZoneConfig for so many: cyclic shifts of 93 and of 26 (TS 36.211 table 5.7.2-2).
_ZCZ, _TOWN_ZCZ = 11, 5
#: Groups of three, one for each sector of a station: PCIs (TS 36.211 §6.11, TS 38.211 §7.4.2), and PRACH roots.
_GROUPS = {"LTE": 168, "NR": 336, "roots": 17, "roots in towns": 71}
#: Stations nearer than this differ in PCIs: neighbours are up to 10 km apart, two neighbours of one up to twice that.
_REUSE_KM = 20.5
#: Side of the tiles of the map in degrees, which is more than that anywhere in Peru.
_TILE = 0.2

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
    planned: dict[tuple[str, str], int] = {}
    users: dict[tuple[str, int, int], list[tuple[Mast, int]]] = defaultdict(list)
    for base in (base for area in areas for base in area.bases):
        row, column = math.floor(base.mast.latitude / _TILE), math.floor(base.mast.longitude / _TILE)
        for kind in _kinds_of_codes(base):
            nearest: dict[int, float] = {}
            for tile in ((kind, row + north, column + east) for north in (-1, 0, 1) for east in (-1, 0, 1)):
                for mast, group in users.get(tile, ()):
                    nearest[group] = min(nearest.get(group, math.inf), base.mast.km_to(mast))
            turn, groups = base.number + 37 * base.mast.place.region.index, _GROUPS[kind]
            ordered = [(turn + step) % groups for step in range(groups)]
            chosen = max(ordered, key=lambda group: min(nearest.get(group, math.inf), _REUSE_KM))
            planned[base.id, kind] = chosen
            users[kind, row, column].append((base.mast, chosen))
    return planned


def _kinds_of_codes(base: Base) -> Iterator[str]:
    if base.kind.lte:
        yield "LTE"
        yield "roots in towns" if base.mast.place.population >= _TOWN else "roots"
    if base.kind.nr:
        yield "NR"


def _prach_root(base: Base, sector: int, codes: Codes) -> int:
    if base.mast.place.population >= _TOWN:
        return _TOWN_ROOTS_FROM + _TOWN_ROOTS * (3 * codes[base.id, "roots in towns"] + sector - 1)
    return _ROOTS * (3 * codes[base.id, "roots"] + sector - 1)


def _prach_zcz(base: Base) -> int:
    return _TOWN_ZCZ if base.mast.place.population >= _TOWN else _ZCZ


def cells(area: Area, seed: int, codes: Codes) -> Iterator[CellRow]:
    """The cells of a tracking area, station by station."""
    for base in area.bases:
        sectors = 3 if base.mast.place.population >= 1000 else 2
        for carrier in _carriers(base, seed):
            for sector in range(1, sectors + 1):
                pci = 3 * codes[base.id, carrier.rat] + sector - 1
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
                    prach_root=_prach_root(base, sector, codes) if carrier.rat == "LTE" else "",
                    prach_zcz=_prach_zcz(base) if carrier.rat == "LTE" else "",
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
