"""Wake-ups over Celery, sent and received in their own threads, so that an unreachable broker delays nobody."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from typing import Any

import structlog
from celery import Celery

from controller.queue.app import QUEUE, SCHEDULERS, WAKE

log = structlog.get_logger()

#: Seconds between two checks for the end, and before a broker that failed is tried again.
_POLL, _RETRY = 1.0, 5.0
#: Polls without a message from one write of our own to the next, and the header by which it is known.
_PROBED_AGAIN, _PROBE = 5, "minka-probe"


class CeleryWakeups:
    """See ``controller.ports.queue.Wakeups``. Wake-ups that pile up while the broker is away are dropped."""

    def __init__(self, app: Celery) -> None:
        self._app = app
        #: Queue and run of each wake-up to send, the run empty where there is none; None at the end.
        self._waiting: queue.Queue[tuple[str, str] | None] = queue.Queue(maxsize=100)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._send, name="wakeups", daemon=True)
        self._thread.start()

    def wake_workers(self, run: str) -> None:
        """Wake workers for a run."""
        self._put(QUEUE, run)

    def wake_collectors(self) -> None:
        """Wake workers for performance data."""
        self._put(QUEUE, "")

    def wake_scheduler(self) -> None:
        """Wake a scheduler for alarms."""
        self._put(SCHEDULERS, "")

    def _put(self, name: str, run: str) -> None:
        try:
            self._waiting.put_nowait((name, run))
        except queue.Full:
            log.debug("wakeups.dropped", queue=name, run=run)

    def close(self) -> None:
        """Send the waiting wake-ups, within 3 s and until the broker fails."""
        self._closing.set()
        with suppress(queue.Full):
            self._waiting.put_nowait(None)
        self._thread.join(timeout=3)

    def _send(self) -> None:
        while (wakeup := self._next()) is not None:
            name, run = wakeup
            try:
                self._app.send_task(WAKE, args=(run,), queue=name, ignore_result=True, retry=False)
            except Exception as error:  # noqa: BLE001 - any broker error costs latency only
                log.warning("wakeups.silent", queue=name, run=run, reason=type(error).__name__)
                if self._closing.is_set():
                    return

    def _next(self) -> tuple[str, str] | None:
        """The next wake-up; None at the end, which is also an empty queue while closing."""
        try:
            return self._waiting.get(block=not self._closing.is_set())
        except queue.Empty:
            return None


class SchedulerWakeups:
    """Passes on each wake-up of the scheduler, from its own thread, until closed.

    A scheduler is no Celery worker: its work is a loop of rounds, and a wake-up only makes the next one come at once.

    A broker may still give what it has and refuse what is written, so while no wake-up comes, messages of our own are
    written.

    Args:
        app: From ``make_app``.
        on_wakeup: Called for each wake-up.
        on_broker: Called repeatedly with whether the broker takes what is written.
    """

    def __init__(
        self, app: Celery, on_wakeup: Callable[[], object], on_broker: Callable[[bool], object] = bool
    ) -> None:
        self._app = app
        self._on_wakeup = on_wakeup
        self._on_broker = on_broker
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._take, name="scheduler-wakeups", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Receive no more wake-ups."""
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
                self._on_broker(False)
                self._closing.wait(_RETRY)

    def _take_from(self, waiting: Any) -> None:
        quiet = 0
        while not self._closing.is_set():
            if quiet % _PROBED_AGAIN == 0:
                waiting.put([], serializer="json", headers={_PROBE: True})
                self._on_broker(True)
            quiet += 1
            try:
                message = waiting.get(timeout=_POLL)
            except queue.Empty:
                continue
            message.ack()
            if _PROBE not in message.headers:
                quiet = 1
                self._on_wakeup()
