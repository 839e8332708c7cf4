"""Laws of diff, apply, inverse and fingerprint, on generated schemas and trees."""

from __future__ import annotations

from hypothesis import assume, given
from hypothesis import strategies as st

from controller.models.plan import Edit, Op
from controller.nrm.apply import apply_edits, siblings
from controller.nrm.diff import diff
from controller.nrm.fingerprint import differences, fingerprint, matches, smallest
from controller.nrm.inverse import invert
from controller.nrm.schema import LeafSpec, NodeSpec, spec_of
from controller.nrm.tree import Path, Tree, is_below, parent
from tests.strategies.trees import edits_between, schemas, trees


@st.composite
def pairs(draw: st.DrawFn) -> tuple[NodeSpec, Tree, Tree]:
    root = draw(schemas())
    return root, draw(trees(root)), draw(trees(root))


def user_orders(root: NodeSpec, tree: Tree) -> dict[Path, list[Path]]:
    ordered = (path for path in tree if (spec := spec_of(root, path)) and spec.user_ordered)
    return {path: siblings(tree, path) for path in ordered}


@given(pairs())
def test_a_tree_does_not_differ_from_itself(pair: tuple[NodeSpec, Tree, Tree]) -> None:
    root, tree, _ = pair
    assert diff(root, tree, tree).is_empty
    assert edits_between(root, tree, tree) == ()


@given(pairs())
def test_applied_edits_leave_no_difference(pair: tuple[NodeSpec, Tree, Tree]) -> None:
    root, before, after = pair
    result = apply_edits(root, before, edits_between(root, before, after))
    assert diff(root, result, after).is_empty
    assert set(result) == set(after)


@given(pairs(), st.data())
def test_edits_leave_everything_else_untouched(pair: tuple[NodeSpec, Tree, Tree], data: st.DataObject) -> None:
    root, before, after = pair
    edits = edits_between(root, before, after)
    chosen = [edit for edit in edits if edit.op is not Op.CREATE and data.draw(st.booleans())]
    result = apply_edits(root, before, chosen)
    for path, leaves in before.items():
        if not any(is_below(path, edit.path) for edit in chosen if edit.op is Op.DELETE):
            changed = {name for edit in chosen if edit.path == path for name in {*edit.before, *edit.after}}
            assert {k: v for k, v in leaves.items() if k not in changed} == {
                k: v for k, v in result[path].items() if k not in changed
            }
    assert [path for path in before if path in result] == list(result)


@given(pairs())
def test_the_inverse_restores_exactly_even_the_order(pair: tuple[NodeSpec, Tree, Tree]) -> None:
    root, before, after = pair
    edits = edits_between(root, before, after)
    result = apply_edits(root, before, edits)
    restored = apply_edits(root, result, invert(root, before, edits, {}))
    assert restored == before
    assert user_orders(root, restored) == user_orders(root, before)


@given(pairs())
def test_the_inverse_of_the_inverse_is_the_change(pair: tuple[NodeSpec, Tree, Tree]) -> None:
    root, before, after = pair
    edits = edits_between(root, before, after)
    result = apply_edits(root, before, edits)
    back = invert(root, before, edits, {})
    again = apply_edits(root, apply_edits(root, result, back), invert(root, result, back, {}))
    assert again == result
    assert user_orders(root, again) == user_orders(root, result)


@given(pairs())
def test_existing_entries_keep_their_order_and_new_ones_append(pair: tuple[NodeSpec, Tree, Tree]) -> None:
    root, before, after = pair
    result = apply_edits(root, before, edits_between(root, before, after))
    for path in result:
        order = siblings(result, path)
        old = [entry for entry in siblings(before, path) if entry in result]
        assert order[: len(old)] == old


@given(pairs(), st.data())
def test_a_fingerprint_sees_what_it_covers_and_nothing_else(
    pair: tuple[NodeSpec, Tree, Tree], data: st.DataObject
) -> None:
    root, before, after = pair
    covered = data.draw(st.lists(st.sampled_from(sorted({*before, *after})), max_size=4))
    print_ = fingerprint(root, before, covered)
    assert matches(root, before, print_)
    edits = edits_between(root, before, after)
    touched = {edit.path for edit in edits}
    result = apply_edits(root, before, edits)
    related = any(is_below(t, c) or (is_below(c, t)) for t in touched for c in covered)
    if not related:
        assert matches(root, result, print_)
    assert matches(root, result, print_) == (not differences(root, result, before, covered))


