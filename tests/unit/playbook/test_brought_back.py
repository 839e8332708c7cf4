"""Which playbooks bring back a station that an earlier run left in neither state."""

from __future__ import annotations

import pytest

from controller.models.alarm import DIVERGED, AlarmReport, AlarmSource, ObjectClass, PerceivedSeverity
from controller.models.run import Outcome
from tests.unit.playbook.test_takeover import APPLY, LOCK, LOOK, PlaybookBench
from tests.unit.runs.transaction_bench import STATION

SKIPPED = "  - {name: lock, action: lock-cell, with: {cells: ['L1']}, when: '{{ 1 > 2 }}'}\n"
REPAIR = "plan: {source: applied}\nname: own\ndescription: A playbook.\ntargets: '*'\nsteps:\n"


def _diverged(bench: PlaybookBench) -> None:
    told = AlarmReport(
        station=STATION,
        object="station",
        object_class=ObjectClass.STATION,
        probable_cause=DIVERGED,
        severity=PerceivedSeverity.MAJOR,
        text="a run left it in neither state",
        source=AlarmSource.CHECK,
        at=bench.clock.now(),
    )
    bench.store.alarms.report(told)


@pytest.mark.parametrize(
    ("steps", "outcome"), [(LOOK, Outcome.SUCCEEDED), (LOCK, Outcome.SUCCEEDED), (SKIPPED, Outcome.SKIPPED)]
)
async def test_one_that_only_reads_or_does_something_else_does_not(steps: str, outcome: Outcome) -> None:
    bench = PlaybookBench(steps)
    _diverged(bench)
    assert (await bench.work()).outcome is outcome
    assert [alarm.probable_cause for alarm in bench.store.alarms.standing([STATION])] == [DIVERGED]


async def test_one_that_brings_back_what_was_applied_does() -> None:
    bench = PlaybookBench(APPLY + LOOK, head=REPAIR)
    _diverged(bench)
    assert (await bench.work()).outcome is Outcome.SUCCEEDED
    assert bench.store.alarms.standing([STATION]) == []


async def test_one_that_was_asked_for_before_does_not() -> None:
    bench = PlaybookBench(APPLY + LOOK, head=REPAIR)
    bench.clock.pause(60)
    _diverged(bench)
    assert (await bench.work()).outcome is Outcome.SUCCEEDED
    assert [alarm.probable_cause for alarm in bench.store.alarms.standing([STATION])] == [DIVERGED]
