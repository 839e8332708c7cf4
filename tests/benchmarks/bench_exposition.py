"""What a scrape of 300,000 series costs: our own text against prometheus-client's collector, and the whole door.

python -m tests.benchmarks.bench_exposition
"""

from __future__ import annotations

import gzip
import resource
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from controller.access.disclosure import tenant_kpis
from controller.models.health import Health, LinkHealth, ServiceState
from controller.models.measurement import Measured, Subject
from controller.models.metrics import METRICS
from controller.models.network import network_digest
from controller.models.shipped import shipped
from controller.observe.exposition import ScrapeScope, add_network, exposition, text_of
from controller.performance.kpi_evaluation import IndicatorValues, KpiEvaluation
from controller.performance.kpis import Level
from controller.ports.clock import SystemClock
from controller.store import open_store
from tests.support.definitions import load_kpis
from tests.support.wide import wide_network

#: So many stations that there are 300,000 series where every indicator of each could be judged.
STATIONS, CELLS, TENANTS = 2100, 3, 4


def network() -> list[Health]:
    """Health of a big network."""
    return [
        Health(
            station=f"PE-CUS-{number:05}",
            at=datetime(2026, 1, 1, tzinfo=UTC),
            reachable=True,
            read=datetime(2026, 1, 1, tzinfo=UTC),
            cells={str(cell): ServiceState.UP for cell in range(CELLS)},
            links=tuple(
                LinkHealth(
                    path=f"/ManagedElement[PE-CUS-{number:05}]/ENBFunction[1]/EP_{kind}[tenant-{tenant}-1]",
                    tenant=f"tenant-{tenant}",
                    kind=kind,
                    state=ServiceState.UP,
                )
                for tenant in range(TENANTS)
                for kind in ("S1C", "S1U")
            ),
        )
        for number in range(STATIONS)
    ]


def counted(now: datetime) -> Iterator[Measured]:
    """What each cell counted for each tenant in the four quarters of the newest hour."""
    names = ("RRU.PrbTotDl", "RRU.PrbTotUl", "DRB.PdcpSduVolumeDL", "DRB.PdcpSduVolumeUL", "RRC.ConnMean")
    values = {Subject(): 50.0} | {Subject(plmn=f"716-0{one + 1}"): 10.0 + one for one in range(TENANTS)}
    cells = {str(cell): dict.fromkeys(names, values) for cell in range(CELLS)}
    newest = now.replace(minute=now.minute // 15 * 15, second=0, microsecond=0)
    for number in range(STATIONS):
        for quarter in range(1, 5):
            begin = newest - timedelta(minutes=15 * quarter)
            yield Measured(station=f"PE-CUS-{number:05}", begin=begin, seconds=900, covered=900, cells=cells)


def judged(end: datetime) -> Iterator[KpiEvaluation]:
    """What all indicators of each station came to, the watched ones of cells and tenants, and of the region."""
    kpis = load_kpis(shipped("playbooks/kpis"))
    watched = {kpi.name: 99.1234 for kpi in kpis if kpi.watched}
    whole = IndicatorValues(dict.fromkeys((kpi.name for kpi in kpis), 99.1234), dict.fromkeys(watched, 0.25))
    judged = IndicatorValues({kpi.name: 99.1234 for kpi in tenant_kpis(kpis) if kpi.watched})
    own = {f"tenant-{one}": judged for one in range(TENANTS)}
    for number in range(STATIONS):
        cells = {str(cell): IndicatorValues(watched) for cell in range(CELLS)}
        station = f"PE-CUS-{number:05}"
        yield KpiEvaluation(level=Level.STATION, of=station, end=end, whole=whole, tenants=own, cells=cells)
    for level, name in ((Level.REGION, "cusco"), (Level.NETWORK, "*")):
        yield KpiEvaluation(level=level, of=name, end=end, whole=whole, tenants=dict.fromkeys(own, whole))


def text(healths: Sequence[Health]) -> bytes:
    """Our own text of the health of a network."""
    lines: dict[str, list[str]] = {metric.name: [] for metric in METRICS}
    add_network(lines, healths)
    return text_of(METRICS, lines, {})


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


def _seconds(name: str, began: float, page: bytes = b"") -> None:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    size = f"{page.count(b'} '):8} series {len(page) / 1e6:6.1f} MB" if page else ""
    print(f"{name:<45} {time.process_time() - began:7.3f} CPU s  {size:<28} peak {peak:5.0f} MB", flush=True)


def main() -> None:
    """Measure and print."""
    began, clock = time.process_time(), SystemClock()
    with TemporaryDirectory() as folder:
        store = open_store(f"sqlite:///{Path(folder) / 'minka.sqlite3'}", clock)
        net = wide_network(STATIONS, CELLS, TENANTS)
        store.networks.save(net, network_digest(net), "bench")
        healths = network()
        for health in healths:
            store.devices.adopt(health.station, (), "", "bench")
        store.healths.save(healths)
        periods = list(counted(clock.now()))
        for first in range(0, len(periods), 800):
            store.measurements.put(periods[first : first + 800])
        store.kpi_evaluations.put(judged(clock.now()))
        # The process that serves has none of this in memory.
        del periods
        del healths, net
        _seconds("made the network", began)
        for name, asked in (
            ("/metrics, the first time", ScrapeScope()),
            ("/metrics, from then on", ScrapeScope()),
            ("/metrics, OpenMetrics", ScrapeScope(openmetrics=True)),
            ("/metrics of one tenant, from then on", ScrapeScope(tenant="tenant-1")),
            ("/metrics of one tenant, from then on", ScrapeScope(tenant="tenant-1")),
        ):
            began = time.process_time()
            page = exposition(store, clock, asked)
            _seconds(name, began, page)
        page = exposition(store, clock)
        began = time.process_time()
        _seconds("gzip level 1 of it", began, gzip.compress(page, 1))
        store.close()
    healths = network()
    began = time.process_time()
    _seconds("health alone: our own text", began, text(healths))
    began = time.process_time()
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_ByTheBook(healths))
    _seconds("health alone: prometheus-client's collector", began, generate_latest(registry))


if __name__ == "__main__":
    main()
