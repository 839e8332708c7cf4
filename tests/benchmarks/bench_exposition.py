"""What a scrape of a whole network costs: our own text against prometheus-client's collector, and the whole door.

python -m tests.benchmarks.bench_exposition
"""

from __future__ import annotations

import gzip
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from controller.models.health import Health, LinkHealth, ServiceState
from controller.observe.exposition import exposition, network_text
from controller.ports.clock import SystemClock
from controller.store import open_store

STATIONS, CELLS, TENANTS = 3100, 3, 3


def network() -> list[Health]:
    """Health of a big network."""
    return [
        Health(
            station=f"PE-CUS-{number:04}",
            at=datetime(2026, 1, 1, tzinfo=UTC),
            reachable=True,
            cells={str(cell): ServiceState.UP for cell in range(CELLS)},
            links=tuple(
                LinkHealth(
                    path=f"/ManagedElement[PE-CUS-{number:04}]/ENBFunction[1]/EP_S1C[tenant-{tenant}-mme-1]",
                    tenant=f"tenant-{tenant}",
                    kind="s1c",
                    state=ServiceState.UP,
                )
                for tenant in range(TENANTS)
            ),
        )
        for number in range(STATIONS)
    ]


class _ByTheBook(Collector):
    """The same metrics as a custom collector of prometheus-client."""

    def __init__(self, healths: Sequence[Health]) -> None:
        self._healths = healths

    def collect(self) -> Iterator[Metric]:
        names = ("minka_station_reachable", "minka_station_seen_timestamp_seconds", "minka_station_drift_nodes")
        stations = [GaugeMetricFamily(name, name, labels=["station"]) for name in names]
        air = GaugeMetricFamily("minka_cell_on_air", "air", labels=["station", "cell"])
        links = GaugeMetricFamily("minka_core_link_up", "link", labels=["station", "tenant", "kind", "object"])
        for health in self._healths:
            for family, value in zip(stations, (1, health.at.timestamp(), health.drift), strict=True):
                family.add_metric([health.station], value)
            for cell, on_air in health.cells.items():
                air.add_metric([health.station, cell], on_air is ServiceState.UP)
            for link in health.links:
                links.add_metric([health.station, link.tenant, link.kind, link.path], link.up)
        yield from (*stations, air, links)


def _seconds(name: str, began: float) -> None:
    print(f"{name:<55} {time.process_time() - began:7.3f} CPU s")


def main() -> None:
    """Measure and print."""
    healths = network()
    text = network_text(healths)
    print(f"{text.count(b'} ')} series, {len(text) / 1e6:.1f} MB")
    began = time.process_time()
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_ByTheBook(healths))
    generate_latest(registry)
    _seconds("prometheus-client, custom collector", began)
    began = time.process_time()
    network_text(healths)
    _seconds("our own text", began)
    began = time.process_time()
    size = len(gzip.compress(text, 1))
    _seconds(f"gzip level 1 of it ({size / 1e6:.1f} MB)", began)
    with TemporaryDirectory() as folder:
        store = open_store(f"sqlite:///{Path(folder) / 'minka.sqlite3'}", SystemClock())
        for health in healths:
            store.devices.adopt(health.station, (), "", "bench")
        store.healths.save(healths)
        began = time.process_time()
        exposition(store)
        _seconds("/metrics as a whole, from an SQLite file", began)
        store.close()


if __name__ == "__main__":
    main()
