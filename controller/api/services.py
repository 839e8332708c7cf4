"""What the routes work with, and how they get at it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Query, Request
from pydantic import BaseModel, ConfigDict

from controller.models.settings import Settings
from controller.ports.clock import Clock
from controller.ports.devices import Devices
from controller.ports.queue import Doorbell
from controller.ports.store import Page, Store
from controller.runs.planner import Planner


@dataclass(frozen=True, slots=True)
class Services:
    """Everything behind the API."""

    settings: Settings
    store: Store
    devices: Devices
    planner: Planner
    doorbell: Doorbell
    clock: Clock
    exposition: Callable[[], bytes]


def services(request: Request) -> Services:
    """The app's services."""
    found: Services = request.app.state.services
    return found


def page(limit: Annotated[int, Query(ge=1, le=1000)] = 100, offset: Annotated[int, Query(ge=0)] = 0) -> Page:
    """Pagination parameters."""
    return Page(limit, offset)


Backend = Annotated[Services, Depends(services)]
Paging = Annotated[Page, Depends(page)]


class Body(BaseModel):
    """Base of request and answer bodies: unknown fields are errors."""

    model_config = ConfigDict(extra="forbid")


def listing(total: int, items: list[object], asked: Page) -> dict[str, object]:
    """One page of a list: ``count``, ``results`` and the offset of the next page or null."""
    following = asked.offset + len(items)
    return {"count": total, "next": following if following < total else None, "results": items}
