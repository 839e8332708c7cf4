"""What simulated stations cost: time to listen, memory, CPU of the simulators per change.

    python -m tests.benchmarks.bench_simulators [STATIONS]

The fleet runs in a process of its own; its CPU and memory are read from /proc. The client is in this one.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path

from simulators.fleet import Endpoint
from simulators.netconf.ssh import public_host_key
from tests.integration.simulators.client import NetconfClient, label_edit, netconf
from tests.unit.simulators.netconf.desk import ME, cell, edit, enb, link

TICKS = os.sysconf("SC_CLK_TCK")
PORT = 8377
SESSIONS = 200
ROUNDS = 5
GET_CELLS = f'<get><filter><ManagedElement xmlns="{ME}"/></filter></get>'
GET = "<get-config><source><running/></source></get-config>"

#: Operations that change nothing.
READING = {
    "get-config": GET,
    "get": "<get/>",
    "filtered get": GET_CELLS,
    "validate": "<validate><source><running/></source></validate>",
}


def write_network(folder: Path, stations: int) -> list[str]:
    names = [f"B-{index:05}" for index in range(stations)]
    (folder / "network.yaml").write_text("network: {id: bench, name: Bench, country: PE, timezone: America/Lima}\n")
    rows = "".join(
        f"{name},site,lte-28658,10.{index // 65536}.{index // 256 % 256}.{index % 256}\n"
        for index, name in enumerate(names)
    )
    (folder / "stations.csv").write_text("id,site,profiles,transport_address\n" + rows)
    places = "".join(f"{name},{address(index)},{PORT},\n" for index, name in enumerate(names))
    (folder / "endpoints.csv").write_text("station,address,port,host_key\n" + places)
    return names


def address(index: int) -> str:
    return f"127.77.{index // 250}.{index % 250 + 1}"


def rss_kb(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


def cpu_ms(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 1000 / TICKS


async def start(folder: Path) -> tuple[asyncio.subprocess.Process, float]:
    begin = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "simulators", "up", "--network", str(folder)),
        *("--control", "127.0.0.1:0"),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert json.loads(await process.stdout.readline())["ready"]
    return process, time.perf_counter() - begin


def provision(station: str) -> str:
    """Three cells and the links to four tenants."""
    cells = "".join(cell().replace("<id>1</id>", f"<id>{number}</id>", 1) for number in range(3))
    links = "".join(link(f"mme-{number}") for number in range(4))
    return edit(enb(cells + links, station))


async def change(client: NetconfClient, station: str, label: str) -> None:
    await accepted(client, label_edit(station, label), "<commit/>")


async def accepted(client: NetconfClient, *operations: str) -> None:
    for operation in operations:
        reply = await client.rpc(operation)
        if "<ok/>" not in reply:
            raise RuntimeError(reply)


async def measure(pid: int, endpoints: list[Endpoint]) -> None:
    memory, cpu = rss_kb(pid), cpu_ms(pid)
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(netconf(endpoint)) for endpoint in endpoints]
        opened = len(clients)
        print(f"CPU per session opened: {(cpu_ms(pid) - cpu) / opened:.2f} ms")
        print(f"memory per open session: {(rss_kb(pid) - memory) / opened:.1f} kB")
        for client, endpoint in zip(clients, endpoints, strict=True):
            await accepted(client, provision(endpoint.station), "<commit/>")
        for name, operation in READING.items():
            cpu = cpu_ms(pid)
            await asyncio.gather(*(client.rpc(operation) for client in clients))
            print(f"CPU per {name}: {(cpu_ms(pid) - cpu) / opened:.2f} ms")
        cpu, begin = cpu_ms(pid), time.perf_counter()
        for number in range(ROUNDS):
            await asyncio.gather(
                *(change(c, e.station, f"round {number}") for c, e in zip(clients, endpoints, strict=True))
            )
        changes, seconds = opened * ROUNDS, time.perf_counter() - begin
        print(f"CPU per edit-config and commit: {(cpu_ms(pid) - cpu) / changes:.2f} ms")
        print(f"changes per second, client on the same machine: {changes / seconds:.0f}")


async def main(stations: int) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        small, large = Path(temporary, "small"), Path(temporary, "large")
        small.mkdir()
        large.mkdir()
        write_network(small, 1)
        names = write_network(large, stations)
        endpoints = [
            Endpoint(name, address(index), PORT, public_host_key("bench", name))
            for index, name in enumerate(names[:SESSIONS])
        ]
        single, base_seconds = await start(small)
        base = rss_kb(single.pid)
        single.terminate()
        await single.wait()
        process, seconds = await start(large)
        try:
            memory = rss_kb(process.pid)
            print(f"{stations} stations listen after {seconds:.2f} s (one station: {base_seconds:.2f} s)")
            print(f"memory {memory / 1024:.0f} MB, per idle station {(memory - base) / stations:.1f} kB")
            await measure(process.pid, endpoints)
        finally:
            process.terminate()
            await process.wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 3100))
