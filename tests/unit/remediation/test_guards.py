"""Guards: whichever says no, no run exists and the reason is on record; their order decides the reason only."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from controller.models.alarm import (
    CORE_LINK_DOWN,
    PAGE,
    REMEDIATION_STOPPED,
    TICKET,
    Alarm,
    AlarmState,
    PerceivedSeverity,
)
from controller.models.approval import Requirement
from controller.models.cloud import Function
from controller.models.health import Health, ServiceState
from controller.models.network import network_digest
from controller.models.plan import Edit, Op, Phase, PhaseKind
from controller.models.rule import ProposalState, RuleMode
from controller.models.run import PERSON, Outcome, RunState, Strategy
from controller.models.settings import Settings
from controller.models.sharing import ActionClass, MaintenanceWindow
from controller.models.waiting import WaitCode
from controller.nrm.profiles import administrative_leaf
from controller.plan import seal
from controller.remediation import guards
from controller.remediation.guards import GUARDS, GuardInput, Limits, Refusal, Repair, forbids, refusal
from controller.remediation.rules import Match, Rule, RuleGuards, Rung
from controller.runs.procedures import Disturbance
from controller.store import JobResult, NewJob, Page, PreparedRun, RunRequest, Transition
from controller.store.alarms.alarm_rows import alarms
from controller.store.alarms.correlation import uncorrelated
from tests.support.launch import prepared
from tests.support.records import make_change, make_plan
from tests.unit.plan.samples import LTE_CELL
from tests.unit.remediation.bench import LINK, RULES, STATION_ID, UNLIMITED, Bench, open_bench, tiny

OTHER = "T-LTE-2"
(LINK_RULE, DRIFT_RULE) = RULES


@dataclass
class Scene:
    """A link that is down, and what a guard has to say to its repair."""

    bench: Bench
    alarm: Alarm
    rule: Rule = LINK_RULE
    limits: Limits = UNLIMITED

    def guard(self, **values: Any) -> None:
        """Set numbers of the rule."""
        self.rule = self.rule.model_copy(update={"guards": self.rule.guards.model_copy(update=values)})

    async def play(self) -> Alarm:
        """Two rounds of a scheduler, and the alarm as it is then."""
        scheduler = self.bench.scheduler(rules=(self.rule,), limits=self.limits)
        for _ in range(2):
            await self.bench.round(scheduler)
        return self.bench.alarm(self.alarm)


def _repaired(scene: Scene, station: str = STATION_ID, number: int = 1) -> None:
    """Repairs began just now, and are over."""
    for _ in range(number):
        before = scene.bench.report(f"/x{len(scene.bench.runs())}", "other", station=station)
        plan = make_plan([station], before.id)
        scene.bench.store.plans.save(plan, "ana")
        run = scene.bench.store.runs.create(prepared(plan, "apply", Strategy(), ()))
        scene.bench.store.runs.advance(run.id, lambda *_: Transition(RunState.SUCCEEDED, cancel_rest=True))
        scene.bench.store.repairs.record(scene.rule.name, f"{before.station}:{before.object}", before.id, run.id)


def _symptom(scene: Scene) -> None:
    scene.bench.report("station", "mains-lost")


def _correlation(scene: Scene) -> None:
    """A root came from which many may follow."""
    with scene.bench.store.database.engine.begin() as connection:
        number = select(alarms.c.number).where(alarms.c.id == scene.alarm.id)
        connection.execute(uncorrelated.insert().from_select(["alarm"], number))
    scene.bench.store.alarms.correlate_more = lambda: False


def _announced(scene: Scene) -> None:
    """The link is one tenant's, which works on the other end."""
    scene.bench.heals(scene.alarm)
    scene.bench.checker.down.add((STATION_ID, LINK))
    scene.alarm = scene.bench.report(LINK, CORE_LINK_DOWN, tenant="andes")
    now = scene.bench.clock.now()
    scene.bench.store.works.announce("andes", {}, now, now + timedelta(hours=1), "eva", "upgrade")


def _shelved(scene: Scene) -> None:
    until = scene.bench.clock.now() + timedelta(hours=1)
    scene.bench.store.alarms.shelve(scene.alarm.id, until, "ana", "parts ordered")


def _battery(scene: Scene) -> None:
    """What follows from no loss of power, and would restart something."""
    scene.rule, scene.bench.launcher.restarts = DRIFT_RULE, True
    scene.alarm = scene.bench.drifts()
    scene.bench.report("station", "mains-lost")


def _busy(scene: Scene, device: str = STATION_ID) -> None:
    plan = make_plan([device], "work of a person")
    scene.bench.store.plans.save(plan, "ana")
    run = scene.bench.store.runs.create(prepared(plan, "apply", Strategy(), (NewJob(0, device),)))
    scene.bench.store.runs.advance(run.id, lambda *_: Transition(RunState.RUNNING, wave=0))


def _window(scene: Scene) -> None:
    later = (scene.bench.clock.now() + timedelta(hours=20)).strftime("%H:%M")
    end = (scene.bench.clock.now() + timedelta(hours=22)).strftime("%H:%M")
    scene.bench.launcher.calendar = (MaintenanceWindow.model_validate({"start": later, "end": end}),)


def _reach(scene: Scene) -> None:
    scene.bench.launcher.jobs = tuple(NewJob(0, station) for station in (STATION_ID, OTHER))


def _share(scene: Scene) -> None:
    scene.limits = replace(scene.limits, share=1)
    under = scene.bench.report("/x", "other", station=OTHER)
    scene.bench.store.alarms.move(under, AlarmState.REPAIRING, actor="minka")


def _again(scene: Scene) -> None:
    """The fault is over, and comes again soon."""
    before = scene.alarm
    scene.bench.clock.pause(1)
    scene.bench.heals(before)
    scene.bench.clock.pause(1)
    if before.probable_cause == CORE_LINK_DOWN:
        scene.alarm = scene.bench.breaks(before.object, tenant=before.tenant)
    else:
        scene.alarm = scene.bench.drifts()


def _flapping(scene: Scene) -> None:
    for _ in range(2):
        _again(scene)


def _attempts(scene: Scene) -> None:
    scene.bench.store.repairs.record(scene.rule.name, f"{STATION_ID}:{LINK}", scene.alarm.id, "r-before")


def _device(scene: Scene) -> None:
    scene.limits = replace(scene.limits, per_device=2)
    _repaired(scene, number=2)


