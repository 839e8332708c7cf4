"""How long faults took service away from tenants, and what their agreements allow. Pure.

A tenant has no service in a cell while the cell is off air, while the station has lost all transport, or while all of
the tenant's core links of one kind at the station are down: as long as one works, there is another path. Lost
management is not lost service: whether an unreachable station serves is unknown, and counted separately, unless
something else proves it (``Proof``). Time in which nobody looked is no time of an alarm, whatever stood before and
after (``controller.intent.proofs``): it is unobserved.

Nobody owes the following times, which are counted separately too: those in which a run itself takes the cell away after
a notice (``controller.intent.interruptions``), those in which the tenant works on the remote ends of all links that are
down, or its own core nodes there are lost, and those in which the root of the incident stood, if its probable cause is
outside of the contract, such as the mains (``controller.intent.blame``).

Before all of these comes whether a cell carried the tenant's PLMNs at all, by Minka's record
(``controller.intent.delivery``): where it did not, nothing was delivered that could be lost.

A cell that somebody locked is off air as well. Within the agreement's windows that is allowed; outside of them it
counts as lost. An agreement without windows lets the host work at any time. No window allows a lock that a diverged run
left behind: nobody asked for it.

Tenants, places and terms of a cell are those of the network at that time, not those of today.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import reduce
from itertools import chain
from types import MappingProxyType
from typing import NamedTuple

from controller.intent.agreed_service import (
    NOTHING_LOST,
    UNCOLLECTED,
    AgreedFigures,
    AgreedService,
    Parts,
    agreement_minutes,
    extend,
)
from controller.intent.agreed_terms import AgreedSpan, Era, month_of
from controller.intent.blame import Blame
from controller.intent.central_units import halves, whole_of
from controller.intent.counted import CountedPeriod, Settled, settled
from controller.intent.delivery import CarriedLink, Delivery, Guarantees
from controller.intent.impact import core_node_in
from controller.intent.lost_service import LinkGroup, cells_over, is_of, links_of, taken_by
from controller.intent.observation import Observation, Proof, Unobserved
from controller.intent.roots import unheard_until
from controller.intent.times import Times, both, clipped, meet, seconds, union, without
from controller.intent.windows import openings
from controller.models.alarm import (
    BACKHAUL_DOWN,
    CELL_OFF_AIR,
    CORE_NODE_DOWN,
    HIDES,
    LINK_CAUSES,
    REMOTE_END_DOWN,
    SKEW,
    UNREACHABLE,
    Alarm,
)
from controller.models.announced_work import AnnouncedWork, intervals
from controller.models.incident import AgreementMinutes, TenantMinutes
from controller.models.network import Agreement, Network, Plmn
from controller.models.sharing import Bearer
from controller.nrm.tree import Path


class Spell(NamedTuple):
    """A time in which an alarm stood as part of an incident.

    Attributes:
        cause: Probable cause to which it is put down where no root stood: its own.
        proof: How it is known that it stood in that time.
        blames: Roots to which it is put down, and when.
    """

    alarm: Alarm
    since: datetime
    until: datetime
    incident: str = ""
    cause: str = ""
    proof: Proof = Proof.READING
    blames: tuple[Blame, ...] = ()

    def put_down_to(self, causes: Collection[str]) -> Times:
        """When it stood because of roots with these causes, or by itself with one of them: each second by the first."""
        left: Times = ((self.since, self.until),)
        found: list[tuple[datetime, datetime]] = []
        for cause, since, until in self.blames:
            span = ((since, until),)
            found.extend(both(left, span) if cause in causes else ())
            left = without(left, span)
        return union([*found, *(left if self.cause in causes else ())])


class _Held(NamedTuple):
    """A time in which an agreement was in force with its tenant, with its terms then."""

    era: Era
    terms: Agreement
    since: datetime
    until: datetime

    @property
    def span(self) -> Times:
        """The time."""
        return ((self.since, self.until),)

    @property
    def seconds(self) -> float:
        """Its length."""
        return (self.until - self.since).total_seconds()

    @property
    def cells(self) -> Collection[str]:
        """Cells that it reached."""
        return self.era.sharing.reached_by(self.terms)

    @property
    def plmns(self) -> Collection[Plmn]:
        """PLMNs that they were to carry."""
        return self.terms.plmns_of(self.era.network.tenant_by_id[self.terms.tenant])


@dataclass(frozen=True, slots=True)
class ExcusedTimes:
    """Times for which nobody owes anything.

    Attributes:
        planned: Times in which runs take a cell (``station/cell``) away from a tenant, by cell and tenant.
        works: Announced work of tenants on their own cores.
    """

    planned: Mapping[tuple[str, str], Times] = field(default_factory=dict)
    works: Sequence[AnnouncedWork] = ()


@dataclass(frozen=True, slots=True)
class Known:
    """What is on record beside alarms.

    Attributes:
        excused: Times that nobody owes.
        locks: Times in which cells (``station/cell``) were locked.
        left_locked: The part of these that diverged runs left behind.
        observation: What was looked at; None if nobody asks.
        delivery: What cells carried; None if nobody asks.
        guarantees: Shares that they guaranteed; None if nobody asks.
    """

    excused: ExcusedTimes = ExcusedTimes()
    locks: Mapping[str, Times] = field(default_factory=dict)
    left_locked: Mapping[str, Times] = field(default_factory=dict)
    observation: Observation | None = None
    delivery: Delivery | None = None
    guarantees: Guarantees | None = None

    def between(self, since: datetime, until: datetime) -> Known:
        """The part of it between two times; announced work is so little that all of it stays."""
        return Known(
            ExcusedTimes(clipped(self.excused.planned, since, until), self.excused.works),
            clipped(self.locks, since, until),
            clipped(self.left_locked, since, until),
            None if self.observation is None else self.observation.between(since, until),
            None if self.delivery is None else self.delivery.between(since, until),
            self.guarantees,
        )


@dataclass(slots=True)
class _ServiceLoss:
    """Times without service of a tenant in a cell; those of them that nobody owes; and times of unknown state."""

    owed: list[tuple[datetime, datetime]] = field(default_factory=list)
    own_work: list[tuple[datetime, datetime]] = field(default_factory=list)
    own_core: list[tuple[datetime, datetime]] = field(default_factory=list)
    outside: list[tuple[datetime, datetime]] = field(default_factory=list)
    unseen: list[tuple[datetime, datetime]] = field(default_factory=list)
    proofs: dict[Proof, list[tuple[datetime, datetime]]] = field(default_factory=lambda: defaultdict(list))
    listed: list[tuple[datetime, datetime]] = field(default_factory=list)

    def add(self, other: _ServiceLoss) -> None:
        """Add the times of another one."""
        self.owed.extend(other.owed)
        self.own_work.extend(other.own_work)
        self.own_core.extend(other.own_core)
        self.outside.extend(other.outside)
        self.unseen.extend(other.unseen)
        for proof, times in other.proofs.items():
            self.proofs[proof].extend(times)
        self.listed.extend(other.listed)


_UNKNOWN = Known()

#: Times without service by cell and tenant; by what they are known where no check read that; and times that are known
#: to be served in the same way.
_Counted = tuple[dict[tuple[str, str], Parts], dict[tuple[str, str], dict[Proof, Times]], dict[tuple[str, str], Times]]


class _Told(NamedTuple):
    """Times without service as alarms tell it, by cell and tenant.

    Attributes:
        parts: Times without service.
        proofs: By what they are known where no check read that.
        listed: Times in which core links were down by the station's own record.
        off: Times in which the cell itself failed, or may have: all others were those of core links, of which cells
            count nothing.
    """

    parts: dict[tuple[str, str], Parts]
    proofs: dict[tuple[str, str], dict[Proof, Times]]
    listed: dict[tuple[str, str], Times]
    off: dict[tuple[str, str], Times]


#: Causes of roots of core links that announced work of their tenant may explain; any other is a fault of the host.
_MAY_BE_OWN = LINK_CAUSES | {"", CORE_NODE_DOWN, REMOTE_END_DOWN}


class Outages:
    """Service that alarms took away.

    Args:
        spells: Times in which alarms stood.
        eras: Where cells were and who shared them, in order and without gaps; the last one is current.
        links: Our core links by station, which are the other paths while it carried them.
        known: What is on record beside alarms.
        counters: What cells counted in times that no check read, by cell and tenant.
        whole: All outages, where these are those of one incident: counters do not tell incidents apart.
    """

    def __init__(
        self,
        spells: Sequence[Spell],
        eras: Sequence[Era],
        links: Mapping[str, Collection[CarriedLink]],
        known: Known = _UNKNOWN,
        counters: Mapping[tuple[str, str], Sequence[CountedPeriod]] = MappingProxyType({}),
        whole: Outages | None = None,
    ) -> None:
        self._spells = spells
        self._eras = eras
        self._links = links
        self._known = known
        self._counters = counters
        self._whole = whole
        self._found: dict[tuple[datetime, datetime, frozenset[str]], _Counted] = {}
        self._alarmed: dict[tuple[datetime, datetime, frozenset[str]], _Told] = {}
        self._settled: dict[frozenset[str], dict[tuple[str, str], Settled]] = {}

    def with_counters(self, counters: Mapping[tuple[str, str], Sequence[CountedPeriod]]) -> Outages:
        """The same, with what cells counted in times that no check read (``unread``)."""
        return Outages(self._spells, self._eras, self._links, self._known, counters)

    def with_guarantees(self, guarantees: Guarantees) -> Outages:
        """The same, with the shares that cells guaranteed."""
        known = replace(self._known, guarantees=guarantees)
        return Outages(self._spells, self._eras, self._links, known, self._counters)

    def unread(self, tenant: str, begin: datetime, end: datetime) -> dict[str, Times]:
        """Times of a tenant's cells that no check read, by cell: without those in which nobody collected anything."""
        found: dict[str, Times] = {}
        for span in self.agreed(tenant, begin, end):
            owed = self.agreed_service(span.agreement, span.begin, span.until, span.until)
            for cell in owed.seconds:
                reasons = owed.unobserved.get(cell, {})
                gaps = (times for reason, times in reasons.items() if reason not in UNCOLLECTED)
                proofs = (times for proof, times in owed.proofs.get(cell, {}).items() if proof is not Proof.READING)
                unseen = owed.parts.get(cell, NOTHING_LOST).unseen
                if times := union([*found.get(cell, ()), *unseen, *chain.from_iterable((*gaps, *proofs))]):
                    found[cell] = times
        return found

    def off_air(self, begin: datetime, end: datetime) -> dict[str, Times]:
        """When cells were off air by alarms between two times, by cell, which they count themselves too.

        A cell that lacks a PLMN, or whose core links are down, is on air; one that is locked has no fault.
        """
        found = defaultdict[str, list[tuple[datetime, datetime]]](list)
        for spell in _within(self._spells, begin, end):
            for cell in spell.alarm.cells if spell.alarm.probable_cause == CELL_OFF_AIR else ():
                found[cell].append((spell.since, spell.until))
        return {cell: union(times) for cell, times in found.items()}

    def minutes(self, begin: datetime | None = None, end: datetime | None = None) -> tuple[TenantMinutes, ...]:
        """Minutes of each tenant that lost some, or whose state is unknown, by tenant; all, or between two times."""
        found: dict[str, list[float]] = defaultdict(lambda: [0.0] * (len(Parts._fields) + 1))
        for era in self._eras:
            span = ((max(era.begin, begin or era.begin), min(era.until, end or era.until)),)
            for (cell, tenant), all_parts in self._parts_of_tenants(era) if span[0][0] < span[0][1] else ():
                parts = _less(all_parts, self._carried_nothing(cell, tenant, era))
                counted = [both(times, span) for times in parts]
                figures, lengths = found[tenant], [seconds(times) / 60 for times in counted]
                for index, length in enumerate(lengths):
                    figures[index] += length
                figures[-1] += lengths[0] * _people(era, cell, tenant)
        return tuple(
            TenantMinutes(
                tenant=tenant,
                **{name: round(figure, 1) for name, figure in zip(Parts._fields, figures, strict=False)},
                people=round(figures[-1]),
            )
            for tenant, figures in sorted(found.items())
            if any(figures)
        )

    def agreements(self, at: datetime) -> tuple[AgreementMinutes, ...]:
        """What agreements in force lost in the month so far, and may lose in the whole month; by agreement."""
        now = next(era for era in reversed(self._eras) if era.begin <= at)
        begin, end = month_of(now.network, at)
        elapsed = (at - begin) / (end - begin)
        owed = ((one, self.agreed_service(one, begin, at, end)) for one in now.sharing.in_force)
        return tuple(
            agreement_minutes(one, AgreedFigures.of(service), service.allowed, elapsed) for one, service in owed
        )

    def agreed_service(self, agreement: Agreement, begin: datetime, now: datetime, end: datetime) -> AgreedService:
        """Service under an agreement (by its id and tenant) between two times, and the part lost until now."""
        owed = AgreedService()
        for held in self._held(agreement, begin, end):
            owed.allowed += held.terms.sla.allowance(len(held.cells) * held.seconds)
            self._add_loss(owed, held)
            if held.since < now:
                self._add_service(owed, held._replace(until=min(held.until, now)))
        return owed

    def _add_loss(self, owed: AgreedService, held: _Held) -> None:
        """Add what was not there in a time, by what that is known, and when cells were locked."""
        missing = self._missing(held)
        parts = self._parts_of(held, missing)
        for cell, one in parts.items():
            owed.parts[cell] = _joined(owed.parts.get(cell, NOTHING_LOST), one)
        for cell, proofs in self._proofs_of(held).items():
            counted = union(chain.from_iterable(parts[cell]))
            for proof, times in proofs.items():
                if here := both(times, counted):
                    extend(owed.proofs.setdefault(cell, {}), proof, here)
        for cell, times in missing.items():
            extend(owed.missing, cell, both(times, union(chain.from_iterable(parts[cell][:-1]))))
        for cell, locked, in_window in self._locked(held, parts):
            extend(owed.locked, cell, locked)
            extend(owed.left_locked, cell, both(locked, self._known.left_locked.get(cell, ())))
            extend(owed.in_window, cell, in_window)

    def _add_service(self, owed: AgreedService, held: _Held) -> None:
        """Add for how long cells were shared in a time that is over, what they carried, and when nobody looked."""
        for cell in held.cells:
            owed.seconds[cell] = owed.seconds.get(cell, 0.0) + held.seconds
        for cell, times in self._served(held).items():
            extend(owed.served, cell, times)
        owed.held += self._deliver(owed, held)
        self._leave_unobserved(owed, held)
        for cell in held.cells if held.terms.sla.unseen_borne_by is Bearer.HOST else ():
            if unseen := both(owed.parts.get(cell, NOTHING_LOST).unseen, held.span):
                extend(owed.borne, cell, unseen)
        owed.buy(held.terms, held.span)

    def _served(self, held: _Held) -> dict[str, Times]:
        """When cells of an agreement served by what they counted in a time, where no check read it."""
        _, _, served = self._counted(held.era, held.terms.sla.left_out)
        missing = self._missing(held) if served else {}
        return {
            cell: both(without(times, union([*self._undelivered(held, cell), *missing.get(cell, ())])), held.span)
            for (cell, tenant), times in served.items()
            if tenant == held.terms.tenant and cell in held.cells
        }

    def _deliver(self, owed: AgreedService, held: _Held) -> float:
        """Add what cells carried of an agreement in a time, and when they did not; returns for how long any did.

        An agreement that reaches no cell has nothing to be applied: it is delivered all the time.
        """
        in_any: Times = ()
        for cell in held.cells:
            lacking = self._lacking(held, cell)
            here = without(held.span, lacking)
            owed.carried[cell] = owed.carried.get(cell, 0.0) + seconds(here)
            for percent, times in self._guaranteed(held, cell, here):
                extend(owed.guaranteed, (cell, percent), times)
            if not lacking:
                in_any = held.span
                continue
            not_applied = self._not_applied(held, cell)
            owed.forgone += held.terms.sla.allowance(seconds(not_applied))
            extend(owed.not_applied, cell, not_applied)
            in_any = in_any if in_any == held.span else union([*in_any, *here])
        return seconds(in_any) if held.cells else held.seconds

    def _guaranteed(self, held: _Held, cell: str, times: Times) -> Iterable[tuple[int, Times]]:
        """Percents that a cell guaranteed of an agreement in some times, and when; none if nobody asks."""
        if self._known.guarantees is None:
            return ()
        network = held.era.network
        tenant = network.tenant_by_id[held.terms.tenant]
        return self._known.guarantees.percents(halves(network, cell), held.terms, tenant, times)

    def _lacking(self, held: _Held, cell: str) -> Times:
        """When a cell did not carry all PLMNs of an agreement in a time."""
        if self._known.delivery is None:
            return ()
        of, there = held.terms.tenant, halves(held.era.network, cell)
        return self._known.delivery.lacking(there, of, held.plmns, held.since, held.until)

    def _not_applied(self, held: _Held, cell: str) -> Times:
        """The same, without times in which Minka knew nothing of the station: nobody looked at it."""
        lacking = self._lacking(held, cell)
        return without(lacking, self._unknown(cell, held.since, held.until)) if lacking else ()

    def _carried_nothing(self, cell: str, tenant: str, era: Era) -> Times:
        """When a cell carried no PLMN of a tenant, without times of a station of which Minka knew nothing."""
        if self._known.delivery is None:
            return ()
        there = halves(era.network, cell)
        lacking = self._known.delivery.without_any(there, tenant, era.begin, era.until)
        return without(lacking, self._unknown(cell, era.begin, era.until)) if lacking else ()

    def _unknown(self, cell: str, since: datetime, until: datetime) -> Times:
        """When Minka did not know a cell's station: it was not adopted, or there was no network."""
        gaps = self._gaps_at(cell, since, until)
        return union(chain.from_iterable(gaps.get(reason, ()) for reason in UNCOLLECTED))

    def _gaps_at(self, cell: str, since: datetime, until: datetime) -> Mapping[Unobserved, Times]:
        """When nobody looked at a cell's station, by the reason; never if nobody asks."""
        observation = self._known.observation
        return {} if observation is None else observation.gaps(cell.partition("/")[0], since, until)

    def _undelivered(self, held: _Held, cell: str) -> Times:
        """When there was no service of an agreement in a cell to be lost: not applied, or at no known station."""
        return union([*self._not_applied(held, cell), *self._unknown(cell, held.since, held.until)])

    def _leave_unobserved(self, owed: AgreedService, held: _Held) -> None:
        """Add the times in which nobody looked at the stations of an agreement's cells, and that are nothing else."""
        of_station: dict[str, Mapping[Unobserved, Times]] = {}
        for cell in held.cells:
            station = cell.partition("/")[0]
            if station not in of_station:
                of_station[station] = self._gaps_at(cell, held.since, held.until)
            if of_station[station]:
                counted = union(
                    [
                        *chain.from_iterable(owed.parts.get(cell, ())),
                        *owed.locked.get(cell, ()),
                        *owed.in_window.get(cell, ()),
                        *owed.served.get(cell, ()),
                        *owed.not_applied.get(cell, ()),
                    ]
                )
                by_reason = owed.unobserved.setdefault(cell, {})
                for reason, times in of_station[station].items():
                    if left := without(times, counted):
                        by_reason[reason] = (*by_reason.get(reason, ()), *left)
                        if reason in UNCOLLECTED:
                            owed.forgone += held.terms.sla.allowance(seconds(left))

    def owed_times(self, agreement: Agreement, begin: datetime, end: datetime, *, unseen: bool) -> dict[str, Times]:
        """When cells of an agreement had no service at the host's expense, whatever proves that, by cell.

        Where another agreement of the tenant held for a cell and this one did not, its times count: an outage goes on
        under the next agreement, such as the same one with another id.

        Args:
            agreement: It, by its id and tenant.
            begin: From when on.
            end: Until when.
            unseen: Whether the host bears times of unknown state.
        """
        found: dict[str, Times] = {}
        for held in self._held(agreement, begin, end):
            for cell, times in self._owed_in(held, unseen=unseen):
                extend(found, cell, times)
        for other in self._others(agreement, begin, end):
            for cell, times in self._owed_in(other, unseen=unseen):
                extend(found, cell, () if self.holds(agreement, cell, other.since) else times)
        return found

    def _owed_in(self, held: _Held, *, unseen: bool) -> Iterator[tuple[str, Times]]:
        """The same in a time in which an agreement was in force."""
        parts = self._parts_of(held, self._missing(held))
        for cell, one in parts.items():
            yield cell, union([*one.lost, *(one.unseen if unseen else ())])
        yield from ((cell, locked) for cell, locked, _ in self._locked(held, parts))

    def _others(self, agreement: Agreement, begin: datetime, end: datetime) -> Iterator[_Held]:
        """When other agreements of the same tenant were in force."""
        for era in self._eras:
            since, until = max(era.begin, begin), min(era.until, end)
            for one in era.sharing.in_force if since < until else ():
                if one.tenant == agreement.tenant and one.id != agreement.id:
                    yield _Held(era, one, since, until)

    def holds(self, agreement: Agreement, cell: str, at: datetime) -> bool:
        """Whether an agreement (by its id and tenant) was in force for a cell at a time."""
        return any(cell in held.cells for held in self._held(agreement, at, at + timedelta.resolution))

    def _proofs_of(self, held: _Held) -> dict[str, dict[Proof, Times]]:
        """By what it is known that cells of an agreement had no service in a time, where no check read it."""
        _, proofs_then, _ = self._counted(held.era, held.terms.sla.left_out)
        return {
            cell: {proof: both(times, held.span) for proof, times in proofs.items()}
            for (cell, tenant), proofs in proofs_then.items()
            if tenant == held.terms.tenant and cell in held.cells
        }

    def _parts_of(self, held: _Held, missing: Mapping[str, Times]) -> dict[str, Parts]:
        """Times without service of the tenant in cells of an agreement, by cell; only cells that had such times.

        Args:
            held: The agreement, and when.
            missing: When its cells lacked a PLMN.
        """
        found = {
            cell: Parts(*(both(times, held.span) for times in _less(parts, self._undelivered(held, cell))))
            for (cell, tenant), parts in self._parts(held.era, held.terms.sla.left_out).items()
            if tenant == held.terms.tenant and cell in held.cells
        }
        for cell, times in missing.items():
            before = found.get(cell, NOTHING_LOST)
            left = without(times, union([*before.own_work, *before.own_core, *before.outside]))
            planned = both(left, self._known.excused.planned.get((cell, held.terms.tenant), ()))
            lost = without(left, union([*before.planned, *planned, *self._known.locks.get(cell, ())]))
            found[cell] = before._replace(
                lost=union([*before.lost, *lost]),
                planned=union([*before.planned, *planned]),
                unseen=without(before.unseen, union([*lost, *planned])),
            )
        return found

    def _missing(self, held: _Held) -> dict[str, Times]:
        """When cells of an agreement lacked a PLMN that had been delivered: something took it away at the station."""
        delivery = self._known.delivery
        if delivery is None or self._whole is not None or not delivery.missing:
            return {}
        found: dict[str, Times] = {}
        for half, times in delivery.lost(held.terms.tenant, held.plmns, held.since, held.until).items():
            cell = whole_of(held.era.network, half)
            if cell in held.cells:
                extend(found, cell, self._read(half, times))
        return {cell: without(times, self._not_applied(held, cell)) for cell, times in found.items()}

    def _missing_at(self, era: Era, cell: str, tenant: str) -> Times:
        """When a cell lacked a PLMN of each agreement of a tenant there: what it counts off air may lie in that."""
        if self._known.delivery is None or not self._known.delivery.missing:
            return ()
        there = [_Held(era, one, era.begin, era.until) for one in era.sharing.agreements_at(cell, tenant)]
        return meet([self._missing(held).get(cell, ()) for held in there]) if there else ()

    def _locked(self, held: _Held, parts: Mapping[str, Parts]) -> Iterator[tuple[str, Times, Times]]:
        """Cells of an agreement that were locked, when that is owed, and when it is as agreed; nothing of ``parts``.

        What a cell carried while no check read it shows that somebody had unlocked it.
        """
        served = self._served(held)
        windows = held.terms.windows
        opened = union(openings(windows, held.era.network.zone, held.since, held.until)) if windows else held.span
        for cell in self._known.locks.keys() & set(held.cells):
            seen = both(self._read(cell, self._known.locks[cell]), held.span)
            known = union(chain.from_iterable(parts.get(cell, ())))
            seen = without(seen, union([*self._not_applied(held, cell), *known, *served.get(cell, ())]))
            agreed = without(opened, self._known.left_locked.get(cell, ()))
            planned = self._known.excused.planned.get((cell, held.terms.tenant), ())
            locked = without(seen, union([*agreed, *planned]))
            if seen:
                yield cell, locked, without(seen, locked)

    def _read(self, cell: str, times: Times) -> Times:
        """Those of times in which somebody looked at the station of a cell, or of a half of one."""
        if self._known.observation is None:
            return times
        return both(times, self._known.observation.looked_at(cell.partition("/")[0]))

    def _held(self, agreement: Agreement, begin: datetime, end: datetime) -> Iterator[_Held]:
        """When an agreement was in force with its tenant, and its terms then."""
        named = agreement.id, agreement.tenant
        for era in self._eras:
            since, until = max(era.begin, begin), min(era.until, end)
            one = next((one for one in era.sharing.in_force if (one.id, one.tenant) == named), None)
            if one is not None and since < until:
                yield _Held(era, one, since, until)

    @property
    def loaded(self) -> datetime:
        """Since when there is a network; before that nothing was shared that anybody could charge."""
        return next((era.begin for era in self._eras if not era.assumed), self._eras[-1].until)

    def agreed(
        self, tenant: str, begin: datetime, end: datetime, terms: Callable[[Agreement], object] | None = None
    ) -> list[AgreedSpan]:
        """When agreements of a tenant were in force with the same terms, by id and time.

        Args:
            tenant: Whose.
            begin: From when on.
            end: Until when.
            terms: The terms that count; by default all of the agreement.
        """
        read = terms or (lambda one: one)
        found: dict[str, list[AgreedSpan]] = {}
        for era in self._eras:
            since, until = max(era.begin, begin), min(era.until, end)
            for one in era.sharing.in_force if since < until else ():
                if one.tenant != tenant:
                    continue
                spans = found.setdefault(one.id, [])
                if spans and spans[-1].until == since and read(spans[-1].agreement) == read(one):
                    since_then = spans.pop().begin
                    spans.append(AgreedSpan(one, since_then, until))
                else:
                    spans.append(AgreedSpan(one, since, until))
        return [span for name in sorted(found) for span in found[name]]

    def by_incident(self) -> dict[str, Outages]:
        """Service that each incident took away, whatever others took away at the same time; by incident."""
        spells: dict[str, list[Spell]] = defaultdict(list)
        for spell in self._spells:
            spells[spell.incident].append(spell)
        known = Known(self._known.excused, delivery=self._known.delivery)
        return {name: Outages(own, self._eras, self._links, known, whole=self) for name, own in spells.items() if name}

    def _parts_of_tenants(self, era: Era) -> Iterator[tuple[tuple[str, str], Parts]]:
        """Times without service by cell and tenant; a cause is outside of the contract if all agreements say so."""
        terms = {one.sla.left_out for one in era.sharing.in_force} or {frozenset[str]()}
        for key in self._parts(era, next(iter(terms))):
            there = (one.sla.left_out for one in era.sharing.agreements_at(*key))
            yield key, self._parts(era, reduce(frozenset.__and__, there))[key]

    def _parts(self, era: Era, left_out: frozenset[str]) -> dict[tuple[str, str], Parts]:
        """Times without service by cell and tenant, with some root causes outside of the contract."""
        return self._counted(era, left_out)[0]

    def _counted(self, era: Era, left_out: frozenset[str]) -> _Counted:
        """Times without service by cell and tenant, and by what they are known where no check read that."""
        key = era.begin, era.until, left_out  # networks that came at once make eras of zero length
        if key not in self._found:
            told = self._told(era, left_out)
            parts, proofs = dict(told.parts), dict(told.proofs)
            served: dict[tuple[str, str], Times] = {}
            if self._whole is not None:
                _settle_by(self._whole._counted(era, left_out), parts)
            else:
                served = self._settle(era, left_out, parts, proofs)
            self._found[key] = parts, proofs, served
        return self._found[key]

    def _told(self, era: Era, left_out: frozenset[str]) -> _Told:
        """The same as alarms tell it, without what cells counted."""
        key = era.begin, era.until, left_out
        if key in self._alarmed:
            return self._alarmed[key]
        gone: dict[tuple[str, str], _ServiceLoss] = defaultdict(_ServiceLoss)
        down: dict[LinkGroup, dict[Path, list[Spell]]] = defaultdict(lambda: defaultdict(list))
        spells = list(_within(self._spells, era.begin, era.until))
        for spell in _with_cuts(spells, era.network):
            if spell.alarm.probable_cause in LINK_CAUSES:
                _add_link(down, spell)
                continue
            for tenant, cells in taken_by(era.sharing, spell.alarm).items():
                for cell in cells:
                    _add(gone[cell, tenant], spell, left_out)
        off = {at: union(one.owed) for at, one in gone.items()}
        for group, by_link in down.items():
            lost = self._without_path(era, group, by_link, left_out)
            for cell in cells_over(era.sharing, group, by_link) if lost.owed else ():
                gone[cell, group.tenant].add(lost)
        parts = {at: self._parted(at, one) for at, one in gone.items()}
        proofs = {at: {proof: union(times) for proof, times in one.proofs.items()} for at, one in gone.items()}
        listed = {at: union(one.listed) for at, one in gone.items()}
        found = self._alarmed[key] = _Told(parts, proofs, listed, off)
        return found

    def _settle(
        self,
        era: Era,
        left_out: frozenset[str],
        parts: dict[tuple[str, str], Parts],
        proofs: dict[tuple[str, str], dict[Proof, Times]],
    ) -> dict[tuple[str, str], Times]:
        """Divide what no check read by what cells counted then; returns the times that were served."""
        served: dict[tuple[str, str], Times] = {}
        span = ((era.begin, era.until),)
        for key, whole in self._by_counters(left_out).items():
            lost, well = both(whole.lost, span), both(whole.served, span)
            both_ways = union([*lost, *well])
            if not both_ways or not _shares(era, key):
                continue
            before, known = parts.get(key, NOTHING_LOST), proofs.get(key, {})
            gone = without(lost, self._known.excused.planned.get(key, ()))
            parts[key] = before._replace(
                lost=union([*without(before.lost, both_ways), *gone]),
                planned=union([*before.planned, *without(lost, gone)]),
                unseen=without(before.unseen, both_ways),
            )
            proofs[key] = {proof: without(times, both_ways) for proof, times in known.items()}
            proofs[key][Proof.COUNTERS] = lost
            served[key] = well
        return served

    def _by_counters(self, left_out: frozenset[str]) -> Mapping[tuple[str, str], Settled]:
        """What cells counted where no check read, by cell and tenant.

        A period counts once, whatever changes within it: what it counted has no part in each era.
        """
        if left_out not in self._settled:
            eras = [(era, self._told(era, left_out)) for era in self._eras] if self._counters else []
            off_air = self.off_air(self._eras[0].begin, self._eras[-1].until) if self._counters else {}
            self._settled[left_out] = found = {}
            for key, periods in self._counters.items():
                shared = [self._unread_and_known(era, key, told) for era, told in eras if _shares(era, key)]
                if not shared:
                    continue
                unread, off, linked = (union(chain.from_iterable(times)) for times in zip(*shared, strict=True))
                planned, locks = self._known.excused.planned.get(key, ()), self._known.locks.get(key[0], ())
                known = without(union([*off_air.get(key[0], ()), *planned, *off]), unread)
                found[key] = settled(unread, known, locks, periods, linked)
        return self._settled[left_out]

    def _unread_and_known(self, era: Era, key: tuple[str, str], told: _Told) -> tuple[Times, Times, Times]:
        """When no check read a cell in an era; when else it may have been off air; when core links were down."""
        parts, proofs = told.parts.get(key, NOTHING_LOST), told.proofs.get(key, {})
        indirect = union(chain.from_iterable(proofs.values()))
        away = chain.from_iterable(self._gaps_at(key[0], era.begin, era.until).values())
        excused = union([*parts.planned, *parts.own_work, *parts.own_core, *parts.outside])
        unread = without(union([*parts.unseen, *both(parts.lost, indirect), *away]), excused)
        off, gone = told.off.get(key, ()), union([*excused, *parts.lost])
        linked = union([*told.listed.get(key, ()), *without(gone, union([*off, *unread]))])
        return unread, union([*off, *self._missing_at(era, *key)]), linked

    def _parted(self, key: tuple[str, str], gone: _ServiceLoss) -> Parts:
        all_of_it, own_work = union(gone.owed), union(gone.own_work)
        own_core = without(both(union(gone.own_core), all_of_it), own_work)
        own = union([*own_work, *own_core])
        outside = without(both(union(gone.outside), all_of_it), own)
        owed = without(without(all_of_it, own), outside)
        planned = both(owed, self._known.excused.planned.get(key, ()))
        lost = without(owed, planned)
        unseen = without(union(gone.unseen), union([*lost, *planned, *own, *outside]))
        return Parts(lost, planned, own_work, own_core, outside, unseen)

    def _without_path(
        self, era: Era, group: LinkGroup, down: Mapping[Path, list[Spell]], left_out: frozenset[str]
    ) -> _ServiceLoss:
        """Times in which all links of a group were down, and those that nobody owes: they are excused at all ends."""
        lost = _ServiceLoss()
        carried = self._links_then(era, group, down)

        def at_all(times_of: Callable[[Sequence[Spell]], Times]) -> Times:
            told = {path: times_of(spells) for path, spells in down.items()}
            others = (without(there, told.get(path, ())) for path, there in carried.items())
            return without(union(chain.from_iterable(told.values())), union(chain.from_iterable(others)))

        def own_work(spells: Sequence[Spell]) -> Times:
            return self._own_work(group.tenant, spells)

        def of_core(spells: Sequence[Spell]) -> Times:
            return _by_root(spells, (CORE_NODE_DOWN,))

        lost.owed.extend(at_all(_when))
        if not lost.owed:
            return lost
        lost.own_work.extend(at_all(own_work))
        lost.own_core.extend(at_all(lambda spells: union([*own_work(spells), *of_core(spells)])))
        lost.outside.extend(at_all(lambda spells: _by_root(spells, left_out)))
        for spell in chain.from_iterable(down.values()):
            if spell.proof is not Proof.READING:
                times = both(((spell.since, spell.until),), tuple(lost.owed))
                lost.proofs[spell.proof].extend(times)
                lost.listed.extend(times if spell.proof is Proof.STATION else ())
        return lost

    def _own_work(self, tenant: str, down: Sequence[Spell]) -> Times:
        """When a link was down by announced work of its tenant: not if it was before, nor by a fault of the host."""
        works = union(intervals(self._known.excused.works, tenant, core_node_in(down[0].alarm)))
        found: list[tuple[datetime, datetime]] = []
        for spell in down:
            began = (spell.alarm.seen or spell.alarm.raised) + SKEW
            begun = tuple(one for one in works if began >= one[0])
            found.extend(both(spell.put_down_to(_MAY_BE_OWN), begun))
        return union(found)

    def _links_then(self, era: Era, group: LinkGroup, down: Iterable[Path]) -> dict[Path, Times]:
        """Core links of a group, and when the station carried them; always those of which only an alarm tells."""
        span, found = ((era.begin, era.until),), dict[Path, Times]()
        for one in self._links.get(group.station, ()):
            if is_of(group, one.tenant, one.path):
                found[one.path] = union([*found.get(one.path, ()), *both(((one.since, one.until),), span)])
        return dict.fromkeys(down, span) | found


