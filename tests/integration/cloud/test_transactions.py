"""Changes of a function by the real transaction engine, at API servers that go away, lie, are slow, and refuse.

Kills and faults strike at each request in turns. In the end everything is as it was, or as it was to become: no half
of a function is left, no second one, and the record says which.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from functools import cache, partial
from typing import Any

import orjson
import pytest
from sqlalchemy import select

from controller.drivers.kubernetes.api import PoolApi, Sent
from controller.models.errors import LeaseLostError, SessionLostError
from controller.models.facts import FunctionFact
from controller.models.plan import Change, Changes, Plan
from controller.models.run import JournalStep, LedgerEntry, Outcome, Run, RunState, Strategy
from controller.nrm.profiles import render_cloud
from controller.nrm.profiles.function import deployment_path
from controller.nrm.tree import Observed, Tree
from controller.plan import StationView
from controller.plan.inputs import PlanOptions
from controller.plan.station import plan_station
from controller.runs.transaction import checks
from controller.runs.transaction.patience import Patience
from controller.runs.transaction.record import Record
from controller.runs.transaction.transaction import Transaction
from controller.store import Claim, JobResult, NewJob, Store, Transition, open_store
from controller.store.database.columns import metadata
from simulators.connections import Outage
from tests.integration.cloud.system import CARRIED, DU, FUNCTION, NAME, NFDS, POOLS, Pools, kind_of
from tests.support.launch import prepared
from tests.support.soak import SOAK, TURNS
from tests.unit.plan import samples
from tests.unit.runs.transaction_bench import InstantStore, JumpClock, Killed, add_tenant, begin_anew

#: Status, body, and seconds after which the server wants to be asked again.
Reply = tuple[int, dict[str, Any], float | None]
#: How any connection sends a request; and how this one does, as a strike may let it.
Send = Callable[[PoolApi, Sent], Awaitable[Reply]]
Onward = Callable[[Sent], Awaitable[Reply]]
#: What happens in the place of a request, or before it.
Strike = Callable[[Onward, Sent], Awaitable[Reply | None]]

NETWORK = samples.virtual()
QUICK = Strategy(check_timeout=2, confirm_timeout=60)
NOTHING: Tree = {f"/Function[{NAME}]": {}}
HERE = deployment_path(NAME, "edge-1")
OTHER_IMAGE = f"registry.example/acme/du@sha256:{'b' * 64}"


@dataclass
class PoolConnection:
    """What happens to requests on their way: at the n-th of those that count, something goes wrong.

    Attributes:
        at: Number of the request, from 1; 0 for none.
        strike: What happens in its place, or before it; it gives the answer, or None to let the request go on.
        writes: Whether only requests that change something count.
        asked: Requests that counted so far.
    """

    at: int = 0
    strike: Strike | None = None
    writes: bool = False
    asked: int = 0
    send: Send = field(init=False, repr=False)

    async def __call__(self, api: PoolApi, sent: Sent) -> Reply:
        dry = "dryRun" in sent.query or b'"dryRun"' in (sent.content or b"")
        if not self.writes or (sent.method != "GET" and not dry):
            self.asked += 1
            if self.asked == self.at and self.strike is not None:
                answer = await self.strike(partial(self.send, api), sent)
                if answer is not None:
                    return answer
        return await self.send(api, sent)


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> PoolConnection:
    made = PoolConnection()
    made.send = PoolApi._send

    async def send(api: PoolApi, sent: Sent) -> Reply:
        return await made(api, sent)

    monkeypatch.setattr(PoolApi, "_send", send)
    return made


@cache
def _record() -> tuple[Store, JumpClock]:
    clock = JumpClock()
    return open_store("sqlite://", clock), clock


def changing(before: Tree, wanted: FunctionFact) -> Change:
    """What brings a function that carries something of ours to what is wanted."""
    ours = {
        path: LedgerEntry(station=NAME, path=path, owners=("host",), leaves=dict(leaves))
        for path, leaves in before.items()
    }
    view = StationView(Observed(before), adopted=True, ledger=ours)
    made = plan_station(NAME, ("function",), render_cloud(wanted), view, PlanOptions(remove={"host": 1}))
    assert made.change is not None, made
    return made.change


class Bench:
    """One run of a change on a function."""

    run: Run
    #: Whether the worker may still write.
    alive: Callable[[], bool] = staticmethod(lambda: True)

    def __init__(self, pools: Pools, change: Change) -> None:
        self.pools, self.transactions = pools, set[str]()
        self.store, self.clock = _record()
        self.target = pools.function()
        plan = add_tenant().plan.model_copy(update={"changes": Changes.of([change])})
        begin_anew(self.store, NETWORK, plan)
        self.begin(plan, NAME)

    def begin(self, plan: Plan, device: str) -> None:
        """Let a plan be applied to a device."""
        run = self.store.runs.create(prepared(plan, "apply", QUICK, [NewJob(0, device)], actor="ana"))
        self.store.runs.advance(run.id, lambda _run, _jobs: Transition(RunState.RUNNING, wave=0))
        self.run = self.store.runs.get(run.id)

    def claim(self) -> Claim:
        (claim,) = self.store.claims.take(self.store.processes.register("w"), 10)
        return claim

    async def work(self, claim: Claim) -> JobResult:
        record = Record(claim, InstantStore(self.store), self.clock, self._alive)
        patience = Patience(retry=0.05)
        transaction = Transaction(claim, self.target, self.pools.all, record, self.clock, patience)
        return await transaction.run()

    async def _alive(self) -> bool:
        return self.alive()

    def declare_dead(self, claim: Claim) -> None:
        """Declare the worker of a claim dead."""
        counter = next(one.counter for one in self.store.processes.alive() if one.id == claim.incarnation)
        assert self.store.processes.declare_dead(claim.incarnation, counter)

    async def finish(self) -> JobResult:
        """To the end, with as many workers as it takes."""
        while True:
            claim = self.claim()
            self.transactions.add(claim.transaction)
            try:
                result = await self.work(claim)
            except Killed:
                self.declare_dead(claim)
                continue
            self.store.claims.finish(claim, result)
            return result

    def rows(self) -> str:
        """All that is on record."""
        with self.store.database.engine.connect() as connection:
            return str([connection.execute(select(table)).all() for table in metadata.sorted_tables])

    async def carried(self) -> Tree:
        async with self.pools.devices.session(self.pools.function()) as session:
            return (await session.read()).tree

    async def assert_settled(self, result: JobResult, before: Tree, after: Tree) -> None:
        """Pools, ledger and record say the same, and nothing else is left."""
        wanted = after if result.outcome.good else before
        assert await self.carried() == wanted, result
        expected = {(place.pool, kind_of(place)) for place in FUNCTION.wanted(wanted)}
        found = {
            (pool, kind_of(place))
            for pool in POOLS
            for place in FUNCTION.asked(pool)
            if self.pools.found(pool, kind_of(place)) is not None
        }
        assert found == expected
        (job,) = self.store.runs.jobs(self.run.id)
        assert job.outcome is result.outcome
        steps = [row.step for one in self.transactions for row in self.store.journal.find(one)]
        assert steps.count(JournalStep.FINISHED) == 1


@dataclass(frozen=True)
class Scenario:
    """What is there, and what shall be."""

    before: Tree
    wanted: FunctionFact

    @property
    def after(self) -> Tree:
        return render_cloud(self.wanted).tree

    def bench(self, pools: Pools) -> Bench:
        pools.carry(self.before)
        return Bench(pools, changing(self.before, self.wanted))


SCENARIOS = {
    "make": Scenario(NOTHING, DU),
    "upgrade": Scenario(CARRIED, replace(DU, image=OTHER_IMAGE, replicas=2, cpus=12)),
    "move": Scenario(CARRIED, replace(DU, pool="edge-2")),
}
#: A move makes, too: nothing else of that is tried but in a soak.
EACH = pytest.mark.parametrize("name", SCENARIOS if SOAK else ("upgrade", "move"))


async def requests(pools: Pools, wire: PoolConnection, scenario: Scenario) -> int:
    """How many requests count where all goes well."""
    wire.at, wire.asked = 0, 0
    result = await scenario.bench(pools).finish()
    assert result.outcome is Outcome.SUCCEEDED, result
    return wire.asked


@pytest.mark.parametrize("name", SCENARIOS)
async def test_a_function_changes_as_planned(pools: Pools, name: str) -> None:
    scenario = SCENARIOS[name]
    bench = scenario.bench(pools)
    result = await bench.finish()
    assert (result.outcome, result.detail) == (Outcome.SUCCEEDED, "")
    await bench.assert_settled(result, scenario.before, scenario.after)


@EACH
@pytest.mark.parametrize("turn", TURNS)
async def test_a_worker_may_die_at_any_request(pools: Pools, wire: PoolConnection, name: str, turn: int) -> None:
    async def die(send: Onward, sent: Sent) -> None:
        if wire.at % 2 == turn:
            await send(sent)
        raise Killed

    await each(pools, wire, SCENARIOS[name], die, writes=not SOAK)


@EACH
async def test_an_answer_may_be_lost_at_any_request(pools: Pools, wire: PoolConnection, name: str) -> None:
    async def lose(send: Onward, sent: Sent) -> None:
        await send(sent)
        raise SessionLostError("edge-1 did not answer within 5 s.")

    await each(pools, wire, SCENARIOS[name], lose, writes=not SOAK)


@EACH
async def test_an_answer_may_be_a_lie_at_any_write(pools: Pools, wire: PoolConnection, name: str) -> None:
    async def lie(send: Onward, sent: Sent) -> Reply:
        content = sent.content
        if sent.method == "DELETE":
            content = orjson.dumps({**orjson.loads(content or b"{}"), "dryRun": ["All"]})
        return await send(replace(sent, query={**sent.query, "dryRun": "All"}, content=content))

    await each(pools, wire, SCENARIOS[name], lie, writes=True)


@EACH
async def test_pools_may_go_away_at_any_request(pools: Pools, wire: PoolConnection, name: str) -> None:
    async def cut(_: Onward, __: Sent) -> None:
        for way in pools.ways.values():
            way.cut(Outage.REFUSAL)
            asyncio.get_running_loop().call_later(0.03, way.restore)

    await each(pools, wire, SCENARIOS[name], cut, writes=not SOAK)


async def each(pools: Pools, wire: PoolConnection, scenario: Scenario, strike: Strike, *, writes: bool) -> None:
    """Let something go wrong at each of the requests in turns; or at each write."""
    wire.writes, wire.strike = writes, strike
    count = await requests(pools, wire, scenario)
    for at in range(1, count + 1):
        bench = scenario.bench(pools)
        wire.at, wire.asked = at, 0
        result = await bench.finish()
        assert wire.asked >= at
        wire.at = 0
        for way in pools.ways.values():
            way.restore()
        assert result.outcome is not Outcome.DIVERGED, (at, result)
        await bench.assert_settled(result, scenario.before, scenario.after)


@EACH
async def test_a_worker_that_lost_its_lease_writes_no_more(pools: Pools, wire: PoolConnection, name: str) -> None:
    def may(writes: int) -> bool:
        return wire.asked < writes

    scenario = SCENARIOS[name]
    wire.writes = True
    for at in range(1, await requests(pools, wire, scenario) + 1):
        bench = scenario.bench(pools)
        wire.at, wire.asked = 0, 0
        bench.alive = partial(may, at)
        claim = bench.claim()
        with pytest.raises(LeaseLostError):
            await bench.work(claim)
        assert wire.asked == at
        bench.alive = lambda: True
        bench.declare_dead(claim)
        result = await bench.finish()
        await bench.assert_settled(result, scenario.before, scenario.after)


@pytest.mark.parametrize("name", ["upgrade"])
async def test_an_overloaded_server_is_asked_again(pools: Pools, wire: PoolConnection, name: str) -> None:
    async def busy(_: Onward, __: Sent) -> Reply:
        return 429, {"kind": "Status", "message": "too many requests", "details": {"retryAfterSeconds": 1}}, 1.0

    await each(pools, wire, SCENARIOS[name], busy, writes=True)


async def test_a_quota_that_fills_up_in_the_middle_leaves_the_function_where_it_was(
    pools: Pools, wire: PoolConnection
) -> None:
    async def fill(_: Onward, __: Sent) -> None:
        pools.fill("edge-2")

    scenario = SCENARIOS["move"]
    bench = scenario.bench(pools)
    wire.writes, wire.strike, wire.at = True, fill, 2
    result = await bench.finish()
    assert result.outcome is Outcome.ROLLED_BACK
    assert "exceeded quota" in result.detail
    wire.at = 0
    await bench.assert_settled(result, scenario.before, scenario.after)


@pytest.mark.parametrize("edited", [False, True])
async def test_a_function_that_does_not_become_ready_stays_where_it_was(
    pools: Pools, wire: PoolConnection, monkeypatch: pytest.MonkeyPatch, *, edited: bool
) -> None:
    async def edit(_: Onward, __: Sent) -> None:
        pools.edit("edge-1", NFDS, NAME.lower(), replicas=2)

    # What somebody edited can't become ready as asked any more, so that is not waited for until then.
    monkeypatch.setattr(checks, "READY_SECONDS", 600.0 if edited else 3.0)
    wire.strike, wire.at = edit, 60 if edited else 0
    wanted = replace(DU, pool="edge-2", image="registry.example/broken:1")
    scenario = Scenario(CARRIED, wanted)
    bench = scenario.bench(pools)
    result = await bench.finish()
    assert result.outcome is Outcome.ROLLED_BACK
    assert "Pods: as asked" in result.detail
    assert ("somebody else changed the device" in result.detail) is edited
    if edited:
        assert "replicas: 2 (written by kubectl-edit) instead of 1" in result.detail, result.detail
        assert pools.found()["spec"]["replicas"] == 2
    else:
        await bench.assert_settled(result, scenario.before, scenario.after)


async def test_what_somebody_edits_in_the_middle_is_not_lost(pools: Pools, wire: PoolConnection) -> None:
    async def edit(_: Onward, __: Sent) -> None:
        pools.edit("edge-1", NFDS, NAME.lower(), capacity={"maxSessions": 7})

    scenario = SCENARIOS["upgrade"]
    bench = scenario.bench(pools)
    wire.writes, wire.strike, wire.at = True, edit, 2
    result = await bench.finish()
    assert result.outcome is Outcome.ROLLED_BACK, result
    assert "modified" in result.detail
    assert pools.found()["spec"]["capacity"] == {"maxSessions": 7}
    assert await bench.carried() == scenario.before


async def test_a_token_is_neither_on_record_nor_in_logs(
    pools: Pools, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level("DEBUG", logger="")
    scenario = SCENARIOS["move"]
    bench = scenario.bench(pools)
    pools.fill("edge-2")
    assert (await bench.finish()).outcome is Outcome.FAILED_SAFE
    rows = bench.rows()
    assert "exceeded quota" in rows
    pools.clusters["edge-1"].access.drop_token("secret-of-edge-1")
    bench = Bench(pools, changing(scenario.before, scenario.wanted))
    assert not (await bench.finish()).outcome.good
    assert "PATCH" in caplog.text, "requests are logged"
    assert "secret-of-" not in "".join((rows, bench.rows(), caplog.text, *capsys.readouterr()))


async def test_drift_by_hand_is_repaired_and_an_applier_is_not_overruled(pools: Pools) -> None:
    pools.carry(CARRIED)
    pools.edit("edge-1", NFDS, NAME.lower(), replicas=4)
    async with pools.devices.session(pools.function()) as session:
        drifted = (await session.read()).tree
    bench = Bench(pools, changing(drifted, DU))
    assert (await bench.finish()).outcome is Outcome.SUCCEEDED
    assert await bench.carried() == CARRIED
    pools.force("edge-1", "argocd", {"spec": {"replicas": 4}})
    bench = Bench(pools, changing(drifted, DU))
    result = await bench.finish()
    assert result.outcome is Outcome.FAILED_SAFE
    assert "argocd" in result.detail
    assert pools.found()["spec"]["replicas"] == 4
