"""A webhook of another program."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from controller.access.messages import MessageContent
from controller.models.errors import MessageRefusedError, NotTakenError
from controller.models.network import Contact


class Webhook(Protocol):
    """Sends something to another program."""

    async def post(self, content: Mapping[str, Any], key: str) -> None:
        """Post JSON, at least once; the same ``key`` marks repetitions.

        Raises:
            MessageRefusedError: It is refused for its content.
            NotTakenError: It was not accepted for another reason.
        """
        ...

    def lacks(self, content: Mapping[str, Any]) -> str:
        """Why this content can't be sent as it is set up, and what to set; empty if it can. Sends nothing."""
        ...


class Contacts(Protocol):
    """Notifies contacts of the network files, by e-mail or by their own webhook."""

    async def notify(self, contact: Contact, content: MessageContent, key: str) -> None:
        """Send it once: its ``text`` by e-mail, all of it as JSON to a webhook.

        The same ``key`` marks repetitions.

        Raises:
            MessageRefusedError: It is refused for its content.
            NotTakenError: It was not accepted for another reason.
            MinkaError: It can't be sent, as without the key that signs it.
        """
        ...


class FakeContacts:
    """The shipped fake: remembers in order what was sent to whom.

    Contacts in ``away`` take nothing, and none takes what contains a word of ``refused``.
    """

    def __init__(self) -> None:
        self.sent: list[tuple[str, dict[str, Any], str]] = []
        self.away: set[str] = set()
        self.refused: set[str] = set()

    async def notify(self, contact: Contact, content: MessageContent, key: str) -> None:
        """Remember it as JSON."""
        body = content.model_dump(mode="json")
        if contact.id in self.away:
            raise NotTakenError(f"{contact.id} is away")
        if any(word in str(body) for word in self.refused):
            raise MessageRefusedError(f"{contact.id} refuses it")
        self.sent.append((contact.id, body, key))


class FakeWebhook:
    """The shipped fake: remembers posted content by key; what ``missing`` says is not set up."""

    def __init__(self, missing: str = "") -> None:
        self.sent: dict[str, dict[str, Any]] = {}
        self.missing = missing

    def lacks(self, content: Mapping[str, Any]) -> str:
        """What is missing."""
        return self.missing

    async def post(self, content: Mapping[str, Any], key: str) -> None:
        """Remember it."""
        self.sent[key] = dict(content)
