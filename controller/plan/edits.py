"""Makes edits of the difference of two trees: entries that are created, changed, replaced and, if named, removed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from controller.models.facts import Owners
from controller.models.plan import Edit, Op
from controller.models.run import LedgerEntry
from controller.nrm.containers import others_in
from controller.nrm.diff import Difference, LeafDifference, diff, plmn_part
from controller.nrm.profiles import Rendered, broadcast_plmn, carriers_of, cell_of, leaf_of, share_parts
from controller.nrm.schema import LeafRole, Mutability, NodeRole, NodeSpec, elsewhere, list_of, self_made, spec_of
from controller.nrm.tree import LeafName, Observed, Path, Tree, Value, is_below, leads_through, leads_to, parent, step

#: Code of a refusal, or of a finding of a repair: another PLMN stands where the primary one has to.
PRIMARY_CHANGE = "primary-plmn-change"


@dataclass(slots=True)
class Edits:
    """The edits that one station needs, and obstacles to them.

    Attributes:
        edits: Deletes, then merges, then creates (parents first); each list entry at most once.
        replaced: New path of a ``single`` list → the old path that it takes the place of.
        kept: The same of identities on air that differ from what is wanted and stay.
        moved: Cell entry → PLMNs that stand before its new primary one there and go behind all others, in their order.
        removes: Ledger nodes deleted, by owner.
        lost: Ledger paths that the edits end, or that are neither there nor wanted.
        orphans: Ledger nodes that nobody wants any more and whose removal was not named.
        entangled: Of those, nodes whose removal was named but that hold nodes which must stay; with those of them that
            are not ours.
        naming: Of the entangled ones beside the managed element, the entries that stay and name them.
        required: Of the orphans, nodes whose removal was named but that an entry which stays can't be without.
        along: Entries that go → what goes with them that is not ours, since the device made it for them.
        unknown: Nodes that are neither wanted nor in the ledger, topmost only.
        appended: Entries that have to stand first in their lists and go to the end, since the device knows no places.
        displaced: In a repair, why primary PLMNs that somebody put behind others stay there.
        refused: Why the station can't be planned: what would be an operation of its own.
    """

    edits: list[Edit] = field(default_factory=list)
    replaced: dict[Path, Path] = field(default_factory=dict)
    kept: dict[Path, Path] = field(default_factory=dict)
    moved: dict[Path, tuple[Path, ...]] = field(default_factory=dict)
    removes: Counter[str] = field(default_factory=Counter)
    lost: list[Path] = field(default_factory=list)
    orphans: dict[Path, Owners] = field(default_factory=dict)
    entangled: dict[Path, tuple[Path, ...]] = field(default_factory=dict)
    naming: dict[Path, tuple[Path, ...]] = field(default_factory=dict)
    required: list[Path] = field(default_factory=list)
    along: dict[Path, tuple[Path, ...]] = field(default_factory=dict)
    unknown: list[Path] = field(default_factory=list)
    appended: list[Path] = field(default_factory=list)
    displaced: dict[Path, str] = field(default_factory=dict)
    refused: list[tuple[str, Path, str]] = field(default_factory=list)


def find_edits(
    root: NodeSpec,
    observed: Observed,
    rendered: Rendered,
    ledger: Mapping[Path, LedgerEntry],
    remove: Collection[str],
    *,
    identities: bool = False,
    repairs: bool = False,
) -> Edits:
    """Compare one station with its desired tree.

    Args:
        root: Its schema.
        observed: What it says of itself.
        rendered: What it should carry.
        ledger: What we adopted or applied there.
        remove: Owners whose unwanted nodes may be removed.
        identities: Whether identities on air may change.
        repairs: Whether it is a repair, in which a primary PLMN that others displaced stays as it is.
    """
    found = Edits()
    difference = diff(root, observed.tree, rendered.tree)
    if difference.surplus:
        _Surplus(root, observed, rendered, ledger, frozenset(remove), identities, found).sort(difference)
    for path, leaves in difference.changed.items():
        fixed = _create_only(root, path, leaves)
        if fixed:
            found.refused.append(("create-only", path, f"{fixed} can't be changed on an existing entry"))
        before, after = _followed(root, observed.tree, rendered.tree, path, leaves)
        found.edits.append(Edit(op=Op.MERGE, path=path, before=before, after=after, owners=rendered.owners[path]))
    first = _primaries(root, observed.tree, rendered, ledger, found, identities=identities, repairs=repairs)
    for path in (path for path in difference.missing if path not in found.kept):
        places = observed.behaviour.places
        found.edits.append(_create(root, rendered, path, "" if path in first and places else None))
        found.appended += [path] if path in first and not places else []
    found.lost.extend(path for path in ledger if path not in observed.tree and path not in rendered.tree)
    found.lost[:] = dict.fromkeys(found.lost)
    return found


def _followed(
    root: NodeSpec, observed: Tree, wanted: Tree, path: Path, leaves: LeafDifference
) -> tuple[dict[LeafName, Value], dict[LeafName, Value]]:
    """Changes of an entry, before and after: leaves that differ, and leaves that must follow them."""
    spec = spec_of(root, path)
    has = observed[path]
    follow = {} if spec is None else spec.followed(path, {**has, **leaves.after}, leaves.after.keys(), wanted)
    moved = {name: value for name, value in follow.items() if value != has[name]}
    return {**leaves.before, **{name: has[name] for name in moved}}, {**leaves.after, **moved}


def _create(root: NodeSpec, rendered: Rendered, path: Path, after_sibling: Path | None) -> Edit:
    spec = spec_of(root, path)
    after = dict(rendered.tree[path]) if spec is None else spec.begun(path, rendered.tree)
    state = None if spec is None else spec.leaf_by_role.get(LeafRole.ADMINISTRATIVE_STATE)
    if spec is not None and state is not None and spec.is_cell:
        # Silent until its unlock phase, whatever the device's default is.
        after[state.name] = "LOCKED"
    elif state is not None and state.default == "LOCKED":
        after[state.name] = "UNLOCKED"  # a tenant's own cell serves whenever the cell below it does
    return Edit(op=Op.CREATE, path=path, after=after, owners=rendered.owners[path], after_sibling=after_sibling)


def _create_only(root: NodeSpec, path: Path, leaves: LeafDifference) -> str:
    spec = spec_of(root, path)
    known = spec.leaf_by_name if spec else {}
    names = {*leaves.before, *leaves.after}
    return ", ".join(sorted(name for name in names if known[name].mutability is Mutability.CREATE_ONLY))


# -------------------------------------------------------------------------- surplus


@dataclass(frozen=True, slots=True)
class _Surplus:
    """Sorts surplus entries: replaced, removed, orphaned or unknown."""

    root: NodeSpec
    observed: Observed
    rendered: Rendered
    ledger: Mapping[Path, LedgerEntry]
    remove: frozenset[str]
    identities: bool
    found: Edits
    #: What goes, with all below it.
    gone: set[Path] = field(default_factory=set)

    def sort(self, difference: Difference) -> None:
        """Sort the surplus from the top down; an entry that goes takes all below it along.

        What stands beside the root comes last, behind the entries that refer to it.
        """
        vacant, moved = self._vacant(difference), self._moved(difference)
        unknown: set[Path] = set()
        gone = self.gone
        for path in sorted(difference.surplus, key=lambda one: one.startswith(self.root.around)):
            if parent(path) in gone:
                gone.add(path)
                continue
            place = vacant.pop(list_of(path), None)
            if place is not None and self._stays(place):
                self.found.kept[place] = path
            elif place is not None:
                self._replace(path, place)
                gone.add(path)
            elif self._moves(path, moved) or self._is_misplaced(path) or self._goes_elsewhere(path, difference):
                self._delete(path, self.ledger[path].owners)
                self.found.lost.extend((path, *self._below(path)))
                gone.add(path)
            elif path not in self.ledger:
                if parent(path) not in unknown and not self._is_devices_own(path):
                    self.found.unknown.append(path)
                unknown.add(path)
            elif not self._goes(path):
                self._stay(path)
            elif self._is_required(path, difference):
                self.found.orphans[path] = self.ledger[path].owners
                self.found.required.append(path)
            else:
                self._remove(path)
                gone.add(path)

    def _stay(self, path: Path) -> None:
        self.found.orphans[path] = self.ledger[path].owners
        if self._may_go(path):
            there = (*self.observed.tree, *self.observed.unknown)
            self.found.entangled[path] = others_in(path, there, self.ledger)
            self.found.naming[path] = self._naming(path)

    def _is_required(self, path: Path, difference: Difference) -> bool:
        """Whether its parent, which stays, has too few entries of its list without it.

        Of several that could go the first stay: in an ordered list the first is the primary one.
        """
        spec = spec_of(self.root, path)
        if spec is None or not spec.minimum:
            return False
        begins = f"{list_of(path)}["
        there = [one for one in self.observed.tree if one.startswith(begins) and parent(one) == parent(path)]
        staying = sum(1 for one in there if one != path and not self._leaves(one, difference))
        coming = sum(1 for one in difference.missing if one.startswith(begins) and parent(one) == parent(path))
        return staying + coming < spec.minimum

    def _leaves(self, path: Path, difference: Difference) -> bool:
        stays = path not in difference.surplus or path in self.found.required
        return path in self.gone or (not stays and self._goes(path))

    def _vacant(self, difference: Difference) -> dict[str, Path]:
        """Lists with at most one entry that get a new one: list → the new entry."""
        return {
            list_of(path): path
            for path in difference.missing
            if (spec := spec_of(self.root, path)) is not None and spec.single
        }

    def _moved(self, difference: Difference) -> dict[tuple[str, tuple[str, ...]], Owners]:
        """Owners of PLMNs that are put on air in a cell, by cell and keys."""
        put = (path for path in difference.missing if broadcast_plmn(path))
        return {_on_air(path): self.rendered.owners[path] for path in put}

    def _moves(self, path: Path, moved: Mapping[tuple[str, tuple[str, ...]], Owners]) -> bool:
        """Whether all PLMNs of an entry stay on air in the same cell, in another list and for the same owners.

        A PLMN stands either among those that share the cell's identity, or apart with its own.
        """
        known = self.ledger.get(path)
        if known is None or not moved:
            return False
        inner = (path, *self._below(path))
        plmns = [one for one in inner if broadcast_plmn(one)]
        return (
            bool(plmns)
            and all(one in self.ledger and self.ledger[one].owners == known.owners for one in inner)
            and all(moved.get(_on_air(one)) == known.owners for one in plmns)
        )

    def _is_misplaced(self, path: Path) -> bool:
        """Whether it is a share of ours in a wrong place: its members have one of the same resource elsewhere.

        That is below another part of its cell, below a function of the station, or under another name.
        """
        known, members = self.ledger.get(path), [one for one in self._below(path) if one != path]
        if (
            known is None
            or not share_parts(path)
            or any(one not in self.ledger or self.ledger[one].owners != known.owners for one in members)
        ):
            return False
        resource = leaf_of(path, LeafRole.SHARE_RESOURCE)
        homes = {
            other
            for other, owners in self.rendered.owners.items()
            if owners == known.owners
            and share_parts(other)
            and cell_of(other) in ("", cell_of(path))
            and self.rendered.tree[other].get(resource) == self.observed.tree[path].get(resource)
        }
        theirs = {step(one)[1] for one in self.rendered.tree if parent(one) in homes}
        return bool(members) and theirs.issuperset(step(one)[1] for one in members)

    def _goes_elsewhere(self, path: Path, difference: Difference) -> bool:
        """Whether it is all ours, and moves to another place for the same owners by the same change."""
        spec, known = spec_of(self.root, path), self.ledger.get(path)
        return (
            spec is not None
            and spec.place
            and known is not None
            and all(one in self.ledger or self._is_self_made(one) for one in self._below(path))
            and not any(is_below(node, path) for node in self.observed.unknown)
            and any(
                self.rendered.owners[other] == known.owners for other in elsewhere(self.root, path, difference.missing)
            )
        )

    def _stays(self, path: Path) -> bool:
        """Whether it is an identity that may not change."""
        spec = spec_of(self.root, path)
        return spec is not None and spec.role is NodeRole.NODE_PLMN and not self.identities

    def _replace(self, old: Path, new: Path) -> None:
        """An attribute that is written as a list changes its value: it is no removal, and it is ours."""
        self.found.replaced[new] = old
        self._delete(old, self.rendered.owners[new])
        self.found.lost.extend(path for path in self.ledger if is_below(path, old))

    def _is_devices_own(self, path: Path) -> bool:
        spec = spec_of(self.root, path)
        return spec is not None and (spec.management_path or bool(spec.given) or spec.self_made)

    def _is_self_made(self, path: Path) -> bool:
        return path not in self.ledger and self_made(self.root, path)

    def _goes_along(self, path: Path) -> bool:
        """Whether the device made it for an entry of ours, so that it can't be without that."""
        return self._is_self_made(path) and not path.startswith(self.root.around)

    def _may_go(self, path: Path) -> bool:
        return path in self.ledger and all(owner in self.remove for owner in self.ledger[path].owners)

    def _goes(self, path: Path) -> bool:
        return self._may_go(path) and self._holds_nothing_else(path)

    def _holds_nothing_else(self, path: Path) -> bool:
        return (
            all(self._may_go(below) or self._goes_along(below) for below in self._below(path))
            and not any(is_below(node, path) for node in self.observed.unknown)
            and all(self._goes(member) for member in self._members(path))
        )

    def _members(self, path: Path) -> Iterator[Path]:
        """Entries elsewhere that name this one as theirs; of what stands beside the root, all that refer to it.

        Of a sector carrier, surplus cells that it transmits.
        """
        spec = spec_of(self.root, path)
        if spec is not None and spec.member:
            (name,) = step(path)[1]
            yield from (other for other, leaves in self.observed.tree.items() if leaves.get(spec.member) == name)
        elif spec is not None and spec.role is NodeRole.CARRIER:
            surplus = (other for other in self.observed.tree if other not in self.rendered.tree)
            yield from (other for other in surplus if path in carriers_of(self.observed.tree, other))
        elif spec is not None and path.startswith(self.root.around):
            yield from (other for other, name in self._references() if leads_through(name, path))

    def _naming(self, path: Path) -> tuple[Path, ...]:
        """Entries that stay and name one beside the root itself, not only something in it."""
        if not path.startswith(self.root.around):
            return ()
        return tuple(other for other, name in self._references() if leads_to(name, path))

    def _references(self) -> Iterator[tuple[Path, str]]:
        """Entries that stay, and what they name: the cell that a relation leads to, a frequency."""
        for begins in self.root.referring:
            for path in self.observed.tree:
                if begins in path and path not in self.gone and (spec := spec_of(self.root, path)) is not None:
                    leaves = self.rendered.tree.get(path, self.observed.tree[path])
                    yield from ((path, str(leaves.get(leaf, ""))) for leaf in spec.references)

    def _below(self, path: Path) -> Iterator[Path]:
        return (other for other in self.observed.tree if is_below(other, path))

    def _remove(self, path: Path) -> None:
        self._delete(path, self.ledger[path].owners)
        if along := others_in(path, self.observed.tree, self.ledger):
            self.found.along[path] = along
        for below in (one for one in self._below(path) if one in self.ledger):
            self.found.lost.append(below)
            self.found.removes.update(self.ledger[below].owners)

    def _delete(self, path: Path, owners: Owners) -> None:
        before = dict(self.observed.tree[path])
        self.found.edits.append(Edit(op=Op.DELETE, path=path, before=before, owners=owners))


