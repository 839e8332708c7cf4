"""Device trees of functions and pools as Kubernetes objects: reads objects into a tree, and makes objects to apply.

What an object of ours holds that the tree can't is listed as unknown. An object that is being deleted counts as gone,
since nothing brings it back, and is listed as unknown until it is.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

from controller.models.cloud import ClusterState, NodeReady, NodeState, Resources
from controller.models.untrusted import moment
from controller.nrm.profiles import function as functions
from controller.nrm.profiles import pool as pools
from controller.nrm.schema import NodeSpec
from controller.nrm.tree import (
    LeafName,
    Leaves,
    NodeCount,
    Observed,
    Path,
    Tree,
    Value,
    child,
    parent,
    shortened,
    step,
)

#: A JSON object as sent or read.
Object = Mapping[str, Any]
#: Name under which Minka applies (Server-Side Apply).
MANAGER = "minka"
FUNCTION_LABEL, OWNER_LABEL = "minka.dev/function", "minka.dev/owner"
#: Label of a node that Minka has taken out of use; it stays if somebody allows pods there again.
CORDONED_LABEL = "minka.dev/cordoned"
#: Largest count of a cluster (int32), generation of an object (int64), and quantity.
_MOST_COUNT, _MOST_GENERATION, _MOST_QUANTITY = 2**31 - 1, 2**63 - 1, 2**63
#: A time before all that a cluster reports.
_EVER = datetime.min.replace(tzinfo=UTC)
#: A quantity (resource.Quantity), with as many digits as a server writes.
_QUANTITY = re.compile(r"([+-]?[0-9.]{1,40}(?:[eE][+-]?[0-9]{1,2})?)(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?")
_SUFFIXES = {suffix: Decimal(1000) ** power for power, suffix in enumerate("kMGTPE", start=1)}
_SUFFIXES |= {f"{suffix}i": Decimal(1024) ** power for power, suffix in enumerate("KMGTPE", start=1)}
_SUFFIXES |= {"m": Decimal("0.001"), "": Decimal(1)}


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of object, by its group and version.

    Attributes:
        label: Only objects with this label are listed; empty for all.
        prefix: Only objects whose name begins so are kept of a list: no selector knows that, and clusters may have
            thousands of others.
        lent: Whether its objects are the cluster's: fields of them are set and given up, and none is made or deleted.
    """

    api: str
    name: str
    plural: str
    namespaced: bool = True
    label: str = ""
    prefix: str = ""
    lent: bool = False


class Place(NamedTuple):
    """Place of one object; of all objects of a kind with a ``name``; or of all, if it is empty.

    ``namespace`` is empty of kinds that stand in none, and of all namespaces together.
    """

    pool: str
    kind: Kind
    namespace: str
    name: str

    @property
    def collection(self) -> str:
        """Path of its list at the API server."""
        above = f"/{'api' if self.kind.api == 'v1' else 'apis'}/{self.kind.api}"
        within = f"/namespaces/{self.namespace}" if self.namespace else ""
        return f"{above}{within}/{self.kind.plural}"

    @property
    def url(self) -> str:
        """Path of the one object at the API server."""
        return f"{self.collection}/{self.name}"

    @property
    def single(self) -> bool:
        """Whether it is one object."""
        return bool(self.name) and bool(self.namespace) is self.kind.namespaced

    def __str__(self) -> str:
        within = f"{self.namespace}/" if self.namespace else ""
        return f"{self.kind.name} {within}{self.name} on pool {self.pool}"


NF_DEPLOYMENT = Kind("workload.nephio.org/v1alpha1", "NFDeployment", "nfdeployments")
CONFIG_MAP = Kind("v1", "ConfigMap", "configmaps")
DISRUPTION_BUDGET = Kind("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets")
NAMESPACE = Kind("v1", "Namespace", "namespaces", namespaced=False, prefix=pools.PREFIX)
QUOTA = Kind("v1", "ResourceQuota", "resourcequotas")
NETWORK_POLICY = Kind("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies")
PRIORITY_CLASS = Kind("scheduling.k8s.io/v1", "PriorityClass", "priorityclasses", namespaced=False, prefix=pools.PREFIX)
NODE = Kind("v1", "Node", "nodes", namespaced=False, lent=True)
POD = Kind("v1", "Pod", "pods", label=FUNCTION_LABEL)

#: Keys of a function's ConfigMap that are leaves of its deployment; all others are parameters.
_NEEDS = {
    "cpus": "cpus",
    "memoryGb": "memory_gb",
    "hugepagesGb": "hugepages_gb",
    "accelerators": "accelerators",
    "ptp": "ptp",
    "priority": "priority",
}
_QUOTAS = {
    "cpus": "requests.cpu",
    "memoryGb": "requests.memory",
    "hugepagesGb": "requests.hugepages-1Gi",
    "accelerators": "requests.minka.dev/accelerators",
    "functions": f"count/{NF_DEPLOYMENT.plural}.workload.nephio.org",
}
_GIBIBYTES = ("memoryGb", "hugepagesGb")
#: Lists of an NFDeployment.
_LISTS = ("interfaces", "networkInstances", "parametersRefs")
_INTERFACE = {"address": ("ipv4", "address"), "gateway": ("ipv4", "gateway"), "vlan": ("vlanID",)}
_SPEC = {"provider": "provider", "image": "image", "replicas": "replicas"}
#: Bit/s in each direction, as quantities.
_CAPACITY = {"downlinkMbps": "maxDownlinkThroughput", "uplinkMbps": "maxUplinkThroughput"}


