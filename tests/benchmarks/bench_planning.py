"""How planning grows from 310 to 31,000 stations: python -m tests.benchmarks.bench_planning [STATIONS ...].

For each size a process of its own generates a network, lets its stations carry it without one tenant,
and plans twice: with nothing to do, and bringing that tenant onto every station it has agreed for.
CPU seconds of one core; memory is what planning adds at its peak (plan included) and in total.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

from controller.intent import compile_intent
from controller.inventory.load import load_network
from controller.models.network import Network, network_digest
from controller.models.plan import Plan
from controller.models.run import LedgerEntry
from controller.nrm.profiles import cells, render
from controller.nrm.tree import Leaves, Observed
from controller.nrm.tree import Path as NodePath
from controller.plan import PlanOptions, StationView, make_plan
from simulators.generate.network import generate, write

LOCALITIES = Path(__file__).parents[2] / "deploy" / "networks" / "peru-localities.csv"
SIZES = (310, 3100, 31000)
DAY = date(2026, 6, 15)
NOW = datetime(2026, 6, 15, 12, tzinfo=UTC)
FREELY = PlanOptions(max_share=1.0)
TENANT = "claro"


def main() -> None:
    """Print one line for each size, and how much ten times the stations cost."""
    sizes = [int(argument) for argument in sys.argv[1:]] or SIZES
    last: dict[str, float] = {}
    for size in sizes:
        output = subprocess.run(
            [sys.executable, "-m", __spec__.name if __spec__ else __name__, "--one", str(size)],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        found = {name: float(value) for name, value in (word.split("=") for word in output.split())}
        growth = f"; {found['plan'] / last['plan']:.1f} times the CPU" if last else ""
        print(
            f"plan {size} stations: nothing to do {found['empty']:.2f} s CPU, a new tenant {found['plan']:.2f} s CPU "
            f"({found['changes']:.0f} changes, {found['edits']:.0f} edits, "
            f"{1000 * found['plan'] / size:.2f} ms a station){growth}; "
            f"planning takes {found['added']:.0f} MB beside the {found['before']:.0f} MB of network and states"
        )
        last = found


def measure(size: int) -> None:
    """Measure one size in this process."""
    network = _network(size)
    before = network.model_copy(update={"agreements": tuple(a for a in network.agreements if a.tenant != TENANT)})
    views = _views(before)
    intents = [compile_intent(some, DAY) for some in (before, network)]
    digest = network_digest(network)
    used = _peak_megabytes()
    empty, nothing = _timed(lambda: make_plan(before, digest, intents[0], views, FREELY, NOW))
    seconds, plan = _timed(lambda: make_plan(network, digest, intents[1], views, FREELY, NOW))
    if not nothing.is_empty or plan.is_empty:
        raise SystemExit("the benchmark does not measure what it says")
    edits = sum(len(phase.edits) for change in plan.changes for phase in change.phases)
    added = _peak_megabytes() - used
    print(
        f"empty={empty} plan={seconds} changes={len(plan.changes)} edits={edits} added={added} before={used}",
    )


def _network(size: int) -> Network:
    with tempfile.TemporaryDirectory() as folder:
        write(generate(LOCALITIES, stations=size), Path(folder))
        return load_network(Path(folder))


def _views(network: Network) -> dict[str, StationView]:
    """Stations that carry the network, all cells unlocked, all of it in the ledger."""
    facts = compile_intent(network, DAY).facts
    views = {}
    for station in network.stations:
        rendered = render(station.profiles, facts[station.id])
        tree: dict[NodePath, Leaves] = dict(rendered.tree)
        for cell in cells(tree):
            tree[cell.path] = {**tree[cell.path], "administrativeState": "UNLOCKED"}
        ledger = {
            path: LedgerEntry(station=station.id, path=path, owners=owners) for path, owners in rendered.owners.items()
        }
        views[station.id] = StationView(Observed(tree), adopted=True, ledger=ledger)
    return views


def _timed(work: Callable[[], Plan]) -> tuple[float, Plan]:
    start = time.process_time()
    result = work()
    return time.process_time() - start, result


def _peak_megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        measure(int(sys.argv[2]))
    else:
        main()