def of_tenant(spells: Iterable[Spell], eras: Sequence[Era], tenant: str) -> list[Spell]:
    """Spells that may take something away from a tenant, with cuts of the way to its stations; it needs no others."""

    def concerns(alarm: Alarm) -> bool:
        if alarm.probable_cause in LINK_CAUSES:
            return tenant in alarm.tenants
        return any(tenant in taken_by(era.sharing, alarm) for era in eras)

    every = list(spells)
    own = [one for one in every if concerns(one.alarm)]
    if any(one.alarm.probable_cause == UNREACHABLE for one in own):
        own += [one for one in every if one.alarm.probable_cause == BACKHAUL_DOWN]
    return own


def _within(spells: Iterable[Spell], begin: datetime, end: datetime) -> Iterator[Spell]:
    for one in spells:
        since, until = max(one.since, begin), min(one.until, end)
        if since < until:
            yield one._replace(since=since, until=until)


def _people(era: Era, cell: str, tenant: str) -> float:
    """People of a cell's site, divided evenly among the tenant's cells there."""
    network, station = era.network, cell.partition("/")[0]
    if not network.manages(station):
        return 0.0
    site = network.site_of(station)
    names = (one.name for other in network.stations_at.get(site, ()) for one in network.cells_by_station.get(other, ()))
    own = len(era.sharing.tenants_at(names).get(tenant, ()))
    return network.site_by_id[site].population / own if own else 0.0


