"""Performance data by the API: what came, what is missing, which counters are known; for the host alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import update

from controller.models.measurement import DAY, QUARTER, Measured, Subject
from controller.models.network import network_digest
from controller.models.people import Role
from controller.performance.vocabulary import COUNTERS
from controller.store import CollectedFile
from controller.store.network.collections import collections
from tests.support.callers import admit
from tests.unit.api.bench import ApiBench
from tests.unit.intent.test_outages import network as shared

QUARTERS = timedelta(seconds=QUARTER)
REFUSED = CollectedFile(station="S1", name="C2.xml", digest="2f", error="malformed")


@pytest.fixture
def hour(bench: ApiBench) -> datetime:
    """Begin of the present hour. Of two stations one is collected, since two days; since six hours it misses two."""
    made, now = shared(), datetime.now(UTC)
    hour = now.replace(minute=0, second=0, microsecond=0)
    bench.store.networks.save(made, network_digest(made), "ana")
    bench.store.collections.follow({"S1": now})
    with bench.store.database.engine.begin() as connection:
        connection.execute(update(collections).values(since=hour - timedelta(days=2), missing=8, reason="unreachable"))
    cells = {"L1": {"RRC.ConnMean": {Subject(): 3.0}}}
    bench.store.measurements.put(
        Measured(station="S1", begin=hour + at * QUARTERS, seconds=QUARTER, covered=QUARTER, cells=cells)
        for at in range(-24, 8)
        if not -16 <= at < -8 and hour + at * QUARTERS < now
    )
    bench.store.collected_files.put([REFUSED])
    return hour


async def get(bench: ApiBench, path: str, status: int = 200, **asked: Any) -> Any:
    answer = await bench.client.get(f"/v1/measurements{path}", params=asked)
    assert answer.status_code == status, answer.text
    return answer.json()


async def test_counters_have_unit_source_and_how_they_add_up(bench: ApiBench) -> None:
    page = await get(bench, "/counters", limit=1000)
    assert page["count"] == len(page["results"]) == len(COUNTERS)
    found = {one["name"]: one for one in page["results"]}
    assert found["RRU.CellUnavailableTime"] == {
        "name": "RRU.CellUnavailableTime",
        "unit": "s",
        "over_time": "sum",
        "over_cells": "sum",
        "source": "TS 32.425 §4.5.6",
        "aliases": ["minka-CellUnavailableTime"],
    }
    assert [one["name"] for one in (await get(bench, "/counters", limit=1, offset=3))["results"]] == [COUNTERS[3].name]


async def test_unknown_counters_are_told_with_who_has_them(bench: ApiBench) -> None:
    bench.store.collected_files.miss("S1", {"VS.Odd": 3})
    (one,) = (await get(bench, "/unknown-counters"))["results"]
    assert (one["name"], one["count"], one["station"]) == ("VS.Odd", 3, "S1")


async def test_stations_that_miss_something_are_told(bench: ApiBench, hour: datetime) -> None:
    (one,) = (await get(bench, "/stations"))["results"]
    assert (one["station"], one["missing"], one["reason"]) == ("S1", 8, "unreachable")
    assert (await get(bench, "/stations", incomplete=True))["count"] == 1
    assert (await get(bench, "/stations", selector="S2"))["count"] == 0


async def test_a_station_tells_its_gaps_and_its_files(bench: ApiBench, hour: datetime) -> None:
    found = await get(bench, "/stations/S1")
    gap = {"begin": hour - 16 * QUARTERS, "end": hour - 8 * QUARTERS, "seconds": 7200}
    assert gap in [
        {"seconds": one["seconds"]} | {name: datetime.fromisoformat(one[name]) for name in ("begin", "end")}
        for one in found["missing"]
    ]
    assert len(found["missing"]) == 2  # and what was before
    assert found["collection"]["station"] == "S1"
    assert [(one["name"], one["error"]) for one in found["files"]] == [("C2.xml", "malformed")]
    other = await get(bench, "/stations/S2", days=35)
    assert (other["collection"], other["missing"], other["files"]) == (None, [], [])
    assert "there is no station S3" in (await get(bench, "/stations/S3", 404))["detail"]


async def test_cells_whose_silence_tells_nothing_are_named(bench: ApiBench, hour: datetime) -> None:
    zone = ZoneInfo(shared().header.timezone)
    today = datetime.now(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    for station, setups in (("S1", 20.0), ("S2", 1.0)):
        cells = {"L1": {"RRC.ConnEstabSucc": {Subject(): setups}}}
        days = [today - timedelta(days=number) for number in range(14, 0, -1)]
        bench.store.measurements.put(
            Measured(station=station, begin=begin, seconds=DAY, covered=DAY, cells=cells) for begin in days
        )
    found = {one["cell"]: one for one in (await get(bench, "/silences"))["results"]}
    assert set(found) == {cell.name for cell in shared().cells}
    assert found["S1/L1"] == {"cell": "S1/L1", "days": 1, "quietest": 20, "known": 14, "obstacle": None}
    assert found["S2/L1"] == {"cell": "S2/L1", "days": None, "quietest": 1, "known": 14, "obstacle": "few-connections"}
    other = next(name for name in found if name.startswith("S1/") and name != "S1/L1")
    assert (found[other]["obstacle"], found[other]["quietest"]) == ("not-counted", None)
    page = await get(bench, "/silences", selector="S2", limit=1)
    assert (page["count"], [one["cell"] for one in page["results"]]) == (
        len(shared().cells_by_station["S2"]),
        ["S2/L1"],
    )


async def test_tenants_are_told_nothing_of_it(bench: ApiBench, hour: datetime) -> None:
    admit(bench.store, "token-of-eva", "eva", Role.TENANT_APPROVER, "alfa")
    async with bench.with_token("token-of-eva") as eva:
        for path in ("stations", "stations/S1", "counters", "unknown-counters", "silences"):
            assert (await eva.get(f"/v1/measurements/{path}")).status_code == 404
