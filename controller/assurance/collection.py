"""Collection of performance data, from stations' files or from their latest period.

The record says when each station is collected, by whom, and what was taken of it: a worker that dies leaves nothing
behind but a lease that ends, and what two workers put there counts once. Each collection reads the whole folder, so
files that come late, and those of a time in which nobody could ask, are taken as long as the station keeps them.
"""

from __future__ import annotations

import asyncio
import hashlib
import threading
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import structlog

from controller.assurance.work_slots import WorkSlots
from controller.drivers.protocols import DeviceFiles, Devices, measuring
from controller.drivers.target import DeviceTarget
from controller.intent.central_units import counted_for, counts
from controller.models.collection import Collection
from controller.models.errors import (
    DeviceRefusedError,
    FileGoneError,
    InputError,
    MinkaError,
    NotFoundError,
    OversizedError,
)
from controller.models.health import OBSERVED_AFTER
from controller.models.measurement import DAY, ListedPlmns, Measured, Period, Unread
from controller.models.network import Network
from controller.performance.files import read_file
from controller.performance.vocabulary import lists_to_come, measured, names_positions
from controller.ports.clock import Clock
from controller.ports.queue import Wakeups
from controller.store import AsyncStore, CollectedFile, Store

log = structlog.get_logger()

#: Stations that are collected at once, and seconds after which a slow one gives up its slot.
_AT_ONCE, _HOLD = 64, 2.0
#: How long a worker may take for a station, before others may collect from it.
_LEASE = timedelta(minutes=5)
#: Seconds after a period's end for stations to write their files, and seconds over which stations are spread.
_SETTLE, _SPREAD = 60, 60
#: Most files in a folder, and files of one station that are collected at a time.
_MOST_FILES, _AT_A_TIME = 10_000, 100
#: Periods of one station after which no further file is collected at a time: all are written in one transaction.
_PERIODS_AT_A_TIME = 2_000
#: Most bytes of files that are fetched at once, and of a file that is fetched alone; this bounds memory.
_SMALL, _LARGE = 1 << 20, 32 << 20
#: Bytes of a file that are parsed before it is asked whether this process ends.
_PIECE = 1 << 16
#: Stations whose data is put on record together, and files that are parsed at once.
_TOGETHER, _READ_AT_ONCE = 25, 2
#: Seconds until the next attempt after a failure or for a late file; doubled with each failure, up to the next period.
_AGAIN = 60
#: Seconds until the next turn of a station with more files, so that others come first; doubled up to ``_AGAIN``.
_PACE = 1
#: How late a file may be for lists to be read to which its values refer; this bounds memory.
_LISTS_FOR = timedelta(days=7)
_SUFFIXES = (".xml", ".xml.gz")
#: Reasons for which whole periods are left out.
_PERIODS_UNREAD = (Unread.GRANULARITY, Unread.OFF_GRID, Unread.TOO_MANY)


def next_due(station: str, now: datetime, seconds: int) -> datetime:
    """When a station's next period should be available; stations are spread over a minute, each at its own second."""
    offset = _SETTLE + zlib.crc32(station.encode()) % _SPREAD
    passed = now.timestamp() - offset
    return datetime.fromtimestamp(passed - passed % seconds + seconds + offset, UTC)


def expected_end(now: datetime, seconds: int) -> datetime:
    """End of the latest period that should be on record."""
    return _begin(now - timedelta(seconds=_SETTLE), seconds)


def _begin(moment: datetime, seconds: int) -> datetime:
    """Begin of the period that contains a moment."""
    return datetime.fromtimestamp(moment.timestamp() - moment.timestamp() % seconds, UTC)


def seconds_of(network: Network) -> int:
    """Length of a network's periods; 0 if it has no performance data."""
    performance = network.header.performance
    return 0 if performance is None else performance.granularity_minutes * 60


class _ListsToComeError(Exception):
    """Values name PLMNs by their position in a list, and a check that is to come may tell in which order it is."""


class _EndedError(Exception):
    """This process ends: nobody waits until a file is read to its end."""