def _settle_by(whole: _Counted, parts: dict[tuple[str, str], Parts]) -> None:
    """Divide what no check read of one incident by what counters say of the same times, of all incidents together."""
    _, proofs, served = whole
    for key, own in parts.items():
        lost, well = proofs.get(key, {}).get(Proof.COUNTERS, ()), served.get(key, ())
        parts[key] = own._replace(
            lost=union([*without(own.lost, well), *both(own.unseen, lost)]),
            unseen=without(own.unseen, union([*lost, *well])),
        )


def _shares(era: Era, key: tuple[str, str]) -> bool:
    """Whether a tenant shares a cell in an era."""
    cell, tenant = key
    return bool(era.sharing.tenants_at([cell]).get(tenant))


def _less(parts: Parts, gone: Times) -> Parts:
    """Parts without some times."""
    return Parts(*(without(times, gone) for times in parts)) if gone else parts


def _add(gone: _ServiceLoss, spell: Spell, left_out: frozenset[str]) -> None:
    if spell.alarm.probable_cause in HIDES and spell.proof is not Proof.CUT:
        gone.unseen.append((spell.since, spell.until))
        return
    gone.owed.append((spell.since, spell.until))
    if spell.proof is not Proof.READING:
        gone.proofs[spell.proof].append((spell.since, spell.until))
    gone.outside.extend(_by_root([spell], left_out))


