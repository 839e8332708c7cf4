"""Rules: which playbook repairs what an alarm is about, under which guards. One YAML file each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from controller.inventory.parse import FORMS, report_error
from controller.inventory.source import YAML_LIMIT, Entry, Report, read_text
from controller.inventory.yaml_tree import read_yaml
from controller.models.alarm import Alarm
from controller.models.errors import InputError
from controller.models.network import Identifier, Noun
from controller.playbook.language.expressions import evaluate
from controller.playbook.language.playbook import ReachLimits


class Guards(ReachLimits):
    """When a rule may act.

    Where it names no rate and no share, those of the settings bind it (``MINKA_REPAIRS_PER_DEVICE`` …).

    Attributes:
        max_stations: Stations and routers that its run may work on; further limits are those of playbooks.
        settle_seconds: An alarm must have stood this long: most clear by themselves.
        cool_down_seconds: Window in which repairs of one object are counted.
        attempts: Repairs of one object within the window; one more is escalated instead.
        per_device: Repairs of a device by any rule within an hour, from which on this rule waits.
        per_site: The same of all devices of a site.
        per_region: The same in a region.
        per_tenant: The same of what concerns one tenant.
        share: Per cent of a region's stations that may be under repair at once, one in any case.
    """

    max_stations: int | None = Field(default=1, ge=1)

    settle_seconds: float = Field(default=5, ge=0)
    cool_down_seconds: float = Field(default=3600, gt=0)
    attempts: int = Field(default=1, ge=1)
    per_device: int | None = Field(default=None, ge=1)
    per_site: int | None = Field(default=None, ge=1)
    per_region: int | None = Field(default=None, ge=1)
    per_tenant: int | None = Field(default=None, ge=1)
    share: float | None = Field(default=None, gt=0, le=100)


class Rule(Noun):
    """One rule.

    Attributes:
        probable_cause: The alarm's probable cause that it answers.
        playbook: The playbook that is run. What Minka's own checks raise must be wrong on the station still; that the
            station itself raised any other alarm is reason enough.
        parameters: Its parameters; expressions over ``alarm``, with its ``station``, ``object``, ``tenant``,
            ``probable_cause`` and ``specific_problem``.
        verify_seconds: How long after the repair the alarm must be cleared and the object healthy.
    """

    name: Identifier
    description: str
    probable_cause: Identifier
    playbook: Identifier
    parameters: dict[str, str] = {}
    guards: Guards = Guards()
    verify_seconds: float = Field(default=300, gt=0)

    def given(self, alarm: Alarm) -> dict[str, Any]:
        """Parameters of the playbook for an alarm. Raises InputError if an expression is wrong."""
        known = ("station", "object", "tenant", "probable_cause", "specific_problem")
        found: dict[str, Any] = evaluate(self.parameters, {"alarm": {name: getattr(alarm, name) for name in known}})
        return found


def load_rules(folder: Path) -> tuple[Rule, ...]:
    """All rules of a folder, by name.

    Raises:
        InputError: Every problem of every file, one a line; or the folder is missing.
    """
    if not folder.is_dir():
        raise InputError(f"the rules folder {folder} does not exist: set MINKA_RULES")
    report = Report()
    rules: dict[str, Rule] = {}
    for path in sorted(folder.glob("*.yaml")):
        rule = _load(path, report)
        if rule is None:
            continue
        other = next((one for one in rules.values() if one.probable_cause == rule.probable_cause), None)
        if other is not None:
            report.file(path.name, 0, f"rule {other.name} answers {rule.probable_cause!r} already")
        rules[rule.name] = rule
    if report.problems:
        raise InputError("\n".join(str(problem) for problem in report.problems))
    return tuple(rules[name] for name in sorted(rules))


def _load(path: Path, report: Report) -> Rule | None:
    text = read_text(path, path.name, YAML_LIMIT, report)
    node = read_yaml(text, path.name, report) if text is not None else None
    if node is None:
        return None
    try:
        return Rule.model_validate(node.plain())
    except ValidationError as error:
        entry = Entry("rule", path.name, node.line, "rule", None, node)
        for one in error.errors():
            report_error(entry, one, report, Rule, FORMS)
        return None


def rule_for(rules: tuple[Rule, ...], alarm: Alarm) -> Rule | None:
    """The rule that answers an alarm."""
    return next((rule for rule in rules if rule.probable_cause == alarm.probable_cause), None)
