"""What each built-in kind has of its own: defaults that depend on other fields, what the server decides, and checks."""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from simulators.cloud.language import definitions, metadata, quantities
from simulators.cloud.language.schema import copied
from simulators.cloud.language.status import Cause

Object = dict[str, Any]

IMMUTABLE: Final = "field is immutable"
_LARGEST: Final = 1024 * 1024


def _nothing(obj: Object) -> None:
    """Leave an object as it is."""


def _kept(obj: Object, old: Object, subresource: str) -> None:
    """Leave an update as it is."""


def _right(obj: Object) -> Iterator[Cause]:
    """Nothing is wrong."""
    return iter(())


def _free(obj: Object, old: Object) -> Iterator[Cause]:
    """Everything may change."""
    return iter(())


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of one kind.

    Attributes:
        name: What is wrong with a name.
        default: Put in defaults that depend on other fields.
        create: What the server decides of a new object.
        update: What it decides of one that changes, through which subresource.
        problems: What is wrong with an object.
        changes: What is wrong with a change of it.
    """

    name: metadata.NameRule = metadata.subdomain
    default: Callable[[Object], None] = _nothing
    create: Callable[[Object], None] = _nothing
    update: Callable[[Object, Object, str], None] = _kept
    problems: Callable[[Object], Iterable[Cause]] = _right
    changes: Callable[[Object, Object], Iterable[Cause]] = _free


def _reset_status(obj: Object) -> None:
    obj.pop("status", None)


# ------------------------------------------------------------------------------------------- pods and their templates


def _default_container(container: Object) -> None:
    image = str(container.get("image", ""))
    tag = image.rpartition("/")[2].partition(":")[2]
    latest = tag in {"", "latest"} and "@" not in image
    container.setdefault("imagePullPolicy", "Always" if latest else "IfNotPresent")
    resources = container.get("resources") or {}
    for name, value in (resources.get("limits") or {}).items():
        resources.setdefault("requests", {}).setdefault(name, value)
    for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
        grpc = (container.get(probe) or {}).get("grpc")
        if grpc is not None:
            grpc.setdefault("service", "")


def _default_pod_spec(spec: Object) -> None:
    for container in _containers(spec):
        _default_container(container)
    for volume in spec.get("volumes") or ():
        if not volume.keys() - {"name"}:
            volume["emptyDir"] = {}
    if spec.get("hostNetwork"):
        for container in _containers(spec):
            for port in container.get("ports") or ():
                port.setdefault("hostPort", port.get("containerPort"))
    if spec.get("serviceAccountName"):
        spec["serviceAccount"] = spec["serviceAccountName"]
    elif spec.get("serviceAccount"):
        spec["serviceAccountName"] = spec["serviceAccount"]


def _containers(spec: Object) -> list[Object]:
    return [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]


def _default_pod(obj: Object) -> None:
    spec = obj.get("spec")
    if isinstance(spec, dict):
        _default_pod_spec(spec)
        spec.setdefault("enableServiceLinks", True)


def _default_template(obj: Object) -> None:
    template = (obj.get("spec") or {}).get("template") or {}
    if isinstance(template.get("spec"), dict):
        _default_pod_spec(template["spec"])


def quality_of_service(spec: Object) -> str:
    """`Guaranteed`, `Burstable` or `BestEffort`, by what the containers ask for."""
    asked: dict[str, list[str]] = {"requests": [], "limits": []}
    guaranteed = bool(_containers(spec))
    for container in _containers(spec):
        resources = container.get("resources") or {}
        for side, names in asked.items():
            names += [
                name for name, value in (resources.get(side) or {}).items()
                if name in {"cpu", "memory"} and quantities.amount(value)
            ]  # fmt: skip
        limits = resources.get("limits") or {}
        requests = resources.get("requests") or {}
        whole = {"cpu", "memory"} <= set(limits)
        guaranteed &= whole and all(requests.get(name, limits[name]) == limits[name] for name in ("cpu", "memory"))
    if not asked["requests"] and not asked["limits"]:
        return "BestEffort"
    return "Guaranteed" if guaranteed else "Burstable"


def _create_pod(obj: Object) -> None:
    obj["status"] = {"phase": "Pending", "qosClass": quality_of_service(obj.get("spec") or {})}


def _update_pod(obj: Object, old: Object, subresource: str) -> None:
    if subresource != "status":
        return
    if (old.get("status") or {}).get("qosClass"):
        obj.setdefault("status", {})["qosClass"] = old["status"]["qosClass"]
    owners = old["metadata"].get("ownerReferences")
    obj["metadata"].pop("ownerReferences", None)
    if owners:
        obj["metadata"]["ownerReferences"] = owners


_RESTARTS: Final = ("Always", "OnFailure", "Never")


def _pod_problems(obj: Object) -> Iterator[Cause]:
    yield from _pod_spec_problems(obj.get("spec") or {}, "spec")


def _pod_spec_problems(spec: Object, path: str) -> Iterator[Cause]:
    volumes = [volume.get("name", "") for volume in spec.get("volumes") or ()]
    for index, name in enumerate(volumes):
        yield from _name_problems(name, f"{path}.volumes[{index}].name", volumes[:index])
    if not spec.get("containers"):
        yield Cause.required(f"{path}.containers")
    seen: list[str] = []
    for part in ("initContainers", "containers"):
        for index, container in enumerate(spec.get(part) or ()):
            at = f"{path}.{part}[{index}]"
            yield from _name_problems(container.get("name", ""), f"{at}.name", seen)
            seen.append(container.get("name", ""))
            yield from _container_problems(container, at, volumes)
    if spec.get("restartPolicy") not in _RESTARTS:
        yield Cause.unsupported(f"{path}.restartPolicy", spec.get("restartPolicy", ""), _RESTARTS)
    if spec.get("terminationGracePeriodSeconds", 0) < 0:
        value = spec["terminationGracePeriodSeconds"]
        yield Cause.invalid(f"{path}.terminationGracePeriodSeconds", value, "must be greater than or equal to 0")
    yield from metadata.labels(spec.get("nodeSelector") or {}, f"{path}.nodeSelector")


def _name_problems(name: str, path: str, taken: Iterable[str]) -> Iterator[Cause]:
    if not name:
        yield Cause.required(path)
        return
    yield from (Cause.invalid(path, name, text) for text in metadata.dns_label(name))
    if name in taken:
        yield Cause.duplicate(path, name)


def _container_problems(container: Object, path: str, volumes: list[str]) -> Iterator[Cause]:
    if not container.get("image"):
        yield Cause.required(f"{path}.image")
    elif container["image"] != container["image"].strip():
        text = "must not have leading or trailing whitespace"
        yield Cause.invalid(f"{path}.image", container["image"], text)
    if container.get("imagePullPolicy") not in {"Always", "IfNotPresent", "Never"}:
        value = container.get("imagePullPolicy", "")
        yield Cause.unsupported(f"{path}.imagePullPolicy", value, ("Always", "IfNotPresent", "Never"))
    for index, port in enumerate(container.get("ports") or ()):
        yield from _port_problems(port.get("containerPort", 0), f"{path}.ports[{index}].containerPort")
    for index, mount in enumerate(container.get("volumeMounts") or ()):
        if mount.get("name") not in volumes:
            yield Cause(
                "FieldValueNotFound", f'Not found: "{mount.get("name", "")}"', f"{path}.volumeMounts[{index}].name"
            )
    for index, each in enumerate(container.get("env") or ()):
        if not each.get("name"):
            yield Cause.required(f"{path}.env[{index}].name")
    yield from _resource_problems(container.get("resources") or {}, f"{path}.resources")


def _port_problems(port: int, path: str) -> Iterator[Cause]:
    if not 0 < port < 65536:
        yield Cause.invalid(path, port, "must be between 1 and 65535, inclusive")


def _resource_problems(resources: Object, path: str) -> Iterator[Cause]:
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    for side, found in (("limits", limits), ("requests", requests)):
        for name, value in found.items():
            if quantities.amount(value) < 0:
                yield Cause.invalid(f"{path}.{side}[{name}]", value, "must be greater than or equal to 0")
    for name, value in requests.items():
        exact = "/" in name or name.startswith("hugepages-")
        if name not in limits:
            if exact:
                yield Cause.required(f"{path}.limits", "Limit must be set for non overcommitable resources")
        elif exact and quantities.amount(value) != quantities.amount(limits[name]):
            text = f"must be equal to {name} limit of {limits[name]}"
            yield Cause.invalid(f"{path}.requests", value, text)
        elif quantities.amount(value) > quantities.amount(limits[name]):
            text = f"must be less than or equal to {name} limit of {limits[name]}"
            yield Cause.invalid(f"{path}.requests", value, text)
    named = {*limits, *requests}
    if any(name.startswith("hugepages-") for name in named) and named.isdisjoint(("cpu", "memory")):
        yield Cause.forbidden(path, "HugePages require cpu or memory")


_POD_CHANGES: Final = (
    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)\n"
)


def _pod_changes(obj: Object, old: Object) -> Iterator[Cause]:
    spec, before = copied(obj["spec"]), copied(old["spec"])
    names = [len(each.get("containers") or ()) for each in (spec, before)]
    if names[0] != names[1]:
        yield Cause.forbidden("spec.containers", "pod updates may not add or remove containers")
        return
    taken = [each for each in before.get("tolerations") or () if each not in (spec.get("tolerations") or ())]
    if taken:
        text = "existing toleration can not be modified except its tolerationSeconds"
        yield Cause.forbidden("spec.tolerations", text)
    for each in (spec, before):
        for container in _containers(each):
            container.pop("image", None)
        for name in ("activeDeadlineSeconds", "tolerations"):
            each.pop(name, None)
    if spec != before:
        yield Cause.forbidden("spec", _POD_CHANGES)


# ------------------------------------------------------------------------------------------------------- workloads


def _default_deployment(obj: Object) -> None:
    _default_template(obj)
    strategy = obj["spec"].setdefault("strategy", {}) if "spec" in obj else {}
    strategy.setdefault("type", "RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        update = strategy.setdefault("rollingUpdate", {})
        update.setdefault("maxUnavailable", "25%")
        update.setdefault("maxSurge", "25%")


def _default_rolling(obj: Object) -> None:
    _default_template(obj)
    strategy = (obj.get("spec") or {}).setdefault("updateStrategy", {})
    strategy.setdefault("type", "RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        update = strategy.setdefault("rollingUpdate", {})
        if "volumeClaimTemplates" in obj["spec"] or "podManagementPolicy" in obj["spec"]:
            update.setdefault("partition", 0)
        else:
            update.setdefault("maxUnavailable", 1)
            update.setdefault("maxSurge", 0)


def _default_job(obj: Object) -> None:
    _default_template(obj)
    spec = obj.get("spec") or {}
    if "completions" not in spec and "parallelism" not in spec:
        spec["completions"] = 1
    spec.setdefault("parallelism", 1)


def _create_job(obj: Object) -> None:
    """A job chooses its pods by its uid, unless its writer says that he chooses."""
    _reset_status(obj)
    spec, uid, name = obj["spec"], obj["metadata"]["uid"], obj["metadata"]["name"]
    if spec.get("manualSelector"):
        return
    prefix = "batch.kubernetes.io/"
    labels = spec["template"].setdefault("metadata", {}).setdefault("labels", {})
    for label, value in (("controller-uid", uid), ("job-name", name)):
        labels.setdefault(label, value)
        labels.setdefault(f"{prefix}{label}", value)
    spec.setdefault("selector", {"matchLabels": {f"{prefix}controller-uid": uid}})


def _default_cron_job(obj: Object) -> None:
    _default_template((obj.get("spec") or {}).get("jobTemplate") or {})


def _workload_problems(obj: Object) -> Iterator[Cause]:
    spec = obj.get("spec") or {}
    yield from _not_negative(spec, ("replicas", "minReadySeconds", "revisionHistoryLimit"), "spec")
    template = spec.get("template") or {}
    found = (template.get("metadata") or {}).get("labels") or {}
    selector = spec.get("selector")
    if selector is None:
        yield Cause.required("spec.selector")
    elif not selector.get("matchLabels") and not selector.get("matchExpressions"):
        yield Cause.invalid("spec.selector", selector, "empty selector is invalid for deployment")
    yield from _label_selector_problems(selector, "spec.selector")
    if selector is None or not _selects(selector, found):
        text = "`selector` does not match template `labels`"
        yield Cause.invalid("spec.template.metadata.labels", found or None, text)
    yield from metadata.labels(found, "spec.template.metadata.labels")
    yield from _pod_spec_problems(template.get("spec") or {}, "spec.template.spec")
    policy = (template.get("spec") or {}).get("restartPolicy", "Always")
    if policy in _RESTARTS and policy != "Always":
        yield Cause.unsupported("spec.template.spec.restartPolicy", policy, ("Always",))


def _selects(selector: Object, labels: Mapping[str, str]) -> bool:
    """Whether a label selector takes these labels."""
    checks: dict[str, Callable[[str, list[str]], bool]] = {
        "In": lambda key, values: labels.get(key) in values,
        "NotIn": lambda key, values: labels.get(key) not in values,
        "Exists": lambda key, _: key in labels,
        "DoesNotExist": lambda key, _: key not in labels,
    }
    plain = all(labels.get(key) == value for key, value in (selector.get("matchLabels") or {}).items())
    return plain and all(
        checks[each["operator"]](each.get("key", ""), each.get("values") or [])
        for each in selector.get("matchExpressions") or ()
        if each.get("operator") in checks
    )


def _not_negative(found: Object, names: Iterable[str], path: str) -> Iterator[Cause]:
    for name in names:
        if found.get(name, 0) < 0:
            yield Cause.invalid(f"{path}.{name}", found[name], "must be greater than or equal to 0")


def _label_selector_problems(selector: Object | None, path: str) -> Iterator[Cause]:
    """What is wrong with a LabelSelector."""
    yield from metadata.labels((selector or {}).get("matchLabels") or {}, f"{path}.matchLabels")
    for index, each in enumerate((selector or {}).get("matchExpressions") or ()):
        where = f"{path}.matchExpressions[{index}]"
        yield from _operator_problems(each, where, "must be specified when `operator` is 'In' or 'NotIn'")
        yield from (
            Cause.invalid(f"{where}.key", each.get("key", ""), text)
            for text in metadata.qualified_name(each.get("key", ""))
        )


def _operator_problems(each: Object, where: str, needed: str) -> Iterator[Cause]:
    operator, values = each.get("operator", ""), each.get("values") or ()
    if operator in {"In", "NotIn"} and not values:
        yield Cause.required(f"{where}.values", needed)
    elif operator in {"Exists", "DoesNotExist"} and values:
        yield Cause.forbidden(f"{where}.values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'")
    elif operator not in {"In", "NotIn", "Exists", "DoesNotExist"}:
        yield Cause.invalid(f"{where}.operator", operator, "not a valid selector operator")


def _selector_changes(obj: Object, old: Object) -> Iterator[Cause]:
    if obj["spec"].get("selector") != old["spec"].get("selector"):
        yield Cause.invalid("spec.selector", obj["spec"].get("selector"), IMMUTABLE)


def _disruption_problems(obj: Object) -> Iterator[Cause]:
    spec = obj.get("spec") or {}
    if "minAvailable" in spec and "maxUnavailable" in spec:
        text = "minAvailable and maxUnavailable cannot be both set"
        yield Cause.invalid("spec", spec, text)
    for name in ("minAvailable", "maxUnavailable"):
        value = spec.get(name, 0)
        if isinstance(value, int) and value < 0:
            yield Cause.invalid(f"spec.{name}", value, "must be greater than or equal to 0")
        elif isinstance(value, str) and not re.fullmatch(r"[0-9]+%", value):
            text = (
                "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', "
                "regex used for validation is '[0-9]+%')"
            )
            yield Cause.invalid(f"spec.{name}", value, text)
        elif isinstance(value, str) and int(value[:-1]) > 100:
            yield Cause.invalid(f"spec.{name}", value, "must not be greater than 100%")
    yield from _label_selector_problems(spec.get("selector"), "spec.selector")
    policy = spec.get("unhealthyPodEvictionPolicy")
    if policy not in {None, "AlwaysAllow", "IfHealthyBudget"}:
        yield Cause.unsupported("spec.unhealthyPodEvictionPolicy", policy, ["AlwaysAllow", "IfHealthyBudget"])


# ------------------------------------------------------------------------------------------- configuration and secrets


def _config_problems(obj: Object) -> Iterator[Cause]:
    data, binary = obj.get("data") or {}, obj.get("binaryData") or {}
    for key in data:
        yield from (Cause.invalid(f"data[{key}]", key, text) for text in metadata.config_key(key))
        if key in binary:
            yield Cause.invalid(f"data[{key}]", key, "duplicate of key present in binaryData")
    for key in binary:
        yield from (Cause.invalid(f"binaryData[{key}]", key, text) for text in metadata.config_key(key))
    size = sum(len(value.encode()) for value in data.values())
    if size + sum(len(base64.b64decode(value)) for value in binary.values()) > _LARGEST:
        yield Cause.too_long("[]", _LARGEST)


def _frozen(*names: str) -> Callable[[Object, Object], Iterator[Cause]]:
    def changes(obj: Object, old: Object) -> Iterator[Cause]:
        if not old.get("immutable"):
            return
        text = "field is immutable when `immutable` is set"
        if not obj.get("immutable"):
            yield Cause.forbidden("immutable", text)
        yield from (Cause.forbidden(name, text) for name in names if (obj.get(name) or {}) != (old.get(name) or {}))

    return changes


def _default_secret(obj: Object) -> None:
    plain = obj.pop("stringData", None) or {}
    if plain:
        obj.setdefault("data", {}).update(
            {key: base64.b64encode(value.encode()).decode() for key, value in plain.items()}
        )


_SECRET_KEYS: Final = {
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/dockercfg": (".dockercfg",),
}


def _secret_problems(obj: Object) -> Iterator[Cause]:
    data = obj.get("data") or {}
    for key in data:
        yield from (Cause.invalid(f"data[{key}]", key, text) for text in metadata.config_key(key))
    if sum(len(base64.b64decode(value)) for value in data.values()) > _LARGEST:
        yield Cause.too_long("data", _LARGEST)
    kind = obj.get("type", "")
    yield from (Cause.required(f"data[{key}]") for key in _SECRET_KEYS.get(kind, ()) if key not in data)
    if kind == "kubernetes.io/basic-auth" and not {"username", "password"} & set(data):
        yield Cause.required("data[username]")
        yield Cause.required("data[password]")
    if kind == "kubernetes.io/service-account-token":
        name = "kubernetes.io/service-account.name"
        if not (obj["metadata"].get("annotations") or {}).get(name):
            yield Cause.required(f"metadata.annotations[{name}]")


def _secret_changes(obj: Object, old: Object) -> Iterator[Cause]:
    if obj.get("type") != old.get("type"):
        yield Cause.invalid("type", obj.get("type", ""), IMMUTABLE)
    yield from _frozen("data")(obj, old)


# --------------------------------------------------------------------------------------------- namespaces and quotas


def _default_namespace(obj: Object) -> None:
    name = obj["metadata"].get("name")
    if name:
        obj["metadata"].setdefault("labels", {})["kubernetes.io/metadata.name"] = name


def _create_namespace(obj: Object) -> None:
    _default_namespace(obj)  # its name may have been generated only now
    obj["status"] = {"phase": "Active"}
    finalizers = obj.setdefault("spec", {}).setdefault("finalizers", [])
    if "kubernetes" not in finalizers:
        finalizers.append("kubernetes")


def _update_namespace(obj: Object, old: Object, subresource: str) -> None:
    if not subresource:
        obj["spec"], obj["status"] = old.get("spec", {}), old.get("status", {})
    elif subresource == "finalize":
        obj["status"] = old.get("status", {})
        if not obj.get("spec", {}).get("finalizers"):
            obj["spec"] = {}


#: What a quota may limit without a domain of its own.
_QUOTED: Final = frozenset({
    "cpu", "memory", "ephemeral-storage", "pods", "services", "replicationcontrollers", "resourcequotas", "secrets",
    "configmaps", "persistentvolumeclaims", "services.nodeports", "services.loadbalancers", "requests.cpu",
    "requests.memory", "requests.storage", "requests.ephemeral-storage", "limits.cpu", "limits.memory",
    "limits.ephemeral-storage",
})  # fmt: skip


_COUNTED: Final = frozenset({"pods", "services", "secrets", "configmaps"})


def _is_standard(name: str) -> bool:
    """Whether a quota knows a resource without its domain."""
    return name in _QUOTED or re.match(r"(requests\.|limits\.)?hugepages-", name) is not None


def _quota_problems(obj: Object) -> Iterator[Cause]:
    for name, value in (obj.get("spec", {}).get("hard") or {}).items():
        path = f"spec.hard[{name}]"
        known = _is_standard(name)
        if not known and "/" not in name:
            yield Cause.invalid(path, name, "must be a standard resource type or fully qualified")
            yield Cause.invalid(path, name, "must be a standard resource for quota")
        elif not known:
            yield from (Cause.invalid(path, name, text) for text in metadata.qualified_name(name))
        if quantities.amount(value) < 0:
            yield Cause.invalid(path, value, "must be greater than or equal to 0")
        elif quantities.amount(value) % 1 and (name in _COUNTED or name.startswith("count/")):
            yield Cause.invalid(path, value, "must be an integer")
    yield from _scope_problems(obj.get("spec") or {})


def _scope_problems(spec: Object) -> Iterator[Cause]:
    if strange := [name for name in spec.get("scopes") or () if name not in _SCOPES]:
        yield Cause.invalid("spec.scopes", strange, "unsupported scope")
    scopes, text = spec.get("scopes") or [], "unsupported scope applied to resource"
    for scope in scopes:
        for name in sorted(spec.get("hard") or ()):
            if scope in _SCOPES and _is_standard(name) and not _scopes(scope, name):
                yield Cause.invalid("spec.scopes", scopes, text)
    for pair in ({"BestEffort", "NotBestEffort"}, {"Terminating", "NotTerminating"}):
        if pair <= set(scopes):
            yield Cause.invalid("spec.scopes", scopes, "conflicting scopes")
    for each in (spec.get("scopeSelector") or {}).get("matchExpressions") or ():
        where = "spec.scopeSelector.matchExpressions"
        if each.get("scopeName", "") not in _SCOPES:
            yield Cause.invalid(f"{where}.scopeName", each.get("scopeName", ""), "unsupported scope")
        needed = "must be atleast one value when `operator` is 'In' or 'NotIn' for scope selector"
        yield from _operator_problems(each, where, needed)


_SCOPES: Final = frozenset({
    "BestEffort", "CrossNamespacePodAffinity", "NotBestEffort", "NotTerminating", "PriorityClass", "Terminating",
})  # fmt: skip


def _scopes(scope: str, name: str) -> bool:
    """Whether a scope chooses among what a resource of a quota counts: pods, and what they ask for."""
    return name == "pods" or (scope != "BestEffort" and name in _OF_PODS)


_OF_PODS: Final = frozenset({"cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory"})


# ------------------------------------------------------------------------------------------------ nodes and network


def _default_node(obj: Object) -> None:
    spec = obj.get("spec") or {}
    if spec.get("podCIDR") and not spec.get("podCIDRs"):
        spec["podCIDRs"] = [spec["podCIDR"]]
    found = obj.get("status") or {}
    if found.get("capacity") and not found.get("allocatable"):
        found["allocatable"] = dict(found["capacity"])


_EFFECTS: Final = ("NoSchedule", "PreferNoSchedule", "NoExecute")


def _node_problems(obj: Object) -> Iterator[Cause]:
    seen: set[tuple[str, str]] = set()
    for index, taint in enumerate(obj.get("spec", {}).get("taints") or ()):
        path, pair = f"metadata.taints[{index}]", (taint.get("key", ""), taint.get("effect", ""))
        yield from (
            Cause.invalid(f"{path}.key", taint.get("key", ""), text)
            for text in metadata.qualified_name(taint.get("key", ""))
        )
        if taint.get("effect") not in _EFFECTS:
            yield Cause.unsupported(f"{path}.effect", taint.get("effect", ""), _EFFECTS)
        if pair in seen:
            yield Cause.duplicate(path, taint, "taints must be unique by key and effect pair")
        seen.add(pair)


def _node_changes(obj: Object, old: Object) -> Iterator[Cause]:
    yield from _node_problems(obj)  # the real server checks an update twice
    before = old.get("spec", {}).get("podCIDR")
    if before and obj.get("spec", {}).get("podCIDR") != before:
        text = 'node updates may not change podCIDR except from "" to valid'
        yield Cause.forbidden("spec.podCIDRs", text)


def _update_node(obj: Object, old: Object, subresource: str) -> None:
    spec = obj.get("spec") or {}
    if spec.get("podCIDR") != (spec.get("podCIDRs") or [None])[0]:
        spec["podCIDRs"] = [spec["podCIDR"]] if spec.get("podCIDR") else []


def _default_policy(obj: Object) -> None:
    spec = obj.get("spec")
    if isinstance(spec, dict) and "policyTypes" not in spec:
        spec["policyTypes"] = ["Ingress", *(["Egress"] if spec.get("egress") else [])]


def _policy_problems(obj: Object) -> Iterator[Cause]:
    spec = obj.get("spec") or {}
    for side, peers in (("ingress", "from"), ("egress", "to")):
        for index, rule in enumerate(spec.get(side) or ()):
            path = f"spec.{side}[{index}]"
            for at, port in enumerate(rule.get("ports") or ()):
                yield from _policy_port_problems(port, f"{path}.ports[{at}]")
            for at, peer in enumerate(rule.get(peers) or ()):
                yield from _peer_problems(peer, f"{path}.{peers}[{at}]")
    yield from _label_selector_problems(spec.get("podSelector"), "spec.podSelector")
    for index, each in enumerate(spec.get("policyTypes") or ()):
        if each not in {"Ingress", "Egress"}:
            yield Cause.unsupported(f"spec.policyTypes[{index}]", each, ("Ingress", "Egress"))


def _policy_port_problems(port: Object, path: str) -> Iterator[Cause]:
    if port.get("protocol") not in {"TCP", "UDP", "SCTP"}:
        yield Cause.unsupported(f"{path}.protocol", port.get("protocol", ""), ("SCTP", "TCP", "UDP"))
    if isinstance(port.get("port"), int):
        yield from _port_problems(port["port"], f"{path}.port")


def _peer_problems(peer: Object, path: str) -> Iterator[Cause]:
    if not peer:
        yield Cause.required(path, "must specify a peer")
    block = peer.get("ipBlock")
    if block is None:
        return
    if len(peer) > 1:
        yield Cause.forbidden(path, "may not specify both ipBlock and another peer")
    whole = _network(block.get("cidr", ""))
    if whole is None:
        yield Cause.invalid(f"{path}.ipBlock.cidr", block.get("cidr", ""), _NO_CIDR)
        return
    for index, each in enumerate(block.get("except") or ()):
        inner = _network(each)
        at = f"{path}.ipBlock.except[{index}]"
        if inner is None:
            yield Cause.invalid(at, each, _NO_CIDR)
        elif inner.version != whole.version or not inner.subnet_of(whole) or inner == whole:  # type: ignore[arg-type]
            yield Cause.invalid(at, each, "must be a strict subset of `cidr`")


_NO_CIDR: Final = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(text, strict=False) if "/" in text else None
    except ValueError:
        return None


def _default_service(obj: Object) -> None:
    spec = obj.get("spec")
    if not isinstance(spec, dict):
        return
    for port in spec.get("ports") or ():
        if port.get("targetPort") in {None, 0, ""}:
            port["targetPort"] = port.get("port", 0)
    if spec.get("type") in {"ClusterIP", "NodePort", "LoadBalancer"}:
        spec.setdefault("internalTrafficPolicy", "Cluster")
    if spec.get("type") in {"NodePort", "LoadBalancer"}:
        spec.setdefault("externalTrafficPolicy", "Cluster")
    if spec.get("type") == "LoadBalancer":
        spec.setdefault("allocateLoadBalancerNodePorts", True)


def _number_of(obj: Object, *more: object) -> int:
    """A number below 65,536 that is always the same for what is asked for."""
    name = "/".join(map(str, (obj["metadata"].get("namespace"), obj["metadata"].get("name"), *more)))
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:2])


def _give_node_ports(obj: Object) -> None:
    spec = obj["spec"]
    if spec.get("type") == "NodePort" or (
        spec.get("type") == "LoadBalancer" and spec.get("allocateLoadBalancerNodePorts")
    ):
        for port in spec.get("ports") or ():
            if not port.get("nodePort"):
                port["nodePort"] = 30000 + _number_of(obj, port.get("protocol"), port.get("port")) % 2768


def _create_service(obj: Object) -> None:
    obj["status"] = {}
    spec = obj.get("spec") or {}
    if spec.get("type") == "ExternalName":
        return
    headless = spec.get("clusterIP") == "None"
    if not spec.get("clusterIP"):
        spec["clusterIP"] = str(ipaddress.IPv4Address("10.96.0.0") + _number_of(obj) + 10)
    spec.setdefault("clusterIPs", [spec["clusterIP"]])
    both = headless and not spec.get("selector")
    spec.setdefault("ipFamilies", ["IPv4", "IPv6"] if both else ["IPv4"])
    spec.setdefault("ipFamilyPolicy", "RequireDualStack" if both else "SingleStack")
    _give_node_ports(obj)


def _service_problems(obj: Object) -> Iterator[Cause]:
    spec = obj.get("spec") or {}
    ports = spec.get("ports") or []
    if not ports and spec.get("clusterIP") != "None" and spec.get("type") != "ExternalName":
        yield Cause.required("spec.ports")
    for index, port in enumerate(ports):
        path = f"spec.ports[{index}]"
        if len(ports) > 1 and not port.get("name"):
            yield Cause.required(f"{path}.name")
        elif name := port.get("name"):
            yield from _name_problems(name, f"{path}.name", [other.get("name") for other in ports[:index]])
        yield from _port_problems(port.get("port", 0), f"{path}.port")
        if port.get("protocol") not in {"TCP", "UDP", "SCTP"}:
            yield Cause.unsupported(f"{path}.protocol", port.get("protocol", ""), ("SCTP", "TCP", "UDP"))
        if isinstance(port.get("targetPort"), int):
            yield from _port_problems(port["targetPort"], f"{path}.targetPort")
    kinds = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
    if spec.get("type") not in kinds:
        yield Cause.unsupported("spec.type", spec.get("type", ""), kinds)


def _service_changes(obj: Object, old: Object) -> Iterator[Cause]:
    before, after = old["spec"].get("clusterIP"), obj["spec"].get("clusterIP")
    if before and after != before and obj["spec"].get("type") != "ExternalName":
        yield Cause.invalid("spec.clusterIPs[0]", [after] if after else None, "may not change once set")


def _update_service(obj: Object, old: Object, subresource: str) -> None:
    for name in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"):
        if not obj["spec"].get(name) and old["spec"].get(name):
            obj["spec"][name] = old["spec"][name]
    _give_node_ports(obj)


# ----------------------------------------------------------------------------------------- rights, leases, priorities

_RBAC: Final = "rbac.authorization.k8s.io"


def _default_binding(obj: Object) -> None:
    for subject in obj.get("subjects") or ():
        subject.setdefault("apiGroup", "" if subject.get("kind") == "ServiceAccount" else _RBAC)
        if not subject["apiGroup"]:
            del subject["apiGroup"]


def _role_problems(obj: Object) -> Iterator[Cause]:
    together = obj.get("aggregationRule")
    if together is not None and not together.get("clusterRoleSelectors"):
        text = "at least one clusterRoleSelector required if aggregationRule is non-nil"
        yield Cause.required("aggregationRule.clusterRoleSelectors", text)
    for index, rule in enumerate(obj.get("rules") or ()):
        path = f"rules[{index}]"
        if not rule.get("verbs"):
            yield Cause.required(f"{path}.verbs", "verbs must contain at least one value")
        if rule.get("nonResourceURLs"):
            if "namespace" in obj["metadata"]:
                text = "namespaced rules cannot apply to non-resource URLs"
                yield Cause.invalid(f"{path}.nonResourceURLs", rule["nonResourceURLs"], text)
            if rule.get("apiGroups") or rule.get("resources") or rule.get("resourceNames"):
                text = "rules cannot apply to both regular resources and non-resource URLs"
                yield Cause.invalid(f"{path}.nonResourceURLs", rule["nonResourceURLs"], text)
            continue
        if not rule.get("apiGroups"):
            yield Cause.required(f"{path}.apiGroups", "resource rules must supply at least one api group")
        if not rule.get("resources"):
            yield Cause.required(f"{path}.resources", "resource rules must supply at least one resource")


def _binding_problems(obj: Object) -> Iterator[Cause]:
    ref = obj.get("roleRef") or {}
    if ref.get("apiGroup") != _RBAC:
        yield Cause.unsupported("roleRef.apiGroup", ref.get("apiGroup", ""), (_RBAC,))
    kinds = ("Role", "ClusterRole") if "namespace" in obj["metadata"] else ("ClusterRole",)
    if ref.get("kind") not in kinds:
        yield Cause.unsupported("roleRef.kind", ref.get("kind", ""), kinds)
    if not ref.get("name"):
        yield Cause.required("roleRef.name")
    for index, subject in enumerate(obj.get("subjects") or ()):
        path = f"subjects[{index}]"
        if not subject.get("name"):
            yield Cause.required(f"{path}.name")
        if subject.get("kind") not in {"ServiceAccount", "User", "Group"}:
            yield Cause.unsupported(f"{path}.kind", subject.get("kind", ""), ("ServiceAccount", "User", "Group"))
        elif subject["kind"] == "ServiceAccount" and not subject.get("namespace"):
            yield Cause.required(f"{path}.namespace")


def _binding_changes(obj: Object, old: Object) -> Iterator[Cause]:
    ref, before = obj.get("roleRef") or {}, old.get("roleRef") or {}
    if ref != before:
        shown = {"APIGroup": ref.get("apiGroup", ""), "Kind": ref.get("kind", ""), "Name": ref.get("name", "")}
        yield Cause.invalid("roleRef", shown, "cannot change roleRef")


def _lease_problems(obj: Object) -> Iterator[Cause]:
    spec = obj.get("spec") or {}
    if "leaseDurationSeconds" in spec and spec["leaseDurationSeconds"] <= 0:
        yield Cause.invalid("spec.leaseDurationSeconds", spec["leaseDurationSeconds"], "must be greater than 0")
    if spec.get("leaseTransitions", 0) < 0:
        yield Cause.invalid("spec.leaseTransitions", spec["leaseTransitions"], "must be greater than or equal to 0")


SYSTEM_PRIORITIES: Final = {"system-cluster-critical": 2_000_000_000, "system-node-critical": 2_000_001_000}
_HIGHEST: Final = 1_000_000_000


def _priority_problems(obj: Object) -> Iterator[Cause]:
    name, value = obj["metadata"].get("name", ""), obj.get("value", 0)
    if name.startswith("system-"):
        if SYSTEM_PRIORITIES.get(name) != value:
            text = "priority class names with 'system-' prefix are reserved for system use only. error: "
            known = name in SYSTEM_PRIORITIES
            why = (
                f"value of {name} PriorityClass must be {SYSTEM_PRIORITIES.get(name)}"
                if known
                else f"{name} is not a known system priority class"
            )
            yield Cause.forbidden("metadata.name", text + why)
    elif value > _HIGHEST:
        yield Cause.forbidden("value", f"maximum allowed value of a user defined priority is {_HIGHEST}")
    policy = obj.get("preemptionPolicy")
    if policy not in {"PreemptLowerPriority", "Never"}:
        yield Cause.unsupported("preemptionPolicy", policy, ("PreemptLowerPriority", "Never"))


def _priority_changes(obj: Object, old: Object) -> Iterator[Cause]:
    if obj.get("value") != old.get("value"):
        yield Cause.forbidden("value", "may not be changed in an update.")
    if obj.get("preemptionPolicy") != old.get("preemptionPolicy"):
        yield Cause.invalid("preemptionPolicy", obj.get("preemptionPolicy"), IMMUTABLE)


# ----------------------------------------------------------------------------------------------------------- events

#: Fields of an event in group events.k8s.io, by their names in the core group.
EVENT_FIELDS: Final = {
    "involvedObject": "regarding",
    "message": "note",
    "source": "deprecatedSource",
    "firstTimestamp": "deprecatedFirstTimestamp",
    "lastTimestamp": "deprecatedLastTimestamp",
    "count": "deprecatedCount",
    "reportingComponent": "reportingController",
}


def event_as(obj: Mapping[str, Any], api_version: str) -> Object:
    """An event in the form of another group: `v1`, or `events.k8s.io/v1`."""
    if obj.get("apiVersion") == api_version:
        return dict(obj)
    names = EVENT_FIELDS if api_version != "v1" else {new: old for old, new in EVENT_FIELDS.items()}
    found: Object = {names.get(name, name): value for name, value in obj.items()}
    found["apiVersion"] = api_version
    if api_version == "v1":
        found = {"involvedObject": {}, "source": {}, "firstTimestamp": None, "lastTimestamp": None, **found}
        return {"reportingComponent": "", "reportingInstance": "", "eventTime": None, **found}
    for name in ("reportingController", "reportingInstance"):
        if not found.get(name):
            found.pop(name, None)
    return found


def _event_problems(obj: Object) -> Iterator[Cause]:
    if obj.get("apiVersion") == "v1":
        about = obj.get("involvedObject") or {}
        if about.get("namespace", "") != obj["metadata"].get("namespace", "") and about.get("namespace"):
            text = "does not match event.namespace"
            yield Cause.invalid("involvedObject.namespace", about["namespace"], text)
        return
    if not obj.get("eventTime"):
        yield Cause.required("eventTime")
    else:
        for name in ("reportingController", "reportingInstance", "action", "reason"):
            if not obj.get(name):
                yield Cause.required(name)
    if obj.get("type") not in {"Normal", "Warning"}:
        yield Cause.invalid("type", "", f"has invalid value: {obj.get('type', '')}")


def _workload(default: Callable[[Object], None]) -> Rules:
    return Rules(default=default, create=_reset_status, problems=_workload_problems, changes=_selector_changes)


_ROLE: Final = Rules(name=metadata.path_segment, problems=_role_problems)
_BINDING: Final = Rules(
    name=metadata.path_segment, default=_default_binding, problems=_binding_problems, changes=_binding_changes
)


RULES: Final[Mapping[str, Rules]] = {
    "configmaps": Rules(problems=_config_problems, changes=_frozen("data", "binaryData")),
    "secrets": Rules(default=_default_secret, problems=_secret_problems, changes=_secret_changes),
    "namespaces": Rules(
        name=metadata.dns_label, default=_default_namespace, create=_create_namespace, update=_update_namespace
    ),
    "resourcequotas": Rules(create=_reset_status, problems=_quota_problems),
    "nodes": Rules(default=_default_node, update=_update_node, problems=_node_problems, changes=_node_changes),
    "pods": Rules(
        default=_default_pod, create=_create_pod, update=_update_pod, problems=_pod_problems, changes=_pod_changes
    ),
    "services": Rules(
        name=metadata.service_name,
        default=_default_service,
        create=_create_service,
        update=_update_service,
        problems=_service_problems,
        changes=_service_changes,
    ),
    "events": Rules(problems=_event_problems),
    "events.events.k8s.io": Rules(problems=_event_problems),
    "replicationcontrollers": Rules(default=_default_template, create=_reset_status),
    "deployments.apps": _workload(_default_deployment),
    "replicasets.apps": _workload(_default_template),
    "statefulsets.apps": _workload(_default_rolling),
    "daemonsets.apps": _workload(_default_rolling),
    "jobs.batch": Rules(default=_default_job, create=_create_job),
    "cronjobs.batch": Rules(default=_default_cron_job, create=_reset_status),
    "poddisruptionbudgets.policy": Rules(create=_reset_status, problems=_disruption_problems),
    "networkpolicies.networking.k8s.io": Rules(default=_default_policy, problems=_policy_problems),
    "ingresses.networking.k8s.io": Rules(create=_reset_status),
    "roles.rbac.authorization.k8s.io": _ROLE,
    "clusterroles.rbac.authorization.k8s.io": _ROLE,
    "rolebindings.rbac.authorization.k8s.io": _BINDING,
    "clusterrolebindings.rbac.authorization.k8s.io": _BINDING,
    "leases.coordination.k8s.io": Rules(problems=_lease_problems),
    "priorityclasses.scheduling.k8s.io": Rules(problems=_priority_problems, changes=_priority_changes),
    "customresourcedefinitions.apiextensions.k8s.io": Rules(
        default=definitions.default,
        create=definitions.create,
        update=definitions.update,
        problems=definitions.problems,
        changes=definitions.changes,
    ),
}
