"""What counts as restored late: outages that follow each other closely are one, whatever incidents they are of."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest

from controller.api.statements import draft
from controller.models.alarm import AlarmReport
from controller.models.network import network_digest
from controller.models.statement import StatementKind, Value
from controller.ports.clock import VirtualClock
from controller.store import SqlStore, open_store
from tests.support.observed import observe
from tests.unit.api.test_statements import off_air
from tests.unit.intent.test_outages import BEGIN, END, network
from tests.unit.performance.test_volume import rows


@pytest.fixture
def store() -> Iterator[SqlStore]:
    with closing(open_store("sqlite://", VirtualClock(start=BEGIN - timedelta(days=1)))) as made:
        observe(made, ("S1", "S2"), BEGIN - timedelta(days=1), END, network())
        yield made


def _agreements(store: SqlStore, outages: list[tuple[float, float]], **sla: Any) -> dict[str, Value]:
    """Alfa's agreement after outages of a cell, in hours since the month began."""
    made = network(availability_percent=50.0, **sla)
    store.networks.save(made, network_digest(made), "ana")
    for begin, end in outages:
        for at, over in ((begin, False), (end, True)):
            report: AlarmReport = off_air(0, over=over)
            store.database.clock = VirtualClock(start=BEGIN + timedelta(hours=at))
            store.alarms.report(report.model_copy(update={"at": BEGIN + timedelta(hours=at)}))
    store.database.clock = VirtualClock(start=END + timedelta(hours=1))
    (row,) = rows(draft(store, END + timedelta(hours=1), StatementKind.SLA, "alfa", "2026-06"), "agreements")
    return row


def _of_23_hours(apart: float, number: int = 5) -> list[tuple[float, float]]:
    return [(10 + n * (23 + apart / 60), 10 + n * (23 + apart / 60) + 23) for n in range(number)]


@pytest.mark.parametrize(
    ("apart", "late"),
    [(1, True), (15, True), (29, True), (30, False), (90, False)],
    ids=["one incident", "several incidents", "just too short", "long enough", "long"],
)
def test_outages_with_too_little_service_in_between_are_one(store: SqlStore, apart: float, *, late: bool) -> None:
    """Each of the five takes 23 of the 24 hours within which a fault is to be over."""
    row = _agreements(store, _of_23_hours(apart))
    assert row["lost"] == 5 * 23 * 60
    assert (row["kept"], bool(row["restored_late"])) == ("no" if late else "yes", late)


def test_the_agreement_says_how_long_service_has_to_last(store: SqlStore) -> None:
    assert _agreements(store, _of_23_hours(40), restored_minutes=60)["restored_late"] == 1


@pytest.mark.parametrize(("hours", "late"), [(24.0, 0), (24.01, 1)])
def test_one_outage_is_late_once_it_is_longer_than_promised(store: SqlStore, hours: float, late: int) -> None:
    assert _agreements(store, [(10, 10 + hours)])["restored_late"] == late


@pytest.mark.parametrize(("hours", "kept"), [(23.0, "yes"), (25.0, "no")])
def test_a_month_whose_availability_is_as_promised_is_not_kept_if_something_was_restored_late(
    store: SqlStore, hours: float, kept: str
) -> None:
    row = _agreements(store, [(10, 10 + hours)])
    assert row["availability"] > 50  # type: ignore[operator]
    assert row["kept"] == kept
