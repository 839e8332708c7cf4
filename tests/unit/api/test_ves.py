"""The VES event listener: faults become alarms, heartbeats are kept, and what is no event of VES 7.2 is refused."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx
import pytest

from controller.api.auth import VES_SOURCES, ensure_webhook_token
from controller.assurance.station_alarms import report_of_fault
from controller.intent import folding
from controller.models.alarm import Alarm, AlarmReport, AlarmSource, AlarmState, ObjectClass
from controller.models.errors import StoreError
from controller.models.health import Health
from controller.models.network import DeviceKind
from controller.models.plan import LedgerNode
from controller.models.ves import FaultFields
from controller.ports.clock import SystemClock
from controller.store import Page
from tests.unit.api.bench import TINY, WEBHOOK_TOKEN, ApiBench, files_of, open_bench

STATION = "T-LTE-1"
LINK = f"/ManagedElement[{STATION}]/ENBFunction[1]/EP_S1C[one]"
PASSWORD = "p:assword-of-ves-sources-with-a-colon"


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[ApiBench]:
    async with open_bench(tmp_path) as made:
        await made.client.put("/v1/network", json={"files": files_of(TINY)})
        digest, _ = made.store.networks.get()
        made.store.devices.adopt(STATION, [LedgerNode(path=LINK, owners=("condor",))], digest, "ana")
        ensure_webhook_token(PASSWORD, made.store, SystemClock(), VES_SOURCES, "MINKA_VES_TOKEN")
        yield made


def header(domain: str, sequence: int = 1, source: str = STATION, ago: float = 60) -> dict[str, Any]:
    moment = int((datetime.now(UTC) - timedelta(seconds=ago)).timestamp() * 1_000_000)
    return {
        "domain": domain,
        "eventId": f"{domain}-1",
        "eventName": f"{domain}_Vendor",
        "lastEpochMicrosec": moment,
        "startEpochMicrosec": moment,
        "priority": "Normal",
        "reportingEntityName": "ems",
        "sourceName": source,
        "sequence": sequence,
        "version": "4.1",
        "vesEventListenerVersion": "7.2.1",
    }


def fault(severity: str = "MAJOR", *, sequence: int = 1, source: str = STATION, ago: float = 60, **more: Any) -> Any:
    fields = {
        "faultFieldsVersion": "4.0",
        "alarmCondition": "lossOfSignal",
        "eventSeverity": severity,
        "eventSourceType": "port",
        "specificProblem": "no light",
        "vfStatus": "Active",
    }
    return {"commonEventHeader": header("fault", sequence, source, ago), "faultFields": fields | more}


def heartbeat(seconds: int | None = None, source: str = STATION) -> dict[str, Any]:
    fields = {"heartbeatFieldsVersion": "3.0", "heartbeatInterval": seconds}
    return {"commonEventHeader": header("heartbeat", source=source)} | ({"heartbeatFields": fields} if seconds else {})


def basic(name: str = "ves", password: str = PASSWORD) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}


async def send(bench: ApiBench, *events: Any, batch: bool = False) -> httpx.Response:
    body = {"eventList": list(events)} if batch else {"event": events[0]}
    path = "/eventListener/v7/eventBatch" if batch else "/eventListener/v7"
    return await bench.anonymous.post(path, json=body, headers=basic())


def alarms(bench: ApiBench) -> list[Alarm]:
    return bench.store.alarms.page(Page(limit=1000))[1][::-1]


def refusal(answer: httpx.Response) -> tuple[int, str, list[str]]:
    (said,) = answer.json()["requestError"].values()
    return answer.status_code, said["messageId"], said["variables"]


# ----------------------------------------------------------------------- faults


async def test_a_fault_is_raised_and_cleared_and_its_words_are_kept(bench: ApiBench) -> None:
    answer = await send(bench, fault(alarmInterfaceA="port-1"))
    assert (answer.status_code, answer.content) == (202, b"")
    headers = {name: answer.headers[name] for name in ("x-minorversion", "x-patchversion", "x-latestversion")}
    assert headers == {"x-minorversion": "2", "x-patchversion": "1", "x-latestversion": "7.2.1"}
    (alarm,) = alarms(bench)
    assert (alarm.station, alarm.object, alarm.object_class) == (STATION, "port-1", ObjectClass.PORT)
    assert (alarm.probable_cause, alarm.specific_problem, alarm.source) == (
        "3gpp-loss-of-signal",
        "no light",
        AlarmSource.VES,
    )
    assert bench.wakeups.schedulers == 1
    (kept,) = bench.store.reports.of_alarm(alarm.id, 9)
    assert json.loads(kept.report.body)["faultFields"]["alarmCondition"] == "lossOfSignal"
    await send(bench, fault("NORMAL", sequence=2, ago=30, alarmInterfaceA="port-1"))
    assert [one.state for one in alarms(bench)] == [AlarmState.CLEARED]


async def test_a_batch_is_taken_whole_and_in_any_order_and_twice(bench: ApiBench) -> None:
    events = [fault("NORMAL", sequence=2, ago=10), fault(sequence=1, ago=20), fault(source="T-NR-1")]
    for _ in range(2):
        assert (await send(bench, *events, batch=True)).status_code == 202
    found = {(one.station, one.state, one.count) for one in alarms(bench)}
    assert found == {(STATION, AlarmState.CLEARED, 4), ("T-NR-1", AlarmState.RAISED, 2)}


@pytest.mark.parametrize(
    "named", [{"alarmInterfaceA": "EP_S1C=one"}, {"alarmAdditionalInformation": {"objectInstance": "EP_S1C=one"}}]
)
async def test_a_core_link_that_the_checks_find_too_is_one_alarm(bench: ApiBench, named: dict[str, Any]) -> None:
    known = AlarmReport(
        station=STATION,
        object=LINK,
        object_class=ObjectClass.CORE_LINK,
        tenant="condor",
        probable_cause="core-link-down",
        severity="MAJOR",
        source="check",
        at=datetime.now(UTC) - timedelta(hours=1),
    )
    first = bench.store.alarms.report(known)
    await send(bench, fault("CRITICAL", **named))
    (alarm,) = alarms(bench)
    assert (alarm.id, alarm.count, alarm.severity) == (first.id, 2, "CRITICAL")


async def test_a_made_up_cell_is_not_off_air(bench: ApiBench) -> None:
    """Of a cell that the ledger does not have nobody knows that it takes service away."""
    cell = f"/ManagedElement[{STATION}]/ENBFunction[1]/EUtranCellFDD"
    digest, _ = bench.store.networks.get()
    nodes = [LedgerNode(path=one, owners=("condor",)) for one in (LINK, f"{cell}[1]")]
    bench.store.devices.adopt(STATION, nodes, digest, "ana")
    names = [f"ManagedElement={STATION},ENBFunction=1,EUtranCellFDD={one}" for one in (1, 999)]
    events = [fault("CRITICAL", alarmAdditionalInformation={"objectInstance": name}) for name in names]
    await send(bench, *events, batch=True)
    found = {one.object: (one.probable_cause, one.severity) for one in alarms(bench)}
    assert found == {f"{cell}[1]": ("cell-off-air", "CRITICAL"), f"{cell}[999]": ("3gpp-loss-of-signal", "MAJOR")}


async def test_a_fault_that_the_station_notified_in_the_same_words_is_one_alarm(bench: ApiBench) -> None:
    known = {"station": STATION, "object": "ru-1", "probable_cause": "o-ran-fault-9", "specific_problem": "ru-1"}
    report = AlarmReport.model_validate(
        known | {"text": "no light", "severity": "MAJOR", "source": "oran-fm", "at": datetime.now(UTC)}
    )
    first = bench.store.alarms.report(report)
    await send(bench, fault(alarmInterfaceA="ru-1", ago=0), fault(specificProblem="other", ago=0), batch=True)
    assert [(one.id == first.id, one.count) for one in alarms(bench)] == [(True, 2), (False, 1)]


@pytest.mark.parametrize(
    ("named", "kind", "what", "whose"),
    [
        ("R-1", "router", "router", ObjectClass.ROUTER),
        ("", "other", "router", ObjectClass.ROUTER),
        ("ge-0/0/1", "portThreshold", "ge-0/0/1", ObjectClass.PORT),
    ],
)
def test_a_router_is_the_router_and_its_ports_are_ports(named: str, kind: str, what: str, whose: ObjectClass) -> None:
    fields = FaultFields.model_validate(fault(alarmInterfaceA=named, eventSourceType=kind)["faultFields"])
    report = report_of_fault("R-1", "fault-1", fields, datetime.now(UTC), {}, (), DeviceKind.ROUTER)
    assert (report.object, report.object_class, report.station) == (what, whose, "R-1")


@pytest.mark.parametrize("ago", [-3600, 2 * 86_400])
async def test_a_wrong_clock_gives_way_to_the_time_of_receipt(bench: ApiBench, ago: float) -> None:
    before = datetime.now(UTC)
    await send(bench, fault(ago=ago))
    (alarm,) = alarms(bench)
    assert before <= alarm.raised <= datetime.now(UTC)
    assert [one.skewed for one in bench.store.reports.of_alarm(alarm.id, 1)] == [True]


# ---------------------------------------------------- heartbeats, registrations


async def test_the_first_and_the_last_moment_of_the_calendar(bench: ApiBench) -> None:
    event = fault()
    for micros, status in ((0, 202), (253_402_300_799_000_000, 202), (253_402_300_799_999_999, 400)):
        event["commonEventHeader"]["lastEpochMicrosec"] = micros
        assert (await send(bench, event)).status_code == status
    (alarm,) = alarms(bench)
    assert abs(alarm.raised - SystemClock().now()) < timedelta(minutes=1)


async def test_of_endless_words_the_first_are_kept(bench: ApiBench) -> None:
    long = "x" * 100_000
    assert (await send(bench, fault(specificProblem=long, alarmInterfaceA=long))).status_code == 202
    labels = {"alertname": "A", "station": STATION, "object": long, "probable_cause": long}
    alert = {"status": "firing", "labels": labels, "annotations": {"summary": long}, "startsAt": "2026-11-01T00:00:00Z"}
    async with bench.with_token(WEBHOOK_TOKEN) as source:
        said = await source.post("/v1/webhooks/alertmanager", json={"version": "4", "alerts": [alert]})
    assert said.status_code == 200
    for alarm in alarms(bench):
        assert {len(words) for words in (alarm.object, alarm.specific_problem, alarm.text)} == {1000}


async def test_a_source_makes_no_more_than_so_many_alarms_of_a_device(
    bench: ApiBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folding, "MOST_TOLD", 3)
    named = [fault(alarmInterfaceA=f"made-up-{number}") for number in range(5)]
    assert (await send(bench, *named, batch=True)).status_code == 202
    kept = ["made-up-0", "made-up-1", "made-up-2"]
    assert sorted(one.object for one in alarms(bench)) == kept
    assert bench.store.status.figures()["minka_alerts_refused_total"]["too-many",] == 2
    # One too many by itself is refused in words.
    said = await send(bench, fault(alarmInterfaceA="made-up-9"))
    assert said.status_code == 400
    (words,) = said.json()["requestError"]["serviceException"]["variables"]
    assert words.startswith("event.faultFields: no more than 500 faults of a source that stand or are of the last day")
    # What is on record goes on, other sources and other devices have room of their own.
    assert (await send(bench, fault("NORMAL", sequence=2, alarmInterfaceA="made-up-0"))).status_code == 202
    assert [one.object for one in alarms(bench) if one.state is AlarmState.CLEARED] == ["made-up-0"]
    assert (await send(bench, fault(source="T-NR-1", alarmInterfaceA="made-up-9"))).status_code == 202
    alert = {"status": "firing", "annotations": {}, "startsAt": "2026-11-01T00:00:00Z"}
    alerts = [alert | {"labels": {"alertname": "A", "station": STATION, "object": f"pod-{n}"}} for n in range(4)]
    async with bench.with_token(WEBHOOK_TOKEN) as source:
        answer = await source.post("/v1/webhooks/alertmanager", json={"version": "4", "alerts": alerts})
    assert (len(answer.json()["alarms"]), answer.json()["refused"]) == (3, {"too-many": 1})
    # Whoever makes faults up silences nobody who tells of a real one.
    cell = {"alertname": "A", "station": STATION, "object": f"{STATION}/1", "probable_cause": "cell-off-air"}
    async with bench.with_token(WEBHOOK_TOKEN) as source:
        answer = await source.post(
            "/v1/webhooks/alertmanager", json={"version": "4", "alerts": [alert | {"labels": cell}]}
        )
    assert (len(answer.json()["alarms"]), answer.json()["refused"]) == (1, {})
    assert len(alarms(bench)) == 8
    # A fault that was cleared makes no room on the same day, so that no source makes rows without end.
    assert (await send(bench, fault(alarmInterfaceA="made-up-8"))).status_code == 400


async def test_heartbeats_are_kept_with_their_interval_and_end_a_loss(bench: ApiBench) -> None:
    for event, interval in ((heartbeat(), 60), (heartbeat(10), 10), (heartbeat(), 10), (heartbeat(10**9), 86_400)):
        assert (await send(bench, event)).status_code == 202
        (one,) = bench.store.heartbeats.find()
        assert (one.device, one.interval, one.lost) == (STATION, interval, False)
    assert alarms(bench) == []
    assert bench.store.heartbeats.lose(STATION, one.at)
    assert not bench.store.heartbeats.lose(STATION, one.at)
    await send(bench, heartbeat(), heartbeat(source="T-NR-1"), batch=True)
    assert [(one.station, one.probable_cause, one.state) for one in alarms(bench)] == [
        (STATION, "heartbeat-lost", AlarmState.CLEARED)
    ]


async def test_a_registration_is_on_record_once_and_changes_nothing(bench: ApiBench) -> None:
    said = {"pnfRegistrationFieldsVersion": "2.1", "serialNumber": "7", "oamV4IpAddress": "192.0.2.1"}
    event = {"commonEventHeader": header("pnfRegistration", source="T-NR-1"), "pnfRegistrationFields": said}
    before = bench.store.devices.find()
    for _ in range(2):
        assert (await send(bench, event)).status_code == 202
    said["serialNumber"] = "8"
    assert (await send(bench, event)).status_code == 202
    rows = [row for row in bench.store.audit.page(Page())[1] if row.action == "device.registered"]
    assert [(row.object, row.detail["serial_number"]) for row in rows] == [("T-NR-1", "8"), ("T-NR-1", "7")]
    assert (alarms(bench), bench.store.devices.find()) == ([], before)


# ------------------------------------------------------------------- refusals


async def test_unknown_sources_and_domains_are_counted(bench: ApiBench) -> None:
    unknown = fault(source="X-1")
    assert refusal(await send(bench, unknown)) == (
        400,
        "SVC0002",
        ["event.commonEventHeader.sourceName: not in the network files"],
    )
    other = {"commonEventHeader": header("measurement"), "measurementFields": {"measurementInterval": 5}}
    assert (await send(bench, unknown, other, fault(), batch=True)).status_code == 202
    assert len(alarms(bench)) == 1
    metrics = (await bench.client.get("/metrics")).text
    for reason, number in (("unknown-station", 2), ("unread-domain", 1)):
        assert f'minka_alerts_refused_total{{reason="{reason}"}} {number}.0' in metrics


@pytest.mark.parametrize(
    ("body", "part"),
    [
        (b"{", "the body: it is no JSON"),
        (b"[]", ": Input should be"),
        (b"[" * 200 + b"]" * 200, "the body: it is nested more than 64 levels deep"),
        (json.dumps({"event": {"commonEventHeader": header("fault") | {"domain": "faults"}}}).encode(), "event.common"),
        (json.dumps({"event": {"commonEventHeader": header("fault") | {"colour": "red"}}}).encode(), "event.common"),
        (json.dumps({"event": {"commonEventHeader": header("fault")}}).encode(), "event.faultFields: missing"),
        (json.dumps({"event": fault("FATAL")}).encode(), "event.faultFields.eventSeverity: "),
        (json.dumps({"event": fault() | {"heartbeatField": {}}}).encode(), "event.heartbeatField: "),
        (
            json.dumps(
                {"event": fault() | {"commonEventHeader": header("fault") | {"lastEpochMicrosec": 1e30}}}
            ).encode(),
            "event.common",
        ),
        (json.dumps({"eventList": [fault()]}).encode(), "event: Field required"),
    ],
)
async def test_what_is_no_event_is_refused_with_what_is_wrong_where(bench: ApiBench, body: bytes, part: str) -> None:
    answer = await bench.anonymous.post("/eventListener/v7", content=body, headers=basic())
    status, message, (said,) = refusal(answer)
    assert (status, message) == (400, "SVC0002")
    assert said.startswith(part)
    assert alarms(bench) == []


async def test_a_refusal_names_all_that_is_wrong_up_to_ten(bench: ApiBench) -> None:
    """Not only the first of it, so that nobody has to send it again for each mistake."""
    bad = fault("FATAL") | {"colour": "red"}
    lacks = {"commonEventHeader": header("fault")}
    for sent, words in (
        (
            [bad, fault(), fault("WORSE")],
            ("eventList.0.faultFields.eventSeverity: ", "eventList.0.colour: ", "eventList.2."),
        ),
        ([lacks, fault(), lacks], ("eventList.0.faultFields: missing", "eventList.2.faultFields: missing")),
        ([bad] * 20, ("and 30 more",)),
    ):
        content = json.dumps({"eventList": sent}).encode()
        answer = await bench.anonymous.post("/eventListener/v7/eventBatch", content=content, headers=basic())
        status, _, (said,) = refusal(answer)
        assert status == 400
        for part in words:
            assert part in said


@pytest.mark.parametrize(
    "headers",
    [
        {},
        basic(password="wrong"),
        basic(password=""),
        basic("webhook"),
        {"Authorization": "Basic !!"},
        {"Authorization": "Bearer no"},
    ],
)
async def test_strangers_are_refused_in_the_words_of_ves(bench: ApiBench, headers: dict[str, str]) -> None:
    answer = await bench.anonymous.post("/eventListener/v7", json={"event": fault()}, headers=headers)
    assert refusal(answer) == (401, "POL1009", [])
    assert answer.headers["www-authenticate"] == "Basic"


async def test_a_bearer_token_of_alarm_sources_will_do_and_a_password_opens_nothing_else(bench: ApiBench) -> None:
    async with bench.with_token(WEBHOOK_TOKEN) as source:
        assert (await source.post("/eventListener/v7", json={"event": fault()})).status_code == 202
    assert (await bench.anonymous.get("/v1/alarms", headers=basic())).status_code == 401


@pytest.mark.parametrize(
    ("method", "path", "status"), [("POST", "/eventListener/v6", 404), ("GET", "/eventListener/v7", 405)]
)
async def test_another_path_or_method_is_refused_in_the_words_of_ves(
    bench: ApiBench, method: str, path: str, status: int
) -> None:
    answer = await bench.anonymous.request(method, path, headers=basic())
    assert refusal(answer) == (status, "SVC2000", [HTTPStatus(status).phrase, str(status)])
    assert answer.headers["X-LatestVersion"] == "7.2.1"


async def test_an_error_in_minka_is_told_in_the_words_of_ves(bench: ApiBench, monkeypatch: pytest.MonkeyPatch) -> None:
    def bug(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(bench.store.ledger, "find", bug)
    assert refusal(await send(bench, fault())) == (500, "SVC2000", ["Internal Server Error", "500"])


async def test_too_large_a_body_and_a_database_that_is_away(bench: ApiBench, monkeypatch: pytest.MonkeyPatch) -> None:
    large = await bench.anonymous.post("/eventListener/v7", content=b" " * (2 * 2**20 + 1), headers=basic())
    assert refusal(large) == (400, "POL9003", [])

    def away(*_: object) -> None:
        raise StoreError

    monkeypatch.setattr(bench.store.alarms, "take_told", away)
    answer = await send(bench, fault())
    assert (refusal(answer), answer.headers["retry-after"]) == ((503, "SVC1000", []), "5")
    monkeypatch.undo()
    assert (await send(bench, fault())).status_code == 202
    assert len(alarms(bench)) == 1


async def test_a_compressed_body_is_refused_with_the_reason(bench: ApiBench) -> None:
    body = json.dumps({"event": fault()}).encode()
    for encoding, content, status in (("gzip", gzip.compress(body), 400), ("identity", body, 202)):
        headers = basic() | {"Content-Encoding": encoding}
        answer = await bench.anonymous.post("/eventListener/v7", content=content, headers=headers)
        assert answer.status_code == status
        if status == 400:
            assert refusal(answer)[1:] == ("SVC0002", ["Content-Encoding: gzip: only plain JSON is accepted"])
            assert alarms(bench) == []


# ------------------------------------------------------------------------- files


def file_ready(location: str = "sftp://192.0.2.1/pm/A.xml", kind: str = "Performance", source: str = STATION) -> Any:
    data = {
        "href": "x",
        "notificationId": 1,
        "notificationType": "notifyFileReady",
        "eventTime": "2026-10-01T12:00:10Z",
        "systemDN": "x",
        "fileInfoList": [{"fileLocation": location, "fileSize": 9, "fileDataType": kind}],
    }
    fields = {"schemaReference": "https://forge.3gpp.org/x", "data": data, "stndDefinedFieldsVersion": "1.0"}
    more = {"stndDefinedNamespace": "file-ready"}
    return {"commonEventHeader": header("stndDefined", source=source) | more, "stndDefinedFields": fields}


@pytest.mark.parametrize(
    "location", ["sftp://192.0.2.1/pm/A.xml", "http://169.254.169.254/latest", "file:///etc/passwd", "../../x", ""]
)
async def test_a_file_that_is_ready_makes_its_station_due_and_no_place_of_an_event_is_looked_at(
    bench: ApiBench, location: str
) -> None:
    due = SystemClock().now() + timedelta(minutes=10)
    bench.store.collections.follow({STATION: due, "T-NR-1": due})
    assert (await send(bench, file_ready(location))).status_code == 202
    found = bench.store.collections.find()
    assert found[STATION].due < due
    assert found["T-NR-1"].due == due
    assert location not in str(found[STATION].model_dump()) or not location
    assert (bench.wakeups.collectors, bench.wakeups.schedulers, alarms(bench)) == (1, 0, [])
    await send(bench, file_ready(location))
    assert bench.wakeups.collectors == 1, "it is due already"


async def test_other_files_and_stations_that_are_not_collected_change_nothing(bench: ApiBench) -> None:
    assert (await send(bench, file_ready())).status_code == 202
    due = SystemClock().now() + timedelta(minutes=10)
    bench.store.collections.follow({STATION: due})
    assert (await send(bench, file_ready(kind="Trace"))).status_code == 202
    assert refusal(await send(bench, file_ready(source="nobody")))[:2] == (400, "SVC0002")
    assert (bench.store.collections.find()[STATION].due, bench.wakeups.collectors) == (due, 0)
    assert bench.store.status.figures()["minka_alerts_refused_total"]["unread-domain",] == 1


async def test_a_station_that_says_that_its_alarms_changed_is_to_be_read_at_once(bench: ApiBench) -> None:
    data: dict[str, Any] = {"href": "x", "notificationId": 2, "eventTime": "2026-10-01T12:00:10Z", "systemDN": "x"}
    head = header("stndDefined") | {"stndDefinedNamespace": "3GPP-FaultSupervision"}
    event = {"commonEventHeader": head, "stndDefinedFields": {"data": data, "stndDefinedFieldsVersion": "1.0"}}
    for kind in ("notifyAlarmListRebuilt", "notifyNewAlarm", "notifyClearedAlarm"):
        read = Health(station=STATION, at=SystemClock().now(), reachable=True)
        bench.store.healths.save([read, read.model_copy(update={"station": "T-NR-1"})])
        assert bench.store.healths.asked() == {}
        data |= {"notificationType": kind, "reason": "a restart"}
        assert (await send(bench, event)).status_code == 202
        assert bench.store.healths.asked() == {STATION: read.at}
    assert alarms(bench) == [], "what stands is said by its list, and not by this event"
    bench.store.healths.save([read.model_copy(update={"at": SystemClock().now()})])
    data["notificationType"] = ["notifyNewAlarm"]
    assert (await send(bench, event)).status_code == 202
    assert bench.store.healths.asked() == {}
    assert bench.store.status.figures()["minka_alerts_refused_total"]["unread-domain",] == 1


async def test_a_standard_event_without_its_fields_is_refused(bench: ApiBench) -> None:
    event = {"commonEventHeader": header("stndDefined")}
    status, message, variables = refusal(await send(bench, event))
    assert (status, message) == (400, "SVC0002")
    assert "stndDefinedFields" in str(variables)
