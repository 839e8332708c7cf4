"""What Minka may do on a pool by the manifest that it comes with: all that it needs, and nothing that it does not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from controller.drivers.kubernetes.target import KubernetesTarget
from controller.drivers.protocols import Notification
from controller.models.equipment import Operation, OperationKind
from controller.models.errors import NotPermittedError
from controller.models.plan import Edit, Op
from controller.nrm.profiles import render_cloud
from controller.nrm.profiles.pool import node_path
from controller.nrm.tree import Tree
from simulators.cloud.server.access import Access, Attributes, Caller
from tests.integration.cloud.system import CARRIED, NAME, NAMESPACE, NFDS, POOL, POOLS, Pools
from tests.integration.cloud.test_sessions import change, making, removing, setting

MANIFEST = [*yaml.safe_load_all(Path("deploy/kubernetes/minka.yaml").read_text())]
USER = "system:serviceaccount:minka:minka"
HERE = POOLS[0]
_KINDS = {
    "Namespace": "namespaces",
    "ServiceAccount": "serviceaccounts",
    "ClusterRole": "clusterroles.rbac.authorization.k8s.io",
    "ClusterRoleBinding": "clusterrolebindings.rbac.authorization.k8s.io",
}


def granted() -> set[tuple[str, str, str]]:
    """All that the manifest grants: group, resource and verb."""
    rules = [rule for one in MANIFEST if one["kind"] == "ClusterRole" for rule in one["rules"]]
    return {
        (group, resource, verb)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def let_in(pools: Pools, *without: str) -> None:
    """Let Minka do on all pools what the manifest says, but for bindings of these names."""
    for pool in POOLS:
        cluster = pools.clusters[pool]
        for one in MANIFEST:
            if one["kind"] != "ClusterRoleBinding" or one["metadata"]["name"] not in without:
                cluster.create(_KINDS[one["kind"]], one)
        cluster.access.drop_token(f"secret-of-{pool}")
        cluster.access.add_token(f"secret-of-{pool}", USER, "system:serviceaccounts", "system:serviceaccounts:minka")


@contextmanager
def recorded(monkeypatch: pytest.MonkeyPatch) -> Iterator[set[tuple[str, str, str]]]:
    """What Minka asks for meanwhile."""
    asked: set[tuple[str, str, str]] = set()
    decide = Access.decision

    def decision(self: Access, caller: Caller, wanted: Attributes) -> tuple[bool, str]:
        if caller.name == USER and not wanted.path:
            asked.add((wanted.group, wanted.full_resource, wanted.verb))
        return decide(self, caller, wanted)

    with monkeypatch.context() as patch:
        patch.setattr(Access, "decision", decision)
        yield asked


async def carried_out(pools: Pools, target: KubernetesTarget, *edits: Edit) -> Tree:
    """The same edits, while operators and kubelets report something."""
    async with pools.devices.session(target) as session:
        await session.read()
        report(pools)
        await session.edit(edits)
        await session.commit()
        return (await session.read()).tree


def report(pools: Pools) -> None:
    """Let something of nodes be another."""
    cluster = pools.clusters[HERE]
    for node in cluster.list("nodes"):
        changed = cluster.edited(node)
        changed["status"] = {
            "allocatable": {"cpu": str(1 + int(node.get("status", {}).get("allocatable", {}).get("cpu", "0")))}
        }
        cluster.update_status("nodes", changed, manager="kubelet")


def deleting(path: str, **before: str) -> Edit:
    return Edit(op=Op.DELETE, path=path, before=before, owners=("host",))


async def test_the_manifest_allows_what_is_needed_and_nothing_more(
    pools: Pools, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_in(pools)
    cluster, node = pools.clusters[HERE], node_path(HERE, "n1")
    cluster.create("nodes", {"metadata": {"name": "n1"}})
    wanted = render_cloud(POOL).tree
    host = f"/Pool[{HERE}]/Namespace[{NAMESPACE}]"
    with recorded(monkeypatch) as asked:
        there = (f"/Pool[{HERE}]", host)
        made = [setting(host, {}, owner="host"), *making(wanted, there=there)]
        assert await carried_out(pools, pools.pool(), *made) == wanted
        await change(pools, making(CARRIED))
        await watched(pools)
        await nodes_watched(pools)

        cordoned = Edit(op=Op.CREATE, path=node, after={"unschedulable": "true"}, owners=("host",))
        await carried_out(pools, pools.pool(), cordoned)
        await carried_out(pools, pools.pool(), setting(node, {"unschedulable": "true"}))
        run = {"containers": [{"name": "du", "image": "du"}], "nodeName": "n1"}
        metadata = {"name": "du-1-a", "namespace": NAMESPACE, "labels": {"minka.dev/function": NAME}}
        cluster.create("pods", {"metadata": metadata, "spec": run})
        async with pools.devices.session(pools.function()) as session:
            assert await session.operate(Operation(kind=OperationKind.EVICT, subject=f"{HERE}/n1", seconds=5)) == ""

        await change(
            pools,
            [removing(f"/Function[{NAME}]/Deployment[{HERE}]"), removing(f"/Function[{NAME}]/Disruption[{HERE}]")],
        )
        below = [deleting(path) for path in wanted if path.startswith(f"{host}/") or "/Priority[" in path]
        await carried_out(pools, pools.pool(), *below, deleting(host))
    assert asked == granted()


async def watched(pools: Pools) -> None:
    """Follow the function until it is told of a change."""
    listening = asyncio.Event()
    notices = pools.devices.notifications(pools.function(HERE), listening=listening.set)
    first: asyncio.Task[Any] = asyncio.create_task(cast("Any", anext(notices)))
    await listening.wait()
    while not first.done():  # the watch stands a little later
        found = pools.found()
        pools.edit(HERE, NFDS, NAME.lower(), replicas=2 + found["spec"]["replicas"] % 3)
        await asyncio.sleep(0.02)
    await first
    await cast("AsyncGenerator[Notification]", notices).aclose()


async def nodes_watched(pools: Pools) -> None:
    """Follow the pool until it is told of a change of a node."""
    notices = pools.devices.notifications(pools.pool(HERE))
    first: asyncio.Task[Any] = asyncio.create_task(cast("Any", anext(notices)))
    while not first.done():  # the watch stands a little later
        report(pools)
        await asyncio.sleep(0.02)
    await first
    await cast("AsyncGenerator[Notification]", notices).aclose()


async def test_functions_may_be_bound_to_the_namespaces_of_their_owners(pools: Pools) -> None:
    let_in(pools, "minka-functions")
    (binding,) = (one for one in MANIFEST if one["metadata"]["name"] == "minka-functions" and "roleRef" in one)
    for pool in POOLS:
        head = {"metadata": {"name": "minka-functions", "namespace": NAMESPACE}}
        bound = {**head, "roleRef": binding["roleRef"], "subjects": binding["subjects"]}
        pools.clusters[pool].create("rolebindings.rbac.authorization.k8s.io", bound)
        pools.clusters[pool].create("namespaces", {"metadata": {"name": "minka-bitel"}})
    assert await change(pools, making(CARRIED)) == CARRIED
    async with pools.devices.session(pools.pool()) as session:
        await session.read()
    async with pools.devices.session(replace(pools.function(HERE), namespace="minka-bitel")) as session:
        with pytest.raises(NotPermittedError, match=rf"as {USER}, who may not get .* in the namespace \"minka-bitel\""):
            await session.read()
