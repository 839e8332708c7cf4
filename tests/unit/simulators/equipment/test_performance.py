"""Counters and the traffic behind them: day curve, tenants' shares, congestion, outages, files."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from simulators.clock import VirtualClock
from simulators.equipment import traffic
from simulators.equipment.measurements import MEAS_DATA, Job, file_name, measurement_file, number
from simulators.equipment.performance import PERIOD, Period
from simulators.equipment.traffic import Share
from simulators.station import Station
from tests.conftest import OFFICIAL_MODULES
from tests.unit.simulators.equipment.stations import (
    ANDES,
    CONDOR,
    ME,
    SETTLED,
    anchor,
    bare,
    beside_lte,
    configure_nr,
    divide,
    lively,
    nr_station,
    own_cell,
    policy,
    s1u_of_gnb,
    set_cell,
    x2,
)
from tests.unit.simulators.netconf.bench import Client, edit

LTE = "ManagedElement=T-LTE-1,ENBFunction=1,EUtranCellFDD=1"
DU = "ManagedElement=T-NR-1,GNBDUFunction=1,NRCellDU=n78-1"
CU = "ManagedElement=T-NR-1,GNBCUCPFunction=1,NRCellCU=n78-1"
PERFORMANCE = "urn:minka:performance"


def after(station: Station, clock: VirtualClock, seconds: float) -> dict[str, float]:
    """Counters of the period in which that many seconds end, which the station lives through."""
    clock.advance(seconds)
    return station.equipment.performance.measure().values[LTE]


def to_boundary(clock: VirtualClock, periods: int = 1) -> float:
    """Seconds to the end of the present period, or of a later one."""
    return PERIOD * periods - clock.monotonic() % PERIOD


def volume(counters: dict[str, float], plmn: str) -> float:
    return sum(value for name, value in counters.items() if name.startswith(f"DRB.PdcpSduVolumeDl.{plmn}."))


def test_names_are_those_of_the_specifications(station: Station, clock: VirtualClock) -> None:
    names = set(after(station, clock, to_boundary(clock)))
    expected = {"RRC.ConnMean", "RRC.ConnMax", "S1SIG.ConnEstabAtt", "S1SIG.ConnEstabSucc", "RRU.PrbTotDl"}
    expected |= {"RRU.PrbTotUl", "RRU.PrbCongestionDl", "RRC.ConnEstabAtt.mo-Data", "RRC.ConnEstabSucc.mt-Access"}
    expected |= {f"RRU.CellUnavailableTime.{cause}" for cause in ("manual", "fault", "energySaving")}
    expected |= {
        f"DRB.PdcpSduVolume{way}.{plmn}.{qci}" for way in ("Dl", "Ul") for plmn in (ANDES, CONDOR) for qci in (1, 9)
    }
    assert expected <= names
    assert len(names) <= 200


def test_names_on_nr(clock: VirtualClock) -> None:
    station = nr_station(clock)
    clock.advance(to_boundary(clock))
    values = station.equipment.performance.measure().values
    radio = {"RRU.PrbTotDl", "RRU.PrbUsedDl", "RRU.PrbUsedDl.1-0000A1", "RRU.PrbAvailUl", "DRB.UEThpDl.1-0000B1"}
    radio |= {"DRB.MeanActiveUeUl", "CARR.MeanTxPwr", "minka-CellUnavailableTime.fault"}
    assert radio <= set(values[DU])
    assert not [name for name in values[DU] if "PdcpSduVolume" in name or name.startswith("RRU.CellUnavailable")]
    central = {f"DRB.PdcpSduVolume{way}.999-02.{qci}.1-0000B1" for way in ("DL", "UL") for qci in (1, 9)}
    central |= {"RRC.ConnMean", "UECNTX.ConnEstabSucc.mo-Data", "SM.PDUSessionSetupReq.1-0000A1"}
    assert central | {"SM.PDUSessionSetupFail.transport", "MM.HoExeInterReq"} <= set(values[CU])
    assert values[DU]["RRU.PrbAvailDl"] == pytest.approx(133, rel=0.01)


def test_a_tenant_with_a_cell_of_its_own_is_served_there_while_it_is_unlocked(clock: VirtualClock) -> None:
    station, counter = nr_station(clock), "DRB.PdcpSduVolumeDL.999-02.9.1-0000B1"
    own_cell(station, "02", "0000B1")
    clock.advance(to_boundary(clock, 5))
    assert station.equipment.performance.measure().values[CU][counter] > 0
    own_cell(station, "02", "0000B1", state="LOCKED")
    clock.advance(to_boundary(clock, 2))
    assert not station.equipment.performance.measure().values[CU].get(counter)


def test_a_station_without_cells_counts_nothing(clock: VirtualClock) -> None:
    period = bare(clock).equipment.performance.measure()
    assert (period.values, period.suspect) == ({}, True)


def test_evening_is_busier_than_night(station: Station, clock: VirtualClock) -> None:
    # 20:00 in Lima is 01:00 UTC, 03:00 in Lima is 08:00 UTC.
    evening = after(station, clock, to_boundary(clock, 5))
    night = after(station, clock, 7 * 3600)
    assert evening["RRC.ConnMean"] > 4 * night["RRC.ConnMean"] > 0


def test_ratios_of_a_second_are_those_of_a_quarter_of_an_hour(station: Station, clock: VirtualClock) -> None:
    clock.advance(to_boundary(clock, 5) + 7 * 3600)  # at night, when a second has a hundredth of an attempt
    second, long = (station.equipment.performance.measure(seconds).values[LTE] for seconds in (1, PERIOD))
    assert 0 < second["S1SIG.ConnEstabAtt"] < 0.05
    ratios = [values["S1SIG.ConnEstabSucc"] / values["S1SIG.ConnEstabAtt"] for values in (second, long)]
    assert ratios[0] == pytest.approx(ratios[1], abs=0.002)
    assert [number(value) for value in (0.00001, 0.0123, 12.0, 0.0)] == ["0.00001", "0.0123", "12", "0"]


def test_tenants_get_their_part_of_the_people(station: Station, clock: VirtualClock) -> None:
    counters = after(station, clock, to_boundary(clock))
    market = traffic.market("tiny", ("999-01", "999-02", "999-03"))
    ratio = volume(counters, ANDES) / volume(counters, CONDOR)
    assert ratio == pytest.approx(market[ANDES] / market[CONDOR], rel=0.5)


def test_same_seed_same_counters(clock: VirtualClock) -> None:
    def run(seed: str) -> Period:
        own = VirtualClock()
        station = lively(own, seed=seed)
        own.advance(4000)
        return station.equipment.performance.measure()

    assert run("a") == run("a")
    assert run("a") != run("b")


def test_asking_late_gives_the_same_values(station: Station, clock: VirtualClock) -> None:
    clock.advance(to_boundary(clock))
    end = clock.now()
    first = station.equipment.performance.measure(end=end)
    set_cell(station, administrativeState="LOCKED")
    clock.advance(5000)
    assert station.equipment.performance.measure(end=end) == first


class TestUnavailability:
    def test_locked_is_manual(self, station: Station, clock: VirtualClock) -> None:
        clock.advance(to_boundary(clock))
        before = station.equipment.performance.measure().values[LTE]
        clock.advance(300)
        set_cell(station, administrativeState="LOCKED")
        counters = after(station, clock, 600)
        assert counters["RRU.CellUnavailableTime.manual"] == 600
        assert counters["RRU.CellUnavailableTime.fault"] == 0
        assert 0.2 < volume(counters, ANDES) / volume(before, ANDES) < 0.5

    def test_fault_is_fault(self, station: Station, clock: VirtualClock) -> None:
        clock.advance(to_boundary(clock) + 100)
        station.equipment.begin_fault("cell-down")
        counters = after(station, clock, 800)
        assert counters["RRU.CellUnavailableTime.fault"] == 800
        counters = after(station, clock, 900)
        assert (counters["RRU.CellUnavailableTime.fault"], counters["RRC.ConnMean"]) == (900, 0)

    def test_sleeping_cell_is_available_and_empty(self, station: Station, clock: VirtualClock) -> None:
        clock.advance(to_boundary(clock))
        station.equipment.begin_fault("sleeping-cell")
        counters = after(station, clock, 900)
        assert {counters[f"RRU.CellUnavailableTime.{cause}"] for cause in ("manual", "fault")} == {0}
        assert counters["RRC.ConnEstabAtt.mo-Data"] == counters["RRU.PrbTotDl"] == volume(counters, ANDES) == 0

    def test_tenant_without_core_fails_alone(self, station: Station, clock: VirtualClock) -> None:
        clock.advance(to_boundary(clock))
        station.equipment.begin_fault("core-link-down", "andes")
        counters = after(station, clock, 900)
        assert volume(counters, ANDES) == 0 < volume(counters, CONDOR)
        assert counters["S1SIG.ConnEstabSucc"] < 0.9 * counters["S1SIG.ConnEstabAtt"]

    def test_restart_makes_a_period_suspect(self, station: Station, clock: VirtualClock) -> None:
        clock.advance(to_boundary(clock))
        assert not station.equipment.performance.measure(end=clock.now()).suspect or clock.monotonic() <= PERIOD
        station.equipment.power_off()
        clock.advance(100)
        station.equipment.power_on()
        clock.advance(800)
        assert station.equipment.performance.measure().suspect
        clock.advance(900)
        assert not station.equipment.performance.measure().suspect


def test_small_share_congests_its_tenant_alone(clock: VirtualClock) -> None:
    def served(policies: str) -> dict[str, float]:
        own = VirtualClock()
        station = nr_station(own, policies)
        own.advance(to_boundary(own))
        values = station.equipment.performance.measure().values
        return values[DU] | values[CU]

    free = served("")
    squeezed = served(policy("p1", "01", "0000A1", 0, 1) + policy("p2", "02", "0000B1", 50, 100))
    name = "DRB.PdcpSduVolumeDL.999-01.9.1-0000A1"
    other = "DRB.PdcpSduVolumeDL.999-02.9.1-0000B1"
    assert squeezed[name] < 0.9 * free[name]
    assert squeezed[other] == free[other]
    assert squeezed["DRB.UEThpDl.1-0000A1"] < free["DRB.UEThpDl.1-0000A1"]


@pytest.mark.parametrize(
    ("resource", "tried", "succeeded"),
    [
        ("RRC", "RRC.ConnEstabAtt.mo-Data", "RRC.ConnEstabSucc.mo-Data"),
        ("DRB", "DRB.EstabAtt.1-0000A1", "DRB.EstabSucc.1-0000A1"),
    ],
)
def test_small_share_of_connections_or_bearers_refuses_its_tenant_alone(
    clock: VirtualClock, resource: str, tried: str, succeeded: str
) -> None:
    def served(*policies: str) -> dict[str, float]:
        own = VirtualClock()
        station = nr_station(own)
        if policies:
            divide(station, resource, *policies)
        own.advance(to_boundary(own))
        values = station.equipment.performance.measure().values
        return values[DU] | values[CU]

    free = served()
    limit = policy("p1", "01", "0000A1", 0, 1, resource), policy("p2", "02", "0000B1", 50, 100, resource)
    now = served(*limit)
    mine, others = "DRB.PdcpSduVolumeDL.999-01.9.1-0000A1", "DRB.PdcpSduVolumeDL.999-02.9.1-0000B1"
    assert 0 < now[mine] < 0.5 * free[mine]
    assert now[others] == free[others] > 0
    assert now[tried] == free[tried]
    assert now[succeeded] < 0.8 * free[succeeded]


def test_nr_without_core_links_serves_whom_an_anchor_brings(clock: VirtualClock) -> None:
    """EN-DC: without a relation that allows it, NR carries nothing; one of the station's own serves its PLMNs."""
    station = beside_lte(clock)
    cell = f"ManagedElement={station.id},GNBCUCPFunction=1,NRCellCU=n78-1"

    def carried() -> tuple[float, ...]:
        clock.advance(to_boundary(clock, 2))
        values = station.equipment.performance.measure().values[cell]
        return tuple(values[f"DRB.PdcpSduVolumeDL.{plmn}.9.{slice_}"] for plmn, slice_ in who)

    who = ((ANDES, "1-0000A1"), (CONDOR, "1-0000B1"))
    assert carried() == (0, 0)
    anchor(station, allowed="false")
    assert carried() == (0, 0)
    anchor(station)
    andes, condor = carried()
    assert andes > 0 == condor
    station.equipment.begin_fault("core-link-down", "andes")
    assert carried() == (0, 0)
    x2(station, "C", "U")  # anchors of another station have core links of their own
    andes, condor = carried()
    assert andes == 0 < condor
    station.equipment.begin_fault("core-links-down", "")
    assert carried() == (0, 0), "X2 leaves the station on the same way as its core links"


