"""The dashboards, as code: ``python -m deploy.dashboards`` writes the JSON files that Grafana provisions.

A panel is a kind, a title, what it says to its reader, and expressions. The JSON follows Grafana's dashboard schema 39
(https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model/).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from controller.models.alarm import MAINS_LOST, ON_BATTERY, RADIO_UNIT_LOST

FOLDER = Path(__file__).parent / "grafana" / "dashboards"
SOURCE = {"type": "prometheus", "uid": "minka-prometheus"}
_WIDTH = 24
#: A cell that nobody locked, and whose state its station tells.
_EXPECTED = """(
  minka_cell_on_air
    unless on (station, cell) minka_cell_locked == 1
    unless on (station, cell) minka_cell_unknown{reason="not-reported"}
)"""
_AT_SITE = "* on (station) group_left (site, region, latitude, longitude) minka_station_info"


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel.

    Attributes:
        kind: Grafana's type: ``stat``, ``timeseries``, ``table``, ``geomap``, ``bargauge``, ``state-timeline``.
        queries: Expressions by what their series are called, where ``{{label}}`` is a label's value.
        unit: Grafana's name of the unit: ``percentunit``, ``s``, ``bytes``, ``short``, ``dateTimeFromNow``.
        steps: Values from which on it turns to a colour, from the least.
    """

    kind: str
    title: str
    text: str
    queries: Mapping[str, str]
    unit: str = "short"
    width: int = 6
    height: int = 8
    steps: Mapping[str, float] | None = None
    most: float | None = None


@dataclass(frozen=True, slots=True)
class Dashboard:
    """One dashboard; its uid is the name of its file.

    Attributes:
        variables: Labels to choose by, with the metric that has them.
    """

    uid: str
    title: str
    text: str
    rows: Mapping[str, tuple[Panel, ...]]
    variables: Mapping[str, str]


#: Worse from the least, or better.
_WORSE = {"green": 0.0, "orange": 1.0}
_OF_AIR = {"red": 0.0, "orange": 0.95, "green": 0.99}
_SPENT = {"green": 0.0, "orange": 0.75, "red": 1.0}
#: Of a degradation in tolerances: at 1 it is degraded, at 3 people are called.
_LOST = {"green": 0.0, "orange": 1.0, "red": 3.0}
#: Stations of the chosen region, with the region.
_THERE = '* on (station) group_left (region) minka_station_info{region=~"$region"}'
#: 0 where nothing is counted and the record could be read; otherwise the number is unknown, and none is shown.
_READ = "0 * max(minka_database_up)"
_NAMED = "* on (kpi) group_left (title, unit, better) minka_kpi_info"


def _degraded(of: str) -> str:
    """The number of tenants, regions or stations with a degraded indicator."""
    metric = f"minka_{of}_kpi_degradation_ratio"
    return f"count(max by ({of}) ({metric}) > 1) or 0 * count({metric})"


def _stat(title: str, text: str, expr: str, unit: str = "short", steps: Mapping[str, float] | None = None) -> Panel:
    return Panel("stat", title, text, {"": expr}, unit, 4, 4, steps)


