"""Rules of radio: identities and codes of a cell, and channel numbers and bandwidths of its carrier.

Sources: TS 36.101 tables 5.5-1 (bands), 5.6.1-1 (bandwidths), 5.7.3-1 (EARFCN);
TS 38.104 tables 5.2-1 (bands), 5.3.5-1 (bandwidths), 5.4.2.3-1 (NR-ARFCN and raster), 5.4.3.1-1 (SSB raster), 5.4.3.3-1
(spacing of the SSB); TS 38.211 §7.4.3.1 (SSB); TS 36.211 §5.7.2 and TS 38.211 §6.3.3.1 (PRACH).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from controller.models.network import Cell, OwnCell, Rat, Station


@dataclass(frozen=True)
class Band:
    """An operating band. TDD bands have the same channel numbers in both directions.

    Attributes:
        raster: Channel numbers between two channels.
        wide: The same for a channel that uses no subcarrier spacing below 30 kHz, where the band has two rasters
            (TS 38.104 §5.4.2.3); else equal.
    """

    name: str
    rat: Rat
    dl: range
    ul: range
    bandwidths: tuple[float, ...]
    raster: int = 1
    wide: int = 1

    @property
    def tdd(self) -> bool:
        """Whether up- and downlink take turns on one carrier."""
        return self.dl == self.ul


def _lte(
    name: str, dl: tuple[int, int], bandwidths: str, *, tdd: bool = False, ul: tuple[int, int] | None = None
) -> Band:
    """An LTE band; if no uplink is given, its numbers lie 18,000 above the downlink's, as in all FDD bands below 64."""
    down = range(dl[0], dl[1] + 1)
    paired = ul or (dl[0] + 18000, dl[1] + 18000)
    up = down if tdd else range(paired[0], paired[1] + 1)
    return Band(name, Rat.LTE, down, up, tuple(float(word) for word in bandwidths.split()))


def _nr(name: str, dl: tuple[int, int], ul: tuple[int, int], bandwidths: str, raster: int, wide: int = 0) -> Band:
    down, up = range(dl[0], dl[1] + 1), range(ul[0], ul[1] + 1)
    return Band(name, Rat.NR, down, up, tuple(float(word) for word in bandwidths.split()), raster, wide or raster)


_ALL = (
    _lte("B1", (0, 599), "5 10 15 20"),
    _lte("B2", (600, 1199), "1.4 3 5 10 15 20"),
    _lte("B3", (1200, 1949), "1.4 3 5 10 15 20"),
    _lte("B4", (1950, 2399), "1.4 3 5 10 15 20"),
    _lte("B5", (2400, 2649), "1.4 3 5 10"),
    _lte("B7", (2750, 3449), "5 10 15 20"),
    _lte("B8", (3450, 3799), "1.4 3 5 10"),
    _lte("B12", (5010, 5179), "1.4 3 5 10"),
    _lte("B26", (8690, 9039), "1.4 3 5 10 15"),
    _lte("B28", (9210, 9659), "3 5 10 15 20"),
    _lte("B38", (37750, 38249), "5 10 15 20", tdd=True),
    _lte("B40", (38650, 39649), "5 10 15 20", tdd=True),
    _lte("B41", (39650, 41589), "5 10 15 20", tdd=True),
    _lte("B42", (41590, 43589), "5 10 15 20", tdd=True),
    _lte("B43", (43590, 45589), "5 10 15 20", tdd=True),
    _lte("B66", (66436, 67335), "1.4 3 5 10 15 20", ul=(131972, 132671)),
    _nr("n1", (422000, 434000), (384000, 396000), "5 10 15 20 25 30 40 45 50", 20),
    _nr("n2", (386000, 398000), (370000, 382000), "5 10 15 20 25 30 35 40", 20),
    _nr("n3", (361000, 376000), (342000, 357000), "5 10 15 20 25 30 35 40 45 50", 20),
    _nr("n5", (173800, 178800), (164800, 169800), "5 10 15 20 25", 20),
    _nr("n7", (524000, 538000), (500000, 514000), "5 10 15 20 25 30 35 40 50", 20),
    _nr("n8", (185000, 192000), (176000, 183000), "5 10 15 20 35", 20),
    _nr("n28", (151600, 160600), (140600, 149600), "5 10 15 20 25 30", 20),
    _nr("n38", (514000, 524000), (514000, 524000), "5 10 15 20 25 30 40", 20),
    # 5 MHz, which the specification has too, does not hold the band's SSB of 30 kHz (7.2 MHz); so in n48.
    _nr("n40", (460000, 480000), (460000, 480000), "10 15 20 25 30 40 50 60 70 80 90 100", 20),
    _nr("n41", (499200, 537999), (499200, 537999), "10 15 20 30 40 50 60 70 80 90 100", 3, 6),
    _nr("n48", (636667, 646666), (636667, 646666), "10 15 20 30 40 50 60 70 80 90 100", 1, 2),
    _nr("n66", (422000, 440000), (342000, 356000), "5 10 15 20 25 30 35 40 45", 20),
    _nr("n71", (123400, 130400), (132600, 139600), "5 10 15 20 25 30 35", 20),
    _nr("n77", (620000, 680000), (620000, 680000), "10 15 20 25 30 40 50 60 70 80 90 100", 1, 2),
    _nr("n78", (620000, 653333), (620000, 653333), "10 15 20 25 30 40 50 60 70 80 90 100", 1, 2),
)
BANDS = {band.name: band for band in _ALL}

