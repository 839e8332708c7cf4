"""SSH under NETCONF (RFC 6242): one asyncssh connection per client, subsystem ``netconf``.

All stations of a fleet share one set of options; a station's own host key is derived when its first
client comes, so that a listener that nobody visits costs next to nothing.
"""

from __future__ import annotations

import asyncio
import copy
import hashlib
import hmac
from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache

import asyncssh
from asyncssh.constants import MSG_IGNORE
from asyncssh.packet import SSHPacketLogger
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from simulators.faults import FaultKind
from simulators.history import EventKind
from simulators.netconf.datastores import NO_SESSION, Origin
from simulators.netconf.limits import LOGIN_SECONDS, BufferedInput, PendingLogins
from simulators.netconf.session import Session
from simulators.station import Station

#: Cheapest first; the others are for clients that lack it.
_KEX = ("curve25519-sha256", "curve25519-sha256@libssh.org", "ecdh-sha2-nistp256", "diffie-hellman-group14-sha256")
_CIPHERS = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "aes128-ctr", "aes256-ctr")
#: Seconds until a controller that was called must have logged in: it may have thousands to let in.
_CALL_SECONDS = 300.0
#: Seconds of silence after which a station asks whether the controller that it called still lives.
_CALL_KEEPALIVE = 30.0


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who may log in to the stations of a fleet: password or any of the keys (OpenSSH text)."""

    username: str = "minka"
    password: str | None = "minka-sim"  # noqa: S105 (the simulators' well-known one)
    authorized_keys: tuple[str, ...] = ()


def host_key(seed: str, station: str) -> asyncssh.SSHKey:
    """The ed25519 host key that a station of a fleet always has."""
    raw = hashlib.sha256(b"minka-simulator-host-key:" + seed.encode() + b":" + station.encode()).digest()
    pem = Ed25519PrivateKey.from_private_bytes(raw).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    return asyncssh.import_private_key(pem)


def public_host_key(seed: str, station: str) -> str:
    """The public part of a station's host key, as ``endpoints.csv`` carries it."""
    return host_key(seed, station).export_public_key().decode().strip()


@lru_cache(maxsize=40_000)
def _host_keys(seed: str, station: str) -> OrderedDict[bytes, asyncssh.SSHKeyPair]:
    (pair,) = asyncssh.load_keypairs([host_key(seed, station)])
    return OrderedDict((algorithm, pair) for algorithm in pair.host_key_algorithms)


class Gate:
    """What all stations of a fleet share at their SSH doors."""

    def __init__(
        self,
        seed: str,
        credentials: Credentials,
        pending_logins: PendingLogins | None = None,
        buffered_input: BufferedInput | None = None,
    ) -> None:
        self.seed = seed
        self.pending_logins = PendingLogins() if pending_logins is None else pending_logins
        self.buffered_input = buffered_input or BufferedInput()
        self._credentials = credentials
        self._keys = frozenset(asyncssh.import_public_key(key).public_data for key in credentials.authorized_keys)
        self._options = asyncssh.SSHServerConnectionOptions(
            server_host_keys=[host_key(seed, "")],
            kex_algs=_KEX,
            encryption_algs=_CIPHERS,
            compression_algs=["none"],
            encoding=None,
            allow_pty=False,
            agent_forwarding=False,
            kbdint_auth=False,
            gss_host=None,
            gss_kex=False,
            gss_auth=False,
            server_version="NETCONF-station",
            login_timeout=LOGIN_SECONDS,
            config=None,
        )

    def protocol(self, station: Station) -> asyncio.Protocol:
        """A connection that came in for a station."""
        if station.life.down or station.faults.take([FaultKind.REFUSE_SESSIONS]):
            return Refusal()
        return _Connection(asyncio.get_running_loop(), self._options_of(station))

    def calling(self, station: Station) -> asyncssh.SSHServerConnection:
        """A connection that a station makes to a controller (RFC 8071)."""
        options = self._options_of(station, called=True)
        options.login_timeout = _CALL_SECONDS
        options.keepalive_interval = _CALL_KEEPALIVE
        return _Connection(asyncio.get_running_loop(), options)

    def _options_of(self, station: Station, *, called: bool = False) -> asyncssh.SSHServerConnectionOptions:
        options = copy.copy(self._options)
        changed = station.faults.take([FaultKind.CHANGED_HOST_KEY])
        options.server_host_keys = _host_keys(self.seed, f"{station.id}#changed" if changed else station.id)
        options.protocol_factory = lambda: _Door(station, self, called=called)
        return options

    def accepts_password(self, username: str, password: str, others: Collection[str] = ()) -> bool:
        """Whether this user has this password; the ``others`` that a station knows have the same."""
        expected = self._credentials.password
        return (
            expected is not None
            and (username == self._credentials.username or username in others)
            and hmac.compare_digest(password.encode(), expected.encode())
        )

    def accepts_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        """Whether this user may log in with this key."""
        return username == self._credentials.username and key.public_data in self._keys


