"""The O2 IMS of a pool: what it lists of its servers, and what becomes of that."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any

import orjson
import pytest

from controller.assurance.health import FaultKey, health_of, reports_of
from controller.drivers.kubernetes.api import PoolApi
from controller.drivers.kubernetes.ims import hardware_alarms
from controller.drivers.kubernetes.session import CloudSession
from controller.drivers.kubernetes.target import KubernetesTarget
from controller.models.alarm import AlarmReport, ObjectClass, PerceivedSeverity
from controller.models.cloud import HardwareAlarm
from controller.models.errors import DeviceError, DeviceRefusedError, SessionLostError
from controller.models.health import Health
from controller.models.network import DeviceKind
from controller.ports.clock import SystemClock
from simulators.cloud.ims.service import Ims
from simulators.cloud.server.requests import Request
from tests.unit.drivers.kubernetes.server import POOL, Answering, ReceivedRequest, serving, wire
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
        monkeypatch.setattr("controller.drivers.kubernetes.api.MOST_PAGES", 7)
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


#: An alarm of a part of a server, with all fields that are read: values of the answers of one O2 IMS, each of which is
#: replaced in turn. What is not read of them is left out, or the whole is refused.
GOOD: dict[str, Any] = {
    ALARMS: [
        {
            "resourceId": "r-fan",
            "perceivedSeverity": 1,
            "alarmClearedTime": None,
            "alarmDefinitionId": "d-1",
            "extensions": {"alertname": "FanFailed", "summary": "s", "description": "t", "instance": "node-1"},
        }
    ],
    INVENTORY: [{"resourcePoolId": "p"}],
    f"{INVENTORY}/p/resources": [
        {
            "resourceId": "r-0",
            "description": "node-0",
            "globalAssetId": "node-0",
            "extensions": {"hostname": "node-0"},
            "elements": [{"resourceId": "r-fan"}],
        }
    ],
}
NOTHINGS: tuple[Any, ...] = (None, "", [], [[]], {})
ODD_VALUES = (
    *NOTHINGS,
    True,
    5,
    -1,
    1.7e308,
    "x" * 5000,
    "node-0",
    "\x00\x1b",
    "..",
    ["a"],
    [5],
    {"a": {}},
    {"next": 5},
)


def places(value: object, *above: str | int) -> Iterator[tuple[str | int, ...]]:
    """Where values are within a value, itself included."""
    yield above
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, one in inner:
        yield from places(one, *above, name)


def replaced(value: Any, where: tuple[str | int, ...], odd: object) -> Any:
    """A copy with another value at one place."""
    if not where:
        return odd
    copy = value.copy()
    copy[where[0]] = replaced(value[where[0]], where[1:], odd)
    return copy


async def test_of_an_odd_value_in_any_field_it_says_so_or_leaves_it_out() -> None:
    asked = [where for where in places(GOOD) if where]
    assert len(asked) == 24
    refused = 0
    async with serving(told(GOOD)) as server:
        api = server.api()
        (good,) = await hardware_alarms(api, NODES)
        assert (good.node, good.severity, good.text) == ("node-1", "MAJOR", "FanFailed: s: t")
        for where in asked:
            for odd in ODD_VALUES:
                server.answer = told(replaced(GOOD, where, odd))
                try:
                    found = await hardware_alarms(api, NODES)
                except DeviceError:
                    refused += 1
                else:
                    assert {one.node for one in found} <= set(NODES)
                    assert all(len(one.text) <= 300 and one.text.isprintable() for one in found)
        await api.close()
    assert 0 < refused < len(asked) * len(ODD_VALUES) / 2, "most of it says nothing, and hides nothing"


@pytest.mark.parametrize(
    "header",
    ["<http://[>", "<http://a?m=%zz\xff>", "<http://a?" + "a=b&" * 12_000 + ">", "http://[", "<>", "<//[]?m=1>", "<?>"],
    ids=lambda header: header[:12],
)
async def test_an_odd_address_of_a_next_page_is_the_reason_why_it_is_not_read(header: str) -> None:
    async def answer(asked: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
        link = {} if asked.query else {"Link": f'{header}; rel="next"'}
        writer.write(wire(200, [], **link))

    async with serving(answer) as server:
        api = server.api()
        with suppress(SessionLostError):
            assert await hardware_alarms(api, NODES) == ()
        await api.close()


async def test_a_next_page_is_named_by_the_header_alone() -> None:
    for odd in (5, ["a"], "http://[", "https://elsewhere/?m=1"):
        async with serving(told({ALARMS: {"items": [], "next": odd}})) as server:
            api = server.api()
            assert await hardware_alarms(api, NODES) == ()
            assert len(server.asked) == 1
            await api.close()


async def test_a_pool_is_judged_whose_o2_ims_never_ends() -> None:
    bench = PoolBench()

    async def endless(_: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.05)
        writer.write(wire(200, [], Link='<https://x/?m=1>; rel="next"'))

    async with serving(twin(bench)) as kubernetes, serving(endless) as ims:
        apis = kubernetes.api(), ims.api(timeout=1)
        target = KubernetesTarget(POOL, ("pool",), pools=(apis[0].target,), ims=apis[1].target)
        seen = await CloudSession(target, {POOL: apis[0]}, SystemClock(), 1.0, apis[1]).read()
        assert seen.cluster is not None
        assert [node.id for node in seen.cluster.nodes] == list(NODES)
        assert seen.cluster.hardware is None
        # On a busy machine a single page may take too long as well.
        assert re.search(r"took more than 2 s for its alarms|did not answer", seen.cluster.ims)
        assert len(ims.asked) < 400
        for api in apis:
            await api.close()
