"""Which later jobs bring back what a job left in neither state."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from controller.models.plan import Change, Edit, Op, Phase, PhaseKind
from controller.models.run import LedgerBefore, Outcome
from controller.store import EndedJob
from controller.store.jobs.divergences import unresolved
from tests.unit.plan import samples
from tests.unit.runs.transaction_bench import change_primary, retune

RETUNE, RENAME = retune().change, change_primary().change


def job(number: int, outcome: Outcome, *changes: Change, unsure: tuple[Change, ...] = (), undoes: str = "") -> EndedJob:
    """One ended job of many on a station, a minute after the one before."""
    return EndedJob(
        run=f"r-{number}",
        procedure="apply",
        cause="person",
        job=f"r-{number}.0",
        station="S1",
        finished=samples.NOW + timedelta(minutes=number),
        outcome=outcome,
        changes=changes,
        before=LedgerBefore(),
        undoes=undoes,
        unsure=unsure,
    )


def switch(path: str, *states: str) -> Change:
    """A change that brings a cell into one administrative state after the other."""
    edits = [
        Edit(
            op=Op.MERGE,
            path=path,
            before={"administrativeState": was},
            after={"administrativeState": now},
            owners=("host",),
        )
        for was, now in zip(("UNLOCKED", *states), states, strict=False)
    ]
    phases = tuple(Phase(kind=PhaseKind.LOCK, edits=(edit,), inverse=()) for edit in edits)
    return RETUNE.model_copy(update={"phases": phases})


DIVERGED = job(1, Outcome.DIVERGED, unsure=(RETUNE,))
LOCKED = job(1, Outcome.DIVERGED, unsure=(switch(samples.LTE_CELL, "LOCKED", "UNLOCKED"),))


@pytest.mark.parametrize(
    "later",
    [
        job(2, Outcome.SUCCEEDED),
        job(2, Outcome.UNCHANGED),
        job(2, Outcome.SKIPPED),
        job(2, Outcome.SUCCEEDED, switch(samples.NR_CELL, "LOCKED", "UNLOCKED")),
        job(2, Outcome.SUCCEEDED, switch(samples.LTE_CELL, "LOCKED")),
        job(2, Outcome.FAILED_SAFE, undoes="r-1"),
        job(2, Outcome.SUCCEEDED, undoes="r-another"),
        job(2, Outcome.DIVERGED, unsure=(switch(samples.LTE_CELL, "LOCKED"),), undoes="r-1"),
    ],
)
@pytest.mark.parametrize("diverged", [DIVERGED, LOCKED])
def test_a_job_that_reads_or_touches_other_things_brings_nothing_back(diverged: EndedJob, later: EndedJob) -> None:
    assert diverged in unresolved([diverged, later])


@pytest.mark.parametrize("diverged", [DIVERGED, LOCKED, replace(DIVERGED, beyond=True), replace(DIVERGED, unsure=())])
def test_an_undo_of_its_run_brings_all_back(diverged: EndedJob) -> None:
    assert unresolved([diverged, job(2, Outcome.SUCCEEDED, undoes="r-1")]) == []


def test_the_same_edits_once_more_bring_it_back() -> None:
    assert unresolved([DIVERGED, job(2, Outcome.SUCCEEDED, RETUNE)]) == []
    # More is gone than these edits, or nobody knows what: only an undo or a repair is about all of it.
    for unknown in (replace(DIVERGED, beyond=True), replace(DIVERGED, unsure=())):
        assert unresolved([unknown, job(2, Outcome.SUCCEEDED, RETUNE)]) == [unknown]


def test_a_cell_that_it_locked_is_back_when_it_is_unlocked() -> None:
    unlocked = job(2, Outcome.SUCCEEDED, switch(samples.LTE_CELL, "LOCKED", "UNLOCKED"))
    assert unresolved([LOCKED, unlocked]) == []
    assert unresolved([DIVERGED, unlocked]) == [DIVERGED], "it is tuned neither as before nor as wanted"
    asked_for = job(1, Outcome.DIVERGED, unsure=(switch(samples.LTE_CELL, "LOCKED"),))
    assert unresolved([asked_for, job(2, Outcome.SUCCEEDED, switch(samples.LTE_CELL, "LOCKED"))]) == []


def test_several_jobs_together_bring_it_back_and_each_run_that_diverged_counts() -> None:
    other = job(2, Outcome.DIVERGED, unsure=(switch(samples.NR_CELL, "LOCKED"),))
    assert unresolved([DIVERGED, other, job(3, Outcome.SUCCEEDED, undoes="r-1")]) == [other]
    both = [job(1, Outcome.DIVERGED, unsure=(switch(samples.LTE_CELL, "LOCKED"), switch(samples.NR_CELL, "LOCKED")))]
    both += [job(2, Outcome.SUCCEEDED, switch(samples.LTE_CELL, "UNLOCKED"))]
    assert unresolved(both) == both[:1]
    assert unresolved([*both, job(3, Outcome.SUCCEEDED, switch(samples.NR_CELL, "UNLOCKED"))]) == []


def test_a_repair_brings_back_what_had_diverged_before_it_was_asked_for() -> None:
    asked = DIVERGED.finished + timedelta(seconds=1)
    assert unresolved([DIVERGED, job(3, Outcome.UNCHANGED)], asked) == []
    queued = DIVERGED.finished - timedelta(seconds=1)
    assert unresolved([DIVERGED, job(3, Outcome.UNCHANGED)], queued) == [DIVERGED]


def test_what_stood_in_an_entry_that_is_made_anew_is_back() -> None:
    made = [edit for phase in RENAME.phases for edit in phase.edits if edit.op is not Op.MERGE]
    assert made
    wanted = job(1, Outcome.DIVERGED, unsure=(RENAME,))
    assert unresolved([wanted, job(2, Outcome.SUCCEEDED, RENAME)]) == []
    part = RENAME.model_copy(update={"phases": RENAME.phases[:1]})
    assert unresolved([wanted, job(2, Outcome.SUCCEEDED, part)]) == [wanted]
