"""Runs that ask people over the API, and waves that are looked at again after a soak."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from lxml import etree

from controller.models.run import JobState, Outcome, Run, RunState
from tests.integration.alarms.system import until
from tests.integration.playbooks.system import PlaybookSystem
from tests.integration.playbooks.test_shipped import lock_of

LOCK: dict[str, Any] = {"name": "lock", "action": "lock-cell", "with": {"cells": ["1"]}}
#: Measures for a second at a time.
MEASURE = (
    '<ManagedElement xmlns="urn:3gpp:sa5:_3gpp-common-managed-element"><id>{}</id><PerfMetricJob><id>j1</id>'
    "<attributes><performanceMetrics>S1SIG</performanceMetrics><granularityPeriod>1</granularityPeriod>"
    "<fileReportingPeriod>15</fileReportingPeriod></attributes></PerfMetricJob></ManagedElement>"
)
ASK: dict[str, Any] = {
    "name": "go on",
    "action": "ask-a-human",
    "with": {"text": "Do the neighbours serve?"},
    "checks": ["{{ output.answer == 'yes' }}"],
}


async def ended(system: PlaybookSystem, run: Run) -> Run:
    async def done() -> bool:
        return system.store.runs.get(run.id).state.terminal

    await until("the run ends", done)
    return system.store.runs.get(run.id)


async def test_one_answer_is_for_all_stations_and_outlives_workers(system: PlaybookSystem) -> None:
    own = system.own(targets="region=cusco", strategy={"canary": 0}, steps=[LOCK, ASK])
    seen = await system.dry_run("own", own)
    lock, asks = [step.says for step in seen.stations[0].steps]
    assert lock == "outage until unlocked"
    assert asks.startswith("would ask: Do the neighbours serve? (yes or no); without an answer within 86400 s ")
    run = await own.start("own", {})

    async def asked() -> bool:
        jobs = system.store.runs.jobs(run.id)
        return all("waits for an answer" in job.detail for job in jobs)

    await until("both stations wait", asked)
    await system.replace_worker()
    async with system.client() as client:
        listed = (await client.get("/v1/questions")).json()["results"]
        assert [(one["run"], one["text"], one["choices"]) for one in listed] == [
            (run.id, "Do the neighbours serve?", ["yes", "no"])
        ]
        wrong = await client.post("/v1/questions", json={"run": run.id, "answer": "perhaps"})
        assert wrong.status_code == 422
        said = await client.post("/v1/questions", json={"run": run.id, "answer": "yes", "reason": "looked"})
        assert said.status_code == 200, said.text
        late = await client.post("/v1/questions", json={"run": run.id, "answer": "no"})
        assert late.status_code == 404
    assert (await ended(system, run)).state is RunState.SUCCEEDED, system.store.runs.jobs(run.id)
    assert lock_of(system)[0] == "LOCKED"
    assert system.steps(run, "T-LTE-2")[1].output["by"] == "ana"


async def test_a_wave_that_fails_after_its_soak_is_undone_and_the_run_stops(system: PlaybookSystem) -> None:
    before = {name: system.running(name) for name in system.fleet.stations}
    checks = [{"name": "elsewhere", "action": "read-state", "checks": ["{{ target.station != 'T-LTE-1' }}"]}]
    own = system.own(
        targets="*",
        strategy={"canary": 0, "wave_size": 2, "soak": 1, "stop_after": 100},
        steps=[{**LOCK, "with": {"cells": "all"}}],
        soak_checks=checks,
    )
    seen = await system.dry_run("own", own, expect=4)
    assert seen.stations[0].steps[-1].says == "after a soak of 1 s, or the wave is undone"
    run = await system.run("own", own, expect=4)
    assert run.state is RunState.STOPPED, system.store.runs.jobs(run.id)
    assert run.halted.startswith("the soak failed at T-LTE-1: check 'elsewhere' after the soak")
    outcomes = {job.station: job.outcome for job in system.store.runs.jobs(run.id)}
    undone = {name for name, outcome in outcomes.items() if outcome is Outcome.ROLLED_BACK}
    assert "T-LTE-1" in undone
    assert len(undone) == 2, outcomes
    assert {outcome for name, outcome in outcomes.items() if name not in undone} == {Outcome.CANCELLED}
    for name in undone:
        assert system.running(name) == before[name]


async def test_kpis_that_get_worse_in_the_soak_take_the_wave_back(system: PlaybookSystem) -> None:
    station = system.fleet.stations["T-LTE-1"]
    station.datastores.foreign_edit(etree.fromstring(MEASURE.format("T-LTE-1")))
    compare = {"before": "{{ kpis }}", "kpis": ["s1-setup-success"], "min_samples": 0, "settle": 1}
    own = system.own(
        targets="T-LTE-1",
        strategy={"soak": 4},
        steps=[
            {"name": "kpis", "action": "read-kpis", "register": "kpis", "retries": 10, "retry_seconds": 0.5}
            | {"checks": ["{{ 's1-setup-success' in output['values'] }}", "{{ not output.suspect }}"]},
            {**LOCK, "with": {"cells": ["2"]}},
        ],
        soak_checks=[{"name": "kpis", "action": "check-kpis", "with": compare}],
    )
    run = await own.start("own", {})

    async def soaks() -> bool:
        return system.job(run, "T-LTE-1").detail == "soaks"

    await until("the station soaks", soaks)
    assert lock_of(system) == ["UNLOCKED", "LOCKED"]
    station.equipment.begin_fault("core-links-down")
    await ended(system, run)
    job = system.job(run, "T-LTE-1")
    assert job.outcome is Outcome.ROLLED_BACK, job
    assert "s1-setup-success: " in job.detail
    assert "% before, 0.00 % after" in job.detail
    assert lock_of(system) == ["UNLOCKED", "UNLOCKED"]


async def test_a_public_warning_puts_back_on_the_air_what_a_run_locked_and_a_cancel_ends_the_wait(
    system: PlaybookSystem,
) -> None:
    unlock = {"name": "unlock", "action": "unlock-cell", "with": {"cells": "all"}}
    steps = [LOCK, ASK, {**LOCK, "name": "second", "with": {"cells": ["2"]}}, unlock]
    run = await system.own(targets="T-LTE-1", steps=steps).start("own", {})

    async def asks() -> bool:
        return "waits for an answer" in system.job(run, "T-LTE-1").detail

    async def waits() -> bool:
        # It may be looked at before it is taken from the queue, or rest after that: both name the warning, for good.
        job = system.job(run, "T-LTE-1")
        waiting = job.state in (JobState.WAITING, JobState.READY) and lock_of(system) == ["UNLOCKED", "UNLOCKED"]
        return waiting and "public warning tsunami-17 in network" in f"{job.blocked} {job.detail}"

    await until("it asks", asks)
    assert lock_of(system) == ["LOCKED", "UNLOCKED"]
    now = system.clock.now()
    system.store.freezes.warn("tsunami-17", ["network"], now, now + timedelta(hours=9), "cbe", "Tsunami")
    system.store.questions.answer(run.id, "yes", actor="ana")
    await until("it waits as if it had never begun", waits)
    assert lock_of(system) == ["UNLOCKED", "UNLOCKED"]
    system.store.runs.cancel(run.id, "ana")
    assert (await ended(system, run)).state is RunState.CANCELLED
    assert lock_of(system) == ["UNLOCKED", "UNLOCKED"]
