"""What a caller sees of the record: the host everything, a tenant its own part.

Routes that a tenant may call read the record only through ``CallerView``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import date, datetime, timedelta
from functools import partial
from typing import Annotated, Any, NamedTuple, Protocol, TypeVar

from fastapi import Depends, Request
from pydantic import AwareDatetime, BaseModel
from starlette.concurrency import run_in_threadpool

from controller.access import disclosure
from controller.access.disclosure import (
    TenantAlarm,
    TenantFunction,
    TenantIncident,
    TenantIncidentStory,
    TenantJob,
    TenantPlan,
    TenantPlanHead,
    TenantRun,
    TenantStation,
)
from controller.access.roles import may
from controller.access.tenant_scope import KINDS, TenantScope, listed_scope, live_scope, tenant_scope
from controller.access.votes import is_approved
from controller.api.drafts import Wanted
from controller.api.on_call import SideOnCall, on_call_at
from controller.api.reports import RepairDecision, RunEvidence, TenantIncidentReport, evidence_of
from controller.api.services import Backend, Body, Services
from controller.assurance.health import wrongs
from controller.intent.cloud_contracts import carried
from controller.intent.impact import core_node_in
from controller.intent.incidents import path_of
from controller.intent.placement import place
from controller.inventory.source import show, suggest, unknown
from controller.models.alarm import Alarm, AlarmFilter, AlarmState, Comment, PerceivedSeverity, ToldAlarm
from controller.models.announced_work import AnnouncedWork
from controller.models.approval import Freeze, Notice
from controller.models.audit import PublishedHead
from controller.models.collection import Collection as DataCollection
from controller.models.enums import ProposalState
from controller.models.errors import AbsentError, DeviceError, NotFoundError
from controller.models.evidence import Extension
from controller.models.health import Health
from controller.models.incident import (
    AgreementMinutes,
    Incident,
    IncidentFilter,
    IncidentState,
    Rank,
    Suspect,
    TenantMinutes,
    gravest,
)
from controller.models.measurement import HOUR, QUARTER, Measured
from controller.models.network import Network
from controller.models.on_call import Call
from controller.models.people import Permission, Person
from controller.models.plan import Plan
from controller.models.run import AuditRow, Hold, Job, Run, RunState, Wait
from controller.models.signed_note import PublicKey
from controller.models.statement import IssuedStatement, Statement, StatementForm, StatementKind, StatementProof
from controller.models.waiting import ways
from controller.nrm.tree import Observed
from controller.observe.exposition import ScrapeScope
from controller.performance.kpi_evaluation import FRESH, KpiEvaluation
from controller.performance.kpis import Kpi, Subscribers, kpis_of, subscribers_where_shared
from controller.plan import Ledgers
from controller.ports.clock import Clock
from controller.remediation.dispatch import suspects_of
from controller.remediation.rules import rules_in_force
from controller.store import EVER, AuditQuery, Page, PlanHead, StatementFilter, Store
from controller.store.lock_holders import LockHolder, lock_holders
from controller.store.placements import closures_now, replicas_of, running_on

Read = TypeVar("Read")
#: Wraps what a request waits for outside of this process (``Turn.left``).
Apart = Callable[[], AbstractAsyncContextManager[None]]

#: Most open incidents to rank; most alarms of an incident to show.
_OPEN, _PARTS = 100_000, 100
#: Kinds of objects to suggest for an unknown id.
_NEWEST = Page(limit=200)


class Indicators(Body):
    """Values of the indicators (KPIs) of a station.

    Attributes:
        until: End of the judged hour.
        values: By indicator, in its unit; an indicator that could not be judged is missing.
        degradations: For watched indicators, by how many times its tolerance each is worse than usual, at the lower
            end of the 95 % interval; above 1 it is degraded.
    """

    until: AwareDatetime
    values: dict[str, float]
    degradations: dict[str, float]


class DeviceView(Body):
    """A station on record with its latest health.

    Attributes:
        health_age: Seconds since its last check; None before the first.
        collection: State of its collection of performance data; None if it is not collected.
        indicators: None if none was judged in the last three hours.
        beside: Ids of managed elements that may stand beside its own, as agreed when it was adopted.
        lock_holders: Who locked each cell (by id) and core link (by path) that is locked, by which run and why; told
            where one station is asked for.
    """

    station: str
    site: str
    region: str
    profiles: tuple[str, ...]
    adopted: datetime | None
    applied: datetime | None
    retired: datetime | None
    beside: tuple[str, ...]
    network_digest: str
    health: Health | None
    health_age: float | None
    collection: DataCollection | None
    indicators: Indicators | None
    lock_holders: dict[str, LockHolder] = {}


class FunctionView(TenantFunction):
    """A function: its package, what it carries, where it runs, where it would go and why.

    Attributes:
        owner: The host, or the tenant that owns it.
        pool: The pool where it should run; empty if no pool has room.
        latency_us: One-way latency from that pool to the site of its farthest station; for a CU, to the farthest pool
            where its DU may run.
        adopted: Whether Minka manages it.
        faults: Its faults in words, at the last check.
        outdated: Whether a run has changed it since that check.
    """

    owner: str
    pool: str
    latency_us: int
    reason: str
    adopted: bool
    faults: tuple[str, ...]
    outdated: bool


class RunView(Run):
    """A run, with what it waits for, since when, and who can end the wait; a pause comes first."""

    waits_for: tuple[Wait, ...] = ()


class AlarmView(Alarm):
    """An alarm, with what its repair waits for, since when, and who can end the wait.

    Attributes:
        symptoms: Number of standing alarms that follow from it.
        gravest: Its severity together with theirs, by which alarms are listed.
        announced: Id of the tenant's announced work that explains it, or empty.
        shelved: Whether it is shelved now.
    """

    waits_for: tuple[Wait, ...] = ()
    symptoms: int = 0
    gravest: PerceivedSeverity = PerceivedSeverity.INDETERMINATE
    announced: str = ""
    shelved: bool = False


class IncidentView(Incident):
    """An incident as the host sees it.

    Attributes:
        rank: Rank among open incidents, from 1; 0 if it is not open.
        why: The rank with its reason.
        because: The reason alone.
        correlating: Whether it is still worked out which alarms are part of it.
    """

    rank: int = 0
    why: str = ""
    because: str = ""
    correlating: bool = False


class IncidentStory(IncidentView):
    """An incident with all that is known of it.

    Attributes:
        path: From the core to the root, and on to what it affects.
        suspects: Places where the fault of its root may be, the nearest first, if it may be at several.
        alarms: Its first alarms, present and past, the root first.
        alarms_in_all: Number of all its alarms, present and past.
        minutes: Minutes lost by each tenant.
        agreements: Minutes that the agreements of these tenants lost this month, and how many they allow.
        timeline: Acts, decisions and comments with their reasons, oldest first.
        comments: Comments of people, oldest first.
    """

    path: tuple[str, ...]
    suspects: tuple[Suspect, ...]
    alarms: tuple[AlarmView, ...]
    alarms_in_all: int
    minutes: tuple[TenantMinutes, ...]
    agreements: tuple[AgreementMinutes, ...]
    timeline: tuple[AuditRow, ...]
    comments: tuple[Comment, ...]


class IncidentReport(IncidentStory):
    """The report of an incident for the host.

    Attributes:
        decisions: Decisions of rules and people about repairs, a refusal with its reason, oldest first.
        runs: Repair runs, with evidence from devices.
        health: Health of the root's device at its last check; None if the root has no device.
    """

    decisions: tuple[RepairDecision, ...]
    runs: tuple[RunEvidence, ...]
    health: Health | None


def _incident_view(one: Incident, ranks: Mapping[str, Rank], correlating: Collection[str]) -> dict[str, Any]:
    rank = ranks.get(one.id, Rank(0, ""))
    said = {"rank": rank.rank, "why": rank.why, "because": rank.because, "correlating": one.id in correlating}
    return {**dict(one), **said}


def _in_time(said: Iterable[Comment]) -> tuple[Comment, ...]:
    return tuple(sorted(said, key=lambda one: (one.at, one.id)))


def _fields(story: BaseModel) -> dict[str, Any]:
    return {name: getattr(story, name) for name in type(story).model_fields}


def _note_of(alarm: Alarm) -> str:
    """The note of an alarm; of one that is over, nothing that its repair waited for."""
    return "" if alarm.cleared is not None and alarm.waits else alarm.note


def _waits_of(alarm: Alarm, waits: Mapping[str, tuple[Wait, ...]]) -> tuple[Wait, ...]:
    """What an alarm's repair waits for: the waits of its run; before it has one, its note."""
    if alarm.state is AlarmState.REPAIRING:
        return waits.get(alarm.run, ())
    if alarm.state is not AlarmState.RAISED or not alarm.waits:
        return ()
    return (Wait(codes=alarm.waits, what=alarm.awaits, since=alarm.raised, who=ways(alarm.waits)),)


