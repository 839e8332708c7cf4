"""What waits between two waves, and whose clock it is told by."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from controller.models.run import Job, JobState, Outcome, Run, RunState, Strategy
from controller.runs.rollout.transitions import decide

DONE = datetime(2026, 3, 29, 0, 59, tzinfo=UTC)


def opened(soak: int, later: timedelta) -> bool:
    """Whether the second wave opens that much later than the first one ended."""
    run = Run(
        id="r", procedure="apply", plan="p", state=RunState.RUNNING, strategy=Strategy(soak=soak), cause="person",
        requested_by="ana", created=DONE, waves=2,
    )  # fmt: skip
    first = Job(id="1", run="r", wave=0, station="A", state=JobState.DONE, outcome=Outcome.SUCCEEDED, finished=DONE)
    second = Job(id="2", run="r", wave=1, station="B", state=JobState.WAITING)
    return decide(run, [first, second], DONE + later) is not None


@pytest.mark.parametrize("wrong", [timedelta(hours=-1), timedelta(0), timedelta(hours=1)])
def test_without_a_soak_no_wrong_clock_makes_a_run_wait(wrong: timedelta) -> None:
    """The clock of whoever decides may be behind that of whoever ended the wave."""
    assert opened(0, wrong)


def test_a_soak_is_waited_for() -> None:
    assert not opened(600, timedelta(seconds=599))
    assert opened(600, timedelta(seconds=600))
