"""Performance data comes in once, whole, and as far as stations have it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
import structlog

from controller.assurance import collection
from controller.assurance.collection import CollectionSchedule, Collector, expected_end, next_due
from controller.drivers.fake import FakeDevice, FakeDevices
from controller.drivers.registry import target_of
from controller.models.errors import DeviceRefusedError, SessionLostError
from controller.models.health import Health
from controller.models.measurement import ListedPlmns, Measured, Period, Subject
from controller.models.network import Endpoint, Network, NetworkHeader, PerformanceData, Station
from controller.models.settings import Settings
from controller.ports.clock import VirtualClock
from controller.ports.queue import FakeWakeups
from controller.store import open_store
from controller.worker.process import LoopThread
from tests.support.quick_stores import DirectStore
from tests.support.waiting import until
from tests.unit.intent.clouds import split_gnb

PROFILES = ("lte-28658",)
#: Just when the files of the period that ended at 12:00 are there.
NOON = datetime(2026, 10, 1, 12, 2, tzinfo=UTC)
QUARTER = timedelta(minutes=15)
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBYv2B6jWVgPqkUIEW3tisvC5RAZh5hGhOUvlKq6xGCe"


def name_of(end: datetime, more: str = "") -> str:
    return f"A{end - QUARTER:%Y%m%d.%H%M}+0000-{end:%H%M}+0000_-{more}minka.xml"


def content(station: str, end: datetime, attempts: float = 5, suspect: str = "false") -> bytes:
    return f"""<measDataFile xmlns="http://www.3gpp.org/ftp/specs/archive/28_series/28.532#measData">
    <fileHeader fileFormatVersion="28.532 V16.0" dnPrefix=""/><measData><measEntity localDn="ManagedElement={station}"/>
    <measInfo measInfoId="c"><job jobId="minka"/><granPeriod duration="PT900S" endTime="{end.isoformat()}"/>
    <measType p="1">RRC.ConnEstabAtt.mo-Data</measType><measType p="2">acme.Unheard</measType>
    <measValue measObjLdn="ManagedElement={station},ENBFunction=1,EUtranCellFDD=1"><r p="1">{attempts}</r><r p="2">1</r>
    <suspect>{suspect}</suspect></measValue></measInfo></measData></measDataFile>""".encode()


class Bench:
    """A few adopted stations, one schedule, and as many workers as are asked for."""

    def __init__(self, stations: int = 1, performance: PerformanceData | None = None) -> None:
        self.clock = VirtualClock(NOON)
        self.store = open_store("sqlite://", self.clock)
        self.record = DirectStore(self.store)
        self.devices = FakeDevices(self.clock)
        self.names = [f"S{number}" for number in range(stations)]
        self.network = Network(
            header=NetworkHeader(
                id="n", name="N", country="PE", timezone="UTC", performance=performance or PerformanceData()
            ),
            stations=tuple(
                Station.model_validate(
                    {"id": name, "site": "s", "profiles": PROFILES, "transport_address": "10.0.0.1", "enb_id": 1}
                )
                for name in self.names
            ),
            endpoints=tuple(Endpoint(station=name, address="127.0.0.1", host_key=KEY) for name in self.names),
        )
        self.store.networks.save(self.network, f"{stations} stations", "ana")
        for name in self.names:
            self.store.devices.adopt(name, [], "d", "ana")
            self.devices.add(name, PROFILES, {f"/ManagedElement[{name}]": {}}).files = {}
        self.wakeups = FakeWakeups()
        self.schedule = CollectionSchedule(self.record, self.wakeups, self.clock)
        self.worker = self.another("w")

    def another(self, holder: str) -> Collector:
        return Collector(holder, self.record, self.devices, self.clock, target_of)

    def __getitem__(self, number: int) -> FakeDevice:
        return self.devices[self.names[number]]

    def put(self, end: datetime, number: int = 0, more: str = "", **values: object) -> None:
        """A file of the period that ended then."""
        files = self[number].files
        assert files is not None
        files[name_of(end, more)] = content(self.names[number], end, **values)  # type: ignore[arg-type]

    async def collect(self, worker: Collector | None = None) -> None:
        """All that is due, on record."""
        worker = worker or self.worker
        await self.schedule.step()
        await worker.step()
        await until(lambda: not worker._tasks)
        await worker.step()

    async def later(self, seconds: float) -> None:
        await self.schedule.step()
        await self.clock.advance(seconds)
        await self.collect()

    def read(self, number: int = 0) -> list[Measured]:
        day = timedelta(days=1)
        return list(self.store.measurements.read(NOON - day, NOON + day, 900, [self.names[number]]))

    def ends(self, number: int = 0) -> list[str]:
        return [f"{one.begin + QUARTER:%H:%M}" for one in self.read(number)]

    def figure(self, name: str, label: str) -> float:
        return self.store.status.figures()[f"minka_collection_{name}_total"].get((label,), 0.0)

    def __enter__(self) -> Bench:
        return self

    def __exit__(self, *_: object) -> None:
        self.store.close()


@pytest.fixture
def bench() -> Iterator[Bench]:
    with closing((made := Bench()).store):
        yield made


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-10-01T{text}:00+00:00")


async def test_files_are_taken_once_and_mapped(bench: Bench) -> None:
    bench.put(at("12:00"))
    await bench.collect()
    assert bench.store.collections.find()["S0"].tried is None, "first looks at new stations are spread"
    await bench.later(60)
    assert bench.wakeups.collectors >= 1
    (found,) = bench.read()
    assert found.cells == {"1": {"RRC.ConnEstabAtt": {Subject(): 5.0}}}
    assert [(one.name, one.count) for one in bench.store.collected_files.unknown()] == [("acme.Unheard", 1)]
    one = bench.store.collections.find()["S0"]
    assert (one.newest, one.reason, one.holder) == (at("12:00"), "", "")
    assert one.due == next_due("S0", bench.clock.now(), 900)
    await bench.later(900)
    await bench.later(900)
    assert bench[0].fetched == [name_of(at("12:00"))], "what was taken is not fetched again"
    assert bench.figure("periods", "new") == 1


async def test_late_files_and_those_of_a_dark_time_fill_the_gaps_that_were_known(bench: Bench) -> None:
    bench.put(at("12:00"))
    await bench.later(60)
    await bench.later(900)  # 12:15 is late
    late = bench.store.collections.find()["S0"]
    assert (late.missing, late.due - bench.clock.now()) == (1, timedelta(minutes=1))
    bench[0].unreachable = "no route"
    await bench.later(900)
    dark = bench.store.collections.find()["S0"]
    assert (dark.failures, dark.reason, dark.missing) == (1, "unreachable", 2)
    bench[0].unreachable = ""
    for end in ("12:15", "12:30", "12:45"):
        bench.put(at(end))
    await bench.later(900)
    assert bench.ends() == ["12:00", "12:15", "12:30", "12:45"]
    whole = bench.store.collections.find()["S0"]
    assert (whole.failures, whole.reason, whole.missing) == (0, "", 0)
    assert bench.figure("periods", "late") == 2
    assert bench.figure("failures", "unreachable") == 1


async def test_a_file_that_is_wrong_keeps_no_other_from_being_taken(bench: Bench) -> None:
    bench.put(at("11:30"))
    bench.put(at("11:45"))
    bench.put(at("12:00"))
    files = bench[0].files
    assert files is not None
    files[name_of(at("11:00"))] = content("S0", at("11:00"))[:-40]
    files[name_of(at("11:15"))] = bytes((32 << 20) + 1)
    files["readme.txt"] = b"no measurements"
    bench[0].file_errors[name_of(at("11:45"))] = DeviceRefusedError("no", tag="access-denied")
    await bench.later(60)
    assert bench.ends() == ["11:30", "12:00"]
    assert bench.figure("files_refused", "malformed") == 1
    assert bench.figure("files_refused", "oversized") == 1
    assert bench.figure("files_refused", "access-denied") == 1
    files[name_of(at("11:00"))] = content("S0", at("11:00"))  # it was still being written
    await bench.later(900)
    assert bench.ends() == ["11:00", "11:30", "12:00"]
    assert bench[0].fetched.count(name_of(at("11:00"))) == 2
    assert "readme.txt" not in bench[0].fetched


async def test_a_file_that_stays_wrong_is_fetched_twice_and_not_for_ever(bench: Bench) -> None:
    files = bench[0].files
    assert files is not None
    files[name_of(at("12:00"))] = b"<measDataFile"
    for _ in range(4):
        await bench.later(900)
    assert bench[0].fetched == [name_of(at("12:00"))] * 2


async def test_nobody_waits_for_the_rest_of_a_file_when_the_process_ends(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.put(at("12:00"))
    begun, go_on, pieces = threading.Event(), threading.Event(), list[bytes]()

    def read(_: str, content: Iterable[bytes]) -> list[Period]:
        for piece in content:
            pieces.append(piece)
            begun.set()
            go_on.wait(60)
        return []

    monkeypatch.setattr(collection, "read_file", read)
    monkeypatch.setattr(collection, "_PIECE", 16)
    await bench.schedule.step()
    await bench.clock.advance(60)
    await bench.worker.step()
    assert await asyncio.to_thread(begun.wait, 60)
    await bench.worker.close()
    go_on.set()
    await asyncio.get_running_loop().shutdown_default_executor()  # as the loop of a process does at its end
    assert len(pieces) == 1


async def test_a_connection_that_breaks_keeps_what_came_before(bench: Bench) -> None:
    bench.put(at("12:00"))
    bench.put(at("11:45"))
    bench[0].file_errors[name_of(at("11:45"))] = SessionLostError("gone")
    await bench.later(60)
    assert bench.ends() == ["12:00"], "the newest comes first"
    assert bench.store.collections.find()["S0"].reason == "session-lost"
    bench[0].file_errors.clear()
    await bench.later(180)
    assert bench.ends() == ["11:45", "12:00"]


async def test_doubled_and_suspect_files_count_once(bench: Bench) -> None:
    bench.put(at("12:00"), suspect="true", attempts=2)
    bench.put(at("12:00"), more="copy-", suspect="false", attempts=9)
    bench.put(at("12:00"), more="third-", suspect="false", attempts=9)
    await bench.later(60)
    (found,) = bench.read()
    assert (found.suspect, found.cells["1"]["RRC.ConnEstabAtt"][Subject()]) == (False, 9.0)
    assert sum(bench.figure("periods", kind) for kind in ("new", "repeated", "replaced")) == 3
    assert bench.figure("periods", "new") == 1


async def test_two_workers_take_each_station_once_and_a_dead_ones_share_comes_back() -> None:
    with Bench(stations=90) as bench:
        for number in range(90):
            bench.put(at("12:00"), number)
        other = bench.another("x")
        await bench.schedule.step()
        await bench.clock.advance(60)
        await bench.worker.step()  # takes as many as it has places for, and dies
        for task in bench.worker._tasks:
            task.cancel()
        await bench.collect(other)
        assert len([number for number in range(90) if bench.read(number)]) == 90 - 64
        await bench.clock.advance(301)
        await bench.collect(other)
        await bench.collect(other)
        assert [len(bench.read(number)) for number in range(90)] == [1] * 90
        assert bench.figure("periods", "new") == 90


async def test_dark_stations_take_no_time_from_others() -> None:
    with Bench(stations=150) as bench:
        for number in range(150):
            bench.put(at("12:00"), number)
            if number < 100:
                bench[number].latency = 10_000
        await bench.schedule.step()
        await bench.clock.advance(60)
        lit = range(100, 150)
        for _ in range(8):  # rounds, each of which gives the places of those that hang on
            await bench.worker.step()
            await bench.clock.advance(2)
        await until(lambda: len(bench.worker._tasks) <= 100)
        await bench.worker.step()
        assert [len(bench.read(number)) for number in lit] == [1] * 50
        await bench.worker.close()
        assert bench.store.collections.waiting() == 100


async def test_a_station_without_files_is_asked_for_its_latest_period(bench: Bench) -> None:
    bench[0].files = None
    cell = "ManagedElement=S0,ENBFunction=1,EUtranCellFDD=1"
    period = Period(job="j", begin=at("11:45"), end=at("12:00"), values={cell: {"RRC.ConnEstabAtt.mo-Data": 7}})
    bench[0].equipment.periods = (period,)
    await bench.later(60)
    await bench.later(900)
    (found,) = bench.read()
    assert found.cells == {"1": {"RRC.ConnEstabAtt": {Subject(): 7.0}}}
    assert bench.store.collections.find()["S0"].missing == 1


async def test_values_and_periods_that_can_not_be_are_left_out_and_told_of(bench: Bench) -> None:
    files = bench[0].files
    assert files is not None
    bench.put(at("11:30"), attempts=float("inf"))
    bench.put(at("11:45"), attempts=1e308)
    bench.put(at("12:00"))
    odd = b"".join(
        b'<measInfo><job jobId="odd"/><granPeriod duration="PT%dS" endTime="2026-10-01T12:00:00Z"/></measInfo>' % length
        for length in range(1, 200)
    ).replace(b"</measInfo>", b'<measValue measObjLdn="ENBFunction=1,EUtranCellFDD=1"/></measInfo>')
    name = name_of(at("12:00"))
    files[name] = files[name].replace(b"</measData>", odd + b"</measData>")
    with structlog.testing.capture_logs() as said:
        await bench.later(60)
    (told,) = [one for one in said if one["event"] == "collection.left_out"]
    assert told["unread"] == {"impossible": 2, "granularity": 199}
    assert bench.figure("periods", "refused") == 199
    assert [(one.begin + QUARTER, one.suspect, bool(one.cells)) for one in bench.read()] == [
        (at("11:30"), True, False),
        (at("11:45"), True, False),
        (at("12:00"), False, True),
    ]


async def test_nothing_is_collected_where_the_network_does_not_ask_for_it(bench: Bench) -> None:
    bench.put(at("12:00"))
    header = bench.network.header.model_copy(update={"performance": None})
    bench.store.networks.save(bench.network.model_copy(update={"header": header}), "without", "ana")
    await bench.later(60)
    assert (bench.store.collections.find(), bench[0].fetched) == ({}, [])


async def test_more_files_than_are_taken_at_a_time_follow_after_a_second(bench: Bench) -> None:
    for number in range(150):
        bench.put(at("12:00") - number * QUARTER)
    await bench.later(60)
    assert bench.store.collections.find()["S0"].due == bench.clock.now() + timedelta(seconds=1)
    await bench.later(1)
    assert len(bench[0].fetched) == 150
    assert bench.store.collections.find()["S0"].due > bench.clock.now() + timedelta(seconds=60)


async def test_a_station_that_always_has_more_files_gets_slower_and_others_come_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(collection, "_AT_A_TIME", 1)
    with Bench(stations=2) as bench:
        for number in range(40):
            bench.put(at("12:00") - number * QUARTER)
        bench.put(at("12:00"), 1)
        await bench.later(60)
        assert bench.ends(1) == ["12:00"]
        pauses = []
        for _ in range(9):
            one = bench.store.collections.find()["S0"]
            pauses.append((one.due - bench.clock.now()).total_seconds())
            bench.store.collections.hurry(["S0"])
            await bench.later(pauses[-1])
        assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]
        files = bench[0].files
        assert files is not None
        bench[0].files = {name: files[name] for name in [*files][:10]}
        await bench.later(60)
        assert bench.store.collections.find()["S0"].turns == 0


async def test_a_station_with_more_files_that_fails_is_one_that_failed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collection, "_AT_A_TIME", 1)
    for number in range(3):
        bench.put(at("12:00") - number * QUARTER)
        bench[0].file_errors[name_of(at("12:00") - number * QUARTER)] = SessionLostError("gone")
    await bench.later(60)
    one = bench.store.collections.find()["S0"]
    assert (one.reason, one.due) == ("session-lost", bench.clock.now() + timedelta(minutes=2))


async def test_a_flood_of_periods_in_one_hour_is_as_many_as_the_hour_has(bench: Bench) -> None:
    files = bench[0].files
    assert files is not None
    bench.put(at("12:00"))
    form = (
        b'<measInfo><job jobId="odd"/><granPeriod duration="PT900S" endTime="%s"/>'
        b'<measType p="1">RRC.ConnMean</measType><measValue measObjLdn="ENBFunction=1,EUtranCellFDD=1">'
        b'<r p="1">1</r></measValue></measInfo>'
    )
    ends = [at("11:45") + timedelta(microseconds=number) for number in range(500)]
    ends += [at("11:45") + timedelta(seconds=number) for number in range(1, 300)]
    many = b"".join(form % end.isoformat().encode() for end in ends)
    files[name_of(at("11:45"))] = content("S0", at("11:45")).replace(b"</measData>", many + b"</measData>")
    with structlog.testing.capture_logs() as said:
        await bench.later(60)
    assert bench.ends() == ["11:45", "12:00"], "what is some seconds off belongs to the period"
    assert bench.read()[0].cells == {"1": {"RRC.ConnEstabAtt": {Subject(): 5.0}, "RRC.ConnMean": {Subject(): 1.0}}}
    (told,) = [one for one in said if one["event"] == "collection.left_out"]
    assert told["unread"] == {"off-grid": 299 - 30}
    assert bench.figure("periods", "refused") == 299 - 30
    assert bench.figure("periods", "new") == 2


async def test_of_a_file_with_very_many_periods_the_newest_are_taken(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collection, "_PERIODS_AT_A_TIME", 3)
    files = bench[0].files
    assert files is not None
    ends = [at("12:00") - number * QUARTER for number in range(8)]
    begin, info, end = content("S0", ends[0]).partition(b"<measInfo")[0], b"", b"</measData></measDataFile>"
    for one in ends:
        info += b"<measInfo" + content("S0", one).partition(b"<measInfo")[2].removesuffix(end)
    files[name_of(ends[0])] = begin + info + end
    await bench.later(60)
    assert bench.ends() == ["11:30", "11:45", "12:00"]
    assert bench.figure("periods", "refused") == 5


def test_periods_are_due_after_they_have_settled_and_stations_are_spread() -> None:
    seconds = {int((next_due(f"S{n}", at("12:00"), 900) - at("12:00")).total_seconds()) for n in range(500)}
    assert min(seconds) >= 60
    assert max(seconds) < 120
    assert len(seconds) > 50
    assert next_due("S0", next_due("S0", at("12:00"), 900), 900) == next_due("S0", at("12:00"), 900) + QUARTER
    assert expected_end(at("12:00"), 900) == at("11:45")
    assert expected_end(at("12:01"), 900) == at("12:00")


async def test_a_wake_up_of_no_run_is_for_the_collector_of_a_worker() -> None:
    thread = LoopThread(Settings(), "w", on_end=lambda: None)
    thread._asyncio = asyncio.get_running_loop()
    thread.wake("")
    await asyncio.wait_for(thread._collection.wait(), 30)


def half(unit: str, end: datetime, *cells: str) -> bytes:
    """A file of a control plane: connections tried at the central halves of cells."""
    values = "".join(
        f'<measValue measObjLdn="ManagedElement={unit},GNBCUCPFunction=1,NRCellCU={cell}"><r p="1">7</r></measValue>'
        for cell in cells
    )
    return f"""<measDataFile xmlns="http://www.3gpp.org/ftp/specs/archive/28_series/28.532#measData">
    <fileHeader fileFormatVersion="28.532 V16.0" dnPrefix=""/><measData><measEntity localDn="ManagedElement={unit}"/>
    <measInfo measInfoId="c"><job jobId="minka"/><granPeriod duration="PT900S" endTime="{end.isoformat()}"/>
    <measType p="1">RRC.ConnEstabAtt.mo-Data</measType>{values}</measInfo></measData></measDataFile>""".encode()


def positions(end: datetime) -> bytes:
    """A file with a volume of the second PLMN in the list."""
    return content("S0", end).replace(b"RRC.ConnEstabAtt.mo-Data", b"DRB.PdcpSduVolumeDl_Plmn2Qci9")


def check(bench: Bench, *texts: str, plmns: tuple[str, ...] = ("716-06", "716-15")) -> None:
    for text in texts:
        bench.store.healths.save([Health(station="S0", at=at(text), reachable=True, plmns={"1": plmns})])


async def test_a_file_that_names_plmns_by_position_waits_for_the_check_after_its_period(bench: Bench) -> None:
    check(bench, "11:40", "11:49", "11:58")
    bench[0].files = {name_of(at("12:00")): positions(at("12:00"))}
    for _ in range(2):
        await bench.later(60)
    assert bench.read() == []
    assert "S0" in bench.store.healths.asked()
    check(bench, "12:03")
    await bench.later(60)
    (found,) = bench.read()
    assert found.cells == {"1": {"DRB.PdcpSduVolumeDL": {Subject("716-15", 9): 5.0}}}


@pytest.mark.parametrize("order", [("716-15", "716-06"), None])
async def test_a_list_that_changed_in_the_period_or_is_not_read_any_more_tells_nobody(
    bench: Bench, order: tuple[str, str] | None
) -> None:
    check(bench, "11:40", "11:49", "11:58")
    if order:
        check(bench, "12:01", plmns=order)
    bench[0].files = {name_of(at("12:00")): positions(at("12:00"))}
    for _ in range(20):
        await bench.later(60)
    (found,) = bench.read()
    assert found.cells == {"1": {"minka.VolumeUnreadTime": {Subject(): 900.0}}}


async def test_of_lists_of_a_station_none_is_read_that_ended_more_than_a_week_ago(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[datetime] = []
    read = bench.record.healths.listed_plmns

    async def listed(station: str, since: datetime) -> tuple[ListedPlmns, ...]:
        asked.append(since)
        return await read(station, since)

    monkeypatch.setattr(bench.record.healths, "listed_plmns", listed)
    end = at("12:00") - timedelta(days=9000)
    bench[0].files = {name_of(end): positions(end)}
    await bench.later(60)
    (since,) = asked
    assert timedelta(days=7) - timedelta(minutes=5) <= bench.clock.now() - since <= timedelta(days=7)


async def test_what_a_control_plane_counts_is_of_the_stations_whose_cells_it_has_and_volumes_of_its_user_plane(
    bench: Bench,
) -> None:
    names = ("CP-E", "UP-E", "S1", "S2")
    header = {**split_gnb().header.model_dump(mode="json"), "performance": {}, "timezone": "UTC"}
    endpoints = [{"station": name, "address": "127.0.0.1", "host_key": KEY} for name in names]
    bench.network = split_gnb(header=header, endpoints=endpoints)
    bench.store.networks.save(bench.network, "split", "ana")
    for name in names:
        bench.store.devices.adopt(name, [], "d", "ana")
        bench.devices.add(name, ("nr-28541",), {f"/ManagedElement[{name}]": {}}).files = {}
    end = at("12:00")
    bench.devices["S1"].files = {
        name_of(end): content("S1", end)
        .replace(b"ENBFunction=1,EUtranCellFDD=1", b"GNBDUFunction=1,NRCellDU=n78-1")
        .replace(b"RRC.ConnEstabAtt.mo-Data", b"RRU.PrbTotDl")
    }
    bench.devices["CP-E"].files = {name_of(end): half("CP-E", end, "S1.n78-1", "S2.n78-1")}
    bench.devices["UP-E"].files = {
        name_of(end): content("UP-E", end)
        .replace(b"ENBFunction=1,EUtranCellFDD=1", b"GNBCUUPFunction=1")
        .replace(b"RRC.ConnEstabAtt.mo-Data", b"QosFlow.PdcpSduVolumeDL.716-01.9.1-000001")
    }
    for _ in range(2):
        await bench.later(60)
    day = timedelta(days=1)
    found = {one.station: one for one in bench.store.measurements.read(NOON - day, NOON + day, 900)}
    tried = {"RRC.ConnEstabAtt": {Subject(): 7.0}}
    assert found["S1"].cells == {"n78-1": {"RRU.PrbTotDl": {Subject(): 5.0}, **tried}}
    assert found["S2"].cells == {"n78-1": tried}
    assert found["UP-E"].cells == {"": {"QosFlow.PdcpSduVolumeDL": {Subject("716-01", 9, "1-000001"): 5.0}}}
    assert {name: one.covered for name, one in found.items()} == {"CP-E": 900, "UP-E": 900, "S1": 900, "S2": 0}
    gaps = bench.store.measurements.gaps(end - QUARTER, end, ["CP-E", "S1", "S2"])
    assert [one.station for one in gaps] == ["S2"], "its own part was not collected"
    followed = bench.store.collections.find()
    assert {"CP-E", "UP-E", "S1", "S2"} <= followed.keys()
