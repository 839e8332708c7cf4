"""The scheduler: gives each pod a node, the least used of those that fit; pods of higher priority make room."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

from simulators.clock import Clock
from simulators.cloud.behaviour.controller import Controller, Key, Object, deleting, key_of, set_condition
from simulators.cloud.behaviour.events import Events
from simulators.cloud.behaviour.nodes import CORDONED, tolerates
from simulators.cloud.language.quantities import amount
from simulators.cloud.server.cluster import Cluster
from simulators.cloud.server.selectors import matching, of_label_selector
from simulators.cloud.server.verbs import Options

#: The reporter of its events.
_SOURCE = "default-scheduler"
#: Resources that nodes have and pods take.
Resources = Mapping[str, Decimal]


def requests_of(pod: Object) -> dict[str, Decimal]:
    """The resources that a pod requests of its node, including one of ``pods``."""
    total: Counter[str] = Counter()
    for container in pod["spec"].get("containers", ()):
        for name, value in (container.get("resources", {}).get("requests") or {}).items():
            total[name] += amount(value)  # type: ignore[assignment]
    return {**total, "pods": Decimal(1)}  # type: ignore[dict-item]


def over(pod: Object) -> bool:
    """Whether a pod has ended and uses no resources."""
    return pod.get("status", {}).get("phase") in ("Succeeded", "Failed")


class Scheduler(Controller):
    """Binds pods to nodes; those that fit nowhere wait until something changes.

    Args:
        cluster: Where pods and nodes are.
        clock: When they are reconciled.
        events: Events (v1) for people.
    """

    def __init__(self, cluster: Cluster, clock: Clock, events: Events) -> None:
        super().__init__(cluster, clock)
        self._events = events

    def changed(self, event: str, kind: str, obj: Object) -> None:
        """See ``Controller.changed``."""
        if kind == "pods" and not _waits(obj):
            # Resources may have become free.
            if event == "DELETED" or over(obj):
                self._enqueue_waiting()
        elif kind == "pods" and event != "DELETED":
            self.enqueue(key_of(obj))
        elif kind == "nodes":
            self._enqueue_waiting()

    def _enqueue_waiting(self) -> None:
        waiting = [pod for pod in self.cluster.list("pods") if _waits(pod)]
        for pod in sorted(waiting, key=lambda one: (-_priority(one), key_of(one))):
            self.enqueue(key_of(pod))

    def reconcile(self, key: Key) -> None:
        """Bind a pod to a node, or report why none fits."""
        pod = self.find("pods", key)
        if pod is None or not _waits(pod):
            return
        nodes, pods = self.cluster.list("nodes"), [other for other in self.cluster.list("pods") if not over(other)]
        reasons: Counter[str] = Counter()
        fitting: list[tuple[int, int, Decimal, str]] = []
        around = _PodTopology(nodes, pods)
        for node in nodes:
            here = [other for other in pods if _takes(other, node["metadata"]["name"], pod)]
            reason = _unfit(pod, node, here) or around.unfit(pod, node)
            if reason:
                reasons[reason] += 1
            else:
                alike = sum(_owner(other) == _owner(pod) for other in here)
                fitting.append((alike, -_preferred(pod, node), _used(node, here), node["metadata"]["name"]))
        if fitting:
            name = min(fitting)[-1]
            pods_kind, ours = self.cluster.registry.known("pods"), Options(manager="kube-scheduler")
            self.cluster.verbs.bind(pods_kind, pod, name, ours)
            self._events.record(pod, "Scheduled", f"Successfully assigned {'/'.join(key)} to {name}", _SOURCE)
            return
        if not self._make_room(pod, nodes, pods):
            counted = ", ".join(sorted(f"{count} {reason}" for reason, count in reasons.items()))
            message = (
                f"0/{len(nodes)} nodes are available: {counted}." if nodes else "no nodes available to schedule pods"
            )
            self._events.warn(pod, "FailedScheduling", message, _SOURCE)
            now = self.clock.now()
            self.change(
                "pods",
                key,
                lambda one: set_condition(one, now, "PodScheduled", "False", "Unschedulable", message),
                status=True,
            )

    def _make_room(self, pod: Object, nodes: Sequence[Object], pods: list[Object]) -> bool:
        """Preempt pods of lower priority where that lets this one fit; the fewest and least important ones."""
        if pod["spec"].get("preemptionPolicy") == "Never":
            return False
        choices: list[tuple[int, int, str, list[Object]]] = []
        around = _PodTopology(nodes, pods)
        for node in (one for one in nodes if not around.unfit(pod, one)):
            name = node["metadata"]["name"]
            here = [other for other in pods if other["spec"].get("nodeName") == name]
            victims = _victims(pod, node, here)
            if victims:
                choices.append((max(map(_priority, victims)), len(victims), name, victims))
        if not choices:
            return False
        _, _, name, victims = min(choices, key=lambda one: one[:3])
        self.change("pods", key_of(pod), lambda one: one["status"].update(nominatedNodeName=name), status=True)
        for victim in victims:
            if not deleting(victim):
                self._events.record(
                    victim, "Preempted", f"Preempted by {'/'.join(key_of(pod))} on node {name}", _SOURCE
                )
                self.delete("pods", key_of(victim))
        return True


def _victims(pod: Object, node: Object, here: list[Object]) -> list[Object]:
    """The pods to preempt, least important first; None if that would not help."""
    lower = sorted(
        (one for one in here if _priority(one) < _priority(pod)), key=lambda one: (_priority(one), key_of(one))
    )
    gone: list[Object] = []
    for victim in lower:
        gone.append(victim)
        if not _unfit(pod, node, [one for one in here if one not in gone]):
            return gone
    return []


def _priority(pod: Object) -> int:
    return int(pod["spec"].get("priority") or 0)


def _takes(pod: Object, node: str, than: Object) -> bool:
    """Whether a pod is on a node, or others made room for it there and it goes before another one."""
    nominated = _waits(pod) and pod.get("status", {}).get("nominatedNodeName") == node
    return pod["spec"].get("nodeName") == node or (nominated and _priority(pod) > _priority(than))


def _waits(pod: Object) -> bool:
    spec = pod["spec"]
    ours = spec.get("schedulerName", "default-scheduler") == "default-scheduler"
    return ours and not spec.get("nodeName") and not deleting(pod) and not over(pod)


def _owner(pod: Object) -> str:
    return str(next((ref["uid"] for ref in pod["metadata"].get("ownerReferences", ())), key_of(pod)))


def _unfit(pod: Object, node: Object, here: Iterable[Object]) -> str:
    """Why a pod can't run on a node beside its present pods; empty if it can."""
    for taint in node["spec"].get("taints") or ():
        if taint["effect"] in ("NoSchedule", "NoExecute") and not tolerates(pod, taint):
            unschedulable = taint["key"] == CORDONED
            return (
                "node(s) were unschedulable" if unschedulable else f"node(s) had untolerated taint {{{taint['key']}: }}"
            )
    if node["spec"].get("unschedulable"):
        return "node(s) were unschedulable"
    labels = node["metadata"].get("labels") or {}
    selector = pod["spec"].get("nodeSelector") or {}
    if any(labels.get(name) != value for name, value in selector.items()) or not _wanted(pod, node):
        return "node(s) didn't match Pod's node affinity/selector"
    free = _free(node, here)
    short = next((name for name, value in requests_of(pod).items() if value > free.get(name, Decimal(0))), "")
    if short:
        return "Too many pods" if short == "pods" else f"Insufficient {short}"
    return ""


