"""Doors of approvals, freezes and overrides: what they answer to wrong questions, and what each side is told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from controller.models.approval import OpenInput, PartyWindows, Requirement, RunConstraints, StationConstraints
from controller.models.network import HOST
from controller.models.outage import OffAir
from controller.models.people import Permission, Person, Role
from controller.models.run import RunState, Strategy
from controller.models.sharing import ActionClass, Consent, MaintenanceWindow
from controller.models.step import RunPlaybook
from controller.ports.clock import SystemClock
from controller.ports.queue import FakeWakeups
from controller.runs.approval.clearance import reassess
from controller.store import NewJob, Page, Store, Transition
from tests.support.callers import admit
from tests.support.launch import prepared
from tests.unit.api.bench import ApiBench
from tests.unit.api.test_routes import load, load_and_adopt, plan

AHEAD = (datetime.now(UTC) + timedelta(days=2)).isoformat()

UNTIL_UNLOCKED = {"kind": "until-unlocked", "seconds": 0}


def freeze(**changes: Any) -> dict[str, Any]:
    return {"target": "network", "ends": AHEAD, "reason": "elections"} | changes


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (freeze(), 201),
        (freeze(target="tenant:condor"), 201),
        (freeze(target="region:puno"), 201),
        (freeze(target="site:ollanta"), 201),
        (freeze(target="site:nowhere"), 404),
        (freeze(target="tenant:nobody"), 404),
        (freeze(target="region:"), 404),
        (freeze(target="network:x"), 404),
        (freeze(target="T-LTE-1"), 404),
        (freeze(ends="2020-01-01T00:00:00Z"), 409),
        (freeze(begins=(datetime.now(UTC) + timedelta(days=3)).isoformat()), 409),
        (freeze(ends="2031-01-01T00:00:00"), 422),
        (freeze(reason=""), 422),
    ],
)
async def test_a_freeze_is_of_something_and_of_a_time_to_come(
    bench: ApiBench, body: dict[str, Any], status: int
) -> None:
    await load(bench)
    answer = await bench.client.post("/v1/freezes", json=body)
    assert answer.status_code == status, answer.text
    listed = (await bench.client.get("/v1/freezes")).json()["results"]
    assert len(listed) == (status == 201)
    if listed:
        assert (await bench.client.delete(f"/v1/freezes/{listed[0]['id']}")).status_code == 204
        assert (await bench.client.delete(f"/v1/freezes/{listed[0]['id']}")).status_code == 404


def warning(**changes: Any) -> dict[str, Any]:
    return {"area": ["region:cusco", "site:ollanta"], "ends": AHEAD, "text": "Tsunami"} | changes


async def test_a_warning_is_put_again_changed_and_ended_by_whoever_announces_it(bench: ApiBench) -> None:
    await load(bench)
    admit(bench.store, "token-of-the-cbe", "cbe", Role.NOC_ENGINEER, scopes=(Permission.WARN,))
    async with bench.with_token("token-of-the-cbe") as cbe:

        async def put(body: dict[str, Any]) -> list[dict[str, Any]]:
            answer = await cbe.put("/v1/warnings/tsunami-17", json=body)
            assert answer.status_code == 200, answer.text
            found: list[dict[str, Any]] = answer.json()["results"]
            return found

        first = await put(warning())
        assert [(one["target"], one["warning"], one["by"]) for one in first] == [
            ("region:cusco", "tsunami-17", "cbe"),
            ("site:ollanta", "tsunami-17", "cbe"),
        ]
        assert await put(warning()) == first  # a source may repeat it
        assert [one["target"] for one in await put(warning(area=["network"]))] == ["network"]
        listed = (await bench.client.get("/v1/freezes")).json()["results"]
        assert [(one["target"], one["reason"]) for one in listed] == [("network", "Tsunami")]
        assert (await cbe.get("/v1/freezes")).status_code == 403
        assert (await cbe.delete("/v1/warnings/tsunami-17")).status_code == 204
        assert (await cbe.delete("/v1/warnings/tsunami-17")).status_code == 404
    assert (await bench.client.get("/v1/freezes")).json()["results"] == []
    trail = [(row.actor, row.action, row.object) for row in bench.store.audit.page(Page(limit=50))[1]]
    assert trail.count(("cbe", "freeze.put", "region:cusco")) == 1
    assert ("cbe", "freeze.lifted", "network") in trail


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("tsunami-17", warning(area=[]), 422),
        ("tsunami-17", warning(area=["region:nowhere"]), 404),
        ("tsunami-17", warning(area=["tenant:condor"]), 422),
        ("tsunami-17", warning(text=""), 422),
        ("tsunami-17", warning(ends="2020-01-01T00:00:00Z"), 409),
        ("tsunami-17", warning(ends=(datetime.now(UTC) + timedelta(days=8)).isoformat()), 409),
        ("-17", warning(), 422),
        ("x" * 101, warning(), 422),
    ],
)
async def test_a_warning_has_an_area_and_an_end(bench: ApiBench, path: str, body: dict[str, Any], status: int) -> None:
    await load(bench)
    answer = await bench.client.put(f"/v1/warnings/{path}", json=body)
    assert answer.status_code == status, answer.text
    assert (await bench.client.get("/v1/freezes")).json()["results"] == []


async def test_what_does_not_exist_or_has_ended_is_not_approved(bench: ApiBench) -> None:
    await load_and_adopt(bench)
    for path in ("runs/r-none/approve", "runs/r-none/override", "plans/none/approve", "runs/r-none/reject"):
        answer = await bench.client.post(f"/v1/{path}", json={"reason": "x"})
        assert answer.status_code == 404, path
    assert (await bench.client.get("/v1/approvals/r-none")).status_code == 404
    made = await plan(bench, expect_stations=4)
    run = (await bench.client.post("/v1/runs", json={"plan": made["id"]})).json()["id"]
    assert (await bench.client.post(f"/v1/runs/{run}/reject", json={})).status_code == 422
    assert (await bench.client.post(f"/v1/runs/{run}/reject", json={"reason": "no"})).json()["choice"] == "reject"
    assert (await bench.client.get(f"/v1/runs/{run}")).json()["state"] == "cancelling"
    again = await bench.client.post("/v1/runs", json={"plan": made["id"]})
    assert (again.status_code, again.json()["type"]) == (409, "urn:minka:error:plan-refused")
    assert "rejected by ana" in again.json()["detail"]
    # Whoever said no may say yes later.
    await bench.client.post(f"/v1/plans/{made['id']}/approve", json={})
    assert (await bench.client.post("/v1/runs", json={"plan": made["id"]})).status_code == 202


async def test_another_of_their_side_takes_back_the_no_of_whoever_is_gone(bench: ApiBench) -> None:
    await load_and_adopt(bench)
    made = await plan(bench, expect_stations=4)
    for name in ("leo", "ida"):
        admit(bench.store, f"token-of-{name}", name, Role.APPROVER)

    async def says(name: str, choice: str) -> None:
        async with bench.with_token(f"token-of-{name}") as client:
            said = await client.post(f"/v1/plans/{made['id']}/{choice}", json={"reason": "harvest"})
            assert said.is_success, said.text

    async def applied() -> tuple[int, str]:
        answer = await bench.client.post("/v1/runs", json={"plan": made["id"]})
        return answer.status_code, answer.json().get("detail", "")

    await says("leo", "reject")
    await says("ida", "approve")
    assert "rejected by leo (host): harvest" in (await applied())[1]
    await says("ida", "reject")
    assert (await bench.client.put("/v1/users/leo", json={"role": "approver", "disabled": True})).is_success
    assert (await bench.client.put("/v1/users/ida", json={"role": "host-viewer"})).is_success
    status, detail = await applied()
    assert status == 409
    assert "gone, the yes of another approver of host takes it back" in detail
    assert (await bench.client.post(f"/v1/plans/{made['id']}/approve", json={})).is_success
    assert (await applied())[0] == 202


async def test_a_yes_belongs_to_one_run_of_a_plan_that_is_made_again(bench: ApiBench) -> None:
    """What a tenant gave once counts once, although the plan is the same."""
    await load_and_adopt(bench)
    admit(bench.store, "token-of-leo", "leo", Role.TENANT_APPROVER, "condor")
    needed = Requirement(side="condor", action=ActionClass.INTERRUPT)
    waits = "approval by 1 of condor to interrupt"
    leo = bench.with_token("token-of-leo")

    async def missing(run: str) -> list[str]:
        found: list[str] = (await bench.client.get(f"/v1/runs/{run}/outlook")).json()["missing"]
        return found

    first = await asking(bench, needed)
    assert (await leo.post(f"/v1/runs/{first}/approve", json={})).is_success
    assert await missing(first) == []
    bench.store.runs.advance(first, lambda *_: Transition(RunState.SUCCEEDED, cancel_rest=True))
    second = await asking(bench, needed)
    assert bench.store.runs.get(second).plan == bench.store.runs.get(first).plan
    assert await missing(second) == [waits]


async def asking(bench: ApiBench, *requirements: Requirement) -> str:
    """A run of a plan on all stations, all of them condor's and of whom else it asks, that asks this of people."""
    made = bench.store.plans.get((await plan(bench, expect_stations=4))["id"])
    tenants = tuple(sorted({"condor", *(one.side for one in requirements)} - {HOST}))
    group = StationConstraints(region="puno", timezone="America/Lima", tenants=tenants)
    constraints = RunConstraints(
        subject=made.digest,
        requirements=requirements,
        tenants=tenants,
        groups=(group,),
        stations={change.station: ("site", 0) for change in made.changes},
    )
    jobs = [NewJob(0, change.station) for change in made.changes]
    run = bench.store.runs.create(prepared(made, "apply", Strategy(), jobs, actor="ana", constraints=constraints))
    return run.id


