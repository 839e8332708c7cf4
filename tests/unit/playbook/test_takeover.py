"""Workers that die at any moment of a playbook: whoever takes over ends in the same state, done once and on record."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Row, bindparam, select, text

from controller.drivers.address import secret_for
from controller.drivers.fake import Fault, FaultKind
from controller.inventory.source import Report
from controller.models.credentials import LOOPBACK_ONLY, Credentials
from controller.models.network import network_digest
from controller.models.plan import LedgerNode
from controller.models.run import PERSON, Job, JobState, JournalEntry, Outcome, Strategy
from controller.models.sharing import ActionClass
from controller.models.step import RunPlaybook, StepRecord, StepState
from controller.nrm.profiles import administrative_state, cells
from controller.playbook.actions.shipped import registry
from controller.playbook.engine.context import ActionServices
from controller.playbook.engine.job import PlaybookProcedure
from controller.playbook.language.library import parse
from controller.playbook.language.registry import Registry
from controller.ports.secrets import FakeSecrets, Secrets
from controller.ports.webhook import FakeWebhook
from controller.runs.planning.planner import Planner
from controller.runs.procedures import Tools
from controller.store import NewJob, Page
from controller.store.jobs.run_rows import jobs
from tests.support.soak import TURNS
from tests.unit.plan.samples import LTE_CELL
from tests.unit.runs.group_bench import GroupBench, Mortal, kills
from tests.unit.runs.transaction_bench import STATION, TARGET, Killed, Scenario, add_tenant, retune

HEAD = "name: own\ndescription: A playbook.\ntargets: '*'\nsteps:\n"
PLANNED = "plan: {reserved: true}\n" + HEAD
LOCK = "  - {name: lock, action: lock-cell, with: {cells: ['L1']}, register: locked}\n"
LOOK = "  - {name: look, action: read-state}\n"
TELL = "  - {name: tell, action: notify, with: {text: '{{ locked.cells|join }}'}}\n"
RETRIED = "  - {name: lock, action: lock-cell, with: {cells: ['L1']}, retries: 1}\n"
APPLY = "  - {name: apply, action: apply-intent}\n"
OPEN = "  - {name: open, action: open-plmns, with: {tenant: gamma}}\n"
FAIL = "  - {name: fail, action: read-state, checks: ['{{ output.cells_on_air > 90 }}']}\n"

#: A run has one job here.
_JOB = select(jobs.c.state, jobs.c.ready, jobs.c.outcome).where(jobs.c.run == bindparam("of"))


class Rests(Exception):  # noqa: N818 - no error
    """The job has nothing to do but wait.

    Args:
        why: As its detail says.
        until: When it may go on, if nothing happens before.
    """

    def __init__(self, why: str, until: datetime) -> None:
        super().__init__(why)
        self.until = until


class PlaybookBench:
    """A playbook's run on one station, and the workers that carry it out."""

    def __init__(
        self,
        steps: str,
        actions: Registry | None = None,
        sources: tuple[str, ...] = ("sftp://10.0.0.1/",),
        scenario: Scenario | None = None,
        bound: bool = False,
        opens: Sequence[tuple[float, float]] = (),
        spared: tuple[tuple[str, str], ...] = (),
        asks: tuple[tuple[str, ActionClass], ...] | None = None,
        about: tuple[str, ...] = (),
        cause: str = PERSON,
        head: str = "",
        parameters: Mapping[str, str] | None = None,
        secrets: Secrets | None = None,
        credentials: Credentials = LOOPBACK_ONLY,
    ) -> None:
        self.secrets, self.credentials = secrets or FakeSecrets({}), credentials
        self.sources = sources
        self.actions = actions or registry()
        self.webhook = FakeWebhook()
        report = Report()
        loaded = parse((head or (PLANNED if APPLY in steps else HEAD)) + steps, "own.yaml", self.actions, report)
        assert loaded is not None, report.problems
        used = RunPlaybook(name="own", digest=loaded.digest, text=loaded.text, parameters=dict(parameters or {}))
        self.group = GroupBench(
            [NewJob(0, STATION)],
            Strategy(check_timeout=2),
            scenario=scenario or retune(),
            procedure=self._procedure,
            playbook=used,
            bound=bound,
            opens=opens,
            spared=spared,
            asks=asks,
            about=about,
            cause=cause,
        )  # fmt: skip
        self.store, self.clock, self.device = self.group.store, self.group.clock, self.group[STATION]
        nodes = [LedgerNode(path=path, owners=("host",)) for path in self.device.running]
        self.store.devices.adopt(STATION, nodes, network_digest(self.group.network), "ana")

    def _procedure(self, tools: Tools) -> PlaybookProcedure:
        planner = Planner(tools.store, tools.devices, tools.clock, lambda _network, _station: TARGET)
        services = ActionServices(
            tools.store,
            planner,
            self.webhook,
            tools.clock,
            sources=self.sources,
            credentials=self.credentials,
            secret_for=partial(secret_for, self.secrets),
            to_mask=self.secrets.to_mask,
        )
        return PlaybookProcedure(services, self.actions)

    async def work(self, life: Mortal | None = None) -> Job:
        """A process that works until the job has ended.

        Raises:
            Killed: It died before.
            Rests: The job gave its worker free.
        """
        if not await self.group.shift(life or Mortal(), until=self._ends_or_rests):
            raise Killed
        if self.job.outcome is None:
            raise Rests(self.job.detail, self._on_record.ready)
        return self.job

    @property
    def run(self) -> str:
        return self.group.run

    @property
    def job(self) -> Job:
        return self.group.job(STATION)

    @property
    def _on_record(self) -> Row[Any, Any, Any]:
        with self.store.database.engine.connect() as connection:
            return connection.execute(_JOB, {"of": self.run}).one()

    def _ends_or_rests(self) -> bool:
        job = self._on_record
        rests = job.state == JobState.READY.value and job.ready is not None and job.ready > self.clock.now()
        return job.outcome is not None or rests

    def rows(self) -> list[StepRecord]:
        """Steps of the job on record."""
        return self.store.steps.find(self.job.id)

    def journal(self) -> list[JournalEntry]:
        """What is on record of the job's transactions."""
        query = text('SELECT DISTINCT "transaction" FROM journal')
        with self.store.database.engine.connect() as connection:
            names = connection.execute(query).scalars().all()
        return [row for name in names for row in self.store.journal.find(name)]

    def fault(self, operation: str, wrong: FaultKind | None = None, *, skip: int = 0) -> None:
        self.device.faults.append(Fault(operation, wrong, skip=skip))

    def act(self, operation: str, act: Callable[[], None], *, skip: int = 0) -> None:
        self.device.faults.append(Fault(operation, None, act, skip))

    @property
    def lock(self) -> str:
        running = self.device.running
        path = next(entry.path for entry in cells(running) if entry.cell == "L1")
        return administrative_state(running, path)

    def settled(self, job: Job, outcome: Outcome, lock: str) -> None:
        """Device and record say the same, now and after every timer."""
        assert job.outcome is outcome, job
        self.clock.pause(4000)
        assert self.lock == lock
        assert not self.device.pending
        assert not self.device.lock_holder
        assert not self.store.claims.busy([STATION])
        assert not [row for row in self.rows() if row.state is StepState.STARTED]
        assert self.store.audit.verify() is None
        _, rows = self.store.audit.page(Page(limit=1000))
        assert sum(row.action == "job.finished" for row in rows) == 1


