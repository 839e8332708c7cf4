"""Stock OpenSSH clients that close their half of the channel: replies still go out, then the session ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import asyncssh
import pytest

from simulators.fleet.fleet import Fleet, FleetSettings
from simulators.fleet.inventory import Endpoint, RouterEndpoint
from simulators.netconf.faults import Fault, FaultKind
from simulators.netconf.framing import encode
from simulators.network import read_network
from simulators.routers.factory import Provisioning
from simulators.ssh import Credentials
from tests.integration.simulators.client import BASE, HELLO

pytestmark = pytest.mark.needs("ssh")

TINY = Path(__file__).parents[2] / "fixtures" / "networks" / "tiny"
STATION, ROUTER = "T-LTE-1", "R-OLLANTA"
LOCK = f'<rpc xmlns="{BASE}" message-id="7"><lock><target><running/></target></lock></rpc>'.encode()
GET = f'<rpc xmlns="{BASE}" message-id="8"><get-config><source><running/></source></get-config></rpc>'.encode()


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "key"
    asyncssh.generate_private_key("ssh-ed25519").write_private_key(path)
    path.chmod(0o600)
    return path


@pytest.fixture
async def fleet(key: Path) -> AsyncIterator[Fleet]:
    public = asyncssh.read_private_key(key).export_public_key().decode()
    credentials = Credentials(authorized_keys=(public,))
    network = read_network(TINY)
    async with Fleet(
        network, FleetSettings(only=[STATION], routers=Provisioning.PROVISIONED, credentials=credentials)
    ) as running:
        yield running


async def ssh(key: Path, endpoint: Endpoint | RouterEndpoint, *words: str, typed: bytes = b"") -> str:
    """What ``ssh … words < file`` prints until the server has hung up."""
    known = key.with_name("known_hosts")
    known.write_text(f"[{endpoint.address}]:{endpoint.port} {endpoint.host_key}\n")
    options = ["-F", "none", "-o", f"UserKnownHostsFile={known}", "-o", "IdentitiesOnly=yes", "-i", str(key)]
    process = await asyncio.create_subprocess_exec(
        *("ssh", "-T", *options, "-p", str(endpoint.port), f"minka@{endpoint.address}", *words),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, err = await asyncio.wait_for(process.communicate(typed), 20)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, err.decode()
    return out.decode()


async def test_a_file_of_rpcs_is_answered_and_its_session_frees_its_locks(fleet: Fleet, key: Path) -> None:
    # The reply is slow, so that the end of the file comes long before it.
    fleet.stations[STATION].faults.inject(Fault(FaultKind.DELAY, "get-config", seconds=0.5))
    typed = encode(HELLO, chunked=False) + encode(LOCK, chunked=True) + encode(GET, chunked=True)
    shown = await ssh(key, fleet.endpoint(STATION), "-s", "netconf", typed=typed)
    assert 'message-id="7"' in shown
    assert "<ok/>" in shown
    assert "</data>" in shown[shown.index('message-id="8"') :]
    assert not fleet.stations[STATION].server.sessions
    shown = await ssh(key, fleet.endpoint(STATION), "-s", "netconf", typed=typed)
    assert "lock-denied" not in shown


async def test_a_client_that_says_nothing_at_all_gets_the_hello_and_leaves_nothing(fleet: Fleet, key: Path) -> None:
    assert "<session-id>" in await ssh(key, fleet.endpoint(STATION), "-s", "netconf")
    assert not fleet.stations[STATION].server.sessions


async def test_a_command_without_input_is_carried_out(fleet: Fleet, key: Path) -> None:
    assert "Version 17.6.5" in await ssh(key, fleet.router_endpoint(ROUTER), "show version")
    assert not fleet.routers[ROUTER].sessions


async def test_lines_from_a_file_are_carried_out_and_the_session_ends(fleet: Fleet, key: Path) -> None:
    typed = b"terminal length 0\nshow version\nshow clock\n"
    shown = await ssh(key, fleet.router_endpoint(ROUTER), typed=typed)
    assert "Version 17.6.5" in shown
    assert "UTC" in shown[shown.index("show clock") :]
    assert not fleet.routers[ROUTER].sessions