async def test_a_yes_counts_only_while_its_person_may_give_it(bench: ApiBench) -> None:
    await load_and_adopt(bench)
    admit(bench.store, "token-of-leo", "leo", Role.TENANT_APPROVER, "condor")
    run = await asking(bench, Requirement(side="condor", action=ActionClass.INTERRUPT))
    waits = "approval by 1 of condor to interrupt"

    def blocked() -> set[str]:
        return {job.blocked for job in bench.store.runs.jobs(run)}

    reassess(bench.store, SystemClock(), FakeWakeups())

    async def is_now(**standing: Any) -> None:
        body = {"role": "tenant-approver", "tenant": "condor"} | standing
        assert (await bench.client.put("/v1/users/leo", json=body)).is_success

    assert waits in (await bench.client.get(f"/v1/runs/{run}/outlook")).json()["missing"]
    async with bench.with_token("token-of-leo") as leo:
        assert (await leo.post(f"/v1/runs/{run}/approve", json={})).is_success
    assert blocked() == {""}
    for standing in ({"disabled": True}, {"role": "tenant-viewer"}, {"tenant": "andes"}):
        await is_now(**standing)
        assert blocked() == {waits}, standing
        await is_now()
        assert blocked() == {waits}, "what leo said before does not count again"
        async with bench.with_token("token-of-leo") as leo:
            assert (await leo.post(f"/v1/runs/{run}/approve", json={})).is_success
        assert blocked() == {""}
    (token,) = bench.store.tokens.find("leo")
    assert (await bench.client.delete(f"/v1/tokens/{token.id}")).is_success
    assert blocked() == {waits}
    assert (await bench.client.post("/v1/tokens", json={"owner": "leo"})).is_success
    assert blocked() == {waits}, "whoever used the revoked token need not have been leo"


