"""Labels of alerts are held against the network and the ledger; what was cut off is read back; intake is bounded."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from threading import Event
from typing import Any, cast

import httpx
import pytest
from sqlalchemy import event
from structlog.testing import capture_logs

from controller.api.intake import Intake
from controller.api.routes import webhooks
from controller.intent import folding
from controller.models.alarm import Alarm, AlarmReport, AlarmSource, AlarmState, AlertRefusal, PerceivedSeverity
from controller.models.errors import InputError, StoreError
from controller.models.health import Health
from controller.models.plan import LedgerNode
from controller.store import Page
from tests.unit.api.bench import TINY, WEBHOOK_TOKEN, ApiBench, files_of

STATION = "T-LTE-1"
LINK = f"/ManagedElement[{STATION}]/ENBFunction[1]/EP_S1C[one]"
AT = datetime.now(UTC) - timedelta(minutes=1)


def alert(*, resolved: bool = False, **labels: str) -> dict[str, Any]:
    return {
        "status": "resolved" if resolved else "firing",
        "labels": {"alertname": "StationPower", "station": STATION} | labels,
        "startsAt": AT.isoformat(),
        "endsAt": (AT + timedelta(seconds=1)).isoformat(),
    }


async def load(bench: ApiBench) -> None:
    """The tiny network, one station of which has a core link of ours."""
    await bench.client.put("/v1/network", json={"files": files_of(TINY)})
    digest, _ = bench.store.networks.get()
    bench.store.devices.adopt(STATION, [LedgerNode(path=LINK, owners=("condor",))], digest, "ana")


@pytest.mark.parametrize(
    ("cells", "links", "late"),
    [
        ({"B28-1": "up"}, ["up"], True),
        ({"B28-1": "down"}, ["up"], True),
        ({"B28-1": "up"}, ["down"], True),
        ({"B28-1": "unknown"}, [], False),
        ({}, ["up"], True),
    ],
)
async def test_an_outage_begins_no_earlier_than_the_last_check_of_its_object(
    bench: ApiBench, cells: dict[str, str], links: list[str], late: bool
) -> None:
    """Whatever time somebody else names: 25 days of a station's service are money. A check says what was down then."""
    await load(bench)
    ago, read = datetime.now(UTC) - timedelta(days=25), datetime.now(UTC) - timedelta(seconds=20)
    link = [{"path": LINK, "tenant": "condor", "kind": "S1C", "state": state} for state in links]
    seen = {"station": STATION, "at": read, "read": read, "reachable": True, "cells": cells, "links": link}
    bench.store.healths.save([Health.model_validate(seen)])
    off_air, power = (alert(alertname=name, object="station") for name in ("cell-off-air", "Power"))
    for one in (off_air, power):
        one["startsAt"] = ago.isoformat()
    await post(bench, off_air, power)
    raised = {alarm.probable_cause: alarm.raised for alarm in alarms(bench)}
    assert abs(raised["cell-off-air"] - (read if late else ago)) < timedelta(seconds=1)
    assert abs(raised["other-alert"] - ago) < timedelta(seconds=1)


async def test_an_object_that_is_no_part_of_the_station_takes_no_service_from_its_cells(bench: ApiBench) -> None:
    await load(bench)
    odd = [alert(alertname="cell-off-air", object=name) for name in ("foo", "/", f"{STATION}x/1", "/a[b", "x=y")]
    await post(bench, *odd, alert(alertname="cell-off-air", object=f"{STATION}/1"))
    (cell,) = [one for one in alarms(bench) if one.probable_cause == "cell-off-air"]
    assert cell.cells == (f"{STATION}/1",)
    others = [one for one in alarms(bench) if one.probable_cause == "other-alert"]
    assert len(others) == len(odd)


