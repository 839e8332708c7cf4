"""The record in doubt, and a person's decision, over HTTP."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from tests.unit.api.bench import ApiBench
from tests.unit.api.test_routes import load_and_adopt, plan


async def test_checks_of_record_and_audit_trail_write_nothing(bench: ApiBench) -> None:
    """So they need no lock of the database, which others may keep."""
    await load_and_adopt(bench)
    with closing(sqlite3.connect(bench.store.database.engine.url.database or "", isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        for path in ("/v1/record", "/v1/audit/verify"):
            assert (await bench.client.get(path)).status_code == 200, path
        anchors = await bench.client.post("/v1/audit/anchors", json={"anchors": []})
        assert anchors.status_code == 200, anchors.text


async def test_a_doubt_is_shown_and_nothing_begins_until_a_person_decides(bench: ApiBench) -> None:
    station, *others = await load_and_adopt(bench)
    made = await plan(bench, expect_stations=len(others) + 1)
    assert (await bench.client.get("/v1/record")).json() == {"epoch": 0, "doubt": "", "since": None, "settles": None}
    nothing = await bench.client.post("/v1/record/decision", json={"choice": "record", "reason": "INC-77"})
    assert nothing.status_code == 409
    assert bench.store.integrity.check_fences({station: 7, "elsewhere": 9}).doubt
    shown = (await bench.client.get("/v1/record")).json()
    assert station in shown["doubt"]
    assert shown["since"]
    assert (await bench.anonymous.get("/readyz")).json()["record"] == "in doubt"
    assert "minka_record_in_doubt 1.0" in (await bench.client.get("/metrics")).text
    refused = await bench.client.post("/v1/runs", json={"plan": made["id"]})
    assert refused.status_code == 409
    assert "minka record show" in refused.json()["detail"]
    bench.devices[others[0]].unreachable = "no route"
    decided = await bench.client.post("/v1/record/decision", json={"choice": "devices", "reason": "INC-77"})
    assert decided.status_code == 200
    assert decided.json()["on_hold"] == [others[0]]
    assert (await bench.client.get("/v1/holds")).json()["results"][0]["target"] == others[0]
    assert (await bench.client.get("/v1/record")).json() == {"epoch": 1, "doubt": "", "since": None, "settles": None}
    assert (await bench.anonymous.get("/readyz")).json()["record"] == "trusted"
    assert not bench.store.integrity.check_fences({station: 7}).doubt
    assert (await bench.client.post("/v1/runs", json={"plan": made["id"]})).status_code == 202
    assert bench.store.audit.verify() is None
