"""A gNB whose control plane has an endpoint of its own: a cell is served where both its halves carry it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from controller.api.statements import draft
from controller.models.health import Health
from controller.models.network import Network, network_digest
from controller.models.sharing import Prices
from controller.models.statement import StatementKind
from controller.ports.clock import VirtualClock
from controller.store import Store, open_store
from controller.store.network.devices import observed_times
from tests.unit.intent.clouds import split_gnb
from tests.unit.intent.test_outages import BEGIN, END
from tests.unit.performance.test_volume import rows
from tests.unit.plan import samples

Made = Callable[..., Store]


def priced() -> Network:
    made = split_gnb()
    prices = Prices.model_validate({"currency": "PEN", "lines": [{"id": "cells", "per": "cell-month", "amount": "60"}]})
    agreements = tuple(one.model_copy(update={"prices": prices}) for one in made.agreements)
    return made.model_copy(update={"agreements": agreements})


MADE = priced()
DEVICES = ("S1", "S2", *MADE.central_units)


@pytest.fixture
def made() -> Iterator[Made]:
    """A store in which all parts of the gNB are adopted; a device may lack what is alfa's."""
    with closing(open_store("sqlite://", VirtualClock(start=BEGIN - timedelta(days=1)))) as store:

        def make(without: str = "") -> Store:
            store.networks.save(MADE, network_digest(MADE), "ana")
            for device in DEVICES:
                entries = samples.ledger(MADE, device).values()
                known = [one.node for one in entries if device != without or "alfa" not in one.owners]
                store.devices.adopt(device, known, network_digest(MADE), "ana")
            looked = [{"station": one, "since": BEGIN - timedelta(days=1), "until": END} for one in DEVICES]
            store.database.run(lambda tx: tx.execute(observed_times.insert(), looked))
            return store

        yield make


def said(store: Store, kind: StatementKind, sheet: str, tenant: str = "alfa") -> list[dict[str, Any]]:
    store.database.clock = VirtualClock(start=END + timedelta(days=2))
    return rows(draft(store, END + timedelta(days=2), kind, tenant, "2026-06"), sheet)


@pytest.mark.parametrize("device", ["S1", "CP-E"])
def test_what_one_half_never_got_is_not_applied_and_not_charged(made: Made, device: str) -> None:
    store = made(without=device)
    cells = {row["cell"]: row["not_applied"] for row in said(store, StatementKind.SLA, "cells")}
    both = device == "CP-E"
    assert cells == {"S1/n78-1": 30 * 86400, "S2/n78-1": 30 * 86400 * both}
    (line,) = said(store, StatementKind.SETTLEMENT, "lines")
    assert Decimal(line["quantity"]) == (0 if both else 1)
    (others,) = said(store, StatementKind.SLA, "agreements", "beta")
    assert (others["not_applied"], others["served"]) == (0, 2 * 30 * 1440)


@pytest.mark.parametrize(("device", "cell"), [("S1", "n78-1"), ("CP-E", "S1.n78-1")])
def test_what_one_half_lacks_is_lost(made: Made, device: str, cell: str) -> None:
    """Alfa's PLMN is gone from the 10th to the 20th day, at the DU or at the control plane."""
    store = made()
    for at, missing in ((9, ()), (10, ((cell, "716-01", "alfa", "/PLMN[716-01]"),)), (20, ())):
        store.database.clock = VirtualClock(start=BEGIN + timedelta(days=at))
        seen = BEGIN + timedelta(days=at)
        store.healths.save([Health(station=device, at=seen, reachable=True, missing=missing)])
    cells = {row["cell"]: row["lost"] for row in said(store, StatementKind.SLA, "cells")}
    assert cells == {"S1/n78-1": 10 * 86400, "S2/n78-1": 0}
    (promise,) = said(store, StatementKind.SLA, "agreements")
    assert (promise["not_applied"], promise["kept"]) == (0, "no")
    (others,) = said(store, StatementKind.SLA, "agreements", "beta")
    assert others["lost"] == 0


def test_a_gnb_that_carries_all_is_served_and_charged(made: Made) -> None:
    store = made()
    (promise,) = said(store, StatementKind.SLA, "agreements")
    assert (promise["served"], promise["not_applied"], promise["lost"]) == (2 * 30 * 1440, 0, 0)
    (line,) = said(store, StatementKind.SETTLEMENT, "lines")
    assert Decimal(line["quantity"]) == 2
