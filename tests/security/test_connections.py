"""Connections that bring no request, bring it byte by byte, or take no answer don't keep others out."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from controller.api import process
from controller.api import process as api
from controller.api.guard import MOST, MOST_OPEN
from controller.api.intake import Intake
from controller.api.process import Debt
from controller.models.people import Role
from controller.models.settings import Settings
from tests.support.callers import admit
from tests.unit.api.bench import TINY, WEBHOOK_TOKEN, ApiBench, files_of, open_bench

REQUEST = b"GET / HTTP/1.1\r\nHost: minka\r\n\r\n"
UPLOAD = b"PUT / HTTP/1.1\r\nHost: minka\r\nContent-Length: 4\r\n\r\n"


#: Bytes of an answer that no kernel takes for a client that doesn't read, and of a piece of it.
LARGE, PIECE = 8 * 2**20, 2**16


def get(path: str, token: str = "") -> bytes:
    said = f"Authorization: Bearer {token}\r\n" if token else ""
    return f"GET {path} HTTP/1.1\r\nHost: minka\r\n{said}\r\n".encode()


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Reads the body, and streams its answer for longer than a request may take, or gives a large one."""
    while (await receive()).get("more_body"):
        pass
    if scope["path"] in ("/large", "/stream"):
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % LARGE)]})
        piece = PIECE if scope["path"] == "/stream" else LARGE
        for sent in range(piece, LARGE + 1, piece):
            await send({"type": "http.response.body", "body": b"x" * piece, "more_body": sent < LARGE})
        return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"o", "more_body": True})
    await asyncio.sleep(0.8)
    await send({"type": "http.response.body", "body": b"k"})


