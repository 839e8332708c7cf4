"""Objects read, checked and patched in the words of a real API server."""

# ruff: noqa: E501 (messages of the real server, each in one piece)

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from simulators.cloud.language import decoding, definitions, patches, quantities, rules
from simulators.cloud.language.status import StatusError, invalid
from tests.unit.simulators.cloud.language.kinds import CRD, FUNCTION, Object, built_in, function


def _decode(obj: Object | str, name: str = "", validation: str = "") -> tuple[Object, list[str]]:
    body = obj if isinstance(obj, str) else json.dumps(obj)
    return decoding.decode(built_in(name) if name else FUNCTION, body.encode(), "application/json", validation)


def _causes(obj: Object, name: str = "") -> list[str]:
    kind = built_in(name) if name else FUNCTION
    read, _ = _decode(obj, name)
    kind.prepare_create(read)
    return [f"{cause.field}: {cause.message}" for cause in kind.validate(read)]


@pytest.mark.parametrize(
    ("spec", "causes"),
    [
        ({"provider": "a"}, []),
        (None, []),
        ({}, ["spec.provider: Required value"]),
        ({"provider": ""}, ['spec.provider: Invalid value: "": spec.provider in body should be at least 1 chars long']),
        ({"provider": 5}, ['spec.provider: Invalid value: "integer": spec.provider in body must be of type string: "integer"']),
        ({"provider": "a", "replicas": 11}, ["spec.replicas: Invalid value: 11: spec.replicas in body should be less than or equal to 10"]),
        ({"provider": "a", "replicas": -1}, [
            "spec.replicas: Invalid value: -1: spec.replicas in body should be greater than or equal to 0",
            ".spec.replicas: Invalid value: -1: should be a non-negative integer",
        ]),
        ({"provider": "a", "replicas": 1.5}, [
            'spec.replicas: Invalid value: "float64": spec.replicas in body must be of type int32: "float64"',
            '<nil>: Invalid value: "": Checked value must be of type integer with format int32 in spec.replicas',
            ".spec.replicas: Invalid value: 0: .spec.replicas accessor error: 1.5 is of the type float64, expected int64",
        ]),
        ({"provider": "a", "kind": "RU"}, ['spec.kind: Unsupported value: "RU": supported values: "DU", "CU"']),
        ({"provider": "a", "slices": ["x", "x"]}, ['spec.slices[1]: Duplicate value: "x"']),
        ({"provider": "a", "interfaces": [{"name": "a"}, {"name": "a"}]}, ['spec.interfaces[1]: Duplicate value: {"name":"a"}']),
        ({"provider": "a", "interfaces": [{"name": "A!"}]}, [
            "spec.interfaces[0].name: Invalid value: \"A!\": spec.interfaces[0].name in body should match '^[a-z0-9]+$'"
        ]),
        ({"provider": "a", "limits": {"x": True}}, [
            'spec.limits.x: Invalid value: "boolean": spec.limits.x in body must be of type integer,string: "boolean"'
        ]),
    ],
)  # fmt: skip
def test_custom_resources_are_checked_by_their_schema(spec: Object | None, causes: list[str]) -> None:
    assert _causes(function(spec)) == causes


def test_a_status_is_checked_by_itself() -> None:
    old = function({"provider": "a"})
    bad = {**copy.deepcopy(old), "spec": {}, "status": {"since": "yesterday"}}
    causes = FUNCTION.validate(bad, old, subresource="status")
    assert [cause.message for cause in causes] == [
        'Invalid value: "yesterday": since in body must be of type date-time: "yesterday"'
    ]
    assert [cause.field for cause in causes] == ["status.since"]


def test_defaults_come_and_nulls_that_may_not_stay_go() -> None:
    obj, _ = _decode(function({"provider": "a", "replicas": None, "image": None, "limits": {"l": None, "m": 1}}))
    assert obj["spec"] == {"provider": "a", "replicas": 1, "limits": {"m": 1}}


def test_unknown_and_double_fields_are_named() -> None:
    body = '{"apiVersion":"example.org/v1","kind":"Function","metadata":{"name":"f"},"spec":{"provider":"a","provider":"b","x":1}}'
    obj, warnings = _decode(body)
    assert obj["spec"] == {"provider": "b", "replicas": 1}
    assert warnings == ['duplicate field "spec.provider"', 'unknown field "spec.x"']
    assert _decode(body, validation="Ignore")[1] == []
    with pytest.raises(StatusError, match=r'strict decoding error: duplicate field "spec\.provider"'):
        _decode(body, validation="Strict")


