"""Reads stations, keeps their health and reports faults; never changes anything."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import chain
from operator import eq
from types import MappingProxyType
from typing import Literal

import structlog

from controller.assurance.brief_outages import list_read
from controller.assurance.clusters import with_cluster, without_answer
from controller.assurance.common_faults import CommonFaults
from controller.assurance.failures import COMMON_FAULTS, Failures
from controller.assurance.health import (
    OWN_CAUSES,
    FaultKey,
    answering,
    as_grave,
    health_of,
    renewed,
    reports_of,
    returned,
    unread,
    wrongs,
)
from controller.assurance.station_alarms import (
    Listed,
    ListReports,
    Problem,
    listed,
    missed_alarms,
    problem_of,
    records_by_problem,
)
from controller.assurance.traffic import carried, untold_user_plane
from controller.drivers.protocols import Observed
from controller.intent.brief_outages import ListRead
from controller.intent.impact import real_faults
from controller.models.alarm import (
    CELL_OFF_AIR,
    COUNTED,
    LINK_CAUSES,
    Alarm,
    AlarmRecord,
    AlarmReport,
    AlarmSource,
    PerceivedSeverity,
)
from controller.models.cloud import NodeReady
from controller.models.equipment import UnitState
from controller.models.errors import DeviceError, NotFoundError, NothingToldError, StoreError, UnreachableError
from controller.models.facts import LinkKind
from controller.models.health import OBSERVED_AFTER, Health, LinkHealth, Refusal, ServiceState
from controller.models.measurement import Period
from controller.models.metrics import Observations
from controller.models.network import Network, Rat
from controller.models.plan import Change
from controller.models.run import LedgerEntry
from controller.models.settings import Settings
from controller.nrm.generation import generation_of
from controller.nrm.profiles import cells, root_spec
from controller.nrm.tree import Path, child, parent
from controller.plan import applied, drifted_nodes, ledger_after
from controller.ports.clock import Clock
from controller.runs.planning.planner import Planner
from controller.runs.planning.read_back import read_back
from controller.store import AsyncStore, Reading, Store, UnreadJob
from controller.store.placements import running_on

log = structlog.get_logger()

_Ledger = Mapping[Path, LedgerEntry]


@dataclass(frozen=True, slots=True)
class Check:
    """The result of one check of a station.

    Attributes:
        at: When it was begun: what happened later it may not have seen.
        read: When the station had been read: what happened later it has not seen. None where that is not known.
        reason: Code of the error that kept us from reading it, empty where it was read.
        said: That in words.
        measured: What it counted last, where it does not tell the state of its user plane.
        failed: Whether an error in Minka itself kept us from reading it: then nothing at all is known.
        turn: The last regular turn of the station before that (``Health.turn``).
        units: Its radio units without a sign of life; None where it was not asked for them, or does not say.
        refusal: Why it was refused when it called home; empty where it was not.
        changing: Whether it was just being changed when the check was begun, and if so, whether it may not be reached
            by that (``Claims.in_transaction``); None if it was not.
    """

    station: str
    at: datetime
    observed: Observed | None
    reason: str = ""
    said: str = ""
    measured: tuple[Period, ...] = ()
    failed: bool = False
    turn: datetime | None = None
    units: tuple[UnitState, ...] | None = None
    refusal: Refusal | Literal[""] = ""
    changing: bool | None = None
    read: datetime | None = None


@dataclass(frozen=True, slots=True)
class _Basis:
    """The inputs of a judgement; while they stay the same, the station need not be judged again.

    Attributes:
        observed: What it said; a session gives the very same again while its station answers the same.
        ledger: Version of its ledger.
        network: Digest of the network.
        elsewhere: Functions that were on nodes of a pool that are lost, and are on another pool now.
        carried: What it carries by a job that has not ended, and its ledger has not yet.
        silent: Whether it is a function of which a pool is away, and nothing that depends on it is known to serve.
        units: Names of its radio units without a sign of life.
    """

    observed: Observed
    ledger: int
    network: str
    measured: tuple[Period, ...]
    elsewhere: frozenset[str]
    carried: tuple[Change, ...]
    silent: bool
    units: frozenset[str] | None

    def stays(self, now: _Basis) -> bool:
        """Whether it is the same by now, in the same order: the first PLMN of a cell is its primary one."""
        here, there = self.observed.tree, now.observed.tree
        return self == now and (here is there or all(map(eq, here, there)))


@dataclass(frozen=True, slots=True)
class _Judged:
    """A check, judged.

    Attributes:
        listed: Alarms that the station lists, by the lists that it keeps; none where it could not be read.
        generation: See ``controller.nrm.generation``.
        acknowledged: Who acknowledged what at the station, by what alarms of it may be known by.
        records: Ids of the records of its list that tell of what our own check finds too, and stand.
        altered: Whether it carries nodes of ours otherwise than they were applied; one that lost them did not.
        returned: See ``controller.assurance.health.returned``.
        list_read: What its AlarmList told of outages that are over; None where nothing was read, or nothing new.
        basis: What it was judged by; None where it could not be read.
    """

    health: Health
    listed: Mapping[AlarmSource, Listed] = field(default_factory=dict)
    acknowledged: Mapping[Problem, str] = field(default_factory=dict)
    records: Mapping[FaultKey, Sequence[str]] = field(default_factory=dict)
    generation: int = 0
    altered: bool = False
    basis: _Basis | None = None
    returned: frozenset[FaultKey] = frozenset()
    list_read: ListRead | None = None

    def again(self, check: Check) -> _Judged:
        """The same result, for another check that read the same."""
        at = check.at
        health = self.health.model_copy(update={"at": at, "read": at, "lasted": {}}).in_turn(check.turn, self.health)
        listed = {source: _again(one, at) for source, one in self.listed.items()}
        return replace(self, health=health, listed=listed, returned=frozenset(), list_read=None)

    def cleared_since(self, before: _Judged | None) -> dict[FaultKey, datetime]:
        """When the station cleared its own alarms that stood at the check before, by its clock."""
        listed = (self.basis.observed.records if self.basis else None) or ()
        at = {record.id: record.cleared for record in listed}
        times = {wrong: [at.get(one) for one in ids] for wrong, ids in (before.records if before else {}).items()}
        return {
            wrong: max(times_cleared)
            for wrong, found in times.items()
            if len(times_cleared := [*filter(None, found)]) == len(found)
        }

    @property
    def problems(self) -> frozenset[tuple[str, ...]]:
        """What is wrong, in words."""
        return frozenset((*wrongs(self.health), *chain.from_iterable(self.listed.values())))


@dataclass(frozen=True, slots=True)
class _Recorded:
    """A check with what is on record of its station."""

    check: Check
    ledger: _Ledger
    before: Health | None
    elsewhere: frozenset[str]
    basis: _Basis | None
    silent: bool


@dataclass(frozen=True, slots=True)
class _Record:
    """What is to be put on record of one device.

    Attributes:
        acknowledged: Its alarms that people acknowledged there, and who did.
        alarmed: Whether an alarm of it stands.
        list_read: What its AlarmList told of outages that are over.
    """

    health: Health
    reports: tuple[AlarmReport, ...]
    acknowledged: Sequence[tuple[Alarm, str]]
    alarmed: bool
    list_read: ListRead | None


class Checker:
    """Checks stations; keeps the last check of each, to distinguish a passing state from a lasting one.

    Args:
        sources: Whose words become alarms here: what is found wrong (``check``), alarms that stations list and
            whose notifications were missed (``oran-fm``), records of their lists (``alarm-list``). Health is kept in
            any case.
        settle: Seconds that an unlocked cell has to come on air before that is an alarm.
        observations: Counts checks that fail by an error in Minka itself.
    """

    def __init__(
        self,
        store: AsyncStore,
        planner: Planner,
        clock: Clock,
        sources: Collection[AlarmSource],
        settle: float = Settings.model_fields["cell_settle"].default,
        observations: Observations | None = None,
    ) -> None:
        self._store = store
        self._planner = planner
        self._clock = clock
        self._sources = frozenset(sources)
        self._settle = settle
        self._last: dict[str, _Judged] = {}
        #: Stations that differ since their first check, and when the record last saw them match.
        self._surprising: dict[str, datetime] = {}
        self._common = CommonFaults()
        self._failures = Failures(observations or Observations())

    def follow(self, devices: Collection[str]) -> None:
        """Look for common faults of these devices, and of no others."""
        self._common.follow(devices)
        self._failures.follow(devices)

    async def check(self, network: Network, station: str, *, closely: bool = False) -> Check:
        """Read one station; a failed read is a result too.

        One with a cell off air, or one that is looked at ``closely``, is asked for its radio units, too.
        """
        at = self._clock.now()
        try:
            observed = await self._planner.read(network, station)
            read = self._clock.now()
            measured = await self._planner.measurements(network, station) if untold_user_plane(observed) else ()
        except (DeviceError, NotFoundError) as error:
            log.info("station.unreadable", station=station, code=error.code, reason=error.message)
            refusal = error.refusal if isinstance(error, UnreachableError) else ""
            return Check(station, at, None, error.code, error.message, refusal=refusal and Refusal(refusal))
        last = self._last.get(station)
        closely = closely or (last is not None and bool(last.health.off_air))
        units = await self._silent_units(network, station) if closely else None
        return Check(station, at, observed, measured=measured, units=units, read=read)

    async def _silent_units(self, network: Network, station: str) -> tuple[UnitState, ...] | None:
        """Radio units without a sign of life; None where the station does not say."""
        if not network.has_cells(station):
            return None
        try:
            seen = await self._planner.equipment(network, station)
        except DeviceError as error:
            log.info("station.units_unreadable", station=station, code=error.code, reason=error.message)
            return None
        told = [unit for unit in seen.units if unit.silent is not None]
        return tuple(unit for unit in told if unit.lost) if told else None

    async def health(self, station: str) -> Health:
        """Current health of one station; nothing is kept.

        Raises:
            NotFoundError: The station is not adopted.
        """
        _, network = await self._store.networks.get()
        found = await self._judge([await self.check(network, station, closely=True)], _all)
        if station not in found:
            raise NotFoundError(f"station {station} is not adopted")
        return found[station].health

    async def on_battery(self, station: str) -> bool:
        """Whether a station says that it runs on battery now; many do not report it, and routers have none."""
        _, network = await self._store.networks.get()
        try:
            tells = network.manages(station) and network.kind_of(station).rules.tells_power
            seen = await self._planner.equipment(network, station) if tells else None
        except DeviceError:
            return False
        return seen is not None and seen.power == "BATTERY"

    async def record(self, checks: Sequence[Check]) -> frozenset[str]:
        """Save the health of checks, and report alarms.

        Of stations that are just being changed nothing counts but whether they can be reached: between two phases of a
        transaction a station is neither old nor new, but it answers, unless an operation of the job restarts it. One on
        which a job soaks, reads or waits is looked at like any other.

        Returns:
            Stations to check again soon: what is wrong there changed, or they answered and that did not count, or what
            they say decides whether a fault is common to many.

        Raises:
            StoreError: Nothing is kept.
        """
        self._failures.begin(check.station for check in checks if check.failed)
        seen = [check for check in checks if not check.failed]
        try:
            again = await self._record(seen)
        except (StoreError, NotFoundError):
            raise
        except Exception:
            log.exception("checks.not_recorded_together", stations=len(seen))
            again = frozenset[str]().union(*[await self._record_one(check) for check in seen])
        await self._report_failures()
        return again | self._failures.now

    async def _record_one(self, check: Check) -> frozenset[str]:
        """Record a check by itself, after those of several devices could not be recorded together."""
        try:
            return await self._record([check])
        except (StoreError, NotFoundError):
            raise
        except Exception:
            log.exception("check.bug", station=check.station)
            self._failures.add(check.station)
            return frozenset()

    async def _record(self, checks: Sequence[Check]) -> frozenset[str]:
        changing = await self._store.claims.in_transaction([check.station for check in checks])
        looks = [replace(one, changing=_either(one.changing, changing.get(one.station))) for one in checks]
        passed = {one.station: one for one in looks if one.changing is not None and not _is_lost(one)}
        counted = [one for one in checks if one.station not in passed]
        await self._read_back(counted)
        judged = await self._judge(counted, self._failures.each)
        judged |= await self._answering(list(passed.values()))
        if carried := {station: one.generation for station, one in judged.items() if one.generation}:
            await self._store.integrity.check_fences(carried)
        await self._doubt(judged)
        standing = await self._store.alarms.standing([*judged, ""])
        records = self._records(judged, standing)
        for alarm in await self._store.transaction(_keep, list(records.values())):
            log.info("alarm.reported", alarm=alarm.id, station=alarm.station, cause=alarm.probable_cause)
        found = {station: judged[station] for station in records}
        changed = {station for station, one in found.items() if self._changed(station, one)}
        _, network = await self._store.networks.get()
        before = {station: last.health for station, last in self._last.items() if station in found}
        self._last |= found
        self._failures.each(
            [station for station in found if station not in passed],
            lambda station: self._common.take(network, before.get(station), found[station].health),
        )
        self._failures.each(passed, lambda station: self._pass(network, passed[station]))
        self._failures.went_well(found)
        await self._report_common_faults(network, [alarm for alarm in standing if not alarm.station])
        uncounted = {name for name, one in passed.items() if one.reason != UnreachableError.code}
        return self._common.to_ask() | uncounted | changed

    async def _read_back(self, checks: Sequence[Check]) -> None:
        """Put on record which state stations carry that nobody could read back when a job ended there.

        Before all else is judged, since the ledger follows from it.
        """
        read = {one.station: one for one in checks if one.observed is not None}
        unread_there = await self._store.claims.unread(read) if read else []
        if not unread_there:
            return
        _, network = await self._store.networks.get()

        def judged(one: UnreadJob) -> Reading | None:
            check = read[one.ended.station]
            if check.observed is None or not network.manages(check.station):
                return None
            return read_back(root_spec(network.profiles_of(check.station)), one, check.observed, check.at)

        by_station = {one.ended.station: one for one in unread_there}
        found = await asyncio.to_thread(self._failures.each, by_station, lambda name: judged(by_station[name]))
        if readings := [one for one in found.values() if one is not None]:
            await self._store.claims.found(readings)

    async def _answering(self, checks: Sequence[Check]) -> dict[str, _Judged]:
        """Judged checks of stations that are just being changed: of those that answer, and could not be reached."""
        answers = {check.station: check for check in checks if check.observed is not None}
        known = {station: last.health for station in answers if (last := self._last.get(station))}
        if asked := answers.keys() - known.keys():
            known |= await self._store.healths.find(asked)
        return {
            station: _Judged(answering(health, check.at).in_turn(check.turn, health))
            for station, check in answers.items()
            if (health := known.get(station)) is not None and not health.reachable
        }

    def _pass(self, network: Network, check: Check) -> None:
        """Take in a check of which only counts whether the station answered."""
        self._common.take_changing(network, check.station, check.at, answers=check.observed is not None)

    def _records(self, judged: Mapping[str, _Judged], standing: Sequence[Alarm]) -> dict[str, _Record]:
        """What is to be put on record of each device."""
        of: dict[str, list[Alarm]] = defaultdict(list)
        for alarm in standing:
            of[alarm.station].append(alarm)

        def record(station: str) -> _Record:
            found, alarms = judged[station], of[station]
            acknowledged = [(one, by) for one in alarms if (by := _acknowledged_at(one, found))]
            reports = tuple(self._reports(found, alarms))
            return _Record(found.health, reports, acknowledged, bool(alarms), found.list_read)

        return self._failures.each(judged, record)

    async def _report_failures(self) -> None:
        """Raise or clear the alarm about Minka's own checks."""
        if not self._failures.end() or AlarmSource.CHECK not in self._sources:
            return
        try:
            standing = await self._store.alarms.standing([""])
            for report in self._failures.reports(standing, self._clock.now()):
                await self._store.alarms.report(report)
        except StoreError:
            raise
        except Exception:
            log.exception("check.failures_not_reported")

    async def _report_common_faults(self, network: Network, standing: Sequence[Alarm]) -> None:
        if AlarmSource.CHECK not in self._sources:
            return
        try:
            reports = list(self._common.reports(network, standing, self._clock.now()))
            alarms = await self._store.alarms.report_all(reports) if reports else []
        except StoreError:
            raise
        except Exception:
            log.exception("check.bug", station=COMMON_FAULTS)
            self._failures.add(COMMON_FAULTS)
            return
        for alarm in alarms:
            log.info("alarm.reported", alarm=alarm.id, object=alarm.object, cause=alarm.probable_cause)

    async def _doubt(self, found: Mapping[str, _Judged]) -> None:
        """Look for stations that differ from the record at their first check after the start."""
        first = [name for name, now in found.items() if name not in self._last and now.health.reachable]
        altered = [name for name in first if found[name].altered]
        if altered:
            known = await self._store.healths.find(altered)
            matched = {name: one.at for name, one in known.items() if one.reachable and not one.drift}
            self._surprising |= matched
            if (await self._store.integrity.check_drift(self._surprising)).doubt:
                self._surprising = {}

    def _reports(self, now: _Judged, standing: Sequence[Alarm]) -> Iterator[AlarmReport]:
        before = self._last.get(now.health.station)
        uncleared = [one for one in standing if one.cleared is None]
        if AlarmSource.CHECK in self._sources:
            cleared = now.cleared_since(before)
            last = before.health if before else None
            yield from _own_reports(last, now.health, uncleared, self._settle, cleared, now.returned)
            yield from as_grave(now.health, uncleared)
        if before is None:
            return
        enabled = {source: found for source, found in now.listed.items() if source in self._sources}
        reporting = now.health.reporting_cells
        yield from missed_alarms(
            before.listed, enabled, before.health.at, now.health.at, uncleared, reporting, now.health.supply
        )

    def _changed(self, station: str, now: _Judged) -> bool:
        before = self._last.get(station)
        return now.problems != (before.problems if before else frozenset())

    # ------------------------------------------------------------------ judge

    async def _judge(
        self, checks: Sequence[Check], each: Callable[[Iterable[str], Callable[[str], _Judged]], dict[str, _Judged]]
    ) -> dict[str, _Judged]:
        """Judged checks of adopted stations by station, compared with what was applied there.

        ``each`` judges each station, and says what becomes of an error.
        """
        network, same, new = await self._store.read(self._recorded, checks)
        records = {one.check.station: one for one in new}
        judged = await asyncio.to_thread(
            each, records, lambda station: _judged(network, records[station], self._sources)
        )
        return same | judged

    def _recorded(self, store: Store, checks: Sequence[Check]) -> tuple[Network, dict[str, _Judged], list[_Recorded]]:
        """Checks of adopted stations: unchanged ones with their last judgement; the others with what is on record."""
        stations = [check.station for check in checks]
        digest, network = store.networks.get()
        devices, versions = store.devices.find(stations), store.ledger.versions(stations)
        ours = [check for check in checks if check.station in devices and devices[check.station].adopted is not None]
        gone, carried = _gone_elsewhere(store, network, ours), store.steps.carried(stations)
        silent = _silent(store, network, ours)
        bases = {
            name: _Basis(
                check.observed,
                versions.get(name, 0),
                digest,
                check.measured,
                gone.get(name, frozenset()),
                carried.get(name, ()),
                name in silent,
                None if check.units is None else frozenset(unit.name for unit in check.units),
            )
            for check in ours
            for name in [check.station]
            if check.observed is not None
        }
        same = {check.station: last.again(check) for check in ours if (last := self._still(check, bases))}
        new = [check for check in ours if check.station not in same]
        kept = store.ledger.find([check.station for check in new]) if new else {}
        ledger = {
            name: ledger_after(name, kept.get(name, {}), carried.get(name, ())) for name in (one.station for one in new)
        }
        before = {check.station: last.health for check in new if (last := self._last.get(check.station))}
        # What a station can't report (any more) stays as it was on record, as does what another process saw before.
        asked = [one.station for one in new if one.station not in before or _can_not_report(one, ledger)]
        before |= store.healths.find(asked) if asked else {}
        return (
            network,
            same,
            [
                _Recorded(
                    check,
                    ledger.get(name, {}),
                    before.get(name),
                    gone.get(name, frozenset()),
                    bases.get(name),
                    name in silent,
                )
                for check in new
                for name in [check.station]
            ],
        )

    def _still(self, check: Check, bases: Mapping[str, _Basis]) -> _Judged | None:
        """The last judgement of a station, if it is still valid: reading its ledger takes longer than all else.

        After a time in which nobody looked it is not: what stood meanwhile by the station's list is still to be told.
        """
        last, basis = self._last.get(check.station), bases.get(check.station)
        valid = last is not None and basis is not None and last.basis is not None and last.basis.stays(basis)
        return last if last is not None and valid and check.at - last.health.at <= OBSERVED_AFTER else None