WALL = Dashboard(
    "minka-wall",
    "NOC wall",
    "What needs people, and where.",
    {
        "Now": (
            _stat("Cells on air", "Of those that nobody locked.", f"avg({_EXPECTED})", "percentunit", _OF_AIR),
            _stat(
                "Stations that can't be read",
                "Lost management, not lost service.",
                "count(minka_station_reachable == 0) or 0 * count(minka_station_reachable)",
                steps=_WORSE,
            ),
            _stat(
                "Incidents nobody knows of",
                "Critical and major, not acknowledged.",
                'sum(minka_incidents{state="new", severity=~"CRITICAL|MAJOR"})',
                steps=_WORSE,
            ),
            _stat("Open incidents", "All of them.", "sum(minka_incidents)"),
            _stat(
                "Automatic repair",
                "1 if people or the breaker stopped it.",
                "max(minka_automatic_repair_stopped)",
                steps=_WORSE,
            ),
            _stat(
                "Runs that wait for people",
                "For an approval or an answer.",
                'sum(minka_runs_waiting{for=~"approval|question"})',
                steps=_WORSE,
            ),
        ),
        "Where": (
            Panel(
                "geomap",
                "Stations",
                "Share of each station's cells that are on air.",
                {"": f"avg by (station) (minka_cell_on_air) {_AT_SITE}"},
                "percentunit",
                14,
                16,
                _OF_AIR,
            ),
            Panel(
                "table",
                "Open incidents",
                "minka incidents show says all of one.",
                {"": "minka_incident_info"},
                width=10,
                height=16,
            ),
        ),
        "Power and radio units": (
            *(
                _stat(
                    title,
                    f"Alarms {cause} that stand, symptoms included.",
                    f'sum(minka_alarms{{state!="cleared", probable_cause="{cause}"}}) or {_READ}',
                    steps=_WORSE,
                )
                for title, cause in (
                    ("Stations without mains", MAINS_LOST),
                    ("Stations on battery", ON_BATTERY),
                    ("Radio units lost", RADIO_UNIT_LOST),
                )
            ),
            Panel(
                "table",
                "Roots of power and radio units",
                "Those that follow from nothing else; each has an alert by its name.",
                {"": f'minka_incident_root{{probable_cause=~"{MAINS_LOST}|{ON_BATTERY}|{RADIO_UNIT_LOST}"}}'},
                width=12,
            ),
        ),
        "By region and tenant": (
            Panel(
                "bargauge",
                "Cells on air by region",
                "Of those that nobody locked.",
                {"{{region}}": "region:minka_cell_on_air:ratio"},
                "percentunit",
                6,
                8,
                _OF_AIR,
                1,
            ),
            Panel(
                "bargauge",
                "Core links up by tenant",
                "Of those whose stations report a state.",
                {"{{tenant}}": "tenant:minka_core_link_up:ratio"},
                "percentunit",
                6,
                8,
                _OF_AIR,
                1,
            ),
            Panel(
                "bargauge",
                "Error budget used this month",
                "At 100 % the host owes more than the agreement allows.",
                {"{{agreement}}": "minka_agreement_outage_seconds / minka_agreement_outage_allowed_seconds"},
                "percentunit",
                6,
                8,
                _SPENT,
                1,
            ),
            Panel(
                "bargauge",
                "Service worse than usual, by tenant",
                "Of its worst indicator, in tolerances, beyond chance: above 1 it is degraded.",
                {"{{tenant}}": "max by (tenant) (minka_tenant_kpi_degradation_ratio)"},
                steps=_LOST,
            ),
        ),
    },
    {},
)

REGION = Dashboard(
    "minka-region",
    "Region",
    "Stations and cells of a region.",
    {
        "Now": (
            _stat("Stations", "In the network files.", 'count(minka_station_info{region=~"$region"})'),
            _stat(
                "Cells on air",
                "Of those that nobody locked.",
                'avg(region:minka_cell_on_air:ratio{region=~"$region"})',
                "percentunit",
                _OF_AIR,
            ),
            _stat(
                "Cells locked",
                "By people: they mean it.",
                f"count(minka_cell_locked {_THERE}) or 0 * count(minka_cell_on_air {_THERE})",
            ),
            _stat(
                "Stations that drift",
                "Nodes differ from what was applied.",
                f"count((minka_station_drift_nodes > 0) {_THERE}) or 0 * count(minka_station_drift_nodes {_THERE})",
                steps=_WORSE,
            ),
        ),
        "Over time": (
            Panel(
                "timeseries",
                "Cells on air",
                "Of those that nobody locked, by region.",
                {"{{region}}": 'region:minka_cell_on_air:ratio{region=~"$region"}'},
                "percentunit",
                12,
                most=1,
            ),
            Panel(
                "timeseries",
                "Stations that can't be read",
                "By region.",
                {
                    "{{region}}": f"count by (region) ((minka_station_reachable == 0) {_THERE})"
                    f" or 0 * count by (region) (minka_station_reachable {_THERE})"
                },
                width=12,
            ),
        ),
        "Service": (
            Panel(
                "table",
                "Indicators",
                "In the last hour, of all cells of the region together.",
                {"": f'minka_region_kpi{{region=~"$region"}} {_NAMED}'},
                width=12,
            ),
            Panel(
                "timeseries",
                "Worse than usual",
                "In tolerances, beyond chance, against the same hour of the 7 days before: above 1 it is degraded.",
                {"{{region}} {{kpi}}": 'minka_region_kpi_degradation_ratio{region=~"$region"}'},
                width=12,
                steps=_LOST,
            ),
        ),
        "Stations": (
            Panel(
                "table",
                "Cells on air by station",
                "Open a station in the dashboard Station and cell.",
                {
                    "": "sort(avg by (station) (minka_cell_on_air) * on (station) group_left (site, region)"
                    ' minka_station_info{region=~"$region"})'
                },
                "percentunit",
                24,
                12,
                _OF_AIR,
            ),
        ),
    },
    {"region": "minka_station_info"},
)

