"""The whole circle with Debian's Prometheus and Alertmanager, which nobody here wrote."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import uvicorn

from controller.models.alarm import AlarmSource, AlarmState
from controller.models.people import Permission, Role
from controller.models.run import RunState
from tests.integration.alarms.system import LTE, LocalSystem, open_system, until
from tests.support import http
from tests.support.callers import admit
from tests.support.prometheus import monitoring

pytestmark = pytest.mark.needs("prometheus", "prometheus-alertmanager")


@asynccontextmanager
async def served(system: LocalSystem) -> AsyncIterator[str]:
    """The API of the system on a free port; yields host:port."""
    server = uvicorn.Server(uvicorn.Config(system.app(), port=0, log_level="warning", access_log=False))
    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.05)
    try:
        yield f"127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        await task


async def test_link_breaks_metric_alert_webhook_repair_and_back(tmp_path: Path) -> None:
    # Only Alertmanager raises alarms, as where an operator wants Prometheus' patience and grouping.
    only = frozenset({AlarmSource.ALERTMANAGER})
    async with open_system(tmp_path, sources=only) as system, served(system) as api:
        admit(system.store, "scrapes", "prometheus", Role.HOST_VIEWER, scopes=(Permission.METRICS,))
        admit(system.store, "alerts", "alertmanager", Role.NOC_ENGINEER, scopes=(Permission.WEBHOOK,))
        with monitoring(tmp_path, api, "scrapes", "alerts") as (prometheus, alertmanager):
            async with http.async_client() as client:
                system.listen()
                await system.observed()
                query = f'minka_core_link_up{{station="{LTE}",tenant="condor"}}'

                async def metric() -> float | None:
                    answer = await client.get(f"{prometheus}/api/v1/query", params={"query": query})
                    result = answer.json()["data"]["result"]
                    return float(result[0]["value"][1]) if result else None

                async def alerts() -> list[str]:
                    found = (await client.get(f"{alertmanager}/api/v2/alerts")).json()
                    return [alert["labels"]["alertname"] for alert in found]

                async def up() -> bool:
                    return await metric() == 1

                async def down() -> bool:
                    return await metric() == 0

                async def quiet() -> bool:
                    return "MinkaCoreLinkDown" not in await alerts()

                await until("the metric is up", up)
                system.fleet.stations[LTE].equipment.break_link("condor-condor-mme-1")
                await until("the metric is down", down)
                alarm = await system.ended(LTE, AlarmState.RAISED)
                assert (alarm.source, alarm.tenant) == (AlarmSource.ALERTMANAGER, "condor")
                assert "MinkaCoreLinkDown" in await alerts()
                system.remediate()
                ended = await system.ended(LTE, AlarmState.REPAIRED)
                assert ended.id == alarm.id
                run = system.store.runs.get(ended.run)
                assert (run.cause, run.state) == (f"alarm:{alarm.id}", RunState.SUCCEEDED)
                assert await metric() == 1
                await until("the alert is resolved", quiet)
                (only_alarm,) = [one for one in system.alarms() if one.probable_cause == "core-link-down"]
                assert only_alarm.cleared is not None
                assert only_alarm.cleared >= (run.finished or only_alarm.cleared)