@pytest.mark.parametrize(
    ("cause", "odd", "known"),
    [
        ("mains-lost", ["ru-w1", LINK, "x=y"], "station"),
        ("on-battery", ["ru-w1"], f"ManagedElement={STATION}"),
        ("backhaul-down", ["ru-w1", "station"], ""),
        ("core-node-down", ["ru-w1", "station"], ""),
        ("remote-end-down", ["ru-w1", "station"], ""),
        ("radio-unit-lost", ["ru-w1", f"{STATION}/999", f"/ManagedElement[{STATION}]/x[1]"], ""),
        ("all-core-links-down", [f"{STATION}/999"], "station"),
    ],
)
async def test_a_cause_from_which_others_follow_is_believed_of_objects_on_record_only(
    bench: ApiBench, cause: str, odd: list[str], known: str
) -> None:
    """Otherwise one call makes any number of roots, with which all other alarms are compared."""
    await load(bench)
    await post(bench, *(alert(alertname=cause, object=one) for one in (*odd, known) if one))
    found = {one.object: one.probable_cause for one in alarms(bench)}
    assert found == dict.fromkeys(odd, "other-alert") | ({known: cause} if known else {})


@pytest.mark.parametrize("name", ["foo", "/", f"{STATION}x/1", "/a[b", "x=y", "rectifier 2"])
async def test_an_alert_on_something_unknown_is_no_critical_incident_and_reaches_nobody(
    bench: ApiBench, name: str
) -> None:
    """It may be junk, or a part that Minka does not know: nobody knows which cells it carries."""
    await load(bench)
    await post(
        bench,
        alert(alertname="Odd", object=name, severity="CRITICAL"),
        alert(alertname="Odd", object="station", severity="CRITICAL"),
    )
    found = {one.object: one for one in alarms(bench)}
    assert (found[name].severity, found[name].cells, found[name].tenants) == (PerceivedSeverity.MAJOR, (), ())
    await post(bench, alert(alertname="Odd", object=f"ManagedElement={STATION}", severity="CRITICAL"))
    assert [one.cells == found["station"].cells for one in alarms(bench) if one.object.startswith("Man")] == [True]
    assert found["station"].severity is PerceivedSeverity.CRITICAL
    assert found["station"].cells
    severities = {one.object: (one.severity, one.people) for one in bench.store.incidents.open()}
    assert severities[name] == (PerceivedSeverity.MAJOR, 0)


async def post(bench: ApiBench, *alerts: dict[str, Any]) -> dict[str, Any]:
    async with bench.with_token(WEBHOOK_TOKEN) as source:
        answer = await source.post("/v1/webhooks/alertmanager", json={"version": "4", "alerts": list(alerts)})
    assert answer.status_code == 200, answer.text
    said: dict[str, Any] = answer.json()
    return said


def alarms(bench: ApiBench) -> list[Alarm]:
    return bench.store.alarms.page(Page(limit=1000))[1][::-1]


async def test_what_minka_says_of_its_incidents_is_no_news(bench: ApiBench) -> None:
    await load(bench)
    said = await post(bench, alert(alertname="MinkaSymptom", incident="i-1", probable_cause="core-link-down"))
    assert (said["alarms"], said["refused"]) == ([], {"own": 1})
    assert alarms(bench) == []


async def test_one_tenants_alert_neither_clears_nor_shows_anothers(bench: ApiBench) -> None:
    await load(bench)
    await post(bench, alert(tenant="andes"), alert(tenant="condor"))
    await post(bench, alert(tenant="andes", resolved=True))
    first, second = sorted(alarms(bench), key=lambda one: one.tenant)
    assert [(one.tenant, one.state, one.count) for one in (first, second)] == [
        ("andes", AlarmState.CLEARED, 2),
        ("condor", AlarmState.RAISED, 1),
    ]
    assert second.cleared is None


