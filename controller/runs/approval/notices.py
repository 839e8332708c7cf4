"""Notifies sides of planned work and of incidents, by a webhook if there is one, and by their contacts."""

from __future__ import annotations

import structlog

from controller.access.messages import NoticeContent, NoticesContent
from controller.intent.gathering import gather
from controller.models.approval import Delivery, ToldNotice
from controller.models.errors import MessageRefusedError, MinkaError
from controller.ports.clock import Clock
from controller.ports.webhook import Contacts, Webhook
from controller.runs.approval.deliveries import Deliveries
from controller.store import AsyncStore

log = structlog.get_logger()


class Notices:
    """Puts notices on record as runs and incidents progress, and sends them, at least once each.

    Args:
        store: The record.
        webhook: Who passes all of them on; None where there is nobody.
        contacts: How contacts of the network files are notified.
        clock: Source of time.
    """

    def __init__(self, store: AsyncStore, webhook: Webhook | None, contacts: Contacts, clock: Clock) -> None:
        self._store = store
        self._webhook = webhook
        self._contacts = contacts
        self._deliveries: Deliveries[Delivery] = Deliveries(store.notices, self._post, clock)

    async def step(self) -> None:
        """One round. A failed notice is sent again in a later one, and does not delay others."""
        await self._store.notices.write()
        await self._store.notices.address(webhook=self._webhook is not None)
        await self._deliveries.step()

    async def settle(self) -> None:
        """Wait for notices that are being sent."""
        await self._deliveries.settle()

    async def _post(self, one: Delivery) -> None:
        try:
            await self._tell(one, await self._content(one))
        except MessageRefusedError as error:
            await self._store.notices.refuse(one, error.message)
            raise
        except MinkaError:
            raise
        except Exception:
            # A bug at one notice keeps no others from their receiver.
            await self._store.notices.refuse(one, "it can't be made")
            raise

    async def _content(self, one: Delivery) -> NoticeContent | NoticesContent:
        """The content of a message: its notice, or what it comes to where these are several."""
        if one.count == 1:
            return NoticeContent(notice=ToldNotice.of(one.notice))
        listed = await self._store.notices.gathered(one)
        _, network = await self._store.networks.get()
        together = gather(listed, network)
        return NoticesContent(notices=together, text=together.text)

    async def _tell(self, one: Delivery, content: NoticeContent | NoticesContent) -> None:
        if not one.to:
            if self._webhook is None:
                raise MinkaError("the webhook is not set up: set MINKA_NOTIFY_URL")
            await self._webhook.post(content.model_dump(mode="json"), one.key)
            return
        _, network = await self._store.networks.get()
        contact = next((known for known in network.contacts_of(one.notice.tenant) if known.id == one.to), None)
        if contact is None:
            log.info("notice.contact_gone", notice=one.notice.id, side=one.notice.tenant, contact=one.to)
            return
        await self._contacts.notify(contact, content, one.key)
