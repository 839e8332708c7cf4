"""The only place that wires adapters to ports: makes the parts of each process from the settings."""

from __future__ import annotations

import asyncio
import gc
import resource
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cached_property, partial
from typing import TYPE_CHECKING, Literal, TypeVar

import structlog
from anyio import to_thread

from controller.assurance.checker import Checker
from controller.drivers.devices import AllDevices
from controller.drivers.kubernetes.target import KubernetesTarget
from controller.drivers.netconf.callhome import Callers
from controller.drivers.netconf.devices import LIMIT
from controller.drivers.netconf.target import NetconfTarget, station_target
from controller.drivers.registry import target_of
from controller.drivers.target import DeviceTarget
from controller.inventory.credentials import read_credentials
from controller.inventory.definitions import read_definitions
from controller.models.audit import AuditAnchor
from controller.models.credentials import LOOPBACK_ONLY, Credentials
from controller.models.errors import InputError, NotFoundError, StoreError, in_words
from controller.models.measurement import DAY, HOUR, MONTH, QUARTER
from controller.models.metrics import RECORD_WRITABLE, Observations
from controller.models.network import Network
from controller.models.process import ProcessRole
from controller.models.record import RecordState
from controller.models.settings import Settings
from controller.ports.clock import Clock, SystemClock
from controller.ports.secrets import EnvironmentSecrets, NamedSecrets
from controller.ports.webhook import Contacts, Webhook
from controller.runs.planning.planner import Planner
from controller.store import AsyncStore, LoopStore, Store, open_store
from controller.store.database.evidence import AuditKeys, Evidence, SigningKeys, last_anchors

# Imports that only one role needs are made where they are used: importing all would take twice the time.
if TYPE_CHECKING:
    from controller.assurance.collection import CollectionSchedule, Collector
    from controller.assurance.heartbeats import HeartbeatWatch
    from controller.assurance.measured_faults import MeasuredFaults
    from controller.drivers.kubernetes.devices import CloudDevices
    from controller.observe.write_probe import WriteProbe
    from controller.playbook.engine.context import ActionServices
    from controller.ports.notifier import Notifier
    from controller.queue.wakeups import CeleryWakeups, SchedulerWakeups
    from controller.remediation.definitions import DefinitionWatch
    from controller.remediation.remediator import Remediator
    from controller.runs.approval.notices import Notices
    from controller.runs.loop import WorkerLoop
    from controller.runs.planning.importer import Importer
    from controller.runs.planning.validity import Validity
    from controller.runs.sweeper import Sweeper

log = structlog.get_logger()

T = TypeVar("T")

#: The most files of definitions that a process names in its log.
_NAMED = 10
#: Open files that a process needs in addition to its sessions to devices.
_OTHER_FILES = 200
#: Seconds for which callers are judged by the network files that were in force last.
_NEWS = 0.2


