"""The seeded day: `peru` with its 3,100 stations in five ways, with CPU time and memory of each.

python -m tests.benchmarks.bench_rehearsal               # one hour of seed 1
python -m tests.benchmarks.bench_rehearsal --full        # 24 hours of seeds 1 to 20, for which aims are told
python -m tests.benchmarks.bench_rehearsal --seeds 34 51 # 24 hours of seeds 34 to 51
"""

from __future__ import annotations

import argparse
import logging
import tempfile
import time
from pathlib import Path

import structlog

from controller.models.settings import Settings
from controller.rehearsal.report import Rehearsal, lines_of, prepare, rehearse

_PERU = Path(__file__).parents[2] / "deploy" / "networks" / "peru"


def main(seeds: list[str], hours: float) -> None:
    """Play the days, and say whether each aim was met."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    began = time.process_time()
    with tempfile.TemporaryDirectory() as home:
        ground = prepare(_PERU, Settings(home=Path(home)))
        print(f"the network was made in {time.process_time() - began:.0f} CPU s", flush=True)
        days = []
        for seed in seeds:
            day = rehearse(ground, seed, hours)
            days.append(day)
            print("\n".join(lines_of(day)), f"{day.memory:.0f} MB\n", sep="\n", flush=True)
    for aim in _aims(days):
        print(aim)


def _aims(days: list[Rehearsal]) -> list[str]:
    minka = [day.minka for day in days]
    curable, cured = sum(one.curable for one in minka), sum(one.cured for one in minka)
    worse = [
        f"{day.seed} {tenant}"
        for day in days
        for tenant, minutes in day.minka.minutes.items()
        if minutes > day.nothing.minutes.get(tenant, 0.0)
    ]
    lost, guarded, best, nothing = (
        sum(getattr(day, way).lost for day in days) for way in ("minka", "guarded", "best", "nothing")
    )
    return [
        f"wrong: {sum(len(one.wrong) for one in minka)} (aim: 0)",
        f"cured unattended: {cured} of {curable} curable, {cured / max(curable, 1):.0%} (aim: 60 %)",
        f"cured of all incidents: {cured / max(sum(one.incidents for one in minka), 1):.0%} (aim: 30 %)",
        f"minutes lost: {lost:.0f}, {lost / max(nothing, 1) - 1:+.1%} (aim: -30 %)",
        f"minutes lost at best: {best:.0f}, {best / max(nothing, 1) - 1:+.1%}",
        f"minutes lost with the guarded script: {guarded:.0f} (aim: more than with Minka)",
        f"tenants with more minutes than where nothing is done: {', '.join(worse) or 'none'} (aim: none)",
    ]


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(prog="bench_rehearsal")
    arguments.add_argument("--full", dest="seeds", action="store_const", const=(1, 20))
    arguments.add_argument("--seeds", type=int, nargs=2, metavar=("FIRST", "LAST"))
    if chosen := arguments.parse_args().seeds:
        main([str(seed) for seed in range(chosen[0], chosen[1] + 1)], 24.0)
    else:
        main(["1"], 1.0)
