"""The text that Prometheus scrapes.

Everything comes from the database, so it is the same from every process, survives restarts, and
needs no shared memory between workers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from controller import __version__
from controller.assurance.health import NOT_LOOKED_AT, unread
from controller.models.health import Health, ServiceState
from controller.models.settings import Settings
from controller.nrm.profiles import cell_of
from controller.ports.store import Store

_Figures = Mapping[str, Mapping[tuple[str, ...], float]]

#: Gauges and counters over the record: figure name → (metric, help, labels).
_GAUGES: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "runs": ("minka_runs", "Runs on record by state.", ("state",)),
    "jobs": ("minka_jobs", "Jobs on record by state.", ("state",)),
    "jobs_away": ("minka_jobs_away", "Jobs whose station could not be reached or was busy and is tried again.", ()),
    "sessions": ("minka_sessions", "Open NETCONF sessions by process.", ("role", "instance")),
    "oldest_claimable_seconds": ("minka_oldest_claimable_job_age_seconds", "Age of the oldest claimable job.", ()),
    "alarms": ("minka_alarms", "Alarms on record.", ("state", "severity", "probable_cause")),
    "incidents": ("minka_incidents", "Open incidents by severity and by who knows of them.", ("severity", "state")),
    "incident_info": (
        "minka_incident_info",
        "Open incidents, the oldest.",
        ("incident", "station", "probable_cause", "severity", "state"),
    ),
    "symptoms": (
        "minka_incident_symptom",
        "Alarms that stand and follow from the root of an incident.",
        ("incident", "station", "object", "probable_cause"),
    ),
    "devices_adopted": ("minka_stations_adopted", "Stations that Minka may change.", ()),
    "repair_stopped": (
        "minka_automatic_repair_stopped",
        "Whether people or the breaker stopped automatic repair.",
        ("by",),
    ),
    "health_age_seconds": ("minka_health_age_seconds", "Time since the last health read of stations.", ("quantile",)),
    "health_interval_seconds": (
        "minka_health_interval_seconds",
        "Intended seconds between two health reads of a station.",
        (),
    ),
    "collection_stations": ("minka_collection_stations", "Stations whose performance data is collected.", ()),
    "collection_age_seconds": (
        "minka_collection_age_seconds",
        "Time since the end of the newest period on record, of stations that are collected.",
        ("quantile",),
    ),
    "collection_gaps": (
        "minka_collection_missing_periods",
        "Periods of the last day that are not on record, of all stations.",
        (),
    ),
    "record_in_doubt": (
        "minka_record_in_doubt",
        "Whether the record is in doubt: nothing begins until a person decides.",
        (),
    ),
    "process_up": ("minka_process_up", "Whether the process sends heartbeats.", ("role", "instance")),
    "process_ready": (
        "minka_process_ready",
        "Whether the process sends heartbeats and its rounds succeed.",
        ("role", "instance"),
    ),
    "processes_ready": ("minka_processes_ready", "Processes that send heartbeats and whose rounds succeed.", ("role",)),
}
_COUNTERS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "outcomes": ("minka_jobs_ended", "Jobs that ended, by outcome.", ("outcome",)),
    "runs_ended": ("minka_runs_ended", "Runs that ended, by state.", ("state",)),
    "escalated": ("minka_alarms_escalated", "Alarms that were escalated to people.", ()),
    "alerts_refused": ("minka_alerts_refused", "Alerts that became no alarm, by reason.", ("reason",)),
    "collection_periods": ("minka_collection_periods", "Periods that came in, by what became of them.", ("outcome",)),
    "collection_files_refused": (
        "minka_collection_files_refused",
        "Measurement files that were of no use, by reason.",
        ("reason",),
    ),
    "collection_failures": (
        "minka_collection_failures",
        "Collections that did not come to their end, by reason.",
        ("reason",),
    ),
    "repairs": ("minka_repairs_started", "Repair runs that rules started.", ("rule",)),
}
#: Gauges over the network: metric → help. Rendered by hand, since there are a hundred thousand values of them:
#: prometheus-client takes many times as long (tests/benchmarks/bench_exposition.py).
_NETWORK: dict[str, str] = {
    "minka_station_reachable": "Whether the station answered at the last read.",
    "minka_station_seen_timestamp_seconds": "Time of the last try to read the station.",
    "minka_station_read_timestamp_seconds": "Time of the last successful read of the station.",
    "minka_station_drift_nodes": "Managed nodes that differ from what was applied.",
    "minka_cell_on_air": "Whether the cell is known to be unlocked, enabled and active.",
    "minka_cell_unknown": "Cells whose state is unknown, and why; only they are listed.",
    "minka_cell_off_air": "Cells that nobody locked and that are known to be off air; only they are listed.",
    "minka_cell_locked": "Cells that somebody locked; only they are listed.",
    "minka_core_link_up": "Whether the core link is known to work.",
    "minka_core_link_unknown": "Core links whose state is unknown, and why; only they are listed.",
    "minka_core_link_locked": "Core links that somebody locked; only they are listed.",
}
#: What serves, and the end of the name of the series that says so.
_SERVING = {"minka_cell": "on_air", "minka_core_link": "up"}


def exposition(store: Store, health_interval: float = Settings.model_fields["health_interval"].default) -> bytes:
    """All metrics in Prometheus' text form. Raises StoreError if the database is away.

    Args:
        store: The record.
        health_interval: Seconds between two looks at a station, as they are meant to be.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Record(store.status.figures() | {"health_interval_seconds": {(): health_interval}}))
    return generate_latest(registry) + network_text(_standing_health(store))


