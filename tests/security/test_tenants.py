"""A tenant's people see what is theirs, and nothing changes for them whatever another tenant has or does."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, given, settings
from sqlalchemy import and_, event, update

from controller.access.disclosure import STATEMENTS
from controller.api.app import api_routes
from controller.api.statements import draft
from controller.intent.incident_news import HOLD_OFF
from controller.models.alarm import AlarmReport, AlarmSource, PerceivedSeverity
from controller.models.network import Network, network_digest
from controller.models.people import Person, Role
from controller.models.run import JobState, Outcome, RunState
from controller.performance.statements import files_of
from controller.store import Page, open_store
from controller.store.database.transaction import WorkedOut
from controller.store.jobs.run_rows import jobs, runs
from controller.store.network import versions
from controller.store.performance import rows
from tests.security.app_requests import Answer, ask
from tests.security.tenants_bench import STATIONS, TOKENS, Private, TenantsBench, network, privates, tenants_bench
from tests.support.soak import SOAK
from tests.unit.plan import samples

#: What a stream that goes on says when nothing is new.
SILENCE = b": still here"
#: The day in which something was measured: how late it is depends on how often a stream slept.
_DAY = "begin=2025-12-31T00:00:00Z&end=2026-01-01T00:00:00Z"
QUERIES = {
    "/v1/runs": ["", "limit=1", "limit=1&offset=1", "state=succeeded", "state=partial", "state=running"],
    "/v1/plans": ["", "limit=1", "offset=1"],
    "/v1/alarms": ["", "limit=2&offset=1", "state=raised", "state=repairing"],
    "/v1/incidents": ["", "limit=1&offset=1", "state=closed", "state=open&state=closed&station=S1", "state=merged"],
    "/v1/audit": ["", "limit=1&offset=1", "device=S1", "device=S2", "device=S2&object=r-*", "device=S3"],
    "/v1/devices": [
        "",
        "limit=1",
        "selector=tenant=beta",
        "selector=agreement=beta-all",
        "selector=S2",
        "selector=x=y",
    ],
    "/v1/kpis/volume-down": [
        f"{_DAY}&{query}"
        for query in ("level=cell&step=quarter", "level=tenant", "tenant=beta", "level=network&format=csv")
    ],
    "/v1/kpis/bearer-setup-success": [f"{_DAY}&{query}" for query in ("level=cell", "level=region", "selector=S2")],
    "/v1/kpis/availability": [f"{_DAY}&level=cell"],
    "/v1/tokens": ["", "owner=tom", "owner=nobody"],
    "/v1/shift-report": [f"since=2025-12-20T00:00:00Z&format={form}" for form in ("json", "md", "html")],
    "/metrics": ["", "region=r", "region=nowhere", "tenant=beta", "part=tenant&part=network", "part=controller"],
}
PARAMETERS: dict[str, set[str]] = {
    "station": {"S1", "S2", "S9"},
    "kind": {*Network.model_fields, "nothing", "sla"},
    "name": {"lock-cell"},
    "function": {"GW-A", "GW-B0", "GW-9"},
    "pool": {"edge-9"},
    "kpi": {"volume-down", "bearer-setup-success", "availability", "accessibility", "nothing"},
    "run_id": {"r-0"},
    "plan_id": {"000000000000"},
    "other_id": {"000000000000"},
    "alarm_id": {"a-0"},
    "incident_id": {"i-0"},
    "digest": {"0" * 64},
    "tenant": {"alfa", "beta"},
    "month": {"2025-12"},
}
EVERYTHING = Private(
    name="Betacom",
    octet=77,
    vlan=777,
    slices=("0000B1", "0000B3"),
    plmns=("716-02", "716-022"),
    share=(1, 33, 66),
    second_agreement=True,
    consent="approval",
    availability=99.9,
    drift=3,
    links_up=False,
    alarms=2,
    runs=2,
    outcome=Outcome.DIVERGED,
    holds=1,
    acts=1,
    replans=2,
    waiting=1,
    order="begun",
    functions=2,
)


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A record with nothing on it; copies are much faster than migrations."""
    path = tmp_path_factory.mktemp("empty") / "minka.sqlite3"
    open_store(f"sqlite:///{path}").close()
    return path


