"""Whole runs of functions in virtual time, in which workers die and pools go wrong at any call.

In the end each run has one terminal state, each function runs on one pool, with its three objects and no others
anywhere, the ledger says the same, and its station carries what was applied for all tenants.

In ``make test`` a worker dies at one moment of some runs, and pools go wrong in some ways at one request of a run; the
seed chooses them. In a soak a worker dies at each moment of all runs, and pools go wrong in all ways in all runs: at
each write, or at every 17th request from a first one that the seed chooses, so that each soak tries others. Both
together are tried twice for each run and way.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from controller.drivers.kubernetes.codec import NF_DEPLOYMENT, Place
from controller.models.alarm import Alarm, AlarmState
from controller.models.errors import PlanRefusedError
from controller.models.plan import Plan
from controller.models.run import Outcome, Run, RunState
from controller.nrm.tree import Tree
from controller.plan import image_in
from controller.runs.transaction.checks import READY_SECONDS
from controller.store import Page
from simulators.cloud.server.cluster import Cluster
from simulators.cloud.server.faults import ApiFault, ApiFaultKind
from simulators.connections import Outage
from tests.integration.cloud.system import NAMESPACE, applied
from tests.integration.cloud.test_deaths import SEED
from tests.integration.cloud.test_functions import FUNCTION, GATEWAY, STATION, files
from tests.integration.cloud.virtual import KINDS, REQUESTS, WRITES, Stricken, VirtualCloud, Watched, prepared
from tests.support.soak import SOAK
from tests.unit.runs.group_bench import Mortal

GOOD = {Outcome.SUCCEEDED, Outcome.UNCHANGED, Outcome.SKIPPED}
#: Seconds in which pods that are to go are gone, and lost nodes noticed.
SETTLE = 90.0
#: Runs of one record at most.
MOST_RUNS = 200


@dataclass(frozen=True)
class Scenario:
    """A run that brings the function, with its station, from one pool, package or node to another.

    Attributes:
        begin: Brings the pools to where it begins, and asks for it.
        function: Whose run it is.
        stays: Whether the function is there afterwards.
        down: Whether it is down when the run begins: what does not heal it leaves its station without configuration.
    """

    begin: Callable[[VirtualCloud], Awaitable[Run]]
    function: str = FUNCTION
    stays: bool = True
    down: bool = False


async def instantiated(cloud: VirtualCloud) -> Run:
    if cloud.placed(FUNCTION):
        cloud.store.devices.retire(STATION, "ana")
        nodes = len(cloud.store.ledger.find([FUNCTION])[FUNCTION])
        assert set((await cloud.done("terminate-function", function=FUNCTION, nodes=nodes)).values()) == {
            Outcome.SUCCEEDED
        }, cloud.jobs
        await cloud.time.sleep(SETTLE)
    return await cloud.start("instantiate-function", where=f"function={FUNCTION}")


async def upgraded(cloud: VirtualCloud) -> Run:
    _release(cloud)
    return await cloud.start("upgrade-function", where=f"function={FUNCTION}")


def _release(cloud: VirtualCloud) -> str:
    """Let the network files name another image than runs; which one."""
    if _asked(cloud) == image_in(cloud.store.ledger.find([FUNCTION])[FUNCTION]):
        cloud.rewrite("functions.csv", f"{FUNCTION},bbu,", f"{FUNCTION},bbu-2,")
    return _asked(cloud)


def _asked(cloud: VirtualCloud) -> str:
    return cloud.network.package_by_id[cloud.network.function_by_id[FUNCTION].package].image


async def moved(cloud: VirtualCloud) -> Run:
    return await cloud.start("move-function", function=FUNCTION)


async def moved_to_a_bare_pool(cloud: VirtualCloud) -> Run:
    await _bring(cloud, "edge-1")
    bare = cloud.fleet.pools["edge-2"].cluster
    if bare.get("namespaces", "", NAMESPACE) is not None:
        bare.delete("namespaces", "", NAMESPACE)
    cloud.forget("edge-2")
    await cloud.time.sleep(SETTLE)
    return await cloud.start("move-function", function=FUNCTION)


async def healed(cloud: VirtualCloud) -> Run:
    await _lose_nodes(cloud)
    return await cloud.start("heal-function", where=f"function={FUNCTION}", seconds=0)


async def healed_without_its_pool(cloud: VirtualCloud) -> Run:
    (pool,) = await _lose_nodes(cloud)
    cloud.ways[pool].cut(Outage.REFUSAL)
    return await cloud.start("heal-function", where=f"function={FUNCTION}", seconds=0)


async def _lose_nodes(cloud: VirtualCloud) -> tuple[str, ...]:
    (pool,) = cloud.placed(FUNCTION)
    for node in cloud.fleet.pools[pool].record.nodes:
        cloud.fleet.pools[pool].begin_fault("node-lost", node.id)
    await cloud.time.sleep(SETTLE)
    return (pool,)


async def terminated(cloud: VirtualCloud) -> Run:
    needed = ",1002,20,,,"
    if not cloud.network.stations_behind(GATEWAY):
        cloud.rewrite("stations.csv", needed + GATEWAY, needed)
    assert set((await cloud.done("instantiate-function", where=f"function={GATEWAY}")).values()) <= GOOD, cloud.jobs
    cloud.rewrite("stations.csv", needed + GATEWAY, needed)
    nodes = len(cloud.store.ledger.find([GATEWAY])[GATEWAY])
    return await cloud.start("terminate-function", function=GATEWAY, nodes=nodes)


async def drained_beside(cloud: VirtualCloud) -> Run:
    return await _drained(cloud, "edge-1")


async def drained_elsewhere(cloud: VirtualCloud) -> Run:
    return await _drained(cloud, "edge-2")


async def _drained(cloud: VirtualCloud, pool: str) -> Run:
    await _bring(cloud, pool)
    ((_, node),) = cloud.pods(FUNCTION)
    return await cloud.start("drain-node", pool=pool, node=node)


async def _bring(cloud: VirtualCloud, pool: str) -> None:
    if cloud.placed(FUNCTION) != (pool,):
        assert set((await cloud.done("move-function", function=FUNCTION, pool=pool)).values()) <= GOOD, cloud.jobs
        await cloud.time.sleep(SETTLE)


async def pool_drained(cloud: VirtualCloud) -> Run:
    return await cloud.start("drain-pool", pool=cloud.placed(FUNCTION)[0])


async def moved_back(cloud: VirtualCloud) -> Run:
    assert set((await cloud.done("move-function", function=FUNCTION)).values()) <= GOOD, cloud.jobs
    await cloud.time.sleep(SETTLE)
    return cloud.begin(await cloud.plan_back(cloud.run.id))


SCENARIOS = {
    "instantiate": Scenario(instantiated),
    "upgrade": Scenario(upgraded),
    "move": Scenario(moved),
    "move to a bare pool": Scenario(moved_to_a_bare_pool),
    "heal": Scenario(healed, down=True),
    "heal without its pool": Scenario(healed_without_its_pool, down=True),
    "drain a node beside": Scenario(drained_beside),
    "drain a node elsewhere": Scenario(drained_elsewhere),
    "drain a pool": Scenario(pool_drained),
    "undo a move": Scenario(moved_back),
    "terminate": Scenario(terminated, GATEWAY, stays=False),
}
#: Those of which one moment is tried where time is short.
BRIEFLY = ("upgrade", "heal", "drain a node beside", "undo a move", "terminate")


class Cloud(VirtualCloud):
    """The pools of the tiny network, on which the function is up.

    Attributes:
        function: The one that the latest run was about.
        station: What its station carries.
        intact: Whether the latest test left it whole.
    """

    function = FUNCTION
    station: Tree
    intact = False

    async def bring_up(self) -> None:
        """Bring the function up for the first time."""
        await self.prepare_pools()
        await self.again_up()
        self.station = await self.carried(STATION)

    async def again_up(self) -> None:
        assert set((await self.done("instantiate-function", where=f"function={FUNCTION}")).values()) <= GOOD, self.jobs

    async def heal(self) -> None:
        assert set((await self.done("heal-function", where=f"function={FUNCTION}")).values()) <= GOOD, self.jobs

    async def tidy(self) -> None:
        """All that went wrong ends, and what people do afterwards is done."""
        self.restore()
        for pool in self.fleet.pools.values():
            pool.faults.clear()
            if pool.cluster.get("resourcequotas", NAMESPACE, "full") is not None:
                pool.cluster.delete("resourcequotas", NAMESPACE, "full")
        self.apply_elsewhere({})
        await self.time.sleep(SETTLE)
        if len(self.pods(FUNCTION)) > 1 and len(self.placed(FUNCTION)) == 1:
            assert set((await self.done("scale-function", function=FUNCTION, replicas=1)).values()) <= GOOD, self.jobs
            await self.heal()  # the pod that went may have been the one that its station lived in
        if len(self.placed(FUNCTION)) > 1:
            await self.heal()
        for name, pool in self.fleet.pools.items():
            for node in pool.cluster.list("nodes"):
                if node["spec"].get("unschedulable"):
                    told = await self.done("uncordon-node", pool=name, node=node["metadata"]["name"])
                    assert set(told.values()) <= GOOD, self.jobs
        await self.time.sleep(SETTLE)

    def restore(self) -> None:
        """All pools answer again, as they should."""
        for name, pool in self.fleet.pools.items():
            self.ways[name].restore()
            pool.api_faults.clear()

    def apply_elsewhere(self, spec: dict[str, object]) -> None:
        """Let GitOps apply fields of the function, wherever it is, and so own these and no others."""
        for name, pool in self.fleet.pools.items():
            place = Place(name, NF_DEPLOYMENT, NAMESPACE, self.function.lower())
            if pool.cluster.get(KINDS[0], NAMESPACE, place.name) is not None:
                applied(pool.cluster, place, {"spec": spec}, "argocd-controller", "minka-sim")

    async def assert_whole(self, function: str, *, stays: bool, pods: int = 1, serves: bool = True) -> None:
        """One function, on one pool, and nothing else of it anywhere; its station is as it was, if it serves."""
        placed = self.placed(function)
        assert len(placed) == stays, (placed, self.jobs)
        assert self.objects(function) == {(pool, kind): 1 for pool in placed for kind in KINDS}, self.jobs
        if serves:
            assert [pool for pool, _ in self.pods(function)] in [[*placed] * many for many in (1, pods)], self.jobs
        if serves and self.placed(FUNCTION):
            assert await self.carried(STATION) == self.station, self.jobs
        assert not self.store.claims.busy([*self.network.device_kinds])

    async def assert_recorded(self) -> None:
        """Pools, functions in service and the station carry what the ledger says."""
        devices = self._devices()
        found = await self.services(devices).planner.drift([*self.network.device_kinds])
        await devices.close()
        assert not [(device, row) for device, rows in found.items() for row in rows if row.tenant]

    def assert_ended(self, run: Run) -> None:
        """It ended well, and each of its jobs once."""
        jobs = [(job.station, job.outcome, job.detail) for job in self.store.runs.jobs(run.id)]
        assert (self.store.runs.get(run.id).state, {job[1] for job in jobs} - GOOD) == (RunState.SUCCEEDED, set()), jobs


_worlds: list[Cloud] = []


@pytest.fixture
def cloud(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    """Always the same one, unless a test left it otherwise: to make one takes longer than some runs do."""
    found = _worlds.pop() if _worlds else Cloud(prepared(files(tmp_path_factory.mktemp("pools"))))
    found.connect(monkeypatch)
    if not found.intact:
        found.play(found.bring_up())
    found.intact = False
    yield found
    if found.intact and len(found.store.runs.page(Page(limit=MOST_RUNS))[1]) < MOST_RUNS:
        _worlds.append(found)


# ---------------------------------------------------------------------------- pools that go wrong


def everywhere(cloud: Cloud) -> Iterable[str]:
    """All pools."""
    return cloud.fleet.pools


def here(cloud: Cloud) -> Iterable[str]:
    """Those that the function is on."""
    return cloud.placed(cloud.function)


def there(cloud: Cloud) -> Iterable[str]:
    """Those that it is not on."""
    return cloud.fleet.pools.keys() - {*here(cloud)}


def gone_for(
    seconds: float, outage: Outage = Outage.REFUSAL, where: Callable[[Cloud], Iterable[str]] = everywhere
) -> Callable[[Cloud], None]:
    """API servers can't be reached for so long."""

    def strike(cloud: Cloud) -> None:
        for pool in where(cloud):
            cloud.ways[pool].cut(outage)
            cloud.clock.call_later(seconds, cloud.ways[pool].restore)

    return strike


