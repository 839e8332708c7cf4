"""State beside the configuration: YANG library (RFC 8525), monitoring (RFC 6022), streams (RFC 5277), O-RAN."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from lxml import etree

from simulators.datastore import Access, ModuleInfo, RpcError
from simulators.elements import leaf, node, root, timestamp
from simulators.equipment.alarms import FM_NS, active_alarm_list
from simulators.equipment.measurements import PERFORMANCE_NS, performance_state
from simulators.equipment.software import SOFTWARE_NS, inventory
from simulators.equipment.units import (
    EQUIPMENT_NS,
    EXTERNALIO_NS,
    OPERATIONS_NS,
    equipment_state,
    external_io,
    operational_info,
)
from simulators.netconf.capabilities import content_id
from simulators.netconf.filters import select
from simulators.netconf.messages import text, word
from simulators.netconf.notifications import STREAM
from simulators.netconf.server import Counts, Server, SessionHandle

MONITORING_NS = "urn:ietf:params:xml:ns:yang:ietf-netconf-monitoring"


def schema_text(server: Server, operation: etree._Element) -> etree._Element:
    """The reply of ``<get-schema>`` (RFC 6022 §3.1).

    Raises:
        RpcError: missing-element without identifier, invalid-value when no such module, version or format exists.
    """
    identifier, version = text(operation, "identifier"), text(operation, "version")
    wanted = word(operation, "format") or "yang"
    if identifier is None:
        info = {"bad-element": "identifier"}
        raise RpcError("missing-element", "identifier is missing", type="protocol", info=info)
    found = [
        module for module in server.modules if module.name == identifier and version in (None, "", module.revision)
    ]
    if not found or wanted.rpartition(":")[2] != "yang":
        message = f"no schema {identifier!r:.80}, version {version!r:.20}, format {wanted!r:.20}"
        raise RpcError("invalid-value", message, info={"bad-element": "identifier"})
    data = root(MONITORING_NS, "data")
    data.text = found[0].source_path.read_text(encoding="utf-8")
    return data


def netconf_state(server: Server) -> etree._Element:
    """The ``netconf-state`` container."""
    top = root(MONITORING_NS, "netconf-state")
    container = node(top, "capabilities")
    for name in server.capabilities:
        leaf(container, "capability", name)
    _datastores(top, server)
    _schemas(top, server)
    sessions = node(top, "sessions")
    for session in server.sessions.values():
        _session(sessions, session)
    _statistics(top, server)
    return top


def _datastores(top: etree._Element, server: Server) -> None:
    container = node(top, "datastores")
    for name in server.profile.datastores:
        datastore = node(container, "datastore")
        leaf(datastore, "name", name)
        lock = server.datastores.locks.get(name)
        if lock is not None:
            held = node(node(datastore, "locks"), "global-lock")
            leaf(held, "locked-by-session", str(lock.session))
            leaf(held, "locked-time", timestamp(lock.since))


def _schemas(top: etree._Element, server: Server) -> None:
    schemas = node(top, "schemas")
    for module in server.modules:
        entry = node(schemas, "schema")
        leaf(entry, "identifier", module.name)
        leaf(entry, "version", module.revision)
        leaf(entry, "format", "yang")
        leaf(entry, "namespace", module.namespace)
        leaf(entry, "location", "NETCONF")


def _session(sessions: etree._Element, session: SessionHandle) -> None:
    entry = node(sessions, "session")
    leaf(entry, "session-id", str(session.origin.session))
    leaf(entry, "transport", session.transport)
    leaf(entry, "username", session.origin.user)
    leaf(entry, "login-time", timestamp(session.since))
    _counts(entry, session.counts)


def _statistics(top: etree._Element, server: Server) -> None:
    statistics = server.statistics
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


LIBRARY_NS = "urn:ietf:params:xml:ns:yang:ietf-yang-library"
STREAMS_NS = "urn:ietf:params:xml:ns:netmod:notification"
_DATASTORES_NS = "urn:ietf:params:xml:ns:yang:ietf-datastores"


def yang_library(modules: tuple[ModuleInfo, ...], datastores: tuple[str, ...]) -> etree._Element:
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
        for name in module.deviations:
            leaf(entry, "deviation", name)
    schema = node(top, "schema")
    leaf(schema, "name", "station")
    leaf(schema, "module-set", "station")
    for name in (*datastores, "operational"):
        datastore = node(top, "datastore")
        leaf(datastore, "name", f"ds:{name}")
        leaf(datastore, "schema", "station")
    leaf(top, "content-id", content_id(modules))
    return top


def modules_state(modules: tuple[ModuleInfo, ...]) -> etree._Element:
    """The ``modules-state`` container of RFC 7895, which RFC 8525 has as well."""
    top = root(LIBRARY_NS, "modules-state")
    leaf(top, "module-set-id", content_id(modules))
    revisions = {module.name: module.revision for module in modules}
    for module in sorted(modules, key=lambda module: module.name):
        entry = node(top, "module")
        leaf(entry, "name", module.name)
        leaf(entry, "revision", module.revision)
        leaf(entry, "namespace", module.namespace)
        for feature in sorted(module.features) if module.implemented else ():
            leaf(entry, "feature", feature)
        for name in module.deviations:
            deviation = node(entry, "deviation")
            leaf(deviation, "name", name)
            leaf(deviation, "revision", revisions[name])
        leaf(entry, "conformance-type", "implement" if module.implemented else "import")
    return top


def _library(server: Server) -> list[etree._Element]:
    version = server.profile.yang_library
    if version is None:
        return []
    if version == "1.0":
        return [modules_state(server.modules)]
    # Clients of RFC 7895 look for the older container, which RFC 8525 §4 keeps for them.
    return [yang_library(server.modules, server.profile.datastores), modules_state(server.modules)]


def _streams(server: Server) -> list[etree._Element]:
    if not server.profile.notification:
        return []
    top = root(STREAMS_NS, "netconf")
    stream = node(node(top, "streams"), "stream")
    leaf(stream, "name", STREAM)
    leaf(stream, "description", "All notifications of the station.")
    log = server.replay
    leaf(stream, "replaySupport", "false" if log is None else "true")
    if log is not None:
        leaf(stream, "replayLogCreationTime", timestamp(log.created))
        if log.aged is not None:
            leaf(stream, "replayLogAgedTime", timestamp(log.aged))
    return [top]


def _active_alarms(server: Server) -> list[etree._Element]:
    alarms = server.equipment.alarms
    return [active_alarm_list(alarms.notified)] if alarms.sources.oran_fm else []


def _external_io(server: Server) -> list[etree._Element]:
    return [external_io(server.equipment)] if server.equipment.alarms.sources.external_io else []


def _performance(server: Server) -> etree._Element:
    return performance_state(server.datastores.running, server.device.id, server.equipment.performance)


_STATE: Mapping[str, Callable[[Server], list[etree._Element]]] = MappingProxyType(
    {
        FM_NS: _active_alarms,
        EXTERNALIO_NS: _external_io,
        SOFTWARE_NS: lambda server: [inventory(server.equipment.software.slots)],
        OPERATIONS_NS: lambda server: [operational_info(server.equipment, server.clock.now())],
        EQUIPMENT_NS: lambda server: [equipment_state(server.equipment, server.clock.monotonic())],
        PERFORMANCE_NS: lambda server: [_performance(server)],
        MONITORING_NS: lambda server: [netconf_state(server)] if server.profile.monitoring else [],
        LIBRARY_NS: _library,
        STREAMS_NS: _streams,
    }
)


def state_beside(server: Server, wanted: etree._Element | None, access: Access | None = None) -> list[etree._Element]:
    """State outside of the configuration's tree: all of it, or what a filter selects."""
    namespaces = None if wanted is None else {etree.QName(child).namespace for child in wanted}
    made = [
        element
        for name, make in _STATE.items()
        if namespaces is None or name in namespaces or None in namespaces
        for element in make(server)
    ]
    if access is not None:
        made = [element for element in made if _visible(element, access, ())]
    return made if wanted is None else select(made, wanted, server.schema)


def _visible(element: etree._Element, access: Access, above: tuple[str, ...]) -> bool:
    """Whether a user may see an element; removes hidden parts of its content."""
    names = (*above, etree.QName(element).localname)
    if not access.reads(names):
        return False
    for child in list(element):
        if not _visible(child, access, names):
            element.remove(child)
    return True
