"""A bring-up that is taken back leaves nothing, by the word of a client that is not ours, and the same comes again.

The station starts without anything, as servers do that nobody configured: on Debian's netconfd, and on the simulator
with netopeer2's habits. NRNetwork and EUtraNetwork stand beside ManagedElement there, so they do not go with it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from lxml import etree
from ncclient import manager

from controller.models.network import Network, network_digest
from controller.models.run import Outcome, RunState
from controller.models.sharing import ActionClass, Consent
from controller.nrm import namespaces as ns
from controller.nrm.tree import class_of
from controller.ports.devices import DeviceTarget
from controller.runs.planning.undo import undo_plan
from controller.store import open_store
from simulators.fleet.fleet import Fleet, FleetSettings
from simulators.netconf.profiles import profile_named
from simulators.network import read_network
from simulators.station import StationSettings
from tests.integration.engine.local_system import NETWORKS, LocalSystem, network_at
from tests.support.netconfd import netconfd

STATION = "PE-CUS-0148"  # NR, with a neighbour that is NR: so it needs a frequency
PASSWORD = "minka-sim"
_NOTHING = (
    f'<ManagedElement xmlns="{ns.MANAGED_ELEMENT}" xmlns:nc="{ns.NETCONF}" nc:operation="delete">'
    f"<id>{STATION}</id></ManagedElement>"
)


@dataclass(frozen=True)
class Server:
    """A server that carries nothing, and how it is reached; seconds to wait for states, of which netconfd has none."""

    target: DeviceTarget
    login: dict[str, Any]
    patience: int

    def configuration(self) -> dict[str, str]:
        """What a plain client gets of each top-level node of the 3GPP modules, in canonical XML."""
        where = {"host": self.target.address, "port": self.target.port, "username": self.target.username}
        options = {"hostkey_verify": False, "look_for_keys": False, "allow_agent": False, "timeout": 20}
        with manager.connect(**where, **options, **self.login) as session:
            data = session.get_config("running").data_ele
        ours = [node for node in data if (etree.QName(node).namespace or "").startswith("urn:3gpp:")]
        return {etree.QName(node).localname: etree.tostring(node, method="c14n").decode() for node in ours}


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ncclient.transport.session.TICK", 0.001)
    monkeypatch.setenv("MINKA_DEVICE_PASSWORD", PASSWORD)


def _on_netconfd() -> Iterator[Server]:
    with netconfd() as running:
        yield Server(running.target(STATION), {"key_filename": str(running.ssh.client_key)}, 1)


@pytest.fixture(params=[pytest.param("netconfd", marks=pytest.mark.needs("netconfd", "sshd")), "like-netopeer2"])
async def server(request: pytest.FixtureRequest) -> AsyncIterator[Server]:
    if request.param == "netconfd":
        for one in _on_netconfd():
            yield one
        return
    stations = StationSettings(settle_seconds=0.05, profile=profile_named(request.param))
    settings = FleetSettings(only={STATION}, stations=stations, pools=False)
    async with Fleet(read_network(NETWORKS / "peru-mini"), settings) as fleet:
        fleet.stations[STATION].datastores.foreign_edit(
            etree.fromstring(f"<config xmlns='{ns.NETCONF}'>{_NOTHING}</config>")
        )
        end = fleet.endpoint(STATION)
        target = DeviceTarget(
            STATION, end.address, end.port, end.host_key, "minka", "device", ("lte-28658", "nr-28541")
        )
        yield Server(target, {"password": PASSWORD}, 20)


async def test_a_bring_up_that_is_undone_leaves_nothing_and_comes_again(server: Server, tmp_path: Path) -> None:
    system = LocalSystem(open_store(f"sqlite:///{tmp_path / 'record.sqlite3'}"))
    try:
        network = agreed(network_at(server.target, tmp_path))
        bare = await asyncio.to_thread(server.configuration)
        assert bare == {}
        up = await _bring_up(system, network, server.patience)
        carried = await asyncio.to_thread(server.configuration)
        assert carried.keys() == {"ManagedElement", "NRNetwork", "EUtraNetwork"}

        undo = await undo_plan(system.planner, up, owned(system), "ana")
        gone = {edit.path for change in undo.changes for phase in change.phases for edit in phase.edits}
        assert {class_of(path) for path in gone if path.count("/") == 1} == carried.keys()
        state, job = await system.apply(undo, patience=server.patience)
        assert (state, job.outcome) == (RunState.SUCCEEDED, Outcome.SUCCEEDED), job.detail
        assert await asyncio.to_thread(server.configuration) == bare
        assert (await system.planner.read(network, STATION)).tree == {}
        assert owned(system) == {}

        await _bring_up(system, network, server.patience)
        assert await asyncio.to_thread(server.configuration) == carried
    finally:
        await system.close()


def agreed(network: Network) -> Network:
    """The same network, with tenants that agree to all at any time."""
    freely = dict.fromkeys(ActionClass, Consent.STANDING)
    agreements = (one.model_copy(update={"consents": freely, "windows": ()}) for one in network.agreements)
    return network.model_copy(update={"agreements": tuple(agreements)})


def owned(system: LocalSystem) -> dict[str, int]:
    """How many nodes are on record as ours, by owner."""
    return Counter(
        owner for entry in system.store.ledger.find([STATION]).get(STATION, {}).values() for owner in entry.owners
    )


async def _bring_up(system: LocalSystem, network: Network, patience: int) -> str:
    """Bring the station into service; the run that did."""
    system.store.networks.save(network, network_digest(network), "ana")
    await system.planner.adopt(STATION, "ana")
    state, job = await system.apply(await system.plan(network, STATION), patience=patience)
    assert (state, job.outcome) == (RunState.SUCCEEDED, Outcome.SUCCEEDED), job.detail
    return job.run
