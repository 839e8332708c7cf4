"""Watches of pools: one for all functions on a pool, one for its nodes, passed on to whoever follows one of them."""

from __future__ import annotations

import asyncio
from collections import defaultdict

import structlog

from controller.cloud.api import ExpiredError, PoolApi
from controller.models.errors import DeviceError
from controller.nrm.kube import Kind, Place
from controller.ports.clock import Clock

log = structlog.get_logger()

#: Seconds after which the server ends a watch, which is then begun again: one that says nothing is noticed.
_SECONDS = 240
#: Seconds before a watch that was lost is tried again, at first and at most.
_RETRY = (1.0, 60.0)


class PoolWatch:
    """All objects of a kind on a pool, watched as long as anybody follows one of them.

    Bookmarks keep the version young, so that a watch goes on where the last one ended. Where the version is forgotten
    all the same (410 Gone), or a connection was lost, all of them are informed: something may have been missed.

    Attributes:
        api: The pool's.
        ended: Whether it is over: whoever wants to follow makes a new one.
    """

    def __init__(self, api: PoolApi, kind: Kind, clock: Clock) -> None:
        self.api = api
        self._clock = clock
        self._place = Place(api.target.station, kind, "", "")
        self._followers: dict[tuple[str, str], set[asyncio.Event]] = defaultdict(set)
        self._task: asyncio.Task[None] | None = None
        self._version = ""
        self.ended = False

    def join(self, one: tuple[str, str], changed: asyncio.Event) -> None:
        """Set an event whenever an object, by namespace and name, has changed; an empty name stands for all."""
        self._followers[one].add(changed)
        if self._task is None:
            self._task = asyncio.create_task(self._run())

    def leave(self, one: tuple[str, str], changed: asyncio.Event) -> None:
        """Set it no more."""
        self._followers[one].discard(changed)
        if not any(self._followers.values()):
            self.end()

    def end(self) -> None:
        """Watch no more."""
        self.ended = True
        if self._task is not None:
            self._task.cancel()

    async def _run(self) -> None:
        wait = _RETRY[0]
        while True:
            try:
                self._version = self._version or await self.api.version(self._place)
                await self._follow()
                wait = _RETRY[0]
                continue
            except ExpiredError:
                self._version = ""
            except DeviceError as error:
                log.info("watch.lost", pool=self._place.pool, code=error.code, reason=error.message)
            for changed in {event for events in self._followers.values() for event in events}:
                changed.set()
            await self._clock.sleep(wait)
            wait = min(_RETRY[1], wait * 2)

    async def _follow(self) -> None:
        """Watch until the server ends it."""
        async for event in self.api.watch(self._place, self._version, _SECONDS):
            found = event["object"].get("metadata")
            metadata = found if isinstance(found, dict) else {}
            self._version = str(metadata.get("resourceVersion") or self._version)
            if event.get("type") != "BOOKMARK":
                one = str(metadata.get("namespace")), str(metadata.get("name"))
                for changed in (*self._followers.get(one, ()), *self._followers.get(("", ""), ())):
                    changed.set()
