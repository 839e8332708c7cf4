"""The part of the control interface that concerns routers and backhaul."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

from fastapi import FastAPI, HTTPException, Response
from pydantic import Field

from simulators.connections import Outage
from simulators.control.bodies import Body, InjectedFaultBody, add_faults
from simulators.fleet.fleet import Fleet
from simulators.history import EventKind
from simulators.routers.config import text_of
from simulators.routers.faults import RouterFault, RouterFaultKind
from simulators.routers.router import Router, UnknownPortError

Lookup = Callable[[str], Router]


class CutBody(Body):
    """What clients see of the devices below a cut."""

    outage: Outage = Outage.SILENCE


class LinesBody(Body):
    """Configuration lines to apply without a session."""

    lines: Annotated[list[str], Field(min_length=1)]
    user: str = "technician"


class PortBody(Body):
    """A port of a router."""

    port: str


class LostPathBody(PortBody):
    """Whether the port also loses its signal."""

    signal: bool = False


class RouterFaultBody(InjectedFaultBody):
    """A fault to inject into a router."""

    kind: RouterFaultKind
    command: str = ""
    line: Annotated[int, Field(ge=0)] = 0


def add_routers(app: FastAPI, fleet: Fleet) -> None:
    """Add the requests to the control interface."""

    def router(router_id: str) -> Router:
        try:
            return fleet.routers[router_id]
        except KeyError:
            raise HTTPException(404, f"no router {router_id}") from None

    _add_backhaul(app, fleet)
    _add_routers(app, fleet, router)
    _add_paths(app, router)
    add_faults(app, "/routers/{device}/faults", lambda router_id: router(router_id).faults)

    @app.post("/routers/{router_id}/faults", status_code=201)
    async def inject(router_id: str, body: RouterFaultBody) -> dict[str, Any]:
        return router(router_id).faults.inject(RouterFault(**body.model_dump())).to_json()


def _add_backhaul(app: FastAPI, fleet: Fleet) -> None:
    def shown() -> dict[str, Any]:
        return {"cuts": fleet.transport.backhaul.cuts, "off_net": fleet.transport.off_net()}

    @app.get("/backhaul")
    async def backhaul() -> dict[str, Any]:
        return shown()

    @app.post("/backhaul/{node}/cut")
    async def cut(node: str, body: CutBody) -> dict[str, Any]:
        fleet.transport.cut(node, body.outage)
        return shown()

    @app.post("/backhaul/{node}/restore")
    async def restore(node: str) -> dict[str, Any]:
        fleet.transport.restore(node)
        return shown()


def _add_routers(app: FastAPI, fleet: Fleet, router: Lookup) -> None:
    @app.get("/routers")
    async def routers() -> list[dict[str, Any]]:
        endpoints = map(fleet.router_endpoint, fleet.routers)
        return [{**router(e.id).summary(), "address": e.address, "port": e.port} for e in endpoints]

    @app.get("/routers/{router_id}")
    async def one(router_id: str) -> dict[str, Any]:
        return router(router_id).summary()

    @app.get("/routers/{router_id}/history")
    async def history(router_id: str, kind: EventKind | None = None) -> list[dict[str, Any]]:
        return [event.to_json() for event in router(router_id).history.events(kind)]

    @app.get("/routers/{router_id}/running")
    async def running(router_id: str) -> Response:
        return Response(text_of(router(router_id).running), media_type="text/plain")

    @app.get("/routers/{router_id}/startup")
    async def startup(router_id: str) -> Response:
        return Response(text_of(router(router_id).startup), media_type="text/plain")

    @app.post("/routers/{router_id}/edit")
    async def edit(router_id: str, body: LinesBody) -> dict[str, Any]:
        found = router(router_id)
        found.foreign_edit(body.lines, body.user)
        return {"revision": found.revision}

    @app.post("/routers/{router_id}/restart", status_code=204)
    async def restart(router_id: str) -> None:
        router(router_id).restart()


def _add_paths(app: FastAPI, router: Lookup) -> None:
    def of_port(act: Callable[[str], None], port: str) -> None:
        try:
            act(port)
        except UnknownPortError as error:
            raise HTTPException(404, str(error)) from None

    @app.post("/routers/{router_id}/paths/lose", status_code=204)
    async def lose(router_id: str, body: LostPathBody) -> None:
        of_port(partial(router(router_id).lose_path, signal=body.signal), body.port)

    @app.post("/routers/{router_id}/paths/restore", status_code=204)
    async def restore(router_id: str, body: PortBody) -> None:
        of_port(router(router_id).restore_path, body.port)