def _is_lost(check: Check) -> bool:
    """Whether a station can't be reached for a reason that is not what a job just does to it."""
    return check.reason == UnreachableError.code and not check.changing


def _either(begun: bool | None, now: bool | None) -> bool | None:
    """What a job did to a station when its check was begun, or does now: one that ends meanwhile counts, too."""
    return max((one for one in (begun, now) if one is not None), default=None)


def _all(stations: Iterable[str], judge: Callable[[str], _Judged]) -> dict[str, _Judged]:
    return {station: judge(station) for station in stations}


def _again(found: Listed, at: datetime) -> Listed:
    return {problem: report.model_copy(update={"at": at}) for problem, report in found.items()}


def _can_not_report(check: Check, ledger: Mapping[str, _Ledger]) -> bool:
    """Whether a device could not be read, or a part of it, or has lost cells of ours."""
    return check.observed is None or bool(check.observed.dark) or _lost_cells(check, ledger)


def _lost_cells(check: Check, ledger: Mapping[str, _Ledger]) -> bool:
    """Whether a station does not carry a cell of ours any more."""
    ours = cells({path: {} for path in ledger.get(check.station, {})})
    return check.observed is not None and any(cell.path not in check.observed.tree for cell in ours)


def _is_bare(check: Check, ledger: _Ledger) -> bool:
    """Whether a station has nothing of ours any more below its functions, as when it comes from the factory."""
    inside = [path for path in ledger if parent(path) and parent(parent(path))]
    return check.observed is not None and bool(inside) and check.observed.tree.keys().isdisjoint(inside)


