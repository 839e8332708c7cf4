"""Volume of a tenant's month: against the twin's truth, by PLMN, QCI and slice, with gaps that are known as gaps."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from controller.api.statements import draft
from controller.intent.agreed_terms import Era
from controller.intent.impact import Sharing
from controller.inventory.load import load_network
from controller.models.measurement import DAY, HOUR, Measured, Period, Subject
from controller.models.network import Network, network_digest
from controller.models.statement import Statement, StatementKind, Value
from controller.performance.kpis import Subscribers
from controller.performance.rollups import rolled_up
from controller.performance.vocabulary import measured
from controller.performance.volume import (
    COUNTERS,
    SharingSpan,
    Volumes,
    had_by,
    parts_under,
    stations_alike,
    volumes_of,
)
from controller.ports.clock import VirtualClock
from controller.store import Store, open_store
from simulators import clock as simulated
from simulators.equipment.performance import PERIOD
from simulators.equipment.truth import truth_of
from simulators.station import Station
from tests.support.definitions import put_in_force
from tests.unit.plan import samples
from tests.unit.simulators.equipment.stations import lively, nr_station

KPIS = Path(__file__).parents[3] / "playbooks" / "kpis"
TINY = Path(__file__).parents[2] / "fixtures" / "networks" / "tiny"
#: A day of the network's time zone.
BEGIN = datetime(2026, 1, 1, 5, tzinfo=UTC)
END = BEGIN + timedelta(days=1)
PLMN = {"andes": "999-01", "condor": "999-02"}
#: A period that one station never delivered.
LOST = BEGIN + timedelta(hours=20)


@pytest.fixture(scope="module")
def day() -> Iterator[tuple[Store, list[Station]]]:
    """A day of two stations with faults, on record as they measured it, and rolled up."""
    clock = simulated.VirtualClock()
    stations = [lively(clock), nr_station(clock)]
    clock.advance((BEGIN - clock.now()).total_seconds())
    periods: list[Measured] = []
    for number in range(DAY // PERIOD):
        if number == 30:
            stations[0].equipment.begin_fault("core-link-down", "condor", "7")
            stations[1].equipment.begin_fault("cell-down", "", "7")
        clock.advance(PERIOD)
        for station in stations:
            one = station.equipment.performance.measure()
            counted = Period(job="1", begin=one.begin, end=one.end, values=one.values)
            found = measured(station.id, [counted]).periods
            periods += [each for each in found if (each.station, each.begin) != ("T-NR-1", LOST)]
    with closing(open_store("sqlite://", VirtualClock(start=END + timedelta(hours=2)))) as store:
        network = load_network(TINY)
        store.networks.save(network, network_digest(network), "ana")
        put_in_force(store)
        store.measurements.put(periods)
        while store.measurements.roll_up(END + timedelta(hours=2)):
            pass
        yield store, stations


def said(store: Store, tenant: str, kind: StatementKind = StatementKind.VOLUME) -> Statement:
    return draft(store, END + timedelta(hours=2), kind, tenant, "2026-01")


def rows(statement: Statement, name: str) -> list[dict[str, Value]]:
    sheet = next(one for one in statement.sheets if one.name == name)
    return [dict(zip((column.name for column in sheet.columns), row, strict=True)) for row in sheet.rows]


@pytest.mark.parametrize("tenant", PLMN)
def test_volume_is_that_of_the_twin_by_plmn_qci_and_slice(day: tuple[Store, list[Station]], tenant: str) -> None:
    store, stations = day
    truth: defaultdict[tuple[str, int, str], list[float]] = defaultdict(lambda: [0.0, 0.0])
    for station in stations:
        for begin, end in ((BEGIN, LOST), (LOST + timedelta(seconds=PERIOD), END)):
            whole = truth_of(station.equipment.performance, begin, end).volume
            for (_, plmn, slice_, qci), (down, up) in whole.items():
                if plmn == PLMN[tenant]:
                    truth[plmn, qci, slice_][0] += down / 8
                    truth[plmn, qci, slice_][1] += up / 8
        if station.id == "T-LTE-1":
            lost = truth_of(station.equipment.performance, LOST, LOST + timedelta(seconds=PERIOD)).volume
            for (_, plmn, slice_, qci), (down, up) in lost.items():
                if plmn == PLMN[tenant]:
                    truth[plmn, qci, slice_][0] += down / 8
                    truth[plmn, qci, slice_][1] += up / 8
    statement = said(store, tenant)
    found = {(row["plmn"], row["qos"], row["slice"]): (row["down"], row["up"]) for row in rows(statement, "breakdown")}
    assert found.keys() == truth.keys()
    for key, megabytes in truth.items():
        assert found[key] == pytest.approx(megabytes, rel=0.001, abs=0.002), key
    (total,) = rows(statement, "total")
    assert total["down"] == pytest.approx(sum(down for down, _ in truth.values()), rel=0.001)
    assert float(total["down"] or 0) > 0


def test_what_was_not_delivered_is_a_gap_and_not_nothing(day: tuple[Store, list[Station]]) -> None:
    statement = said(day[0], "andes")
    cells = {row["cell"]: row["measured"] for row in rows(statement, "cells")}
    assert cells["T-LTE-1/1"] == 100
    assert cells["T-NR-1/n78-1"] == pytest.approx(100 * 95 / 96, abs=0.001)
    silent = [part for cell, part in cells.items() if str(cell).startswith("T-BOTH")]
    assert silent
    assert set(silent) == {0.0}, "nothing was ever heard of it"
    (only,) = rows(statement, "days")
    assert only["day"] == "2026-01-01"


def test_nothing_of_others_is_counted_and_values_that_contain_each_other_count_once() -> None:
    both: dict[str, dict[Subject, float]] = {
        COUNTERS[0]: {
            Subject(): 1000.0,
            Subject("999-01"): 80.0,
            Subject("999-01", 9): 56.0,
            Subject("999-01", 1): 16.0,
            Subject("999-02", 9): 400.0,
        }
    }
    found = Volumes()
    one = Measured(station="S", begin=BEGIN, seconds=DAY, covered=DAY, cells={"1": both})
    found.add(one, one.begin, Subscribers(frozenset({"999-01"})), ["1"])
    assert found.total.row == (10, 0, 10)
    by = {(subject.plmn, subject.qos): found.by_subject[subject].row[0] for subject in found.by_subject}
    assert by == {("999-01", 9): 7, ("999-01", 1): 2, ("999-01", 0): 1}, "what has no QCI is shown without"


@pytest.mark.parametrize("tenant", PLMN)
def test_quality_is_that_of_the_tenants_own_part(day: tuple[Store, list[Station]], tenant: str) -> None:
    statement = said(day[0], tenant, StatementKind.QUALITY)
    kpis = {row["kpi"]: row for row in rows(statement, "kpis")}
    (total,) = rows(said(day[0], tenant), "total")
    assert kpis["volume-down"]["value"] == pytest.approx(float(total["down"] or 0) / 1000, rel=0.01)
    setups = kpis["s1-setup-success"]
    assert setups["not_judged"] == ""
    low, value, high = (float(setups[name] or 0) for name in ("low", "value", "high"))
    assert 0 < low <= value <= high <= 100
    established = float(kpis["volte-setup-success"]["value"] or 0)
    assert kpis["osiptel-tine"]["value"] == pytest.approx(100 - established, abs=0.001)
    assert 0 <= float(kpis["osiptel-tlli"]["value"] or 0) < 100
    assert {row["region"] for row in rows(statement, "regions")} == {"cusco", "puno"}
    assert {str(row["cell"]).partition("/")[0] for row in rows(statement, "cells")} <= {"T-LTE-1", "T-NR-1"}
    assert {row["kpi"] for row in rows(statement, "definitions")} >= kpis.keys()


def test_what_one_tenant_is_told_of_quality_is_the_same_whatever_others_do(
    day: tuple[Store, list[Station]],
) -> None:
    """Condor's links failed: of Andes nothing did."""
    andes, condor = (
        {row["kpi"]: row["value"] for row in rows(said(day[0], tenant, StatementKind.QUALITY), "kpis")}
        for tenant in PLMN
    )
    assert float(andes["s1-setup-success"] or 0) > float(condor["s1-setup-success"] or 0)


