"""How a server behaves is tried out at each station once, with a commit of nothing, and what it wants is then done."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from sqlalchemy import update

from controller.drivers.fake import SAFE, FakeDevice, Fault, FaultKind
from controller.drivers.target import DeviceTarget
from controller.models.behaviour import Behaviour, FollowUp, Server
from controller.models.errors import NotClearedError, SessionLostError
from controller.models.run import JournalStep, Outcome, RunState, Strategy
from controller.models.waiting import WaitCode, WaitReason
from controller.ports.clock import VirtualClock
from controller.runs.planning.planner import Planner
from controller.runs.transaction.patience import Patience
from controller.runs.transaction.probe import Findings
from controller.runs.transaction.record import Record
from controller.runs.transaction.transaction import Transaction
from controller.store import Page
from controller.store.jobs.run_rows import jobs, packed_reasons
from tests.unit.plan import samples
from tests.unit.plan.samples import LTE_CELL
from tests.unit.runs.group_bench import GroupBench, unit
from tests.unit.runs.transaction_bench import (
    QUICK,
    STATION,
    TARGET,
    InstantStore,
    Interrupter,
    Killed,
    Scenario,
    TransactionBench,
    add_tenant,
    retune,
)

#: Of software that nobody knows yet.
UNKNOWN = replace(SAFE, software="acme-1")


def known_of(
    bench: TransactionBench | GroupBench, station: str = STATION, software: str = "acme-1"
) -> Behaviour | None:
    return bench.store.behaviours.get(Server(station, TARGET.identity, software))


@pytest.mark.parametrize("form", FollowUp)
async def test_a_change_in_phases_follows_up_as_the_server_wants_it(form: FollowUp) -> None:
    bench = TransactionBench(retune(UNKNOWN), QUICK)
    bench.device.follow_up = form
    result = await bench.work()
    assert result.outcome is Outcome.SUCCEEDED, result.detail
    assert JournalStep.CONFIRMING in bench.steps  # it was guarded by a confirmed commit
    assert known_of(bench) == Behaviour(follow_up=form)
    bench.assert_settled(result)


async def test_the_probe_changes_nothing_and_comes_before_anything_is_locked_on_air() -> None:
    bench = TransactionBench(retune(UNKNOWN), QUICK)
    history: list[int] = []
    bench.device.faults.append(Fault("cancel", act=lambda: history.append(bench.changes)))
    assert (await bench.work()).outcome is Outcome.SUCCEEDED
    assert history == [0]
    assert bench.steps[:4] == [JournalStep.OPENED, JournalStep.LOCKED, JournalStep.PROBING, JournalStep.READ]
    probing = bench.journal[2]
    assert probing.persist
    assert probing.deadline is not None


async def test_it_is_probed_once_and_remembered() -> None:
    bench = TransactionBench(retune(UNKNOWN), QUICK)
    assert (await bench.work()).outcome is Outcome.SUCCEEDED
    cancels = sum(line.endswith(" cancel") for line in bench.device.log)
    bench.device.foreign_edit([edit for phase in reversed(bench.scenario.change.phases) for edit in phase.inverse])
    bench.run = bench.start(QUICK)
    assert (await bench.work()).outcome is Outcome.SUCCEEDED
    assert sum(line.endswith(" cancel") for line in bench.device.log) == cancels == 1
    _, rows = bench.store.audit.page(Page(limit=1000))
    assert [row.object for row in rows if row.action == "behaviour.learned"] == ["acme-1"]


async def test_who_takes_no_follow_up_is_changed_in_phases_by_the_stored_inverse() -> None:
    bench = TransactionBench(retune(UNKNOWN), QUICK)
    bench.device.follow_up = None
    result = await bench.work()
    assert result.outcome is Outcome.SUCCEEDED
    assert JournalStep.CONFIRMING not in bench.steps
    known = known_of(bench)
    assert known is not None
    assert (known.follow_up, known.cancels) == (None, True)
    assert "Persist ID given" in known.reason
    assert result.detail == f"changed without a timer, by the stored inverse alone: {known.reason}"
    bench.assert_settled(result)
    # A change of one phase needs none.
    one = TransactionBench(add_tenant(UNKNOWN), QUICK)
    one.device.follow_up = None
    guarded = await one.work()
    assert (guarded.outcome, guarded.detail) == (Outcome.SUCCEEDED, "")
    assert JournalStep.CONFIRMING in one.steps


@pytest.mark.parametrize("operation", ["commit_confirmed", "cancel"])
async def test_who_refuses_is_not_trusted(operation: str) -> None:
    bench = TransactionBench(add_tenant(UNKNOWN), QUICK)
    bench.fault(operation, FaultKind.REFUSE)
    result = await bench.work()
    assert result.outcome is Outcome.SUCCEEDED
    assert result.detail.startswith("changed without a timer, by the stored inverse alone: ")
    assert JournalStep.CONFIRMING not in bench.steps
    bench.assert_settled(result)
    assert (
        await Planner(InstantStore(bench.store), bench.devices, bench.clock, lambda *_: TARGET).read(
            samples.network(), STATION
        )
    ).reverts(1) is False


async def test_a_probe_that_does_harm_is_named_and_stops() -> None:
    """As a server whose cancel empties running."""
    bench = TransactionBench(add_tenant(UNKNOWN), QUICK)

    empties(bench.device)
    result = await bench.work()
    assert result.outcome is Outcome.DIVERGED
    assert "empty confirmed commit" in result.detail
    known = known_of(bench)
    assert known is not None
    assert not known.cancels


@pytest.mark.parametrize("denies", [False, True], ids=["locks", "locks denied"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_a_worker_that_dies_while_it_probes_leaves_nothing(after: bool, denies: bool) -> None:
    first = TransactionBench(retune(UNKNOWN), QUICK)
    calls = Interrupter()
    await first.transaction(first.claim(), calls).run()
    begin, end = calls.calls.index("commit_confirmed") + 1, calls.calls.index("cancel") + 3
    for at in range(begin, end):
        bench = TransactionBench(retune(UNKNOWN), QUICK)
        bench.device.denies_locks = denies
        claim = bench.claim()
        with pytest.raises(Killed):
            await bench.transaction(claim, Interrupter(at, after, hung=at % 2 == 0)).run()
        bench.declare_dead(claim)
        result = await bench.work()
        assert result.outcome is Outcome.SUCCEEDED, (at, result.detail)
        bench.assert_settled(result)


async def test_who_loses_the_session_at_each_probe_is_changed_without_one() -> None:
    bench = TransactionBench(retune(UNKNOWN), QUICK)
    bench.fault("commit_confirmed", FaultKind.DROP_AFTER, times=2)
    result = await bench.work()
    assert result.outcome is Outcome.SUCCEEDED
    tokens = [row.persist for row in bench.journal if row.step is JournalStep.PROBING]
    assert len(tokens) == len(set(tokens)) == 2, "one of its own for each, so that what is pending can be told"
    # It may have been the network: nothing is remembered of it.
    assert known_of(bench) is None


def tokens_of(bench: TransactionBench) -> list[str]:
    return [row.persist for row in bench.journal if row.step is JournalStep.PROBING]


@pytest.mark.parametrize(("operation", "skip"), [("commit_confirmed", 0), ("commit_confirmed", 1), ("cancel", 0)])
async def test_an_answer_after_the_timer_is_no_behaviour(operation: str, skip: int) -> None:
    """By then nothing is pending: ``persist`` alone begins another commit, and a refusal says nothing of the server."""
    bench = TransactionBench(retune(UNKNOWN), QUICK)
    bench.device.faults.append(Fault(operation, skip=skip, late=12.0))
    result = await bench.work()
    assert result.outcome is Outcome.SUCCEEDED, result.detail
    assert JournalStep.CONFIRMING in bench.steps, "the second probe went well, so a confirmed commit guards the change"
    assert known_of(bench) == Behaviour()
    assert len(set(tokens_of(bench))) == (1 if operation == "cancel" else 2)
    bench.assert_settled(result)


async def test_a_cancel_that_the_timer_came_before_is_not_a_refusal() -> None:
    bench = TransactionBench(retune(UNKNOWN), QUICK)

    def become(latency: float) -> None:
        bench.device.latency = latency

    bench.device.faults.append(Fault("commit_confirmed", act=lambda: become(12.0), skip=1))
    bench.device.faults.append(Fault("cancel", act=lambda: become(0.0)))
    result = await bench.work()
    assert result.outcome is Outcome.SUCCEEDED, result.detail
    assert JournalStep.CONFIRMING in bench.steps
    assert known_of(bench) == Behaviour()
    assert len(set(tokens_of(bench))) == 2


async def test_a_slow_server_has_a_longer_timer_at_the_second_probe() -> None:
    bench = TransactionBench(retune(UNKNOWN), QUICK)
    bench.device.faults.append(Fault("commit_confirmed", late=12.0, times=4))
    assert (await bench.work()).outcome is Outcome.SUCCEEDED
    assert known_of(bench) == Behaviour()


async def test_who_always_answers_after_the_timer_is_changed_without_one_and_nothing_is_learned() -> None:
    bench = TransactionBench(retune(UNKNOWN), QUICK)
    bench.device.faults.append(Fault("commit_confirmed", late=31.0, times=99))
    result = await bench.work()
    assert result.outcome is Outcome.SUCCEEDED, result.detail
    assert JournalStep.CONFIRMING not in bench.steps
    assert "answered after its timer" in result.detail
    assert known_of(bench) is None
    assert len(set(tokens_of(bench))) == 2
    bench.assert_settled(result)


HELD = WaitReason(code=WaitCode.HOLD, subject="network", by="ana", because="elections")


async def test_no_job_that_may_not_begin_probes() -> None:
    bench = TransactionBench(retune(UNKNOWN), QUICK)
    claim = bench.claim()
    with bench.store.database.engine.begin() as connection:
        connection.execute(update(jobs).values(reasons=packed_reasons((HELD,))))
    with pytest.raises(NotClearedError):
        await bench.transaction(claim).run()
    assert "commit_confirmed" not in " ".join(bench.device.log)
    assert bench.device.running[LTE_CELL]["pci"] == "1"


async def test_other_software_and_another_identity_are_probed_anew() -> None:
    bench = TransactionBench(retune(UNKNOWN), QUICK)

    async def probes(target: DeviceTarget = TARGET) -> int:
        begun = sum(line.endswith(" cancel") for line in bench.device.log)
        claim = bench.claim()
        record = Record(claim, InstantStore(bench.store), bench.clock, bench.believes)
        result = await Transaction(claim, target, bench.devices, record, bench.clock, Patience()).run()
        bench.store.claims.finish(claim, result)
        assert result.outcome is Outcome.SUCCEEDED, result.detail
        bench.device.foreign_edit([edit for one in reversed(bench.scenario.change.phases) for edit in one.inverse])
        bench.run = bench.start(QUICK)
        return sum(line.endswith(" cancel") for line in bench.device.log) - begun

    assert [await probes(), await probes()] == [1, 0]
    bench.device.capabilities = replace(UNKNOWN, software="acme-2")
    assert [await probes(), await probes()] == [1, 0]
    # The way back to the old release is one to software that nobody vouches for either.
    bench.device.capabilities = UNKNOWN
    assert [await probes(), await probes()] == [1, 0]
    rekeyed = replace(TARGET, host_key="ssh-ed25519 BBBB")
    bench.device.host_key = rekeyed.host_key
    assert [await probes(rekeyed), await probes(rekeyed)] == [1, 0]


# ------------------------------------------------------- many stations that announce the same software


def fleet(*names: str, scenario: Scenario | None = None, stop_after: int = 9) -> GroupBench:
    """Stations of one unknown software that begin together; each answer takes a while."""
    strategy = Strategy(check_timeout=2, confirm_timeout=60, canary=0, stop_after=stop_after)
    jobs = [job for name in names for job in unit(name)]
    bench = GroupBench(jobs, strategy, scenario=scenario or add_tenant(UNKNOWN))
    for name in names:
        bench[name].latency = 0.2
    return bench


def probed(bench: GroupBench) -> list[str]:
    """Stations at which an empty confirmed commit was begun."""
    return [job.station for job in bench.store.runs.jobs(bench.run) if JournalStep.PROBING in bench.steps(job.station)]


def guarded(bench: GroupBench) -> list[str]:
    """Stations that were changed by a confirmed commit."""
    return [
        job.station for job in bench.store.runs.jobs(bench.run) if JournalStep.CONFIRMING in bench.steps(job.station)
    ]


def empties(device: FakeDevice) -> None:
    """Let a station's cancel empty running, and nothing else."""

    def empty() -> None:
        assert device._pending is not None
        device._pending.backup = {}

    device.faults.append(Fault("cancel", act=empty))


