"""CPU of profiles and wire codec per station: python -m tests.benchmarks.bench_nrm."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

from lxml import etree

from controller.drivers.netconf.codec import decode, encode_edit
from controller.intent import compile_intent
from controller.inventory.load import load_network
from controller.models.facts import Fact
from controller.models.network import Rat
from controller.nrm.profiles import render, root_spec
from tests.unit.nrm import samples

NETWORK = Path(__file__).parents[2] / "deploy" / "networks" / "peru"
DAY = date(2026, 6, 15)
ROUNDS = 200


def main() -> None:
    """Print milliseconds for stations of 3 cells and 4 tenants, then for all of peru."""
    for rat, band, profile in ((Rat.LTE, "B28", "lte-28658"), (Rat.NR, "n78", "nr-28541")):
        cells = [samples.cell(f"{band}-{number}", rat, band, number) for number in (1, 2, 3)]
        measure_station((profile,), samples.station_facts(cells))
    measure_network()


def measure_station(profiles: tuple[str, ...], facts: list[Fact]) -> None:
    """Print what one station costs, each way."""
    root = root_spec(profiles)
    rendered = render(profiles, facts)
    edits = samples.creates(profiles, rendered)
    data = etree.tostring(encode_edit(root, edits))
    parsed = etree.fromstring(data)
    print(f"{profiles[0]}, 3 cells, 4 tenants: {len(edits)} entries, {len(data) / 1000:.1f} kB on the wire")
    print(f"  render             {_milliseconds(lambda: render(profiles, facts)):6.3f} ms CPU")
    print(f"  parse and decode   {_milliseconds(lambda: decode(root, data, samples.STATION)):6.3f} ms CPU")
    print(f"  decode             {_milliseconds(lambda: decode(root, parsed, samples.STATION)):6.3f} ms CPU")
    print(f"  encode all of it   {_milliseconds(lambda: encode_edit(root, edits)):6.3f} ms CPU")


def measure_network() -> None:
    """Print what rendering a whole network costs."""
    network = load_network(NETWORK)
    facts = compile_intent(network, DAY).facts
    start = time.process_time()
    entries = sum(len(render(station.profiles, facts[station.id]).tree) for station in network.stations)
    seconds = time.process_time() - start
    print(f"render peru: {seconds:.2f} s CPU for {len(network.stations)} stations, {entries} entries")


def _milliseconds(work: Callable[[], object]) -> float:
    """The best of some rounds."""
    best = float("inf")
    for _ in range(ROUNDS):
        start = time.process_time()
        work()
        best = min(best, time.process_time() - start)
    return best * 1000


if __name__ == "__main__":
    main()
