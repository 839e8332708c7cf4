"""Python processes that start with all imports done, which takes a tenth of the CPU time.

A server, one for all processes of a test session, imports the packages, compiles the stations' YANG modules, and forks
for each process, which runs ``python -m module words...`` as its whole life, with its own id, environment, signals and
exit. What only a new interpreter shows (that each command imports what it uses, how long that takes) is left to tests
that start one: of the wheel, of ``minka up``, of each command's start.
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
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import IO

ROOT = Path(__file__).parents[2]
#: Bytes of a request, which is mostly the environment.
_LONGEST = 1 << 17
#: Where the server of this session of tests is, in Linux's abstract namespace: there is no file to be left behind.
_ADDRESS = f"minka-forks-{os.environ.get('PYTEST_XDIST_TESTRUNUID', os.getpid())}"
#: Said by a process that may ask for others, and answered; seconds in which the first one has to.
_JOINS, _NOBODY = b"join", 60.0
#: Imported whole before the first fork, and what they import when it is first used.
_PACKAGES = ("controller", "simulators")
_LATE = ("celery.concurrency.solo", "kombu.transport.redis", "uvicorn.protocols.http.auto")


class ForkedProcess:
    """Like ``subprocess.Popen``, as far as tests need it.

    Args:
        words: A module and its arguments, as after ``python -m``.
    """

    def __init__(self, words: Sequence[str], env: Mapping[str, str], stdout: IO[bytes], stderr: IO[bytes]) -> None:
        _join()
        self._server = _connected()
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
def _join() -> tuple[socket.socket, list[subprocess.Popen[bytes]]]:
    """A connection that keeps the session's server alive: it ends with the last one."""
    started: list[subprocess.Popen[bytes]] = []
    while True:
        with contextlib.suppress(ConnectionError):
            joined = _connected()
            joined.send(_JOINS)
            if joined.recv(16) == _JOINS:
                return joined, started
        # There is no server, or it is about to end. Of several that start at once, one stays.
        command = [sys.executable, "-m", "tests.support.forks", _ADDRESS]
        server = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        started.append(server)
        assert server.stdout is not None
        assert server.stdout.readline() == b"ready\n"


def _connected() -> socket.socket:
    made = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    made.connect(f"\0{_ADDRESS}")
    return made


def serve(address: str) -> list[str]:
    """Serve requests for processes. Returns in each fork with its task, and in the server with None at the end."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        with contextlib.suppress(OSError):  # another one serves
            listener.bind(f"\0{address}")
            listener.listen(100)
        os.write(1, b"ready\n")
        if not listener.getsockname():
            return []
        _import_all()
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        for client, message, descriptors in _asked(listener):
            with client:
                if os.fork() == 0:
                    listener.close()
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    if _begins(client):
                        return _become(json.loads(message), descriptors)
            for descriptor in descriptors:
                os.close(descriptor)
    return []


def _asked(listener: socket.socket) -> Iterator[tuple[socket.socket, bytes, list[int]]]:
    """Requests for processes, until the last client has left."""
    joined: list[socket.socket] = []
    while ready := select.select([listener, *joined], [], [], None if joined else _NOBODY)[0]:
        if listener in ready:
            client, _ = listener.accept()
            message, descriptors, _, _ = socket.recv_fds(client, _LONGEST, 2)
            if message == _JOINS:
                client.send(_JOINS)
                joined.append(client)
            else:
                yield client, message, descriptors
            continue
        for left in ready:
            joined.remove(left)
            left.close()
        if not joined:
            return


def _import_all() -> None:
    """Import and compile all that the processes may use."""
    for package in _PACKAGES:
        for module in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
            if not module.name.endswith("__main__") and ".migrations" not in module.name:
                importlib.import_module(module.name)
    for name in _LATE:
        importlib.import_module(name)
    from simulators.datastore import PROFILE_MODULES, load_schema

    for profiles in (None, *PROFILE_MODULES.values()):
        load_schema(profiles)
    gc.collect()
    gc.freeze()


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
    """Apply environment, output and errors of a request; returns its task."""
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
    sys.argv = serve(sys.argv[1])
    if sys.argv:
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