async def test_alarms_wake_a_scheduler_once_and_what_becomes_none_wakes_nobody(bench: ApiBench) -> None:
    await load(bench)
    await post(bench, alert(station="nowhere"))
    assert bench.wakeups.schedulers == 0
    await post(bench, alert(tenant="andes"), alert(tenant="condor"))
    assert bench.wakeups.schedulers == 1


async def test_whose_a_node_is_says_the_ledger_and_no_label(bench: ApiBench) -> None:
    await load(bench)
    alerts = [alert(object=LINK, probable_cause="core-link-down", tenant=tenant) for tenant in ("", "andes", "condor")]
    said = await post(bench, *alerts)
    (alarm,) = alarms(bench)
    assert (alarm.tenant, alarm.count) == ("condor", 3)
    assert set(said["alarms"]) == {alarm.id}


async def test_unknown_stations_and_tenants_are_refused_and_counted_in_one_series_each(bench: ApiBench) -> None:
    await load(bench)
    unknown = [alert(station=f"X-{n}") for n in range(50)]
    said = await post(bench, *unknown, alert(tenant="nobody"), alert(station=""))
    refused = {"unknown-station": 50, "unknown-tenant": 1, "no-station": 1}
    assert (said["alarms"], said["ignored"], said["refused"]) == ([], 52, refused)
    assert alarms(bench) == []
    metrics = (await bench.client.get("/metrics")).text
    series = [line for line in metrics.splitlines() if line.startswith("minka_alerts_refused_total")]
    counted = {reason.value: 0 for reason in AlertRefusal} | refused
    assert dict(line.rsplit(" ", 1) for line in series) == {
        f'minka_alerts_refused_total{{reason="{reason}"}}': f"{number}.0" for reason, number in counted.items()
    }
    assert "X-1" not in metrics


async def test_before_a_network_is_loaded_no_station_is_known(bench: ApiBench) -> None:
    assert (await post(bench, alert()))["refused"] == {"unknown-station": 1}


async def test_unknown_alert_names_share_one_series_and_stay_apart(bench: ApiBench) -> None:
    await load(bench)
    await post(bench, *(alert(alertname=f"Name{n}") for n in range(50)), alert(alertname="station-unreachable"))
    found = alarms(bench)
    assert {one.probable_cause for one in found} == {"other-alert", "station-unreachable"}
    assert len({one.specific_problem for one in found}) == 51
    lines = (await bench.client.get("/metrics")).text.splitlines()
    assert len([line for line in lines if line.startswith("minka_alarms{")]) == 2


