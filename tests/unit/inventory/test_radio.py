"""Bands: channel numbers against frequencies worked out by the formulas of the specifications."""

from __future__ import annotations

import pytest

from controller.inventory.radio import BANDS, Band
from controller.models.network import Rat

# Band, downlink and uplink edges in MHz (TS 36.101 table 5.5-1, TS 38.104 table 5.2-1).
_EDGES = {
    "B1": (2110, 2170, 1920, 1980),
    "B2": (1930, 1990, 1850, 1910),
    "B3": (1805, 1880, 1710, 1785),
    "B4": (2110, 2155, 1710, 1755),
    "B5": (869, 894, 824, 849),
    "B7": (2620, 2690, 2500, 2570),
    "B8": (925, 960, 880, 915),
    "B28": (758, 803, 703, 748),
    "B38": (2570, 2620, 2570, 2620),
    "B40": (2300, 2400, 2300, 2400),
    "B41": (2496, 2690, 2496, 2690),
    "B42": (3400, 3600, 3400, 3600),
    "B43": (3600, 3800, 3600, 3800),
    "n1": (2110, 2170, 1920, 1980),
    "n3": (1805, 1880, 1710, 1785),
    "n5": (869, 894, 824, 849),
    "n7": (2620, 2690, 2500, 2570),
    "n8": (925, 960, 880, 915),
    "n28": (758, 803, 703, 748),
    "n40": (2300, 2400, 2300, 2400),
    "n41": (2496, 2690, 2496, 2690),
    "n77": (3300, 4200, 3300, 4200),
    "n78": (3300, 3800, 3300, 3800),
}


def _megahertz(arfcn: int) -> float:
    """Frequency of an NR-ARFCN (TS 38.104 table 5.4.2.1-1)."""
    return arfcn * 0.005 if arfcn < 600_000 else 3000 + 0.015 * (arfcn - 600_000)


@pytest.mark.parametrize("band", BANDS.values(), ids=lambda band: band.name)
def test_channel_numbers_span_the_band(band: Band) -> None:
    low_dl, high_dl, low_ul, high_ul = _EDGES[band.name]
    assert band.tdd == (low_dl == low_ul)
    for numbers, low, high in ((band.dl, low_dl, high_dl), (band.ul, low_ul, high_ul)):
        if band.rat is Rat.NR:
            assert _megahertz(numbers[0]) == pytest.approx(low, abs=0.02)
            assert _megahertz(numbers[-1]) == pytest.approx(high, abs=0.02)
        else:
            assert len(numbers) == (high - low) * 10