@pytest.mark.parametrize("liar", "ABCDEF")
async def test_no_station_decides_how_another_one_that_announces_the_same_is_driven(liar: str) -> None:
    """Whoever it is, and whether it is probed before the others or after them."""
    bench = fleet(*"ABCDEF", scenario=retune(UNKNOWN))
    others = sorted({*"ABCDEF"} - {liar})
    # It takes no follow-up: it is driven with the stored inverse. All others take one, each in a form of its own.
    forms = dict(zip(others, [*FollowUp] * 2, strict=False))
    for name, form in forms.items():
        bench[name].follow_up = form
    bench[liar].follow_up = None
    await bench.work()
    assert bench.state() is RunState.SUCCEEDED
    assert probed(bench) == sorted("ABCDEF")
    assert guarded(bench) == others
    for name, form in forms.items():
        assert known_of(bench, name) == Behaviour(follow_up=form)
    refused = known_of(bench, liar)
    assert refused is not None
    assert refused.follow_up is None
    _, rows = bench.store.audit.page(Page(limit=1000))
    assert sorted(row.detail["station"] for row in rows if row.action == "behaviour.learned") == sorted("ABCDEF")
    bench.assert_settled()


async def test_a_cancel_that_does_harm_is_found_at_one_station_and_the_others_are_left_alone() -> None:
    bench = fleet(*"ABCDEF")
    for name in "ABCDEF":
        empties(bench[name])
    await bench.work()
    assert bench.state() is RunState.DIVERGED
    (first,) = probed(bench)
    outcomes = bench.outcomes()
    assert outcomes.pop(first) is Outcome.DIVERGED
    assert {*outcomes.values()} <= {Outcome.REFUSED, Outcome.CANCELLED}
    assert "MINKA_UNTRUSTED_SOFTWARE" in bench.job(first).detail
    waiting = [bench.job(name).detail for name, outcome in outcomes.items() if outcome is Outcome.REFUSED]
    assert waiting
    assert all(f"did harm to {first}" in detail for detail in waiting)
    for name in outcomes:
        assert bench[name].running == bench.scenario.before.tree
        assert known_of(bench, name) is None, "the harm says nothing of the others"