def _site(scene: Scene) -> None:
    scene.guard(per_site=1)
    _repaired(scene)


def _region(scene: Scene) -> None:
    scene.guard(per_region=1)
    _repaired(scene, OTHER)


def _lock(scene: Scene) -> None:
    scene.bench.checker.locked = ("L1",)


def _unreachable(scene: Scene) -> None:
    scene.bench.checker.reachable = False


def _unknown(scene: Scene) -> None:
    scene.bench.checker.state = ServiceState.UNKNOWN


#: By guard: what makes it say no, and how its reason begins.
SCENES: dict[str, tuple[Callable[[Scene], Any], str]] = {
    "stopped": (
        lambda scene: scene.bench.store.switches.set(REMEDIATION_STOPPED, True, "ana", "storm"),
        "automatic repair is stopped by ana: storm",
    ),
    "record": (lambda scene: scene.bench.doubt(), "the record is in doubt"),
    "symptom": (_symptom, "it follows from alarm a-"),
    "correlation": (_correlation, "its root is being worked out"),
    "announced": (_announced, "announced work w-"),
    "shelved": (_shelved, "shelved by ana"),
    "busy": (_busy, "run r-"),
    "hold": (lambda scene: scene.bench.store.holds.add(STATION_ID, "ana", "rigger", None), f"hold on {STATION_ID}"),
    "freeze": (lambda scene: scene.bench.freeze("region:cusco"), "freeze of region:cusco until "),
    "battery": (_battery, "the station runs on its battery since "),
    "settle": (lambda scene: scene.guard(settle_seconds=3600), "it has to stand for 3600 s"),
    "flapping": (_flapping, "incident i-"),
    "attempts": (_attempts, "it is back after 1 repairs: they did not last"),
    "reach": (_reach, "it reaches 2 stations, and guards.max_stations is 1"),
    "window": (_window, "window opens "),
    "rate": (_device, f"2 repairs of {STATION_ID} began within an hour"),
    "rate of a site": (_site, "1 repairs of site "),
    "rate of a region": (_region, "1 repairs of region cusco began"),
    "share": (_share, "1 of "),
    "unreachable": (_unreachable, "the station can't be read"),
    "lock": (_lock, "somebody locked cell L1 outside of Minka"),
    "drift": (lambda scene: scene.bench.checker.drifted.add(STATION_ID), "the configuration drifted"),
    "unknown": (_unknown, "no repair could be planned: the station does not report"),
}
#: Guards of which other tests tell: the remediator looks at nothing that is over, the bench takes nothing off, and a
#: loop takes a repair that works (``test_verification``), what one run repairs is a fault of several alarms, and
#: central units take another network (``test_remediator``).
ELSEWHERE = {"over", "consent", "loop", "together", "unit"}


@pytest.mark.parametrize("name", SCENES)
async def test_a_guard_that_says_no_leaves_no_run_and_its_reason_on_record(bench: Bench, name: str) -> None:
    scene = Scene(bench, bench.breaks())
    arrange, reason = SCENES[name]
    arrange(scene)
    before = len(bench.runs())
    alarm = await scene.play()
    assert len(bench.runs()) == before
    assert alarm.state in (AlarmState.RAISED, AlarmState.ESCALATED)
    assert alarm.note.removeprefix("waits: ").startswith(reason), alarm.note
    said = [row.detail.get("note", "") for row in bench.store.audit.page(Page(limit=200))[1] if row.object == alarm.id]
    assert any(note.removeprefix("waits: ").startswith(reason) for note in said)


@pytest.mark.parametrize(
    "name", ["stopped", "record", "hold", "freeze", "window", "rate", "share", "unreachable", "lock"]
)
async def test_people_are_paged_once_to_a_critical_alarm_that_nobody_acts_on_and_its_repair_goes_on(
    bench: Bench, name: str
) -> None:
    bench.breaks()
    scene = Scene(bench, bench.report(LINK, CORE_LINK_DOWN, PerceivedSeverity.CRITICAL))
    SCENES[name][0](scene)
    for _ in range(3):
        alarm = await scene.play()
    assert alarm.state is AlarmState.RAISED, "its repair waits"
    assert alarm.note.startswith(f"waits: {SCENES[name][1]}")
    assert [(one.id, reason) for one, reason in bench.people.sent if one.id == alarm.id] == [
        (alarm.id, f"rule {scene.rule.name} waits: {alarm.note.removeprefix('waits: ')}")
    ]
    assert set(bench.people.kinds) == {PAGE}


@pytest.mark.parametrize("name", sorted(guards.IN_HAND & SCENES.keys() - {"flapping"}))
async def test_nobody_is_paged_to_a_critical_alarm_that_is_in_hand(bench: Bench, name: str) -> None:
    """Another guard says no as well: it is asked after the one by which the alarm is in hand."""
    scene = Scene(bench, bench.breaks())
    SCENES[name][0](scene)
    scene.alarm = bench.report(LINK, CORE_LINK_DOWN, PerceivedSeverity.CRITICAL, tenant=bench.alarm(scene.alarm).tenant)
    if name == "shelved":  # what becomes worse is not shelved any more
        SCENES[name][0](scene)
    if name != "drift":
        bench.freeze("region:cusco")
    alarm = await scene.play()
    assert alarm.state is AlarmState.RAISED
    assert bench.people.sent == []


@pytest.mark.parametrize(("severity", "pages"), [(PerceivedSeverity.CRITICAL, 1), (PerceivedSeverity.MAJOR, 0)])
async def test_a_repair_goes_on_after_the_freeze_in_which_people_were_paged(
    bench: Bench, severity: PerceivedSeverity, pages: int
) -> None:
    bench.breaks()
    scene = Scene(bench, bench.report(LINK, CORE_LINK_DOWN, severity))
    bench.freeze("region:cusco")
    await scene.play()
    assert len(bench.people.sent) == pages
    bench.clock.pause(3601)
    assert (await scene.play()).state is AlarmState.REPAIRING
    assert len(bench.people.sent) == pages


def test_each_guard_has_a_scene() -> None:
    assert {name.partition(" of ")[0] for name in SCENES} | ELSEWHERE == set(GUARDS)


