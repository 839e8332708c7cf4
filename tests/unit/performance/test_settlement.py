"""What a tenant owes for a month: exact money, each line with its quantity, and the same again from the same record."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from pydantic import ValidationError

from controller.api.statements import draft
from controller.intent.agreed_service import AgreedService, Parts
from controller.intent.agreed_terms import AgreedSpan
from controller.models.measurement import DAY, Measured, Subject
from controller.models.network import Network, network_digest
from controller.models.sharing import Penalty, PoolCapacity, Prices, Sla
from controller.models.statement import Statement, StatementKind
from controller.performance.availability import Attainment, Month
from controller.performance.settlement import charge_spans, settlement_sheets
from controller.ports.clock import VirtualClock
from controller.store import Store, open_store
from tests.support.observed import deliver, observe
from tests.unit.intent.test_outages import BEGIN, END, network
from tests.unit.performance.test_volume import rows

LINES = [
    {"id": "base", "per": "month", "amount": "1500"},
    {"id": "cells", "per": "cell-month", "amount": "12.5"},
    {"id": "guaranteed", "per": "percent-cell-month", "amount": "0.333333"},
    {"id": "volume", "per": "gigabyte", "amount": "0.35", "included": "10"},
    {"id": "calls-down", "per": "gigabyte", "amount": "0.005", "qos": [1], "direction": "down"},
]


def priced(**prices: Any) -> Network:
    made = network(penalties=[{"below_percent": 99, "credit_percent": 12.5}])
    content = {"currency": "PEN", "rounding": "half-up", "lines": LINES} | prices
    alfa = made.agreements[0].model_copy(update={"prices": Prices.model_validate(content)})
    return made.model_copy(update={"agreements": (alfa, *made.agreements[1:])})


@pytest.fixture
def store() -> Iterator[Store]:
    with closing(open_store("sqlite://", VirtualClock(start=BEGIN - timedelta(days=1)))) as made:
        deliver(made, ("S1", "S2"), BEGIN, END, network())
        yield made


def settle(store: Store, made: Network, tenant: str = "alfa") -> Statement:
    store.networks.save(made, network_digest(made), "ana")
    return draft(store, END + timedelta(days=2), StatementKind.SETTLEMENT, tenant, "2026-06")


def lines(statement: Statement) -> dict[object, tuple[object, object]]:
    return {row["line"]: (row["quantity"], row["amount"]) for row in rows(statement, "lines")}


def measure(store: Store) -> None:
    """A day of S1: alfa 30,000 Mbit down by QCI 9 and 800 by QCI 1, and 70,000 up; beta more."""
    counted = {
        "DRB.PdcpSduVolumeDL": {Subject("716-01", 9): 3e4 * 8, Subject("716-01", 1): 800.0, Subject("716-02", 9): 9e6},
        "DRB.PdcpSduVolumeUL": {Subject("716-01", 9): 7e4 * 8, Subject("716-02", 9): 9e6},
    }
    day = Measured(station="S1", begin=BEGIN, seconds=DAY, covered=DAY, cells={"L1": counted})
    store.measurements.put([day])


@pytest.mark.parametrize("rounding", ["half-up", "half-even"])
def test_each_line_is_quantity_times_price_rounded_by_itself(store: Store, rounding: str) -> None:
    made = priced(rounding=rounding)
    store.networks.save(made, network_digest(made), "ana")
    store.database.clock = VirtualClock(start=END + timedelta(days=2))
    measure(store)
    said = settle(store, made)
    assert lines(said) == {
        "base": ("1.000000", "1500.00"),
        "cells": ("4.000000", "50.00"),
        "guaranteed": ("80.000000", "26.67"),  # four cells, of which 20 % are guaranteed
        "volume": ("100.100", "31.54"),  # 30 + 0.1 + 70, less 10: 31.535 rounded away from zero
        "calls-down": ("0.100", "0.00"),
    }
    assert rows(said, "due") == [{"currency": "PEN", "amount": "1608.21"}]
    assert settle(store, made) == said, "the same record gives the same statement"
    assert rows(settle(store, made, "beta"), "without") == [{"agreement": "beta-all"}]


def test_nothing_is_charged_for_the_time_before_the_first_network_was_loaded(store: Store) -> None:
    store.database.clock = VirtualClock(start=BEGIN + timedelta(days=15))
    said = settle(store, priced())
    assert lines(said)["base"] == ("0.500000", "750.00")
    assert lines(said)["cells"] == ("2.000000", "25.00")
    assert {row["since"][:10] for row in rows(said, "lines")} == {"2026-06-16"}  # type: ignore[index]
    store.database.clock = VirtualClock(start=END + timedelta(days=1))
    other = open_store("sqlite://", store.database.clock)
    with closing(other):
        assert lines(settle(other, priced())) == {}


@pytest.mark.parametrize(("included", "amount"), [("100.099", "0.35"), ("100.1", "0.00"), ("500", "0.00")])
def test_who_uses_less_than_what_is_included_pays_nothing_and_gets_nothing(
    store: Store, included: str, amount: str
) -> None:
    """100.1 GB, at 350 a gigabyte beyond what is included."""
    made = priced(lines=[{"id": "volume", "per": "gigabyte", "amount": "350", "included": included}])
    store.networks.save(made, network_digest(made), "ana")
    store.database.clock = VirtualClock(start=END + timedelta(days=2))
    measure(store)
    assert lines(settle(store, made)) == {"volume": ("100.100", amount)}


def test_what_a_line_of_volume_includes_counts_by_the_days_of_its_volume(store: Store) -> None:
    """Terms that end within the first day have the volume of that day, and a whole day of what they include."""
    made = priced(lines=[{"id": "volume", "per": "gigabyte", "amount": "1", "included": "300"}])
    store.networks.save(made, network_digest(made), "ana")
    store.database.clock = VirtualClock(start=BEGIN + timedelta(hours=6))
    dearer = priced(lines=[{"id": "volume", "per": "gigabyte", "amount": "2", "included": "300"}])
    store.networks.save(dearer, network_digest(dearer), "ana")
    store.database.clock = VirtualClock(start=END + timedelta(days=2))
    measure(store)
    said = rows(settle(store, dearer), "lines")
    figures = [(row["quantity"], row["included"], row["amount"]) for row in said]
    # Of 30 days; none of the others has any volume.
    assert figures == [("100.100", "9.999900", "90.10"), ("0.000", "0", "0.00")]


@pytest.mark.parametrize(("rounding", "amount"), [("half-even", "0.12"), ("half-up", "0.13")])
def test_the_middle_is_rounded_as_the_agreement_says(store: Store, rounding: str, amount: str) -> None:
    once = [{"id": "base", "per": "month", "amount": "0.125"}]
    assert lines(settle(store, priced(rounding=rounding, lines=once)))["base"] == ("1.000000", amount)


def test_a_part_of_the_month_costs_a_part(store: Store) -> None:
    made = priced()
    validity = made.agreements[0].validity.model_copy(update={"end": made.day(BEGIN + timedelta(days=14))})
    half = made.agreements[0].model_copy(update={"validity": validity})
    said = lines(settle(store, made.model_copy(update={"agreements": (half,)})))
    assert (said["base"], said["cells"]) == (("0.500000", "750.00"), ("2.000000", "25.00"))


CAPACITY = [
    {"id": "cores", "per": "core-month", "amount": "18"},
    {"id": "edge", "per": "core-month", "amount": "2", "pools": ["edge-1"]},
    {"id": "uplink", "per": "gbps-month", "amount": "90"},
    {"id": "own", "per": "function-month", "amount": "400"},
]


def test_what_was_bought_of_pools_is_paid_used_or_not(store: Store) -> None:
    made = priced(lines=CAPACITY)
    edge, far = PoolCapacity(pool="edge-1", cores=16, gbps=2.5), PoolCapacity(pool="far", cores=8)
    first = made.agreements[0].model_copy(update={"capacity": (edge, far), "functions": ("UP-1", "UP-2")})
    settle(store, made.model_copy(update={"agreements": (first,)}))
    store.database.clock = VirtualClock(start=BEGIN + (END - BEGIN) / 2)
    half = first.model_copy(update={"capacity": (edge,), "functions": ()})
    assert lines(settle(store, made.model_copy(update={"agreements": (half,)}))) == {
        "cores": ("20.000000", "360.00"),  # 24 for half of the month, 16 for the other half
        "edge": ("16.000000", "32.00"),
        "uplink": ("2.500000", "225.00"),
        "own": ("1.000000", "400.00"),
    }


def test_an_amount_that_rounds_to_nothing_has_no_sign(store: Store) -> None:
    """A credit of less than half of the smallest coin is 0.00."""
    from tests.unit.api.test_statements import off_air

    made = priced(lines=[{"id": "base", "per": "month", "amount": "0.01"}])
    store.networks.save(made, network_digest(made), "ana")
    observe(store, ("S1", "S2"), BEGIN, END)
    for over in (False, True):
        at = BEGIN + timedelta(days=1 + 3 * over)
        store.alarms.report(off_air(0, over=over).model_copy(update={"at": at}))
    assert lines(settle(store, made))["credit"] == ("12.5", "0.00")


def test_a_month_below_the_promise_is_credited(store: Store) -> None:
    from tests.unit.api.test_statements import off_air

    made = priced(lines=LINES[:1])
    store.networks.save(made, network_digest(made), "ana")
    observe(store, ("S1", "S2"), BEGIN, END)
    for over in (False, True):
        at = BEGIN + timedelta(days=1 + 3 * over)
        store.alarms.report(off_air(0, over=over).model_copy(update={"at": at}))
    said = settle(store, made)
    assert lines(said)["credit"] == ("12.5", "-187.50")
    assert rows(said, "due") == [{"currency": "PEN", "amount": "1312.50"}]


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"currency": "soles"}, "currency"),
        ({"lines": []}, "lines"),
        ({"lines": [LINES[0], LINES[0]]}, "two price lines have the same id"),
        ({"lines": [{"id": "a", "per": "month", "amount": "-1"}]}, "amount"),
        ({"lines": [{"id": "a", "per": "month", "amount": "1.1234567"}]}, "amount"),
        ({"lines": [{"id": "a", "per": "month", "amount": "1", "qos": [1]}]}, "qos are about volume"),
        ({"lines": [{"id": "a", "per": "month", "amount": "1", "pools": ["edge"]}]}, "pools are about capacity"),
        ({"lines": [{"id": "correction", "per": "month", "amount": "1"}]}, "the name of a line that each settlement"),
        ({"lines": [{"id": "credit", "per": "month", "amount": "1"}]}, "the name of a line that each settlement"),
    ],
)
def test_prices_that_make_no_sense_are_refused(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        Prices.model_validate({"currency": "PEN", "lines": LINES} | wrong)


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("second", [False, True])
def test_each_of_two_agreements_is_credited_by_its_own_availability_and_lines(first: bool, second: bool) -> None:
    """Equal in all but their price, and each below its promise or not."""
    made = priced(lines=[{"id": "base", "per": "month", "amount": "1000"}])
    alfa = made.agreements[0]
    dear = [alfa.prices.lines[0].model_copy(update={"amount": Decimal(2000)})] if alfa.prices else []
    other = alfa.model_copy(
        update={"id": "alfa-b", "prices": alfa.prices and alfa.prices.model_copy(update={"lines": tuple(dear)})}
    )
    whole, served = (END - BEGIN).total_seconds(), Parts()
    gone = Parts(lost=((BEGIN, BEGIN + (END - BEGIN) / 2),))
    month = Month(BEGIN, END, END, made.zone)
    agreed = [(alfa, first), (other, second)]
    owed = {
        one.id: AgreedService(held=whole, seconds={"S1/L1": whole}, parts={"S1/L1": gone if below else served})
        for one, below in agreed
    }
    promises = [Attainment(one, owed[one.id], BEGIN, END) for one, _ in agreed]
    spans = charge_spans([AgreedSpan(one, BEGIN, END) for one, _ in agreed], promises)
    sheets = settlement_sheets(spans, {one.time: owed[one.agreement.id] for one in spans}, {}, (), month)
    named = next(one for one in sheets if one.name == "lines")
    found = [dict(zip((column.name for column in named.columns), row, strict=True)) for row in named.rows]
    credits = {row["agreement"]: row["amount"] for row in found if row["line"] == "credit"}
    assert credits == {**({"alfa-all": "-125.00"} if first else {}), **({"alfa-b": "-250.00"} if second else {})}


@pytest.mark.parametrize("promised", [95.3, 96.7, 97.9, 98.6, 99.3, 99.7, 99.95])
def test_a_month_that_loses_just_what_it_may_owes_no_credit(promised: float) -> None:
    penalty = Penalty(below_percent=promised, credit_percent=5)
    sla = Sla(availability_percent=promised, penalties=(penalty,))
    agreement = network().agreements[0].model_copy(update={"sla": sla})
    month = END - BEGIN
    lost = month * 4 * round(100 * (100 - promised)) // 10_000
    for more, due in ((timedelta(), None), (timedelta.resolution, penalty)):
        gone = {"S1/L1": Parts(lost=((BEGIN, BEGIN + lost + more),))}
        owed = AgreedService(
            seconds=dict.fromkeys(("S1/L1", "S1/N1", "S2/L1", "S2/N1"), month.total_seconds()), parts=gone
        )
        found = Attainment(agreement, owed, BEGIN, END)
        assert sla.penalty(found.availability) == due
        assert (found.availability < Fraction(str(promised))) is (due is not None)
