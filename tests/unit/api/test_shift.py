"""The report of a shift: what opened, closed, stands, is shelved, waits, was promised and changed, by side."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from controller.access.shift_report import counts
from controller.cli.output import out
from controller.cli.shift import _print
from controller.models.alarm import (
    REMEDIATION_STOPPED,
    UNREACHABLE,
    AlarmReport,
    AlarmSource,
    ObjectClass,
    PerceivedSeverity,
)
from controller.models.approval import NoticeKind
from controller.models.network import Network
from controller.models.people import Role
from controller.models.plan import LedgerNode
from controller.models.rule import RuleMode
from controller.models.run import Outcome, RunState, Strategy
from controller.models.step import RunPlaybook
from controller.models.stopping import StopCode, StopReason
from controller.remediation.rules import rules_in_force
from controller.runs.rollout.transitions import decide
from controller.store import NewJob, Transition
from controller.store.database.transaction import Tx
from controller.store.runs.run_constraints import notices, notify
from tests.support.callers import admit
from tests.support.definitions import put_in_force
from tests.support.launch import prepared
from tests.support.minka import environment, minka
from tests.support.ports import free_ports
from tests.support.records import make_plan
from tests.unit.api.bench import ApiBench
from tests.unit.api.test_incidents import load, off_air
from tests.unit.intent.test_outages import network as shared

SINCE = (datetime.now(UTC) - timedelta(hours=2)).isoformat()
CLEARED = PerceivedSeverity.CLEARED


async def get(client: httpx.AsyncClient, **asked: Any) -> Any:
    answer = await client.get("/v1/shift-report", params={"since": SINCE} | asked)
    assert answer.status_code == 200, answer.text
    return answer.json() if asked.get("format", "json") == "json" else answer.text


def rows(found: Any, name: str) -> list[dict[str, Any]]:
    sheet = found["sheets"][name]
    return [dict(zip(sheet["columns"], row, strict=True)) for row in sheet["rows"]]


@pytest.fixture
def shift(bench: ApiBench) -> dict[str, str]:
    """A shift with one fault that stands, one that is over, and what people did."""
    load(bench, shared(availability_percent=99.0))
    store = bench.store
    stands = store.alarms.report(off_air("S1/L1"))
    over = store.alarms.report(off_air("S2/N1"))
    store.alarms.report(off_air("S2/N1", 20, CLEARED))
    noise = store.alarms.report(off_air("S2/L1").model_copy(update={"probable_cause": "o-ran-fault-9"}))
    store.alarms.shelve(noise.id, datetime.now(UTC) + timedelta(hours=9), "ana", "the fan comes on Monday")
    store.comments.add(stands.incident, "ana", "host", "a rigger is there at six", ("alfa",))
    store.comments.add(stands.incident, "ana", "host", "the rigger has no key")
    store.holds.add("S1", "ana", "rigger on the mast", None)
    store.incidents.count_agreements()
    plan = make_plan(["S1"])
    store.plans.save(plan, "ana")
    run = store.runs.create(prepared(plan, "apply", Strategy(), [NewJob(0, "S1")], cause="person", actor="ana"))
    for tenant in ("alfa", "beta"):
        admit(store, f"token-of-{tenant}", f"{tenant}-person", Role.TENANT_APPROVER, tenant)
    return {"stands": stands.incident, "over": over.incident, "noise": noise.id, "run": run.id}


async def test_the_report_has_all_that_whoever_comes_next_has_to_know(bench: ApiBench, shift: dict[str, str]) -> None:
    found = await get(bench.client)
    assert (found["side"], found["timezone"]) == ("host", "America/Lima")
    opened = {row["incident"]: row for row in rows(found, "opened")}
    assert opened.keys() >= {shift["stands"], shift["over"]}
    assert (opened[shift["stands"]]["where"], opened[shift["stands"]]["tenants"]) == ("S1 L1", "alfa, beta")
    (closed,) = rows(found, "closed")
    lasted = datetime.fromisoformat(closed["closed"]) - datetime.fromisoformat(closed["opened"])
    assert (closed["incident"], closed["minutes"]) == (shift["over"], round(lasted.total_seconds() / 60))
    assert shift["over"] not in {row["incident"] for row in rows(found, "open")}
    (shelved,) = rows(found, "shelved")
    assert (shelved["alarm"], shelved["by"], shelved["reason"]) == (shift["noise"], "ana", "the fan comes on Monday")
    promised = [(row["to"], row["what"].partition(" (")[0], row["about"]) for row in rows(found, "promised")]
    assert ("alfa", "service is restored", shift["stands"]) in promised
    assert ("alfa", "ana: a rigger is there at six", shift["stands"]) in promised
    changed = {row["what"].partition(" ")[0] for row in rows(found, "changed")}
    assert {"run", "hold.put", "network.saved"} <= changed
    for row in (*rows(found, "opened"), *rows(found, "closed")):
        assert row["opened"].endswith("-05:00"), "local time, with its offset"


async def test_a_tenants_report_is_about_itself(bench: ApiBench, shift: dict[str, str]) -> None:
    async with bench.with_token("token-of-alfa") as alfa, bench.with_token("token-of-beta") as beta:
        mine, theirs = await get(alfa), await get(beta)
        pages = [await get(alfa, format=form) for form in ("md", "html")]
    assert (mine["side"], theirs["side"]) == ("alfa", "beta")
    assert "shelved" not in mine["sheets"]
    assert [row["incident"] for row in rows(mine, "open") if row["incident"] == shift["stands"]] == [shift["stands"]]
    assert [row["what"] for row in rows(mine, "promised") if ":" in row["what"]] == ["host: a rigger is there at six"]
    assert not [row for row in rows(theirs, "promised") if "rigger" in row["what"]]
    for text in (str(mine), *pages):
        for secret in ("beta", "ana", "no key", "Monday", "owner", "hold.put"):
            assert secret not in text, secret


async def test_what_was_before_and_comes_after_is_no_part_of_it(bench: ApiBench, shift: dict[str, str]) -> None:
    now = datetime.now(UTC)
    ago = {"since": (now - timedelta(hours=9)).isoformat(), "until": (now - timedelta(hours=5)).isoformat()}
    found = await get(bench.client, **ago)
    over = ("opened", "closed", "open", "promised", "changed")
    assert [name for name in over if found["sheets"][name]["rows"]] == []


async def test_what_closed_after_the_shift_was_open_at_its_end(bench: ApiBench, shift: dict[str, str]) -> None:
    opened, closed = (getattr(bench.store.incidents.get(shift["over"]), name) for name in ("opened", "closed"))
    found = await get(bench.client, until=(opened + (closed - opened) / 2).isoformat())
    for name in ("opened", "open"):
        states = {row["incident"]: row["state"] for row in rows(found, name)}
        assert states[shift["over"]] == "open, closed since"
        assert states[shift["stands"]] == "open"
    assert rows(found, "closed") == []


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"until": "2026-01-01T00:00:00Z", "since": None}, "give since too"),
        ({"since": "2026-01-02T00:00:00Z", "until": "2026-01-01T00:00:00Z"}, "has to be before until"),
        ({"since": "2999-01-01T00:00:00Z"}, "has to be before until, and in the past"),
        ({"since": "2020-01-01T00:00:00Z"}, "at most 31 days"),
        ({"since": "0001-01-01T00:00:00+14:00"}, "years 1900 to 8999"),
        ({"since": "yesterday"}, "since"),
    ],
)
async def test_a_wrong_time_is_refused_with_what_is_right(bench: ApiBench, asked: dict[str, Any], words: str) -> None:
    load(bench, shared())
    answer = await bench.client.get("/v1/shift-report", params={k: v for k, v in asked.items() if v})
    assert answer.status_code == 422, answer.text
    assert words in answer.json()["detail"]


async def test_the_last_shift_is_the_default(bench: ApiBench) -> None:
    load(bench, shared())
    last, current = [(await bench.client.get(f"/v1/shift-report?shift={one}")).json() for one in ("last", "current")]
    assert last["end"] == current["begin"]
    assert [last["local"][1][11:16] in ("06:00", "14:00", "22:00"), last["local"][0] < last["local"][1]] == [True, True]


async def test_a_storm_of_a_hundred_alarms_is_a_report_that_can_be_read(bench: ApiBench) -> None:
    load(bench, shared())
    reports = [
        AlarmReport(
            station=f"S-{number}",
            object="station",
            probable_cause=UNREACHABLE,
            severity=PerceivedSeverity.CRITICAL if number == 7 else PerceivedSeverity.MAJOR,
            source=AlarmSource.CHECK,
            at=datetime.now(UTC) - timedelta(minutes=5),
        )
        for number in range(100)
    ]
    bench.store.alarms.report_all(reports)
    for number in range(40):
        bench.store.holds.add(f"S-{number}", "ana", "storm", None)
    found = await get(bench.client)
    opened = found["sheets"]["opened"]
    assert (len(opened["rows"]), opened["more"], opened["grouped"]) == (1 + 10 + 1, 0, 88)
    rest = rows(found, "opened")[-1]
    assert rest["incident"].startswith("89 incidents: i-")
    assert rest["where"].startswith("89 places: S-")
    assert rest["cause"] == UNREACHABLE
    assert counts(found).startswith("opened: 100 (1 CRITICAL, 99 MAJOR); closed: 0; still open: 100 (")
    assert (rows(found, "opened")[0]["severity"], rows(found, "opened")[1]["severity"]) == ("CRITICAL", "MAJOR")
    assert found["sheets"]["opened"]["severities"] == {"CRITICAL": 1, "MAJOR": 99}
    assert found["sheets"]["open"]["severities"] == {"CRITICAL": 1, "MAJOR": 99}
    (holds,) = [row for row in rows(found, "changed") if row["what"] == "hold.put"]
    assert holds["of"].startswith("40 holds (")
    assert "and 37 more" in holds["of"]


async def test_the_command_line_prints_it_and_writes_files(
    bench: ApiBench, shift: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    answers = {form: (await bench.client.get("/v1/shift-report", params={"format": form})) for form in ("json", "html")}
    asked: list[Any] = []

    def answer(_: object, request: httpx.Request) -> httpx.Response:
        asked.append(dict(request.url.params))
        return httpx.Response(200, content=answers[request.url.params.get("format", "json")].content)

    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", answer)
    env = environment(tmp_path, free_ports(1)) | {"MINKA_TOKEN": "minka_x", "COLUMNS": "200"}
    text = minka("shift", "report", "--current", env=env).out
    assert text.startswith("Shift report of ")
    assert "times are local: America/Lima" in text
    assert "opened: " in text
    page = tmp_path / "shift.html"
    minka("shift", "report", "--since", "2026-11-30T06:00", "--format", "html", "--to", str(page), env=env)
    assert page.read_bytes() == answers["html"].content
    assert asked[0] == {"shift": "current"}
    assert datetime.fromisoformat(asked[1]["since"]).tzinfo is not None
    assert "leave out --since" in minka("shift", "report", "--current", "--since", "2026-11-30", env=env).err


def promises(found: Any, tenant: str) -> list[tuple[str, str, str]]:
    """What is promised to a tenant about service, with the time."""
    restored = [row for row in rows(found, "promised") if row["what"].startswith("service is restored")]
    return [(row["what"], row["when"], row["about"]) for row in restored if row["to"] == tenant]


async def test_only_agreements_that_reach_what_was_lost_promise_something(bench: ApiBench) -> None:
    """Alfa shares both sites by one agreement, and the second site by another."""
    content = shared().model_dump(mode="json")
    (alfa,) = [one for one in content["agreements"] if one["tenant"] == "alfa"]
    content["agreements"].append(alfa | {"id": "alfa-south", "scope": {"sites": ["site-2"]}})
    load(bench, Network.model_validate(content))
    cut = bench.store.alarms.report(off_air("S1/L1")).incident
    bench.store.incidents.count_agreements()
    admit(bench.store, "token-of-alfa", "alfa-person", Role.TENANT_APPROVER, "alfa")
    async with bench.with_token("token-of-alfa") as alfas:
        theirs, mine = await get(alfas), await get(bench.client)
    assert [(what, about) for what, _, about in promises(mine, "alfa")] == [("service is restored (alfa-all)", cut)]
    assert promises(theirs, "alfa") == promises(mine, "alfa")


async def test_a_tenant_is_promised_the_same_where_symptoms_take_its_service(bench: ApiBench) -> None:
    """Lost mains take no service; a cell of the station is off the air a minute later."""
    load(bench, shared())
    mains = {"object": "station", "object_class": ObjectClass.STATION, "probable_cause": "mains-lost"}
    root = bench.store.alarms.report(off_air("S1/L1", -2).model_copy(update=mains))
    bench.store.alarms.report(off_air("S1/L1", -1))
    bench.store.alarms.correlate()
    bench.store.incidents.count_agreements()
    admit(bench.store, "token-of-alfa", "alfa-person", Role.TENANT_APPROVER, "alfa")
    async with bench.with_token("token-of-alfa") as alfas:
        theirs, mine = await get(alfas), await get(bench.client)
    assert [about for _, _, about in promises(mine, "alfa")] == [root.incident]
    assert promises(theirs, "alfa") == promises(mine, "alfa")


async def test_service_is_promised_back_only_where_it_is_lost(bench: ApiBench) -> None:
    """Alfa's link to one core is down while another one works; then both are, and promised from then on."""
    load(bench, shared())
    links = [f"/ManagedElement[S1]/ENBFunction[1]/EP_S1C[alfa-mme{number}]" for number in ("", "-2")]
    bench.store.devices.adopt("S1", [LedgerNode(path=path, owners=("alfa",)) for path in links], "d", "ana")
    admit(bench.store, "token-of-alfa", "alfa-person", Role.TENANT_APPROVER, "alfa")
    known = {"object_class": ObjectClass.CORE_LINK, "probable_cause": "core-link-down", "tenant": "alfa"}

    async def promised(minute: float, path: str) -> list[list[tuple[str, str, str]]]:
        bench.store.alarms.report(off_air("S1/L1", minute).model_copy(update={"object": path} | known))
        bench.store.incidents.count_agreements()
        async with bench.with_token("token-of-alfa") as alfas:
            return [promises(await get(client), "alfa") for client in (bench.client, alfas)]

    assert await promised(-9, links[0]) == [[], []]
    mine, theirs = await promised(-1, links[1])
    assert [what for what, _, _ in mine] == ["service is restored (alfa-all)"]
    due = off_air("S1/L1", -1).at + timedelta(hours=24)
    assert datetime.fromisoformat(mine[0][1]) == due.replace(microsecond=0)
    assert theirs == mine