class Objects(ABC):
    """The objects of one device.

    Attributes:
        root: Path of the device.
    """

    root: Path

    #: Kind, namespace and name of the objects whose changes concern the device; an empty name for all.
    state: tuple[Kind, str, str]

    @abstractmethod
    def asked(self, pool: str) -> tuple[Place, ...]:
        """Places to read on a pool."""

    @abstractmethod
    def observed(self, found: Mapping[Place, Object], dark: Mapping[str, str]) -> Observed:
        """The tree of the objects that were found.

        Args:
            found: All objects, each at its place.
            dark: Pools that did not answer, and why.
        """

    @abstractmethod
    def wanted(self, tree: Tree) -> dict[Place, dict[str, Any]]:
        """Objects to apply for a tree, in the order in which they are made: all that is ours, and nothing else."""

    @abstractmethod
    def pool_of(self, path: Path) -> str:
        """The pool of an entry; empty for the device itself."""

    @abstractmethod
    def leaf_at(self, place: Place, field: tuple[str, ...]) -> tuple[Path, LeafName] | None:
        """The leaf for a field of an object, by the names of its ``fieldsV1``; None if the tree has none."""


class FunctionObjects(Objects):
    """Objects of a function: on each pool a ConfigMap, an NFDeployment and a PodDisruptionBudget with its name."""

    def __init__(self, function: str, namespace: str) -> None:
        self._function = function
        self._namespace = namespace
        self._name = function.lower()
        self.root = child("", functions.FUNCTION.name, function)
        self.state = NF_DEPLOYMENT, namespace, self._name

    def asked(self, pool: str) -> tuple[Place, ...]:
        """The places of its three objects."""
        return tuple(self._at(pool, kind) for kind in (CONFIG_MAP, NF_DEPLOYMENT, DISRUPTION_BUDGET))

    def _at(self, pool: str, kind: Kind) -> Place:
        return Place(pool, kind, self._namespace, self._name)

    def _entry(self, kind: str, pool: str) -> Path:
        return child(self.root, kind, pool)

    def pool_of(self, path: Path) -> str:
        """See ``Objects.pool_of``."""
        while path and parent(path) != self.root:
            path = parent(path)
        return step(path)[1][0] if path else ""

    # ------------------------------------------------------------------------ reading

    def observed(self, found: Mapping[Place, Object], dark: Mapping[str, str]) -> Observed:
        """See ``Objects.observed``."""
        seen = _TreeReader({self.root: {}})
        for pool in sorted({place.pool for place in found}):
            here = {place.kind: found[place] for place in self.asked(pool) if place in found}
            self._deployment(pool, here, seen)
            if budget := seen.standing(here.get(DISRUPTION_BUDGET), self._entry("Disruption", pool)):
                stay = budget.get("spec", {}).get("minAvailable")
                seen.tree[self._entry("Disruption", pool)] = {} if stay is None else {"minAvailable": str(stay)}
        kinds = ("Deployment", "Disruption")
        away = {self._entry(kind, pool): reason for pool, reason in dark.items() for kind in kinds}
        return seen.as_observed(self, found, away)

    def _deployment(self, pool: str, here: Mapping[Kind, Object], seen: _TreeReader) -> None:
        path = self._entry("Deployment", pool)
        standing = seen.standing(here.get(NF_DEPLOYMENT), path)
        # While somebody else's deletion of the NFDeployment is held up, its parameters are what is left to remove.
        settings = seen.standing(here.get(CONFIG_MAP), path)
        if standing is None and settings is None:
            return
        spec = (standing or {}).get("spec", {})
        leaves = {leaf: _scalar(spec[name]) for leaf, name in _SPEC.items() if name in spec}
        owner = (standing or settings or {}).get("metadata", {}).get("labels", {}).get(OWNER_LABEL)
        if owner is not None:
            leaves["owner"] = str(owner)
        capacity = spec.get("capacity", {})
        leaves |= {leaf: _amount(leaf, capacity[name]) for leaf, name in _CAPACITY.items() if name in capacity}
        data = (settings or {}).get("data", {})
        leaves |= {leaf: str(data[key]) for leaf, key in _NEEDS.items() if key in data}
        if standing is not None:
            leaves["inForce"] = _scalar(self._reference() in spec.get("parametersRefs", ()))
        seen.tree[path] = _without_defaults(functions.DEPLOYMENT, leaves)
        for entry in spec.get("interfaces", ()):
            self._interface(path, entry, seen)
        for entry in spec.get("networkInstances", ()):
            self._instance(path, entry, seen)
        for key in sorted(data.keys() - set(_NEEDS.values())):
            seen.tree[child(path, "Parameter", shortened(key))] = {"value": str(data[key])}
        unknown = [name for name in spec if name not in (*_SPEC.values(), *_LISTS, "capacity")]
        unknown += [f"capacity/{name}" for name in capacity if name not in _CAPACITY.values()]
        unknown += [
            f"parametersRefs[{ref.get('name')}]" for ref in spec.get("parametersRefs", ()) if ref != self._reference()
        ]
        seen.unknown += [f"{path}/{shortened(name)}" for name in unknown]
        if standing is not None:
            seen.state[path] = _readiness(standing, settings or {})

    def _interface(self, above: Path, entry: Object, seen: _TreeReader) -> None:
        path = child(above, "Interface", shortened(str(entry.get("name", ""))))
        read = {leaf: _at(entry, names) for leaf, names in _INTERFACE.items()}
        seen.tree[path] = {leaf: _scalar(value) for leaf, value in read.items() if value is not None}
        seen.unknown += [f"{path}/{shortened(name)}" for name in entry if name not in ("name", "ipv4", "vlanID")]

    def _instance(self, above: Path, entry: Object, seen: _TreeReader) -> None:
        path = child(above, "NetworkInstance", shortened(str(entry.get("name", ""))))
        interfaces = tuple(sorted(map(str, entry.get("interfaces", ()))))
        seen.tree[path] = {"interfaces": interfaces} if interfaces else {}
        seen.unknown += [f"{path}/{shortened(name)}" for name in entry if name not in ("name", "interfaces")]

    def _reference(self) -> dict[str, str]:
        return {"name": self._name, "apiVersion": "v1", "kind": CONFIG_MAP.name}

    # ------------------------------------------------------------------------ writing

    def wanted(self, tree: Tree) -> dict[Place, dict[str, Any]]:
        """See ``Objects.wanted``; a deployment comes after the parameters that it refers to.

        Where somebody deleted the NFDeployment alone, the tree has what is left, and no NFDeployment is made of that.
        """
        found: dict[Place, dict[str, Any]] = {}
        for path, leaves in tree.items():
            if parent(path) != self.root:
                continue
            kind, (pool,) = step(path)
            if kind == "Deployment":
                labels = {FUNCTION_LABEL: self._function, OWNER_LABEL: str(leaves.get("owner", ""))}
                data = self._data(tree, path)
                found[self._at(pool, CONFIG_MAP)] = _object(CONFIG_MAP, self._name, labels, {"data": data})
                if "provider" in leaves:
                    asked = {"spec": self._spec(tree, path)}
                    found[self._at(pool, NF_DEPLOYMENT)] = _object(NF_DEPLOYMENT, self._name, labels, asked)
            else:
                spec: dict[str, Any] = {"selector": {"matchLabels": {FUNCTION_LABEL: self._function}}}
                spec |= {"minAvailable": int(str(leaves["minAvailable"]))} if "minAvailable" in leaves else {}
                labels = {FUNCTION_LABEL: self._function}
                made = _object(DISRUPTION_BUDGET, self._name, labels, {"spec": spec})
                found[self._at(pool, DISRUPTION_BUDGET)] = made
        return found

    def _data(self, tree: Tree, path: Path) -> dict[str, str]:
        data = {key: str(tree[path][leaf]) for leaf, key in _NEEDS.items() if leaf in tree[path]}
        parameters = _below(tree, path, "Parameter")
        return {**data, **{name: str(leaves.get("value", "")) for name, leaves in parameters}}

    def _spec(self, tree: Tree, path: Path) -> dict[str, Any]:
        leaves = tree[path]
        spec: dict[str, Any] = {name: leaves[leaf] for leaf, name in _SPEC.items() if leaf in leaves}
        spec["replicas"] = int(str(spec.get("replicas", functions.DEPLOYMENT.leaf_by_name["replicas"].default)))
        capacity = {name: _quantity(leaf, str(leaves[leaf])) for leaf, name in _CAPACITY.items() if leaf in leaves}
        interfaces = [_interface(name, one) for name, one in _below(tree, path, "Interface")]
        instances = [_instance(name, one) for name, one in _below(tree, path, "NetworkInstance")]
        return {
            **spec,
            **({"capacity": capacity} if capacity else {}),
            **({"interfaces": interfaces} if interfaces else {}),
            **({"networkInstances": instances} if instances else {}),
            "parametersRefs": [self._reference()] if leaves.get("inForce", "true") == "true" else [],
        }

    def leaf_at(self, place: Place, field: tuple[str, ...]) -> tuple[Path, LeafName] | None:
        """See ``Objects.leaf_at``."""
        path = self._entry("Deployment", place.pool)
        match place.kind, field:
            case _ if place.kind is CONFIG_MAP and field[:1] == ("data",) and len(field) == 2:
                leaf = next((leaf for leaf, key in _NEEDS.items() if key == field[1]), None)
                return (path, leaf) if leaf else (child(path, "Parameter", field[1]), "value")
            case _ if place.kind is NF_DEPLOYMENT and field[:2] == ("spec", "interfaces") and len(field) > 3:
                leaf = next((leaf for leaf, names in _INTERFACE.items() if names == field[3:]), None)
                return (child(path, "Interface", field[2]), leaf) if leaf else None
            case _ if place.kind is NF_DEPLOYMENT and field[:2] == ("spec", "networkInstances") and len(field) > 3:
                return (child(path, "NetworkInstance", field[2]), "interfaces") if field[3] == "interfaces" else None
            case _ if place.kind is NF_DEPLOYMENT and field[:2] == ("spec", "capacity") and len(field) > 2:
                leaf = next((leaf for leaf, name in _CAPACITY.items() if name == field[2]), None)
                return (path, leaf) if leaf else None
            case _ if place.kind is NF_DEPLOYMENT and field[:2] == ("spec", "parametersRefs"):
                return path, "inForce"
            case _ if place.kind is NF_DEPLOYMENT and field[:1] == ("spec",) and len(field) == 2:
                leaf = next((leaf for leaf, name in _SPEC.items() if name == field[1]), None)
                return (path, leaf) if leaf else None
            case _ if place.kind is NF_DEPLOYMENT and field == ("metadata", "labels", OWNER_LABEL):
                return path, "owner"
            case _ if place.kind is DISRUPTION_BUDGET and field in (
                ("spec", "minAvailable"),
                ("spec", "maxUnavailable"),
            ):
                # A budget has one of the two.
                return self._entry("Disruption", place.pool), "minAvailable"
        return None


