"""Pools over the network: TLS, tokens and certificates, watches that stay open, and stock clients.

The clients are Debian's kubectl, the official Python client, and kopf (an operator framework): processes of their own,
which know nothing of us.
"""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
import sys
from collections.abc import AsyncIterator
from datetime import UTC
from email.utils import parsedate_to_datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from simulators.clock import RealClock
from simulators.cloud.server.cluster import Cluster
from simulators.cloud.server.faults import ApiFault, ApiFaultKind, ApiFaults
from simulators.cloud.server.listener import Tls, listen
from simulators.netconf.certificates import Authority
from tests.conftest import find_program
from tests.support import http
from tests.support.waiting import until

AUTHORITY = Authority("tests:edge-1")
MAPS = "/api/v1/namespaces/default/configmaps"
CRD = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "nfdeployments.workload.nephio.org"},
    "spec": {
        "group": "workload.nephio.org",
        "scope": "Namespaced",
        "names": {"kind": "NFDeployment", "plural": "nfdeployments", "singular": "nfdeployment", "shortNames": ["nfd"]},
        "versions": [
            {
                "name": "v1alpha1",
                "served": True,
                "storage": True,
                "subresources": {
                    "status": {},
                    "scale": {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"},
                },
                "additionalPrinterColumns": [{"name": "Provider", "type": "string", "jsonPath": ".spec.provider"}],
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {
                                "type": "object",
                                "required": ["provider"],
                                "properties": {
                                    "provider": {"type": "string", "description": "Who made it."},
                                    "replicas": {"type": "integer", "default": 1, "minimum": 0},
                                },
                            },
                            "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                        },
                    }
                },
            }
        ],
    },
}


class Pool:
    """A pool that listens, and how to reach it."""

    def __init__(self, cluster: Cluster, faults: ApiFaults, port: int) -> None:
        self.cluster = cluster
        self.faults = faults
        self.url = f"https://127.0.0.1:{port}"

    def client(self, token: str = "", certificate: str = "") -> httpx.AsyncClient:
        context = ssl.create_default_context(cadata=AUTHORITY.certificate)
        if certificate:
            context.load_cert_chain(certificate)
        headers = {"authorization": f"Bearer {token}"} if token else {}
        return http.async_client(base_url=self.url, verify=context, headers=headers)

    def kubeconfig(self, path: Path) -> Path:
        user = AUTHORITY.client("anna", "system:masters")
        at = user.index("-----BEGIN PRIVATE KEY")
        users = {
            "token": {"token": "admin"},
            "certificate": {
                "client-certificate-data": _base64(user[:at]),
                "client-key-data": _base64(user[at:]),
            },
        }
        cluster = {"server": self.url, "certificate-authority-data": _base64(AUTHORITY.certificate)}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "edge-1", "cluster": cluster}],
            "users": [{"name": name, "user": user} for name, user in users.items()],
            "contexts": [{"name": name, "context": {"cluster": "edge-1", "user": name}} for name in users],
            "current-context": "token",
        }
        path.write_text(yaml.safe_dump(config))
        return path


