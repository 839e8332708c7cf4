"""Rules in CEL of custom resource definitions, and what a stricter definition means for what is there."""

from __future__ import annotations

from typing import Any

import pytest

from simulators.clock import VirtualClock
from simulators.cloud.server.answers import Response
from simulators.cloud.server.cluster import Cluster
from tests.unit.simulators.cloud.test_server import Client

Json = dict[str, Any]
RULES = "x-kubernetes-validations"
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
GAUGES = "/apis/x.example/v1/namespaces/default/gauges"
MERGE = "application/merge-patch+json"


def definition(spec: Json, *rules: Json) -> Json:
    root = {"type": "object", "properties": {"spec": spec, "status": {"type": "object", "properties": _STATUS}}}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {**root, RULES: [*rules]}}}
    names = {"plural": "gauges", "kind": "Gauge"}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "gauges.x.example"},
        "spec": {
            "group": "x.example",
            "scope": "Namespaced",
            "names": names,
            "versions": [{**version, "subresources": {"status": {}}}],
        },
    }


_STATUS = {"n": {"type": "integer"}}


def spec(**properties: Json) -> Json:
    items = {
        "type": "object",
        "required": ["k"],
        "properties": {"k": {"type": "string"}, "v": {"type": "integer"}},
        RULES: [{"rule": "self.v >= oldSelf.v", "message": "v only grows"}],
    }
    known: Json = {
        "min": {"type": "integer"},
        "max": {"type": "integer"},
        "mode": {"type": "string", RULES: [{"rule": "self == oldSelf", "message": "mode is immutable"}]},
        "name": {
            "type": "string",
            "maxLength": 10,
            RULES: [
                {"rule": "self.startsWith('a')", "messageExpression": "'got ' + self", "reason": "FieldValueForbidden"}
            ],
        },
        "list": {
            "type": "array",
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["k"],
            "items": items,
        },
        "labels": {"type": "object", "additionalProperties": {"type": "string", RULES: [{"rule": "self != ''"}]}},
        "d-e": {"type": "string"},
        **properties,
    }
    rules = [
        {"rule": "!has(self.max) || self.min <= self.max", "message": "min is above max", "fieldPath": ".min"},
        {"rule": "!has(oldSelf.max) || has(self.max)"},
        {"rule": "self.?d__dash__e.orValue('ok').size() > 1"},
        {"rule": "oldSelf.hasValue() || self.min < 100", "optionalOldSelf": True, "message": "new ones are small"},
    ]
    return {"type": "object", "properties": known, RULES: rules}


def gauge(_name: str = "a", **values: Any) -> Json:
    return {**_HEAD, "metadata": {"name": _name}, "spec": {"min": 1, "max": 2, **values}}


_HEAD = {"apiVersion": "x.example/v1", "kind": "Gauge"}


@pytest.fixture
def admin() -> Client:
    cluster = Cluster("pool", VirtualClock())
    cluster.access.add_token("admin", "admin", "system:masters")
    admin = Client(cluster)
    made = definition(spec(), {"rule": "self.metadata.name != 'bad'"})
    assert admin.ask("POST", DEFINITIONS, made)[0] == 201
    return admin


def causes(answer: tuple[int, Any]) -> list[tuple[str, str]]:
    assert answer[0] == 422, answer
    return [(cause["field"], cause["message"]) for cause in answer[1]["details"]["causes"]]


