"""How long nobody has to use a cell until that is no chance, and of which cells no silence can tell anything."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest

from controller.models.measurement import DAY, HOUR, Measured, Subject, Values
from controller.performance.silence import (
    EXPECTED,
    Obstacle,
    Silence,
    expected,
    expected_in_days,
    is_silent,
    silences,
    uses,
)

TODAY = datetime(2026, 3, 1, tzinfo=UTC)
CELL = "S1/L1"


def day(
    before: int, setups: float, *, covered: float = DAY, fault: float = 0, saving: float = 0, seconds: int = DAY
) -> Measured:
    counted: dict[str, Values] = {
        "RRC.ConnEstabSucc": {Subject(): setups},
        "DRB.PdcpSduVolumeDL": {Subject(): setups * 2},
        "RRU.CellUnavailableTime.fault": {Subject(): fault},
        "RRU.CellUnavailableTime.energySaving": {Subject(): saving},
    }
    begin = TODAY - timedelta(days=before)
    return Measured(station="S1", begin=begin, seconds=seconds, covered=covered, cells={"L1": counted})


def history(*setups: float) -> dict[int, list[Measured]]:
    """The latest day first."""
    return {number: [day(number, found)] for number, found in enumerate(setups, 1)}


def of(days: dict[int, list[Measured]]) -> Silence:
    (found,) = silences(days, [CELL])
    return found


def test_none_of_so_many_connections_is_no_chance() -> None:
    """The Poisson distribution: none of 14 comes in less than one of a million spans, none of 13 more often."""
    assert math.exp(-EXPECTED) < 1e-6 < math.exp(-(EXPECTED - 1))


@pytest.mark.parametrize(
    ("setups", "days", "obstacle"),
    [
        ([14] * 14, 1, None),
        ([13] * 14, 2, None),
        ([7] * 14, 2, None),
        ([6] * 14, 3, None),
        ([2] * 14, 7, None),
        ([1] * 14, None, Obstacle.FEW_CONNECTIONS),
        # Weekends of a market town: only days that are certain to be used count.
        ([20, 20, 20, 20, 20, 0, 0] * 2, 7, None),
        ([2, 2, 2, 2, 2, 0, 0] * 2, None, Obstacle.FEW_CONNECTIONS),
        # An outage that nobody knows of hides nothing for longer than a few days.
        ([20] * 13 + [0], 2, None),
        ([14] * 5, 1, None),
        ([14] * 4, None, Obstacle.SHORT_HISTORY),
        # Seven days would tell, and five are known.
        ([2] * 5, None, Obstacle.SHORT_HISTORY),
        ([], None, Obstacle.NOT_COUNTED),
    ],
)
def test_a_quieter_cell_is_judged_after_more_days(
    setups: list[float], days: int | None, obstacle: Obstacle | None
) -> None:
    found = of(history(*setups))
    assert (found.cell, found.days, found.obstacle) == (CELL, days, obstacle)
    assert (found.known, found.quietest) == (len(setups), min(setups, default=None))


def test_a_day_that_was_not_measured_as_a_whole_is_not_known() -> None:
    days = history(*[20] * 14)
    days[3] = [day(3, 0, covered=DAY / 2)]
    days[4] = [day(4, 0, fault=DAY / 2)]
    days[5] = [day(5, 0).model_copy(update={"suspect": True})]
    found = of(days)
    assert (found.known, found.quietest, found.days) == (11, 20, 1)
    # Power saving each night is a habit of the cell, and no gap.
    days[6] = [day(6, 15, saving=DAY / 3)]
    assert (of(days).known, of(days).quietest) == (11, 15)


def test_each_cell_is_judged_by_its_own_days() -> None:
    days = history(*[20] * 14)
    for counted in days.values():
        other = counted[0].cells["L1"] | {"RRC.ConnEstabSucc": {Subject(): 1.0}}
        counted[0].cells["L2"] = other
        counted[0].cells["L3"] = {"DRB.PdcpSduVolumeDL": {Subject(): 1.0}}
    found = {one.cell: (one.days, one.obstacle) for one in silences(days, ["S1/L1", "S1/L2", "S1/L3"])}
    assert found == {
        "S1/L1": (1, None),
        "S1/L2": (None, Obstacle.FEW_CONNECTIONS),
        "S1/L3": (None, Obstacle.NOT_COUNTED),
    }


def test_days_together_are_the_quietest_ones() -> None:
    days = history(9, 3, 8, 1, 7, 6)
    assert expected_in_days(days, 2) == {CELL: 4}
    assert expected_in_days(days, 3) == {CELL: 10}
    assert expected_in_days(days, 7) == {}, "six are known"


def test_an_hour_in_which_the_cell_was_off_air_tells_nothing_of_it() -> None:
    off = day(1, 0, seconds=HOUR, covered=HOUR, fault=HOUR)
    assert not is_silent(uses([off])[CELL], HOUR)
    assert is_silent(uses([day(1, 0, seconds=HOUR, covered=HOUR)])[CELL], HOUR)
    hours = {number: [day(number, 20, seconds=HOUR, covered=HOUR)] for number in range(1, 14)}
    assert expected({**hours, 7: [off]}, 1) == {CELL: 20}
    assert expected({**hours, 7: [day(7, 0, seconds=HOUR, covered=HOUR)]}, 1) == {CELL: 0}, "this day of the week"
