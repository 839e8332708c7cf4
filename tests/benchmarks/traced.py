"""A process of Minka that writes down what it waits for: ``python -m tests.benchmarks.traced FILE WORDS...``.

It is ``minka WORDS...``. ``FILE`` gets a line of JSON for each thing that took time, with its begin and its end in
seconds since 1970: a call of the loop's store, with when its transaction began; a lock of the database that only one
has; a commit; a look at a station; work on an alarm; reports of a source, and the transaction that takes them. Whatever
is done for an alarm names it.
"""

from __future__ import annotations

import functools
import json
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from controller.api import intake
from controller.assurance.checker import Checker
from controller.cli.main import main
from controller.models.alarm import Alarm, AlarmReport
from controller.remediation.remediator import Remediator
from controller.runs.launch import Launcher
from controller.store import loop
from controller.store.database.transaction import Tx

#: Seconds between two times that what is known is written.
_WRITE = 0.5
_alarm: ContextVar[str] = ContextVar("alarm", default="")
_lines: list[dict[str, Any]] = []
#: When the transaction of a call began, by the call's work.
_begun: dict[int, float] = {}


def _note(what: str, begin: float, **more: object) -> None:
    _lines.append({"what": what, "begin": begin, "end": time.time(), "alarm": _alarm.get(), **more})


def _timed(owner: type, name: str) -> None:
    """Write down each call of a coroutine function."""
    original: Callable[..., Awaitable[Any]] = getattr(owner, name)

    @functools.wraps(original)
    async def timed(*args: Any, **kwargs: Any) -> Any:
        begin = time.time()
        try:
            return await original(*args, **kwargs)
        finally:
            _note(name, begin)

    setattr(owner, name, timed)


def _trace_store() -> None:
    call, commit, guard, end = loop.LoopStore.call, loop._Lane._commit, Tx.guard, Connection.commit

    async def traced_call(self: loop.LoopStore, work: Any) -> Any:
        begin = time.time()
        try:
            return await call(self, work)
        finally:
            _note("call", begin, begun=_begun.pop(id(work), begin), cpu=time.process_time())

    def traced_commit(self: Any, group: Sequence[Any]) -> None:
        _begun.update(dict.fromkeys((id(one.work) for one in group), time.time()))
        commit(self, list(group))

    def traced_guard(self: Tx, name: str) -> None:
        begin = time.time()
        guard(self, name)
        _note("lock", begin, name=name)

    def traced_end(self: Connection) -> None:
        begin = time.time()
        end(self)
        _note("commit", begin)

    Connection.commit = traced_end  # type: ignore[method-assign]
    loop.LoopStore.call = traced_call  # type: ignore[method-assign]
    loop._Lane._commit = traced_commit  # type: ignore[method-assign]
    Tx.guard = traced_guard  # type: ignore[method-assign]


def _trace_work() -> None:
    attend = Remediator._attend

    async def traced_attend(self: Remediator, alarm_id: str) -> None:
        _alarm.set(alarm_id)
        begin = time.time()
        await attend(self, alarm_id)
        _note("attend", begin)

    Remediator._attend = traced_attend  # type: ignore[method-assign]
    _timed(Checker, "check")
    _timed(Launcher, "accept")


def _trace_intake() -> None:
    report, together = intake.Intake.report, intake._together

    async def traced_report(
        self: intake.Intake,
        take: intake.ReportSink,
        reports: Sequence[AlarmReport],
        refused: Mapping[str, int],
        real: Collection[str],
    ) -> list[Alarm | None]:
        begin = time.time()
        taken = await report(self, take, reports, refused, real)
        alarm = taken[0] if len(taken) == 1 else None
        _alarm.set("" if alarm is None else alarm.id)
        _note("report", begin)
        return taken

    async def traced_together(take: intake.ReportSink, calls: Sequence[Any]) -> None:
        begin = time.time()
        await together(take, calls)
        _note("transaction", begin, reports=sum(len(one.reports) for one in calls))

    intake.Intake.report = traced_report  # type: ignore[method-assign]
    intake._together = traced_together


def _write(file: Path) -> None:
    with file.open("a", encoding="utf-8") as out:
        while True:
            time.sleep(_WRITE)
            some = _lines[:]
            del _lines[: len(some)]
            out.writelines(json.dumps(line) + "\n" for line in some)
            out.flush()


if __name__ == "__main__":
    _trace_store()
    _trace_work()
    _trace_intake()
    threading.Thread(target=_write, args=(Path(sys.argv[1]),), daemon=True).start()
    sys.argv = ["minka", *sys.argv[2:]]
    main()
