"""What a tenant sees of the record, object by object.

A ``Tenant…`` class names the fields that are disclosed, and no other field is. A ``visible_…`` function hides fields
of a class that is disclosed as a whole, as classes inside of others are too: a new field of such a class is disclosed.
So ``tests/security/test_disclosed_fields.py`` names each field of each answer that a tenant may get.

Numbers count the tenant's own stations, and states follow from its own jobs. Ids that derive from content (a plan's
hash) or position (an audit row's number) are replaced, since both would reveal something about others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from pydantic import AwareDatetime

from controller.access.tenant_scope import TenantScope, is_disclosed, is_disclosed_cell
from controller.intent.impact import link_in
from controller.models.alarm import (
    SUPPLY_CAUSES,
    UNREACHABLE,
    Alarm,
    AlarmFilter,
    AlarmPart,
    AlarmSource,
    AlarmState,
    Comment,
    ObjectClass,
    PerceivedSeverity,
    ToldAlarm,
)
from controller.models.health import Health, LinkHealth, ServiceState
from controller.models.incident import AgreementMinutes, IncidentState, Loss, TenantMinutes, gravest
from controller.models.measurement import Measured
from controller.models.network import HOST, FunctionKind, Network, Noun, Snssai
from controller.models.outage import NO_OUTAGE, Outage
from controller.models.plan import Change, DiffRow, PhaseKind, Plan
from controller.models.run import AuditRow, Job, JobState, LedgerEntry, Outcome, Run, RunState
from controller.models.statement import IssuedStatement, StatementKind, StatementProof
from controller.nrm.profiles import cell_of, leaf_of
from controller.nrm.schema import LeafRole
from controller.performance.kpi_evaluation import IndicatorValues, KpiEvaluation
from controller.performance.kpis import Kpi, Level

#: What is disclosed of the state of a shared cell.
_CELL_STATES = (
    LeafRole.ADMINISTRATIVE_STATE,
    LeafRole.OPERATIONAL_STATE,
    LeafRole.CELL_STATE,
    LeafRole.AVAILABILITY_STATUS,
)
#: Details of its own acts that a tenant sees.
_OWN_DETAILS = (
    "permission",
    "count",
    "since",
    "label",
    "scopes",
    "expires",
    "owner",
    "role",
    "reason",
    "run",
    "state",
    "token",
    "maker",
    "issuer",
)


# ---------------------------------------------------------------------- stations


def visible_health(tenant: str, cells: Collection[str], health: Health, now: datetime) -> Health:
    """A station's health, reduced to these cells, which a tenant shares, its own core links and the regular turns."""
    return health.model_copy(
        update={
            "at": health.told_at(now),
            "cells": {cell: state for cell, state in health.cells.items() if cell in cells},
            "odd": {cell: said for cell, said in health.odd.items() if cell in cells},
            "locked": tuple(cell for cell in health.locked if cell in cells),
            "links": tuple(link for link in health.links if link.tenant == tenant),
            "missing": tuple(one for one in health.missing if one.cell in cells and one.tenant == tenant),
            "plmns": {},
        }
    )


class TenantHealth(Noun):
    """The part of a station's health that a tenant sees: shared cells, its own core links.

    Attributes:
        at: The station's last turn among the regular checks. Checks for other reasons do not move it, though what they
            find is shown.
    """

    at: AwareDatetime
    reachable: bool
    cells: dict[str, ServiceState]
    odd: dict[str, str]
    locked: tuple[str, ...]
    links: tuple[LinkHealth, ...]

    @classmethod
    def of(cls, scope: TenantScope, health: Health, now: datetime) -> TenantHealth:
        """Reduce a station's health to what the tenant sees."""
        seen = visible_health(scope.tenant, scope.cells.get(health.station, ()), health, now)
        return cls(**{name: getattr(seen, name) for name in cls.model_fields})


class TenantIndicators(Noun):
    """Values of the watched indicators for a tenant's part of a station.

    Attributes:
        until: End of the judged hour.
        values: By indicator, in its unit; an indicator that could not be judged is missing.
    """

    until: AwareDatetime
    values: dict[str, float]