#: The subcarrier spacing that the finer of two rasters is for.
_NARROW_KHZ = 15
#: From here on (3 GHz) NR-ARFCNs count 15 kHz, below that 5 kHz (TS 38.104 table 5.4.2.1-1).
_ARFCN_3_GHZ = 600_000
#: The synchronisation raster in NR-ARFCNs: from 3 GHz steps of 1.44 MHz; below, at 50, 150 and 250 kHz in each 1.2 MHz.
_SSB_STEP_HIGH, _SSB_STEP_LOW, _SSB_LOW = 96, 240, (10, 30, 50)
_SSB_SUBCARRIERS = 240
_EPSILON = 1e-6


@dataclass(frozen=True)
class Limits:
    """Largest codes of a cell.

    Attributes:
        identity_bits: Bits of the cell identity, which node id and local id share.
        reserved_tacs: Reserved tracking area codes, which no tracking area may have.
    """

    identity_bits: int
    local_id: int
    pci: int
    tac: int
    reserved_tacs: tuple[int, ...]


#: ECI (TS 36.413 §9.2.1.38) and NCI (TS 38.413 §9.3.1.7); cellLocalId (TS 28.658, TS 28.541 §4.4.1); PCI (TS 36.211
#: §6.11, TS 38.211 §7.4.2); TAC (TS 23.003 §19.4.2.3, §28.6).
LIMITS = {
    Rat.LTE: Limits(28, 255, 503, 0xFFFF, (0x0000, 0xFFFE)),
    Rat.NR: Limits(36, 16383, 1007, 0xFFFFFF, (0x000000, 0xFFFFFE)),
}
#: Lengths of node ids in bits (TS 36.413 §9.2.1.37, TS 38.413 §9.3.1.6).
NODE_ID_LENGTHS = {Rat.LTE: (18, 20, 21, 28), Rat.NR: tuple(range(22, 33))}


def cell_identity(cell: Cell, station: Station) -> int | None:
    """Node id and local id in one number, unique in the network for a technology; None if the station has no node id.

    Since it is unique without the PLMN, it is also unique with it (ECGI, NCGI), whichever PLMN is primary.
    """
    node_id, length = station.node_id(cell.rat)
    return None if node_id is None else joined_identity(cell.rat, node_id, length, cell.local_id)


def joined_identity(rat: Rat, node_id: int, length: int, local_id: int) -> int:
    """The cell identity (ECI, NCI) made of a node id of some bits and a local id."""
    return (node_id << (LIMITS[rat].identity_bits - length)) + local_id


def split_identity(rat: Rat, identity: int, length: int) -> tuple[int, int]:
    """The node id and the local id in a cell identity (ECI, NCI), for a length of the node id in bits."""
    return divmod(identity, 1 << (LIMITS[rat].identity_bits - length))


