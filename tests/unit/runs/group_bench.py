"""Several stations that are decided together, and processes that work on them and may die."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import time, timedelta
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import bindparam, select, text

from controller.drivers.fake import FakeDevice, FakeDevices
from controller.drivers.netconf.target import NetconfTarget
from controller.drivers.protocols import Capabilities
from controller.drivers.target import DeviceTarget
from controller.models.approval import PartyWindows, RunConstraints, StationConstraints
from controller.models.network import Network, network_digest
from controller.models.plan import Changes, Plan
from controller.models.run import PERSON, Job, JobState, JournalStep, Outcome, RunState, Strategy
from controller.models.sharing import ActionClass, MaintenanceWindow
from controller.models.step import RunPlaybook
from controller.nrm.tree import Tree
from controller.ports.clock import VirtualClock
from controller.ports.queue import FakeWakeups
from controller.runs.loop import WorkerLoop
from controller.runs.procedures import Apply, Forbids, Procedure, Tools
from controller.store import NewJob, Page, Store, open_store
from controller.store.jobs.run_rows import runs
from tests.support.launch import prepared
from tests.support.soak import SOAK
from tests.unit.plan import samples
from tests.unit.runs.transaction_bench import (
    TARGET,
    InstantStore,
    Interrupter,
    Killed,
    MortalDevices,
    Scenario,
    add_tenant,
    begin_anew,
)

#: Reason that the run of a bench is asked for with.
REASON = "INC-7"
_ZONE = ZoneInfo("America/Lima")
_STATE = select(runs.c.state).where(runs.c.id == bindparam("run"))


@dataclass
class Mortal(Interrupter):
    """A process that does nothing any more once it was killed, in whatever task.

    Attributes:
        clock: That of its bench.
        times: When it came to each call.
    """

    clock: VirtualClock | None = field(default=None, repr=False)
    times: list[float] = field(default_factory=list, repr=False)

    def due(self, name: str) -> bool:
        if self.dead:
            raise Killed
        if self.clock:
            self.times.append(self.clock.monotonic())
        return super().due(name)

    @property
    def dead(self) -> bool:
        return 0 < self.at <= len(self.calls)


@dataclass
class GroupBench:
    """One run on several stations, each with the same change; processes come one after the other.

    Attributes:
        jobs: What the run consists of, one station each.
        capabilities: Of stations that differ from the scenario's.
        bound: Whether processes look at holds and freezes.
        opens: Beginning and end of each window of a day, in seconds from now; empty if none binds. Then it is bound.
        spared: Cells and tenants of whom nobody was asked, see ``RunConstraints.spared``.
        asks: Tenants and classes of action that the run has asked for, on each station.
        about: The cells that this is about; empty for all.
        cause: Why the run is asked for.
        forbids: See ``Tools``.
    """

    jobs: Sequence[NewJob]
    strategy: Strategy
    capabilities: dict[str, Capabilities] = field(default_factory=dict)
    scenario: Scenario = field(default_factory=add_tenant)
    network: Network = field(default_factory=samples.network)
    procedure: Callable[[Tools], Procedure] = lambda _tools: Apply()
    playbook: RunPlaybook | None = None
    bound: bool = False
    opens: Sequence[tuple[float, float]] = ()
    spared: tuple[tuple[str, str], ...] = ()
    asks: tuple[tuple[str, ActionClass], ...] | None = None
    about: tuple[str, ...] = ()
    cause: str = PERSON
    forbids: Forbids = lambda _store, _run, _disturbance, _now: ""

    def __post_init__(self) -> None:
        changes = Changes.of(self.scenario.change.model_copy(update={"station": job.station}) for job in self.jobs)
        made = {"changes": changes, "network_digest": network_digest(self.network)}
        self._plan = self.scenario.plan.model_copy(update=made)
        self.store, self.clock = _fresh_store(self.network, self._plan)
        self._later: list[tuple[float, Callable[[], None]]] = []
        self.devices = FakeDevices(self.clock)
        for name in (job.station for job in self.jobs):
            able = self.capabilities.get(name, self.scenario.capabilities)
            self.devices.add(name, samples.PROFILES, self.scenario.before.tree, able)
        self.again()

    def again(self) -> None:
        """Accept a run of the plan."""
        name = "own" if self.playbook else "apply"
        windows = tuple(MaintenanceWindow(start=self._local(begin), end=self._local(end)) for begin, end in self.opens)
        group = StationConstraints(
            region="r",
            timezone=_ZONE.key,
            asks=self.asks or (),
            windows=(PartyWindows(windows=windows),) if windows else (),
            interrupts=bool(windows),
        )
        constraints = RunConstraints(
            subject="s",
            groups=(group,),
            stations={job.station: ("s", 0) for job in self.jobs},
            about={job.station: self.about for job in self.jobs if self.about},
            spared={job.station: self.spared for job in self.jobs if self.spared},
        )
        run = self.store.runs.create(
            prepared(
                self._plan,
                name,
                self.strategy,
                self.jobs,
                actor="ana",
                cause=self.cause,
                reason=REASON,
                playbook=self.playbook,
                constraints=constraints if self.bound or windows or self.spared or self.asks is not None else None,
            )
        )
        self.run = run.id

    def _local(self, seconds: float) -> time:
        at = self.clock.now() + timedelta(seconds=seconds)
        return at.astimezone(_ZONE).time().replace(microsecond=0)

    def __getitem__(self, station: str) -> FakeDevice:
        return self.devices[station]

    def job(self, station: str) -> Job:
        return next(job for job in self.store.runs.jobs(self.run) if job.station == station)

    def break_links(self, station: str) -> None:
        """The new tenant's core does not answer there."""
        self[station].broken_links = {path for path in self.scenario.after if "EP_S1C[gamma" in path}

    def after(self, seconds: float, act: Callable[[], None]) -> None:
        """Let somebody do something later."""
        self._later.append((self.clock.monotonic() + seconds, act))

    async def work(self, *deaths: Mortal, pause: float = 0.0) -> None:
        """Processes that die one after the other, ``pause`` seconds between them, and one that lives."""
        for death in (*deaths, Mortal()):
            if await self.shift(death):
                return
            self.clock.pause(pause)

    async def shift(self, life: Mortal, *, seconds: float = 2000.0, until: Callable[[], bool] | None = None) -> bool:
        """One process's life; whether the run came to its end, or rests in a pause, before the process died.

        Args:
            until: What to wait for instead.
        """
        until = until or self._is_over
        end = self.clock.monotonic() + seconds
        async with self.process(life) as process:
            while self.clock.monotonic() < end:
                for due, act in tuple(self._later):
                    if due <= self.clock.monotonic():
                        self._later.remove((due, act))
                        act()
                await self.clock.advance(0.5)
                if process.done() or life.dead:
                    return False
                if until():
                    return True
            raise AssertionError(f"the run hangs: {self.store.runs.jobs(self.run)}")

    @asynccontextmanager
    async def process(self, life: Mortal) -> AsyncIterator[asyncio.Task[None]]:
        """A process, which has ended afterwards and was declared dead."""
        life.clock = self.clock
        tools = Tools(InstantStore(self.store, life), MortalDevices(self.devices, life), self.clock, _target)  # type: ignore[arg-type]
        procedure = self.procedure(tools)
        tools = replace(tools, procedure_of=lambda _run: procedure, forbids=self.forbids)
        asyncio.get_running_loop().set_exception_handler(_unless_killed)
        process = asyncio.create_task(WorkerLoop("w", tools, FakeWakeups()).run(asyncio.Event()))
        try:
            yield process
        finally:
            process.cancel()
            (ended,) = await asyncio.gather(process, return_exceptions=True)
            self.declare_dead()
            assert isinstance(ended, Killed | asyncio.CancelledError), ended

    def declare_dead(self) -> None:
        """Declare all processes dead that are on record as living."""
        for one in self.store.processes.alive():
            assert self.store.processes.declare_dead(one.id, one.counter)

    def _is_over(self) -> bool:
        if self.state() is not RunState.PAUSED:
            return self.state().terminal
        return not any(job.state in (JobState.READY, JobState.CLAIMED) for job in self.store.runs.jobs(self.run))

    # ------------------------------------------------------------------- looks

    def carried(self, station: str) -> str:
        """Which state the device carries: old, new, or neither."""
        running: Tree = self[station].running
        old, new = self.scenario.before.tree, self.scenario.after
        return "old" if running == old else "new" if running == new else "neither"

    def outcomes(self) -> dict[str, Outcome | None]:
        return {job.station: job.outcome for job in self.store.runs.jobs(self.run)}

    def state(self) -> RunState:
        # Benches ask this again and again.
        with self.store.database.engine.connect() as connection:
            return RunState(connection.execute(_STATE, {"run": self.run}).scalar_one())

    def steps(self, station: str) -> list[JournalStep]:
        """Steps on record of the job of a station."""
        query, job = text("SELECT step FROM journal WHERE job = :job ORDER BY seq"), self.job(station).id
        with self.store.database.engine.connect() as connection:
            return [JournalStep(step) for step in connection.execute(query, {"job": job}).scalars()]

    def assert_settled(self) -> None:
        """Devices, ledger and record say the same, now and after every timer; nothing is left behind."""
        assert self.state().terminal
        self.clock.pause(4000)
        for job in self.store.runs.jobs(self.run):
            assert job.outcome is not None
            device = self[job.station]
            if job.outcome is not Outcome.DIVERGED:
                assert self.carried(job.station) == ("new" if job.outcome.good else "old"), job
            assert not device.pending
            assert not device.lock_holder
            assert device.candidate == device.running
            gained = {node.path for node in self.scenario.change.gained}
            assert set(self.store.ledger.find().get(job.station, {})) == (gained if job.outcome.good else set()), job
        assert not self.store.claims.busy([job.station for job in self.jobs])
        assert self.store.audit.verify() is None
        _, rows = self.store.audit.page(Page(limit=1000))
        ended = [row.object for row in rows if row.action == "job.finished"]
        assert len(ended) == len(set(ended))
        decided = [
            (row.detail["wave"], row.detail.get("unit"), row.detail["gate"], row.detail.get("round"))
            for row in rows
            if row.action in ("gate.confirm", "gate.cancel")
        ]
        assert len(decided) == len(set(decided))


