"""Notifier: tells people what automation could not do."""

from __future__ import annotations

from typing import Protocol

from controller.models.alarm import Alarm


class Notifier(Protocol):
    """Escalates an alarm to people."""

    async def escalate(self, alarm: Alarm, reason: str) -> None:
        """Deliver once; raises MinkaError if it could not, so that the caller tries again later."""
        ...


class FakeNotifier:
    """The shipped fake: remembers escalations."""

    def __init__(self) -> None:
        self.sent: list[tuple[Alarm, str]] = []

    async def escalate(self, alarm: Alarm, reason: str) -> None:
        """Remember it."""
        self.sent.append((alarm, reason))