def code_problems(cell: Cell, station: Station | None) -> Iterator[tuple[str, str, str]]:
    """Problems of a cell's identity and codes, as (field, message, what would be right)."""
    limits = LIMITS[cell.rat]
    if station is not None:
        _, length = station.node_id(cell.rat)
        field = "enb_id_length" if cell.rat is Rat.LTE else "gnb_id_length"
        yield from _local_id_problems(cell.rat, cell.local_id, field, length)
    if cell.pci > limits.pci:
        yield "pci", "too large", f"at most {limits.pci} in {cell.rat}"
    yield from _tac_problems(cell.rat, cell.tac)


def own_problems(own: OwnCell, rat: Rat) -> Iterator[tuple[str, str, str]]:
    """Problems of a tenant's own codes for a cell, as (field, message, what would be right)."""
    lengths = NODE_ID_LENGTHS[rat]
    if own.node_id_length not in lengths:
        yield "node_id_length", f"no length of {rat}", f"one of {', '.join(map(str, lengths))}"
    elif own.node_id >= 2**own.node_id_length:
        yield "node_id", "too large", f"at most {2**own.node_id_length - 1} with node_id_length {own.node_id_length}"
    else:
        yield from _local_id_problems(rat, own.local_id, "node_id_length", own.node_id_length)
    yield from _tac_problems(rat, own.tac)


def _local_id_problems(rat: Rat, local_id: int, field: str, length: int) -> Iterator[tuple[str, str, str]]:
    limits = LIMITS[rat]
    most = min(limits.local_id, 2 ** (limits.identity_bits - length) - 1)
    if local_id > most:
        yield "local_id", "too large", f"at most {most} in {rat} with {field} {length}"


def _tac_problems(rat: Rat, tac: int) -> Iterator[tuple[str, str, str]]:
    limits = LIMITS[rat]
    if tac > limits.tac:
        yield "tac", "too large", f"at most {limits.tac} in {rat}"
    elif tac in limits.reserved_tacs:
        first, last = limits.reserved_tacs
        yield "tac", f"reserved in {rat}", f"{first + 1} to {last - 1}, or {limits.tac}"


def carrier_problems(cell: Cell, band: Band) -> Iterator[tuple[str, str, str]]:
    """Problems of a cell's carrier in its band, as (field, message, what would be right)."""
    if band.rat is not cell.rat:
        fitting = ", ".join(known.name for known in _ALL if known.rat is cell.rat)
        yield "band", f"not a band of {cell.rat}", f"bands of {cell.rat} are {fitting}"
        return
    if cell.bandwidth_mhz not in band.bandwidths:
        yield "bandwidth_mhz", f"no bandwidth of {band.name}", f"one of {', '.join(f'{b:g}' for b in band.bandwidths)}"
        return
    if problem := _channel_problem(cell, band):
        yield "arfcn_dl", *problem
    elif cell.arfcn_ul != (right := band.ul.start + cell.arfcn_dl - band.dl.start):
        paired = "in TDD both ways are the same" if band.tdd else f"{band.name} pairs it with {cell.arfcn_dl} down"
        yield "arfcn_ul", "does not go with arfcn_dl", f"{right}, since {paired}"


def raster_is_open(cell: Cell, band: Band) -> bool:
    """Whether the channel is right or wrong by the carrier's subcarrier spacing, which nobody says."""
    return cell.scs_khz is None and (cell.arfcn_dl - _first(band)) % band.wide != 0


def _first(band: Band) -> int:
    """The channel from which a band's raster counts: the wider one of n48 begins one number above the band's edge."""
    return band.dl.start + (band.dl.start % band.wide if band.wide > band.raster == 1 else 0)