async def run(*command: str, config: Path, given: Any = None) -> str:
    """What a client says that uses this configuration."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={"KUBECONFIG": str(config), "HOME": str(config.parent), "PATH": "/usr/bin:/bin"},
    )
    said, _ = await process.communicate(b"" if given is None else json.dumps(given).encode())
    return said.decode()


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.fixture
async def pool() -> AsyncIterator[Pool]:
    cluster = Cluster("edge-1", RealClock())
    cluster.access.add_token("admin", "admin", "system:masters")
    faults = ApiFaults("tests")
    tls = Tls.of_authority(AUTHORITY, "edge-1", "127.0.0.1")
    async with listen(cluster, "127.0.0.1", 0, tls, faults=faults) as (_, port):
        yield Pool(cluster, faults, port)


async def test_tokens_and_certificates_over_tls(pool: Pool, tmp_path: Path) -> None:
    review = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    own, foreign = tmp_path / "anna.pem", tmp_path / "foreign.pem"
    own.write_text(AUTHORITY.client("anna", "noc"))
    foreign.write_text(Authority("another").client("anna", "system:masters"))
    async with pool.client("admin") as client:
        who = (await client.post(review, json={})).json()["status"]["userInfo"]
        assert who == {"username": "admin", "groups": ["system:masters", "system:authenticated"]}
        assert (await client.post(MAPS, json={"metadata": {"name": "a"}})).status_code == 201
    async with pool.client(certificate=str(own)) as client:
        who = (await client.post(review, json={})).json()["status"]["userInfo"]
        assert who == {"username": "anna", "groups": ["noc", "system:authenticated"]}
        assert (await client.get(MAPS)).status_code == 403
    async with pool.client("wrong") as client:
        assert (await client.get(MAPS)).status_code == 401
    async with pool.client() as client:
        assert (await client.get("/version")).status_code == 200
    async with pool.client(certificate=str(foreign)) as client:
        with pytest.raises((httpx.TransportError, ssl.SSLError)):
            await client.get("/version")


async def test_a_body_that_is_too_large_is_refused_and_the_connection_lives(pool: Pool) -> None:
    async with pool.client("admin") as client:
        body = {"metadata": {"name": "a"}, "data": {"k": "x" * (4 * 1024 * 1024)}}
        answer = await client.post(MAPS, json=body)
        assert (answer.status_code, answer.json()["reason"]) == (413, "RequestEntityTooLarge")
        assert (await client.get(MAPS)).json()["items"] == []


async def test_a_large_answer_is_compressed_for_who_takes_it_so(pool: Pool) -> None:
    large = {"metadata": {"name": "a", "namespace": "default"}, "data": {"k": "x" * (128 * 1024)}}
    pool.cluster.create("configmaps", large)
    async with pool.client("admin") as client:
        for accepted, encoding in (("gzip, deflate", "gzip"), ("identity", None)):
            answer = await client.get(f"{MAPS}/a", headers={"accept-encoding": accepted, "audit-id": "ours"})
            assert answer.headers.get("content-encoding") == encoding
            assert answer.json()["data"] == large["data"]
            assert answer.headers["audit-id"] == "ours"
        answer = await client.get("/version")
        assert "content-encoding" not in answer.headers
        assert len(answer.headers["audit-id"]) == 36
        assert parsedate_to_datetime(answer.headers["date"]).tzinfo is UTC


async def test_a_watch_tells_what_happens_and_ends_with_the_pool(pool: Pool) -> None:
    async with pool.client("admin") as client, client.stream("GET", f"{MAPS}?watch=1&timeoutSeconds=600") as stream:
        lines = stream.aiter_lines()
        assert stream.status_code == 200
        for name in "ab":
            pool.cluster.create("configmaps", {"metadata": {"name": name, "namespace": "default"}})
            event = json.loads(await anext(lines))
            assert (event["type"], event["object"]["metadata"]["name"]) == ("ADDED", name)
    async with pool.client("admin") as client:
        assert len((await client.get(MAPS)).json()["items"]) == 2


@pytest.mark.parametrize(
    ("sent", "status"), [(b"hello\r\n\r\n", 400), (b"GET / HTTP/1.1\r\nX: " + b"x" * 100_000, 431)], ids=["400", "431"]
)
async def test_what_is_no_http_is_refused_by_its_name(pool: Pool, sent: bytes, status: int) -> None:
    context = ssl.create_default_context(cadata=AUTHORITY.certificate)
    port = int(pool.url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    writer.write(sent)
    assert (await reader.readline()).startswith(f"HTTP/1.1 {status} ".encode())
    writer.close()


async def test_faults_spoil_answers(pool: Pool) -> None:
    def inject(kind: ApiFaultKind, **how: Any) -> None:
        pool.faults.inject(ApiFault(kind=kind, **how))

    async with pool.client("admin") as client:
        inject(ApiFaultKind.UNAVAILABLE, count=1)
        assert (await client.get(MAPS)).status_code == 503
        inject(ApiFaultKind.THROTTLE, verb="list", seconds=7)
        refused = await client.get(MAPS)
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "7")
        inject(ApiFaultKind.OK_WITHOUT_EFFECT, verb="create")
        lie = await client.post(MAPS, json={"metadata": {"name": "a"}})
        assert (lie.status_code, bool(lie.json()["metadata"]["resourceVersion"])) == (201, True)
        assert (await client.get(f"{MAPS}/a")).status_code == 404
        inject(ApiFaultKind.DROP_AFTER, verb="create")
        with pytest.raises(httpx.TransportError):
            await client.post(MAPS, json={"metadata": {"name": "a"}, "data": {"k": "v"}})
        made = (await client.get(f"{MAPS}/a")).json()
        inject(ApiFaultKind.DROP_BEFORE, verb="delete")
        with pytest.raises(httpx.TransportError):
            await client.delete(f"{MAPS}/a")
        inject(ApiFaultKind.FOREIGN_WRITE, verb="update", resource="configmaps", patch={"data": {"k": "theirs"}})
        assert (await client.put(f"{MAPS}/a", json=made)).status_code == 409
        found = (await client.get(f"{MAPS}/a")).json()
        assert found["data"] == {"k": "theirs"}
        assert "kubectl-edit" in {entry["manager"] for entry in found["metadata"]["managedFields"]}
        inject(ApiFaultKind.DELAY, verb="get", seconds=0.2)
        assert (await client.get(f"{MAPS}/a")).status_code == 200
        inject(ApiFaultKind.GARBAGE)
        assert (await client.get(MAPS)).headers["content-type"] == "text/html"
        inject(ApiFaultKind.FORGET_HISTORY, verb="watch")
        async with client.stream("GET", f"{MAPS}?watch=1&resourceVersion=1") as stream:
            (line,) = [one async for one in stream.aiter_lines()]
        assert json.loads(line)["object"]["code"] == 410
        assert len(pool.faults) == 0


_CREATED = {
    "configmap/c created": "create configmap c --from-literal=a=b",
    "resourcequota/q created": "create quota q --hard=cpu=2,pods=3",
    "role.rbac.authorization.k8s.io/r created": "create role r --verb=get --resource=pods",
    "rolebinding.rbac.authorization.k8s.io/b created": "create rolebinding b --role=r --user=ana",
    "deployment.apps/d created": "create deployment d --image=i:1",
    "horizontalpodautoscaler.autoscaling/d autoscaled": "autoscale deployment/d --max=3",
}


@pytest.mark.needs("kubectl")
async def test_stock_kubectl(pool: Pool, tmp_path: Path) -> None:
    pool.cluster.create("customresourcedefinitions.apiextensions.k8s.io", CRD)
    config = pool.kubeconfig(tmp_path / "config")
    function = {
        "apiVersion": "workload.nephio.org/v1alpha1",
        "kind": "NFDeployment",
        "metadata": {"name": "du-1", "namespace": "minka-host"},
        "spec": {"provider": "acme", "replicas": 2},
    }
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "minka-host"}}
    program = find_program("kubectl")
    assert program is not None

    async def kubectl(*words: str, given: Any = None) -> str:
        return await run(program, *words, config=config, given=given)

    # A list is checked by the OpenAPI 2 document, which comes as a protocol buffer.
    objects = {"apiVersion": "v1", "kind": "List", "items": [namespace]}
    assert await kubectl("apply", "-f", "-", given=objects) == "namespace/minka-host created\n"
    for created, words in _CREATED.items():  # all of these come as protocol buffers
        assert await kubectl(*words.split(), "-n", "minka-host") == f"{created}\n"
    quota = pool.cluster.get("resourcequotas", "minka-host", "q")
    assert quota is not None
    assert quota["spec"]["hard"] == {"cpu": "2", "pods": "3"}
    assert "anna" in await kubectl("--context", "certificate", "auth", "whoami")
    assert await kubectl("auth", "can-i", "get", "pods") == "yes\n"
    told = "nfdeployment.workload.nephio.org/du-1"
    assert await kubectl("apply", "--server-side", "-f", "-", given=function) == f"{told} serverside-applied\n"
    shown = await kubectl("get", "nfd", "-n", "minka-host")
    assert shown.split() == ["NAME", "PROVIDER", "du-1", "acme"]
    assert await kubectl("scale", "-n", "minka-host", "nfd/du-1", "--replicas=3") == f"{told} scaled\n"
    function["spec"] = {"provider": "acme", "replicas": 2}
    refused = await kubectl("apply", "--server-side", "-f", "-", given=function)
    assert "Apply failed with 1 conflict" in refused
    assert ".spec.replicas" in refused
    function["spec"] = {"provider": "acme", "bogus": 1}
    assert 'unknown field "spec.bogus"' in await kubectl("create", "-f", "-", "--validate=strict", given=function)
    assert await kubectl("--context", "certificate", "delete", "nfd", "-n", "minka-host", "du-1") == (
        'nfdeployment.workload.nephio.org "du-1" deleted\n'
    )


_CLIENT = """
from kubernetes import client, config, watch
from kubernetes.client.rest import ApiException

