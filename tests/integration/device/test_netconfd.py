"""How Debian's netconfd lies, so that a release which stops doing so is noticed, and that we come out right."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import asyncssh
import pytest
from lxml import etree

from controller.drivers.devices import AllDevices
from controller.drivers.netconf.capabilities import without_content_ids
from controller.drivers.netconf.replies import BASE, check_done
from controller.drivers.netconf.requests import get_config, lock, request, unlock
from controller.drivers.netconf.session import NetconfSession
from controller.models.equipment import Equipment
from controller.models.errors import DeviceBusyError, HostKeyError, UncommittedEditsError
from controller.nrm.namespaces import NETCONF
from simulators.netconf.framing import encode
from tests.integration.device.edits import element_path, function, function_path, managed_element, rename
from tests.support.netconfd import Netconfd
from tests.support.secrets import LocalSecrets
from tests.support.sessions import to_station
from tests.unit.drivers.netconf.server import hello_of

VALIDATE = f"<validate xmlns='{NETCONF}'><source><candidate/></source></validate>"

pytestmark = pytest.mark.needs("netconfd", "sshd")


def whole(reply: etree._Element) -> etree._Element:
    return reply


async def test_its_hello_is_as_recorded(netconfd_server: Netconfd, devices: AllDevices) -> None:
    """Unit tests use the recorded one."""
    async with devices.session(netconfd_server.target("V-0")) as session:
        assert isinstance(session, NetconfSession)
        heard = [uri for uri in without_content_ids(session._transport.hello) if ":3gpp:" not in uri]
        await session.read()
        assert session.capabilities.safe_commit
        assert await session.equipment() == Equipment()
    recorded = [uri for uri in without_content_ids(hello_of("netconfd-2.14")) if ":3gpp:" not in uri]
    assert heard == recorded


async def test_validate_empties_the_candidate_and_commit_still_says_ok(
    netconfd_server: Netconfd, devices: AllDevices
) -> None:
    target = netconfd_server.target("V-1")
    async with devices.session(target) as session:
        assert isinstance(session, NetconfSession)
        await session.edit([managed_element("V-1")])
        check_done(await session._transport.request(request(etree.fromstring(VALIDATE)), whole), "V-1", "validate")
        await session.commit()
        assert (await session.read()).tree == {}


async def test_with_running_locked_a_cancel_says_ok_and_takes_nothing_back(
    netconfd_server: Netconfd, devices: AllDevices
) -> None:
    target = netconfd_server.target("V-2")
    async with devices.session(target) as session:
        assert isinstance(session, NetconfSession)
        await session.edit([managed_element("V-2")])
        await session.commit()
        check_done(await session._transport.request(lock("running"), whole), "V-2", "lock")
        await session.edit(function("V-2"))
        await session.commit_confirmed("token-v2", 60)
        await session.cancel("token-v2")
        assert function_path("V-2") in (await session.read()).tree
        check_done(await session._transport.request(unlock("running"), whole), "V-2", "unlock")
        # Which is why lock() leaves running alone here.
        await session.lock()
        await session.edit([rename("V-2", "first", "second")])
        await session.commit_confirmed("token-v2", 60)
        await session.cancel("token-v2")
        assert (await session.read()).tree[function_path("V-2")]["eNBName"] == "first"
        await session.unlock()


async def test_while_a_commit_is_pending_nobody_else_can_lock_but_anybody_can_edit(
    netconfd_server: Netconfd, devices: AllDevices
) -> None:
    target = netconfd_server.target("V-3")
    async with to_station(devices, target) as session:
        await session.lock()
        await session.edit([managed_element("V-3")])
        await session.commit_confirmed("token-v3", 60)
        await session.abandon()
    async with to_station(devices, target) as session:
        with pytest.raises(DeviceBusyError, match="outstanding-confirmed-commit") as denied:
            await session.lock()
        assert denied.value.holder == "0"
        await session.edit(function("V-3"))
        await session.discard()
        with pytest.raises(DeviceBusyError):
            await session.commit()
        await session.cancel("token-v3")
        assert element_path("V-3") not in (await session.read()).tree


async def test_a_candidate_that_somebody_edited_is_busy_and_named(
    netconfd_server: Netconfd, devices: AllDevices
) -> None:
    target, others = netconfd_server.target("V-6"), AllDevices(LocalSecrets())
    async with others.session(target) as other, to_station(devices, target) as session:
        await other.edit([managed_element("V-6")])
        with pytest.raises(
            UncommittedEditsError, match=r"did not commit \(/ManagedElement\[V-6\]\): .*discard-changes"
        ):
            await session.lock()
        await other.discard()
        await session.lock()
        await session.unlock()
    await others.close()


async def test_state_that_nothing_provides_reads_as_absent(netconfd_server: Netconfd, devices: AllDevices) -> None:
    target = netconfd_server.target("V-4")
    async with devices.session(target) as session:
        assert isinstance(session, NetconfSession)
        await session.edit([managed_element("V-4"), *function("V-4")])
        await session.commit()
        observed = await session.read()
        assert function_path("V-4") in observed.tree
        assert observed.state == {}
        reply = await session._transport.request(get_config("running"), whole)
        assert isinstance(reply.find(f"{BASE}data"), etree._Element)


async def test_a_key_logs_in_and_a_changed_host_key_does_not(netconfd_server: Netconfd, devices: AllDevices) -> None:

    other = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBYv2B6jWVgPqkUIEW3tisvC5RAZh5hGhOUvlKq6xGCe"
    before = netconfd_server.ssh.log.read_text().count("Accepted publickey")
    with pytest.raises(HostKeyError, match="another host key"):
        async with devices.session(replace(netconfd_server.target("V-5"), host_key=other)):
            pass
    log = netconfd_server.ssh.log.read_text()
    assert log.count("Accepted publickey") == before
    assert "Failed" not in log


async def test_a_request_behind_the_hello_in_one_write_is_answered(netconfd_server: Netconfd) -> None:
    """Not by netconfd itself, which loses it: ``hello_gap`` keeps that from the tests."""
    ssh = netconfd_server.ssh
    base = BASE.strip("{}")
    hello = (
        f'<hello xmlns="{base}"><capabilities><capability>urn:ietf:params:netconf:base:1.1</capability>'
        "</capabilities></hello>"
    )
    request = f'<rpc xmlns="{base}" message-id="42"><close-session/></rpc>'
    async with asyncssh.connect(
        "127.0.0.1",
        ssh.port,
        username=ssh.username,
        client_keys=[str(ssh.client_key)],
        known_hosts=asyncssh.import_known_hosts(f"[127.0.0.1]:{ssh.port} {ssh.host_key}"),
        config=None,
        agent_path=None,
    ) as connection:
        writer, reader, _ = await connection.open_session(subsystem="netconf", encoding=None)
        writer.write(encode(hello.encode(), chunked=False) + encode(request.encode(), chunked=True))
        answer = await asyncio.wait_for(reader.read(), 20)
    assert b'message-id="42"' in answer