def test_totals_are_what_roll_ups_make_of_all(day: tuple[Store, list[Station]]) -> None:
    store, who = day[0], Subscribers(frozenset({PLMN["andes"]}))
    for level in (900, DAY):
        read = list(store.measurements.read(BEGIN, END, level, ["T-LTE-1", "T-NR-1"], None, who))
        for total in store.measurements.totals(BEGIN, END, level, ["T-LTE-1", "T-NR-1"], None, who):
            whole = rolled_up(total.station, BEGIN, END, [one for one in read if one.station == total.station])
            assert whole is not None
            assert (total.covered, total.suspect, total.cells.keys()) == (
                whole.covered,
                whole.suspect,
                whole.cells.keys(),
            )
            for cell, counters in whole.cells.items():
                for name, values in counters.items():
                    assert total.cells[cell][name] == pytest.approx(values, rel=1e-9, abs=1e-9), name


def test_breakdowns_by_qci_and_by_slice_are_not_added_up() -> None:
    values = {Subject("716-01", 1): 480.0, Subject("716-01", 9): 320.0, Subject("716-01", 0, "1-1"): 800.0}
    begin = datetime(2026, 6, 1, tzinfo=UTC)
    day = Measured(station="S1", begin=begin, seconds=DAY, covered=DAY, cells={"L1": {"DRB.PdcpSduVolumeDL": values}})
    found = Volumes()
    found.add(day, begin, Subscribers(frozenset({"716-01"}), frozenset()), ["L1"])
    assert found.total.row == (100.0, 0.0, 100.0)
    by_subject = {one: amount.row[0] for one, amount in found.by_subject.items()}
    assert by_subject == {Subject("716-01", 1): 60.0, Subject("716-01", 9): 40.0}


