"""One NETCONF session: hello, framing, one RPC after the other, notifications, and injected faults."""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime

from lxml import etree

from simulators.clock import Timer
from simulators.datastore import Access, RpcError, RpcErrors
from simulators.history import EventKind, Origin
from simulators.netconf import capabilities, messages
from simulators.netconf.faults import FaultKind, StrikingFaults, half_an_edit
from simulators.netconf.framing import Decoder, FramingError, encode
from simulators.netconf.messages import MalformedMessageError, Request
from simulators.netconf.notifications import REPLAY_NS, Notification, Subscription, Termination
from simulators.netconf.operations import LastGet, perform
from simulators.netconf.server import Counts, Server, Transport
from simulators.netconf.xpath import TooCostlyError
from simulators.ssh import Channel

_log = logging.getLogger(__name__)

#: Seconds a client may take for its hello, and for reading a reply.
CLIENT_SECONDS = 60.0
#: Bytes received and not yet handled at which a session stops reading.
READ_AHEAD = 256 * 1024


class Session:
    """A session from its hello to its end; ``perform`` knows the operations."""

    def __init__(self, server: Server, user: str, channel: Channel, transport: Transport = Transport.SSH) -> None:
        self.server = server
        self.transport = transport
        self.origin = Origin(server.next_session_id(), user)
        self.access: Access | None = server.access_of(user)
        self.since = server.clock.now()
        self.counts = Counts()
        self.closing = False
        self.subscription: Subscription | None = None
        self.shown: LastGet | None = None
        self._subscribing: tuple[Subscription, datetime | None] | None = None
        self._stop: Timer | None = None
        self._channel = channel
        self._decoder = Decoder()
        self._greeted = False
        self._chunked = False
        self._pump: asyncio.Task[None] | None = None
        self._input_ended = False
        self._paused = False
        self._writable = asyncio.Event()
        self._writable.set()
        self._timeout: Timer | None = None
        self._ended = False

    @property
    def buffered(self) -> int:
        """Bytes received and not yet handled."""
        return 0 if self._ended else self._decoder.buffered

    # -------------------------------------------------- from the transport

    def open(self) -> None:
        """Add the session to the station's and send hello; a session too many is dropped."""
        if self.server.full:
            self._ended = True
            self._channel.abort()
            return
        self.server.session_opened(self)
        self._start_timeout(Termination.BAD_HELLO)
        self._channel.write(
            encode(messages.hello(self.origin.session, self.server.capabilities), chunked=False),
        )

    def receive(self, data: bytes) -> None:
        """Take bytes from the client."""
        if self._ended or self.closing:
            return
        self._decoder.feed(data)
        if self._pump is None:
            self._pump = asyncio.get_running_loop().create_task(self._handle_messages())
        elif self._decoder.buffered > READ_AHEAD and not self._paused:
            self._paused = True
            self._channel.pause_reading()

    def end_of_input(self) -> bool:
        """After the client's last byte: answer what it sent, then end (RFC 4254 §5.3).

        Returns:
            Whether there is still something to send.
        """
        self._input_ended = True
        if self._pump is None and not self._ended:
            self._hang_up(Termination.DROPPED)
        return not self._ended

    def pause_writing(self) -> None:
        """Pause writing to a client that does not read, for a limited time."""
        self._writable.clear()
        self._start_timeout()

    def resume_writing(self) -> None:
        """Resume writing."""
        self._writable.set()
        self._stop_timeout()

    def lost(self, reason: Termination | None = None, killed_by: int | None = None) -> None:
        """Note that the transport ended, for any reason."""
        if self._ended:
            return
        self._ended = True
        self._stop_timeout()
        if self._stop is not None:
            self._stop.cancel()
        if self._pump is not None and self._pump is not asyncio.current_task():
            self._pump.cancel()
        usual = Termination.CLOSED if self.closing else Termination.DROPPED
        self.server.session_closed(self, reason or usual, killed_by)

    # ----------------------------------------------------- from the station

    def drop(self, reason: Termination = Termination.DROPPED, killed_by: int | None = None) -> None:
        """Drop the session at once."""
        self._channel.abort()
        self.lost(reason, killed_by)

    def notify(self, notification: Notification) -> None:
        """Send a notification if the client subscribed to it; a client that does not read is dropped."""
        if self.subscription is None or self.closing or self._ended:
            return
        if not self._wants(self.subscription, notification):
            return
        if not self._writable.is_set():
            _log.warning("session %d of %s does not read: dropped", *self._names)
            self.drop()
            return
        self._notify(notification)

    def _wants(self, subscription: Subscription, notification: Notification) -> bool:
        """Whether a filter lets a notification through; a client whose filter takes too long is dropped."""
        try:
            return subscription.wants(notification.content)
        except TooCostlyError:
            _log.warning("the filter of session %d of %s costs too much: dropped", *self._names)
            self.drop()
            return False

    @property
    def _names(self) -> tuple[int, str]:
        return self.origin.session, self.server.device.id

    def _notify(self, notification: Notification) -> None:
        self.counts.out_notifications += 1
        self.server.statistics.counts.out_notifications += 1
        self._send(messages.notification(notification.when, notification.content))

    # -------------------------------------------------------- subscriptions

    def subscribe(self, subscription: Subscription, start: datetime | None) -> None:
        """Subscribe after the reply; with ``start``, replay from that time on."""
        self._subscribing = subscription, start

    def _begin_subscription(self) -> None:
        if self._subscribing is None:
            return
        (subscription, start), self._subscribing = self._subscribing, None
        self.subscription = subscription
        log, now = self.server.replay, self.server.clock.now()
        if start is not None and log is not None:
            for notification in log.between(start, subscription.stop):
                if self._wants(subscription, notification):
                    self._notify(notification)
                if self._ended:
                    return
            self._notify(Notification(now, etree.Element(f"{{{REPLAY_NS}}}replayComplete")))
        if subscription.stop is not None:
            if subscription.stop <= now:
                self._end_subscription()
            else:
                seconds = (subscription.stop - now).total_seconds()
                self._stop = self.server.clock.call_later(seconds, self._end_subscription)

    def _end_subscription(self) -> None:
        self.subscription = None
        if not self._ended:
            complete = etree.Element(f"{{{REPLAY_NS}}}notificationComplete")
            self._notify(Notification(self.server.clock.now(), complete))

    # --------------------------------------------------------------- inside

    def _hang_up(self, reason: Termination = Termination.CLOSED) -> None:
        """Close after the sent data; the session's locks are released at once, so that its client can reconnect."""
        self.closing = True
        self._channel.close()
        self.lost(reason)

    def _start_timeout(self, reason: Termination = Termination.TIMEOUT) -> None:
        self._stop_timeout()
        self._timeout = self.server.clock.call_later(CLIENT_SECONDS, lambda: self.drop(reason))

    def _stop_timeout(self) -> None:
        if self._timeout is not None:
            self._timeout.cancel()
            self._timeout = None

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
            _log.exception("session %d of %s met a bug: dropped", *self._names)
            self.drop()
        finally:
            self._pump = None
        if self._paused:
            self._paused = False
            self._channel.resume_reading()
        if self._input_ended and not self._ended:
            self._hang_up(Termination.DROPPED)

    async def _handle(self, message: bytes) -> None:
        if not self._greeted:
            self._take_hello(message)
            return
        root: etree._Element | None = None
        self.counts.in_rpcs += 1
        self.server.statistics.counts.in_rpcs += 1
        try:
            root = messages.parse(message)
            request = messages.read_request(root)
        except RpcError as error:
            self.counts.in_bad_rpcs += 1
            self.server.statistics.counts.in_bad_rpcs += 1
            self._send(self._errors(root, [error]))
            return
        await self._answer(request)

    def _take_hello(self, message: bytes) -> None:
        theirs = messages.read_hello(messages.parse(message))
        ours = self.server.capabilities
        self._chunked = self._decoder.chunked = capabilities.BASE_1_1 in theirs and capabilities.BASE_1_1 in ours
        if not self._chunked and not (capabilities.BASE_1_0 in theirs and capabilities.BASE_1_0 in ours):
            raise MalformedMessageError("no common version of NETCONF")
        self._greeted = True
        self._stop_timeout()

    def _protocol_error(self, reason: str) -> None:
        """Answer a malformed message as RFC 6241 requires, and end the session."""
        self.server.history.record(EventKind.PROTOCOL_ERROR, self.origin, reason=reason[:200])
        if self._greeted and self._chunked:
            self._send(messages.reply_errors(None, [RpcError("malformed-message", reason[:200], type="rpc")]))
        if not self._greeted:
            self.server.statistics.in_bad_hellos += 1
        self._hang_up(Termination.OTHER if self._greeted else Termination.BAD_HELLO)

    async def _answer(self, request: Request) -> None:
        """Carry out one operation, with the faults that strike it."""
        name = self._fault_name(request)
        strike = self.server.faults.strike_operation(name)
        for fault in strike.faults:
            self.server.history.record(EventKind.FAULT_STRUCK, self.origin, fault=fault.kind.value, operation=name)
        seconds = self.server.delay(request.operation, name) + strike.seconds
        if seconds:
            await self.server.clock.sleep(seconds)
        for config in strike.foreign_edits:
            self.server.datastores.foreign_edit(etree.fromstring(config))
        if FaultKind.NOTIFICATION_STORM in strike:
            self.server.storm()
        if FaultKind.DROP_BEFORE in strike:
            self.drop()
        elif FaultKind.OK_WITHOUT_EFFECT in strike:
            self._send(messages.reply_ok(request.rpc))
        elif (later := strike.later) is not None:
            self._carry_out_later(request, later)
            self._deliver(messages.reply_ok(request.rpc), strike)
        elif errors := strike.errors:
            self._send(self._errors(request.rpc, errors))
        else:
            if FaultKind.HALF_APPLIED_EDIT in strike:
                request = half_an_edit(request)
            self._deliver(self._carry_out(request), strike)

    def _fault_name(self, request: Request) -> str:
        """The name of an operation for delays and faults: a confirming commit is ``confirm``."""
        commits = request.name == "commit" and messages.child(request.operation, "confirmed") is None
        return "confirm" if commits and self.server.datastores.awaiting_confirmation else request.name

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

    def _carry_out_later(self, request: Request, seconds: float) -> None:
        def act() -> None:
            self._carry_out(request)

        late = self.server.datastores.with_draft(act) if request.name == "commit" else act
        self.server.clock.call_later(seconds, late)

    def _refuse(self, request: Request, errors: list[RpcError]) -> bytes:
        tags = [error.tag for error in errors]
        self.server.history.record(EventKind.REFUSED, self.origin, operation=request.name, tags=tags)
        return self._errors(request.rpc, errors)

    def _errors(self, rpc: etree._Element | None, errors: list[RpcError]) -> bytes:
        self.counts.out_rpc_errors += 1
        self.server.statistics.counts.out_rpc_errors += 1
        return messages.reply_errors(rpc, errors)

    def _deliver(self, reply: bytes, strike: StrikingFaults) -> None:
        if self._ended:
            return
        drops = FaultKind.DROP_AFTER in strike or FaultKind.DROP_LATE in strike
        if FaultKind.LOSE_REPLY not in strike and not drops:
            self._channel.write(strike.spoil(encode(reply, chunked=self._chunked), chunked=self._chunked))
        if drops:
            self.drop()
            return
        self._begin_subscription()
        if self.closing or FaultKind.TRUNCATED_FRAME in strike:
            self._hang_up()
