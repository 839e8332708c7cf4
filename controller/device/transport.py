"""ncclient's Session without its thread: a NETCONF session on an asyncssh channel, or on TLS.

ncclient's operations build the requests and find their replies by message id; nothing here waits
in a thread. A session that broke (time-out, garbage, an answer nobody asked for, the channel's end)
stays broken: every later call raises the same ``SessionLostError``.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, Protocol

import asyncssh
from lxml import etree
from ncclient.capabilities import Capabilities as Uris
from ncclient.devices.default import DefaultDeviceHandler
from ncclient.operations.errors import MissingCapabilityError, OperationError
from ncclient.operations.rpc import RPC
from ncclient.transport.session import HelloHandler, NetconfBase, Session, SessionListener

from controller.device.capabilities import uris_of
from controller.device.framing import MAX_MESSAGE, Framer, FramingError, frame
from controller.device.replies import BASE, REPLY, MalformedMessageError, parse
from controller.models.errors import DeviceRefusedError, SessionLostError

NOTIFICATION = "{urn:ietf:params:xml:ns:netconf:notification:1.0}notification"
#: Notifications kept for a listener that is busy; a device that sends more is too fast for us.
BACKLOG = 10_000
_BASE_1_1 = "urn:ietf:params:netconf:base:1.1"
_CAPABILITIES = ("urn:ietf:params:netconf:base:1.0", _BASE_1_1)

_HANDLER = DefaultDeviceHandler({"name": "default"})
_HELLO: str = HelloHandler.build(_CAPABILITIES, _HANDLER)


class Channel(Protocol):
    """What a session writes to."""

    def write(self, data: bytes) -> None:
        """Send bytes."""
        ...

    def abort(self) -> None:
        """Break it at once."""
        ...


class Connection(Protocol):
    """What carries a session: a connection over SSH or TLS."""

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
    """The connection of a session that shares it with others, and so can't end it; its channel ends by itself."""

    def abort(self) -> None:
        """Leave it."""

    def close(self) -> None:
        """Leave it."""

    async def wait_closed(self) -> None:
        """Return at once."""


