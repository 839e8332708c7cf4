"""The parameters of operations, read and checked (RFC 6241 §7)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType

from lxml import etree

from simulators.datastore import RpcError, WithDefaults
from simulators.netconf.filters import XPathFilter, read_subtree
from simulators.netconf.messages import BASE_NS, NOTIFICATION_NS, child, word
from simulators.netconf.notifications import Filter
from simulators.netconf.profiles import Profile

WITH_DEFAULTS_NS = "urn:ietf:params:xml:ns:yang:ietf-netconf-with-defaults"
MONITORING_NS = "urn:ietf:params:xml:ns:yang:ietf-netconf-monitoring"
_WITH_DEFAULTS = f"{{{WITH_DEFAULTS_NS}}}with-defaults"
_CONFIG = f"{{{BASE_NS}}}config"


def _of(namespace: str, *names: str) -> frozenset[str]:
    return frozenset(f"{{{namespace}}}{name}" for name in names)


#: Parameters of the operations of RFC 6241, RFC 5277 and RFC 6022; other operations check their own.
_KNOWN: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "get": _of(BASE_NS, "filter") | {_WITH_DEFAULTS},
        "get-config": _of(BASE_NS, "source", "filter") | {_WITH_DEFAULTS},
        "edit-config": _of(BASE_NS, "target", "default-operation", "test-option", "error-option", "config"),
        "copy-config": _of(BASE_NS, "target", "source") | {_WITH_DEFAULTS},
        "delete-config": _of(BASE_NS, "target"),
        "lock": _of(BASE_NS, "target"),
        "unlock": _of(BASE_NS, "target"),
        "validate": _of(BASE_NS, "source"),
        "commit": _of(BASE_NS, "confirmed", "confirm-timeout", "persist", "persist-id"),
        "cancel-commit": _of(BASE_NS, "persist-id"),
        "discard-changes": frozenset(),
        "close-session": frozenset(),
        "kill-session": _of(BASE_NS, "session-id"),
        "create-subscription": _of(NOTIFICATION_NS, "stream", "filter", "startTime", "stopTime"),
        "get-schema": _of(MONITORING_NS, "identifier", "version", "format"),
    }
)


_DATASTORES = ("running", "candidate", "startup")
#: Choices of a source or target that does not take every datastore (ietf-netconf).
_HOLDS: Mapping[tuple[str, str], tuple[str, ...]] = MappingProxyType(
    {
        ("edit-config", "target"): ("running", "candidate"),
        ("copy-config", "source"): (*_DATASTORES, "config"),
        ("delete-config", "target"): ("startup",),
        ("validate", "source"): (*_DATASTORES, "config"),
    }
)


def missing(name: str, why: str = "") -> RpcError:
    """The error for a missing parameter."""
    message = f"{name} is missing{why}"
    return RpcError("missing-element", message, type="protocol", info={"bad-element": name})


def refused(tag: str, name: str, message: str) -> RpcError:
    """The error for a wrong parameter."""
    return RpcError(tag, message, type="protocol", info={"bad-element": name})


def check_known(operation: etree._Element, profile: Profile) -> None:
    """Refuse unknown parameters, and those that are given twice.

    Raises:
        RpcError: unknown-element.
    """
    name = etree.QName(operation).localname
    known = _KNOWN.get(name)
    if known is None:
        return
    if name == "commit":
        known = _commit_parameters(known, profile)
    for element in operation.iterchildren(tag=etree.Element):
        if element.tag not in known or (element.tag == _WITH_DEFAULTS and profile.basic_mode is None):
            local = etree.QName(element).localname
            raise refused("unknown-element", local, f"{name} has no {local} of that namespace")
    check_once(operation)


def check_once(operation: etree._Element, *lists: str) -> None:
    """Refuse a parameter that is given twice, unless it is one of the ``lists`` (tags).

    Raises:
        RpcError: unknown-element.
    """
    seen = set(lists)
    for element in operation.iterchildren(tag=etree.Element):
        tag = str(element.tag)
        if tag in seen and tag not in lists:
            local = etree.QName(element).localname
            raise refused("unknown-element", local, f"duplicate instance of {local}")
        seen.add(tag)


def _commit_parameters(known: frozenset[str], profile: Profile) -> frozenset[str]:
    if profile.confirmed_commit is None:
        return frozenset()
    return known if profile.confirmed_commit == "1.1" else known - _of(BASE_NS, "persist", "persist-id")


def datastore(operation: etree._Element, parameter: str, profile: Profile) -> str:
    """The datastore that a source or target names, ``config`` for one that is given in the message.

    Raises:
        RpcError: missing-element; unknown-element for what can't stand there; invalid-value when the station
            has no such datastore.
    """
    holder = child(operation, parameter)
    if holder is None:
        raise missing(parameter)
    names = list(holder.iterchildren(tag=etree.Element))
    if not names:
        raise missing(parameter, ": it names no datastore")
    name = etree.QName(names[0]).localname
    allowed = _HOLDS.get((etree.QName(operation).localname, parameter), _DATASTORES)
    if names[0].tag not in _of(BASE_NS, *allowed):
        raise refused("unknown-element", name, f"{parameter} can't be {name}")
    if len(names) != 1:
        raise refused("bad-element", parameter, f"{parameter} names {len(names)} datastores")
    if name not in (*profile.datastores, "config"):
        raise refused("invalid-value", name, f"this station has no datastore {name}")
    return name


def inline_config(operation: etree._Element, parameter: str) -> etree._Element:
    """The ``<config>`` in a source, after ``datastore`` found it there."""
    found = operation.find(f"{{{BASE_NS}}}{parameter}/{_CONFIG}")
    assert found is not None
    return found


def choice(operation: etree._Element, parameter: str, allowed: tuple[str, ...]) -> str | None:
    """An enumerated parameter, None if it is absent.

    Raises:
        RpcError: invalid-value.
    """
    value = word(operation, parameter)
    if value is not None and value not in allowed:
        raise refused("invalid-value", parameter, f"{parameter} {value!r:.40} is none of {', '.join(allowed)}")
    return value


def read_filter(operation: etree._Element, profile: Profile) -> Filter | None:
    """The filter of an operation.

    Raises:
        RpcError: bad-attribute or missing-attribute when it is of no kind that the station has, or no expression;
            too-big.
    """
    found = child(operation, "filter")
    if found is None:
        return None
    kind = found.get("type", found.get(f"{{{BASE_NS}}}type", "subtree"))
    if kind == "subtree":
        return read_subtree(found)
    if kind == "xpath" and profile.xpath:
        return XPathFilter.of(found)
    info = {"bad-attribute": "type", "bad-element": "filter"}
    raise RpcError("bad-attribute", f"filters of type {kind!r:.40} are not supported", type="protocol", info=info)


def with_defaults(operation: etree._Element, profile: Profile) -> WithDefaults:
    """The mode of with-defaults: the one named, else the basic mode.

    Raises:
        RpcError: invalid-value.
    """
    basic = profile.basic_mode or "explicit"
    found = operation.find(_WITH_DEFAULTS)
    if found is None:
        return basic
    named = (found.text or "").strip()
    for mode in (basic, *profile.also_supported):
        if named == mode:
            return mode
    raise refused("invalid-value", "with-defaults", f"with-defaults {named!r:.40} is not supported")


#: The pattern of date-and-time in RFC 6991.
_DATE_AND_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})"
)


def moment(operation: etree._Element, parameter: str) -> datetime | None:
    """A date-and-time in UTC, None if it is absent.

    Raises:
        RpcError: invalid-value, also without an offset from UTC.
    """
    value = word(operation, parameter)
    if value is None:
        return None
    wrong = refused("invalid-value", parameter, f"{parameter} {value!r:.40} is no date-and-time")
    if _DATE_AND_TIME.fullmatch(value) is None:
        raise wrong
    try:
        # Some moments fit the pattern and no calendar, or leave it when they are put into UTC.
        return datetime.fromisoformat(value).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise wrong from error
