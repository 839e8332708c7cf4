"""Several runs over the same stations, one of which is dead: all end, none twice at a station, none for ever."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from controller.models.alarm import AlarmReport, AlarmSource, PerceivedSeverity
from controller.models.approval import VoteChoice
from controller.models.run import Outcome, Policy, RunState, Strategy
from controller.runs.planning.planner import PlanRequest
from controller.store import RunRequest
from simulators.netconf.faults import Fault, FaultKind
from tests.integration.alarms.system import until
from tests.integration.playbooks.system import PlaybookSystem, open_system
from tests.support.callers import ADMINISTRATOR, contracts_for
from tests.support.launch import submit

DEAD = "T-LTE-2"


@pytest.fixture(autouse=True)
def _password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINKA_DEVICE_PASSWORD", "minka-sim")


@pytest.fixture
async def system(tmp_path: Path) -> AsyncIterator[PlaybookSystem]:
    async with open_system(tmp_path) as made:
        yield made


async def test_runs_over_the_same_stations_all_end(system: PlaybookSystem) -> None:
    system.load(condor_all={"shares": [{"resource": "PRB", "min": 20, "max": 70}]})
    plan = await system.planner.plan(PlanRequest("*", expect_stations=4), "ana")
    dead = system.fleet.stations[DEAD]
    dead.faults.inject(Fault(FaultKind.REFUSE_SESSIONS, count=None))
    dead.restart()
    strategy = Strategy(canary=0, stop_after=10, confirm_timeout=40, check_timeout=10)
    runs = [
        submit(
            system.store,
            system.wakeups,
            RunRequest(
                plan=plan,
                actor="ana",
                strategy=strategy.model_copy(update={"policy": policy}),
                contracts=contracts_for(system.store, plan),
                asker=ADMINISTRATOR,
            ),
        )
        for policy in (Policy.WAVE, Policy.STATION, Policy.WAVE)
    ]
    link = {"station": "T-LTE-1", "endpoint": "EP_S1C[andes-andes-mme-1]"}
    runs.append(await system.playbooks().start("recreate-core-endpoint", link, asker=ADMINISTRATOR))

    async def ended() -> bool:
        return all(system.store.runs.get(run.id).state.terminal for run in runs)

    await until("all runs end", ended, 100)
    assert [system.store.runs.get(run.id).state for run in runs] == [RunState.PARTIAL] * 3 + [RunState.SUCCEEDED]
    for job in (job for run in runs for job in system.store.runs.jobs(run.id)):
        assert job.outcome is not None
        assert job.outcome.good is (job.station != DEAD), job
    changed = [job for run in runs[:3] for job in system.store.runs.jobs(run.id) if job.outcome is Outcome.SUCCEEDED]
    assert sorted(job.station for job in changed) == [
        "T-BOTH-1",
        "T-LTE-1",
        "T-NR-1",
    ]  # each once, by whoever came first
    assert not system.store.claims.busy(system.fleet.stations)
    assert system.store.audit.verify() is None


async def test_what_a_rule_starts_waits_where_consent_is_not_standing(system: PlaybookSystem) -> None:
    whole_day = [{"start": "00:00", "end": "12:00"}, {"start": "12:00", "end": "00:00"}]
    system.load(condor_all={"consents": {"restore": "notice"}, "windows": whole_day})
    system.change("T-LTE-1", pci="99")
    alarm = system.store.alarms.report(
        AlarmReport(
            station="T-LTE-1",
            object="station",
            probable_cause="configuration-drift",
            severity=PerceivedSeverity.WARNING,
            source=AlarmSource.CHECK,
            at=system.clock.now(),
        )
    )
    asked = RunRequest(
        playbook="repair-drift",
        parameters={"where": "T-LTE-1"},
        actor="rule:drift",
        cause=f"alarm:{alarm.id}",
        key="k",
    )
    launcher = system.playbooks().launcher
    run = await launcher.accept(await launcher.prepare(asked), lambda store, new: store.runs.create(new))

    async def waits() -> bool:
        (why,) = system.store.runs.get(run.id).waits or ("",)
        return why.startswith("approval by 1 of host to restore ") and "gave no standing consent" in why

    await until("the repair waits for a person", waits)
    subject = standing.constraints.subject if (standing := system.store.approvals.standing(run.id)) else ""
    system.store.approvals.vote(subject, ADMINISTRATOR, VoteChoice.APPROVE, "go on", run.id)

    async def ended() -> bool:
        return system.store.runs.get(run.id).state is RunState.SUCCEEDED

    await until("the repair is done", ended)
