"""Notifier: escalates alarms to people that automation could not repair."""

from __future__ import annotations

from typing import Protocol

from controller.models.alarm import PAGE, Alarm
from controller.models.dispatch import DispatchPack


class Notifier(Protocol):
    """Escalates an alarm to people."""

    async def escalate(self, alarm: Alarm, reason: str, key: str, dispatch: DispatchPack, kind: str = PAGE) -> None:
        """Deliver an alarm with its dispatch pack. ``key`` is the same for each attempt; ``kind`` says how to notify.

        Raises:
            NotTakenError: It was not delivered, and is tried again.
        """
        ...


class FakeNotifier:
    """The shipped fake: remembers escalations."""

    def __init__(self) -> None:
        self.sent: list[tuple[Alarm, str]] = []
        self.keys: list[str] = []
        self.kinds: list[str] = []
        self.packs: list[DispatchPack] = []

    async def escalate(self, alarm: Alarm, reason: str, key: str, dispatch: DispatchPack, kind: str = PAGE) -> None:
        """Remember it."""
        self.kinds.append(kind)
        self.packs.append(dispatch)
        self.sent.append((alarm, reason))
        self.keys.append(key)
