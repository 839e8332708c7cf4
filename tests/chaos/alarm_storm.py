"""Alarms by the thousand through Alertmanager's webhook, real repairs among them, and what became of each."""

from __future__ import annotations

import asyncio
import random
import re
import statistics
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from controller.models.alarm import Alarm
from controller.remediation.rules import rules_in_force
from controller.store import Page, StartedRepair
from tests.support import http
from tests.support.minka import ROOT
from tests.support.process_system import ProcessSystem
from tests.support.rules import promote

#: Limits that no storm reaches: what they keep from starting is tested elsewhere.
NO_LIMITS = {
    "MINKA_REPAIR_LIMIT": "1000000",
    "MINKA_REPAIRS_PER_DEVICE": "1000000",
    "MINKA_REPAIRS_PER_SITE": "1000000",
    "MINKA_REPAIRS_PER_REGION": "1000000",
    "MINKA_REPAIRS_PER_TENANT": "1000000",
    "MINKA_REPAIR_SHARE": "100",
}
#: Alerts in a message at most.
_GROUP = 20
_RETRY = 0.2
_EVER = datetime.min.replace(tzinfo=UTC)


def write_rules(folder: Path, settle: Mapping[str, float], tenant: str = "") -> None:
    """The shipped rules; some with other times to settle, and for objects that fail again and again.

    Where a tenant is named, these are rules of their own, for its alarms.
    """
    folder.mkdir(exist_ok=True)
    for path in (ROOT / "playbooks" / "rules").glob("*.yaml"):
        text = path.read_text(encoding="utf-8")
        name = f"{path.stem}-of-{tenant}" if tenant and path.stem in settle else path.stem
        if name != path.stem:
            (folder / path.name).write_text(text, encoding="utf-8")
            text = text.replace(f"name: {path.stem}\n", f"name: {name}\npriority: 1\n")
            text = text.replace("match: {", f"match: {{tenants: [{tenant}], ")
        if path.stem in settle:
            text = re.sub(r"settle_seconds: \S+", f"settle_seconds: {settle[path.stem]}", text, count=1)
            text = re.sub(r"attempts: \d+", "attempts: 100", text)
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")


def let_rules_act(system: ProcessSystem) -> None:
    """What a person does who trusts all of them."""
    promote(system.store, rules_in_force(system.store))


@dataclass(frozen=True)
class Fault:
    """What an alert is about: its labels, which name no other alarm."""

    station: str
    cause: str
    object: str
    tenant: str = ""

    @classmethod
    def of(cls, alarm: Alarm) -> Fault:
        """The fault of an alarm; one whose cause is unknown keeps that as its specific problem."""
        return cls(alarm.station, alarm.specific_problem or alarm.probable_cause, alarm.object, alarm.tenant)

    def alert(self) -> dict[str, Any]:
        """It as Alertmanager tells it now."""
        labels = {"alertname": "Storm", "station": self.station, "object": self.object, "probable_cause": self.cause}
        return {
            "status": "firing",
            "labels": labels | ({"tenant": self.tenant} if self.tenant else {}),
            "annotations": {"summary": "down"},
            "startsAt": datetime.now(UTC).isoformat(),
        }


@dataclass
class Message:
    """Faults told in one message, at so many seconds from the start."""

    at: float
    faults: list[Fault]


@dataclass
class WebhookAnswers:
    """What the webhook took.

    Attributes:
        accepted: When a fault was accepted for the first time, in seconds since 1970.
        waited: Seconds until the answer, by fault told alone.
        answers: Answers by status; 0 for none.
    """

    accepted: dict[Fault, float] = field(default_factory=dict)
    waited: dict[Fault, float] = field(default_factory=dict)
    answers: Counter[int] = field(default_factory=Counter)


