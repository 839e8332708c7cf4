"""Escalations over HTTP."""

from __future__ import annotations

import asyncio

import httpx
import structlog

from controller.models.alarm import Alarm
from controller.models.errors import MinkaError

log = structlog.get_logger()

#: Seconds of one call at most, whoever drips its answer: others take a claim over after twice as long.
_LONGEST = 30.0


class WebhookNotifier:
    """Posts escalations as JSON ``{"alarm": …, "reason": …}``; without a URL they are logged only.

    After a lost answer the same may come again, with the same ``Idempotency-Key`` header.
    """

    def __init__(self, url: str) -> None:
        self._url = url

    async def escalate(self, alarm: Alarm, reason: str, key: str) -> None:
        """See ``controller.ports.notifier.Notifier``."""
        log.error("alarm.escalated", alarm=alarm.id, station=alarm.station, reason=reason)
        if not self._url:
            return
        try:
            async with asyncio.timeout(_LONGEST), httpx.AsyncClient(timeout=10) as client:
                answer = await client.post(
                    self._url,
                    json={"alarm": alarm.model_dump(mode="json"), "reason": reason},
                    headers={"Idempotency-Key": key},
                )
                answer.raise_for_status()
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            raise MinkaError(f"the escalation webhook did not take alarm {alarm.id}: {type(error).__name__}") from error