# --------------------------------------------------------------------------- affinity


def _affinity(pod: Object, kind: str, strength: str) -> list[Object]:
    """Terms of a pod's ``nodeAffinity``, ``podAffinity`` or ``podAntiAffinity``."""
    found: list[Object] = ((pod["spec"].get("affinity") or {}).get(kind) or {}).get(strength) or []
    return found


_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"


def _wanted(pod: Object, node: Object) -> bool:
    """Whether a node meets one of the terms that a pod requires."""
    required = ((pod["spec"].get("affinity") or {}).get("nodeAffinity") or {}).get(_REQUIRED)
    return required is None or any(_meets(node, term) for term in required["nodeSelectorTerms"])


def _preferred(pod: Object, node: Object) -> int:
    """The weight of the terms that a pod prefers and that a node meets."""
    terms = _affinity(pod, "nodeAffinity", _PREFERRED)
    return sum(term["weight"] for term in terms if _meets(node, term["preference"]))


def _meets(node: Object, term: Object) -> bool:
    """Whether a node meets a term; an empty one is met by none."""
    labels, name = node["metadata"].get("labels") or {}, {"metadata.name": node["metadata"]["name"]}
    fields = of_label_selector({"matchExpressions": term.get("matchFields")})
    expressions = of_label_selector({"matchExpressions": term.get("matchExpressions")})
    return bool(fields or expressions) and matching(labels, expressions) and matching(name, fields)


