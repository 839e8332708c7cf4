from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection
from contextlib import closing
from datetime import datetime, timedelta
from itertools import pairwise
from typing import cast

from controller.assurance.checker import Check, Checker
from controller.listener.checks import Checks, _place_of
from controller.models.alarm import AlarmReport, AlarmState, PerceivedSeverity
from controller.models.errors import StoreError, UnreachableError
from controller.models.health import Health
from controller.models.run import Outcome
from controller.ports.clock import VirtualClock
from controller.store import JobResult, Store, open_store
from tests.support.quick_stores import DirectStore
from tests.support.records import make_entry, make_network, start_run

INTERVAL = 30.0


class FakeChecker:
    """Counts checks.

    ``hang`` never answer, ``slow`` take so many seconds, ``dark`` can't be reached, ``again`` are to be checked soon,
    and so are those of ``answer``, whoever was checked.
    """

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.checks: list[tuple[float, str]] = []
        self.at_once = self.most_at_once = 0
        self.hang: set[str] = set()
        self.slow: dict[str, float] = {}
        self.dark: dict[str, str] = {}
        self.again: frozenset[str] = frozenset()
        self.answer: frozenset[str] = frozenset()
        self.recorded: Counter[str] = Counter()
        self.turns: list[tuple[str, datetime | None]] = []
        self.changing: dict[str, bool | None] = {}
        self.away = False

    def follow(self, devices: Collection[str]) -> None:
        """Goes by any."""

    async def check(self, _network: object, station: str) -> Check:
        self.checks.append((self.clock.monotonic(), station))
        self.at_once += 1
        self.most_at_once = max(self.at_once, self.most_at_once)
        try:
            await self.clock.sleep(10_000 if station in self.hang else self.slow.get(station, 0.2))
        finally:
            self.at_once -= 1
        return Check(station, self.clock.now(), None, self.dark.get(station, ""))

    async def record(self, checks: list[Check]) -> frozenset[str]:
        if self.away:
            raise StoreError
        self.turns += [(check.station, check.turn) for check in checks]
        self.changing |= {check.station: check.changing for check in checks}
        self.recorded.update(check.station for check in checks)
        return self.again & {check.station for check in checks} | self.answer


class Bench:
    """Checks in virtual time."""

    def __init__(self, store: Store, clock: VirtualClock) -> None:
        self.store, self.clock = store, clock
        self.checker = FakeChecker(clock)
        self.checks = Checks(DirectStore(store), cast("Checker", self.checker), clock, INTERVAL)
        digest, network = make_network()
        store.networks.save(network, digest, "ana")

    async def run(self, seconds: float) -> None:
        """Rounds as the listener makes them."""
        for _ in range(int(seconds * 2)):
            await self.checks.begin()
            await self.clock.advance(0.5)
            try:
                await self.checks.record()
            except StoreError:
                continue

    def times(self, station: str) -> list[float]:
        """When a station was checked."""
        return [at for at, name in self.checker.checks if name == station]


def bench() -> tuple[Store, Bench]:
    clock = VirtualClock()
    store = open_store("sqlite://", clock)
    return store, Bench(store, clock)


async def test_a_big_network_is_read_evenly_each_once_an_interval() -> None:
    store, made = bench()
    with closing(store):
        made.checks.follow([f"S{number}" for number in range(1200)])
        await made.run(2 * INTERVAL)
        counts = Counter(name for _, name in made.checker.checks)
        assert len(counts) == 1200
        assert set(counts.values()) <= {1, 2, 3}, "once soon, or at its first turn, and then once an interval"
        later = Counter(name for at, name in made.checker.checks if at >= INTERVAL)
        assert set(later.values()) == {1}
        assert len(later) == 1200
        per_second = Counter(int(at) for at, _ in made.checker.checks)
        assert max(per_second.values()) <= 2.5 * 1200 / INTERVAL
        assert made.checker.most_at_once <= 100


async def test_a_few_stations_are_read_soon() -> None:
    store, made = bench()
    with closing(store):
        made.checks.follow([f"S{number}" for number in range(20)])
        await made.run(2)
        assert len(made.checker.recorded) == 20


async def test_a_dead_station_delays_no_other_and_is_not_read_twice_at_once() -> None:
    store, made = bench()
    with closing(store):
        made.checker.hang = {"S0"}
        made.checks.follow(["S0", "S1"])
        await made.run(2 * INTERVAL + 5)
        assert len(made.times("S0")) == 1
        assert len(made.times("S1")) == 3
        assert made.checker.recorded == {"S1": 3}
        await made.checks.close()


async def test_a_check_that_takes_longer_than_the_record_interval_is_recorded() -> None:
    store, made = bench()
    with closing(store):
        made.checker.slow = {"S0": 10.0}
        made.checks.follow(["S0", "S1"])
        await made.run(2 * INTERVAL + 15)
        assert made.checker.recorded.keys() == {"S0", "S1"}
        assert set(made.checker.recorded.values()) <= {3, 4}
        await made.checks.close()


