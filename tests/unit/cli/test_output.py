"""What is printed is what was said, whoever said it."""

from __future__ import annotations

import io
import json
import time

import pytest
from rich.console import Console

from controller.cli.output import escape, indented, when


def printed(text: str) -> str:
    """What a terminal gets for marked-up text."""
    console = Console(file=io.StringIO(), force_terminal=True, color_system=None, width=1000, highlight=False)
    console.print(text, soft_wrap=True)
    said = console.file
    assert isinstance(said, io.StringIO)
    return said.getvalue().removesuffix("\n")


@pytest.mark.parametrize(
    "text",
    ["/ManagedElement[S1]/GNBDUFunction[1]", "[red]x[/]", r"a\[b]", "C:\\", "[/]", "[link=http://x]y", "Ñandú\nб"],
)
def test_text_is_printed_as_it_is(text: str) -> None:
    assert printed(f"[bold]{escape(text)}[/]") == text


@pytest.mark.parametrize("text", ["\x1b[2J", "\x1b]0;title\x07", "a\rb", "\x9b31m", "paid \u202eoN", "\0", "\x08"])
def test_nothing_that_is_printed_moves_the_cursor_or_turns_words_round(text: str) -> None:
    assert all(one.isprintable() for one in printed(escape(text)))
    assert "\N{REPLACEMENT CHARACTER}" in escape(text)


def test_json_is_indented_as_by_the_standard_library() -> None:
    data: dict[str, object] = {"ñ": [1, 2.5, True, None, {}, []], "a": {"b": ["é", '"\\\n', "\x1b", "\u2028"]}}
    assert indented(data) == json.dumps(data, indent=2, ensure_ascii=False) + "\n"


def test_times_are_those_of_the_machine_as_they_are_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "America/Lima")
    time.tzset()
    try:
        assert when("2026-12-26T11:00:00.123456Z") == "2026-12-26 06:00:00"
        assert when(None) == "-"
    finally:
        monkeypatch.undo()
        time.tzset()
