"""Messages of playbooks over syslog (RFC 5424), by UDP (RFC 5426), TCP (RFC 6587) or TLS (RFC 5425)."""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import structlog

from controller.models.errors import MinkaError, in_words
from controller.models.untrusted import visible
from controller.ports.clock import Clock

log = structlog.get_logger()

#: Facility local0, severity notice (RFC 5424 §6.2.1).
_PRIORITY = 16 * 8 + 5
#: Private enterprise number that is reserved for documentation (RFC 5612): Minka has none of its own.
_ELEMENT = "minka@32473"
_PORTS = {"udp": 514, "tcp": 601, "tls": 6514}
_PATIENCE = 15
#: Largest message in bytes that every receiver takes over UDP (RFC 5426 §3.2).
_LONGEST = 2048


class Syslog:
    """Sends messages to one collector; see ``controller.ports.webhook.Webhook``.

    Args:
        url: ``udp://host:port``, ``tcp://…`` or ``tls://…`` with a verified certificate.
        clock: Source of time.
        authority: File with the certificates to trust; the system's if empty.
    """

    def __init__(self, url: str, clock: Clock, authority: str = "") -> None:
        self._url = urlsplit(url)
        self._clock = clock
        self._authority = authority

    async def post(self, content: Mapping[str, Any], key: str) -> None:
        """Send once, with the key in its structured data. Over UDP nobody knows whether it arrives.

        Raises:
            MinkaError: There is no collector, or it can't be reached.
        """
        if missing := self.lacks(content):
            raise MinkaError(missing)
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._send(self._message(content, key))
        except (OSError, TimeoutError) as error:
            raise MinkaError(f"the syslog collector did not take the message: {in_words(error)}") from error
        log.info("syslog.sent", key=key)

    def lacks(self, content: Mapping[str, Any]) -> str:
        """Do what the port says."""
        return "" if self._url.hostname else "syslog is not set up: set MINKA_SYSLOG"

    async def _send(self, message: bytes) -> None:
        host, port = self._url.hostname or "", self._url.port or _PORTS[self._url.scheme]
        if self._url.scheme == "udp":
            loop = asyncio.get_running_loop()
            transport, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, remote_addr=(host, port))
            transport.sendto(message[:_LONGEST])
            transport.close()
            return
        trust = ssl.create_default_context(cafile=self._authority or None) if self._url.scheme == "tls" else None
        _, writer = await asyncio.open_connection(host, port, ssl=trust)
        try:
            writer.write(str(len(message)).encode() + b" " + message)  # octet counting (RFC 6587 §3.4.1)
            await writer.drain()
        finally:
            writer.close()
            await writer.wait_closed()

    def _message(self, content: Mapping[str, Any], key: str) -> bytes:
        at = self._clock.now().isoformat(timespec="milliseconds")
        host = re.sub(r"[^!-~]", "", socket.gethostname())[:255] or "-"
        data = " ".join(
            f'{name}="{_escaped(value)}"' for name, value in (("station", content.get("station")), ("key", key))
        )
        text = visible(" ".join(str(content.get("text", "")).split()))
        head = f"<{_PRIORITY}>1 {at} {host} minka - notify [{_ELEMENT} {data}] "
        return head.encode() + b"\xef\xbb\xbf" + text.encode()


def _escaped(value: Any) -> str:
    """A parameter's value (RFC 5424 §6.3.3)."""
    return re.sub(r'([\\"\]])', r"\\\1", visible(" ".join(str(value or "").split())))
