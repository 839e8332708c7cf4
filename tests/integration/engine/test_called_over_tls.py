"""A station that calls home over TLS is brought into service, loses its connections, and is taken out of service."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from lxml import etree

from controller.inventory.load import load_network
from controller.models.run import Outcome, RunState
from controller.nrm.namespaces import NETCONF
from controller.runs.planning.undo import undo_plan
from controller.store import open_store
from simulators.fleet.fleet import Fleet, FleetSettings
from simulators.history import EventKind
from simulators.netconf.callhome import Home
from simulators.netconf.certificates import Authority
from simulators.network import read_network
from simulators.station import StationSettings
from tests.integration.engine.local_system import NETWORKS, LocalSystem
from tests.integration.engine.test_taken_back import _NOTHING, STATION, _bring_up, agreed, owned

FILES = read_network(NETWORKS / "peru-mini")
AUTHORITY = Authority(FILES.id)


@pytest.mark.parametrize("known_by", ["certificate", "authority"])
async def test_a_station_is_brought_up_calls_again_and_is_taken_back(
    known_by: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINKA_DEVICE_CERTIFICATE", AUTHORITY.client("minka"))
    monkeypatch.setenv("MINKA_POOL_AUTHORITY", AUTHORITY.certificate)
    proof = AUTHORITY.fingerprint(STATION, "127.0.0.1") if known_by == "certificate" else "pool-authority"
    endpoints = tmp_path / "endpoints.csv"
    with endpoints.open("w", newline="") as file:
        csv.writer(file).writerows([["station", "transport", "call_home", known_by], [STATION, "tls", "true", proof]])
    network = agreed(load_network(NETWORKS / "peru-mini", endpoints=endpoints))
    system = LocalSystem(open_store(f"sqlite:///{tmp_path / 'record.sqlite3'}"))
    home = Home("127.0.0.1", system.devices.listen("127.0.0.1", 0, transport="tls"), again_seconds=0.2, tls=True)
    settings = FleetSettings(only={STATION}, stations=StationSettings(settle_seconds=0.05), pools=False, homes=[home])
    try:
        async with Fleet(FILES, settings) as fleet:
            station = fleet.stations[STATION]
            station.datastores.foreign_edit(etree.fromstring(f"<config xmlns='{NETCONF}'>{_NOTHING}</config>"))
            up = await _bring_up(system, network, 20)
            assert owned(system)
            changed = station.revision
            assert changed > 0
            calls = station.history.counts[EventKind.SESSION_OPENED]
            station.server.drop_sessions()
            state, job = await system.apply(await undo_plan(system.planner, up, owned(system), "ana"), patience=20)
            assert (state, job.outcome) == (RunState.SUCCEEDED, Outcome.SUCCEEDED), job.detail
            assert station.revision > changed
            assert station.history.counts[EventKind.SESSION_OPENED] > calls
            assert {one.user for one in station.history.events(EventKind.SESSION_OPENED)} == {"minka"}
            assert not owned(system)
    finally:
        await system.close()
