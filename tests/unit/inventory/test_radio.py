"""Bands: channel numbers against frequencies worked out by the formulas of the specifications."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.inventory.radio import (
    BANDS,
    Band,
    PrachRoots,
    carrier_problems,
    dbm_of,
    milliwatts,
    planned_problems,
    prach_roots,
    raster_is_open,
    ssb_khz,
    ssb_next_to,
    ssb_problem,
)
from controller.models.network import Cell, Rat

# Band, downlink and uplink edges in MHz (TS 36.101 table 5.5-1, TS 38.104 table 5.2-1).
_EDGES = {
    "B1": (2110, 2170, 1920, 1980),
    "B2": (1930, 1990, 1850, 1910),
    "B3": (1805, 1880, 1710, 1785),
    "B4": (2110, 2155, 1710, 1755),
    "B5": (869, 894, 824, 849),
    "B7": (2620, 2690, 2500, 2570),
    "B8": (925, 960, 880, 915),
    "B12": (729, 746, 699, 716),
    "B26": (859, 894, 814, 849),
    "B28": (758, 803, 703, 748),
    "B38": (2570, 2620, 2570, 2620),
    "B40": (2300, 2400, 2300, 2400),
    "B41": (2496, 2690, 2496, 2690),
    "B42": (3400, 3600, 3400, 3600),
    "B43": (3600, 3800, 3600, 3800),
    "B66": (2110, 2200, 1710, 1780),
    "n1": (2110, 2170, 1920, 1980),
    "n2": (1930, 1990, 1850, 1910),
    "n3": (1805, 1880, 1710, 1785),
    "n5": (869, 894, 824, 849),
    "n7": (2620, 2690, 2500, 2570),
    "n8": (925, 960, 880, 915),
    "n28": (758, 803, 703, 748),
    "n38": (2570, 2620, 2570, 2620),
    "n40": (2300, 2400, 2300, 2400),
    "n41": (2496, 2690, 2496, 2690),
    "n48": (3550, 3700, 3550, 3700),
    "n66": (2110, 2200, 1710, 1780),
    "n71": (617, 652, 663, 698),
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


def test_the_ssb_of_n40_has_30_khz_as_all_from_3_ghz_on() -> None:
    """TS 38.104 table 5.4.3.3-1: case C alone; 20 blocks of 12 subcarriers take 7.2 MHz."""
    assert [ssb_khz(ssb_next_to(arfcn)) for arfcn in (470_000, 510_000, 640_000, 392_000)] == [30, 15, 30, 15]
    ssb = ssb_next_to(470_000)
    assert ssb_problem(ssb, ssb, 7) is not None
    assert ssb_problem(ssb, ssb, 8) is None


# --------------------------------------------------- raster by spacing, PRACH


def _cell(band: str, arfcn: int, **fields: object) -> Cell:
    of = BANDS[band]
    return Cell.model_validate(
        {
            "station": "S",
            "id": "c",
            "rat": of.rat,
            "local_id": 1,
            "band": band,
            "arfcn_dl": arfcn,
            "arfcn_ul": of.ul.start + arfcn - of.dl.start,
            "bandwidth_mhz": BANDS[band].bandwidths[-1],
            "pci": 1,
            "tac": 1,
            "primary_plmn": "999-01",
            **fields,
        }
    )


@pytest.mark.parametrize(
    ("band", "arfcn", "narrow_only"),
    [
        ("n41", 510000, False),
        ("n41", 510003, True),
        ("n48", 642000, False),
        ("n48", 642001, True),
        ("n77", 650000, False),
        ("n77", 650001, True),
        ("n78", 640000, False),
        ("n78", 640001, True),
        ("n38", 519000, False),
    ],
)
def test_a_carrier_of_30_khz_alone_is_on_the_wider_raster(band: str, arfcn: int, narrow_only: bool) -> None:
    """TS 38.104 table 5.4.2.3-1: <6> in n41, <2> in n48 (from 636668), n77 and n78."""
    wrong = {
        scs: [field for field, *_ in carrier_problems(_cell(band, arfcn, scs_khz=scs), BANDS[band])]
        for scs in (None, 15, 30, 60)
    }
    assert wrong[None] == wrong[15] == []
    assert wrong[30] == wrong[60] == ["arfcn_dl"] * narrow_only
    assert raster_is_open(_cell(band, arfcn), BANDS[band]) is narrow_only
    assert not raster_is_open(_cell(band, arfcn, scs_khz=30), BANDS[band])


@pytest.mark.parametrize(("band", "last"), [("B66", 67036), ("n66", 431500)])
def test_what_lies_above_1780_mhz_of_uplink_has_no_channel(band: str, last: int) -> None:
    """Of 2110 to 2200 MHz the upper 20 MHz have no uplink; centres are at 2170 (20 MHz) and 2157.5 MHz (45 MHz)."""
    assert not list(carrier_problems(_cell(band, last), BANDS[band]))
    above = last + BANDS[band].raster
    assert [field for field, *_ in carrier_problems(_cell(band, above), BANDS[band])] == ["arfcn_dl"]


@pytest.mark.parametrize(
    ("band", "fields", "length", "roots"),
    [
        # Cyclic shift, preambles a root, roots: TS 36.211 table 5.7.2-2.
        ("B28", {"prach_zcz": 1}, 839, range(100, 101)),  # 13, 64
        ("B28", {"prach_zcz": 5}, 839, range(100, 102)),  # 26, 32
        ("B28", {"prach_zcz": 11}, 839, range(100, 108)),  # 93, 9
        ("B28", {"prach_zcz": 12}, 839, range(100, 110)),  # 119, 7
        ("B28", {"prach_zcz": 15}, 839, range(100, 132)),  # 419, 2
        ("B28", {"prach_zcz": 0}, 839, range(100, 164)),  # none
        ("B40", {"prach_zcz": 6, "prach_format": "4"}, 139, range(100, 108)),  # 15, 9
        ("n78", {"prach_zcz": 15, "prach_format": "B4"}, 139, range(100, 132)),  # 69, 2
        ("n78", {"prach_zcz": 1, "prach_format": "A1"}, 139, range(100, 101)),  # 2, 69
        ("n28", {"prach_zcz": 2, "prach_format": 3}, 839, range(100, 102)),  # 26, 32
        ("n28", {"prach_zcz": 2, "prach_format": 0}, 839, range(100, 102)),  # 15, 55
    ],
)
def test_a_cell_takes_as_many_roots_as_its_64_preambles_need(
    band: str, fields: dict[str, object], length: int, roots: range
) -> None:
    taken = prach_roots(_cell(band, BANDS[band].dl.start, prach_root=100, **fields))
    assert taken is not None
    assert (taken.length, taken.numbers, taken.exact) == (length, tuple(roots), True)


def test_roots_go_on_at_0_and_are_open_where_the_shift_is_not_said() -> None:
    def taken(band: str, **fields: object) -> PrachRoots | None:
        return prach_roots(_cell(band, BANDS[band].dl.start, **fields))

    assert taken("B28") is None
    wrapped = taken("B28", prach_root=836, prach_zcz=11)
    assert wrapped is not None
    assert wrapped.numbers == (836, 837, 0, 1, 2, 3, 4, 5)
    for unknown in (taken("B28", prach_root=836), taken("n78", prach_root=836, prach_zcz=11)):
        assert unknown is not None
        assert (unknown.numbers, unknown.exact, len(unknown.possible)) == ((836,), False, 64)


@pytest.mark.parametrize(
    ("band", "fields", "wrong"),
    [
        ("B28", {"prach_format": "A1"}, ["prach_format"]),
        ("n78", {"prach_format": "4"}, ["prach_format"]),
        ("B40", {"prach_format": "4", "prach_zcz": 7}, ["prach_zcz"]),
        ("n78", {"prach_format": "B4", "prach_root": 138}, ["prach_root"]),
        ("n78", {"prach_format": "B4", "prach_root": 137, "prach_zcz": 15}, []),
        ("B28", {"scs_khz": 30}, ["scs_khz"]),
    ],
)
def test_what_is_planned_of_preambles_and_spacing_goes_together(
    band: str, fields: dict[str, object], wrong: list[str]
) -> None:
    assert [field for field, *_ in planned_problems(_cell(band, BANDS[band].dl.start, **fields))] == wrong


@given(st.integers(1, 1_000_000))
def test_power_survives_the_way_to_files_and_back(power: int) -> None:
    assert milliwatts(dbm_of(power)) == power


def test_power_in_files_is_short() -> None:
    assert [dbm_of(power) for power in (1, 1000, 19953, 20000)] == [0, 30, 43, 43.0103]
