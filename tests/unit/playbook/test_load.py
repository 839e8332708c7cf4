"""Loading: every problem with its line; names that lead nowhere else."""

from __future__ import annotations

import re
from itertools import combinations
from pathlib import Path

import pytest

from controller.inventory.source import Report
from controller.models.errors import InputError, NotFoundError
from controller.playbook.actions.schema import COMMITTED, render_schema
from controller.playbook.actions.shipped import registry
from controller.playbook.language.library import Library, parse

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
            'targets: "*"',
            'targets: "*"\nguards:\n  windows:\n    - {days: [tue, any], start: "01:00", end: "5"}',
            "own.yaml:8: playbook.guards.windows[0].days[1] = 'any': ",
        ),
        (
            'targets: "*"',
            'targets: "*"\nguards:\n  windows: [{start: "03:00", end: "03:00"}]',
            "own.yaml:7: playbook.guards.windows[0].end = '03:00': must differ from start; for a whole day write two",
        ),
        (
            'targets: "*"',
            'targets: "*"\nguards:\n  windows: [{days: [], start: "03:00", end: "04:00"}]',
            "own.yaml:7: playbook.guards.windows[0].days: empty; at least one is needed",
        ),
        (
            "with: {cells",
            "with: {cell",
            "own.yaml:12: playbook.steps[1].with.cell: lock-cell has no such input; did you mean",
        ),
        (
            '["{{ cell }}"]',
            '["a b"]',
            "own.yaml:12: playbook.steps[1].with.cells[0]: not of the right form; Name of the cell",
        ),
        ('["{{ cell }}"]', "no-list", "with.cells = 'no-list': names in a list, or the word all"),
        (
            '    with: {cells: ["{{ cell }}"]}\n',
            "",
            "own.yaml:10: playbook.steps[1].with: lock-cell needs cells: Cells by",
        ),
        (
            "seen.cells_on_air",
            "seen.cells_on_ai",
            "own.yaml:13: playbook.steps[1].when: seen has no cells_on_ai; did you mean",
        ),
        (
            "{{ cell }}",
            "{{ cel }}",
            "own.yaml:12: playbook.steps[1].with.cells: unknown name cel; did you mean 'cell'?",
        ),
        (
            "{{ cell }}",
            "{{ cell() }}",
            "own.yaml:12: playbook.steps[1].with.cells: functions and methods can't be called in expressions; there",
        ),
        (
            "action: read-state",
            'action: wait-until\n    with: {condition: reachable, seconds: "{{ cell * 3600 }}"}',
            "own.yaml:9: playbook.steps[0].with.seconds: expressions only add (+) and subtract (-), there is no *",
        ),
        (
            '["{{ cell }}"]',
            "\"{{ seen.cells | map(attribute='cell') }}\"",
            "playbook.steps[1].with.cells: there is no filter 'map'; lists of names come from steps, as in seen.dark",
        ),
        *(
            (
                "action: read-state",
                f"action: read-state\n    {field}: 3",
                f"own.yaml:9: playbook.steps[0].{field}: {said}",
            )
            for field, said in (
                ("loop", "no such field; a step runs once on each device; its inputs name several objects"),
                ("with_items", "no such field; a step runs once on each device; its inputs name several objects"),
                ("until", "no such field; checks, as in"),
                ("delay", "no such field; retry_seconds is the time between two tries"),
                ("ignore_errors", "no such field; a step that fails ends the job, and what was done is undone"),
            )
        ),
        *(
            ('targets: "*"', f'targets: "*"\n{field}: 3', f"own.yaml:6: playbook.{field}: no such field; {said}")
            for field, said in (
                ("hosts", "targets is the selector of the devices, as in region=cusco"),
                ("tasks", "steps is the list of what is done"),
                ("vars", "parameters are the values that a person gives"),
                ("mode", "rules have modes: minka rules promote lets a rule act"),
            )
        ),
        (
            "steps:\n",
            "steps:\n  {% for one in cells %}\n",
            "cannot start any token; there are no blocks {% %}, so neither loops nor includes",
        ),
        ('"{{ seen.cells_on_air > 1 }}"', "yes", "own.yaml:13: playbook.steps[1].when = 'yes': must be one expression"),
        (
            "{{ seen.cells_on_air > 1 }}",
            "not {{ seen.cells_on_air > 1 }}",
            "own.yaml:13: playbook.steps[1].when = 'not {{ seen.cells_on_air > 1 }}': must be one expression",
        ),
        (
            "action: read-state",
            "action: ask-a-human\n    with: {text: Well?, default: perhaps}",
            "own.yaml:9: playbook.steps[0].with: the default is not one of the choices",
        ),
        ('targets: "*"', 'targets: "*"\nstrategy: {soak: 604801}', "soak = '604801': from 0 to 604800 seconds, or an"),
        (
            'targets: "*"',
            'targets: "*"\nstrategy: {soak: 10m}',
            "soak = '10m': must be seconds from 0 to 604800, or one",
        ),
        (
            'when: "{{ seen.cells_on_air > 1 }}"',
            "when: {{ seen }}",
            'a text with {{ … }} needs quotes, as in "{{ cell }}"',
        ),
        ('["{{ cell }}"]', "[{{ cell }}]", 'a text with {{ … }} needs quotes, as in "{{ cell }}"'),
        (
            "    action: lock-cell\n    with: {cells",
            "    action: remove-nodes\n    undo: {action: notify, with: {text: x}}\n    with: {nodes",
            "playbook.steps[1].undo: remove-nodes is taken back by its own inverse",
        ),
        (
            "action: read-state",
            "action: download-software\n    with: {url: 'sftp://ana:secret@10.0.0.1/images/a.zip'}",
            "own.yaml:9: playbook.steps[0].with.url: not of the right form; The file",
        ),
        ("action: read-state", "action: retire-station", "retire-station is not undone: it must be the last step"),
        (
            'targets: "*"',
            'targets: "region={{ cell }}"',
            "own.yaml:5: playbook.targets: cell may be any text, which",
        ),
        ("register: seen", "register: cell", "own.yaml:9: playbook.steps[0].register: the name cell is taken"),
        ("register: seen", "register: run", "the name run is taken"),
        ("register: seen", "timout: 3", "own.yaml:9: playbook.steps[0].timout: no such field; did you mean 'timeout'?"),
        ("with: {cells", "wiht: {cells", "own.yaml:12: playbook.steps[1].wiht: no such field; did you mean 'with'?"),
        (
            "type: string",
            "typ: string",
            "own.yaml:4: playbook.parameters.cell.typ: no such field; did you mean 'type'?",
        ),
        ("name: own", "name: My Own", "name = 'My Own': not of the right form; Lower-case words joined by hyphens"),
        (GOOD, "- a\n", "own.yaml:1: playbook: must be a mapping"),
        ("    action: read-state", "\t action: read-state", "own.yaml:8: not YAML: "),
        ("    action: read-state", "\t action: read-state", "; indent with blanks, not with tabs"),
        ('targets: "*"', "targets: regoin=cusco", "no such key: 'regoin'; did you mean 'region'?"),
        (
            "    register: seen\n",
            "    register: seen\n    register: seen\n",
            "own.yaml:10: the key 'register' is given twice",
        ),
        ("type: string", "type: text", "own.yaml:4: playbook.parameters.cell.type = 'text'"),
        ("type: string", "default: x, min: 3", "'x': too short: at least 3 characters"),
        ("name: lock\n", "name: look\n", "own.yaml:10: playbook.steps[1].name: another step has this name"),
        ("    when: ", "    timeout: 3\n    when: ", "has no timeout of its own"),
        ("action: lock-cell", "action: apply-intent", "apply-intent needs the section plan"),
        ('targets: "*"', 'targets: "{{ target.station }}"', "own.yaml:5: playbook.targets: unknown name target"),
        (
            'targets: "*"',
            'targets: "*"\nrouters: true\nplan: {}',
            "own.yaml:6: playbook.routers: a plan takes routers along",
        ),
        (
            'targets: "*"\nsteps:\n  - name: look\n    action: read-state\n',
            'targets: "router=*"\nsteps:\n  - name: look\n    action: check-software\n    with: {version: a}\n',
            "own.yaml:8: playbook.steps[0].action: check-software is for stations only, and the targets are routers",
        ),
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


