"""Drafts of statements, from the record of a tenant's month."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import NamedTuple
from zoneinfo import ZoneInfo

from controller.access.disclosure import TenantIncident, tenant_kpis
from controller.intent.agreed_terms import Era
from controller.intent.counted import CountedPeriod
from controller.intent.outages import Outages
from controller.intent.times import Times, union
from controller.models.alarm import ToldAlarm
from controller.models.definitions import DefinitionKind
from controller.models.errors import AbsentError, ConflictError, InputError
from controller.models.measurement import DAY, GRANULARITIES, HOUR, MONTH, Measured
from controller.models.sharing import Charge
from controller.models.statement import CORRECTED_MONTHS, Sheet, Statement, StatementKind
from controller.performance import availability, capacity, quality, settlement, volume
from controller.performance.availability import (
    COUNTED,
    DisclosedIncident,
    Month,
    Work,
    attained,
    counted_period,
    finest,
    off_seconds,
)
from controller.performance.capacity import Load
from controller.performance.kpis import Level, counters_of, kpis_of
from controller.performance.quality import quality_sheets
from controller.performance.rollups import span_of as span_of_day
from controller.performance.settlement import Correction, settlement_sheets
from controller.performance.statements import local
from controller.performance.volume import (
    SharingSpan,
    Volumes,
    everything_of,
    part_at,
    parts_of,
    parts_under,
    stations_alike,
    volume_sheets,
    volumes_of,
)
from controller.store import Store

#: Stations whose months are read together.
_AT_ONCE = 100
#: How far back a trend goes.
_TREND = timedelta(days=3653)
#: What is read on both sides of a month: longer than any period whose counts are put into it.
_AROUND = timedelta(days=1)
#: Periods that tell whether cells served, the finest first.
_PERIODS = tuple(one for one in GRANULARITIES if one < DAY)


class _Made(NamedTuple):
    """The rules and sheets of a statement.

    Attributes:
        gone: Before when counters on which the figures may rest were deleted; None if none were.
    """

    rules: tuple[str, ...]
    sheets: tuple[Sheet, ...]
    gone: datetime | None = None


def draft(store: Store, now: datetime, kind: StatementKind, tenant: str, month: str) -> Statement:
    """Draft a statement from the record as it is; names and time zone are those of the network last in the month.

    A month that was issued keeps the time zone and the bounds with which it was.

    Raises:
        AbsentError: There was no such tenant in the month, and nothing of it is to be corrected.
        InputError: The month has not begun.
        ConflictError: It was issued, and counters on which it may rest were deleted since.
    """
    _, network = store.networks.get()
    eras = store.incidents.eras(_over_first(_before(month)), _over_last(month))
    span = _span(store, kind, tenant, month, eras, now)
    if span.begin >= now:
        raise InputError(f"{month} has not begun in {span.zone.key}")
    eras = [
        one._replace(begin=max(one.begin, span.begin), until=min(one.until, span.end))
        for one in eras
        if one.begin < span.end and span.begin < one.until
    ]
    networks = [*(era.network for era in reversed(eras)), network]
    known = next((one for then in networks if (one := then.tenant_by_id.get(tenant)) is not None), None)
    name = _name_of_former(store, kind, tenant, month) if known is None else known.name
    network = eras[-1].network
    rules, sheets, gone = _KINDS[kind](store, tenant, span, eras)
    issued = _issued(store, kind, tenant, month)
    if gone is not None and issued is not None:
        raise ConflictError(
            f"the {kind} statement of {tenant} for {month} can't be worked out anew: counters before "
            f"{gone:%Y-%m-%d} (UTC), on which it may rest, were deleted (MINKA_PERIOD_DAYS); what was issued stays"
        )
    if gone is not None:
        rules = *rules, availability.NOT_COUNTED.format(gone=local(gone, span.zone))
    if known is None and not any(one.rows for one in sheets) and issued is None:
        raise AbsentError(f"{tenant} left before {month}, and nothing that was issued for it is to be corrected")
    return Statement(
        kind=kind,
        tenant=tenant,
        tenant_name=name,
        network=network.header.id,
        network_name=network.header.name,
        month=month,
        timezone=span.zone.key,
        begin=span.begin,
        end=span.end,
        rules=rules,
        sheets=sheets,
    )


def _name_of_former(store: Store, kind: StatementKind, tenant: str, month: str) -> str:
    """The name of a tenant that left before a month, whose settlement may still correct those before.

    Raises:
        AbsentError: Nothing that was issued for it can be corrected in this month.
    """
    if kind is StatementKind.SETTLEMENT:
        own = _issued(store, kind, tenant, month)
        stated = [one for _, one in _settled_before(store, tenant, month)] if own is None else [own]
        if stated:
            return stated[0].tenant_name
    raise AbsentError(f"the network has no tenant {tenant}, and had none in the month")


def settled(one: Statement) -> datetime:
    """From when on a statement may be issued: its month is over, and late measurements have come."""
    return (one.end + LATE).astimezone(ZoneInfo(one.timezone))


def _span(store: Store, kind: StatementKind, tenant: str, month: str, eras: Sequence[Era], now: datetime) -> Month:
    """A month as in ``2026-10``: as it was issued, else from the end of the month before to its own."""
    issued = _issued(store, kind, tenant, month)
    if issued is not None:
        return _span_issued(issued, now)
    before = _issued(store, kind, tenant, _before(month))
    begin = _end(_before(month), eras)[0] if before is None else before.end
    end, zone = _end(month, eras)
    return Month(begin, now, end, zone)


def _end(month: str, eras: Iterable[Era]) -> tuple[datetime, ZoneInfo]:
    """When a month ends, and in which time zone: that of the first network under which it is over.

    A time zone that comes later, when it may be issued already, moves nothing.
    """
    after = _first_of(_after(month))
    ends = ((after.replace(tzinfo=era.network.zone).astimezone(UTC), era) for era in eras)
    return next((at, era.network.zone) for at, era in ends if at <= era.until)


def _over_first(month: str) -> datetime:
    """When a month is over in the first time zone of the world, 14 hours ahead of UTC."""
    return _first_of(_after(month)) - timedelta(hours=14)


def _over_last(month: str) -> datetime:
    """When a month is over in all time zones, of which the last one is 12 hours behind UTC."""
    return _first_of(_after(month)) + timedelta(hours=12)


def _first_of(month: str) -> datetime:
    return datetime.strptime(month, "%Y-%m").replace(tzinfo=UTC)


def _after(month: str) -> str:
    return f"{_first_of(month) + timedelta(days=31):%Y-%m}"


def _before(month: str) -> str:
    return f"{_first_of(month) - timedelta(days=1):%Y-%m}"


def _issued(store: Store, kind: StatementKind, tenant: str, month: str) -> Statement | None:
    """The statement of a month that was issued last; None if none was."""
    try:
        return store.statements.get(kind, tenant, month)[1]
    except AbsentError:
        return None


def _span_issued(one: Statement, now: datetime) -> Month:
    """The month of an issued statement, in the time zone and with the bounds with which it was issued."""
    return Month(one.begin, now, one.end, ZoneInfo(one.timezone))


def _sla(store: Store, tenant: str, month: Month, eras: Sequence[Era]) -> _Made:
    outages, gone = _seen(store, tenant, month, eras)
    parts = store.tenants.incident_alarms(tenant, outages.by_incident())
    disclosed = {name: _disclosed(TenantIncident.of(name, alarms), alarms) for name, alarms in parts.items()}
    done = [
        Work(job.run, procedure, job.station, job.started, job.finished, job.outcome.value if job.outcome else "")
        for procedure, job in store.tenants.work(tenant, month.begin, month.end)
        if job.started is not None
    ]
    found = attained(outages, tenant, month)
    sheets = availability.sla_sheets(outages, found, tenant, month, disclosed, done)
    return _Made(tuple(availability.RULES), sheets, gone)


def _seen(store: Store, tenant: str, month: Month, eras: Sequence[Era]) -> tuple[Outages, datetime | None]:
    """What a tenant lost in a month and round it, and before when counters that may tell it were deleted.

    All statements of a month, and those of the months beside it, see a period over its border whole: where its counts
    are put depends on all of it. An outage that is late in this month may have begun before it; days are read whole.

    Raises:
        AbsentError: No network is loaded.
    """
    held = (one for era in eras for one in era.network.agreements_of(tenant))
    hours = max((one.sla.restore_hours for one in held), default=0.0)
    begin, _ = span_of_day(month.begin - timedelta(hours=hours) - _AROUND, DAY, month.zone)
    longer = month._replace(begin=begin, end=month.end + _AROUND)
    outages = store.incidents.outages(longer.begin, longer.end)
    if outages is None:
        raise AbsentError("no network is loaded yet: minka network load")
    return _with_counters(store, outages, tenant, longer, store.incidents.eras(longer.begin, longer.end))


def _with_counters(
    store: Store, outages: Outages, tenant: str, month: Month, eras: Sequence[Era]
) -> tuple[Outages, datetime | None]:
    """Outages, with what the tenant's cells counted in times that no check read, and where they say more than checks.

    Also before when counters that may tell it were deleted; None if none were.
    """
    shared = parts_of(eras, tenant)
    who, found = everything_of(shared), dict[tuple[str, str], list[CountedPeriod]]()
    wanted = _wanted(store, outages, tenant, month, shared)
    for times, stations in wanted.items():
        # Stations may have counted by other periods than the network files say now.
        for level, (begin, end) in product(_PERIODS, times):
            for one in store.measurements.read(begin - timedelta(seconds=level), end, level, stations, COUNTED, who):
                for cell, counters in one.cells.items():
                    if (period := counted_period(one, counters, shared)) is not None:
                        found.setdefault((f"{one.station}/{cell}", tenant), []).append(period)
    counted = outages.with_counters({key: finest(periods) for key, periods in found.items()})
    return counted, _gone(store, month, [times[0][0] for times in wanted])


def _wanted(
    store: Store, outages: Outages, tenant: str, month: Month, shared: Sequence[SharingSpan]
) -> dict[Times, list[str]]:
    """Times of which periods of stations can tell something, with these stations.

    Days tell in which of them a cell was off air: only their periods are read, each of which may say more. A day counts
    if the tenant was there at any time of it.
    """
    unread = outages.unread(tenant, month.begin, min(month.now, month.end))
    wanted: dict[str, list[tuple[datetime, datetime]]] = {}
    for name, times in unread.items():
        wanted.setdefault(name.partition("/")[0], []).extend(times)
    stations = {station for part in shared for station in part.cells}
    there = [day for day in days_of(month) if any(one.begin < day[1] and day[0] < one.until for one in shared)]
    for one in _measured(store, there, shared, COUNTED[:1], stations):
        day = one.begin, one.begin + timedelta(seconds=one.seconds)
        if any(off_seconds(counters) > 0 for counters in one.cells.values()):
            wanted.setdefault(one.station, []).append(day)
    found: dict[Times, list[str]] = {}
    for station, spans in wanted.items():
        if times := union(spans):
            found.setdefault(times, []).append(station)
    return found


def _gone(store: Store, month: Month, begins: Sequence[datetime]) -> datetime | None:
    """Before when counters were deleted, where that took days of the month, or periods after these begins."""
    marks = {level: store.measurements.retired(level) for level in (*_PERIODS, DAY)}
    days, periods = marks.pop(DAY), [one for one in marks.values() if one is not None]
    if days is not None and month.begin < days:
        return days
    return max((one for one in periods if any(begin < one for begin in begins)), default=None)


def _disclosed(one: TenantIncident, alarms: Sequence[ToldAlarm]) -> DisclosedIncident:
    """An incident, with all cells that the tenant shared while its alarms stood."""
    described = [alarm for alarm in alarms if alarm.stands] or alarms
    cells = {cell for alarm in described for cell in alarm.part.ever}
    return DisclosedIncident(one.id, one.root.probable_cause, one.opened, one.closed, len(cells))


def _volume(store: Store, tenant: str, month: Month, eras: Sequence[Era]) -> _Made:
    parts = parts_of(eras, tenant)
    return _Made(tuple(volume.RULES), volume_sheets(_volumes(store, month, parts), month.zone))


def _volumes(store: Store, month: Month, parts: Sequence[SharingSpan]) -> Volumes:
    """Volume for a tenant in these parts of a month."""
    counters = (*volume.COUNTERS, *volume.PLANE_COUNTERS, volume.UNREAD)
    stations = {one for part in parts for one in part.stations}
    days = days_of(month)
    there = [day for day in days if part_at(parts, day[0]) is not None]
    return volumes_of(parts, days, _measured(store, there, parts, counters, stations))


def _quality(store: Store, tenant: str, month: Month, eras: Sequence[Era]) -> _Made:
    parts = parts_of(eras, tenant)
    in_force = store.definitions.get()
    kinds = DefinitionKind.KPI, DefinitionKind.REGULATOR_KPI
    kpis = [kpi for kind in kinds for kpi in tenant_kpis(kpis_of(in_force, kind)) if Level.TENANT in kpi.levels]
    if not parts:
        return _Made(tuple(quality.RULES), ())
    counted = _counted(store, month, parts, counters_of(kpis))
    return _Made(tuple(quality.RULES), quality_sheets(kpis, counted, month.begin, month.end))


def _counted(
    store: Store, month: Month, parts: Sequence[SharingSpan], counters: Collection[str]
) -> Iterator[tuple[SharingSpan, Measured]]:
    """Sums of what stations counted while the tenant shared the same cells; a day belongs to the time it begins in."""
    for part, stations in stations_alike(parts):
        days = [day for day in days_of(month) if part.begin <= day[0] < part.until]
        for start in range(0, len(stations), _AT_ONCE) if days else ():
            some = stations[start : start + _AT_ONCE]
            for one in store.measurements.totals(days[0][0], days[-1][1], DAY, some, counters, part.who):
                yield part, one


def _capacity(store: Store, tenant: str, month: Month, eras: Sequence[Era]) -> _Made:
    eras = [one for one in eras if tenant in one.network.tenant_by_id]
    own = sorted({station for part in parts_of(eras, tenant)[-1:] for station in part.cells})
    if not own:
        return _Made(capacity.RULES, ())
    load, amounts = Load(eras[-1], tenant), store.measurements.amounts
    every = capacity.nodes_of(eras[-1].network, own) or own
    load.add_days(amounts(month.begin, month.end, DAY, every, load.wanted))
    load.add_months(amounts(month.begin - _TREND, month.begin, MONTH, every, load.wanted))
    if load.busiest_day is not None:
        day, some = span_of_day(load.busiest_day, DAY, month.zone), every[:: capacity.SAMPLE]
        busy = load.busy_hours(amounts(*day, HOUR, some, load.wanted))
        load.add_busiest(amounts(*busy, HOUR, every, load.wanted) if busy else ())
    stations = [one for one in load.congested() if one in set(own)]
    if stations:
        load.add_hours(amounts(month.begin, month.end, HOUR, stations, load.wanted_of_all))
    return _Made(capacity.RULES, load.sheets(month.zone))


def _settlement(store: Store, tenant: str, month: Month, eras: Sequence[Era]) -> _Made:
    corrected, kept = _corrections(store, tenant, month, eras)
    sheets, gone = _settled(store, tenant, month, eras, corrected)
    rules = *settlement.RULES, *(settlement.NOT_CORRECTED.format(month=one) for one in kept)
    return _Made(rules, sheets, gone)


def _corrections(store: Store, tenant: str, month: Month, eras: Sequence[Era]) -> tuple[list[Correction], list[str]]:
    """What is known since of the settlements of the months before that were issued, and no other one corrected.

    What others corrected of this month, which is then issued anew, is taken back: it states all that is known itself.

    Also the months of which that can't be said, since counters were deleted: their corrections stay as issued.
    """
    found: list[Correction] = []
    kept: list[str] = []
    # Its middle is in the month in any time zone.
    name = f"{month.begin + (month.end - month.begin) / 2:%Y-%m}"
    if others := _correctors(store, tenant, name, name):
        sheets, _ = _settled(store, tenant, month, eras)
        found += settlement.corrections(name, sheets, others, sheets)
    for before, issued in _settled_before(store, tenant, name) if eras else ():
        span = _span_issued(issued, month.now)
        then = store.incidents.eras(span.begin, span.end)
        others = _correctors(store, tenant, before, name)
        sheets, gone = _settled(store, tenant, span, then)
        corrected = settlement.corrections(before, issued.sheets, others, sheets)
        own = _issued(store, StatementKind.SETTLEMENT, tenant, name) if gone is not None else None
        if gone is not None and corrected != (stated := settlement.stated_corrections(own, before)):
            corrected = stated
            kept.append(before)
        found += corrected
    return sorted(found), kept


def _correctors(store: Store, tenant: str, month: str, own: str) -> list[Statement]:
    """The issued settlements that corrected one of a month, but for that of a month that is worked out anew.

    They may be later than that: a settlement may be issued out of order, or anew. Also that of the month itself.
    """
    found, at = [], month
    for _ in range(1 + CORRECTED_MONTHS):
        issued = None if at == own else _issued(store, StatementKind.SETTLEMENT, tenant, at)
        if issued is not None and settlement.stated_corrections(issued, month):
            found.append(issued)
        at = _after(at)
    return found


def _settled_before(store: Store, tenant: str, month: str) -> list[tuple[str, Statement]]:
    """The settlements that one of this month corrects, with their months; the newest first."""
    found = []
    for _ in range(CORRECTED_MONTHS):
        month = _before(month)
        issued = _issued(store, StatementKind.SETTLEMENT, tenant, month)
        if issued is not None:
            found.append((month, issued))
    return found


def _settled(
    store: Store, tenant: str, month: Month, eras: Sequence[Era], corrected: Sequence[Correction] = ()
) -> tuple[tuple[Sheet, ...], datetime | None]:
    """The sheets of a settlement, and before when counters on which they may rest were deleted."""
    outages, gone = _seen(store, tenant, month, eras)
    outages = outages.with_guarantees(store.ledger.guarantees(tenant, month.begin, month.end))
    agreed = outages.agreed(tenant, max(month.begin, outages.loaded), month.end)
    spans = settlement.charge_spans(agreed, attained(outages, tenant, month))
    services = {
        one.time: outages.agreed_service(one.agreement, one.begin, min(month.now, one.until), one.until)
        for one in spans
    }
    volumes = {}
    for time in {one.time: None for one in spans if one.line.per is Charge.GIGABYTE}:
        volumes[time] = _volumes(store, month, parts_under(eras, tenant, *time))
    priced = {one.agreement.id for one in spans}
    without = sorted({one.agreement.id for one in agreed} - priced)
    return settlement_sheets(spans, services, volumes, without, month, corrected), gone


def _measured(
    store: Store,
    days: Sequence[tuple[datetime, datetime]],
    parts: Sequence[SharingSpan],
    counters: Collection[str],
    stations: Collection[str],
) -> Iterator[Measured]:
    """Measurements for a tenant by day, from stations, from the first to the last of some days."""
    if not stations or not days:
        return iter(())
    return store.measurements.read(days[0][0], days[-1][1], DAY, sorted(stations), counters, everything_of(parts))


def days_of(month: Month) -> list[tuple[datetime, datetime]]:
    """Begin and end of the days of a month that are over."""
    return [day for day in month.days if day[1] <= month.now]


_KINDS: Mapping[StatementKind, Callable[[Store, str, Month, Sequence[Era]], _Made]] = {
    StatementKind.SLA: _sla,
    StatementKind.VOLUME: _volume,
    StatementKind.QUALITY: _quality,
    StatementKind.CAPACITY: _capacity,
    StatementKind.SETTLEMENT: _settlement,
}
#: How long after the month's end a statement may be issued: measurements come late, and all kinds read them.
LATE = timedelta(days=1)