STATION = Dashboard(
    "minka-station",
    "Station and cell",
    "One station: its cells, core links, and what they carry.",
    {
        "Now": (
            _stat("Reachable", "1 if the last read succeeded.", 'minka_station_reachable{station=~"$station"}'),
            _stat(
                "Read",
                "When it was last read.",
                'minka_station_read_timestamp_seconds{station=~"$station"} * 1000',
                "dateTimeFromNow",
            ),
            _stat(
                "Drift",
                "Nodes that differ from what was applied.",
                'minka_station_drift_nodes{station=~"$station"}',
                steps=_WORSE,
            ),
            _stat(
                "Measured until",
                "End of the newest period on record.",
                'minka_measured_end_timestamp_seconds{station=~"$station"} * 1000',
                "dateTimeFromNow",
            ),
        ),
        "State": (
            Panel(
                "state-timeline",
                "Cells on air",
                "1 is on air; what is unknown counts as 0.",
                {"{{cell}}": 'minka_cell_on_air{station=~"$station"}'},
                width=12,
            ),
            Panel(
                "state-timeline",
                "Core links",
                "1 is up; what is unknown counts as 0.",
                {"{{tenant}} {{kind}}": 'min by (tenant, kind) (minka_core_link_up{station=~"$station"})'},
                width=12,
            ),
        ),
        "What cells carry": (
            Panel(
                "timeseries",
                "PRB use, downlink",
                "Share of the cell's resource blocks that was used in each period.",
                {"{{cell}}": 'minka_cell_prb_used_ratio{station=~"$station", direction="down"}'},
                "percentunit",
                8,
                most=1,
            ),
            Panel(
                "timeseries",
                "Users",
                "With an RRC connection, on average over the period.",
                {"{{cell}}": 'minka_cell_users{station=~"$station"}'},
                width=8,
            ),
            Panel(
                "timeseries",
                "Volume by tenant, downlink",
                "In each period.",
                {"{{cell}} {{tenant}}": 'minka_cell_tenant_volume_bytes{station=~"$station", direction="down"}'},
                "bytes",
                8,
            ),
        ),
        "Service": (
            Panel(
                "table",
                "Indicators",
                "Of the last hour, or of up to four where the sample is small. What could not be judged is not there.",
                {"": f'minka_station_kpi{{station=~"$station"}} {_NAMED}'},
                width=8,
            ),
            Panel(
                "timeseries",
                "Worse than usual",
                "In tolerances, beyond chance, against the same hours of the 7 days before: above 1 it is degraded.",
                {"{{kpi}}": 'minka_station_kpi_degradation_ratio{station=~"$station"}'},
                width=8,
                steps=_LOST,
            ),
            Panel(
                "timeseries",
                "Watched indicators by cell",
                "In their own units.",
                {"{{cell}} {{kpi}}": 'minka_cell_kpi{station=~"$station"}'},
                width=8,
            ),
        ),
    },
    {"station": "minka_station_info"},
)