class CallingStations:
    """The stations that call home by the network files in force."""

    def __init__(self, store: LoopStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._digest = ""
        self._asked: float | None = None
        self._turn = asyncio.Lock()

    async def news(self) -> list[NetconfTarget] | None:
        """Those of network files that came into force since the last call; None if these are the same.

        Thousands of stations may call at once: one of them asks the record, the others wait for its answer.
        """
        async with self._turn:
            now = self._clock.monotonic()
            if self._asked is not None and now < self._asked + _NEWS:
                return None
            found = await self._in_force()
            self._asked = self._clock.monotonic()
        return found

    async def _in_force(self) -> list[NetconfTarget] | None:
        try:
            digest, network = await self._store.networks.get()
        except NotFoundError:
            log.info("device.no_calls_expected", reason="no network is loaded yet: minka network load")
            return None
        except StoreError as error:  # callers are judged by what was in force last
            log.warning("device.callers_not_known", reason=error.message)
            return None
        if digest == self._digest:
            return None
        self._digest = digest
        return [station_target(network, one.station) for one in network.endpoints if one.call_home]


@dataclass(frozen=True)
class Parts:
    """The parts of a process. They belong to the loop on which they were made."""

    settings: Settings
    clock: Clock
    store: Store
    loop_store: LoopStore
    devices: AllDevices
    planner: Planner
    credentials: Credentials
    secrets: NamedSecrets
    #: What the process measures of its own work.
    observations: Observations = field(default_factory=Observations)

    @cached_property
    def wakeups(self) -> CeleryWakeups:
        """Wakes workers."""
        from controller.queue.app import make_app
        from controller.queue.wakeups import CeleryWakeups

        return CeleryWakeups(make_app(self.settings.broker_url, self.settings.home / "spool"))

    async def close(self) -> None:
        """Close all that is open."""
        await self.devices.close()
        if "wakeups" in vars(self):
            self.wakeups.close()
        await self.loop_store.close()
        self.store.close()

    def worker_loop(self, name: str) -> WorkerLoop:
        """The loop of a worker process."""
        from controller.playbook.actions.shipped import registry
        from controller.playbook.engine.job import PlaybookProcedure, procedures
        from controller.remediation.guards import forbids
        from controller.runs.loop import WorkerLoop
        from controller.runs.procedures import Tools

        of = procedures(PlaybookProcedure(self._services(), registry()))
        tools = Tools(self.loop_store, self.devices, self.clock, self._target, procedure_of=of, forbids=forbids)
        most, measured = self.settings.capacity, self.observations
        return WorkerLoop(name, tools, self.wakeups, capacity=most, sessions=self.sessions, observations=measured)

    def _target(self, network: Network, station: str) -> DeviceTarget:
        """A station as a worker reaches it; targets that differ have sessions of their own."""
        return replace(target_of(network, station), carries=self.settings.carry_generation)

    def collector(self, name: str) -> Collector:
        """The collector of performance data in a worker process."""
        from controller.assurance.collection import Collector

        holder = f"{name}-{secrets.token_hex(4)}"
        return Collector(holder, self.loop_store, self.devices, self.clock, self._target)

    def collection_schedule(self) -> CollectionSchedule:
        """The schedule that wakes workers for performance data."""
        from controller.assurance.collection import CollectionSchedule

        return CollectionSchedule(self.loop_store, self.wakeups, self.clock)

    def _services(self) -> ActionServices:
        from controller.drivers.address import secret_for

        services = action_services(
            self.loop_store,
            self.planner,
            self.webhook(),
            self.clock,
            self.settings,
            channels=self.channels(),
            credentials=self.credentials,
        )
        return replace(services, secret_for=partial(secret_for, self.secrets), to_mask=self.secrets.to_mask)

    def webhook(self) -> Webhook:
        """The webhook of the settings, for the action notify and for notices."""
        return webhook_of(self.settings)

    def channels(self) -> dict[str, Webhook]:
        """Channels to people besides the webhook, as the settings say; a dry run judges by the same."""
        from controller.observe.mail import MailRelay
        from controller.observe.syslog import Syslog

        asked = self.settings
        mail = MailRelay(
            asked.mail_relay,
            asked.mail_from,
            asked.mail_to.split(),
            lambda: EnvironmentSecrets(asked.home).resolve(asked.mail_credential),
            asked.notify_authority,
        )
        return {"e-mail": mail, "syslog": Syslog(asked.syslog, self.clock, asked.notify_authority)}

    def sessions(self) -> int:
        """Open sessions to devices."""
        return sum(self.devices.counts.values())

    async def take_calls(self, role: ProcessRole) -> None:
        """Let stations call home, if the settings say where.

        Each call is judged by the network files that are in force then, whenever they were loaded.

        Raises:
            InputError: The port can't be listened on.
        """
        callers = CallingStations(self.loop_store, self.clock).news
        self._listen(role, "ssh", self.settings.call_home, callers)
        self._listen(role, "tls", self.settings.call_home_tls, callers)

    def _listen(self, role: ProcessRole, transport: Literal["ssh", "tls"], where: str, callers: Callers) -> None:
        address, _, port = where.rpartition(":")
        if not address:
            return
        at = int(port) + list(ProcessRole).index(role)
        try:
            self.devices.listen(address.strip("[]"), at, callers, transport)
        except (OSError, OverflowError) as error:
            raise InputError(f"stations can't call home at {address} port {at}: {in_words(error)}") from error

    def sweeper(self) -> Sweeper:
        """The scheduler's sweeper, which wakes workers again."""
        from controller.runs.sweeper import Sweeper

        return Sweeper(self.loop_store, self.wakeups, self.clock, reminds=True)

    def validity(self) -> Validity:
        """The judge of plans that wait."""
        from controller.runs.planning.validity import Validity

        return Validity(self.planner, self.clock)

    def scheduler_wakeups(self, on_wakeup: Callable[[], object]) -> SchedulerWakeups:
        """The receiver of wake-ups for the scheduler, in a thread of its own."""
        from controller.queue.app import make_app
        from controller.queue.wakeups import SchedulerWakeups

        app = make_app(self.settings.broker_url, self.settings.home / "spool")
        return SchedulerWakeups(app, on_wakeup, lambda up: self.observations.state("minka_broker_up", up))

    def write_probe(self) -> WriteProbe:
        """The probe whether the database takes writes; what it finds is among the states of the process."""
        from controller.observe.write_probe import WriteProbe

        probe = WriteProbe(self.store.status.check_writable, self.clock)
        self.observations.watch(RECORD_WRITABLE, probe.figures)
        return probe

    def notices(self) -> Notices:
        """The notices of planned work and of incidents."""
        from controller.runs.approval.notices import Notices

        webhook = self.webhook() if self.settings.notify_url else None
        return Notices(self.loop_store, webhook, self.contacts(), self.clock)

    def contacts(self) -> Contacts:
        """How contacts of the network files are told."""
        from controller.observe.webhook import ContactPost

        return ContactPost(self.channels()["e-mail"], self.secrets, self.clock)

    def anchors(self) -> Callable[[], Awaitable[None]]:
        """A function that publishes the newest audit row outside of the database."""
        from controller.observe.anchors import Anchors
        from controller.observe.syslog import Syslog

        asked = self.settings
        collector = Syslog(asked.syslog, self.clock, asked.notify_authority) if asked.syslog else None
        anchors = Anchors(asked.anchor_file, self.clock, collector)

        async def publish() -> None:
            state, head = await self.loop_store.transaction(_checked_head)
            if not state.doubt:  # the continuation of an older record must never look like the newest
                await anchors.publish(head)

        return publish

    async def publish_trail(self) -> None:
        """Publish the head of the audit trail once a day, signed."""
        state = await self.loop_store.integrity.check()
        if state.doubt:  # a head of an older record would say that rows are gone
            return
        while await self.loop_store.trail.grow():
            pass
        await self.loop_store.trail.publish()

    async def judge_record(self) -> None:
        """Compare the record with what is known outside of the database."""
        state = await self.loop_store.integrity.check()
        if state.doubt:
            log.error("record.in_doubt", reason=state.doubt, since=state.since)

    async def settle_incidents(self) -> None:
        """Give alarms that outlived the root of their incident an incident of their own."""
        if await self.loop_store.incidents.unsettled():
            await self.loop_store.incidents.settle()

    async def count_agreements(self) -> None:
        """Count the minutes that agreements lost in the month."""
        await asyncio.to_thread(self.store.incidents.count_agreements)

    async def sum_up_denials(self) -> None:
        """Write audit rows for denials whose hour is over."""
        await self.loop_store.audit.sum_up_denials()

    def heartbeats(self) -> HeartbeatWatch:
        """The watch for devices whose VES heartbeats stop."""
        from controller.assurance.heartbeats import HeartbeatWatch

        return HeartbeatWatch(self.loop_store, self.clock, self.settings.heartbeat_misses)

    def measured_faults(self) -> MeasuredFaults:
        """The judge of measurements, which raises alarms."""
        from controller.assurance.measured_faults import MeasuredFaults
        from controller.models.alarm import AlarmSource

        return MeasuredFaults(self.loop_store, self.clock, alarms=AlarmSource.CHECK in self.settings.sources)

    async def prune_reports(self) -> None:
        """Delete reports of alarms that are too old, or too many."""
        age, most = timedelta(days=self.settings.report_days), self.settings.report_limit
        if number := await self.loop_store.reports.prune(age, most):
            log.info("reports.pruned", number=number)

    async def work_out_measurements(self) -> None:
        """Work out hours and days with new measurements, some at a time."""
        while await self.loop_store.measurements.roll_up(self.clock.now()):
            pass

    async def retire_measurements(self) -> None:
        """Delete measurements beyond their retention, some at a time."""
        asked = self.settings
        days = {QUARTER: asked.period_days, HOUR: asked.hour_days, DAY: asked.day_days, MONTH: asked.day_days}
        keep = {level: timedelta(days=number) for level, number in days.items()}
        while number := await self.loop_store.measurements.retire(self.clock.now(), keep):
            log.info("measurements.retired", number=number)

    def importer(self) -> Importer:
        """Reads live stations into network files."""
        from controller.runs.planning.importer import Importer

        return Importer(self.loop_store, self.devices, self.clock)

    def pager(self) -> Notifier:
        """The receiver of escalations, as the settings say."""
        from controller.observe.webhook import HttpWebhook

        return HttpWebhook(self.settings.escalation_url)

    def remediator(self) -> Remediator:
        """The remediation loop with the rules in force."""
        from controller.playbook.actions.shipped import registry
        from controller.playbook.engine.preparation import PlaybookPreparation
        from controller.playbook.in_force import library_in_force
        from controller.remediation.breaker import Breaker
        from controller.remediation.guards import Limits
        from controller.remediation.on_call import Caller
        from controller.remediation.remediator import Remediator
        from controller.runs.launch import Launcher

        checker = Checker(self.loop_store, self.planner, self.clock, ())
        playbooks = PlaybookPreparation(self._services(), library_in_force, registry())
        launcher = Launcher(self.loop_store, self.planner, self.wakeups, playbooks)
        breaker, limits = (
            Breaker(self.settings.repair_limit, self.settings.repair_limit_minutes),
            Limits.of(self.settings),
        )
        caller = Caller(self.loop_store, self.contacts(), self.clock)
        return Remediator(
            self.loop_store, checker, launcher, self.pager(), self.clock, breaker=breaker, limits=limits, caller=caller
        )

    def definition_watch(self) -> DefinitionWatch:
        """The watch over files of rules, playbooks and KPIs that are in force but can't be used."""
        from controller.remediation.definitions import DefinitionWatch

        return DefinitionWatch(self.loop_store, self.clock)

    def checker(self) -> Checker:
        """Health checks."""
        settings = self.settings
        return Checker(
            self.loop_store, self.planner, self.clock, settings.sources, settings.cell_settle, self.observations
        )


@asynccontextmanager
async def parts(settings: Settings, role: ProcessRole) -> AsyncIterator[Parts]:
    """The parts of one process, closed at the end.

    Raises:
        InputError: The file of credentials is not valid.
        StoreError: The database is unreachable or made by a newer version.
    """
    clock = SystemClock()
    settings.home.mkdir(parents=True, exist_ok=True)
    references = _references(settings)
    credentials = _credentials(settings, references)
    observations = Observations()
    store = await asyncio.to_thread(open_record, settings, clock, role, observations)
    loop_store = LoopStore(store)
    secrets = NamedSecrets(credentials, references)
    devices = AllDevices(
        secrets,
        limit=_sessions(),
        rpc_timeout=settings.rpc_timeout,
        observations=observations,
        others={KubernetesTarget: lambda: _cloud(secrets, clock, settings, observations)},
        untrusted=frozenset(settings.untrusted_software.split()),
    )
    made = Parts(
        settings,
        clock,
        store,
        loop_store,
        devices,
        Planner(loop_store, devices, clock, target_of),
        credentials,
        secrets,
        observations,
    )
    collect_rarely()
    try:
        yield made
    finally:
        await made.close()


def _cloud(secrets: NamedSecrets, clock: Clock, settings: Settings, observations: Observations) -> CloudDevices:
    from controller.drivers.kubernetes.devices import CloudDevices

    return CloudDevices(secrets, clock, timeout=settings.rpc_timeout, observations=observations)


def check_credentials(settings: Settings) -> None:
    """Check the file of credentials, before anything starts that needs it.

    Raises:
        InputError: It is missing or not valid.
    """
    _credentials(settings, _references(settings))


def _references(settings: Settings) -> EnvironmentSecrets:
    return EnvironmentSecrets(settings.home, (settings.mail_credential, settings.audit_keys))


def _credentials(settings: Settings, references: EnvironmentSecrets) -> Credentials:
    """Secrets for devices, as the settings name them; without any, those of devices simulated on this machine."""
    if settings.credentials is None:
        return LOOPBACK_ONLY
    return read_credentials(settings.credentials, references.check)


def _checked_head(store: Store) -> tuple[RecordState, AuditAnchor]:
    return store.integrity.check(), store.audit.head()


def open_record(settings: Settings, clock: Clock, role: str, observations: Observations | None = None) -> Store:
    """The store of the settings, with its evidence outside of the database, and rules, playbooks and KPIs in force.

    ``role`` is that of the process, for administrators of PostgreSQL; ``observations`` count what is found damaged.

    Raises:
        StoreError: The database is unreachable or made by a newer version.
        InputError: The keys of the audit trail are missing, or none; or so is a folder of definitions.
    """
    evidence = partial(_evidence, settings)
    store = open_store(settings.database, clock, evidence=evidence, observations=observations, role=role)
    try:
        put_first_definitions(store, settings)
    except BaseException:
        store.close()
        raise
    return store


def put_first_definitions(store: Store, settings: Settings) -> None:
    """Put the rules, playbooks and KPIs of the settings' folders in force on a record where none ever were.

    From then on the record says what is in force, and only people change that: where the folders of a process say
    something else, that is logged and no more.

    Raises:
        InputError: A folder is missing, and nothing is in force.
    """
    try:
        in_force = store.definitions.get()
    except NotFoundError:
        files = read_definitions(settings.rules, settings.playbooks, settings.kpis)
        store.definitions.put(files, by="minka", reason="none were in force", first=True)
        return
    try:
        files = read_definitions(settings.rules, settings.playbooks, settings.kpis)
    except InputError as error:
        log.warning("definitions.unread", in_force=in_force.digest, reason=error.message)
        return
    if differ := files.differences(in_force.files):
        log.warning("definitions.differ", in_force=in_force.digest, files=differ[:_NAMED], number=len(differ))


def _evidence(settings: Settings, store: Store) -> Evidence:
    head, signed = store.audit.head(), bool(store.audit.newest_key())
    resolve = EnvironmentSecrets(settings.home).resolve

    def keys(signed: bool = True) -> AuditKeys:
        if settings.audit_keys.startswith("env:"):
            return AuditKeys.parsed(resolve(settings.audit_keys).get_secret_value(), settings.audit_keys)
        return AuditKeys.kept_in(settings.key_file, head.number + 1, signed)

    if settings.signing_keys.startswith("env:"):
        signing = SigningKeys.parsed(resolve(settings.signing_keys).get_secret_value(), settings.signing_keys)
    else:
        signing = SigningKeys.kept_in(settings.signing_file, settings.signing_name, bool(store.trail.public_keys()))
    return Evidence(keys(signed), settings.home, last_anchors(settings.anchor_file), signing, read_keys=keys)


def open_database(url: str, role: str) -> Store:
    """The store of a database alone, for a process that reads it and begins nothing. Raises StoreError."""
    return open_store(url, role=role)


def open_memory(clock: Clock) -> Store:
    """An empty store in memory, for what is only played."""
    return open_store("sqlite://", clock)


def webhook_of(settings: Settings) -> Webhook:
    """The webhook of the settings."""
    from controller.observe.webhook import HttpWebhook

    return HttpWebhook(settings.notify_url)


def action_services(
    store: AsyncStore,
    planner: Planner,
    webhook: Webhook,
    clock: Clock,
    settings: Settings,
    *,
    channels: Mapping[str, Webhook],
    credentials: Credentials,
) -> ActionServices:
    """What actions of playbooks work with, where none is carried out."""
    from controller.playbook.engine.context import ActionServices

    sources = tuple(settings.software_sources.split())
    return ActionServices(store, planner, webhook, clock, channels=channels, sources=sources, credentials=credentials)


class ThreadedStore(AsyncStore):
    """The asynchronous store for a loop of which threads of anyio do the work, as that of the API."""

    async def call(self, work: Callable[[Store], T]) -> T:
        """See ``AsyncStore``."""
        return await to_thread.run_sync(work, self._store)


def collect_rarely() -> None:
    """Collect garbage less often than Python does by default.

    A process with thousands of sessions has millions of objects that stay; going through them, and through what
    transactions make and drop, took a quarter of its CPU and found next to nothing.
    """
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    gc.enable()


def _sessions() -> int:
    """The most open sessions: each is an open file, and all files that the system allows are used."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return LIMIT if hard == resource.RLIM_INFINITY else max(1, min(LIMIT, hard - _OTHER_FILES))
