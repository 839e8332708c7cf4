"""Requests and what a real API server answers, by its source: what the recordings do not show.

Each sequence has a pool of its own, with the namespace ``n`` and the definition of ``functions.example.org``. Of an
answer, status, reason, causes and the named fields have to be the same, and messages to the letter.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

import pytest

from simulators.clock import VirtualClock
from simulators.cloud.server.answers import Response
from simulators.cloud.server.api import Api
from simulators.cloud.server.cluster import Cluster
from simulators.cloud.server.requests import Request
from tests.unit.simulators.cloud.language.kinds import CRD

Json = dict[str, Any]
JSON, APPLY = "application/json", "application/apply-patch+yaml"
MERGE, PATCH = "application/merge-patch+json", "application/json-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
ABSENT = object()
_PLACES = {
    "F": "/apis/example.org/v1/namespaces/n/functions",
    "C": "/api/v1/namespaces/n/configmaps",
    "P": "/api/v1/namespaces/n/pods",
    "N": "/api/v1/namespaces",
    "D": "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
    "Q": "/api/v1/namespaces/n/resourcequotas",
}
MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"


@dataclass(frozen=True)
class Step:
    """A request and its answer; a place begins with a letter, and ``{x}`` stands for what an earlier step kept."""

    method: str
    target: str
    body: Any = None
    code: int = 200
    media: str = JSON
    user: str = "admin"
    message: str = ""
    reason: str = ""
    causes: list[tuple[str, str]] | None = None
    fields: Json = field(default_factory=dict)
    warnings: list[str] | None = None
    keep: Json = field(default_factory=dict)


def function(name: str = "a", spec: Json | None = None, **metadata: Any) -> Json:
    head = {"apiVersion": "example.org/v1", "kind": "Function", "metadata": {"name": name, **metadata}}
    return {**head, "spec": {"provider": "p"} if spec is None else spec}


def applied(manager: str, spec: Json, code: int = 200, *, force: bool = False, **expected: Any) -> Step:
    target = f"F/a?fieldManager={manager}{'&force=true' if force else ''}"
    return Step("PATCH", target, function(spec=spec), code, APPLY, **expected)


def owners(**fields: Json | None) -> Json:
    """What each manager is to own, by its entry."""
    return {
        f"metadata.managedFields[{name}].fieldsV1": ABSENT if each is None else each for name, each in fields.items()
    }


def config_map(name: str = "a", data: Json | None = None, **metadata: Any) -> Json:
    head = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, **metadata}}
    return {**head, "data": {"k": "v"} if data is None else data}


def pod(name: str = "a", metadata: Json | None = None, **spec: Any) -> Json:
    container = {"name": "c", "image": "i:1", **spec.pop("container", {})}
    head = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, **(metadata or {})}}
    return {**head, "spec": {"containers": [container], **spec}}


def made(obj: Json, **expected: Any) -> Step:
    place = {"Function": "F", "ConfigMap": "C", "Pod": "P"}[obj["kind"]]
    return Step("POST", place, obj, 201, **expected)


def refused(method: str, target: str, body: Any, code: int, reason: str, message: str, **expected: Any) -> Step:
    return Step(method, target, body, code, reason=reason, message=message, **expected)


def conflict(manager: str, *fields: str) -> list[tuple[str, str]]:
    return [(f'FieldManagerConflict:conflict with "{manager}"', each) for each in fields]


_PROVIDER: Json = {"f:spec": {"f:provider": {}}}
_FUNCTION = 'functions.example.org "a"'
_INITIAL = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
_LAST: Json = {"finalizers": ["example.org/last"]}
_NO_NEW = "no new finalizers can be added if the object is being deleted, found new finalizers []string"

SEQUENCES: dict[str, list[Step]] = {
    # ------------------------------------------------------------------ Server-Side Apply
    "two appliers own the same value together": [
        applied("one", {"provider": "p"}, 201),
        applied("two", {"provider": "p"}, fields=owners(one=_PROVIDER, two=_PROVIDER)),
    ],
    "a shared value that one lets go stays with the other": [
        applied("one", {"provider": "p", "image": "i"}, 201),
        applied("two", {"provider": "p", "image": "i"}),
        applied("one", {"provider": "p"}, fields={"spec.image": "i", **owners(one=_PROVIDER)}),
        applied("two", {"provider": "p"}, fields={"spec.image": ABSENT}),
    ],
    "a shared value that one changes is a conflict with all others": [
        applied("one", {"provider": "p"}, 201),
        applied("two", {"provider": "p"}),
        applied(
            "three",
            {"provider": "q"},
            409,
            reason="Conflict",
            message='Apply failed with 2 conflicts: conflicts with "one":\n- .spec.provider\n'
            'conflicts with "two":\n- .spec.provider',
            causes=[*conflict("one", ".spec.provider"), *conflict("two", ".spec.provider")],
        ),
    ],
    "one conflict is told in one line": [
        applied("one", {"provider": "p"}, 201),
        applied(
            "two",
            {"provider": "q"},
            409,
            reason="Conflict",
            causes=conflict("one", ".spec.provider"),
            message='Apply failed with 1 conflict: conflict with "one": .spec.provider',
        ),
    ],
    "to force takes the field from whoever owns it": [
        applied("one", {"provider": "p", "image": "i"}, 201),
        applied(
            "two",
            {"provider": "q"},
            force=True,
            fields={"spec.provider": "q", **owners(one={"f:spec": {"f:image": {}}}, two=_PROVIDER)},
        ),
        applied("one", {"image": "i"}, fields={"spec.provider": "q"}),
    ],
    "who loses all that he owned is on record no more": [
        applied("one", {"provider": "p"}, 201),
        applied("two", {"provider": "q"}, force=True, fields=owners(one=None, two=_PROVIDER)),
    ],
    "an item of a list that is applied no more goes": [
        applied("one", {"provider": "p", "interfaces": [{"name": "n2", "vlan": 2}, {"name": "n3"}]}, 201),
        applied("one", {"provider": "p", "interfaces": [{"name": "n3"}]}, fields={"spec.interfaces": [{"name": "n3"}]}),
        applied("one", {"provider": "p"}, fields={"spec.interfaces": ABSENT}),
    ],
    "an item of a list stays while another owns it": [
        applied("one", {"provider": "p", "interfaces": [{"name": "n2", "vlan": 2}]}, 201),
        applied("two", {"provider": "p", "interfaces": [{"name": "n2"}]}),
        applied("one", {"provider": "p"}, fields={"spec.interfaces": [{"name": "n2"}]}),
    ],
    "items of two appliers stand in one list": [
        applied("one", {"provider": "p", "interfaces": [{"name": "n2"}]}, 201),
        applied(
            "two",
            {"interfaces": [{"name": "n3", "vlan": 3}]},
            fields={"spec.interfaces": [{"name": "n2"}, {"name": "n3", "vlan": 3}]},
        ),
        applied(
            "one",
            {"provider": "p", "interfaces": [{"name": "n3", "vlan": 4}]},
            409,
            causes=conflict("two", '.spec.interfaces[name="n3"].vlan'),
        ),
    ],
    "values of a set have owners one by one": [
        applied("one", {"provider": "p", "slices": ["a", "b"]}, 201),
        applied("two", {"slices": ["b", "c"]}, fields={"spec.slices": ["a", "b", "c"]}),
        applied("one", {"provider": "p"}, fields={"spec.slices": ["b", "c"]}),
    ],
    "a list without keys has one owner": [
        applied("one", {"provider": "p", "arguments": ["a"]}, 201),
        applied("two", {"arguments": ["b"]}, 409, causes=conflict("one", ".spec.arguments")),
        applied("two", {"arguments": ["a"]}),
        applied("two", {"arguments": ["b"]}, 409, causes=conflict("one", ".spec.arguments")),
    ],
    "an item without its key can't be applied": [
        applied(
            "one",
            {"provider": "p", "interfaces": [{"vlan": 2}]},
            500,
            message="failed to create typed patch object (/a; example.org/v1, Kind=Function): .spec.interfaces: "
            'element 0: associative list with keys has an element that omits key field "name" '
            "(and doesn't have default value)",
        ),
    ],
    "an item can't be applied twice": [
        applied(
            "one",
            {"provider": "p", "interfaces": [{"name": "x"}, {"name": "x"}]},
            500,
            message="failed to create typed patch object (/a; example.org/v1, Kind=Function): .spec.interfaces: "
            'duplicate entries for key [name="x"]',
        ),
    ],
    "a field that the schema does not know can't be applied": [
        applied(
            "one",
            {"provider": "p", "colour": "red"},
            500,
            message="failed to create typed patch object (/a; example.org/v1, Kind=Function): "
            ".spec.colour: field not declared in schema",
        ),
    ],
    "nobody applies managed fields": [
        Step(
            "PATCH",
            "F/a?fieldManager=x",
            function(managedFields=[]),
            400,
            APPLY,
            reason="BadRequest",
            message="metadata.managedFields must be nil",
        ),
    ],
    "to apply needs a field manager": [
        Step(
            "PATCH",
            "F/a",
            function(),
            422,
            APPLY,
            reason="Invalid",
            message='PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch',
        ),
    ],
    "only an apply can be forced": [
        made(function()),
        Step("PATCH", "F/a?force=true", {}, 422, MERGE, causes=[("FieldValueForbidden", "force")]),
    ],
    "what is applied has the name of the path": [
        Step(
            "PATCH",
            "F/b?fieldManager=x",
            function(),
            400,
            APPLY,
            message="the name of the object (a) does not match the name on the URL (b)",
        ),
    ],
    "what is applied has kind and version": [
        Step(
            "PATCH",
            "F/a?fieldManager=x",
            {"metadata": {"name": "a"}},
            400,
            APPLY,
            message="invalid object type: /, Kind=",
        ),
    ],
    "an apply of another version of what is there is stale": [
        made(function()),
        Step(
            "PATCH",
            "F/a?fieldManager=x",
            function(resourceVersion="1"),
            409,
            APPLY,
            reason="Conflict",
            message=f"Operation cannot be fulfilled on {_FUNCTION}: {MODIFIED}",
        ),
    ],
    "an apply that changes nothing writes nothing": [
        applied("one", {"provider": "p"}, 201, keep={"version": "metadata.resourceVersion"}),
        applied("one", {"provider": "p"}, fields={"metadata.resourceVersion": "{version}", "metadata.generation": 1}),
    ],
    "managed fields are cleared by an empty entry": [
        applied("one", {"provider": "p"}, 201),
        Step(
            "PATCH", "F/a", {"metadata": {"managedFields": [{}]}}, 200, MERGE, fields={"metadata.managedFields": ABSENT}
        ),
        applied(
            "two",
            {"provider": "q"},
            409,
            message='Apply failed with 1 conflict: conflict with "before-first-apply" using example.org/v1: '
            ".spec.provider",
        ),
    ],
    "an update takes what it changes from the applier": [
        applied("one", {"provider": "p", "image": "i:1"}, 201),
        Step(
            "PATCH",
            "F/a?fieldManager=edit",
            {"spec": {"image": "i:2"}},
            200,
            MERGE,
            fields=owners(one=_PROVIDER, edit={"f:spec": {"f:image": {}}}),
        ),
        applied(
            "one",
            {"provider": "p", "image": "i:1"},
            409,
            message='Apply failed with 1 conflict: conflict with "edit" using example.org/v1: .spec.image',
        ),
    ],
    "status is applied by its own path alone": [
        applied("one", {"provider": "p"}, 201),
        Step(
            "PATCH",
            "F/a?fieldManager=ctl",
            {**function(), "status": {"replicas": 3}},
            200,
            APPLY,
            fields={"status": ABSENT},
        ),
        Step(
            "PATCH",
            "F/a/status?fieldManager=ctl",
            {"apiVersion": "example.org/v1", "kind": "Function", "metadata": {"name": "a"}, "status": {"replicas": 3}},
            200,
            APPLY,
            fields={"status.replicas": 3, "metadata.generation": 1},
        ),
    ],
    "the status of what is not there can't be applied": [
        Step(
            "PATCH",
            "F/a/status?fieldManager=x",
            function(),
            404,
            APPLY,
            reason="NotFound",
            message=f"{_FUNCTION} not found",
        ),
    ],
    "an apply is tried without effect": [
        Step(
            "PATCH",
            "F/a?fieldManager=x&dryRun=All",
            function(),
            201,
            APPLY,
            fields={"metadata.resourceVersion": ABSENT},
        ),
        refused("GET", "F/a", None, 404, "NotFound", f"{_FUNCTION} not found"),
    ],
    # ------------------------------------------------------------------ patches
    "a test of a JSON patch that fails changes nothing": [
        made(function()),
        Step(
            "PATCH",
            "F/a",
            [
                {"op": "replace", "path": "/spec/provider", "value": "q"},
                {"op": "test", "path": "/spec/provider", "value": "z"},
            ],
            422,
            PATCH,
            reason="Invalid",
            message="the server rejected our request due to an error in our request",
        ),
        Step("GET", "F/a", fields={"spec.provider": "p"}),
    ],
    "a patch of another version is stale": [
        made(config_map()),
        Step(
            "PATCH",
            "C/a",
            {"metadata": {"resourceVersion": "1"}},
            409,
            MERGE,
            reason="Conflict",
            message=f'Operation cannot be fulfilled on configmaps "a": {MODIFIED}',
        ),
    ],
    "a patch of the object leaves its status": [
        made(function()),
        Step(
            "PATCH", "F/a", {"status": {"replicas": 9}}, 200, MERGE, fields={"status": ABSENT, "metadata.generation": 1}
        ),
    ],
    "a patch of the status leaves all else": [
        made(function()),
        Step(
            "PATCH",
            "F/a/status",
            {"spec": {"provider": "q"}, "metadata": {"labels": {"x": "y"}}, "status": {"replicas": 2}},
            200,
            MERGE,
            fields={"spec.provider": "p", "metadata.labels": ABSENT, "status.replicas": 2, "metadata.generation": 1},
        ),
    ],
    "a patch can't rename": [
        made(function()),
        Step(
            "PATCH",
            "F/a",
            {"metadata": {"name": "b"}},
            400,
            MERGE,
            message="the name of the object (b) does not match the name on the URL (a)",
        ),
    ],
    "a patch can't move to another namespace": [
        made(function()),
        Step(
            "PATCH",
            "F/a",
            {"metadata": {"namespace": "m"}},
            400,
            MERGE,
            message="the namespace of the provided object does not match the namespace sent on the request",
        ),
    ],
    "custom resources take no strategic patches": [
        made(function()),
        Step(
            "PATCH",
            "F/a",
            {},
            415,
            STRATEGIC,
            reason="UnsupportedMediaType",
            message="the body of the request was in an unknown format - accepted media types include: "
            "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml",
        ),
    ],
    "a strategic patch merges containers by name": [
        made(pod()),
        Step(
            "PATCH",
            "P/a",
            {"spec": {"containers": [{"name": "c", "image": "i:2"}]}},
            200,
            STRATEGIC,
            fields={"spec.containers.0.image": "i:2", "spec.containers.0.name": "c"},
        ),
    ],
    "a strategic patch that deletes the whole leaves nobody to name": [
        made(config_map()),
        Step(
            "PATCH",
            "C/a",
            {"$patch": "delete"},
            400,
            STRATEGIC,
            message="the name of the object (a based on URL) was undeterminable: name must be provided",
        ),
    ],
    "a strategic patch does not change the kind": [
        made(config_map()),
        Step("PATCH", "C/a", {"kind": "Secret"}, 200, STRATEGIC, fields={"kind": "ConfigMap"}),
    ],
    # ------------------------------------------------------------------ deletion
    "a deletion of another one than meant is refused": [
        made(function(), keep={"uid": "metadata.uid", "version": "metadata.resourceVersion"}),
        Step(
            "DELETE",
            "F/a",
            {"preconditions": {"uid": "x"}},
            409,
            reason="Conflict",
            message='Operation cannot be fulfilled on Function.example.org "a": the UID in the precondition (x) does '
            "not match the UID in record ({uid}). The object might have been deleted and then recreated",
        ),
        Step(
            "DELETE",
            "F/a",
            {"preconditions": {"resourceVersion": "1"}},
            409,
            reason="Conflict",
            message='Operation cannot be fulfilled on Function.example.org "a": the ResourceVersion in the '
            "precondition (1) does not match the ResourceVersion in record ({version}). "
            "The object might have been modified",
        ),
        Step(
            "DELETE",
            "F/a",
            {"preconditions": {"uid": "{uid}", "resourceVersion": "{version}"}},
            fields={"status": "Success", "details.uid": "{uid}"},
        ),
    ],
    "a collection is deleted by labels": [
        made(config_map("a", labels={"x": "1"})),
        made(config_map("b", labels={"x": "2"})),
        Step("DELETE", "C?labelSelector=x%3D1", fields={"kind": "ConfigMapList", "items.0.metadata.name": "a"}),
        Step("GET", "C?labelSelector=x", fields={"items.0.metadata.name": "b", "items.1": ABSENT}),
    ],
    "what has a finalizer stays until it is taken away": [
        made(function(**_LAST)),
        Step("DELETE", "F/a", fields={"metadata.deletionGracePeriodSeconds": 0, "metadata.generation": 2}),
        Step(
            "PATCH",
            "F/a",
            {"metadata": {"finalizers": ["example.org/last", "example.org/more"]}},
            422,
            MERGE,
            causes=[(f'FieldValueForbidden:Forbidden: {_NO_NEW}{{"example.org/more"}}', "metadata.finalizers")] * 2,
        ),
        refused("POST", "F", function(), 409, "AlreadyExists", f"object is being deleted: {_FUNCTION} already exists"),
        Step("PATCH", "F/a", {"spec": {"image": "i"}}, 200, MERGE, fields={"metadata.generation": 3}),
        Step("PATCH", "F/a", {"metadata": {"finalizers": None}}, 200, MERGE),
        refused("GET", "F/a", None, 404, "NotFound", f"{_FUNCTION} not found"),
    ],
    "a foreground deletion waits for dependents": [
        made(function()),
        Step("DELETE", "F/a?propagationPolicy=Foreground", fields={"metadata.finalizers": ["foregroundDeletion"]}),
        Step("DELETE", "F/a?propagationPolicy=Orphan", fields={"metadata.finalizers": ["orphan"]}),
        Step("DELETE", "F/a?propagationPolicy=Background", fields={"status": "Success"}),
    ],
    "a propagation policy is one of three": [
        made(function()),
        Step(
            "DELETE",
            "F/a",
            {"propagationPolicy": "Sideways"},
            422,
            causes=[("FieldValueNotSupported", "propagationPolicy")],
        ),
    ],
    "a pod that runs nowhere goes at once": [
        made(pod()),
        Step("DELETE", "P/a", fields={"kind": "Pod"}),
        refused("GET", "P/a", None, 404, "NotFound", 'pods "a" not found'),
    ],
    "a pod on a node gets time, and never more of it": [
        made(pod(nodeName="n1", terminationGracePeriodSeconds=20)),
        Step("DELETE", "P/a", fields={"metadata.deletionGracePeriodSeconds": 20}),
        Step("DELETE", "P/a?gracePeriodSeconds=90", fields={"metadata.deletionGracePeriodSeconds": 20}),
        Step("DELETE", "P/a?gracePeriodSeconds=3", fields={"metadata.deletionGracePeriodSeconds": 3}),
        Step("DELETE", "P/a?gracePeriodSeconds=0", fields={"metadata.deletionGracePeriodSeconds": 0}),
        refused("GET", "P/a", None, 404, "NotFound", 'pods "a" not found'),
    ],
    "a deletion is tried without effect": [
        made(function()),
        Step("DELETE", "F/a?dryRun=All", fields={"status": "Success"}),
        Step("GET", "F/a"),
    ],
    # ------------------------------------------------------------------ namespaces
    "a namespace that ends takes nothing new": [
        Step("DELETE", "N/n", fields={"status.phase": "Terminating"}),
        Step(
            "POST",
            "C",
            config_map(),
            403,
            reason="Forbidden",
            message='configmaps "a" is forbidden: unable to create new content in namespace n because it is being '
            "terminated",
            causes=[("NamespaceTerminating:namespace n is being terminated", "metadata.namespace")],
        ),
    ],
    "a namespace that is not there has nothing": [
        Step(
            "POST",
            "/api/v1/namespaces/gone/configmaps",
            config_map(),
            404,
            reason="NotFound",
            message='namespaces "gone" not found',
        ),
        Step("GET", "/api/v1/namespaces/gone/configmaps", fields={"items": []}),
    ],
    "some namespaces can't be deleted": [
        refused(
            "DELETE",
            "N/kube-system",
            None,
            403,
            "Forbidden",
            'namespaces "kube-system" is forbidden: this namespace may not be deleted',
        ),
    ],
    # ------------------------------------------------------------------ what is written
    "fields that are not known: strictly refused, else warned of": [
        Step(
            "POST",
            "F?fieldValidation=Strict",
            function(spec={"provider": "p", "colour": "red"}),
            400,
            reason="BadRequest",
            message='Function in version "v1" cannot be handled as a Function: strict decoding error: '
            'unknown field "spec.colour"',
        ),
        Step(
            "POST",
            "F?fieldValidation=Warn",
            function(spec={"provider": "p", "colour": "red"}),
            201,
            warnings=['299 - "unknown field \\"spec.colour\\""'],
            fields={"spec.colour": ABSENT},
        ),
        Step(
            "POST", "F?fieldValidation=Ignore", function("b", spec={"provider": "p", "colour": "red"}), 201, warnings=[]
        ),
        Step(
            "POST",
            "F?fieldValidation=Perhaps",
            function("c"),
            422,
            causes=[("FieldValueNotSupported", "fieldValidation")],
        ),
    ],
    "fields that stand twice": [
        Step(
            "POST",
            "C?fieldValidation=Strict",
            b'{"metadata":{"name":"a"},"data":{"k":"v","k":"w"}}',
            400,
            message='ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: '
            'duplicate field "data.k"',
        ),
        Step(
            "POST",
            "C",
            b'{"metadata":{"name":"a"},"data":{"k":"v","k":"w"}}',
            201,
            fields={"data.k": "w"},
            warnings=['299 - "duplicate field \\"data.k\\""'],
        ),
    ],
    "a new object has no version": [
        Step(
            "POST",
            "F",
            function(resourceVersion="7"),
            500,
            message="resourceVersion should not be set on objects to be created",
        ),
    ],
    "an update of a custom resource names the version that it replaces": [
        made(function()),
        Step("PUT", "F/a", function(), 422, causes=[("FieldValueInvalid", "metadata.resourceVersion")]),
        Step(
            "PUT",
            "F/a",
            function(resourceVersion="1"),
            409,
            reason="Conflict",
            message=f"Operation cannot be fulfilled on {_FUNCTION}: {MODIFIED}",
        ),
    ],
    "an update of a ConfigMap needs no version": [
        made(config_map()),
        Step("PUT", "C/a", config_map(data={"k": "w"}), fields={"data.k": "w"}),
        Step("PUT", "C/a", config_map(uid="x"), 409, reason="Conflict"),
        refused("PUT", "C/b", config_map("b"), 404, "NotFound", 'configmaps "b" not found'),
    ],
    "generation counts changes of the spec": [
        made(function(), fields={"metadata.generation": 1}),
        Step("PATCH", "F/a", {"metadata": {"labels": {"x": "y"}}}, 200, MERGE, fields={"metadata.generation": 1}),
        Step("PATCH", "F/a", {"spec": {"image": "i"}}, 200, MERGE, fields={"metadata.generation": 2}),
        Step("PATCH", "F/a", {"metadata": {"generation": 9}}, 200, MERGE, fields={"metadata.generation": 2}),
    ],
    "what the server keeps nobody writes": [
        made(function(), keep={"uid": "metadata.uid", "made": "metadata.creationTimestamp"}),
        Step(
            "PATCH",
            "F/a",
            {"metadata": {"creationTimestamp": None, "selfLink": "x"}},
            200,
            MERGE,
            fields={"metadata.creationTimestamp": "{made}", "metadata.selfLink": ABSENT, "metadata.uid": "{uid}"},
        ),
        Step(
            "PATCH", "F/a", {"metadata": {"uid": "x"}}, 422, MERGE, causes=[("FieldValueInvalid", "metadata.uid")] * 2
        ),
    ],
    "names, labels and annotations have their form": [
        Step("POST", "F", function("A_b"), 422, causes=[("FieldValueInvalid", "metadata.name")]),
        Step("POST", "F", function("a", labels={"x y": "z"}), 422, causes=[("FieldValueInvalid", "metadata.labels")]),
        Step("POST", "F", function("a", labels={"x": "-"}), 422, causes=[("FieldValueInvalid", "metadata.labels")]),
        Step(
            "POST",
            "F",
            function("a", annotations={"-": "z"}),
            422,
            causes=[("FieldValueInvalid", "metadata.annotations")],
        ),
        Step(
            "POST",
            "F",
            {**function(), "metadata": {}},
            422,
            causes=[("FieldValueRequired", "metadata.name")],
            message='Function.example.org "" is invalid: metadata.name: Required value: '
            "name or generateName is required",
        ),
    ],
    "a generated name has five characters more": [
        Step(
            "POST",
            "F",
            {**function(), "metadata": {"generateName": "du-"}},
            201,
            fields={
                "metadata.name": re.compile(r"du-[bcdfghjklmnpqrstvwxz2456789]{5}"),
                "metadata.generateName": "du-",
            },
        ),
    ],
    "a ConfigMap that is immutable stays as it is": [
        Step("POST", "C", {**config_map(), "immutable": True}, 201),
        Step(
            "PATCH",
            "C/a",
            {"data": {"k": "w"}},
            422,
            MERGE,
            causes=[("FieldValueForbidden:Forbidden: field is immutable when `immutable` is set", "data")],
        ),
        Step(
            "PATCH",
            "C/a",
            {"immutable": False},
            422,
            MERGE,
            causes=[("FieldValueForbidden:Forbidden: field is immutable when `immutable` is set", "immutable")],
        ),
    ],
    # ------------------------------------------------------------------ bodies and paths
    "a body is there, and of the kind of the path": [
        Step("POST", "C", b"", 400, reason="BadRequest"),
        Step("POST", "C", {**config_map(), "kind": "Secret"}, 400, reason="BadRequest"),
        Step(
            "POST",
            "F",
            {**function(), "apiVersion": "example.org/v2"},
            400,
            reason="BadRequest",
            message="the API version in the data (example.org/v2) does not match the expected API version "
            "(example.org/v1)",
        ),
        Step(
            "POST",
            "C",
            {**config_map(), "metadata": {"name": "a", "namespace": "m"}},
            400,
            reason="BadRequest",
            message="the namespace of the provided object does not match the namespace sent on the request",
        ),
        Step(
            "PUT",
            "C/b",
            config_map(),
            400,
            reason="BadRequest",
            message="the name of the object (a) does not match the name on the URL (b)",
        ),
    ],
    "a body is of a media type that is read": [
        Step(
            "POST",
            "C",
            config_map(),
            415,
            "text/plain",
            reason="UnsupportedMediaType",
            message="the body of the request was in an unknown format - accepted media types include: "
            "application/json, application/yaml, application/vnd.kubernetes.protobuf",
        ),
    ],
    "a body has its bounds": [
        Step(
            "POST",
            "C",
            config_map(data={"k": "x" * (3 * 1024 * 1024)}),
            413,
            reason="RequestEntityTooLarge",
            message="Request entity too large: limit is 3145728",
        ),
    ],
    "built-in collections know no PUT": [
        Step(
            "PUT",
            "C",
            config_map(),
            405,
            reason="MethodNotAllowed",
            message="the server does not allow this method on the requested resource",
        ),
    ],
    "resources that are not served": [
        Step(
            "GET",
            "/api/v1/namespaces/n/nothings",
            None,
            404,
            reason="NotFound",
            message="the server could not find the requested resource",
        ),
    ],
    # ------------------------------------------------------------------ lists
    "pages say how many are left, but not of those that are chosen": [
        *[made(config_map(f"c{index}", labels={"x": "y"})) for index in range(3)],
        Step(
            "GET",
            "C?limit=2",
            fields={"metadata.remainingItemCount": 1, "items.2": ABSENT},
            keep={"next": "metadata.continue"},
        ),
        made(config_map("c1a")),
        Step(
            "GET",
            "C?limit=2&continue={next}",
            fields={"items.0.metadata.name": "c2", "items.1": ABSENT, "metadata.continue": ABSENT},
        ),
        Step(
            "GET",
            "C?limit=2&labelSelector=x",
            fields={"metadata.remainingItemCount": ABSENT, "items.1.metadata.name": "c1"},
        ),
    ],
    "a list of one version": [
        made(config_map(), keep={"version": "metadata.resourceVersion"}),
        made(config_map("b"), keep={"later": "metadata.resourceVersion"}),
        Step(
            "GET",
            "C?resourceVersion={version}&resourceVersionMatch=Exact",
            fields={"items.0.metadata.name": "a", "items.1": ABSENT, "metadata.resourceVersion": "{version}"},
        ),
        Step(
            "GET",
            "C?resourceVersion={version}&resourceVersionMatch=NotOlderThan",
            fields={"items.1.metadata.name": "b", "metadata.resourceVersion": "{later}"},
        ),
        Step(
            "GET",
            "C?resourceVersion=0&resourceVersionMatch=Exact",
            None,
            422,
            causes=[
                (
                    'FieldValueForbidden:Forbidden: resourceVersionMatch "exact" is forbidden for resourceVersion "0"',
                    "resourceVersionMatch",
                )
            ],
        ),
        Step(
            "GET",
            "C?resourceVersion=99999",
            None,
            504,
            reason="Timeout",
            causes=[("ResourceVersionTooLarge:Too large resource version", "")],
        ),
    ],
    "fields that can't be chosen by": [
        Step(
            "GET",
            "C?fieldSelector=data.k%3Dv",
            None,
            400,
            reason="BadRequest",
            message="field label not supported: data.k",
        ),
        made(config_map()),
        Step("GET", "C?fieldSelector=metadata.name!%3Da", fields={"items": []}),
    ],
    "an initial list by a watch names what it is not older than": [
        Step(
            "GET",
            "C?watch=1&sendInitialEvents=true",
            None,
            422,
            reason="Invalid",
            causes=[
                (
                    f"FieldValueForbidden:Forbidden: {_INITIAL}",
                    "resourceVersionMatch",
                )
            ],
        ),
        Step(
            "GET",
            "C?sendInitialEvents=true",
            None,
            422,
            causes=[("FieldValueForbidden:Forbidden: sendInitialEvents is forbidden for list", "sendInitialEvents")],
        ),
    ],
    # ------------------------------------------------------------------ access
    "RBAC says who may not do what where": [
        refused(
            "GET",
            "C/a",
            None,
            403,
            "Forbidden",
            'configmaps "a" is forbidden: User "viewer" cannot get resource '
            '"configmaps" in API group "" in the namespace "n"',
            user="viewer",
        ),
        refused(
            "POST",
            "F",
            function(),
            403,
            "Forbidden",
            'functions.example.org is forbidden: User "viewer" cannot create '
            'resource "functions" in API group "example.org" in the namespace "n"',
            user="viewer",
        ),
        refused(
            "PUT",
            "F/a/status",
            function(),
            403,
            "Forbidden",
            f'{_FUNCTION} is forbidden: User "viewer" cannot update '
            'resource "functions/status" in API group "example.org" in the namespace "n"',
            user="viewer",
        ),
        refused(
            "GET",
            "/api/v1/nodes",
            None,
            403,
            "Forbidden",
            'nodes is forbidden: User "viewer" cannot list resource "nodes" in API group "" at the cluster scope',
            user="viewer",
        ),
        refused(
            "GET",
            "/metrics",
            None,
            403,
            "Forbidden",
            'forbidden: User "viewer" cannot get path "/metrics"',
            user="viewer",
        ),
        refused(
            "DELETE",
            "C",
            None,
            403,
            "Forbidden",
            'configmaps is forbidden: User "viewer" cannot deletecollection '
            'resource "configmaps" in API group "" in the namespace "n"',
            user="viewer",
        ),
        refused("GET", "C", None, 401, "Unauthorized", "Unauthorized", user="stranger"),
    ],
    # ------------------------------------------------------------------ quotas
    "a quota says what it is asked for, what is used and what there is": [
        Step(
            "POST",
            "Q",
            {"metadata": {"name": "q"}, "spec": {"hard": {"requests.cpu": "1", "count/configmaps": "1"}}},
            201,
        ),
        Step(
            "PUT",
            "Q/q/status",
            {
                "metadata": {"name": "q"},
                "spec": {"hard": {"requests.cpu": "1", "count/configmaps": "1"}},
                "status": {
                    "hard": {"requests.cpu": "1", "count/configmaps": "1"},
                    "used": {"requests.cpu": "500m", "count/configmaps": "1"},
                },
            },
        ),
        Step(
            "POST",
            "P",
            pod(),
            403,
            reason="Forbidden",
            message='pods "a" is forbidden: failed quota: q: must specify requests.cpu for: c',
        ),
        Step(
            "POST",
            "P",
            pod(container={"resources": {"requests": {"cpu": "600m"}}}),
            403,
            reason="Forbidden",
            message='pods "a" is forbidden: exceeded quota: q, requested: requests.cpu=600m, used: requests.cpu=500m, '
            "limited: requests.cpu=1",
        ),
        Step(
            "POST",
            "C",
            config_map(),
            403,
            reason="Forbidden",
            message='configmaps "a" is forbidden: exceeded quota: q, requested: count/configmaps=1, '
            "used: count/configmaps=1, limited: count/configmaps=1",
        ),
    ],
    # ------------------------------------------------------------------ scale
    "a scale is of the number of replicas": [
        made(function(spec={"provider": "p", "replicas": 2})),
        Step("GET", "F/a/scale", fields={"kind": "Scale", "apiVersion": "autoscaling/v1", "spec.replicas": 2}),
        Step("PATCH", "F/a/scale", {"spec": {"replicas": 4}}, 200, MERGE, fields={"spec.replicas": 4}),
        Step("GET", "F/a", fields={"spec.replicas": 4, "metadata.generation": 2}),
        Step(
            "PATCH",
            "F/a/scale",
            {"spec": {"replicas": -1}},
            422,
            MERGE,
            causes=[("FieldValueInvalid", "spec.replicas"), ("FieldValueInvalid", ".spec.replicas")],
        ),
        Step("PATCH", "F/a/scale", {"spec": {"replicas": 11}}, 422, MERGE),
        Step("GET", "F/b/scale", None, 404, reason="NotFound", message='functions.example.org "b" not found'),
    ],
}


class Player:
    """A pool to which a sequence is played."""

    def __init__(self) -> None:
        cluster = Cluster("pool", VirtualClock())
        cluster.access.add_token("admin", "admin", "system:masters")
        cluster.access.add_token("viewer", "viewer")
        cluster.create("customresourcedefinitions.apiextensions.k8s.io", CRD)
        cluster.create("namespaces", {"metadata": {"name": "n"}})
        self._api = Api(cluster)
        self._kept: dict[str, str] = {}

    def play(self, step: Step) -> None:
        body = self._filled(step.body)
        raw = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"authorization": f"Bearer {step.user}", "accept": JSON, "content-type": step.media}
        place, slash, rest = step.target.partition("/")
        place, question, query = place.partition("?")
        target = f"{_PLACES.get(place, place)}{question}{query}{slash}{rest}"
        answer = self._api.handle(Request.of_target(step.method, self._filled(target), headers=headers, body=raw))
        assert isinstance(answer, Response), step
        found = json.loads(answer.body)
        assert answer.status == step.code, (step, found)
        if step.message:
            assert found["message"] == self._filled(step.message)
        if step.reason:
            assert found["reason"] == step.reason
        if step.causes is not None:
            assert _causes(found, step.causes) == step.causes
        if step.warnings is not None:
            assert [value for name, value in answer.headers if name == "Warning"] == step.warnings
        for path, value in step.fields.items():
            seen, wanted = _at(found, path), self._filled(value)
            assert wanted.fullmatch(seen) if isinstance(wanted, re.Pattern) else seen == wanted, (path, seen, wanted)
        self._kept |= {name: _at(found, path) for name, path in step.keep.items()}

    def _filled(self, value: Any) -> Any:
        """With what earlier answers said."""
        if isinstance(value, str):
            return re.sub(r"\{(\w+)\}", lambda found: self._kept.get(found[1], found[0]), value)
        if isinstance(value, dict):
            return {name: self._filled(each) for name, each in value.items()}
        return [self._filled(each) for each in value] if isinstance(value, list) else value


def _causes(found: Json, wanted: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Causes by reason and field, with their words where those are named."""
    causes = found["details"].get("causes") or []
    worded = ":" in wanted[0][0] if wanted else False
    return [(f"{one['reason']}:{one['message']}" if worded else one["reason"], one.get("field", "")) for one in causes]


def _at(found: Any, path: str) -> Any:
    """What stands at a path: fields, places in a list, entries of managed fields by manager."""
    while path:
        if isinstance(found, dict) and path in found:
            return found[path]
        step, _, path = path.partition(".")
        name, _, manager = step.rstrip("]").partition("[")
        if isinstance(found, list):
            found = found[int(name)] if int(name) < len(found) else ABSENT
        else:
            found = found.get(name, ABSENT) if isinstance(found, dict) else ABSENT
        if manager and found is not ABSENT:
            found = next((one for one in found if one["manager"] == manager), ABSENT)
        if found is ABSENT:
            return ABSENT
    return found


@pytest.mark.parametrize("about", SEQUENCES)
def test_sequence(about: str) -> None:
    player = Player()
    for step in SEQUENCES[about]:
        player.play(step)