class PoolObjects(Objects):
    """Objects of a pool: namespaces of owners with quota and network policy, and priority classes."""

    def __init__(self, pool: str) -> None:
        self._pool = pool
        self.root = child("", pools.POOL.name, pool)
        self.state = NODE, "", ""

    def asked(self, pool: str) -> tuple[Place, ...]:
        """All namespaces, priority classes, nodes and pods of functions; and objects with our name in any namespace."""
        return (
            Place(pool, NAMESPACE, "", ""),
            Place(pool, QUOTA, "", pools.NAME),
            Place(pool, NETWORK_POLICY, "", pools.NAME),
            Place(pool, PRIORITY_CLASS, "", ""),
            Place(pool, NODE, "", ""),
            Place(pool, POD, "", ""),
        )

    def pool_of(self, path: Path) -> str:
        """The pool, for every entry."""
        return self._pool if path != self.root else ""

    # ------------------------------------------------------------------------ reading

    def observed(self, found: Mapping[Place, Object], dark: Mapping[str, str]) -> Observed:
        """See ``Objects.observed``."""
        seen = _TreeReader({self.root: {}})
        kinds = {kind: [one for place, one in found.items() if place.kind is kind] for kind in (NODE, POD)}
        ours = {
            place: one
            for place, one in found.items()
            if place.kind not in kinds and pools.is_ours(place.namespace or place.name)
        }
        for place in sorted((place for place in found if place.kind is NODE), key=lambda one: one.name):
            if CORDONED_LABEL in found[place]["metadata"].get("labels", {}):
                ours[place] = found[place]
                cordoned = found[place].get("spec", {}).get("unschedulable") is True
                path = pools.node_path(self._pool, place.name)
                seen.tree[path] = {"unschedulable": "true"} if cordoned else {}
        for place in sorted((place for place in ours if place.kind is NAMESPACE), key=lambda one: one.name):
            self._namespace(place, ours, seen)
        for place in sorted((place for place in ours if place.kind is PRIORITY_CLASS), key=lambda one: one.name):
            path = child(self.root, "Priority", place.name)
            if one := seen.standing(ours[place], path):
                seen.tree[path] = {"value": str(one.get("value", 0))}
        away = dict.fromkeys([self.root], next(iter(dark.values()))) if dark else {}
        return replace(seen.as_observed(self, ours, away), cluster=_cluster(kinds[NODE], kinds[POD]))

    def _namespace(self, place: Place, ours: Mapping[Place, Object], seen: _TreeReader) -> None:
        path = child(self.root, "Namespace", place.name)
        standing = seen.standing(ours[place], path)
        if standing is None:
            return
        owner = standing.get("metadata", {}).get("labels", {}).get(OWNER_LABEL)
        seen.tree[path] = {} if owner is None else {"owner": str(owner)}
        quota, policy = (Place(place.pool, kind, place.name, pools.NAME) for kind in (QUOTA, NETWORK_POLICY))
        below = child(path, "Quota", pools.NAME)
        if one := seen.standing(ours.get(quota), below):
            hard = one.get("spec", {}).get("hard", {})
            seen.tree[below] = {leaf: _amount(leaf, hard[key]) for leaf, key in _QUOTAS.items() if key in hard}
            seen.unknown += [f"{below}/{shortened(key)}" for key in hard if key not in _QUOTAS.values()]
        below = child(path, "Isolation", pools.NAME)
        if one := seen.standing(ours.get(policy), below):
            owners = _let_in(one.get("spec", {}))
            seen.tree[below] = {} if owners is None else {"owners": owners}
            seen.unknown += [f"{below}/spec"] if owners is None else []

    # ------------------------------------------------------------------------ writing

    def wanted(self, tree: Tree) -> dict[Place, dict[str, Any]]:
        """See ``Objects.wanted``."""
        found: dict[Place, dict[str, Any]] = {}
        for path, leaves in tree.items():
            kind, (name,) = step(path)
            if kind == "Namespace":
                labels = {OWNER_LABEL: str(leaves.get("owner", ""))}
                found[Place(self._pool, NAMESPACE, "", name)] = _object(NAMESPACE, name, labels, {})
            elif kind == "Priority":
                value = {"value": int(str(leaves["value"])), "description": "made by Minka"}
                found[Place(self._pool, PRIORITY_CLASS, "", name)] = _object(PRIORITY_CLASS, name, {}, value)
            elif kind == "Node":
                spec = {"unschedulable": True} if leaves.get("unschedulable") == "true" else {}
                found[Place(self._pool, NODE, "", name)] = _object(NODE, name, {CORDONED_LABEL: "true"}, {"spec": spec})
            elif kind in ("Quota", "Isolation"):
                (namespace,) = step(parent(path))[1]
                sort = QUOTA if kind == "Quota" else NETWORK_POLICY
                spec = _hard(leaves) if kind == "Quota" else _policy(leaves)
                found[Place(self._pool, sort, namespace, name)] = _object(sort, name, {}, {"spec": spec})
        return found

    def leaf_at(self, place: Place, field: tuple[str, ...]) -> tuple[Path, LeafName] | None:
        """See ``Objects.leaf_at``."""
        above = child(self.root, "Namespace", place.namespace or place.name)
        match place.kind, field:
            case _ if place.kind is NAMESPACE and field == ("metadata", "labels", OWNER_LABEL):
                return above, "owner"
            case _ if place.kind is QUOTA and field[:2] == ("spec", "hard") and len(field) == 3:
                leaf = next((leaf for leaf, key in _QUOTAS.items() if key == field[2]), None)
                return (child(above, "Quota", place.name), leaf) if leaf else None
            case _ if place.kind is NETWORK_POLICY and field[:1] == ("spec",):
                return child(above, "Isolation", place.name), "owners"
            case _ if place.kind is NODE and field == ("spec", "unschedulable"):
                return pools.node_path(self._pool, place.name), "unschedulable"
            case _ if place.kind is PRIORITY_CLASS and field == ("value",):
                return child(self.root, "Priority", place.name), "value"
        return None


