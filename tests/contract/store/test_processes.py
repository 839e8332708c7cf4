"""Processes of every role on record: who lives, who does its work, and who ended without saying so."""

from __future__ import annotations

from contextlib import closing
from datetime import timedelta

import pytest

from controller.models.errors import LeaseLostError
from controller.models.metrics import Observations
from controller.models.process import Process, ProcessRole
from controller.models.run import JobState
from controller.ports.clock import VirtualClock
from controller.store import Page, Store, open_store
from tests.support.records import start_run

UP = Process(ProcessRole.SCHEDULER, "one", up=True)
DOWN = Process(ProcessRole.SCHEDULER, "one", up=False)


def actions(store: Store) -> list[str]:
    return [row.action for row in store.audit.page(Page())[1]]


def test_one_that_falls_silent_is_down_until_another_takes_its_name(store: Store, clock: VirtualClock) -> None:
    store.processes.heartbeat(store.processes.register("one", ProcessRole.SCHEDULER))
    assert store.processes.find() == [UP]
    clock.pause(14)
    assert store.processes.find() == [UP]
    clock.pause(2)
    assert store.processes.find() == [DOWN]
    again = store.processes.register("one", ProcessRole.SCHEDULER)
    assert store.processes.find() == [UP]
    assert store.processes.declare_dead(again, 0)
    assert store.processes.find() == [DOWN]
    clock.pause(24 * 3600)
    assert store.processes.find() == []


@pytest.mark.parametrize("hours", [-30, -2, 2])
def test_one_whose_clock_is_wrong_lives_as_long_as_its_heartbeats_go_on(
    shared_url: str, clock: VirtualClock, hours: float
) -> None:
    wrong = VirtualClock(clock.now() + timedelta(hours=hours))
    with closing(open_store(shared_url, clock)) as store, closing(open_store(shared_url, wrong)) as other:
        run = start_run(store, ["A"])
        worker = other.processes.register("w")

        def lives() -> bool:
            (one,) = store.processes.find()
            assert store.status.figures()["minka_processes_ready"]["worker",] == one.up
            assert (store.runs.unworked([run.id]) == {}) is one.up
            return one.up

        for _ in range(3):
            other.processes.heartbeat(worker)
            assert lives()
            clock.pause(14)
            assert lives()
        clock.pause(2)
        assert not lives()
        other.processes.heartbeat(worker)
        assert lives()


def test_who_just_began_to_look_knows_of_silence_after_15_s_and_of_the_dead_at_once(
    shared_url: str, clock: VirtualClock
) -> None:
    with closing(open_store(shared_url, clock)) as store:
        silent = store.processes.register("one", ProcessRole.SCHEDULER)
    clock.pause(60)
    with closing(open_store(shared_url, clock)) as restarted:
        assert restarted.processes.find() == [UP]
        clock.pause(15)
        assert restarted.processes.find() == [DOWN]
        assert restarted.processes.declare_dead(silent, 0)
    with closing(open_store(shared_url, clock)) as restarted:
        assert restarted.processes.find() == [DOWN]


def test_one_that_ends_in_good_order_is_gone_and_was_not_declared_dead(store: Store) -> None:
    incarnation = store.processes.register("one", ProcessRole.SCHEDULER)
    store.processes.end(incarnation)
    store.processes.end(incarnation)
    assert (store.processes.find(), store.processes.alive()) == ([], [])
    assert actions(store) == ["worker.stopped", "worker.started"]
    with pytest.raises(LeaseLostError):
        store.processes.heartbeat(incarnation)


def test_what_a_stopped_worker_still_held_is_for_others_to_recover(store: Store) -> None:
    run = start_run(store, ["A"])
    first, second = store.processes.register("first"), store.processes.register("second")
    (claim,) = store.claims.take(first, 1)
    store.processes.end(first)
    assert store.runs.jobs(run.id)[0].state is JobState.READY
    (taken,) = store.claims.take(second, 1)
    assert (taken.transaction, taken.recovers) == (claim.transaction, True)


def test_two_of_one_name_are_both_seen(store: Store, clock: VirtualClock) -> None:
    first = store.processes.register("one", ProcessRole.SCHEDULER)
    second = store.processes.register("one", ProcessRole.SCHEDULER)
    store.processes.heartbeat(first)
    store.processes.heartbeat(second)
    assert store.processes.find() == [UP, UP]
    clock.pause(16)
    store.processes.heartbeat(second)
    assert store.processes.find() == [DOWN, UP]
    assert store.status.figures()["minka_process_up"] == {("scheduler", "one"): 0.0}
    assert store.status.figures()["minka_processes_ready"]["scheduler",] == 1.0


def test_one_whose_rounds_are_late_lives_but_is_not_ready(store: Store) -> None:
    store.processes.heartbeat(store.processes.register("one", ProcessRole.LISTENER), 3, "follow, record checks")
    (one,) = store.processes.find()
    assert (one.up, one.ready, one.late, one.sessions) == (True, False, "follow, record checks", 3)
    figures = store.status.figures()
    assert figures["minka_process_up"] == {("listener", "one"): 1.0}
    assert figures["minka_process_ready"] == {("listener", "one"): 0.0}
    assert figures["minka_processes_ready"]["listener",] == 0.0


def test_what_processes_measured_is_added_up_and_outlives_them(store: Store) -> None:
    rpc, labels = "minka_rpc_duration_seconds", ("lock", "answered")
    names = ("one", "two", "three")
    ids = {name: store.processes.register(name) for name in names}
    measured = {name: Observations() for name in names}

    def beat(name: str, *seconds: float) -> None:
        for one in seconds:
            measured[name].took(rpc, one, *labels)
        measured[name].state("minka_round_success_timestamp_seconds", 5.0, "sweep")
        store.processes.heartbeat(ids[name], observed=measured[name].encoded())

    def found() -> tuple[float, float]:
        figures = store.status.spreads()[rpc][labels]
        return sum(figures[:-1]), figures[-1]

    beat("one", 0.5)
    beat("one", 0.25)  # all of it is told each time
    beat("two", 2.0)
    beat("three", 4.0)
    store.processes.heartbeat(ids["three"])  # nothing new
    assert found() == (4, 6.75)
    last = store.status.figures()["minka_round_success_timestamp_seconds"]
    assert set(last) == {("worker", name, "sweep") for name in names}

    store.processes.end(ids["one"])
    (counter,) = (one.counter for one in store.processes.alive() if one.id == ids["two"])
    assert store.processes.declare_dead(ids["two"], counter)
    assert found() == (4, 6.75)
    # Of those that are gone nothing but their counts is left.
    assert set(store.status.figures()["minka_round_success_timestamp_seconds"]) == {("worker", "three", "sweep")}
    with pytest.raises(LeaseLostError):
        beat("two", 8.0)
    assert found() == (4, 6.75)
    ids["two"] = store.processes.register("two")
    measured["two"].begin_anew()
    beat("two", 16.0)
    assert found() == (5, 22.75)


def test_an_upgrade_that_changes_buckets_begins_anew(store: Store) -> None:
    old = b'{"sums":{"minka_intake_duration_seconds":[[[1,2,3]]],"minka_gone_total":[["x",[1]]]},"states":{}}'
    store.processes.heartbeat(incarnation := store.processes.register("old"), observed=old)
    store.processes.end(incarnation)
    measured = Observations()
    measured.took("minka_intake_duration_seconds", 0.5)
    store.processes.heartbeat(store.processes.register("new"), observed=measured.encoded())
    found = store.status.spreads()
    assert found["minka_intake_duration_seconds"][()][-1] == 0.5
    assert "minka_gone_total" not in found