@given(pairs(), st.data())
def test_any_change_of_a_covered_leaf_shows(pair: tuple[NodeSpec, Tree, Tree], data: st.DataObject) -> None:
    root, tree, _ = pair
    leaves = [(path, leaf) for path in tree for leaf in (spec_of(root, path) or root).leaves]
    assume(leaves)
    path, leaf = data.draw(st.sampled_from(leaves))
    whole, single = fingerprint(root, tree, [path]), fingerprint(root, tree, [f"{path}/{leaf.name}"])
    edit = Edit(op=Op.MERGE, path=path, after={leaf.name: "9"}, owners=("t",))
    changed = apply_edits(root, tree, [edit])
    assert not matches(root, changed, whole)
    assert not matches(root, changed, single)
    default = leaf.default
    if default is not None and leaf.name not in tree[path]:
        reported = {**tree, path: {**tree[path], leaf.name: default}}
        assert matches(root, reported, whole)
        assert matches(root, reported, single)


def with_defaults(root: NodeSpec, tree: Tree) -> Tree:
    """The tree as a device that reports all tells it (RFC 6243 §2.1)."""
    defaults = {path: (spec_of(root, path) or root).leaves for path in tree}
    return {
        path: {**{leaf.name: leaf.default for leaf in defaults[path] if leaf.default is not None}, **leaves}
        for path, leaves in tree.items()
    }


@given(pairs())
def test_an_explicit_default_is_the_same_as_an_absent_leaf(pair: tuple[NodeSpec, Tree, Tree]) -> None:
    root, tree, other = pair
    told = with_defaults(root, tree)
    assert diff(root, told, tree).is_empty
    assert diff(root, tree, told).is_empty
    assert differences(root, told, tree, tree) == ()
    assert matches(root, told, fingerprint(root, tree, tree))
    assert diff(root, told, other).changed.keys() == diff(root, tree, other).changed.keys()


@given(pairs(), st.data())
def test_a_fingerprint_covers_all_below_an_entry(pair: tuple[NodeSpec, Tree, Tree], data: st.DataObject) -> None:
    root, tree, _ = pair
    deep = [(above, path) for path in tree for above in tree if path != above and is_below(path, above)]
    assume(deep)
    above, path = data.draw(st.sampled_from(deep))
    print_ = fingerprint(root, tree, [above])
    without = {other: leaves for other, leaves in tree.items() if not is_below(other, path)}
    assert not matches(root, without, print_)
    for leaf in (spec_of(root, path) or root).leaves:
        assert not matches(root, {**tree, path: {**tree[path], leaf.name: "9"}}, print_)


def test_a_fingerprint_covers_the_children_of_children() -> None:
    leaf = (LeafSpec("leaf"),)
    root = NodeSpec(
        "A", "urn:test", children=(NodeSpec("B", "urn:test", children=(NodeSpec("C", "urn:test", leaves=leaf),)),)
    )
    tree: Tree = {"/A[1]": {}, "/A[1]/B[1]": {}, "/A[1]/B[1]/C[1]": {"leaf": "1"}}
    print_ = fingerprint(root, tree, ["/A[1]"])
    assert not matches(root, {**tree, "/A[1]/B[1]/C[1]": {"leaf": "2"}}, print_)
    assert not matches(root, {**tree, "/A[1]/B[1]/C[2]": {}}, print_)


@given(pairs())
def test_a_fingerprint_covers_the_absence_of_an_entry(pair: tuple[NodeSpec, Tree, Tree]) -> None:
    root, before, after = pair
    for path in diff(root, before, after).missing:
        if parent(path) in before:
            print_ = fingerprint(root, before, [path])
            assert matches(root, before, print_)
            assert not matches(root, {**before, path: after[path]}, print_)


def test_smallest_drops_what_others_cover() -> None:
    paths = ["/A[1]/B[2]/leaf", "/A[1]/B[2]", "/A[1]/B[22]", "/A[1]/B[2]/C[3]"]
    assert smallest(paths) == ("/A[1]/B[22]", "/A[1]/B[2]")
