"""Kinds of objects: what a cluster has from the beginning, and what custom resource definitions add."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from simulators.cloud.language import fieldsets, metadata, rules, status, structs, validation
from simulators.cloud.language.fieldsets import FieldSet, Path, path_of
from simulators.cloud.language.schema import ABSENT, Schema
from simulators.cloud.language.status import Cause

Object = dict[str, Any]

_ALL_VERBS: Final = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
_CUSTOM_VERBS: Final = ("delete", "deletecollection", "get", "list", "patch", "create", "update", "watch")
_PART_VERBS: Final = ("get", "patch", "update")


@dataclass(frozen=True, slots=True)
class Subresource:
    """A part of an object that has a path of its own.

    Attributes:
        kind: What is read and written there; with `group` and `version` where they are not the object's own.
        verbs: What may be done.
        paths: Of a scale: where its numbers stand in the object, by their names in a CRD.
    """

    kind: str
    group: str = ""
    version: str = ""
    verbs: tuple[str, ...] = _PART_VERBS
    paths: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Kind:
    """A kind of object in one version.

    Attributes:
        schema: Its fields; of a custom resource as its definition has them.
        columns: Printer columns of a custom resource, as its definition has them.
        custom: Comes from a custom resource definition.
        has_generation: Counts changes of what is desired.
        storage_version: The version in which objects are kept.
    """

    group: str
    version: str
    kind: str
    plural: str
    singular: str
    schema: Schema
    namespaced: bool = True
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    verbs: tuple[str, ...] = _ALL_VERBS
    subresources: Mapping[str, Subresource] = field(default_factory=dict)
    list_kind: str = ""
    columns: tuple[Mapping[str, Any], ...] = ()
    custom: bool = False
    has_generation: bool = False
    storage_version: str = ""
    deprecation: str = ""

    @property
    def id(self) -> str:
        """`pods`, `nfdeployments.workload.nephio.org`."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def storage(self) -> str:
        """Under which id its objects are kept: events of both groups are the same ones."""
        return "events" if self.plural == "events" else self.id

    @property
    def api_version(self) -> str:
        """`v1`, `apps/v1`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def _rules(self) -> rules.Rules:
        return rules.RULES.get(self.id, rules.Rules())

    @cached_property
    def metadata_schema(self) -> Schema:
        """The schema of its metadata."""
        return structs.struct("meta.ObjectMeta")

    @cached_property
    def typed_schema(self) -> Schema:
        """The schema by which fields have owners: with metadata as all objects have it."""
        properties: dict[str, Schema] = {**self.schema.properties, "metadata": self.metadata_schema}
        properties |= {"apiVersion": Schema(type="string"), "kind": Schema(type="string")}
        return Schema(type="object", properties=properties, values=self.schema.values, preserves=self.schema.preserves)

    def empty(self) -> Object:
        """An object in which nothing is set, as the server has it before a create."""
        obj: Object = {"apiVersion": self.api_version, "kind": self.kind}
        if not self.custom:
            self.schema.zeroes_in(obj)
        return obj

    def reset_fields(self, subresource: str) -> FieldSet:
        """Fields that a write through this path does not reach, and so nobody comes to own by it."""
        if subresource == "status":
            own: set[Path] = {path_of("spec")}
            if self.custom:
                own.add(path_of("metadata"))
            elif self.id == "pods":
                own |= {path_of("metadata", "deletionTimestamp"), path_of("metadata", "ownerReferences")}
            return frozenset(own)
        return frozenset({path_of("status")}) if "status" in self.subresources else fieldsets.NOTHING

    def default(self, obj: Object) -> None:
        """Put in what stands where nothing was given."""
        obj.setdefault("metadata", {})
        if self.custom:
            head: Object = {name: obj.pop(name) for name in ("apiVersion", "kind", "metadata") if name in obj}
            self.schema.default_in(obj)
            obj.update(head)
            _drop_empty(obj["metadata"])
            return
        _drop_empty(obj["metadata"])
        self.schema.zeroes_in(obj)
        self.schema.default_in(obj)
        self._rules.default(obj)
        self.schema.zeroes_in(obj)

    def pruned(self, obj: Object) -> list[str]:
        """Take out fields that the schema doesn't know; return their paths."""
        body = {name: each for name, each in obj.items() if name not in {"apiVersion", "kind", "metadata"}}
        paths = self.schema.prune(body)
        for name in [name for name in obj if name not in body and name not in {"apiVersion", "kind", "metadata"}]:
            del obj[name]
        return paths

    def prepare_create(self, obj: Object) -> None:
        """What the server itself decides of a new object, in place."""
        if self.custom:
            if "status" in self.subresources:
                obj.pop("status", None)
            return
        self._rules.create(obj)
        self.schema.zeroes_in(obj)

    def prepare_update(self, obj: Object, old: Object, subresource: str = "") -> None:
        """Put back what a write through this path does not reach, in place."""
        has_status = "status" in self.subresources
        if subresource == "status":
            for name in {*obj, *old} - {"apiVersion", "kind", "metadata", "status"}:
                _put_back(obj, old, name)
            if self.custom:
                managed = obj["metadata"].get("managedFields")
                obj["metadata"] = {**old["metadata"]}
                obj["metadata"].pop("managedFields", None)
                if managed:
                    obj["metadata"]["managedFields"] = managed
        elif has_status and not subresource:
            _put_back(obj, old, "status")
        if not self.custom:
            self._rules.update(obj, old, subresource)
            self.schema.zeroes_in(obj)

    def desired(self, obj: Object) -> Any:
        """What its generation counts the changes of."""
        if self.custom:
            without = {"metadata", "apiVersion", "kind"} | ({"status"} if "status" in self.subresources else set())
            return {name: each for name, each in obj.items() if name not in without}
        return obj.get("spec")

    def validate(self, obj: Object, old: Object | None = None, *, subresource: str = "") -> list[Cause]:
        """What is wrong with an object.

        Args:
            obj: The object.
            old: What it was; none where it is new.
            subresource: The part of it that is written.

        Raises:
            StatusError: It calls itself another kind (422).
        """
        return list((self._custom_problems if self.custom else self._built_in_problems)(obj, old, subresource))

    def _metadata_problems(self, obj: Object, old: Object | None, name: metadata.NameRule) -> Iterator[Cause]:
        if old is None:
            yield from metadata.problems(obj["metadata"], namespaced=self.namespaced, name=name)
        else:
            yield from metadata.update_problems(obj["metadata"], old["metadata"], namespaced=self.namespaced)

    def _custom_problems(self, obj: Object, old: Object | None, subresource: str) -> Iterator[Cause]:
        if obj.get("kind") != self.kind:
            cause = Cause.invalid("kind", obj.get("kind", ""), f"must be {self.kind}")
            raise status.invalid(self, obj["metadata"].get("name", ""), [cause], called=obj.get("kind", ""))
        yield from self._metadata_problems(obj, old, metadata.subdomain)
        if subresource == "status":
            yield from self._status_problems(obj, old or {})
            return
        body, before = _body(obj), ABSENT if old is None else _body(old)
        yield from validation.problems(self.schema, body, old=before)
        named = self.schema.properties.get("metadata")
        if named is not None and named.properties:
            yield from validation.problems(named, obj["metadata"], "metadata")
        body = {name: each for name, each in body.items() if name not in _HEAD}
        yield from validation.embedded(self.schema, body)
        yield from self._duplicates(self.schema, body, before)
        scale = self.subresources.get("scale")
        if scale:
            for path in ("specReplicasPath", "statusReplicasPath"):
                yield from validation.replicas(obj, scale.paths[path])

    def _status_problems(self, obj: Object, old: Object) -> Iterator[Cause]:
        schema = self.schema.properties.get("status")
        if schema is not None and "status" in obj:
            before = old.get("status", ABSENT)
            yield from validation.problems(schema, obj["status"], "status", "", before)
            yield from self._duplicates(schema, obj["status"], before, "status")

    @staticmethod
    def _duplicates(schema: Schema, value: Any, old: Any, path: str = "") -> Iterator[Cause]:
        """Items that stand twice in a list, but for what had some before."""
        if old is ABSENT or not list(validation.duplicates(schema, old, path)):
            yield from validation.duplicates(schema, value, path)

    def _built_in_problems(self, obj: Object, old: Object | None, subresource: str) -> Iterator[Cause]:
        yield from self._metadata_problems(obj, old, self._rules.name)
        if not subresource:
            yield from self._rules.problems(obj)
        if old is not None and not subresource:
            yield from self._rules.changes(obj, old)

    def selectable(self, obj: Object) -> dict[str, str]:
        """What field selectors may name, beside the name and the namespace."""
        found: dict[str, str] = {}
        for path in (
            *_SELECTABLE.get(self.id, ()),
            *(column["jsonPath"].lstrip(".") for column in self.selectable_fields),
        ):
            value: Any = obj
            for name in _ELSEWHERE.get(path, path).split("."):
                value = value.get(name) if isinstance(value, dict) else None
            if value is None:
                value = "" if self.custom else _ZEROES.get(path, "")
            found[path] = str(value).lower() if isinstance(value, bool) else str(value)
        return found

    selectable_fields: tuple[Mapping[str, str], ...] = ()

    @classmethod
    def of_crd(cls, crd: Object) -> tuple[Kind, ...]:
        """The kinds that a custom resource definition adds: one for each version that is served."""
        spec, names = crd["spec"], crd["spec"]["names"]
        stored = next((each["name"] for each in spec["versions"] if each.get("storage")), "")
        return tuple(cls._of_version(spec, names, each, stored) for each in spec["versions"] if each.get("served"))

    @classmethod
    def _of_version(cls, spec: Object, names: Object, version: Object, stored: str) -> Kind:
        raw = (version.get("schema") or {}).get("openAPIV3Schema") or {"type": "object"}
        schema = Schema.of_openapi(raw)
        parts: dict[str, Subresource] = {}
        given = version.get("subresources") or {}
        if given.get("status") is not None:
            parts["status"] = Subresource(names["kind"])
        if given.get("scale"):
            parts["scale"] = Subresource("Scale", "autoscaling", "v1", paths=given["scale"])
        deprecation = ""
        if version.get("deprecated"):
            called = f"{spec['group']}/{version['name']} {names['kind']}"
            deprecation = version.get("deprecationWarning") or f"{called} is deprecated"
        return cls(
            group=spec["group"],
            version=version["name"],
            kind=names["kind"],
            plural=names["plural"],
            singular=names.get("singular") or names["kind"].lower(),
            schema=schema,
            namespaced=spec["scope"] == "Namespaced",
            short_names=tuple(names.get("shortNames") or ()),
            categories=tuple(names.get("categories") or ()),
            verbs=_CUSTOM_VERBS,
            subresources=parts,
            list_kind=names.get("listKind") or f"{names['kind']}List",
            columns=tuple(version.get("additionalPrinterColumns") or ()),
            custom=True,
            has_generation=True,
            storage_version=stored,
            deprecation=deprecation,
            selectable_fields=tuple(version.get("selectableFields") or ()),
        )


