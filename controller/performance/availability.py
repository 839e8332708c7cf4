"""Service levels: what a tenant's agreements promise for a month, and what it got, to the second. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from fractions import Fraction
from math import floor
from typing import NamedTuple
from zoneinfo import ZoneInfo

from controller.intent.agreed_service import AgreedService, CellSeconds, Parts
from controller.intent.counted import CountedPeriod
from controller.intent.observation import Proof, Unobserved
from controller.intent.outages import Outages
from controller.intent.times import Times, both, seconds, without
from controller.models.alarm import CELL_OFF_AIR, DIVERGED
from controller.models.measurement import DAY, HALF_A_DAY, Measured, Values, parts
from controller.models.network import Agreement
from controller.models.sharing import Bearer, exactly
from controller.models.statement import Column, Sheet, Value
from controller.performance.rollups import span_of
from controller.performance.statements import local
from controller.performance.volume import SharingSpan, had_by

RULES = (
    "A tenant has no service in a cell while the cell is off air, while its station has lost all transport, or while "
    "all core links of one kind that the tenant has at the station are down.\n"
    "Each second is in one column only. Own work (which the tenant had announced for its core) goes before outside (of "
    "a cause that the agreement leaves out of the contract), this before planned (in which a run interrupted the "
    "tenant, which it was notified of), this before lost. A cause excuses the seconds in which it stood, with what was "
    "noticed shortly before it or outlived it shortly; what had failed before stays lost, in the same incident too.\n"
    "Unseen are seconds in which nobody could reach the station: they are neither lost nor proved to be served. "
    "Unobserved are seconds in which nobody looked: the station was not adopted yet, Minka did not run, there was no "
    "network, or two checks were more than 10 minutes apart.\n"
    "Not applied are seconds in which the cell did not carry all PLMNs of the agreement, by Minka's own record: a run "
    "counts from its end on, an adopted station from its adoption. Then nothing was delivered: they are neither served "
    "nor lost, go before all other columns but the time of stations that were not adopted, and are not charged. That "
    "time, and the time before there was a network, is unobserved whatever anybody reported, and is not charged either."
    "\n"
    "Where no check read a station, its counters, its own list of alarms, the far end of core links or a known cut "
    "above all of its paths may prove service or its loss, in this order; each time names its proof. The agreement "
    "says who bears unseen time: if it is the host, it counts as lost. Of a core link that failed and worked again "
    "between two checks the station's list says when that was.\n"
    "Availability is 100 % less what was lost or locked of all seconds in which cells were shared under the agreement, "
    "without those not applied, or unobserved before there was a network or while the station was not adopted; it is "
    "empty where all were. What may be lost is that of the same seconds. At worst it would be that if all that was "
    "unseen, unobserved or not applied had been lost. A "
    "promise is kept if availability is as promised and nothing was restored late; it is unproved if nothing was "
    "applied, or a larger part of the time than the agreement allows was unseen, unobserved or not applied. Where the "
    "agreement shared no cell, as before it begins, nothing was promised: it has no availability and no verdict (none)."
    "\n"
    "Locked is the time in which somebody had locked a cell, less what lies in windows of the agreement, in a run that "
    "interrupts the tenant and of which it was notified, or in another column. It is lost as well. Without windows the "
    "host may lock at any time. No window allows a lock that a run left behind which ended diverged: from its end on "
    "that is locked, until the cell is unlocked or the run's changes are brought back.\n"
    "Restored late counts incidents that took service away from a cell for longer than the agreement gives to restore "
    "it, and other outages of cells that lasted longer, whatever proves them: alarms, counters, a PLMN that the cell "
    "lacks, or a lock that counts as lost.\n"
    "Who shared which cell is what the network said at that time. What an agreement promises counts for the time in "
    "which it promised it: a promise that changes within the month makes two rows.\n"
    "An incident counts by itself, whatever else took service away at the same time: incidents may add up to more than "
    "was lost."
).splitlines()

_MOMENT = timedelta(seconds=1)
#: An agreement, and since when it promises the same.
_Promise = tuple[str, datetime]
_MEANINGS = {
    "lost": "without service, which the host owes",
    "planned": "in which a run interrupted the tenant, which it was told of",
    "own_work": "of announced work on the tenant's core",
    "own_core": "in which the tenant's own core was lost",
    "outside": "of causes that the agreement leaves out",
    "unseen": "in which Minka looked and got no answer, and nothing else proves anything",
    "unobserved": "in which nobody looked",
    "not_applied": "in which Minka had not put all PLMNs of the agreement into the cell",
    "locked": "off air by hand, outside of the agreement's windows, or left so by a run that diverged",
    "in_window": "off air by hand as the agreement allows (always without windows), or in a run the tenant was told of",
    "served": "all other time",
}
_LENGTHS = tuple(Column(name=name, unit="s", meaning=_MEANINGS[name]) for name in CellSeconds._fields)
_MINUTES = tuple(Column(name=name, unit="min", meaning=_MEANINGS[name]) for name in CellSeconds._fields)


class DisclosedIncident(NamedTuple):
    """An incident as its tenant sees it."""

    id: str
    cause: str
    opened: datetime
    closed: datetime | None
    cells: int


class Work(NamedTuple):
    """Work of a run on one station of a tenant."""

    run: str
    procedure: str
    station: str
    started: datetime
    finished: datetime | None
    outcome: str


class Month(NamedTuple):
    """A month, and how much of it has passed."""

    begin: datetime
    now: datetime
    end: datetime
    zone: ZoneInfo

    @property
    def days(self) -> list[tuple[datetime, datetime]]:
        """Begin and end of all its days; after a new time zone the first one is longer or shorter."""
        found, begin = [], self.begin
        while begin < self.end:
            _, end = span_of(begin + HALF_A_DAY, DAY, self.zone)
            found.append((begin, end))
            begin = end
        return found


class Kept(StrEnum):
    """Whether a promise was kept.

    Attributes:
        NONE: Nothing was shared in the time, so nothing was promised of it.
        UNPROVED: Too little was applied and seen to call it kept.
    """

    YES = "yes"
    NO = "no"
    UNPROVED = "unproved"
    NONE = "none"


class Attainment(NamedTuple):
    """What an agreement promised with the same terms, and what its tenant got in that time."""

    agreement: Agreement
    owed: AgreedService
    begin: datetime
    until: datetime

    @property
    def promise(self) -> _Promise:
        """Which promise it is: the agreement, and since when."""
        return self.agreement.id, self.begin

    @property
    def seconds(self) -> float:
        """Shared cell-seconds."""
        return sum(self.owed.seconds.values())

    @property
    def delivered(self) -> int:
        """Microseconds of them at known stations, in cells not known to lack what was agreed."""
        return self.shared - sum(_microseconds(self.owed.undelivered(cell)) for cell in self.owed.seconds)

    def kept(self, restored_late: int) -> Kept:
        """The verdict, with how much was restored late."""
        if not self.shared:
            return Kept.NONE
        if self.availability < exactly(self.agreement.sla.availability_percent) or restored_late:
            return Kept.NO
        return Kept.YES if self._proved else Kept.UNPROVED

    @property
    def _proved(self) -> bool:
        """Whether enough was applied and seen to call the promise kept."""
        most = self.shared * exactly(self.agreement.sla.unproved_percent) / 100
        lengths = map(self.owed.lengths, self.owed.seconds)
        unproved = sum(_microseconds(one.unseen + one.unobserved + one.not_applied) for one in lengths)
        return unproved <= most and self.delivered > 0

    @property
    def availability(self) -> Fraction:
        """Availability in percent, exactly; 100 if nothing was shared or delivered."""
        return available(self.delivered, self.owed.lost_time // timedelta.resolution)

    @property
    def at_worst(self) -> Fraction:
        """The same if all that is not proved had been lost."""
        proved = sum(_microseconds(self.owed.lengths(cell).proved) for cell in self.owed.seconds)
        return available(self.shared, self.shared - proved)

    @property
    def shared(self) -> int:
        """Microseconds in which cells were shared."""
        return sum(map(_microseconds, self.owed.seconds.values()))


def _microseconds(seconds_of_a_cell: float) -> int:
    """Time of one cell, of which sums of floats are right to far less: promises are judged without any rounding."""
    return round(seconds_of_a_cell * 1_000_000)


_OFF = "RRU.CellUnavailableTime.fault"
_VOLUMES = ("DRB.PdcpSduVolumeDL", "DRB.PdcpSduVolumeUL")
#: Counters that say whether a cell served.
COUNTED = (_OFF, *_VOLUMES)


#: Stands beside the rules where counters of the month were deleted before it was worked out.
NOT_COUNTED = (
    "Counters before {gone} were deleted before this was worked out: what only they prove is not in these figures."
)


def off_seconds(counters: Mapping[str, Values]) -> float:
    """For how long a cell was off air by a fault, as it counted itself."""
    return sum(parts(counters.get(_OFF, {})))


def counted_period(
    measured: Measured, counters: Mapping[str, Values], shared: Sequence[SharingSpan]
) -> CountedPeriod | None:
    """What a cell counted in a period, for a tenant; None if that is not complete, or without whether it was on air.

    Only what was the tenant's in all of the period shows that the tenant was served in it.
    """
    if measured.suspect or measured.covered != measured.seconds or not parts(counters.get(_OFF, {})):
        return None
    end = measured.begin + timedelta(seconds=measured.seconds)
    whose = had_by(shared, measured.begin, end)
    used = {one for name in _VOLUMES for one, value in counters.get(name, {}).items() if value > 0}
    carried = any(all(who.has(one) for who in whose) for one in used) if whose else False
    return CountedPeriod(measured.begin, end, off_seconds(counters), carried)


def finest(periods: Iterable[CountedPeriod]) -> list[CountedPeriod]:
    """Periods that do not overlap, in order: a longer one only where no shorter one tells anything of its time."""
    found: list[CountedPeriod] = []
    for one in sorted(set(periods), key=lambda one: (one.until - one.begin, one.begin)):
        at = bisect_left(found, one)
        before, after = found[max(at - 1, 0) : at], found[at : at + 1]
        if all(other.until <= one.begin or one.until <= other.begin for other in (*before, *after)):
            found.insert(at, one)
    return found


def available(shared: int, lost: int) -> Fraction:
    """Availability in percent, of microseconds; 100 if nothing was shared."""
    return Fraction(100 * (shared - lost), shared) if shared > 0 else Fraction(100)


def attained(outages: Outages, tenant: str, month: Month) -> list[Attainment]:
    """What each agreement of a tenant in a month promised, and what the tenant got; by agreement and time."""
    return [
        Attainment(one, outages.agreed_service(one, since, min(month.now, until), until), since, until)
        for one, since, until in outages.agreed(tenant, month.begin, month.end, _promise)
    ]


def _promise(agreement: Agreement) -> tuple[object, ...]:
    """What an agreement promises, whatever the order in which the files say it."""
    sla = agreement.sla
    once = sla.availability_percent, sla.restore_hours, sla.unproved_percent, sla.unseen_borne_by, sla.restored_minutes
    return *once, frozenset(sla.outside_causes), frozenset(sla.penalties)


def sla_sheets(
    outages: Outages,
    found: Sequence[Attainment],
    tenant: str,
    month: Month,
    incidents: Mapping[str, DisclosedIncident],
    works: Sequence[Work],
) -> tuple[Sheet, ...]:
    """The tables of a statement of service levels.

    Args:
        outages: What was taken away in the month, before it for as long as agreements give to restore, and round it.
        found: What was attained in the month.
        tenant: Whose.
        month: Which.
        incidents: By id, those that the tenant sees.
        works: What was changed on the tenant's cells.
    """
    moments = {
        each.promise: _late_moments(outages, _owed_times(outages, each, month.begin), each, month.begin)
        for each in found
    }
    concerned = list(_incidents(outages, tenant, month, incidents, found, moments))
    late = Counter(promise for one in concerned for promise in one.late)
    late.update({promise: len(every - _explained(concerned, promise)) for promise, every in moments.items()})
    return (
        _agreements(found, month, late),
        _cells(found, month.zone),
        _outages(found, month.zone),
        Sheet(name="incidents", title="Incidents", columns=_INCIDENTS, rows=tuple(one.row for one in concerned)),
        _changes(works, month.zone),
    )


# ------------------------------------------------------------------------------------------------------- agreements

_WHY = {
    Unobserved.NO_NETWORK: "no network was loaded yet",
    Unobserved.NOT_ADOPTED: "the station was not adopted",
    Unobserved.NOT_RUNNING: "Minka did not run",
    Unobserved.NEVER_READ: "the station was not checked a first time yet",
    Unobserved.CHECKS_APART: "two checks were more than 10 minutes apart",
}
_REASON_COLUMNS = {one: one.value.replace("-", "_") for one in Unobserved}
_AGREEMENTS = (
    Column(name="agreement"),
    Column(name="since", meaning="since when it promises that, in the month"),
    Column(name="until"),
    Column(name="promised", unit="%"),
    Column(name="availability", unit="%", meaning="of what was applied at adopted stations; empty if nothing was"),
    Column(name="at_worst", unit="%", meaning="if all that was unseen, unobserved or not applied had been lost"),
    Column(
        name="kept",
        meaning="yes; no; unproved (no credit): too much unseen, unobserved or not applied; none: no cell was shared",
    ),
    Column(name="cells"),
    Column(name="shared", unit="cell-hours"),
    *_MINUTES,
    Column(name="borne", unit="min", meaning="of what was unseen: counts as lost by the agreement"),
    *(Column(name=_REASON_COLUMNS[one], unit="min", meaning=f"unobserved: {why}") for one, why in _WHY.items()),
    Column(
        name="allowed",
        unit="min",
        meaning="of cells, to be lost in the whole month, without time not applied or adopted",
    ),
    Column(name="left", unit="min", meaning="of what is allowed: the error budget"),
    Column(name="burn_rate", meaning="how many times as fast it is used as would use up all of it in the month"),
    Column(name="restore_within", unit="h"),
    Column(name="restored_late", meaning="incidents, and other outages of cells, that lasted for longer than that"),
    Column(name="credit", unit="% of charges", meaning="penalty that the agreement names for such a month"),
)


def _agreements(found: Sequence[Attainment], month: Month, restored_late: Mapping[_Promise, int]) -> Sheet:
    rows = []
    for one in found:
        elapsed = min(1.0, max(0.0, (month.now - one.begin) / (one.until - one.begin)))
        sla, total, lost = one.agreement.sla, one.owed.total, one.owed.lost
        allowed = one.owed.allowed - one.owed.forgone
        late = restored_late.get(one.promise, 0)
        share = lost / allowed if allowed else float(lost > 0)
        penalty = sla.penalty(one.availability)
        rows.append(
            (
                one.agreement.id,
                local(one.begin, month.zone),
                local(one.until, month.zone),
                sla.availability_percent,
                _percent(one.availability) if one.delivered > 0 else None,
                _percent(one.at_worst) if one.shared else None,
                one.kept(late).value,
                len(one.owed.seconds),
                round(one.seconds / 3600, 2),
                *(round(length / 60, 2) for length in total),
                round(sum(map(seconds, one.owed.borne.values())) / 60, 2),
                *(round(length / 60, 2) for length in one.owed.reasons.values()),
                round(allowed / 60, 2),
                round((allowed - lost) / 60, 2) + 0.0,  # never -0.0
                round(share / elapsed, 3) if elapsed else 0.0,
                sla.restore_hours,
                late,
                penalty.credit_percent if penalty else 0,
            )
        )
    return Sheet(name="agreements", title="Agreements", columns=_AGREEMENTS, rows=tuple(rows))


def _percent(value: Fraction) -> float:
    """Rounded down, so that less than 100 % never shows as 100."""
    return floor(value * 10_000) / 10_000


# ------------------------------------------------------------------------------------------------ cells and outages

_CELLS = (
    Column(name="agreement"),
    Column(name="since", meaning="since when the agreement promises the same"),
    Column(name="cell"),
    Column(name="shared", unit="s"),
    *_LENGTHS,
    Column(name="availability", unit="%", meaning="of what was applied at adopted stations; empty if nothing was"),
)


def _cells(found: Iterable[Attainment], zone: ZoneInfo) -> Sheet:
    """Cells, those with the largest losses first."""
    rows: list[tuple[Value, ...]] = []
    for one in found:
        for cell, shared in one.owed.seconds.items():
            lengths = one.owed.lengths(cell)
            owed = lengths.lost + lengths.locked + seconds(one.owed.borne.get(cell, ()))
            which = one.agreement.id, local(one.begin, zone), cell
            delivered = _microseconds(shared - one.owed.undelivered(cell))
            share = _percent(available(delivered, _microseconds(owed))) if delivered > 0 else None
            rows.append((*which, round(shared), *_rounded(lengths, round(shared)), share))
    lost, unseen = (_CELLS.index(one) for one in _LENGTHS if one.name in ("lost", "unseen"))
    rows.sort(key=lambda row: (-float(row[lost] or 0), -float(row[unseen] or 0), *map(str, row[:3])))
    return Sheet(name="cells", title="Cells", columns=_CELLS, rows=tuple(rows))


def _rounded(lengths: CellSeconds, whole: int) -> tuple[int, ...]:
    """Whole seconds that still add up: what rounding leaves belongs to the longest."""
    found = [*map(round, lengths)]
    found[max(range(len(found)), key=found.__getitem__)] += whole - sum(found)
    return tuple(found)


_PLMN_MISSING = "plmn-missing"
#: Causes of lost service that its proof names.
_CAUSES: Mapping[str, str] = {Proof.COUNTERS: CELL_OFF_AIR}
_OUTAGES = (
    Column(name="agreement"),
    Column(name="cell"),
    Column(name="part", meaning="what it counts as"),
    Column(name="known_by", meaning="how that is known; why nobody looked"),
    Column(
        name="cause",
        meaning="besides incidents: plmn-missing (a check no longer found a PLMN of the agreement in the cell), "
        "cell-off-air (counted by the cell), locked (by hand), station-diverged (locked by a run that diverged)",
    ),
    Column(name="since"),
    Column(name="until"),
    Column(name="seconds", unit="s"),
)


def _outages(found: Iterable[Attainment], zone: ZoneInfo) -> Sheet:
    rows: list[tuple[datetime, tuple[Value, ...]]] = []
    for one in found:
        for cell, name, known_by, cause, times in _times(one.owed):
            for since, until in times:
                length = round((until - since).total_seconds())
                row = (one.agreement.id, cell, name, known_by, cause, local(since, zone), local(until, zone), length)
                rows.append((since, row))
    rows.sort(key=lambda one: (one[0], one[1]))
    title = "Times without service, or of which nobody knows"
    return Sheet(name="outages", title=title, columns=_OUTAGES, rows=tuple(row for _, row in rows))


def _times(owed: AgreedService) -> Iterator[tuple[str, str, str, str, Times]]:
    """Cells with what times count as, how that is known, what no incident says of their cause, and when they were."""
    for cell, of_cell in owed.parts.items():
        proofs, missing = owed.proofs.get(cell, {}), owed.missing.get(cell, ())
        for name, times in zip(Parts._fields, of_cell, strict=True):
            for known_by, some in _known(name, times, proofs):
                yield cell, name, known_by, _PLMN_MISSING, both(some, missing)
                yield cell, name, known_by, _CAUSES.get(known_by, ""), without(some, missing)
    for name, locked in (("locked", owed.locked), ("in_window", owed.in_window)):
        for cell, times in locked.items():
            left = owed.left_locked.get(cell, ())
            yield cell, name, Proof.READING, DIVERGED, both(times, left)
            yield cell, name, Proof.READING, "locked", without(times, left)
    for cell, served in owed.served.items():
        yield cell, "served", Proof.COUNTERS, "", served
    for cell, by_reason in owed.unobserved.items():
        yield from ((cell, "unobserved", reason, "", times) for reason, times in by_reason.items())
    for cell, not_applied in owed.not_applied.items():
        yield cell, "not_applied", "", "", not_applied


def _known(name: str, times: Times, proofs: Mapping[Proof, Times]) -> Iterator[tuple[str, Times]]:
    """Times of a part, divided by how they are known."""
    if name == "unseen":
        yield "", times
        return
    for proof in (one for one in Proof if one is not Proof.READING):
        yield proof, both(times, proofs.get(proof, ()))
        times = without(times, proofs.get(proof, ()))
    yield Proof.READING, times


# --------------------------------------------------------------------------------------------- incidents and changes

_INCIDENTS = (
    Column(name="incident"),
    Column(name="cause"),
    Column(name="opened"),
    Column(name="closed"),
    Column(name="cells"),
    *(Column(name=name, unit="min", meaning=_MEANINGS[name]) for name in Parts._fields),
    Column(name="restored_late", meaning="agreements whose time to restore it took longer than"),
)


#: A cell, and when an outage of it had lasted for longer than an agreement allows.
_Moment = tuple[str, datetime]


class _Concerned(NamedTuple):
    """An incident of a tenant.

    Attributes:
        row: It in the statement.
        late: Promises whose time to restore it exceeded; those moments of outages of cells at which it stood.
    """

    row: tuple[Value, ...]
    late: Mapping[_Promise, set[_Moment]]


def _explained(concerned: Iterable[_Concerned], promise: _Promise) -> set[_Moment]:
    """Moments at which an incident stood."""
    return set().union(*(one.late.get(promise, ()) for one in concerned))


def _incidents(
    outages: Outages,
    tenant: str,
    month: Month,
    incidents: Mapping[str, DisclosedIncident],
    found: Sequence[Attainment],
    moments: Mapping[_Promise, set[_Moment]],
) -> Iterator[_Concerned]:
    """Incidents, oldest first, each with the promises whose time to restore it exceeded."""
    own = []
    for name, one in outages.by_incident().items():
        minutes = next((each for each in one.minutes(month.begin, month.end) if each.tenant == tenant), None)
        if minutes is not None:
            shown = incidents.get(name)
            stood = ((each.promise, _stood_at(one, each, month.begin, moments[each.promise])) for each in found)
            late = {promise: at for promise, at in stood if at is not None}
            opened = shown.opened if shown else month.begin
            row: tuple[Value, ...] = (
                name,
                shown.cause if shown else "",
                local(shown.opened, month.zone) if shown else "",
                local(shown.closed, month.zone) if shown else "",
                shown.cells if shown else 0,
                *(getattr(minutes, part) for part in Parts._fields),
                ", ".join(sorted({agreement for agreement, _ in late})),
            )
            own.append((opened, _Concerned(row, late)))
    for _, one_of_all in sorted(own, key=lambda each: (each[0], str(each[1].row[0]))):
        yield one_of_all


def _stood_at(
    of_incident: Outages, promised: Attainment, month: datetime, moments: Collection[_Moment]
) -> set[_Moment] | None:
    """At which moments an incident stood; None if it took service away for no longer than an agreement allows.

    It did for longer if it did by itself, or if it is one of several outages with too little service in between, and
    stood when they together became too long (``moments``).
    """
    owed = _owed_times(of_incident, promised, month)
    stood = {(cell, at) for cell, at in moments if any(since <= at < until for since, until in owed.get(cell, ()))}
    return stood if stood or _late_moments(of_incident, owed, promised, month) else None


def _late_moments(outages: Outages, owed: Mapping[str, Times], promised: Attainment, month: datetime) -> set[_Moment]:
    """When outages of cells had lasted for longer than an agreement allows; in a later month, from its begin.

    It counts under the promise in whose time that was, of the agreement that held for the cell then. Service that lasts
    for less than the agreement says ends no outage; if the time is up in such service, the moment is when that ends.
    """
    sla = promised.agreement.sla
    limit, least = timedelta(hours=sla.restore_hours), timedelta(minutes=sla.restored_minutes)
    found: set[_Moment] = set()
    for cell, times in owed.items():
        for since, until in _together(times, least):
            at = max(since + limit, month)
            at = next((max(begin, at) for begin, end in times if end > at), at)
            late = until - since > limit and promised.begin <= at < promised.until and until > promised.begin
            if late and outages.holds(promised.agreement, cell, at):
                found.add((cell, at))
    return found


def _owed_times(outages: Outages, promised: Attainment, month: datetime) -> dict[str, Times]:
    """When cells of an agreement were without service that the host owes or bears, from as early as may count."""
    sla = promised.agreement.sla
    limit = timedelta(hours=sla.restore_hours)
    before = promised.begin - limit - (_MOMENT if promised.begin > month else timedelta())
    bears = sla.unseen_borne_by is Bearer.HOST
    return outages.owed_times(promised.agreement, before, promised.until, unseen=bears)


def _together(times: Times, least: timedelta) -> Iterator[tuple[datetime, datetime]]:
    """Outages, with those between which there was service for less than the least time as one."""
    found: list[tuple[datetime, datetime]] = []
    for since, until in times:
        if found and since - found[-1][1] < least:
            found[-1] = found[-1][0], until
        else:
            found.append((since, until))
    yield from found


_CHANGES = tuple(Column(name=name) for name in ("run", "procedure", "station", "started", "finished", "outcome"))


def _changes(works: Sequence[Work], zone: ZoneInfo) -> Sheet:
    rows = tuple(
        (one.run, one.procedure, one.station, local(one.started, zone), local(one.finished, zone), one.outcome)
        for one in sorted(works, key=lambda one: (one.started, one.run, one.station))
    )
    return Sheet(name="changes", title="Changes made on the tenant's cells", columns=_CHANGES, rows=rows)
