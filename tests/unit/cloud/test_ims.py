"""The O2 IMS of a pool: what it lists of its servers, and what becomes of that."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import orjson
import pytest

from controller.assurance.health import FaultKey, health_of, reports_of
from controller.cloud.api import PoolApi
from controller.cloud.ims import hardware_alarms
from controller.cloud.session import CloudSession
from controller.models.alarm import AlarmReport, ObjectClass, PerceivedSeverity
from controller.models.cloud import HardwareAlarm
from controller.models.errors import DeviceRefusedError, SessionLostError
from controller.models.health import Health
from controller.models.network import DeviceKind
from controller.ports.clock import SystemClock
from controller.ports.targets.kubernetes import KubernetesTarget
from simulators.cloud.ims.service import Ims
from simulators.cloud.server.requests import Request
from tests.unit.cloud.server import POOL, Answering, ReceivedRequest, serving, wire
from tests.unit.simulators.cloud.behaviour.bench import PoolBench

INVENTORY, ALARMS = "/o2ims-infrastructureInventory/v1/resourcePools", "/o2ims-infrastructureMonitoring/v1/alarms"
NODES = ("node-0", "node-1", "node-2")


def twin(bench: PoolBench, page: int = 100) -> Answering:
    """The simulated one; and a Kubernetes API that has nodes and nothing else."""
    ims = Ims(bench.pool, page)

    async def answer(asked: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
        if asked.path.startswith("/o2ims"):
            query = {name: [value] for name, value in asked.query.items()}
            said = ims.answer(Request(asked.method, asked.path, query))
            writer.write(wire(said.status, orjson.loads(said.body), **dict(said.headers)))
        else:
            items = bench.cluster.list("nodes") if asked.path.endswith("/nodes") else []
            writer.write(wire(200, {"metadata": {}, "items": items}))

    return answer


def told(answers: Mapping[str, Any]) -> Answering:
    """One that answers so."""

    async def answer(asked: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
        writer.write(wire(200 if asked.path in answers else 404, answers.get(asked.path, {"status": 404})))

    return answer


async def test_an_alarm_of_the_simulated_one_is_told_at_its_node() -> None:
    bench = PoolBench()
    async with serving(twin(bench)) as server:
        api = server.api()
        assert await hardware_alarms(api, NODES) == ()
        assert [one.path for one in server.asked] == [ALARMS]
        bench.pool.begin_fault("power-supply-failed", "node-1")
        said = "PowerSupplyFailed: one of two power supplies has failed"
        assert await hardware_alarms(api, NODES) == (HardwareAlarm(node="node-1", severity="MAJOR", text=said),)
        (listed,) = await api.items(ALARMS)
        one = Ims(bench.pool).answer(Request("GET", f"{ALARMS}/{listed['alarmEventRecordId']}"))
        assert orjson.loads(one.body) == listed
        assert Ims(bench.pool).answer(Request("POST", ALARMS)).status == 405
        bench.pool.faults.clear()
        assert await hardware_alarms(api, NODES) == ()
        await api.close()


async def test_only_what_stands_on_nodes_of_the_pool_counts() -> None:
    def record(resource: str, severity: object, **more: Any) -> dict[str, Any]:
        return {"resourceId": resource, "perceivedSeverity": severity, "alarmDefinitionId": "d-1", **more}

    answers = {
        ALARMS: [
            record("r-0", 5),
            record("r-0", 1, alarmClearedTime="2026-01-01T00:00:00Z"),
            record("r-other", 0),
            record("r-fan", 3),
            record("", 0, extensions={"instance": "node-2", "summary": "hot", "count": 3}),
            record("r-0", "worse"),
        ],
        INVENTORY: [{"resourcePoolId": "p/1"}],
        f"{INVENTORY}/p%2F1/resources": [
            {"resourceId": "r-0", "globalAssetId": "node-0", "elements": [{"resourceID": "r-fan"}]},
            {"resourceId": "r-other", "description": "node-of-another-pool"},
        ],
    }
    async with serving(told(answers)) as server:
        api = server.api()
        found = await hardware_alarms(api, NODES)
        await api.close()
    assert [(one.node, one.severity, one.text) for one in found] == [
        ("node-2", "CRITICAL", "hot"),
        ("node-0", "WARNING", "alarm definition d-1"),
        ("node-0", "INDETERMINATE", "alarm definition d-1"),
    ]


async def test_lists_are_read_page_by_page_from_where_they_began(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = PoolBench()
    for node in NODES:
        bench.pool.begin_fault("power-supply-failed", node)
    async with serving(twin(bench, 2)) as server:
        api = server.api()
        assert [one.node for one in await hardware_alarms(api, NODES)] == list(NODES)
        paths = [(one.path, one.query.get("nextpage_opaque_marker")) for one in server.asked]
        assert paths[:2] == [(ALARMS, None), (ALARMS, "2")]
        assert len({path for path, _ in paths}) == 3
        assert Ims(bench.pool).answer(Request("GET", ALARMS, {"nextpage_opaque_marker": ["x"]})).status == 400

        async def endless(asked: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
            writer.write(wire(200, [], Link='<https://elsewhere.example/steal?nextpage_opaque_marker=1>; rel="next"'))

        server.answer = endless
        monkeypatch.setattr("controller.cloud.api.MOST_PAGES", 7)
        with pytest.raises(SessionLostError, match="does not end"):
            await api.items(ALARMS)
        assert {one.path for one in server.asked[-7:]} == {ALARMS}
        await api.close()


async def test_an_o_cloud_of_very_many_resource_pools_is_refused() -> None:
    answers = {
        ALARMS: [{"resourceId": "r-0", "perceivedSeverity": 0}],
        INVENTORY: [{"resourcePoolId": f"p-{number}"} for number in range(101)],
    }
    async with serving(told(answers)) as server:
        api = server.api()
        with pytest.raises(DeviceRefusedError, match="more than 100 resource pools"):
            await hardware_alarms(api, NODES)
        assert len(server.asked) == 2
        await api.close()


class TwoLooks:
    """A pool as two looks in a row see it."""

    def __init__(self, kubernetes: PoolApi, ims: PoolApi) -> None:
        pools = (kubernetes.target,)
        target = KubernetesTarget(POOL, ("pool",), pools=pools, ims=ims.target)
        self._session = CloudSession(target, {POOL: kubernetes}, SystemClock(), 1.0, ims)
        self._last: Health | None = None

    async def look(self, *standing: FaultKey) -> dict[FaultKey, AlarmReport]:
        """What the latest look says, after the one before."""
        at = SystemClock().now() + timedelta(seconds=1)
        health = health_of(POOL, await self._session.read(), {}, 0, at, DeviceKind.POOL)
        before, self._last = self._last, health
        return {(one.object, one.probable_cause): one for one in reports_of(before, health, standing)}


async def test_an_alarm_stands_while_nobody_knows_and_that_nobody_does_is_an_alarm() -> None:
    bench = PoolBench()
    async with serving(twin(bench)) as kubernetes, serving(twin(bench)) as ims:
        apis = kubernetes.api(), ims.api()
        seen = TwoLooks(*apis)
        bench.pool.begin_fault("power-supply-failed", "node-1")
        await seen.look()
        said = await seen.look()
        alarm = said["node-1", "hardware-alarm"]
        assert (alarm.object_class, alarm.severity, alarm.functions) == (ObjectClass.NODE, PerceivedSeverity.MAJOR, ())
        ims.answer = told({})
        bench.pool.faults.clear()
        standing = ("node-1", "hardware-alarm")
        assert await seen.look(standing) == {}
        away = (await seen.look(standing))["pool", "ims-unreachable"]
        assert (away.severity, "O2 IMS" in away.text) == (PerceivedSeverity.WARNING, True)
        ims.answer = twin(bench)
        cleared = await seen.look(standing, ("pool", "ims-unreachable"))
        assert {one.severity for one in cleared.values()} == {PerceivedSeverity.CLEARED}
        assert set(cleared) == {standing, ("pool", "ims-unreachable")}
        for api in apis:
            await api.close()
