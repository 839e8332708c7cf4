"""What really happened at a station: volume as its counters have it, and time without service."""

from __future__ import annotations

from datetime import timedelta

import pytest

from simulators.clock import VirtualClock
from simulators.equipment.performance import PERIOD
from simulators.equipment.truth import truth_of
from simulators.station import Station, StationSettings
from tests.unit.simulators.equipment.stations import ANDES, lively, nr_station, set_cell
from tests.unit.simulators.equipment.test_performance import CU, LTE, to_boundary


def test_volume_is_that_of_all_periods_together(clock: VirtualClock) -> None:
    station = lively(clock)
    clock.advance(to_boundary(clock))
    begin = clock.now()
    clock.advance(1000)
    station.equipment.begin_fault("core-link-down", "condor")
    clock.advance(500)
    station.equipment.begin_fault("cell-down")
    clock.advance(PERIOD * 4 - 1500)
    measured = [station.equipment.performance.measure(end=begin + timedelta(seconds=PERIOD * n)) for n in (1, 2, 3, 4)]
    truth = truth_of(station.equipment.performance, begin, clock.now())
    assert truth.volume
    for (cell, plmn, slice_, qci), (down, up) in truth.volume.items():
        assert (cell, slice_) == ("1", "")
        for way, volume in (("Dl", down), ("Ul", up)):
            counter = f"DRB.PdcpSduVolume{way}.{plmn}.{qci}"
            assert volume == pytest.approx(sum(period.values[LTE][counter] for period in measured), abs=1e-4)
    assert truth.volume["1", ANDES, "", 9][0] > 0


def test_volume_on_nr_is_by_slice(clock: VirtualClock) -> None:
    station = nr_station(clock)
    clock.advance(to_boundary(clock))
    measured = station.equipment.performance.measure()
    truth = truth_of(station.equipment.performance, measured.begin, measured.end)
    down, _ = truth.volume["n78-1", "999-02", "1-0000B1", 1]
    assert down == pytest.approx(measured.values[CU]["DRB.PdcpSduVolumeDL.999-02.1.1-0000B1"], abs=1e-5)


def test_time_without_service_is_to_the_second(station: Station, clock: VirtualClock) -> None:
    begin = clock.now()
    clock.advance(100)
    set_cell(station, administrativeState="LOCKED")
    clock.advance(60)
    set_cell(station, administrativeState="UNLOCKED")
    clock.advance(100)
    link = station.equipment.begin_fault("core-link-down", "andes")
    clock.advance(30)
    station.equipment.faults.end(link)
    clock.advance(100)
    sleeping = station.equipment.begin_fault("sleeping-cell")
    clock.advance(20)
    station.equipment.faults.end(sleeping)
    station.equipment.begin_fault("cell-down")
    clock.advance(40)
    truth = truth_of(station.equipment.performance, begin, clock.now())
    # A cell and a link take a second to settle after a person, or a cure.
    assert dict(truth.off_air) == pytest.approx({("1", "manual"): 61, ("1", "fault"): 40})
    assert dict(truth.without_core) == pytest.approx({("1", "andes"): 31})
    assert dict(truth.asleep) == pytest.approx({"1": 20})


def test_without_user_plane_there_is_a_core_and_no_data(station: Station, clock: VirtualClock) -> None:
    begin = clock.now()
    station.equipment.break_link("condor-s1u")
    clock.advance(50)
    truth = truth_of(station.equipment.performance, begin, clock.now())
    assert dict(truth.without_data) == pytest.approx({("1", "condor"): 50})
    assert not truth.without_core


def test_what_is_forgotten_is_not_made_up(clock: VirtualClock) -> None:
    station = lively(clock, StationSettings(remembers=5))
    begin = clock.now()
    for state in ("LOCKED", "UNLOCKED") * 4:
        clock.advance(10)
        set_cell(station, administrativeState=state)
    with pytest.raises(ValueError, match="remembers what happened from"):
        truth_of(station.equipment.performance, begin, clock.now())
    assert truth_of(station.equipment.performance, clock.now() - timedelta(seconds=5), clock.now())