@pytest.mark.parametrize(
    ("counted", "stated"),
    [
        pytest.param(
            {Subject("716-01"): 8000.0, Subject("716-03"): 16000.0, Subject("716-03", 9): 9600.0},
            {Subject("716-01"): 1000.0, Subject("716-03"): 800.0, Subject("716-03", 9): 1200.0},
            id="one of two PLMNs by QCI",
        ),
        pytest.param(
            {
                Subject("716-01"): 8000.0,
                Subject("716-01", 1): 6000.0,
                Subject("716-03"): 16000.0,
                Subject("716-03", 9): 9600.0,
            },
            {
                Subject("716-01"): 250.0,
                Subject("716-01", 1): 750.0,
                Subject("716-03"): 800.0,
                Subject("716-03", 9): 1200.0,
            },
            id="both in part by QCI",
        ),
        pytest.param(
            {Subject("", 0, "1-1"): 8000.0, Subject("716-01", 9): 5600.0},
            {Subject("716-01"): 300.0, Subject("716-01", 9): 700.0},
            id="a total that names no PLMN",
        ),
        pytest.param(
            {Subject("716-01"): 8000.0, Subject("716-03", 1): 6400.0, Subject("716-03", 9): 9600.0},
            {Subject("716-01"): 1000.0, Subject("716-03", 1): 800.0, Subject("716-03", 9): 1200.0},
            id="one of two PLMNs by QCI only",
        ),
        pytest.param(
            {Subject("716-01"): 8000.0, Subject("716-03", 0, "1-1"): 6400.0, Subject("716-03", 0, "1-2"): 9600.0},
            {Subject("716-01"): 1000.0, Subject("716-03", 0, "1-1"): 800.0, Subject("716-03", 0, "1-2"): 1200.0},
            id="one of two PLMNs by slice only",
        ),
        pytest.param(
            {Subject("716-01", 9): 8000.0, Subject("716-03", 0, "1-1"): 6400.0},
            {Subject("716-01", 9): 1000.0, Subject("716-03"): 800.0},
            id="one PLMN by QCI and one by slice",
        ),
        pytest.param(
            {Subject("716-01"): 8000.0, Subject("", 0, "1-1"): 4000.0},
            {Subject("716-01"): 1000.0},
            id="a slice in which a part of a PLMN is",
        ),
    ],
)
def test_what_a_plmn_carried_beyond_its_qcis_stays_with_that_plmn(
    counted: dict[Subject, float], stated: dict[Subject, float]
) -> None:
    begin = datetime(2026, 6, 1, tzinfo=UTC)
    day = Measured(station="S1", begin=begin, seconds=DAY, covered=DAY, cells={"L1": {"DRB.PdcpSduVolumeDL": counted}})
    found = Volumes()
    found.add(day, begin, Subscribers(frozenset({"716-01", "716-03"}), frozenset({"1-1"})), ["L1"])
    assert {one: amount.row[0] for one, amount in found.by_subject.items()} == stated
    assert found.total.row[0] == sum(stated.values())


def test_hours_in_which_a_plmn_was_counted_otherwise_are_all_in_the_day() -> None:
    """New software of a station counts a PLMN as a whole that it counted by QCI before; another one it always did."""
    whole, by_qci, other = Subject("716-03"), Subject("716-03", 9), Subject("716-01")
    begin = datetime(2026, 6, 1, tzinfo=UTC)
    spans = [{by_qci: 8000.0, other: 800.0}, {by_qci: 4000.0, whole: 4800.0, other: 1600.0}, {other: 800.0}]
    hours = [
        Measured(
            station="S1",
            begin=begin + timedelta(hours=number),
            seconds=HOUR,
            covered=HOUR,
            cells={"L1": {"DRB.PdcpSduVolumeDL": values}},
        )
        for number, values in enumerate(spans)
    ]
    day = rolled_up("S1", begin, begin + timedelta(days=1), hours)
    assert day is not None
    assert day.cells["L1"]["DRB.PdcpSduVolumeDL"] == {by_qci: 12_000, whole: 12_800, other: 3200}


