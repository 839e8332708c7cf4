"""What the routes do: networks, plans, runs, pages, events, audit."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from controller.api.auth import FIRST, digest, ensure_token
from controller.models.credentials import LOOPBACK_ONLY
from controller.models.errors import InputError, StoreError
from controller.models.run import Outcome, Run, RunState
from controller.plan import plan_to_json
from controller.ports.secrets import EnvironmentSecrets, NamedSecrets
from controller.ports.store import JobResult, Page, Transition
from controller.remediation.breaker import Breaker
from tests.unit.api.desk import TINY, Desk, files_of

ELEMENT = {"priorityLabel": "1"}


async def load(desk: Desk, **files: str) -> dict[str, Any]:
    answer = await desk.client.put("/v1/network", json={"files": {**files_of(TINY), **files}})
    assert answer.status_code == 200, answer.text
    said: dict[str, Any] = answer.json()
    return said


async def load_and_adopt(desk: Desk) -> list[str]:
    """The tiny network, its stations as the factory made them, adopted."""
    await load(desk)
    network = desk.store.networks.get()[1]
    for station in network.stations:
        desk.devices.add(station.id, station.profiles, {f"/ManagedElement[{station.id}]": ELEMENT})
    answer = await desk.client.post("/v1/devices/adopt", json={"selector": "*"})
    assert all(text.startswith("adopted") for text in answer.json().values())
    return [station.id for station in network.stations]


async def plan(desk: Desk, **body: Any) -> dict[str, Any]:
    answer = await desk.client.post("/v1/plans", json=body)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def test_a_network_is_loaded_once(desk: Desk) -> None:
    first = await load(desk)
    assert first["changed"]
    assert first["counts"]["stations"] == len(desk.store.networks.get()[1].stations)
    assert (await load(desk)) == first | {"changed": False}
    assert (await desk.client.get("/v1/network")).json()["digest"] == first["digest"]


async def test_a_network_whose_devices_secret_is_not_there_is_loaded_with_a_warning(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets = NamedSecrets(LOOPBACK_ONLY, EnvironmentSecrets(tmp_path))
    desk.app.state.services = replace(desk.app.state.services, missing_secret=secrets.missing)
    monkeypatch.delenv("MINKA_DEVICE_PASSWORD", raising=False)
    (warning,) = (await load(desk))["warnings"]
    assert warning == (
        "credential 'device' of T-BOTH-1 and 3 more: the secret reference 'env:MINKA_DEVICE_PASSWORD' leads nowhere: "
        "set the variable or create the file, for the API, workers, listener and scheduler"
    )
    monkeypatch.setenv("MINKA_DEVICE_PASSWORD", "secret")
    assert (await load(desk))["warnings"] == []


async def test_stations_that_leave_the_files_with_our_nodes_on_them_are_named(desk: Desk) -> None:
    await load_and_adopt(desk)
    desk.store.devices.retire("T-NR-1", "ana")
    assert (await load(desk))["abandoned"] == []
    without = {
        name: "".join(line for line in text.splitlines(keepends=True) if "T-LTE-2" not in line and "T-NR-1" not in line)
        for name, text in files_of(TINY).items()
    }
    # T-NR-1 was put out of service before it left.
    assert (await load(desk, **without))["abandoned"] == ["T-LTE-2"]
    assert (await load(desk))["abandoned"] == []


async def test_a_wrong_network_leaves_the_old_one(desk: Desk) -> None:
    first = await load(desk)
    answer = await desk.client.put("/v1/network", json={"files": {"network.yaml": "network: {}"}})
    assert answer.status_code == 422
    assert desk.store.networks.get()[0] == first["digest"]


async def test_endpoints_can_be_replaced(desk: Desk) -> None:
    await load(desk)
    before = desk.store.networks.get()[1].endpoints
    text = files_of(TINY)["endpoints.csv"].replace(",127.20.", ",127.21.")
    await desk.client.put("/v1/network", json={"files": files_of(TINY), "endpoints": text})
    after = desk.store.networks.get()[1].endpoints
    assert [e.station for e in after] == [e.station for e in before]
    assert all(str(e.address).startswith("127.21.") for e in after)


@pytest.mark.parametrize("limit", [1, 2, 3, 1000])
async def test_pages_add_up_to_the_whole(desk: Desk, limit: int) -> None:
    await load(desk)
    cells = [cell.id for cell in desk.store.networks.get()[1].cells]
    found: list[str] = []
    offset: int | None = 0
    while offset is not None:
        page = (await desk.client.get("/v1/network/cells", params={"limit": limit, "offset": offset})).json()
        assert page["count"] == len(cells)
        assert len(page["results"]) <= limit
        found += [item["id"] for item in page["results"]]
        offset = page["next"]
    assert found == cells


async def test_pages_of_plans_and_stations(desk: Desk) -> None:
    stations = await load_and_adopt(desk)
    for station in stations[:3]:
        await plan(desk, selector=station)
    first = (await desk.client.get("/v1/plans", params={"limit": 2})).json()
    rest = (await desk.client.get("/v1/plans", params={"limit": 2, "offset": first["next"]})).json()
    assert [p["selector"] for p in first["results"] + rest["results"]] == stations[2::-1]
    assert (first["count"], rest["next"]) == (3, None)
    beyond = (await desk.client.get("/v1/plans", params={"offset": 10})).json()
    assert beyond == {"count": 3, "next": None, "results": []}
    page = (await desk.client.get("/v1/devices", params={"limit": 1, "offset": 1})).json()
    assert [device["station"] for device in page["results"]] == stations[1:2]


async def test_a_fresh_fleet_is_left_out_until_adopted(desk: Desk) -> None:
    await load(desk)
    for station in desk.store.networks.get()[1].stations:
        desk.devices.add(station.id, station.profiles, {f"/ManagedElement[{station.id}]": ELEMENT})
    made = await plan(desk)
    assert made["changes"] == []
    assert all("adopt" in reason for reason in made["unplanned"].values())


async def test_drift_says_what_it_could_not_compare(desk: Desk) -> None:
    await load(desk)
    assert (await desk.client.post("/v1/devices/drift", json={})).json()["not_adopted"] == 4
    stations = await load_and_adopt(desk)
    desk.devices[stations[0]].unreachable = "the cable is cut"
    said = (await desk.client.post("/v1/devices/drift", json={})).json()
    assert said["unread"] == stations[:1]
    assert said["not_adopted"] == 0
    assert list(said["stations"]) == stations[1:]


async def test_an_equal_plan_is_the_same_plan(desk: Desk) -> None:
    (station, *_) = await load_and_adopt(desk)
    one, other = await plan(desk, selector=station), await plan(desk, selector=station)
    assert one["id"] == other["id"]
    assert (await desk.client.get(f"/v1/plans/{one['id']}")).json()["digest"] == one["digest"]
    assert (await desk.client.get(f"/v1/plans/{one['id']}")).content == plan_to_json(desk.store.plans.get(one["id"]))
    assert (await desk.client.get(f"/v1/plans/{one['id']}/compare/{other['id']}")).json()["results"] == []


async def test_a_plan_that_touches_too_much_is_refused_until_named(desk: Desk) -> None:
    stations = await load_and_adopt(desk)
    answer = await desk.client.post("/v1/plans", json={})
    assert answer.status_code == 409
    assert answer.json()["type"] == "urn:minka:error:plan-refused"
    assert str(len(stations)) in answer.json()["detail"]
    assert len((await plan(desk, expect_stations=len(stations)))["changes"]) == len(stations)


async def start(desk: Desk, plan_id: str, key: str, **more: Any) -> httpx.Response:
    return await desk.client.post("/v1/runs", json={"plan": plan_id, **more}, headers={"Idempotency-Key": key})


async def test_a_key_starts_one_run(desk: Desk) -> None:
    (station, other, *_) = await load_and_adopt(desk)
    made = await plan(desk, selector=station)
    answers = await asyncio.gather(*(start(desk, made["id"], "CHG-1", reason="why") for _ in range(8)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert (await desk.client.get("/v1/runs")).json()["count"] == 1
    another = await plan(desk, selector=other)
    for wrong in (
        await start(desk, another["id"], "CHG-1", reason="why"),
        await start(desk, made["id"], "CHG-1", reason="another"),
        await start(desk, made["id"], "CHG-1", reason="why", strategy={"canary": 0}),
    ):
        assert wrong.status_code == 409
        assert wrong.json()["type"] == "urn:minka:error:conflict"
    assert (await desk.client.get("/v1/runs")).json()["count"] == 1


async def test_without_a_key_every_request_is_a_run(desk: Desk) -> None:
    (station, *_) = await load_and_adopt(desk)
    made = await plan(desk, selector=station)
    runs = [(await desk.client.post("/v1/runs", json={"plan": made["id"]})).json() for _ in range(2)]
    assert runs[0]["id"] != runs[1]["id"]
    assert desk.doorbell.rings == [run["id"] for run in runs]
    assert runs[0]["requested_by"] == "ana"


async def test_a_plan_of_an_older_network_is_refused(desk: Desk) -> None:
    (station, *_) = await load_and_adopt(desk)
    made = await plan(desk, selector=station)
    renamed = files_of(TINY)["network.yaml"].replace("name: ", "name: New ", 1)
    await load(desk, **{"network.yaml": renamed})
    answer = await desk.client.post("/v1/runs", json={"plan": made["id"]})
    assert answer.status_code == 409
    assert "older version" in answer.json()["detail"]


def events_of(text: str) -> list[tuple[str, dict[str, Any]]]:
    found = []
    for block in text.strip().split("\n\n"):
        if not block.startswith(":"):
            name, data = block.split("\n")
            found.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return found


async def test_events_of_a_run_end_with_the_run(desk: Desk) -> None:
    (station, *_) = await load_and_adopt(desk)
    made = await plan(desk, selector=station)
    run = (await desk.client.post("/v1/runs", json={"plan": made["id"]})).json()
    watching = asyncio.create_task(desk.client.get(f"/v1/runs/{run['id']}/events"))
    await asyncio.sleep(0.2)
    desk.store.runs.advance(run["id"], lambda *_: Transition(RunState.RUNNING, wave=0))
    worker = desk.store.processes.register("w")
    (claim,) = desk.store.claims.take(worker, 10)
    await asyncio.sleep(0.7)
    desk.store.claims.finish(claim, JobResult(Outcome.SUCCEEDED, "fine"))
    desk.store.runs.advance(run["id"], lambda *_: Transition(RunState.SUCCEEDED))
    answer = await asyncio.wait_for(watching, 10)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["cache-control"] == "no-cache"
    events = events_of(answer.text)
    assert next(data["state"] for name, data in events if name == "run") == "queued"
    assert [data["outcome"] for name, data in events if name == "job"] == ["succeeded"]
    assert events[-1][0] == "run"
    assert events[-1][1]["state"] == "succeeded"
    again = events_of((await desk.client.get(f"/v1/runs/{run['id']}/events")).text)
    assert [name for name, _ in again] == ["job", "run"]


async def test_a_stream_ends_in_order_where_the_database_goes_away(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its listener is to take it up again, and is told of no error of ours."""
    (station, *_) = await load_and_adopt(desk)
    made = await plan(desk, selector=station)
    run = (await desk.client.post("/v1/runs", json={"plan": made["id"]})).json()
    known = desk.store.runs.get
    answers = iter([known, known, known])

    def soon_away(run_id: str) -> Run:
        known_still = next(answers, None)
        if known_still is None:
            raise StoreError
        return known_still(run_id)

    monkeypatch.setattr(desk.store.runs, "get", soon_away)
    with capture_logs() as logs:
        answer = await asyncio.wait_for(desk.client.get(f"/v1/runs/{run['id']}/events"), 30)
    assert [(name, data["state"]) for name, data in events_of(answer.text)] == [("run", "queued")]
    assert "api.bug" not in {entry["event"] for entry in logs}


