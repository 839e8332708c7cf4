"""The vendor's operator: creates pods for NFDeployments, replaces them on changes, and reports their status.

New pods come beside the old ones where the pool has room (one more than asked for); where it has none, the old ones go
first. Pods on a lost node are replaced as soon as they are evicted.
"""

from __future__ import annotations

import hashlib
import json
import random
from typing import Any

from simulators.clock import Clock
from simulators.cloud.behaviour.controller import (
    NF_DEPLOYMENTS,
    Controller,
    Key,
    Object,
    condition_of,
    deleting,
    deployments,
    holds,
    key_of,
    owner_of,
    set_condition,
)
from simulators.cloud.behaviour.events import Events
from simulators.cloud.behaviour.images import Registry
from simulators.cloud.behaviour.nodes import ACCELERATOR, HUGEPAGES, NOT_READY, PTP_LABEL, UNREACHABLE
from simulators.cloud.behaviour.scheduler import over
from simulators.cloud.language.status import StatusError
from simulators.cloud.server.cluster import Cluster

#: The finalizer that keeps a deployment until its pods have ended.
FINALIZER = "workload.nephio.org/pods"
#: Label of a pod with the hash of its template.
TEMPLATE = "workload.nephio.org/template"
#: Labels that pods have from their deployment.
_COPIED = ("minka.dev/function", "minka.dev/owner")
#: Seconds without a ready pod after which a deployment is Stalled.
DEADLINE = 600.0
#: Seconds for which pods stay on a node that is lost.
STAYS_ON_LOST_NODE = 20
#: Resources of a pod, by the key of its parameters.
_RESOURCES = {"cpus": "cpu", "memory_gb": "memory", "hugepages_gb": HUGEPAGES, "accelerators": ACCELERATOR}
_SUFFIX = "bcdfghjklmnpqrstvwxz2456789"