def test_steps_that_are_wrong_are_not_said_to_be_missing() -> None:
    only = GOOD.partition("  - name: lock")[0].replace("register: seen", "retries: x")
    (said,) = problems(only)
    assert "playbook.steps[0].retries = 'x'" in said


def test_all_problems_at_once() -> None:
    bad = GOOD.replace("read-state", "read").replace("{{ cell }}", "{{ x }}").replace("seen.cells", "nope.cells")
    assert len(problems(bad)) == 3


def test_misspelt_fields_hide_no_other_mistake() -> None:
    bad = GOOD.replace("targets", "tagets").replace("register:", "regster:").replace("{{ cell }}", "{{ cel }}")
    bad = bad.replace("when:", "onlywhen:").replace("description: A playbook.", "description: A playbook.\nnothing: 1")
    assert [(one.split(": ")[1].split(" = ")[0], one.split(": ", 2)[2]) for one in problems(bad)] == [
        ("playbook.steps[0].regster", "no such field; did you mean 'register'?"),
        ("playbook.steps[1].onlywhen", problems(GOOD.replace("when:", "onlywhen:"))[0].split(": ", 2)[2]),
        ("playbook.nothing", problems(GOOD + "nothing: 1\n")[0].split(": ", 2)[2]),
        ("playbook.tagets", "no such field; did you mean 'targets'?"),
        ("playbook.steps[1].with.cells", "unknown name cel; did you mean 'cell'?"),
    ]
    read = GOOD.replace("register:", "regster:").replace("cells_on_air > 1", "cells_on_ai > 1")
    assert any("seen has no cells_on_ai" in one for one in problems(read)), "the misspelt field was read as it is meant"


