"""What a station tells about itself: YANG library (RFC 8525, RFC 7895), monitoring, streams (RFC 5277), alarms."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from lxml import etree

from simulators.datastore import Access, ModuleInfo
from simulators.elements import leaf, node, root
from simulators.equipment.alarms import FM_NS, active_alarm_list, timestamp
from simulators.equipment.measurements import PERFORMANCE_NS, performance
from simulators.equipment.software import SOFTWARE_NS, inventory
from simulators.equipment.units import EQUIPMENT_NS, OPERATIONS_NS, equipment, operational_info
from simulators.netconf.capabilities import content_id
from simulators.netconf.monitoring import MONITORING_NS, netconf_state
from simulators.netconf.subscription import STREAM
from simulators.netconf.subtree import select

if TYPE_CHECKING:
    from simulators.station import Station

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


def _library(station: Station) -> list[etree._Element]:
    version = station.profile.yang_library
    if version is None:
        return []
    if version == "1.0":
        return [modules_state(station.modules)]
    # Clients of RFC 7895 look for the older container, which RFC 8525 §4 keeps for them.
    return [yang_library(station.modules, station.profile.datastores), modules_state(station.modules)]


def _streams(station: Station) -> list[etree._Element]:
    if not station.profile.notification:
        return []
    top = root(STREAMS_NS, "netconf")
    stream = node(node(top, "streams"), "stream")
    leaf(stream, "name", STREAM)
    leaf(stream, "description", "All notifications of the station.")
    log = station.replay
    leaf(stream, "replaySupport", "false" if log is None else "true")
    if log is not None:
        leaf(stream, "replayLogCreationTime", timestamp(log.created))
        if log.aged is not None:
            leaf(stream, "replayLogAgedTime", timestamp(log.aged))
    return [top]


_STATE: Mapping[str, Callable[[Station], list[etree._Element]]] = MappingProxyType(
    {
        FM_NS: lambda station: [active_alarm_list(station.alarms)],
        SOFTWARE_NS: lambda station: [inventory(station.life.slots)],
        OPERATIONS_NS: lambda station: [operational_info(station)],
        EQUIPMENT_NS: lambda station: [equipment(station)],
        PERFORMANCE_NS: lambda station: [performance(station)],
        MONITORING_NS: lambda station: [netconf_state(station)] if station.profile.monitoring else [],
        LIBRARY_NS: _library,
        STREAMS_NS: _streams,
    }
)


def state(station: Station, wanted: etree._Element | None, access: Access | None = None) -> list[etree._Element]:
    """State that does not hang below the configuration: all of it, or what a filter selects."""
    namespaces = None if wanted is None else {etree.QName(child).namespace for child in wanted}
    made = [
        element
        for name, make in _STATE.items()
        if namespaces is None or name in namespaces or None in namespaces
        for element in make(station)
    ]
    if access is not None:
        made = [element for element in made if _visible(element, access, ())]
    return made if wanted is None else select(made, wanted)


def _visible(element: etree._Element, access: Access, above: tuple[str, ...]) -> bool:
    """Whether a user may see an element; what may not be seen of its content goes."""
    names = (*above, etree.QName(element).localname)
    if not access.reads(names):
        return False
    for child in list(element):
        if not _visible(child, access, names):
            element.remove(child)
    return True
