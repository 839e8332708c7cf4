"""The kill switch where the PostgreSQL that two schedulers and a worker share hangs, or dies and a standby takes over.

No station is sent anything more.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from controller.models.alarm import REMEDIATION_STOPPED, AlarmState
from controller.models.run import JobState, Outcome, RunState
from controller.store import Page
from simulators.history import EventKind
from simulators.netconf.faults import Fault, FaultKind
from tests.integration.alarms.system import LTE, LocalSystem, open_system, until
from tests.support.postgres import postgres_server

pytestmark = pytest.mark.needs("initdb")


@asynccontextmanager
async def _system(folder: Path, database: str) -> AsyncIterator[LocalSystem]:
    """A system with two schedulers."""
    async with open_system(folder, database=database) as system:
        system.listen()
        await system.observed()
        system.remediate()
        system.remediate()
        yield system


async def test_what_waits_for_a_lock_and_a_database_sends_nothing_once_repair_is_stopped(tmp_path: Path) -> None:
    with postgres_server() as server, server.database() as url:
        async with _system(tmp_path, url) as system:

            async def hangs() -> None:
                with server.hung():
                    _break_another(system)  # while nobody can read the switch
                    await system.clock.sleep(3.0)

            await _stop_in_the_midst(system, hangs)


async def test_a_standby_that_takes_over_holds_what_was_stopped(tmp_path: Path) -> None:
    with postgres_server() as server, server.database() as url, server.standby() as standby:
        name, servers = url.rpartition("/")[2], f"host=127.0.0.1,127.0.0.1&port={server.port},{standby.port}"
        either = f"postgresql://minka@/{name}?{servers}&target_session_attrs=read-write"
        async with _system(tmp_path, either) as system:

            async def fails_over() -> None:
                server.kill()
                _break_another(system)
                await asyncio.to_thread(standby.promote)

            await _stop_in_the_midst(system, fails_over)
            assert not system.store.integrity.check().doubt, "a standby that has all is no older record"


def _break_another(system: LocalSystem) -> None:
    system.fleet.stations["T-LTE-2"].equipment.break_link("andes-andes-mme-2")


async def _stop_in_the_midst(system: LocalSystem, happens: Callable[[], Awaitable[None]]) -> None:
    station = system.fleet.stations[LTE]
    edits = station.history.counts[EventKind.EDITED]
    station.faults.inject(Fault(FaultKind.DELAY, "lock", seconds=6.0))
    station.equipment.break_link("condor-condor-mme-1")

    async def claimed() -> bool:
        jobs = [job for run in system.store.runs.active() for job in system.store.runs.jobs(run)]
        return any(job.state is JobState.CLAIMED for job in jobs)

    await until("a worker has claimed the repair", claimed)
    system.store.switches.set(REMEDIATION_STOPPED, True, "ana", "storm")
    await happens()

    async def ended() -> bool:
        return not system.store.runs.active()

    await until("the run ends", ended)
    (run,) = [one for one in system.store.runs.page(Page())[1] if one.automatic]
    (job,) = system.store.runs.jobs(run.id)
    assert (run.state, job.outcome) == (RunState.STOPPED, Outcome.CANCELLED)
    assert "automatic repair is stopped by ana: storm" in job.detail
    for name in (LTE, "T-LTE-2"):
        alarm = await system.ended(name, AlarmState.RAISED)

        async def says(of: str = alarm.id) -> bool:
            return "automatic repair is stopped by ana" in system.store.alarms.get(of).note

        await until("the alarm says why it waits", says)
    assert system.runs_for_alarms() == 1
    assert station.history.counts[EventKind.EDITED] == edits, "nothing was sent"
    station.faults.clear()
    # What people let go on is repaired then, both.
    system.store.switches.set(REMEDIATION_STOPPED, False, "ana")
    for name in (LTE, "T-LTE-2"):
        await system.ended(name, AlarmState.REPAIRED)
    assert station.history.counts[EventKind.EDITED] > edits
