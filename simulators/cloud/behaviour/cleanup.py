"""Controllers that clean up and count: garbage collection, namespaces, quotas, disruption budgets."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from simulators.clock import Clock
from simulators.cloud.behaviour.controller import Controller, Key, Object, deleting, holds, key_of, set_condition
from simulators.cloud.behaviour.scheduler import over
from simulators.cloud.language.quantities import canonical
from simulators.cloud.server.admission import usage
from simulators.cloud.server.cluster import Cluster
from simulators.cloud.server.selectors import matching, of_label_selector
from simulators.cloud.server.verbs import Options

FOREGROUND, ORPHAN = "foregroundDeletion", "orphan"


class GarbageCollector(Controller):
    """Deletes dependents whose owners are gone; keys are kinds and uids.

    An owner that is deleted in the foreground waits for the dependents that block it; one whose dependents are to be
    orphaned waits until they have forgotten it.
    """

    def __init__(self, cluster: Cluster, clock: Clock) -> None:
        super().__init__(cluster, clock)
        self._known: dict[str, tuple[str, Key]] = {}
        self._dependents: dict[str, set[str]] = {}

    def changed(self, event: str, kind: str, obj: Object) -> None:
        """See ``Controller.changed``."""
        uid = obj["metadata"]["uid"]
        owners = [ref["uid"] for ref in obj["metadata"].get("ownerReferences", ())]
        if event == "DELETED":
            self._known.pop(uid, None)
            for owner in owners:
                self._dependents.get(owner, set()).discard(uid)
                self.enqueue(("", owner))
            for dependent in sorted(self._dependents.get(uid, ())):
                self.enqueue(("", dependent))
            return
        self._known[uid] = kind, key_of(obj)
        for owner in owners:
            self._dependents.setdefault(owner, set()).add(uid)
        if owners or deleting(obj):
            self.enqueue(("", uid))

    def reconcile(self, key: Key) -> None:
        """Reconcile the object with this uid: as a dependent, and as an owner."""
        uid = key[1]
        if uid not in self._known:
            self._dependents = {owner: those for owner, those in self._dependents.items() if those or owner != uid}
            return
        kind, at = self._known[uid]
        obj = self.find(kind, at)
        if obj is None or obj["metadata"]["uid"] != uid:
            return
        if deleting(obj):
            self._as_owner(uid, kind, obj)
            return
        owners = obj["metadata"].get("ownerReferences", ())
        there = [ref for ref in owners if self._is_there(ref)]
        if owners and not there:
            self.delete(kind, at)
        elif len(there) < len(owners):
            self.change(kind, at, lambda found: found["metadata"].update(ownerReferences=there))

    def _is_there(self, ref: Object) -> bool:
        known = self._known.get(ref["uid"])
        if known is None:
            return False
        # An owner that waits for its dependents in the foreground is as good as gone for them.
        owner = self.find(*known)
        return owner is not None and FOREGROUND not in owner["metadata"].get("finalizers", ())

    def _as_owner(self, uid: str, kind: str, obj: Object) -> None:
        finalizers = obj["metadata"].get("finalizers", ())
        if ORPHAN in finalizers:
            for dependent_kind, dependent in self._of(uid):
                self.change(dependent_kind, key_of(dependent), lambda found: _forget_owner(found, uid))
            self._finish(kind, obj, ORPHAN)
        elif FOREGROUND in finalizers:
            blocking = False
            for dependent_kind, dependent in self._of(uid):
                refs = [ref for ref in dependent["metadata"]["ownerReferences"] if ref["uid"] == uid]
                blocking = blocking or any(ref.get("blockOwnerDeletion") for ref in refs)
                if not deleting(dependent) and not any(map(self._is_there, dependent["metadata"]["ownerReferences"])):
                    self.delete(dependent_kind, key_of(dependent))
            if not blocking or not list(self._of(uid)):
                self._finish(kind, obj, FOREGROUND)

    def _of(self, uid: str) -> Iterator[tuple[str, Object]]:
        for dependent in sorted(self._dependents.get(uid, ())):
            kind, key = self._known.get(dependent, ("", ("", "")))
            obj = self.find(kind, key) if kind else None
            if obj is not None:
                yield kind, obj

    def _finish(self, kind: str, obj: Object, finalizer: str) -> None:
        def edit(found: Object) -> None:
            found["metadata"]["finalizers"] = [one for one in found["metadata"]["finalizers"] if one != finalizer]

        self.change(kind, key_of(obj), edit)


def _forget_owner(obj: Object, uid: str) -> None:
    left = [ref for ref in obj["metadata"]["ownerReferences"] if ref["uid"] != uid]
    if left:
        obj["metadata"]["ownerReferences"] = left
    else:
        del obj["metadata"]["ownerReferences"]


def _content(cluster: Cluster, namespace: str) -> Iterator[tuple[str, Object]]:
    """The objects of a namespace with their kinds."""
    for kind in list(cluster.store.kinds()):
        if cluster.registry.known(kind).namespaced:
            yield from ((kind, obj) for obj in cluster.list(kind, namespace))


class Namespaces(Controller):
    """Fills new namespaces with their default objects, and empties deleted ones.

    Args:
        authority: Certificates of the authority that signed that of the API, PEM.
    """

    def __init__(self, cluster: Cluster, clock: Clock, authority: str) -> None:
        super().__init__(cluster, clock)
        self._authority = authority
        for namespace in cluster.list("namespaces"):
            self.enqueue(key_of(namespace))

    def changed(self, event: str, kind: str, obj: Object) -> None:
        """See ``Controller.changed``."""
        if kind == "namespaces" and event != "DELETED":
            self.enqueue(key_of(obj))
        elif event == "DELETED" and (namespace := obj["metadata"].get("namespace")):
            found = self.find("namespaces", ("", namespace))
            if found is not None and deleting(found):
                self.enqueue(("", namespace))

    def reconcile(self, key: Key) -> None:
        """Fill or empty a namespace."""
        namespace = self.find("namespaces", key)
        if namespace is None:
            return
        if not deleting(namespace):
            self._fill(key[1])
            return
        for kind, obj in list(_content(self.cluster, key[1])):
            if not deleting(obj):
                self.delete(kind, key_of(obj))
        left = [obj for _, obj in _content(self.cluster, key[1])]
        if not left:
            empty = {**namespace, "spec": {**namespace["spec"], "finalizers": []}}
            kinds, own = self.cluster.registry, Options()
            self.cluster.verbs.update(kinds.known("namespaces"), *key, lambda _: empty, own, subresource="finalize")
            return
        finalizers = sorted({one for obj in left for one in obj["metadata"].get("finalizers", ())})
        self.change("namespaces", key, lambda found: self._say(found, len(left), finalizers), status=True)

    def _fill(self, namespace: str) -> None:
        account: Object = {"apiVersion": "v1", "kind": "ServiceAccount"}
        authority: Object = {"apiVersion": "v1", "kind": "ConfigMap", "data": {"ca.crt": self._authority}}
        for kind, name, content in (
            ("serviceaccounts", "default", account),
            ("configmaps", "kube-root-ca.crt", authority),
        ):
            if self.find(kind, (namespace, name)) is None:
                self.cluster.create(kind, {**content, "metadata": {"namespace": namespace, "name": name}})

    def _say(self, namespace: Object, left: int, finalizers: list[str]) -> None:
        now = self.clock.now()
        remain = ("True", "SomeResourcesRemain", f"{left} objects are left")
        set_condition(namespace, now, "NamespaceContentRemaining", *remain)
        if finalizers:
            waits = (
                "True",
                "SomeFinalizersRemain",
                f"Some content in the namespace has finalizers: {', '.join(finalizers)}",
            )
            set_condition(namespace, now, "NamespaceFinalizersRemaining", *waits)


class QuotaStatus(Controller):
    """Keeps the usage in the status of quotas."""

    def changed(self, event: str, kind: str, obj: Object) -> None:
        """See ``Controller.changed``."""
        namespace = obj["metadata"].get("namespace", "")
        for quota in self.cluster.list("resourcequotas", namespace) if namespace else ():
            if kind != "resourcequotas" or event != "DELETED":
                self.enqueue(key_of(quota))

    def reconcile(self, key: Key) -> None:
        """Count the usage of a quota."""
        quota = self.find("resourcequotas", key)
        if quota is None:
            return
        hard = quota["spec"].get("hard") or {}
        used = dict.fromkeys(hard, Decimal(0))
        for kind, obj in _content(self.cluster, key[0]):
            for name, taken in usage(kind, obj, quota["spec"]).items():
                if name in used:
                    used[name] += taken
        counted: dict[str, Any] = {"hard": hard, "used": {name: canonical(value) for name, value in used.items()}}
        self.change("resourcequotas", key, lambda found: found.update(status=counted), status=True)


class Disruptions(Controller):
    """Keeps the number of disruptions that a PodDisruptionBudget allows."""

    KIND = "poddisruptionbudgets.policy"

    def changed(self, event: str, kind: str, obj: Object) -> None:
        """See ``Controller.changed``."""
        if kind == self.KIND and event != "DELETED":
            self.enqueue(key_of(obj))
        elif kind == "pods":
            for budget in self.cluster.list(self.KIND, obj["metadata"]["namespace"]):
                self.enqueue(key_of(budget))

    def reconcile(self, key: Key) -> None:
        """Count the pods of a budget."""
        budget = self.find(self.KIND, key)
        if budget is None:
            return
        pods = [pod for pod in self.cluster.list("pods", key[0]) if guards(budget, pod) and not over(pod)]
        healthy = sum(holds(pod, "Ready") and not deleting(pod) for pod in pods)
        desired = _desired(budget["spec"], len(pods))
        status = {
            "observedGeneration": budget["metadata"].get("generation", 1),
            "currentHealthy": healthy,
            "desiredHealthy": desired,
            "disruptionsAllowed": max(healthy - desired, 0) if pods else 0,
            "expectedPods": len(pods),
        }
        self.change(self.KIND, key, lambda found: found.setdefault("status", {}).update(status), status=True)


def guards(budget: Object, pod: Object) -> bool:
    """Whether a budget in a pod's namespace selects the pod."""
    selector = budget["spec"].get("selector")
    return selector is not None and matching(pod["metadata"].get("labels") or {}, of_label_selector(selector))


def _desired(spec: Object, pods: int) -> int:
    """The number of pods that must stay healthy."""
    if "maxUnavailable" in spec:
        return max(pods - _of(spec["maxUnavailable"], pods), 0)
    return _of(spec.get("minAvailable", 1), pods)


def _of(value: Any, pods: int) -> int:
    """A number, or a percentage of the pods, rounded up."""
    text = str(value)
    return -(-int(text[:-1]) * pods // 100) if text.endswith("%") else int(text)