async def test_stations_that_are_dark_delay_the_checks_of_no_others() -> None:
    """A third of the network hangs in each check for longer than the interval."""
    store, made = bench()
    with closing(store):
        names = [f"S{number}" for number in range(900)]
        made.checker.slow = dict.fromkeys(names[::3], 60.0)
        made.checks.follow(names)
        await made.run(4 * INTERVAL)
        well = [made.times(name) for name in names[1::3]]
        gaps = [second - first for times in well for first, second in pairwise(times)]
        assert {len(times) for times in well} <= {3, 4, 5}
        assert max(gaps) <= INTERVAL + 1
        dark = [made.times(name) for name in names[::3]]
        assert max(second - first for times in dark for first, second in pairwise(times)) <= 60 + 1
        await made.checks.close()
        assert made.checker.at_once == 0


async def test_a_station_that_cannot_be_reached_is_tried_until_it_answers() -> None:
    store, made = bench()
    with closing(store):
        made.checker.dark = {"S0": "unreachable", "S1": "authentication-failed"}
        made.checks.follow(["S0", "S1", "S2"])
        await made.run(INTERVAL)
        assert all(second - first <= 2.5 for first, second in pairwise(made.times("S0")))
        refused, well = made.times("S1"), made.times("S2")
        assert len(refused) == len(well) == 2, "who refuses a log-in may lock the account: soon, and at its turn"
        made.checker.dark.clear()
        await made.run(INTERVAL)
        made.checker.checks.clear()
        await made.run(INTERVAL)
        assert len(made.times("S0")) == 1


async def test_many_stations_that_cannot_be_reached_are_tried_less_often() -> None:
    store, made = bench()
    with closing(store):
        names = [f"S{number}" for number in range(200)]
        made.checker.dark = dict.fromkeys(names, "unreachable")
        made.checks.follow(names)
        await made.run(2 * INTERVAL)
        made.checker.checks.clear()
        await made.run(INTERVAL)
        assert {len(made.times(name)) for name in names} <= {3, 4}, "25 a second, so every 8 s"


async def test_a_poked_station_is_read_at_once_and_a_passing_state_again_soon() -> None:
    store, made = bench()
    with closing(store):
        made.checks.follow(["S0", "S1"])
        await made.run(3)
        made.checks.poke("S0")
        made.checks.poke("unknown")
        await made.run(1)
        assert len(made.times("S0")) == 2
        made.checker.again = frozenset({"S1"})
        made.checks.poke("S1")
        await made.run(5)
        assert len(made.times("S1")) == 3
        assert len(made.times("S0")) == 2


async def test_the_turns_of_a_station_stay_where_they_are_whatever_else_it_is_checked_for() -> None:
    store, made = bench()
    with closing(store):
        made.checks.follow(["S0", "S1"])
        began = made.clock.now()
        for number in range(100):
            if number % 7 == 0:
                made.checks.poke("S0")
            made.checker.again = frozenset({"S0"} if number % 11 == 0 else ())
            made.checker.dark = {"S0": "unreachable"} if 40 < number < 60 else {}
            await made.run(1)
        turns = {name: [turn for one, turn in made.checker.turns if one == name] for name in ("S0", "S1")}
        assert len(turns["S0"]) > 20 > len(turns["S1"])
        for name, found in turns.items():
            counted, *rest = dict.fromkeys(found)
            assert counted == began, "as one of the time since when it is followed, until its first turn"
            first = (rest[0] or began) - began
            assert timedelta() < first < timedelta(seconds=INTERVAL)
            assert rest == [began + first + number * timedelta(seconds=INTERVAL) for number in range(len(rest))], name
            assert len(rest) >= 3


async def turns_beside(*others: str) -> list[datetime | None]:
    """Turns of one station beside others."""
    store, made = bench()
    with closing(store):
        made.checks.follow([*others, "S5"])
        await made.run(3 * INTERVAL)
        return list(dict.fromkeys(turn for one, turn in made.checker.turns if one == "S5"))


async def test_the_turns_of_a_station_tell_nothing_of_how_many_others_there_are_nor_of_their_names() -> None:
    alone = await turns_beside()
    assert len(alone) == 4
    for others in (["S0"], [f"S{number}" for number in range(10, 40)], [f"A{number}" for number in range(9)]):
        assert await turns_beside(*others) == alone


def test_turns_are_spread_evenly_over_the_interval() -> None:
    parts = Counter(int(10 * _place_of(f"PE-CUS-{number:04}")) for number in range(3100))
    assert set(parts) == set(range(10))
    assert max(parts.values()) < 1.25 * 310


async def test_a_check_that_begins_before_a_turn_is_not_of_that_turn() -> None:
    store, made = bench()
    with closing(store):
        made.checks.follow(["S0"])
        began = made.clock.now()
        await made.run(5)
        made.checker.slow = {"S0": 10.0}
        await made.run(INTERVAL - 10)
        made.checks.poke("S0")
        await made.run(20)
        found = [turn - began for _, turn in made.checker.turns if turn is not None]
        assert found[0] == found[1] == timedelta(), "both checks began before its first turn"
        assert timedelta(seconds=INTERVAL - 5) < found[-1] < timedelta(seconds=INTERVAL)


