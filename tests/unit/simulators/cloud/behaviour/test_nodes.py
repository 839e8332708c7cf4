"""Nodes that are lost, come back, run out of disk or lose their clock, and what becomes of their pods."""

from __future__ import annotations

import pytest

from simulators.cloud.behaviour.faults import UnknownPoolFaultError
from simulators.cloud.behaviour.operator import STAYS_ON_LOST_NODE
from simulators.cloud.behaviour.pool import GRACE_SECONDS
from simulators.history import EventKind
from tests.unit.simulators.cloud.behaviour.bench import DU_NEW, NAMESPACE, START, PoolBench, condition, taints


def test_a_lost_node_is_silent_then_unknown_then_its_pods_run_elsewhere() -> None:
    bench = PoolBench()
    bench.deploy("du-1")
    node = bench.node_of("du-1")
    bench.pool.begin_fault("node-lost", node)
    assert bench.happened[-1] == ("silent", "du-1")
    bench.clock.advance(GRACE_SECONDS - 1)
    assert condition(bench.node(node), "Ready")["status"] == "True", "nobody knows yet"
    bench.clock.advance(2)
    assert condition(bench.node(node), "Ready")["reason"] == "NodeStatusUnknown"
    assert taints(bench.node(node)) == {"node.kubernetes.io/unreachable"}
    assert bench.state("du-1")["Ready"] == "False"
    bench.clock.advance(STAYS_ON_LOST_NODE)
    old, new = sorted(bench.pods(), key=lambda pod: "deletionTimestamp" not in pod["metadata"])
    assert old["spec"]["nodeName"] == node
    assert new["spec"]["nodeName"] != node
    bench.clock.advance(START + 10)
    assert bench.happened[-1] == ("ready", "du-1")
    assert len(bench.pods()) == 2, "nobody can say that the old one has ended"
    assert bench.state("du-1")["Ready"] == "True"


def test_twenty_functions_are_back_within_two_minutes() -> None:
    bench = PoolBench(nodes=2, room=40)
    for number in range(40):
        bench.deploy(f"du-{number}", seconds=0)
    bench.clock.advance(60)
    bench.pool.begin_fault("node-lost", "node-1")
    lost = [name for what, name in bench.happened if what == "silent"]
    assert len(lost) == 20
    bench.happened.clear()
    bench.clock.advance(90)
    assert sorted(bench.happened) == sorted(("ready", name) for name in lost)


def test_a_node_that_is_back_ends_what_was_deleted_and_starts_the_rest() -> None:
    bench = PoolBench(nodes=1)
    bench.deploy("du-1")
    bench.pool.begin_fault("node-lost", "node-0")
    bench.clock.advance(100)
    assert len(bench.pods()) == 2, "the new one waits for a node"
    bench.pool.faults.clear()
    bench.clock.advance(START + 10)
    assert bench.happened == [("ready", "du-1"), ("silent", "du-1"), ("ready", "du-1")]
    assert len(bench.pods()) == 1
    assert taints(bench.node("node-0")) == set()


def test_a_short_loss_of_power_starts_the_same_pod_again() -> None:
    bench = PoolBench(nodes=1)
    bench.deploy("du-1")
    pod = bench.pod("du-1")
    bench.pool.begin_fault("node-lost", "node-0")
    bench.clock.advance(5)
    bench.pool.faults.clear()
    bench.clock.advance(START + 5)
    again = bench.pod("du-1")
    assert again["metadata"]["uid"] == pod["metadata"]["uid"]
    assert again["status"]["containerStatuses"][0]["restartCount"] == 1
    assert bench.happened[-1] == ("ready", "du-1")


def test_a_failure_domain_fails_as_one_and_a_node_ends_its_fault_by_itself() -> None:
    bench = PoolBench()
    assert [fault.target for fault in bench.pool.begin_fault("node-lost", "rack-1")] == ["node-0", "node-1"]
    assert bench.pool.begin_fault("node-lost", "node-0") == ()
    bench.clock.advance(4 * 3600)
    assert not len(bench.pool.faults)
    assert bench.pool.summary()["nodes_ready"] == 3


def test_a_full_disk_drives_the_least_important_pod_away() -> None:
    bench = PoolBench()
    bench.deploy("du-1")
    node = bench.node_of("du-1")
    bench.pool.begin_fault("disk-pressure", node)
    assert bench.happened[-1] == ("gone", "du-1")
    bench.clock.advance(START + 10)
    assert bench.happened[-1] == ("ready", "du-1")
    assert bench.node_of("du-1") != node
    assert "node.kubernetes.io/disk-pressure" in taints(bench.node(node))
    assert [event["reason"] for event in bench.cluster.list("events") if event["reason"] == "Evicted"] == ["Evicted"]


