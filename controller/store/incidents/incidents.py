"""Incidents: what people see of them, and what people do about them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import chain
from types import MappingProxyType
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import orjson
from sqlalchemy import ColumnElement, Row, and_, bindparam, case, exists, func, or_, select, update

from controller.intent.agreed_terms import Era, month_of, spans_of
from controller.intent.blame import RootTime, blames
from controller.intent.brief_outages import NOTHING_LISTED, Listed, ListRead, brief_spells
from controller.intent.central_units import whole_of
from controller.intent.delivery import CarriedLink, Delivery
from controller.intent.impact import Sharing
from controller.intent.incidents import BLAMED, Stay, cleared_of_blame, has_settled, ranked, split_off
from controller.intent.interruptions import planned
from controller.intent.observation import Observation
from controller.intent.outages import ExcusedTimes, Known, Outages, Spell, of_tenant
from controller.intent.proofs import proved
from controller.intent.roots import may_be_root
from controller.intent.times import Times, both, meet, union
from controller.intent.windows import openings
from controller.models.alarm import (
    BACKHAUL_DOWN,
    COUNTED,
    DIVERGED,
    HIDES,
    LINK_CAUSES,
    PLMN_MISSING,
    UNREACHABLE,
    Alarm,
    AlarmSource,
    PerceivedSeverity,
)
from controller.models.approval import StationConstraints
from controller.models.ended_job import EndedJob
from controller.models.enums import IncidentState
from controller.models.errors import NotFoundError
from controller.models.incident import (
    CHATTERS,
    AgreementMinutes,
    Incident,
    IncidentFilter,
    Loss,
    Rank,
    TenantMinutes,
    gravest,
    is_dark,
)
from controller.models.network import Network
from controller.models.run import AuditRow
from controller.store.alarms.alarm_rows import STANDING, alarm_tenants, alarms, as_alarm
from controller.store.alarms.concerns import CONCERNS, GUARD
from controller.store.alarms.correlation import put_into, reassessed, uncorrelated
from controller.store.alarms.incident_rows import OPEN_INCIDENT, incident_alarms, incidents, known_of, touch, write
from controller.store.alarms.works import works_during
from controller.store.database import audit_chain
from controller.store.database.audit_chain import audit
from controller.store.database.queries import as_noun
from controller.store.database.repository import M_co, Page, Repository, method, reads, writes, writes_aside
from controller.store.database.transaction import Database, Tx
from controller.store.incidents.agreed_minutes import Counter, MonthOnRecord, counted_minutes, put_minutes
from controller.store.incidents.brief_outages import listed_during, note_listed
from controller.store.incidents.observations import observation_during
from controller.store.incidents.service_losses import TAKING, ServiceLosses, joined, losses_by, losses_in, losses_of
from controller.store.jobs.ended_jobs import ended_jobs
from controller.store.jobs.left_locks import left_behind
from controller.store.jobs.run_rows import jobs, runs
from controller.store.jobs.work_done import BEGUN_JOB, works_of
from controller.store.network.devices import delivery_during, locks_during
from controller.store.network.ledger import links_during
from controller.store.network.versions import (
    HeldVersion,
    PackedNetwork,
    current_network,
    packed_networks,
    versions_during,
)
from controller.store.runs.run_constraints import constraints_from, run_constraints

#: Alarms of an incident whose audit rows a timeline shows.
_MOST_ALARMS = 100
_BY_ID = select(incidents)
_OPEN = _BY_ID.where(OPEN_INCIDENT).order_by(incidents.c.number)
_STATES = {
    IncidentState.OPEN: OPEN_INCIDENT,
    IncidentState.CLOSED: and_(incidents.c.closed.is_not(None), incidents.c.merged_into == ""),
    IncidentState.MERGED: incidents.c.merged_into != "",
}
_PARTS_OF = (alarms.c.severity, *TAKING)
#: Alarms that describe an incident: the standing ones while it is open, all of them once it is closed.
_NOW = select(alarms.c.incident, *_PARTS_OF).where(STANDING)
_EVER = select(incident_alarms.c.incident, *_PARTS_OF).join(alarms, alarms.c.id == incident_alarms.c.alarm)
#: What an incident had before it became part of another one.
_FORMER = select(incident_alarms.c.merged_from.label("incident"), *_PARTS_OF).join(
    alarms, alarms.c.id == incident_alarms.c.alarm
)
_PARTS = select(alarms).join(incident_alarms, incident_alarms.c.alarm == alarms.c.id).order_by(incident_alarms.c.number)
_SYMPTOMS = select(alarms).where(STANDING)
_UNSETTLED = select(alarms).where(alarms.c.released.is_not(None), STANDING)
#: Incidents of alarms that stand and whose root is still to be worked out; and standing roots of open incidents.
_LEFT = select(alarms.c.incident).join(uncorrelated, uncorrelated.c.alarm == alarms.c.number).where(STANDING).distinct()
_ROOTS = select(alarms).join(incidents, incidents.c.root == alarms.c.id).where(STANDING, OPEN_INCIDENT)
#: Times of core links in incidents of remote ends, and of these.
_STAYS = (
    select(alarms, *(incident_alarms.c[name] for name in ("since", "until", "blameless")))
    .add_columns(incident_alarms.c.number.label("stay"), incident_alarms.c.incident.label("part_of"))
    .join(incident_alarms, incident_alarms.c.alarm == alarms.c.id)
    .join(incidents, incidents.c.id == incident_alarms.c.incident)
    .where(incidents.c.probable_cause.in_(sorted(BLAMED)), alarms.c.probable_cause.in_(sorted(BLAMED | LINK_CAUSES)))
)
_CLEAR_OF_BLAME = update(incident_alarms).where(incident_alarms.c.number == bindparam("of")).values(blameless=True)
#: The incident to which a time of an alarm is put down: the one that it was part of, unless that turned out otherwise.
_CAUSE = case((incident_alarms.c.put_down_to != "", incident_alarms.c.put_down_to), else_=incident_alarms.c.incident)
#: Times in which alarms stood, the incident to which these are put down, and the cause of its root.
_SPELLS = (
    select(
        alarms,
        incident_alarms.c.since,
        incident_alarms.c.until,
        _CAUSE.label("part_of"),
        incident_alarms.c.blameless,
        incidents.c.probable_cause.label("cause"),
    )
    .join(incident_alarms, incident_alarms.c.alarm == alarms.c.id)
    .join(incidents, incidents.c.id == _CAUSE)
)
_former = incidents.alias()
_IS_PRESENT = alarms.c.probable_cause == incidents.c.probable_cause
#: Times of roots of incidents, and of those that became part of these.
_ROOT_TIMES = (
    select(alarms, incident_alarms.c.since, incident_alarms.c.until, _CAUSE.label("part_of"))
    .add_columns(_IS_PRESENT.label("present"))
    .join(incident_alarms, incident_alarms.c.alarm == alarms.c.id)
    .join(incidents, incidents.c.id == _CAUSE)
    .outerjoin(_former, _former.c.id == incident_alarms.c.merged_from)
    .where(alarms.c.spreads, or_(_IS_PRESENT, alarms.c.probable_cause == _former.c.probable_cause))
)
#: The same by the incident to which they are put down.
_ROOTS_BY = (
    (_ROOT_TIMES.where(incident_alarms.c.put_down_to == ""), incident_alarms.c.incident),
    (_ROOT_TIMES.where(incident_alarms.c.put_down_to != ""), incident_alarms.c.put_down_to),
)
#: Causes of alarms that count for their incident: a statement knows times of missing PLMNs by what checks read.
_TAKE = COUNTED | {BACKHAUL_DOWN, PLMN_MISSING}
#: When it stood that stations diverged.
_DIVERGED = select(alarms.c.station, alarms.c.raised, alarms.c.cleared).where(
    alarms.c.probable_cause == DIVERGED, alarms.c.source == AlarmSource.CHECK.value
)
#: Jobs that began, except repairs, with the constraints of their runs.
_WORK = (
    select(*BEGUN_JOB, run_constraints.c.content)
    .join(runs, runs.c.id == jobs.c.run)
    .join(run_constraints, run_constraints.c.run == jobs.c.run)
    .where(jobs.c.started.is_not(None), ~runs.c.cause.startswith("alarm:"))
)


class Incidents(Repository[M_co]):
    """Incidents. They open, grow, merge and close with their alarms (``Alarms``)."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._counter = Counter(self._past_network)

    @method
    def get(self, incident_id: str) -> Incident:
        """An incident by id, also one that was merged into another. Raises NotFoundError."""
        return self._database.run(lambda tx: _read(tx, [_load(tx, incident_id)]), "DEFERRED").filled()[0]

    @method
    def page(self, page: Page, like: IncidentFilter | None = None) -> tuple[int, list[Incident]]:
        """Total and one page of incidents, newest first; merged ones only if asked for."""
        chosen = conditions(like or IncidentFilter())
        newest = _BY_ID.where(*chosen).order_by(incidents.c.number.desc()).limit(page.limit).offset(page.offset)

        def read(tx: Tx) -> tuple[int, _Read]:
            total = tx.execute(select(func.count()).select_from(incidents).where(*chosen)).scalar_one()
            return total, _read(tx, tx.execute(newest).all())

        total, found = self._database.run(read, "DEFERRED")
        return total, found.filled()

    @method
    def open(self) -> list[Incident]:
        """All open incidents, oldest first."""
        return self._database.run(lambda tx: _read(tx, tx.execute(_OPEN).all()), "DEFERRED").filled()

    @method
    def losing(self, incident_ids: Collection[str], tenant: str) -> dict[str, Loss]:
        """Service that alarms of incidents take away from a tenant now, by incident; by what concerns it alone."""
        found, incident_of = self._database.run(lambda tx: losses_in(tx, incident_ids, tenant), "DEFERRED")
        by_alarm = found.by_alarm()
        now = joined({incident_of[one]: by_alarm[one][tenant]} for one in incident_of if by_alarm.get(one))
        return now | {name: by[tenant] for name, by in found.by_past().items() if by}

    @method
    def losses(self, alarm_ids: Collection[str]) -> dict[str, Loss]:
        """Service that these alarms take away now, by tenant."""
        by_alarm = self._database.run(lambda tx: losses_of(tx, alarm_ids), "DEFERRED").by_alarm()
        return joined(by_alarm.get(one, {}) for one in alarm_ids)

    @reads
    def correlating(self, tx: Tx) -> frozenset[str]:
        """Ids of open incidents of which not all alarms are known yet, since roots are still being worked out.

        These are the incidents of alarms that are still to be placed, and while there are such alarms, those of roots
        from which they may follow.
        """
        left = set(tx.execute(_LEFT).scalars())
        if not left:
            return frozenset()
        roots = (as_alarm(row) for row in tx.execute(_ROOTS))
        return frozenset({*left, *(alarm.incident for alarm in roots if may_be_root(alarm))} - {""})

    @reads
    def alarms(self, tx: Tx, incident_id: str) -> list[Alarm]:
        """Alarms that are or were part of it, in the order in which they joined it. Raises NotFoundError."""
        _load(tx, incident_id)
        return _parts(tx, incident_id)

    @reads
    def timeline(self, tx: Tx, incident_id: str) -> list[AuditRow]:
        """Its rows of the audit trail, oldest first. Raises NotFoundError.

        These are rows about the incident, incidents merged into it, its first alarms, and runs that repair them.
        """
        _load(tx, incident_id)
        merged = select(incidents.c.id).where(incidents.c.merged_into == incident_id)
        had = select(incident_alarms.c.merged_from).where(incident_alarms.c.incident == incident_id).distinct()
        parts = _parts(tx, incident_id)
        runs = {alarm.run for alarm in parts} - {""}
        others = {*tx.execute(merged).scalars(), *tx.execute(had).scalars()} - {""}
        about = {incident_id, *others, *(alarm.id for alarm in parts[:_MOST_ALARMS]), *runs}
        rows = tx.rows(select(audit.c.id).where(audit_chain.NUMBERED), audit.c.object, about)
        return audit_chain.nouns(tx.connection, sorted(row.id for row in rows))

    @method
    def minutes(self, incident_id: str, tenant: str | None = None) -> tuple[TenantMinutes, ...]:
        """Minutes without service that it has cost each tenant, or one of them. Raises NotFoundError."""

        def read(tx: Tx) -> _Lost:
            _load(tx, incident_id)
            spells = spells_of(tx, _counted_in(incident_id), _TAKE)
            begin = min((one.since for one in spells), default=tx.now)
            hidden = spells_of(tx, alarms.c.station.in_({one.alarm.station for one in spells}), HIDES)
            return _lost(tx, spells, begin, tx.now, hidden=hidden)

        outages = self._outages_of(self._database.run(read, "DEFERRED"), tenant)
        found = outages.minutes() if outages else ()
        return tuple(one for one in found if tenant in (None, one.tenant))

    @reads
    def agreements(self, tx: Tx, tenant: str | None = None) -> tuple[AgreementMinutes, ...]:
        """Minutes that agreements in force lost this month, and may lose; of all tenants or of one.

        They are as they were counted last (``count_agreements``); none before they were counted in this month.
        """
        return counted_minutes(tx, tenant)

    @method
    def count_agreements(self) -> None:
        """Count what agreements lost this month, and put it on record. It takes long, and no transaction."""
        read = self._database.run(_month_on_record, "DEFERRED")
        if read is not None:
            month, listed = read
            brief = brief_spells(listed, month.spells, lambda _: month.network)
            found = self._counter.count(replace(month, spells=[*month.spells, *brief]))
            self._database.run(lambda tx: put_minutes(tx, month, found))

    @method
    def eras(self, begin: datetime, end: datetime) -> list[Era]:
        """Who shared which cells under which agreements between two times, in order; empty if no network was loaded."""
        return _eras(self._database.run(lambda tx: _held(tx, begin, end), "DEFERRED"))

    @method
    def outages(self, begin: datetime, end: datetime) -> Outages | None:
        """Service that alarms took away between two times, and outages that stations listed; until now at most.

        None if no network is loaded.
        """

        def read(tx: Tx) -> _Lost:
            lasted = or_(incident_alarms.c.until.is_(None), incident_alarms.c.until > begin)
            spells = spells_of(tx, and_(lasted, incident_alarms.c.since < end))
            locks, listed = locks_during(tx, begin, end), listed_during(tx, begin, end)
            return _lost(tx, spells, begin, end, locks, _left_locked(tx, locks, begin, end), listed=listed)

        return self._outages_of(self._database.run(read, "DEFERRED"))

    @writes
    def note_listed(self, tx: Tx, reads: Sequence[ListRead]) -> None:
        """Keep what lists of stations told of outages that are over: not of time in which Minka changed the station.

        Of a station that tells of very many in a day, the later ones are not kept.
        """
        note_listed(tx, reads)

    def _outages_of(self, lost: _Lost, tenant: str | None = None) -> Outages | None:
        """Service lost between two times; None while no network is loaded.

        For one tenant, the number of statements does not depend on data of other tenants.
        """
        eras = _eras(lost.held)
        if not eras:
            return None
        spells, known = lost.spells, lost.known
        if tenant is not None:
            spells = of_tenant(spells, eras, tenant)
            own = {cell for cell in known.locks if any(tenant in era.sharing.tenants_at([cell]) for era in eras)}
            known = replace(known, locks={cell: times for cell, times in known.locks.items() if cell in own})

        def read(tx: Tx) -> tuple[dict[str, tuple[CarriedLink, ...]], ExcusedTimes]:
            held = [(era.network, era.begin, era.until) for era in eras]
            cells = [*known.locks, *_lacked(held, lost.delivery)]
            return _causes(tx, held, spells, cells, lost.begin, lost.until, lost.listed)

        links, excused = self._database.run(read, "DEFERRED")
        stood = proved(spells, lost.observation, lost.hidden)
        clipped = [spell._replace(until=min(spell.until, lost.until)) for spell in stood]
        brief = brief_spells(lost.listed, clipped, lambda at: _network_at(eras, at))
        return Outages([*clipped, *brief], eras, links, replace(known, excused=excused))

    def _past_network(self, digest: str) -> Network:
        """A version of the network, which is not kept in memory."""
        return self._database.run(lambda tx: packed_networks(tx, [digest])[digest], "DEFERRED").unpacked()

    @reads
    def chattering(self, tx: Tx, incident_ids: Collection[str]) -> list[str]:
        """Those of incidents whose fault came again so often that people have to know of it, and do not yet."""
        known = exists().where(alarms.c.incident == incidents.c.id, alarms.c.escalated.is_not(None))
        often = select(incidents.c.id).where(incidents.c.flaps >= CHATTERS, ~known)
        return [row.id for row in tx.rows(often, incidents.c.id, incident_ids)]

    @method
    def ranks(self) -> dict[str, Rank]:
        """The order of open incidents, by id. Minutes that agreements lost are those counted last."""

        def read(tx: Tx) -> tuple[_Read, tuple[AgreementMinutes, ...], datetime]:
            return _read(tx, tx.execute(_OPEN).all()), counted_minutes(tx, None), tx.now

        found, agreements, now = self._database.run(read, "DEFERRED")
        if (network := found.network) is None:
            return ranked(found.filled(), agreements, now, lambda _: 0, lambda *_: True)
        return ranked(found.filled(), agreements, now, network.people_at, network.reaches_any)

    @method
    def acknowledge(self, incident_id: str, by: str) -> Incident:
        """Put on record that people know of it; the first acknowledgement stays. Raises NotFoundError."""

        def write(tx: Tx) -> _Read:
            if _load(tx, incident_id).acknowledged is None:
                _set(tx, incident_id, acknowledged=tx.now, acknowledged_by=by)
                tx.note(by, "incident.acknowledged", incident_id)
            return _read(tx, [_load(tx, incident_id)])

        return self._database.run(write).filled()[0]

    @method
    def take(self, incident_id: str, by: str) -> Incident:
        """Put on record who works on it from now on, in place of anybody before. Raises NotFoundError."""

        def write(tx: Tx) -> _Read:
            before = _load(tx, incident_id).owner
            if before != by:
                _set(tx, incident_id, owner=by, taken=tx.now)
                tx.note(by, "incident.taken", incident_id, before=before)
            return _read(tx, [_load(tx, incident_id)])

        return self._database.run(write).filled()[0]

    @method
    def hand_back(self, incident_id: str, by: str) -> Incident:
        """Put on record that nobody works on it any more. Raises NotFoundError."""

        def write(tx: Tx) -> _Read:
            before = _load(tx, incident_id).owner
            if before:
                _set(tx, incident_id, owner="", taken=None)
                tx.note(by, "incident.handed-back", incident_id, before=before)
            return _read(tx, [_load(tx, incident_id)])

        return self._database.run(write).filled()[0]

    @reads
    def unsettled(self, tx: Tx) -> list[str]:
        """Ids of alarms that outlived their root for so long that they need incidents of their own."""
        return [alarm.id for alarm in _unsettled(tx)]

    @writes_aside
    def settle(self, tx: Tx) -> None:
        """Give these alarms incidents of their own."""
        tx.guard(GUARD)
        due = _unsettled(tx)
        if not due:
            return
        _clear_of_blame(tx, {alarm.incident for alarm in due})
        symptoms = [as_alarm(row) for row in tx.rows(_SYMPTOMS, alarms.c.root, [alarm.id for alarm in due])]
        reassessed(tx, [*due, *symptoms])
        known = known_of(tx, [*due, *symptoms], {alarm.id: alarm for alarm in due})
        put_into(tx, write(tx, split_off(due, symptoms, known, tx.now), known))


