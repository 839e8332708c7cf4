"""Sessions to a router that nobody here wrote: Debian's FRRouting behind OpenSSH."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator

import pytest

from controller.drivers.devices import AllDevices
from controller.models.errors import DeviceRefusedError, SessionLostError
from controller.models.facts import RouterFact, TransportFact
from controller.models.plan import Edit, Op
from controller.nrm.profiles import render_routing, root_spec
from controller.nrm.tree import Tree
from controller.runs.transaction.effects import unfinished
from tests.support.frr import Frr, frr
from tests.support.secrets import LocalSecrets
from tests.support.sessions import to_router

pytestmark = [
    pytest.mark.needs("/usr/lib/frr/zebra", "sshd", "unshare"),
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to run FRRouting in a network namespace of its own"),
]

NAME = "FRR-1"
OWN = RouterFact(NAME, "up0", "up1", "down0")
ANDES = TransportFact(NAME, "andes", 101, "10.99.0.2/30", ("10.41.0.0/22",), ("andes",))
CONDOR = TransportFact(NAME, "condor", 102, "10.99.0.2/30", ("10.42.0.0/22",), ("condor",))
ROOT: Tree = {f"/Router[{NAME}]": {}}


def wanted(*transports: TransportFact) -> Tree:
    return render_routing(("frr",), (OWN, transports)).tree


def creates(*transports: TransportFact) -> list[Edit]:
    return [
        Edit(op=Op.CREATE, path=path, after=dict(leaves), owners=("andes",))
        for path, leaves in wanted(*transports).items()
        if path not in ROOT
    ]


def deletes(*transports: TransportFact) -> list[Edit]:
    return [Edit(op=Op.DELETE, path=path, owners=("andes",)) for path in wanted(*transports) if path.count("/") == 2]


@pytest.fixture(scope="module")
def router() -> Iterator[Frr]:
    with frr() as running:
        yield running


@pytest.fixture
async def devices() -> AsyncIterator[AllDevices]:
    devices = AllDevices(LocalSecrets(), rpc_timeout=20, connect_timeout=20)
    yield devices
    await devices.close()


async def test_tenants_come_and_go_and_are_saved(router: Frr, devices: AllDevices) -> None:
    router.type("ip route 192.0.2.0/24 Null0 250")
    async with to_router(devices, router.target(NAME)) as session:
        bare = (await session.read()).tree
        assert set(bare) - set(ROOT) == {f"/Router[{NAME}]/Route[192.0.2.0%2F24,Null0]"}
        await session.edit(creates(ANDES, CONDOR))
        await session.commit()
        assert (await session.read()).tree == {**bare, **wanted(ANDES, CONDOR)}
        await session.copy_to_startup()
        assert "vrf condor" in router.saved.read_text()
    async with devices.session(router.target(NAME)) as session:
        await session.read()
        await session.edit(deletes(ANDES))
        await session.commit()
        assert (await session.read()).tree == {**bare, **wanted(CONDOR)}
        await session.edit(deletes(CONDOR))
        await session.commit()
        assert (await session.read()).tree == bare


async def test_the_standby_is_raised_and_the_uplink_lowered(router: Frr, devices: AllDevices) -> None:
    async with devices.session(router.target(NAME)) as session:
        await session.read()
        await session.edit(creates(ANDES))
        await session.commit()
        before = (await session.read()).tree
        route = f"/Router[{NAME}]/Vrf[andes]/Route[10.41.0.0%2F22,169.254.0."
        edits = [
            Edit(
                op=Op.MERGE, path=f"{route}1]", before={"distance": "1"}, after={"distance": "250"}, owners=("andes",)
            ),
            Edit(
                op=Op.MERGE, path=f"{route}5]", before={"distance": "250"}, after={"distance": "1"}, owners=("andes",)
            ),
        ]
        await session.edit(edits)
        await session.commit()
        after = (await session.read()).tree
        assert after == {**before, f"{route}1]": {"distance": "250"}, f"{route}5]": {}}
        await session.edit(deletes(ANDES))
        await session.commit()


async def test_a_refused_line_leaves_what_can_be_taken_back(router: Frr, devices: AllDevices) -> None:
    async with devices.session(router.target(NAME)) as session:
        bare = (await session.read()).tree
        edits = [
            edit.model_copy(update={"after": {**edit.after, "address": "10.99.0.999/30"}})
            if "down0" in edit.path
            else edit
            for edit in creates(ANDES)
        ]
        await session.edit(edits)
        with pytest.raises(DeviceRefusedError, match="Unknown command"):
            await session.commit()
        half = (await session.read()).tree
        assert half != bare
        await session.edit(unfinished(root_spec(("frr",)), deletes(ANDES), half))
        await session.commit()
        assert (await session.read()).tree == bare


async def test_what_a_dead_daemon_holds_is_not_taken_for_gone(router: Frr, devices: AllDevices) -> None:
    router.type("ip route 192.0.2.0/24 Null0 250")
    router.save()
    async with devices.session(router.target(NAME)) as session:
        before = (await session.read()).tree
        await session.edit(creates(ANDES))
        with router.without_mgmtd(), pytest.raises(SessionLostError, match=r"did not take '.*' as a whole"):
            await session.commit()
    async with devices.session(router.target(NAME)) as session:
        with router.without_mgmtd(), pytest.raises(SessionLostError, match="is not whole, mgmtd does not run there"):
            await session.read()
    async with devices.session(router.target(NAME)) as session:
        assert (await session.read()).tree == before


async def test_nothing_is_typed_before_its_daemons_know_each_other(router: Frr, devices: AllDevices) -> None:
    """Until then its mgmtd takes any line, also one that a daemon would refuse."""
    with router.with_lonely_mgmtd():
        async with devices.session(router.target(NAME)) as session:
            with pytest.raises(SessionLostError, match="is not whole, staticd and zebra is not connected to mgmtd"):
                await session.read()
    async with devices.session(router.target(NAME)) as session:
        await session.read()


async def test_what_a_restarted_daemon_is_not_yet_given_is_not_taken_for_gone(router: Frr, devices: AllDevices) -> None:
    """Its mgmtd is up and connected by then, and its running configuration lacks what is saved."""
    router.type("ip route 192.0.2.0/24 Null0 250")
    router.save()
    with router.with_bare_mgmtd():
        assert "ip route" not in router.running()
        async with devices.session(router.target(NAME)) as session:
            with pytest.raises(SessionLostError, match=r"watchfrr (says that mgmtd is not up|has not yet given)"):
                await session.read()
    async with devices.session(router.target(NAME)) as session:
        await session.read()
    assert "ip route" in router.running()


async def test_nothing_is_timed_here(router: Frr, devices: AllDevices) -> None:
    async with devices.session(router.target(NAME)) as session:
        assert not session.capabilities.safe_commit
        assert not session.capabilities.timed_reload
