"""Profile of functions: what Minka applies at the Kubernetes API of each pool that a function runs on.

A function's tree has one ``Deployment`` for each pool that it is on, two while it moves.
``controller.drivers.kubernetes.codec`` says which objects they are.

Decisions:
    - ``capacity`` is what one replica carries, in each direction, as its package says. So another number of replicas is
      no other capacity, and restarts nobody. ``maxNFConnections`` (how many functions are connected to it) is left out:
      it would change with each new station, and restart the function.
    - Network instances: one for management, and one for users' packets, which has the owner's name. A tenant's own user
      plane is in the VLAN of that tenant's core. One of the host gets its tenants' with its other configuration:
      a tenant that comes or goes must not restart what serves others.
    - What a replica needs, and further parameters, stand in one ConfigMap that the NFDeployment refers to: Nephio's
      NFDeployment has no fields for them, and a structural schema drops what it does not know.
    - A PodDisruptionBudget lets at most one replica go, and none of a single one: who drains a node by hand finds out.
"""

from __future__ import annotations

from datetime import datetime

from controller.models.facts import FunctionFact
from controller.models.health import ServiceState
from controller.models.untrusted import moment
from controller.nrm.profiles.base import Output, number, state
from controller.nrm.profiles.values import address
from controller.nrm.schema import LeafRole, LeafSpec, Mutability, NodeRole, NodeSpec
from controller.nrm.tree import LeafName, Leaves, Observed, Path, Value, child, class_of

#: Interfaces for management, and for users' packets.
OAM, USER = "oam", "n3"

_INTERFACE = NodeSpec(
    "Interface",
    "",
    keys=("name",),
    leaves=(
        LeafSpec("address", normalise=address, mutability=Mutability.RESTART, label="address"),
        LeafSpec("gateway", normalise=address, mutability=Mutability.RESTART, label="gateway"),
        number("vlan", "VLAN", mutability=Mutability.RESTART),
    ),
    mutability=Mutability.RESTART,
    label="interface",
)
_INSTANCE = NodeSpec(
    "NetworkInstance",
    "",
    keys=("name",),
    leaves=(
        LeafSpec(
            "interfaces", leaf_list=True, unordered=True, default=(), mutability=Mutability.RESTART, label="interfaces"
        ),
    ),
    mutability=Mutability.RESTART,
    label="network instance",
)
_PARAMETER = NodeSpec(
    "Parameter",
    "",
    keys=("name",),
    leaves=(LeafSpec("value", mutability=Mutability.RESTART, label="value"),),
    mutability=Mutability.RESTART,
    label="parameter",
)
#: A function on one pool; the vendor's operator says whether the latest generation is ready.
DEPLOYMENT = NodeSpec(
    "Deployment",
    "",
    keys=("pool",),
    leaves=(
        LeafSpec("owner", label="owner"),
        LeafSpec("provider", mutability=Mutability.RESTART, label="package"),
        LeafSpec("image", mutability=Mutability.RESTART, label="image"),
        number("replicas", "replicas", default="1"),
        number("cpus", "cores", mutability=Mutability.RESTART),
        number("memoryGb", "memory (GiB)", mutability=Mutability.RESTART),
        number("hugepagesGb", "hugepages (GiB)", default="0", mutability=Mutability.RESTART),
        number("accelerators", "accelerators", default="0", mutability=Mutability.RESTART),
        LeafSpec("ptp", default="false", mutability=Mutability.RESTART, label="PTP"),
        LeafSpec("priority", mutability=Mutability.RESTART, label="priority class"),
        number("downlinkMbps", "downlink (Mbit/s)", mutability=Mutability.RESTART),
        number("uplinkMbps", "uplink (Mbit/s)", mutability=Mutability.RESTART),
        # Whether the NFDeployment refers to the ConfigMap with all these.
        LeafSpec("inForce", default="true", mutability=Mutability.RESTART, label="refers to its parameters"),
        state("ready", LeafRole.READY),
        state("available", LeafRole.AVAILABLE),
        state("reason", LeafRole.REASON),
        state("stalled", LeafRole.STALLED),
        state("noticed", LeafRole.NOTICED),
        state("runningReplicas"),
        state("placed", LeafRole.SINCE),
    ),
    children=(_INTERFACE, _INSTANCE, _PARAMETER),
    mutability=Mutability.RESTART,
    role=NodeRole.WORKLOAD,
    place=True,
    label="deployment on pool",
)
DISRUPTION = NodeSpec(
    "Disruption",
    "",
    keys=("pool",),
    leaves=(number("minAvailable", "replicas that stay"),),
    place=True,
    label="disruption budget on pool",
)
FUNCTION = NodeSpec(
    "Function",
    "",
    keys=("name",),
    children=(DEPLOYMENT, DISRUPTION),
    mutability=Mutability.CREATE_ONLY,
    label="function",
)
#: Name of the profile.
PROFILE = "function"


