"""The main job, straight through the real path, on a server that nobody here wrote: Debian's netconfd.

A station of ``peru-mini`` stands on netconfd behind OpenSSH: network files → plan → run → NETCONF → ledger. netconfd
reports no states for our modules, so configuration is verified by read-back and the outcome says what was not checked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.device import SshDevices, target_of
from controller.inventory.load import load_network
from controller.models.network import Network
from controller.models.plan import Plan
from controller.models.run import Job, RunState, Strategy
from controller.plan import network_digest
from controller.ports.clock import SystemClock
from controller.ports.queue import FakeDoorbell
from controller.runs.loop import WorkerLoop
from controller.runs.planner import Planner, PlanRequest
from controller.runs.procedures import Tools
from controller.runs.submit import submit
from controller.store import LoopStore, SqlStore, open_store
from tests.support.netconfd import Netconfd, netconfd
from tests.support.secrets import LocalSecrets

NETWORKS = Path(__file__).parents[3] / "deploy" / "networks"
STATION = "PE-CUS-0147"  # LTE and NR

pytestmark = pytest.mark.needs("netconfd", "sshd")


@pytest.fixture(scope="module")
def server() -> Iterator[Netconfd]:
    with netconfd() as running:
        yield running


def network_at(server: Netconfd, folder: Path, *, entel: bool = False) -> Network:
    """``peru-mini`` with the station's endpoint on netconfd."""
    endpoints = folder / "endpoints.csv"
    ssh = server.ssh
    row = f"{STATION},127.0.0.1,{ssh.port},{ssh.host_key},{ssh.username},{ssh.credential}"
    endpoints.write_text(f"station,address,port,host_key,username,credential\n{row}\n", encoding="utf-8")
    network = load_network(NETWORKS / "peru-mini", endpoints=endpoints)
    if not entel:
        return network
    whole = folder / "network"
    whole.mkdir()
    for path in (NETWORKS / "peru-mini").iterdir():
        (whole / path.name).write_bytes(path.read_bytes())
    (whole / "entel.yaml").write_bytes((NETWORKS / "peru-mini-add-entel.yaml").read_bytes())
    return load_network(whole, endpoints=endpoints)


class House:
    """Store, devices and planner of one controller."""

    def __init__(self, store: SqlStore) -> None:
        self.store, self.loop_store, self.clock = store, LoopStore(store), SystemClock()
        self.devices = SshDevices(LocalSecrets(), rpc_timeout=20, connect_timeout=20)
        self.planner = Planner(self.loop_store, self.devices, self.clock, target_of)

    async def plan(self, network: Network) -> Plan:
        """Load a version and plan the station."""
        self.store.save_network(network, network_digest(network), "ana")
        return await self.planner.plan(PlanRequest(STATION), "ana")

    async def apply(self, plan: Plan) -> tuple[RunState, Job]:
        """Apply a plan to its end."""
        bell = FakeDoorbell()
        worker = WorkerLoop("w", Tools(self.loop_store, self.devices, self.clock, target_of), bell)
        stop = asyncio.Event()
        task = asyncio.create_task(worker.run(stop))
        run = submit(self.store, bell, plan, actor="ana", strategy=Strategy(check_timeout=1))
        while not self.store.run(run.id).state.terminal:
            await asyncio.sleep(0.1)
        stop.set()
        await task
        (job,) = self.store.jobs(run.id)
        return self.store.run(run.id).state, job

    async def close(self) -> None:
        """Close all."""
        await self.devices.close()
        await self.loop_store.close()
        self.store.close()


async def test_from_network_files_to_a_verified_station(server: Netconfd, tmp_path: Path) -> None:
    house = House(open_store(f"sqlite:///{tmp_path / 'record.sqlite3'}"))
    try:
        three = network_at(server, tmp_path)
        house.store.save_network(three, network_digest(three), "ana")
        await house.planner.adopt(STATION, "ana")
        state, job = await house.apply(await house.plan(three))
        assert (state, job.detail) == (
            RunState.SUCCEEDED,
            "the station reports no states: cells and core links were not checked",
        )
        assert (await house.plan(three)).is_empty
        assert await house.planner.drift([STATION]) == {STATION: ()}

        # A fourth tenant comes: only its nodes change.
        onboard = await house.plan(network_at(server, tmp_path, entel=True))
        assert [change.touched for change in onboard.changes] == [("entel",)]
        before = (await house.planner.read(three, STATION)).tree
        assert (await house.apply(onboard))[0] is RunState.SUCCEEDED
        after = (await house.planner.read(three, STATION)).tree
        new = {path for path in after if path not in before}
        ledger = house.store.ledger([STATION])[STATION]
        assert new
        assert all(ledger[path].owners == ("entel",) for path in new)
        assert {path: after[path] for path in before} == dict(before)
    finally:
        await house.close()
