"""What happens to nodes and pods of a pool, and which alarms that makes."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from controller.assurance.clusters import with_cluster
from controller.assurance.health import FaultKey, health_of, reports_of, unread, wrongs
from controller.drivers.kubernetes.codec import NF_DEPLOYMENT, NODE, POD, FunctionObjects, Object, Place, PoolObjects
from controller.intent.impact import Sharing
from controller.intent.roots import reach
from controller.models.alarm import Alarm, AlarmReport, AlarmState, ObjectClass, PerceivedSeverity
from controller.models.cloud import ClusterState, NodeReady, NodeState
from controller.models.health import Health
from controller.models.network import DeviceKind, Network
from controller.models.run import LedgerEntry
from controller.nrm.profiles.function import deployment_path
from controller.nrm.tree import Observed
from tests.support.roots import root_of
from tests.unit.plan import samples
from tests.unit.simulators.cloud.behaviour.bench import CU, NAMESPACE, PoolBench

POOL = "edge-1"
NOW = datetime(2026, 6, 15, 12, tzinfo=UTC)
LOST, PTP, FULL, CRASH = "node-lost", "ptp-lost", "pool-full", "function-crash-looping"


def network(nodes: int = 3, spare: int = 0) -> Network:
    """DU-1 is S1 and needs PTP, as DU-2 at S2; CU-1 serves both and does not."""
    plain = samples.virtual()
    return plain.model_copy(
        update={
            "pools": tuple(one.model_copy(update={"spare_nodes": spare}) for one in plain.pools),
            "nodes": tuple(plain.nodes[0].model_copy(update={"id": f"node-{n}"}) for n in range(nodes)),
            "packages": tuple(one.model_copy(update={"ptp": one.id == "du"}) for one in plain.packages),
        }
    )


class Watched:
    """A pool of the twin, and how Minka sees it."""

    def __init__(self, net: Network | None = None, **bench: Any) -> None:
        self.network = net or network()
        self.bench = PoolBench(**bench)
        self.health: Health | None = None

    def look(self) -> Health:
        """Read it once."""
        found: dict[Place, Object] = {}
        for kind in (NODE, POD):
            for one in self.bench.cluster.list(kind.plural):
                metadata = one["metadata"]
                found[Place(POOL, kind, metadata.get("namespace", ""), metadata["name"])] = one
        observed = PoolObjects(POOL).observed(found, {})
        at = self.bench.clock.now()
        health = health_of(POOL, observed, {}, 0, at, DeviceKind.POOL, before=self.health)
        return with_cluster(self.network, health, self.health)

    def reports(self, *standing: FaultKey) -> dict[FaultKey, AlarmReport]:
        """What two looks in a row report, by object and probable cause."""
        self.health = self.look()
        said = reports_of(self.health, self.look(), standing)
        return {(one.object, one.probable_cause): one for one in said}

    def node(self, name: str) -> NodeState:
        """A node as it is seen."""
        cluster = self.look().cluster
        assert cluster is not None
        return next(one for one in cluster.nodes if one.id == name)

    def node_of(self, function: str) -> str:
        """The node that a function is on."""
        cluster = self.look().cluster
        assert cluster is not None
        return next(one.id for one in cluster.nodes if function in one.functions)


def alarm(report: AlarmReport) -> Alarm:
    """The alarm that a report raises."""
    name = f"{report.station}/{report.object}/{report.probable_cause}"
    return Alarm(
        **report.model_dump(exclude={"at"}), id=name, state=AlarmState.RAISED, raised=report.at, changed=report.at
    )


def of(station: str, cause: str, kind: ObjectClass, like: Alarm) -> Alarm:
    """Another alarm at the same time."""
    change = {"station": station, "object": kind.value, "object_class": kind, "probable_cause": cause, "id": station}
    return like.model_copy(update={**change, "functions": (), "degraded": ()})


def test_all_is_well_in_a_pool_that_is_well() -> None:
    pool = Watched()
    pool.bench.deploy("du-1")
    assert not pool.reports()
    node = pool.node(pool.node_of("DU-1"))
    assert (node.ready, node.cordoned, node.clock, node.timed) == (NodeReady.READY, False, True, ("DU-1",))
    assert (node.allocatable.cpus, node.requested.cpus, node.requested.accelerators) == (16, 8, 1)
    assert node.free.memory_gb == 16


def test_a_function_serves_while_a_replica_is_left() -> None:
    pool = Watched()
    pool.bench.deploy("cu-1", CU, replicas=2)
    path = deployment_path("CU-1", POOL)
    ledger = {path: LedgerEntry(station="CU-1", path=path, owners=("host",), leaves={})}

    def wrong() -> dict[str, str]:
        place = Place(POOL, NF_DEPLOYMENT, NAMESPACE, "cu-1")
        observed = FunctionObjects("CU-1", NAMESPACE).observed({place: pool.bench.deployment("cu-1")}, {})
        at = pool.bench.clock.now()
        return health_of("CU-1", observed, ledger, 0, at, DeviceKind.FUNCTION).function

    assert wrong() == {}
    nodes = [pod["spec"]["nodeName"] for pod in pool.bench.pods("cu-1")]
    for cause, node in zip(("function-degraded", "function-down"), nodes, strict=True):
        pool.bench.pool.begin_fault("node-lost", node)
        pool.bench.clock.advance(22)
        assert list(wrong()) == [cause], wrong()
        assert "of 2 pods are ready" in wrong()[cause]


def seen(pools: dict[str, bool | None], before: Health | None = None, *, silent: bool = False) -> Health:
    """Health of CU-1 on pools where it is ready, is not, or (None) nobody can look."""
    paths = {pool: deployment_path("CU-1", pool) for pool in pools}
    ledger = {path: LedgerEntry(station="CU-1", path=path, owners=("host",), leaves={}) for path in paths.values()}
    known = {path: pools[pool] for pool, path in paths.items() if pools[pool] is not None}
    state = {path: {"ready": str(ready).lower()} for path, ready in known.items()}
    dark = {path: f"{pool} does not answer" for pool, path in paths.items() if pools[pool] is None}
    observed = Observed({path: {} for path in known}, state=state, dark=dark)
    return health_of("CU-1", observed, ledger, 0, NOW, DeviceKind.FUNCTION, before=before, silent=silent)


def test_a_function_of_whose_pools_one_can_not_be_read_is_not_down() -> None:
    assert seen({POOL: False}, silent=True).function.keys() == {"function-down"}
    dark: tuple[dict[str, bool | None], ...] = (
        {POOL: None},
        {POOL: False, "edge-2": None},
        {POOL: None, "edge-2": None},
    )
    for pools in dark:
        assert seen(pools).function == {}, "what depends on it serves"
        assert seen(pools, silent=True).function.keys() == {"function-unseen"}
        assert "function-down" in seen(pools).unknown
    found = seen({POOL: True, "edge-2": None}, silent=True)
    assert (found.function, found.unknown) == ({}, ("function-twice",)), "it serves where it can be seen"


def test_what_can_not_be_seen_of_a_function_ends_no_alarm_of_it() -> None:
    twice = seen({POOL: True, "edge-2": True})
    standing = wrongs(twice).keys()
    assert [cause for _, cause in standing] == ["function-twice"]
    partly = seen({POOL: True, "edge-2": None}, twice)
    assert not reports_of(twice, partly, standing)
    whole = seen({POOL: True}, partly)
    assert [one.severity for one in reports_of(partly, whole, standing)] == [PerceivedSeverity.CLEARED]


def test_a_lost_node_is_one_fault_with_all_that_ran_there() -> None:
    pool = Watched()
    for name in ("du-1", "du-2"):
        pool.bench.deploy(name)
    there = pool.node_of("DU-1")
    pool.health = pool.look()
    pool.bench.pool.begin_fault("node-lost", there)
    pool.bench.clock.advance(25)
    said = pool.reports()
    lost = said[there, LOST]
    assert (lost.severity, lost.object_class, lost.functions) == (
        PerceivedSeverity.CRITICAL,
        ObjectClass.NODE,
        ("DU-1",),
    )
    assert "Kubelet stopped posting node status" in lost.text
    impact = Sharing(pool.network, date(2026, 6, 15)).impact_of(lost)
    assert set(impact.cells) == {cell.name for cell in pool.network.cells_by_station["S1"]}
    assert set(impact.tenants) == {"alfa", "beta"}
    # The function, its station and what the pool has no room for follow from it; those on other nodes do not.
    root = alarm(lost)
    down = of("DU-1", "function-down", ObjectClass.FUNCTION, root)
    fewer = of("DU-1", "function-degraded", ObjectClass.FUNCTION, root)
    assert root_of(pool.network, fewer, [root]) == root
    assert not Sharing(pool.network, date(2026, 6, 15)).impact_of(fewer).tenants
    for symptom in (
        down,
        of("DU-1", "station-unreachable", ObjectClass.FUNCTION, root),
        of("S1", "station-unreachable", ObjectClass.STATION, root),
        of("S1", "configuration-drift", ObjectClass.STATION, root),
        of(POOL, FULL, ObjectClass.POOL, root),
    ):
        assert root_of(pool.network, symptom, [root, down]) == root, symptom
    assert root_of(pool.network, of("DU-2", "function-down", ObjectClass.FUNCTION, root), [root]) is None
    assert root_of(pool.network, of("S2", "station-unreachable", ObjectClass.STATION, root), [root]) is None
    # It is remembered what ran there until that runs on another node. Then the node is back.
    pool.bench.clock.advance(60)
    assert (pool.node(there).functions, pool.node(there).moved) == ((), ("DU-1",))
    pool.health = pool.look()
    assert (pool.node(there).functions, pool.node(there).moved) == ((), ("DU-1",)), "and so it stays"
    pool.bench.pool.faults.clear()
    pool.bench.clock.advance(5)
    assert pool.reports((there, LOST))[there, LOST].severity is PerceivedSeverity.CLEARED


def test_a_function_with_another_pod_that_is_ready_does_not_suffer_from_a_lost_node() -> None:
    pool = Watched()
    pool.bench.deploy("cu-1", CU, replicas=2)
    there = pool.bench.pods("cu-1")[0]["spec"]["nodeName"]
    pool.health = pool.look()
    pool.bench.pool.begin_fault("node-lost", there)
    pool.bench.clock.advance(25)
    lost = pool.reports()[there, LOST]
    assert (lost.functions, lost.degraded, lost.severity) == ((), ("CU-1",), PerceivedSeverity.MAJOR)
    assert lost.text.endswith("it had CU-1")
    impact = Sharing(pool.network, date(2026, 6, 15)).impact_of(lost)
    assert (impact.cells, dict(impact.tenants)) == ((), {})
    # What is wrong with it, and what stations lost that lived in the pod, follows all the same.
    root = alarm(lost)
    for symptom in (
        of("CU-1", "function-degraded", ObjectClass.FUNCTION, root),
        of("CU-1", "function-down", ObjectClass.FUNCTION, root),
        of("S1", "configuration-lost", ObjectClass.STATION, root),
    ):
        assert root_of(pool.network, symptom, [root]) == root, symptom
        assert symptom.station in reach(pool.network, root).devices
    assert root_of(pool.network, of("S1", "station-unreachable", ObjectClass.STATION, root), [root]) is None


def test_what_moved_within_its_pool_follows_from_the_node_where_it_runs_now() -> None:
    """The first node stays lost; then the one fails to which its function went."""
    pool = Watched()
    pool.bench.deploy("du-1")
    first = pool.node_of("DU-1")
    pool.health = pool.look()
    pool.bench.pool.begin_fault("node-lost", first)
    pool.bench.clock.advance(25)
    older = alarm(pool.reports()[first, LOST])
    pool.bench.clock.advance(60)
    pool.health = pool.look()
    second = pool.node_of("DU-1")
    assert second != first
    pool.bench.clock.advance(3600)
    pool.health = pool.look()
    pool.bench.pool.begin_fault("node-lost", second)
    pool.bench.clock.advance(25)
    said = pool.reports((first, LOST))
    assert [key for key in said if key[1] == LOST] == [(second, LOST)]
    newer = alarm(said[second, LOST])
    assert newer.functions == ("DU-1",)
    down = of("DU-1", "function-down", ObjectClass.FUNCTION, newer)
    # Also where the older alarm still names the function.
    assert root_of(pool.network, down, [older, newer]) == root_of(pool.network, down, [newer, older]) == newer


@pytest.mark.parametrize("loses", [0, 1])
def test_a_function_of_two_replicas_stays_with_the_lost_node_until_it_has_two_again(loses: int) -> None:
    pool = Watched(network(nodes=2))
    pool.bench.deploy("cu-1", CU, replicas=2)
    hosts = sorted({pod["spec"]["nodeName"] for pod in pool.bench.pods("cu-1")})
    there = hosts[loses]
    pool.health = pool.look()
    pool.bench.pool.begin_fault("node-lost", there)
    pool.bench.clock.advance(25)
    pool.health = pool.look()
    pool.health = pool.look()
    assert pool.node(there).functions == ("CU-1",), "the other replica was where it is before"


def test_a_node_that_people_took_out_of_use_is_no_fault_once_it_is_empty() -> None:
    pool = Watched()
    node = pool.bench.cluster.get("nodes", "", "node-2")
    assert node is not None
    pool.bench.cluster.update("nodes", {**node, "spec": {**node["spec"], "unschedulable": True}})
    pool.bench.pool.begin_fault("node-lost", "node-2")
    pool.bench.clock.advance(25)
    assert not pool.reports()
    state = pool.node("node-2")
    assert (state.cordoned, state.ready) == (True, NodeReady.UNKNOWN)


def test_the_lost_clock_of_a_node_concerns_those_that_need_it() -> None:
    pool = Watched(nodes=1)
    pool.bench.pool.begin_fault("ptp-lost", "node-0")
    pool.bench.clock.advance(1)
    assert ("node-0", PTP) not in pool.reports()
    assert pool.node("node-0").clock is False
    pool.bench.pool.faults.clear()
    pool.bench.clock.advance(1)
    pool.bench.deploy("du-1")
    pool.bench.deploy("cu-1", CU)
    pool.bench.pool.begin_fault("ptp-lost", "node-0")
    pool.bench.clock.advance(1)
    lost = pool.reports()["node-0", PTP]
    assert (lost.functions, lost.severity) == (("DU-1",), PerceivedSeverity.MAJOR)
    root = alarm(lost)
    holdover = of("S1", "o-ran-fault-17", ObjectClass.STATION, root)
    assert root_of(pool.network, holdover, [root]) == root
    assert root_of(pool.network, of("S2", "o-ran-fault-17", ObjectClass.STATION, root), [root]) is None
    assert root_of(pool.network, of("DU-1", "function-down", ObjectClass.FUNCTION, root), [root]) is None


def test_a_lost_clock_leaves_out_whose_other_pod_keeps_time() -> None:
    pool = Watched()
    pool.bench.deploy("du-1", replicas=2)
    first, second = (name for name in ("node-0", "node-1", "node-2") if "DU-1" in pool.node(name).functions)
    pool.bench.pool.begin_fault("ptp-lost", first)
    pool.bench.clock.advance(1)
    lost = pool.reports()[first, PTP]
    assert (lost.functions, lost.degraded) == ((), ("DU-1",))
    assert not Sharing(pool.network, date(2026, 6, 15)).impact_of(lost).cells
    root = alarm(lost)
    holdover = of("S1", "o-ran-fault-17", ObjectClass.STATION, root)
    assert root_of(pool.network, holdover, [root]) == root, "its endpoint may be in that pod"
    pool.bench.pool.begin_fault("ptp-lost", second)
    pool.bench.clock.advance(1)
    assert pool.reports()[second, PTP].functions == ("DU-1",)


def test_pressure_concerns_nobody_but_the_host() -> None:
    pool = Watched()
    pool.bench.deploy("du-1")
    there = pool.node_of("DU-1")
    pool.bench.pool.begin_fault("disk-pressure", there)
    said = pool.reports()[there, "node-pressure"]
    assert "DiskPressure" in said.text
    assert not Sharing(pool.network, date(2026, 6, 15)).impact_of(said).cells


def test_a_full_pool_names_what_finds_no_node() -> None:
    pool = Watched(network(1), nodes=1, room=1)
    pool.bench.deploy("du-1")
    pool.bench.deploy("du-2")
    full = pool.reports()["pool", FULL]
    assert (full.object_class, full.functions) == (ObjectClass.POOL, ("DU-2",))
    assert "Insufficient" in full.text
    root = alarm(full)
    assert root_of(pool.network, of("DU-2", "function-down", ObjectClass.FUNCTION, root), [root]) == root
    # A further replica that finds no node takes nothing from anybody.
    pool.bench.cluster.delete("nfdeployments.workload.nephio.org", NAMESPACE, "du-2")
    pool.bench.clock.advance(30)
    pool.bench.respecify("du-1", replicas=2)
    pool.bench.clock.advance(30)
    full = pool.reports()["pool", FULL]
    assert (full.functions, full.degraded, full.severity) == ((), ("DU-1",), PerceivedSeverity.MAJOR)
    root = alarm(full)
    assert root_of(pool.network, of("DU-1", "function-degraded", ObjectClass.FUNCTION, root), [root]) == root
    assert root_of(pool.network, of("DU-2", "function-degraded", ObjectClass.FUNCTION, root), [root]) is None


def test_a_function_that_crashes_again_and_again_is_the_root_of_what_it_takes_down() -> None:
    pool = Watched()
    pool.bench.deploy("du-1")
    pool.bench.pool.begin_fault("crash-looping", "du-1")
    pool.bench.clock.advance(200)
    looks = []
    for _ in range(20):
        pool.bench.clock.advance(20)
        looks.append(pool.look().cluster)
    assert all(cluster is not None and cluster.crashing for cluster in looks), "it flaps"
    counts = [sum(cluster.restarts.values()) for cluster in looks if cluster is not None]
    assert counts == sorted(counts)
    assert counts[-1] > 2
    crash = pool.reports()["DU-1", CRASH]
    assert (crash.object_class, crash.functions) == (ObjectClass.FUNCTION, ("DU-1",))
    root = alarm(crash)
    assert root_of(pool.network, of("DU-1", "function-down", ObjectClass.FUNCTION, root), [root]) == root
    # One of several replicas that crashes takes nothing from anybody.
    now = pool.look()
    serving = now.model_copy(update={"cluster": ClusterState(crashing={"DU-1": "exit 1"})})
    (crash,) = reports_of(serving, serving, ())
    assert (crash.functions, crash.degraded, crash.severity) == ((), ("DU-1",), PerceivedSeverity.MAJOR)
    root = alarm(crash)
    assert root_of(pool.network, of("DU-1", "function-degraded", ObjectClass.FUNCTION, root), [root]) == root


def test_a_container_that_is_ready_between_two_crashes_crashes_still_and_one_that_runs_on_does_not() -> None:
    pool = Watched()
    pool.bench.deploy("du-1")
    crashed = pool.bench.clock.now()

    def runs(restarts: int, *, ready: bool) -> None:
        (pod,) = pool.bench.pods("du-1")
        pod = pool.bench.cluster.edited(pod)
        terminated = {"exitCode": 139, "reason": "Error", "finishedAt": f"{crashed:%Y-%m-%dT%H:%M:%SZ}"}
        said = {"restartCount": restarts, "ready": ready, "lastState": {"terminated": terminated}}
        pod["status"]["containerStatuses"][0] |= said
        pool.bench.cluster.update_status("pods", pod)

    runs(1, ready=True)
    assert not pool.reports(), "once is not again and again"
    for ready in (False, True):
        runs(2, ready=ready)
        assert pool.reports()["DU-1", CRASH].text.endswith("crashes again and again: Error (2 restarts)")
    pool.bench.clock.advance(590)
    assert not pool.reports(("DU-1", CRASH)), "it stands"
    pool.bench.clock.advance(20)
    assert pool.reports(("DU-1", CRASH))["DU-1", CRASH].severity is PerceivedSeverity.CLEARED


def test_a_pool_that_can_not_lose_a_node_any_more_says_so() -> None:
    pool = Watched(network(2, spare=1), nodes=2, room=1)
    pool.bench.deploy("du-1")
    assert not pool.reports()
    pool.bench.deploy("du-2")
    nearly = pool.reports()["pool", "pool-nearly-full"]
    assert nearly.severity is PerceivedSeverity.WARNING
    assert "cores, memory, hugepages, accelerators" in nearly.text


def test_nodes_are_those_of_the_network_files() -> None:
    pool = Watched(network(2), nodes=3)
    assert not pool.reports()
    cluster = pool.look().cluster
    assert cluster is not None
    assert [node.id for node in cluster.nodes] == ["node-0", "node-1"]
    pool = Watched(network(3), nodes=2)
    assert pool.reports()["node-2", LOST].text == "node node-2 is absent; it had no function"


def test_what_ran_on_a_pool_that_does_not_answer_follows_from_it() -> None:
    pool = Watched()
    pool.bench.deploy("du-1")
    before = pool.look()
    now = unread(POOL, {}, before, before.at, "unreachable", DeviceKind.POOL)
    (said,) = reports_of(now, now, ())
    assert said.functions == ("DU-1",)
    root = alarm(said)
    assert root_of(pool.network, of("DU-1", "function-down", ObjectClass.FUNCTION, root), [root]) == root


@pytest.mark.parametrize(
    ("reason", "cause", "words"),
    [
        ("not-permitted", "not-permitted", "it does not permit what Minka needs"),
        ("authentication-failed", "authentication-failed", "it refuses the login"),
        ("session-lost", "station-unreachable", "the pool can't be reached"),
    ],
)
def test_the_alarm_of_a_pool_that_can_not_be_read_says_why(reason: str, cause: str, words: str) -> None:
    said = "edge-1 (10.9.0.1 port 6443): in words, with what would be right"
    for told, text in (("", words), (said, said)):
        now = unread(POOL, {}, None, NOW, reason, DeviceKind.POOL, told)
        (report,) = reports_of(now, now, ())
        assert (report.probable_cause, report.object, report.text) == (cause, "pool", text)
    # Tenants may see what is wrong with a function of their own, and no address of a pool.
    assert unread("UP-ALFA", {}, None, NOW, reason, DeviceKind.FUNCTION, said).said == ""
