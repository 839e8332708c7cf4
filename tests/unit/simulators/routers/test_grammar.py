"""Lines matched with shortened keywords."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.routers.addresses import Prefix, mask_length, read_interface
from simulators.routers.configure import GRAMMARS, Mode
from simulators.routers.execute import PRIVILEGED, UNPRIVILEGED
from simulators.routers.grammar import AmbiguousError, CommandError, Grammar, IncompleteError, UnknownInputError

import simulators.routers.configure  # noqa: F401  isort: skip (commands register themselves)


def grammar() -> Grammar[Callable[..., object]]:
    made: Grammar[Callable[..., object]] = Grammar()
    made.command("show version")(lambda: "version")
    made.command("show vrf")(lambda: "vrf")
    made.command("show ip route [vrf NAME]")(lambda name="": f"route {name}")
    made.command("interface INTERFACE")(lambda name: name)
    made.command("description LINE")(lambda text: text)
    return made


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("show version", "version"),
        ("sh ver", "version"),
        ("  SHOW   Vrf  ", "vrf"),
        ("sh ip ro", "route "),
        ("sh ip ro vrf Claro", "route Claro"),
        ("interface gi0/0/1.1010", "GigabitEthernet0/0/1.1010"),
        ("int GigabitEthernet 0/0/1", "GigabitEthernet0/0/1"),
        ("int lo 7", "Loopback7"),
        ("description  two  words  ", "two  words"),
        ("desc interface gi 0", "interface gi 0"),
    ],
)
def test_meant(line: str, meant: str) -> None:
    match = grammar().match(line)
    assert match.action(*match.arguments) == meant


@pytest.mark.parametrize(
    ("line", "error", "offset"),
    [
        ("show v", AmbiguousError, None),
        ("show", IncompleteError, None),
        ("show ip route vrf", IncompleteError, None),
        ("description", IncompleteError, None),
        ("show version now", UnknownInputError, 13),
        ("bogus", UnknownInputError, 0),
        ("show  ip rip", UnknownInputError, 9),
        ("int gi9/9/9", UnknownInputError, 4),
        ("int gi0/0/1.", UnknownInputError, 4),
    ],
)
def test_not_meant(line: str, error: type[CommandError], offset: int | None) -> None:
    with pytest.raises(error) as raised:
        grammar().match(line)
    assert getattr(raised.value, "offset", None) == offset


def test_names_are_full_keywords() -> None:
    assert GRAMMARS[Mode.CONFIG].match("no ip ro vrf x 10.0.0.0 255.0.0.0").name == "no ip route vrf"
    assert PRIVILEGED.match("wr").name == "write"


def test_keywords_for_the_question_mark() -> None:
    assert grammar().keywords("show ") == ["ip", "version", "vrf"]


_WORDS = st.lists(st.sampled_from(["show", "no", "ip", "route", "vrf", "10.0.0.0", "gi0/0/1", "|", "in", "7"]))


@given(st.text(max_size=60) | _WORDS.map(" ".join))
def test_nothing_typed_breaks_a_grammar(line: str) -> None:
    grammars: list[Grammar[Any]] = [*GRAMMARS.values(), PRIVILEGED, UNPRIVILEGED]
    for one in grammars:
        with suppress(CommandError):
            assert one.match(line).name


@given(st.integers(0, 32))
def test_masks(length: int) -> None:
    assert mask_length(Prefix(0, length).mask) == length


def test_masks_with_gaps_have_no_length() -> None:
    assert mask_length(0xFF00FF00) is None


@pytest.mark.parametrize("text", ["gi0/0/4", "Null1", "x0", "gi", "lo1/2", "lo1.5", "gi0/0/0.1.2"])
def test_no_interfaces(text: str) -> None:
    with pytest.raises(ValueError, match="interface"):
        read_interface(text)
