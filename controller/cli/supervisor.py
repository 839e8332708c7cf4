"""``minka up``: runs all processes of Minka on this machine and supervises them."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FrameType

import structlog

from controller.cli.errors import FAILED, CliError
from controller.ports.clock import Clock

log = structlog.get_logger()

#: Seconds that a process gets to end its device transactions before it is killed.
GRACE = 150.0
#: Seconds before a process that ended is restarted.
_RESTART = 1.0
#: How often in a row a process may end after a short life before it counts as broken: before everything was up, and
#: later.
_TRIES, _LATER_TRIES = 3, 8
#: Seconds from which on a life is not short.
_LASTING = 60.0
#: Seconds within which everything has to be up, also on a busy machine.
_PATIENCE = 180.0
#: Last lines of the log that the message then repeats.
_TAIL = 5
#: prctl(2): the signal that a process gets when the thread that started it ends.
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)


@dataclass
class _Child:
    name: str
    command: Sequence[str]
    process: subprocess.Popen[bytes] | None = None
    start_at: float = 0.0
    ended: int = 0
    ready: bool = False


class Supervisor:
    """Starts processes, restarts those that end, and stops all together.

    Args:
        logs: Folder for one log file a process.
    """

    def __init__(self, commands: Mapping[str, Sequence[str]], logs: Path, clock: Clock) -> None:
        self._children = [_Child(name, command) for name, command in commands.items()]
        self._logs = logs
        self._clock = clock
        self._stopping = False

    def run(
        self,
        ready: Callable[[str], bool],
        started: Sequence[str],
        note: Path | None = None,
        progress: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Supervise until SIGTERM or SIGINT; ``started`` is printed once all processes are ``ready`` (by name).

        Args:
            ready: Whether a process is ready.
            started: Lines to print then.
            note: A file that holds these lines from then on until the end, for `minka wait`.
            progress: Told until then how many processes are ready and which ones are not, whenever that changes.

        Raises:
            CliError: A process ends again and again, or is not ready in time; all others were stopped.
        """
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        self._logs.mkdir(parents=True, exist_ok=True)
        try:
            self._until_ready(ready, progress)
            if not self._stopping:
                text = "".join(line + "\n" for line in started)
                sys.stdout.write(text)
                sys.stdout.flush()
                if note is not None:
                    note.write_text(text, encoding="utf-8")
            while not self._stopping:
                self._restart_ended(_LATER_TRIES)
                self._clock.pause(0.2)
        finally:
            if note is not None:
                note.unlink(missing_ok=True)
            self._take_down()

    def _until_ready(self, ready: Callable[[str], bool], progress: Callable[[str], None]) -> None:
        end = self._clock.monotonic() + _PATIENCE
        told = ""
        while not self._stopping:
            self._restart_ended(_TRIES)
            missing = [child for child in self._children if not self._is_ready(child, ready)]
            if not missing:
                return
            if self._clock.monotonic() > end:
                raise self._broken(missing[0], f"is not ready after {_PATIENCE:g} s")
            if told != (told := self._progress(missing)):
                progress(told)
            self._clock.pause(0.2)

    def _progress(self, missing: Sequence[_Child]) -> str:
        """How many processes are ready, and which ones are not."""
        names = (f"{one.name} (ended {one.ended}×)" if one.ended else one.name for one in missing)
        number = len(self._children)
        return f"{number - len(missing)} of {number} processes are ready, not yet {', '.join(names)}"

    def _is_ready(self, child: _Child, ready: Callable[[str], bool]) -> bool:
        child.ready = child.process is not None and (child.ready or ready(child.name))
        return child.ready

    def _restart_ended(self, tries: int) -> None:
        for child in self._children:
            self._restart(child)
            if child.ended >= tries:
                raise self._broken(child, "does not start" if tries == _TRIES else "ends again and again")

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        self._stopping = True

    def _restart(self, child: _Child) -> None:
        now = self._clock.monotonic()
        if child.process is not None and child.process.poll() is not None:
            log.warning("process.ended", name=child.name, status=child.process.returncode)
            lasted = now - child.start_at > _LASTING
            child.process, child.ready, child.ended = None, False, 1 if lasted else child.ended + 1
            child.start_at = now + _RESTART * max(1, child.ended - _TRIES)
        if child.process is None and now >= child.start_at:
            child.start_at = now
            with self._log_of(child).open("ab") as output:
                # Its own process group: a Ctrl-C at the terminal reaches the supervisor only.
                child.process = subprocess.Popen(  # noqa: S603 - our own commands
                    child.command,
                    stdout=output,
                    stderr=output,
                    stdin=subprocess.DEVNULL,
                    start_new_session=True,
                    preexec_fn=partial(_end_with, os.getpid()),  # noqa: PLW1509 - there are no other threads
                )
            log.info("process.started", name=child.name, pid=child.process.pid)

    def _log_of(self, child: _Child) -> Path:
        return self._logs / f"{child.name}.log"

    def _broken(self, child: _Child, what: str) -> CliError:
        lines = self._log_of(child).read_text(encoding="utf-8", errors="replace").splitlines()
        tail = "\n".join(f"  {line}" for line in lines[-_TAIL:])
        return CliError(f"{child.name} {what}; the end of {self._log_of(child)} says:\n{tail}", FAILED)

    def _take_down(self) -> None:
        """Ask all to end, wait for running device transactions, then kill the rest."""
        running = [child.process for child in self._children if child.process is not None]
        for process in running:
            process.terminate()
        end = self._clock.monotonic() + GRACE
        while any(process.poll() is None for process in running) and self._clock.monotonic() < end:
            self._clock.pause(0.05)
        for process in running:
            if process.poll() is None:
                process.kill()
            process.wait()


def _end_with(supervisor: int) -> None:
    """Have the kernel send a child process SIGTERM when its supervisor ends in any way, so that it ends in order.

    Linux only. The signal comes when the thread ends that started the child: here always the main thread, which lives
    as long as its process.
    """
    if sys.platform == "linux":
        _LIBC.prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM))
        if os.getppid() != supervisor:
            # The supervisor ended before we asked.
            os._exit(0)
