"""The one way to a run: every door's request is refused, accepted and rung for alike."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from datetime import time, timedelta
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest

from controller.models.approval import Contract, PartyWindows, RunConstraints, StationConstraints, VoteChoice
from controller.models.errors import ConflictError, InputError, PlanRefusedError
from controller.models.network import network_digest
from controller.models.outage import UNKNOWN_OUTAGE
from controller.models.people import Person, Role
from controller.models.plan import Plan
from controller.models.run import Outcome, Run, RunState, Strategy
from controller.models.sharing import MaintenanceWindow
from controller.models.step import RunPlaybook
from controller.ports.clock import VirtualClock
from controller.ports.queue import FakeWakeups
from controller.runs.launch import Launcher, check_overtaking
from controller.runs.planning.adoption import AdoptionOutcome
from controller.runs.rollout.transitions import decide
from controller.store import JobResult, LoopStore, NewJob, Page, PreparedRun, RunRequest, Store, Transition, open_store
from tests.support.idle import watched
from tests.support.launch import prepared
from tests.support.records import make_plan
from tests.support.wide import STATIONS, wide_network
from tests.unit.plan import samples


class OneStation:
    """Prepares runs of any playbook on one station; adopts where told."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self.refused: tuple[str, ...] = ()
        self.adopts: tuple[str, ...] = ()
        self.changed = False
        self.constraints: RunConstraints | None = None

    async def prepare(self, request: RunRequest) -> PreparedRun:
        return PreparedRun(
            request=request,
            procedure="apply",
            plan=self._plan,
            jobs=(NewJob(0, "S1"),),
            strategy=Strategy(),
            refused=self.refused,
            adopts=self.adopts,
            constraints=self.constraints,
        )

    async def repeats(self, request: RunRequest, known: Run) -> bool:
        return known.procedure == "apply" and request.playbook == "own"

    def check(self, store: Store, new: PreparedRun) -> None:
        if self.changed:
            raise ConflictError("playbook own was changed")


class Doors:
    """A launcher over a record with a plan."""

    def __init__(self, store: Store, loop: LoopStore, clock: VirtualClock) -> None:
        network = samples.network()
        store.networks.save(network, network_digest(network), "ana")
        plan = samples.plan(network, {"S1": samples.factory("S1"), "S2": samples.factory("S2")})
        self.plan = plan.model_copy(update={"created": clock.now()})
        store.plans.save(self.plan, "ana")
        self.store = store
        self.clock = clock
        self.playbooks = OneStation(self.plan)
        #: Runs that were rung for, with what the record said then to another thread.
        self.rings: list[tuple[str, str]] = []
        self.adopted: list[tuple[tuple[str, ...], str]] = []
        wakeups = FakeWakeups(self._rung)
        self.launcher = Launcher(loop, self, wakeups, self.playbooks)  # type: ignore[arg-type]

    def _rung(self, run_id: str) -> None:
        self.rings.append((self.store.runs.get(run_id).state.value, threading.current_thread().name))

    async def adopt_devices(self, stations: tuple[str, ...], actor: str) -> dict[str, AdoptionOutcome]:
        """As a planner does."""
        self.adopted.append((stations, actor))
        return {}

    def apply(self, **more: object) -> RunRequest:
        """A person's request to apply the plan."""
        return RunRequest(plan=self.plan, actor="ana", **more)  # type: ignore[arg-type]

    def runs(self) -> int:
        return self.store.runs.page(Page())[0]


@pytest.fixture
async def doors() -> AsyncIterator[Doors]:
    clock = VirtualClock()
    store = open_store("sqlite://", clock)
    loop = LoopStore(store)
    yield Doors(store, loop, clock)
    await loop.close()
    store.close()


async def test_one_ring_comes_after_the_commit_and_not_from_within_it(doors: Doors) -> None:
    run = await doors.launcher.start(doors.apply())
    assert doors.rings == [("queued", threading.current_thread().name)]
    assert doors.store.runs.get(run.id).procedure == "apply"


