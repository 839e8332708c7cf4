"""A router's command line over netmiko: one blocking connection with a pinned host key.

Nothing that this module raises carries a cause or a context: frames of the SSH library hold secrets.
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from typing import Any, ClassVar

import paramiko
from netmiko.cisco.cisco_ios import CiscoIosSSH
from netmiko.exceptions import NetmikoAuthenticationException, NetmikoBaseException
from pydantic import SecretStr

from controller.models.errors import (
    AuthenticationError,
    DeviceError,
    DeviceRefusedError,
    HostKeyError,
    InputError,
    SessionLostError,
    UnreachableError,
)
from controller.ports.devices import DeviceTarget
from controller.ports.secrets import Secrets

#: The prompt, whatever the router is called just now: its name may change under way.
PROMPT = r"(?:^|[\r\n])[\w.:/-]+(?:\([\w.:/-]+\))?[#>] ?\Z"
#: How a line is refused. Notices of what goes without saying, and log messages, look much the same.
_NOTICES = r" ?(?:IPv4 and IPv6 addresses|Interface \S+ IPv4 disabled)|[A-Z0-9_]+-\d-"
_REFUSED = re.compile(rf"^[ \t]*(?:%(?!{_NOTICES}).*|Bad mask.*|.*rejected.*)", re.MULTILINE)
#: A log message that comes between the lines of an answer.
_LOG = re.compile(r"^[*.]?[A-Z][a-z]{2} +\d+ [\d:.]+.*: %[A-Z0-9_]+-\d-.*(?:\n|\Z)", re.MULTILINE)
_PRIVATE_KEYS = (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey)


@dataclass(frozen=True, slots=True)
class Login:
    """Secrets of one router."""

    password: SecretStr | None
    key: paramiko.PKey | None
    enable: SecretStr | None


def login_of(target: DeviceTarget, secrets: Secrets) -> Login:
    """The secrets that a target refers to: a password or a private key, and that of enable.

    Raises:
        AuthenticationError: A reference leads nowhere, or to a key that can't be read.
    """
    try:
        secret = secrets.resolve(target.credential)
        enable = secrets.resolve(target.enable_credential) if target.enable_credential else None
    except InputError as error:
        failure = AuthenticationError(f"{target.station}: {error.message}")
    else:
        if "PRIVATE KEY-----" not in secret.get_secret_value():
            return Login(secret, None, enable)
        for kind in _PRIVATE_KEYS:
            try:
                return Login(None, kind.from_private_key(io.StringIO(secret.get_secret_value())), enable)
            except paramiko.SSHException:
                continue
        failure = AuthenticationError(f"{target.station}: the key in {target.credential} can't be read.")
    raise failure


class _Pinned(CiscoIosSSH):  # type: ignore[misc]
    """netmiko's driver, which knows one host key and adds none."""

    pinned: ClassVar[tuple[str, paramiko.PKey]]

    def _build_ssh_client(self) -> paramiko.SSHClient:
        client = paramiko.SSHClient()
        client.set_missing_host_key_policy(paramiko.RejectPolicy())
        name, key = self.pinned
        client.get_host_keys().add(name, key.get_name(), key)
        return client

    def read_channel(self) -> str:
        """What has come; a connection that ended is noticed at once, not when time is up."""
        ended = self.remote_conn is None or self.remote_conn.closed
        said = str(super().read_channel())
        if ended and not said:
            raise EOFError
        return said


