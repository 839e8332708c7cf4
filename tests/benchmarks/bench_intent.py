"""How long intent takes for all of the sample network peru: python -m tests.benchmarks.bench_intent."""

from __future__ import annotations

import statistics
import time
from datetime import date
from pathlib import Path

from controller.intent import compile_intent
from controller.inventory.load import load_network

NETWORK = Path(__file__).parents[2] / "deploy" / "networks" / "peru"
DAY = date(2026, 6, 15)
ROUNDS = 5


def main() -> None:
    """Print the median of some rounds, for the whole network and for one station of it."""
    network = load_network(NETWORK)
    one = [network.stations[0].id]
    for label, stations in (("all", None), ("one station", one)):
        seconds = []
        for _ in range(ROUNDS):
            begin = time.process_time()
            intent = compile_intent(network, DAY, stations)
            seconds.append(time.process_time() - begin)
        facts = sum(map(len, intent.facts.values()))
        print(
            f"intent, {label}: {statistics.median(seconds):.2f} s CPU for {len(intent.facts)} of "
            f"{len(network.stations)} stations, {len(network.cells)} cells, {facts} facts, "
            f"{len(intent.findings)} findings"
        )


if __name__ == "__main__":
    main()
