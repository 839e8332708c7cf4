"""Functions and pools: opens and bounds sessions to them, and watches their objects."""

from __future__ import annotations

import asyncio
import math
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from hashlib import blake2b
from typing import Any
from weakref import WeakValueDictionary

import orjson
import structlog
from lxml import etree

from controller.drivers.kubernetes.api import BusyError, ExpiredError, PoolApi
from controller.drivers.kubernetes.codec import Kind, Place, notable
from controller.drivers.kubernetes.session import CloudSession, objects_of
from controller.drivers.kubernetes.target import KubernetesTarget, PoolTarget
from controller.drivers.protocols import CHANGED, Notification
from controller.models.errors import DeviceError, DeviceRefusedError
from controller.models.metrics import Observations
from controller.ports.clock import Clock
from controller.ports.secrets import Secrets

log = structlog.get_logger()

#: Seconds after which the server ends a watch, which is then restarted: this detects a dead watch.
_SECONDS = 240
#: Seconds before a lost watch is restarted, at first and at most.
_RETRY = (1.0, 60.0)
#: Seconds that a watch has to stand for what went wrong before it to be over; servers end none within the first ones,
#: but a proxy may that serves no watches. Those before API servers often cut what is silent for half a minute.
_ENDED, _STOOD = 1.0, 30.0
#: Most objects of which a watch remembers what they were when it last told of them.
_REMEMBERED = 10_000


class PoolWatch:
    """All objects of a kind on a pool, watched as long as anybody follows one of them.

    Bookmarks keep the version young, so that a watch continues where the last one ended. If the server has forgotten
    the version all the same (410 Gone), or the connection was lost, all followers are notified, since events may have
    been missed. The watch then starts anew from a list: a server restored from a backup counts from an earlier version,
    and would be silent until it reaches ours. All followers are notified once more, of changes before the new version.

    Attributes:
        api: The API of the pool.
        ended: Whether the watch has ended; followers then make a new one.
    """

    def __init__(self, api: PoolApi, kind: Kind, clock: Clock) -> None:
        self.api = api
        self._clock = clock
        self._place = Place(api.target.device, kind, "", "")
        self._followers: dict[tuple[str, str], set[asyncio.Event]] = defaultdict(set)
        self._task: asyncio.Task[None] | None = None
        self._version = ""
        #: What objects were when last told of, as hashes.
        self._told: dict[tuple[str, str], bytes] = {}
        self.ended = False

    def join(self, one: tuple[str, str], changed: asyncio.Event) -> None:
        """Set an event whenever an object (namespace and name) changes; an empty name stands for all."""
        self._followers[one].add(changed)
        if self._task is None:
            self._task = asyncio.create_task(self._run())

    def leave(self, one: tuple[str, str], changed: asyncio.Event) -> None:
        """Stop setting the event."""
        self._followers[one].discard(changed)
        if not any(self._followers.values()):
            self.end()

    def end(self) -> None:
        """End the watch."""
        self.ended = True
        if self._task is not None:
            self._task.cancel()

    async def _run(self) -> None:
        wait, begun = _RETRY[0], False
        while True:
            since, enough = math.inf, _STOOD
            try:
                if not self._version:
                    self._version = await self.api.version(self._place)
                    self._tell_all(begun)
                    begun = True
                since = self._clock.monotonic()
                enough = 0.0 if await self._follow() else _ENDED
            except BusyError as busy:
                # The server was only busy: the version is still known, and nothing was missed.
                await self._clock.sleep(busy.seconds)
                continue
            except DeviceError as error:
                if not isinstance(error, ExpiredError):
                    log.info("watch.lost", pool=self._place.pool, code=error.code, reason=error.message)
                self._version = ""
                self._tell_all()
            if stood := self._clock.monotonic() - since >= enough:
                wait = _RETRY[0]
            if not stood or not self._version:
                await self._clock.sleep(wait)
                wait = min(_RETRY[1], wait * 2)

    def _tell_all(self, missed: bool = True) -> None:
        if missed:
            self._told.clear()
            for changed in {event for events in self._followers.values() for event in events}:
                changed.set()

    async def _follow(self) -> bool:
        """Watch until the server ends it; whether it said anything."""
        heard = False
        async for event in self.api.watch(self._place, self._version, _SECONDS):
            heard = True
            found = event["object"].get("metadata")
            metadata = found if isinstance(found, dict) else {}
            self._version = str(metadata.get("resourceVersion") or self._version)
            one = str(metadata.get("namespace")), str(metadata.get("name"))
            followers = (*self._followers.get(one, ()), *self._followers.get(("", ""), ()))
            if followers and event.get("type") != "BOOKMARK" and self._is_news(one, event):
                for changed in followers:
                    changed.set()
        return heard

    def _is_news(self, one: tuple[str, str], event: Mapping[str, Any]) -> bool:
        """Whether an object is another than when it was last told of, and not merely heard of again."""
        if event.get("type") == "DELETED":
            self._told.pop(one, None)
            return True
        if len(self._told) >= _REMEMBERED:
            self._told.clear()
        now = blake2b(orjson.dumps(notable(event["object"])), digest_size=16).digest()
        before, self._told[one] = self._told.get(one), now
        return before != now


