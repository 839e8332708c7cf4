"""Webhooks that alarm sources call."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal, Self

import orjson
import structlog
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    model_validator,
)
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from controller.api.auth import Router, needs
from controller.api.services import Backend, Body, Services
from controller.assurance.health import OWN_CAUSES, STATION, as_told, tenant_of
from controller.intent.folding import placed
from controller.intent.impact import is_in_network, is_no_part, object_class_of, real_faults
from controller.models.alarm import (
    DIVERGED,
    LETTERS,
    OTHER_ALERT,
    SPREADING_CAUSES,
    SUPPLY_CAUSES,
    AlarmReport,
    AlarmSource,
    AlertRefusal,
    PerceivedSeverity,
)
from controller.models.errors import NotFoundError, in_words
from controller.models.health import Health
from controller.models.network import PROFILE_RATS, Network
from controller.models.people import Permission, Person
from controller.models.run import LedgerEntry
from controller.nrm.profiles import cell_path
from controller.nrm.tree import LONGEST_NAME
from controller.remediation.rules import rules_in_force
from controller.store import Store

log = structlog.get_logger()
#: Longest call of Alertmanager's API in seconds, and its largest answer in bytes.
_TIMEOUT, _MOST = 10.0, 32 * 2**20
router = Router(prefix="/v1/webhooks", tags=["webhooks"])


def _in_utc(time: datetime) -> datetime:
    try:
        return time.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("in UTC, the year of a time is between 1 and 9999") from error


#: A time that the database can store, whatever its offset.
_Instant = Annotated[AwareDatetime, AfterValidator(_in_utc)]


class AlertmanagerAlert(BaseModel):
    """One alert of Alertmanager's webhook; unknown fields are ignored."""

    model_config = ConfigDict(extra="ignore")

    status: Literal["firing", "resolved"]
    labels: dict[str, str]
    annotations: dict[str, str] = {}
    starts_at: _Instant = Field(alias="startsAt")
    ends_at: _Instant | None = Field(default=None, alias="endsAt")

    @model_validator(mode="after")
    def _ends_when_resolved(self) -> Self:
        if self.status == "resolved" and self.ends_at is None:
            raise ValueError("a resolved alert needs endsAt")
        return self

    @property
    def source_time(self) -> datetime:
        """The alert's time, by the clock of Prometheus."""
        return (self.ends_at if self.status == "resolved" else None) or self.starts_at

    @property
    def words(self) -> str:
        """The alert as text, the same for each repetition: a firing alert's end is left out, since it is a guess."""
        said = {
            "status": self.status,
            "labels": self.labels,
            "annotations": self.annotations,
            "startsAt": self.starts_at,
        }
        ended = {"endsAt": self.ends_at} if self.status == "resolved" else {}
        return orjson.dumps(said | ended, option=orjson.OPT_SORT_KEYS).decode()


def _at_most(number: int) -> int:
    return min(number, _MOST_TRUNCATED)


#: The largest number of truncated alerts that is believed. The alerts of a call count, whatever it says of others.
_MOST_TRUNCATED = 1_000_000
_Truncated = Annotated[int, Field(ge=0), AfterValidator(_at_most)]


class AlertmanagerWebhook(BaseModel):
    """Alertmanager's webhook, version 4."""

    model_config = ConfigDict(extra="ignore")

    version: Literal["4"]
    truncated_alerts: _Truncated = Field(default=0, alias="truncatedAlerts")
    receiver: str = ""
    group_labels: dict[str, str] = Field(default={}, alias="groupLabels")
    alerts: list[AlertmanagerAlert]


class _State(BaseModel):
    model_config = ConfigDict(extra="ignore")

    state: str


class _Receiver(BaseModel):
    model_config = ConfigDict(extra="ignore")

    name: str