_OF = '{tenant=~"$tenant"}'
_UNPROVED = (
    f"(sum without(reason) (minka_agreement_unobserved_seconds{_OF}) + minka_agreement_unseen_seconds{_OF}"
    f" + minka_agreement_not_applied_seconds{_OF})"
    f" / (minka_agreement_unproved_allowed_seconds{_OF} > 0)"
)
_BUDGET = f"minka_agreement_outage_seconds{_OF} / minka_agreement_outage_allowed_seconds{_OF}"
TENANT = Dashboard(
    "minka-tenant",
    "Tenant",
    "What a tenant gets: service level, budget, shares, volume and incidents. Works with a tenant's own token, too.",
    {
        "This month": (
            _stat("Cells", "That its agreements open to it.", f"sum(minka_agreement_cells{_OF})"),
            _stat(
                "Availability owed",
                "The lowest of its agreements.",
                f"min(minka_agreement_availability_target_ratio{_OF})",
                "percentunit",
            ),
            _stat("Error budget used", "By the worst of its agreements.", f"max({_BUDGET})", "percentunit", _SPENT),
            _stat(
                "Cell-hours left",
                "Without service, until more is lost than the agreement allows.",
                f"sum(minka_agreement_outage_allowed_seconds{_OF} - minka_agreement_outage_seconds{_OF})",
                "s",
            ),
            _stat(
                "Core links up",
                "Of those whose stations report a state.",
                f"min(tenant:minka_core_link_up:ratio{_OF})",
                "percentunit",
                _OF_AIR,
            ),
            _stat("Open incidents", "That concern it.", f"sum(minka_tenant_incidents{_OF}) or {_READ}", steps=_WORSE),
        ),
        "Service": (
            Panel(
                "timeseries",
                "Budget",
                "Cell-time without service since the month began, as a share of what the agreement allows.",
                {"{{agreement}}": _BUDGET},
                "percentunit",
                8,
                steps=_SPENT,
            ),
            Panel(
                "timeseries",
                "Time without proof",
                "Cell-time of this month in which nobody looked, by the reason, in which nobody got an answer, and in "
                "which cells did not carry the agreement's PLMNs.",
                {
                    "{{reason}} {{agreement}}": f"minka_agreement_unobserved_seconds{_OF}",
                    "unseen {{agreement}}": f"minka_agreement_unseen_seconds{_OF}",
                    "not applied {{agreement}}": f"minka_agreement_not_applied_seconds{_OF}",
                },
                "s",
                12,
            ),
            Panel(
                "timeseries",
                "Proof",
                "Unseen, unobserved and not applied time as a share of what is allowed: above 100 % no promise is "
                "called kept.",
                {"{{agreement}}": _UNPROVED},
                "percentunit",
                12,
                steps=_SPENT,
            ),
            Panel(
                "timeseries",
                "Burn rate",
                "At 1 the budget is just spent when the month ends. People are called at 14.4 over an hour.",
                {
                    "1 h {{agreement}}": f"agreement:minka_outage_burn:rate1h{_OF}",
                    "6 h {{agreement}}": f"agreement:minka_outage_burn:rate6h{_OF}",
                    "3 d {{agreement}}": f"agreement:minka_outage_burn:rate3d{_OF}",
                },
                width=8,
            ),
            Panel(
                "timeseries",
                "Cells on air and core links up",
                "Shares of its cells and links.",
                {
                    "cells {{tenant}}": f"tenant:minka_cell_on_air:ratio{_OF}",
                    "links {{tenant}}": f"tenant:minka_core_link_up:ratio{_OF}",
                },
                "percentunit",
                8,
                most=1,
            ),
        ),
        "Shares and volume": (
            Panel(
                "timeseries",
                "PRB share used against share agreed",
                "On average over its cells; the lines min and max are those of its agreements.",
                {
                    "used": 'avg(minka_cell_tenant_prb_used_ratio{tenant=~"$tenant", direction="down"})',
                    "{{limit}} {{agreement}}": 'minka_agreement_share_ratio{tenant=~"$tenant", resource=~"PRB.*"}',
                },
                "percentunit",
                12,
                most=1,
            ),
            Panel(
                "timeseries",
                "Volume",
                "In the newest period of each station.",
                {"{{direction}}": f"sum by (direction) (minka_cell_tenant_volume_bytes{_OF})"},
                "bytes",
                12,
            ),
        ),
        "Service of its users": (
            Panel(
                "table",
                "Indicators",
                "Of its own part of all of its cells, in the last hour. What could not be judged is not there.",
                {"": f"minka_tenant_kpi{_OF} {_NAMED}"},
                width=8,
            ),
            Panel(
                "timeseries",
                "Worse than usual",
                "In tolerances, beyond chance, on average over two hours: above 1 it is degraded.",
                {"{{kpi}}": f"tenant:minka_tenant_kpi_degradation:avg2h{_OF}"},
                width=8,
                steps=_LOST,
            ),
            Panel(
                "bargauge",
                "Worse than usual, by region",
                "Of the worst indicator in each, in tolerances.",
                {"{{region}}": f"max by (region) (minka_region_tenant_kpi_degradation_ratio{_OF})"},
                width=8,
                steps=_LOST,
            ),
        ),
        "Incidents": (
            Panel(
                "timeseries",
                "Open incidents that concern it",
                "By severity.",
                {"{{severity}}": f"sum by (severity) (minka_tenant_incidents{_OF})"},
                width=24,
            ),
        ),
    },
    {"tenant": "minka_tenant_info"},
)

_KPI = '{kpi=~"$kpi"}'
QUALITY = Dashboard(
    "minka-quality",
    "Service quality",
    "What users get: indicators (KPIs) by region and tenant, and where they are worse than usual.",
    {
        "Now": (
            _stat(
                "Tenants with a degraded indicator",
                "Worse than usual by more than its tolerance, beyond chance.",
                _degraded("tenant"),
                steps=_WORSE,
            ),
            _stat(
                "Regions with one",
                "As for tenants, of all users.",
                _degraded("region"),
                steps=_WORSE,
            ),
            _stat(
                "Stations with one",
                "As for regions.",
                _degraded("station"),
                steps=_WORSE,
            ),
            _stat(
                "Judged",
                "Share of stations whose sample suffices, on average over the indicators.",
                'sum(minka_kpi_stations{verdict="judged"}) / sum(minka_kpi_stations)',
                "percentunit",
            ),
            _stat(
                "Judged until",
                "End of the last hour that was judged.",
                "minka_kpi_end_timestamp_seconds * 1000",
                "dateTimeFromNow",
            ),
        ),
        "Indicator": (
            Panel(
                "timeseries",
                "Network",
                "In its own unit.",
                {"{{kpi}}": f"minka_network_kpi{_KPI}"},
                width=8,
            ),
            Panel(
                "timeseries",
                "By region",
                "In its own unit.",
                {"{{region}} {{kpi}}": f"minka_region_kpi{_KPI}"},
                width=8,
            ),
            Panel(
                "timeseries",
                "By tenant",
                "Of each tenant's part of its cells. What is not counted by tenant is not there.",
                {"{{tenant}} {{kpi}}": f"minka_tenant_kpi{_KPI}"},
                width=8,
            ),
        ),
        "Worse than usual": (
            Panel(
                "timeseries",
                "By tenant",
                "In tolerances, beyond chance, on average over two hours. People are called at 3.",
                {"{{tenant}} {{kpi}}": "tenant:minka_tenant_kpi_degradation:avg2h"},
                width=8,
                steps=_LOST,
            ),
            Panel(
                "timeseries",
                "By region",
                "In tolerances, beyond chance, on average over two hours. People are called at 3.",
                {"{{region}} {{kpi}}": "region:minka_region_kpi_degradation:avg2h"},
                width=8,
                steps=_LOST,
            ),
            Panel(
                "table",
                "Stations",
                "The twenty that are worst. Open one in the dashboard Station and cell.",
                {"": "topk(20, minka_station_kpi_degradation_ratio)"},
                width=8,
                steps=_LOST,
            ),
        ),
        "Stations": (
            Panel(
                "timeseries",
                "Share of stations that are degraded, by region",
                "A share that grows is something that they have in common.",
                {"{{region}} {{kpi}}": f"region:minka_station_kpi_degraded:ratio{_KPI}"},
                "percentunit",
                12,
                most=1,
            ),
            Panel(
                "timeseries",
                "What could be judged",
                "Stations by verdict.",
                {"{{kpi}} {{verdict}}": f"minka_kpi_stations{_KPI}"},
                width=12,
            ),
        ),
    },
    {"kpi": "minka_kpi_info"},
)