def _clear_of_blame(tx: Tx, asked: Collection[str]) -> None:
    """Put on record which core links of these incidents were down without a fault of their remote end."""
    rows: dict[str, list[Row[Any]]] = defaultdict(list)
    for row in tx.rows(_STAYS, incident_alarms.c.incident, asked):
        rows[row.part_of].append(row)
    current = current_network(tx) if rows else None
    if current is None:
        return
    for incident, there in sorted(rows.items()):
        known = {row.stay for row in there if row.blameless}
        stays = [Stay(row.stay, as_alarm(row), row.since, row.until) for row in there]
        for end, links in cleared_of_blame(stays, current[1], tx.now):
            if news := [{"of": one.number} for one in links if one.number not in known]:
                tx.execute(_CLEAR_OF_BLAME, news)
                why = f"most core links that were down in its time stayed down when {end.object} worked"
                tx.note("correlation", "incident.cleared-of-blame", incident, root=end.id, links=len(news), why=why)


def spells_of(tx: Tx, where: ColumnElement[bool], causes: Collection[str] = COUNTED | {BACKHAUL_DOWN}) -> list[Spell]:
    """Times in which alarms stood, as part of an incident; by default those that count, or cut the way to others."""
    rows = tx.execute(_SPELLS.where(where, alarms.c.probable_cause.in_(sorted(causes)))).all()
    roots = _root_times(tx, {row.part_of for row in rows if row.cause != row.probable_cause})
    return [_spell(row, roots, tx.now) for row in rows]


