"""What may be done with an object: create, update, delete, and the parts of it that have a path of their own.

All ways to an object lead through here: HTTP, the patches, and the pool's own controllers. So field managers,
admission, validation, generation, preconditions, finalizers and dry run are the same for all.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import orjson

from simulators.clock import Clock
from simulators.cloud.language import managed_fields
from simulators.cloud.language.kinds import Kind
from simulators.cloud.language.rules import event_as
from simulators.cloud.language.schema import copied
from simulators.cloud.language.status import (
    MODIFIED,
    Cause,
    StatusError,
    already_exists,
    bad_request,
    conflict,
    internal,
    invalid,
    not_found,
)
from simulators.cloud.server.access import SYSTEM, Caller
from simulators.cloud.server.registry import Registry
from simulators.cloud.server.store import Key, Object, Store

#: What a generated name ends with: no vowels and nothing that looks like another character.
_SUFFIX = "bcdfghjklmnpqrstvwxz2456789"
_LONGEST_BASE = 58
#: Bytes of one object that a store takes.
_LARGEST = 2 * 1024 * 1024
#: Kinds whose deletion is answered with the object, and not with a Status.
_SHOWN_LAST = {
    "pods",
    "namespaces",
    "services",
    "serviceaccounts",
    "resourcequotas",
    "podtemplates",
    "persistentvolumes",
    "persistentvolumeclaims",
    "customresourcedefinitions.apiextensions.k8s.io",
}
#: Built-in kinds that a PUT to an absent name creates.
_CREATED_BY_UPDATE = {
    "leases.coordination.k8s.io",
    "events",
    "endpoints",
    "limitranges",
    "services",
    "roles.rbac.authorization.k8s.io",
    "rolebindings.rbac.authorization.k8s.io",
    "clusterroles.rbac.authorization.k8s.io",
    "clusterrolebindings.rbac.authorization.k8s.io",
}
#: Built-in kinds that are never updated without a resourceVersion.
_VERSION_NEEDED = {
    "leases.coordination.k8s.io",
    "customresourcedefinitions.apiextensions.k8s.io",
    "poddisruptionbudgets.policy",
}
#: Metadata that the server alone writes, whatever a client sends.
_KEPT = ("name", "namespace", "creationTimestamp", "generation", "uid", "selfLink")


@dataclass(frozen=True, slots=True)
class Options:
    """Who acts, under which field manager, and whether for show only."""

    caller: Caller = SYSTEM
    manager: str = "kube-controller-manager"
    dry_run: bool = False
    force: bool = False


@dataclass(frozen=True, slots=True)
class DeleteOptions:
    """How an object goes: after a grace period, under preconditions, and what of its dependents.

    Attributes:
        accepted: Whether the old option is given by which dependents go too: then 202 says that the object is not
            gone yet.
    """

    grace: int | None = None
    propagation: str = ""
    uid: str = ""
    version: str = ""
    accepted: bool = False


@dataclass(slots=True)
class Attempt:
    """What admission is asked about; it may change ``obj`` in place before it is validated."""

    operation: str
    kind: Kind
    key: Key
    obj: Object | None
    old: Object | None
    subresource: str
    options: Options


Hook = Callable[[Attempt], None]


@dataclass(slots=True)
class Verbs:
    """The verbs on a store; ``mutating`` hooks see an attempt before it is validated, ``validating`` ones after."""

    store: Store
    registry: Registry
    clock: Clock
    random: random.Random
    mutating: list[Hook] = field(default_factory=list)
    validating: list[Hook] = field(default_factory=list)
    #: Kinds whose end is their own: what becomes of an object that is deleted at a time.
    ends: dict[str, Callable[[Object, str], Object]] = field(default_factory=dict)

    def found(self, kind: Kind, namespace: str, name: str) -> Object:
        """The object, in the version of the kind.

        Raises:
            StatusError: 404.
        """
        obj = self._get(kind, (namespace, name))
        if obj is None:
            raise not_found(kind, name)
        return obj

    # ------------------------------------------------------------------ create

    def create(self, kind: Kind, namespace: str, obj: Object, options: Options, *, managed: bool = False) -> Object:
        """Put a new object; ``managed`` where its managed fields are written already (apply).

        Raises:
            StatusError: it is there already, is not valid, or is not admitted.
        """
        obj = self._placed(kind, namespace, obj)
        metadata = obj["metadata"]
        if not metadata.get("name") and metadata.get("generateName"):
            metadata["name"] = self._generated(metadata["generateName"])
        key = (metadata.get("namespace", ""), metadata.get("name", ""))
        if not managed:
            obj = managed_fields.updated(kind, None, obj, options.manager, subresource="", now=self.now())
        attempt = Attempt("CREATE", kind, key, obj, None, "", options)
        self._run(self.mutating, attempt)
        if metadata.get("resourceVersion"):
            raise StatusError(500, "", "resourceVersion should not be set on objects to be created")
        self._begin(kind, obj)
        self._check(attempt)
        if (there := self.store.get(kind.storage, key)) is not None:
            error = already_exists(kind, key[1])
            if there["metadata"].get("deletionTimestamp"):
                error.message = f"object is being deleted: {error.message}"
            raise error
        self._run(self.validating, attempt)
        return obj if options.dry_run else self._put(kind, key, obj)

    def _placed(self, kind: Kind, namespace: str, obj: Object) -> Object:
        """A copy of the object in its namespace."""
        obj = copied(obj)
        metadata = obj.setdefault("metadata", {})
        if not kind.namespaced:
            metadata.pop("namespace", None)
            return obj
        if metadata.setdefault("namespace", namespace) not in {namespace, ""}:
            raise bad_request("the namespace of the provided object does not match the namespace sent on the request")
        metadata["namespace"] = namespace
        return obj

    def _begin(self, kind: Kind, obj: Object) -> None:
        metadata = obj["metadata"]
        for name in ("deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "resourceVersion"):
            metadata.pop(name, None)
        metadata["uid"] = str(uuid.UUID(int=self.random.getrandbits(128), version=4))
        metadata["creationTimestamp"] = self.now()
        metadata.pop("generation", None)
        if kind.has_generation:
            metadata["generation"] = 1
        kind.prepare_create(obj)

    def _generated(self, base: str) -> str:
        return base[:_LONGEST_BASE] + "".join(self.random.choice(_SUFFIX) for _ in range(5))

    # ------------------------------------------------------------------ update

    def update(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        change: Callable[[Object | None], Object],
        options: Options,
        *,
        subresource: str = "",
        patch: bool = False,
        managed: bool = False,
    ) -> tuple[Object, bool]:
        """Replace an object by what ``change`` makes of it; give it, and whether it was created.

        Raises:
            StatusError: it is not there, changed meanwhile, is not valid, or is not admitted.
        """
        key = (namespace, name)
        old = self._get(kind, key)
        if old is None:
            if patch or subresource or kind.storage not in _CREATED_BY_UPDATE:
                raise not_found(kind, name)
            return self.create(kind, namespace, _without(change(None), "resourceVersion"), options), True
        obj = self._placed(kind, namespace, change(old))
        if not patch:
            self._same_uid(kind, obj, old)
        self._same_version(kind, obj, old)
        if not managed:
            obj = managed_fields.updated(kind, old, obj, options.manager, subresource=subresource, now=self.now())
        attempt = Attempt("UPDATE", kind, key, obj, old, subresource, options)
        self._run(self.mutating, attempt)
        return self._replaced(attempt), False

    def _replaced(self, attempt: Attempt) -> Object:
        kind, key, old, options = attempt.kind, attempt.key, attempt.old, attempt.options
        obj = attempt.obj
        assert obj is not None
        assert old is not None
        if (foreign := obj["metadata"].get("uid")) and foreign != old["metadata"]["uid"]:
            text = f'Invalid value: "{foreign}": field is immutable'
            raise invalid(kind, key[1], [Cause("FieldValueInvalid", text, "metadata.uid")] * 2)
        _keep_metadata(obj, old)
        kind.prepare_update(obj, old, attempt.subresource)
        self._check(attempt)
        if kind.has_generation and kind.desired(obj) != kind.desired(old):
            obj["metadata"]["generation"] = old["metadata"].get("generation", 0) + 1
        self._run(self.validating, attempt)
        obj["metadata"]["resourceVersion"] = old["metadata"]["resourceVersion"]
        obj = managed_fields.without_new_times(old, obj)
        if obj == old:
            return old
        if options.dry_run:
            return obj
        if _finished(kind, obj):
            self._remove(kind, key, obj)
            return obj
        return self._put(kind, key, obj)

    def _same_uid(self, kind: Kind, obj: Object, old: Object) -> None:
        asked, real = obj["metadata"].get("uid"), old["metadata"]["uid"]
        if not asked or asked == real:
            return
        where = f"{kind.group}/{kind.plural}" if kind.group else kind.plural
        place = "/".join(filter(None, (where, old["metadata"].get("namespace", ""), old["metadata"]["name"])))
        text = (
            f"StorageError: invalid object, Code: 4, Key: /registry/{place}, ResourceVersion: 0, AdditionalErrorMsg: "
            f"Precondition failed: UID in precondition: {asked}, UID in object meta: {real}"
        )
        raise conflict(kind, old["metadata"]["name"], text)

    def _same_version(self, kind: Kind, obj: Object, old: Object) -> None:
        asked, name = obj["metadata"].get("resourceVersion") or "", old["metadata"]["name"]
        if asked and not asked.isdigit():
            raise StatusError(500, "", f'strconv.ParseUint: parsing "{asked}": invalid syntax')
        if asked.strip("0"):
            if asked != old["metadata"]["resourceVersion"]:
                raise conflict(kind, name, MODIFIED)
        elif kind.custom or kind.storage in _VERSION_NEEDED:
            cause = Cause(
                "FieldValueInvalid", "Invalid value: 0: must be specified for an update", "metadata.resourceVersion"
            )
            raise invalid(kind, name, [cause], plural=True)

    # ------------------------------------------------------------------ delete

    def delete(
        self, kind: Kind, namespace: str, name: str, wanted: DeleteOptions, options: Options
    ) -> tuple[Object, bool]:
        """Delete an object, or begin to; give it as it is or was last, and whether a Status is the answer.

        Raises:
            StatusError: it is not there, is not the one meant, or must stay.
        """
        key = (namespace, name)
        old = self.found(kind, namespace, name)
        self.check_preconditions(kind, old, wanted)
        self._run(self.validating, Attempt("DELETE", kind, key, None, old, "", options))
        obj, gone = self._terminating(kind, old, wanted)
        shown = kind.storage in _SHOWN_LAST
        if options.dry_run:
            return obj, gone and not shown
        if gone:
            return self._remove(kind, key, obj), not shown
        return (obj if obj == old else self._put(kind, key, obj)), False

    def delete_all(self, kind: Kind, objects: Iterable[Object], wanted: DeleteOptions, options: Options) -> None:
        """Delete many."""
        for obj in objects:
            self.delete(kind, obj["metadata"].get("namespace", ""), obj["metadata"]["name"], wanted, options)

    @staticmethod
    def check_preconditions(kind: Kind, old: Object, wanted: DeleteOptions) -> None:
        """Whether an object is the one that is meant.

        Raises:
            StatusError: 409, it is not.
        """
        metadata = old["metadata"]
        for what, asked, real, after in (
            ("UID", wanted.uid, metadata["uid"], "deleted and then recreated"),
            ("ResourceVersion", wanted.version, metadata["resourceVersion"], "modified"),
        ):
            if asked and asked != real:
                text = (
                    f"the {what} in the precondition ({asked}) does not match the {what} in record ({real}). "
                    f"The object might have been {after}"
                )
                raise conflict(kind, metadata["name"], text, by_kind=True)

    def _terminating(self, kind: Kind, old: Object, wanted: DeleteOptions) -> tuple[Object, bool]:
        """The object as its deletion leaves it, and whether it is gone at once."""
        if (end := self.ends.get(kind.storage)) is not None:
            obj = end(old, self.now())
            return obj, _finished(kind, obj)
        obj = copied(old)
        metadata = obj["metadata"]
        finalizers = _finalizers(metadata, wanted.propagation)
        if not finalizers and kind.storage != "pods":
            return obj, True
        if finalizers:
            metadata["finalizers"] = finalizers
        grace = _grace(kind, obj, wanted)
        if "deletionTimestamp" not in metadata or grace < metadata.get("deletionGracePeriodSeconds", 0):
            if metadata.get("generation") and "deletionTimestamp" not in metadata:
                metadata["generation"] += 1
            metadata["deletionTimestamp"] = self.now(grace)
            metadata["deletionGracePeriodSeconds"] = grace
        return obj, _finished(kind, obj)

    def bind(self, kind: Kind, pod: Object, node: str, options: Options) -> None:
        """Give a pod its node, which is its scheduler's to do.

        Raises:
            StatusError: it has one, or ends.
        """
        name = pod["metadata"]["name"]
        on_binding = StatusError(409, "Conflict", "", {"name": name, "kind": "pods/binding"})
        if taken := pod["spec"].get("nodeName"):
            on_binding.message = f'pod {name} is already assigned to node "{taken}"'
        elif "deletionTimestamp" in pod["metadata"]:
            on_binding.message = f"pod {name} is being deleted, cannot be assigned to a host"
        if on_binding.message:
            on_binding.message = f'Operation cannot be fulfilled on pods/binding "{name}": {on_binding.message}'
            raise on_binding
        if options.dry_run:
            return
        bound = copied(pod)
        bound["spec"]["nodeName"] = node
        conditions = bound.setdefault("status", {}).get("conditions") or []
        scheduled = {"type": "PodScheduled", "status": "True", "lastProbeTime": None, "lastTransitionTime": self.now()}
        bound["status"]["conditions"] = [one for one in conditions if one["type"] != "PodScheduled"] + [scheduled]
        self.store.put(kind.storage, (pod["metadata"]["namespace"], name), bound)

    # ----------------------------------------------------------------- of all

    def now(self, later: float = 0.0) -> str:
        """The date and time in seconds, as metadata has it."""
        return (self.clock.now() + timedelta(seconds=later)).strftime("%Y-%m-%dT%H:%M:%SZ")

    def _get(self, kind: Kind, key: Key) -> Object | None:
        stored = self.store.get(kind.storage, key)
        return None if stored is None else in_version(kind, stored)

    def put_status(self, kind: Kind, key: Key, obj: Object) -> Object:
        """Write a status that the API server itself has worked out."""
        old = self._get(kind, key)
        return self._put(
            kind, key, managed_fields.updated(kind, old, obj, "kube-apiserver", subresource="status", now=self.now())
        )

    def _put(self, kind: Kind, key: Key, obj: Object) -> Object:
        kept = self._kept(kind, obj)
        if (size := len(orjson.dumps(kept))) > _LARGEST:
            problem = f"trying to send message larger than max ({size} vs. {_LARGEST})"
            raise internal(f"rpc error: code = ResourceExhausted desc = {problem}")
        return in_version(kind, self.store.put(kind.storage, key, kept))

    def _remove(self, kind: Kind, key: Key, obj: Object) -> Object:
        return in_version(kind, self.store.delete(kind.storage, key, self._kept(kind, obj)))

    def _kept(self, kind: Kind, obj: Object) -> Object:
        return in_version(self.registry.known(kind.storage), obj)

    @staticmethod
    def _check(attempt: Attempt) -> None:
        kind, obj = attempt.kind, attempt.obj
        assert obj is not None
        if causes := kind.validate(obj, attempt.old, subresource=attempt.subresource):
            raise invalid(kind, obj["metadata"].get("name", ""), causes)

    @staticmethod
    def _run(hooks: Iterable[Hook], attempt: Attempt) -> None:
        for hook in hooks:
            hook(attempt)


def in_version(kind: Kind, obj: Object) -> Object:
    """An object as this version of its kind has it."""
    if obj.get("apiVersion") == kind.api_version:
        return obj
    if kind.storage == "events":
        return event_as(obj, kind.api_version)
    return {**obj, "apiVersion": kind.api_version}


def _keep_metadata(obj: Object, old: Object) -> None:
    metadata = obj["metadata"]
    for name in _KEPT:
        if name in old["metadata"]:
            metadata[name] = old["metadata"][name]
        else:
            metadata.pop(name, None)
    if old["metadata"].get("deletionTimestamp"):
        metadata["deletionTimestamp"] = old["metadata"]["deletionTimestamp"]
    if old["metadata"].get("deletionGracePeriodSeconds") is not None:
        metadata.setdefault("deletionGracePeriodSeconds", old["metadata"]["deletionGracePeriodSeconds"])


def _without(obj: Object, name: str) -> Object:
    return {**obj, "metadata": {key: value for key, value in obj.get("metadata", {}).items() if key != name}}


def _finalizers(metadata: Mapping[str, Any], propagation: str) -> list[str]:
    """The finalizers that a deletion leaves: a propagation policy is one of them, or takes the others away."""
    own = {"Foreground": ["foregroundDeletion"], "Orphan": ["orphan"], "Background": []}
    found = list(metadata.get("finalizers", ()))
    if propagation not in own:
        return found
    return [one for one in found if one not in ("foregroundDeletion", "orphan")] + own[propagation]


def _finished(kind: Kind, obj: Object) -> bool:
    """Whether nothing keeps an object any more that was to be deleted."""
    metadata = obj["metadata"]
    if "deletionTimestamp" not in metadata or metadata.get("finalizers"):
        return False
    if kind.storage == "namespaces":
        return not obj.get("spec", {}).get("finalizers")
    return not metadata.get("deletionGracePeriodSeconds")


def _grace(kind: Kind, obj: Object, wanted: DeleteOptions) -> int:
    """Only a pod that runs somewhere gets time to end."""
    if kind.storage != "pods":
        return 0
    spec: dict[str, Any] = obj.get("spec", {})
    if not spec.get("nodeName") or obj.get("status", {}).get("phase") in {"Failed", "Succeeded"}:
        return 0
    grace = spec.get("terminationGracePeriodSeconds", 30) if wanted.grace is None else wanted.grace
    return 1 if grace < 0 else int(grace)
