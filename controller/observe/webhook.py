"""Messages over HTTP: of playbooks, notices to sides and their contacts, and escalations."""

from __future__ import annotations

import asyncio
import hmac
import socket
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import orjson
import structlog

from controller.access.messages import MessageContent
from controller.models.alarm import PAGE, Alarm
from controller.models.dispatch import DispatchPack
from controller.models.errors import MessageRefusedError, NotTakenError, in_words
from controller.models.network import Contact
from controller.ports.clock import Clock
from controller.ports.secrets import Secrets
from controller.ports.webhook import Webhook

log = structlog.get_logger()

#: Longest call in seconds, also with a server that drips its answer: a claim is taken over after twice as long.
_LONGEST = 30.0
#: Statuses by which a receiver refuses the content that it got, and not whoever sends it (RFC 9110 §15.5).
_REFUSALS = frozenset({400, 413, 415, 422})


class HttpWebhook:
    """Posts JSON to one URL, with the ``Idempotency-Key`` header.

    See ``controller.ports.webhook.Webhook`` and ``controller.ports.notifier.Notifier``.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        if url:
            import httpx  # noqa: F401, PLC0415 - loaded before the first message, which would keep the loop waiting

    async def post(self, content: Mapping[str, Any], key: str) -> None:
        """Post once. Raises NotTakenError if there is no URL, or no success."""
        if missing := self.lacks(content):
            raise NotTakenError(missing)
        await _post(self._url, orjson.dumps(dict(content)), {"Idempotency-Key": key})
        log.info("webhook.posted", key=key)

    def lacks(self, content: Mapping[str, Any]) -> str:
        """Do what the port says."""
        return "" if self._url else "the webhook is not set up: set MINKA_NOTIFY_URL"

    async def escalate(self, alarm: Alarm, reason: str, key: str, dispatch: DispatchPack, kind: str = PAGE) -> None:
        """Log an escalation, and post it as ``{"kind": …, "alarm": …, "reason": …, "dispatch": …}`` if there is a URL.

        Raises as ``post``.
        """
        log.error("alarm.escalated", alarm=alarm.id, station=alarm.station, reason=reason)
        if self._url:
            body = {
                "kind": kind,
                "alarm": alarm.model_dump(mode="json"),
                "reason": reason,
                "dispatch": dispatch.model_dump(mode="json"),
            }
            await self.post(body, key)


class ContactPost:
    """Tells contacts of the network files; see ``controller.ports.webhook.Contacts``.

    A message to a webhook carries ``Minka-Timestamp`` (seconds of POSIX time) and ``Minka-Signature``, which is
    ``sha256=`` and the HMAC-SHA256, hex, of the timestamp, a dot, and the body as it is sent.

    Args:
        mail: Sends e-mail with the ``to`` and ``text`` of its content.
        secrets: Keys that sign messages to webhooks, by name.
        clock: Source of time.
    """

    def __init__(self, mail: Webhook, secrets: Secrets, clock: Clock) -> None:
        self._mail = mail
        self._secrets = secrets
        self._clock = clock

    async def notify(self, contact: Contact, content: MessageContent, key: str) -> None:
        """Send once. Raises NotTakenError if the receiver does not take it."""
        if contact.email is not None:
            await self._mail.post({"to": [contact.email], "text": content.text}, key)
            return
        url, name = contact.webhook or "", contact.credential or ""
        address = await _address_of(url)
        secret = self._secrets.resolve(name, address)
        body, at = orjson.dumps(content.model_dump(mode="json")), str(int(self._clock.now().timestamp()))
        signature = hmac.digest(secret.get_secret_value().encode(), f"{at}.".encode() + body, "sha256").hex()
        headers = {"Idempotency-Key": key, "Minka-Timestamp": at, "Minka-Signature": f"sha256={signature}"}
        await _post(url, body, headers)
        log.info("contact.notified", key=key, contact=contact.id)


async def _address_of(url: str) -> str:
    """IP address of a URL's host. Raises NotTakenError if it has none."""
    host = urlsplit(url).hostname or ""
    try:
        entries = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError as error:
        raise NotTakenError(f"the webhook's host has no address: {in_words(error)}") from error
    return str(entries[0][4][0])


async def _post(url: str, body: bytes, headers: Mapping[str, str]) -> None:
    """Post, and read no more of the answer than its status: a receiver may say anything, and compressed endlessly."""
    import httpx  # noqa: PLC0415 - most processes notify nobody

    sent = {"Content-Type": "application/json", **headers}
    try:
        async with (
            asyncio.timeout(_LONGEST),
            httpx.AsyncClient(timeout=10) as client,
            client.stream("POST", url, content=body, headers=sent) as answer,
        ):
            answer.raise_for_status()
    except httpx.HTTPStatusError as error:
        # The error's own message contains the address, and with it a possible password.
        said = f"it answers with status {error.response.status_code}"
        refused = error.response.status_code in _REFUSALS
        kind = MessageRefusedError if refused else NotTakenError
        raise kind(f"the webhook did not take the message: {said}") from error
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
        raise NotTakenError(f"the webhook did not take the message: {in_words(error)}") from error
