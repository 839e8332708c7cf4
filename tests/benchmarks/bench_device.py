"""The same get, edit and commit on simulated stations: Nornir with stock ncclient in 50 threads, and ours.

    python -m tests.benchmarks.bench_device [STATIONS]

Stations and each client run in processes of their own, so that client CPU (user and system, all
threads) stands alone. Compare the ratios: absolute figures belong to the machine. Every client pins
host keys and logs in by password; ours works on up to 500 stations at once, as runs do. The whole safe
transaction is lock, discard, read, edit, confirmed commit, read, confirm, read, unlock, with each read
decoded into a device tree.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import Any

from lxml import etree

from controller.drivers.devices import AllDevices
from controller.drivers.netconf.codec import encode_edit, read_filter
from controller.drivers.netconf.session import NetconfSession
from controller.drivers.netconf.target import NetconfTarget
from controller.models.plan import Edit, Op
from controller.nrm.profiles import root_spec
from controller.nrm.tree import child
from controller.ports.secrets import FakeSecrets
from simulators.fleet.fleet import Fleet, FleetSettings, anywhere
from simulators.netconf.certificates import Authority
from simulators.network import SimulatedNetwork, StationRecord
from tests.integration.device.edits import OWNERS, cell_path, function, function_path

_PASSWORD = "minka-sim"
_PROFILES = ("lte-28658",)
_THREADS = 50
_AT_ONCE = 500
_CELLS = 6
_PLMNS = ("06", "10", "15", "17")
_ROOT = root_spec(_PROFILES)

Work = Callable[[NetconfSession, str, str], Awaitable[None]]


# ------------------------------------------------------------------------- stations


async def serve(count: int) -> None:
    """Run the stations until standard input ends; print their endpoints as JSON."""
    records = tuple(StationRecord(f"S-{n}", "site", _PROFILES, "10.0.0.1", ("1",)) for n in range(count))
    async with Fleet(SimulatedNetwork("bench", records, (), {}), FleetSettings(tls=anywhere)) as fleet:
        rows = [
            {**asdict(ssh), "tls_port": tls.port, "certificate": tls.certificate}
            for ssh, tls in zip(fleet.endpoints(), fleet.tls_endpoints(), strict=True)
        ]
        print(json.dumps(rows), flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


def content(station: str) -> Iterator[Edit]:
    """An ENBFunction with six cells of four PLMNs each, as a shared station carries."""
    yield from function(station)
    for number in range(1, _CELLS + 1):
        path = child(function_path(station), "EUtranCellFDD", str(number))
        leaves = {
            "cellLocalId": str(number),
            "tac": "16013",
            "pci": str(300 + number),
            "earfcnDl": "9285",
            "earfcnUl": "27285",
            "dlChannelBandwidth": "15",
            "ulChannelBandwidth": "15",
            "priorityLabel": "1",
            "userLabel": f"{station}/{number}",
        }
        yield Edit(op=Op.CREATE, path=path, after=leaves, owners=OWNERS)
        for mnc in _PLMNS:
            share = {"dedicatedRatio": "5", "minRatio": "20", "maxRatio": "90"}
            yield Edit(op=Op.CREATE, path=child(path, "plmnIdList", "716", mnc), owners=OWNERS)
            yield Edit(op=Op.CREATE, path=child(path, "plmnRadioShareList", "716", mnc), after=share, owners=OWNERS)


def change(station: str, name: str) -> list[Edit]:
    """The edit that is measured: a cell's label."""
    path = cell_path(station)
    return [Edit(op=Op.MERGE, path=path, before={"userLabel": "?"}, after={"userLabel": name}, owners=OWNERS)]


def relabel(station: str) -> tuple[etree._Element, list[str]]:
    """The same as Nornir sends it."""
    config = encode_edit(_ROOT, change(station, "nornir"))
    return read_filter(_ROOT, station)[0], [etree.tostring(config, encoding="unicode")]


# --------------------------------------------------------------------------- clients


async def get_edit_commit(session: NetconfSession, station: str, name: str) -> None:
    """What is compared: as with stock ncclient, the reply is parsed and not decoded."""
    await session._data(len, *read_filter(session._root, station))
    await session.edit(change(station, name))
    await session.commit()


async def safe_transaction(session: NetconfSession, station: str, name: str) -> None:
    """What a job does on its device."""
    await session.lock()
    await session.discard()
    await session.read()
    await session.edit(change(station, name))
    await session.commit_confirmed(f"bench-{name}", 60)
    await session.read()
    await session.confirm(f"bench-{name}")
    await session.read()
    await session.unlock()


async def fill(session: NetconfSession, station: str, _name: str) -> None:
    """Give the station something to report."""
    if len((await session.read()).tree) < _CELLS:
        await session.edit(list(content(station)))
        await session.commit()


def target_of(endpoint: dict[str, Any], *, tls: bool) -> NetconfTarget:
    """How a station is reached over SSH, or over TLS."""
    ssh = NetconfTarget(
        endpoint["station"], _PROFILES, endpoint["address"], endpoint["port"], endpoint["host_key"], "minka", "device"
    )
    if not tls:
        return ssh
    certificate = endpoint["certificate"]
    return replace(
        ssh, port=endpoint["tls_port"], transport="tls", certificate=certificate, client_certificate="certificate"
    )


