"""The control interface and the command line, as tests, demos and people use them."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from lxml import etree
from typer.testing import CliRunner

from simulators.cli import app
from simulators.control.app import serve_control
from simulators.fleet.fleet import Fleet, FleetSettings
from simulators.network import read_network
from simulators.station import StationSettings
from tests.integration.simulators.client import label_edit, netconf
from tests.support import http
from tests.support.forks import run_forked
from tests.unit.simulators.netconf.bench import cell, enb, label_config, link, s1u

TINY = Path(__file__).parents[2] / "fixtures" / "networks" / "tiny"
STATION = "T-LTE-1"


@pytest.fixture
async def fleet() -> AsyncIterator[Fleet]:
    async with Fleet(read_network(TINY), FleetSettings(stations=StationSettings(settle_seconds=0.0))) as running:
        yield running


@pytest.fixture
async def control(fleet: Fleet) -> AsyncIterator[httpx.AsyncClient]:
    async with serve_control(fleet) as url, http.async_client(base_url=url) as client:
        yield client


async def test_stations_are_listed(control: httpx.AsyncClient, fleet: Fleet) -> None:
    stations = (await control.get("/stations")).json()
    assert [station["station"] for station in stations] == sorted(fleet.stations)
    assert {station["port"] for station in stations} == {endpoint.port for endpoint in fleet.endpoints()}
    assert (await control.get(f"/stations/{STATION}")).json()["revision"] == 0
    assert (await control.get("/stations/NOPE")).status_code == 404


async def test_links_break_and_heal(control: httpx.AsyncClient, fleet: Fleet) -> None:
    fleet.stations[STATION].datastores.foreign_edit(etree.fromstring(enb(link())))
    path = f"/stations/{STATION}"
    assert (await control.get(path)).json()["links_up"] == 1
    assert (await control.post(f"{path}/links/break", json={"link": "andes"})).json() == {
        "links": ["EP_S1C=andes-mme-1"]
    }
    summary = (await control.get(path)).json()
    assert (summary["links_up"], summary["alarms"]) == (0, 1)
    assert (await control.post(f"{path}/links/restore", json={"link": "andes-mme-1"})).json() == {
        "links": ["EP_S1C=andes-mme-1"]
    }
    assert (await control.get(path)).json()["alarms"] == 0
    answer = await control.post(f"{path}/links/break", json={"link": "nobody"})
    assert (answer.status_code, "nobody" in answer.json()["detail"]) == (404, True)


async def test_edit_and_revert_behind_the_controllers_back(control: httpx.AsyncClient) -> None:
    path = f"/stations/{STATION}"
    answer = await control.post(f"{path}/edit", json={"config": label_config("foreign"), "user": "joe"})
    assert answer.json() == {"revision": 1}
    assert "foreign" in (await control.get(f"{path}/running")).text
    assert (await control.post(f"{path}/revert", json={"revision": 0})).json() == {"revision": 2}
    assert "foreign" not in (await control.get(f"{path}/running")).text
    history = (await control.get(f"{path}/history", params={"kind": "running-changed"})).json()
    assert [(event["user"], event["detail"]["cause"]) for event in history] == [
        ("joe", "foreign"),
        ("technician", "foreign"),
    ]
    assert (await control.post(f"{path}/revert", json={"revision": 99})).status_code == 404
    for bad in ("<nonsense/>", "not xml", "<!DOCTYPE a><a/>"):
        assert (await control.post(f"{path}/edit", json={"config": bad})).status_code == 422


async def test_faults_are_put_listed_struck_and_cleared(control: httpx.AsyncClient, fleet: Fleet) -> None:
    path = f"/stations/{STATION}/faults"
    body = {"kind": "fail", "operation": "commit", "count": 2}
    created = await control.post(path, json=body)
    assert (created.status_code, created.json()["id"]) == (201, 1)
    async with netconf(fleet.endpoint(STATION)) as client:
        await client.rpc(label_edit(STATION, "new"))
        assert "operation-failed" in await client.rpc("<commit/>")
        (waiting,) = (await control.get(path)).json()
        assert (waiting["struck"], waiting["count"]) == (1, 1)
        assert (await control.delete(f"{path}/1")).json() == {"cleared": 1}
        assert "<ok/>" in await client.rpc("<commit/>")


@pytest.mark.parametrize(
    "body",
    [
        {"kind": "nonsense"},
        {"kind": "fail", "operation": "dance"},
        {"kind": "fail", "count": 0},
        {"kind": "foreign-edit"},
        {"kind": "fail", "config": "<a/>"},
        {"kind": "foreign-edit", "config": "not xml"},
        {"kind": "refuse-sessions", "operation": "commit"},
        {"kind": "fail", "colour": "red"},
    ],
)
async def test_wrong_faults_are_refused(control: httpx.AsyncClient, body: dict[str, Any]) -> None:
    assert (await control.post(f"/stations/{STATION}/faults", json=body)).status_code == 422
    assert (await control.get(f"/stations/{STATION}/faults")).json() == []


async def test_restart(control: httpx.AsyncClient, fleet: Fleet) -> None:
    async with netconf(fleet.endpoint(STATION)) as client:
        await client.rpc(label_edit(STATION, "new"))
        await client.rpc("<commit><confirmed/><persist>tok</persist></commit>")
        assert (await control.post(f"/stations/{STATION}/restart")).status_code == 204
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            await client.rpc("<get/>")
    assert "new" not in (await control.get(f"/stations/{STATION}/running")).text


async def test_another_profile(control: httpx.AsyncClient, fleet: Fleet) -> None:
    path = f"/stations/{STATION}/profile"
    assert (await control.post(path, json={"name": "nonsense"})).status_code == 422
    assert (await control.post(path, json={"name": "startup"})).status_code == 204
    async with netconf(fleet.endpoint(STATION)) as client:
        assert "<ok/>" in await client.rpc(
            "<copy-config><target><startup/></target><source><running/></source></copy-config>"
        )
        assert "operation-not-supported" in await client.rpc("<commit/>")


async def test_control_stays_on_loopback(fleet: Fleet) -> None:
    with pytest.raises(ValueError, match="loopback"):
        async with serve_control(fleet, "0.0.0.0"):
            pass


# --------------------------------------------------------------- the command line


async def command(*arguments: str) -> tuple[int, str, str]:
    said = await asyncio.to_thread(run_forked, ["simulators", *arguments])
    return said.returncode, said.stdout, said.stderr


async def test_up_faults_and_sigterm(tmp_path: Path) -> None:
    endpoints = tmp_path / "placed.csv"
    # Port 0 of each address: any free one.
    rows = "".join(f"T-{name},127.0.0.1,0,\n" for name in ("LTE-1", "LTE-2", "NR-1", "BOTH-1"))
    endpoints.write_text("station,address,port,host_key\n" + rows)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "simulators", "up", "--network", str(TINY), "--endpoints", str(endpoints)),
        *("--endpoints-out", str(tmp_path / "endpoints.csv"), "--control", "127.0.0.1:0"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "MINKA_DEVICE_PASSWORD": "from-environment"},
    )
    assert process.stdout is not None
    ready = json.loads(await asyncio.wait_for(process.stdout.readline(), 60))
    assert ready["endpoints"] == 4
    control = ready["control"]
    placed = read_network(TINY, tmp_path / "endpoints.csv").endpoints
    assert all(endpoint.port for endpoint in placed.values())

    code, output, _ = await command("fault", "inject", STATION, "fail", "--operation", "commit", "--control", control)
    assert (code, json.loads(output)["kind"]) == (0, "fail")
    code, output, _ = await command(
        *("fault", "inject", STATION, "clock-step", "--seconds", "-60", "--always", "--control", control)
    )
    assert (code, json.loads(output)["seconds"]) == (0, -60)
    listed, broken, lost = await asyncio.gather(
        command("fault", "list", STATION, "--control", control),
        command("fault", "break-link", STATION, "andes", "--control", control),
        command("fault", "list", STATION, "--control", "127.0.0.1:1"),
    )
    assert (listed[0], len(json.loads(listed[1]))) == (0, 2)
    assert (broken[0], "no core link" in broken[2]) == (1, True)
    assert (lost[0], "no fleet answers" in lost[2]) == (2, True)
    code, output, _ = await command("fault", "clear", STATION, "--control", control)
    assert (code, json.loads(output)) == (0, {"cleared": 2})

    process.terminate()
    _, errors_left = await asyncio.wait_for(process.communicate(), 20)
    assert (process.returncode, errors_left) == (0, b"")


async def test_unusable_network_is_reported(tmp_path: Path) -> None:
    code, _, errors = await command("up", "--network", str(tmp_path))
    assert code == 1
    assert "network headers" in errors
    code, _, errors = await command("up", "--network", str(TINY), "--station", "NOPE")
    assert code == 1
    assert "no station NOPE" in errors
    for choice, problem in (("NOPE=full", "no station NOPE"), ("nonsense", "none of standard")):
        code, _, errors = await command("up", "--network", str(TINY), "--profile", choice)
        assert (code, problem in errors) == (1, True), errors


@pytest.mark.parametrize("arguments", [["--help"], ["up", "--help"], ["fault", "inject", "--help"]])
async def test_help_has_examples(arguments: list[str]) -> None:
    code, output, _ = await command(*arguments)
    assert code == 0
    if len(arguments) > 1:
        assert "python -m simulators" in output


@pytest.mark.parametrize(
    ("kind", "hint"),
    [("drop-affter", "did you mean 'drop-after'?"), ("core-link-dwn", "'core-link-down'?"), ("x", "`fault kinds`")],
)
def test_a_fault_that_does_not_exist(kind: str, hint: str) -> None:
    result = CliRunner(env={"COLUMNS": "200"}).invoke(app, ["fault", "inject", STATION, kind])
    assert result.exit_code == 2
    assert hint in result.output


async def test_what_really_happened_is_told(control: httpx.AsyncClient, fleet: Fleet) -> None:
    configured = enb(cell() + link() + s1u())
    await control.post(f"/stations/{STATION}/edit", json={"config": configured})
    begin = fleet.clock.now()
    await control.post(f"/stations/{STATION}/network-faults", json={"fault": "cell-down"})
    span = {"begin": begin.isoformat(), "end": fleet.clock.now().isoformat()}
    truth = (await control.get(f"/stations/{STATION}/truth", params=span)).json()
    assert [(entry["cell"], entry["cause"]) for entry in truth["off_air"]] == [("1", "fault")]
    assert {entry["plmn"] for entry in truth["volume"]} == {"999-01"}
    for wrong in ({"begin": span["end"], "end": span["begin"]}, {**span, "end": "2026-01-01T00:00:00"}):
        assert (await control.get(f"/stations/{STATION}/truth", params=wrong)).status_code == 422


async def test_faults_of_files_come_and_go(control: httpx.AsyncClient, fleet: Fleet) -> None:
    path = f"/stations/{STATION}/file-faults"
    made = await control.post(path, json={"kind": "clock-step", "seconds": -30, "count": None})
    assert (made.status_code, made.json()) == (
        201,
        {"id": 1, "kind": "clock-step", "count": None, "probability": 1.0, "seconds": -30},
    )
    assert (await control.post(path, json={"kind": "file-late"})).status_code == 422
    assert [fault["id"] for fault in (await control.get(path)).json()] == [1]
    assert (await control.delete(f"{path}/1")).json() == {"cleared": 1}
    assert (await control.get(path)).json() == []