async def test_any_guards_in_any_order_let_no_run_begin_and_none_lets_one(monkeypatch: pytest.MonkeyPatch) -> None:
    roll = random.Random("guards")
    for _ in range(12):
        chosen = roll.sample(sorted(SCENES), roll.randrange(4))
        order = roll.sample(list(GUARDS.items()), len(GUARDS))
        monkeypatch.setattr(guards, "GUARDS", dict(order))
        with open_bench() as bench:
            scene = Scene(bench, bench.breaks())
            for name in sorted(chosen, key=lambda name: name != "battery"):  # that is about another alarm
                SCENES[name][0](scene)
            before = len(bench.runs())
            alarm = await scene.play()
            assert (len(bench.runs()) == before) is bool(chosen), (chosen, alarm.note)
            assert not chosen or alarm.state is not AlarmState.REPAIRING, (chosen, alarm.note)


@pytest.mark.parametrize("name", ["stopped", "hold", "freeze", "busy", "symptom", "battery", "share", "rate"])
async def test_a_guard_that_says_no_only_while_the_repair_is_planned_is_heard_too(bench: Bench, name: str) -> None:
    scene = Scene(bench, bench.breaks())
    arrange, reason = SCENES[name]
    if name in ("battery", "share", "rate"):  # they set more than the record
        arrange(scene)
    else:
        bench.launcher.meanwhile = lambda: arrange(scene)
    before = len([run for run in bench.runs() if run.cause != "person"])
    scheduler = bench.scheduler(rules=(scene.rule,), limits=scene.limits)
    await bench.round(scheduler)
    bench.launcher.meanwhile = None
    await bench.round(scheduler)
    assert len([run for run in bench.runs() if run.cause != "person"]) == before
    assert bench.alarm(scene.alarm).note.startswith(f"waits: {reason}")


# ------------------------------------------------------------------ who is in the way

CELL = LTE_CELL.replace("S1", STATION_ID)


def _job(bench: Bench, path: str, state: str, cause: str = PERSON, actor: str = "ana") -> str:
    """A run that left a cell or link in this administrative state."""
    edit = Edit(op=Op.MERGE, path=path, after={administrative_leaf(path): state}, owners=("host",))
    kind = PhaseKind.UNLOCK if state == "UNLOCKED" else PhaseKind.LOCK
    change = make_change(STATION_ID).model_copy(update={"phases": (Phase(kind=kind, edits=(edit,), inverse=()),)})
    plan = seal(created=bench.clock.now(), network="t", network_digest="d", selector=state, changes=[change])
    bench.store.plans.save(plan, actor)
    run = bench.store.runs.create(
        prepared(plan, "apply", Strategy(), (NewJob(0, STATION_ID),), actor=actor, cause=cause)
    )
    bench.store.runs.advance(run.id, lambda *_: Transition(RunState.RUNNING, wave=0))
    (claim,) = bench.store.claims.take(bench.store.processes.register("w"), 10)
    bench.store.claims.finish(claim, JobResult(Outcome.SUCCEEDED))
    bench.store.runs.advance(run.id, lambda *_: Transition(RunState.SUCCEEDED))
    bench.clock.pause(60)
    return run.id


@pytest.mark.parametrize(("cause", "whom"), [(PERSON, "ana"), ("alarm:a-1", "rule ana (alarm:a-1)")])
async def test_a_lock_names_who_asked_for_it_the_run_and_when(bench: Bench, cause: str, whom: str) -> None:
    scene = Scene(bench, bench.breaks())
    first, when = _job(bench, CELL, "LOCKED"), bench.clock.now()
    run = _job(bench, CELL, "SHUTTINGDOWN", cause)
    scene.bench.checker.locked = ("L1", "L9")
    said = (
        f"{whom} locked cell L1 by run {run} (apply) at {when:%Y-%m-%d %H:%M} UTC; somebody locked cell L9 outside of"
    )
    assert said in (await scene.play()).note
    assert first != run


async def test_a_lock_after_we_unlocked_the_cell_is_of_somebody_else(bench: Bench) -> None:
    scene = Scene(bench, bench.breaks())
    _job(bench, CELL, "LOCKED")
    _job(bench, CELL, "UNLOCKED")
    scene.bench.checker.locked = ("L1",)
    assert "somebody locked cell L1 outside of Minka" in (await scene.play()).note


async def test_a_run_that_soaks_for_longer_than_a_repair_takes_is_told_to_people(bench: Bench) -> None:
    scene = Scene(bench, bench.breaks())
    _busy(scene)
    (claim,) = bench.store.claims.take(bench.store.processes.register("w"), 10)
    until = bench.clock.now() + timedelta(hours=2)
    patience = scene.rule.verify.within_seconds
    waits = f"waits: run {claim.run.id} works on the station"
    assert (await scene.play()).note == waits
    bench.clock.pause(patience + 1)
    alarm = await scene.play()
    assert (alarm.state, alarm.note) == (AlarmState.RAISED, waits), "it acts: people could do nothing"
    bench.store.claims.release(claim, "soaks", keep_transaction=True, until=until)
    bench.clock.pause(60)
    alarm = await scene.play()
    assert alarm.state is AlarmState.ESCALATED
    assert alarm.note == f"run {claim.run.id} works on the station, and waits: soaks"


@pytest.mark.parametrize(("rung", "kind"), [(Rung(ticket="send somebody"), TICKET), (Rung(page="call them"), PAGE)])
async def test_people_are_told_as_their_rung_says_although_a_run_soaks_there(
    bench: Bench, rung: Rung, kind: str
) -> None:
    scene = Scene(bench, bench.breaks())
    scene.rule = scene.rule.model_copy(update={"ladder": (rung,)})
    _busy(scene)
    (claim,) = bench.store.claims.take(bench.store.processes.register("w"), 10)
    bench.store.claims.release(claim, "soaks", keep_transaction=True, until=bench.clock.now() + timedelta(hours=2))
    bench.clock.pause(scene.rule.verify.within_seconds + 1)
    assert (await scene.play()).state is AlarmState.ESCALATED
    assert bench.people.kinds == [kind]


async def test_a_soak_holds_a_repair_up_while_the_rule_is_patient(bench: Bench) -> None:
    scene = Scene(bench, bench.breaks())
    _busy(scene)
    (claim,) = bench.store.claims.take(bench.store.processes.register("w"), 10)
    bench.store.claims.release(claim, "soaks", keep_transaction=True, until=bench.clock.now() + timedelta(hours=2))
    bench.clock.pause(scene.rule.verify.within_seconds / 4)
    assert (await scene.play()).state is AlarmState.RAISED