def _with_cuts(spells: Sequence[Spell], network: Network) -> Iterator[Spell]:
    """Spells; a station that can't be reached has no service while all of its paths are known to be cut."""
    cuts: dict[str, list[tuple[datetime, datetime]]] = defaultdict(list)
    for one in spells:
        if one.alarm.probable_cause == BACKHAUL_DOWN:
            for device in network.devices_below.get(one.alarm.object, ()):
                cuts[device].append((one.since, one.until))
    for one in spells:
        if one.alarm.probable_cause == BACKHAUL_DOWN:
            continue
        if one.alarm.probable_cause != UNREACHABLE or one.alarm.station not in cuts:
            yield one
            continue
        whole, cut = ((one.since, one.until),), union(cuts[one.alarm.station])
        yield from (one._replace(since=since, until=until, proof=Proof.CUT) for since, until in both(whole, cut))
        yield from (one._replace(since=since, until=until) for since, until in without(whole, cut))


def _joined(one: Parts, other: Parts) -> Parts:
    """Times of both."""
    return Parts(*(union([*old, *new]) for old, new in zip(one, other, strict=True)))


def _when(spells: Iterable[Spell]) -> Times:
    return union((one.since, one.until) for one in spells)


def _by_root(spells: Iterable[Spell], causes: Collection[str]) -> Times:
    """When alarms stood because of roots with these causes: not in the time in which nobody heard of them."""
    return union(
        (max(since, unheard_until(one.alarm) or since), until)
        for one in spells
        for since, until in one.put_down_to(causes)
        if (unheard_until(one.alarm) or since) < until
    )


def _add_link(down: Mapping[LinkGroup, Mapping[Path, list[Spell]]], spell: Spell) -> None:
    for group, path in links_of(spell.alarm):
        down[group][path].append(spell)