class TenantStation(Noun):
    """A station that is shared with a tenant, or a function of its own, of which no site or region is disclosed.

    Attributes:
        health: None before the first check, and of a station where no agreement of the tenant is in force.
    """

    station: str
    site: str
    region: str
    profiles: tuple[str, ...]
    health: TenantHealth | None
    indicators: TenantIndicators | None = None

    @classmethod
    def of(
        cls,
        scope: TenantScope,
        station: str,
        health: Health | None,
        now: datetime,
        evaluation: KpiEvaluation | None = None,
    ) -> TenantStation:
        """A station or function that the tenant sees, by its scope of the live network."""
        return cls(
            station=station,
            site=scope.network.site_of(station),
            region=scope.network.region_of(station),
            profiles=scope.network.profiles_of(station),
            health=None if health is None or not scope.is_live(station) else TenantHealth.of(scope, health, now),
            indicators=evaluation
            and TenantIndicators(
                until=evaluation.end, values=evaluation.tenants.get(scope.tenant, IndicatorValues()).values
            ),
        )


class TenantFunction(Noun):
    """A function that a tenant owns.

    Attributes:
        replicas: By the network files.
        applied_replicas: As it was applied last, by a plan or ``scale-function``; 0 if it is on no pool.
        stations: Number of stations that it serves; for a tenant, only those that it sees.
        carries: PLMNs with their slices.
        endpoints: Stations whose NETCONF endpoint it is; for a tenant, only those that it sees.
        running: Pools that it runs on, the latest first.
        placed: Since when it runs on each pool, where the pool tells.
        wrong: Probable causes of its faults at the last check; only "unreachable" where it can't be read.
        seen: Time of the last check, for a tenant of the last regular one; None before the first.
    """

    function: str
    kind: FunctionKind
    package: str
    version: str
    replicas: int
    applied_replicas: int
    stations: int
    carries: dict[str, tuple[str, ...]]
    endpoints: tuple[str, ...]
    running: tuple[str, ...]
    placed: dict[str, AwareDatetime]
    wrong: tuple[str, ...]
    seen: AwareDatetime | None

    @classmethod
    def of(
        cls,
        network: Network,
        name: str,
        carried: Mapping[str, Iterable[Snssai]],
        running: tuple[str, ...],
        applied: int,
        health: Health | None,
        seen: datetime | None,
        disclosed: Collection[str],
    ) -> TenantFunction:
        """A function that the tenant owns, with those of its stations that are disclosed."""
        function = network.function_by_id[name]
        package = network.package_by_id[function.package]
        return cls(
            function=name,
            kind=package.kind,
            package=package.id,
            version=package.version,
            replicas=function.replicas,
            applied_replicas=applied,
            stations=len([one for one in network.stations_served[name] if one in disclosed]),
            carries={plmn: tuple(map(str, slices)) for plmn, slices in carried.items()},
            endpoints=tuple(one for one in network.stations_in.get(name, ()) if one in disclosed),
            running=running,
            placed=health.placed if health else {},
            wrong=() if health is None else tuple(sorted(health.function)) if health.reachable else (UNREACHABLE,),
            seen=seen,
        )


Tree = Mapping[str, Mapping[str, Any]]


def own_nodes(tenant: str, ledger: Mapping[str, LedgerEntry]) -> dict[str, LedgerEntry]:
    """Nodes of a station's ledger that are the tenant's alone."""
    return {path: entry for path, entry in ledger.items() if entry.owners == (tenant,)}


def visible_config(
    scope: TenantScope, station: str, tree: Tree, state: Tree, ledger: Mapping[str, LedgerEntry]
) -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, Any]]]:
    """The tenant's own nodes of a station's configuration, and their state and that of shared cells.

    There is no state of a station where no agreement of the tenant is in force.
    """
    own = own_nodes(scope.tenant, ledger).keys()
    cells = {path for path in state if scope.is_cell(station, path)}
    nodes = {path: dict(leaves) for path, leaves in tree.items() if path in own}
    states = {path: dict(leaves) for path, leaves in state.items() if path in own and scope.is_live(station)}
    for path in cells - own:
        leaves = {**tree.get(path, {}), **state[path]}
        states[path] = {name: leaves[name] for role in _CELL_STATES if (name := leaf_of(path, role)) in leaves}
    return nodes, {path: states[path] for path in state if path in states}


# ------------------------------------------------------------------------- plans


