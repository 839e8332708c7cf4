"""Every shipped playbook on simulated stations, from its file."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.models.errors import PlanRefusedError
from controller.models.run import Held, Outcome, RunState
from tests.integration.alarms.house import PLAYBOOKS
from tests.integration.playbooks.house import PlaybookHouse, open_house

STATION = "T-LTE-1"


def lock_of(house: PlaybookHouse, station: str = STATION) -> list[str]:
    """Administrative states of a station's LTE cells, in order."""
    text = house.running(station)
    return [part.split("<")[0] for part in text.split("<EUtranCellFDD>", 1)[1].split("<administrativeState>")[1:3]]


async def test_a_tenant_comes_changes_its_share_and_goes(tmp_path: Path) -> None:
    async with open_house(tmp_path, without="condor-all") as house:
        assert "02</mnc>" not in house.running(STATION)
        house.load()
        seen = await house.dry_run("onboard-tenant", tenant="condor", stations=4)
        assert seen.refused == ()
        assert seen.reach.tenants == ("condor",)
        assert {preview.station for preview in seen.stations} == set(house.fleet.stations)
        with pytest.raises(PlanRefusedError, match="expect 4 stations"):
            await house.run("onboard-tenant", tenant="condor")
        run = await house.succeeds("onboard-tenant", tenant="condor", stations=4)
        assert run.waves > 1
        assert "02</mnc>" in house.running(STATION)
        assert not any((await house.planner.drift(tuple(house.fleet.stations))).values())

        share = {"shares": [{"resource": "PRB", "min": 25, "max": 55}]}
        house.load(condor_all=share)
        await house.succeeds("change-share", tenant="condor", stations=4)
        assert "<maxRatio>55</maxRatio>" in house.running(STATION)

        house.load(condor_all=None)  # type: ignore[arg-type]
        with pytest.raises(PlanRefusedError, match="name condor=") as refused:
            await house.run("offboard-tenant", tenant="condor", nodes=1, stations=4)
        count = str(refused.value).rpartition("condor=")[2].split()[0].rstrip(":")
        await house.succeeds("offboard-tenant", tenant="condor", nodes=count, stations=4)
        assert "02</mnc>" not in house.running(STATION)
        ledger = house.store.ledger.find()
        assert not [entry for found in ledger.values() for entry in found.values() if "condor" in entry.owners]


async def test_onboarding_touches_no_other_tenant(tmp_path: Path) -> None:
    async with open_house(tmp_path, without="condor-all") as house:
        house.load(andes_all={"shares": [{"resource": "PRB", "dedicated": 5, "min": 20, "max": 80}]})
        before = house.changes()
        with pytest.raises(PlanRefusedError, match="touches nodes of andes") as refused:
            await house.run("onboard-tenant", tenant="condor", stations=4)
        assert "first apply what the network files change for andes, or load them without it" in str(refused.value)
        assert house.changes() == before


async def test_lock_and_unlock(house: PlaybookHouse) -> None:
    run = await house.succeeds("lock-cell", station=STATION, cell="1")
    assert lock_of(house) == ["LOCKED", "UNLOCKED"]
    assert [step.name for step in house.steps(run, STATION)] == ["lock", "off the air"]
    again = await house.succeeds("lock-cell", station=STATION, cell="1")
    assert house.job(again, STATION).outcome is Outcome.UNCHANGED
    await house.succeeds("unlock-cell", station=STATION, cell="1")
    assert lock_of(house) == ["UNLOCKED", "UNLOCKED"]
    health = await house.checker().health(STATION)
    assert all(health.cells.values())


async def test_a_cell_that_is_not_there(house: PlaybookHouse) -> None:
    run = await house.run("lock-cell", station=STATION, cell="9")
    assert run.state is RunState.FAILED
    assert "has no cell 9; it has 1, 2" in house.job(run, STATION).detail


async def test_holds_bind_unlocking(house: PlaybookHouse) -> None:
    await house.succeeds("lock-cell", station=STATION, cell="1")
    house.store.holds.add("site:ollanta", "eva", "on the mast", None)
    seen = await house.dry_run("unlock-cell", station=STATION, cell="1")
    assert seen.refused == (f"{STATION}: hold on site:ollanta by eva: on the mast",)
    with pytest.raises(PlanRefusedError, match="on the mast"):
        await house.run("unlock-cell", station=STATION, cell="1")
    assert lock_of(house)[0] == "LOCKED"


