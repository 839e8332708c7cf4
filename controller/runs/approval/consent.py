"""Who must approve: worked out from what a run does to whom, and from consents in agreements. Pure."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

import orjson

from controller.intent.windows import Calendar
from controller.models.approval import (
    Contract,
    PartyWindows,
    Requirement,
    RunConstraints,
    StationConstraints,
    Withdrawal,
)
from controller.models.errors import InputError, NotFoundError
from controller.models.network import Cell, Network
from controller.models.outage import FOR_GOOD, NO_OUTAGE, UNKNOWN_OUTAGE, OffAir, Outage
from controller.models.people import Person
from controller.models.plan import Change, Edit, LedgerNode, Op, PhaseKind, Plan
from controller.models.scalars import HOST
from controller.models.sharing import DEFAULT_CONSENTS, ActionClass, Agreement, Consent
from controller.nrm.profiles import administrative_leaf, administrative_state, cell_of, is_link, share_parts
from controller.nrm.tree import is_below
from controller.plan.reduction import lowered


@dataclass(frozen=True, slots=True)
class CellsOff:
    """Cells of a station that go off the air, each with a tenant whose own it is.

    Attributes:
        off: Tenants, each with a cell of its own that goes off the air.
        own: The same tenants, each with a cell of its own at the station.
        open: Whether it is known only later which of ``off`` go.
    """

    off: frozenset[tuple[str, str]] = frozenset()
    own: frozenset[tuple[str, str]] = frozenset()
    open: bool = False

    def __or__(self, other: CellsOff) -> CellsOff:
        """Both."""
        return CellsOff(self.off | other.off, self.own | other.own, self.open or other.open)

    def without(self, cells: Collection[str]) -> CellsOff:
        """The same, of which some cells do not go off the air."""
        return replace(self, off=frozenset(one for one in self.off if one[1] not in cells))


NONE_OFF = CellsOff()


@dataclass(frozen=True, slots=True)
class Effect:
    """What happens to tenants on one station.

    Attributes:
        tenants: Whose nodes are edited or whose service is interrupted.
        interrupted: Whose service is interrupted; their windows bind.
        asks: Tenant and class of action that its consent is needed for.
        cells: Cells that this is about; empty for all of the station.
        places: Tenant, class and cell for asks that are about other cells than ``cells``; an empty cell is the station.
        spared: Cells that go off the air and tenants that they do not serve anyhow: nobody is interrupted there.
        outage: How long those in ``interrupted`` are without service, apart from what is withdrawn.
        withdrawn: Tenants that lose service for good, each with the cell of the station.
        restarts: Whether the device or a unit of it restarts, whoever is served there.
        off: Own cells of tenants that go off the air, as far as they are worked out: a plan says it by its lines.
    """

    station: str
    tenants: frozenset[str] = frozenset()
    interrupted: frozenset[str] = frozenset()
    asks: frozenset[tuple[str, ActionClass]] = frozenset()
    cells: frozenset[str] = frozenset()
    spared: frozenset[tuple[str, str]] = frozenset()
    outage: Outage = NO_OUTAGE
    withdrawn: frozenset[tuple[str, str]] = frozenset()
    places: frozenset[tuple[str, ActionClass, str]] = frozenset()
    off: CellsOff = NONE_OFF
    restarts: bool = False

    def cells_of(self, tenant: str, action: ActionClass) -> frozenset[str]:
        """Cells that a tenant is asked about; empty for all of the station."""
        found = {cell for who, asked, cell in self.places if (who, asked) == (tenant, action)}
        return frozenset(() if "" in found else found or self.cells)

    def cells_off(self, tenant: str) -> frozenset[str]:
        """Cells in which a tenant is without service; empty for all of the station."""
        taken = [self.cells_of(who, action) for who, action in self.asks if who == tenant and action in _TAKING]
        if not taken:
            return self.cells
        return frozenset().union(*taken) if all(taken) else frozenset()


#: Classes of action that may take service away.
_TAKING = (ActionClass.INTERRUPT, ActionClass.REDUCE, ActionClass.RESTORE)


def effect_of(change: Change, *, restores: bool = False) -> Effect:
    """The effect of a change on tenants.

    A tenant's own nodes need nobody's consent but the host's, who asks for the change, unless service is taken away
    (``reduce``). A node of several owners needs theirs (``configure``), and so does whoever is off the air while a cell
    that all share is locked (``interrupt``).

    Args:
        change: The change.
        restores: Whether it only brings back what was applied, as a change does that leaves the ledger as it is: then
            class ``restore`` stands for the latter two, and a share that gets smaller again takes nothing away.
    """
    if change.comes_back:
        return effect_on(change.station, change.touched, ActionClass.RESTORE)
    edits = _edits(change)
    locked = _locked(change)
    interrupted = _interrupted(change, edits)
    off = {tenant for tenant in interrupted if locked or tenant in change.interrupted}
    places = {(tenant, ActionClass.INTERRUPT, cell) for tenant in off for cell in locked or {""}}
    if change.only_unlocks:
        places = {(tenant, ActionClass.RESTORE, cell) for tenant in interrupted for cell in locked or {""}}
        interrupted = set()
    places |= {
        (owner, ActionClass.CONFIGURE, cell_of(edit.path))
        for edit in edits
        if len(edit.owners) > 1
        for owner in edit.owners
    }
    restores = restores or _brings_back(change, edits)
    if restores:
        places = {(tenant, ActionClass.RESTORE, cell) for tenant, _, cell in places}
    places |= {(tenant, ActionClass.RESTORE, cell) for tenant, cells in change.freed.items() for cell in cells}
    places |= {(tenant, ActionClass.REDUCE, cell) for tenant, cell in _taken(change, edits)}
    places |= {(tenant, ActionClass.REDUCE, cell) for tenant, cell in (() if restores else _lowered(change, edits))}
    places = {(tenant, action, cell) for tenant, action, cell in places if tenant != HOST}
    asks = frozenset((tenant, action) for tenant, action, _ in places)
    return Effect(
        station=change.station,
        tenants=frozenset({*change.touched, *interrupted, *change.withdrawn, *(tenant for tenant, _ in asks)}),
        interrupted=frozenset({*interrupted, *change.withdrawn}),
        asks=asks,
        cells=frozenset(locked),
        outage=change.outage if interrupted else NO_OUTAGE,
        withdrawn=frozenset((tenant, cell) for tenant, found in change.withdrawn.items() for cell in found),
        places=frozenset(places),
        restarts=change.restarts,
    )


def _edits(change: Change) -> list[Edit]:
    return [edit for phase in change.phases if phase.kind is PhaseKind.EDIT for edit in phase.edits]


def _interrupted(change: Change, edits: Sequence[Edit]) -> set[str]:
    """Whose service a change interrupts, also by edits of its own nodes.

    Where cells are locked, ``interrupted`` has all that are on them; of the others, only those are interrupted that
    have something edited there, or a core link.
    """
    present = set(change.touched) & _present(change, edits) if change.outage.interrupts else set[str]()
    locked = _locked(change)
    if locked and not change.restarts:
        on_air = {owner for edit in edits if cell_of(edit.path) in locked for owner in edit.owners}
        present &= on_air | _with_edited_links(change, edits)
    return {*change.interrupted, *present}


def _locked(change: Change) -> set[str]:
    """Cells that a change locks."""
    return {cell_of(edit.path) for phase in change.phases if phase.kind is PhaseKind.LOCK for edit in phase.edits}


def _with_edited_links(change: Change, edits: Sequence[Edit]) -> set[str]:
    """Tenants with a core link of which a change edits anything."""
    links = [(check.path, check.tenant) for check in change.checks if check.kind == "link-up"]
    found = {names for path, names in links if any(edit.path == path or is_below(edit.path, path) for edit in edits)}
    return {tenant for names in found for tenant in names.split(", ")}


#: A tenant, the class of action that takes service from it, and the cell; an empty cell is the station.
Taken = tuple[str, ActionClass, str]


def taken_by(change: Change, nodes: Collection[LedgerNode], *, restores: bool = False) -> frozenset[Taken]:
    """Service that a change takes from tenants (``interrupt``, ``reduce``), as the change itself and the ledger say.

    Unlike ``effect_of`` it does not say who has to be asked for a plan: it is what must not happen unasked, whatever
    the action that proposes the change says of itself.

    Args:
        change: The change.
        nodes: Nodes of ours on the device.
        restores: Whether tenants consent to class ``restore``. They do so to an interruption that the change ends
            itself, where it edits something, and to nothing else.
    """
    edits, locks = _edits(change), list(_locks(change))
    cells = {cell_of(edit.path) for edit in locks}
    off = {(tenant, cell) for tenant in _interrupted(change, edits) for cell in cells or {""}}
    off |= {
        (owner, cell_of(node.path)) for node in nodes if cell_of(node.path) in cells - {""} for owner in node.owners
    }
    off |= {(owner, cell_of(edit.path)) for edit in locks for owner in edit.owners}
    if change.only_unlocks and not locks:
        off = set()
    if restores and edits and not change.outage.is_open:
        off = set()
    less = {*_lowered(change, edits), *_removed(change, nodes)}
    less |= {(tenant, cell) for tenant, found in change.withdrawn.items() for cell in found}
    taken = {(tenant, ActionClass.INTERRUPT, cell) for tenant, cell in off}
    taken |= {(tenant, ActionClass.REDUCE, cell) for tenant, cell in less}
    return frozenset(one for one in taken if one[0] != HOST)


def _locks(change: Change) -> Iterator[Edit]:
    """Edits that lock or shut something down, in whatever phase."""
    for phase in change.phases:
        for edit in phase.edits:
            switched = edit.op is Op.MERGE and administrative_leaf(edit.path) in edit.after
            if switched and administrative_state({edit.path: edit.after}, edit.path) != "UNLOCKED":
                yield edit


def _removed(change: Change, nodes: Iterable[LedgerNode]) -> Iterator[tuple[str, str]]:
    """Tenants whose cells, shares or core links a change removes, each with the cell.

    What else it removes, as a router's VRF, a budget of a function or a pool's label, is not service by itself.
    """
    deleted = [edit.path for phase in change.phases for edit in phase.edits if edit.op is Op.DELETE]
    made = [edit.path for phase in change.phases for edit in phase.edits if edit.op is Op.CREATE]
    for node in nodes if deleted else ():
        serves = cell_of(node.path) or share_parts(node.path) or is_link(node.path)
        gone = any(is_below(node.path, path) for path in deleted)
        if serves and gone and not any(is_below(node.path, path) for path in made):
            yield from ((owner, cell_of(node.path)) for owner in node.owners)


def _lowered(change: Change, edits: Sequence[Edit]) -> Iterable[tuple[str, str]]:
    return lowered(edits) if change.lowers is None else change.lowers


def _taken(change: Change, edits: Sequence[Edit]) -> Iterator[tuple[str, str]]:
    """Tenants whose nodes are removed, each with the cells that this is about; an empty cell is the station."""
    for tenant in change.removes:
        deleted = {cell_of(edit.path) for edit in edits if edit.op is Op.DELETE and tenant in edit.owners}
        lost = change.withdrawn.get(tenant, ())
        # What goes beside cells in which it loses service goes with these.
        cells = {*deleted, *lost} - ({""} if lost else set())
        yield from ((tenant, cell) for cell in cells or {""})


def effect_on(
    station: str,
    tenants: Collection[str],
    action: ActionClass,
    cells: frozenset[str] = frozenset(),
    outage: Outage = NO_OUTAGE,
) -> Effect:
    """The effect that an action may have on tenants at a station or some of its cells, before its changes are known."""
    asks = frozenset((tenant, action) for tenant in tenants)
    interrupted = frozenset(tenants if action in (ActionClass.INTERRUPT, ActionClass.REDUCE) else ())
    lasts = outage if interrupted else NO_OUTAGE
    return Effect(station, frozenset(tenants), interrupted, asks, cells, outage=lasts)


def effect_of_outage(
    station: str,
    serving: Collection[tuple[str, str]],
    idle: Collection[tuple[str, str]],
    cells: frozenset[str],
    outage: Outage = UNKNOWN_OUTAGE,
) -> Effect:
    """The effect of cells or core links failing for a while: only tenants with service there are interrupted.

    Args:
        station: The device that does it.
        serving: These cells or links, each with a tenant that gets service there, or may.
        idle: Those with tenants that get none: nobody asks them.
        cells: Cells that this is about; empty for all there.
        outage: How long it lasts.
    """
    interrupted = frozenset(tenant for _, tenant in serving)
    return Effect(
        station=station,
        tenants=interrupted.union(tenant for _, tenant in idle),
        interrupted=interrupted,
        asks=frozenset((tenant, ActionClass.INTERRUPT) for tenant in interrupted),
        cells=cells,
        spared=frozenset(idle),
        outage=outage if interrupted else NO_OUTAGE,
    )


def _brings_back(change: Change, edits: Sequence[Edit]) -> bool:
    """Whether a change only restores nodes that the ledger has already (otherwise its ``gained`` would name nodes)."""
    switches = any(administrative_leaf(edit.path) in edit.after for edit in edits)
    return bool(edits) and not (change.gained or change.lost or change.removes or switches)


def _present(change: Change, edits: Sequence[Edit]) -> set[str]:
    """Tenants that the station served before: a new one is not interrupted."""
    created = {edit.path for edit in edits if edit.op is Op.CREATE}
    linked = {check.tenant for check in change.checks if check.kind == "link-up" and check.path not in created}
    edited = {owner for edit in edits if edit.op is not Op.CREATE for owner in edit.owners}
    return edited | {tenant for names in linked for tenant in names.split(", ")}


# --------------------------------------------------------------------------- constraints


@dataclass(frozen=True, slots=True)
class RunOccasion:
    """The circumstances of a request for a run.

    Attributes:
        subject: What people approve.
        now: Time of day; the agreements of the day count.
        automatic: Whether a rule asks and no person does: then only standing consent lets it run by itself.
        restores: Whether it only brings back what was applied: then it waits for no window.
        approvals: People of the host, other than who asks, that have to approve.
        windows: The run's own: it works in them only, whatever it does, beside those that bind what interrupts.
    """

    subject: str
    now: datetime
    automatic: bool = False
    restores: bool = False
    approvals: int = 0
    windows: Calendar = ()


def run_constraints(network: Network, effects: Iterable[Effect], asked: RunOccasion) -> RunConstraints:
    """The constraints for a run with these effects."""
    effects = tuple(effects)
    known = _Agreements(network, network.day(asked.now))
    about: dict[Requirement, list[Effect]] = defaultdict(list)
    outages: dict[str, Outage] = {}
    lost: dict[str, set[tuple[str, str]]] = defaultdict(set)
    groups: dict[StationConstraints, int] = {}
    placed: dict[str, tuple[str, int]] = {}
    for effect in effects:
        site = site_of(network, effect.station)
        for requirement in _requirements(known, effect, site, automatic=asked.automatic):
            about[requirement].append(effect)
        constraints = _station_constraints(network, known, effect, site, asked)
        placed[effect.station] = (site, groups.setdefault(constraints, len(groups)))
        outages |= {one: Outage.worst((effect.outage, outages.get(one, NO_OUTAGE))) for one in _without_service(effect)}
        for tenant, cell in effect.withdrawn:
            lost[tenant].add((effect.station, cell))
    outages |= dict.fromkeys(lost, FOR_GOOD)
    withdrawn = {tenant: _withdrawal(network, lost[tenant]) for tenant in sorted(lost)}
    off_air = told_off_air((effect.station, _but(effect.off, effect.withdrawn)) for effect in effects)
    found = [_told(network, known, key, there) for key, there in about.items()]
    if asked.approvals:
        found.append(Requirement(side=HOST, needed=asked.approvals, stations=len(effects)))
    tenants = sorted({tenant for effect in effects for tenant in effect.tenants})
    return RunConstraints(
        subject=asked.subject,
        side=tenants[0] if len(tenants) == 1 else HOST,
        requirements=tuple(sorted(found, key=_place)),
        tenants=tuple(tenants),
        groups=tuple(groups),
        stations=placed,
        beside={device: bound for device in placed if (bound := network.bound_by(device))},
        about={effect.station: tuple(sorted(effect.cells)) for effect in effects if effect.cells},
        asked_off={
            effect.station: tuple(sorted((cell, tenant) for tenant, cell in effect.off.off))
            for effect in effects
            if effect.cells and effect.off.off
        },
        spared={effect.station: tuple(sorted(effect.spared)) for effect in effects if effect.spared},
        outages=dict(sorted(outages.items())),
        off_air=off_air,
        withdrawn=withdrawn,
    )


def told_off_air(found: Iterable[tuple[str, CellsOff]]) -> dict[str, OffAir]:
    """What each tenant is told of its own cells that go off the air, by tenant in order.

    Args:
        found: Stations with the cells that go off there.
    """
    told: dict[str, OffAir] = {}
    for station, there in found:
        for tenant in {tenant for tenant, _ in there.off}:
            off = sorted(f"{station}/{cell}" for who, cell in there.off if who == tenant)
            own = sum(who == tenant for who, _ in there.own)
            before = told.get(tenant, OffAir(count=0, of=0))
            told[tenant] = OffAir(
                cells=(*before.cells, *(off if len(off) < own else ())),
                count=before.count + len(off),
                of=before.of + own,
                open=before.open or there.open,
            )
    return {tenant: one.model_copy(update={"cells": tuple(sorted(one.cells))}) for tenant, one in sorted(told.items())}


def _but(there: CellsOff, withdrawn: frozenset[tuple[str, str]]) -> CellsOff:
    """Cells that go off the air without those that a tenant loses for good, of which it is told by itself."""
    return replace(there, off=there.off - withdrawn)


#: What binds a run on a device: windows and the like, and who has to agree to it.
Terms = tuple[StationConstraints, frozenset[Requirement]]


def terms_at(network: Network, effects: Iterable[Effect], asked: RunOccasion) -> dict[str, Terms]:
    """What binds a run on each device: windows and the like, and who has to agree."""
    known = _Agreements(network, network.day(asked.now))
    found = {}
    for effect in effects:
        site = site_of(network, effect.station)
        needs = frozenset(_requirements(known, effect, site, automatic=asked.automatic))
        found[effect.station] = _station_constraints(network, known, effect, site, asked), needs
    return found


def terms_of(constraints: RunConstraints, device: str) -> Terms | None:
    """What a run was accepted under on a device; None if it has none there. Who has to agree is that of all of it."""
    bound = constraints.of(device)
    return None if bound is None else (bound, frozenset(one.terms for one in constraints.requirements))


def ask_more(now: Terms, accepted: Terms) -> bool:
    """Whether terms ask for people or windows, or set a place, that those do not under which a run was accepted."""
    (binds, need), (bound, needs) = now, accepted
    placed = (binds.region, binds.timezone) == (bound.region, bound.timezone)
    return not (placed and {*binds.calendars} <= {*bound.calendars} and need <= needs)


def _without_service(effect: Effect) -> frozenset[str]:
    """Tenants that are asked since it takes their own service away, and not that of others at the station."""
    asked = {tenant for tenant, action in effect.asks if action in (ActionClass.INTERRUPT, ActionClass.RESTORE)}
    return effect.interrupted & asked


def _place(one: Requirement) -> tuple[str, ...]:
    return one.side, one.action or "", one.consent, one.agreement, one.stands_for


def _withdrawal(network: Network, lost: Collection[tuple[str, str]]) -> Withdrawal:
    sites = {site_of(network, station) for station, _ in lost} - {""}
    people = sum(network.site_by_id[site].population for site in sites)
    return Withdrawal(cells=tuple(sorted(f"{station}/{cell}" for station, cell in lost)), people=people)


def _told(network: Network, known: _Agreements, requirement: Requirement, effects: Sequence[Effect]) -> Requirement:
    """A requirement with what its side has to know: on how many stations, and where and how long service is away.

    That is about the stations and cells of its agreement: for others of the side's cells, others may have to agree.
    """
    told = requirement.model_copy(update={"stations": len({effect.station for effect in effects})})
    if requirement.action not in (ActionClass.INTERRUPT, ActionClass.REDUCE):
        return told
    side = requirement.stands_for or requirement.side
    outages: list[Outage] = []
    lost: set[tuple[str, str]] = set()
    off: list[tuple[str, CellsOff]] = []
    for effect in effects:
        elsewhere = known.of_others(requirement, effect.station, site_of(network, effect.station))
        outages += [effect.outage] if side in _without_service(effect) else []
        lost |= {(effect.station, cell) for who, cell in effect.withdrawn if who == side and cell not in elsewhere}
        off.append((effect.station, _but(effect.off, effect.withdrawn).without(elsewhere)))
    return told.model_copy(
        update={
            "outage": FOR_GOOD if lost else Outage.worst(outages),
            "off_air": told_off_air(off).get(side),
            "withdrawn": _withdrawal(network, lost) if lost else None,
        }
    )


def plan_constraints(network: Network, plan: Plan, asked: RunOccasion) -> RunConstraints:
    """The constraints for a run of a plan's changes."""
    return run_constraints(network, (effect_of(change, restores=asked.restores) for change in plan.changes), asked)