class _Record(Collector):
    """The controller's own figures."""

    def __init__(self, figures: _Figures) -> None:
        self._figures = figures

    def collect(self) -> Iterator[Metric]:
        info = GaugeMetricFamily("minka_build_info", "Version of Minka.", labels=["version"])
        info.add_metric([__version__], 1)
        yield info
        for name, (metric, text, labels) in _GAUGES.items():
            yield _filled(GaugeMetricFamily(metric, text, labels=labels), self._figures.get(name, {}))
        for name, (metric, text, labels) in _COUNTERS.items():
            yield _filled(CounterMetricFamily(metric, text, labels=labels), self._figures.get(name, {}))


def _filled(family: GaugeMetricFamily | CounterMetricFamily, values: Mapping[tuple[str, ...], float]) -> Metric:
    for labels, value in sorted(values.items()):
        family.add_metric(list(labels), value)
    return family


def network_text(healths: Iterable[Health]) -> bytes:
    """The health of the network. Series of a station that can't be read stay: what is unknown counts as down."""
    lines: dict[str, list[str]] = {name: [] for name in _NETWORK}
    for health in healths:
        _add(lines, health)
    blocks = (f"# HELP {name} {text}\n# TYPE {name} gauge\n{''.join(lines[name])}" for name, text in _NETWORK.items())
    return "".join(blocks).encode()


def _add(lines: Mapping[str, list[str]], health: Health) -> None:
    station = f'station="{_escaped(health.station)}"'

    def sample(name: str, value: float, labels: str = "") -> None:
        lines[name].append(f"{name}{{{station}{labels}}} {value}\n")

    def serving(name: str, state: ServiceState, labels: str) -> None:
        sample(f"{name}_{_SERVING[name]}", int(state is ServiceState.UP), labels)
        if state is ServiceState.UNKNOWN:
            sample(f"{name}_unknown", 1, f'{labels},reason="{"not-told" if health.reachable else "not-read"}"')

    if health.reason != NOT_LOOKED_AT:
        sample("minka_station_reachable", int(health.reachable))
        sample("minka_station_seen_timestamp_seconds", health.at.timestamp())
    if health.read is not None:
        sample("minka_station_read_timestamp_seconds", health.read.timestamp())
        sample("minka_station_drift_nodes", health.drift)
    for cell, state in health.cells.items():
        serving("minka_cell", state, f',cell="{_escaped(cell)}"')
    for name, labels in _not_serving(health):
        sample(name, 1, labels)
    for link in health.links:
        labels = f',tenant="{_escaped(link.tenant)}",kind="{link.kind}",object="{_escaped(link.path)}"'
        serving("minka_core_link", link.state, labels)
        if link.locked:
            sample("minka_core_link_locked", 1, labels)


def _not_serving(health: Health) -> Iterator[tuple[str, str]]:
    """Cells that are listed since somebody locked them, or since they are off air and nobody did."""
    for cell in health.locked:
        yield "minka_cell_locked", f',cell="{_escaped(cell)}"'
    for path in health.off_air:
        yield "minka_cell_off_air", f',cell="{_escaped(cell_of(path))}",object="{_escaped(path)}"'


def _escaped(value: str) -> str:
    """A label value as the text format has it."""
    if "\\" in value or '"' in value or "\n" in value:
        return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
    return value


def _standing_health(store: Store) -> list[Health]:
    """Latest health of every adopted station, by id.

    Of one that was not looked at yet, its cells and core links on the ledger are known, and nothing of their state.

    Raises:
        StoreError: The database is away.
    """
    adopted = {name: record.adopted for name, record in store.devices.find().items() if record.adopted is not None}
    healths = store.healths.find()
    ledger = store.ledger.find(adopted.keys() - healths.keys())
    return [
        healths.get(name) or unread(name, ledger.get(name, {}), None, adopted[name], NOT_LOOKED_AT)
        for name in sorted(adopted)
    ]
