"""What counts as restored late: outages that follow each other closely are one, whatever incidents they are of."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest

from controller.api.statements import draft
from controller.models.alarm import AlarmReport
from controller.models.health import Health
from controller.models.measurement import Measured, Subject
from controller.models.network import network_digest
from controller.models.sharing import MaintenanceWindow
from controller.models.statement import StatementKind, Value
from controller.ports.clock import VirtualClock
from controller.store import Store, open_store
from controller.store.network.devices import observed_times
from tests.support.observed import observe
from tests.unit.api.test_statements import off_air
from tests.unit.intent.test_outages import BEGIN, END, network
from tests.unit.performance.test_volume import rows


@pytest.fixture
def store() -> Iterator[Store]:
    with closing(open_store("sqlite://", VirtualClock(start=BEGIN - timedelta(days=1)))) as made:
        observe(made, ("S1", "S2"), BEGIN - timedelta(days=1), END, network())
        yield made


def _agreements(store: Store, outages: list[tuple[float, float]], **sla: Any) -> dict[str, Value]:
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
def test_outages_with_too_little_service_in_between_are_one(store: Store, apart: float, *, late: bool) -> None:
    """Each of the five takes 23 of the 24 hours within which a fault is to be over."""
    row = _agreements(store, _of_23_hours(apart))
    assert row["lost"] == 5 * 23 * 60
    assert (row["kept"], bool(row["restored_late"])) == ("no" if late else "yes", late)


def test_the_agreement_says_how_long_service_has_to_last(store: Store) -> None:
    assert _agreements(store, _of_23_hours(40), restored_minutes=60)["restored_late"] == 1


@pytest.mark.parametrize(("hours", "late"), [(24.0, 0), (24.01, 1)])
def test_one_outage_is_late_once_it_is_longer_than_promised(store: Store, hours: float, late: int) -> None:
    assert _agreements(store, [(10, 10 + hours)])["restored_late"] == late


@pytest.mark.parametrize(("hours", "kept"), [(23.0, "yes"), (25.0, "no")])
def test_a_month_whose_availability_is_as_promised_is_not_kept_if_something_was_restored_late(
    store: Store, hours: float, kept: str
) -> None:
    row = _agreements(store, [(10, 10 + hours)])
    assert row["availability"] > 50  # type: ignore[operator]
    assert row["kept"] == kept


def _health(store: Store, at: float, **seen: Any) -> None:
    """What a check reads at an hour of the month."""
    store.database.clock = VirtualClock(start=BEGIN + timedelta(hours=at))
    store.healths.save([Health(station="S1", at=BEGIN + timedelta(hours=at), reachable=True, **seen)])


def _without_plmn(store: Store, begin: float, end: float) -> None:
    _health(store, 0)
    _health(store, begin, missing=(("L1", "716-01", "alfa", "/PLMN[716-01]"),))
    _health(store, end)


def _locked(store: Store, begin: float, end: float) -> None:
    _health(store, 0)
    _health(store, begin, locked=("L1",))
    _health(store, end)


def _counted(store: Store, begin: float, end: float) -> None:
    """Nobody looks, and the cell counts itself off air in each quarter of an hour."""
    store.devices.adopt("S1", [], "n", "ana")
    looked = [{"station": "S1", "since": BEGIN - timedelta(days=1), "until": BEGIN + timedelta(hours=begin)}]
    looked.append({"station": "S1", "since": BEGIN + timedelta(hours=end), "until": END})
    at_s1 = observed_times.c.station == "S1"
    store.database.run(lambda tx: tx.execute(observed_times.delete().where(at_s1)))
    store.database.run(lambda tx: tx.execute(observed_times.insert(), looked))
    cells = {"L1": {"RRU.CellUnavailableTime.fault": {Subject(): 900.0}}}
    store.database.clock = VirtualClock(start=END)
    store.measurements.put(
        [
            Measured(station="S1", begin=BEGIN + timedelta(hours=at / 4), seconds=900, covered=900, cells=cells)
            for at in range(round(begin * 4), round(end * 4))
        ]
    )
    while store.measurements.roll_up(END):
        pass


@pytest.mark.parametrize(("hours", "late"), [(11, 0), (13, 1)])
@pytest.mark.parametrize(
    ("lose", "column", "known_by", "cause"),
    [
        (_without_plmn, "lost", "reading", "plmn-missing"),
        (_counted, "lost", "counters", "cell-off-air"),
        (_locked, "locked", "reading", "locked"),
    ],
)
def test_an_outage_without_an_incident_is_late_too_and_has_its_cause(
    store: Store, lose: Any, column: str, known_by: str, cause: str, hours: int, late: int
) -> None:
    """It begins at six in the morning, after the agreement's window of that day; twelve hours are to restore it."""
    made = network(availability_percent=50.0, restore_hours=12)
    windows = (MaintenanceWindow.model_validate({"start": "01:00", "end": "05:00"}),)
    alfa, *others = made.agreements
    made = made.model_copy(update={"agreements": (alfa.model_copy(update={"windows": windows}), *others)})
    store.networks.save(made, network_digest(made), "ana")
    lose(store, 30, 30 + hours)
    store.database.clock = VirtualClock(start=END + timedelta(days=2))
    said = draft(store, END + timedelta(days=2), StatementKind.SLA, "alfa", "2026-06")
    (row,) = rows(said, "agreements")
    assert (row[column], row["restored_late"], row["kept"]) == (hours * 60, late, "no" if late else "yes")
    assert rows(said, "incidents") == []
    (outage,) = (one for one in rows(said, "outages") if one["part"] == column)
    assert (outage["known_by"], outage["cause"], outage["seconds"]) == (known_by, cause, hours * 3600)


def test_an_alarm_and_a_missing_plmn_after_it_are_one_outage(store: Store) -> None:
    """Off air for 12 hours, then without alfa's PLMN for 13; neither is late by itself."""
    _without_plmn(store, 22, 35)
    row = _agreements(store, [(10, 22)])
    assert (row["lost"], row["restored_late"], row["kept"]) == (25 * 60, 1, "no")
