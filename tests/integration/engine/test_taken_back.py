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

from controller.drivers.netconf.target import NetconfTarget
from controller.models.network import Network, network_digest
from controller.models.run import Outcome, RunState
from controller.models.sharing import ActionClass, Consent
from controller.nrm import namespaces as ns
from controller.nrm.tree import class_of
from controller.plan.maintenance import removal_plan
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

    target: NetconfTarget
    login: dict[str, Any]
    patience: int

    def _connect(self) -> manager.Manager:
        where = {"host": self.target.address, "port": self.target.port, "username": self.target.username}
        options = {"hostkey_verify": False, "look_for_keys": False, "allow_agent": False, "timeout": 20}
        return manager.connect(**where, **options, **self.login)

    def edit(self, content: str) -> None:
        """Edit it with a plain client, as an element manager or a rigger does."""
        with self._connect() as session, session.locked("candidate"):
            session.discard_changes()
            session.edit_config(f"<config xmlns='{ns.NETCONF}'>{content}</config>", target="candidate")
            session.commit()

    def configuration(self) -> dict[str, str]:
        """What a plain client gets of each top-level node of the 3GPP modules, in canonical XML."""
        with self._connect() as session:
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
        target = NetconfTarget(
            STATION, ("lte-28658", "nr-28541"), end.address, end.port, end.host_key, "minka", "device"
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


#: What an element manager puts into the network that Minka made, and into one of Minka's base stations there.
_FIELDS = (
    f'<NRNetwork xmlns="{ns.NR_NETWORK}"><id>minka</id>'
    f'<NRFrequency xmlns="{ns.NR_FREQUENCY}"><id>field</id><attributes>'
    "<priorityLabel>1</priorityLabel><absoluteFrequencySSB>630048</absoluteFrequencySSB><sSBSubCarrierSpacing>30</sSBSubCarrierSpacing>"
    "</attributes></NRFrequency>"
    f'<ExternalGNBCUCPFunction xmlns="{ns.EXTERNAL_GNBCUCP_FUNCTION}"><id>%(gnb)s</id>'
    f'<ExternalNRCellCU xmlns="{ns.EXTERNAL_NR_CELL_CU}"><id>field</id><attributes>'
    "<priorityLabel>1</priorityLabel><cellLocalId>77</cellLocalId><nRPCI>5</nRPCI>"
    "<pLMNIdList><mcc>716</mcc><mnc>06</mnc></pLMNIdList>"
    "<nRFrequencyRef>NRNetwork=minka,NRFrequency=field</nRFrequencyRef>"
    "</attributes></ExternalNRCellCU></ExternalGNBCUCPFunction></NRNetwork>"
)
_FIELDS_GO = (
    f'<NRNetwork xmlns="{ns.NR_NETWORK}" xmlns:nc="{ns.NETCONF}"><id>minka</id>'
    f'<NRFrequency xmlns="{ns.NR_FREQUENCY}" nc:operation="delete"><id>field</id></NRFrequency>'
    f'<ExternalGNBCUCPFunction xmlns="{ns.EXTERNAL_GNBCUCP_FUNCTION}"><id>%(gnb)s</id>'
    f'<ExternalNRCellCU xmlns="{ns.EXTERNAL_NR_CELL_CU}" nc:operation="delete"><id>field</id></ExternalNRCellCU>'
    "</ExternalGNBCUCPFunction></NRNetwork>"
)


def entries(configuration: dict[str, str]) -> dict[tuple[str, str], str]:
    """The entries in NRNetwork, by class and id, each as a plain client got it, without those inside of it."""
    found = {}
    for entry in etree.fromstring(configuration["NRNetwork"]).iter():
        name = etree.QName(entry).localname
        if (key := entry.findtext(f"{{{etree.QName(entry).namespace}}}id")) is not None:
            attributes = [one for one in entry if etree.QName(one).localname == "attributes"]
            found[name, key] = "".join(etree.tostring(one, method="c14n").decode() for one in attributes)
    return found


async def test_what_the_field_put_into_containers_of_ours_stays_as_it_is(server: Server, tmp_path: Path) -> None:
    """Another client adds to NRNetwork and to a base station in it, between the run and its undoing."""
    system = LocalSystem(open_store(f"sqlite:///{tmp_path / 'record.sqlite3'}"))
    try:
        network = agreed(network_at(server.target, tmp_path))
        up = await _bring_up(system, network, server.patience)
        ours = entries(await asyncio.to_thread(server.configuration))
        (gnb, *_) = [key for name, key in ours if name == "ExternalGNBCUCPFunction"]
        await asyncio.to_thread(server.edit, _FIELDS % {"gnb": gnb})
        both = entries(await asyncio.to_thread(server.configuration))
        fields = {key: both[key] for key in both.keys() - ours.keys()}
        assert fields.keys() == {("NRFrequency", "field"), ("ExternalNRCellCU", "field")}

        named = owned(system)
        kept = {("NRNetwork", "minka"), ("ExternalGNBCUCPFunction", gnb)}
        undo = await undo_plan(system.planner, up, {**named, "host": named["host"] - len(kept)}, "ana")
        told = [one.message for one in undo.findings if one.code == "removal-blocked"]
        assert len(told) == len(kept)
        assert all("not ours" in one and "external cell field" in one for one in told)
        state, job = await system.apply(undo, patience=server.patience)
        assert (state, job.outcome) == (RunState.SUCCEEDED, Outcome.SUCCEEDED), job.detail
        left = await asyncio.to_thread(server.configuration)
        assert left.keys() == {"NRNetwork"}
        after = entries(left)
        assert after.keys() == fields.keys() | kept
        assert {key: after[key] for key in fields} == fields
        assert sum(owned(system).values()) == len(kept), "what stays of ours stays on record"

        # Once the field's are gone, ours go by name.
        await asyncio.to_thread(server.edit, _FIELDS_GO % {"gnb": gnb})
        ledger = system.store.ledger.find([STATION])[STATION]
        seen = await system.planner.read(network, STATION)
        made = removal_plan(STATION, server.target.profiles, seen, ledger)
        assert made.change is not None
        (edit,) = [edit for phase in made.change.phases for edit in phase.edits]
        assert edit.path == "/NRNetwork[minka]"
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
