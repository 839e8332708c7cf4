"""Admission checks before a write: ending namespaces, priorities, tolerations, grants, and quotas."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from simulators.cloud.language.quantities import amount, canonical
from simulators.cloud.language.status import Cause, forbidden, not_found
from simulators.cloud.server.access import (
    CLUSTER_ROLE_BINDINGS,
    CLUSTER_ROLES,
    ROLE_BINDINGS,
    ROLES,
    Access,
    Attributes,
)
from simulators.cloud.server.registry import Registry
from simulators.cloud.server.selectors import matching, of_label_selector
from simulators.cloud.server.store import Object, Store
from simulators.cloud.server.verbs import Attempt, Verbs

_IMMORTAL = {"default", "kube-system", "kube-public"}
_RBAC = {ROLES, CLUSTER_ROLES, ROLE_BINDINGS, CLUSTER_ROLE_BINDINGS}
_QUOTAS = "resourcequotas"
_CLASSES = "priorityclasses.scheduling.k8s.io"
#: Seconds that a pod stays on a node that is not ready or can't be reached (DefaultTolerationSeconds).
_STAYS = 300


class Admission:
    """The admission of one pool, as hooks of its verbs."""

    def __init__(self, store: Store, registry: Registry, access: Access, verbs: Verbs) -> None:
        self._store = store
        self._verbs = verbs
        self._registry = registry
        self._access = access

    # ----------------------------------------------------- before it is validated

    def namespace(self, attempt: Attempt) -> None:
        """Check that an object is created in an existing namespace that is not being deleted."""
        kind, namespace = attempt.kind, attempt.key[0]
        if attempt.operation != "CREATE" or not kind.namespaced:
            return
        found = self._store.get("namespaces", ("", namespace))
        if found is None:
            raise not_found(self._registry.known("namespaces"), namespace)
        if "deletionTimestamp" in found["metadata"]:
            text = f"unable to create new content in namespace {namespace} because it is being terminated"
            cause = Cause("NamespaceTerminating", f"namespace {namespace} is being terminated", "metadata.namespace")
            raise forbidden(kind, attempt.key[1], text, [cause])

    def pod(self, attempt: Attempt) -> None:
        """A pod gets the number of its priority class, and the tolerations that all pods have."""
        if attempt.kind.storage != "pods" or attempt.operation != "CREATE":
            return
        assert attempt.obj is not None
        spec = attempt.obj["spec"]
        self._prioritise(attempt, spec)
        tolerations = spec.setdefault("tolerations", [])
        for key in ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"):
            if not any(_tolerates(one, key) for one in tolerations):
                stays = {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": _STAYS}
                tolerations.append(stays)

    def _prioritise(self, attempt: Attempt, spec: dict[str, Any]) -> None:
        name = spec.get("priorityClassName", "")
        if not name:
            default = [one for one in self._store.list(_CLASSES) if one.get("globalDefault")]
            if default:
                name = spec["priorityClassName"] = default[0]["metadata"]["name"]
        found = self._store.get(_CLASSES, ("", name)) if name else {"value": 0}
        if found is None:
            raise forbidden(attempt.kind, attempt.key[1], f"no PriorityClass with name {name} was found")
        spec["priority"] = found["value"]
        spec["preemptionPolicy"] = found.get("preemptionPolicy", "PreemptLowerPriority")

    def node(self, attempt: Attempt) -> None:
        """A new node takes no pods before its controller says so (TaintNodesByCondition)."""
        if attempt.kind.storage != "nodes" or attempt.operation != "CREATE":
            return
        assert attempt.obj is not None
        taints = attempt.obj.setdefault("spec", {}).setdefault("taints", [])
        if not any(taint["key"] == "node.kubernetes.io/not-ready" for taint in taints):
            taints.append({"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"})

    # ------------------------------------------------------ after it is validated

    def immortal(self, attempt: Attempt) -> None:
        """Refuse to delete the namespaces that a cluster needs."""
        if attempt.kind.storage == "namespaces" and attempt.operation == "DELETE" and attempt.key[1] in _IMMORTAL:
            raise forbidden(attempt.kind, attempt.key[1], "this namespace may not be deleted")

    def default_class(self, attempt: Attempt) -> None:
        """Check that at most one priority class is the default."""
        if attempt.kind.storage != _CLASSES or attempt.obj is None or not attempt.obj.get("globalDefault"):
            return
        names = [one["metadata"]["name"] for one in self._store.list(_CLASSES) if one.get("globalDefault")]
        if taken := [name for name in names if name != attempt.key[1]]:
            text = f"PriorityClass {taken[0]} is already marked as default. Only one default can exist"
            raise forbidden(attempt.kind, attempt.key[1], text)

    def creation(self, attempt: Attempt) -> None:
        """Whoever creates an object by applying or replacing it needs the verb ``create`` as well."""
        if attempt.operation == "CREATE":
            wanted = Attributes(
                "create", attempt.kind.group, attempt.kind.plural, namespace=attempt.key[0], name=attempt.key[1]
            )
            self._access.authorize(attempt.options.caller, wanted)

    def escalation(self, attempt: Attempt) -> None:
        """Check that a caller grants only rights that the caller holds."""
        if attempt.kind.storage not in _RBAC or attempt.obj is None:
            return
        obj, namespace, caller = attempt.obj, attempt.key[0], attempt.options.caller
        binding = attempt.kind.storage in {ROLE_BINDINGS, CLUSTER_ROLE_BINDINGS}
        wanted: list[Mapping[str, Any]] = list(obj.get("rules") or ())
        if binding:
            if self._access.allows(caller, _bind(obj["roleRef"], namespace)):
                return
            wanted = self._access.role_rules(obj["roleRef"], namespace) or []
        elif self._access.allows(caller, _escalate(attempt, namespace)):
            return
        if missing := self._access.lacking(caller, namespace, wanted):
            groups = _quoted(caller.groups)
            text = (
                f'user "{caller.name}" (groups={groups}) is attempting to grant RBAC permissions not currently held:\n'
                + "\n".join(_as_rules(missing))
            )
            raise forbidden(attempt.kind, attempt.key[1], text)

    def quota(self, attempt: Attempt) -> None:
        """What a new object needs is charged to the quotas of its namespace, or it is refused."""
        if attempt.operation != "CREATE" or not attempt.kind.namespaced or attempt.obj is None:
            return
        quotas = [one for one in self._store.list(_QUOTAS, attempt.key[0]) if one.get("status", {}).get("hard")]
        charges = [(quota, self._charged(attempt, quota)) for quota in quotas]
        for quota, used in charges:
            if used and not attempt.options.dry_run:
                status = {**quota["status"], "used": {**quota["status"].get("used", {}), **used}}
                key = (attempt.key[0], quota["metadata"]["name"])
                self._verbs.put_status(self._registry.known(_QUOTAS), key, {**quota, "status": status})

    def _charged(self, attempt: Attempt, quota: Object) -> dict[str, str]:
        """What is used of a quota once the object is there, of the resources that it needs."""
        hard = quota["status"]["hard"]
        name = quota["metadata"]["name"]
        kind, obj = attempt.kind, attempt.obj
        assert obj is not None
        needs = usage(kind.storage, obj, quota["spec"])
        counted = {resource: need for resource, need in needs.items() if resource in hard}
        if kind.storage == "pods" and needs and (unsaid := _unsaid(obj, hard)):
            raise forbidden(kind, attempt.key[1], f"failed quota: {name}: must specify {unsaid}")
        used = quota["status"].get("used", {})
        after = {resource: amount(used.get(resource, "0")) + need for resource, need in counted.items()}
        over = sorted(resource for resource, total in after.items() if total > amount(hard[resource]))
        if over:
            text = (
                f"exceeded quota: {name}, requested: {_listed({one: canonical(counted[one]) for one in over})}, "
                f"used: {_listed({one: used.get(one, '0') for one in over})}, "
                f"limited: {_listed({one: hard[one] for one in over})}"
            )
            raise forbidden(kind, attempt.key[1], text)
        return {resource: canonical(total) for resource, total in after.items()}


def usage(kind: str, obj: Object, quota: Mapping[str, Any]) -> dict[str, Decimal]:
    """What an object takes of a quota (its ``spec``), by the resource's name there; nothing beyond its scopes."""
    if not _in_scope(kind, obj, quota):
        return {}
    plural, _, group = kind.partition(".")
    one = Decimal(1)
    taken = {f"count/{plural}.{group}" if group else f"count/{plural}": one}
    if not group:
        taken[plural] = one
    if kind != "pods" or obj.get("status", {}).get("phase") in {"Failed", "Succeeded"}:
        return taken if kind != "pods" else {"count/pods": one}
    for container in obj["spec"].get("containers", ()):
        for side, prefix in (("requests", "requests."), ("limits", "limits.")):
            for resource, value in container.get("resources", {}).get(side, {}).items():
                names = [prefix + resource]
                if side == "requests" and resource in {"cpu", "memory", "ephemeral-storage"}:
                    names.append(resource)
                for name in names:
                    taken[name] = taken.get(name, Decimal(0)) + amount(value)
    return taken


