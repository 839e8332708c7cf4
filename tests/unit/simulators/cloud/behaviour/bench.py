"""A pool in virtual time, with a listener that notes what its pods serve."""

from __future__ import annotations

from typing import Any

from simulators.clock import VirtualClock
from simulators.cloud.behaviour.controller import NF_DEPLOYMENTS
from simulators.cloud.behaviour.images import Registry
from simulators.cloud.behaviour.kubelet import ServedPod
from simulators.cloud.behaviour.pool import Pool
from simulators.network import NodeRecord, PackageRecord, PoolRecord

NAMESPACE = "minka-host"
API = "workload.nephio.org/v1alpha1"
DU, DU_NEW, CU = (
    f"registry.example/acme/{name}@sha256:{digit * 64}" for name, digit in (("du", "a"), ("du", "b"), ("cu", "c"))
)
#: Seconds from the container's start until a DU is ready.
START = 30
PACKAGES = (
    PackageRecord("acme-du-1", "vdu", "Acme", "1.0.0", DU, 8, 16, 4, 1, True, START, ("nr-28541",)),
    PackageRecord("acme-du-2", "vdu", "Acme", "2.0.0", DU_NEW, 8, 16, 4, 1, True, START, ("nr-28541",)),
    PackageRecord("acme-cu-1", "vcu-cp", "Acme", "1.0.0", CU, 4, 8, start_seconds=START),
)
PACKAGE = {package.image: package.id for package in PACKAGES}


class PoolBench:
    """A pool of equal nodes; ``told`` is what its pods serve, in order.

    Args:
        room: DUs that a node takes.
    """

    def __init__(self, nodes: int = 3, *, room: int = 2, ptp: bool = True) -> None:
        self.clock = VirtualClock()
        self.happened: list[tuple[str, str]] = []
        records = tuple(
            NodeRecord(f"node-{number}", 8 * room, 16 * room, 4 * room, room, ptp, "rack-1" if number < 2 else "")
            for number in range(nodes)
        )
        record = PoolRecord("edge-1", "127.0.0.1", 0, "edge", "cusco", "", records)
        self.pool = Pool(record, Registry(PACKAGES), self.clock, "test", self)
        self.cluster = self.pool.cluster
        self.cluster.create("namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
        self.clock.advance(1)

    # what the pool tells

    def ready(self, pool: str, served: ServedPod) -> None:
        self.happened.append(("ready", served.name))

    def gone(self, pool: str, served: ServedPod, *, silent: bool) -> None:
        self.happened.append(("silent" if silent else "gone", served.name))

    def clock_lost(self, pool: str, served: ServedPod, *, lost: bool) -> None:
        self.happened.append(("clock-lost" if lost else "clock-back", served.name))

    # what a manager does

    def deploy(self, name: str, image: str = DU, *, seconds: float = 60, **spec: Any) -> None:
        """Create a function and wait."""
        labels = {"minka.dev/function": name.upper(), "minka.dev/owner": "host"}
        self.cluster.create(
            NF_DEPLOYMENTS,
            {
                "apiVersion": API,
                "kind": "NFDeployment",
                "metadata": {"namespace": NAMESPACE, "name": name, "labels": labels},
                "spec": {"provider": PACKAGE.get(image, "acme-du-1"), "image": image, "replicas": 1, **spec},
            },
        )
        self.clock.advance(seconds)

    def respecify(self, name: str, **spec: Any) -> None:
        """Change a function."""
        found = self.deployment(name)
        self.cluster.update(NF_DEPLOYMENTS, {**found, "spec": {**found["spec"], **spec}})

    def parameters(self, name: str, **data: str) -> None:
        """Create a ConfigMap."""
        metadata = {"namespace": NAMESPACE, "name": name}
        self.cluster.create("configmaps", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data})

    def get(self, kind: str, namespace: str, name: str) -> dict[str, Any]:
        """An object that is there."""
        found = self.cluster.get(kind, namespace, name)
        assert found is not None, (kind, name)
        return found

    def protect(self, name: str, least: int = 1) -> None:
        """Create a disruption budget for a function."""
        spec = {"minAvailable": least, "selector": {"matchLabels": {"minka.dev/function": name.upper()}}}
        metadata = {"namespace": NAMESPACE, "name": name}
        budget = {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": metadata, "spec": spec}
        self.cluster.create("poddisruptionbudgets.policy", budget)
        self.clock.advance(1)

    def deployment(self, name: str) -> dict[str, Any]:
        """A function as it is."""
        return self.get(NF_DEPLOYMENTS, NAMESPACE, name)

    def state(self, name: str) -> dict[str, str]:
        """The conditions of a function."""
        return {one["type"]: one["status"] for one in self.deployment(name)["status"]["conditions"]}

    def pods(self, name: str = "") -> list[dict[str, Any]]:
        """The pods, of one function if named."""
        pods = self.cluster.list("pods", NAMESPACE)
        return [pod for pod in pods if not name or pod["metadata"]["labels"]["app.kubernetes.io/instance"] == name]

    def pod(self, name: str) -> dict[str, Any]:
        """The only pod of a function."""
        (pod,) = self.pods(name)
        return pod

    def node_of(self, name: str) -> str:
        """Where the only pod of a function runs."""
        return str(self.pod(name)["spec"]["nodeName"])

    def waits(self, name: str) -> str:
        """Why the container of the only pod of a function waits."""
        return str(self.pod(name)["status"]["containerStatuses"][0]["state"].get("waiting", {}).get("reason", ""))

    def node(self, name: str) -> dict[str, Any]:
        """A node as it is."""
        return self.get("nodes", "", name)


def condition(obj: dict[str, Any], kind: str) -> dict[str, Any]:
    """A condition of an object."""
    return next(one for one in obj["status"]["conditions"] if one["type"] == kind)


def taints(node: dict[str, Any]) -> set[str]:
    """Keys of the taints of a node."""
    return {taint["key"] for taint in node["spec"].get("taints", ())}
