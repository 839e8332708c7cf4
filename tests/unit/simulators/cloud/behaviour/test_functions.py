"""From an NFDeployment to a pod that serves: operator, scheduler, kubelet."""

from __future__ import annotations

import pytest

from simulators.cloud.behaviour.controller import NF_DEPLOYMENTS
from simulators.cloud.behaviour.kubelet import BACKOFF
from simulators.cloud.behaviour.operator import DEADLINE, FINALIZER
from tests.unit.simulators.cloud.behaviour.bench import DU, DU_NEW, NAMESPACE, START, PoolBench, condition

UNKNOWN = f"registry.example/acme/du@sha256:{'9' * 64}"


def test_a_function_becomes_a_pod_that_serves() -> None:
    bench = PoolBench()
    bench.parameters("du-1", cpus="4", memory_gb="12", log_level="info")
    bench.deploy("du-1", seconds=0, parametersRefs=[{"name": "du-1", "apiVersion": "v1", "kind": "ConfigMap"}])
    bench.clock.advance(2)
    assert bench.state("du-1") == {"Available": "False", "Ready": "False", "Reconciling": "True", "Stalled": "False"}
    assert bench.waits("du-1") == "ContainerCreating"
    bench.clock.advance(60)
    assert bench.happened == [("ready", "du-1")]
    assert bench.state("du-1") == {"Available": "True", "Ready": "True", "Reconciling": "False", "Stalled": "False"}
    deployment, pod = bench.deployment("du-1"), bench.pod("du-1")
    assert deployment["status"]["observedGeneration"] == deployment["metadata"]["generation"]
    assert pod["metadata"]["labels"].items() >= {"minka.dev/function": "DU-1", "minka.dev/owner": "host"}.items()
    requests = {"cpu": "4", "memory": "12Gi", "hugepages-1Gi": "4Gi", "minka.dev/accelerators": "1"}
    assert pod["spec"]["containers"][0]["resources"] == {"requests": requests, "limits": requests}
    assert {one["name"] for one in pod["spec"]["containers"][0]["env"]} == {"cpus", "memory_gb", "log_level"}
    assert pod["status"]["phase"] == "Running"


def test_an_image_is_pulled_once_for_each_node_and_takes_as_long_as_its_link() -> None:
    bench = PoolBench(nodes=1)
    bench.deploy("du-1", seconds=START)
    assert not bench.happened, "the pull takes its time"
    bench.deploy("du-2", seconds=START + 2)
    assert bench.happened == [("ready", "du-1"), ("ready", "du-2")]
    pulls = [event["message"] for event in bench.cluster.list("events") if event["reason"] == "Pulled"]
    assert [message.split()[0] for message in sorted(pulls)] == ["Container", "Successfully"]


def test_pods_spread_over_the_nodes_that_have_room_and_what_they_need() -> None:
    bench = PoolBench(nodes=2)
    for number in range(5):
        bench.deploy(f"du-{number}", seconds=0)
    bench.clock.advance(120)
    assert sorted(bench.node_of(f"du-{number}") for number in range(4)) == ["node-0", "node-0", "node-1", "node-1"]
    scheduled = condition(bench.pod("du-4"), "PodScheduled")
    assert (scheduled["status"], scheduled["reason"]) == ("False", "Unschedulable")
    assert scheduled["message"] == "0/2 nodes are available: 2 Insufficient cpu."
    bench.cluster.delete(NF_DEPLOYMENTS, NAMESPACE, "du-0")
    bench.clock.advance(60)
    assert ("ready", "du-4") in bench.happened


def test_a_du_runs_only_where_a_clock_follows_ptp() -> None:
    bench = PoolBench(ptp=False)
    bench.deploy("du-1")
    assert condition(bench.pod("du-1"), "PodScheduled")["message"] == (
        "0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector."
    )
    assert not bench.happened


def test_a_new_pod_comes_beside_the_old_one_where_there_is_room() -> None:
    bench = PoolBench()
    bench.deploy("du-1")
    bench.respecify("du-1", provider="acme-du-2", image=DU_NEW)
    bench.clock.advance(60)
    assert bench.happened == [("ready", "du-1"), ("ready", "du-1"), ("gone", "du-1")]
    assert bench.pod("du-1")["spec"]["containers"][0]["image"] == DU_NEW
    assert bench.state("du-1")["Ready"] == "True"


def test_the_old_pod_goes_first_where_there_is_no_room() -> None:
    bench = PoolBench(nodes=1, room=1)
    bench.deploy("du-1")
    bench.respecify("du-1", provider="acme-du-2", image=DU_NEW)
    bench.clock.advance(60)
    assert bench.happened == [("ready", "du-1"), ("gone", "du-1"), ("ready", "du-1")]


def test_replicas_follow_the_number_that_is_asked_for() -> None:
    bench = PoolBench()
    bench.deploy("du-1", replicas=3)
    assert {pod["spec"]["nodeName"] for pod in bench.pods()} == {"node-0", "node-1", "node-2"}
    bench.respecify("du-1", replicas=1)
    bench.clock.advance(20)
    assert len(bench.pods()) == 1
    assert bench.deployment("du-1")["status"]["replicas"] == 1