async def everywhere(
    devices: AllDevices, endpoints: list[dict[str, Any]], work: Work, name: str, *, tls: bool = False
) -> None:
    """Do the work on all stations, some at once."""
    turns = asyncio.Semaphore(_AT_ONCE)

    async def one(endpoint: dict[str, Any]) -> None:
        target = target_of(endpoint, tls=tls)
        async with turns, devices.stations.session(target) as session:
            await work(session, target.device, name)

    await asyncio.gather(*(one(endpoint) for endpoint in endpoints))


def ours(
    endpoints: list[dict[str, Any]], *, warm: bool, work: Work, name: str, tls: bool = False
) -> tuple[float, float]:
    """Wall and CPU seconds of our client, with sessions that are open already or opened and closed for it."""

    async def measure() -> tuple[float, float]:
        devices = AllDevices(FakeSecrets({"device": _PASSWORD, "certificate": Authority("bench").client("minka")}))
        if warm:
            await everywhere(devices, endpoints, fill, name, tls=tls)
        started = time.perf_counter(), time.process_time()
        await everywhere(devices, endpoints, work, name, tls=tls)
        if not warm:
            await devices.close()
        taken = time.perf_counter() - started[0], time.process_time() - started[1]
        await devices.close()
        return taken

    return asyncio.run(measure())


def nornir(
    endpoints: list[dict[str, Any]], request: Callable[[str], tuple[etree._Element, list[str]]]
) -> tuple[float, float]:
    """Wall and CPU seconds of Nornir with stock ncclient, which connects and closes each.

    Args:
        endpoints: Station, address, port and host key of each.
        request: The filter that a station is read with, and the configurations that it is sent, each committed.
    """
    from ncclient import manager
    from nornir.core import Nornir
    from nornir.core.inventory import Host, Hosts, Inventory
    from nornir.core.task import Result, Task
    from nornir.plugins.runners import ThreadedRunner

    hosts = Hosts({e["station"]: Host(e["station"], hostname=e["address"], port=e["port"], data=e) for e in endpoints})

    def job(task: Task) -> Result:
        host = task.host
        with manager.connect(
            host=host.hostname,
            port=host.port,
            username="minka",
            password=_PASSWORD,
            hostkey_b64=host["host_key"].split()[1],
            look_for_keys=False,
            allow_agent=False,
        ) as session:
            read, configs = request(host.name)
            session.get(filter=("subtree", read))
            for config in configs:
                session.edit_config(config, target="candidate", default_operation="none")
                session.commit()
        return Result(host)

    started = time.perf_counter(), time.process_time()
    results = Nornir(inventory=Inventory(hosts), runner=ThreadedRunner(_THREADS)).run(job)
    taken = time.perf_counter() - started[0], time.process_time() - started[1]
    if results.failed:
        raise RuntimeError(f"{len(results.failed_hosts)} stations failed: {next(iter(results.failed_hosts.values()))}")
    return taken


CLIENTS: dict[str, Callable[[list[dict[str, Any]]], tuple[float, float]]] = {
    "fill": lambda endpoints: ours(endpoints, warm=False, work=fill, name=""),
    "Nornir, stock ncclient, 50 threads": lambda endpoints: nornir(endpoints, relabel),
    "ours, cold": lambda endpoints: ours(endpoints, warm=False, work=get_edit_commit, name="cold"),
    "ours, warm": lambda endpoints: ours(endpoints, warm=True, work=get_edit_commit, name="warm"),
    "ours over TLS, cold": lambda endpoints: ours(endpoints, warm=False, work=get_edit_commit, name="coldt", tls=True),
    "ours over TLS, warm": lambda endpoints: ours(endpoints, warm=True, work=get_edit_commit, name="warmt", tls=True),
    "ours, warm, the whole safe transaction": lambda endpoints: ours(
        endpoints, warm=True, work=safe_transaction, name="safe"
    ),
}


# ---------------------------------------------------------------------------- report


@contextmanager
def stations(count: int) -> Iterator[str]:
    """Endpoints, as JSON, of a fleet in a process of its own."""
    command = [sys.executable, "-m", __spec__.name, "serve", str(count)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        try:
            yield server.stdout.readline()
        finally:
            server.stdin.close()


def run_client(name: str, endpoints: str) -> tuple[float, float]:
    """One client in a process of its own."""
    command = [sys.executable, "-m", __spec__.name, "client", name]
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(command, input=endpoints, stdout=subprocess.PIPE, text=True, check=True, env=environment)
    wall, cpu = json.loads(done.stdout)
    return float(wall), float(cpu)


def report(count: int) -> None:
    """Measure and print one line per client."""
    with stations(count) as endpoints:
        run_client("fill", endpoints)
        figures = {name: run_client(name, endpoints) for name in CLIENTS if name != "fill"}
    base = figures["Nornir, stock ncclient, 50 threads"]
    print(f"devices: get, edit, commit on {count} simulated stations over SSH and TLS")
    for name, (wall, cpu) in figures.items():
        print(
            f"  {name:40} {cpu / count * 1000:7.2f} ms client CPU a station ({base[1] / cpu:4.1f} times less), "
            f"{count / wall:6.0f} stations/s ({base[0] and base[0] / wall:4.1f} times)"
        )


def main(arguments: list[str]) -> None:
    """Dispatch to the role of this process."""
    match arguments:
        case ["serve", count]:
            asyncio.run(serve(int(count)))
        case ["client", name]:
            print(json.dumps(CLIENTS[name](json.loads(sys.stdin.read()))))
        case _:
            report(int(arguments[0]) if arguments else 500)


if __name__ == "__main__":
    main(sys.argv[1:])