async def test_recreate_core_endpoint(house: PlaybookHouse) -> None:
    house.fleet.stations[STATION].equipment.break_link("condor")
    await house.succeeds("recreate-core-endpoint", station=STATION, endpoint="EP_S1C[condor-condor-mme-1]")
    health = await house.checker().health(STATION)
    assert all(link.up for link in health.links)


async def test_an_endpoint_that_hangs_all_the_same_is_as_it_was(house: PlaybookHouse) -> None:
    before = house.running(STATION).count("condor-mme-1")
    house.fleet.stations[STATION].equipment.break_link("condor", curable=False)
    own = house.own(
        targets=STATION,
        strategy={"canary": 0, "check_timeout": 1},
        plan={"source": "endpoint", "endpoint": "EP_S1C[condor-condor-mme-1]"},
        steps=[{"name": "again", "action": "apply-intent"}],
    )
    run = await house.run("own", own)
    job = house.job(run, STATION)
    assert (run.state, job.outcome) == (RunState.FAILED, Outcome.ROLLED_BACK), job.detail
    assert "link-up" in job.detail
    assert house.running(STATION).count("condor-mme-1") == before
    assert not any((await house.planner.drift([STATION])).values())


async def test_audit_and_repair_of_drift(house: PlaybookHouse) -> None:
    await house.succeeds("audit-drift", where="*")
    house.change(STATION, tac="77")
    house.change(STATION, cell="2", administrativeState="LOCKED")
    before = house.changes()
    found = await house.run("audit-drift", where="*")
    assert found.state is RunState.PARTIAL
    assert "1 managed nodes differ" in house.job(found, STATION).detail
    assert house.changes() == before

    # Somebody locked a cell there: not a station to repair.
    with pytest.raises(PlanRefusedError, match="somebody else locked cell 2"):
        await house.run("repair-drift", where=STATION)
    house.change(STATION, cell="2", administrativeState="UNLOCKED")
    await house.succeeds("repair-drift", where=STATION)
    assert "<tac>77</tac>" not in house.running(STATION)
    await house.succeeds("audit-drift", where="*")


def test_all_are_tested() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parents[1].rglob("test_*.py"))
    for path in PLAYBOOKS.glob("*.yaml"):
        assert f'"{path.stem}"' in text, path.name


async def test_a_cell_that_was_dark_before_hinders_no_change(house: PlaybookHouse) -> None:
    house.fleet.stations[STATION].equipment.begin_fault("cell-down", "1", "7")
    house.load(condor_all={"shares": [{"resource": "PRB", "min": 25, "max": 55}]})
    await house.succeeds("change-share", tenant="condor", stations=4)
    assert "<maxRatio>55</maxRatio>" in house.running(STATION)


async def test_a_run_may_leave_out_what_is_held(house: PlaybookHouse) -> None:
    lock = {"name": "lock", "action": "lock-cell", "with": {"cells": ["1"]}}
    launcher = house.own(targets="*", steps=[lock])
    house.store.holds.add(STATION, "eva", "on the mast", None)
    held = f"hold on {STATION} by eva: on the mast"
    refused = await launcher.dry_run("own", {})
    assert (refused.refused, refused.left_out) == ((f"{STATION}: {held}",), {})
    seen = await launcher.dry_run("own", {}, Held.SKIP)
    assert (seen.refused, seen.left_out) == ((), {STATION: held})
    others = sorted(set(house.fleet.stations) - {STATION})
    assert [one.station for one in seen.stations] == others
    # The playbook may say so as well, and who asks has the last word.
    skipping = house.own(targets="*", guards={"held": "skip"}, steps=[lock])
    assert (await skipping.dry_run("own", {})).left_out == {STATION: held}
    assert (await skipping.dry_run("own", {}, Held.REFUSE)).refused == refused.refused
    run = await house.run("own", skipping)
    assert sorted(job.station for job in house.store.runs.jobs(run.id)) == others
    # One that has a plan leaves them out of it; where nothing is left, that is said.
    planned = house.own(targets=STATION, plan={}, steps=[{"name": "apply", "action": "apply-intent"}])
    alone = await planned.dry_run("own", {}, Held.SKIP)
    assert alone.left_out == {STATION: f"hold on {STATION}"}
    assert alone.refused == (f"the plan leaves all stations out: {STATION}: hold on {STATION}",)