async def test_cancelling_twice_is_cancelling_once(desk: Desk) -> None:
    (station, *_) = await load_and_adopt(desk)
    made = await plan(desk, selector=station)
    run = (await desk.client.post("/v1/runs", json={"plan": made["id"]})).json()
    states = [(await desk.client.post(f"/v1/runs/{run['id']}/cancel")).json()["state"] for _ in range(2)]
    assert states == ["cancelling", "cancelling"]


async def test_a_run_is_paused_and_resumed(desk: Desk) -> None:
    (station, *_) = await load_and_adopt(desk)
    made = await plan(desk, selector=station)
    run = (await desk.client.post("/v1/runs", json={"plan": made["id"], "strategy": {"policy": "wave"}})).json()
    asked = ("pause", "pause", "resume", "resume", "cancel", "pause", "resume")
    states = [(await desk.client.post(f"/v1/runs/{run['id']}/{what}")).json()["state"] for what in asked]
    assert states == ["paused", "paused", "queued", "queued", "cancelling", "cancelling", "cancelling"]
    assert (await desk.client.get(f"/v1/runs/{run['id']}/decisions")).json()["results"] == []


async def test_lists_of_what_is_not_there_are_not_empty_but_refused(desk: Desk) -> None:
    await load_and_adopt(desk)
    made = await plan(desk, expect_stations=4)
    run = (await start(desk, made["id"], "CHG-1")).json()["id"]
    for path, there, known, lost in (
        ("/v1/questions", {"run": run}, 200, 404),
        ("/v1/tokens", {"owner": "ana"}, 200, 404),
        ("/v1/devices", {"selector": "region=*"}, 200, 422),
    ):
        assert (await desk.client.get(path, params=there)).status_code == known
        answer = await desk.client.get(path, params=dict.fromkeys(there, "r-nowhere"))
        assert (answer.status_code, "r-nowhere" in answer.json()["detail"]) == (lost, True), path


