"""Profile of pools: keeps functions of one owner from starving or reaching those of another.

Each owner has a namespace of its own with a quota and a network policy; each kind of function has a priority class.
``controller.drivers.kubernetes.codec`` says which objects they are. Everything else of a cluster is none of our
business.
"""

from __future__ import annotations

from controller.models.facts import PoolFact
from controller.nrm.profiles.base import Output, number
from controller.nrm.schema import LeafSpec, Mutability, NodeSpec
from controller.nrm.tree import Path, child

_QUOTA = NodeSpec(
    "Quota",
    "",
    keys=("name",),
    leaves=(
        number("cpus", "cores"),
        number("memoryGb", "memory (GiB)"),
        number("hugepagesGb", "hugepages (GiB)"),
        number("accelerators", "accelerators"),
        number("functions", "functions"),
    ),
    label="quota",
)
_ISOLATION = NodeSpec(
    "Isolation",
    "",
    keys=("name",),
    leaves=(LeafSpec("owners", leaf_list=True, unordered=True, label="owners whose functions reach it"),),
    label="network policy",
)
NAMESPACE = NodeSpec(
    "Namespace",
    "",
    keys=("name",),
    leaves=(LeafSpec("owner", label="owner"),),
    children=(_QUOTA, _ISOLATION),
    label="namespace",
)
#: The value of a priority class can't be changed; the class must be made again (Kubernetes refuses a change).
PRIORITY = NodeSpec(
    "Priority",
    "",
    keys=("name",),
    leaves=(number("value", "value", mutability=Mutability.CREATE_ONLY),),
    label="priority class",
)
#: A node that Minka has taken out of use, and no other. Whether pods may run on it is for people to decide, as for
#: cells.
NODE = NodeSpec(
    "Node",
    "",
    keys=("name",),
    leaves=(LeafSpec("unschedulable", default="false", operational_intent=True, label="cordoned"),),
    lent=True,
    label="node out of use",
)
POOL = NodeSpec(
    "Pool",
    "",
    keys=("name",),
    children=(NAMESPACE, PRIORITY, NODE),
    mutability=Mutability.CREATE_ONLY,
    label="pool",
)
#: Name of the profile, and of the quota and the network policy of each namespace.
PROFILE, NAME = "pool", "minka"
#: How the names of namespaces and priority classes of Minka begin.
PREFIX = "minka-"


def namespace_of(owner: str) -> str:
    """Namespace of an owner's functions, on every pool."""
    return f"{PREFIX}{owner}"


def priority_of(kind: str) -> str:
    """Priority class of a kind of function."""
    return f"{PREFIX}{kind}"


def node_path(pool: str, node: str) -> Path:
    """Path of a node that is out of use."""
    return child(child("", POOL.name, pool), NODE.name, node)


def needed_on(pool: str, owner: str, priority: str) -> tuple[Path, Path]:
    """What a pool must have for a function: its owner's namespace, and its priority class."""
    root = child("", POOL.name, pool)
    return child(root, NAMESPACE.name, namespace_of(owner)), child(root, PRIORITY.name, priority)


def quota_path(pool: str, owner: str) -> Path:
    """Path of the quota of an owner's functions."""
    return child(child(child("", POOL.name, pool), NAMESPACE.name, namespace_of(owner)), _QUOTA.name, NAME)


def is_ours(name: str) -> bool:
    """Whether a namespace or priority class is one of Minka's, by its name."""
    return name.startswith(PREFIX)


def render_pool(fact: PoolFact) -> Output:
    """The desired tree of a pool."""
    out = Output(fact.pool)
    pool = out.add(POOL, "", (fact.pool,), owners=fact.owners)
    for share in fact.shares:
        namespace = out.add(NAMESPACE, pool, (namespace_of(share.owner),), {"owner": share.owner}, share.owners)
        quota = {
            "cpus": str(share.cpus),
            "memoryGb": str(share.memory_gb),
            "hugepagesGb": str(share.hugepages_gb),
            "accelerators": str(share.accelerators),
            "functions": str(share.functions),
        }
        out.add(_QUOTA, namespace, (NAME,), quota, share.owners)
        out.add(_ISOLATION, namespace, (NAME,), {"owners": share.reached_by}, share.owners)
    for kind, value in fact.priorities:
        out.add(PRIORITY, pool, (priority_of(kind),), {"value": str(value)}, fact.owners)
    return out