async def test_a_run_that_only_just_began_calls_nobody_about_a_fault_that_a_freeze_kept_waiting(bench: Bench) -> None:
    scene = Scene(bench, bench.breaks())
    patience = scene.rule.verify.within_seconds
    bench.clock.pause(4 * patience)
    _busy(scene)
    (claim,) = bench.store.claims.take(bench.store.processes.register("w"), 10)
    bench.store.claims.release(claim, "soaks", keep_transaction=True, until=bench.clock.now() + timedelta(hours=2))
    bench.clock.pause(patience / 4)
    assert (await scene.play()).state is AlarmState.RAISED
    bench.clock.pause(patience)
    assert (await scene.play()).state is AlarmState.ESCALATED


# --------------------------------------------------------------- one by one, pure


def said(bench: Bench, alarm: Alarm, run: PreparedRun | None = None, limits: Limits = UNLIMITED) -> Refusal | None:
    """What the guards say of a repair just now."""
    return bench.store.transaction(refusal, Repair(alarm, LINK_RULE, limits=limits, run=run), bench.clock.now())


async def test_what_stands_on_after_announced_work_has_to_stand_anew(bench: Bench) -> None:
    alarm, now, hour = bench.report(LINK, CORE_LINK_DOWN, tenant="andes"), bench.clock.now(), timedelta(hours=1)
    bench.store.works.announce("andes", {}, now, now + hour, "eva", "upgrade")
    guards_of = LINK_RULE.guards.model_copy(update={"settle_seconds": 60})
    repair = Repair(alarm, LINK_RULE.model_copy(update={"guards": guards_of}), limits=UNLIMITED)

    def guard() -> str:
        no = bench.store.transaction(refusal, repair, bench.clock.now())
        return no.guard if no else ""

    found = []
    for seconds in (3599, 1, 59, 1):
        bench.clock.pause(seconds)
        found.append(guard())
    assert found == ["announced", "settle", "settle", ""]


async def test_what_is_over_is_not_repaired(bench: Bench) -> None:
    link = bench.breaks()
    assert said(bench, link) is None
    bench.heals(link)
    assert said(bench, link) == Refusal("over", "its source says that it is over")


@pytest.mark.parametrize("tried", [False, True])
async def test_what_outlives_a_root_that_was_repaired_is_peoples(bench: Bench, tried: bool) -> None:
    """There is one attempt for a fault, and not one for each of its symptoms."""
    link, root = bench.breaks(), bench.report("station", "mains-lost")
    if tried:
        bench.store.repairs.record("power", f"{STATION_ID}:station", root.id, "r-1")
    bench.heals(root)
    await bench.round(bench.scheduler(rules=(LINK_RULE,)))
    alarm = bench.alarm(link)
    assert alarm.state is (AlarmState.ESCALATED if tried else AlarmState.REPAIRING)
    assert not tried or "it outlived its root, for which there were 1 repairs already" in alarm.note
    await bench.clock.advance(3601)
    assert said(bench, link) is None or not tried


async def test_who_was_not_asked_for_want_of_service_has_none_by_our_own_look(bench: Bench) -> None:
    link = bench.breaks()
    bench.launcher.spared = (("L1", "andes"),)
    run = await bench.launcher.prepare(RunRequest(actor="rule:x", cause=f"alarm:{link.id}"))
    for state, refused in ((ServiceState.DOWN, False), (ServiceState.UNKNOWN, True), (ServiceState.UP, True)):
        health = Health(station=STATION_ID, at=bench.clock.now(), reachable=True, cells={"L1": state})
        repair = Repair(link, LINK_RULE, limits=UNLIMITED, health=health, run=run)
        no = bench.store.transaction(refusal, repair, bench.clock.now())
        assert (no == Refusal("consent", "L1 serves andes again, whose consent was not asked")) is refused
        assert no is None or refused
        assert repair.interrupts, "it takes cells off the air, whom they serve or not"


async def test_who_has_not_agreed_beforehand_is_not_interrupted_by_a_rule(bench: Bench) -> None:
    link = bench.breaks()
    bench.launcher.requirements = (Requirement(side="condor", action=ActionClass.INTERRUPT),)
    await bench.round(bench.scheduler(rules=(LINK_RULE,)))
    assert bench.runs() == []
    assert bench.alarm(link).state is AlarmState.ESCALATED
    assert "it needs people's consent: approval by 1 of condor to interrupt" in bench.alarm(link).note


async def test_a_station_that_says_itself_that_it_runs_on_its_battery_is_not_reset(bench: Bench) -> None:
    """It has no alarm of it: no run begins, and none is stopped and begun again each settle time."""
    link, scheduler = bench.breaks(), bench.scheduler(rules=(LINK_RULE,))
    bench.launcher.restarts = bench.checker.battery = True
    for _ in range(4):
        await bench.round(scheduler)
    assert bench.runs() == []
    assert bench.alarm(link).note == "waits: the station runs on its battery, and has no alarm of it"
    bench.checker.battery = False
    await bench.round(scheduler)
    assert bench.alarm(link).state is AlarmState.REPAIRING


@pytest.mark.parametrize("told", [False, True])
async def test_what_restarts_nothing_is_repaired_on_battery_though_it_interrupts(bench: Bench, told: bool) -> None:
    """A core link that is made anew goes down for a moment: the station goes on, and its users get the link back."""
    alarm = bench.drifts() if told else bench.breaks()  # drift follows from no loss of power
    bench.launcher.interrupts = bench.checker.battery = True
    if told:
        bench.report("station", "mains-lost")
    await bench.round(bench.scheduler())
    assert bench.alarm(alarm).state is AlarmState.REPAIRING


async def test_a_restart_waits_for_the_end_of_a_public_warning_whoever_is_served(bench: Bench) -> None:
    """No tenant is interrupted; whoever has no agreement with us gets the warning by these cells all the same."""
    link = bench.breaks()
    now, bench.launcher.restarts = bench.clock.now(), True
    bench.store.freezes.warn("tsunami-17", ["region:cusco"], now, now + timedelta(hours=1), "cbe", "Tsunami")
    await bench.round(bench.scheduler(rules=(LINK_RULE,)))
    assert bench.runs() == []
    assert bench.alarm(link).note.startswith("waits: public warning tsunami-17 in region:cusco until ")