class CloudDevices:
    """Sessions to functions and pools. Belongs to one loop.

    Implements ``controller.drivers.protocols.DevicesOf``, with notifications.

    Args:
        secrets: Resolves credentials, when a pool is reached first and where a sign-in is refused.
        clock: For pauses.
        timeout: Seconds to wait for an answer.
        connect_timeout: Seconds for opening a connection.
        gone: Seconds in which deleted objects should be gone.
        observations: Gets the response times of API servers.
    """

    def __init__(
        self,
        secrets: Secrets,
        clock: Clock,
        *,
        timeout: float = 60.0,
        connect_timeout: float = 20.0,
        gone: float = 60.0,
        observations: Observations | None = None,
    ) -> None:
        self._observations = observations
        self._secrets = secrets
        self._clock = clock
        self._timeout = timeout
        self._connect_timeout = connect_timeout
        self._gone = gone
        self._apis: dict[str, PoolApi] = {}
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._watches: dict[tuple[str, Kind], PoolWatch] = {}
        self._in_use = 0

    @asynccontextmanager
    async def session(self, target: KubernetesTarget) -> AsyncIterator[CloudSession]:
        """See ``Devices.session``; connections to pools are shared by all sessions."""
        turn = self._turns.setdefault(target.device, asyncio.Lock())
        async with turn, self.aside(target) as session:
            yield session

    @asynccontextmanager
    async def aside(self, target: KubernetesTarget) -> AsyncIterator[CloudSession]:
        """See ``Devices.aside``."""
        apis = {pool.device: await self._api(pool) for pool in target.pools}
        ims = None if target.ims is None else await self._api(target.ims)
        self._in_use += 1
        try:
            yield CloudSession(target, apis, self._clock, self._gone, ims)
        finally:
            self._in_use -= 1

    async def _api(self, pool: PoolTarget) -> PoolApi:
        api = self._apis.get(pool.device)
        if api is None or api.target != pool:
            if api is not None:
                await api.close()
            api = self._apis[pool.device] = PoolApi(
                pool,
                self._secrets,
                self._clock,
                timeout=self._timeout,
                connect_timeout=self._connect_timeout,
                observations=self._observations,
            )
        return api

    async def notifications(
        self, target: KubernetesTarget, since: datetime | None = None, listening: Callable[[], None] | None = None
    ) -> AsyncIterator[Notification]:
        """Yield for each change of its objects from now on, and when changes may have been missed; there is no replay.

        It does not end by itself: an unreachable pool is tried again.
        """
        if since is not None:
            raise DeviceRefusedError(f"{target.device} does not remember what it notified.")
        kind, namespace, name = objects_of(target).state
        place = namespace, name
        changed = asyncio.Event()
        watches = [await self._watch(pool, kind) for pool in target.pools]
        for watch in watches:
            watch.join(place, changed)
        try:
            if listening is not None:
                listening()
            while await changed.wait():
                changed.clear()
                yield Notification(target.device, None, CHANGED, etree.Element(CHANGED))
        finally:
            for watch in watches:
                watch.leave(place, changed)

    async def _watch(self, pool: PoolTarget, kind: Kind) -> PoolWatch:
        api, watch = await self._api(pool), self._watches.get((pool.device, kind))
        if watch is None or watch.ended or watch.api is not api:
            watch = self._watches[pool.device, kind] = PoolWatch(api, kind, self._clock)
        return watch

    @property
    def count(self) -> int:
        """Sessions in use."""
        return self._in_use

    async def close(self) -> None:
        """See ``Devices.close``."""
        for watch in self._watches.values():
            watch.end()
        await asyncio.gather(*(api.close() for api in self._apis.values()))