class TenantChange(Noun):
    """What a plan does on one station to a tenant's nodes and to the cells shared with it.

    Attributes:
        interrupts: Whether the tenant's service is interrupted.
        outage: How long that lasts.
        removes: Number of the tenant's nodes that are removed.
        withdrawn: Cells of the station in which the tenant loses a PLMN for good.
    """

    station: str
    diff: tuple[DiffRow, ...]
    interrupts: bool
    outage: Outage
    removes: int
    withdrawn: tuple[str, ...] = ()

    @classmethod
    def of(cls, scope: TenantScope, change: Change) -> TenantChange:
        """Reduce a change that touches or interrupts the tenant to what the tenant sees."""
        locked = any(
            scope.at_cell(change.station, cell_of(edit.path))
            for phase in change.phases
            if phase.kind is PhaseKind.LOCK
            for edit in phase.edits
        )
        withdrawn = change.withdrawn.get(scope.tenant, ())
        interrupts = locked or bool(withdrawn) or scope.tenant in change.interrupted
        return cls(
            station=change.station,
            diff=visible_rows(scope, change),
            interrupts=interrupts,
            outage=change.outage_of(scope.tenant) if interrupts else NO_OUTAGE,
            withdrawn=withdrawn,
            removes=change.removes.get(scope.tenant, 0),
        )


class TenantPlanHead(Noun):
    """A plan in a tenant's list, under the tenant's own id for it; ``stations`` counts those concerning it."""

    id: str
    created: AwareDatetime
    stations: int


class TenantPlan(Noun):
    """A plan as a tenant sees it."""

    id: str
    created: AwareDatetime
    changes: tuple[TenantChange, ...]

    @classmethod
    def of(cls, scope: TenantScope, handle: str, plan: Plan) -> TenantPlan:
        """Reduce a plan that touches or interrupts the tenant to what the tenant sees."""
        concerning = (change for change in plan.changes if scope.tenant in involved(change))
        changes = tuple(TenantChange.of(scope, change) for change in concerning)
        return cls(id=handle, created=plan.created, changes=changes)


def involved(change: Change) -> set[str]:
    """Tenants whose nodes a change edits, or whose service it interrupts or brings back."""
    return {*change.touched, *change.interrupted, *change.freed} - {HOST}


def visible_rows(scope: TenantScope, change: Change) -> tuple[DiffRow, ...]:
    """Lines about the tenant's nodes, and about what the host changes on cells shared with it.

    None says how such a cell relates to others, which may be cells of others alone.
    """
    rows = []
    for row in change.diff:
        if scope.tenant in row.tenant.split(", "):
            rows.append(row.model_copy(update={"tenant": scope.tenant}))
        elif row.tenant == HOST and not row.elsewhere and scope.at_cell(change.station, row.cell):
            rows.append(row)
    return tuple(rows)


# -------------------------------------------------------------------------- runs


class TenantJob(Noun):
    """A run's job on a station that concerns a tenant."""

    run: str
    station: str
    state: JobState
    outcome: Outcome | None
    started: AwareDatetime | None
    finished: AwareDatetime | None

    @classmethod
    def of(cls, job: Job) -> TenantJob:
        """A job on a station where its run touches or interrupts the tenant."""
        return cls(
            run=job.run,
            station=job.station,
            # Which wave is open follows from others' stations.
            state=JobState.WAITING if job.state is JobState.READY else job.state,
            outcome=job.outcome,
            started=job.started,
            finished=job.finished,
        )


class TenantRun(Noun):
    """A run as a tenant sees it: as if it were about the tenant's stations only.

    Attributes:
        plan: The tenant's own id for the plan; empty where no plan concerns it.
    """

    id: str
    procedure: str
    plan: str
    state: RunState
    created: AwareDatetime
    started: AwareDatetime | None
    finished: AwareDatetime | None
    counts: dict[str, int]

    @classmethod
    def of(cls, run: Run, handle: str, jobs: Sequence[Job]) -> TenantRun:
        """A run from the jobs that concern the tenant (at least one)."""
        state = _state(jobs)
        return cls(
            id=run.id,
            procedure=run.procedure,
            plan=handle,
            state=state,
            created=run.created,
            started=min(_times(job.started for job in jobs), default=None),
            finished=max(_times(job.finished for job in jobs), default=None) if state.terminal else None,
            counts=dict(sorted(Counter(job.outcome.value if job.outcome else "pending" for job in jobs).items())),
        )


def _times(found: Iterable[datetime | None]) -> list[datetime]:
    return [time for time in found if time is not None]


