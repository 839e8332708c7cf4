"""JSON Schema of network files, so that editors complete and check the YAML.

``python -m controller.inventory.schema [FILE]`` writes it; the committed file is proven current by a test.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from pydantic.json_schema import models_json_schema

from controller.inventory.parse import KINDS
from controller.models.shipped import shipped

COMMITTED = shipped("playbooks/schemas/network.schema.json")


def network_schema() -> dict[str, Any]:
    """The schema in draft-07, which yaml-language-server supports best."""
    models, definitions = models_json_schema(
        [(model, "validation") for model in KINDS.values()], ref_template="#/definitions/{model}"
    )
    properties: dict[str, Any] = {}
    for kind, model in KINDS.items():
        reference = {"$ref": models[model, "validation"]["$ref"]}
        properties[kind] = reference if kind == "network" else {"type": "array", "items": reference}
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Minka network file",
        "description": "A part of a network: any of these keys, in any number of files.",
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
        "definitions": definitions["$defs"],
    }


def render_schema() -> str:
    """The schema as committed."""
    return json.dumps(network_schema(), indent=2, ensure_ascii=False) + "\n"


def main(arguments: list[str]) -> None:
    """Write the schema to the given file, or to its place in the source tree."""
    target = Path(arguments[0]) if arguments else COMMITTED
    target.write_text(render_schema(), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main(sys.argv[1:])
