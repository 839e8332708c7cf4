"""Messages over HTTP: of playbooks, notices to tenants, and escalations."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import structlog

from controller.models.alarm import Alarm
from controller.models.errors import MinkaError

log = structlog.get_logger()

#: Seconds of one call at most, whoever drips its answer: others take a claim over after twice as long.
_LONGEST = 30.0


class HttpWebhook:
    """Posts JSON to one URL, with the ``Idempotency-Key`` header.

    See ``controller.ports.playbooks.Webhook`` and ``controller.ports.notifier.Notifier``.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        if url:
            import httpx  # noqa: F401, PLC0415 - loaded before the first message, which would keep the loop waiting

    async def post(self, content: Mapping[str, Any], key: str) -> None:
        """Post once. Raises MinkaError if there is no URL, or no success."""
        if not self._url:
            raise MinkaError("the webhook is not set up: set MINKA_NOTIFY_URL")
        import httpx  # noqa: PLC0415 - most processes notify nobody

        try:
            async with asyncio.timeout(_LONGEST), httpx.AsyncClient(timeout=10) as client:
                answer = await client.post(self._url, json=dict(content), headers={"Idempotency-Key": key})
                answer.raise_for_status()
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            raise MinkaError(f"the webhook did not take the message: {type(error).__name__}") from error
        log.info("webhook.posted", key=key)

    async def escalate(self, alarm: Alarm, reason: str, key: str) -> None:
        """Log an escalation, and post it as ``{"alarm": …, "reason": …}`` if there is a URL; raises as ``post``."""
        log.error("alarm.escalated", alarm=alarm.id, station=alarm.station, reason=reason)
        if self._url:
            await self.post({"alarm": alarm.model_dump(mode="json"), "reason": reason}, key)