def _channel_problem(cell: Cell, band: Band) -> tuple[str, str] | None:
    """Why a carrier can't have its centre channel number."""
    arfcn, bandwidth, numbers = cell.arfcn_dl, cell.bandwidth_mhz, band.dl
    if arfcn not in numbers:
        return f"outside {band.name}", f"{numbers.start} to {numbers[-1]}"
    step = _step_khz(arfcn, band)
    margin = math.ceil(bandwidth * 500 / step)  # channel numbers between the centre and the edge of the carrier
    # NR counts both edges of the band as channels, LTE only the lower one. Parts of B66 and n66 have no uplink.
    last = min(numbers[-1], numbers.start + len(band.ul) - 1) + (band.rat is Rat.LTE)
    if not numbers.start + margin <= arfcn <= last - margin:
        edges = f"{numbers.start + margin} to {last - margin}"
        return f"a carrier of {bandwidth:g} MHz would reach beyond {band.name}", edges
    if (arfcn - numbers.start) % band.raster:
        return f"not on the channel raster of {band.name}", f"steps of {band.raster} from {numbers.start}"
    if cell.scs_khz not in (None, _NARROW_KHZ) and (arfcn - _first(band)) % band.wide:
        wide = f"steps of {band.wide} from {_first(band)}"
        return f"not on the channel raster of {band.name} for {cell.scs_khz} kHz of subcarrier spacing", wide
    return None


def _step_khz(arfcn: int, band: Band) -> int:
    """Spacing of channel numbers: LTE 100 kHz (TS 36.101 §5.7.1), NR 5 or 15 kHz (TS 38.104 table 5.4.2.1-1)."""
    if band.rat is Rat.LTE:
        return 100
    return 5 if arfcn < _ARFCN_3_GHZ else 15


# ------------------------------------------------------- what may stay as it is


def planned_problems(cell: Cell) -> Iterator[tuple[str, str, str]]:
    """Problems of power, PRACH, spacing and SSB, if they are planned, as (field, message, what would be right)."""
    yield from _prach_problems(cell)
    if cell.scs_khz is not None and cell.rat is Rat.LTE:
        yield "scs_khz", "LTE always has 15 kHz", "leave it empty"
    power = cell.max_tx_power_dbm
    if power is not None and cell.rat is Rat.LTE and abs(power * 10 - round(power * 10)) > _EPSILON:
        yield "max_tx_power_dbm", "too fine for LTE", "steps of 0.1"
    if cell.ssb_arfcn is None:
        return
    if cell.rat is Rat.LTE:
        yield "ssb_arfcn", "LTE has no SSB", "leave it empty"
    elif problem := ssb_problem(cell.ssb_arfcn, cell.arfcn_dl, cell.bandwidth_mhz):
        yield "ssb_arfcn", *problem


def ssb_problem(ssb: int, arfcn_dl: int, bandwidth_mhz: float) -> tuple[str, str] | None:
    """Why the SSB of a carrier can't have a channel number, and which is right."""
    high = ssb >= _ARFCN_3_GHZ
    if (ssb - _ARFCN_3_GHZ) % _SSB_STEP_HIGH if high else ssb % _SSB_STEP_LOW not in _SSB_LOW:
        return "not on the synchronisation raster", f"{ssb_next_to(ssb)} is next to it"
    aside = abs(_khz(ssb) - _khz(arfcn_dl)) + _SSB_SUBCARRIERS * ssb_khz(ssb) / 2
    if aside > bandwidth_mhz * 500:
        return "the SSB would reach beyond the carrier", f"{ssb_next_to(arfcn_dl)} is next to its centre"
    return None


def ssb_next_to(arfcn: int) -> int:
    """Nearest NR-ARFCN of the synchronisation raster: every 1.44 MHz from 3 GHz, below every 1.2 MHz (M = 3)."""
    if arfcn >= _ARFCN_3_GHZ:
        return _ARFCN_3_GHZ + round((arfcn - _ARFCN_3_GHZ) / _SSB_STEP_HIGH) * _SSB_STEP_HIGH
    return round((arfcn - 30) / _SSB_STEP_LOW) * _SSB_STEP_LOW + 30


def ssb_khz(ssb: int) -> int:
    """Subcarrier spacing of an SSB: 30 kHz from 3 GHz and in n40; below else 15 kHz, which every such band has."""
    return 30 if ssb >= _ARFCN_3_GHZ or ssb in BANDS["n40"].dl else 15


