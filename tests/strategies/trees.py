"""Generated schemas and device trees: small, but with every feature that diff and inverse speak of."""

from __future__ import annotations

from hypothesis import strategies as st

from controller.models.plan import Edit, Op
from controller.nrm.diff import diff
from controller.nrm.schema import LeafSpec, NodeSpec
from controller.nrm.tree import Leaves, Path, Tree, child, parent

_VALUES = ("1", "2", "3")
_KEYS = ("a", "b", "c/d", "e[1]")


@st.composite
def schemas(draw: st.DrawFn) -> NodeSpec:
    """A root with up to three lists below it, each with up to two lists below that."""
    return NodeSpec("Root", "urn:test", leaves=draw(_leaves()), children=tuple(draw(_children(depth=2))))


@st.composite
def _children(draw: st.DrawFn, depth: int) -> list[NodeSpec]:
    if depth == 0:
        return []
    return [
        NodeSpec(
            f"List{depth}{number}",
            "urn:test",
            keys=("x", "y")[: draw(st.integers(1, 2))],
            leaves=draw(_leaves()),
            children=tuple(draw(_children(depth - 1))),
            user_ordered=draw(st.booleans()),
        )
        for number in range(draw(st.integers(1, 3)))
    ]


@st.composite
def _leaves(draw: st.DrawFn) -> tuple[LeafSpec, ...]:
    defaults = draw(st.lists(st.sampled_from([None, "1"]), max_size=3))
    return tuple(LeafSpec(f"leaf{number}", default=default) for number, default in enumerate(defaults))


@st.composite
def trees(draw: st.DrawFn, root: NodeSpec) -> Tree:
    """A canonical tree of a schema, siblings in any order."""
    tree: dict[Path, Leaves] = {}
    _grow(draw, root, child("", root.name, "top"), tree)
    return tree


def _grow(draw: st.DrawFn, spec: NodeSpec, path: Path, tree: dict[Path, Leaves]) -> None:
    leaves = {leaf.name: draw(st.sampled_from(_VALUES)) for leaf in spec.leaves if draw(st.booleans())}
    known = spec.leaf_by_name
    tree[path] = {name: value for name, value in leaves.items() if value != known[name].default}
    for below in spec.children:
        keys = st.tuples(*[st.sampled_from(_KEYS)] * len(below.keys))
        for key in draw(st.lists(keys, max_size=3, unique=True)):
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
