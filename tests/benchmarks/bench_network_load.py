"""Seconds to load, validate and check ``peru``, beside a plain YAML reading of the same content.

    python -m tests.benchmarks.bench_network_load [DIRECTORY]

Single-threaded CPU time of one process; the ratio is what to compare between machines.
"""

from __future__ import annotations

import csv
import sys
import time
from pathlib import Path
from typing import Any

import yaml

from controller.inventory.load import load_network

_ROUNDS = 3


def load_seconds(directory: Path) -> float:
    """The best of some rounds of the loader, in CPU seconds."""
    return min(_seconds(lambda: load_network(directory)) for _ in range(_ROUNDS))


def plain_yaml(directory: Path) -> str:
    """All content of a network in one YAML text, as if there were no CSV."""
    content: dict[str, Any] = {}
    for path in sorted(directory.iterdir()):
        if path.suffix == ".csv":
            with path.open(encoding="utf-8", newline="") as file:
                content[path.stem] = list(csv.DictReader(file))
        else:
            content |= yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    return yaml.dump(content, Dumper=yaml.CSafeDumper)


def _seconds(work: Any) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def main(arguments: list[str]) -> None:
    """Measure and print one line per figure."""
    directory = Path(arguments[0]) if arguments else Path("deploy/networks/peru")
    text = plain_yaml(directory)
    ours = load_seconds(directory)
    plain = _seconds(lambda: yaml.safe_load(text))
    fast = _seconds(lambda: yaml.load(text, Loader=yaml.CSafeLoader))
    network = load_network(directory)
    print(f"network load: {directory}, {len(network.stations)} stations, {len(network.cells)} cells")
    print(f"  load, validate, check        {ours:6.2f} s CPU")
    print(f"  yaml.safe_load, reading only {plain:6.2f} s CPU, {plain / ours:.1f} times as long")
    print(f"  CSafeLoader, reading only    {fast:6.2f} s CPU, {fast / ours:.1f} times as long")


if __name__ == "__main__":
    main(sys.argv[1:])
