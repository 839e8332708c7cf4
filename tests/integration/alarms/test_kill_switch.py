"""The kill switch where two schedulers and a worker share a PostgreSQL that hangs: no station is sent anything more."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from controller.models.alarm import REMEDIATION_STOPPED, AlarmState
from controller.models.run import JobState, Outcome, RunState
from controller.ports.store import Page
from simulators.history import EventKind
from simulators.netconf.faults import Fault, FaultKind
from tests.integration.alarms.system import LTE, LocalSystem, open_system, until
from tests.support.postgres import PostgresServer, postgres_server

pytestmark = [pytest.mark.needs("initdb"), pytest.mark.timeout(180)]


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[tuple[LocalSystem, PostgresServer]]:
    """A system on a server of its own, with two schedulers."""
    with postgres_server() as server, server.database() as url:
        async with open_system(tmp_path, database=url) as system:
            system.listen()
            await system.observed()
            system.remediate()
            system.remediate()
            yield system, server


async def test_what_waits_for_a_lock_and_a_database_sends_nothing_once_repair_is_stopped(
    served: tuple[LocalSystem, PostgresServer],
) -> None:
    system, server = served
    station = system.fleet.stations[LTE]
    edits = station.history.counts[EventKind.EDITED]
    station.faults.inject(Fault(FaultKind.DELAY, "lock", seconds=6.0))
    station.equipment.break_link("condor-condor-mme-1")

    async def claimed() -> bool:
        jobs = [job for run in system.store.runs.active() for job in system.store.runs.jobs(run)]
        return any(job.state is JobState.CLAIMED for job in jobs)

    await until("a worker has claimed the repair", claimed)
    system.store.switches.set(REMEDIATION_STOPPED, True, "ana", "storm")
    with server.hung():
        # A second fault, while nobody can read the switch.
        system.fleet.stations["T-LTE-2"].equipment.break_link("andes-andes-mme-2")
        await system.clock.sleep(3.0)

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
