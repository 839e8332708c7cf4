"""The record in doubt, and a person's decision, over HTTP."""

from __future__ import annotations

from tests.unit.api.desk import Desk
from tests.unit.api.test_routes import load_and_adopt, plan


async def test_a_doubt_is_shown_and_nothing_begins_until_a_person_decides(desk: Desk) -> None:
    station, *others = await load_and_adopt(desk)
    made = await plan(desk, expect_stations=len(others) + 1)
    assert (await desk.client.get("/v1/record")).json() == {"epoch": 0, "doubt": "", "since": None}
    nothing = await desk.client.post("/v1/record/decision", json={"choice": "record", "reason": "INC-77"})
    assert nothing.status_code == 409
    assert desk.store.integrity.check_fences({station: 7, "elsewhere": 9}).doubt
    shown = (await desk.client.get("/v1/record")).json()
    assert station in shown["doubt"]
    assert shown["since"]
    assert (await desk.stranger.get("/readyz")).json()["record"] == "in doubt"
    assert "minka_record_in_doubt 1.0" in (await desk.client.get("/metrics")).text
    refused = await desk.client.post("/v1/runs", json={"plan": made["id"]})
    assert refused.status_code == 409
    assert "minka record show" in refused.json()["detail"]
    desk.devices[others[0]].unreachable = "no route"
    decided = await desk.client.post("/v1/record/decision", json={"choice": "devices", "reason": "INC-77"})
    assert decided.status_code == 200
    assert decided.json()["held"] == [others[0]]
    assert (await desk.client.get("/v1/holds")).json()["results"][0]["target"] == others[0]
    assert (await desk.client.get("/v1/record")).json() == {"epoch": 1, "doubt": "", "since": None}
    assert (await desk.stranger.get("/readyz")).json()["record"] == "trusted"
    assert not desk.store.integrity.check_fences({station: 7}).doubt
    assert (await desk.client.post("/v1/runs", json={"plan": made["id"]})).status_code == 202
    assert desk.store.audit.verify() is None
