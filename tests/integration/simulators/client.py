"""A small NETCONF client on asyncssh, so that a test can hold a hundred sessions at once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncssh
from lxml import etree

from controller.drivers.protocols import Notification
from simulators.fleet.inventory import Endpoint
from simulators.netconf.framing import Decoder, encode

BASE = "urn:ietf:params:xml:ns:netconf:base:1.0"
ME = "urn:3gpp:sa5:_3gpp-common-managed-element"
HELLO = (
    f'<hello xmlns="{BASE}"><capabilities><capability>urn:ietf:params:netconf:base:1.1</capability>'
    "</capabilities></hello>"
).encode()


class NetconfClient:
    """One session."""

    def __init__(self, reader: asyncssh.SSHReader[bytes], writer: asyncssh.SSHWriter[bytes]) -> None:
        self._reader = reader
        self._writer = writer
        self._decoder = Decoder()
        self.session_id = 0

    async def greet(self) -> None:
        self._writer.write(encode(HELLO, chunked=False))
        hello = etree.fromstring(await self._next())
        self.session_id = int(hello.findtext(f"{{{BASE}}}session-id") or 0)
        self._decoder.chunked = True

    async def rpc(self, operation: str) -> str:
        rpc = f'<rpc xmlns="{BASE}" message-id="1">{operation}</rpc>'
        self._writer.write(encode(rpc.encode(), chunked=True))
        return (await self._next()).decode()

    def write(self, data: bytes) -> None:
        self._writer.write(data)

    async def rest(self) -> bytes:
        """Everything until the server hangs up."""
        return await self._reader.read()

    async def _next(self) -> bytes:
        while True:
            for message in self._decoder.messages():
                return message
            data = await self._reader.read(65536)
            if not data:
                raise ConnectionResetError("the server hung up")
            self._decoder.feed(data)


@asynccontextmanager
async def login(endpoint: Endpoint, **options: object) -> AsyncIterator[asyncssh.SSHClientConnection]:
    given: dict[str, object] = {
        "username": "minka",
        "password": "minka-sim",
        "client_keys": None,
        "known_hosts": asyncssh.import_known_hosts(f"[{endpoint.address}]:{endpoint.port} {endpoint.host_key}"),
        "config": None,
        "agent_path": None,
        **options,
    }
    async with asyncssh.connect(endpoint.address, endpoint.port, **given) as connection:
        yield connection


@asynccontextmanager
async def netconf(endpoint: Endpoint, **options: object) -> AsyncIterator[NetconfClient]:
    async with login(endpoint, **options) as connection:
        writer, reader, _ = await connection.open_session(subsystem="netconf", encoding=None)
        client = NetconfClient(reader, writer)
        await client.greet()
        yield client


def label_edit(station: str, label: str) -> str:
    return (
        "<edit-config><target><candidate/></target><default-operation>none</default-operation><config>"
        f'<ManagedElement xmlns="{ME}"><id>{station}</id><attributes>'
        f'<userLabel xmlns:nc="{BASE}" nc:operation="replace">{label}</userLabel>'
        "</attributes></ManagedElement></config></edit-config>"
    )


async def change_in(notifications: AsyncIterator[Notification]) -> Notification:
    """The next notification of a changed configuration; those of sessions that open and close pass by."""
    while not (notification := await anext(notifications)).name.endswith("}netconf-config-change"):
        pass
    return notification
