"""Answers that tell how far they are, and end with the result or a problem."""

from __future__ import annotations

from tests.unit.api.bench import ApiBench
from tests.unit.api.test_routes import events_of, load_and_adopt, plan


async def test_planning_tells_how_far_it_is(bench: ApiBench) -> None:
    await load_and_adopt(bench)
    made = await plan(bench, expect_stations=4)
    answer = await bench.client.post("/v1/plans?progress=true", json={"expect_stations": 4})
    *progress, (name, whole) = events_of(answer.text)
    assert {one for one, _ in progress} == {"progress"}
    assert all(0 <= said["done"] <= said["total"] for _, said in progress)
    assert (name, whole["id"], whole["changes"]) == ("plan", made["id"], made["changes"])
    refused = await bench.client.post("/v1/plans?progress=true", json={"expect_stations": 1})
    name, problem = events_of(refused.text)[-1]
    assert (name, problem["status"], problem["type"]) == ("problem", 409, "urn:minka:error:plan-refused")
    assert problem["detail"].endswith("expect 4 devices")
    assert problem["allow"] == {"remove": {}, "expect_stations": 4}


async def test_so_does_adopting(bench: ApiBench) -> None:
    await load_and_adopt(bench)
    answer = await bench.client.post("/v1/devices/adopt?progress=true", json={"selector": "*"})
    *progress, (name, said) = events_of(answer.text)
    assert {one for one, _ in progress} == {"progress"}
    assert (name, len(said)) == ("adopted", 4)
    assert all(one["code"] == "adopted" and one["words"].startswith("adopted, ") for one in said.values())
    again = await bench.client.post("/v1/devices/adopt", json={"selector": "*"})
    assert again.json().keys() == said.keys()
    refused = await bench.client.post("/v1/devices/adopt?progress=true", json={"selector": "x=y"})
    assert events_of(refused.text)[-1][0] == "problem"


async def test_so_does_planning_what_takes_a_run_back(bench: ApiBench) -> None:
    await load_and_adopt(bench)
    made = await plan(bench, expect_stations=4)
    run = (await bench.client.post("/v1/runs", json={"plan": made["id"]})).json()
    answer = await bench.client.post(f"/v1/runs/{run['id']}/undo?progress=true", json={})
    *progress, (name, problem) = events_of(answer.text)
    assert {one for one, _ in progress} == {"progress"}
    assert (name, problem["status"]) == ("problem", 409)
    assert "wait for its end" in problem["detail"]