async def test_nothing_is_promised_that_the_host_does_not_owe(bench: ApiBench) -> None:
    """Alfa's agreement leaves lost mains out of the contract; beta's does not."""
    content = shared().model_dump(mode="json")
    content["agreements"][0]["sla"] |= {"outside_causes": ["mains-lost"]}
    load(bench, Network.model_validate(content))
    mains = {"object": "station", "object_class": ObjectClass.STATION, "probable_cause": "mains-lost"}
    root = bench.store.alarms.report(off_air("S1/L1", -2).model_copy(update=mains))
    bench.store.alarms.report(off_air("S1/L1", -1))
    bench.store.alarms.correlate()
    bench.store.incidents.count_agreements()
    found = await get(bench.client)
    assert promises(found, "alfa") == []
    assert [about for _, _, about in promises(found, "beta")] == [root.incident]


async def test_planned_work_is_promised_until_its_run_is_over(bench: ApiBench, shift: dict[str, str]) -> None:
    now = datetime.now(UTC)
    words = "work on S1 is planned"
    begins = now + timedelta(hours=9)
    bench.store.database.run(
        lambda tx: notify(tx, shift["run"], "alfa", NoticeKind.PLANNED, ["S1"], words, None, begins), "IMMEDIATE"
    )
    assert words in [row["what"] for row in rows(await get(bench.client), "promised")]
    earlier = {"since": (now - timedelta(hours=9)).isoformat(), "until": (now - timedelta(hours=5)).isoformat()}
    assert not rows(await get(bench.client, **earlier), "promised"), "nobody knew of it then"
    bench.store.runs.cancel(shift["run"], "ana")
    for _ in range(2):  # the jobs end, and then the run
        bench.store.runs.advance(shift["run"], lambda run, jobs: decide(run, jobs, now))
    assert bench.store.runs.get(shift["run"]).state is RunState.CANCELLED
    assert words not in [row["what"] for row in rows(await get(bench.client), "promised")]