async def test_host_and_tenant_are_told_at_once_of_an_approval_that_nobody_can_give(bench: ApiBench) -> None:
    """Whether nobody may, or those who might are disabled since; once for a run."""
    await load_and_adopt(bench)
    admit(bench.store, "token-of-leo", "leo", Role.TENANT_APPROVER, "condor")
    admit(bench.store, "token-of-viewer", "viewer", Role.TENANT_VIEWER, "andes")
    run = await asking(bench, *(Requirement(side=side, action=ActionClass.INTERRUPT) for side in ("andes", "condor")))

    def told(side: str) -> list[str]:
        return [one.text for one in bench.store.notices.page(Page(limit=50), side)[1] if one.kind == "unanswered"]

    reassess(bench.store, SystemClock(), FakeWakeups())
    words = "approval by 1 of andes to interrupt: fewer users of andes than that may give it now"
    assert (await bench.client.get(f"/v1/runs/{run}/outlook")).json()["unanswered"] == [words]
    assert [len(told(side)) for side in ("host", "andes", "condor")] == [1, 1, 0]
    assert all(words in told(side)[0] for side in ("host", "andes"))
    assert "condor" not in told("andes")[0]
    body = {"role": "tenant-approver", "tenant": "condor", "disabled": True}
    assert (await bench.client.put("/v1/users/leo", json=body)).is_success
    assert len(told("condor")) == 1, "as soon as leo is disabled"
    reassess(bench.store, SystemClock(), FakeWakeups())
    assert [len(told(side)) for side in ("host", "andes", "condor")] == [1, 1, 1]
    admit(bench.store, "token-of-ida", "ida", Role.TENANT_APPROVER, "andes")
    left = (await bench.client.get(f"/v1/runs/{run}/outlook")).json()["unanswered"]
    assert left == [words.replace("andes", "condor")]


