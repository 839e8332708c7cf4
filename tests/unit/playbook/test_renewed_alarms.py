"""An alarm of a pool that stands names the functions that suffer now, and not those that went elsewhere."""

from __future__ import annotations

import pytest

from controller.access.disclosure import TenantAlarm
from controller.assurance.checker import Check, Checker
from controller.models.alarm import NODE_LOST, UNREACHABLE, Alarm, AlarmSource, AlarmState, PerceivedSeverity
from controller.models.cloud import ClusterState, NodeReady, NodeState
from controller.models.network import network_digest
from controller.nrm.tree import Observed
from controller.store import Page
from tests.unit.playbook.functions_bench import FunctionBench


class LostNode:
    """A pool with a lost node, of which its cluster goes on listing the pods."""

    def __init__(self, bench: FunctionBench, pool: str, *functions: str) -> None:
        self.bench, self.pool = bench, pool
        self.node = bench.network.nodes_of[pool][0].id
        self.checker: Checker = bench._checker(frozenset(AlarmSource))
        bench.store.devices.adopt(pool, (), network_digest(bench.network), "ana")
        self.sees(NodeReady.READY, *functions)

    def sees(self, ready: NodeReady, *functions: str, down: tuple[str, ...] = ()) -> None:
        """What its API says from now on."""
        others = (
            NodeState(id=one.id, ready=NodeReady.READY)
            for one in self.bench.network.nodes_of[self.pool]
            if one.id != self.node
        )
        nodes = (NodeState(id=self.node, ready=ready, functions=functions), *others)
        self.observed: Observed | None = Observed(
            {f"/Pool[{self.pool}]": {}}, cluster=ClusterState(nodes=nodes, down=down)
        )

    async def look(self, times: int = 2) -> None:
        for _ in range(times):
            self.bench.clock.pause(10)
            reason = "" if self.observed else "unreachable"
            await self.checker.record([Check(self.pool, self.bench.clock.now(), self.observed, reason)])

    def alarm(self, cause: str = NODE_LOST) -> Alarm:
        found = self.bench.store.alarms.standing([self.pool])
        (alarm,) = [one for one in found if one.probable_cause == cause]
        return alarm

    def acts(self) -> list[str]:
        return [row.action for row in self.bench.store.audit.page(Page(limit=1000))[1] if row.object == self.alarm().id]


async def _lost(*functions: str) -> LostNode:
    bench = FunctionBench()
    await bench.instantiate(*functions)
    (pool,) = {pool for name in functions for pool in bench.pools(name)}
    node = LostNode(bench, pool, *functions)
    await node.look(1)
    node.sees(NodeReady.UNKNOWN, *functions, down=functions)
    await node.look()
    assert node.alarm().functions == functions
    return node


async def _move(node: LostNode, function: str) -> None:
    there = next(pool for pool in node.bench.network.pool_by_id if pool != node.pool)
    await node.bench.play("move-function", function=function, pool=there)
    assert node.bench.placed(function) == (there,), node.bench.jobs


async def test_what_moved_away_is_named_no_more_and_nobody_is_called_for_that() -> None:
    node = await _lost("DU-1", "UP-ALFA")
    before = node.alarm()
    assert (before.tenants, before.severity) == (("alfa", "beta"), PerceivedSeverity.CRITICAL)
    pages = node.bench.store.escalations.pending()
    await _move(node, "DU-1")
    await node.look()
    now = node.alarm()
    assert (now.functions, now.degraded, now.text) == (
        ("UP-ALFA",),
        (),
        f"node {node.node} is unknown; it had UP-ALFA",
    )
    same = ("id", "state", "raised", "run", "severity", "incident", "escalated", "acknowledged")
    assert [getattr(now, name) for name in same] == [getattr(before, name) for name in same]
    assert now.tenants == ("alfa",), "nothing of beta's suffers any more"
    assert node.bench.store.escalations.pending() == pages
    assert node.acts().count("alarm.renewed") == 1
    assert node.acts().count("alarm.raised") == 1
    # What it tells a tenant names no function, of nobody.
    network = node.bench.network
    told = TenantAlarm.of(node.bench.store.tenants.alarm("alfa", now.id)).model_dump_json()
    assert not any(name in told for name in (*network.function_by_id, node.node, node.pool))
    # It is said once.
    await node.look(3)
    assert node.acts().count("alarm.renewed") == 1
    await _move(node, "UP-ALFA")
    await node.look()
    last = node.alarm()
    assert (last.functions, last.tenants, last.cells, last.severity) == ((), (), (), PerceivedSeverity.MAJOR)
    assert (last.id, last.state, last.text) == (
        before.id,
        AlarmState.RAISED,
        f"node {node.node} is unknown; it had no function",
    )


