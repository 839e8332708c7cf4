"""Cells that sleep and indicators that become worse are alarms once, stay until they are well, and do not flap."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from controller.assurance.measured_faults import MeasuredFaults
from controller.models.alarm import Alarm, AlarmReport, AlarmSource, PerceivedSeverity
from controller.models.health import Health, ServiceState
from controller.models.measurement import Measured, Subject, Values
from controller.models.network import network_digest
from controller.ports.clock import VirtualClock
from controller.store import LoopStore, Page, Store, open_store
from tests.support.definitions import load_kpis
from tests.unit.plan import samples

KPIS = load_kpis(Path(__file__).parents[3] / "playbooks" / "kpis")
START = datetime(2026, 1, 1, tzinfo=UTC)
#: The morning that is looked at; that of the days before is known.
TODAY = START + timedelta(days=15, hours=8)
QUARTER, HOUR, DAY = timedelta(minutes=15), timedelta(hours=1), timedelta(days=1)
STATIONS = ("S1", "S2")


class Bench:
    """Two stations of two cells at one site, of which two weeks of mornings are on record."""

    def __init__(self, store: Store, loop_store: LoopStore, clock: VirtualClock) -> None:
        self.store, self.loop_store, self.clock = store, loop_store, clock
        self.faults = MeasuredFaults(loop_store, clock, lambda _: KPIS)
        self.says("S1")
        self.says("S2")

    def says(self, station: str, l1: ServiceState = ServiceState.UP, locked: tuple[str, ...] = ()) -> None:
        cells = {"L1": l1, "N1": ServiceState.UP}
        self.store.healths.save([Health(station=station, at=START, reachable=True, cells=cells, locked=locked)])

    def counts(
        self,
        at: datetime,
        seconds: timedelta,
        used: dict[str, float],
        good: float = 0.99,
        stations: tuple[str, ...] = STATIONS,
        off_air: Collection[str] = (),
    ) -> None:
        """Let stations count for a while; ``used`` is the attempts of a quarter by ``station/cell``, else 50."""
        begins = [at + number * QUARTER for number in range(int(seconds / QUARTER))]
        periods = []
        for station in stations:
            for begin in begins:
                cells = {cell: _counted(used.get(f"{station}/{cell}", 50), good) for cell in ("L1", "N1")}
                for cell in (cell for cell in cells if f"{station}/{cell}" in off_air):
                    cells[cell]["RRU.CellUnavailableTime.fault"] = {Subject(): 900.0}
                periods.append(Measured(station=station, begin=begin, seconds=900, covered=900, cells=cells))
        self.clock.pause(max(0.0, (at + seconds - self.clock.now()).total_seconds()))
        assert self.store.measurements.put(periods).new == len(periods)

    def past(self, used: float = 50) -> None:
        """The mornings of two weeks, rolled up."""
        for day in range(1, 15):
            self.counts(TODAY - 4 * HOUR - day * DAY, 8 * HOUR, {"S1/L1": used})
        self.rolled_up()

    def rolled_up(self) -> None:
        while self.store.measurements.roll_up(self.clock.now()):
            pass

    async def looks(self, at: datetime) -> list[Alarm]:
        """What stands after a look at a time."""
        self.clock.pause((at - self.clock.now()).total_seconds())
        self.rolled_up()
        await self.faults.round()
        return [one for one in self.store.alarms.page(Page())[1] if one.cleared is None]


def _counted(attempts: float, good: float) -> dict[str, Values]:
    volume: Values = {Subject("716-01"): attempts * 2.0}
    names = ("RRC.ConnEstab", "S1SIG.ConnEstab")
    tried = {f"{name}Att": {Subject(): float(attempts)} for name in names}
    done = {f"{name}Succ": {Subject(): attempts * good} for name in names}
    bearers: dict[str, Values] = {"ERAB.EstabInitAttNbr": {Subject(): float(attempts)}}
    bearers["ERAB.EstabInitSuccNbr"] = {Subject(): attempts * good}
    return {"DRB.PdcpSduVolumeDL": volume, **tried, **done, **bearers}


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    clock = VirtualClock(START)
    store = open_store("sqlite://", clock)
    network = samples.network()
    store.networks.save(network, network_digest(network), "ana")
    for station in STATIONS:
        store.devices.adopt(station, [], network_digest(network), "ana")
    clock.pause((TODAY - START).total_seconds())
    loop_store = LoopStore(store)
    yield Bench(store, loop_store, clock)
    await loop_store.close()
    store.close()


async def test_a_cell_that_nobody_uses_though_people_always_do_sleeps(bench: Bench) -> None:
    bench.past()
    bench.counts(TODAY, HOUR, {"S1/L1": 0})
    (alarm,) = await bench.looks(TODAY + HOUR + timedelta(minutes=9))
    assert (alarm.probable_cause, alarm.object, alarm.cells) == ("sleeping-cell", "S1/L1", ("S1/L1",))
    assert (alarm.severity, alarm.source) == (PerceivedSeverity.MAJOR, AlarmSource.CHECK)
    assert alarm.tenants, "those who share it are told"
    assert "at least 198 at this time, and 3 cells around carry users" in alarm.text
    # It stands while it sleeps, is not counted again, and is over with the first user.
    bench.counts(TODAY + HOUR, QUARTER, {"S1/L1": 0})
    (again,) = await bench.looks(TODAY + HOUR + timedelta(minutes=24))
    assert (again.id, again.count) == (alarm.id, 1)
    bench.counts(TODAY + HOUR + QUARTER, QUARTER, {"S1/L1": 1})
    assert await bench.looks(TODAY + HOUR + timedelta(minutes=39)) == []
    # One quiet quarter after that is not sleep.
    bench.counts(TODAY + HOUR + 2 * QUARTER, QUARTER, {"S1/L1": 0})
    assert await bench.looks(TODAY + HOUR + timedelta(minutes=54)) == []


@pytest.mark.parametrize(
    ("used", "usual", "why"),
    [
        ({"S1/L1": 0}, 3, "at this hour nobody comes by chance"),
        ({"S1/L1": 0, "S1/N1": 0, "S2/L1": 0, "S2/N1": 0}, 50, "nobody is around"),
        ({"S1/L1": 1}, 50, "somebody uses it"),
    ],
)
async def test_what_is_no_sleep(bench: Bench, used: dict[str, float], usual: float, why: str) -> None:
    bench.past(usual)
    bench.counts(TODAY, HOUR, used)
    assert await bench.looks(TODAY + HOUR + timedelta(minutes=9)) == [], why


@pytest.mark.parametrize(
    ("quiet", "sleeps"),
    [
        ({3: 0, 9: 1}, True),  # off air on one day, and for most of the hour on another
        ({3: 0, 9: 0, 12: 0}, False),  # more than one of seven days: it may be its way
        ({7: 0}, False),  # it may be quiet on this day of the week
    ],
)
async def test_a_quiet_hour_of_the_weeks_before_hides_no_sleep_unless_it_may_be_a_habit(
    bench: Bench, quiet: dict[int, float], sleeps: bool
) -> None:
    for day in range(1, 15):
        bench.counts(TODAY - day * DAY, HOUR, {"S1/L1": quiet.get(day, 50)})
    bench.rolled_up()
    bench.counts(TODAY, HOUR, {"S1/L1": 0})
    found = await bench.looks(TODAY + HOUR + timedelta(minutes=9))
    assert [one.object for one in found] == ["S1/L1"] * sleeps


@pytest.mark.parametrize(("silent", "found"), [(1, None), (2, None), (4, "no connection for 4 hours")])
async def test_a_cell_with_few_users_is_judged_by_more_hours(bench: Bench, silent: int, found: str | None) -> None:
    """Four connections an hour: 16 in the 4 hours that are enough, by the Poisson distribution (e^-16)."""
    bench.past(1)
    bench.counts(TODAY - 5 * HOUR, (5 - silent) * HOUR, {"S1/L1": 1})
    bench.counts(TODAY - silent * HOUR, (silent + 1) * HOUR, {"S1/L1": 0})
    alarms = await bench.looks(TODAY + HOUR + timedelta(minutes=9))
    assert [one.text.partition(";")[0] for one in alarms] == ([found] if found else [])


async def test_a_cell_that_few_people_use_each_day_is_judged_by_several_days(bench: Bench) -> None:
    """Six connections a day: 18 in the 3 days that are enough."""
    begin = TODAY - 10 * DAY
    for number in range(10):
        used = 0 if number >= 7 else 6
        for at, length, setups in ((0, 2 * HOUR, 0), (2, QUARTER, used), (2.25, 21.75 * HOUR, 0)):
            counted = {"S1/L1": float(setups)}
            bench.counts(begin + number * DAY + at * HOUR, length, counted, good=1, stations=("S1",))
        if number == 8:
            bench.counts(TODAY - DAY - HOUR, HOUR, {}, stations=("S2",))
            assert await bench.looks(TODAY - DAY + timedelta(minutes=9)) == [], "two days are not enough"
    bench.counts(TODAY, HOUR, {"S1/L1": 0})
    (alarm,) = await bench.looks(TODAY + HOUR + timedelta(minutes=9))
    assert alarm.object == "S1/L1"
    assert "no connection for 3 days; usually there are at least 18 in so many days" in alarm.text


async def test_a_cell_that_was_off_air_until_now_does_not_sleep(bench: Bench) -> None:
    bench.past(1)
    bench.counts(TODAY - 4 * HOUR, 4 * HOUR, {"S1/L1": 0}, off_air={"S1/L1"})
    bench.counts(TODAY, HOUR, {"S1/L1": 0})
    assert await bench.looks(TODAY + HOUR + timedelta(minutes=9)) == []


async def test_without_a_history_nothing_is_expected(bench: Bench) -> None:
    bench.counts(TODAY, HOUR, {"S1/L1": 0})
    assert await bench.looks(TODAY + HOUR + timedelta(minutes=9)) == []


async def test_a_gap_is_no_sleep(bench: Bench) -> None:
    bench.past()
    bench.counts(TODAY, 3 * QUARTER, {"S1/L1": 0})
    bench.counts(TODAY + 3 * QUARTER, QUARTER, {}, stations=("S2",))
    assert await bench.looks(TODAY + HOUR + timedelta(minutes=9)) == []


@pytest.mark.parametrize("says", ["off air", "locked"])
async def test_a_cell_that_does_not_say_that_it_serves_does_not_sleep(bench: Bench, says: str) -> None:
    bench.past()
    bench.counts(TODAY, HOUR, {"S1/L1": 0})
    bench.says("S1", ServiceState.DOWN) if says == "off air" else bench.says("S1", locked=("L1",))
    assert await bench.looks(TODAY + HOUR + timedelta(minutes=9)) == []


async def test_another_grave_alarm_of_the_station_says_it_all(bench: Bench) -> None:
    bench.past()
    bench.counts(TODAY, HOUR, {"S1/L1": 0})
    known = {"station": "S1", "object": "ru-1", "probable_cause": "o-ran-fault-30", "source": AlarmSource.ORAN_FM}
    bench.store.alarms.report(AlarmReport(**known, severity=PerceivedSeverity.CRITICAL, at=bench.clock.now()))
    (only,) = await bench.looks(TODAY + HOUR + timedelta(minutes=9))
    assert only.probable_cause == "o-ran-fault-30"


async def test_an_indicator_that_is_worse_twice_is_an_alarm_until_it_is_well(bench: Bench) -> None:
    bench.past()
    bench.counts(TODAY, HOUR, {}, good=0.9)
    assert await bench.looks(TODAY + HOUR + timedelta(minutes=41)) == [], "once is no alarm"
    bench.counts(TODAY + HOUR, HOUR, {}, good=0.9)
    found = await bench.looks(TODAY + 2 * HOUR + timedelta(minutes=41))
    assert {(one.station, one.specific_problem) for one in found} == {("S1", "accessibility"), ("S2", "accessibility")}
    (alarm, _) = found
    assert (alarm.probable_cause, alarm.object, alarm.severity) == ("kpi-degraded", "station", PerceivedSeverity.MINOR)
    assert alarm.text.startswith("Accessibility: 97.03 % before, 72.90 % after")
    assert (alarm.cells, alarm.tenants) == ((), ()), "the sum of what all do is the host's matter"
    # Somewhat better is not well.
    bench.counts(TODAY + 2 * HOUR, HOUR, {}, good=0.985)
    assert len(await bench.looks(TODAY + 3 * HOUR + timedelta(minutes=41))) == 2
    bench.counts(TODAY + 3 * HOUR, HOUR, {}, good=0.99)
    assert await bench.looks(TODAY + 4 * HOUR + timedelta(minutes=41)) == []


async def test_a_bad_hour_between_good_ones_is_no_alarm(bench: Bench) -> None:
    bench.past()
    for number, good in enumerate((0.9, 0.99, 0.9)):
        bench.counts(TODAY + number * HOUR, HOUR, {}, good=good)
        assert await bench.looks(TODAY + (number + 1) * HOUR + timedelta(minutes=41)) == []


async def test_a_small_sample_is_no_alarm(bench: Bench) -> None:
    bench.past()
    few = {f"{station}/{cell}": 2.0 for station in STATIONS for cell in ("L1", "N1")}
    for number in range(2):
        bench.counts(TODAY + number * HOUR, HOUR, few, good=0.9)
        assert await bench.looks(TODAY + (number + 1) * HOUR + timedelta(minutes=41)) == []


@pytest.mark.parametrize("alarms", [True, False])
async def test_each_hour_is_judged_once_for_metrics_whoever_raises_alarms(bench: Bench, alarms: bool) -> None:
    bench.faults = MeasuredFaults(bench.loop_store, bench.clock, lambda _: KPIS, alarms=alarms)
    bench.past()
    for number in range(2):
        bench.counts(TODAY + number * HOUR, HOUR, {}, good=0.9)
        found = await bench.looks(TODAY + (number + 1) * HOUR + timedelta(minutes=41))
        end = TODAY + (number + 1) * HOUR
        stations = bench.store.kpi_evaluations.stations(None, end - HOUR)
        assert [(one.of, one.end) for one in stations] == [("S1", end), ("S2", end)]
        network, region = bench.store.kpi_evaluations.places()
        assert (network.end, region.of) == (end, "r")
        assert network.whole.values["accessibility"] == pytest.approx(72.9)
        assert network.whole.degradations["accessibility"] > 5
        # Attempts in the last hour alone; what only one of the tenants does is its own.
        assert network.tenants["alfa"].values["volume-down"] == pytest.approx(4 * 4 * 100 / 8000)
        assert "beta" not in network.tenants
    assert len(found) == (2 if alarms else 0)
    # A station that is gone is forgotten after a day.
    bench.store.devices.retire("S2", "ana")
    bench.counts(TODAY + 26 * HOUR, HOUR, {}, stations=("S1",))
    await bench.looks(TODAY + 27 * HOUR + timedelta(minutes=41))
    assert [one.of for one in bench.store.kpi_evaluations.stations(None, START)] == ["S1"]


async def test_before_there_is_a_network_there_is_nothing_to_look_at() -> None:
    clock = VirtualClock(START)
    store = open_store("sqlite://", clock)
    loop_store = LoopStore(store)
    await MeasuredFaults(loop_store, clock, lambda _: KPIS).round()
    assert store.alarms.page(Page()) == (0, [])
    await loop_store.close()
    store.close()
