"""List entries and values under an edit: the order that RFC 7950 asks for, in time that grows with their number."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from simulators.datastore import RpcError
from simulators.datastore.edit import Edit, Operation
from simulators.datastore.entries import Entries
from simulators.datastore.schema import Kind, Node
from tests.unit.simulators.datastore.documents import CELL_DU, NETCONF, gnb, slice_info
from tests.unit.simulators.datastore.test_edit_properties import du

BASE = gnb()
YANG = "urn:ietf:params:xml:ns:yang:1"


def leaf_list(*, user_ordered: bool) -> Node:
    found = next(one for one in _nodes(BASE.schema.root) if one.kind is Kind.LEAF_LIST)
    return replace(found, user_ordered=user_ordered)


def _nodes(node: Node) -> list[Node]:
    return [one for child in node.children for one in (child, *_nodes(child))]


_NAME = st.sampled_from("abcdef")
_ACTS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), _NAME),
        st.tuples(st.just("remove"), _NAME),
        st.tuples(st.just("first"), _NAME),
        st.tuples(st.sampled_from(["before", "after"]), _NAME, _NAME),
    ),
    max_size=15,
)


def by_hand(items: list[str], act: tuple[str, ...]) -> None:
    """The same on a plain list."""
    what, name, *beside = act
    if what == "put":
        items.extend([name] if name not in items else [])
        return
    rest = [one for one in items if one != name]
    if what == "first":
        rest.insert(0, name)
    elif what in ("before", "after"):
        rest.insert(rest.index(beside[0]) + (what == "after"), name)
    items[:] = rest


@settings(max_examples=200, deadline=None)
@given(st.lists(_NAME, unique=True), _ACTS)
def test_the_order_that_users_choose(start: list[str], acts: list[tuple[str, ...]]) -> None:
    entries, items = Entries(leaf_list(user_ordered=True), tuple(start)), list(start)
    for act in acts:
        what, name, *beside = act
        if beside and (beside[0] == name or beside[0] not in entries):
            continue
        match what:
            case "put":
                entries.put(name, name)
            case "remove":
                entries.remove(name)
            case "first":
                entries.place(name, name)
            case _:
                entries.place(name, name, **{what: beside[0]})
        by_hand(items, act)
        assert entries.items() == tuple(items)
        assert len(entries) == len(items)


def test_what_has_no_order_of_users_is_sorted_and_what_did_not_change_is_shared() -> None:
    start = ("a", "c")
    entries = Entries(leaf_list(user_ordered=False), start)
    entries.put("c", "c")
    assert entries.items() is start
    entries.put("b", "b")
    assert entries.items() == ("a", "b", "c")
    entries.remove("b")
    entries.remove("z")
    assert entries.items() is start


def _plmns(*parts: tuple[str, str]) -> Any:
    inside = "".join(slice_info("pLMNInfoList", mnc, attributes=attributes) for mnc, attributes in parts)
    cell = f'<NRCellDU xmlns="{CELL_DU}"><id>n78-1</id><attributes>{inside}</attributes></NRCellDU>'
    return Edit(BASE.schema, du(cell)).apply(BASE._branch, Operation.MERGE)


def _beside(where: str, mnc: str) -> str:
    key = f"[mcc='716'][mnc='{mnc}'][sd='FFFFFF'][sst='1']"
    return f'xmlns:y="{YANG}" y:insert="{where}" y:key="{key}"'


def test_an_entry_is_not_put_beside_itself_or_beside_none() -> None:
    for beside in ("06", "99"):
        with pytest.raises(RpcError, match="there is no other entry"):
            _plmns(("06", _beside("before", beside)))
    assert _plmns(("06", _beside("before", "10"))) != _plmns(("06", _beside("after", "10")))


def _took(number: int, operation: str, start: Any) -> tuple[float, Any]:
    cells = "".join(
        f'<NRCellDU xmlns="{CELL_DU}" xmlns:nc="{NETCONF}" nc:operation="{operation}"><id>{i}</id></NRCellDU>'
        for i in range(number)
    )
    document: etree._Element = du(cells)
    begun = time.process_time()
    made = Edit(BASE.schema, document).apply(start, Operation.MERGE)
    return time.process_time() - begun, made


def test_eight_times_as_many_entries_take_about_eight_times_as_long() -> None:
    """Processor time, the best of three; in proportion to the square it would be sixty-four times."""

    def best(number: int) -> float:
        both = []
        for _ in range(3):
            adding, made = _took(number, "create", BASE._branch)
            taking, _ = _took(number, "delete", made)
            both.append(adding + taking)
        return min(both)

    few, many = best(500), best(4000)
    assert many < 24 * few