def _file_of(
    store: Store, kind: StatementKind, tenant: str, month: str, version: int | None, form: StatementForm
) -> tuple[IssuedStatement, bytes]:
    issued, _ = store.statements.get(kind, tenant, month, version)
    return issued, store.statements.file(issued.id, form)


async def _draft_of(services: Services, wanted: Wanted) -> Statement:
    """A draft, from the record of these services."""
    return await services.drafts.get(wanted, services.settings.database, services.clock)


def _judged(store: Store, names: Collection[str], clock: Clock) -> dict[str, KpiEvaluation]:
    """Recent indicators of stations."""
    return {one.of: one for one in store.kpi_evaluations.stations(names, clock.now() - FRESH)}


def _shortest(store: Store) -> int:
    """Seconds of the shortest level: hours for periods longer than a quarter of an hour."""
    performance = store.networks.get()[1].header.performance
    return QUARTER if performance is None or performance.granularity_minutes * 60 <= QUARTER else HOUR


def _works_now(store: Store, clock: Clock, tenant: str | None = None) -> list[AnnouncedWork]:
    now = clock.now()
    return store.works.during(now, now + timedelta(microseconds=1), tenant)


def _announced(alarm: Alarm, works: Sequence[AnnouncedWork]) -> str:
    """Id of the announced work that explains an alarm, or empty."""
    node = core_node_in(alarm) if works and alarm.tenant else ""
    return next((work.id for work in works if work.covers(alarm.tenant, node)), "")


class LiveConfig(Body):
    """A station's managed nodes and their state, read now; for a tenant its own, and the state of shared cells.

    On days when no agreement of the tenant is in force there, its own nodes as on record, and no state.
    """

    station: str
    tree: dict[str, dict[str, Any]]
    state: dict[str, dict[str, Any]]
    unknown: tuple[str, ...]


class Asked(NamedTuple):
    """What people of a side are asked for: an approval, or an answer to a rule.

    Attributes:
        of: What it is about, as in ``run r-21748f9c95 lock-cell``.
        who: Who may answer.
        devices: Number of devices; empty where it is not known.
    """

    what: str
    of: str
    since: datetime
    who: str
    devices: int | str


#: Most proposals of rules that wait for an answer.
_ASKED = Page(limit=1000)


class Bounds(NamedTuple):
    """What bound or let act at a time.

    Attributes:
        digests: Digests of the rules in force, by name; empty before any were put in force.
    """

    holds: tuple[Hold, ...]
    freezes: tuple[Freeze, ...]
    digests: Mapping[str, str]


