"""A window that closes in the middle of a run, in virtual time: nothing begins until it opens again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from controller.drivers.fake import FakeDevices
from controller.intent.windows import Calendar
from controller.models.approval import PartyWindows, RunConstraints, StationConstraints
from controller.models.network import network_digest
from controller.models.run import AuditRow, GateChoice, Job, JobState, Outcome, Policy, RunState, Strategy
from controller.models.sharing import MaintenanceWindow
from controller.ports.clock import VirtualClock
from controller.ports.queue import FakeWakeups
from controller.runs.loop import WorkerLoop
from controller.runs.procedures import Tools
from controller.runs.rollout.group_decisions import ROUNDS
from controller.store import NewJob, Page, RunRequest, open_store
from tests.support.launch import prepared, submit
from tests.unit.plan import samples
from tests.unit.runs.transaction_bench import TARGET
from tests.unit.runs.worker_bench import FlakyStore, WorkerBench

#: The clock starts at 19:00 in Lima; the first window closes 80 s later, the second one opens 100 s later.
WINDOWS = tuple(
    MaintenanceWindow.model_validate({"start": start, "end": end})
    for start, end in (("18:00:00", "19:01:20"), ("19:01:40", "20:00:00"))
)

ALONE = Strategy(confirm_timeout=30, soak=60)
TOGETHER = Strategy(policy=Policy.WAVE, confirm_timeout=44, check_timeout=1)
#: One after the other, and both decided at once.
RANKED = (NewJob(0, "S1", "S1", 0), NewJob(0, "S2", "S1", 1))


class TwoStations(WorkerBench):
    """Two stations that get a third tenant, in windows."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.store = open_store("sqlite://", self.clock)
        self.devices = FakeDevices(self.clock)
        self.wakeups = FakeWakeups()
        old, new = samples.network(), samples.network(("alfa", "beta", "gamma"))
        views = {station: samples.view(old, station) for station in ("S1", "S2")}
        self.made = samples.plan(new, views)
        for station, view in views.items():
            assert view.observed is not None
            self.devices.add(station, samples.PROFILES, view.observed.tree)
        self.store.networks.save(old, network_digest(old), "ana")
        self.store.plans.save(self.made, "ana")

    def submit(
        self,
        strategy: Strategy = ALONE,
        jobs: Sequence[NewJob] = (NewJob(0, "S1"), NewJob(1, "S2")),
        windows: Calendar = WINDOWS,
    ) -> str:
        group = StationConstraints(
            region="r", timezone="America/Lima", tenants=("gamma",), windows=(PartyWindows(windows=windows),)
        )
        constraints = RunConstraints(subject="s", groups=(group,), stations={"S1": ("site-1", 0), "S2": ("site-2", 0)})
        run = self.store.runs.create(prepared(self.made, "apply", strategy, jobs, actor="ana", constraints=constraints))
        return run.id

    def worker(self, store: FlakyStore | None = None, name: str = "w") -> WorkerLoop:
        loop_store = store or FlakyStore(self.store)
        tools = Tools(loop_store, self.devices, self.clock, lambda _, station: replace(TARGET, device=station))
        return WorkerLoop(name, tools, self.wakeups)

    def jobs(self, run: str) -> list[Job]:
        return self.store.runs.jobs(run)

    def carried(self) -> list[bool]:
        """Which of the stations carry the change."""
        return [len(self.devices[name].history) % 2 == 0 for name in ("S1", "S2")]

    def actions(self, name: str) -> list[AuditRow]:
        return [row for row in self.store.audit.page(Page(limit=1000))[1] if row.action == name]

    def at(self, seconds: float) -> datetime:
        return VirtualClock().now() + timedelta(seconds=seconds)


@pytest.fixture
def bench() -> Iterator[TwoStations]:
    made = TwoStations()
    yield made
    made.store.close()


async def test_a_run_rests_while_its_window_is_closed(bench: TwoStations) -> None:
    run = bench.submit()
    async with bench.working(bench.worker()):
        await bench.advance(30)
        first, second = bench.jobs(run)
        assert (first.outcome, first.closes) == (Outcome.SUCCEEDED, bench.at(80))
        # The soak is over while the window is still open, but no longer for a whole confirm time-out.
        await bench.advance(65)
        second = bench.jobs(run)[1]
        assert (second.outcome, second.attempts) == (None, 0)
        assert second.blocked == "window opens 2025-12-31 19:01 (America/Lima)"
        assert bench.store.runs.get(run).state is RunState.RUNNING
        await bench.advance(25)
        second = bench.jobs(run)[1]
        assert second.outcome is Outcome.SUCCEEDED
        assert second.started is not None
        assert second.started >= bench.at(100)
        assert bench.store.runs.get(run).state is RunState.SUCCEEDED


