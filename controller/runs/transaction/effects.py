"""Effects of a change on a device's tree: net effect, remaining edits, and unintended losses. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from controller.models.many import first_names
from controller.models.plan import Change, Edit, LedgerNode, Op, Phase
from controller.nrm.apply import siblings
from controller.nrm.containers import others_in
from controller.nrm.diff import effective, settled
from controller.nrm.schema import NodeSpec, lasting, spec_of
from controller.nrm.tree import LeafName, Leaves, Observed, Path, Tree, Value, is_below

_Pair = tuple[Value | None, Value | None]


@dataclass(slots=True)
class Effects:
    """Net effect of the edits of some phases; a leaf at its default equals an absent one.

    A cell that was set to shut down may be locked meanwhile: the station does that by itself.

    Attributes:
        root: Schema of the device.
        exists: Whether each created or deleted entry exists before and after.
        leaves: Value of each edited leaf before and after, None where it is absent.
        first: Whether an entry of a list in order that was taken out and put back stands first, before and after.
        gone: What went with deleted entries, themselves included: one that is created again was there before.
    """

    root: NodeSpec
    exists: dict[Path, tuple[bool, bool]] = field(default_factory=dict)
    leaves: dict[Path, dict[LeafName, _Pair]] = field(default_factory=dict)
    first: dict[Path, tuple[bool, bool]] = field(default_factory=dict)
    gone: dict[Path, Leaves] = field(default_factory=dict)

    def after_holds(self, tree: Tree) -> bool:
        """Whether the tree is in the state after all phases."""
        return self._holds(tree, 1)

    def before_holds(self, tree: Tree) -> bool:
        """Whether the tree is in the state before all phases."""
        return self._holds(tree, 0)

    def not_after(self, tree: Tree) -> list[Path]:
        """Entries that are not as they are after all phases."""
        return list(dict.fromkeys(self._differing(tree, 1)))

    def not_before(self, tree: Tree) -> list[Path]:
        """Entries that are not as they are before all phases."""
        return list(dict.fromkeys(self._differing(tree, 0)))

    def _holds(self, tree: Tree, side: int) -> bool:
        return next(self._differing(tree, side), None) is None

    def _differing(self, tree: Tree, side: int) -> Iterator[Path]:
        for path, there in self.exists.items():
            if (path in tree) is not there[side] and not self._spared(path, tree):
                yield path
        for path, first in self.moved:
            if path in tree and (siblings(tree, path)[0] == path) is not first[side]:
                yield path
        for path, pairs in self.leaves.items():
            wanted = {leaf: pair[side] for leaf, pair in pairs.items()}
            if self.exists.get(path, (True, True))[side] and not self._leaves_hold(path, wanted, tree):
                yield path

    def _spared(self, path: Path, tree: Tree) -> bool:
        """Whether an entry that these edits created could not go again, since others put something into it."""
        return (
            path in tree
            and path.startswith(self.root.around)
            and self.exists[path] == (False, True)
            and bool(others_in(path, tree, self.exists))
        )

    @property
    def moved(self) -> list[tuple[Path, tuple[bool, bool]]]:
        """Entries that the phases together move to or from the first place of their list."""
        return [(path, pair) for path, pair in self.first.items() if pair[0] is not pair[1]]

    def _leaves_hold(self, path: Path, wanted: dict[LeafName, Value | None], tree: Tree) -> bool:
        there = effective(self.root, path, tree.get(path, {}))
        given = effective(self.root, path, {leaf: value for leaf, value in wanted.items() if value is not None})
        return all(settled(self.root, path, leaf, given.get(leaf), there.get(leaf)) for leaf in wanted)

    def add(self, edit: Edit) -> None:
        """Add the effect of one more edit."""
        if edit.op is Op.MERGE:
            for leaf in {*edit.before, *edit.after}:
                self._leaf(edit.path, leaf, edit.before.get(leaf), edit.after.get(leaf))
            return
        exists_after = edit.op is Op.CREATE
        before = self.exists.get(edit.path, (not exists_after or edit.path in self.gone, False))[0]
        self.exists[edit.path] = (before, exists_after)
        was = self.gone.get(edit.path, {}) if exists_after else edit.before
        for leaf, value in edit.after.items() if exists_after else edit.before.items():
            self._leaf(edit.path, leaf, was.get(leaf), value if exists_after else None)

    def _leaf(self, path: Path, leaf: LeafName, before: Value | None, after: Value | None) -> None:
        pairs = self.leaves.setdefault(path, {})
        first = pairs[leaf][0] if leaf in pairs else before
        pairs[leaf] = (first, after)


def effects(root: NodeSpec, phases: Sequence[Phase]) -> Effects:
    """Net effect of phases in order."""
    total = Effects(root)
    for phase in phases:
        for edit in phase.edits:
            total.add(edit)
        # A delete names only the top entry; its inverse names all entries below it.
        restored = [edit for edit in phase.inverse if edit.op is Op.CREATE]
        total.gone |= {edit.path: edit.after for edit in restored}
        stood = {edit.path: edit.after_sibling == "" for edit in restored if edit.after_sibling is not None}
        total.first |= {path: (total.first.get(path, (first,))[0], first) for path, first in stood.items()}
        put = {edit.path: edit.after_sibling == "" for edit in phase.edits if edit.op is Op.CREATE}
        total.first |= {path: (total.first[path][0], first) for path, first in put.items() if path in total.first}
    return total


def cuts_the_way(root: NodeSpec, phases: Iterable[Phase]) -> bool:
    """Whether phases edit the management path of the device, and could cut the connection to it."""
    edited = (spec_of(root, edit.path) for phase in phases for edit in phase.edits)
    return any(spec is not None and spec.management_path for spec in edited)


def vanished(carried: Collection[Path], phases: Iterable[Phase], seen: Observed) -> str:
    """Entries that were there, that no phase deletes, and that are gone, in words; empty if there are none.

    An emptied device looks as it did before a change that only creates; only its other entries show the difference.
    """
    lost = [path for path in carried if path not in seen.tree and not seen.unseen(path)]
    if not lost:
        return ""
    deleted = [edit.path for phase in phases for edit in phase.edits if edit.op is Op.DELETE]
    gone = [path for path in lost if not any(is_below(path, above) for above in deleted)]
    if not gone:
        return ""
    count = f"{len(gone)} of {len(carried)}"
    return f"{count} nodes are gone from the device, and nobody asked for that: {first_names(sorted(gone))}"


def changed_service(root: NodeSpec, seen: Observed, expected: Tree) -> tuple[Path, ...]:
    """Paths, as of fingerprints, of what tenants' service rests on and that is otherwise than expected.

    These are PLMNs, slices, radio shares and core links, and identities and carriers of cells, whoever owns them. A
    device may answer ok to a change and do more than that: nobody else sees it before the change is kept for good.
    """
    found = []
    for path in changed(root, seen, expected):
        if path.startswith(root.around) or (spec := spec_of(root, path)) is None:
            continue
        leaves = spec.service
        if leaves is None:
            found.append(path)
        elif path in expected:  # what a device makes besides has no service in it
            found += [f"{path}/{leaf}" for leaf in sorted(leaves)]
    return tuple(found)


def changed(root: NodeSpec, seen: Observed, expected: Tree) -> tuple[Path, ...]:
    """Entries that are otherwise than expected, without those that the device makes and drops itself."""
    there = seen.tree
    if there == expected:
        return ()
    differing: Tree = {path: {} for path in {**expected, **there} if there.get(path) != expected.get(path)}
    return tuple(path for path in lasting(root, differing) if not seen.unseen(path))


def unfinished(root: NodeSpec, inverse: Iterable[Edit], tree: Tree) -> tuple[Edit, ...]:
    """The part of an inverse that is left to do after edits were carried out in part; empty if nothing is.

    A leaf at its default equals an absent one.
    """
    left = []
    for edit in inverse:
        there = tree.get(edit.path)
        if there is None:
            left += [edit] if edit.op is Op.CREATE else []
        elif edit.op is Op.DELETE:
            left.append(edit)
        else:
            left += _merged(root, edit, there)
    return tuple(left)


def _merged(root: NodeSpec, edit: Edit, there: Leaves) -> list[Edit]:
    """What an existing entry lacks to be as the edit leaves it."""
    names = {*edit.before, *edit.after} if edit.op is Op.MERGE else {*there, *edit.after}
    seen, wanted = (effective(root, edit.path, leaves) for leaves in (there, edit.after))
    differing = [name for name in sorted(names) if seen.get(name) != wanted.get(name)]
    if not differing:
        return []
    before = {name: there[name] for name in differing if name in there}
    after = {name: edit.after[name] for name in differing if name in edit.after}
    return [edit.model_copy(update={"op": Op.MERGE, "before": before, "after": after, "after_sibling": None})]


def astray(change: Change) -> tuple[LedgerNode, ...]:
    """Nodes that a change creates on a device that takes nothing back by itself, if their fate is unknown.

    They go on record as ours, so that they can be removed later.
    """
    made = [edit.path for phase in change.phases for edit in phase.edits if edit.op is Op.CREATE]
    found = () if change.reverts else change.gained
    return tuple(node for node in found if any(is_below(node.path, path) for path in made))
