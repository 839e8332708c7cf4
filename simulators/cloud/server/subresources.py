"""Parts of objects that have a path and a form of their own: scale, binding, eviction, tokens, logs."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from simulators.cloud.language.decoding import parse
from simulators.cloud.language.kinds import Kind
from simulators.cloud.language.patches import json_patch, merge_patch
from simulators.cloud.language.patches import parse as parse_patch
from simulators.cloud.language.status import StatusError, bad_request
from simulators.cloud.server import answers
from simulators.cloud.server.answers import Form, Response
from simulators.cloud.server.requests import Request, Target, check_options
from simulators.cloud.server.selectors import matching, of_label_selector
from simulators.cloud.server.store import Object
from simulators.cloud.server.tables import values_at
from simulators.cloud.server.verbs import DeleteOptions, Options

if TYPE_CHECKING:
    from simulators.cloud.server.cluster import Cluster

_TOO_MANY = "Cannot evict pod as it would violate the pod's disruption budget."


def answer(cluster: Cluster, request: Request, wanted: Target, kind: Kind, form: Form, options: Options) -> Response:
    """Answer a request for such a part.

    Raises:
        StatusError: it is refused, or the twin has no such part.
    """
    obj = cluster.verbs.found(kind, wanted.namespace, wanted.name)
    part = _PARTS.get(wanted.subresource)
    if part is None:
        raise StatusError(501, "NotImplemented", f"{kind.plural}/{wanted.subresource} is not part of this twin")
    return part(cluster, request, wanted, kind, obj, form, options)


def _body(request: Request) -> Object:
    body: Any
    try:
        body, _ = parse(request.body, request.header("content-type"))
    except ValueError as error:
        raise bad_request(f"couldn't get version/kind; json parse error: {error}") from None
    if not isinstance(body, dict):
        raise bad_request("couldn't get version/kind; json parse error: the body is no object")
    return body


# ------------------------------------------------------------------------- scale


def _scale(
    cluster: Cluster, request: Request, wanted: Target, kind: Kind, obj: Object, form: Form, options: Options
) -> Response:
    if wanted.verb == "get":
        return answers.document(_scale_of(kind, obj), form=form)
    check_options(request, wanted.verb)

    def change(old: Object | None) -> Object:
        assert old is not None
        sent = _sent_scale(request, wanted, _scale_of(kind, old))
        new = copy.deepcopy(old)
        where = _replicas_path(kind)
        _set(new, where, sent.get("spec", {}).get("replicas", 0))
        new["metadata"]["resourceVersion"] = (
            sent.get("metadata", {}).get("resourceVersion") or old["metadata"]["resourceVersion"]
        )
        return new

    new, _ = cluster.verbs.update(kind, wanted.namespace, wanted.name, change, options, subresource="scale", patch=True)
    return answers.document(_scale_of(kind, new), form=form)


def _sent_scale(request: Request, wanted: Target, scale: Object) -> Object:
    media = request.header("content-type").partition(";")[0]
    if wanted.verb == "patch":
        if media == "application/json-patch+json":
            return json_patch(scale, parse_patch(request.body, operations=True))
        merged: Object = merge_patch(scale, parse_patch(request.body, operations=False))
        return merged
    sent = _body(request)
    name = sent.get("metadata", {}).get("name", "")
    if name != wanted.name:
        raise bad_request(f"the name of the object ({name}) does not match the name on the URL ({wanted.name})")
    return sent


def _replicas_path(kind: Kind) -> str:
    return kind.subresources["scale"].paths["specReplicasPath"]


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
    spec = {"replicas": _number(obj, _replicas_path(kind))}
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
    sent = _body(request)
    node = (sent.get("target") or {}).get("name", "")
    cluster.verbs.bind(kind, obj, node, options)
    return answers.document(
        {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}, 201, form
    )


def _eviction(
    cluster: Cluster, request: Request, wanted: Target, kind: Kind, obj: Object, form: Form, options: Options
) -> Response:
    sent = _body(request)
    body = sent.get("deleteOptions") or {}
    dry_run = options.dry_run or bool(body.get("dryRun"))
    budgets = [one for one in cluster.list("poddisruptionbudgets.policy", wanted.namespace) if _guards(one, obj)]
    for budget in budgets if _counts(obj) else ():
        _disrupt(cluster, budget, wanted.name, dry_run=dry_run)
    how = DeleteOptions(grace=body.get("gracePeriodSeconds"))
    acting = Options(options.caller, options.manager, dry_run)
    cluster.verbs.delete(kind, wanted.namespace, wanted.name, how, acting)
    return answers.document(
        {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}, 201, form
    )


def _guards(budget: Object, pod: Object) -> bool:
    selector = budget["spec"].get("selector")
    return selector is not None and matching(pod["metadata"].get("labels") or {}, of_label_selector(selector))


def _counts(pod: Object) -> bool:
    """A pod that has ended or does not run yet may go whatever a budget says."""
    return pod.get("status", {}).get("phase") not in {"Succeeded", "Failed", "Pending"}


def _disrupt(cluster: Cluster, budget: Object, pod: str, *, dry_run: bool) -> None:
    status = budget.get("status", {})
    left = status.get("disruptionsAllowed", 0)
    name = budget["metadata"]["name"]
    if left < 1:
        healthy, needed = status.get("currentHealthy", 0), status.get("desiredHealthy", 0)
        text = f"The disruption budget {name} needs {needed} healthy pods and has {healthy} currently"
        cause = {"reason": "DisruptionBudget", "message": text}
        raise StatusError(429, "TooManyRequests", _TOO_MANY, {"causes": [cause]})
    if not dry_run:
        disrupted = {**status.get("disruptedPods", {}), pod: cluster.verbs.now()}
        new = {**budget, "status": {**status, "disruptionsAllowed": left - 1, "disruptedPods": disrupted}}
        cluster.store.put("poddisruptionbudgets.policy", (budget["metadata"]["namespace"], name), new)


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
    sent = _body(request)
    spec = {"expirationSeconds": 3600, "audiences": ["https://kubernetes.default.svc"], **(sent.get("spec") or {})}
    token, expires = cluster.issue_token(
        wanted.namespace, wanted.name, obj["metadata"]["uid"], spec["expirationSeconds"]
    )
    body = {
        "kind": "TokenRequest",
        "apiVersion": "authentication.k8s.io/v1",
        "metadata": {"name": wanted.name, "namespace": wanted.namespace, "creationTimestamp": cluster.verbs.now()},
        "spec": spec,
        "status": {"token": token, "expirationTimestamp": expires},
    }
    return answers.document(body, 201, form)


Part = Callable[["Cluster", Request, Target, Kind, Object, Form, Options], Response]
_PARTS: Mapping[str, Part] = {
    "scale": _scale,
    "binding": _binding,
    "eviction": _eviction,
    "log": _log,
    "token": _token,
}
