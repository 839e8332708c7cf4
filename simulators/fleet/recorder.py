"""The history of a whole run: every event of every station as a line of JSON, in the order in which it happened."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TextIO

from simulators.equipment.alarms import Alarm
from simulators.history import Event


class Recorder:
    """Writes all events that happen from now on; equal runs in virtual time write equal bytes."""

    def __init__(self, sink: TextIO) -> None:
        self._sink = sink

    def happened(self, station: str, event: Event) -> None:
        """Write an event."""
        line = {"station": station, **event.to_json()}
        self._sink.write(json.dumps(line, sort_keys=True, separators=(",", ":"), ensure_ascii=False) + "\n")

    def alarmed(self, station: str, alarm: Alarm, raised: bool, when: datetime) -> None:
        """Alarms are events too, and were written already."""
