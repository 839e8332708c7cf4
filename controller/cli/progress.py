"""Progress of what takes a while: what is waited for, how much of it is done, and since when.

It is shown on standard error, and only on a terminal, so that output stays as it is in pipes and logs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from controller.cli.output import err


@contextmanager
def working(what: str, *, shown: bool = True) -> Iterator[None]:
    """Show what is waited for, and since when, until the block ends."""
    if not (shown and err.is_terminal):
        yield
        return
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415 - takes a while

    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True) as progress:
        progress.add_task(what, total=None)
        yield


@contextmanager
def counting(what: str, then: str) -> Iterator[Callable[[int, int], None]]:
    """Show how many of how many are done.

    Args:
        what: What is waited for.
        then: What is waited for when all are done, until the block ends.

    Returns:
        To be called with the number done, and the total (0 until it is known).
    """
    from rich.progress import (  # noqa: PLC0415 - takes a while to load
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    name = TextColumn("{task.description}", markup=False)
    times = (TimeElapsedColumn(), TimeRemainingColumn(), TextColumn("left"))
    columns = (name, BarColumn(bar_width=20), MofNCompleteColumn(), *times)
    with Progress(*columns, console=err, transient=True) as progress:
        task = progress.add_task(what, total=None)

        def report(done: int, total: int) -> None:
            said = then if total and done >= total else what
            progress.update(task, description=said, completed=done, total=total or None, refresh=True)

        yield report
