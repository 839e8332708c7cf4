"""Bodies with parts replaced, removed or added at random: each gets an answer, and only what is valid is kept."""

# ruff: noqa: E501 (bodies, each in one line)

from __future__ import annotations

import copy
import json
import random
from datetime import UTC, datetime
from typing import Any

import pytest

from simulators.clock import VirtualClock
from simulators.cloud.language import decoding
from simulators.cloud.language.kinds import BUILT_IN
from simulators.cloud.server.answers import Response
from simulators.cloud.server.api import Api
from simulators.cloud.server.cluster import Cluster
from simulators.cloud.server.requests import Request
from tests.support.soak import SOAK
from tests.unit.simulators.cloud.language.kinds import CRD, FUNCTION

_JUNK: tuple[Any, ...] = (
    None, 0, -1, 1.5, 2**70, "", "x", "A B", True, False, [], {}, [None], [{}], {"a": None}, ["a", 1],
    {"$patch": "delete"}, {"$patch": "bogus"}, "2026-01-01T00:00:00Z", "10Gi", "-5m", "é",
)  # fmt: skip
_NAMES = ("bogus", "name", "key", "$patch", "$retainKeys", "$setElementOrder/containers", "status", "metadata", "kind")
_POD = {"containers": [{"name": "c", "image": "i:1", "ports": [{"containerPort": 80}], "env": [{"name": "X"}],
                        "resources": {"requests": {"cpu": "1"}, "limits": {"cpu": "2"}}}]}  # fmt: skip
_OBJECTS: dict[str, dict[str, Any]] = {
    "configmaps": {"data": {"k": "v"}, "binaryData": {"b": "AAEC"}},
    "secrets": {"stringData": {"k": "v"}, "data": {"p": "cHc="}},
    "pods": {"spec": _POD},
    "services": {"spec": {"ports": [{"port": 80, "name": "http"}], "selector": {"a": "b"}}},
    "resourcequotas": {"spec": {"hard": {"pods": "10", "requests.cpu": "4"}}},
    "deployments.apps": {
        "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {"labels": {"a": "b"}}, "spec": _POD}}
    },
    "networkpolicies.networking.k8s.io": {
        "spec": {"podSelector": {}, "ingress": [{"from": [{"ipBlock": {"cidr": "10.0.0.0/8"}}], "ports": [{"port": 80}]}]}
    },
    "poddisruptionbudgets.policy": {"spec": {"minAvailable": 1, "selector": {"matchLabels": {"a": "b"}}}},
    "leases.coordination.k8s.io": {"spec": {"holderIdentity": "a", "leaseDurationSeconds": 15}},
    "functions.example.org": {
        "spec": {"provider": "a", "replicas": 2, "interfaces": [{"name": "n3", "vlan": 3}], "slices": ["x"], "limits": {"l": 1}}
    },
}  # fmt: skip
_KINDS = {kind.id: kind for kind in (*BUILT_IN, FUNCTION)}
_PATCHES = {
    "application/merge-patch+json", "application/strategic-merge-patch+json", "application/apply-patch+yaml",
    "application/json-patch+json",
}  # fmt: skip


def _mutated(draw: random.Random, value: Any) -> Any:
    value = copy.deepcopy(value)
    for _ in range(draw.randint(1, 3)):
        places = list(_places(value))
        if not places:
            return value
        into, at = draw.choice(places)
        chance = draw.random()
        if chance < 0.2:
            del into[at]
        elif chance < 0.4 and isinstance(into, dict):
            into[draw.choice(_NAMES)] = copy.deepcopy(draw.choice(_JUNK))
        else:
            into[at] = copy.deepcopy(draw.choice(_JUNK))
    return value


def _places(value: Any) -> Any:
    for at in list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield value, at
        yield from _places(value[at])


@pytest.mark.parametrize("seed", range(200 if SOAK else 2))
def test_every_body_gets_an_answer_and_only_what_is_valid_is_kept(seed: int) -> None:
    draw = random.Random(seed)
    cluster = Cluster("garbage", VirtualClock(datetime(2026, 1, 1, tzinfo=UTC)))
    cluster.access.add_token("admin", "admin", "system:masters")
    cluster.create("customresourcedefinitions.apiextensions.k8s.io", CRD)
    api = Api(cluster)
    codes: set[int] = set()
    for _ in range(400):
        answer = api.handle(_request(draw))
        assert isinstance(answer, Response)
        codes.add(answer.status)
        assert "kind" in json.loads(answer.body), answer.body
    assert {200, 201, 400, 409, 422} <= codes
    for name in _OBJECTS:
        kind = _KINDS[name]
        for obj in cluster.list(name, "default"):
            again, warnings = decoding.decode(kind, json.dumps(obj).encode(), "application/json", "Strict")
            assert again == obj
            assert warnings == []
            assert kind.validate(obj) == []


def _request(draw: random.Random) -> Request:
    name = draw.choice(sorted(_OBJECTS))
    kind = _KINDS[name]
    called = draw.choice("ab")
    obj = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": {"name": called, "labels": {"l": "v"}}}
    body: Any = {**obj, **_OBJECTS[name]}
    root = f"/apis/{kind.api_version}" if kind.group else f"/api/{kind.version}"
    path = f"{root}/namespaces/default/{kind.plural}"
    method = draw.choice(("POST", "PUT", "PATCH", "PATCH"))
    if draw.random() < 0.7:
        body = _mutated(draw, body)
    headers = {"authorization": "Bearer admin", "content-type": "application/json"}
    query: dict[str, list[str]] = {"fieldValidation": [draw.choice(("Strict", "Warn", "Ignore"))]}
    if method != "POST":
        path += f"/{called}"
    if method == "PATCH":
        headers["content-type"] = draw.choice(sorted(_PATCHES))
        query["fieldManager"] = [draw.choice(("one", "two"))]
    if headers["content-type"] == "application/json-patch+json":
        body = [_mutated(draw, {"op": "add", "path": draw.choice(("/spec/x", "/data/x", "/metadata")), "value": body})]
    return Request(method, path, query, headers, json.dumps(body).encode())
