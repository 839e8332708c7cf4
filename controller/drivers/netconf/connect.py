"""SSH connections with a pinned host key, a credential by reference, and fast algorithms.

Nothing that this module raises carries a cause or a context: frames of the SSH library hold the
password in local variables, and some log formats print those.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TypeVar

import asyncssh
from asyncssh.constants import MSG_IGNORE
from asyncssh.packet import SSHPacketLogger
from pydantic import SecretStr

from controller.drivers.address import address_of, not_reached
from controller.drivers.netconf.pace import Pace
from controller.drivers.netconf.target import NetconfTarget
from controller.drivers.netconf.tls import TlsConnector
from controller.drivers.netconf.transport import Connection, Transport
from controller.models.errors import (
    AuthenticationError,
    DeviceError,
    HostKeyError,
    HostKeyUnreadableError,
    InputError,
    SessionLostError,
)
from controller.ports.clock import SystemClock
from controller.ports.secrets import Secrets

T = TypeVar("T")

#: In order of preference: on small messages curve25519 and AES-GCM cost a third of asyncssh's own first choice.
_KEX = ("curve25519-sha256", "curve25519-sha256@libssh.org", "ecdh-sha2-nistp256", "diffie-hellman-group14-sha256")
_CIPHERS = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "aes128-ctr", "aes256-ctr")
_MACS = ("hmac-sha2-256-etm@openssh.com", "hmac-sha2-256", "hmac-sha2-512")
#: All are offered, the pinned key's type first: another type then shows as a changed key, not as a failed negotiation.
HOST_KEYS = ("ssh-ed25519", "ecdsa-sha2-nistp256", "rsa-sha2-512", "rsa-sha2-256")
#: Most sessions being opened at once, to unreachable stations too; ``Pace`` bounds the handshakes among them.
_OPENING = 400
#: Bytes and messages that are taken before the other side proved its host key: anybody may send them. An exchange of
#: keys has 3 kB in two messages; others may stand between them (RFC 4253 §11), but not without end.
_HEARD, _MESSAGES = 32 * 1024, 16
#: Bytes that are read from a socket at once, and that asyncssh gets at once: it copies all that it was given and did
#: not read yet at each message, so the work for one reading grows with the square of this.
_READ, _PIECE = 32 * 1024, 4 * 1024
#: Messages in one reading of a connection beyond which the next one waits, and how many seconds. No station sends so
#: many in so few bytes for its work, and each takes processor time from all others.
_LIVELY, _REST = 256, 0.1
#: A secret that contains this is a private key and not a password.
_KEY_MARK = "PRIVATE KEY-----"


@dataclass(frozen=True, slots=True)
class Login:
    """How to log in: by password or by key."""

    password: SecretStr | None = None
    key: asyncssh.SSHKey | None = None


class Connector:
    """Opens connections, which share their options and keys.

    Args:
        secrets: Resolves credentials, at each connect.
        timeout: Seconds for TCP, and again for the handshake (authentication and exchange of hellos). Waiting for a
            turn does not count.
        keepalive: Seconds of silence after which a connection is probed; three unanswered probes end it.
        patience: Seconds to wait for a reply on the sessions opened.

    Attributes:
        timeout: As given.
        options: Options of all SSH connections.
    """

    def __init__(self, secrets: Secrets, timeout: float, keepalive: float, patience: float) -> None:
        self._secrets = secrets
        self.timeout = timeout
        self._patience = patience
        self._places = asyncio.Semaphore(_OPENING)
        self._pace = Pace(SystemClock(), timeout / 4)
        self._tls = TlsConnector(secrets, timeout, keepalive, patience)
        self.options = asyncssh.SSHClientConnectionOptions(
            config=None,
            agent_path=None,
            client_keys=None,
            gss_host=None,
            known_hosts=([], [], []),
            kex_algs=_KEX,
            encryption_algs=_CIPHERS,
            mac_algs=_MACS,
            compression_algs=("none",),
            keepalive_interval=keepalive,
            keepalive_count_max=3,
        )

    async def open(self, target: NetconfTarget) -> tuple[Connection, Transport]:
        """Connect over the target's transport, authenticate and exchange hellos.

        Raises:
            HostKeyError: Another host key than the pinned one was shown; no credential was sent.
            AuthenticationError: The credential was refused, does not resolve, or is not for the target's address.
            UnreachableError: Anything else went wrong.
        """
        async with self._places, self._pace.turn():
            if target.transport == "tls":
                return await self._tls.open(target, self._pace)
            return await self._open_ssh(target, self.session_on)

    async def open_files(self, target: NetconfTarget) -> asyncssh.SSHClientConnection:
        """Connect to the target's file server and authenticate, as ``open`` does; raises as it does."""

        async def ready(_connection: asyncssh.SSHClientConnection, _station: str) -> None:
            """Do nothing: a file server has no hellos."""

        async with self._places, self._pace.turn():
            connection, _ = await self._open_ssh(replace(target, port=target.file_port), ready)
            return connection

    async def _open_ssh(
        self, target: NetconfTarget, begin: Callable[[asyncssh.SSHClientConnection, str], Awaitable[T]]
    ) -> tuple[asyncssh.SSHClientConnection, T]:
        pinned = pinned_key(target)
        try:
            async with asyncio.timeout(self.timeout):
                address = await address_of(target, self._secrets)
                login = self.login(target, address)
                reached = await self._pace.reach(address, target.port)
            async with self._pace.handshake(), asyncio.timeout(self.timeout):
                connection = await self._connect(target, reached, pinned, login)
                try:
                    return connection, await begin(connection, target.device)
                except BaseException:
                    connection.abort()
                    raise
        except (OSError, asyncssh.Error, SessionLostError) as error:
            failure = _explained(target, error)
        raise failure

    def login(self, target: NetconfTarget, address: str) -> Login:
        """The target's credential, as a password or a private key.

        Args:
            target: The device.
            address: The IP address at the other end of the connection.

        Raises:
            AuthenticationError: It is not for that address, does not resolve, or holds an unreadable key.
        """
        try:
            secret = self._secrets.resolve(target.credential, address)
            return Login(key=_private_key(secret)) if _KEY_MARK in secret.get_secret_value() else Login(secret)
        except InputError as error:
            failure = AuthenticationError(f"{target.device}: {error.message}")
        except ValueError:
            failure = AuthenticationError(f"{target.device}: the key in {target.credential} can't be read.")
        raise failure

    async def session_on(self, connection: asyncssh.SSHClientConnection, station: str) -> Transport:
        """Open a NETCONF session on a connection and exchange hellos.

        Raises:
            asyncssh.Error, SessionLostError: The station opened no session; callers bound the time.
        """
        transport = Transport(station, self._patience)
        channel, _ = await connection.create_session(lambda: transport, subsystem="netconf", encoding=None)
        channel._log_packet = _unlogged  # type: ignore[assignment,method-assign]  # see LightClient
        await transport.greet()
        return transport

    async def _connect(
        self, target: NetconfTarget, reached: socket.socket, pinned: asyncssh.SSHKey, login: Login
    ) -> asyncssh.SSHClientConnection:
        return await asyncssh.connect(
            sock=reached,
            config=None,
            options=self.options,
            client_factory=LightClient,
            username=target.username,
            password=login.password.get_secret_value() if login.password else None,
            client_keys=[login.key] if login.key else None,
            preferred_auth=("publickey",) if login.key else ("password", "keyboard-interactive"),
            known_hosts=([pinned], [], []),
            server_host_key_algs=sorted(HOST_KEYS, key=lambda name: name not in _algorithms(target.host_key)),
        )


