"""Routers and backhaul over the control interface."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from simulators.control.app import serve_control
from simulators.fleet.fleet import Fleet, FleetSettings
from simulators.network import read_network
from simulators.routers.factory import Provisioning
from tests.support import http

TINY = Path(__file__).parents[2] / "fixtures" / "networks" / "tiny"
ROUTER = "/routers/R-OLLANTA"


@pytest.fixture
async def control() -> AsyncIterator[httpx.AsyncClient]:
    async with (
        Fleet(read_network(TINY), FleetSettings(routers=Provisioning.PROVISIONED)) as fleet,
        serve_control(fleet) as url,
        http.async_client(base_url=url) as client,
    ):
        yield client


async def test_a_node_is_cut_and_mended(control: httpx.AsyncClient) -> None:
    answer = (await control.post("/backhaul/hill/cut", json={"outage": "refusal"})).json()
    assert answer == {"cuts": {"hill": "refusal"}, "off_net": ["T-BOTH-1", "T-LTE-2"]}
    assert (await control.get("/backhaul")).json() == answer
    assert (await control.post("/backhaul/hill/restore")).json() == {"cuts": {}, "off_net": []}
    assert (await control.post("/backhaul/nowhere/restore")).status_code == 404


async def test_a_router_is_seen_and_changed(control: httpx.AsyncClient) -> None:
    (shown,) = (await control.get("/routers")).json()
    assert shown["router"] == "R-OLLANTA"
    assert shown["saved"]
    edited = await control.post(f"{ROUTER}/edit", json={"lines": ["hostname NEW"]})
    assert edited.json() == {"revision": 1}
    assert "hostname NEW" in (await control.get(f"{ROUTER}/running")).text
    assert "hostname R-OLLANTA" in (await control.get(f"{ROUTER}/startup")).text
    (change,) = (await control.get(f"{ROUTER}/history", params={"kind": "running-changed"})).json()
    assert change["detail"]["line"] == "hostname NEW"
    refused = await control.post(f"{ROUTER}/edit", json={"lines": ["hostname -"]})
    assert refused.status_code == 422
    assert "illegal" in refused.json()["detail"]
    uplink = {"port": "GigabitEthernet0/0/0"}
    for act, lost in (("lose", [*uplink.values()]), ("restore", [])):
        assert (await control.post(f"{ROUTER}/paths/{act}", json=uplink)).status_code == 204
        assert (await control.get(ROUTER)).json()["lost_paths"] == lost
    assert (await control.post(f"{ROUTER}/paths/lose", json={"port": "x"})).status_code == 404
    assert (await control.post(f"{ROUTER}/restart")).status_code == 204
    assert (await control.get("/backhaul")).json()["off_net"] == ["R-OLLANTA", "T-LTE-1"]
    assert (await control.get("/routers/nobody")).status_code == 404


async def test_faults_of_a_router(control: httpx.AsyncClient) -> None:
    body = {"kind": "refuse-line", "command": "ip route", "line": 3, "count": None, "probability": 0.5}
    made = await control.post(f"{ROUTER}/faults", json=body)
    assert made.status_code == 201
    assert (await control.get(f"{ROUTER}/faults")).json() == [made.json()]
    assert (await control.delete(f"{ROUTER}/faults/{made.json()['id']}")).json() == {"cleared": 1}
    assert (await control.delete(f"{ROUTER}/faults")).json() == {"cleared": 0}
    assert (await control.post(f"{ROUTER}/faults", json={"kind": "nonsense"})).status_code == 422
