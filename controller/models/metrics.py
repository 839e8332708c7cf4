"""Metrics: names, meanings, maximum numbers of series, and what processes measure of their own work.

Names follow the conventions of Prometheus: base units, ``_total`` for counters, ``_info`` for series that only carry
labels. ``docs/reference/metrics.md`` is generated from this table.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from threading import Lock
from typing import Any

import orjson

#: Figure by label values; of a histogram: the number in each bucket and above the last, then the sum.
Figures = dict[tuple[str, ...], float]
Spreads = dict[tuple[str, ...], list[float]]


class MetricKind(StrEnum):
    """Types of OpenMetrics 1.0 that are used here."""

    GAUGE = "gauge"
    COUNTER = "counter"
    HISTOGRAM = "histogram"
    INFO = "info"


class Part(StrEnum):
    """Subject of a metric."""

    CONTROLLER = "controller"
    NETWORK = "network"
    TENANT = "tenant"


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric.

    Attributes:
        text: HELP text, for people of a NOC.
        most: Maximum number of series, in words; of a histogram without its buckets.
        bounds: Upper bounds of the buckets of a histogram, in order.
        for_tenants: Whether a tenant's page shows it: its own data, or a listed fact of a shared cell.
    """

    name: str
    kind: MetricKind
    part: Part
    text: str
    most: str
    labels: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()
    for_tenants: bool = False

    @property
    def family(self) -> str:
        """Its name in OpenMetrics, where suffixes of counters and info belong to their samples."""
        suffix = {MetricKind.COUNTER: "_total", MetricKind.INFO: "_info"}.get(self.kind, "")
        return self.name.removesuffix(suffix)


#: Buckets in seconds: of requests to devices and rounds, and of work on devices.
_SHORT = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_LONG = (1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0, 14400.0, 86400.0)
_SIZES = (1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 2500.0, 5000.0)

_G, _C, _H, _I = MetricKind.GAUGE, MetricKind.COUNTER, MetricKind.HISTOGRAM, MetricKind.INFO
_OURS, _NET, _OF_TENANT = Part.CONTROLLER, Part.NETWORK, Part.TENANT
#: Name of the counter of measurements that can't be read.
DAMAGED_ROWS = "minka_measurement_rows_damaged_total"
#: Name of the state of the database that processes find by trying.
RECORD_WRITABLE = "minka_record_writable"
_PROCESS = ("role", "instance")
_PER_PROCESS, _ONE = "one per process", "1"
_PER_STATION, _PER_CELL = "one per station", "one per cell"
_PER_LINK = "one per core link"
_PER_AGREEMENT = "one per agreement in force"
_OF_SIDE = ("pool", "side", "part")
#: Parts of HELP texts: of KPI values in their own units, and of how much worse than usual they are.
_JUDGED = "Where it could not be judged there is no series."
_POOLED = f"Of the last hour, or of 2 or 4 where the sample is small. {_JUDGED}"
_DEGRADATION = (
    " By how many times its tolerance the indicator is worse than in the same hour of the 7 days before, at the lower"
    " end of the 95 % interval: 0 where that may be chance, above 1 it is degraded."
)
_WATCHED = "watched indicator"

