"""Key performance indicators before and after: compared over full periods with enough samples, else not judged."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import pytest

from controller.models.equipment import Equipment
from controller.models.measurement import Measured, Period, Subject
from controller.models.run import Outcome
from controller.models.step import StepRecord
from controller.performance.kpis import Kpi
from controller.playbook.actions.kpis import kpis_of
from controller.playbook.language.registry import Context
from tests.support.definitions import load_kpis, put_in_force
from tests.unit.intent.clouds import split_gnb
from tests.unit.playbook.test_takeover import LOCK, PlaybookBench, Rests
from tests.unit.runs.transaction_bench import STATION

KPIS = Path(__file__).parents[3] / "playbooks" / "kpis"
READ = "  - {name: kpis, action: read-kpis, register: kpis}\n"
CHECK = (
    "soak_checks:\n  - {name: compare, action: check-kpis, with: {before: '{{ kpis }}', settle: 10}}\n"
    "strategy: {soak: 1800}\n"
)
QUARTER = timedelta(minutes=15)


def period(begin: datetime, good: float, total: float = 1000, *, suspect: bool = False, lost: float = 0) -> Period:
    values = {
        "EUtranCellFDD=1": {
            "RRC.ConnEstabAtt.mo-Data": total / 2,
            "RRC.ConnEstabAtt.mt-Access": total / 2,
            "RRC.ConnEstabAttempted": 7,
            "RRC.ConnEstabSucc.mo-Data": good,
            "RRU.CellUnavailableTime.fault": lost,
            "RRU.CellUnavailableTime.manual": 500,
        }
    }
    return Period(job="j1", begin=begin, end=begin + QUARTER, suspect=suspect, values=values)


async def compared(
    before: tuple[Period, ...], after: Period, minutes: float = 31, check: str = CHECK
) -> tuple[PlaybookBench, StepRecord]:
    """Lock a cell, let it soak while ``after`` is measured, and look."""
    bench = PlaybookBench(READ + LOCK + check)
    put_in_force(bench.store)
    equipment = bench.device.equipment
    equipment.periods = before
    with pytest.raises(Rests):
        await bench.work()
    bench.clock.pause(60 * minutes)
    equipment.periods = (after,)
    await bench.work()
    rows = bench.rows()
    return bench, next(row for row in rows if row.name == "compare")


def start() -> datetime:
    return PlaybookBench(READ).clock.now()


@pytest.mark.parametrize(
    ("good", "lost", "well", "said"),
    [
        (985, 0, True, "99.00 % before, 98.50 % after"),
        (960, 0, False, "rrc-setup-success: 99.00 % before, 96.00 % after"),
        (990, 450, False, "availability: 100.00 % before, 50.00 % after"),
    ],
)
async def test_what_is_worse_is_undone(good: float, lost: float, well: bool, said: str) -> None:
    begun = start()
    after = period(begun + QUARTER, good, lost=lost)
    bench, row = await compared((period(begun - QUARTER, 990),), after)
    assert said in (str(row.output) if well else row.detail)
    assert bench.lock == ("LOCKED" if well else "UNLOCKED")
    (job,) = bench.store.runs.jobs(bench.run)
    assert job.outcome is (Outcome.SUCCEEDED if well else Outcome.ROLLED_BACK)


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (None, (QUARTER, 500, 1000, False), "the station has no measurement job"),
        ((990, 1000, False), (timedelta(seconds=5), 500, 1000, False), "no full period has passed since the change"),
        ((990, 1000, False), (QUARTER, 10, 20, False), "only 20 attempts, and 100 are needed"),
        ((20, 40, False), (QUARTER, 500, 1000, False), "only 40 attempts"),
        ((990, 1000, False), (QUARTER, 500, 1000, True), "the station did not run all the time"),
    ],
)
async def test_what_can_not_be_judged_is_said_and_does_not_fail(
    before: tuple[float, float, bool] | None, after: tuple[timedelta, float, float, bool], said: str
) -> None:
    later, good, total, suspect = after
    for check, lock in ((CHECK, "LOCKED"), (CHECK.replace("settle: 10", "settle: 10, required: true"), "UNLOCKED")):
        begun = start()
        old = () if before is None else (period(begun - QUARTER, before[0], before[1], suspect=before[2]),)
        bench, row = await compared(old, period(begun + later, good, total, suspect=suspect), check=check)
        assert bench.lock == lock
        (job,) = bench.store.runs.jobs(bench.run)
        assert said in job.detail, "the run's result tells it"
        if lock == "LOCKED":
            assert said in row.output["not_judged"]["rrc-setup-success"]
        else:
            assert f"({said}" in row.detail


async def test_what_is_not_measured_is_not_required_unless_it_is_named() -> None:
    for named, lock in (("", "LOCKED"), (", kpis: [rrc-setup-success, handover-success]", "UNLOCKED")):
        check, begun = CHECK.replace("settle: 10", f"settle: 10, required: true{named}"), start()
        bench, row = await compared((period(begun - QUARTER, 990),), period(begun + QUARTER, 990), check=check)
        assert bench.lock == lock
    assert row.detail == "not judged: handover-success (it is not measured)"


def stored(station: str, begin: datetime, good: float, total: float) -> Measured:
    """A period of one cell, as it is on record."""
    cells = {"L1": {"RRC.ConnEstabAtt": {Subject(): total}, "RRC.ConnEstabSucc": {Subject(): good}}}
    return Measured(station=station, begin=begin, seconds=900, covered=900, cells=cells)


async def at_night(others: float, after: float) -> tuple[PlaybookBench, StepRecord]:
    """Ten attempts a period, all of which succeed before the change and ``after`` of which later.

    ``others`` is how many of 200 attempts succeed at another station after it.
    """
    bench = PlaybookBench(READ + LOCK + CHECK)
    put_in_force(bench.store)
    now, equipment = bench.clock.now(), bench.device.equipment
    begun = now - (now - datetime(2026, 1, 1, tzinfo=UTC)) % QUARTER
    past = [begun - number * QUARTER for number in range(2, 40)]
    bench.store.measurements.put([stored(STATION, at, 10, 10) for at in past])
    bench.store.measurements.put([stored("S2", at, 200, 200) for at in past])
    equipment.periods = (period(begun - QUARTER, 10, 10),)
    with pytest.raises(Rests):
        await bench.work()
    bench.clock.pause(60 * 31)
    later = begun + QUARTER
    bench.store.measurements.put([stored(STATION, later, after, 10), stored("S2", later, others, 200)])
    equipment.periods = (period(later, after, 10),)
    await bench.work()
    return bench, next(row for row in bench.rows() if row.name == "compare")


async def test_periods_on_record_and_stations_around_make_up_for_a_quiet_one() -> None:
    bench, row = await at_night(others=199, after=10)
    read = next(row for row in bench.rows() if row.name == "kpis").output["values"]["rrc-setup-success"]
    assert (read["pooled"], read["sample"], read["why"]) == ("4 hours together", 160, "")
    said = row.output["judged"]["rrc-setup-success"]
    assert said == "100.00 % before, 99.52 % after, with 1 stations around"
    assert bench.lock == "LOCKED"


async def test_a_quiet_station_whose_surroundings_got_worse_is_taken_back() -> None:
    bench, row = await at_night(others=150, after=8)
    assert "rrc-setup-success: 100.00 % before, 75.24 % after, with 1 stations around" in row.detail
    assert bench.lock == "UNLOCKED"


async def test_the_control_plane_is_read_too_for_what_it_counts_of_the_station() -> None:
    begin = datetime(2026, 6, 15, 12, tzinfo=UTC)
    tried = {"RRC.ConnEstabAtt.mo-Data": 1000.0, "RRC.ConnEstabSucc.mo-Data": 990.0}
    counted = {
        "S1": {"GNBDUFunction=1,NRCellDU=n78-1": {"RRU.PrbTotDl": 40.0}},
        "CP-E": {f"GNBCUCPFunction=1,NRCellCU={name}.n78-1": tried for name in ("S1", "S2")},
    }

    class Split:
        """What the action asks for."""

        network, station = split_gnb(), "S1"
        suspect = False

        async def kpis(self) -> tuple[Kpi, ...]:
            return load_kpis(KPIS)

        async def measurements(self, station: str = "") -> tuple[Period, ...]:
            values, suspect = counted[station or self.station], self.suspect and bool(station)
            return (Period(job="minka", begin=begin, end=begin + QUARTER, suspect=suspect, values=values),)

        async def equipment(self, station: str = "") -> Equipment:
            return Equipment()

        async def recorded(self, *_: object) -> list[Measured]:
            return []

    context = Split()
    found = await kpis_of(cast("Context", context))
    assert found.values["rrc-setup-success"].value == pytest.approx(99.0)
    assert found.values["rrc-setup-success"].cells == 1
    context.suspect = True
    assert (await kpis_of(cast("Context", context))).suspect