async def test_a_rule_that_spares_whoever_is_served_asks_for_no_consent(bench: Bench) -> None:
    scene = Scene(bench, bench.breaks())
    scene.guard(interrupts=False)
    bench.launcher.interrupts = True
    alarm = await scene.play()
    assert (bench.runs(), alarm.state) == ([], AlarmState.ESCALATED)
    assert alarm.note.startswith("it would interrupt somebody")


async def test_a_rung_that_is_refused_for_itself_leads_to_the_next_one(bench: Bench) -> None:
    """A tenant does not agree to the first rung; the second needs nobody's consent."""
    milder = Rung(playbook="repair-drift", parameters={})
    rule = LINK_RULE.model_copy(update={"ladder": (*LINK_RULE.ladder, milder, Rung(ticket="Go there."))})
    link, scheduler = bench.breaks(), bench.scheduler(rules=(rule,))
    bench.launcher.requirements = (Requirement(side="condor", action=ActionClass.INTERRUPT),)
    await bench.round(scheduler)
    assert bench.alarm(link).state is AlarmState.RAISED
    bench.launcher.requirements = ()
    await bench.round(scheduler)
    assert [one.playbook for one in bench.launcher.asked] == ["recreate-core-endpoint", "repair-drift"]
    assert bench.alarm(link).state is AlarmState.REPAIRING
    states = [one.state for one in bench.store.rules.of_alarm(link.id)]
    assert states == [ProposalState.REFUSED, ProposalState.RUNNING]


async def test_what_is_refused_on_every_rung_comes_to_people_with_all_reasons_and_once(bench: Bench) -> None:
    rule = LINK_RULE.model_copy(update={"ladder": (*LINK_RULE.ladder, *LINK_RULE.ladder, Rung(ticket="Go there."))})
    link, scheduler = bench.breaks(), bench.scheduler(rules=(rule,))
    bench.launcher.requirements = (Requirement(side="condor", action=ActionClass.INTERRUPT),)
    for _ in range(4):
        await bench.round(scheduler)
    assert bench.runs() == []
    assert bench.alarm(link).note.startswith("Go there.; it needs people's consent: ")
    await bench.clock.advance(rule.guards.cool_down_seconds)
    for _ in range(4):
        await bench.round(scheduler, seconds=60)
    assert (bench.runs(), len(bench.people.sent)) == ([], 1)


# ------------------------------------------------- a fault of several alarms: a tenant's core links at a station

TOGETHER = LINK_RULE.model_copy(
    update={"ladder": (Rung(playbook="recreate-core-endpoint", parameters={"endpoint": "{{ alarm.objects }}"}),)}
)


async def test_all_links_that_one_fault_of_a_tenant_took_down_are_repaired_in_one_run(bench: Bench) -> None:
    links = [bench.breaks(f"/EP_S1C[{name}]", tenant="andes") for name in ("one", "two", "three")]
    other = bench.breaks("/EP_S1C[four]", tenant="condor")
    scheduler = bench.scheduler(rules=(TOGETHER,))
    for _ in range(2):
        await bench.round(scheduler)
    ran = {run.cause: run for run in bench.runs()}
    first = min(links, key=lambda one: (one.raised, one.object))
    assert set(ran) == {f"alarm:{first.id}", f"alarm:{other.id}"}
    (run,) = {bench.alarm(link).run for link in links}
    assert run == ran[f"alarm:{first.id}"].id
    given = next(one.parameters for one in bench.launcher.asked if one.cause == f"alarm:{first.id}")
    assert sorted(given["endpoint"].split()) == sorted(link.object for link in links)
    for link in links:
        bench.heals(link)
    bench.work()
    for _ in range(2):
        await bench.round(scheduler)
    assert {bench.alarm(link).state for link in links} == {AlarmState.REPAIRED}
    assert bench.store.rules.figures(TOGETHER.name).successes == 2, "runs, and not links"


async def test_a_fault_of_several_alarms_settles_as_a_whole_and_its_cool_down_is_one(bench: Bench) -> None:
    scene = Scene(bench, bench.breaks("/EP_S1C[one]", tenant="andes"), TOGETHER)
    scene.guard(settle_seconds=30)
    scheduler = bench.scheduler(rules=(scene.rule,))
    for _ in range(4):
        await bench.round(scheduler)
    second = bench.breaks("/EP_S1C[two]", tenant="andes")
    for _ in range(6):
        await bench.round(scheduler)
    assert bench.runs() == []
    await bench.round(scheduler)
    assert {bench.alarm(one).state for one in (scene.alarm, second)} == {AlarmState.REPAIRING}
    for one in (scene.alarm, second):
        bench.heals(one)
    bench.work()
    await bench.round(scheduler, seconds=900)
    third = bench.breaks("/EP_S1C[three]", tenant="andes")
    for _ in range(8):
        await bench.round(scheduler)
    assert bench.alarm(third).state is AlarmState.ESCALATED
    assert bench.alarm(third).note.startswith("it is back after 1 repairs")
    assert len(bench.runs()) == 1


async def test_people_are_called_once_for_a_fault_of_several_alarms(bench: Bench) -> None:
    links = [bench.breaks(f"/EP_S1C[{name}]", tenant="andes") for name in ("one", "two")]
    scheduler = bench.scheduler(rules=(TOGETHER,))
    await bench.round(scheduler)
    for run in bench.store.runs.active():
        bench.store.runs.advance(run, lambda *_: Transition(RunState.FAILED, cancel_rest=True))
    for _ in range(3):
        await bench.round(scheduler)
    assert {bench.alarm(link).state for link in links} == {AlarmState.ESCALATED}
    assert len(bench.people.sent) == 1
    assert bench.store.rules.figures(TOGETHER.name).failures == 1


async def test_a_link_that_a_failed_run_cured_all_the_same_is_over_and_the_others_go_on(bench: Bench) -> None:
    cured, broken = (bench.breaks(f"/EP_S1C[{name}]", tenant="andes") for name in ("one", "two"))
    scheduler = bench.scheduler(rules=(TOGETHER,))
    await bench.round(scheduler)
    bench.heals(cured)
    for run in bench.store.runs.active():
        bench.store.runs.advance(run, lambda *_: Transition(RunState.FAILED, cancel_rest=True))
    for _ in range(3):
        await bench.round(scheduler)
    assert [bench.alarm(one).state for one in (cured, broken)] == [AlarmState.CLEARED, AlarmState.ESCALATED]
    assert [alarm.id for alarm, *_ in bench.people.sent] == [broken.id]
    assert bench.store.rules.figures(TOGETHER.name).failures == 1


