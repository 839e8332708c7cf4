"""Reviews: what may I, what may he, and who am I; answered and never stored."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from simulators.cloud.language.kinds import Kind
from simulators.cloud.language.managed_fields import updated
from simulators.cloud.language.status import Cause, StatusError, bad_request
from simulators.cloud.server.access import Attributes, Caller
from simulators.cloud.server.store import Object

if TYPE_CHECKING:
    from simulators.cloud.server.cluster import Cluster


def answer(cluster: Cluster, kind: Kind, obj: Object, caller: Caller, manager: str) -> Object:
    """The review with its status.

    Raises:
        StatusError: 400 or 422, it does not say what to review.
    """
    review = REVIEWS[kind.storage]
    managed = kind.plural.endswith("accessreviews")
    obj = updated(kind, None, obj, manager, subresource="", now=cluster.verbs.now()) if managed else obj
    shown = {"kind": kind.kind, "apiVersion": kind.api_version, "metadata": obj.get("metadata") or {}}
    return {**shown, **review(cluster, kind, obj, caller)}


def _self_access(cluster: Cluster, kind: Kind, obj: Object, caller: Caller) -> Object:
    spec = obj.get("spec") or {}
    return {"spec": spec, "status": {"allowed": cluster.access.allows(caller, _attributes(kind, spec))}}


def _access(cluster: Cluster, kind: Kind, obj: Object, _: Caller) -> Object:
    spec = obj.get("spec") or {}
    about = Caller(spec.get("user", ""), tuple(spec.get("groups") or ()))
    return {"spec": spec, "status": {"allowed": cluster.access.allows(about, _attributes(kind, spec))}}


def _attributes(kind: Kind, spec: Mapping[str, Any]) -> Attributes:
    resource, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if (resource is None) == (path is None):
        text = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
        cause = Cause.invalid("spec.resourceAttributes", resource, text)
        message = f'.{kind.group} "" is invalid: {cause.field}: {cause.message}'
        raise StatusError(422, "Invalid", message, {"group": kind.group, "causes": [cause.body()]})
    if path is not None:
        return Attributes(path.get("verb", ""), path=path.get("path", ""))
    words = ("verb", "group", "resource", "subresource", "namespace", "name")
    return Attributes(*((resource or {}).get(word, "") for word in words))


def _rules(cluster: Cluster, _: Kind, obj: Object, caller: Caller) -> Object:
    namespace = (obj.get("spec") or {}).get("namespace", "")
    found: dict[str, list[Any]] = {"resourceRules": [], "nonResourceRules": []}
    for rule in cluster.access.rules(caller, namespace):
        side = "nonResourceRules" if rule.get("nonResourceURLs") else "resourceRules"
        if rule not in found[side]:
            found[side].append(rule)
    return {"spec": {}, "status": {**found, "incomplete": False}}


def _who(cluster: Cluster, _: Kind, __: Object, caller: Caller) -> Object:
    return {"metadata": {"creationTimestamp": cluster.verbs.now()}, "status": {"userInfo": caller.info}}


def _token(cluster: Cluster, _: Kind, obj: Object, __: Caller) -> Object:
    spec = obj.get("spec") or {}
    if not spec.get("token"):
        raise bad_request("token is required for TokenReview in authentication")
    caller = cluster.access.known_token(spec["token"])
    status: dict[str, Any] = {"user": {}, "error": "[invalid bearer token]"}
    if caller is not None:
        status = {"authenticated": True, "user": caller.info}
    return {"spec": spec, "status": status}


Review = Callable[["Cluster", Kind, Object, Caller], Object]
REVIEWS: Mapping[str, Review] = {
    "selfsubjectaccessreviews.authorization.k8s.io": _self_access,
    "localsubjectaccessreviews.authorization.k8s.io": _access,
    "subjectaccessreviews.authorization.k8s.io": _access,
    "selfsubjectrulesreviews.authorization.k8s.io": _rules,
    "selfsubjectreviews.authentication.k8s.io": _who,
    "tokenreviews.authentication.k8s.io": _token,
}
