"""Sends output that is longer than the terminal to a pager, as git does."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from controller.cli.output import manner, out

#: Options of ``less`` unless LESS says otherwise: end where all fits one screen, pass colours on, leave the text
#: there; with wide output, cut lines at the edge and move sideways.
_LESS, _LESS_WIDE = "FRX", "FRXS"


@contextmanager
def paged() -> Iterator[None]:
    """Show what is printed in here page by page, if this is a terminal and it is too small; else as it comes.

    Within another one it does nothing.
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
    """The command of the pager; empty where none is wanted."""
    if not out.is_terminal or not manner.pager:
        return []
    said = os.environ.get("MINKA_PAGER", os.environ.get("PAGER", "less"))
    return [] if said.strip() in ("", "cat") else shlex.split(said)


def _show(command: list[str], text: str) -> None:
    """Print a text, through the pager if it is longer or wider than the terminal and there is one."""
    if not ((text.count("\n") >= out.height or manner.wide) and _handed_over(command, text)):
        out.file.write(text)
        out.file.flush()


def _handed_over(command: list[str], text: str) -> bool:
    """Give a text to the pager and wait for its end; whether there was one."""
    env = {"LESS": _LESS_WIDE if manner.wide else _LESS, **os.environ}
    # Ctrl-C is the pager's while it is there.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        subprocess.run(command, input=text, text=True, encoding="utf-8", env=env, check=False)  # noqa: S603 - theirs
    except OSError:
        return False
    finally:
        signal.signal(signal.SIGINT, before)
    return True