class CliLine:
    """One connection; blocking, for use in threads.

    Args:
        target: The router.
        login: Its secrets.
        connect_timeout: Seconds for opening.
        timeout: Seconds to wait for an answer.

    Raises:
        HostKeyError: Another host key than the pinned one was shown; no credential was sent.
        AuthenticationError: The credential was refused.
        UnreachableError: Anything else went wrong.
    """

    def __init__(self, target: DeviceTarget, login: Login, connect_timeout: float, timeout: float) -> None:
        self._station = target.station
        self._timeout = timeout
        self._connection = _connected(target, login, connect_timeout, timeout)

    def ask(self, line: str, ends: str = PROMPT) -> str:
        """Type a line and return what comes until the end, without log messages.

        Raises:
            SessionLostError: The connection ended, or the end did not come in time.
        """
        return self._read(line, ends, echo=True)

    def press(self, keys: str, ends: str = PROMPT) -> str:
        """Answer a question; raises as ``ask``."""
        return self._read(keys, ends, echo=False)

    def _read(self, text: str, ends: str, *, echo: bool) -> str:
        try:
            said = self._connection.send_command(
                text,
                expect_string=ends,
                read_timeout=self._timeout,
                cmd_verify=echo,
                strip_prompt=False,
                strip_command=echo,
                auto_find_prompt=False,
            )
        except (NetmikoBaseException, paramiko.SSHException, OSError, EOFError, ValueError) as error:
            failure = SessionLostError(f"{self._station}: the session ended or did not answer ({type(error).__name__})")
        else:
            return _LOG.sub("", str(said))
        self.close()
        raise failure

    def configure(self, lines: tuple[str, ...]) -> None:
        """Type configuration lines until one is refused; configuration mode is left in any case.

        Raises:
            DeviceRefusedError: A line was refused. Those before it took effect.
            SessionLostError: See ``ask``.
        """
        refused = ""
        for line in ("configure terminal", *lines):
            found = _REFUSED.search(self.ask(line.strip()))
            if found is not None:
                refused = f"{self._station} refused {line.strip()!r}: {found[0].strip()}"
                break
        self.ask("end")
        if refused:
            raise DeviceRefusedError(refused)

    def close(self) -> None:
        """Hang up at once."""
        self._connection.paramiko_cleanup()


def _connected(target: DeviceTarget, login: Login, connect_timeout: float, timeout: float) -> Any:
    driver = type("_PinnedHere", (_Pinned,), {"pinned": (_known_as(target), _host_key(target))})
    try:
        connection = driver(
            host=target.address,
            port=target.port,
            username=target.username,
            password=login.password.get_secret_value() if login.password else "",
            pkey=login.key,
            secret=login.enable.get_secret_value() if login.enable else "",
            allow_agent=False,
            conn_timeout=connect_timeout,
            auth_timeout=connect_timeout,
            banner_timeout=connect_timeout,
            read_timeout_override=timeout,
            device_type="cisco_ios",
        )
        if not connection.check_enable_mode():
            connection.enable()
    except (NetmikoBaseException, paramiko.SSHException, OSError, EOFError, ValueError) as error:
        failure = _explained(target, error)
    else:
        return connection
    raise failure


def _known_as(target: DeviceTarget) -> str:
    return target.address if target.port == 22 else f"[{target.address}]:{target.port}"


def _host_key(target: DeviceTarget) -> paramiko.PKey:
    try:
        entry = paramiko.hostkeys.HostKeyEntry.from_line(f"{_known_as(target)} {target.host_key}")
    except (paramiko.SSHException, ValueError):
        entry = None
    if entry is None or entry.key is None:
        raise HostKeyError(f"{target.station}: the host key in the network files can't be read.")
    return entry.key


def _explained(target: DeviceTarget, error: BaseException) -> DeviceError:
    """The error in our own words, from what lies at its bottom."""
    where = f"{target.station} ({target.address} port {target.port})"
    chain: list[BaseException] = []
    at: BaseException | None = error
    while at is not None:
        chain.append(at)
        at = at.__cause__ or at.__context__
    if any(isinstance(one, paramiko.BadHostKeyException) or "not found in known_hosts" in str(one) for one in chain):
        return HostKeyError(f"{where} showed another host key than the network files pin; nothing was sent to it.")
    if any(isinstance(one, NetmikoAuthenticationException | paramiko.AuthenticationException) for one in chain):
        return AuthenticationError(f"{where} refused user {target.username} with credential {target.credential}.")
    return UnreachableError(f"{where} opened no session ({type(chain[-1]).__name__}).")
