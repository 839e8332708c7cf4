"""Sessions to functions and pools at the twin's API servers: what they read and write, and who may be in the way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from typing import Any, cast

import pytest

from controller.drivers.kubernetes.api import Answer, BusyError, ForeignWriterError, PoolApi
from controller.drivers.kubernetes.codec import NF_DEPLOYMENT, Object, Place
from controller.drivers.kubernetes.session import bare
from controller.drivers.protocols import Notification
from controller.models.equipment import Operation, OperationKind
from controller.models.errors import (
    AuthenticationError,
    DeviceRefusedError,
    NotPermittedError,
    SessionLostError,
    UnreachableError,
)
from controller.models.plan import Edit, Op
from controller.nrm.inverse import invert
from controller.nrm.profiles import render_cloud
from controller.nrm.profiles.function import FUNCTION as ROOT
from controller.nrm.profiles.function import deployment_path
from controller.nrm.tree import Path, Tree
from controller.playbook.engine.operations import happened
from simulators.cloud.server.verbs import Attempt
from simulators.connections import Outage
from tests.integration.cloud.system import CARRIED, DU, FUNCTION, NAME, NAMESPACE, NFDS, POOL, Pools, scaled

HERE, THERE = (deployment_path(NAME, pool) for pool in ("edge-1", "edge-2"))
TOP = f"/Function[{NAME}]"
MOVED = render_cloud(replace(DU, pool="edge-2")).tree


def making(tree: Tree, there: Sequence[Path] = (TOP,)) -> list[Edit]:
    """Edits that make what a tree holds."""
    return [
        Edit(op=Op.CREATE, path=path, after=dict(leaves), owners=("host",))
        for path, leaves in tree.items()
        if path not in there
    ]


def setting(path: Path, before: dict[str, str], **after: str) -> Edit:
    return Edit(op=Op.MERGE, path=path, before=before, after=after, owners=("host",))


def removing(path: Path) -> Edit:
    return Edit(op=Op.DELETE, path=path, before=dict(CARRIED[path]), owners=("host",))


async def change(pools: Pools, edits: Sequence[Edit], *among: str) -> Tree:
    """What is there once the edits were carried out."""
    async with pools.devices.session(pools.function(*among)) as session:
        await session.read()
        await session.edit(edits)
        await session.commit()
        return (await session.read()).tree


async def test_a_function_is_made_changed_and_removed(pools: Pools) -> None:
    assert await change(pools, making(CARRIED)) == CARRIED
    made = pools.found()
    assert made["metadata"]["labels"] == {"minka.dev/function": NAME, "minka.dev/owner": "host"}
    managed = [
        (one["manager"], one["operation"]) for one in made["metadata"]["managedFields"] if "subresource" not in one
    ]
    assert managed == [("minka", "Apply")]

    more = await change(pools, [setting(HERE, {}, replicas="3"), setting(HERE, {"cpus": "8"}, cpus="12")])
    assert more == {**CARRIED, HERE: {**CARRIED[HERE], "replicas": "3", "cpus": "12"}}
    assert pools.found()["spec"]["replicas"] == 3
    assert pools.found(kind="configmaps")["data"]["cpus"] == "12"

    left = await change(pools, [removing(HERE), removing(f"{TOP}/Disruption[edge-1]")])
    assert left == {TOP: {}}
    assert [pools.found(kind=kind) for kind in (NFDS, "configmaps", "poddisruptionbudgets.policy")] == [None] * 3


async def test_a_leaf_that_goes_back_to_its_default_is_not_left_behind(pools: Pools) -> None:
    await change(pools, making(render_cloud(replace(DU, replicas=3)).tree))
    assert (await change(pools, [setting(HERE, {"replicas": "3"}), setting(HERE, {"ptp": "true"})]))[HERE] == {
        name: value for name, value in CARRIED[HERE].items() if name != "ptp"
    }


async def test_an_inverse_brings_back_what_was(pools: Pools) -> None:
    await change(pools, making(CARRIED))
    edits = [removing(HERE)]
    inverse = invert(ROOT, CARRIED, edits, dict.fromkeys(CARRIED, ("host",)))
    await change(pools, edits)
    assert await change(pools, inverse) == CARRIED


async def test_an_edit_that_is_not_committed_changes_nothing(pools: Pools) -> None:
    async with pools.devices.session(pools.function()) as session:
        await session.read()
        await session.edit(making(CARRIED))
        await session.discard()
        await session.commit()
    assert pools.found() is None
    assert pools.found(kind="configmaps") is None


async def test_what_a_pool_would_not_take_is_refused_before_anything_is_changed(pools: Pools) -> None:
    with pytest.raises(DeviceRefusedError, match="replicas"):
        await change(pools, making(render_cloud(replace(DU, replicas=11)).tree))
    assert pools.found(kind="configmaps") is None


async def test_a_function_needs_the_namespace_of_its_owner(pools: Pools) -> None:
    target = replace(pools.function(), namespace="minka-bitel")
    async with pools.devices.session(target) as session:
        await session.read()
        with pytest.raises(DeviceRefusedError, match="minka-bitel"):
            await session.edit(making(CARRIED))


async def test_a_full_quota_refuses(pools: Pools) -> None:
    pools.fill("edge-1")
    with pytest.raises(DeviceRefusedError, match="exceeded quota"):
        await change(pools, making(CARRIED))
    assert (await change(pools, [])) == {TOP: {}}


# --------------------------------------------------------------------------- other writers


async def test_whoever_goes_on_applying_is_named_and_not_overruled(pools: Pools) -> None:
    await change(pools, making(CARRIED))
    pools.force("edge-1", "argocd", {"spec": {"replicas": 4}})
    before = pools.found()["spec"]
    async with pools.devices.session(pools.function()) as session:
        seen = await session.read()
        assert seen.writers[HERE] == {"replicas": "argocd"}
        with pytest.raises(DeviceRefusedError, match="argocd"):
            await session.edit([setting(HERE, {"replicas": "4"}, replicas="1")])
    assert pools.found()["spec"] == before


async def test_what_a_person_set_by_hand_is_set_back(pools: Pools) -> None:
    await change(pools, making(CARRIED))
    pools.edit("edge-1", NFDS, NAME.lower(), replicas=4, image="registry.example/other:1")
    async with pools.devices.session(pools.function()) as session:
        seen = await session.read()
        assert seen.writers[HERE] == {"replicas": "kubectl-edit", "image": "kubectl-edit"}
    edits = [
        setting(HERE, {"replicas": "4"}),
        setting(HERE, {"image": "registry.example/other:1"}, image=DU.image),
    ]
    assert await change(pools, edits) == CARRIED
    async with pools.devices.session(pools.function()) as session:
        assert (await session.read()).writers == {}


async def test_what_a_person_scaled_is_set_back_and_what_an_autoscaler_did_is_not(pools: Pools) -> None:
    await change(pools, making(CARRIED))
    for manager, by_hand in (("kubectl", True), ("kube-controller-manager", False)):
        scaled(pools.clusters["edge-1"], 4, manager, "secret-of-edge-1")
        async with pools.devices.session(pools.function()) as session:
            assert (await session.read()).writers[HERE] == {"replicas": manager}
        back = [setting(HERE, {"replicas": "4"})]
        if by_hand:
            assert await change(pools, back) == CARRIED
        else:
            with pytest.raises(ForeignWriterError, match=manager):
                await change(pools, back)


async def test_parameters_that_a_person_took_out_of_force_are_in_force_again(pools: Pools) -> None:
    await change(pools, making(CARRIED))
    reference = pools.found()["spec"]["parametersRefs"]
    pools.edit("edge-1", NFDS, NAME.lower(), parametersRefs=[])
    async with pools.devices.session(pools.function()) as session:
        seen = await session.read()
        assert seen.tree[HERE]["inForce"] == "false"
        assert seen.writers[HERE] == {"inForce": "kubectl-edit"}
    assert await change(pools, [setting(HERE, {"inForce": "false"})]) == CARRIED
    assert pools.found()["spec"]["parametersRefs"] == reference


async def test_an_address_that_a_person_set_is_set_back_and_others_interfaces_stay(pools: Pools) -> None:
    await change(pools, making(CARRIED))
    others = {"name": "n3", "vlanID": 7}
    pools.edit("edge-1", NFDS, NAME.lower(), interfaces=[{"name": "oam", "ipv4": {"address": "10.9.9.9"}}, others])
    oam = f"{HERE}/Interface[oam]"
    await change(pools, [setting(oam, {"address": "10.9.9.9"}, address="10.1.2.3")])
    assert pools.found()["spec"]["interfaces"] == [{"name": "oam", "ipv4": {"address": "10.1.2.3"}}, others]


async def test_what_a_person_added_by_hand_is_taken_away(pools: Pools) -> None:
    await change(pools, making(CARRIED))
    pools.edit("edge-1", NFDS, NAME.lower(), capacity={"maxUplinkThroughput": "5M", "maxSessions": 3})
    assert await change(pools, [setting(HERE, {"uplinkMbps": "5"})]) == CARRIED
    assert pools.found()["spec"]["capacity"] == {"maxSessions": 3}, "what is none of ours stays"
    interface = {"name": "oam", "ipv4": {"address": "10.1.2.3"}, "vlanID": 7}
    pools.edit("edge-1", NFDS, NAME.lower(), interfaces=[interface])
    assert await change(pools, [setting(f"{HERE}/Interface[oam]", {"vlan": "7"})]) == CARRIED


async def test_a_budget_that_a_person_wrote_the_other_way_round_is_set_back(pools: Pools) -> None:
    """A budget has one of two fields: the one that is wanted is refused while somebody's other one stands."""
    await change(pools, making(CARRIED))
    path, budgets = f"{TOP}/Disruption[edge-1]", "poddisruptionbudgets.policy"
    changed = pools.clusters["edge-1"].edited(pools.found(kind=budgets))
    del changed["spec"]["minAvailable"]
    changed["spec"]["maxUnavailable"] = 1
    pools.clusters["edge-1"].update(budgets, changed, manager="kubectl-edit")
    async with pools.devices.session(pools.function()) as session:
        seen = await session.read()
        assert (seen.tree[path], seen.writers[path]) == ({}, {"minAvailable": "kubectl-edit"})
    assert await change(pools, [setting(path, {}, minAvailable="1")]) == CARRIED
    assert "maxUnavailable" not in pools.found(kind=budgets)["spec"]


