"""A guaranteed share is charged as runs applied it, and never above what is agreed: by hand, day by day."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from decimal import Decimal
from functools import partial

import pytest

from controller.api.statements import draft
from controller.intent.agreed_terms import month_of
from controller.models.health import Health
from controller.models.network import HOST, Network, network_digest
from controller.models.plan import LedgerNode
from controller.models.sharing import ResourceType
from controller.models.statement import StatementKind
from controller.nrm.profiles import share_parts
from controller.ports.clock import VirtualClock
from controller.store import Store, open_store
from controller.store.network.ledger import LedgerChange, change_ledger
from tests.unit.intent.clouds import split_gnb
from tests.unit.intent.test_outages import BEGIN, END, network
from tests.unit.performance.test_volume import rows
from tests.unit.plan import samples

DAYS = 30
LINES = [
    {"id": "cells", "per": "cell-month", "amount": "60"},
    {"id": "guaranteed", "per": "percent-cell-month", "amount": "1"},
]
STATIONS = ("S1", "S2")


def sharing(percent: int, resource: ResourceType = ResourceType.PRB, base: Network | None = None) -> Network:
    """Alfa shares two cells at each of two stations, with a guaranteed share; beta does with 20 %."""
    content = (base or network()).model_dump(mode="json")
    for agreement in content["agreements"]:
        agreement["prices"] = {"currency": "PEN", "lines": LINES}
        if agreement["tenant"] == "alfa":
            agreement["shares"] = [{"resource": resource, "dedicated": 0, "min": percent, "max": 90}]
    return Network.model_validate(content)


def nodes(made: Network, station: str, *owners: str) -> list[LedgerNode]:
    return [one.node for one in samples.ledger(made, station).values() if one.owners[0] in owners]


def day(store: Store, number: float) -> None:
    store.database.clock = VirtualClock(start=BEGIN + timedelta(days=number))


def load(store: Store, number: float, made: Network) -> None:
    day(store, number)
    store.networks.save(made, network_digest(made), "ana")


def adopt(store: Store, number: float, made: Network, *stations: str) -> None:
    day(store, number)
    for station in stations:
        store.devices.adopt(station, nodes(made, station, HOST, "alfa", "beta"), network_digest(made), "ana")


def apply(store: Store, number: float, made: Network, *stations: str) -> None:
    """Leave in the ledger of stations what the end of a run, or of an undo, leaves there."""
    day(store, number)
    for station in stations:
        gained = nodes(made, station, "alfa")
        known = {node.path for node in gained}
        there = [one for one, entry in store.ledger.find([station])[station].items() if entry.owners == ("alfa",)]
        change = LedgerChange(station, gained, [one for one in there if one not in known])
        store.database.run(partial(change_ledger, made=[change]))


@pytest.fixture
def store() -> Iterator[Store]:
    """Both stations carry what is agreed, 20 %, since before the month."""
    with closing(open_store("sqlite://", VirtualClock(start=BEGIN - timedelta(days=1)))) as made:
        load(made, -1, sharing(20))
        adopt(made, -1, sharing(20), *STATIONS)
        yield made


def charged(store: Store, month: str = "2026-06", tenant: str = "alfa") -> dict[str, list[Decimal]]:
    """Quantities by line, in the order of their times."""
    _, end = month_of(sharing(20), END + timedelta(days=1)) if month == "2026-07" else (BEGIN, END)
    now = end + timedelta(days=2)
    store.database.clock = VirtualClock(start=now)
    found: dict[str, list[Decimal]] = {}
    for row in rows(draft(store, now, StatementKind.SETTLEMENT, tenant, month), "lines"):
        found.setdefault(str(row["line"]), []).append(Decimal(str(row["quantity"])))
    return found


def days(*parts: tuple[int, float]) -> Decimal:
    """Percent times days of a cell, of the month."""
    return (Decimal(sum(percent * length for percent, length in parts)) / DAYS).quantize(Decimal("0.000001"))


def test_a_share_that_is_raised_and_that_no_run_applied_is_charged_as_it_was_before(store: Store) -> None:
    load(store, 10, sharing(60))
    found = charged(store)
    assert found["guaranteed"] == [days((20, 4 * 10)), days((20, 4 * 20))]
    assert found["cells"] == [4]
    assert charged(store, tenant="beta")["guaranteed"] == [days((20, 4 * DAYS))]


def test_a_share_that_is_raised_counts_from_the_end_of_the_run_that_applied_it(store: Store) -> None:
    """Agreed on the 10th day; applied at S1 on the 15th, at S2 never."""
    load(store, 10, sharing(60))
    apply(store, 15, sharing(60), "S1")
    assert charged(store)["guaranteed"] == [days((20, 4 * 10)), days((20, 2 * 5), (60, 2 * 15), (20, 2 * 20))]


def test_a_share_that_a_run_raised_and_an_undo_took_back_counts_in_between(store: Store) -> None:
    load(store, 0, sharing(60))
    apply(store, 10, sharing(60), *STATIONS)
    apply(store, 20, sharing(20), *STATIONS)
    assert charged(store)["guaranteed"] == [days((20, 4 * 10), (60, 4 * 10), (20, 4 * 10))]


def test_a_share_that_is_lowered_counts_from_when_it_is_agreed(store: Store) -> None:
    """Whenever a run applies it: on the 20th day at S1, and at S2 never."""
    load(store, 10, sharing(5))
    apply(store, 20, sharing(5), "S1")
    assert charged(store)["guaranteed"] == [days((20, 4 * 10)), days((5, 4 * 20))]


def test_a_share_that_a_run_lowered_before_it_is_agreed_counts_as_it_was_applied(store: Store) -> None:
    apply(store, 10, sharing(5), "S1")
    assert charged(store)["guaranteed"] == [days((20, 2 * DAYS), (20, 2 * 10), (5, 2 * 20))]


def test_a_share_that_was_never_applied_costs_nothing_and_its_cells_do(store: Store) -> None:
    """As where a station is adopted that carries the PLMNs and has other shares: these are not ours."""
    made = sharing(20)
    with closing(open_store("sqlite://", VirtualClock(start=BEGIN - timedelta(days=1)))) as other:
        load(other, -1, made)
        for station in STATIONS:
            known = [one for one in nodes(made, station, HOST, "alfa") if not share_parts(one.path)]
            other.devices.adopt(station, known, network_digest(made), "ana")
        assert charged(other) == {"cells": [4], "guaranteed": [0]}
        apply(other, 10, made, "S1")
        assert charged(other) == {"cells": [4], "guaranteed": [days((20, 2 * 20))]}
    assert charged(store)["guaranteed"] == [days((20, 4 * DAYS))]


def test_a_share_that_is_no_longer_agreed_costs_nothing(store: Store) -> None:
    """Also of another resource: only that of PRBs of both directions has a price."""
    load(store, 10, sharing(20, ResourceType.PRB_DL))
    assert charged(store)["guaranteed"] == [days((20, 4 * 10)), 0]


def test_a_share_of_another_resource_that_was_applied_counts_for_none_of_prbs(store: Store) -> None:
    load(store, 0, sharing(20, ResourceType.PRB_DL))
    apply(store, 0, sharing(20, ResourceType.PRB_DL), *STATIONS)
    load(store, 10, sharing(20))
    assert charged(store)["guaranteed"] == [0, 0]


def test_a_station_counts_from_its_adoption_until_it_is_taken_out_of_service() -> None:
    with closing(open_store("sqlite://", VirtualClock(start=BEGIN - timedelta(days=1)))) as made:
        load(made, -1, sharing(20))
        adopt(made, 6, sharing(20), *STATIONS)
        day(made, 15)
        made.devices.retire("S2", "ana")
        day(made, 27)
        made.devices.adopt("S2", (), network_digest(sharing(20)), "ana")
        assert charged(made)["guaranteed"] == [days((20, 2 * 24), (20, 2 * (9 + 3)))]


def test_it_counts_whether_or_not_anybody_looked_and_there_was_service(store: Store) -> None:
    """No check is on record but two, of which the later one misses the PLMN: a credit is for that."""
    for at, missing in ((9, ()), (10, (("L1", "716-01", "alfa", "/PLMN[716-01]"),))):
        day(store, at)
        store.healths.save([Health(station="S1", at=store.database.clock.now(), reachable=True, missing=missing)])
    assert charged(store)["guaranteed"] == [days((20, 4 * DAYS))]


def test_time_in_which_a_cell_lacks_a_plmn_of_the_agreement_costs_nothing(store: Store) -> None:
    """Alfa gets a second PLMN on the 10th day, and on the 20th a run that brings it: both have one share together.

    On LTE the first PLMN alone has the guarantee, on NR each is a member of the share.
    """
    content = sharing(20).model_dump(mode="json")
    content["tenants"][0]["plmns"].append("716-11")
    more = Network.model_validate(content)
    load(store, 10, more)
    apply(store, 20, more, *STATIONS)
    assert charged(store)["guaranteed"] == [days((20, 4 * 20))]


def test_each_of_two_agreements_in_a_cell_is_charged_by_its_own_share() -> None:
    """Two slices of alfa's: 20 % for one in all cells, 10 % for the other in NR cells. Both are raised on paper."""

    def shared(first: int, second: int) -> Network:
        content = sharing(first).model_dump(mode="json")
        slices = [{"sst": 1, "sd": "000001"}, {"sst": 1, "sd": "00000A"}]
        content["tenants"][0]["slices"] = slices
        one = content["agreements"][0] | {"slices": slices[:1]}
        scope = {"everywhere": True, "bands": ["n78"]}
        shares = [{"resource": "PRB", "dedicated": 0, "min": second, "max": 90}]
        other = one | {"id": "alfa-other", "slices": slices[1:], "scope": scope, "shares": shares}
        content["agreements"] = [one, other, *content["agreements"][1:]]
        return Network.model_validate(content)

    with closing(open_store("sqlite://", VirtualClock(start=BEGIN - timedelta(days=1)))) as made:
        load(made, -1, shared(20, 10))
        adopt(made, -1, shared(20, 10), *STATIONS)
        load(made, 0, shared(50, 40))
        assert charged(made)["guaranteed"] == [days((20, 4 * DAYS)), days((10, 2 * DAYS))]
        apply(made, 15, shared(50, 40), "S1")
        whole = days((20, 4 * 15), (50, 2 * 15), (20, 2 * 15))
        assert charged(made)["guaranteed"] == [whole, days((10, 2 * 15), (40, 15), (10, 15))]


