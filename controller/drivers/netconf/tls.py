"""TLS connections (RFC 7589): the station's certificate is pinned or signed by a known authority, and we show ours.

TLS runs through memory BIOs, since asyncio's TLS keeps 256 kB for each connection. As in ``connect``, no error carries
a cause or a context.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Protocol

from controller.drivers.address import address_of, not_reached
from controller.drivers.certificates import check_pinned, tls_context
from controller.drivers.netconf.pace import Pace
from controller.drivers.netconf.target import NetconfTarget
from controller.drivers.netconf.transport import Connection, Transport
from controller.models.errors import (
    AuthenticationError,
    DeviceError,
    HostKeyError,
    InputError,
    SessionLostError,
)
from controller.ports.secrets import Secrets

_READ = 64 * 1024


class TlsConnector:
    """Opens NETCONF sessions over TLS; arguments as of ``Connector``."""

    def __init__(self, secrets: Secrets, timeout: float, keepalive: float, patience: float) -> None:
        self._secrets = secrets
        self._timeout = timeout
        self._keepalive = max(1, round(keepalive))
        self._patience = patience

    async def open(self, target: NetconfTarget, pace: Pace) -> tuple[Connection, Transport]:
        """Connect, authenticate both sides and exchange hellos.

        An authority's signature is checked before our certificate is shown. A fingerprint is compared after the
        handshake, before the first byte of NETCONF.

        Raises:
            HostKeyError: The station showed another certificate than the pinned one, or one that no authority signed.
            AuthenticationError: Our certificate was refused, does not resolve, or is not for the target's address.
            UnreachableError: Anything else went wrong.
        """
        wire: Wire | None = None
        try:
            async with asyncio.timeout(self._timeout):
                address = await address_of(target, self._secrets)
                side = _Side(self._context(target, address), target.address)
                wire = made = Wire(side, partial(self._admit, side, target))
                reached = await pace.reach(address, target.port)
            async with pace.handshake(), asyncio.timeout(self._timeout):
                return made, await made.greet(reached, self._keepalive)
        except (OSError, SessionLostError) as error:
            failure = _explained(target, (wire and wire.broken) or error)
        raise failure

    def _admit(self, side: _Side, target: NetconfTarget) -> Transport:
        """The session with the station, which is the pinned one."""
        # Without an authority nothing else says who it is, so a target without either admits nobody.
        if target.certificate or not target.authority:
            check_pinned(side.certificate, target.certificate)
        return Transport(target.device, self._patience)

    def _context(self, target: NetconfTarget, address: str) -> ssl.SSLContext:
        try:
            ours = self._secrets.resolve(target.client_certificate, address)
            authority = self._secrets.resolve(target.authority, address) if target.authority else None
            return tls_context(ours, authority)
        except InputError as error:
            failure = AuthenticationError(f"{target.device}: {error.message}")
        except (ssl.SSLError, ValueError):
            wanted = " or ".join(filter(None, (target.client_certificate, target.authority)))
            failure = AuthenticationError(f"{target.device}: {wanted} holds no certificate, or not its key (PEM).")
        raise failure


class Side(Protocol):
    """Our side of TLS, between bytes in memory.

    Its methods raise ``ssl.SSLError``: ``SSLWantReadError`` where more bytes are needed, ``SSLZeroReturnError`` after
    the other side's close_notify.
    """

    def feed(self, data: bytes) -> None:
        """Take bytes of the other side."""
        ...

    def taken(self) -> bytes:
        """Take what is to be sent to the other side; empty if nothing is."""
        ...

    def do_handshake(self) -> None:
        """Go on with the handshake."""
        ...

    def read(self, most: int) -> bytes:
        """What the other side said, decrypted; empty at its end."""
        ...

    def write(self, data: memoryview) -> int:
        """Encrypt; returns of how many bytes."""
        ...

    def unwrap(self) -> object:
        """Make a close_notify."""
        ...


class _Side:
    """Our side of a connection that we opened."""

    def __init__(self, context: ssl.SSLContext, address: str) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=address)
        self.do_handshake, self.unwrap = self._tls.do_handshake, self._tls.unwrap
        self.read, self.write = self._tls.read, self._tls.write

    def feed(self, data: bytes) -> None:
        self._incoming.write(data)

    def taken(self) -> bytes:
        return self._outgoing.read() if self._outgoing.pending else b""

    @property
    def certificate(self) -> bytes:
        """The station's certificate (DER)."""
        return self._tls.getpeercert(binary_form=True) or b""


