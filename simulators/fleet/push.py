"""Messages of a fleet to other systems.

Alarms go as VES events (ONAP VES 7.2, domain fault) or as Alertmanager webhook calls (version 4), announcements of
measurement files as VES events of the domain stndDefined (notifyFileReady of TS 28.532).
One sender per receiver, with a bounded queue: it tries again while the receiver can't be reached, and when the queue is
full the oldest message makes room.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial
from typing import Any

import httpx

from simulators.clock import Clock, Timer
from simulators.elements import timestamp
from simulators.equipment.alarms import Alarm
from simulators.equipment.files import KEPT, FileHabits, MeasurementFile
from simulators.station import Station

_log = logging.getLogger(__name__)

#: Most messages that wait for a receiver.
QUEUE = 10_000
#: Seconds between attempts: the first, doubled each time up to the second.
RETRY = (1.0, 60.0)
#: Time-out of a receiver in seconds.
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
    """A call of Alertmanager's webhook (version 4), with one alert in its own group."""
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
    """Sends messages of a fleet to one receiver.

    Attributes:
        dropped: Number of messages dropped from a full queue.
        sent: Number of messages that the receiver accepted.
    """

    def __init__(self, url: str, clock: Clock, *, limit: int = QUEUE) -> None:
        self._url = url
        self._clock = clock
        self._waiting: deque[Mapping[str, Any]] = deque()
        self._limit = limit
        self._wake = asyncio.Event()
        self._number = 0
        self.dropped = 0
        self.sent = 0

    def put(self, make: Callable[[int], Mapping[str, Any]]) -> None:
        """Queue a message; ``make`` gets its number."""
        self._number += 1
        if len(self._waiting) >= self._limit:
            self._waiting.popleft()
            self.dropped += 1
        self._waiting.append(make(self._number))
        self._wake.set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Send while the context is open; messages that still wait at its end are lost."""
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
        """Post once; a message that the receiver refuses permanently is not sent again."""
        try:
            response = await client.post(self._url, json=body)
        except httpx.HTTPError as error:
            _log.warning("receiver %s can't be reached: %s", self._url, error)
            return False
        if 400 <= response.status_code < 500 and response.status_code != 429:
            _log.error("receiver %s refuses a message: %d", self._url, response.status_code)
            return True
        return response.is_success


class AlarmPush(Push):
    """Sends the alarms of a fleet to one receiver, in one format."""

    def __init__(self, url: str, shape: Shape, clock: Clock, *, limit: int = QUEUE) -> None:
        super().__init__(url, clock, limit=limit)
        self._shape = shape

    def add(self, station: str, alarm: Alarm, raised: bool, when: datetime) -> None:
        """Queue an alarm."""
        self.put(lambda number: self._shape(station, alarm, raised, when, number))


#: Seconds after which each station looks for new files again.
_ROUND = 60


class FilesReady:
    """Announces the measurement files of a fleet as they come, within a minute.

    Args:
        push: Takes the messages.
        stations: The stations.
        folder: URL of a station's files; None while the station is unreachable and announces nothing.
    """

    def __init__(
        self, push: Push, clock: Clock, stations: Sequence[Station], folder: Callable[[str], str | None]
    ) -> None:
        self._push = push
        self._clock = clock
        self._stations = stations
        self._folder = folder
        self._turn = 0
        self._latest = [clock.now()] * _ROUND
        self._timer: Timer | None = None

    def poll(self) -> None:
        """Announce new files of a part of the stations, and of the others in the following seconds."""
        self._timer = self._clock.call_later(1.0, self.poll)
        turn, now = self._turn, self._clock.now()
        self._turn = (turn + 1) % _ROUND
        since, self._latest[turn] = self._latest[turn], now
        for station in self._stations[turn::_ROUND]:
            habits = station.server.profile.files
            folder = self._folder(station.id) if habits.served and not station.equipment.down else None
            files = station.equipment.files(habits)
            for file in sorted(files.since(since), key=lambda file: file.written) if folder else ():
                if file.written > since:
                    size = len(files.content(file))
                    self._push.put(partial(file_ready_event, station.id, f"{folder}/{file.name}", file, habits, size))

    def stop(self) -> None:
        """Stop announcing files."""
        if self._timer is not None:
            self._timer.cancel()


def file_ready_event(
    station: str, location: str, file: MeasurementFile, habits: FileHabits, size: int, number: int
) -> Mapping[str, Any]:
    """NotifyFileReady (TS 28.532) as a VES event of the domain stndDefined (VES 7.2.1)."""
    moment = int(file.written.timestamp() * 1_000_000)
    header = {
        "domain": "stndDefined",
        "eventId": f"file-ready-{station}-{number}",
        "eventName": "stndDefined_notifyFileReady",
        "eventType": "notifyFileReady",
        "sequence": number,
        "priority": "Low",
        "reportingEntityName": station,
        "sourceName": station,
        "startEpochMicrosec": moment,
        "lastEpochMicrosec": moment,
        "nfVendorName": "Minka",
        "timeZoneOffset": "UTC+00:00",
        "version": "4.1",
        "stndDefinedNamespace": "file-ready",
        "vesEventListenerVersion": "7.2.1",
    }
    ready = {
        "fileLocation": location,
        "fileSize": size,
        "fileReadyTime": timestamp(file.written),
        "fileExpirationTime": timestamp(file.written + KEPT),
        "fileCompression": "gzip" if habits.compressed else "no",
        "fileFormat": "xml",
        "fileDataType": "Performance",
    }
    data = {
        "href": f"ManagedElement={station}",
        "notificationId": number,
        "notificationType": "notifyFileReady",
        "eventTime": timestamp(file.written),
        "systemDN": f"ManagedElement={station}",
        "fileInfoList": [ready],
    }
    fields = {"schemaReference": _FILE_READY, "data": data, "stndDefinedFieldsVersion": "1.0"}
    return {"event": {"commonEventHeader": header, "stndDefinedFields": fields}}


_FILE_READY = (
    "https://forge.3gpp.org/rep/sa5/MnS/raw/Rel-16/OpenAPI/TS28532_FileDataReportingMnS.yaml"
    "#components/schemas/NotifyFileReady"
)