class View(Protocol):
    """What one caller sees. An object that the caller may not see raises NotFoundError, as if it did not exist."""

    @property
    def clock(self) -> Clock:
        """Source of time."""
        ...

    async def shared(self, what: str, read: Callable[[], Read]) -> Read:
        """Read the record in a thread, shared by all followers of the same subject for the host, or for one tenant."""
        ...

    def network(self) -> tuple[str, Network]:
        """The network and its digest; a tenant's also has what ended agreements shared, of which it reads what was."""
        ...

    def listed(self) -> tuple[str, Network]:
        """The network as it may be listed now, and its digest."""
        ...

    def kinds(self) -> tuple[str, ...]:
        """Kinds of network objects that may be listed."""
        ...

    def stations(self, names: Sequence[str]) -> Sequence[DeviceView | TenantStation]:
        """Stations of the network, with their record."""
        ...

    def station(self, name: str) -> DeviceView | TenantStation:
        """A station of the network, with its record."""
        ...

    def functions(self, names: Sequence[str]) -> Sequence[FunctionView | TenantFunction]:
        """Functions of the network, with their record."""
        ...

    def ledgers(self, names: Sequence[str]) -> Ledgers:
        """Nodes that are ours on these stations."""
        ...

    async def config(self, station: str, apart: Apart) -> LiveConfig:
        """A station of the network, read now; ``apart`` is entered while the station is read."""
        ...

    def plans(self, page: Page) -> tuple[int, Sequence[PlanHead | TenantPlanHead]]:
        """Total and one page of plans, newest first."""
        ...

    def plan(self, plan_id: str) -> Plan | TenantPlan:
        """A plan."""
        ...

    def runs(self, page: Page, states: Iterable[RunState] | None) -> tuple[int, Sequence[RunView | TenantRun]]:
        """Total and one page of runs, newest first."""
        ...

    def run(self, run_id: str) -> RunView | TenantRun:
        """A run."""
        ...

    def jobs(self, run_id: str) -> Sequence[Job | TenantJob]:
        """Jobs of a run."""
        ...

    def alarms(
        self, page: Page, like: AlarmFilter | None = None, *, newest: bool = False
    ) -> tuple[int, Sequence[AlarmView | TenantAlarm]]:
        """Total and one page of alarms: those that stand first, the gravest first; or all of them, newest first."""
        ...

    def alarm(self, alarm_id: str) -> AlarmView | TenantAlarm:
        """An alarm."""
        ...

    def comments(self, alarm_id: str) -> list[Comment]:
        """Comments on an alarm, oldest first."""
        ...

    def said(self, begin: datetime, end: datetime) -> list[Comment]:
        """Comments on anything from one time to before another, oldest first."""
        ...

    @property
    def shifts(self) -> str:
        """When shifts begin (``Settings.shifts``)."""
        ...

    def agreements(self) -> tuple[AgreementMinutes, ...]:
        """Minutes that agreements lost this month."""
        ...

    def bounds(self, at: datetime) -> Bounds:
        """Holds, and freezes in force or to come, at a time, and the rules then; nothing for a tenant."""
        ...

    def asked(self, who: Person) -> list[Asked]:
        """What a person's side is asked for beside what runs wait for, as far as that person may answer it."""
        ...

    def incidents(self, page: Page, like: IncidentFilter) -> tuple[int, Sequence[IncidentView | TenantIncident]]:
        """Total and one page of incidents: by rank if only open ones are requested, else newest first."""
        ...

    def incident(self, incident_id: str) -> IncidentStory | TenantIncidentStory:
        """An incident with all that is known of it."""
        ...

    def report(self, incident_id: str) -> IncidentReport | TenantIncidentReport:
        """The report of an incident."""
        ...

    def kpis(self) -> tuple[Kpi, ...]:
        """Definitions of indicators, by name."""
        ...

    def measured(self, begin: datetime, end: datetime, seconds: int, stations: Collection[str]) -> Iterator[Measured]:
        """What stations counted, by station and time."""
        ...

    def shortest(self) -> int:
        """Seconds of the shortest level that all stations have."""
        ...

    def subscribers(self) -> Mapping[str, Subscribers]:
        """The subjects of each tenant whose counts the caller may see separately."""
        ...

    def notices(self, page: Page) -> tuple[int, list[Notice]]:
        """Total and one page of notices of planned work to tenants, newest first."""
        ...

    def planned_work(self, begins: datetime) -> list[Notice]:
        """Notices of planned work to tenants that begins at that time or later, newest first."""
        ...

    def metrics(self, asked: ScrapeScope) -> bytes:
        """The page of metrics. Raises NotFoundError: there is no such tenant or region."""
        ...

    def works(self, page: Page) -> tuple[int, list[AnnouncedWork]]:
        """Total and one page of work that tenants announced on their cores, newest first."""
        ...

    def on_call(self, at: datetime) -> list[SideOnCall]:
        """Who is on call at a time, by side."""
        ...

    def calls(self, page: Page, *, unacknowledged: bool) -> tuple[int, list[Call]]:
        """Total and one page of calls, newest first; those that nobody acknowledged by gravity, for the host."""
        ...

    def statements(self, page: Page, like: StatementFilter) -> tuple[int, list[IssuedStatement]]:
        """Total and one page of statements on record, newest first."""
        ...

    def statement(
        self, kind: StatementKind, tenant: str, month: str, version: int | None, form: StatementForm
    ) -> tuple[IssuedStatement, bytes]:
        """A file of a statement on record, of its latest version by default."""
        ...

    def statement_note(self, kind: StatementKind, tenant: str, month: str, version: int | None) -> str:
        """The signed note about an issued statement, of its latest version by default."""
        ...

    async def draft(self, kind: StatementKind, tenant: str, month: str, apart: Apart) -> Statement:
        """A statement as it would be issued now, which is on no record."""
        ...

    def proof(self, digest: str) -> StatementProof:
        """Which statement a file is of, by its SHA-256."""
        ...

    def public_keys(self) -> list[PublicKey]:
        """Keys that verify what was signed."""
        ...

    def trail_heads(self, page: Page) -> tuple[int, list[PublishedHead]]:
        """Total and one page of published heads of the audit trail, newest first."""
        ...

    def trail_extension(self, earlier: int) -> Extension:
        """The newest head, with the proof that its log extends that of ``earlier`` leaves."""
        ...

    def audit_rows(self, page: Page, wanted: AuditQuery) -> tuple[int, list[AuditRow]]:
        """Total and one page of the requested audit rows, newest first."""
        ...


class _Published:
    """What is published to all alike."""

    _store: Store

    def public_keys(self) -> list[PublicKey]:
        """See ``View``."""
        return self._store.trail.public_keys()

    def trail_heads(self, page: Page) -> tuple[int, list[PublishedHead]]:
        """See ``View``."""
        return self._store.trail.heads(page)

    def trail_extension(self, earlier: int) -> Extension:
        """See ``View``."""
        return self._store.trail.extension(earlier)


