"""The text that Prometheus scrapes.

All figures come from the database, so they are the same from every process and survive restarts. This includes what
processes measure of their own work: their heartbeats put it on record. States of the process that serves the page come
from its memory, since a database that takes no writes takes no heartbeats either.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import lru_cache
from itertools import accumulate
from math import isfinite
from types import MappingProxyType

import structlog
from prometheus_client import CollectorRegistry
from prometheus_client import Metric as Family
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, InfoMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from controller import __version__
from controller.access.disclosure import tenant_kpis, visible_health
from controller.access.tenant_scope import live_scope, tenant_scope
from controller.assurance.health import NOT_CHECKED, unread
from controller.intent.placement import Closures, Placement, PoolUse, place
from controller.models.alarm import FUNCTION_DOWN
from controller.models.errors import NotFoundError
from controller.models.health import Health, ServiceState
from controller.models.measurement import QUARTER, Measured, Subject
from controller.models.metrics import METRIC, METRICS, Figures, Metric, MetricKind, Part, Spreads
from controller.models.network import Network
from controller.models.rule import EVERYWHERE, RuleGrant, RuleMode
from controller.models.settings import Settings
from controller.nrm.profiles import cell_of
from controller.performance.kpi_evaluation import FRESH, IndicatorValues, KpiEvaluation
from controller.performance.kpis import EVERYBODY, Kpi, Level, Subscribers, amount, subscribers_of
from controller.ports.clock import Clock
from controller.store import Store
from controller.store.placements import closures_now, replicas_of, running_on

log = structlog.get_logger()

#: Media types: Prometheus' own text format, and OpenMetrics.
TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
#: The last line of a page in OpenMetrics.
_END = b"# EOF\n"

#: Prefix of the metrics of a serving object, and the suffix of the one that says whether it serves.
_SERVING = {"minka_cell": "on_air", "minka_core_link": "up"}
#: In place of a line whose sample was left out.
_LEFT_OUT = ""
#: Lines by metric, for the metrics with a series per station, cell or link. These lines are formatted here, since there
#: are hundreds of thousands: prometheus-client, which formats all others, takes many times as long
#: (tests/benchmarks/bench_exposition.py).
_Lines = Mapping[str, list[str]]
#: How many of the last quarters of an hour are searched for the newest period, and the counters that are read of it:
#: PRB use in percent and volume in Mbit, by direction.
_QUARTERS = 3
_PRB = {"down": "RRU.PrbTotDl", "up": "RRU.PrbTotUl"}
_VOLUME = {"down": "DRB.PdcpSduVolumeDL", "up": "DRB.PdcpSduVolumeUL"}
_USERS = "RRC.ConnMean"
_COUNTERS = (*_PRB.values(), *_VOLUME.values(), _USERS)
_BYTES = 1e6 / 8


@dataclass(frozen=True, slots=True)
class ScrapeScope:
    """The part of the network and the metrics that a scrape asks for.

    Attributes:
        parts: Parts of the page; all if empty; with a region only the network's part.
        region: Only this region's stations, with their cells and links; all if empty.
        tenant: Only what this tenant sees: its own objects, and the listed facts of the cells shared with it.
        openmetrics: Whether the format is OpenMetrics 1.0 instead of Prometheus' text format.
    """

    parts: frozenset[Part] = frozenset()
    region: str = ""
    tenant: str = ""
    openmetrics: bool = False

    def serves(self, metric: Metric) -> bool:
        """Whether a metric is on the page."""
        if self.tenant and not metric.for_tenants:
            return False
        return metric.part in (self.parts or ({Part.NETWORK} if self.region else frozenset(Part)))


EVERYTHING = ScrapeScope()


def exposition(
    store: Store,
    clock: Clock,
    asked: ScrapeScope = EVERYTHING,
    *,
    health_interval: float = Settings.model_fields["health_interval"].default,
    kpis: Sequence[Kpi] = (),
    rules: Mapping[str, tuple[RuleMode, str]] = MappingProxyType({}),
    own: Callable[[], Mapping[str, Figures]] = dict,
) -> bytes:
    """The page of metrics, without the samples whose value is no finite number: these are logged by metric.

    Args:
        store: The record.
        clock: Says which agreements are in force.
        asked: The part of the network and the metrics that the page shows.
        health_interval: Configured seconds between two checks of a station.
        kpis: Definitions of indicators.
        rules: For each rule, by name, the mode in which it begins and its digest.
        own: States of the process that serves the page, by metric; they go before those on record.

    Raises:
        NotFoundError: There is no such tenant or region.
        StoreError: The database is away.
    """
    wanted = [metric for metric in METRICS if asked.serves(metric)]
    lines: dict[str, list[str]] = {metric.name: [] for metric in wanted}
    seen = _seen(store, clock, asked)
    if seen is not None:
        for name, text in _inventory(seen).items():
            lines.get(name, []).append(text)
    figures = _figures(store, health_interval, asked)
    for metric, states in own().items():
        figures[metric] = figures.get(metric, {}) | states
    if "minka_rule_mode" in lines:
        figures["minka_rule_mode"] = _rule_modes(rules, store.rules.grants())
    spreads = store.status.spreads() if Part.CONTROLLER in {metric.part for metric in wanted} else {}
    if Part.NETWORK in {metric.part for metric in wanted}:
        healths = _standing_health(store, None if seen is None else seen.watched)
        now = clock.now()
        add_network(lines, healths if seen is None else seen.healths(healths, now))
        if seen is not None:
            if "minka_functions" in lines:
                _add_samples(lines, _functions(store, clock, seen))
                _add_samples(lines, _nodes(store, seen))
            _add_measured(lines, store, clock, seen)
            _add_judged_stations(lines, store, clock, seen)
    if seen is not None:
        _add_judged_places(lines, store, clock, seen)
    if "minka_kpi_info" in lines:
        info = [("minka_kpi_info", 1.0, (kpi.name, kpi.title, kpi.unit, kpi.better)) for kpi in kpis]
        shown = {kpi.name for kpi in tenant_kpis(kpis)}
        _add_samples(lines, (one for one in info if not asked.tenant or one[2][0] in shown))
    families = {
        metric.name: _family(metric, figures.get(metric.name, {}), spreads.get(metric.name, {}))
        for metric in wanted
        if not lines[metric.name]
    }
    _tell_left_out({name: found.count(_LEFT_OUT) for name, found in lines.items()})
    return text_of(wanted, lines, families, openmetrics=asked.openmetrics)


def text_of(
    metrics: Iterable[Metric], lines: _Lines, families: Mapping[str, Family], *, openmetrics: bool = False
) -> bytes:
    """The page: metrics in their order, each under its head, from its lines or by prometheus-client."""
    encode, _ = choose_encoder(OPENMETRICS if openmetrics else TEXT)
    pieces = []
    for metric in metrics:
        if metric.name in families:
            registry = CollectorRegistry(auto_describe=False)
            registry.register(_Alone(families[metric.name]))
            pieces.append(encode(registry).removesuffix(_END))
            continue
        name, kind = metric.name, metric.kind.value
        if openmetrics:
            name = metric.family
        elif metric.kind is MetricKind.INFO:  # the older format has no such type
            kind = MetricKind.GAUGE.value
        pieces.append(f"# HELP {name} {metric.text}\n# TYPE {name} {kind}\n".encode())
        pieces.append("".join(lines[metric.name]).encode())
    if openmetrics:
        pieces.append(_END)
    return b"".join(pieces)


# ---------------------------------------------------------------------- what is seen


@dataclass(frozen=True, slots=True)
class NetworkPart:
    """The part of a network that a scrape is about.

    Attributes:
        digest: Digest of the network that the host or tenant sees.
        tenant: Empty for the host.
        tenants: Tenants whose counts are shown separately.
        cells: Ids of the tenant's cells by agreements in force, by station; None for the host, who sees all.
        stations: Ids of the stations; None for all.
    """

    digest: str
    day: date
    region: str
    tenant: str
    network: Network = field(compare=False)
    tenants: Mapping[str, Subscribers] = field(compare=False)
    cells: Mapping[str, frozenset[str]] | None = field(compare=False, default=None)
    stations: frozenset[str] | None = field(compare=False, default=None)

    @property
    def regions(self) -> Collection[str]:
        """Ids of the regions that the page covers."""
        return [self.region] if self.region else self.network.region_by_id.keys()

    def at(self, station: str) -> bool:
        """Whether the page covers a station."""
        return self.stations is None or station in self.stations

    @property
    def watched(self) -> frozenset[str] | None:
        """Ids of the stations whose state and counts the page shows; None for all."""
        return self.stations if self.stations is None or self.cells is None else self.stations & self.cells.keys()

    def healths(self, healths: Iterable[Health], now: datetime) -> Iterator[Health]:
        """The health of stations, as far as it is disclosed."""
        for health in healths:
            yield health if self.cells is None else visible_health(self.tenant, self.cells[health.station], health, now)


def _seen(store: Store, clock: Clock, asked: ScrapeScope) -> NetworkPart | None:
    """The part that the scrape covers; None for the host before a network is loaded."""
    try:
        digest, network = store.networks.get()
    except NotFoundError:
        if asked.tenant or asked.region:
            raise
        return None
    day = network.day(clock.now())
    cells: Mapping[str, frozenset[str]] | None = None
    stations: frozenset[str] | None = None
    tenants = {name: subscribers_of(network, name) for name in network.tenant_by_id if asked.tenant in ("", name)}
    if asked.tenant:
        if asked.tenant not in network.tenant_by_id:
            raise NotFoundError(f"there is no tenant {asked.tenant!r}")
        seen, live = tenant_scope(digest, network, asked.tenant), live_scope(digest, network, asked.tenant, day)
        digest, network, cells, stations = seen.digest, seen.network, live.cells, frozenset(seen.cells)
    if asked.region:
        if asked.region not in network.region_by_id:
            raise NotFoundError(f"there is no region {asked.region!r}")
        of_region = frozenset(one for one in network.device_kinds if network.region_of(one) == asked.region)
        stations = of_region if stations is None else of_region & stations
    return NetworkPart(digest, day, asked.region, asked.tenant, network, tenants, cells, stations)


@lru_cache(maxsize=8)
def _inventory(seen: NetworkPart) -> dict[str, str]:
    """Lines that follow from the network files and the day, so that they can be cached."""
    lines: dict[str, list[str]] = {}
    for name, value, labels in (*_places(seen), *_agreements(seen)):
        lines.setdefault(name, []).append(_sample(METRIC[name], labels, value))
    return {name: "".join(found) for name, found in lines.items()}


_Samples = Iterator[tuple[str, float, tuple[str, ...]]]


def _places(seen: NetworkPart) -> _Samples:
    net = seen.network
    for station in filter(lambda one: seen.at(one.id), net.stations):
        site = net.site_by_id[station.site]
        where = site.id, site.region, f"{site.latitude}", f"{site.longitude}"
        yield "minka_station_info", 1, (station.id, *where, ",".join(station.profiles))
    for cell in filter(lambda one: seen.at(one.station), net.cells):
        yield "minka_cell_info", 1, (cell.station, cell.id, cell.rat, cell.band)
    for tenant in net.tenants:
        yield "minka_tenant_info", 1, (tenant.id, tenant.name)


def _functions(store: Store, clock: Clock, seen: NetworkPart) -> _Samples:
    """Functions by state, since when each runs where it runs, and the pool resources that they take."""
    net = seen.network
    if not net.functions:
        return
    running = running_on(store, net.function_by_id)
    healths = store.healths.find(net.function_by_id)
    applied = replicas_of(store, running)
    closures = closures_now(store, net, clock.now())
    placed = _placed(seen, tuple(sorted(running.items())), tuple(sorted(applied.items())), closures)
    states: Counter[tuple[str, str]] = Counter()
    for name, choice in placed.choices.items():
        if not seen.region or net.region_of(name) == seen.region:
            health = healths.get(name)
            state = _running_state(health) if name in running else ("planned" if choice.pool else "unplaced")
            states[net.package_by_id[net.function_by_id[name].package].kind, state] += 1
            for pool, at in sorted(health.placed.items()) if health else ():
                yield "minka_function_placed_timestamp_seconds", at.timestamp(), (name, pool)
    yield from (("minka_functions", number, labels) for labels, number in sorted(states.items()))
    for one in net.pools:
        if seen.region in ("", one.region):
            yield from _room(net, one.id, placed.pools[one.id])


def _running_state(health: Health | None) -> str:
    if health is None:
        return "up"
    if not health.reachable or FUNCTION_DOWN in health.unknown:
        return "unknown"
    if not health.function:
        return "up"
    return "down" if FUNCTION_DOWN in health.function else "degraded"


def _room(net: Network, pool: str, use: PoolUse) -> _Samples:
    """Resources of a pool, and who uses how much of them."""
    whole = sum(node.cpus for node in net.nodes_of[pool])
    parts = {"all": whole, "usable": use.capacity.cpus, "used": use.used.cpus, "committed": use.committed_cores}
    yield from (("minka_pool_cores", cores, (pool, part)) for part, cores in parts.items())
    for side, has in use.sides.items():
        for part in ("bought", "kept", "used"):
            yield "minka_pool_side_cores", getattr(has, f"{part}_cores"), (pool, side, part)
            yield "minka_pool_side_bits_per_second", getattr(has, f"{part}_gbps") * 1e9, (pool, side, part)


def _nodes(store: Store, seen: NetworkPart) -> _Samples:
    """Nodes of pools by state, and how often functions restarted on them."""
    pools = [pool.id for pool in seen.network.pools if seen.region in ("", pool.region)]
    healths = store.healths.find(pools)
    for pool in pools:
        health = healths.get(pool)
        if health is None or not health.reachable or health.cluster is None:
            yield "minka_pool_nodes", len(seen.network.nodes_of[pool]), (pool, "unknown")
        else:
            states = Counter(node.state for node in health.cluster.nodes)
            yield from (("minka_pool_nodes", number, (pool, state)) for state, number in sorted(states.items()))
        for name, count in sorted(health.cluster.restarts.items()) if health and health.cluster else ():
            yield "minka_function_restarts_total", count, (name, pool)


@lru_cache(maxsize=2)
def _placed(
    seen: NetworkPart,
    running: tuple[tuple[str, tuple[str, ...]], ...],
    applied: tuple[tuple[str, int], ...],
    closures: Closures,
) -> Placement:
    """Where functions run and would go, by network files, day, running functions, their replicas, and closed pools."""
    return place(seen.network, seen.day, dict(running), closures, applied=dict(applied))


def _agreements(seen: NetworkPart) -> _Samples:
    net = seen.network
    for agreement in net.agreements:
        if agreement.tenant not in net.tenant_by_id or not agreement.validity.holds_on(seen.day):
            continue
        labels = agreement.tenant, agreement.id
        cells = list(net.cells_of(agreement))
        yield "minka_agreement_cells", len(cells), labels
        for share in agreement.shares:
            for limit, percent in (("dedicated", share.dedicated), ("min", share.min), ("max", share.max)):
                yield "minka_agreement_share_ratio", percent / 100, (*labels, share.resource, limit)
        for cell in filter(lambda one: seen.at(one.station), cells):
            yield "minka_cell_shared", 1, (cell.station, cell.id, *labels)


# -------------------------------------------------------------------------- figures


def _figures(store: Store, health_interval: float, asked: ScrapeScope) -> dict[str, Figures]:
    """Figures over the record; for a tenant those that carry its name."""
    found: dict[str, Figures] = {}
    for one in store.incidents.agreements(asked.tenant or None):
        labels = one.tenant, one.agreement
        for name, value in (
            ("minka_agreement_availability_target_ratio", one.availability_percent / 100),
            ("minka_agreement_restore_target_seconds", one.restore_hours * 3600),
            ("minka_agreement_outage_seconds", one.used * 60),
            ("minka_agreement_outage_allowed_seconds", one.allowed * 60),
            ("minka_agreement_unseen_seconds", one.unseen * 60),
            ("minka_agreement_not_applied_seconds", one.not_applied * 60),
            ("minka_agreement_unproved_allowed_seconds", one.unproved_allowed * 60),
        ):
            found.setdefault(name, {})[labels] = value
        for reason, minutes in one.reasons.items():
            found.setdefault("minka_agreement_unobserved_seconds", {})[*labels, reason] = minutes * 60
    record = store.status.figures()
    if asked.tenant:
        own = record["minka_tenant_incidents"].items()
        return found | {"minka_tenant_incidents": {key: value for key, value in own if key[0] == asked.tenant}}
    alone: dict[str, Figures] = {
        "minka_build_info": {(__version__,): 1},
        "minka_health_interval_seconds": {(): health_interval},
    }
    return found | record | alone


def _rule_modes(rules: Mapping[str, tuple[RuleMode, str]], grants: Iterable[RuleGrant]) -> Figures:
    """The mode of each rule, and the scopes in which it has another mode."""
    modes = {(name, EVERYWHERE): mode for name, (mode, _) in rules.items()}
    modes |= {(one.rule, one.scope): one.mode_of(rules[one.rule][1]) for one in grants if one.rule in rules}
    return {(*key, mode.value): 1.0 for key, mode in modes.items()}


class _Alone(Collector):
    """One metric."""

    def __init__(self, family: Family) -> None:
        self._family = family

    def collect(self) -> Iterator[Family]:
        yield self._family


def _family(metric: Metric, figures: Figures, spreads: Spreads) -> Family:
    """A metric with its series; for a counter that processes keep, the spread holds its only figure."""
    if metric.kind is MetricKind.HISTOGRAM:
        histogram = HistogramMetricFamily(metric.family, metric.text, labels=metric.labels)
        for labels, (*numbers, total) in sorted(spreads.items()):
            bounds = (*map(str, metric.bounds), "+Inf")
            histogram.add_metric(labels, list(zip(bounds, accumulate(numbers), strict=True)), total)
        return histogram
    if metric.kind is MetricKind.INFO:
        info = InfoMetricFamily(metric.family, metric.text)
        for labels in sorted(figures):
            info.add_metric((), dict(zip(metric.labels, labels, strict=True)))
        return info
    kind = CounterMetricFamily if metric.kind is MetricKind.COUNTER else GaugeMetricFamily
    family = kind(metric.family, metric.text, labels=metric.labels)
    told = figures | {key: numbers[0] for key, numbers in spreads.items()}
    fit = {labels: number for labels, value in told.items() if (number := _number(value)) is not None}
    for labels, value in sorted(fit.items()):
        family.add_metric(labels, value)
    _tell_left_out({metric.name: len(told) - len(fit)})
    return family


def _tell_left_out(counts: Mapping[str, int]) -> None:
    """Log how many samples of each metric were left out."""
    if odd := {name: count for name, count in counts.items() if count}:
        log.warning("metrics.left-out", samples=odd)


def _line(name: str, labels: str, value: float) -> str:
    """The line of a sample, or the mark of one that was left out: an odd value of one device costs no other sample."""
    number = _number(value)
    if number is None:
        return _LEFT_OUT
    return f"{name}{{{labels}}} {number}\n" if labels else f"{name} {number}\n"


def _number(value: float) -> float | None:
    """The value of a sample; None if it is no finite number, or larger than a float can be."""
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if isfinite(number) else None


def _sample(metric: Metric, labels: Iterable[str], value: float) -> str:
    return _line(metric.name, _named(metric, labels), value)


def _named(metric: Metric, labels: Iterable[str]) -> str:
    return ",".join(f'{name}="{_escaped(value)}"' for name, value in zip(metric.labels, labels, strict=True))


def _escaped(value: str) -> str:
    """A label value as the text formats have it."""
    if "\\" in value or '"' in value or "\n" in value:
        return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
    return value


# --------------------------------------------------------------------------- health


def add_network(lines: _Lines, healths: Iterable[Health]) -> None:
    """Add the health of the network. Series of an unreadable station stay: an unknown state counts as down."""
    every = {name: lines.get(name, []) for name in METRIC}
    for health in healths:
        _add(every, health)


def _add(lines: _Lines, health: Health) -> None:
    station = f'station="{_escaped(health.station)}"'

    def sample(name: str, value: float, labels: str = "") -> None:
        lines[name].append(_line(name, f"{station}{labels}", value))

    def serving(name: str, state: ServiceState, labels: str) -> None:
        sample(f"{name}_{_SERVING[name]}", int(state is ServiceState.UP), labels)
        if state is ServiceState.UNKNOWN:
            sample(f"{name}_unknown", 1, f'{labels},reason="{"not-reported" if health.was_read else "not-read"}"')

    if health.reason != NOT_CHECKED:
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
    """Cells that don't serve: locked by a person, or off air without a lock."""
    for cell in health.locked:
        yield "minka_cell_locked", f',cell="{_escaped(cell)}"'
    for path in health.off_air:
        yield "minka_cell_off_air", f',cell="{_escaped(cell_of(path))}",object="{_escaped(path)}"'