def _on_air(path: Path) -> tuple[str, tuple[str, ...]]:
    """Cell and keys of a PLMN on air, in whichever list it is."""
    return cell_of(path), step(path)[1]


# -------------------------------------------------------------------------- primary


def _primaries(
    root: NodeSpec,
    observed: Tree,
    rendered: Rendered,
    ledger: Mapping[Path, LedgerEntry],
    found: Edits,
    *,
    identities: bool,
    repairs: bool,
) -> set[Path]:
    """Keep each list's primary PLMN first; returns entries that have to be put first.

    The primary forms the global cell identity, so another one is refused unless identities may change: then all of
    ours that stand before it go behind the others. One of ours that vanished is put back where it stood. One that is
    displaced already stays so in a repair, which changes no order: it keeps back nothing else.
    """
    deleted = {edit.path for edit in found.edits if edit.op is Op.DELETE}
    wanted = first_entries(root, rendered.tree)
    there: dict[str, list[Path]] = {name: [] for name in wanted}
    for path in _ordered_plmns(root, observed):
        if path not in deleted and (name := list_of(path)) in there and parent(path) not in deleted:
            there[name].append(path)
    first: set[Path] = set()
    for name, entry in wanted.items():
        order = there[name]
        if not order or plmn_part(order[0]) == plmn_part(entry):
            continue
        names = list(map(plmn_part, order))
        before = order[: names.index(plmn_part(entry)) if plmn_part(entry) in names else None]
        if entry not in observed and entry in ledger:
            first.add(entry)
        elif identities and all(path in rendered.tree for path in before):
            found.moved[parent(entry)] = tuple(before)
        elif repairs and entry in observed:
            found.displaced[entry] = _not_first("stands", entry, order[0], before, rendered.tree)
        else:
            reason = _not_first("would stand", entry, order[0], before, rendered.tree)
            found.refused.append((PRIMARY_CHANGE, entry, reason))
    return first