class _ListedAlert(BaseModel):
    """An alert as Alertmanager's API lists it (version 2, ``gettableAlert``)."""

    model_config = ConfigDict(extra="ignore")

    labels: dict[str, str]
    annotations: dict[str, str] = {}
    starts_at: _Instant = Field(alias="startsAt")
    receivers: list[_Receiver] = []
    state: _State = Field(alias="status")

    @property
    def receiver_names(self) -> frozenset[str]:
        return frozenset(one.name for one in self.receivers)

    def as_alert(self) -> AlertmanagerAlert:
        """The alert as the webhook would have sent it."""
        fields = {"labels": self.labels, "annotations": self.annotations, "startsAt": self.starts_at}
        return AlertmanagerAlert.model_validate({"status": "firing"} | fields)


class Accepted(Body):
    """Ids of the resulting alarms, in order, and the number of alerts refused, in all and by reason."""

    alarms: list[str]
    ignored: int
    refused: dict[str, int] = {}


_LISTED = TypeAdapter(list[_ListedAlert])


def _known_causes(store: Store, more: str) -> frozenset[str]:
    """Known probable causes; all others share one, so that no source can invent any number of them."""
    causes = (cause for rule in rules_in_force(store) for cause in rule.match.causes)
    return frozenset((*OWN_CAUSES, DIVERGED, *more.split(), *causes))


def _refusal(alert: AlertmanagerAlert, network: Network | None) -> AlertRefusal | None:
    """Why an alert does not become an alarm; None if it does."""
    station, tenant = alert.labels.get("station"), alert.labels.get("tenant")
    if alert.labels.get("incident"):  # otherwise a symptom would keep itself alive
        return AlertRefusal.OWN
    if not station:
        return AlertRefusal.NO_STATION
    if network is None or not network.manages(station):
        return AlertRefusal.UNKNOWN_STATION
    return AlertRefusal.UNKNOWN_TENANT if tenant and tenant not in network.tenant_by_id else None


def _report(
    alert: AlertmanagerAlert,
    now: datetime,
    oldest: timedelta,
    causes: frozenset[str],
    network: Network | None,
    nodes: Mapping[tuple[str, str], LedgerEntry],
    healths: Mapping[str, Health],
) -> AlarmReport:
    """An alert about a station as a report.

    Our own readings go before it (``controller.assurance.health.as_told``).

    Labels: ``station`` (required), ``object`` (path; by default the device itself), ``tenant`` (for a node of ours the
    ledger names the owner), ``probable_cause`` (by default the alert's name; an unknown one, one of our own checks on
    an object that is no part of the station, or one from which others follow on an object that is not on record,
    becomes the specific problem of ``other-alert``), ``severity`` (X.733 words; by default MAJOR, and no more than that
    for ``other-alert`` on such an object: of what nobody knows nobody knows either that it takes service away). A time
    before ``oldest`` shows a wrong clock.
    """
    labels = alert.labels
    resolved = alert.status == "resolved"
    station, managed_object = _node(alert, network)
    node = nodes.get((station, managed_object))
    of_class = object_class_of(network, station, managed_object)
    cause = labels.get("probable_cause", labels.get("alertname", "unknown"))[:LETTERS]
    strange = is_no_part(station, managed_object, of_class)
    health = healths.get(station)
    if cause in SPREADING_CAUSES:
        in_ledger = node is not None and cause not in SUPPLY_CAUSES
        strange = not in_ledger and not _is_on_record(network, health, station, managed_object, cause)
    known = cause in causes and not (strange and cause in OWN_CAUSES | SPREADING_CAUSES)
    at = placed(alert.source_time, now, oldest)
    made = AlarmReport(
        station=station,
        object=managed_object,
        object_class=of_class,
        tenant=labels.get("tenant", "") if node is None else tenant_of(node),
        probable_cause=cause if known else OTHER_ALERT,
        specific_problem="" if known else cause,
        severity=PerceivedSeverity.CLEARED if resolved else _severity(alert, critical=known or not strange),
        text=alert.annotations.get("summary", ""),
        source=AlarmSource.ALERTMANAGER,
        at=at,
        source_time=alert.source_time,
        body=alert.words,
    )
    return as_told(made, health)