def _in_scope(kind: str, obj: Object, quota: Mapping[str, Any]) -> bool:
    """Whether a quota's scopes, which speak of pods, leave an object in."""
    wanted = [{"scopeName": name, "operator": "Exists"} for name in quota.get("scopes") or ()]
    wanted += (quota.get("scopeSelector") or {}).get("matchExpressions") or ()
    return all(kind == "pods" and _matches_scope(obj, one) for one in wanted)


def _matches_scope(pod: Object, wanted: Mapping[str, Any]) -> bool:
    spec = pod["spec"]
    name = wanted["scopeName"]
    if name == "PriorityClass":
        requirement = {**wanted, "key": "priority"}
        value = {"priority": spec["priorityClassName"]} if spec.get("priorityClassName") else {}
        return matching(value, of_label_selector({"matchExpressions": [requirement]}))
    ends = spec.get("activeDeadlineSeconds") is not None
    effort = pod.get("status", {}).get("qosClass") == "BestEffort"
    known = {"BestEffort": effort, "NotBestEffort": not effort, "Terminating": ends, "NotTerminating": not ends}
    return bool(known.get(name, False))


def _unsaid(pod: Object, hard: Mapping[str, str]) -> str:
    """The resources that a quota limits and containers do not name, as the refusal lists them."""
    found: dict[str, list[str]] = {}
    for resource in sorted(hard):
        side, _, plain = resource.rpartition(".")
        if resource in {"cpu", "memory"}:
            side, plain = "requests", resource
        if side not in {"requests", "limits"} or plain not in {"cpu", "memory"}:
            continue
        for container in pod["spec"].get("containers", ()):
            if plain not in container.get("resources", {}).get(side, {}):
                found.setdefault(container["name"], []).append(resource)
    grouped: dict[str, list[str]] = {}
    for container, resources in found.items():
        grouped.setdefault(",".join(resources), []).append(container)
    return "; ".join(f"{resources} for: {','.join(containers)}" for resources, containers in grouped.items())