@pytest.mark.parametrize("about", [("andes", "condor"), ("andes",)])
async def test_an_approver_sees_what_would_be_done_where(bench: ApiBench, about: tuple[str, ...]) -> None:
    await load_and_adopt(bench)
    admit(bench.store, "token-of-leo", "leo", Role.TENANT_APPROVER, "condor")
    made = bench.store.plans.get((await plan(bench, expect_stations=4))["id"])
    text = (Path("playbooks") / "lock-cell.yaml").read_text(encoding="utf-8")
    used = RunPlaybook(name="lock-cell", digest="d", text=text, parameters={"station": "T-LTE-1", "cell": "1"})
    groups = [
        StationConstraints(region="puno", timezone="America/Lima", tenants=(name,)) for name in ("andes", "condor")
    ]
    one_of_two, both = OffAir(cells=("T-LTE-1/1",), count=1, of=2), OffAir(count=2, of=2)
    constraints = RunConstraints(
        subject="s",
        requirements=(Requirement(side="condor", action=ActionClass.INTERRUPT, off_air=one_of_two),),
        tenants=("andes", "condor"),
        steps_off_air={"lock": {"andes": OffAir(count=1, of=1), "condor": one_of_two, "host": both}},
        steps_about={"lock": about},
        groups=tuple(groups),
        stations={"T-LTE-1": ("a", 1), "T-LTE-2": ("b", 0)},
        open_inputs=(OpenInput(file="own.yaml", step="lock", input="cells", expression="{{ andes }}", why="so"),),
    )
    jobs = [NewJob(0, station) for station in constraints.stations]
    run = bench.store.runs.create(
        prepared(made, "lock-cell", Strategy(), jobs, actor="ana", constraints=constraints, playbook=used)
    )
    seen = (await bench.client.get(f"/v1/approvals/{run.id}")).json()
    assert (seen["procedure"], seen["stations"]) == ("lock-cell", ["T-LTE-1", "T-LTE-2"])
    assert seen["parameters"] == {"station": "T-LTE-1", "cell": "1"}
    asks = {"file": "own.yaml", "step": "lock", "input": "cells", "expression": "{{ andes }}", "why": "so"}
    assert seen["open_inputs"] == [asks | {"stations": 0}]
    assert (await bench.client.get(f"/v1/runs/{run.id}/outlook")).json()["open_inputs"] == seen["open_inputs"]
    locks = {"action": "lock-cell", "consent": "interrupt", "outage": UNTIL_UNLOCKED}
    assert seen["steps"] == [
        locks | {"name": "lock", "off_air": both.model_dump(mode="json")},
        locks
        | {"name": "off the air", "action": "wait-until", "consent": None}
        | {"outage": {"kind": "none", "seconds": 0}, "off_air": None},
    ]
    async with bench.with_token("token-of-leo") as leo:
        (own,) = (await leo.get("/v1/approvals")).json()["results"]
        assert (own["procedure"], own["stations"], own["parameters"]) == ("lock-cell", ["T-LTE-1"], {})
        own = (await leo.get(f"/v1/approvals/{run.id}")).json()
    told = {"cells": ["T-LTE-1/1"], "count": 1, "of": 2, "open": False}
    mine = [locks | {"name": "", "off_air": told}] if "condor" in about else []
    assert own["steps"] == mine, "its own cells, and not those of others; no step that is about others"
    assert own["requirements"][0]["off_air"] == told
    assert {part["station"] for part in own["parts"]} <= {"T-LTE-1"}
    assert own["open_inputs"] == [], "an expression may name other tenants"


