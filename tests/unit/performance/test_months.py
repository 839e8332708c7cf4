"""Months of a network whose time zone changes: each instant, and each day that was counted, is part of one month."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta

import pytest

from controller.api.statements import draft
from controller.models.measurement import DAY, Measured, Subject
from controller.models.network import Network, network_digest
from controller.models.statement import Statement, StatementKind
from controller.ports.clock import VirtualClock
from controller.store import Store, open_store
from tests.support.observed import observe
from tests.unit.api.test_statements import off_air
from tests.unit.intent.test_outages import BEGIN, END, network
from tests.unit.performance.test_volume import rows

#: Lima is five hours behind UTC; Santiago (in winter) four, Mexico City six.
ZONES = ["America/Santiago", "America/Mexico_City", "Pacific/Kiritimati", "Etc/GMT+12"]
NOW = END + timedelta(days=70)
MONTHS = ["2026-05", "2026-06", "2026-07", "2026-08"]
HOUR = timedelta(hours=1)


@pytest.fixture
def store() -> Iterator[Store]:
    with closing(open_store("sqlite://", VirtualClock(start=BEGIN - timedelta(days=40)))) as opened:
        made = network()
        opened.networks.save(made, network_digest(made), "ana")
        observe(opened, ("S1", "S2"), BEGIN - timedelta(days=40), NOW)
        yield opened


def move(store: Store, zone: str, at: datetime) -> None:
    """The network gets another time zone."""
    store.database.clock = VirtualClock(start=at)
    content = network().model_dump(mode="json")
    content["header"]["timezone"] = zone
    moved = Network.model_validate(content)
    store.networks.save(moved, network_digest(moved), "ana")


def said(store: Store, month: str, kind: StatementKind = StatementKind.SLA) -> Statement:
    store.database.clock = VirtualClock(start=NOW)
    return draft(store, NOW, kind, "alfa", month)


def all_said(store: Store, kind: StatementKind = StatementKind.SLA) -> list[Statement]:
    return [said(store, month, kind) for month in MONTHS]


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("hours", [-15, -0.5, 0.5, 14 * 24])
def test_a_month_begins_where_the_month_before_ended(store: Store, zone: str, hours: float) -> None:
    """The time zone comes shortly before or after the end of June in Lima, or within July."""
    move(store, zone, END + hours * HOUR)
    months = all_said(store)
    assert [one.begin for one in months[1:]] == [one.end for one in months[:-1]]
    last = "America/Lima" if hours > 0 else zone
    assert [one.timezone for one in months] == ["America/Lima", last, zone, zone]
    _, june, july, _ = months
    assert abs(june.end - END) <= timedelta(hours=19)
    assert f"{july.begin + timedelta(days=2):%Y-%m}" == "2026-07"


@pytest.mark.parametrize("zone", ["America/Santiago", "America/Mexico_City"])
def test_an_outage_between_two_months_is_lost_once(store: Store, zone: str) -> None:
    for hour, over in ((-2, False), (2, True)):
        at = END + hour * HOUR
        store.database.clock = VirtualClock(start=at)
        store.alarms.report(off_air(0, over=over).model_copy(update={"at": at}))
    move(store, zone, END + timedelta(days=14))
    lost = [sum(row["lost"] for row in rows(one, "agreements")) for one in all_said(store)]  # type: ignore[misc]
    assert lost == [0, 120, 120, 0]


def test_a_month_begins_where_the_one_that_was_issued_ended(store: Store) -> None:
    """A record that was restored may know other network files than those by which the month was issued."""
    june = said(store, "2026-06")
    store.statements.issue(june.model_copy(update={"end": END + HOUR, "timezone": "America/Mexico_City"}), "ana", "")
    assert said(store, "2026-07").begin == END + HOUR
    assert said(store, "2026-06").end == END + HOUR
    assert said(store, "2026-07", StatementKind.VOLUME).begin == END, "each kind by itself"


@pytest.mark.parametrize("zone", ["America/Santiago", "America/Mexico_City"])
def test_each_day_that_stations_counted_has_its_row_in_one_month(store: Store, zone: str) -> None:
    """Days before the change are those of Lima, as they were worked out then; those after it are those of the zone."""
    behind = 4 if zone == "America/Santiago" else 6
    changed = datetime(2026, 7, 15, tzinfo=UTC)
    lima = [BEGIN + timedelta(days=day) for day in range(44)]
    later = [changed + timedelta(days=day, hours=behind) for day in range(31)]
    counted = {"DRB.PdcpSduVolumeDL": {Subject("716-01", 9): 8e4}}
    store.database.clock = VirtualClock(start=NOW)
    for station in ("S1", "S2"):
        cells = dict.fromkeys(("L1", "N1"), counted)
        put = [Measured(station=station, begin=day, seconds=DAY, covered=DAY, cells=cells) for day in (*lima, *later)]
        store.measurements.put(put)
    move(store, zone, changed)
    _, june, july, august = all_said(store, StatementKind.VOLUME)
    for one, begin, number in ((june, date(2026, 6, 1), 30), (july, date(2026, 7, 1), 31)):
        days = [f"{begin + timedelta(days=day):%Y-%m-%d}" for day in range(number)]
        assert [(row["day"], row["total"], row["measured"]) for row in rows(one, "days")] == [
            (day, 40_000.0, 100.0) for day in days
        ]
    assert rows(august, "total")[0]["total"] == 14 * 40_000.0
