"""What was learned of servers stays, by software version; what a device carried stays with its transaction."""

from __future__ import annotations

import pytest

from controller.models.behaviour import Behaviour, FollowUp
from controller.models.errors import LeaseLostError
from controller.models.run import JournalStep
from controller.ports.clock import VirtualClock
from controller.ports.store import Page
from controller.store import SqlStore, open_store
from tests.support.records import make_entry, start_run, stations

TAKES = Behaviour(follow_up=FollowUp.PERSIST)
REFUSES = Behaviour(follow_up=None, cancels=False, reason="it said so")


def test_what_was_learned_first_stays_for_all_processes(url: str, store: SqlStore, clock: VirtualClock) -> None:
    start_run(store, stations(2))
    one, other = store.claims.take(store.processes.register("w"), 10)
    assert store.behaviours.get("acme-1") is None
    store.behaviours.learn("acme-1", TAKES, one)
    store.behaviours.learn("acme-1", REFUSES, other)
    store.behaviours.learn("acme-2", REFUSES, other)
    again = open_store(url, clock) if url != "sqlite://" else store
    assert again.behaviours.get("acme-1") == store.behaviours.get("acme-1") == TAKES
    assert again.behaviours.get("acme-2") == REFUSES
    _, rows = store.audit.page(Page(limit=100))
    learned = {row.object: row.detail for row in rows if row.action == "behaviour.learned"}
    assert learned["acme-1"] == {"station": one.job.station, "follow_up": "persist", "cancels": "True"}
    assert learned["acme-2"]["reason"] == "it said so"
    if again is not store:
        again.close()


def test_nobody_teaches_without_the_lease(store: SqlStore) -> None:
    start_run(store, stations(1))
    (claim,) = store.claims.take(store.processes.register("w"), 10)
    counter = next(one.counter for one in store.processes.alive() if one.id == claim.incarnation)
    store.processes.declare_dead(claim.incarnation, counter)
    with pytest.raises(LeaseLostError):
        store.behaviours.learn("acme-1", TAKES, claim)
    assert store.behaviours.get("acme-1") is None


def test_what_a_device_carried_stays_with_its_transaction(store: SqlStore) -> None:
    start_run(store, stations(1))
    (claim,) = store.claims.take(store.processes.register("w"), 10)
    paths = ("/ManagedElement[PE-00000]", "/ManagedElement[PE-00000]/ENBFunction[a\nb]")
    row = make_entry(claim, 0, JournalStep.READ).model_copy(update={"carried": paths})
    store.journal.append(row, claim)
    store.journal.append(row, claim)
    assert store.journal.find(claim.transaction) == [row]
