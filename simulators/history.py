"""The history of a device: events in order, with their originators, for tests and people."""

from __future__ import annotations

import json
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any, TextIO

from simulators.clock import Clock

#: Most events to keep per device; the counts continue.
KEPT = 500


#: Session id of a holder that is not a NETCONF session (RFC 6241 §7.5).
NO_SESSION = 0


@dataclass(frozen=True, slots=True)
class Origin:
    """The originator of an event: a session and its user."""

    session: int
    user: str


#: The device itself, as when a timer fires.
ITSELF = Origin(NO_SESSION, "station")


class EventKind(StrEnum):
    """Kinds of event."""

    SESSION_OPENED = "session-opened"
    SESSION_CLOSED = "session-closed"
    AUTHENTICATION_FAILED = "authentication-failed"
    EDITED = "edited"
    RUNNING_CHANGED = "running-changed"
    CONFIRMED = "confirmed"
    REFUSED = "refused"
    ALARM_RAISED = "alarm-raised"
    ALARM_CLEARED = "alarm-cleared"
    LINK_BROKEN = "link-broken"
    LINK_CURED = "link-cured"
    FAULT_STRUCK = "fault-struck"
    PROTOCOL_ERROR = "protocol-error"
    RESTARTED = "restarted"
    UP_AGAIN = "up-again"
    NETWORK_FAULT = "network-fault"
    NOT_STRUCK = "not-struck"
    NETWORK_FAULT_ENDED = "network-fault-ended"
    REMEDY = "remedy"
    SOFTWARE = "software"
    SUPERVISION_LOST = "supervision-lost"
    SHUT_DOWN = "shut-down"
    SAVED = "saved"
    RELOAD_PLANNED = "reload-planned"
    RELOAD_CANCELLED = "reload-cancelled"
    POD_READY = "pod-ready"
    POD_GONE = "pod-gone"
    INSTANTIATED = "instantiated"
    TERMINATED = "terminated"


@dataclass(frozen=True, slots=True)
class Event:
    """One event: when, what, by which session and user (0 and ``station`` for the station itself)."""

    time: datetime
    kind: EventKind
    session: int
    user: str
    detail: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    def to_json(self) -> dict[str, Any]:
        """The event as JSON carries it."""
        return {
            "time": self.time.isoformat(),
            "kind": self.kind.value,
            "session": self.session,
            "user": self.user,
            "detail": dict(self.detail),
        }


#: Called with each event and the id of its device.
EventListener = Callable[[str, Event], None]


class History:
    """The latest events of a device and how many there were of each kind; ``listeners`` get each as it happens."""

    __slots__ = ("_clock", "_device", "_events", "counts", "listeners")

    def __init__(self, device: str, clock: Clock) -> None:
        self._device = device
        self._clock = clock
        self._events: deque[Event] = deque(maxlen=KEPT)
        self.counts: Counter[EventKind] = Counter()
        self.listeners: tuple[EventListener, ...] = ()

    def record(self, kind: EventKind, origin: Origin = ITSELF, **detail: Any) -> None:
        """Record an event now."""
        event = Event(self._clock.now(), kind, origin.session, origin.user, MappingProxyType(detail))
        self._events.append(event)
        self.counts[kind] += 1
        for listener in self.listeners:
            listener(self._device, event)

    def events(self, kind: EventKind | None = None) -> tuple[Event, ...]:
        """The kept events, oldest first, of one kind if named."""
        return tuple(event for event in self._events if kind is None or event.kind is kind)


def json_lines(sink: TextIO) -> EventListener:
    """A listener that writes events as lines of JSON; equal runs in virtual time write equal bytes."""

    def write(device: str, event: Event) -> None:
        line = {"station": device, **event.to_json()}
        sink.write(json.dumps(line, sort_keys=True, separators=(",", ":"), ensure_ascii=False) + "\n")

    return write
