"""What simulated stations cost: time to listen, memory, CPU of the simulators per change.

    python -m tests.benchmarks.bench_simulators [STATIONS]
    python -m tests.benchmarks.bench_simulators pools
    python -m tests.benchmarks.bench_simulators --full

The fleet runs in processes of its own; their CPU and memory are read from /proc, where pages that they share
count once. ``--full`` opens a session with each of 31,000 stations and changes its configuration.
"""

from __future__ import annotations

import asyncio
import csv
import json
import os
import resource
import ssl
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx

from simulators.fleet.inventory import Endpoint, TlsEndpoint
from simulators.host_keys import public_host_key
from simulators.netconf.certificates import Authority
from tests.integration.simulators.client import NetconfClient, label_edit, login, netconf
from tests.unit.simulators.netconf.bench import ME, cell, edit, enb, link

TICKS = os.sysconf("SC_CLK_TCK")
PORT, TLS_PORT = 8377, 8378
SESSIONS = 200
#: Stations whose measurement files are fetched, simulated seconds per second meanwhile, and what they measure.
FILES, SPEED = 200, 450
#: Pools of a network that has nothing else.
POOLS = 300
FAMILIES = ("RRC", "ERAB", "DRB", "RRU", "S1SIG", "HO", "minka-ERAB", "minka-S1SIG")
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


