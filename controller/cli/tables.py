"""Tables for people: ids are never cut, and the least important columns give way on a narrow terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from rich.text import Text

from controller.cli.output import manner, out, print_json, styled, when
from controller.cli.pager import paged
from controller.models.untrusted import visible

#: Blanks between two columns.
_GAP = 2
#: Least width of prose: that of its longest word, between these bounds, if there is room.
_NARROWEST, _LONGEST_WORD = 16, 40
#: Length of a digest: words that long are broken rather than drop a column.
_DIGEST = 64


class Column(NamedTuple):
    """A column of a table.

    Attributes:
        rank: 0 always stays. On a narrow terminal the highest rank goes first, unless its column fits all the same.
        prose: Whether its cells may wrap between words. Cells of other columns stay whole on one line.
        time: Whether its cells are ISO times, in ``records``.
    """

    name: str
    rank: int = 0
    prose: bool = False
    time: bool = False


class _Laid(NamedTuple):
    """A column that is shown: its index among all columns, and its width."""

    place: int
    width: int


def table(columns: Sequence[Column | str], rows: Iterable[Sequence[Any]], title: str = "") -> None:
    """Print a table of strings or styled texts. A long table goes to the pager; columns without room are named."""
    known = [one._replace(name=visible(one.name)) if isinstance(one, Column) else Column(one) for one in columns]
    cells = [[_cell(cell) for cell in row] for row in rows]
    if not cells:
        out.print("none")
        return
    laid = _layout(known, cells, out.width if out.is_terminal and not manner.wide else None)
    header = [styled(column.name, "bold") for column in known]
    shown = {index for index, _ in laid}
    missing = [one.name for index, one in enumerate(known) if index not in shown and not _is_empty(cells, index)]
    with paged():
        if title:
            out.print(styled(title, "italic"))
        # A single word may be wider than the terminal: it stays whole, so that it can be copied.
        lines = (line for row in (header, *cells) for line in _lines(row, known, laid))
        out.print(Text("\n").join(lines), soft_wrap=True)
        if missing:
            out.print(styled(f"no room for: {', '.join(missing)} (minka --wide …, or --json)", "dim"), soft_wrap=False)


def records(found: Iterable[Mapping[str, Any]], columns: Sequence[Column], *, as_json: bool) -> None:
    """Print items of the API as JSON, or as a table whose columns are their fields."""
    if as_json:
        print_json(list(found))
    else:
        table(columns, ([when(one[c.name]) if c.time else one[c.name] for c in columns] for one in found))


def _lines(row: Sequence[Text], columns: Sequence[Column], laid: Sequence[_Laid]) -> Iterator[Text]:
    """The lines of a row: its cells side by side, with prose wrapped."""
    parts = [
        row[index].wrap(out, width) if columns[index].prose and row[index].cell_len > width else [row[index]]
        for index, width in laid
    ]
    for number in range(max(map(len, parts))):
        line = Text()
        for (_, width), part in zip(laid, parts, strict=True):
            cell = part[number] if number < len(part) else Text()
            line.append_text(cell).append(" " * (width - cell.cell_len + _GAP))
        line.rstrip()
        yield line


def _cell(cell: Any) -> Text:
    return cell if isinstance(cell, Text) else Text("" if cell is None else visible(str(cell)))


def _layout(columns: Sequence[Column], cells: Sequence[Sequence[Text]], room: int | None) -> list[_Laid]:
    """The columns that fit into the room, with their widths; with None all columns in full width."""
    wanted = [max(len(column.name), *(row[index].cell_len for row in cells)) for index, column in enumerate(columns)]
    if room is None:
        return [_Laid(index, width) for index, width in enumerate(wanted)]
    least = [
        min(wanted[index], _least(column, [row[index] for row in cells])) if column.prose else wanted[index]
        for index, column in enumerate(columns)
    ]
    ranked = sorted(
        (index for index in range(len(columns)) if not _is_empty(cells, index)), key=lambda index: columns[index].rank
    )
    kept = ranked[:]
    while _total([least[index] for index in kept]) > room and columns[kept[-1]].rank:
        kept.pop()
    for index in ranked[len(kept) :]:  # dropped columns that fit all the same, without narrowing any prose
        if _total([wanted[one] for one in (*kept, index)]) <= room:
            kept.append(index)
    kept.sort()
    # A long word, such as a digest, is broken where the line would not fit otherwise.
    for index in (one for one in kept if columns[one].prose):
        over = _total([least[one] for one in kept]) - room
        least[index] -= max(0, min(over, least[index] - _NARROWEST))
    left = room - _total([least[index] for index in kept])
    short = sum(wanted[index] - least[index] for index in kept)
    # The room left goes to prose columns in proportion to what each lacks, to keep rows low.
    share = min(1.0, max(0, left) / short) if short else 0.0
    return [_Laid(index, least[index] + int(share * (wanted[index] - least[index]))) for index in kept]


def _is_empty(cells: Sequence[Sequence[Text]], index: int) -> bool:
    """Whether a column is empty, and so left out on a terminal."""
    return not any(row[index].plain.strip() for row in cells)


def _least(column: Column, cells: Sequence[Text]) -> int:
    words = (len(word) for cell in cells for word in cell.plain.split())
    return max(len(column.name), _NARROWEST, *(min(length, _LONGEST_WORD) for length in words if length < _DIGEST))


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + _GAP * max(0, len(widths) - 1)
