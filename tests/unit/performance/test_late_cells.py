"""A fault that stands when its cell comes into the network files counts from then on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest

from controller.models.alarm import AlarmSource
from controller.models.network import Network, network_digest
from controller.models.statement import StatementKind
from controller.ports.clock import VirtualClock
from controller.store import Store, open_store
from tests.support.observed import observe
from tests.unit.api.test_statements import off_air
from tests.unit.intent.test_outages import BEGIN, END
from tests.unit.performance.test_not_applied import MADE, day, said

WITHOUT = MADE.model_copy(update={"cells": tuple(one for one in MADE.cells if one.name != "S1/L1")})


@pytest.fixture
def store() -> Iterator[Store]:
    with closing(open_store("sqlite://", VirtualClock(start=BEGIN - timedelta(days=1)))) as made:
        yield made


def load(store: Store, network: Network, number: float) -> None:
    day(store, number)
    store.networks.save(network, network_digest(network), "ana")


def told(store: Store, number: float, *, over: bool = False, **more: Any) -> str:
    """Somebody tells that S1/L1 is off air, or no more; returns the alarm."""
    day(store, number)
    at = BEGIN + timedelta(days=number)
    return store.alarms.report(off_air(0, over=over).model_copy(update={"at": at, **more})).id


def lost(store: Store) -> tuple[float, list[float]]:
    """Minutes that beta lost: by its agreement, and by incident."""
    (promise,) = said(store, StatementKind.SLA, "agreements")
    return promise["lost"], [row["lost"] for row in said(store, StatementKind.SLA, "incidents")]


@pytest.mark.parametrize("again", [False, True])
def test_a_fault_counts_from_when_its_cell_came_back_into_the_files(store: Store, *, again: bool) -> None:
    """S1/L1 is off air from the 2nd day to the 5th; the files have it from the 3rd on."""
    load(store, WITHOUT, -1)
    observe(store, ("S1", "S2"), BEGIN - timedelta(days=1), END, MADE)
    alarm = told(store, 2)
    assert store.alarms.get(alarm).cells == ()
    load(store, MADE, 3)
    found = store.alarms.get(alarm)
    assert (found.cells, found.tenants) == (("S1/L1",), ("alfa", "beta"))
    assert store.incidents.get(found.incident).cells == ("S1/L1",)
    if again:
        told(store, 3.5)
    day(store, 4)
    store.incidents.count_agreements()
    assert [one.used for one in store.incidents.agreements()] == [1440, 1440]
    told(store, 5, over=True)
    assert lost(store) == (2 * 1440, [2 * 1440])


@pytest.mark.parametrize("source", [AlarmSource.ORAN_FM, AlarmSource.ALARM_LIST])
def test_a_fault_from_before_the_first_network_counts_from_its_first_check_on(
    store: Store, source: AlarmSource
) -> None:
    told(store, 1, source=source)
    load(store, MADE, 2)
    observe(store, ("S1", "S2"), BEGIN + timedelta(days=2.5), END)
    told(store, 5, over=True, source=source)
    assert lost(store) == (2.5 * 1440, [2.5 * 1440])


def test_a_fault_that_a_person_cleared_counts_when_it_comes_back_after_its_cell(store: Store) -> None:
    load(store, WITHOUT, -1)
    observe(store, ("S1", "S2"), BEGIN - timedelta(days=1), END, MADE)
    alarm = told(store, 2)
    store.alarms.clear(alarm, "ana", "there is no such cell")
    load(store, MADE, 3)
    assert store.alarms.get(alarm).cells == (), "it is over"
    assert told(store, 4) == alarm
    assert store.alarms.get(alarm).cells == ("S1/L1",)
    told(store, 5, over=True)
    assert lost(store) == (1440, [1440])


def test_a_fault_of_which_nothing_is_known_still_concerns_nobody(store: Store) -> None:
    load(store, WITHOUT, -1)
    alarm = told(store, 2, object="S1/L9")
    load(store, MADE, 3)
    told(store, 4, object="S1/L9")
    found = store.alarms.get(alarm)
    assert (found.cells, found.tenants) == ((), ())