async def test_a_station_that_says_that_its_alarms_changed_is_read_at_once_but_not_again_and_again() -> None:
    store, made = bench()
    with closing(store):
        made.checks.follow(["S0", "S1"])
        await made.run(8)
        store.healths.save([Health(station=name, at=made.clock.now(), reachable=True) for name in ("S0", "S1")])
        await made.run(10)
        before = made.times("S1")
        for _ in range(20):  # as its source would have it, without an end
            store.healths.ask(["S0", "nobody"])
            at, known = made.clock.now(), made.times("S0")
            await made.run(0.5)
            if made.times("S0") != known:
                store.healths.save([Health(station="S0", at=at, reachable=True)])
        checks = [at for at in made.times("S0") if at >= 18]
        assert checks[0] < 19
        assert all(second - first >= 5 for first, second in pairwise(checks))
        assert len(checks) == 2
        assert made.times("S1") == before


async def test_stations_that_the_checker_asks_for_are_read_although_nothing_new_is_expected_there() -> None:
    store, made = bench()
    with closing(store):
        checker = cast("Checker", made.checker)
        made.checks = Checks(
            DirectStore(made.store), checker, made.clock, INTERVAL, worth=lambda station: station == "S1"
        )
        made.checks.follow(["S1", "S2", "S3"])
        made.checker.answer = frozenset({"S2"})
        await made.run(5)
        assert {station for _, station in made.checker.checks} == {"S1", "S2"}
        made.checker.answer = frozenset()
        await made.run(5)
        made.checker.checks.clear()
        await made.run(2 * INTERVAL)
        assert {station for _, station in made.checker.checks} == {"S1"}, "it was read, and is asked for no more"
        assert not made.checks.wanted


async def test_a_record_that_is_away_is_made_up_for() -> None:
    store, made = bench()
    with closing(store):
        made.checks.follow(["S0"])
        made.checker.away = True
        await made.run(3)
        assert made.checker.recorded == {}
        made.checker.away = False
        await made.run(2)
        assert made.checker.recorded["S0"] >= 1


async def test_a_station_that_was_repaired_is_read_until_its_alarm_ends() -> None:
    store, made = bench()
    with closing(store):
        made.checks.follow(["S0"])
        await made.run(2)
        report = AlarmReport(
            station="S0",
            object="station",
            probable_cause="configuration-drift",
            severity=PerceivedSeverity.WARNING,
            source="check",
            at=made.clock.now(),
        )
        alarm = store.alarms.report(report)
        repairing = store.alarms.move(alarm, AlarmState.REPAIRING, actor="rule")
        assert repairing is not None
        await made.run(5)
        assert len(made.times("S0")) >= 4
        store.alarms.move(repairing, AlarmState.REPAIRED, actor="rule")
        before = len(made.times("S0"))
        await made.run(5)
        assert len(made.times("S0")) <= before + 1


async def test_a_station_that_a_job_has_is_read_often_and_while_it_is_changed_at_its_turns() -> None:
    clock = VirtualClock()
    with closing(open_store("sqlite://", clock)) as store:
        bench = Bench(store, clock)
        bench.checks.follow(["A", "B"])
        start_run(store, ["A"])
        (claim,) = store.claims.take(store.processes.register("w"), 1)
        store.claims.release(claim, "soaks", keep_transaction=True)
        await bench.run(60)
        read = Counter(station for _, station in bench.checker.checks)
        assert read["A"] > 10 * read["B"], "often: what goes wrong in a soak has to show before that is over"
        (claim,) = store.claims.take(store.processes.register("w2"), 1)
        store.journal.append(make_entry(claim, 0), claim)
        await bench.run(5)  # a check may be under way
        bench.checker.checks.clear()
        bench.checker.changing.clear()
        await bench.run(2 * INTERVAL)
        assert len(bench.times("A")) == 2, "it is neither as it was nor as it will be, but it has to answer"
        assert bench.checker.changing == {"A": False, "B": None}
        bench.checker.dark = {"A": UnreachableError.code}
        await bench.run(INTERVAL)
        bench.checker.checks.clear()
        await bench.run(INTERVAL)
        assert len(bench.times("A")) >= INTERVAL / 4, "like any other that does not answer"
        bench.checker.dark = {}
        await bench.run(5)
        bench.checker.checks.clear()
        await bench.run(INTERVAL)
        assert len(bench.times("A")) == 1, "at its turn again"
        store.claims.finish(claim, JobResult(Outcome.SUCCEEDED))
        bench.checker.checks.clear()
        await bench.run(5)
        assert bench.times("A"), "soon after"
        assert bench.checker.changing["A"] is None


async def test_stations_that_are_no_longer_followed_are_left_alone() -> None:
    store, made = bench()
    with closing(store):
        made.checks.follow(["S0"])
        await made.run(2)
        made.checks.follow([])
        await made.run(2 * INTERVAL)
        assert len(made.times("S0")) == 1
        await asyncio.sleep(0)