@pytest.mark.parametrize(
    ("targets", "parameter", "wrong"),
    [
        ('"*"', "station", True),
        ('"{{ given }}"', "station", True),
        ('"region={{ given }},!PE-*"', "region", True),
        ('"{{ given }}"', "selector", False),
        ('"region=cusco,{{ given }}"', "selector", False),
        ('"router={{ given }}"', "router", False),
        ('"device=*"', "router", False),
        ('"*"\nrouters: true', "router", False),
    ],
)
def test_an_action_of_routers_fits_no_targets_that_are_stations(targets: str, parameter: str, wrong: bool) -> None:
    head = f"name: own\ndescription: A playbook.\nparameters:\n  given: {{type: {parameter}, description: Given.}}\n"
    said = problems(f"{head}targets: {targets}\nsteps:\n  - {{name: switch, action: switch-router-path}}\n")
    assert any("switch-router-path is for routers only, and the targets are stations" in one for one in said) is wrong


@pytest.mark.parametrize("wrong", ["{{ }}", "{{", "{{ 'a'*10**9 }}", "{{ (1).__class__ }}", "{{ 1e400 }}"])
@pytest.mark.parametrize("targets", ["X", "region=cusco,X", "region=X"])
def test_a_wrong_expression_in_the_targets_has_its_line_and_hides_nothing(targets: str, wrong: str) -> None:
    text = GOOD.replace('targets: "*"', f'targets: "{targets.replace("X", wrong)}"').replace("read-state", "read-stat")
    own, other = problems(text)
    assert own.startswith("own.yaml:5: playbook.targets: ")
    assert other.startswith("own.yaml:8: playbook.steps[0].action = 'read-stat': no such action")


def test_a_comma_inside_of_an_expression_ends_no_condition_of_the_targets() -> None:
    targets = "targets: \"region={{ 'cusco,' | trim }},{{ 'rat=NR,' | trim }}\""
    assert problems(GOOD.replace('targets: "*"', targets)) == []


