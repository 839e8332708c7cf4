"""Makes one plan of views of many stations, or refuses with a hint how to allow it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType
from typing import assert_never

from controller.models.errors import PlanRefusedError
from controller.models.facts import BroadcastFact, Finding, Intent, Severity
from controller.models.many import first_names, lines_of
from controller.models.network import HOST, NAMED_KINDS, PROFILE_RATS, DeviceKind, Network
from controller.models.plan import Change, Orphans, Plan
from controller.nrm.profiles import Rendered, broadcast_plmn, render, render_cloud, render_routing, root_spec
from controller.plan.document import Draft, Outline
from controller.plan.inputs import PlanOptions, StationView, at_what_cells_name, with_given, with_reservations
from controller.plan.routers import check_routers, link_owners
from controller.plan.rows import devices, nodes
from controller.plan.station import StationPlan, plan_station

#: Left-out devices that a refusal names at most.
_NAMED = 3


class Planning:
    """Plans stations one by one; a station's view is not needed after it was added.

    Args:
        network: The network as it should be.
        intent: Facts and findings that ``compile_intent`` made from it.
        options: What was asked for and is allowed.
    """

    def __init__(self, network: Network, intent: Intent, options: PlanOptions) -> None:
        self._network, self._intent, self._options = network, intent, options
        self._draft = Draft()
        self._stations: set[str] = set()
        #: Numbers of nodes that nothing asks for any more, by owner, by station; and what the station's change would be
        #: if their removal was named, None if there would be no change.
        self._orphans: dict[str, Mapping[str, int]] = {}
        self._cleared: dict[str, Outline | None] = {}
        self._withheld: list[str] = []
        self._broken: dict[str, list[Finding]] = defaultdict(list)
        for finding in intent.findings:
            if finding.severity is Severity.ERROR:
                self._broken[finding.station].append(finding)

    def add(self, station: str, view: StationView) -> None:
        """Plan a station from its view. Stations may come in any order and from any thread."""
        self._stations.add(station)
        made = self.made(station, view)
        if made.orphans:
            self._orphans[station] = made.orphans
            named = {**self._options.remove, **dict.fromkeys(made.orphans, 1)}
            cleared = self._made(station, view, replace(self._options, remove=named)).change
            self._cleared[station] = None if cleared is None else Outline.of(cleared)
        self._draft.add(station, made)

    def made(self, station: str, view: StationView) -> StationPlan:
        """The plan of one station, without adding it."""
        return self._made(station, view, self._options)

    def _made(self, station: str, view: StationView, options: PlanOptions) -> StationPlan:
        network, broken = self._network, self._broken.get(station, ())
        if not network.manages(station):
            message = f"station {station} is not in the network files (any more); nothing on it was changed"
            finding = Finding("station-not-in-network", Severity.WARNING, message, station)
            return StationPlan(reason="not in the network files", findings=(finding,))
        if broken:
            more = f" (and {len(broken) - 1} more)" if len(broken) > 1 else ""
            return StationPlan(reason=f"contract error {broken[0].code}: {broken[0].message}{more}")
        rendered = wanted_by(self._intent, network, station)
        profiles = network.profiles_of(station)
        root = root_spec(profiles)
        wanted = with_given(root, rendered, view.observed)
        wanted = with_reservations(root, wanted, view, reserve=options.reserved)
        wanted = at_what_cells_name(root, wanted, view.observed.tree if view.observed else {}, view.ledger)
        result = plan_station(station, profiles, wanted, view, options)
        return replace(result, findings=(*wanted.findings, *result.findings))

    def comes_anew(self, station: str, view: StationView) -> bool:
        """Whether a PLMN that can be reserved for operator use is new on the station."""
        profiles = self._network.profiles_of(station) if view.adopted and self._network.has_cells(station) else ()
        steps = {PROFILE_RATS[profile]: root_spec((profile,)).reservable for profile in profiles}
        ours = {broadcast_plmn(path) for path in view.ledger if any(one in path for of in steps.values() for one in of)}
        facts = self._intent.facts.get(station, ())
        return any(isinstance(one, BroadcastFact) and steps.get(one.rat) and one.plmn not in ours for one in facts)

    def change_of(self, station: str) -> Change | None:
        """The change of a station so far; None if there is none."""
        return self._draft.change_of(station)

    def leave_out(self, station: str, reason: str) -> None:
        """Leave out a station that was added."""
        self._cleared.pop(station, None)
        self._draft.withhold(station, reason)

    def add_back(self, change: Change) -> None:
        """Add a station that comes back with its function; what the network files say there is for a later plan."""
        self._draft.add(change.station, StationPlan(change))

    def follow(self, station: str, function: str) -> None:
        """Leave a station out with the function that it lives in; it is planned when the function is there."""
        if reason := self._draft.unplanned.get(function):
            self._draft.add(station, StationPlan(reason=f"{function}: {reason}"))

    @property
    def behind(self) -> frozenset[str]:
        """Stations at routers where a tenant loses part of its VRF; only stations whose own part is not in the plan.

        Nodes that nothing asks for any more count as lost too, since it is told how they could be removed.
        """
        return frozenset(self._behind(self._draft.outlines) | self._behind(self._with_removals()))

    def withhold(self, linked: Mapping[str, frozenset[str]]) -> None:
        """Leave out routers whose plan would remove VRFs that core links still need.

        Args:
            linked: Tenants that have core links of ours on the stations ``behind``.
        """
        for router, _ in list(self._cuts(self._with_removals(), linked)):
            self._cleared[router] = None
        for router, reason in list(self._cuts(self._draft.outlines, linked)):
            self._draft.withhold(router, reason)
            self._withheld.append(f"router {router} is left out: {reason}")

    def _cuts(self, outlines: Collection[Outline], linked: Mapping[str, frozenset[str]]) -> Iterator[tuple[str, str]]:
        """Routers whose changes would cut core links of stations that are not in the plan, and these in words."""
        behind = self._behind(outlines)
        for router, tenants in self._losing(outlines).items():
            for station in (one for one in self._stations_of(router) if one in behind):
                if cut := sorted(tenants & linked.get(station, frozenset())):
                    why = self._draft.unplanned.get(station, "it is not part of this plan")
                    yield (
                        router,
                        f"core links of {', '.join(cut)} on {station} need what would be removed, and stay: {why}",
                    )
                    break

    def _behind(self, outlines: Collection[Outline]) -> set[str]:
        planned = (self._stations - self._draft.unplanned.keys()) | {change.station for change in outlines}
        return {station for router in self._losing(outlines) for station in self._stations_of(router)} - planned

    def _losing(self, outlines: Iterable[Outline]) -> dict[str, frozenset[str]]:
        """Tenants that lose part of their VRF, by router."""
        ways = (one for one in outlines if one.removes and self._network.kind_of(one.station).rules.carries_links)
        return {change.station: frozenset(change.removes) - {HOST} for change in ways}

    def _with_removals(self) -> tuple[Outline, ...]:
        """All changes, as they would be if the removal of all that nothing asks for any more was named."""
        changes = {change.station: change for change in self._draft.outlines} | self._cleared
        return tuple(change for _, change in sorted(changes.items()) if change is not None)

    def _stations_of(self, router: str) -> tuple[str, ...]:
        return self._network.stations_at.get(self._network.site_of(router), ())

    def plan(self, network_digest: str, created: datetime) -> Plan:
        """The plan of all added stations; raises the errors of ``make_plan``."""
        remove = self._options.remove
        check_changes(self._network, self._draft.outlines, self._options, self._withheld, self._draft.unplanned)
        return self._draft.seal(
            self._network,
            network_digest,
            self._options.selector,
            created,
            removals={owner: count for owner, count in remove.items() if count},
            findings=tuple(
                finding for finding in self._intent.findings if not finding.station or finding.station in self._stations
            ),
            orphans=self._left() if self._orphans else None,
            elsewhere=self._intent.elsewhere,
        )

    def _left(self) -> Orphans:
        """All that nothing asks for any more and that stays, and what a request has to name to remove it."""
        changes, planned = self._with_removals(), {change.station: change for change in self._draft.outlines}
        removed = Counter(self._options.remove)
        afterwards = False
        try:
            check_routers(changes, self._network)
        except PlanRefusedError:  # what is new at a router comes first, by this plan
            afterwards, removed = True, Counter()
            changes = tuple(
                left for change in changes if (left := _without(change, planned.get(change.station))).removes
            )
        orphaned = sum((Counter(found) for found in self._orphans.values()), Counter[str]())
        remove = sum((Counter(change.removes) for change in changes), Counter[str]())
        must_expect = len(changes) > 1 and len(changes) > self._options.max_share * len(self._network.device_kinds)
        return Orphans(
            nodes=dict(sorted(orphaned.items())),
            devices=len(self._orphans),
            remove=dict(sorted(remove.items())) if remove - removed else {},
            expect_stations=len(changes) if must_expect else None,
            identities=self._options.identities,
            afterwards=afterwards,
        )


def make_plan(
    network: Network,
    network_digest: str,
    intent: Intent,
    views: Mapping[str, StationView],
    options: PlanOptions,
    created: datetime,
) -> Plan:
    """Plan the stations of ``views``.

    Args:
        network: The network as it should be.
        network_digest: Its digest, see ``controller.models.network.network_digest``.
        intent: Facts and findings that ``compile_intent`` made from it.
        views: What is known of each selected station.
        options: What was asked for and is allowed.
        created: When the plan is made; not part of its content.

    Raises:
        PlanRefusedError: It would remove other nodes than were named, or touch more stations than a plan may;
            the message names tenant and counts and says what allows it.
    """
    planning = Planning(network, intent, options)
    for station, view in views.items():
        planning.add(station, view)
    known = planning.behind & views.keys()
    planning.withhold({station: link_owners(views[station].ledger) for station in known})
    return planning.plan(network_digest, created)


def check_changes(
    network: Network,
    changes: Sequence[Outline],
    options: PlanOptions,
    withheld: Sequence[str] = (),
    left_out: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Check that a plan removes and touches only what was named, and that its stations and routers have one order.

    Raises:
        PlanRefusedError: It does not; it has all that is wrong, so that nobody learns it bit by bit.
    """
    checks: tuple[Callable[[], None], ...] = (
        lambda: check_removals(changes, options.remove, withheld),
        lambda: check_routers(changes, network),
        lambda: check_share(network, [change.station for change in changes], options, left_out),
    )
    refusals = []
    for check in checks:
        try:
            check()
        except PlanRefusedError as error:
            refusals.append(error)
    if refusals:
        remove = {owner: count for one in refusals for owner, count in one.remove.items()}
        expect = next((one.expect_stations for one in refusals if one.expect_stations is not None), None)
        raise PlanRefusedError("; ".join(one.message for one in refusals), remove=remove, expect_stations=expect)


