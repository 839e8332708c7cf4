"""JSON Schemas of rules and schedules for editors; ``python -m controller.remediation.schema`` writes them."""

from __future__ import annotations

import json

from controller.models.scalars import Noun
from controller.models.shipped import shipped
from controller.remediation.rules import Rule
from controller.remediation.schedule import Schedule

COMMITTED = shipped("playbooks/schemas/rule.schema.json")
COMMITTED_SCHEDULE = shipped("playbooks/schemas/on-call.schema.json")


def render_schema(model: type[Noun] = Rule, title: str = "Minka rule") -> str:
    """JSON Schema (draft 2020-12) of a rule file; docs/explanation/remediation.md describes the fields."""
    schema = model.model_json_schema(by_alias=True)
    for part in (schema, *schema["$defs"].values()):
        if "description" in part:
            part["description"] = part["description"].split("\n\n")[0]
    whole = {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": title}
    return json.dumps(whole, indent=2, ensure_ascii=False) + "\n"


def render_schedule_schema() -> str:
    """JSON Schema of a schedule of who is on call; docs/how-to/on-call.md describes the fields."""
    return render_schema(Schedule, "Minka schedule of who is on call")


if __name__ == "__main__":
    COMMITTED.write_text(render_schema(), encoding="utf-8", newline="\n")
    COMMITTED_SCHEDULE.write_text(render_schedule_schema(), encoding="utf-8", newline="\n")
