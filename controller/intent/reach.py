"""The reach of a cell: how far users may be from it, by what the network files say.

Decisions:
    - Planners give the PRACH a cyclic shift for the farthest user: it bears his delay there and back. So the radius
      follows from prach_zcz and prach_format: ((NCS - 2) x TSEQ / NZC - 5.2 us) x 150 m (two samples of guard,
      5.2 us of delay spread), and is at most what the cyclic prefix bears (TS 36.211 table 5.7.1-1, TS 38.211 tables
      6.3.3.1-1 and -2).
    - Else it is where the cell is received with -120 dBm of RSRP, without line of sight in the countryside, which is
      more than what terminals have to measure (TS 36.133 §9.1.2): TR 38.901 table 7.4.1-1 (RMa NLOS, streets of 20 m,
      buildings of 5 m, terminals at 1.5 m), from power, gain and height of the antenna, and no farther than the radio
      horizon. The table is for 5 km; beyond that it is an estimate.
    - Else it is 5 km, and it is said that nobody knows.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from controller.inventory.radio import frequency_mhz, prach_radius_km, subcarrier_khz
from controller.models.network import Cell

#: Reach where the files don't tell, and the most that counts, in km.
DEFAULT_KM, MOST_KM = 5.0, 50.0
#: How far cells may well reach of which the files don't tell: as far as the usual preambles bear it (format 0).
POSSIBLE_KM = 14.7
#: The weakest RSRP that counts, in dBm.
_WEAKEST_RSRP = -120.0
#: Height of terminals, width of streets and height of buildings in m.
_TERMINAL, _STREET, _BUILDINGS = 1.5, 20.0, 5.0
#: Heights of base stations that the model is for, in m.
_HEIGHTS = (10.0, 150.0)
#: Part of a carrier's bandwidth that its subcarriers take.
_USED = 0.9


class Reach(NamedTuple):
    """A distance in km, and whether it follows from the files."""

    km: float
    known: bool

    @property
    def possible(self) -> float:
        """How far the cell may well reach."""
        return self.km if self.known else POSSIBLE_KM


def reach_of(cell: Cell) -> Reach:
    """How far users may be from a cell."""
    km = prach_radius_km(cell)
    if km is None:
        km = _received_km(cell)
    return Reach(DEFAULT_KM, known=False) if km is None else Reach(min(km, MOST_KM), known=True)


def _received_km(cell: Cell) -> float | None:
    """How far a cell is received; None if the files don't say enough."""
    power, gain, height = cell.max_tx_power_dbm, cell.antenna_gain_dbi, cell.antenna_height_m
    mhz = frequency_mhz(cell)
    if power is None or gain is None or height is None or mhz is None:
        return None
    subcarriers = _USED * cell.bandwidth_mhz * 1000 / subcarrier_khz(cell)
    loss = power + gain - 10 * math.log10(subcarriers) - _WEAKEST_RSRP
    mast = min(max(height, _HEIGHTS[0]), _HEIGHTS[1])
    level = math.log10(mast)
    at_1_km = (
        161.04
        - 7.1 * math.log10(_STREET)
        + 7.5 * math.log10(_BUILDINGS)
        - (24.37 - 3.7 * (_BUILDINGS / mast) ** 2) * level
        + 20 * math.log10(mhz / 1000)
        - (3.2 * math.log10(11.75 * _TERMINAL) ** 2 - 4.97)
    )
    horizon = 4.12 * (math.sqrt(height) + math.sqrt(_TERMINAL))
    return float(min(10 ** ((loss - at_1_km) / (43.42 - 3.1 * level)), horizon))
