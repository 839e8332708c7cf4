"""The API server of a pool: what the recordings do not show."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from simulators.clock import VirtualClock
from simulators.cloud.language.status import StatusError
from simulators.cloud.server.answers import Response
from simulators.cloud.server.api import Api
from simulators.cloud.server.cluster import Cluster
from simulators.cloud.server.requests import Request
from simulators.cloud.server.watches import Watch
from tests.integration.simulators.test_cloud_api import CRD
from tests.unit.simulators.cloud.language.kinds import CRD as FUNCTIONS

Json = dict[str, Any]


class Client:
    """Requests to one pool, as a user."""

    def __init__(self, cluster: Cluster, token: str = "admin") -> None:
        self.api = Api(cluster)
        self._token = token

    def ask(self, method: str, target: str, body: Any = None, /, **headers: str) -> tuple[int, Any]:
        answer = self.api.handle(self._request(method, target, body, headers))
        assert isinstance(answer, Response)
        return answer.status, json.loads(answer.body) if answer.content_type.startswith(
            "application/json"
        ) else answer.body

    def watch(self, target: str, **headers: str) -> Watching:
        answer = self.api.handle(self._request("GET", target, None, headers))
        assert isinstance(answer, Watch)
        return Watching(answer)

    def _request(self, method: str, target: str, body: Any, headers: dict[str, str]) -> Request:
        sent = {"authorization": f"Bearer {self._token}"} | {
            name.replace("_", "-"): text for name, text in headers.items()
        }
        return Request.of_target(method, target, headers=sent, body=b"" if body is None else json.dumps(body).encode())


class Watching:
    """What a watch has sent."""

    def __init__(self, watch: Watch) -> None:
        self.events: list[Json] = []
        self.ended = False
        self.watch = watch
        watch.start(self)

    def send(self, line: bytes) -> None:
        self.events.append(json.loads(line))

    def end(self) -> None:
        self.ended = True

    @property
    def seen(self) -> list[tuple[str, str]]:
        return [(event["type"], event["object"]["metadata"].get("name", "")) for event in self.events]


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def cluster(clock: VirtualClock) -> Cluster:
    cluster = Cluster("pool", clock)
    cluster.access.add_token("admin", "admin", "system:masters")
    cluster.access.add_token("tenant", "tenant")
    return cluster


@pytest.fixture
def admin(cluster: Cluster) -> Client:
    return Client(cluster)


def config_map(name: str, **labels: str) -> Json:
    return {"metadata": {"name": name, "namespace": "default", "labels": labels}, "data": {"k": "v"}}


def pod(name: str, **labels: str) -> Json:
    spec = {"containers": [{"name": "c", "image": "registry.example/du:1"}], "nodeName": "n1"}
    return {"metadata": {"name": name, "namespace": "default", "labels": labels}, "spec": spec}


MAPS = "/api/v1/namespaces/default/configmaps"


def grant(cluster: Cluster, namespace: str, rule: Json) -> None:
    """Let the user ``tenant`` do there what a rule says."""
    metadata = {"name": "granted", "namespace": namespace}
    cluster.create("roles.rbac.authorization.k8s.io", {"metadata": metadata, "rules": [rule]})
    binding = {
        "metadata": metadata,
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "granted"},
        "subjects": [{"kind": "User", "name": "tenant"}],
    }
    cluster.create("rolebindings.rbac.authorization.k8s.io", binding)


class TestLists:
    def test_a_page_whose_revision_is_forgotten_is_gone_and_says_how_to_go_on(
        self, cluster: Cluster, admin: Client
    ) -> None:
        for name in "abc":
            cluster.create("configmaps", config_map(name))
        _, first = admin.ask("GET", f"{MAPS}?limit=1")
        cluster.create("configmaps", config_map("d"))
        cluster.store.compact()
        code, gone = admin.ask("GET", f"{MAPS}?limit=5&continue={first['metadata']['continue']}")
        assert (code, gone["reason"]) == (410, "Expired")
        code, rest = admin.ask("GET", f"{MAPS}?limit=5&continue={gone['metadata']['continue']}")
        assert code == 200
        assert [obj["metadata"]["name"] for obj in rest["items"]] == ["b", "c", "d"]

    @pytest.mark.parametrize(
        ("token", "said"),
        [
            ({"v": "meta.k8s.io/v2", "rv": 1, "start": "a"}, "does not recognize this encoded version"),
            ({"v": "meta.k8s.io/v1", "rv": 0, "start": "a"}, "incorrect encoded start resourceVersion"),
            ({"v": "meta.k8s.io/v1", "rv": 1}, "encoded start key empty"),
            ([1], "looking for beginning of value"),
        ],
    )
    def test_a_token_that_nobody_gave_out_is_refused(self, admin: Client, token: Any, said: str) -> None:
        encoded = base64.urlsafe_b64encode(json.dumps(token).encode()).decode().rstrip("=")
        code, refusal = admin.ask("GET", f"{MAPS}?continue={encoded}")
        assert (code, said in refusal["message"]) == (400, True)

    def test_pages_are_of_one_revision(self, cluster: Cluster, admin: Client) -> None:
        for name in "abc":
            cluster.create("configmaps", config_map(name))
        _, first = admin.ask("GET", f"{MAPS}?limit=1")
        cluster.delete("configmaps", "default", "b")
        cluster.create("configmaps", config_map("bb"))
        _, rest = admin.ask("GET", f"{MAPS}?continue={first['metadata']['continue']}")
        assert [obj["metadata"]["name"] for obj in rest["items"]] == ["b", "c"]
        assert rest["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]

    def test_a_collection_is_deleted_by_selector(self, cluster: Cluster, admin: Client) -> None:
        for name, side in (("a", "x"), ("b", "y"), ("c", "x")):
            cluster.create("configmaps", config_map(name, side=side))
        code, gone = admin.ask("DELETE", f"{MAPS}?labelSelector=side%3Dx")
        assert (code, gone["kind"], [one["metadata"]["name"] for one in gone["items"]]) == (
            200,
            "ConfigMapList",
            ["a", "c"],
        )
        assert [obj["metadata"]["name"] for obj in cluster.list("configmaps", "default")] == ["b"]

    def test_names_are_generated(self, admin: Client) -> None:
        names = set()
        for _ in range(3):
            code, made = admin.ask("POST", MAPS, {"metadata": {"generateName": "part-"}})
            assert code == 201
            names.add(made["metadata"]["name"])
        assert len(names) == 3
        assert {len(name) for name in names} == {len("part-") + 5}


class TestWatches:
    def test_it_goes_on_from_a_revision_and_ends_in_time(
        self, cluster: Cluster, admin: Client, clock: VirtualClock
    ) -> None:
        since = cluster.create("configmaps", config_map("a"))["metadata"]["resourceVersion"]
        cluster.create("configmaps", config_map("b"))
        watch = admin.watch(f"{MAPS}?watch=1&resourceVersion={since}&timeoutSeconds=30&allowWatchBookmarks=true")
        cluster.delete("configmaps", "default", "a")
        clock.advance(29.0)
        assert watch.seen == [("ADDED", "b"), ("DELETED", "a"), ("BOOKMARK", "")]
        assert watch.events[-1]["object"]["metadata"]["resourceVersion"] == str(cluster.store.revision)
        assert not watch.ended
        clock.advance(2.0)
        assert watch.ended
        cluster.create("configmaps", config_map("late"))
        assert len(watch.events) == 3

    def test_it_may_begin_now_with_nothing_of_what_is_there(self, cluster: Cluster, admin: Client) -> None:
        cluster.create("configmaps", config_map("a"))
        without = "sendInitialEvents=false&resourceVersionMatch=NotOlderThan"
        watches = [admin.watch(f"{MAPS}?watch=1&{without}{version}") for version in ("", "&resourceVersion=0")]
        cluster.create("configmaps", config_map("b"))
        assert [watch.seen for watch in watches] == [[("ADDED", "b")]] * 2

    def test_from_a_revision_to_come_it_says_nothing_until_then(self, cluster: Cluster, admin: Client) -> None:
        watch = admin.watch(f"{MAPS}?watch=1&resourceVersion={cluster.store.revision + 1}")
        for name in "ab":
            cluster.create("configmaps", config_map(name))
        assert watch.seen == [("ADDED", "b")]

    def test_what_is_there_is_not_sent_as_of_a_revision_to_come(self, admin: Client) -> None:
        query = "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&resourceVersion=9999"
        watching = admin.watch(f"{MAPS}?{query}")
        (event,) = watching.events
        assert (event["type"], event["object"]["code"], watching.ended) == ("ERROR", 504, True)

    def test_from_a_forgotten_revision_it_says_410_and_ends(self, cluster: Cluster, admin: Client) -> None:
        since = cluster.create("configmaps", config_map("a"))["metadata"]["resourceVersion"]
        cluster.create("configmaps", config_map("b"))
        cluster.store.compact()
        watch = admin.watch(f"{MAPS}?watch=1&resourceVersion={since}")
        (event,) = watch.events
        assert (event["type"], event["object"]["code"], event["object"]["reason"]) == ("ERROR", 410, "Expired")
        assert watch.ended

    def test_history_is_kept_for_five_minutes(self, cluster: Cluster, admin: Client, clock: VirtualClock) -> None:
        since = cluster.create("configmaps", config_map("a"))["metadata"]["resourceVersion"]
        cluster.create("configmaps", config_map("b"))
        clock.advance(200.0)
        cluster.create("configmaps", config_map("c"))
        assert admin.watch(f"{MAPS}?watch=1&resourceVersion={since}").seen == [("ADDED", "b"), ("ADDED", "c")]
        clock.advance(200.0)
        cluster.create("configmaps", config_map("d"))
        assert admin.watch(f"{MAPS}?watch=1&resourceVersion={since}").events[0]["object"]["code"] == 410

    def test_bookmarks_have_the_form_of_the_watch(self, cluster: Cluster, admin: Client, clock: VirtualClock) -> None:
        path = f"{MAPS}?watch=1&resourceVersion={cluster.store.revision}&timeoutSeconds=3&allowWatchBookmarks=true"
        forms = ("PartialObjectMetadata", "Table")
        watches = [admin.watch(path, accept=f"application/json;as={form};g=meta.k8s.io;v=v1") for form in forms]
        clock.advance(3.0)
        assert [watch.events[0]["object"]["kind"] for watch in watches] == list(forms)


class TestAccess:
    def test_a_tenant_reads_its_own_namespace_only(self, cluster: Cluster) -> None:
        for name in ("minka-a", "minka-b"):
            cluster.create("namespaces", {"metadata": {"name": name}})
        grant(cluster, "minka-a", {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"]})
        tenant = Client(cluster, "tenant")
        assert tenant.ask("GET", "/api/v1/namespaces/minka-a/configmaps")[0] == 200
        assert tenant.ask("GET", "/api/v1/namespaces/minka-b/configmaps")[0] == 403
        assert tenant.ask("GET", "/api/v1/configmaps")[0] == 403
        assert tenant.ask("DELETE", "/api/v1/namespaces/minka-a/configmaps/x")[0] == 403

    def test_roles_for_people_grow_with_their_parts(self, cluster: Cluster) -> None:
        functions = "/apis/workload.nephio.org/v1alpha1/namespaces/default/nfdeployments"
        cluster.create("customresourcedefinitions.apiextensions.k8s.io", CRD)
        binding = {
            "metadata": {"name": "viewer", "namespace": "default"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
            "subjects": [{"kind": "User", "name": "tenant"}],
        }
        cluster.create("rolebindings.rbac.authorization.k8s.io", binding)
        tenant = Client(cluster, "tenant")
        assert tenant.ask("GET", "/api/v1/namespaces/default/pods")[0] == 200
        assert tenant.ask("GET", "/api/v1/namespaces/default/secrets")[0] == 403
        assert tenant.ask("POST", MAPS, config_map("a"))[0] == 403
        assert tenant.ask("GET", functions)[0] == 403
        labels = {"rbac.authorization.k8s.io/aggregate-to-view": "true"}
        rule = {"apiGroups": ["workload.nephio.org"], "resources": ["nfdeployments"], "verbs": ["list"]}
        roles = "clusterroles.rbac.authorization.k8s.io"
        cluster.create(roles, {"metadata": {"name": "see-functions", "labels": labels}, "rules": [rule]})
        assert tenant.ask("GET", functions)[0] == 200
        found = [cluster.get(roles, "", name) for name in ("view", "edit", "admin")]
        assert all(role is not None and rule in role["rules"] for role in found)
        cluster.delete(roles, "", "see-functions")
        assert tenant.ask("GET", functions)[0] == 403

    def test_one_object_may_be_watched_alone(self, cluster: Cluster) -> None:
        rule = {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["own"], "verbs": ["list", "watch"]}
        grant(cluster, "default", rule)
        tenant = Client(cluster, "tenant")
        assert tenant.ask("GET", f"{MAPS}?fieldSelector=metadata.name%3Down")[0] == 200
        assert tenant.ask("GET", f"{MAPS}?fieldSelector=metadata.name%3Dother")[0] == 403
        assert tenant.ask("GET", MAPS)[0] == 403

    def test_only_who_may_impersonates(self, cluster: Cluster, admin: Client) -> None:
        assert admin.ask("GET", MAPS, impersonate_user="tenant")[0] == 403
        code, refusal = Client(cluster, "tenant").ask("GET", MAPS, impersonate_user="admin")
        assert code == 403
        assert 'cannot impersonate resource "users"' in refusal["message"]

    def test_a_service_account_s_token_ends(self, cluster: Cluster, admin: Client, clock: VirtualClock) -> None:
        cluster.create("serviceaccounts", {"metadata": {"name": "minka", "namespace": "default"}})
        path = "/api/v1/namespaces/default/serviceaccounts/minka/token"
        code, made = admin.ask("POST", path, {"spec": {"expirationSeconds": 600}})
        assert code == 201
        account = Client(cluster, made["status"]["token"])
        review = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
        _, who = account.ask("POST", review, {})
        assert who["status"]["userInfo"]["username"] == "system:serviceaccount:default:minka"
        clock.advance(601.0)
        assert account.ask("POST", review, {})[0] == 401


class TestPods:
    def test_eviction_keeps_to_the_budget(self, cluster: Cluster, admin: Client) -> None:
        for name in ("a", "b", "c"):
            made = cluster.edited(cluster.create("pods", pod(name, nf="du")))
            ready = "False" if name == "c" else "True"
            made["status"] |= {"phase": "Running", "conditions": [{"type": "Ready", "status": ready}]}
            cluster.update_status("pods", made)
        budget = {
            "metadata": {"name": "du", "namespace": "default"},
            "spec": {"minAvailable": 1, "selector": {"matchLabels": {"nf": "du"}}},
        }
        made = cluster.edited(cluster.create("poddisruptionbudgets.policy", budget))

        def evict(name: str) -> tuple[int, Any]:
            eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}}
            return admin.ask("POST", f"/api/v1/namespaces/default/pods/{name}/eviction", eviction)

        code, refusal = evict("a")
        assert (code, refusal["details"]["retryAfterSeconds"]) == (429, 10)
        assert refusal["details"]["causes"][0]["message"].endswith("is still being processed by the server.")
        made["status"] = {
            "observedGeneration": 1, "disruptionsAllowed": 1, "currentHealthy": 2, "desiredHealthy": 1,
        }  # fmt: skip
        cluster.update_status("poddisruptionbudgets.policy", made)
        assert evict("c")[0] == 201  # not ready: it takes nothing from what is healthy
        assert evict("a")[0] == 201
        code, refusal = evict("b")
        assert (code, refusal["reason"]) == (429, "TooManyRequests")
        assert refusal["details"]["causes"][0]["reason"] == "DisruptionBudget"
        left = cluster.list("pods", "default")
        assert [("deletionTimestamp" in one["metadata"]) for one in left] == [True, False, True]
        reasons = [one["status"]["conditions"][-1].get("reason") for one in left]
        assert reasons == ["EvictionByEvictionAPI", None, "EvictionByEvictionAPI"]
        found = cluster.get("poddisruptionbudgets.policy", "default", "du")
        assert found is not None
        (condition,) = found["status"]["conditions"]
        assert (condition["type"], condition["status"], condition["reason"]) == (
            "DisruptionAllowed",
            "False",
            "InsufficientPods",
        )
        cluster.create("poddisruptionbudgets.policy", {**budget, "metadata": {"name": "other", "namespace": "default"}})
        code, refusal = evict("b")
        assert (code, refusal["status"], refusal["code"]) == (500, "Failure", 500)
        assert refusal["message"].startswith("This pod has more than one PodDisruptionBudget,")

    def test_hugepages_need_cpu_or_memory_beside_them(self, cluster: Cluster) -> None:
        asking = pod("a")
        container = asking["spec"]["containers"][0]
        large = {"hugepages-1Gi": "2Gi"}
        container["resources"] = {"requests": large, "limits": large}
        refused = r"spec\.containers\[0\]\.resources: Forbidden: HugePages require cpu or memory"
        with pytest.raises(StatusError, match=refused):
            cluster.create("pods", asking)
        container["resources"] = {"requests": {**large, "cpu": "1"}, "limits": large}
        cluster.create("pods", asking)

    def test_ports_of_a_service_are_told_apart_and_lead_somewhere(self, admin: Client) -> None:
        ports = [{"port": 0}, {"port": 70000, "name": "X"}, {"port": 1, "name": "a"}, {"port": 2, "name": "a"}]
        body = {"metadata": {"name": "s"}, "spec": {"ports": ports}}
        _, refusal = admin.ask("POST", "/api/v1/namespaces/default/services", body)
        assert [cause["field"].removeprefix("spec.ports") for cause in refusal["details"]["causes"]] == [
            "[0].name", "[0].port", "[0].targetPort", "[1].name", "[1].port", "[1].targetPort", "[3].name",
        ]  # fmt: skip

    def test_a_quota_counts_the_pods_of_its_scopes(self, cluster: Cluster) -> None:
        cluster.create("priorityclasses.scheduling.k8s.io", {"metadata": {"name": "gold"}, "value": 1000})
        expression = {"scopeName": "PriorityClass", "operator": "In", "values": ["gold"]}
        spec = {"hard": {"pods": "1"}, "scopeSelector": {"matchExpressions": [expression]}}
        quota = cluster.create("resourcequotas", {"metadata": {"name": "q", "namespace": "default"}, "spec": spec})
        cluster.update_status("resourcequotas", {**quota, "status": {"hard": {"pods": "1"}, "used": {"pods": "0"}}})
        for name in ("a", "b"):
            cluster.create("pods", pod(name))
        gold = pod("c")
        gold["spec"]["priorityClassName"] = "gold"
        cluster.create("pods", gold)
        gold["metadata"]["name"] = "d"
        with pytest.raises(StatusError, match="exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1"):
            cluster.create("pods", gold)

    def test_what_a_pod_asks_for_is_charged_and_refused(self, cluster: Cluster) -> None:
        quota = {
            "metadata": {"name": "q", "namespace": "default"},
            "spec": {"hard": {"requests.cpu": "1", "pods": "5"}},
        }
        made = cluster.edited(cluster.create("resourcequotas", quota))
        made["status"] = {"hard": made["spec"]["hard"], "used": {"requests.cpu": "0", "pods": "0"}}
        cluster.update_status("resourcequotas", made)
        asking = pod("a")
        asking["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "600m"}}
        cluster.create("pods", asking)
        asking["metadata"]["name"] = "b"
        with pytest.raises(
            StatusError, match=r"exceeded quota: q, requested: requests.cpu=600m, used: requests.cpu=600m"
        ):
            cluster.create("pods", asking)
        found = cluster.get("resourcequotas", "default", "q")
        assert found is not None
        assert found["status"]["used"] == {"requests.cpu": "600m", "pods": "1"}


def test_objects_are_read_by_the_schema_that_is_served_now(cluster: Cluster, admin: Client) -> None:
    cluster.create("customresourcedefinitions.apiextensions.k8s.io", FUNCTIONS)
    path = "/apis/example.org/v1/namespaces/default/functions"
    sent = {"apiVersion": "example.org/v1", "kind": "Function", "metadata": {"name": "f"}}
    _, before = admin.ask("POST", path, {**sent, "spec": {"provider": "a", "image": "i"}})
    spec = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties"
    change = [
        {"op": "add", "path": f"{spec}/kind/default", "value": "DU"},
        {"op": "remove", "path": f"{spec}/image"},
    ]
    where = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/functions.example.org"
    status, _ = admin.ask("PATCH", where, change, content_type="application/json-patch+json")
    assert status == 200
    _, after = admin.ask("GET", f"{path}/f")
    assert after["spec"] == {"provider": "a", "replicas": 1, "kind": "DU"}
    assert after["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]


def test_a_finalizer_of_an_instance_keeps_its_definition(cluster: Cluster, admin: Client) -> None:
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    crd = {
        "metadata": {"name": "things.example.org"},
        "spec": {
            "group": "example.org",
            "scope": "Cluster",
            "names": {"plural": "things", "kind": "Thing"},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
        },
    }
    definitions = "customresourcedefinitions.apiextensions.k8s.io"
    cluster.create(definitions, crd)
    thing = cluster.create("things.example.org", {"metadata": {"name": "t", "finalizers": ["example.org/keep"]}})
    cluster.delete(definitions, "", "things.example.org")
    assert cluster.get(definitions, "", "things.example.org") is not None
    path = "/apis/example.org/v1/things/t"
    code, _ = admin.ask("PATCH", path, {"metadata": {"finalizers": None}}, content_type="application/merge-patch+json")
    assert code == 200
    assert cluster.get(definitions, "", "things.example.org") is None
    assert admin.ask("GET", path)[0] == 404
    assert thing["metadata"]["uid"]


def test_every_answer_of_a_deprecated_version_warns(cluster: Cluster) -> None:
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    versions = [
        {"name": "v1", "served": True, "storage": True, "schema": schema},
        {"name": "v1beta1", "served": True, "storage": False, "deprecated": True, "schema": schema},
    ]
    names = {"plural": "things", "kind": "Thing"}
    spec = {"group": "example.org", "scope": "Cluster", "names": names, "versions": versions}
    crd = {"metadata": {"name": "things.example.org"}, "spec": spec}
    cluster.create("customresourcedefinitions.apiextensions.k8s.io", crd)
    cluster.create("things.example.org", {"metadata": {"name": "t"}})
    headers = {"authorization": "Bearer admin"}
    for version, warned in (("v1", []), ("v1beta1", [("Warning", '299 - "example.org/v1beta1 Thing is deprecated"')])):
        for path in ("things", "things/t"):
            answer = Api(cluster).handle(
                Request.of_target("GET", f"/apis/example.org/{version}/{path}", headers=headers)
            )
            assert isinstance(answer, Response)
            assert list(answer.headers) == warned
            assert json.loads(answer.body)["apiVersion"] == f"example.org/{version}"


def test_who_writes_when_told_does_not_change_the_order_for_others(cluster: Cluster, admin: Client) -> None:
    def answer(change: str, kind: str, obj: Json) -> None:
        if change == "ADDED" and obj["metadata"]["name"] == "a":
            cluster.create("configmaps", config_map("b"))

    cluster.subscribe(answer)
    watch = admin.watch(f"{MAPS}?watch=1&resourceVersion={cluster.store.revision}")
    cluster.create("configmaps", config_map("a"))
    assert watch.seen == [("ADDED", "a"), ("ADDED", "b")]


def test_subscribers_hear_of_each_write_in_order(cluster: Cluster) -> None:
    heard: list[tuple[str, str, str]] = []
    cancel = cluster.subscribe(lambda change, kind, obj: heard.append((change, kind, obj["metadata"]["name"])))
    made = cluster.edited(cluster.create("configmaps", config_map("a")))
    made["data"]["k"] = "w"
    cluster.update("configmaps", made)
    cluster.delete("configmaps", "default", "a")
    cancel()
    cluster.create("configmaps", config_map("b"))
    assert heard == [(change, "configmaps", "a") for change in ("ADDED", "MODIFIED", "DELETED")]


def test_all_namespaces_together_can_be_listed_and_nothing_else(admin: Client, cluster: Cluster) -> None:
    cluster.create("customresourcedefinitions.apiextensions.k8s.io", CRD)
    made = {"metadata": {"name": "kept"}}
    assert admin.ask("POST", "/api/v1/namespaces/default/configmaps", made, content_type="application/json")[0] == 201
    for method in ("DELETE", "POST", "PUT"):
        status, said = admin.ask(method, "/api/v1/configmaps", made, content_type="application/json")
        assert (status, said["reason"]) == (405, "MethodNotAllowed")
    custom = "/apis/workload.nephio.org/v1alpha1/nfdeployments"
    assert admin.ask("GET", custom)[0] == 200
    assert admin.ask("DELETE", custom) == (404, b"404 page not found\n")
    assert admin.ask("GET", "/api/v1/namespaces/default/configmaps/kept")[0] == 200


def test_the_old_paths_of_watches(admin: Client) -> None:
    admin.ask(
        "POST", "/api/v1/namespaces/default/configmaps", {"metadata": {"name": "x"}}, content_type="application/json"
    )
    admin.ask(
        "POST", "/api/v1/namespaces/default/configmaps", {"metadata": {"name": "y"}}, content_type="application/json"
    )
    assert admin.watch("/api/v1/watch/namespaces/default/configmaps").seen == [("ADDED", "x"), ("ADDED", "y")]
    assert admin.watch("/api/v1/watch/namespaces/default/configmaps/y").seen == [("ADDED", "y")]


def test_a_subresource_that_a_kind_has_not_is_no_path(admin: Client) -> None:
    admin.ask(
        "POST", "/api/v1/namespaces/default/configmaps", {"metadata": {"name": "x"}}, content_type="application/json"
    )
    status, said = admin.ask("GET", "/api/v1/namespaces/default/configmaps/x/status")
    assert (status, said["message"]) == (404, "the server could not find the requested resource")


@pytest.mark.parametrize(
    ("user", "given", "groups"),
    [
        ("ana", {}, ["system:authenticated"]),
        ("ana", {"impersonate_group": "noc"}, ["noc", "system:authenticated"]),
        (
            "system:serviceaccount:a:robot",
            {},
            ["system:serviceaccounts", "system:serviceaccounts:a", "system:authenticated"],
        ),
        ("system:serviceaccount:a:robot", {"impersonate_group": "noc"}, ["noc", "system:authenticated"]),
    ],
)
def test_groups_of_who_is_impersonated(admin: Client, user: str, given: dict[str, str], groups: list[str]) -> None:
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    path, asked = "/apis/authentication.k8s.io/v1/selfsubjectreviews", {"content_type": "application/json", **given}
    status, said = admin.ask("POST", path, review, impersonate_user=user, **asked)
    assert (status, said["status"]["userInfo"]["groups"]) == (201, groups)


def test_who_impersonates_nobody_and_anonymous_people(admin: Client) -> None:
    status, said = admin.ask("GET", "/api/v1/nodes", impersonate_group="noc")
    assert (status, said.startswith(b'Internal Server Error: "/api/v1/nodes": ')) == (500, True)
    assert admin.ask("GET", "/version", impersonate_user="system:anonymous")[0] == 200
    assert admin.ask("GET", "/api/v1/nodes", impersonate_user="system:anonymous")[0] == 403


def test_the_root_lists_its_paths_and_health_its_checks(admin: Client) -> None:
    paths = admin.ask("GET", "/")[1]["paths"]
    assert {"/api/v1", "/apis/apps/v1", "/apis/apps", "/readyz"} <= set(paths)
    assert admin.ask("GET", "/readyz?verbose")[1].endswith(b"readyz check passed\n")
    assert [admin.ask("GET", f"/livez/{check}")[0] for check in ("etcd", "pong")] == [200, 404]


def test_parameters_are_read_as_a_real_server_reads_them(admin: Client) -> None:
    assert admin.watch(f"{MAPS}?watch=whatever").seen == []
    assert admin.ask("GET", f"{MAPS}?watch=False")[0] == 200
    code, refusal = admin.ask("GET", f"{MAPS}?limit={2**63}")
    assert (code, refusal["message"]) == (400, f'strconv.ParseInt: parsing "{2**63}": value out of range')


def test_answers_are_indented_for_people(cluster: Cluster, admin: Client) -> None:
    for headers, target in (({}, f"{MAPS}?pretty=true"), ({"user_agent": "curl/8.5"}, MAPS)):
        request = admin._request("GET", target, None, headers)
        answer = admin.api.handle(request)
        assert isinstance(answer, Response)
        assert answer.body.startswith(b'{\n  "kind": "ConfigMapList"')


@pytest.mark.parametrize(
    ("query", "answer"),
    [
        ("labelSelector=a%20in%20(b", "unable to parse requirement: found '', expected: ',' or ')'"),
        ("labelSelector=a%20in%20(b,", "unable to parse requirement: found '', expected: ',', or identifier"),
        (f"labelSelector=a={'x' * 64}", "must be no more than 63 characters"),
        ("labelSelector=a/b/c=d", "a qualified name must consist of"),
        ("fieldSelector=metadata.name=a=b", "invalid field selector: unescaped character in value: 61"),
        ("fieldSelector=metadata.name=a%5Cb", "invalid field selector: invalid escape sequence: \\b"),
        ("fieldSelector=metadata.name!=a%5C,b,metadata.name!=b", ["a"]),
        ("fieldSelector=spec.hostNetwork=false,spec.nodeName=n1", ["a", "b"]),
    ],
)
def test_selectors_are_read_to_the_letter(cluster: Cluster, admin: Client, query: str, answer: str | list[str]) -> None:
    for name in "ab":
        cluster.create("pods", pod(name))
    _, said = admin.ask("GET", f"/api/v1/namespaces/default/pods?{query}")
    if isinstance(answer, str):
        assert answer in said["message"]
    else:
        assert [one["metadata"]["name"] for one in said["items"]] == answer


def test_what_is_no_verb_is_refused_in_its_turn(cluster: Cluster) -> None:
    code, refusal = Client(cluster, "tenant").ask("POST", "/healthz")
    assert (code, refusal["message"]) == (403, 'forbidden: User "tenant" cannot post path "/healthz"')


def test_yaml_has_no_aliases(admin: Client) -> None:
    said = admin.ask("GET", "/apis/apps", accept="application/yaml")[1]
    assert b"&" not in said
    assert said.count(b"groupVersion: apps/v1") == 2


@pytest.mark.parametrize(
    ("accept", "status", "media"),
    [
        ("application/json;unknown=1", 200, "application/json"),
        ("application/json;stream=other,application/yaml", 200, "application/yaml"),
        ("application/yaml;stream=watch", 406, "application/json"),
        ("application/json;as=Table", 406, "application/json"),
        ("application/*;as=Nonsense,*/*", 200, "application/json"),
    ],
)
def test_parameters_of_what_a_client_accepts(cluster: Cluster, accept: str, status: int, media: str) -> None:
    cluster.create("configmaps", config_map("a"))
    headers = {"authorization": "Bearer admin", "accept": accept}
    answer = Api(cluster).handle(Request.of_target("GET", f"{MAPS}/a", headers=headers))
    assert isinstance(answer, Response)
    assert (answer.status, answer.content_type) == (status, media)


@pytest.mark.parametrize(
    ("accepted", "kind"),
    [
        ("{};v=v2", "APIGroupDiscoveryList"),
        ("{};v=v2;profile=nopeer,application/json", "APIGroupDiscoveryList"),
        ("{};v=v2beta1,{};v=v2,application/json", "APIGroupDiscoveryList"),
        ("{};v=v2beta1,application/json,{};v=v2", "APIGroupList"),
        ("application/json,{};v=v2;q=0.5", "APIGroupList"),
        ("{};v=v2beta1", "Status"),
    ],
)
def test_discovery_is_aggregated_for_who_wants_it_first(admin: Client, accepted: str, kind: str) -> None:
    whole = "application/json;g=apidiscovery.k8s.io;as=APIGroupDiscoveryList"
    request = admin._request("GET", "/apis", None, {"accept": accepted.format(whole, whole)})
    answer = admin.api.handle(request)
    assert isinstance(answer, Response)
    assert json.loads(answer.body)["kind"] == kind
    refused = admin.ask("POST", "/apis", {}, accept=accepted.format(whole, whole))
    assert refused[0] == 405


def test_to_apply_what_is_not_there_asks_for_no_version(admin: Client) -> None:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "resourceVersion": "7"}}
    code, made = admin.ask("PATCH", f"{MAPS}/c?fieldManager=m", body, content_type="application/apply-patch+yaml")
    assert (code, made["metadata"]["resourceVersion"] != "7") == (201, True)


def test_watches_are_streams_of_json(admin: Client) -> None:
    code, refusal = admin.ask("GET", f"{MAPS}?watch=1", accept="application/yaml")
    assert (code, refusal["reason"]) == (406, "NotAcceptable")
    assert "application/json;stream=watch" in refusal["message"]


def test_the_router_of_built_in_kinds_knows_neither_head_nor_ranges_of_types(cluster: Cluster, admin: Client) -> None:
    cluster.create("customresourcedefinitions.apiextensions.k8s.io", CRD)
    custom = "/apis/workload.nephio.org/v1alpha1/namespaces/default/nfdeployments"
    assert (admin.ask("HEAD", MAPS)[0], admin.ask("HEAD", custom)[0]) == (405, 200)
    code, refusal = admin.ask("GET", MAPS, accept="application/*")
    assert (code, refusal["reason"], refusal["details"]) == (406, "NotAcceptable", {})
    assert admin.ask("GET", custom, accept="application/*")[0] == 200
    for path in ("/version", "/api", "/apis", "/apis/apps/v1"):
        code, refusal = admin.ask("POST", path, {})
        assert (code, refusal["reason"]) == (405, "MethodNotAllowed")


def test_how_to_delete_is_read_like_any_body(cluster: Cluster, admin: Client) -> None:
    cluster.create("configmaps", {**config_map("a"), "metadata": {"name": "a", "namespace": "default"}})
    cluster.create("configmaps", {"metadata": {"name": "kept", "namespace": "default", "finalizers": ["a.b/c"]}})
    assert admin.ask("DELETE", f"{MAPS}/a", {}, content_type="text/plain")[0] == 415
    code, _ = admin.ask("DELETE", f"{MAPS}/a", {"dryRun": ["All"]}, content_type="application/yaml")
    assert (code, cluster.get("configmaps", "default", "a") is not None) == (200, True)
    assert admin.ask("DELETE", f"{MAPS}/a", {"orphanDependents": False})[0] == 200
    assert admin.ask("DELETE", f"{MAPS}/kept", {"apiVersion": "v2", "kind": "DeleteOptions"})[0] == 400
    for policy, finalizers in (
        ("Foreground", ["a.b/c", "foregroundDeletion"]),
        ("Orphan", ["a.b/c", "orphan"]),
        ("", ["a.b/c", "orphan"]),
        ("Background", ["a.b/c"]),
    ):
        asked = {"propagationPolicy": policy} if policy else {}
        assert admin.ask("DELETE", f"{MAPS}/kept", asked)[1]["metadata"]["finalizers"] == finalizers
    code, waiting = admin.ask("DELETE", f"{MAPS}/kept", {"orphanDependents": False})
    assert (code, "deletionTimestamp" in waiting["metadata"]) == (202, True)


def test_an_eviction_is_tried_out_in_one_way(cluster: Cluster, admin: Client) -> None:
    cluster.create("pods", pod("a"))
    path = "/api/v1/namespaces/default/pods/a/eviction"
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "a"}}
    assert admin.ask("POST", f"{path}?dryRun=Some", eviction)[0] == 422
    other = {**eviction, "deleteOptions": {"dryRun": ["All", "All"]}}
    assert admin.ask("POST", f"{path}?dryRun=All", other)[0] == 500
    assert admin.ask("POST", path, {**eviction, "deleteOptions": {"preconditions": {"uid": "x"}}})[0] == 409
    assert admin.ask("POST", f"{path}?dryRun=All", eviction)[0] == 201
    found = cluster.get("pods", "default", "a")
    assert found is not None
    assert ("deletionTimestamp" in found["metadata"], found["status"].get("conditions")) == (False, None)


def test_a_review_of_no_token_is_refused(admin: Client) -> None:
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {}}
    assert admin.ask("POST", "/apis/authentication.k8s.io/v1/tokenreviews", review)[0] == 400


@pytest.mark.parametrize(
    ("media", "body", "warned", "strict"),
    [
        ("merge-patch+json", b'{"data": {"k": "1", "k": "2"}}', 'duplicate field \\"data.k\\"', 422),
        ("strategic-merge-patch+json", b'{"data": {"k": "1", "k": "2"}}', 'duplicate field \\"data.k\\"', 422),
        (
            "json-patch+json",
            b'[{"op": "add", "path": "/data/k", "value": "2", "from": "/", "was": 1}]',
            'unknown field \\"[0].was\\"',
            422,
        ),
        ("apply-patch+yaml", b"{apiVersion: v1, kind: ConfigMap, metadata: {name: a}, data: {k: v, k: v}}", "", 400),
    ],
)
def test_what_a_patch_gives_twice_or_nobody_knows_is_warned_of(
    cluster: Cluster, media: str, body: bytes, warned: str, strict: int
) -> None:
    cluster.create("configmaps", config_map("a"))
    headers = {"authorization": "Bearer admin", "content-type": f"application/{media}"}

    def patched(validation: str) -> Response:
        target = f"{MAPS}/a?force=true&fieldManager=m&fieldValidation={validation}"
        if "apply" not in media:
            target = target.replace("force=true&", "")
        answer = Api(cluster).handle(Request.of_target("PATCH", target, headers=headers, body=body))
        assert isinstance(answer, Response)
        return answer

    assert patched("Strict").status == strict
    assert [text for _, text in patched("").headers] == ([f'299 - "{warned}"'] if warned else [])
    assert list(patched("Ignore").headers) == []


def test_an_update_begins_no_deletion(cluster: Cluster, admin: Client) -> None:
    cluster.create("configmaps", config_map("a"))
    media = "application/merge-patch+json"
    for field, value in (("deletionTimestamp", "2020-01-01T00:00:00Z"), ("deletionGracePeriodSeconds", 3)):
        code, refusal = admin.ask("PATCH", f"{MAPS}/a", {"metadata": {field: value}}, content_type=media)
        assert (code, refusal["details"]["causes"][0]["field"]) == (422, f"metadata.{field}")


def definition(plural: str, kind: str, properties: Json, **names: Any) -> Json:
    schema = {"openAPIV3Schema": {"type": "object", "properties": properties}}
    return {
        "metadata": {"name": f"{plural}.example.org"},
        "spec": {
            "group": "example.org",
            "scope": "Namespaced",
            "names": {"plural": plural, "kind": kind, **names},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
        },
    }


DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


@pytest.mark.parametrize(
    ("properties", "field"),
    [
        ({"spec": {"type": "object", "properties": {"a": {"type": "integer", "default": "x"}}}}, "[a].default"),
        (
            {"spec": {"type": "object", "x-kubernetes-preserve-unknown-fields": False}},
            "[spec].x-kubernetes-preserve-unknown-fields",
        ),
        ({"metadata": {"type": "object", "properties": {"labels": {"type": "object"}}}}, "properties[metadata]"),
        ({"metadata": {"type": "string"}}, "properties[metadata].type"),
        ({"spec": {"type": "string", "pattern": "("}}, "[spec].pattern"),
        ({"spec": {"type": "string", "allOf": [{"pattern": "("}]}}, "[spec].allOf[0].pattern"),
        ({"spec": {"type": "string", "oneOf": [{"type": "string"}]}}, "[spec].oneOf[0].type"),
        ({"spec": {"type": "object", "not": {"properties": {"a": {"nullable": True}}}}}, "not.properties[a].nullable"),
        ({"spec": {"type": "object", "x-kubernetes-embedded-resource": True}}, "[spec].properties"),
        (
            {"spec": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "object"}}},
            "[spec].items.x-kubernetes-map-type",
        ),
    ],
)
def test_a_definition_whose_schema_is_no_good_is_refused(admin: Client, properties: Json, field: str) -> None:
    code, refusal = admin.ask("POST", DEFINITIONS, definition("things", "Thing", properties))
    assert (code, [one["field"].endswith(field) for one in refusal["details"]["causes"]]) == (422, [True])


def test_what_is_a_number_or_a_string_may_say_so_in_the_way_of_generators(admin: Client) -> None:
    either = {"x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}, {"type": "string"}]}
    both = {"x-kubernetes-int-or-string": True, "allOf": [{"anyOf": either["anyOf"]}, {"pattern": "^[0-9]"}]}
    properties = {"spec": {"type": "object", "properties": {"a": either, "b": both}}}
    assert admin.ask("POST", DEFINITIONS, definition("things", "Thing", properties))[0] == 201


def test_what_is_stored_in_a_version_is_not_forgotten(cluster: Cluster, admin: Client) -> None:
    cluster.create("customresourcedefinitions.apiextensions.k8s.io", FUNCTIONS)
    name = FUNCTIONS["metadata"]["name"]
    path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}"
    (version,) = FUNCTIONS["spec"]["versions"]
    patch = {"spec": {"versions": [{**version, "name": "v9"}]}}
    code, refusal = admin.ask("PATCH", path, patch, content_type="application/merge-patch+json")
    assert (code, refusal["details"]["causes"][0]["field"]) == (422, "status.storedVersions[0]")
    assert f"{version['name']} was previously a storage version" in refusal["message"]


@pytest.mark.parametrize(
    ("group", "annotations", "spec", "field"),
    [
        ("x.k8s.io", {}, {}, "metadata.annotations[api-approved.kubernetes.io]"),
        ("x.k8s.io", {"api-approved.kubernetes.io": "yes"}, {}, "metadata.annotations[api-approved.kubernetes.io]"),
        ("x.k8s.io", {"api-approved.kubernetes.io": "unapproved, for a test"}, {}, ""),
        ("x.example", {}, {"preserveUnknownFields": True}, "spec.preserveUnknownFields"),
    ],
)
def test_a_definition_of_a_group_that_is_protected_is_approved_of(
    admin: Client, group: str, annotations: Json, spec: Json, field: str
) -> None:
    names = FUNCTIONS["spec"]["names"]
    metadata = {"name": f"{names['plural']}.{group}", "annotations": annotations}
    body = {**FUNCTIONS, "metadata": metadata, "spec": {**FUNCTIONS["spec"], "group": group, **spec}}
    _, said = admin.ask("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", body)
    assert [cause["field"] for cause in (said.get("details") or {}).get("causes", ())] == ([field] if field else [])


def test_a_name_that_is_taken_is_not_accepted(cluster: Cluster, admin: Client) -> None:
    assert admin.ask("POST", DEFINITIONS, definition("things", "Thing", {}, shortNames=["th"]))[0] == 201
    assert admin.ask("POST", DEFINITIONS, definition("others", "Thing", {}, shortNames=["th"]))[0] == 201
    found = cluster.get("customresourcedefinitions.apiextensions.k8s.io", "", "others.example.org")
    assert found is not None
    said = [(one["type"], one["status"], one["reason"]) for one in found["status"]["conditions"]]
    assert said == [("NamesAccepted", "False", "ListKindConflict"), ("Established", "False", "NotAccepted")]
    assert found["status"]["acceptedNames"] == {"plural": "others", "kind": ""}
    assert admin.ask("GET", "/apis/example.org/v1/others")[0] == 404


def test_an_object_within_an_object_says_what_it_is(admin: Client) -> None:
    inner = {"type": "object", "x-kubernetes-embedded-resource": True, "x-kubernetes-preserve-unknown-fields": True}
    named = {"metadata": {"type": "object", "properties": {"name": {"type": "string", "pattern": "^a"}}}}
    assert admin.ask("POST", DEFINITIONS, definition("things", "Thing", {"template": inner, **named}))[0] == 201
    head = {"apiVersion": "example.org/v1", "kind": "Thing"}
    path = "/apis/example.org/v1/namespaces/default/things"
    for name, template, fields in (
        ("a", {"apiVersion": "v1", "kind": "Pod"}, []),
        ("a2", {"kind": ""}, ["template.apiVersion", "template.kind"]),
        ("b", {"apiVersion": "v1", "kind": "Pod"}, ["metadata.name"]),
    ):
        code, said = admin.ask("POST", path, {**head, "metadata": {"name": name}, "template": template})
        assert (code, [one["field"] for one in said.get("details", {}).get("causes", ())]) == (
            422 if fields else 201,
            fields,
        )


def test_an_object_within_an_object_has_metadata_as_any_other(admin: Client) -> None:
    inner = {"type": "object", "x-kubernetes-embedded-resource": True, "x-kubernetes-preserve-unknown-fields": True}
    assert admin.ask("POST", DEFINITIONS, definition("things", "Thing", {"template": inner}))[0] == 201
    path = "/apis/example.org/v1/namespaces/default/things"

    def created(**template: Any) -> tuple[int, Any]:
        whole = {"apiVersion": "v1", "kind": "Pod", **template}
        head = {"apiVersion": "example.org/v1", "kind": "Thing", "metadata": {"generateName": "a"}}
        return admin.ask("POST", f"{path}?fieldValidation=Ignore", {**head, "template": whole})

    code, made = created(metadata={"name": "p", "colour": "red", "labels": {}}, spec={"colour": "red"})
    assert (code, made["template"]["metadata"], made["template"]["spec"]) == (201, {"name": "p"}, {"colour": "red"})
    code, said = created(metadata={"name": 1})
    assert (code, said["message"].rpartition(": ")[2]) == (
        400,
        "json: cannot unmarshal number into Go struct field ObjectMeta.name of type string".rpartition(": ")[2],
    )
    for template, field in (
        ({"metadata": {"labels": {"a": "-"}}}, "template.metadata.labels"),
        ({"metadata": {"name": "a/b"}}, "template.metadata.name"),
        ({"apiVersion": "a/b/c"}, "template.apiVersion"),
        ({"kind": "My Pod"}, "template.kind"),
    ):
        code, said = created(**template)
        assert (code, [one["field"] for one in said["details"]["causes"]]) == (422, [field])


def test_whole_numbers_of_custom_resources_are_whole(admin: Client) -> None:
    numbers = {"count": {"type": "integer"}, "ratio": {"type": "number"}}
    assert admin.ask("POST", DEFINITIONS, definition("things", "Thing", numbers))[0] == 201
    path = "/apis/example.org/v1/namespaces/default/things"
    head = {"apiVersion": "example.org/v1", "kind": "Thing", "metadata": {"generateName": "a"}}
    code, made = admin.ask("POST", path, {**head, "count": 2.0, "ratio": 3.0})
    assert (code, json.dumps([made["count"], made["ratio"]])) == (201, "[2, 3]")
    for count in (2.5, 1e30):
        code, said = admin.ask("POST", path, {**head, "count": count})
        assert (code, said["details"]["causes"][0]["message"]) == (
            422,
            'Invalid value: "number": count in body must be of type integer: "number"',
        )


_DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
_RBAC = "/apis/rbac.authorization.k8s.io/v1/clusterroles"
_QUOTAS = "/api/v1/namespaces/default/resourcequotas"


@pytest.mark.parametrize(
    ("path", "body", "fields"),
    [
        (_RBAC, {"aggregationRule": {"clusterRoleSelectors": []}}, ["aggregationRule.clusterRoleSelectors"]),
        (
            _RBAC,
            {"rules": [{"verbs": ["get"], "nonResourceURLs": ["/x"], "apiGroups": [""], "resources": ["pods"]}]},
            ["rules[0].nonResourceURLs"],
        ),
        (_QUOTAS, {"spec": {"hard": {"pods": "1"}, "scopes": ["BestEffort"]}}, []),
        (_QUOTAS, {"spec": {"hard": {"cpu": "1"}, "scopes": ["BestEffort"]}}, ["spec.scopes"]),
        (_QUOTAS, {"spec": {"hard": {"secrets": "1"}, "scopes": ["Terminating"]}}, ["spec.scopes"]),
        (_QUOTAS, {"spec": {"hard": {"pods": "1"}, "scopes": ["BestEffort", "NotBestEffort"]}}, ["spec.scopes"]),
    ],
)
def test_roles_and_quotas_that_contradict_themselves_are_refused(
    admin: Client, path: str, body: Json, fields: list[str]
) -> None:
    code, said = admin.ask("POST", path, {"metadata": {"name": "x"}, **body})
    assert (code, [one["field"] for one in said.get("details", {}).get("causes", ())]) == (
        422 if fields else 201,
        fields,
    )


def test_a_scale_is_checked_by_itself(cluster: Cluster, admin: Client) -> None:
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    spec = {"selector": {"matchLabels": {"a": "b"}}, "template": template}
    cluster.create("deployments.apps", {"metadata": {"name": "d", "namespace": "default"}, "spec": spec})
    media = "application/merge-patch+json"
    code, refusal = admin.ask("PATCH", f"{_DEPLOYMENTS}/d/scale", {"spec": {"replicas": -1}}, content_type=media)
    assert (code, refusal["message"].partition(" is invalid")[0]) == (422, 'Scale.autoscaling "d"')


def test_old_built_in_kinds_are_warned_of(cluster: Cluster) -> None:
    asked = Request.of_target("GET", "/api/v1/namespaces/default/endpoints", headers={"authorization": "Bearer admin"})
    answer = Api(cluster).handle(asked)
    assert isinstance(answer, Response)
    assert list(answer.headers) == [
        ("Warning", '299 - "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"')
    ]


@pytest.mark.parametrize(
    ("timeout", "status"),
    [("5s", 200), ("1m30s", 200), ("0", 200), (".5h", 200), ("5", 400), ("soon", 400), ("1d", 400)],
)
def test_a_client_waits_for_a_duration(admin: Client, timeout: str, status: int) -> None:
    assert admin.ask("GET", f"{MAPS}?timeout={timeout}")[0] == status


def test_what_is_only_tried_may_be_said_twice(admin: Client, cluster: Cluster) -> None:
    assert admin.ask("POST", f"{MAPS}?dryRun=All&dryRun=All", config_map("a"))[0] == 201
    assert admin.ask("POST", f"{MAPS}?dryRun=All&dryRun=Some", config_map("a"))[0] == 422
    cluster.create("configmaps", config_map("a"))
    assert admin.ask("DELETE", f"{MAPS}/a", {"dryRun": ["All", "All"]})[0] == 200
    assert cluster.get("configmaps", "default", "a") is not None


def test_the_scale_of_a_custom_resource_takes_the_patches_that_the_whole_does(admin: Client, cluster: Cluster) -> None:
    cluster.create("customresourcedefinitions.apiextensions.k8s.io", CRD)
    path = "/apis/workload.nephio.org/v1alpha1/namespaces/default/nfdeployments"
    function = {"apiVersion": "workload.nephio.org/v1alpha1", "kind": "NFDeployment", "metadata": {"name": "du"}}
    assert admin.ask("POST", path, {**function, "spec": {"provider": "acme"}})[0] == 201
    for kind, status in (("merge", 200), ("strategic-merge", 415)):
        media = f"application/{kind}-patch+json"
        assert admin.ask("PATCH", f"{path}/du/scale", {"spec": {"replicas": 2}}, content_type=media)[0] == status


def test_one_priority_class_is_that_of_pods_which_name_none(admin: Client) -> None:
    path, body = "/apis/scheduling.k8s.io/v1/priorityclasses", {"value": 5, "globalDefault": True}
    assert admin.ask("POST", path, {"metadata": {"name": "a"}, **body})[0] == 201
    code, refusal = admin.ask("POST", path, {"metadata": {"name": "b"}, **body})
    assert (code, refusal["reason"]) == (403, "Forbidden")
    assert "PriorityClass a is already marked as default" in refusal["message"]
    media = "application/merge-patch+json"
    assert admin.ask("PATCH", f"{path}/a", {"description": "for all"}, content_type=media)[0] == 200


def test_taints_are_told_apart_by_key_and_effect(admin: Client) -> None:
    taint = {"key": "a", "effect": "NoSchedule"}
    spec = {"taints": [taint, {**taint, "effect": "NoExecute"}, {**taint, "value": "v"}]}
    code, refusal = admin.ask("POST", "/api/v1/nodes", {"metadata": {"name": "n"}, "spec": spec})
    (cause,) = refusal["details"]["causes"]
    assert (code, cause["reason"], cause["field"]) == (422, "FieldValueDuplicate", "metadata.taints[2]")


_CONTAINERS: Json = {"containers": [{"name": "c", "image": "i"}]}
_TEMPLATE: Json = {"metadata": {"labels": {"a": "b"}}, "spec": _CONTAINERS}
_ONCE: Json = {"spec": {**_CONTAINERS, "restartPolicy": "Never"}}
_LABELS: Json = {"matchLabels": {"a": "b"}}
_SET: Json = {"spec": {"selector": _LABELS, "template": _TEMPLATE}}
_PORTS: Json = {"ports": [{"port": 80}]}
_MODES: Json = {"accessModes": ["ReadWriteOnce"]}
_GIB: Json = {"storage": "1Gi"}


@pytest.mark.parametrize(
    ("group", "plural", "obj", "cells"),
    [
        ("v1", "replicationcontrollers", {"spec": {"selector": {"a": "b"}, "template": _TEMPLATE}}, "0s"),
        ("apps/v1", "daemonsets", _SET, "0s"),
        ("apps/v1", "statefulsets", _SET, "0s"),
        ("batch/v1", "jobs", {"spec": {"template": _ONCE, "selector": _LABELS, "manualSelector": True}}, "0s"),
        ("batch/v1", "cronjobs", {"spec": {"schedule": "@daily", "jobTemplate": {"spec": {"template": _ONCE}}}}, "0s"),
        ("networking.k8s.io/v1", "ingresses", {"spec": {"rules": [{"host": "h"}], "tls": [{}]}}, "0s"),
        ("v1", "services", {"spec": {"type": "ExternalName", "externalName": "e"}},
         "ExternalName|<none>|e|<none>|0s|<none>"),
        ("v1", "services", {"spec": {**_PORTS, "clusterIP": "10.96.1.1", "externalIPs": ["192.0.2.1"]}},
         "ClusterIP|10.96.1.1|192.0.2.1|80/TCP|0s|<none>"),
        ("v1", "persistentvolumeclaims", {"spec": {**_MODES, "resources": {"requests": _GIB}}}, "0s"),
        ("v1", "persistentvolumes", {"spec": {**_MODES, "capacity": _GIB, "hostPath": {"path": "/x"}}}, "0s"),
        ("storage.k8s.io/v1", "storageclasses", {"provisioner": "p"}, "0s"),
    ],
)  # fmt: skip
def test_kinds_in_use_have_the_columns_of_the_real_server_and_all_others_name_and_age(
    cluster: Cluster, admin: Client, group: str, plural: str, obj: Json, cells: str
) -> None:
    name, _, version = group.rpartition("/")
    kind = cluster.registry.find(name, version, plural)
    assert kind is not None
    root = f"/apis/{group}" if name else f"/api/{group}"
    path = f"{root}/namespaces/default/{plural}" if kind.namespaced else f"{root}/{plural}"
    assert admin.ask("POST", path, {**obj, "metadata": {"name": "n"}})[0] == 201
    _, table = admin.ask("GET", f"{path}/n", accept="application/json;as=Table;g=meta.k8s.io;v=v1")
    assert "|".join(str(cell) for cell in table["rows"][0]["cells"]) == f"n|{cells}"
    assert len(table["columnDefinitions"]) == len(table["rows"][0]["cells"])


def test_forms_have_the_version_that_is_asked_for(cluster: Cluster, admin: Client) -> None:
    cluster.create("configmaps", config_map("a"))
    for version in ("v1", "v1beta1"):
        _, table = admin.ask("GET", MAPS, accept=f"application/json;as=Table;g=meta.k8s.io;v={version}")
        assert {table["apiVersion"], table["rows"][0]["object"]["apiVersion"]} == {f"meta.k8s.io/{version}"}
        form = f"application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v={version}"
        _, found = admin.ask("GET", MAPS, accept=form)
        assert {found["apiVersion"], found["items"][0]["apiVersion"]} == {f"meta.k8s.io/{version}"}


def test_a_json_patch_of_null_has_no_operations(cluster: Cluster, admin: Client) -> None:
    made = cluster.create("configmaps", config_map("a"))
    request = Request.of_target(
        "PATCH", f"{MAPS}/a", headers={"authorization": "Bearer admin", "content-type": "application/json-patch+json"},
        body=b"null",
    )  # fmt: skip
    answer = admin.api.handle(request)
    assert isinstance(answer, Response)
    assert answer.status == 200
    assert json.loads(answer.body)["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]


def test_ports_selectors_and_volumes_that_nobody_chose_are_given(cluster: Cluster, admin: Client) -> None:
    services = "/api/v1/namespaces/default/services"
    _, made = admin.ask("POST", services, {"metadata": {"name": "s"}, "spec": {**_PORTS, "type": "LoadBalancer"}})
    port = made["spec"]["ports"][0]["nodePort"]
    assert 30000 <= port < 32768
    _, table = admin.ask("GET", f"{services}/s", accept="application/json;as=Table;g=meta.k8s.io;v=v1")
    assert table["rows"][0]["cells"][3:5] == ["<pending>", f"80:{port}/TCP"]
    job = cluster.create("jobs.batch", {"metadata": {"name": "j", "namespace": "default"}, "spec": {"template": _ONCE}})
    label = {"batch.kubernetes.io/controller-uid": job["metadata"]["uid"]}
    assert job["spec"]["selector"] == {"matchLabels": label}
    assert label.items() <= job["spec"]["template"]["metadata"]["labels"].items()
    with_volume = pod("p")
    with_volume["spec"]["volumes"] = [{"name": "v"}]
    assert cluster.create("pods", with_volume)["spec"]["volumes"] == [{"name": "v", "emptyDir": {}}]
