"""Every shipped playbook on simulated stations, from its file."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.models.errors import PlanRefusedError
from controller.models.network import Rat
from controller.models.run import OnHold, Outcome, Run, RunState
from controller.runs.planning.planner import PlanRequest
from tests.integration.alarms.system import PLAYBOOKS, until
from tests.integration.playbooks.system import PlaybookSystem, open_system
from tests.support.callers import ADMINISTRATOR

STATION = "T-LTE-1"


def lock_of(system: PlaybookSystem, station: str = STATION) -> list[str]:
    """Administrative states of a station's LTE cells, in order."""
    text = system.running(station)
    return [part.split("<")[0] for part in text.split("<EUtranCellFDD>", 1)[1].split("<administrativeState>")[1:3]]


async def test_a_tenant_comes_changes_its_share_and_goes(tmp_path: Path) -> None:
    async with open_system(tmp_path, without="condor-all") as system:
        assert "02</mnc>" not in system.running(STATION)
        system.load()
        seen = await system.dry_run("onboard-tenant", tenant="condor", stations=4)
        assert seen.refused == ()
        assert seen.reach.tenants == ("condor",)
        assert {preview.station for preview in seen.stations} == set(system.fleet.stations)
        with pytest.raises(PlanRefusedError, match="expect 4 devices"):
            await system.run("onboard-tenant", tenant="condor")
        run = await system.succeeds("onboard-tenant", tenant="condor", stations=4, open="later")
        assert run.waves > 1
        assert "02</mnc>" in system.running(STATION)
        # Its customers are kept out of the LTE cells, of which each has one entry for it, until a later run opens them.
        network = system.store.networks.get()[1]
        assert reserved(system) == sum(cell.rat is Rat.LTE for cell in network.cells)
        assert not any((await system.planner.drift(tuple(system.fleet.stations))).values())
        changes = {row.what for preview in seen.stations for step in preview.steps for row in step.diff}
        assert "PLMN 999-02: reserved for operator use" in changes
        await system.succeeds("onboard-tenant", tenant="condor", expect=4)
        assert reserved(system) == 0
        assert not any((await system.planner.drift(tuple(system.fleet.stations))).values())

        share = {"shares": [{"resource": "PRB", "min": 25, "max": 55}]}
        system.load(condor_all=share)
        await system.succeeds("change-share", tenant="condor", stations=4)
        assert "<maxRatio>55</maxRatio>" in system.running(STATION)

        system.load(condor_all=None)  # type: ignore[arg-type]
        with pytest.raises(PlanRefusedError, match="name condor=") as refused:
            await system.run("offboard-tenant", tenant="condor", nodes=1, stations=4)
        count = str(refused.value).rpartition("condor=")[2].split()[0].rstrip(":")
        await system.succeeds("offboard-tenant", tenant="condor", nodes=count, stations=4)
        assert "02</mnc>" not in system.running(STATION)
        ledger = system.store.ledger.find()
        assert not [entry for found in ledger.values() for entry in found.values() if "condor" in entry.owners]


def reserved(system: PlaybookSystem) -> int:
    """How many PLMNs are reserved for operator use on all stations together."""
    text = "".join(map(system.running, system.fleet.stations))
    return text.count("<cellReservedForOperatorUse>true</cellReservedForOperatorUse>")


async def test_an_ordinary_plan_opens_nobody_who_is_still_tested(tmp_path: Path) -> None:
    """What comes on air later is reserved as the rest of its region is; in the other region nobody is tested."""
    async with open_system(tmp_path, without="condor-all") as system:
        system.load()
        await system.succeeds("onboard-tenant", tenant="condor", where=STATION, open="later")
        closed = await _reserving(system)
        assert closed == {"T-LTE-2"}
        await system.succeeds("onboard-tenant", tenant="condor", where=STATION)
        assert await _reserving(system) == set()


async def _reserving(system: PlaybookSystem) -> set[str]:
    """Stations on which an ordinary plan brings PLMNs that are reserved for operator use."""
    plan = await system.planner.plan(PlanRequest("*", expect_stations=3), "ana")
    assert {change.station for change in plan.changes} == {"T-LTE-2", "T-NR-1", "T-BOTH-1"}
    reserving = {change.station for change in plan.changes if "cellReservedForOperatorUse" in change.model_dump_json()}
    coming = [finding for finding in plan.findings if "comes on air reserved" in finding.message]
    assert {finding.station for finding in coming} == reserving
    return reserving


