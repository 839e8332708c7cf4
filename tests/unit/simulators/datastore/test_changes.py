"""What differs between configurations, and what access control makes of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.datastore import READ_ONLY, UNRESTRICTED, Access, Config, NodeChange, RpcError, Rule
from tests.unit.simulators.datastore.documents import cell_edit, enb, gnb

CELL = ("ManagedElement", "GNBDUFunction", "NRCellDU")


def told(changes: list[NodeChange]) -> list[tuple[str, str]]:
    return [(change.kind, change.places[-1][0].name) for change in changes]


def test_equal_configurations_do_not_differ() -> None:
    assert gnb().changes(gnb()) == []


def test_a_leaf() -> None:
    before = gnb()
    after = before.edit(cell_edit("<nRPCI>7</nRPCI>"))
    (change,) = before.changes(after)
    assert change.kind == "update"
    assert change.path.endswith(":nRPCI")
    assert change.path.split("/")[1].split(":")[0] in change.namespaces


def test_what_appears_and_goes_is_one_change_or_all_of_it() -> None:
    schema, full = gnb().schema, gnb()
    empty = Config.empty(schema)
    assert told(empty.changes(full)) == [("create", "ManagedElement")]
    assert told(full.changes(empty)) == [("delete", "ManagedElement")]
    deep = told(empty.changes(full, deep=True))
    assert deep[0] == ("create", "ManagedElement")
    assert ("create", "nRPCI") in deep
    assert {kind for kind, _ in told(full.changes(empty, deep=True))} == {"delete"}


def test_a_move_in_a_list_ordered_by_the_user_is_a_change() -> None:
    entries = '<pLMNInfoList xmlns:y="urn:ietf:params:xml:ns:yang:1" y:insert="first">{}</pLMNInfoList>'
    new = "<mcc>716</mcc><mnc>77</mnc><sd>000001</sd><sst>1</sst>"
    with_one = gnb().edit(cell_edit(entries.format(new)))
    moved = with_one.edit(cell_edit(entries.format(new).replace("first", "last")))
    assert told(gnb().changes(with_one)) == [("create", "pLMNInfoList")]
    kinds = told(with_one.changes(moved))
    assert kinds
    assert set(kinds) == {("update", "pLMNInfoList")}


@given(st.sampled_from([READ_ONLY, UNRESTRICTED]), st.integers(0, 1007))
def test_read_only_reads_all_and_changes_nothing(access: Access, pci: int) -> None:
    before = gnb()
    after = before.edit(cell_edit(f"<nRPCI>{pci}</nRPCI>"))
    assert before.to_text(access=access) == before.to_text()
    if access is READ_ONLY and before != after:
        with pytest.raises(RpcError, match="access-denied"):
            access.check_writes(before.changes(after, deep=True))
    else:
        access.check_writes(before.changes(after, deep=True))


def test_the_first_rule_that_fits_decides() -> None:
    access = Access(
        (
            Rule(permit=True, operations=frozenset({"update"}), path=(*CELL, "attributes", "nRPCI")),
            Rule(permit=False, path=CELL),
        ),
        write_default=True,
    )
    before = gnb()
    access.check_writes(before.changes(before.edit(cell_edit("<nRPCI>7</nRPCI>")), deep=True))
    with pytest.raises(RpcError, match="access-denied"):
        access.check_writes(before.changes(before.edit(cell_edit("<nRTAC>7</nRTAC>")), deep=True))
    assert "NRCellDU" not in before.to_text(access=access)
    assert "GNBDUFunction" in before.to_text(access=access)


def test_what_is_hidden_within_a_created_branch_is_checked_too() -> None:
    access = Access((Rule(permit=False, path=("ManagedElement", "ENBFunction", "EP_S1C")),), write_default=True)
    with pytest.raises(RpcError, match="EP_S1C"):
        access.check_writes(Config.empty(enb().schema).changes(enb(), deep=True))


def test_operations() -> None:
    assert READ_ONLY.executes("get")
    assert not READ_ONLY.executes("kill-session")
    assert UNRESTRICTED.executes("kill-session")
    nothing = Access((Rule(permit=False, rpc="close-session"),), exec_default=False)
    assert [nothing.executes(name) for name in ("close-session", "get")] == [True, False]
