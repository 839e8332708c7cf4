"""TLS connections (RFC 7589): the station's certificate is pinned or signed by a known authority, and we show ours.

TLS runs through memory BIOs, since asyncio's TLS keeps 256 kB for each connection. As in ``connect``, no error carries
a cause or a context.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import socket
import ssl
from contextlib import suppress
from functools import lru_cache

from pydantic import SecretStr

from controller.device.address import address_of, not_reached
from controller.device.pace import Pace
from controller.device.transport import Connection, Transport
from controller.models.errors import (
    AuthenticationError,
    DeviceError,
    HostKeyError,
    InputError,
    SessionLostError,
)
from controller.ports.devices import DeviceTarget
from controller.ports.secrets import Secrets

_READ = 64 * 1024


class TlsConnector:
    """Opens NETCONF sessions over TLS; arguments as of ``Connector``."""

    def __init__(self, secrets: Secrets, timeout: float, keepalive: float, patience: float) -> None:
        self._secrets = secrets
        self._timeout = timeout
        self._keepalive = max(1, round(keepalive))
        self._patience = patience

    async def open(self, target: DeviceTarget, pace: Pace) -> tuple[Connection, Transport]:
        """Connect, authenticate both sides and exchange hellos.

        An authority's signature is checked before our certificate is shown. A fingerprint is compared after the
        handshake, before the first byte of NETCONF.

        Raises:
            HostKeyError: The station showed another certificate than the pinned one, or one that no authority signed.
            AuthenticationError: Our certificate was refused, does not resolve, or is not for the target's address.
            UnreachableError: Anything else went wrong.
        """
        wire: _Wire | None = None
        transport = Transport(target.station, self._patience)
        try:
            async with asyncio.timeout(self._timeout):
                address = await address_of(target, self._secrets)
                wire = made = _Wire(self._context(target, address), target, transport)
                reached = await pace.reach(address, target.port)
            async with pace.handshake(), asyncio.timeout(self._timeout):
                try:
                    await asyncio.get_running_loop().create_connection(lambda: made, sock=reached)
                    wire.probe_silence(self._keepalive)
                    await wire.secured
                    await transport.greet()
                    return wire, transport
                except BaseException:
                    wire.abort()
                    raise
        except (OSError, SessionLostError) as error:
            failure = _explained(target, (wire and wire.broken) or error)
        raise failure

    def _context(self, target: DeviceTarget, address: str) -> ssl.SSLContext:
        try:
            ours = self._secrets.resolve(target.client_certificate, address)
            authority = self._secrets.resolve(target.authority, address) if target.authority else None
            return tls_context(ours, authority)
        except InputError as error:
            failure = AuthenticationError(f"{target.station}: {error.message}")
        except (ssl.SSLError, ValueError):
            wanted = " or ".join(filter(None, (target.client_certificate, target.authority)))
            failure = AuthenticationError(f"{target.station}: {wanted} holds no certificate, or not its key (PEM).")
        raise failure


class _Wire(asyncio.Protocol):
    """TLS between a TCP connection and a NETCONF session.

    Attributes:
        secured: Done when both sides are authenticated.
        broken: The TLS error.
    """

    def __init__(self, context: ssl.SSLContext, target: DeviceTarget, session: Transport) -> None:
        loop = asyncio.get_running_loop()
        self._session = session
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=target.address)
        self._pinned = target.certificate
        self._tcp: asyncio.Transport | None = None
        self._closed: asyncio.Future[None] = loop.create_future()
        self.secured: asyncio.Future[None] = loop.create_future()
        self.broken: ssl.SSLError | None = None

    # ------------------------------------------------------------ from the network

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the handshake on the open TCP connection."""
        assert isinstance(transport, asyncio.Transport)
        self._tcp = transport
        self._advance()

    def data_received(self, data: bytes) -> None:
        """Take received bytes."""
        self._incoming.write(data)
        self._advance()

    def eof_received(self) -> bool:
        """Note that the station sends no more."""
        self._session.eof_received()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that the TCP connection ended."""
        self._session.connection_lost(self.broken or exc)
        if not self.secured.done():
            self.secured.set_exception(self.broken or exc or ConnectionResetError("the connection ended"))
            self.secured.exception()  # nobody may wait for it
        self._closed.set_result(None)

    def _advance(self) -> None:
        try:
            if not self.secured.done():
                self._shake_hands()
            while data := self._tls.read(_READ):
                self._session.data_received(data, None)
            self._session.eof_received()
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self._session.eof_received()
        except ssl.SSLError as error:
            self.broken = error
            self._flush()  # the alert that tells the station why
            self.abort()
        self._flush()

    def _shake_hands(self) -> None:
        self._tls.do_handshake()
        if self._pinned:
            _compare(self._tls, self._pinned)
        self._session.connection_made(self)
        self.secured.set_result(None)

    def _flush(self) -> None:
        if self._tcp is not None and self._outgoing.pending:
            self._tcp.write(self._outgoing.read())

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

    def probe_silence(self, seconds: int) -> None:
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


@lru_cache(maxsize=512)
def tls_context(ours: SecretStr | None, authority: SecretStr | None, pinned: str = "") -> ssl.SSLContext:
    """Options and keys that connections with the same certificates share: most of the cost of opening one.

    Args:
        ours: Our certificate and its private key (PEM); None to show none.
        authority: Certificates that sign the other side's (PEM); without them only the fingerprint is checked.
        pinned: Fingerprint of the only certificate accepted, checked in the handshake; empty to accept any, or where
            the caller compares it, so that many connections share one context.

    Raises:
        ssl.SSLError, ValueError: One of them holds no certificate, or not its key.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if authority is None:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE  # the fingerprint is compared instead
    else:
        context.load_verify_locations(cadata=authority.get_secret_value())
        context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
    if pinned:
        context.sslobject_class = type("Pinned", (_Pinned,), {"pinned": pinned})
    if ours is not None:
        # OpenSSL takes the key from a file only; this one is in memory.
        with open(os.memfd_create("certificate"), "wb", buffering=0) as file:  # noqa: PTH123 (a descriptor, no path)
            file.write(ours.get_secret_value().encode())
            context.load_cert_chain(f"/proc/self/fd/{file.fileno()}")
    return context


class _Pinned(ssl.SSLObject):
    """One side of a connection that accepts only the certificate with the pinned fingerprint."""

    pinned = ""

    def do_handshake(self) -> None:
        """Shake hands, and check the certificate before any data passes."""
        super().do_handshake()
        _compare(self, self.pinned)


def _compare(tls: ssl.SSLObject, pinned: str) -> None:
    certificate = tls.getpeercert(binary_form=True) or b""
    if pinned != f"sha256:{hashlib.sha256(certificate).hexdigest()}":
        raise ssl.SSLCertVerificationError("another certificate than the pinned one")


def _explained(target: DeviceTarget, error: Exception) -> DeviceError:
    where = f"{target.station} ({target.address} port {target.port})"
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