def together(one: Effect, other: Effect) -> Effect:
    """Combine two effects on the same station."""
    whole = not (one.cells and other.cells)
    return Effect(
        one.station,
        one.tenants | other.tenants,
        one.interrupted | other.interrupted,
        one.asks | other.asks,
        frozenset() if whole else one.cells | other.cells,
        one.spared | other.spared,
        Outage.worst((one.outage, other.outage)),
        one.withdrawn | other.withdrawn,
        frozenset(
            (tenant, action, cell)
            for effect in (one, other)
            for tenant, action in effect.asks
            for cell in effect.cells_of(tenant, action) or {""}
        ),
        one.off | other.off,
        one.restarts or other.restarts,
    )


def subject_of(
    playbook: str,
    parameters: Mapping[str, object],
    stations: Iterable[str],
    plan: str,
    off: Iterable[tuple[str, str, str]],
) -> str:
    """Digest of what people approve of a playbook's run: its text, parameters, stations and plan, and what goes off.

    Args:
        playbook: Digest of its text.
        parameters: What it is run with.
        stations: Where it works.
        plan: Digest of its plan.
        off: Station, tenant and cell of all that goes off the air.
    """
    content = [playbook, parameters, sorted(stations), plan, sorted(off)]
    return hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()


class _Agreements:
    """Agreements in force, indexed by what they reach."""

    def __init__(self, network: Network, day: date) -> None:
        self._network = network
        self._by_tenant = {tenant.id: network.agreements_of(tenant.id, day) for tenant in network.tenants}

    def of(self, tenant: str, device: str, site: str, cells: frozenset[str]) -> list[Agreement]:
        """Agreements of a tenant that reach these cells (empty: all) of the stations that depend on a device."""
        there = [cell for cell in self._cells(device, site) if not cells or cell.id in cells]
        own = self._by_tenant.get(tenant, ())
        return [one for one in own if any(self._network.reaches(one, cell) for cell in there)]

    def of_others(self, requirement: Requirement, device: str, site: str) -> frozenset[str]:
        """Cells that the agreement of a requirement does not reach, and another one of its tenant does."""
        own = self._by_tenant.get(requirement.side, ())
        there = self._cells(device, site) if own else ()
        reached = {(one.id, cell.id) for cell in there for one in own if self._network.reaches(one, cell)}
        its = {cell for agreement, cell in reached if agreement == requirement.agreement}
        return frozenset(cell for _, cell in reached) - its

    def _cells(self, device: str, site: str) -> Sequence[Cell]:
        """Cells of the stations that depend on a device; for a router that is no longer managed, those of its site."""
        known = self._network.manages(device)
        behind = self._network.stations_behind(device) if known else self._network.stations_at.get(site, ())
        return [cell for station in behind for cell in self._network.cells_by_station[station]]


