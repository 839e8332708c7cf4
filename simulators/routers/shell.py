"""One session on a router's command line: keys, echo, prompts, modes, pages, and injected faults."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any

from simulators.clock import Timer
from simulators.history import EventKind, Origin
from simulators.routers import show
from simulators.routers.configure import GRAMMARS, Editor
from simulators.routers.execute import PRIVILEGED, UNPRIVILEGED
from simulators.routers.faults import LINE_FAULTS, RouterFault, RouterFaultKind
from simulators.routers.grammar import CommandError, Grammar, UnknownInputError, words_of
from simulators.routers.keyboard import EndOfInputError, Keyboard
from simulators.routers.router import Router
from simulators.ssh import Channel

_log = logging.getLogger(__name__)

#: Seconds that a client may take to read an answer.
CLIENT_SECONDS = 60.0
#: Default lines of a page.
PAGE = 24
#: Longest host name that a prompt shows.
PROMPT_NAME = 20
GARBAGE = "\x00\ufffd\x1b[7m@@##\x1b[0m)>?\ufffd\r\n"
_MORE = " --More-- "
_DO = re.compile(r"\s*do(?=\s|$)", re.IGNORECASE)


class Shell:
    """A session from its first prompt to its end."""

    def __init__(self, router: Router, user: str, channel: Channel) -> None:
        self.router = router
        self.origin = Origin(router.next_session_id(), user)
        self.privileged = router.settings.enable_password is None
        self.page_length = PAGE
        self._channel = channel
        self._keyboard = Keyboard(self._write, self, channel.pause_reading, channel.resume_reading)
        self._editor: Editor | None = None
        self._lines = 0
        self._leaving = False
        self._ended = False
        self._task: asyncio.Task[None] | None = None
        self._timeout: Timer | None = None
        self._writable = asyncio.Event()
        self._writable.set()

    # ---------------------------------------------------- from the transport

    def open(self, command: str | None = None) -> None:
        """Add the session to the router's and show a prompt, or carry out one command and leave."""
        self.router.session_opened(self)
        work = self._converse() if command is None else self._run_once(command)
        self._task = asyncio.get_running_loop().create_task(self._guarded(work))

    def receive(self, data: bytes) -> None:
        """Take bytes from the client."""
        self._keyboard.feed(data.decode("utf-8", "replace"))

    def end_of_input(self) -> None:
        """After the client's last byte: carry out what it typed, then end (RFC 4254 §5.3)."""
        self._keyboard.end()

    def pause_writing(self) -> None:
        """Pause writing to a client that does not read, for a limited time."""
        self._writable.clear()
        self._timeout = self.router.clock.call_later(CLIENT_SECONDS, self.drop)

    def resume_writing(self) -> None:
        """Resume writing."""
        self._writable.set()
        self._stop_timeout()

    def lost(self) -> None:
        """Note that the transport ended, for any reason."""
        if self._ended:
            return
        self._ended = True
        self._stop_timeout()
        if self._task is not None and self._task is not asyncio.current_task():
            self._task.cancel()
        self.router.session_closed(self)

    def drop(self) -> None:
        """Drop the session at once."""
        self._channel.abort()
        self.lost()

    def _stop_timeout(self) -> None:
        if self._timeout is not None:
            self._timeout.cancel()
            self._timeout = None

    # ------------------------------------------------------- for the commands

    async def ask(self, question: str, *, secret: bool = False) -> str:
        """Print a question and return the line typed in answer."""
        self._write(question)
        return await self._keyboard.line(question, secret=secret)

    async def ask_key(self, question: str) -> str:
        """Print a question and return the key pressed in answer."""
        self._write(question)
        key = await self._keyboard.key()
        self._write("\r\n")
        return key

    def print(self, text: str) -> None:
        """Print at once."""
        self._write(text.replace("\n", "\r\n"))

    def configure(self) -> None:
        """Enter configuration mode."""
        self._editor, self._lines = Editor(), 0

    def leave(self) -> None:
        """End the session in good order."""
        self._leaving = True

    # ----------------------------------------------------------- conversation

    @property
    def prompt(self) -> str:
        """The prompt before the next line."""
        name = self.router.running.hostname[:PROMPT_NAME]
        if self._editor is not None:
            return f"{name}({self._editor.label})#"
        return f"{name}{'#' if self.privileged else '>'}"

    async def _guarded(self, work: Coroutine[None, None, None]) -> None:
        try:
            await work
        except EndOfInputError:
            self._hang_up()
        except Exception:  # noqa: BLE001 (a bug met by one session must not touch the others)
            _log.exception("session %d of %s met a bug: dropped", self.origin.session, self.router.id)
            self.drop()

    async def _converse(self) -> None:
        self._write("\r\n")
        while not self._leaving and not self._ended:
            await self._writable.wait()
            idle = self.router.clock.call_later(self.router.settings.idle_seconds, self._hang_up)
            try:
                self._write(self.prompt)
                line = await self._keyboard.command(self.prompt)
            finally:
                idle.cancel()
            await self._handle(line)
        self._hang_up()

    async def _run_once(self, command: str) -> None:
        """Carry out the command of ``ssh router command``, and hang up."""
        self.page_length = 0
        self._write("\r\n")
        try:
            await self._execute(command)
        except CommandError:
            self.print(f'Line has invalid autocommand "{command}"')
        self._hang_up()

    def _hang_up(self) -> None:
        if not self._ended:
            self._channel.close()
            self.lost()

    # ------------------------------------------------------------------ lines

    async def _handle(self, line: str) -> None:
        if line == Keyboard.END:
            self._editor = None
            return
        if not line.strip() or line.lstrip().startswith("!"):
            return
        try:
            if self._editor is None:
                await self._execute(line)
            elif line.split(maxsplit=1)[0].lower() == "do":
                await self._execute(_DO.sub(lambda found: " " * len(found[0]), line))
            else:
                await self._configure(line, self._editor)
        except CommandError as error:
            self._refuse(line, error)

    async def _execute(self, line: str) -> None:
        command, bar, words = line.partition("|")
        match = (PRIVILEGED if self.privileged else UNPRIVILEGED).match(command)
        filtered = show.read_filter(words) if bar else str

        async def act() -> str:
            return filtered(await match.action(self, *match.arguments))

        await self._carry_out(line, match.name, 0, act)

    async def _configure(self, line: str, editor: Editor) -> None:
        self._lines += 1
        match = editor.match(line)

        async def act() -> str:
            notice = self.router.apply(editor, match, self.origin, line, self._lines)
            return f"{notice}\n" if notice else ""

        await self._carry_out(line, match.name, self._lines, act)
        if editor.ended:
            self._editor = None

    async def _carry_out(self, line: str, name: str, number: int, act: Callable[[], Awaitable[str]]) -> None:
        """Carry out one line, with the faults that strike it."""
        strike = {fault.kind: fault for fault in self.router.take_faults(LINE_FAULTS, self.origin, name, number)}
        if RouterFaultKind.DROP_BEFORE in strike:
            self.drop()
            return
        try:
            await self._page(await act())
        except CommandError as error:
            self._refuse(line, error)
        await self._misbehave(strike)

    async def _misbehave(self, strike: Mapping[RouterFaultKind, RouterFault]) -> None:
        if RouterFaultKind.DROP_AFTER in strike:
            self.drop()
            return
        if RouterFaultKind.HANG in strike:
            await asyncio.Event().wait()
        seconds = self.router.settings.prompt_seconds
        if RouterFaultKind.DELAY in strike:
            seconds += strike[RouterFaultKind.DELAY].seconds
        if seconds:
            await self.router.clock.sleep(seconds)
        if RouterFaultKind.GARBAGE in strike:
            self._write(GARBAGE)
        if RouterFaultKind.LOG_LINES in strike:
            moment = format(self.router.clock.now(), "%b %d %H:%M:%S.000")
            self.print(f"*{moment}: %LINEPROTO-5-UPDOWN: Line protocol on Interface Loopback99, changed state to up\n")

    def _refuse(self, line: str, error: CommandError) -> None:
        self.router.history.record(EventKind.REFUSED, self.origin, line=line.strip()[:200], reason=error.text)
        if isinstance(error, UnknownInputError):
            self.print(f"{' ' * (len(self.prompt) + error.offset)}^\n")
        self.print(f"{error.text}\n\n")

    # ----------------------------------------------------------------- screen

    async def _page(self, text: str) -> None:
        """Print, and wait at the end of every page for a key: space for a page, return for a line, else no more."""
        lines = text.splitlines(keepends=True)
        room = self.page_length - 1 if self.page_length else len(lines)
        self.print("".join(lines[:room]))
        shown = room
        while shown < len(lines) and not self._ended:
            key = await self._ask_more()
            if key not in (" ", "\n"):
                return
            step = room if key == " " else 1
            self.print("".join(lines[shown : shown + step]))
            shown += step

    async def _ask_more(self) -> str:
        self._write(_MORE)
        key = await self._keyboard.key()
        self._write("\b" * len(_MORE) + " " * len(_MORE) + "\b" * len(_MORE))
        return key

    def words_after(self, typed: str) -> str:
        """The next words, or the completions of the word before a question mark."""
        try:
            words = self._continuations(typed)
        except CommandError as error:
            return error.text
        return "\r\n".join(f"  {word}" for word in words) or "  <cr>"

    def completion_of(self, typed: str) -> str:
        """The rest of a keyword, and a space."""
        begun = words_of(typed)[-1:] if typed[-1:].strip() else []
        try:
            words = [word for word in self._continuations(typed) if word.islower()] if begun else []
        except CommandError:
            return ""
        return f"{words[0][len(begun[0].text) :]} " if len(words) == 1 else ""

    def _continuations(self, typed: str) -> list[str]:
        """The words that fit at the cursor; for a part of a word, the whole words."""
        if self._editor is not None:
            grammar: Grammar[Any] = GRAMMARS[self._editor.mode]
        else:
            grammar = PRIVILEGED if self.privileged else UNPRIVILEGED
        if not typed[-1:].strip():
            return grammar.keywords(typed)
        begun = words_of(typed)[-1]
        words = grammar.keywords(typed[: begun.offset])
        return [word for word in words if not word.islower() or word.startswith(begun.text.lower())]

    def _write(self, text: str) -> None:
        if not self._ended:
            self._channel.write(text.encode())
