"""The supervisor starts again what ends, gives up on what never starts, and leaves nothing running."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from controller.cli.client import CliError
from controller.cli.supervisor import Supervisor, _end_with
from controller.ports.clock import SystemClock
from tests.support.minka import ROOT
from tests.support.processes import is_alive

LASTING = [sys.executable, "-c", "import os, time; print(os.getpid(), flush=True); time.sleep(600)"]
ENDING = [sys.executable, "-c", "print('started', flush=True)"]
#: Ends once; started again it lasts, and says that it was asked to end.
STUBBORN = [
    sys.executable,
    "-c",
    """
import os, pathlib, signal, sys, time
def end(number, frame):
    print("asked to end", flush=True)
    sys.exit()
signal.signal(signal.SIGTERM, end)
print(os.getpid(), flush=True)
first = pathlib.Path("first")
if not first.exists():
    first.touch()
    sys.exit()
time.sleep(600)
""",
]
#: A supervisor as a process of its own.
SUPERVISE = """
import sys
from pathlib import Path
from controller.cli.supervisor import Supervisor
from controller.ports.clock import SystemClock
Supervisor({"lasting": [*sys.argv[1:4]], "stubborn": [sys.executable, "-c", sys.argv[4]]}, Path(), SystemClock()).run(
    lambda _: False, []
)
"""
BROKEN = [sys.executable, "-c", "import sys; sys.exit('the port is taken')"]


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    """The supervisor takes signals for itself."""
    kept = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


def lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def test_what_ends_is_started_again_once_all_was_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    looks = 0

    class Clock(SystemClock):
        def pause(self, seconds: float) -> None:
            if len(lines(tmp_path / "ending.log")) >= 4:
                os.kill(os.getpid(), signal.SIGTERM)
            super().pause(min(seconds, 0.05))

    def ready(name: str) -> bool:
        nonlocal looks
        looks += 1
        return bool(lines(tmp_path / f"{name}.log"))

    Supervisor({"lasting": LASTING, "ending": ENDING}, tmp_path, Clock()).run(ready, ["all up"])
    assert capsys.readouterr().out.count("all up") == 1
    assert len(lines(tmp_path / "ending.log")) >= 4
    (pid,) = lines(tmp_path / "lasting.log")
    assert not is_alive(int(pid))
    assert looks


def test_what_never_starts_ends_all_with_its_last_words(tmp_path: Path) -> None:
    supervisor = Supervisor({"lasting": LASTING, "broken": BROKEN}, tmp_path, SystemClock())
    with pytest.raises(CliError, match=r"broken does not start.*\n.*the port is taken"):
        supervisor.run(lambda _: False, [])
    (pid,) = lines(tmp_path / "lasting.log")
    assert not is_alive(int(pid))


class Hasty(SystemClock):
    """Time that passes a hundred times as fast."""

    def monotonic(self) -> float:
        return super().monotonic() * 100

    def pause(self, seconds: float) -> None:
        super().pause(min(seconds, 0.01))


def test_progress_names_what_is_not_ready_each_time_that_changes(tmp_path: Path) -> None:
    told: list[str] = []
    up = {"works"}

    def ready(name: str) -> bool:
        if name == "idles" and len(told) > 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return name in up

    def progress(state: str) -> None:
        told.append(state)
        up.add("late")

    Supervisor({"works": LASTING, "late": LASTING, "idles": LASTING}, tmp_path, Hasty()).run(ready, [], None, progress)
    assert told[:2] == [
        "1 of 3 processes are ready, not yet late, idles",
        "2 of 3 processes are ready, not yet idles",
    ]


def test_what_lives_but_never_does_its_work_is_no_success(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    supervisor = Supervisor({"works": LASTING, "idles": LASTING}, tmp_path, Hasty())
    with pytest.raises(CliError, match="idles is not ready after"):
        supervisor.run(lambda name: name == "works", ["all up"])
    assert "all up" not in capsys.readouterr().out


def test_what_ends_again_and_again_later_ends_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    again = [sys.executable, "-c", "import time; time.sleep(0.1); exit('no such rule')"]
    supervisor = Supervisor({"lasting": LASTING, "again": again}, tmp_path, Hasty())
    with pytest.raises(CliError, match=r"again ends again and again.*\n.*no such rule"):
        supervisor.run(lambda _: True, ["all up"])
    assert capsys.readouterr().out.count("all up") == 1


def test_all_end_in_good_order_when_the_supervisor_is_killed(tmp_path: Path) -> None:
    """One that was started again, too."""
    stubborn = tmp_path / "stubborn.log"
    command = [sys.executable, "-c", SUPERVISE, *LASTING, STUBBORN[-1]]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, cwd=tmp_path, env=env) as supervisor:
        try:
            until(lambda: len(lines(stubborn)) == 2 and bool(lines(tmp_path / "lasting.log")))
        finally:
            supervisor.kill()
    pids = [int(line) for line in (lines(tmp_path / "lasting.log")[0], lines(stubborn)[1])]
    until(lambda: not any(map(is_alive, pids)))
    assert lines(stubborn)[2:] == ["asked to end"]


def test_a_process_whose_supervisor_is_gone_already_does_not_begin() -> None:
    asked = subprocess.run(
        LASTING, capture_output=True, check=True, preexec_fn=partial(_end_with, os.getpid() + 1), timeout=60
    )
    assert asked.stdout == b""
