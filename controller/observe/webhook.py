"""Escalations over HTTP."""

from __future__ import annotations

import httpx
import structlog

from controller.models.alarm import Alarm
from controller.models.errors import MinkaError

log = structlog.get_logger()


class WebhookNotifier:
    """Posts escalations as JSON ``{"alarm": …, "reason": …}``; without a URL they are logged only.

    At least once: the same alarm may come again after a crash or a lost answer, with the same
    ``Idempotency-Key`` header.
    """

    def __init__(self, url: str) -> None:
        self._url = url

    async def escalate(self, alarm: Alarm, reason: str) -> None:
        """See ``controller.ports.notifier.Notifier``."""
        log.error("alarm.escalated", alarm=alarm.id, station=alarm.station, reason=reason)
        if not self._url:
            return
        try:
            async with httpx.AsyncClient(timeout=10) as client:
                answer = await client.post(
                    self._url,
                    json={"alarm": alarm.model_dump(mode="json"), "reason": reason},
                    headers={"Idempotency-Key": f"escalate-{alarm.id}"},
                )
                answer.raise_for_status()
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise MinkaError(f"the escalation webhook did not take alarm {alarm.id}: {type(error).__name__}") from error
