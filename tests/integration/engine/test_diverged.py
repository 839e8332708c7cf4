"""A worker dies in the middle of a change, and nothing can be taken back: who is called, and the way back.

The station takes no confirmed commit, so that it keeps what it has. Judged by a plain NETCONF client.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from lxml import etree
from ncclient import manager

from controller.drivers.netconf.target import NetconfTarget
from controller.models.alarm import DIVERGED, PerceivedSeverity
from controller.models.network import Network, network_digest
from controller.models.run import Outcome, RunState
from controller.runs.planning.undo import undo_plan
from controller.runs.rollout.transitions import decide
from controller.store import open_store
from simulators.fleet.fleet import Fleet, FleetSettings
from simulators.netconf.faults import Fault, FaultKind
from simulators.netconf.profiles import profile_named
from simulators.network import read_network
from simulators.station import StationSettings
from tests.integration.engine.local_system import NETWORKS, Behind, LocalSystem, network_at
from tests.integration.engine.test_taken_back import agreed
from tests.unit.runs.transaction_bench import Interrupter, Killed

STATION, CELL, PASSWORD = "PE-CUS-0145", "B28-1", "minka-sim"


@pytest.fixture(autouse=True)
def _password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ncclient.transport.session.TICK", 0.001)
    monkeypatch.setenv("MINKA_DEVICE_PASSWORD", PASSWORD)


@pytest.fixture
async def fleet() -> AsyncIterator[Fleet]:
    stations = StationSettings(settle_seconds=0.05, profile=profile_named("plain-commit"))
    settings = FleetSettings(only={STATION}, stations=stations, pools=False)
    async with Fleet(read_network(NETWORKS / "peru-mini"), settings) as running:
        yield running


def retuned(network: Network) -> Network:
    cells = tuple(
        one.model_copy(update={"pci": 499}) if (one.station, one.id) == (STATION, CELL) else one
        for one in network.cells
    )
    return network.model_copy(update={"cells": cells})


def move_on(system: LocalSystem) -> None:
    """What sweepers do with runs."""
    for run in system.store.runs.active():
        while system.store.runs.advance(run, lambda known, jobs: decide(known, jobs, system.clock.now())):
            pass


def configuration(target: NetconfTarget) -> str:
    """What a plain client gets of the station, in canonical XML."""
    where = {"host": target.address, "port": target.port, "username": target.username, "password": PASSWORD}
    options = {"hostkey_verify": False, "look_for_keys": False, "allow_agent": False, "timeout": 20}
    with manager.connect(**where, **options) as session:
        return etree.tostring(session.get_config("running").data_ele, method="c14n").decode()


async def test_a_cell_that_a_dead_worker_left_locked_is_named_and_brought_back(fleet: Fleet, tmp_path: Path) -> None:
    station, end = fleet.stations[STATION], fleet.endpoint(STATION)
    target = NetconfTarget(STATION, ("lte-28658", "nr-28541"), end.address, end.port, end.host_key, "minka", "device")
    system = LocalSystem(open_store(f"sqlite:///{tmp_path / 'record.sqlite3'}"))
    try:
        network = agreed(network_at(target, tmp_path))
        system.store.networks.save(network, network_digest(network), "ana")
        await system.planner.adopt(STATION, "ana")
        state, job = await system.apply(await system.plan(network, STATION), patience=20)
        assert state is RunState.SUCCEEDED, job.detail
        before = await asyncio.to_thread(configuration, target)

        after = retuned(network)
        system.begin(await system.plan(after, STATION))
        move_on(system)
        with pytest.raises(Killed):
            await system.work(after, Behind("commit", 1))
        station.faults.inject(Fault(FaultKind.FAIL, "edit-config"))
        result = await system.work(after, Interrupter())
        assert result.outcome is Outcome.DIVERGED, result.detail
        (worker,) = [one.id for one in system.store.processes.alive() if system.store.claims.find(one.id)]
        (claim,) = system.store.claims.find(worker)
        system.store.claims.finish(claim, result)
        run = claim.run.id
        move_on(system)
        assert system.store.runs.get(run).state is RunState.DIVERGED
        assert await asyncio.to_thread(configuration, target) != before, "the cell is locked"

        await system.watch(after, STATION)
        (alarm,) = [one for one in system.store.alarms.standing([STATION]) if one.probable_cause == DIVERGED]
        assert alarm.cells == (f"{STATION}/{CELL}",)
        assert alarm.tenants
        assert alarm.severity is PerceivedSeverity.CRITICAL, "the cell is off the air"

        undo = await undo_plan(system.planner, run, {}, "ana")
        assert [(row.before, row.after) for change in undo.changes for row in change.diff] == [("LOCKED", "UNLOCKED")]
        state, job = await system.apply(undo, patience=20)
        assert (state, job.outcome) == (RunState.SUCCEEDED, Outcome.SUCCEEDED), job.detail
        assert await asyncio.to_thread(configuration, target) == before
        assert [one for one in system.store.alarms.standing([STATION]) if one.probable_cause == DIVERGED] == []
    finally:
        await system.close()