class _Connection(asyncssh.SSHServerConnection):
    """A station's side of a connection, which like OpenSSH's sends no SSH_MSG_IGNORE before each packet."""

    def send_packet(self, pkttype: int, *args: bytes, handler: SSHPacketLogger | None = None) -> None:
        """Send it, if it says something."""
        if pkttype != MSG_IGNORE:
            super().send_packet(pkttype, *args, handler=handler)


class Refusal(asyncio.Protocol):
    """A station that takes no connections."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Break it."""
        assert isinstance(transport, asyncio.Transport)
        transport.abort()


class _Door(asyncssh.SSHServer):
    """Log-in to one station and the sessions behind it."""

    def __init__(self, station: Station, gate: Gate, *, called: bool) -> None:
        self._station = station
        self._gate = gate
        self._called = called
        self._connection: asyncssh.SSHServerConnection | None = None
        self._channels = 0

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn
        if not self._called:
            self._gate.pending_logins.add(conn)

    def connection_lost(self, exc: Exception | None) -> None:
        self.logged_in_or_gone()

    @property
    def buffered_input(self) -> BufferedInput:
        """What the sessions of the process hold together."""
        return self._gate.buffered_input

    def logged_in_or_gone(self) -> None:
        """A session runs on it now, or it is gone."""
        if self._connection is not None:
            self._gate.pending_logins.discard(self._connection)

    def begin_auth(self, username: str) -> bool:
        return True

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        if self._gate.accepts_password(username, password, self._station.profile.access):
            return True
        self._station.record(EventKind.AUTHENTICATION_FAILED, Origin(NO_SESSION, username))
        return False

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        return self._gate.accepts_key(username, key)

    def session_requested(self) -> _NetconfChannel | bool:
        # Some stations take one session too many, and drop it before its hello.
        if self._station.full and not self._station.profile.drops_excess:
            return False
        self._channels += 1
        return _NetconfChannel(self._station, self)

    def channel_closed(self) -> None:
        """Leave with the last session, as clients expect of a NETCONF server."""
        self._channels -= 1
        if not self._channels and self._connection is not None:
            self._connection.close()

    def abort(self) -> None:
        """Break the connection at once."""
        if self._connection is not None:
            self._connection.abort()


class _NetconfChannel(asyncssh.SSHServerSession[bytes]):
    """An SSH channel that carries a NETCONF session."""

    def __init__(self, station: Station, door: _Door) -> None:
        self._station = station
        self._door = door
        self._channel: asyncssh.SSHServerChannel[bytes] | None = None
        self._session: Session | None = None

    def connection_made(self, chan: asyncssh.SSHServerChannel[bytes]) -> None:
        self._channel = chan

    def subsystem_requested(self, subsystem: str) -> bool:
        return subsystem == "netconf"

    def session_started(self) -> None:
        assert self._channel is not None
        self._door.logged_in_or_gone()
        username = str(self._channel.get_extra_info("username"))
        self._session = Session(self._station, username, _Wire(self._channel, self._door))
        self._session.open()

    def data_received(self, data: bytes, datatype: asyncssh.DataType) -> None:
        if self._session is not None:
            self._session.receive(data)
            self._door.buffered_input.received(self._session)

    def eof_received(self) -> bool:
        return self._session is not None and self._session.end_of_input()

    def pause_writing(self) -> None:
        if self._session is not None:
            self._session.pause_writing()

    def resume_writing(self) -> None:
        if self._session is not None:
            self._session.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._session is not None:
            self._session.lost()
        self._door.channel_closed()


class _Wire:
    """The channel as a session sees it; writing to one that has just gone does nothing."""

    def __init__(self, channel: asyncssh.SSHServerChannel[bytes], door: _Door) -> None:
        self._channel = channel
        self._door = door

    def write(self, data: bytes) -> None:
        if not self._channel.is_closing():
            self._channel.write(data)

    def close(self) -> None:
        if not self._channel.is_closing():
            self._channel.exit(0)

    def abort(self) -> None:
        self._door.abort()

    def pause_reading(self) -> None:
        self._channel.pause_reading()

    def resume_reading(self) -> None:
        self._channel.resume_reading()