_ENDED = "sum by (outcome) (increase(minka_jobs_ended_total[5m]))"
RUNS = Dashboard(
    "minka-runs",
    "Runs and waves",
    "What is being changed, how fast, and what it waits for.",
    {
        "Now": (
            _stat(
                "Runs under way",
                "Running or paused.",
                f'sum(minka_runs{{state=~"running|paused|queued|cancelling"}}) or {_READ}',
            ),
            _stat(
                "Jobs a worker may take", "Ready, and waiting for one.", f'sum(minka_jobs{{state="ready"}}) or {_READ}'
            ),
            _stat(
                "Oldest of them",
                "Scale workers by it.",
                "minka_oldest_claimable_job_age_seconds",
                "s",
                {"green": 0, "orange": 60, "red": 300},
            ),
            _stat(
                "Not judged since",
                "Runs that begin nothing more until it is known what of their plans still holds.",
                "minka_oldest_unjudged_run_age_seconds",
                "s",
                {"green": 0, "orange": 60, "red": 600},
            ),
            _stat("Stations away", "Tried again until patience ends.", "minka_jobs_away"),
            _stat("Devices held", "By a worker's lease.", 'minka_leases{state="held"}'),
            _stat("To recover", "Transactions of workers that died.", 'minka_leases{state="to-recover"}', steps=_WORSE),
        ),
        "Progress": (
            Panel("timeseries", "Jobs that ended, by outcome", "In five minutes.", {"{{outcome}}": _ENDED}, width=12),
            Panel(
                "timeseries",
                "What runs wait for",
                "A run may wait for several.",
                {"{{for}}": "minka_runs_waiting"},
                width=12,
            ),
        ),
        "Durations": (
            Panel(
                "timeseries",
                "Jobs, 95th percentile",
                "Work on one device, by outcome.",
                {
                    "{{outcome}}": "histogram_quantile(0.95, sum by (outcome, le)"
                    " (increase(minka_job_duration_seconds_bucket[1h])))"
                },
                "s",
                8,
            ),
            Panel(
                "timeseries",
                "Waves, median",
                "From the beginning of the first job to the end of the last, by procedure.",
                {
                    "{{procedure}}": "histogram_quantile(0.5, sum by (procedure, le)"
                    " (increase(minka_wave_duration_seconds_bucket[1d])))"
                },
                "s",
                8,
            ),
            Panel(
                "timeseries",
                "Runs, median",
                "Waits for people included.",
                {
                    "{{procedure}}": "histogram_quantile(0.5, sum by (procedure, le)"
                    " (increase(minka_run_duration_seconds_bucket[1d])))"
                },
                "s",
                8,
            ),
        ),
        "Plans": (
            Panel(
                "bargauge",
                "Plans by the number of devices they change",
                "All on record.",
                {"{{le}}": "sum by (le) (minka_plan_devices_bucket)"},
                width=24,
            ),
        ),
    },
    {},
)

