"""Common parts of the SSH servers of stations and routers: log-in, host keys, the channel of a session."""

from __future__ import annotations

import hmac
from collections import OrderedDict
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import asyncssh
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from simulators.history import NO_SESSION, EventKind, History, Origin
from simulators.host_keys import private_host_key


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who may log in to the devices of a fleet: password or any of the keys (OpenSSH text)."""

    username: str = "minka"
    password: str | None = "minka-sim"  # noqa: S105 (the simulators' well-known one)
    authorized_keys: tuple[str, ...] = ()


class Logins:
    """Checks logins to the devices of a fleet, and makes their host keys from the fleet's seed."""

    def __init__(self, seed: str, credentials: Credentials) -> None:
        self.seed = seed
        self._credentials = credentials
        self._keys = frozenset(asyncssh.import_public_key(key).public_data for key in credentials.authorized_keys)

    def knows(self, username: str, others: Collection[str] = ()) -> bool:
        """Whether a name is the user of the fleet, or one of the ``others`` of a device."""
        return username == self._credentials.username or username in others

    def accepts_password(self, username: str, password: str, others: Collection[str] = ()) -> bool:
        """Whether this user has this password, which the ``others`` of a device share."""
        expected = self._credentials.password
        return (
            expected is not None
            and self.knows(username, others)
            and hmac.compare_digest(password.encode(), expected.encode())
        )

    def accepts_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        """Whether this user may log in with this key."""
        return username == self._credentials.username and key.public_data in self._keys


class Login(asyncssh.SSHServer):
    """One connection to a device: its user logs in with a password or a key.

    Args:
        logins: Checks logins.
        history: Records wrong passwords.
        others: Users besides that of the fleet who may log in with the password.
    """

    def __init__(self, logins: Logins, history: History, others: Collection[str] = ()) -> None:
        self.connection: asyncssh.SSHServerConnection | None = None
        self._logins = logins
        self._history = history
        self._others = others

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        """Note that the connection is open."""
        self.connection = conn

    def begin_auth(self, username: str) -> bool:
        """Require authentication."""
        return True

    def password_auth_supported(self) -> bool:
        """Accept passwords."""
        return True

    def validate_password(self, username: str, password: str) -> bool:
        """Whether a password is right; a wrong one is recorded."""
        if self._logins.accepts_password(username, password, self._others):
            return True
        self._history.record(EventKind.AUTHENTICATION_FAILED, Origin(NO_SESSION, username))
        return False

    def public_key_auth_supported(self) -> bool:
        """Accept keys."""
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        """Whether a key is known."""
        return self._logins.accepts_key(username, key)


def host_key(seed: str, device: str) -> asyncssh.SSHKey:
    """The ed25519 host key that a device of a fleet always has."""
    pem = private_host_key(seed, device).private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    return asyncssh.import_private_key(pem)


@lru_cache(maxsize=40_000)
def host_keys(seed: str, device: str) -> OrderedDict[bytes, asyncssh.SSHKeyPair]:
    """The host key of a device, as the options of a connection take it."""
    (pair,) = asyncssh.load_keypairs([host_key(seed, device)])
    return OrderedDict((algorithm, pair) for algorithm in pair.host_key_algorithms)


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


class SshChannel:
    """An SSH channel for a session; writing after its end does nothing.

    Args:
        channel: The channel.
        abort: Aborts its connection.
    """

    def __init__(self, channel: asyncssh.SSHServerChannel[bytes], abort: Callable[[], None]) -> None:
        self._channel = channel
        self._abort = abort

    def write(self, data: bytes) -> None:
        """Send bytes."""
        if not self._channel.is_closing():
            self._channel.write(data)

    def close(self) -> None:
        """Close in good order, after everything was sent."""
        if not self._channel.is_closing():
            self._channel.exit(0)

    def abort(self) -> None:
        """Break the connection at once."""
        self._abort()

    def pause_reading(self) -> None:
        """Take nothing more from the client for now."""
        self._channel.pause_reading()

    def resume_reading(self) -> None:
        """Take from the client again."""
        self._channel.resume_reading()