#: Times of roots by incident, and those that explain alarms of their own station alone by that too.
_RootTimes = Mapping[tuple[str, str], Sequence[RootTime]]


def _root_times(tx: Tx, asked: Collection[str]) -> _RootTimes:
    """When roots of incidents stood; in as many statements whether or not anything follows from them."""
    found: dict[tuple[str, str], list[RootTime]] = defaultdict(list)
    for query, part_of in _ROOTS_BY:
        for row in tx.rows(query, part_of, asked or {""}):
            one = RootTime(as_alarm(row), row.since, row.until or tx.now, bool(row.present))
            found[row.part_of, one.alarm.station if one.is_at_station else ""].append(one)
    return found


def _spell(row: Row[Any], roots: _RootTimes, now: datetime) -> Spell:
    """A time of an alarm in an incident; of a fault of which others told first, from when a reading saw it begin."""
    alarm, since, until = as_alarm(row), row.since, row.until or now
    if alarm.seen is not None and alarm.seen < until and (since == alarm.raised or since < alarm.seen):
        since = alarm.seen
    if row.blameless:
        return Spell(alarm, since, until, row.part_of)
    above = chain.from_iterable(roots.get((row.part_of, at), ()) for at in {"", alarm.station})
    return Spell(alarm, since, until, row.part_of, alarm.probable_cause, blames=blames(alarm, since, above, now))


