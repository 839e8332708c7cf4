"""The committed JSON Schema and the samples that refer to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from controller.inventory.parse import KINDS
from controller.inventory.schema import COMMITTED, network_schema, render_schema

_NETWORKS = Path("deploy/networks")


def test_the_committed_schema_is_current() -> None:
    assert COMMITTED.read_text(encoding="utf-8") == render_schema(), "run: python -m controller.inventory.schema"


@pytest.mark.parametrize("path", sorted(_NETWORKS.rglob("*.yaml")), ids=str)
def test_every_sample_leads_editors_to_the_schema(path: Path) -> None:
    first = path.read_text(encoding="utf-8").splitlines()[0]
    _, _, reference = first.partition("# yaml-language-server: $schema=")
    assert (path.parent / reference).resolve() == COMMITTED.resolve()
    assert set(yaml.safe_load(path.read_text(encoding="utf-8"))) <= set(network_schema()["properties"])


def test_it_is_draft_07_and_every_reference_leads_somewhere() -> None:
    schema = network_schema()
    assert schema["$schema"] == "http://json-schema.org/draft-07/schema#"
    assert list(schema["properties"]) == list(KINDS)
    for node in _nodes(schema):
        assert "prefixItems" not in node
        assert "$defs" not in node
        if "$ref" in node:
            assert node["$ref"].removeprefix("#/definitions/") in schema["definitions"]


def _nodes(node: Any) -> list[dict[str, Any]]:
    if isinstance(node, dict):
        return [node, *(found for value in node.values() for found in _nodes(value))]
    if isinstance(node, list):
        return [found for value in node for found in _nodes(value)]
    return []
