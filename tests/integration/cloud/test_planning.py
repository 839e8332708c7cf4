"""From network files to pools: adopted, planned, tried, applied, drifted and repaired, by planner and engine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from controller.assurance.checker import Checker
from controller.drivers.kubernetes.target import KubernetesTarget
from controller.drivers.registry import target_of
from controller.listener.process import Listener
from controller.models.cloud import NodeReady
from controller.models.network import Network, network_digest
from controller.models.plan import Plan
from controller.models.run import Outcome
from controller.ports.queue import FakeWakeups
from controller.runs.planning.planner import Planner, PlanRequest
from controller.store import open_store
from simulators.cloud.server.answers import Response
from simulators.cloud.server.api import Api
from simulators.cloud.server.faults import ApiFault, ApiFaultKind, ApiFaults, spoiled
from simulators.cloud.server.requests import Request
from simulators.cloud.server.watches import Watch
from simulators.connections import Outage
from tests.integration.cloud.system import NFDS, POOLS, Pools, Quick
from tests.integration.cloud.test_transactions import Bench
from tests.support.quick_stores import DirectStore
from tests.support.waiting import until
from tests.unit.plan import samples
from tests.unit.runs.transaction_bench import JumpClock


class Site(Bench):
    """A controller's record and planner, over running pools."""

    def __init__(self, pools: Pools) -> None:
        self.pools, self.clock = pools, JumpClock()
        self.store = open_store("sqlite://", self.clock)
        self.transactions = set()
        at = pools.targets
        listed = [
            one.model_dump() | {"address": at[one.id].address, "port": at[one.id].port, "credential": one.id}
            for one in samples.virtual().pools
        ]
        self.network: Network = samples.virtual(pools=[{**one, "authority": "ca"} for one in listed])
        self.store.networks.save(self.network, network_digest(self.network), "ana")
        self.planner = Planner(DirectStore(self.store), pools.all, self.clock, target_of)

    async def plan(self, selector: str) -> Plan:
        return await self.planner.plan(PlanRequest(selector), "ana")

    async def apply(self, plan: Plan, device: str) -> None:
        """Apply a plan to one device."""
        target = target_of(self.network, device)
        assert isinstance(target, KubernetesTarget)
        self.target = target
        self.begin(plan, device)
        result = await self.finish()
        assert result.outcome is Outcome.SUCCEEDED, result


@pytest.fixture
async def site(pools: Pools) -> AsyncIterator[Site]:
    made = Site(pools)
    yield made
    made.store.close()


async def test_a_pool_is_made_ready_and_kept_so(site: Site, pools: Pools) -> None:
    (pool, _) = POOLS
    adopted = await site.planner.adopt(f"pool={pool}", "ana")
    assert {name: one.words for name, one in adopted.items()} == {pool: "adopted, 1 nodes"}
    await site.apply(await site.plan(f"pool={pool}"), pool)
    cluster = pools.clusters[pool]
    quota = cluster.get("resourcequotas", "minka-alfa", "minka")
    assert quota is not None
    assert quota["spec"]["hard"]["requests.cpu"] == "8"
    assert (await site.plan(f"pool={pool}")).unchanged == (pool,)
    assert await site.planner.drift([pool]) == {pool: ()}

    changed = cluster.edited(quota)
    changed["spec"]["hard"]["requests.cpu"] = "800"
    cluster.update("resourcequotas", changed, manager="kubectl-edit")
    (row,) = (await site.planner.drift([pool]))[pool]
    assert (row.tenant, row.what, row.before, row.after) == (
        "alfa",
        "quota minka: cores",
        "800 (written by kubectl-edit)",
        "8",
    )
    await site.apply(await site.plan(f"pool={pool}"), pool)
    assert await site.planner.drift([pool]) == {pool: ()}


async def test_a_function_is_placed_applied_and_kept_so(site: Site, pools: Pools) -> None:
    await site.planner.adopt("function=DU-1", "ana")
    await site.apply(await site.plan("function=DU-1"), "DU-1")
    (pool,) = [pool for pool in POOLS if pools.found(pool) is not None]
    assert (await site.plan("function=DU-1")).unchanged == ("DU-1",)
    pools.edit(pool, NFDS, "du-1", image="registry.example/other:1")
    (row,) = (await site.planner.drift(["DU-1"]))["DU-1"]
    assert row.before == "registry.example/other:1 (written by kubectl-edit)"
    (change,) = (await site.plan("function=DU-1")).changes
    assert not change.reverts
    await site.apply(await site.plan("function=DU-1"), "DU-1")
    assert await site.planner.drift(["DU-1"]) == {"DU-1": ()}

    pools.ways[pool].cut(Outage.REFUSAL)
    assert await site.planner.drift(["DU-1"]) == {"DU-1": ()}, "nobody knows"
    plan = await site.plan("function=DU-1")
    assert plan.is_empty
    assert {finding.code for finding in plan.findings if finding.station == "DU-1"} == {"not-read"}