def _tells_nothing(network: Network, check: Check, ledger: _Ledger) -> bool:
    """Whether a station that carried something of ours does not even show the element that it all stands in.

    So it is with an empty answer, by a server that is not ready or hides all, and with one about another station: that
    says nothing of what this one does. A virtual station comes up so with a new pod, and has lost its configuration.
    """
    if not network.has_cells(check.station):
        return False
    top = child("", root_spec(network.profiles_of(check.station)).name, check.station)
    carried = top in ledger and check.station not in network.endpoint_function
    return carried and check.observed is not None and top not in check.observed.tree


def _gone_elsewhere(store: Store, network: Network, checks: Iterable[Check]) -> dict[str, frozenset[str]]:
    """Functions that by the record are on another pool now, of those on lost nodes of a pool, or of one that is away.

    Nobody else knows: a cluster lists pods of a lost node until that is back.
    """
    pools = [one.station for one in checks if network.kind_of(one.station).rules.hosts and _has_lost(network, one)]
    if not pools:
        return {}
    seen = [(name, health.cluster.functions) for name, health in store.healths.find(pools).items() if health.cluster]
    seen += [(one.station, one.observed.cluster.in_doubt) for one in checks if one.observed and one.observed.cluster]
    names = {pool: {function for at, there in seen for function in there if at == pool} for pool in pools}
    running = running_on(store, sorted(set().union(*names.values())))
    return {
        pool: frozenset(name for name in asked if name in running and running[name][0] != pool)
        for pool, asked in names.items()
    }