@pytest.fixture
async def port(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[int]:
    for debt, seconds in ((Debt.HEAD, 0.4), (Debt.BODY, 0.6), (Debt.ANSWER, 1.0)):
        monkeypatch.setitem(process.PATIENCE, debt, seconds)
    monkeypatch.setattr(process, "MOST", 5)
    async with served(app) as found:
        yield found


@asynccontextmanager
async def served(app: Any) -> AsyncIterator[int]:
    """The port of a server of the app."""
    options: Any = {"lifespan": "off", "log_level": "warning", "timeout_graceful_shutdown": 1}
    server = uvicorn.Server(uvicorn.Config(app, port=0, http=process.Connection, **options))
    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        await task
    assert not process.Connection._owing


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()


async def ended(reader: asyncio.StreamReader) -> bytes:
    """What came until the server hung up."""
    try:
        async with asyncio.timeout(5):
            return await reader.read()
    except ConnectionResetError:
        return b""


@pytest.mark.parametrize("begun", [b"", REQUEST[:20], UPLOAD + b"ab"], ids=["nothing", "half a head", "half a body"])
async def test_a_request_that_does_not_come_whole_is_not_waited_for(port: int, begun: bytes) -> None:
    async with connected(port) as (reader, writer):
        writer.write(begun)
        assert b"200" not in await ended(reader)


async def test_byte_by_byte_is_no_faster(port: int) -> None:
    async with connected(port) as (reader, writer):
        async with asyncio.timeout(5):
            for byte in REQUEST * 100:
                if reader.at_eof() or writer.is_closing():
                    break
                writer.write(bytes([byte]))
                await asyncio.sleep(0.05)
        assert b"200" not in await ended(reader)


async def test_whole_requests_are_answered_however_long_the_answer_takes(port: int) -> None:
    async with connected(port) as (reader, writer):
        for request in (REQUEST, UPLOAD + b"abcd", REQUEST):
            writer.write(request)
            async with asyncio.timeout(5):
                await reader.readuntil(b"\r\n\r\n")
                assert await reader.readexactly(2) == b"ok"


async def test_many_that_say_nothing_make_room_for_one_that_does(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(process.PATIENCE, Debt.HEAD, 60)
    silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(20)]
    async with connected(port) as (reader, writer):
        writer.write(REQUEST)
        async with asyncio.timeout(5):
            assert b"200" in await reader.readline()
    assert sum([await ended(reader) == b"" for reader, _ in silent[:15]]) == 15
    for _, writer in silent:
        writer.close()


async def test_connections_between_two_requests_make_room_for_another_one(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(process.PATIENCE, Debt.HEAD, 60)
    async with AsyncExitStack() as held:
        for _ in range(5):
            reader, writer = await held.enter_async_context(connected(port))
            writer.write(REQUEST)
            async with asyncio.timeout(5):
                await reader.readuntil(b"\r\n\r\nok")
        reader, writer = await held.enter_async_context(connected(port))
        writer.write(REQUEST)
        async with asyncio.timeout(5):
            assert b"200" in await reader.readline()


async def test_the_rest_of_a_request_behind_another_one_is_not_waited_for(port: int) -> None:
    async with connected(port) as (reader, writer):
        writer.write(REQUEST + UPLOAD + b"ab")
        assert (await ended(reader)).count(b"200 OK") == 1


# ------------------------------------------------------------------------- answers


@contextmanager
def unread(port: int, *requests: bytes) -> Iterator[socket.socket]:
    """A client that sends requests in one piece, and reads nothing by itself."""
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2304)
        client.connect(("127.0.0.1", port))
        client.sendall(b"".join(requests))
        client.setblocking(False)
        yield client


async def is_over(client: socket.socket) -> None:
    """Wait until the server has hung up on a client that reads nothing."""
    async with asyncio.timeout(10):
        while True:
            await asyncio.sleep(0.05)
            try:
                client.send(b"x")  # the server resets what it has hung up
            except BlockingIOError:
                pass
            except OSError:
                return


@pytest.mark.parametrize("path", ["/large", "/stream"])
@pytest.mark.parametrize("more", [b"", REQUEST, b"Connection: close\r\n"], ids=["keep", "pipelined", "close"])
async def test_an_answer_that_nobody_takes_is_not_kept(port: int, path: str, more: bytes) -> None:
    """Also where the server has closed the connection already, and has only the answer left to send."""
    request = get(path)
    with unread(port, request[:-2] + more + b"\r\n" if b"close" in more else request + more) as client:
        await is_over(client)
    assert not process.Connection._owing


@pytest.mark.parametrize("path", ["/large", "/stream"])
async def test_whoever_reads_slowly_gets_the_whole_answer(port: int, path: str) -> None:
    loop = asyncio.get_running_loop()
    began, got, head = loop.time(), 0, b""
    with unread(port, get(path)) as client:
        async with asyncio.timeout(60):
            while got < LARGE + head.find(b"\r\n\r\n") + 4:
                some = await loop.sock_recv(client, 2**20)
                assert some, "it broke off"
                head, got = head or some, got + len(some)
                if loop.time() - began < 3 * process.PATIENCE[Debt.ANSWER]:
                    await asyncio.sleep(0.1)
    assert loop.time() - began > 3 * process.PATIENCE[Debt.ANSWER]


async def test_many_that_take_no_answer_make_room_for_one_that_does(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever takes some is kept, though it came first."""
    for debt in Debt:
        monkeypatch.setitem(process.PATIENCE, debt, 60)
    loop = asyncio.get_running_loop()
    async with AsyncExitStack() as held:
        slow, *stuck = [held.enter_context(unread(port, get("/large"))) for _ in range(5)]
        await asyncio.sleep(0.2)
        for _ in stuck:
            async with asyncio.timeout(5):
                for _ in range(50):
                    assert await loop.sock_recv(slow, 4096)
                reader, writer = await held.enter_async_context(connected(port))
                writer.write(REQUEST)
                assert b"200" in await reader.readline()
        for one in stuck:
            await is_over(one)
        async with asyncio.timeout(30):
            for _ in range(100):
                assert await loop.sock_recv(slow, 2**16)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[ApiBench]:
    async with open_bench(tmp_path) as made:
        await made.client.put("/v1/network", json={"files": files_of(TINY)})
        admit(made.store, "token-of-rosa", "rosa", Role.TENANT_VIEWER, "andes")
        made.app.state.services = replace(made.app.state.services, intake=Intake(room=50_000))
        yield made


CALL = json.dumps({"version": "4", "alerts": []}).encode().ljust(30_000)
WEBHOOK = (
    f"POST /v1/webhooks/alertmanager HTTP/1.1\r\nHost: minka\r\nAuthorization: Bearer {WEBHOOK_TOKEN}\r\n"
    f"Content-Type: application/json\r\nContent-Length: {len(CALL)}\r\n\r\n"
).encode() + CALL


@pytest.mark.parametrize(
    ("asked", "count"),
    [
        (get("/readyz"), MOST_OPEN),
        (get("/healthz"), MOST_OPEN),
        (get("/openapi.json"), MOST_OPEN),
        (get("/v1/me", "token-of-rosa"), MOST),
        (WEBHOOK, 3),
    ],
    ids=["readyz", "healthz", "document", "a tenant", "an alarm source"],
)
async def test_requests_behind_answers_that_nobody_takes_are_not_under_way(
    bench: ApiBench, asked: bytes, count: int
) -> None:
    async with served(bench.app) as port:
        with ExitStack() as held:
            for number in range(count + 1):
                held.enter_context(unread(port, get("/openapi.json"), asked))
                async with asyncio.timeout(10):
                    while sum(one._debt is Debt.ANSWER for one in process.Connection._owing) <= number:
                        await asyncio.sleep(0.01)
            async with connected(port) as (reader, writer):
                writer.write(asked)
                async with asyncio.timeout(10):
                    assert b"200" in await reader.readline()


async def test_requests_behind_an_answer_are_answered_in_their_order(bench: ApiBench) -> None:
    async with served(bench.app) as port, connected(port) as (reader, writer):
        writer.write(get("/openapi.json") * 3 + WEBHOOK + get("/healthz")[:-2] + b"Connection: close\r\n\r\n")
        async with asyncio.timeout(30):
            said = await reader.read()
    assert said.count(b"HTTP/1.1 200 OK") == 5
    assert said.endswith((await bench.anonymous.get("/healthz")).content)


def test_the_api_is_served_so(monkeypatch: pytest.MonkeyPatch) -> None:
    served: dict[str, Any] = {}
    monkeypatch.setattr(uvicorn, "run", lambda _app, **options: served.update(options))
    api.serve(Settings(), "api")
    assert served["http"] is process.Connection