def storm(faults: Sequence[Fault], seconds: float, chance: random.Random, *, again: float = 0.1) -> list[Message]:
    """Messages that tell of these faults in any order; a part of them comes twice at once."""
    mixed = chance.sample(faults, len(faults))
    messages = []
    while mixed:
        size = chance.randint(1, _GROUP)
        messages.append(Message(chance.uniform(0, seconds), mixed[:size]))
        del mixed[:size]
    return messages + [message for message in messages if chance.random() < again]


def paced(faults: Iterable[Fault], apart: float) -> list[Message]:
    """A message for each of these faults, one after the other."""
    return [Message(apart * number, [fault]) for number, fault in enumerate(faults)]


async def send(system: ProcessSystem, messages: Sequence[Message]) -> WebhookAnswers:
    """Tell all, each until it is accepted, as Alertmanager does."""
    taken, start = WebhookAnswers(), time.monotonic()
    limits = httpx.Limits(max_connections=50)
    headers = {"Authorization": system.api.headers["Authorization"]}
    async with http.async_client(base_url=system.api.base_url, headers=headers, limits=limits) as client:
        await asyncio.gather(*(_send(client, message, start, taken) for message in messages))
    return taken


async def _send(client: httpx.AsyncClient, message: Message, start: float, taken: WebhookAnswers) -> None:
    await asyncio.sleep(max(0.0, start + message.at - time.monotonic()))
    began = time.monotonic()
    alerts = [fault.alert() for fault in message.faults]
    body = {"version": "4", "groupKey": "{}", "truncatedAlerts": 0, "receiver": "minka", "alerts": alerts}
    while True:
        try:
            answer = await client.post("/v1/webhooks/alertmanager", json=body)
        except httpx.TransportError:
            taken.answers[0] += 1
        else:
            taken.answers[answer.status_code] += 1
            if answer.is_success:
                assert len(answer.json()["alarms"]) == len(alerts), answer.text
                break
            assert answer.status_code == httpx.codes.SERVICE_UNAVAILABLE, answer.text
        await asyncio.sleep(_RETRY)
    for fault in message.faults:
        taken.accepted.setdefault(fault, time.time())
    if len(message.faults) == 1:
        taken.waited.setdefault(message.faults[0], time.monotonic() - began)


def alarms_of(system: ProcessSystem, faults: Iterable[Fault], since: datetime = _EVER) -> dict[Fault, Alarm]:
    """The alarm of each fault that was raised ``since`` then; none is lost, and each is one."""
    wanted, found = set(faults), dict[Fault, Alarm]()
    for alarm in _all_alarms(system):
        if (fault := Fault.of(alarm)) in wanted and alarm.raised >= since:
            assert fault not in found, f"{fault} has two alarms"
            found[fault] = alarm
    assert not (lost := wanted - found.keys()), f"{len(lost)} of {len(wanted)} alarms are lost, such as {lost.pop()}"
    return found


def _all_alarms(system: ProcessSystem) -> Iterator[Alarm]:
    page = Page(limit=1000)
    while found := system.store.alarms.page(page)[1]:
        yield from found
        page = Page(limit=page.limit, offset=page.offset + page.limit)


def repairs_of(system: ProcessSystem, alarms: Iterable[Alarm]) -> dict[str, list[StartedRepair]]:
    """What rules started, by alarm."""
    found: dict[str, list[StartedRepair]] = {alarm.id: [] for alarm in alarms}
    for repair in system.store.repairs.since(_EVER):
        if repair.alarm in found:
            found[repair.alarm].append(repair)
    return found


def link_of_tenant(system: ProcessSystem, station: str, tenant: str, name: str) -> str:
    """Path of a tenant's core link at a station, by the end of its id."""
    ledger = system.store.ledger.find([station])[station]
    (path,) = [path for path, entry in ledger.items() if entry.owners == (tenant,) and path.endswith(f"{name}]")]
    return path


def centile(values: Iterable[float], per_cent: int) -> float:
    """The value below which so many per cent lie."""
    return statistics.quantiles(values, n=100, method="inclusive")[per_cent - 1]
