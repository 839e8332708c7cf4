"""What the chaos tests share: something to change, and what must be true afterwards."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from controller.models.plan import Plan
from controller.models.run import JournalEntry, JournalStep, Outcome, Run, RunState
from tests.chaos.conftest import TINY
from tests.support.process_system import ProcessSystem

STATION = "T-LTE-2"
#: Causes of a change of running by which a station takes our own change back.
TAKEN_BACK = ("timeout", "cancel", "restart", "disconnect")
_shares = itertools.count(1)
_AGREEMENTS = (TINY / "agreements.yaml").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Attempt:
    """A run under way, and how often its stations' running had changed before."""

    run: str
    plan: Plan
    before: dict[str, int]
    ledger: dict[str, frozenset[str]]


def change(system: ProcessSystem, selector: str = STATION) -> Plan:
    """A plan of something new for the selected stations."""
    share = 21 + next(_shares) % 30
    system.load(TINY, agreements_yaml=_AGREEMENTS.replace("min: 20", f"min: {share}"))
    plan = system.plan(selector)
    assert plan.changes
    return plan


def begin(
    system: ProcessSystem, plan: Plan, just_before: Callable[[], object] = lambda: None, /, **strategy: int | str
) -> Attempt:
    """Apply it.

    Args:
        just_before: Is done right before the request.
        strategy: Of the run.
    """
    stations = [each.station for each in plan.changes]
    before = {station: len(system.changes(station)) for station in stations}
    ledger = {station: frozenset(entries) for station, entries in system.store.ledger.find(stations).items()}
    just_before()
    return Attempt(system.apply(plan, **{"canary": 0, **strategy}), plan, before, ledger)


def reached(system: ProcessSystem, attempt: Attempt, step: JournalStep, station: str = STATION) -> list[JournalEntry]:
    """Wait until the journal of a station holds a step."""

    def rows() -> list[JournalEntry]:
        found = system.journal(attempt.run, station)
        return found if any(row.step is step for row in found) else []

    return list(system.until(f"{step} is on record", rows))


@contextmanager
def held(system: ProcessSystem, plan: Plan) -> Iterator[Attempt]:
    """Apply it, and hold the station between commit and confirm: a core link is down, so its checks wait."""
    system.fault(STATION, "delay", "get", seconds=2, count=3)
    attempt = begin(system, plan)
    reached(system, attempt, JournalStep.COMMITTING)
    system.until("it is committed", lambda: system.changes(STATION, attempt.before[STATION]) == ["confirmed-commit"])
    link = {"link": next(wait.tenant for wait in plan.changes[0].checks if wait.kind == "link-up")}
    system.control.post(f"/stations/{STATION}/links/break", json=link).raise_for_status()
    try:
        reached(system, attempt, JournalStep.PREPARED)
        yield attempt
    finally:
        system.control.post(f"/stations/{STATION}/links/restore", json=link).raise_for_status()


def assert_right(system: ProcessSystem, attempt: Attempt, *, effects: bool = True) -> Run:
    """The run ended once; each device has one effect or none; record, ledger and device agree; nothing is left.

    Args:
        effects: Whether every change has succeeded, or none of them.
    """
    ended = system.ended(attempt.run)
    system.assert_recorded(attempt.run)
    for each in attempt.plan.changes:
        outcome = system.job(attempt.run, each.station).outcome
        assert outcome is not None
        assert outcome.good is effects, (outcome, system.job(attempt.run, each.station).detail)
        assert_one_effect(system.changes(each.station, attempt.before[each.station]), len(each.phases), effects)
        system.assert_agree(each.station)
        ledger = frozenset(system.store.ledger.find([each.station])[each.station])
        gained = frozenset(node.path for node in each.gained)
        assert ledger == (attempt.ledger[each.station] | gained if effects else attempt.ledger[each.station])
    again = system.plan(attempt.plan.selector)
    assert again.is_empty if effects else again.changes == attempt.plan.changes
    return ended


def assert_one_effect(causes: Sequence[str], phases: int, effects: bool) -> None:
    """What stood in the end was changed once: whatever came before was taken back whole."""
    standing = 0
    for cause in causes:
        standing = 0 if cause in TAKEN_BACK else standing + 1
    assert standing == (phases if effects else 0), causes


def assert_failed(system: ProcessSystem, attempt: Attempt, *outcomes: Outcome) -> None:
    """It failed, safely and as expected."""
    ended = assert_right(system, attempt, effects=False)
    assert ended.state in (RunState.FAILED, RunState.STOPPED)
    assert system.job(attempt.run, attempt.plan.changes[0].station).outcome in outcomes