async def test_a_yes_holds_for_the_links_that_were_asked_about(bench: Bench) -> None:
    first = bench.breaks("/EP_S1C[one]", tenant="andes")
    scheduler = bench.scheduler(rules=(TOGETHER,), mode=RuleMode.ASK)
    await bench.round(scheduler)
    (asked,) = bench.store.rules.of_alarm(first.id)
    second = bench.breaks("/EP_S1C[two]", tenant="andes")
    bench.store.rules.answer(asked.id, yes=True, by="ana", reason="")
    await bench.round(scheduler)
    assert [bench.alarm(one).state for one in (first, second)] == [AlarmState.REPAIRING, AlarmState.RAISED]


async def test_a_link_of_a_fault_that_is_being_repaired_waits_for_its_end(bench: Bench) -> None:
    """It began before the repair, and comes to its turn before a worker has begun the run."""
    first = bench.breaks("/EP_S1C[one]", tenant="andes")
    scheduler = bench.scheduler(rules=(TOGETHER,))
    await scheduler.step()
    await scheduler.settle()
    (run,) = bench.runs()
    second = bench.breaks("/EP_S1C[two]", tenant="andes")
    await bench.round(scheduler)
    assert [bench.alarm(one).state for one in (first, second)] == [AlarmState.REPAIRING, AlarmState.RAISED]
    assert bench.alarm(second).note == f"waits: run {run.id} repairs the same fault"


async def test_what_comes_again_has_to_stand_the_longer_and_then_is_peoples_once(bench: Bench) -> None:
    """A link that is down for 40 s and up for 80 s, and a rule that would act after 50 s."""
    scene = Scene(bench, bench.breaks())
    scene.guard(settle_seconds=50)
    scheduler = bench.scheduler(rules=(scene.rule,))
    for _ in range(8):
        for _ in range(8):
            await bench.round(scheduler)
        bench.heals(scene.alarm)
        await bench.clock.advance(80)
        scene.alarm = bench.breaks()
    assert (bench.runs(), bench.people.sent) == ([], []), "no outage was long enough to be thought of"
    for _ in range(3):
        for _ in range(12):
            await bench.round(scheduler)
        bench.heals(scene.alarm)
        await bench.clock.advance(80)
        scene.alarm = bench.breaks()
    assert len(bench.people.sent) == 1
    for _ in range(12):
        await bench.round(scheduler)
    assert (bench.runs(), len(bench.people.sent)) == ([], 1)
    assert bench.alarm(scene.alarm).note.endswith("the same fault came again 11 times, and people were notified of it")


async def test_what_came_again_once_is_repaired_when_it_stood_twice_as_long(bench: Bench) -> None:
    scene = Scene(bench, bench.breaks())
    scene.guard(settle_seconds=30)
    _again(scene)
    scheduler = bench.scheduler(rules=(scene.rule,))
    for _ in range(12):
        await bench.round(scheduler)
    assert bench.runs() == []
    assert bench.alarm(scene.alarm).note.startswith("waits: it came again soon after it was over")
    await bench.round(scheduler)
    assert [run.cause for run in bench.runs()] == [f"alarm:{scene.alarm.id}"]


async def test_what_comes_again_is_no_repairs_business_where_a_rule_only_tells_people(bench: Bench) -> None:
    ticket = LINK_RULE.model_copy(update={"ladder": (Rung(ticket="look at the connector"),)})
    scene = Scene(bench, bench.breaks(), ticket)
    _flapping(scene)
    scheduler = bench.scheduler(rules=(ticket,))
    for _ in range(3):
        await bench.round(scheduler)
        _again(scene)
    assert [reason for _, reason in bench.people.sent] == ["look at the connector"]


@pytest.mark.parametrize(
    "name", ["stopped", "record", "hold", "freeze", "rate", "share", "settle", "symptom", "shelved"]
)
async def test_what_only_tells_people_waits_for_no_guard_of_what_is_done_to_devices(bench: Bench, name: str) -> None:
    ticket = LINK_RULE.model_copy(update={"ladder": (Rung(ticket="look at the connector"),)})
    scene = Scene(bench, bench.breaks(), ticket)
    SCENES[name][0](scene)
    alarm = await scene.play()
    told = name in ("stopped", "record", "hold", "freeze", "rate", "share")
    assert (alarm.state is AlarmState.ESCALATED) is told
    said = [reason for one, reason in bench.people.sent if one.id == scene.alarm.id]
    assert said == ["look at the connector"] * told


async def test_the_hour_of_a_rate_ends_by_itself_and_other_regions_have_their_own(bench: Bench) -> None:
    limits = replace(UNLIMITED, per_region=2)
    scene = Scene(bench, bench.breaks())
    _repaired(scene, number=1)
    await bench.clock.advance(60)
    _repaired(scene, number=1)
    no = said(bench, scene.alarm, limits=limits)
    assert no is not None
    assert (no.guard, no.until) == ("rate", bench.clock.now() - timedelta(seconds=60) + timedelta(hours=1))
    await bench.clock.advance(3541)
    assert said(bench, scene.alarm, limits=limits) is None


async def test_a_rate_counts_what_concerns_the_same_tenant(bench: Bench) -> None:
    limits = replace(UNLIMITED, per_tenant=1)
    link = bench.report(LINK, "core-link-down", tenant="condor")
    for tenant, refused in (("andes", False), ("condor", True)):
        before = bench.report("/y", "other", station=OTHER, tenant=tenant)
        bench.store.repairs.record("other", before.object, before.id, "r-1")
        no = said(bench, link, limits=limits)
        assert (no is not None and no.reason == "1 repairs of tenant condor began within an hour") is refused


async def test_a_fault_under_work_on_a_function_is_that_works(bench: Bench) -> None:
    network = tiny()
    stations = tuple(
        one.model_copy(update={"functions": ("CU-1",)}) if one.id == STATION_ID else one for one in network.stations
    )
    made = network.model_copy(update={"stations": stations, "functions": (Function(id="CU-1", package="cu"),)})
    bench.store.networks.save(made, network_digest(made), "ana")
    link = bench.breaks()
    _busy(Scene(bench, link), "CU-1")
    (run,) = bench.runs()
    for device in (STATION_ID, "CU-1"):
        alarm = link.model_copy(update={"station": device})
        assert said(bench, alarm) == Refusal("busy", f"run {run.id} works on CU-1")


