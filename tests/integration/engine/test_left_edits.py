"""A worker dies between edit and commit, on a server that keeps the edits: ours are discarded, others are named.

The simulator has the habits of clixon, which answers for a modified candidate as for a lock that no session holds, and
those of netopeer2, which says that the operation failed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from controller.drivers.netconf.target import NetconfTarget
from controller.models.network import network_digest
from controller.models.run import Outcome
from controller.store import JobResult, open_store
from simulators.fleet.fleet import Fleet, FleetSettings
from simulators.netconf.faults import FaultKind
from simulators.netconf.profiles import profile_named
from simulators.network import read_network
from simulators.station import Station, StationSettings
from tests.integration.engine.local_system import NETWORKS, Behind, LocalSystem, network_at
from tests.unit.runs.transaction_bench import Interrupter, Killed

STATION, PASSWORD = "PE-CUS-0145", "minka-sim"


@pytest.fixture(autouse=True)
def _password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINKA_DEVICE_PASSWORD", PASSWORD)


@pytest.fixture(params=["like-clixon", "like-netopeer2"])
async def fleet(request: pytest.FixtureRequest) -> AsyncIterator[Fleet]:
    known = profile_named(request.param)
    profile = replace(known, faults=known.faults | {FaultKind.CANDIDATE_KEPT})
    stations = StationSettings(settle_seconds=0.05, profile=profile)
    settings = FleetSettings(only={STATION}, stations=stations, pools=False)
    async with Fleet(read_network(NETWORKS / "peru-mini"), settings) as running:
        yield running


def scribble(station: Station) -> None:
    """Somebody else edits the candidate, too, and leaves it so."""
    draft = station.datastores._draft
    assert draft is not None
    path = (("ManagedElement", STATION), "attributes")
    draft.config = draft.config.with_leaf(path, "userLabel", "by a technician")


@pytest.mark.parametrize("scribbled", [False, True])
@pytest.mark.parametrize("edits", [1, 2], ids=["first phase", "second phase"])
async def test_killed_between_edit_and_commit(fleet: Fleet, tmp_path: Path, edits: int, *, scribbled: bool) -> None:
    station, end = fleet.stations[STATION], fleet.endpoint(STATION)
    target = NetconfTarget(STATION, ("lte-28658",), end.address, end.port, end.host_key, "minka", "device")
    system = LocalSystem(open_store(f"sqlite:///{tmp_path / 'record.sqlite3'}"))
    try:
        network = network_at(target, tmp_path)
        system.store.networks.save(network, network_digest(network), "ana")
        await system.planner.adopt(STATION, "ana")
        system.begin(await system.plan(network, STATION))
        with pytest.raises(Killed):
            await system.work(network, Behind("edit", edits))
        assert station.datastores.dirty
        if not scribbled:
            result = await system.work(network, Interrupter())
            assert result.outcome is Outcome.SUCCEEDED, result.detail
            assert not station.datastores.dirty
            return
        scribble(station)
        result = await system.work(network, Interrupter())
        # Of the second phase, the first one's commit is pending: it is cancelled, and the candidate is left alone.
        assert result.outcome is (Outcome.DEFERRED if edits == 1 else Outcome.ROLLED_BACK), result.detail
        assert not station.datastores.awaiting_confirmation
        assert "ENBFunction" not in station.datastores.running.to_text()
        assert "somebody else did not commit (" in result.detail
        assert "by a technician" in station.datastores.candidate.to_text()
    finally:
        await system.close()


@pytest.mark.parametrize(("scribbled", "step"), [(False, False), (True, False), (False, True), (True, True)])
async def test_edits_of_a_job_that_ended_before_it_reached_its_device_again(
    fleet: Fleet, tmp_path: Path, *, scribbled: bool, step: bool
) -> None:
    """What the next job finds is told to be ours by the journal of the ended one, with its plan or its steps."""
    station, end = fleet.stations[STATION], fleet.endpoint(STATION)
    target = NetconfTarget(STATION, ("lte-28658",), end.address, end.port, end.host_key, "minka", "device")
    system = LocalSystem(open_store(f"sqlite:///{tmp_path / 'record.sqlite3'}"))
    try:
        network = network_at(target, tmp_path)
        system.store.networks.save(network, network_digest(network), "ana")
        await system.planner.adopt(STATION, "ana")
        assert system.store.journal.edited_earlier(STATION) is None
        system.begin(await system.plan(network, STATION))
        with pytest.raises(Killed):
            await system.work(network, Behind("edit", 1), step=step)
        assert system.store.journal.edited_earlier(STATION) is None, "the job has not ended"
        (claim,) = system.store.claims.take(system.store.processes.register("w"), 10)
        system.store.claims.finish(claim, JobResult(Outcome.DIVERGED, "it could not be reached"))
        assert station.datastores.dirty
        if scribbled:
            scribble(station)
        system.begin(await system.plan(network, STATION))
        result = await system.work(network, Interrupter())
        assert result.outcome is (Outcome.DEFERRED if scribbled else Outcome.SUCCEEDED), result.detail
        assert station.datastores.dirty is scribbled
        assert ("somebody else did not commit (" in result.detail) is scribbled
    finally:
        await system.close()
