"""A webhook for escalations to people."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class People:
    """The calls of a local webhook; the first ``refusals`` calls get 503."""

    def __init__(self, refusals: int = 0) -> None:
        self.refusals = refusals
        self.received: list[tuple[str, dict[str, Any]]] = []
        self.calls = 0
        self.url = ""


@contextmanager
def webhook(refusals: int = 0) -> Iterator[People]:
    """A webhook on a free port of loopback."""
    people = People(refusals)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            people.calls += 1
            if people.calls > people.refusals:
                people.received.append((self.headers["Idempotency-Key"], body))
            self.send_response(503 if people.calls <= people.refusals else 204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    people.url = f"http://127.0.0.1:{server.server_port}/"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield people
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
