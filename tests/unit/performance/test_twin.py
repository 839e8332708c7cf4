"""What simulated stations count, in the vocabulary, as indicators."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from controller.models.measurement import Measured, Period
from controller.performance.files import read_file
from controller.performance.kpis import EVERYBODY, Kpi, Level, Subscribers, tally
from controller.performance.vocabulary import measured
from simulators.clock import VirtualClock
from simulators.equipment.measurements import MEAS_COLLEC, MEAS_DATA, FileForm, measurement_file
from simulators.equipment.performance import PERIOD
from simulators.station import Station
from tests.support.definitions import load_kpis
from tests.unit.simulators.equipment.stations import lively, nr_station

KPIS = {kpi.name: kpi for kpi in load_kpis(Path(__file__).parents[3] / "playbooks" / "kpis")}
LTE_ONLY = {"s1-setup-success", "volte-setup-success", "volte-drops", "latency-lte"}
NR_ONLY = {"context-setup-success", "session-setup-success", "latency-nr"}
ANDES = Subscribers(frozenset({"999-01"}), frozenset({"1-0000A1"}))


def counted(name: str, station: Station, clock: VirtualClock) -> Measured:
    """A whole quarter of an hour of a station."""
    clock.advance(2 * PERIOD - clock.monotonic() % PERIOD)
    found = station.equipment.performance.measure()
    period = Period(job="1", begin=found.begin, end=found.end, suspect=found.suspect, values=found.values)
    mapped = measured(name, [period])
    assert not mapped.foreign
    (one,) = mapped.periods
    return one


def value(kpi: Kpi, period: Measured, who: Subscribers = EVERYBODY) -> float | None:
    return tally(kpi, [period], who).read(kpi.tree)


@pytest.mark.parametrize("form", [MEAS_DATA, MEAS_COLLEC], ids=lambda form: form.root)
@pytest.mark.parametrize(("name", "make"), [("T-LTE-1", lively), ("T-NR-1", nr_station)])
def test_all_that_stations_write_is_known(name: str, make: Callable[[VirtualClock], Station], form: FileForm) -> None:
    clock = VirtualClock()
    station = make(clock)
    clock.advance(2 * PERIOD - clock.monotonic() % PERIOD)
    found = station.equipment.performance.measure()
    (period,) = read_file("A1.xml", [measurement_file(name, "1", [found], form=form)])
    assert (period.begin, period.end, period.suspect) == (found.begin, found.end, found.suspect)
    assert period.values.keys() == found.values.keys()
    assert all(period.values[cell] == pytest.approx(counters) for cell, counters in found.values.items())
    mapped = measured(name, [period])
    assert (len(mapped.periods), mapped.unknown, mapped.foreign) == (1, {}, 0)


@pytest.fixture(scope="module")
def lte() -> Measured:
    clock = VirtualClock()
    return counted("T-LTE-1", lively(clock), clock)


@pytest.fixture(scope="module")
def nr() -> Measured:
    clock = VirtualClock()
    return counted("T-NR-1", nr_station(clock), clock)


def test_each_technology_has_its_indicators(lte: Measured, nr: Measured) -> None:
    assert {name for name, kpi in KPIS.items() if value(kpi, lte) is not None} == set(KPIS) - NR_ONLY
    assert {name for name, kpi in KPIS.items() if value(kpi, nr) is not None} == set(KPIS) - LTE_ONLY


def test_all_is_well_at_stations_without_faults(lte: Measured, nr: Measured) -> None:
    for period in (lte, nr):
        found = {name: value(KPIS[name], period) for name in ("accessibility", "availability", "handover-success")}
        assert all(one is not None and 95 < one <= 100 for one in found.values()), found


def test_parts_of_tenants_are_told_where_stations_count_them(lte: Measured, nr: Measured) -> None:
    of_tenants = {name for name, kpi in KPIS.items() if Level.TENANT in kpi.levels}
    told = {name for name in of_tenants if value(KPIS[name], lte, ANDES) is not None}
    assert told == of_tenants - NR_ONLY
    assert {name for name in of_tenants if value(KPIS[name], nr, ANDES) is not None} == of_tenants - LTE_ONLY
    for period in (lte, nr):
        mine, whole = (value(KPIS["volume-down"], period, who) for who in (ANDES, EVERYBODY))
        assert mine is not None
        assert whole is not None
        assert 0 < mine < whole