class _Held(NamedTuple):
    """Versions of the network between two times; the last era continues from now on."""

    until: datetime
    versions: Sequence[HeldVersion]
    networks: Mapping[str, PackedNetwork]


class _Lost(NamedTuple):
    """What took service away between two times, and the versions of the network at that time."""

    held: _Held
    spells: Sequence[Spell]
    begin: datetime
    until: datetime
    known: Known
    observation: Observation
    delivery: Delivery
    hidden: Sequence[Spell]
    listed: Listed


def _held(tx: Tx, begin: datetime, until: datetime) -> _Held:
    versions = versions_during(tx, begin, until)
    return _Held(until, versions, packed_networks(tx, (one.digest for one in versions)))


def _lost(
    tx: Tx,
    spells: Sequence[Spell],
    begin: datetime,
    until: datetime,
    locks: Mapping[str, Times] = MappingProxyType({}),
    left_locked: Mapping[str, Times] = MappingProxyType({}),
    hidden: Sequence[Spell] = (),
    listed: Listed = NOTHING_LISTED,
) -> _Lost:
    observation, delivery = observation_during(tx, begin, until), delivery_during(tx, begin, until)
    known = Known(locks=locks, left_locked=left_locked, observation=observation, delivery=delivery)
    held = _held(tx, begin, max(until, tx.now))
    return _Lost(held, spells, begin, until, known, observation, delivery, hidden, listed)


