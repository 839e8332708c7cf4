"""Work that tenants announce on their own cores: who may, on what, until when, and who sees it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from controller.models.alarm import AlarmReport, AlarmSource, PerceivedSeverity
from controller.models.network import network_digest
from controller.models.people import Role
from tests.support.callers import admit
from tests.unit.api.bench import ApiBench
from tests.unit.remediation.bench import tiny

NOW = datetime.now(UTC)


@pytest.fixture
async def andes(bench: ApiBench) -> AsyncIterator[httpx.AsyncClient]:
    """A person of the tenant andes."""
    bench.store.networks.save(tiny(), network_digest(tiny()), "ana")
    admit(bench.store, "token-of-eva", "eva", Role.TENANT_APPROVER, "andes")
    async with bench.with_token("token-of-eva") as client:
        yield client


def work(**changes: Any) -> dict[str, Any]:
    return {"nodes": ["andes-mme-1"], "ends": (NOW + timedelta(hours=2)).isoformat(), "reason": "upgrade"} | changes


async def test_a_tenant_announces_lists_and_cancels_its_own_and_others_learn_nothing(
    bench: ApiBench, andes: httpx.AsyncClient
) -> None:
    admit(bench.store, "token-of-mallory", "mallory", Role.TENANT_APPROVER, "condor")
    answer = await andes.post("/v1/works", json=work())
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert (made["tenant"], made["nodes"], made["by"], made["cancelled"]) == ("andes", ["andes-mme-1"], "eva", None)
    alarm = bench.store.alarms.report(
        AlarmReport(
            station="T-LTE-1",
            object="/ManagedElement[T-LTE-1]/ENBFunction[1]/EP_S1C[andes-andes-mme-1]",
            tenant="andes",
            probable_cause="core-link-down",
            severity=PerceivedSeverity.MAJOR,
            source=AlarmSource.CHECK,
            at=datetime.now(UTC),
        )
    )
    for client in (andes, bench.client):
        assert [one["id"] for one in (await client.get("/v1/works")).json()["results"]] == [made["id"]]
        assert (await client.get(f"/v1/alarms/{alarm.id}")).json()["announced"] == made["id"]
        assert (await client.get("/v1/alarms")).json()["results"][0]["announced"] == made["id"]
    async with bench.with_token("token-of-mallory") as condor:
        assert (await condor.get("/v1/works")).json() == {"count": 0, "next": None, "results": []}
        assert (await condor.get(f"/v1/alarms/{alarm.id}")).status_code == 404
        assert (await condor.delete(f"/v1/works/{made['id']}")).status_code == 404
        # A node of somebody else is as unknown as one that is nowhere.
        said = [await condor.post("/v1/works", json=work(nodes=[one])) for one in ("andes-mme-1", "andes-mme-9")]
        assert [one.status_code for one in said] == [422, 422]
        details = {one.json()["detail"].replace("andes-mme-9", "andes-mme-1") for one in said}
        assert details == {"nodes: there is no node of your core andes-mme-1; did you mean 'condor-mme-1'?"}
    assert (await andes.delete(f"/v1/works/{made['id']}")).status_code == 204
    assert (await andes.delete(f"/v1/works/{made['id']}")).status_code == 404
    assert (await andes.get(f"/v1/alarms/{alarm.id}")).json()["announced"] == ""


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (work(begins=(NOW - timedelta(minutes=1)).isoformat()), 409, "begins"),
        (work(ends=(NOW - timedelta(minutes=1)).isoformat()), 409, "ends"),
        (work(ends=(NOW + timedelta(days=8)).isoformat()), 409, "within 7 days"),
        (work(begins="9999-12-30T00:00:00Z", ends="9999-12-31T23:59:59-14:00"), 422, "one of the years 1900 to 8999"),
        (work(nodes=["condor-mme-1"]), 422, "node of your core"),
        (work(reason=""), 422, "reason"),
        (work(tenant="condor"), 422, "tenant"),
    ],
)
async def test_work_is_ones_own_to_come_and_ends(
    bench: ApiBench, andes: httpx.AsyncClient, body: dict[str, Any], status: int, words: str
) -> None:
    answer = await andes.post("/v1/works", json=body)
    assert (answer.status_code, words in answer.text) == (status, True), answer.text
    assert (await bench.client.get("/v1/works")).json()["count"] == 0


async def test_nobody_of_the_host_announces_a_tenants_work(bench: ApiBench) -> None:
    answer = await bench.client.post("/v1/works", json=work())
    assert (answer.status_code, "own people" in answer.json()["detail"]) == (409, True)
