"""The JSON Schema of rules for editors; ``python -m controller.remediation.schema`` writes it."""

from __future__ import annotations

import json

from controller.models.shipped import shipped
from controller.remediation.rules import Rule

COMMITTED = shipped("playbooks/schemas/rule.schema.json")


def render_schema() -> str:
    """JSON Schema (draft 2020-12) of a rule file; docs/explanation/remediation.md describes the fields."""
    schema = Rule.model_json_schema(by_alias=True)
    for part in (schema, *schema["$defs"].values()):
        if "description" in part:
            part["description"] = part["description"].split("\n\n")[0]
    whole = {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "Minka rule"}
    return json.dumps(whole, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    COMMITTED.write_text(render_schema(), encoding="utf-8", newline="\n")