async def test_notices_of_a_storm_hide_neither_planned_work_nor_those_of_an_older_incident(
    bench: ApiBench, shift: dict[str, str]
) -> None:
    words, begins = "work on S1 is planned", datetime.now(UTC) + timedelta(hours=9)

    def told(tx: Tx, incident: str) -> dict[str, Any]:
        to = {"tenant": "alfa", "kind": NoticeKind.INCIDENT_RAISED.value, "at": tx.now}
        return {"id": f"n-of-{incident}", "incident": incident, "stations": "[]"} | to

    def tell(tx: Tx) -> None:
        notify(tx, shift["run"], "alfa", NoticeKind.PLANNED, ["S1"], words, None, begins)
        tx.execute(notices.insert(), [told(tx, name) for name in (shift["stands"], *map("i-{}".format, range(20_001)))])

    bench.store.database.run(tell, "IMMEDIATE")
    assert words in [row["what"] for row in rows(await get(bench.client), "promised")]
    async with bench.with_token("token-of-alfa") as alfa:
        assert words in [row["what"] for row in rows(await get(alfa), "promised")]
        report = (await alfa.get(f"/v1/incidents/{shift['stands']}/report")).json()
    assert f"n-of-{shift['stands']}" in [one["id"] for one in report["notices"]]


