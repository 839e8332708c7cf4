"""Functions and pools as Kubernetes objects: what is read, what is applied, and that one is the other's reverse."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.assurance.health import is_unknown
from controller.drivers.kubernetes.codec import (
    CONFIG_MAP,
    DISRUPTION_BUDGET,
    MANAGER,
    NAMESPACE,
    NETWORK_POLICY,
    NF_DEPLOYMENT,
    NODE,
    POD,
    QUOTA,
    FunctionObjects,
    Manager,
    Object,
    Objects,
    Place,
    PoolObjects,
)
from controller.models.alarm import PTP_LOST
from controller.models.cloud import ClusterState
from controller.models.errors import DeviceRefusedError
from controller.models.facts import FunctionFact, PoolFact, PoolShareFact
from controller.models.health import Health, ServiceState
from controller.nrm.profiles import render_cloud
from controller.nrm.profiles.function import (
    is_stalled,
    not_ready_because,
    placed_at,
    ready_as_asked,
    ready_state,
    why_not_ready,
)
from controller.nrm.tree import MOST_NODES, Tree

IMAGE = f"registry.example/acme/du@sha256:{'a' * 64}"
DU = FunctionFact(
    function="DU-CUS-0001",
    owner="host",
    pool="edge-1",
    package="acme-du",
    image=IMAGE,
    replicas=1,
    cpus=8,
    memory_gb=16,
    hugepages_gb=4,
    accelerators=1,
    ptp=True,
    priority="minka-vdu",
    address="10.1.2.3",
    owners=("host",),
    parameters=(("f1-port", "38472"),),
)
OBJECTS = FunctionObjects("DU-CUS-0001", "minka-host")
POOL = PoolFact(
    pool="edge-1",
    shares=(
        PoolShareFact("bitel", 12, 24, 0, 0, 2, ("bitel", "host"), ("bitel",)),
        PoolShareFact("host", 64, 128, 32, 4, 20, ("bitel", "host"), ("host",)),
    ),
    priorities=(("vdu", 1000), ("vcu-up", 900)),
)
TOP = "/Function[DU-CUS-0001]"
PLACES = {kind: Place("edge-1", kind, "minka-host", "du-cus-0001") for kind in (CONFIG_MAP, NF_DEPLOYMENT)}


def applied(objects: Objects, tree: Tree) -> dict[Place, Object]:
    """The objects as a server gives them back."""
    found: dict[Place, Object] = {}
    for place, manifest in objects.wanted(tree).items():
        metadata = {**manifest["metadata"], "uid": "u", "resourceVersion": "1", "generation": 1}
        if place.namespace:
            metadata["namespace"] = place.namespace
        found[place] = {**copy.deepcopy(manifest), "metadata": metadata}
    return found


def test_a_function_is_written_as_nephio_has_it() -> None:
    manifests = OBJECTS.wanted(render_cloud(DU).tree)
    assert [place.kind.name for place in manifests] == ["ConfigMap", "NFDeployment", "PodDisruptionBudget"]
    assert manifests[PLACES[NF_DEPLOYMENT]] == {
        "apiVersion": "workload.nephio.org/v1alpha1",
        "kind": "NFDeployment",
        "metadata": {
            "name": "du-cus-0001",
            "labels": {"minka.dev/function": "DU-CUS-0001", "minka.dev/owner": "host"},
        },
        "spec": {
            "provider": "acme-du",
            "image": IMAGE,
            "replicas": 1,
            "interfaces": [{"name": "oam", "ipv4": {"address": "10.1.2.3"}}],
            "networkInstances": [{"name": "oam", "interfaces": ["oam"]}],
            "parametersRefs": [{"name": "du-cus-0001", "apiVersion": "v1", "kind": "ConfigMap"}],
        },
    }
    assert manifests[PLACES[CONFIG_MAP]]["data"] == {
        "cpus": "8",
        "memory_gb": "16",
        "hugepages_gb": "4",
        "accelerators": "1",
        "ptp": "true",
        "priority": "minka-vdu",
        "f1-port": "38472",
    }


def test_a_user_plane_has_its_capacity_and_its_network() -> None:
    spec = OBJECTS.wanted(render_cloud(replace(DU, mbps=2500, network="bitel", vlan=102)).tree)[PLACES[NF_DEPLOYMENT]][
        "spec"
    ]
    assert spec["capacity"] == {"maxDownlinkThroughput": "2500M", "maxUplinkThroughput": "2500M"}
    assert spec["interfaces"] == [{"name": "oam", "ipv4": {"address": "10.1.2.3"}}, {"name": "n3", "vlanID": 102}]
    assert spec["networkInstances"] == [
        {"name": "oam", "interfaces": ["oam"]},
        {"name": "bitel", "interfaces": ["n3"]},
    ]


@pytest.mark.parametrize("spelled", ["40G", 40_000_000_000, "40000M", "40e9"])
def test_a_capacity_is_the_same_however_it_is_spelled(spelled: str | int) -> None:
    tree = render_cloud(replace(DU, mbps=40_000)).tree
    found = applied(OBJECTS, tree)
    place = PLACES[NF_DEPLOYMENT]
    spec = {**found[place]["spec"], "capacity": {"maxDownlinkThroughput": spelled, "maxUplinkThroughput": "40G"}}
    found[place] = {**found[place], "spec": spec}
    assert OBJECTS.observed(found, {}).tree == tree


@pytest.mark.parametrize(("told", "hour"), [("2026-06-15T12:00:00Z", 12), ("yesterday", None)])
def test_a_function_is_placed_since_its_deployment_is_there(told: str, hour: int | None) -> None:
    found = applied(OBJECTS, render_cloud(DU).tree)
    place = PLACES[NF_DEPLOYMENT]
    found[place] = {**found[place], "metadata": {**found[place]["metadata"], "creationTimestamp": told}}
    at = placed_at(OBJECTS.observed(found, {}), f"{TOP}/Deployment[edge-1]")
    assert (at and at.hour) == hour


@pytest.mark.parametrize("odd", ["1e9999999", "9" * 5000, "1e99999999999999999999"])
def test_a_capacity_that_is_no_quantity_is_shown_as_it_is(odd: str) -> None:
    found = applied(OBJECTS, render_cloud(DU).tree)
    place = PLACES[NF_DEPLOYMENT]
    found[place] = {**found[place], "spec": {**found[place]["spec"], "capacity": {"maxDownlinkThroughput": odd}}}
    assert OBJECTS.observed(found, {}).tree[f"{TOP}/Deployment[edge-1]"]["downlinkMbps"] == odd


def test_long_names_within_an_object_are_cut_since_paths_repeat_them() -> None:
    found = applied(OBJECTS, render_cloud(DU).tree)
    place = PLACES[NF_DEPLOYMENT]
    entry = {"name": "i" * 1_000_000, "x" * 1_000_000: 1}
    found[place] = {**found[place], "spec": {**found[place]["spec"], "interfaces": [entry], "y" * 1_000_000: 1}}
    seen = OBJECTS.observed(found, {})
    assert max(map(len, (*seen.tree, *seen.unknown))) < 1000


def test_a_device_of_very_many_nodes_is_refused_by_name() -> None:
    found = applied(OBJECTS, render_cloud(DU).tree)
    place = PLACES[NF_DEPLOYMENT]
    many = {f"x{number}": 1 for number in range(MOST_NODES + 1)}
    found[place] = {**found[place], "spec": {**found[place]["spec"], **many}}
    with pytest.raises(DeviceRefusedError, match=f"lists more than {MOST_NODES} nodes"):
        OBJECTS.observed(found, {})


RESERVED = {"cpus", "memory_gb", "hugepages_gb", "accelerators", "ptp", "priority"}
functions = st.builds(
    replace,
    st.just(DU),
    replicas=st.integers(1, 9),
    hugepages_gb=st.integers(0, 3),
    accelerators=st.integers(0, 2),
    ptp=st.booleans(),
    address=st.sampled_from(["", "10.0.0.1", "2001:db8::1"]),
    mbps=st.sampled_from([0, 500, 1000, 2500, 40_000]),
    network=st.sampled_from(["", "host", "bitel"]),
    vlan=st.sampled_from([0, 102]),
    owner=st.sampled_from(["host", "bitel"]),
    parameters=st.dictionaries(st.from_regex(r"[a-z][a-z.-]{0,8}", fullmatch=True), st.text(max_size=5)).map(
        lambda found: tuple(sorted((name, value) for name, value in found.items() if name not in RESERVED))
    ),
)


@given(functions)
def test_a_function_is_read_as_it_was_written(fact: FunctionFact) -> None:
    tree = render_cloud(fact).tree
    seen = OBJECTS.observed(applied(OBJECTS, tree), {})
    assert seen.tree == tree
    assert seen.unknown == ()


def test_a_pool_is_read_as_it_was_written() -> None:
    objects, tree = PoolObjects("edge-1"), render_cloud(POOL).tree
    seen = objects.observed(applied(objects, tree), {})
    assert dict(seen.tree) == dict(tree)
    assert seen.unknown == ()


def test_a_quota_is_the_same_however_it_is_spelled() -> None:
    objects = PoolObjects("edge-1")
    found = applied(objects, render_cloud(POOL).tree)
    hard = {"requests.cpu": "64000m", "requests.memory": "137438953472", "requests.hugepages-1Gi": "32768Mi", "pods": 9}
    place = Place("edge-1", QUOTA, "minka-host", "minka")
    found[place] = {**found[place], "spec": {"hard": hard}}
    seen = objects.observed(found, {})
    quota = "/Pool[edge-1]/Namespace[minka-host]/Quota[minka]"
    assert seen.tree[quota] == {"cpus": "64", "memoryGb": "128", "hugepagesGb": "32"}
    assert seen.unknown == (f"{quota}/pods",)


@pytest.mark.parametrize(
    ("leaf", "number", "text"),
    [
        ("cpus", "64", "64"),
        ("cpus", "3000", "3k"),
        ("memoryGb", "0", "0"),
        ("memoryGb", "1536", "1536Gi"),
        ("memoryGb", "2048", "2Ti"),
    ],
)
def test_a_quantity_is_written_as_servers_do(leaf: str, number: str, text: str) -> None:
    path = "/Pool[edge-1]/Namespace[minka-host]/Quota[minka]"
    (manifest,) = PoolObjects("edge-1").wanted({path: {leaf: number}}).values()
    assert list(manifest["spec"]["hard"].values()) == [text]


def test_a_policy_that_lets_in_others_is_no_policy_of_ours() -> None:
    objects = PoolObjects("edge-1")
    found = applied(objects, render_cloud(POOL).tree)
    place = Place("edge-1", NETWORK_POLICY, "minka-bitel", "minka")
    found[place] = {**found[place], "spec": {**found[place]["spec"], "ingress": [{}]}}
    seen = objects.observed(found, {})
    path = "/Pool[edge-1]/Namespace[minka-bitel]/Isolation[minka]"
    assert seen.tree[path] == {}
    assert seen.unknown == (f"{path}/spec",)


def test_what_is_empty_in_a_policy_may_be_left_out() -> None:
    objects = PoolObjects("edge-1")
    tree = render_cloud(POOL).tree
    found = applied(objects, tree)
    place = Place("edge-1", NETWORK_POLICY, "minka-bitel", "minka")
    kept = {name: value for name, value in found[place]["spec"].items() if value}
    assert kept.keys() == {"policyTypes", "ingress"}
    found[place] = {**found[place], "spec": kept}
    assert dict(objects.observed(found, {}).tree) == dict(tree)


def test_a_namespace_says_what_keeps_it_from_being_gone() -> None:
    objects = PoolObjects("edge-1")
    found = applied(objects, render_cloud(POOL).tree)
    place = Place("edge-1", NAMESPACE, "", "minka-bitel")
    failed = {
        "type": "NamespaceDeletionDiscoveryFailure",
        "status": "True",
        "reason": "DiscoveryFailed",
        "message": "unable to retrieve the complete list of server APIs: metrics.k8s.io/v1beta1",
    }
    over = {"type": "NamespaceContentRemaining", "status": "False", "reason": "ContentRemoved", "message": "all gone"}
    metadata = {**found[place]["metadata"], "deletionTimestamp": "2026-01-01T00:00:00Z"}
    found[place] = {**found[place], "metadata": metadata, "spec": {"finalizers": ["kubernetes"]}}
    assert "which its pods holds up" in objects.observed(found, {}).unknown[0]
    found[place] = {**found[place], "status": {"phase": "Terminating", "conditions": [failed, over]}}
    (said,) = objects.observed(found, {}).unknown
    assert "DiscoveryFailed: unable to retrieve" in said
    assert "all gone" not in said


def test_what_is_not_ours_in_a_cluster_is_none_of_our_business() -> None:
    objects = PoolObjects("edge-1")
    found = applied(objects, render_cloud(POOL).tree)
    for place in (Place("edge-1", NAMESPACE, "", "kube-system"), Place("edge-1", QUOTA, "kube-system", "minka")):
        found[place] = {"apiVersion": "v1", "kind": place.kind.name, "metadata": {"name": place.name}, "spec": {}}
    seen = objects.observed(found, {})
    assert not [path for path in seen.tree if "kube-system" in path]


def deployment(**changes: Any) -> dict[Place, Object]:
    """What stands there, with another NFDeployment."""
    found = applied(OBJECTS, render_cloud(DU).tree)
    found[PLACES[NF_DEPLOYMENT]] = {**found[PLACES[NF_DEPLOYMENT]], **changes}
    return found


def test_what_the_tree_can_not_say_is_unknown() -> None:
    spec = deployment()[PLACES[NF_DEPLOYMENT]]["spec"]
    more = {**spec, "capacity": {"maxSessions": 5}, "parametersRefs": [*spec["parametersRefs"], {"name": "x"}]}
    more["interfaces"] = [{**spec["interfaces"][0], "ipv6": {}}]
    seen = OBJECTS.observed(deployment(spec=more), {})
    path = f"{TOP}/Deployment[edge-1]"
    assert set(seen.unknown) == {
        f"{path}/capacity/maxSessions",
        f"{path}/parametersRefs[x]",
        f"{path}/Interface[oam]/ipv6",
    }
    assert seen.tree == render_cloud(DU).tree


def test_parameters_that_are_not_referred_to_are_not_in_force() -> None:
    spec = {**deployment()[PLACES[NF_DEPLOYMENT]]["spec"], "parametersRefs": []}
    tree, path = OBJECTS.observed(deployment(spec=spec), {}).tree, f"{TOP}/Deployment[edge-1]"
    assert tree[path]["inForce"] == "false"
    assert {**tree[path], "inForce": "true"} == {**render_cloud(DU).tree[path], "inForce": "true"}
    assert OBJECTS.wanted(tree)[PLACES[NF_DEPLOYMENT]]["spec"]["parametersRefs"] == []
    assert OBJECTS.leaf_at(PLACES[NF_DEPLOYMENT], ("spec", "parametersRefs")) == (path, "inForce")


def test_half_a_function_is_there_and_is_not_what_is_wanted() -> None:
    found = deployment()
    del found[PLACES[NF_DEPLOYMENT]]
    observed, path = OBJECTS.observed(found, {}), f"{TOP}/Deployment[edge-1]"
    assert observed.tree[path]["cpus"] == "8"
    assert "image" not in observed.tree[path]
    assert why_not_ready(observed, path) == "it is not there"
    # It stands as it is while the function is made elsewhere: an NFDeployment without a provider would be refused.
    assert OBJECTS.wanted(observed.tree).keys() == found.keys()


def test_what_is_being_deleted_is_named_and_its_parameters_are_what_is_left() -> None:
    metadata = {
        **deployment()[PLACES[NF_DEPLOYMENT]]["metadata"],
        "deletionTimestamp": "2026-01-01T00:00:00Z",
        "finalizers": ["nephio.org/cleanup"],
    }
    seen = OBJECTS.observed(deployment(metadata=metadata), {})
    path = f"{TOP}/Deployment[edge-1]"
    assert seen.tree[path]["cpus"] == "8"
    assert "image" not in seen.tree[path]
    assert why_not_ready(seen, path) == "it is not there"
    assert "nephio.org/cleanup" in seen.unknown[0]
    found = deployment(metadata=metadata)
    del found[PLACES[CONFIG_MAP]]
    assert path not in OBJECTS.observed(found, {}).tree


def test_a_pool_that_does_not_answer_is_dark_and_nothing_of_it_is_missing() -> None:
    seen = OBJECTS.observed(deployment(), {"edge-2": "edge-2 did not answer."})
    assert seen.dark == {
        f"{TOP}/Deployment[edge-2]": "edge-2 did not answer.",
        f"{TOP}/Disruption[edge-2]": "edge-2 did not answer.",
    }


def conditions(generation: int, **said: str) -> dict[str, Any]:
    return {
        "observedGeneration": generation,
        "replicas": 1,
        "conditions": [{"type": kind, "status": value, "reason": "R", "message": "m"} for kind, value in said.items()],
    }


@pytest.mark.parametrize(
    ("status", "state", "reason"),
    [
        ({}, ServiceState.DOWN, ""),
        (conditions(1, Ready="True"), ServiceState.UP, ""),
        (conditions(0, Ready="True"), ServiceState.DOWN, "R: m"),
        (conditions(1, Ready="False", Reconciling="True"), ServiceState.DOWN, "R: m"),
        (conditions(1, Ready="Unknown", Stalled="True"), ServiceState.DOWN, "R: m"),
    ],
)
def test_a_function_is_ready_when_its_operator_says_so_of_what_is_asked_now(
    status: Mapping[str, Any], state: ServiceState, reason: str
) -> None:
    seen = OBJECTS.observed(deployment(status=status), {})
    path = f"{TOP}/Deployment[edge-1]"
    assert ready_state(seen, path) is state
    assert not_ready_because(seen, path) == reason


def at(second: int) -> str:
    return f"2026-01-01T00:00:{second:02}Z"


@pytest.mark.parametrize(
    ("said", "stalled", "state"),
    [
        # Parameters were written at second 10.
        ({"Ready": ("True", 5)}, False, ServiceState.UNKNOWN),
        ({"Ready": ("True", 10)}, False, ServiceState.UP),
        ({"Ready": ("False", 5)}, False, ServiceState.DOWN),
        ({"Ready": ("False", 5), "Stalled": ("True", 5)}, False, ServiceState.DOWN),
        ({"Ready": ("False", 5), "Stalled": ("True", 10)}, True, ServiceState.DOWN),
    ],
)
def test_what_an_operator_said_before_its_parameters_were_written_is_not_about_them(
    said: dict[str, tuple[str, int]], state: ServiceState, *, stalled: bool
) -> None:
    status = conditions(1, **{kind: value for kind, (value, _) in said.items()})
    for condition in status["conditions"]:
        condition["lastTransitionTime"] = at(said[condition["type"]][1])
    found = deployment(status=status)
    settings = found[PLACES[CONFIG_MAP]]
    managed = [
        {"manager": MANAGER, "operation": "Apply", "time": at(10), "fieldsV1": {"f:data": {"f:cpus": {}}}},
        {"manager": "label-sync", "operation": "Update", "time": at(50), "fieldsV1": {"f:metadata": {}}},
    ]
    found[PLACES[CONFIG_MAP]] = {**settings, "metadata": {**settings["metadata"], "managedFields": managed}}
    seen, path = OBJECTS.observed(found, {}), f"{TOP}/Deployment[edge-1]"
    assert (ready_as_asked(seen, path), is_stalled(seen, path)) == (state, stalled)


@pytest.mark.parametrize(("generation", "stalled"), [(1, True), (0, False)])
def test_an_operator_gave_up_what_is_asked_now_only_if_it_says_so_of_it(generation: int, *, stalled: bool) -> None:
    seen = OBJECTS.observed(deployment(status=conditions(generation, Ready="False", Stalled="True")), {})
    assert is_stalled(seen, f"{TOP}/Deployment[edge-1]") is stalled


@pytest.mark.parametrize(
    ("name", "applies", "subresource", "by_hand"),
    [
        ("kubectl-edit", False, "", True),
        ("argocd", True, "", False),
        ("kubectl-client-side-apply", False, "", False),
        ("helm-controller", False, "", False),
        ("HashiCorp", False, "", False),
        ("horizontal-pod-autoscaler", False, "scale", False),
        ("kube-controller-manager", False, "scale", False),
        ("kubectl", False, "scale", True),
        ("kubectl-patch", False, "scale", True),
        ("kubectl", True, "scale", False),
        ("kubectl", False, "status", False),
        ("vendor-operator", False, "status", False),
    ],
)
def test_an_edit_is_told_from_what_is_asked_for_again(
    name: str, subresource: str, *, applies: bool, by_hand: bool
) -> None:
    assert Manager(name, applies, subresource).by_hand is by_hand


def test_other_writers_are_known_by_leaf() -> None:
    fields: dict[str, Any] = {
        "f:spec": {
            "f:replicas": {},
            "f:interfaces": {'k:{"name":"oam"}': {".": {}, "f:name": {}, "f:ipv4": {"f:address": {}}}},
        }
    }
    managed = [
        {"manager": MANAGER, "operation": "Apply", "fieldsV1": {"f:spec": {"f:image": {}}}},
        {"manager": "kubectl-edit", "operation": "Update", "fieldsV1": fields},
    ]
    metadata = {**deployment()[PLACES[NF_DEPLOYMENT]]["metadata"], "managedFields": managed}
    found = deployment(metadata=metadata)
    place = Place("edge-1", DISRUPTION_BUDGET, "minka-host", "du-cus-0001")
    stay = [{"manager": "ops", "operation": "Apply", "fieldsV1": {"f:spec": {"f:minAvailable": {}}}}]
    found[place] = {**found[place], "metadata": {**found[place]["metadata"], "managedFields": stay}}
    assert OBJECTS.observed(found, {}).writers == {
        f"{TOP}/Deployment[edge-1]": {"replicas": "kubectl-edit"},
        f"{TOP}/Deployment[edge-1]/Interface[oam]": {"address": "kubectl-edit"},
        f"{TOP}/Disruption[edge-1]": {"minAvailable": "ops"},
    }


ODD_NUMBERS = [1.7e308, 1e20, -5, 2**31, True, None, "9" * 5000, "3", [3], {"3": 3}]


@pytest.mark.parametrize("odd", ODD_NUMBERS, ids=lambda odd: str(odd)[:20])
def test_a_count_that_no_cluster_has_is_not_taken_and_hides_nothing(odd: object) -> None:
    objects = PoolObjects("edge-1")
    node = {"metadata": {"name": "node-1"}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    found: dict[Place, Any] = {Place("edge-1", NODE, "", "node-1"): node}
    for name, count in (("a", odd), ("b", odd), ("c", 3)):
        pod = {"name": name, "namespace": "minka-host", "labels": {"minka.dev/function": "DU-1"}}
        terminated = {"reason": "Error", "finishedAt": at(1)}
        container = {"restartCount": count, "lastState": {"terminated": terminated}}
        found[Place("edge-1", POD, "minka-host", name)] = {
            "metadata": pod,
            "spec": {"nodeName": "node-1", "containers": [{"resources": {"requests": {"cpu": odd}}}]},
            "status": {"containerStatuses": [container]},
        }
    cluster = objects.observed(found, {}).cluster
    assert cluster is not None
    assert cluster.restarts == {"DU-1": 3}
    assert cluster.crashing == {"DU-1": "Error (3 restarts)"}
    assert 0 <= cluster.nodes[0].requested.cpus <= 3 * 2**63
    assert ClusterState.model_validate_json(cluster.model_dump_json()) == cluster


@pytest.mark.parametrize(
    ("status", "clock"), [("True", True), ("False", False), ("Unknown", None), ("true", None), ("", None)]
)
def test_whether_a_clock_follows_ptp_is_known_by_the_words_for_it_alone(status: str, clock: bool | None) -> None:
    node = {"metadata": {"name": "n"}, "status": {"conditions": [{"type": "ClockSynchronized", "status": status}]}}
    cluster = PoolObjects("edge-1").observed({Place("edge-1", NODE, "", "n"): node}, {}).cluster
    assert cluster is not None
    assert cluster.nodes[0].clock is clock
    health = Health(station="edge-1", at=datetime(2026, 1, 1, tzinfo=UTC), reachable=True, cluster=cluster)
    assert is_unknown(health, ("n", PTP_LOST)) is (clock is None)


@pytest.mark.parametrize("odd", [one for one in ODD_NUMBERS if one != 2**31], ids=lambda odd: str(odd)[:20])
def test_a_generation_that_no_object_has_proves_nothing_and_hides_nothing(odd: object) -> None:
    path = f"{TOP}/Deployment[edge-1]"
    status = conditions(1, Ready="True")
    seen = OBJECTS.observed(deployment(status={**status, "observedGeneration": odd, "replicas": odd}), {})
    assert ready_state(seen, path) is ServiceState.DOWN
    assert "runningReplicas" not in seen.state[path]
    found = deployment(status=status)
    place = PLACES[NF_DEPLOYMENT]
    found[place] = {**found[place], "metadata": {**found[place]["metadata"], "generation": odd}}
    assert ready_state(OBJECTS.observed(found, {}), path) is ServiceState.DOWN


@pytest.mark.parametrize("odd", ["-5", "9223372036854775809", "1e30", "16E"])
def test_a_quantity_that_no_server_takes_is_none(odd: str) -> None:
    node = {"metadata": {"name": "node-1"}, "status": {"allocatable": {"cpu": odd, "memory": "64Gi"}}}
    cluster = PoolObjects("edge-1").observed({Place("edge-1", NODE, "", "node-1"): node}, {}).cluster
    assert cluster is not None
    room = cluster.nodes[0].allocatable
    assert (room.cpus, room.memory_gb) == (0, 64)
