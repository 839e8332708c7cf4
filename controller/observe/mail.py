"""Messages of playbooks by e-mail, through a relay (RFC 5321, RFC 8314)."""

from __future__ import annotations

import asyncio
import contextlib
import smtplib
import socket
import ssl
from collections.abc import Callable, Mapping, Sequence
from email.message import EmailMessage
from typing import Any, BinaryIO
from urllib.parse import unquote, urlsplit

import structlog
from pydantic import SecretStr

from controller.models.errors import InputError, MessageRefusedError, NotTakenError, in_words
from controller.models.untrusted import visible

log = structlog.get_logger()

#: Seconds for the whole conversation with the relay.
_PATIENCE = 15
#: Bytes of one reply of the relay; one that offers much sends about a thousand.
_REPLY_BYTES = 65536
_PORTS = {"smtp": 25, "starttls": 587, "smtps": 465}


class MailRelay:
    """Sends messages through one relay; see ``controller.ports.webhook.Webhook``.

    Args:
        relay: ``smtp://host:port`` without encryption, ``starttls://…`` or ``smtps://…`` with a verified certificate,
            ``user@`` before the host to log in.
        sender: Address that they come from.
        recipients: Who gets the messages that name nobody.
        password: Called for the user's password, once for each message.
        authority: File with the certificates to trust; the system's if empty.
    """

    def __init__(
        self,
        relay: str,
        sender: str,
        recipients: Sequence[str],
        password: Callable[[], SecretStr],
        authority: str = "",
    ) -> None:
        self._relay = urlsplit(relay)
        self._sender = sender
        self._recipients = tuple(recipients)
        self._password = password
        self._authority = authority

    async def post(self, content: Mapping[str, Any], key: str) -> None:
        """Send once; the same key gives the same ``Message-ID``. Raises NotTakenError if the relay does not take it."""
        if missing := self._unset(content):
            raise NotTakenError(missing)
        to = self._to(content)
        call = _Call()
        timer = asyncio.get_running_loop().call_later(_PATIENCE, call.end)
        try:
            await asyncio.to_thread(self._send, content, key, to, call)
        except (OSError, smtplib.SMTPException, ValueError, InputError) as error:
            kind = MessageRefusedError if _is_about_content(error) else NotTakenError
            raise kind(f"the mail relay did not take the message: {_reason(error, call.ended)}") from None
        finally:
            timer.cancel()
            call.end()
        log.info("mail.sent", key=key)

    def lacks(self, content: Mapping[str, Any]) -> str:
        """Do what the port says; the password counts, too."""
        if missing := self._unset(content):
            return missing
        if self._relay.username:
            try:
                self._password()
            except (InputError, OSError) as error:
                return f"the password of the mail relay is not set up: {in_words(error)}"
        return ""

    def _unset(self, content: Mapping[str, Any]) -> str:
        found = {
            "MINKA_MAIL_RELAY": self._relay.hostname,
            "MINKA_MAIL_FROM": self._sender,
            "MINKA_MAIL_TO": self._to(content),
        }
        missing = [name for name, value in found.items() if not value]
        return f"e-mail is not set up: set {', '.join(missing)}" if missing else ""

    def _to(self, content: Mapping[str, Any]) -> tuple[str, ...]:
        return tuple(content.get("to") or self._recipients)

    def _send(self, content: Mapping[str, Any], key: str, to: Sequence[str], call: _Call) -> None:
        message = _message(content, key, self._sender, to)
        with self._connected(call) as relay:
            if self._relay.scheme == "starttls":
                relay.starttls(context=self._trust())
            if self._relay.username:
                relay.login(unquote(self._relay.username), self._password().get_secret_value())
            refused = relay.send_message(message)
        if refused:
            raise smtplib.SMTPRecipientsRefused(refused)

    def _connected(self, call: _Call) -> smtplib.SMTP:
        host, port = self._relay.hostname or "", self._relay.port or _PORTS[self._relay.scheme]
        if self._relay.scheme == "smtps":
            return _EncryptedSession(call, host, port, timeout=_PATIENCE, context=self._trust())
        return _Session(call, host, port, timeout=_PATIENCE)

    def _trust(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self._authority or None)