async def test_onboarding_touches_no_other_tenant(tmp_path: Path) -> None:
    async with open_system(tmp_path, without="condor-all") as system:
        system.load(andes_all={"shares": [{"resource": "PRB", "dedicated": 5, "min": 20, "max": 80}]})
        before = system.changes()
        with pytest.raises(PlanRefusedError, match="touches nodes of andes") as refused:
            await system.run("onboard-tenant", tenant="condor", stations=4)
        assert "first apply what the network files change for andes, or load them without it" in str(refused.value)
        assert system.changes() == before


async def test_a_person_may_have_the_last_word_before_a_tenant_is_opened(tmp_path: Path) -> None:
    async with open_system(tmp_path, without="condor-all") as system:
        system.load()
        before = {name: system.running(name) for name in system.fleet.stations}
        given = {"tenant": "condor", "where": "region=cusco", "open": "asked"}
        for answer in ("no", "yes"):
            run = await system.playbooks().start("onboard-tenant", given, asker=ADMINISTRATOR)

            async def asked(run: Run = run) -> bool:
                return all("waits for an answer" in job.detail for job in system.store.runs.jobs(run.id))

            await until("somebody is asked", asked)
            assert reserved(system) == 3
            await answer_all(system, run, answer)
            assert reserved(system) == 0
            taken_back = {name: system.running(name) for name in before} == before
            assert run_of(system, run).state is (RunState.SUCCEEDED if answer == "yes" else RunState.FAILED)
            assert taken_back is (answer == "no")


async def answer_all(system: PlaybookSystem, run: Run, answer: str) -> None:
    """Answer a run's questions alike until it ends."""

    async def done() -> bool:
        async with system.client() as client:
            for one in (await client.get("/v1/questions")).json()["results"]:
                await client.post("/v1/questions", json={"run": one["run"], "answer": answer, "reason": "tested"})
        return run_of(system, run).state.terminal

    await until("the run ends", done)


def run_of(system: PlaybookSystem, run: Run) -> Run:
    return system.store.runs.get(run.id)


async def test_lock_and_unlock(system: PlaybookSystem) -> None:
    run = await system.succeeds("lock-cell", station=STATION, cell="1")
    assert lock_of(system) == ["LOCKED", "UNLOCKED"]
    assert [step.name for step in system.steps(run, STATION)] == ["lock", "off the air"]
    again = await system.succeeds("lock-cell", station=STATION, cell="1")
    assert system.job(again, STATION).outcome is Outcome.UNCHANGED
    await system.succeeds("unlock-cell", station=STATION, cell="1")
    assert lock_of(system) == ["UNLOCKED", "UNLOCKED"]
    health = await system.checker().health(STATION)
    assert all(health.cells.values())


async def test_a_cell_that_is_not_there(system: PlaybookSystem) -> None:
    run = await system.run("lock-cell", station=STATION, cell="9")
    assert run.state is RunState.FAILED
    assert "has no cell 9; it has 1, 2" in system.job(run, STATION).detail


async def test_holds_bind_unlocking(system: PlaybookSystem) -> None:
    await system.succeeds("lock-cell", station=STATION, cell="1")
    system.store.holds.add("site:ollanta", "eva", "on the mast", None)
    seen = await system.dry_run("unlock-cell", station=STATION, cell="1")
    assert seen.refused == (f"{STATION}: hold on site:ollanta by eva: on the mast",)
    with pytest.raises(PlanRefusedError, match="on the mast"):
        await system.run("unlock-cell", station=STATION, cell="1")
    assert lock_of(system)[0] == "LOCKED"


async def test_recreate_core_endpoint(system: PlaybookSystem) -> None:
    system.fleet.stations[STATION].equipment.break_link("condor-condor-mme-1")
    await system.succeeds("recreate-core-endpoint", station=STATION, endpoint="EP_S1C[condor-condor-mme-1]")
    health = await system.checker().health(STATION)
    assert all(link.up for link in health.links)


