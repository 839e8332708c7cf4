"""The living network from outside: command line, control interface, pushes, scenarios in a running fleet."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from lxml import etree

from simulators.clock import RealClock, VirtualClock
from simulators.control.app import serve_control
from simulators.fleet.fleet import Fleet, FleetSettings
from simulators.fleet.push import AlarmPush, alertmanager_call, ves_event
from simulators.network import read_network
from simulators.station import StationSettings
from tests.integration.simulators.client import netconf
from tests.support import http
from tests.support.forks import run_forked
from tests.unit.simulators.equipment.stations import SETTLED, configure
from tests.unit.simulators.netconf.bench import TINY, cell, enb, link

STATION = "T-LTE-1"
OPERATIONS = "urn:o-ran:operations:1.0"


@pytest.fixture
async def fleet() -> AsyncIterator[Fleet]:
    clock = VirtualClock()
    async with Fleet(
        read_network(TINY), FleetSettings(stations=StationSettings(boot_seconds=30)), clock=clock
    ) as running:
        configure(running.stations[STATION], enb(cell() + link()))
        clock.advance(SETTLED)
        yield running


def advance(fleet: Fleet, seconds: float) -> None:
    assert isinstance(fleet.clock, VirtualClock)
    fleet.clock.advance(seconds)


async def test_faults_over_the_control_interface(fleet: Fleet) -> None:
    path = f"/stations/{STATION}/network-faults"
    async with serve_control(fleet) as url, http.async_client(base_url=url) as control:
        answer = await control.post(path, json={"fault": "vswr", "target": "ru-1", "seed": "1"})
        assert (answer.status_code, answer.json()["fault"]) == (201, "vswr")
        assert [found["target"] for found in (await control.get(path)).json()] == ["ru-1"]
        assert (await control.get(f"/stations/{STATION}")).json()["alarms"] == 1
        assert (await control.post(path, json={"fault": "flood"})).status_code == 404
        assert (await control.post(path, json={"fault": "vswr", "target": "ru-8"})).status_code == 404
        assert (await control.post(path, json={"fault": "vswr", "x": 1})).status_code == 422
        assert (await control.delete(f"{path}/1")).json() == {"cleared": 1}
        assert (await control.get(f"/stations/{STATION}")).json()["alarms"] == 0
        kinds = (await control.get("/network-faults")).json()
        assert next(kind for kind in kinds if kind["fault"] == "vswr")["cures"] == {"visit": 1.0}


async def test_measurement_files_over_the_control_interface(fleet: Fleet) -> None:
    advance(fleet, 2000)
    async with serve_control(fleet) as url, http.async_client(base_url=url) as control:
        answer = await control.get(f"/stations/{STATION}/measurements")
        document = etree.fromstring(answer.content)
        assert [info.get("measInfoId") for info in document.iter("{*}measInfo")] == ["EUtranCellFDD"]
        end = {"end": "2026-01-01T00:15:00Z"}
        earlier = await control.get(f"/stations/{STATION}/measurements", params=end)
        assert b'endTime="2026-01-01T00:15:00Z"' in earlier.content
        future = await control.get(f"/stations/{STATION}/measurements", params={"end": "2027-01-01T00:15:00Z"})
        assert future.status_code == 422


async def test_reset_over_ssh_and_no_session_while_it_boots(fleet: Fleet) -> None:
    async with netconf(fleet.endpoint(STATION)) as client:
        assert "<ok/>" in await client.rpc(f'<reset xmlns="{OPERATIONS}"/>')
        advance(fleet, 2)
        with pytest.raises(asyncssh.ConnectionLost):
            await client.rest()
    with pytest.raises((OSError, asyncssh.Error)):
        async with netconf(fleet.endpoint(STATION)):
            pass
    advance(fleet, 30)
    async with netconf(fleet.endpoint(STATION)) as client:
        assert "MPLANE-TRIGGERED-RESTART" in await client.rpc("<get/>")


class Receiver:
    """An HTTP server that takes JSON, after refusing the first few requests."""

    def __init__(self, refusals: int = 0, status: int = 503) -> None:
        self.bodies: list[dict[str, Any]] = []
        self._refusals = refusals
        self._status = status

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[str]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        async with server:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/events"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            int(line.split(b":")[1]) for line in head.splitlines() if line.lower().startswith(b"content-length")
        )
        body = json.loads(await reader.readexactly(length))
        status = 202
        if self._refusals:
            self._refusals -= 1
            status = self._status
        else:
            self.bodies.append(body)
        writer.write(b"HTTP/1.1 %d X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n" % status)
        await writer.drain()
        writer.close()

    async def got(self, count: int) -> list[dict[str, Any]]:
        async with asyncio.timeout(60):
            while len(self.bodies) < count:
                await asyncio.sleep(0.01)
        return self.bodies


async def test_alarms_are_pushed_as_ves_events(fleet: Fleet) -> None:
    receiver = Receiver()
    async with receiver.listening() as url:
        push = AlarmPush(url, ves_event, fleet.clock)
        fleet.listen(alarms=push.add)
        async with push.running():
            fleet.stations[STATION].equipment.begin_fault("vswr")
            fleet.stations[STATION].equipment.faults.clear()
            first, second = (body["event"] for body in await receiver.got(2))
    assert first["commonEventHeader"]["domain"] == "fault"
    assert first["commonEventHeader"]["sourceName"] == STATION
    assert [event["faultFields"]["eventSeverity"] for event in (first, second)] == ["MAJOR", "NORMAL"]
    assert first["faultFields"]["alarmInterfaceA"] == "ru-1"
    assert [event["commonEventHeader"]["sequence"] for event in (first, second)] == [1, 2]


async def test_receiver_that_is_away_gets_them_later(fleet: Fleet) -> None:
    receiver = Receiver(refusals=2)
    async with receiver.listening() as url:
        push = AlarmPush(url, alertmanager_call, RealClock(speed=50))
        fleet.listen(alarms=push.add)
        async with push.running():
            fleet.stations[STATION].equipment.begin_fault("fan")
            (body,) = await receiver.got(1)
            async with asyncio.timeout(60):
                while push.sent != 1:  # counted once the answer is read
                    await asyncio.sleep(0.01)
    assert (body["version"], body["status"], len(body["alerts"])) == ("4", "firing", 1)
    assert body["alerts"][0]["labels"]["station"] == STATION


async def test_receiver_that_refuses_for_good_is_left_alone(fleet: Fleet) -> None:
    receiver = Receiver(refusals=1, status=400)
    async with receiver.listening() as url:
        push = AlarmPush(url, alertmanager_call, fleet.clock)
        fleet.listen(alarms=push.add)
        async with push.running():
            fleet.stations[STATION].equipment.begin_fault("fan")
            fleet.stations[STATION].equipment.begin_fault("vswr")
            (body,) = await receiver.got(1)
    assert body["alerts"][0]["labels"]["fault_id"] == "9"


async def test_full_queue_drops_the_oldest(fleet: Fleet) -> None:
    push = AlarmPush("http://127.0.0.1:9/", ves_event, fleet.clock, limit=1)
    fleet.listen(alarms=push.add)
    for fault in ("fan", "vswr", "sync-lost"):
        fleet.stations[STATION].equipment.begin_fault(fault)
    assert push.dropped == 2


SCENARIO = "events: [{at: 0.2, fault: fan, where: {everywhere: true}}]\n"


async def run(*arguments: str | Path) -> tuple[int, str, str]:
    said = await asyncio.to_thread(run_forked, ["simulators", *map(str, arguments)], {**os.environ, "COLUMNS": "200"})
    return said.returncode, said.stdout, said.stderr


async def test_play_prints_the_same_history_twice(tmp_path: Path) -> None:
    scenario = tmp_path / "night.yaml"
    scenario.write_text(SCENARIO)
    first, second = await asyncio.gather(
        *(run("play", "--network", TINY, "--scenario", scenario, "--hours", "1") for _ in range(2))
    )
    assert first == second
    assert first[0] == 0
    assert {json.loads(line)["kind"] for line in first[1].splitlines()} == {"network-fault", "alarm-raised"}


async def test_wrong_scenario_is_refused(tmp_path: Path) -> None:
    scenario = tmp_path / "night.yaml"
    scenario.write_text("events:\n  - {at: 1, fault: flood, stations: T-LTE-1}\n")
    for command in ("play", "up"):
        code, _, err = await run(command, "--network", TINY, "--scenario", scenario)
        assert (code, "night.yaml:2:" in err) == (1, True), err


async def test_fleet_plays_and_writes_its_history(tmp_path: Path) -> None:
    scenario, history = tmp_path / "night.yaml", tmp_path / "history.jsonl"
    scenario.write_text(SCENARIO)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "simulators", "up", "--network", str(TINY), "--control", "127.0.0.1:0"),
        *("--port-base", "0", "--scenario", str(scenario), "--history", str(history)),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        ready = json.loads(await process.stdout.readline())
        async with asyncio.timeout(60):
            while not history.exists() or history.read_text().count("alarm-raised") < 4:
                await asyncio.sleep(0.05)
        code, out, err = await run("fault", "list", STATION, "--control", ready["control"])
        assert (code, [fault["fault"] for fault in json.loads(out)]) == (0, ["fan"]), err
        code, out, _ = await run("fault", "clear", STATION, "--control", ready["control"])
        assert (code, json.loads(out)) == (0, {"cleared": 1})
        code, out, err = await run("fault", "inject", STATION, "mains-failure", "--control", ready["control"])
        assert (code, json.loads(out)["fault"]) == (0, "mains-failure"), err
        code, _, err = await run("fault", "inject", STATION, "flood", "--control", ready["control"])
        assert code == 2, err
        code, out, _ = await run("fault", "kinds")
        assert {"delay", "vswr"} <= {fault["fault"] for fault in json.loads(out)}
    finally:
        process.terminate()
        await process.wait()