class _Call:
    """One conversation with the relay, which another thread can end; the time limit of smtplib is one for each read."""

    def __init__(self) -> None:
        self.ended = False
        self.session: smtplib.SMTP | None = None

    def end(self) -> None:
        """Wake the thread that reads or writes; what it does next fails."""
        self.ended = True
        line = self.session.sock if self.session is not None else None
        if line is not None:
            with contextlib.suppress(OSError):
                # Not the method of an encrypted socket: it would go on without encryption.
                socket.socket.shutdown(line, socket.SHUT_RDWR)


class _EndlessReplyError(smtplib.SMTPServerDisconnected):
    """A reply does not end within its bound."""


class _Replies:
    """The relay's replies, line by line; for smtplib, one that goes beyond its bound ends there."""

    def __init__(self, lines: BinaryIO) -> None:
        self._lines = lines
        self._left = _REPLY_BYTES

    def begin(self) -> None:
        self._left = _REPLY_BYTES

    def readline(self, limit: int) -> bytes:
        line = self._lines.readline(limit)
        self._left -= len(line)
        # A line that was cut off says nothing, also where it begins with a code.
        cut = len(line) < limit and not line.endswith(b"\n")
        # Empty is the end for smtplib, which would hide an error that is raised here.
        return b"" if cut or self.endless else line

    @property
    def endless(self) -> bool:
        """Whether the last reply went beyond its bound."""
        return self._left < 0

    def close(self) -> None:
        self._lines.close()


class _Session(smtplib.SMTP):
    """A session whose conversation can be ended, and whose replies are bounded."""

    def __init__(self, call: _Call, *args: Any, **options: Any) -> None:
        self._call = call
        call.session = self
        super().__init__(*args, **options)

    def getreply(self) -> tuple[int, bytes]:
        """Do what smtplib does, within the bounds."""
        if self._call.ended:
            # It ended before there was a socket to wake, or while encryption was agreed upon.
            self.close()
            raise smtplib.SMTPServerDisconnected("the conversation is over")
        if self.sock is None:
            raise smtplib.SMTPServerDisconnected("the relay has left")
        replies = self.file = self.file or _Replies(self.sock.makefile("rb"))
        replies.begin()
        try:
            return super().getreply()
        except smtplib.SMTPServerDisconnected:
            if replies.endless:
                raise _EndlessReplyError from None
            raise


class _EncryptedSession(_Session, smtplib.SMTP_SSL):
    """The same, encrypted from its first byte."""


def _reason(error: Exception, ended: bool) -> str:
    """Why it failed; the relay's own words may repeat addresses, never the password."""
    if isinstance(error, smtplib.SMTPResponseException):
        return f"it answers {error.smtp_code}"
    if isinstance(error, _EndlessReplyError):
        return f"a reply is longer than {_REPLY_BYTES} bytes"
    return f"it did not come to an end within {_PATIENCE} s" if ended else in_words(error)


def _is_about_content(error: Exception) -> bool:
    """Whether a relay refuses the text of a message for good (RFC 5321 §3.3, §4.2.1), or it can't be written."""
    if isinstance(error, smtplib.SMTPDataError):
        return error.smtp_code >= 500
    return isinstance(error, ValueError)


def _message(content: Mapping[str, Any], key: str, sender: str, to: Sequence[str]) -> EmailMessage:
    """The message. Its text may repeat words of stations and alarm sources."""
    lines = str(content.get("text", "")).splitlines() or [""]
    message = EmailMessage()
    message["Subject"] = _header(f"{content.get('station', 'Minka')}: {' '.join(lines[0].split())}")
    message["From"] = sender
    message["To"] = ", ".join(to)
    message["Message-ID"] = f"<{key}@{sender.rpartition('@')[2]}>"
    # Stops automatic answers, such as out-of-office notes (RFC 3834).
    message["Auto-Submitted"] = "auto-generated"
    message.set_content("\n".join(visible(line.replace("\t", " ")) for line in lines))
    return message


def _header(text: str) -> str:
    """A text as a header may have it: the library decodes encoded words (RFC 2047) in it, line breaks and all."""
    return visible(text).replace("=?", "= ?")[:200]
