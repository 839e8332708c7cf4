"""Rules, their modes and their proposals over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from controller.models.alarm import AlarmReport, AlarmSource, PerceivedSeverity
from controller.models.people import Role
from controller.models.rule import EVERYWHERE, Proposal, ProposalState, RuleMode, likeness
from controller.remediation.rules import rules_in_force
from controller.store import Page
from tests.support.callers import admit
from tests.support.definitions import put_in_force
from tests.unit.api.bench import ApiBench, open_bench
from tests.unit.api.test_routes import load

WHY = {"reason": "CHG-1042"}


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[ApiBench]:
    async with open_bench(tmp_path) as made:
        await load(made)
        yield made


def asks(bench: ApiBench) -> str:
    """A proposal that asks."""
    report = AlarmReport(
        station="T-LTE-1",
        object="/x",
        probable_cause="core-link-down",
        severity=PerceivedSeverity.MAJOR,
        source=AlarmSource.CHECK,
        at=datetime.now(UTC) - timedelta(minutes=1),
    )
    alarm = bench.store.alarms.report(report)
    digest = next(rule.digest for rule in rules_in_force(bench.store) if rule.name == "core-link-down")
    bench.store.rules.set_mode("core-link-down", EVERYWHERE, RuleMode.ASK, by="ana", reason="good", digest=digest)
    proposal = Proposal(
        id="",
        alarm=alarm.id,
        station=alarm.station,
        rule="core-link-down",
        digest=digest,
        rung=0,
        mode=RuleMode.ASK,
        playbook="recreate-core-endpoint",
        parameters={"station": alarm.station},
        state=ProposalState.ASKED,
        seen=likeness(alarm),
        at=report.at,
    )
    return bench.store.rules.propose(proposal).id


async def put(bench: ApiBench, rule: str, **asked: Any) -> httpx.Response:
    return await bench.client.put(f"/v1/rules/{rule}/mode", json=WHY | asked)


async def test_rules_are_shown_with_mode_content_and_record(bench: ApiBench) -> None:
    rules = {one["name"]: one for one in (await bench.client.get("/v1/rules")).json()["results"]}
    asking = {"core-node-down", "remote-end-down", "station-unreachable"}  # they run nothing, and call people
    assert {name: one["mode"] for name, one in rules.items()} == {
        name: "ask" if name in asking else "observe" for name in rules
    }
    one = (await bench.client.get("/v1/rules/core-link-down")).json()
    assert one == rules["core-link-down"]
    assert one["content"]["ladder"][0]["playbook"] == "recreate-core-endpoint"
    assert one["record"] == {
        **dict.fromkeys(("observed", "refused", "healed", "successes", "failures", "in_a_row"), 0),
        "lower_bound": 0.0,
    }
    missing = await bench.client.get("/v1/rules/core-link-dwn")
    assert missing.status_code == 404
    assert "core-link-down" in missing.json()["detail"]


async def test_a_person_promotes_a_rule_for_all_a_region_or_a_tenant(bench: ApiBench) -> None:
    assert (await put(bench, "core-link-down", mode="ask")).json()["mode"] == "ask"
    await put(bench, "core-link-down", mode="auto", region="cusco")
    shown = (await put(bench, "core-link-down", mode="observe", tenant="andes")).json()
    assert (shown["mode"], shown["scopes"], shown["changed"]) == (
        "ask",
        {"region:cusco": "auto", "tenant:andes": "observe"},
        False,
    )
    assert [(one["by"], one["reason"]) for one in shown["grants"]] == [("ana", "CHG-1042")] * 3
    row = next(row for row in bench.store.audit.page(Page())[1] if row.action == "rule.mode-set")
    assert (row.actor, row.object, row.detail["lower_bound"]) == ("ana", "core-link-down", "0.0")


async def test_a_rule_that_is_to_observe_everywhere_does_so_where_it_was_promoted_too(bench: ApiBench) -> None:
    for scope in ({"region": "cusco"}, {"tenant": "andes"}):
        await put(bench, "core-link-down", mode="auto", **scope)
        await put(bench, "cell-off-air", mode="auto", **scope)
    shown = (await put(bench, "core-link-down", mode="ask")).json()
    assert (shown["mode"], set(shown["scopes"].values())) == ("ask", {"auto"}), "what is narrower goes before"
    shown = (await put(bench, "core-link-down", mode="observe")).json()
    assert (shown["mode"], shown["scopes"]) == ("observe", {"region:cusco": "observe", "tenant:andes": "observe"})
    other = (await bench.client.get("/v1/rules/cell-off-air")).json()
    assert set(other["scopes"].values()) == {"auto"}
    rows = (row for row in bench.store.audit.page(Page())[1] if row.action == "rule.mode-set")
    last = [(row.detail.get("scope", ""), row.detail["mode"]) for row in rows][:3]
    assert sorted(last) == [("", "observe"), ("region:cusco", "observe"), ("tenant:andes", "observe")]


@pytest.mark.parametrize(
    ("asked", "status", "words"),
    [
        ({"mode": "auto", "region": "atlantis"}, 422, "there is no region atlantis"),
        ({"mode": "auto", "tenant": "nobody"}, 422, "there is no tenant nobody"),
        ({"mode": "auto", "region": "cusco", "tenant": "andes"}, 422, "a region or a tenant, not both"),
        ({"mode": "auto", "reason": ""}, 422, "reason"),
        ({"mode": "always"}, 422, "mode"),
    ],
)
async def test_a_promotion_that_means_nothing_is_refused(
    bench: ApiBench, asked: dict[str, str], status: int, words: str
) -> None:
    answer = await put(bench, "core-link-down", **asked)
    assert (answer.status_code, words in answer.text) == (status, True), answer.text
    assert bench.store.rules.grants() == []


async def test_what_a_rule_names_and_the_network_does_not_have_is_a_warning_and_no_more(
    bench: ApiBench, tmp_path: Path
) -> None:
    text = (bench.app.state.services.settings.rules / "core-link-down.yaml").read_text()
    (tmp_path / "rules").mkdir()
    narrow = text.replace("user-plane-down]", "user-plane-down], tenants: [condro]")
    (tmp_path / "rules" / "core-link-down.yaml").write_text(narrow)
    put_in_force(bench.store, tmp_path / "rules")
    (listed,) = (await bench.client.get("/v1/rules")).json()["results"]
    (line,) = (number for number, words in enumerate(narrow.splitlines(), 1) if words.startswith("match"))
    strange = f"core-link-down.yaml:{line}: rule.match.tenants[0] = 'condro': no such tenant; did you mean 'condor'?"
    strange = f"rules/{strange}"
    assert listed["warnings"] == [strange]
    words = {"by": "ana", "reason": "while it was there", "digest": ""}
    bench.store.rules.set_mode("core-link-down", "region:atlantis", RuleMode.AUTO, **words)
    shown = (await put(bench, "core-link-down", mode="auto", region="cusco")).json()
    assert shown["warnings"] == [strange, "auto for region atlantis, which the network files do not have"]
    assert (await put(bench, "core-link-down", mode="auto", region="atlantis")).status_code == 422
    assert (await put(bench, "core-link-down", mode="observe", region="atlantis")).json()["warnings"] == [strange]
    tried = await bench.client.post("/v1/rules/backtest", json={"files": {"core-link-down.yaml": narrow}})
    assert tried.json()["warnings"] == [strange.removeprefix("rules/")]


async def test_a_noc_engineer_promotes_nothing_and_answers_what_is_asked(bench: ApiBench) -> None:
    admit(bench.store, "token-of-the-noc", "noc", Role.NOC_ENGINEER)
    async with bench.with_token("token-of-the-noc") as noc:
        assert (await noc.put("/v1/rules/core-link-down/mode", json=WHY | {"mode": "auto"})).status_code == 403
        proposal = asks(bench)
        (listed,) = (await noc.get("/v1/remediation/proposals", params={"state": "asked"})).json()["results"]
        assert listed["id"] == proposal
        said = (await noc.post(f"/v1/remediation/proposals/{proposal}/approve", json=WHY)).json()
        assert (said["state"], said["by"], said["reason"]) == ("approved", "noc", "CHG-1042")
        again = await noc.post(f"/v1/remediation/proposals/{proposal}/deny", json=WHY)
        assert again.status_code == 409
        assert "it is approved" in again.json()["detail"]


@pytest.mark.parametrize(("verb", "left"), [("approve", False), ("deny", False), ("approve", True)])
async def test_a_question_of_an_older_version_of_a_rule_is_void_and_takes_no_answer(
    bench: ApiBench, tmp_path: Path, verb: str, left: bool
) -> None:
    proposal = asks(bench)
    text = (bench.app.state.services.settings.rules / "core-link-down.yaml").read_text()
    (tmp_path / "rules").mkdir()
    name = "another-rule" if left else "core-link-down"
    newer = text.replace("name: core-link-down", f"name: {name}").replace("description: ", "description: By now, ")
    (tmp_path / "rules" / f"{name}.yaml").write_text(newer)
    put_in_force(bench.store, tmp_path / "rules")
    answer = await bench.client.post(f"/v1/remediation/proposals/{proposal}/{verb}", json=WHY)
    why = "rule core-link-down " + ("is not in force any more" if left else "changed since it asked")
    assert answer.status_code == 409
    assert answer.json()["detail"] == f"{proposal} is void: {why}; see what is asked now"
    ended = bench.store.rules.get(proposal)
    assert (ended.state, ended.reason, ended.by) == (ProposalState.VOID, why, "")
    again = await bench.client.post(f"/v1/remediation/proposals/{proposal}/{verb}", json=WHY)
    assert "it is void" in again.json()["detail"]


@pytest.mark.parametrize("verb", ["approve", "deny"])
@pytest.mark.parametrize(
    ("scope", "void"),
    [(EVERYWHERE, True), ("region:{}", True), ("region:elsewhere", False), ("tenant:entel", False)],
)
async def test_a_rule_that_only_observes_by_now_takes_no_answer(
    bench: ApiBench, verb: str, scope: str, void: bool
) -> None:
    proposal = asks(bench)
    asked = bench.store.rules.get(proposal)
    where = scope.format(bench.store.networks.get()[1].region_of(asked.station))
    observe = {"by": "ana", "reason": "too early", "digest": asked.digest}
    bench.store.rules.set_mode("core-link-down", where, RuleMode.OBSERVE, **observe)
    answer = await bench.client.post(f"/v1/remediation/proposals/{proposal}/{verb}", json=WHY)
    if void:
        assert answer.status_code == 409
        why = "rule core-link-down only observes by now"
        assert answer.json()["detail"] == f"{proposal} is void: {why}; see what is asked now"
        assert (bench.store.rules.get(proposal).state, bench.store.rules.get(proposal).reason) == ("void", why)
    else:
        assert answer.status_code == 200


async def test_nobody_says_yes_to_a_repair_of_what_changed_since(bench: ApiBench) -> None:
    proposal = asks(bench)
    alarm = bench.store.alarms.get(bench.store.rules.get(proposal).alarm)
    worse = AlarmReport(
        **alarm.model_dump(include={"station", "object", "probable_cause", "source"}),
        severity=PerceivedSeverity.CRITICAL,
        at=datetime.now(UTC),
    )
    bench.store.alarms.report(worse)
    answer = await bench.client.post(f"/v1/remediation/proposals/{proposal}/approve", json=WHY)
    assert answer.status_code == 409
    assert "changed since" in answer.json()["detail"]
    assert bench.store.rules.get(proposal).state is ProposalState.VOID
    assert (await bench.client.post("/v1/remediation/proposals/p-0/deny", json={})).status_code == 404
