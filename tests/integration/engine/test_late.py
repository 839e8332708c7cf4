"""A station that answers ok to a commit and carries it out seconds later, by the word of a plain client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from controller.drivers.netconf.target import NetconfTarget
from controller.models.network import network_digest
from controller.models.run import Outcome, RunState
from controller.store import open_store
from simulators.fleet.fleet import Fleet, FleetSettings
from simulators.netconf.faults import Fault, FaultKind
from simulators.netconf.profiles import profile_named
from simulators.network import read_network
from simulators.station import StationSettings
from tests.integration.engine.local_system import NETWORKS, LocalSystem, network_at
from tests.integration.engine.test_diverged import PASSWORD, STATION, configuration, move_on, retuned
from tests.integration.engine.test_taken_back import agreed
from tests.unit.runs.transaction_bench import Interrupter

_TIMER = 10


@pytest.fixture(autouse=True)
def _password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ncclient.transport.session.TICK", 0.001)
    monkeypatch.setenv("MINKA_DEVICE_PASSWORD", PASSWORD)


@pytest.fixture(params=["standard", "plain-commit", "writable-running"])
async def fleet(request: pytest.FixtureRequest) -> AsyncIterator[Fleet]:
    stations = StationSettings(settle_seconds=0.05, profile=profile_named(request.param))
    settings = FleetSettings(only={STATION}, stations=stations, pools=False)
    async with Fleet(read_network(NETWORKS / "peru-mini"), settings) as running:
        yield running


async def test_a_commit_that_comes_late_is_taken_back(fleet: Fleet, tmp_path: Path) -> None:
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

        now = retuned(network)
        system.begin(await system.plan(now, STATION), confirm_timeout=_TIMER)
        move_on(system)
        profile = station.datastores._profile
        sent = "commit" if profile.candidate else "edit-config"
        station.faults.inject(Fault(FaultKind.LATE_EFFECT, sent, count=1, seconds=3.0))
        revision = station.revision
        result = await system.work(now, Interrupter())
        assert result.outcome is Outcome.ROLLED_BACK, result.detail
        assert "answered ok and carries nothing of it" in result.detail
        assert station.revision == revision + 2, "it came, and went"
        await asyncio.sleep(1)
        assert await asyncio.to_thread(configuration, target) == before
        assert not station.datastores.awaiting_confirmation
    finally:
        await system.close()