def memory_kb(pid: int) -> float:
    """Resident memory; a page that several processes share counts in parts (PSS)."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return float(next(line.split()[1] for line in lines if line.startswith("Pss:")))


def cpu_ms(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 1000 / TICKS


async def start(*options: object) -> tuple[asyncio.subprocess.Process, float, dict[str, Any]]:
    """Start a fleet; give its process, the seconds until it was ready, and what it said then."""
    begin = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "simulators", "up", "--control", "127.0.0.1:0", *map(str, options)),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    ready = json.loads(await process.stdout.readline())
    return process, time.perf_counter() - begin, ready


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


def report(what: str, value: float, unit: str, target: float | None = None) -> None:
    """One line: the figure and, where there is one, the target."""
    wanted = "" if target is None else f"   target {target:g}: {'met' if value <= target else 'MISSED'}"
    print(f"  {what:58} {value:8.2f} {unit}{wanted}", flush=True)


async def measure(pid: int, endpoints: list[Endpoint], base: float, stations: int) -> None:
    memory, cpu = memory_kb(pid), cpu_ms(pid)
    report("memory per idle station", (memory - base) / stations, "kB", 12)
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(netconf(endpoint)) for endpoint in endpoints]
        opened = len(clients)
        report("CPU per session opened (SSH)", (cpu_ms(pid) - cpu) / opened, "ms")
        report("memory per open session", (memory_kb(pid) - memory) / opened, "kB")
        for client, endpoint in zip(clients, endpoints, strict=True):
            await accepted(client, provision(endpoint.station), "<commit/>")
        idle = (memory - base) / stations
        report("memory per station, session and own configuration", idle + (memory_kb(pid) - memory) / opened, "kB", 80)
        for name, operation in READING.items():
            cpu = cpu_ms(pid)
            await asyncio.gather(*(client.rpc(operation) for client in clients))
            report(f"CPU per {name}", (cpu_ms(pid) - cpu) / opened, "ms")
        cpu, begin = cpu_ms(pid), time.perf_counter()
        for number in range(ROUNDS):
            await asyncio.gather(
                *(change(c, e.station, f"round {number}") for c, e in zip(clients, endpoints, strict=True))
            )
        changes, seconds = opened * ROUNDS, time.perf_counter() - begin
        report("CPU per edit-config and commit", (cpu_ms(pid) - cpu) / changes, "ms", 1.5)
        report("changes per second, client on the same machine", changes / seconds, "/s")


async def measure_tls(pid: int, endpoints: list[TlsEndpoint], authority: Authority, folder: Path) -> None:
    """What TLS costs the stations in place of SSH."""
    (folder / "client.pem").write_text(authority.client("minka"))
    context = ssl.create_default_context(cadata=authority.certificate)
    context.load_cert_chain(folder / "client.pem")
    memory, cpu = memory_kb(pid), cpu_ms(pid)
    writers = []
    for endpoint in endpoints:
        reader, writer = await asyncio.open_connection(endpoint.address, endpoint.port, ssl=context)
        await reader.readuntil(b"]]>]]>")
        writers.append(writer)
    report("CPU per session opened (TLS)", (cpu_ms(pid) - cpu) / len(endpoints), "ms")
    report("memory per open session (TLS)", (memory_kb(pid) - memory) / len(endpoints), "kB")
    for writer in writers:
        writer.close()


async def one_process(stations: int) -> None:
    """Cost of a fleet in one process."""
    with tempfile.TemporaryDirectory() as temporary:
        small, large = Path(temporary, "small"), Path(temporary, "large")
        small.mkdir()
        large.mkdir()
        write_network(small, 1)
        names = write_network(large, stations)
        chosen = list(enumerate(names[:SESSIONS]))
        endpoints = [Endpoint(name, address(index), PORT, public_host_key("bench", name)) for index, name in chosen]
        secure = [TlsEndpoint(name, address(index), TLS_PORT, "") for index, name in chosen]
        single, base_seconds, _ = await start("--network", small, "--tls", TLS_PORT)
        base = memory_kb(single.pid)
        single.terminate()
        await single.wait()
        process, seconds, _ = await start("--network", large)
        try:
            print(f"simulators: {stations} stations in one process")
            report("seconds until all listen", seconds, "s", 10)
            report("seconds until one alone listens", base_seconds, "s")
            await measure(process.pid, endpoints, base, stations)
        finally:
            process.terminate()
            await process.wait()
        process, _, _ = await start("--network", large, "--tls", TLS_PORT)
        try:
            await measure_tls(process.pid, secure, Authority("bench"), Path(temporary))
        finally:
            process.terminate()
            await process.wait()


# ----------------------------------------------------------------- measurement files


def measured(station: str) -> str:
    """Three cells with four tenants each, and a job that measures everything."""
    plmns = "".join(f"<plmnIdList><mcc>999</mcc><mnc>0{number}</mnc></plmnIdList>" for number in (2, 3, 4))
    one = cell().replace("</plmnIdList>", f"</plmnIdList>{plmns}")
    cells = "".join(one.replace("<id>1</id>", f"<id>{number}</id>", 1) for number in range(3))
    families = "".join(f"<performanceMetrics>{family}</performanceMetrics>" for family in FAMILIES)
    job = (
        f"<PerfMetricJob><id>pm</id><attributes>{families}<granularityPeriod>900</granularityPeriod>"
        "<fileReportingPeriod>15</fileReportingPeriod></attributes></PerfMetricJob></ManagedElement>"
    )
    return edit(enb(cells, station).replace("</ManagedElement>", job))


async def measurement_files() -> None:
    """What it costs the stations to list and send their latest files, each on a connection of its own."""
    process, _, _ = await start("--count", FILES, "--address", "127.0.0.4", "--port-base", 21_000, "--speed", SPEED)
    names = [f"S-{number:05}" for number in range(1, FILES + 1)]
    endpoints = [
        Endpoint(name, "127.0.0.4", 21_000 + number, public_host_key("counted", name))
        for number, name in enumerate(names)
    ]
    try:
        print(f"simulators: measurement files of {FILES} stations, 3 cells with 4 tenants each")
        for endpoint in endpoints:
            async with netconf(endpoint) as client:
                await accepted(client, measured(endpoint.station), "<commit/>")
        await asyncio.sleep(2.5 * 900 / SPEED)
        memory, cpu, begin, size = memory_kb(process.pid), cpu_ms(process.pid), time.perf_counter(), 0
        for endpoint in endpoints:
            async with login(endpoint) as connection, connection.start_sftp_client() as sftp:
                latest = max(name for name in map(str, await sftp.listdir("/pm")) if name.endswith(".xml"))
                async with sftp.open(f"/pm/{latest}", "rb") as file:
                    size += len(await file.read())
        report("CPU per station: log-in, list, latest file", (cpu_ms(process.pid) - cpu) / FILES, "ms")
        report("files per second, one client on the same machine", FILES / (time.perf_counter() - begin), "/s")
        report("size of a file", size / FILES / 1024, "kB")
        report("memory per station beside what it took before", (memory_kb(process.pid) - memory) / FILES, "kB")
    finally:
        process.terminate()
        await process.wait()


# --------------------------------------------------------------------------- pools


async def pools() -> None:
    """What a pool takes: empty with its three nodes, and with ten functions that are ready."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_network(folder, 1)
        places = "".join(f"p-{number},edge,127.78.{number // 250}.{number % 250 + 1}\n" for number in range(POOLS))
        (folder / "pools.csv").write_text("id,where,address\n" + places)
        nodes = "".join(f"p-{pool},node-{number},64,256\n" for pool in range(POOLS) for number in range(3))
        (folder / "nodes.csv").write_text("pool,id,cpus,memory_gb\n" + nodes)
        (folder / "packages.csv").write_text(
            "id,kind,vendor,version,image,cpus,memory_gb\ngw,gateway,A,1,r/gw@sha256:1,1,1\n"
        )
        without, _, _ = await start("--network", folder, "--no-pools")
        base = memory_kb(without.pid)
        without.terminate()
        await without.wait()
        process, seconds, _ = await start("--network", folder, "--certificates", folder, "--speed", 60)
        try:
            print(f"simulators: {POOLS} pools of three nodes in one process")
            report("seconds until all listen", seconds, "s")
            idle = memory_kb(process.pid)
            report("memory per empty pool", (idle - base) / POOLS, "kB")
            cpu, used = cpu_ms(process.pid), min(POOLS, 20)
            trust = ssl.create_default_context(cafile=folder / "authority.pem")
            for pool in range(used):
                await _deploy(f"https://127.78.{pool // 250}.{pool % 250 + 1}:6443", trust)
            await asyncio.sleep(5)
            report(
                "CPU per function, from its creation until it is ready", (cpu_ms(process.pid) - cpu) / used / 10, "ms"
            )
            report("memory per pool with ten functions, beside that", (memory_kb(process.pid) - idle) / used, "kB")
        finally:
            process.terminate()
            await process.wait()