async def test_what_comes_to_a_lost_node_or_goes_down_with_it_is_named_too() -> None:
    node = await _lost("DU-1")
    before = node.alarm()
    node.sees(NodeReady.UNKNOWN, "DU-1", "DU-2", down=("DU-2",))
    await node.look(1)
    assert node.alarm() == before, "one look may catch what passes"
    await node.look(1)
    now = node.alarm()
    assert (now.id, now.functions, now.degraded) == (before.id, ("DU-2",), ("DU-1",))


async def test_a_function_that_fails_where_it_moved_to_follows_from_the_lost_node_no_more() -> None:
    node = await _lost("DU-1")
    bench = node.bench
    await _move(node, "DU-1")
    (there,) = bench.placed("DU-1")
    bench.devices["DU-1"].stuck.add(there)
    await bench.look_twice("DU-1")
    down = next(one for one in bench.store.alarms.standing(["DU-1"]) if one.probable_cause == "function-down")
    assert down.root == node.alarm().id, "as far as the alarm of the node says"
    await node.look()
    again = bench.store.alarms.get(down.id)
    assert (again.root, again.released is None) == ("", False)


async def test_a_renamed_function_is_named_as_it_is_called_now() -> None:
    node = await _lost("DU-1")
    content = node.bench.network.model_dump(mode="json")
    for one in content["functions"]:
        one["id"] = "DU-ONE" if one["id"] == "DU-1" else one["id"]
    for one in content["stations"]:
        one["functions"] = ["DU-ONE" if name == "DU-1" else name for name in one["functions"]]
    node.bench.load(type(node.bench.network).model_validate(content))
    await node.look()
    assert (node.alarm().functions, node.alarm().tenants) == ((), ())


async def test_a_pool_that_is_away_names_no_more_what_was_healed_elsewhere() -> None:
    bench = FunctionBench()
    await bench.instantiate("DU-1", "DU-2")
    (pool,) = {pool for name in ("DU-1", "DU-2") for pool in bench.pools(name)}
    node = LostNode(bench, pool, "DU-1", "DU-2")
    await node.look(1)
    for name in ("DU-1", "DU-2"):
        bench.lose_pool(name, pool)
    node.observed = None
    await node.look()
    before = node.alarm(UNREACHABLE)
    assert before.functions == ("DU-1", "DU-2")
    await bench.play("heal-function", where="function=DU-1", seconds=0)
    assert len(bench.placed("DU-1")) == 2, bench.jobs
    await node.look()
    now = node.alarm(UNREACHABLE)
    assert (now.id, now.functions, now.cells) == (before.id, ("DU-2",), ("S2/L1", "S2/N1"))
    health = bench.store.healths.find([pool])[pool]
    assert health.cluster is not None
    assert health.cluster.functions == ("DU-1", "DU-2"), "what was read last stays as it was read"


@pytest.mark.parametrize("state", [AlarmState.REPAIRING, AlarmState.ESCALATED])
async def test_an_alarm_that_is_worked_on_stays_where_it_is(state: AlarmState) -> None:
    node = await _lost("DU-1", "DU-2")
    store, before = node.bench.store, node.alarm()
    if state is AlarmState.ESCALATED:
        store.alarms.escalate(before, "for people", actor="remediation")
    else:
        store.alarms.move(before, state, actor="remediation", run="r-1")
    known = store.escalations.pending()
    await _move(node, "DU-1")
    await node.look()
    now = node.alarm()
    assert (now.id, now.state, now.functions) == (before.id, state, ("DU-2",))
    assert store.escalations.pending() == known
