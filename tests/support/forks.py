"""Processes of Python that begin with everything imported: to start one takes a tenth of the processor's time.

A server imports the packages, compiles the stations' YANG modules, and forks for each process, which runs
``python -m module words...`` as its whole life, with its own id, environment, signals and exit. What only a new
interpreter shows (that each command imports what it uses, how long that takes) is left to tests that start one: of the
wheel, of ``minka up``, of each command's start.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import pkgutil
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import IO

from simulators.datastore import PROFILE_MODULES, load_schema

ROOT = Path(__file__).parents[2]
#: Bytes of a request, which is mostly the environment.
_LONGEST = 1 << 17
#: Imported whole before the first fork, and what they import when it is first used.
_PACKAGES = ("controller", "simulators")
_LATE = ("celery.concurrency.solo", "kombu.transport.redis", "uvicorn.protocols.http.auto")


class ForkedProcess:
    """Like ``subprocess.Popen``, as far as tests need it.

    Args:
        words: A module and its arguments, as after ``python -m``.
    """

    def __init__(self, words: Sequence[str], env: Mapping[str, str], stdout: IO[bytes], stderr: IO[bytes]) -> None:
        self._server = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._server.connect(_address(_server().pid))
        asked = json.dumps([list(words), dict(env)]).encode()
        socket.send_fds(self._server, [asked], [stdout.fileno(), stderr.fileno()])
        self.pid = int(self._server.recv(16))
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """The exit status, or less than zero the signal that ended it; None while it runs."""
        return self._status(0)

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it ends; its status.

        Raises:
            subprocess.TimeoutExpired: It did not end in time.
        """
        status = self._status(timeout)
        if status is None:
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0)
        return status

    def _status(self, timeout: float | None) -> int | None:
        if self.returncode is None:
            self._server.settimeout(timeout)
            try:
                self.returncode = int(self._server.recv(16))
            except (TimeoutError, BlockingIOError):
                return None
            self._server.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            # It may end between the two, and nobody keeps its id.
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)


def run_forked(words: Sequence[str], env: Mapping[str, str] = os.environ) -> subprocess.CompletedProcess[str]:
    """Run a module to its end, like ``subprocess.run`` of ``python -m module words...`` with its output kept."""
    with tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
        status = ForkedProcess(words, env, stdout, stderr).wait(60)
        for file in (stdout, stderr):
            file.seek(0)
        return subprocess.CompletedProcess(words, status, stdout.read().decode(), stderr.read().decode())


@cache
def _server() -> subprocess.Popen[bytes]:
    """The server of this process, with which it ends: its input is closed then."""
    command = [sys.executable, "-m", "tests.support.forks"]
    server = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert server.stdout is not None
    assert server.stdout.readline() == b"ready\n"
    return server


def _address(pid: int) -> str:
    """In Linux's abstract namespace: there is no file to be left behind."""
    return f"\0minka-forks-{pid}"


def serve() -> list[str]:
    """Fork for whoever asks. Returns in each fork, with what it is to run, and with nothing when our input ends."""
    for package in _PACKAGES:
        for module in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
            if not module.name.endswith("__main__") and ".migrations" not in module.name:
                importlib.import_module(module.name)
    for name in _LATE:
        importlib.import_module(name)
    for profiles in (None, *PROFILE_MODULES.values()):
        load_schema(profiles)
    gc.collect()
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(_address(os.getpid()))
        listener.listen()
        os.write(1, b"ready\n")
        while listener in select.select([listener, sys.stdin], [], [])[0]:
            client, _ = listener.accept()
            with client:
                message, descriptors, _, _ = socket.recv_fds(client, _LONGEST, 2)
                if os.fork() == 0:
                    listener.close()
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    if _begins(client):
                        return _become(json.loads(message), descriptors)
            for descriptor in descriptors:
                os.close(descriptor)
    return []


def _begins(client: socket.socket) -> bool:
    """Fork once more: true in the process that is asked for. The other one tells how it ended, and ends too."""
    if (pid := os.fork()) == 0:
        return True
    client.send(str(pid).encode())
    _, status = os.waitpid(pid, 0)
    with contextlib.suppress(OSError):
        client.send(str(os.waitstatus_to_exitcode(status)).encode())
    os._exit(0)


def _become(asked: tuple[list[str], dict[str, str]], descriptors: Sequence[int]) -> list[str]:
    """Take on environment, output and errors; what is to be run."""
    words, env = asked
    os.environ.clear()
    os.environ.update(env)
    with Path(os.devnull).open("rb") as nothing:
        for number, descriptor in enumerate([nothing.fileno(), *descriptors]):
            os.dup2(descriptor, number)
    for descriptor in descriptors:
        os.close(descriptor)
    return words


if __name__ == "__main__":
    sys.argv = serve()
    if sys.argv:
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