async def test_a_tenant_is_told_that_the_host_decided_in_its_place_and_by_which_clause(bench: ApiBench) -> None:
    """Each tenant reads of its own contract, and of no other one, nor a reason that may be about another one."""
    await load_and_adopt(bench)
    sides = ("condor", "andes", "vicuna")
    reduce = [
        Requirement(side=side, action=ActionClass.REDUCE, agreement=f"{side}-all", clauses=("12.1",)) for side in sides
    ]
    run = await asking(bench, *reduce)
    both = [{"agreement": f"{side}-all", "clause": "12.1"} for side in sides[:2]]
    for body in ({"reason": "condor left", "contracts": both[:1]}, {"reason": "secret", "contracts": both}):
        assert (await bench.client.post(f"/v1/runs/{run}/approve", json=body)).is_success
        assert (await bench.client.post(f"/v1/runs/{run}/approve", json=body)).is_success, "twice is once"
    told: dict[str, list[Any]] = {}
    for side in sides:
        admit(bench.store, f"token-of-{side}", f"person-of-{side}", Role.TENANT_APPROVER, side)
        async with bench.with_token(f"token-of-{side}") as person:
            seen = (await person.get(f"/v1/approvals/{run}")).json()["votes"]
            rows = [one for one in (await person.get("/v1/audit")).json()["results"] if "decided" in one["action"]]
            found = (await person.get("/v1/notices")).json()["results"]
        assert "secret" not in str((seen, rows, found))
        assert not any(other in str((seen, rows, found)) for other in {*sides} - {side})
        assert all((one["person"], one["token"], one["subject"]) == ("host", "", "") for one in seen)
        assert all((one["actor"], one["object"]) == ("host", run) for one in rows)
        notices = [one["text"] for one in found if one["kind"] == "decided"]
        told[side] = [[one["contracts"] for one in seen], [one["detail"] for one in rows], notices]
    words = "the host approved work in your place by a clause of the contract: "
    assert told["condor"] == [
        [both[:1]],
        [{"contracts": "condor-all 12.1"}, {"contracts": "condor-all 12.1", "reason": "condor left"}],
        [f"{words}condor-all 12.1: condor left"],
    ]
    assert told["andes"] == [
        [both[1:]],
        [{"contracts": "andes-all 12.1"}],
        [f"{words}andes-all 12.1"],
    ]
    assert told["vicuna"] == [[], [], []]


def of_sides(store: Store, *sides: str) -> dict[str, str]:
    """A person of each side, by side, with the token."""
    for side in sides:
        admit(store, f"token-of-{side}", f"person-of-{side}", Role.TENANT_APPROVER, side)
    return {side: f"token-of-{side}" for side in sides}


