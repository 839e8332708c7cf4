"""The thread-less session: whatever a device sends, a request ends with its reply or SessionLostError."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from controller.drivers.decoding import LONG
from controller.drivers.netconf.framing import frame
from controller.drivers.netconf.requests import discard_changes, get
from controller.drivers.netconf.transport import BACKLOG, BACKLOG_BYTES, Transport
from controller.models.errors import SessionLostError

NS = 'xmlns="urn:ietf:params:xml:ns:netconf:base:1.0"'
HELLO = (
    f"<hello {NS}><capabilities>"
    "<capability> urn:ietf:params:netconf:base:1.0 </capability>"
    "<capability>urn:ietf:params:netconf:base:1.1</capability>"
    "<capability>urn:ietf:params:netconf:capability:candidate:1.0</capability>"
    "</capabilities><session-id>7</session-id></hello>"
)
NOTIFICATION = '<notification xmlns="urn:ietf:params:xml:ns:netconf:notification:1.0"><a/></notification>'


class Channel:
    """Answers what the transport sends, and notes what it was told."""

    def __init__(self, transport: Transport, answer: Callable[[str], bytes | None]) -> None:
        self.transport = transport
        self.answer = answer
        self.sent: list[bytes] = []
        self.aborted = False

    def write(self, data: bytes) -> None:
        self.sent.append(data)
        found = re.search(rb'message-id="([^"]+)"', data)
        answer = self.answer(found[1].decode()) if found else None
        if answer is not None:
            asyncio.get_running_loop().call_soon(self.transport.data_received, answer, None)

    def abort(self) -> None:
        self.aborted = True


def whole(answer: etree._Element) -> etree._Element:
    return answer


def reply(identity: str, content: str = "<ok/>") -> bytes:
    return frame(f'<rpc-reply message-id="{identity}" {NS}>{content}</rpc-reply>'.encode(), chunked=True)


async def greeted(
    answer: Callable[[str], bytes | None] = reply, hello: str = HELLO, **options: Any
) -> tuple[Transport, Channel]:
    transport = Transport("PE-1", **{"patience": 0.2, **options})
    channel = Channel(transport, answer)
    transport.connection_made(channel)
    greeting = asyncio.ensure_future(transport.greet())
    await asyncio.sleep(0)
    transport.data_received(frame(hello.encode(), chunked=False), None)
    await greeting
    return transport, channel


async def test_hello_and_a_request_without_any_thread() -> None:
    before = threading.active_count()
    transport, channel = await greeted()
    answer = await transport.request(discard_changes(), whole)
    assert threading.active_count() == before
    assert transport.id == "7"
    assert transport.hello[0] == "urn:ietf:params:netconf:base:1.0"
    assert answer.tag.endswith("rpc-reply")
    assert channel.sent[0].endswith(b"]]>]]>")
    assert channel.sent[1].startswith(b"\n#")


async def test_a_device_without_base_1_1_is_spoken_to_in_the_old_framing() -> None:
    old = HELLO.replace("<capability>urn:ietf:params:netconf:base:1.1</capability>", "")
    transport, channel = await greeted(lambda identity: reply(identity)[5:-4] + b"]]>]]>", old)
    del channel.sent[0]
    channel.answer = lambda identity: frame(
        f'<rpc-reply message-id="{identity}" {NS}><ok/></rpc-reply>'.encode(), chunked=False
    )
    assert (await transport.request(discard_changes(), whole)).tag.endswith("rpc-reply")
    assert channel.sent[0].endswith(b"]]>]]>")


@pytest.mark.parametrize(
    "hello",
    [
        HELLO.replace("<session-id>7</session-id>", ""),
        HELLO.replace(">7<", ">x<"),
        HELLO.replace("netconf:base:1.", "netconf:other:1."),
        f'<rpc-reply {NS} message-id="1"><ok/></rpc-reply>',
        "SSH banner",
    ],
    ids=["no id", "bad id", "no base", "no hello", "text"],
)
async def test_a_bad_hello_opens_no_session(hello: str) -> None:
    with pytest.raises(SessionLostError, match="PE-1"):
        await greeted(hello=hello)


@pytest.mark.parametrize(
    "answer",
    [
        lambda _: b"garbage",
        lambda _: frame(b"<rpc-reply", chunked=True),
        lambda _: reply("urn:uuid:another"),
        lambda identity: frame(f"<rpc-reply {NS}><ok/></rpc-reply>".encode(), chunked=True),
        lambda identity: frame(f'<rpc {NS} message-id="{identity}"><get/></rpc>'.encode(), chunked=True),
        lambda identity: frame(f'<rpc-reply message-id="{identity}"><ok/></rpc-reply>'.encode(), chunked=True),
        lambda identity: frame(HELLO.encode(), chunked=True),
        lambda identity: frame(NOTIFICATION.encode(), chunked=True),
        lambda _: b"\n#4294967295\n",
        lambda identity: b"\n#200\n" + reply(identity),
        lambda identity: reply(identity)[:-3],
    ],
    ids=[
        "garbage", "not well-formed", "foreign id", "no id", "a request", "no namespace", "second hello",
        "unasked notification", "oversize", "wrong length", "truncated",
    ],
)  # fmt: skip
async def test_no_bad_answer_is_taken_for_an_answer(answer: Callable[[str], bytes]) -> None:
    transport, channel = await greeted(answer)
    with pytest.raises(SessionLostError, match="PE-1"):
        await transport.request(discard_changes(), whole)
    assert transport.lost
    assert channel.aborted
    sent = len(channel.sent)
    with pytest.raises(SessionLostError):
        await transport.request(discard_changes(), whole)
    assert len(channel.sent) == sent


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=120))
async def test_no_bytes_at_all_make_a_false_ok(data: bytes) -> None:
    transport, _ = await greeted(lambda _: data, patience=0.01)
    with pytest.raises(SessionLostError):
        await transport.request(discard_changes(), whole)


async def test_two_answers_to_one_request_end_the_session_after_it() -> None:
    transport, _ = await greeted(lambda identity: reply(identity) + reply(identity))
    await transport.request(discard_changes(), whole)
    assert transport.lost


async def test_silence_is_a_lost_session() -> None:
    transport, channel = await greeted(lambda _: None)
    with pytest.raises(SessionLostError, match=r"not answered within 0\.2 s"):
        await transport.request(discard_changes(), whole)
    assert channel.aborted


class Hands:
    """The loop's time, moved by hand."""

    def __init__(self) -> None:
        self.now = 0.0
        self.timers: list[tuple[float, Callable[[], None]]] = []

    def time(self) -> float:
        return self.now

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.get_running_loop().create_future()

    def call_at(self, when: float, callback: Callable[[], None]) -> Hands:
        self.timers.append((when, callback))
        return self

    def cancel(self) -> None:
        self.timers.clear()

    def move(self, seconds: float) -> None:
        self.now += seconds
        while self.timers and self.timers[0][0] <= self.now:
            self.timers.pop(0)[1]()