@pytest.mark.parametrize(
    ("sent", "found"),
    [
        (gauge(min=3), [("spec.min", "Invalid value: min is above max")]),
        (gauge("bad"), [("<nil>", "Invalid value: failed rule: self.metadata.name != 'bad'")]),
        (gauge(name="zz"), [("spec.name", "Forbidden: got zz")]),
        (gauge(labels={"x": ""}), [("spec.labels[x]", 'Invalid value: "": failed rule: self != \'\'')]),
        (gauge(**{"d-e": "x"}), [("spec", "Invalid value: failed rule: self.?d__dash__e.orValue('ok').size() > 1")]),
        (gauge(min=200, max=300), [("spec", "Invalid value: new ones are small")]),
        (
            {**_HEAD, "metadata": {"name": "a"}, "spec": {"max": 1}},
            [
                ("spec", 'Invalid value: "object": no such key: min evaluating rule: min is above max'),
                ("spec", 'Invalid value: "object": no such key: min evaluating rule: new ones are small'),
            ],
        ),
        (
            gauge(name="z" * 11),
            [
                ("spec.name", "Too long: may not be more than 10 bytes"),
                (
                    "<nil>",
                    ("Invalid value: null: some validation rules were not checked because the object was invalid; "
                    "correct the existing errors to complete validation"),
                ),
            ],
        ),
    ],
)  # fmt: skip
def test_a_new_object_breaks_a_rule(admin: Client, sent: Json, found: list[tuple[str, str]]) -> None:
    assert causes(admin.ask("POST", GAUGES, sent)) == found


@pytest.mark.parametrize(
    ("patch", "found"),
    [
        ({"mode": "y"}, [("spec.mode", 'Invalid value: "y": mode is immutable')]),
        ({"max": None}, [("spec", "Invalid value: failed rule: !has(oldSelf.max) || has(self.max)")]),
        ({"list": [{"k": "b", "v": 1}, {"k": "a", "v": 0}]}, [("spec.list[1]", "Invalid value: v only grows")]),
    ],
)
def test_a_change_breaks_a_rule_of_transitions(admin: Client, patch: Json, found: list[tuple[str, str]]) -> None:
    assert admin.ask("POST", GAUGES, gauge(mode="x", list=[{"k": "a", "v": 1}]))[0] == 201
    assert causes(admin.ask("PATCH", f"{GAUGES}/a", {"spec": patch}, content_type=MERGE)) == found
    grown = {"spec": {"mode": None, "list": [{"k": "b", "v": 0}, {"k": "a", "v": 2}], "min": 1}}
    assert admin.ask("PATCH", f"{GAUGES}/a", grown, content_type=MERGE)[0] == 200
    assert admin.ask("PATCH", f"{GAUGES}/a", {"spec": {"mode": "z"}}, content_type=MERGE)[0] == 200  # set anew


def test_what_does_not_change_may_be_wrong(admin: Client) -> None:
    """A definition that became stricter keeps nobody from writing something else."""
    assert admin.ask("POST", GAUGES, gauge(name="abc", list=[{"k": "a", "v": 1}]))[0] == 201
    stricter = definition(spec(max={"type": "integer", "maximum": 1}, name={**_NAME, "maxLength": 2}))
    stricter["metadata"]["resourceVersion"] = admin.ask("GET", f"{DEFINITIONS}/gauges.x.example")[1]["metadata"][
        "resourceVersion"
    ]
    assert admin.ask("PUT", f"{DEFINITIONS}/gauges.x.example", stricter)[0] == 200

    request = admin._request("PATCH", f"{GAUGES}/a", {"spec": {"min": 0}}, {"content_type": MERGE})
    answer = admin.api.handle(request)
    assert isinstance(answer, Response)
    assert answer.status == 200
    assert list(answer.headers) == [
        ("Warning", '299 - "spec.name: Invalid value: \\"abc\\": failed rule: self == \'x\'"')
    ]
    assert admin.ask("PATCH", f"{GAUGES}/a/status", {"status": {"n": 1}}, content_type=MERGE)[0] == 200
    found = causes(admin.ask("PATCH", f"{GAUGES}/a", {"spec": {"max": 3}}, content_type=MERGE))
    assert found == [("spec.max", "Invalid value: 3: spec.max in body should be less than or equal to 1")]
    found = causes(admin.ask("PATCH", f"{GAUGES}/a", {"spec": {"name": "y"}}, content_type=MERGE))
    assert found == [("spec.name", "Invalid value: \"y\": failed rule: self == 'x'")]


_NAME = {"type": "string", RULES: [{"rule": "self == 'x'"}]}


def _rule(**fields: Any) -> Json:
    return {"rule": "self.a > 1", **fields}


