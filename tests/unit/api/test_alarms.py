"""Alarms as they are listed and shown: by object, station, tenant, cause, time; and what their repair waits for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from controller.models.alarm import AlarmNote, AlarmReport, AlarmSource, AlarmState, PerceivedSeverity
from controller.models.network import network_digest
from controller.models.people import Role
from controller.models.run import RunState, Strategy
from controller.models.waiting import WaitCode
from controller.store import NewJob, Transition
from tests.support.callers import admit
from tests.support.launch import prepared
from tests.support.records import make_plan
from tests.unit.api.bench import ApiBench
from tests.unit.remediation.bench import tiny

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


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"state": "raised"}, "new repairing escalated"),
        ({"state": "raised", "standing": True}, "new repairing escalated"),
        ({"state": "raised", "standing": False}, "new repairing escalated"),
        ({"state": "escalated"}, "escalated"),
        ({"state": "escalated", "standing": False}, "escalated over"),
        ({"state": ["raised", "escalated"], "standing": False}, "new repairing escalated over"),
        ({"state": "repairing"}, "repairing"),
        ({"state": ["raised", "cleared"]}, "new repairing escalated cleared"),
    ],
)
async def test_what_is_repaired_or_escalated_is_raised(bench: ApiBench, asked: dict[str, Any], found: str) -> None:
    """As X.733 and TS 28.111 have it: an alarm is active until it is cleared, whatever people do about it."""
    states = {"new": None, "repairing": AlarmState.REPAIRING, "escalated": AlarmState.ESCALATED}
    states |= {"over": AlarmState.ESCALATED, "cleared": None}
    made = {}
    for name, state in states.items():
        made[report(bench, station=name)] = name
        if state is not None:
            assert bench.store.alarms.move(bench.store.alarms.get([*made][-1]), state, actor="rule")
    for name in ("over", "cleared"):
        report(bench, station=name, severity=PerceivedSeverity.CLEARED, at=AT + timedelta(minutes=1))
    said = (await bench.client.get("/v1/alarms", params=asked)).json()
    assert {made[one["id"]] for one in said["results"]} == set(found.split())


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
    ("code", "what", "who"),
    [
        (WaitCode.HOLD, "hold on A by ana", "whoever may lift it: minka hold lift"),
        (WaitCode.STOP, "shelved by mistake; hold on", "whoever may stop it: minka remediation resume"),
        (WaitCode.OTHER, "hold on A by ana", ""),
    ],
)
async def test_an_alarm_whose_repair_does_not_start_says_why(
    bench: ApiBench, code: WaitCode, what: str, who: str
) -> None:
    """Who can end it follows from the code alone, whatever the words are like."""
    alarm = bench.store.alarms.get(report(bench))
    note = AlarmNote.waiting(what, code)
    bench.store.alarms.move(alarm, AlarmState.RAISED, actor="remediation", note=note)
    shown = (await bench.client.get(f"/v1/alarms/{alarm.id}")).json()
    assert [(wait["codes"], wait["what"], wait["who"]) for wait in shown["waits_for"]] == [([code.value], what, who)]


async def test_an_alarm_of_which_somebody_notes_that_something_waits_does_not_wait(bench: ApiBench) -> None:
    alarm = bench.store.alarms.get(report(bench))
    bench.store.alarms.move(alarm, AlarmState.RAISED, actor="remediation", note="waits: hold on A by ana")
    shown = (await bench.client.get(f"/v1/alarms/{alarm.id}")).json()
    assert (shown["note"], shown["waits"], shown["waits_for"]) == ("waits: hold on A by ana", [], [])


async def test_an_alarm_that_is_over_waits_for_nothing(bench: ApiBench) -> None:
    alarm = report(bench)
    bench.store.alarms.note(
        [(bench.store.alarms.get(alarm), AlarmNote.waiting("it has to stand for 60 s"))], actor="remediation"
    )
    assert (await bench.client.get(f"/v1/alarms/{alarm}")).json()["waits_for"]
    assert report(bench, severity=PerceivedSeverity.CLEARED, at=AT + timedelta(seconds=9)) == alarm
    assert bench.store.alarms.get(alarm).cleared is not None
    shown = (await bench.client.get(f"/v1/alarms/{alarm}")).json()
    assert (shown["note"], shown["waits_for"]) == ("", [])


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


def ahead(days: float) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).isoformat()


async def test_an_alarm_is_shelved_with_a_reason_and_an_end(bench: ApiBench) -> None:
    alarm, other = report(bench), report(bench, station="B")
    for body, status in (
        ({"until": ahead(1)}, 422),
        ({"until": ahead(1), "reason": ""}, 422),
        ({"until": ahead(8), "reason": "x"}, 409),
        ({"until": ahead(-1), "reason": "x"}, 409),
        ({"reason": "x"}, 422),
    ):
        assert (await bench.client.post(f"/v1/alarms/{alarm}/shelve", json=body)).status_code == status, body
    said = await bench.client.post(f"/v1/alarms/{alarm}/shelve", json={"until": ahead(1), "reason": "parts ordered"})
    assert (said.json()["shelved"], said.json()["shelved_by"], said.json()["state"]) == (True, "ana", "raised")
    for shelved, found in (("true", alarm), ("false", other)):
        listed = (await bench.client.get("/v1/alarms", params={"shelved": shelved})).json()["results"]
        assert [(one["id"], one["shelved"]) for one in listed] == [(found, shelved == "true")]
    back = await bench.client.post(f"/v1/alarms/{alarm}/unshelve", json={"reason": "the part is here"})
    assert (back.status_code, back.json()["shelved"]) == (200, False)
    assert (await bench.client.post(f"/v1/alarms/{alarm}/unshelve", json={})).status_code == 409
    assert (await bench.client.post("/v1/alarms/a-none/unshelve", json={})).status_code == 404


async def test_comments_are_read_by_whom_they_are_for(bench: ApiBench) -> None:
    bench.store.networks.save(tiny(), network_digest(tiny()), "ana")
    alarm = report(bench, station="T-LTE-1", object="station", probable_cause="o-ran-fault-9")
    names = {"eva": "andes", "mallory": "condor", "vera": "vicuna"}
    for name, tenant in names.items():
        admit(bench.store, f"token-of-{name}", name, Role.TENANT_APPROVER, tenant)
    path = f"/v1/alarms/{alarm}/comments"
    concerned = bench.store.alarms.get(alarm).tenants
    assert concerned == ("andes", "condor")
    assert (await bench.client.post(path, json={"text": "who was there last?"})).status_code == 201
    assert (await bench.client.post(path, json={"text": "back at 9", "to": ["andes", "condor"]})).status_code == 201
    assert (await bench.client.post(path, json={"text": "x", "to": ["vicuna"]})).status_code == 422
    async with bench.with_token("token-of-eva") as eva, bench.with_token("token-of-mallory") as mallory:
        assert (await eva.post(path, json={"text": "our users complain"})).status_code == 201
        assert (await eva.post(path, json={"text": "psst", "to": ["condor"]})).status_code == 422
        mine = (await eva.get(path)).json()["results"]
        assert [(one["by"], one["to"], one["text"]) for one in mine] == [
            ("host", ["andes"], "back at 9"),
            ("eva", [], "our users complain"),
        ]
        theirs = (await mallory.get(path)).json()["results"]
        assert [(one["by"], one["to"], one["text"]) for one in theirs] == [("host", ["condor"], "back at 9")]
    async with bench.with_token("token-of-vera") as vera:
        assert (await vera.get(path)).status_code == (await vera.post(path, json={"text": "x"})).status_code == 404
    every = (await bench.client.get(path)).json()["results"]
    assert [one["by"] for one in every] == ["ana", "ana", "eva"]
    assert (await bench.client.get("/v1/alarms/a-none/comments")).status_code == 404


async def test_a_person_clears_what_its_source_never_will_and_nothing_else(bench: ApiBench) -> None:
    gone = report(bench, source=AlarmSource.ALERTMANAGER)
    assert (await bench.client.post(f"/v1/alarms/{gone}/clear", json={})).status_code == 422
    said = await bench.client.post(f"/v1/alarms/{gone}/clear", json={"reason": "Prometheus was replaced"})
    assert (said.status_code, said.json()["state"], said.json()["cleared_by"]) == (200, "cleared", "ana")
    common = report(bench, station="", object="x", probable_cause="core-node-down")
    refused = await bench.client.post(f"/v1/alarms/{common}/clear", json={"reason": "x"})
    assert (refused.status_code, "minka alarms shelve" in refused.json()["detail"]) == (409, True)
    assert (await bench.client.post("/v1/alarms/a-none/clear", json={"reason": "x"})).status_code == 404
