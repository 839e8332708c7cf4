"""One worker process: Celery's consumer in the main thread, one asyncio loop beside it."""

from __future__ import annotations

import asyncio
import faulthandler
import os
import threading
from collections.abc import Callable

import structlog

from controller.bootstrap import parts
from controller.models.process import ProcessRole
from controller.models.settings import Settings
from controller.ports.clock import SystemClock
from controller.queue.app import WAKE, make_app, make_worker
from controller.runs.loop import WorkerLoop

log = structlog.get_logger()

#: Seconds in which the loop does not turn once, after which it is taken to hang. Others have buried it long before.
HANGS_AFTER = 30
#: Exit status of a process that ends because its loop hangs (sysexits.h: EX_SOFTWARE).
_HUNG = 70
_CLOCK = SystemClock()


class LoopThread(threading.Thread):
    """Runs the device loop until told to stop; ``failed`` says whether it ended by an error."""

    def __init__(self, settings: Settings, name: str, on_end: Callable[[], None]) -> None:
        super().__init__(name="device-loop")
        self._settings = settings
        self._worker_name = name
        self._on_end = on_end
        self._ready = threading.Event()
        self._asyncio: asyncio.AbstractEventLoop | None = None
        self._ending: asyncio.Event | None = None
        self._worker: WorkerLoop | None = None
        self._turns = 0
        self.failed = False

    def run(self) -> None:
        """Body of the thread."""
        try:
            asyncio.run(self._main())
        except Exception:
            self.failed = True
            log.exception("worker.loop_failed")
        finally:
            self._ready.set()
            self._on_end()

    async def _main(self) -> None:
        self._asyncio = asyncio.get_running_loop()
        self._ending = asyncio.Event()
        self._pulse = asyncio.create_task(self._turn())
        async with parts(self._settings) as made:
            await made.take_calls(ProcessRole.WORKER)
            self._worker = made.worker_loop(self._worker_name)
            self._ready.set()
            await self._worker.run(self._ending)

    async def _turn(self) -> None:
        """Show the watchdog that the loop turns."""
        while True:
            self._turns += 1
            await _CLOCK.sleep(1)

    def watch(self) -> None:
        """Body of the watchdog: end the whole process, for its supervisor to start anew, once the loop hangs.

        Nothing is taken down in good order: what hangs can't be, and being killed is what everything is made for.
        """
        seen, stood = -1, 0
        # Ticks are counted instead of time, so that a process that was stopped as a whole is not taken to hang.
        while stood < HANGS_AFTER:
            _CLOCK.pause(1)
            seen, stood = self._turns, stood + 1 if self._turns == seen else 0
        log.critical("worker.hangs", seconds=stood)
        faulthandler.dump_traceback()
        os._exit(_HUNG)

    def wake(self, run_id: str) -> None:
        """Pass a ring on."""
        if self._worker is not None:
            self._worker.wake(run_id)

    def stop(self) -> None:
        """Let running transactions end, then end the thread."""
        self._ready.wait()
        if self._asyncio is not None and self._ending is not None and not self._asyncio.is_closed():
            self._asyncio.call_soon_threadsafe(self._ending.set)


def run(settings: Settings, name: str) -> int:
    """Serve until SIGTERM; returns the exit status, non-zero where a supervisor should start anew.

    A poison message can end Celery's consumer; the loop then still ends its transactions first.
    """
    app = make_app(settings.broker_url, settings.home / "spool")
    worker = make_worker(app, name)
    thread = LoopThread(settings, name, on_end=worker.stop)

    @app.task(name=WAKE)  # type: ignore[untyped-decorator]
    def wake(run_id: str) -> None:
        thread.wake(run_id)

    thread.start()
    threading.Thread(target=thread.watch, name="watchdog", daemon=True).start()
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