# --------------------------------------------------------------------------- parts of objects


@dataclass
class _TreeReader:
    """A tree under construction."""

    tree: dict[Path, dict[LeafName, Value]]
    state: dict[Path, dict[LeafName, Value]] = field(default_factory=dict)
    unknown: list[Path] = field(default_factory=list)

    def standing(self, one: Object | None, path: Path) -> Object | None:
        """An object that stays; one that is being deleted is noted."""
        if one is None or "deletionTimestamp" not in one.get("metadata", {}):
            return one
        self.unknown.append(f"{path}/{one.get('kind', 'object')} is being deleted, which {held_up_by(one)} holds up")
        return None

    def as_observed(self, objects: Objects, found: Mapping[Place, Object], dark: Mapping[Path, str]) -> Observed:
        """The result, with other writers.

        Raises:
            DeviceRefusedError: There are more nodes than any device has.
        """
        count = NodeCount(objects.root[1:])
        for path in (*self.tree, *self.unknown):
            count.add(path)
        writers: dict[Path, dict[LeafName, str]] = defaultdict(dict)
        for place, one in found.items():
            for field_, manager in writers_of(one):
                at = objects.leaf_at(place, field_)
                if at is not None and at[0] in self.tree and manager.name != MANAGER:
                    writers[at[0]][at[1]] = manager.name
        return Observed(self.tree, self.state, tuple(self.unknown), tries=True, writers=dict(writers), dark=dict(dark))


