"""Objects as rows, as ``kubectl get`` shows them, and as their metadata alone."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from simulators.cloud.language.kinds import Kind
from simulators.cloud.server.store import Object

Cell = Callable[[Object, datetime], Any]
_NONE = "<none>"
_UNKNOWN = "<unknown>"
_NAME_TEXT = (
    "Name must be unique within a namespace. Is required when creating resources, although some resources may allow a "
    "client to request the generation of an appropriate name automatically. Name is primarily intended for creation "
    "idempotence and configuration definition. Cannot be updated. More info: "
    "https://kubernetes.io/docs/concepts/overview/working-with-objects/names#names"
)
_AGE_TEXT = "The time since the object was created."


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its heading, and how an object's cell is made."""

    name: str
    cell: Cell
    description: str = ""
    type: str = "string"
    format: str = ""
    priority: int = 0

    @property
    def definition(self) -> dict[str, Any]:
        """As ``columnDefinitions`` has it."""
        return {
            "name": self.name,
            "type": self.type,
            "format": self.format,
            "description": self.description,
            "priority": self.priority,
        }


def table(
    kind: Kind,
    objects: Iterable[Object],
    now: datetime,
    include: str,
    list_metadata: dict[str, Any],
    version: str,
) -> dict[str, Any]:
    """A Table of objects, in this version of its group; ``include``: what of each object goes with its row."""
    columns = columns_of(kind)

    def included(obj: Object) -> Object | None:
        return None if include == "None" else obj if include == "Object" else metadata_only(obj, version)

    return {
        "kind": "Table",
        "apiVersion": version,
        "metadata": list_metadata,
        "columnDefinitions": [column.definition for column in columns],
        "rows": [{"cells": [column.cell(obj, now) for column in columns], "object": included(obj)} for obj in objects],
    }


def metadata_only(obj: Object, version: str) -> Object:
    """A PartialObjectMetadata, in this version of its group."""
    return {"kind": "PartialObjectMetadata", "apiVersion": version, "metadata": obj["metadata"]}


def age(text: str | None, now: datetime) -> str:
    """How long ago that was, as short as kubectl says it."""
    if not text:
        return _UNKNOWN
    seconds = max(0, int((now - datetime.fromisoformat(text)).total_seconds()))
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if seconds < 120:
        return f"{seconds}s"
    if minutes < 10:
        return f"{minutes}m{seconds % 60}s" if seconds % 60 else f"{minutes}m"
    if minutes < 180:
        return f"{minutes}m"
    if hours < 8:
        return f"{hours}h{minutes % 60}m" if minutes % 60 else f"{hours}h"
    if hours < 48:
        return f"{hours}h"
    if days < 8:
        return f"{days}d{hours % 24}h" if hours % 24 else f"{days}d"
    if days < 365 * 2:
        return f"{days}d"
    years = days // 365
    return f"{years}y{days % 365}d" if years < 8 and days % 365 else f"{years}y"


# --------------------------------------------------------------- JSON paths of columns

_STEP = re.compile(
    r"""\.([A-Za-z0-9_-]+) | \['([^']+)'\] | \[(\d+|\*)\]
    | \[\?\(@\.([\w.-]+)\s*==\s*["']([^"']*)["']\)\]""",
    re.VERBOSE,
)


def values_at(obj: Any, path: str) -> list[Any]:
    """What a JSON path of a printer column or scale finds; nothing where a step leads nowhere."""
    found = [obj]
    for step in _STEP.finditer(path if path.startswith((".", "[")) else f".{path}"):
        name, quoted, index, key, wanted = step.groups()
        if key is not None:
            found = [one for part in found for one in part if isinstance(part, list) and _at(one, key) == wanted]
        elif index == "*":
            found = [one for part in found if isinstance(part, list) for one in part]
        elif index is not None:
            found = [part[int(index)] for part in found if isinstance(part, list) and len(part) > int(index)]
        else:
            word = name or quoted
            found = [part[word] for part in found if isinstance(part, dict) and word in part]
    return found