class CollectionSchedule:
    """The scheduler's part: keeps the list of adopted stations, and wakes workers for those that are due."""

    def __init__(self, store: AsyncStore, wakeups: Wakeups, clock: Clock) -> None:
        self._store = store
        self._wakeups = wakeups
        self._clock = clock
        self._followed: frozenset[str] | None = None

    async def step(self) -> None:
        """One round."""
        stations = await self._stations()
        if stations != self._followed:
            now = self._clock.now()
            first = {one: now + timedelta(seconds=zlib.crc32(one.encode()) % _SPREAD) for one in stations}
            await self._store.collections.follow(first)
            self._followed = stations
        if stations and await self._store.collections.waiting():
            self._wakeups.wake_collectors()

    async def _stations(self) -> frozenset[str]:
        try:
            _, network = await self._store.networks.get()
        except NotFoundError:
            return frozenset()
        if not seconds_of(network):
            return frozenset()
        records = await self._store.devices.find()
        adopted = (station for station, record in records.items() if record.adopted is not None)
        return frozenset(one for one in adopted if network.has_cells(one) and counts(network, one))


@dataclass
class _Found:
    """The result of a collection from one station.

    Attributes:
        before: The collection as it was taken.
        halves: Its cells that are halves of cells of other stations (``counted_for``).
        others: What it counted of them.
        reason: Code of the error that ended it, empty where it came to its end.
        more: Whether files are left for the next time.
        waits: Whether something is left until a check has read the lists to which it refers.
    """

    before: Collection
    halves: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    periods: list[Measured] = field(default_factory=list)
    others: list[Measured] = field(default_factory=list)
    files: list[CollectedFile] = field(default_factory=list)
    unknown: Counter[str] = field(default_factory=Counter)
    unread: Counter[str] = field(default_factory=Counter)
    again: list[str] = field(default_factory=list)
    reason: str = ""
    more: bool = False
    waits: bool = False

    @property
    def station(self) -> str:
        """Its station."""
        return self.before.station

    def add(self, periods: Sequence[Period], listed: Sequence[ListedPlmns] = ()) -> int:
        """Add periods of a station, without those that can't be; returns how many.

        Args:
            periods: They.
            listed: In which order the station had the PLMNs of its cells.
        """
        known = [one for one in periods if one.granularity]
        on_grid = [one for one in known if one.aligned is not None]
        taken = _newest(on_grid)
        for reason, number in (
            (Unread.GRANULARITY, len(periods) - len(known)),
            (Unread.OFF_GRID, len(known) - len(on_grid)),
            (Unread.TOO_MANY, len(on_grid) - len(taken)),
        ):
            self.unread[reason.value] += number
        mapped = measured(self.station, taken, self.halves, listed)
        self.periods += mapped.periods
        self.others += mapped.others
        self.unknown += mapped.unknown
        self.unread += mapped.unread
        return len(mapped.periods)

    def reaches(self, end: datetime) -> bool:
        """Whether no period is missing up to a time, if none was before."""
        known = self.before.newest
        if known is None or self.before.missing:
            return False
        for begin, until in sorted(map(_span, self.periods)):
            if begin > known:
                return False
            known = max(known, until)
        return known >= end