def two_plmns() -> list[Era]:
    """Two days in which alfa has two PLMNs, an agreement of each and one of both; beta has the same cells."""
    content = samples.network().model_dump(mode="json")
    alfa, beta = content["agreements"]
    content["tenants"][0]["plmns"] = ["716-01", "716-04"]
    content["agreements"] = [
        alfa,
        beta,
        alfa | {"id": "alfa-1", "plmns": ["716-01"], "shares": []},
        alfa | {"id": "alfa-4", "plmns": ["716-04"], "shares": []},
    ]
    days = [Network.model_validate(content | {"header": {**content["header"], "name": str(day)}}) for day in (1, 2)]
    times = ((BEGIN, END), (END, END + timedelta(days=1)))
    return [Era(*time, one, Sharing(one, one.day(BEGIN))) for time, one in zip(times, days, strict=True)]


@pytest.mark.parametrize(
    ("agreement", "megabytes"), [("alfa-1", (10, 100)), ("alfa-4", (20, 200)), ("alfa-all", (30, 300))]
)
def test_an_agreement_counts_its_own_plmns_in_its_own_time(agreement: str, megabytes: tuple[float, float]) -> None:
    eras, after = two_plmns(), END + timedelta(days=1)
    measured_days = [
        Measured(
            station="S1",
            begin=begin,
            seconds=DAY,
            covered=DAY,
            cells={
                "L1": {
                    COUNTERS[0]: {
                        Subject("716-01"): 80.0 * times,
                        Subject("716-02"): 8e6,
                        Subject("716-04"): 160.0 * times,
                    }
                }
            },
        )
        for begin, times in ((BEGIN, 1), (END, 10))
    ]

    def total(begin: datetime, until: datetime) -> float:
        days = [one for one in ((BEGIN, END), (END, after)) if begin <= one[0] < until]
        parts = parts_under(eras, "alfa", agreement, begin, until)
        return float(volumes_of(parts, days, measured_days).total.row[0] or 0)

    first, second = megabytes
    assert (total(BEGIN, END), total(END, after), total(BEGIN, after)) == (first, second, first + second)
    noon = timedelta(hours=12)
    for begin, until, names in (
        (BEGIN, END, ["1"]),
        (END, after, ["2"]),
        (BEGIN + noon, END, ["1"]),
        (BEGIN + noon, END + noon, ["1", "2"]),
    ):
        assert [one.network.header.name for one in parts_under(eras, "alfa", agreement, begin, until)] == names


def test_what_was_a_tenants_in_a_time_is_that_of_its_parts_and_of_none_beside_it() -> None:
    begin = datetime(2026, 10, 1, tzinfo=UTC)
    times = [begin + timedelta(hours=6 * number) for number in range(6)]
    made = samples.network()
    who = [Subscribers(frozenset({f"716-0{number}"}), frozenset()) for number in range(5)]
    parts = [
        SharingSpan(since, until, one, {"S1": ("L1",)}, made)
        for (since, until), one in zip(pairwise(times), who, strict=True)
    ]
    assert had_by(parts, times[1], times[3]) == who[1:3], "those before and after only touch it"
    assert had_by(parts, times[4], times[5] + timedelta(hours=1)) == [], "it was no tenant in the last hour"


def test_a_station_at_which_nothing_changes_has_one_time_whatever_changes_elsewhere() -> None:
    times = [datetime(2026, 10, day, tzinfo=UTC) for day in (1, 5, 9, 13)]
    who, made = Subscribers(frozenset({"716-01"}), frozenset()), samples.network()
    others = [("L1",), ("L1", "L2"), ("L1",)]
    cells: list[dict[str, tuple[str, ...]]] = [{"S1": ("L1",), "S2": of_other} for of_other in others]
    parts = [
        SharingSpan(since, until, who, one, made) for (since, until), one in zip(pairwise(times), cells, strict=True)
    ]
    found = {(one.begin, one.until): stations for one, stations in stations_alike(parts)}
    assert found == {(times[0], times[3]): ["S1"]} | {pair: ["S2"] for pair in pairwise(times)}
