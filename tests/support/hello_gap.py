"""A Unix socket in front of netconfd's that gives it the client's hello alone, and the rest when it has read that.

netconfd looks for the chunked frames of NETCONF 1.1 (RFC 6242 §4.1) only after it has worked off the hello: a request
that lies behind the hello in the same read is taken for something in the old framing, and never answered. A client may
send both at once, and on a busy machine they arrive together.
"""

from __future__ import annotations

import array
import contextlib
import fcntl
import socket
import termios
import threading
import time
from collections.abc import Iterator
from pathlib import Path

_END = b"]]>]]>"
# netconf-subsystem introduces the client (ncx-connect), then comes the client's hello: both end with the old framing.
_OLD_FRAMES = 2


@contextlib.contextmanager
def hello_gap(listens: Path, server: Path) -> Iterator[None]:
    """Take connections at ``listens`` and pass them on to ``server``."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(listens))
        listening.listen()
        threading.Thread(target=_serve, args=(listening, server), daemon=True).start()
        try:
            yield
        finally:
            # Wakes the thread that accepts; a close alone would not.
            listening.shutdown(socket.SHUT_RDWR)


def _serve(listening: socket.socket, server: Path) -> None:
    while True:
        try:
            client, _ = listening.accept()
        except OSError:
            return
        behind = socket.socket(socket.AF_UNIX)
        behind.connect(str(server))
        threading.Thread(target=_requests, args=(client, behind), daemon=True).start()
        threading.Thread(target=_pump, args=(behind, client), daemon=True).start()


def _requests(client: socket.socket, server: socket.socket) -> None:
    """Pass on the first two messages one by one, then everything as it comes."""
    pending = b""
    with contextlib.suppress(OSError):
        for _ in range(_OLD_FRAMES):
            while _END not in pending:
                received = client.recv(65536)
                if not received:
                    break
                pending += received
            message, end, pending = pending.partition(_END)
            server.sendall(message + end)
            _wait_until_it_was_read(server)
        server.sendall(pending)
    _pump(client, server)


def _wait_until_it_was_read(connection: socket.socket) -> None:
    unread = array.array("i", [1])
    while unread[0]:
        fcntl.ioctl(connection, termios.TIOCOUTQ, unread)
        time.sleep(0.001)


def _pump(source: socket.socket, sink: socket.socket) -> None:
    """Pass on what comes until one of the two ends, then end the other."""
    with contextlib.suppress(OSError):
        while received := source.recv(65536):
            sink.sendall(received)
    for connection in (source, sink):
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
