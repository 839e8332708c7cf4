"""The text that Prometheus scrapes. Everything comes from the database, so it is the same from every
process, survives restarts, and needs no shared memory between workers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from controller import __version__
from controller.models.health import Health
from controller.ports.store import Store

_Figures = Mapping[str, Mapping[tuple[str, ...], float]]

#: Gauges and counters over the record: figure name → (metric, help, labels).
_GAUGES: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "runs": ("minka_runs", "Runs by state.", ("state",)),
    "jobs": ("minka_jobs", "Jobs by state.", ("state",)),
    "sessions": ("minka_sessions", "Open NETCONF sessions by process.", ("process",)),
    "oldest_claimable_seconds": ("minka_oldest_claimable_job_age_seconds", "Age of the oldest claimable job.", ()),
    "alarms": ("minka_alarms", "Alarms by state.", ("state", "severity", "probable_cause")),
    "devices_adopted": ("minka_stations_adopted", "Stations that Minka may change.", ()),
    "workers_alive": ("minka_processes_alive", "Processes with a heartbeat on record.", ()),
}
_COUNTERS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "outcomes": ("minka_jobs_ended", "Jobs that ended, by outcome.", ("outcome",)),
    "repairs": ("minka_repairs_started", "Repair runs that rules started.", ("rule",)),
}


class _Record(Collector):
    """The controller's own figures and the health of the network, read at each scrape."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def collect(self) -> Iterator[Metric]:
        info = GaugeMetricFamily("minka_build_info", "Version of Minka.", labels=["version"])
        info.add_metric([__version__], 1)
        yield info
        yield from _controller(self._store.figures())
        yield from _network(self._store.healths().values())


def _controller(figures: _Figures) -> Iterator[Metric]:
    for name, (metric, text, labels) in _GAUGES.items():
        yield _filled(GaugeMetricFamily(metric, text, labels=labels), figures.get(name, {}))
    for name, (metric, text, labels) in _COUNTERS.items():
        yield _filled(CounterMetricFamily(metric, text, labels=labels), figures.get(name, {}))


def _filled(family: GaugeMetricFamily | CounterMetricFamily, values: Mapping[tuple[str, ...], float]) -> Metric:
    for labels, value in sorted(values.items()):
        family.add_metric(list(labels), value)
    return family


def _network(healths: Iterable[Health]) -> Iterator[Metric]:
    reachable = GaugeMetricFamily("minka_station_reachable", "Whether the station answered.", labels=["station"])
    drift = GaugeMetricFamily(
        "minka_station_drift_nodes", "Managed values that differ from what was applied.", labels=["station"]
    )
    seen = GaugeMetricFamily(
        "minka_station_seen_timestamp_seconds", "When the station was last looked at.", labels=["station"]
    )
    air = GaugeMetricFamily("minka_cell_on_air", "Whether the cell is on air.", labels=["station", "cell"])
    links = GaugeMetricFamily(
        "minka_core_link_up", "Whether the core link works.", labels=["station", "tenant", "kind", "object"]
    )
    for health in healths:
        reachable.add_metric([health.station], health.reachable)
        seen.add_metric([health.station], health.at.timestamp())
        if not health.reachable:
            continue
        drift.add_metric([health.station], health.drift)
        for cell, on_air in health.cells.items():
            air.add_metric([health.station, cell], on_air)
        for link in health.links:
            links.add_metric([health.station, link.tenant, link.kind, link.path], link.up)
    return iter((reachable, seen, drift, air, links))


def exposition(store: Store) -> bytes:
    """All metrics in Prometheus' text form. Raises StoreError if the database is away."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Record(store))
    return generate_latest(registry)
