"""The supervisor starts again what ends, gives up on what never starts, and leaves nothing running."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.cli.client import CliError
from controller.cli.supervisor import Supervisor
from controller.ports.clock import SystemClock

LASTING = [sys.executable, "-c", "import os, time; print(os.getpid(), flush=True); time.sleep(600)"]
ENDING = [sys.executable, "-c", "print('started', flush=True)"]
BROKEN = [sys.executable, "-c", "import sys; sys.exit('the port is taken')"]


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    """The supervisor takes signals for itself."""
    kept = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def test_what_ends_is_started_again_once_all_was_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    looks = 0

    class Clock(SystemClock):
        def pause(self, seconds: float) -> None:
            if len(lines(tmp_path / "ending.log")) >= 4:
                os.kill(os.getpid(), signal.SIGTERM)
            super().pause(min(seconds, 0.05))

    def ready() -> bool:
        nonlocal looks
        looks += 1
        return bool(lines(tmp_path / "lasting.log"))

    Supervisor({"lasting": LASTING, "ending": ENDING}, tmp_path, Clock()).run(ready, ["all up"])
    assert capsys.readouterr().out.count("all up") == 1
    assert len(lines(tmp_path / "ending.log")) >= 4
    (pid,) = lines(tmp_path / "lasting.log")
    assert not is_alive(int(pid))
    assert looks


def test_what_never_starts_ends_all_with_its_last_words(tmp_path: Path) -> None:
    supervisor = Supervisor({"lasting": LASTING, "broken": BROKEN}, tmp_path, SystemClock())
    with pytest.raises(CliError, match=r"broken does not start.*\n.*the port is taken"):
        supervisor.run(lambda: False, [])
    (pid,) = lines(tmp_path / "lasting.log")
    assert not is_alive(int(pid))
