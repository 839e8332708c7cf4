"""Minutes that agreements lost in the month: counted beside all transactions, once for each version of the network."""

from __future__ import annotations

import resource
import time
from datetime import timedelta
from typing import Any, cast
from unittest.mock import patch

import pytest
from sqlalchemy import event

from controller.intent.agreed_terms import month_of
from controller.models.alarm import AlarmReport, ObjectClass, PerceivedSeverity
from controller.models.errors import NotFoundError
from controller.models.health import Health
from controller.models.incident import AgreementMinutes
from controller.models.network import Network, network_digest
from controller.observe.exposition import exposition
from controller.ports.clock import VirtualClock
from controller.store import Store
from controller.store.database.transaction import WorkedOut
from controller.store.network import versions
from tests.contract.store.test_roots import CLEARED, MAJOR, mains
from tests.support.observed import observe
from tests.support.soak import SOAK
from tests.support.wide import STATIONS, wide_network
from tests.unit.intent.test_outages import network as outage_network

VERSIONS = 100


def _off_air(severity: PerceivedSeverity, minute: int, station: str = "S1", cell: str = "L1") -> AlarmReport:
    of = {"object": f"{station}/{cell}", "object_class": ObjectClass.CELL, "probable_cause": "cell-off-air"}
    return mains(severity, 60 * minute, station).model_copy(update=of)


def _load(store: Store, version: Network) -> None:
    """Make a version the current one; stations of the first one are looked at all the time."""
    try:
        store.networks.get()
    except NotFoundError:
        stations = [one.id for one in version.stations]
        now = VirtualClock().now()
        observe(store, stations, now - timedelta(days=40), now + timedelta(days=90), version)
    store.networks.save(version, network_digest(version), "ana")


def _all_at_once(store: Store, clock: VirtualClock) -> tuple[AgreementMinutes, ...]:
    """The month as statements count it: over all of its versions together."""
    begin, end = month_of(store.networks.get()[1], clock.now())
    outages = store.incidents.outages(begin, end)
    assert outages is not None
    return outages.agreements(clock.now())


async def test_versions_counted_one_by_one_add_up_to_the_month(store: Store, clock: VirtualClock) -> None:
    whole = outage_network(availability_percent=99.9)
    stricter = outage_network(availability_percent=99.99)
    alone = whole.model_copy(update={"agreements": whole.agreements[:1]})
    _load(store, whole)
    store.alarms.report(_off_air(MAJOR, 0))
    for minute, version in enumerate((alone, whole, stricter, alone, stricter), 1):
        await clock.advance(300)
        _load(store, version)
        locked = ("N1",) if minute % 2 else ()
        store.healths.save([Health(station="S2", at=clock.now(), reachable=True, locked=locked)])
        if minute == 3:
            store.alarms.report(_off_air(CLEARED, 15))
        store.incidents.count_agreements()
        assert store.incidents.agreements() == _all_at_once(store, clock)
        assert store.incidents.agreements("beta") == tuple(
            one for one in _all_at_once(store, clock) if one.tenant == "beta"
        )
    assert [one.used for one in store.incidents.agreements()] == [15, 10]


async def test_what_was_lost_under_a_past_version_is_counted_once(store: Store, clock: VirtualClock) -> None:
    _load(store, outage_network(availability_percent=99.9))
    store.alarms.report(_off_air(MAJOR, 0))
    await clock.advance(600)
    _load(store, outage_network(availability_percent=99.99))
    await clock.advance(600)
    read: list[str] = []

    def past(digest: str) -> Network:
        read.append(digest)
        return store.networks.get(digest)[1]

    with patch.object(cast("Any", store.incidents)._counter, "_network_of", past):
        for minute in (20, 30):
            store.incidents.count_agreements()
            assert store.incidents.agreements("alfa")[0].used == minute
            await clock.advance(600)
        assert len(read) == 1
        store.alarms.report(_off_air(MAJOR, 3, "S2"))  # it comes late, and stood under the past version already
        store.incidents.count_agreements()
        assert len(read) == 2
    assert store.incidents.agreements() == _all_at_once(store, clock)


async def test_minutes_of_a_month_that_is_over_are_nobodys(store: Store, clock: VirtualClock) -> None:
    _load(store, outage_network(availability_percent=99.9))
    store.incidents.count_agreements()
    assert len(store.incidents.agreements()) == 2
    await clock.advance(timedelta(days=32).total_seconds())
    assert store.incidents.agreements() == (), "nothing was counted in this month yet"
    store.incidents.count_agreements()
    assert [one.used for one in store.incidents.agreements()] == [0, 0]


def _lost_at_last(clock: VirtualClock) -> float:
    """Seconds since the cell went off air, or since the month began in Lima, five hours later."""
    return (clock.now() - VirtualClock().now()).total_seconds() - 5 * 3600


@pytest.mark.timeout(1200 if SOAK else 400)
@pytest.mark.parametrize("url", ["sqlite://"])
async def test_a_scrape_costs_the_same_however_often_the_network_changed(url: str, clock: VirtualClock) -> None:
    """In the soak with as many stations as ``peru`` has, with times and memory printed."""
    from controller.store import open_store

    store = open_store(url, clock)
    statements: list[str] = []
    event.listen(store.database.engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    costs, pages = [], []
    for number in range(VERSIONS + 1):
        version = wide_network(STATIONS if SOAK else 10, percent=99.0 + number / 1000)
        _load(store, version)
        if not number:
            station = version.stations[0].id
            store.alarms.report(_off_air(MAJOR, 0, station, "0"))
        await clock.advance(600)
        if number in (0, VERSIONS):
            began = time.thread_time()
            store.incidents.count_agreements()
            counted = time.thread_time() - began
            exposition(store, clock)  # what a process works out once
            with patch.object(versions, "unpacked", side_effect=AssertionError("a scrape reads no past version")):
                statements.clear()
                began = time.thread_time()
                pages.append(exposition(store, clock).decode())
                costs.append((len(statements), time.thread_time() - began))
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(f"{number + 1} versions: scrape {costs[-1][1]:.2f} s, count {counted:.2f} s, peak {peak:.0f} MB")
    assert costs[0][0] == costs[1][0]
    used = 'minka_agreement_outage_seconds{agreement="a-1",tenant="tenant-1"} '
    assert [used + lost in page for lost, page in zip(("600.0", f"{_lost_at_last(clock)}"), pages, strict=True)] == [
        True,
        True,
    ]
    assert isinstance(versions._known, WorkedOut)
    assert len(versions._known.keys()) <= 4
    store.close()
