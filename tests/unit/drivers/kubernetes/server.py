"""A pool's API server over TLS whose answers a test writes: late, half, false, or none."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from controller.drivers.kubernetes.api import PoolApi
from controller.drivers.kubernetes.codec import NF_DEPLOYMENT, Place
from controller.drivers.kubernetes.target import PoolTarget
from controller.models.metrics import Observations
from controller.ports.clock import Clock, SystemClock
from controller.ports.secrets import FakeSecrets, Secrets
from simulators.netconf.certificates import Authority

POOL = "edge-1"
PLACE = Place(POOL, NF_DEPLOYMENT, "minka-host", "du-1")
AUTHORITY, OTHERS = Authority("cloud"), Authority("others")
TOKEN = "a-token-that-nobody-else-may-see"


@dataclass(frozen=True)
class ReceivedRequest:
    """A request as it came."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Any


Answering = Callable[[ReceivedRequest, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Server:
    """A running one.

    Attributes:
        asked: All requests so far.
        answer: Writes the answer to one.
    """

    answer: Answering
    target: PoolTarget
    asked: list[ReceivedRequest] = field(default_factory=list)
    connections: set[asyncio.Task[None]] = field(default_factory=set)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        task = asyncio.current_task()
        assert task is not None
        self.connections.add(task)
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                first, *lines = head.decode().strip().split("\r\n")
                method, url, _ = first.split(" ")
                headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                parts = urlsplit(url)
                asked = ReceivedRequest(
                    method, parts.path, dict(parse_qsl(parts.query)), headers, json.loads(body or b"null")
                )
                self.asked.append(asked)
                await self.answer(asked, writer)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError, ssl.SSLError):
            pass
        finally:
            writer.close()

    def api(
        self,
        clock: Clock | None = None,
        *,
        timeout: float = 5.0,
        observations: Observations | None = None,
        secrets: Secrets | None = None,
        **changes: Any,
    ) -> PoolApi:
        """Its client."""
        return PoolApi(
            replace(self.target, **changes),
            secrets or SECRETS,
            clock or SystemClock(),
            timeout=timeout,
            connect_timeout=5.0,
            observations=observations,
        )


SECRETS = FakeSecrets(
    {
        "ca": AUTHORITY.certificate,
        "other-ca": OTHERS.certificate,
        "token": TOKEN,
        "nobody": None,
        "empty": "\n",
        "no-certificate": "nonsense",
        "ours": AUTHORITY.client("minka"),
    }
)


def reply(status: int, body: Any, **headers: str) -> Answering:
    """One whole answer, whatever is asked."""

    async def answer(_: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
        writer.write(wire(status, body, **headers))

    return answer


def wire(status: int, body: Any, **headers: str) -> bytes:
    """An answer as bytes."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = {"Content-Type": "application/json", "Content-Length": str(len(content)), **headers}
    head = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in lines.items())
    return f"HTTP/1.1 {status} X\r\n{head}\r\n".encode() + content


def status(code: int, reason: str, message: str, *causes: Mapping[str, str]) -> dict[str, Any]:
    """A Status error."""
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "reason": reason,
        "message": message,
        "details": {"causes": list(causes)},
        "code": code,
    }


@asynccontextmanager
async def serving(answer: Answering, *, certificate: str = "") -> AsyncIterator[Server]:
    """Run one on a free port; it shows a certificate for 127.0.0.1."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with TemporaryDirectory() as folder:
        file = Path(folder) / "server.pem"
        file.write_text(certificate or AUTHORITY.station(POOL, "127.0.0.1"))
        context.load_cert_chain(file)
    server = Server(answer, PoolTarget(POOL, "127.0.0.1", 0, "ca", credential="token"))
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=context)
    server.target = replace(server.target, port=listening.sockets[0].getsockname()[1])
    try:
        yield server
    finally:
        listening.close()
        for connection in server.connections:
            connection.cancel()
        await asyncio.gather(*server.connections)
