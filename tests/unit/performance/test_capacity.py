"""Shares against use, who came too short, what to expand first, and when backhaul is full."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from controller.intent.agreed_terms import Era
from controller.intent.impact import Sharing
from controller.models.measurement import DAY, HOUR, Measured, Subject, Values
from controller.models.network import Agreement, Network
from controller.models.statement import Value
from controller.performance.capacity import Load, full_in, nodes_of, trend
from controller.performance.kpis import Subscribers, cell_counts
from controller.performance.shares import CellUse, Terms, Use, jain, mean, use_of, wanted
from tests.unit.intent.backhaul_tree import network as backhaul
from tests.unit.intent.test_outages import BEGIN, END, network

LIMA = ZoneInfo("America/Lima")
ALFA, BETA = Subscribers(frozenset({"716-01"})), Subscribers(frozenset({"716-02"}))


def lte(alfa: float, beta: float, prbs: float, congested: float = 0) -> dict[str, Values]:
    """An LTE cell with volumes of two tenants, in Mbit, and percent of PRBs used."""
    return {
        "DRB.PdcpSduVolumeDL": {Subject("716-01", 9): alfa, Subject("716-02", 9): beta},
        "RRU.PrbTotDl": {Subject(): prbs},
        "RRU.PrbCongestionDl": {Subject(): congested},
    }


def day(station: str, cells: dict[str, dict[str, Values]], seconds: int = DAY) -> Measured:
    return Measured(station=station, begin=BEGIN, seconds=seconds, covered=seconds, cells=cells)


def use(counted: dict[str, Values], **tenants: Subscribers) -> Use:
    tenants = tenants or {"alfa": ALFA, "beta": BETA}
    return use_of(cell_counts(day("S1", {"L1": counted}), wanted(tenants)).cells["L1"], tenants)


def test_use_is_counted_by_slice_on_nr_and_follows_volume_on_lte() -> None:
    slices = {Subject(slice="1-000001"): 10.0, Subject(slice="1-000002"): 30.0, Subject(): 40.0}
    counted = {"RRU.PrbUsedDl": slices, "RRU.PrbAvailDl": {Subject(): 50.0}, "RRU.PrbTotDl": {Subject(): 80.0}}
    assert use(counted, alfa=Subscribers(slices=frozenset({"1-000001"}))).used == {"alfa": pytest.approx(20)}
    assert use(lte(300, 100, 80)).used == {"alfa": pytest.approx(60), "beta": pytest.approx(20)}
    assert use(lte(0, 0, 80)).used == {"alfa": 0, "beta": 0}
    assert use({}).used == {}


def test_fairness_is_one_where_all_are_alike_and_the_inverse_of_their_number_where_one_has_all() -> None:
    assert jain([2, 2, 2]) == pytest.approx(1)
    assert jain([3, 0, 0]) == pytest.approx(1 / 3)
    assert jain([0, 0]) is None


def test_short_is_who_gets_less_than_its_minimum_while_another_one_gets_more_in_congestion() -> None:
    terms, cell = {"alfa": Terms(30, 80), "beta": Terms(20, 80)}, CellUse()
    cell.add(use(lte(100, 900, 100, congested=50)), terms)
    assert cell.short == {"alfa": 1}
    cell.add(use(lte(100, 900, 100)), terms)
    cell.add(use(lte(100, 150, 50, congested=1)), terms)
    assert cell.short == {"alfa": 2}, "without congestion nobody comes too short"
    cell.add(use(lte(1, 1, 4, congested=1)), terms)
    assert cell.short == {"alfa": 2}, "where nobody is above its minimum nobody was squeezed"
    assert mean(cell.congested) == pytest.approx(52 / 4)


@pytest.mark.parametrize(
    ("values", "growth", "full"),
    [
        ([100 + 2 * day for day in range(31)], 2.0, "2026-07"),
        ([100 - day for day in range(31)], -1.0, ""),
        ([100 + 50 * (day % 2) for day in range(31)], None, ""),
        ([100, 200, 300], None, ""),
        ([190 + day for day in range(31)], 1.0, "2026-07"),
    ],
)
def test_a_trend_is_told_where_it_explains_what_happened(values: list[float], growth: float | None, full: str) -> None:
    days = {BEGIN + timedelta(days=day): float(value) for day, value in enumerate(values)}
    line = trend(days)
    assert (line and round(line.growth, 6)) == growth
    assert full_in(line, 220, LIMA) == full


def test_cells_to_expand_first_are_congested_where_many_people_have_contracts() -> None:
    made: Network = network()
    load = Load(Era(BEGIN, END, made, Sharing(made, made.day(BEGIN))), "alfa")
    days = [day(f"S{n}", {"L1": lte(864, 864, 90, 10 * n)}) for n in (1, 2)]
    load.add_days(cell_counts(one, load.wanted) for one in days)
    assert load.congested() == ["S2", "S1"]
    load.add_hours([cell_counts(day("S2", {"L1": lte(1, 99, 100, 5)}, HOUR), load.wanted_of_all)])
    shares, carriers, congested, expand, backhauls = load.sheets(LIMA)
    assert shares.rows[0] == ("S1/L1", 20, 80, 45, 45, None, None, "", 10)
    assert carriers.rows[0] == ("S1/L1", 90, 90, None, None, "")
    assert congested.rows == (("S2/L1", 1, 1, 1, jain([1 / 20, 99 / 20]).__round__(3)),)  # type: ignore[union-attr]
    # The weight is people that congestion meets, by the percentage that was promised to all.
    assert expand.rows == (
        (1, "S2/L1", 20, 100, 2, 20 + 20, 20 / 100 * 100 * (20 + 20) / 100),
        (2, "S1/L1", 10, 100, 2, 20 + 20, 10 / 100 * 100 * (20 + 20) / 100),
    )
    assert backhauls.rows == ()


def on(station: str, begin: datetime, hours: int, down: float, prbs: float) -> Measured:
    """Some hours of a cell in which claro uses a quarter, and entel the rest."""
    seconds = hours * HOUR
    values = {Subject("716-01", 9): down / 4 * seconds, Subject("716-02", 9): down * 3 / 4 * seconds}
    counted: dict[str, Values] = {"DRB.PdcpSduVolumeDL": values, "RRU.PrbTotDl": {Subject(): prbs}}
    return Measured(station=station, begin=begin, seconds=seconds, covered=seconds, cells={"1": counted})


TERMS = {"scope": {"everywhere": True}, "shares": [{"resource": "PRB", "min": 20, "max": 60}]}


@pytest.fixture
def load() -> Load:
    """Two Mbit/s of each station, on 40 % of its PRBs, on each of 30 days."""
    terms = TERMS | {"id": "claro-all", "tenant": "claro", "validity": {"start": "2026-01-01"}}
    made = backhaul(tenants=True).model_copy(update={"agreements": (Agreement.model_validate(terms),)})
    load = Load(Era(BEGIN, END, made, Sharing(made, made.day(BEGIN))), "claro")
    days = (
        on(name, BEGIN + timedelta(days=n), 24, 2.0, 40.0) for name in sorted(made.station_by_id) for n in range(30)
    )
    load.add_days(cell_counts(one, load.wanted) for one in days)
    return load


def named(load: Load, sheet: str) -> dict[Value, dict[str, Value]]:
    (found,) = (one for one in load.sheets(LIMA) if one.name == sheet)
    names = [column.name for column in found.columns]
    return {row[0]: dict(zip(names, row, strict=True)) for row in found.rows}


def test_a_node_of_the_backhaul_carries_all_that_hangs_below_it(load: Load) -> None:
    made, nodes = backhaul(tenants=True), named(load, "backhaul")
    for node in ("core", "radio"):
        below = made.devices_below[node] & made.station_by_id.keys()
        told = [nodes[node][name] for name in ("load", "busiest_day", "busy_hour", "own", "growth", "full")]
        assert told == [2 * len(below), 2 * len(below), None, len(below) / 2, None, ""]
    assert set(nodes_of(made, ["S3"])) == set(made.devices_below["core"]) & made.station_by_id.keys()


def test_the_month_in_which_carrier_share_and_link_fill_follows_from_years_and_the_busy_hour(load: Load) -> None:
    """It was half of it five months ago, and the busy hour has twice as much as the day."""
    assert load.busiest_day == BEGIN + timedelta(days=29), "of equal ones the last"
    stations = sorted(backhaul(tenants=True).station_by_id)
    for back in range(1, 6):
        part = 1 - back / 10
        begin = (BEGIN - timedelta(days=30 * back)).replace(day=1)
        months = (on(name, begin, 720, 2 * part, 40 * part) for name in stations)
        load.add_months(cell_counts(one, load.wanted) for one in months)
    assert named(load, "carriers")["S1/1"]["growth"] == pytest.approx(4, rel=0.05)
    assert named(load, "carriers")["S1/1"]["full"] == "", "without hours nobody knows the busy hour"
    hours: list[Measured] = []
    for n in range(24):
        times = 2 if n == 20 else 22 / 23
        hours += [on(name, load.busiest_day + timedelta(hours=n), 1, 2 * times, 40 * times) for name in stations]
    busy = load.busy_hours(cell_counts(one, load.wanted) for one in hours)
    assert busy is not None
    assert busy[0] <= load.busiest_day + timedelta(hours=20) < busy[1] == busy[0] + timedelta(hours=8)
    load.add_busiest(cell_counts(one, load.wanted) for one in hours if busy[0] <= one.begin < busy[1])
    carrier, share = named(load, "carriers")["S1/1"], named(load, "shares")["S1/1"]
    # 80 % in the busy hour, and 8 points more each month: full in two and a half, of a share of 60 % of 20 % in five.
    assert (carrier["busy_hour"], carrier["full"]) == (80, "2026-08")
    assert (share["used"], share["busy_hour"], share["most"]) == (10, 20, 60)
    assert share["full"] == "2028-02"
    core = named(load, "backhaul")["core"]
    assert core["busy_hour"] == pytest.approx(24)
    assert core["growth"] == pytest.approx(1.2, rel=0.05)
    assert core["own_growth"] == pytest.approx(0.3, rel=0.05)
    assert core["full"] == "", "1000 Mbit/s are not reached in ten years"
