"""Schema-checked NETCONF configurations of simulated stations: compact, immutable, shared.

    schema = load_schema(PROFILE_MODULES["nr-28541"])
    factory = Config.from_xml(schema, b"<ManagedElement ...>...</ManagedElement>")
    candidate = factory.edit(config_element, "none")      # RFC 6241 §7.2; raises RpcError
    candidate.validate()                                  # RFC 7950 §8.3.3; raises RpcErrors
    reply = candidate.to_text(filter=filter_element, state=state)

State data (config false) is a ``State``: a tree of the same shape as a configuration, built from
XML or from a mapping of paths to values, and laid over the configuration when ``<get>`` is answered.
A path is a tuple of steps; a step is a node name, or a list name with its key values::

    (("ManagedElement", "PE-CUS-0042"), ("GNBDUFunction", "1"), ("NRCellDU", "n78-1"), "attributes", "cellState")
"""

from simulators.datastore.access import READ_ONLY, UNRESTRICTED, Access, Rule, denied
from simulators.datastore.changes import NodeChange
from simulators.datastore.compiler import PROFILE_MODULES, load_schema
from simulators.datastore.config import Config
from simulators.datastore.edit import EditRules, ErrorOption
from simulators.datastore.errors import RpcError, RpcErrors
from simulators.datastore.instance import Instance, Path
from simulators.datastore.render import WithDefaults
from simulators.datastore.schema import ModuleInfo, Schema
from simulators.datastore.state import State

__all__ = [
    "PROFILE_MODULES",
    "READ_ONLY",
    "UNRESTRICTED",
    "Access",
    "Config",
    "EditRules",
    "ErrorOption",
    "Instance",
    "ModuleInfo",
    "NodeChange",
    "Path",
    "RpcError",
    "RpcErrors",
    "Rule",
    "Schema",
    "State",
    "WithDefaults",
    "denied",
    "load_schema",
]