def notable(one: Object) -> Object:
    """An object without what changes of itself: its version, who wrote it, and the times at which a node is heard of.

    A node in which only these change is as it was; a kubelet writes them every few minutes.
    """
    metadata, status = one.get("metadata"), one.get("status")
    found = {**one}
    if isinstance(metadata, dict):
        found["metadata"] = {name: part for name, part in metadata.items() if name not in _RESTLESS}
    if isinstance(status, dict):
        conditions = status.get("conditions")
        listed = conditions if isinstance(conditions, list) else []
        found["status"] = {name: part for name, part in status.items() if name != "images"} | {
            "conditions": [
                {name: part for name, part in each.items() if name != "lastHeartbeatTime"}
                for each in listed
                if isinstance(each, dict)
            ]
        }
    return found


#: What of metadata changes with every write.
_RESTLESS = ("resourceVersion", "managedFields")


def held_up_by(one: Object) -> str:
    """What keeps an object that is being deleted from being gone: its finalizers, or what its namespace says of itself.

    A namespace goes after all that is in it, of every kind: also of one whose own API server does not answer.
    """
    finalizers = ", ".join(map(str, one["metadata"].get("finalizers", ())))
    said = [_words(condition) for condition in _conditions(one).values() if condition.get("status") == "True"]
    return finalizers or (one.get("kind") == NAMESPACE.name and "; ".join(said)) or "its pods"


