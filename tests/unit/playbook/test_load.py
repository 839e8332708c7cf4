"""Loading: every problem with its line; names that lead nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.inventory.source import Report
from controller.models.errors import InputError, NotFoundError
from controller.playbook.actions import registry
from controller.playbook.load import Library, parse
from controller.playbook.schema import COMMITTED, render_schema

ROOT = Path(__file__).parents[3]
GOOD = """name: own
description: A playbook.
parameters:
  cell: {type: string, description: A cell.}
targets: "*"
steps:
  - name: look
    action: read-state
    register: seen
  - name: lock
    action: lock-cell
    with: {cells: ["{{ cell }}"]}
    when: "{{ seen.cells_on_air > 1 }}"
"""


def problems(text: str) -> list[str]:
    report = Report()
    parse(text, "own.yaml", registry(), report)
    return [str(problem) for problem in report.problems]


def test_a_good_one() -> None:
    assert problems(GOOD) == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "action: read-state",
            "action: read-stat",
            "own.yaml:8: playbook.steps[0].action = 'read-stat': no such action; did",
        ),
        (
            "with: {cells",
            "with: {cell",
            "own.yaml:12: playbook.steps[1].with.cell: lock-cell has no such input; did you mean",
        ),
        ('["{{ cell }}"]', '["a b"]', "own.yaml:12: playbook.steps[1].with.cells: "),
        ('["{{ cell }}"]', "no-list", "own.yaml:12: playbook.steps[1].with.cells = 'no-list': "),
        (
            "seen.cells_on_air",
            "seen.cells_on_ai",
            "own.yaml:13: playbook.steps[1].when: seen has no cells_on_ai; did you mean",
        ),
        (
            "{{ cell }}",
            "{{ cel }}",
            "own.yaml:12: playbook.steps[1].with.cells: nothing is called cel; did you mean 'cell'?",
        ),
        ("{{ cell }}", "{{ cell() }}", "call is not allowed"),
        ('"{{ seen.cells_on_air > 1 }}"', "yes", "own.yaml:13: playbook.steps[1].when = 'yes': must be an expression"),
        ("register: seen", "register: cell", "own.yaml:9: playbook.steps[0].register: the name cell is taken"),
        ("register: seen", "register: run", "the name run is taken"),
        ("register: seen", "timout: 3", "own.yaml:9: playbook.steps[0].timout: no such field"),
        (
            "    register: seen\n",
            "    register: seen\n    register: seen\n",
            "own.yaml:10: the key 'register' is given twice",
        ),
        ("type: string", "type: text", "own.yaml:4: playbook.parameters.cell.type = 'text'"),
        ("type: string", "default: x, min: 3", "'x': too small: at least 3"),
        ("name: lock\n", "name: look\n", "own.yaml:10: playbook.steps[1].name: another step has this name"),
        ("    when: ", "    timeout: 3\n    when: ", "has no timeout of its own"),
        ("action: lock-cell", "action: apply-intent", "apply-intent needs the section plan"),
        ('targets: "*"', 'targets: "{{ target.station }}"', "own.yaml:5: playbook.targets: nothing is called target"),
        ('targets: "*"', 'targets: "*"\nplan: {}', "own.yaml:6: playbook.plan: a plan is of no use"),
        ("  cell: {", "  output: {", "output is a name of the language"),
        ("name: own", "name: apply", "a built-in procedure has this name"),
        ("description: A playbook.", "description: &a A playbook.", "anchors (&a) are not supported"),
        ("description: A playbook.", "description: *a", "aliases (*a) are not supported"),
    ],
)
def test_problems(old: str, new: str, said: str) -> None:
    assert old in GOOD
    found = problems(GOOD.replace(old, new))
    assert any(said in one for one in found), found


def test_all_problems_at_once() -> None:
    bad = GOOD.replace("read-state", "read").replace("{{ cell }}", "{{ x }}").replace("seen.cells", "nope.cells")
    assert len(problems(bad)) == 3


@pytest.mark.parametrize(
    "name", ["../secret", "..", "", "a/b", "own\0", "own.yaml", "ówn", "ｏwn", "own\n", "link", "folder"]
)
def test_names_lead_nowhere_else(tmp_path: Path, name: str) -> None:
    (tmp_path / "secret.yaml").write_text(GOOD.replace("own", "secret"))
    folder = tmp_path / "playbooks"
    (folder / "folder.yaml").mkdir(parents=True)
    (folder / "own.yaml").write_text(GOOD)
    (folder / "link.yaml").symlink_to(tmp_path / "secret.yaml")
    library = Library(folder, registry())
    assert library.names() == ("own",)
    with pytest.raises(NotFoundError, match="there is no playbook"):
        library.load(name)


def test_a_file_is_called_as_its_playbook(tmp_path: Path) -> None:
    (tmp_path / "other.yaml").write_text(GOOD)
    with pytest.raises(InputError, match="not as its file"):
        Library(tmp_path, registry()).load("other")


def test_the_shipped_ones_are_right() -> None:
    report = Report()
    files = {path.stem for path in (ROOT / "playbooks").glob("*.yaml")}
    assert {one.playbook.name for one in Library(ROOT / "playbooks", registry()).all(report)} == files
    assert report.problems == []


def test_the_committed_schema_is_current() -> None:
    assert COMMITTED.read_text(encoding="utf-8") == render_schema(), "run: python -m controller.playbook.schema"
