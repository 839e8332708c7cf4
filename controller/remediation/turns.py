"""Turns of alarms: a storm of one tenant's alarms does not delay the repair of others."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable

#: Alarms worked on at the same time: in all, and of one group.
_AT_ONCE, _OF_ONE = 50, 25
#: The key of a group of alarms that takes turns with others: the tenants that they concern.
Group = tuple[str, ...]


class Turns:
    """Works on several alarms at the same time; groups take turns, and within a group the oldest goes first.

    Each alarm is worked on by a task of its own, so that a slow station delays no other's repair.

    Args:
        work: Works on one alarm; it must not raise.
    """

    def __init__(self, work: Callable[[str], Awaitable[None]]) -> None:
        self._work = work
        #: Groups with waiting alarms; the next one first.
        self._waiting: dict[Group, dict[str, None]] = {}
        self._known: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._of: Counter[Group] = Counter()

    def __contains__(self, alarm_id: str) -> bool:
        """Whether an alarm waits or is worked on."""
        return alarm_id in self._known

    @property
    def busy(self) -> bool:
        """Whether any alarm waits or is worked on."""
        return bool(self._known)

    def add(self, alarm_id: str, group: Group) -> None:
        """Add an alarm that is not known yet."""
        self._known.add(alarm_id)
        self._waiting.setdefault(group, {})[alarm_id] = None

    def begin(self) -> None:
        """Begin work on as many alarms as allowed."""
        while len(self._tasks) < _AT_ONCE:
            group = next((one for one in self._waiting if self._of[one] < _OF_ONE), None)
            if group is None:
                return
            waiting = self._waiting.pop(group)
            alarm_id = next(iter(waiting))
            del waiting[alarm_id]
            if waiting:
                self._waiting[group] = waiting
            self._of[group] += 1
            self._tasks.add(asyncio.create_task(self._take(alarm_id, group)))

    async def _take(self, alarm_id: str, group: Group) -> None:
        task = asyncio.current_task()
        assert task is not None
        try:
            await self._work(alarm_id)
        finally:
            self._known.discard(alarm_id)
            self._tasks.discard(task)
            self._of[group] -= 1
            if not self._of[group]:
                del self._of[group]
        self.begin()

    async def settle(self) -> None:
        """Wait until no alarm is left."""
        while self._tasks:
            await asyncio.wait(self._tasks)