def _eras(held: _Held) -> list[Era]:
    """Who shared which cells; networks are unpacked here, outside of transactions."""
    found = []
    networks = {digest: network.unpacked() for digest, network in held.networks.items()}
    for one, end in zip(held.versions, [*(later.since for later in held.versions[1:]), held.until], strict=True):
        network = networks[one.digest]
        for first, last in spans_of(network, one.since, end):
            found.append(Era(first, last, network, Sharing(network, network.day(first)), one.assumed))
    return found


def _network_at(eras: Sequence[Era], at: datetime) -> Network:
    """The network that was current at a time."""
    return next((era.network for era in reversed(eras) if era.begin <= at), eras[0].network)


#: Networks with the time in which each was current.
_Networks = Sequence[tuple[Network, datetime, datetime]]


def _lacked(held: _Networks, delivery: Delivery) -> set[str]:
    """Cells that were seen to lack a PLMN."""
    lacked = {f"{one.station}/{cell}" for one in delivery.missing for cell in one.cells}
    return {whole_of(network, half) for network, _, _ in held for half in lacked}


def _causes(
    tx: Tx,
    held: _Networks,
    spells: Iterable[Spell],
    cells: Iterable[str],
    begin: datetime,
    until: datetime,
    listed: Listed,
) -> tuple[dict[str, tuple[CarriedLink, ...]], ExcusedTimes]:
    """Core links of stations whose links failed, and times that nobody owes: there, and of other cells."""
    briefly = {one.station for one in listed.outages}
    stations = {spell.alarm.station for spell in spells} | {cell.partition("/")[0] for cell in cells} | briefly
    linked = {spell.alarm.station for spell in spells if spell.alarm.probable_cause in LINK_CAUSES} | briefly
    taken = _planned(tx, held, stations, begin) if stations else {}
    return links_during(tx, linked, begin, until), ExcusedTimes(taken, works_during(tx, begin, until))