async def test_holds_are_put_listed_and_lifted(desk: Desk) -> None:
    (station, *_) = await load_and_adopt(desk)
    hold = (await desk.client.post("/v1/holds", json={"target": station, "reason": "mast"})).json()
    assert hold["by"] == "ana"
    assert (await desk.client.get("/v1/holds")).json()["results"] == [hold]
    past = datetime(2020, 1, 1, tzinfo=UTC).isoformat()
    body = {"target": station, "reason": "late", "until": past}
    assert (await desk.client.post("/v1/holds", json=body)).status_code == 409
    assert (await desk.client.delete(f"/v1/holds/{hold['id']}")).status_code == 204
    assert (await desk.client.get("/v1/holds")).json()["results"] == []


async def test_the_audit_trail_is_listed_and_proved(desk: Desk) -> None:
    await load_and_adopt(desk)
    page = (await desk.client.get("/v1/audit", params={"limit": 500})).json()
    assert {"network.saved", "station.adopted"} <= {row["action"] for row in page["results"]}
    proof = (await desk.client.get("/v1/audit/verify")).json()
    assert proof == {"whole": True, "first_broken": None, "reason": ""}


async def test_anchors_are_compared_with_the_audit_trail(desk: Desk) -> None:
    await load_and_adopt(desk)
    anchor = desk.store.audit.head().model_dump()
    proof = (await desk.client.post("/v1/audit/anchors", json={"anchors": [anchor]})).json()
    assert proof == {"whole": True, "first_broken": None, "reason": ""}
    later = {**anchor, "number": anchor["number"] + 1}
    proof = (await desk.client.post("/v1/audit/anchors", json={"anchors": [anchor, later]})).json()
    assert (proof["whole"], proof["first_broken"]) == (False, later["number"])


