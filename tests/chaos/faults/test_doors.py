"""Faults 28, 29 and 31: names that lead elsewhere, labels that are templates, agreements that take what is others'."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from controller.store import Page
from tests.unit.api.bench import TINY, WEBHOOK_TOKEN, ApiBench, files_of, open_bench
from tests.unit.plan import samples


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[ApiBench]:
    async with open_bench(tmp_path) as made:
        yield made


#: Names of playbooks as they come over the wire.
ASTRAY = [
    "..%2F..%2Fetc%2Fpasswd", "%2Fetc%2Fpasswd", "..%5C..%5Cpyproject", "%2e%2e%2fsecret", "rules%2Fdrift", "schemas",
    "lock-cell%00", "lock-cell.yaml", "lock-cell%0A", "l%C3%B3ck-cell", "%EF%BD%8Cock-cell", "%F0%9F%92%A3", "link",
]  # fmt: skip


@pytest.fixture
def playbooks(bench: ApiBench, tmp_path: Path) -> Path:
    """A folder with one playbook, a link out of it, and a secret beside it."""
    folder = tmp_path / "playbooks"
    folder.mkdir()
    shipped = Path(__file__).parents[3] / "playbooks" / "lock-cell.yaml"
    (folder / "lock-cell.yaml").write_bytes(shipped.read_bytes())
    (tmp_path / "secret.yaml").write_text("name: root:x:0:0\n")
    (folder / "link.yaml").symlink_to(tmp_path / "secret.yaml")
    services = bench.app.state.services
    bench.app.state.services = replace(services, settings=services.settings.model_copy(update={"playbooks": folder}))
    return folder


@pytest.mark.usefixtures("playbooks")
async def test_a_playbooks_name_leads_nowhere_else(bench: ApiBench) -> None:
    assert (await bench.client.get("/v1/playbooks/lock-cell")).status_code == 200
    for name in ASTRAY:
        answers = [await bench.client.get(f"/v1/playbooks/{name}")]
        answers += [await bench.client.post(f"/v1/playbooks/{name}/{what}", json={}) for what in ("dry-run", "runs")]
        for answer in answers:
            assert answer.status_code in (404, 405), (name, answer.text)
            assert "root:" not in answer.text


TEMPLATES = ["{{ 7 * 7 }}", "{% for x in 'abc' %}xyz{% endfor %}", "${7*7}", "#{7*7}", "<%= 7*7 %>", "{{config}}"]


async def test_a_template_in_an_alerts_label_is_text(bench: ApiBench) -> None:
    """Nothing that an alarm says is ever evaluated: it comes out everywhere as it went in."""
    alerts = [
        {
            "status": "firing",
            "labels": {
                "alertname": text,
                "station": "T-LTE-1",
                "object": f"/{text}",
                "probable_cause": "core-link-down",
            },
            "annotations": {"summary": text, "description": text},
            "startsAt": datetime(2026, 1, 1, tzinfo=UTC).isoformat(),
            "endsAt": "0001-01-01T00:00:00Z",
        }
        for text in TEMPLATES
    ]
    message = {"version": "4", "groupKey": "{}", "truncatedAlerts": 0, "alerts": alerts}
    await bench.client.put("/v1/network", json={"files": files_of(TINY)})
    async with bench.with_token(WEBHOOK_TOKEN) as source:
        answer = await source.post("/v1/webhooks/alertmanager", json=message)
    assert answer.status_code == 200, answer.text
    alarms = bench.store.alarms.page(Page())[1]
    assert sorted(alarm.object for alarm in alarms) == sorted(f"/{text}" for text in TEMPLATES)
    assert all(alarm.object == f"/{alarm.text}" for alarm in alarms), alarms
    listed = json.dumps((await bench.client.get("/v1/alarms")).json(), ensure_ascii=False)
    assert all(json.dumps(f"/{text}", ensure_ascii=False) in listed for text in TEMPLATES)
    assert "xyzxyz" not in listed + (await bench.client.get("/metrics")).text


def test_an_agreement_that_takes_what_is_anothers_is_refused_at_compile() -> None:
    """Alfa agrees to shares that leave less than beta's own: nothing is planned on any shared station."""
    net = samples.network()
    greedy = [
        agreement.model_copy(update={"shares": (agreement.shares[0].model_copy(update={"dedicated": 60, "min": 60}),)})
        for agreement in net.agreements
    ]
    taken = net.model_copy(update={"agreements": tuple(greedy)})
    views = {station: samples.view(net, station) for station in ("S1", "S2")}
    plan = samples.plan(taken, views)
    assert plan.is_empty
    assert set(plan.unplanned) == {"S1", "S2"}
    assert all("contract error" in reason for reason in plan.unplanned.values())


def test_a_tenants_plan_edits_no_node_of_another() -> None:
    """Alfa's share grows within what is free: beta's nodes are in no edit."""
    net = samples.network()
    more = net.agreements[0].model_copy(
        update={"shares": (net.agreements[0].shares[0].model_copy(update={"min": 30}),)}
    )
    changed = net.model_copy(update={"agreements": (more, *net.agreements[1:])})
    plan = samples.plan(changed, {station: samples.view(net, station) for station in ("S1", "S2")})
    edits = [edit for change in plan.changes for phase in change.phases for edit in phase.edits]
    assert edits
    assert all("beta" not in edit.owners for edit in edits)
    assert {tenant for change in plan.changes for tenant in change.touched} == {"alfa"}
