"""Input of a client: turns keys into lines, with the echo of a terminal server."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from itertools import takewhile
from types import MappingProxyType
from typing import Protocol

#: Characters typed ahead at which a session stops reading.
READ_AHEAD = 64 * 1024
#: Longest line; what goes beyond is ignored.
LONGEST = 1000
#: Command lines that a session remembers.
REMEMBERED = 20
_LONGEST_SEQUENCE = 16
_CONTROL_C, _CONTROL_Z, _ESCAPE = "\x03", "\x1a", "\x1b"


class EndOfInputError(Exception):
    """A key is needed, but the client sends nothing more."""


class Help(Protocol):
    """The help of a session on its commands."""

    def words_after(self, typed: str) -> str:
        """The help that a question mark shows after this text."""

    def completion_of(self, typed: str) -> str:
        """The text that a Tab adds; empty unless there is exactly one completion."""


class Keyboard:
    """Input of one session; ``echo`` prints."""

    #: The line that Ctrl-Z and Ctrl-C make: leave configuration mode.
    END = _CONTROL_Z

    __slots__ = (
        *("_after_return", "_arrived", "_at", "_buffer", "_echo", "_ended", "_help", "_history", "_pause", "_paused"),
        "_resume",
    )

    def __init__(
        self,
        echo: Callable[[str], None],
        help_: Help,
        pause: Callable[[], None],
        resume: Callable[[], None],
    ) -> None:
        self._echo = echo
        self._help = help_
        self._history: deque[str] = deque(maxlen=REMEMBERED)
        self._pause = pause
        self._resume = resume
        self._paused = False
        self._ended = False
        self._buffer = ""
        self._at = 0
        self._after_return = False
        self._arrived = asyncio.Event()

    def feed(self, text: str) -> None:
        """Take input of the client."""
        self._buffer = self._buffer[self._at :] + text
        self._at = 0
        self._arrived.set()
        if len(self._buffer) > READ_AHEAD and not self._paused:
            self._paused = True
            self._pause()

    def end(self) -> None:
        """Note that the client sends nothing more."""
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
        """The next line, echoed unless it is secret; an answer to a question."""
        return await self._read(_Line(prompt, self._echo if not secret else _nothing, ()))

    async def command(self, prompt: str) -> str:
        """The next command line; Tab completes its words, and the arrows bring back those before it."""
        line = await self._read(_Line(prompt, self._echo, tuple(self._history)))
        if line.strip() and line != self.END:
            self._history.append(line)
        return line

    async def _read(self, line: _Line) -> str:
        while (key := await self.key()) != "\n":
            if key in (_CONTROL_Z, _CONTROL_C):
                self._echo("^Z\r\n" if key == _CONTROL_Z else "^C\r\n")
                return self.END
            if key == _ESCAPE:
                key = _ESCAPED.get(await self._sequence(), "")
            if key == "?" and line.echoes:
                line.show_below(f"?\r\n{self._help.words_after(line.typed)}")
            elif key == "\t" and line.echoes:
                line.complete(self._help.completion_of(line.typed))
            else:
                line.press(key)
        self._echo("\r\n")
        return line.text

    async def _sequence(self) -> str:
        """The rest after an escape: one key, or a control sequence (ECMA-48 §5.4)."""
        keys = await self.key()
        if keys in ("[", "O"):
            while not (key := await self.key()).isalpha() and key != "~":
                keys = (keys + key)[:_LONGEST_SEQUENCE]
            keys += key
        return keys


class _Line:
    """A line that is being typed: its text, the cursor's position, and earlier lines."""

    __slots__ = ("_earlier", "_echo", "_prompt", "_recalled", "at", "text")

    def __init__(self, prompt: str, echo: Callable[[str], None], earlier: Sequence[str]) -> None:
        self.text = ""
        self.at = 0
        self._prompt = prompt
        self._echo = echo
        self._earlier = (*earlier, "")
        self._recalled = len(earlier)

    @property
    def echoes(self) -> bool:
        """Whether typed text is echoed."""
        return self._echo is not _nothing

    @property
    def typed(self) -> str:
        """The text before the cursor."""
        return self.text[: self.at]

    def press(self, key: str) -> None:
        """Apply a key to the line."""
        if key in _HISTORY:
            self._recall(_HISTORY[key])
        elif key in _EDITS:
            self._become(*_EDITS[key](self.text, self.at))
        elif key.isprintable() and len(self.text) + len(key) <= LONGEST:
            self._become(self.typed + key + self.text[self.at :], self.at + len(key))

    def complete(self, word_end: str) -> None:
        """Insert the rest of a word at the cursor, and show the line again."""
        self.text, self.at = self.typed + word_end + self.text[self.at :], self.at + len(word_end)
        self.show_below("")

    def show_below(self, text: str) -> None:
        """Print something, and the line again below it."""
        self._echo(f"{text}\r\n{self._prompt}{self.text}" + "\b" * (len(self.text) - self.at))

    def _recall(self, steps: int) -> None:
        wanted = self._recalled + steps
        if 0 <= wanted < len(self._earlier):
            self._recalled = wanted
            self._become(self._earlier[wanted], len(self._earlier[wanted]))

    def _become(self, text: str, at: int) -> None:
        self._echo(_difference(self.text, self.at, text, at))
        self.text, self.at = text, at


