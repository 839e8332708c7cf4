"""From cells of simulated stations to rows on record: by files and without, with what goes wrong on the way."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from controller.assurance.collection import CollectionSchedule, Collector
from controller.drivers.devices import AllDevices
from controller.drivers.protocols import measuring
from controller.drivers.registry import target_of
from controller.inventory.load import load_network
from controller.models.measurement import Measured
from controller.models.network import Endpoint, Network, PerformanceData, network_digest
from controller.performance.vocabulary import measured
from controller.ports.clock import VirtualClock
from controller.ports.queue import FakeWakeups
from controller.rehearsal.twin import provisioned
from controller.store import LoopStore, Store, open_store
from simulators import clock as simulated
from simulators.equipment.file_faults import FileFault, FileFaultKind
from simulators.fleet.fleet import Fleet, FleetSettings
from simulators.network import read_network
from simulators.station import StationSettings
from tests.support.postgres import shared_postgres
from tests.support.secrets import LocalSecrets
from tests.support.waiting import until

PERU = Path(__file__).parents[3] / "deploy" / "networks" / "peru-mini"
STATIONS = 4
POSTGRES = pytest.param("postgres", marks=pytest.mark.needs("initdb"))
PERFORMANCE = PerformanceData(metrics=("minka-CellUnavailableTime", "minka-ERAB", "minka-S1SIG"))


@dataclass
class System:
    """Stations that measure, and a controller that collects, each with its clock; the two go alike."""

    fleet: Fleet
    stations: simulated.VirtualClock
    network: Network
    store: Store
    clock: VirtualClock
    schedule: CollectionSchedule
    collector: Collector
    devices: AllDevices

    @property
    def names(self) -> list[str]:
        return sorted(self.fleet.stations)

    async def quarter(self) -> None:
        """A quarter of an hour passes, and all that is due is collected."""
        self.stations.advance(900)
        await self.schedule.step()
        await self.clock.advance(900)
        for _ in range(2):
            await self.collector.step()
            await until(lambda: not self.collector._tasks)
        await self.collector.step()

    def read(self, station: str) -> list[Measured]:
        now = self.clock.now()
        return list(self.store.measurements.read(now - timedelta(days=1), now, 900, [station]))


@pytest.fixture
async def system(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[System]:
    monkeypatch.setenv("MINKA_DEVICE_PASSWORD", "minka-sim")
    if request.param == "postgres":
        with shared_postgres(tmp_path_factory) as server, server.database() as url:
            async for made in _system(url):
                yield made
    else:
        async for made in _system("sqlite://"):
            yield made


async def _system(url: str) -> AsyncIterator[System]:
    plain, twin = load_network(PERU), read_network(PERU)
    network = plain.model_copy(update={"header": plain.header.model_copy(update={"performance": PERFORMANCE})})
    stations = simulated.VirtualClock()
    clock = VirtualClock(stations.now())
    configs = provisioned(network, twin, clock.now().date())
    names = sorted(configs)[:STATIONS]
    settings = FleetSettings(only=names, stations=StationSettings(settle_seconds=1, boot_seconds=60))
    async with Fleet(twin, settings, stations) as fleet:
        for name in names:
            fleet.stations[name].datastores.load_saved(configs[name])
        at = {name: fleet.endpoint(name) for name in names}
        ends = tuple(
            Endpoint(station=name, address=one.address, port=one.port, host_key=one.host_key)
            for name, one in at.items()
        )
        network = network.model_copy(update={"endpoints": ends})
        devices = AllDevices(LocalSecrets(), rpc_timeout=20, connect_timeout=20)
        with closing(open_store(url, clock)) as store:
            record = LoopStore(store)
            store.networks.save(network, network_digest(network), "ana")
            for name in names:
                store.devices.adopt(name, [], network_digest(network), "ana")
            schedule = CollectionSchedule(record, FakeWakeups(), clock)
            collector = Collector("w", record, devices, clock, target_of)
            stations.advance(120)  # what has ended is there
            clock.pause(120)
            try:
                yield System(fleet, stations, network, store, clock, schedule, collector, devices)
            finally:
                await collector.close()
                await devices.close()
                await record.close()


@pytest.mark.parametrize("system", ["sqlite", POSTGRES], indirect=True)
async def test_files_bring_what_a_read_says_each_period_once_whatever_goes_wrong(system: System) -> None:
    await system.quarter()
    whole, late, cut, dark = system.names
    system.fleet.stations[late].equipment.file_faults.inject(FileFault(FileFaultKind.LATE, seconds=1200))
    system.fleet.stations[cut].equipment.file_faults.inject(FileFault(FileFaultKind.TRUNCATED))
    system.fleet.stations[whole].equipment.file_faults.inject(FileFault(FileFaultKind.DOUBLED))
    await system.quarter()
    async with system.devices.session(target_of(system.network, whole)) as session:
        known = measuring(session)
        assert known is not None
        said = measured(whole, await known.measurements()).periods
    assert said
    assert system.read(whole)[-1].cells == said[-1].cells
    plmns = {
        subject.plmn
        for counters in system.read(whole)[-1].cells.values()
        for subject in counters.get("DRB.PdcpSduVolumeDL", {})
    }
    assert plmns - {""} == {plmn for one in system.network.tenants for plmn in one.plmns} & plmns - {""}
    assert plmns - {""}
    assert set(system.read(whole)[-1].cells) - {""} == {one.id for one in system.network.cells_by_station[whole]}
    assert system.store.collected_files.unknown() == []

    assert system.store.collections.find([late])[late].missing > 0
    assert system.store.collections.find([cut])[cut].missing > 0
    await system.devices.close()  # and so all sessions: dark stations are connected to again
    system.fleet.stations[dark].equipment.file_faults.inject(FileFault(FileFaultKind.GONE))
    for _ in range(3):
        await system.quarter()
    found = system.store.collections.find()
    assert found[late].missing == 0, "late files fill the gap"
    assert found[cut].missing == 1, "a file that was cut is lost"
    assert found[dark].missing == 1
    for name in system.names:
        assert set(Counter(one.begin for one in system.read(name)).values()) == {1}
    figures = system.store.status.figures()
    assert figures["minka_collection_files_refused_total"]["malformed",] == 2, "it is fetched twice, and not for ever"
    assert figures["minka_collection_files_refused_total"]["file-gone",] >= 1
    assert figures["minka_collection_periods_total"]["conflicting",] == 0


@pytest.mark.parametrize("system", ["sqlite"], indirect=True)
async def test_a_station_without_files_is_read(system: System) -> None:
    name, *_ = system.names
    plain = next(one for one in system.network.endpoints if one.station == name)
    others = tuple(one for one in system.network.endpoints if one.station != name)
    nowhere = plain.model_copy(update={"folder": "/nowhere"})
    changed = system.network.model_copy(update={"endpoints": (nowhere, *others)})
    system.store.networks.save(changed, network_digest(changed), "ana")
    for _ in range(3):
        await system.quarter()
    assert len(system.read(name)) >= 2
    by_read, by_file = system.read(name), system.read(system.names[1])
    assert [one.begin for one in by_read] == [one.begin for one in by_file][-len(by_read) :]
