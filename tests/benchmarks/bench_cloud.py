"""What simulated pools cost: python -m tests.benchmarks.bench_cloud [POOLS]."""

from __future__ import annotations

import asyncio
import gc
import json
import ssl
import sys
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import httpx

from simulators.clock import RealClock, VirtualClock
from simulators.cloud.server.api import Api
from simulators.cloud.server.cluster import Cluster
from simulators.cloud.server.listener import Tls, listen
from simulators.cloud.server.requests import Request
from simulators.cloud.server.watches import Watch
from simulators.netconf.certificates import Authority
from tests.integration.simulators.test_cloud_api import CRD

POOLS = 300
FUNCTIONS = 11
ROUNDS = 300
_FUNCTIONS = "/apis/workload.nephio.org/v1alpha1/namespaces/minka-host/nfdeployments"
_ADMIN = {"authorization": "Bearer admin", "user-agent": "minka/1"}


def make_pool(number: int) -> Cluster:
    """A site's pool as the sample networks have them: three nodes, a few functions with a pod each."""
    pool = Cluster(f"edge-{number}", VirtualClock())
    pool.access.add_token("admin", "minka", "system:masters")
    pool.create("customresourcedefinitions.apiextensions.k8s.io", CRD)
    for node in range(3):
        capacity = {"cpu": "32", "memory": "128Gi", "hugepages-1Gi": "32Gi", "pods": "110"}
        pool.create("nodes", {"metadata": {"name": f"n{node}"}, "status": {"capacity": capacity}})
    pool.create("namespaces", {"metadata": {"name": "minka-host"}})
    for index in range(FUNCTIONS):
        metadata = {"name": f"du-{index}", "namespace": "minka-host", "labels": {"minka.dev/function": f"du-{index}"}}
        spec = {"provider": "acme/du@sha256:0123", "replicas": 1}
        pool.create("nfdeployments.workload.nephio.org", {"metadata": metadata, "spec": spec}, manager="minka")
        container = {"name": "du", "image": "registry.example/du@sha256:0123"}
        pool.create("pods", {"metadata": metadata, "spec": {"containers": [container], "nodeName": "n0"}})
    return pool


class Sink:
    """A watch's client that only counts."""

    def __init__(self) -> None:
        self.lines = 0

    def send(self, line: bytes) -> None:
        self.lines += 1

    def end(self) -> None:
        pass


def timed(title: str, act: Callable[[int], Any], rounds: int = ROUNDS) -> None:
    """Print what one of them takes."""
    act(0)
    begin = time.perf_counter()
    for number in range(1, rounds + 1):
        act(number)
    print(f"{title:48} {(time.perf_counter() - begin) / rounds * 1000:8.3f} ms")


def memory(pools: int) -> None:
    """Print kB per pool."""
    make_pool(0)  # what all pools share is made
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    made = [make_pool(number) for number in range(pools)]
    gc.collect()
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    objects = sum(made[0].store.count(kind) for kind in made[0].store.kinds())
    each = (after - before) / pools / 1024
    print(f"{each:.0f} kB per pool: {objects} objects each ({FUNCTIONS} functions), {pools} pools")


def requests() -> None:
    """Print what requests take, without a network."""
    pool = make_pool(0)
    api = Api(pool)

    def ask(method: str, target: str, body: Any = None, media: str = "application/json") -> Any:
        data = b"" if body is None else json.dumps(body).encode()
        return api.handle(Request.of_target(method, target, headers={**_ADMIN, "content-type": media}, body=data))

    function = {"apiVersion": "workload.nephio.org/v1alpha1", "kind": "NFDeployment", "metadata": {"name": "du-0"}}
    apply = "application/apply-patch+yaml"
    timed("get a function", lambda _: ask("GET", f"{_FUNCTIONS}/du-0"))
    timed(f"list {FUNCTIONS} functions", lambda _: ask("GET", _FUNCTIONS))

    def applied(number: int) -> Any:
        spec = {"provider": "acme/du@sha256:0123", "replicas": 1 + number % 2}
        return ask("PATCH", f"{_FUNCTIONS}/du-0?fieldManager=minka", {**function, "spec": spec}, apply)

    timed("apply a change of a function", applied)
    watches = [ask("GET", f"{_FUNCTIONS}?watch=1") for _ in range(20)]
    sinks = [Sink() for _ in watches]
    for watch, sink in zip(watches, sinks, strict=True):
        assert isinstance(watch, Watch)
        watch.start(sink)
    timed("the same with 20 watches", applied)


async def network() -> None:
    """Print what a request over TLS takes."""
    authority = Authority("bench")
    cluster = Cluster("edge", RealClock())
    cluster.access.add_token("admin", "minka", "system:masters")
    async with listen(cluster, "127.0.0.1", 0, Tls.of_authority(authority, "edge", "127.0.0.1")) as (_, port):
        context = ssl.create_default_context(cadata=authority.certificate)
        async with httpx.AsyncClient(base_url=f"https://127.0.0.1:{port}", verify=context, headers=_ADMIN) as client:
            await client.get("/version")
            begin = time.perf_counter()
            for _ in range(ROUNDS):
                (await client.get("/api/v1/namespaces/default")).raise_for_status()
            taken = (time.perf_counter() - begin) / ROUNDS * 1000
    print(f"{'get a namespace over TLS, client and server':48} {taken:8.3f} ms")


if __name__ == "__main__":
    requests()
    asyncio.run(network())
    memory(int(sys.argv[1]) if len(sys.argv) > 1 else POOLS)
