"""What a station tells about itself: YANG library (RFC 8525), monitoring (RFC 6022), streams (RFC 5277), alarms."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from lxml import etree

from simulators.alarms import FM_NS, active_alarm_list
from simulators.datastore import ModuleInfo, RpcError
from simulators.elements import leaf, node, root
from simulators.netconf.capabilities import content_id
from simulators.netconf.messages import text
from simulators.netconf.subtree import select

if TYPE_CHECKING:
    from simulators.station import Station

MONITORING_NS = "urn:ietf:params:xml:ns:yang:ietf-netconf-monitoring"
LIBRARY_NS = "urn:ietf:params:xml:ns:yang:ietf-yang-library"
STREAMS_NS = "urn:ietf:params:xml:ns:netmod:notification"
_DATASTORES_NS = "urn:ietf:params:xml:ns:yang:ietf-datastores"
#: The only event stream.
STREAM = "NETCONF"


def yang_library(modules: tuple[ModuleInfo, ...]) -> etree._Element:
    """The ``yang-library`` container: one module set, one schema, the same for each datastore."""
    top = root(LIBRARY_NS, "yang-library", {"ds": _DATASTORES_NS})
    module_set = node(top, "module-set")
    leaf(module_set, "name", "station")
    for module in sorted(modules, key=lambda module: (not module.implemented, module.name)):
        entry = node(module_set, "module" if module.implemented else "import-only-module")
        leaf(entry, "name", module.name)
        leaf(entry, "revision", module.revision)
        leaf(entry, "namespace", module.namespace)
        for feature in sorted(module.features) if module.implemented else ():
            leaf(entry, "feature", feature)
    schema = node(top, "schema")
    leaf(schema, "name", "station")
    leaf(schema, "module-set", "station")
    for name in ("running", "candidate", "operational"):
        datastore = node(top, "datastore")
        leaf(datastore, "name", f"ds:{name}")
        leaf(datastore, "schema", "station")
    leaf(top, "content-id", content_id(modules))
    return top


def schema_text(station: Station, operation: etree._Element) -> etree._Element:
    """The reply of ``<get-schema>`` (RFC 6022 §3.1).

    Raises:
        RpcError: invalid-value when no such module, version or format exists.
    """
    identifier, version = text(operation, "identifier"), text(operation, "version")
    wanted = text(operation, "format") or "yang"
    found = [
        module for module in station.modules if module.name == identifier and version in (None, "", module.revision)
    ]
    if not found or wanted.rpartition(":")[2] != "yang":
        message = f"no schema {identifier!r:.80}, version {version!r:.20}, format {wanted!r:.20}"
        raise RpcError("invalid-value", message, info={"bad-element": "identifier"})
    data = root(MONITORING_NS, "data")
    data.text = found[0].source_path.read_text(encoding="utf-8")
    return data


def _monitoring(station: Station) -> etree._Element:
    top = root(MONITORING_NS, "netconf-state")
    _capabilities(top, station.capabilities)
    _datastores(top, station.datastores.locks)
    schemas = node(top, "schemas")
    for module in station.modules:
        entry = node(schemas, "schema")
        leaf(entry, "identifier", module.name)
        leaf(entry, "version", module.revision)
        leaf(entry, "format", "yang")
        leaf(entry, "namespace", module.namespace)
        leaf(entry, "location", "NETCONF")
    sessions = node(top, "sessions")
    for number, session in station.sessions.items():
        entry = node(sessions, "session")
        leaf(entry, "session-id", str(number))
        leaf(entry, "transport", "netconf-ssh")
        leaf(entry, "username", session.origin.user)
    return top


def _capabilities(top: etree._Element, names: Iterable[str]) -> None:
    container = node(top, "capabilities")
    for name in names:
        leaf(container, "capability", name)


def _datastores(top: etree._Element, locks: dict[str, int]) -> None:
    container = node(top, "datastores")
    for name in ("running", "candidate"):
        datastore = node(container, "datastore")
        leaf(datastore, "name", name)
        if name in locks:
            lock = node(node(datastore, "locks"), "global-lock")
            leaf(lock, "locked-by-session", str(locks[name]))


def _streams() -> etree._Element:
    top = root(STREAMS_NS, "netconf")
    stream = node(node(top, "streams"), "stream")
    leaf(stream, "name", STREAM)
    leaf(stream, "description", "All notifications of the station.")
    leaf(stream, "replaySupport", "false")
    return top


_STATE: Mapping[str, Callable[[Station], etree._Element]] = MappingProxyType(
    {
        FM_NS: lambda station: active_alarm_list(station.alarms),
        MONITORING_NS: _monitoring,
        LIBRARY_NS: lambda station: yang_library(station.modules),
        STREAMS_NS: lambda _station: _streams(),
    }
)


def state(station: Station, wanted: etree._Element | None) -> list[etree._Element]:
    """State that does not hang below the configuration: all of it, or what a filter selects."""
    if wanted is None:
        return [make(station) for make in _STATE.values()]
    namespaces = {etree.QName(child).namespace for child in wanted}
    return select([make(station) for name, make in _STATE.items() if name in namespaces or None in namespaces], wanted)
