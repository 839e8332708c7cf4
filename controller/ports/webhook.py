"""A webhook of another program."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


class Webhook(Protocol):
    """Tells another program of something."""

    async def post(self, content: Mapping[str, Any], key: str) -> None:
        """Post JSON, at least once; the same ``key`` marks repetitions. Raises MinkaError if it was not taken."""
        ...


class FakeWebhook:
    """The shipped fake: remembers by key what was posted."""

    def __init__(self) -> None:
        self.sent: dict[str, dict[str, Any]] = {}

    async def post(self, content: Mapping[str, Any], key: str) -> None:
        """Remember it."""
        self.sent[key] = dict(content)
