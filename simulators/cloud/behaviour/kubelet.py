"""The kubelets of a pool: they pull images, and start, probe, restart and stop containers.

What a pod serves goes to ``Services``: that it is ready, and that it is gone.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from simulators.clock import Clock, Timer
from simulators.cloud.behaviour.controller import Controller, Key, Object, deleting, key_of, set_condition, stamp
from simulators.cloud.behaviour.events import Events
from simulators.cloud.behaviour.images import Link, PullError
from simulators.cloud.behaviour.scheduler import over
from simulators.cloud.server.cluster import Cluster

#: Seconds until a failed pull, or a crashed container, is tried again; twice as long each time, as in Kubernetes.
BACKOFF, MAX_BACKOFF = 10.0, 300.0
#: Seconds that a container runs well after which its backoff begins again.
FORGIVEN = 600.0
#: Seconds until a container has ended after it was asked to.
STOP_SECONDS = 2.0
#: Seconds until a container runs once its image is there.
CREATE_SECONDS = 1.0
#: Most log lines to keep of a container.
LOG_LINES = 100
#: Default start-up time of a container.
USUAL_START = 5.0


class Stage(StrEnum):
    """The stage of a pod on its node."""

    PULLING = "pulling"
    CREATING = "creating"
    RUNNING = "running"
    READY = "ready"
    WAITING = "waiting"
    """For another try."""
    STOPPING = "stopping"


@dataclass(frozen=True, slots=True)
class ServedPod:
    """A ready pod and what it serves.

    Attributes:
        name: Name of its NFDeployment, or its own.
        pod: Its uid.
        image: What its container runs.
    """

    name: str
    pod: str
    node: str
    image: str


class Services(Protocol):
    """Receives changes of what pods serve."""

    def ready(self, served: ServedPod) -> None:
        """Note that a pod is ready from now on."""

    def gone(self, served: ServedPod, *, silent: bool) -> None:
        """Note that a pod is gone; ``silent`` if its node is lost, so that nothing even refuses connections."""


class ContainerFaults(Protocol):
    """Tells which containers fail, by the faults of a pool."""

    def crashes(self, name: str, image: str) -> float | None:
        """Seconds after which a container of a function crashes; None if it does not."""

    def never_ready(self, name: str, image: str) -> bool:
        """Whether a container of a function never answers its readiness probe."""


@dataclass(slots=True)
class _Pod:
    """A pod on its node."""

    key: Key
    uid: str
    node: str
    name: str
    image: str
    stage: Stage = Stage.PULLING
    timer: Timer | None = None
    restarts: int = 0
    failures: int = 0
    started: float = 0.0
    said: dict[str, Any] | None = None
    last: dict[str, Any] | None = None
    log: deque[str] = field(default_factory=lambda: deque(maxlen=LOG_LINES))

    @property
    def served(self) -> ServedPod:
        return ServedPod(self.name, self.uid, self.node, self.image)


class Kubelets(Controller):
    """The kubelets of all nodes of a pool.

    Args:
        cluster: Where pods are.
        clock: When things happen.
        link: Where images come from.
        services: Who gets called.
        faults: Which containers fail.
        events: Events (v1) for people.
    """

    def __init__(
        self, cluster: Cluster, clock: Clock, link: Link, services: Services, faults: ContainerFaults, events: Events
    ) -> None:
        super().__init__(cluster, clock)
        self._link = link
        self._services = services
        self._faults = faults
        self._events = events
        self._pods: dict[str, _Pod] = {}
        #: By node, the moment from which each image is there.
        self._images: dict[str, dict[str, float]] = {}
        self._lost: set[str] = set()
        self._addresses = 0
        cluster.log_of = self._log_of

    def changed(self, event: str, kind: str, obj: Object) -> None:
        """See ``Controller.changed``."""
        if kind != "pods":
            return
        if event == "DELETED":
            self._forget(obj["metadata"]["uid"])
        elif obj["spec"].get("nodeName"):
            self.enqueue(key_of(obj))

    def reconcile(self, key: Key) -> None:
        """Start or stop a pod."""
        pod = self.find("pods", key)
        if pod is None or pod["spec"]["nodeName"] in self._lost:
            return
        uid = pod["metadata"]["uid"]
        if deleting(pod):
            self._stop(pod, self._pods.get(uid))
        elif uid not in self._pods and not over(pod):
            self._begin(pod)

    # ------------------------------------------------------------------- nodes

    def lose(self, node: str) -> None:
        """Cut a node's power: its containers end without a report."""
        self._lost.add(node)
        now = self.clock.monotonic()
        self._images[node] = {image: since for image, since in self._images.get(node, {}).items() if since <= now}
        for pod in [pod for pod in self._pods.values() if pod.node == node]:
            self._forget(pod.uid, silent=True)

    def restore(self, node: str) -> None:
        """Restore a node's power: its containers restart, and those of deleted pods end."""
        self._lost.discard(node)
        for pod in self.cluster.list("pods"):
            if pod["spec"].get("nodeName") == node:
                self.enqueue(key_of(pod))

    def forget_images(self, node: str) -> None:
        """Delete the images of a node, to make room on its disk."""
        self._images.pop(node, None)

    def evict(self, node: str, reason: str) -> str | None:
        """End the least important pod of a node for lack of something; return its name, none if there is no pod."""
        here = [pod for pod in self.cluster.list("pods") if self._runs(pod, node)]
        if not here:
            return None
        pod = min(here, key=lambda one: (int(one["spec"].get("priority") or 0), key_of(one)))

        def fail(one: Object) -> None:
            one["status"] |= {"phase": "Failed", "reason": "Evicted", "message": reason}
            set_condition(one, self.clock.now(), "Ready", "False", "PodFailed")

        self._forget(pod["metadata"]["uid"])
        self._events.warn(pod, "Evicted", reason, "kubelet")
        self.change("pods", key_of(pod), fail, status=True)
        return str(pod["metadata"]["name"])

    def _runs(self, pod: Object, node: str) -> bool:
        return pod["spec"].get("nodeName") == node and pod["metadata"]["uid"] in self._pods and not deleting(pod)

    def on_node(self, node: str) -> list[ServedPod]:
        """The ready pods of a node, with what they serve."""
        return [pod.served for pod in self._pods.values() if pod.node == node and pod.stage is Stage.READY]

    def check(self, name: str) -> None:
        """Apply changed faults of a function's containers to those that run."""
        for pod in [pod for pod in self._pods.values() if pod.name == name]:
            if pod.stage in (Stage.RUNNING, Stage.READY):
                self._run_on(pod)

    def _host_address(self, node: str) -> str:
        found = self.find("nodes", ("", node)) or {"status": {"addresses": []}}
        addresses = found["status"]["addresses"]
        return next((str(one["address"]) for one in addresses if one["type"] == "InternalIP"), "")

    def _log_of(self, namespace: str, name: str, _container: str) -> str:
        """What the container of a pod has written, as ``kubectl logs`` shows it."""
        pod = next((pod for pod in self._pods.values() if pod.key == (namespace, name)), None)
        return "" if pod is None else "".join(f"{line}\n" for line in pod.log)

    def _write_log(self, pod: _Pod, line: str) -> None:
        pod.log.append(f"{stamp(self.clock.now())} {line}")

    # ---------------------------------------------------------------- one pod

    def _begin(self, found: Object) -> None:
        container = found["spec"]["containers"][0]
        name = (found["metadata"].get("labels") or {}).get("app.kubernetes.io/instance", found["metadata"]["name"])
        pod = _Pod(key_of(found), found["metadata"]["uid"], found["spec"]["nodeName"], name, container["image"])
        before = next(iter(found.get("status", {}).get("containerStatuses") or ()), None)
        if before is not None:
            # Its node lost power under it.
            pod.restarts = before["restartCount"] + 1
        self._pods[pod.uid] = pod
        self._say(pod, waiting="ContainerCreating")
        self._pull(pod)

    def _pull(self, pod: _Pod) -> None:
        pod.stage = Stage.PULLING
        there, now = self._images.setdefault(pod.node, {}), self.clock.monotonic()
        if there.get(pod.image, math.inf) <= now:
            self._record(pod, "Pulled", f'Container image "{pod.image}" already present on machine')
            self._create(pod)
            return
        try:
            # Another pod's pull may be under way.
            seconds = there[pod.image] - now if pod.image in there else self._link.pull(pod.image)
        except PullError as error:
            self._warn(pod, "Failed", str(error))
            self._try_again(pod, "ErrImagePull" if not pod.failures else "ImagePullBackOff", str(error))
            return
        there[pod.image] = now + seconds
        self._record(pod, "Pulling", f'Pulling image "{pod.image}"')
        self._after(pod, seconds, lambda: self._pulled(pod, seconds))

    def _pulled(self, pod: _Pod, seconds: float) -> None:
        self._record(pod, "Pulled", f'Successfully pulled image "{pod.image}" in {seconds:.1f}s')
        self._create(pod)

    def _create(self, pod: _Pod) -> None:
        pod.stage = Stage.CREATING
        self._after(pod, CREATE_SECONDS, lambda: self._run(pod))

    def _run(self, pod: _Pod) -> None:
        pod.stage, pod.started = Stage.RUNNING, self.clock.monotonic()
        self._record(pod, "Started", "Started container")
        self._write_log(pod, f"{pod.name} starts from {pod.image}")
        self._say(pod, running=True)
        self._run_on(pod)

    def _run_on(self, pod: _Pod) -> None:
        """Continue a running container: it crashes, becomes ready, or stays ready."""
        age = self.clock.monotonic() - pod.started
        crashes = self._faults.crashes(pod.name, pod.image)
        if crashes is not None:
            self._after(pod, max(crashes - age, 0.0), lambda: self._crash(pod))
        elif self._faults.never_ready(pod.name, pod.image):
            self._not_ready(pod)
            self._warn(pod, "Unhealthy", "Readiness probe failed: connection refused")
            self._write_log(pod, "ERROR no answer from the accelerator; waiting")
        elif pod.stage is Stage.RUNNING:
            image = self._link.registry.image(pod.image)
            start = USUAL_START if image is None else image.package.start_seconds
            self._after(pod, max(start - age, 0.0), lambda: self._is_ready(pod))

    def _is_ready(self, pod: _Pod) -> None:
        pod.stage = Stage.READY
        self._write_log(pod, "ready")
        self._say(pod, running=True, ready=True)
        self._services.ready(pod.served)

    def _not_ready(self, pod: _Pod) -> None:
        if pod.stage is Stage.READY:
            pod.stage = Stage.RUNNING
            self._services.gone(pod.served, silent=False)
            self._say(pod, running=True)

    def _crash(self, pod: _Pod) -> None:
        now = stamp(self.clock.now())
        self._not_ready(pod)
        if self.clock.monotonic() - pod.started >= FORGIVEN:
            pod.failures = 0
        pod.last = {"terminated": {"exitCode": 139, "reason": "Error", "finishedAt": now, "startedAt": now}}
        self._write_log(pod, "FATAL segmentation fault (core dumped)")
        self._warn(pod, "BackOff", "Back-off restarting failed container")
        self._try_again(pod, "CrashLoopBackOff", "back-off restarting failed container")

    def _try_again(self, pod: _Pod, reason: str, message: str) -> None:
        pod.stage = Stage.WAITING
        seconds = min(BACKOFF * 2**pod.failures, MAX_BACKOFF)
        pod.failures += 1
        pod.restarts += reason == "CrashLoopBackOff"
        self._say(pod, waiting=reason, message=message)
        self._after(pod, seconds, lambda: self._pull(pod))

    def _stop(self, found: Object, pod: _Pod | None) -> None:
        if pod is None:
            self.delete("pods", key_of(found), grace=0)
            return
        if pod.stage is Stage.STOPPING:
            return
        self._not_ready(pod)
        pod.stage = Stage.STOPPING
        self._record(pod, "Killing", "Stopping container")
        self._write_log(pod, "asked to stop")
        grace = float(found["metadata"].get("deletionGracePeriodSeconds") or 0)
        self._after(pod, min(grace, STOP_SECONDS), lambda: self.delete("pods", pod.key, grace=0))

    def _forget(self, uid: str, *, silent: bool = False) -> None:
        pod = self._pods.pop(uid, None)
        if pod is None:
            return
        if pod.timer is not None:
            pod.timer.cancel()
        if pod.stage is Stage.READY:
            self._services.gone(pod.served, silent=silent)

    def _after(self, pod: _Pod, seconds: float, callback: Any) -> None:
        if pod.timer is not None:
            pod.timer.cancel()
        pod.timer = self.clock.call_later(seconds, callback)

    # ------------------------------------------------------------------ status

    def _record(self, pod: _Pod, reason: str, message: str) -> None:
        if (found := self.find("pods", pod.key)) is not None:
            self._events.record(found, reason, message, "kubelet")

    def _warn(self, pod: _Pod, reason: str, message: str) -> None:
        if (found := self.find("pods", pod.key)) is not None:
            self._events.warn(found, reason, message, "kubelet")

    def _say(
        self, pod: _Pod, *, waiting: str = "", message: str = "", running: bool = False, ready: bool = False
    ) -> None:
        """Write the status of a pod."""
        now = self.clock.now()
        if running:
            same = pod.said or {}
            state: dict[str, Any] = same if "running" in same else {"running": {"startedAt": stamp(now)}}
        else:
            state = {"waiting": {"reason": waiting} | ({"message": message} if message else {})}
        pod.said = state
        self.change("pods", pod.key, lambda found: self._write(found, pod, state, ready), status=True)

    def _write(self, found: Object, pod: _Pod, state: dict[str, Any], ready: bool) -> None:
        now, status = self.clock.now(), found["status"]
        status["phase"] = "Running" if "running" in state or pod.last else "Pending"
        status.setdefault("startTime", stamp(now))
        status.setdefault("hostIP", self._host_address(pod.node))
        if "podIP" not in status:
            self._addresses += 1
            status["podIP"] = f"10.244.{self._addresses // 250 % 250}.{self._addresses % 250 + 1}"
            status["podIPs"] = [{"ip": status["podIP"]}]
        status["containerStatuses"] = [
            {
                "name": found["spec"]["containers"][0]["name"],
                "image": pod.image,
                "imageID": pod.image if "running" in state else "",
                "ready": ready,
                "started": "running" in state,
                "containerID": f"containerd://{pod.uid}" if "running" in state else "",
                "restartCount": pod.restarts,
                "state": state,
                "lastState": pod.last or {},
            }
        ]
        unready = ("False", "ContainersNotReady", "containers with unready status")
        for kind in ("ContainersReady", "Ready"):
            set_condition(found, now, kind, *(("True",) if ready else unready))
        for kind in ("Initialized", "PodReadyToStartContainers"):
            set_condition(found, now, kind, "True")
