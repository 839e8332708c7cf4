"""What actions see: one station, live or in a dry run."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

from controller.intent.placement import Choice
from controller.models.alarm import Alarm
from controller.models.cloud import ClusterState
from controller.models.credentials import LOOPBACK_ONLY, Credentials
from controller.models.equipment import Equipment, Operation
from controller.models.errors import ConflictError, DeviceError, MinkaError
from controller.models.health import ServiceState
from controller.models.measurement import QUARTER, Measured, Period
from controller.models.network import HOST, Network
from controller.models.plan import Change
from controller.models.question import Question
from controller.models.run import Hold, Holds, JournalStep, LedgerEntry
from controller.models.step import StepRecord
from controller.nrm.apply import apply_edits
from controller.nrm.profiles import administrative_leaf, administrative_state, link_state, links, root_spec
from controller.nrm.profiles.function import deployment_path, is_stalled, why_not_ready
from controller.nrm.tree import Observed, Path, Tree
from controller.performance.kpis import Kpi, kpis_of
from controller.plan import (
    StationPlan,
    StationView,
    applied,
    displaced_primaries,
    drifted_nodes,
    image_in,
    latest_first,
    ledger_after,
    nodes_behind,
    pools_of,
    ready_on,
)
from controller.playbook.engine.secret_inputs import NO_SECRETS, Mask, SecretFor, SecretToMask, none_to_mask, nowhere
from controller.playbook.language.registry import WEBHOOK, LinkBehind, QuestionPlan
from controller.ports.clock import Clock
from controller.ports.webhook import Webhook
from controller.runs.planning.planner import Planner
from controller.store import EVER, AsyncStore, Claim
from controller.store.jobs.left_locks import left_locked
from controller.store.lock_holders import lock_holders

T = TypeVar("T")

#: Rows of the journal that are written right before something is sent that changes a device.
_ACTS = (JournalStep.EDITING, JournalStep.COMMITTING, JournalStep.OPERATING)

#: Reads something of a station of a network.
Reader = Callable[[Network, str], Awaitable[T]]


class Readings:
    """Readings under way, by kind and station, since the jobs of a wave read their neighbours in the same order."""

    def __init__(self) -> None:
        self._under_way: dict[tuple[Reader[Any], str], tuple[Network, asyncio.Future[Any]]] = {}

    async def share(self, network: Network, station: str, read: Reader[T]) -> T:
        """A reading under way, or a new one.

        Args:
            network: Where the station is.
            station: Its id.
            read: Makes the reading.

        Raises:
            DeviceError: The station could not be read.
        """
        key = read, station
        of, reading = self._under_way.get(key, (None, None))
        if reading is None or of is not network:
            reading = asyncio.ensure_future(read(network, station))
            self._under_way[key] = network, reading
            reading.add_done_callback(lambda ended: self._forget(key, ended))
        # A caller that gives up does not end it for the others.
        result: T = await asyncio.shield(reading)
        return result

    def _forget(self, key: tuple[Reader[Any], str], ended: asyncio.Future[Any]) -> None:
        if self._under_way.get(key, (None, None))[1] is ended:
            del self._under_way[key]
        if not ended.cancelled():
            ended.exception()  # retrieved, even if all waiting callers have left


@dataclass(frozen=True, slots=True)
class ActionServices:
    """Services that the contexts of all stations share.

    Attributes:
        channels: Other ways to tell people than the webhook, by name.
        readings: What jobs read of other stations than their own.
        sources: What addresses of software that stations download begin with.
        credentials: Secrets by name, and which actions may get them.
        secret_for: Resolves such a name for a device.
        to_mask: Resolves such a name wherever its value may turn up, to mask it.
    """

    store: AsyncStore
    planner: Planner
    webhook: Webhook
    clock: Clock
    channels: Mapping[str, Webhook] = field(default_factory=dict)
    readings: Readings = field(default_factory=Readings)
    sources: tuple[str, ...] = ()
    credentials: Credentials = LOOPBACK_ONLY
    secret_for: SecretFor = nowhere
    to_mask: SecretToMask = none_to_mask

    def channel(self, via: str) -> Webhook:
        """The channel to people by a name.

        Raises:
            ConflictError: There is none.
        """
        found = self.webhook if via == WEBHOOK else self.channels.get(via)
        if found is None:
            raise ConflictError(f"the channel {via} is not set up here")
        return found


@dataclass(frozen=True, slots=True)
class AskingStep:
    """The step that a question belongs to, and the transactions of the job's steps so far that act on the device."""

    claim: Claim
    step: str
    position: int
    transactions: tuple[str, ...] = ()

    def question(self, station: str, asked: QuestionPlan, now: datetime) -> Question:
        """The question for one station; equal for all stations that are asked together."""
        job = self.claim.job
        scope = {"run": "", "wave": f".w{job.wave}", "station": f".{station}"}[asked.per]
        return Question(
            id=f"{job.run}.{self.position}{scope}",
            run=job.run,
            step=self.step,
            station=station if asked.per == "station" else "",
            text=asked.text,
            choices=asked.choices,
            default=asked.default,
            asked=now,
            until=now + timedelta(seconds=asked.seconds),
        )


