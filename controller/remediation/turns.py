"""Turns of alarms: a storm of one tenant's alarms delays the repair of no others, and small faults that of no grave."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from heapq import heappop, heappush

from controller.remediation.gravity import Rank

#: Alarms worked on at the same time: in all, and of one group.
_AT_ONCE, _OF_ONE = 50, 25
#: The key of a group of alarms that takes turns with others: the tenants that they concern.
Group = tuple[str, ...]


class Turns:
    """Works on several alarms at the same time; groups take turns, and within a group the lowest rank goes first.

    Each alarm is worked on by a task of its own, so that a slow station delays no other's repair.

    Args:
        work: Works on one alarm; it must not raise.
    """

    def __init__(self, work: Callable[[str], Awaitable[None]]) -> None:
        self._work = work
        #: Alarms that wait, with their group and their rank in it.
        self._places: dict[str, tuple[Group, Rank]] = {}
        #: The same by group in order of rank, the group that is next first; with places that are left by now.
        self._waiting: dict[Group, list[tuple[Rank, str]]] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._of: Counter[Group] = Counter()

    def works_on(self, alarm_id: str) -> bool:
        """Whether an alarm is worked on."""
        return alarm_id in self._tasks

    @property
    def busy(self) -> bool:
        """Whether any alarm waits or is worked on."""
        return bool(self._places or self._tasks)

    def add(self, alarm_id: str, group: Group, rank: Rank) -> None:
        """Let an alarm that is not worked on wait for its turn; one that waits already gets this place instead."""
        if self._places.get(alarm_id) != (group, rank):
            self._places[alarm_id] = group, rank
            heappush(self._waiting.setdefault(group, []), (rank, alarm_id))

    def begin(self) -> None:
        """Begin work on as many alarms as allowed."""
        while len(self._tasks) < _AT_ONCE and (taken := self._next()):
            alarm_id, group = taken
            self._of[group] += 1
            self._tasks[alarm_id] = asyncio.create_task(self._take(alarm_id, group))

    def _next(self) -> tuple[str, Group] | None:
        """The alarm whose turn it is, if one may begin."""
        for group in [one for one in self._waiting if self._of[one] < _OF_ONE]:
            waiting = self._waiting.pop(group)
            while waiting:
                rank, alarm_id = heappop(waiting)
                if self._places.get(alarm_id) == (group, rank):
                    del self._places[alarm_id]
                    if waiting:
                        self._waiting[group] = waiting
                    return alarm_id, group
        return None

    async def _take(self, alarm_id: str, group: Group) -> None:
        try:
            await self._work(alarm_id)
        finally:
            del self._tasks[alarm_id]
            self._of[group] -= 1
            if not self._of[group]:
                del self._of[group]
        self.begin()

    async def settle(self) -> None:
        """Wait until no alarm is left."""
        while self._tasks:
            await asyncio.wait(self._tasks.values())