def test_without_readable_parameters_no_name_is_called_unknown() -> None:
    section = WHOLE[WHOLE.index("parameters:") : WHOLE.index("targets:")]
    bad = WHOLE.replace(section, "parameters: [cell, number]\n").replace("check-cells-on-air", "check-cells-on-ai")
    form, action = problems(bad)
    assert form == "own.yaml:3: playbook.parameters: must be a mapping"
    assert "no such action" in action


def test_a_wrong_form_hides_no_wrong_action_or_input() -> None:
    bad = GOOD.replace("read-state", "read").replace('["{{ cell }}"]', "5").replace("string", "text")
    bad += "  - {name: back, action: read-state, undo: {action: lock-cel}, retries: x}\n  - {name: odd, action: [a]}\n"
    said = problems(bad)
    assert [one.split(": ")[1].split(" = ")[0] for one in said] == [
        "playbook.parameters.cell.type",
        "playbook.steps[2].retries",
        "playbook.steps[3].action",
        "playbook.steps[0].action",
        "playbook.steps[1].with.cells",
        "playbook.steps[2].undo.action",
    ]


#: A playbook with many fields, and mistakes in it that have nothing to do with each other.
WHOLE = """name: own
description: A playbook.
parameters:
  cell: {type: string, description: A cell., max: 9}
  number: {type: int, description: A number.}
targets: "rat=LTE"
strategy: {canary: 1, soak: 60, last: "rat=NR"}
guards: {max_stations: 5}
plan: {source: network, expect_stations: "{{ number }}"}
steps:
  - name: look
    action: read-state
    register: seen
  - name: apply
    action: apply-intent
  - name: lock
    action: lock-cell
    with: {cells: ["{{ cell }}"]}
    when: "{{ seen.cells_on_air > 1 }}"
    retries: 1
    register: locked
    undo: {action: unlock-cell, with: {cells: "{{ locked.cells }}"}}
  - name: wait
    action: wait-until
    with: {condition: cells-locked, cells: [L1], seconds: 60}
    checks: ["{{ output.seconds < 60 }}"]
soak_checks:
  - name: on air
    action: check-cells-on-air
    with: {cells: [L2]}
"""
APART = [
    ("description: A playbook.", "descripton: A playbook."),
    ("type: string", "type: text"),
    ("description: A number.", "default: many, description: A number."),
    ('targets: "rat=LTE"', 'targets: "rat=5G"'),
    ("canary: 1", "canary: many"),
    ('last: "rat=NR"', 'last: "!*"'),
    ("max_stations: 5", "max_stations: 0"),
    ("{{ number }}", "{{ nmber }}"),
    ("action: apply-intent", "action: apply-intnt"),
    ("seen.cells_on_air > 1", "seen.cells_on_ai > 1"),
    ("retries: 1", "retries: many"),
    ("action: unlock-cell", "action: unlock-cel"),
    ("locked.cells }}", "locked.cel }}"),
    ("condition: cells-locked", "condition: cells-lockd"),
    ("cells: [L1]", "cells: [true]"),
    ("output.seconds < 60", "output.seconds == 'x'"),
    ("cells: [L2]", "cels: [L2]"),
    ("name: on air\n    action: check-cells-on-air", "action: check-cells-on-air"),
]


def _said(*mistakes: tuple[str, str]) -> set[str]:
    """Problems without their lines."""
    text = WHOLE
    for old, new in mistakes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return {one.split(":", 2)[2] for one in problems(text)}


def test_mistakes_that_have_nothing_to_do_with_each_other_come_in_one_pass() -> None:
    assert _said() == set()
    alone = {mistake: _said(mistake) for mistake in APART}
    assert all(alone.values())
    for one, other in combinations(APART, 2):
        assert alone[one] | alone[other] == _said(one, other), (one, other)
    assert _said(*APART) == set().union(*alone.values())


def test_of_a_secret_of_an_action_that_there_is_not_nothing_else_is_said() -> None:
    secret = GOOD.replace("{type: string, description: A cell.}", "{secret: true, description: A cell.}")
    (said,) = problems(secret.replace("lock-cell", "lock-cel").replace('["{{ cell }}"]', '"{{ cell }}"'))
    assert "no such action" in said


