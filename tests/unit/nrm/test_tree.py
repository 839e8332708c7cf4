from __future__ import annotations

import pytest

from controller.nrm.apply import siblings
from controller.nrm.tree import (
    Tree,
    child,
    class_of,
    is_below,
    leads_through,
    leads_to,
    name_of,
    names_in,
    parent,
    path_of,
    shared,
    step,
    steps,
    within_root,
)


def _tree(share: str) -> Tree:
    """Made again each time, as by reading."""
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


@pytest.mark.parametrize("keys", [("1",), ("716", "15"), ("", "x"), ("a/b", "c,d", "e[f]", "50%"), ("%2F",), ("Ñ 1",)])
def test_any_keys_come_back_from_a_path(keys: tuple[str, ...]) -> None:
    path = child("/A[1]", "Below", *keys)
    assert (step(path), class_of(path), parent(path)) == (("Below", keys), "Below", "/A[1]")
    assert list(steps(path)) == [("A", ("1",)), ("Below", keys)]
    assert parent("/A[1]") == ""


def test_below_an_entry_is_the_entry_itself_and_what_its_path_leads_to() -> None:
    assert [is_below(path, "/A[1]/B[2]") for path in ("/A[1]/B[2]", "/A[1]/B[2]/C[3]")] == [True, True]
    others = ("/A[1]", "/A[1]/B[22]", "/A[1]/B[2]x", "/A[1]/B[1]", "/A[1]/B[3]", "/Z[1]/A[1]/B[2]")
    assert not any(is_below(path, "/A[1]/B[2]") for path in others)


def test_siblings_are_the_entries_of_one_list_below_one_parent() -> None:
    found = ["/A[1]/B[2]", "/A[1]/B[1]", "/A[1]/B[1,2]"]
    others = ("/A[1]", "/A[1]/B[2]/B[3]", "/A[1]/BC[1]", "/A[1]/CB[1]", "/A[2]/B[1]", "/A[1]/B2[1]")
    tree: Tree = {path: {} for path in (*found, *others)}
    assert [siblings(tree, path) for path in ("/A[1]/B[9]", "/A[1]/B[1]")] == [found, found]


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("ManagedElement=S1", "/ManagedElement[S1]"),
        ("SubNetwork=N,ManagedElement=S1,ENBFunction=1", "/ManagedElement[S1]/ENBFunction[1]"),
        ("DC=a.b, ManagedElement = S1 , ENBFunction = 1 ", "/ManagedElement[S1]/ENBFunction[1]"),
        ("ManagedElement=S/1", "/ManagedElement[S%2F1]"),
        (r"ManagedElement=S\,1,ENBFunction=a\"b\\", '/ManagedElement[S%2C1]/ENBFunction[a"b\\]'),
        (r"ManagedElement=S\1,ENBFunction=1", "/ManagedElement[S\\1]/ENBFunction[1]"),
        (r"ManagedElement=S\2C1,ENBFunction=\c3\B1", "/ManagedElement[S%2C1]/ENBFunction[%C3%B1]"),
        (r"ManagedElement=S\\2C1,ENBFunction=\C3", r"/ManagedElement[S\2C1]/ENBFunction[\C3]"),
        ('ManagedElement="S,1" , ENBFunction = "a\\"b=c" ', '/ManagedElement[S%2C1]/ENBFunction[a"b=c]'),
        ('ManagedElement=S,ENBFunction=a"b', '/ManagedElement[S]/ENBFunction[a"b]'),
        ('ManagedElement=S,ENBFunction="a', ""),
        ('ManagedElement=S,ENBFunction="a"b', ""),
        ('SubNetwork="N,ManagedElement=S', ""),
        (r"ManagedElement= \ S\ ,ENBFunction=1\\ ", r"/ManagedElement[ S ]/ENBFunction[1\]"),
        ("ManagedElement=S,1", ""),
        ("ManagedElement=\u00f1\u202e,ENBFunction=1", "/ManagedElement[%C3%B1%E2%80%AE]/ENBFunction[1]"),
        ("d-c=x,ManagedElement=S1", "/ManagedElement[S1]"),
        ("ManagedElement=,ManagedElement=S1", "/ManagedElement[S1]"),
        ("ManagedElement=", ""),
        ("ManagedElement", ""),
        ("ENBFunction=1", ""),
        ("ManagedElement=S1,ENBFunction=", ""),
        ("ManagedElement=S1,ENBFunction", ""),
        ("ManagedElement=S1,d-c=1", ""),
        ("ManagedElement=S1,", ""),
        (f"ManagedElement={'s' * 255}", f"/ManagedElement[{'s' * 255}]"),
        (f"ManagedElement={'s' * 256}", ""),
        (f"SubNetwork={'n' * 980},ManagedElement=S1", ""),
        ("", ""),
    ],
)
def test_a_distinguished_name_leads_to_the_entry_below_its_managed_element(name: str, path: str) -> None:
    assert path_of(name) == path


@pytest.mark.parametrize(
    "key",
    [
        *("a,b", "a\\", "a\\,b", "a\\b", "\\\\", ",", "a=b", 'a"b', "a'/[]b", "%2C", "\u65e5\u672c"),
        *('"', '"a,b"', " a", "a ", " ", "\\ ", "a\\2Cb", "\\c3\\b1", "a\nb"),
    ],
)
def test_whatever_the_id_of_an_object_its_distinguished_name_leads_back_to_it(key: str) -> None:
    path = child(child("", "ManagedElement", "S1"), "EUtranCellFDD", key)
    assert path_of(name_of(path)) == path
    assert [*steps(path)][-1] == ("EUtranCellFDD", (key,))
    assert names_in(name_of(path)) == (("ManagedElement", "S1"), ("EUtranCellFDD", key))


@pytest.mark.parametrize(
    ("name", "to", "through"),
    [
        ("NRNetwork=minka,NRFrequency=1", True, True),
        ("SubNetwork=N, NRNetwork=minka, NRFrequency=1", True, True),
        ("NRNetwork=minka,NRFrequency=1,Part=2", False, True),
        ("NRNetwork=minka,NRFrequency=12", False, False),
        ("NRFrequency=1", False, False),
        (r"SubNetwork=a\,NRNetwork=minka,NRFrequency=1", False, False),
        ('SubNetwork="a,NRNetwork=minka",NRFrequency=1', False, False),
        ('SubNetwork="a,NRNetwork=minka,NRFrequency=1', False, False),
        ("", False, False),
    ],
)
def test_a_name_leads_to_an_object_by_whole_names(name: str, to: bool, through: bool) -> None:
    path = "/NRNetwork[minka]/NRFrequency[1]"
    assert (leads_to(name, path), leads_through(name, path)) == (to, through)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/ManagedElement[S1]/ENBFunction[1]/EP_S1C[x]", "ENBFunction[1]/EP_S1C[x]"),
        ("/NRNetwork[minka]/NRFrequency[1]", "NRFrequency[1]"),
        ("/NRNetwork[minka]", "/NRNetwork[minka]"),
        ("/ManagedElement[S1]", "/ManagedElement[S1]"),
    ],
)
def test_people_get_a_path_without_its_first_step_and_never_nothing(path: str, said: str) -> None:
    assert within_root(path) == said
