"""SSH in front of a router's command line: a shell on a terminal, or one command per channel."""

from __future__ import annotations

import asyncio
import copy

import asyncssh

from simulators.connections import Refusal
from simulators.history import NO_SESSION, Origin
from simulators.routers.faults import RouterFaultKind
from simulators.routers.router import Router
from simulators.routers.shell import Shell
from simulators.ssh import Login, Logins, SshChannel, host_key, host_keys

#: Seconds within which a client must log in.
LOGIN_SECONDS = 60.0
#: Most concurrent sessions of a router: its vty lines.
MAX_SESSIONS = 16
_REFUSE = frozenset({RouterFaultKind.REFUSE_SESSIONS})
_CHANGED_KEY = frozenset({RouterFaultKind.CHANGED_HOST_KEY})


class RouterSshServers:
    """The shared part of the SSH servers of all routers of a fleet."""

    def __init__(self, logins: Logins) -> None:
        self._logins = logins
        self._options = asyncssh.SSHServerConnectionOptions(
            server_host_keys=[host_key(logins.seed, "")],
            compression_algs=["none"],
            encoding=None,
            line_editor=False,
            agent_forwarding=False,
            kbdint_auth=False,
            gss_host=None,
            gss_kex=False,
            gss_auth=False,
            server_version="IOS-like-1.25",
            login_timeout=LOGIN_SECONDS,
            config=None,
        )

    def protocol(self, router: Router) -> asyncio.Protocol:
        """The protocol of an incoming connection to a router."""
        nobody = Origin(NO_SESSION, "")
        if router.take_faults(_REFUSE, nobody):
            return Refusal()
        options = copy.copy(self._options)
        changed = router.take_faults(_CHANGED_KEY, nobody)
        options.server_host_keys = host_keys(self._logins.seed, f"{router.id}#changed" if changed else router.id)
        options.protocol_factory = lambda: _Login(router, self._logins)
        return asyncssh.SSHServerConnection(asyncio.get_running_loop(), options)


class _Login(Login):
    """Login to one router, and its session."""

    def __init__(self, router: Router, logins: Logins) -> None:
        super().__init__(logins, router.history)
        self._router = router
        self._used = False

    def session_requested(self) -> _ShellChannel | bool:
        if self._used or self.connection is None or len(self._router.sessions) >= MAX_SESSIONS:
            return False
        self._used = True
        return _ShellChannel(self._router, self.connection)


class _ShellChannel(asyncssh.SSHServerSession[bytes]):
    """An SSH channel with a command line; the connection ends with it, as on routers."""

    def __init__(self, router: Router, connection: asyncssh.SSHServerConnection) -> None:
        self._router = router
        self._connection = connection
        self._channel: asyncssh.SSHServerChannel[bytes] | None = None
        self._shell: Shell | None = None
        self._command: str | None = None

    def connection_made(self, chan: asyncssh.SSHServerChannel[bytes]) -> None:
        self._channel = chan

    def pty_requested(self, term_type: str, term_size: tuple[int, int, int, int], term_modes: object) -> bool:
        return True

    def shell_requested(self) -> bool:
        return True

    def exec_requested(self, command: str) -> bool:
        self._command = command
        return True

    def session_started(self) -> None:
        assert self._channel is not None
        username = str(self._channel.get_extra_info("username"))
        self._shell = Shell(self._router, username, SshChannel(self._channel, self._connection.abort))
        self._shell.open(self._command)

    def data_received(self, data: bytes, datatype: asyncssh.DataType) -> None:
        if self._shell is not None:
            self._shell.receive(data)

    def eof_received(self) -> bool:
        if self._shell is not None:
            self._shell.end_of_input()
        return True

    def pause_writing(self) -> None:
        if self._shell is not None:
            self._shell.pause_writing()

    def resume_writing(self) -> None:
        if self._shell is not None:
            self._shell.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._shell is not None:
            self._shell.lost()
        self._connection.close()
