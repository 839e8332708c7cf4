"""Incidents as people of the host see them, and as a tenant does."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from controller.api.routes.incidents import _events
from controller.api.views import HostView, TenantView
from controller.models.alarm import AlarmReport, PerceivedSeverity
from controller.models.network import network_digest
from controller.models.people import Role
from controller.ports.clock import SystemClock
from tests.contract.store.test_roots import CLEARED, cut, dark, link, lost
from tests.support.callers import admit
from tests.support.minka import environment, interrupt, minka
from tests.support.observed import observe
from tests.support.ports import free_ports
from tests.unit.api.bench import TINY, ApiBench, files_of
from tests.unit.intent.backhaul_tree import network as backhaul
from tests.unit.intent.test_outages import network as shared

AT = datetime.now(UTC) - timedelta(minutes=30)


def at(report: AlarmReport, minute: float, **more: Any) -> AlarmReport:
    return report.model_copy(update={"at": AT + timedelta(minutes=minute)} | more)


def off_air(
    cell: str = "S1/L1", minute: float = 0, severity: PerceivedSeverity = PerceivedSeverity.CRITICAL
) -> AlarmReport:
    known: dict[str, Any] = {"station": cell.partition("/")[0], "object": cell, "object_class": "cell"}
    known |= {"probable_cause": "cell-off-air", "source": "check", "at": AT + timedelta(minutes=minute)}
    return AlarmReport(**known, severity=severity)


def load(bench: ApiBench, made: Any) -> None:
    bench.store.networks.save(made, network_digest(made), "ana")
    observe(bench.store, [one.id for one in made.stations], AT - timedelta(days=1), AT + timedelta(days=1))


async def get(client: httpx.AsyncClient, path: str, **asked: Any) -> Any:
    answer = await client.get(f"/v1/incidents{path}", params=asked)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_open_incidents_come_by_rank_and_others_only_where_they_are_asked_for(bench: ApiBench) -> None:
    load(bench, shared())
    store = bench.store.alarms
    small = store.report(off_air("S1/N1").model_copy(update={"probable_cause": "o-ran-fault-9"})).incident
    large = store.report_all([off_air("S1/L1"), off_air("S2/L1")])[0].incident
    over = store.report(off_air("S2/N1")).incident
    store.report(off_air("S2/N1", 1, CLEARED))
    said = await get(bench.client, "")
    assert [one["rank"] for one in said["results"]] == [1, 2, 3]
    assert said["count"] == 3
    assert {small, large} < {one["id"] for one in said["results"]}
    first, second = [await get(bench.client, "", limit=1, offset=offset) for offset in (0, 1)]
    assert [first["results"][0], second["results"][0]] == said["results"][:2]
    assert [one["id"] for one in (await get(bench.client, "", state="closed"))["results"]] == [over]
    assert (await get(bench.client, "", station="S2"))["count"] == 1
    assert (await get(bench.client, "", cause="o-ran-fault-9"))["results"][0]["why"].startswith("rank ")
    assert (await get(bench.client, "", tenant="gamma"))["count"] == 0


async def test_a_story_has_path_root_and_timeline(bench: ApiBench) -> None:
    load(bench, backhaul())
    root, *_ = bench.store.alarms.report_all([at(cut(), 0), at(dark(), 0), at(link("S3"), 0)])
    story = await get(bench.client, f"/{root.incident}")
    above, below = ["core", "trunk", "hop"], ["2 sites", "3 stations", "3 cells"]
    assert story["path"] == [*above, "backhaul-down: radio (root)", *below]
    assert story["alarms"][0]["id"] == root.id
    assert (len(story["alarms"]), story["alarms"][0]["symptoms"], story["state"]) == (3, 2, "open")
    assert {"incident.opened", "incident.grew"} <= {row["action"] for row in story["timeline"]}


async def test_a_story_has_what_it_cost_each_tenant_and_what_agreements_allow(bench: ApiBench) -> None:
    load(bench, shared(availability_percent=99.0))
    incident = bench.store.alarms.report(off_air()).incident
    bench.store.incidents.count_agreements()
    story = await get(bench.client, f"/{incident}")
    alfa, beta = story["minutes"]
    assert (alfa["tenant"], beta["lost"]) == ("alfa", alfa["lost"])
    assert 30 <= alfa["lost"] <= (datetime.now(UTC) - AT).total_seconds() / 60 + 0.1
    assert [one["agreement"] for one in story["agreements"]] == ["alfa-all", "beta-all"]
    assert story["path"] == ["site-1", "S1 cell-off-air: L1 (root)", "1 site", "1 cell"]


async def test_the_path_of_a_lost_core_node_leads_to_its_tenants_links(bench: ApiBench) -> None:
    load(bench, backhaul())
    root = bench.store.alarms.report_all([at(lost(), 0), at(link("S1"), 0)])[0]
    assert (await get(bench.client, f"/{root.incident}"))["path"] == ["core-node-down: claro-mme-1 (root)"]


async def test_people_acknowledge_take_hand_back_and_comment(bench: ApiBench) -> None:
    load(bench, shared())
    incident = bench.store.alarms.report(off_air()).incident
    for act, name, value in (
        ("acknowledge", "acknowledged_by", "ana"),
        ("take", "owner", "ana"),
        ("hand-back", "owner", ""),
    ):
        answer = await bench.client.post(f"/v1/incidents/{incident}/{act}")
        assert (answer.status_code, answer.json()[name]) == (200, value)
    said = await bench.client.post(f"/v1/incidents/{incident}/comments", json={"text": "on the way", "to": ["alfa"]})
    assert said.status_code == 201
    refused = await bench.client.post(f"/v1/incidents/{incident}/comments", json={"text": "x", "to": ["gamma"]})
    assert (refused.status_code, "gamma" in refused.json()["detail"]) == (422, True)
    for act in ("acknowledge", "take", "hand-back", "comments"):
        assert (await bench.client.post(f"/v1/incidents/i-none/{act}", json={"text": "x"})).status_code == 404
    admit(bench.store, "of-alfa", "tom", Role.TENANT_VIEWER, "alfa")
    admit(bench.store, "of-beta", "tim", Role.TENANT_VIEWER, "beta")
    async with bench.with_token("of-alfa") as alfa, bench.with_token("of-beta") as beta:
        assert [one["by"] for one in (await get(alfa, f"/{incident}"))["comments"]] == ["host"]
        assert (await get(beta, f"/{incident}"))["comments"] == []


async def test_a_tenant_sees_its_part_of_an_incident_as_if_there_were_no_other(bench: ApiBench) -> None:
    load(bench, shared())
    path = "/ManagedElement[{}]/ENBFunction[1]/EP_S1C[{}-mme]"

    def down(station: str, tenant: str, minute: float, **more: Any) -> AlarmReport:
        return at(link(station, tenant=tenant), minute, object=path.format(station, tenant), **more)

    everything = at(dark(station="S1"), 6, probable_cause="all-core-links-down")
    bench.store.alarms.report_all([down("S1", "beta", 3), down("S1", "alfa", 5)])
    root = bench.store.alarms.report(everything)
    bench.store.alarms.report_all([at(everything, 9, severity=CLEARED), down("S1", "alfa", 10, severity=CLEARED)])
    bench.store.incidents.count_agreements()
    admit(bench.store, "of-alfa", "tom", Role.TENANT_VIEWER, "alfa")
    async with bench.with_token("of-alfa") as alfa:
        (one,) = (await get(alfa, "", state=["open", "closed"]))["results"]
        story = await get(alfa, f"/{root.incident}")
        assert (await get(alfa, ""))["count"] == 0
    # Beta's link was down before, and still is.
    assert bench.store.incidents.get(root.incident).closed is None
    assert (one["state"], one["opened"][:16], one["closed"][:16]) == (
        "closed",
        (AT + timedelta(minutes=5)).isoformat()[:16],
        (AT + timedelta(minutes=10)).isoformat()[:16],
    )
    assert (one["root"]["probable_cause"], one["cells"]) == ("all-core-links-down", ["S1/L1", "S1/N1"])
    assert "beta" not in str(story)
    assert (story["minutes"]["tenant"], [a["agreement"] for a in story["agreements"]]) == ("alfa", ["alfa-all"])
    assert {alarm["tenant"] for alarm in story["alarms"]} == {"", "alfa"}
    assert "timeline" not in story


async def test_an_incident_that_does_not_concern_a_tenant_is_not_there(bench: ApiBench) -> None:
    load(bench, shared())
    report = at(link("S1", tenant="beta"), 0, object="/ManagedElement[S1]/ENBFunction[1]/EP_S1C[beta-mme]")
    theirs = bench.store.alarms.report(report).incident
    admit(bench.store, "of-alfa", "tom", Role.TENANT_VIEWER, "alfa")
    async with bench.with_token("of-alfa") as alfa:
        missing = await alfa.get(f"/v1/incidents/{theirs}")
        assert (missing.status_code, missing.json()["detail"]) == (
            404,
            f"there is no incident {theirs}; see minka incidents list",
        )
        unsaid = await alfa.post(f"/v1/incidents/{theirs}/comments", json={"text": "x"})
        assert unsaid.status_code == 404


async def test_followers_are_told_of_incidents_that_are_open_or_over(bench: ApiBench) -> None:
    load(bench, shared())
    incident = bench.store.alarms.report(off_air()).incident
    seen = HostView(bench.app.state.services)
    assert '"state":"open"' in _events(seen)[incident]
    bench.store.alarms.report(off_air(minute=1, severity=CLEARED))
    (told,) = _events(seen).values()
    assert told.startswith("event: incident\ndata: {")
    assert '"state":"closed"' in told


@pytest.mark.parametrize("tenant", ["", "alfa"])
async def test_incidents_are_followed_at_the_command_line_line_by_line(
    bench: ApiBench, tenant: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    load(bench, shared())
    incident = bench.store.alarms.report(off_air()).incident
    seen = TenantView(bench.app.state.services, tenant) if tenant else HostView(bench.app.state.services)
    told = [*_events(seen).values()]
    bench.store.alarms.report(off_air(minute=1, severity=CLEARED))
    stream = "".join((*told, ": still there\n\n", *_events(seen).values()))
    asked = list[str]()

    def answer(_: object, request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        return httpx.Response(200, text=stream)

    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", answer)
    monkeypatch.setattr(SystemClock, "pause", interrupt)  # the stream ended, and would be asked for again
    env = environment(tmp_path, free_ports(1)) | {"MINKA_TOKEN": "minka_x", "COLUMNS": "200"}
    lines = minka("incidents", "follow", env=env).out.splitlines()
    shown = [line.partition(incident)[2].strip() for line in lines]
    assert [one.partition(" rank ")[0] for one in shown] == [
        "open S1 L1 cell-off-air 1 alarm",
        "closed S1 L1 cell-off-air 0 alarms",
    ]
    assert ["rank 1: " in one for one in shown] == [not tenant, False]
    as_json = minka("incidents", "follow", "--json", env=env).out.splitlines()
    assert [json.loads(line)["state"] for line in as_json] == ["open", "closed"]
    assert asked == ["/v1/incidents/events"] * 2


async def test_what_stands_is_parted_anew_as_soon_as_network_files_are_loaded(bench: ApiBench) -> None:
    station = "T-LTE-1"
    symptom, root = bench.store.alarms.report_all(
        [at(dark(station=station), 0), at(dark(station=station), 0, probable_cause="mains-lost")]
    )
    assert symptom.incident != root.incident
    said = await bench.client.put("/v1/network", json={"files": files_of(TINY)})
    assert said.json()["changed"]
    found = bench.store.alarms.get(symptom.id)
    assert (found.root, found.incident) == (root.id, root.incident)
