"""The control interface: what tests, demos and people may do to simulated stations behind everybody's back.

HTTP on loopback, in the loop of the fleet. The same is open to Python through ``Fleet.stations``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from simulators.control.network_faults import add_living
from simulators.control.routers import add_ground
from simulators.control.server import serve
from simulators.datastore import RpcError, RpcErrors
from simulators.equipment.faults import UnknownFaultError
from simulators.equipment.radio import UnknownLinkError
from simulators.fleet.fleet import Fleet
from simulators.history import EventKind
from simulators.netconf.faults import ANY, STATION_FAULTS, Fault, FaultKind
from simulators.netconf.messages import MalformedMessageError, parse
from simulators.netconf.profiles import profile_named
from simulators.station import Station, UnknownRevisionError

#: Operations that faults can name.
OPERATIONS = frozenset(
    {
        *("get", "get-config", "edit-config", "copy-config", "delete-config", "lock", "unlock", "validate"),
        *("commit", "confirm", "cancel-commit", "discard-changes", "close-session", "kill-session"),
        *("get-schema", "create-subscription", ANY),
    }
)


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class LinkBody(_Body):
    """Which core links: those of a tenant, or the one with this end point id."""

    link: Annotated[str, Field(min_length=1, description="Tenant id or end point id.")]


class EditBody(_Body):
    """A foreign edit of running: a ``<config>`` element, or a single top-level element."""

    config: Annotated[str, Field(min_length=1)]
    user: str = "technician"


class RevertBody(_Body):
    """Which earlier running configuration to put back."""

    revision: Annotated[int, Field(ge=0)]
    user: str = "technician"


class ProfileBody(_Body):
    """What NETCONF a station speaks from now on."""

    name: Annotated[str, Field(min_length=1)]


class FaultBody(_Body):
    """A fault to put in wait; ``count`` none means until it is cleared."""

    kind: FaultKind
    operation: str = ANY
    count: Annotated[int, Field(ge=1)] | None = 1
    probability: Annotated[float, Field(gt=0, le=1)] = 1.0
    seconds: Annotated[float, Field(ge=0)] = 0.0
    config: str = ""

    def to_fault(self) -> Fault:
        """The fault as a station takes it.

        Raises:
            ValueError: the operation is none, or a foreign edit lacks its edit.
        """
        if self.operation not in OPERATIONS:
            raise ValueError(f"operation {self.operation!r} is none of {', '.join(sorted(OPERATIONS))}")
        if self.kind in STATION_FAULTS and self.operation != ANY:
            raise ValueError(f"{self.kind.value} concerns the station, not an operation")
        if (self.kind is FaultKind.FOREIGN_EDIT) != bool(self.config):
            raise ValueError("a foreign-edit, and nothing else, needs config")
        if self.config:
            parse(self.config.encode())
        return Fault(
            self.kind,
            self.operation,
            self.config,
            count=self.count,
            probability=self.probability,
            seconds=self.seconds,
        )


Lookup = Callable[[str], Station]


def make_app(fleet: Fleet) -> FastAPI:
    """The control interface of a fleet."""
    app = FastAPI(title="Simulated stations", docs_url=None, redoc_url=None)

    def station(station_id: str) -> Station:
        try:
            return fleet.stations[station_id]
        except KeyError:
            raise HTTPException(404, f"no station {station_id}") from None

    _add_reading(app, fleet, station)
    _add_acting(app, station)
    _add_faults(app, station)
    add_living(app, station)
    add_ground(app, fleet)
    refusals = (RpcError, RpcErrors, ValueError, MalformedMessageError)
    for refusal in (UnknownLinkError, UnknownRevisionError, UnknownFaultError, *refusals):
        app.add_exception_handler(refusal, _refused)
    return app


async def _refused(_request: Request, error: Exception) -> Response:
    unknown = isinstance(error, UnknownLinkError | UnknownRevisionError | UnknownFaultError)
    return JSONResponse({"detail": str(error)}, status_code=404 if unknown else 422)


# Handlers are coroutines on purpose: they run in the loop of the stations, between two operations.


def _add_reading(app: FastAPI, fleet: Fleet, station: Lookup) -> None:
    @app.get("/stations")
    async def stations() -> list[dict[str, Any]]:
        return [
            {**fleet.stations[endpoint.station].summary(), "address": endpoint.address, "port": endpoint.port}
            for endpoint in fleet.endpoints()
        ]

    @app.get("/stations/{station_id}")
    async def one(station_id: str) -> dict[str, Any]:
        return station(station_id).summary()

    @app.get("/stations/{station_id}/history")
    async def history(station_id: str, kind: EventKind | None = None) -> list[dict[str, Any]]:
        return [event.to_json() for event in station(station_id).history.events(kind)]

    @app.get("/stations/{station_id}/running")
    async def running(station_id: str) -> Response:
        found = station(station_id)
        return Response(found.running.to_text(state=found.equipment.state()), media_type="application/xml")


def _add_acting(app: FastAPI, station: Lookup) -> None:
    @app.post("/stations/{station_id}/links/break")
    async def break_link(station_id: str, body: LinkBody) -> dict[str, Any]:
        return {"links": station(station_id).equipment.break_link(body.link)}

    @app.post("/stations/{station_id}/links/restore")
    async def restore_link(station_id: str, body: LinkBody) -> dict[str, Any]:
        return {"links": station(station_id).equipment.restore_link(body.link)}

    @app.post("/stations/{station_id}/edit")
    async def edit(station_id: str, body: EditBody) -> dict[str, Any]:
        found = station(station_id)
        found.datastores.foreign_edit(parse(body.config.encode()), body.user)
        return {"revision": found.revision}

    @app.post("/stations/{station_id}/revert")
    async def revert(station_id: str, body: RevertBody) -> dict[str, Any]:
        found = station(station_id)
        found.revert(body.revision, body.user)
        return {"revision": found.revision}

    @app.post("/stations/{station_id}/profile", status_code=204)
    async def profile(station_id: str, body: ProfileBody) -> None:
        station(station_id).change_profile(profile_named(body.name))

    @app.post("/stations/{station_id}/restart", status_code=204)
    async def restart(station_id: str) -> None:
        station(station_id).restart()


def _add_faults(app: FastAPI, station: Lookup) -> None:
    @app.get("/stations/{station_id}/faults")
    async def faults(station_id: str) -> list[dict[str, Any]]:
        return [fault.to_json() for fault in station(station_id).faults.list()]

    @app.post("/stations/{station_id}/faults", status_code=201)
    async def inject(station_id: str, body: FaultBody) -> dict[str, Any]:
        return station(station_id).faults.inject(body.to_fault()).to_json()

    @app.delete("/stations/{station_id}/faults")
    async def clear(station_id: str) -> dict[str, int]:
        return {"cleared": station(station_id).faults.clear()}

    @app.delete("/stations/{station_id}/faults/{fault_id}")
    async def clear_one(station_id: str, fault_id: int) -> dict[str, int]:
        return {"cleared": station(station_id).faults.clear(fault_id)}


@asynccontextmanager
async def serve_control(fleet: Fleet, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
    """Serve the control interface while the context is open; give its URL.

    Raises:
        ValueError: the host is not on loopback.
    """
    async with serve(make_app(fleet), host, port) as url:
        yield url
