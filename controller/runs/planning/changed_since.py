"""What was changed since a job, by later runs or by somebody else, and what is left of the job without that. Pure.

A cell stays or goes back as a whole: half of a carrier's or a tenant's old values beside somebody's new ones was never
meant by anybody. Outside of cells each entry stands for itself, unless a cell that stays needs it. A device without
cells (a router, a function, a pool) is one thing, whose parts only work together.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NamedTuple

from controller.models.facts import Finding, Owners, Severity
from controller.models.many import first_names
from controller.models.plan import Change, Edit, Op, Phase
from controller.models.run import LedgerBefore, Outcome
from controller.nrm.profiles import carriers_of, cell_of
from controller.nrm.schema import NodeSpec, self_made, spec_of
from controller.nrm.tree import LeafName, Leaves, Path, Tree, is_below, name_of, nodes_named, parent
from controller.plan.rows import entry_name
from controller.runs.transaction.effects import Effects, effects
from controller.store import EndedJob

#: A leaf of an entry; an entry with all below it; or its content in the ledger.
_Thing = tuple[Path, LeafName]
_WHOLE, _LEDGER = "*", "ledger"
#: Steps of the path of such an entry: device, function, and what the function has; what is below goes with it.
_STEPS = 3


class _Part(NamedTuple):
    """A part of a device that is taken back, or stays, as a whole.

    Attributes:
        cell: Id of the cell that it is.
        entry: The entry outside of all cells that it is; empty for a cell, and for the device as a whole.
    """

    cell: str = ""
    entry: Path = ""

    def name(self, root: NodeSpec) -> str:
        """Its name for people."""
        return _cell_name(self.cell) if self.cell else entry_name(root, self.entry)


def _cell_name(cell: str) -> str:
    return f"cell {cell}"


@dataclass(slots=True)
class Why:
    """Why something stays.

    Attributes:
        runs: Later runs that changed it, with their procedure and the entries, oldest first.
        others: Entries that somebody else changed.
        inside: Nodes of somebody else inside of what would go.
        needed: What else stays and needs it, in words.
        back: The run that took it back already; empty if none did.
    """

    runs: dict[tuple[str, str], list[Path]] = field(default_factory=dict)
    others: list[Path] = field(default_factory=list)
    inside: list[Path] = field(default_factory=list)
    needed: list[str] = field(default_factory=list)
    back: str = ""

    def words(self, station: str) -> str:
        """All reasons, and the way to take it back all the same."""
        runs = [
            f"run {run} ({procedure}) changed {nodes_named(paths)}" for (run, procedure), paths in self.runs.items()
        ]
        count = f"{len(self.inside)} nodes of somebody else are" if len(self.inside) > 1 else "somebody else's node is"
        said = {
            f"taken back already by run {self.back}": self.back,
            f"changed since: {first_names(runs, between='; ')}": runs,
            f"changed since by somebody else: {nodes_named(self.others)}": self.others,
            f"{count} inside of what it would take away: {nodes_named(self.inside)}": self.inside,
            first_names(self.needed, between="; "): self.needed,
            f"to take this back too, first: {', '.join(f'minka undo {run}' for run, _ in reversed(self.runs))}": runs,
            f"see what differs: minka device drift {station}": self.others,
            by_plan(station): self.inside,
        }
        return "; ".join(text for text, given in said.items() if given)

    def merge(self, other: Why) -> None:
        """Add the reasons of another part."""
        for run, paths in other.runs.items():
            self.runs.setdefault(run, []).extend(paths)
        self.others += other.others
        self.inside += other.inside
        self.back = self.back or other.back


def by_plan(station: str) -> str:
    """The way out where an undo takes nothing of what holds something of somebody else."""
    return (
        "take what is to go out of the network files, load them, and run: minka plan "
        f"{station} (it names the --remove that takes what may go)"
    )


@dataclass
class Since:
    """What became of one ended job's work on a device.

    Attributes:
        root: Schema of the device.
        ended: The job.
        later: What later jobs left there, oldest first.
        tree: What the device carries.
        left: Parts of the job's work that stay as they are.
    """

    root: NodeSpec
    ended: EndedJob
    later: Sequence[EndedJob]
    tree: Tree
    left: dict[_Part, Why] = field(default_factory=dict)

    def look(self) -> None:
        """Find what stays since it was changed, and what that needs."""
        for other, path in self._overlaps():
            self._leave(other, path)
        if self.ended.outcome is not Outcome.DIVERGED:  # its way back begins at whatever the device carries
            self._find_foreign()
        self._find_needed()

    def leave_around(self, inside: Iterable[Path]) -> None:
        """Leave what somebody else put something into."""
        for path in inside:
            self._why(path).inside.append(path)
        self._find_needed()

    @cached_property
    def divisible(self) -> bool:
        """Whether parts of the device can be taken back by themselves."""
        return any(node.is_cell for node in self.root.walk())

    @cached_property
    def total(self) -> Effects:
        """Net effect of all that the job did."""
        return effects(self.root, list(_phases(self.ended)))

    def stays(self, path: Path) -> bool:
        """Whether an entry, or a leaf of one, belongs to what stays."""
        return bool(self.left) and self._part(path) in self.left

    def _part(self, path: Path) -> _Part:
        if not self.divisible:
            return _Part()
        entry = "/".join((path if path.endswith("]") else parent(path)).split("/")[: _STEPS + 1])
        cell = cell_of(path) or self._cell_by_carrier.get(entry, "")
        return _Part(cell=cell) if cell else _Part(entry=entry)

    def _why(self, path: Path) -> Why:
        return self.left.setdefault(self._part(path), Why())

    @cached_property
    def _cell_by_carrier(self) -> Mapping[Path, str]:
        edits = [edit for phase in _phases(self.ended) for edit in (*phase.edits, *phase.inverse)]
        seen: dict[Path, Leaves] = {edit.path: {**edit.before, **edit.after} for edit in edits if cell_of(edit.path)}
        seen |= {path: leaves for path, leaves in self.tree.items() if cell_of(path)}
        return {carrier: cell_of(path) for path in seen for carrier in carriers_of(seen, path)}

    # -------------------------------------------------------------- what was changed

    def _overlaps(self) -> Iterator[tuple[EndedJob, Path]]:
        """Later jobs that changed the same as this one, with the entries: of two, the one inside of the other."""
        mine = things(self.root, self.ended)
        runs = {one.run for one in self.later}
        for other, theirs in self._standing:
            if other.undoes in runs:
                continue
            # Entries that a job made without the ledger were lost, as with a function's pod.
            again = [path for path, leaf in theirs if leaf == _WHOLE] if restored(other) else []
            for thing in theirs:
                if not any(is_below(thing[0], path) for path in again):
                    yield from ((other, max(thing[0], one[0], key=len)) for one in mine if _meet(thing, one))

    @cached_property
    def _standing(self) -> list[tuple[EndedJob, list[_Thing]]]:
        """Later jobs, oldest first, with what of theirs no undo has taken back."""
        found: list[tuple[EndedJob, list[_Thing]]] = []
        back: dict[str, list[_Thing]] = {}
        for other in reversed(self.later):
            gone = back.get(other.run, ())
            left = [one for one in things(self.root, other) if not any(_covers(taken, one) for taken in gone)]
            found.append((other, left))
            if other.undoes:
                back.setdefault(other.undoes, []).extend(left)
        return found[::-1]

    def _leave(self, other: EndedJob, path: Path) -> None:
        why = self._why(path)
        if other.undoes == self.ended.run:
            why.back = other.run
        else:
            paths = why.runs.setdefault((other.run, other.procedure), [])
            paths += [path] if path not in paths else []

    def _find_foreign(self) -> None:
        """Leave what is not as the job left it, though no later job came to something else there."""
        for path in dict.fromkeys([*self.total.exists, *self.total.leaves]):
            exists = {path: self.total.exists[path]} if path in self.total.exists else {}
            leaves = {path: self.total.leaves[path]} if path in self.total.leaves else {}
            if self.stays(path) or Effects(self.root, exists, leaves).after_holds(self.tree):
                continue
            touched = [(path, leaf) for leaf in (*leaves.get(path, ()), *([_WHOLE] if exists else ()))]
            # Such as a cell that this job locked and unlocked, and that another one locked since.
            runs = [job for job, theirs in self._standing if any(_meet(a, b) for a in touched for b in theirs)]
            for other in runs:
                self._leave(other, path)
            if not runs:
                self._why(path).others.append(path)

    # -------------------------------------------------------------- what that needs

    def _find_needed(self) -> None:
        """Leave what something that stays needs: what came with a tenant of the cell, or what an entry names."""
        while self.left and self.divisible and (more := list(self._needed())):
            for path, reason in more:
                why = self._why(path)
                why.needed += [reason] if reason not in why.needed else []

    def _needed(self) -> Iterator[tuple[Path, str]]:
        made = self._made
        goes = [path for path in made if path in self.tree and not self.stays(path)]
        served = {
            owner: self._part(path)
            for path in made
            if cell_of(path) and path in self.tree and self.stays(path)
            for owner in made[path]
        }
        for path in goes:
            if not cell_of(path) and (cells := [served[owner] for owner in made[path] if owner in served]):
                yield path, f"{cells[0].name(self.root)}, which stays, needs it"
        if cell := self._cell_left():
            for path in self._watching:
                if not self.stays(path):
                    yield path, f"it watches {_cell_name(cell)}, which stays"
        for path, named in self._references(goes):
            at = cell_of(path)
            yield named, f"{entry_name(self.root, path)}{f' of {_cell_name(at)}' if at else ''}, which stays, names it"

    @cached_property
    def _watching(self) -> tuple[Path, ...]:
        """Entries that the job brought or changed, by which Minka watches what the device serves."""
        specs = {path: spec_of(self.root, path) for path in (*self.total.exists, *self.total.leaves)}
        return tuple(path for path, spec in specs.items() if spec is not None and spec.watches and path in self.tree)

    def _cell_left(self) -> str:
        """Some cell that is still there afterwards; empty if none is."""
        cells = (path for path in self.tree if (spec := spec_of(self.root, path)) is not None and spec.is_cell)
        return next((cell_of(path) for path in cells if path not in self._made or self.stays(path)), "")

    @cached_property
    def _made(self) -> Mapping[Path, Owners]:
        """Entries that the job brought, with their owners."""
        owners = {edit.path: edit.owners for phase in _phases(self.ended) for edit in phase.edits}
        return {path: owners[path] for path, pair in self.total.exists.items() if pair == (False, True)}

    def _references(self, goes: Iterable[Path]) -> Iterator[tuple[Path, Path]]:
        """Entries that stay, and what they name of all that goes; those that the device makes itself don't count."""
        by_name = {name_of(path): path for path in goes if not path.startswith(self.root.around)}
        going = set(by_name.values())
        for path, leaves in self.tree.items():
            spec = spec_of(self.root, path) if any(begins in path for begins in self.root.referring) else None
            own = path not in self._made and self_made(self.root, path)
            if spec is None or path in going or own:
                continue
            for leaf in spec.references:
                name = str(leaves.get(leaf, ""))
                name = name[max(name.find("ManagedElement="), 0) :]  # it may begin above what the device knows
                if name in by_name:
                    yield path, by_name[name]

    # -------------------------------------------------------------- what is left to do

    def remaining(self) -> EndedJob:
        """The job without what stays, as if it had never done that."""
        if not self.left:
            return self.ended
        if not self.divisible:
            return replace(self.ended, changes=(), unsure=(), before=LedgerBefore())
        inside = (path for why in self.left.values() for path in why.inside)
        there = (*inside, *(path for path in self.tree if self.stays(path)))
        holding = frozenset(above for path in there for above in _above(path))
        before = self.ended.before
        return replace(
            self.ended,
            changes=tuple(self._without(change, holding) for change in self.ended.changes),
            unsure=tuple(self._without(change, holding) for change in self.ended.unsure),
            before=LedgerBefore(
                entries=tuple(entry for entry in before.entries if not self._kept(entry.path, holding)),
                absent=tuple(path for path in before.absent if not self._kept(path, holding)),
            ),
        )

    def _kept(self, path: Path, holding: Set[Path]) -> bool:
        """Whether an entry, or a leaf of one, stays: by itself, or as something that stays stands in it."""
        return self.stays(path) or path in holding

    def _without(self, change: Change, holding: Set[Path]) -> Change:
        phases = []
        for phase in change.phases:
            edits = tuple(edit for edit in phase.edits if not self.stays(edit.path))
            inverse = tuple(edit for one in phase.inverse for edit in self._parted(one, holding))
            if inverse:
                phases.append(phase.model_copy(update={"edits": edits, "inverse": inverse}))
        checks = tuple(check for check in change.checks if check.behind or not self.stays(check.path))
        deletes = {edit.path for phase in phases for edit in phase.inverse if edit.op is Op.DELETE}
        covered = {path for path in change.fingerprint.paths if not self._kept(path, holding)}
        paths = change.fingerprint.model_copy(update={"paths": tuple(sorted(covered | deletes))})
        return change.model_copy(update={"phases": tuple(phases), "checks": checks, "fingerprint": paths})

    def _parted(self, edit: Edit, holding: Set[Path]) -> Iterator[Edit]:
        """An edit of an inverse; a delete of what something that stays stands in takes the rest of it apart."""
        if edit.op is not Op.DELETE or not self._kept(edit.path, holding):
            if not self.stays(edit.path):
                yield edit
            return
        inside = [path for path in self._made if is_below(path, edit.path) and path in self.tree]
        goes = {path for path in inside if not self._kept(path, holding)}
        for path in inside:
            if path in goes and parent(path) not in goes:
                yield Edit(op=Op.DELETE, path=path, before=dict(self.tree[path]), owners=self._made[path])

    # -------------------------------------------------------------- for people

    @property
    def kept(self) -> tuple[Path, ...]:
        """Entries of the job that stay, without those that were taken back before."""
        paths = dict.fromkeys(edit.path for phase in _phases(self.ended) for edit in phase.edits)
        return tuple(path for path in paths if self.stays(path) and not self.left[self._part(path)].back)

    @property
    def cells(self) -> frozenset[str]:
        """Cells that stay as they are."""
        return frozenset(part.cell for part in self.left if part.cell)

    def findings(self) -> Iterator[Finding]:
        """What stays: the part, who changed it since, and what can be done; and, by its reason, what that needs."""
        needed: dict[str, list[_Part]] = {}
        for part, why in self.left.items():
            if why.runs or why.others or why.inside:
                yield self._finding([part], why.words(self.ended.station))
            elif not why.back:
                needed.setdefault(first_names(why.needed, between="; "), []).append(part)
        for reason, parts in needed.items():
            yield self._finding(parts, reason)

    def _finding(self, parts: Sequence[_Part], reason: str) -> Finding:
        cells = [part.cell for part in parts if part.cell]
        names = first_names([part.name(self.root) for part in parts])
        stay = "stays as it is" if len(parts) == 1 else "stay as they are"
        message = f"{self.ended.station}: {names} {stay}: {reason}"
        cell = cells[0] if len(cells) == len(parts) == 1 else ""
        return Finding("stays-as-it-is", Severity.WARNING, message, self.ended.station, cell)

    def reason(self) -> str:
        """Why nothing of the job can be taken back."""
        whole = Why()
        for why in self.left.values():
            whole.merge(why)
        return whole.words(self.ended.station)