def _silent(store: Store, network: Network, checks: Iterable[Check]) -> frozenset[str]:
    """Functions of which a pool can't be read, and nothing that depends on them is known to serve by its last check."""
    dark = [
        one.station
        for one in checks
        if one.observed and one.observed.dark and network.kind_of(one.station).rules.placed
    ]
    behind = {name: network.stations_behind(name) for name in dark}
    healths = store.healths.find(set().union(*behind.values())) if dark else {}
    return frozenset(
        name for name, stations in behind.items() if not any(_is_served(healths.get(one)) for one in stations)
    )


def _is_served(health: Health | None) -> bool:
    """Whether a station says that it has a cell on air, and a core link that is not down."""
    if health is None or not health.reachable or health.lost:
        return False
    linked = not health.links or any(link.state is not ServiceState.DOWN for link in health.links)
    return linked and any(state is ServiceState.UP for state in health.cells.values())


def _has_lost(network: Network, check: Check) -> bool:
    """Whether a pool did not answer, or a node of it is lost."""
    seen = check.observed.cluster if check.observed else None
    if seen is None:
        return True
    ready = {node.id for node in seen.nodes if node.ready is NodeReady.READY}
    return not ready.issuperset(
        [node.id for node in seen.nodes] + [node.id for node in network.nodes_of[check.station]]
    )