async def test_what_was_set_is_said(bench: ApiBench) -> None:
    load(bench, shared())
    ends = datetime(2036, 12, 1, 11, tzinfo=UTC)
    store = bench.store
    for on in (True, False):
        store.switches.set(REMEDIATION_STOPPED, on, "ana", "storm")
    for mode in (RuleMode.AUTO, RuleMode.OBSERVE):
        store.rules.set_mode("cell-off-air", "region:r", mode, by="ana", reason="trial", digest="d")
    store.holds.add("S1", "ana", "rigger", ends)
    store.holds.add("S2", "ana", "rigger", None)
    store.freezes.add("network", ends, ends + timedelta(hours=2), "ana", "vote")
    found = [(row["what"], row["set"]) for row in rows(await get(bench.client), "changed") if row["set"]]
    assert sorted(found) == [
        ("freeze.put", "2036-12-01T06:00:00-05:00 to 2036-12-01T08:00:00-05:00"),
        ("hold.put", "until 2036-12-01T06:00:00-05:00"),
        ("hold.put", "until it is lifted"),
        ("rule.mode-set", f"{RuleMode.AUTO} in region:r"),
        ("rule.mode-set", f"{RuleMode.OBSERVE} in region:r"),
        ("switch.set", "repair resumed"),
        ("switch.set", "repair stopped"),
    ]