config.load_kube_config()
core = client.CoreV1Api()
core.create_namespace(client.V1Namespace(metadata=client.V1ObjectMeta(name="py")))
core.create_namespaced_config_map("py", client.V1ConfigMap(metadata=client.V1ObjectMeta(name="c"), data={"a": "b"}))
print(core.patch_namespaced_config_map("c", "py", {"data": {"x": "y"}}).data)
try:
    core.read_namespaced_config_map("none", "py")
except ApiException as error:
    print(error.status)
for event in watch.Watch().stream(core.list_namespaced_config_map, "py", timeout_seconds=1):
    print(event["type"], event["object"].metadata.name)
container = client.V1Container(name="c", image="registry.example/du:1")
pod = client.V1Pod(metadata=client.V1ObjectMeta(name="p"), spec=client.V1PodSpec(containers=[container]))
print(core.create_namespaced_pod("py", pod).status.phase)
kind = ("workload.nephio.org", "v1alpha1", "py", "nfdeployments")
body = {"apiVersion": "workload.nephio.org/v1alpha1", "kind": "NFDeployment", "metadata": {"name": "n"}}
body["spec"] = {"provider": "a"}
functions = client.CustomObjectsApi()
functions.create_namespaced_custom_object(*kind, body)
patched = functions.patch_namespaced_custom_object(
    *kind, "n", {"spec": {"replicas": 2}}, _content_type="application/merge-patch+json"
)
print(patched["spec"]["replicas"], functions.list_namespaced_custom_object(*kind)["items"][0]["metadata"]["name"])
"""


def _needs(package: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(find_spec(package) is None, reason=f"needs {package}: pip install 'minka[dev]'")


@_needs("kubernetes")
async def test_the_official_python_client(pool: Pool, tmp_path: Path) -> None:
    pool.cluster.create("customresourcedefinitions.apiextensions.k8s.io", CRD)
    said = await run(sys.executable, "-W", "ignore", "-c", _CLIENT, config=pool.kubeconfig(tmp_path / "config"))
    assert said.splitlines() == ["{'a': 'b', 'x': 'y'}", "404", "ADDED c", "Pending", "2 n"]


_OPERATOR = """
import kopf

