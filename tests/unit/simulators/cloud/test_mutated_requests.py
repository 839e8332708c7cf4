"""Requests with parts that do not fit, whatever they are, get an answer of the API and change nothing by halves."""

from __future__ import annotations

import copy
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from simulators.clock import VirtualClock
from simulators.cloud.server.answers import Response
from simulators.cloud.server.api import Api
from simulators.cloud.server.cluster import Cluster
from simulators.cloud.server.requests import Request
from tests.integration.simulators.test_cloud_api import CRD
from tests.unit.simulators.cloud.language.kinds import CRD as FUNCTIONS
from tests.unit.simulators.cloud.test_server import config_map, pod

Json = Any
_FUNCTIONS = "/apis/workload.nephio.org/v1alpha1/namespaces/default/nfdeployments"
_FUNCTION = {
    "apiVersion": "workload.nephio.org/v1alpha1",
    "kind": "NFDeployment",
    "metadata": {"name": "du", "labels": {"a": "b"}, "finalizers": ["a.b/c"]},
    "spec": {"provider": "acme", "replicas": 1},
}
_RBAC = "/apis/rbac.authorization.k8s.io/v1/namespaces/default"
_RULE = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}
_APPLY, _MERGE, _JSON = "application/apply-patch+yaml", "application/merge-patch+json", "application/json-patch+json"
_STRATEGIC = "application/strategic-merge-patch+json"
#: Method, path, media type, body.
_REQUESTS: tuple[tuple[str, str, str, Json], ...] = (
    ("POST", _FUNCTIONS, "application/json", _FUNCTION),
    (
        "PUT",
        f"{_FUNCTIONS}/there",
        "application/json",
        {**_FUNCTION, "metadata": {"name": "there", "resourceVersion": "1"}},
    ),
    ("PATCH", f"{_FUNCTIONS}/du?fieldManager=m", _APPLY, _FUNCTION),
    ("PATCH", f"{_FUNCTIONS}/there", _MERGE, {"metadata": {"labels": {"a": "b"}}, "spec": {"replicas": 2}}),
    ("PATCH", f"{_FUNCTIONS}/there", _JSON, [{"op": "replace", "path": "/spec/replicas", "value": 2}]),
    ("PATCH", f"{_FUNCTIONS}/there/scale", _MERGE, {"spec": {"replicas": 2}}),
    ("PATCH", f"{_FUNCTIONS}/there/status", _MERGE, {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}),
    ("DELETE", f"{_FUNCTIONS}/absent", "application/json", {"preconditions": {"uid": "x"}, "gracePeriodSeconds": 1}),
    ("POST", "/api/v1/namespaces/default/pods", "application/json", pod("p", a="b")),
    (
        "PATCH",
        "/api/v1/namespaces/default/pods/there",
        _STRATEGIC,
        {"spec": {"containers": [{"name": "c", "image": "i"}]}},
    ),
    (
        "POST",
        "/api/v1/namespaces/default/pods/there/binding",
        "application/json",
        {"target": {"kind": "Node", "name": "n"}},
    ),
    (
        "POST",
        "/api/v1/namespaces/default/pods/there/eviction",
        "application/json",
        {"deleteOptions": {"dryRun": ["All"]}},
    ),
    ("POST", "/api/v1/namespaces/default/configmaps", "application/json", config_map("c", a="b")),
    ("POST", f"{_RBAC}/roles", "application/json", {"metadata": {"name": "r"}, "rules": [_RULE]}),
    ("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", "application/json", CRD),
    ("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", "application/json", FUNCTIONS),
    (
        "POST",
        "/api/v1/namespaces/default/limitranges",
        "application/json",
        {"metadata": {"name": "l"}, "spec": {"limits": [{"type": "Pod", "min": {"cpu": "1"}, "max": {"cpu": "2"}}]}},
    ),
    (
        "POST",
        "/api/v1/namespaces/default/services",
        "application/json",
        {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 1, "name": "a", "targetPort": "b"}], "selector": {}}},
    ),
    (
        "POST",
        "/api/v1/namespaces/default/serviceaccounts/there/token",
        "application/json",
        {"spec": {"audiences": ["a"], "boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": "there"}}},
    ),
    (
        "POST",
        "/apis/authorization.k8s.io/v1/namespaces/default/localsubjectaccessreviews",
        "application/json",
        {"spec": {"user": "ana", "groups": ["noc"], "extra": {"a": ["b"]}, "resourceAttributes": {"verb": "get"}}},
    ),
    (
        "POST",
        "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
        "application/json",
        {"spec": {"resourceAttributes": {"verb": "get", "resource": "pods"}}},
    ),
)
_JUNK = st.sampled_from(
    [None, True, 0, -1, 1.5, "", "x", "é\x00", [], {}, [None], [1], {"a": 1}, "9" * 30, {"metadata": None}]
)


@st.composite
def mutated(draw: st.DrawFn) -> tuple[str, str, str, Json]:
    """One of the requests, with one or two parts replaced or left out."""
    method, path, media, body = draw(st.sampled_from(_REQUESTS))
    body = copy.deepcopy(body)
    for _ in range(draw(st.integers(1, 2))):
        body = _changed(draw, body)
    return method, path, media, body


def _changed(draw: st.DrawFn, value: Json) -> Json:
    if not value or not isinstance(value, dict | list) or draw(st.integers(0, 3)) == 0:
        return copy.deepcopy(draw(_JUNK))
    key = draw(st.sampled_from(sorted(value) if isinstance(value, dict) else range(len(value))))
    if isinstance(value, dict) and draw(st.integers(0, 5)) == 0:
        del value[key]
    else:
        value[key] = _changed(draw, value[key])
    return value


def _pool() -> Cluster:
    pool = Cluster("pool", VirtualClock())
    pool.access.add_token("admin", "admin", "system:masters")
    pool.create("customresourcedefinitions.apiextensions.k8s.io", CRD)
    there = {"metadata": {"name": "there", "namespace": "default"}, "spec": {"provider": "acme"}}
    pool.create("nfdeployments.workload.nephio.org", there)
    unbound = pod("there")
    del unbound["spec"]["nodeName"]
    pool.create("pods", unbound)
    pool.create("serviceaccounts", {"metadata": {"name": "there", "namespace": "default"}})
    return pool


_POOL = _pool()


@given(mutated())
def test_every_request_is_answered(asked: tuple[str, str, str, Json]) -> None:
    method, path, media, body = asked
    before = _POOL.store.revision
    headers = {"authorization": "Bearer admin", "content-type": media}
    separator = "&" if "?" in path else "?"
    target = f"{path}{separator}dryRun=All"
    answer = Api(_POOL).handle(Request.of_target(method, target, headers=headers, body=json.dumps(body).encode()))
    assert isinstance(answer, Response)
    said = json.loads(answer.body)
    assert answer.status < 300 or (said["kind"], said["code"]) == ("Status", answer.status)
    assert _POOL.store.revision == before
