"""Cluster roles that others make up by their labels: ``view``, ``edit`` and ``admin``, and anybody's own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from simulators.cloud.server.access import CLUSTER_ROLES
from simulators.cloud.server.selectors import matching, of_label_selector
from simulators.cloud.server.store import Event, Object, Store

_LABEL = "rbac.authorization.k8s.io/aggregate-to-"
_READ = ["get", "list", "watch"]
_WRITE = ["create", "delete", "deletecollection", "patch", "update"]
#: What belongs to a namespace, by group: those who view see it, and those who edit change it.
_CONTENT = {
    "": [
        "configmaps", "endpoints", "events", "persistentvolumeclaims", "pods", "replicationcontrollers",
        "replicationcontrollers/scale", "serviceaccounts", "services",
    ],
    "apps": [
        "daemonsets", "deployments", "deployments/scale", "replicasets", "replicasets/scale", "statefulsets",
        "statefulsets/scale",
    ],
    "batch": ["cronjobs", "jobs"],
    "networking.k8s.io": ["ingresses", "networkpolicies"],
    "policy": ["poddisruptionbudgets"],
}  # fmt: skip
_SEEN = ["bindings", "limitranges", "namespaces", "namespaces/status", "pods/log", "pods/status", "resourcequotas",
         "resourcequotas/status", "services/status"]  # fmt: skip
_RBAC = "rbac.authorization.k8s.io"


def _rule(verbs: list[str], group: str, *resources: str) -> dict[str, Any]:
    return {"verbs": verbs, "apiGroups": [group], "resources": list(resources)}


_PARTS = {
    "view": [*(_rule(_READ, group, *names) for group, names in _CONTENT.items()), _rule(_READ, "", *_SEEN)],
    "edit": [
        *(_rule(_WRITE, group, *names) for group, names in _CONTENT.items()),
        _rule([*_READ, *_WRITE], "", "secrets"),
        _rule([*_READ, *_WRITE], "coordination.k8s.io", "leases"),
        _rule(["create"], "", "pods/eviction", "serviceaccounts/token"),
        _rule(["impersonate"], "", "serviceaccounts"),
    ],
    "admin": [
        _rule([*_READ, *_WRITE], _RBAC, "rolebindings", "roles"),
        _rule(["create"], "authorization.k8s.io", "localsubjectaccessreviews"),
    ],
}


def bootstrap() -> Iterator[Object]:
    """The roles for people that a pool has from its beginning: each has the rights of the one before, and more."""
    for name, above in (("view", "edit"), ("edit", "admin"), ("admin", "")):
        labels = {"kubernetes.io/bootstrapping": "rbac-defaults"}
        own = {"name": f"system:aggregate-to-{name}", "labels": {**labels, f"{_LABEL}{name}": "true"}}
        yield {"metadata": own, "rules": _PARTS[name]}
        rule = {"clusterRoleSelectors": [{"matchLabels": {f"{_LABEL}{name}": "true"}}]}
        whole = {"name": name, "labels": {**labels, **({f"{_LABEL}{above}": "true"} if above else {})}}
        yield {"metadata": whole, "aggregationRule": rule, "rules": []}


def aggregate(store: Store) -> None:
    """Keep the rules of aggregated roles as the roles that they are made of have them."""

    def changed(event: Event) -> None:
        if event.kind != CLUSTER_ROLES:
            return
        roles = store.list(CLUSTER_ROLES)
        for role in roles:
            if (rule := role.get("aggregationRule")) is None:
                continue
            selectors = [of_label_selector(one) for one in rule.get("clusterRoleSelectors") or ()]
            rules: list[Any] = []
            for part in roles:
                labels = part["metadata"].get("labels") or {}
                if part is not role and any(matching(labels, selector) for selector in selectors):
                    rules += [one for one in part.get("rules") or () if one not in rules]
            if rules != (role.get("rules") or []):
                store.put(CLUSTER_ROLES, ("", role["metadata"]["name"]), {**role, "rules": rules})
                return  # woken by this write, it goes on with the next

    store.subscribe(changed)
