"""How far cells reach by what files say of them, judged by figures that were worked out apart."""

from __future__ import annotations

from typing import Any

import pytest

from controller.intent.reach import DEFAULT_KM, MOST_KM, reach_of
from controller.models.network import Cell
from tests.unit.intent.test_checks import sound

LTE, NR = (Cell.model_validate(one) for one in sound()["cells"][:2])


def lte(**facts: Any) -> Cell:
    return Cell.model_validate(LTE.model_dump() | facts)


def nr(**facts: Any) -> Cell:
    return Cell.model_validate(NR.model_dump() | facts)


@pytest.mark.parametrize(
    ("cell", "km"),
    [
        # (NCS - 2) samples of 800 us / 839, less 5.2 us, at 150 m each.
        (lte(prach_zcz=11), 12.23),  # NCS 93
        (lte(prach_zcz=5), 2.65),  # NCS 26
        (nr(prach_zcz=11, prach_format="0"), 12.23),
        (nr(prach_zcz=11, prach_format="3"), 3.40),  # NCS 119 of 200 us
        # The cyclic prefix of format 0 has 103.13 us, whatever the shift; that of format 1 684.38 us.
        (lte(prach_zcz=15, prach_format="0"), 14.69),
        (lte(prach_zcz=15, prach_format="1"), MOST_KM),
        (lte(prach_zcz=0), 14.69),
        # Short preambles last 1/30 kHz: 67 samples of 139.
        (nr(prach_zcz=15, prach_format="A2", scs_khz=30), 1.63),
    ],
)
def test_the_cyclic_shift_of_preambles_bears_the_delay_of_the_radius(cell: Cell, km: float) -> None:
    reach = reach_of(cell)
    assert reach.known
    assert reach.km == pytest.approx(km, abs=0.02)


def test_a_link_budget_says_it_where_no_preambles_do() -> None:
    """46 dBm and 17 dBi over 600 subcarriers (10 MHz): 155.2 dB to -120 dBm; 119.3 dB at 1 km, 38.84 dB a decade."""
    told = {"max_tx_power_dbm": 46, "antenna_gain_dbi": 17, "antenna_height_m": 30}
    reach = reach_of(lte(**told))
    assert reach.known
    assert reach.km == pytest.approx(8.5, abs=0.3)
    higher, weaker = reach_of(lte(**told | {"antenna_height_m": 60})), reach_of(lte(**told | {"max_tx_power_dbm": 36}))
    assert weaker.km < reach.km < higher.km
    horizon = reach_of(lte(max_tx_power_dbm=60, antenna_gain_dbi=40, antenna_height_m=10))
    assert horizon.km == pytest.approx(4.12 * (10**0.5 + 1.5**0.5), abs=0.01)
    for name in told:
        assert reach_of(lte(**told | {name: None})) == (DEFAULT_KM, False)


@pytest.mark.parametrize("cell", [lte(), nr(), nr(prach_zcz=11), nr(prach_zcz=9, prach_format="A1"), nr(scs_khz=30)])
def test_otherwise_it_is_assumed(cell: Cell) -> None:
    assert reach_of(cell) == (DEFAULT_KM, False)
