"""What the codec writes and reads, with Debian's netconfd and our simulated stations in between.

netconfd 2.14 knows no places in user-ordered lists: it refuses ``insert="after"`` (prefixed keys with "missing
index component", unprefixed ones with "data exists") and answers ok to ``first``, but its commit appends. So
there everything is appended, as Minka does where it learned that of a device.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace

import pytest

from controller.drivers.devices import AllDevices
from controller.drivers.netconf.target import NetconfTarget
from controller.drivers.protocols import elements_beside
from controller.models.errors import DeviceRefusedError
from controller.models.plan import Edit, Op
from controller.nrm.apply import appending, apply_edits, sent_to_end
from controller.nrm.containers import foreign_elements
from controller.nrm.inverse import invert
from controller.nrm.profiles import render, root_spec
from controller.nrm.tree import Tree, child, with_unknown
from controller.runs.transaction.completion import PLACE_REFUSED
from simulators.fleet.fleet import Fleet, FleetSettings
from simulators.netconf.profiles import profile_named
from simulators.network import SimulatedNetwork, StationRecord
from simulators.station import StationSettings
from tests.support.netconfd import netconfd
from tests.support.secrets import LocalSecrets
from tests.unit.nrm import samples
from tests.unit.nrm.samples import BOTH, LTE_CELLS, NR_CELLS, STATION

ELEMENT = f"/ManagedElement[{STATION}]"
ENB = f"{ELEMENT}/ENBFunction[1]"
FDD = f"{ENB}/EUtranCellFDD[B28-1]"
DU = f"{ELEMENT}/GNBDUFunction[1]/NRCellDU[n78-1]"
CU = f"{ELEMENT}/GNBCUCPFunction[1]/NRCellCU[n78-1]"
S1C = f"{ENB}/EP_S1C[claro-s1c-lima]"
OWN_LTE = f"{FDD}/cellAccessInfoList[716,17]"
OWN_NR = f"{ELEMENT}/GNBDUFunction[1]/OperatorDU[entel]/NROperatorCellDU[n78-1]"
POLICY = f"{DU}/RRMPolicyRatio[bitel-prb]"
ROOT = root_spec(BOTH)
WANTED = render(BOTH, samples.station_facts(LTE_CELLS + NR_CELLS, own=("entel",)))


@asynccontextmanager
async def simulated(profile: str = "standard") -> AsyncIterator[NetconfTarget]:
    record = StationRecord(STATION, "site", BOTH, "10.64.4.76", ("B28-1",))
    settings = FleetSettings(stations=StationSettings(profile=profile_named(profile)))
    async with Fleet(SimulatedNetwork("test", (record,), (), {}), settings) as fleet:
        at = fleet.endpoint(STATION)
        credential = "device"
        yield NetconfTarget(STATION, BOTH, at.address, at.port, at.host_key, "minka", credential)


@asynccontextmanager
async def debian() -> AsyncIterator[NetconfTarget]:
    with netconfd() as server:
        yield server.target(STATION)


async def run_rounds(device: AbstractAsyncContextManager[NetconfTarget], rounds: dict[str, list[Edit]]) -> None:
    """Edit, commit and read back, comparing with what the edits do to a tree in memory."""
    devices = AllDevices(LocalSecrets(), rpc_timeout=10, connect_timeout=10)
    async with device as target, devices.session(target) as session:
        expected: Tree = (await session.read()).tree
        for name, edits in {"all from nothing": samples.creates(BOTH, WANTED, expected), **rounds}.items():
            await session.edit(edits)
            await session.commit()
            observed = await session.read()
            expected = apply_edits(ROOT, expected, edits)
            assert observed.tree == expected, name
            assert plmn_lists(observed.tree) == plmn_lists(expected), name
            assert observed.unknown == (), name
    await devices.close()


def edit(op: Op, path: str, **more: object) -> Edit:
    return Edit.model_validate({"op": op, "path": path, "owners": ("host",), **more})


ROUNDS = {
    "lock and retune": [
        edit(Op.MERGE, FDD, before={"pci": "101"}, after={"pci": "102", "administrativeState": "UNLOCKED"}),
        edit(Op.MERGE, DU, before={"nRPCI": "101"}, after={"nRPCI": "9", "userLabel": 'Núñez & "Cía" <1>'}),
    ],
    "return to the default": [
        edit(Op.MERGE, POLICY, before={"rRMPolicyMinRatio": "20", "rRMPolicyDedicatedRatio": "5"}, after={}),
        edit(Op.MERGE, FDD, before={"administrativeState": "UNLOCKED"}, after={}),
        edit(Op.MERGE, f"{FDD}/plmnRadioShareList[716,10]", before={"maxRatio": "80"}, after={"minRatio": "9"}),
    ],
    "take tenants out": [
        edit(Op.DELETE, f"{FDD}/plmnIdList[716,06]"),
        edit(Op.DELETE, f"{FDD}/plmnIdList[716,10]"),
        edit(Op.DELETE, f"{DU}/pLMNInfoList[716,06,FFFFFF,2]"),
        edit(Op.DELETE, f"{CU}/pLMNInfoList[716,06,FFFFFF,2]"),
        edit(Op.DELETE, POLICY),
        edit(Op.DELETE, f"{ENB}/EP_S1C[bitel-s1c-lima]"),
    ],
    "put them back in their places": [
        edit(Op.CREATE, f"{FDD}/plmnIdList[716,06]", after_sibling=""),
        edit(Op.CREATE, f"{FDD}/plmnIdList[716,10]", after_sibling=f"{FDD}/plmnIdList[716,06]"),
        edit(
            Op.CREATE,
            f"{DU}/pLMNInfoList[716,06,FFFFFF,2]",
            after_sibling=f"{DU}/pLMNInfoList[716,06,0000D1,1]",
        ),
        edit(Op.CREATE, f"{CU}/pLMNInfoList[716,06,FFFFFF,2]"),
    ],
    "move a tenant's own tracking area": [
        edit(Op.MERGE, OWN_LTE, before={"tac": "903"}, after={"tac": "904"}),
        edit(Op.MERGE, OWN_NR, before={"nRTAC": "903"}, after={"nRTAC": "904", "administrativeState": "UNLOCKED"}),
    ],
    "take the tenant's own cells out": [
        edit(Op.DELETE, OWN_LTE),
        edit(Op.DELETE, OWN_NR),
        edit(Op.DELETE, f"{CU}/pLMNInfoList[716,17,FFFFFF,2]"),
    ],
    "move a link to another VLAN": [
        edit(Op.MERGE, S1C, before={"remoteAddress": "10.2.1.11"}, after={"remoteAddress": "10.2.1.12"}),
        edit(Op.DELETE, f"{S1C}/localAddress[10.64.4.76,1002]"),
        edit(Op.CREATE, f"{S1C}/localAddress[10.64.4.76,2002]"),
    ],
}


def plmn_lists(tree: Tree) -> tuple[list[str], list[str]]:
    """The user-ordered lists of one LTE and one NR cell."""
    return [p for p in tree if f"{FDD}/plmnIdList[" in p], [p for p in tree if f"{DU}/pLMNInfoList[" in p]


async def test_simulated_stations_do_what_the_model_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINKA_DEVICE_PASSWORD", "minka-sim")
    await run_rounds(simulated(), ROUNDS)


@pytest.mark.needs("netconfd", "sshd")
async def test_netconfd_does_what_the_model_says() -> None:
    await run_rounds(debian(), {name: list(appending(edits)) for name, edits in ROUNDS.items()})


@asynccontextmanager
async def twin() -> AsyncIterator[NetconfTarget]:
    """The simulated station with netconfd's habits."""
    async with simulated("like-yuma123") as target:
        yield target


