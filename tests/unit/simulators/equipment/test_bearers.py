"""Counters of bearers and handovers: what faults do to them, and that they add up."""

from __future__ import annotations

from datetime import timedelta

import pytest

from simulators.clock import VirtualClock
from simulators.equipment.performance import PERIOD
from simulators.station import Station
from tests.unit.simulators.equipment.stations import ANDES, CONDOR, lively, nr_station, set_cell
from tests.unit.simulators.equipment.test_performance import CU, LTE, after, to_boundary

HANDOVERS = "HO.InterEnbOut{}.handover-desirable-for-radio-reason"


def part(counters: dict[str, float], good: str, of: str) -> float:
    return counters[good] / counters[of]


def lost(counters: dict[str, float], plmn: str = "") -> float:
    """Bearers lost while active, of a PLMN or of all."""
    name = f"minka-ERAB.RelActNbr.{plmn}." if plmn else "ERAB.RelActNbr."
    return sum(value for counter, value in counters.items() if counter.startswith(name))


@pytest.fixture
def before(station: Station, clock: VirtualClock) -> dict[str, float]:
    """The counters of a period in which all is well; the next one begins."""
    return after(station, clock, to_boundary(clock, 3))


def test_names_are_those_of_the_specifications(before: dict[str, float], clock: VirtualClock) -> None:
    lte = {f"ERAB.Estab{kind}Nbr.{qci}" for kind in ("InitAtt", "InitSucc") for qci in (1, 5, 8, 9)}
    lte |= {"ERAB.EstabAddAttNbr.1", "ERAB.EstabAddSuccNbr.1", "ERAB.RelActNbr.1", "ERAB.SessionTimeQCI.9"}
    lte |= {"ERAB.SessionTimeUE", "HO.InterEnbOutPrepAtt", HANDOVERS.format("Att"), HANDOVERS.format("Succ")}
    lte |= {"DRB.IPThpDl.9", f"minka-ERAB.RelActNbr.{ANDES}.1", f"minka-S1SIG.ConnEstabSucc.{CONDOR}"}
    assert lte <= set(before)
    own = VirtualClock()
    station = nr_station(own)
    own.advance(to_boundary(own))
    nr = {
        f"DRB.{kind}.{of}" for kind in ("EstabAtt", "EstabSucc", "RelActNbr", "SessionTime") for of in (1, "1-0000A1")
    }
    nr |= {"QF.RelActNbr.1", "QF.SessionTimeQoS.9", "QF.SessionTimeUE", "MM.HoExeIntraReq", "MM.HoExeInterSucc"}
    assert nr <= set(station.equipment.performance.measure().values[CU])


def test_what_is_counted_by_tenant_adds_up_to_the_cell(before: dict[str, float]) -> None:
    for name in ("EstabInitAttNbr", "EstabInitSuccNbr", "RelActNbr", "SessionTimeQCI"):
        for qci in (1, 5, 8, 9):
            tenants = sum(before[f"minka-ERAB.{name}.{plmn}.{qci}"] for plmn in (ANDES, CONDOR))
            assert before[f"ERAB.{name}.{qci}"] == pytest.approx(tenants, abs=1e-5)
    assert before["S1SIG.ConnEstabAtt"] == pytest.approx(
        sum(before[f"minka-S1SIG.ConnEstabAtt.{plmn}"] for plmn in (ANDES, CONDOR)), abs=1e-5
    )


def test_a_degraded_radio_sets_up_less_and_loses_more(
    station: Station, clock: VirtualClock, before: dict[str, float]
) -> None:
    station.equipment.begin_fault("vswr")
    now = after(station, clock, PERIOD)
    for good, of in (
        ("ERAB.EstabInitSuccNbr.9", "ERAB.EstabInitAttNbr.9"),
        ("ERAB.EstabAddSuccNbr.1", "ERAB.EstabAddAttNbr.1"),
        (HANDOVERS.format("Succ"), HANDOVERS.format("Att")),
    ):
        assert part(now, good, of) < part(before, good, of) - 0.02 > 0.9
    for qci in (1, 9):
        ratio = f"ERAB.RelActNbr.{qci}", f"ERAB.SessionTimeQCI.{qci}"
        assert part(now, *ratio) > 5 * part(before, *ratio) > 0