class _PodTopology:
    """The places of pods by node labels, for affinity between pods and for topology spread."""

    def __init__(self, nodes: Sequence[Object], pods: Sequence[Object]) -> None:
        self._nodes = nodes
        self._labels = {node["metadata"]["name"]: node["metadata"].get("labels") or {} for node in nodes}
        self._bound = [pod for pod in pods if pod["spec"].get("nodeName") in self._labels]
        self._shy = [pod for pod in self._bound if _affinity(pod, "podAntiAffinity", _REQUIRED)]

    def unfit(self, pod: Object, node: Object) -> str:
        """Why other pods keep a pod off a node; empty if they don't."""
        for term in _affinity(pod, "podAffinity", _REQUIRED):
            alone = _chosen(term, pod, pod) and not any(_chosen(term, pod, other) for other in self._bound)
            if term["topologyKey"] not in self._of(node) or not (alone or self._near(term, pod, node)):
                return "node(s) didn't match pod affinity rules"
        if any(self._near(term, pod, node) for term in _affinity(pod, "podAntiAffinity", _REQUIRED)):
            return "node(s) didn't match pod anti-affinity rules"
        for other in self._shy:
            place = self._labels[other["spec"]["nodeName"]]
            for term in _affinity(other, "podAntiAffinity", _REQUIRED):
                if _chosen(term, other, pod) and _same(place, self._of(node), term["topologyKey"]):
                    return "node(s) didn't satisfy existing pods anti-affinity rules"
        return next(filter(None, (self._uneven(one, pod, node) for one in _spread(pod))), "")

    def _of(self, node: Object) -> Mapping[str, str]:
        return self._labels[node["metadata"]["name"]]

    def _near(self, term: Object, pod: Object, node: Object) -> bool:
        """Whether a pod that a term of another one chooses is in the same part of the topology."""
        return any(
            _chosen(term, pod, other)
            and _same(self._labels[other["spec"]["nodeName"]], self._of(node), term["topologyKey"])
            for other in self._bound
        )

    def _uneven(self, spread: Object, pod: Object, node: Object) -> str:
        """Why a pod would be one too many in its part of the topology."""
        key, said = spread["topologyKey"], "node(s) didn't match pod topology spread constraints"
        if key not in self._of(node):
            return f"{said} (missing required label)"
        counts = {self._of(one)[key]: 0 for one in self._nodes if key in self._of(one) and _wanted(pod, one)}
        for other in self._bound:
            part = self._labels[other["spec"]["nodeName"]].get(key)
            if part in counts and _chosen(spread, pod, other) and not deleting(other):
                counts[part] += 1
        part = self._of(node)[key]
        more = counts.get(part, 0) + _chosen(spread, pod, pod) - min(counts.values(), default=0)
        return said if more > spread["maxSkew"] else ""


def _spread(pod: Object) -> list[Object]:
    """Constraints of a pod's spread that keep it off nodes."""
    found = pod["spec"].get("topologySpreadConstraints") or ()
    return [one for one in found if one.get("whenUnsatisfiable") == "DoNotSchedule"]


def _chosen(term: Object, of: Object, other: Object) -> bool:
    """Whether a term of a pod chooses another one."""
    selector = term.get("labelSelector")
    namespaces = term.get("namespaces") or [of["metadata"]["namespace"]]
    labels = other["metadata"].get("labels") or {}
    return (
        selector is not None
        and other["metadata"]["namespace"] in namespaces
        and matching(labels, of_label_selector(selector))
    )


def _same(one: Mapping[str, str], other: Mapping[str, str], key: str) -> bool:
    return key in one and one[key] == other.get(key)


def _free(node: Object, here: Iterable[Object]) -> dict[str, Decimal]:
    free = {name: amount(value) for name, value in node["status"]["allocatable"].items()}
    for pod in here:
        for name, value in requests_of(pod).items():
            free[name] = free.get(name, Decimal(0)) - value
    return free


def _used(node: Object, here: Iterable[Object]) -> Decimal:
    """The part of a node's cores that is taken."""
    cores = amount(node["status"]["allocatable"]["cpu"])
    return (cores - _free(node, here)["cpu"]) / cores if cores else Decimal(1)