class Collector:
    """A worker's part: takes due collections and carries them out, many at once.

    Args:
        holder: Name under which this worker takes them; no other one has it.
        read: Reads a file: its name, its content.
    """

    def __init__(
        self,
        holder: str,
        store: AsyncStore,
        devices: Devices,
        clock: Clock,
        target_of: Callable[[Network, str], DeviceTarget],
    ) -> None:
        self._holder = holder
        self._store = store
        self._devices = devices
        self._clock = clock
        self._target_of = target_of
        self._slots = WorkSlots(clock, _AT_ONCE, _HOLD)
        self._tasks: set[asyncio.Task[None]] = set()
        self._found: list[_Found] = []
        self._reading = asyncio.Semaphore(_READ_AT_ONCE)
        self._large = asyncio.Lock()
        #: Set when no file is read any further: a process ends only when all its threads have.
        self._ending = threading.Event()
        #: Whether there may be more due collections than could be taken.
        self._more = False
        #: Set to ask for work before the next round.
        self.work = asyncio.Event()

    @property
    def idle(self) -> bool:
        """Whether nothing is under way here, and all is on record."""
        return not self._tasks and not self._found

    async def step(self) -> None:
        """Put on record what was collected since the last round, and begin due collections."""
        await self._record()
        try:
            _, network = await self._store.networks.get()
        except NotFoundError:
            return
        room = self._slots.free
        if room <= 0 or not seconds_of(network):
            return
        taken = await self._store.collections.take(self._holder, room, _LEASE)
        self._more = len(taken) == room
        for one in taken:
            task = asyncio.create_task(self._collected(network, one))
            self._tasks.add(task)
            task.add_done_callback(self._ended)

    async def close(self) -> None:
        """Collect no more; others may take what was not finished."""
        self._ending.set()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        try:
            await self._record()
            await self._store.collections.release(self._holder)
        except MinkaError as error:
            log.warning("collection.not_released", code=error.code, reason=error.message)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        room = self._more and self._slots.free >= _AT_ONCE // 2
        if room or len(self._found) >= _TOGETHER or (self._found and not self._tasks):
            self.work.set()

    # ------------------------------------------------------------------ one station

    async def _collected(self, network: Network, before: Collection) -> None:
        found = _Found(before, counted_for(network, before.station))
        try:
            target = self._target_of(network, before.station)
            await self._slots.paced(self._collect(target, found))
        except MinkaError as error:
            found.reason = error.code
            log.info("collection.failed", station=before.station, code=error.code, reason=error.message)
        except Exception:
            found.reason = "bug"
            log.exception("collection.bug", station=before.station)
        if left_out := +found.unread:
            log.warning("collection.left_out", station=before.station, unread=dict(left_out))
        self._found.append(found)

    async def _collect(self, target: DeviceTarget, found: _Found) -> None:
        """Collect files if the station serves them, otherwise its latest period."""
        if target.serves_files:
            try:
                async with self._devices.files(target) as files:
                    await self._take_files(files, found)
            except DeviceRefusedError as error:
                log.debug("collection.no_files", station=target.device, reason=error.message)
            else:
                return
        async with self._devices.aside(target) as session:
            known = measuring(session)
            periods = () if known is None else await known.measurements()
        with suppress(_ListsToComeError):
            await self._add(found, lambda: periods)

    async def _take_files(self, files: DeviceFiles, found: _Found) -> None:
        listed = [one.name for one in await files.list(_MOST_FILES) if one.name.endswith(_SUFFIXES)]
        known = await self._store.collected_files.known(found.station, listed)
        wanted = [name for name in reversed(listed) if name not in known or name in found.before.again]
        found.more = len(wanted) > _AT_A_TIME
        for name in wanted[:_AT_A_TIME]:
            if len(found.periods) >= _PERIODS_AT_A_TIME:
                found.more = True
                return
            await self._take_file(files, name, found)

    async def _take_file(self, files: DeviceFiles, name: str, found: _Found) -> None:
        """Collect one file; its errors are recorded with its name, and do not delay others."""
        try:
            try:
                content = await files.fetch(name, _SMALL)
            except OversizedError:
                async with self._large:
                    content = await files.fetch(name, _LARGE)
                    number = await self._add(found, lambda: read_file(name, self._pieces(content)))
            else:
                number = await self._add(found, lambda: read_file(name, self._pieces(content)))
        except _ListsToComeError:
            log.debug("collection.waits", station=found.station, file=name)
        except InputError as error:
            # It may have been incomplete.
            if name not in found.before.again:
                found.again.append(name)
            self._refuse(found, name, "malformed", error, _digest(content))
        except (FileGoneError, OversizedError) as error:
            self._refuse(found, name, error.code, error)
        except DeviceRefusedError as error:
            self._refuse(found, name, error.tag or error.code, error)
        else:
            found.files.append(CollectedFile(station=found.station, name=name, digest=_digest(content), periods=number))

    def _pieces(self, content: bytes) -> Iterator[bytes]:
        """A file in pieces, until this process ends."""
        for start in range(0, len(content), _PIECE):
            if self._ending.is_set():
                raise _EndedError
            yield content[start : start + _PIECE]

    def _refuse(self, found: _Found, name: str, reason: str, error: MinkaError, digest: str = "") -> None:
        log.warning("collection.file_refused", station=found.station, file=name, code=reason, reason=error.message)
        found.files.append(CollectedFile(station=found.station, name=name, digest=digest, error=reason))

    async def _add(self, found: _Found, periods: Callable[[], Iterable[Period]]) -> int:
        """Parse and map it in a thread, since other sessions need the loop.

        Raises:
            _ListsToComeError: Values name PLMNs by their position in a list that no check has read since.
        """
        async with self._reading:
            read, refers = await asyncio.to_thread(lambda: _read(periods))
            listed = await self._listed(found, read) if refers else ()
            return await asyncio.to_thread(lambda: found.add(read, listed))

    async def _listed(self, found: _Found, periods: Sequence[Period]) -> Sequence[ListedPlmns]:
        """In which order the station had the PLMNs of its cells, as far as checks have read it."""
        since = max(min(one.begin for one in periods), self._clock.now() - _LISTS_FOR)
        listed = await self._store.healths.listed_plmns(found.station, since)
        recent = self._clock.now() - OBSERVED_AFTER - timedelta(seconds=_SETTLE)
        if lists_to_come([one for one in periods if one.end > recent], listed):
            await self._store.healths.ask([found.station])
            found.waits = True
            raise _ListsToComeError
        return listed

    # ----------------------------------------------------------------------- record

    async def _record(self) -> None:
        """Put results on record, some stations at a time; failed ones are collected again when the lease ends."""
        while self._found:
            together, self._found = self._found[:_TOGETHER], self._found[_TOGETHER:]
            _, network = await self._store.networks.get()
            seconds = seconds_of(network) or DAY
            lost = await self._store.transaction(_keep, together, self._clock.now(), seconds)
            if lost:
                log.warning("collection.lease_lost", stations=lost)


