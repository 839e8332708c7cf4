"""Monitoring of the NETCONF server itself (RFC 6022): netconf-state and get-schema."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lxml import etree

from simulators.datastore import RpcError
from simulators.elements import leaf, node, root
from simulators.equipment.alarms import timestamp
from simulators.netconf.messages import text
from simulators.netconf.statistics import Counts

if TYPE_CHECKING:
    from simulators.station import SessionHandle, Station

MONITORING_NS = "urn:ietf:params:xml:ns:yang:ietf-netconf-monitoring"


def schema_text(station: Station, operation: etree._Element) -> etree._Element:
    """The reply of ``<get-schema>`` (RFC 6022 §3.1).

    Raises:
        RpcError: missing-element without identifier, invalid-value when no such module, version or format exists.
    """
    identifier, version = text(operation, "identifier"), text(operation, "version")
    wanted = text(operation, "format") or "yang"
    if identifier is None:
        info = {"bad-element": "identifier"}
        raise RpcError("missing-element", "identifier is missing", type="protocol", info=info)
    found = [
        module for module in station.modules if module.name == identifier and version in (None, "", module.revision)
    ]
    if not found or wanted.rpartition(":")[2] != "yang":
        message = f"no schema {identifier!r:.80}, version {version!r:.20}, format {wanted!r:.20}"
        raise RpcError("invalid-value", message, info={"bad-element": "identifier"})
    data = root(MONITORING_NS, "data")
    data.text = found[0].source_path.read_text(encoding="utf-8")
    return data


def netconf_state(station: Station) -> etree._Element:
    """The ``netconf-state`` container."""
    top = root(MONITORING_NS, "netconf-state")
    container = node(top, "capabilities")
    for name in station.capabilities:
        leaf(container, "capability", name)
    _datastores(top, station)
    _schemas(top, station)
    sessions = node(top, "sessions")
    for session in station.sessions.values():
        _session(sessions, session)
    _statistics(top, station)
    return top


def _datastores(top: etree._Element, station: Station) -> None:
    container = node(top, "datastores")
    for name in station.profile.datastores:
        datastore = node(container, "datastore")
        leaf(datastore, "name", name)
        lock = station.datastores.locks.get(name)
        if lock is not None:
            held = node(node(datastore, "locks"), "global-lock")
            leaf(held, "locked-by-session", str(lock.session))
            leaf(held, "locked-time", timestamp(lock.since))


def _schemas(top: etree._Element, station: Station) -> None:
    schemas = node(top, "schemas")
    for module in station.modules:
        entry = node(schemas, "schema")
        leaf(entry, "identifier", module.name)
        leaf(entry, "version", module.revision)
        leaf(entry, "format", "yang")
        leaf(entry, "namespace", module.namespace)
        leaf(entry, "location", "NETCONF")


def _session(sessions: etree._Element, session: SessionHandle) -> None:
    entry = node(sessions, "session")
    leaf(entry, "session-id", str(session.origin.session))
    leaf(entry, "transport", "netconf-ssh")
    leaf(entry, "username", session.origin.user)
    leaf(entry, "login-time", timestamp(session.since))
    _counts(entry, session.counts)


def _statistics(top: etree._Element, station: Station) -> None:
    statistics = station.statistics
    entry = node(top, "statistics")
    leaf(entry, "netconf-start-time", timestamp(statistics.started))
    leaf(entry, "in-bad-hellos", str(statistics.in_bad_hellos))
    leaf(entry, "in-sessions", str(statistics.in_sessions))
    leaf(entry, "dropped-sessions", str(statistics.dropped_sessions))
    _counts(entry, statistics.counts)


def _counts(entry: etree._Element, counts: Counts) -> None:
    leaf(entry, "in-rpcs", str(counts.in_rpcs))
    leaf(entry, "in-bad-rpcs", str(counts.in_bad_rpcs))
    leaf(entry, "out-rpc-errors", str(counts.out_rpc_errors))
    leaf(entry, "out-notifications", str(counts.out_notifications))