@asynccontextmanager
async def netopeer2() -> AsyncIterator[NetconfTarget]:
    """The simulated station with netopeer2's habits."""
    async with simulated("like-netopeer2") as target:
        yield target


@pytest.mark.parametrize(
    "device",
    [pytest.param(debian, marks=pytest.mark.needs("netconfd", "sshd"), id="netconfd"), twin, netopeer2],
)
async def test_a_managed_element_of_another_name_is_seen(
    device: Callable[[], AbstractAsyncContextManager[NetconfTarget]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server carries our station; who asks it for another one is told so, and not that it is empty.

    One beside the station's own comes with no reading, and is told to those who ask.
    """
    monkeypatch.setenv("MINKA_DEVICE_PASSWORD", "minka-sim")
    devices = AllDevices(LocalSecrets(), rpc_timeout=60, connect_timeout=60)
    async with device() as target:
        async with devices.session(target) as session:
            await session.edit(samples.creates(BOTH, WANTED, (await session.read()).tree))
            await session.commit()
            alone = await session.read()
            assert alone.unknown == await elements_beside(session) == ()
        async with devices.session(replace(target, device="ND-D")) as session:
            seen = await session.read()
            assert await elements_beside(session) == seen.unknown
            await session.edit([edit(Op.CREATE, child("", ROOT.name, "ND-D"), after={"priorityLabel": "1"})])
            await session.commit()
        async with devices.session(target) as session:
            both = with_unknown(await session.read(), await elements_beside(session))
    await devices.close()
    assert foreign_elements(ROOT, seen) == (STATION,)
    assert not [path for path in seen.tree if path.startswith("/ManagedElement")]
    assert foreign_elements(ROOT, both) == ("ND-D",)
    assert both.tree == alone.tree


@pytest.mark.parametrize(
    "device", [pytest.param(debian, marks=pytest.mark.needs("netconfd", "sshd"), id="netconfd"), twin]
)
async def test_netconfd_and_its_twin_know_no_places(
    device: Callable[[], AbstractAsyncContextManager[NetconfTarget]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """How they refuse ``after``, what became of ``first``, and that an inverse without places is exact."""
    monkeypatch.setenv("MINKA_DEVICE_PASSWORD", "minka-sim")
    devices = AllDevices(LocalSecrets(), rpc_timeout=60, connect_timeout=60)
    async with device() as target, devices.session(target) as session:
        await session.edit(samples.creates(BOTH, WANTED, (await session.read()).tree))
        await session.commit()
        tree = (await session.read()).tree
        first, *_, last = lte = plmn_lists(tree)[0]
        for gone in ([last], list(plmn_lists(tree)[1][-2:]), lte[-2:]):
            removal = [edit(Op.DELETE, path, before=dict(tree[path])) for path in gone]
            inverse = invert(ROOT, tree, removal, {})
            for edits in (removal, inverse):
                await session.edit(edits)
                await session.commit()
            seen = (await session.read()).tree
            assert (dict(seen), plmn_lists(seen)) == (dict(tree), plmn_lists(tree))

        await session.edit([edit(Op.DELETE, lte[1])])
        await session.commit()
        placed = [edit(Op.CREATE, lte[1], after_sibling=first)]
        with pytest.raises(DeviceRefusedError) as refused:
            await session.edit(placed)
        assert refused.value.tag in PLACE_REFUSED
        await session.discard()
        wanted = [edit(Op.CREATE, lte[1], after_sibling="")]
        await session.edit(wanted)
        await session.commit()
        assert sent_to_end((await session.read()).tree, wanted) == (lte[1],)
    await devices.close()