def site_of(network: Network, device: str) -> str:
    """Site of a device; empty if it has none. Raises NotFoundError."""
    if network.manages(device):
        return network.site_of(device)
    found = next((router.site for router in network.routers if router.id == device), None)
    if found is None:
        raise NotFoundError(f"{device} is no longer in the network files")
    return found


def _region_of(network: Network, device: str, site: str) -> str:
    return network.site_by_id[site].region if site else network.region_of(device)


def _requirements(known: _Agreements, effect: Effect, site: str, *, automatic: bool) -> Iterator[Requirement]:
    """Who has to agree to the effect on one station; standing consents need nothing."""
    for tenant, action in effect.asks:
        agreements: list[Agreement | None] = [*known.of(tenant, effect.station, site, effect.cells_of(tenant, action))]
        for agreement in agreements or [None]:
            consent = DEFAULT_CONSENTS[action] if agreement is None else agreement.consent_to(action)
            if consent is Consent.STANDING:
                continue
            if automatic and consent is Consent.NOTICE:
                yield Requirement(side=HOST, action=action, stands_for=tenant)
            yield Requirement(
                side=tenant,
                action=action,
                consent=consent,
                needed=agreement.approvals_needed if agreement and consent is Consent.APPROVAL else 1,
                approvers=agreement.approvers if agreement else (),
                clauses=agreement.reduce_clauses if agreement and action is ActionClass.REDUCE else (),
                sign_in=agreement is not None and agreement.sign_in_to_approve,
                lead_hours=agreement.notice_hours if agreement and consent is Consent.NOTICE else 0,
                agreement=agreement.id if agreement else "",
            )


