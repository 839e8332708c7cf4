"""Rules, playbooks and KPIs in force over HTTP."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from controller.models.alarm import RULE_DEMOTED
from controller.models.people import Role
from controller.store import Page
from tests.support.callers import admit
from tests.support.definitions import shipped_files
from tests.unit.api.bench import ApiBench, open_bench
from tests.unit.api.test_routes import load

SHIPPED = dict(shipped_files().texts)
LINK = "rules/core-link-down.yaml"


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[ApiBench]:
    async with open_bench(tmp_path) as made:
        await load(made)
        yield made


async def put(bench: ApiBench, files: dict[str, str], **more: Any) -> httpx.Response:
    return await bench.client.put("/v1/definitions", json={"files": files, "reason": "CHG-7", **more})


async def shown(bench: ApiBench) -> dict[str, Any]:
    found: dict[str, Any] = (await bench.client.get("/v1/definitions")).json()
    return found


async def test_what_comes_with_minka_is_in_force_from_the_beginning(bench: ApiBench) -> None:
    found = await shown(bench)
    assert (found["number"], found["by"], found["left_out"], found["differ"], found["unread"]) == (
        1,
        "minka",
        {},
        [],
        "",
    )
    assert found["files"] == {path: hashlib.sha256(text.encode()).hexdigest() for path, text in SHIPPED.items()}


async def test_a_version_is_put_in_force_whole_with_who_and_why(bench: ApiBench) -> None:
    put_mode = {"mode": "auto", "reason": "CHG-6"}
    assert (await bench.client.put("/v1/rules/core-link-down/mode", json=put_mode)).status_code == 200
    new = {**SHIPPED, LINK: SHIPPED[LINK] + "# changed\npriority: 7\n"}
    said = (await put(bench, new)).json()
    assert (said["number"], said["by"], said["reason"]) == (2, "ana", "CHG-7")
    assert (said["changed"], said["observing"]) == ([LINK], ["core-link-down"])
    assert said["differ"] == [LINK], "the API's folders still have the other one"
    rule = (await bench.client.get("/v1/rules/core-link-down")).json()
    assert (rule["content"]["priority"], rule["mode"], rule["changed"]) == (7, "observe", False)
    again = (await put(bench, new)).json()
    assert (again["number"], again["changed"]) == (2, [])
    row = next(row for row in bench.store.audit.page(Page())[1] if row.action == "definitions.in-force")
    assert (row.actor, row.detail["digest"], row.detail["reason"]) == ("ana", said["digest"], "CHG-7")


@pytest.mark.parametrize("other", [{LINK: SHIPPED[LINK] + "priority: 7\n"}, {}])
async def test_a_promoted_rule_that_was_changed_or_left_out_observes_also_where_it_comes_back(
    bench: ApiBench, other: dict[str, str]
) -> None:
    put_mode = {"mode": "auto", "reason": "CHG-6"}
    assert (await bench.client.put("/v1/rules/core-link-down/mode", json=put_mode)).status_code == 200
    without = {path: text for path, text in SHIPPED.items() if path != LINK}
    said = (await put(bench, without | other)).json()
    assert said["observing"] == ["core-link-down"]
    assert (await put(bench, SHIPPED)).json()["observing"] == []
    rule = (await bench.client.get("/v1/rules/core-link-down")).json()
    assert rule["mode"] == "observe"
    acts = [row for row in bench.store.audit.page(Page())[1] if row.action == "rule.mode-set"]
    assert [(row.actor, row.detail["mode"]) for row in acts] == [("rule:core-link-down", "observe"), ("ana", "auto")]
    alarms = [one.object for one in bench.store.alarms.standing() if one.probable_cause == RULE_DEMOTED]
    assert alarms == (["core-link-down"] if other else [])


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({LINK: "laddr: []\n"}, "rules/core-link-down.yaml:1: rule.laddr: no such field; did you mean 'ladder'?"),
        ({"kpis/users.yaml": "nam: x"}, "kpis/users.yaml:1: kpi.nam: no such field; did you mean 'name'?"),
        ({"playbooks/lock-cell.yaml": ""}, "playbooks/lock-cell.yaml: the file is empty"),
        ({"rules/../playbooks/x.yaml": "x"}, "the folders are rules, rules/oncall, playbooks, kpis, kpis/regulators"),
        ({"/etc/passwd": "x"}, "the folders are"),
        ({"rules/Loud.yaml": "x"}, "a file is called NAME.yaml"),
        ({"rules/x.txt": "x"}, "a file is called NAME.yaml"),
        ({"rules/x.yaml": "#" * 262_145}, "the file is larger than 256 kB"),
    ],
)
async def test_a_wrong_file_refuses_all_and_what_was_in_force_stays(
    bench: ApiBench, files: dict[str, str], words: str
) -> None:
    answer = await put(bench, {**SHIPPED, **files})
    assert (answer.status_code, words in answer.text.replace("\\\\", "\\")) == (422, True), answer.text[:500]
    assert (await shown(bench))["number"] == 1


async def test_two_people_who_change_the_same_version_do_not_overwrite_each_other(bench: ApiBench) -> None:
    seen = (await shown(bench))["digest"]
    assert (await put(bench, {**SHIPPED, LINK: SHIPPED[LINK] + "# one\n"}, replaces=seen)).status_code == 200
    refused = await put(bench, {**SHIPPED, LINK: SHIPPED[LINK] + "# two\n"}, replaces=seen)
    assert refused.status_code == 409
    assert "version 2 of ana is in force by now" in refused.json()["detail"]


async def test_a_rule_that_changed_since_it_was_seen_is_not_promoted(bench: ApiBench) -> None:
    seen = (await bench.client.get("/v1/rules/core-link-down")).json()["digest"]
    await put(bench, {**SHIPPED, LINK: SHIPPED[LINK] + "priority: 7\n"})
    asked = {"mode": "auto", "reason": "CHG-6", "digest": seen}
    refused = await bench.client.put("/v1/rules/core-link-down/mode", json=asked)
    assert refused.status_code == 409
    assert "was changed since you saw it" in refused.json()["detail"]
    assert bench.store.rules.grants() == []


async def test_only_who_may_load_network_files_puts_a_version_in_force(bench: ApiBench) -> None:
    for role in (Role.NOC_ENGINEER, Role.APPROVER, Role.HOST_VIEWER):
        admit(bench.store, f"token-{role}", role.value, role)
        async with bench.with_token(f"token-{role}") as person:
            assert (await person.get("/v1/definitions")).status_code == 200
            asked = {"files": SHIPPED, "reason": "CHG-7"}
            assert (await person.put("/v1/definitions", json=asked)).status_code == 403


async def test_folders_that_the_api_can_not_read_are_said_and_hide_nothing(bench: ApiBench, tmp_path: Path) -> None:
    services = bench.app.state.services
    gone = services.settings.model_copy(update={"rules": tmp_path / "none"})
    bench.app.state.services = replace(services, settings=gone)
    found = await shown(bench)
    assert (found["number"], found["unread"]) == (
        1,
        f"the folder {tmp_path / 'none'} of rules does not exist: set MINKA_RULES",
    )
    assert (await bench.client.get("/v1/rules")).json()["count"] > 20
