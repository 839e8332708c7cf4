"""Common parts of the requests of the control interface."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Annotated, Any, Protocol

from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, Field


class Body(BaseModel):
    """The body of a request."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class InjectedFaultBody(Body):
    """A fault to inject; ``count`` none means until it is cleared."""

    count: Annotated[int, Field(ge=1)] | None = 1
    probability: Annotated[float, Field(gt=0, le=1)] = 1.0
    seconds: Annotated[float, Field(ge=0)] = 0.0


class _Fault(Protocol):
    def to_json(self) -> dict[str, Any]: ...


class _Faults(Protocol):
    def __iter__(self) -> Iterator[_Fault]: ...

    def clear(self, fault_id: int | None = None, /) -> int: ...


def add_faults(app: FastAPI, path: str, faults_of: Callable[[str], _Faults]) -> None:
    """Add the requests that list and clear the faults of a device, whose id stands in the path."""

    @app.get(path)
    async def faults(device: str) -> list[dict[str, Any]]:
        return [fault.to_json() for fault in faults_of(device)]

    @app.delete(path)
    async def clear(device: str) -> dict[str, int]:
        return {"cleared": faults_of(device).clear()}

    @app.delete(f"{path}/{{fault_id}}")
    async def clear_one(device: str, fault_id: int) -> dict[str, int]:
        return {"cleared": faults_of(device).clear(fault_id)}
