"""What was learned of a server stays, for its station alone; what a device carried stays with its transaction."""

from __future__ import annotations

import pytest

from controller.models.behaviour import Behaviour, FollowUp, Server
from controller.models.errors import LeaseLostError
from controller.models.run import JournalStep
from controller.ports.clock import VirtualClock
from controller.store import Claim, Page, Store, open_store
from tests.support.records import make_entry, start_run, stations

TAKES = Behaviour(follow_up=FollowUp.PERSIST)
REFUSES = Behaviour(follow_up=None, cancels=False, reason="it said so")


def server(claim: Claim, software: str = "acme-1", identity: str = "key") -> Server:
    return Server(claim.job.station, identity, software)


def learned_by(store: Store) -> tuple[Claim, Claim]:
    start_run(store, stations(2))
    one, other = store.claims.take(store.processes.register("w"), 10)
    return one, other


def test_each_station_has_a_behaviour_of_its_own_that_counts_for_all_processes(
    url: str, store: Store, clock: VirtualClock
) -> None:
    one, other = learned_by(store)
    assert store.behaviours.get(server(one)) is None
    store.behaviours.learn(server(one), TAKES, one)
    assert store.behaviours.get(server(other)) is None, "it announces the same, which proves nothing"
    store.behaviours.learn(server(other), REFUSES, other)
    again = open_store(url, clock) if url != "sqlite://" else store
    assert again.behaviours.get(server(one)) == store.behaviours.get(server(one)) == TAKES
    assert again.behaviours.get(server(other)) == REFUSES
    _, rows = store.audit.page(Page(limit=100))
    learned = {row.detail["station"]: row for row in rows if row.action == "behaviour.learned"}
    assert {row.object for row in learned.values()} == {"acme-1"}
    assert learned[one.job.station].detail == {
        "station": one.job.station,
        "identity": "key",
        "follow_up": "persist",
        "cancels": "True",
        "places": "True",
    }
    assert learned[other.job.station].detail["reason"] == "it said so"
    if again is not store:
        again.close()


def test_it_ends_with_the_identity_the_software_an_upgrade_and_the_adoption(store: Store) -> None:
    one, other = learned_by(store)
    store.behaviours.learn(server(one), TAKES, one)
    store.behaviours.learn(server(other), TAKES, other)
    assert store.behaviours.get(server(one, identity="another key")) is None
    assert store.behaviours.get(server(one, "acme-2")) is None
    # What is learned of the new software takes the place of the old one's.
    store.behaviours.learn(server(one, "acme-2"), REFUSES, one)
    assert store.behaviours.get(server(one)) is None
    assert store.behaviours.get(server(one, "acme-2")) == REFUSES
    store.behaviours.forget(one)
    assert store.behaviours.get(server(one, "acme-2")) is None
    assert store.behaviours.get(server(other)) == TAKES
    store.devices.adopt(other.job.station, [], "n", "ana")
    store.devices.retire(other.job.station, "ana")
    assert store.behaviours.get(server(other)) is None


def test_nobody_teaches_without_the_lease(store: Store) -> None:
    start_run(store, stations(1))
    (claim,) = store.claims.take(store.processes.register("w"), 10)
    store.behaviours.learn(server(claim), TAKES, claim)
    counter = next(one.counter for one in store.processes.alive() if one.id == claim.incarnation)
    store.processes.declare_dead(claim.incarnation, counter)
    with pytest.raises(LeaseLostError):
        store.behaviours.learn(server(claim, "acme-2"), REFUSES, claim)
    with pytest.raises(LeaseLostError):
        store.behaviours.forget(claim)
    assert store.behaviours.get(server(claim)) == TAKES


def test_what_a_device_carried_and_lacked_stays_with_its_transaction(store: Store) -> None:
    start_run(store, stations(1))
    (claim,) = store.claims.take(store.processes.register("w"), 10)
    paths = ("/ManagedElement[PE-00000]", "/ManagedElement[PE-00000]/ENBFunction[a\nb]")
    row = make_entry(claim, 0, JournalStep.READ).model_copy(
        update={"carried": paths, "excused": (paths[1], "power\nlost")}
    )
    store.journal.append(row, claim)
    store.journal.append(row, claim)
    assert store.journal.find(claim.transaction) == [row]
