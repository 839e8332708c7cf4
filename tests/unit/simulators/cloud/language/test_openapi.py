"""OpenAPI documents: what clients look for in them is there, and every reference leads somewhere."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from simulators.cloud.language import openapi
from simulators.cloud.language.kinds import BUILT_IN
from simulators.cloud.language.protobuf import fields, openapi_2
from tests.unit.simulators.cloud.language.kinds import FUNCTION

_CORE = [kind for kind in BUILT_IN if not kind.group]


@pytest.mark.parametrize(
    ("document", "prefix", "schemas"),
    [
        (openapi.v3(_CORE), "#/components/schemas/", ("components", "schemas")),
        (openapi.v3([FUNCTION]), "#/components/schemas/", ("components", "schemas")),
        (openapi.v2([*BUILT_IN, FUNCTION]), "#/definitions/", ("definitions",)),
    ],
)
def test_every_reference_leads_to_a_schema(document: Any, prefix: str, schemas: tuple[str, ...]) -> None:
    found = document
    for name in schemas:
        found = found[name]
    named = set(re.findall(r'"\$ref": "([^"]+)"', json.dumps(document)))
    assert named
    assert {name.removeprefix(prefix) for name in named} <= found.keys()
    assert all(found.values())
    # kubectl explain takes a schema that says nothing for none.
    for schema in found.values():
        for each in schema.get("properties", {}).values():
            assert each
            assert each.get("items") != {}


def test_kubectl_finds_how_lists_merge_and_what_a_patch_takes() -> None:
    document = openapi.v3(_CORE)
    schemas = document["components"]["schemas"]
    containers = schemas["io.k8s.api.core.v1.PodSpec"]["properties"]["containers"]
    assert containers["x-kubernetes-patch-merge-key"] == "name"
    assert containers["x-kubernetes-list-map-keys"] == ["name"]
    pod = schemas["io.k8s.api.core.v1.Pod"]["x-kubernetes-group-version-kind"]
    assert pod == [{"group": "", "kind": "Pod", "version": "v1"}]
    patch = document["paths"]["/api/v1/namespaces/{namespace}/pods/{name}"]["patch"]
    assert patch["x-kubernetes-group-version-kind"] == pod[0]
    assert {"dryRun", "fieldManager", "fieldValidation", "force"} <= {each["name"] for each in patch["parameters"]}


def test_a_custom_kind_has_its_schema_and_the_metadata_of_all() -> None:
    document = openapi.v3([FUNCTION])
    schema = document["components"]["schemas"]["org.example.v1.Function"]
    assert schema["properties"]["spec"]["properties"]["replicas"]["default"] == 1
    assert schema["properties"]["metadata"]["$ref"].endswith("meta.v1.ObjectMeta")
    scale = document["paths"]["/apis/example.org/v1/namespaces/{namespace}/functions/{name}/scale"]["get"]
    assert scale["x-kubernetes-group-version-kind"] == {"group": "autoscaling", "kind": "Scale", "version": "v1"}


def test_kubectl_reads_version_2_as_a_protocol_buffer() -> None:
    def parts(data: bytes, *numbers: int) -> list[bytes]:
        found = [data]
        for number in numbers:
            found = [value for one in found for at, value in fields(one) if at == number and isinstance(value, bytes)]
        return found

    document = openapi.v2([next(kind for kind in BUILT_IN if kind.storage == "pods"), FUNCTION])
    sent = openapi_2(document)
    assert [name.decode() for name in parts(sent, 9, 1, 1)] == list(document["definitions"])
    assert [name.decode() for name in parts(sent, 8, 2, 1)] == list(document["paths"])
    (spec,) = (one for one in parts(sent, 9, 1) if parts(one, 1) == [b"io.k8s.api.core.v1.PodSpec"])
    properties = {parts(one, 1)[0].decode(): parts(one, 2)[0] for one in parts(spec, 2, 25, 1)}
    assert properties.keys() == document["definitions"]["io.k8s.api.core.v1.PodSpec"]["properties"].keys()
    assert parts(properties["containers"], 22, 1) == [b"array"]
    assert parts(properties["containers"], 23, 1, 1) == [b"#/definitions/io.k8s.api.core.v1.Container"]
    words = {parts(one, 1)[0].decode(): json.loads(parts(one, 2, 2)[0]) for one in parts(properties["containers"], 31)}
    assert words["x-kubernetes-patch-merge-key"] == "name"
    assert words["x-kubernetes-list-map-keys"] == ["name"]
