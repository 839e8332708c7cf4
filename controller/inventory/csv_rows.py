"""CSV for bulk rows: the header names the fields, an empty field is not given."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence

from controller.inventory.source import Report


def read_rows(
    text: str, file: str, fields: Sequence[str], required: Sequence[str], report: Report
) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield (line, fields given) for each row; problems with header and shape of rows are reported.

    Args:
        text: the content of the file.
        file: its name in problems.
        fields: columns that may be there.
        required: columns that must be there.
        report: takes the problems.
    """
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
        if not _check_header(header, file, fields, required, report):
            return
        line = reader.line_num + 1
        for row in reader:
            if len(row) == len(header):
                yield line, {name: word for name, raw in zip(header, row, strict=True) if (word := raw.strip())}
            elif row:
                report.file(file, line, f"{len(row)} fields in a row where the header has {len(header)}")
            line = reader.line_num + 1
    except csv.Error as error:
        report.file(file, reader.line_num, f"not CSV: {error}")


def _check_header(header: list[str], file: str, fields: Sequence[str], required: Sequence[str], report: Report) -> bool:
    """Whether the rows can be read: all columns known, none twice, none missing."""
    before = len(report.problems)
    for index, name in enumerate(header):
        if name not in fields:
            expected = report.did_you_mean(name, fields) or f"columns are {', '.join(fields)}"
            report.file(file, 1, f"no such column: {name!r}", expected)
        elif name in header[:index]:
            report.file(file, 1, f"the column {name!r} is given twice")
    for name in required:
        if name not in header:
            report.file(file, 1, f"the column {name!r} is missing")
    return len(report.problems) == before
