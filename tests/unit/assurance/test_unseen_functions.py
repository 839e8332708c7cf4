"""A pool that can't be read says nothing of its functions: nothing is lost, and nothing is well again."""

from __future__ import annotations

from contextlib import closing

from controller.assurance.checker import Check, Checker
from controller.drivers.fake import FakeDevices
from controller.models.alarm import FUNCTION_DOWN, FUNCTION_UNSEEN, AlarmSource
from controller.models.health import Health, ServiceState
from controller.models.network import network_digest
from controller.models.plan import LedgerNode
from controller.nrm.profiles.function import deployment_path
from controller.nrm.tree import Observed
from controller.observe.exposition import _running_state
from controller.ports.clock import VirtualClock
from controller.runs.planning.planner import Planner
from controller.store import open_store
from tests.support.quick_stores import DirectStore
from tests.unit.assurance.test_judging import _nowhere
from tests.unit.plan import samples

FUNCTION, HOME, OTHER = "DU-1", "edge-1", "edge-2"
PATH = deployment_path(FUNCTION, HOME)
READY = Observed({PATH: {}}, state={PATH: {"ready": "true"}})
GONE = Observed({PATH: {}}, state={PATH: {"ready": "false"}})
#: Its other pool answers, and has nothing of it.
DARK = Observed({}, dark={PATH: f"{HOME} does not answer"})


async def test_a_pool_that_can_not_be_read_makes_no_loss_and_ends_none() -> None:
    clock = VirtualClock()
    with closing(open_store("sqlite://", clock)) as store:
        network = samples.virtual()
        store.networks.save(network, network_digest(network), "ana")
        node = LedgerNode(path=PATH, owners=("host",))
        store.devices.adopt(FUNCTION, [node], network_digest(network), "ana")
        planner = Planner(DirectStore(store), FakeDevices(clock), clock, _nowhere)
        checker = Checker(DirectStore(store), planner, clock, frozenset(AlarmSource))

        async def after(seen: Observed, times: int = 3, by: Checker = checker) -> set[str]:
            """Causes that stand after some checks."""
            for _ in range(times):
                clock.pause(20)
                await by.record([Check(FUNCTION, clock.now(), seen)])
            standing = store.alarms.standing([FUNCTION])
            return {one.probable_cause for one in standing if one.cleared is None}

        def lost() -> float:
            incidents = store.incidents.open()
            return sum(one.lost for known in incidents for one in store.incidents.minutes(known.id))

        def unseen() -> float:
            incidents = store.incidents.open()
            return sum(one.unseen for known in incidents for one in store.incidents.minutes(known.id))

        def stations(state: ServiceState, *, reachable: bool = True) -> None:
            health = {"at": clock.now(), "reachable": reachable, "cells": {"L1": state, "N1": state}}
            store.healths.save([Health(station=name, **health) for name in network.stations_behind(FUNCTION)])

        stations(ServiceState.UP)
        assert await after(READY) == set()
        assert await after(DARK) == set(), "its station says that it serves"
        assert _running_state(store.healths.find()[FUNCTION]) == "unknown"
        stations(ServiceState.UNKNOWN, reachable=False)
        assert await after(DARK) == {FUNCTION_UNSEEN}, "nobody can look"
        assert lost() == 0
        assert unseen() > 0
        assert all(one.used == 0 for one in store.incidents.agreements())
        assert await after(READY, 1) == set()
        stations(ServiceState.DOWN)
        assert await after(GONE) == {FUNCTION_DOWN}
        assert lost() > 0
        stations(ServiceState.UP)
        assert await after(DARK) == {FUNCTION_DOWN}, "it is not well again"
        later = Checker(DirectStore(store), planner, clock, frozenset(AlarmSource))
        assert await after(DARK, 1, later) == {FUNCTION_DOWN}, "nor for a new process"
        assert await after(READY, 1, later) == set()
