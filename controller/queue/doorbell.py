"""The doorbell over Celery: rings from a thread of its own, so that a broker that is away delays nobody."""

from __future__ import annotations

import queue
import threading

import structlog
from celery import Celery

from controller.queue.app import WAKE

log = structlog.get_logger()


class CeleryDoorbell:
    """See ``controller.ports.queue.Doorbell``. Rings that pile up while the broker is away are dropped."""

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._rings: queue.Queue[str | None] = queue.Queue(maxsize=100)
        self._thread = threading.Thread(target=self._send, name="doorbell", daemon=True)
        self._thread.start()

    def ring(self, run: str) -> None:
        """Ring for a run."""
        try:
            self._rings.put_nowait(run)
        except queue.Full:
            log.debug("doorbell.dropped", run=run)

    def close(self) -> None:
        """Send what waits, for a moment at most."""
        try:
            self._rings.put_nowait(None)
        except queue.Full:
            return
        self._thread.join(timeout=3)

    def _send(self) -> None:
        while (run := self._rings.get()) is not None:
            try:
                self._app.send_task(WAKE, args=(run,), ignore_result=True, retry=False)
            except Exception as error:  # noqa: BLE001 - any broker error costs latency only
                log.warning("doorbell.silent", run=run, reason=type(error).__name__)