async def test_what_was_set_back_once_is_given_up_later(pools: Pools) -> None:
    more = render_cloud(replace(DU, mbps=100)).tree
    await change(pools, making(more))
    pools.edit("edge-1", NFDS, NAME.lower(), capacity={"maxUplinkThroughput": "5M", "maxDownlinkThroughput": "100M"})
    assert await change(pools, [setting(HERE, {"uplinkMbps": "5"}, uplinkMbps="100")]) == more
    assert await change(pools, [setting(HERE, {"uplinkMbps": "100", "downlinkMbps": "100"})]) == CARRIED


async def test_parameters_that_a_person_added_by_hand_are_taken_away(pools: Pools) -> None:
    await change(pools, making(CARRIED))
    settings = pools.clusters["edge-1"].edited(pools.found(kind="configmaps"))
    settings["data"].update({"debug": "on", "tuned": "1"})
    pools.clusters["edge-1"].update("configmaps", settings, manager="kubectl-edit")
    there = [Edit(op=Op.DELETE, path=f"{HERE}/Parameter[debug]", before={"value": "on"}, owners=("host",))]
    left = await change(pools, there)
    assert left == {**CARRIED, f"{HERE}/Parameter[tuned]": {"value": "1"}}


async def test_what_somebody_goes_on_applying_is_not_taken_away(pools: Pools) -> None:
    await change(pools, making(CARRIED))
    pools.force("edge-1", "argocd", {"spec": {"capacity": {"maxUplinkThroughput": "5M"}}})
    with pytest.raises(DeviceRefusedError, match="argocd writes what would change, and is not overruled"):
        await change(pools, [setting(HERE, {"uplinkMbps": "5"})])
    assert pools.found()["spec"]["capacity"] == {"maxUplinkThroughput": "5M"}