def test_keys_that_are_given_twice_hide_no_other_mistake() -> None:
    said = problems(GOOD.replace("name: own", "name: own\nname: other").replace("{{ cell }}", "{{ cel }}"))
    assert len(said) == 2
    assert "the key 'name' is given twice" in said[0]
    assert "unknown name cel" in said[1]


def test_a_playbook_that_is_too_large_is_refused_with_the_limit(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(GOOD + "#" * 300_000)
    with pytest.raises(InputError, match=r"own.yaml:14: the file is larger than 256 kB; write it shorter"):
        Library.in_folder(tmp_path, registry()).load("own")


def test_a_name_that_is_nearly_right_is_suggested(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(GOOD)
    with pytest.raises(NotFoundError, match=r"there is no playbook 'owm'; did you mean 'own'\?"):
        Library.in_folder(tmp_path, registry()).load("owm")
    with pytest.raises(NotFoundError, match=r"no playbook 'relock'; .* minka definitions load puts files in force"):
        Library({"own.yaml": GOOD}, registry(), in_force=True).load("relock")


@pytest.mark.parametrize("name", ["../secret", "..", "", "a/b", "own\0", "own.yaml", "ówn", "ｏwn", "own\n"])
def test_names_lead_nowhere_else(tmp_path: Path, name: str) -> None:
    (tmp_path / "secret.yaml").write_text(GOOD.replace("own", "secret"))
    folder = tmp_path / "playbooks"
    folder.mkdir()
    (folder / "own.yaml").write_text(GOOD)
    library = Library.in_folder(folder, registry())
    assert library.names() == ("own",)
    with pytest.raises(NotFoundError, match="there is no playbook"):
        library.load(name)


def test_links_lead_to_files_of_the_folder_only(tmp_path: Path) -> None:
    (tmp_path / "secret.yaml").write_text(GOOD.replace("own", "secret"))
    folder = tmp_path / "playbooks"
    (folder / "..data").mkdir(parents=True)
    (folder / "..data" / "own.yaml").write_text(GOOD)
    (folder / "own.yaml").symlink_to(folder / "..data" / "own.yaml")  # as Kubernetes mounts a ConfigMap
    (folder / "link.yaml").symlink_to(tmp_path / "secret.yaml")
    (folder / "folder.yaml").mkdir()
    library = Library.in_folder(folder, registry())
    assert library.load("own").text == GOOD
    with pytest.raises(InputError, match=r"link.yaml: the link leads out of the folder; put the file itself there"):
        library.load("link")
    with pytest.raises(InputError, match=r"folder.yaml: cannot be read: it is not a regular file"):
        library.load("folder")


def test_a_file_is_called_as_its_playbook(tmp_path: Path) -> None:
    path = tmp_path / "other.yaml"
    said = "other.yaml:2: playbook.name = 'own': not as its file; 'other', or call the file own.yaml"
    for text, more in ((GOOD, ""), (GOOD.replace("action: read-state", "action: read-stat"), "no such action")):
        path.write_text(f"# Locks.\n{text}")
        with pytest.raises(InputError, match=re.escape(said)) as caught:
            Library.in_folder(tmp_path, registry()).load("other")
        assert more in str(caught.value), "all is told at once"
    path.write_text(GOOD.replace("name: own", "name: My Own"))
    with pytest.raises(InputError) as caught:
        Library.in_folder(tmp_path, registry()).load("other")
    assert str(caught.value).count("playbook.name") == 1, "one that is no name is told once"


def test_the_shipped_ones_are_right() -> None:
    report = Report()
    files = {path.stem for path in (ROOT / "playbooks").glob("*.yaml")}
    assert {one.playbook.name for one in Library.in_folder(ROOT / "playbooks", registry()).all(report)} == files
    assert report.problems == []


def test_the_committed_schema_is_current() -> None:
    assert COMMITTED.read_text(encoding="utf-8") == render_schema(), "run: python -m controller.playbook.actions.schema"
