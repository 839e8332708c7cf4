"""Notifier: escalates to people what automation could not repair."""

from __future__ import annotations

from typing import Protocol

from controller.models.alarm import Alarm


class Notifier(Protocol):
    """Escalates an alarm to people."""

    async def escalate(self, alarm: Alarm, reason: str, key: str) -> None:
        """Deliver; ``key`` is the same for each attempt. Raises MinkaError where nobody took it: it is tried again."""
        ...


class FakeNotifier:
    """The shipped fake: remembers escalations."""

    def __init__(self) -> None:
        self.sent: list[tuple[Alarm, str]] = []
        self.keys: list[str] = []

    async def escalate(self, alarm: Alarm, reason: str, key: str) -> None:
        """Remember it."""
        self.sent.append((alarm, reason))
        self.keys.append(key)