_HEAD: Final = {"apiVersion": "", "kind": "", "metadata": {}}


def _body(obj: Object) -> Object:
    """An object as its schema checks it: what all objects have is checked elsewhere."""
    return {**_HEAD, **{name: each for name, each in obj.items() if name not in _HEAD}}


def _put_back(obj: Object, old: Object, name: str) -> None:
    if name in old:
        obj[name] = old[name]
    else:
        obj.pop(name, None)


def _drop_empty(found: Object) -> None:
    for name in [name for name, value in found.items() if value in (None, "", {}, [])]:
        del found[name]


_SELECTABLE: Final = {
    "pods": (
        "spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName", "spec.hostNetwork",
        "status.phase", "status.podIP", "status.nominatedNodeName",
    ),
    "nodes": ("spec.unschedulable",),
    "namespaces": ("status.phase",),
    "secrets": ("type",),
    "events": (
        "involvedObject.kind", "involvedObject.namespace", "involvedObject.name", "involvedObject.uid",
        "involvedObject.apiVersion", "involvedObject.resourceVersion", "involvedObject.fieldPath", "reason",
        "reportingComponent", "source", "type",
    ),
    "services": ("spec.clusterIP", "spec.type"),
    "replicasets.apps": ("status.replicas",),
    "jobs.batch": ("status.successful",),
}  # fmt: skip