def test_nr_over_x2_alone_serves_nobody_while_its_backhaul_is_cut(clock: VirtualClock) -> None:
    cut: list[str] = []
    station = bare(clock, "T-BOTH-1")
    station.equipment._carries = lambda record, *_: record.site not in cut
    configure_nr(station, linked=False)
    x2(station, "C", "U")
    clock.advance(SETTLED)
    cell = f"ManagedElement={station.id},GNBCUCPFunction=1,NRCellCU=n78-1"

    def carried() -> float:
        clock.advance(to_boundary(clock, 2))
        values = station.equipment.performance.measure().values[cell]
        return sum(values[f"DRB.PdcpSduVolumeDL.{who}"] for who in (f"{ANDES}.9.1-0000A1", f"{CONDOR}.9.1-0000B1"))

    assert carried() > 0
    cut.append(station.equipment._record.site)
    station.equipment.radio.path_changed()
    assert carried() == 0
    cut.clear()
    station.equipment.radio.path_changed()
    assert carried() > 0


def test_packets_of_nr_beside_lte_take_the_s1_u_of_the_gnb_where_it_has_one_and_else_x2_u(clock: VirtualClock) -> None:
    station = beside_lte(clock)
    cell = f"ManagedElement={station.id},GNBCUCPFunction=1,NRCellCU=n78-1"

    def carried() -> tuple[bool, bool]:
        clock.advance(to_boundary(clock, 2))
        values = station.equipment.performance.measure().values[cell]
        andes, condor = (f"{ANDES}.9.1-0000A1", f"{CONDOR}.9.1-0000B1")
        return values[f"DRB.PdcpSduVolumeDL.{andes}"] > 0, values[f"DRB.PdcpSduVolumeDL.{condor}"] > 0

    x2(station, "C")
    assert carried() == (False, False), "users attach, and nothing takes their packets"
    s1u_of_gnb(station)
    assert carried() == (True, False)
    x2(station, "U")
    assert carried() == (True, True)
    station.equipment.begin_fault("core-link-down", "andes")
    assert carried() == (False, True), "the anchor is another station's, the user plane is here"


