"""A pool: the objects behind its API, the controllers that act on them, and its faults."""

from __future__ import annotations

import json
import random
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import yaml

from simulators.clock import Clock
from simulators.cloud.behaviour.cleanup import Disruptions, GarbageCollector, Namespaces, QuotaStatus
from simulators.cloud.behaviour.controller import (
    NF_DEPLOYMENTS,
    Controller,
    Object,
    deployments,
    has_kind,
    holds,
    key_of,
    set_condition,
)
from simulators.cloud.behaviour.events import Events
from simulators.cloud.behaviour.faults import (
    CRASH_LOOPING,
    DISK_PRESSURE,
    NEVER_READY,
    NODE_LOST,
    PTP_LOST,
    REGISTRY_UNREACHABLE,
    FaultTarget,
    PoolFault,
    PoolFaults,
    UnknownPoolFaultError,
    pool_fault_kind,
)
from simulators.cloud.behaviour.images import Link, Registry
from simulators.cloud.behaviour.kubelet import Kubelets, ServedPod
from simulators.cloud.behaviour.nodes import CLOCK, NodeLifecycle, node_object
from simulators.cloud.behaviour.operator import Operator
from simulators.cloud.behaviour.scheduler import Scheduler
from simulators.cloud.behaviour.upgrade import Upgrade
from simulators.cloud.server.cluster import VERSION, Cluster
from simulators.cloud.server.faults import ApiFaults
from simulators.history import EventKind, History
from simulators.network import PoolRecord

#: The vendor operator's definition: our subset of Nephio's NFDeployment, with its names and types.
_CRD = Path(__file__).parent / "nfdeployments.yaml"


@cache
def _definition() -> Object:
    found: Object = yaml.safe_load(_CRD.read_text(encoding="utf-8"))
    return found


#: What nodes run.
#: Seconds of silence after which a node is taken for lost: tuned for the edge, where Kubernetes itself waits 50.
GRACE_SECONDS = 20.0


#: Kinds whose objects outlive a stop of the fleet.
_KEPT = (
    *("namespaces", "configmaps", "secrets", "resourcequotas"),
    *("networkpolicies.networking.k8s.io", "poddisruptionbudgets.policy", "priorityclasses.scheduling.k8s.io"),
    NF_DEPLOYMENTS,
)


class Functions(Protocol):
    """Receives changes of what the pods of a pool serve."""

    def ready(self, pool: str, served: ServedPod) -> None:
        """Note that a pod serves its function from now on."""

    def gone(self, pool: str, served: ServedPod, *, silent: bool) -> None:
        """Note that a pod no longer serves; ``silent`` if its node is lost."""

    def clock_lost(self, pool: str, served: ServedPod, *, lost: bool) -> None:
        """Note that the clock of a pod's node lost PTP, or follows it again."""