@kopf.on.create("workload.nephio.org", "v1alpha1", "nfdeployments")
def made(patch, **_):
    patch.status["phase"] = "Ready"

@kopf.on.delete("workload.nephio.org", "v1alpha1", "nfdeployments")
def gone(name, logger, **_):
    logger.info(f"cleaned up after {name}")
"""


@_needs("kopf")
async def test_kopf(pool: Pool, tmp_path: Path) -> None:
    """An operator of a vendor: it watches, sets a finalizer and a status, and cleans up."""
    kind, functions = "nfdeployments.workload.nephio.org", {"name": "du-1", "namespace": "default"}
    pool.cluster.create("customresourcedefinitions.apiextensions.k8s.io", CRD)
    (tmp_path / "operator.py").write_text(_OPERATOR)
    command = (sys.executable, "-m", "kopf", "run", "--standalone", "--all-namespaces", str(tmp_path / "operator.py"))
    process = await asyncio.create_subprocess_exec(
        *command,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={"KUBECONFIG": str(pool.kubeconfig(tmp_path / "config")), "HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
    )
    try:
        pool.cluster.create(kind, {"metadata": functions, "spec": {"provider": "acme"}})

        def found() -> Any:
            return pool.cluster.get(kind, "default", "du-1")

        await until(lambda: found().get("status", {}).get("phase") == "Ready")
        assert found()["metadata"]["finalizers"] == ["kopf.zalando.org/KopfFinalizerMarker"]
        pool.cluster.delete(kind, "default", "du-1")
        await until(lambda: found() is None)
    finally:
        process.terminate()
        said, _ = await process.communicate()
    assert "cleaned up after du-1" in said.decode()