def test_lte_share_is_kept_and_counted(clock: VirtualClock) -> None:
    station = lively(clock)
    free = after(station, clock, to_boundary(clock))
    share = "<mcc>999</mcc><mnc>01</mnc><maxRatio>2</maxRatio>"
    set_cell(station, plmnRadioShareList=share)
    counters = after(station, clock, 900)
    used = f"minka-RRU.PrbTotDl.{ANDES}"
    assert counters[used] == pytest.approx(2)
    assert free[used] > 2
    assert counters[f"minka-DRB.IPThpDl.{ANDES}"] < free[f"minka-DRB.IPThpDl.{ANDES}"] / 2
    assert volume(counters, ANDES) < volume(free, ANDES) / 2


percent = st.integers(0, 100).map(float)


@st.composite
def shares(draw: st.DrawFn) -> list[Share]:
    """Shares as a valid configuration has them: dedicated ≤ min ≤ max, sum of min at most 100."""
    left, found = 100, []
    for _ in range(draw(st.integers(1, 6))):
        minimum = draw(st.integers(0, left))
        left -= minimum
        found.append(Share(draw(st.integers(0, minimum)), minimum, draw(st.integers(minimum, 100))))
    return found


@given(st.data())
def test_shares_are_kept(data: st.DataObject) -> None:
    terms = data.draw(shares())
    wanted = [data.draw(st.floats(0, 300)) for _ in terms]
    given_ = traffic.allot(wanted, terms)
    assert sum(given_) <= 100 + 1e-6
    for want, share, got in zip(wanted, terms, given_, strict=True):
        assert min(want, share.minimum) - 1e-6 <= got <= min(want, share.maximum) + 1e-6
    idle = sum(max(share.dedicated - got, 0) for share, got in zip(terms, given_, strict=True))
    content = all(
        got >= min(want, share.maximum) - 1e-6 for want, share, got in zip(wanted, terms, given_, strict=True)
    )
    assert content or sum(given_) + idle == pytest.approx(100), "what is free and not dedicated is lent"


