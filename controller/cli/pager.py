"""Sends output that is longer than the terminal to a pager, as git does."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from controller.cli.output import manner, out

#: Options of ``less`` unless LESS is set: quit if the text fits one screen, keep colours, leave the text on screen;
#: with wide output, chop long lines and scroll sideways.
_LESS, _LESS_WIDE = "FRX", "FRXS"


@contextmanager
def paged() -> Iterator[None]:
    """Send the output of the block to a pager, if it is too long for the terminal.

    A nested block does nothing.
    """
    command = _pager()
    if not command or out.held:
        yield
        return
    capture = out.capture()
    out.held = True
    try:
        with capture:
            yield
    finally:
        out.held = False
        _show(command, capture.get())


def _pager() -> list[str]:
    """The command of the pager; empty if none is wanted."""
    if not out.is_terminal or not manner.pager:
        return []
    said = os.environ.get("MINKA_PAGER", os.environ.get("PAGER", "less"))
    return [] if said.strip() in ("", "cat") else shlex.split(said)


def _show(command: list[str], text: str) -> None:
    """Print a text, through the pager (if any) where the text is longer or wider than the terminal."""
    if not ((text.count("\n") >= out.height or manner.wide) and _handed_over(command, text)):
        out.file.write(text)
        out.file.flush()


def _handed_over(command: list[str], text: str) -> bool:
    """Give a text to the pager and wait for its end; returns whether the pager could start."""
    env = {"LESS": _LESS_WIDE if manner.wide else _LESS, **os.environ}
    # While the pager runs, Ctrl-C is for the pager.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        subprocess.run(command, input=text, text=True, encoding="utf-8", env=env, check=False)  # noqa: S603 - theirs
    except OSError:
        return False
    finally:
        signal.signal(signal.SIGINT, before)
    return True
