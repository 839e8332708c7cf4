"""A router's command line over netmiko: one blocking connection with a pinned host key.

Nothing that this module raises carries a cause or a context: frames of the SSH library hold secrets.
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import paramiko
from netmiko.base_connection import log as netmiko_log
from netmiko.cisco.cisco_ios import CiscoIosSSH
from netmiko.exceptions import NetmikoAuthenticationException, NetmikoBaseException
from paramiko.packet import Packetizer
from pydantic import SecretStr

from controller.drivers.cli.target import CliTarget
from controller.models.errors import (
    AuthenticationError,
    DeviceError,
    DeviceRefusedError,
    HostKeyError,
    HostKeyUnreadableError,
    InputError,
    SessionLostError,
    UnreachableError,
    in_words,
)
from controller.models.metrics import Observations
from controller.ports.clock import SystemClock
from controller.ports.secrets import Secrets

#: The prompt under any host name, since the name may change during a session. It fills the last line.
PROMPT = r"^[\w.:/-]+(?:\([\w.:/-]+\))?[#>] ?\Z"
_ASKS_SECRET = r"[Pp]assword: ?\Z"  # noqa: S105 - a question, no answer
_CONFIGURING = re.compile(r"\(config[^)\n]*\)# ?\Z")
#: The answer to a refused line. Notices and log messages look much the same.
_NOTICES = r" ?(?:IPv4 and IPv6 addresses|Interface \S+ IPv4 disabled)|[A-Z0-9_]+-\d-"
_REFUSED = re.compile(
    rf"^[ \t]*+(?:%(?!{_NOTICES}).*|Bad mask.*|Not a valid host address.*|.*rejected.*)", re.MULTILINE
)
#: How FRRouting's shell reports that a daemon is down, beside the answer or in its place.
_AWAY = re.compile(r"(?m)connecting to \S+?\.\.\.failed|closing connection to \S+ because|^\w+ is not running")
#: A log message that comes between the lines of an answer.
_LOG = re.compile(r"^[*.]?[A-Z][a-z]{2} +\d+ [\d:.].*: %[A-Z0-9_]+-\d-.*(?:\n|\Z)", re.MULTILINE)
#: A run of carriage returns is one match, so that a long one is read once.
_LINE_FEED = re.compile(r"\n\r|(\r+)(\n?)")
#: How a line editor (readline) switches bracketed paste around its prompt.
_PASTES = re.compile(r"\x1b\[\?2004[hl]")
#: Control characters, which no configuration needs.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")
#: Bytes of the longest answer, and of the longest prompt.
_MOST, _LAST = 4 * 2**20, 256
#: Bytes that are taken before the router proved its host key, and those of the longest message after that.
_HEARD, _LONGEST = 32 * 1024, 256 * 1024
_CLOCK = SystemClock()
#: The name of all configuration lines in the metric of response times.
_OF_CONFIGURATION = "configuration line"
_PRIVATE_KEYS = (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey)


@dataclass(frozen=True, slots=True)
class Login:
    """Secrets of one router."""

    password: SecretStr | None
    key: paramiko.PKey | None
    enable: SecretStr | None


def login_of(target: CliTarget, address: str, secrets: Secrets) -> Login:
    """The secrets of a target at an IP address: a password or a private key, and the enable secret.

    Raises:
        AuthenticationError: A credential is not for that address, does not resolve, or holds an unreadable key.
    """
    try:
        secret = secrets.resolve(target.credential, address)
        enable = secrets.resolve(target.enable_credential, address) if target.enable_credential else None
    except InputError as error:
        failure = AuthenticationError(f"{target.device}: {error.message}")
    else:
        if "PRIVATE KEY-----" not in secret.get_secret_value():
            return Login(secret, None, enable)
        for kind in _PRIVATE_KEYS:
            try:
                return Login(None, kind.from_private_key(io.StringIO(secret.get_secret_value())), enable)
            except paramiko.SSHException:
                continue
        failure = AuthenticationError(f"{target.device}: the key in {target.credential} can't be read.")
    raise failure


class _TooMuchSaidError(paramiko.SSHException):  # type: ignore[misc]
    """The router sent more than is taken; the text is in our own words."""


class _Bounded(Packetizer):  # type: ignore[misc]
    """paramiko's reader of messages, which by itself takes lines without end and messages of up to 4 GiB."""

    _unproved = 0

    def read_all(self, n: int, check_rekey: bool = False) -> bytes:
        """Read so many bytes, if the router may send them."""
        if n > _LONGEST:
            raise _TooMuchSaidError(f"it sent a message of more than {_LONGEST} bytes")
        if not self._initial_kex_done:
            self._hear(n)
        read: bytes = super().read_all(n, check_rekey)
        return read

    def _read_timeout(self, timeout: float) -> bytes:
        """Read a part of a line, all of which come before the host key."""
        read: bytes = super()._read_timeout(timeout)
        self._hear(len(read))
        return read

    def _hear(self, size: int) -> None:
        self._unproved += size
        if self._unproved > _HEARD:
            raise _TooMuchSaidError(f"it sent more than {_HEARD} bytes before it proved its host key")