@pytest.mark.parametrize(
    ("name", "body", "text"),
    [
        ("", "", "couldn't get version/kind; json parse error: unexpected end of JSON input (<empty>)"),
        ("", "[]", "(5b5d)"),
        # To Go null is an object without fields: one of a built-in kind can be read.
        ("", "null", "Object 'Kind' is missing in 'null' (6e756c6c)"),
        ("", '{"apiVersion":"example.org/v9","kind":"Function","metadata":{}}', "the API version in the data (example.org/v9) does not match the expected API version (example.org/v1)"),
        ("", '{"apiVersion":"example.org/v1","kind":"Function","metadata":{"labels":{"k":1}}}', "json: cannot unmarshal number into Go struct field ObjectMeta.labels of type string"),
        ("configmaps", '{"data":{"k":5}}', "json: cannot unmarshal number into Go struct field ConfigMap.data of type string"),
        ("configmaps", '{"apiVersion":"v2"}', 'no kind "ConfigMap" is registered for version "v2"'),
        ("configmaps", '{"apiVersion":"v1","kind":"Secret","data":{"k":"v"}}', "illegal base64 data at input byte 0"),
        ("configmaps", '{"apiVersion":"v1","kind":"Secret"}', "converting (v1.Secret) to (core.ConfigMap)"),
        ("configmaps", '{"apiVersion":"v1","kind":["x"]}', "json: cannot unmarshal array into Go struct field .kind of type string"),
        ("secrets", '{"data":{"p":"not base64!"}}', "illegal base64 data at input byte 3"),
        ("pods", '{"spec":{"containers":[{"name":5}]}}', "json: cannot unmarshal number into Go struct field Container.spec.containers.name of type string"),
        ("pods", '{"spec":{"containers":{}}}', "json: cannot unmarshal object into Go struct field PodSpec.spec.containers of type []v1.Container"),
    ],
)  # fmt: skip
def test_what_can_t_be_read_is_a_bad_request(name: str, body: str, text: str) -> None:
    with pytest.raises(StatusError) as refused:
        _decode(body, name)
    assert refused.value.code == 400
    assert text in refused.value.message


_POD: Object = {"metadata": {"name": "p", "namespace": "n"}, "spec": {"containers": [{"name": "c", "image": "i:1"}]}}


def _pod(**spec: Any) -> Object:
    return {**_POD, "spec": {**_POD["spec"], **spec}}


def _container(**more: Any) -> Object:
    return _pod(containers=[{"name": "c", "image": "i:1", **more}])


