"""What runs take away from whom, and how long: only that is planned, and so nobody owes it. Pure.

A change takes the cells that it locks, deletes or unlocks, and those of the core links that it edits; a restart or an
eviction takes those that go with it; a change of a router or function takes those behind it. It takes them as long as
it acts: while its device transaction is open; while a cell that it locked stays so, until the job unlocks it or ends;
and after a restart while the job waits for what it restarted. While a job soaks or waits for a person, it takes only
the cells that it keeps locked.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from controller.intent.central_units import name_at_unit
from controller.intent.times import Times, both, union
from controller.models.equipment import Operation, OperationKind
from controller.models.network import HOST, Network
from controller.models.plan import Change, Edit, Op
from controller.nrm.profiles import administrative_leaf, cell_of, link_of, rat_of
from controller.nrm.tree import Path


@dataclass(frozen=True, slots=True)
class Act:
    """What a job did to its device in one transaction.

    Attributes:
        since: When it began to act.
        until: When its transaction ended; now, if it has not.
        change: Its edits.
        operations: Its operations.
        cells: Cells that its operations interrupt, by their ids at the device; empty for all there.
        stays: Whether the device carries the change afterwards.
    """

    since: datetime
    until: datetime
    change: Change | None = None
    operations: tuple[Operation, ...] = ()
    cells: tuple[str, ...] = ()
    stays: bool = True


@dataclass(frozen=True, slots=True)
class Work:
    """A job that interrupts tenants after a notice.

    Attributes:
        acts: What it did, in order of time.
        tenants: Whom it may interrupt, by the constraints of its run.
        until: When it ended; now, if it has not.
        rests: When it began to wait for long without doing anything: a soak, a person's answer.
        windows: When the windows that a tenant may know, its own and the host's, were open while it worked; absent are
            tenants for which there is none. Beyond them the tenant is owed it, whatever windows others have.
        inside: When the jobs ended that bring stations back which live in the function that it is on, by station.
    """

    device: str
    acts: Sequence[Act]
    tenants: Collection[str]
    until: datetime
    rests: Sequence[datetime] = ()
    inside: Mapping[str, datetime] | None = None
    windows: Mapping[str, Times] = field(default_factory=dict)

    def acts_until(self, act: Act) -> datetime:
        """When the job ended, or began to rest, after an act."""
        return min((rest for rest in (*self.rests, self.until) if rest >= act.until), default=act.until)


def planned(network: Network, works: Iterable[Work]) -> dict[tuple[str, str], Times]:
    """Times in which runs take cells (``station/cell``) away from tenants, by cell and tenant."""
    found: dict[tuple[str, str], list[tuple[datetime, datetime]]] = defaultdict(list)
    for work in works:
        if network.manages(work.device):
            for cell, tenants, since, until in _taken(network, work):
                times: Times = ((since, until),)
                for tenant in tenants & set(work.tenants):
                    windows = work.windows.get(tenant)
                    found[cell, tenant].extend(times if windows is None else both(times, windows))
    return {key: union(times) for key, times in found.items()}


_Taken = tuple[str, set[str], datetime, datetime]


def _taken(network: Network, work: Work) -> Iterator[_Taken]:
    if not network.device_kinds[work.device].rules.has_cells:
        yield from _behind(network, work)
        return
    names = _names(network, work.device)
    locked: dict[str, datetime] = {}
    for act in work.acts:
        yield from _by_operations(act, work, names)
        edits = [edit for phase in act.change.phases for edit in phase.edits] if act.change is not None else []
        yield from _by_links(network, work.device, act, edits)
        for cell, locks in _switched(edits, names):
            since = locked.pop(cell, act.since)
            if locks and act.stays:
                locked[cell] = since
            yield cell, set(work.tenants), since, act.until
    for cell, since in locked.items():
        yield cell, set(work.tenants), since, work.until


def _behind(network: Network, work: Work) -> Iterator[_Taken]:
    """Cells behind a router or function; those of a station in the latter until that is brought back."""
    for act in work.acts:
        for station in network.stations_behind(work.device):
            until = max(act.until, (work.inside or {}).get(station, act.until))
            for cell in network.cells_by_station.get(station, ()):
                yield cell.name, set(work.tenants), act.since, until


def _names(network: Network, device: str) -> dict[str, str]:
    """Cells (``station/cell``) by their ids at a station, or at a central unit."""
    cells = network.cells_through(device)
    return {cell.id if cell.station == device else name_at_unit(cell): cell.name for cell in cells}


def _by_operations(act: Act, work: Work, names: Mapping[str, str]) -> Iterator[_Taken]:
    kinds = {operation.kind for operation in act.operations if operation.kind.interrupts}
    if kinds:
        chosen = act.cells if kinds == {OperationKind.RESET_UNIT} else ()
        for cell in [names[one] for one in chosen if one in names] if chosen else names.values():
            yield cell, set(work.tenants), act.since, work.acts_until(act)


def _by_links(network: Network, device: str, act: Act, edits: Iterable[Edit]) -> Iterator[_Taken]:
    """Cells whose tenants lose a core link while it is set up again; a new one takes nothing away."""
    changed = [edit for edit in edits if edit.op is not Op.CREATE or link_of(edit.path) != edit.path]
    for link, owners in {(link, edit.owners) for edit in changed if (link := link_of(edit.path))}:
        for cell in network.cells_through(device):
            if cell.rat is rat_of(link):
                yield cell.name, set(owners) - {HOST}, act.since, act.until


def _switched(edits: Iterable[Edit], names: Mapping[str, str]) -> Iterator[tuple[str, bool]]:
    """Cells that edits take off the air or put on it, in order, and whether they are off the air afterwards."""
    for edit in edits:
        cell = names.get(cell_of(edit.path))
        leaf = administrative_leaf(edit.path)
        if cell is None or not leaf or link_of(edit.path):
            continue
        if edit.op is Op.DELETE:
            yield cell, True
        elif leaf in edit.after:
            yield cell, edit.after[leaf] != "UNLOCKED"


def reached(network: Network, device: str, changes: Iterable[Change], acts: Iterable[Act] = ()) -> tuple[str, ...]:
    """Cells (``station/cell``) that changes and operations of a device may have had an effect on, sorted.

    An edit inside a cell reaches that cell, one of a core link the cells of its technology. Empty where it is not
    known, and so any cell there may suffer: by any other edit or a restart, and where nothing is on record.
    """
    names, found = _names(network, device), set[str]()
    for edit in (edit for change in changes for phase in change.phases for edit in phase.edits):
        there = {names[cell]} if (cell := cell_of(edit.path)) in names else _of_link(network, device, edit.path)
        if not there:
            return ()
        found |= there
    for act in acts:
        kinds = {operation.kind for operation in act.operations if operation.kind.interrupts}
        if kinds and (kinds != {OperationKind.RESET_UNIT} or not act.cells):
            return ()
        found.update(names[one] for one in act.cells if kinds and one in names)
    return tuple(sorted(found))


def _of_link(network: Network, device: str, path: Path) -> set[str]:
    """Cells whose technology a core link belongs to; none if the path is of no link."""
    link = link_of(path)
    return {cell.name for cell in network.cells_through(device) if link and cell.rat is rat_of(link)}
