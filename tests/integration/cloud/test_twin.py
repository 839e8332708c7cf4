"""Functions on simulated pools as Minka writes them: their operator makes pods of them, in virtual time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest

from controller.drivers.kubernetes.codec import PoolObjects
from controller.drivers.kubernetes.devices import CloudDevices
from controller.drivers.kubernetes.target import PoolTarget
from controller.models.facts import FunctionFact, PoolFact
from controller.models.run import Outcome
from controller.nrm.profiles import render_cloud
from controller.nrm.tree import Tree
from controller.ports.secrets import FakeSecrets
from controller.runs.transaction import checks
from controller.store import JobResult
from simulators.cloud.server.listener import Tls, listen
from simulators.connections import Connections
from tests.integration.cloud.system import AUTHORITY, DU, NAME, POOLS, SHARES, Pools
from tests.integration.cloud.test_transactions import NOTHING, Bench, changing
from tests.unit.runs.transaction_bench import JumpClock
from tests.unit.simulators.cloud.behaviour import bench as twin

WANTED = replace(DU, package="acme-du-1", image=twin.DU)
THERE = render_cloud(WANTED).tree


class PoolClock(JumpClock):
    """The time of pools, too."""

    def __init__(self) -> None:
        super().__init__()
        self.pools: list[twin.PoolBench] = []

    async def sleep(self, seconds: float) -> None:
        for pool in self.pools:
            pool.clock.advance(seconds)
        await super().sleep(seconds)


async def change(pools: Pools, clock: PoolClock, before: Tree, wanted: FunctionFact) -> tuple[JobResult, Tree]:
    """What becomes of a change, and what is there then."""
    bench = Bench(pools, changing(before, wanted))
    bench.clock = clock
    return await bench.finish(), await bench.carried()


@pytest.fixture
async def clock() -> PoolClock:
    return PoolClock()


@pytest.fixture
async def pools(clock: PoolClock) -> AsyncIterator[Pools]:
    made = Pools()
    async with AsyncExitStack() as ends:
        for name in POOLS:
            pool = twin.PoolBench()
            clock.pools.append(pool)
            made.clusters[name] = pool.cluster
            pool.pool.admit_user("minka", "token")
            way = made.ways[name] = Connections()
            tls = Tls.of_authority(AUTHORITY, name, "127.0.0.1")
            address, port = await ends.enter_async_context(listen(pool.cluster, "127.0.0.1", 0, tls, way))
            made.targets[name] = PoolTarget(name, address, port, "ca", credential="token")
            shares = tuple(share for share in SHARES if share.owner == "host")
            ready = PoolFact(name, shares, (("vdu", 1000),))
            tree = render_cloud(ready).tree
            there = ("[minka-host]", f"[{name}]")
            made.put(PoolObjects(name), {path: tree[path] for path in tree if not path.endswith(there)})
        made.devices = CloudDevices(FakeSecrets({"ca": AUTHORITY.certificate, "token": "token"}), clock, gone=120)
        ends.push_async_callback(made.devices.close)
        yield made


def told(clock: PoolClock) -> list[list[tuple[str, str]]]:
    return [pool.happened for pool in clock.pools]


async def test_a_function_comes_moves_and_is_upgraded(pools: Pools, clock: PoolClock) -> None:
    result, here = await change(pools, clock, NOTHING, WANTED)
    assert (result.outcome, result.detail, here) == (Outcome.SUCCEEDED, "", THERE)
    assert told(clock) == [[("ready", "du-1")], []]
    pod = clock.pools[0].pod("du-1")
    assert pod["spec"]["priorityClassName"] == "minka-vdu"
    assert pod["metadata"]["labels"]["minka.dev/function"] == NAME

    moving = replace(WANTED, pool="edge-2")
    result, there = await change(pools, clock, here, moving)
    assert (result.outcome, there) == (Outcome.SUCCEEDED, render_cloud(moving).tree)
    assert told(clock) == [[("ready", "du-1"), ("gone", "du-1")], [("ready", "du-1")]]
    assert clock.pools[0].pods() == []

    newer = replace(moving, package="acme-du-2", image=twin.DU_NEW)
    result, upgraded = await change(pools, clock, there, newer)
    assert (result.outcome, upgraded) == (Outcome.SUCCEEDED, render_cloud(newer).tree)
    await clock.sleep(60)  # the old pod ends
    assert clock.pools[1].pod("du-1")["spec"]["containers"][0]["image"] == twin.DU_NEW


async def test_an_operator_that_gives_up_ends_the_wait(pools: Pools, clock: PoolClock) -> None:
    _, here = await change(pools, clock, NOTHING, WANTED)
    begin = clock.monotonic()
    result, after = await change(pools, clock, here, replace(WANTED, package="nobodys-du"))
    assert (result.outcome, after) == (Outcome.ROLLED_BACK, here)
    assert "provider 'nobodys-du' is no package that this operator knows" in result.detail
    assert clock.monotonic() - begin < 30
    assert told(clock) == [[("ready", "du-1")], []]


async def test_new_parameters_alone_are_waited_for(pools: Pools, clock: PoolClock) -> None:
    _, here = await change(pools, clock, NOTHING, WANTED)
    await clock.sleep(60)
    smaller = replace(WANTED, cpus=4)
    result, after = await change(pools, clock, here, smaller)
    assert (result.outcome, result.detail, after) == (Outcome.SUCCEEDED, "", render_cloud(smaller).tree)
    assert told(clock)[0][:2] == [("ready", "du-1"), ("ready", "du-1")], "it ended before the new pod was ready"
    await clock.sleep(60)  # the old pod ends
    assert clock.pools[0].pod("du-1")["spec"]["containers"][0]["resources"]["requests"]["cpu"] == "4"


async def test_a_function_whose_image_does_not_come_stays_where_it_is(
    pools: Pools, clock: PoolClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "READY_SECONDS", 90.0)
    _, here = await change(pools, clock, NOTHING, WANTED)
    clock.pools[1].pool.begin_fault("registry-unreachable")
    result, after = await change(pools, clock, here, replace(WANTED, pool="edge-2"))
    assert (result.outcome, after) == (Outcome.ROLLED_BACK, here)
    assert clock.pools[1].pods() == []
    assert told(clock) == [[("ready", "du-1")], []]
