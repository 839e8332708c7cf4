"""A station on which a job soaks or waits is looked at like any other, and owes its tenants like any other."""

from __future__ import annotations

from typing import Any

from controller.models.alarm import BACKHAUL_DOWN, UNREACHABLE, AlarmState
from controller.models.health import ServiceState
from controller.models.run import Run, RunState
from simulators.connections import Outage
from simulators.netconf.faults import Fault, FaultKind
from tests.integration.alarms.system import PATIENCE, until
from tests.integration.playbooks.system import PlaybookSystem
from tests.integration.playbooks.test_undo import AGREED
from tests.support.callers import ADMINISTRATOR, agree_by_contract

STATION = "T-BOTH-1"
LOCK = {"name": "lock", "action": "lock-cell", "with": {"cells": ["1"]}}
ASK = {"name": "look at it", "action": "ask-a-human", "with": {"text": "Is all well?", "choices": ["yes", "no"]}}
NO_NEW = {"name": "no new alarms", "action": "check-alarms", "with": {"new": True}}


async def waiting(system: PlaybookSystem, *steps: dict[str, Any], **more: Any) -> Run:
    """A run that did something and waits for a person."""
    own = system.own(targets=STATION, steps=[*steps, ASK, NO_NEW], **more)
    run = await own.start("own", {}, asker=ADMINISTRATOR)
    agree_by_contract(system.store, system.clock, run)

    async def asked() -> bool:
        return bool(system.store.questions.find(run.id))

    await until("the run asks", asked)
    return run


async def test_links_that_are_cut_while_a_job_waits_are_alarms_and_fail_its_check(system: PlaybookSystem) -> None:
    system.listen()
    await system.observed()
    run = await waiting(system, LOCK)
    before = system.store.healths.find([STATION])[STATION]
    system.fleet.stations[STATION].equipment.begin_fault("core-link-down", "andes")

    async def told() -> bool:
        found = [one for one in system.alarms(STATION) if one.state is not AlarmState.CLEARED]
        return any(one.tenant == "andes" and one.probable_cause == "core-link-down" for one in found)

    await until("the links are alarms", told)
    seen = system.store.healths.find([STATION])[STATION]
    assert seen.at > before.at
    assert {link.state for link in seen.links if link.tenant == "andes"} == {ServiceState.DOWN}
    assert (seen.locked, seen.drift) == (("1",), 0), "what the job did is known"
    system.store.questions.answer(run.id, "yes", actor="ana")

    async def ended() -> bool:
        return system.store.runs.get(run.id).state.terminal

    await until("the run ends", ended)
    assert system.store.runs.get(run.id).state is RunState.FAILED
    assert system.job(run, STATION).detail.startswith("step 'no new alarms': MAJOR ")


async def test_a_station_in_its_transaction_hides_no_cut(system: PlaybookSystem) -> None:
    system.listen()
    await system.observed()
    faults = system.fleet.stations[STATION].faults
    slow = faults.inject(Fault(FaultKind.DELAY, "commit", seconds=PATIENCE))
    run = await system.own(targets=STATION, steps=[LOCK]).start("own", {}, asker=ADMINISTRATOR)
    agree_by_contract(system.store, system.clock, run)

    async def changes() -> object:
        return slow.struck and system.store.claims.in_transaction([STATION])

    await until("the station is just being changed", changes)
    system.fleet.transport.cut("hill", Outage.REFUSAL)

    async def cut() -> bool:
        return any(one.probable_cause == BACKHAUL_DOWN and one.object == "hill" for one in system.alarms())

    await until("the cut is found", cut)
    assert system.store.claims.in_transaction([STATION]), "its job still has it"
    assert not system.store.healths.find([STATION])[STATION].reachable, "and it is shown as it is"
    assert not system.store.runs.get(run.id).state.terminal
    system.fleet.transport.restore("hill")

    async def over() -> bool:
        dark = {BACKHAUL_DOWN, UNREACHABLE}
        return not any(one.cleared is None and one.probable_cause in dark for one in system.alarms())

    await until("all answer again", over)


async def test_what_a_job_under_way_changed_is_no_drift(system: PlaybookSystem) -> None:
    system.listen()
    await system.observed()
    system.load(condor_all={"shares": [{"resource": "PRB", "min": 20, "max": 55}], "consents": AGREED})
    apply = {"name": "apply", "action": "apply-intent"}
    run = await waiting(system, apply, plan={"source": "network", "only_tenant": "condor"})
    ledger = await system.loop_store.ledger.find([STATION])
    since = system.clock.now()

    async def looked_at() -> bool:
        return system.store.healths.find([STATION])[STATION].at > since

    for _ in range(2):
        await until("it is looked at", looked_at)
        since = system.clock.now()
    assert system.steps(run, STATION)[0].changed
    assert await system.loop_store.ledger.find([STATION]) == ledger, "the job has not ended"
    assert (system.store.healths.find([STATION])[STATION].drift, system.alarms(STATION)) == (0, [])