def spoils(
    *verbs: str,
    kind: ApiFaultKind,
    count: int = 1,
    seconds: float = 2,
    where: Callable[[Cloud], Iterable[str]] = everywhere,
) -> Callable[[Cloud], None]:
    """The next requests of these verbs go wrong."""

    def strike(cloud: Cloud) -> None:
        for pool in where(cloud):
            for verb in verbs:
                cloud.fleet.pools[pool].api_faults.inject(ApiFault(kind=kind, verb=verb, count=count, seconds=seconds))

    return strike


def full(cloud: Cloud) -> None:
    """From now on a quota lets nothing more be made than there is."""
    for pool in cloud.fleet.pools.values():
        kinds = {"count/nfdeployments.workload.nephio.org": KINDS[0], "count/configmaps": KINDS[1], "pods": "pods"}
        allow(pool.cluster, **{name: len(pool.cluster.list(kind, NAMESPACE)) for name, kind in kinds.items()})


def allow(cluster: Cluster, **most: int) -> None:
    """A quota lets no more be made on a pool than so many of each kind."""
    hard = {name: str(count) for name, count in most.items()}
    cluster.create("resourcequotas", {"metadata": {"name": "full", "namespace": NAMESPACE}, "spec": {"hard": hard}})


def edited(cloud: Cloud) -> None:
    """Somebody edits the function by hand, wherever it is."""
    for pool in cloud.fleet.pools.values():
        found = pool.cluster.get(KINDS[0], NAMESPACE, cloud.function.lower())
        if found is not None:
            changed = pool.cluster.edited(found)
            changed["spec"]["replicas"] = 2
            pool.cluster.update(KINDS[0], changed, manager="kubectl-edit")