def check_removals(changes: Iterable[Outline], named: Mapping[str, int], withheld: Sequence[str] = ()) -> None:
    """Check that exactly the named nodes are removed, by owner.

    Args:
        changes: What the plan does.
        named: Number of nodes by owner.
        withheld: What may be the reason of a wrong number, in words.

    Raises:
        PlanRefusedError: Others are, or another number of them; it says which, of every owner.
    """
    removed: Counter[str] = Counter()
    stations: Counter[str] = Counter()
    for change in changes:
        removed.update(change.removes)
        stations.update(change.removes.keys())
    wrong, allowed = [], {}
    for owner in sorted({*removed, *named}):
        said, count = named.get(owner, 0), removed[owner]
        if said != count and count:
            allowed[owner] = count
            wrong.append(
                f"the plan would remove {nodes(count)} of {owner} on {devices(stations[owner])}, "
                f"but {max(said, 0)} were named: to allow it, name {owner}={count}"
            )
        elif said != count:
            wrong.append(
                f"the plan removes no nodes of {owner}: the network files still ask for them, or there are none; "
                f"else leave {owner} out"
            )
    if wrong:
        reasons = (*wrong, *([first_names(withheld, between="; ")] if withheld else []))
        raise PlanRefusedError("; ".join(reasons), remove=allowed)