@dataclass(frozen=True, slots=True)
class StationContext:
    """See ``controller.playbook.language.registry.Context``."""

    services: ActionServices
    network: Network
    station: str
    planned: Change | None
    key: str
    done: tuple[Change, ...] = ()
    #: Names of the steps that made these.
    done_by: tuple[str, ...] = ()
    #: Whether the run would adopt the station, so that a dry run goes on as if it had.
    adopts: bool = False
    asking: AskingStep | None = None
    #: Secrets of the run, of which nobody is told.
    mask: Mask = NO_SECRETS

    @property
    def profiles(self) -> tuple[str, ...]:
        """Its profiles."""
        return self.network.profiles_of(self.station)

    @property
    def clock(self) -> Clock:
        """All time."""
        return self.services.clock

    @property
    def sources(self) -> tuple[str, ...]:
        """What addresses of software begin with."""
        return self.services.sources

    async def kpis(self) -> tuple[Kpi, ...]:
        """Definitions of indicators that were in force when the run was accepted."""
        return kpis_of(await self.services.store.definitions.get(self.since))

    @property
    def dry_run(self) -> bool:
        """Whether this is a dry run."""
        return False

    def with_mask(self, mask: Mask) -> StationContext:
        """The same context for an action of a run with these secrets."""
        return replace(self, mask=mask)

    def at_step(self, key: str, done: Sequence[StepRecord], asking: AskingStep) -> StationContext:
        """The same context for another step, after the job's changes so far; they enter the ledger at the job's end."""
        changes = tuple(row.change for row in done if row.change is not None)
        return replace(self, key=key, done=changes, done_by=tuple(row.name for row in done), asking=asking)

    @property
    def applied_by(self) -> tuple[str, ...]:
        """Names of the steps that made the changes of ``applied``."""
        return self.done_by

    async def lock_holder(self, cell: str) -> str:
        """Who locked a cell of the station, in words: a step of this playbook, or a run; empty if none of ours did."""
        for step, change in reversed([*zip(self.applied_by, self.applied, strict=True)]):
            if (locked := left_locked([change], cell=cell)) is not None:
                if locked:
                    return f"step {step!r} of this playbook locked cell {cell}"
                break
        holder = (await self.services.store.read(lock_holders, self.station, EVER, cells=[cell])).get(cell)
        return holder.words if holder else ""

    async def read(self) -> Observed:
        """The station as it is now."""
        return await self.services.planner.read(self.network, self.station)

    async def equipment(self, station: str = "") -> Equipment:
        """Units and software as they are now."""
        return await self._read_of(station, self.services.planner.equipment)

    async def measurements(self, station: str = "") -> tuple[Period, ...]:
        """What it measured last."""
        return await self._read_of(station, self.services.planner.measurements)

    async def recorded(self, begin: datetime, end: datetime, stations: Collection[str]) -> list[Measured]:
        """Periods on record."""
        found: list[Measured] = []
        after: tuple[str, datetime] | None = None
        while page := await self.services.store.measurements.page(begin, end, QUARTER, stations, after):
            found += page
            after = page[-1].station, page[-1].begin
        return found

    async def _read_of(self, station: str, read: Reader[T]) -> T:
        if not station:
            return await read(self.network, self.station)
        return await self.services.readings.share(self.network, station, read)

    @property
    def since(self) -> datetime | None:
        """When the run was accepted."""
        return None if self.asking is None else self.asking.claim.run.created

    async def acted(self) -> datetime | None:
        """When the job first sent something to the station that changes it."""
        for transaction in () if self.asking is None else self.asking.transactions:
            rows = await self.services.store.journal.find(transaction)
            if sent := next((row.at for row in rows if row.step in _ACTS), None):
                return sent
        return None

    async def ledger(self) -> Mapping[Path, LedgerEntry]:
        """Nodes that are ours."""
        return ledger_after(self.station, await self._recorded(), self.applied)

    async def _recorded(self) -> Mapping[Path, LedgerEntry]:
        names = [self.station]
        records, ledger = await self.services.store.devices.find(names), await self.services.store.ledger.find(names)
        if not self.adopts and (self.station not in records or records[self.station].adopted is None):
            raise ConflictError(f"{self.station} is not adopted: it is observe-only")
        return ledger.get(self.station, {})

    @property
    def applied(self) -> tuple[Change, ...]:
        """Changes of this job that the station carries."""
        return self.done

    async def alarms(self) -> list[Alarm]:
        """Its standing alarms."""
        return await self.services.store.alarms.standing([self.station])

    async def alarm(self, alarm_id: str) -> Alarm:
        """An alarm on record."""
        return await self.services.store.alarms.get(alarm_id)

    async def drift(self, *, repairable: bool = False) -> int:
        """Managed nodes that differ from what was last applied, by this job too."""
        ledger, observed = await self.ledger(), await self.read()
        return len(drifted_nodes(root_spec(self.profiles), applied(ledger), observed, repairable=repairable))

    async def displaced_primaries(self) -> tuple[str, ...]:
        """Primary PLMNs of what was last applied that stand first no more, in words."""
        known = applied(await self.ledger())
        return displaced_primaries(root_spec(self.profiles), known, await self.read()) if known.primaries else ()

    async def neighbours(self, tenant: str, within: str) -> Mapping[str, Mapping[Path, LedgerEntry]]:
        """Ledgers of shared stations around."""
        network = self.network
        place_of = network.region_of if within == "region" else network.site_of
        here = place_of(self.station)
        shared = [one.id for one in network.stations if one.owner is None and place_of(one.id) == here]
        agreements = network.agreements_of(tenant)
        around = sorted({cell.station for agreement in agreements for cell in network.cells_of(agreement, shared)})
        ledgers = await self.services.store.ledger.find(around)
        return {name: ledgers.get(name, {}) for name in around}

    async def left_behind(self, station: str) -> Mapping[str, Mapping[Path, LedgerEntry]]:
        """Nodes of ours on routers of a station's site that nobody needs without the station."""
        network, site = self.network, self.network.site_of(station)
        routers = network.routers_at.get(site, ())
        others = {name for name in network.stations_at.get(site, ()) if name != station}
        devices = await self.services.store.devices.find([*routers, *others])
        ledger = await self.services.store.ledger.find([station, *routers, *others])
        now = ledger.get(station, {})
        if now and self.station != station and not self.dry_run:
            raise ConflictError(f"{station} still carries {len(now)} nodes of ours")
        served = others - {name for name, record in devices.items() if record.retired is not None}
        needed = {HOST} | {
            owner for name in others for entry in ledger.get(name, {}).values() for owner in entry.owners
        }
        needed |= {one.tenant for one in network.agreements if any(network.cells_of(one, served))}
        return {
            router: {
                path: entry
                for path, entry in ledger.get(router, {}).items()
                if entry.owners and needed.isdisjoint(entry.owners)
            }
            for router in routers
            if router in devices and devices[router].adopted is not None
        }

    async def links_behind(self) -> tuple[LinkBehind, ...]:
        """Core links of stations of its site."""
        around = self.network.stations_at.get(self.network.site_of(self.station), ())
        views = await self.services.planner.views(self.network, [name for name in around if name != self.station])
        return tuple(
            LinkBehind(
                name,
                link.path,
                view.ledger[link.path].owners,
                ServiceState.UNKNOWN if view.observed is None else link_state(view.observed, link.path),
            )
            for name, view in views.items()
            for link in links({path: {} for path in view.ledger})
        )

    async def restoration(self) -> StationPlan:
        """The plan that brings the station back."""
        view = StationView(await self.read(), adopted=True, ledger=await self._entries())
        return await self.services.planner.restoration(self.network, self.station, view)

    async def _entries(self) -> Mapping[Path, LedgerEntry]:
        return {path: LedgerEntry.model_validate(dict(entry)) for path, entry in (await self.ledger()).items()}

    async def served(self) -> frozenset[str]:
        """Tenants behind the function."""
        behind = self.network.stations_behind(self.station)
        ledgers = await self.services.store.ledger.find([self.station, *behind])
        nodes = nodes_behind(self.network, self.station, ledgers)
        return frozenset(owner for node in nodes for owner in node.owners) - {HOST}

    async def on_pools(self) -> tuple[str, ...]:
        """Pools of the function."""
        pools = pools_of(await self.ledger())
        if len(pools) < 2:
            return pools
        jobs = await self.services.store.runs.ended_jobs([self.station], EVER)
        return latest_first(pools, (*(change for job in jobs for change in job.changes), *self.applied))

    async def not_ready(self, function: str, seconds: float, pause: float) -> str:
        """Why a function of the station runs on no pool, and does not become ready in time; empty if it runs.

        A function that lacks a replica, or whose pools do not answer, may still run: then the station answers.
        """
        services, end = self.services, self.clock.monotonic() + seconds
        while True:
            pools = pools_of((await services.store.ledger.find([function])).get(function, {}))
            try:
                observed = await services.planner.read(self.network, function)
            except DeviceError as error:
                return "" if await self._answers() else error.message
            if ready_on(function, observed, pools):
                return ""
            at = [deployment_path(function, pool) for pool in pools]
            coming = [path for path in at if path in observed.tree and not is_stalled(observed, path)]
            if not coming or self.clock.monotonic() + pause > end:
                if pools and await self._answers():
                    return ""
                reasons = (
                    f"not ready on {pool}: {why_not_ready(observed, deployment_path(function, pool))}" for pool in pools
                )
                return "; ".join(reasons) or "it is on no pool"
            await self.clock.sleep(pause)

    async def _answers(self) -> bool:
        try:
            await self.read()
        except DeviceError:
            return False
        return True

    async def adopt(self, actor: str, *, fresh: bool) -> None:
        """Adopt the station, if it is observe-only; on a ``fresh`` one, just made by its pod, no node is ours."""
        known = (await self.services.store.devices.find([self.station])).get(self.station)
        if known is not None and known.adopted is not None:
            return
        if fresh:
            digest, _ = await self.services.store.networks.get()
            await self.services.store.devices.adopt(self.station, (), digest, actor)
        else:
            await self.services.planner.adopt_devices([self.station], actor)

    async def cluster(self, pool: str) -> ClusterState:
        """Nodes and pods of a pool."""
        return (await self._read_of(pool, self.services.planner.read)).cluster or ClusterState()

    async def former(self, since: datetime) -> Mapping[Path, LedgerEntry]:
        """The function's ledger before its present release."""
        store, present = self.services.store, image_in(await self.ledger())
        jobs = [job for job in await store.runs.ended_jobs([self.station], since) if job.changes]
        found: Mapping[Path, LedgerEntry] = {}
        for job in reversed(jobs):
            before = (await store.ledger.as_of([self.station], run=job.run))[self.station].ledger
            if found and image_in(before) == present:
                return {}
            if not found and image_in(before) not in ("", present):
                found = before
        return found

    async def another_pool(self, avoid: Collection[str]) -> Choice:
        """Where the function would go."""
        return await self.services.planner.elsewhere(self.network, self.station, avoid)

    async def scaling_refusal(self, replicas: int) -> str:
        """Why the function can't have so many replicas."""
        return await self.services.planner.scaling_refusal(self.network, self.station, replicas)

    async def rebalanced(self) -> Choice:
        """Where the function would go if all could."""
        return await self.services.planner.elsewhere(self.network, self.station)

    async def in_service(self, station: str = "") -> bool:
        """Whether the station is in service on record."""
        name = station or self.station
        record = (await self.services.store.devices.find([name])).get(name)
        return record is None or record.retired is None

    async def retire(self, staying: Collection[Path] = ()) -> None:
        """Put the station out of service on record."""
        await self.services.store.devices.retire(self.station, self.key, staying)

    async def foresee_locked(self, cells: Collection[Path]) -> tuple[Path, ...]:
        """None: the station says itself when they are."""
        return ()

    async def foresee_acts(self, paths: Collection[Path]) -> tuple[Path, ...]:
        """None: the station says itself what their state is."""
        return ()

    @property
    def unforeseen(self) -> tuple[str, ...]:
        """None: whatever was done before has been done."""
        return ()

    async def ask(self, question: QuestionPlan) -> Question:
        """Ask, or see whether somebody answered."""
        if self.asking is None:
            raise ConflictError("questions are asked by the steps of a run")
        now, claim = self.clock.now(), self.asking.claim
        asked = self.asking.question(self.station, question, now)
        new = asked.model_copy(
            update={
                "text": self.mask.masked(asked.text),
                "choices": tuple(self.mask.masked(asked.choices)),
                "default": self.mask.masked(asked.default),
            }
        )
        stored = await self.services.store.questions.ask(new, claim)
        if not stored.answer and stored.default and stored.until <= now:
            stored = await self.services.store.questions.take_default(new.id)
        return stored

    async def post(self, content: Mapping[str, Any], via: str = WEBHOOK) -> None:
        """Send to the webhook, or to another channel."""
        channel = self.services.channel(via)
        await channel.post(self.mask.masked(content) if self.mask else content, self.key)