async def test_three_hundred_alerts_take_as_many_statements_as_two_and_more_as_many_for_each_piece(
    bench: ApiBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("controller.intent.folding.MOST_TOLD", 10_000)
    await load(bench)
    counts = []
    for size in (1, 2, 300, 2000):  # the first call only warms up
        found: list[str] = []

        def count(_c: object, _cursor: object, statement: str, *_: object, found: list[str] = found) -> None:
            found.append(statement)

        alerts = [alert(alertname=f"{size} {n}") for n in range(size)]
        event.listen(bench.store.database.engine, "before_cursor_execute", count)
        said = await post(bench, *alerts)
        event.remove(bench.store.database.engine, "before_cursor_execute", count)
        assert len(set(said["alarms"])) == size
        counts.append(len(found))
    assert counts[1] == counts[2] < 30
    assert counts[3] < 7 * 30


async def test_what_was_really_told_can_be_read(bench: ApiBench) -> None:
    await load(bench)
    later = {"startsAt": (AT + timedelta(days=1)).isoformat()}
    said = await post(bench, alert(tenant="andes"), alert(tenant="andes"), alert(tenant="andes") | later)
    found = (await bench.client.get(f"/v1/alarms/{said['alarms'][0]}/reports")).json()
    assert [(one["source"], one["count"], one["skewed"]) for one in found["results"]] == [
        ("alertmanager", 2, False),
        ("alertmanager", 1, True),
    ]
    assert json.loads(found["results"][0]["body"])["labels"]["tenant"] == "andes"
    assert (await bench.client.get("/v1/alarms/a-none/reports")).status_code == 404


# ------------------------------------------------------------------- cut off


def listed(name: str, state: str = "active", receiver: str = "minka", station: str = STATION) -> dict[str, Any]:
    """An alert as Alertmanager's API lists it."""
    return {
        "labels": {"alertname": name, "station": station},
        "annotations": {},
        "startsAt": AT.isoformat(),
        "endsAt": (AT + timedelta(hours=1)).isoformat(),
        "receivers": [{"name": "people"}, {"name": receiver}],
        "status": {"state": state, "silencedBy": [], "inhibitedBy": []},
    }


async def post_cut(
    bench: ApiBench,
    monkeypatch: pytest.MonkeyPatch,
    answer: httpx.Response | None,
    *alerts: dict[str, Any],
    station: str = STATION,
) -> httpx.Response:
    """Post a call from which three alerts were cut off, with an Alertmanager that answers so; None for none."""
    asked: list[str] = []

    def handle(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url.copy_with(query=None)) + "?" + "&".join(request.url.params.get_list("filter")))
        assert answer is not None
        return answer

    client = partial(httpx.AsyncClient, transport=httpx.MockTransport(handle))
    services = bench.app.state.services
    url = "" if answer is None else "http://minka:pa55word@alerts:9093/"
    bench.app.state.services = replace(
        services, settings=services.settings.model_copy(update={"alertmanager_url": url})
    )
    message = {"version": "4", "truncatedAlerts": 3, "receiver": "minka", "groupLabels": {"station": station}}
    async with bench.with_token(WEBHOOK_TOKEN) as source:
        with monkeypatch.context() as patch:
            patch.setattr(httpx, "AsyncClient", client)
            given = await source.post("/v1/webhooks/alertmanager", json=message | {"alerts": list(alerts)})
    assert asked == ([] if answer is None else [f'http://minka:pa55word@alerts:9093/api/v2/alerts?station="{station}"'])
    return given


def standing(bench: ApiBench) -> set[str]:
    return {one.specific_problem for one in alarms(bench) if one.state is AlarmState.RAISED}


@pytest.mark.parametrize("number", [2**31, 2**63, 2**64, 2**70, 10**300])
async def test_alerts_of_a_call_count_whatever_it_says_of_truncated_ones(bench: ApiBench, number: int) -> None:
    await load(bench)
    message = {"version": "4", "truncatedAlerts": number, "receiver": "minka", "alerts": [alert(alertname="First")]}
    async with bench.with_token(WEBHOOK_TOKEN) as source:
        for _ in range(2):
            answer = await source.post("/v1/webhooks/alertmanager", json=message)
            assert (answer.status_code, answer.json()["refused"]) == (200, {"truncated": 1_000_000})
    assert standing(bench) == {"First"}


async def test_alerts_that_were_cut_off_are_read_back(bench: ApiBench, monkeypatch: pytest.MonkeyPatch) -> None:
    await load(bench)
    await post(bench, alert(alertname="Over"), alert(alertname="Other", station="T-NR-1"), alert(alertname="First"))
    shown = [listed("First"), listed("Second"), listed("Silenced", "suppressed"), listed("Theirs", receiver="them")]
    said = await post_cut(bench, monkeypatch, httpx.Response(200, json=shown), alert(alertname="First"))
    assert said.status_code == 200
    # What was resolved is listed no more; the alert of another station is of another group.
    assert standing(bench) == {"First", "Second", "Other"}
    assert {one.specific_problem: one.count for one in alarms(bench)}["First"] == 3, "told twice, and read back"


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(500),
        httpx.Response(200, json={"no": "list"}),
        httpx.Response(200, content=b"[" * 40),
        httpx.Response(200, content=gzip.compress(b"[]"), headers={"Content-Encoding": "gzip"}),
    ],
)
async def test_what_cannot_be_read_back_is_sent_again_and_counted(
    bench: ApiBench, monkeypatch: pytest.MonkeyPatch, answer: httpx.Response
) -> None:
    await load(bench)
    with capture_logs() as logs:
        said = await post_cut(bench, monkeypatch, answer, alert(alertname="First"))
    assert (said.status_code, said.headers["retry-after"]) == (503, "5")
    assert [one for one in logs if one["event"] == "webhook.not_read_back"]
    assert "pa55word" not in said.text + str(logs)
    assert standing(bench) == {"First"}, "what was sent is taken all the same"
    assert 'minka_alerts_refused_total{reason="truncated"} 3.0' in (await bench.client.get("/metrics")).text


