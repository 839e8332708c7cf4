"""Connections that bring no request, or bring it byte by byte, don't keep others out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn

from controller.api import process
from controller.api import process as api
from controller.models.settings import Settings

REQUEST = b"GET / HTTP/1.1\r\nHost: minka\r\n\r\n"
UPLOAD = b"PUT / HTTP/1.1\r\nHost: minka\r\nContent-Length: 4\r\n\r\n"


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Reads the body, and streams its answer for longer than a request may take."""
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"o", "more_body": True})
    await asyncio.sleep(0.8)
    await send({"type": "http.response.body", "body": b"k"})


@pytest.fixture
async def port(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[int]:
    monkeypatch.setattr(process, "HEAD", 0.4)
    monkeypatch.setattr(process, "BODY", 0.6)
    monkeypatch.setattr(process, "MOST", 5)
    config = uvicorn.Config(app, port=0, http=process.Connection, lifespan="off", log_level="warning")
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
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
    monkeypatch.setattr(process, "HEAD", 60)
    silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(20)]
    async with connected(port) as (reader, writer):
        writer.write(REQUEST)
        async with asyncio.timeout(5):
            assert b"200" in await reader.readline()
    assert sum([await ended(reader) == b"" for reader, _ in silent[:15]]) == 15
    for _, writer in silent:
        writer.close()


def test_the_api_is_served_so(monkeypatch: pytest.MonkeyPatch) -> None:
    served: dict[str, Any] = {}
    monkeypatch.setattr(uvicorn, "run", lambda _app, **options: served.update(options))
    api.serve(Settings(), "api")
    assert served["http"] is process.Connection