@pytest.mark.parametrize("policy", [Policy.WAVE, Policy.UNIT])
async def test_a_group_that_its_closing_window_takes_back_goes_on_in_the_next_one(
    bench: TwoStations, policy: Policy
) -> None:
    """It is no failure: one would stop the run."""
    bench.devices["S1"].latency = bench.devices["S2"].latency = 4.1  # so slow that its timer outlasts the window
    async with bench.working(bench.worker()):
        await bench.advance(34)
        run = bench.submit(TOGETHER.model_copy(update={"policy": policy}), RANKED)
        await bench.advance(44)
        assert [job.gate for job in bench.jobs(run)] == [0, None]
        bench.devices["S1"].latency = bench.devices["S2"].latency = 1.0
        await bench.advance(17)
        assert bench.carried() == [False, False]
        assert not any(bench.devices[name].lock_holder for name in ("S1", "S2"))
        assert [(job.state, job.round, job.outcome) for job in bench.jobs(run)] == [(JobState.WAITING, 1, None)] * 2
        assert bench.store.runs.get(run).waits == {"window opens 2025-12-31 19:01 (America/Lima)": 2}
        assert bench.store.runs.get(run).counts == {"pending": 2}
        bench.devices["S1"].latency = bench.devices["S2"].latency = 0.0
        await bench.advance(15)
    assert bench.store.runs.get(run).state is RunState.SUCCEEDED
    assert bench.carried() == [True, True]
    assert all(job.started is not None and job.started >= bench.at(100) for job in bench.jobs(run))
    found = bench.store.gates.decisions([(run, 0)])
    assert [(one.round, one.choice) for one in found] == [(0, GateChoice.POSTPONE), (1, GateChoice.CONFIRM)]
    assert found[0].reason == "the window of S1 closed"
    assert len(bench.actions("job.postponed")) == len(bench.actions("job.finished")) == 2
    assert bench.store.audit.verify() is None


async def test_what_was_begun_goes_on_although_the_window_is_too_short_to_begin(bench: TwoStations) -> None:
    """The rest of it needs no whole timer: it has what the first of it have left."""
    bench.devices["S1"].latency = 0.5
    async with bench.working(bench.worker()):
        await bench.advance(33)
        run = bench.submit(TOGETHER, RANKED)
        await bench.advance(2)
        assert bench.jobs(run)[0].started is not None
        await bench.advance(25)
        assert bench.store.runs.get(run).state is RunState.SUCCEEDED
    assert [one.round for one in bench.store.gates.decisions([(run, 0)])] == [0]


@pytest.mark.parametrize("what", ["hold", "freeze"])
async def test_a_hold_or_a_freeze_on_the_rest_of_a_group_postpones_it(bench: TwoStations, what: str) -> None:
    bench.devices["S1"].latency = 0.5
    async with bench.working(bench.worker()):
        run = bench.submit(TOGETHER, RANKED, windows=())
        await bench.advance(3)
        assert bench.jobs(run)[0].state is JobState.CLAIMED
        if what == "hold":
            hold = bench.store.holds.add("S2", "ana", "on the mast", None)
        else:
            bench.store.freezes.add("region:r", bench.at(0), bench.at(60), "ana", "elections")
        await bench.advance(20)
        assert [(job.state, job.round) for job in bench.jobs(run)] == [(JobState.WAITING, 1)] * 2
        (reason,) = bench.store.runs.get(run).waits
        assert ("on the mast" if what == "hold" else "elections") in reason
        assert bench.carried() == [False, False]
        if what == "hold":
            bench.store.holds.end(hold.id, "ana")
        await bench.advance(50)
        assert bench.store.runs.get(run).state is RunState.SUCCEEDED
    assert bench.carried() == [True, True]