async def test_where_the_one_that_is_probed_goes_away_the_next_one_is() -> None:
    bench = fleet(*"ABCDEF")
    bench["A"].faults.append(Fault("commit_confirmed", FaultKind.DROP_BEFORE, times=9))
    await bench.work()
    assert known_of(bench, "A") is None
    assert [name for name in "BCDEF" if known_of(bench, name) is None] == []
    assert {*bench.outcomes().values()} == {Outcome.SUCCEEDED}
    assert guarded(bench) == [*"BCDEF"], "A is changed without one"
    bench.assert_settled()


class Station:
    """One that waits for its turn to be probed.

    Attributes:
        told: What its turn began with; None before.
    """

    def __init__(self, findings: Findings, software: str = "acme-1") -> None:
        self._findings = findings
        self._software = software
        self._ends = asyncio.Event()
        self._result: str | None = None
        self.told: str | None = None
        self.task = asyncio.create_task(self._work())

    async def _work(self) -> None:
        async with self._findings.turn(self._software) as told:
            self.told = told
            if told:
                return
            await self._ends.wait()
            if self._result is None:
                raise SessionLostError("gone")
            if self._result:
                self._findings.did_harm(self._software, self._result)
            else:
                self._findings.went_well(self._software)

    async def end(self, result: str | None) -> None:
        """End its probe: well, with harm to the named station, or (None) with a lost session."""
        self._result = result
        self._ends.set()
        await asyncio.gather(self.task, return_exceptions=True)
        await settle()


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def begun(findings: Findings, count: int) -> list[Station]:
    stations = [Station(findings) for _ in range(count)]
    await settle()
    return stations


