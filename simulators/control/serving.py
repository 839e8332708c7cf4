"""HTTP on loopback, in the loop of whoever serves."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from fastapi import FastAPI


class _Server(uvicorn.Server):
    """uvicorn that leaves signals to whoever runs the fleet."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def serve(app: FastAPI, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
    """Serve while the context is open; give the URL.

    Raises:
        ValueError: the host is not on loopback, and whoever reaches a control interface may do anything.
    """
    if not ipaddress.ip_address(host).is_loopback:
        raise ValueError(f"the control interface listens on loopback only, not on {host}")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, port), family=family) as listener:
        shown, bound = listener.getsockname()[:2]
        server = _Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
        serving = asyncio.get_running_loop().create_task(server.serve([listener]))
        try:
            yield f"http://[{shown}]:{bound}" if family == socket.AF_INET6 else f"http://{shown}:{bound}"
        finally:
            server.should_exit = True
            await serving
