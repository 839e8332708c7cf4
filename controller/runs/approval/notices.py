"""Tells tenants of planned work, its beginning and its end, over a webhook where there is one."""

from __future__ import annotations

import structlog

from controller.models.errors import MinkaError
from controller.ports.store import AsyncStore
from controller.ports.webhook import Webhook

log = structlog.get_logger()

#: Notices that are sent in one round.
_AT_ONCE = 100


class Notices:
    """Puts notices on record as runs move on, and sends them, at least once each, the oldest first.

    Args:
        store: The record.
        webhook: Who passes them on; None where there is nobody: then they are on record only.
    """

    def __init__(self, store: AsyncStore, webhook: Webhook | None) -> None:
        self._store = store
        self._webhook = webhook

    async def step(self) -> None:
        """One round. One that is not taken is sent again in the next, and keeps no other from being sent."""
        await self._store.notices.write()
        if self._webhook is None:
            # Once there is a webhook, tenants are not told of what is long over.
            await self._store.notices.withhold()
            return
        for notice in await self._store.notices.unsent(_AT_ONCE):
            try:
                await self._webhook.post({"notice": notice.model_dump(mode="json", exclude={"sent"})}, notice.id)
            except MinkaError as error:
                log.warning("notice.not_sent", notice=notice.id, tenant=notice.tenant, reason=error.message)
                continue
            await self._store.notices.mark_sent(notice.id)
