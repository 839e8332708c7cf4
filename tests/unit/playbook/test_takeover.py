"""Workers that die at any moment of a playbook: whoever takes over ends in the same state, done once and on record."""

from __future__ import annotations

import pytest

from controller.inventory.source import Report
from controller.models.plan import LedgerNode
from controller.models.run import Outcome, Run, RunState, Strategy
from controller.models.step import RunPlaybook, StepState
from controller.nrm.profiles import administrative_state, cells
from controller.plan import network_digest, seal
from controller.playbook.actions.shipped import registry
from controller.playbook.engine.context import ActionServices
from controller.playbook.engine.job import PlaybookProcedure
from controller.playbook.language.library import parse
from controller.playbook.language.registry import Registry
from controller.ports.fake_devices import Wrong
from controller.ports.store import Claim, JobResult, NewJob, Page, Transition
from controller.ports.webhook import FakeWebhook
from controller.runs.planning.planner import Planner
from controller.runs.procedures import Resting, Tools
from controller.runs.transaction.record import always
from tests.support.launch import prepared
from tests.support.soak import TURNS
from tests.unit.plan import samples
from tests.unit.runs.group_bench import Mortal
from tests.unit.runs.transaction_bench import (
    STATION,
    TARGET,
    InstantStore,
    Interrupter,
    Killed,
    MortalDevices,
    TransactionBench,
    retune,
)

HEAD = "name: own\ndescription: A playbook.\ntargets: '*'\nsteps:\n"
LOCK = "  - {name: lock, action: lock-cell, with: {cells: ['L1']}, register: locked}\n"
LOOK = "  - {name: look, action: read-state}\n"
TELL = "  - {name: tell, action: notify, with: {text: '{{ locked.cells|join }}'}}\n"
RETRIED = "  - {name: lock, action: lock-cell, with: {cells: ['L1']}, retries: 1}\n"
FAIL = "  - {name: fail, action: read-state, checks: ['{{ output.cells_on_air > 90 }}']}\n"


class Rests(Exception):  # noqa: N818 - no error
    """The job has nothing to do but wait."""


class PlaybookBench:
    """A station with a playbook's run."""

    def __init__(
        self, steps: str, actions: Registry | None = None, sources: tuple[str, ...] = ("sftp://10.0.0.1/",)
    ) -> None:
        self.sources = sources
        self.transactions = TransactionBench(retune())
        self.actions = actions or registry()
        self.webhook = FakeWebhook()
        store, network = self.transactions.store, samples.network()
        nodes = [LedgerNode(path=path, owners=("host",)) for path in self.transactions.device.running]
        store.devices.adopt(STATION, nodes, network_digest(network), "ana")
        report = Report()
        loaded = parse(HEAD + steps, "own.yaml", self.actions, report)
        assert loaded is not None, report.problems
        plan = seal(
            created=self.transactions.clock.now(),
            network=network.header.id,
            network_digest=network_digest(network),
            selector="*",
            changes=(),
        )
        store.plans.save(plan, "ana")
        # The bench's own run is of no interest here.
        store.runs.cancel(self.transactions.run.id, "ana")
        store.runs.advance(
            self.transactions.run.id, lambda _run, _jobs: Transition(RunState.CANCELLING, cancel_rest=True)
        )
        used = RunPlaybook(name="own", digest=loaded.digest, text=loaded.text)
        self.run: Run = store.runs.create(
            prepared(plan, "own", Strategy(), [NewJob(0, STATION)], actor="ana", playbook=used)
        )
        store.runs.advance(self.run.id, lambda _run, _jobs: Transition(RunState.RUNNING, wave=0))

    async def work(self, claim: Claim, interrupter: Interrupter) -> JobResult:
        store = InstantStore(self.transactions.store, interrupter)
        devices = MortalDevices(self.transactions.devices, interrupter)
        planner = Planner(store, devices, self.transactions.clock, lambda _network, _station: TARGET)  # type: ignore[arg-type]
        around = ActionServices(store, planner, self.webhook, self.transactions.clock, sources=self.sources)
        tools = Tools(store, devices, self.transactions.clock, lambda _network, _station: TARGET)  # type: ignore[arg-type]
        result = await PlaybookProcedure(around, self.actions).work(claim, tools, always)
        if isinstance(result, Resting):
            rest = result
            await store.claims.release(claim, rest.reason, keep_transaction=True, until=rest.until)
            raise Rests(rest)
        ended = result
        await store.claims.finish(claim, ended)
        return ended

    @property
    def lock(self) -> str:
        running = self.transactions.device.running
        path = next(entry.path for entry in cells(running) if entry.cell == "L1")
        return administrative_state(running, path)

    def settled(self, result: JobResult, outcome: Outcome, lock: str) -> None:
        """Device and record say the same, now and after every timer."""
        assert result.outcome is outcome, result
        self.transactions.outlive_timers()
        assert self.lock == lock
        assert not self.transactions.device.pending
        assert not self.transactions.device.lock_holder
        store = self.transactions.store
        assert not store.claims.busy([STATION])
        assert not [row for row in store.steps.find(f"{self.run.id}.0.{STATION}") if row.state is StepState.STARTED]
        assert store.audit.verify() is None
        _, rows = store.audit.page(Page(limit=1000))
        assert sum(row.action == "job.finished" for row in rows) == 1


