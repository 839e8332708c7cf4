"""Generated schemas and device trees: small, but with every feature that diff and inverse speak of."""

from __future__ import annotations

from hypothesis import strategies as st

from controller.models.plan import Edit, Op
from controller.nrm.diff import diff
from controller.nrm.schema import LeafSpec, NodeSpec
from controller.nrm.tree import Leaves, Path, Tree, child, parent

# Strategies are made once: to make and check one takes longer than to draw from it.
_KEY = st.sampled_from(("a", "b", "c/d", "e[1]"))
#: Entries of a list, by the number of its keys.
_ENTRIES = {number: st.lists(st.tuples(*[_KEY] * number), max_size=3, unique=True) for number in (1, 2)}
#: A leaf is there or not.
_VALUE = st.sampled_from((None, None, None, "1", "2", "3"))
_DEFAULTS = st.lists(st.sampled_from([None, "1"]), max_size=3)
_LISTS = st.integers(1, 3)
#: Number of keys, and whether the user orders the entries.
_SHAPE = st.sampled_from([(1, False), (1, True), (2, False), (2, True)])


@st.composite
def schemas(draw: st.DrawFn) -> NodeSpec:
    """A root with up to three lists below it, each with up to two lists below that."""
    return NodeSpec("Root", "urn:test", leaves=_leaves(draw), children=_children(draw, depth=2))


def _children(draw: st.DrawFn, depth: int) -> tuple[NodeSpec, ...]:
    if depth == 0:
        return ()
    found = []
    for number in range(draw(_LISTS)):
        keys, ordered = draw(_SHAPE)
        made = NodeSpec(
            f"List{depth}{number}",
            "urn:test",
            keys=("x", "y")[:keys],
            leaves=_leaves(draw),
            children=_children(draw, depth - 1),
            user_ordered=ordered,
        )
        found.append(made)
    return tuple(found)


def _leaves(draw: st.DrawFn) -> tuple[LeafSpec, ...]:
    return tuple(LeafSpec(f"leaf{number}", default=default) for number, default in enumerate(draw(_DEFAULTS)))


@st.composite
def trees(draw: st.DrawFn, root: NodeSpec) -> Tree:
    """A canonical tree of a schema, siblings in any order."""
    tree: dict[Path, Leaves] = {}
    _grow(draw, root, child("", root.name, "top"), tree)
    return tree


def _grow(draw: st.DrawFn, spec: NodeSpec, path: Path, tree: dict[Path, Leaves]) -> None:
    # In a canonical tree a leaf that has its default is absent.
    tree[path] = {leaf.name: value for leaf in spec.leaves if (value := draw(_VALUE)) not in (None, leaf.default)}
    for below in spec.children:
        for key in draw(_ENTRIES[len(below.keys)]):
            _grow(draw, below, child(path, below.name, *key), tree)


def edits_between(root: NodeSpec, before: Tree, after: Tree) -> tuple[Edit, ...]:
    """Edits that make ``before`` carry what ``after`` has; surplus entries go."""
    found = diff(root, before, after)
    gone = [path for path in found.surplus if parent(path) not in found.surplus]
    return (
        *(Edit(op=Op.DELETE, path=path, before=dict(before[path]), owners=("t",)) for path in gone),
        *(
            Edit(op=Op.MERGE, path=path, before=leaves.before, after=leaves.after, owners=("t",))
            for path, leaves in found.changed.items()
        ),
        *(Edit(op=Op.CREATE, path=path, after=dict(after[path]), owners=("t",)) for path in found.missing),
    )
