"""What goes wrong with one station, or what any source says of it, keeps no other station from being looked at."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from controller.assurance import checker as module
from controller.assurance.checker import Check, Checker
from controller.assurance.health import OWN_CAUSES
from controller.drivers.fake import FakeDevices
from controller.models.alarm import (
    CELL_OFF_AIR,
    CHECK_FAILED,
    Alarm,
    AlarmReport,
    AlarmSource,
    ObjectClass,
    PerceivedSeverity,
)
from controller.models.errors import StoreError
from controller.models.metrics import Observations
from controller.models.network import network_digest
from controller.models.plan import LedgerNode
from controller.ports.clock import VirtualClock
from controller.runs.planning.planner import Planner
from controller.store import Store, open_store
from tests.support.quick_stores import DirectStore
from tests.unit.assurance.test_judging import _nowhere
from tests.unit.plan import samples

STATIONS = ("S1", "S2")
METRIC = "minka_health_checks_failed_total"


class Bench:
    """Two stations that are well, and a checker of them."""

    def __init__(self, store: Store, clock: VirtualClock) -> None:
        self.store, self.clock = store, clock
        network = samples.network()
        digest = network_digest(network)
        store.networks.save(network, digest, "ana")
        for station in STATIONS:
            ledger = samples.ledger(network, station=station).values()
            nodes = [LedgerNode(**entry.model_dump(exclude={"station", "plan"})) for entry in ledger]
            store.devices.adopt(station, nodes, digest, "ana")
        self.seen = {station: samples.carrying(network, station=station) for station in STATIONS}
        self.measured = Observations()
        planner = Planner(DirectStore(store), FakeDevices(clock), clock, _nowhere)
        self.checker = Checker(DirectStore(store), planner, clock, frozenset(AlarmSource), observations=self.measured)
        self.checker.follow(STATIONS)

    async def round(self, *failed: str) -> frozenset[str]:
        """A check of each, ten seconds later; returns which are to be checked again soon."""
        self.clock.pause(10)
        now = self.clock.now()
        return await self.checker.record(
            [
                Check(one, now, None, failed=True) if one in failed else Check(one, now, self.seen[one])
                for one in STATIONS
            ]
        )

    def looked_at(self) -> set[str]:
        return {name for name, health in self.store.healths.find().items() if health.at == self.clock.now()}

    def alarm(self) -> Alarm | None:
        found = (one for one in self.store.alarms.standing([""]) if one.probable_cause == CHECK_FAILED)
        return next((one for one in found if one.cleared is None), None)


@contextmanager
def made() -> Iterator[Bench]:
    clock = VirtualClock()
    with closing(open_store("sqlite://", clock)) as store:
        yield Bench(store, clock)


@pytest.fixture
def bench() -> Iterator[Bench]:
    with made() as one:
        yield one


_OBJECTS = st.one_of(
    st.sampled_from(
        [
            *("foo", "/", "[", "]", "/[", "a/b", "S1/L1", "S1/", "/x[", "/x[]", "/x[]/", "//", "=", "EP_S1C=", "%"),
            *(samples.LTE_CELL, samples.NR_CELL[:-1], f"{samples.LTE}/EP_S1C[x", f"{samples.LTE}/EP_S1C[,,]/y"),
        ]
    ),
    st.text(st.characters(categories=("L", "N", "P", "S")), min_size=1, max_size=20),
)
_CAUSES = st.sampled_from(sorted(OWN_CAUSES | {"other-alert", "foo"}))


@st.composite
def reports(draw: st.DrawFn) -> AlarmReport:
    """What any source may say of station S1, of no station, or of one that nobody knows."""
    clock = VirtualClock()
    return AlarmReport(
        station=draw(st.sampled_from(["S1", "", "S9"])),
        object=draw(_OBJECTS),
        object_class=draw(st.sampled_from(ObjectClass)),
        tenant=draw(st.sampled_from(["", "alfa", "nobody"])),
        probable_cause=draw(_CAUSES),
        specific_problem=draw(st.sampled_from(["", "foo"])),
        severity=draw(st.sampled_from([one for one in PerceivedSeverity if one is not PerceivedSeverity.CLEARED])),
        text="",
        source=draw(st.sampled_from(AlarmSource)),
        at=clock.now(),
        cells=draw(st.sampled_from([(), ("S1/L1",), ("foo",)])),
        functions=draw(st.sampled_from([(), ("foo",)])),
    )


@given(st.lists(reports(), min_size=30, max_size=40))
@settings(max_examples=4, phases=(Phase.generate,))
async def test_no_report_of_any_source_changes_when_stations_are_looked_at(said: list[AlarmReport]) -> None:
    with made() as bench:
        for report in said:
            bench.store.alarms.report(report)
            again = await bench.round()
            assert bench.looked_at() == set(STATIONS), report
            assert "S2" not in again, report
            assert bench.alarm() is None, report
        assert not bench.store.alarms.standing(["S2"])


async def test_an_alert_about_an_object_that_is_no_path_ends_like_any_other(bench: Bench) -> None:
    said = {"station": "S1", "object": "foo", "object_class": ObjectClass.STATION, "probable_cause": CELL_OFF_AIR}
    said |= {"severity": PerceivedSeverity.MAJOR, "text": "", "source": AlarmSource.ALERTMANAGER}
    alarm = bench.store.alarms.report(AlarmReport(**said, at=bench.clock.now()))
    await bench.round()
    assert bench.looked_at() == set(STATIONS)
    assert bench.store.alarms.get(alarm.id).cleared is not None, "the cell is on air"


async def test_a_station_that_can_not_be_judged_hurts_no_other_and_people_hear_of_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged = module._judged

    def broken(network: Any, one: Any, sources: Any) -> Any:
        if one.check.station == "S1":
            raise ZeroDivisionError
        return judged(network, one, sources)

    monkeypatch.setattr(module, "_judged", broken)
    assert await bench.round() == {"S1"}, "again soon"
    assert bench.looked_at() == {"S2"}
    alarm = bench.alarm()
    assert alarm is not None
    assert (alarm.object_class, alarm.station, alarm.severity) == (ObjectClass.CONTROLLER, "", PerceivedSeverity.MAJOR)
    assert alarm.text.startswith("health checks fail by an error in Minka: S1; ")
    assert METRIC.encode() in bench.measured.encoded()
    await bench.round()
    assert bench.alarm() is not None
    monkeypatch.undo()
    await bench.round()
    assert (bench.looked_at(), bench.alarm()) == (set(STATIONS), None)


async def test_a_station_that_can_not_be_put_on_record_hurts_no_other(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep = module._keep

    def broken(store: Any, records: Any) -> Any:
        if any(one.health.station == "S2" for one in records):
            raise KeyError
        return keep(store, records)

    monkeypatch.setattr(module, "_keep", broken)
    assert await bench.round() == {"S2"}
    assert bench.looked_at() == {"S1"}
    assert bench.alarm() is not None


async def test_a_station_that_can_not_be_read_by_a_bug_is_a_failure_and_not_away(bench: Bench) -> None:
    await bench.round()
    assert await bench.round("S1") == {"S1"}
    assert bench.looked_at() == {"S2"}
    assert bench.store.healths.find()["S1"].reachable
    assert bench.alarm() is not None
    bench.checker.follow(["S2"])
    await bench.round()
    assert bench.alarm() is None, "nobody follows it any more"


async def test_an_alarm_of_an_earlier_process_ends_when_all_stations_were_looked_at(bench: Bench) -> None:
    await bench.round("S1")
    later = Checker(
        DirectStore(bench.store),
        bench.checker._planner,
        bench.clock,
        frozenset(AlarmSource),
        observations=bench.measured,
    )
    later.follow(STATIONS)
    now = bench.clock.now()
    await later.record([Check("S2", now, bench.seen["S2"])])
    assert bench.alarm() is not None, "S1 was not looked at yet"
    await later.record([Check("S1", now, bench.seen["S1"])])
    assert bench.alarm() is None


async def test_a_record_that_is_away_is_no_failure_of_a_check(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> Any:
        raise StoreError

    monkeypatch.setattr(module, "_keep", away)
    with pytest.raises(StoreError):
        await bench.round()
    monkeypatch.undo()
    assert bench.alarm() is None
