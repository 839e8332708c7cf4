"""A NETCONF session without a thread, on an asyncssh channel or on TLS.

Replies are matched by message id. A session that failed (time-out, garbage, an answer that nobody asked for, the end of
the channel) stays so: every later call raises the same ``SessionLostError``.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeVar

import asyncssh
from lxml import etree

from controller.drivers.decoding import LONG, decoded
from controller.drivers.netconf.framing import MAX_MESSAGE, Framer, FramingError, frame
from controller.drivers.netconf.markup import MalformedXmlError, parse_xml
from controller.drivers.netconf.replies import BASE, REPLY
from controller.drivers.netconf.requests import BASE_1_0, BASE_1_1, HELLO, Request
from controller.models.errors import SessionLostError, in_words
from controller.models.metrics import Observations
from controller.nrm.namespaces import NOTIFICATIONS

T = TypeVar("T")

NOTIFICATION = f"{{{NOTIFICATIONS}}}notification"
#: Most notifications that wait for a busy listener, and bytes of them; a device that sends more loses the session.
BACKLOG, BACKLOG_BYTES = 10_000, MAX_MESSAGE
#: Bytes at the beginning of a reply that are searched for its message id.
_HEAD = 1000


class MalformedMessageError(Exception):
    """The device sent something that is not a NETCONF message, or that nobody asked for."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message that was read.

    Attributes:
        root: Its element; None of a reply whose digest was known.
        identity: Message id of the request that it may answer, by its first bytes.
        digest: Its digest without the message id; empty where nobody wants it, or the id is not near the beginning.
        size: Its bytes.
    """

    root: etree._Element | None
    identity: str
    digest: bytes
    size: int


@dataclass(slots=True)
class _Asked:
    """A request that waits for its answer.

    Attributes:
        operation: Its name.
        since: When it was sent, on the loop's clock.
        known: The digest of a known reply; None where no digest is wanted.
        answer: The answer; None where the session was lost.
    """

    operation: str
    since: float
    known: bytes | None
    answer: asyncio.Future[Message | None]


class Channel(Protocol):
    """The channel that a session writes to."""

    def write(self, data: bytes) -> None:
        """Send bytes."""
        ...

    def abort(self) -> None:
        """Break it at once."""
        ...


class Connection(Protocol):
    """The connection that carries a session, over SSH or TLS."""

    def abort(self) -> None:
        """Break it at once."""
        ...

    def close(self) -> None:
        """Close it in good order."""
        ...

    async def wait_closed(self) -> None:
        """Wait until it is closed."""
        ...


class Borrowed:
    """The connection of a session that shares it with others: the session closes its own channel only."""

    def abort(self) -> None:
        """Leave it."""

    def close(self) -> None:
        """Leave it."""

    async def wait_closed(self) -> None:
        """Return at once."""


class Shared(Borrowed):
    """The connection of a session that others use, too: it ends when the one that opened it closes it."""


class Transport(asyncssh.SSHClientSession[bytes]):
    """One NETCONF session on one SSH channel, or on TLS.

    Args:
        station: Its name in errors.
        patience: Seconds to wait for the answer of a request.
        limit: Largest message to take, in bytes.

    Attributes:
        id: The session id that the device gave.
        hello: Capability URIs of the device's hello.
        subscribed: Whether notifications are expected; unexpected ones break the protocol.
        observations: Gets the response times.
    """

    def __init__(self, station: str, patience: float, limit: int = MAX_MESSAGE) -> None:
        self._station = station
        self._patience = patience
        self._framer = Framer(limit)
        self._channel: Channel | None = None
        self._failure: str | None = None
        self._loop = asyncio.get_running_loop()
        self._greeted: asyncio.Future[None] = self._loop.create_future()
        # A random prefix of message ids, which no other session has and no message contains by chance.
        self._ids = secrets.token_hex(8)
        self._sent = 0
        #: By message id, in the order in which they were sent.
        self._asked: dict[str, _Asked] = {}
        #: One timer for the patience of all requests; it is set anew only when due, since nearly all are answered long
        #: before.
        self._watch: asyncio.TimerHandle | None = None
        self.id = ""
        self.hello: tuple[str, ...] = ()
        self.subscribed = False
        self.observations: Observations | None = None
        self._unheard = False
        #: Each with its bytes.
        self._notifications: deque[tuple[etree._Element, int]] = deque()
        self._waiting = 0
        self._arrival: asyncio.Future[None] | None = None
        #: Messages that wait until a long one before them is read, and their bytes.
        self._unread: list[bytes] = []
        self._unread_bytes = 0
        self._limit = limit
        self._reading: asyncio.Task[None] | None = None

    # ------------------------------------------------------------ what callers do

    async def greet(self) -> None:
        """Exchange hellos. Raises SessionLostError; callers bound the time."""
        self._write(HELLO)
        await self._greeted
        if self._failure is not None:
            raise SessionLostError(self._failure)

    async def request(self, request: Request, decode: Callable[[etree._Element], T]) -> T:
        """Send a request and return what is decoded from the rpc-reply, whatever it says.

        Args:
            request: The request.
            decode: Decodes the reply; in a thread where it is long.

        Raises:
            SessionLostError: The session ended, or no proper answer came in time. And what ``decode`` raises.
        """
        message = await self._exchange(request, None)
        assert message.root is not None  # only a known digest leaves the reply out
        return await decoded(message.size > LONG, partial(decode, message.root))

    async def answer(
        self, request: Request, decode: Callable[[etree._Element], T], known: bytes | None = b""
    ) -> tuple[T | None, bytes]:
        """Like ``request``, with the reply's digest without its message id.

        A reply with the ``known`` digest is neither parsed nor decoded, since it equals an earlier one. None computes
        no digest.

        Raises:
            SessionLostError: The session ended, or no proper answer came in time. And what ``decode`` raises.
        """
        message = await self._exchange(request, known)
        if message.root is None:
            return None, message.digest
        return await decoded(message.size > LONG, partial(decode, message.root)), message.digest

    async def _exchange(self, request: Request, known: bytes | None) -> Message:
        """Send a request and return its answer."""
        if self._failure is not None:
            raise SessionLostError(self._failure)
        self._sent += 1
        identity = f"{self._ids}-{self._sent:08}"
        asked = _Asked(request.name, self._loop.time(), known, self._loop.create_future())
        self._asked[identity] = asked
        if self._watch is None:
            self._watch = self._loop.call_at(asked.since + self._patience, self._expire)
        try:
            self._write(request.before + identity.encode() + request.after)
            answer = await asked.answer
            self._observe(asked, answer)
        finally:
            self._asked.pop(identity, None)
        if answer is None:
            raise SessionLostError(self._failure)
        return answer

    def _observe(self, asked: _Asked, answer: Message | None) -> None:
        if self.observations is not None:
            took, result = self._loop.time() - asked.since, "lost" if answer is None else "answered"
            self.observations.took("minka_rpc_duration_seconds", took, asked.operation, result)

    async def notification(self) -> etree._Element:
        """The next notification. Raises SessionLostError when the session has ended."""
        while not self._notifications:
            if self._failure is not None:
                raise SessionLostError(self._failure)
            self._arrival = asyncio.get_running_loop().create_future()
            await self._arrival
        notification, size = self._notifications.popleft()
        self._waiting -= size
        return notification

    def hear(self, *, whether: bool) -> None:
        """Keep notifications for ``notification`` from now on, or drop those that wait and come, as nobody follows."""
        self._unheard = not whether
        self._notifications.clear()
        self._waiting = 0

    def fail(self, reason: str) -> None:
        """Give the session up: all pending requests get SessionLostError."""
        if self._failure is None:
            self._failure = f"The session to {self._station} was lost: {reason}."
        if self._watch is not None:
            self._watch.cancel()
        self._unread.clear()
        if self._channel is not None:
            self._channel.abort()
        for waiting in (self._greeted, self._arrival, *(asked.answer for asked in self._asked.values())):
            if waiting is not None and not waiting.done():
                waiting.set_result(None)

    def _expire(self) -> None:
        """Give the session up if the oldest request is overdue; else check again when it would be."""
        self._watch = None
        oldest = next((asked for asked in self._asked.values() if not asked.answer.done()), None)
        if oldest is None:
            return
        due = oldest.since + self._patience
        if self._loop.time() >= due:
            self.fail(f"{oldest.operation} was not answered within {self._patience:g} s")
        else:
            self._watch = self._loop.call_at(due, self._expire)

    @property
    def lost(self) -> bool:
        """Whether the session can no longer be used."""
        return self._failure is not None

    # ------------------------------------------------------------------- messages

    def _write(self, message: bytes) -> None:
        if self._channel is not None and self._failure is None:
            self._channel.write(frame(message, chunked=self._framer.chunked))

    def _take(self, raw: bytes) -> None:
        """Take one message: read it at once, or after those before it, which are long."""
        if self._reading is None and len(raw) <= LONG:
            self._dispatch(_read(raw, self._wanted()))
            return
        if not self._greeted.done():
            raise MalformedMessageError(f"its hello has more than {LONG} bytes")
        self._unread.append(raw)
        self._unread_bytes += len(raw)
        if self._unread_bytes > self._limit:
            raise MalformedMessageError(f"more than {self._limit} bytes came before its last message was read")
        if self._reading is None:
            self._reading = self._loop.create_task(self._read_on())

    async def _read_on(self) -> None:
        """Read what waits, in its order."""
        try:
            while self._unread:
                raw, size = self._unread, self._unread_bytes
                self._unread, self._unread_bytes = [], 0
                for message in await decoded(size > LONG, partial(_read_all, raw, self._wanted())):
                    if self._failure is None:
                        self._dispatch(message)
        except (MalformedXmlError, MalformedMessageError) as error:
            self.fail(f"the device sent garbage: {error}")
        finally:
            self._reading = None

    def _wanted(self) -> dict[str, bytes | None]:
        """The digests that requests under way know, by message id."""
        return {identity: asked.known for identity, asked in self._asked.items() if not asked.answer.done()}

    def _dispatch(self, message: Message) -> None:
        root = message.root
        if root is None:
            if (asked := self._asked.get(message.identity)) is not None and not asked.answer.done():
                asked.answer.set_result(message)
        elif not self._greeted.done():
            self._take_hello(root)
        elif root.tag == REPLY:
            self._take_reply(root, message)
        elif root.tag == NOTIFICATION and self.subscribed:
            self._take_notification(root, message.size)
        else:
            raise MalformedMessageError(f"nobody asked for a {etree.QName(root).localname}")

    def _take_reply(self, root: etree._Element, message: Message) -> None:
        asked = self._asked.get(root.get("message-id", ""))
        if asked is None or asked.answer.done():
            raise MalformedMessageError("it answers a request that was never made")
        asked.answer.set_result(message)

    def _take_notification(self, root: etree._Element, size: int) -> None:
        if self._unheard:
            return
        self._waiting += size
        if len(self._notifications) == BACKLOG or self._waiting > BACKLOG_BYTES:
            self.fail(f"more than {BACKLOG} notifications were waiting, or {BACKLOG_BYTES} bytes of them")
            return
        self._notifications.append((root, size))
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)

    def _take_hello(self, root: etree._Element) -> None:
        identity = (root.findtext(f"{BASE}session-id") or "").strip()
        if root.tag != f"{BASE}hello" or not identity.isdigit():
            raise MalformedMessageError("it is no hello with a session id")
        uris = root.iterfind(f"{BASE}capabilities/{BASE}capability")
        self.hello = tuple((uri.text or "").strip() for uri in uris)
        if not any(uri in self.hello for uri in (BASE_1_0, BASE_1_1)):
            raise MalformedMessageError("the hello offers neither base:1.0 nor base:1.1")
        self.id = identity
        self._framer.chunked = BASE_1_1 in self.hello
        self._greeted.set_result(None)

    # --------------------------------------------- what asyncssh or TLS calls

    def connection_made(self, chan: Channel) -> None:
        """Note that the channel is open."""
        self._channel = chan

    def data_received(self, data: bytes, datatype: int | None) -> None:
        """Take bytes, except those of standard error, which are not NETCONF."""
        if datatype is not None:
            return
        try:
            for message in self._framer.feed(data):
                self._take(message)
        except (FramingError, MalformedXmlError, MalformedMessageError) as error:
            self.fail(f"the device sent garbage: {error}")

    def eof_received(self) -> bool:
        """Note that the device sends no more."""
        self.fail("the device ended it")
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that the channel ended."""
        self.fail("the connection ended" if exc is None else f"the connection broke ({in_words(exc)})")


def _read_all(raw: list[bytes], wanted: Mapping[str, bytes | None]) -> list[Message]:
    """Read messages; raises as ``_read``."""
    return [_read(one, wanted) for one in raw]


def _read(raw: bytes, wanted: Mapping[str, bytes | None]) -> Message:
    """Read a message; a known reply is recognised by its digest.

    Raises:
        MalformedXmlError: It is no XML, or exceeds a bound.
    """
    identity = next((one for one in wanted if raw.find(one.encode(), 0, _HEAD) >= 0), "")
    known = wanted.get(identity)
    digest = b"" if known is None else _digest(raw, identity)
    root = None if digest and digest == known else parse_xml(raw)
    return Message(root, identity, digest, len(raw))


def _digest(raw: bytes, identity: str) -> bytes:
    """SHA-256 of a reply without its message id; empty where the id is not near the beginning."""
    at = raw.find(identity.encode(), 0, _HEAD)
    return hashlib.sha256(raw[:at] + raw[at + len(identity) :]).digest() if at >= 0 else b""
