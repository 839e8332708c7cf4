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
from pydantic import SecretStr
from structlog.testing import capture_logs

from controller.api.auth import FIRST, digest, ensure_token
from controller.models.credentials import LOOPBACK_ONLY
from controller.models.errors import InputError, StoreError
from controller.models.health import Health
from controller.models.plan import Edit, Op
from controller.models.run import Outcome, Run, RunState
from controller.observe.mail import MailRelay
from controller.plan import plan_to_json
from controller.ports.clock import SystemClock
from controller.ports.secrets import EnvironmentSecrets, NamedSecrets
from controller.remediation.breaker import Breaker
from controller.store import JobResult, Page, Transition
from tests.support.waiting import until
from tests.unit.api.bench import TINY, ApiBench, files_of

ELEMENT = {"priorityLabel": "1"}


async def load(bench: ApiBench, **files: str) -> dict[str, Any]:
    answer = await bench.client.put("/v1/network", json={"files": {**files_of(TINY), **files}})
    assert answer.status_code == 200, answer.text
    said: dict[str, Any] = answer.json()
    return said


async def load_and_adopt(bench: ApiBench) -> list[str]:
    """The tiny network, its stations as the factory made them, adopted."""
    await load(bench)
    network = bench.store.networks.get()[1]
    for station in network.stations:
        bench.devices.add(station.id, station.profiles, {f"/ManagedElement[{station.id}]": ELEMENT})
    answer = await bench.client.post("/v1/devices/adopt", json={"selector": "*"})
    assert {one["code"] for one in answer.json().values()} == {"adopted"}
    return [station.id for station in network.stations]


async def plan(bench: ApiBench, **body: Any) -> dict[str, Any]:
    answer = await bench.client.post("/v1/plans", json=body)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def test_a_network_is_loaded_once(bench: ApiBench) -> None:
    first = await load(bench)
    assert first["changed"]
    assert first["counts"]["stations"] == len(bench.store.networks.get()[1].stations)
    assert (await load(bench)) == first | {"changed": False}
    assert (await bench.client.get("/v1/network")).json()["digest"] == first["digest"]


async def test_who_shares_each_cell_is_listed_for_the_stations_that_are_asked_for(bench: ApiBench) -> None:
    await load_and_adopt(bench)
    network = bench.store.networks.get()[1]
    whole = (await bench.client.get("/v1/network/sharing", params={"limit": 1000})).json()
    assert [f"{one['station']}/{one['cell']}" for one in whole["results"]] == [cell.name for cell in network.cells]
    shared = {tenant["tenant"] for one in whole["results"] for tenant in one["tenants"]}
    assert shared == {agreement.tenant for agreement in network.agreements}
    # Nothing is applied yet.
    assert {plmn for one in whole["results"] for tenant in one["tenants"] for plmn in tenant["configured"]} == set()
    some = (await bench.client.get("/v1/network/sharing", params={"selector": "T-BOTH-1", "limit": 1})).json()
    assert (some["count"], some["next"]) == (len(network.cells_by_station["T-BOTH-1"]), 1)
    assert some["results"] == [one for one in whole["results"] if one["station"] == "T-BOTH-1"][:1]


