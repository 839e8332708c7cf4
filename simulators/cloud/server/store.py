"""What a pool holds: objects by kind, one revision for each write, and the history that watches and snapshots need.

An object in the store is never changed in place: who wants another one writes another one. So a reader may keep what
it got, and a page of a list is the state of its revision for as long as the history reaches back.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from simulators.clock import Clock

Object = dict[str, Any]
#: Namespace (empty for objects of the cluster) and name.
Key = tuple[str, str]

#: Writes of one kind that are remembered, and for how many seconds: an API server compacts its store every five
#: minutes.
_REMEMBERED = 1000
_SECONDS = 300.0


class Change(StrEnum):
    """What became of an object, in the words of a watch."""

    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"


@dataclass(frozen=True, slots=True)
class Event:
    """One write: the object after it (as it was last, where it was deleted) and before it."""

    revision: int
    at: float
    change: Change
    kind: str
    key: Key
    object: Object
    before: Object | None


Subscriber = Callable[[Event], None]


class Compacted(Exception):  # noqa: N818 (the word of the protocol)
    """The history does not reach back to that revision."""

    def __init__(self, oldest: int) -> None:
        super().__init__(f"the history begins at revision {oldest}")
        self.oldest = oldest


@dataclass(slots=True)
class _Room:
    """The objects of one kind; ``oldest`` is the first revision whose state is still known."""

    objects: dict[Key, Object]
    events: deque[Event]
    oldest: int


class Store:
    """The objects of one pool."""

    def __init__(self, clock: Clock) -> None:
        self.revision = 0
        self._clock = clock
        self._rooms: dict[str, _Room] = {}
        self._subscribers: list[Subscriber] = []
        self._untold: deque[Event] = deque()
        self._notifying = False

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """Call for each write from now on, in order; the answer ends it."""
        self._subscribers.append(subscriber)
        return lambda: self._subscribers.remove(subscriber) if subscriber in self._subscribers else None

    # ------------------------------------------------------------------ reading

    def get(self, kind: str, key: Key) -> Object | None:
        """The object, or None."""
        room = self._rooms.get(kind)
        return None if room is None else room.objects.get(key)

    def list(self, kind: str, namespace: str = "", revision: int | None = None) -> list[Object]:
        """Objects by namespace and name, as of a revision or now.

        Raises:
            Compacted: the history does not reach back that far.
        """
        room = self._room(kind)
        objects = room.objects if revision is None or revision >= self.revision else self._at(room, revision)
        keys = sorted(key for key in objects if not namespace or key[0] == namespace)
        return [objects[key] for key in keys]

    def count(self, kind: str, namespace: str = "") -> int:
        """How many objects there are."""
        return sum(1 for key in self._room(kind).objects if not namespace or key[0] == namespace)

    def since(self, kind: str, revision: int) -> Sequence[Event]:
        """The writes after a revision.

        Raises:
            Compacted: the history does not reach back that far.
        """
        room = self._room(kind)
        if revision < room.oldest:
            raise Compacted(room.oldest)
        return list(room.events)[bisect_right(room.events, revision, key=lambda event: event.revision) :]

    def kinds(self) -> Iterator[str]:
        """Kinds of which there are objects."""
        return (kind for kind, room in self._rooms.items() if room.objects)

    @staticmethod
    def _at(room: _Room, revision: int) -> dict[Key, Object]:
        if revision < room.oldest:
            raise Compacted(room.oldest)
        objects = dict(room.objects)
        for event in reversed(room.events):
            if event.revision <= revision:
                break
            if event.before is None:
                objects.pop(event.key, None)
            else:
                objects[event.key] = event.before
        return objects

    # ------------------------------------------------------------------ writing

    def put(self, kind: str, key: Key, obj: Object) -> Object:
        """Write an object, whose resourceVersion becomes the revision of this write; give what is stored."""
        room = self._room(kind)
        before = room.objects.get(key)
        stored = self._stamped(obj)
        room.objects[key] = stored
        self._happened(room, Change.ADDED if before is None else Change.MODIFIED, kind, key, stored, before)
        return stored

    def delete(self, kind: str, key: Key, last: Object | None = None) -> Object:
        """Remove an object; give it as it was last, with the revision of its removal."""
        room = self._room(kind)
        before = room.objects.pop(key)
        gone = self._stamped(last or before)
        self._happened(room, Change.DELETED, kind, key, gone, before)
        return gone

    def reread(self, kind: str, read: Callable[[Object], Object]) -> None:
        """Show the objects of a kind as they are read now; this is no write, and no watch sends it."""
        room = self._room(kind)
        for key, obj in room.objects.items():
            room.objects[key] = read(obj)

    def open(self, kind: str) -> None:
        """Begin the history of a kind, here and now: nobody can watch it from earlier."""
        self._rooms[kind] = _Room({}, deque(), self.revision)

    def close(self, kind: str) -> None:
        """Forget a kind that has no objects any more."""
        self._rooms.pop(kind, None)

    def compact(self) -> None:
        """Forget all history: the next watch or page from before gets 410 Gone."""
        for room in self._rooms.values():
            room.events.clear()
            room.oldest = self.revision

    def _room(self, kind: str) -> _Room:
        return self._rooms.setdefault(kind, _Room({}, deque(), 0))

    def _stamped(self, obj: Object) -> Object:
        self.revision += 1
        return {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(self.revision)}}

    def _happened(self, room: _Room, change: Change, kind: str, key: Key, obj: Object, before: Object | None) -> None:
        now = self._clock.monotonic()
        event = Event(self.revision, now, change, kind, key, obj, before)
        if not room.events:
            self._clock.call_later(_SECONDS, lambda: self._forget(room))
        room.events.append(event)
        if len(room.events) > _REMEMBERED:
            room.oldest = room.events.popleft().revision
        self._untold.append(event)
        if not self._notifying:
            self._notify()

    def _notify(self) -> None:
        """Pass one write after the other on to all watchers, also those that a watcher made meanwhile."""
        self._notifying = True
        try:
            while self._untold:
                event = self._untold.popleft()
                for subscriber in list(self._subscribers):
                    subscriber(event)
        finally:
            self._notifying = False

    def _forget(self, room: _Room) -> None:
        """Drop the writes that are too old, and come again for those that are left: a writer may be long away."""
        now = self._clock.monotonic()
        while room.events and room.events[0].at <= now - _SECONDS:
            room.oldest = room.events.popleft().revision
        if room.events:
            self._clock.call_later(_SECONDS, lambda: self._forget(room))
