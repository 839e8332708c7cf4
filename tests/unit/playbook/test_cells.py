"""Which cells a step is about: those that are named, or all where that is said. An empty list names none."""

from __future__ import annotations

from typing import Annotated

import pytest

from controller.inventory.source import Report
from controller.models.network import CellId, Noun
from controller.models.run import Outcome
from controller.playbook.actions.shipped import registry
from controller.playbook.language.library import parse
from controller.playbook.language.registry import CellNames, Context, DeviceAccess, Registry, Within, action
from tests.unit.playbook.test_takeover import HEAD, LOCK, PlaybookBench

AGAIN = "  - {name: again, action: lock-cell, with: {cells: ['L1']}, register: again}\n"
UNLOCK = "  - {name: unlock, action: unlock-cell, with: {cells: '{{ again.cells }}'}}\n"


async def test_an_earlier_step_that_changed_no_cell_names_none() -> None:
    bench = PlaybookBench(LOCK + AGAIN + UNLOCK)
    assert (await bench.work()).outcome is Outcome.SUCCEEDED
    assert [row.outcome for row in bench.rows()] == [Outcome.SUCCEEDED, Outcome.UNCHANGED, Outcome.UNCHANGED]
    assert bench.lock == "LOCKED", "it unlocked a cell that no step had named"


async def test_all_cells_are_meant_where_that_is_said() -> None:
    bench = PlaybookBench("  - {name: lock, action: lock-cell, with: {cells: all}}\n")
    assert (await bench.work()).outcome is Outcome.SUCCEEDED
    (row,) = bench.rows()
    assert sorted(row.output["cells"]) == ["L1", "N1"]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (
            "condition: links-up, cells: [L1]",
            "cells: links-up waits for no cells: name core links by endpoints or tenant",
        ),
        (
            "condition: links-up, cells: []",
            "cells: links-up waits for no cells: name core links by endpoints or tenant",
        ),
        ("condition: reachable, cells: [L1]", "cells: reachable waits for no cells: leave it out"),
        ("condition: cells-on-air, endpoints: [x]", "endpoints: cells-on-air waits for no core links: name cells"),
        ("condition: cells-locked, tenant: alfa", "tenant: cells-locked waits for no core links: name cells"),
        ("condition: reachable, endpoints: [x]", "endpoints: reachable waits for no core links: leave it out"),
    ],
)
def test_a_wait_is_refused_for_what_its_condition_is_not_about_instead_of_waiting_for_all(
    given: str, words: str
) -> None:
    report = Report()
    step = f"  - {{name: look, action: wait-until, with: {{{given}}}}}\n"
    assert parse(HEAD + step, "own.yaml", registry(), report) is None
    assert [one.message for one in report.problems] == [words]


async def test_a_wait_whose_names_are_known_late_is_refused_then() -> None:
    late = "'{{ target.cells }}'"
    bench = PlaybookBench(
        f"  - {{name: look, action: wait-until, with: {{condition: links-up, seconds: 1, cells: {late}}}}}\n"
    )
    result = await bench.work()
    assert result.outcome is Outcome.FAILED_SAFE
    assert "cells: links-up waits for no cells" in result.detail


@pytest.mark.parametrize(
    "look",
    [
        "check-cells-on-air, with: {cells: []}",
        "wait-until, with: {condition: cells-on-air, cells: []}",
        "wait-until, with: {condition: cells-locked, cells: []}",
        "wait-until, with: {condition: links-up, endpoints: []}",
    ],
)
async def test_a_check_of_an_empty_list_says_that_nothing_was_checked(look: str) -> None:
    bench = PlaybookBench(f"{LOCK}  - {{name: look, action: {look}}}\n")
    result = await bench.work()
    assert result.outcome is Outcome.SUCCEEDED, result.detail
    assert "look: nothing was checked, since the list of names is empty" in result.detail


async def test_a_station_to_which_no_step_applies_is_skipped_and_one_that_carries_it_is_unchanged() -> None:
    never = LOCK.replace("register: locked}", "when: '{{ target.router }}'}")
    bench = PlaybookBench(never)
    result = await bench.work()
    assert (result.outcome, result.outcome and result.outcome.good) == (Outcome.SKIPPED, True)
    assert result.detail == "no step that changes a device applies (when: {{ target.router }})"
    bench = PlaybookBench("  - {name: unlock, action: unlock-cell, with: {cells: all}}\n" + never)
    result = await bench.work()
    assert (result.outcome, result.detail) == (Outcome.UNCHANGED, "the device carries this already")


async def test_an_expression_that_can_not_be_evaluated_is_a_failure_that_changed_nothing() -> None:
    bench = PlaybookBench("  - {name: lock, action: lock-cell, with: {cells: ['{{ target.cells[7] }}']}}\n")
    result = await bench.work()
    assert result.outcome is Outcome.FAILED_SAFE
    assert "step 'lock': " in result.detail
    assert bench.lock == "UNLOCKED"


class Claimed(Noun):
    """Cells that an action says to have looked at."""

    cells: Annotated[tuple[CellId, ...], Within("cells")]


@action("look-elsewhere", DeviceAccess.READS)
async def look_elsewhere(context: Context, given: CellNames) -> Claimed:
    """Name a cell that nobody asked for."""
    return Claimed(cells=("N1",))


async def test_an_action_that_names_cells_beyond_its_bound_fails_before_a_step_acts_on_them() -> None:
    """Tenants were asked by the bound, and what undoes a step is not judged again."""
    actions = Registry({**registry().actions, "look-elsewhere": look_elsewhere})
    look = "  - {name: look, action: look-elsewhere, with: {cells: [L1]}, register: seen}\n"
    lock = "  - {name: lock, action: lock-cell, with: {cells: '{{ seen.cells }}'}}\n"
    bench = PlaybookBench(look + lock, actions)
    result = await bench.work()
    assert result.outcome is Outcome.REFUSED
    assert result.detail == "step 'look': the action names N1 as cells, which its input cells does not"
    assert bench.lock == "UNLOCKED"
