"""Rules are uploaded and tried on recorded reports."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from controller.api.routes import remediation
from controller.models.alarm import AlarmReport
from controller.models.shipped import shipped
from controller.store import Page
from tests.unit.api.bench import TINY, ApiBench, files_of

SHIPPED = {path.name: path.read_text(encoding="utf-8") for path in shipped("playbooks/rules").glob("*.yaml")}
STATION = "T-LTE-1"


async def load(bench: ApiBench) -> list[str]:
    """The tiny network, and two links that went down two hours and one hour ago."""
    await bench.client.put("/v1/network", json={"files": files_of(TINY)})
    now = datetime.now(UTC)
    return [
        bench.store.alarms.report(
            AlarmReport(
                station=STATION,
                object=f"link-{hours}",
                probable_cause="core-link-down",
                severity="MAJOR",
                source="check",
                at=now - timedelta(hours=hours),
            )
        ).id
        for hours in (2, 1)
    ]


async def ask(bench: ApiBench, **more: object) -> Any:
    until = datetime.now(UTC)
    answer = await bench.client.post("/v1/rules/backtest", json={"files": SHIPPED, "until": until.isoformat()} | more)
    return answer.json() | {"status": answer.status_code}


async def test_shipped_rules_are_tried_on_what_was_reported(bench: ApiBench) -> None:
    ids = await load(bench)
    before = bench.store.alarms.page(Page()), bench.store.audit.page(Page())
    said = await ask(bench)
    assert (said["reports"], [one["alarm"] for one in said["alarms"]]) == (2, ids)
    assert {one["rule"] for one in said["alarms"]} == {"core-link-down"}
    (counts,) = [one["verdicts"] for one in said["rules"] if one["rule"] == "core-link-down"]
    assert counts["acted"] == 2
    assert (bench.store.alarms.page(Page()), bench.store.audit.page(Page())) == before, "nothing is put on record"


async def test_where_reports_are_many_it_ends_earlier(bench: ApiBench, monkeypatch: pytest.MonkeyPatch) -> None:
    await load(bench)
    monkeypatch.setattr(remediation, "MOST_REPORTS", 1)
    said = await ask(bench)
    (only,) = bench.store.reports.after(-1, 1)
    assert (said["reports"], datetime.fromisoformat(said["until"])) == (1, only.received)


@pytest.mark.parametrize(
    ("more", "status", "words"),
    [
        ({"files": {"../../etc/x.yaml": "name: x"}}, 422, "is not a name of a rule file"),
        ({"files": {"x.yaml": "name: x\ncolour: red"}}, 422, "x.yaml"),
        ({"files": {}}, 422, "files"),
        ({"until": "0001-01-01T00:00:00+14:00"}, 422, "one of the years 1900 to 8999"),
        ({"until": "0001-01-01T12:00:00Z"}, 422, "one of the years 1900 to 8999"),
        ({"since": "0001-01-01T00:00:00+14:00"}, 422, "one of the years 1900 to 8999"),
        ({"since": "2999-01-01T00:00:00Z"}, 422, "nothing lies between"),
    ],
)
async def test_what_cannot_be_tried_says_why(bench: ApiBench, more: dict[str, Any], status: int, words: str) -> None:
    await load(bench)
    said = await ask(bench, **more)
    assert said["status"] == status
    assert words in said["detail"]


async def test_one_is_tried_at_a_time(bench: ApiBench) -> None:
    await load(bench)
    with remediation._ONE_BACKTEST:
        assert (await ask(bench))["status"] == 409
    assert (await ask(bench))["status"] == 200
