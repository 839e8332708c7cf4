"""Watches: what changes in a collection, as it changes, from a revision on or from what is there now."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import orjson

from simulators.clock import Clock, Timer
from simulators.cloud.language.kinds import Kind
from simulators.cloud.server.pages import too_large
from simulators.cloud.server.requests import ListOptions
from simulators.cloud.server.store import Change, Compacted, Event, Object, Store

#: Seconds that a watch lasts where the client names none, and between two bookmarks.
_LASTS = 1800.0
_BOOKMARKS = 60.0
#: A bookmark comes so many seconds before the end, so that the next watch can go on from there.
_BEFORE_THE_END = 2.0
_INITIAL_END = "k8s.io/initial-events-end"

ObjectFilter = Callable[[Object], bool]
#: An object as the client wants it (plain, as a row, as metadata); the first of a watch names the columns.
ObjectView = Callable[[Object], dict[str, Any]]


class Sink(Protocol):
    """Where a watch writes to."""

    def send(self, line: bytes) -> None:
        """Write a line of the stream."""

    def end(self) -> None:
        """End the stream."""


class Watch:
    """One watch: it starts when its sink is there and ends by itself or when ``stop`` is called."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        kind: Kind,
        namespace: str,
        selects: ObjectFilter,
        shows: ObjectView,
        options: ListOptions,
    ) -> None:
        self._store = store
        self._clock = clock
        self._kind = kind
        self._namespace = namespace
        self._selects = selects
        self._shows = shows
        self._options = options
        self._sink: Sink | None = None
        self._begun = 0
        self._timers: list[Timer] = []
        self._cancel: Callable[[], None] = lambda: None

    def start(self, sink: Sink) -> None:
        """Send what is there or has happened, then what happens."""
        self._sink = sink
        version = self._options.version
        self._begun = self._store.revision
        self._cancel = self._store.subscribe(self._take)
        initial = self._options.initial_events
        if initial and version and version > self._begun:
            self._refuse(sink, too_large(version, self._begun).body())
            return
        if initial or (initial is None and not version):
            self._send_present()
        elif version:
            # One from a revision that is still to come says nothing until then.
            self._begun = max(self._begun, version)
            try:
                past = self._store.since(self._kind.storage, version)
            except Compacted as compacted:
                self._refuse(sink, _too_old(version, compacted.oldest))
                return
            for event in past:
                self._on_event(event)
        self._time()

    def stop(self) -> None:
        """Send nothing more."""
        self._cancel()
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        self._sink = None

    def _refuse(self, sink: Sink, status: dict[str, Any]) -> None:
        """The stream has begun, so that a refusal is an event, and its last one."""
        self._send("ERROR", status)
        self.stop()
        sink.end()

    def _send_present(self) -> None:
        for obj in self._store.list(self._kind.storage, self._namespace):
            if self._selects(obj):
                self._send("ADDED", self._shows(obj))
        if self._options.initial_events and self._options.bookmarks:
            self._bookmark({"annotations": {_INITIAL_END: "true"}})

    def _time(self) -> None:
        lasts = self._options.timeout or _LASTS
        self._timers.append(self._clock.call_later(lasts, self._expire))
        if self._options.bookmarks:
            at = lasts - _BEFORE_THE_END if _BEFORE_THE_END < lasts < _BOOKMARKS + _BEFORE_THE_END else _BOOKMARKS
            self._timers.append(self._clock.call_later(at, self._mark))

    def _mark(self) -> None:
        self._bookmark({})
        self._timers[1:] = [self._clock.call_later(_BOOKMARKS, self._mark)]

    def _expire(self) -> None:
        sink = self._sink
        self.stop()
        if sink is not None:
            sink.end()

    def _take(self, event: Event) -> None:
        # What was written before it began is sent already, also where others are still to get it.
        if event.revision > self._begun:
            self._on_event(event)

    def _on_event(self, event: Event) -> None:
        if event.kind != self._kind.storage or (self._namespace and event.key[0] != self._namespace):
            return
        was = event.before is not None and self._selects(event.before)
        is_now = event.change is not Change.DELETED and self._selects(event.object)
        if is_now:
            self._send("MODIFIED" if was else "ADDED", self._shows(event.object))
        elif was:
            last = event.object
            if event.change is not Change.DELETED and event.before is not None:
                version = event.object["metadata"]["resourceVersion"]
                last = {**event.before, "metadata": {**event.before["metadata"], "resourceVersion": version}}
            self._send("DELETED", self._shows(last))

    def _bookmark(self, metadata: dict[str, Any]) -> None:
        obj: Object = {"kind": self._kind.kind, "apiVersion": self._kind.api_version}
        obj["metadata"] = {"resourceVersion": str(self._store.revision), **metadata}
        self._send("BOOKMARK", self._shows(obj))

    def _send(self, kind: str, obj: dict[str, Any]) -> None:
        if self._sink is not None:
            self._sink.send(orjson.dumps({"type": kind, "object": obj}) + b"\n")


def _too_old(asked: int, oldest: int) -> dict[str, Any]:
    text = f"too old resource version: {asked} ({oldest})"
    head = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
    return {**head, "message": text, "reason": "Expired", "code": 410}
