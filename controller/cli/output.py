"""How commands speak: JSON for programs, Rich tables for people."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Annotated, Any

import orjson
import typer
from rich import markup
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from controller.cli.client import Client
from controller.models.settings import Settings

#: Option of every command.
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]

#: Columns of output that no terminal will show: wide enough that nothing is ever broken, for grep and logs.
_WIDE = 4000
#: Columns that may be broken over lines; ids and states stay whole.
_PROSE = frozenset({"what", "before", "→ after", "detail", "note", "has", "should have", "cause", "object", "reason"})


def _console(*, stderr: bool) -> Console:
    """A console; colours and width follow the terminal, NO_COLOR and COLUMNS."""
    made = Console(stderr=stderr, highlight=False)
    return made if made.is_terminal else Console(stderr=stderr, highlight=False, width=_WIDE)


out = _console(stderr=False)
err = _console(stderr=True)

_COLOURS = {
    "succeeded": "green",
    "unchanged": "green",
    "cleared": "green",
    "repaired": "green",
    "partial": "yellow",
    "deferred": "yellow",
    "cancelled": "yellow",
    "withdrawn": "yellow",
    "paused": "yellow",
    "stopped": "yellow",
    "raised": "yellow",
    "repairing": "cyan",
    "running": "cyan",
    "failed": "red",
    "failed-safe": "red",
    "rolled-back": "red",
    "refused": "red",
    "diverged": "bold red",
    "escalated": "bold red",
}


def client() -> Client:
    """A client by the settings of the environment."""
    return Client(Settings())


def print_json(data: Any, *, line: bool = False) -> None:
    """Data as JSON on standard output; as one line where more will follow."""
    sys.stdout.write(json.dumps(data, ensure_ascii=False) + "\n" if line else indented(data))
    sys.stdout.flush()


def indented(data: Any) -> str:
    """Data as JSON that people can read, with its newline. The standard library takes a minute for a large plan."""
    return orjson.dumps(data, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE).decode()


def coloured(word: Any) -> str:
    """A state or outcome in its colour."""
    colour = _COLOURS.get(str(word))
    return f"[{colour}]{word}[/]" if colour else escape(word)


def escape(text: Any) -> str:
    """Text that Rich prints as it is, square brackets of paths included; nothing in it moves a terminal's cursor.

    Stations, alarm sources and tenants have their words in what is printed.
    """
    if text is None:
        return ""
    return markup.escape(
        "".join(one if one.isprintable() or one in "\n\t" else "\N{REPLACEMENT CHARACTER}" for one in str(text))
    )


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """A table; cells are Rich markup."""
    made = Table(title=title, title_justify="left", header_style="bold", box=None, pad_edge=False)
    for column in columns:
        made.add_column(column, overflow="fold", no_wrap=column not in _PROSE)
    for row in rows:
        made.add_row(*(str(cell) for cell in row))
    if made.row_count:
        _fitting(made).print(made)
    else:
        out.print("none")


def _fitting(made: Table) -> Console:
    """A console on which no id is cut: where the terminal is too narrow, its lines go on in the next."""
    needed = Measurement.get(out, out.options.update(max_width=_WIDE), made).minimum
    return out if needed <= out.width else Console(highlight=False, width=needed)


def counted(number: int, noun: str) -> str:
    """A number with its noun: 1 station, 2 stations."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def when(text: str | None) -> str:
    """An ISO time, short, in this machine's time zone: the one in which times are given on the command line."""
    return f"{datetime.fromisoformat(text).astimezone():%Y-%m-%d %H:%M:%S}" if text else "-"
