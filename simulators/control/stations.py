"""The part of the control interface that concerns stations."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import FastAPI, HTTPException, Query, Response
from pydantic import Field

from simulators.control.bodies import Body, InjectedFaultBody, add_faults
from simulators.equipment.fault_kinds import NETWORK_FAULTS
from simulators.equipment.file_faults import FileFault, FileFaultKind
from simulators.equipment.measurements import measurement_file
from simulators.equipment.performance import PERIOD
from simulators.equipment.truth import truth_of
from simulators.fleet.fleet import Fleet
from simulators.history import EventKind
from simulators.netconf.faults import ANY, STATION_FAULTS, Fault, FaultKind
from simulators.netconf.messages import parse
from simulators.netconf.profiles import profile_named
from simulators.station import Station

#: Operations that faults can name.
OPERATIONS = frozenset(
    {
        *("get", "get-config", "edit-config", "copy-config", "delete-config", "lock", "unlock", "validate"),
        *("commit", "confirm", "cancel-commit", "discard-changes", "close-session", "kill-session"),
        *("get-schema", "create-subscription", ANY),
    }
)


class LinkBody(Body):
    """Core links: those of a tenant, or the one with this end point id."""

    link: Annotated[str, Field(min_length=1, description="Tenant id or end point id.")]


class EditBody(Body):
    """A foreign edit of running: a ``<config>`` element, or a single top-level element."""

    config: Annotated[str, Field(min_length=1)]
    user: str = "technician"


class RevertBody(Body):
    """The earlier running configuration to restore."""

    revision: Annotated[int, Field(ge=0)]
    user: str = "technician"


class ProfileBody(Body):
    """The NETCONF profile of a station from now on."""

    name: Annotated[str, Field(min_length=1)]


class FaultBody(InjectedFaultBody):
    """A fault to inject into the NETCONF server of a station."""

    kind: FaultKind
    operation: str = ANY
    config: str = ""

    def to_fault(self) -> Fault:
        """The fault as a station takes it.

        Raises:
            ValueError: the operation is unknown, or a foreign edit lacks its config.
        """
        if self.operation not in OPERATIONS:
            raise ValueError(f"operation {self.operation!r} is none of {', '.join(sorted(OPERATIONS))}")
        if self.kind in STATION_FAULTS and self.operation != ANY:
            raise ValueError(f"{self.kind.value} concerns the station, not an operation")
        if (self.kind is FaultKind.FOREIGN_EDIT) != bool(self.config):
            raise ValueError("a foreign-edit, and nothing else, needs config")
        if self.config:
            parse(self.config.encode())
        return Fault(**self.model_dump())


class NetworkFaultBody(Body):
    """A network fault to begin; without a target it strikes the first cell, unit or tenant of the station."""

    fault: Annotated[str, Field(min_length=1)]
    target: str = ""
    seed: str | None = None


class FileFaultBody(InjectedFaultBody):
    """A fault to inject into the measurement files of a station; ``count`` is in reporting periods of each job."""

    kind: FileFaultKind
    seconds: float = 0.0


Lookup = Callable[[str], Station]


def add_stations(app: FastAPI, fleet: Fleet) -> None:
    """Add the requests to the control interface."""

    def station(station_id: str) -> Station:
        try:
            return fleet.stations[station_id]
        except KeyError:
            raise HTTPException(404, f"no station {station_id}") from None

    _add_reading(app, fleet, station)
    _add_changes(app, station)
    _add_faults(app, station)


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

    @app.get("/stations/{station_id}/measurements")
    async def measurements(
        station_id: str, end: datetime | None = None, seconds: Annotated[int, Query(ge=1)] = PERIOD
    ) -> Response:
        found = station(station_id)
        if end is not None and (end.tzinfo is None or end > found.clock.now()):
            raise HTTPException(422, "end is a moment in the past, with its time zone")
        period = found.equipment.performance.measure(seconds, None if end is None else end.astimezone(UTC))
        version = found.equipment.software.version
        return Response(measurement_file(station_id, version, [period]), media_type="application/xml")

    @app.get("/stations/{station_id}/truth")
    async def truth(station_id: str, begin: datetime, end: datetime) -> dict[str, Any]:
        found = station(station_id)
        if begin.tzinfo is None or end.tzinfo is None or not begin < end <= found.clock.now():
            raise HTTPException(422, "begin and end are moments in the past, with their time zone, begin before end")
        return truth_of(found.equipment.performance, begin.astimezone(UTC), end.astimezone(UTC)).to_json()


def _add_changes(app: FastAPI, station: Lookup) -> None:
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
    add_faults(app, "/stations/{device}/faults", lambda station_id: station(station_id).faults)
    add_faults(app, "/stations/{device}/network-faults", lambda station_id: station(station_id).equipment.faults)

    @app.post("/stations/{station_id}/faults", status_code=201)
    async def inject(station_id: str, body: FaultBody) -> dict[str, Any]:
        return station(station_id).faults.inject(body.to_fault()).to_json()

    add_faults(app, "/stations/{device}/file-faults", lambda station_id: station(station_id).equipment.file_faults)

    @app.post("/stations/{station_id}/file-faults", status_code=201)
    async def spoil(station_id: str, body: FileFaultBody) -> dict[str, Any]:
        return station(station_id).equipment.file_faults.inject(FileFault(**body.model_dump())).to_json()

    @app.post("/stations/{station_id}/network-faults", status_code=201)
    async def begin(station_id: str, body: NetworkFaultBody) -> dict[str, Any]:
        return station(station_id).equipment.begin_fault(body.fault, body.target, body.seed).to_json()

    @app.get("/network-faults")
    async def kinds() -> list[dict[str, Any]]:
        return [kind.to_json() for kind in NETWORK_FAULTS.values()]