def _khz(arfcn: int) -> int:
    """Frequency of an NR-ARFCN (TS 38.104 §5.4.2.1)."""
    return 5 * min(arfcn, _ARFCN_3_GHZ) + 15 * max(arfcn - _ARFCN_3_GHZ, 0)


# ------------------------------------------------------------------------ PRACH

#: Preambles of a cell (TS 36.211 §5.7.2, TS 38.211 §6.3.3.1).
_PREAMBLES = 64


@dataclass(frozen=True)
class _Preambles:
    """How preambles of some formats follow from root sequences, in cells without a high-speed flag (unrestricted sets).

    Attributes:
        length: Length of a root sequence; there is one root fewer.
        shifts: Cyclic shift (NCS) by zeroCorrelationZoneConfig; 0: none, so that each preamble takes a root.
    """

    length: int
    shifts: tuple[int, ...]


#: TS 36.211 table 5.7.2-2 and TS 38.211 table 6.3.3.1-5; TS 38.211 table 6.3.3.1-6 (5 kHz); TS 36.211 table 5.7.2-3
#: (format 4); TS 38.211 table 6.3.3.1-7 (short).
_LONG = _Preambles(839, (0, 13, 15, 18, 22, 26, 32, 38, 46, 59, 76, 93, 119, 167, 279, 419))
_LONG_5_KHZ = _Preambles(839, (0, 13, 26, 33, 38, 41, 49, 55, 64, 76, 93, 119, 139, 209, 279, 419))
_FORMAT_4 = _Preambles(139, (2, 4, 6, 8, 10, 12, 15))
_SHORT = _Preambles(139, (0, 2, 4, 6, 8, 10, 12, 13, 15, 17, 19, 23, 27, 34, 46, 69))
_SHORT_FORMATS = ("A1", "A2", "A3", "B1", "B4", "C0", "C2", "A1/B1", "A2/B2", "A3/B3")
_PRACH_FORMATS = {
    Rat.LTE: {**dict.fromkeys("0123", _LONG), "4": _FORMAT_4},
    Rat.NR: {**dict.fromkeys("012", _LONG), "3": _LONG_5_KHZ, **dict.fromkeys(_SHORT_FORMATS, _SHORT)},
}


@dataclass(frozen=True)
class PrachRoots:
    """Root sequences that a cell takes for its preambles.

    Attributes:
        length: Length of the sequences: those of another length are others.
        first: The first one, a logical root sequence number.
        count: How many follow each other, with the first one; after the last number comes 0.
        exact: Whether it is known how many; otherwise ``count`` is the least.
    """

    length: int
    first: int
    count: int
    exact: bool

    @property
    def numbers(self) -> tuple[int, ...]:
        """All of them, in their order."""
        return self.following(self.count)

    @property
    def possible(self) -> tuple[int, ...]:
        """All that it may take, where it is not known how many."""
        return self.following(self.count if self.exact else _PREAMBLES)

    def following(self, count: int) -> tuple[int, ...]:
        """So many from the first one on."""
        return tuple((self.first + step) % (self.length - 1) for step in range(min(count, self.length - 1)))