def _station_constraints(
    network: Network, known: _Agreements, effect: Effect, site: str, asked: RunOccasion
) -> StationConstraints:
    """Constraints of one station; windows of others count only if service is interrupted."""
    region = network.region_by_id[_region_of(network, effect.station, site)]
    found = {PartyWindows(windows=asked.windows)}
    if effect.interrupted and not asked.restores:
        behind = network.sites_behind(effect.station) if network.manages(effect.station) else ()
        places = [network.site_by_id[one] for one in behind or filter(None, (site,))]
        regions = (region, *(network.region_by_id[place.region] for place in places))
        found |= {PartyWindows(windows=one.windows) for one in regions}
        found |= {PartyWindows(windows=one.windows) for one in places}
        for tenant in effect.interrupted:
            agreements = known.of(tenant, effect.station, site, effect.cells_off(tenant))
            found |= {PartyWindows(windows=one.windows, tenant=tenant, agreement=one.id) for one in agreements}
    return StationConstraints(
        region=region.id,
        timezone=region.timezone or network.header.timezone,
        tenants=tuple(sorted(effect.tenants)),
        interrupts=bool(effect.interrupted),
        restarts=effect.restarts,
        windows=tuple(sorted((one for one in found if one.windows), key=repr)),
        asks=tuple(sorted(effect.asks)),
    )


def check_contracts(constraints: RunConstraints, contracts: Sequence[Contract], person: Person | None) -> None:
    """Check that contractual reasons are valid.

    Args:
        constraints: What the run is accepted under, or would be.
        contracts: What is given.
        person: Who gives them, if that is a person who may approve.

    Raises:
        InputError: Who gives them is no approver of the host, or what one names gives no right to what the run does.
    """
    if contracts and (person is None or person.tenant):
        raise InputError(
            "contracts: only an approver of the host may give contractual reasons: let one approve with them"
        )
    asked = {one.contract: one for one in constraints.requirements if one.action is ActionClass.REDUCE}
    for contract in contracts:
        found = asked.get(contract.agreement)
        if found is None:
            known = f"what it asks for is {', '.join(sorted(asked))}" if asked else "nothing is taken away"
            raise InputError(f"contracts: no service is reduced under {contract.agreement} here; {known}")
        if not found.is_met_by(contract):
            known = (
                f"its reduce_clauses are {', '.join(found.clauses)}" if found.clauses else "it has no reduce_clauses"
            )
            raise InputError(
                f"contracts: clause {contract.clause!r} of {contract.agreement} gives no such right; {known}"
            )