class HostView(_Published):
    """The view of the host: the whole record."""

    def __init__(self, services: Services) -> None:
        self._store = services.store
        self._planner = services.planner
        self._followed = services.followed
        self._services = services
        self._exposition = services.exposition
        self.clock = services.clock
        self.shifts = services.settings.shifts

    async def shared(self, what: str, read: Callable[[], Read]) -> Read:
        """See ``View``."""
        found: Read = await self._followed.get(("", what), self.clock, partial(run_in_threadpool, read))
        return found

    def network(self) -> tuple[str, Network]:
        """See ``View``."""
        return self._store.networks.get()

    def listed(self) -> tuple[str, Network]:
        """See ``View``."""
        return self.network()

    def kinds(self) -> tuple[str, ...]:
        """See ``View``."""
        return tuple(name for name in Network.model_fields if name != "header")

    def stations(self, names: Sequence[str]) -> list[DeviceView]:
        """See ``View``."""
        _, network = self._store.networks.get()
        records, healths = self._store.devices.find(names), self._store.healths.find(names)
        collections, judged = self._store.collections.find(names), _judged(self._store, names, self.clock)
        found, now = [], self.clock.now()
        for name in names:
            record = records.get(name)
            # What was seen of a station before it went out of service says nothing of it any more.
            health = None if record is not None and record.retired is not None else healths.get(name)
            found.append(
                DeviceView(
                    station=name,
                    site=network.site_of(name),
                    region=network.region_of(name),
                    profiles=network.profiles_of(name),
                    adopted=record.adopted if record else None,
                    applied=record.applied if record else None,
                    retired=record.retired if record else None,
                    beside=record.beside if record else (),
                    network_digest=record.network_digest if record else "",
                    health=health,
                    health_age=None if health is None else max(0.0, (now - health.at).total_seconds()),
                    collection=collections.get(name),
                    indicators=(one := judged.get(name)) and Indicators(until=one.end, **one.whole._asdict()),
                )
            )
        return found

    def station(self, name: str) -> DeviceView:
        """See ``View``."""
        (found,) = self.stations([name])
        return found if found.health is None else found.model_copy(update={"lock_holders": self._holders(found.health)})

    def _holders(self, health: Health) -> dict[str, LockHolder]:
        """Who locked what is locked at a station."""
        named = {cell: f"cell {cell}" for cell in health.locked}
        named |= {link.path: f"core link {link.path.rpartition('/')[2]}" for link in health.links if link.locked}
        links = [one for one in named if one not in health.locked]
        ours = lock_holders(self._store, health.station, EVER, cells=health.locked, links=links)
        return {one: ours.get(one) or LockHolder(name=name) for one, name in named.items()}

    def functions(self, names: Sequence[str]) -> list[FunctionView]:
        """See ``View``."""
        _, network = self._store.networks.get()
        now = self.clock.now()
        day, closures = network.day(now), closures_now(self._store, network, now)
        running = running_on(self._store, network.function_by_id)
        choices = place(network, day, running, closures, applied=replicas_of(self._store, running)).choices
        records, healths = self._store.devices.find(names), self._store.healths.find(names)
        read = {name: health.at for name, health in healths.items() if health.function}
        jobs = self._store.runs.ended_jobs(read, min(read.values())) if read else ()
        outdated = {job.station for job in jobs if job.finished > read[job.station] and job.changes}
        return [
            FunctionView(
                **dict(placed),
                owner=network.function_by_id[placed.function].side,
                pool=choices[placed.function].pool,
                latency_us=choices[placed.function].latency_us,
                reason=choices[placed.function].reason,
                adopted=(record := records.get(placed.function)) is not None and record.adopted is not None,
                faults=_faults(health) if (health := healths.get(placed.function)) else (),
                outdated=placed.function in outdated,
            )
            for placed in _functions(self._store, network, day, names, network.station_by_id)
        ]

    def ledgers(self, names: Sequence[str]) -> Ledgers:
        """See ``View``."""
        return self._store.ledger.find(names)

    async def config(self, station: str, apart: Apart) -> LiveConfig:
        """See ``View``."""
        _, network = await run_in_threadpool(self._store.networks.get)
        async with apart():
            observed = await self._planner.read(network, station, beside=True)
        return LiveConfig(
            station=station,
            tree={path: dict(leaves) for path, leaves in observed.tree.items()},
            state={path: dict(leaves) for path, leaves in observed.state.items()},
            unknown=observed.unknown,
        )

    def plans(self, page: Page) -> tuple[int, list[PlanHead]]:
        """See ``View``."""
        return self._store.plans.page(page)

    def plan(self, plan_id: str) -> Plan:
        """See ``View``."""
        try:
            return self._store.plans.get(plan_id)
        except NotFoundError as error:
            newest = (plan.id for plan in self._store.plans.page(_NEWEST)[1])
            raise NotFoundError.of("plan", show(plan_id), suggest(plan_id, newest)) from error

    def runs(self, page: Page, states: Iterable[RunState] | None) -> tuple[int, list[RunView]]:
        """See ``View``."""
        total, found = self._store.runs.page(page, states)
        return total, self._waiting(found)

    def run(self, run_id: str) -> RunView:
        """See ``View``."""
        try:
            return self._waiting([self._store.runs.get(run_id)])[0]
        except NotFoundError as error:
            newest = (run.id for run in self._store.runs.page(_NEWEST)[1])
            raise NotFoundError.of("run", show(run_id), suggest(run_id, newest)) from error

    def _waiting(self, found: Sequence[Run]) -> list[RunView]:
        waits = self._waits([run.id for run in found if not run.state.terminal])
        return [RunView.model_construct(**dict(run), waits_for=waits.get(run.id, ())) for run in found]

    def _waits(self, run_ids: Collection[str]) -> dict[str, tuple[Wait, ...]]:
        """What runs wait for; a worker is named last, since what people decide comes first."""
        waits, unworked = self._store.runs.waits(run_ids), self._store.runs.unworked(run_ids)
        for run, wait in unworked.items():
            waits[run] = (*waits.get(run, ()), wait)
        return waits

    def jobs(self, run_id: str) -> list[Job]:
        """See ``View``."""
        self._store.runs.get(run_id)
        return self._store.runs.jobs(run_id)

    def alarms(
        self, page: Page, like: AlarmFilter | None = None, *, newest: bool = False
    ) -> tuple[int, list[AlarmView]]:
        """See ``View``."""
        total, found = self._store.alarms.page(page, None, like, newest=newest)
        return total, self._with_waits(found)

    def alarm(self, alarm_id: str) -> AlarmView:
        """See ``View``."""
        return self._with_waits([self._store.alarms.get(alarm_id)])[0]

    def _with_waits(self, found: Sequence[Alarm]) -> list[AlarmView]:
        repairing = [alarm.run for alarm in found if alarm.state is AlarmState.REPAIRING]
        waits = self._waits(repairing) if repairing else {}
        symptoms = self._store.alarms.symptoms([alarm.id for alarm in found])
        works, now = _works_now(self._store, self.clock), self.clock.now()
        return [
            AlarmView.model_construct(
                **dict(one) | {"note": _note_of(one)},
                waits_for=_waits_of(one, waits),
                symptoms=(below := symptoms.get(one.id, Counter())).total(),
                gravest=gravest([(one.probable_cause, one.severity), *below]),
                announced=_announced(one, works),
                shelved=one.is_shelved(now),
            )
            for one in found
        ]

    def comments(self, alarm_id: str) -> list[Comment]:
        """See ``View``."""
        self._store.alarms.get(alarm_id)
        return self._store.comments.on(alarm_id)

    def said(self, begin: datetime, end: datetime) -> list[Comment]:
        """See ``View``."""
        return self._store.comments.said(begin, end)

    def agreements(self) -> tuple[AgreementMinutes, ...]:
        """See ``View``."""
        return self._store.incidents.agreements()

    def bounds(self, at: datetime) -> Bounds:
        """See ``View``."""
        store = self._store
        try:
            digests = {rule.name: rule.digest for rule in rules_in_force(store, at)}
        except NotFoundError:
            digests = {}
        holds = tuple(one for one in store.holds.find(at) if one.created < at)
        return Bounds(holds, tuple(one for one in store.freezes.find(at) if one.created < at), digests)

    def asked(self, who: Person) -> list[Asked]:
        """See ``View``: rules that ask for a yes. What runs wait for has approvals of all sides."""
        found = self._store.rules.page(_ASKED, (ProposalState.ASKED,), "", "")[1] if not who.tenant else []
        return [
            Asked(
                f"a yes to {one.playbook or 'a ticket'}, by rule {one.rule}",
                f"alarm {one.alarm}",
                one.at,
                "operators",
                "",
            )
            for one in found
        ]

    def incidents(self, page: Page, like: IncidentFilter) -> tuple[int, list[IncidentView]]:
        """See ``View``."""
        ranks = self._store.incidents.ranks()
        if like.states == (IncidentState.OPEN,):
            total, found = self._store.incidents.page(Page(limit=_OPEN), like)
            found.sort(key=lambda one: ranks.get(one.id, Rank(_OPEN, "")).rank)
            found = found[page.offset : page.offset + page.limit]
        else:
            total, found = self._store.incidents.page(page, like)
        left = self._store.incidents.correlating()
        return total, [IncidentView.model_construct(**_incident_view(one, ranks, left)) for one in found]

    def incident(self, incident_id: str) -> IncidentStory:
        """See ``View``."""
        one = self._store.incidents.get(incident_id)
        parts = sorted(self._store.incidents.alarms(incident_id), key=lambda alarm: alarm.id != one.root)
        path, places = self._places(one, parts)
        agreements = self._store.incidents.agreements()
        return IncidentStory(
            **_incident_view(one, self._store.incidents.ranks(), self._store.incidents.correlating()),
            path=path,
            suspects=places,
            alarms=tuple(self._with_waits(parts[:_PARTS])),
            alarms_in_all=len(parts),
            minutes=self._store.incidents.minutes(incident_id),
            agreements=tuple(each for each in agreements if each.tenant in one.tenants),
            timeline=tuple(self._store.incidents.timeline(incident_id)),
            comments=tuple(self._store.comments.on(incident_id)),
        )

    def _places(self, one: Incident, parts: Sequence[Alarm]) -> tuple[tuple[str, ...], tuple[Suspect, ...]]:
        """The path of an incident, and the places where its fault may be if these are several."""
        try:
            network = self._store.networks.get()[1]
        except NotFoundError:  # no network was loaded yet
            return (), ()
        root = next((alarm for alarm in parts if alarm.id == one.root), None)
        places = suspects_of(self._store, network, root) if root is not None else ()
        return path_of(network, one), places if len(places) > 1 else ()

    def report(self, incident_id: str) -> IncidentReport:
        """See ``View``."""
        story = self.incident(incident_id)
        decisions, runs = evidence_of(self._store, story.alarms)
        said = _in_time((*story.comments, *(one for alarm in story.alarms for one in self.comments(alarm.id))))
        health = self._store.healths.find([story.station]).get(story.station) if story.station else None
        more = {"decisions": decisions, "runs": runs, "health": health, "comments": said}
        return IncidentReport(**_fields(story) | more)

    def kpis(self) -> tuple[Kpi, ...]:
        """See ``View``."""
        return kpis_of(self._store.definitions.get())

    def measured(self, begin: datetime, end: datetime, seconds: int, stations: Collection[str]) -> Iterator[Measured]:
        """See ``View``."""
        return self._store.measurements.read(begin, end, seconds, stations)

    def shortest(self) -> int:
        """See ``View``."""
        return _shortest(self._store)

    def subscribers(self) -> dict[str, Subscribers]:
        """See ``View``."""
        _, network = self._store.networks.get()
        return {tenant: subscribers_where_shared(network, tenant) for tenant in network.tenant_by_id}

    def notices(self, page: Page) -> tuple[int, list[Notice]]:
        """See ``View``."""
        return self._store.notices.page(page)

    def planned_work(self, begins: datetime) -> list[Notice]:
        """See ``View``."""
        return self._store.notices.planned(begins)

    def metrics(self, asked: ScrapeScope) -> bytes:
        """See ``View``."""
        return self._exposition(asked)

    def works(self, page: Page) -> tuple[int, list[AnnouncedWork]]:
        """See ``View``."""
        return self._store.works.page(page)

    def on_call(self, at: datetime) -> list[SideOnCall]:
        """See ``View``."""
        return self._store.transaction(on_call_at, at)

    def calls(self, page: Page, *, unacknowledged: bool) -> tuple[int, list[Call]]:
        """See ``View``."""
        return self._store.calls.page(page, unacknowledged=unacknowledged)

    def statements(self, page: Page, like: StatementFilter) -> tuple[int, list[IssuedStatement]]:
        """See ``View``."""
        return self._store.statements.page(page, like)

    def statement(
        self, kind: StatementKind, tenant: str, month: str, version: int | None, form: StatementForm
    ) -> tuple[IssuedStatement, bytes]:
        """See ``View``."""
        return _file_of(self._store, kind, tenant, month, version, form)

    def statement_note(self, kind: StatementKind, tenant: str, month: str, version: int | None) -> str:
        """See ``View``."""
        return self._store.statements.note(self._store.statements.get(kind, tenant, month, version)[0].id)

    async def draft(self, kind: StatementKind, tenant: str, month: str, apart: Apart) -> Statement:
        """See ``View``."""
        return await _draft_of(self._services, Wanted("", kind, tenant, month))

    def proof(self, digest: str) -> StatementProof:
        """See ``View``."""
        return self._store.statements.proof(digest)

    def audit_rows(self, page: Page, wanted: AuditQuery) -> tuple[int, list[AuditRow]]:
        """See ``View``."""
        if wanted.device is None:
            return self._store.audit.page(page, wanted)
        digest, network = self._store.networks.get()
        there = [one.id for one in network.tenants if wanted.device in tenant_scope(digest, network, one.id).cells]
        found = self._store.audit.page(page, replace(wanted, places=_places(network, wanted.device, there)))
        if not found[0] and not network.manages(wanted.device):  # it may have left the network files
            raise NotFoundError(unknown("device", wanted.device, network.device_kinds, "in the network"))
        return found


