"""The JSON Schema of playbooks for editors; ``python -m controller.playbook.actions.schema`` writes it."""

from __future__ import annotations

import json
from typing import Any

from controller.models.shipped import shipped
from controller.playbook.actions.shipped import SHIPPED
from controller.playbook.language.playbook import Playbook
from controller.playbook.language.registry import Action

COMMITTED = shipped("playbooks/schemas/playbook.schema.json")


def playbook_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of a playbook file, with the inputs of each shipped action."""
    schema = Playbook.model_json_schema(by_alias=True)
    for name in ("Step", "Undo"):
        part = schema["$defs"][name]
        part["properties"]["action"] = {"anyOf": [{"enum": sorted(SHIPPED)}, {"type": "string"}]}
        part["allOf"] = [_inputs(action) for _, action in sorted(SHIPPED.items())]
    _descriptions(schema)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "Minka playbook"}


def _inputs(action: Action) -> dict[str, Any]:
    """If a step names the action, ``with`` has its inputs."""
    fields = action.inputs.model_fields
    inputs = {name: {"description": field.description or ""} for name, field in fields.items()}
    return {
        "if": {"properties": {"action": {"const": action.name}}},
        "then": {"properties": {"with": {"properties": inputs, "additionalProperties": False}}},
    }


def _descriptions(schema: dict[str, Any]) -> None:
    """Only the first paragraph of each docstring, since fields describe the attributes."""
    for part in (schema, *schema["$defs"].values()):
        if "description" in part:
            part["description"] = part["description"].split("\n\n")[0]


def render_schema() -> str:
    """The schema as committed."""
    return json.dumps(playbook_schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    COMMITTED.write_text(render_schema(), encoding="utf-8", newline="\n")
