"""Reads stations, keeps their health and reports what is wrong; never changes anything."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog

from controller.assurance.health import Wrong, health_of, reports_of, wrongs
from controller.models.alarm import Alarm, AlarmReport
from controller.models.errors import DeviceError, NotFoundError
from controller.models.health import Health
from controller.models.network import Network
from controller.models.run import LedgerEntry
from controller.nrm.profiles import root_spec
from controller.nrm.tree import Path
from controller.plan import applied, drifted_nodes
from controller.ports.clock import Clock
from controller.ports.devices import Observed
from controller.ports.store import Store, StoreLoop
from controller.runs.planner import Planner

log = structlog.get_logger()

_Ledger = Mapping[Path, LedgerEntry]


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at a station brought.

    Attributes:
        reason: Code of the error that kept us from reading it, empty where it was read.
    """

    station: str
    at: datetime
    observed: Observed | None
    reason: str = ""


class Checker:
    """Looks at stations; keeps the last health of each to tell a passing state from a lasting one.

    Args:
        reports: Whether what is wrong becomes alarms; if not, health is kept and others raise the alarms.
    """

    def __init__(self, store: StoreLoop, planner: Planner, clock: Clock, *, reports: bool = True) -> None:
        self._store = store
        self._planner = planner
        self._clock = clock
        self._reports = reports
        self._last: dict[str, Health] = {}

    async def look(self, network: Network, station: str) -> Look:
        """Read one station; that it can't be read is an answer too."""
        try:
            observed = await self._planner.read(network, station)
        except (DeviceError, NotFoundError) as error:
            log.info("station.unreadable", station=station, code=error.code, reason=error.message)
            return Look(station, self._clock.now(), None, error.code)
        return Look(station, self._clock.now(), observed)

    async def health(self, station: str) -> Health:
        """What one station says of itself just now; nothing is kept.

        Raises:
            NotFoundError: It was not adopted.
        """
        _, network = await self._store.call(lambda store: store.network())
        found = await self._judge([await self.look(network, station)])
        if station not in found:
            raise NotFoundError(f"station {station} is not adopted")
        return found[station]

    async def record(self, looks: Sequence[Look]) -> frozenset[str]:
        """Save the health that looks showed and report alarms; stations under a job are left alone.

        Returns:
            Stations to look at again soon: what is wrong there changed, or a job works on them: between two
            phases a station is neither old nor new.

        Raises:
            StoreError: Nothing is kept.
        """
        stations = [look.station for look in looks]
        busy = await self._store.call(lambda store: store.leased(stations))
        found = await self._judge([look for look in looks if look.station not in busy])
        standing = await self._store.call(lambda store: store.standing_alarms(found))
        reports = [
            report
            for station, health in found.items()
            for report in reports_of(self._last.get(station), health, _uncleared(standing, station))
            if self._reports
        ]
        alarms = await self._store.call(lambda store: _keep(store, tuple(found.values()), reports))
        for alarm in alarms:
            log.info("alarm.reported", alarm=alarm.id, station=alarm.station, cause=alarm.probable_cause)
        changed = {station for station, health in found.items() if self._changed(station, health)}
        self._last |= found
        return busy | changed

    def _changed(self, station: str, health: Health) -> bool:
        before = self._last.get(station)
        return wrongs(health).keys() != (wrongs(before).keys() if before else set())

    # ------------------------------------------------------------------ judge

    async def _judge(self, looks: Sequence[Look]) -> dict[str, Health]:
        """Health by station, for adopted ones; judged against what was applied there."""
        stations = [look.station for look in looks]
        devices, ledger, (_, network) = await self._store.call(
            lambda store: (store.devices(stations), store.ledger(stations), store.network())
        )
        return await asyncio.to_thread(
            lambda: {
                look.station: _health(network, look, ledger.get(look.station, {}))
                for look in looks
                if look.station in devices and devices[look.station].adopted is not None
            }
        )


def _health(network: Network, look: Look, ledger: _Ledger) -> Health:
    if look.observed is None:
        return Health(station=look.station, at=look.at, reachable=False, reason=look.reason)
    known = network.profiles_of(look.station) if network.manages(look.station) else ()
    drift = len(drifted_nodes(root_spec(known), applied(ledger), look.observed)) if known else 0
    return health_of(look.station, look.observed, ledger, drift, look.at)


def _keep(store: Store, healths: Sequence[Health], reports: Sequence[AlarmReport]) -> list[Alarm]:
    store.save_health(healths)
    return store.report_alarms(reports)


def _uncleared(standing: Collection[Alarm], station: str) -> set[Wrong]:
    """Alarms of a station that were not cleared; a repair under way may have a cleared one, to be raised again."""
    return {
        (alarm.object, alarm.probable_cause)
        for alarm in standing
        if alarm.station == station and alarm.cleared is None and not alarm.specific_problem
    }