def test_a_closed_month_is_not_corrected_by_a_run_after_it(store: Store) -> None:
    load(store, 10, sharing(60))
    now = END + timedelta(days=2)
    store.database.clock = VirtualClock(start=now)
    issued = draft(store, now, StatementKind.SETTLEMENT, "alfa", "2026-06")
    store.statements.issue(issued, "ana", "")
    apply(store, DAYS + 10, sharing(60), *STATIONS)
    assert rows(draft(store, now, StatementKind.SETTLEMENT, "alfa", "2026-06"), "lines") == rows(issued, "lines")
    july = charged(store, "2026-07")
    assert july["guaranteed"] == [((Decimal(20) * 10 + 60 * 21) * 4 / 31).quantize(Decimal("0.000001"))]
    assert "correction" not in july


def test_the_share_of_a_split_gnb_is_that_of_the_du() -> None:
    """The control plane has half of the cell, and divides no PRBs."""
    made = sharing(20, base=split_gnb())
    with closing(open_store("sqlite://", VirtualClock(start=BEGIN - timedelta(days=1)))) as store:
        load(store, -1, made)
        adopt(store, -1, made, *STATIONS, *made.central_units)
        load(store, 10, sharing(60, base=made))
        assert charged(store)["guaranteed"] == [days((20, 2 * 10)), days((20, 2 * 20))]
        day(store, 15)
        store.devices.retire("CP-E", "ana")
        assert charged(store)["guaranteed"] == [days((20, 2 * 10)), days((20, 2 * 5))]
