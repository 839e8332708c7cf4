"""Event notifications (RFC 5277): what a station remembers of its stream, and what a session wants of it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import datetime

from lxml import etree

from simulators.netconf.subtree import select
from simulators.netconf.xpath import XPathFilter

#: The only event stream.
STREAM = "NETCONF"
#: Namespace of the notifications about replay.
REPLAY_NS = "urn:ietf:params:xml:ns:netmod:notification"

#: A filter of any kind: an element with subtrees, or an expression.
Filter = etree._Element | XPathFilter


@dataclass(frozen=True, slots=True)
class Notified:
    """A notification and its moment."""

    when: datetime
    content: etree._Element


class ReplayLog:
    """The latest notifications of a stream."""

    __slots__ = ("_kept", "aged", "created")

    def __init__(self, depth: int, created: datetime) -> None:
        self._kept: deque[Notified] = deque(maxlen=depth)
        self.created = created
        self.aged: datetime | None = None

    def add(self, notified: Notified) -> None:
        """Remember a notification; the oldest goes when there is no more room."""
        if len(self._kept) == self._kept.maxlen:
            self.aged = self._kept[0].when
        self._kept.append(notified)

    def between(self, start: datetime, stop: datetime | None) -> list[Notified]:
        """What happened from one moment to another, both included."""
        return [item for item in self._kept if start <= item.when and (stop is None or item.when <= stop)]


@dataclass(frozen=True, slots=True)
class Subscription:
    """What a session subscribed to; with ``stop`` it ends by itself."""

    filter: Filter | None = None
    stop: datetime | None = None

    def wants(self, content: etree._Element) -> bool:
        """Whether the filter lets a notification through."""
        if self.filter is None:
            return True
        if isinstance(self.filter, XPathFilter):
            return self.filter.matches(content)
        return bool(select([content], self.filter))