def taken_over(cloud: Cloud) -> None:
    """What goes on applying the function, such as GitOps, takes its replicas over, wherever it is."""
    cloud.apply_elsewhere({"replicas": 2})


VERBS = ("apply", "delete", "patch", "create")
STRIKES: dict[str, Callable[[Cloud], None]] = {
    "gone": gone_for(40),
    "silent": gone_for(100, Outage.SILENCE),
    "slow": spoils("any", kind=ApiFaultKind.DELAY, count=3, seconds=70),
    "lying": spoils(*VERBS, kind=ApiFaultKind.OK_WITHOUT_EFFECT),
    "unanswered": spoils(*VERBS, kind=ApiFaultKind.DROP_AFTER),
    "failing": spoils(*VERBS, kind=ApiFaultKind.FAIL),
    "full": full,
    "webhook": spoils(*VERBS, kind=ApiFaultKind.WEBHOOK_UNREACHABLE, count=2),
    "unavailable": spoils("any", kind=ApiFaultKind.UNAVAILABLE, count=3),
    "throttled": spoils("any", kind=ApiFaultKind.THROTTLE, count=3),
    "edited": edited,
    "taken over": taken_over,
    "garbage": spoils("any", kind=ApiFaultKind.GARBAGE, count=3),
    "gone for long": gone_for(1200),
    "silent here": gone_for(100, Outage.SILENCE, here),
    "silent there": gone_for(100, Outage.SILENCE, there),
    "gone here": gone_for(40, where=here),
    "gone there": gone_for(40, where=there),
    "slow here": spoils("any", kind=ApiFaultKind.DELAY, count=3, seconds=70, where=here),
    "slow there": spoils("any", kind=ApiFaultKind.DELAY, count=3, seconds=70, where=there),
}

