"""SSH under NETCONF (RFC 6242): one asyncssh connection per client, subsystems ``netconf`` and ``sftp``.

All stations of a fleet share one set of options. A station's own host key is derived when its first client comes, so an
unused listener costs almost nothing.
"""

from __future__ import annotations

import asyncio
import copy

import asyncssh
from asyncssh.constants import MSG_IGNORE
from asyncssh.packet import SSHPacketLogger

from simulators.connections import Refusal
from simulators.netconf.faults import FaultKind
from simulators.netconf.limits import CALL_KEEPALIVE, CALL_SECONDS, LOGIN_SECONDS, BufferedInput, PendingLogins
from simulators.netconf.server import Server
from simulators.netconf.session import Session
from simulators.netconf.sftp import SftpSession
from simulators.ssh import Login, Logins, SshChannel, host_key, host_keys

#: The cheapest first; the others are for clients without it.
_KEX = ("curve25519-sha256", "curve25519-sha256@libssh.org", "ecdh-sha2-nistp256", "diffie-hellman-group14-sha256")
_CIPHERS = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "aes128-ctr", "aes256-ctr")


class SshServers:
    """The shared part of the SSH servers of all stations of a fleet."""

    def __init__(
        self, logins: Logins, pending_logins: PendingLogins | None = None, buffered_input: BufferedInput | None = None
    ) -> None:
        self.logins = logins
        self.pending_logins = PendingLogins() if pending_logins is None else pending_logins
        self.buffered_input = buffered_input or BufferedInput()
        self._options = asyncssh.SSHServerConnectionOptions(
            server_host_keys=[host_key(logins.seed, "")],
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

    def protocol(self, server: Server) -> asyncio.Protocol:
        """The protocol of an incoming connection to a station."""
        if server.equipment.down or server.faults.strikes(FaultKind.REFUSE_SESSIONS):
            return Refusal()
        return _Connection(asyncio.get_running_loop(), self._options_of(server))

    def calling(self, server: Server, _source: str) -> asyncssh.SSHServerConnection:
        """The protocol of a station's connection to a controller (RFC 8071)."""
        options = self._options_of(server, called=True)
        options.login_timeout = CALL_SECONDS
        options.keepalive_interval = CALL_KEEPALIVE
        return _Connection(asyncio.get_running_loop(), options)

    def _options_of(self, server: Server, *, called: bool = False) -> asyncssh.SSHServerConnectionOptions:
        options = copy.copy(self._options)
        changed = server.faults.strikes(FaultKind.CHANGED_HOST_KEY)
        options.server_host_keys = host_keys(
            self.logins.seed, f"{server.device.id}#changed" if changed else server.device.id
        )
        options.protocol_factory = lambda: _Login(server, self, called=called)
        return options


class _Connection(asyncssh.SSHServerConnection):
    """A station's side of a connection, which sends no SSH_MSG_IGNORE before each packet (like OpenSSH)."""

    def send_packet(self, pkttype: int, *args: bytes, handler: SSHPacketLogger | None = None) -> None:
        """Send the packet, unless it is an SSH_MSG_IGNORE."""
        if pkttype != MSG_IGNORE:
            super().send_packet(pkttype, *args, handler=handler)


class _Login(Login):
    """One connection to a station: the login and its sessions."""

    def __init__(self, server: Server, servers: SshServers, *, called: bool) -> None:
        super().__init__(servers.logins, server.history, server.profile.access)
        self._server = server
        self._servers = servers
        self._called = called
        self._channels = 0

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        super().connection_made(conn)
        if not self._called:
            self._servers.pending_logins.add(conn)

    def connection_lost(self, exc: Exception | None) -> None:
        self.logged_in_or_gone()

    @property
    def buffered_input(self) -> BufferedInput:
        """The buffers of all sessions of the process."""
        return self._servers.buffered_input

    def logged_in_or_gone(self) -> None:
        """Note that a session runs on the connection, or that it ended."""
        if self.connection is not None:
            self._servers.pending_logins.discard(self.connection)

    def session_requested(self) -> _Channel | bool:
        # Some stations accept one session too many, and drop it before its hello.
        if self._server.full and not self._server.profile.drops_excess:
            return False
        self._channels += 1
        return _Channel(self._server, self)

    def channel_closed(self) -> None:
        """Close the connection after its last session, as clients expect."""
        self._channels -= 1
        if not self._channels and self.connection is not None:
            self.connection.close()

    def abort(self) -> None:
        """Break the connection at once."""
        if self.connection is not None:
            self.connection.abort()


class _Channel(asyncssh.SSHServerSession[bytes]):
    """An SSH channel for a subsystem."""

    def __init__(self, server: Server, login: _Login) -> None:
        self._server = server
        self._login = login
        self._channel: asyncssh.SSHServerChannel[bytes] | None = None
        self._carried: _NetconfSession | SftpSession | None = None

    def connection_made(self, chan: asyncssh.SSHServerChannel[bytes]) -> None:
        self._channel = chan

    def subsystem_requested(self, subsystem: str) -> bool:
        if subsystem == "netconf":
            self._carried = _NetconfSession(self._server, self._login)
        elif subsystem == "sftp" and self._server.profile.files.served:
            self._carried = SftpSession(self._server)
        return self._carried is not None

    def session_started(self) -> None:
        assert self._channel is not None
        assert self._carried is not None
        self._login.logged_in_or_gone()
        self._carried.connection_made(self._channel)
        self._carried.session_started()

    def data_received(self, data: bytes, datatype: asyncssh.DataType) -> None:
        if self._carried is not None:
            self._carried.data_received(data, datatype)

    def eof_received(self) -> bool:
        return self._carried is not None and bool(self._carried.eof_received())

    def pause_writing(self) -> None:
        if self._carried is not None:
            self._carried.pause_writing()

    def resume_writing(self) -> None:
        if self._carried is not None:
            self._carried.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._carried is not None:
            self._carried.connection_lost(exc)
        self._login.channel_closed()


class _NetconfSession(asyncssh.SSHServerSession[bytes]):
    """A NETCONF session over an SSH channel."""

    def __init__(self, server: Server, login: _Login) -> None:
        self._server = server
        self._login = login
        self._channel: asyncssh.SSHServerChannel[bytes] | None = None
        self._session: Session | None = None

    def connection_made(self, chan: asyncssh.SSHServerChannel[bytes]) -> None:
        self._channel = chan

    def session_started(self) -> None:
        assert self._channel is not None
        username = str(self._channel.get_extra_info("username"))
        self._session = Session(self._server, username, SshChannel(self._channel, self._login.abort))
        self._session.open()

    def data_received(self, data: bytes, datatype: asyncssh.DataType) -> None:
        if self._session is not None:
            self._session.receive(data)
            self._login.buffered_input.received(self._session)

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
