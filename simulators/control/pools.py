"""The part of the control interface that concerns pools."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import FastAPI, HTTPException
from pydantic import Field

from simulators.cloud.behaviour.faults import POOL_FAULTS
from simulators.cloud.behaviour.pool import Pool
from simulators.cloud.server.faults import ANY, ApiFault, ApiFaultKind
from simulators.control.bodies import Body, InjectedFaultBody, add_faults
from simulators.fleet.fleet import Fleet
from simulators.history import EventKind


class PoolFaultBody(Body):
    """A fault of a pool to begin; without a target the seed draws a node or function."""

    fault: Annotated[str, Field(min_length=1)]
    target: str = ""
    seed: str | None = None


class ApiFaultBody(InjectedFaultBody):
    """A fault of a pool's API to inject; ``patch`` is what a foreign writer changes."""

    kind: ApiFaultKind
    verb: Annotated[str, Field(min_length=1)] = ANY
    resource: Annotated[str, Field(min_length=1)] = ANY
    patch: dict[str, Any] = Field(default_factory=dict)


class UpgradeBody(Body):
    """The version of Kubernetes for the nodes of a pool."""

    version: Annotated[str, Field(pattern=r"^v\d+\.\d+\.\d+$")]


def add_pools(app: FastAPI, fleet: Fleet) -> None:
    """Add the requests to the control interface."""

    def pool(pool_id: str) -> Pool:
        try:
            return fleet.pools[pool_id]
        except KeyError:
            raise HTTPException(404, f"no pool {pool_id}") from None

    @app.get("/pools")
    async def pools() -> list[dict[str, Any]]:
        return [one.summary() for one in fleet.pools.values()]

    @app.get("/pools/{pool_id}")
    async def one(pool_id: str) -> dict[str, Any]:
        return pool(pool_id).summary()

    @app.get("/pools/{pool_id}/history")
    async def history(pool_id: str, kind: EventKind | None = None) -> list[dict[str, Any]]:
        return [event.to_json() for event in pool(pool_id).history.events(kind)]

    add_faults(app, "/pools/{device}/faults", lambda pool_id: pool(pool_id).faults)

    @app.post("/pools/{pool_id}/faults", status_code=201)
    async def begin(pool_id: str, body: PoolFaultBody) -> list[dict[str, Any]]:
        return [fault.to_json() for fault in pool(pool_id).begin_fault(body.fault, body.target, body.seed)]

    add_faults(app, "/pools/{device}/api-faults", lambda pool_id: pool(pool_id).api_faults)

    @app.post("/pools/{pool_id}/api-faults", status_code=201)
    async def inject(pool_id: str, body: ApiFaultBody) -> dict[str, Any]:
        return pool(pool_id).api_faults.inject(ApiFault(**body.model_dump())).to_json()

    @app.post("/pools/{pool_id}/upgrade")
    async def upgrade(pool_id: str, body: UpgradeBody) -> dict[str, Any]:
        found = pool(pool_id)
        found.upgrade(body.version)
        return found.summary()

    @app.get("/pool-faults")
    async def kinds() -> list[dict[str, Any]]:
        return [kind.to_json() for kind in POOL_FAULTS.values()]