async def test_the_kill_switch(desk: Desk) -> None:
    assert (await desk.client.get("/v1/remediation")).json()["stopped"] is False
    await desk.client.put("/v1/remediation", json={"stopped": True})
    said = (await desk.client.get("/v1/remediation")).json()
    assert (said["stopped"], said["by"], said["reason"]) == (True, "ana", "")


async def test_an_import_over_http(desk: Desk) -> None:
    files = {name: text for name, text in files_of(TINY).items() if name in ("network.yaml", "tenants.yaml")}
    body = {"files": files, "endpoints": files_of(TINY)["endpoints.csv"]}
    made = (await desk.client.post("/v1/network/import", json=body)).json()
    assert "stations.csv" not in made["files"]
    assert any("not read" in note for note in made["notes"])
    whole = await desk.client.post("/v1/network/import", json=body | {"files": files_of(TINY)})
    assert whole.status_code == 422
    assert "an import finds these" in whole.json()["detail"]
    assert (await desk.client.get("/v1/network")).status_code == 404


def test_a_token_is_made_once_and_only_its_owner_reads_it(desk: Desk, tmp_path: Any) -> None:
    path = tmp_path / "new" / "token"
    first = ensure_token(path, desk.store)
    assert ensure_token(path, desk.store) == first
    assert path.stat().st_mode & 0o777 == 0o600
    known = desk.store.tokens.bearer(digest(first))
    assert known is not None
    assert known.model_copy(update={"token": ""}) == FIRST


