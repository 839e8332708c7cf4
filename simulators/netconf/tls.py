"""TLS under NETCONF (RFC 7589): both sides show certificates, and the client's names the user.

TLS runs through memory BIOs, since asyncio's own keeps 256 kB for every connection.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache

from simulators.clock import Timer
from simulators.connections import Refusal
from simulators.history import NO_SESSION, EventKind, Origin
from simulators.netconf.certificates import Authority
from simulators.netconf.faults import FaultKind
from simulators.netconf.limits import CALL_KEEPALIVE, CALL_SECONDS, LOGIN_SECONDS, BufferedInput, PendingLogins
from simulators.netconf.server import Server, Transport
from simulators.netconf.session import Session
from simulators.ssh import Logins

_READ = 64 * 1024
#: Most contexts to cache for returning clients; a connection keeps its own.
_REMEMBERED = 256


class TlsServers:
    """The shared part of the TLS servers of all stations of a fleet."""

    def __init__(self, logins: Logins, pending_logins: PendingLogins, buffered_input: BufferedInput) -> None:
        self.authority = Authority(logins.seed)
        self.pending_logins = pending_logins
        self.buffered_input = buffered_input
        self.logins = logins
        self._context = lru_cache(maxsize=_REMEMBERED)(self._make_context)

    def protocol(self, server: Server, address: str) -> asyncio.Protocol:
        """The protocol of an incoming connection to a station."""
        if server.equipment.down or server.faults.strikes(FaultKind.REFUSE_SESSIONS):
            return Refusal()
        return _TlsConnection(server, self, self._context(_name(server), address))

    def calling(self, server: Server, source: str) -> _Calling:
        """The protocol of a connection that a station opens from an address to a controller (RFC 8071)."""
        return _Calling(server, self, self._context(_name(server), source))

    def _make_context(self, station: str, address: str) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.verify_mode = ssl.CERT_REQUIRED
        context.num_tickets = 0
        context.load_verify_locations(cadata=self.authority.certificate)
        # OpenSSL takes the key from a file only; this one is in memory.
        with open(os.memfd_create("certificate"), "wb", buffering=0) as file:  # noqa: PTH123 (a descriptor, no path)
            file.write(self.authority.station(station, address).encode())
            context.load_cert_chain(f"/proc/self/fd/{file.fileno()}")
        return context


class _TlsConnection(asyncio.Protocol):
    """One connection: pending until the handshake is over, then a session."""

    login_seconds: float = LOGIN_SECONDS
    #: Whether somebody connected to the station, and has to make room for others until the handshake is over.
    incoming = True

    def __init__(self, server: Server, servers: TlsServers, context: ssl.SSLContext) -> None:
        self._server = server
        self._servers = servers
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._tcp: asyncio.Transport | None = None
        self._session: Session | None = None
        self._timeout: Timer | None = None
        self._input_ended = False

    # ------------------------------------------------------------ from the network

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._tcp = transport
        self._timeout = self._server.clock.call_later(self.login_seconds, self.abort)
        if self.incoming:
            self._servers.pending_logins.add(self)

    def data_received(self, data: bytes) -> None:
        self._incoming.write(data)
        try:
            if self._session is None:
                self._tls.do_handshake()
                self._let_in()
            while self._session is not None and (plain := self._tls.read(_READ)):
                self._session.receive(plain)
                self._servers.buffered_input.received(self._session)
            self._close_notified()
        except ssl.SSLWantReadError:
            self._flush()
        except ssl.SSLZeroReturnError:
            self._close_notified()
        except ssl.SSLError:
            # The outgoing bytes contain OpenSSL's alert about it.
            self._hang_up()

    def eof_received(self) -> bool:
        # Without a close_notify the connection was cut, and nobody waits for replies.
        return self._input_ended and self._session is not None and self._session.end_of_input()

    def pause_writing(self) -> None:
        if self._session is not None:
            self._session.pause_writing()

    def resume_writing(self) -> None:
        if self._session is not None:
            self._session.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._logged_in_or_gone()
        if self._session is not None:
            self._session.lost()

    def _let_in(self) -> None:
        """Log in the user whom the client's certificate names (RFC 7589 §7, common-name)."""
        self._logged_in_or_gone()
        username = _common_name(self._tls.getpeercert() or {})
        if not self._servers.logins.knows(username, self._server.profile.access):
            self._server.history.record(EventKind.AUTHENTICATION_FAILED, Origin(NO_SESSION, username))
            return
        self._session = Session(self._server, username, self, Transport.TLS)
        self._session.open()

    def _logged_in_or_gone(self) -> None:
        self._servers.pending_logins.discard(self)
        if self._timeout is not None:
            self._timeout.cancel()
            self._timeout = None

    def _close_notified(self) -> None:
        """The client's half of the connection is closed; ours stays open for the replies (RFC 8446 §6.1)."""
        self._input_ended = True
        if self._session is None or not self._session.end_of_input():
            self._hang_up()

    def _flush(self) -> None:
        if self._tcp is not None and self._outgoing.pending:
            self._tcp.write(self._outgoing.read())

    def _hang_up(self) -> None:
        self._flush()
        if self._tcp is not None:
            self._tcp.close()

    # ----------------------------------------------- the channel of the session

    def write(self, data: bytes) -> None:
        """Send; does nothing after the connection ended."""
        left = memoryview(data)
        with suppress(ssl.SSLError):
            while left:
                left = left[self._tls.write(left) :]
        self._flush()

    def close(self) -> None:
        """Send a close_notify, and close after everything was sent."""
        with suppress(ssl.SSLError):  # OpenSSL wants the client's close_notify, for which we don't wait
            self._tls.unwrap()
        self._hang_up()

    def abort(self) -> None:
        """Break the connection at once."""
        if self._tcp is not None:
            self._tcp.abort()

    def pause_reading(self) -> None:
        """Pause reading from the client."""
        if self._tcp is not None and not self._tcp.is_closing():
            self._tcp.pause_reading()

    def resume_reading(self) -> None:
        """Resume reading from the client."""
        if self._tcp is not None and not self._tcp.is_closing():
            self._tcp.resume_reading()


class _Calling(_TlsConnection):
    """A connection that the station opened: it waits for the controller, which may have thousands to answer."""

    login_seconds = CALL_SECONDS
    incoming = False

    def __init__(self, server: Server, servers: TlsServers, context: ssl.SSLContext) -> None:
        super().__init__(server, servers, context)
        self._over = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        connection: socket.socket = transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, CALL_KEEPALIVE)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, CALL_KEEPALIVE)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._over.set()

    async def wait_closed(self) -> None:
        """Wait until the connection has ended."""
        await self._over.wait()


def _name(server: Server) -> str:
    """Name of the certificate that a station shows."""
    changed = server.faults.strikes(FaultKind.CHANGED_HOST_KEY)
    return f"{server.device.id}#changed" if changed else server.device.id


def _common_name(certificate: Mapping[str, object]) -> str:
    """The common name of a certificate's subject, as ``ssl`` presents it."""
    subject = certificate.get("subject", ())
    assert isinstance(subject, tuple)
    return next((value for part in subject for name, value in part if name == "commonName"), "")
