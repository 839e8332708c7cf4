"""Which jobs of a run may begin now; if not, why not and until when. Pure, except for ``reassess``."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from controller.access.votes import is_approved, rejection
from controller.intent.windows import HORIZON, never_closes, opening
from controller.models.approval import Clearance, Freeze, RunConstraints, StationConstraints
from controller.models.network import Network
from controller.models.run import Holds
from controller.models.sharing import Consent
from controller.models.waiting import WaitCode, WaitReason
from controller.ports.clock import Clock
from controller.ports.queue import Wakeups
from controller.store import ClearanceInput, Clearances, Store

#: Cached, since many groups of stations have the same windows.
_opening = lru_cache(maxsize=256)(opening)


def clearances(standing: ClearanceInput, now: datetime) -> Clearances:
    """Whether each station's job may begin at ``now``.

    Approvals and lead times bind the run as a whole while any of the work that they are about is to come; windows,
    freezes and holds bind each station. An override beats windows and freezes; nothing beats a hold. A station that
    lost its configuration with its function waits for nothing else: what takes it back on air was begun with the
    function.
    """
    general = (*_unapproved(standing), *_without_notice(standing, now))
    said = {
        begun: [
            _after(general, _closed(group, standing, now, begun=begun))
            for group in range(len(standing.constraints.groups))
        ]
        for begun in ({False, True} if standing.begun else {False})
    }
    holds, at_sites = Holds(standing.holds), any(freeze.target.startswith("site:") for freeze in standing.freezes)
    constraints = standing.constraints
    found: dict[str, Clearance] = {}
    for station, (site, group) in constraints.stations.items():
        beside = constraints.beside.get(station, ())
        hold = holds.on(station, site, beside)
        again = standing.away.get(station, now)
        owed = station in standing.owed
        found[station] = plain = Clearance() if owed else said[station in standing.begun][group]
        frozen = [*_frozen(standing, group, now, f"site:{site}", *beside)] if (at_sites or beside) and not owed else []
        if hold is not None or again > now or frozen:
            own = [*([hold.as_reason] if hold is not None else []), *frozen]
            own += [_away(again, constraints.groups[group].timezone)] if again > now else []
            found[station] = _after(own, plain)
    return found


def further_clearance(standing: ClearanceInput, station: str, now: datetime) -> Clearance:
    """Whether a step that interrupts service may begin on a station that its job has changed already.

    The same windows and freezes bind it as the job's beginning. What was agreed to and announced was so before that.
    """
    site, group = standing.constraints.stations[station]
    places = (f"site:{site}", *standing.constraints.beside.get(station, ()))
    closed = _closed(group, standing, now, begun=station in standing.begun)
    return _after(_frozen(standing, group, now, *places), closed)


def _after(reasons: Iterable[WaitReason], clearance: Clearance) -> Clearance:
    """A clearance with further reasons before its own."""
    return replace(clearance, reasons=(*reasons, *clearance.reasons))


def reassess(store: Store, clock: Clock, wakeups: Wakeups) -> None:
    """Apply new votes, holds, freezes and their ends to jobs at once, and wake workers for the runs concerned.

    The sweeper would do so only in its next round; until then, a job could begin that may not any more.
    """
    now = clock.now()
    for run_id in store.approvals.reassess(lambda standing: clearances(standing, now), {}):
        wakeups.wake_workers(run_id)


def earliest_begins(
    constraints: RunConstraints, freezes: Sequence[Freeze], now: datetime, seconds: float
) -> dict[str, datetime]:
    """When work may begin at the earliest on some station of each tenant, as that tenant may know.

    That is after its lead time, in its own windows and those of the host, and in no freeze but of another tenant. The
    windows of other tenants, and approvals, may add to it. Where there is no window, it is the end of the search.

    Args:
        constraints: What the run is accepted under.
        freezes: Those in force or to come.
        now: When tenants are notified.
        seconds: Time that the work needs.
    """
    frozen = {freeze.target for freeze in freezes}
    places: set[tuple[int, frozenset[str]]] = set()
    for station, (site, group) in constraints.stations.items():
        region = constraints.groups[group].region
        targets = {"network", f"region:{region}", f"site:{site}", *constraints.beside.get(station, ())}
        places.add((group, frozenset(frozen & targets)))
    found: dict[str, datetime] = {}
    for tenant in constraints.tenants:
        since, own = now + constraints.lead_of(tenant), frozen.intersection({f"tenant:{tenant}"})
        times = (
            _earliest(
                constraints.groups[group], tenant, [one for one in freezes if one.target in own | there], since, seconds
            )
            for group, there in places
            if tenant in constraints.groups[group].tenants
        )
        found[tenant] = min(times, default=since)
    return found


def _earliest(
    group: StationConstraints, tenant: str, freezes: Collection[Freeze], since: datetime, seconds: float
) -> datetime:
    calendars, zone, at = group.calendars_told(tenant), ZoneInfo(group.timezone), since
    targets = {freeze.target for freeze in freezes}
    while True:
        freeze = freeze_on(targets, freezes, at, interrupts=group.takes_off_air)
        if freeze is not None:
            at = freeze.ends
            continue
        found = _opening(calendars, zone, at, seconds) if calendars else None
        if calendars and found is None:
            return at + HORIZON
        if found is None or found[0] <= at:
            return at
        at = found[0]


def places_of(network: Network, device: str) -> frozenset[str]:
    """Targets of freezes that contain a device or, for a function, the stations that it serves."""
    own = {"network", f"region:{network.region_of(device)}", f"site:{network.site_of(device)}"}
    return frozenset(own.union(network.bound_by(device)))


def freeze_on(targets: Collection[str], freezes: Iterable[Freeze], now: datetime, *, interrupts: bool) -> Freeze | None:
    """The longest freeze in force on one of these targets; a public warning binds only work that interrupts."""
    found = [
        freeze
        for freeze in freezes
        if freeze.target in targets and freeze.begins <= now < freeze.ends and (interrupts or not freeze.warning)
    ]
    return max(found, key=lambda freeze: freeze.ends, default=None)


def unmet(standing: ClearanceInput) -> list[WaitReason]:
    """Missing approvals; one that several agreements of a side ask for stands there once."""
    voted = (standing.votes, standing.requester)
    asked = (one.as_reason for one in standing.requirements if not is_approved(one, *voted))
    return list(dict.fromkeys(asked))


def _unapproved(standing: ClearanceInput) -> Iterator[WaitReason]:
    if no := rejection(standing.votes):
        yield WaitReason(code=WaitCode.REJECTION, subject=no.person, because=no.reason)
    yield from unmet(standing)


def _without_notice(standing: ClearanceInput, now: datetime) -> Iterator[WaitReason]:
    """Tenants whose notice was not early enough yet."""
    for requirement in standing.requirements:
        if requirement.consent is Consent.NOTICE:
            # Nobody knows when a notice will be sent: a whole minute keeps the record from changing at each look.
            sent = standing.notified.get(requirement.side, now.replace(second=0, microsecond=0))
            begins = sent + timedelta(hours=requirement.lead_hours)
            # Without a lead time, a wrong clock must not make it wait.
            if requirement.lead_hours and now < begins:
                yield WaitReason(
                    code=WaitCode.NOTICE, subject=requirement.side, hours=requirement.lead_hours, until=begins
                )


def _frozen(standing: ClearanceInput, group: int, now: datetime, *targets: str) -> Iterator[WaitReason]:
    """The longest freeze on these targets that binds stations of a group."""
    constraints = standing.constraints.groups[group]
    freeze = freeze_on(targets, standing.freezes, now, interrupts=constraints.takes_off_air)
    if freeze is not None and standing.override is None:
        yield freeze.as_reason(constraints.timezone)


def _closed(group: int, standing: ClearanceInput, now: datetime, *, begun: bool) -> Clearance:
    """Freeze and window of stations; for an open window, when it closes.

    To begin, there must be time for a whole confirm time-out. Stations that have begun (``ClearanceInput.begun``) go on
    until the window closes.
    """
    if standing.override is not None:
        return Clearance()
    constraints = standing.constraints.groups[group]
    tenants = (f"tenant:{tenant}" for tenant in constraints.tenants)
    frozen = tuple(_frozen(standing, group, now, "network", f"region:{constraints.region}", *tenants))
    if not constraints.calendars:
        return Clearance(frozen)
    needed = 0.0 if begun else standing.seconds
    found = _opening(constraints.calendars, ZoneInfo(constraints.timezone), now, needed)
    if found is not None and found[0] <= now:
        return Clearance(frozen, closes=None if never_closes(found, now) else found[1])
    opens = found and found[0]
    shut = WaitReason(
        code=WaitCode.WINDOW, until=opens, timezone=constraints.timezone, seconds=0.0 if opens else needed
    )
    return Clearance((*frozen, shut), closes=now if begun else None)


def _away(again: datetime, timezone: str) -> WaitReason:
    return WaitReason(code=WaitCode.AWAY, until=again, timezone=timezone)