def things(root: NodeSpec, ended: EndedJob) -> list[_Thing]:
    """What a job changed in total, without, for example, a cell that it locked and unlocked again."""
    total = effects(root, list(_phases(ended)))
    entries = [path for path, (before, after) in total.exists.items() if before is not after]
    leaves = [
        (path, leaf)
        for path, pairs in total.leaves.items()
        for leaf, (before, after) in pairs.items()
        if before != after
    ]
    ledger = (*ended.before.absent, *(entry.path for entry in ended.before.entries))
    return [*((path, _WHOLE) for path in entries), *leaves, *((path, _LEDGER) for path in ledger)]


def restored(ended: EndedJob) -> bool:
    """Whether a job left the ledger as it was, as one does that only brings back what was applied."""
    return not (ended.before.entries or ended.before.absent)


def _phases(ended: EndedJob) -> Iterator[Phase]:
    return (phase for change in (*ended.changes, *ended.unsure) for phase in change.phases)


def _above(path: Path) -> Iterator[Path]:
    while path := parent(path):
        yield path


def _covers(taken: _Thing, thing: _Thing) -> bool:
    return thing == taken or (taken[1] == _WHOLE and is_below(thing[0], taken[0]))


def _meet(one: _Thing, other: _Thing) -> bool:
    """Whether two are the same, or one is inside the other: an entry includes all below it."""
    return _covers(one, other) or _covers(other, one)