def test_a_lost_clock_is_told_to_those_who_run_there_and_keeps_others_away() -> None:
    bench = PoolBench(nodes=1)
    bench.deploy("du-1")
    bench.pool.begin_fault("ptp-lost", "node-0")
    bench.deploy("du-2")
    assert bench.happened == [("ready", "du-1"), ("clock-lost", "du-1")]
    assert condition(bench.node("node-0"), "ClockSynchronized")["reason"] == "PTPHoldover"
    bench.pool.faults.clear()
    bench.clock.advance(START + 5)
    assert bench.happened[2:] == [("clock-back", "du-1"), ("ready", "du-2")]


def test_a_cordoned_node_gets_no_pods() -> None:
    bench = PoolBench(nodes=1)
    node = bench.node("node-0")
    bench.cluster.update("nodes", {**node, "spec": {**node["spec"], "unschedulable": True}})
    bench.deploy("du-1")
    assert condition(bench.pod("du-1"), "PodScheduled")["message"] == (
        "0/1 nodes are available: 1 node(s) were unschedulable."
    )
    assert taints(bench.node("node-0")) == {"node.kubernetes.io/unschedulable"}
    node = bench.node("node-0")
    bench.cluster.update("nodes", {**node, "spec": {**node["spec"], "unschedulable": False}})
    bench.clock.advance(60)
    assert bench.happened == [("ready", "du-1")]


def test_an_upgrade_takes_one_node_after_the_other_and_moves_pods_on() -> None:
    bench = PoolBench(nodes=2)
    bench.deploy("du-1")
    bench.pool.upgrade("v1.37.0")
    assert bench.pool.cluster.version == "v1.37.0"
    bench.clock.advance(1)
    assert bench.pool.summary()["upgrading_to"] == "v1.37.0"
    assert sum(bool(node["spec"].get("unschedulable")) for node in bench.cluster.list("nodes")) == 1
    bench.clock.advance(120)
    nodes = bench.cluster.list("nodes")
    assert {node["status"]["nodeInfo"]["kubeletVersion"] for node in nodes} == {"v1.37.0"}
    assert not any(taints(node) or node["spec"].get("unschedulable") for node in nodes)
    assert bench.pool.summary()["upgrading_to"] == ""
    assert bench.state("du-1")["Ready"] == "True"


def test_an_upgrade_waits_for_what_a_budget_protects() -> None:
    bench = PoolBench(nodes=2)
    bench.deploy("du-1")
    bench.protect("du-1")
    bench.pool.upgrade("v1.37.0")
    bench.clock.advance(300)
    assert bench.happened == [("ready", "du-1")]
    bench.cluster.delete("poddisruptionbudgets.policy", NAMESPACE, "du-1")
    bench.clock.advance(180)
    assert {node["status"]["nodeInfo"]["kubeletVersion"] for node in bench.cluster.list("nodes")} == {"v1.37.0"}
    assert bench.happened[-1] == ("ready", "du-1")


def test_pods_of_a_node_that_somebody_deletes_run_elsewhere() -> None:
    bench = PoolBench()
    bench.deploy("du-1")
    node = bench.node_of("du-1")
    bench.cluster.delete("nodes", "", node)
    bench.clock.advance(START + 10)
    assert bench.happened == [("ready", "du-1"), ("gone", "du-1"), ("ready", "du-1")]
    assert bench.node_of("du-1") != node


def test_the_same_seed_gives_the_same_history() -> None:
    def history() -> list[dict[str, object]]:
        bench = PoolBench()
        for number in range(3):
            bench.deploy(f"du-{number}")
        bench.pool.begin_fault("node-lost")
        bench.pool.begin_fault("crash-looping")
        bench.clock.advance(1200)
        return [event.to_json() for event in bench.pool.history.events()]

    first = history()
    assert first == history()
    assert [event["kind"] for event in first][:5] == ["pod-ready"] * 3 + ["network-fault", "pod-gone"]


def test_a_fault_needs_something_to_strike() -> None:
    bench = PoolBench()
    for name, target, message in (
        ("meteor", "", "no fault of a pool is called 'meteor'; there are node-lost"),
        ("node-lost", "node-9", "edge-1 has no node node-9"),
        ("crash-looping", "", "edge-1 has no function"),
        ("registry-unreachable", "node-0", "registry-unreachable strikes a pool, not node-0"),
    ):
        with pytest.raises(UnknownPoolFaultError, match=message):
            bench.pool.begin_fault(name, target)
    bench.deploy("du-1", DU_NEW)
    bench.pool.begin_fault("node-lost", bench.node_of("du-1"))
    kinds = [event.kind for event in bench.pool.history.events()]
    assert kinds == [EventKind.POD_READY, EventKind.NETWORK_FAULT, EventKind.POD_GONE]
