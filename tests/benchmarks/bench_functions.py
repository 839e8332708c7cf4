"""Runs of functions, and how they grow: python -m tests.benchmarks functions [FUNCTIONS ...].

A network of so many stations of four tenants (125, 250, 500), each with a vDU of its own, on two pools. All vDUs are
brought up, with their stations; then all are upgraded, in waves with a canary; then one of the pools is lost, and what
ran there is healed. Pools and stations are in memory, in virtual time, and the record is SQLite in memory; so what is
measured is the controller's own work: preparation (placement, plan, waves) and the run itself. Prints seconds of CPU,
milliseconds of CPU for each function with its station, virtual minutes, and memory at the peak. Each size is measured
in a process of its own.
``--profile FUNCTIONS`` prints where the CPU of the upgrade goes.
"""

from __future__ import annotations

import asyncio
import cProfile
import logging
import pstats
import resource
import subprocess
import sys
import time
from collections.abc import Awaitable

import structlog

from controller.models.network import Network
from controller.models.run import Outcome
from tests.unit.playbook.functions_bench import FunctionBench
from tests.unit.playbook.test_functions import shared, upgraded
from tests.unit.runs.group_bench import Mortal

SIZES = (125, 250, 500)
_GOOD = {Outcome.SUCCEEDED, Outcome.UNCHANGED}


def network(functions: int) -> Network:
    """Stations with a vDU each, and pools that have room for all of them twice."""
    made = shared(functions, du="DU-{}", cu="CU-1", up="UP-1")
    room = {"cpus": 8 * functions, "memory_gb": 32 * functions}
    nodes = tuple(node.model_copy(update=room) for node in made.nodes)
    agreements = tuple(one.model_copy(update={"consents": {}}) for one in made.agreements)
    return made.model_copy(update={"nodes": nodes, "agreements": agreements})


async def _measured(name: str, bench: FunctionBench, start: Awaitable[object], functions: int) -> None:
    """Prepare a run, work until it ends, and print what that took."""
    begin, virtual = time.process_time(), bench.clock.monotonic()
    await start
    prepared = time.process_time() - begin
    await bench.shift(Mortal(), 7200.0)
    cpu = time.process_time() - begin
    assert set(bench.outcomes.values()) <= _GOOD, bench.jobs[:3]
    minutes = (bench.clock.monotonic() - virtual) / 60
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    figures = (prepared, cpu, 1000 * cpu / functions, minutes)
    print(f"{functions:>9} {name:<12}", *(f"{one:>9.1f}" for one in figures), f"{peak:>9.0f}", flush=True)


async def run(functions: int, *, profile: bool = False) -> None:
    """All runs at one size."""
    bench = FunctionBench(network(functions))
    await bench.add_pools(ready=True)
    given = {"where": "function=DU-*", "stations": str(functions)}
    await _measured("instantiate", bench, bench.start("instantiate-function", **given), functions)
    bench.load(upgraded(bench.network, "du"))
    profiler = cProfile.Profile()
    if profile:
        profiler.enable()
    await _measured("upgrade", bench, bench.start("upgrade-function", where="function=DU-*"), functions)
    if profile:
        profiler.disable()
        pstats.Stats(profiler).sort_stats("cumulative").print_stats(70)
        pstats.Stats(profiler).sort_stats("tottime").print_stats(40)
        return
    lost = [name for name in bench.network.function_by_id if bench.pools(name) == ("edge-1",)]
    assert len(lost) == functions, "figures are for each function that is healed"
    for name in lost:
        bench.lose_pool(name, "edge-1")
    await _measured("heal", bench, bench.start("heal-function", where="function=DU-*", seconds=0), functions)


def main(words: list[str]) -> None:
    """Measure each size in a process of its own."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    if words[:1] in (["--one"], ["--profile"]):
        asyncio.run(run(int(words[1]), profile=words[0] == "--profile"))
        return
    heads = ("functions", "run", "prepare s", "CPU s", "ms each", "minutes", "MB")
    print(" ".join(f"{head:<12}" if head == "run" else f"{head:>9}" for head in heads), flush=True)
    for size in [int(word) for word in words] or SIZES:
        subprocess.run([sys.executable, "-m", "tests.benchmarks.bench_functions", "--one", str(size)], check=True)


if __name__ == "__main__":
    main(sys.argv[1:])