def _month_on_record(tx: Tx) -> tuple[MonthOnRecord, Listed] | None:
    """What agreements lost in this month follows from it; None while no network is loaded."""
    current = current_network(tx)
    if current is None:
        return None
    digest, network = current
    begin, end = month_of(network, tx.now)
    lasted = or_(incident_alarms.c.until.is_(None), incident_alarms.c.until > begin)
    observation, listed = observation_during(tx, begin, end), listed_during(tx, begin, end)
    spells = proved(spells_of(tx, lasted), observation)
    locks = locks_during(tx, begin, end)
    delivery, held_now = delivery_during(tx, begin, end), [(network, begin, end)]
    links, excused = _causes(tx, held_now, spells, [*locks, *_lacked(held_now, delivery)], begin, end, listed)
    held = versions_during(tx, begin, end)
    known = Known(excused, locks, _left_locked(tx, locks, begin, end), observation, delivery)
    return MonthOnRecord(tx.now, begin, end, digest, network, held, spells, links, known), listed


def _left_locked(tx: Tx, locks: Iterable[str], begin: datetime, end: datetime) -> dict[str, Times]:
    """The part of the times of locks that diverged runs left behind, by cell.

    Args:
        tx: A transaction.
        locks: Cells that were locked between the two times.
        begin: From when on; a run may have diverged before.
        end: Until when.
    """
    stations = {cell.partition("/")[0] for cell in locks}
    lasted = _DIVERGED.where(or_(alarms.c.cleared.is_(None), alarms.c.cleared > begin), alarms.c.raised < end)
    diverged: dict[str, list[tuple[datetime, datetime]]] = defaultdict(list)
    for row in tx.rows(lasted, alarms.c.station, stations) if stations else ():
        diverged[row.station].append((row.raised, row.cleared or tx.now))
    if not diverged:
        return {}
    first = min(since for times in diverged.values() for since, _ in times)
    done: dict[str, list[EndedJob]] = defaultdict(list)
    for job in ended_jobs(tx, diverged, first):
        done[job.station].append(job)
    found = {}
    for cell, times in locks_during(tx, first, end, diverged).items():
        station, _, name = cell.partition("/")
        found[cell] = left_behind(done[station], name, times, union(diverged[station]))
    return {cell: times for cell, times in found.items() if times}