def _object(kind: Kind, name: str, labels: Mapping[str, str], more: Mapping[str, Any]) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": name}
    if labels:
        metadata["labels"] = {key: value for key, value in labels.items() if value}
    return {"apiVersion": kind.api, "kind": kind.name, "metadata": metadata, **more}


def _interface(name: str, leaves: Leaves) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": name}
    if "address" in leaves:
        gateway = {"gateway": leaves["gateway"]} if "gateway" in leaves else {}
        entry["ipv4"] = {"address": leaves["address"], **gateway}
    if "vlan" in leaves:
        entry["vlanID"] = int(str(leaves["vlan"]))
    return entry


def _instance(name: str, leaves: Leaves) -> dict[str, Any]:
    interfaces = leaves.get("interfaces", ())
    names = sorted((interfaces,) if isinstance(interfaces, str) else interfaces)
    return {"name": name, **({"interfaces": names} if names else {})}


def _hard(leaves: Leaves) -> dict[str, Any]:
    return {"hard": {key: _quantity(leaf, str(leaves[leaf])) for leaf, key in _QUOTAS.items() if leaf in leaves}}


def _quantity(leaf: LeafName, number: str) -> str:
    """A whole number as servers write it (``1024`` GiB are ``1Ti``), since another form would always differ."""
    step_, suffixes = (1024, ("Gi", "Ti", "Pi")) if leaf in _GIBIBYTES else (1000, ("", "k", "M"))
    suffixes = ("M", "G", "T") if leaf in _CAPACITY else suffixes
    amount, power = int(number), 0
    while amount and amount % step_ == 0 and power < len(suffixes) - 1:
        amount, power = amount // step_, power + 1
    return f"{amount}{suffixes[power]}" if amount else "0"


def _amount(leaf: LeafName, quantity: object) -> str:
    """A quantity in whole units, GiB for memory and Mbit/s for capacity; unchanged if it is invalid."""
    amount = _number(quantity)
    if amount is None:
        return str(quantity)
    unit = _SUFFIXES["Gi"] if leaf in _GIBIBYTES else _SUFFIXES["M"] if leaf in _CAPACITY else Decimal(1)
    return f"{(amount / unit).normalize():f}"


def _number(quantity: object) -> Decimal | None:
    """A quantity as a number; None if it is invalid, less than none, or larger than any."""
    found = _QUANTITY.fullmatch(str(quantity))
    try:
        number = Decimal(found[1]) * _SUFFIXES[found[2] or ""] if found else None
    except InvalidOperation:
        return None
    return number if number is not None and 0 <= number <= _MOST_QUANTITY else None


def _whole(value: object, most: int = _MOST_COUNT) -> int | None:
    """A whole number as an API server writes it; None for anything else, which says nothing."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= most else None


def _policy(leaves: Leaves) -> dict[str, Any]:
    owners = leaves.get("owners", ())
    names = sorted((owners,) if isinstance(owners, str) else owners)
    chosen = {"matchExpressions": [{"key": OWNER_LABEL, "operator": "In", "values": names}]}
    rules = [{"from": [{"namespaceSelector": chosen}]}] if names else []
    return {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": rules}


def _let_in(spec: Object) -> tuple[str, ...] | None:
    """The owners whose namespaces a policy admits; None if the policy is not ours."""
    try:
        owners = tuple(spec["ingress"][0]["from"][0]["namespaceSelector"]["matchExpressions"][0]["values"])
    except (KeyError, IndexError, TypeError):
        owners = ()
    ours = _policy({"owners": owners})
    # What is empty, servers may leave out.
    return tuple(sorted(owners)) if {key: spec.get(key, type(ours[key])()) for key in ours} == ours else None


def _readiness(one: Object, settings: Object) -> dict[LeafName, Value]:
    """The operator's condition of a function, if it is about the latest generation."""
    status, generation = one.get("status", {}), _whole(one.get("metadata", {}).get("generation", 0), _MOST_GENERATION)
    conditions = _conditions(one)
    ready, stalled = conditions.get("Ready", {}), conditions.get("Stalled", {})

    def holds(condition: Object) -> bool:
        known = _whole(
            condition.get("observedGeneration", status.get("observedGeneration", generation)), _MOST_GENERATION
        )
        if known is None or generation is None:
            return False  # of an odd generation nobody knows which one is the latest
        return condition.get("status") == "True" and known >= generation

    written = _written(settings)
    said = stalled if stalled.get("status") == "True" else {} if holds(ready) else ready
    words = ": ".join(str(said[part]) for part in ("reason", "message") if said.get(part))
    state: dict[LeafName, Value] = {"ready": str(holds(ready)).lower()}
    if conditions.get("Available", {}).get("status") == "True":
        state["available"] = "true"
    if holds(stalled) and _since(stalled) >= written:
        state["stalled"] = "true"
    if holds(ready) and _since(ready) < written:
        state["noticed"] = "false"
    if words:
        state["reason"] = words[:500]
    if "creationTimestamp" in one.get("metadata", {}):
        state["placed"] = str(one["metadata"]["creationTimestamp"])
    if (replicas := _whole(status.get("replicas"))) is not None:
        state["runningReplicas"] = str(replicas)
    return state