def _judged(network: Network, one: _Recorded, sources: Collection[AlarmSource]) -> _Judged:
    check, ledger, before, basis = one.check, one.ledger, one.before, one.basis
    device = network.kind_of(check.station)
    if check.observed is None or _tells_nothing(network, check, ledger):
        reason = check.reason or NothingToldError.code
        health = unread(check.station, ledger, before, check.at, reason, device, check.said, check.refusal)
        health = without_answer(health, one.elsewhere).in_turn(check.turn, before)
        return _Judged(_with_tunnels(network, health))
    known = network.profiles_of(check.station) if network.manages(check.station) else ()
    drifted = drifted_nodes(root_spec(known), applied(ledger), check.observed) if known else ()
    generation = generation_of(root_spec(known), check.observed, check.station) if known else 0

    def traffic(name: str, rat: Rat | None) -> ServiceState:
        tenant = network.tenant_by_id.get(name)
        return ServiceState.UNKNOWN if tenant is None else carried(tenant, rat, check.measured)

    reports = ListReports.of(check.station, check.observed, check.at, ledger)
    records = list(records_by_problem(reports))
    checked = _checked(records)
    times_of = {wrong: [one.raised for one in found if one.raised] for wrong, found in checked.items()}
    raised = {wrong: min(times) for wrong, times in times_of.items() if times}
    health = health_of(
        check.station,
        check.observed,
        ledger,
        len(drifted),
        check.at,
        device,
        traffic,
        before,
        raised,
        silent=one.silent,
        inputs=network.external_inputs_of(check.station),
        units=check.units,
    )
    health = with_cluster(network, health, before, one.elsewhere).in_turn(check.turn, before)
    health = health.model_copy(update={"lost": check.station in network.endpoint_function and _is_bare(check, ledger)})
    altered = any(path in check.observed.tree for path in drifted)
    alarms = listed(reports, health.reporting_cells, sources, health.supply)
    said = {problem: record.acknowledged_by for problem, record in records if record.acknowledged_by}
    ids = {wrong: [one.id for one in found] for wrong, found in checked.items()}
    back = returned(before, health)
    told = list_read(reports, before, health, check.read or check.at, ledger)
    return _Judged(_with_tunnels(network, health), alarms, said, ids, generation, altered, basis, back, told)


