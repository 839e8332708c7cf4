"""The part of the control interface that concerns the living network: network faults, measurements."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import FastAPI, HTTPException, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from simulators.equipment.fault_kinds import NETWORK_FAULTS, NetworkFaultKind
from simulators.equipment.measurements import measurement_file
from simulators.equipment.performance import PERIOD
from simulators.station import Station

Lookup = Callable[[str], Station]


class NetworkFaultBody(BaseModel):
    """A network fault to begin; without a target it strikes the first cell, unit or tenant of the station."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fault: Annotated[str, Field(min_length=1)]
    target: str = ""
    seed: str | None = None


def add_living(app: FastAPI, station: Lookup) -> None:
    """Add the requests to the control interface."""

    @app.get("/network-faults")
    async def kinds() -> list[dict[str, Any]]:
        return [describe(fault) for fault in NETWORK_FAULTS.values()]

    @app.get("/stations/{station_id}/network-faults")
    async def faults(station_id: str) -> list[dict[str, Any]]:
        return [fault.to_json() for fault in station(station_id).equipment.faults]

    @app.post("/stations/{station_id}/network-faults", status_code=201)
    async def begin(station_id: str, body: NetworkFaultBody) -> dict[str, Any]:
        return station(station_id).equipment.begin_fault(body.fault, body.target, body.seed).to_json()

    @app.delete("/stations/{station_id}/network-faults")
    async def clear(station_id: str) -> dict[str, int]:
        return {"cleared": station(station_id).equipment.faults.clear()}

    @app.delete("/stations/{station_id}/network-faults/{fault_id}")
    async def clear_one(station_id: str, fault_id: int) -> dict[str, int]:
        return {"cleared": station(station_id).equipment.faults.clear(fault_id)}

    @app.get("/stations/{station_id}/measurements")
    async def measurements(
        station_id: str, end: datetime | None = None, seconds: Annotated[int, Query(ge=1)] = PERIOD
    ) -> Response:
        found = station(station_id)
        if end is not None and (end.tzinfo is None or end > found.clock.now()):
            raise HTTPException(422, "end is a moment in the past, with its time zone")
        period = found.equipment.performance.measure(seconds, None if end is None else end.astimezone(UTC))
        version = found.equipment.software.version
        return Response(measurement_file(station_id, version, period), media_type="application/xml")


def describe(fault: NetworkFaultKind) -> dict[str, Any]:
    """A kind of network fault, as JSON carries it."""
    return {
        "fault": fault.name,
        "place": fault.place.value,
        "alarms": [stage.alarm.fault_id for stage in fault.stages if stage.alarm is not None],
        "cures": {cure.by.value: cure.chance for cure in fault.cures},
        "ends_by_itself": fault.lasts is not None,
    }