def _state(jobs: Sequence[Job]) -> RunState:
    """The state that a run of just these jobs would have."""
    if any(job.state is not JobState.DONE for job in jobs):
        return RunState.RUNNING if any(job.started for job in jobs) else RunState.QUEUED
    outcomes = {job.outcome for job in jobs if job.outcome}
    if Outcome.DIVERGED in outcomes:
        return RunState.DIVERGED
    good = {outcome.good for outcome in outcomes}
    if all(good):
        return RunState.SUCCEEDED
    if Outcome.CANCELLED in outcomes:
        return RunState.CANCELLED
    return RunState.PARTIAL if any(good) else RunState.FAILED


# ------------------------------------------------------------------------ alarms


def asked_of(tenant: str, like: AlarmFilter) -> AlarmFilter | None:
    """A filter of alarms without what is not disclosed to a tenant; None where it then selects nothing."""
    if like.tenants and tenant not in like.tenants:
        return None
    if like.root or like.shelved or like.acknowledged:  # how the host handles it is not disclosed
        return None
    return like.model_copy(update={"tenants": (), "roots": False, "shelved": None, "acknowledged": None})


def part_of(
    network: Network, alarm: Alarm, tenant: str, own: Sequence[str], before: AlarmPart | None = None
) -> AlarmPart | None:
    """A tenant's part of an alarm by the network files; None if the alarm does not concern it, or does no more.

    Args:
        network: The network as it is now.
        alarm: The alarm.
        tenant: A tenant that it may concern.
        own: Affected cells that are shared with the tenant now, sorted.
        before: Its part so far; None if the alarm did not concern it.
    """
    kind = network.device_kinds.get(alarm.station)
    told = kind is not None and kind.rules.disclosed
    if not own and not _concerns(network, alarm, tenant, before, told=told):
        return None
    left = () if before is None else tuple(one for one in before.ever if one in alarm.cells and one not in own)
    sites = {} if before is None else {**before.left_sites, **before.sites}
    there = told and is_disclosed(network, alarm.station, tenant)
    # A link that the ledger names, and nothing below it: a source may write anything into a step.
    private = alarm.tenant == tenant or link_in(alarm.object) == alarm.object
    return AlarmPart(
        there=there,
        named=private or is_disclosed_cell(network, alarm.station, alarm.object, tenant),
        cells=tuple(own),
        sites=network.people_by_site(own),
        left_cells=left,
        left_sites=sites if left else {},
    )


def _concerns(network: Network, alarm: Alarm, tenant: str, before: AlarmPart | None, *, told: bool) -> bool:
    """Whether an alarm about a tenant's object concerns it although it shares no cell that suffers.

    ``told`` is whether the failed device is of a kind whose ids tenants are told.
    """
    if told:
        shared = before is not None and bool(before.ever)
        return not shared and is_disclosed(network, alarm.station, tenant)
    lost = before is not None and bool(before.ever) and alarm.tenant != tenant
    return not lost and bool(network.agreements_of(tenant))


class TenantAlarm(Noun):
    """An alarm that concerns a tenant: on its core link or node, or with an effect on cells shared with it.

    Attributes:
        station: Empty where the failed device is not one of the tenant's stations, such as a router.
        object: The cell or core link that failed; for anything else only its class.
        tenant: The tenant, where the object is its own.
        cells: Affected cells that are shared with the tenant; once the alarm is over, also those that were meanwhile.
        changed: When something of this changed last; what the host or others do to the alarm is no change.
        until: When it ceased to concern the tenant, which is told nothing later of it; None if it concerns the tenant.
        announced: Id of the tenant's own announced work that explains it, or empty.
    """

    id: str
    station: str
    object: str
    object_class: ObjectClass
    tenant: str
    cells: tuple[str, ...]
    probable_cause: str
    severity: PerceivedSeverity
    text: str
    source: AlarmSource
    state: AlarmState
    raised: AwareDatetime
    changed: AwareDatetime
    cleared: AwareDatetime | None
    until: AwareDatetime | None = None
    announced: str = ""

    @classmethod
    def of(cls, alarm: ToldAlarm, announced: str = "") -> TenantAlarm:
        """An alarm that concerns the tenant, or did.

        The text of a shared alarm is not disclosed, since it may say anything; but for Minka's own words on lost mains,
        which prove what an agreement leaves out of the contract.
        """
        proves = alarm.source is AlarmSource.CHECK and alarm.probable_cause in SUPPLY_CAUSES
        return cls(
            id=alarm.id,
            station=alarm.station if alarm.part.there else "",
            object=alarm.object if alarm.part.named else alarm.object_class.value,
            object_class=alarm.object_class,
            tenant=alarm.tenant,
            cells=alarm.cells,
            probable_cause=alarm.probable_cause,
            severity=alarm.severity,
            text=alarm.text if alarm.tenant or proves else "",
            source=alarm.source,
            state=alarm.state,
            raised=alarm.raised,
            changed=alarm.changed,
            cleared=alarm.cleared,
            until=alarm.until,
            announced=announced,
        )