CASES = [
    pytest.param(LOCK + LOOK + TELL, Outcome.SUCCEEDED, "LOCKED", id="succeeds"),
    pytest.param(LOCK + FAIL, Outcome.ROLLED_BACK, "UNLOCKED", id="undone"),
]


@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize(("steps", "outcome", "lock"), CASES)
async def test_killed_at_every_call(steps: str, outcome: Outcome, lock: str, turn: int) -> None:
    played = await kills(lambda life: PlaybookBench(steps).work(life), turn)
    for death in played:
        bench = PlaybookBench(steps)
        try:
            result = await bench.work(death)
        except Killed:
            done = [job for job in bench.store.runs.jobs(bench.run) if job.outcome is not None]
            if done:  # the last call took effect, only its answer was lost
                assert done[0].outcome is outcome
                continue
            result = await bench.work()
        bench.settled(result, outcome, lock)
        said = bench.webhook.sent
        assert len(said) == ("tell" in steps)
    assert len(played) > 6


async def test_finished_steps_are_not_done_again() -> None:
    bench = PlaybookBench(LOCK + LOOK + TELL)
    await bench.work()
    rows = bench.rows()
    assert [(row.name, row.state, row.attempt) for row in rows] == [
        ("lock", StepState.DONE, 1),
        ("look", StepState.DONE, 1),
        ("tell", StepState.DONE, 1),
    ]
    assert rows[0].changed
    assert rows[2].inputs["text"] == "L1"


async def test_a_further_try_is_not_lost_with_its_worker() -> None:
    """The first try is refused; wherever the worker dies, the second one follows."""

    def retried() -> PlaybookBench:
        bench = PlaybookBench(RETRIED)
        bench.fault("edit", FaultKind.REFUSE)
        return bench

    played = await kills(lambda life: retried().work(life))
    for death in played:
        bench = retried()
        with suppress(Killed):
            await bench.work(death)
        if bench.job.outcome is None:
            await bench.work()
        bench.settled(bench.job, Outcome.SUCCEEDED, "LOCKED")
    assert len(played) > 6


PLMN = f"{LTE_CELL}/plmnIdList[716,03]"


@pytest.mark.parametrize(
    ("steps", "outcome", "stride"),
    [
        pytest.param(APPLY + OPEN, Outcome.SUCCEEDED, 1, id="opened"),
        pytest.param(APPLY + OPEN + FAIL, Outcome.ROLLED_BACK, 3, id="closed and taken back"),
    ],
)
async def test_a_tenant_that_is_tested_before_it_is_opened_comes_whole_or_not(
    steps: str, outcome: Outcome, stride: int
) -> None:
    def coming() -> PlaybookBench:
        return PlaybookBench(steps, scenario=add_tenant(reserved=True))

    played = await kills(lambda life: coming().work(life))
    for death in played[::stride]:
        bench = coming()
        before = dict(bench.device.running)
        with suppress(Killed):
            await bench.work(death)
        if bench.job.outcome is None:
            await bench.work()
        bench.settled(bench.job, outcome, "UNLOCKED")
        theirs = {path: leaves for path, leaves in bench.device.running.items() if path in before}
        assert theirs == before
        ledger = bench.store.ledger.find([STATION])[STATION]
        # On air and open to all, on record too; or gone.
        assert bench.device.running.get(PLMN) == ({} if outcome.good else None)
        assert (PLMN in ledger and ledger[PLMN].leaves == {}) is outcome.good
    assert len(played) > 12
