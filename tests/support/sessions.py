"""Sessions to devices whose kind a test knows, with all that they offer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol, cast

from controller.drivers.protocols import (
    Candidate,
    ConfirmedCommit,
    Devices,
    DeviceSession,
    Equipped,
    Locks,
    Startup,
    confirmed_commit,
    equipped,
    locks,
)
from controller.drivers.target import DeviceTarget


class RouterSession(DeviceSession, ConfirmedCommit, Startup, Protocol):
    """What a session to a router offers."""


class StationSession(RouterSession, Locks, Candidate, Equipped, Protocol):
    """What a session to a base station offers."""


@asynccontextmanager
async def to_router(devices: Devices, target: DeviceTarget) -> AsyncIterator[RouterSession]:
    """A session to a router."""
    async with devices.session(target) as session:
        assert confirmed_commit(session)
        yield cast("RouterSession", session)


@asynccontextmanager
async def to_station(devices: Devices, target: DeviceTarget) -> AsyncIterator[StationSession]:
    """A session to a base station."""
    async with to_router(devices, target) as session:
        assert locks(session)
        assert equipped(session)
        yield cast("StationSession", session)
