"""Who gets a settlement works out its lines again, from nothing but the exported sheets."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from controller.api.statements import draft
from controller.models.network import Network
from controller.models.sharing import PoolCapacity, Prices
from controller.models.statement import StatementForm, StatementKind
from controller.performance.statements import files_of
from controller.ports.clock import VirtualClock
from controller.store import Store, open_store
from tests.unit.intent.test_outages import BEGIN, END
from tests.unit.performance.test_guaranteed_shares import STATIONS, adopt, apply, load, sharing

LINES: list[dict[str, Any]] = [
    {"id": "guaranteed", "per": "percent-cell-month", "amount": "1.37"},
    {"id": "cores", "per": "core-month", "amount": "18.01"},
    {"id": "edge", "per": "core-month", "amount": "2.5", "pools": ["edge-1"]},
    {"id": "uplink", "per": "gbps-month", "amount": "90.9"},
    {"id": "own", "per": "function-month", "amount": "400.03"},
]
EDGE, FAR = PoolCapacity(pool="edge-1", cores=16, gbps=2.5), PoolCapacity(pool="far", cores=8)


def priced(percent: int, pools: tuple[PoolCapacity, ...], functions: tuple[str, ...]) -> Network:
    made = sharing(percent)
    prices = Prices.model_validate({"currency": "PEN", "lines": LINES})
    bought = {"prices": prices, "capacity": pools, "functions": functions}
    agreements = tuple(
        one.model_copy(update=bought if one.tenant == "alfa" else {"prices": None}) for one in made.agreements
    )
    return made.model_copy(update={"agreements": agreements})


@pytest.fixture
def store() -> Iterator[Store]:
    """Shares and capacity change within the month, at odd microseconds, and runs follow at one station."""
    with closing(open_store("sqlite://", VirtualClock(start=BEGIN - timedelta(days=1)))) as made:
        load(made, -1, priced(20, (EDGE, FAR), ("UP-1", "UP-2")))
        adopt(made, -1, sharing(20), *STATIONS)
        load(made, 7.123456789, priced(60, (EDGE, FAR), ("UP-1", "UP-2")))
        apply(made, 11.987654321, sharing(60), "S1")
        load(made, 19.3333333333, priced(60, (EDGE,), ("UP-2",)))
        apply(made, 23.1428571428, sharing(60), "S2")
        yield made


def test_lines_follow_from_the_pieces_of_the_exported_sheet(store: Store) -> None:
    now = END + timedelta(days=2)
    store.database.clock = VirtualClock(start=now)
    made = draft(store, now, StatementKind.SETTLEMENT, "alfa", "2026-06")
    exported = list(csv.DictReader(io.StringIO(files_of(made)[StatementForm.CSV].decode(), newline="")))
    lines = [row for row in exported if row["sheet"] == "lines"]
    pieces = [row for row in exported if row["sheet"] == "pieces"]
    assert {row["line"] for row in lines} == {one["id"] for one in LINES}
    month = Fraction((END - BEGIN) // timedelta(microseconds=1), 1_000_000)
    checked = 0
    for line in lines:
        mine = [row for row in pieces if all(row[name] == line[name] for name in ("agreement", "line", "since"))]
        total = sum((Fraction(row["units"]) * Fraction(row["seconds"]) for row in mine), Fraction(0))
        quantity = Fraction(round(total / month * 10**6), 10**6)  # half to even
        assert quantity == Fraction(line["quantity"]), line
        due = round(quantity * Fraction(line["price"]) * 100)
        assert Decimal(due).scaleb(-2) == Decimal(line["amount"]), line
        for row in mine:
            length = datetime.fromisoformat(row["end"]) - datetime.fromisoformat(row["begin"])
            assert abs(length.total_seconds() - float(row["seconds"])) < 2
            assert line["since"] <= row["begin"] < row["end"] <= line["until"]
            checked += 1
    assert checked == len(pieces), "each piece is of a line"
    assert {row["units"] for row in pieces if row["line"] == "guaranteed"} == {"20", "60"}
    assert {row["of"] for row in pieces if row["line"] == "guaranteed"} == {"S1/L1", "S1/N1", "S2/L1", "S2/N1"}
    assert {(row["of"], row["units"]) for row in pieces if row["line"] == "edge"} == {("edge-1", "16")}
    assert {row["of"] for row in pieces if row["line"] == "own"} == {"UP-1", "UP-2"}
