"""A real Redis for tests, which can be killed, restarted and wiped."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from redis import Redis

from tests.support.ports import free_port


class RedisServer:
    """redis-server on a random loopback port, with an append-only file (``always``) in a temporary folder."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.port = port
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """URL, as Celery takes it."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int:
        """Process id of the running server."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start the server on the same port and files, and wait until it answers."""
        program = shutil.which("redis-server")
        if program is None:
            raise FileNotFoundError("redis-server is missing: install Debian's redis-server")
        options = {
            "port": self.port, "bind": "127.0.0.1", "dir": self.folder, "save": "",
            "appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction",
        }  # fmt: skip
        arguments = [word for name, value in options.items() for word in (f"--{name}", str(value))]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen([program, *arguments], stdout=log, stderr=log, cwd=self.folder)
        deadline = time.monotonic() + 60
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError((self.folder / "log").read_text(encoding="utf-8"))
            time.sleep(0.02)

    def kill(self) -> None:
        """kill -9, if it runs."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def restart(self) -> None:
        """kill -9 and start again with the same data."""
        self.kill()
        self.start()

    def wipe(self) -> None:
        """kill -9, lose all data, start again empty."""
        self.kill()
        for kept in self.folder.iterdir():
            if kept.is_dir():
                shutil.rmtree(kept)
            elif kept.name != "log":
                kept.unlink()
        self.start()

    def tell(self, *words: str) -> None:
        """Give the server a command, such as ``config set maxmemory 1``, with which it refuses what is written."""
        with Redis(port=self.port) as client:
            client.execute_command(*words)

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False


@contextmanager
def redis_server() -> Iterator[RedisServer]:
    """A server of one's own."""
    folder = Path(tempfile.mkdtemp(prefix="minka-redis-"))
    server = RedisServer(folder, free_port())
    try:
        server.start()
        yield server
    finally:
        server.kill()
        shutil.rmtree(folder, ignore_errors=True)