def _at(obj: Any, dotted: str) -> Any:
    for word in dotted.split("."):
        obj = obj.get(word) if isinstance(obj, dict) else None
    return obj


def _custom(column: Any) -> Column:
    path, kind = column["jsonPath"], column["type"]

    def cell(obj: Object, now: datetime) -> Any:
        found = values_at(obj, path)
        if not found or found[0] is None:
            return None
        if kind == "date":
            return age(found[0], now) if isinstance(found[0], str) else _UNKNOWN
        value = found[0]
        if kind in {"integer", "number"}:
            return value if isinstance(value, int | float) and not isinstance(value, bool) else None
        if kind == "boolean":
            return value if isinstance(value, bool) else None
        return value if isinstance(value, str) else _go(value)

    text = column.get("description") or f"Custom resource definition column (in JSONPath format): {path}"
    return Column(column["name"], cell, text, kind, column.get("format", ""), column.get("priority", 0))


def _go(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


# --------------------------------------------------------------------- built-in kinds


def _name(obj: Object, _: datetime) -> str:
    return str(obj["metadata"]["name"])


def _age(obj: Object, now: datetime) -> str:
    return age(obj["metadata"].get("creationTimestamp"), now)


def _path(path: str, default: Any = _NONE) -> Cell:
    def cell(obj: Object, _: datetime) -> Any:
        found = values_at(obj, path)
        return found[0] if found and found[0] not in (None, "") else default

    return cell


NAME = Column("Name", _name, _NAME_TEXT, format="name")
AGE = Column("Age", _age, _AGE_TEXT)


def _conditions(obj: Object) -> dict[str, str]:
    return {one["type"]: one["status"] for one in obj.get("status", {}).get("conditions") or ()}


def _pod_ready(obj: Object, _: datetime) -> str:
    statuses = obj.get("status", {}).get("containerStatuses") or ()
    return f"{sum(bool(one.get('ready')) for one in statuses)}/{len(obj['spec'].get('containers', ()))}"


def _pod_status(obj: Object, _: datetime) -> str:
    status = obj.get("status", {})
    reason = str(status.get("reason") or status.get("phase", "Unknown"))
    for one in status.get("containerStatuses") or ():
        state = one.get("state", {})
        for side in ("waiting", "terminated"):
            if state.get(side, {}).get("reason"):
                reason = state[side]["reason"]
    if "deletionTimestamp" in obj["metadata"]:
        return "Unknown" if status.get("reason") == "NodeLost" else "Terminating"
    return reason


def _pod_restarts(obj: Object, now: datetime) -> str:
    restarts = sum(one.get("restartCount", 0) for one in obj.get("status", {}).get("containerStatuses") or ())
    ends = values_at(obj, ".status.containerStatuses[*].lastState.terminated.finishedAt")
    return f"{restarts} ({age(max(ends), now)} ago)" if restarts and ends else str(restarts)


def _node_status(obj: Object, _: datetime) -> str:
    ready = _conditions(obj).get("Ready")
    words = ["Unknown" if ready is None else "Ready" if ready == "True" else "NotReady"]
    if obj.get("spec", {}).get("unschedulable"):
        words.append("SchedulingDisabled")
    return ",".join(words)


def _node_roles(obj: Object, _: datetime) -> str:
    prefix = "node-role.kubernetes.io/"
    roles = [key.removeprefix(prefix) for key in obj["metadata"].get("labels", {}) if key.startswith(prefix)]
    return ",".join(sorted(roles)) or _NONE


def _address(kind: str) -> Cell:
    return _path(f'.status.addresses[?(@.type=="{kind}")].address')


def _count(*names: str) -> Cell:
    return lambda obj, _: sum(len(obj.get(name) or ()) for name in names)


def _seen(*paths: str) -> Cell:
    def cell(obj: Object, now: datetime) -> str:
        found = [value for path in paths for value in values_at(obj, path) if value]
        return age(found[0], now) if found else _UNKNOWN

    return cell


def _involved(obj: Object, _: datetime) -> str:
    about = obj.get("involvedObject", {})
    return f"{about.get('kind', '').lower()}/{about.get('name', '')}"


def _source(obj: Object, _: datetime) -> str:
    source = obj.get("source", {})
    parts = (
        source.get("component") or obj.get("reportingComponent"),
        source.get("host") or obj.get("reportingInstance"),
    )
    return ", ".join(part for part in parts if part)


def _replicas(obj: Object, _: datetime) -> str:
    return f"{obj.get('status', {}).get('readyReplicas', 0)}/{obj['spec'].get('replicas', 1)}"


def _subjects(kind: str) -> Cell:
    def cell(obj: Object, _: datetime) -> str:
        found = [one for one in obj.get("subjects") or () if one["kind"] == kind]
        return ", ".join(
            f"{one['namespace']}/{one['name']}" if kind == "ServiceAccount" else one["name"] for one in found
        )

    return cell


def _external(obj: Object, _: datetime) -> str:
    spec = obj["spec"]
    if spec.get("type") == "ExternalName":
        return str(spec.get("externalName", ""))
    if spec.get("type") == "LoadBalancer":
        given = values_at(obj, ".status.loadBalancer.ingress[*]")
        found = [one.get("ip") or one.get("hostname", "") for one in given]
        return ",".join([*found, *spec.get("externalIPs", ())]) or "<pending>"
    return ",".join(spec.get("externalIPs") or ()) or _NONE


def _used(side: str) -> Cell:
    def cell(obj: Object, _: datetime) -> str:
        status = obj.get("status", {})
        hard = status.get("hard") or obj["spec"].get("hard") or {}
        chosen = [name for name in sorted(hard) if name.startswith("limits.") == (side == "limits")]
        return ", ".join(f"{name}: {status.get('used', {}).get(name, '0')}/{hard[name]}" for name in chosen)

    return cell


def _selector(*path: str) -> Cell:
    def cell(obj: Object, _: datetime) -> str:
        found: Any = obj
        for name in path:
            found = (found or {}).get(name)
        labels = (found or {}).get("matchLabels", found) or {}
        return ",".join(f"{key}={value}" for key, value in sorted(labels.items())) or _NONE

    return cell


def _role(obj: Object, _: datetime) -> str:
    return f"{obj['roleRef']['kind']}/{obj['roleRef']['name']}"


def _ports(obj: Object, _: datetime) -> str:
    def said(port: dict[str, Any]) -> str:
        node = f":{port['nodePort']}" if port.get("nodePort") else ""
        return f"{port['port']}{node}/{port.get('protocol', 'TCP')}"

    return ",".join(said(port) for port in obj["spec"].get("ports") or ()) or _NONE


def _column(name: str, cell: Cell, priority: int = 0, type_: str = "string", text: str = "") -> Column:
    return Column(name, cell, text or f"{name} of the object.", type_, "", priority)


def _of_containers(field: str) -> Cell:
    return lambda obj, _: ",".join(map(str, values_at(obj, f".spec.template.spec.containers[*].{field}")))


_CREATED = _column("Created At", _path(".metadata.creationTimestamp", ""), 0, "date")
_OF_BINDING = (
    NAME,
    _column("Role", _role),
    AGE,
    _column("Users", _subjects("User"), 1),
    _column("Groups", _subjects("Group"), 1),
    _column("ServiceAccounts", _subjects("ServiceAccount"), 1),
)

#: Of the kinds that something happens to on a pool; the others have rows of name and age.
_BUILT_IN: dict[str, Sequence[Column]] = {
    "pods": (
        NAME,
        _column("Ready", _pod_ready),
        _column("Status", _pod_status),
        _column("Restarts", _pod_restarts),
        AGE,
        _column("IP", _path(".status.podIP"), 1),
        _column("Node", _path(".spec.nodeName"), 1),
        _column("Nominated Node", _path(".status.nominatedNodeName"), 1),
        _column("Readiness Gates", lambda *_: _NONE, 1),
    ),
    "nodes": (
        NAME,
        _column("Status", _node_status),
        _column("Roles", _node_roles),
        AGE,
        _column("Version", _path(".status.nodeInfo.kubeletVersion", "")),
        _column("Internal-IP", _address("InternalIP"), 1),
        _column("External-IP", _address("ExternalIP"), 1),
        _column("OS-Image", _path(".status.nodeInfo.osImage", _UNKNOWN), 1),
        _column("Kernel-Version", _path(".status.nodeInfo.kernelVersion", _UNKNOWN), 1),
        _column("Container-Runtime", _path(".status.nodeInfo.containerRuntimeVersion", _UNKNOWN), 1),
    ),
    "namespaces": (NAME, _column("Status", _path(".status.phase", "")), AGE),
    "configmaps": (NAME, _column("Data", _count("data", "binaryData")), AGE),
    "secrets": (NAME, _column("Type", _path(".type", "")), _column("Data", _count("data"), type_="integer"), AGE),
    "serviceaccounts": (NAME, _column("Secrets", _count("secrets")), AGE),
    "events": (
        _column("Last Seen", _seen(".series.lastObservedTime", ".lastTimestamp", ".eventTime")),
        _column("Type", _path(".type", "")),
        _column("Reason", _path(".reason", "")),
        _column("Object", _involved),
        _column("Subobject", _path(".involvedObject.fieldPath", ""), 1),
        _column("Source", _source, 1),
        _column("Message", lambda obj, _: str(obj.get("message", "")).strip()),
        _column("First Seen", _seen(".firstTimestamp", ".eventTime"), 1),
        _column("Count", _path(".count", 1), 1),
        Column("Name", _name, _NAME_TEXT, format="name", priority=1),
    ),
    "services": (
        NAME,
        _column("Type", _path(".spec.type", "")),
        _column("Cluster-IP", _path(".spec.clusterIP")),
        _column("External-IP", _external),
        _column("Port(s)", _ports),
        AGE,
        _column("Selector", _selector("spec", "selector"), 1),
    ),
    "resourcequotas": (NAME, _column("Request", _used("requests")), _column("Limit", _used("limits")), AGE),
    "deployments.apps": (
        NAME,
        _column("Ready", _replicas),
        _column("Up-to-date", _path(".status.updatedReplicas", 0)),
        _column("Available", _path(".status.availableReplicas", 0)),
        AGE,
        _column("Containers", _of_containers("name"), 1),
        _column("Images", _of_containers("image"), 1),
        _column("Selector", _selector("spec", "selector"), 1),
    ),
    "networkpolicies.networking.k8s.io": (NAME, _column("Pod-Selector", _selector("spec", "podSelector")), AGE),
    "poddisruptionbudgets.policy": (
        NAME,
        _column("Min Available", _path(".spec.minAvailable", "N/A")),
        _column("Max Unavailable", _path(".spec.maxUnavailable", "N/A")),
        _column("Allowed Disruptions", _path(".status.disruptionsAllowed", 0), type_="integer"),
        AGE,
    ),
    "priorityclasses.scheduling.k8s.io": (
        NAME,
        _column("Value", _path(".value", 0), type_="integer"),
        _column("Global-Default", lambda obj, _: bool(obj.get("globalDefault")), type_="boolean"),
        AGE,
        _column("PreemptionPolicy", _path(".preemptionPolicy", "")),
    ),
    "leases.coordination.k8s.io": (NAME, _column("Holder", _path(".spec.holderIdentity", "")), AGE),
    "limitranges": (NAME, _CREATED),
    "roles.rbac.authorization.k8s.io": (NAME, _CREATED),
    "clusterroles.rbac.authorization.k8s.io": (NAME, _CREATED),
    "rolebindings.rbac.authorization.k8s.io": _OF_BINDING,
    "clusterrolebindings.rbac.authorization.k8s.io": _OF_BINDING,
    "customresourcedefinitions.apiextensions.k8s.io": (NAME, _CREATED),
}


def columns_of(kind: Kind) -> Sequence[Column]:
    """The columns of a kind; where nothing else is said, name and age."""
    if kind.custom:
        return (NAME, *map(_custom, kind.columns)) if kind.columns else (NAME, AGE)
    return _BUILT_IN.get(kind.storage, (NAME, AGE))
