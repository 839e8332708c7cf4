"""Time in which nobody looked at a station is stated as such: against a count minute by minute."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.api.statements import draft
from controller.intent.agreed_service import AgreedService, CellSeconds
from controller.models.health import OBSERVED_AFTER, Health
from controller.models.network import network_digest
from controller.models.process import ProcessRole
from controller.models.sharing import Scope, Validity
from controller.models.statement import StatementKind
from controller.observe.exposition import exposition
from controller.ports.clock import VirtualClock
from controller.store import Store, open_store
from tests.support.observed import deliver, observe
from tests.unit.api.test_statements import off_air
from tests.unit.intent.test_outages import BEGIN, END, network
from tests.unit.performance.test_volume import rows

MINUTE = timedelta(minutes=1)
SHARED = {"S1": 2, "S2": 2}


def _load(store: Store, **sla: Any) -> None:
    made = network(**sla)
    store.networks.save(made, network_digest(made), "ana")
    deliver(store, SHARED, BEGIN, END, made)


def _check(store: Store, times: Iterable[datetime], station: str = "S1") -> None:
    for at in times:
        store.healths.save([Health(station=station, at=at, reachable=True)])


def _owed(store: Store, until: datetime) -> AgreedService:
    outages = store.incidents.outages(BEGIN, until)
    assert outages is not None
    return outages.agreed_service(network().agreements[0], BEGIN, until, until)


def _minutes(service: AgreedService, cell: str) -> float:
    return sum(
        (until - since) / MINUTE for times in service.unobserved.get(cell, {}).values() for since, until in times
    )


def test_a_controller_that_is_a_quarter_of_an_hour_old_proves_nothing_of_the_month(
    store: Store, clock: VirtualClock
) -> None:
    store.database.clock = VirtualClock(start=END + timedelta(hours=1))
    _load(store)
    quarter = [END - 15 * MINUTE + n * MINUTE for n in range(16)]
    for station in SHARED:
        _check(store, quarter, station)
    said = draft(store, END + timedelta(hours=1), StatementKind.SLA, "alfa", "2026-06")
    (agreement,) = rows(said, "agreements")
    whole = (END - BEGIN) / MINUTE
    assert (agreement["availability"], agreement["kept"], agreement["unseen"]) == (100, "unproved", 0)
    assert agreement["unobserved"] == 4 * (whole - 15)
    assert agreement["at_worst"] == pytest.approx(100 * 15 / whole, abs=0.0001)
    cells = {row["cell"]: row["unobserved"] for row in rows(said, "cells")}
    assert set(cells.values()) == {(whole - 15) * 60}
    parts = {(row["part"], row["seconds"]) for row in rows(said, "outages")}
    assert parts == {("unobserved", (whole - 15) * 60)}


async def test_budgets_and_metrics_count_it_too(store: Store, clock: VirtualClock) -> None:
    store.database.clock = VirtualClock(start=BEGIN + timedelta(days=2))
    _load(store)
    observe(store, ("S1",), BEGIN, BEGIN + timedelta(days=1))
    store.database.clock = VirtualClock(start=BEGIN + timedelta(days=3))
    _load(store, availability_percent=98)
    store.incidents.count_agreements()
    alfa, _ = store.incidents.agreements()
    # Two cells of S1 for two days, and two of S2 for three.
    assert (alfa.agreement, alfa.unobserved, alfa.used) == ("alfa-all", (2 * 2 + 2 * 3) * 24 * 60, 0)
    # Until the first network was loaded, two days; then nobody had adopted them.
    assert alfa.reasons["no-network"] == (2 * 1 + 2 * 2) * 24 * 60
    assert alfa.reasons["not-adopted"] == (2 * 1 + 2 * 1) * 24 * 60
    assert alfa.unproved_allowed == 4 * 3 * 24 * 60 / 100
    page = exposition(store, store.database.clock).decode()
    for reason, minutes in alfa.reasons.items():
        name = f'minka_agreement_unobserved_seconds{{agreement="alfa-all",reason="{reason}",tenant="alfa"}}'
        assert f"{name} {minutes * 60}" in page
    assert 'minka_agreement_unseen_seconds{agreement="alfa-all",tenant="alfa"} 0' in page


@pytest.mark.parametrize(("share", "kept"), [(2.0, "yes"), (1.0, "unproved")])
def test_the_agreement_says_how_much_may_be_unproved(store: Store, share: float, kept: str) -> None:
    store.database.clock = VirtualClock(start=END + timedelta(hours=1))
    _load(store, unproved_percent=share)
    gap = (END - BEGIN) * 0.015
    observe(store, SHARED, BEGIN, END - gap)
    said = draft(store, END + timedelta(hours=1), StatementKind.SLA, "alfa", "2026-06")
    (agreement,) = rows(said, "agreements")
    assert (agreement["kept"], agreement["availability"]) == (kept, 100)
    assert agreement["unobserved"] == pytest.approx(4 * gap / MINUTE, abs=0.01)


@pytest.mark.parametrize(
    "terms",
    [{"validity": Validity(start=date(2026, 6, 20))}, {"scope": Scope(everywhere=True, bands=("n258",))}],
    ids=["has not begun", "reaches no cell"],
)
def test_an_agreement_that_shared_no_cell_has_no_verdict(store: Store, terms: dict[str, Any]) -> None:
    now = BEGIN + timedelta(days=10)
    store.database.clock = VirtualClock(start=now)
    made = network(penalties=[{"below_percent": 99, "credit_percent": 5}])
    alfa = made.agreements[0].model_copy(update=terms)
    made = made.model_copy(update={"agreements": (alfa, *made.agreements[1:])})
    store.networks.save(made, network_digest(made), "ana")
    deliver(store, SHARED, BEGIN, END, made)
    observe(store, SHARED, BEGIN, now)
    (agreement,) = rows(draft(store, now, StatementKind.SLA, "alfa", "2026-06"), "agreements")
    verdict = [agreement[name] for name in ("kept", "availability", "at_worst", "shared", "credit", "restored_late")]
    assert verdict == ["none", None, None, 0, 0, 0]
    (beside,) = rows(draft(store, now, StatementKind.SLA, "beta", "2026-06"), "agreements")
    assert (beside["kept"], beside["availability"]) == ("yes", 100)


def test_checks_that_are_hours_apart_observe_nothing(store: Store) -> None:
    store.database.clock = VirtualClock(start=BEGIN + timedelta(days=2))
    _load(store)
    _check(store, (BEGIN + timedelta(hours=6 * n) for n in range(9)))
    assert _minutes(_owed(store, BEGIN + timedelta(days=2)), "S1/L1") == 2 * 24 * 60


def _reasons(store: Store, cell: str, until: datetime) -> dict[str, float]:
    """Minutes in which nobody looked at a cell, by the reason."""
    found = _owed(store, until).unobserved[cell]
    return {reason.value: sum((end - begin) / MINUTE for begin, end in of) for reason, of in found.items()}


def test_each_time_in_which_nobody_looked_has_its_reason(store: Store) -> None:
    """Loaded at 1:00, adopted at 2:00, listening from 3:00 to 8:00, checked at 4:00 and 5:00, and no more."""

    def at(hour: float) -> None:
        store.database.clock = VirtualClock(start=BEGIN + timedelta(hours=hour))

    at(1)
    _load(store)
    at(2)
    store.devices.adopt("S1", [], "n", "ana")
    at(3)
    listener = store.processes.register("l", ProcessRole.LISTENER)
    store.processes.register("w", ProcessRole.WORKER)
    at(4)
    _check(store, [BEGIN + timedelta(hours=4)])
    at(5)
    _check(store, [BEGIN + timedelta(hours=5)])
    at(8)
    store.processes.heartbeat(listener)
    at(9)
    store.devices.retire("S1", "ana")
    at(10)
    assert _reasons(store, "S1/L1", BEGIN + timedelta(hours=10)) == pytest.approx(
        {"no-network": 60, "not-adopted": 120, "not-running": 119.75, "never-read": 60, "checks-apart": 240.25}
    )
    assert _reasons(store, "S2/L1", BEGIN + timedelta(hours=10)) == {"no-network": 60, "not-adopted": 540}
    store.devices.adopt("S1", [], "n", "ana")
    at(11)
    assert _reasons(store, "S1/L1", BEGIN + timedelta(hours=11))["not-running"] == pytest.approx(179.75)
    said = draft(store, store.database.clock.now(), StatementKind.SLA, "alfa", "2026-06")
    (agreement,) = rows(said, "agreements")
    names = ("no_network", "not_adopted", "not_running", "never_read", "checks_apart")
    found = [agreement[name] for name in names]
    assert found == pytest.approx([4 * 60, 2 * (120 + 600), 2 * 179.75, 2 * 60, 2 * 240.25])
    assert agreement["unobserved"] == pytest.approx(sum(float(one or 0) for one in found))
    known_by = {row["known_by"] for row in rows(said, "outages")}
    assert known_by == {name.replace("_", "-") for name in names}
    for row in rows(said, "cells"):
        columns = [str(one) for one in row if one in CellSeconds._fields]
        assert sum(int(row[one] or 0) for one in columns) == row["shared"]


def test_an_adoption_that_lasts_reaches_to_the_end_asked_for(store: Store) -> None:
    """Who asks may have read the clock some seconds after the transaction began."""
    store.database.clock = VirtualClock(start=BEGIN)
    _load(store)
    store.devices.adopt("S1", [], "n", "ana")
    assert "not-adopted" not in _reasons(store, "S1/L1", BEGIN + timedelta(seconds=6))
    assert _reasons(store, "S2/L1", BEGIN + timedelta(seconds=6)) == pytest.approx({"not-adopted": 0.1})


def test_an_alarm_that_stands_while_nobody_looks_proves_nothing_of_that_time(store: Store) -> None:
    """The controller went down for hours; no reading on either side says what was in between."""
    at = BEGIN + timedelta(hours=12)
    store.database.clock = VirtualClock(start=BEGIN + timedelta(days=1))
    _load(store)
    observe(store, SHARED, BEGIN, at)
    store.alarms.report(off_air(0).model_copy(update={"at": at - 30 * MINUTE}))
    store.alarms.report(off_air(0, over=True).model_copy(update={"at": at + 60 * MINUTE}))
    owed = _owed(store, BEGIN + timedelta(days=1))
    assert owed.lost == 30 * 60
    assert (_minutes(owed, "S1/L1"), _minutes(owed, "S1/N1")) == (12 * 60, 12 * 60)


def test_the_time_since_the_last_check_is_observed_while_checks_go_on(store: Store) -> None:
    now = BEGIN + timedelta(hours=2)
    store.database.clock = VirtualClock(start=now)
    _load(store)
    for station, last in (("S1", 3), ("S2", 30)):
        _check(store, (BEGIN + n * MINUTE for n in range(0, 120 - last + 1, 3)), station)
    owed = _owed(store, now)
    assert (_minutes(owed, "S1/L1"), _minutes(owed, "S2/L1")) == (0, 30)


@given(st.lists(st.integers(0, 300), max_size=40), st.lists(st.integers(0, 300), max_size=5))
def test_any_checks_in_any_order_observe_what_lies_between_two_that_are_close(
    ordered: list[int], late: list[int]
) -> None:
    """Late ones are older than what is on record, and change nothing."""
    whole, most = 300, OBSERVED_AFTER / MINUTE
    store = open_store("sqlite://", VirtualClock(start=BEGIN + whole * MINUTE))
    try:
        _load(store)
        times = sorted(ordered)
        _check(store, (BEGIN + n * MINUTE for n in times))
        _check(store, (BEGIN + n * MINUTE for n in late if times and n <= times[-1]))
        close = [(one, other) for one, other in pairwise(times) if other - one <= most]
        if times and whole - times[-1] <= most:
            close.append((times[-1], whole))
        seen = {minute for since, until in close for minute in range(since, until)}
        assert _minutes(_owed(store, BEGIN + whole * MINUTE), "S1/L1") == whole - len(seen)
    finally:
        store.close()
