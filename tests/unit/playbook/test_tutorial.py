"""What the documentation tells people to type: its playbooks are right, and its commands fit the sample network."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from controller.inventory.load import load_network
from controller.inventory.source import Report
from controller.playbook.actions.shipped import registry
from controller.playbook.language.library import Library, parse
from controller.playbook.language.parameters import parse_parameters

ROOT = Path(__file__).parents[3]
NETWORK = load_network(ROOT / "deploy" / "networks" / "peru-mini")
#: With functions and pools.
VIRTUAL = load_network(ROOT / "deploy" / "networks" / "peru-virtual")
#: All pages but the one whose network grows: ``tests/docs/test_growing.py`` carries out what that one types.
PAGES = sorted(page for page in (ROOT / "docs").rglob("*.md") if page.name != "growing.md")
COMMANDS = [
    (page.name, line)
    for page in PAGES
    for line in re.findall(r"^(?:\$ )?minka playbook (?:run|dry-run) (.+)$", page.read_text("utf-8"), re.MULTILINE)
]


def tutorial() -> str:
    text = (ROOT / "docs" / "tutorial" / "first-playbook.md").read_text("utf-8")
    (found,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    return str(found)


def test_the_first_playbook_is_right() -> None:
    report = Report()
    assert parse(tutorial(), "relock.yaml", registry(), report) is not None, report.problems
    assert report.warnings == []


@pytest.mark.parametrize(("page", "line"), COMMANDS)
def test_commands_fit_the_sample_network(page: str, line: str) -> None:
    name, *words = shlex.split(line.partition(" --")[0])
    given = dict(word.split("=", 1) for word in words)
    if name == "relock":
        loaded = parse(tutorial(), "relock.yaml", registry(), Report())
        assert loaded is not None
        assert given["cell"] in {cell.id for cell in NETWORK.cells_by_station[given["station"]]}
    else:
        loaded = Library.in_folder(ROOT / "playbooks", registry()).load(name)
    network = VIRTUAL if "function" in line or "pool" in line else NETWORK
    # A router is managed once its host key is known.
    parse_parameters(loaded.playbook.parameters, given, None if "router" in given else network)
