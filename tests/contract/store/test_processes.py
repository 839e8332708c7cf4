"""Processes of every role on record: who lives, who does its work, and who ended without saying so."""

from __future__ import annotations

import pytest

from controller.models.errors import LeaseLostError
from controller.models.process import Process, ProcessRole
from controller.models.run import JobState
from controller.ports.clock import VirtualClock
from controller.ports.store import Page
from controller.store import SqlStore
from tests.support.records import start_run

UP = Process(ProcessRole.SCHEDULER, "one", up=True)
DOWN = Process(ProcessRole.SCHEDULER, "one", up=False)


def actions(store: SqlStore) -> list[str]:
    return [row.action for row in store.audit_rows(Page())[1]]


def test_one_that_falls_silent_is_down_until_another_takes_its_name(store: SqlStore, clock: VirtualClock) -> None:
    store.heartbeat(store.register_worker("one", ProcessRole.SCHEDULER))
    clock.pause(14)
    assert store.processes() == [UP]
    clock.pause(2)
    assert store.processes() == [DOWN]
    again = store.register_worker("one", ProcessRole.SCHEDULER)
    assert store.processes() == [UP]
    assert store.bury(again, 0)
    assert store.processes() == [DOWN]
    clock.pause(24 * 3600)
    assert store.processes() == []


def test_one_that_ends_in_good_order_is_gone_and_was_not_buried(store: SqlStore) -> None:
    incarnation = store.register_worker("one", ProcessRole.SCHEDULER)
    store.end_worker(incarnation)
    store.end_worker(incarnation)
    assert (store.processes(), store.incarnations()) == ([], [])
    assert actions(store) == ["worker.stopped", "worker.started"]
    with pytest.raises(LeaseLostError):
        store.heartbeat(incarnation)


def test_what_a_stopped_worker_still_held_is_for_others_to_recover(store: SqlStore) -> None:
    run = start_run(store, ["A"])
    first, second = store.register_worker("first"), store.register_worker("second")
    (claim,) = store.claim(first, 1)
    store.end_worker(first)
    assert store.jobs(run.id)[0].state is JobState.READY
    (taken,) = store.claim(second, 1)
    assert (taken.transaction, taken.recovers) == (claim.transaction, True)


def test_two_of_one_name_are_both_seen(store: SqlStore, clock: VirtualClock) -> None:
    first = store.register_worker("one", ProcessRole.SCHEDULER)
    second = store.register_worker("one", ProcessRole.SCHEDULER)
    store.heartbeat(first)
    store.heartbeat(second)
    assert store.processes() == [UP, UP]
    clock.pause(16)
    store.heartbeat(second)
    assert store.processes() == [DOWN, UP]
    assert store.figures()["process_up"] == {("scheduler", "one"): 0.0}
    assert store.figures()["processes_ready"]["scheduler",] == 1.0


def test_one_whose_rounds_are_late_lives_but_is_not_ready(store: SqlStore) -> None:
    store.heartbeat(store.register_worker("one", ProcessRole.LISTENER), 3, "follow, record checks")
    (one,) = store.processes()
    assert (one.up, one.ready, one.late, one.sessions) == (True, False, "follow, record checks", 3)
    figures = store.figures()
    assert figures["process_up"] == {("listener", "one"): 1.0}
    assert figures["process_ready"] == {("listener", "one"): 0.0}
    assert figures["processes_ready"]["listener",] == 0.0
