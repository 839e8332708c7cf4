"""Messages of playbooks over HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx
import structlog

from controller.models.errors import MinkaError

log = structlog.get_logger()


class HttpWebhook:
    """Posts JSON to one URL, with the ``Idempotency-Key`` header; see ``controller.ports.playbooks.Webhook``."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def post(self, content: Mapping[str, Any], key: str) -> None:
        """Post once. Raises MinkaError if there is no URL, or no success."""
        if not self._url:
            raise MinkaError("there is nobody to notify: set MINKA_NOTIFY_URL")
        try:
            async with httpx.AsyncClient(timeout=10) as client:
                answer = await client.post(self._url, json=dict(content), headers={"Idempotency-Key": key})
                answer.raise_for_status()
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise MinkaError(f"the webhook did not take the message: {type(error).__name__}") from error
        log.info("webhook.posted", key=key)
