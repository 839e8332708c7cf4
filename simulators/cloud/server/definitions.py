"""Custom resource definitions: served once their names are accepted, and taken away with all their objects."""

from __future__ import annotations

from typing import Any

from simulators.cloud.language import definitions
from simulators.cloud.language.schema import copied
from simulators.cloud.server.registry import Registry
from simulators.cloud.server.store import Change, Event, Object, Store
from simulators.cloud.server.verbs import DeleteOptions, Options, Verbs

KIND = "customresourcedefinitions.apiextensions.k8s.io"
_CLEANUP = "customresourcecleanup.apiextensions.k8s.io"


class Definitions:
    """What an API server does with definitions by itself; ``settle`` does what is due."""

    KIND = KIND

    def __init__(self, store: Store, registry: Registry, verbs: Verbs) -> None:
        self._store = store
        self._registry = registry
        self._verbs = verbs
        self._due: dict[str, None] = {}
        store.subscribe(self._on_event)

    def _on_event(self, event: Event) -> None:
        if event.kind == KIND:
            if event.change is Change.DELETED:
                self._registry.drop(event.object)
                self._store.close(event.key[1])
            else:
                self._due[event.key[1]] = None
        elif event.change is Change.DELETED and self._store.get(KIND, ("", event.kind)) is not None:
            self._due[event.kind] = None

    def settle(self) -> None:
        """Serve new definitions, and end those that are deleted."""
        while self._due:
            name = next(iter(self._due))
            del self._due[name]
            crd = self._store.get(KIND, ("", name))
            if crd is None:
                continue
            if "deletionTimestamp" in crd["metadata"]:
                self._end(name, crd)
            elif not _says(crd, "Established"):
                self._establish(name, crd)
            else:
                self._registry.add(crd)
                self._reread(name)

    def _reread(self, name: str) -> None:
        """Objects are read by the schema that is served: new defaults come, fields that it no longer knows go."""
        try:
            kind = self._registry.known(name)
        except KeyError:  # no version is served
            return

        def read(obj: Object) -> Object:
            obj = copied(obj)
            kind.pruned(obj)
            kind.default(obj)
            return obj

        self._store.reread(name, read)

    def _establish(self, name: str, crd: Object) -> None:
        if clashes := self._registry.clashes(crd):
            now, last = self._verbs.now(), clashes[-1]
            refused = _condition("NamesAccepted", False, last.reason, last.message, now)
            waiting = _condition("Established", False, "NotAccepted", "not all names are accepted", now)
            taken = {one.field for one in clashes}
            free = {field: each for field, each in crd["spec"]["names"].items() if field not in taken}
            status = {**crd.get("status", {}), "conditions": [refused, waiting]}
            status["acceptedNames"] = {"plural": "", "kind": "", **free}
            if not crd.get("status", {}).get("conditions"):
                self._verbs.put_status(self._registry.known(KIND), ("", name), {**crd, "status": status})
            return
        accepted = definitions.accepted(crd, self._verbs.now())
        self._registry.add(self._verbs.put_status(self._registry.known(KIND), ("", name), accepted))
        self._store.open(name)
        self._due.pop(name, None)

    def _end(self, name: str, crd: Object) -> None:
        """Delete the objects first; the definition goes when there is none left."""
        try:
            kind = self._registry.known(name)
        except KeyError:
            kind = None
        if kind is not None:
            for obj in self._store.list(name):
                metadata = obj["metadata"]
                if "deletionTimestamp" not in metadata:
                    self._verbs.delete(
                        kind, metadata.get("namespace", ""), metadata["name"], DeleteOptions(), Options()
                    )
        if self._store.list(name):
            return
        left = [one for one in crd["metadata"].get("finalizers", ()) if one != _CLEANUP]
        metadata = {**crd["metadata"], "finalizers": left}
        if left:
            if left != crd["metadata"].get("finalizers"):
                self._store.put(KIND, ("", name), {**crd, "metadata": metadata})
            return
        self._store.delete(KIND, ("", name))


def terminating(crd: Object, now: str) -> Object:
    """A definition that is being deleted: it says so, and its objects go first."""
    metadata = crd["metadata"]
    if "deletionTimestamp" in metadata:
        return crd
    text = "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon"
    condition = _condition("Terminating", True, "InstanceDeletionPending", text, now)
    status = crd.get("status", {})
    finalizers = list(dict.fromkeys([*metadata.get("finalizers", ()), _CLEANUP]))
    return {
        **crd,
        "metadata": {**metadata, "deletionTimestamp": now, "finalizers": finalizers},
        "status": {**status, "conditions": [*(status.get("conditions") or ()), condition]},
    }


def _condition(kind: str, is_so: bool, reason: str, message: str, now: str) -> dict[str, Any]:
    said = {"type": kind, "status": "True" if is_so else "False", "lastTransitionTime": now}
    return {**said, "reason": reason, "message": message}


def _says(crd: Object, kind: str) -> bool:
    conditions = crd.get("status", {}).get("conditions") or ()
    return any(one["type"] == kind and one["status"] == "True" for one in conditions)
