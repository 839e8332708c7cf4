"""How late the last outage of a playbook may begin, since steps before it may wait."""

from __future__ import annotations

from typing import Any

import pytest

from controller.inventory.source import Report
from controller.models.plan import Change
from controller.playbook.actions.shipped import registry
from controller.playbook.language.endings import late_step
from controller.playbook.language.library import parse
from controller.runs.approval.outlook import LateStep
from tests.unit.playbook.test_takeover import APPLY, HEAD, LOCK, LOOK, PLANNED
from tests.unit.playbook.test_undoing import UNLOCK
from tests.unit.playbook.test_waiting import ASK
from tests.unit.runs.test_consent import THREE, TWO, change, retuned

WAIT = "  - {name: wait, action: wait-until, with: {condition: reachable, seconds: 60}, retries: 2, retry_seconds: 5}\n"
OTHER = "  - {name: other, action: lock-cell, with: {cells: ['N1']}}\n"
UNKNOWN = ASK.replace("seconds: 1000", "seconds: '{{ locked.cells | length }}'")


def late(steps: str, planned: Change | None = None, **names: Any) -> LateStep | None:
    loaded = parse((PLANNED if APPLY in steps else HEAD) + steps, "own.yaml", registry(), report := Report())
    assert loaded is not None, report.problems
    return late_step(loaded.playbook, registry(), names, planned)


@pytest.mark.parametrize(
    ("steps", "found"),
    [
        (LOCK + OTHER, None),
        (LOCK + LOOK + OTHER + ASK, None),  # nothing interrupts after the wait
        (LOCK + ASK + UNLOCK, None),
        (ASK + LOOK, None),
        (ASK + LOCK, LateStep("lock", ("ask",), 1000)),
        (LOCK + ASK + OTHER + UNLOCK, LateStep("other", ("ask",), 1000)),
        (ASK + LOCK + ASK.replace("ask,", "again,", 1) + OTHER, LateStep("other", ("ask", "again"), 2000)),
        (LOCK + WAIT + OTHER, LateStep("other", ("wait",), 190)),
        (LOCK + UNKNOWN + OTHER, LateStep("other", ("ask",), None)),
        (ASK + LOCK.replace("register: locked", "when: '{{ 1 == 2 }}'"), None),  # it is skipped for certain
    ],
)
def test_the_last_step_that_interrupts_comes_after_all_waits_before_it(steps: str, found: LateStep | None) -> None:
    assert late(steps) == found


def test_what_a_plan_interrupts_is_known_by_its_change() -> None:
    assert late(ASK + APPLY, change(THREE, retuned(THREE))) == LateStep("apply", ("ask",), 1000)
    assert late(ASK + APPLY, change(TWO, THREE)) is None
    assert late(ASK + APPLY) is None