def requests(*worlds: TenantsBench) -> list[tuple[str, str]]:
    """Every GET of every route, with every id of any of the worlds, and some that nothing has."""
    known = {name: set(values) for name, values in PARAMETERS.items()}
    for name, ids in itertools.chain.from_iterable(one.ids.items() for one in worlds):
        known[name] |= ids
    found = []
    for route in api_routes():
        if "GET" in (route.methods or ()):
            names = re.findall(r"{(\w+)}", route.path)
            for values in itertools.product(*(sorted(known[name]) for name in names)):
                path = route.path
                for name, value in zip(names, values, strict=True):
                    path = path.replace(f"{{{name}}}", value)
                found += [(path, query) for query in QUERIES.get(path, [""])]
    # The audit trail last once more: it has all the refusals by then.
    return [*found, ("/v1/audit", "limit=1000")]


async def answers(made: TenantsBench, token: str, asked: list[tuple[str, str]]) -> list[Answer]:
    """What the caller is answered, in order."""

    return [await ask(made.app, "GET", path, token, query=query, until=SILENCE) for path, query in asked]


async def costs(made: TenantsBench, token: str, asked: list[tuple[str, str]]) -> list[tuple[Answer, int]]:
    """What the caller is answered, in order, and how many statements of the database each answer took.

    The process has nothing in memory at first of what it keeps there.
    """
    count = itertools.count()
    rows._layouts.clear()

    def counted(*_: object) -> None:
        next(count)

    event.listen(made.store.database.engine, "before_cursor_execute", counted)
    try:
        with patch.object(versions, "_known", WorkedOut(kept=4)):
            found = []
            for path, query in asked:
                before = next(count)
                (answer,) = await answers(made, token, [(path, query)])
                found.append((answer, next(count) - before))
            return found
    finally:
        event.remove(made.store.database.engine, "before_cursor_execute", counted)


#: What was asked for, and what came of it in one world and in the other.
Differences = list[tuple[tuple[str, str], Any, Any]]


def statements(made: TenantsBench, side: str) -> dict[tuple[str, str], bytes]:
    """All that a tenant is told of the month, by kind of statement and form, once the month is over."""
    later = made.clock.now() + timedelta(days=2)
    while made.store.measurements.roll_up(later):
        pass
    found: dict[tuple[str, str], bytes] = {}
    for kind in STATEMENTS if side in ("alfa", "beta") else ():
        statement = draft(made.store, later, kind, side, "2025-12")
        found |= {(f"statement {kind}", form.value): content for form, content in files_of(statement).items()}
    return found


def compare(empty: Path, folder: Path, sides: Sequence[str], *others: Private) -> list[Differences]:
    """For each side, and each of ``others``: requests that are answered differently where beta is so, and as usual.

    An answer that takes another number of statements is a different one: whoever has a clock could tell.
    """
    with ExitStack() as worlds:
        made = []
        for number, private in enumerate((Private(), *others)):
            path = folder / f"{number}.sqlite3"
            shutil.copy(empty, path)
            made.append(worlds.enter_context(tenants_bench(path, private)))
        asked = requests(*made)
        found: list[Differences] = []
        for side in sides:
            usual, *unusual = [asyncio.run(costs(one, TOKENS[side], asked)) for one in made]
            said, *told = [statements(one, side) for one in made]
            for answered, stated in zip(unusual, told, strict=True):
                found.append([one for one in zip(asked, usual, answered, strict=True) if one[1] != one[2]])
                found[-1] += [(name, said[name], stated[name]) for name in said if said[name] != stated[name]]
    return found


