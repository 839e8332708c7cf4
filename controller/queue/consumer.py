"""The consumer of wake-ups in a worker: whatever the broker does costs latency, never the worker."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import Any

import structlog
from celery.worker.consumer import Consumer

log = structlog.get_logger()

#: Seconds before a broker that failed is tried again.
_RETRY = 2.0


class LastingConsumer(Consumer):  # type: ignore[misc]  # Celery has no types
    """Begins again after each error.

    Celery ends the worker where a broker refuses what it is asked (a Redis that is full, a replica, an ACL), where a
    spool can't be read, and at a message that is none. Each message is off its queue before it is read, so none comes
    again.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.connection_errors = (Exception,)

    def on_connection_error_before_connected(self, exc: Exception) -> None:
        """Wait, and let Celery connect again."""
        log.warning("consumer.silent", reason=type(exc).__name__)
        if self.connection:
            with suppress(Exception):
                self.connection.collect()
        threading.Event().wait(_RETRY)

    on_connection_error_after_connected = on_connection_error_before_connected
