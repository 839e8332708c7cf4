"""What is printed is what was said, whoever said it."""

from __future__ import annotations

import io
import json
import re
import time
from pathlib import Path
from typing import Any

import pytest

from controller.cli import output
from controller.cli.output import Terminal, bold, indented, styled, when


def printed(*parts: Any, width: int = 1000, terminal: bool = True) -> str:
    """What a terminal gets, or a file."""
    file = io.StringIO()
    Terminal(file=file, force_terminal=terminal, color_system=None, width=width, highlight=False).print(*parts)
    return file.getvalue().removesuffix("\n")


@pytest.mark.parametrize(
    "text",
    ["/ManagedElement[S1]/GNBDUFunction[1]", "[red]x[/]", r"a\[b]", "C:\\", "[/]", "[link=http://x]y", ":smile: Ñ"],
)
def test_text_is_printed_as_it_is(text: str) -> None:
    assert printed(text) == printed(bold(text)) == text


def test_a_terminal_goes_on_between_words_and_breaks_none(monkeypatch: pytest.MonkeyPatch) -> None:
    said, path = "Plan 1: 13 stations change for bitel; 0 stay as they are.", "/ManagedElement[S1]/GNBDUFunction[1]"
    assert printed(said, width=30) == "Plan 1: 13 stations change for\nbitel; 0 stay as they are."
    assert printed("It is", path, "there", width=20) == f"It is {path} there"
    assert printed(said, width=30, terminal=False) == said
    monkeypatch.setattr(output.manner, "wide", True)
    assert printed(said, width=30) == said


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J", r"\x1b[2J"),
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("a\rb\nc\td", r"a\rb\nc\td"),
        ("\x9b31m", r"\x9b31m"),
        ("paid \u202eoN", r"paid \u202eoN"),
        ("\0\x08", r"\x00\x08"),
        ("\ud800", r"\ud800"),
    ],
)
def test_what_would_act_on_a_terminal_is_shown(text: str, shown: str) -> None:
    assert printed(text) == printed(styled(text, "red")) == shown


def test_json_means_the_same_and_acts_on_no_terminal() -> None:
    texts = ["é", '"\\\n', "\x1b\x9b\u202e", "\u2028", "\U000e0001"]
    data: dict[str, object] = {"ñ": [1, 2.5, True, None, {}, []], "a": {"b": texts}}
    assert json.loads(indented(data)) == data
    assert indented(data).replace("\n", "").isprintable()
    assert "ñ" in indented(data)


def test_only_the_modules_of_printing_make_texts_of_rich() -> None:
    """What is printed elsewhere is a string, or was made by ``styled``: so no command can forget."""
    folder = Path(output.__file__).parent
    users = {path.name for path in folder.glob("*.py") if re.search(r"(import|from) rich", path.read_text())}
    assert users == {"output.py", "tables.py", "follow.py", "progress.py"}
    for bars in ("follow.py", "progress.py"):
        assert not re.search(r"rich\.(text|markup|table)", (folder / bars).read_text())


def test_times_are_those_of_the_machine_as_they_are_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "America/Lima")
    time.tzset()
    try:
        assert when("2026-12-26T11:00:00.123456Z") == "2026-12-26 06:00:00"
        assert when(None) == "-"
    finally:
        monkeypatch.undo()
        time.tzset()