class TooMuchSaidError(asyncssh.ProtocolError):
    """The other side sent more than is taken before it proved its host key; the reason is in our own words."""


class LightClient(asyncssh.SSHClient):
    """Our side of a connection, which does less work per packet than asyncssh can be configured to do.

    asyncssh has no way to choose the class of a connection (``connect`` names it itself), to switch these packets off
    or to bound what it takes. So that class is replaced here, and the release of asyncssh is pinned.
    """

    def connection_made(self, conn: asyncssh.SSHClientConnection) -> None:
        """Replace the connection's class before anything is sent or read."""
        conn.__class__ = _LightConnection
        conn._transport.max_size = _READ  # type: ignore[union-attr]  # of asyncio's own transports


class _LightConnection(asyncssh.SSHClientConnection):
    """A connection that takes little at once, without SSH_MSG_IGNORE and packet logs, and with a lazy timer.

    asyncssh takes any number of messages, whoever sends them, and the more arrive at once, the more each costs. So
    it gets them in small pieces. The other side may say little before its host key is proved; after that it is read
    with rests if its messages are many and small.

    asyncssh sends an SSH_MSG_IGNORE before each packet, against an attack on CBC ciphers (RFC 4251 §9.3.1), which we
    don't offer. It describes each packet for a log that nobody keeps. And it restarts the keepalive timer with each
    packet received, which takes as long as decrypting it.
    """

    #: Time of the last packet received, on the loop's clock.
    _heard = 0.0
    #: Bytes received before the host key was proved.
    _unproved = 0
    #: Messages that were read when bytes had come last.
    _counted = 0

    def data_received(self, data: bytes, datatype: int | None = None) -> None:
        """Take bytes in small pieces, and let others have their turns if there were many messages."""
        for start in range(0, len(data), _PIECE):
            piece = data[start : start + _PIECE]
            if self._transport is None or not self._may_say(piece):
                return
            super().data_received(piece, datatype)
        # asyncssh reads on by itself, too, after a message that takes it some time.
        before, self._counted = self._counted, self._recv_seq
        if self._counted - before > _LIVELY and self._transport is not None:
            self._transport.pause_reading()
            self._loop.call_later(_REST, self._transport.resume_reading)

    def _may_say(self, piece: bytes) -> bool:
        """Whether bytes are within what the other side may send; the connection ends if not."""
        if not self._session_id:  # which follows from the proof of the host key
            self._unproved += len(piece)
            if self._unproved > _HEARD:
                self._force_close(TooMuchSaidError(f"it sent more than {_HEARD} bytes before it proved its host key"))
                return False
        return True

    def _recv_pkthdr(self) -> bool:
        """Begin with a message if the other side may send one more; of a connection that ended, none is read."""
        if self._transport is None:
            return False
        if self._recv_seq >= _MESSAGES and not self._session_id:
            raise TooMuchSaidError(f"it sent more than {_MESSAGES} messages before it proved its host key")
        return super()._recv_pkthdr()

    def send_packet(self, pkttype: int, *args: bytes, handler: SSHPacketLogger | None = None) -> None:
        """Send the packet, unless it is an SSH_MSG_IGNORE."""
        if pkttype != MSG_IGNORE:
            super().send_packet(pkttype, *args, handler=handler)

    def _log_packet(self, *_: object) -> None:
        """Log nothing."""

    def _reset_keepalive_timer(self) -> None:
        """Note when a packet was received; the timer compares when it is due."""
        self._heard = self._loop.time()

    def _keepalive_timer_callback(self) -> None:
        """Probe the peer if it was silent for the whole interval; else wait for the rest of it."""
        due = self._heard + self._keepalive_interval
        if self._loop.time() < due:
            self._keepalive_timer = self._loop.call_at(due, self._keepalive_timer_callback)
        else:
            super()._keepalive_timer_callback()