def test_a_core_link_that_fails_takes_the_bearers_of_its_tenant_down(
    station: Station, clock: VirtualClock, before: dict[str, float]
) -> None:
    clock.advance(300)
    station.equipment.begin_fault("core-link-down", "andes")
    now = after(station, clock, PERIOD - 300)
    # A few of its users had data in a bearer just then.
    assert lost(now, ANDES) > lost(before, ANDES) + 1
    assert lost(now, CONDOR) == pytest.approx(lost(before, CONDOR), rel=0.5)
    later = after(station, clock, PERIOD)
    assert {value for name, value in later.items() if name.startswith("minka-ERAB") and ANDES in name} == {0}
    assert later[f"minka-ERAB.EstabInitSuccNbr.{CONDOR}.9"] > 0
    assert later[f"minka-S1SIG.ConnEstabAtt.{ANDES}"] > 0 == later[f"minka-S1SIG.ConnEstabSucc.{ANDES}"]


def test_a_cell_that_fails_loses_its_bearers_and_one_that_is_locked_none(
    station: Station, clock: VirtualClock, before: dict[str, float]
) -> None:
    set_cell(station, administrativeState="LOCKED")
    assert lost(after(station, clock, PERIOD)) == 0
    set_cell(station, administrativeState="UNLOCKED")
    clock.advance(600)
    station.equipment.begin_fault("cell-down")
    assert lost(after(station, clock, PERIOD - 600)) > lost(before) + 1
    assert lost(after(station, clock, PERIOD)) == 0


def test_a_small_share_refuses_bearers_of_its_tenant_alone(clock: VirtualClock, before: dict[str, float]) -> None:
    own = VirtualClock()
    station = lively(own)
    set_cell(station, plmnRadioShareList="<mcc>999</mcc><mnc>01</mnc><maxRatio>2</maxRatio>")
    squeezed = after(station, own, to_boundary(own, 3))
    good, of = (f"minka-ERAB.EstabInit{kind}Nbr.{{}}.9" for kind in ("Succ", "Att"))
    for plmn, refused in ((ANDES, True), (CONDOR, False)):
        ratio = good.format(plmn), of.format(plmn)
        assert (part(squeezed, *ratio) < part(before, *ratio) - 0.1) is refused


def test_a_full_carrier_is_slow_and_late(station: Station, clock: VirtualClock, before: dict[str, float]) -> None:
    set_cell(station, dlChannelBandwidth="1.4")
    full = after(station, clock, PERIOD)
    assert before["RRU.PrbCongestionDl"] == 0 < full["RRU.PrbCongestionDl"]
    assert full["DRB.IPThpDl.9"] < before["DRB.IPThpDl.9"] / 2
    assert full["DRB.IpLateDl.9"] > 2 * before["DRB.IpLateDl.9"] > 2 * before["DRB.IpLateDl.1"] > 0
    tenants = sum(full[f"minka-RRU.PrbTotDl.{plmn}"] for plmn in (ANDES, CONDOR))
    assert full["RRU.PrbTotDl"] == pytest.approx(tenants, abs=1e-5)


def test_a_sleeping_cell_counts_nothing(station: Station, clock: VirtualClock, before: dict[str, float]) -> None:
    station.equipment.begin_fault("sleeping-cell")
    now, counted = after(station, clock, PERIOD), ("ERAB", "minka", "HO.", "RRC", "DRB")
    assert {value for name, value in now.items() if name.startswith(counted)} == {0}


def test_short_periods_add_up_to_long_ones(station: Station, clock: VirtualClock, before: dict[str, float]) -> None:
    clock.advance(400)
    station.equipment.begin_fault("core-link-down", "condor")
    clock.advance(250)
    station.equipment.begin_fault("cell-down")
    long = after(station, clock, PERIOD - 650)
    performance, short = station.equipment.performance, dict.fromkeys(long, 0.0)
    for back in (600, 300, 0):
        end = performance.period_begin() - timedelta(seconds=back)
        for name, value in performance.measure(300, end).values[LTE].items():
            short[name] += value
    sums = [
        name
        for name in long
        if name.startswith(("ERAB", "minka-ERAB", "minka-S1SIG", "HO.", "RRC.ConnEstab", "S1SIG", "DRB.Pdcp"))
    ]
    assert [name for name in sums if short[name] != pytest.approx(long[name], abs=1e-4)] == []
    assert lost(long) > lost(before) + 1
