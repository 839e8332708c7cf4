"""Devices whose VES heartbeats have stopped."""

from __future__ import annotations

from datetime import datetime

import structlog

from controller.assurance.station_alarms import heartbeat_report
from controller.models.network import Network
from controller.models.process import ProcessRole
from controller.models.ves import Heartbeat
from controller.ports.clock import Clock
from controller.store import AsyncStore, Store

log = structlog.get_logger()

#: Most seconds that count between two rounds: what delayed us may have delayed heartbeats too.
_GAP = 15.0


class HeartbeatWatch:
    """Reports devices whose heartbeats have stopped.

    Their silence is counted on this process's own clock, from its first round, and only while an API lives that
    could have received them: neither our own restart nor a database that was away makes a device silent.

    Args:
        misses: Heartbeats that a device misses in a row before that is reported.
    """

    def __init__(self, store: AsyncStore, clock: Clock, misses: int) -> None:
        self._store = store
        self._clock = clock
        self._misses = misses
        self._latest = clock.monotonic()
        #: By device, its last heartbeat, and for how many seconds of rounds it has been silent.
        self._silent: dict[str, tuple[Heartbeat, float]] = {}

    async def step(self) -> None:
        """One round."""
        found = await self._store.heartbeats.find()
        now = self._clock.monotonic()
        passed, self._latest = min(now - self._latest, _GAP), now
        if found and not any(one.role is ProcessRole.API and one.up for one in await self._store.processes.find()):
            passed = 0.0
        before, self._silent = self._silent, {}
        for one in found:
            known, silence = before.get(one.device, (one, 0.0))
            self._silent[one.device] = (one, silence + passed if known.at == one.at else 0.0)
        late = [one for one, silence in self._silent.values() if not one.lost and silence > self._misses * one.interval]
        if late:
            _, network = await self._store.networks.get()
            await self._store.transaction(
                _report, [one for one in late if network.manages(one.device)], network, self._clock.now()
            )


def _report(store: Store, late: list[Heartbeat], network: Network, now: datetime) -> None:
    lost = [one for one in late if store.heartbeats.lose(one.device, one.at)]
    for one in lost:
        log.info("heartbeat.lost", device=one.device, last=one.at.isoformat(), interval=one.interval)
    kinds = network.device_kinds
    store.alarms.report_all([heartbeat_report(one.device, now, kinds[one.device], lost=True) for one in lost])
