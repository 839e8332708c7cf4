"""Messages of playbooks by e-mail, through a relay (RFC 5321, RFC 8314)."""

from __future__ import annotations

import asyncio
import smtplib
import ssl
from collections.abc import Callable, Mapping, Sequence
from email.message import EmailMessage
from typing import Any
from urllib.parse import unquote, urlsplit

import structlog
from pydantic import SecretStr

from controller.models.errors import InputError, MessageRefusedError, NotTakenError, in_words

log = structlog.get_logger()

#: Seconds for the whole conversation with the relay.
_PATIENCE = 15
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
        try:
            await asyncio.to_thread(self._send, _message(content, key, self._sender, to))
        except (OSError, smtplib.SMTPException, ValueError, InputError) as error:
            # The relay's own words may repeat addresses, never the password.
            code = f"it answers {error.smtp_code}" if isinstance(error, smtplib.SMTPResponseException) else ""
            kind = MessageRefusedError if _is_about_content(error) else NotTakenError
            raise kind(f"the mail relay did not take the message: {code or in_words(error)}") from None
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

    def _send(self, message: EmailMessage) -> None:
        with self._connected() as relay:
            if self._relay.scheme == "starttls":
                relay.starttls(context=self._trust())
            if self._relay.username:
                relay.login(unquote(self._relay.username), self._password().get_secret_value())
            refused = relay.send_message(message)
        if refused:
            raise smtplib.SMTPRecipientsRefused(refused)

    def _connected(self) -> smtplib.SMTP:
        host, port = self._relay.hostname or "", self._relay.port or _PORTS[self._relay.scheme]
        if self._relay.scheme == "smtps":
            return smtplib.SMTP_SSL(host, port, timeout=_PATIENCE, context=self._trust())
        return smtplib.SMTP(host, port, timeout=_PATIENCE)

    def _trust(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self._authority or None)


def _is_about_content(error: Exception) -> bool:
    """Whether a relay refuses the text of a message for good (RFC 5321 §3.3, §4.2.1), or it can't be written."""
    if isinstance(error, smtplib.SMTPDataError):
        return error.smtp_code >= 500
    return isinstance(error, ValueError)


def _message(content: Mapping[str, Any], key: str, sender: str, to: Sequence[str]) -> EmailMessage:
    text = str(content.get("text", ""))
    message = EmailMessage()
    first = " ".join(text.split("\n", 1)[0].split())
    message["Subject"] = f"{content.get('station', 'Minka')}: {first}"[:200]
    message["From"] = sender
    message["To"] = ", ".join(to)
    message["Message-ID"] = f"<{key}@{sender.rpartition('@')[2]}>"
    # Stops automatic answers, such as out-of-office notes (RFC 3834).
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(text)
    return message