async def test_each_request_is_waited_for_equally_long_with_one_timer_for_all() -> None:
    silent = False
    transport, channel = await greeted(lambda identity: None if silent else reply(identity), patience=10)
    transport._loop = hands = Hands()  # type: ignore[assignment]
    for _ in range(3):
        await transport.request(get(), whole)
        hands.move(3)
    silent = True
    waiting = asyncio.ensure_future(transport.request(discard_changes(), whole))  # at 9 s
    await asyncio.sleep(0)
    hands.move(9)
    assert [when for when, _ in hands.timers] == [19]
    assert not transport.lost
    hands.move(1)
    with pytest.raises(SessionLostError, match="discard-changes was not answered within 10 s"):
        await waiting
    assert channel.aborted


async def test_nothing_is_waited_for_once_all_is_answered_or_the_session_has_ended() -> None:
    transport, _ = await greeted(patience=10)
    transport._loop = hands = Hands()  # type: ignore[assignment]
    await transport.request(get(), whole)
    hands.move(11)
    assert not hands.timers
    await transport.request(get(), whole)
    assert [when for when, _ in hands.timers] == [21]
    transport.fail("it was closed")
    assert not hands.timers


@pytest.mark.parametrize("error", [None, OSError("reset")])
async def test_the_end_of_the_connection_reaches_whoever_waits(error: Exception | None) -> None:
    transport, _ = await greeted(lambda _: None, patience=5)
    waiting = asyncio.ensure_future(transport.request(discard_changes(), whole))
    await asyncio.sleep(0)
    transport.connection_lost(error)
    with pytest.raises(SessionLostError, match="connection"):
        await waiting


async def test_answers_find_their_requests_in_any_order() -> None:
    held: list[str] = []
    transport, _ = await greeted(held.append)
    first = asyncio.ensure_future(transport.request(get(), whole))
    second = asyncio.ensure_future(transport.request(get(), whole))
    await asyncio.sleep(0)
    for number, identity in reversed(list(enumerate(held))):
        transport.data_received(reply(identity, f"<data><n>{number}</n></data>"), None)
    assert [(await one).findtext(".//{*}n") for one in (first, second)] == ["0", "1"]


async def test_standard_error_of_the_subsystem_is_not_netconf() -> None:
    transport, _ = await greeted()
    transport.data_received(b"warning: deprecated", 1)
    assert not transport.lost


