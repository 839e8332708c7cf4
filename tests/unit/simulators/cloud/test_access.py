"""Who may do what, and why, in the words of a real API server: decisions, escalation, reviews and tokens."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from simulators.clock import VirtualClock
from simulators.cloud.server.cluster import Cluster
from simulators.cloud.server.tokens import ISSUER
from tests.unit.simulators.cloud.test_server import MAPS, Client, admin, clock, cluster, grant, pod

Json = dict[str, Any]
_REVIEWS = "/apis/authorization.k8s.io/v1"
_TOKEN = "/api/v1/namespaces/default/serviceaccounts/robot/token"
__all__ = ["admin", "clock", "cluster"]


def _review(client: Client, path: str, spec: Json) -> tuple[int, Any]:
    return client.ask("POST", f"{_REVIEWS}/{path}", {"spec": spec})


def _pods(verb: str, namespace: str = "default") -> Json:
    return {"resourceAttributes": {"verb": verb, "resource": "pods", "namespace": namespace}}


def test_a_decision_says_by_which_binding(cluster: Cluster, admin: Client) -> None:
    grant(cluster, "default", {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]})
    tenant = Client(cluster, "tenant")
    by = 'RBAC: allowed by RoleBinding "granted/default" of Role "granted" to User "tenant"'
    code, said = _review(tenant, "selfsubjectaccessreviews", _pods("get"))
    assert (code, said["status"]) == (201, {"allowed": True, "reason": by})
    assert _review(tenant, "selfsubjectaccessreviews", _pods("list"))[1]["status"] == {"allowed": False}
    assert _review(admin, "selfsubjectaccessreviews", _pods("list"))[1]["status"] == {"allowed": True}
    path = {"nonResourceAttributes": {"verb": "get", "path": "/version"}}
    said = _review(tenant, "selfsubjectaccessreviews", path)[1]["status"]
    everybody = (
        'ClusterRoleBinding "system:discovery" of ClusterRole "system:discovery" to Group "system:authenticated"'
    )
    assert said == {"allowed": True, "reason": f"RBAC: allowed by {everybody}"}


def test_a_role_that_is_bound_and_not_there_is_named(cluster: Cluster) -> None:
    grant(cluster, "default", {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]})
    cluster.delete("roles.rbac.authorization.k8s.io", "default", "granted")
    tenant = Client(cluster, "tenant")
    why = 'RBAC: role.rbac.authorization.k8s.io "granted" not found'
    code, refusal = tenant.ask("GET", MAPS)
    assert (code, refusal["message"].endswith(f'in the namespace "default": {why}')) == (403, True)
    assert _review(tenant, "selfsubjectaccessreviews", _pods("get"))[1]["status"] == {"allowed": False, "reason": why}


def test_who_applies_what_is_not_there_has_to_be_allowed_to_create_it(cluster: Cluster, admin: Client) -> None:
    grant(cluster, "default", {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "patch"]})
    tenant, media = Client(cluster, "tenant"), "application/apply-patch+yaml"
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"k": "v"}}
    for dry_run in ("", "&dryRun=All"):
        code, refusal = tenant.ask("PATCH", f"{MAPS}/a?fieldManager=t{dry_run}", manifest, content_type=media)
        said = 'configmaps "a" is forbidden: User "tenant" cannot create resource "configmaps"'
        assert (code, refusal["message"].startswith(said)) == (403, True)
    admin.ask("POST", MAPS, manifest)
    assert tenant.ask("PATCH", f"{MAPS}/a?fieldManager=t", manifest, content_type=media)[0] == 200


def test_what_somebody_lacks_is_named_verb_by_verb(cluster: Cluster) -> None:
    rbac = {"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["*"], "verbs": ["*"]}
    held = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}
    roles = {"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles"], "verbs": ["create"]}
    grant(cluster, "default", roles)
    role = cluster.edited(cluster.get("roles.rbac.authorization.k8s.io", "default", "granted") or {})
    cluster.update("roles.rbac.authorization.k8s.io", {**role, "rules": [roles, held]})
    wanted = {"apiGroups": [""], "resources": ["pods", "secrets"], "verbs": ["get", "list"]}
    path = "/apis/rbac.authorization.k8s.io/v1/namespaces/default/roles"
    code, refusal = Client(cluster, "tenant").ask("POST", path, {"metadata": {"name": "more"}, "rules": [wanted, rbac]})
    assert (code, refusal["message"].split("\n")[1:]) == (
        403,
        [
            '{APIGroups:[""], Resources:["pods"], Verbs:["list"]}',
            '{APIGroups:[""], Resources:["secrets"], Verbs:["get" "list"]}',
            '{APIGroups:["rbac.authorization.k8s.io"], Resources:["*"], Verbs:["*"]}',
        ],
    )


@pytest.mark.parametrize(
    ("path", "spec", "field", "said"),
    [
        ("selfsubjectaccessreviews", {}, "spec.resourceAttributes", "null: exactly one of"),
        (
            "selfsubjectaccessreviews",
            {**_pods("get"), "nonResourceAttributes": {"verb": "get", "path": "/x"}},
            "spec.nonResourceAttributes",
            '{"Path":"/x","Verb":"get"}: cannot be specified in combination with resourceAttributes',
        ),
        ("subjectaccessreviews", _pods("get"), "spec.user", '"": at least one of user or group must be specified'),
        (
            "namespaces/default/localsubjectaccessreviews",
            {"user": "ana", **_pods("get", "other")},
            "spec.resourceAttributes.namespace",
            '"other": must match metadata.namespace',
        ),
        (
            "namespaces/default/localsubjectaccessreviews",
            {"user": "ana", "nonResourceAttributes": {"verb": "get", "path": "/x"}},
            "spec.nonResourceAttributes",
            "disallowed on this kind of request",
        ),
    ],
)
def test_a_review_says_what_to_review(admin: Client, path: str, spec: Json, field: str, said: str) -> None:
    code, refusal = _review(admin, path, spec)
    (cause,) = refusal["details"]["causes"]
    assert (code, cause["field"], said in cause["message"]) == (422, field, True)


@pytest.mark.parametrize(
    ("spec", "code", "said"),
    [
        ({"expirationSeconds": 2**33}, 422, "may not specify a duration larger than 2^32 seconds"),
        ({"boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": "gone"}}, 404, 'pods "gone" not found'),
        (
            {"boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": "other"}},
            400,
            "different serviceaccount name",
        ),
        ({"boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": "own", "uid": "x"}}, 409, "does not match the"),
        ({"boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": "own"}}, 201, ""),
        ({"boundObjectRef": {"kind": "Job", "apiVersion": "batch/v1", "name": "x"}}, 400, "batch/v1, Kind=Job"),
    ],
)
def test_a_token_is_bound_to_what_is_there(cluster: Cluster, admin: Client, spec: Json, code: int, said: str) -> None:
    cluster.create("serviceaccounts", {"metadata": {"name": "robot", "namespace": "default"}})
    cluster.create("pods", pod("other"))
    own = pod("own")
    cluster.create("pods", {**own, "spec": {**own["spec"], "serviceAccountName": "robot"}})
    found, answer = admin.ask("POST", _TOKEN, {"spec": spec})
    assert (found, said in answer.get("message", "")) == (code, True)


_SELF = "/apis/authentication.k8s.io/v1/selfsubjectreviews"


@pytest.fixture
def robot(cluster: Cluster) -> Json:
    return cluster.create("serviceaccounts", {"metadata": {"name": "robot", "namespace": "default"}})


def _issued(admin: Client, **spec: Any) -> str:
    code, answer = admin.ask("POST", _TOKEN, {"spec": spec})
    assert code == 201, answer
    return str(answer["status"]["token"])


def _reviewed(admin: Client, token: str, *audiences: str) -> Json:
    spec = {"token": token, **({"audiences": list(audiences)} if audiences else {})}
    code, answer = admin.ask("POST", "/apis/authentication.k8s.io/v1/tokenreviews", {"spec": spec})
    assert code == 201, answer
    status: Json = answer["status"]
    return status


def test_a_token_is_a_signed_statement(cluster: Cluster, admin: Client, robot: Json, clock: VirtualClock) -> None:
    """Anybody can check it with the keys that the issuer publishes."""
    token = _issued(admin, expirationSeconds=900, audiences=[ISSUER, "vault"])
    account = Client(cluster, token)
    _, issuer = account.ask("GET", "/.well-known/openid-configuration")
    assert (issuer["issuer"], issuer["jwks_uri"].endswith("/openid/v1/jwks")) == (ISSUER, True)
    keys = admin.api.handle(admin._request("GET", "/openid/v1/jwks", None, {})).body  # type: ignore[union-attr]
    (key,) = json.loads(keys)["keys"]
    read = jwt.decode(token, ECKey.import_key(key), algorithms=["ES256"])
    now = int(clock.now().timestamp())
    claims = read.claims
    assert read.header["kid"] == key["kid"]
    assert len(claims.pop("jti")) == 36
    assert claims == {
        "iss": ISSUER,
        "aud": [ISSUER, "vault"],
        "sub": "system:serviceaccount:default:robot",
        "iat": now,
        "nbf": now,
        "exp": now + 900,
        "kubernetes.io": {
            "namespace": "default",
            "serviceaccount": {"name": "robot", "uid": robot["metadata"]["uid"]},
        },
    }


def test_a_token_is_for_its_audiences(cluster: Cluster, admin: Client, robot: Json) -> None:
    token = _issued(admin, audiences=["vault", "other"])
    assert Client(cluster, token).ask("POST", _SELF, {})[0] == 401
    problem = f'token audiences ["vault" "other"] is invalid for the target audiences ["{ISSUER}"]'
    assert _reviewed(admin, token) == {"user": {}, "error": f"[invalid bearer token, {problem}]"}
    seen = _reviewed(admin, token, "vault", "third")
    assert (seen["authenticated"], seen["audiences"]) == (True, ["vault"])
    assert seen["user"]["username"] == "system:serviceaccount:default:robot"
    assert seen["user"]["groups"] == [
        "system:serviceaccounts",
        "system:serviceaccounts:default",
        "system:authenticated",
    ]
    assert _reviewed(admin, "admin")["audiences"] == [ISSUER]
    assert _reviewed(admin, "admin", "vault") == {"user": {}, "error": "invalid bearer token"}
    assert _reviewed(admin, "nobody's") == {"user": {}, "error": "invalid bearer token"}


def test_a_token_ends_with_what_it_is_bound_to(cluster: Cluster, admin: Client, robot: Json) -> None:
    cluster.create("nodes", {"metadata": {"name": "n1"}})
    made = pod("own")
    made["spec"]["serviceAccountName"] = "robot"
    own = cluster.create("pods", made)
    token = _issued(admin, boundObjectRef={"kind": "Pod", "apiVersion": "v1", "name": "own"})
    free = _issued(admin)
    user = _reviewed(admin, token)["user"]
    extra = {name.partition("/")[2]: values for name, values in user["extra"].items()}
    assert extra.pop("credential-id")[0].startswith("JTI=")
    node = cluster.get("nodes", "", "n1") or {}
    assert extra == {
        "pod-name": ["own"],
        "pod-uid": [own["metadata"]["uid"]],
        "node-name": ["n1"],
        "node-uid": [node["metadata"]["uid"]],
    }
    cluster.delete("nodes", "", "n1")
    assert Client(cluster, token).ask("POST", _SELF, {})[0] == 201
    cluster.delete("pods", "default", "own", grace=0)
    assert Client(cluster, token).ask("POST", _SELF, {})[0] == 401
    said = "[invalid bearer token, service account token has been invalidated]"
    assert _reviewed(admin, token)["error"] == said
    cluster.delete("serviceaccounts", "default", "robot")
    assert _reviewed(admin, free)["error"] == '[invalid bearer token, serviceaccounts "robot" not found]'
    cluster.create("serviceaccounts", {"metadata": {"name": "robot", "namespace": "default"}})
    assert "does not match claim" in _reviewed(admin, free)["error"]


def test_a_token_that_was_changed_is_none(cluster: Cluster, admin: Client, robot: Json) -> None:
    head, claims, signature = _issued(admin).split(".")
    read = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
    read["sub"] = "system:serviceaccount:kube-system:root"
    forged = base64.urlsafe_b64encode(json.dumps(read).encode()).decode().rstrip("=")
    for token in (f"{head}.{forged}.{signature}", f"{head}.{claims}.{signature[:-8]}AAAAAAAA", "a.b.c"):
        assert Client(cluster, token).ask("POST", _SELF, {})[0] == 401
        assert _reviewed(admin, token) == {"user": {}, "error": "invalid bearer token"}
