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
    one, other = store.claim(store.register_worker("w"), 10)
    assert store.behaviour("acme-1") is None
    store.learn("acme-1", TAKES, one)
    store.learn("acme-1", REFUSES, other)
    store.learn("acme-2", REFUSES, other)
    again = open_store(url, clock) if url != "sqlite://" else store
    assert again.behaviour("acme-1") == store.behaviour("acme-1") == TAKES
    assert again.behaviour("acme-2") == REFUSES
    _, rows = store.audit_rows(Page(limit=100))
    learned = {row.object: row.detail for row in rows if row.action == "behaviour.learned"}
    assert learned["acme-1"] == {"station": one.job.station, "follow_up": "persist", "cancels": "True"}
    assert learned["acme-2"]["reason"] == "it said so"
    if again is not store:
        again.close()


def test_nobody_teaches_without_the_lease(store: SqlStore) -> None:
    start_run(store, stations(1))
    (claim,) = store.claim(store.register_worker("w"), 10)
    counter = next(one.counter for one in store.incarnations() if one.id == claim.incarnation)
    store.bury(claim.incarnation, counter)
    with pytest.raises(LeaseLostError):
        store.learn("acme-1", TAKES, claim)
    assert store.behaviour("acme-1") is None


def test_what_a_device_carried_stays_with_its_transaction(store: SqlStore) -> None:
    start_run(store, stations(1))
    (claim,) = store.claim(store.register_worker("w"), 10)
    paths = ("/ManagedElement[PE-00000]", "/ManagedElement[PE-00000]/ENBFunction[a\nb]")
    row = make_entry(claim, 0, JournalStep.READ).model_copy(update={"carried": paths})
    store.journal(row, claim)
    store.journal(row, claim)
    assert store.journal_of(claim.transaction) == [row]
