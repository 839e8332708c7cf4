"""When each station is read: spread over time, and at once where there is a reason."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import datetime, timedelta
from hashlib import sha256

import structlog

from controller.assurance.checker import Check, Checker
from controller.assurance.work_slots import WorkSlots
from controller.models.errors import MinkaError, UnreachableError
from controller.models.network import Network
from controller.ports.clock import Clock
from controller.store import AsyncStore, Store

log = structlog.get_logger()

#: Checks at once, and the seconds after which a check that hangs gives up its place: unreachable stations, however
#: many, do not delay the checks of others.
_AT_ONCE, _HOLD = 200, 2.0
#: Seconds between the first checks of two new stations, which come before their first turns.
_APART = 0.05
#: Seconds until the next check of a station that is just being changed, or was just repaired.
_SOON = 2.0
#: Unreachable stations that are checked in a second, at most: as soon as one answers, its outage is over. As many again
#: of those that jobs have: what goes wrong in a soak has to be on record before the soak is over.
_OFTEN_PER_SECOND = 25
#: Shortest time between two checks of a station on request of others, who may ask without end.
_ASKED_APART = timedelta(seconds=5)
#: How long a station counts as just repaired after the repair of an alarm began.
_REPAIRED_IN = timedelta(minutes=10)


class Checks:
    """Checks each followed station every ``interval`` seconds, not all of them at once.

    These are its turns, which nothing moves, and whose place in the interval follows from the station's own id: tenants
    are told of a check by its turn, so that the time tells nobody what else there was to look for, nor how many others
    there are (``Health.told_at``).

    Unreachable stations, and those on which a job soaks, reads or waits, are checked more often; the fewer there are,
    the more often. Those that are just being changed are only looked at for whether they answer: at their turns, and
    while they do not.

    Args:
        worth: Whether a check of a station that is due can show anything new. A rehearsal knows this, and skips the
            turns of the others, unless the checker asks for them.

    Attributes:
        wanted: Stations that the checker asks for, until they are read.
    """

    def __init__(
        self,
        store: AsyncStore,
        checker: Checker,
        clock: Clock,
        interval: float,
        worth: Callable[[str], bool] = lambda station: True,
    ) -> None:
        self._store = store
        self._checker = checker
        self._clock = clock
        self._interval = interval
        self._worth = worth
        #: By station: its next check, its next turn, and its last turn by the clock.
        self._due: dict[str, float] = {}
        self._turns: dict[str, float] = {}
        self._passed: dict[str, datetime] = {}
        self._under_way: dict[str, asyncio.Task[None]] = {}
        self._checks: list[Check] = []
        self.wanted: set[str] = set()
        self._unreachable: set[str] = set()
        #: Stations that could not be read at their last check, for whatever reason.
        self._unread: set[str] = set()
        self._reserved: frozenset[str] = frozenset()
        self._slots = WorkSlots(clock, _AT_ONCE, _HOLD)

    def follow(self, stations: Collection[str]) -> None:
        """Check these stations and no others; each new one once soon, and from then on at its turns.

        Until its first turn a check counts as one of the time since when the station is followed.
        """
        self._checker.follow(stations)
        now, at = self._clock.monotonic(), self._clock.now()
        for index, station in enumerate(sorted(set(stations) - self._due.keys())):
            self._passed[station] = at
            self._turns[station] = now + self._interval * _place_of(station)
            self._plan(station, now + index * _APART)
        for station in self._due.keys() - set(stations):
            del self._due[station], self._turns[station]
            self._passed.pop(station, None)
        self._unreachable &= self._due.keys()
        self._unread &= self._due.keys()
        self.wanted &= self._due.keys()

    def poke(self, station: str) -> None:
        """Check a station as soon as possible."""
        if station in self._due:
            self._due[station] = self._clock.monotonic()

    @property
    def idle(self) -> bool:
        """Whether no check is under way or waits to be put on record."""
        return not self._under_way and not self._checks

    def turn_of(self, station: str) -> float:
        """When the next check of a station is due, in monotonic seconds."""
        return self._due[station]

    async def begin(self) -> None:
        """Begin to check the stations that are due; those just repaired come first.

        Those just being changed wait for their turns, unless they did not answer.
        """
        # By when the repair began, and not until it ends: a run that waits for people may wait for hours.
        at = self._clock.now()
        repaired, asked, self._reserved = await self._store.read(_with_a_reason, at - _REPAIRED_IN, tuple(self._due))
        for station in (station for station, read in asked.items() if read <= at - _ASKED_APART):
            self.poke(station)
        now = self._clock.monotonic()
        for station in repaired & self._due.keys():
            if self._due[station] > now + _SOON:
                self.poke(station)
        for station in self._reserved & self._due.keys():
            self._due[station] = min(self._due[station], now + self._apart(station))
        every = [station for station, at in self._due.items() if at <= now and station not in self._under_way]
        due = [station for station in every if station in self.wanted or self._worth(station)]
        in_turn = self._pass_turns(every)
        for station in set(every).difference(due):
            apart = self._apart(station)
            self._plan(station, self._due[station] + apart * (1 + (now - self._due[station]) // apart))
        if not due:
            return
        changing = await self._store.claims.in_transaction(self._reserved.intersection(due))
        soon = changing.keys() - self._unreachable | repaired
        waiting = changing.keys() - in_turn - self._unread
        _, network = await self._store.networks.get()
        for station in due:
            self._plan(station, now + (_SOON if station in soon else self._apart(station)))
            if station not in waiting:
                self.wanted.discard(station)
                self._under_way[station] = asyncio.create_task(self._check(network, station, changing.get(station)))

    async def record(self) -> None:
        """Put the checks since the last time on record; if the database is away, check the same stations again."""
        checks, self._checks = self._checks, []
        if not checks:
            return
        try:
            again = await self._checker.record(checks)
        except MinkaError:
            for check in checks:
                self.poke(check.station)
            raise
        self._unreachable -= {check.station for check in checks}
        self._unreachable |= {
            check.station for check in checks if check.reason == UnreachableError.code
        } & self._due.keys()
        self._unread -= {check.station for check in checks}
        self._unread |= {check.station for check in checks if check.reason} & self._due.keys()
        now = self._clock.monotonic()
        self.wanted |= again & self._due.keys()
        for station in self.wanted:
            self._due[station] = min(self._due[station], now + _SOON)
        for check in checks:
            if check.station in self._unreachable:
                self._due[check.station] = min(self._due[check.station], now + self._apart(check.station))

    def _pass_turns(self, stations: Collection[str]) -> frozenset[str]:
        """Note the turns of stations that have come, and return whose these are."""
        now, at, come = self._clock.monotonic(), self._clock.now(), set[str]()
        for station in stations:
            if (since := now - self._turns[station]) >= 0:
                self._passed[station] = at - timedelta(seconds=since % self._interval)
                self._turns[station] = now - since % self._interval + self._interval
                come.add(station)
        return frozenset(come)

    def _plan(self, station: str, at: float) -> None:
        """Plan the next check of a station, for its next turn at the latest."""
        self._due[station] = min(at, self._turns[station])

    def _apart(self, station: str) -> float:
        """Seconds between two regular checks of a station."""
        often = next((some for some in (self._unreachable, self._reserved) if station in some), None)
        if often is None:
            return self._interval
        return min(self._interval, max(_SOON, len(often) / _OFTEN_PER_SECOND))

    async def close(self) -> None:
        """Cancel the checks under way."""
        for task in self._under_way.values():
            task.cancel()
        await asyncio.gather(*self._under_way.values(), return_exceptions=True)

    async def _check(self, network: Network, station: str, changing: bool | None) -> None:
        at, turn = self._clock.now(), self._passed.get(station)
        try:
            check = await self._slots.paced(self._checker.check(network, station))
            # Not in one expression: ``record`` may have replaced the list when the check comes back.
            self._checks.append(replace(check, turn=turn, changing=changing))
        except MinkaError as error:
            log.warning("check.failed", station=station, code=error.code, reason=error.message)
        except Exception:
            log.exception("check.bug", station=station)
            self._checks.append(Check(station, at, None, failed=True))
        finally:
            del self._under_way[station]


def _place_of(station: str) -> float:
    """Where the turns of a station are in each interval, from 0 to 1."""
    return int.from_bytes(sha256(station.encode()).digest()[:8]) / (1 << 64)


def _with_a_reason(
    store: Store, since: datetime, followed: Collection[str]
) -> tuple[frozenset[str], dict[str, datetime], frozenset[str]]:
    """Stations whose repair began since then and is not over, those that somebody asked to have read, and jobs have."""
    return store.alarms.under_repair(since), store.healths.asked(), store.claims.busy(followed)
