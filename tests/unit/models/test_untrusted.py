"""Input from outside that may be hostile."""

from __future__ import annotations

import pytest

from controller.models.untrusted import natural


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", 0),
        ("007", 7),
        (str(2**64 - 1), 2**64 - 1),
        ("9" * 5000, None),  # more digits than Python reads
        ("²", None),  # a digit to str.isdigit, and none to int
        ("٣", None),
        ("-1", None),
        ("1_0", None),
        (" 1", None),
        ("", None),
    ],
)
def test_a_whole_number_is_one_of_ascii_digits_and_of_64_bits(text: str, number: int | None) -> None:
    assert natural(text) == number