#: Fields of an alarm that each tenant that it concerns sees as they are.
_SEEN_BY_ALL = ("severity", "state", "cleared", "source")


def shows(was: Alarm, now: Alarm) -> bool:
    """Whether a change of an alarm shows in what a tenant is told of it, besides its part (``part_of``)."""
    seen = (*_SEEN_BY_ALL, "text") if now.tenant else _SEEN_BY_ALL
    return any(getattr(was, name) != getattr(now, name) for name in seen)


def visible_comment(said: Comment, tenant: str) -> Comment:
    """A comment as a tenant reads it: a comment of the host shows neither its author nor its other readers."""
    return said if said.side == tenant else said.model_copy(update={"by": HOST, "to": (tenant,)})


class TenantIncident(Noun):
    """An incident as a tenant sees it: as if there were only the alarms that concern it.

    Attributes:
        root: What failed, as far as the tenant may know: what follows from nothing that it is told of, and stands; once
            none of that does, what stood last, so that the end of an incident changes nothing of what it was told.
        opened: When the first alarm was raised that concerns it.
        closed: When the last alarm that concerns it cleared, or ceased to concern it; None while one stands.
        cells: Affected cells that are shared with it; after the end of the incident, all that were affected.
        people: Population of the sites of these cells.
        standing: Number of standing alarms that concern it.
        losing: Service that its alarms take away from the tenant, or took away; None if none does.
        merged_into: Id of the incident that it is part of now; empty if it is one by itself.
    """

    id: str
    state: IncidentState
    root: TenantAlarm
    severity: PerceivedSeverity
    opened: AwareDatetime
    changed: AwareDatetime
    closed: AwareDatetime | None
    cells: tuple[str, ...]
    people: int
    standing: int
    losing: Loss | None = None
    merged_into: str = ""

    @classmethod
    def of(cls, incident: str, alarms: Sequence[ToldAlarm], losing: Loss | None = None) -> TenantIncident:
        """An incident from its alarms that the tenant is told of (at least one), and what these take away from it."""
        own = {alarm.id for alarm in alarms}
        last = max(_times(one.cleared or one.until for one in alarms if one.root not in own), default=None)

        def gone(one: ToldAlarm) -> bool:
            return not one.stands and (one.cleared or one.until) != last

        # What stands goes before what ended last, and that before all else.
        root = min(alarms, key=lambda one: (one.root in own, not one.stands, gone(one), one.order))
        standing = [one for one in alarms if one.stands]
        described = standing or alarms
        cells = tuple(sorted({cell for one in described for cell in one.cells}))
        into = "" if any(one.incident == incident for one in alarms) else root.incident
        state = IncidentState.OPEN if standing else IncidentState.CLOSED
        return cls(
            id=incident,
            state=IncidentState.MERGED if into else state,
            merged_into=into,
            root=TenantAlarm.of(root),
            severity=gravest((one.probable_cause, one.severity) for one in described),
            opened=min(one.raised for one in alarms),
            changed=max(one.changed for one in alarms),
            closed=None if standing else max(_times(one.cleared or one.until for one in alarms)),
            cells=cells,
            people=sum({site: people for one in described for site, people in one.sites.items()}.values()),
            standing=len(standing),
            losing=losing,
        )


class TenantIncidentStory(TenantIncident):
    """The same with its alarms, and what it cost the tenant.

    Attributes:
        minutes: Minutes without service; None where there were none.
        agreements: Minutes that the tenant's agreements lost this month, and how many they allow.
    """

    alarms: tuple[TenantAlarm, ...]
    minutes: TenantMinutes | None
    agreements: tuple[AgreementMinutes, ...]
    comments: tuple[Comment, ...]