async def test_a_fault_under_a_planned_window_is_its_runs(bench: Bench) -> None:
    link = bench.breaks()
    _busy(Scene(bench, link))
    (run,) = bench.runs()
    assert said(bench, link) == Refusal("busy", f"run {run.id} works on the station")
    bench.store.runs.cancel(run.id, "ana")
    bench.store.runs.advance(run.id, lambda *_: Transition(RunState.CANCELLED, cancel_rest=True))
    assert said(bench, link) is None


def test_limits_are_those_of_the_settings() -> None:
    assert Limits() == Limits.of(Settings())
    assert RuleGuards().max_stations == 1


async def test_what_keeps_an_escalated_alarm_from_its_repair_is_on_the_audit_trail_once(bench: Bench) -> None:
    scene = Scene(bench, bench.breaks())
    _attempts(scene)
    scheduler = bench.scheduler(rules=(scene.rule,))
    for _ in range(2):
        await bench.round(scheduler)
    assert bench.alarm(scene.alarm).state is AlarmState.ESCALATED
    await bench.clock.advance(3600)
    hold = bench.store.holds.add(STATION_ID, "ana", "rigger", None)
    for _ in range(3):
        await bench.round(scheduler, seconds=61)
    found = [row for row in bench.store.audit.page(Page(limit=200))[1] if row.action == "repair.refused"]
    reason = f"hold on {STATION_ID} by ana"
    assert [(row.object, row.detail) for row in found] == [(scene.alarm.id, {"guard": "hold", "reason": reason})]
    assert bench.runs() == []
    bench.store.holds.end(hold.id, "ana")
    await bench.round(scheduler, seconds=61)
    await bench.round(scheduler)
    assert len(bench.runs()) == 1


# ------------------------------------------------------ begun, and not acted yet


async def test_a_run_that_was_stopped_before_it_acted_was_no_attempt(bench: Bench) -> None:
    link = bench.breaks()
    bench.launcher.jobs = (NewJob(0, STATION_ID),)
    scheduler = bench.scheduler(rules=(LINK_RULE,))
    await bench.round(scheduler)
    (run,) = bench.runs()
    assert bench.alarm(link).state is AlarmState.REPAIRING
    bench.store.switches.set(REMEDIATION_STOPPED, True, "ana", "storm")
    bench.store.runs.advance(run.id, lambda *_: Transition(RunState.STOPPED, cancel_rest=True))
    for _ in range(2):
        await bench.round(scheduler)
    waiting = bench.alarm(link)
    assert (waiting.state, waiting.note) == (AlarmState.RAISED, "waits: automatic repair is stopped by ana: storm")
    assert (bench.people.sent, bench.store.repairs.count_all(bench.clock.now() - timedelta(days=1))) == ([], 0)
    bench.store.switches.set(REMEDIATION_STOPPED, False, "ana")
    await bench.round(scheduler)
    assert len(bench.runs()) == 2
    assert bench.alarm(link).state is AlarmState.REPAIRING


async def test_two_faults_at_a_station_begin_no_two_repairs_at_the_same_moment(bench: Bench) -> None:
    """Each of the two was prepared while the other was: the engine has opened no job of the first run yet."""
    bench.launcher.jobs = (NewJob(0, STATION_ID),)
    links = [bench.breaks(path) for path in ("/EP_S1C[one]", "/EP_S1C[two]")]
    scheduler = bench.scheduler(rules=(LINK_RULE,))
    for _ in range(3):
        await bench.round(scheduler)
    (run,) = bench.runs()
    assert sorted(bench.alarm(one).state for one in links) == [AlarmState.RAISED, AlarmState.REPAIRING]
    (waits,) = (bench.alarm(one) for one in links if bench.alarm(one).state is AlarmState.RAISED)
    assert waits.note == f"waits: run {run.id} works on the station"


async def test_what_is_over_when_its_run_was_stopped_is_cleared(bench: Bench) -> None:
    link = bench.breaks()
    bench.launcher.jobs = (NewJob(0, STATION_ID),)
    scheduler = bench.scheduler(rules=(LINK_RULE,))
    await bench.round(scheduler)
    bench.heals(link)
    bench.store.runs.advance(bench.runs()[0].id, lambda *_: Transition(RunState.STOPPED, cancel_rest=True))
    await bench.round(scheduler)
    assert bench.alarm(link).state is AlarmState.CLEARED
    assert bench.people.sent == []


async def test_guards_are_asked_once_more_before_a_run_acts(bench: Bench) -> None:
    link = bench.breaks()
    await bench.round(bench.scheduler(rules=(LINK_RULE,)))
    (run,) = bench.runs()

    def no(*, interrupts: bool = True, restarts: bool = True) -> str:
        disturbance = Disturbance(interrupts=interrupts, restarts=interrupts and restarts)
        return bench.store.transaction(forbids, run, disturbance, bench.clock.now())

    assert no() == ""
    power = bench.report("station", "3gpp-power-problem")
    assert no() == f"it follows from alarm {power.id}, whose fault has to end"
    bench.store.repairs.withdraw(run.id)
    bench.store.repairs.record(LINK_RULE.name, "x", link.id, run.id)  # of a rule that answers what follows
    assert no().startswith("the station has a problem with its power (3gpp-power-problem) since")
    assert no(interrupts=False) == no(restarts=False) == ""
    now = bench.clock.now()
    bench.store.freezes.warn("tsunami-17", ["region:cusco"], now, now + timedelta(hours=1), "cbe", "Tsunami")
    assert no().startswith("public warning tsunami-17 in region:cusco")
    assert no(restarts=False).startswith("public warning tsunami-17 in region:cusco")
    assert no(interrupts=False) == ""
    bench.store.switches.set(REMEDIATION_STOPPED, True, "ana", "storm")
    assert no(interrupts=False) == "automatic repair is stopped by ana: storm"
    bench.store.switches.set(REMEDIATION_STOPPED, False, "ana")
    bench.heals(link)
    assert no(interrupts=False) == "its source says that it is over"