async def test_a_tenant_is_told_that_the_host_overrides_its_own_window_or_freeze(bench: ApiBench) -> None:
    """With its agreements, its stations, why and from when; a tenant whose windows are not overridden hears nothing."""
    await load_and_adopt(bench)
    made = bench.store.plans.get((await plan(bench, expect_stations=4))["id"])
    night = MaintenanceWindow.model_validate({"start": "01:00", "end": "04:00"})
    windows = [PartyWindows(windows=(night,), tenant="condor", agreement="condor-all"), PartyWindows(windows=(night,))]
    groups = [
        StationConstraints(
            region="puno", timezone="America/Lima", tenants=("andes", *names), interrupts=True, windows=bound
        )
        for names, bound in ((("condor", "vicuna"), tuple(windows)), ((), (windows[1],)))
    ]
    constraints = RunConstraints(
        subject=made.digest,
        requirements=(Requirement(side="condor", action=ActionClass.INTERRUPT, consent=Consent.NOTICE, lead_hours=24),),
        tenants=("andes", "condor", "vicuna"),
        groups=tuple(groups),
        stations={"T-LTE-1": ("a", 0), "T-LTE-2": ("b", 0), "T-NR-1": ("c", 1)},
    )
    jobs = [NewJob(0, station) for station in constraints.stations]
    run = bench.store.runs.create(prepared(made, "apply", Strategy(), jobs, actor="ana", constraints=constraints))
    frozen = await bench.client.post("/v1/freezes", json=freeze(target="tenant:vicuna"))
    assert frozen.is_success
    tokens = of_sides(bench.store, *constraints.tenants)
    for _ in range(2):
        assert (await bench.client.post(f"/v1/runs/{run.id}/override", json={"reason": "INC-77"})).is_success
    told = {}
    for side, token in tokens.items():
        async with bench.with_token(token) as person:
            rows = (await person.get("/v1/audit")).json()["results"]
            found = (await person.get("/v1/notices")).json()["results"]
        overridden = [one for one in rows if one["action"] == "run.overridden-for-tenant"]
        assert all((one["actor"], one["object"]) == ("host", run.id) for one in overridden)
        notices = [one for one in found if one["kind"] == "overridden"]
        told[side] = [one["detail"] for one in overridden], [one["text"] for one in notices], notices
        assert not any(other in str((overridden, notices)) for other in {*tokens} - {side})
    assert told["andes"] == ([], [], [])
    details, texts, (notice,) = told["condor"]
    assert details == [{"agreements": "condor-all", "stations": "2", "reason": "INC-77"}]
    assert texts == [
        "the host lets work begin on 2 devices that serve you in spite of your maintenance windows (condor-all): INC-77"
    ]
    assert notice["stations"] == ["T-LTE-1", "T-LTE-2"]
    planned = next(one for one in bench.store.notices.page(Page(limit=50), "condor")[1] if one.kind == "planned")
    assert datetime.fromisoformat(notice["begins"]) == planned.at + timedelta(hours=24), "no override beats the notice"
    details, texts, _ = told["vicuna"]
    assert details == [{"freeze": frozen.json()["id"], "stations": "2", "reason": "INC-77"}]
    assert "in spite of the freeze of your network until" in texts[0]


async def test_a_tenant_is_told_of_a_freeze_of_its_own_that_an_override_beats_or_the_host_lifts(
    bench: ApiBench,
) -> None:
    await load_and_adopt(bench)
    run = await asking(bench, Requirement(side="andes", action=ActionClass.INTERRUPT))
    assert (await bench.client.post(f"/v1/runs/{run}/override", json={"reason": "INC-77"})).is_success
    tokens = of_sides(bench.store, "andes", "condor")

    async def heard(side: str) -> tuple[list[str], list[tuple[str, str]]]:
        async with bench.with_token(tokens[side]) as person:
            found = (await person.get("/v1/notices")).json()["results"]
            rows = (await person.get("/v1/audit")).json()["results"]
        told = [one["kind"] for one in found if one["kind"] in ("overridden", "freeze-lifted")]
        return told[::-1], [(one["action"], one["object"]) for one in rows if "for-tenant" in one["action"]][::-1]

    assert await heard("condor") == ([], []), "nothing of its own is overridden"
    made = (await bench.client.post("/v1/freezes", json=freeze(target="tenant:condor"))).json()
    others = (await bench.client.post("/v1/freezes", json=freeze())).json()
    assert await heard("condor") == (["overridden"], [("run.overridden-for-tenant", run)])
    for one in (made, others):
        assert (await bench.client.delete(f"/v1/freezes/{one['id']}")).is_success
    assert (await heard("condor"))[0] == ["overridden", "freeze-lifted"]
    assert await heard("andes") == ([], [])
    async with bench.with_token(tokens["condor"]) as person:
        rows = (await person.get("/v1/audit")).json()["results"]
        (last, *_) = (await person.get("/v1/notices")).json()["results"]
    acts = [(one["actor"], one["action"], one["detail"]) for one in rows if one["object"] == "tenant:condor"]
    put = {"freeze": made["id"], "begins": made["begins"], "ends": made["ends"], "reason": "elections"}
    for _, _, detail in acts:
        detail |= {name: datetime.fromisoformat(detail[name]) for name in ("begins", "ends") if name in detail}
    put |= {name: datetime.fromisoformat(put[name]) for name in ("begins", "ends")}
    assert acts == [("host", "freeze.lifted", {"freeze": made["id"]}), ("host", "freeze.put", put)]
    assert last["text"].startswith("the host lifted the freeze of your network before its end at ")
    assert (last["run"], last["incident"], last["stations"]) == ("", "", [])


