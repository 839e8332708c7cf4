"""A mail relay that never comes to an end holds no thread, and fills no memory."""

from __future__ import annotations

import asyncio
import contextlib
import email
import email.policy
from collections.abc import AsyncIterator

import pytest
from pydantic import SecretStr

from controller.models.errors import NotTakenError
from controller.observe import mail


@contextlib.asynccontextmanager
async def _relay(before: bytes, again: bytes, pause: float, most: int) -> AsyncIterator[tuple[int, asyncio.Event]]:
    """A relay that says ``before``, and then ``again`` at most that often; with its port, and when its caller left."""
    left = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            writer.write(before)
            if before:
                await reader.readline()
            for _ in range(most):
                writer.write(again)
                await writer.drain()
                await asyncio.sleep(pause)
        left.set()
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], left
    finally:
        server.close()


async def _post(port: int) -> None:
    relay = mail.MailRelay(f"smtp://127.0.0.1:{port}", "minka@example.org", ["a@example.org"], lambda: SecretStr(""))
    await relay.post({"text": "hello"}, "key")


@pytest.mark.parametrize("before", [b"", b"220 relay\r\n"], ids=["greeting", "reply"])
@pytest.mark.parametrize("again", [b"250-more\r\n", b"2"], ids=["lines", "bytes"])
async def test_a_relay_that_goes_on_slowly_is_left_at_the_deadline(
    before: bytes, again: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each read takes less than the deadline, the reply as a whole takes far longer."""
    monkeypatch.setattr(mail, "_PATIENCE", 1)
    async with _relay(before, again, 0.05, 400) as (port, left):
        with pytest.raises(NotTakenError, match="within 1 s"):
            await _post(port)
        await asyncio.wait_for(left.wait(), 60)


@pytest.mark.parametrize("before", [b"", b"220 relay\r\n"], ids=["greeting", "reply"])
async def test_a_reply_without_end_is_left_at_its_bound(before: bytes) -> None:
    """What is read of it stays within the bound, however fast it comes."""
    async with _relay(before, b"250-more\r\n" * 1000, 0, 1000) as (port, left):
        with pytest.raises(NotTakenError, match="longer than 65536 bytes"):
            await _post(port)
        await asyncio.wait_for(left.wait(), 60)


_FORGED = "=?utf-8?q?=0d=0aX-Injected:_1=0d=0aReply-To:_evil@example.org=0d=0a=0d=0aAll_clear?= x"


@pytest.mark.parametrize("text", [_FORGED, f"first line\x1b[2J\n{_FORGED}", f"\r\n{_FORGED}", "a\u202eb\x00\u2028c"])
@pytest.mark.parametrize("station", ["PE-CUS-0154", f"PE {_FORGED}"])
def test_words_of_alarm_sources_become_no_headers_and_no_control_characters(text: str, station: str) -> None:
    """The library decodes encoded words (RFC 2047) that a text has in it, line breaks and all."""
    written = mail._message({"text": text, "station": station}, "key", "minka@example.org", ["a@example.org"])
    read = email.message_from_bytes(written.as_bytes(), policy=email.policy.default)
    assert sorted(map(str.lower, read.keys())) == [
        "auto-submitted",
        "content-transfer-encoding",
        "content-type",
        "from",
        "message-id",
        "mime-version",
        "subject",
        "to",
    ]
    assert read["Subject"].isprintable()
    assert all(line.isprintable() for line in read.get_content().splitlines())
    assert ("X-Injected" in read.get_content()) is ("X-Injected" in text), "nothing is left out"
