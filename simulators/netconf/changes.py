"""Notifications about changed configuration (RFC 6470)."""

from __future__ import annotations

from lxml import etree

from simulators.elements import leaf, node, root
from simulators.transactions import NO_SESSION, RunningChange

NOTIFICATIONS_NS = "urn:ietf:params:xml:ns:yang:ietf-netconf-notifications"


def config_change(change: RunningChange) -> etree._Element:
    """The content of ``netconf-config-change``: who changed running; what, is for the client to read."""
    top = root(NOTIFICATIONS_NS, "netconf-config-change")
    by = node(top, "changed-by")
    if change.origin.session == NO_SESSION:
        node(by, "server")
    else:
        leaf(by, "username", change.origin.user)
        leaf(by, "session-id", str(change.origin.session))
    leaf(top, "datastore", "running")
    return top