class Wire(asyncio.Protocol):
    """TLS between a TCP connection and a NETCONF session.

    Args:
        side: Our side.
        admit: Called when the handshake is done, before anything is read; gives the session, or raises
            ``ssl.SSLError`` to refuse the other side.

    Attributes:
        broken: The TLS error.
    """

    def __init__(self, side: Side, admit: Callable[[], Transport]) -> None:
        loop = asyncio.get_running_loop()
        self._tls = side
        self._admit = admit
        self._session: Transport | None = None
        self._tcp: asyncio.Transport | None = None
        self._closed: asyncio.Future[None] = loop.create_future()
        self._secured: asyncio.Future[Transport] = loop.create_future()
        self.broken: ssl.SSLError | None = None

    async def greet(self, reached: socket.socket, keepalive: int) -> Transport:
        """Shake hands on a connected socket, which becomes ours, and exchange hellos; callers bound the time.

        Args:
            reached: The socket.
            keepalive: Seconds of silence after which TCP probes the connection.

        Raises:
            OSError, SessionLostError: It did not work; the connection is closed.
        """
        try:
            await asyncio.get_running_loop().create_connection(lambda: self, sock=reached)
            self._probe_silence(keepalive)
            session = await self._secured
            await session.greet()
        except BaseException:
            self.abort()
            raise
        return session

    # ------------------------------------------------------------ from the network

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the handshake on the open TCP connection."""
        assert isinstance(transport, asyncio.Transport)
        self._tcp = transport
        self._advance()

    def data_received(self, data: bytes) -> None:
        """Take received bytes."""
        self._tls.feed(data)
        self._advance()

    def eof_received(self) -> bool:
        """Note that the station sends no more."""
        if self._session is not None:
            self._session.eof_received()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that the TCP connection ended."""
        if self._session is not None:
            self._session.connection_lost(self.broken or exc)
        if not self._secured.done():
            self._secured.set_exception(self.broken or exc or ConnectionResetError("the connection ended"))
            self._secured.exception()  # nobody may wait for it
        self._closed.set_result(None)

    def _advance(self) -> None:
        try:
            session = self._session or self._shake_hands()
            while data := self._tls.read(_READ):
                session.data_received(data, None)
            session.eof_received()
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self.eof_received()
        except ssl.SSLError as error:
            self.broken = error
            self._flush()  # the alert that tells the station why
            self.abort()
        self._flush()

    def _shake_hands(self) -> Transport:
        self._tls.do_handshake()
        session = self._session = self._admit()
        session.connection_made(self)
        self._secured.set_result(session)
        return session

    def _flush(self) -> None:
        if self._tcp is not None and (data := self._tls.taken()):
            self._tcp.write(data)

    # -------------------------------------------------------------- from the session

    def write(self, data: bytes) -> None:
        """Send; does nothing once the connection has ended."""
        left = memoryview(data)
        try:
            while left:
                left = left[self._tls.write(left) :]
        except ssl.SSLError as error:
            self.broken = error
        self._flush()

    def _probe_silence(self, seconds: int) -> None:
        """Let TCP probe a silent connection; three unanswered probes end it."""
        assert self._tcp is not None
        connection: socket.socket = self._tcp.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, seconds)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, seconds)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)

    def abort(self) -> None:
        """Abort the connection after a close_notify, which tells the station that nothing was cut off."""
        if self._tcp is None or self._tcp.is_closing():
            return
        with suppress(ssl.SSLError):  # OpenSSL wants the station's close_notify, which we don't wait for
            self._tls.unwrap()
        self._flush()
        self._tcp.abort()

    def close(self) -> None:
        """Close after everything was sent."""
        self.abort()

    async def wait_closed(self) -> None:
        """Wait until it is closed."""
        if self._tcp is not None:
            await asyncio.shield(self._closed)


def _explained(target: NetconfTarget, error: Exception) -> DeviceError:
    where = f"{target.device} ({target.address} port {target.port})"
    match error:
        case ssl.SSLCertVerificationError():
            # OpenSSL's reason if OpenSSL refused it, else our own.
            why = getattr(error, "verify_message", None) or error.args[-1]
            return HostKeyError(f"{where} showed a certificate that is not accepted: {why}; nothing was sent to it.")
        case ssl.SSLError() if "ALERT" in (error.reason or ""):
            refused = f"the certificate in {target.client_certificate} ({error.reason})"
            return AuthenticationError(f"{where} refused {refused}.")
        case _:
            return not_reached(target, error)
