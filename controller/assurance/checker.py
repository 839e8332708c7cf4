"""Reads stations, keeps their health and reports what is wrong; never changes anything."""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from controller.assurance.health import health_of, reports_of
from controller.models.alarm import AlarmState, PerceivedSeverity
from controller.models.health import Health
from controller.plan import StationView, drifted_nodes
from controller.ports.clock import Clock
from controller.ports.store import Page, StoreLoop
from controller.runs.planner import Planner, Wanted

log = structlog.get_logger()


class Checker:
    """Checks stations; keeps the last health of each to tell a passing state from a lasting one."""

    def __init__(self, store: StoreLoop, planner: Planner, clock: Clock) -> None:
        self._store = store
        self._planner = planner
        self._clock = clock
        self._last: dict[str, Health] = {}

    async def check(self, stations: Sequence[str]) -> dict[str, Health]:
        """Read stations, save their health, report alarms. Stations under a running job are left alone."""
        free = await self._free(stations)
        wanted = await self._planner.applied(free)
        _, network = await self._store.call(lambda store: store.network())
        views = await self._planner.views(network, wanted)
        found = {
            station: self._health(station, views[station], wanted[station])
            for station in await self._free(tuple(views))
        }
        await self._keep(found)
        return found

    async def _free(self, stations: Sequence[str]) -> list[str]:
        """Stations that no job works on: between two phases a station is neither old nor new."""
        busy = await self._store.call(lambda store: store.leased(stations))
        return [station for station in stations if station not in busy]

    def _health(self, station: str, view: StationView, wanted: Wanted) -> Health:
        now = self._clock.now()
        if view.observed is None:
            return Health(station=station, at=now, reachable=False)
        drift = len(drifted_nodes(wanted.root, wanted.rendered, view.observed))
        return health_of(station, view.observed, view.ledger, drift, now)

    async def _keep(self, found: dict[str, Health]) -> None:
        """Save health; tell the alarm list what is wrong, and what is well only where it has something open."""
        _, opened = await self._store.call(
            lambda store: store.alarms(Page(limit=10_000), (AlarmState.RAISED, AlarmState.REPAIRING))
        )
        known = {(alarm.station, alarm.object, alarm.probable_cause) for alarm in opened}
        reports = [
            report
            for station, health in found.items()
            for report in reports_of(self._last.get(station), health)
            if report.severity is not PerceivedSeverity.CLEARED
            or (report.station, report.object, report.probable_cause) in known
        ]
        await self._store.call(lambda store: store.save_health(tuple(found.values())))
        for alarm in await self._store.call(lambda store: [store.report_alarm(report) for report in reports]):
            log.info("alarm.reported", alarm=alarm.id, station=alarm.station, cause=alarm.probable_cause)
        self._last |= found