async def test_notifications_wait_for_their_listener_but_not_without_bound() -> None:
    transport, _ = await greeted()
    transport.subscribed = True
    transport.data_received(frame(NOTIFICATION.encode(), chunked=True), None)
    assert (await transport.notification()).tag.endswith("notification")
    for _ in range(BACKLOG + 1):
        transport.data_received(frame(NOTIFICATION.encode(), chunked=True), None)
    assert transport.lost
    for _ in range(BACKLOG):
        await transport.notification()
    with pytest.raises(SessionLostError, match="waiting"):
        await transport.notification()


async def test_notifications_that_wait_are_bounded_by_their_bytes_too() -> None:
    transport, _ = await greeted()
    transport.subscribed = True
    long = NOTIFICATION.replace("<a/>", f"<a>{'x' * (LONG - 1000)}</a>")
    for _ in range(BACKLOG_BYTES // len(long) + 1):
        assert not transport.lost
        transport.data_received(frame(long.encode(), chunked=True), None)
    assert transport.lost


def long_data(value: str = "1") -> str:
    return f"<data><a>{value}</a>{'<b/>' * (LONG // 4)}</data>"


async def test_a_long_reply_is_parsed_and_decoded_off_the_loop_and_a_short_one_on_it() -> None:
    says = long_data()
    transport, _ = await greeted(lambda identity: reply(identity, says), patience=60)

    def where(_answer: etree._Element) -> int:
        return threading.get_ident()

    assert await transport.request(get(), where) != threading.get_ident()
    known, digest = await transport.answer(get(), where)
    assert known != threading.get_ident()
    assert await transport.answer(get(), where, digest) == (None, digest)
    says = "<data/>"
    assert await transport.request(get(), where) == threading.get_ident()


async def test_a_failure_to_decode_is_that_of_the_request() -> None:
    transport, _ = await greeted(lambda identity: reply(identity, long_data()), patience=60)

    def refused(_answer: etree._Element) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await transport.request(get(), refused)
    assert not transport.lost


async def test_messages_behind_a_long_one_keep_their_order() -> None:
    transport, _ = await greeted(lambda _: None)
    transport.subscribed = True
    texts = [f"<a>{'x' * LONG}</a>", "<a>2</a>", f"<a>{'y' * LONG}</a>", "<a>4</a>"]
    for text in texts:
        transport.data_received(frame(NOTIFICATION.replace("<a/>", text).encode(), chunked=True), None)
    came = [(await transport.notification())[0].text or "" for _ in texts]
    assert [text[:1] for text in came] == ["x", "2", "y", "4"]


async def test_what_comes_while_a_long_message_is_read_is_bounded() -> None:
    transport, _ = await greeted(lambda _: None, limit=4 * LONG)
    transport.subscribed = True
    for _ in range(5):
        transport.data_received(frame(NOTIFICATION.replace("<a/>", "x" * LONG).encode(), chunked=True), None)
    assert transport.lost


async def test_a_long_message_that_is_none_ends_the_session() -> None:
    transport, _ = await greeted(lambda _: frame(b"<a>" * LONG, chunked=True), patience=60)
    with pytest.raises(SessionLostError, match="garbage"):
        await transport.request(get(), whole)


async def test_a_long_hello_is_none() -> None:
    more = f"<capability>{'x' * LONG}</capability></capabilities>"
    with pytest.raises(SessionLostError, match=f"its hello has more than {LONG} bytes"):
        await greeted(hello=HELLO.replace("</capabilities>", more))


async def test_a_listener_learns_that_the_session_ended() -> None:
    transport, _ = await greeted()
    waiting = asyncio.ensure_future(transport.notification())
    await asyncio.sleep(0)
    transport.connection_lost(None)
    with pytest.raises(SessionLostError):
        await waiting


async def test_a_reply_that_was_seen_before_is_known_by_its_bytes() -> None:
    says = "<data><a>1</a></data>"
    transport, channel = await greeted(lambda identity: reply(identity, says))
    reading = get()
    first, digest = await transport.answer(reading, whole)
    assert first is not None
    assert await transport.answer(reading, whole, digest) == (None, digest)
    says = "<data><a>2</a></data>"
    second, other = await transport.answer(reading, whole, digest)
    assert second is not None
    assert second.findtext(".//{*}a") == "2"
    assert other != digest
    identities = {re.search(rb'message-id="([^"]+)"', sent)[1] for sent in channel.sent[1:]}  # type: ignore[index]
    assert len(identities) == 3


async def test_a_known_reply_to_another_request_is_no_answer() -> None:
    transport, channel = await greeted()
    reading = get()
    _, digest = await transport.answer(reading, whole)
    channel.answer = lambda _: reply("another")
    with pytest.raises(SessionLostError, match="never made"):
        await transport.answer(reading, whole, digest)
