"""How PCIs and PRACH roots grow with the network, planned and checked: python -m tests.benchmarks.bench_codes.

Planning is the generator's, the check is Minka's. The check also runs on a network that was planned badly, where ten
stations have the codes of one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from controller.intent.pci import code_findings
from controller.inventory.load import load_network
from controller.models.network import Cell, Network
from simulators.generate import layout, radio
from simulators.generate.network import generate, write
from simulators.generate.places import read_places

PLACES = Path(__file__).parents[2] / "deploy" / "networks" / "peru-localities.csv"
SIZES = (1550, 3100, 6200)


def main() -> None:
    """Print CPU in all and for each station, for networks of growing size."""
    for size in SIZES:
        areas = layout.areas(layout.apportion(read_places(PLACES), size), 716)
        planning, _ = timed(lambda areas=areas: radio.plan_codes(areas))  # type: ignore[misc]
        with TemporaryDirectory() as folder:
            write(generate(PLACES, stations=size), Path(folder))
            network = load_network(Path(folder))
        well, found = timed(lambda network=network: list(code_findings(network, network.cells)))  # type: ignore[misc]
        worse = tuple(badly_planned(network))
        badly, wrong = timed(lambda network=network, worse=worse: list(code_findings(network, worse)))  # type: ignore[misc]
        print(
            f"{size:6} stations, {len(network.cells):6} cells: planned in {told(planning, size)}; "
            f"checked in {told(well, size)} with {len(found)} findings, "
            f"planned badly in {told(badly, size)} with {len(wrong)}"
        )


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds of CPU, and what came of it."""
    begin = time.process_time()
    result = work()
    return time.process_time() - begin, result


def told(seconds: float, stations: int) -> str:
    """Seconds of CPU in words."""
    return f"{seconds:.2f} s CPU ({seconds / stations * 1e6:.0f} µs a station)"


def badly_planned(network: Network) -> Iterable[Cell]:
    """Cells, of which each station has the codes of the first in its group of ten."""
    for number, station in enumerate(network.stations):
        first = network.stations[number // 10 * 10]
        for cell in network.cells_by_station[station.id]:
            like = network.cell_by_name.get((first.id, cell.id), cell)
            yield cell.model_copy(update={"pci": like.pci, "prach_root": like.prach_root})


if __name__ == "__main__":
    main()