@dataclass(frozen=True, slots=True)
class DryRunContext(StationContext):
    """A station as it would be: read once, as is its ledger; changes apply to what was read, and nothing is sent.

    Attributes:
        foreseen: What steps would do once the station is there, whose function does not run yet.
        depending: Names of steps that may change it, and depend on what nobody knows yet.
    """

    seen: list[Observed] = field(default_factory=list)
    known: list[Mapping[Path, LedgerEntry]] = field(default_factory=list)
    thought: list[Change] = field(default_factory=list)
    thought_by: list[str] = field(default_factory=list)
    asked: list[Operation] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    foreseen: list[str] = field(default_factory=list)
    depending: list[str] = field(default_factory=list)

    @property
    def dry_run(self) -> bool:
        """Always."""
        return True

    @property
    def applied(self) -> tuple[Change, ...]:
        """Changes of this dry run so far."""
        return tuple(self.thought)

    async def read(self) -> Observed:
        """The station as read, with the changes so far."""
        if not self.seen:
            # Not super(): a dataclass with slots is another class than the one named here.
            observed = await self.services.planner.read(self.network, self.station)
            self.seen.append(observed)
        return self.seen[-1]

    async def _recorded(self) -> Mapping[Path, LedgerEntry]:
        if not self.known:
            recorded = await StationContext._recorded(self)
            self.known.append(recorded)
        return self.known[0]

    @property
    def applied_by(self) -> tuple[str, ...]:
        """Names of the steps that would make these."""
        return tuple(self.thought_by)

    async def apply(self, change: Change, step: str) -> None:
        """Apply a step's change to what was read; cells that it shuts down keep their users for now."""
        observed = await self.read()
        tree = observed.tree
        for phase in change.phases:
            tree = apply_edits(root_spec(self.profiles), tree, phase.edits)
        self.seen.append(replace(observed, tree=tree))
        self.thought.append(change)
        self.thought_by.append(step)

    @property
    def shutting(self) -> tuple[Path, ...]:
        """Cells that the run shuts down, and that lock themselves at a time that nobody knows."""
        tree: Tree = self.seen[-1].tree if self.seen else {}
        edited = (edit.path for change in self.thought for phase in change.phases for edit in phase.edits)
        return tuple(path for path in dict.fromkeys(edited) if administrative_state(tree, path) == "SHUTTINGDOWN")

    def once_locked(self) -> DryRunContext:
        """The same station after the last users have left the cells that the run shuts down."""
        return replace(self, seen=[_locked(self.seen[-1], self.shutting)], words=[], foreseen=[])

    async def foresee_locked(self, cells: Collection[Path]) -> tuple[Path, ...]:
        """See ``Context``."""
        there = tuple(path for path in self.shutting if path in cells)
        if there:
            self.seen.append(_locked(self.seen[-1], there))
        return there

    async def foresee_acts(self, paths: Collection[Path]) -> tuple[Path, ...]:
        """See ``Context``: an operation, as a restart, and a function's new pod concern all of them."""
        edited = [edit.path for change in self.thought for phase in change.phases for edit in phase.edits]
        return tuple(
            path for path in paths if self.asked or self.foreseen or any(_concerns(one, path) for one in edited)
        )

    @property
    def unforeseen(self) -> tuple[str, ...]:
        """See ``Context``."""
        return tuple(self.depending)

    async def retire(self, staying: Collection[Path] = ()) -> None:
        """Leave it in service."""

    async def ask(self, question: QuestionPlan) -> Question:
        """The question; nobody is asked, and nobody knows the answer."""
        now = self.clock.now()
        choices = f" ({' or '.join(question.choices)})" if question.choices else ""
        late = f"the answer is {question.default!r}" if question.default else "the step fails"
        self.words.append(
            f"would ask: {question.text}{choices}; without an answer within {question.seconds:g} s {late}"
        )
        until = now + timedelta(seconds=question.seconds)
        return Question(id="", run="", step="", text=question.text, asked=now, until=until)

    async def post(self, content: Mapping[str, Any], via: str = WEBHOOK) -> None:
        """Send nothing, and say whether it could be sent: the channels are those of the settings.

        Raises:
            MinkaError: The channel lacks something.
        """
        if missing := self.services.channel(via).lacks(content):
            raise MinkaError(missing)
        told = f"would tell the {via}" if via == WEBHOOK else f"would tell people by {via}"
        self.words.append(f"{told}, which is set up; whether it answers is not tried")


def _concerns(edited: Path, path: Path) -> bool:
    """Whether an edit is about an object, something in it, or what it is in."""
    return edited == path or edited.startswith(f"{path}/") or path.startswith(f"{edited}/")


def _locked(observed: Observed, cells: Collection[Path]) -> Observed:
    """A station on which cells that shut down have locked themselves."""
    tree = observed.tree
    return replace(
        observed, tree={**tree, **{path: {**tree[path], administrative_leaf(path): "LOCKED"} for path in cells}}
    )


def hold_at(network: Network, station: str, holds: list[Hold]) -> str:
    """The hold that binds a device, in words; empty if none."""
    hold = Holds(holds).binding(network, station)
    return "" if hold is None else hold.words
