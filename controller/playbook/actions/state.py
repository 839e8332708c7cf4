"""Shipped actions that read a device or wait for a state of it; none changes it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from controller.assurance.health import state_or_traffic, tenant_of
from controller.assurance.traffic import carried, untold_user_plane
from controller.models.alarm import Alarm, PerceivedSeverity
from controller.models.errors import DeviceError, NotFoundError
from controller.models.health import ServiceState
from controller.models.many import first_names
from controller.models.measurement import Period
from controller.models.network import CellId, Noun, Rat
from controller.models.scalars import Codes
from controller.nrm.profiles import (
    administrative_state,
    cell_state,
    cells,
    link_state,
    links,
    odd_state,
    router_profile,
)
from controller.nrm.tree import Observed, Path
from controller.playbook.actions.configuration import NoInputs
from controller.playbook.language.registry import (
    ALL,
    CellNames,
    Context,
    DeviceAccess,
    Remarks,
    Selection,
    UnmetCondition,
    Within,
    action,
)

#: Remark of a check of an empty list.
_NONE_NAMED = "nothing was checked, since the list of names is empty"
#: Seconds that ``wait-until`` waits for a state that the station does not report; after a restart it may take a moment.
_UNREPORTED = 10.0


class CellState(Noun):
    """A cell as the station has it."""

    cell: CellId
    administrative_state: Annotated[str, Codes(("LOCKED", "UNLOCKED", "SHUTTINGDOWN"))]
    on_air: bool
    state: ServiceState


class LinkState(Noun):
    """A core link of ours as the station has it."""

    endpoint: str
    tenants: tuple[str, ...]
    up: bool
    state: ServiceState


class StationState(Noun):
    """A station as it says itself."""

    cells: tuple[CellState, ...] = Field(description="Its cells: `cell`, `administrative_state`, `on_air`, `state`.")
    links: tuple[LinkState, ...] = Field(description="Core links of ours: `endpoint`, `tenants`, `up`, `state`.")
    cells_on_air: int = Field(description="How many cells are on air.")
    links_up: int = Field(description="How many core links of ours are up.")
    dark: tuple[CellId, ...] = Field(description="Cells of ours that are unlocked, and not on air.")
    down: tuple[str, ...] = Field(description="Core links of ours that are unlocked, and down.")
    unknown: tuple[str, ...] = Field(description="Our cells and links whose state the station does not report.")


class CellChoice(CellNames):
    """Cells of the station."""

    cells: Selection[CellId] = Field(default=ALL, description="Only these cells, none for an empty list.")
    excused: tuple[CellId, ...] = Field(
        default=(),
        description="Cells that need not be on air unless they are named: `dark` of an earlier `read-state`.",
    )


class CheckedCells(Remarks):
    """Cells of which none is off air."""

    cells: Annotated[tuple[CellId, ...], Within("cells")] = Field(description="Cells that were checked.")


class LinkChoice(Noun):
    """Core links of the station."""

    tenant: str = Field(default="", description="Only core links of this tenant; empty for all of ours.")
    excused: tuple[str, ...] = Field(
        default=(), description="Core links that need not be up: `down` of an earlier `read-state`."
    )


class CheckedLinks(Remarks):
    """Core links of which none is down."""

    endpoints: tuple[str, ...] = Field(description="Endpoints that were checked.")


class AlarmChoice(Noun):
    """Which alarms matter."""

    severities: tuple[PerceivedSeverity, ...] = Field(
        default=(PerceivedSeverity.CRITICAL, PerceivedSeverity.MAJOR), description="Severities that matter."
    )
    ignore: tuple[str, ...] = Field(default=(), description="Probable causes that do not matter.")
    causes: tuple[str, ...] = Field(default=(), description="Only these probable causes matter; empty for all.")
    new: bool = Field(default=False, description="Only alarms raised since the run first acted on the station matter.")


class NoAlarms(Noun):
    """Nothing that matters stands."""

    standing: int = Field(description="Alarms that stand and do not matter.")


class WaitInputs(Noun):
    """What to wait for, and how long."""

    condition: Literal["cells-on-air", "cells-off-air", "cells-locked", "links-up", "reachable"] = Field(
        description="What must become true of cells or core links of ours; locked ones need not be on air or up."
    )
    seconds: float = Field(default=60, gt=0, le=86400, description="Most seconds to wait.")
    cells: Selection[CellId] = Field(default=ALL, description="Only these cells, none for an empty list.")
    tenant: str = Field(default="", description="Only core links of this tenant; empty for all of ours.")
    endpoints: Selection[str] = Field(default=ALL, description="Only these core links, none for an empty list.")
    excused: tuple[str, ...] = Field(
        default=(),
        description="Cells or links that need not, unless they are named: `dark` or `down` of an earlier `read-state`.",
    )

    @model_validator(mode="after")
    def _names_what_it_waits_for(self) -> Self:
        """An input that the condition is not about would be ignored, and the step would wait for something else."""
        links, on_cells = self.condition == "links-up", self.condition.startswith("cells-")
        if self.cells != ALL and not on_cells:
            instead = "name core links by endpoints or tenant" if links else "leave it out"
            raise ValueError(f"cells: {self.condition} waits for no cells: {instead}")
        if not links and (self.endpoints != ALL or self.tenant):
            name = "endpoints" if self.endpoints != ALL else "tenant"
            instead = "name cells" if on_cells else "leave it out"
            raise ValueError(f"{name}: {self.condition} waits for no core links: {instead}")
        return self


class WaitOutput(Remarks):
    """How long it took."""

    seconds: float = Field(description="Seconds waited.")


class DriftChoice(Noun):
    """Which drift counts."""

    repairable: bool = Field(
        default=False,
        description="Pass over primary PLMNs that stand first no more, which no repair moves; `remark` names them.",
    )


class Drift(Remarks):
    """What was found."""

    nodes: int = Field(description="Managed nodes that differ from what was last applied.")


@action("read-state", DeviceAccess.READS)
async def read_state(context: Context, _: NoInputs) -> StationState:
    """Read cells and core links of the station as they are now."""
    observed, ledger = await context.read(), await context.ledger()
    found = tuple(_cell(observed, entry.path, entry.cell) for entry in cells(observed.tree))
    up = tuple(
        _link(observed, link.path, ledger[link.path].owners) for link in links(observed.tree) if link.path in ledger
    )
    our_cells = {path: cell_state(observed, path) for path in await _cells(context, ALL) if unlocked(observed, path)}
    our_links = {path: link_state(observed, path) for path in await _links(context, "") if unlocked(observed, path)}
    return StationState(
        cells=found,
        links=up,
        cells_on_air=sum(cell.on_air for cell in found),
        links_up=sum(link.up for link in up),
        dark=tuple(map(_key, _those(our_cells, ServiceState.DOWN))),
        down=tuple(map(endpoint_name, _those(our_links, ServiceState.DOWN))),
        unknown=(
            *map(_key, _those(our_cells, ServiceState.UNKNOWN)),
            *map(endpoint_name, _those(our_links, ServiceState.UNKNOWN)),
        ),
    )


def _cell(observed: Observed, path: Path, name: CellId) -> CellState:
    state = cell_state(observed, path)
    locked = administrative_state(observed.tree, path)
    return CellState(cell=name, administrative_state=locked, on_air=state is ServiceState.UP, state=state)


def _link(observed: Observed, path: Path, owners: tuple[str, ...]) -> LinkState:
    state = link_state(observed, path)
    return LinkState(endpoint=endpoint_name(path), tenants=owners, up=state is ServiceState.UP, state=state)


def _those(states: Mapping[Path, ServiceState], wanted: ServiceState) -> list[Path]:
    return [path for path, state in states.items() if state is wanted]


def _not_reported(names: Iterable[str]) -> str:
    """A remark for people about states that the station does not report, or in no known word."""
    named = ", ".join(names)
    return f"not checked, since the station does not report it: {named}" if named else ""


def _untold(observed: Observed, states: Mapping[Path, ServiceState], name: Callable[[Path], str]) -> Iterator[str]:
    """Names of what has an unknown state, each with the word for it that no specification has, if there is one."""
    for path in _those(states, ServiceState.UNKNOWN):
        odd = odd_state(observed, path)
        yield f"{name(path)} (it says {odd})" if odd else name(path)


@action("check-cells-on-air", DeviceAccess.READS)
async def check_cells_on_air(context: Context, given: CellChoice) -> CheckedCells | UnmetCondition:
    """Fail unless cells are on air. Without names: all our unlocked cells except excused ones.

    If the station does not report it, or an empty list names none, nothing is checked, and the job says so.
    """
    observed, chosen = await context.read(), await _cells(context, given.cells)
    if given.cells == ALL:
        chosen = [path for path in chosen if unlocked(observed, path) and _key(path) not in given.excused]
    states = {path: cell_state(observed, path) for path in chosen}
    if silent := _those(states, ServiceState.DOWN):
        return UnmetCondition(f"not on air: cell {', '.join(map(_key, silent))}")
    remark = _not_reported(_untold(observed, states, lambda path: f"cell {_key(path)}"))
    return CheckedCells(cells=tuple(map(_key, chosen)), remark=remark if given.cells else _NONE_NAMED)


@action("check-core-links", DeviceAccess.READS)
async def check_core_links(context: Context, given: LinkChoice) -> CheckedLinks | UnmetCondition:
    """Fail unless core links are up; locked ones and those excused do not count.

    A tenant without a core link here fails. Where the station does not report them, or they are at its central unit,
    nothing is checked, and the job says so.

    Routers have none, and pass.
    """
    observed, chosen = await context.read(), await _links(context, given.tenant)
    counted = [path for path in chosen if unlocked(observed, path)]
    if given.tenant and not counted and router_profile(context.profiles) is None:
        elsewhere = _links_elsewhere(context)
        remark = f"not checked: {elsewhere}"
        return (
            CheckedLinks(endpoints=(), remark=remark)
            if elsewhere
            else UnmetCondition(f"{given.tenant} has no core link here")
        )
    counted = [path for path in counted if endpoint_name(path) not in given.excused]
    states = {path: link_state(observed, path) for path in counted}
    if down := _those(states, ServiceState.DOWN):
        return UnmetCondition(f"down: {', '.join(map(endpoint_name, down))}")
    remark = _not_reported(_untold(observed, states, endpoint_name))
    return CheckedLinks(endpoints=tuple(map(endpoint_name, counted)), remark=remark)


@action("check-user-plane", DeviceAccess.READS)
async def check_user_plane(context: Context, given: LinkChoice) -> CheckedLinks | UnmetCondition:
    """Fail if the user plane carries nothing: links to S-GWs and UPFs are down, or sessions have no volume.

    A station that tells the state of these links (GTP-U echo) is believed. Of one that does not, volume and sessions of
    its latest full period are compared, if that began after the run first acted there: put it into `soak_checks`, too.
    What neither of them tells, and a tenant without any such link, is not checked, and the job says so.

    Routers have none, and pass.
    """
    observed, ledger = await context.read(), await context.ledger()
    chosen = [
        link
        for link in links({path: {} for path in ledger})
        if link.kind.user_plane and (not given.tenant or given.tenant in ledger[link.path].owners)
    ]
    counted = [link for link in chosen if endpoint_name(link.path) not in given.excused]
    periods = await _periods_since(context) if untold_user_plane(observed) else ()

    def traffic(name: str, rat: Rat | None) -> ServiceState:
        tenant = context.network.tenant_by_id.get(name)
        return ServiceState.UNKNOWN if tenant is None else carried(tenant, rat, periods)

    states = {
        link.path: state_or_traffic(observed, link.path, link.kind, tenant_of(ledger[link.path]), traffic)
        for link in counted
    }
    if down := _those(states, ServiceState.DOWN):
        return UnmetCondition(f"nothing is carried: {', '.join(map(endpoint_name, down))}")
    remark = _not_reported(_untold(observed, states, endpoint_name))
    if not chosen and router_profile(context.profiles) is None:
        nothing = f"{given.tenant or 'nobody'} has no user plane here; network files give no sgw_pool, upf_pool"
        remark = f"not checked: {_links_elsewhere(context) or nothing}"
    return CheckedLinks(endpoints=tuple(endpoint_name(link.path) for link in counted), remark=remark)


def _links_elsewhere(context: Context) -> str:
    """Place of core links that a part of a gNB does not have itself; empty if it has all."""
    network, station = context.network, context.station
    if units := network.units_above.get(station, ()):
        return f"core links of its NR cells are at {', '.join(units)}"
    return "another part of the gNB has links of this kind" if station in network.central_units else ""


async def _periods_since(context: Context) -> tuple[Period, ...]:
    """Complete periods that began after the run first acted there, compared by age, since clocks of stations differ."""
    periods, there = await context.measurements(), (await context.equipment()).now
    acted = await context.acted()
    if there is None or acted is None:
        return ()
    age = context.clock.now() - acted
    return tuple(period for period in periods if there - period.begin <= age)


@action("check-alarms", DeviceAccess.NONE)
async def check_alarms(context: Context, given: AlarmChoice) -> NoAlarms | UnmetCondition:
    """Fail while alarms of the station stand on record, by default critical and major ones.

    Notifications and health reads put them there, also during the run; allow them the time of a soak or of a waiting
    step: what the station does not notify is on record after two reads, 2 s apart where few stations wait.
    """
    standing, acted = await context.alarms(), await context.acted()
    grave = [one for one in standing if _matters(given, one, acted)]
    if grave:
        found = [f"{one.severity} {one.probable_cause} on {one.object}" for one in grave]
        return UnmetCondition(first_names(found, 5, "; "))
    return NoAlarms(standing=len(standing))


@action("check-drift", DeviceAccess.READS)
async def check_drift(context: Context, given: DriftChoice) -> Drift | UnmetCondition:
    """Fail if managed nodes differ from what was last applied. Administrative state is not drift."""
    if nodes := await context.drift(repairable=given.repairable):
        return UnmetCondition(f"{nodes} managed nodes differ from what was applied")
    late = await context.displaced_primaries() if given.repairable else ()
    return Drift(nodes=len(late), remark=first_names(late, 5, "; "))


@action("wait-until", DeviceAccess.READS)
async def wait_until(context: Context, given: WaitInputs) -> WaitOutput | UnmetCondition:
    """Wait until cells or core links of ours are as wanted, or the station can be read.

    What the station does not report is waited for no longer than 10 s; the job says that it was not checked. Names that
    the condition is not about, as of cells with `links-up`, are refused.
    """
    if context.dry_run:
        return await _foreseen(context, given)
    begun = context.clock.monotonic()
    pause = 0.2
    while True:
        missing, unknown = await _missing(context, given)
        waited = context.clock.monotonic() - begun
        settled = not unknown or waited + pause > min(_UNREPORTED, given.seconds)
        if not missing and settled:
            return WaitOutput(seconds=round(waited, 3), remark=_remark(given, unknown))
        if waited + pause > given.seconds:
            return UnmetCondition(f"not within {given.seconds:g} s: {given.condition}: {missing}")
        await context.clock.sleep(pause)
        pause = min(2.0, pause * 1.6)


async def _foreseen(context: Context, given: WaitInputs) -> WaitOutput | UnmetCondition:
    """The output in a dry run: what it would wait for, and whether anything before it in the run makes that true."""
    try:
        await context.read()
    except DeviceError as error:
        return WaitOutput(seconds=0, remark=f"would wait; now: {error.message}")
    shut: tuple[Path, ...] = ()
    if given.condition in ("cells-locked", "cells-off-air"):
        shut = await context.foresee_locked(await _cells(context, given.cells))
    observed = await context.read()
    states = await _states(context, given, observed)
    missing = _those(states, ServiceState.DOWN)
    acted = await context.foresee_acts(missing)
    lasting = [path for path in missing if _lasts(given, observed, path, acted=path in acted)]
    open_ones = [path for path in missing if path not in lasting and path not in acted]
    most = f"{given.seconds:g} s"
    if lasting and not context.unforeseen:
        is_so, act = _STAYS[given.condition]
        reason = f"it waits for {most} in vain: {_named_ones(given, lasting)}: {is_so}, and no step before {act}"
        return UnmetCondition(reason, lasting=True)
    if shut:
        named = ", ".join(map(_key, shut))
        text = f"would wait until the last users have left cell {named}, for {most} at most"
        return WaitOutput(seconds=0, remark=f"{text}; how long that takes is not known")
    if lasting or open_ones:
        why = f"depends on step {' and '.join(map(repr, context.unforeseen))}" if lasting else "is not known"
        text = f"would wait for {most} at most: {_named_ones(given, lasting or open_ones)}: not so now"
        return WaitOutput(seconds=0, remark=f"{text}; whether {given.condition} comes true {why}")
    return WaitOutput(seconds=0, remark=_remark(given, _untold(observed, states, endpoint_name)))


#: For what can only last unless the run acts: how it is, and what no step does.
_STAYS = {
    "cells-on-air": ("locked", "unlocks it"),
    "cells-off-air": ("on air", "takes it off the air"),
    "cells-locked": ("not locked", "locks it"),
}


def _lasts(given: WaitInputs, observed: Observed, path: Path, *, acted: bool) -> bool:
    """Whether a cell stays as it is unless somebody acts: a locked one off the air, an unlocked one on air and so."""
    state = administrative_state(observed.tree, path) if path in observed.tree else ""
    match given.condition:
        case "cells-on-air":
            return state == "LOCKED"
        case "cells-locked":
            return state == "UNLOCKED"
        case "cells-off-air":
            return state == "UNLOCKED" and not acted
    return False


def _named_ones(given: WaitInputs, paths: Iterable[Path]) -> str:
    """Cells or core links by their names."""
    if given.condition == "links-up":
        return ", ".join(map(endpoint_name, paths))
    return f"cell {', '.join(map(_key, paths))}"


def _remark(given: WaitInputs, unknown: Iterable[str]) -> str:
    about = given.endpoints if given.condition == "links-up" else given.cells
    return _not_reported(unknown) if about or given.condition == "reachable" else _NONE_NAMED


def _matters(given: AlarmChoice, one: Alarm, since: datetime | None) -> bool:
    """Whether an alarm matters; a new one was raised after the run first acted, and none is where it has not."""
    wanted = not given.causes or one.probable_cause in given.causes
    young = not given.new or (since is not None and one.raised >= since)
    return wanted and young and one.severity in given.severities and one.probable_cause not in given.ignore


async def _missing(context: Context, given: WaitInputs) -> tuple[str, list[str]]:
    """Why the condition does not hold, empty if it does as far as is known; and the unknown states."""
    try:
        observed = await context.read()
    except DeviceError as error:
        return error.message, []
    states = await _states(context, given, observed)
    missing = ", ".join(map(endpoint_name, _those(states, ServiceState.DOWN)))
    return missing, list(_untold(observed, states, endpoint_name))


async def _states(context: Context, given: WaitInputs, observed: Observed) -> dict[Path, ServiceState]:
    """Whether each cell or core link that is waited for is as wanted (``UP``)."""
    if given.condition == "reachable":
        return {}
    chosen, holds = await _condition(context, given, observed)
    excused = given.excused if given.cells == given.endpoints == ALL else ()
    wanted = (path for path in chosen if not {_key(path), endpoint_name(path)} & set(excused))
    return {path: holds(observed, path) for path in wanted}


async def _condition(
    context: Context, given: WaitInputs, observed: Observed
) -> tuple[list[Path], Callable[[Observed, Path], ServiceState]]:
    """The paths to wait for, and a function that says whether each is as wanted (``UP``)."""
    if given.condition == "links-up":
        ours = await _links(context, given.tenant)
        if given.tenant and not ours and router_profile(context.profiles) is None:
            raise NotFoundError(f"{given.tenant} has no core link on {context.station}")
        counted = [path for path in ours if unlocked(observed, path)]
        if given.endpoints == ALL:
            return counted, link_state
        _all_there(context, "core link", given.endpoints, map(endpoint_name, ours))
        return [path for path in counted if endpoint_name(path) in given.endpoints], link_state
    chosen = await _cells(context, given.cells)
    if given.condition == "cells-on-air":
        return [path for path in chosen if given.cells != ALL or unlocked(observed, path)], cell_state
    if given.condition == "cells-locked":
        return chosen, _cell_locked
    return chosen, lambda observed, path: cell_state(observed, path).opposite


def _cell_locked(observed: Observed, path: Path) -> ServiceState:
    """Whether a cell is locked, ``UP`` if so. A cell that was removed from the station serves nobody any more."""
    gone = path not in observed.tree or administrative_state(observed.tree, path) == "LOCKED"
    return ServiceState.UP if gone else ServiceState.DOWN


async def _cells(context: Context, names: tuple[str, ...] | Literal["all"]) -> list[Path]:
    ours = list(cells({path: {} for path in await context.ledger()}))
    if names == ALL:
        return [entry.path for entry in ours]
    _all_there(context, "cell", names, (entry.cell for entry in ours))
    return [entry.path for entry in ours if entry.cell in names]


def _all_there(context: Context, what: str, names: Iterable[str], known: Iterable[str]) -> None:
    """Check that all names are ours: a missing object must not look healthy."""
    there = list(known)
    if missing := [name for name in names if name not in there]:
        has = ", ".join(there) or "none"
        raise NotFoundError(f"{context.station} has no {what} of ours {', '.join(missing)}; it has {has}")


async def _links(context: Context, tenant: str) -> list[Path]:
    ledger = await context.ledger()
    return [
        link.path for link in links({path: {} for path in ledger}) if not tenant or tenant in ledger[link.path].owners
    ]


def unlocked(observed: Observed, path: Path) -> bool:
    """Whether a cell or core link is not locked; a missing cell counts as locked, a missing core link does not."""
    return administrative_state(observed.tree, path) == "UNLOCKED"


def endpoint_name(path: Path) -> str:
    """What people call a core endpoint: the last part of its path."""
    return path.rpartition("/")[2]


def _key(path: Path) -> str:
    return endpoint_name(path).partition("[")[2].rstrip("]")


STATE = (
    read_state,
    check_cells_on_air,
    check_core_links,
    check_user_plane,
    check_alarms,
    check_drift,
    wait_until,
)