def _planned(tx: Tx, held: _Networks, stations: Iterable[str], since: datetime) -> dict[tuple[str, str], Times]:
    """When runs other than repairs took cells away from tenants: at stations, at their router or at their functions.

    Which cells were there is what the network said at that time.
    """
    over = or_(jobs.c.finished.is_(None), jobs.c.finished > since)
    networks = {id(network): network for network, _, _ in held}
    concerned = set(stations)
    ways = set().union(*(_ways_to(network, concerned) for network in networks.values()))
    rows = {row.id: row for row in tx.rows(_WORK.where(over), jobs.c.station, ways)}
    bound = {job: constraints_from(row.content).of(row.station) for job, row in rows.items()}
    told = {job: one for job, one in bound.items() if one is not None and one.interrupts}
    functions = {name for network in networks.values() for name in network.function_by_id}
    done = works_of(tx, functions, [rows[job] for job in told])
    works = [
        replace(work, tenants=told[job].tenants, windows=dict(_windows(told[job], rows[job].started, work.until)))
        for job, work in done.items()
    ]
    by_network = {key: planned(network, works) for key, network in networks.items()}
    found: dict[tuple[str, str], Times] = {}
    for network, begin, until in held:
        for key, times in by_network[id(network)].items():
            found[key] = union([*found.get(key, ()), *both(times, ((begin, until),))])
    return found


def _windows(bound: StationConstraints, since: datetime, until: datetime) -> Iterator[tuple[str, Times]]:
    """Tenants with when the windows that each may know were open in the time of a job, as far as there are any."""
    zone = ZoneInfo(bound.timezone)
    for tenant in bound.tenants:
        if calendars := bound.calendars_told(tenant):
            yield tenant, meet(tuple(openings(calendar, zone, since, until)) for calendar in calendars)


def _ways_to(network: Network, stations: Iterable[str]) -> set[str]:
    """Stations with their routers, functions and central units."""
    found = set(stations)
    for station in (known for one in stations if (known := network.station_by_id.get(one)) is not None):
        found.update(network.routers_at.get(station.site, ()), station.functions)
        found.update(network.units_above.get(station.id, ()))
    return found


def conditions(like: IncidentFilter) -> list[ColumnElement[bool]]:
    """Conditions of a filter of incidents."""
    found = [or_(*(_STATES[state] for state in like.states)) if like.states else incidents.c.merged_into == ""]
    if like.causes:
        found.append(incidents.c.probable_cause.in_(like.causes))
    if like.stations:
        found.append(incidents.c.id.in_(select(alarms.c.incident).where(alarms.c.station.in_(like.stations))))
    if like.tenants:
        of = select(alarms.c.incident).join(alarm_tenants, alarm_tenants.c.alarm == alarms.c.id)
        found.append(incidents.c.id.in_(of.where(CONCERNS, alarm_tenants.c.tenant.in_(like.tenants))))
    if like.owner:
        found.append(incidents.c.owner == like.owner)
    return found if like.since is None else [*found, incidents.c.changed >= like.since]


