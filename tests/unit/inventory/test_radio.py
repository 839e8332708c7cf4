"""Bands: channel numbers against frequencies worked out by the formulas of the specifications."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.inventory.radio import BANDS, Band, dbm_of, milliwatts, ssb_khz, ssb_next_to, ssb_problem
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


# ------------------------------------------------------------ SSB and power

# GSCN → NR-ARFCN: 2499.75 MHz, and test frequencies of n48 (TS 38.508-1 table 4.3.1.1.1.48-1).
_GSCN = {6249: 499950, 7884: 636960, 7933: 641664, 7982: 646368}


@pytest.mark.parametrize(("gscn", "arfcn"), _GSCN.items())
def test_the_synchronisation_raster_is_that_of_the_specification(gscn: int, arfcn: int) -> None:
    """TS 38.104 table 5.4.3.1-1: 3 N + (M - 3) / 2 at N · 1.2 MHz + M · 50 kHz, from 3 GHz on each 1.44 MHz."""
    megahertz = 3000 + 1.44 * (gscn - 7499) if gscn >= 7499 else 1.2 * (gscn // 3) + 0.15
    assert _megahertz(arfcn) == pytest.approx(megahertz)
    assert ssb_problem(arfcn, arfcn, 20) is None
    assert all(ssb_problem(arfcn + aside, arfcn, 20) for aside in (-1, 1))


def test_below_3_ghz_there_are_three_points_in_each_1_2_mhz() -> None:
    points = [arfcn for arfcn in range(499920, 500160) if ssb_problem(arfcn, arfcn, 20) is None]
    assert [_megahertz(arfcn) - 2499.6 for arfcn in points] == pytest.approx([0.05, 0.15, 0.25])


@given(st.sampled_from([band for band in BANDS.values() if band.rat is Rat.NR]), st.data())
def test_next_to_the_centre_of_each_carrier_of_each_band_its_ssb_fits(band: Band, data: st.DataObject) -> None:
    arfcn = data.draw(st.sampled_from(band.dl))
    bandwidth = data.draw(st.sampled_from(band.bandwidths))
    ssb = ssb_next_to(arfcn)
    assert ssb_problem(ssb, arfcn, bandwidth) is None
    outside = ssb + round(bandwidth * 1000 / (5 if ssb < 600_000 else 15))
    assert ssb_problem(ssb_next_to(outside), arfcn, bandwidth)
    assert ssb_khz(ssb) in (15, 30)


@given(st.integers(1, 1_000_000))
def test_power_survives_the_way_to_files_and_back(power: int) -> None:
    assert milliwatts(dbm_of(power)) == power


def test_power_in_files_is_short() -> None:
    assert [dbm_of(power) for power in (1, 1000, 19953, 20000)] == [0, 30, 43, 43.0103]
