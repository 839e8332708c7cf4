"""Webhooks that alarm sources call."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

import structlog
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from controller.api.auth import Router, needs
from controller.api.services import Backend, Body
from controller.assurance.health import STATION
from controller.models.alarm import AlarmReport, AlarmSource, PerceivedSeverity
from controller.models.errors import InputError
from controller.models.people import Permission, Person

log = structlog.get_logger()
router = Router(prefix="/v1/webhooks", tags=["webhooks"])


class AlertmanagerAlert(BaseModel):
    """One alert of Alertmanager's webhook; unknown fields are Alertmanager's own business."""

    model_config = ConfigDict(extra="ignore")

    status: Literal["firing", "resolved"]
    labels: dict[str, str]
    annotations: dict[str, str] = {}
    starts_at: AwareDatetime = Field(alias="startsAt")
    ends_at: AwareDatetime | None = Field(default=None, alias="endsAt")


class AlertmanagerWebhook(BaseModel):
    """Alertmanager's webhook, version 4."""

    model_config = ConfigDict(extra="ignore")

    version: Literal["4"]
    truncated_alerts: int = Field(default=0, alias="truncatedAlerts")
    alerts: list[AlertmanagerAlert]


class Accepted(Body):
    """Ids of the alarms that the alerts became, in order, and how many of them were not about a station."""

    alarms: list[str]
    ignored: int


def _report(alert: AlertmanagerAlert, now: datetime) -> AlarmReport | None:
    """An alert about a station as a report; None for alerts about something else.

    Labels: ``station`` (needed), ``object`` (path; the station itself by default), ``tenant``,
    ``probable_cause`` (the alert's name by default), ``severity`` (X.733 words; MAJOR by default).
    """
    labels = alert.labels
    if not labels.get("station"):
        return None
    resolved = alert.status == "resolved"
    if resolved and alert.ends_at is None:
        raise InputError("a resolved alert needs endsAt")
    at = (alert.ends_at if resolved else None) or alert.starts_at
    return AlarmReport(
        station=labels["station"],
        object=labels.get("object", STATION),
        tenant=labels.get("tenant", ""),
        probable_cause=labels.get("probable_cause", labels.get("alertname", "unknown")),
        severity=PerceivedSeverity.CLEARED if resolved else _severity(labels.get("severity", "")),
        text=alert.annotations.get("summary", ""),
        source=AlarmSource.ALERTMANAGER,
        # Reports of all sources are put in order by their times: none may come from the future.
        at=min(at, now),
    )


def _severity(word: str) -> PerceivedSeverity:
    """The severity that a firing alert names; MAJOR for words of another scale."""
    try:
        severity = PerceivedSeverity(word.upper())
    except ValueError:
        return PerceivedSeverity.MAJOR
    return PerceivedSeverity.MAJOR if severity is PerceivedSeverity.CLEARED else severity


@router.post("/alertmanager")
def alertmanager(
    message: AlertmanagerWebhook, backend: Backend, who: Annotated[Person, needs(Permission.WEBHOOK)]
) -> Accepted:
    """Take alerts in, all or none. Answered when the database has them; 503 makes Alertmanager try again."""
    if message.truncated_alerts:
        log.warning("webhook.truncated", missing=message.truncated_alerts, by=who.name)
    if AlarmSource.ALERTMANAGER not in backend.settings.sources:
        return Accepted(alarms=[], ignored=len(message.alerts))
    now = backend.clock.now()
    reports = [report for alert in message.alerts if (report := _report(alert, now)) is not None]
    taken = backend.store.report_alarms(reports)
    return Accepted(alarms=[alarm.id for alarm in taken], ignored=len(message.alerts) - len(taken))
