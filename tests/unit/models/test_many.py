"""Texts about many devices: equal ones stand once with a number, and cut lists say how many more there are."""

from __future__ import annotations

import pytest

from controller.models.many import alike, first_names, lines_of

STATIONS = [f"PE-CUS-{n:04}" for n in range(24)]


def test_a_list_that_is_cut_says_how_many_more_there_are() -> None:
    assert [first_names("abcde"[:count]) for count in (0, 1, 3, 4, 5)] == [
        *("", "a", "a, b, c", "a, b, c and 1 more", "a, b, c and 2 more")
    ]
    assert first_names("abcde", 2, "; ") == "a; b; and 3 more"


@pytest.mark.parametrize(
    ("each", "said"),
    [
        (
            "{name} (10.1.0.{n} port {port}) can't be reached: refused",
            "can't be reached: refused",
        ),
        ("{name}: its lock is held by session {port}", "its lock is held by session …"),
        ("no route to 2001:db8::{n}", "no route to …"),
        ("/ManagedElement[{name}]/NRCellDU[1] is not ours", "/ManagedElement[…]/NRCellDU[1] is not ours"),
        ("not adopted", "not adopted"),
    ],
)
def test_errors_that_differ_in_what_is_each_devices_own_are_one_line(each: str, said: str) -> None:
    texts = {name: each.format(name=name, n=n + 1, port=40_000 + n) for n, name in enumerate(STATIONS)}
    (line,) = lines_of(texts, "station")
    assert line == f"24 stations: {said} (PE-CUS-0000, PE-CUS-0001, PE-CUS-0002 and 21 more)"


def test_errors_that_say_something_else_have_lines_of_their_own() -> None:
    said = {"A": "cell 1 is off air", "B": "cell 2 is off air", "C": "cell 1 is off air", "D": "D changed since"}
    assert lines_of(said) == [
        *("2 devices: cell 1 is off air (A, C)", "B: cell 2 is off air", "D changed since"),
    ]


def test_a_name_in_a_longer_one_is_no_name() -> None:
    """PE-1 is not named where PE-10 is."""
    assert [one.text for one in alike([("PE-1", "PE-10 refused"), ("PE-2", "PE-20 refused")])] == [
        *("PE-10 refused", "PE-20 refused")
    ]


def test_one_error_alone_stays_as_it_is() -> None:
    text = "PE-1 (10.0.0.1 port 830) can't be reached: connection refused"
    assert lines_of({"PE-1": text}) == [text]
    assert lines_of({"PE-2": text}) == [f"PE-2: {text}"]


def test_objects_of_which_nothing_is_said_have_no_empty_reason() -> None:
    assert lines_of([("A", ""), ("B", ""), ("C", "")]) == ["3 devices (A, B, C)"]
    assert lines_of([("A", "")]) == ["A"]
