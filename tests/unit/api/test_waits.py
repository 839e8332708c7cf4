"""What runs wait for is said in every answer about them, and no paused run is overtaken silently."""

from __future__ import annotations

from typing import Any

from tests.unit.api.bench import ApiBench
from tests.unit.api.test_routes import load_and_adopt, plan


async def started(bench: ApiBench, status: int = 202, **body: Any) -> dict[str, Any]:
    made = await plan(bench, expect_stations=4)
    answer = await bench.client.post("/v1/runs", json={"plan": made["id"], **body})
    assert answer.status_code == status, answer.text
    said: dict[str, Any] = answer.json()
    return said


async def waits(bench: ApiBench, run: str) -> list[dict[str, Any]]:
    one = (await bench.client.get(f"/v1/runs/{run}")).json()["waits_for"]
    listed = (await bench.client.get("/v1/runs")).json()["results"]
    assert next(other["waits_for"] for other in listed if other["id"] == run) == one
    return list(one)


async def test_a_hold_and_a_pause_are_shown_with_who_can_end_them(bench: ApiBench) -> None:
    first, *_ = await load_and_adopt(bench)
    run = await started(bench)
    (alone,) = await waits(bench, run["id"])
    assert alone["what"] == "no worker lives that could go on with it; none was ever started"
    worker = bench.store.processes.register("w")
    assert await waits(bench, run["id"]) == []
    await bench.client.post("/v1/holds", json={"target": first, "reason": "mast"})
    bench.store.processes.heartbeat(worker)
    (held,) = await waits(bench, run["id"])
    assert held["what"] == f"hold on {first} by ana: mast"
    assert (held["who"], held["stations"], held["since"]) == (
        "whoever may lift it: minka hold lift",
        1,
        run["created"],
    )
    paused = (await bench.client.post(f"/v1/runs/{run['id']}/pause")).json()
    assert paused["state"] == "paused"
    told, *_ = await waits(bench, run["id"])
    assert (told["what"], told["who"]) == ("paused by ana", "whoever may run: minka resume")
    assert told["since"] > run["created"]
    await bench.client.post(f"/v1/runs/{run['id']}/cancel")


async def test_a_paused_run_is_not_overtaken_unless_that_is_said(bench: ApiBench) -> None:
    await load_and_adopt(bench)
    key = {"Idempotency-Key": "k"}
    made = await plan(bench, expect_stations=4)
    run = (await bench.client.post("/v1/runs", json={"plan": made["id"]}, headers=key)).json()
    await bench.client.post(f"/v1/runs/{run['id']}/pause")
    refused = await started(bench, status=409)
    assert f"run {run['id']} is paused and has yet to change" in refused["detail"]
    assert "resume or cancel it first, or say overtake" in refused["detail"]
    again = await bench.client.post("/v1/runs", json={"plan": made["id"]}, headers=key)
    assert (again.status_code, again.json()["id"]) == (202, run["id"])
    assert (await started(bench, overtake=True))["id"] != run["id"]
    await bench.client.post(f"/v1/runs/{run['id']}/cancel")
