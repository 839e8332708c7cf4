"""The common part of controllers: they reconcile an object after it changed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from simulators.clock import Clock, Timer
from simulators.cloud.language.schema import copied
from simulators.cloud.server.cluster import Cluster

#: An object of the API.
Object = dict[str, Any]
#: Namespace and name; the namespace is empty for an object of the cluster.
Key = tuple[str, str]

NF_DEPLOYMENTS = "nfdeployments.workload.nephio.org"


class Controller(ABC):
    """Reconciles objects one after the other, on the clock and never during a write.

    Args:
        cluster: The store of the objects.
        clock: Schedules the reconciliations.
    """

    def __init__(self, cluster: Cluster, clock: Clock) -> None:
        self.cluster = cluster
        self.clock = clock
        self._waiting: dict[Key, tuple[float, Timer]] = {}

    @abstractmethod
    def changed(self, event: str, kind: str, obj: Object) -> None:
        """Note that an object was ADDED, MODIFIED or DELETED."""

    @abstractmethod
    def reconcile(self, key: Key) -> None:
        """Bring about what an object specifies; it may be gone by now."""

    def enqueue(self, key: Key, after: float = 0.0) -> None:
        """Reconcile an object after so many seconds, or sooner if it is already due sooner."""
        due = self.clock.monotonic() + after
        waiting = self._waiting.get(key)
        if waiting is not None:
            if waiting[0] <= due:
                return
            waiting[1].cancel()
        self._waiting[key] = due, self.clock.call_later(after, lambda: self._reconcile_now(key))

    def _reconcile_now(self, key: Key) -> None:
        del self._waiting[key]
        self.reconcile(key)

    # ----------------------------------------------------------------- objects

    def find(self, kind: str, key: Key) -> Object | None:
        """An object to read; None if it or its kind is gone."""
        return self.cluster.get(kind, *key) if has_kind(self.cluster, kind) else None

    def change(self, kind: str, key: Key, edit: Callable[[Object], object], *, status: bool = False) -> Object | None:
        """Edit an object, if it exists and the edit changes anything; return the result."""
        found = self.find(kind, key)
        if found is None:
            return None
        edited = copied(found)
        edit(edited)
        if edited == found:
            return found
        return self.cluster.update_status(kind, edited) if status else self.cluster.update(kind, edited)

    def delete(self, kind: str, key: Key, *, grace: int | None = None) -> None:
        """Delete an object; harmless if it is gone."""
        if self.find(kind, key) is not None:
            self.cluster.delete(kind, *key, grace=grace)


def has_kind(cluster: Cluster, kind: str) -> bool:
    """Whether a cluster has a kind, whose definition may be deleted."""
    try:
        cluster.registry.known(kind)
    except KeyError:
        return False
    return True


def deployments(cluster: Cluster, namespace: str = "") -> list[Object]:
    """The NFDeployments of a cluster, or of a namespace."""
    return cluster.list(NF_DEPLOYMENTS, namespace) if has_kind(cluster, NF_DEPLOYMENTS) else []


def key_of(obj: Object) -> Key:
    """Namespace and name of an object."""
    return obj["metadata"].get("namespace", ""), obj["metadata"]["name"]


def deleting(obj: Object) -> bool:
    """Whether an object is being deleted."""
    return "deletionTimestamp" in obj["metadata"]


def owner_of(obj: Object) -> Object | None:
    """The owner reference of the controller of an object."""
    return next((ref for ref in obj["metadata"].get("ownerReferences", ()) if ref.get("controller")), None)


def stamp(moment: datetime) -> str:
    """A time in the format of objects."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def condition_of(obj: Object, kind: str) -> Object:
    """A condition of an object, empty where it has none of this type."""
    return next((found for found in _conditions(obj) if found["type"] == kind), {})


def holds(obj: Object, kind: str) -> bool:
    """Whether a condition is True."""
    return bool(condition_of(obj, kind).get("status") == "True")


def set_condition(obj: Object, now: datetime, kind: str, status: str, reason: str = "", message: str = "") -> None:
    """Set a condition; its transition time changes only with its status."""
    said = {"status": status} | ({"reason": reason} if reason else {}) | ({"message": message} if message else {})
    found = condition_of(obj, kind)
    since = found["lastTransitionTime"] if found.get("status") == status else stamp(now)
    condition = {"type": kind, **said, "lastTransitionTime": since}
    if "observedGeneration" in found:
        condition["observedGeneration"] = obj["metadata"]["generation"]
    others = [other for other in _conditions(obj) if other["type"] != kind]
    status_of = obj.setdefault("status", {})
    status_of["conditions"] = sorted([*others, condition], key=lambda one: str(one["type"]))


def _conditions(obj: Object) -> Iterable[Object]:
    return obj.get("status", {}).get("conditions") or ()
