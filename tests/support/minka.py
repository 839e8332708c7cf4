"""The ``minka`` command of tests: in this process, and a whole embedded controller beside it."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from controller.cli.main import main
from tests.support.ports import free_ports

ROOT = Path(__file__).parents[2]
#: Seconds in which everything is up, on a busy machine.
_PATIENCE = 90


@dataclass(frozen=True)
class CommandResult:
    """What a command wrote and how it ended."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def minka(*words: str, env: Mapping[str, str] | None = None, given: str = "") -> CommandResult:
    """Run a command in this process, through its entry point; ``given`` is what is piped into it."""
    out, err = io.StringIO(), io.StringIO()
    with (
        patch.object(sys, "argv", ["minka", *words]),
        patch.object(sys, "stdin", io.StringIO(given)),
        patch.dict(os.environ, dict(env or {})),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            main()
            status: Any = 0
        except SystemExit as leaving:
            status = leaving.code
    return CommandResult(int(status or 0), out.getvalue(), err.getvalue())


def interrupt(*_: object) -> None:
    """Be interrupted (Ctrl-C); in the place of a pause."""
    raise KeyboardInterrupt


@dataclass(frozen=True)
class CommandLine:
    """The command line of a person, set up for one controller."""

    home: Path
    env: Mapping[str, str]
    url: str

    def __call__(self, *words: str, status: int = 0) -> CommandResult:
        """Run a command against it, and see how it ends."""
        said = minka(*words, env=self.env)
        assert said.status == status, f"minka {' '.join(words)}: {said}"
        return said

    @property
    def token(self) -> str:
        return (self.home / "token").read_text(encoding="utf-8").strip()


@dataclass(frozen=True)
class Embedded(CommandLine):
    """An embedded controller with simulated stations, all of them started by ``minka up``."""

    process: subprocess.Popen[str]

    @property
    def endpoints(self) -> Path:
        return self.home / "endpoints.csv"


def environment(home: Path, port: int, **more: str) -> dict[str, str]:
    """Variables of a controller of its own, nothing of ours mixed in."""
    own = {"MINKA_HOME": str(home), "XDG_CONFIG_HOME": str(home / "config"), "MINKA_API_PORT": str(port)}
    return {**own, "MINKA_TOKEN": "", "MINKA_API_URL": "", **more}


@contextlib.contextmanager
def embedded(folder: Path, network: Path, stations: int, **more: str) -> Iterator[Embedded]:
    """``minka up`` with simulated stations; everything is stopped at the end."""
    ports = free_ports(stations + 2)
    home = folder / "home"
    env = environment(home, ports, **more)
    command = [sys.executable, "-m", "controller.cli", "up", "--sim", str(network)]
    command += ["--sim-ports", str(ports + 2), "--sim-control", f"127.0.0.1:{ports + 1}"]
    with (folder / "up.log").open("w+") as output:
        process = subprocess.Popen(
            command, cwd=ROOT, env={**os.environ, **env}, stdout=output, stderr=output, text=True
        )
        try:
            wait_until_up(process, folder / "up.log")
            yield Embedded(home, env, f"http://127.0.0.1:{ports}", process)
        finally:
            stop(process)


def wait_until_up(process: subprocess.Popen[Any], log: Path) -> None:
    """Wait until ``minka up`` says so in its log."""
    end = time.monotonic() + _PATIENCE
    while "Minka is up" not in (text := log.read_text(encoding="utf-8")):
        assert process.poll() is None, text
        assert time.monotonic() < end, text
        time.sleep(0.1)


def stop(process: subprocess.Popen[str]) -> int:
    """Ask it to end, and see that it does."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        return process.wait(60)
    except subprocess.TimeoutExpired:
        process.kill()
        raise


def words_of(line: str) -> Sequence[str]:
    """A command line of a document as words, without ``minka``."""
    first, *rest = shlex.split(line)
    assert first == "minka", line
    return rest
