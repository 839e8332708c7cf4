"""What of an inverse is left to do where a change was carried out in part."""

from __future__ import annotations

import pytest

from controller.models.plan import Edit, Op
from controller.nrm.tree import Tree
from controller.runs.transaction.effects import unfinished

PATH = "/ManagedElement[S1]/A[1]"


def edit(op: Op, before: dict[str, str] | None = None, after: dict[str, str] | None = None) -> Edit:
    return Edit(op=op, path=PATH, before=before or {}, after=after or {}, owners=("host",))


def merge(before: dict[str, str], after: dict[str, str]) -> Edit:
    return edit(Op.MERGE, before, after)


CREATE = edit(Op.CREATE, after={"a": "1", "b": "2"})
DELETE = edit(Op.DELETE, before={"a": "1"})


@pytest.mark.parametrize(
    ("inverse", "tree", "left"),
    [
        pytest.param(CREATE, {}, CREATE, id="gone"),
        # Read from a device, equal values are not the same objects.
        pytest.param(edit(Op.CREATE, after={"a": "10"}), {PATH: {"a": str(10)}}, None, id="there"),
        pytest.param(
            CREATE, {PATH: {"a": "9", "b": "2"}}, merge({"a": "9"}, {"a": "1"}), id="there with another value"
        ),
        pytest.param(
            CREATE, {PATH: {"a": "0", "b": "2"}}, merge({"a": "0"}, {"a": "1"}), id="there with a lower value"
        ),
        pytest.param(CREATE, {PATH: {"a": "1"}}, merge({}, {"b": "2"}), id="there without a leaf"),
        pytest.param(
            CREATE, {PATH: {"a": "1", "b": "2", "c": "3"}}, merge({"c": "3"}, {}), id="there with a leaf more"
        ),
        pytest.param(DELETE, {PATH: {"a": "1"}}, DELETE, id="still there"),
        pytest.param(DELETE, {}, None, id="deleted already"),
        pytest.param(merge({"a": "1"}, {"a": "2"}), {}, None, id="nothing to merge into"),
        pytest.param(merge({"a": "1"}, {"a": "2"}), {PATH: {"a": "2", "c": "3"}}, None, id="merged already"),
        pytest.param(
            merge({"a": "1", "b": "1"}, {"a": "2", "b": "2"}),
            {PATH: {"a": "2", "b": "1", "c": "3"}},
            merge({"b": "1"}, {"b": "2"}),
            id="merged in part",
        ),
        pytest.param(merge({"a": "1"}, {}), {PATH: {"a": "1"}}, merge({"a": "1"}, {}), id="a leaf still there"),
    ],
)
def test_what_is_done_already_is_not_done_again(inverse: Edit, tree: Tree, left: Edit | None) -> None:
    assert unfinished([inverse], tree) == (() if left is None else (left,))
