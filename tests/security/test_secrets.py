"""No secret leaves for where it does not belong, whatever network files and requests say."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from controller.drivers.cli.target import CliTarget
from controller.drivers.devices import AllDevices
from controller.drivers.fake import FakeDevices
from controller.drivers.netconf.target import NetconfTarget
from controller.models.errors import AuthenticationError, DeviceError
from controller.models.people import Permission, Role
from controller.ports.secrets import FakeSecrets
from controller.store import Page
from tests.security.app_requests import Answer, ask
from tests.support.callers import admit
from tests.unit.api.bench import TINY, ApiBench, files_of, open_bench

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIC2cbdLo6XoWJLlGNBaIB6yDmYGs8RZ9jRyWd2hWGYUF"
FRAME = {name: text for name, text in files_of(TINY).items() if name in ("network.yaml", "sites.csv", "tenants.yaml")}


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[ApiBench]:
    async with open_bench(tmp_path) as made:
        admit(made.store, "token-of-nora", "nora", Role.NOC_ENGINEER)
        admit(made.store, "token-of-a-planner", "pat", Role.ADMINISTRATOR, "", (Permission.READ, Permission.PLAN))
        yield made


def rows(address: str, credential: str) -> str:
    return f"station,address,port,host_key,credential\nT-LTE-1,{address},830,{KEY},{credential}\n"


async def send(bench: ApiBench, method: str, path: str, token: str, **body: Any) -> Answer:
    return await ask(bench.app, method, path, token, body=json.dumps(body).encode())


@pytest.mark.parametrize("token", ["token-of-nora", "token-of-a-planner"])
async def test_who_may_only_plan_sends_no_secret_anywhere(bench: ApiBench, token: str) -> None:
    answer = await send(bench, "POST", "/v1/network/import", token, files=FRAME, endpoints=rows("127.0.0.1", "device"))
    assert answer.status == 403
    assert "needs the permission network" in answer.problem["detail"]


@pytest.mark.parametrize(
    ("address", "credential", "said"),
    [
        ("127.0.0.1", "file:/srv/minka/token", "Name of a credential of the server's settings"),
        ("127.0.0.1", "env:MINKA_WEBHOOK_TOKEN", "Name of a credential of the server's settings"),
        ("127.0.0.1", "token", "the server has no such credential"),
        ("198.51.100.7", "device", "outside of the networks of credential device; networks are 127.0.0.0/8, ::1/128"),
        ("198.51.100.7", "", "outside of the networks of credential device; networks are 127.0.0.0/8, ::1/128"),
        ("169.254.169.254", "", "outside of the networks of credential device; networks are 127.0.0.0/8, ::1/128"),
    ],
)
async def test_files_that_ask_for_more_are_refused(
    bench: ApiBench, monkeypatch: pytest.MonkeyPatch, address: str, credential: str, said: str
) -> None:
    asked: list[NetconfTarget] = []
    monkeypatch.setattr(FakeDevices, "session", lambda _, target: asked.append(target))
    endpoints = rows(address, credential)
    for method, path, files in (("POST", "/v1/network/import", FRAME), ("PUT", "/v1/network", files_of(TINY))):
        answer = await send(bench, method, path, "token-of-ana", files=files, endpoints=endpoints)
        assert answer.status == 422
        assert said in str(answer.problem)
    assert asked == []


async def test_where_secrets_go_is_on_record(bench: ApiBench) -> None:
    endpoints = rows("127.0.0.1", "device")
    for method, path, files in (("POST", "/v1/network/import", FRAME), ("PUT", "/v1/network", files_of(TINY))):
        answer = await send(bench, method, path, "token-of-ana", files=files, endpoints=endpoints)
        assert answer.status == 200, answer
    kept = bench.store.audit.page(Page(limit=100))[1]
    found = {row.action: row.detail for row in kept if row.action in ("network.ways", "network.import_begun")}
    told = {"devices": "T-LTE-1 127.0.0.1:830 device"}
    assert found == {"network.ways": told, "network.import_begun": told}
    acts = [row.action for row in reversed(kept)]
    assert acts.index("network.import_begun") < acts.index("network.imported"), "before any of them is asked"


# ---------------------------------------------------------------- at the moment of connecting


def target(
    port: int, kind: type[NetconfTarget | CliTarget] = NetconfTarget, **fields: Any
) -> NetconfTarget | CliTarget:
    plain = {"credential": "device", "address": "127.0.0.1"} | fields
    return kind(device="S", port=port, host_key=KEY, username="minka", profiles=("lte-28658",), **plain)


@asynccontextmanager
async def listening() -> AsyncIterator[tuple[int, list[object]]]:
    """A port, and who connected to it."""
    came: list[object] = []

    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.append(writer.get_extra_info("peername"))
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], came
    finally:
        server.close()


@pytest.mark.parametrize(
    "way",
    [
        {},
        {"kind": CliTarget},
        {"transport": "tls", "credential": "", "client_certificate": "device", "certificate": f"sha256:{'0a' * 32}"},
    ],
    ids=["ssh", "cli", "tls"],
)
async def test_nobody_outside_of_the_networks_is_even_connected_to(way: dict[str, Any]) -> None:
    async with listening() as (port, came):
        devices = AllDevices(FakeSecrets({"device": "secret", "other": "secret"}, ["10.0.0.0/8"]), connect_timeout=5)
        for address in ("127.0.0.1", "localhost", "127.1", "0x7f000001"):
            with pytest.raises(AuthenticationError, match="is outside of the networks of credential 'device'"):
                async with devices.session(target(port, address=address, **way)):
                    pass
        await devices.close()
        assert came == []


async def test_a_name_leads_to_the_very_address_that_was_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that is looked up twice could lead elsewhere the second time."""
    lookups: list[str] = []
    real = socket.getaddrinfo

    def rebinding(host: Any, port: Any, *args: Any, **options: Any) -> Any:
        if host != "device.example":
            return real(host, port, *args, **options)
        lookups.append(host)
        addresses = ("192.0.2.7", "127.0.0.1") if len(lookups) == 1 else ("192.0.2.7",)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    async with listening() as (port, came):
        devices = AllDevices(FakeSecrets({"device": "secret"}), connect_timeout=5)
        with pytest.raises(DeviceError):
            async with devices.session(target(port, address="device.example")):
                pass
        await devices.close()
        assert len(came) == len(lookups) == 1
