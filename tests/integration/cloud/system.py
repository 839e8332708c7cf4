"""Pools with an API server each, and what the controller reaches them with."""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from controller.drivers.devices import DevicesByKind
from controller.drivers.kubernetes.codec import NF_DEPLOYMENT, FunctionObjects, Kind, Objects, Place
from controller.drivers.kubernetes.devices import CloudDevices
from controller.drivers.kubernetes.target import KubernetesTarget, PoolTarget
from controller.drivers.protocols import Devices
from controller.models.facts import FunctionFact, PoolFact, PoolShareFact
from controller.nrm.profiles import render_cloud
from controller.nrm.tree import Tree
from controller.ports.clock import SystemClock
from controller.ports.secrets import FakeSecrets
from simulators import cloud
from simulators.clock import RealClock
from simulators.cloud.server.answers import Response
from simulators.cloud.server.api import Api
from simulators.cloud.server.cluster import Cluster
from simulators.cloud.server.listener import Tls, listen
from simulators.cloud.server.requests import Request
from simulators.connections import Connections
from simulators.netconf.certificates import Authority

POOLS = ("edge-1", "edge-2")
NFDS = "nfdeployments.workload.nephio.org"
NAME, NAMESPACE = "DU-1", "minka-host"
DEFINITION = yaml.safe_load((Path(cloud.__path__[0]) / "behaviour" / "nfdeployments.yaml").read_text())
AUTHORITY = Authority("pools")
DU = FunctionFact(
    function=NAME,
    owner="host",
    pool="edge-1",
    package="acme-du",
    image=f"registry.example/acme/du@sha256:{'a' * 64}",
    replicas=1,
    cpus=8,
    memory_gb=16,
    hugepages_gb=4,
    accelerators=1,
    ptp=True,
    priority="minka-vdu",
    address="10.1.2.3",
    owners=("host",),
)


class Quick(SystemClock):
    """A clock on which pauses are short: nothing here takes longer."""

    async def sleep(self, seconds: float) -> None:
        await super().sleep(min(seconds, 0.02))


@dataclass
class Pools:
    """Running pools.

    Attributes:
        clusters: By pool.
        ways: Where each is cut off.
    """

    clusters: dict[str, Cluster] = field(default_factory=dict)
    ways: dict[str, Connections] = field(default_factory=dict)
    targets: dict[str, PoolTarget] = field(default_factory=dict)
    devices: CloudDevices = field(init=False)

    @property
    def all(self) -> Devices:
        """The devices of these pools, for those who ask for devices of any kind."""
        return DevicesByKind({KubernetesTarget: self.devices}, {})

    def function(self, *pools: str, name: str = NAME) -> KubernetesTarget:
        """A function that may be on these pools."""
        return self._target(name, "function", pools or POOLS, NAMESPACE)

    def pool(self, pool: str = POOLS[0]) -> KubernetesTarget:
        """A pool."""
        return self._target(pool, "pool", (pool,), "")

    def _target(self, name: str, profile: str, pools: tuple[str, ...], namespace: str) -> KubernetesTarget:
        found = tuple(self.targets[pool] for pool in pools)
        return KubernetesTarget(name, (profile,), pools=found, namespace=namespace)

    def put(self, objects: Objects, tree: Tree, manager: str = "tester", only: Kind | None = None) -> None:
        """Let what a tree says be there, made by somebody else; or its objects of a kind."""
        for place, manifest in objects.wanted(tree).items():
            if only not in (None, place.kind):
                continue
            made = copy.deepcopy(manifest)
            if place.namespace:
                made["metadata"]["namespace"] = place.namespace
            self.clusters[place.pool].create(kind_of(place), made, manager=manager)

    def edit(self, pool: str, kind: str, name: str, manager: str = "kubectl-edit", **spec: Any) -> None:
        """Let somebody set fields of a spec."""
        cluster = self.clusters[pool]
        found = cluster.get(kind, NAMESPACE, name)
        assert found is not None
        changed = cluster.edited(found)
        changed["spec"].update(spec)
        cluster.update(kind, changed, manager=manager)

    def force(self, pool: str, manager: str, part: dict[str, Any]) -> None:
        """Let somebody apply a part of the function by force, and so own it."""
        place = Place(pool, NF_DEPLOYMENT, NAMESPACE, NAME.lower())
        applied(self.clusters[pool], place, part, manager, f"secret-of-{pool}")

    def carry(self, tree: Tree) -> None:
        """Let the function be as a tree says, by Minka's hand, and nothing else of it."""
        for pool in POOLS:
            self.ways[pool].restore()
            for place in FUNCTION.asked(pool):
                if self.found(pool, kind_of(place)) is not None:
                    self.clusters[pool].delete(kind_of(place), NAMESPACE, place.name)
            for quota in self.clusters[pool].list("resourcequotas", NAMESPACE):
                self.clusters[pool].delete("resourcequotas", NAMESPACE, quota["metadata"]["name"])
        for place, manifest in FUNCTION.wanted(tree).items():
            applied(self.clusters[place.pool], place, manifest, "minka", f"secret-of-{place.pool}")

    def let_read(self, pool: str, user: str) -> None:
        """Let somebody read all, and change nothing."""
        group = "rbac.authorization.k8s.io"
        rules = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list"]}]
        head = {"metadata": {"name": user}}
        cluster = self.clusters[pool]
        cluster.create(f"clusterroles.{group}", {**head, "rules": rules})
        role = {"apiGroup": group, "kind": "ClusterRole", "name": user}
        subjects = [{"apiGroup": group, "kind": "User", "name": user}]
        cluster.create(f"clusterrolebindings.{group}", {**head, "roleRef": role, "subjects": subjects})

    def fill(self, pool: str) -> None:
        """Let there be room for no further function."""
        hard = {f"count/{NFDS}": "0"}
        cluster = self.clusters[pool]
        quota = {"metadata": {"name": "minka", "namespace": NAMESPACE}, "spec": {"hard": hard}}
        made = cluster.edited(cluster.create("resourcequotas", quota))
        made["status"] = {"hard": hard, "used": {f"count/{NFDS}": "0"}}
        cluster.update_status("resourcequotas", made)

    def found(self, pool: str = POOLS[0], kind: str = NFDS, name: str = NAME.lower()) -> Any:
        """An object, None where there is none."""
        return self.clusters[pool].get(kind, NAMESPACE, name)


