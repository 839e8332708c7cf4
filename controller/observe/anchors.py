"""Anchors of the audit trail: its newest row, written outside of the database."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from controller.models.audit import AuditAnchor
from controller.models.errors import MinkaError, in_words
from controller.ports.clock import Clock
from controller.ports.webhook import Webhook


class Anchors:
    """Adds anchors to a file, and sends them to a collector of logs if there is one; each once.

    Args:
        file: Lines are only appended; readable by its owner only.
        clock: Source of time.
        collector: Gets each anchor too; None for the file alone.
    """

    def __init__(self, file: Path, clock: Clock, collector: Webhook | None = None) -> None:
        self._file = file
        self._clock = clock
        self._collector = collector
        self._filed: AuditAnchor | None = None
        self._sent: AuditAnchor | None = None

    async def publish(self, anchor: AuditAnchor) -> None:
        """Keep an anchor, and send it on.

        Raises:
            MinkaError: The file can't be written, or the collector can't be reached; the next call tries again.
        """
        if anchor != self._filed:
            await asyncio.to_thread(self._add, anchor)
            self._filed = anchor
        if self._collector is not None and anchor != self._sent:
            await self._collector.post({"text": anchor.text}, f"audit-{anchor.epoch}-{anchor.number}")
            self._sent = anchor

    def _add(self, anchor: AuditAnchor) -> None:
        line = f"{self._clock.now().isoformat(timespec='seconds')} {anchor.text}\n"
        try:
            handle = os.open(self._file, os.O_CREAT | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC, 0o600)
            try:
                os.write(handle, line.encode())
                os.fsync(handle)
            finally:
                os.close(handle)
        except OSError as error:
            raise MinkaError(
                f"the anchor of the audit trail could not be added to {self._file}: {in_words(error)}"
            ) from error