def test_a_failed_upgrade_leaves_the_old_pod_serving_and_can_be_taken_back() -> None:
    bench = PoolBench()
    bench.deploy("du-1")
    bench.respecify("du-1", image=UNKNOWN)
    bench.clock.advance(DEADLINE + 60)
    assert bench.happened == [("ready", "du-1")]
    assert bench.state("du-1") == {"Available": "True", "Ready": "False", "Reconciling": "False", "Stalled": "True"}
    assert "ImagePullBackOff" in condition(bench.deployment("du-1"), "Stalled")["message"]
    bench.respecify("du-1", image=DU)
    bench.clock.advance(20)
    assert bench.happened == [("ready", "du-1")]
    assert bench.state("du-1")["Ready"] == "True"


def test_what_the_operator_does_not_know_is_said() -> None:
    bench = PoolBench()
    bench.deploy("du-1", provider="other-du")
    assert condition(bench.deployment("du-1"), "Stalled")["message"] == (
        "provider 'other-du' is no package that this operator knows"
    )
    bench.deploy("du-2", parametersRefs=[{"name": "du-2", "apiVersion": "v1", "kind": "ConfigMap"}])
    assert condition(bench.deployment("du-2"), "Stalled")["message"] == "ConfigMap du-2 of parametersRefs is not there"
    bench.parameters("du-2", cpus="4")
    bench.clock.advance(60)
    assert bench.happened == [("ready", "du-2")]


def test_an_end_waits_for_the_pods() -> None:
    bench = PoolBench()
    bench.deploy("du-1")
    assert bench.deployment("du-1")["metadata"]["finalizers"] == [FINALIZER]
    bench.cluster.delete(NF_DEPLOYMENTS, NAMESPACE, "du-1")
    bench.clock.advance(1)
    assert bench.happened[-1] == ("gone", "du-1")
    assert "deletionTimestamp" in bench.deployment("du-1")["metadata"]
    bench.clock.advance(5)
    assert not bench.cluster.list(NF_DEPLOYMENTS)
    assert not bench.pods()


def test_a_container_that_crashes_is_started_again_after_longer_and_longer() -> None:
    bench = PoolBench()
    bench.deploy("du-1")
    bench.pool.begin_fault("crash-looping", "du-1")
    bench.clock.advance(25)
    assert bench.waits("du-1") == "CrashLoopBackOff"
    assert bench.happened[-1] == ("gone", "du-1")
    bench.clock.advance(BACKOFF * (1 + 2 + 4) + 4 * 25)
    assert bench.pod("du-1")["status"]["containerStatuses"][0]["restartCount"] >= 3
    assert bench.happened == [("ready", "du-1"), ("gone", "du-1")]
    log = bench.cluster.logs(NAMESPACE, bench.pod("du-1")["metadata"]["name"], "function")
    assert [line.split(maxsplit=1)[1] for line in log.splitlines()][:4] == [
        f"du-1 starts from {DU}",
        "ready",
        "FATAL segmentation fault (core dumped)",
        f"du-1 starts from {DU}",
    ]
    bench.pool.faults.clear()
    bench.clock.advance(BACKOFF * 16 + 60)
    assert bench.happened[-1] == ("ready", "du-1")


@pytest.mark.parametrize("fault", ["crash-looping", "never-ready"])
def test_another_image_does_not_have_the_fault(fault: str) -> None:
    bench = PoolBench()
    bench.deploy("du-1")
    bench.pool.begin_fault(fault, "DU-1")
    bench.clock.advance(30)
    assert bench.happened[-1] == ("gone", "du-1")
    bench.respecify("du-1", provider="acme-du-2", image=DU_NEW)
    bench.clock.advance(60)
    assert bench.happened[-1] == ("ready", "du-1")


def test_without_the_registry_only_images_on_the_node_run() -> None:
    bench = PoolBench(nodes=1)
    bench.deploy("du-1")
    bench.pool.begin_fault("registry-unreachable")
    bench.deploy("du-2")
    assert ("ready", "du-2") in bench.happened
    bench.cluster.delete(NF_DEPLOYMENTS, NAMESPACE, "du-1")
    bench.deploy("du-3", DU_NEW)
    assert bench.waits("du-3") == "ImagePullBackOff"
    bench.pool.faults.clear()
    bench.clock.advance(BACKOFF * 16 + 60)
    assert ("ready", "du-3") in bench.happened


def test_a_pod_of_higher_priority_makes_room() -> None:
    bench = PoolBench(nodes=1, room=1)
    for name, value in (("minka-vdu", 1000), ("minka-vcu", 10)):
        api = "scheduling.k8s.io/v1"
        metadata = {"name": name}
        priority = {"apiVersion": api, "kind": "PriorityClass", "metadata": metadata, "value": value}
        bench.cluster.create("priorityclasses.scheduling.k8s.io", priority)
        bench.parameters(name, priority=name)
    bench.deploy("du-1", parametersRefs=[{"name": "minka-vcu", "kind": "ConfigMap"}])
    bench.deploy("du-2", parametersRefs=[{"name": "minka-vdu", "kind": "ConfigMap"}])
    assert bench.happened == [("ready", "du-1"), ("gone", "du-1"), ("ready", "du-2")]
    assert condition(bench.pod("du-1"), "PodScheduled")["reason"] == "Unschedulable"
