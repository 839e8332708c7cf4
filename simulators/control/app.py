"""The control interface, by which tests, demos and people act on simulated devices without a session.

HTTP on loopback, in the loop of the fleet. The same is open to Python through ``Fleet.stations`` and ``Fleet.routers``.
Handlers are coroutines on purpose: they run in the loop of the devices, between two operations.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

from simulators.cloud.behaviour.faults import UnknownPoolFaultError
from simulators.control.pools import add_pools
from simulators.control.routers import add_routers
from simulators.control.server import serve
from simulators.control.stations import add_stations
from simulators.datastore import RpcError, RpcErrors
from simulators.equipment.faults import UnknownFaultError
from simulators.equipment.radio import UnknownLinkError
from simulators.fleet.fleet import Fleet
from simulators.fleet.transport import UnknownNodeError
from simulators.netconf.messages import MalformedMessageError
from simulators.routers.grammar import CommandError
from simulators.station import UnknownRevisionError

_UNKNOWN = (UnknownLinkError, UnknownRevisionError, UnknownFaultError, UnknownNodeError, UnknownPoolFaultError)
_REFUSED = (RpcError, RpcErrors, ValueError, MalformedMessageError, CommandError)


def make_app(fleet: Fleet) -> FastAPI:
    """The control interface of a fleet."""
    app = FastAPI(title="Simulated network", docs_url=None, redoc_url=None)
    add_stations(app, fleet)
    add_routers(app, fleet)
    add_pools(app, fleet)
    for kind in (*_UNKNOWN, *_REFUSED):
        app.add_exception_handler(kind, _refuse)
    return app


async def _refuse(_request: Request, error: Exception) -> Response:
    return JSONResponse({"detail": str(error)}, status_code=404 if isinstance(error, _UNKNOWN) else 422)


@asynccontextmanager
async def serve_control(fleet: Fleet, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
    """Serve the control interface while the context is open; give its URL.

    Raises:
        ValueError: the host is not on loopback.
    """
    async with serve(make_app(fleet), host, port) as url:
        yield url