@pytest.mark.parametrize(
    ("name", "obj", "causes"),
    [
        ("pods", _POD, []),
        ("pods", _pod(containers=[], restartPolicy="Perhaps"), [
            "spec.containers: Required value",
            'spec.restartPolicy: Unsupported value: "Perhaps": supported values: "Always", "OnFailure", "Never"',
        ]),
        ("pods", _container(resources={"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}), [
            'spec.containers[0].resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1'
        ]),
        ("deployments.apps", {"metadata": {"name": "d", "namespace": "n"}, "spec": {"template": {"metadata": {"labels": {"a": "b"}}, "spec": _POD["spec"]}}}, [
            "spec.selector: Required value",
            'spec.template.metadata.labels: Invalid value: {"a":"b"}: `selector` does not match template `labels`',
        ]),
        ("deployments.apps", {"metadata": {"name": "d", "namespace": "n"}, "spec": {"selector": {"matchExpressions": [{"key": "a", "operator": "In", "values": ["b"]}]}, "template": {"metadata": {"labels": {"a": "b"}}, "spec": _POD["spec"]}}}, []),
        ("secrets", {"metadata": {"name": "s", "namespace": "n"}, "type": "kubernetes.io/tls", "data": {"tls.crt": "YQ=="}}, ["data[tls.key]: Required value"]),
        ("resourcequotas", {"metadata": {"name": "q", "namespace": "n"}, "spec": {"hard": {"pods": "-1"}}}, ['spec.hard[pods]: Invalid value: "-1": must be greater than or equal to 0']),
        ("leases.coordination.k8s.io", {"metadata": {"name": "l", "namespace": "n"}, "spec": {"leaseDurationSeconds": -1}}, ["spec.leaseDurationSeconds: Invalid value: -1: must be greater than 0"]),
        ("namespaces", {"metadata": {"name": "has.dot"}}, ['metadata.name: Invalid value: "has.dot": must not contain dots']),
        ("priorityclasses.scheduling.k8s.io", {"metadata": {"name": "p"}, "value": 2_000_000_000}, ["value: Forbidden: maximum allowed value of a user defined priority is 1000000000"]),
        ("poddisruptionbudgets.policy", {"metadata": {"name": "p", "namespace": "n"}, "spec": {"minAvailable": 1, "maxUnavailable": 1}}, ['spec: Invalid value: {"minAvailable":1,"maxUnavailable":1}: minAvailable and maxUnavailable cannot be both set']),
        ("poddisruptionbudgets.policy", {"metadata": {"name": "p", "namespace": "n"}, "spec": {"selector": {"matchExpressions": [{"key": "a", "operator": "Like"}]}}}, ['spec.selector.matchExpressions[0].operator: Invalid value: "Like": not a valid selector operator']),
        ("networkpolicies.networking.k8s.io", {"metadata": {"name": "p", "namespace": "n"}, "spec": {"podSelector": {"matchExpressions": [{"key": "a", "operator": "In"}]}}}, ["spec.podSelector.matchExpressions[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'"]),
        ("resourcequotas", {"metadata": {"name": "q", "namespace": "n"}, "spec": {"scopes": ["Gold"], "scopeSelector": {"matchExpressions": [{"scopeName": "PriorityClass", "operator": "In"}]}}}, [
            'spec.scopes: Invalid value: ["Gold"]: unsupported scope',
            "spec.scopeSelector.matchExpressions.values: Required value: must be atleast one value when `operator` is 'In' or 'NotIn' for scope selector",
        ]),
    ],
)  # fmt: skip
def test_built_in_kinds_have_checks_of_their_own(name: str, obj: Object, causes: list[str]) -> None:
    assert _causes(obj, name) == causes


def test_a_pod_has_what_the_server_gives_it() -> None:
    obj, _ = _decode(_POD, "pods")
    built_in("pods").prepare_create(obj)
    assert obj["status"] == {"phase": "Pending", "qosClass": "BestEffort"}
    assert obj["spec"]["containers"][0]["resources"] == {}
    assert obj["spec"]["restartPolicy"] == "Always"
    asked = {"cpu": "1", "memory": "1Gi"}
    guaranteed, _ = _decode(_container(resources={"limits": asked}), "pods")
    assert rules.quality_of_service(guaranteed["spec"]) == "Guaranteed"


def test_only_some_of_a_pod_may_change() -> None:
    kind = built_in("pods")
    old, _ = _decode(_POD, "pods")
    image, _ = _decode(_container(image="i:2"), "pods")
    assert kind.validate(image, old) == []
    command, _ = _decode(_container(command=["x"]), "pods")
    assert [cause.field for cause in kind.validate(command, old)] == ["spec"]


@pytest.mark.parametrize(
    ("version", "text"),
    [
        ({"schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": {"properties": {}}}}}}, "spec.validation.openAPIV3Schema.properties[spec].type: Required value: must not be empty for specified object fields"),
        ({"schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-validations": [{"rule": "true"}]}}}, "spec.validation.openAPIV3Schema.x-kubernetes-validations: Forbidden: a simulated pool does not evaluate rules in CEL"),
        ({"storage": False}, "must have exactly one version marked as storage version"),
        ({"additionalPrinterColumns": [{"name": "A", "type": "text", "jsonPath": ".a"}]}, "spec.additionalPrinterColumns[0].type: Invalid value"),
        ({"additionalPrinterColumns": [{"name": "A", "type": "date", "jsonPath": "a"}]}, "spec.additionalPrinterColumns[0].JSONPath: Invalid value: \"a\": must be a simple json path starting with ."),
        ({"subresources": {"scale": {"statusReplicasPath": ".spec.x"}}}, "[spec.subresources.scale.specReplicasPath: Required value, spec.subresources.scale.statusReplicasPath: Invalid value: \".spec.x\": should be a json path under .status]"),
        ({"deprecationWarning": "old"}, "spec.versions[0].deprecationWarning: Invalid value: \"old\": can only be set for deprecated versions"),
        ({"selectableFields": [{"jsonPath": ".spec.nothing"}]}, "spec.selectableFields[0].jsonPath: Invalid value: \".spec.nothing\": is an invalid path: does not refer to a valid field"),
        ({"schema": {"openAPIV3Schema": {"type": "object", "additionalProperties": False}}}, "spec.validation.openAPIV3Schema.additionalProperties: Forbidden: additionalProperties cannot be set to false"),
        ({"schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": {"type": "object", "default": {"a": 1}}}}}}, "properties[spec].default: Invalid value: {\"a\":1}: must not have unknown fields"),
        ({"schema": {"openAPIV3Schema": {"type": "object", "patternProperties": {"a": {"type": "string"}}}}}, "openAPIV3Schema.patternProperties: Forbidden: patternProperties is not supported"),
    ],
)  # fmt: skip
def test_definitions_need_structural_schemas_and_one_stored_version(version: Object, text: str) -> None:
    crd = copy.deepcopy(CRD)
    crd["spec"]["versions"][0] |= version
    kind = built_in("customresourcedefinitions.apiextensions.k8s.io")
    obj, _ = _decode(crd, kind.id)
    kind.prepare_create(obj)
    causes = kind.validate(obj)
    assert text in invalid(kind, "functions.example.org", causes).message


