"""How commands speak: JSON for programs, Rich tables for people."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from controller.cli.client import Client
from controller.models.settings import Settings

#: Option of every command.
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

_COLOURS = {
    "succeeded": "green",
    "unchanged": "green",
    "cleared": "green",
    "repaired": "green",
    "partial": "yellow",
    "deferred": "yellow",
    "cancelled": "yellow",
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


def print_json(data: Any) -> None:
    """Data as JSON on standard output."""
    json.dump(data, sys.stdout, indent=2, ensure_ascii=False)
    sys.stdout.write("\n")


def coloured(word: Any) -> str:
    """A state or outcome in its colour."""
    colour = _COLOURS.get(str(word))
    return f"[{colour}]{word}[/]" if colour else escape(word)


def escape(text: Any) -> str:
    """Text that Rich prints as it is, square brackets of paths included."""
    return "" if text is None else str(text).replace("[", r"\[")


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """A table; cells are Rich markup."""
    made = Table(title=title, title_justify="left", header_style="bold", box=None, pad_edge=False)
    for column in columns:
        made.add_column(column, overflow="fold")
    for row in rows:
        made.add_row(*(str(cell) for cell in row))
    out.print(made)


def when(text: str | None) -> str:
    """An ISO time, short."""
    return text[:19].replace("T", " ") if text else "-"
