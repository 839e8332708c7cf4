"""The main job, straight through the real path, on a server that nobody here wrote: Debian's netconfd.

A station of ``peru-mini`` stands on netconfd behind OpenSSH: network files → plan → run → NETCONF → ledger. netconfd
reports no states for our modules, so configuration is verified by read-back and the outcome says what was not checked.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.drivers.devices import AllDevices
from controller.drivers.registry import target_of
from controller.models.errors import DeviceRefusedError
from controller.models.health import ServiceState
from controller.models.network import Network, network_digest
from controller.models.plan import Edit, Op, PhaseKind, Plan
from controller.models.run import JournalStep, Outcome, RunState
from controller.nrm.apply import siblings
from controller.nrm.tree import parent
from controller.runs.planning.planner import Planner, PlanRequest
from controller.runs.rollout.transitions import decide
from controller.store import Page, open_store
from tests.integration.engine.local_system import Behind, LocalSystem, network_at
from tests.integration.engine.test_taken_back import agreed
from tests.support.netconfd import Netconfd, netconfd
from tests.support.secrets import LocalSecrets
from tests.unit.runs.transaction_bench import Interrupter, Killed

STATION = "PE-CUS-0147"  # LTE and NR
OTHER = "PE-CUS-0145"

pytestmark = pytest.mark.needs("netconfd", "sshd")


@pytest.fixture
def server() -> Iterator[Netconfd]:
    """One for each test: a device that carries another station is left alone."""
    with netconfd() as running:
        yield running


async def test_from_network_files_to_a_verified_station(server: Netconfd, tmp_path: Path) -> None:
    system = LocalSystem(open_store(f"sqlite:///{tmp_path / 'record.sqlite3'}"))
    try:
        three = network_at(server.target(STATION), tmp_path)
        system.store.networks.save(three, network_digest(three), "ana")
        await system.planner.adopt(STATION, "ana")
        state, job = await system.apply(await system.plan(three, STATION))
        assert (state, job.detail) == (
            RunState.SUCCEEDED,
            "the station reports no states: cells and core links were not checked",
        )
        assert (await system.plan(three, STATION)).is_empty
        assert await system.planner.drift([STATION]) == {STATION: ()}

        # What it does not tell is unknown: no alarm is raised, and nothing is repaired.
        health = await system.watch(three, STATION)
        assert {link.state for link in health.links} == set(health.cells.values()) == {ServiceState.UNKNOWN}
        assert system.store.alarms.page(Page(10)) == (0, [])
        assert system.store.runs.page(Page(10))[0] == 1

        # A fourth tenant comes: only its nodes change.
        onboard = await system.plan(network_at(server.target(STATION), tmp_path, entel=True), STATION)
        assert [change.touched for change in onboard.changes] == [("entel",)]
        before = (await system.planner.read(three, STATION)).tree
        assert (await system.apply(onboard))[0] is RunState.SUCCEEDED
        after = (await system.planner.read(three, STATION)).tree
        new = {path for path in after if path not in before}
        ledger = system.store.ledger.find([STATION])[STATION]
        assert new
        assert all(ledger[path].owners == ("entel",) for path in new)
        assert {path: after[path] for path in before} == dict(before)
        await _remove_beside_another_plmn(system, three, server)
    finally:
        await system.close()


async def _remove_beside_another_plmn(system: LocalSystem, three: Network, server: Netconfd) -> None:
    """Remove the fourth tenant, in one of whose S1 links somebody put another PLMN.

    netconfd holds ``min-elements``: with the link's address gone it would refuse the whole edit.
    """
    tree = (await system.planner.read(three, STATION)).tree
    link = next(path for path in tree if path.endswith("EP_S1C[entel-mme-lima]"))
    (address,) = (path for path in tree if parent(path) == link and "/localAddress[" in path)
    foreign = f"{link}/servedPlmnList[310,410]"
    async with system.devices.session(server.target(STATION)) as session:
        await session.edit([Edit(op=Op.CREATE, path=foreign, owners=())])
        await session.commit()
    system.store.networks.save(three, network_digest(three), "ana")
    left = (await system.planner.plan(PlanRequest(STATION), "ana")).orphans
    assert left is not None
    plan = await system.planner.plan(PlanRequest(STATION, remove=left.remove), "ana")
    told = [finding.message for finding in plan.findings if finding.code == "removal-blocked"]
    assert ["S1 link entel-mme-lima" in one for one in told] == [True, True]
    system.begin(plan)
    result = await system.work(three, Interrupter())
    assert result.outcome is Outcome.SUCCEEDED, result.detail
    tree = (await system.planner.read(three, STATION)).tree
    assert [path for path in tree if path.startswith(link)] == [link, address, foreign]


async def test_a_dead_workers_commit_is_confirmed_by_its_token(server: Netconfd, tmp_path: Path) -> None:
    """netconfd denies all locks while a commit is pending, and takes confirm and cancel without."""
    system = LocalSystem(open_store(f"sqlite:///{tmp_path / 'record.sqlite3'}"))
    try:
        network = network_at(server.target(OTHER), tmp_path)
        system.store.networks.save(network, network_digest(network), "ana")
        await system.planner.adopt(OTHER, "ana")
        plan = await system.plan(network, OTHER)
        system.begin(plan)
        with pytest.raises(Killed):
            # The probe sends two.
            await system.work(network, Behind("commit_confirmed", 2 + len(plan.changes[0].phases)))
        begun = system.clock.monotonic()
        result = await system.work(network, Interrupter())
        assert result.outcome is Outcome.SUCCEEDED, result.detail
        assert system.clock.monotonic() - begun < 30  # the commit's timer has 61 s
        rows = system.store.journal.find(system.transactions[0])
        assert [row.step for row in rows].count(JournalStep.READ) == 1  # nothing was done twice
        (probe,) = [row for row in rows if row.step is JournalStep.PROBING]
        assert probe.persist != next(row.persist for row in rows if row.step is JournalStep.COMMITTING)
    finally:
        await system.close()


class Refusing(Interrupter):
    """The device refuses the n-th edit."""

    def __init__(self, edit: int) -> None:
        super().__init__()
        self._edit = edit

    def due(self, name: str) -> bool:
        self.calls.append(name)
        if name == "edit" and self.calls.count(name) == self._edit:
            raise DeviceRefusedError("operation-failed: the unlock is refused", tag="operation-failed")
        return False


async def test_a_removal_that_can_not_go_on_is_taken_back_though_it_knows_no_places(
    server: Netconfd, tmp_path: Path
) -> None:
    """netconfd refuses ``insert="after"``: what was removed is appended, and the cell comes back on air.

    Its confirmed commit is not trusted here, so the stored inverse is all there is.
    """
    system = LocalSystem(open_store(f"sqlite:///{tmp_path / 'record.sqlite3'}"))
    try:
        four = agreed(network_at(server.target(STATION), tmp_path, entel=True))
        await _without_its_confirmed_commit(system, server)
        system.store.networks.save(four, network_digest(four), "ana")
        await system.planner.adopt(STATION, "ana")
        state, job = await system.apply(await system.plan(four, STATION))
        assert state is RunState.SUCCEEDED, job.detail
        before = (await system.planner.read(four, STATION)).tree
        system.begin(await _without_entel_and_retuned(system, network_at(server.target(STATION), tmp_path)))
        (run,) = [one for one in system.store.runs.page(Page(10))[1] if not one.state.terminal]
        # Who takes nothing back by itself is changed last.
        while system.store.runs.advance(run.id, lambda found, jobs: decide(found, jobs, system.clock.now())):
            pass
        result = await system.work(four, Refusing(3))
        assert result.outcome is Outcome.ROLLED_BACK, result.detail
        assert "/pLMNInfoList[716,17,001701,1]" in result.detail
        seen = await system.planner.read(four, STATION)
        assert dict(seen.tree) == dict(before)
        gone = next(path for path in before if path.endswith("NRCellDU[n78-2]/pLMNInfoList[716,17,001701,1]"))
        assert "[716,17," not in siblings(before, gone)[-1]
        assert "[716,17," in siblings(seen.tree, gone)[-1]
        assert seen.behaviour.places is False
    finally:
        await system.close()


async def _without_its_confirmed_commit(system: LocalSystem, server: Netconfd) -> None:
    """Let nobody rely on the confirmed commit of this software, as a person may say."""
    async with system.devices.session(server.target(STATION)) as session:
        await session.read()
        software = session.capabilities.software
    await system.devices.close()
    system.devices = AllDevices(LocalSecrets(), rpc_timeout=60, connect_timeout=60, untrusted=frozenset({software}))
    system.planner = Planner(system.loop_store, system.devices, system.clock, target_of)


async def _without_entel_and_retuned(system: LocalSystem, three: Network) -> Plan:
    """A plan in three phases: lock, edit, unlock."""
    cells = [cell.model_dump() | ({"pci": 7} if cell.name == f"{STATION}/B28-1" else {}) for cell in three.cells]
    retuned = agreed(Network.model_validate({**three.model_dump(), "cells": cells}))
    system.store.networks.save(retuned, network_digest(retuned), "ana")
    left = (await system.planner.plan(PlanRequest(STATION), "ana")).orphans
    assert left is not None
    plan = await system.planner.plan(PlanRequest(STATION, remove=left.remove), "ana")
    (change,) = plan.changes
    assert [phase.kind for phase in change.phases] == [PhaseKind.LOCK, PhaseKind.EDIT, PhaseKind.UNLOCK]
    return plan
