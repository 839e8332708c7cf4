"""HTTP on loopback in the loop of the fleet, and one control interface over the fleets of several processes."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import socket
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse


class _Server(uvicorn.Server):
    """uvicorn without signal handlers, which the fleet's process has."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def serve(app: FastAPI, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
    """Serve while the context is open; give the URL.

    Raises:
        ValueError: the host is not on loopback (the control interface has no authentication).
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


#: Seconds to wait for a process, which may be busy with thousands of sessions.
_PATIENCE = 60.0


@asynccontextmanager
async def serve_front(owners: Mapping[str, str], host: str, port: int) -> AsyncIterator[str]:
    """Serve while the context is open; give the URL.

    Args:
        owners: URL of the control interface of the process that has a station, by station.
        host: Address to listen on, loopback only.
        port: Port, 0 for any free one.
    """
    async with httpx.AsyncClient(timeout=_PATIENCE) as client, serve(_front(owners, client), host, port) as url:
        yield url


def _front(owners: Mapping[str, str], client: httpx.AsyncClient) -> FastAPI:
    app = FastAPI(title="Simulated stations of several processes", docs_url=None, redoc_url=None)
    everybody = sorted(set(owners.values()))

    @app.api_route("/{path:path}", methods=["GET", "POST", "PUT", "DELETE"])
    async def pass_on(request: Request, path: str) -> Response:
        named = next((owners[word] for word in path.split("/") if word in owners), None)
        content = await request.body()
        headers = {"content-type": request.headers.get("content-type", "application/json")}

        def ask(url: str) -> Any:
            target = f"{url}/{path}"
            return client.request(request.method, target, params=request.query_params, content=content, headers=headers)

        try:
            answers = await asyncio.gather(*(ask(url) for url in ([named] if named else everybody)))
        except httpx.HTTPError as error:
            return JSONResponse({"detail": f"a process of the fleet does not answer: {error}"}, status_code=502)
        return _merged(answers)

    return app


def _merged(answers: Sequence[httpx.Response]) -> Response:
    """The first refusal, if any, else all answers merged."""
    worst = max(answers, key=lambda answer: answer.status_code)
    if len(answers) == 1 or worst.is_error or len({answer.content for answer in answers}) == 1:
        kind = worst.headers.get("content-type")
        return Response(worst.content, status_code=worst.status_code, media_type=kind)
    said = [json.loads(answer.content) for answer in answers]
    joined = [item for part in said for item in part] if all(isinstance(part, list) for part in said) else said
    return JSONResponse(joined, status_code=worst.status_code)