def render_function(fact: FunctionFact) -> Output:
    """The desired tree of a function on its pools; empty if no pool was found for it."""
    out = Output(fact.function)
    function = out.add(FUNCTION, "", (fact.function,), owners=fact.owners)
    if not fact.pool:
        return out
    leaves = {
        "owner": fact.owner,
        "provider": fact.package,
        "image": fact.image,
        "replicas": str(fact.replicas),
        "cpus": str(fact.cpus),
        "memoryGb": str(fact.memory_gb),
        "hugepagesGb": str(fact.hugepages_gb),
        "accelerators": str(fact.accelerators),
        "ptp": str(fact.ptp).lower(),
        "priority": fact.priority,
    }
    if fact.mbps:
        leaves |= {"downlinkMbps": str(fact.mbps), "uplinkMbps": str(fact.mbps)}
    deployment = out.add(DEPLOYMENT, function, (fact.pool,), leaves, fact.owners)
    if fact.address:
        out.add(_INTERFACE, deployment, (OAM,), {"address": address(fact.address)}, fact.owners)
        out.add(_INSTANCE, deployment, (OAM,), {"interfaces": (OAM,)}, fact.owners)
    if fact.network:
        out.add(_INTERFACE, deployment, (USER,), {"vlan": str(fact.vlan)} if fact.vlan else {}, fact.owners)
        out.add(_INSTANCE, deployment, (fact.network,), {"interfaces": (USER,)}, fact.owners)
    for name, value in fact.parameters:
        out.add(_PARAMETER, deployment, (name,), {"value": value}, fact.owners)
    out.add(DISRUPTION, function, (fact.pool,), _staying(fact.replicas), fact.owners)
    return out


def _staying(replicas: int) -> dict[LeafName, Value]:
    return {"minAvailable": str(max(1, replicas - 1))}


def with_replicas(path: Path, leaves: Leaves, replicas: int) -> dict[LeafName, Value]:
    """Leaves of a node in a function's tree, with another number of replicas."""
    if class_of(path) == DISRUPTION.name:
        return {**leaves, **_staying(replicas)}
    if class_of(path) != DEPLOYMENT.name:
        return dict(leaves)
    kept = {name: value for name, value in leaves.items() if name != "replicas"}
    return kept if replicas == 1 else {**kept, "replicas": str(replicas)}


def deployment_path(function: str, pool: str) -> Path:
    """Path of a function on a pool."""
    return child(child("", FUNCTION.name, function), DEPLOYMENT.name, pool)


def why_not_ready(observed: Observed, path: Path) -> str:
    """Why the function at ``path`` is not ready there: by its pool, its operator, or because nobody says anything."""
    said = observed.unseen(path) or not_ready_because(observed, path)
    return said or ("its operator does not say why" if path in observed.state else "it is not there")


def not_ready_because(observed: Observed, path: Path) -> str:
    """Why the function at ``path`` is not ready there, as its operator says; empty if it says nothing."""
    return str(observed.state.get(path, {}).get(DEPLOYMENT.leaf(LeafRole.REASON), ""))


def placed_at(observed: Observed, path: Path) -> datetime | None:
    """Since when the function at ``path`` is there; None if its pool gives no RFC 3339 time."""
    said = str(observed.state.get(path, {}).get(DEPLOYMENT.leaf(LeafRole.SINCE), ""))
    return moment(said)


def ready_state(observed: Observed, path: Path) -> ServiceState:
    """Whether the function at ``path`` is ready there; not if the pool's operator says nothing of it."""
    ready = path in observed.tree and _says(observed, path, LeafRole.READY, "true")
    return ServiceState.UP if ready else ServiceState.DOWN


def serves(observed: Observed, path: Path) -> bool:
    """Whether the function at ``path`` serves there, with all or some of its replicas."""
    ready = ready_state(observed, path) is ServiceState.UP
    return ready or (path in observed.tree and _says(observed, path, LeafRole.AVAILABLE, "true"))


def ready_as_asked(observed: Observed, path: Path) -> ServiceState:
    """As ``ready_state``, but unknown while the operator's status may be about older parameters."""
    unknown = _says(observed, path, LeafRole.NOTICED, "false")
    found = ready_state(observed, path)
    return ServiceState.UNKNOWN if unknown and found is ServiceState.UP else found


def is_stalled(observed: Observed, path: Path) -> bool:
    """Whether the operator of the function at ``path`` has given up on its present configuration."""
    return _says(observed, path, LeafRole.STALLED, "true")


def _says(observed: Observed, path: Path, role: LeafRole, value: str) -> bool:
    return observed.state.get(path, {}).get(DEPLOYMENT.leaf(role)) == value