def _checked(records: Iterable[tuple[Problem, AlarmRecord]]) -> dict[FaultKey, list[AlarmRecord]]:
    """Records about faults that our own check finds, too."""
    found: dict[FaultKey, list[AlarmRecord]] = defaultdict(list)
    for (what, cause, _), record in records:
        if cause in LINK_CAUSES or cause == CELL_OFF_AIR:
            found[what, cause].append(record)
    return found


def _with_tunnels(network: Network, health: Health) -> Health:
    """The health, in which core links name their security gateways of the network files."""

    def tunnel(link: LinkHealth) -> str:
        tenant = network.tenant_by_id.get(link.tenant)
        return tenant.core.tunnel_of(LinkKind(link.kind).plane) if tenant else ""

    found = tuple(link.model_copy(update={"tunnel": way}) if (way := tunnel(link)) else link for link in health.links)
    return health.model_copy(update={"links": found})


def _acknowledged_at(alarm: Alarm, judged: _Judged) -> str:
    """Who acknowledged an alarm at its station; empty if nobody did, or if it is acknowledged on record."""
    return "" if alarm.acknowledged else judged.acknowledged.get(problem_of(alarm), "")


def _keep(store: Store, records: Sequence[_Record]) -> list[Alarm]:
    store.healths.save([one.health for one in records])
    store.incidents.note_listed([one.list_read for one in records if one.list_read is not None])
    reported = _take(store, [report for one in records for report in one.reports])
    for alarm, by in (known for one in records for known in one.acknowledged):
        store.alarms.acknowledge(alarm.id, by, actor=AlarmSource.ALARM_LIST)
    if alarmed := [one.health.station for one in records if one.alarmed]:
        store.alarms.reassess(alarmed)
    return reported


