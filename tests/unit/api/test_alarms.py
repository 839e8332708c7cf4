"""Alarms as they are listed and shown: by object, station, tenant, cause, time; and what their repair waits for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from controller.models.alarm import AlarmReport, AlarmSource, AlarmState, PerceivedSeverity
from controller.models.run import RunState, Strategy
from controller.ports.store import NewJob, Transition
from tests.support.launch import prepared
from tests.support.records import make_plan
from tests.unit.api.bench import ApiBench

AT = datetime(2026, 1, 1, tzinfo=UTC)
CELL = "/ManagedElement[A]/ENBFunction[1]/EUtranCellFDD[1]"


def report(bench: ApiBench, **more: Any) -> str:
    known: dict[str, Any] = {
        "station": "A",
        "object": CELL,
        "probable_cause": "o-ran-fault-1002",
        "severity": PerceivedSeverity.MAJOR,
        "source": AlarmSource.CHECK,
        "at": AT,
    }
    return bench.store.alarms.report(AlarmReport(**known | more)).id


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({}, "abcd"),
        ({"station": "A"}, "acd"),
        ({"station": ["A", "B"]}, "abcd"),
        ({"object": "EUtranCellFDD[1]"}, "ab"),
        ({"object": CELL}, "ab"),
        ({"object": "CellFDD[1]"}, ""),
        ({"object": "%"}, ""),
        ({"tenant": "entel"}, "c"),
        ({"cause": "core-link-down"}, "c"),
        ({"cause": "StationPower"}, "d"),
        ({"severity": "CRITICAL"}, "b"),
        ({"since": (AT + timedelta(minutes=1)).isoformat()}, "d"),
        ({"state": "cleared"}, "d"),
        ({"station": "A", "severity": "MAJOR", "state": "raised"}, "ac"),
    ],
)
async def test_alarms_are_filtered(bench: ApiBench, asked: dict[str, Any], found: str) -> None:
    made = {
        report(bench): "a",
        report(bench, station="B", severity=PerceivedSeverity.CRITICAL): "b",
        report(bench, object="/x/EP_S1C[one]", tenant="entel", probable_cause="core-link-down"): "c",
        report(
            bench,
            object="station",
            probable_cause="other-alert",
            specific_problem="StationPower",
            severity=PerceivedSeverity.CLEARED,
            at=AT + timedelta(minutes=2),
        ): "d",
    }
    said = (await bench.client.get("/v1/alarms", params=asked)).json()
    assert "".join(sorted(made[one["id"]] for one in said["results"])) == found
    assert said["count"] == len(found)


async def test_an_alarm_under_repair_says_what_its_run_waits_for_since_when_and_who_can_act(bench: ApiBench) -> None:
    plan = make_plan(["A"])
    bench.store.plans.save(plan, "rule")
    run = bench.store.runs.create(prepared(plan, "apply", Strategy(), [NewJob(0, "A")], cause="alarm:x", actor="rule"))
    bench.store.runs.advance(run.id, lambda _run, _jobs: Transition(RunState.PAUSED))
    alarm = bench.store.alarms.get(report(bench))
    assert bench.store.alarms.move(alarm, AlarmState.REPAIRING, actor="rule", run=run.id)
    (listed,) = (await bench.client.get("/v1/alarms")).json()["results"]
    shown = (await bench.client.get(f"/v1/alarms/{alarm.id}")).json()
    assert listed == shown
    (wait,) = shown["waits_for"]
    assert (wait["what"], wait["who"]) == ("paused", "whoever may run: minka resume")
    assert wait["since"]


@pytest.mark.parametrize(
    ("note", "what", "who"),
    [
        ("waits: hold on A by ana", "hold on A by ana", "whoever may lift it: minka hold lift"),
        (
            "waits: automatic repair is stopped by breaker: 20 began",
            "automatic repair is stopped by breaker: 20 began",
            "whoever may stop it: minka alarms repair resume",
        ),
    ],
)
async def test_an_alarm_whose_repair_does_not_start_says_why(bench: ApiBench, note: str, what: str, who: str) -> None:
    alarm = bench.store.alarms.get(report(bench))
    bench.store.alarms.move(alarm, AlarmState.RAISED, actor="remediation", note=note)
    shown = (await bench.client.get(f"/v1/alarms/{alarm.id}")).json()
    assert [(wait["what"], wait["who"]) for wait in shown["waits_for"]] == [(what, who)]


async def test_an_alarm_that_waits_for_nothing_says_nothing(bench: ApiBench) -> None:
    assert (await bench.client.get(f"/v1/alarms/{report(bench)}")).json()["waits_for"] == []
    assert (await bench.client.get("/v1/alarms/a-none")).status_code == 404


async def test_an_alarm_of_no_station_is_acknowledged_on_record_alone(bench: ApiBench) -> None:
    alarm = report(bench)
    answer = await bench.client.post(f"/v1/alarms/{alarm}/acknowledge")
    assert (answer.status_code, answer.json()["run"]) == (202, "")
    listed = (await bench.client.get("/v1/alarms")).json()["results"][0]
    assert listed == answer.json()["alarm"]
    assert listed["acknowledged"]
    assert bench.store.alarms.get(alarm).acknowledged_by == listed["acknowledged_by"] != ""
    assert (await bench.client.post("/v1/alarms/a-none/acknowledge")).status_code == 404
