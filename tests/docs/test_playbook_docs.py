"""The playbook pages are true: the reference is current, the tutorial's playbook loads and its list is complete."""

from __future__ import annotations

import re
from pathlib import Path

from controller.inventory.source import Report
from controller.playbook.actions.shipped import registry
from controller.playbook.language.library import parse
from tests.docs.playbook_reference import PAGE, page

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "docs" / "explanation" / "playbooks.md", ROOT / "docs" / "tutorial" / "first-playbook.md"]
TEXT = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)


def test_the_reference_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m tests.docs.playbook_reference"


def test_every_field_and_action_is_described() -> None:
    assert not re.findall(r"^\| `\w+` \|[^|]*\|\s*\|$", page(), re.MULTILINE)


def test_the_playbooks_of_the_pages_load() -> None:
    texts = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
    assert texts
    for text in texts:
        report = Report()
        assert parse(text, "tutorial", registry(), report) is not None, report.problems


def test_the_pages_list_the_shipped_ones() -> None:
    listed = set(re.findall(r"^\| \[`([a-z-]+)`\]", TEXT, re.MULTILINE))
    assert listed == {path.stem for path in (ROOT / "playbooks").glob("*.yaml")}
