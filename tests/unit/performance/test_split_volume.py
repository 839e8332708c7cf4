"""Volumes of a gNB that is split into units: its user planes count them, and the twin knows what it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from controller.api.statements import draft
from controller.intent.agreed_terms import Era
from controller.intent.central_units import counts
from controller.intent.impact import Sharing
from controller.models.measurement import DAY, Measured, Period, Subject
from controller.models.network import Network, network_digest
from controller.models.statement import StatementKind
from controller.performance.vocabulary import measured
from controller.performance.volume import COUNTERS, PLANE_COUNTERS, Volumes, parts_of, parts_under, volumes_of
from controller.ports.clock import VirtualClock
from controller.store import Store, open_store
from simulators.equipment.performance import PERIOD
from simulators.equipment.truth import truth_of
from tests.unit.intent.clouds import cloud, function, split_gnb
from tests.unit.performance.test_volume import rows
from tests.unit.simulators.test_central_units import PARTS, Bench, written

#: A day of the network's time zone.
BEGIN = datetime(2026, 6, 10, 5, tzinfo=UTC)
END = BEGIN + timedelta(days=1)
PLMN = {"alfa": "716-01", "beta": "716-02"}
UNIT = {"alfa": "UP-E", "beta": "UP-B-E"}
#: A period of which alfa's user plane never delivered a file.
LOST = BEGIN + timedelta(hours=20)
PRICE = Decimal("3.5")


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Store, Bench]]:
    """A day of the gNB on record as its units measured it; beta's user plane is cut off for an hour."""
    prices = {"currency": "PEN", "lines": [{"id": "data", "per": "gigabyte", "amount": str(PRICE)}]}
    bench = Bench(written(tmp_path_factory.mktemp("network"), prices=prices))
    bench.clock.advance((BEGIN - timedelta(minutes=15) - bench.clock.now()).total_seconds())
    bench.configure(*PARTS)
    bench.clock.advance((BEGIN - bench.clock.now()).total_seconds())
    periods: list[Measured] = []
    for number in range(DAY // PERIOD):
        bench.clock.advance(PERIOD)
        if number == 40:
            bench.fleet.stations["UP-B-E"].equipment.begin_fault("core-links-down", "", "7")
        for name in (name for name in PARTS if counts(bench.network, name)):
            one = bench.fleet.stations[name].equipment.performance.measure()
            found = measured(name, [Period(job="1", begin=one.begin, end=one.end, values=one.values)]).periods
            periods += [each for each in found if (each.station, each.begin) != ("UP-E", LOST)]
    with closing(open_store("sqlite://", VirtualClock(start=BEGIN))) as store:
        store.networks.save(bench.network, network_digest(bench.network), "ana")
        store.database.clock = VirtualClock(start=END + timedelta(hours=2))
        store.measurements.put(periods)
        while store.measurements.roll_up(END + timedelta(hours=2)):
            pass
        yield store, bench


def truth(bench: Bench, tenant: str, begin: datetime, end: datetime) -> tuple[float, float]:
    """Megabytes down and up of a tenant's users in both DUs, as they really were."""
    down = up = 0.0
    for name in ("S1", "S2"):
        volume = truth_of(bench.fleet.stations[name].equipment.performance, begin, end).volume
        own = [both for (_, plmn, _, _), both in volume.items() if plmn == PLMN[tenant]]
        down, up = down + sum(one for one, _ in own) / 8, up + sum(one for _, one in own) / 8
    return down, up


def known(bench: Bench, tenant: str) -> tuple[float, float]:
    """The same of the times of which the tenant's user plane delivered a file."""
    after = LOST + timedelta(seconds=PERIOD)
    times = ((BEGIN, LOST), (after, END)) if tenant == "alfa" else ((BEGIN, END),)
    found = [truth(bench, tenant, *one) for one in times]
    return sum(down for down, _ in found), sum(up for _, up in found)


@pytest.mark.parametrize("tenant", PLMN)
def test_a_statement_has_the_volume_that_its_user_plane_carried(day: tuple[Store, Bench], tenant: str) -> None:
    store, bench = day
    statement = draft(store, END + timedelta(hours=2), StatementKind.VOLUME, tenant, "2026-06")
    down, up = known(bench, tenant)
    (total,) = [one for one in rows(statement, "days") if one["day"] == "2026-06-10"]
    assert (total["down"], total["up"]) == pytest.approx((down, up), rel=1e-4)
    assert min(down, up) > 0
    cells = {row["cell"]: row for row in rows(statement, "cells") if row["total"]}
    assert cells.keys() == {UNIT[tenant]}
    assert {row["plmn"] for row in rows(statement, "breakdown")} == {PLMN[tenant]}
    part = 95 / 96 if tenant == "alfa" else 1
    assert total["measured"] == pytest.approx(100 * part, abs=0.001)


def test_gigabytes_are_charged_by_what_the_user_plane_counted(day: tuple[Store, Bench]) -> None:
    store, bench = day
    statement = draft(store, END + timedelta(hours=2), StatementKind.SETTLEMENT, "alfa", "2026-06")
    (line,) = rows(statement, "lines")
    gigabytes = sum(known(bench, "alfa")) / 1000
    assert float(str(line["quantity"])) == pytest.approx(gigabytes, rel=1e-3)
    assert float(str(line["amount"])) == pytest.approx(gigabytes * float(PRICE), rel=1e-3, abs=0.01)


# ------------------------------------------------------- who counts, and for whom


def network(*agreements: dict[str, Any], **more: Any) -> Network:
    """The split gNB; agreements of alfa in place of the one that it has."""
    draft = split_gnb().model_dump(mode="json")
    if agreements:
        first, others = draft["agreements"][0], draft["agreements"][1:]
        draft["agreements"] = [*({**first, "shares": [], **one} for one in agreements), *others]
    return Network.model_validate(draft | more)


def era(made: Network) -> Era:
    return Era(BEGIN, END, made, Sharing(made, made.day(BEGIN)))


def counted(station: str, cells: dict[str, dict[str, dict[Subject, float]]]) -> Measured:
    return Measured(station=station, begin=BEGIN, seconds=DAY, covered=DAY, cells=cells)


def by_cell(value: float, plmn: str = "716-01") -> dict[str, dict[Subject, float]]:
    return {name: {Subject(plmn): value} for name in COUNTERS}


def together(value: float, plmn: str = "716-01") -> dict[str, dict[Subject, float]]:
    return {name: {Subject(plmn): value} for name in PLANE_COUNTERS}


def volumes(made: Network, *days: Measured, agreement: str = "") -> Volumes:
    eras = [era(made)]
    parts = parts_under(eras, "alfa", agreement, BEGIN, END) if agreement else parts_of(eras, "alfa")
    return volumes_of(parts, [(BEGIN, END)], days)


def test_time_of_which_a_user_planes_volume_is_nobodys_is_not_stated_as_measured() -> None:
    filters = {f"{name}_Plmn716-01Qci{part}": 7.0 for name in PLANE_COUNTERS for part in ("1-4", "3-6")}
    unit = "ManagedElement=UP-E,GNBCUUPFunction=1"
    found = volumes(
        network(), *measured("UP-E", [Period(job="1", begin=BEGIN, end=END, values={unit: filters})]).periods
    )
    assert (found.total.row, found.total.measured, found.total.unknown) == ((0, 0, 0), 0, 100)


def test_what_a_control_plane_counts_by_cell_and_the_user_plane_too_counts_once() -> None:
    halves = [counted("S1", {"n78-1": by_cell(80)}), counted("S2", {"n78-1": by_cell(160)})]
    both = volumes(network(), *halves, counted("UP-E", {"": together(240)}))
    assert both.total.row == (30, 30, 60)
    assert both.total.measured == 100
    alone = volumes(network(), *halves)
    assert (alone.total.row, {*alone.by_cell}) == ((30, 30, 60), {"S1/n78-1", "S2/n78-1"})


def test_a_cell_of_which_neither_unit_counted_a_volume_is_not_measured() -> None:
    du = {"n78-1": {"RRU.PrbTotDl": {Subject(): 5.0}}}
    nothing = volumes(network(), counted("S1", du), counted("S2", du))
    assert (nothing.total.row, nothing.total.measured) == ((0, 0, 0), 0)
    half = volumes(network(), counted("S1", {"n78-1": by_cell(80)}), counted("S2", du))
    assert (half.total.row, half.total.measured) == ((10, 10, 20), 50)


def test_of_another_tenants_user_plane_nothing_counts() -> None:
    found = volumes(network(), counted("UP-E", {"": together(80)}), counted("UP-B-E", {"": together(800)}))
    assert found.total.row == (10, 10, 20)


def test_a_gnb_in_one_place_that_counts_at_its_user_plane_alone_is_counted_there() -> None:
    plain = cloud({"edge": {"S1": 50}}, [function("DU-1")], {"S1": ["DU-1"]})
    alone = counted("S1", {"": together(80), "n78-1": {"RRU.PrbTotDl": {Subject(): 5.0}}})
    both = counted("S1", {"": together(80), "n78-1": by_cell(80)})
    for one, name in ((alone, "S1"), (both, "S1/n78-1")):
        found = volumes(plain, one)
        assert (found.total.row, found.by_cell[name].row) == ((10, 10, 20), (10, 10, 20))


SAME = {"plmns": ["716-01"]}


def test_what_two_agreements_have_at_one_user_plane_counts_for_neither() -> None:
    """Nobody knows in which of the cells it was; by cell it is known."""
    made = network({"id": "alfa-1", "scope": {"stations": ["S1"]}}, {"id": "alfa-2", "scope": {"stations": ["S2"]}})
    plane = counted("UP-E", {"": together(240)})
    for agreement in ("alfa-1", "alfa-2"):
        found = volumes(made, plane, agreement=agreement)
        assert (found.total.row, found.total.measured) == ((0, 0, 0), 0)
    assert volumes(made, plane).total.row == (30, 30, 60), "it is alfa's all the same"
    halves = [counted("S1", {"n78-1": by_cell(80)}), counted("S2", {"n78-1": by_cell(160)})]
    assert volumes(made, plane, *halves, agreement="alfa-1").total.row == (10, 10, 20)