class Operator(Controller):
    """Runs the functions of a pool.

    Args:
        cluster: Where deployments are.
        clock: When things happen.
        registry: The packages that it knows.
        seed: Draws the names of pods.
        events: Events (v1) for people.
    """

    def __init__(self, cluster: Cluster, clock: Clock, registry: Registry, seed: str, events: Events) -> None:
        super().__init__(cluster, clock)
        self._registry = registry
        self._events = events
        self._chance = random.Random(f"{seed}/operator")  # noqa: S311 (replayed on purpose)
        self._since: dict[str, tuple[str, float]] = {}

    def changed(self, event: str, kind: str, obj: Object) -> None:
        """See ``Controller.changed``."""
        if kind == NF_DEPLOYMENTS:
            self.enqueue(key_of(obj))
        elif kind == "pods" and (owner := owner_of(obj)) is not None and owner["kind"] == "NFDeployment":
            self.enqueue((obj["metadata"]["namespace"], owner["name"]))
        elif kind == "configmaps":
            for deployment in deployments(self.cluster, obj["metadata"]["namespace"]):
                if obj["metadata"]["name"] in _references(deployment):
                    self.enqueue(key_of(deployment))

    def reconcile(self, key: Key) -> None:
        """Bring the pods of a deployment in line with it."""
        deployment = self.find(NF_DEPLOYMENTS, key)
        if deployment is None:
            return
        pods = self._pods_of(deployment)
        if deleting(deployment):
            self._end(deployment, pods)
            return
        if FINALIZER not in deployment["metadata"].get("finalizers", ()):
            self.change(NF_DEPLOYMENTS, key, lambda found: _finalizers(found).append(FINALIZER))
            return
        problem, template = self._template(deployment)
        if template is not None:
            for pod in [pod for pod in pods if over(pod) and not deleting(pod)]:
                self.delete("pods", key_of(pod))
            self._roll(deployment, template, [pod for pod in pods if not over(pod)])
        self._say(deployment, template, problem)

    def _pods_of(self, deployment: Object) -> list[Object]:
        uid = deployment["metadata"]["uid"]
        pods = self.cluster.list("pods", deployment["metadata"]["namespace"])
        return [pod for pod in pods if (owner_of(pod) or {}).get("uid") == uid]

    def _end(self, deployment: Object, pods: list[Object]) -> None:
        """Delete the pods, without waiting for those on a lost node."""
        for pod in pods:
            if not deleting(pod):
                self.delete("pods", key_of(pod))
        if all(condition_of(pod, "Ready").get("reason") == "NodeNotReady" for pod in self._pods_of(deployment)):
            self._since.pop(deployment["metadata"]["uid"], None)
            self.change(NF_DEPLOYMENTS, key_of(deployment), lambda found: _remove(_finalizers(found), FINALIZER))

    # -------------------------------------------------------------------- pods

    def _roll(self, deployment: Object, template: Object, pods: list[Object]) -> None:
        wanted = int(deployment["spec"].get("replicas", 1))
        alive = [pod for pod in pods if not deleting(pod)]
        new = [pod for pod in alive if pod["metadata"]["labels"].get(TEMPLATE) == _hash(template)]
        old = [pod for pod in alive if pod not in new]
        # As a ReplicaSet does: pods that are not ready go first, then the newest.
        lasting = sorted(
            new, key=lambda pod: (not holds(pod, "Ready"), pod["metadata"]["creationTimestamp"], key_of(pod))
        )
        surplus = lasting[wanted:]
        room = wanted + 1 - len(alive) if old else wanted - len(new)
        for _ in range(min(room, wanted - len(new))):
            self._make(deployment, template)
        ready = sum(holds(pod, "Ready") for pod in new)
        stuck = any(condition_of(pod, "PodScheduled").get("reason") == "Unschedulable" for pod in new)
        # An old pod goes for each new one that is ready, and one for a new one that has no room beside it.
        going = max(len(old) + ready - wanted, 0)
        if stuck and not going and old:
            going = 1
        in_order = sorted(old, key=lambda pod: (holds(pod, "Ready"), key_of(pod)))
        for pod in [*surplus, *in_order[:going]]:
            self.delete("pods", key_of(pod))

    def _make(self, deployment: Object, template: Object) -> None:
        name = deployment["metadata"]["name"]
        suffix = "".join(self._chance.choice(_SUFFIX) for _ in range(5))
        pod: Object = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "namespace": deployment["metadata"]["namespace"],
                "name": f"{name}-{suffix}",
                "labels": {**template["labels"], TEMPLATE: _hash(template)},
                "ownerReferences": [
                    {
                        "apiVersion": deployment["apiVersion"],
                        "kind": "NFDeployment",
                        "name": name,
                        "uid": deployment["metadata"]["uid"],
                        "controller": True,
                        "blockOwnerDeletion": True,
                    }
                ],
            },
            "spec": template["spec"],
        }
        try:
            self.cluster.create("pods", pod)
        except StatusError as error:
            # For example a full quota: try again, and show people why.
            self._events.warn(deployment, "FailedCreate", str(error), "nf-operator")
            self.enqueue(key_of(deployment), 10.0)

    def _template(self, deployment: Object) -> tuple[str, Object | None]:
        """The problem of a deployment, and the template of its pods."""
        spec, metadata = deployment["spec"], deployment["metadata"]
        image = self._registry.of_package(spec["provider"])
        if image is None:
            return f"provider {spec['provider']!r} is no package that this operator knows", None
        parameters: dict[str, str] = {}
        for name in _references(deployment):
            found = self.find("configmaps", (metadata["namespace"], name))
            if found is None:
                return f"ConfigMap {name} of parametersRefs is not there", None
            parameters |= found.get("data") or {}
        package = image.package
        takes = {key: str(getattr(package, key)) for key in _RESOURCES if getattr(package, key)}
        takes |= {key: parameters[key] for key in _RESOURCES if key in parameters}
        ptp = parameters.get("ptp", str(package.ptp)).lower() == "true"
        resources = {_RESOURCES[key]: value + ("Gi" if key.endswith("_gb") else "") for key, value in takes.items()}
        container: Object = {
            "name": "function",
            "image": spec.get("image", package.image),
            "resources": {"requests": resources, "limits": resources},
            "env": [{"name": name, "value": value} for name, value in sorted(parameters.items())],
            "readinessProbe": {"tcpSocket": {"port": 830}, "periodSeconds": 1},
        }
        pod_spec: Object = {
            "containers": [container],
            "terminationGracePeriodSeconds": 10,
            "tolerations": [
                {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": STAYS_ON_LOST_NODE}
                for key in (NOT_READY, UNREACHABLE)
            ],
        }
        if ptp:
            pod_spec["nodeSelector"] = {PTP_LABEL: "true"}
        if "priority" in parameters:
            pod_spec["priorityClassName"] = parameters["priority"]
        labels = {key: value for key, value in (metadata.get("labels") or {}).items() if key in _COPIED}
        labels |= {"app.kubernetes.io/instance": metadata["name"], "app.kubernetes.io/managed-by": "nf-operator"}
        annotations = {key: spec[key] for key in ("interfaces", "networkInstances", "capacity") if key in spec}
        return "", {"labels": labels, "spec": pod_spec, "networks": annotations}

    # ------------------------------------------------------------------ status

    def _say(self, deployment: Object, template: Object | None, problem: str) -> None:
        pods = [pod for pod in self._pods_of(deployment) if not deleting(pod) and not over(pod)]
        version = "" if template is None else _hash(template)
        ready = [pod for pod in pods if holds(pod, "Ready")]
        current = [pod for pod in ready if pod["metadata"]["labels"].get(TEMPLATE) == version]
        wanted = int(deployment["spec"].get("replicas", 1))
        done = not problem and len(current) == len(pods) == wanted
        stalled = problem or self._stalled(deployment, f"{version}/{len(current)}/{wanted}", done, pods)
        now, generation = self.clock.now(), deployment["metadata"]["generation"]
        message = f"{len(current)} of {wanted} pods are ready"

        def write(found: Object) -> None:
            status: Object = found.setdefault("status", {})
            status |= {"observedGeneration": generation, "replicas": len(pods)}
            said: list[tuple[str, bool, str, str]] = [
                ("Available", bool(ready), "PodsReady" if ready else "NoPodReady", message),
                ("Ready", done, "PodsReady" if done else "PodsNotReady", message),
                ("Reconciling", not done and not stalled, "Done" if done else "Progressing", message),
                ("Stalled", bool(stalled), "Stalled" if stalled else "Progressing", stalled),
            ]
            for kind, holds_, reason, text in said:
                set_condition(found, now, kind, "True" if holds_ else "False", reason, text)
            for condition in status["conditions"]:
                condition["observedGeneration"] = generation

        self.change(NF_DEPLOYMENTS, key_of(deployment), write, status=True)

    def _stalled(self, deployment: Object, progress: str, done: bool, pods: list[Object]) -> str:
        """Why a deployment has made no progress for long; empty while it makes progress."""
        uid = deployment["metadata"]["uid"]
        if done:
            self._since.pop(uid, None)
            return ""
        known, since = self._since.get(uid, ("", 0.0))
        if known != progress:
            since = self.clock.monotonic()
            self._since[uid] = progress, since
        left = since + DEADLINE - self.clock.monotonic()
        if left > 0:
            self.enqueue(key_of(deployment), left)
            return ""
        return f"no progress for {DEADLINE:g} s: {'; '.join(filter(None, map(_trouble, pods))) or 'no pod'}"


def _trouble(pod: Object) -> str:
    """Why a pod is not ready, by its status."""
    scheduled = condition_of(pod, "PodScheduled")
    if scheduled.get("status") == "False":
        return f"{pod['metadata']['name']}: {scheduled.get('message', scheduled.get('reason', ''))}"
    container: Any = next(iter(pod.get("status", {}).get("containerStatuses") or ()), {})
    waiting = container.get("state", {}).get("waiting", {})
    if waiting:
        return f"{pod['metadata']['name']}: {waiting.get('reason')}"
    return "" if holds(pod, "Ready") else f"{pod['metadata']['name']}: not ready"


def _references(deployment: Object) -> list[str]:
    """Names of the ConfigMaps with the parameters of a deployment."""
    references = deployment["spec"].get("parametersRefs") or ()
    return [ref["name"] for ref in references if ref.get("kind", "ConfigMap") == "ConfigMap"]


def _hash(template: Object) -> str:
    return hashlib.sha256(json.dumps(template, sort_keys=True).encode()).hexdigest()[:10]


def _finalizers(obj: Object) -> list[str]:
    found: list[str] = obj["metadata"].setdefault("finalizers", [])
    return found


def _remove(items: list[str], item: str) -> None:
    if item in items:
        items.remove(item)
