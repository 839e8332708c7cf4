"""One NETCONF session: hello, framing, one RPC after the other, notifications, and the faults asked for."""

from __future__ import annotations

import asyncio
import logging
from typing import Protocol

from lxml import etree

from simulators.clock import Timer
from simulators.datastore import RpcError, RpcErrors
from simulators.faults import FaultKind
from simulators.history import EventKind
from simulators.netconf import capabilities, messages, misbehaviour
from simulators.netconf.framing import Decoder, FramingError, encode
from simulators.netconf.messages import MalformedMessageError, Request
from simulators.netconf.operations import perform
from simulators.netconf.subtree import select
from simulators.station import Station
from simulators.transactions import Origin

_log = logging.getLogger(__name__)

#: Seconds a client may take for its hello, and for reading what it asked for.
PATIENCE = 60.0
#: Bytes received and not yet handled at which a session stops reading.
READ_AHEAD = 256 * 1024


class Channel(Protocol):
    """What a session needs of the transport under it."""

    def write(self, data: bytes) -> None:
        """Send bytes."""

    def close(self) -> None:
        """Close in good order, after everything was sent."""

    def abort(self) -> None:
        """Break the connection at once."""

    def pause_reading(self) -> None:
        """Take nothing more from the client for now."""

    def resume_reading(self) -> None:
        """Take from the client again."""


