"""Output of commands: JSON for programs, text for people.

Text is printed as it is, from any author: a string is never markup, and characters that would control the terminal are
escaped (``visible``). Colours come from ``styled`` and ``coloured`` only; nothing else in ``cli`` makes Rich's texts.
"""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from controller.cli.listed import Listed
from controller.cli.settings import settings
from controller.models.enums import AlarmState, Outcome, RunState
from controller.models.many import first_names
from controller.models.untrusted import visible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from controller.cli.client import Client
    from controller.models.settings import Settings

#: Options that many commands share.
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
Limit = Annotated[int, typer.Option(min=1, help="How many at most.")]
Reason = Annotated[str, typer.Option(help="Why; kept on record.")]
Detach = Annotated[bool, typer.Option("--detach", help="Don't wait for the end.")]
Key = Annotated[str | None, typer.Option(help="Idempotency key: the same key never starts a second run.")]
Overtake = Annotated[
    bool, typer.Option("--overtake", help="Start before a paused run that has yet to change the same stations.")
]

#: A digest of at least SHA-1's length, and what is kept of it.
_DIGEST = re.compile(r"\b([0-9a-f]{12})[0-9a-f]{28,}\b")

#: Width of output that goes to no terminal: no line is ever broken, for grep and logs.
WIDE = 4000


@dataclass
class OutputOptions:
    """Options of ``minka`` itself for output: all columns of tables; a pager for long output."""

    wide: bool = False
    pager: bool = True


manner = OutputOptions()


class Terminal(Console):
    """A console that prints strings as they are, without markup, emoji or control characters."""

    #: Whether output is buffered until its length is known, for the pager.
    held = False

    def render_str(self, text: str, *, style: Any = "", **_: Any) -> Text:
        """A string as Rich prints it; each string in the output passes here, also in cells and titles."""
        return Text(visible(text), style)

    def print(self, *objects: Any, **options: Any) -> None:
        """Print strings and styled texts with blanks between them, wrapped between words on a terminal.

        A text with a word wider than the terminal is not wrapped here, so that the word can be copied.
        """
        words = (word for one in objects for word in str(one).split())
        whole = not self.is_terminal or manner.wide or any(len(word) > self.width for word in words)
        super().print(*objects, **({"soft_wrap": whole} | options))


def _terminal(*, stderr: bool) -> Terminal:
    """A console; colours and width follow the terminal, NO_COLOR and COLUMNS."""
    made = Terminal(stderr=stderr, highlight=False)
    return made if made.is_terminal else Terminal(stderr=stderr, highlight=False, width=WIDE)


out = _terminal(stderr=False)
err = _terminal(stderr=True)

#: Colours of states and outcomes; ``waits`` exists in the output only (``controller.cli.waits``).
_COLOURS: dict[str, str] = {
    str(word): colour
    for colour, words in {
        "green": (RunState.SUCCEEDED, Outcome.UNCHANGED, Outcome.SKIPPED, AlarmState.CLEARED, AlarmState.REPAIRED),
        "yellow": (
            *(RunState.PARTIAL, RunState.CANCELLED, RunState.PAUSED, RunState.STOPPED, "waits"),
            *(Outcome.DEFERRED, Outcome.WITHDRAWN, AlarmState.RAISED),
        ),
        "cyan": (RunState.RUNNING, AlarmState.REPAIRING),
        "red": (RunState.FAILED, Outcome.FAILED_SAFE, Outcome.ROLLED_BACK, Outcome.REFUSED, Outcome.BUG),
        "bold red": (RunState.DIVERGED, AlarmState.ESCALATED),
    }.items()
    for word in words
}


def client(used: Settings | None = None, source: str = "MINKA_TOKEN", patience: float | None = None) -> Client:
    """A client with these settings, by default those of the environment.

    Args:
        used: The settings.
        source: Source of their token, for messages.
        patience: Seconds that an answer may take; None for as long as planning may take.
    """
    from controller.cli.client import Client  # noqa: PLC0415 - help and completion of words call nobody

    return Client(settings() if used is None else used, source, patience)


