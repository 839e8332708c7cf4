"""Notifications about configuration, confirmed commits and sessions (RFC 6470)."""

from __future__ import annotations

from lxml import etree

from simulators.datastore import NodeChange
from simulators.elements import leaf, node, root
from simulators.netconf.datastores import NO_SESSION, Confirmation, Origin, RunningChange
from simulators.netconf.statistics import Termination

NOTIFICATIONS_NS = "urn:ietf:params:xml:ns:yang:ietf-netconf-notifications"
#: Edits that a notification lists; beyond them it says that all may have changed.
MAX_EDITS = 200

_OPERATIONS = {"create": "create", "update": "replace", "delete": "delete"}


def config_change(change: RunningChange) -> etree._Element:
    """The content of ``netconf-config-change``: who changed running, and what of it."""
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
    # There is nobody to name when the timer acts.
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