@cache
def _shared_store() -> tuple[Store, VirtualClock]:
    clock = VirtualClock()
    return open_store("sqlite://", clock), clock


def _fresh_store(network: Network, plan: Plan) -> tuple[Store, VirtualClock]:
    """Always the same store: making one takes longer than a run does. There is only one bench at a time."""
    store, clock = _shared_store()
    begin_anew(store, network, plan)
    return store, clock


def _unless_killed(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Tasks of a process that was killed end by that, and nobody asks them."""
    if not isinstance(context.get("exception"), Killed):
        loop.default_exception_handler(context)


def _target(_network: Network, station: str) -> DeviceTarget:
    return NetconfTarget(
        station, TARGET.profiles, TARGET.address, TARGET.port, TARGET.host_key, TARGET.username, TARGET.credential
    )


#: Outside of the soak a worker dies at all calls that do something at a device, at this part of those that only look at
#: the device or stand beside one of either kind, and at this part of others, at which the record is only looked at.
_NEAR, _FAR = 0.2, 0.05
_LOOKS = {"record", "read", "equipment"}


def moments(calls: Sequence[str], chance: random.Random) -> list[int]:
    """Calls at which a worker is killed: in the soak at all."""
    return [
        at
        for at in range(1, len(calls) + 1)
        if SOAK or calls[at - 1] not in _LOOKS or chance.random() < _part(calls, at)
    ]


def _part(calls: Sequence[str], at: int) -> float:
    return _FAR if set(calls[max(0, at - 2) : at + 1]) == {"record"} else _NEAR


def deaths(whole: Mortal, chance: random.Random, turn: int = 0) -> list[Mortal]:
    """Deaths of a process that would do what another one did on one device; each leaves something else behind.

    One that dies behind a call leaves what one leaves that dies before its next call, unless time passes in between, or
    the device does not notice it: so only these die behind a call.

    Args:
        turn: Of connections that are closed and left hanging in turns, which begins.
    """
    calls, found = whole.calls, []
    for at in moments(calls, chance):
        found.append(Mortal(at, hung=(at + turn) % 2 == 0))
        last = at == len(calls)
        waits = last or whole.times[at] != whole.times[at - 1]
        hung = (at + turn) % 2 == 1
        if waits or (hung and calls[at - 1] != "record" and calls[at] == "record"):
            found.append(Mortal(at, after=True, hung=hung))
    return found


async def kills(play: Callable[[Mortal], Awaitable[object]], turn: int = 0) -> list[Mortal]:
    """``deaths`` of a process that plays something; it is played once to find them."""
    whole = Mortal()
    await play(whole)
    return deaths(whole, random.Random(len(whole.calls)), turn)


def unit(*stations: str, ranks: Sequence[int] = ()) -> list[NewJob]:
    """One unit of a first wave."""
    given = ranks or [0] * len(stations)
    return [NewJob(0, station, stations[0], rank) for station, rank in zip(stations, given, strict=True)]
