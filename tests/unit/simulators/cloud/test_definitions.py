"""Definitions of custom resources: rules in CEL are refused, and a stricter definition lets unchanged values be."""

from __future__ import annotations

from typing import Any

import pytest

from simulators.clock import VirtualClock
from simulators.cloud.server.cluster import Cluster
from tests.unit.simulators.cloud.test_server import Client

Json = dict[str, Any]
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
GAUGES = "/apis/x.example/v1/namespaces/default/gauges"
NOT_EVALUATED = "a simulated pool does not evaluate rules in CEL: take them out of the definition to try it here"
MERGE = "application/merge-patch+json"
RULES = {"x-kubernetes-validations": [{"rule": "self.min <= self.max", "message": "min is above max"}]}
OBJECT: Json = {"type": "object", "properties": {"min": {"type": "integer"}, "max": {"type": "integer"}}}


def definition(spec: Json, **root: Any) -> Json:
    status = {"type": "object", "properties": {"n": {"type": "integer"}}}
    properties = {"spec": spec, "status": status, **root.pop("properties", {})}
    schema = {"openAPIV3Schema": {"type": "object", "properties": properties, **root}}
    version = {"name": "v1", "served": True, "storage": True, "schema": schema, "subresources": {"status": {}}}
    names = {"plural": "gauges", "kind": "Gauge"}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "gauges.x.example"},
        "spec": {"group": "x.example", "scope": "Namespaced", "names": names, "versions": [version]},
    }


@pytest.fixture
def admin() -> Client:
    cluster = Cluster("pool", VirtualClock())
    cluster.access.add_token("admin", "admin", "system:masters")
    return Client(cluster)


def causes(answer: tuple[int, Any]) -> list[tuple[str, str]]:
    assert answer[0] == 422, answer
    return [(cause["field"], cause["message"]) for cause in answer[1]["details"]["causes"]]


@pytest.mark.parametrize(
    ("sent", "at"),
    [
        (definition(OBJECT, **RULES), ""),
        (definition({**OBJECT, **RULES}), ".properties[spec]"),
        (definition({"type": "array", "items": {**OBJECT, **RULES}}), ".properties[spec].items"),
        (
            definition({"type": "object", "additionalProperties": {**OBJECT, **RULES}}),
            ".properties[spec].additionalProperties",
        ),
        (definition(OBJECT, properties={"metadata": {"type": "object", **RULES}}), ".properties[metadata]"),
    ],
    ids=["root", "field", "items", "values", "metadata"],
)
def test_a_definition_with_rules_in_cel_is_refused_by_their_field(admin: Client, sent: Json, at: str) -> None:
    """Nothing evaluates them, and objects that break them would pass for right."""
    assert causes(admin.ask("POST", DEFINITIONS, sent)) == [
        (
            f"spec.validation.openAPIV3Schema{at}.x-kubernetes-validations",
            f"Forbidden: {NOT_EVALUATED}",
        )
    ]
    assert admin.ask("GET", f"{DEFINITIONS}/gauges.x.example")[0] == 404


def test_rules_in_cel_are_refused_in_a_change_of_a_definition_too(admin: Client) -> None:
    assert admin.ask("POST", DEFINITIONS, definition(OBJECT))[0] == 201
    one = admin.ask("GET", f"{DEFINITIONS}/gauges.x.example")[1]["metadata"]["resourceVersion"]
    stricter = definition({**OBJECT, **RULES})
    stricter["metadata"]["resourceVersion"] = one
    ((field, _),) = causes(admin.ask("PUT", f"{DEFINITIONS}/gauges.x.example", stricter))
    assert field == "spec.validation.openAPIV3Schema.properties[spec].x-kubernetes-validations"


def test_what_does_not_change_may_be_wrong(admin: Client) -> None:
    """A definition that became stricter keeps nobody from writing something else."""
    assert admin.ask("POST", DEFINITIONS, definition(OBJECT))[0] == 201
    head = {"apiVersion": "x.example/v1", "kind": "Gauge"}
    assert admin.ask("POST", GAUGES, {**head, "metadata": {"name": "a"}, "spec": {"min": 1, "max": 2}})[0] == 201
    stricter = definition(
        {"type": "object", "properties": {**OBJECT["properties"], "max": {"type": "integer", "maximum": 1}}}
    )
    stricter["metadata"]["resourceVersion"] = admin.ask("GET", f"{DEFINITIONS}/gauges.x.example")[1]["metadata"][
        "resourceVersion"
    ]
    assert admin.ask("PUT", f"{DEFINITIONS}/gauges.x.example", stricter)[0] == 200
    assert admin.ask("PATCH", f"{GAUGES}/a", {"spec": {"min": 0}}, content_type=MERGE)[0] == 200
    assert admin.ask("PATCH", f"{GAUGES}/a/status", {"status": {"n": 1}}, content_type=MERGE)[0] == 200
    found = causes(admin.ask("PATCH", f"{GAUGES}/a", {"spec": {"max": 3}}, content_type=MERGE))
    assert found == [("spec.max", "Invalid value: 3: spec.max in body should be less than or equal to 1")]
