"""Changes and plans in words: rows for a NOC engineer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from controller.models.facts import Owners
from controller.models.plan import DiffRow, Edit, Op, Plan
from controller.nrm.profiles import FUNCTION_ID, cell_of
from controller.nrm.profiles.values import NO_SD
from controller.nrm.schema import KeyRole, LeafRole, NodeSpec, spec_of
from controller.nrm.tree import Leaves, Path, Value, Writers, parent, step, written_by

#: Shown for a missing value.
NOTHING = "–"

_NOBODY: Writers = MappingProxyType({})


def describe(
    root: NodeSpec, edits: Sequence[Edit], replaced: Mapping[Path, Path], writers: Writers = _NOBODY
) -> tuple[DiffRow, ...]:
    """Rows for edits: one for each entry made or removed, one for each leaf changed.

    Args:
        root: Schema of the device.
        edits: The edits of a change's edit phase.
        replaced: New path → old path of entries that take another one's place: one row for both.
        writers: Who else wrote what is there.
    """
    made = {edit.path for edit in edits if edit.op is Op.CREATE}
    details: dict[Path, list[Edit]] = {}
    for edit in edits:
        if edit.op is Op.CREATE and _is_detail(root, edit.path, made):
            details.setdefault(parent(edit.path), []).append(edit)
    detailed = {edit.path for below in details.values() for edit in below}
    gone = set(replaced.values())
    rows: list[DiffRow] = []
    for edit in edits:
        if edit.path in detailed or edit.path in gone:
            continue
        if edit.op is Op.MERGE:
            texts = leaf_texts(root, edit.path, edit.before, edit.after, writers)
            rows.extend(_of_edit(root, edit, *labels) for labels in texts)
        elif edit.path in replaced:
            rows.append(_replaced_row(root, edit, replaced[edit.path]))
        else:
            rows.append(_entry_row(root, edit, details.get(edit.path, ())))
    return tuple(rows)


def row(path: Path, owners: Owners, what: str, before: str, after: str) -> DiffRow:
    """A row about the entry at ``path``."""
    return DiffRow(cell=cell_of(path), tenant=", ".join(owners), what=what, before=before, after=after)


def entry_name(root: NodeSpec, path: Path) -> str:
    """An entry in words, as in ``PLMN 716-10`` or ``S1 link claro-mme-lima``."""
    spec = spec_of(root, path)
    label = (spec.label or spec.name) if spec else step(path)[0]
    return f"{label} {_key_words(spec, path)}".rstrip()


def placed_name(root: NodeSpec, path: Path) -> str:
    """An entry in words, with the object whose attribute it is, as in ``S1 link claro-mme-lima: served PLMN 716-10``.

    Attributes of cells go without, as a row and a finding about them have their cell, and so do those of an object of
    which there is only one.
    """
    spec, at = spec_of(root, path), parent(path)
    above = spec_of(root, at)
    named = spec is not None and above is not None and spec.in_attributes and not (spec.broadcast or above.is_cell)
    name = entry_name(root, path)
    return f"{entry_name(root, at)}: {name}" if named and _key_words(above, at) else name


def nodes(number: int, kind: str = "") -> str:
    """A number of nodes in words, of a ``kind`` as in ``unknown ``."""
    return f"{number} {kind}node{'' if number == 1 else 's'}"


def devices(number: int) -> str:
    """A number of devices, of whatever kind, in words."""
    return f"{number} device{'' if number == 1 else 's'}"


def contents(root: NodeSpec, path: Path, leaves: Leaves) -> str:
    """The content of an entry, in words."""
    spec = spec_of(root, path)
    if spec is None:
        return "present"
    known = spec.leaf_by_name
    words = [
        f"{known[name].label} {_text(value)}"
        for name, value in leaves.items()
        if name in known and known[name].label and not known[name].operational_intent
    ]
    return ", ".join(words) or ("broadcast" if spec.broadcast else "present")


def leaf_texts(
    root: NodeSpec, path: Path, before: Leaves, after: Leaves, writers: Writers = _NOBODY
) -> list[tuple[str, str, str]]:
    """What, before (and who wrote that) and after of each leaf that differs; an absent one shows its default."""
    spec = spec_of(root, path)
    known = spec.leaf_by_name if spec else {}
    texts = []
    for name in {**before, **after}:
        leaf = known[name]
        what = f"{entry_name(root, path)}: {leaf.label or name}"
        by = written_by(writers, path, name)
        texts.append((what, f"{_text(before.get(name, leaf.default))}{by}", _text(after.get(name, leaf.default))))
    return texts


def _is_detail(root: NodeSpec, path: Path, made: set[Path]) -> bool:
    """Whether a new entry is shown with its parent: addresses and PLMNs of a link, members of a share."""
    spec = spec_of(root, path)
    above = spec_of(root, parent(path)) if parent(path) in made else None
    return spec is not None and above is not None and not (spec.broadcast or spec.children or above.is_cell)


def _entry_row(root: NodeSpec, edit: Edit, details: Sequence[Edit]) -> DiffRow:
    words = contents(root, edit.path, edit.before if edit.op is Op.DELETE else edit.after)
    words = "; ".join([words, *(entry_name(root, detail.path) for detail in details)])
    before, after = (words, NOTHING) if edit.op is Op.DELETE else (NOTHING, words)
    return _of_edit(root, edit, placed_name(root, edit.path), before, after)


def _replaced_row(root: NodeSpec, edit: Edit, old: Path) -> DiffRow:
    spec = spec_of(root, edit.path)
    label = (spec.label or spec.name) if spec else ""
    what = f"{entry_name(root, parent(edit.path))}: {label}"
    return _of_edit(root, edit, what, _key_words(spec, old), _key_words(spec, edit.path))


def _of_edit(root: NodeSpec, edit: Edit, what: str, before: str, after: str) -> DiffRow:
    spec = spec_of(root, edit.path)
    relates = spec is not None and spec.is_relation
    return row(edit.path, edit.owners, what, before, after).model_copy(update={"elsewhere": relates})


def _key_words(spec: NodeSpec | None, path: Path) -> str:
    keys = step(path)[1]
    named = dict(zip(spec.key_roles, keys, strict=False)) if spec is not None else {}
    if KeyRole.MCC not in named:
        only = spec is not None and LeafRole.NODE_ID in spec.leaf_by_role and keys == (FUNCTION_ID,)
        return "" if only else " ".join(keys)
    plmn = f"{named[KeyRole.MCC]}-{named[KeyRole.MNC]}"
    if KeyRole.SST not in named:
        return plmn
    sst, sd = named[KeyRole.SST], named.get(KeyRole.SD, NO_SD)
    return f"{plmn} slice {sst if sd == NO_SD else f'{sst}-{sd}'}"


def _text(value: Value | None) -> str:
    if value is None:
        return NOTHING
    return value if isinstance(value, str) else " ".join(value)


# ----------------------------------------------------------------- whole plans


@dataclass(frozen=True, slots=True)
class PlanRow:
    """One row of a plan for people; ``tenant`` is empty if nobody owns the node."""

    station: str
    cell: str
    tenant: str
    what: str
    before: str
    after: str


def render_text(plan: Plan) -> tuple[PlanRow, ...]:
    """All rows of all changes, by station; empty for an empty plan."""
    return tuple(
        PlanRow(change.station, row.cell, row.tenant, row.what, row.before, row.after)
        for change in plan.changes
        for row in change.diff
    )


def locked_outside(name: str) -> str:
    """What is said of a lock that no run of ours set, as far as is known."""
    return f"somebody locked {name} outside of Minka"