@pytest.mark.parametrize(
    ("rule", "within", "field", "said"),
    [
        (_rule(rule="self.b > 1"), "", "rule", "compilation failed: ERROR: <input>:1:5: undefined field 'b'\n"),
        (_rule(rule="self.a"), "", "rule", "cel expression must evaluate to a bool"),
        (_rule(rule=""), "", "rule", "Required value: rule is not specified"),
        (_rule(rule="self.a\n> 1"), "", "message", "message must be specified if rule contains line breaks"),
        (_rule(message=" "), "", "message", "message must be non-empty if specified"),
        (_rule(messageExpression="1"), "", "messageExpression", "messageExpression must evaluate to a string"),
        (_rule(reason="Foo"), "", "reason", 'Unsupported value: "Foo"'),
        (_rule(fieldPath=".q"), "", "fieldPath", "fieldPath must be a valid path"),
        (_rule(optionalOldSelf=True), "", "optionalOldSelf", "may not be set if oldSelf is not used in rule"),
        (
            _rule(rule="self.a > oldSelf.a"), ".properties[list].items", "rule",
            ("oldSelf cannot be used on the uncorrelatable portion of the schema within "
            "spec.validation.openAPIV3Schema.properties[spec].properties[list]"),
        ),
    ],
)  # fmt: skip
def test_a_definition_with_a_rule_that_is_none(admin: Client, rule: Json, within: str, field: str, said: str) -> None:
    inner: Json = {"type": "object", "properties": {"a": {"type": "integer"}}, RULES: [rule]}
    outer = {"type": "object", "properties": {"list": {"type": "array", "items": inner}}} if within else inner
    ((where, message),) = causes(admin.ask("POST", DEFINITIONS, definition(outer)))
    assert where == f"spec.validation.openAPIV3Schema.properties[spec]{within}.{RULES}[0].{field}"
    assert said in message


def test_server_side_apply_keeps_to_rules(admin: Client) -> None:
    sent = gauge(min=3)
    target = f"{GAUGES}/a?fieldManager=me"
    apply = "application/apply-patch+yaml"
    assert causes(admin.ask("PATCH", target, sent, content_type=apply)) == [
        ("spec.min", "Invalid value: min is above max")
    ]
    assert admin.ask("PATCH", target, {**sent, "spec": {"min": 1, "max": 2}}, content_type=apply)[0] == 201


def test_a_value_that_may_be_null_is_there() -> None:
    cluster = Cluster("pool", VirtualClock())
    cluster.access.add_token("admin", "admin", "system:masters")
    admin = Client(cluster)
    fields = {"a": {"type": "string", "nullable": True}, "b": {"type": "string"}}
    rule = {"rule": "has(self.a) && !has(self.b)"}
    assert admin.ask("POST", DEFINITIONS, definition({"type": "object", "properties": fields, RULES: [rule]}))[0] == 201
    assert admin.ask("POST", GAUGES, {**_HEAD, "metadata": {"name": "a"}, "spec": {"a": None, "b": None}})[0] == 201
    assert admin.ask("POST", GAUGES, {**_HEAD, "metadata": {"name": "b"}, "spec": {}})[0] == 422


def test_lists_that_are_sets_are_compared_as_such() -> None:
    cluster = Cluster("pool", VirtualClock())
    cluster.access.add_token("admin", "admin", "system:masters")
    admin = Client(cluster)
    tags = {
        "type": "array",
        "x-kubernetes-list-type": "set",
        "items": {"type": "string"},
        RULES: [{"rule": "self == oldSelf", "message": "tags stay"}],
    }
    assert admin.ask("POST", DEFINITIONS, definition({"type": "object", "properties": {"tags": tags}}))[0] == 201
    made = {**_HEAD, "metadata": {"name": "a"}, "spec": {"tags": ["x", "y"]}}
    assert admin.ask("POST", GAUGES, made)[0] == 201
    turned = {"spec": {"tags": ["y", "x"]}}
    assert admin.ask("PATCH", f"{GAUGES}/a", turned, content_type=MERGE)[0] == 200
    found = causes(admin.ask("PATCH", f"{GAUGES}/a", {"spec": {"tags": ["y"]}}, content_type=MERGE))
    assert found == [("spec.tags", "Invalid value: tags stay")]
