"""What a cluster cleans up and counts: dependents, namespaces, quotas, disruption budgets, events."""

from __future__ import annotations

from typing import Any

from simulators.cloud.behaviour.controller import NF_DEPLOYMENTS
from simulators.cloud.behaviour.events import KEPT
from tests.unit.simulators.cloud.behaviour.bench import NAMESPACE, PoolBench, condition


def config_map(bench: PoolBench, name: str, *owners: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    refs = [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "name": owner["metadata"]["name"],
            "uid": owner["metadata"]["uid"],
            "blockOwnerDeletion": True,
        }
        for owner in owners
    ]
    meta = {"namespace": NAMESPACE, "name": name, **metadata} | ({"ownerReferences": refs} if refs else {})
    return bench.cluster.create("configmaps", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta})


def names(bench: PoolBench, namespace: str = NAMESPACE) -> set[str]:
    found = {one["metadata"]["name"] for one in bench.cluster.list("configmaps", namespace)}
    return found - {"kube-root-ca.crt"}


def test_dependents_go_when_their_last_owner_has_gone() -> None:
    bench = PoolBench()
    first, second = config_map(bench, "first"), config_map(bench, "second")
    child = config_map(bench, "child", first, second)
    config_map(bench, "grandchild", child)
    config_map(bench, "stranger", {"metadata": {"name": "gone", "uid": "5d2a0000-0000-4000-8000-000000000000"}})
    bench.clock.advance(1)
    assert names(bench) == {"first", "second", "child", "grandchild"}
    bench.cluster.delete("configmaps", NAMESPACE, "first")
    bench.clock.advance(1)
    (left,) = bench.get("configmaps", NAMESPACE, "child")["metadata"]["ownerReferences"]
    assert left["name"] == "second"
    bench.cluster.delete("configmaps", NAMESPACE, "second")
    bench.clock.advance(1)
    assert names(bench) == set()


def test_in_the_foreground_an_owner_goes_last() -> None:
    bench = PoolBench()
    owner = config_map(bench, "owner")
    config_map(bench, "child", owner, finalizers=["test/wait"])
    bench.cluster.delete("configmaps", NAMESPACE, "owner", propagation="Foreground")
    bench.clock.advance(1)
    assert names(bench) == {"owner", "child"}
    child = bench.get("configmaps", NAMESPACE, "child")
    bench.cluster.update("configmaps", {**child, "metadata": {**child["metadata"], "finalizers": []}})
    bench.clock.advance(1)
    assert names(bench) == set()


def test_orphans_stay() -> None:
    bench = PoolBench()
    owner = config_map(bench, "owner")
    config_map(bench, "child", owner)
    bench.cluster.delete("configmaps", NAMESPACE, "owner", propagation="Orphan")
    bench.clock.advance(1)
    assert names(bench) == {"child"}
    assert "ownerReferences" not in bench.get("configmaps", NAMESPACE, "child")["metadata"]


def test_pods_go_with_their_deployment() -> None:
    bench = PoolBench()
    bench.deploy("du-1")
    bench.cluster.delete(NF_DEPLOYMENTS, NAMESPACE, "du-1")
    bench.clock.advance(10)
    assert not bench.pods()


def test_a_namespace_has_what_all_have_and_ends_with_its_content() -> None:
    bench = PoolBench()
    assert bench.get("serviceaccounts", NAMESPACE, "default")
    assert "ca.crt" in bench.get("configmaps", NAMESPACE, "kube-root-ca.crt")["data"]
    bench.deploy("du-1")
    held = config_map(bench, "held", finalizers=["test/wait"])
    bench.cluster.delete("namespaces", "", NAMESPACE)
    bench.clock.advance(30)
    namespace = bench.get("namespaces", "", NAMESPACE)
    assert namespace["status"]["phase"] == "Terminating"
    assert "test/wait" in condition(namespace, "NamespaceFinalizersRemaining")["message"]
    assert not bench.pods()
    assert names(bench) == {"held"}
    held = bench.get("configmaps", NAMESPACE, "held")
    bench.cluster.update("configmaps", {**held, "metadata": {**held["metadata"], "finalizers": []}})
    bench.clock.advance(1)
    assert NAMESPACE not in {one["metadata"]["name"] for one in bench.cluster.list("namespaces")}


def test_a_pool_lives_on_without_the_definition_of_functions() -> None:
    bench = PoolBench()
    bench.deploy("du-1")
    definition = bench.cluster.list("customresourcedefinitions.apiextensions.k8s.io")[0]
    bench.cluster.delete("customresourcedefinitions.apiextensions.k8s.io", "", definition["metadata"]["name"])
    bench.clock.advance(30)
    config_map(bench, "another")
    assert not bench.pods()
    assert bench.pool.summary()["functions"] == 0
    again = {key: definition[key] for key in ("apiVersion", "kind", "spec")}
    metadata = {"name": definition["metadata"]["name"]}
    bench.cluster.create("customresourcedefinitions.apiextensions.k8s.io", {**again, "metadata": metadata})
    bench.deploy("du-1")
    assert bench.happened[-1] == ("ready", "du-1")


def test_a_quota_counts_and_holds_up_pods() -> None:
    bench = PoolBench()
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"namespace": NAMESPACE, "name": "minka"}}
    bench.cluster.create("resourcequotas", {**quota, "spec": {"hard": {"requests.cpu": "12", "pods": "5"}}})
    bench.clock.advance(1)
    assert bench.get("resourcequotas", NAMESPACE, "minka")["status"]["used"] == {
        "requests.cpu": "0",
        "pods": "0",
    }
    bench.deploy("du-1")
    used = bench.get("resourcequotas", NAMESPACE, "minka")["status"]
    assert used == {"hard": {"requests.cpu": "12", "pods": "5"}, "used": {"requests.cpu": "8", "pods": "1"}}
    bench.deploy("du-2")
    assert not bench.pods("du-2")
    failed = [event for event in bench.cluster.list("events") if event["reason"] == "FailedCreate"]
    assert "exceeded quota: minka" in failed[0]["message"]
    bench.cluster.delete(NF_DEPLOYMENTS, NAMESPACE, "du-1")
    bench.clock.advance(60)
    assert bench.happened[-1] == ("ready", "du-2")


def test_a_disruption_budget_counts_healthy_pods() -> None:
    bench = PoolBench()
    bench.deploy("du-1", replicas=3)
    bench.protect("du-1", 2)

    def counted() -> tuple[int, ...]:
        status = bench.get("poddisruptionbudgets.policy", NAMESPACE, "du-1")["status"]
        return tuple(
            status[name] for name in ("expectedPods", "currentHealthy", "desiredHealthy", "disruptionsAllowed")
        )

    assert counted() == (3, 3, 2, 1)
    bench.pool.begin_fault("node-lost", bench.pods()[0]["spec"]["nodeName"])
    bench.clock.advance(30)
    assert counted()[1:] == (2, 2, 0)


def test_events_are_counted_and_forgotten_after_an_hour() -> None:
    bench = PoolBench()
    bench.deploy("du-1")
    bench.pool.begin_fault("crash-looping", "du-1")
    bench.clock.advance(120)
    backoffs = [event["count"] for event in bench.cluster.list("events") if event["reason"] == "BackOff"]
    assert len(backoffs) == 1
    assert backoffs[0] > 1
    bench.pool.faults.clear()
    bench.clock.advance(KEPT + 600)
    bench.deploy("du-2")
    assert {event["involvedObject"]["name"].rpartition("-")[0] for event in bench.cluster.list("events")} == {"du-2"}