class _Pinned(CiscoIosSSH):  # type: ignore[misc]
    """netmiko's driver, limited to one known host key, and in what it takes."""

    pinned: ClassVar[tuple[str, paramiko.PKey]]

    def _connect_params_dict(self) -> dict[str, Any]:
        made: dict[str, Any] = super()._connect_params_dict()
        return made | {"transport_factory": partial(paramiko.Transport, packetizer_class=_Bounded)}

    def _build_ssh_client(self) -> paramiko.SSHClient:
        client = paramiko.SSHClient()
        client.set_missing_host_key_policy(paramiko.RejectPolicy())
        name, key = self.pinned
        client.get_host_keys().add(name, key.get_name(), key)
        return client


class CliLine:
    """One connection; blocking, for use in threads.

    Args:
        target: The router.
        login: Its secrets.
        connect_timeout: Seconds for opening.
        timeout: Seconds to wait for an answer.
        observations: Gets the response times.

    Raises:
        HostKeyError: Another host key than the pinned one was shown; no credential was sent.
        AuthenticationError: The credential was refused.
        UnreachableError: Anything else went wrong.
    """

    #: What ``ask`` waits for by default.
    prompt = PROMPT

    def __init__(
        self,
        target: CliTarget,
        login: Login,
        connect_timeout: float,
        timeout: float,
        observations: Observations | None = None,
    ) -> None:
        self._observations = observations or Observations()
        self._station = target.device
        self._where = f"{target.device} ({target.address} port {target.port})"
        self._timeout = timeout
        connection = _connected(target, login, connect_timeout)
        self._client: paramiko.SSHClient = connection.remote_conn_pre
        self._channel: paramiko.Channel = connection.remote_conn
        #: The IP address of the connection, also where the network files give a host name.
        self.peer = str(self._channel.get_transport().getpeername()[0])
        try:
            self._begin(login)
        except SessionLostError as lost:
            failure: DeviceError = UnreachableError(f"{self._where} opened no session: {lost.message}")
        except AuthenticationError as refused:
            failure = refused
        else:
            return
        self.close()
        raise failure

    def _begin(self, login: Login) -> None:
        """Read past all banners to the prompt, switch paging off, and become privileged."""
        said = self._read("", PROMPT, echo=False)
        for line in ("terminal width 511", "terminal length 0"):
            said = self.ask(line)
        if said.rstrip().endswith(">"):
            said = self.ask("enable", f"{PROMPT}|{_ASKS_SECRET}")
            if re.search(_ASKS_SECRET, said) and login.enable is not None:
                said = self.press(login.enable.get_secret_value(), f"{PROMPT}|{_ASKS_SECRET}")
        if not said.rstrip().endswith("#"):
            given = (
                "refused the secret of enable" if login.enable else "wants a secret of enable: give enable_credential"
            )
            raise AuthenticationError(f"{self._where} {given}.")

    def ask(self, line: str, ends: str = PROMPT) -> str:
        """Type a line and return the output up to the end pattern, without log messages.

        Raises:
            SessionLostError: The connection ended, the end pattern did not come in time, or the output is too long.
        """
        return self._asked(" ".join(line.split()[:2]), line, ends)

    def _asked(self, command: str, line: str, ends: str = PROMPT) -> str:
        """Type a line, and record its response time under the name of the command."""
        began, result = _CLOCK.monotonic(), "lost"
        try:
            said = self._read(f"{line}\n", ends, echo=True)
            result = "answered"
        finally:
            self._observations.took("minka_command_duration_seconds", _CLOCK.monotonic() - began, command, result)
        return said

    def press(self, keys: str, ends: str = PROMPT) -> str:
        """Answer a question; raises as ``ask``."""
        return self._read(f"{keys}\n", ends, echo=False)

    def _read(self, text: str, ends: str, *, echo: bool) -> str:
        try:
            self._channel.sendall(text.encode())
            return _LOG.sub("", _tidy(self._received(text.strip().encode() if echo else b"", ends)))
        except (paramiko.SSHException, OSError, EOFError) as error:
            reason = str(error) if isinstance(error, paramiko.SSHException) and str(error) else in_words(error)
        self.close()
        raise SessionLostError(f"{self._station}: the session ended or did not answer ({reason})")

    def _received(self, echo: bytes, ends: str) -> bytearray:
        """The output after the echo, up to the end pattern."""
        until = _CLOCK.monotonic() + self._timeout
        received, line = bytearray(), 0
        while True:
            self._channel.settimeout(max(0.01, until - _CLOCK.monotonic()))
            came = self._channel.recv(65536)
            if not came:
                raise EOFError
            # Each byte is searched once or twice, however small the pieces are.
            searched = max(0, len(received) - len(echo))
            received += came
            if len(received) > _MOST or _CLOCK.monotonic() > until:
                raise EOFError("no end of it")
            if echo:
                if (at := received.find(echo, searched)) < 0:
                    continue
                del received[: at + len(echo)]
                echo, searched = b"", 0
            line = max(line, received.rfind(b"\n", searched) + 1)
            if len(received) - line < _LAST and re.search(ends, _tidy(received[line:]).rpartition("\n")[2]):
                return received

    def configure(self, lines: tuple[str, ...]) -> None:
        """Type configuration lines until one is refused, and leave configuration mode in any case.

        Raises:
            DeviceRefusedError: A line was refused. Those before it took effect.
            SessionLostError: See ``ask``; or a daemon of the router went down, so nobody knows what took effect.
        """
        entered = self.ask("configure terminal")
        if not _CONFIGURING.search(entered.rpartition("\n")[2]):
            raise DeviceRefusedError(
                f"{self._station} does not allow configuration now: {' '.join(entered.split())[:200]}"
            )
        refused = ""
        for line in lines:
            said = self._asked(_OF_CONFIGURATION, line.strip())
            if away := _AWAY.search(said):
                self.close()
                raise SessionLostError(f"{self._station} did not take {line.strip()!r} as a whole: {away[0]}")
            found = _REFUSED.search(said)
            if found is not None:
                refused = f"{self._station} refused {line.strip()!r}: {found[0].strip()[:200]}"
                break
        self.ask("end")
        if refused:
            raise DeviceRefusedError(refused)

    def close(self) -> None:
        """Close the connection at once; any thread may call this, also twice."""
        self._channel.close()
        self._client.close()