async def test_a_vote_with_a_token_that_somebody_else_made_says_so(bench: ApiBench) -> None:
    await load_and_adopt(bench)
    bench.store.users.add(Person(name="leo", role=Role.TENANT_APPROVER, tenant="condor"), "ana")
    made = (await bench.client.post("/v1/tokens", json={"owner": "leo"})).json()
    run = await asking(bench, Requirement(side="condor", action=ActionClass.INTERRUPT, agreement="condor-all"))
    async with bench.with_token(made["secret"]) as leo:
        said = (await leo.post(f"/v1/runs/{run}/approve", json={})).json()
        (vote,) = (await leo.get(f"/v1/approvals/{run}")).json()["votes"]
        (row, *_) = (await leo.get("/v1/audit")).json()["results"]
    assert vote == said
    assert (vote["person"], vote["token"], vote["maker"]) == ("leo", made["token"]["id"], "ana")
    assert (row["detail"]["token"], row["detail"]["maker"]) == (made["token"]["id"], "ana")


async def test_an_agreement_that_wants_a_sign_in_takes_no_yes_by_a_token(bench: ApiBench) -> None:
    await load_and_adopt(bench)
    admit(bench.store, "token-of-leo", "leo", Role.TENANT_APPROVER, "condor")
    asked = Requirement(side="condor", action=ActionClass.INTERRUPT, agreement="condor-all", sign_in=True)
    run = await asking(bench, asked)
    async with bench.with_token("token-of-leo") as leo:
        refused = await leo.post(f"/v1/runs/{run}/approve", json={})
        assert (refused.status_code, "under condor-all a yes counts only" in refused.text) == (409, True)
        assert (await leo.post(f"/v1/runs/{run}/reject", json={"reason": "no"})).is_success, "a no always counts"


async def test_an_administrators_own_run_has_their_yes(bench: ApiBench) -> None:
    await load_and_adopt(bench)
    made = await plan(bench, expect_stations=4)
    run = (await bench.client.post("/v1/runs", json={"plan": made["id"], "reason": "CHG-1"})).json()["id"]
    seen = (await bench.client.get(f"/v1/runs/{run}/outlook")).json()
    assert [(vote["person"], vote["choice"], vote["reason"]) for vote in seen["votes"]] == [("ana", "approve", "CHG-1")]
    assert seen["missing"] == []
    assert seen["tenants"] == ["andes", "condor", "vicuna"]
    assert (await bench.client.post("/v1/freezes", json=freeze())).is_success
    assert (await bench.client.get(f"/v1/runs/{run}/outlook")).json()["waits"] != {}
    await bench.client.post(f"/v1/runs/{run}/cancel")
    bench.store.runs.advance(run, lambda _run, _jobs: Transition(RunState.CANCELLED, cancel_rest=True))
    assert (await bench.client.get(f"/v1/runs/{run}/outlook")).json()["waits"] == {}, "an ended run waits for nothing"
    notices = (await bench.client.get("/v1/notices")).json()
    assert {one["tenant"]: len(one["stations"]) for one in notices["results"]} == {"andes": 4, "condor": 4, "vicuna": 2}


async def test_a_tenant_is_notified_of_runs_that_ask_it_only(bench: ApiBench) -> None:
    await load_and_adopt(bench)
    admit(bench.store, "token-of-leo", "leo", Role.TENANT_APPROVER, "condor")
    leo = bench.with_token("token-of-leo")
    made = await plan(bench, expect_stations=4)
    run = (await bench.client.post("/v1/runs", json={"plan": made["id"]})).json()["id"]
    assert (await leo.get("/v1/approvals")).json()["results"] == []
    assert (await leo.get(f"/v1/approvals/{run}")).status_code == 404
    assert (await leo.post(f"/v1/runs/{run}/approve", json={})).status_code == 409
    assert (await leo.post(f"/v1/runs/{run}/override", json={"reason": "x"})).status_code == 404
    # A tenant knows the plan by a name of its own.
    assert (await leo.post(f"/v1/plans/{made['id']}/reject", json={"reason": "x"})).status_code == 404
    (mine,) = (await leo.get("/v1/plans")).json()["results"]
    assert (await leo.post(f"/v1/plans/{mine['id']}/reject", json={"reason": "x"})).status_code == 409
    await leo.aclose()
