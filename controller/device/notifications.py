"""Notifications of a device, on a session of their own (RFC 5277)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime

from lxml import etree
from ncclient.operations.rpc import GenericRPC

from controller.device.replies import check_done
from controller.device.transport import Connection, Transport
from controller.ports.devices import DeviceTarget, Notification

#: Opens a session of its own to a target.
Opening = Callable[[DeviceTarget], Awaitable[tuple[Connection, Transport]]]

_NS = "{urn:ietf:params:xml:ns:netconf:notification:1.0}"


async def subscribe(
    opening: Opening,
    target: DeviceTarget,
    subscribed: set[Transport],
    since: datetime | None = None,
    listening: asyncio.Event | None = None,
) -> AsyncIterator[Notification]:
    """Open a session, subscribe to the default stream and yield what comes; see ``Devices.notifications``.

    While the session is open it is one of ``subscribed``.
    """
    connection, transport = await opening(target)
    subscribed.add(transport)
    try:
        transport.subscribed = True
        # By hand: ncclient puts parts of it into a namespace that servers refuse.
        asked = etree.Element(f"{_NS}create-subscription")
        if since is not None:
            etree.SubElement(asked, f"{_NS}startTime").text = since.isoformat()
        reply = await transport.request(GenericRPC, asked)
        check_done(reply, target.station, "create-subscription")
        if listening is not None:
            listening.set()
        while True:
            for notification in _parsed(target.station, await transport.notification()):
                yield notification
    finally:
        subscribed.discard(transport)
        transport.fail("nobody listens any more")
        connection.abort()


def _parsed(station: str, element: etree._Element) -> list[Notification]:
    """What stands beside the event time; one element in all that RFC 5277 allows."""
    at = _event_time(element.findtext(f"{_NS}eventTime") or "")
    contents = [content for content in element if content.tag != f"{_NS}eventTime"]
    return [Notification(station, at, str(content.tag), content) for content in contents]


def _event_time(text: str) -> datetime | None:
    """RFC 3339 time, to the microsecond; a time without an offset is taken for UTC."""
    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)