REMEDIATION = Dashboard(
    "minka-remediation",
    "Remediation",
    "What rules do by themselves, and what they leave to people.",
    {
        "Now": (
            _stat("Stopped", "By people or the breaker.", "max(minka_automatic_repair_stopped)", steps=_WORSE),
            _stat("Under repair", "Alarms.", f'sum(minka_alarms{{state="repairing"}}) or {_READ}'),
            _stat(
                "Escalated",
                "Alarms that wait for people.",
                f'sum(minka_alarms{{state="escalated"}}) or {_READ}',
                steps=_WORSE,
            ),
            _stat(
                "Answers wanted",
                "Proposals that wait for a yes or a no.",
                'minka_proposals{state="asked"}',
                steps=_WORSE,
            ),
        ),
        "Rules": (
            Panel(
                "timeseries",
                "Repairs started, by rule",
                "In an hour.",
                {"{{rule}}": "sum by (rule) (increase(minka_repairs_started_total[1h]))"},
                width=8,
            ),
            Panel(
                "bargauge",
                "Proposals",
                "By what became of them, all on record.",
                {"{{state}}": "minka_proposals"},
                width=8,
            ),
            Panel(
                "table",
                "Modes of rules",
                "Everywhere, and where a region or tenant has another one.",
                {"": "minka_rule_mode"},
                width=8,
            ),
        ),
        "Alarms": (
            Panel(
                "timeseries",
                "Alarms raised, by cause",
                "On record now.",
                {"{{probable_cause}}": 'sum by (probable_cause) (minka_alarms{state="raised"})'},
                width=12,
            ),
            Panel(
                "timeseries",
                "Escalated to people",
                "In an hour.",
                {"": "increase(minka_alarms_escalated_total[1h])"},
                width=12,
            ),
        ),
    },
    {},
)

CAPACITY = Dashboard(
    "minka-capacity",
    "Capacity",
    "Which cells fill up, and who uses them.",
    {
        "Cells": (
            Panel(
                "table",
                "Fullest cells, downlink",
                "PRB use of the newest period.",
                {"": 'topk(20, minka_cell_prb_used_ratio{direction="down"})'},
                "percentunit",
                12,
                12,
                _SPENT,
            ),
            Panel(
                "timeseries",
                "PRB use by region, downlink",
                "On average over its cells.",
                {
                    "{{region}}": 'avg by (region) (minka_cell_prb_used_ratio{direction="down"}'
                    " * on (station) group_left (region) minka_station_info)"
                },
                "percentunit",
                12,
                12,
                most=1,
            ),
        ),
        "Tenants": (
            Panel(
                "timeseries",
                "Volume by tenant",
                "Both directions, in the newest period of each station.",
                {"{{tenant}}": "sum by (tenant) (minka_cell_tenant_volume_bytes)"},
                "bytes",
                12,
            ),
            Panel(
                "timeseries",
                "Users by region",
                "With an RRC connection.",
                {
                    "{{region}}": "sum by (region) (minka_cell_users"
                    " * on (station) group_left (region) minka_station_info)"
                },
                width=12,
            ),
        ),
        "Pools": (
            Panel(
                "bargauge",
                "Fullest pools",
                "Cores that are taken or kept for tenants, of those beside the reserve.",
                {
                    "{{pool}}": 'topk(10, minka_pool_cores{part="committed"}'
                    ' / on (pool) (minka_pool_cores{part="usable"} > 0))'
                },
                "percentunit",
                8,
                steps=_SPENT,
            ),
            Panel(
                "timeseries",
                "Cores that were bought, and those taken",
                "By host and tenant, of all pools. What was bought as a function counts as the host's.",
                {"{{side}}: {{part}}": 'sum by (side, part) (minka_pool_side_cores{part=~"bought|used"})'},
                width=8,
            ),
            Panel(
                "timeseries",
                "Functions by state",
                "Unplaced: no pool that is near enough has room for it, or its tenant did not buy it. Unknown: its "
                "pool can't be read.",
                {"{{state}}": "sum by (state) (minka_functions)"},
                width=8,
            ),
            Panel(
                "bargauge",
                "Functions that restart",
                "Containers that were started again by their nodes in the last day.",
                {"{{function}}": "topk(10, increase(minka_function_restarts_total[1d]) > 0)"},
                width=12,
            ),
            Panel(
                "bargauge",
                "Functions that moved last",
                "How long they have been on their pool.",
                {"{{function}} on {{pool}}": "bottomk(10, time() - minka_function_placed_timestamp_seconds)"},
                "s",
                12,
            ),
        ),
        "What is measured": (
            _stat("Stations collected", "Whose performance data is collected.", "minka_collection_stations"),
            _stat(
                "Median age", "Since the end of the newest period.", 'minka_collection_age_seconds{quantile="0.5"}', "s"
            ),
            _stat("Missing periods", "Of the last day.", "minka_collection_missing_periods", steps=_WORSE),
            Panel(
                "timeseries",
                "Periods that came in",
                "In 15 minutes.",
                {"{{outcome}}": "increase(minka_collection_periods_total[15m])"},
                width=12,
            ),
        ),
    },
    {},
)