def _tidy(received: bytes | bytearray) -> str:
    """Output of a terminal with plain line feeds and without control characters."""
    text = _PASTES.sub("", received.decode("utf-8", "replace"))
    return _CONTROL.sub("\ufffd", _LINE_FEED.sub(_line_feeds, text))


def _line_feeds(found: re.Match[str]) -> str:
    """Carriage returns before a line feed belong to it; others are line feeds themselves."""
    return "\n" if found[2] or not found[1] else "\n" * len(found[1])


def _connected(target: CliTarget, login: Login, connect_timeout: float) -> Any:
    driver = type("_PinnedHere", (_Pinned,), {"pinned": (_known_as(target), _host_key(target))})
    connection = driver(
        host=target.address,
        port=target.port,
        username=target.username,
        password=login.password.get_secret_value() if login.password else "",
        pkey=login.key,
        allow_agent=False,
        conn_timeout=connect_timeout,
        auth_timeout=connect_timeout,
        banner_timeout=connect_timeout,
        device_type="cisco_ios",
        auto_connect=False,
    )
    try:
        connection.establish_connection()
    except (NetmikoBaseException, paramiko.SSHException, OSError, EOFError, ValueError) as error:
        failure = _explained(target, error)
    else:
        return connection
    finally:
        # netmiko's logger gets a filter for each connection, which keeps the password until it is removed.
        netmiko_log.removeFilter(connection._secrets_filter)
    connection.paramiko_cleanup()
    raise failure


def _known_as(target: CliTarget) -> str:
    return target.address if target.port == 22 else f"[{target.address}]:{target.port}"


def _host_key(target: CliTarget) -> paramiko.PKey:
    try:
        entry = paramiko.hostkeys.HostKeyEntry.from_line(f"{_known_as(target)} {target.host_key}")
    except (paramiko.SSHException, ValueError, OverflowError):  # a negative exponent overflows
        entry = None
    if entry is None or entry.key is None:
        raise HostKeyUnreadableError(
            f"{target.device}: the host key in the network files can't be read: put in the one that the device shows."
        )
    return entry.key


def _explained(target: CliTarget, error: BaseException) -> DeviceError:
    """The error in our own words, from its first cause."""
    where = f"{target.device} ({target.address} port {target.port})"
    chain: list[BaseException] = []
    at: BaseException | None = error
    while at is not None:
        chain.append(at)
        at = at.__cause__ or at.__context__
    if any(isinstance(one, paramiko.BadHostKeyException) or "not found in known_hosts" in str(one) for one in chain):
        return HostKeyError(f"{where} showed another host key than the network files pin; nothing was sent to it.")
    if any(isinstance(one, NetmikoAuthenticationException | paramiko.AuthenticationException) for one in chain):
        return AuthenticationError(f"{where} refused user {target.username} with credential {target.credential}.")
    why = next((str(one) for one in chain if isinstance(one, _TooMuchSaidError)), in_words(chain[-1]))
    return UnreachableError(f"{where} opened no session ({why}).")
