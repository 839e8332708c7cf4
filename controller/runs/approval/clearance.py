"""Which jobs of a run may begin now; if not, why not and until when. Pure, except for ``reassess``."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from controller.intent.windows import HORIZON, never_closes, opening
from controller.models.approval import Clearance, Freeze, Requirement, RunConstraints, StationConstraints
from controller.models.network import Network
from controller.models.run import Hold, Holds
from controller.models.sharing import Consent
from controller.ports.clock import Clock
from controller.ports.queue import Wakeups
from controller.ports.store import ClearanceInput, Clearances, Store
from controller.runs.approval.consent import is_approved, rejection

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
            _joined((*general, *_closed(group, standing, now, begun=begun)))
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
            own = [*([Clearance(hold.words, until=hold.until)] if hold is not None else []), *frozen]
            own += [_away(again, ZoneInfo(constraints.groups[group].timezone))] if again > now else []
            found[station] = _joined((*own, plain))
    return found


def further_clearance(standing: ClearanceInput, station: str, now: datetime) -> Clearance:
    """Whether a step that interrupts service may begin on a station that its job has changed already.

    The same windows and freezes bind it as the job's beginning. What was agreed to and announced was so before that.
    """
    site, group = standing.constraints.stations[station]
    places = (f"site:{site}", *standing.constraints.beside.get(station, ()))
    closed = _closed(group, standing, now, begun=station in standing.begun)
    return _joined((*_frozen(standing, group, now, *places), *closed))


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
        freeze = freeze_on(targets, freezes, at, interrupts=group.interrupts)
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


def hold_on(network: Network, device: str, holds: Iterable[Hold]) -> Hold | None:
    """The hold that binds a device: its own, a cell's, its site's, or one where it serves."""
    return Holds(holds).on(device, network.site_of(device), network.bound_by(device))


def freeze_on(targets: Collection[str], freezes: Iterable[Freeze], now: datetime, *, interrupts: bool) -> Freeze | None:
    """The longest freeze in force on one of these targets; a public warning binds only work that interrupts."""
    found = [
        freeze
        for freeze in freezes
        if freeze.target in targets and freeze.begins <= now < freeze.ends and (interrupts or not freeze.warning)
    ]
    return max(found, key=lambda freeze: freeze.ends, default=None)


def missing(requirement: Requirement) -> str:
    """The needed approvals of a requirement, in words."""
    who = "host" if requirement.action is None else requirement.side
    named = f" ({', '.join(requirement.approvers)})" if requirement.approvers else ""
    what = f" to {requirement.action}" if requirement.action else ""
    if requirement.stands_for:
        what += f" {requirement.stands_for}, which gave no standing consent"
    signed = ", signed in at the identity provider" if requirement.sign_in else ""
    return f"waits for approval by {requirement.needed} of {who}{named}{signed}{what}"


def unmet(standing: ClearanceInput) -> list[str]:
    """Missing approvals, in words; one that several agreements of a side ask for stands there once."""
    voted = (standing.votes, standing.requester)
    asked = (missing(one) for one in standing.requirements if not is_approved(one, *voted))
    return list(dict.fromkeys(asked))


def unanswered(asked: Iterable[Requirement]) -> list[str]:
    """Approvals that fewer users may give now than are needed, in words."""
    words = (f"{missing(one)}, and fewer users of {one.side} than that may give it now" for one in asked)
    return sorted(set(words))


#: Prefixes of reasons in clearances, with the kind of wait, and who can end it and how.
_WAYS_OUT = (
    ("waits for approval", "approval", "its approvers: minka approve"),
    ("public warning", "freeze", "whoever may lift or override it: minka freeze lift, minka override"),
    ("freeze of", "freeze", "whoever may lift or override it: minka freeze lift, minka override"),
    ("window opens", "window", "whoever may override windows: minka override"),
    ("no window", "window", "whoever may override windows: minka override"),
    ("shelved by", "shelving", "whoever may shelve it: minka alarms unshelve"),
    ("announced work", "work", "its tenant: minka works cancel"),
    ("hold on", "hold", "whoever may lift it: minka hold lift"),
    ("a yes to ", "approval", "whoever may run playbooks: minka remediation approve, minka remediation deny"),
    ("automatic repair is stopped", "stop", "whoever may stop it: minka remediation resume"),
)
#: All kinds of wait; the last one is for all that ends by itself, such as another run or the time of a notice.
WAITS_FOR = (*dict.fromkeys(kind for _, kind, _ in _WAYS_OUT), "question", "pause", "worker", "other")


def who_can_end(blocked: str) -> str:
    """Who can end a wait, by the words of the clearance; empty if it ends by itself."""
    reasons = blocked.split("; ")
    ways = (way for words, _, way in _WAYS_OUT if any(reason.startswith(words) for reason in reasons))
    return "; ".join(dict.fromkeys(ways))


def waits_for(blocked: str) -> frozenset[str]:
    """Kinds of wait in the words of a clearance: some of ``WAITS_FOR``."""
    reasons = blocked.split("; ")
    kinds = (next((kind for words, kind, _ in _WAYS_OUT if one.startswith(words)), "other") for one in reasons)
    return frozenset(kinds)


def _unapproved(standing: ClearanceInput) -> Iterator[Clearance]:
    if no := rejection(standing.votes):
        yield Clearance(f"rejected by {no.person}: {no.reason}")
    yield from map(Clearance, unmet(standing))


def _without_notice(standing: ClearanceInput, now: datetime) -> Iterator[Clearance]:
    """Tenants whose notice was not early enough yet."""
    for requirement in standing.requirements:
        if requirement.consent is Consent.NOTICE:
            begins = standing.notified.get(requirement.side, now) + timedelta(hours=requirement.lead_hours)
            # Without a lead time, a wrong clock must not make it wait.
            if requirement.lead_hours and now < begins:
                words = f"{requirement.lead_hours} h notice to {requirement.side} until {begins:%Y-%m-%d %H:%M} UTC"
                yield Clearance(words, until=begins)


def _frozen(standing: ClearanceInput, group: int, now: datetime, *targets: str) -> Iterator[Clearance]:
    """The longest freeze on these targets that binds stations of a group."""
    constraints = standing.constraints.groups[group]
    freeze = freeze_on(targets, standing.freezes, now, interrupts=constraints.interrupts)
    if freeze is not None and standing.override is None:
        words = f"{freeze.name} until {_local(freeze.ends, ZoneInfo(constraints.timezone))}: {freeze.reason}"
        yield Clearance(words, until=freeze.ends)


def _closed(group: int, standing: ClearanceInput, now: datetime, *, begun: bool) -> Iterator[Clearance]:
    """Freeze and window of stations; for an open window, when it closes.

    To begin, there must be time for a whole confirm time-out. Stations that have begun (``ClearanceInput.begun``) go on
    until the window closes.
    """
    if standing.override is not None:
        return
    constraints = standing.constraints.groups[group]
    zone = ZoneInfo(constraints.timezone)
    tenants = (f"tenant:{tenant}" for tenant in constraints.tenants)
    yield from _frozen(standing, group, now, "network", f"region:{constraints.region}", *tenants)
    if not constraints.calendars:
        return
    needed = 0.0 if begun else standing.seconds
    found = _opening(constraints.calendars, zone, now, needed)
    over = now if begun else None
    if found is None:
        yield Clearance(f"no window of all concerned is longer than {needed:g} s within two weeks", closes=over)
    elif found[0] > now:
        yield Clearance(f"window opens {_local(found[0], zone)}", until=found[0], closes=over)
    elif not never_closes(found, now):
        yield Clearance(closes=found[1])


def _away(again: datetime, zone: ZoneInfo) -> Clearance:
    return Clearance(f"could not be reached or was busy, tried again {_local(again, zone)}", until=again)


def _joined(found: Sequence[Clearance]) -> Clearance:
    """All reasons together; the wait ends by itself if each reason does."""
    blocking = [one for one in found if one.blocked]
    ends = [one.until for one in blocking if one.until is not None]
    return Clearance(
        blocked="; ".join(one.blocked for one in blocking),
        until=max(ends) if ends and len(ends) == len(blocking) else None,
        closes=next((one.closes for one in found if one.closes), None),
    )


def _local(at: datetime, zone: ZoneInfo) -> str:
    return f"{at.astimezone(zone):%Y-%m-%d %H:%M} ({zone.key})"
