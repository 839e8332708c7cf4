"""Parts of objects that have a path and a form of their own: scale, binding, eviction, tokens, logs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from simulators.cloud.language import fieldsets, managed_fields, patches, structs
from simulators.cloud.language.decoding import decode, read_applied, reread
from simulators.cloud.language.kinds import Kind
from simulators.cloud.language.schema import copied
from simulators.cloud.language.status import (
    Cause,
    StatusError,
    bad_request,
    conflict,
    forbidden_text,
    internal,
    invalid,
)
from simulators.cloud.server import answers
from simulators.cloud.server.answers import Form, Response
from simulators.cloud.server.requests import Request, Target, check_options
from simulators.cloud.server.selectors import matching, of_label_selector
from simulators.cloud.server.store import Object
from simulators.cloud.server.tables import values_at
from simulators.cloud.server.tokens import ISSUER
from simulators.cloud.server.verbs import DeleteOptions, Options

if TYPE_CHECKING:
    from simulators.cloud.server.cluster import Cluster

#: Seconds that a token of a service account has to last.
_SHORTEST_TOKEN, _LONGEST_TOKEN = 600, 2**32
#: Kinds of what a token may be bound to.
_BOUND = {"Pod": "pods", "Secret": "secrets", "Node": "nodes"}
_BUDGETS = "poddisruptionbudgets.policy"
_TOO_MANY = "Cannot evict pod as it would violate the pod's disruption budget."
_TWO_BUDGETS = {
    "kind": "Status",
    "apiVersion": "v1",
    "metadata": {},
    "status": "Failure",
    "message": "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.",
    "code": 500,
}


def answer(cluster: Cluster, request: Request, wanted: Target, kind: Kind, form: Form, options: Options) -> Response:
    """Answer a request for such a part.

    Raises:
        StatusError: it is refused, or the twin has no such part.
    """
    obj = cluster.verbs.found(kind, wanted.namespace, wanted.name)
    part = _PARTS.get(wanted.subresource)
    if wanted.verb == "create":
        check_options(request, "create")
    if part is None:
        raise StatusError(501, "NotImplemented", f"{kind.plural}/{wanted.subresource} is not part of this twin")
    return part(cluster, request, wanted, kind, obj, form, options)


def _kind(group: str, version: str, name: str, type_: str) -> Kind:
    """A kind that is read at such a path, and not kept."""
    return Kind(group, version, name, "", "", structs.struct(type_))


_DONE = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}
_SCALE = _kind("autoscaling", "v1", "Scale", "autoscaling.Scale")
_BINDING = _kind("", "v1", "Binding", "Binding")
_EVICTION = _kind("policy", "v1", "Eviction", "policy.Eviction")
_TOKEN_REQUEST = _kind("authentication.k8s.io", "v1", "TokenRequest", "authentication.TokenRequest")


def _sent(kind: Kind, request: Request) -> Object:
    return decode(kind, request.body, request.header("content-type"))[0]


# ------------------------------------------------------------------------- scale


def _scale(
    cluster: Cluster, request: Request, wanted: Target, kind: Kind, obj: Object, form: Form, options: Options
) -> Response:
    if wanted.verb == "get":
        return answers.document(_scale_of(kind, obj), form=form)
    apply = request.header("content-type").startswith("application/apply-patch")
    check_options(request, wanted.verb, apply=apply)

    path = kind.subresources["scale"].paths["specReplicasPath"]
    owned = fieldsets.path_of(*path.strip(".").split("."))

    def change(old: Object | None) -> Object:
        assert old is not None
        before = old["metadata"].get("managedFields", [])
        scale = _scale_of(kind, old)
        scale["metadata"]["managedFields"] = managed_fields.to_scale(before, owned)
        scale = _scaled(request, wanted, scale, options, cluster.verbs.now())
        wished = scale.get("spec", {}).get("replicas", 0)
        if not kind.custom and wished < 0:
            cause = Cause.invalid("spec.replicas", wished, "must be greater than or equal to 0")
            raise invalid(_SCALE, wanted.name, [cause])
        new = copied(old)
        _set(new, path, wished)
        new["metadata"]["resourceVersion"] = scale["metadata"].get("resourceVersion", "") or _any_version(old)
        after = managed_fields.from_scale(kind, before, scale["metadata"].get("managedFields", []), owned)
        new["metadata"]["managedFields"] = after
        return new

    new, _ = cluster.verbs.update(
        kind, wanted.namespace, wanted.name, change, options, subresource="scale", patch=True, managed=True
    )
    return answers.document(_scale_of(kind, new), form=form)


def _any_version(old: Object) -> str:
    return str(old["metadata"]["resourceVersion"])


def _scaled(request: Request, wanted: Target, scale: Object, options: Options, now: str) -> Object:
    """The scale as the request leaves it."""
    media = request.header("content-type").partition(";")[0].strip()
    if wanted.verb == "patch" and media == "application/apply-patch+yaml":
        sent = read_applied(request.body)
        return managed_fields.applied(
            _SCALE, scale, sent, options.manager, force=options.force, subresource="scale", now=now
        )
    if wanted.verb == "update":
        sent = _sent(_SCALE, request)
    elif media == "application/json-patch+json":
        sent, _ = reread(_SCALE, patches.json_patch(scale, patches.parse(request.body, operations=True)[0]))
    else:
        sent, _ = reread(_SCALE, patches.merge_patch(scale, patches.parse(request.body, operations=False)[0]))
    name = sent["metadata"].get("name", "")
    if name != wanted.name:
        raise bad_request(f"the name of the object ({name}) does not match the name on the URL ({wanted.name})")
    return managed_fields.updated(_SCALE, scale, sent, options.manager, subresource="scale", now=now)


def _scale_of(kind: Kind, obj: Object) -> Object:
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    metadata = {key: obj["metadata"][key] for key in kept if key in obj["metadata"]}
    paths = kind.subresources["scale"].paths
    status: dict[str, Any] = {"replicas": _number(obj, paths["statusReplicasPath"])}
    selector = values_at(obj, paths["labelSelectorPath"]) if "labelSelectorPath" in paths else []
    if selector and isinstance(selector[0], str):
        status["selector"] = selector[0]
    elif labels := obj.get("spec", {}).get("selector", {}).get("matchLabels") if not kind.custom else None:
        status["selector"] = ",".join(f"{key}={value}" for key, value in sorted(labels.items()))
    spec = {"replicas": _number(obj, paths["specReplicasPath"])}
    return {"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata, "spec": spec, "status": status}


def _number(obj: Object, path: str) -> int:
    found = values_at(obj, path)
    return found[0] if found and isinstance(found[0], int) else 0


def _set(obj: Object, path: str, value: Any) -> None:
    *parents, last = path.strip(".").split(".")
    for name in parents:
        obj = obj.setdefault(name, {})
    obj[last] = value


# -------------------------------------------------------------------------- pods


def _binding(
    cluster: Cluster, request: Request, wanted: Target, kind: Kind, obj: Object, form: Form, options: Options
) -> Response:
    return bind(cluster, kind, obj, _sent(_BINDING, request), form, options)


def bind(cluster: Cluster, kind: Kind, pod: Object, binding: Object, form: Form, options: Options) -> Response:
    """Give a pod the node that a Binding names."""
    cluster.verbs.bind(kind, pod, (binding.get("target") or {}).get("name", ""), options)
    return answers.document(_DONE, 201, form)


def _eviction(
    cluster: Cluster, request: Request, wanted: Target, kind: Kind, obj: Object, form: Form, options: Options
) -> Response:
    sent = _sent(_EVICTION, request)
    if sent["metadata"].get("name", "") != wanted.name:
        raise bad_request("name in URL does not match name in Eviction object")
    body = sent.get("deleteOptions") or {}
    asked, tried = list(request.query.get("dryRun", ())), body.get("dryRun") or []
    if asked and tried and asked != tried:
        raise internal(f"Non-matching dry-run options in request and content: {asked} and {tried}")
    acting = Options(options.caller, "kube-apiserver", bool(asked or tried))
    budgets = _budgets(cluster, obj) if _counts(obj) else []
    if len(budgets) > 1:
        return answers.document(_TWO_BUDGETS, 500, form)
    if budgets:
        _keep_to_budget(cluster, budgets[0], obj, dry_run=acting.dry_run)
    conditions = body.get("preconditions") or {}
    how = DeleteOptions(
        body.get("gracePeriodSeconds"), uid=conditions.get("uid", ""), version=conditions.get("resourceVersion", "")
    )
    if not acting.dry_run:
        cluster.verbs.check_preconditions(kind, obj, how)
        _say_why(cluster, kind, obj)
        how = replace(how, version="")
    cluster.verbs.delete(kind, wanted.namespace, wanted.name, how, acting)
    return answers.document(_DONE, 201, form)


def _say_why(cluster: Cluster, kind: Kind, pod: Object) -> None:
    """Write into a pod that it goes because of an eviction; no field manager is on record for that."""
    told = copied(pod)
    said = {"reason": "EvictionByEvictionAPI", "message": "Eviction API: evicting", "lastProbeTime": None}
    _set_condition(told.setdefault("status", {}), "DisruptionTarget", "True", said, cluster.verbs.now())
    cluster.store.put(kind.storage, (pod["metadata"]["namespace"], pod["metadata"]["name"]), told)


def _set_condition(status: Object, type_: str, value: str, said: Object, now: str) -> None:
    """Put a condition in the place of that of its type; its time is that of the last change of its status."""
    conditions = list(status.get("conditions") or ())
    at = next((index for index, one in enumerate(conditions) if one["type"] == type_), len(conditions))
    same = [one["lastTransitionTime"] for one in conditions[at : at + 1] if one["status"] == value]
    since = same[0] if same else now
    conditions[at : at + 1] = [{"type": type_, "status": value, **said, "lastTransitionTime": since}]
    status["conditions"] = conditions


def _counts(pod: Object) -> bool:
    """A pod that has ended, ends or does not run yet may go whatever a budget says."""
    phase = pod.get("status", {}).get("phase")
    return phase not in {"Succeeded", "Failed", "Pending"} and "deletionTimestamp" not in pod["metadata"]


def _budgets(cluster: Cluster, pod: Object) -> list[Object]:
    """The disruption budgets that a pod is under."""
    return [one for one in cluster.list(_BUDGETS, pod["metadata"]["namespace"]) if _guards(one, pod)]


def _keep_to_budget(cluster: Cluster, budget: Object, pod: Object, *, dry_run: bool) -> None:
    """Take the eviction of a pod out of what its budget allows; one that is not ready takes nothing.

    Raises:
        StatusError: 429, the budget allows none.
    """
    status = budget.get("status", {})
    if not _is_ready(pod):
        healthy, needed = status.get("currentHealthy", 0), status.get("desiredHealthy", 0)
        if budget["spec"].get("unhealthyPodEvictionPolicy") == "AlwaysAllow" or healthy >= needed > 0:
            return
    _disrupt(cluster, budget, pod["metadata"]["name"], dry_run=dry_run)


def _guards(budget: Object, pod: Object) -> bool:
    selector = budget["spec"].get("selector")
    return selector is not None and matching(pod["metadata"].get("labels") or {}, of_label_selector(selector))


def _is_ready(pod: Object) -> bool:
    conditions = pod.get("status", {}).get("conditions") or ()
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def _disrupt(cluster: Cluster, budget: Object, pod: str, *, dry_run: bool) -> None:
    status, metadata = budget.get("status", {}), budget["metadata"]
    left, name = status.get("disruptionsAllowed", 0), metadata["name"]
    if status.get("observedGeneration", 0) < metadata.get("generation", 0):
        raise _too_many(f"The disruption budget {name} is still being processed by the server.", 10)
    if left < 0:
        raise forbidden_text("policy", "poddisruptionbudget", name, "pdb disruptions allowed is negative")
    if not left:
        healthy, needed = status.get("currentHealthy", 0), status.get("desiredHealthy", 0)
        raise _too_many(f"The disruption budget {name} needs {needed} healthy pods and has {healthy} currently")
    if not dry_run:
        disrupted = {**status.get("disruptedPods", {}), pod: cluster.verbs.now()}
        new = {**budget, "status": {**status, "disruptionsAllowed": left - 1, "disruptedPods": disrupted}}
        if left == 1:
            said = {"observedGeneration": status["observedGeneration"], "reason": "InsufficientPods", "message": ""}
            _set_condition(new["status"], "DisruptionAllowed", "False", said, cluster.verbs.now())
        kind = cluster.registry.known(_BUDGETS)
        cluster.verbs.put_status(kind, (metadata["namespace"], name), new)


def _too_many(text: str, seconds: int | None = None) -> StatusError:
    details: Object = {"causes": [{"reason": "DisruptionBudget", "message": text}]}
    if seconds:
        details["retryAfterSeconds"] = seconds
    return StatusError(429, "TooManyRequests", _TOO_MANY, details, seconds)


def _log(
    cluster: Cluster, request: Request, wanted: Target, kind: Kind, obj: Object, form: Form, options: Options
) -> Response:
    containers = [one["name"] for one in obj["spec"]["containers"]]
    chosen = request.asks("container") or (containers[0] if len(containers) == 1 else "")
    if not chosen:
        raise bad_request(f"a container name must be specified for pod {wanted.name}, choose one of: {containers}")
    if chosen not in containers:
        raise bad_request(f"container {chosen} is not valid for pod {wanted.name}")
    return answers.text(cluster.logs(wanted.namespace, wanted.name, chosen))


def _token(
    cluster: Cluster, request: Request, wanted: Target, kind: Kind, obj: Object, form: Form, options: Options
) -> Response:
    asked = _sent(_TOKEN_REQUEST, request).get("spec") or {}
    seconds = asked.get("expirationSeconds") or 3600
    if not _SHORTEST_TOKEN <= seconds <= _LONGEST_TOKEN:
        limit = "less than 10 minutes" if seconds < _SHORTEST_TOKEN else "larger than 2^32 seconds"
        cause = Cause.invalid("spec.expirationSeconds", seconds, f"may not specify a duration {limit}")
        raise invalid(_TOKEN_REQUEST, "", [cause])
    bound = {}
    if (reference := asked.get("boundObjectRef")) is not None:
        bound = _bound(cluster, wanted, reference)
    audiences = asked.get("audiences") or [ISSUER]
    spec = {**asked, "expirationSeconds": seconds, "audiences": audiences}
    token = cluster.access.accounts.issue(obj, seconds, audiences, bound)
    expires = cluster.access.accounts.ends(seconds)
    body = {
        "kind": "TokenRequest",
        "apiVersion": "authentication.k8s.io/v1",
        "metadata": {"name": wanted.name, "namespace": wanted.namespace, "creationTimestamp": cluster.verbs.now()},
        "spec": spec,
        "status": {"token": token, "expirationTimestamp": expires},
    }
    return answers.document(body, 201, form)


def _bound(cluster: Cluster, wanted: Target, bound: Mapping[str, Any]) -> dict[str, Object]:
    """What a token is bound to, and the node where that is a pod that has one.

    Raises:
        StatusError: 400, 404 or 409, it is not there, or is no secret, no node and no pod of that service account.
    """
    group, _, version = (bound.get("apiVersion") or "").rpartition("/")
    called, name = bound.get("kind") or "", bound.get("name") or ""
    if group or called not in _BOUND:
        text = f"{group}/{version}, Kind={called}"
        raise bad_request(f"cannot bind token to object of type {text}")
    kind = cluster.registry.known(_BOUND[called])
    obj = cluster.verbs.found(kind, wanted.namespace if kind.namespaced else "", name)
    if called == "Pod" and obj["spec"].get("serviceAccountName", "") != wanted.name:
        other = "to pod running with different serviceaccount name."
        raise bad_request(f'cannot bind token for serviceaccount "{wanted.name}" {other}')
    uid = bound.get("uid") or ""
    if uid not in {"", obj["metadata"]["uid"]}:
        text = f"the UID in the bound object reference ({uid}) does not match the UID in record. "
        raise conflict(kind, name, f"{text}The object might have been deleted and then recreated", by_kind=True)
    found = {called.lower(): obj}
    node = cluster.get("nodes", "", obj["spec"].get("nodeName", "")) if called == "Pod" else None
    return found if node is None else {**found, "node": node}


Part = Callable[["Cluster", Request, Target, Kind, Object, Form, Options], Response]
_PARTS: Mapping[str, Part] = {
    "scale": _scale,
    "binding": _binding,
    "eviction": _eviction,
    "log": _log,
    "token": _token,
}
