"""Tables for people: what says which object it is stays whole, and what matters less goes where there is no room."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from rich.table import Table
from rich.text import Text

from controller.cli.output import WIDE, manner, out, styled
from controller.cli.pager import paged
from controller.models.plain import visible

#: Blanks between two columns.
_GAP = 2
#: Columns of the terminal that prose has at least: its longest word, within these.
_NARROWEST, _LONGEST_WORD = 16, 40


class Column(NamedTuple):
    """A column of a table.

    Attributes:
        rank: 0 stays; of all others the highest goes first where the terminal is too narrow.
        prose: Whether its cells may go on in the next line, between words. All others stay on one line, whole.
    """

    name: str
    rank: int = 0
    prose: bool = False


class _Laid(NamedTuple):
    """A column that is shown: its place among all, and its width."""

    place: int
    width: int


def table(columns: Sequence[Column | str], rows: Iterable[Sequence[Any]], title: str = "") -> None:
    """Print a table; cells are strings or styled texts. Long ones go to the pager, columns without room are named."""
    known = [one if isinstance(one, Column) else Column(one) for one in columns]
    cells = [[_cell(cell) for cell in row] for row in rows]
    if not cells:
        out.print("none")
        return
    laid = _layout(known, cells, out.width if out.is_terminal and not manner.wide else WIDE)
    made = Table(title=title or None, title_justify="left", header_style="bold", box=None, pad_edge=False)
    for index, width in laid:
        made.add_column(known[index].name, width=width, no_wrap=not known[index].prose, overflow="fold")
    for row in cells:
        made.add_row(*(row[index] for index, _ in laid))
    needed = sum(width for _, width in laid) + _GAP * len(laid)
    shown = {index for index, _ in laid}
    missing = [column.name for index, column in enumerate(known) if index not in shown]
    with paged():
        # A single word may be wider than the terminal: it is whole all the same, for whoever copies it.
        out.print(made, soft_wrap=False, crop=False, width=max(needed, out.width))
        if missing:
            out.print(styled(f"no room for: {', '.join(missing)} (minka --wide …, or --json)", "dim"))


def _cell(cell: Any) -> Text:
    return cell if isinstance(cell, Text) else Text("" if cell is None else visible(str(cell)))


def _layout(columns: Sequence[Column], cells: Sequence[Sequence[Text]], room: int) -> list[_Laid]:
    """The columns for which there is room, with their widths."""
    wanted = [max(len(column.name), *(row[index].cell_len for row in cells)) for index, column in enumerate(columns)]
    least = [
        min(wanted[index], _least(column, [row[index] for row in cells])) if column.prose else wanted[index]
        for index, column in enumerate(columns)
    ]
    kept = list(range(len(columns)))
    while _total([least[index] for index in kept]) > room and any(columns[index].rank for index in kept):
        kept.remove(max(kept, key=lambda index: (columns[index].rank, index)))
    left = room - _total([least[index] for index in kept])
    laid = []
    for index in kept:
        more = max(0, min(left, wanted[index] - least[index]))
        left -= more
        laid.append(_Laid(index, least[index] + more))
    return laid


def _least(column: Column, cells: Sequence[Text]) -> int:
    words = max((len(word) for cell in cells for word in cell.plain.split()), default=0)
    return max(len(column.name), _NARROWEST, min(words, _LONGEST_WORD))


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + _GAP * max(0, len(widths) - 1)