def test_a_definition_is_accepted_with_its_names() -> None:
    kind = built_in("customresourcedefinitions.apiextensions.k8s.io")
    obj, _ = _decode(CRD, kind.id)
    kind.prepare_create(obj)
    assert kind.validate(obj) == []
    assert obj["status"] == {"conditions": None, "acceptedNames": {"plural": "", "kind": ""}, "storedVersions": ["v1"]}
    done = definitions.accepted(obj, "2026-01-01T00:00:00Z")
    assert done["status"]["acceptedNames"]["listKind"] == "FunctionList"
    assert [each["type"] for each in done["status"]["conditions"]] == ["NamesAccepted", "Established"]


_CONTAINERS = [{"name": "a", "image": "a:1", "env": [{"name": "X", "value": "1"}]}, {"name": "b", "image": "b:1"}]


def _patched(patch: Object) -> Any:
    obj = {"spec": {"containers": copy.deepcopy(_CONTAINERS)}}
    return patches.strategic_patch(built_in("pods"), obj, {"spec": patch})["spec"].get("containers")


def test_a_strategic_patch_merges_items_by_their_names() -> None:
    changed = _patched({"containers": [{"name": "a", "image": "a:2", "env": [{"name": "Y", "value": "2"}]}]})
    assert changed[0] == {
        "name": "a",
        "image": "a:2",
        "env": [{"name": "Y", "value": "2"}, {"name": "X", "value": "1"}],
    }
    assert changed[1] == _CONTAINERS[1]
    assert _patched({"containers": [{"name": "b", "$patch": "delete"}]}) == [_CONTAINERS[0]]
    ordered = _patched(
        {"$setElementOrder/containers": [{"name": "z"}, {"name": "b"}, {"name": "a"}], "containers": [{"name": "z"}]}
    )
    assert [each["name"] for each in ordered] == ["z", "b", "a"]
    assert _patched({"containers": None}) is None
    assert _patched({"containers": [{"name": "z"}, {"$patch": "replace"}]}) == [{"name": "z"}]


def test_a_json_patch_is_carried_out_whole_or_not_at_all() -> None:
    obj: Object = {"spec": {"a": [1, 2], "b/c": 1}}
    done = patches.json_patch(
        obj,
        [
            {"op": "add", "path": "/spec/a/-", "value": 3},
            {"op": "test", "path": "/spec/b~1c", "value": 1},
            {"op": "move", "from": "/spec/b~1c", "path": "/spec/d"},
            {"op": "copy", "from": "/spec/a/0", "path": "/spec/e"},
            {"op": "remove", "path": "/spec/a/0"},
        ],
    )
    assert done == {"spec": {"a": [2, 3], "d": 1, "e": 1}}
    assert obj == {"spec": {"a": [1, 2], "b/c": 1}}
    for bad in (
        {"op": "test", "path": "/spec/a/0", "value": True},
        {"op": "remove", "path": "/spec/x"},
        {"op": "replace", "path": "/spec/x/y", "value": 1},
        {"op": "fly", "path": "/spec"},
        {"op": "add", "path": "/spec/a/9", "value": 1},
        {"op": "replace", "path": "/spec/a/9", "value": 1},
        {"op": "replace", "path": "", "value": 1},
        {"op": "add", "path": "", "value": {}},
        {"op": "add", "path": "spec", "value": {}},
        {"op": "move", "from": "/spec/x", "path": "/spec/y"},
        {"op": "add", "value": 1},
        None,
    ):
        with pytest.raises(StatusError, match="the server rejected our request"):
            patches.json_patch(obj, [bad])