CONTROLLER = Dashboard(
    "minka-controller",
    "Controller health",
    "Minka itself: processes, rounds, requests to stations, database and broker.",
    {
        "Now": (
            _stat("Version", "1 for each.", "minka_build_info"),
            _stat("Database", "1 while pages are served.", "minka_database_up"),
            _stat(
                "Database takes writes",
                "0: a process found that it refuses them, or does not know.",
                'min(minka_record_writable{state="yes"})',
            ),
            _stat("Broker", "0: wake-ups are missing, work goes on.", "min(minka_broker_up)"),
            _stat(
                "Processes down",
                "That did not end in order.",
                f"count(minka_process_up == 0) or {_READ}",
                steps=_WORSE,
            ),
            _stat(
                "Record in doubt", "1: nothing begins until a person decides.", "minka_record_in_doubt", steps=_WORSE
            ),
            _stat(
                "Median age of health",
                "Half of the stations were read since then.",
                'minka_health_age_seconds{quantile="0.5"}',
                "s",
            ),
        ),
        "Processes": (
            Panel(
                "state-timeline",
                "Ready",
                "1: sends heartbeats, and its rounds succeed.",
                {"{{role}} {{instance}}": "minka_process_ready"},
                width=12,
            ),
            Panel(
                "timeseries",
                "Sessions to devices",
                "By process.",
                {"{{role}} {{instance}}": "minka_sessions"},
                width=12,
            ),
        ),
        "Rounds": (
            Panel(
                "timeseries",
                "Lag of rounds",
                "Time since each last came through.",
                {"{{role}} {{round}}": "max by (role, round) (time() - minka_round_success_timestamp_seconds)"},
                "s",
                12,
            ),
            Panel(
                "timeseries",
                "Duration of rounds, 95th percentile",
                "In five minutes.",
                {
                    "{{round}}": "histogram_quantile(0.95, sum by (round, le)"
                    " (rate(minka_round_duration_seconds_bucket[5m])))"
                },
                "s",
                12,
            ),
        ),
        "Stations": (
            Panel(
                "timeseries",
                "Answers of stations, 95th percentile",
                "By operation.",
                {"{{operation}}": "operation:minka_rpc_duration_seconds:p95_5m"},
                "s",
                8,
            ),
            Panel(
                "timeseries",
                "Requests per second",
                "By operation.",
                {"{{operation}}": "sum by (operation) (rate(minka_rpc_duration_seconds_count[5m]))"},
                width=8,
            ),
            Panel(
                "timeseries",
                "Sessions opened and refused",
                "In five minutes, by result.",
                {"{{result}}": "increase(minka_session_openings_total[5m])"},
                width=8,
            ),
        ),
        "Routers": (
            Panel(
                "timeseries",
                "Answers of routers, 95th percentile",
                "By command.",
                {
                    "{{command}}": "histogram_quantile(0.95, sum by (command, le)"
                    " (rate(minka_command_duration_seconds_bucket[5m])))"
                },
                "s",
                12,
            ),
            Panel(
                "timeseries",
                "Commands per second",
                "By command; lost where the session broke.",
                {"{{command}} {{result}}": "sum by (command, result) (rate(minka_command_duration_seconds_count[5m]))"},
                width=12,
            ),
        ),
        "Pools": (
            Panel(
                "timeseries",
                "Answers of pools, 95th percentile",
                "By operation.",
                {
                    "{{operation}}": "histogram_quantile(0.95, sum by (operation, le)"
                    " (rate(minka_kubernetes_request_duration_seconds_bucket[5m])))"
                },
                "s",
                12,
            ),
            Panel(
                "timeseries",
                "Requests to pools per second",
                "By operation; lost where no answer came, or one of no use.",
                {
                    "{{operation}} {{result}}": "sum by (operation, result)"
                    " (rate(minka_kubernetes_request_duration_seconds_count[5m]))"
                },
                width=12,
            ),
        ),
        "Intake of alarms": (
            Panel("timeseries", "Reports on record", "By source.", {"{{source}}": "minka_reports"}, width=8),
            Panel(
                "timeseries",
                "Alerts refused",
                "In an hour, by reason.",
                {"{{reason}}": "increase(minka_alerts_refused_total[1h])"},
                width=8,
            ),
            Panel(
                "timeseries",
                "Wait of sources, 95th percentile",
                "Until what they sent was on record.",
                {"": "histogram_quantile(0.95, sum by (le) (rate(minka_intake_duration_seconds_bucket[5m])))"},
                "s",
                8,
            ),
        ),
    },
    {},
)

DASHBOARDS = (WALL, REGION, STATION, TENANT, QUALITY, RUNS, REMEDIATION, CAPACITY, CONTROLLER)


def expressions() -> Iterator[tuple[str, str]]:
    """Every expression with where it stands: dashboard and panel."""
    for board in DASHBOARDS:
        for panels in board.rows.values():
            for panel in panels:
                yield from ((f"{board.uid}: {panel.title}", expr) for expr in panel.queries.values())


# ----------------------------------------------------------------------------- JSON