def _load(tx: Tx, incident_id: str) -> Row[Any]:
    row = tx.execute(_BY_ID.where(incidents.c.id == incident_id)).one_or_none()
    if row is None:
        raise NotFoundError.of("incident", incident_id)
    return row


def _set(tx: Tx, incident_id: str, **values: object) -> None:
    tx.execute(update(incidents).where(incidents.c.id == incident_id).values(values))
    touch(tx, [incident_id])


def _of(incident_id: str) -> ColumnElement[bool]:
    """Times of alarms in an incident: its own, those of incidents that became part of it, and its own in others."""
    return or_(incident_alarms.c.incident == incident_id, incident_alarms.c.merged_from == incident_id)


def _counted_in(incident_id: str) -> ColumnElement[bool]:
    """Times of alarms that count in an incident: those put down to it, and none of its own put down to another."""
    put_down_to = incident_alarms.c.put_down_to
    return or_(and_(put_down_to == incident_id, put_down_to != ""), and_(put_down_to == "", _of(incident_id)))


def _parts(tx: Tx, incident_id: str) -> list[Alarm]:
    rows = tx.execute(_PARTS.where(_of(incident_id)))
    return list({row.id: as_alarm(row) for row in rows}.values())


def _unsettled(tx: Tx) -> list[Alarm]:
    found = [as_alarm(row) for row in tx.execute(_UNSETTLED)]
    rows = tx.rows(_BY_ID, incidents.c.id, {alarm.incident for alarm in found}) if found else ()
    of = {row.id: as_noun(Incident, row) for row in rows}
    return [alarm for alarm in found if alarm.incident in of and has_settled(alarm, of[alarm.incident], tx.now)]


class _Read(NamedTuple):
    """Incidents with rows of the alarms that describe them, and what they take away."""

    found: Sequence[Incident]
    rows_of: Mapping[str, Sequence[Row[Any]]]
    network: Network | None
    losses: ServiceLosses

    def filled(self) -> list[Incident]:
        """Incidents with what their alarms say; to be called outside of transactions."""
        by_alarm, by_past = self.losses.by_alarm(), self.losses.by_past()
        found = []
        for one in self.found:
            rows = self.rows_of.get(one.id, ())
            is_open = one.state is IncidentState.OPEN
            losing = joined(by_alarm.get(row.id, {}) for row in rows) if is_open else by_past.get(one.id, {})
            found.append(self._with(one, rows, losing))
        return found

    def _with(self, one: Incident, rows: Sequence[Row[Any]], losing: dict[str, Loss]) -> Incident:
        severities, cells, tenants = set[tuple[str, PerceivedSeverity]](), set[str](), set[str]()
        silent = set[str]()
        for row in rows:
            severities.add((row.probable_cause, PerceivedSeverity(row.severity)))
            there = orjson.loads(row.cells)
            cells.update(there)
            silent.update(there if row.probable_cause == UNREACHABLE else ())
            tenants.update(orjson.loads(row.tenants))
        return one.model_copy(
            update={
                "severity": gravest(severities),
                "people": 0 if self.network is None else self.network.people_at(cells),
                "cells": tuple(sorted(cells)),
                "tenants": tuple(sorted(tenants)),
                "losing": losing,
                "silent": tuple(sorted(silent)) if is_dark(cause for cause, _ in severities) else (),
            }
        )


def _read(tx: Tx, rows: Sequence[Row[Any]]) -> _Read:
    found = [as_noun(Incident, row) for row in rows]
    live = [one.id for one in found if one.state is IncidentState.OPEN]
    over = [one.id for one in found if one.state is not IncidentState.OPEN]
    rows_of: dict[str, list[Row[Any]]] = defaultdict(list)
    now = list(tx.rows(_NOW, alarms.c.incident, live)) if live else []
    for row in now:
        rows_of[row.incident].append(row)
    past = list(tx.rows(_EVER, incident_alarms.c.incident, over)) if over else []
    past += tx.rows(_FORMER, incident_alarms.c.merged_from, over) if over else ()
    for row in past:
        rows_of[row.incident].append(row)
    current = current_network(tx) if rows_of else None
    return _Read(found, rows_of, current[1] if current else None, losses_by(tx, now, past))
