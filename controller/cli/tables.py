"""Tables for people: ids are never cut, and the least important columns give way on a narrow terminal.

Columns that tell rows apart are never dropped: without room beside the others they stand below their row.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from rich.cells import cell_len
from rich.text import Text

from controller.cli.listed import Listed
from controller.cli.output import manner, out, print_answer, styled, when
from controller.cli.pager import paged
from controller.models.untrusted import visible

#: Blanks between two columns, and before what stands below a row.
_GAP = 2
#: Least width of prose: that of its longest word, between these bounds, if there is room.
_NARROWEST, _LONGEST_WORD = 16, 40
#: Length of a digest: words that long are broken rather than drop a column.
_DIGEST = 64
#: Texts of cells in which nothing stands, as where a plan makes what was not there before.
_NOTHING = ("", "-", "–")
#: A word with the blanks after it.
_WORD = re.compile(r"\S+\s*")


class Column(NamedTuple):
    """A column of a table.

    Attributes:
        rank: 0 always stays. On a narrow terminal the highest rank goes first, unless its column fits all the same.
        prose: Whether its cells may wrap between words. Cells of other columns stay whole on one line.
        tells: Whether it tells rows apart: without room it stands below the row with its name, and is never dropped.
        time: Whether its cells are ISO times, in ``records``.
    """

    name: str
    rank: int = 0
    prose: bool = False
    time: bool = False
    tells: bool = False


class _Laid(NamedTuple):
    """A column that is shown: its index among all columns, and its width."""

    place: int
    width: int


def table(
    columns: Sequence[Column | str], rows: Iterable[Sequence[Any]], title: str = "", of: Listed | None = None
) -> None:
    """Print a table of strings or styled texts. A long table goes to the pager; columns without room are named.

    Args:
        columns: Its columns.
        rows: Its rows.
        title: A line above it.
        of: The items that the rows are of; a last line says how many more the limit of the command leaves out.
    """
    known = [one._replace(name=visible(one.name)) if isinstance(one, Column) else Column(one) for one in columns]
    cells = [[_cell(cell) for cell in row] for row in rows]
    if not cells:
        if title:
            out.print(styled(title, "italic"))
        out.print("none")
        return
    room = out.width if out.is_terminal and not manner.wide else None
    laid = _layout(known, cells, room)
    header = [styled(column.name, "bold") for column in known]
    shown = {index for index, _ in laid}
    lacking = [index for index in range(len(known)) if index not in shown and not _is_empty(cells, index)]
    telling = [index for index in lacking if known[index].tells]
    alike = [index for index in telling if len(cells) > 1 and len({row[index].plain for row in cells}) == 1]
    below = [index for index in telling if index not in alike]
    alike = [index for index in alike if cells[0][index].plain.strip() not in _NOTHING]
    missing = [known[index].name for index in lacking if not known[index].tells]
    with paged():
        if title:
            out.print(styled(title, "italic"))
        # A single word may be wider than the terminal: it stays whole, so that it can be copied.
        lines = [*_lines(header, known, laid)]
        for row in cells:
            lines += [
                *_lines(row, known, laid),
                *_lines_below([(known[index].name, row[index]) for index in below], room),
            ]
        out.print(Text("\n").join(lines), soft_wrap=True)
        if alike:  # of all rows, so that it tells none apart
            same = "; ".join(f"{known[index].name}: {cells[0][index].plain}" for index in alike)
            for line in indented(styled(f"in all rows: {same}", "dim"), 0):
                out.print(line, soft_wrap=True)
        if missing:
            out.print(styled(f"no room for: {', '.join(missing)} (minka --wide …, or --json)", "dim"), soft_wrap=False)
        if of is not None and of.left_out:
            out.print(of.left_out)


def records(
    found: Listed,
    columns: Sequence[Column],
    rows: Iterable[Sequence[Any]] | None = None,
    title: str = "",
    *,
    as_json: bool,
) -> None:
    """Print items of the API as JSON, or as a table of these rows; by default its columns are their fields."""
    if rows is None:
        rows = ([when(one[c.name]) if c.time else one[c.name] for c in columns] for one in found)
    print_answer(found, lambda _: table(columns, rows, title, of=found), as_json=as_json)


def _lines(row: Sequence[Text], columns: Sequence[Column], laid: Sequence[_Laid]) -> Iterator[Text]:
    """The lines of a row: its cells side by side, with prose wrapped."""
    parts = [
        row[index].wrap(out, width) if columns[index].prose and row[index].cell_len > width else [row[index]]
        for index, width in laid
    ]
    for number in range(max(map(len, parts), default=0)):
        line = Text()
        for (_, width), part in zip(laid, parts, strict=True):
            cell = part[number] if number < len(part) else Text()
            line.append_text(cell).append(" " * (width - cell.cell_len + _GAP))
        line.rstrip()
        yield line


def _lines_below(cells: Iterable[tuple[str, Text]], room: int | None) -> Iterator[Text]:
    """Cells of a row that have no room beside the others, each with its column's name, on indented lines."""
    parts = [styled(f"{name}: ", "dim").append_text(cell) for name, cell in cells if cell.plain.strip() not in _NOTHING]
    line = Text()
    for part in parts:
        if line and line.cell_len + _GAP + part.cell_len > (room or 0) - _GAP:
            yield from indented(line, _GAP)
            line = Text()
        line = line.append(" " * _GAP).append_text(part) if line else part
    if line:
        yield from indented(line, _GAP)


def indented(text: Text, by: int) -> Iterator[Text]:
    """Indented lines of a text, broken between words where the terminal ends; words that are wider stay whole."""
    width, ends, column = out.width - by, [], 0
    for word in _WORD.finditer(text.plain) if out.is_terminal else ():
        if column and column + cell_len(word.group().rstrip()) > width:
            ends.append(word.start())
            column = 0
        column += cell_len(word.group())
    for line in text.divide(ends):
        line.rstrip()
        yield Text(" " * by).append_text(line)


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
