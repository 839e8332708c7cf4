"""Software of simulated stations: downloaded, installed, activated in waves, verified, taken back."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from controller.models.run import JobState, Outcome, RunState
from controller.playbook.engine.preparation import DryRun
from simulators.history import EventKind
from simulators.netconf.profiles import STANDARD
from simulators.station import Station
from tests.integration.alarms.system import until
from tests.integration.approvals.test_clearance import window
from tests.integration.playbooks.system import PlaybookSystem
from tests.support.callers import ADMINISTRATOR

STATION, OTHER = "T-LTE-1", "T-LTE-2"
NEW = {"url": "sftp://10.0.0.1/images/station-24.3.0.zip", "version": "24.3.0"}
FETCH: list[dict[str, Any]] = [
    {
        "name": "fetch",
        "action": "download-software",
        "with": {"url": NEW["url"], "seconds": 4},
        "retries": 1,
        "retry_seconds": 0.1,
    }
]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simulators.equipment.equipment.RESET_DELAY", 0.2)
    for name in ("DOWNLOAD", "INSTALL", "ACTIVATE"):
        monkeypatch.setattr(f"simulators.equipment.software.{name}_SECONDS", 0.4)


def station(system: PlaybookSystem, name: str = STATION) -> Station:
    return system.fleet.stations[name]


def version(system: PlaybookSystem, name: str = STATION) -> str:
    return station(system, name).equipment.software.version


def restarts(system: PlaybookSystem, name: str = STATION) -> int:
    return station(system, name).history.counts[EventKind.RESTARTED]


def says(seen: DryRun) -> list[str]:
    return [step.says for step in seen.stations[0].steps]


async def test_download_first_then_upgrade_in_waves(system: PlaybookSystem) -> None:
    touched = system.changes()
    seen = await system.dry_run("upgrade-software", where="region=cusco", **NEW)
    assert says(seen)[:6] == [
        f"asks for software-download {NEW['url']}",
        "asks for software-install slot-b",
        "ok",
        "skipped: {{ soak > 0 }}",
        "asks for software-activate slot-b",
        "asks for reset; outage for a time that is not known",
    ]
    assert says(seen)[6].startswith("would check again; now: it runs 24.2.1")
    assert system.changes() == touched

    await system.succeeds("download-software", where="region=cusco", **NEW)
    assert {version(system), version(system, OTHER)} == {"24.2.1"}
    run = await system.succeeds("upgrade-software", where="region=cusco", **NEW)
    assert run.waves == 2
    for name in (STATION, OTHER):
        assert version(system, name) == "24.3.0"
        assert restarts(system, name) == 1
        assert [step.outcome for step in system.steps(run, name)][:2] == [Outcome.UNCHANGED] * 2
        assert all((await system.checker().health(name)).cells.values())

    again = await system.succeeds("upgrade-software", where="region=cusco", **NEW)
    assert system.job(again, STATION).outcome is Outcome.UNCHANGED
    assert restarts(system) == 1


async def test_a_download_needs_no_window_while_the_upgrade_waits_for_one(system: PlaybookSystem) -> None:
    now = system.clock.now()
    system.load(andes_all={"windows": window(now + timedelta(hours=5), now + timedelta(hours=9))})
    waiting = await system.playbooks().start(
        "upgrade-software", {"where": STATION, **NEW}, "ana", "", None, ADMINISTRATOR
    )
    seen = await system.dry_run("upgrade-software", where=STATION, **NEW)
    assert any("window opens" in reason for reason in seen.outlook.waits)
    seen = await system.dry_run("download-software", where=STATION, **NEW)
    assert seen.outlook.waits == {}
    await system.succeeds("download-software", where=STATION, **NEW)
    assert "24.3.0" in {slot.version for slot in station(system).equipment.software.slots}
    job = system.job(waiting, STATION)
    assert job.state is not JobState.DONE
    assert "window opens" in job.blocked
    assert version(system) == "24.2.1"


FAULTS = {
    "wrong-checksum": "INTEGRITY_ERROR station-24.3.0.zip: wrong checksum",
    "install-fails": "no space left in the slot",
    "activation-fails": "the slot can't be started from",
    "boot-fails": "it runs 24.2.1 from slot-a, and not 24.3.0",
}


async def test_what_fails_leaves_the_old_version(system: PlaybookSystem) -> None:
    station(system).equipment.begin_fault("download-fails")
    launcher = system.own(targets=STATION, steps=FETCH)
    run = await system.succeeds("own", launcher)
    assert system.steps(run, STATION)[0].attempt == 2, "a download that fails is tried again"
    for fault, said in FAULTS.items():
        station(system).equipment.begin_fault(fault)
        run = await system.run("upgrade-software", where=STATION, **NEW)
        assert run.state is RunState.FAILED
        job = system.job(run, STATION)
        assert said in job.detail
        assert job.outcome is Outcome.FAILED_SAFE
        assert version(system) == "24.2.1"
        assert next(slot.name for slot in station(system).equipment.software.slots if slot.active) == "slot-a"


async def test_cells_that_stay_dark_bring_the_old_version_back(system: PlaybookSystem) -> None:
    steps = [
        *FETCH,
        {"name": "install", "action": "install-software", "with": {"version": "24.3.0"}, "register": "new"},
        {
            "name": "activate",
            "action": "activate-software",
            "with": {"slot": "{{ new.slot }}"},
            "undo": {"action": "activate-software", "with": {"slot": "{{ new.previous }}"}},
        },
        {
            "name": "restart",
            "action": "restart-station",
            "undo": {"action": "rollback-software", "with": {"slot": "{{ new.previous }}"}},
        },
        {
            "name": "on air",
            "action": "wait-until",
            "with": {"condition": "cells-on-air", "seconds": 2},
        },
    ]
    task = asyncio.create_task(system.run("own", system.own(targets=STATION, steps=steps)))

    async def upgraded() -> bool:
        return version(system) == "24.3.0"

    await until("the new version runs", upgraded)
    station(system).equipment.begin_fault("sfp", "ru-1", "1")
    run = await task
    assert run.state is RunState.FAILED
    assert system.job(run, STATION).outcome is Outcome.ROLLED_BACK
    assert version(system) == "24.2.1"
    assert restarts(system) == 2


@pytest.mark.parametrize("remembers", [True, False])
async def test_a_worker_that_dies_while_a_station_downloads(
    system: PlaybookSystem, monkeypatch: pytest.MonkeyPatch, remembers: bool
) -> None:
    """The station's word is heard later where it remembers; elsewhere the download is asked for again."""
    if remembers:
        station(system).change_profile(replace(STANDARD, replay=100))
    monkeypatch.setattr("simulators.equipment.software.DOWNLOAD_SECONDS", 1.0)
    own = system.own(targets=STATION, steps=FETCH)
    run = await own.start("own", {})

    async def asked() -> bool:
        job = system.job(run, STATION).id
        with system.store.database.engine.connect() as connection:
            begun = "SELECT count(*) FROM journal WHERE job = ? AND step = 'prepared'"
            return bool(connection.exec_driver_sql(begun, (job,)).scalar_one())

    await until("the station downloads", asked)
    system.worker.cancel()
    await asyncio.gather(system.worker, return_exceptions=True)

    async def told() -> bool:
        return station(system).history.counts[EventKind.SOFTWARE] == 1

    await until("the station is done", told)
    await system.replace_worker()

    async def done() -> bool:
        return system.store.runs.get(run.id).state.terminal

    await until("the run ends", done)
    assert system.store.runs.get(run.id).state is RunState.SUCCEEDED, system.store.runs.jobs(run.id)
    assert station(system).history.counts[EventKind.SOFTWARE] == (1 if remembers else 2)
