"""A controller with simulated stations whose runs wait: for people, for windows, for the end of freezes and holds."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest

from controller.models.errors import InputError
from controller.models.network import Network
from controller.models.people import Role
from controller.models.run import Outcome, Run, RunState
from controller.models.sharing import MaintenanceWindow
from controller.ports.webhook import FakeContacts, FakeWebhook
from controller.runs.approval.notices import Notices
from tests.integration.alarms.system import until
from tests.integration.playbooks.system import PlaybookSystem, open_system
from tests.support.callers import ADMINISTRATOR, admit

LIMA = ZoneInfo("America/Lima")
STATION = "T-LTE-1"
PEOPLE = {
    "noc": (Role.NOC_ENGINEER, ""),
    "eva": (Role.APPROVER, ""),
    "leo": (Role.TENANT_APPROVER, "condor"),
    "sol": (Role.TENANT_APPROVER, "condor"),
    "ada": (Role.TENANT_APPROVER, "andes"),
}


class Office:
    """A system and its people, each with a client of their own."""

    def __init__(self, system: PlaybookSystem, clients: dict[str, httpx.AsyncClient]) -> None:
        self.system = system
        self._clients = clients

    async def call(self, who: str, method: str, path: str, body: Any = None, status: int = 200) -> Any:
        answer = await self._clients[who].request(method, f"/v1{path}", json=body)
        assert answer.status_code == status, f"{who} {method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    async def lock(self, cell: str = "1") -> str:
        """Ask for a cell to be locked; the run's id."""
        body = {"parameters": {"station": STATION, "cell": cell}, "reason": "CHG-1"}
        return str((await self.call("noc", "POST", "/playbooks/lock-cell/runs", body, 202))["id"])

    async def unlock(self) -> None:
        await self.system.succeeds("unlock-cell", station=STATION, cell="1")

    async def waits(self, run: str, words: str) -> None:
        async def holds() -> bool:
            return any(words in reason for reason in self.system.store.runs.get(run).waits)

        await until(f"{run} waits: {words}", holds)

    async def ends(self, run: str, state: RunState = RunState.SUCCEEDED) -> Run:
        async def done() -> bool:
            return self.system.store.runs.get(run).state.terminal

        await until(f"{run} ends", done)
        ended = self.system.store.runs.get(run)
        assert ended.state is state, self.system.store.runs.jobs(run)
        return ended


@pytest.fixture(autouse=True)
def _password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINKA_DEVICE_PASSWORD", "minka-sim")


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with open_system(tmp_path) as system, AsyncExitStack() as stack:
        app = system.app()
        clients = {}
        for name, (role, tenant) in PEOPLE.items():
            admit(system.store, f"token-of-{name}", name, role, tenant)
            headers = {"Authorization": f"Bearer token-of-{name}"}
            client = httpx.AsyncClient(
                transport=httpx.ASGITransport(app), base_url="http://minka", headers=headers, timeout=30
            )
            clients[name] = await stack.enter_async_context(client)
        yield Office(system, clients)


def window(opens: datetime, closes: datetime) -> list[dict[str, Any]]:
    """A window of every day, in the local time of Lima."""
    return [{"start": f"{opens.astimezone(LIMA):%H:%M:%S}", "end": f"{closes.astimezone(LIMA):%H:%M:%S}"}]


async def test_a_playbook_works_in_windows_of_its_own_only(office: Office) -> None:
    system, now = office.system, office.system.clock.now()
    steps = [{"name": "look", "action": "read-state"}]
    closed = {"windows": window(now + timedelta(hours=5), now + timedelta(hours=9))}
    launcher = system.own(targets=STATION, guards=closed, steps=steps)
    seen = await system.dry_run("own", launcher)
    assert [reason.startswith("window opens ") for reason in seen.outlook.waits] == [True]
    run = await launcher.start("own", {}, "noc", "", None, ADMINISTRATOR)
    await office.waits(run.id, "window opens ")
    open_now = {"windows": window(now - timedelta(hours=1), now + timedelta(hours=2))}
    await system.succeeds("own", system.own(targets=STATION, guards=open_now, steps=steps))
    assert not system.store.runs.get(run.id).state.terminal