def _nothing(_text: str) -> None:
    """Echo nothing."""


def _without_word(text: str, at: int) -> tuple[str, int]:
    start = len(text[:at].rstrip(" ").rpartition(" ")[0])
    start += start > 0
    return text[:start] + text[at:], start


#: Keys that change the line or move the cursor: from text and cursor to both.
_EDITS: Mapping[str, Callable[[str, int], tuple[str, int]]] = MappingProxyType(
    {
        "\x08": lambda text, at: (text[: max(0, at - 1)] + text[at:], max(0, at - 1)),  # backspace
        "\x7f": lambda text, at: (text[: max(0, at - 1)] + text[at:], max(0, at - 1)),
        "\x04": lambda text, at: (text[:at] + text[at + 1 :], at),  # Ctrl-D
        "\x15": lambda text, at: (text[at:], 0),  # Ctrl-U
        "\x18": lambda text, at: (text[at:], 0),  # Ctrl-X
        "\x0b": lambda text, at: (text[:at], at),  # Ctrl-K
        "\x17": _without_word,  # Ctrl-W
        "\x02": lambda text, at: (text, max(0, at - 1)),  # Ctrl-B
        "\x06": lambda text, at: (text, min(len(text), at + 1)),  # Ctrl-F
        "\x01": lambda text, _at: (text, 0),  # Ctrl-A
        "\x05": lambda text, _at: (text, len(text)),  # Ctrl-E
        "\t": lambda text, at: (text, at),  # nothing to complete in an answer
    }
)
#: Keys for the previous line (Ctrl-P) and the next one (Ctrl-N).
_HISTORY: Mapping[str, int] = MappingProxyType({"\x10": -1, "\x0e": 1})
#: Sequences that terminals send after an escape, and the equivalent key.
_ESCAPED: Mapping[str, str] = MappingProxyType(
    {
        **{
            f"{kind}{final}": key
            for kind in "[O"
            for final, key in zip("ABCDHF", "\x10\x0e\x06\x02\x01\x05", strict=True)
        },
        "[3~": "\x04",
        "[1~": "\x01",
        "[4~": "\x05",
    }
)


def _difference(before: str, at: int, after: str, to: int) -> str:
    """The output that changes one line on the screen into another, with the cursor in place."""
    same = min(at, sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(before, after, strict=False))))
    if before == after:
        return "\b" * (at - to) + after[at:to]
    gone = max(0, len(before) - len(after))
    return "\b" * (at - same) + after[same:] + " " * gone + "\b" * (gone + len(after) - to)
