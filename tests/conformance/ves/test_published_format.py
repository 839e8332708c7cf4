"""What the VES listener takes is what the schema of ONAP (common event format 30.2.1) says of the domains that we read.

The schema is as it was published with ONAP's VES collector (``etc/CommonEventFormat_30.2.1_ONAP.json``), under the
Apache License 2.0; its notice is in it (``schemaLicenseAndCopyrightNotice``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from controller.models.ves import VesEvent

PUBLISHED = json.loads((Path(__file__).parent / "CommonEventFormat_30.2.1_ONAP.json").read_text(encoding="utf-8"))
OURS = VesEvent.model_json_schema(by_alias=True)
#: Blocks of which we read the content.
READ = ("commonEventHeader", "faultFields", "heartbeatFields", "pnfRegistrationFields", "stndDefinedFields")


def _shape(field: Mapping[str, Any], definitions: Mapping[str, Any]) -> tuple[object, ...]:
    """What a field may be: its type, the values that it may have, and the types of what is in it."""
    if "$ref" in field:
        return _shape(definitions[field["$ref"].rpartition("/")[2]], definitions)
    values = [field["const"]] if "const" in field else field.get("enum")
    within = field.get("additionalProperties", True) if field["type"] == "object" else None
    inner = within["type"] if isinstance(within, Mapping) else within
    return field["type"], sorted(values) if values else None, inner


@pytest.mark.parametrize("block", READ)
def test_a_block_has_the_fields_of_the_published_schema(block: str) -> None:
    published, ours = PUBLISHED["definitions"][block], OURS["$defs"][block[0].upper() + block[1:]]
    assert sorted(ours["required"]) == sorted(published["required"])
    assert ours["additionalProperties"] is published["additionalProperties"] is False
    assert {name: _shape(field, OURS["$defs"]) for name, field in ours["properties"].items()} == {
        name: _shape(field, PUBLISHED["definitions"]) for name, field in published["properties"].items()
    }


def test_an_event_has_the_blocks_of_the_published_schema() -> None:
    published = PUBLISHED["definitions"]["event"]
    assert OURS["properties"].keys() == published["properties"].keys()
    assert OURS["required"] == published["required"]
    assert OURS["additionalProperties"] is published["additionalProperties"] is False
