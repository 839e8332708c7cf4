"""Groups of alarms take turns, so that a storm keeps nobody else waiting."""

from __future__ import annotations

import asyncio
from itertools import pairwise

from controller.models.alarm import AlarmState, PerceivedSeverity
from controller.remediation.gravity import Rank
from controller.remediation.rules import Match, Rule, RuleGuards, Rung
from controller.remediation.turns import Turns
from controller.store import Page
from tests.unit.remediation.bench import Bench

NOW = RuleGuards(settle_seconds=0)


def ranked(age: int, severity: int = 1, people: int = 0) -> Rank:
    """The rank of an alarm; the youngest has the greatest age."""
    return Rank(severity, False, -people, 0, (str(age).zfill(9),))


async def test_all_are_worked_on_once_some_at_once_in_the_order_of_their_group() -> None:
    done: list[str] = []
    most = under_way = 0

    async def work(alarm: str) -> None:
        nonlocal most, under_way
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0)
        under_way -= 1
        done.append(alarm)

    turns = Turns(work)
    for number in range(200):
        turns.add(f"a{number}", ("andes",), ranked(number))
        turns.add(f"c{number}", ("condor", "andes"), ranked(number))
    assert turns.busy
    turns.begin()
    assert turns.works_on("a0")
    await turns.settle()
    assert not turns.busy
    assert most == 50
    for group in "ac":
        assert [one for one in done if one[0] == group] == [f"{group}{number}" for number in range(200)]


async def test_within_a_group_the_gravest_goes_first_and_one_that_becomes_graver_goes_before_the_others() -> None:
    done: list[str] = []

    async def work(alarm: str) -> None:
        done.append(alarm)

    turns = Turns(work)
    for number in range(100):
        turns.add(f"small{number}", ("andes",), ranked(number))
    turns.add("grave", ("andes",), ranked(200, severity=0))
    turns.add("large", ("andes",), ranked(300, severity=0, people=9))
    turns.add("small99", ("andes",), ranked(99, severity=0))
    turns.begin()
    await turns.settle()
    assert done == ["large", "small99", "grave", *(f"small{number}" for number in range(99))]


async def test_in_a_storm_a_grave_alarm_is_decided_before_hundreds_of_older_small_ones(bench: Bench) -> None:
    rule = Rule(name="r", description="", match=Match(causes=("fan",)), guards=NOW, ladder=(Rung(ticket="go there"),))
    for number in range(300):
        bench.report(f"/fan[{number}]", "fan", PerceivedSeverity.MINOR)
    scheduler = bench.scheduler(rules=(rule,))
    await scheduler.step()
    grave = bench.report("/fan[grave]", "fan", PerceivedSeverity.CRITICAL)
    waiting = [one for one in bench.store.alarms.standing() if one.state is AlarmState.RAISED]
    assert len(waiting) > 150, "most wait for their turns"
    await scheduler.step()
    await scheduler.settle()
    rows = bench.store.audit.page(Page(limit=2000))[1]
    escalated = [row.object for row in rows if row.action == "alarm.escalated"][::-1]
    assert len(escalated) == 301
    behind = escalated[escalated.index(grave.id) :]
    assert len(behind) > len(waiting) / 2, "only what was worked on by then was decided before it"


async def test_a_storm_leaves_places_for_others_even_where_all_of_it_hangs() -> None:
    done, hangs = list[str](), asyncio.Event()

    async def work(alarm: str) -> None:
        if alarm.startswith("storm"):
            await hangs.wait()
        done.append(alarm)

    turns = Turns(work)
    for number in range(1000):
        turns.add(f"storm{number}", ("andes",), ranked(number))
    turns.begin()
    for number in range(100):
        turns.add(f"other{number}", ("condor",), ranked(number))
    turns.begin()
    while len(done) < 100:
        await asyncio.sleep(0)
    assert done == [f"other{number}" for number in range(100)]
    hangs.set()
    await turns.settle()
    assert len(done) == 1100


async def test_between_pieces_of_correlation_the_record_is_left_to_others_for_as_long(bench: Bench) -> None:
    begun: list[float] = []

    def piece() -> bool:
        begun.append(bench.clock.monotonic())
        bench.clock.pause(3)  # so long it holds the record
        return len(begun) < 3

    bench.store.alarms.correlate_more = piece
    scheduler = bench.scheduler()
    await scheduler.step()
    await bench.clock.advance(2.9)
    assert len(begun) == 1
    await bench.clock.advance(60)
    await scheduler.settle()
    assert [later - earlier for earlier, later in pairwise(begun)] == [6, 6]