@pytest.mark.timeout(36000 if SOAK else 360)
@given(privates)
@settings(max_examples=60 if SOAK else 3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_nothing_of_another_tenant_changes_an_answer(empty: Path, tmp_path: Path, other: Private) -> None:
    assert compare(empty, tmp_path, ["alfa"], other) == [[]]


def test_the_way_of_others_through_a_run_changes_no_answer(empty: Path, tmp_path: Path) -> None:
    """That ``begun`` does not, the test below shows."""
    ways = [replace(EVERYTHING, order=order) for order in ("before", "done", "behind")]
    assert compare(empty, tmp_path, ["alfa"], *ways) == [[]] * len(ways)


def test_what_is_in_memory_saves_no_statement(usual: TenantsBench) -> None:
    """Else an answer would tell what others asked for before, or that the host loaded another network."""
    (own,) = told(usual, "/v1/incidents", "limit=1")["results"]
    for path in ("/metrics", "/v1/kpis/volume-down", "/v1/network", "/v1/devices", f"/v1/incidents/{own['id']}"):
        asked = [(path, QUERIES.get(path, [""])[0])] * 2
        (first, cold), (again, warm) = asyncio.run(costs(usual, TOKENS["alfa"], asked))
        assert (first.status, first.body, cold) == (200, again.body, warm), path


def test_what_varies_is_seen_by_others(empty: Path, tmp_path: Path) -> None:
    """The test above would be none if the host, or beta itself, saw no difference either."""
    alfas, hosts, betas = compare(empty, tmp_path, ["alfa", "host", "beta"], EVERYTHING)
    assert alfas == []
    assert len({path for (path, _), _, _ in hosts}) >= 15
    assert len({path for (path, _), _, _ in betas}) >= 12
    assert {f"statement {kind}" for kind in STATEMENTS} <= {path for (path, _), _, _ in betas}


def test_statements_of_a_tenant_say_something(usual: TenantsBench) -> None:
    """The first test would prove nothing of empty ones."""
    made = {name: json.loads(content) for name, content in statements(usual, "alfa").items() if name[1] == "json"}
    sheets = {kind: one["sheets"] for (kind, _), one in made.items()}
    assert sheets["statement sla"]["agreements"]["rows"]
    assert sheets["statement volume"]["total"]["rows"][0]["down"] == pytest.approx(7 / 8, abs=0.001)
    assert [row["plmn"] for row in sheets["statement volume"]["breakdown"]["rows"]] == ["716-01"]
    assert {row["kpi"] for row in sheets["statement quality"]["kpis"]["rows"]} >= {
        "volume-down",
        "bearer-setup-success",
    }
    assert {row["line"] for row in sheets["statement settlement"]["lines"]["rows"]} == {"cells", "volume"}


@pytest.fixture
def usual(empty: Path, tmp_path: Path) -> Any:
    shutil.copy(empty, tmp_path / "minka.sqlite3")
    with tenants_bench(tmp_path / "minka.sqlite3", EVERYTHING) as made:
        yield made


def told(made: TenantsBench, path: str, query: str = "", side: str = "alfa") -> Any:
    (answer,) = asyncio.run(answers(made, TOKENS[side], [(path, query)]))
    assert answer.status == 200, answer
    return json.loads(answer.body)


def test_a_tenant_sees_its_stations_cells_and_agreements(usual: TenantsBench) -> None:
    assert told(usual, "/v1/network")["counts"] == {
        "regions": 1,
        "sites": 1,
        "stations": 1,
        "cells": 1,
        "endpoints": 0,
        "routers": 0,
        "pools": 0,
        "nodes": 0,
        "packages": 0,
        "functions": 1,
        "tenants": 1,
        "agreements": 1,
        "own_cells": 0,
        "neighbours": 0,
    }
    assert [cell["id"] for cell in told(usual, "/v1/network/cells")["results"]] == ["L1"]
    (shared,) = told(usual, "/v1/network/sharing")["results"]
    assert (shared["cell"], [one["tenant"] for one in shared["tenants"]]) == ("L1", ["alfa"])
    assert shared["tenants"][0]["agreed"] == shared["tenants"][0]["configured"] == ["716-01"]
    (station,) = told(usual, "/v1/devices")["results"]
    assert (station["station"], station["health"]["cells"]) == ("S1", {"L1": "up"})
    assert station["indicators"]["values"] == {"retainability": pytest.approx(0.27)}
    (of_host, _) = told(usual, "/v1/devices", side="host")["results"]
    assert of_host["indicators"]["values"]["availability"] == 97.5
    assert {(link["tenant"], link["state"]) for link in station["health"]["links"]} == {("alfa", "up")}
    config = told(usual, "/v1/devices/S1/config")
    assert config["tree"]
    assert "716,02" not in str(config)
    (cell,) = (state for path, state in config["state"].items() if path.endswith("EUtranCellFDD[L1]"))
    assert cell["administrativeState"] == "UNLOCKED"


def test_a_tenant_sees_its_plans_and_runs(usual: TenantsBench) -> None:
    (head,) = told(usual, "/v1/plans")["results"]
    plan = told(usual, f"/v1/plans/{head['id']}")
    (change,) = plan["changes"]
    assert (head["stations"], change["station"]) == (1, "S1")
    assert {(row["tenant"], row["before"], row["after"]) for row in change["diff"]} == {("alfa", "80", "70")}
    waiting, run = told(usual, "/v1/runs")["results"]
    assert (waiting["state"], waiting["counts"]) == ("queued", {"pending": 1})
    (asked,) = told(usual, "/v1/approvals")["results"]
    assert (asked["run"], [one["side"] for one in asked["requirements"]]) == (waiting["id"], ["alfa"])
    (part,) = told(usual, f"/v1/approvals/{waiting['id']}")["parts"]
    assert {row["tenant"] for row in part["diff"]} == {"alfa"}
    noticed = [one for one in told(usual, "/v1/notices")["results"] if one["run"]]
    assert {(one["run"], one["tenant"]) for one in noticed} == {(waiting["id"], "alfa")}
    assert (run["state"], run["counts"], run["plan"]) == ("succeeded", {"succeeded": 1}, head["id"])
    assert [job["station"] for job in told(usual, f"/v1/runs/{run['id']}/jobs")["results"]] == ["S1"]
    hers = told(usual, "/v1/runs", side="beta")["results"]
    assert len(hers) > 1
    assert {one["state"] for one in hers} == {"diverged", "queued", "running"}


def test_a_yes_to_ones_own_part_counts_whatever_changes_for_others(usual: TenantsBench) -> None:
    store = usual.store
    (head,) = told(usual, "/v1/plans")["results"]
    names = store.tenants.handles("alfa", [one.id for one in store.plans.page(Page(100))[1]])
    plans = [store.plans.get(plan_id) for plan_id in names]
    assert len(plans) == 3, "beta's part is another one in each of them"
    assert set(names.values()) == {head["id"]}
    assert told(usual, f"/v1/plans/{head['id']}")["created"] == head["created"], "nor does its time tell of others"
    # One of them is under way: the yes is for that run, and spent by it.
    (waiting,) = told(usual, "/v1/approvals")["results"]
    says_yes = ("POST", f"/v1/plans/{head['id']}/approve", TOKENS["alfa"])
    assert asyncio.run(ask(usual.app, *says_yes, body=b"{}")).status == 200
    standing = store.approvals.standing(waiting["run"])
    assert standing is not None
    assert [vote.person for vote in standing.votes] == ["rosa"]
    assert [store.approvals.votes(plan.digest) for plan in plans] == [[]] * 3
    # Without a run under way it is for the next one, of whichever of them.
    over = update(runs).where(runs.c.id == waiting["run"]).values(state=RunState.CANCELLED.value)
    store.database.run(lambda tx: tx.execute(over))
    assert asyncio.run(ask(usual.app, *says_yes, body=b"{}")).status == 200
    assert [[vote.person for vote in store.approvals.votes(plan.digest)] for plan in plans] == [["rosa"]] * 3
    # What changes for alfa is another plan to alfa.
    less = network(EVERYTHING, alfas_max=60, applied=True)
    store.networks.save(less, network_digest(less), "ana")
    other = samples.plan(
        less, {name: samples.view(network(EVERYTHING, alfas_max=80, applied=False), name) for name in STATIONS}
    )
    store.plans.save(other, "ana")
    assert store.tenants.handles("alfa", [other.id])[other.id] != head["id"]
    assert store.approvals.votes(other.digest) == []
    # The last word counts, to whichever of them it was said.
    says_no = ("POST", f"/v1/plans/{head['id']}/reject", TOKENS["alfa"])
    assert asyncio.run(ask(usual.app, *says_no, body=b'{"reason": "no"}')).status == 200
    assert [[vote.choice for vote in store.approvals.votes(plan.digest)] for plan in plans] == [["reject"]] * 3


def test_a_tenant_sees_what_it_used_of_shared_cells_and_their_availability(usual: TenantsBench) -> None:
    names = {one["name"] for one in told(usual, "/v1/kpis")["results"]}
    assert {"volume-down", "availability", "bearer-setup-success"} < names
    assert not {"accessibility", "users", "prb-use-down"} & names, "the whole cell's, which others change"
    (cell,) = told(usual, "/v1/kpis/volume-down", f"{_DAY}&level=cell")["results"]
    assert (cell["of"], cell["figure"]["value"]) == ("S1/L1", pytest.approx(7 / 8000))
    (whole,) = told(usual, "/v1/kpis/volume-down", f"{_DAY}&level=tenant")["results"]
    assert (whole["of"], whole["figure"]["value"]) == ("alfa", pytest.approx(7 / 8000))
    (found,) = told(usual, "/v1/kpis/availability", f"{_DAY}&level=cell")["results"]
    assert found["figure"]["value"] == pytest.approx(100 * (1 - 90 / 900))
    (host,) = told(usual, "/v1/kpis/volume-down", f"{_DAY}&level=network", "host")["results"]
    assert host["figure"]["value"] > 20 * whole["figure"]["value"]


def test_a_tenant_scrapes_its_own_indicators(usual: TenantsBench) -> None:
    def page(side: str) -> str:
        (answer,) = asyncio.run(answers(usual, TOKENS[side], [("/metrics", "")]))
        return answer.body.decode()

    alfas, betas, hosts = (page(side) for side in ("alfa", "beta", "host"))
    retained = re.findall(r"^(minka_\w+_kpi)\{(.*)\} (.*)$", alfas, re.MULTILINE)
    found = {(name, value) for name, labels, value in retained if 'kpi="retainability"' in labels}
    # 3 bearers in 40,000 s of use, whatever beta lost.
    assert found == {(f"minka_{of}_kpi", "0.27") for of in ("tenant", "region_tenant", "station_tenant")}
    assert {name for name, _, _ in retained} == {name for name, _ in found}
    assert 'kpi="accessibility"' not in alfas
    assert 'tenant="alfa",kpi="volume-down"' in alfas
    assert not {'tenant="beta"', 'station="S2"'} & set(re.findall(r'(?:tenant|station)="\w+"', alfas))
    assert 'minka_tenant_kpi{tenant="beta",kpi="volume-down"}' in betas
    assert 'minka_station_kpi{station="S2",kpi="availability"} 97.5' in hosts


def test_a_tenant_sees_its_alarms_and_those_of_shared_cells(usual: TenantsBench) -> None:
    alarms = told(usual, "/v1/alarms")["results"]
    assert {(one["probable_cause"], one["object_class"], one["text"]) for one in alarms} == {
        ("core-link-down", "core-link", "words of alfa"),
        ("cell-off-air", "cell", ""),
        ("o-ran-fault-9", "station", ""),
        ("station-unreachable", "station", ""),
    }
    assert {cell for one in alarms for cell in one["cells"]} == {"S1/L1"}
    (unit,) = (one for one in alarms if one["probable_cause"] == "o-ran-fault-9")
    assert unit["object"] == "station", "the host's words name whatever they like"
    _tell(usual)
    # Each of their incidents was told, when it began and when it is over, and of its own cells only.
    usual.store.alarms.report(
        AlarmReport(
            station="S1",
            object="ru-beside-beta",
            probable_cause="o-ran-fault-9",
            severity=PerceivedSeverity.CLEARED,
            source=AlarmSource.ALERTMANAGER,
            at=usual.clock.now(),
        )
    )
    _tell(usual)
    noticed = [one for one in told(usual, "/v1/notices")["results"] if one["incident"]]
    assert {(one["kind"], one["what"]) for one in noticed} == {
        *(("incident-raised", one["probable_cause"]) for one in alarms),
        ("incident-cleared", "o-ran-fault-9"),
    }
    assert {cell for one in noticed for cell in one["cells"]} == {"S1/L1"}
    assert {station for one in noticed for station in one["stations"]} == {"S1"}
    assert not any("beta" in str(one) or "N1" in str(one) for one in (*alarms, *noticed))


def _tell(usual: TenantsBench) -> None:
    """Tell all sides of incidents once it is time for that."""
    usual.clock.pause(HOLD_OFF.total_seconds())
    usual.store.notices.write()


def test_a_tenant_finds_no_alarm_by_what_is_not_disclosed_to_it(usual: TenantsBench) -> None:
    every = told(usual, "/v1/alarms")["results"]
    assert told(usual, "/v1/alarms", "tenant=alfa")["results"] == every
    for asked in ("object=ru-beside-beta", "tenant=beta", "station=S2", "object=ru-of-beta-0"):
        assert told(usual, "/v1/alarms", asked)["results"] == [], asked
    assert len(told(usual, "/v1/alarms", "station=S1&station=S2")["results"]) == len(every)


def test_questions_of_a_run_tell_a_tenant_nothing_of_it(usual: TenantsBench) -> None:
    (hers, *_) = told(usual, "/v1/runs", side="beta")["results"]

    def answer(path: str, query: str = "") -> Answer:
        return asyncio.run(ask(usual.app, "GET", path, TOKENS["alfa"], query=query))

    nothing = answer("/v1/nothing")
    assert nothing.status == 404
    assert answer("/v1/questions", f"run={hers['id']}") == answer("/v1/questions", "run=r-nowhere") == nothing
    rows = told(usual, "/v1/audit", "limit=2")["results"]
    assert [(row["action"], row["object"]) for row in rows] == [("access.denied", "GET /v1/questions")] * 2


def test_a_stream_ends_with_its_listeners_token(usual: TenantsBench) -> None:
    (token,) = usual.store.tokens.find("rosa")
    known = usual.store.tokens.bearer

    def once(digest: str) -> Person | None:
        person = known(digest)
        usual.store.tokens.revoke(token.id, Person(name="ana", role=Role.ADMINISTRATOR))
        return person

    with patch.object(usual.store.tokens, "bearer", once):
        answer = asyncio.run(ask(usual.app, "GET", "/v1/alarms/events", TOKENS["alfa"], until=b"never"))
    assert answer.status == 200
    assert answer.body.count(b"event: alarm") == 4


def test_who_comes_from_another_side_brings_nothing_along(usual: TenantsBench) -> None:
    usual.clock.pause(1)
    usual.store.users.change(Person(name="rosa", role=Role.TENANT_APPROVER, tenant="beta"), "ana")
    asyncio.run(ask(usual.app, "GET", "/v1/devices/S9", TOKENS["beta"]))
    asyncio.run(ask(usual.app, "GET", "/v1/devices/S8", TOKENS["alfa"]))
    hers = [row for row in told(usual, "/v1/audit", "limit=1000")["results"] if row["actor"] == "rosa"]
    assert [(row["action"], row["object"]) for row in hers] == [("access.denied", "GET /v1/devices/S8")]
    assert told(usual, "/v1/audit", "limit=1000", side="beta") == told(usual, "/v1/audit", "limit=1000")
    # Another role on the same side takes nothing away.
    usual.clock.pause(1)
    usual.store.users.change(Person(name="tom", role=Role.TENANT_VIEWER, tenant="beta"), "ana")
    assert told(usual, "/v1/audit", "limit=1000", side="beta") == told(usual, "/v1/audit", "limit=1000")


def test_a_tenant_that_said_yes_does_not_see_whether_others_did(usual: TenantsBench) -> None:
    (waiting,) = told(usual, "/v1/approvals")["results"]
    said = asyncio.run(
        ask(usual.app, "POST", f"/v1/runs/{waiting['run']}/approve", TOKENS["alfa"], body=b'{"reason": "fine"}')
    )
    assert said.status == 200
    assert told(usual, "/v1/approvals")["results"] == []
    assert [one["run"] for one in told(usual, "/v1/approvals", side="beta")["results"]] == [waiting["run"]]


def test_a_tenant_whose_part_is_over_stops_nobody_elses(usual: TenantsBench) -> None:
    (waiting,) = told(usual, "/v1/approvals")["results"]
    (plan,) = told(usual, "/v1/plans")["results"]
    mine = and_(jobs.c.run == waiting["run"], jobs.c.station == "S1")
    done = update(jobs).where(mine).values(state=JobState.DONE, outcome=Outcome.SUCCEEDED)
    usual.store.database.run(lambda tx: tx.execute(done))
    path = f"/v1/runs/{waiting['run']}/reject"
    said = asyncio.run(ask(usual.app, "POST", path, TOKENS["alfa"], body=b'{"reason": "no"}'))
    assert (said.status, said.problem["type"]) == (409, "urn:minka:error:conflict")
    # To the plan it may say no: that is about further runs.
    path = f"/v1/plans/{plan['id']}/reject"
    assert asyncio.run(ask(usual.app, "POST", path, TOKENS["alfa"], body=b'{"reason": "no"}')).status == 200
    assert usual.store.runs.get(waiting["run"]).state is RunState.RUNNING
    # Beta's part is to come.
    said = asyncio.run(
        ask(usual.app, "POST", f"/v1/runs/{waiting['run']}/reject", TOKENS["beta"], body=b'{"reason": "no"}')
    )
    assert said.status == 200
    assert usual.store.runs.get(waiting["run"]).state is RunState.CANCELLING


def test_a_tenant_says_no_to_a_plan_and_stops_its_run(usual: TenantsBench) -> None:
    (plan,) = told(usual, "/v1/plans")["results"]
    (waiting,) = told(usual, "/v1/approvals")["results"]
    said = asyncio.run(
        ask(usual.app, "POST", f"/v1/plans/{plan['id']}/reject", TOKENS["alfa"], body=b'{"reason": "no"}')
    )
    assert said.status == 200
    assert usual.store.runs.get(waiting["run"]).state is RunState.CANCELLING


def test_a_tenant_sees_what_its_people_did_and_what_was_done_to_it(usual: TenantsBench) -> None:
    refused = asyncio.run(ask(usual.app, "GET", "/v1/devices/S2", TOKENS["alfa"]))
    assert (refused.status, refused.problem["detail"]) == (404, "there is no station S2 in the network")
    trail = told(usual, "/v1/audit")
    assert [(row["id"], row["actor"], row["action"]) for row in trail["results"]] == [
        (7, "rosa", "access.denied"),
        (6, "host", "run.created"),
        (5, "rosa", "approval.given"),
        (4, "host", "job.finished"),
        (3, "host", "run.created"),
        (2, "rosa", "token.added"),
        (1, "rosa", "user.added"),
    ]
    assert trail["results"][0]["object"] == "GET /v1/devices/S2"
    assert trail["results"][2]["detail"] == {"reason": "fine"}
    assert all(trail["results"][number]["detail"] == {} for number in (1, 3, 4))