#: Strikes that only writes feel: they are tried at each, others at every so many requests of any kind.
ON_WRITES, STRIDE = ("lying", "unanswered", "failing", "webhook"), 17
#: How often a worker dies, too, in each run that pools go wrong in.
BOTH = 2
#: Who scales the function, and so wants another pod.
SCALES = ("edited", "taken over")


async def whole_again(cloud: Cloud, run: Run, scenario: Scenario) -> None:
    """See that a run ended well, and bring what went wrong to an end."""
    cloud.assert_ended(run)
    await cloud.tidy()
    await cloud.assert_whole(scenario.function, stays=scenario.stays)
    await cloud.assert_recorded()


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", SCENARIOS if SOAK else BRIEFLY)
def test_a_worker_may_die_at_any_call_of_a_whole_run(cloud: Cloud, name: str) -> None:
    chance, scenario = random.Random(f"{SEED}/{name}"), SCENARIOS[name]

    async def again(life: Mortal) -> bool:
        run = await scenario.begin(cloud)
        await cloud.work(life)
        await whole_again(cloud, run, scenario)
        return life.dead

    async def each() -> None:
        await again(whole := Watched(world=cloud.world))
        if SOAK:
            for at in whole.moments:
                await again(Mortal(at))
            return
        at = chance.choice(whole.moments)
        while not await again(Mortal(at)):
            at //= 2  # a run may take fewer calls than the one before

    cloud.play(each())
    cloud.intact = True


async def struck(
    cloud: Cloud, name: str, strike: str, at: int, outcomes: tuple[Outcome, ...] = (), dies: int | None = None
) -> bool:
    """Let something go wrong at a call of a run; whether it came that far, and the worker died if it was to.

    Args:
        outcomes: What function and station come to, where that is known.
        dies: How many calls later the worker dies, too; None lets it live.
    """
    scenario = SCENARIOS[name]
    run, cloud.function = await scenario.begin(cloud), scenario.function
    among = WRITES if strike in ON_WRITES else REQUESTS
    life = Stricken(at, strike=partial(STRIKES[strike], cloud), among=among, left=dies)
    await cloud.work(life)
    where, jobs = (SEED, name, strike, at, dies), {job.station: job for job in cloud.jobs}
    assert cloud.store.runs.get(run.id).state.terminal, where
    assert all(job.outcome is not None for job in jobs.values()), where
    function, station = jobs[scenario.function], jobs.get(STATION)
    assert outcomes in ((), (function.outcome, station and station.outcome)), (where, jobs)
    known = Outcome.DIVERGED not in {job.outcome for job in jobs.values()}
    named = "argocd-controller" in function.detail
    assert known or strike == "gone for long" or (strike == "taken over" and named), (where, jobs)
    if station and station.outcome in GOOD:
        assert await cloud.carried(STATION) == cloud.station, where
    well = function.outcome in GOOD
    there = scenario.stays if well else name != "instantiate"
    serves = well or not scenario.down
    await cloud.time.sleep(SETTLE)
    if well and len(cloud.placed(FUNCTION)) > 1:
        assert "stays on" in function.detail, (where, jobs)  # its first pool did not answer, and keeps it
        cloud.restore()
        cloud.apply_elsewhere({})
        await cloud.heal()
    if known:
        await cloud.assert_whole(scenario.function, stays=there, pods=2 if strike in SCALES else 1, serves=serves)
    elif cloud.placed(FUNCTION):
        cloud.apply_elsewhere({})
        await cloud.time.sleep(SETTLE * 10)
        await cloud.heal()
    await cloud.tidy()
    if not serves:
        await cloud.heal()
    if not cloud.placed(FUNCTION):
        await cloud.again_up()
    await cloud.assert_whole(FUNCTION, stays=True)
    if not scenario.stays and cloud.placed(scenario.function):
        again = await scenario.begin(cloud)
        await cloud.work()
        await whole_again(cloud, again, scenario)
    if known:  # else the record has what may be there, too
        await cloud.assert_recorded()
    return len(life.calls) >= at and (life.dead or dies is None)