class TenantView(_Published):
    """The view of one tenant (``controller.access.disclosure``)."""

    def __init__(self, services: Services, tenant: str) -> None:
        self._store = services.store
        self._planner = services.planner
        self._readings = services.stations
        self._tenant = tenant
        self._followed = services.followed
        self._services = services
        self._services = services
        self._exposition = services.exposition
        self.clock = services.clock
        self.shifts = services.settings.shifts

    async def shared(self, what: str, read: Callable[[], Read]) -> Read:
        """See ``View``."""
        found: Read = await self._followed.get((self._tenant, what), self.clock, partial(run_in_threadpool, read))
        return found

    def _scope(self) -> TenantScope:
        digest, network = self._store.networks.get()
        return tenant_scope(digest, network, self._tenant)

    def _live_scope(self) -> TenantScope:
        digest, network = self._store.networks.get()
        return live_scope(digest, network, self._tenant, network.day(self.clock.now()))

    def network(self) -> tuple[str, Network]:
        """See ``View``."""
        seen = self._scope()
        return seen.digest, seen.network

    def listed(self) -> tuple[str, Network]:
        """See ``View``."""
        digest, network = self._store.networks.get()
        seen = listed_scope(digest, network, self._tenant, network.day(self.clock.now()))
        return seen.digest, seen.network

    def kinds(self) -> tuple[str, ...]:
        """See ``View``."""
        return KINDS

    def stations(self, names: Sequence[str]) -> list[TenantStation]:
        """See ``View``."""
        seen, healths = self._live_scope(), self._store.healths.find(names)
        judged = _judged(self._store, names, self.clock)
        out = {name for name, record in self._store.devices.find(names).items() if record.retired is not None}
        known, now = {name: healths.get(name) for name in names if name not in out}, self.clock.now()
        return [TenantStation.of(seen, name, known.get(name), now, judged.get(name)) for name in names]

    def station(self, name: str) -> TenantStation:
        """See ``View``."""
        return self.stations([name])[0]

    def functions(self, names: Sequence[str]) -> list[TenantFunction]:
        """See ``View``."""
        _, network = self._store.networks.get()
        own = [name for name in names if network.function_by_id[name].owner == self._tenant]
        disclosed = self._scope().network.station_by_id
        now = self.clock.now()
        return _functions(self._store, network, network.day(now), own, disclosed, lambda health: health.told_at(now))

    def ledgers(self, names: Sequence[str]) -> Ledgers:
        """See ``View``."""
        return {
            station: disclosure.own_nodes(self._tenant, ledger)
            for station, ledger in self._store.ledger.find(names).items()
        }

    async def config(self, station: str, apart: Apart) -> LiveConfig:
        """See ``View``."""
        _, network = await run_in_threadpool(self._store.networks.get)
        if not (await run_in_threadpool(self._live_scope)).is_live(station):
            # Whether the station answers, and how fast, is state of it as well.
            return await run_in_threadpool(self._config_on_record, station)
        try:
            async with apart():
                observed = await self._readings.get(
                    (self._tenant, station), self.clock, lambda: self._planner.read(network, station)
                )
        except DeviceError as error:
            # The message may name the host's management network.
            raise type(error) from error
        return await run_in_threadpool(self._disclosed_config, station, observed)

    def _config_on_record(self, station: str) -> LiveConfig:
        """The tenant's own nodes as the ledger has them, of a station where no agreement is in force."""
        own = self.ledgers([station]).get(station, {})
        return LiveConfig(
            station=station, tree={path: dict(entry.leaves) for path, entry in own.items()}, state={}, unknown=()
        )

    def _disclosed_config(self, station: str, observed: Observed) -> LiveConfig:
        ledger = self._store.ledger.find([station]).get(station, {})
        tree, state = disclosure.visible_config(self._live_scope(), station, observed.tree, observed.state, ledger)
        return LiveConfig(station=station, tree=tree, state=state, unknown=())

    def plans(self, page: Page) -> tuple[int, list[TenantPlanHead]]:
        """See ``View``."""
        return self._store.tenants.plans(self._tenant, page)

    def plan(self, plan_id: str) -> TenantPlan:
        """See ``View``."""
        return TenantPlan.of(self._scope(), plan_id, self._store.tenants.plan(self._tenant, plan_id))

    def runs(self, page: Page, states: Iterable[RunState] | None) -> tuple[int, list[TenantRun]]:
        """See ``View``. Filters by the states that the tenant sees, which the database does not have."""
        total, found = self._store.tenants.runs(self._tenant, page if states is None else None)
        runs = self._disclosed_runs(found)
        if states is None:
            return total, runs
        wanted = set(states)
        chosen = [run for run in runs if run.state in wanted]
        return len(chosen), chosen[page.offset : page.offset + page.limit]

    def run(self, run_id: str) -> TenantRun:
        """See ``View``."""
        return self._disclosed_runs([self._store.tenants.run(self._tenant, run_id)])[0]

    def _disclosed_runs(self, found: Sequence[tuple[Run, list[Job]]]) -> list[TenantRun]:
        handles = self._store.tenants.handles(self._tenant, [run.plan for run, _ in found])
        return [TenantRun.of(run, handles.get(run.plan, ""), jobs) for run, jobs in found]

    def jobs(self, run_id: str) -> list[TenantJob]:
        """See ``View``."""
        return [TenantJob.of(job) for job in self._store.tenants.run(self._tenant, run_id)[1]]

    def alarms(
        self, page: Page, like: AlarmFilter | None = None, *, newest: bool = False
    ) -> tuple[int, list[TenantAlarm]]:
        """See ``View``."""
        asked = disclosure.asked_of(self._tenant, like or AlarmFilter())
        if asked is None:
            return 0, []
        total, found = self._store.tenants.alarms(self._tenant, page, asked, newest=newest)
        return total, self._disclosed_alarms(found)

    def alarm(self, alarm_id: str) -> TenantAlarm:
        """See ``View``."""
        return self._disclosed_alarms([self._store.tenants.alarm(self._tenant, alarm_id)])[0]

    def _disclosed_alarms(self, found: Sequence[ToldAlarm]) -> list[TenantAlarm]:
        works = _works_now(self._store, self.clock, self._tenant)
        return [TenantAlarm.of(alarm, announced=_announced(alarm, works)) for alarm in found]

    def comments(self, alarm_id: str) -> list[Comment]:
        """See ``View``."""
        self._store.tenants.alarm(self._tenant, alarm_id)
        said = self._store.comments.on(alarm_id, self._tenant)
        return [disclosure.visible_comment(one, self._tenant) for one in said]

    def said(self, begin: datetime, end: datetime) -> list[Comment]:
        """See ``View``."""
        found = self._store.comments.said(begin, end, self._tenant)
        return [disclosure.visible_comment(one, self._tenant) for one in found]

    def agreements(self) -> tuple[AgreementMinutes, ...]:
        """See ``View``."""
        return self._store.incidents.agreements(self._tenant)

    def bounds(self, at: datetime) -> Bounds:
        """See ``View``: the host's own matter."""
        return Bounds((), (), {})

    def asked(self, who: Person) -> list[Asked]:
        """See ``View``: runs that wait for the tenant's approval."""
        found = []
        for run, standing in self._store.approvals.standings(self._tenant) if may(who, Permission.APPROVE) else ():
            own = [one for one in standing.requirements if one.side == self._tenant]
            if not all(is_approved(one, standing.votes, standing.requester) for one in own):
                devices = sum(one.stations for one in own)
                what = f"run {run.id} {run.procedure}"
                found.append(Asked("your approval", what, run.created, "people who approve", devices))
        return found

    def incidents(self, page: Page, like: IncidentFilter) -> tuple[int, list[TenantIncident]]:
        """See ``View``."""
        if disclosure.asked_of(self._tenant, AlarmFilter(tenants=like.tenants)) is None or like.owner:
            return 0, []
        total, found = self._store.tenants.incidents(self._tenant, page, like.model_copy(update={"tenants": ()}))
        losing = self._store.incidents.losing([name for name, _ in found], self._tenant)
        return total, [TenantIncident.of(name, parts, losing.get(name)) for name, parts in found]

    def incident(self, incident_id: str) -> TenantIncidentStory:
        """See ``View``."""
        parts = self._store.tenants.incident(self._tenant, incident_id)
        minutes = self._store.incidents.minutes(incident_id, self._tenant)
        losing = self._store.incidents.losing([incident_id], self._tenant).get(incident_id)
        return TenantIncidentStory(
            **dict(TenantIncident.of(incident_id, parts, losing)),
            alarms=tuple(self._disclosed_alarms(parts)),
            minutes=minutes[0] if minutes else None,
            agreements=self._store.incidents.agreements(self._tenant),
            comments=tuple(
                disclosure.visible_comment(one, self._tenant)
                for one in self._store.comments.on(incident_id, self._tenant)
            ),
        )

    def report(self, incident_id: str) -> TenantIncidentReport:
        """See ``View``."""
        story = self.incident(incident_id)
        parts = self._store.tenants.incident(self._tenant, incident_id)
        mine = []
        for run_id in dict.fromkeys(alarm.run for alarm in parts if alarm.run):
            try:
                mine.append(self._store.tenants.run(self._tenant, run_id))
            except NotFoundError:  # a run that touches none of its nodes and interrupts none of its cells
                continue
        said = _in_time((*story.comments, *(one for alarm in parts for one in self.comments(alarm.id))))
        notices = tuple(self._store.notices.of_incident(incident_id, self._tenant))
        more = {"runs": tuple(self._disclosed_runs(mine)), "notices": notices, "comments": said}
        return TenantIncidentReport(**_fields(story) | more)

    def kpis(self) -> tuple[Kpi, ...]:
        """See ``View``."""
        return disclosure.tenant_kpis(kpis_of(self._store.definitions.get()))

    def measured(self, begin: datetime, end: datetime, seconds: int, stations: Collection[str]) -> Iterator[Measured]:
        """See ``View``."""
        digest, network = self._store.networks.get()
        for period in self._store.measurements.read(begin, end, seconds, stations):
            last = period.begin + timedelta(seconds=max(period.seconds - 1, 0))
            seen = live_scope(digest, network, self._tenant, network.day(period.begin), network.day(last))
            yield disclosure.visible_measured(seen, period)

    def shortest(self) -> int:
        """See ``View``."""
        return _shortest(self._store)

    def subscribers(self) -> dict[str, Subscribers]:
        """See ``View``."""
        _, network = self._store.networks.get()
        if self._tenant not in network.tenant_by_id:  # it left the network files
            return {}
        return {self._tenant: subscribers_where_shared(network, self._tenant)}

    def notices(self, page: Page) -> tuple[int, list[Notice]]:
        """See ``View``."""
        return self._store.notices.page(page, self._tenant)

    def planned_work(self, begins: datetime) -> list[Notice]:
        """See ``View``."""
        return self._store.notices.planned(begins, self._tenant)

    def metrics(self, asked: ScrapeScope) -> bytes:
        """See ``View``."""
        if asked.tenant not in ("", self._tenant):
            raise NotFoundError(f"there is no tenant {asked.tenant!r}")
        return self._exposition(replace(asked, tenant=self._tenant))

    def works(self, page: Page) -> tuple[int, list[AnnouncedWork]]:
        """See ``View``."""
        return self._store.works.page(page, self._tenant)

    def on_call(self, at: datetime) -> list[SideOnCall]:
        """See ``View``."""
        return self._store.transaction(on_call_at, at, self._tenant)

    def calls(self, page: Page, *, unacknowledged: bool) -> tuple[int, list[Call]]:
        """See ``View``."""
        return self._store.calls.page(page, self._tenant, unacknowledged=unacknowledged)

    def statements(self, page: Page, like: StatementFilter) -> tuple[int, list[IssuedStatement]]:
        """See ``View``."""
        if like.tenant not in (None, self._tenant):
            return 0, []
        asked = (like.kind,) if like.kind else disclosure.STATEMENTS
        own = like._replace(kind=None, tenant=self._tenant)
        total, found = self._store.statements.page(page, own, [one for one in asked if one in disclosure.STATEMENTS])
        return total, list(map(disclosure.visible_statement, found))

    def statement(
        self, kind: StatementKind, tenant: str, month: str, version: int | None, form: StatementForm
    ) -> tuple[IssuedStatement, bytes]:
        """See ``View``."""
        self._check_own(kind, tenant, month)
        return _file_of(self._store, kind, tenant, month, version, form)

    def statement_note(self, kind: StatementKind, tenant: str, month: str, version: int | None) -> str:
        """See ``View``."""
        self._check_own(kind, tenant, month)
        return self._store.statements.note(self._store.statements.get(kind, tenant, month, version)[0].id)

    async def draft(self, kind: StatementKind, tenant: str, month: str, apart: Apart) -> Statement:
        """See ``View``."""
        self._check_own(kind, tenant, month)
        async with apart():
            return await _draft_of(self._services, Wanted(self._tenant, kind, tenant, month))

    def _check_own(self, kind: StatementKind, tenant: str, month: str) -> None:
        """Raises NotFoundError for a statement that the tenant may not read."""
        if tenant != self._tenant or kind not in disclosure.STATEMENTS:
            raise NotFoundError(f"there is no {kind} statement of {tenant} for {month}")

    def proof(self, digest: str) -> StatementProof:
        """See ``View``."""
        found = self._store.statements.proof(digest, self._tenant)
        if found.statement.kind not in disclosure.STATEMENTS:
            raise AbsentError("no issued statement has this file")
        return disclosure.visible_proof(found)

    def audit_rows(self, page: Page, wanted: AuditQuery) -> tuple[int, list[AuditRow]]:
        """See ``View``."""
        if wanted.device is not None:
            _, network = self._store.networks.get()
            own = [one.id for one in network.functions if one.owner == self._tenant]
            disclosed = {*self._scope().cells, *own}
            if wanted.device not in disclosed:
                raise NotFoundError(unknown("device", wanted.device, disclosed, "in the network"))
            wanted = replace(wanted, places=_places(network, wanted.device, (self._tenant,)))
        total, found = self._store.tenants.audit(self._tenant, disclosure.VISIBLE_ACTS, page, wanted)
        return total, [disclosure.visible_act(row, row.id, own) for row, own in found]