def _is_on_record(network: Network | None, health: Health | None, device: str, managed_object: str, cause: str) -> bool:
    """Whether the network files, or a device's last check, have the object of an alert from which others follow."""
    seen = () if health is None else health.units
    nodes = () if health is None or health.cluster is None else [one.id for one in health.cluster.nodes]
    named = network is not None and is_in_network(network, device, managed_object, cause)
    return named or (cause not in SUPPLY_CAUSES and (managed_object in seen or managed_object in nodes))


def _node(alert: AlertmanagerAlert, network: Network | None) -> tuple[str, str]:
    """The device and object of an alert; an alert about a whole device names the object as our own checks do."""
    station = alert.labels["station"]
    named = (alert.labels.get("object") or STATION)[: LONGEST_NAME + 1]  # so that a longer one is no node
    if network is None:
        return station, named
    if named == STATION:
        return station, network.kind_of(station).value
    cell = next((one for one in network.cells_by_station.get(station, ()) if one.name == named), None)
    if cell is None or not any(PROFILE_RATS[name] is cell.rat for name in network.profiles_of(station)):
        return station, named
    return station, cell_path(network.profiles_of(station), station, cell.id, cell.rat, cell.band)


def _severity(alert: AlertmanagerAlert, *, critical: bool) -> PerceivedSeverity:
    """The severity in a firing alert, MAJOR for an unknown word, and where it can't be ``critical``."""
    try:
        severity = PerceivedSeverity(alert.labels.get("severity", "").upper())
    except ValueError:
        return PerceivedSeverity.MAJOR
    low = severity is not PerceivedSeverity.CLEARED and (critical or severity is not PerceivedSeverity.CRITICAL)
    return severity if low else PerceivedSeverity.MAJOR


@router.post("/alertmanager")
async def alertmanager(
    message: AlertmanagerWebhook, backend: Backend, who: Annotated[Person, needs(Permission.WEBHOOK)]
) -> Accepted:
    """Accept alerts. The answer comes when all are on record; after 503 Alertmanager tries again.

    Long calls are taken in by pieces: what is on record when a call fails counts as repeated when it comes again.

    Alerts that Alertmanager left out of the call (`truncatedAlerts`) are read from `MINKA_ALERTMANAGER_URL`. If that
    fails the answer is 503, although the alerts of the call are on record.
    """
    if AlarmSource.ALERTMANAGER not in backend.settings.sources:
        return Accepted(alarms=[], ignored=len(message.alerts))
    missed = message.truncated_alerts
    accepted = await _taken_in(backend, message.alerts, who.name, 0 if backend.settings.alertmanager_url else missed)
    if not missed:
        return accepted
    log.warning("webhook.truncated", missing=missed, by=who.name, read_back=bool(backend.settings.alertmanager_url))
    if not backend.settings.alertmanager_url:
        return accepted
    try:
        rest = await _read_back(backend, message)
    except ValueError as error:
        await _taken_in(backend, [], who.name, missed)
        log.warning("webhook.not_read_back", reason=str(error))
        raise HTTPException(503, "the truncated alerts can't be read from Alertmanager: send the call again") from error
    more = await _taken_in(backend, rest, who.name, 0)
    refused = Counter(accepted.refused) + Counter(more.refused)
    return Accepted(alarms=accepted.alarms + more.alarms, ignored=refused.total(), refused=dict(refused))


async def _taken_in(backend: Services, alerts: Sequence[AlertmanagerAlert], by: str, missed: int) -> Accepted:
    """Put alerts on record; the ``missed`` ones that Alertmanager left out are only counted."""
    async with backend.intake.turn():
        reports, refused, real = await run_in_threadpool(_read, backend, alerts)
    if missed:
        refused[AlertRefusal.TRUNCATED.value] += missed
    taken = await backend.intake.report(backend.take_reports, reports, refused, real)
    if beyond := taken.count(None):
        refused[AlertRefusal.TOO_MANY.value] = beyond
    if refused:
        log.warning("webhook.refused", by=by, refused=dict(refused))
    ids = [alarm.id for alarm in taken if alarm is not None]
    return Accepted(alarms=ids, ignored=refused.total(), refused=dict(refused))