@given(st.integers(0, 31 * 24 * 60))
def test_day_curve_has_no_jumps(minute: int) -> None:
    when = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minute)
    before, behind = traffic.day_curve(when), traffic.day_curve(when + timedelta(seconds=60))
    assert 0 < before <= 1
    if when.weekday() == (when + timedelta(seconds=60)).weekday():
        assert abs(before - behind) < 0.01


def job(metrics: str, extra: str = "") -> str:
    chosen = "".join(f"<performanceMetrics>{metric}</performanceMetrics>" for metric in metrics.split())
    return (
        f'<ManagedElement xmlns="{ME}"><id>T-LTE-1</id><PerfMetricJob><id>j1</id><attributes>{chosen}'
        f"<granularityPeriod>900</granularityPeriod>{extra}<fileReportingPeriod>15</fileReportingPeriod>"
        "</attributes></PerfMetricJob></ManagedElement>"
    )


async def shown(client: Client) -> list[tuple[str | None, str | None]]:
    data = await client.data(f'<get><filter><performance xmlns="{PERFORMANCE}"/></filter></get>')
    return [
        (counter.findtext(f"{{{PERFORMANCE}}}name"), counter.findtext(f"{{{PERFORMANCE}}}value"))
        for counter in data.iter(f"{{{PERFORMANCE}}}counter")
    ]


