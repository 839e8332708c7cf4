"""Floods of small SSH messages: by whoever calls, by whoever answers in a station's place, and by a station."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from itertools import repeat

import asyncssh
import pytest
from asyncssh.constants import MSG_IGNORE
from asyncssh.packet import Byte, NameList, String, UInt32

from controller.drivers.netconf import connect
from controller.drivers.netconf.callhome import CallHome
from controller.drivers.netconf.connect import Connector
from controller.drivers.netconf.ssh_callers import SshCallers
from controller.drivers.netconf.target import NetconfTarget
from controller.models.errors import UnreachableError
from controller.models.health import Refusal
from controller.models.metrics import Observations, sums_and_states
from controller.ports.secrets import FakeSecrets
from tests.support.waiting import until

#: Longer than any of these tests: what ends by it was not bounded by bytes and messages.
PATIENCE = 30.0
#: Bytes that a flood sends at most, so that nothing here is endless. The system takes some for a reader to come.
MOST = 8 * 2**20
SECRETS = FakeSecrets({"device": "minka-sim"})
BANNER = b"SSH-2.0-x\r\n"
KEY = asyncssh.generate_private_key("ssh-ed25519")
KEX, HOST_KEY, CIPHER = b"curve25519-sha256", b"ssh-ed25519", b"aes128-gcm@openssh.com"


def packet(payload: bytes) -> bytes:
    """A message before encryption (RFC 4253 §6)."""
    padding = 8 - (len(payload) + 5) % 8 + 8
    return UInt32(1 + len(payload) + padding) + Byte(padding) + payload + bytes(padding)


IGNORE = packet(Byte(MSG_IGNORE) + String(b""))
KEXINIT = packet(
    Byte(20)
    + bytes(16)
    + b"".join(NameList(names) for names in ([KEX], [HOST_KEY], *repeat([CIPHER], 2), *repeat([b"hmac-sha2-256"], 2)))
    + b"".join(NameList(names) for names in ([b"none"], [b"none"], [], []))
    + bytes(5)
)
#: What is said once, and what is said again and again after it.
FLOODS = {
    "ignored messages": (BANNER, IGNORE),
    "debug messages": (BANNER, packet(Byte(4) + bytes(9))),
    "messages of an exchange of keys that nobody knows": (BANNER + KEXINIT, packet(Byte(49))),
    "ignored messages in an exchange of keys": (BANNER + KEXINIT, IGNORE),
    "one long message": (BANNER + UInt32(200_000) + bytes(4), bytes(1024)),
    "lines before the version": (b"", b"x" * 1000 + b"\r\n"),
}


async def flood(writer: asyncio.StreamWriter, once: bytes, again: bytes) -> None:
    """Send until the other side hangs up, which it must."""
    sent = 0
    with suppress(ConnectionError):
        writer.write(once)
        many = again * (64 * 1024 // len(again))
        while sent < MOST:
            writer.write(many)
            await writer.drain()
            sent += len(many)
        await asyncio.Event().wait()


class Taken:
    """What our side took: the bytes of each piece that asyncssh got, and the messages it read."""

    def __init__(self) -> None:
        self.pieces: list[int] = []
        self.messages = 0


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> Iterator[Taken]:
    seen, of = Taken(), asyncssh.SSHClientConnection
    take, finish = of.data_received, of._finish_recv_packet

    def data_received(self: asyncssh.SSHClientConnection, data: bytes, datatype: int | None = None) -> None:
        seen.pieces.append(len(data))
        take(self, data, datatype)

    def finished(self: asyncssh.SSHClientConnection, *args: object, **named: object) -> None:
        seen.messages += 1
        finish(self, *args, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(of, "data_received", data_received)
    monkeypatch.setattr(of, "_finish_recv_packet", finished)
    yield seen
    assert not seen.pieces or max(seen.pieces) <= connect._PIECE


def assert_bounded(taken: Taken) -> None:
    assert sum(taken.pieces) <= connect._HEARD
    assert taken.messages <= connect._MESSAGES


@pytest.mark.parametrize(("once", "again"), FLOODS.values(), ids=list(FLOODS))
async def test_a_caller_that_proves_nothing_is_heard_for_few_bytes_and_messages(
    taken: Taken, once: bytes, again: bytes
) -> None:
    counted = Observations()
    calls = CallHome(
        {"ssh": lambda: SshCallers(Connector(SECRETS, PATIENCE, PATIENCE, PATIENCE))},
        PATIENCE,
        lambda *_: None,
        observations=counted,
    )
    since = asyncio.get_running_loop().time()
    _, writer = await asyncio.open_connection("127.0.0.1", calls.listen("127.0.0.1", 0))
    sending = asyncio.create_task(flood(writer, once, again))
    try:
        await until(lambda: calls.refused_since("S-0", since)[0] != "")
        said, _ = calls.refused_since("S-0", since)
        assert "before it proved its host key" in said
        counts, _ = sums_and_states(counted.encoded())
        assert counts["minka_calls_refused_total"] == {("ssh", Refusal.COSTLY): [1.0]}
        assert_bounded(taken)
    finally:
        sending.cancel()
        writer.close()
        await calls.close()


@asynccontextmanager
async def answering(once: bytes, again: bytes) -> AsyncIterator[int]:
    """Somebody in a station's place."""

    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await flood(writer, once, again)
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        sock: socket.socket = server.sockets[0]
        yield sock.getsockname()[1]


def target(port: int) -> NetconfTarget:
    host_key = KEY.export_public_key().decode().strip()
    return NetconfTarget("S-0", ("lte-28658",), "127.0.0.1", port, host_key, "minka", "device", file_port=port)


@pytest.mark.parametrize(("once", "again"), FLOODS.values(), ids=list(FLOODS))
async def test_whoever_answers_in_a_stations_place_is_heard_no_longer(taken: Taken, once: bytes, again: bytes) -> None:
    connector = Connector(SECRETS, PATIENCE, PATIENCE, PATIENCE)
    async with answering(once, again) as port:
        for opening in (connector.open, connector.open_files):
            taken.pieces.clear()
            taken.messages = 0
            with pytest.raises(UnreachableError, match="before it proved its host key"):
                await opening(target(port))
            assert_bounded(taken)


class Login(asyncssh.SSHServer):
    """Lets Minka in, and notes the connection."""

    def __init__(self, connections: list[asyncssh.SSHServerConnection]) -> None:
        self._connections = connections

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connections.append(conn)

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return True


async def test_a_station_that_floods_its_session_lets_others_have_their_turns(
    taken: Taken, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = 5000
    stations: list[asyncssh.SSHServerConnection] = []
    server = await asyncssh.listen(
        "127.0.0.1", 0, server_host_keys=[KEY], server_factory=lambda: Login(stations), sftp_factory=True
    )
    async with server:
        port = server.sockets[0].getsockname()[1]
        connection = await Connector(SECRETS, PATIENCE, PATIENCE, PATIENCE).open_files(target(port))
        transport = connection._transport
        assert transport is not None
        rests: list[int] = []
        pause = transport.pause_reading

        def paused() -> None:
            rests.append(taken.messages)
            pause()

        monkeypatch.setattr(transport, "pause_reading", paused)
        taken.messages = 0
        for _ in range(many):
            stations[0].send_packet(MSG_IGNORE, String(b""))
        await until(lambda: taken.messages >= many)
        steps = [now - before for before, now in zip([0, *rests], rests, strict=False)]
        assert steps, "it rested"
        assert max(steps) <= 2 * connect._READ // len(IGNORE), "after few messages"
        async with connection.start_sftp_client() as files:
            assert await files.realpath("."), "the session works on"
        connection.abort()