def test_a_token_of_a_provider_becomes_no_administrators(desk: Desk, tmp_path: Any) -> None:
    path = tmp_path / "home" / "token"
    path.parent.mkdir()
    path.write_text("e30.e30.c2ln\n")
    before = desk.store.tokens.find()
    with pytest.raises(InputError, match="remove it"):
        ensure_token(path, desk.store)
    assert desk.store.tokens.find() == before


async def test_people_resume_what_the_breaker_stopped(desk: Desk) -> None:
    await load(desk)
    for _ in range(20):
        desk.store.repairs.record("core-link-down", "A:x", "a-1", "r-1")
    assert not Breaker().lets(desk.store, datetime.now(UTC))
    metrics = (await desk.client.get("/metrics")).text
    assert 'minka_automatic_repair_stopped{by="breaker"} 1.0' in metrics
    said = (await desk.client.get("/v1/remediation")).json()
    assert (said["stopped"], said["by"], said["limit"], said["minutes"]) == (True, "breaker", 20, 10)
    (alarm,) = (await desk.client.get("/v1/alarms")).json()["results"]
    assert (alarm["probable_cause"], alarm["state"], alarm["note"]) == ("too-many-repairs", "escalated", said["reason"])
    resumed = await desk.client.put("/v1/remediation", json={"stopped": False, "reason": "a backhaul came back"})
    assert (resumed.json()["stopped"], resumed.json()["by"]) == (False, "ana")
    assert Breaker().lets(desk.store, datetime.now(UTC))
    assert desk.store.alarms.get(alarm["id"]).cleared is not None
    row = next(row for row in desk.store.audit.page(Page())[1] if row.action == "switch.set")
    assert (row.actor, row.detail) == ("ana", {"on": "off", "reason": "a backhaul came back"})


async def test_planning_tells_how_far_it_is(desk: Desk) -> None:
    await load_and_adopt(desk)
    made = await plan(desk, expect_stations=4)
    answer = await desk.client.post("/v1/plans?progress=true", json={"expect_stations": 4})
    *progress, (name, whole) = events_of(answer.text)
    assert {one for one, _ in progress} == {"progress"}
    assert all(0 <= said["done"] <= said["total"] for _, said in progress)
    assert (name, whole["id"], whole["changes"]) == ("plan", made["id"], made["changes"])
    refused = await desk.client.post("/v1/plans?progress=true", json={"expect_stations": 1})
    name, problem = events_of(refused.text)[-1]
    assert (name, problem["status"], problem["type"]) == ("problem", 409, "urn:minka:error:plan-refused")
    assert problem["detail"].endswith("expect 4 stations")


async def test_the_audit_trail_is_asked_for_what_is_wanted(desk: Desk) -> None:
    first, *_ = await load_and_adopt(desk)
    begun = desk.store.audit.page(Page())[0]
    hold = (await desk.client.post("/v1/holds", json={"target": first, "reason": "mast"})).json()
    await desk.client.delete(f"/v1/holds/{hold['id']}")

    async def rows(**wanted: str) -> list[str]:
        answer = await desk.client.get("/v1/audit", params={"limit": 1000, **wanted})
        assert answer.status_code == 200, answer.text
        assert answer.json()["count"] == len(answer.json()["results"])
        return [row["action"] for row in answer.json()["results"]]

    lifted, put = await rows(action="hold.*")
    assert await rows(action="hold.*", object=first) == [lifted, put]
    assert await rows(action=put) == [put]
    assert await rows(action="*", object=f"{first[:-1]}*", since=hold["created"]) == [lifted, put]
    assert len(await rows(actor="ana")) >= 2
    assert await rows(actor="nobody") == []
    assert await rows(action="hold_*") == []
    assert await rows(action="hold.*", since=hold["created"]) == [lifted, put]
    assert await rows(action="hold.*", until=hold["created"]) == []
    assert len(await rows(until=hold["created"])) == begun
