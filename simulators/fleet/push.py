"""Alarms pushed to others: as VES events (ONAP VES 7.2, domain fault), or as Alertmanager webhook calls (version 4).

One sender per receiver, with a bounded queue: it tries again while the receiver can't be reached, and when the queue is
full the oldest alarm makes room.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import httpx

from simulators.clock import Clock
from simulators.equipment.alarms import Alarm

_log = logging.getLogger(__name__)

#: Alarms that wait for a receiver at most.
QUEUE = 10_000
#: Seconds between attempts: doubled each time, up to the second number.
RETRY = (1.0, 60.0)
#: Seconds that a receiver may take.
TIMEOUT = 10.0

#: Makes the body of a request: station, alarm, whether raised, when, number of the message.
Shape = Callable[[str, Alarm, bool, datetime, int], Mapping[str, Any]]


def ves_event(station: str, alarm: Alarm, raised: bool, when: datetime, number: int) -> Mapping[str, Any]:
    """A fault event of VES 7.2 (commonEventHeader 4.1, faultFields 4.0)."""
    moment = int(when.timestamp() * 1_000_000)
    severity = "NORMAL" if not raised else alarm.severity
    header = {
        "domain": "fault",
        "eventId": f"fault-{station}-{number}",
        "eventName": f"fault_Minka_{alarm.cause or 'indeterminate'}",
        "eventType": alarm.type,
        "lastEpochMicrosec": moment,
        "startEpochMicrosec": int(alarm.raised.timestamp() * 1_000_000),
        "priority": "High" if severity in ("CRITICAL", "MAJOR") else "Normal",
        "reportingEntityName": station,
        "sourceName": station,
        "sequence": number,
        "version": "4.1",
        "vesEventListenerVersion": "7.2.1",
        "timeZoneOffset": "UTC+00:00",
    }
    fault = {
        "faultFieldsVersion": "4.0",
        "alarmCondition": alarm.cause or "indeterminate",
        "alarmInterfaceA": alarm.source,
        "eventSeverity": severity,
        "eventSourceType": "other",
        "specificProblem": alarm.problem or alarm.text,
        "vfStatus": "Active",
        "alarmAdditionalInformation": {
            "faultId": str(alarm.fault_id),
            "affected": " ".join(alarm.affected),
            "objectInstance": alarm.object,
            "additionalText": alarm.text,
        },
    }
    return {"event": {"commonEventHeader": header, "faultFields": fault}}


def alertmanager_call(station: str, alarm: Alarm, raised: bool, when: datetime, number: int) -> Mapping[str, Any]:
    """What Alertmanager's webhook receiver would send (version 4), one alert in a group of its own."""
    status = "firing" if raised else "resolved"
    labels = {
        "alertname": alarm.cause or "indeterminate",
        "station": station,
        "source": alarm.source,
        "fault_id": str(alarm.fault_id),
        "severity": alarm.severity.lower(),
    }
    annotations = {"summary": alarm.text, "affected": " ".join(alarm.affected)}
    ends = "0001-01-01T00:00:00Z" if raised else when.isoformat()
    alert = {
        "status": status,
        "labels": labels,
        "annotations": annotations,
        "startsAt": alarm.raised.isoformat(),
        "endsAt": ends,
        "generatorURL": "",
        "fingerprint": f"{station}/{alarm.fault_id}/{alarm.source}",
    }
    return {
        "version": "4",
        "groupKey": f'{{}}:{{station="{station}"}}',
        "truncatedAlerts": 0,
        "status": status,
        "receiver": "minka",
        "groupLabels": {"station": station},
        "commonLabels": labels,
        "commonAnnotations": annotations,
        "externalURL": "",
        "alerts": [alert],
    }


class Push:
    """Sends the alarms of a fleet to one receiver.

    Attributes:
        dropped: Alarms that made room for others.
        sent: Alarms that the receiver took.
    """

    def __init__(self, url: str, shape: Shape, clock: Clock, *, limit: int = QUEUE) -> None:
        self._url = url
        self._shape = shape
        self._clock = clock
        self._waiting: deque[Mapping[str, Any]] = deque()
        self._limit = limit
        self._wake = asyncio.Event()
        self._number = 0
        self.dropped = 0
        self.sent = 0

    def add(self, station: str, alarm: Alarm, raised: bool, when: datetime) -> None:
        """Queue an alarm."""
        self._number += 1
        if len(self._waiting) >= self._limit:
            self._waiting.popleft()
            self.dropped += 1
        self._waiting.append(self._shape(station, alarm, raised, when, self._number))
        self._wake.set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Send while the context is open; what still waits at its end is lost."""
        async with httpx.AsyncClient(timeout=TIMEOUT) as client:
            sending = asyncio.get_running_loop().create_task(self._send(client))
            try:
                yield
            finally:
                sending.cancel()
                await asyncio.gather(sending, return_exceptions=True)

    async def _send(self, client: httpx.AsyncClient) -> None:
        pause, longest = RETRY
        while True:
            if not self._waiting:
                self._wake.clear()
                await self._wake.wait()
            body = self._waiting[0]
            if await self._delivered(client, body):
                pause = RETRY[0]
                if self._waiting and self._waiting[0] is body:
                    self._waiting.popleft()
                self.sent += 1
            else:
                await self._clock.sleep(pause)
                pause = min(pause * 2, longest)

    async def _delivered(self, client: httpx.AsyncClient, body: Mapping[str, Any]) -> bool:
        """Post once; a receiver that refuses the message for good is not asked again."""
        try:
            response = await client.post(self._url, json=body)
        except httpx.HTTPError as error:
            _log.warning("alarm receiver %s can't be reached: %s", self._url, error)
            return False
        if 400 <= response.status_code < 500 and response.status_code != 429:
            _log.error("alarm receiver %s refuses an alarm: %d", self._url, response.status_code)
            return True
        return response.is_success