def print_json(data: Any, *, line: bool = False) -> None:
    """Print data as JSON on standard output; on one line if more will follow.

    A list that a limit cuts is whole JSON all the same: how many more there are goes to standard error.
    """
    sys.stdout.write(_inert(json.dumps(data, ensure_ascii=False)) + "\n" if line else indented(data))
    sys.stdout.flush()
    if isinstance(data, Listed) and data.left_out:
        err.print(data.left_out)


def print_answer(data: Any, write: Callable[[Any], object], *, as_json: bool, line: bool = False) -> None:
    """Print an answer: as JSON, on one line if more will follow; or for people, as ``write`` prints it."""
    if as_json:
        print_json(data, line=line)
    else:
        write(data)


def print_result(data: Any, *texts: Any, as_json: bool) -> None:
    """Print the result of a command: its data as JSON, or a line for people."""
    print_answer(data, lambda _: out.print(*texts), as_json=as_json)


def print_lines(data: Any, lines: Iterable[Any], *, as_json: bool, to: Terminal = out) -> None:
    """Print the result of a command: its data as JSON, or lines for people."""

    def write(_: object) -> None:
        for line in lines:
            to.print(line)

    print_answer(data, write, as_json=as_json)


def indented(data: Any) -> str:
    """Data as indented JSON with a final newline. The standard library takes a minute for a large plan."""
    import orjson  # noqa: PLC0415

    return _inert(orjson.dumps(data, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE).decode())


def _inert(text: str) -> str:
    """Equivalent JSON without control characters for the terminal."""
    if text.replace("\n", "").isprintable():
        return text
    return "".join(one if one == "\n" or one.isprintable() else json.dumps(one)[1:-1] for one in text)


def styled(text: Any, style: str) -> Text:
    """A text in a colour, printed as it is."""
    return Text(visible(str(text)), style)


def coloured(word: Any) -> Text:
    """A state or outcome in its colour."""
    return styled(word, _COLOURS.get(str(word), ""))


def bold(text: Any) -> Text:
    """A text in bold."""
    return styled(text, "bold")


def new_key() -> str:
    """A new idempotency key."""
    import secrets  # noqa: PLC0415 - takes a while to load

    return secrets.token_urlsafe(16)


def without_digests(text: Any) -> str:
    """A text with long digests in short, by which people still tell them apart; JSON has them whole."""
    return _DIGEST.sub(r"\1…", str(text))


def counted(number: int, noun: str) -> str:
    """A number with its noun: 1 station, 2 stations."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def difference_lines(against: str, differences: Sequence[Mapping[str, Any]]) -> list[str]:
    """What files add, change and remove against a version, in a line for each kind; nothing where they are the same."""
    lines = [] if not differences else [against]
    for one in differences:
        told = ((how, one[how]) for how in ("added", "changed", "removed") if one[how]["count"])
        words = (f"{found['count']} {how} ({first_names(found['names'], of=found['count'])})" for how, found in told)
        lines.append(f"  {one['kind'].replace('_', ' ')}: {'; '.join(words)}")
    return lines


def with_warnings(number: int) -> str:
    """The end of a sentence that says how many warnings there are; empty if there are none."""
    return f", with {counted(number, 'warning')}" if number else ""


def age(text: str | None) -> str:
    """How long ago an ISO time was, in its two largest units, as in 3 d 4 h; 0 s for one that is ahead."""
    if not text:
        return ""
    from controller.ports.clock import SystemClock  # noqa: PLC0415 - help and completion tell no time

    seconds = max(0, int((SystemClock().now() - datetime.fromisoformat(text)).total_seconds()))
    if seconds < 60:
        return f"{seconds} s"
    minutes, hours, days = seconds // 60 % 60, seconds // 3600 % 24, seconds // 86400
    parts = [(days, "d"), (hours, "h"), *([(minutes, "min")] if not days else [])]
    return " ".join(f"{number} {unit}" for number, unit in parts if number)


def when(text: str | None) -> str:
    """An ISO time in short, in this machine's time zone, which is also that of times on the command line."""
    return f"{datetime.fromisoformat(text).astimezone():%Y-%m-%d %H:%M:%S}" if text else "-"
