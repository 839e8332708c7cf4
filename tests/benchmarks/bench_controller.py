"""What a whole controller takes while people plan, apply and rehearse all stations of a network.

    python -m tests.benchmarks.bench_controller [STATIONS ...]

``minka up`` as people start it, with simulated stations, for the whole ``peru`` (3,100) or so many stations. They are
bare at first; the first plan provisions all of them. A line for each command: its wall seconds, then MB at the peak of
the command itself and of each process of the controller during it, and CPU seconds that those processes took
meanwhile. The listener goes on with its health reads. Needs Linux, which tells of each process in ``/proc``.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

_NETWORKS = Path(__file__).parents[2] / "deploy" / "networks"
_MINKA = (sys.executable, "-m", "controller.cli")
_TICK = os.sysconf("SC_CLK_TCK")
#: Processes of ours, by their names in the output.
_NAMES = ("api", "worker", "listener", "scheduler")
_ALL_AT_ONCE = ("--patience", "600", "--canary", "0", "--wave-size", "100000", "--parallel", "100000")


class Controller:
    """A controller with simulated stations.

    Args:
        folder: Where its files are.
        processes: Process ids by name.
    """

    def __init__(self, folder: Path, processes: Mapping[str, int]) -> None:
        self._folder, self._processes = folder, processes

    def run(self, *words: str) -> str:
        """Run a command, print what it took, return what it said."""
        for pid in self._processes.values():
            Path(f"/proc/{pid}/clear_refs").write_text("5", encoding="ascii")  # the peak begins again
        before, began = self._cpu(), time.perf_counter()
        with (self._folder / "said").open("w+", encoding="utf-8") as said:
            process = subprocess.Popen([*_MINKA, *words], stdout=said, stderr=subprocess.STDOUT)
            _, status, usage = os.wait4(process.pid, 0)
            said.seek(0)
            text = said.read(10_000)
        wall, after = time.perf_counter() - began, self._cpu()
        if status:
            raise SystemExit(f"minka {' '.join(words)}: {text}")
        took = ", ".join(
            f"{name} {_peak(pid):4.0f} MB {after[name] - before[name]:5.1f} s" for name, pid in self._processes.items()
        )
        print(f"  {' '.join(words)[:48]:48} {wall:6.1f} s; cli {usage.ru_maxrss / 1024:4.0f} MB, {took}", flush=True)
        return text

    def _cpu(self) -> dict[str, float]:
        return {name: _cpu_seconds(pid) for name, pid in self._processes.items()}


def _peak(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def _cpu_seconds(pid: int) -> float:
    """User and system; the fields behind the process's name, which may hold anything."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


@contextmanager
def _up(folder: Path, network: Path, count: int) -> Iterator[Controller]:
    os.environ |= {"MINKA_HOME": str(folder / "home"), "MINKA_API_PORT": "28470"}
    words = ["up", "--sim", str(network), "--sim-ports", str(_free_ports(count)), "--sim-control", "127.0.0.1:28390"]
    with subprocess.Popen([*_MINKA, *words], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            while b"is up" not in (line := process.stdout.readline()) and line:
                pass
            yield Controller(folder, dict(_children(process.pid)))
        finally:
            process.terminate()


def _free_ports(count: int) -> int:
    """The first of so many ports that nobody uses."""
    for first in range(10_000, 32_000 - count, 100):
        with ExitStack() as held, suppress(OSError):
            for port in range(first, first + count):
                held.enter_context(socket.socket()).bind(("127.0.0.1", port))
            return first
    raise SystemExit(f"there are no {count} free ports in a row")


def _children(pid: int) -> Iterator[tuple[str, int]]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    for child in map(int, children.split()):
        words = Path(f"/proc/{child}/cmdline").read_text(encoding="utf-8").split("\0")
        yield from ((name, child) for name in _NAMES if name in words)


def _network(folder: Path, count: int) -> Path:
    if count == 3100:
        shutil.copytree(_NETWORKS / "peru", folder / "network")
    else:
        localities = str(_NETWORKS / "peru-localities.csv")
        words = ["--stations", str(count), "--seed", "716", "--localities", localities, str(folder / "network")]
        subprocess.run([sys.executable, "-m", "simulators.generate", *words], check=True, stdout=subprocess.DEVNULL)
    return folder / "network"


def measure(count: int) -> None:
    """One size."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        network = _network(folder, count)
        with _up(folder, network, count) as controller:
            run = controller.run
            print(f"{count} stations", flush=True)
            run("network", "load", str(network), "--endpoints", str(folder / "home" / "endpoints.csv"))
            run("device", "adopt", "*")
            run("plan", "*", "--expect", str(count), "--json")
            plan = json.loads(run("plans", "list", "--json"))[0]["id"]
            run("plans", "show", plan)
            run("plans", "show", plan, "--json")
            run("apply", plan, *_ALL_AT_ONCE)
            run("plan", "*")
            run("playbook", "dry-run", "change-share", "tenant=claro")
            run("playbook", "dry-run", "audit-drift")
            run("playbook", "run", "audit-drift")
            run("runs")


def main(arguments: list[str]) -> None:
    """Measure each size."""
    for count in map(int, arguments or ["3100"]):
        measure(count)


if __name__ == "__main__":
    main(sys.argv[1:])
