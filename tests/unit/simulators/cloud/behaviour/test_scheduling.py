"""Which node a pod gets by its affinity to nodes and other pods, and by how pods are to be spread."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.simulators.cloud.behaviour.bench import NAMESPACE, PoolBench, condition

ZONE, HOST = "topology.kubernetes.io/zone", "kubernetes.io/hostname"
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
APP = {"matchLabels": {"app": "du"}}


class Scheduled(PoolBench):
    """Nodes 0 and 1 stand in rack-1, node 2 alone."""

    def add(self, name: str, **spec: Any) -> str:
        """Create a pod, and say which node it got, or why it got none."""
        container = {"name": "c", "image": "registry.example/du:1"}
        metadata = {"namespace": NAMESPACE, "name": name, "labels": {"app": "du"}}
        self.cluster.create("pods", {"metadata": metadata, "spec": {"containers": [container], **spec}})
        self.clock.advance(1)
        pod = self.get("pods", NAMESPACE, name)
        return str(pod["spec"].get("nodeName") or condition(pod, "PodScheduled")["message"])


def on_nodes(*terms: dict[str, Any]) -> dict[str, Any]:
    return {"affinity": {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": list(terms)}}}}


def expression(key: str, operator: str, *values: str) -> dict[str, Any]:
    return {"matchExpressions": [{"key": key, "operator": operator, **({"values": list(values)} if values else {})}]}


def apart(key: str, kind: str = "podAntiAffinity") -> dict[str, Any]:
    return {"affinity": {kind: {REQUIRED: [{"labelSelector": APP, "topologyKey": key}]}}}


@pytest.mark.parametrize(
    ("terms", "node"),
    [
        ([expression(ZONE, "In", "node-2")], "node-2"),
        ([expression(ZONE, "NotIn", "rack-1")], "node-2"),
        ([expression("size", "Gt", "3")], "node-1"),
        ([expression("size", "Exists"), expression(ZONE, "In", "nowhere")], "node-1"),
        ([{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["node-2"]}]}], "node-2"),
        (
            [expression("size", "Lt", "3")],
            "0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector.",
        ),
    ],
)
def test_a_pod_goes_where_one_of_its_terms_is_met(terms: list[dict[str, Any]], node: str) -> None:
    bench = Scheduled()
    found = bench.node("node-1")
    found["metadata"]["labels"]["size"] = "4"
    bench.cluster.update("nodes", found)
    assert bench.add("p", **on_nodes(*terms)) == node


def test_a_pod_goes_where_it_would_rather_be_if_it_can() -> None:
    bench = Scheduled()
    rather = {"weight": 5, "preference": expression(ZONE, "In", "node-2")}
    wish = {"affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [rather]}}}
    assert bench.add("p", **wish) == "node-2"
    assert bench.add("q", **wish, nodeSelector={ZONE: "rack-1"}) == "node-0"


def test_pods_that_keep_apart_do_so_by_host_and_by_rack() -> None:
    bench = Scheduled()
    assert [bench.add(f"p{n}", **apart(HOST)) for n in range(3)] == ["node-0", "node-1", "node-2"]
    assert bench.add("p3", **apart(HOST)) == (
        "0/3 nodes are available: 3 node(s) didn't match pod anti-affinity rules."
    )
    racks = Scheduled()
    assert [racks.add(f"p{n}", **apart(ZONE)) for n in range(2)] == ["node-0", "node-2"]
    assert racks.add("plain") == (
        "0/3 nodes are available: 3 node(s) didn't satisfy existing pods anti-affinity rules."
    )
    racks.cluster.delete("pods", NAMESPACE, "p0")
    racks.clock.advance(60)
    assert racks.get("pods", NAMESPACE, "plain")["spec"]["nodeName"] == "node-0"


def test_pods_that_belong_together_come_together_and_the_first_comes_anywhere() -> None:
    bench = Scheduled()
    assert bench.add("p0", **apart(ZONE, "podAffinity"), nodeSelector={ZONE: "rack-1"}) == "node-0"
    assert bench.add("p1", **apart(ZONE, "podAffinity")) in ("node-0", "node-1")
    assert bench.add("p2", **apart(ZONE, "podAffinity"), nodeSelector={ZONE: "node-2"}) == (
        "0/3 nodes are available: 1 node(s) didn't match pod affinity rules, "
        "2 node(s) didn't match Pod's node affinity/selector."
    )


def test_pods_are_spread_over_racks_as_evenly_as_they_ask() -> None:
    bench = Scheduled()
    spread = {"maxSkew": 1, "topologyKey": ZONE, "whenUnsatisfiable": "DoNotSchedule", "labelSelector": APP}
    nodes = [bench.add(f"p{n}", topologySpreadConstraints=[spread]) for n in range(4)]
    assert sorted(node == "node-2" for node in nodes) == [False, False, True, True]
    found = bench.node("node-2")
    bench.cluster.update("nodes", {**found, "spec": {**found["spec"], "unschedulable": True}})
    assert bench.add("p4", topologySpreadConstraints=[spread]) in ("node-0", "node-1")
    assert bench.add("p5", topologySpreadConstraints=[spread]) == (
        "0/3 nodes are available: 1 node(s) were unschedulable, 2 node(s) didn't match pod topology spread constraints."
    )
    missing = {**spread, "topologyKey": "row"}
    assert bench.add("p6", topologySpreadConstraints=[missing]) == (
        "0/3 nodes are available: 1 node(s) were unschedulable, 2 node(s) didn't match pod topology spread constraints "
        "(missing required label)."
    )
