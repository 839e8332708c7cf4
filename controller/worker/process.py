"""One worker process: Celery's consumer in the main thread, one asyncio loop beside it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import structlog

from controller.bootstrap import parts
from controller.models.errors import MinkaError
from controller.models.process import ProcessRole
from controller.models.settings import Settings
from controller.observe.rounds import Rounds
from controller.observe.watchdog import watched
from controller.ports.clock import SystemClock
from controller.queue.app import WAKE, make_app, make_worker
from controller.runs.loop import WorkerLoop

log = structlog.get_logger()

#: Seconds between two queries for performance data to collect, unless woken.
_COLLECT = 2.0


class LoopThread(threading.Thread):
    """Runs the device loop until asked to stop; ``failed`` says whether it ended by an error."""

    def __init__(self, settings: Settings, name: str, on_end: Callable[[], None]) -> None:
        super().__init__(name="device-loop")
        self._settings = settings
        self._worker_name = name
        self._on_end = on_end
        self._ready = threading.Event()
        self._asyncio: asyncio.AbstractEventLoop | None = None
        self._ending: asyncio.Event | None = None
        self._worker: WorkerLoop | None = None
        self._collection = asyncio.Event()
        self.failed = False

    def run(self) -> None:
        """Body of the thread."""
        try:
            asyncio.run(self._main())
        except MinkaError as error:
            self.failed = True
            log.error("worker.loop_failed", reason=error.message)  # noqa: TRY400 - the words are for people
        except Exception:
            self.failed = True
            log.exception("worker.loop_failed")
        finally:
            self._ready.set()
            self._on_end()

    async def _main(self) -> None:
        self._asyncio = asyncio.get_running_loop()
        self._ending = asyncio.Event()
        async with watched(SystemClock()), parts(self._settings, ProcessRole.WORKER) as made:
            await made.take_calls(ProcessRole.WORKER)
            self._worker = made.worker_loop(self._worker_name)
            collector = made.collector(self._worker_name)
            self._collection = collector.work
            rounds = Rounds(made.clock)
            rounds.start("collection", collector.step, _COLLECT, collector.work)
            self._ready.set()
            try:
                await self._worker.run(self._ending)
            finally:
                await rounds.stop()
                await collector.close()

    def wake(self, run_id: str) -> None:
        """Pass on a wake-up; without a run it is for the collector of performance data."""
        if not run_id:
            self._call(self._collection.set)
        elif self._worker is not None:
            self._worker.wake(run_id)

    def stop(self) -> None:
        """Let running transactions end, then end the thread."""
        self._ready.wait()
        if self._ending is not None:
            self._call(self._ending.set)

    def _call(self, work: Callable[[], None]) -> None:
        if self._asyncio is not None and not self._asyncio.is_closed():
            self._asyncio.call_soon_threadsafe(work)


def run(settings: Settings, name: str) -> int:
    """Serve until SIGTERM, and return the exit status: non-zero where a supervisor should restart the process.

    If Celery's consumer ends by an error of its own, the loop still ends its transactions first.
    """
    app = make_app(settings.broker_url, settings.home / "spool")
    worker = make_worker(app, name)
    thread = LoopThread(settings, name, on_end=worker.stop)

    @app.task(name=WAKE)  # type: ignore[untyped-decorator]
    def wake(run_id: str) -> None:
        thread.wake(run_id)

    thread.start()
    status = 0
    try:
        worker.start()
        status = worker.exitcode or 0
    except Exception:
        log.exception("worker.consumer_failed")
        status = 1
    finally:
        thread.stop()
        thread.join()
    return 1 if thread.failed else status