async def test_what_admission_would_rewrite_is_refused_before_anything_is_changed(pools: Pools) -> None:
    """Such a field belongs to whoever asked: its managers say nothing, and it would be so each time."""

    def mirror(attempt: Attempt) -> None:
        if attempt.kind.plural == "nfdeployments" and attempt.obj is not None:
            attempt.obj["spec"]["image"] = attempt.obj["spec"]["image"].replace("registry.example", "mirror.example")

    def note(attempt: Attempt) -> None:
        if attempt.kind.plural in ("nfdeployments", "configmaps") and attempt.obj is not None:
            attempt.obj["metadata"].setdefault("annotations", {})["policies.example/seen"] = "yes"
            attempt.obj["metadata"].setdefault("labels", {})["topology.example/zone"] = "a"

    mutating = pools.clusters["edge-1"].verbs.mutating
    mutating[:0] = [note, mirror]
    refused = r"edge-1 would not carry .*image mirror.example/.* in place of registry.example/.*: an admission webhook"
    with pytest.raises(DeviceRefusedError, match=refused):
        await change(pools, making(CARRIED))
    assert pools.found() is None
    mutating.remove(mirror)
    assert await change(pools, making(CARRIED)) == CARRIED
    assert pools.found()["metadata"]["labels"]["topology.example/zone"] == "a"
    mutating.insert(0, mirror)
    with pytest.raises(DeviceRefusedError, match=refused):
        await change(pools, [setting(HERE, {"image": DU.image}, image="registry.example/acme/du:2")])