def told(stations: list[Station]) -> list[str | None]:
    return [station.told for station in stations]


async def test_as_many_are_probed_at_once_as_went_well_before_and_one() -> None:
    stations = await begun(Findings(VirtualClock()), 6)
    assert told(stations) == ["", None, None, None, None, None]
    await stations[0].end("")
    assert told(stations) == ["", "", "", None, None, None]
    await stations[1].end("")
    assert told(stations) == ["", "", "", "", "", None]
    # A lost session says nothing.
    await stations[2].end(None)
    assert told(stations) == [""] * 6
    for station in stations[3:]:
        await station.end("")


async def test_harm_leaves_those_alone_that_wait_and_begins_again_with_one() -> None:
    findings = Findings(VirtualClock())
    stations = await begun(findings, 5)
    await stations[0].end("")
    await stations[1].end("PE-1")
    assert told(stations) == ["", "", "", "PE-1", "PE-1"]
    await stations[2].end("")
    assert told(await begun(findings, 1)) == [""]


async def test_other_software_waits_for_nobody() -> None:
    findings = Findings(VirtualClock())
    await begun(findings, 1)
    other = Station(findings, "acme-2")
    await settle()
    assert other.told == ""


async def test_nobody_waits_for_ever_for_one_that_is_probed() -> None:
    clock = VirtualClock()
    stations = await begun(Findings(clock), 3)
    await clock.advance(29)
    assert told(stations) == ["", None, None]
    await clock.advance(2)
    assert told(stations) == ["", "", None]
    await stations[0].end("")
    assert told(stations) == ["", "", ""]


async def test_who_stops_waiting_stops_nobody_else() -> None:
    stations = await begun(Findings(VirtualClock()), 3)
    stations[1].task.cancel()
    await settle()
    await stations[0].end("")
    assert told(stations) == ["", None, ""]


async def test_names_without_an_end_take_no_memory() -> None:
    findings = Findings(VirtualClock())
    for number in range(3000):
        async with findings.turn(f"acme-{number}"):
            findings.went_well(f"acme-{number}")
    assert len(findings._versions) <= 1024