def rendered(board: Dashboard) -> dict[str, Any]:
    """A dashboard as Grafana has it."""
    return {
        "uid": board.uid,
        "title": f"Minka: {board.title}",
        "description": board.text,
        "tags": ["minka"],
        "editable": False,
        "graphTooltip": 1,
        "schemaVersion": 39,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "timezone": "browser",
        "templating": {"list": [_variable(name, metric) for name, metric in board.variables.items()]},
        "links": [{"type": "dashboards", "title": "Minka", "tags": ["minka"], "asDropdown": True, "keepTime": True}],
        "panels": list(_panels(board.rows)),
    }


def _variable(name: str, metric: str) -> dict[str, Any]:
    query = f"label_values({metric}, {name})"
    return {
        "name": name,
        "label": "KPI" if name == "kpi" else name.capitalize(),
        "type": "query",
        "datasource": SOURCE,
        "query": {"query": query, "refId": "StandardVariableQuery"},
        "refresh": 2,
        "sort": 1,
        "multi": name in ("region", "kpi"),
        "includeAll": name in ("region", "kpi"),
    }


def _panels(rows: Mapping[str, Iterable[Panel]]) -> Iterator[dict[str, Any]]:
    number = y = 0
    for title, panels in rows.items():
        number += 1
        yield {
            "id": number,
            "type": "row",
            "title": title,
            "collapsed": False,
            "panels": [],
            "gridPos": {"h": 1, "w": _WIDTH, "x": 0, "y": y},
        }
        y += 1
        x = highest = 0
        for panel in panels:
            if x + panel.width > _WIDTH:
                x, y, highest = 0, y + highest, 0
            number += 1
            place = {"h": panel.height, "w": panel.width, "x": x, "y": y}
            yield _panel(panel) | {"id": number, "gridPos": place}
            x, highest = x + panel.width, max(highest, panel.height)
        y += highest


def _panel(panel: Panel) -> dict[str, Any]:
    instant = panel.kind in ("stat", "table", "geomap", "bargauge")
    defaults: dict[str, Any] = {"unit": panel.unit, "min": 0}
    if panel.most is not None:
        defaults["max"] = panel.most
    if panel.steps:
        (first, _), *rest = panel.steps.items()
        steps: list[dict[str, Any]] = [{"color": first, "value": None}]
        steps += [{"color": colour, "value": value} for colour, value in rest]
        defaults |= {"thresholds": {"mode": "absolute", "steps": steps}, "color": {"mode": "thresholds"}}
    return {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.text,
        "datasource": SOURCE,
        "targets": [
            {
                "refId": chr(ord("A") + index),
                "datasource": SOURCE,
                "expr": expr,
                "legendFormat": legend or "__auto",
                "instant": instant,
                "range": not instant,
                "format": "table" if panel.kind in ("table", "geomap") else "time_series",
            }
            for index, (legend, expr) in enumerate(panel.queries.items())
        ],
        "fieldConfig": {"defaults": defaults, "overrides": []},
    } | _OPTIONS.get(panel.kind, {})


_LAST = {"reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}}
#: What kinds of panels have beside the rest.
_OPTIONS: dict[str, dict[str, Any]] = {
    "stat": {"options": _LAST | {"colorMode": "value", "graphMode": "none", "textMode": "auto"}},
    "bargauge": {"options": _LAST | {"displayMode": "basic", "orientation": "horizontal", "showUnfilled": True}},
    "timeseries": {
        "options": {
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
            "tooltip": {"mode": "multi", "sort": "desc"},
        }
    },
    "state-timeline": {"options": {"mergeValues": True, "showValue": "never", "rowHeight": 0.9}},
    "table": {
        "transformations": [
            {
                "id": "organize",
                "options": {"excludeByName": dict.fromkeys(("Time", "__name__", "instance", "job"), True)},
            }
        ],
        "options": {"showHeader": True},
    },
    "geomap": {
        # Labels are texts; the map wants numbers.
        "transformations": [
            {
                "id": "convertFieldType",
                "options": {
                    "conversions": [
                        {"targetField": name, "destinationType": "number"} for name in ("latitude", "longitude")
                    ]
                },
            }
        ],
        "options": {
            "view": {"id": "fit", "allLayers": True},
            "basemap": {"type": "default", "name": "Map"},
            "layers": [
                {
                    "type": "markers",
                    "name": "Stations",
                    "location": {"mode": "coords", "latitude": "latitude", "longitude": "longitude"},
                    "config": {"style": {"color": {"field": "Value", "fixed": "green"}, "size": {"fixed": 6}}},
                    "tooltip": True,
                }
            ],
        },
    },
}


def text_of(board: Dashboard) -> str:
    """A dashboard as its file holds it."""
    return json.dumps(rendered(board), indent=1, ensure_ascii=False) + "\n"


def main() -> None:
    """Write all files."""
    FOLDER.mkdir(exist_ok=True)
    for board in DASHBOARDS:
        (FOLDER / f"{board.uid}.json").write_text(text_of(board), encoding="utf-8")


if __name__ == "__main__":
    main()
