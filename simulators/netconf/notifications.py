"""Event notifications: their contents (RFC 6470), the replay log, and subscriptions (RFC 5277)."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from lxml import etree

from simulators.datastore import NodeChange
from simulators.elements import leaf, node, root
from simulators.history import NO_SESSION, Origin
from simulators.netconf.datastores import Confirmation, RunningChange
from simulators.netconf.filters import XPathFilter, select


class Termination(StrEnum):
    """Why a session ended (RFC 6470, termination-reason)."""

    CLOSED = "closed"
    KILLED = "killed"
    DROPPED = "dropped"
    TIMEOUT = "timeout"
    BAD_HELLO = "bad-hello"
    OTHER = "other"


NOTIFICATIONS_NS = "urn:ietf:params:xml:ns:yang:ietf-netconf-notifications"
#: Most edits in a notification; beyond them it says that all may have changed.
MAX_EDITS = 200

_OPERATIONS = {"create": "create", "update": "replace", "delete": "delete"}


def config_change(change: RunningChange) -> etree._Element:
    """The content of ``netconf-config-change``: who changed running, and which nodes."""
    top = root(NOTIFICATIONS_NS, "netconf-config-change")
    by = node(top, "changed-by")
    if change.origin.session == NO_SESSION:
        node(by, "server")
    else:
        _who(by, change.origin)
    leaf(top, "datastore", "running")
    edits = change.before.changes(change.after)
    if len(edits) <= MAX_EDITS:
        for edit in edits:
            _edit(top, edit)
    return top


def _edit(top: etree._Element, change: NodeChange) -> None:
    edit = node(top, "edit")
    target = etree.SubElement(edit, f"{{{NOTIFICATIONS_NS}}}target", nsmap=change.namespaces)
    target.text = change.path
    leaf(edit, "operation", _OPERATIONS[change.kind])


def confirmed_commit(event: Confirmation, origin: Origin, timeout: int | None) -> etree._Element:
    """The content of ``netconf-confirmed-commit``; the time-out is in seconds."""
    top = root(NOTIFICATIONS_NS, "netconf-confirmed-commit")
    # The timer has no session or user to name.
    if origin.session != NO_SESSION:
        _who(top, origin)
    leaf(top, "confirm-event", event.value)
    if timeout is not None:
        leaf(top, "timeout", str(timeout))
    return top


def session_start(origin: Origin) -> etree._Element:
    """The content of ``netconf-session-start``."""
    top = root(NOTIFICATIONS_NS, "netconf-session-start")
    _who(top, origin)
    return top


def session_end(origin: Origin, reason: Termination, killed_by: int | None) -> etree._Element:
    """The content of ``netconf-session-end``."""
    top = root(NOTIFICATIONS_NS, "netconf-session-end")
    _who(top, origin)
    if killed_by is not None:
        leaf(top, "killed-by", str(killed_by))
    leaf(top, "termination-reason", reason.value)
    return top


def _who(parent: etree._Element, origin: Origin) -> None:
    leaf(parent, "username", origin.user)
    leaf(parent, "session-id", str(origin.session))


#: The only event stream.
STREAM = "NETCONF"
#: Namespace of the notifications about replay.
REPLAY_NS = "urn:ietf:params:xml:ns:netmod:notification"

#: A filter of any kind: an element with subtrees, or an expression.
Filter = etree._Element | XPathFilter


@dataclass(frozen=True, slots=True)
class Notification:
    """A notification and its moment."""

    when: datetime
    content: etree._Element


class ReplayLog:
    """The latest notifications of a stream."""

    __slots__ = ("_kept", "aged", "created")

    def __init__(self, depth: int, created: datetime) -> None:
        self._kept: deque[Notification] = deque(maxlen=depth)
        self.created = created
        self.aged: datetime | None = None

    def add(self, notification: Notification) -> None:
        """Keep a notification; a full log drops its oldest."""
        if len(self._kept) == self._kept.maxlen:
            self.aged = self._kept[0].when
        self._kept.append(notification)

    def between(self, start: datetime, stop: datetime | None) -> list[Notification]:
        """The notifications from one time to another, both included."""
        return [item for item in self._kept if start <= item.when and (stop is None or item.when <= stop)]


@dataclass(frozen=True, slots=True)
class Subscription:
    """A session's subscription; with ``stop`` it ends by itself."""

    filter: Filter | None = None
    stop: datetime | None = None

    def wants(self, content: etree._Element) -> bool:
        """Whether the filter lets a notification through."""
        if self.filter is None:
            return True
        if isinstance(self.filter, XPathFilter):
            return self.filter.matches(content)
        return bool(select([content], self.filter))
