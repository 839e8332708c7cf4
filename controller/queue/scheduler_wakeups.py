"""Wake-ups of the scheduler, taken from their queue in a thread of its own.

A scheduler is no Celery worker: its work is a loop of rounds, and a wake-up only makes the next one come at once.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from contextlib import closing
from typing import Any

import structlog
from celery import Celery

from controller.queue.app import SCHEDULERS

log = structlog.get_logger()

#: Seconds between two looks whether it is to end, and until a broker that is away is tried again.
_LOOK, _RETRY = 1.0, 5.0


class SchedulerWakeups:
    """Passes each wake-up on, from another thread than the caller's, until it is closed."""

    def __init__(self, app: Celery, on_wakeup: Callable[[], object]) -> None:
        self._app = app
        self._on_wakeup = on_wakeup
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._take, name="scheduler-wakeups", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Take no more."""
        self._closing.set()
        self._thread.join(timeout=3)

    def _take(self) -> None:
        while not self._closing.is_set():
            try:
                with (
                    self._app.connection_for_read() as connection,
                    closing(connection.SimpleQueue(SCHEDULERS)) as waiting,
                ):
                    self._take_from(waiting)
            except Exception as error:  # noqa: BLE001 - any broker error costs latency only
                log.warning("scheduler_wakeups.silent", reason=type(error).__name__)
                self._closing.wait(_RETRY)

    def _take_from(self, waiting: Any) -> None:
        while not self._closing.is_set():
            try:
                waiting.get(timeout=_LOOK).ack()
            except queue.Empty:
                continue
            self._on_wakeup()