def _not_first(stands: str, entry: Path, instead: Path, before: Iterable[Path], wanted: Collection[Path]) -> str:
    """The PLMN in the place of a primary one, and the way to have that first."""
    plmn, first = broadcast_plmn(entry), broadcast_plmn(instead)
    others = list(dict.fromkeys(broadcast_plmn(path) for path in before if path not in wanted))
    way = "change-primary-plmn puts it first"
    if others:
        are = "are" if len(others) > 1 else "is"
        way = f"a person first has to take {' and '.join(others)}, which {are} not ours, off the station"
    return f"{first} {stands} first where the primary {plmn} has to; {way}"


def first_entries(root: NodeSpec, tree: Tree) -> dict[str, Path]:
    """First wanted entry of each list of PLMNs that is ordered by user."""
    first: dict[str, Path] = {}
    for path in _ordered_plmns(root, tree):
        first.setdefault(list_of(path), path)
    return first


def displaced(root: NodeSpec, observed: Tree, primaries: Collection[Path]) -> dict[Path, Path]:
    """Primary PLMNs that are on the device and stand first no more, each with the entry that does.

    The first one forms the global cell identity. The place of one that is missing is no difference of its own.
    """
    there: dict[str, list[Path]] = {list_of(path): [] for path in primaries}
    for path in _ordered_plmns(root, observed) if there else ():
        if (name := list_of(path)) in there:
            there[name].append(path)
    found: dict[Path, Path] = {}
    for path in sorted(primaries):
        names = [plmn_part(one) for one in there[list_of(path)]]
        if plmn_part(path) in names[1:] and plmn_part(path) != names[0]:
            found[path] = there[list_of(path)][0]
    return found


def _ordered_plmns(root: NodeSpec, tree: Tree) -> Iterator[Path]:
    """Entries of lists of PLMNs on air that are ordered by user, each list in device order."""
    for step_of in root.ordered_broadcasts:
        for path in tree:
            if step_of in path and (spec := spec_of(root, path)) is not None and spec.user_ordered:
                yield path
