"""Stations that call home over SSH, known by their host keys."""

from __future__ import annotations

import base64
import socket
from collections.abc import Hashable, Mapping

import asyncssh

from controller.drivers.netconf.connect import HOST_KEYS, Connector, LightClient, Login, TooMuchSaidError
from controller.drivers.netconf.target import NetconfTarget
from controller.drivers.netconf.transport import Transport
from controller.models.errors import AuthenticationError
from controller.models.health import Refusal


class SshCallers:
    """The door for callers over SSH; implements ``Door``.

    Args:
        connector: Logs in.
    """

    we_begin = False

    def __init__(self, connector: Connector) -> None:
        self._connector = connector

    def expect(self, target: NetconfTarget) -> bytes | str:
        """See ``Door.expect``; a pinned key that can't be read stays a text, which no caller shows."""
        try:
            return base64.b64decode(target.host_key.partition(" ")[2], validate=True)
        except ValueError:
            return target.host_key

    def visit(self, expected: Mapping[Hashable, NetconfTarget], peer: str) -> SshVisit:
        """See ``Door.visit``."""
        return SshVisit(expected, self._connector, peer)


class SshVisit(LightClient):
    """Our side of a call: identifies the caller by its host key, then logs in; implements ``Visit``.

    Attributes:
        target: The station that called; None until its host key was seen.
        refusal: Why the caller is refused.
        kind: The same as a code.
        meant: Empty: a host key names nobody.
        opening: Nothing: SSH servers speak first, too.
    """

    opening = b""

    def __init__(self, expected: Mapping[Hashable, NetconfTarget], connector: Connector, peer: str) -> None:
        self._expected = expected
        self._connector = connector
        self._peer = peer
        self._connection: asyncssh.SSHClientConnection | None = None
        self._login = Login()
        self.target: NetconfTarget | None = None
        self.refusal = ""
        self.kind = Refusal.BROKE_OFF
        self.meant = ""

    @property
    def proved(self) -> bool:
        """See ``Visit.proved``; a host key and the signature made with it come in one message."""
        return self.target is not None and not self.refusal

    async def greet(self, caller: socket.socket) -> tuple[asyncssh.SSHClientConnection, Transport]:
        """See ``Visit.greet``."""
        # The connection closes its own copy; the caller's socket is ours.
        copy = caller.dup()
        try:
            connection = await asyncssh.connect(
                sock=copy,
                config=None,
                options=self._connector.options,
                client_factory=lambda: self,
                known_hosts=([], [], []),
                server_host_key_algs=HOST_KEYS,
                username="",
            )
        except TooMuchSaidError as error:
            self.refusal, self.kind = error.reason, Refusal.COSTLY
            raise
        except BaseException:
            if self._connection is None:  # cut off before there was one
                copy.close()
            raise
        try:
            assert self.target is not None
            return connection, await self._connector.session_on(connection, self.target.device)
        except BaseException:
            connection.abort()
            raise

    def connection_made(self, conn: asyncssh.SSHClientConnection) -> None:
        """Note that the caller speaks SSH."""
        super().connection_made(conn)
        self._connection = conn

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        """Whether a station with this key is expected."""
        target = self._expected.get(key.public_data)
        if target is None:
            self.refusal = f"no known station has the host key {key.get_fingerprint()} ({key.get_algorithm()})"
            self.kind = Refusal.UNKNOWN
            return False
        self.target = target
        try:
            self._login = self._connector.login(target, self._peer)
        except AuthenticationError as error:
            self.refusal, self.kind = error.message, Refusal.CREDENTIAL
            return False
        assert self._connection is not None
        # asyncssh asks for the user name before the host is known, but reads it only now.
        self._connection._username = target.username
        return True

    def public_key_auth_requested(self) -> asyncssh.SSHKey | None:
        """Offer our key, once."""
        key, self._login = self._login.key, Login(self._login.password)
        return key

    def password_auth_requested(self) -> str | None:
        """Offer our password, once."""
        password, self._login = self._login.password, Login()
        return password.get_secret_value() if password else None
