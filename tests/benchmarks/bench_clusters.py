"""Clustered attempts: ``python -m tests.benchmarks.bench_clusters [STATIONS [SEED]]``.

A week of drawn stations is judged by one watched indicator, for each correlation of the attempts of one hour. The
baseline is that of attempts that share nothing, drawn and judged in the same minutes. Printed are false alarms of the
week, as drawn and for 3,100 stations, CPU seconds, and how many hours a true loss of a quarter stays unknown.
"""

from __future__ import annotations

import sys
import time

from tests.support.clustered import World

#: Stations and hours of what is printed.
FLEET, WEEK = 3100, 168
#: A loss that everybody should hear of, and the stations that suffer it.
LOST, SUFFER = 0.25, 30


def run(stations: int, seed: int) -> None:
    """Print one row for each mean share of failures and each correlation."""
    print(f"{stations} stations, {WEEK} h, seed {seed}; baseline: correlation 0")
    for mean in (0.005, 0.015):
        baseline = 0.0
        for spread in (0.0, 0.01, 0.03):
            world = World(seed, stations, WEEK, mean, spread)
            began = time.process_time()
            false = len(world.alarms())
            cpu = time.process_time() - began
            baseline = baseline or cpu
            found = World(seed, SUFFER, 14, mean, spread, LOST).alarms()
            late = f"{sum(found.values()) / len(found):.1f} h" if found else "never"
            print(
                f"  mean {mean}, correlation {spread}: {false} false alarms ({false * FLEET / stations:.0f} of {FLEET}"
                f" stations); {cpu:.1f} s of CPU ({cpu / baseline:.2f} of the baseline);"
                f" a loss of {LOST:.0%} known after {late} at {len(found)} of {SUFFER}",
                flush=True,
            )


if __name__ == "__main__":
    given = [int(one) for one in sys.argv[1:]]
    run(*(given + [600, 7][len(given) :]))
