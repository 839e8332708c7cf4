"""Whole runs of functions on simulated pools, whose worker is killed for real (``kill -9``).

In the end each run has one terminal state, the function runs on one pool, with its three objects and no others
anywhere, the ledger says the same, and its station carries what was applied for all tenants. A moment by a fixed
seed, in a soak some; all of them are tried in ``test_whole_runs``.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import secrets
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from controller.models.run import Outcome, Run
from controller.nrm.tree import Tree
from controller.plan import pools_of
from simulators.clock import RealClock
from simulators.fleet.fleet import Fleet, FleetSettings
from simulators.network import read_network
from simulators.station import StationSettings
from tests.integration.alarms.system import until
from tests.integration.cloud.test_functions import FUNCTION, STATION, Cloud, files
from tests.integration.cloud.virtual import KINDS, prepared
from tests.support.forks import ForkedProcess
from tests.support.soak import SOAK

SEED = int(os.environ.get("MINKA_SEED", secrets.randbits(32) if SOAK else 14))
POOLS = ("edge-1", "edge-2")
#: Kills of each run in a soak: at all moments they are tried in virtual time.
KILLS = 12


class Deaths(Cloud):
    """A controller whose workers are processes."""

    def __init__(self, folder: Path, stack: AsyncExitStack, fleet: Fleet) -> None:
        super().__init__(folder, stack, fleet)
        self.home = folder
        at = fleet.pool_endpoint(POOLS[0])
        known = {"pool-authority": at.authority, "pool-token": at.token}
        (folder / "pools.json").write_text(json.dumps(known), encoding="utf-8")

    @asynccontextmanager
    async def process(self, at: int = 0, *when: str) -> AsyncIterator[ForkedProcess]:
        """A worker that dies at a request, and in any case in the end; it is declared dead then."""
        words = ["tests.integration.cloud.mortal_worker", str(self.home), str(at), *when]
        with (self.home / "worker.log").open("ab") as log:
            process = await asyncio.to_thread(ForkedProcess, words, dict(os.environ), log, log)
        try:
            yield process
        finally:
            process.kill()
            await asyncio.to_thread(process.wait)
            for one in self.store.processes.alive():
                assert self.store.processes.declare_dead(one.id, one.counter)

    async def over(self, run: Run, process: ForkedProcess | None = None) -> bool:
        """Wait until a run has ended, or its worker; whether the run has."""

        async def ended() -> bool:
            gone = process is not None and await asyncio.to_thread(process.poll) is not None
            return gone or self.store.runs.get(run.id).state.terminal

        await until(f"{run.procedure} ends", ended, 240)
        return self.store.runs.get(run.id).state.terminal

    async def assert_whole(self, run: Run, station: Tree) -> None:
        """One function, on one pool, and nothing else of it anywhere; its station is as it was."""
        jobs = self.store.runs.jobs(run.id)
        assert self.store.runs.get(run.id).state.terminal
        assert all(job.outcome is not None and job.outcome is not Outcome.DIVERGED for job in jobs), jobs
        (pool,) = pools_of(await self.carries(FUNCTION))
        assert pools_of(self.store.ledger.find([FUNCTION])[FUNCTION]) == (pool,)
        found = Counter(
            (name, kind)
            for name in POOLS
            for kind in KINDS
            for one in self.fleet.pools[name].cluster.list(kind, "minka-host")
            if one["metadata"]["name"] == FUNCTION.lower()
        )
        assert found == dict.fromkeys([(pool, kind) for kind in KINDS], 1)
        assert await self.carries(STATION) == station, jobs
        assert not self.store.claims.busy([FUNCTION, STATION])
        assert self.store.audit.verify() is None


@pytest.fixture
async def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Deaths]:
    monkeypatch.setenv("MINKA_DEVICE_PASSWORD", "minka-sim")
    folder = prepared(files(tmp_path))
    async with AsyncExitStack() as stack:
        settings = FleetSettings(stations=StationSettings(settle_seconds=0.05))
        fleet = await stack.enter_async_context(Fleet(read_network(folder), settings, RealClock(speed=60)))
        made = Deaths(tmp_path, stack, fleet)
        made.load(folder)
        async with made.process():
            await made.prepare_pools()
            await made.play("instantiate-function", where=f"function={FUNCTION}")
        yield made


async def start(system: Deaths, playbook: str) -> Run:
    """Move the function to the other pool, or bring it to the other package."""
    if playbook == "move-function":
        return await system.playbooks().start(playbook, {"function": FUNCTION})
    functions = system.home / "network" / "functions.csv"
    text = functions.read_text(encoding="utf-8")
    new, old = ("bbu", "bbu-2") if f"{FUNCTION},bbu-2" in text else ("bbu-2", "bbu")
    functions.write_text(text.replace(f"{FUNCTION},{old},", f"{FUNCTION},{new},"), encoding="utf-8")
    system.load(system.home / "network")
    return await system.playbooks().start(playbook, {"where": f"function={FUNCTION}"})


@pytest.mark.timeout(1500)
async def test_killed_at_any_request(system: Deaths) -> None:
    chance, station = random.Random(SEED), await system.carries(STATION)
    for playbook in ("move-function", "upgrade-function") if SOAK else ("move-function",):
        async with system.process():
            run = await start(system, playbook)
            await system.over(run)
        await system.assert_whole(run, station)
        calls = (system.home / "calls").stat().st_size
        assert calls > 20
        for at in chance.sample(range(1, calls + 1), KILLS if SOAK else 1):
            when = chance.choice(((), ("after",)))
            run = await start(system, playbook)
            async with system.process(at, *when) as mortal:
                died = not await system.over(run, mortal)
            if died:
                async with system.process():
                    await system.over(run)
            good = {Outcome.SUCCEEDED, Outcome.UNCHANGED, Outcome.SKIPPED}
            assert {job.outcome for job in system.store.runs.jobs(run.id)} <= good, (SEED, playbook, at, when)
            await system.assert_whole(run, station)