def _keep(store: Store, found: Sequence[_Found], now: datetime, seconds: int) -> list[str]:
    """Put results of stations on record, in one transaction."""
    taken = store.measurements.put(period for one in found for period in (*one.periods, *one.others))
    store.collected_files.put(file for one in found for file in one.files)
    for one in found:
        if one.unknown:
            store.collected_files.miss(one.station, one.unknown)
    counts = Counter({("periods", name): number for name, number in taken._asdict().items()})
    late = now - timedelta(seconds=seconds + _SETTLE + _SPREAD)
    counts["periods", "refused"] += sum(one.unread[reason.value] for one in found for reason in _PERIODS_UNREAD)
    counts["periods", "late"] = sum(_span(period)[1] < late for one in found for period in one.periods)
    counts.update(("files_refused", file.error) for one in found for file in one.files if file.error)
    counts.update(("failures", one.reason) for one in found if one.reason)
    missing = _missing(store, found, now, seconds)
    ends = [_end(one, missing.get(one.station, 0), now, seconds) for one in found]
    return store.collections.finish(ends, counts)


def _missing(store: Store, found: Iterable[_Found], now: datetime, seconds: int) -> dict[str, int]:
    """Periods of the last day that are not on record, by station; reads only stations that may lack some."""
    end = expected_end(now, seconds)
    first = end - timedelta(seconds=DAY)
    since = {one.station: max(_begin(one.before.since, seconds), first) for one in found if not one.reaches(end)}
    missing: Counter[str] = Counter()
    if since:
        for gap in store.measurements.gaps(min(since.values()), end, since):
            passed = (gap.end - max(gap.begin, since[gap.station])).total_seconds()
            missing[gap.station] += max(0, int(passed // seconds))
    return missing


def _end(one: _Found, missing: int, now: datetime, seconds: int) -> Collection:
    """The collection as it is from now on."""
    before, failures = one.before, one.before.failures + 1 if one.reason else 0
    turns = one.before.turns + 1 if one.more else 0
    ends = [end for _, end in map(_span, one.periods) if end <= now + timedelta(seconds=_SETTLE)]
    newest = max((end for end in (before.newest, *ends) if end is not None), default=None)
    due, soon = next_due(one.station, now, seconds), now + timedelta(seconds=_AGAIN * 2 ** min(failures, 5))
    expected = expected_end(now, seconds)
    is_late = newest is not None and expected - timedelta(seconds=seconds) <= newest < expected
    if one.more and not one.reason:
        due = min(due, now + timedelta(seconds=min(_PACE * 2 ** min(before.turns, 10), _AGAIN)))
    elif one.reason or is_late or one.waits:
        due = min(due, soon)
    return before.model_copy(
        update={
            "due": due,
            "tried": now,
            "received": now if one.periods else before.received,
            "newest": newest,
            "missing": missing,
            "failures": failures,
            "turns": turns,
            "reason": one.reason,
            "again": tuple(one.again),
        }
    )


def _read(periods: Callable[[], Iterable[Period]]) -> tuple[list[Period], bool]:
    """Periods, and whether they refer to lists of the station."""
    found = list(periods())
    return found, names_positions(found)


def _newest(periods: Sequence[Period]) -> list[Period]:
    """Those of these periods that are on record in one transaction; of a file that has more, the newest."""
    spans = sorted({(one.end, one.granularity) for one in periods})[-_PERIODS_AT_A_TIME:]
    return [one for one in periods if spans[0] <= (one.end, one.granularity)]


def _span(period: Measured) -> tuple[datetime, datetime]:
    return period.begin, period.begin + timedelta(seconds=period.seconds)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
