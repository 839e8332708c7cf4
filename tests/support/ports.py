"""Ports for the servers of tests."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from functools import cache

#: Below the ports that the kernel gives to outgoing connections: one of those could sit on a server's port while the
#: server restarts. Each test process has some for itself.
_FIRST, _OWN, _PROCESSES = 21_000, 250, 46


class _Ports:
    """The ports of this process; it holds the first of them, which reserves all, until it ends."""

    def __init__(self) -> None:
        for first in range(_FIRST, _FIRST + _OWN * _PROCESSES, _OWN):
            self._claim = socket.socket()
            try:
                self._claim.bind(("127.0.0.1", first))
            except OSError:
                self._claim.close()
                continue
            self._all = range(first + 1, first + _OWN)
            self._next = self._all.start
            return
        raise RuntimeError("other test processes have all ports")

    def take(self, count: int) -> int:
        """First of ``count`` free ports in a row that were not given out lately."""
        for _ in range(2 * _OWN):
            base = self._next if self._next + count <= self._all.stop else self._all.start
            self._next = base + 1
            if _are_free(range(base, base + count)):
                self._next = base + count
                return base
        raise RuntimeError(f"no {count} free ports in a row")


def _are_free(ports: range) -> bool:
    with ExitStack() as stack:
        try:
            for port in ports:
                stack.enter_context(socket.socket()).bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


_own = cache(_Ports)


def free_ports(count: int) -> int:
    """First of ``count`` consecutive free loopback ports that no other test process takes meanwhile."""
    return _own().take(count)


def free_port() -> int:
    """A free port."""
    return free_ports(1)