async def test_what_somebody_else_changes_meanwhile_is_not_overwritten(pools: Pools) -> None:
    await change(pools, making(CARRIED))
    async with pools.devices.session(pools.function()) as session:
        await session.read()
        await session.edit([setting(HERE, {}, replicas="3")])
        pools.edit("edge-1", NFDS, NAME.lower(), capacity={"maxSessions": 5})
        with pytest.raises(DeviceRefusedError, match="modified"):
            await session.commit()
    assert pools.found()["spec"]["replicas"] == 1


async def test_what_an_operator_reports_meanwhile_is_no_change(pools: Pools) -> None:
    def report(replicas: int) -> None:
        one = pools.clusters["edge-1"].edited(pools.found())
        one["status"] = {**one["status"], "replicas": replicas}
        pools.clusters["edge-1"].update_status(NFDS, one, manager="operator")

    await change(pools, making(CARRIED))
    for number, edits in enumerate(([setting(HERE, {}, replicas="3")], [removing(HERE)]), start=1):
        async with pools.devices.session(pools.function()) as session:
            await session.read()
            report(10 * number)  # before it is tried
            await session.edit(edits)
            report(10 * number + 1)  # before it is carried out
            await session.commit()
    assert pools.found() is None


async def test_what_somebody_else_made_anew_is_not_deleted(pools: Pools) -> None:
    await change(pools, making(CARRIED))
    async with pools.devices.session(pools.function()) as session:
        await session.read()
        await session.edit([removing(HERE)])
        pools.clusters["edge-1"].delete(NFDS, NAMESPACE, NAME.lower())
        pools.put(FUNCTION, CARRIED, "porch", only=NF_DEPLOYMENT)
        with pytest.raises(DeviceRefusedError):
            await session.commit()
    assert pools.found() is not None


async def test_what_somebody_else_made_first_is_left_to_him(pools: Pools) -> None:
    async with pools.devices.session(pools.function()) as session:
        await session.read()
        await session.edit(making(CARRIED))
        pools.put(FUNCTION, CARRIED, "porch")
        with pytest.raises(DeviceRefusedError, match="somebody else made it"):
            await session.commit()
        managed = pools.found(kind="configmaps")["metadata"]["managedFields"]
        assert [one["manager"] for one in managed] == ["porch"]
        await session.read()
        with pytest.raises(DeviceRefusedError, match="belongs to somebody else"):
            await session.edit([removing(HERE)])


