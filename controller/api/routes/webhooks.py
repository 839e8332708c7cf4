"""Webhooks that alarm sources call."""

from __future__ import annotations

from typing import Literal

import structlog
from fastapi import APIRouter
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from controller.api.auth import Caller
from controller.api.services import Backend, Body
from controller.models.alarm import AlarmReport, PerceivedSeverity
from controller.models.errors import InputError

log = structlog.get_logger()
router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"])

_SEVERITIES = {severity.value for severity in PerceivedSeverity}


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
    """Ids of the alarms that the alerts became, in order; alerts without a station label are counted."""

    alarms: list[str]
    ignored: int


def _report(alert: AlertmanagerAlert) -> AlarmReport | None:
    """An alert about a station as a report; None for alerts about something else.

    Labels: ``station`` (needed), ``object`` (path; the station itself by default), ``tenant``,
    ``probable_cause`` (the alert's name by default), ``severity`` (X.733 words; MAJOR by default).
    """
    labels = alert.labels
    if not labels.get("station"):
        return None
    severity = labels.get("severity", "MAJOR").upper()
    resolved = alert.status == "resolved"
    if resolved and alert.ends_at is None:
        raise InputError("a resolved alert needs endsAt")
    return AlarmReport(
        station=labels["station"],
        object=labels.get("object", "station"),
        tenant=labels.get("tenant", ""),
        probable_cause=labels.get("probable_cause", labels.get("alertname", "unknown")),
        severity=PerceivedSeverity.CLEARED if resolved else PerceivedSeverity(_known(severity)),
        text=alert.annotations.get("summary", ""),
        source="alertmanager",
        at=(alert.ends_at if resolved else None) or alert.starts_at,
    )


def _known(severity: str) -> str:
    return severity if severity in _SEVERITIES else PerceivedSeverity.MAJOR.value


@router.post("/alertmanager")
def alertmanager(message: AlertmanagerWebhook, backend: Backend, who: Caller) -> Accepted:
    """Take alerts in. Answered only when the database has them all; 503 makes Alertmanager try again."""
    reports = [_report(alert) for alert in message.alerts]
    if message.truncated_alerts:
        log.warning("webhook.truncated", missing=message.truncated_alerts, by=who)
    alarms = [backend.store.report_alarm(report).id for report in reports if report is not None]
    return Accepted(alarms=alarms, ignored=reports.count(None))