class Transport(Session, asyncssh.SSHClientSession[bytes]):  # type: ignore[misc]
    """One NETCONF session on one SSH channel, or on TLS.

    Args:
        station: Its name in errors.
        patience: Seconds to wait for the answer of a request.
        limit: Largest message to take, in bytes.

    Attributes:
        hello: Capability URIs of the device's hello.
        subscribed: Whether notifications are expected; without that they are a breach of protocol.
    """

    def __init__(self, station: str, patience: float, limit: int = MAX_MESSAGE) -> None:
        super().__init__(Uris(_CAPABILITIES))
        self._station = station
        self._patience = patience
        self._device_handler = _HANDLER
        self._framer = Framer(limit)
        self._channel: Channel | None = None
        self._failure: str | None = None
        self._greeted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting: set[asyncio.Future[None]] = {self._greeted}
        self.hello: tuple[str, ...] = ()
        self.subscribed = False
        self._notifications: deque[etree._Element] = deque()
        self._arrival: asyncio.Future[None] | None = None

    # ------------------------------------------------------------ what callers do

    async def greet(self) -> None:
        """Exchange hellos. Raises SessionLostError; callers bound the time."""
        self.send(_HELLO)
        await self._answered(self._greeted)

    async def request(self, operation: type[RPC], *args: Any, **kwargs: Any) -> etree._Element:
        """Carry out one of ncclient's operations and return the rpc-reply, whatever it says.

        Args:
            operation: Class of the operation.
            *args: Passed on to its ``request``.
            **kwargs: Likewise.

        Raises:
            SessionLostError: The session ended, or no proper answer came in time.
            DeviceRefusedError: The device did not offer the capability that the operation needs.
        """
        if self._failure is not None:
            raise SessionLostError(self._failure)
        answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        try:
            rpc = operation(self, self._device_handler, async_mode=True)
            rpc._event = _Answered(answered)
            rpc.request(*args, **kwargs)
        except MissingCapabilityError as error:
            raise DeviceRefusedError(f"{self._station} can't do {operation.__name__}: {error}") from None
        try:
            async with asyncio.timeout(self._patience):
                await self._answered(answered)
        except TimeoutError:
            self.fail(f"{operation.__name__} was not answered within {self._patience:g} s")
        if self._failure is not None and rpc.reply is None:
            raise SessionLostError(self._failure)
        reply: etree._Element = rpc.reply.xml
        return reply

    async def notification(self) -> etree._Element:
        """The next notification. Raises SessionLostError when the session has ended."""
        while not self._notifications:
            if self._failure is not None:
                raise SessionLostError(self._failure)
            self._arrival = asyncio.get_running_loop().create_future()
            await self._answered(self._arrival)
        return self._notifications.popleft()

    def fail(self, reason: str) -> None:
        """Give the session up: everything that waits for an answer gets SessionLostError."""
        if self._failure is None:
            self._failure = f"The session to {self._station} was lost: {reason}."
        self._connected = False
        if self._channel is not None:
            self._channel.abort()
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_result(None)

    @property
    def lost(self) -> bool:
        """Whether the session is of no use any more."""
        return self._failure is not None

    # ------------------------------------------------- what ncclient's Session asks for

    def send(self, message: str) -> None:
        """Write one message to the channel."""
        if self._channel is not None and self._failure is None:
            self._channel.write(frame(message.encode(), chunked=self._framer.chunked))

    def _dispatch_message(self, raw: bytes) -> None:
        """Parse once, with care; ncclient's listeners take the element in place of text."""
        root = parse(raw)
        if not self._greeted.done():
            self._take_hello(root)
        elif root.tag == REPLY:
            self._dispatch_to_listeners(root)
        elif root.tag == NOTIFICATION and self.subscribed:
            self._take_notification(root)
        else:
            raise MalformedMessageError(f"nobody asked for a {etree.QName(root).localname}")

    def _dispatch_to_listeners(self, root: etree._Element) -> None:
        for listener in list(self._listeners):
            if isinstance(listener, SessionListener):
                listener.callback((root.tag, root.attrib), root)

    def _take_notification(self, root: etree._Element) -> None:
        if len(self._notifications) == BACKLOG:
            self.fail(f"more than {BACKLOG} notifications were waiting")
            return
        self._notifications.append(root)
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)

    def _take_hello(self, root: etree._Element) -> None:
        identity = (root.findtext(f"{BASE}session-id") or "").strip()
        if root.tag != f"{BASE}hello" or not identity.isdigit():
            raise MalformedMessageError("it is no hello with a session id")
        self.hello = tuple((uri.text or "").strip() for uri in root.iter(f"{BASE}capability"))
        if not any(uri in self.hello for uri in _CAPABILITIES):
            raise MalformedMessageError("the hello offers neither base:1.0 nor base:1.1")
        self._id = identity
        self._server_capabilities = uris_of(self.hello)
        if _BASE_1_1 in self.hello:
            self._base = NetconfBase.BASE_11
            self._framer.chunked = True
        self._greeted.set_result(None)

    # --------------------------------------------- what asyncssh or TLS calls

    def connection_made(self, chan: Channel) -> None:
        """The channel is open."""
        self._channel = chan
        self._connected = True

    def data_received(self, data: bytes, datatype: int | None) -> None:
        """Take bytes; what a subsystem writes to its standard error is not NETCONF."""
        if datatype is not None:
            return
        try:
            for message in self._framer.feed(data):
                self._dispatch_message(message)
        except (FramingError, MalformedMessageError) as error:
            self.fail(f"the device sent garbage: {error}")
        except OperationError:
            self.fail("the device answered a request that was never made")

    def eof_received(self) -> bool:
        """The device says no more."""
        self.fail("the device ended it")
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The channel is gone."""
        self.fail("the connection ended" if exc is None else f"the connection broke ({type(exc).__name__})")

    async def _answered(self, waiting: asyncio.Future[None]) -> None:
        self._waiting.add(waiting)
        try:
            await waiting
        finally:
            self._waiting.discard(waiting)
        if waiting is self._greeted and self._failure is not None:
            raise SessionLostError(self._failure)


class _Answered:
    """Stands in for the ``threading.Event`` of an ncclient RPC: setting it resolves a future."""

    def __init__(self, future: asyncio.Future[None]) -> None:
        self._future = future

    def set(self) -> None:
        if not self._future.done():
            self._future.set_result(None)
