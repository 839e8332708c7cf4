"""The controller's engine and a simulated station in one virtual time: ten minutes pass in moments."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import pytest

from controller.drivers.devices import AllDevices
from controller.drivers.netconf.target import NetconfTarget
from controller.models import sharing
from controller.models.behaviour import Behaviour
from controller.models.plan import Edit, Op
from controller.models.run import JournalStep, Outcome, Strategy
from controller.nrm.profiles import root_spec
from controller.runs.transaction.patience import Patience
from controller.runs.transaction.probe import server_of
from controller.runs.transaction.record import Record, always
from controller.runs.transaction.transaction import Transaction
from simulators.clock import VirtualClock
from simulators.datastore import Config
from simulators.fleet.fleet import Fleet
from simulators.history import EventKind
from simulators.netconf.faults import Fault, FaultKind
from simulators.network import Core, SimulatedNetwork, StationRecord
from tests.support.clocks import BridgedClock
from tests.support.secrets import LocalSecrets
from tests.unit.plan import samples
from tests.unit.runs.transaction_bench import STATION, InstantStore, Scenario, TransactionBench, add_tenant

TIMEOUT = 600


@pytest.fixture
async def devices(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[AllDevices]:
    monkeypatch.setenv("MINKA_DEVICE_PASSWORD", "minka-sim")
    pool = AllDevices(LocalSecrets(), rpc_timeout=10, connect_timeout=10)
    yield pool
    await pool.close()


@pytest.fixture
async def fleet() -> AsyncIterator[Fleet]:
    stations = (StationRecord(STATION, "site", samples.PROFILES, "10.0.0.1", ("1",)),)
    cores = tuple(
        Core(tenant.id, tenant.core.vlan, *pools(tenant.core))
        for tenant in samples.network().tenants
        if tenant.core is not None
    )
    async with Fleet(SimulatedNetwork("test", stations, cores, {}), clock=VirtualClock()) as running:
        yield running


def pools(core: sharing.Core) -> tuple[frozenset[str], frozenset[str], frozenset[str]]:
    mme, amf, upf = (
        frozenset(str(node.address) for node in pool) for pool in (core.mme_pool, core.amf_pool, core.upf_pool)
    )
    return mme, amf, upf


def target_in(fleet: Fleet) -> NetconfTarget:
    endpoint = fleet.endpoint(STATION)
    return NetconfTarget(
        STATION, samples.PROFILES, endpoint.address, endpoint.port, endpoint.host_key, "minka", "device"
    )


async def carry(devices: AllDevices, target: NetconfTarget, scenario: Scenario) -> None:
    """Bring the station to what the plan was made for."""
    tree, specs = scenario.before.tree, root_spec(samples.PROFILES).at
    edits = [
        Edit(op=Op.CREATE, path=path, after=spec.begun(path, tree), owners=("host",))
        for path in sorted(tree, key=lambda path: path.count("/"))
        if path != f"/ManagedElement[{STATION}]" and (spec := specs(path)) is not None
    ]
    async with devices.session(target) as session:
        await session.edit(edits)
        await session.commit()


async def test_a_commit_that_nobody_can_confirm_reverts_after_ten_minutes(fleet: Fleet, devices: AllDevices) -> None:
    scenario = add_tenant()
    bench = TransactionBench(scenario, Strategy(confirm_timeout=TIMEOUT))
    assert isinstance(fleet.clock, VirtualClock)
    clock, station, target = BridgedClock(fleet.clock), fleet.stations[STATION], target_in(fleet)
    await carry(devices, target, scenario)
    before, revision = station.datastores.running, station.revision
    claim = bench.claim()
    async with devices.session(target) as session:
        server = server_of(target, session.capabilities, await session.read())
        assert server is not None
        bench.store.behaviours.learn(server, Behaviour(), claim)
    # The session ends with the commit, and no other comes through until the timer has run out.
    station.faults.inject(Fault(FaultKind.DROP_AFTER, "commit"))
    station.faults.inject(Fault(FaultKind.REFUSE_SESSIONS, count=None))
    seen: list[Config] = []

    def let_in() -> None:
        seen.append(station.datastores.running)
        station.faults.clear()

    fleet.clock.call_later(TIMEOUT + 60, let_in)
    record = Record(claim, InstantStore(bench.store), clock, always)
    started, began = time.monotonic(), clock.monotonic()
    result = await Transaction(claim, target, devices, record, clock, Patience(retry=30)).run()
    # It found the old state, began afresh and brought the change to its end.
    assert result.outcome is Outcome.SUCCEEDED, result
    causes = [event.detail["cause"] for event in station.history.events(EventKind.RUNNING_CHANGED)]
    assert causes[revision:] == ["confirmed-commit", "timeout", "confirmed-commit"]
    assert (seen, station.datastores.running != before) == ([before], True)
    confirmed, reverted, _ = station.history.events(EventKind.RUNNING_CHANGED)[revision:]
    assert (reverted.time - confirmed.time).total_seconds() == TIMEOUT
    assert bench.steps[-1] is JournalStep.CONFIRMING
    assert clock.monotonic() - began > TIMEOUT
    assert time.monotonic() - started < 20