def _listed(values: Mapping[str, str]) -> str:
    return ",".join(f"{name}={values[name]}" for name in sorted(values))


def _tolerates(toleration: Mapping[str, Any], key: str) -> bool:
    return {toleration.get("key", key), toleration.get("effect", "NoExecute")} == {key, "NoExecute"}


def _bind(role: Mapping[str, Any], namespace: str) -> Attributes:
    plural = "clusterroles" if role["kind"] == "ClusterRole" else "roles"
    return Attributes("bind", "rbac.authorization.k8s.io", plural, namespace=namespace, name=role["name"])


def _escalate(attempt: Attempt, namespace: str) -> Attributes:
    return Attributes("escalate", attempt.kind.group, attempt.kind.plural, namespace=namespace, name=attempt.key[1])


def _as_rules(lacking: Iterable[Attributes]) -> list[str]:
    """What somebody lacks, as rules: the verbs on one resource together."""
    verbs: dict[tuple[str, str, str], list[str]] = {}
    lines = set()
    for one in lacking:
        if one.path:
            lines.add(f"{{NonResourceURLs:{_quoted([one.path])}, Verbs:{_quoted([one.verb])}}}")
        else:
            verbs.setdefault((one.group, one.full_resource, one.name), []).append(one.verb)
    for (group, resource, name), allowed in verbs.items():
        names = f", ResourceNames:{_quoted([name])}" if name else ""
        what = f"APIGroups:{_quoted([group])}, Resources:{_quoted([resource])}{names}"
        lines.add(f"{{{what}, Verbs:{_quoted(allowed)}}}")
    return sorted(lines)


def _quoted(words: Iterable[str]) -> str:
    """A list as Go prints it."""
    return json.dumps(list(words)).replace(", ", " ")