class Pool:
    """One pool.

    Args:
        record: The pool in the network files.
        registry: The images of the network.
        clock: Its time.
        seed: Seed of random events.
        functions: Called with changes of what its pods serve.
        authority: Certificates of the authority that signed that of its API, PEM.

    Attributes:
        cluster: Its objects, for the API.
        faults: Its present faults.
        api_faults: The faults of its API.
    """

    def __init__(
        self,
        record: PoolRecord,
        registry: Registry,
        clock: Clock,
        seed: str,
        functions: Functions,
        authority: str = "",
    ) -> None:
        self.record = record
        self.id = record.id
        self.clock = clock
        self.cluster = Cluster(record.id, clock, seed)
        self.history = History(record.id, clock)
        self.faults = PoolFaults(f"{seed}/{record.id}", clock, self._fault_changed)
        self.api_faults = ApiFaults(f"{seed}/{record.id}/api")
        self._functions = functions
        self._link = Link(record.where, registry, clock)
        self._seed = f"{seed}/{record.id}"
        events = Events(self.cluster, clock)
        self._lifecycle = NodeLifecycle(self.cluster, clock, events, GRACE_SECONDS)
        self._kubelets = Kubelets(self.cluster, clock, self._link, self, self, events)
        self._controllers: tuple[Controller, ...] = (
            Namespaces(self.cluster, clock, authority),
            GarbageCollector(self.cluster, clock),
            Operator(self.cluster, clock, registry, self._seed, events),
            Scheduler(self.cluster, clock, events),
            self._lifecycle,
            self._kubelets,
            QuotaStatus(self.cluster, clock),
            Disruptions(self.cluster, clock),
        )
        self._upgrade = Upgrade(self.cluster, clock, self._lifecycle.fell_silent, self._lifecycle.is_back)
        self._saved = object()
        self.cluster.subscribe(self._changed)
        self.cluster.create("customresourcedefinitions.apiextensions.k8s.io", _definition())
        for number, node in enumerate(record.nodes):
            self.cluster.create("nodes", node_object(record, node, VERSION, number, clock.now()))

    def admit_user(self, user: str, token: str) -> None:
        """Admit a user with all rights, by bearer token or client certificate."""
        self.cluster.access.add_token(token, user)
        group = "rbac.authorization.k8s.io"
        self.cluster.create(
            f"clusterrolebindings.{group}",
            {
                "apiVersion": f"{group}/v1",
                "kind": "ClusterRoleBinding",
                "metadata": {"name": user},
                "subjects": [{"kind": "User", "apiGroup": group, "name": user}],
                "roleRef": {"kind": "ClusterRole", "apiGroup": group, "name": "cluster-admin"},
            },
        )

    def _changed(self, event: str, kind: str, obj: Object) -> None:
        if kind in _KEPT:
            self._saved = object()
        for controller in self._controllers:
            controller.changed(event, kind, obj)

    # ------------------------------------------------------------ what is kept

    @property
    def saved(self) -> object:
        """The state that outlives a stop of the fleet; a new object whenever it changes."""
        return self._saved

    def saved_text(self) -> str:
        """Objects of managers as JSON, without pods, which start again."""
        return json.dumps({kind: self.cluster.list(kind) for kind in _KEPT if has_kind(self.cluster, kind)})

    def load_saved(self, text: str) -> None:
        """Start with the state of an earlier run. Raises ValueError if it does not fit this pool."""
        for kind, objects in json.loads(text).items():
            if kind not in _KEPT:
                raise ValueError(f"a pool keeps no {kind}")
            for obj in objects:
                self.cluster.store.put(kind, key_of(obj), obj)

    # -------------------------------------------------------- what pods serve

    def ready(self, served: ServedPod) -> None:
        """See ``kubelet.Services``."""
        self.history.record(EventKind.POD_READY, function=served.name, node=served.node)
        self._functions.ready(self.id, served)
        if self.faults.of(PTP_LOST, served.node):
            self._functions.clock_lost(self.id, served, lost=True)

    def gone(self, served: ServedPod, *, silent: bool) -> None:
        """See ``kubelet.Services``."""
        self.history.record(EventKind.POD_GONE, function=served.name, node=served.node)
        self._functions.gone(self.id, served, silent=silent)

    def crashes(self, name: str, image: str) -> float | None:
        """See ``kubelet.ContainerFaults``."""
        fault = self.faults.of(CRASH_LOOPING, name)
        return fault.after if fault is not None and fault.image == image else None

    def never_ready(self, name: str, image: str) -> bool:
        """See ``kubelet.ContainerFaults``."""
        fault = self.faults.of(NEVER_READY, name)
        return fault is not None and fault.image == image

    # ------------------------------------------------------------------ faults

    def begin_fault(self, name: str, target: str = "", seed: str | None = None) -> tuple[PoolFault, ...]:
        """Begin a fault.

        Args:
            name: Its kind.
            target: A node, a failure domain or a function; empty lets the seed draw one.
            seed: Draws its target and its course; that of the pool by default.

        Returns:
            The faults that began: none if they existed already, several in a failure domain.

        Raises:
            UnknownPoolFaultError: there is no such fault, or nothing of that name for it to strike.
        """
        kind = pool_fault_kind(name)
        targets = self._targets(kind.place, name, target, self._seed if seed is None else seed)
        begun = [one for one in targets if self.faults.of(name, one) is None]
        return tuple(self.faults.begin(kind, one, self._image_of(one), seed) for one in begun)

    def _targets(self, place: FaultTarget, name: str, target: str, seed: str) -> list[str]:
        if place is FaultTarget.POOL:
            if target:
                raise UnknownPoolFaultError(f"{name} strikes a pool, not {target}")
            return [""]
        if place is FaultTarget.NODE:
            known = [node.id for node in self.record.nodes]
            together = [node.id for node in self.record.nodes if target and node.failure_domain == target]
        else:
            known = [found["metadata"]["name"] for found in deployments(self.cluster)]
            together = [target.lower()] if target.lower() in known else []
        if together:
            return together
        if target in known:
            return [target]
        if target or not known:
            raise UnknownPoolFaultError(f"{self.id} has no {place.value} {target}".rstrip())
        return [random.Random(f"{seed}/{name}").choice(known)]  # noqa: S311 (replayed on purpose)

    def _image_of(self, function: str) -> str:
        found = (one for one in deployments(self.cluster) if one["metadata"]["name"] == function)
        return str(next(found, {}).get("spec", {}).get("image", ""))

    def _fault_changed(self, fault: PoolFault, begins: bool) -> None:
        kind = EventKind.NETWORK_FAULT if begins else EventKind.NETWORK_FAULT_ENDED
        self.history.record(kind, id=fault.id, fault=fault.kind.name, target=fault.target)
        name, target = fault.kind.name, fault.target
        if name == NODE_LOST:
            self._lose(target) if begins else self._bring_back(target)
        elif name == DISK_PRESSURE:
            self._disk(target, full=begins)
        elif name == PTP_LOST:
            self._ptp(target, lost=begins)
        elif name == REGISTRY_UNREACHABLE:
            self._link.reachable = not begins
        elif fault.kind.place is FaultTarget.FUNCTION:
            self._kubelets.check(target)

    def _lose(self, node: str) -> None:
        self._kubelets.lose(node)
        self._lifecycle.fell_silent(node)

    def _bring_back(self, node: str) -> None:
        self._lifecycle.is_back(node)
        self._kubelets.restore(node)

    def _disk(self, node: str, *, full: bool) -> None:
        said = ("True", "KubeletHasDiskPressure") if full else ("False", "KubeletHasNoDiskPressure")
        self._set(node, "DiskPressure", *said, f"kubelet has {'' if full else 'no '}disk pressure")
        if full:
            self._kubelets.forget_images(node)
            self._kubelets.evict(node, "The node was low on resource: ephemeral-storage.")

    def _ptp(self, node: str, *, lost: bool) -> None:
        said = ("False", "PTPHoldover", "the PTP grandmaster is lost") if lost else ("True", "PTPLocked", "")
        self._set(node, CLOCK, *said)
        for served in self._kubelets.on_node(node):
            self._functions.clock_lost(self.id, served, lost=lost)

    def _set(self, node: str, kind: str, status: str, reason: str, message: str) -> None:
        now = self.clock.now()
        self._lifecycle.change(
            "nodes", ("", node), lambda found: set_condition(found, now, kind, status, reason, message), status=True
        )

    def upgrade(self, version: str) -> None:
        """Upgrade the API server to a version of Kubernetes, then the nodes, one after the other."""
        self.history.record(EventKind.SOFTWARE, version=version)
        self.cluster.version = version
        self._upgrade.begin(version)

    # ----------------------------------------------------------------- reading

    def summary(self) -> dict[str, Any]:
        """A summary of the pool."""
        nodes, pods = self.cluster.list("nodes"), self.cluster.list("pods")
        functions = deployments(self.cluster)
        return {
            "pool": self.id,
            "nodes": len(nodes),
            "nodes_ready": sum(holds(node, "Ready") for node in nodes),
            "pods": len(pods),
            "pods_ready": sum(holds(pod, "Ready") for pod in pods),
            "functions": len(functions),
            "functions_ready": sum(holds(found, "Ready") for found in functions),
            "faults": len(self.faults),
            "upgrading_to": self._upgrade.version,
        }