async def test_a_network_whose_devices_secret_is_not_there_is_loaded_with_a_warning(
    bench: ApiBench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets = NamedSecrets(LOOPBACK_ONLY, EnvironmentSecrets(tmp_path))
    bench.app.state.services = replace(bench.app.state.services, missing_secret=secrets.missing)
    monkeypatch.delenv("MINKA_DEVICE_PASSWORD", raising=False)
    (warning,) = (await load(bench))["warnings"]
    assert warning == (
        "credential 'device' of T-BOTH-1 and 3 more: the secret reference 'env:MINKA_DEVICE_PASSWORD' leads nowhere: "
        "set the variable or create the file, for the API, workers, listener and scheduler"
    )
    monkeypatch.setenv("MINKA_DEVICE_PASSWORD", "secret")
    assert (await load(bench))["warnings"] == []


async def test_contacts_that_no_message_can_reach_by_the_settings_are_named(
    bench: ApiBench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the first notices say so hours later, by an alert."""
    services = bench.app.state.services
    secrets = NamedSecrets(LOOPBACK_ONLY, EnvironmentSecrets(tmp_path))
    unset = {"e-mail": MailRelay("", "", (), lambda: SecretStr(""), "")}
    bench.app.state.services = replace(services, missing_secret=secrets.missing, channels=unset)
    monkeypatch.setenv("MINKA_DEVICE_PASSWORD", "secret")
    mail, hook = "{id: noc, name: NOC, email: noc@alfa.example}", "{id: hook, name: H, webhook: 'https://a.example', "
    header = files_of(TINY)["network.yaml"]
    contacts = f"contacts: [{mail}, {hook}credential: pool-token}}]"
    named = header.replace("\n  timezone:", f"\n  {contacts}\n  timezone:", 1)
    warnings = (await load(bench, **{"network.yaml": named}))["warnings"]
    assert warnings[0] == (
        "notices and calls don't reach noc of host: e-mail is not set up: set MINKA_MAIL_RELAY, MINKA_MAIL_FROM"
    )
    assert "hook of host" in warnings[1]
    set_up = {"e-mail": MailRelay("starttls://mail.example", "minka@a.example", (), lambda: SecretStr(""), "")}
    bench.app.state.services = replace(services, missing_secret=lambda _: "", channels=set_up)
    assert (await load(bench, **{"network.yaml": named}))["warnings"] == []


async def test_stations_that_leave_the_files_with_our_nodes_on_them_are_named(bench: ApiBench) -> None:
    await load_and_adopt(bench)
    bench.store.devices.retire("T-NR-1", "ana")
    assert (await load(bench))["abandoned"] == []
    without = {
        name: "".join(line for line in text.splitlines(keepends=True) if "T-LTE-2" not in line and "T-NR-1" not in line)
        for name, text in files_of(TINY).items()
    }
    # T-NR-1 was put out of service before it left.
    assert (await load(bench, **without))["abandoned"] == ["T-LTE-2"]
    assert (await load(bench))["abandoned"] == []


async def test_a_loaded_version_is_told_by_what_it_changes(bench: ApiBench) -> None:
    """Nothing for the first version and for the same one again."""
    assert (await load(bench))["differences"] == []
    assert (await load(bench))["differences"] == []
    files = files_of(TINY)
    without = {
        name: "".join(one for one in text.splitlines(keepends=True) if "T-LTE-2" not in one)
        for name, text in files.items()
    }
    gone = {one["kind"]: one["removed"] for one in (await load(bench, **without))["differences"]}
    assert gone["stations"] == {"count": 1, "names": ["T-LTE-2"]}
    assert "tenants" not in gone
    back = {one["kind"]: one["added"] for one in (await load(bench))["differences"]}
    assert back == gone


async def test_devices_that_lose_their_endpoint_are_named(bench: ApiBench) -> None:
    """As where ``--endpoints`` was forgotten: the files have the stations, and nobody can reach them any more."""
    assert (await load(bench))["out_of_reach"] == []
    reached = set(bench.store.networks.get()[1].endpoint_by_station)
    files = files_of(TINY)
    none = {"endpoints.csv": files["endpoints.csv"].splitlines()[0] + "\n"}
    assert set((await load(bench, **files | none))["out_of_reach"]) == reached
    assert (await load(bench, **files | none))["out_of_reach"] == [], "the version before could not reach them either"
    assert (await load(bench))["out_of_reach"] == []
    # One that leaves the files is not named here: it is out of reach on purpose, or abandoned.
    without = {
        name: "".join(one for one in text.splitlines(keepends=True) if "T-LTE-2" not in one)
        for name, text in files.items()
    }
    assert (await load(bench, **without))["out_of_reach"] == []


async def test_a_wrong_network_leaves_the_old_one(bench: ApiBench) -> None:
    first = await load(bench)
    answer = await bench.client.put("/v1/network", json={"files": {"network.yaml": "network: {}"}})
    assert answer.status_code == 422
    assert bench.store.networks.get()[0] == first["digest"]


async def test_endpoints_can_be_replaced(bench: ApiBench) -> None:
    await load(bench)
    before = bench.store.networks.get()[1].endpoints
    text = files_of(TINY)["endpoints.csv"].replace(",127.20.", ",127.21.")
    await bench.client.put("/v1/network", json={"files": files_of(TINY), "endpoints": text})
    after = bench.store.networks.get()[1].endpoints
    assert [e.station for e in after] == [e.station for e in before]
    assert all(str(e.address).startswith("127.21.") for e in after)


@pytest.mark.parametrize("limit", [1, 2, 3, 1000])
async def test_pages_add_up_to_the_whole(bench: ApiBench, limit: int) -> None:
    await load(bench)
    cells = [cell.id for cell in bench.store.networks.get()[1].cells]
    found: list[str] = []
    offset: int | None = 0
    while offset is not None:
        page = (await bench.client.get("/v1/network/cells", params={"limit": limit, "offset": offset})).json()
        assert page["count"] == len(cells)
        assert len(page["results"]) <= limit
        found += [item["id"] for item in page["results"]]
        offset = page["next"]
    assert found == cells


async def test_pages_of_plans_and_stations(bench: ApiBench) -> None:
    stations = await load_and_adopt(bench)
    for station in stations[:3]:
        await plan(bench, selector=station)
    first = (await bench.client.get("/v1/plans", params={"limit": 2})).json()
    rest = (await bench.client.get("/v1/plans", params={"limit": 2, "offset": first["next"]})).json()
    assert [p["selector"] for p in first["results"] + rest["results"]] == stations[2::-1]
    assert (first["count"], rest["next"]) == (3, None)
    beyond = (await bench.client.get("/v1/plans", params={"offset": 10})).json()
    assert beyond == {"count": 3, "next": None, "results": []}
    page = (await bench.client.get("/v1/devices", params={"limit": 1, "offset": 1})).json()
    assert [device["station"] for device in page["results"]] == stations[1:2]


async def test_a_fresh_fleet_is_left_out_until_adopted(bench: ApiBench) -> None:
    await load(bench)
    for station in bench.store.networks.get()[1].stations:
        bench.devices.add(station.id, station.profiles, {f"/ManagedElement[{station.id}]": ELEMENT})
    made = await plan(bench)
    assert made["changes"] == []
    assert all("adopt" in reason for reason in made["unplanned"].values())


async def test_a_station_with_a_foreign_element_is_adopted_only_if_it_is_named(bench: ApiBench) -> None:
    (station, *_) = await load_and_adopt(bench)
    bench.devices[station].elements = ("ran1",)
    begun = {"foreign": "not adopted: it carries ManagedElement=ran1", "adopted": "adopted"}
    for beside, code in (([], "foreign"), (["ran1"], "adopted")):
        answer = await bench.client.post("/v1/devices/adopt", json={"selector": station, "beside": beside})
        assert answer.json()[station]["code"] == code
        assert answer.json()[station]["words"].startswith(begun[code])
        shown = (await bench.client.get(f"/v1/devices/{station}")).json()
        assert shown["beside"] == beside
    live = (await bench.client.get(f"/v1/devices/{station}/config")).json()
    assert any("ManagedElement[ran1]" in node for node in live["unknown"])
    answer = await bench.client.post("/v1/devices/adopt", json={"selector": station, "beside": ["x" * 1000]})
    assert answer.status_code == 422


async def test_a_station_is_shown_with_who_locked_its_cells(bench: ApiBench) -> None:
    (station, *_) = await load_and_adopt(bench)
    assert (await bench.client.get(f"/v1/devices/{station}")).json()["lock_holders"] == {}
    bench.store.healths.save([Health(station=station, at=SystemClock().now(), reachable=True, locked=("L1",))])
    shown = (await bench.client.get(f"/v1/devices/{station}")).json()
    holder = shown["lock_holders"]["L1"]
    assert (holder["words"], holder["run"]) == ("somebody locked cell L1 outside of Minka", "")


async def test_drift_says_what_it_could_not_compare(bench: ApiBench) -> None:
    await load(bench)
    assert (await bench.client.post("/v1/devices/drift", json={})).json()["not_adopted"] == 4
    stations = await load_and_adopt(bench)
    bench.devices[stations[0]].unreachable = "the cable is cut"
    said = (await bench.client.post("/v1/devices/drift", json={})).json()
    assert list(said["unread"]) == stations[:1]
    assert said["not_adopted"] == 0
    assert list(said["stations"]) == stations[1:]


async def test_drift_names_the_run_that_holds_a_station_that_differs(bench: ApiBench) -> None:
    (station, other, *_) = await load_and_adopt(bench)
    made = await plan(bench, selector=station)
    run = (await bench.client.post("/v1/runs", json={"plan": made["id"]})).json()["id"]
    bench.store.runs.advance(run, lambda *_: Transition(RunState.RUNNING, wave=0))
    (claim,) = bench.store.claims.take(bench.store.processes.register("w"), 10)
    for one in (station, other):  # both carry something that the ledger does not have
        there = Edit(op=Op.CREATE, path=f"/ManagedElement[{one}]/ENBFunction[9]", after={"eNBId": "9"}, owners=())
        bench.devices[one].foreign_edit([there])
    said = (await bench.client.post("/v1/devices/drift", json={})).json()
    assert said["stations"][station]
    assert said["stations"][other]
    held = {"run": run, "procedure": "apply", "requested_by": "ana", "state": "running", "waits": ""}
    assert said["runs"] == {station: held}
    bench.store.claims.finish(claim, JobResult(Outcome.SUCCEEDED, "fine"))
    assert (await bench.client.post("/v1/devices/drift", json={})).json()["runs"] == {}


async def test_an_equal_plan_is_the_same_plan(bench: ApiBench) -> None:
    (station, *_) = await load_and_adopt(bench)
    one, other = await plan(bench, selector=station), await plan(bench, selector=station)
    assert one["id"] == other["id"]
    assert (await bench.client.get(f"/v1/plans/{one['id']}")).json()["digest"] == one["digest"]
    assert (await bench.client.get(f"/v1/plans/{one['id']}")).content == plan_to_json(bench.store.plans.get(one["id"]))
    head = (await bench.client.get(f"/v1/plans/{one['id']}", params={"changes": False})).json()
    assert (head["changes"], head["unplanned"]) == ([], one["unplanned"])
    assert (await bench.client.get(f"/v1/plans/{one['id']}/compare/{other['id']}")).json()["results"] == []


async def test_a_plan_that_touches_too_much_is_refused_until_named(bench: ApiBench) -> None:
    stations = await load_and_adopt(bench)
    answer = await bench.client.post("/v1/plans", json={})
    assert answer.status_code == 409
    assert answer.json()["type"] == "urn:minka:error:plan-refused"
    assert str(len(stations)) in answer.json()["detail"]
    assert len((await plan(bench, expect_stations=len(stations)))["changes"]) == len(stations)


async def start(bench: ApiBench, plan_id: str, key: str, **more: Any) -> httpx.Response:
    return await bench.client.post("/v1/runs", json={"plan": plan_id, **more}, headers={"Idempotency-Key": key})


async def test_a_key_starts_one_run(bench: ApiBench) -> None:
    (station, other, *_) = await load_and_adopt(bench)
    made = await plan(bench, selector=station)
    answers = await asyncio.gather(*(start(bench, made["id"], "CHG-1", reason="why") for _ in range(8)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert (await bench.client.get("/v1/runs")).json()["count"] == 1
    another = await plan(bench, selector=other)
    for wrong in (
        await start(bench, another["id"], "CHG-1", reason="why"),
        await start(bench, made["id"], "CHG-1", reason="another"),
        await start(bench, made["id"], "CHG-1", reason="why", strategy={"canary": 0}),
    ):
        assert wrong.status_code == 409
        assert wrong.json()["type"] == "urn:minka:error:conflict"
    assert (await bench.client.get("/v1/runs")).json()["count"] == 1


async def test_without_a_key_every_request_is_a_run(bench: ApiBench) -> None:
    (station, *_) = await load_and_adopt(bench)
    made = await plan(bench, selector=station)
    runs = [(await bench.client.post("/v1/runs", json={"plan": made["id"]})).json() for _ in range(2)]
    assert runs[0]["id"] != runs[1]["id"]
    assert bench.wakeups.runs == [run["id"] for run in runs]
    assert runs[0]["requested_by"] == "ana"


async def test_a_plan_of_an_older_network_is_refused(bench: ApiBench) -> None:
    (station, *_) = await load_and_adopt(bench)
    made = await plan(bench, selector=station)
    renamed = files_of(TINY)["network.yaml"].replace("name: ", "name: New ", 1)
    await load(bench, **{"network.yaml": renamed})
    answer = await bench.client.post("/v1/runs", json={"plan": made["id"]})
    assert answer.status_code == 409
    assert "older version" in answer.json()["detail"]


def events_of(text: str) -> list[tuple[str, dict[str, Any]]]:
    found = []
    for block in text.strip().split("\n\n"):
        if not block.startswith(":"):
            name, data = block.split("\n")
            found.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return found


async def test_events_of_a_run_end_with_the_run(bench: ApiBench, monkeypatch: pytest.MonkeyPatch) -> None:
    (station, *_) = await load_and_adopt(bench)
    made = await plan(bench, selector=station)
    run = (await bench.client.post("/v1/runs", json={"plan": made["id"]})).json()
    known, read = bench.store.runs.get, list[RunState]()

    def noted(run_id: str) -> Run:
        found = known(run_id)
        read.append(found.state)
        return found

    monkeypatch.setattr(bench.store.runs, "get", noted)
    watching = asyncio.create_task(bench.client.get(f"/v1/runs/{run['id']}/events"))
    await until(lambda: len(read) > 6)  # by then it was looked at again after the first event
    bench.store.runs.advance(run["id"], lambda *_: Transition(RunState.RUNNING, wave=0))
    worker = bench.store.processes.register("w")
    (claim,) = bench.store.claims.take(worker, 10)
    await until(lambda: RunState.RUNNING in read)
    bench.store.claims.finish(claim, JobResult(Outcome.SUCCEEDED, "fine"))
    bench.store.runs.advance(run["id"], lambda *_: Transition(RunState.SUCCEEDED))
    answer = await asyncio.wait_for(watching, 60)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["cache-control"] == "no-cache"
    events = events_of(answer.text)
    assert next(data["state"] for name, data in events if name == "run") == "queued"
    assert [data["outcome"] for name, data in events if name == "job"] == ["succeeded"]
    assert events[-1][0] == "run"
    assert events[-1][1]["state"] == "succeeded"
    again = events_of((await bench.client.get(f"/v1/runs/{run['id']}/events")).text)
    assert [name for name, _ in again] == ["job", "run"]


async def test_a_stream_ends_in_order_where_the_database_goes_away(
    bench: ApiBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its listener is to take it up again, and is told of no error of ours."""
    (station, *_) = await load_and_adopt(bench)
    made = await plan(bench, selector=station)
    run = (await bench.client.post("/v1/runs", json={"plan": made["id"]})).json()
    known = bench.store.runs.get
    answers = iter([known, known, known])

    def soon_away(run_id: str) -> Run:
        known_still = next(answers, None)
        if known_still is None:
            raise StoreError
        return known_still(run_id)

    monkeypatch.setattr(bench.store.runs, "get", soon_away)
    with capture_logs() as logs:
        answer = await asyncio.wait_for(bench.client.get(f"/v1/runs/{run['id']}/events"), 60)
    assert [(name, data["state"]) for name, data in events_of(answer.text)] == [("run", "queued")]
    assert "api.bug" not in {entry["event"] for entry in logs}


async def test_cancelling_twice_is_cancelling_once(bench: ApiBench) -> None:
    (station, *_) = await load_and_adopt(bench)
    made = await plan(bench, selector=station)
    run = (await bench.client.post("/v1/runs", json={"plan": made["id"]})).json()
    states = [(await bench.client.post(f"/v1/runs/{run['id']}/cancel")).json()["state"] for _ in range(2)]
    assert states == ["cancelling", "cancelling"]


async def test_a_run_is_paused_and_resumed(bench: ApiBench) -> None:
    (station, *_) = await load_and_adopt(bench)
    made = await plan(bench, selector=station)
    run = (await bench.client.post("/v1/runs", json={"plan": made["id"], "strategy": {"policy": "wave"}})).json()
    asked = ("pause", "pause", "resume", "resume", "cancel", "pause", "resume")
    states = [(await bench.client.post(f"/v1/runs/{run['id']}/{what}")).json()["state"] for what in asked]
    assert states == ["paused", "paused", "queued", "queued", "cancelling", "cancelling", "cancelling"]
    assert (await bench.client.get(f"/v1/runs/{run['id']}/decisions")).json()["results"] == []


async def test_lists_of_what_is_not_there_are_not_empty_but_refused(bench: ApiBench) -> None:
    await load_and_adopt(bench)
    made = await plan(bench, expect_stations=4)
    run = (await start(bench, made["id"], "CHG-1")).json()["id"]
    for path, there, known, lost in (
        ("/v1/questions", {"run": run}, 200, 404),
        ("/v1/tokens", {"owner": "ana"}, 200, 404),
        ("/v1/devices", {"selector": "region=*"}, 200, 422),
    ):
        assert (await bench.client.get(path, params=there)).status_code == known
        answer = await bench.client.get(path, params=dict.fromkeys(there, "r-nowhere"))
        assert (answer.status_code, "r-nowhere" in answer.json()["detail"]) == (lost, True), path


async def test_holds_are_put_listed_and_lifted(bench: ApiBench) -> None:
    (station, *_) = await load_and_adopt(bench)
    hold = (await bench.client.post("/v1/holds", json={"target": station, "reason": "mast"})).json()
    assert hold["by"] == "ana"
    assert (await bench.client.get("/v1/holds")).json()["results"] == [hold]
    past = datetime(2020, 1, 1, tzinfo=UTC).isoformat()
    body = {"target": station, "reason": "late", "until": past}
    assert (await bench.client.post("/v1/holds", json=body)).status_code == 409
    assert (await bench.client.delete(f"/v1/holds/{hold['id']}")).status_code == 204
    assert (await bench.client.get("/v1/holds")).json()["results"] == []


async def test_the_audit_trail_is_listed_and_proved(bench: ApiBench) -> None:
    await load_and_adopt(bench)
    page = (await bench.client.get("/v1/audit", params={"limit": 500})).json()
    assert {"network.saved", "station.adopted"} <= {row["action"] for row in page["results"]}
    proof = (await bench.client.get("/v1/audit/verify")).json()
    assert proof == {"whole": True, "first_broken": None, "reason": ""}


async def test_anchors_are_compared_with_the_audit_trail(bench: ApiBench) -> None:
    await load_and_adopt(bench)
    anchor = bench.store.audit.head().model_dump()
    proof = (await bench.client.post("/v1/audit/anchors", json={"anchors": [anchor]})).json()
    assert proof == {"whole": True, "first_broken": None, "reason": ""}
    later = {**anchor, "number": anchor["number"] + 1}
    proof = (await bench.client.post("/v1/audit/anchors", json={"anchors": [anchor, later]})).json()
    assert (proof["whole"], proof["first_broken"]) == (False, later["number"])


async def test_the_kill_switch(bench: ApiBench) -> None:
    assert (await bench.client.get("/v1/remediation")).json()["stopped"] is False
    await bench.client.put("/v1/remediation", json={"stopped": True})
    said = (await bench.client.get("/v1/remediation")).json()
    assert (said["stopped"], said["by"], said["reason"]) == (True, "ana", "")


async def test_an_import_over_http(bench: ApiBench) -> None:
    files = {name: text for name, text in files_of(TINY).items() if name in ("network.yaml", "tenants.yaml")}
    body = {"files": files, "endpoints": files_of(TINY)["endpoints.csv"]}
    made = (await bench.client.post("/v1/network/import", json=body)).json()
    assert "stations.csv" not in made["files"]
    assert any("not read" in note for note in made["notes"])
    whole = await bench.client.post("/v1/network/import", json=body | {"files": files_of(TINY)})
    assert whole.status_code == 422
    assert "an import finds these" in whole.json()["detail"]
    assert (await bench.client.get("/v1/network")).status_code == 404


def test_a_token_is_made_once_and_only_its_owner_reads_it(bench: ApiBench, tmp_path: Any) -> None:
    path = tmp_path / "new" / "token"
    first = ensure_token(path, bench.store)
    assert ensure_token(path, bench.store) == first
    assert path.stat().st_mode & 0o777 == 0o600
    known = bench.store.tokens.bearer(digest(first))
    assert known is not None
    assert known.model_copy(update={"token": ""}) == FIRST


def test_a_token_of_a_provider_becomes_no_administrators(bench: ApiBench, tmp_path: Any) -> None:
    path = tmp_path / "home" / "token"
    path.parent.mkdir()
    path.write_text("e30.e30.c2ln\n")
    before = bench.store.tokens.find()
    with pytest.raises(InputError, match="remove the file"):
        ensure_token(path, bench.store)
    assert bench.store.tokens.find() == before


async def test_people_resume_what_the_breaker_stopped(bench: ApiBench) -> None:
    await load(bench)
    for _ in range(20):
        bench.store.repairs.record("core-link-down", "A:x", "a-1", "r-1")
    assert not Breaker().lets(bench.store, datetime.now(UTC))
    metrics = (await bench.client.get("/metrics")).text
    assert 'minka_automatic_repair_stopped{by="breaker"} 1.0' in metrics
    said = (await bench.client.get("/v1/remediation")).json()
    assert (said["stopped"], said["by"], said["limit"], said["minutes"]) == (True, "breaker", 20, 10)
    (alarm,) = (await bench.client.get("/v1/alarms")).json()["results"]
    assert (alarm["probable_cause"], alarm["state"], alarm["note"]) == ("too-many-repairs", "escalated", said["reason"])
    resumed = await bench.client.put("/v1/remediation", json={"stopped": False, "reason": "a backhaul came back"})
    assert (resumed.json()["stopped"], resumed.json()["by"]) == (False, "ana")
    assert Breaker().lets(bench.store, datetime.now(UTC))
    assert bench.store.alarms.get(alarm["id"]).cleared is not None
    row = next(row for row in bench.store.audit.page(Page())[1] if row.action == "switch.set")
    assert (row.actor, row.detail) == ("ana", {"on": "off", "reason": "a backhaul came back"})


async def test_the_audit_trail_is_asked_for_what_is_wanted(bench: ApiBench) -> None:
    first, *_ = await load_and_adopt(bench)
    begun = bench.store.audit.page(Page())[0]
    hold = (await bench.client.post("/v1/holds", json={"target": first, "reason": "mast"})).json()
    await bench.client.delete(f"/v1/holds/{hold['id']}")

    async def rows(**wanted: str) -> list[str]:
        answer = await bench.client.get("/v1/audit", params={"limit": 1000, **wanted})
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
