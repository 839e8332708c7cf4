"""What a device carries by the steps of a job: its changes with what took them back, as what they come to together."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet

from controller.models.plan import Change, Edit, LeafValues, Op, Phase
from controller.models.run import LedgerEntry
from controller.models.step import INVERSE, StepRecord
from controller.nrm.profiles import default_of
from controller.nrm.tree import LeafName, Path, Value, is_below

#: A leaf of an entry, or with an empty name whether the entry is there.
_Thing = tuple[Path, LeafName]
_THERE = ""


def carried(steps: Iterable[StepRecord]) -> Iterator[Change]:
    """Changes that a device carries by the steps of a job, in order (``carrying``).

    They enter the ledger when the job ends. An undo that had nothing to do leaves them.
    """
    return (row.change for row in carrying(steps) if row.change is not None)


def carrying(steps: Iterable[StepRecord]) -> Iterator[StepRecord]:
    """Steps whose change a device carries, in order, each with the part of it that was not taken back.

    An inverse takes all of a step's change back. An ``undo`` of the playbook does what it does, which may be less or
    something else: then what it did is a change like that of a step.
    """
    rows = {(row.position, row.undo): row for row in steps}
    done = [row for _, row in sorted(rows.items(), key=_order) if _may_stay(row, rows)]
    pairs = [row for row in done if (row.position, not row.undo) in rows]
    stays = {path for path, _ in standing(row.change for row in pairs if row.change is not None)}
    for row in done:
        if row not in pairs:
            yield row
        elif (left := _part(row.change, stays)) is not None:
            yield row.model_copy(update={"change": left})


def standing(changes: Iterable[Change], ledger: Mapping[Path, LedgerEntry] | None = None) -> dict[_Thing, Value | None]:
    """What changes together leave other than they found it, with its value; an entry that is gone has None.

    Args:
        changes: Changes of one device, in the order in which it got them.
        ledger: What was applied to the device before: what only comes to that was brought back, and does not count.
    """
    first: dict[_Thing, Value | None] = {}
    last: dict[_Thing, Value | None] = {}
    for phase in (phase for change in changes for phase in change.phases):
        for thing, before, after in _effects(phase):
            first.setdefault(thing, before)
            last[thing] = after
    found = {thing: value for thing, value in last.items() if value != first[thing]}
    return {thing: value for thing, value in found.items() if not _applied(thing, value, found, ledger or {})}


def _order(item: tuple[tuple[int, bool], StepRecord]) -> tuple[bool, int]:
    """Steps in their order, and then what took them back, the last one first."""
    (position, undo), _ = item
    return undo, -position if undo else position


def _may_stay(row: StepRecord, rows: Mapping[tuple[int, bool], StepRecord]) -> bool:
    """Whether a device may carry something of a row: it has a change that came to be, and no inverse took it back."""
    if row.change is None or row.outcome is None or not row.outcome.good or (row.undo and row.action == INVERSE):
        return False
    step, back = rows.get((row.position, False)), rows.get((row.position, True))
    if step is None or back is None or not back.changed:
        return True
    return back.action != INVERSE and not _made_again(step, back)


def _made_again(step: StepRecord, back: StepRecord) -> bool:
    """Whether an undo made what its step had made: the device had lost that in between, as with its function's pod."""
    made, again = ({edit.path for edit in _edits(row.change) if edit.op is Op.CREATE} for row in (step, back))
    return not made.isdisjoint(again)


def _part(change: Change | None, stays: AbstractSet[Path]) -> Change | None:
    """The part of a change that concerns some entries; None if it has none.

    Of what was taken back nothing enters the ledger, and nothing leaves it.
    """
    if change is None or all(edit.path in stays for edit in _edits(change)):
        return change
    taken = {edit.path for edit in _edits(change)} - {*stays}

    def is_back(path: Path) -> bool:
        return path not in stays and any(is_below(path, one) for one in taken)

    phases = [
        phase.model_copy(
            update={
                "edits": tuple(edit for edit in phase.edits if edit.path not in taken),
                "inverse": tuple(edit for edit in phase.inverse if edit.path not in taken),
                "wait": tuple(wait for wait in phase.wait if wait.path not in taken),
            }
        )
        for phase in change.phases
    ]
    left = tuple(phase for phase in phases if phase.edits)
    checks = tuple(check for check in change.checks if check.path not in taken)
    gained = tuple(node for node in change.gained if not is_back(node.path))
    lost = tuple(path for path in change.lost if not is_back(path))
    if not left and stays.isdisjoint(lost):
        return None
    return change.model_copy(update={"phases": left, "checks": checks, "gained": gained, "lost": lost})


def _edits(change: Change | None) -> list[Edit]:
    return [] if change is None else [edit for phase in change.phases for edit in phase.edits]


def _effects(phase: Phase) -> Iterator[tuple[_Thing, Value | None, Value | None]]:
    """Each thing that a phase edits, before and after; a leaf at its default equals an absent one."""
    # A delete names only the top entry; its inverse names all entries below it.
    restored = {edit.path: edit.after for edit in phase.inverse if edit.op is Op.CREATE}
    created = {edit.path for edit in phase.edits if edit.op is Op.CREATE}
    for edit in phase.edits:
        yield from _of_leaves(edit.path, edit.before, edit.after)
        if edit.op is not Op.MERGE:
            there = edit.op is Op.CREATE
            yield (edit.path, _THERE), None if there else "there", "there" if there else None
    for path, leaves in restored.items():
        if path not in created:
            yield from _of_leaves(path, leaves, {})
            yield (path, _THERE), "there", None


def _of_leaves(
    path: Path, before: LeafValues, after: LeafValues
) -> Iterator[tuple[_Thing, Value | None, Value | None]]:
    for leaf in {**before, **after}:
        default = default_of(path, leaf)
        yield (path, leaf), before.get(leaf, default), after.get(leaf, default)


def _applied(thing: _Thing, value: Value | None, found: Collection[_Thing], ledger: Mapping[Path, LedgerEntry]) -> bool:
    """Whether what stands is what was applied there before: an entry that came back, or a leaf of it."""
    path, leaf = thing
    if path not in ledger or value is None:
        return False
    return (path, _THERE) in found or ledger[path].leaves.get(leaf) == value