#: Where the value of such a field stands under another name, and what it is where it is absent.
_ELSEWHERE: Final = {"source": "source.component", "status.successful": "status.succeeded"}
_ZEROES: Final = {
    "spec.hostNetwork": "false", "spec.unschedulable": "false", "status.replicas": "0", "status.successful": "0",
}  # fmt: skip

_SCALE: Final = Subresource(
    "Scale", "autoscaling", "v1", paths={"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}
)


#: Built-in kinds that clients should leave.
_DEPRECATED: Final = {
    "componentstatuses": "v1 ComponentStatus is deprecated in v1.19+",
    "endpoints": "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice",
}


def _built_in() -> Iterator[Kind]:
    for line in _TABLE.strip().splitlines():
        group, version, name, plural, short, scope, flags, parts, type_ = (part.strip() for part in line.split("|"))
        subresources: dict[str, Subresource] = {}
        for part in parts.split():
            subresources[part] = _PARTS.get(f"{plural}/{part}") or (_SCALE if part == "scale" else Subresource(name))
        verbs = _VERBS.get(plural, _ALL_VERBS)
        yield Kind(
            group=group,
            version=version,
            kind=name,
            plural=plural,
            singular=name.lower(),
            schema=structs.struct(type_ or name),
            namespaced=scope == "N",
            short_names=tuple(short.split()),
            categories=tuple(word for word in flags.split() if word != "generation"),
            verbs=verbs,
            subresources=subresources,
            list_kind=f"{name}List",
            has_generation="generation" in flags.split(),
            storage_version=version,
            deprecation=_DEPRECATED.get(plural, ""),
        )


_CREATE_ONLY: Final = ("create",)
_VERBS: Final = {
    "bindings": _CREATE_ONLY,
    "componentstatuses": ("get", "list"),
    "namespaces": tuple(verb for verb in _ALL_VERBS if verb != "deletecollection"),
    "tokenreviews": _CREATE_ONLY,
    "selfsubjectreviews": _CREATE_ONLY,
    "subjectaccessreviews": _CREATE_ONLY,
    "selfsubjectaccessreviews": _CREATE_ONLY,
    "localsubjectaccessreviews": _CREATE_ONLY,
    "selfsubjectrulesreviews": _CREATE_ONLY,
    "services": _ALL_VERBS,
}
_PROXY: Final = ("create", "delete", "get", "patch", "update")
_PARTS: Final = {
    "namespaces/finalize": Subresource("Namespace", verbs=("update",)),
    "nodes/proxy": Subresource("NodeProxyOptions", verbs=_PROXY),
    "pods/attach": Subresource("PodAttachOptions", verbs=("create", "get")),
    "pods/binding": Subresource("Binding", verbs=_CREATE_ONLY),
    "pods/eviction": Subresource("Eviction", "policy", "v1", _CREATE_ONLY),
    "pods/exec": Subresource("PodExecOptions", verbs=("create", "get")),
    "pods/log": Subresource("Pod", verbs=("get",)),
    "pods/portforward": Subresource("PodPortForwardOptions", verbs=("create", "get")),
    "pods/proxy": Subresource("PodProxyOptions", verbs=_PROXY),
    "serviceaccounts/token": Subresource("TokenRequest", "authentication.k8s.io", "v1", _CREATE_ONLY),
    "services/proxy": Subresource("ServiceProxyOptions", verbs=_PROXY),
}
#: Group, version, kind, plural, short names, scope, categories and whether there is a generation, subresources, struct.
_TABLE: Final = """
|v1|Binding|bindings||N|||
|v1|ComponentStatus|componentstatuses|cs|C|||
|v1|ConfigMap|configmaps|cm|N|||
|v1|Endpoints|endpoints|ep|N|||
|v1|Event|events|ev|N|||
|v1|LimitRange|limitranges|limits|N|||
|v1|Namespace|namespaces|ns|C||finalize status|
|v1|Node|nodes|no|C||proxy status|
|v1|PersistentVolumeClaim|persistentvolumeclaims|pvc|N||status|
|v1|PersistentVolume|persistentvolumes|pv|C||status|
|v1|Pod|pods|po|N|all generation|attach binding ephemeralcontainers eviction exec log portforward proxy resize status|
|v1|PodTemplate|podtemplates||N|||
|v1|ReplicationController|replicationcontrollers|rc|N|all generation|scale status|
|v1|ResourceQuota|resourcequotas|quota|N||status|
|v1|Secret|secrets||N|||
|v1|ServiceAccount|serviceaccounts|sa|N||token|
|v1|Service|services|svc|N|all|proxy status|
apps|v1|ControllerRevision|controllerrevisions||N|||apps.ControllerRevision
apps|v1|DaemonSet|daemonsets|ds|N|all generation|status|apps.DaemonSet
apps|v1|Deployment|deployments|deploy|N|all generation|scale status|apps.Deployment
apps|v1|ReplicaSet|replicasets|rs|N|all generation|scale status|apps.ReplicaSet
apps|v1|StatefulSet|statefulsets|sts|N|all generation|scale status|apps.StatefulSet
events.k8s.io|v1|Event|events|ev|N|||events.Event
authentication.k8s.io|v1|SelfSubjectReview|selfsubjectreviews||C|||authentication.SelfSubjectReview
authentication.k8s.io|v1|TokenReview|tokenreviews||C|||authentication.TokenReview
authorization.k8s.io|v1|LocalSubjectAccessReview|localsubjectaccessreviews||N|||authorization.LocalSubjectAccessReview
authorization.k8s.io|v1|SelfSubjectAccessReview|selfsubjectaccessreviews||C|||authorization.SelfSubjectAccessReview
authorization.k8s.io|v1|SelfSubjectRulesReview|selfsubjectrulesreviews||C|||authorization.SelfSubjectRulesReview
authorization.k8s.io|v1|SubjectAccessReview|subjectaccessreviews||C|||authorization.SubjectAccessReview
batch|v1|CronJob|cronjobs|cj|N|all generation|status|batch.CronJob
batch|v1|Job|jobs||N|all generation|status|batch.Job
networking.k8s.io|v1|IngressClass|ingressclasses||C|generation||networking.IngressClass
networking.k8s.io|v1|Ingress|ingresses|ing|N|generation|status|networking.Ingress
networking.k8s.io|v1|NetworkPolicy|networkpolicies|netpol|N|generation||networking.NetworkPolicy
policy|v1|PodDisruptionBudget|poddisruptionbudgets|pdb|N|generation|status|policy.PodDisruptionBudget
rbac.authorization.k8s.io|v1|ClusterRoleBinding|clusterrolebindings||C|||rbac.ClusterRoleBinding
rbac.authorization.k8s.io|v1|ClusterRole|clusterroles||C|||rbac.ClusterRole
rbac.authorization.k8s.io|v1|RoleBinding|rolebindings||N|||rbac.RoleBinding
rbac.authorization.k8s.io|v1|Role|roles||N|||rbac.Role
autoscaling|v2|HorizontalPodAutoscaler|horizontalpodautoscalers|hpa|N|all|status|autoscaling2.HorizontalPodAutoscaler
autoscaling|v1|HorizontalPodAutoscaler|horizontalpodautoscalers|hpa|N|all|status|Open
apiregistration.k8s.io|v1|APIService|apiservices||C|api-extensions|status|Open
certificates.k8s.io|v1|CertificateSigningRequest|certificatesigningrequests|csr|C||approval status|Open
admissionregistration.k8s.io|v1|MutatingWebhookConfiguration|mutatingwebhookconfigurations||C|api-extensions generation||Open
admissionregistration.k8s.io|v1|ValidatingAdmissionPolicy|validatingadmissionpolicies||C|api-extensions generation|status|Open
admissionregistration.k8s.io|v1|ValidatingAdmissionPolicyBinding|validatingadmissionpolicybindings||C|api-extensions generation||Open
admissionregistration.k8s.io|v1|ValidatingWebhookConfiguration|validatingwebhookconfigurations||C|api-extensions generation||Open
resource.k8s.io|v1|DeviceClass|deviceclasses||C|generation||Open
resource.k8s.io|v1|ResourceClaim|resourceclaims||N||status|Open
resource.k8s.io|v1|ResourceClaimTemplate|resourceclaimtemplates||N|||Open
resource.k8s.io|v1|ResourceSlice|resourceslices||C|generation||Open
flowcontrol.apiserver.k8s.io|v1|FlowSchema|flowschemas||C|generation|status|Open
flowcontrol.apiserver.k8s.io|v1|PriorityLevelConfiguration|prioritylevelconfigurations||C|generation|status|Open
storage.k8s.io|v1|CSIDriver|csidrivers||C|||Open
storage.k8s.io|v1|CSINode|csinodes||C|||Open
storage.k8s.io|v1|VolumeAttachment|volumeattachments||C||status|Open
storage.k8s.io|v1|StorageClass|storageclasses|sc|C|||storage.StorageClass
apiextensions.k8s.io|v1|CustomResourceDefinition|customresourcedefinitions|crd crds|C|api-extensions generation|status|apiextensions.CustomResourceDefinition
scheduling.k8s.io|v1|PriorityClass|priorityclasses|pc|C|generation||scheduling.PriorityClass
coordination.k8s.io|v1|Lease|leases||N|||coordination.Lease
node.k8s.io|v1|RuntimeClass|runtimeclasses||C|||node.RuntimeClass
discovery.k8s.io|v1|EndpointSlice|endpointslices||N|generation||discovery.EndpointSlice
"""  # noqa: E501 (a table)


BUILT_IN: Final[tuple[Kind, ...]] = tuple(_built_in())
