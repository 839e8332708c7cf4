"""Who is on call: who sees it, acknowledges and hands over; a tenant its own side alone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from controller.models.alarm import Alarm, AlarmReport, AlarmSource, PerceivedSeverity
from controller.models.definitions import DefinitionFiles
from controller.models.network import network_digest
from controller.models.on_call import Call
from controller.models.people import Role
from controller.models.sharing import Contact
from controller.store import Page
from tests.support.callers import admit
from tests.unit.api.bench import ApiBench
from tests.unit.remediation.bench import tiny

NOW = datetime.now(UTC)
FILES = {
    "rules/oncall/host.yaml": """\
side: host
on_call:
  - name: tickets
    kinds: [ticket]
    contacts: [gone]
  - name: otherwise
    contacts: [noc, manager]
    repeat_minutes: 10
""",
    "rules/oncall/andes.yaml": "side: andes\non_call: [{name: all, contacts: [noc]}]\n",
}


@pytest.fixture
async def andes(bench: ApiBench) -> AsyncIterator[httpx.AsyncClient]:
    """A person of the tenant andes, in a network with contacts and schedules."""

    def made(*ids: str) -> tuple[Contact, ...]:
        return tuple(Contact(id=one, name=one, email=f"{one}@example.com") for one in ids)

    known = tiny()
    header = known.header.model_copy(update={"contacts": made("noc", "manager")})
    tenants = tuple(one.model_copy(update={"contacts": made("noc", "deputy")}) for one in known.tenants)
    network = known.model_copy(update={"header": header, "tenants": tenants})
    bench.store.networks.save(network, network_digest(network), "ana")
    bench.store.definitions.put(DefinitionFiles(FILES), by="ana", reason="CHG-1")
    for name, role in (("eva", Role.TENANT_APPROVER), ("vic", Role.TENANT_VIEWER)):
        admit(bench.store, f"token-of-{name}", name, role, "andes")
    async with bench.with_token("token-of-eva") as client:
        yield client


def called(bench: ApiBench, *sides: str) -> Alarm:
    """An alarm of which people of some sides were called."""
    alarm = bench.store.alarms.report(
        AlarmReport(
            station="T-LTE-1",
            object="/EP_S1C[one]",
            tenant="andes",
            probable_cause="core-link-down",
            severity=PerceivedSeverity.MAJOR,
            source=AlarmSource.CHECK,
            at=datetime.now(UTC),
        )
    )
    assert bench.store.alarms.escalate(alarm, "it stands", actor="remediation")
    (one,) = bench.store.escalations.pending()
    first = [
        Call(
            alarm=alarm.id,
            escalation=1,
            side=side,
            number=1,
            duty="otherwise",
            place=0,
            nth=1,
            contact="noc",
            at=NOW,
            next=NOW + timedelta(minutes=10),
        )
        for side in sides
    ]
    bench.store.calls.begin(one, first)
    return alarm


def asked(**changes: Any) -> dict[str, Any]:
    until = (NOW + timedelta(hours=2)).isoformat()
    return {"contact": "noc", "to": "manager", "until": until, "reason": "ill"} | changes


async def sides(client: httpx.AsyncClient, path: str) -> list[str]:
    return sorted(one["side"] for one in (await client.get(path)).json()["results"])


async def test_who_is_on_call_is_shown_with_hand_overs_and_what_is_missing(
    bench: ApiBench, andes: httpx.AsyncClient
) -> None:
    (_, host) = (await bench.client.get("/v1/oncall")).json()["results"]
    severities = ["CRITICAL", "MAJOR", "MINOR", "WARNING", "INDETERMINATE"]
    now = {one["duty"]: one for one in host["now"]}
    assert sorted(now["tickets"]["tickets"]) == sorted(now["otherwise"]["pages"]) == sorted(severities)
    assert (now["tickets"]["called"], now["otherwise"]["called"]) == ([], ["noc", "manager"])
    assert ["gone" in one for one in host["warnings"]] == [True]
    made = await bench.client.post("/v1/oncall/hand-overs", json=asked())
    assert made.status_code == 201, made.text
    (_, host) = (await bench.client.get("/v1/oncall")).json()["results"]
    assert [one["called"] for one in host["now"]] == [[], ["manager"]]
    assert [one["id"] for one in host["hand_overs"]] == [made.json()["id"]]
    later = (NOW + timedelta(hours=3)).isoformat()
    (_, host) = (await bench.client.get("/v1/oncall", params={"at": later})).json()["results"]
    assert [one["called"] for one in host["now"]] == [[], ["noc", "manager"]]
    assert (await bench.client.delete(f"/v1/oncall/hand-overs/{made.json()['id']}")).status_code == 204
    actions = [row.action for row in bench.store.audit.page(Page())[1] if row.actor == "ana"]
    assert actions[:2] == ["call.hand-over-ended", "call.handed-over"]


async def test_a_tenant_sees_and_changes_its_own_side_alone(bench: ApiBench, andes: httpx.AsyncClient) -> None:
    alarm, host_only = called(bench, "host", "andes"), "a-nowhere"
    for path in ("/v1/oncall", "/v1/oncall/calls", "/v1/oncall/calls?unacknowledged=true"):
        assert await sides(andes, path) == ["andes"]
        assert await sides(bench.client, path) == ["andes", "host"]
    assert (await andes.post(f"/v1/oncall/calls/{host_only}/acknowledge")).status_code == 404
    known = (await andes.post(f"/v1/oncall/calls/{alarm.id}/acknowledge")).json()
    assert [(one["side"], one["acknowledged_by"]) for one in known["results"]] == [("andes", "eva")]
    assert await sides(bench.client, "/v1/oncall/calls?unacknowledged=true") == ["host"]
    assert await sides(andes, "/v1/oncall/calls?unacknowledged=true") == []
    made = (await bench.client.post("/v1/oncall/hand-overs", json=asked())).json()
    assert (await andes.delete(f"/v1/oncall/hand-overs/{made['id']}")).status_code == 404
    own = await andes.post("/v1/oncall/hand-overs", json=asked(to="deputy"))
    assert (own.status_code, own.json()["side"]) == (201, "andes")
    assert made["id"] not in (await andes.get("/v1/oncall")).text
    async with bench.with_token("token-of-vic") as viewer:
        assert await sides(viewer, "/v1/oncall") == ["andes"]
        assert (await viewer.post(f"/v1/oncall/calls/{alarm.id}/acknowledge")).status_code == 404
        assert (await viewer.post("/v1/oncall/hand-overs", json=asked(to="deputy"))).status_code == 404


async def test_a_tenant_hears_nothing_of_a_call_of_the_host_alone(bench: ApiBench, andes: httpx.AsyncClient) -> None:
    alarm = called(bench, "host")
    assert await sides(andes, "/v1/oncall/calls") == []
    said = [await andes.post(f"/v1/oncall/calls/{one}/acknowledge") for one in (alarm.id, "a-nowhere")]
    assert [one.status_code for one in said] == [404, 404]
    assert len({one.json()["detail"].replace(alarm.id, "a-nowhere") for one in said}) == 1
    assert await sides(bench.client, "/v1/oncall/calls?unacknowledged=true") == ["host"]


@pytest.mark.parametrize(
    ("changes", "status", "words"),
    [
        ({"contact": "nok"}, 422, "did you mean 'noc'?"),
        ({"to": "deputy"}, 422, "to: there is no contact of host deputy"),
        ({"to": "noc"}, 422, "hand over to itself"),
        ({"until": NOW.isoformat()}, 409, "has to be after now"),
        ({"until": (NOW + timedelta(days=40)).isoformat()}, 409, "within 31 days"),
        ({"reason": ""}, 422, "reason"),
    ],
)
async def test_a_hand_over_that_can_not_be_is_refused(
    bench: ApiBench, andes: httpx.AsyncClient, changes: dict[str, Any], status: int, words: str
) -> None:
    answer = await bench.client.post("/v1/oncall/hand-overs", json=asked(**changes))
    assert (answer.status_code, words in answer.text) == (status, True), answer.text
    assert bench.store.calls.hand_overs(datetime.now(UTC)) == []


@pytest.mark.parametrize("what", ["alarm", "acknowledge", "take"])
async def test_who_acknowledges_the_alarm_or_takes_the_incident_is_called_no_more(
    bench: ApiBench, andes: httpx.AsyncClient, what: str
) -> None:
    alarm = called(bench, "host", "andes")
    incident = bench.store.alarms.get(alarm.id).incident
    path = f"/v1/alarms/{alarm.id}/acknowledge" if what == "alarm" else f"/v1/incidents/{incident}/{what}"
    answer = await bench.client.post(path)
    assert answer.is_success, answer.text
    assert await sides(bench.client, "/v1/oncall/calls?unacknowledged=true") == ["andes"], "each side for itself"


async def test_a_wrong_schedule_is_refused_as_a_whole_with_line_and_field(
    bench: ApiBench, andes: httpx.AsyncClient
) -> None:
    before = bench.store.definitions.get().digest
    files = FILES | {"rules/oncall/host.yaml": FILES["rules/oncall/host.yaml"].replace("noc,", "noc, NOC,")}
    answer = await bench.client.put("/v1/definitions", json={"files": files, "reason": "CHG-2"})
    assert answer.status_code == 422
    assert "rules/oncall/host.yaml:7" in answer.json()["detail"]
    assert "on_call[1].contacts" in answer.json()["detail"]
    assert bench.store.definitions.get().digest == before