async def view(request: Request, backend: Backend) -> View:
    """The view for the caller of a request."""
    who: Person = request.state.caller
    return TenantView(backend, who.tenant) if who.tenant else HostView(backend)


CallerView = Annotated[View, Depends(view)]


def _places(network: Network, device: str, tenants: Iterable[str]) -> tuple[str, ...]:
    """Targets of holds and freezes that bind a device beside its own id; none for one that left the network files."""
    if not network.manages(device):
        return ()
    site = network.site_of(device)
    around = (f"region:{network.region_of(device)}", *((f"site:{site}",) if site else ()))
    return ("network", *around, *(f"tenant:{tenant}" for tenant in tenants))


def _faults(health: Health) -> tuple[str, ...]:
    """Faults of a function in words; only that for one that can't be read."""
    return tuple(health.function.values() if health.reachable else (one.text for one in wrongs(health).values()))


def _functions(
    store: Store,
    network: Network,
    day: date,
    names: Sequence[str],
    disclosed: Collection[str],
    seen_at: Callable[[Health], datetime] = lambda health: health.at,
) -> list[TenantFunction]:
    """The part of functions that is disclosed to their owner."""
    running, applied, healths = running_on(store, names), replicas_of(store, names), store.healths.find(names)
    return [
        TenantFunction.of(
            network,
            name,
            carried(network, day, name),
            running.get(name, ()),
            applied.get(name, 0),
            health := healths.get(name),
            None if health is None else seen_at(health),
            disclosed,
        )
        for name in names
    ]
