"""Alertmanager's webhook, and the webhook that people are told by."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from controller.models.alarm import AlarmSource, AlarmState
from controller.models.errors import StoreError
from controller.observe.webhook import HttpWebhook
from tests.integration.alarms.system import LTE, LocalSystem, open_system
from tests.support.people import webhook

LINK = f"/ManagedElement[{LTE}]/ENBFunction[1]/EP_S1C[condor-condor-mme-1]"


@pytest.fixture
async def system(tmp_path: Path) -> AsyncIterator[LocalSystem]:
    """Stations that are adopted: what they carry counts for no alert."""
    async with open_system(tmp_path, apply=False) as made:
        yield made


def alert(at: datetime, *, resolved: bool = False, **labels: str) -> dict[str, Any]:
    """An alert as Alertmanager sends it."""
    known = {"alertname": "MinkaCoreLinkDown", "station": LTE, "object": LINK, "probable_cause": "core-link-down"}
    return {
        "status": "resolved" if resolved else "firing",
        "labels": known | labels,
        "annotations": {"summary": "down"},
        "startsAt": at.isoformat(),
        "endsAt": (at + timedelta(seconds=1)).isoformat() if resolved else "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus/graph",
        "fingerprint": "deadbeef",
    }


async def post(client: httpx.AsyncClient, *alerts: dict[str, Any], **more: object) -> httpx.Response:
    """Call the webhook as Alertmanager does."""
    message = {"version": "4", "groupKey": "{}", "truncatedAlerts": 0, "receiver": "minka", "alerts": list(alerts)}
    return await client.post("/v1/webhooks/alertmanager", json=message | more)


async def test_a_hundred_equal_webhooks_at_once_are_one_alarm(system: LocalSystem) -> None:
    one = alert(system.clock.now())
    async with system.client() as client:
        answers = await asyncio.gather(*(post(client, one) for _ in range(100)))
    assert {answer.status_code for answer in answers} == {200}
    (alarm,) = system.alarms()
    assert alarm.count == 100
    assert {answer.json()["alarms"][0] for answer in answers} == {alarm.id}


async def test_resolved_before_firing_raises_nothing(system: LocalSystem) -> None:
    at = system.clock.now() - timedelta(seconds=10)
    async with system.client() as client:
        assert (await post(client, alert(at, resolved=True))).status_code == 200
        assert (await post(client, alert(at))).status_code == 200
    (alarm,) = system.alarms()
    assert (alarm.state, alarm.count) == (AlarmState.CLEARED, 2)


async def test_alert_notification_and_check_are_one_alarm(notified: LocalSystem) -> None:
    notified.listen()
    await notified.observed()
    notified.fleet.stations[LTE].equipment.break_link("condor-condor-mme-1")
    heard = await notified.ended(LTE, AlarmState.RAISED)
    async with notified.client() as client:
        answer = await post(client, alert(notified.clock.now(), tenant="condor", severity="critical"))
    assert answer.json()["alarms"] == [heard.id]
    await asyncio.sleep(3)  # two checks
    (alarm,) = notified.alarms()
    assert (alarm.source, alarm.severity) == (AlarmSource.ORAN_FM, "CRITICAL")


async def test_alerts_about_something_else_are_counted(system: LocalSystem) -> None:
    async with system.client() as client:
        answer = await post(client, alert(system.clock.now(), station=""), alert(system.clock.now(), object="station"))
    assert answer.json() == {"alarms": [system.alarms()[0].id], "ignored": 1, "refused": {"no-station": 1}}


async def test_a_label_can_neither_clear_nor_come_from_the_future(system: LocalSystem) -> None:
    later = system.clock.now() + timedelta(hours=1)
    async with system.client() as client:
        await post(client, alert(later, severity="cleared"))
    (alarm,) = system.alarms()
    assert (alarm.state, alarm.severity) == (AlarmState.RAISED, "MAJOR")
    assert alarm.raised < later - timedelta(minutes=50)


async def test_labels_are_text(system: LocalSystem) -> None:
    async with system.client() as client:
        await post(client, alert(system.clock.now(), object="{{7*7}}\x1b[31m", probable_cause="'; drop table alarms"))
    (alarm,) = system.alarms()
    assert (alarm.object, alarm.probable_cause) == ("{{7*7}}\x1b[31m", "other-alert")
    assert alarm.specific_problem == "'; drop table alarms"


@pytest.mark.parametrize(
    "message",
    [
        {"version": "3", "alerts": []},
        {"version": "4"},
        {"version": "4", "alerts": [], "truncatedAlerts": -1},
        {"version": "4", "alerts": [{"status": "firing", "labels": {}, "startsAt": "yesterday"}]},
        {
            "version": "4",
            "alerts": [{"status": "resolved", "labels": {"station": "A"}, "startsAt": "2026-01-01T00:00:00Z"}],
        },
    ],
)
async def test_what_is_no_webhook_of_version_4_is_refused_whole(system: LocalSystem, message: dict[str, Any]) -> None:
    async with system.client() as client:
        answer = await client.post("/v1/webhooks/alertmanager", json=message)
    assert answer.status_code == 422
    assert system.alarms() == []


async def test_the_webhook_needs_a_token(system: LocalSystem) -> None:
    async with system.client() as client:
        client.headers.pop("authorization")
        assert (await post(client, alert(system.clock.now()))).status_code == 401


async def test_a_database_that_is_away_makes_alertmanager_try_again(
    system: LocalSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise StoreError

    async with system.client() as client:
        monkeypatch.setattr(system.store.alarms, "take_told", away)
        answer = await post(client, alert(system.clock.now()))
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        monkeypatch.undo()
        assert (await post(client, alert(system.clock.now()))).status_code == 200
    assert len(system.alarms()) == 1


async def test_an_escalation_reaches_people_once_their_webhook_is_back(system: LocalSystem) -> None:
    with webhook(refusals=2) as people:
        system.remediate(HttpWebhook(people.url))
        async with system.client() as client:
            system.store.devices.retire(LTE, "ana")
            await post(client, alert(system.clock.now()))
        alarm = await system.ended(LTE, AlarmState.ESCALATED)
        await system.told()
        assert people.calls == 3
        await asyncio.sleep(2)
    ((key, body),) = people.received
    assert (key, body["alarm"]["id"]) == (f"escalate-{alarm.id}", alarm.id)
    assert body["reason"] == alarm.note
    assert "not adopted" in alarm.note


async def test_alarms_are_listed_by_state(system: LocalSystem) -> None:
    async with system.client() as client:
        await post(client, alert(system.clock.now()))
        raised = (await client.get("/v1/alarms", params={"state": "raised"})).json()
        ended = (await client.get("/v1/alarms", params={"state": ["cleared", "repaired"]})).json()
        one = (await client.get(f"/v1/alarms/{raised['results'][0]['id']}")).json()
    assert (raised["count"], ended["count"]) == (1, 0)
    assert one == raised["results"][0]
