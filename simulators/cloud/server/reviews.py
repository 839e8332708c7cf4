"""Reviews: what may I, what may he, and who am I; answered and never stored."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from simulators.cloud.language.kinds import Kind
from simulators.cloud.language.managed_fields import updated
from simulators.cloud.language.status import Cause, bad_request, invalid_review
from simulators.cloud.server.access import Attributes, Caller
from simulators.cloud.server.store import Object
from simulators.cloud.server.tokens import TokenError

if TYPE_CHECKING:
    from simulators.cloud.server.cluster import Cluster


def answer(cluster: Cluster, kind: Kind, namespace: str, obj: Object, caller: Caller, manager: str) -> Object:
    """The review with its status.

    Raises:
        StatusError: 400 or 422, it does not say what to review.
    """
    review = REVIEWS[kind.storage]
    if kind.namespaced:
        obj = {**obj, "metadata": {**(obj.get("metadata") or {}), "namespace": namespace}}
    managed = kind.plural.endswith("accessreviews")
    obj = updated(kind, None, obj, manager, subresource="", now=cluster.verbs.now()) if managed else obj
    shown = {"kind": kind.kind, "apiVersion": kind.api_version, "metadata": obj.get("metadata") or {}}
    return {**shown, **review(cluster, kind, obj, caller)}


def _self_access(cluster: Cluster, kind: Kind, obj: Object, caller: Caller) -> Object:
    spec = obj.get("spec") or {}
    _check(kind, list(_what_problems(spec)))
    return _decided(cluster, spec, caller)


def _access(cluster: Cluster, kind: Kind, obj: Object, _: Caller) -> Object:
    spec = obj.get("spec") or {}
    _check(kind, [*_what_problems(spec), *_whose_problems(kind, obj, spec)])
    extra = {name: tuple(values or ()) for name, values in (spec.get("extra") or {}).items()}
    return _decided(cluster, spec, Caller(spec.get("user", ""), tuple(spec.get("groups") or ()), extra=extra))


def _decided(cluster: Cluster, spec: Mapping[str, Any], about: Caller) -> Object:
    allowed, reason = cluster.access.decision(about, _attributes(spec))
    return {"spec": spec, "status": {"allowed": allowed, **({"reason": reason} if reason else {})}}


def _what_problems(spec: Mapping[str, Any]) -> Iterator[Cause]:
    resource, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if resource is None and path is None:
        text = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
        yield Cause.invalid("spec.resourceAttributes", None, text)
    if resource is not None and path is not None:
        text = "cannot be specified in combination with resourceAttributes"
        yield Cause.invalid("spec.nonResourceAttributes", _internal(path), text)


def _whose_problems(kind: Kind, obj: Object, spec: Mapping[str, Any]) -> Iterator[Cause]:
    if not spec.get("user") and not spec.get("groups"):
        yield Cause.invalid("spec.user", "", "at least one of user or group must be specified")
    if not kind.namespaced:
        return
    asked = (spec.get("resourceAttributes") or {}).get("namespace", "")
    if spec.get("resourceAttributes") is not None and asked != obj["metadata"]["namespace"]:
        yield Cause.invalid("spec.resourceAttributes.namespace", asked, "must match metadata.namespace")
    if (path := spec.get("nonResourceAttributes")) is not None:
        yield Cause.invalid("spec.nonResourceAttributes", _internal(path), "disallowed on this kind of request")


def _internal(path: Mapping[str, Any]) -> Object:
    """A path and verb as the real server names them: by the struct that it keeps."""
    return {"Path": path.get("path", ""), "Verb": path.get("verb", "")}


def _check(kind: Kind, causes: Sequence[Cause]) -> None:
    if causes:
        raise invalid_review(kind.group, causes)


def _attributes(spec: Mapping[str, Any]) -> Attributes:
    if (path := spec.get("nonResourceAttributes")) is not None:
        return Attributes(path.get("verb", ""), path=path.get("path", ""))
    words = ("verb", "group", "resource", "subresource", "namespace", "name")
    return Attributes(*((spec.get("resourceAttributes") or {}).get(word, "") for word in words))


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
    try:
        caller, audiences = cluster.access.by_token(spec["token"], spec.get("audiences") or ())
    except TokenError as error:
        problem = "invalid bearer token"
        return {"spec": spec, "status": {"user": {}, "error": f"[{problem}, {error}]" if str(error) else problem}}
    return {"spec": spec, "status": {"authenticated": True, "user": caller.info, "audiences": audiences}}


Review = Callable[["Cluster", Kind, Object, Caller], Object]
REVIEWS: Mapping[str, Review] = {
    "selfsubjectaccessreviews.authorization.k8s.io": _self_access,
    "localsubjectaccessreviews.authorization.k8s.io": _access,
    "subjectaccessreviews.authorization.k8s.io": _access,
    "selfsubjectrulesreviews.authorization.k8s.io": _rules,
    "selfsubjectreviews.authentication.k8s.io": _who,
    "tokenreviews.authentication.k8s.io": _token,
}
