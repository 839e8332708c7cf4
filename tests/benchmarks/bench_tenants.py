"""What the host waits for its own requests while all tenants ask for the most expensive ones.

    python -m tests.benchmarks.bench_tenants [SECONDS]

One API process over the whole ``peru`` (3,100 stations) with 20,000 alarms on record, on SQLite. Each tenant sends
its requests without a pause on many connections and follows the alarms on others; meanwhile the host asks for
``/v1/me`` ten times a second. A line for the quiet API, and one for the busy one. The aim: below 100 ms.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import statistics
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx

from controller.inventory.load import load_network
from controller.models.alarm import AlarmReport, AlarmSource, PerceivedSeverity
from controller.models.network import network_digest
from controller.models.people import Role
from controller.ports.clock import SystemClock
from controller.store import open_store
from tests.support.callers import admit
from tests.support.ports import free_port

PERU = Path(__file__).parents[2] / "deploy" / "networks" / "peru"
ALARMS = 20_000
#: Connections of one tenant: of requests, and of streams.
REQUESTS, STREAMS = 24, 6
WORST = (
    "/v1/devices?limit=1000&selector=" + ",".join(["tenant=*", "rat=*|LTE|NR", "station=PE-*|*-0*", "region=*"] * 5),
    "/v1/alarms?limit=1000",
    "/v1/network/cells?limit=1000",
    "/v1/runs?limit=1000",
    "/v1/approvals",
    "/v1/audit?limit=1000",
)


def fill(folder: Path) -> dict[str, str]:
    """Put network, alarms and people on record; tokens by tenant, the host's under an empty name."""
    clock = SystemClock()
    network = load_network(PERU)
    store = open_store(f"sqlite:///{folder / 'minka.sqlite3'}", clock)
    store.networks.save(network, network_digest(network), "bench")
    tenants, now = [tenant.id for tenant in network.tenants], clock.now()
    rounds = itertools.cycle(network.cells)
    reports = [
        AlarmReport(
            station=cell.station,
            object=f"{cell.station}/{cell.id}",
            tenant=tenants[number % len(tenants)] if number % 2 else "",
            probable_cause=f"cause-{number // len(network.cells)}",
            severity=PerceivedSeverity.MAJOR,
            text="",
            source=AlarmSource.CHECK,
            at=now + timedelta(milliseconds=number),
        )
        for number, cell in zip(range(ALARMS), rounds, strict=False)
    ]
    for start in range(0, ALARMS, 1000):
        store.alarms.report_all(reports[start : start + 1000])
    admit(store, "token-of-the-host", "host", Role.ADMINISTRATOR, "")
    for tenant in tenants:
        admit(store, f"token-of-{tenant}", f"viewer-of-{tenant}", Role.TENANT_VIEWER, tenant)
    store.close()
    return {tenant: f"token-of-{tenant}" for tenant in tenants} | {"": "token-of-the-host"}


def client(url: str, token: str) -> httpx.AsyncClient:
    """A client of the API."""
    limits = httpx.Limits(max_connections=REQUESTS + STREAMS)
    return httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=60, limits=limits)


async def ask(tenant: httpx.AsyncClient, answers: list[int], first: int) -> None:
    """Send the worst requests for ever, one after the other."""
    for path in itertools.islice(itertools.cycle(WORST), first, None):
        answers.append((await tenant.get(path)).status_code)  # noqa: PERF401 - counted while they come


async def follow(tenant: httpx.AsyncClient) -> None:
    """Follow the alarms."""
    async with tenant.stream("GET", "/v1/alarms/events") as stream:
        async for _ in stream.aiter_bytes():
            pass


async def wait_of_the_host(url: str, token: str, seconds: float) -> list[float]:
    """Seconds that each of the host's requests took."""
    waits = []
    async with client(url, token) as host:
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            began = time.perf_counter()
            (await host.get("/v1/me")).raise_for_status()
            waits.append(time.perf_counter() - began)
            await asyncio.sleep(0.1)
    return waits


def show(title: str, waits: list[float]) -> None:
    """Print one line."""
    waits = sorted(waits)
    at99 = waits[int(len(waits) * 0.99)]
    print(
        f"{title:<28} /v1/me of the host: median {statistics.median(waits) * 1000:6.1f} ms, "
        f"99 % {at99 * 1000:6.1f} ms, longest {waits[-1] * 1000:6.1f} ms, {len(waits)} requests",
        flush=True,
    )


async def measure(url: str, tokens: dict[str, str], seconds: float) -> None:
    """Quiet, then with all tenants."""
    host = tokens.pop("")
    show("quiet", await wait_of_the_host(url, host, seconds / 3))
    clients = [client(url, token) for token in tokens.values()]
    answers: list[int] = []
    work = [asyncio.create_task(ask(one, answers, number)) for one in clients for number in range(REQUESTS)]
    work += [asyncio.create_task(follow(one)) for one in clients for _ in range(STREAMS)]
    await asyncio.sleep(2)
    show(f"{len(clients)} tenants at their worst", await wait_of_the_host(url, host, seconds))
    for task in work:
        task.cancel()
    await asyncio.gather(*work, return_exceptions=True)
    for one in clients:
        await one.aclose()
    kinds = ", ".join(f"{answers.count(status)} × {status}" for status in sorted(set(answers)))
    print(f"the tenants were answered {kinds}")


def main() -> None:
    """Run it."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 30.0
    with TemporaryDirectory() as home:
        tokens = fill(Path(home))
        port = free_port()
        env = os.environ | {"MINKA_HOME": home, "MINKA_API_PORT": str(port)}
        env["MINKA_DATABASE_URL"] = f"sqlite:///{home}/minka.sqlite3"
        with subprocess.Popen([sys.executable, "-m", "controller.cli", "api"], env=env) as process:
            try:
                url = f"http://127.0.0.1:{port}"
                while not _answers(url):
                    time.sleep(0.2)
                asyncio.run(measure(url, tokens, seconds))
            finally:
                process.terminate()


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/healthz").is_success
    except httpx.TransportError:
        return False


if __name__ == "__main__":
    main()