#: Kinds of statement that a tenant gets for its own months; other kinds reveal the usage of others.
STATEMENTS = (StatementKind.SLA, StatementKind.VOLUME, StatementKind.QUALITY, StatementKind.SETTLEMENT)


def visible_statement(issued: IssuedStatement) -> IssuedStatement:
    """A tenant's own statement, without the name of the person at the host who issued it."""
    return issued.model_copy(update={"by": HOST})


def visible_proof(found: StatementProof) -> StatementProof:
    """What a tenant learns of a file of its own statement.

    Number and hash of an audit row are the host's: the number counts what all sides did, and the hash covers who issued
    the statement. A tenant has the signed note, and the proofs between heads of the log.
    """
    return found.model_copy(update={"statement": visible_statement(found.statement), "row": 0, "hash": ""})


# ------------------------------------------------------------------- audit trail

#: The act that ends a job; its object is the job.
JOB_FINISHED = "job.finished"
#: The host approves in a tenant's place by a contractual reason; its object is the run with the tenant.
DECIDED = "run.decided-for-tenant"
#: The host lets a run work in spite of a tenant's own windows or freezes; its object is the run with the tenant.
OVERRIDDEN = "run.overridden-for-tenant"
#: Such acts, each with the details that its tenant reads.
_IN_ITS_PLACE = {DECIDED: ("contracts", "reason"), OVERRIDDEN: ("agreements", "freeze", "stations", "reason")}
DONE_FOR_TENANT = tuple(_IN_ITS_PLACE)
#: Acts of the host upon a freeze whose target is the tenant, each with the details that it reads.
_ON_FREEZES = {"freeze.put": ("freeze", "begins", "ends", "reason"), "freeze.lifted": ("freeze",)}
FREEZE_ACTS = tuple(_ON_FREEZES)
#: A run is cancelled; an act of the trail of tenants with jobs of their own under way then.
CANCELLED = "run.cancel-requested"
#: Jobs of a run ended before they began: it stopped, or nothing asks for them any more. An act of the trail of tenants
#: whose own jobs are among them.
JOBS_ENDED = "run.jobs-ended"
#: Acts of the host upon a tenant's runs and jobs that are disclosed, without who did them.
VISIBLE_ACTS = ("run.created", CANCELLED, JOBS_ENDED, JOB_FINISHED)


def visible_act(row: AuditRow, number: int, own: bool) -> AuditRow:
    """A row of a tenant's audit trail, numbered within it; an act of the host shows only act, time and object.

    Where the host decided in its place, it shows by which of its contracts, and why; where it overrode or lifted what
    is the tenant's own, what that is, and why.
    """
    if (told := {**_IN_ITS_PLACE, **_ON_FREEZES}.get(row.action)) is not None and not own:
        done_to, _, _ = row.object.partition(" ")
        said = {name: text for name, text in row.detail.items() if name in told}
        return AuditRow(id=number, at=row.at, actor=HOST, action=row.action, object=done_to, detail=said)
    detail = {name: row.detail[name] for name in _OWN_DETAILS if name in row.detail} if own else {}
    # A job's id reveals its wave, and with it that there are other stations.
    run, _, rest = row.object.partition(".")
    done_to = f"{run} {rest.partition('.')[2]}" if row.action == JOB_FINISHED else row.object
    return AuditRow(
        id=number, at=row.at, actor=row.actor if own else HOST, action=row.action, object=done_to, detail=detail
    )


# --------------------------------------------------------------------- indicators

#: Counters of a shared cell that each tenant on it sees as they are: none of them depends on what others do.
SHARED_COUNTERS = frozenset({"RRU.CellUnavailableTime.fault", "RRU.PrbAvailDl", "RRU.PrbAvailUl"})


def tenant_kpis(kpis: Iterable[Kpi]) -> tuple[Kpi, ...]:
    """Indicators that a tenant sees: they use its own counts, and counters that each tenant on a cell may see."""
    return tuple(
        kpi
        for kpi in kpis
        if Level.TENANT in kpi.levels
        and all(SHARED_COUNTERS.issuperset(one.names) for one in kpi.counters if one.whole)
    )


def visible_measured(scope: TenantScope, period: Measured) -> Measured:
    """A station's period, reduced to the cells that are shared with the tenant."""
    cells = {cell: counted for cell, counted in period.cells.items() if scope.at_cell(period.station, cell)}
    return period.model_copy(update={"cells": cells})