def _read(
    backend: Services, alerts: Sequence[AlertmanagerAlert]
) -> tuple[list[AlarmReport], Counter[str], frozenset[str]]:
    """Alerts as reports, the number of refused ones by reason, and which faults are real (``real_faults``)."""
    now, store = backend.clock.now(), backend.store
    network = _network(store)
    refusals = [_refusal(alert, network) for alert in alerts]
    known = [alert for alert, refusal in zip(alerts, refusals, strict=True) if refusal is None]
    nodes = store.ledger.nodes([_node(alert, network) for alert in known])
    causes = _known_causes(store, backend.settings.alert_causes)
    oldest = timedelta(days=backend.settings.report_days)
    healths = store.healths.find({_node(alert, network)[0] for alert in known})
    reports = [_report(alert, now, oldest, causes, network, nodes, healths) for alert in known]
    refused = Counter(refusal.value for refusal in refusals if refusal is not None)
    return reports, refused, real_faults(network, reports, causes)


async def _read_back(backend: Services, message: AlertmanagerWebhook) -> list[AlertmanagerAlert]:
    """All alerts of a call's group, from Alertmanager's API (version 2).

    Alertmanager lists firing alerts. An alarm on record from this group that it no longer lists has been resolved: the
    alert that said so was left out.

    Raises:
        ValueError: It does not answer, or the answer is malformed or too large.
    """
    matchers = [f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in message.group_labels.items()]
    asked = {"filter": sorted(matchers)}
    url = f"{backend.settings.alertmanager_url.rstrip('/')}/api/v2/alerts"
    listed = _LISTED.validate_json(await _got(url, asked))
    # Silenced and inhibited alerts still fire, but are not for us.
    ours = [one for one in listed if one.state.state == "active" and message.receiver in one.receiver_names]
    firing = [one.as_alert() for one in ours]
    over = await run_in_threadpool(_over, backend, message.group_labels, [one.labels for one in listed])
    return firing + over


async def _got(url: str, asked: Mapping[str, list[str]]) -> bytes:
    """The answer of an address. Raises ValueError if there is none, or it is too large."""
    import httpx  # noqa: PLC0415 - where it is needed only

    content = bytearray()
    try:
        async with (
            httpx.AsyncClient(timeout=_TIMEOUT, headers={"Accept-Encoding": "identity"}) as client,
            client.stream("GET", url, params=asked) as answer,
        ):
            answer.raise_for_status()
            if "Content-Encoding" in answer.headers:
                # A few compressed bytes could be any amount.
                raise ValueError("the answer is compressed, which nobody asked for")
            async for part in answer.aiter_bytes():
                content += part
                if len(content) > _MOST:
                    raise ValueError(f"the answer is larger than {_MOST} bytes")
    except httpx.HTTPStatusError as error:
        # The error's own message contains the address, and with it a possible password.
        raise ValueError(f"it answers with status {error.response.status_code}") from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise ValueError(f"it can't be reached: {in_words(error)}") from error
    return bytes(content)


def _over(backend: Services, group: Mapping[str, str], firing: Sequence[Mapping[str, str]]) -> list[AlertmanagerAlert]:
    """Resolved alerts for the alarms of a group that no longer fire at Alertmanager."""
    standing = [one.id for one in backend.store.alarms.standing() if one.cleared is None]
    found = []
    for report in backend.store.reports.latest(standing, AlarmSource.ALERTMANAGER).values():
        try:
            alert = AlertmanagerAlert.model_validate_json(report.report.body)
        except ValidationError:
            continue  # too long to be kept whole
        if alert.status == "firing" and group.items() <= alert.labels.items() and alert.labels not in firing:
            found.append(alert.model_copy(update={"status": "resolved", "ends_at": backend.clock.now()}))
    return found


def _network(store: Store) -> Network | None:
    """The network, None before one is loaded."""
    try:
        return store.networks.get()[1]
    except NotFoundError:
        return None
