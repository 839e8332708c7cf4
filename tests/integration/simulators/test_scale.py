"""What stations may cost at most; the benchmark has the exact figures, for as many as anybody wants."""

from __future__ import annotations

import asyncio

from simulators.fleet.inventory import Endpoint
from simulators.host_keys import public_host_key
from simulators.network import address
from tests.benchmarks.bench_simulators import accepted, change, cpu_ms, memory_kb, provision, start
from tests.integration.simulators.client import netconf
from tests.support.pace import unit_ms
from tests.support.ports import free_port

IDLE, OPEN, SESSIONS, ROUNDS = 1000, 80.0, 150, 6
#: CPU of a change in units of pace: the 1.5 ms that the benchmark aims at, on a machine where a unit takes 0.08 ms.
CHANGE = 18.75


async def test_memory_and_time_per_station() -> None:
    """Idle at most 12 kB; with a session and its own configuration 80 kB; an edit and commit ``CHANGE``."""
    base_port = free_port()
    single, _, _ = await start("--count", 1, "--address", address(0), "--port-base", base_port)
    base = memory_kb(single.pid)
    single.terminate()
    await single.wait()
    process, _, ready = await start("--count", IDLE, "--address", "127.0.0.2", "--port-base", 20_000)
    try:
        assert ready["endpoints"] == IDLE
        idle = (memory_kb(process.pid) - base) / IDLE
        assert idle <= 12
        before = memory_kb(process.pid)
        names = [f"S-{number:05}" for number in range(1, SESSIONS + 1)]
        endpoints = [
            Endpoint(name, "127.0.0.2", 20_000 + number, public_host_key("counted", name))
            for number, name in enumerate(names)
        ]
        turns, finished = asyncio.Semaphore(20), asyncio.Event()
        configured: list[str] = []
        spent: list[float] = []

        async def use(endpoint: Endpoint) -> None:
            async with netconf(endpoint, login_timeout=60) as client:
                async with turns:
                    await accepted(client, provision(endpoint.station), "<commit/>")
                configured.append(endpoint.station)
                if len(configured) == SESSIONS:
                    assert idle + (memory_kb(process.pid) - before) / SESSIONS <= OPEN
                    for number in range(ROUNDS):
                        unit, begun = unit_ms(), cpu_ms(process.pid)
                        for turn in range(SESSIONS):
                            await change(client, endpoint.station, f"round {number}.{turn}")
                        spent.append((cpu_ms(process.pid) - begun) / SESSIONS / unit)
                    finished.set()
                await finished.wait()

        async with asyncio.timeout(60):
            await asyncio.gather(*map(use, endpoints))
        # The least of all rounds: whatever else the machine does only adds to it.
        assert min(spent) <= CHANGE, f"a change takes {min(spent):.1f} units"
    finally:
        process.terminate()
        await process.wait()