async def struck_early(cloud: Cloud, name: str, strike: str, at: int, dies: int | None = None) -> None:
    """The same, at a call as early as the run comes to."""
    while not await struck(cloud, name, strike, at, dies=dies):
        at, dies = (at + 1) // 2, dies and (dies + 1) // 2


def last(calls: list[str], verb: str) -> int:
    """Number of the last request of a method to any pool."""
    return max(number for number, call in enumerate(calls, start=1) if call.endswith(f" {verb}"))


DONE, STAYS = (Outcome.SUCCEEDED, Outcome.SUCCEEDED), (Outcome.ROLLED_BACK, Outcome.UNCHANGED)
LEFT = (Outcome.DEFERRED, Outcome.WITHDRAWN)
#: The function is as it was, and its station in another pod.
BACK = (Outcome.ROLLED_BACK, Outcome.SUCCEEDED)
ELSEWHERE = "drain a node elsewhere"
#: What happens when in which run, and what the function and its station come to.
MOMENTS: dict[str, tuple[str, str, Callable[[list[str]], int], tuple[Outcome, Outcome]]] = {
    "away when it is there, and checked": (ELSEWHERE, "gone", lambda calls: last(calls, "GET"), DONE),
    "slow where it is to go": (ELSEWHERE, "slow", lambda _calls: 19, LEFT),
    "edited before the first one goes": (ELSEWHERE, "edited", lambda calls: last(calls, "PATCH") + 1, STAYS),
    "edited when the first one has gone": (ELSEWHERE, "edited", lambda calls: last(calls, "DELETE") + 1, DONE),
    "fails where its parameters go": (ELSEWHERE, "failing", lambda calls: last(calls, "DELETE") - 1, STAYS),
    "fails where the first one goes": (ELSEWHERE, "failing", lambda calls: last(calls, "DELETE"), STAYS),
    "a webhook is away where the first one goes": (ELSEWHERE, "webhook", lambda calls: last(calls, "DELETE"), DONE),
    "taken over before its pod is evicted": ("drain a node beside", "taken over", lambda _calls: 6, BACK),
    "edited when it is ready with its new image": ("upgrade", "edited", lambda calls: last(calls, "GET") - 5, DONE),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_function_serves_as_it_was_or_as_was_asked(cloud: Cloud, moment: str) -> None:
    name, strike, when, outcomes = MOMENTS[moment]

    async def each() -> None:
        whole = Mortal()
        for _ in range(2 if name == "upgrade" else 1):  # each of two images has to be pulled once
            await SCENARIOS[name].begin(cloud)
            await cloud.shift(whole := Stricken(among=WRITES if strike in ON_WRITES else REQUESTS))
            await cloud.tidy()
        assert await struck(cloud, name, strike, when(whole.calls), outcomes)

    cloud.play(each())
    cloud.intact = True


def test_what_never_became_ready_is_taken_back_though_an_answer_is_lost_after_all_that_time(cloud: Cloud) -> None:
    async def each() -> None:
        before = cloud.placed(FUNCTION)
        for pool in there(cloud):
            allow(cloud.fleet.pools[pool].cluster, pods=0)
        await moved(cloud)
        begun = cloud.time.monotonic()
        spoils("delete", kind=ApiFaultKind.DROP_AFTER)(cloud)
        await cloud.work()
        assert cloud.time.monotonic() - begun > READY_SECONDS
        jobs = {job.station: job for job in cloud.jobs}
        assert (jobs[FUNCTION].outcome, jobs[STATION].outcome) == STAYS, jobs
        await cloud.tidy()
        assert cloud.placed(FUNCTION) == before
        await cloud.assert_whole(FUNCTION, stays=True)

    cloud.play(each())
    cloud.intact = True


def test_a_pod_under_two_budgets_is_not_evicted_and_the_run_says_why(cloud: Cloud) -> None:
    """No server carries such an eviction out: 500, as Kubernetes 1.36 answers."""

    async def each() -> None:
        await _bring(cloud, "edge-1")
        there = cloud.pods(FUNCTION)
        cluster = cloud.fleet.pools["edge-1"].cluster
        own = cluster.get(KINDS[2], NAMESPACE, FUNCTION.lower())
        assert own is not None
        second = {"metadata": {"name": "second", "namespace": NAMESPACE}, "spec": {"selector": own["spec"]["selector"]}}
        cluster.create(KINDS[2], second)
        await drained_beside(cloud)
        await cloud.work()
        jobs = {job.station: job for job in cloud.jobs}
        assert "This pod has more than one PodDisruptionBudget" in jobs[FUNCTION].detail, jobs
        assert jobs[FUNCTION].outcome in (Outcome.FAILED_SAFE, Outcome.ROLLED_BACK), jobs
        assert (cloud.placed(FUNCTION), cloud.pods(FUNCTION)) == (("edge-1",), there)
        cluster.delete(KINDS[2], NAMESPACE, "second")
        await cloud.tidy()
        await cloud.assert_whole(FUNCTION, stays=True)
        assert await cloud.carried(STATION) == cloud.station
        await cloud.assert_recorded()

    cloud.play(each())


@pytest.mark.parametrize("calls", [range(1, 60, 4) if SOAK else (9, 17, 25)])
def test_a_deployment_deleted_in_the_middle_that_a_finalizer_holds_leaves_nothing(
    cloud: Cloud, calls: Collection[int]
) -> None:
    """Whenever somebody deletes what a move has just made: once the finalizer lets go, all of it is gone."""

    def hold(cluster: Cluster) -> bool:
        found = cluster.get(KINDS[0], NAMESPACE, FUNCTION.lower())
        if found is None or "deletionTimestamp" in found["metadata"]:
            return found is not None
        held = cluster.edited(found)
        held["metadata"]["finalizers"] = ["vendor.example/cleanup"]
        cluster.update(KINDS[0], held, manager="kubectl-edit")
        cluster.delete(KINDS[0], NAMESPACE, FUNCTION.lower())
        return True

    def note(held: list[bool], cluster: Cluster) -> None:
        held.append(hold(cluster))

    def release(cluster: Cluster) -> None:
        found = cluster.get(KINDS[0], NAMESPACE, FUNCTION.lower())
        if found is not None and found["metadata"].get("finalizers"):
            freed = cluster.edited(found)
            freed["metadata"]["finalizers"] = []
            cluster.update(KINDS[0], freed, manager="kubectl-edit")

    async def each() -> None:
        struck_once = False
        for at in calls:
            before = cloud.placed(FUNCTION)
            (target,) = (pool for pool in cloud.fleet.pools if pool not in before)
            cluster, held = cloud.fleet.pools[target].cluster, list[bool]()
            await moved(cloud)
            await cloud.work(Stricken(at, strike=partial(note, held, cluster)))
            struck_once = struck_once or any(held)
            await cloud.time.sleep(SETTLE)
            release(cluster)
            await cloud.time.sleep(SETTLE)
            await cloud.tidy()
            if not cloud.placed(FUNCTION):
                await cloud.again_up()
            elif any(held):
                await cloud.heal()
            await cloud.assert_whole(FUNCTION, stays=True)
        assert struck_once

    cloud.play(each())
    cloud.intact = True


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("strike", STRIKES if SOAK else ["gone", "lying", "full"])
def test_pools_may_go_wrong_at_any_request_of_a_whole_run(cloud: Cloud, strike: str) -> None:
    async def each() -> None:
        chance = random.Random(f"{SEED}/{strike}")
        stride, most = (1, 10) if strike in ON_WRITES else (STRIDE, 80)
        if not SOAK:
            await struck_early(cloud, chance.choice([*SCENARIOS]), strike, chance.randint(1, most))
            return
        for name in SCENARIOS:
            at = chance.randint(1, stride)
            while await struck(cloud, name, strike, at):
                at += stride

    cloud.play(each())
    cloud.intact = True


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("strike", STRIKES if SOAK else ["unanswered"])
def test_a_worker_may_die_where_pools_go_wrong(cloud: Cloud, strike: str) -> None:
    async def each() -> None:
        chance = random.Random(f"{SEED}/{strike}/dies")
        for name in SCENARIOS if SOAK else ["move"]:
            for _ in range(BOTH if SOAK else 1):
                at = chance.randint(1, 10 if strike in ON_WRITES else 80)
                await struck_early(cloud, name, strike, at, dies=chance.randint(1, 60))

    cloud.play(each())
    cloud.intact = True


# ---------------------------------------------------------------------------- rules


def alarm_of(cloud: Cloud, cause: str) -> Alarm | None:
    """The latest alarm of a cause."""
    _, found = cloud.store.alarms.page(Page(limit=100))
    return next((one for one in found if one.probable_cause == cause), None)


async def repaired(cloud: Cloud, cause: str) -> tuple[Alarm, Run]:
    """Wait until the rule of a cause has ended all that was wrong, and is sure of it; the alarm and the run."""

    def ended() -> bool:
        one = alarm_of(cloud, cause)
        return one is not None and one.state in (AlarmState.REPAIRED, AlarmState.ESCALATED)

    await cloud.watch([cause], ended)
    alarm = alarm_of(cloud, cause)
    assert alarm is not None
    assert alarm.state is AlarmState.REPAIRED, alarm.note
    assert not cloud.store.alarms.standing(cloud.network.device_kinds)
    await cloud.time.sleep(SETTLE)
    await cloud.assert_whole(FUNCTION, stays=True)
    return alarm, cloud.store.runs.get(alarm.run)


@pytest.fixture
def new_world() -> None:
    """One in which nothing was taken back before: within a day of that a rule takes nothing back again."""
    _worlds.clear()


@pytest.mark.usefixtures("new_world")
def test_a_release_that_crashes_is_taken_back_by_a_rule(cloud: Cloud) -> None:
    async def each() -> None:
        await upgraded(cloud)
        await cloud.work()
        newer = image_in(cloud.store.ledger.find([FUNCTION])[FUNCTION])
        (pool,) = cloud.placed(FUNCTION)
        cloud.fleet.pools[pool].begin_fault("crash-looping", FUNCTION)
        alarm, run = await repaired(cloud, "function-crash-looping")
        assert (alarm.object, alarm.root, run.procedure) == (FUNCTION, "", "revert-function")
        assert image_in(cloud.store.ledger.find([FUNCTION])[FUNCTION]) != newer
        await cloud.tidy()

    cloud.play(each())
    cloud.intact = True


def test_a_rule_brings_a_function_away_from_a_node_whose_clock_is_lost(cloud: Cloud) -> None:
    async def each() -> None:
        cloud.rewrite("agreements.yaml", "{reduce: standing}", "{reduce: standing, interrupt: standing}")
        ((pool, node),) = cloud.pods(FUNCTION)
        cloud.fleet.pools[pool].begin_fault("ptp-lost", node)
        alarm, run = await repaired(cloud, "ptp-lost")
        assert (alarm.station, alarm.object, run.procedure) == (pool, node, "drain-node")
        assert (pool, node) not in cloud.pods(FUNCTION)

    cloud.play(each())


def test_what_a_full_pool_has_no_room_for_is_elsewhere_before_people_are_called(cloud: Cloud) -> None:
    async def each() -> None:
        ((pool, _),) = cloud.pods(FUNCTION)
        cluster = cloud.fleet.pools[pool].cluster
        for found in cluster.list("nodes"):  # somebody takes all nodes out of use, and the pod goes
            node = cluster.edited(found)
            node["spec"]["unschedulable"] = True
            cluster.update("nodes", node, manager="kubectl")
        (pod,) = cluster.list("pods", NAMESPACE)
        cluster.delete("pods", NAMESPACE, pod["metadata"]["name"])

        def over() -> bool:
            return alarm_of(cloud, "pool-full") is not None and not cloud.store.alarms.standing([pool, FUNCTION])

        await cloud.watch(["pool-full", "function-below-a-fault"], over)
        full, down = alarm_of(cloud, "pool-full"), alarm_of(cloud, "function-down")
        assert full is not None
        assert down is not None
        assert (full.station, full.state) == (pool, AlarmState.CLEARED)
        assert (down.root, down.state) == (full.id, AlarmState.REPAIRED)
        assert pool not in cloud.placed(FUNCTION)
        await cloud.time.sleep(SETTLE)
        await cloud.assert_whole(FUNCTION, stays=True)

    cloud.play(each())


@pytest.mark.usefixtures("new_world")
@pytest.mark.parametrize("rebuilt", [False, True])
def test_what_a_silent_pool_keeps_of_a_function_that_moved_goes_by_a_rule_once_it_answers(
    cloud: Cloud, *, rebuilt: bool
) -> None:
    async def each() -> None:
        (left,) = cloud.placed(FUNCTION)
        cloud.ways[left].cut(Outage.SILENCE)
        assert set((await cloud.done("move-function", function=FUNCTION)).values()) <= GOOD, cloud.jobs
        (said,) = [job.detail for job in cloud.jobs if job.station == FUNCTION]
        assert f"it stays on {left} too, since that can't be asked: {left} (" in said
        await cloud.time.sleep(SETTLE)
        both = {*cloud.placed(FUNCTION)}
        assert left in both
        assert {pool for pool, _ in cloud.pods(FUNCTION)} == both
        assert await cloud.carried(STATION) == cloud.station
        if rebuilt:
            cluster = cloud.fleet.pools[left].cluster
            for kind in KINDS:
                cluster.delete(kind, NAMESPACE, FUNCTION.lower())
            await cloud.time.sleep(SETTLE)
        cloud.ways[left].restore()
        alarm, run = await repaired(cloud, "function-twice")
        assert (alarm.station, run.procedure) == (FUNCTION, "heal-function")
        assert ("where it is gone" in alarm.text) is rebuilt
        assert {*cloud.placed(FUNCTION)} == both - {left}

    cloud.play(each())
    cloud.intact = True


@pytest.mark.usefixtures("new_world")
def test_what_was_left_half_made_of_a_function_is_no_pool_that_it_has_to_leave(cloud: Cloud) -> None:
    """A heal diverged: the new pool has settings of the function and no pod; the record has it on both."""

    async def each() -> None:
        (old,) = cloud.placed(FUNCTION)
        new = "edge-2" if old == "edge-1" else "edge-1"
        settings = cloud.fleet.pools[old].cluster.get("configmaps", NAMESPACE, FUNCTION.lower())
        assert settings is not None
        made = {"name": FUNCTION.lower(), "namespace": NAMESPACE, "labels": settings["metadata"]["labels"]}
        cloud.fleet.pools[new].cluster.create("configmaps", {**settings, "metadata": made}, manager="minka")
        there = [one.model_copy(update={"path": one.path.replace(old, new)}) for one in cloud.nodes(FUNCTION)]
        cloud.store.devices.adopt(FUNCTION, [*cloud.nodes(FUNCTION), *there], cloud.store.networks.get()[0], "ana")
        assert {*cloud.placed(FUNCTION)} == {old, new}
        cloud.ways[old].cut(Outage.REFUSAL)
        outcomes = await cloud.done("heal-function", where=f"function={FUNCTION}", seconds=0)
        assert set(outcomes.values()) <= GOOD, cloud.jobs
        assert {pool for pool, _ in cloud.pods(FUNCTION)} == {old, new}, "nobody could take it away from the first"
        assert await cloud.carried(STATION) == cloud.station

    cloud.play(each())


# ---------------------------------------------------------------------------- undone by a person


def test_an_applied_plan_of_a_release_brings_the_station_back_too(cloud: Cloud) -> None:
    async def each() -> None:
        image = _release(cloud)
        plan = await cloud.plan(f"function={FUNCTION}", 2)
        assert {change.station: change.comes_back for change in plan.changes} == {FUNCTION: False, STATION: True}
        run = cloud.begin(plan)
        await cloud.work()
        cloud.assert_ended(run)
        assert image_in(cloud.store.ledger.find([FUNCTION])[FUNCTION]) == image
        await cloud.time.sleep(SETTLE)
        await cloud.assert_whole(FUNCTION, stays=True)
        await cloud.assert_recorded()

    cloud.play(each())


async def undone(cloud: Cloud, run: Run, **remove: int) -> Plan:
    """Take a run back, as ``minka undo`` and ``minka apply`` do; what is left out of it, and why, is in the plan."""
    plan = await cloud.plan_back(run.id, **remove)
    cloud.begin(plan)
    await cloud.work()
    assert {job.outcome for job in cloud.jobs} == {Outcome.SUCCEEDED}, cloud.jobs
    return plan


@pytest.mark.parametrize(
    "name", ["move", "heal", "upgrade", "drain a pool", "drain a node elsewhere", "drain a node beside"]
)
def test_an_undo_brings_a_function_back_with_its_station_and_names_no_removal(cloud: Cloud, name: str) -> None:
    async def each() -> None:
        run = await SCENARIOS[name].begin(cloud)
        before = cloud.nodes(FUNCTION)
        await cloud.work()
        changed = cloud.nodes(FUNCTION) != before
        assert changed is (name != "drain a node beside"), cloud.jobs
        for pool in cloud.fleet.pools.values():
            pool.faults.clear()
        await cloud.time.sleep(SETTLE)
        plan = await undone(cloud, run)
        assert {FUNCTION, STATION} <= (plan.changes.packed if changed else plan.unplanned).keys()
        assert await cloud.carried(STATION) == cloud.station
        assert cloud.nodes(FUNCTION) == before
        await cloud.time.sleep(SETTLE)
        await cloud.assert_whole(FUNCTION, stays=True)

    cloud.play(each())
    cloud.intact = True


def test_a_station_that_was_provisioned_goes_again_by_the_number_of_its_nodes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud = Cloud(prepared(files(tmp_path)))
    cloud.connect(monkeypatch)

    async def each() -> None:
        assert set((await cloud.done("provision-station", station=STATION)).values()) == {Outcome.SUCCEEDED}, cloud.jobs
        run, station = cloud.run, await cloud.carried(STATION)
        ledgers = cloud.store.ledger.find([FUNCTION, STATION]).values()
        nodes = Counter(owner for ledger in ledgers for entry in ledger.values() for owner in entry.owners)
        with pytest.raises(PlanRefusedError) as refused:
            await undone(cloud, run)
        asked = {name: int(count) for name, count in re.findall(r"name (\w+)=(\d+)", str(refused.value))}
        assert asked == {**nodes, "host": asked["host"]}
        plan = await undone(cloud, run, **asked)
        assert plan.unplanned == {"edge-1": "functions that the run brought there need it: it stays"}
        await cloud.time.sleep(SETTLE)
        assert (cloud.placed(FUNCTION), cloud.objects(FUNCTION), cloud.pods(FUNCTION)) == ((), {}, [])
        left = [
            entry for entries in cloud.store.ledger.find([FUNCTION, STATION]).values() for entry in entries.values()
        ]
        assert {owner for entry in left for owner in entry.owners} <= {"host"}
        assert set((await cloud.done("provision-station", station=STATION)).values()) <= GOOD, cloud.jobs
        assert await cloud.carried(STATION) == station

    cloud.play(each())