class Session:
    """A session from its hello to its end; ``perform`` knows the operations."""

    def __init__(self, station: Station, user: str, channel: Channel) -> None:
        self.station = station
        self.origin = Origin(station.next_session_id(), user)
        self.closing = False
        self.subscription: etree._Element | None = None
        self.subscribed = False
        self._channel = channel
        self._decoder = Decoder()
        self._greeted = False
        self._chunked = False
        self._pump: asyncio.Task[None] | None = None
        self._paused = False
        self._writable = asyncio.Event()
        self._writable.set()
        self._patience: Timer | None = None
        self._ended = False

    # -------------------------------------------------- from the transport

    def open(self) -> None:
        """Join the station's sessions and say hello."""
        self.station.session_opened(self)
        self._patience = self.station.clock.call_later(PATIENCE, self.drop)
        self._channel.write(
            encode(messages.hello(self.origin.session, self.station.capabilities), chunked=False),
        )

    def receive(self, data: bytes) -> None:
        """Take bytes from the client."""
        if self._ended or self.closing:
            return
        self._decoder.feed(data)
        if self._pump is None:
            self._pump = asyncio.get_running_loop().create_task(self._handle_messages())
        elif self._decoder.held > READ_AHEAD and not self._paused:
            self._paused = True
            self._channel.pause_reading()

    def pause_writing(self) -> None:
        """The client does not read: wait for it, but not for ever."""
        self._writable.clear()
        self._be_patient()

    def resume_writing(self) -> None:
        """The client reads again."""
        self._writable.set()
        self._lose_patience()

    def lost(self) -> None:
        """The transport is gone, for whatever reason."""
        if self._ended:
            return
        self._ended = True
        self._lose_patience()
        if self._pump is not None and self._pump is not asyncio.current_task():
            self._pump.cancel()
        self.station.session_closed(self)

    # ----------------------------------------------------- from the station

    def drop(self) -> None:
        """End the session without a word."""
        self._channel.abort()
        self.lost()

    def notify(self, content: etree._Element) -> None:
        """Send a notification if the client subscribed to it; one that does not read is dropped."""
        if not self.subscribed or self.closing or self._ended:
            return
        if self.subscription is not None and not select([content], self.subscription):
            return
        if not self._writable.is_set():
            _log.warning("session %d of %s does not read: dropped", self.origin.session, self.station.id)
            self.drop()
            return
        self._send(messages.notification(self.station.clock.now(), content))

    # --------------------------------------------------------------- inside

    def _hang_up(self) -> None:
        """Close after what was sent; what the session held is free at once, so that its client can come again."""
        self.closing = True
        self._channel.close()
        self.lost()

    def _be_patient(self) -> None:
        self._lose_patience()
        self._patience = self.station.clock.call_later(PATIENCE, self.drop)

    def _lose_patience(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _send(self, message: bytes) -> None:
        self._channel.write(encode(message, chunked=self._chunked))

    async def _handle_messages(self) -> None:
        try:
            for message in self._decoder.messages():
                await self._writable.wait()
                await self._handle(message)
                if self.closing or self._ended:
                    return
        except (FramingError, MalformedMessageError) as error:
            self._protocol_error(str(error))
        except Exception:  # noqa: BLE001 (a bug met by one session must not touch the others)
            _log.exception("session %d of %s met a bug: dropped", self.origin.session, self.station.id)
            self.drop()
        finally:
            self._pump = None
        if self._paused:
            self._paused = False
            self._channel.resume_reading()

    async def _handle(self, message: bytes) -> None:
        if not self._greeted:
            self._take_hello(message)
            return
        root: etree._Element | None = None
        try:
            root = messages.parse(message)
            request = messages.read_request(root)
        except RpcError as error:
            self._send(messages.reply_errors(root, [error]))
            return
        await self._answer(request)

    def _take_hello(self, message: bytes) -> None:
        theirs = messages.read_hello(messages.parse(message))
        ours = self.station.capabilities
        self._chunked = self._decoder.chunked = capabilities.BASE_1_1 in theirs and capabilities.BASE_1_1 in ours
        if not self._chunked and not (capabilities.BASE_1_0 in theirs and capabilities.BASE_1_0 in ours):
            raise MalformedMessageError("no common version of NETCONF")
        self._greeted = True
        self._lose_patience()

    def _protocol_error(self, reason: str) -> None:
        """Answer what can't be understood as RFC 6241 wants it, and end the session."""
        self.station.record(EventKind.PROTOCOL_ERROR, self.origin, reason=reason[:200])
        if self._greeted and self._chunked:
            self._send(messages.reply_errors(None, [RpcError("malformed-message", reason[:200], type="rpc")]))
        self._hang_up()

    async def _answer(self, request: Request) -> None:
        """Carry out one operation, with whatever faults are in wait for it."""
        name = self.station.operation_name(request.operation)
        strike = misbehaviour.strike(self.station, self.origin, name)
        seconds = self.station.quirks.delays.get(name, 0.0) + strike.seconds
        if seconds:
            await self.station.clock.sleep(seconds)
        self.station.foreign_edits(strike.foreign_edits)
        if FaultKind.DROP_BEFORE in strike:
            self.drop()
        elif FaultKind.OK_WITHOUT_EFFECT in strike:
            self._send(messages.reply_ok(request.rpc))
        elif errors := misbehaviour.errors(strike):
            self._send(messages.reply_errors(request.rpc, errors))
        else:
            self._deliver(self._carry_out(request), strike)

    def _carry_out(self, request: Request) -> bytes:
        try:
            content = perform(self, request)
        except RpcError as error:
            return self._refuse(request, [error])
        except RpcErrors as errors:
            return self._refuse(request, list(errors.errors))
        if content is None:
            return messages.reply_ok(request.rpc)
        if isinstance(content, str):
            return messages.reply_data(request.rpc, content)
        return messages.reply(request.rpc, content)

    def _refuse(self, request: Request, errors: list[RpcError]) -> bytes:
        tags = [error.tag for error in errors]
        self.station.record(EventKind.REFUSED, self.origin, operation=request.name, tags=tags)
        return messages.reply_errors(request.rpc, errors)

    def _deliver(self, reply: bytes, strike: misbehaviour.Strike) -> None:
        if self._ended:
            return
        if FaultKind.LOSE_REPLY not in strike and FaultKind.DROP_AFTER not in strike:
            self._channel.write(misbehaviour.spoil(encode(reply, chunked=self._chunked), strike, chunked=self._chunked))
        if FaultKind.DROP_AFTER in strike:
            self.drop()
        elif self.closing or FaultKind.TRUNCATED_FRAME in strike:
            self._hang_up()
