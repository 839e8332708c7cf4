"""``minka playbook check`` finds values of the wrong type before a run, and speaks our words only."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest
from pydantic_core.core_schema import ErrorType

from controller.inventory.explain import explain
from controller.inventory.selectors import parse_selector
from controller.inventory.source import Report
from controller.models.errors import InputError
from controller.playbook.actions.shipped import registry
from controller.playbook.language.library import Library, parse

HEAD = (
    "name: own\ndescription: x\ntargets: '{}'\nparameters:\n  n: {{type: int, description: x}}\n"
    "  yes: {{type: bool, description: x}}\n  t: {{type: string, description: x}}\n"
    "  r: {{type: region, description: x}}\nsteps:\n  - {{name: look, action: read-state, register: seen}}\n"
)


def problems(step: str, targets: str = "*", head: str = "") -> list[str]:
    """What is wrong with a playbook of a step that reads and this one, without its place."""
    report = Report()
    parse(head + HEAD.format(targets) + f"  - {{name: own, {step}}}\n", "own.yaml", registry(), report)
    return [str(problem) for problem in report.problems]


CELLS = "action: lock-cell, with: {cells: "


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (CELLS + "'{{ n }}'}", "with.cells: {{ n }} is a number; cells takes a list of texts or a text: Cells by"),
        (CELLS + "'{{ yes }}'}", "with.cells: {{ yes }} is true or false; cells takes a list of texts or a text"),
        (CELLS + "['{{ n }}']}", "with.cells: {{ n }} is a number; cells takes a text"),
        (CELLS + "['{{ seen.dark }}']}", "with.cells: {{ seen.dark }} is a list of texts; cells takes a text"),
        (CELLS + "'{{ seen.links_up }}'}", "{{ seen.links_up }} is a number; cells takes a list of texts"),
        (CELLS + "'{{ seen }}'}", "{{ seen }} is a mapping; cells takes a list of texts or a text"),
        (CELLS + "'{{ seen.cells }}'}", "{{ seen.cells }} is a list of other values; cells takes"),
        (CELLS + "'{{ [n] }}'}", "{{ [n] }} is a list of numbers; cells takes"),
        (CELLS + "'{{ n if yes else n }}'}", "{{ n if yes else n }} is a number; cells takes"),
        (CELLS + "'{{ seen.dark | length }}'}", "is a number; cells takes"),
        (CELLS + "'{{ seen.drak }}'}", "seen has no drak; did you mean 'dark'?"),
        (CELLS + "'{{ seen.cells[0].nam }}'}", "seen.cells[0] has no nam; it has cell, administrative_state"),
        (
            CELLS + "'{{ seen.cells.cell }}'}",
            "seen.cells is a list, which has no cell; an item first, as in seen.cells[0]",
        ),
        (CELLS + "'{{ seen.links_up.dark }}'}", "seen.links_up is a number, which has no dark"),
        (CELLS + "'{{ seen.links_up[0] }}'}", "seen.links_up is a number, which has no items"),
        (CELLS + "'{{ t.upper }}'}", "t is a text, which has no upper"),
        (CELLS + "'{{ target.cell }}'}", "target has no cell; did you mean 'cells'?"),
        (CELLS + "'{{ run.user }}'}", "run has no user"),
        (CELLS + "'{{ sen.dark }}'}", "unknown name sen; did you mean 'seen'?"),
        (
            "action: cycle-cell, with: {cell: '{{ seen.dark }}'}",
            "{{ seen.dark }} is a list of texts; cell takes a text",
        ),
        ("action: check-nodes, with: {nodes: '{{ seen.dark }}'}", "is a list of texts; nodes takes a number"),
        ("action: read-state, when: '{{ n > t }}'", "a number is neither less nor more than a text"),
        ("action: read-state, when: '{{ 1 < n <= seen.dark }}'", "a number is neither less nor more than a list"),
        ("action: read-state, when: '{{ t in n }}'", "nothing is in a number; a list, a text or a mapping"),
        ("action: read-state, when: '{{ n | length > 1 }}'", "n is a number, and length needs a list"),
        ("action: read-state, when: '{{ t + n == t }}'", "a text and a number can't be added; use ~ to join texts"),
        ("action: read-state, checks: ['{{ output.dark.cells }}']", "output.dark is a list, which has no cells"),
        (
            CELLS + "[N1]}, undo: {action: unlock-cell, with: {cells: '{{ n }}'}}",
            "undo.with.cells: {{ n }} is a number",
        ),
    ],
)
def test_a_value_that_can_not_be_right_is_named_with_what_would_be(step: str, said: str) -> None:
    (found,) = problems(step)
    assert found.startswith("own.yaml:11: playbook.steps[1]."), found
    assert said in found


@pytest.mark.parametrize(
    "step",
    [
        CELLS + "'{{ seen.dark }}'}",
        CELLS + "'{{ t }}'}",  # may be the word all
        CELLS + "['{{ t }}', '{{ seen.dark[0] }}', '{{ seen.cells[0].cell }}']}",
        CELLS + "'{{ target.cells if yes else seen.dark }}'}",
        CELLS + "'{{ seen.dark + [t] | sort }}'}",
        CELLS + "'{{ [] if yes else seen.dark }}'}",
        "action: check-nodes, with: {nodes: '{{ t }}'}",
        "action: wait-until, with: {condition: reachable, seconds: '{{ n }}'}",
        "action: cycle-cell, with: {cell: '{{ t }}', on_air: '{{ yes }}'}",
        "action: notify, with: {text: '{{ n }} of {{ seen.dark }}'}",
        "action: read-state, when: '{{ n > 1 and seen.dark != [] and t in seen.dark and t ~ n != run.id }}'",
        "action: read-state, when: '{{ (t | int) > n and (seen.dark | first | default(t)) == t }}'",
        "action: read-state, checks: ['{{ output.dark | length <= seen.dark | length }}']",
    ],
)
def test_what_can_be_right_is_taken(step: str) -> None:
    assert problems(step) == []


@pytest.mark.parametrize(
    ("targets", "said"),
    [
        (
            "region=cusco and",
            "selector 'region=cusco and': 'cusco and' has ' ' in it, which no name has: conditions are",
        ),
        ("region=cusco and rat=NR", "'cusco and rat=NR' has ' ' in it"),
        ("region=cusco rat=NR", "'cusco rat=NR' has ' ' in it"),
        ("region==cusco", "'=cusco' has '=' in it"),
        ("region=cusco;rat=NR", "'cusco;rat=NR' has ';' in it"),
        ("PE-CUS-014[67]", "'PE-CUS-014[67]' has '[' in it"),
        ("region=(cusco|puno)", "'(cusco' has '(' in it"),
        ("region={{ r }} and", "selector 'region={{ r }} and': '{{ r }} and' has ' ' in it"),
        ("region={{ r }},regoin=puno", "no such key: 'regoin'; did you mean 'region'?"),
        ("region={{ r }},", "a value is missing"),
    ],
)
def test_a_selector_that_is_none_is_refused_with_its_field_also_around_expressions(targets: str, said: str) -> None:
    (found,) = problems("action: read-state", targets)
    assert found.startswith("own.yaml:3: playbook.targets: ")
    assert said in found
    assert "conditions are joined by commas, values by |" in found or "has '" not in found


def test_selectors_that_expressions_complete_are_taken() -> None:
    for targets in ("{{ r }}", "region={{ r }}|puno,rat=NR", "site=PE-{{ n }}*", "!{{ r }},region={{ r }}"):
        assert problems("action: read-state", targets) == [], targets
    for good in ("PE-CUS-01*", "region=cusco|puno, !PE-CUS-0150", "band=n78", "pool=edge-1"):
        parse_selector(good)
    with pytest.raises(InputError, match=r"'a b' has ' ' in it, which no name has"):
        parse_selector("PE-*,a b")


def test_a_soak_that_is_no_number_is_refused() -> None:
    (found,) = problems("action: read-state", head="strategy: {soak: '{{ t | upper | list }}'}\n")
    assert "strategy.soak: {{ t | upper | list }} is a list; a number" in found


@pytest.mark.parametrize(
    ("step", "place", "said"),
    [
        ("action: wait-until, with: {condition: up}", "with.condition", "not one of the choices; "),
        ("action: wait-until, with: {condition: reachable, seconds: ten}", "with.seconds", "not a number"),
        ("action: wait-until, with: {condition: reachable, seconds: 0}", "with.seconds", "too small; more than 0"),
        (CELLS + "[a, {b: c}]}", "with.cells[1]", "must be text"),
        (CELLS + "[a, '-']}", "with.cells[1]", "not of the right form; Name of the cell within its station"),
        (CELLS + "N1}", "with.cells", "names in a list, or the word all"),
        ("action: ask-a-human, with: {text: '', choices: a}", "with.text", "too short; at least one character"),
        ("action: ask-a-human, with: {text: a, choices: a}", "with.choices", "must be a list"),
        ("action: ask-a-human, with: {text: a, default: b}", "with", "the default is not one of the choices"),
        (
            "action: notify, with: {text: a, to: [ana]}",
            "with.to[0]",
            "not of the right form; Recipients of e-mail, as in",
        ),
        ("action: read-state, retries: many", "retries", "not a whole number"),
        ("action: read-state, timeout: .inf", "timeout", ""),
        ("action: read-state, checks: all", "checks", "must be a list"),
    ],
)
def test_an_input_of_the_wrong_form_is_named_with_its_place_in_our_words(step: str, place: str, said: str) -> None:
    (found, *_) = problems(step)
    assert found.startswith(f"own.yaml:11: playbook.steps[1].{place}"), found
    assert said in found
    assert not {"Input", "String", "Value", "valid"}.intersection(found.split())


def test_pydantics_own_words_reach_nobody() -> None:
    context = dict.fromkeys(
        ("error", "max_length", "min_length", "gt", "ge", "lt", "le", "multiple_of", "decimal_places", "pattern"), 3
    ) | {"expected": "'a' or 'b'", "expected_schemes": "'https'"}
    for kind in get_args(ErrorType):
        error = {"type": kind, "loc": (), "input": "x", "msg": "Input should be of pydantic", "ctx": context}
        said = explain(error, {})  # type: ignore[arg-type]
        assert "Input should" not in " ".join(said), kind
        assert said[0], kind
    own = {"type": "selection", "loc": (), "input": "x", "msg": "names in a list, or the word all"}
    assert explain(own, {}) == (own["msg"], "")  # type: ignore[arg-type]


WHEN = 'action: read-state, when: "{{ %s }}"'


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ("t == 3", "a text never equals a number; texts stand in quotes, numbers do not"),
        ("3 != t", "a number never equals a text; texts stand in quotes"),
        ("n == 'x'", "a number never equals a text"),
        ("yes == 'true'", "true or false never equals a text; true and false stand without quotes"),
        ("seen.dark == ''", "a list of texts never equals a text"),
        ("n in ['a', 'b']", "a number is never in a list of texts"),
        ("3 in target.cells", "a number is never in a list of texts"),
        ("n in t", "a number is never in a text"),
        ("seen.cells[0].state == 'UP'", "it is never 'UP'; did you mean 'up'?"),
        ("seen.cells[0].state in ['up', 'gone']", "it is never 'gone'; it is one of down, unknown, up"),
    ],
)
def test_a_comparison_that_never_holds_or_always_does_is_refused(condition: str, said: str) -> None:
    (found,) = problems(WHEN % condition)
    assert found.startswith(f"own.yaml:11: playbook.steps[1].when: {said}")


@pytest.mark.parametrize(
    "undo",
    [
        "action: read-state",
        "action: check-alarms",
        "action: check-tenant-served, with: {tenant: bitel}",
    ],
)
def test_what_only_reads_undoes_no_change(undo: str) -> None:
    (found,) = problems(CELLS + f"[N1]}}, undo: {{{undo}}}")
    assert found.startswith("own.yaml:11: playbook.steps[1].undo.action: ")
    assert "only reads, and so undoes nothing; an action that changes the device" in found
    assert problems(CELLS + "[N1]}, undo: {action: unlock-cell, with: {cells: [N1]}}") == []
    assert problems(CELLS + "[N1]}, undo: {action: notify, with: {text: x}}") == [], "it calls somebody"
    (idle,) = problems(f"action: read-state, undo: {{{undo}}}")
    assert "only reads, and so undoes nothing; read-state changes no device: leave undo out" in idle


def test_the_word_all_in_a_list_is_no_name_of_a_cell() -> None:
    for given in ("[all]", "[N1, all]"):
        (found,) = problems(CELLS + given + "}")
        assert "with.cells" in found
        assert "names in a list, or the word all without a list" in found
    assert problems(CELLS + "all}") == []
    with pytest.raises(InputError, match="the word all without a list"):
        registry().action("lock-cell").check_inputs({"cells": ["all"]})


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        ("expect_stations: '-1'", "'-1' is not a number of devices"),
        ("expect_stations: many", "'many' is not a number of devices"),
        ("remove: bitel", "'bitel' does not name owner and number of nodes, as in bitel=102"),
        ("remove: bitel=3 entel=1 bitel=4", "'bitel=4': another number of nodes of bitel stands before it"),
    ],
)
def test_numbers_that_a_plan_can_never_have_are_refused(plan: str, said: str) -> None:
    def of(section: str) -> list[str]:
        return problems("action: apply-intent", head=f"plan: {{{section}}}\n")

    (found,) = of(plan)
    assert f"own.yaml:1: playbook.plan.{plan.partition(':')[0]}" in found
    assert said in found
    assert of("expect_stations: '{{ n }}', remove: 'bitel=3 bitel=3 entel=? host={{ n }}'") == []


QUESTION = "action: ask-a-human, with: {text: Go%s}, register: go, "


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ("go.answer", "go.answer is a text, which is neither true nor false; a comparison, as in go.answer == 'yes'"),
        ("not go.answer", "go.answer is a text, which is neither true nor false"),
        ("yes and go.answer", "go.answer is a text, which is neither true nor false"),
        ("go.answer == 'yes' or go.by", "go.by is a text, which is neither true nor false"),
        ("yes if yes else go.answer", "go.answer is a text, which is neither true nor false"),
        ("(1 if go.answer else 2) == 1", "go.answer is a text, which is neither true nor false"),
        ("n", "n is a number, which is neither true nor false; a comparison, as in n > 0"),
        ("seen.dark", "seen.dark is a list of texts, which is neither true nor false; a comparison, as in seen.dark |"),
        ("go.answer == 'Yes'", "it is never 'Yes'; did you mean 'yes'?"),
        ("go.answer != 'nein'", "it is never 'nein'; it is one of no, yes"),
        ("go.answer in ['yes', 'ja']", "it is never 'ja'; it is one of no, yes"),
    ],
)
def test_a_condition_is_true_or_false_and_an_answer_one_of_the_choices(condition: str, said: str) -> None:
    asked = QUESTION % "" + "undo: {action: notify, with: {text: x}}}\n  - {name: own2, "
    (found,) = problems(asked + WHEN % condition)
    assert found.startswith(f"own.yaml:12: playbook.steps[2].when: {said}")
    (found,) = problems(QUESTION % "" + f'checks: ["{{{{ {condition.replace("go.", "output.")} }}}}"]')
    assert found.startswith(f"own.yaml:11: playbook.steps[1].checks[0]: {said.replace('go.', 'output.')}")


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ("go", "go is a mapping, which is neither true nor false; a comparison, as in go.answer == 'yes'"),
        ("go | length > 0", "go has always as many members; a comparison, as in go.answer == 'yes'"),
    ],
)
def test_an_answer_as_a_whole_is_no_yes(condition: str, said: str) -> None:
    """A question has an output also where a person said no."""
    asked = QUESTION % "" + "undo: {action: notify, with: {text: x}}}\n  - {name: own2, "
    (found,) = problems(asked + WHEN % condition)
    assert said in found


@pytest.mark.parametrize(
    ("choices", "condition"),
    [
        ("", "go.answer == 'yes' and not yes"),
        (", choices: [go, stop]", "go.answer in ['go', 'stop']"),
        (", choices: []", "go.answer == 'anything'"),
        (", choices: ['{{ t }}']", "go.answer == 'anything'"),
        ("", "yes if n > 1 else go.answer == 'no'"),
    ],
)
def test_a_comparison_with_a_choice_is_taken_and_with_any_text_where_choices_are_not_known(
    choices: str, condition: str
) -> None:
    asked = QUESTION % choices + "undo: {action: notify, with: {text: x}}}\n  - {name: own2, "
    assert problems(asked + WHEN % condition) == []


@pytest.mark.parametrize(
    "condition",
    [
        "t == '3'",
        "n == 3.5",
        "t is none",
        "t == none",
        "seen.dark == []",
        "t in ['a', n ~ '']",
        "(t if yes else seen.cells[0].state) == 'any'",
        "(seen.cells[0].state | default('none')) == 'none'",
        "seen.cells[0].administrative_state == 'LOCKED'",
        "'UP' in [t, seen.cells[0].state]",
    ],
)
def test_a_comparison_that_may_hold_is_taken(condition: str) -> None:
    assert problems(WHEN % condition) == []


@pytest.mark.parametrize(
    ("step", "place", "said"),
    [
        (CELLS + "[3, true]}", "with.cells[1]", "is a truth value; cells: Cells by their names"),
        (CELLS + "[null]}", "with.cells[0]", "is nothing; cells: Cells by their names"),
        ("action: check-core-links, with: {tenant: false}", "with.tenant", "is a truth value; tenant: Only core links"),
        ("action: check-alarms, with: {ignore: [a, ~]}", "with.ignore[1]", "is nothing; ignore: Probable causes"),
    ],
)
def test_a_truth_value_or_nothing_is_the_name_of_nothing(step: str, place: str, said: str) -> None:
    (found,) = problems(step)
    assert found.startswith(f"own.yaml:11: playbook.steps[1].{place}: {said}")
    assert "stands in quotes" in found


def test_what_is_written_in_quotes_is_a_text() -> None:
    assert problems(CELLS + "['true', \"null\", 3]}") == []
    assert problems("action: check-alarms, with: {new: true}") == []


EQUIPMENT = "action: read-equipment, register: found}\n  - {name: own2, "


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ("found.power == 'Mains'", "it is never 'Mains'; did you mean 'MAINS'?"),
        ("found.power != 'grid'", "it is never 'grid'; it is one of BATTERY, MAINS"),
        ("found.licence in ['VALID', 'EXPIRED']", "it is never 'EXPIRED'; it is one of MISSING, VALID"),
        ("found.slots[0].status == 'valid'", "it is never 'valid'; did you mean 'VALID'?"),
        ("found.units[0].state == 'down'", "it is never 'down'; it is one of degraded, disabled, enabled"),
        ("found.units[0].kind == 'radio'", "it is never 'radio'; did you mean 'radio-unit'?"),
        ("seen.cells[0].administrative_state == 'Locked'", "it is never 'Locked'; did you mean 'LOCKED'?"),
        ("found.power", "found.power is a text, which is neither true nor false; a comparison, as in found.power == "),
    ],
)
def test_a_code_that_no_reading_has_is_refused(condition: str, said: str) -> None:
    (found,) = problems(EQUIPMENT + WHEN % condition)
    assert found.startswith(f"own.yaml:12: playbook.steps[2].when: {said}")


def test_codes_of_readings_are_taken_and_so_is_one_that_is_not_told() -> None:
    for good in ("found.power == 'BATTERY'", "found.power != ''", "found.units[0].kind in ['fan', 'pod']"):
        assert problems(EQUIPMENT + WHEN % good) == []


def test_a_reset_without_a_radio_unit_is_refused() -> None:
    said = "no radio unit is named: give unit, as in ru-1, or cell, one of its cells"
    for given in ("", ", with: {seconds: 60}", ", with: {unit: '', cell: ''}"):
        (found,) = problems("action: reset-radio-unit" + given)
        assert found == f"own.yaml:11: playbook.steps[1].with: {said}"
    for good in ("{unit: ru-1}", "{cell: L1}", "{unit: '{{ t }}'}", "{cell: '{{ seen.dark[0] }}'}"):
        assert problems(f"action: reset-radio-unit, with: {good}") == []
    with pytest.raises(InputError, match="no radio unit is named"):
        registry().action("reset-radio-unit").check_inputs({"unit": ""})


WORDS = "  - {name: w, action: ask-a-human, with: {text: W, choices: [%s]}, register: w}\n"


def checked(steps: str, parameters: str = "") -> tuple[list[str], list[str]]:
    """Problems and warnings of a playbook of these steps, whose first is on line 5 without parameters."""
    report = Report()
    head = f"name: own\ndescription: x\ntargets: '*'\n{parameters}steps:\n"
    parse(head + steps, "own.yaml", registry(), report)
    return [*map(str, report.problems)], [*map(str, report.warnings)]


LOCK_W = "  - {name: lock, action: lock-cell, with: {cells: '{{ w.answer }}'}, register: locked}\n"
UNLOCK = "  - {name: unlock, action: unlock-cell, with: {cells: '{{ locked.cells }}'}%s}\n"


@pytest.mark.parametrize(
    ("choices", "problem", "warning"),
    [
        ("L1", "{{ w.answer }} is never all; cells takes a list, or all, as in", ""),
        ("'all', L1", "", "{{ w.answer }} may be L1; cells takes a list, or all"),
        ("'all'", "", ""),
        ("", "", "{{ w.answer }} is a text, which is right only as the word all; cells takes a list, as in"),
    ],
)
def test_a_text_where_cells_are_all_or_a_list_is_named(choices: str, problem: str, warning: str) -> None:
    found, warned = checked(WORDS % choices + LOCK_W + UNLOCK % "")
    for said, lines in ((problem, found), (warning, warned)):
        assert len(lines) == bool(said), lines
        assert all(line.startswith(f"own.yaml:6: playbook.steps[1].with.cells: {said}") for line in lines), lines


def test_a_choice_that_no_word_of_an_input_is_can_only_fail() -> None:
    wait = "  - {name: wait, action: wait-until, with: {condition: '{{ w.answer }}', seconds: 9}}\n"
    assert checked(WORDS % "reachable, links-up" + wait) == ([], [])
    (found,), _ = checked(WORDS % "cells-lockd" + wait)
    assert "{{ w.answer }} is never cells-locked or cells-off-air or" in found
    assert "did you mean 'cells-locked'?" in found
    problem, (warned,) = checked(WORDS % "reachable, up" + wait)
    assert not problem
    assert "{{ w.answer }} may be up; condition takes cells-locked or" in warned


def test_a_parameter_that_nothing_uses_is_named() -> None:
    parameters = "parameters:\n  a: {type: string, description: x}\n  b: {type: int, description: x}\n"
    step = "  - {name: look, action: read-state, when: \"{{ a == 'x' }}\"}\n"
    assert checked(step, parameters) == (
        [],
        ['own.yaml:6: playbook.parameters.b: no step and no other field uses it; as in "{{ b }}"'],
    )
    for use in ("strategy: {soak: '{{ b }}'}\n", "plan: {expect_stations: '{{ b }}'}\n"):
        applied = step + "  - {name: apply, action: apply-intent}\n" * ("plan" in use)
        assert checked(applied + use, parameters) == ([], [])
    assert checked(step.replace("read-state", "read-stat"), parameters)[1] == [], "errors come first"


LOCKS = "  - {name: lock, action: lock-cell, with: {cells: [L1]}, register: locked%s}\n"
STAYS = "own.yaml:5: playbook.steps[0].action: its cells stay locked"


@pytest.mark.parametrize(
    ("steps", "warning"),
    [
        (LOCKS % "", "at the end: no later step unlocks them; if that is not meant: unlock-cell with the same cells "),
        (LOCKS.replace("lock-cell", "soft-lock-cell") % "", "at the end: no later step unlocks them"),
        (LOCKS % "" + UNLOCK % "", ""),
        (LOCKS % "" + UNLOCK % ", when: '{{ locked.changed }}'", ""),
        (LOCKS % "" + UNLOCK % ", when: '{{ target.virtual }}'", "where 'unlock' does not unlock them; if"),
        (LOCKS % ", when: '{{ target.virtual }}'" + UNLOCK % ", when: '{{ target.virtual }}'", ""),
        (LOCKS % "" + "  - {name: unlock, action: unlock-cell, with: {cells: [L2]}}\n", "where 'unlock' does not"),
        (LOCKS % "" + "  - {name: end, action: retire-station}\n", ""),
        ("  - {name: cycle, action: cycle-cell, with: {cell: L1}}\n", ""),
    ],
)
def test_cells_that_stay_locked_at_the_end_are_named(steps: str, warning: str) -> None:
    found, warned = checked(steps)
    assert found == []
    assert [line.startswith(f"{STAYS} {warning}") for line in warned] == [True] * bool(warning), warned


def test_of_the_shipped_playbooks_only_those_that_lock_for_good_are_warned_of() -> None:
    report = Report()
    list(Library.in_folder(Path(__file__).parents[3] / "playbooks", registry()).all(report))
    assert {one.file for one in report.warnings} == {"lock-cell.yaml", "soft-lock-cell.yaml", "migrate-tenant.yaml"}
