"""Observers see every job and run go by, on every path, and can never stop anything."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import structlog

from controller.models.run import Job
from controller.ports.store import JobResult, Transition

log = structlog.get_logger()


class Observer(Protocol):
    """What happens, told after it is on record."""

    def job_started(self, job: Job) -> None:
        """A job was claimed."""
        ...

    def job_finished(self, job: Job, result: JobResult, seconds: float) -> None:
        """A job ended, or (``withdrawn``) was taken back and may wait anew; ``seconds`` since it was claimed."""
        ...

    def run_moved(self, run_id: str, transition: Transition) -> None:
        """A run opened a wave or changed its state."""
        ...


def tell(observers: Sequence[Observer], what: Callable[[Observer], None]) -> None:
    """Tell all observers; one that fails is logged, and the others still hear it."""
    for observer in observers:
        try:
            what(observer)
        except Exception:
            log.exception("observer.failed", observer=type(observer).__name__)