def applied(cluster: Cluster, place: Place, part: Mapping[str, Any], manager: str, token: str) -> None:
    """Let somebody apply a part of an object by force, and so own it."""
    manifest = {"apiVersion": place.kind.api, "kind": place.kind.name, "metadata": {"name": place.name}, **part}
    query = {"fieldManager": [manager], "force": ["true"]}
    headers = {"content-type": "application/apply-patch+yaml", "authorization": f"Bearer {token}"}
    request = Request("PATCH", place.url, query, headers, json.dumps(manifest).encode())
    answer = Api(cluster).handle(request)
    assert isinstance(answer, Response)
    assert answer.status in (200, 201), answer


def scaled(cluster: Cluster, replicas: int, manager: str, token: str) -> None:
    """Let somebody scale the function, as ``kubectl scale`` and autoscalers do."""
    place = Place(cluster.name, NF_DEPLOYMENT, NAMESPACE, NAME.lower())
    headers = {"content-type": "application/merge-patch+json", "authorization": f"Bearer {token}"}
    patch = json.dumps({"spec": {"replicas": replicas}}).encode()
    answer = Api(cluster).handle(Request("PATCH", f"{place.url}/scale", {"fieldManager": [manager]}, headers, patch))
    assert isinstance(answer, Response)
    assert answer.status == 200, answer


def kind_of(place: Place) -> str:
    """A kind as clusters call it."""
    group = place.kind.api.partition("/")[0] if "/" in place.kind.api else ""
    return f"{place.kind.plural}.{group}" if group else place.kind.plural


FUNCTION = FunctionObjects(NAME, NAMESPACE)
SHARES = tuple(PoolShareFact(owner, 64, 128, 32, 4, 20, ("bitel", "host"), (owner,)) for owner in ("bitel", "host"))
POOL = PoolFact(POOLS[0], SHARES, (("vdu", 1000),))
CARRIED = render_cloud(DU).tree


@asynccontextmanager
async def running() -> AsyncIterator[Pools]:
    """Two pools, on which functions of the host may be made."""
    pools = Pools()
    values: dict[str, str | None] = {"ca": AUTHORITY.certificate}
    async with AsyncExitStack() as ends:
        for name in POOLS:
            cluster = pools.clusters[name] = Cluster(name, RealClock())
            cluster.create("customresourcedefinitions.apiextensions.k8s.io", copy.deepcopy(DEFINITION))
            cluster.create("namespaces", {"metadata": {"name": NAMESPACE}})
            cluster.access.add_token(f"secret-of-{name}", "minka", "system:masters")
            values[name] = f"secret-of-{name}"
            operate(cluster)
            way = pools.ways[name] = Connections()
            tls = Tls.of_authority(AUTHORITY, name, "127.0.0.1")
            address, port = await ends.enter_async_context(listen(cluster, "127.0.0.1", 0, tls, way))
            pools.targets[name] = PoolTarget(name, address, port, "ca", credential=name)
        pools.devices = CloudDevices(FakeSecrets(values), Quick(), timeout=5, connect_timeout=5, gone=0.3)
        ends.push_async_callback(pools.devices.close)
        yield pools


def operate(cluster: Cluster) -> None:
    """An operator at a pool for whom all functions are ready at once; none of an image that says ``broken``."""

    def see(event: str, kind: str, one: Any) -> None:
        if kind == NFDS and event != "DELETED":
            asyncio.get_running_loop().call_soon(act, one["metadata"]["namespace"], one["metadata"]["name"])

    def act(namespace: str, name: str) -> None:
        one = cluster.get(NFDS, namespace, name)
        generation = one["metadata"]["generation"] if one else 0
        if one is None or one.get("status", {}).get("observedGeneration") == generation:
            return
        broken = "broken" in one["spec"].get("image", "")
        said = {"type": "Ready", "status": "False" if broken else "True", "reason": "Pods", "message": "as asked"}
        changed = cluster.edited(one)
        changed["status"] = {"observedGeneration": generation, "conditions": [said]}
        cluster.update_status(NFDS, changed, manager="operator")

    cluster.subscribe(see)
