from __future__ import annotations

from controller.nrm.tree import Tree, shared


def _tree(share: str) -> Tree:
    """Made anew each time, as by reading."""
    return {"".join(["/A[", key, "]"]): {"share": share if key == "2" else "5"} for key in "123"}


def test_what_stayed_is_shared_with_the_tree_before_and_what_changed_is_new() -> None:
    before, now = _tree("10"), _tree("11")
    one = shared(now, before)
    assert list(one.items()) == list(now.items())
    assert all(mine is theirs for mine, theirs in zip(one, before, strict=True))
    assert [one[path] is before[path] for path in one] == [True, False, True]


def test_another_order_or_another_entry_is_reported_as_it_is() -> None:
    before = _tree("10")
    turned = dict(reversed(list(_tree("10").items())))
    more = {**_tree("10"), "/A[4]": {}}
    assert list(shared(turned, before)) == list(turned)
    assert shared(more, before) == more
