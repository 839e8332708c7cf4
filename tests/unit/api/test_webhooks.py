"""Labels of alerts are held against the network and the ledger."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import event

from controller.models.alarm import Alarm, AlarmState
from controller.models.plan import LedgerNode
from controller.ports.store import Page
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


async def post(bench: ApiBench, *alerts: dict[str, Any]) -> dict[str, Any]:
    async with bench.with_token(WEBHOOK_TOKEN) as source:
        answer = await source.post("/v1/webhooks/alertmanager", json={"version": "4", "alerts": list(alerts)})
    assert answer.status_code == 200, answer.text
    said: dict[str, Any] = answer.json()
    return said


def alarms(bench: ApiBench) -> list[Alarm]:
    return bench.store.alarms.page(Page(limit=1000))[1][::-1]


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
    assert dict(line.rsplit(" ", 1) for line in series) == {
        f'minka_alerts_refused_total{{reason="{reason}"}}': f"{number}.0" for reason, number in refused.items()
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


async def test_two_thousand_alerts_take_as_many_statements_as_two(bench: ApiBench) -> None:
    await load(bench)
    counts = []
    for size in (1, 2, 2000):  # the first call only warms up
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