async def test_a_group_that_is_postponed_again_and_again_fails_in_the_end(bench: TwoStations) -> None:
    """Somebody has to look: each time its stations change for nothing."""
    bench.devices["S1"].latency = 0.5
    async with bench.working(bench.worker()):
        run = bench.submit(TOGETHER, RANKED, windows=())
        for _ in range(ROUNDS):
            await bench.advance(3)
            assert bench.jobs(run)[0].state is JobState.CLAIMED
            hold = bench.store.holds.add("S2", "ana", "on the mast", None)
            await bench.advance(20)
            bench.store.holds.end(hold.id, "ana")
        await bench.advance(5)
        ended = bench.store.runs.get(run)
        assert ended.state is RunState.FAILED
    assert [job.outcome for job in bench.jobs(run)] == [Outcome.WITHDRAWN] * 2
    assert "it was begun 5 times" in bench.jobs(run)[0].detail
    assert bench.carried() == [False, False]


async def test_a_worker_dies_while_a_group_is_taken_back_for_its_window(bench: TwoStations) -> None:
    """Whoever comes next takes back what is left, and the group waits all the same."""
    bench.devices["S1"].latency = bench.devices["S2"].latency = 4.0
    frozen = FlakyStore(bench.store)
    async with bench.working(bench.worker(frozen, "frozen")):
        await bench.advance(34)
        run = bench.submit(TOGETHER, RANKED)
        await bench.advance(44)
        frozen.thawed.clear()
        async with bench.working(bench.worker(name="living")):
            await bench.advance(20)
            bench.devices["S1"].latency = bench.devices["S2"].latency = 0.0
            await bench.advance(60)
            frozen.thawed.set()
            await bench.advance(5)
        assert bench.store.runs.get(run).state is RunState.SUCCEEDED
    assert bench.carried() == [True, True]
    assert len(bench.actions("job.finished")) == 2


@pytest.mark.parametrize("ask", ["pause", "cancel"])
async def test_people_stop_a_run_that_was_postponed(bench: TwoStations, ask: str) -> None:
    bench.devices["S1"].latency = 0.5
    async with bench.working(bench.worker()):
        run = bench.submit(TOGETHER, RANKED, windows=())
        await bench.advance(3)
        hold = bench.store.holds.add("S2", "ana", "on the mast", None)
        await bench.advance(20)
        (bench.store.runs.pause if ask == "pause" else bench.store.runs.cancel)(run, "ana")
        bench.store.holds.end(hold.id, "ana")
        await bench.advance(10)
        assert bench.store.runs.get(run).state is (RunState.PAUSED if ask == "pause" else RunState.CANCELLED)
        assert bench.carried() == [False, False]
        bench.store.runs.resume(run, "ana")
        await bench.advance(20)
        assert bench.carried() == [ask == "pause"] * 2


async def test_a_tenant_s_window_is_kept_by_all_that_interrupts_it(bench: TwoStations) -> None:
    """From its agreement to the next window, as a person applies a plan."""
    old = samples.network()
    cells = [cell.model_dump() | {"pci": 7} for cell in old.cells if cell.rat == "LTE"]
    cells += [cell.model_dump() for cell in old.cells if cell.rat != "LTE"]
    windows = [window.model_dump(mode="json") for window in WINDOWS]
    agreements = [agreement.model_dump(mode="json") for agreement in old.agreements]
    agreements[1]["windows"] = windows
    new = samples.network(cells=cells, agreements=agreements)
    plan = samples.plan(new, {station: samples.view(old, station) for station in ("S1", "S2")})
    assert plan.changes[0].interrupted == ("alfa", "beta")
    bench.store.networks.save(new, network_digest(new), "ana")
    bench.store.plans.save(plan, "ana")
    for name in ("S1", "S2"):
        bench.devices[name].latency = 4.0
    before = {name: bench.devices[name].running for name in ("S1", "S2")}
    strategy = TOGETHER.model_copy(update={"canary": 0, "parallel": 1})
    async with bench.working(bench.worker()):
        await bench.advance(34)
        run = submit(bench.store, bench.wakeups, RunRequest(plan=plan, actor="ana", strategy=strategy)).id
        await bench.advance(45)
        assert any(bench.devices[name].running != before[name] for name in before)
        for name in ("S1", "S2"):
            bench.devices[name].latency = 0.25
        await bench.advance(18)
        assert {name: bench.devices[name].running for name in before} == before
        assert [(job.state, job.round) for job in bench.jobs(run)] == [(JobState.WAITING, 1)] * 2
        assert bench.store.runs.get(run).waits == {"window opens 2025-12-31 19:01 (America/Lima)": 2}
        await bench.advance(40)
        assert bench.store.runs.get(run).state is RunState.SUCCEEDED, bench.jobs(run)
    assert [row.detail["reason"] for row in bench.actions("gate.postpone")] == ["the window of S1 closed"]
