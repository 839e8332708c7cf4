"""Requests of NETCONF (RFC 6241) and its notifications (RFC 5277), as sent on the wire except for the message id.

Tests compare them with those of ncclient. ncclient does not build them here, since it does so only within its own
session, at some cost, and some of them wrongly: it refuses ``persist`` beside ``persist-id``, and it puts parts of a
subscription into a namespace that servers refuse.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from lxml import etree

from controller.models.behaviour import FollowUp
from controller.nrm.namespaces import NETCONF, NOTIFICATIONS, as_default

#: A session takes requests although it has a subscription (RFC 5277 §6).
INTERLEAVE = "urn:ietf:params:netconf:capability:interleave:1.0"
BASE_1_0, BASE_1_1 = "urn:ietf:params:netconf:base:1.0", "urn:ietf:params:netconf:base:1.1"

_DECLARATION = b'<?xml version="1.0" encoding="UTF-8"?>'
_ID = b'message-id="'
#: The leaves that carry the token in a follow-up confirmed commit, by the server's way.
_TOKENS = {
    FollowUp.BOTH: ("persist", "persist-id"),
    FollowUp.PERSIST_ID: ("persist-id",),
    FollowUp.PERSIST: ("persist",),
}


def _nc(name: str, *content: etree._Element | str) -> etree._Element:
    """An element of NETCONF with these children, or this text."""
    element = etree.Element(f"{{{NETCONF}}}{name}", nsmap={"nc": NETCONF})
    for part in content:
        if isinstance(part, str):
            element.text = part
        else:
            element.append(part)
    return element


def _written(message: etree._Element) -> bytes:
    return _DECLARATION + etree.tostring(message, encoding="UTF-8", xml_declaration=False)


#: Our hello.
HELLO = _written(_nc("hello", _nc("capabilities", _nc("capability", BASE_1_0), _nc("capability", BASE_1_1))))


@dataclass(frozen=True, slots=True)
class Request:
    """An rpc without its message id: the name of its operation, and the text before and after the id."""

    name: str
    before: bytes
    after: bytes


def request(operation: etree._Element) -> Request:
    """Wrap an operation in an rpc, which may be sent many times under new message ids."""
    rpc = _nc("rpc", operation)
    rpc.set("message-id", "")
    before, _, after = _written(rpc).partition(_ID)
    return Request(etree.QName(operation).localname, before + _ID, after)


@lru_cache
def lock(datastore: str) -> Request:
    """Lock a datastore."""
    return request(_nc("lock", _nc("target", _nc(datastore))))


@lru_cache
def unlock(datastore: str) -> Request:
    """Unlock a datastore."""
    return request(_nc("unlock", _nc("target", _nc(datastore))))


@lru_cache
def discard_changes() -> Request:
    """Set the candidate back to running."""
    return request(_nc("discard-changes"))


@lru_cache
def copy_config(source: str, target: str) -> Request:
    """Copy one datastore over another."""
    return request(_nc("copy-config", _nc("target", _nc(target)), _nc("source", _nc(source))))


@lru_cache
def commit() -> Request:
    """Commit the candidate permanently."""
    return request(_nc("commit"))


def commit_confirmed(persist: str, timeout: int, follow_up: FollowUp | None = None) -> Request:
    """Commit the candidate until the time-out; ``follow_up`` says how a follow-up commit carries the same token."""
    tokens = ("persist",) if follow_up is None else _TOKENS[follow_up]
    return request(
        _nc("commit", _nc("confirmed"), _nc("confirm-timeout", str(timeout)), *(_nc(leaf, persist) for leaf in tokens))
    )


@lru_cache(maxsize=4096)
def confirm(persist: str) -> Request:
    """Confirm the pending confirmed commit of a token."""
    return request(_nc("commit", _nc("persist-id", persist)))


def cancel_commit(persist: str) -> Request:
    """Cancel the pending confirmed commit of a token."""
    return request(_nc("cancel-commit", _nc("persist-id", persist)))


def kill_session(session_id: str) -> Request:
    """End another session."""
    return request(_nc("kill-session", _nc("session-id", session_id)))


def get(*wanted: etree._Element) -> Request:
    """Get configuration and state: what a subtree filter with these contents selects (RFC 6241 §6), or all."""
    return request(_nc("get", *_filter(wanted)))


def get_config(source: str, *wanted: etree._Element) -> Request:
    """Get from a datastore what a subtree filter with these contents selects, or all."""
    return request(_nc("get-config", _nc("source", _nc(source)), *_filter(wanted)))


def _filter(wanted: tuple[etree._Element, ...]) -> Iterator[etree._Element]:
    if wanted:
        element = _nc("filter", *wanted)
        element.set("type", "subtree")
        yield element


def edit_config(target: str, config: etree._Element, *, test: bool, rollback: bool) -> Request:
    """Edit a datastore, with ``default-operation none``.

    Args:
        target: The datastore.
        config: The ``<config>``.
        test: Whether the server validates the edit first; needs ``:validate``.
        rollback: Whether the server undoes the edit if a part fails; needs ``:rollback-on-error``.
    """
    options = [_nc("default-operation", "none")]
    if test:
        options.append(_nc("test-option", "test-then-set"))
    if rollback:
        options.append(_nc("error-option", "rollback-on-error"))
    return request(_nc("edit-config", _nc("target", _nc(target)), *options, config))


def create_subscription(since: datetime | None = None) -> Request:
    """Subscribe to the default stream, with a replay of the notifications from ``since`` on."""
    operation = etree.Element(f"{{{NOTIFICATIONS}}}create-subscription", nsmap=as_default(NOTIFICATIONS))
    if since is not None:
        etree.SubElement(operation, f"{{{NOTIFICATIONS}}}startTime").text = since.isoformat()
    return request(operation)