async def test_too_long_an_answer_is_not_read(bench: ApiBench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "_MOST", 10)
    await load(bench)
    assert (await post_cut(bench, monkeypatch, httpx.Response(200, json=[listed("A")]))).status_code == 503


async def test_without_an_address_what_was_cut_off_is_counted(bench: ApiBench, monkeypatch: pytest.MonkeyPatch) -> None:
    await load(bench)
    said = await post_cut(bench, monkeypatch, None, alert(alertname="First"))
    assert (said.status_code, said.json()["refused"]) == (200, {"truncated": 3})


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
async def test_a_time_that_no_clock_in_utc_shows_is_named(bench: ApiBench, time: str) -> None:
    await load(bench)
    async with bench.with_token(WEBHOOK_TOKEN) as source:
        body = {"version": "4", "alerts": [alert() | {"startsAt": time}]}
        answer = await source.post("/v1/webhooks/alertmanager", json=body)
    assert answer.status_code == 422
    assert answer.json()["problems"][0]["field"] == "body.alerts.0.startsAt"
    assert "between 1 and 9999" in answer.json()["problems"][0]["message"]


# -------------------------------------------------------------------- pressure


async def test_a_call_that_gets_no_turn_or_no_room_comes_again(
    bench: ApiBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await load(bench)
    bench.app.state.services = replace(bench.app.state.services, intake=Intake(room=2000, at_once=1, patience=0.05))
    free, begun, fold = Event(), Event(), bench.store.alarms.take_told

    def slowly(reports: Sequence[AlarmReport], real: Collection[str], refused: Mapping[str, int]) -> list[Alarm | None]:
        begun.set()
        free.wait(10)
        return fold(reports, real, refused)

    monkeypatch.setattr(bench.store.alarms, "take_told", slowly)
    async with bench.with_token(WEBHOOK_TOKEN) as source:
        first = asyncio.create_task(post(bench, alert(alertname="First")))
        await asyncio.to_thread(begun.wait, 10)
        body = {"version": "4", "alerts": [alert(alertname="Second")]}
        waiting = await source.post("/v1/webhooks/alertmanager", json=body)
        large = await source.post("/v1/webhooks/alertmanager", content=json.dumps(body) + " " * 1800)
        free.set()
        await first
        assert [(one.status_code, one.headers["retry-after"]) for one in (waiting, large)] == [(503, "5")] * 2
        assert (await source.post("/v1/webhooks/alertmanager", json=body)).status_code == 200
    assert standing(bench) == {"First", "Second"}
    bench.app.state.services.intake.take(2000)  # all room was given back


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer no",
        f"Bearer {WEBHOOK_TOKEN[:-1]}",
        f"Bearer {WEBHOOK_TOKEN}x",
        f"bearer{WEBHOOK_TOKEN}",
        "Basic Og==",
    ],
)
async def test_a_wrong_token_opens_nothing(bench: ApiBench, header: str) -> None:
    await load(bench)
    message = {"version": "4", "truncatedAlerts": 0, "alerts": [alert(alertname="First")]}
    headers = {"Authorization": header} if header else {}
    answer = await bench.anonymous.post("/v1/webhooks/alertmanager", json=message, headers=headers)
    assert (answer.status_code, alarms(bench)) == (401, [])


