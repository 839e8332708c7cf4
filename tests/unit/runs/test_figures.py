"""The figures of the documentation are those of the code."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.models.run import TIMER_LAG
from controller.runs import loop, sweeper
from controller.runs.rollout.group_decisions import ROUNDS
from controller.runs.rollout.timers import confirm_budget
from controller.runs.transaction import completion, probe
from controller.runs.transaction.patience import Patience
from controller.runs.transaction.remote_links import STEADY

DOCS = Path(__file__).parents[3] / "docs"
EACH = (confirm_budget(50) - confirm_budget(0)) / 50
WORDS = {2: "twice", 3: "three times", 5: "five times"}


def times(number: int) -> str:
    return WORDS.get(number, f"{number} times")


@pytest.mark.parametrize(
    ("page", "said"),
    [
        (
            "explanation/runs",
            f"a timer leaves less than {confirm_budget(0):g} s, and {EACH:g} s a member",
        ),
        ("explanation/runs", f"or began {times(ROUNDS)} already"),
        ("explanation/runs", f"an empty confirmed commit of {probe._TIMERS[0]} s"),
        ("explanation/runs", f"A probe that takes more than {probe._TURN:g} s keeps nobody waiting"),
        ("explanation/runs", f"it is probed once more, with a timer of {probe._TIMERS[-1]} s"),
        ("explanation/runs", f"A worker trusts its leases for {loop.BELIEF:g} s after its last recorded heartbeat"),
        ("explanation/runs", f"a worker's counter stand still for {sweeper.DEAD_AFTER:g} s"),
        ("explanation/runs", f"of a longer pause between two rounds, {sweeper._GAP:g} s count"),
        ("explanation/runs", f"claimed {times(loop._MAX_ATTEMPTS)}, and ended its worker each time"),
        ("explanation/runs", f"start again ({times(Patience().beginnings)} at most)"),
        ("explanation/runs", f"its lock is tried for {Patience().busy:g} s"),
        ("explanation/runs", f"is tried until {Patience().unresolved:g} s after its deadline"),
        (
            "explanation/runs",
            f"is asked {times(completion._ASKS)}; then its timer has to run out, and {TIMER_LAG:g} s more",
        ),
        ("explanation/routers", f"and stay up for {STEADY:g};"),
        ("explanation/routers", f"up for {STEADY:g} seconds (or half of `check_timeout`"),
        ("guarantees", f"a dead worker {sweeper.DEAD_AFTER:g} s until others declare it dead"),
    ],
)
def test_the_documentation_tells_the_figures_of_the_code(page: str, said: str) -> None:
    assert said in " ".join((DOCS / f"{page}.md").read_text(encoding="utf-8").split())
