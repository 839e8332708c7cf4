"""Indicators over time by the API: levels, tenants, steps, pages, CSV, and what is refused."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from controller.models.measurement import Measured, Subject, Values
from controller.models.network import PerformanceData, network_digest
from controller.models.people import Role
from tests.support.callers import admit
from tests.unit.api.bench import ApiBench
from tests.unit.intent.test_outages import network as shared

BEGIN = "2020-01-05T00:00:00Z"
END = "2020-01-05T02:00:00Z"


@pytest.fixture
def measured(bench: ApiBench) -> ApiBench:
    """Two stations of two cells, two hours; alfa is on each cell with a tenth of what is carried."""
    made = shared()
    bench.store.networks.save(made, network_digest(made), "ana")
    first = datetime.fromisoformat(BEGIN)
    periods = []
    for station in ("S1", "S2"):
        for at in range(8):
            volume: Values = {Subject(): 800.0 * (at + 1), Subject("716-01"): 80.0 * (at + 1)}
            cells = {cell: {"DRB.PdcpSduVolumeDL": volume, **setups(at)} for cell in ("L1", "N1")}
            begin = first + at * timedelta(minutes=15)
            periods.append(Measured(station=station, begin=begin, seconds=900, covered=900, cells=cells))
    bench.store.measurements.put(periods)
    return bench


def setups(at: int) -> dict[str, Values]:
    return {"RRC.ConnEstabAtt": {Subject(): 20.0}, "RRC.ConnEstabSucc": {Subject(): 20.0 - at}}


async def get(bench: ApiBench, path: str, status: int = 200, **asked: Any) -> Any:
    answer = await bench.client.get(f"/v1/kpis{path}", params={"begin": BEGIN, "end": END} | asked if path else {})
    assert answer.status_code == status, answer.text
    return answer.json()


async def test_of_a_tenant_that_left_the_network_files_no_indicator_is_found(measured: ApiBench) -> None:
    admit(measured.store, "token-of-leo", "leo", Role.TENANT_VIEWER, "gone")
    async with measured.with_token("token-of-leo") as leo:
        for asked, status in (({"tenant": "gone"}, 404), ({"level": "tenant", "tenant": "gone"}, 404)):
            answer = await leo.get("/v1/kpis/volume-down", params={"begin": BEGIN, "end": END} | asked)
            assert answer.status_code == status, answer.text
        answer = await leo.get("/v1/kpis/volume-down", params={"begin": BEGIN, "end": END, "level": "tenant"})
        assert answer.status_code in {200, 404}, answer.text


async def test_definitions_are_listed_with_formula_and_source(measured: ApiBench) -> None:
    found = {one["name"]: one for one in (await get(measured, ""))["results"]}
    assert found["volume-down"]["formula"] == "DRB.PdcpSduVolumeDL / 8000"
    assert "TS 32.450 §6.1.1" in found["accessibility"]["source"]


@pytest.mark.parametrize(
    ("asked", "names", "gigabytes"),
    [
        ({"level": "cell"}, ["S1/L1", "S1/N1", "S2/L1", "S2/N1"], 3.6),
        ({"level": "station"}, ["S1", "S2"], 7.2),
        ({"level": "station", "selector": "S2"}, ["S2"], 7.2),
        ({"level": "network"}, ["*"], 14.4),
        ({"level": "network", "tenant": "alfa"}, ["*"], 1.44),
        ({"level": "tenant", "tenant": "alfa"}, ["alfa"], 1.44),
        ({"level": "station", "end": "2020-01-05T01:00:00Z"}, ["S1", "S2"], 2.0),
    ],
)
async def test_volume_adds_up_at_each_level(
    measured: ApiBench, asked: dict[str, Any], names: list[str], gigabytes: float
) -> None:
    found = await get(measured, "/volume-down", step="quarter", **asked)
    assert [one["of"] for one in found["results"]] == names
    assert {round(one["figure"]["value"], 6) for one in found["results"]} == {gigabytes}
    values = [point["value"] for point in found["results"][0]["points"]]
    assert values == sorted(values)
    assert sum(values) == pytest.approx(gigabytes)


async def test_what_is_asked_for_and_counted_nothing_says_so(measured: ApiBench) -> None:
    found = await get(measured, "/volume-down", level="tenant", step="quarter")
    why = {one["of"]: one["figure"]["why"] for one in found["results"]}
    assert why["alfa"] == ""
    assert {why[name] for name in why if name != "alfa"} <= {"it is not measured", "nothing was measured"}


async def test_a_share_has_its_interval_and_says_when_its_sample_is_small(measured: ApiBench) -> None:
    found = await get(measured, "/rrc-setup-success", level="cell", step="quarter")
    figure = found["results"][0]["figure"]
    assert figure["value"] == pytest.approx(100 * (160 - 28) / 160)
    assert figure["low"] < figure["value"] < figure["high"]
    short = await get(measured, "/rrc-setup-success", level="cell", step="quarter", end="2020-01-05T00:30:00Z")
    assert short["results"][0]["figure"]["why"] == "only 40 attempts, and 100 are needed"
    assert [point["sample"] for point in short["results"][0]["points"]] == [20, 20]


async def test_answers_come_in_pages_and_as_csv(measured: ApiBench) -> None:
    asked: dict[str, Any] = {"level": "cell", "step": "quarter"}
    first = await get(measured, "/volume-down", limit=3, **asked)
    assert (first["count"], first["next"]) == (4, 3)
    last = await get(measured, "/volume-down", limit=3, offset=3, **asked)
    assert ([one["of"] for one in last["results"]], last["next"]) == (["S2/N1"], None)
    span = {"begin": BEGIN, "end": "2020-01-05T00:30:00Z"}
    answer = await measured.client.get("/v1/kpis/volume-down", params={**asked, **span, "limit": 1, "format": "csv"})
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.text.splitlines() == [
        "kpi,unit,of,begin,value,sample",
        "volume-down,GB,S1/L1,2020-01-05T00:00:00Z,0.1,900.0",
        "volume-down,GB,S1/L1,2020-01-05T00:15:00Z,0.2,900.0",
    ]


@pytest.mark.parametrize(
    ("path", "asked", "status", "said"),
    [
        ("/volumes", {}, 404, "there is no KPI volumes; did you mean"),
        ("/volume-down", {"tenant": "alpha"}, 404, "there is no tenant alpha; did you mean 'alfa'?"),
        ("/users", {"tenant": "alfa"}, 422, "users is not available by tenant"),
        ("/volume-down", {"end": BEGIN}, 422, "the end has to be after the begin"),
        ("/volume-down", {"begin": "2010-01-01T00:00:00Z", "step": "quarter"}, 422, "these are too many periods"),
        ("/volume-down", {"level": "site"}, 422, "level"),
    ],
)
async def test_what_can_not_be_answered_is_said(
    measured: ApiBench, path: str, asked: dict[str, Any], status: int, said: str
) -> None:
    assert said in (await get(measured, path, status, **asked))["detail"]


async def test_the_step_is_the_shortest_that_has_room(measured: ApiBench) -> None:
    for begin, seconds in (
        ("2020-01-05T00:00:00Z", 900),
        ("2019-12-30T00:00:00Z", 3600),
        ("2019-06-01T00:00:00Z", 86400),
    ):
        assert (await get(measured, "/volume-down", begin=begin))["seconds"] == seconds


async def test_the_step_is_no_shorter_than_what_stations_measure(measured: ApiBench) -> None:
    made = shared()
    header = made.header.model_copy(update={"performance": PerformanceData(granularity_minutes=60)})
    made = made.model_copy(update={"header": header})
    measured.store.networks.save(made, network_digest(made), "ana")
    assert (await get(measured, "/volume-down"))["seconds"] == 3600
