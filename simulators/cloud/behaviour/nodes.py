"""Nodes: their resources and readiness, and the effect on the pods on them.

As in Kubernetes, a node whose kubelet falls silent is Unknown after a grace period and gets a taint; pods that don't
tolerate it, or not for ever, are evicted. Such a pod stays Terminating until its node is back.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from simulators.clock import Clock
from simulators.cloud.behaviour.controller import (
    Controller,
    Key,
    Object,
    condition_of,
    deleting,
    holds,
    key_of,
    set_condition,
    stamp,
)
from simulators.cloud.behaviour.events import Events
from simulators.cloud.server.cluster import Cluster
from simulators.network import NodeRecord, PoolRecord

#: The resource of an accelerator, as a device plug-in offers it.
ACCELERATOR = "minka.dev/accelerators"
HUGEPAGES = "hugepages-1Gi"
#: Label of a node whose clock follows PTP, and the condition that says whether it does so now.
PTP_LABEL, CLOCK = "minka.dev/ptp", "ClockSynchronized"
UNREACHABLE, NOT_READY = "node.kubernetes.io/unreachable", "node.kubernetes.io/not-ready"
CORDONED, DISK_PRESSURE = "node.kubernetes.io/unschedulable", "node.kubernetes.io/disk-pressure"
CLOCK_LOST = "minka.dev/clock-lost"
#: The reporter of evictions.
_TAINTS = "taint-eviction-controller"
#: Most pods of a node, and its disk.
_PODS, _DISK = 110, "200Gi"


def node_object(pool: PoolRecord, record: NodeRecord, version: str, number: int, now: datetime) -> Object:
    """A node as its kubelet registers it: all its resources are allocatable."""
    resources = {
        "cpu": str(record.cpus),
        "memory": f"{record.memory_gb}Gi",
        HUGEPAGES: f"{record.hugepages_gb}Gi",
        "ephemeral-storage": _DISK,
        "pods": str(_PODS),
    } | ({ACCELERATOR: str(record.accelerators)} if record.accelerators else {})
    labels = {
        "kubernetes.io/arch": "amd64",
        "kubernetes.io/hostname": record.id,
        "kubernetes.io/os": "linux",
        "topology.kubernetes.io/region": pool.region,
        "topology.kubernetes.io/zone": record.failure_domain or record.id,
    } | ({PTP_LABEL: "true"} if record.ptp else {})
    node: Object = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": record.id, "labels": labels},
        "spec": {"providerID": f"minka://{pool.id}/{record.id}", "podCIDR": f"10.244.{number}.0/24"},
        "status": {
            "capacity": resources,
            "allocatable": dict(resources),
            "addresses": [
                {"type": "InternalIP", "address": f"192.168.0.{number + 1}"},
                {"type": "Hostname", "address": record.id},
            ],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
            "nodeInfo": _info(f"{pool.id}-{record.id}", version),
        },
    }
    for kind in ("MemoryPressure", "DiskPressure", "PIDPressure"):
        set_condition(node, now, kind, "False", f"KubeletHasNo{kind}", f"kubelet has no {kind}")
    _say_ready(node, now)
    if record.ptp:
        set_condition(node, now, CLOCK, "True", "PTPLocked", "the clock follows its PTP grandmaster")
    return node


def _info(name: str, version: str) -> dict[str, Any]:
    return {
        "architecture": "amd64",
        "bootID": f"boot-{name}",
        "containerRuntimeVersion": "containerd://2.0.0",
        "kernelVersion": "6.12.0-rt",
        "kubeProxyVersion": "",
        "kubeletVersion": version,
        "machineID": f"machine-{name}",
        "operatingSystem": "linux",
        "osImage": "Minka simulated node",
        "systemUUID": f"system-{name}",
    }


def _say_ready(node: Object, now: datetime) -> None:
    set_condition(node, now, "Ready", "True", "KubeletReady", "kubelet is posting ready status")


class NodeLifecycle(Controller):
    """Watches the heartbeats of nodes, taints nodes without, and evicts their pods.

    Args:
        cluster: Where they are.
        clock: When they are reconciled.
        events: Events (v1) for people.
        grace_seconds: Seconds of silence after which a node counts as lost.
    """

    def __init__(self, cluster: Cluster, clock: Clock, events: Events, grace_seconds: float) -> None:
        super().__init__(cluster, clock)
        self._events = events
        self._grace = grace_seconds
        self._silent_since: dict[str, float] = {}

    def changed(self, event: str, kind: str, obj: Object) -> None:
        """See ``Controller.changed``."""
        if kind == "nodes":
            self.enqueue(key_of(obj))
        elif kind == "pods" and (node := obj["spec"].get("nodeName")) and self._taint(("", node)):
            self.enqueue(("", node))

    def fell_silent(self, node: str) -> None:
        """Note that the kubelet of a node is silent from now on."""
        self._silent_since[node] = self.clock.monotonic()
        self.enqueue(("", node))

    def is_back(self, node: str) -> None:
        """Note that the kubelet of a node reports again."""
        self._silent_since.pop(node, None)
        self.change("nodes", ("", node), lambda found: _say_ready(found, self.clock.now()), status=True)
        self.enqueue(("", node))

    def reconcile(self, key: Key) -> None:
        """Update the conditions of a node, taint it accordingly, and evict pods from it."""
        silent = self._silent_since.get(key[1])
        left = 0.0 if silent is None else silent + self._grace - self.clock.monotonic()
        if left > 0:
            self.enqueue(key, left)
        elif silent is not None:
            self._call_it_lost(key)
        if (node := self.find("nodes", key)) is None:
            # No kubelet is left that could end its pods.
            for pod in self._pods_on(key[1]):
                self.delete("pods", key_of(pod), grace=0)
            return
        wanted = _taints(node)
        self.change("nodes", key, lambda found: _set_taints(found, wanted, self.clock.now()))
        self._evict(key)

    def _call_it_lost(self, key: Key) -> None:
        now = self.clock.now()

        def unknown(node: Object) -> None:
            for kind in ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure"):
                message = "Kubelet stopped posting node status."
                set_condition(node, now, kind, "Unknown", "NodeStatusUnknown", message)

        def not_ready(pod: Object) -> None:
            set_condition(pod, now, "Ready", "False", "NodeNotReady", "the node of the pod is not ready")

        node = self.find("nodes", key)
        if node is None or condition_of(node, "Ready").get("status") == "Unknown":
            return
        self._events.record(node, "NodeNotReady", f"Node {key[1]} status is now: NodeNotReady", "node-controller")
        self.change("nodes", key, unknown, status=True)
        for pod in self._pods_on(key[1]):
            if holds(pod, "Ready"):
                self.change("pods", key_of(pod), not_ready, status=True)

    def _evict(self, key: Key) -> None:
        """Delete pods that no longer tolerate a taint of their node; reconcile again when the next ones don't."""
        taint = self._taint(key)
        if taint is None:
            return
        since = datetime.strptime(taint["timeAdded"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        for pod in self._pods_on(key[1]):
            stays = _tolerates_for(pod, taint)
            if deleting(pod) or stays is None:
                continue
            left = stays - (self.clock.now() - since).total_seconds()
            if left <= 0:
                self._events.record(
                    pod, "TaintManagerEviction", f"Marking for deletion Pod {'/'.join(key_of(pod))}", _TAINTS
                )
                self.delete("pods", key_of(pod))
            else:
                self.enqueue(key, left)

    def _taint(self, key: Key) -> Object | None:
        node = self.find("nodes", key) or {}
        return next((t for t in node.get("spec", {}).get("taints") or () if t["effect"] == "NoExecute"), None)

    def _pods_on(self, node: str) -> list[Object]:
        return [pod for pod in self.cluster.list("pods") if pod["spec"].get("nodeName") == node]


def _taints(node: Object) -> list[tuple[str, str]]:
    """Keys and effects of the taints that follow from the state of a node."""
    ready = condition_of(node, "Ready").get("status")
    found = []
    if node["spec"].get("unschedulable"):
        found.append((CORDONED, "NoSchedule"))
    if holds(node, "DiskPressure"):
        found.append((DISK_PRESSURE, "NoSchedule"))
    if condition_of(node, CLOCK).get("status") == "False":
        found.append((CLOCK_LOST, "NoSchedule"))
    if ready != "True":
        lost = UNREACHABLE if ready == "Unknown" else NOT_READY
        found += [(lost, "NoSchedule"), (lost, "NoExecute")]
    return found


_OURS = frozenset({CORDONED, DISK_PRESSURE, CLOCK_LOST, UNREACHABLE, NOT_READY})


def _set_taints(node: Object, wanted: list[tuple[str, str]], now: datetime) -> None:
    """Give a node the taints that follow from its state, beside those that others gave it."""
    there = {(taint["key"], taint["effect"]): taint for taint in node["spec"].get("taints") or ()}
    kept = [taint for taint in there.values() if taint["key"] not in _OURS]
    ours = []
    for key, effect in wanted:
        made = {"key": key, "effect": effect} | ({"timeAdded": stamp(now)} if effect == "NoExecute" else {})
        ours.append(there.get((key, effect), made))
    if kept or ours:
        node["spec"]["taints"] = [*kept, *ours]
    else:
        node["spec"].pop("taints", None)


def tolerates(pod: Object, taint: Object) -> bool:
    """Whether a pod tolerates a taint, at least for a while."""
    return any(_fits(toleration, taint) for toleration in pod["spec"].get("tolerations") or ())


def _tolerates_for(pod: Object, taint: Object) -> float | None:
    """Seconds for which a pod stays on a node with a NoExecute taint; none for ever, 0 if it does not tolerate it."""
    fitting = [one for one in pod["spec"].get("tolerations") or () if _fits(one, taint)]
    seconds = [one["tolerationSeconds"] for one in fitting if one.get("tolerationSeconds") is not None]
    if not fitting:
        return 0.0
    return float(min(seconds)) if seconds else None


def _fits(toleration: Object, taint: Object) -> bool:
    if toleration.get("effect") not in (None, "", taint["effect"]):
        return False
    if toleration.get("operator", "Equal") == "Exists":
        return toleration.get("key") in (None, "", taint["key"])
    return bool(toleration.get("key") == taint["key"] and toleration.get("value", "") == taint.get("value", ""))