async def test_a_door_that_records_no_run_rings_for_none(doors: Doors) -> None:
    new = await doors.launcher.prepare(doors.apply())

    def refuse(_store: Store, _new: PreparedRun) -> Run | None:
        return None

    assert await doors.launcher.accept(new, refuse) is None
    assert (doors.rings, doors.runs()) == ([], 0)


async def test_the_notice_of_planned_work_names_a_time_in_the_tenants_own_window(doors: Doors) -> None:
    hour = MaintenanceWindow.model_validate({"start": "02:00", "end": "03:00"})
    bound = PartyWindows(windows=(hour,), tenant="alfa", agreement="alfa-all")
    group = StationConstraints(
        region="r", timezone="America/Lima", tenants=("alfa",), interrupts=True, windows=(bound,)
    )
    doors.playbooks.constraints = RunConstraints(
        subject="s", tenants=("alfa",), groups=(group,), stations={"S1": ("a", 0)}, outages={"alfa": UNKNOWN_OUTAGE}
    )
    await doors.launcher.start(RunRequest(playbook="own", actor="ana"))
    (notice,) = doors.store.notices.page(Page(), "alfa")[1]
    begins, now = notice.begins, doors.clock.now()
    assert begins is not None
    assert begins.astimezone(ZoneInfo("America/Lima")).time() == time(2)
    assert now < begins <= now + timedelta(days=1)
    assert notice.outage is not None
    assert notice.outage.begins == begins


async def test_a_playbook_that_is_changed_while_its_run_is_prepared_is_not_run(doors: Doors) -> None:
    request = RunRequest(playbook="own", actor="ana")
    new = await doors.launcher.prepare(request)
    doors.playbooks.changed = True
    with pytest.raises(ConflictError, match="playbook own was changed"):
        await doors.launcher.accept(new, lambda store, new: store.runs.create(new))
    assert (doors.runs(), doors.rings) == (0, [])


@pytest.mark.parametrize("what", ["plan", "playbook"])
async def test_a_key_is_one_request(doors: Doors, what: str) -> None:
    def asked(reason: str = "CHG-1", playbook: str = "own", **more: object) -> RunRequest:
        if what == "plan":
            return doors.apply(key="k", reason=reason, **more)
        return RunRequest(playbook=playbook, actor="ana", key="k", reason=reason)

    run = await doors.launcher.start(asked())
    assert (await doors.launcher.start(asked())).id == run.id
    assert len(doors.rings) == 1
    others = [asked(reason="CHG-2")]
    others += [asked(strategy=Strategy(canary=0))] if what == "plan" else [asked(playbook="another")]
    for other in others:
        with pytest.raises(ConflictError, match=f"belongs to run {run.id}, which another request made"):
            await doors.launcher.start(other)
    assert doors.runs() == 1


@pytest.mark.parametrize("what", ["plan", "playbook"])
async def test_a_paused_run_is_overtaken_only_where_that_is_said(doors: Doors, what: str) -> None:
    def asked(**more: object) -> RunRequest:
        if what == "plan":
            return doors.apply(**more)
        return RunRequest(playbook="own", actor="ana", **more)  # type: ignore[arg-type]

    paused = await doors.launcher.start(doors.apply())
    doors.store.runs.pause(paused.id, "ana")
    with pytest.raises(ConflictError, match=f"run {paused.id} is paused"):
        await doors.launcher.start(asked())
    await doors.launcher.start(asked(overtake=True))
    await doors.launcher.start(asked(cause="alarm:a-1", key="k"))
    # It is in nobody's way elsewhere, nor where it is done.
    check_overtaking(doors.store, {"elsewhere"})
    check_overtaking(doors.store, set())


@pytest.mark.parametrize("what", ["plan", "playbook"])
async def test_older_network_files_refuse_every_run(doors: Doors, what: str) -> None:
    doors.store.networks.save(samples.network(), "f" * 64, "ana")
    request = doors.apply() if what == "plan" else RunRequest(playbook="own", actor="ana")
    with pytest.raises(ConflictError, match="older version of the network files"):
        await doors.launcher.start(request)