def _written(settings: Object) -> datetime:
    """When the parameters of a function were last written; a ConfigMap has no generation for a status to name."""
    entries = settings.get("metadata", {}).get("managedFields", ())
    return max((_time(entry.get("time")) for entry in entries if "f:data" in entry.get("fieldsV1", {})), default=_EVER)


def _since(condition: Object) -> datetime:
    """Since when a condition has its status; a condition without a time is trusted."""
    found = _time(condition.get("lastTransitionTime"))
    return datetime.max.replace(tzinfo=UTC) if found == _EVER else found


def _time(text: object) -> datetime:
    return moment(text if isinstance(text, str) else "") or _EVER


def _below(tree: Tree, path: Path, kind: str) -> list[tuple[str, Leaves]]:
    inner = [(step(one), leaves) for one, leaves in tree.items() if parent(one) == path]
    return [(keys[0], leaves) for (name, keys), leaves in inner if name == kind]


def _at(entry: Object, names: Iterable[str]) -> Any:
    value: Any = entry
    for name in names:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _scalar(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _without_defaults(spec: NodeSpec, leaves: Mapping[LeafName, str]) -> dict[LeafName, Value]:
    read = {leaf: spec.leaf_by_name[leaf].normalise(value) for leaf, value in leaves.items()}
    return {leaf: value for leaf, value in read.items() if spec.leaf_by_name[leaf].default != value}


# --------------------------------------------------------------------------- nodes and pods

#: Condition of a node that says whether its clock follows PTP. Kubernetes itself has none: a clock monitor on the node
#: sets it, for example a plug-in of node-problem-detector.
CLOCK_CONDITION = "ClockSynchronized"
_CLOCK = {"True": True, "False": False}
_READY = {"True": NodeReady.READY, "False": NodeReady.NOT_READY}
#: Resources of nodes and pods, and the size of one unit of each.
_ROOM = {
    "cpus": ("cpu", Decimal(1)),
    "memory_gb": ("memory", _SUFFIXES["Gi"]),
    "hugepages_gb": ("hugepages-1Gi", _SUFFIXES["Gi"]),
    "accelerators": ("minka.dev/accelerators", Decimal(1)),
}
#: Restarts from which a container counts as crashing again and again, also while it runs.
_CRASHES = 2
#: Characters of a scheduler's or kubelet's message that are kept.
_LONGEST = 300


def _cluster(nodes: Iterable[Object], pods: Iterable[Object]) -> ClusterState:
    """State of nodes and pods, without pods that have ended."""
    here: dict[str, list[Object]] = defaultdict(list)
    ready: dict[str, bool] = {}
    waiting: dict[str, str] = {}
    standing: list[Object] = []
    restarts: Counter[str] = Counter()
    for pod in sorted(pods, key=lambda one: str(one["metadata"]["name"])):
        if pod.get("status", {}).get("phase") in ("Succeeded", "Failed"):
            continue
        function = str(pod["metadata"]["labels"][FUNCTION_LABEL])
        here[str(pod.get("spec", {}).get("nodeName", ""))].append(pod)
        restarts[function] += sum(map(_restarts, _containers(pod)))
        if "deletionTimestamp" in pod["metadata"]:
            continue
        said = _conditions(pod)
        ready[function] = ready.get(function, False) or _status(said, "Ready") == "True"
        if said.get("PodScheduled", {}).get("reason") == "Unschedulable":
            waiting[function] = _words(said["PodScheduled"])
        standing.append(pod)
    crashing, crashed = _crashes(standing)
    return ClusterState(
        nodes=tuple(
            _node(one, here[str(one["metadata"]["name"])]) for one in sorted(nodes, key=lambda n: n["metadata"]["name"])
        ),
        waiting=waiting,
        crashing=crashing,
        crashed=crashed,
        restarts=dict(restarts),
        down=tuple(sorted(name for name, well in ready.items() if not well)),
    )


def _node(one: Object, pods: Iterable[Object]) -> NodeState:
    said, spec = _conditions(one), one.get("spec", {})
    ready = _READY.get(_status(said, "Ready"), NodeReady.UNKNOWN)
    bad = [kind for kind in said if kind.endswith("Pressure") or kind == "NetworkUnavailable"]
    clock = _status(said, CLOCK_CONDITION)
    requested = Resources()
    for pod in pods:
        for container in pod.get("spec", {}).get("containers", ()):
            requested += _room(container.get("resources", {}).get("requests", {}))
    return NodeState(
        id=str(one["metadata"]["name"]),
        ready=ready,
        reason="" if ready is NodeReady.READY else _words(said.get("Ready", {})),
        cordoned=spec.get("unschedulable") is True,
        pressures=tuple(sorted(kind for kind in bad if _status(said, kind) == "True")),
        clock=_CLOCK.get(clock),
        allocatable=_room(one.get("status", {}).get("allocatable", {})),
        requested=requested,
        functions=tuple(sorted({str(pod["metadata"]["labels"][FUNCTION_LABEL]) for pod in pods})),
    )


def _room(quantities: Object) -> Resources:
    amounts = {name: _number(quantities.get(key, "0")) or Decimal(0) for name, (key, _) in _ROOM.items()}
    return Resources(**{name: float(amounts[name] / unit) for name, (_, unit) in _ROOM.items()})


def _crashes(pods: Iterable[Object]) -> tuple[dict[str, str], dict[str, datetime]]:
    """Functions with a container that crashes repeatedly: the kubelet's message, and when it crashed if it runs now.

    Between two crashes a container may be ready for a while, so readiness alone proves nothing.
    """
    said: dict[str, str] = {}
    last: dict[str, datetime] = {}
    waits: set[str] = set()
    for pod, container in ((one, container) for one in pods for container in _containers(one)):
        function = str(pod["metadata"]["labels"][FUNCTION_LABEL])
        waiting, ended = _at(container, ("state", "waiting")) or {}, _at(container, ("lastState", "terminated"))
        again = _restarts(container)
        if waiting.get("reason") == "CrashLoopBackOff":
            waits.add(function)
            said[function] = f"{_words(waiting)} ({again} restarts)"
        elif again >= _CRASHES and ended:
            last[function] = max(_time(ended.get("finishedAt")), last.get(function, _EVER))
            said.setdefault(function, f"{_words(ended)} ({again} restarts)")
    return said, {function: at for function, at in last.items() if function not in waits}


def _containers(pod: Object) -> Iterable[Object]:
    found: Iterable[Object] = pod.get("status", {}).get("containerStatuses", ())
    return found


def _restarts(container: Object) -> int:
    """How often a container started again, as far as that is told."""
    return _whole(container.get("restartCount")) or 0


def _conditions(one: Object) -> dict[str, Object]:
    return {str(said.get("type")): said for said in one.get("status", {}).get("conditions", ())}


def _status(conditions: Mapping[str, Object], kind: str) -> str:
    return str(conditions.get(kind, {}).get("status", ""))


def _words(said: Object) -> str:
    return ": ".join(str(said[part]) for part in ("reason", "message") if said.get(part))[:_LONGEST]


# --------------------------------------------------------------------------- who wrote what


#: Appliers that work out themselves what differs, and then edit: their users keep applying after an edit. In this order
#: kubectl, Argo CD, Helm, Flux, Fleet of Rancher, Terraform and Pulumi.
_CLIENT_SIDE = frozenset(
    {
        "kubectl-client-side-apply",
        "argocd-controller",
        "helm",
        "helm-controller",
        "fleetagent",
        "HashiCorp",
        "pulumi-kubernetes",
    }
)


#: Tools with which people scale; part of the name before a hyphen, as of kubectl-patch.
_TOOLS = frozenset({"kubectl", "oc", "k9s"})


class Manager(NamedTuple):
    """Writer of fields of an object; ``applies`` if by Server-Side Apply, ``subresource`` if through one."""

    name: str
    applies: bool
    subresource: str

    @property
    def by_hand(self) -> bool:
        """Whether it was a single edit by hand."""
        if self.applies or self.name in _CLIENT_SIDE:
            return False
        # Through scale write autoscalers, which go on, and people with such a tool, who don't.
        return not self.subresource or (self.subresource == "scale" and self.name.partition("-")[0] in _TOOLS)


def writers_of(one: Object) -> Iterator[tuple[tuple[str, ...], Manager]]:
    """Fields of an object that were not written by Minka's applying, each with its writer."""
    for entry in one.get("metadata", {}).get("managedFields", ()):
        applies = entry.get("operation") == "Apply"
        manager = Manager(str(entry.get("manager", "")), applies, str(entry.get("subresource", "")))
        if manager != (MANAGER, True, ""):
            yield from ((field, manager) for field in _fields(entry.get("fieldsV1", {}), ()))


def _fields(node: Object, above: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """The leaves of ``fieldsV1``: ``f:`` and a name, ``k:`` and the keys of a list's entry, of which there is one."""
    for name, inner in node.items():
        if name == ".":
            continue
        mark, _, rest = name.partition(":")
        if mark == "k":
            rest = re.sub(r'^\{"[^"]*":"?|"?\}$', "", rest)
        field = (*above, shortened(rest))
        if inner and set(inner) != {"."}:
            yield from _fields(inner, field)
        else:
            yield field
