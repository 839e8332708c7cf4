"""Rules of radio: identities and codes of a cell, and channel numbers and bandwidths of its carrier.

Sources: TS 36.101 tables 5.5-1 (bands), 5.6.1-1 (bandwidths), 5.7.3-1 (EARFCN);
TS 38.104 tables 5.2-1 (bands), 5.3.5-1 (bandwidths), 5.4.2.3-1 (NR-ARFCN and raster), 5.4.3.1-1 (SSB raster);
TS 38.211 §7.4.3.1 (SSB).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from controller.models.network import Cell, OwnCell, Rat, Station


@dataclass(frozen=True)
class Band:
    """An operating band. TDD bands have the same channel numbers in both directions."""

    name: str
    rat: Rat
    dl: range
    ul: range
    bandwidths: tuple[float, ...]
    raster: int = 1

    @property
    def tdd(self) -> bool:
        """Whether up- and downlink take turns on one carrier."""
        return self.dl == self.ul


def _lte(name: str, dl: tuple[int, int], bandwidths: str, *, tdd: bool = False) -> Band:
    """An LTE band whose uplink numbers lie 18,000 above the downlink's, as in all FDD bands below 64."""
    down = range(dl[0], dl[1] + 1)
    up = down if tdd else range(dl[0] + 18000, dl[1] + 18001)
    return Band(name, Rat.LTE, down, up, tuple(float(word) for word in bandwidths.split()))


def _nr(name: str, dl: tuple[int, int], ul: tuple[int, int], bandwidths: str, raster: int) -> Band:
    down, up = range(dl[0], dl[1] + 1), range(ul[0], ul[1] + 1)
    return Band(name, Rat.NR, down, up, tuple(float(word) for word in bandwidths.split()), raster)


_ALL = (
    _lte("B1", (0, 599), "5 10 15 20"),
    _lte("B2", (600, 1199), "1.4 3 5 10 15 20"),
    _lte("B3", (1200, 1949), "1.4 3 5 10 15 20"),
    _lte("B4", (1950, 2399), "1.4 3 5 10 15 20"),
    _lte("B5", (2400, 2649), "1.4 3 5 10"),
    _lte("B7", (2750, 3449), "5 10 15 20"),
    _lte("B8", (3450, 3799), "1.4 3 5 10"),
    _lte("B28", (9210, 9659), "3 5 10 15 20"),
    _lte("B38", (37750, 38249), "5 10 15 20", tdd=True),
    _lte("B40", (38650, 39649), "5 10 15 20", tdd=True),
    _lte("B41", (39650, 41589), "5 10 15 20", tdd=True),
    _lte("B42", (41590, 43589), "5 10 15 20", tdd=True),
    _lte("B43", (43590, 45589), "5 10 15 20", tdd=True),
    _nr("n1", (422000, 434000), (384000, 396000), "5 10 15 20 25 30 40 45 50", 20),
    _nr("n3", (361000, 376000), (342000, 357000), "5 10 15 20 25 30 35 40 45 50", 20),
    _nr("n5", (173800, 178800), (164800, 169800), "5 10 15 20 25", 20),
    _nr("n7", (524000, 538000), (500000, 514000), "5 10 15 20 25 30 35 40 50", 20),
    _nr("n8", (185000, 192000), (176000, 183000), "5 10 15 20 35", 20),
    _nr("n28", (151600, 160600), (140600, 149600), "5 10 15 20 25 30", 20),
    _nr("n40", (460000, 480000), (460000, 480000), "5 10 15 20 25 30 40 50 60 70 80 90 100", 20),
    _nr("n41", (499200, 537999), (499200, 537999), "10 15 20 30 40 50 60 70 80 90 100", 3),
    _nr("n77", (620000, 680000), (620000, 680000), "10 15 20 25 30 40 50 60 70 80 90 100", 1),
    _nr("n78", (620000, 653333), (620000, 653333), "10 15 20 25 30 40 50 60 70 80 90 100", 1),
)
BANDS = {band.name: band for band in _ALL}

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
    if problem := _channel_problem(cell.arfcn_dl, band.dl, cell.bandwidth_mhz, band):
        yield "arfcn_dl", *problem
    elif cell.arfcn_ul != (right := band.ul.start + cell.arfcn_dl - band.dl.start):
        paired = "in TDD both ways are the same" if band.tdd else f"{band.name} pairs it with {cell.arfcn_dl} down"
        yield "arfcn_ul", "does not go with arfcn_dl", f"{right}, since {paired}"


def _channel_problem(arfcn: int, numbers: range, bandwidth: float, band: Band) -> tuple[str, str] | None:
    """Why a carrier can't have this centre channel number."""
    if arfcn not in numbers:
        return f"outside {band.name}", f"{numbers.start} to {numbers[-1]}"
    step = _step_khz(arfcn, band)
    margin = math.ceil(bandwidth * 500 / step)  # channel numbers between the centre and the edge of the carrier
    # NR counts both edges of the band as channels, LTE only the lower one.
    last = numbers[-1] if band.rat is Rat.NR else numbers.stop
    if not numbers.start + margin <= arfcn <= last - margin:
        edges = f"{numbers.start + margin} to {last - margin}"
        return f"a carrier of {bandwidth:g} MHz would reach beyond {band.name}", edges
    if (arfcn - numbers.start) % band.raster:
        return f"not on the channel raster of {band.name}", f"steps of {band.raster} from {numbers.start}"
    return None


def _step_khz(arfcn: int, band: Band) -> int:
    """Spacing of channel numbers: LTE 100 kHz (TS 36.101 §5.7.1), NR 5 or 15 kHz (TS 38.104 table 5.4.2.1-1)."""
    if band.rat is Rat.LTE:
        return 100
    return 5 if arfcn < _ARFCN_3_GHZ else 15


# ------------------------------------------------------- what may stay as it is


def planned_problems(cell: Cell) -> Iterator[tuple[str, str, str]]:
    """Problems of power and SSB, if they are planned, as (field, message, what would be right)."""
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
    """Subcarrier spacing of an SSB: 30 kHz from 3 GHz, below 15 kHz, which every such band has."""
    return 30 if ssb >= _ARFCN_3_GHZ else 15


def _khz(arfcn: int) -> int:
    """Frequency of an NR-ARFCN (TS 38.104 §5.4.2.1)."""
    return 5 * min(arfcn, _ARFCN_3_GHZ) + 15 * max(arfcn - _ARFCN_3_GHZ, 0)


def milliwatts(dbm: float) -> int:
    """Power in whole milliwatts."""
    return round(10 ** (dbm / 10))


def dbm_of(milliwatts_: int) -> float:
    """Power in dBm, with as few decimals as give the same milliwatts."""
    exact = 10 * math.log10(milliwatts_)
    return next((short for digits in range(9) if milliwatts(short := round(exact, digits)) == milliwatts_), exact)