async def test_an_endpoint_that_hangs_all_the_same_is_as_it_was(system: PlaybookSystem) -> None:
    before = system.running(STATION).count("condor-mme-1")
    system.fleet.stations[STATION].equipment.break_link("condor", curable=False)
    own = system.own(
        targets=STATION,
        strategy={"canary": 0, "check_timeout": 1},
        plan={"source": "endpoint", "endpoint": "EP_S1C[condor-condor-mme-1]"},
        steps=[{"name": "again", "action": "apply-intent"}],
    )
    run = await system.run("own", own)
    job = system.job(run, STATION)
    assert (run.state, job.outcome) == (RunState.FAILED, Outcome.ROLLED_BACK), job.detail
    assert "link-up" in job.detail
    assert system.running(STATION).count("condor-mme-1") == before
    assert not any((await system.planner.drift([STATION])).values())


async def test_audit_and_repair_of_drift(system: PlaybookSystem) -> None:
    await system.succeeds("audit-drift", where="*")
    system.change(STATION, tac="77")
    system.change(STATION, cell="2", administrativeState="LOCKED")
    before = system.changes()
    found = await system.run("audit-drift", where="*")
    assert found.state is RunState.PARTIAL
    assert "1 managed nodes differ" in system.job(found, STATION).detail
    assert system.changes() == before

    # Somebody locked a cell there: not a station to repair.
    with pytest.raises(PlanRefusedError, match="somebody else locked cell 2"):
        await system.run("repair-drift", where=STATION)
    system.change(STATION, cell="2", administrativeState="UNLOCKED")
    await system.succeeds("repair-drift", where=STATION)
    assert "<tac>77</tac>" not in system.running(STATION)
    await system.succeeds("audit-drift", where="*")


def test_all_are_tested() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parents[1].rglob("test_*.py"))
    for path in PLAYBOOKS.glob("*.yaml"):
        assert f'"{path.stem}"' in text, path.name


async def test_a_cell_that_was_dark_before_hinders_no_change(system: PlaybookSystem) -> None:
    system.fleet.stations[STATION].equipment.begin_fault("cell-down", "1", "7")
    system.load(condor_all={"shares": [{"resource": "PRB", "min": 25, "max": 55}]})
    await system.succeeds("change-share", tenant="condor", stations=4)
    assert "<maxRatio>55</maxRatio>" in system.running(STATION)


async def test_a_run_may_leave_out_what_is_held(system: PlaybookSystem) -> None:
    lock = {"name": "lock", "action": "lock-cell", "with": {"cells": ["1"]}}
    launcher = system.own(targets="*", steps=[lock])
    system.store.holds.add(STATION, "eva", "on the mast", None)
    held = f"hold on {STATION} by eva: on the mast"
    refused = await launcher.dry_run("own", {}, expect=4)
    assert (refused.refused, refused.left_out) == ((f"{STATION}: {held}",), {})
    seen = await launcher.dry_run("own", {}, OnHold.SKIP, expect=3)
    assert (seen.refused, seen.left_out) == ((), {STATION: held})
    others = sorted(set(system.fleet.stations) - {STATION})
    assert [one.station for one in seen.stations] == others
    # The playbook may say so as well, and who asks has the last word.
    skipping = system.own(targets="*", guards={"on_hold": "skip"}, steps=[lock])
    assert (await skipping.dry_run("own", {}, expect=3)).left_out == {STATION: held}
    assert (await skipping.dry_run("own", {}, OnHold.REFUSE, expect=4)).refused == refused.refused
    run = await system.run("own", skipping, expect=3)
    assert sorted(job.station for job in system.store.runs.jobs(run.id)) == others
    # One that has a plan leaves them out of it; where nothing is left, that is said.
    planned = system.own(targets=STATION, plan={}, steps=[{"name": "apply", "action": "apply-intent"}])
    alone = await planned.dry_run("own", {}, OnHold.SKIP)
    assert alone.left_out == {STATION: f"hold on {STATION}"}
    assert alone.refused == (f"the plan leaves all devices out: {STATION}: hold on {STATION}",)