METRICS: tuple[Metric, ...] = (
    Metric("minka_build_info", _I, _OURS, "Version of Minka.", _ONE, ("version",)),
    Metric("minka_database_up", _G, _OURS,
        "1: this page was read from the database. While that is away there is no page (503), so watch up too.",
        _ONE, ("kind",)),
    Metric(RECORD_WRITABLE, _G, _OURS,
        "1 for the state in which a process last found the database, which it tries each 10 s: yes (it takes writes and"
        " has room for more), no (it refuses them), unknown (no try came to its end for 40 s). Of a process without"
        " heartbeats there is no series.",
        "three per API process and scheduler", (*_PROCESS, "state")),
    Metric("minka_broker_up", _G, _OURS,
        "1 if the broker of the queue takes what the scheduler writes. At 0 work still proceeds, up to some seconds"
        " later.",
        "one per scheduler", _PROCESS),
    Metric("minka_runs", _G, _OURS, "Runs on record, by state.", "one per state", ("state",)),
    Metric("minka_runs_ended_total", _C, _OURS,
        "Runs that ended, by the state they ended in.", "one per state", ("state",)),
    Metric("minka_run_duration_seconds", _H, _OURS,
        "How long runs took that ended, from their beginning to their end, waits for people included.",
        "50 procedures (later ones are 'other') times 6 states", ("procedure", "state"), _LONG),
    Metric("minka_wave_duration_seconds", _H, _OURS,
        "How long waves took: from the beginning of their first job to the end of their last one.",
        "50 procedures (later ones are 'other')", ("procedure",), _LONG),
    Metric("minka_runs_waiting", _G, _OURS,
        "Runs under way that wait, as a whole or in part, by what for: approval, window, freeze, hold, question,"
        " pause, shelving, announced work, stop of automatic repair, worker (none lives), or other. What waits for"
        " two things counts twice.", "11", ("for",)),
    Metric("minka_oldest_waiting_run_age_seconds", _G, _OURS,
        "For how long the run under way that waits longest has been kept from going on, as a whole or in part, by what"
        " for; 0 if none waits for that.", "11", ("for",)),
    Metric("minka_jobs", _G, _OURS,
        "Jobs on record by state: waiting, ready (a worker may take it), claimed, done.", "one per state", ("state",)),
    Metric("minka_jobs_ended_total", _C, _OURS, "Jobs that ended, by outcome.", "one per outcome", ("outcome",)),
    Metric("minka_job_duration_seconds", _H, _OURS,
        "How long the work on one device took, from the first claim of its job to its end.",
        "one per outcome", ("outcome",), _LONG),
    Metric("minka_jobs_away", _G, _OURS,
        "Jobs whose station could not be reached or was busy, and is tried again.", _ONE),
    Metric("minka_oldest_claimable_job_age_seconds", _G, _OURS,
        "How long the oldest job that a worker may take has waited for one; 0 if there is none. Scale workers by it.",
        _ONE),
    Metric("minka_oldest_unjudged_run_age_seconds", _G, _OURS,
        "For how long the oldest run under way waits until it is known what of its plan still holds, since network"
        " files or agreements changed; 0 if none does. A scheduler judges it within a minute.", _ONE),
    Metric("minka_plan_devices", _H, _OURS, "How many devices plans change.", _ONE, (), _SIZES),
    Metric("minka_leases", _G, _OURS,
        "Devices by who may change them: held (a worker has the lease), to-recover (a transaction waits for a worker"
        " that takes it over from a dead one).", "2", ("state",)),
    Metric("minka_sessions", _G, _OURS,
        "Open sessions to devices, warm ones and subscriptions included.", _PER_PROCESS, _PROCESS),
    Metric("minka_health_checks_failed_total", _C, _OURS,
        "Health checks that failed by an error in Minka itself; the alarm check-failed names their devices, the log"
        " says why.", _ONE),
    Metric("minka_session_openings_total", _C, _OURS,
        "Sessions to stations and routers that were opened, or could not be opened, and why: unreachable,"
        " host-key-changed, authentication-failed and others.", "one per reason, below 10", ("result",)),
    Metric("minka_calls_total", _C, _OURS,
        "Calls of stations that call home, by what became of them: accepted, refused, silent: the caller said"
        " nothing, or broke off before, or failed: by an error of ours, which the log has.",
        "2 transports times 4 results", ("transport", "result")),
    Metric("minka_calls_refused_total", _C, _OURS,
        "Calls of stations that were refused, and why: unknown, other-certificate (than the pinned one), other-name,"
        " not-vouched (by the station's authority), credential (of ours, not for that address), unreadable, costly"
        " or broke-off. The log names address, subject, fingerprint and what would be right (device.call_refused).",
        "2 transports times 8 reasons", ("transport", "reason")),
    Metric("minka_rpc_duration_seconds", _H, _OURS,
        "How long stations took to answer a NETCONF request; result is answered, or lost if the session broke.",
        "15 operations times 2 results", ("operation", "result"), _SHORT),
    Metric("minka_command_duration_seconds", _H, _OURS,
        "How long routers took to answer a command, named by its first two words, or a line of configuration; result"
        " is answered, also where it was refused, or lost if the session broke.",
        "15 commands times 2 results", ("command", "result"), _SHORT),
    Metric("minka_kubernetes_request_duration_seconds", _H, _OURS,
        "How long API servers of pools took to answer a request: get, apply, patch, delete, or dry-run of one of"
        " these; result is answered, also where it was refused, or lost where no answer came or one of no use.",
        "5 operations times 2 results", ("operation", "result"), _SHORT),
    Metric("minka_process_up", _G, _OURS, "1 if the process sends heartbeats.", _PER_PROCESS, _PROCESS),
    Metric("minka_process_ready", _G, _OURS,
        "1 if the process sends heartbeats and its rounds succeed.", _PER_PROCESS, _PROCESS),
    Metric("minka_process_starts_total", _C, _OURS,
        "How often a process of this role and name was started.", _PER_PROCESS, _PROCESS),
    Metric("minka_process_instances", _G, _OURS,
        "Processes of this role and name that send heartbeats; two of one name can't be told apart.",
        _PER_PROCESS, _PROCESS),
    Metric("minka_processes_ready", _G, _OURS,
        "Ready processes of each role, 0 included: api, worker, listener, scheduler.", "4", ("role",)),
    Metric("minka_round_duration_seconds", _H, _OURS,
        "How long the rounds of processes took, such as sweep (moves runs on), remediation, notices and health"
        " checks.", "one per round, below 20", ("round",), _SHORT),
    Metric("minka_round_success_timestamp_seconds", _G, _OURS,
        "When a round of the process last came through; time() less this is its lag.",
        "one per process and round, below 20 each", (*_PROCESS, "round")),
    Metric("minka_stations_adopted", _G, _OURS, "Stations that Minka may change.", _ONE),
    Metric("minka_health_age_seconds", _G, _OURS,
        "Time since the last health read of adopted stations, or since adoption where there was none yet, by"
        " quantile.", "3", ("quantile",)),
    Metric("minka_health_interval_seconds", _G, _OURS, "Intended seconds between two health reads of a station.", _ONE),
    Metric("minka_record_in_doubt", _G, _OURS,
        "1 while the database is older than what is known elsewhere; nothing begins until a person decides.", _ONE),
    Metric("minka_reports", _G, _OURS,
        "Reports of alarms that are kept on record, repeated ones included, by their source.", "5", ("source",)),
    Metric("minka_intake_duration_seconds", _H, _OURS,
        "How long alarm sources (Alertmanager, VES) waited until what they sent was on record.", _ONE, (), _SHORT),
    Metric("minka_alerts_refused_total", _C, _OURS,
        "Alerts that became no alarm, by reason: no-station, unknown-station, unknown-tenant, unread-domain,"
        " too-many, truncated, own.", "6", ("reason",)),
    Metric("minka_alarms", _G, _OURS,
        "Alarms on record. The first 100 probable causes have series of their own, all others are 'other'.",
        "101 causes times 5 states times 5 severities", ("state", "severity", "probable_cause")),
    Metric("minka_alarms_escalated_total", _C, _OURS, "Alarms that were escalated to people.", _ONE),
    Metric("minka_calls_unacknowledged", _G, _OURS,
        "Escalations of standing alarms that nobody of the host acknowledged who was called by a schedule: 'calling'"
        " while calls follow, 'used-up' once all of the schedule were called.", "2", ("state",)),
    Metric("minka_deliveries_failing", _G, _OURS,
        "Messages to people that were tried and are not delivered: escalations, calls, and notices to contacts.",
        "3", ("kind",)),
    Metric("minka_incidents", _G, _OURS,
        "Open incidents by their worst severity, and by who knows of them: new, acknowledged or taken.",
        "15", ("severity", "state")),
    Metric("minka_incident_info", _I, _OURS,
        "One for each open incident, the oldest ones.",
        "5,000", ("incident", "station", "probable_cause", "severity", "state")),
    Metric("minka_incident_root", _G, _OURS,
        "1 for each alarm that stands, follows from no other and is not shelved, the oldest ones.",
        "5,000", ("incident", "station", "object", "probable_cause")),
    Metric("minka_incident_symptom", _G, _OURS,
        "1 for each alarm that stands and follows from the root of an incident, the oldest ones.",
        "5,000", ("incident", "station", "object", "probable_cause")),
    Metric("minka_automatic_repair_stopped", _G, _OURS,
        "1 if people stopped automatic repair, or the breaker.", "2", ("by",)),
    Metric("minka_repairs_started_total", _C, _OURS, "Repair runs that rules started.", "one per rule", ("rule",)),
    Metric("minka_rule_mode", _G, _OURS,
        "1 for the mode of each rule: scope is empty for that everywhere, else a region or tenant that has another"
        " one. A rule that was changed since it was promoted observes.",
        "one per rule and scope", ("rule", "scope", "mode")),
    Metric("minka_proposals", _G, _OURS,
        "What rules proposed, by what became of it; asked: a person's answer is waited for.",
        "one per state", ("state",)),
    Metric("minka_collection_stations", _G, _OURS, "Stations whose performance data is collected.", _ONE),
    Metric("minka_collection_age_seconds", _G, _OURS,
        "Time since the end of the newest period on record of stations that are collected, or since the first"
        " collection where there is none, by quantile.", "3", ("quantile",)),
    Metric("minka_collection_missing_periods", _G, _OURS,
        "Periods of the last day that are not on record, of all stations together.", _ONE),
    Metric("minka_collection_periods_total", _C, _OURS,
        "Periods that came in: new; repeated, replaced or conflicting with what was on record; refused; late counts"
        " once more what came a period late or later.", "6", ("outcome",)),
    Metric("minka_collection_files_refused_total", _C, _OURS,
        "Measurement files that were of no use, by reason: malformed, oversized, file-gone, access-denied,"
        " device-refused.", "5", ("reason",)),
    Metric(DAMAGED_ROWS, _C, _OURS,
        "How often a row of measurements could not be read and was left out: its content is damaged. The log names"
        " station, level and time (measurement.damaged).", _ONE),
    Metric("minka_collection_failures_total", _C, _OURS,
        "Collections that did not come to their end, by the code of the error.", "one per code, below 20", ("reason",)),
    Metric("minka_kpi_end_timestamp_seconds", _G, _OURS,
        "End of the last hour in which the indicators (KPIs) of all stations were judged.", _ONE),
    Metric("minka_kpi_stations", _G, _OURS,
        "Stations by what became of the indicator in that hour: judged, too-few (its sample is too small),"
        " unmeasured.", "three per indicator", ("kpi", "verdict")),
    Metric("minka_network_kpi", _G, _OURS,
        f"The indicator in that hour, of the whole network, in its own unit (minka_kpi_info). {_JUDGED}",
        "one per indicator", ("kpi",)),
    Metric("minka_network_kpi_degradation_ratio", _G, _OURS,
        f"Of the whole network.{_DEGRADATION}", f"one per {_WATCHED}", ("kpi",)),
    # ------------------------------------------------------------------ the network
    Metric("minka_station_info", _I, _NET,
        "One for each station of the network files: where it stands (degrees, WGS 84) and its profiles.",
        _PER_STATION, ("station", "site", "region", "latitude", "longitude", "profiles"), for_tenants=True),
    Metric("minka_cell_info", _I, _NET,
        "One for each cell of the network files.", _PER_CELL, ("station", "cell", "rat", "band"), for_tenants=True),
    Metric("minka_station_reachable", _G, _NET,
        "1 if the station could be read at the last try.", _PER_STATION, ("station",), for_tenants=True),
    Metric("minka_station_seen_timestamp_seconds", _G, _NET,
        "When the last read of the station was tried; to a tenant, the last regular one.",
        _PER_STATION, ("station",), for_tenants=True),
    Metric("minka_station_read_timestamp_seconds", _G, _NET,
        "When the last read of the station succeeded.", _PER_STATION, ("station",)),
    Metric("minka_station_drift_nodes", _G, _NET,
        "Managed nodes of the station that differ from what was applied.", _PER_STATION, ("station",)),
    Metric("minka_cell_on_air", _G, _NET,
        "1 if the cell is known to be unlocked, enabled and active.", _PER_CELL, ("station", "cell"), for_tenants=True),
    Metric("minka_cell_off_air", _G, _NET,
        "1 for each cell that nobody locked, that has a PLMN to broadcast and that is known to be off air.",
        _PER_CELL, ("station", "cell", "object")),
    Metric("minka_cell_unknown", _G, _NET,
        "1 for each cell whose state is unknown: not-read (no answer), not-reported (not, or in no known word).",
        _PER_CELL, ("station", "cell", "reason"), for_tenants=True),
    Metric("minka_cell_locked", _G, _NET,
        "1 for each cell that somebody locked.", _PER_CELL, ("station", "cell"), for_tenants=True),
    Metric("minka_core_link_up", _G, _NET,
        "1 if the core link is known to work; kind is S1C, S1U, NGC or NGU, object its path in the device tree.",
        _PER_LINK, ("station", "tenant", "kind", "object"), for_tenants=True),
    Metric("minka_core_link_unknown", _G, _NET,
        "1 for each core link whose state is unknown: not-read or not-reported, as for cells.",
        _PER_LINK, ("station", "tenant", "kind", "object", "reason"), for_tenants=True),
    Metric("minka_core_link_locked", _G, _NET,
        "1 for each core link that somebody locked.",
        _PER_LINK, ("station", "tenant", "kind", "object"), for_tenants=True),
    Metric("minka_cell_shared", _G, _NET,
        "1 for each cell that an agreement in force opens to a tenant.",
        "one per cell and tenant", ("station", "cell", "tenant", "agreement"), for_tenants=True),
    Metric("minka_measured_end_timestamp_seconds", _G, _NET,
        "End of the newest whole period of the station, if one of the last three is on record. The measured figures"
        " of its cells are of that period.", _PER_STATION, ("station",), for_tenants=True),
    Metric("minka_cell_prb_used_ratio", _G, _NET,
        "Share of the cell's physical resource blocks that was used in the period; direction is down or up.",
        "two per cell", ("station", "cell", "direction")),
    Metric("minka_cell_users", _G, _NET,
        "Users with an RRC connection, on average over the period.", _PER_CELL, ("station", "cell")),
    Metric("minka_cell_tenant_prb_used_ratio", _G, _NET,
        "Share of the cell's physical resource blocks that the tenant used; only of stations that count it by PLMN"
        " or slice.", "two per cell and tenant", ("station", "cell", "tenant", "direction"), for_tenants=True),
    Metric("minka_cell_tenant_volume_bytes", _G, _NET,
        "Data that the cell carried for users of the tenant in the period. For bills see reports, not this.",
        "two per cell and tenant", ("station", "cell", "tenant", "direction"), for_tenants=True),
    Metric("minka_station_kpi_end_timestamp_seconds", _G, _NET,
        "End of the last hour in which the station's indicators (KPIs) were judged, if that is no longer ago than"
        " three hours. Its indicators are of that hour, or of up to four hours until then, where its sample is"
        " small.", _PER_STATION, ("station",), for_tenants=True),
    Metric("minka_station_kpi", _G, _NET,
        f"The indicator, of the station as a whole, in its own unit (minka_kpi_info). {_JUDGED}",
        "one per station and indicator", ("station", "kpi")),
    Metric("minka_station_kpi_degradation_ratio", _G, _NET,
        f"Of the station as a whole.{_DEGRADATION}", f"one per station and {_WATCHED}", ("station", "kpi")),
    Metric("minka_station_tenant_kpi", _G, _NET,
        f"The indicator, of the tenant's part of its cells at the station, in its own unit. {_JUDGED}",
        f"one per station, tenant and {_WATCHED} that tenants see", ("station", "tenant", "kpi"), for_tenants=True),
    Metric("minka_cell_kpi", _G, _NET,
        f"The indicator, of the cell as a whole, in its own unit. {_JUDGED}",
        f"one per cell and {_WATCHED}", ("station", "cell", "kpi")),
    Metric("minka_region_kpi", _G, _NET,
        f"The indicator, of all cells of the region together, in its own unit. {_POOLED}",
        "one per region and indicator", ("region", "kpi")),
    Metric("minka_region_kpi_degradation_ratio", _G, _NET,
        f"Of all cells of the region together.{_DEGRADATION}", f"one per region and {_WATCHED}", ("region", "kpi")),
    Metric("minka_region_tenant_kpi", _G, _NET,
        f"The indicator, of the tenant's part of its cells in the region, in its own unit. {_POOLED}",
        "one per region, tenant and indicator that tenants see", ("region", "tenant", "kpi"), for_tenants=True),
    Metric("minka_region_tenant_kpi_degradation_ratio", _G, _NET,
        f"Of the tenant's part of its cells in the region.{_DEGRADATION}",
        f"one per region, tenant and {_WATCHED} that tenants see", ("region", "tenant", "kpi"), for_tenants=True),
    # --------------------------------------------------------------------- tenants
    Metric("minka_functions", _G, _NET,
        "Functions by kind and state: up; degraded, serving with a fault; down; unknown, since its pool can't be"
        " read; planned, with a place but on no pool yet; unplaced.", "thirty", ("kind", "state")),
    Metric("minka_function_placed_timestamp_seconds", _G, _NET,
        "When a function came to the pool that it is on, as the pool says.",
        "one per function and pool", ("function", "pool")),
    Metric("minka_function_restarts_total", _C, _NET,
        "How often containers of a function were started again by their nodes, of the pods that there are: it begins"
        " again with new pods.", "one per function and pool", ("function", "pool")),
    Metric("minka_pool_cores", _G, _NET,
        "Cores of a pool: there in all, there beside its reserve (usable), taken by functions that run or are to"
        " start (used), and taken or kept for tenants who bought them (committed).", "four per pool", ("pool", "part")),
    Metric("minka_pool_nodes", _G, _NET,
        "Nodes of a pool by the worst of their state when they were read last: lost, cordoned, clock-lost, pressure"
        " or ready; unknown while the pool does not answer, or was not read yet.", "six per pool", ("pool", "state")),
    Metric("minka_pool_side_cores", _G, _NET,
        "Cores of a pool by the host or tenant: bought by agreements in force; kept for it, used or not; taken by"
        " its functions (used). What was bought as a function counts as the host's.",
        "three per pool and side", _OF_SIDE),
    Metric("minka_pool_side_bits_per_second", _G, _NET,
        "Bit/s of users' packets of a pool by the host or tenant: bought; kept for it; what its functions carry at"
        " most (used).", "three per pool and side", _OF_SIDE),
    Metric("minka_kpi_info", _I, _OF_TENANT,
        "One for each indicator (KPI): its name for people, its unit, and whether a higher or lower value is better.",
        "one per indicator", ("kpi", "title", "unit", "better"), for_tenants=True),
    Metric("minka_tenant_kpi", _G, _OF_TENANT,
        f"The indicator, of the tenant's part of all of its cells, in its own unit. {_POOLED}",
        "one per tenant and indicator that tenants see", ("tenant", "kpi"), for_tenants=True),
    Metric("minka_tenant_kpi_degradation_ratio", _G, _OF_TENANT,
        f"Of the tenant's part of all of its cells.{_DEGRADATION}",
        f"one per tenant and {_WATCHED} that tenants see", ("tenant", "kpi"), for_tenants=True),
    Metric("minka_tenant_info", _I, _OF_TENANT,
        "One for each tenant.", "one per tenant", ("tenant", "name"), for_tenants=True),
    Metric("minka_agreement_cells", _G, _OF_TENANT,
        "Cells that the agreement reaches.", _PER_AGREEMENT, ("tenant", "agreement"), for_tenants=True),
    Metric("minka_agreement_share_ratio", _G, _OF_TENANT,
        "Share of a radio resource that the agreement gives in each of its cells; limit is dedicated, min or max.",
        "three per agreement in force and resource", ("tenant", "agreement", "resource", "limit"), for_tenants=True),
    Metric("minka_agreement_availability_target_ratio", _G, _OF_TENANT,
        "Availability that the host owes by the agreement, as a share of the month.",
        _PER_AGREEMENT, ("tenant", "agreement"), for_tenants=True),
    Metric("minka_agreement_restore_target_seconds", _G, _OF_TENANT,
        "Time within which a fault is to be over by the agreement.",
        _PER_AGREEMENT, ("tenant", "agreement"), for_tenants=True),
    Metric("minka_agreement_outage_seconds", _G, _OF_TENANT,
        "Cell-seconds without service that the host owes since the month began: each second of each cell of the"
        " agreement, with those that were locked outside of its windows, and those unseen that the host bears."
        " Planned and announced work is left out, so a later excuse makes it smaller.",
        _PER_AGREEMENT, ("tenant", "agreement"), for_tenants=True),
    Metric("minka_agreement_unobserved_seconds", _G, _OF_TENANT,
        "Cell-seconds since the month began in which nobody looked at the station of a cell of the agreement:"
        " neither without service nor proved to be served. By the reason: no-network, not-adopted, not-running,"
        " never-read, checks-apart.",
        "five per agreement in force", ("tenant", "agreement", "reason"), for_tenants=True),
    Metric("minka_agreement_unseen_seconds", _G, _OF_TENANT,
        "Cell-seconds since the month began in which Minka looked at the station of a cell of the agreement and got"
        " no answer, and nothing else proves service or its loss.",
        _PER_AGREEMENT, ("tenant", "agreement"), for_tenants=True),
    Metric("minka_agreement_not_applied_seconds", _G, _OF_TENANT,
        "Cell-seconds since the month began in which cells of the agreement did not carry all of its PLMNs, by"
        " Minka's own record: nothing was delivered, and nothing is charged. A run counts from its end on.",
        _PER_AGREEMENT, ("tenant", "agreement"), for_tenants=True),
    Metric("minka_agreement_unproved_allowed_seconds", _G, _OF_TENANT,
        "Cell-seconds since the month began that may be unseen, unobserved or not applied; beyond it no promise is"
        " called kept.", _PER_AGREEMENT, ("tenant", "agreement"), for_tenants=True),
    Metric("minka_agreement_outage_allowed_seconds", _G, _OF_TENANT,
        "Cell-seconds without service that the agreement allows in the whole month (the error budget), less the part"
        " that falls to what was not applied, to stations that were not adopted, and to the time before the first"
        " network.", _PER_AGREEMENT, ("tenant", "agreement"), for_tenants=True),
    Metric("minka_tenant_incidents", _G, _OF_TENANT,
        "Open incidents that concern the tenant, by their worst severity.",
        "five per tenant", ("tenant", "severity"), for_tenants=True),
)  # fmt: skip