def check_share(
    network: Network,
    touched: Collection[str],
    options: PlanOptions,
    left_out: Mapping[str, str] = MappingProxyType({}),
    noun: str = "plan",
) -> None:
    """Check how many devices a plan, or a run of a playbook, touches.

    Beyond the share of the network, the number must be named; one device is always allowed. Devices that are left out,
    with the reason, may be why it touches fewer than were expected.

    Args:
        network: The network.
        touched: Ids of the devices that may be changed.
        options: The share that needs no number, and the number that was named.
        left_out: Devices that are left out, with the reason.
        noun: ``plan`` or ``run``, for the message.

    Raises:
        PlanRefusedError: The number was not named, or another one was.
    """
    count, total, expected = len(touched), len(network.device_kinds), options.expect_stations
    if expected is not None:
        if count != expected:
            reasons = first_names(lines_of(sorted(left_out.items())), between="; ")
            less = f" (left out: {reasons})" if reasons and count < expected else ""
            raise PlanRefusedError(
                f"the {noun} touches {devices(count)}{_others(network, touched)}, but {expected} were expected{less}: "
                f"find out why, or expect {devices(count)}",
                expect_stations=count,
            )
    elif count > 1 and count > options.max_share * total:
        raise PlanRefusedError(
            f"the {noun} touches {count} of {devices(total)}{_others(network, touched)}, more than "
            f"{options.max_share:.0%} of the network: to allow it, expect {devices(count)}",
            expect_stations=count,
        )


def _others(network: Network, touched: Iterable[str]) -> str:
    """How many of the devices are not stations, in words."""
    kinds = Counter(map(network.kind_of, touched))
    found = [f"{kinds[kind]} of them {kind}s" for kind in NAMED_KINDS if kinds[kind]]
    return f" ({', '.join(found)})" if found else ""


def _without(change: Outline, planned: Outline | None) -> Outline:
    """A change after another one of the same station, which removes part of the same."""
    return change if planned is None else replace(change, removes=Counter(change.removes) - Counter(planned.removes))


def wanted_by(intent: Intent, network: Network, device: str) -> Rendered:
    """The desired tree of a device.

    A station without facts should carry nothing: what is ours there is orphaned.
    """
    profiles = network.profiles_of(device)
    nothing, kind = Rendered({}, {}, ()), network.device_kinds[device]
    match kind:
        case DeviceKind.STATION:
            facts = intent.facts.get(device, ())
            return render(profiles, facts) if facts else nothing
        case DeviceKind.ROUTER:
            routing = intent.routers.get(device)
            return nothing if routing is None else render_routing(profiles, routing)
        case DeviceKind.FUNCTION | DeviceKind.POOL:
            fact = intent.functions.get(device) or intent.pools.get(device)
            return nothing if fact is None else render_cloud(fact)
        case _:
            assert_never(kind)