async def test_a_function_is_checked_as_soon_as_its_pool_tells_of_a_change(site: Site, pools: Pools) -> None:
    await site.planner.adopt("function=DU-1", "ana")
    await site.apply(await site.plan("function=DU-1"), "DU-1")
    (pool,) = [pool for pool in POOLS if pools.found(pool) is not None]
    store, clock = DirectStore(site.store), Quick()
    checker = Checker(store, site.planner, clock, ())
    listener = Listener(
        store, pools.all, checker, clock, target_of, FakeWakeups(), health_interval=10_000, notified_alarms=False
    )
    stop = asyncio.Event()
    running = asyncio.create_task(listener.run(stop))

    def drift() -> int | None:
        health = site.store.healths.find(["DU-1"]).get("DU-1")
        return health.drift if health else None

    await until(lambda: drift() == 0)

    def drifted() -> bool:
        # Again and again: it may be followed only after the first edit.
        pools.edit(pool, NFDS, "du-1", replicas=5 - pools.found(pool)["spec"]["replicas"] % 2)
        return drift() == 1

    await until(drifted)
    stop.set()
    await running


async def test_a_pool_is_checked_as_soon_as_a_node_changes(site: Site, pools: Pools) -> None:
    """Long before it is due."""
    (pool, _), cluster = POOLS, pools.clusters[POOLS[0]]
    cluster.create("nodes", {"metadata": {"name": "n1"}})
    await site.planner.adopt(f"pool={pool}", "ana")
    store, clock = DirectStore(site.store), Quick()
    checker = Checker(store, site.planner, clock, ())
    listener = Listener(
        store, pools.all, checker, clock, target_of, FakeWakeups(), health_interval=10_000, notified_alarms=False
    )
    stop = asyncio.Event()
    running = asyncio.create_task(listener.run(stop))

    def ready() -> bool | None:
        health = site.store.healths.find([pool]).get(pool)
        if health is None or health.cluster is None:
            return None
        return {node.id: node.ready is NodeReady.READY for node in health.cluster.nodes}["n1"]

    def set_ready(value: str) -> None:
        node = cluster.edited(cluster.get("nodes", "", "n1") or {})
        node["status"] = {
            "conditions": [{"type": "Ready", "status": value}, {"type": "Odd", "status": str(len(turns))}]
        }
        cluster.update_status("nodes", node, manager="kubelet")
        turns.append(value)

    turns: list[str] = []
    await until(lambda: ready() is not None)
    for value in ("True", "False"):

        def seen(value: str = value) -> bool:
            set_ready(value)  # again and again: it may be followed only after the first change
            return ready() is (value == "True")

        await until(seen)
    stop.set()
    await running


async def test_a_webhook_that_does_not_answer_leaves_a_pool_out_of_a_plan_and_is_named(
    site: Site, pools: Pools, monkeypatch: pytest.MonkeyPatch
) -> None:
    (pool, _) = POOLS
    await site.planner.adopt(f"pool={pool}", "ana")
    faults = ApiFaults("webhook")
    faults.inject(ApiFault(kind=ApiFaultKind.WEBHOOK_UNREACHABLE, count=None))
    handle = Api.handle

    def spoil(self: Api, request: Request) -> Response | Watch:
        with monkeypatch.context() as inner:
            inner.setattr(Api, "handle", handle)
            return spoiled(self, request, faults.strikes(request))

    monkeypatch.setattr(Api, "handle", spoil)
    plan = await site.plan(f"pool={pool}")
    assert plan.is_empty
    assert "its admission webhook policy.example does not answer" in plan.unplanned[pool]


async def test_what_a_pool_would_refuse_is_not_planned(site: Site, pools: Pools) -> None:
    (pool, _) = POOLS
    await site.planner.adopt(f"pool={pool}", "ana")
    access = pools.clusters[pool].access
    access.drop_token(f"secret-of-{pool}")
    access.add_token(f"secret-of-{pool}", "reader")
    pools.let_read(pool, "reader")
    plan = await site.plan(f"pool={pool}")
    assert plan.is_empty
    assert "may not patch namespaces" in plan.unplanned[pool]


async def test_a_pool_that_is_away_is_left_out(site: Site) -> None:
    gone = replace(site.pools.targets[POOLS[0]], port=1)
    site.network = site.network.model_copy(
        update={"pools": tuple(one.model_copy(update={"port": gone.port}) for one in site.network.pools)}
    )
    site.store.networks.save(site.network, network_digest(site.network), "ana")
    assert "can't be reached" in (await site.plan(f"pool={POOLS[0]}")).unplanned[POOLS[0]]