def _take(store: Store, reports: Sequence[AlarmReport]) -> list[Alarm]:
    """Put reports on record, but for those of one fault too many that the device names (``admitted``)."""
    named = [one for one in reports if one.source is not AlarmSource.CHECK]
    if not named:
        return store.alarms.report_all(reports)
    real = real_faults(store.networks.get()[1], named, OWN_CAUSES)
    return [alarm for alarm in store.alarms.take_told(reports, real, {}) if alarm is not None]


def _own_reports(
    before: Health | None,
    now: Health,
    uncleared: Sequence[Alarm],
    settle: float = 0,
    cleared: Mapping[FaultKey, datetime] = MappingProxyType({}),
    back: Collection[FaultKey] = (),
) -> Iterator[AlarmReport]:
    """What our own check has to say: of each tenant's alarm, where somebody raised one for several of an object.

    Faults that are over since what was lost is ``back`` are those that we raised: others may have meant another.
    """
    found, tenants = wrongs(now), dict[FaultKey, set[str]]()
    for alarm in uncleared:
        wrong = alarm.object, alarm.probable_cause
        if not alarm.specific_problem and (wrong not in found or found[wrong].tenant == alarm.tenant):
            tenants.setdefault(wrong, set()).add(alarm.tenant)
    yield from renewed(before, now, uncleared)
    ours = {(one.object, one.probable_cause) for one in uncleared if one.source is AlarmSource.CHECK}
    others = (one for one in uncleared if one.source.is_told and one.probable_cause in COUNTED)
    told = {(one.object, one.probable_cause) for one in others if not one.specific_problem}
    for report in reports_of(before, now, tenants, settle, cleared, ours.intersection(back), told - ours):
        if report.severity is not PerceivedSeverity.CLEARED:
            yield report
            continue
        for tenant in sorted(tenants[report.object, report.probable_cause]):
            yield report.model_copy(update={"tenant": tenant})