def _unlogged(*_: object) -> None:
    """Log nothing."""


@lru_cache(maxsize=64)
def _private_key(secret: SecretStr) -> asyncssh.SSHKey:
    """Load a private key once per process: an RSA key takes 0.1 s of CPU."""
    return asyncssh.import_private_key(secret.get_secret_value())


def pinned_key(target: NetconfTarget) -> asyncssh.SSHKey:
    """The only host key that a device may show. Raises HostKeyUnreadableError: the network files have none."""
    try:
        return asyncssh.import_public_key(target.host_key)
    except (ValueError, OverflowError):  # a negative exponent overflows
        raise HostKeyUnreadableError(
            f"{target.device}: the host key in the network files can't be read: put in the one that the device shows."
        ) from None


def _algorithms(host_key: str) -> tuple[str, ...]:
    kind = host_key.partition(" ")[0]
    return ("rsa-sha2-512", "rsa-sha2-256") if kind == "ssh-rsa" else (kind,)


def _explained(target: NetconfTarget, error: Exception) -> DeviceError:
    """The error in our own words; the SSH library's message may name users and hosts, never secrets."""
    where = f"{target.device} ({target.address} port {target.port})"
    match error:
        case asyncssh.HostKeyNotVerifiable():
            return HostKeyError(f"{where} showed another host key than the network files pin; nothing was sent to it.")
        case asyncssh.PermissionDenied():
            return AuthenticationError(f"{where} refused user {target.username} with credential {target.credential}.")
        case _:
            return not_reached(target, error)