METRIC: Mapping[str, Metric] = {metric.name: metric for metric in METRICS}


def counted(metric: str, values: Iterable[float]) -> list[float]:
    """A histogram's figures for some values."""
    bounds = METRIC[metric].bounds
    found = [0.0] * (len(bounds) + 2)
    for value in values:
        found[bisect_left(bounds, value)] += 1
        found[-1] += value
    return found


def together(one: list[float] | None, other: list[float]) -> list[float]:
    """The sum of two histograms. If their buckets differ, as after an upgrade, the second one."""
    if one is None or len(one) != len(other):
        return list(other)
    return [mine + yours for mine, yours in zip(one, other, strict=True)]


class Observations:
    """Measurements of one process about its own work while it lives; its heartbeats put them on record.

    Counts and histograms are added up over all processes, also ended ones. A state is about the process itself, and
    ends with it.
    """

    def __init__(self) -> None:
        self._sums: dict[str, Spreads] = {}
        self._states: dict[str, Figures] = {}
        self._watched: dict[str, Callable[[], Figures]] = {}
        #: Sessions to routers count in threads of their own.
        self._counting = Lock()

    def took(self, metric: str, value: float, *labels: str) -> None:
        """Add a value to a histogram."""
        bounds = METRIC[metric].bounds
        with self._counting:
            figures = self._sums.setdefault(metric, {}).get(labels)
            if figures is None:
                figures = self._sums[metric][labels] = [0.0] * (len(bounds) + 2)
            figures[bisect_left(bounds, value)] += 1
            figures[-1] += value

    def count(self, metric: str, *labels: str) -> None:
        """Add one to a counter."""
        with self._counting:
            self._sums.setdefault(metric, {}).setdefault(labels, [0.0])[0] += 1

    def begin(self, metric: str) -> None:
        """Show a counter without labels from 0 on: of one that begins at 1, Prometheus sees no increase."""
        with self._counting:
            self._sums.setdefault(metric, {}).setdefault((), [0.0])

    def state(self, metric: str, value: float, *labels: str) -> None:
        """Set a state, until it is set again."""
        self._states.setdefault(metric, {})[labels] = value

    def watch(self, metric: str, states: Callable[[], Figures]) -> None:
        """Let states be those of the moment in which somebody asks for them."""
        self._watched[metric] = states

    @property
    def states(self) -> dict[str, Figures]:
        """All states now."""
        return {**self._states, **{metric: states() for metric, states in self._watched.items()}}

    def begin_anew(self) -> None:
        """Forget all counts, since the record has added them to those of ended processes."""
        with self._counting:
            self._sums.clear()

    def encoded(self) -> bytes:
        """All values, in the form for the record."""
        with self._counting:
            return orjson.dumps({"sums": _flat(self._sums), "states": _flat(self.states)})