def prach_roots(cell: Cell) -> PrachRoots | None:
    """Root sequences of a cell; None if the files leave them to the field.

    LTE cells have long preambles, if nothing else is said. The number of roots follows from the cyclic shift, so it is
    known with ``prach_zcz`` only; in NR also the format has to be known, since short preambles have other shifts.
    """
    if cell.prach_root is None:
        return None
    told = _PRACH_FORMATS[cell.rat].get(cell.prach_format or ("0" if cell.rat is Rat.LTE else ""))
    preambles = told or _LONG
    if told is None or cell.prach_zcz is None or cell.prach_zcz >= len(told.shifts):
        return PrachRoots(preambles.length, cell.prach_root, 1, exact=False)
    shift = told.shifts[cell.prach_zcz]
    return PrachRoots(
        told.length, cell.prach_root, math.ceil(_PREAMBLES / (told.length // shift if shift else 1)), exact=True
    )


#: Samples of guard, and microseconds of delay spread, in a cyclic shift; metres of radius for a microsecond.
_GUARD, _SPREAD_US, _METRES = 2, 5.2, 150
#: Microseconds of the cyclic prefix of long preambles: TS 36.211 table 5.7.1-1, TS 38.211 table 6.3.3.1-1.
_PREFIX_US = {
    Rat.LTE: {"0": 103.13, "1": 684.38, "2": 203.13, "3": 684.38, "4": 14.58},
    Rat.NR: {"0": 103.13, "1": 684.38, "2": 152.6, "3": 103.13},
}


def prach_radius_km(cell: Cell) -> float | None:
    """Distance of the farthest user whose preambles a cell tells from others; None if the files don't say enough."""
    name = cell.prach_format or ("0" if cell.rat is Rat.LTE else "")
    told = _PRACH_FORMATS[cell.rat].get(name)
    spacing = None if told is None else _preamble_khz(cell, told)
    if told is None or spacing is None or cell.prach_zcz is None or cell.prach_zcz >= len(told.shifts):
        return None
    shift = told.shifts[cell.prach_zcz]
    prefix = _PREFIX_US[cell.rat].get(name) if cell.prach_format or not shift else None
    delays = [] if not shift else [(shift - _GUARD) * 1000 / spacing / told.length - _SPREAD_US]
    delays += [] if prefix is None else [prefix - _SPREAD_US]
    return max(min(delays), 1) * _METRES / 1000 if delays else None


def _preamble_khz(cell: Cell, preambles: _Preambles) -> float | None:
    """Subcarrier spacing of preambles; short ones of NR have that of the carrier."""
    if preambles is _SHORT:
        return cell.scs_khz
    return {_LONG: 1.25, _LONG_5_KHZ: 5.0, _FORMAT_4: 7.5}[preambles]


def _prach_problems(cell: Cell) -> Iterator[tuple[str, str, str]]:
    formats = _PRACH_FORMATS[cell.rat]
    told = formats.get(cell.prach_format or "")
    if cell.prach_format and told is None:
        yield "prach_format", f"no preamble format of {cell.rat}", f"one of {', '.join(formats)}"
    elif told is not None and cell.prach_zcz is not None and cell.prach_zcz >= len(told.shifts):
        yield "prach_zcz", f"too large for format {cell.prach_format}", f"0 to {len(told.shifts) - 1}"
    if told is not None and cell.prach_root is not None and cell.prach_root > told.length - 2:
        yield "prach_root", f"too large for format {cell.prach_format}", f"0 to {told.length - 2}"


# -------------------------------------------------------------------- frequency

#: MHz of the first downlink channel of LTE bands (TS 36.101 table 5.7.3-1).
_LOWEST_MHZ = {
    "B1": 2110,
    "B2": 1930,
    "B3": 1805,
    "B4": 2110,
    "B5": 869,
    "B7": 2620,
    "B8": 925,
    "B12": 729,
    "B26": 859,
    "B28": 758,
    "B38": 2570,
    "B40": 2300,
    "B41": 2496,
    "B42": 3400,
    "B43": 3600,
    "B66": 2110,
}


def frequency_mhz(cell: Cell) -> float | None:
    """Frequency of a cell's downlink; None in a band that is unknown."""
    if cell.rat is Rat.NR:
        return _khz(cell.arfcn_dl) / 1000
    lowest, band = _LOWEST_MHZ.get(cell.band), BANDS.get(cell.band)
    return None if lowest is None or band is None else lowest + (cell.arfcn_dl - band.dl.start) / 10


def subcarrier_khz(cell: Cell) -> int:
    """Subcarrier spacing of a carrier; if no file says it, that of its SSB."""
    return 15 if cell.rat is Rat.LTE else cell.scs_khz or ssb_khz(cell.arfcn_dl)


def milliwatts(dbm: float) -> int:
    """Power in whole milliwatts."""
    return round(10 ** (dbm / 10))


def dbm_of(milliwatts_: int) -> float:
    """Power in dBm, with as few decimals as give the same milliwatts."""
    exact = 10 * math.log10(milliwatts_)
    return next((short for digits in range(9) if milliwatts(short := round(exact, digits)) == milliwatts_), exact)