async def test_network_files_that_are_loaded_while_a_run_is_prepared_refuse_it(doors: Doors) -> None:
    new = await doors.launcher.prepare(doors.apply())
    doors.store.networks.save(samples.network(), "f" * 64, "ana")
    with pytest.raises(ConflictError, match="older version of the network files"):
        await doors.launcher.accept(new, lambda store, new: store.runs.create(new))
    assert (doors.runs(), doors.rings) == (0, [])


async def test_what_refuses_a_playbook_refuses_it_before_anything_is_adopted(doors: Doors) -> None:
    doors.playbooks.adopts, doors.playbooks.refused = ("S1",), ("hold on S1 by ana",)
    with pytest.raises(PlanRefusedError, match="hold on S1 by ana"):
        await doors.launcher.start(RunRequest(playbook="own", actor="ana"))
    assert doors.adopted == []
    doors.playbooks.refused = ()
    await doors.launcher.start(RunRequest(playbook="own", actor="ana"))
    assert doors.adopted == [(("S1",), "ana")]


async def test_a_request_names_a_plan_or_a_playbook(doors: Doors) -> None:
    for wrong in (RunRequest(actor="ana"), doors.apply(playbook="own")):
        with pytest.raises(InputError, match="either a plan or a playbook"):
            await doors.launcher.start(wrong)


async def test_what_somebody_rejected_is_refused_until_that_is_taken_back(doors: Doors) -> None:
    person = Person(name="eva", role=Role.APPROVER)
    doors.store.approvals.vote(doors.plan.digest, person, VoteChoice.REJECT, "harvest", doors.plan.id)
    refused = f"plan {doors.plan.id} was rejected by eva .host.: harvest; as eva is gone"
    with pytest.raises(PlanRefusedError, match=refused):
        await doors.launcher.start(doors.apply())
    assert doors.runs() == 0
    doors.store.approvals.vote(doors.plan.digest, person, VoteChoice.APPROVE, "", doors.plan.id)
    await doors.launcher.start(doors.apply())


async def test_contractual_reasons_are_given_by_approvers_and_for_what_is_taken_away(doors: Doors) -> None:
    reasons = (Contract(agreement="alfa-all", clause="7.2"),)
    with pytest.raises(InputError, match="only an approver of the host"):
        await doors.launcher.start(doors.apply(contracts=reasons))
    approver = Person(name="ana", role=Role.APPROVER)
    with pytest.raises(InputError, match="nothing is taken away"):
        await doors.launcher.start(doors.apply(contracts=reasons, asker=approver))
    assert doors.runs() == 0


async def test_whom_a_paused_run_has_yet_to_change_is_named(doors: Doors) -> None:
    names = [f"S{n}" for n in range(5)]
    jobs = [NewJob(0, name) for name in names]
    playbook = RunPlaybook(name="own", digest="d", text="t")
    paused = doors.store.runs.create(prepared(doors.plan, "own", Strategy(), jobs, playbook=playbook))
    check_overtaking(doors.store, set(names))
    doors.store.runs.pause(paused.id, "ana")
    for asked, named in ((names[:3], "S0, S1, S2: "), (names[:4], "S0, S1, S2 and 1 more: "), (["S4", "x"], "S4: ")):
        with pytest.raises(ConflictError, match=f"run {paused.id} is paused and has yet to change {named}"):
            check_overtaking(doors.store, set(asked))
    doors.store.runs.cancel(paused.id, "ana")
    check_overtaking(doors.store, set(names))


async def test_what_is_under_way_in_a_paused_run_is_not_done_yet(doors: Doors) -> None:
    run = await doors.launcher.start(doors.apply())
    doors.store.runs.advance(run.id, lambda _run, _jobs: Transition(RunState.RUNNING, wave=0))
    claims = doors.store.claims.take(doors.store.processes.register("w"), 9)
    doors.store.runs.pause(run.id, "ana")
    for claim in claims:
        with pytest.raises(ConflictError, match=f"has yet to change {claim.job.station}:"):
            check_overtaking(doors.store, {claim.job.station})
        doors.store.claims.finish(claim, JobResult(Outcome.UNCHANGED))
        check_overtaking(doors.store, {claim.job.station})
    assert claims