async def test_too_large_a_body_is_refused_and_a_replay_is_harmless(bench: ApiBench) -> None:
    await load(bench)
    firing, over = alert(alertname="First"), alert(alertname="First", resolved=True)
    for one in (firing, over, firing, firing):
        await post(bench, one)
    (alarm,) = alarms(bench)
    assert (alarm.state, alarm.count) == (AlarmState.CLEARED, 4)
    async with bench.with_token(WEBHOOK_TOKEN) as source:
        answer = await source.post("/v1/webhooks/alertmanager", content=b" " * (8 * 2**20 + 1))
    assert answer.status_code == 413


async def test_calls_that_come_together_share_a_transaction_and_none_spoils_anothers(
    bench: ApiBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await load(bench)
    free, begun, fold, folds = Event(), Event(), bench.store.alarms.take_told, list[list[str]]()

    def slowly(reports: Sequence[AlarmReport], real: Collection[str], refused: Mapping[str, int]) -> list[Alarm | None]:
        folds.append([report.specific_problem for report in reports])
        if not begun.is_set():
            begun.set()
            free.wait(10)
        if "Bad" in folds[-1]:
            raise InputError("a report that can't be taken")
        return fold(reports, real, refused)

    monkeypatch.setattr(bench.store.alarms, "take_told", slowly)
    names = ("First", "Second", "Third", "Bad", "Fourth")
    async with bench.with_token(WEBHOOK_TOKEN) as source:

        async def call(*alerts: str) -> httpx.Response:
            body = {"version": "4", "alerts": [alert(alertname=name) for name in alerts]}
            return await source.post("/v1/webhooks/alertmanager", json=body)

        tasks = [asyncio.create_task(call("First"))]
        await asyncio.to_thread(begun.wait, 10)
        intake = bench.app.state.services.intake
        for waiting, alerts in enumerate((("Second", "Third"), ("Bad",), ("Fourth", "Second")), start=1):
            tasks.append(asyncio.create_task(call(*alerts)))
            while sum(map(len, intake._waiting.values())) < waiting:
                await asyncio.sleep(0)
        free.set()
        first, two, bad, again = [await task for task in tasks]
    together = ["Second", "Third", "Bad", "Fourth", "Second"]
    assert folds == [["First"], together, ["Second", "Third"], ["Bad"], ["Fourth", "Second"]]
    assert [one.status_code for one in (first, two, bad, again)] == [200, 200, 422, 200]
    ids = {one.specific_problem: one.id for one in alarms(bench)}
    assert ids.keys() == set(names) - {"Bad"}
    assert two.json()["alarms"] == [ids["Second"], ids["Third"]]
    assert again.json()["alarms"] == [ids["Fourth"], ids["Second"]]


async def test_calls_at_once_do_not_use_the_same_room(bench: ApiBench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folding, "MOST_TOLD", 3)
    await load(bench)
    free, begun, fold = Event(), Event(), bench.store.alarms.take_told

    def slowly(reports: Sequence[AlarmReport], real: Collection[str], refused: Mapping[str, int]) -> list[Alarm | None]:
        begun.set()
        free.wait(10)
        return fold(reports, real, refused)

    monkeypatch.setattr(bench.store.alarms, "take_told", slowly)
    async with bench.with_token(WEBHOOK_TOKEN) as source:

        async def call(*alerts: str) -> httpx.Response:
            body = {"version": "4", "alerts": [alert(alertname=name) for name in alerts]}
            return await source.post("/v1/webhooks/alertmanager", json=body)

        tasks = [asyncio.create_task(call("A", "B"))]
        await asyncio.to_thread(begun.wait, 10)
        # All of these are read, and wait, before any of the first call's alarms is on record.
        intake = bench.app.state.services.intake
        for waiting, alerts in enumerate((("C", "D"), ("B", "E")), start=1):
            tasks.append(asyncio.create_task(call(*alerts)))
            while sum(map(len, intake._waiting.values())) < waiting:
                await asyncio.sleep(0)
        free.set()
        answers = [(await task).json() for task in tasks]
    assert [(len(one["alarms"]), one["refused"]) for one in answers] == [(2, {})] + [(1, {"too-many": 1})] * 2
    assert standing(bench) == {"A", "B", "C"}
    assert bench.store.status.figures()["minka_alerts_refused_total"]["too-many",] == 2


async def test_a_storm_of_one_tenants_alarms_keeps_no_others_call_waiting() -> None:
    intake, free, begun, taken = Intake(most=10), Event(), Event(), list[Counter[str]]()

    def take(reports: Sequence[AlarmReport], _: Mapping[str, int], __: Collection[str]) -> list[Alarm | None]:
        taken.append(Counter(report.tenant for report in reports))
        begun.set()
        free.wait(10)
        return [cast("Alarm", report.tenant) for report in reports]

    def call(tenant: str, number: int) -> asyncio.Task[list[Alarm | None]]:
        report = AlarmReport(
            station=STATION,
            object="station",
            tenant=tenant,
            probable_cause="x",
            severity=PerceivedSeverity.MAJOR,
            source=AlarmSource.VES,
            at=AT,
        )
        return asyncio.create_task(intake.report(take, [report] * number, {}, ()))

    tasks = [call("movistar", 5)]
    await asyncio.to_thread(begun.wait, 10)
    tasks += [call("movistar", 5) for _ in range(20)] + [call("claro", 1)]
    await asyncio.sleep(0)
    free.set()
    assert [{str(one) for one in await task} for task in tasks] == [{"movistar"}] * 21 + [{"claro"}]
    assert taken[:3] == [Counter(movistar=5), Counter(movistar=5, claro=1), Counter(movistar=10)]
    assert sum(taken, Counter()) == Counter(movistar=105, claro=1)


async def test_a_long_call_is_taken_in_pieces_between_which_others_come() -> None:
    intake, free, begun = Intake(longest=3), Event(), Event()
    taken, refusals, broken = list[list[str]](), list[Mapping[str, int]](), [True]

    def take(reports: Sequence[AlarmReport], refused: Mapping[str, int], _: Collection[str]) -> list[Alarm | None]:
        taken.append([f"{report.tenant}{report.text}" for report in reports])
        refusals.append(dict(refused))
        begun.set()
        free.wait(10)
        if "a7" in taken[-1] and broken[0]:
            raise StoreError
        return [cast("Alarm", report.text) for report in reports]

    def report(tenant: str, number: int) -> AlarmReport:
        return AlarmReport(
            station=STATION,
            object="station",
            tenant=tenant,
            probable_cause="x",
            severity=PerceivedSeverity.MAJOR,
            source=AlarmSource.VES,
            text=str(number),
            at=AT + timedelta(seconds=number),
        )

    # What began last comes first in the call, and is folded last.
    long = [report("a", number) for number in reversed(range(8))]
    first = asyncio.create_task(intake.report(take, long, {"own": 2}, ()))
    await asyncio.to_thread(begun.wait, 10)
    other = asyncio.create_task(intake.report(take, [report("b", 1)], {}, ()))
    await asyncio.sleep(0)
    free.set()
    assert list(map(str, await other)) == ["1"]
    with pytest.raises(StoreError):
        await first
    assert taken == [["a0", "a1", "a2"], ["b1"], ["a3", "a4", "a5"], ["a6", "a7"]]
    # It was not answered, comes again, and gets its answer in its own order.
    broken.clear()
    broken.append(False)
    assert list(map(str, await intake.report(take, long, {"own": 2}, ()))) == list("76543210")
    assert (refusals[:4], refusals[4:]) == ([{}] * 4, [{}, {}, {}, {"own": 2}])