async def test_a_run_waits_for_the_people_of_a_tenant(office: Office) -> None:
    system = office.system
    system.load(condor_all={"consents": {"interrupt": "approval"}, "approvals_needed": 2})
    rehearsed = await office.call(
        "noc", "POST", "/playbooks/lock-cell/dry-run", {"parameters": {"station": STATION, "cell": "1"}}
    )
    assert rehearsed["outlook"]["missing"] == ["approval by 2 of condor to interrupt"]
    assert rehearsed["outlook"]["tenants"] == ["andes", "condor"]

    run = await office.lock()
    await office.waits(run, "approval by 2 of condor to interrupt")
    before = system.changes()
    # Each side sees what is asked of it, the host sees all.
    assert (await office.call("ada", "GET", "/approvals"))["results"] == []
    await office.call("ada", "POST", f"/runs/{run}/approve", {}, 409)
    await office.call("ada", "GET", f"/approvals/{run}", status=404)
    (asked,) = (await office.call("leo", "GET", "/approvals"))["results"]
    assert (asked["run"], asked["requested_by"], asked["reason"]) == (run, "", "")
    assert {one["side"] for one in asked["requirements"]} == {"condor"}
    assert (await office.call("eva", "GET", "/approvals"))["results"][0]["requested_by"] == "noc"
    await office.call("noc", "POST", f"/runs/{run}/approve", {}, 403)

    await office.call("leo", "POST", f"/runs/{run}/approve", {"reason": "agreed by phone"})
    await office.call("leo", "POST", f"/runs/{run}/approve", {})  # the same person again is no second one
    await office.waits(run, "approval by 2 of condor to interrupt")
    assert system.changes() == before
    await office.call("sol", "POST", f"/runs/{run}/approve", {})
    await office.ends(run)
    assert system.changes()[STATION] > before[STATION]
    await office.call("sol", "POST", f"/runs/{run}/approve", {}, 409)
    await office.unlock()

    # Another run of the same needs a yes of its own, and ends with the first no.
    run = await office.lock()
    await office.waits(run, "approval by 2 of condor")
    before = system.changes()
    await office.call("leo", "POST", f"/runs/{run}/reject", {"reason": "harvest fair"})
    ended = await office.ends(run, RunState.CANCELLED)
    assert system.job(ended, STATION).outcome is Outcome.CANCELLED
    assert system.changes() == before


async def test_taking_service_away_needs_a_clause_of_the_agreement(office: Office) -> None:
    system = office.system
    system.load(condor_all={"shares": [{"resource": "PRB", "min": 20, "max": 50}]})
    plan = await office.call("noc", "POST", "/plans", {"selector": STATION}, 201)
    seen = await office.call("noc", "GET", f"/plans/{plan['id']}/outlook")
    assert seen["missing"] == ["approval by 1 of condor to reduce"]
    run = (await office.call("noc", "POST", "/runs", {"plan": plan["id"], "reason": "condor-all"}, 202))["id"]
    await office.waits(run, "approval by 1 of condor to reduce")
    part = (await office.call("leo", "GET", f"/approvals/{run}"))["parts"]
    assert {row["tenant"] for one in part for row in one["diff"]} == {"condor"}
    await office.call("eva", "POST", f"/plans/{plan['id']}/approve", {"reason": "condor-all has NOT agreed yet"})
    await office.waits(run, "approval by 1 of condor to reduce")
    wrong = {"contracts": [{"agreement": "condor-all", "clause": "annex 2"}]}
    refused = await office.call("eva", "POST", f"/plans/{plan['id']}/approve", wrong, 422)
    assert "its reduce_clauses are 9.1" in refused["detail"]
    right = {"contracts": [{"agreement": "condor-all", "clause": "9.1"}]}
    await office.call("noc", "POST", "/runs", {"plan": plan["id"], **right}, 422)  # no approver
    await office.call("eva", "POST", f"/plans/{plan['id']}/approve", right)
    await office.ends(run)
    # A plan that was rejected is not applied.
    system.load(condor_all={"shares": [{"resource": "PRB", "min": 20, "max": 40}]})
    plan = await office.call("noc", "POST", "/plans", {"selector": STATION}, 201)
    newest = (await office.call("leo", "GET", "/plans"))["results"][0]  # by the name that its tenant knows it by
    await office.call("leo", "POST", f"/plans/{newest['id']}/reject", {"reason": "no"})
    refused = await office.call("noc", "POST", "/runs", {"plan": plan["id"]}, 409)
    assert "rejected by leo" in refused["detail"]


async def test_a_yes_is_spent_by_its_run_and_asked_for_again_after_an_undo(office: Office) -> None:
    system = office.system
    system.load(condor_all={"shares": [{"resource": "PRB", "min": 20, "max": 50}]})
    waits = "approval by 1 of condor to reduce"
    before = system.running(STATION)
    plan = await office.call("noc", "POST", "/plans", {"selector": STATION}, 201)
    mine = (await office.call("leo", "GET", "/plans"))["results"][0]["id"]
    for _ in range(2):
        # What was said before the plan is applied counts for its next run, and can be taken back until then.
        await office.call("leo", "POST", f"/plans/{mine}/approve", {})
        await office.call("leo", "POST", f"/plans/{mine}/reject", {"reason": "not yet"})
        await office.call("noc", "POST", "/runs", {"plan": plan["id"]}, 409)
        await office.call("leo", "POST", f"/plans/{mine}/approve", {})
        run = (await office.call("noc", "POST", "/runs", {"plan": plan["id"]}, 202))["id"]
        await office.ends(run)
        back = await office.call("noc", "POST", f"/runs/{run}/undo", {}, 201)
        await office.ends((await office.call("noc", "POST", "/runs", {"plan": back["id"]}, 202))["id"])
        assert system.running(STATION) == before
        again = await office.call("noc", "POST", "/plans", {"selector": STATION}, 201)
        assert again["id"] == plan["id"], "the same content"
        run = (await office.call("noc", "POST", "/runs", {"plan": again["id"]}, 202))["id"]
        await office.waits(run, waits)
        assert system.running(STATION) == before
        await office.call("leo", "POST", f"/runs/{run}/reject", {"reason": "not again"})
        await office.ends(run, RunState.CANCELLED)