async def _deploy(url: str, trust: ssl.SSLContext) -> None:
    """Ten functions."""
    headers = {"authorization": "Bearer minka-sim"}
    path = "/apis/workload.nephio.org/v1alpha1/namespaces/default/nfdeployments"
    async with httpx.AsyncClient(base_url=url, verify=trust, headers=headers) as client:
        for number in range(10):
            deployment = {"metadata": {"name": f"gw-{number}"}, "spec": {"provider": "gw"}}
            body = {"apiVersion": "workload.nephio.org/v1alpha1", "kind": "NFDeployment", **deployment}
            (await client.post(path, json=body)).raise_for_status()


# ------------------------------------------------------------- thousands of sessions


async def hold(file: Path, start_at: int, step: int) -> None:
    """A client: open a session with each of its stations, change it, say so, and hold on until told."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with file.open(newline="") as rows:
        mine = list(csv.DictReader(rows))[start_at::step]
    turns = asyncio.Semaphore(20)
    async with AsyncExitStack() as stack:

        async def one(row: dict[str, str]) -> None:
            endpoint = Endpoint(row["station"], row["address"], int(row["port"]), row["host_key"])
            async with turns:
                client = await stack.enter_async_context(netconf(endpoint, connect_timeout=600, login_timeout=600))
                await accepted(client, provision(endpoint.station), "<commit/>")

        await asyncio.gather(*map(one, mine))
        print("open", flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
        os._exit(0)  # thousands of good-byes are not what is measured


async def many_processes(stations: int, processes: int, clients: int) -> None:
    """Cost of a session with each station of a fleet in several processes."""
    with tempfile.TemporaryDirectory() as temporary:
        file = Path(temporary, "endpoints.csv")
        process, seconds, ready = await start(*("--count", stations, "--processes", processes, "--endpoints-out", file))
        pids = [process.pid, *ready["processes"]]
        holders = []
        try:
            print(f"simulators: {stations} stations in {processes} processes")
            report("seconds until all listen", seconds, "s")
            idle = sum(map(memory_kb, pids))
            report("memory, all idle", idle / 1024, "MB")
            cpu, begin = sum(map(cpu_ms, pids)), time.perf_counter()
            for number in range(clients):
                words = ("hold", str(file), str(number), str(clients))
                holders.append(
                    await asyncio.create_subprocess_exec(
                        *(sys.executable, "-m", __spec__.name, *words),
                        stdin=asyncio.subprocess.PIPE,
                        stdout=asyncio.subprocess.PIPE,
                    )
                )
            for holder in holders:
                assert holder.stdout is not None
                if not await holder.stdout.readline():
                    raise RuntimeError("a client failed")
            taken = sum(map(memory_kb, pids))
            report("memory, a session and an own configuration each", taken / 1024, "MB", 3000)
            report("memory per station beside what an idle fleet takes", (taken - idle) / stations, "kB", 80)
            report("CPU per session, edit and commit", (sum(map(cpu_ms, pids)) - cpu) / stations, "ms")
            report("seconds until all sessions were open and used", time.perf_counter() - begin, "s")
        finally:
            for holder in holders:
                if holder.returncode is None:
                    holder.kill()
                await holder.wait()
            process.terminate()
            await process.wait()


def main(arguments: list[str]) -> None:
    """Dispatch to the role of this process."""
    match arguments:
        case ["hold", file, start_at, step]:
            asyncio.run(hold(Path(file), int(start_at), int(step)))
        case ["pools"]:
            asyncio.run(pools())
        case ["--full"]:
            asyncio.run(many_processes(31_000, processes=6, clients=3))
        case _:
            asyncio.run(one_process(int(arguments[0]) if arguments else 3100))
            asyncio.run(measurement_files())
            asyncio.run(pools())


if __name__ == "__main__":
    main(sys.argv[1:])