async def test_a_busy_server_is_asked_again_to_take_back_what_was_made_of_others(
    pools: Pools, monkeypatch: pytest.MonkeyPatch
) -> None:
    apply, busy = PoolApi.apply, [BusyError("busy", 0)]

    async def throttled(api: PoolApi, place: Place, manifest: Object, *, dry_run: bool) -> Answer:
        if busy and manifest == bare(place):
            raise busy.pop()
        return await apply(api, place, manifest, dry_run=dry_run)

    monkeypatch.setattr(PoolApi, "apply", throttled)
    async with pools.devices.session(pools.function()) as session:
        await session.read()
        await session.edit(making(CARRIED))
        pools.put(FUNCTION, CARRIED, "porch")
        with pytest.raises(DeviceRefusedError, match="somebody else made it"):
            await session.commit()
    managed = pools.found(kind="configmaps")["metadata"]["managedFields"]
    assert ([one["manager"] for one in managed], busy) == (["porch"], [])


async def test_what_a_finalizer_holds_is_gone_for_us_and_named(pools: Pools) -> None:
    await change(pools, making(CARRIED))
    cluster = pools.clusters["edge-1"]
    held = cluster.edited(pools.found())
    held["metadata"]["finalizers"] = ["nephio.org/cleanup"]
    cluster.update(NFDS, held)
    async with pools.devices.session(pools.function()) as session:
        await session.read()
        await session.edit([removing(HERE)])
        await session.commit()
        seen = await session.read()
    assert HERE not in seen.tree
    assert "nephio.org/cleanup" in seen.unknown[0]
    with pytest.raises(DeviceRefusedError, match="being deleted"):
        await change(pools, making(CARRIED, there=tuple(seen.tree)))


async def test_what_somebody_else_deletes_and_a_finalizer_holds_leaves_no_parameters(pools: Pools) -> None:
    """Its ConfigMap is still ours to remove, while the deletion is held up and afterwards."""
    await change(pools, making(CARRIED))
    cluster = pools.clusters["edge-1"]
    held = cluster.edited(pools.found())
    held["metadata"]["finalizers"] = ["nephio.org/cleanup"]
    cluster.update(NFDS, held)
    cluster.delete(NFDS, NAMESPACE, NAME.lower())
    assert pools.found()["metadata"]["deletionTimestamp"]
    async with pools.devices.session(pools.function()) as session:
        seen = await session.read()
        assert HERE in seen.tree
        assert "provider" not in seen.tree[HERE]
        assert "nephio.org/cleanup" in seen.unknown[0]
        await session.edit([removing(path) for path in seen.tree if path.count("/") == HERE.count("/")])
        await session.commit()
        assert HERE not in (await session.read()).tree
    released = cluster.edited(pools.found())
    released["metadata"]["finalizers"] = []
    cluster.update(NFDS, released)
    left = [kind for kind in (NFDS, "configmaps", "poddisruptionbudgets.policy") if pools.found(kind=kind) is not None]
    assert left == []


# --------------------------------------------------------------------------- pools that are away


async def test_a_pool_that_does_not_answer_is_dark(pools: Pools) -> None:
    await change(pools, making(CARRIED))
    pools.ways["edge-1"].cut(Outage.REFUSAL)
    async with pools.devices.session(pools.function()) as session:
        seen = await session.read()
        assert seen.tree == {TOP: {}}
        assert seen.unseen(HERE)
        assert not seen.unseen(THERE)
        with pytest.raises(UnreachableError):
            await session.edit([setting(HERE, {}, replicas="2")])
        await session.edit(making(MOVED))
        await session.commit()
        assert THERE in (await session.read()).tree
    pools.ways["edge-1"].restore()
    async with pools.devices.session(pools.function()) as session:
        assert {HERE, THERE} <= (await session.read()).tree.keys()


async def test_a_pool_that_goes_away_in_the_middle_ends_the_session(pools: Pools) -> None:
    async with pools.devices.session(pools.function()) as session:
        await session.read()
        pools.ways["edge-2"].cut(Outage.REFUSAL)
        with pytest.raises(SessionLostError):
            await session.read()


async def test_a_function_without_a_pool_that_answers_is_out_of_reach(pools: Pools) -> None:
    for way in pools.ways.values():
        way.cut(Outage.REFUSAL)
    async with pools.devices.session(pools.function()) as session:
        with pytest.raises(UnreachableError):
            await session.read()