async def test_a_run_waits_for_its_window_and_a_person_may_override_it(office: Office) -> None:
    system = office.system
    now = system.clock.now()
    system.load(andes_all={"windows": window(now + timedelta(hours=5), now + timedelta(hours=9))})
    run = await office.lock()
    await office.waits(run, "window opens")
    took = system.clock.now() - now
    await office.call("noc", "POST", f"/runs/{run}/override", {"reason": "INC-7"}, 403)
    await office.call("eva", "POST", f"/runs/{run}/override", {"reason": "INC-7"})
    await office.ends(run)
    await office.unlock()  # brings service back, and so waits for no window

    # It must be seen waiting before its window opens, on a machine that is busy with something else too.
    opens = system.clock.now() + timedelta(seconds=8) + 2 * took
    system.load(andes_all={"windows": window(opens, opens + timedelta(hours=1))})
    run = await office.lock()
    await office.waits(run, "window opens")
    await office.ends(run)
    assert system.job(system.store.runs.get(run), STATION).closes is not None


async def test_what_is_decided_together_needs_windows_that_are_open_together(office: Office) -> None:
    system = office.system

    def by_region(network: Network) -> Network:
        hours = {"cusco": ("01:00", "03:00"), "puno": ("13:00", "15:00")}
        regions = [
            region.model_copy(update={"windows": (MaintenanceWindow.model_validate({"start": start, "end": end}),)})
            for region in network.regions
            for start, end in [hours[region.id]]
        ]
        return network.model_copy(update={"regions": tuple(regions)})

    system.load_files(by_region)
    steps = [{"name": "lock", "action": "lock-cell", "with": {"cells": ["1"]}}]
    for policy in ("wave", "unit"):
        own = system.own(targets="*", strategy={"policy": policy, "canary": 0}, steps=steps)
        if policy == "unit":
            assert (await system.dry_run("own", own, expect=4)).outlook.waits
        else:
            with pytest.raises(InputError, match="the windows of wave 0 are never open together"):
                await system.dry_run("own", own, expect=4)


async def test_freezes_and_holds_stop_what_has_not_begun(office: Office) -> None:
    system = office.system
    system.load(condor_all={"shares": [{"resource": "PRB", "min": 20, "max": 70}]})
    ends = (system.clock.now() + timedelta(days=1)).isoformat()
    freeze = await office.call(
        "noc", "POST", "/freezes", {"target": "region:puno", "ends": ends, "reason": "elections"}, 201
    )
    hold = await office.call("noc", "POST", "/holds", {"target": "T-NR-1", "reason": "on the mast"}, 201)
    plan = await office.call("noc", "POST", "/plans", {"selector": "*", "expect_stations": 4}, 201)
    strategy = {"canary": 0, "wave_size": 10}
    run = (await office.call("noc", "POST", "/runs", {"plan": plan["id"], "strategy": strategy}, 202))["id"]
    await office.waits(run, "freeze of region:puno")

    async def others_done() -> bool:
        return all(job.outcome for job in system.store.runs.jobs(run) if job.station in ("T-LTE-1", "T-LTE-2"))

    await until("the stations of Cusco are done", others_done)
    await office.waits(run, "hold on T-NR-1 by noc: on the mast")
    await office.call("noc", "DELETE", f"/freezes/{freeze['id']}", status=403)
    await office.call("eva", "POST", f"/runs/{run}/override", {"reason": "agreed"})

    async def only_the_held_waits() -> bool:
        return [job.station for job in system.store.runs.jobs(run) if job.outcome is None] == ["T-NR-1"]

    await until("all others are done", only_the_held_waits)
    assert system.store.runs.get(run).waits == {"hold on T-NR-1 by noc: on the mast": 1}
    await office.call("noc", "DELETE", f"/holds/{hold['id']}", status=204)
    await office.ends(run)

    webhook = FakeWebhook()
    notices = Notices(system.loop_store, webhook, FakeContacts(), system.clock)
    for _ in range(5):  # twenty for each side at once
        await notices.step()
        await notices.settle()
    assert {one["tenant"] for one in (await office.call("leo", "GET", "/notices"))["results"]} == {"condor"}
    told = (await office.call("eva", "GET", "/notices"))["results"]
    mine = {one["kind"]: one for one in told if one["run"] == run}
    assert {"planned", "ended"} <= set(mine)
    assert {one["tenant"] for one in mine.values()} == {"condor"}
    assert {len(one["stations"]) for one in mine.values()} == {4}
    assert {one["id"] for one in told} <= set(webhook.sent)
