"""Events for people about an object, as ``kubectl describe`` shows them; they are kept for an hour."""

from __future__ import annotations

from collections import deque

from simulators.clock import Clock
from simulators.cloud.behaviour.controller import Key, Object, stamp
from simulators.cloud.language.schema import copied
from simulators.cloud.language.status import StatusError
from simulators.cloud.server.cluster import Cluster

#: How long events are kept, in seconds.
KEPT = 3600.0


class Events:
    """The events of one pool; repetitions are counted."""

    def __init__(self, cluster: Cluster, clock: Clock) -> None:
        self._cluster = cluster
        self._clock = clock
        self._names: dict[tuple[str, str, str], Key] = {}
        self._due: deque[tuple[float, tuple[str, str, str]]] = deque()
        self._number = 0

    def record(self, obj: Object, reason: str, message: str, source: str) -> None:
        """Record a normal event."""
        self._record(obj, "Normal", reason, message, source)

    def warn(self, obj: Object, reason: str, message: str, source: str) -> None:
        """Record a warning."""
        self._record(obj, "Warning", reason, message, source)

    def _record(self, obj: Object, kind: str, reason: str, message: str, source: str) -> None:
        self._forget_old()
        same, now = (obj["metadata"]["uid"], reason, message), stamp(self._clock.now())
        if (known := self._names.get(same)) is not None and self._count(known, now):
            return
        self._number += 1
        namespace = obj["metadata"].get("namespace", "default")
        about = {name: obj["metadata"][name] for name in ("name", "uid", "resourceVersion") if name in obj["metadata"]}
        name = f"{obj['metadata']['name']}.{self._number:016x}"
        event: Object = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"namespace": namespace, "name": name},
            "involvedObject": {"apiVersion": obj["apiVersion"], "kind": obj["kind"], "namespace": namespace, **about},
            "type": kind,
            "reason": reason,
            "message": message,
            "source": {"component": source},
            "reportingComponent": source,
            "reportingInstance": "",
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }
        try:
            self._cluster.create("events", event)
        except StatusError:
            return  # its namespace is being deleted
        self._names[same] = namespace, name
        self._due.append((self._clock.monotonic() + KEPT, same))

    def _count(self, key: Key, now: str) -> bool:
        found = self._cluster.get("events", *key)
        if found is None:
            return False
        event = copied(found)
        event["count"] += 1
        event["lastTimestamp"] = now
        self._cluster.update("events", event)
        return True

    def _forget_old(self) -> None:
        while self._due and self._due[0][0] <= self._clock.monotonic():
            key = self._names.pop(self._due.popleft()[1], None)
            if key is not None and self._cluster.get("events", *key) is not None:
                self._cluster.delete("events", *key)