async def test_jobs_are_read_over_netconf(station: Station, clock: VirtualClock) -> None:
    clock.advance(to_boundary(clock))
    client = await Client(station).greeted()
    assert await shown(client) == []
    await client.ok(edit(job("RRC.ConnMean RRU.CellUnavailableTime")))
    await client.ok("<commit/>")
    found = dict(await shown(client))
    assert set(found) == {
        "RRC.ConnMean",
        *(f"RRU.CellUnavailableTime.{c}" for c in ("manual", "fault", "energySaving")),
    }
    assert float(found["RRC.ConnMean"] or 0) > 0
    data = await client.data("<get/>")
    assert data.findtext(f".//{{{ME}}}PerfMetricJob/{{{ME}}}attributes/{{{ME}}}operationalState") == "ENABLED"
    await client.ok(edit(job("RRC", "<administrativeState>LOCKED</administrativeState>")))
    await client.ok("<commit/>")
    assert await shown(client) == []


async def test_files_hold_whole_periods(station: Station) -> None:
    client = await Client(station).greeted()
    tag, _ = await client.error(edit(job("RRC").replace(">15<", ">10<")))
    assert tag == "operation-failed"


SCHEMA = OFFICIAL_MODULES / "extra" / "pm" / "measData.xsd"


@pytest.mark.skipif(not SCHEMA.exists(), reason=f"needs {SCHEMA}")
def test_files_are_valid(clock: VirtualClock) -> None:
    schema = etree.XMLSchema(etree.parse(SCHEMA))
    for station in (nr_station(clock), lively(clock)):
        clock.advance(to_boundary(clock))
        periods = [station.equipment.performance.measure(300), station.equipment.performance.measure()]
        schema.assertValid(etree.fromstring(measurement_file(station.id, "24.2.1", periods)))


def test_files_hold_all_counters_by_class(clock: VirtualClock) -> None:
    station = nr_station(clock)
    clock.advance(to_boundary(clock))
    period = station.equipment.performance.measure()
    document = etree.fromstring(measurement_file(station.id, "24.2.1", [period]))
    assert {info.get("measInfoId") for info in document.iter(f"{{{MEAS_DATA.namespace}}}measInfo")} == {
        "NRCellDU",
        "NRCellCU",
    }
    results = sum(1 for _ in document.iter(f"{{{MEAS_DATA.namespace}}}r"))
    assert results == sum(len(counters) for counters in period.values.values())


def test_names_of_files() -> None:
    begin = datetime(2026, 1, 1, 23, 45, tzinfo=UTC)
    end = begin + timedelta(minutes=15)
    assert file_name("PE-CUS-0145", Job("pm"), begin, end) == "A20260101.2345+0000-0000+0000_-pm_PE-CUS-0145.xml"
    several = Job("a/b", seconds=300)
    assert file_name("S", several, begin, end) == "C20260101.2345+0000-20260102.0000+0000_-a%2Fb_S.xml"
