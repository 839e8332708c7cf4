"""Which locks of cells diverged runs left behind, and until when."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from controller.intent.times import Times
from controller.models.run import Outcome
from controller.store import EndedJob
from controller.store.jobs.left_locks import left_behind
from tests.unit.plan import samples
from tests.unit.store.test_divergences import job, switch

LOCK, UNLOCK = switch(samples.LTE_CELL, "LOCKED"), switch(samples.LTE_CELL, "LOCKED", "UNLOCKED")
OTHER = switch(samples.NR_CELL, "LOCKED", "UNLOCKED")
#: It locked L1 and was to unlock it; nobody knows what became of that.
LEFT = job(10, Outcome.DIVERGED, unsure=(UNLOCK,))


def at(minute: int) -> datetime:
    return samples.NOW + timedelta(minutes=minute)


def times(*spans: tuple[int, int]) -> Times:
    return tuple((at(since), at(until)) for since, until in spans)


LOCKED, STANDS = times((11, 60)), times((10, 90))


def left(*done: EndedJob, locked: Times = LOCKED, diverged: Times = STANDS, cell: str = "L1") -> Times:
    return left_behind(done, cell, locked, diverged)


@pytest.mark.parametrize("one", [LEFT, replace(LEFT, unsure=(), changes=(LOCK,)), replace(LEFT, unsure=(LOCK,))])
def test_a_lock_is_left_behind_from_the_end_of_the_job_until_it_ends(one: EndedJob) -> None:
    assert left(one) == times((11, 60))
    assert left(one, locked=times((5, 60))) == times((10, 60)), "before its end the job was at work"


def test_it_is_so_until_the_station_is_no_longer_diverged() -> None:
    assert left(LEFT, diverged=times((10, 40))) == times((11, 40))
    assert left(LEFT, diverged=times((0, 10), (10, 30), (35, 50))) == times((11, 30))


def test_it_is_so_until_a_later_job_brings_the_cell_into_the_state_that_it_was_asked_for() -> None:
    assert left(LEFT, job(30, Outcome.SUCCEEDED, LOCK)) == times((11, 30)), "somebody wants it locked now"
    assert left(LEFT, job(30, Outcome.SUCCEEDED, UNLOCK)) == times((11, 30))
    assert left(LEFT, job(30, Outcome.SUCCEEDED, OTHER)) == times((11, 60)), "it did something else"
    assert left(LEFT, job(30, Outcome.REFUSED, undoes="r-10")) == times((11, 60)), "an undo that was refused"


def test_a_second_job_that_diverged_ends_nothing() -> None:
    assert left(LEFT, job(30, Outcome.DIVERGED, unsure=(UNLOCK,))) == times((11, 60))


def test_a_lock_that_comes_after_it_is_another_ones() -> None:
    assert left(LEFT, locked=times((2, 8), (11, 20), (25, 60))) == times((11, 20))


@pytest.mark.parametrize(
    "one",
    [
        job(10, Outcome.SUCCEEDED, LOCK),
        job(10, Outcome.ROLLED_BACK),
        job(10, Outcome.DIVERGED, UNLOCK),
        job(10, Outcome.DIVERGED, unsure=(switch(samples.NR_CELL, "LOCKED"),)),
    ],
)
def test_a_lock_that_no_diverged_job_may_have_left_is_not(one: EndedJob) -> None:
    assert left(one) == ()


def test_a_job_that_diverged_in_more_than_its_changes_may_have_left_any_lock_but_those_from_before_it() -> None:
    beyond = replace(job(10, Outcome.DIVERGED), beyond=True, started=at(5))
    assert left(beyond, cell="N1") == times((11, 60))
    assert left(beyond, cell="N1", locked=times((7, 60))) == times((10, 60))
    assert left(beyond, cell="N1", locked=times((4, 60))) == ()
