"""How playbooks are executed: rehearsed without a touch, undone on failure, refused beyond their guards."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from controller.models.errors import ConflictError, InputError, NotFoundError, PlanRefusedError
from controller.models.run import Outcome, RunState
from controller.models.sharing import ActionClass
from controller.models.step import StepState
from controller.store import Page
from tests.integration.alarms.system import PLAYBOOKS, TOKEN, until
from tests.integration.playbooks.system import PlaybookSystem
from tests.integration.playbooks.test_shipped import STATION, lock_of
from tests.support.callers import ADMINISTRATOR, agree_by_contract

LOCK: dict[str, Any] = {"name": "lock", "action": "lock-cell", "with": {"cells": ["1"]}, "register": "locked"}
URL = "sftp://10.0.0.1/images/station-24.3.0.zip"
FAIL: dict[str, Any] = {"name": "fail", "action": "read-state", "checks": ["{{ output.cells_on_air > 90 }}"]}


@pytest.mark.parametrize("locked", [False, True])
async def test_nobody_is_asked_or_told_where_no_cell_is_named_now(system: PlaybookSystem, *, locked: bool) -> None:
    """The list is known only in the run; where a read says now that it is empty everywhere, nobody has to agree."""
    if locked:
        await system.succeeds("lock-cell", station=STATION, cell="1")
    look = {"name": "look", "action": "read-state", "register": "before"}
    named = "{{ [before.cells[0].cell] if before.cells[0].administrative_state == 'LOCKED' else [] }}"
    lock = {"name": "lock", "action": "lock-cell", "with": {"cells": named}}
    run = await system.succeeds("own", system.own(targets=STATION, steps=[look, lock]))
    standing = system.store.approvals.standing(run.id)
    assert standing is not None
    told = [one for one in system.store.notices.page(Page())[1] if one.run == run.id]
    assert bool(standing.constraints.requirements) is locked
    assert bool(standing.constraints.tenants) is bool(told) is locked
    detail = "the device carries this already" if locked else "there is nothing to do: its steps name no cell"
    assert (system.job(run, STATION).outcome, system.job(run, STATION).detail) == (Outcome.UNCHANGED, detail)


async def test_a_dry_run_touches_nothing(system: PlaybookSystem) -> None:
    system.load(condor_all={"shares": [{"resource": "PRB", "min": 25, "max": 55}]})
    before, running = system.changes(), {name: system.running(name) for name in system.fleet.stations}
    cases: dict[str, dict[str, Any]] = {
        "change-share": {"tenant": "condor", "stations": 4},
        "lock-cell": {"station": STATION, "cell": "1"},
        "unlock-cell": {"station": STATION, "cell": "1"},
        "recreate-core-endpoint": {"station": STATION, "endpoint": "EP_S1C[condor-condor-mme-1]"},
        "repair-drift": {"where": "*"},
        "audit-drift": {},
        "soft-lock-cell": {"station": STATION, "cell": "1"},
        "reset-radio-unit": {"station": STATION, "unit": "ru-1"},
        "restart-station": {"station": STATION},
        "acknowledge-alarm": {"station": STATION},
        "cycle-cell": {"station": STATION, "cell": "1"},
        "reload-licence": {"station": STATION},
        "return-to-software": {"station": STATION},
        "download-software": {"where": STATION, "url": URL, "version": "24.3.0"},
        "upgrade-software": {"where": STATION, "url": URL, "version": "24.3.0"},
        "onboard-tenant": {"tenant": "condor", "stations": 4},
        "add-slice": {"tenant": "condor", "slice": "1-0000B1"},
        "rehome-core": {"tenant": "condor", "where": "region=cusco"},
        "migrate-tenant": {"tenant": "condor", "stations": 4},
        "provision-station": {"station": STATION, "url": URL, "version": "24.3.0"},
        "decommission-station": {"station": STATION},
        "restore-config": {"where": STATION, "state": system.clock.now().isoformat()},
    }
    # The others have tests of their own: switch-backhaul needs a router, offboard-tenant an agreement that ended,
    # change-primary-plmn another PLMN in the files; those of functions need pools (unit tests).
    rest = {
        "switch-backhaul",
        "offboard-tenant",
        "change-primary-plmn",
        "drain-pool",
        "drain-node",
        "uncordon-node",
        "rebalance",
    }
    rest |= {f"{verb}-function" for verb in ("instantiate", "heal", "move", "upgrade", "revert", "scale", "terminate")}
    assert cases.keys() | rest == {path.stem for path in PLAYBOOKS.glob("*.yaml")}
    record = (system.store.ledger.find(), system.store.devices.find())
    for name, given in cases.items():
        seen = await system.dry_run(name, **given)
        assert seen.stations, name
        assert seen.refused == (), name
    assert (system.store.ledger.find(), system.store.devices.find()) == record
    assert not system.store.claims.busy(system.fleet.stations)
    assert system.changes() == before
    assert {name: system.running(name) for name in system.fleet.stations} == running
    assert system.webhook.sent == {}


async def test_inputs_that_follow_from_parameters_are_checked_before_anything_begins(system: PlaybookSystem) -> None:
    for ask in (system.dry_run, system.run):
        with pytest.raises(InputError, match="step 'download': url: not of the right form; The file's address"):
            await ask("download-software", where="*", url="sftp://a:secret@b/c.zip", version="24.3.0")
        with pytest.raises(InputError, match=r"step 'lock': cells\.0 = 'one,two': not of the right form; Name of"):
            await ask("lock-cell", station=STATION, cell="one,two")
        with pytest.raises(InputError, match=r"step 'install it': version: too short; at least one character"):
            await ask("provision-station", station=STATION, url=URL)
    # What the station runs is looked at even if nothing is downloaded.
    seen = await system.dry_run("provision-station", station=STATION, version="99.1")
    (says,) = [step.says for step in seen.stations[0].steps if step.step == "the version runs"]
    assert "and not 99.1" in says
    assert [run.procedure for run in system.store.runs.page(Page(limit=10))[1]] == ["apply"]


async def test_a_dry_run_shows_order_diff_and_what_is_skipped(system: PlaybookSystem) -> None:
    unlock = {"name": "unlock", "action": "unlock-cell", "with": {"cells": "{{ locked.cells }}"}}
    never = {"name": "never", "action": "notify", "with": {"text": "x"}, "when": "{{ target.region == 'puno' }}"}
    own = system.own(targets="region=cusco", strategy={"canary": 1}, steps=[LOCK, never, unlock])
    seen = await system.dry_run("own", own)
    assert [(one.station, one.wave) for one in seen.stations] == [("T-LTE-1", 0), ("T-LTE-2", 1)]
    first, second, third = seen.stations[0].steps
    assert [(row.before, row.after) for row in first.diff] == [("UNLOCKED", "LOCKED")]
    assert second.says == "skipped: {{ target.region == 'puno' }}"
    assert [(row.before, row.after) for row in third.diff] == [("LOCKED", "UNLOCKED")]
    assert (seen.reach.cells, seen.reach.people, seen.reach.tenants) == (2, 5500, ("andes", "condor"))


async def test_a_failure_undoes_what_was_done(system: PlaybookSystem) -> None:
    run = await system.run("own", system.own(targets=STATION, steps=[LOCK, FAIL]))
    assert run.state is RunState.FAILED
    job = system.job(run, STATION)
    assert job.outcome is Outcome.ROLLED_BACK
    assert "check failed: {{ output.cells_on_air > 90 }} (output.cells_on_air is 1)" in job.detail
    assert "; what was done before was undone" in job.detail
    assert lock_of(system) == ["UNLOCKED", "UNLOCKED"]
    assert [(row.name, row.undo, row.state) for row in system.steps(run, STATION)] == [
        ("lock", False, StepState.DONE),
        ("lock", True, StepState.DONE),
        ("fail", False, StepState.FAILED),
    ]
    assert not system.store.claims.busy([STATION])
    assert system.store.audit.verify() is None
    _, rows = system.store.audit.page(Page(limit=1000))
    assert {"step.finished", "step.undone", "job.finished", "run.created"} <= {row.action for row in rows}


async def test_what_others_changed_since_is_not_undone(system: PlaybookSystem) -> None:
    unlock = {"name": "unlock", "action": "unlock-cell", "with": {"cells": ["1"]}}
    both = {**LOCK, "undo": {"action": "notify", "with": {"text": "undo of {{ run.requested_by }}"}}}
    run = await system.run("own", system.own(targets=STATION, steps=[both, unlock, FAIL]))
    job = system.job(run, STATION)
    # The later unlock is undone by its inverse first, then the lock by the action that was named for it: it stays.
    assert job.outcome is Outcome.DIVERGED
    assert job.detail.endswith("after all undos of the playbook, cell 1 stays LOCKED")
    assert lock_of(system) == ["LOCKED", "UNLOCKED"]
    assert system.webhook.sent == {f"{job.id}.0.undo": {"station": STATION, "text": "undo of ana"}}


async def test_what_was_dark_or_down_before_is_excused_unless_it_is_named(system: PlaybookSystem) -> None:
    station = system.fleet.stations[STATION]
    station.equipment.begin_fault("cell-down", "1", "7")
    station.equipment.break_link("condor")
    before = {"name": "before", "action": "read-state", "register": "before"}
    looks: list[tuple[str, dict[str, Any], str]] = [
        ("check-cells-on-air", {}, "dark"),
        ("check-core-links", {}, "down"),
        ("check-core-links", {"tenant": "condor"}, "down"),
        ("wait-until", {"condition": "cells-on-air", "seconds": 0.1}, "dark"),
        ("wait-until", {"condition": "links-up", "seconds": 0.1}, "down"),
    ]
    excused = [
        {"name": f"look {n}", "action": action, "with": {**given, "excused": f"{{{{ before.{what} }}}}"}}
        for n, (action, given, what) in enumerate(looks)
    ]
    run = await system.succeeds("own", system.own(targets=STATION, steps=[before, *excused]))
    output = system.steps(run, STATION)[0].output
    assert (output["dark"], output["down"]) == (["1"], ["EP_S1C[condor-condor-mme-1]", "EP_S1U[condor-s1u]"])
    named = {"name": "named", "action": "check-cells-on-air", "with": {"cells": ["1"], "excused": ["1"]}}
    for step in ({"name": action, "action": action, "with": given} for action, given, _ in looks):
        assert (await system.run("own", system.own(targets=STATION, steps=[step]))).state is RunState.FAILED
    assert (await system.run("own", system.own(targets=STATION, steps=[named]))).state is RunState.FAILED


ABSENT: list[tuple[str, dict[str, Any], str]] = [
    ("check-cells-on-air", {"cells": ["1", "7"]}, "has no cell of ours 7; it has 1, 2"),
    ("wait-until", {"condition": "cells-locked", "cells": ["7"]}, "has no cell of ours 7"),
    ("wait-until", {"condition": "links-up", "endpoints": ["EP_S1C[x]"]}, "has no core link of ours EP_S1C[x]"),
    ("wait-until", {"condition": "links-up", "tenant": "vicuna"}, "vicuna has no core link on T-LTE-1"),
]


async def test_nothing_is_well_because_it_is_not_there(system: PlaybookSystem) -> None:
    for action, given, said in ABSENT:
        own = system.own(targets=STATION, steps=[{"name": "look", "action": action, "with": given}])
        run = await system.run("own", own)
        assert run.state is RunState.FAILED
        assert said in system.job(run, STATION).detail


async def test_retries_and_timeouts(system: PlaybookSystem) -> None:
    step = {**FAIL, "retries": 2, "retry_seconds": 0}
    wait = {"name": "wait", "action": "wait-until", "with": {"condition": "cells-off-air"}, "timeout": 0.3}
    run = await system.run("own", system.own(targets=STATION, steps=[step]))
    assert [row.attempt for row in system.steps(run, STATION)] == [3]
    late = await system.run("own", system.own(targets=STATION, steps=[wait]))
    assert "not done within 0.3 s" in system.job(late, STATION).detail


async def test_texts_from_outside_stay_literal(system: PlaybookSystem) -> None:
    notify = {"name": "tell", "action": "notify", "with": {"text": "{{ text }} on {{ target.station }}"}}
    own = system.own(targets=STATION, parameters={"text": {"type": "string", "description": "What."}}, steps=[notify])
    run = await system.succeeds("own", own, text="{{ 7 * 7 }}{% raw %}")
    assert run.parameters == {"text": "{{ 7 * 7 }}{% raw %}"}
    assert [content["text"] for content in system.webhook.sent.values()] == ["{{ 7 * 7 }}{% raw %} on T-LTE-1"]


@pytest.mark.parametrize("guard", ["max_stations", "max_cells", "max_tenants", "max_people"])
async def test_guards_refuse(system: PlaybookSystem, guard: str) -> None:
    own = system.own(targets="*", guards={guard: 1}, steps=[LOCK])
    before = system.changes()
    with pytest.raises(PlanRefusedError, match=f"guards.{guard} is 1"):
        await system.run("own", own, expect=4)
    assert len((await system.dry_run("own", own, expect=4)).refused) == 1
    assert system.changes() == before


async def test_max_cells_counts_the_cells_that_steps_name(system: PlaybookSystem) -> None:
    lock = {"name": "lock", "action": "lock-cell", "with": {"cells": ["1"]}}
    back = {"name": "back", "action": "unlock-cell", "with": {"cells": ["1"]}}
    reload = {"name": "reload", "action": "reload-licence"}
    own = system.own(targets=STATION, guards={"max_cells": 1}, steps=[lock, back, reload])
    seen = await system.dry_run("own", own)
    assert (seen.reach.cells, seen.refused) == (1, ())
    other = lock | {"name": "other", "with": {"cells": ["2"]}}
    both = system.own(targets=STATION, guards={"max_cells": 1}, steps=[lock, other])
    (refused,) = (await system.dry_run("own", both)).refused
    assert refused == "it reaches 2 cells, and guards.max_cells is 1"


async def test_a_run_that_touches_most_of_the_network_needs_the_number_of_devices(system: PlaybookSystem) -> None:
    where = {"where": {"type": "selector", "default": "*", "description": "Stations."}}
    restart = {"name": "restart", "action": "restart-station"}
    own = system.own(targets="{{ where }}", parameters=where, steps=[restart])
    before = system.changes()
    with pytest.raises(
        PlanRefusedError, match=r"the run touches 4 of .*, more than 50% of the network: .*expect 4 dev"
    ):
        await system.run("own", own)
    for wrong, words in ((None, "to allow it, expect 4 devices"), (3, "but 3 were expected: find out why")):
        (refused,) = (await system.dry_run("own", own, expect=wrong)).refused
        assert words in refused
    assert (await system.dry_run("own", own, expect=4)).refused == ()
    assert (await system.dry_run("own", own, where="T-LTE-1")).refused == ()
    # Playbooks that only look may look at all.
    looks = system.own(targets="*", steps=[{"name": "look", "action": "read-state"}])
    assert (await system.dry_run("own", looks)).refused == ()
    assert system.changes() == before


async def test_a_run_executes_what_it_was_accepted_with(system: PlaybookSystem) -> None:
    launcher = system.own(targets=STATION, steps=[LOCK])
    run = await system.succeeds("own", launcher)
    first = system.store.runs.playbook(run.playbook)
    system.own(targets=STATION, steps=[FAIL])
    assert system.store.runs.playbook(run.playbook) == first


async def test_one_key_is_one_run(system: PlaybookSystem) -> None:
    launcher = system.playbooks()
    given = {"station": STATION, "cell": "1"}
    one = await launcher.start("lock-cell", given, "ana", "CHG-1", "key")
    again = await launcher.start("lock-cell", given, "ana", "CHG-1", "key")
    assert one.id == again.id
    with pytest.raises(ConflictError, match="which another request made"):
        await launcher.start("lock-cell", {**given, "cell": "2"}, "ana", "CHG-1", "key")


async def test_over_http(system: PlaybookSystem) -> None:
    async with system.client() as client:
        listed = (await client.get("/v1/playbooks")).json()
        assert {one["name"] for one in listed["results"]} >= {"lock-cell", "onboard-tenant"}
        assert (await client.get("/v1/playbooks/lock-cell")).json()["playbook"]["name"] == "lock-cell"
        for bad in ("..%2Fetc%2Fpasswd", "lock-cell%00", "ｌock-cell", "rules", "%2e%2e", "Lock-Cell"):
            assert (await client.get(f"/v1/playbooks/{bad}")).status_code == 404, bad
        given = {"parameters": {"station": STATION, "cell": "1"}, "reason": "CHG-2"}
        seen = await client.post("/v1/playbooks/lock-cell/dry-run", json={"parameters": given["parameters"]})
        assert seen.status_code == 200, seen.text
        begun = await client.post("/v1/playbooks/lock-cell/runs", json=given, headers={"Idempotency-Key": "k"})
        assert begun.status_code == 202, begun.text
        assert begun.json()["requested_by"] == "ana"
        wrong = await client.post("/v1/playbooks/lock-cell/runs", json={"parameters": {"sation": "x"}})
        assert wrong.status_code == 422
        assert "did you mean 'station'" in wrong.json()["detail"]
        assert (
            await client.post("/v1/playbooks/nope/runs", json={}, headers={"Authorization": TOKEN})
        ).status_code == 401


async def test_wrong_parameters(system: PlaybookSystem) -> None:
    with pytest.raises(InputError, match="no such station; did you mean 'T-LTE-1'"):
        await system.run("lock-cell", station="T-LTE-11", cell="1")
    with pytest.raises(NotFoundError):
        await system.run("../rules/core-link-down")
    async with system.client() as client:
        for bad in ('"\\ud800"', '"\\u202e"', "1" * 30):
            body = f'{{"parameters": {{"station": "{STATION}", "cell": {bad}}}}}'
            answer = await client.post(
                "/v1/playbooks/lock-cell/dry-run", content=body, headers={"Content-Type": "application/json"}
            )
            assert answer.status_code == 422, (bad, answer.text)


async def test_a_step_that_depends_on_an_earlier_one_waits_for_a_tenants_freeze(system: PlaybookSystem) -> None:
    look = {"name": "look", "action": "read-state", "register": "before"}
    own = system.own(targets=STATION, steps=[look, LOCK | {"when": "{{ before is defined }}"}])
    seen = await system.dry_run("own", own)
    asked = {(one.side, one.action) for one in seen.outlook.requirements}
    assert asked == {("andes", ActionClass.INTERRUPT), ("condor", ActionClass.INTERRUPT)}
    assert seen.outlook.tenants == ("andes", "condor")
    now = system.clock.now()
    freeze = system.store.freezes.add("tenant:condor", now, now + timedelta(hours=1), "ana", "election")
    run = await own.start("own", {}, asker=ADMINISTRATOR)
    agree_by_contract(system.store, system.clock, run)

    async def waits() -> bool:
        return "freeze of tenant:condor" in system.job(run, STATION).blocked

    await until("the run waits for the end of the freeze", waits)
    assert lock_of(system) == ["UNLOCKED", "UNLOCKED"]
    system.store.freezes.end(freeze.id, "ana")

    async def ended() -> bool:
        return system.store.runs.get(run.id).state.terminal

    await until("the run ends", ended)
    assert system.store.runs.get(run.id).state is RunState.SUCCEEDED, system.store.runs.jobs(run.id)
    assert lock_of(system) == ["LOCKED", "UNLOCKED"]