async def test_a_token_that_is_refused_is_read_anew(pools: Pools) -> None:
    access = pools.clusters["edge-1"].access
    access.drop_token("secret-of-edge-1")
    target = pools.pool()
    with pytest.raises(AuthenticationError):
        async with pools.devices.session(target) as session:
            await session.read()
    access.add_token("secret-of-edge-1", "minka", "system:masters")
    async with pools.devices.session(target) as session:
        await session.read()


async def test_a_pool_that_refuses_us_ends_no_operation_on_another(pools: Pools) -> None:
    """Its pods are unknown, and not gone."""
    await change(pools, making(CARRIED))
    cluster = pools.clusters["edge-1"]
    run = {"containers": [{"name": "du", "image": "du"}], "nodeName": "n1"}
    metadata = {"name": "du-1-a", "namespace": NAMESPACE, "labels": {"minka.dev/function": NAME}}
    cluster.create("pods", {"metadata": metadata, "spec": run})
    pools.clusters["edge-2"].access.drop_token("secret-of-edge-2")
    evict = Operation(kind=OperationKind.EVICT, subject="edge-1/n1", seconds=5)
    async with pools.devices.session(pools.function()) as session:
        before = await session.equipment()
        assert before.pods_on("edge-1/n1") == ("edge-1/n1/du-1-a",)
        with pytest.raises(UnreachableError, match="401"):
            before.pods_on("edge-2/n1")
        assert not happened(evict, before)
        assert await session.operate(evict) == ""
        (pod,) = cluster.list("pods")
        assert "deletionTimestamp" in pod["metadata"]
    pools.clusters["edge-1"].access.drop_token("secret-of-edge-1")
    async with pools.devices.session(pools.function()) as session:
        with pytest.raises(AuthenticationError):
            await session.equipment()


async def test_who_may_not_read_is_told_so(pools: Pools) -> None:
    access = pools.clusters["edge-1"].access
    access.drop_token("secret-of-edge-1")
    access.add_token("secret-of-edge-1", "somebody")
    async with pools.devices.session(pools.pool()) as session:
        with pytest.raises(NotPermittedError, match="may not list namespaces"):
            await session.read()


# --------------------------------------------------------------------------- pools


async def test_a_pool_is_made_ready_for_its_owners(pools: Pools) -> None:
    wanted = render_cloud(POOL).tree
    async with pools.devices.session(pools.pool()) as session:
        seen = await session.read()
        there = "/Pool[edge-1]/Namespace[minka-host]"
        assert seen.tree == {"/Pool[edge-1]": {}, there: {}}
        edits = [setting(there, {}, owner="host"), *making(wanted, there=tuple(seen.tree))]
        await session.edit(edits)
        await session.commit()
        assert (await session.read()).tree == wanted


async def test_a_namespace_that_holds_functions_is_not_deleted(pools: Pools) -> None:
    await change(pools, making(CARRIED))
    path = "/Pool[edge-1]/Namespace[minka-host]"
    async with pools.devices.session(pools.pool()) as session:
        before = (await session.read()).tree[path]
        with pytest.raises(DeviceRefusedError, match="still holds 1 function"):
            await session.edit([Edit(op=Op.DELETE, path=path, before=dict(before), owners=("host",))])


# --------------------------------------------------------------------------- what is told


async def next_notice(notices: Any) -> None:
    async with asyncio.timeout(60):
        await anext(notices)


async def test_changes_are_told_and_what_may_have_been_missed(pools: Pools) -> None:
    await change(pools, making(CARRIED))
    listening = asyncio.Event()
    notices = pools.devices.notifications(pools.function("edge-1"), listening=listening.set)
    first = asyncio.create_task(next_notice(notices))
    await listening.wait()
    while not first.done():  # the watch stands a little later
        pools.edit("edge-1", NFDS, NAME.lower(), replicas=2 + pools.found()["spec"]["replicas"] % 3)
        await asyncio.sleep(0.02)
    await first
    pools.ways["edge-1"].cut(Outage.REFUSAL)
    await next_notice(notices)
    pools.ways["edge-1"].restore()
    await cast("AsyncGenerator[Notification]", notices).aclose()