async def test_a_symptom_is_not_considered_again_before_its_root_is_gone(bench: Bench) -> None:
    scene = Scene(bench, bench.breaks())
    root = bench.report("station", "mains-lost")
    scheduler = bench.scheduler(rules=(scene.rule,))
    await bench.round(scheduler)
    assert bench.alarm(scene.alarm).note.startswith("waits: it follows from alarm a-")
    assert scheduler.next_round == math.inf
    bench.heals(root)
    await bench.round(scheduler)
    assert scheduler.next_round < math.inf


async def test_a_region_on_its_batteries_is_reset_nowhere_until_the_mains_are_back(bench: Bench) -> None:
    causes = ("o-ran-fault-30", "o-ran-fault-5")  # of which one follows from the lost mains, and one does not
    rule = RULES[0].model_copy(
        update={"name": "reset", "match": Match(causes=causes), "ladder": (Rung(playbook="reset-radio-unit"),)}
    )
    bench.launcher.restarts = True
    power = [bench.report("station", "mains-lost", station=station) for station in tiny().station_by_id]
    alarms = [
        bench.report(f"{station}/1" if cause == causes[0] else "fan", cause, station=station)
        for station in tiny().station_by_id
        for cause in causes
    ]
    scheduler = bench.scheduler(rules=(rule,))
    for _ in range(3):
        await bench.round(scheduler)
    assert bench.runs() == []
    said = {bench.alarm(alarm).note[:40] for alarm in alarms}
    assert all(note.startswith(("waits: it follows", "waits: the station runs on its battery")) for note in said), said
    for one in power:
        bench.heals(one)
    for _ in range(3):
        await bench.round(scheduler)
    assert {run.cause for run in bench.runs()} == {f"alarm:{alarm.id}" for alarm in alarms}


async def test_what_has_waited_for_long_is_considered_less_often(bench: Bench) -> None:
    scene = Scene(bench, bench.breaks())
    bench.store.holds.add(STATION_ID, "ana", "rigger", None)
    scheduler = bench.scheduler(rules=(scene.rule,))
    gaps = []
    while bench.clock.monotonic() < 1500:
        await bench.round(scheduler)
        gaps.append(scheduler.next_round - bench.clock.monotonic())
        await bench.clock.advance(max(gaps[-1], 1))
    assert 50 < max(gaps) <= 60
    assert min(gaps) < 6


async def test_a_region_with_its_share_under_repair_names_how_to_see_and_to_change_that(bench: Bench) -> None:
    scene = Scene(bench, bench.breaks())
    _share(scene)
    note = (await scene.play()).note
    for words in ("minka alarms list --state repairing", "begins when one of these is over", "MINKA_REPAIR_SHARE"):
        assert words in note


def _one_region(bench: Bench) -> list[str]:
    """All stations, which are in one region from now on."""
    sites = tuple(one.model_copy(update={"region": "cusco"}) for one in tiny().sites)
    network = tiny().model_copy(update={"sites": sites})
    assert {network.region_of(one.id) for one in network.stations} == {"cusco"}
    bench.store.networks.save(network, network_digest(network), "ana")
    return [one.id for one in network.stations]


async def test_a_freed_share_of_a_region_goes_to_the_gravest_that_waits_at_once_however_long_others_wait(
    bench: Bench,
) -> None:
    """The one that waited longest is asked again most rarely, so that the youngest would see it first."""
    under, *others = _one_region(bench)
    scheduler = bench.scheduler(rules=(LINK_RULE,), limits=replace(UNLIMITED, share=1))
    first = bench.breaks(station=under)
    await bench.round(scheduler)
    assert bench.alarm(first).state is AlarmState.REPAIRING

    def broken(station: str, severity: PerceivedSeverity) -> Alarm:
        bench.checker.down.add((station, LINK))
        return bench.report(LINK, CORE_LINK_DOWN, severity, station=station)

    small = broken(others[0], PerceivedSeverity.MAJOR)
    await bench.clock.advance(60)
    grave = broken(others[1], PerceivedSeverity.CRITICAL)
    for _ in range(30):
        await bench.round(scheduler, seconds=60)
    young = broken(others[2], PerceivedSeverity.MAJOR)
    await bench.round(scheduler, seconds=5)
    for one in (small, grave, young):
        assert (bench.alarm(one).state, bench.alarm(one).waits) == (AlarmState.RAISED, (WaitCode.SHARE,))

    async def repaired() -> list[str]:
        """Alarms that are under repair soon after the repair that is under way ended."""
        bench.work()
        for _ in range(6):
            await bench.round(scheduler, seconds=1)
        return [one.id for one in (small, grave, young) if bench.alarm(one).state is AlarmState.REPAIRING]

    assert await repaired() == [grave.id]
    assert await repaired() == [small.id], "of equals the oldest"
    assert await repaired() == [young.id]
    assert await repaired() == []


async def test_a_storm_of_one_tenant_does_not_keep_equal_faults_of_others_from_a_regions_share(bench: Bench) -> None:
    first, oldest, middle, youngest = _one_region(bench)
    scheduler = bench.scheduler(rules=(LINK_RULE,), limits=replace(UNLIMITED, share=1))
    bench.breaks(station=first, tenant="andes")
    await bench.round(scheduler)
    old = bench.breaks(station=oldest, tenant="andes")
    await bench.round(scheduler)
    other = bench.breaks(station=middle, tenant="condor")
    for _ in range(30):
        await bench.round(scheduler, seconds=60)
    young = bench.breaks(station=youngest, tenant="andes")
    await bench.round(scheduler)
    bench.work()
    for _ in range(6):
        await bench.round(scheduler, seconds=1)
    states = [bench.alarm(one).state for one in (old, other, young)]
    assert states == [AlarmState.RAISED, AlarmState.REPAIRING, AlarmState.RAISED]


async def test_an_alarm_of_a_fault_says_who_decides_and_not_that_it_is_repaired(bench: Bench) -> None:
    """The first alarm of the fault may wait, or only be observed."""
    first = bench.breaks(tenant="claro")
    bench.clock.pause(1)
    second = bench.breaks("/EP_S1C[two]", tenant="claro")
    given = Rung(playbook=LINK_RULE.ladder[0].playbook, parameters={"objects": "{{ alarm.objects }}"})
    repair = Repair(second, LINK_RULE.model_copy(update={"ladder": (given,)}))
    ask = GuardInput(repair, second, bench.store, bench.store.networks.get()[1], bench.clock.now())
    no = GUARDS["together"](ask)
    assert no is not None
    assert no.reason == f"alarm {first.id} of the same fault was raised first, and says what is done about both"