def sums_and_states(encoded: bytes) -> tuple[dict[str, Spreads], dict[str, Figures]]:
    """Measurements of a process, from ``Observations.encoded``."""
    content = orjson.loads(encoded)
    return _deep(content["sums"]), _deep(content["states"])


def joined(*parts: Mapping[str, Spreads]) -> dict[str, Spreads]:
    """Sums of several together."""
    found: dict[str, Spreads] = {}
    for part in parts:
        for metric, spreads in part.items():
            own = found.setdefault(metric, {})
            for labels, figures in spreads.items():
                own[labels] = together(own.get(labels), figures)
    return found


def added_up(encoded: Iterable[bytes]) -> dict[str, Spreads]:
    """Sum of the counts and histograms of several processes."""
    return joined(*(sums_and_states(one)[0] for one in encoded))


def encoded_sums(sums: Mapping[str, Spreads]) -> bytes:
    """Sums in the form of ``Observations.encoded``, without states."""
    return orjson.dumps({"sums": _flat(sums), "states": {}})


def _flat(found: Mapping[str, Mapping[tuple[str, ...], Any]]) -> dict[str, list[Any]]:
    return {metric: [[*labels, figures] for labels, figures in of.items()] for metric, of in found.items()}


def _deep(content: Mapping[str, list[list[Any]]]) -> dict[str, dict[tuple[str, ...], Any]]:
    """Metrics by name, as far as this version has them."""
    return {metric: {tuple(row[:-1]): row[-1] for row in rows} for metric, rows in content.items() if metric in METRIC}
