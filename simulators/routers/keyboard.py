"""What a client types: keys become lines, echoed the way a terminal server does, one after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

#: Characters typed ahead at which a session stops reading.
READ_AHEAD = 64 * 1024
#: Longest line; what goes beyond is ignored.
LONGEST = 1000
_BACKSPACE, _CONTROL_C, _CONTROL_U, _CONTROL_Z = ("\x08", "\x7f"), "\x03", "\x15", "\x1a"


class EndOfInputError(Exception):
    """A key is wanted, and the client sends nothing more."""


class Keyboard:
    """Input of one session; ``echo`` prints, ``help_for`` gives what a question mark shows."""

    #: The line that Ctrl-Z and Ctrl-C make: leave configuration mode.
    END = _CONTROL_Z

    __slots__ = (
        "_after_return",
        "_arrived",
        "_at",
        "_buffer",
        "_echo",
        "_ended",
        "_help_for",
        "_pause",
        "_paused",
        "_resume",
    )

    def __init__(
        self,
        echo: Callable[[str], None],
        help_for: Callable[[str], str],
        pause: Callable[[], None],
        resume: Callable[[], None],
    ) -> None:
        self._echo = echo
        self._help_for = help_for
        self._pause = pause
        self._resume = resume
        self._paused = False
        self._ended = False
        self._buffer = ""
        self._at = 0
        self._after_return = False
        self._arrived = asyncio.Event()

    def feed(self, text: str) -> None:
        """Take what the client sent."""
        self._buffer = self._buffer[self._at :] + text
        self._at = 0
        self._arrived.set()
        if len(self._buffer) > READ_AHEAD and not self._paused:
            self._paused = True
            self._pause()

    def end(self) -> None:
        """The client sends nothing more."""
        self._ended = True
        self._arrived.set()

    async def key(self) -> str:
        """The next key; both kinds of line end are one key, given as a line feed.

        Raises:
            EndOfInputError: all was read, and the client sends nothing more.
        """
        while True:
            while self._at >= len(self._buffer):
                await self._more()
            key = self._buffer[self._at]
            self._at += 1
            second_half = key == "\n" and self._after_return
            self._after_return = key == "\r"
            if not second_half:
                return "\n" if key == "\r" else key

    async def _more(self) -> None:
        self._buffer, self._at = "", 0
        if self._paused:
            self._paused = False
            self._resume()
        if self._ended:
            raise EndOfInputError
        self._arrived.clear()
        await self._arrived.wait()

    async def line(self, prompt: str, *, secret: bool = False) -> str:
        """The next line, echoed unless it is secret."""
        typed = ""
        while (key := await self.key()) != "\n":
            if key in (_CONTROL_Z, _CONTROL_C):
                self._echo("^Z\r\n" if key == _CONTROL_Z else "^C\r\n")
                return self.END
            if key == "?" and not secret:
                self._echo(f"?\r\n{self._help_for(typed)}\r\n{prompt}{typed}")
                continue
            after = _edited(typed, key)
            if not secret:
                self._echo(_difference(typed, after))
            typed = after
        self._echo("\r\n")
        return typed


def _edited(typed: str, key: str) -> str:
    if key in _BACKSPACE:
        return typed[:-1]
    if key == _CONTROL_U:
        return ""
    key = " " if key == "\t" else key
    return typed + key if key.isprintable() and len(typed) < LONGEST else typed


def _difference(before: str, after: str) -> str:
    """What turns one text on the screen into the other."""
    return after[len(before) :] if len(after) >= len(before) else "\b \b" * (len(before) - len(after))