def _add_measured(lines: _Lines, store: Store, clock: Clock, seen: NetworkPart) -> None:
    """Add what stations counted in their newest whole period."""
    every = {name: lines.get(name, []) for name in METRIC}
    for period in _newest(store, clock, seen):
        ended = period.begin + timedelta(seconds=period.seconds)
        station = f'station="{_escaped(period.station)}"'
        end = "minka_measured_end_timestamp_seconds"
        every[end].append(_line(end, station, ended.timestamp()))
        for cell, counted in period.cells.items():
            if cell and (seen.cells is None or cell in seen.cells[period.station]):
                where = f'{station},cell="{_escaped(cell)}"'
                for name, value, labels in _measured(counted, seen.tenants):
                    every[name].append(_line(name, f"{where}{_behind_cell(name, labels)}", value))


def _newest(store: Store, clock: Clock, seen: NetworkPart) -> Iterator[Measured]:
    """The newest whole period of each station. Most stations have the latest quarter, so that one is read first."""
    missing = set(seen.network.station_by_id if seen.watched is None else seen.watched)
    now = clock.now()
    begin = now.replace(minute=now.minute // 15 * 15, second=0, microsecond=0)
    for _ in range(_QUARTERS):
        until, begin = begin, begin - timedelta(seconds=QUARTER)
        found = store.measurements.read(begin, until, QUARTER, frozenset(missing), _COUNTERS) if missing else ()
        for period in found:
            if not period.suspect:
                missing.discard(period.station)
                yield period


def _measured(counted: Mapping[str, Mapping[Subject, float]], tenants: Mapping[str, Subscribers]) -> _Samples:
    """Figures of a cell for all its users, and for each tenant where the station tells tenants apart."""
    if (users := _sum(counted.get(_USERS, {}), EVERYBODY)) is not None:
        yield "minka_cell_users", users, ()
    for direction, counter in _PRB.items():
        values = counted.get(counter, {})
        if (used := _sum(values, EVERYBODY)) is not None:
            yield "minka_cell_prb_used_ratio", used / 100, (direction,)
        for tenant, who in tenants.items():
            if (used := _sum(values, who)) is not None:
                yield "minka_cell_tenant_prb_used_ratio", used / 100, (tenant, direction)
    for direction, counter in _VOLUME.items():
        values = counted.get(counter, {})
        for tenant, who in tenants.items():
            if (carried := _sum(values, who)) is not None:
                yield "minka_cell_tenant_volume_bytes", carried * _BYTES, (tenant, direction)


def _sum(values: Mapping[Subject, float], who: Subscribers) -> float | None:
    """A cell's count for a subject; None where the cell does not count it."""
    found = amount(values, who, 0)
    return None if found is None else sum(found)


@lru_cache(maxsize=1 << 12)
def _behind_cell(name: str, labels: tuple[str, ...]) -> str:
    """Labels of a cell's metric behind station and cell."""
    named = zip(METRIC[name].labels[2:], labels, strict=True)
    return "".join(f',{label}="{_escaped(value)}"' for label, value in named)


# ----------------------------------------------------------------------- indicators


def _add_judged_stations(lines: _Lines, store: Store, clock: Clock, seen: NetworkPart) -> None:
    """Add the indicators of stations and their cells."""
    every = {name: lines.get(name, []) for name in METRIC}
    for one in store.kpi_evaluations.stations(seen.watched, clock.now() - FRESH):
        if not seen.network.has_cells(one.of):
            continue
        station = f'station="{_escaped(one.of)}"'
        end = "minka_station_kpi_end_timestamp_seconds"
        every[end].append(_line(end, station, one.end.timestamp()))
        parts = [
            ("minka_station_kpi", station, one.whole),
            *(("minka_cell_kpi", f'{station},cell="{_escaped(cell)}"', said) for cell, said in one.cells.items()),
            *(
                ("minka_station_tenant_kpi", f'{station},tenant="{_escaped(tenant)}"', said)
                for tenant, said in one.tenants.items()
                if tenant in seen.tenants
            ),
        ]
        for name, labels, said in parts:
            every[name] += [_line(name, f'{labels},kpi="{kpi}"', value) for kpi, value in said.values.items()]
            if (degradation := f"{name}_degradation_ratio") in every:
                every[degradation] += [
                    _line(degradation, f'{labels},kpi="{kpi}"', value) for kpi, value in said.degradations.items()
                ]


def _add_judged_places(lines: _Lines, store: Store, clock: Clock, seen: NetworkPart) -> None:
    """Add the indicators of regions and the network; for the network with their time, however old they are."""
    since = clock.now() - FRESH
    for one in store.kpi_evaluations.places():
        if one.level is Level.NETWORK and not seen.region:
            _add_samples(lines, [("minka_kpi_end_timestamp_seconds", one.end.timestamp(), ())])
        if one.end <= since or (one.level is Level.REGION and one.of not in seen.regions):
            continue
        _add_samples(lines, _of_place(one, seen.tenants))


def _of_place(one: KpiEvaluation, tenants: Iterable[str]) -> _Samples:
    """Series of a region, or of the whole network, which also has those of its tenants."""
    region = (one.of,) if one.level is Level.REGION else ()
    place, part = ("region", "region_tenant") if region else ("network", "tenant")
    yield from _said(place, region, one.whole)
    for tenant in sorted(tenants):
        yield from _said(part, (*region, tenant), one.tenants.get(tenant, IndicatorValues()))
    for kpi, verdicts in one.verdicts.items():
        yield from (("minka_kpi_stations", number, (kpi, verdict)) for verdict, number in verdicts.items())


def _said(of: str, labels: tuple[str, ...], said: IndicatorValues) -> _Samples:
    yield from ((f"minka_{of}_kpi", value, (*labels, kpi)) for kpi, value in said.values.items())
    yield from (
        (f"minka_{of}_kpi_degradation_ratio", value, (*labels, kpi)) for kpi, value in said.degradations.items()
    )


def _add_samples(lines: _Lines, samples: Iterable[tuple[str, float, tuple[str, ...]]]) -> None:
    """Add the samples whose metrics are on the page."""
    for name, value, labels in samples:
        if name in lines:
            lines[name].append(_sample(METRIC[name], labels, value))


def _standing_health(store: Store, stations: frozenset[str] | None) -> list[Health]:
    """Latest health of every adopted station, or of the adopted ones among ``stations``, by id.

    A station that was not checked yet has the cells and core links of the ledger, in an unknown state.

    Raises:
        StoreError: The database is away.
    """
    records = store.devices.find(stations)
    adopted = {name: record.adopted for name, record in records.items() if record.adopted is not None}
    healths = store.healths.find(stations)
    ledger = store.ledger.find(adopted.keys() - healths.keys())
    return [
        healths.get(name) or unread(name, ledger.get(name, {}), None, adopted[name], NOT_CHECKED)
        for name in sorted(adopted)
    ]