CASES = [
    pytest.param(LOCK + LOOK + TELL, Outcome.SUCCEEDED, "LOCKED", id="succeeds"),
    pytest.param(LOCK + FAIL, Outcome.ROLLED_BACK, "UNLOCKED", id="undone"),
]


@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(("steps", "outcome", "lock"), CASES)
async def test_killed_at_every_call(steps: str, outcome: Outcome, lock: str, after: bool, turn: int) -> None:
    at = 0
    while True:
        at += 1
        bench = PlaybookBench(steps)
        claim = bench.transactions.claim()
        try:
            result = await bench.work(claim, Interrupter(at, after, hung=(at + after + turn) % 2 == 0))
            break
        except Killed:
            done = [job for job in bench.transactions.store.runs.jobs(bench.run.id) if job.outcome is not None]
            bench.transactions.declare_dead(claim)
            if done:  # the last call took effect, only its answer was lost
                assert done[0].outcome is outcome
                continue
            result = await bench.work(bench.transactions.claim(), Interrupter())
        bench.settled(result, outcome, lock)
        said = bench.webhook.sent
        assert len(said) == ("tell" in steps)
    bench.settled(result, outcome, lock)
    assert at > 20


async def test_finished_steps_are_not_done_again() -> None:
    bench = PlaybookBench(LOCK + LOOK + TELL)
    await bench.work(bench.transactions.claim(), Interrupter())
    rows = bench.transactions.store.steps.find(f"{bench.run.id}.0.{STATION}")
    assert [(row.name, row.state, row.attempt) for row in rows] == [
        ("lock", StepState.DONE, 1),
        ("look", StepState.DONE, 1),
        ("tell", StepState.DONE, 1),
    ]
    assert rows[0].changed
    assert rows[2].inputs["text"] == "L1"


async def test_a_further_try_is_not_lost_with_its_worker() -> None:
    """The first try is refused; wherever the worker dies, the second one follows."""
    for at in range(1, 60):
        bench = PlaybookBench(RETRIED)
        bench.transactions.fault("edit", Wrong.REFUSE)
        claim = bench.transactions.claim()
        try:
            result = await bench.work(claim, Mortal(at))
        except Killed:
            bench.transactions.declare_dead(claim)
            result = await bench.work(bench.transactions.claim(), Interrupter())
            bench.settled(result, Outcome.SUCCEEDED, "LOCKED")
        else:
            assert at > 30
            return
    raise AssertionError("it never came to its end")