async def test_a_narrow_terminal_drops_nothing_that_tells_rows_apart(
    bench: ApiBench, shift: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """At 80 columns: who, reasons, people and tenants of rows that differ in them; parts without rows have a title."""
    bench.store.incidents.take(shift["stands"], "rosa")
    bench.store.alarms.report(off_air("S2/L1"))
    bench.store.holds.add("S2", "ana", "the gate is locked", None)
    found = await get(bench.client)
    found["sheets"]["closed"]["rows"] = []
    for name, value in (("_force_terminal", True), ("width", 80)):
        monkeypatch.setattr(out, name, value)
    monkeypatch.setenv("MINKA_PAGER", "")
    _print(found)
    said = capsys.readouterr().out
    assert "no room for" not in said
    assert "Closed\nnone\n" in said
    still, changed = (said.partition(f"{title}\n")[2] for title in ("Still open", "Changed"))
    assert "owner: rosa" in still.partition("Shelved now")[0]
    for words in ("rigger on the mast", "the gate is locked"):
        assert words in " ".join(changed.split())


async def test_what_is_in_force_at_the_end_of_the_shift_is_said(bench: ApiBench, shift: dict[str, str]) -> None:
    """Also what was lifted since; not what was put later. A rule that changed since its promotion acts no more."""
    store, ends = bench.store, datetime(2036, 12, 1, 11, tzinfo=UTC)
    put_in_force(store)
    digest = {rule.name: rule.digest for rule in rules_in_force(store)}
    for rule, agreed in (("cell-off-air", digest["cell-off-air"]), ("sleeping-cell", "of an older file")):
        store.rules.set_mode(rule, "region:r", RuleMode.AUTO, by="ana", reason="it works", digest=agreed)
    store.rules.set_mode("mains-lost", "", RuleMode.AUTO, by="ana", reason="", digest=digest["mains-lost"])
    lifted = store.holds.add("S2", "ana", "the gate is locked", ends)
    store.freezes.add("network", ends - timedelta(hours=2), ends, "ana", "vote")
    store.switches.set(REMEDIATION_STOPPED, True, "ana", "storm")
    end = datetime.now(UTC).isoformat()
    store.holds.end(lifted.id, "ana")
    store.holds.add("S1", "ana", "too late for this shift", None)
    store.switches.set(REMEDIATION_STOPPED, False, "ana", "it is over")
    local = "2036-12-01T06:00:00-05:00"
    found = await get(bench.client, until=end)
    assert [tuple(row.values()) for row in rows(found, "force")] == [
        ("repair is stopped", "the whole network", "it is set otherwise", "ana", "storm"),
        ("hold", "S2", local, "ana", "the gate is locked"),
        ("hold", "S1", "it is lifted", "ana", "rigger on the mast"),
        ("freeze, from 2036-12-01T04:00:00-05:00", "network", local, "ana", "vote"),
        ("rule cell-off-air acts by itself", "region:r", "it is set otherwise", "ana", "it works"),
        ("rule mains-lost acts by itself", "the whole network", "it is set otherwise", "ana", ""),
    ]
    now = [tuple(row.values()) for row in rows(await get(bench.client), "force")]
    assert now[0][0] == "repair is on"
    assert "the gate is locked" not in str(now)
    async with bench.with_token("token-of-alfa") as alfa:
        store.works.announce("alfa", {"mme": "mme"}, ends - timedelta(days=9000), ends, "rosa", "upgrade")
        store.works.announce("alfa", {}, ends - timedelta(hours=1), ends, "rosa", "later")
        store.works.announce("beta", {}, ends - timedelta(days=9000), ends, "tom", "hers")
        own = [tuple(row.values()) for row in rows(await get(alfa), "force")]
        assert own == [
            ("announced work: no repair of what follows", "mme", local, "rosa", "upgrade"),
            ("agreement alfa-all", "4 cells", "it is ended", "", ""),
        ]
        assert "force" in (await get(alfa, until=end))["sheets"]


async def test_runs_name_their_stations_and_the_cells_that_they_were_asked_for(
    bench: ApiBench, shift: dict[str, str]
) -> None:
    plan = make_plan(["S1"], salt="lock")
    bench.store.plans.save(plan, "ana")
    playbook = RunPlaybook(name="lock-cell", digest="d", text="x", parameters={"station": "S1", "cell": "L1"})
    bench.store.runs.create(
        prepared(plan, "lock-cell", Strategy(), [NewJob(0, "S1")], cause="person", actor="ana", playbook=playbook)
    )
    runs = [row for row in rows(await get(bench.client), "changed") if row["what"].startswith("run ")]
    found = {row["what"].split(" ")[2]: row["of"] for row in runs}
    assert (found["apply"], found["lock-cell"]) == ("S1; 1 pending", "S1/L1; 1 pending")


async def test_a_run_that_stopped_itself_says_why(bench: ApiBench, shift: dict[str, str]) -> None:
    why = StopReason(code=StopCode.CANARY, count=1, ended={"S9": Outcome.REFUSED})
    stopping = Transition(RunState.STOPPED, cancel_rest=True, stopped=why)
    assert bench.store.runs.advance(shift["run"], lambda _run, _jobs: stopping)
    (row,) = (row for row in rows(await get(bench.client), "changed") if row["what"].startswith("run "))
    assert row["why"].endswith("stopped: no canary carries the change: S9 ended refused")
    told = (await bench.client.get(f"/v1/runs/{shift['run']}")).json()
    assert StopReason.model_validate(told["stopped"]) == why
    assert told["halted"] == why.words
