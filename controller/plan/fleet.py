"""The whole network: views of many stations → one Plan, or a refusal that says how to allow it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from controller.models.errors import PlanRefusedError
from controller.models.facts import Finding, Intent, Severity
from controller.models.network import Network
from controller.models.plan import Change, Plan
from controller.plan.document import seal
from controller.plan.routers import check_routers
from controller.plan.station import StationPlan, plan_station
from controller.plan.views import PlanOptions, StationView
from controller.plan.wanted import wanted_by


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
        network_digest: Its digest, see ``controller.plan.network_digest``.
        intent: Facts and findings that ``compile_intent`` made from it.
        views: What is known of each selected station.
        options: What was asked for and is allowed.
        created: When the plan is made; not part of its content.

    Raises:
        PlanRefusedError: It would remove other nodes than were named, or touch more stations than a plan may;
            the message names tenant and counts and says what allows it.
    """
    broken: dict[str, list[Finding]] = defaultdict(list)
    for finding in intent.findings:
        if finding.station and finding.severity is Severity.ERROR:
            broken[finding.station].append(finding)
    changes: list[Change] = []
    unchanged: list[str] = []
    unplanned: dict[str, str] = {}
    findings = [finding for finding in intent.findings if not finding.station or finding.station in views]
    for station in sorted(views):
        result = _plan_one(network, intent, station, views[station], options, broken.get(station, []))
        findings.extend(result.findings)
        if result.change:
            seen = views[station].observed
            weak = seen is not None and not seen.reverts
            changes.append(result.change.model_copy(update={"reverts": False}) if weak else result.change)
        elif result.reason:
            unplanned[station] = result.reason
        else:
            unchanged.append(station)
    check_removals(changes, options.remove)
    check_routers(changes, network)
    check_share(network, changes, options)
    return seal(
        created=created,
        network=network.header.id,
        network_digest=network_digest,
        selector=options.selector,
        changes=changes,
        unchanged=unchanged,
        unplanned=unplanned,
        findings=findings,
        removals={owner: count for owner, count in options.remove.items() if count},
    )


def _plan_one(
    network: Network, intent: Intent, station: str, view: StationView, options: PlanOptions, broken: list[Finding]
) -> StationPlan:
    if not network.manages(station):
        message = f"station {station} is not in the network files (any more); nothing on it was changed"
        finding = Finding("station-not-in-network", Severity.WARNING, message, station)
        return StationPlan(reason="not in the network files", findings=(finding,))
    if broken:
        more = f" (and {len(broken) - 1} more)" if len(broken) > 1 else ""
        return StationPlan(reason=f"contract error {broken[0].code}: {broken[0].message}{more}")
    rendered = wanted_by(intent, network, station)
    result = plan_station(station, network.profiles_of(station), rendered, view, options)
    return StationPlan(result.change, result.reason, (*rendered.findings, *result.findings))


def check_removals(changes: Iterable[Change], named: Mapping[str, int]) -> None:
    """See that just the nodes are removed that were named, by owner.

    Raises:
        PlanRefusedError: Others are, or another number of them; the message says which.
    """
    removed: Counter[str] = Counter()
    stations: Counter[str] = Counter()
    for change in changes:
        removed.update(change.removes)
        stations.update(change.removes.keys())
    for owner in sorted({*removed, *named}):
        said, count = named.get(owner, 0), removed[owner]
        if said != count:
            allow = f"to allow it, name {owner}={count}" if count else f"leave {owner} out"
            raise PlanRefusedError(
                f"the plan would remove {count} nodes of {owner} on {stations[owner]} stations, "
                f"but {max(said, 0)} were named: {allow}"
            )


def check_share(network: Network, changes: Sequence[Change], options: PlanOptions) -> None:
    """A plan for one station is never too big; a bigger one needs its number named beyond the share.

    Raises:
        PlanRefusedError: The number was not named, or another one was.
    """
    count, total, expected = len(changes), len(network.stations) + len(network.router_by_id), options.expect_stations
    if expected is not None:
        if count != expected:
            raise PlanRefusedError(
                f"the plan touches {count} stations, but {expected} were expected: look at why, "
                f"or expect {count} stations"
            )
    elif count > 1 and count > options.max_share * total:
        raise PlanRefusedError(
            f"the plan touches {count} of {total} stations, more than {options.max_share:.0%} of the network: "
            f"to allow it, expect {count} stations"
        )