@pytest.mark.parametrize(
    ("operation", "left"),
    [
        ({"op": "replace", "path": "/spec/new", "value": 1}, {"a": [1, 2], "new": 1}),
        ({"op": "test", "path": "/spec/new", "value": None}, {"a": [1, 2]}),
        ({"op": "test", "path": "/spec/new"}, {"a": [1, 2]}),
        ({"op": "copy", "from": "/spec/none", "path": "/spec/new"}, {"a": [1, 2], "new": None}),
        ({"op": "add", "path": "/spec/new"}, {"a": [1, 2], "new": None}),
        ({"op": "add", "path": "/spec/a/-1", "value": 3}, {"a": [1, 2, 3]}),
        ({"op": "replace", "path": "/spec/a/-2", "value": 3}, {"a": [3, 2]}),
        ({"op": "remove", "path": "/spec/a/+1"}, {"a": [1]}),
    ],
)
def test_a_json_patch_is_carried_out_as_the_library_of_the_real_server_does(operation: Object, left: Object) -> None:
    assert patches.json_patch({"spec": {"a": [1, 2]}}, [operation]) == {"spec": left}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"[1]", "cannot unmarshal number into Go value of type handlers.jsonPatchOp"),
        (b'[{"op": 1}]', "cannot unmarshal number into Go struct field jsonPatchOp.op of type string"),
        (b'[{"op": "add", "path": []}]', "cannot unmarshal array into Go struct field jsonPatchOp.path of type string"),
    ],
)
def test_operations_of_the_wrong_types_are_no_patch(body: bytes, said: str) -> None:
    with pytest.raises(StatusError, match=said) as caught:
        patches.parse(body, operations=True)
    assert caught.value.code == 400


@pytest.mark.parametrize(
    ("patch", "code", "said"),
    [
        ({"$retainKeys": "x"}, 400, "invalid patch format of retainKeys"),
        ({"$deleteFromPrimitiveList/a": {}}, 400, "invalid patch format of primitive list"),
        ({"$setElementOrder/containers": 1}, 400, "invalid patch format of setElementOrder list"),
        (
            {"$setElementOrder/containers": [{"name": "a"}], "containers": [{"name": "z"}]},
            500,
            "The order in patch list",
        ),
        (
            {"containers": [{"tty": True, "args": ["a", "b"], "image": None}]},
            500,
            r"map: map\[args:\[a b\] image:<nil> tty:true\] does not contain declared merge key: name",
        ),
    ],
)
def test_directives_of_the_wrong_form_are_refused(patch: Object, code: int, said: str) -> None:
    with pytest.raises(StatusError, match=said) as caught:
        _patched(patch)
    assert caught.value.code == code


def test_a_merge_patch_takes_out_by_null() -> None:
    obj: Object = {"a": {"b": 1, "c": [1, 2]}}
    assert patches.merge_patch(obj, {"a": {"b": None, "c": [3], "d": {"e": None}}}) == {"a": {"c": [3], "d": {}}}
    with pytest.raises(StatusError, match="cannot unmarshal array into Go value of type map"):
        patches.parse(b"[1]", operations=False)


@pytest.mark.parametrize(
    ("given", "shown"),
    [("1000m", "1"), ("0.6", "600m"), ("1.5Gi", "1536Mi"), ("1024Mi", "1Gi"), ("1000", "1k"), (2, "2"), ("1e3", "1e3"), ("0", "0")],
)  # fmt: skip
def test_quantities_are_shown_with_the_largest_suffix(given: str | int, shown: str) -> None:
    assert quantities.canonical(given) == shown
    assert quantities.amount(given) == quantities.amount(shown)


def test_an_event_has_two_forms() -> None:
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {},
        "message": "m",
        "count": 2,
        "involvedObject": {"name": "x"},
    }
    other = rules.event_as(event, "events.k8s.io/v1")
    assert (other["note"], other["deprecatedCount"], other["regarding"]) == ("m", 2, {"name": "x"})
    assert {**rules.event_as(other, "v1"), **event} == rules.event_as(other, "v1")


def test_every_built_in_kind_can_be_read_empty() -> None:
    from simulators.cloud.language.kinds import BUILT_IN

    for kind in BUILT_IN:
        obj = kind.empty()
        decoding.settle(kind, obj)
        kind.default(obj)
        assert obj["kind"] == kind.kind