def _end(doors: Doors, run: Run, outcomes: dict[str, Outcome]) -> None:
    """Carry out all jobs of a run, with their outcomes by device."""
    while not doors.store.runs.get(run.id).state.terminal:
        doors.store.runs.advance(run.id, lambda run, jobs: decide(run, jobs, doors.clock.now()))
        for claim in doors.store.claims.take(doors.store.processes.register("w"), 9):
            doors.clock.pause(1)
            doors.store.claims.finish(claim, JobResult(outcomes[claim.job.station]))


async def test_a_plan_that_was_carried_out_is_refused_before_anybody_is_told_of_it_again(doors: Doors) -> None:
    run = await doors.launcher.start(doors.apply(key="k"))
    _end(doors, run, {"S1": Outcome.SUCCEEDED, "S2": Outcome.SUCCEEDED})
    told = doors.store.notices.page(Page(), "alfa")[0]
    refused = f"plan {doors.plan.id} was carried out by run {run.id}, and no run changed its devices since"
    with pytest.raises(ConflictError, match=refused):
        await doors.launcher.start(doors.apply())
    assert doors.store.notices.page(Page(), "alfa")[0] == told
    assert (await doors.launcher.start(doors.apply(key="k"))).id == run.id, "the same request again is no other one"


@pytest.mark.parametrize("second", [Outcome.FAILED_SAFE, Outcome.DIVERGED])
async def test_a_plan_that_was_carried_out_in_part_is_applied_again(doors: Doors, second: Outcome) -> None:
    run = await doors.launcher.start(doors.apply(strategy=Strategy(canary=0)))
    _end(doors, run, {"S1": Outcome.SUCCEEDED, "S2": second})
    again = await doors.launcher.start(doors.apply(strategy=Strategy(canary=0)))
    _end(doors, again, {"S1": Outcome.UNCHANGED, "S2": Outcome.SUCCEEDED})
    assert doors.store.runs.get(again.id).state is RunState.SUCCEEDED
    with pytest.raises(ConflictError, match=f"was carried out by run {'.*'.join(sorted((run.id, again.id)))}"):
        await doors.launcher.start(doors.apply())


async def test_a_plan_that_a_later_run_undid_is_applied_again(doors: Doors) -> None:
    run = await doors.launcher.start(doors.apply())
    _end(doors, run, {"S1": Outcome.SUCCEEDED, "S2": Outcome.SUCCEEDED})
    back = doors.plan.model_copy(update={"id": "0a0b0c0d0e0f", "digest": "d" * 64})
    doors.store.plans.save(back, "ana")
    later = doors.store.runs.create(prepared(back, "undo", Strategy(), [NewJob(0, "S2")], actor="ana"))
    _end(doors, later, {"S2": Outcome.SUCCEEDED})
    await doors.launcher.start(doors.apply())


async def test_nothing_of_a_plan_for_a_whole_network_is_worked_out_inside_a_transaction() -> None:
    network = wide_network()
    names = [station.id for station in network.stations]
    digest = network_digest(network)
    plan = make_plan(names, edits=12).model_copy(update={"network_digest": digest})
    store = open_store("sqlite://", VirtualClock())
    loop = LoopStore(store)
    planner = SimpleNamespace(clock=VirtualClock())
    launcher = Launcher(loop, planner, FakeWakeups(), None)  # type: ignore[arg-type]
    # A tenth of what is allowed, since here nobody else computes: several of them would make a second at load 7.
    with watched(longest=0.1) as found:
        await loop.networks.save(network, digest, "ana")
        await loop.plans.save(plan, "ana")
        asked = RunRequest(plan=await loop.plans.get(plan.id), actor="ana", strategy=Strategy(wave_size=500), key="k")
        run = await launcher.start(asked)
        assert (await launcher.start(asked)).id == run.id
    assert sum(run.counts.values()) == STATIONS
    assert len(store.runs.jobs(run.id)) == STATIONS
    assert found == []
    await loop.close()
    store.close()
