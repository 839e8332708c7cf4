"""Statements: what a tenant got in a month, drafted, issued, corrected, signed and proved."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, time, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest

from controller.models.alarm import AlarmReport, ObjectClass
from controller.models.evidence import Extension, StatementNote, TrailHead
from controller.models.health import Health
from controller.models.network import PerformanceData, network_digest
from controller.models.people import Role
from controller.models.sharing import MaintenanceWindow
from controller.models.signed_note import PublicKey
from controller.store import Page
from tests.contract.store.test_roots import CLEARED, MAJOR, mains
from tests.contract.store.test_statements import sign_with
from tests.support.callers import admit
from tests.support.observed import observe
from tests.unit.api.bench import ApiBench
from tests.unit.intent.test_outages import network

#: By the day in Lima, where the month begins five hours after that of UTC. On its first day, when measurements may
#: still come late, the month before counts as this one.
_THIS_MONTH = (datetime.now(UTC) - timedelta(hours=29)).replace(day=1, hour=12, minute=0, second=0, microsecond=0)
#: The fifteenth of the month before, at noon in UTC: seven in the morning in Lima.
AT = (_THIS_MONTH - timedelta(days=10)).replace(day=15)
MONTH = f"{AT:%Y-%m}"
HOSTILE = '<script>alert("x")</script>'


@pytest.fixture
def bench(bench: ApiBench) -> ApiBench:
    """Alfa and beta share two stations; the mains leave the contract out, and alfa's has windows from seven to ten."""
    made = network(outside_causes=["mains-lost"], penalties=[{"below_percent": 99, "credit_percent": 5}])
    alfa = made.tenants[0].model_copy(update={"name": HOSTILE})
    windows = (MaintenanceWindow(start=time(7), end=time(10)),)
    agreements = tuple(
        one.model_copy(update={"windows": windows}) if one.tenant == "alfa" else one for one in made.agreements
    )
    header = made.header.model_copy(update={"performance": PerformanceData()})
    update = {"tenants": (alfa, *made.tenants[1:]), "agreements": agreements, "header": header}
    made = made.model_copy(update=update)
    bench.store.networks.save(made, network_digest(made), "ana")
    observe(bench.store, ("S1", "S2"), AT - timedelta(days=40), AT + timedelta(days=40))
    for side in ("alfa", "beta"):
        admit(bench.store, f"token-of-{side}", f"{side}-viewer", Role.TENANT_VIEWER, side)
    return bench


def off_air(minute: float, cell: str = "S1/L1", *, over: bool = False) -> AlarmReport:
    known: dict[str, Any] = {"station": cell.partition("/")[0], "object": cell, "object_class": "cell"}
    known |= {"probable_cause": "cell-off-air", "source": "check", "at": AT + timedelta(minutes=minute)}
    return AlarmReport(**known, severity=CLEARED if over else MAJOR)


def report(bench: ApiBench, *reports: AlarmReport) -> None:
    for one in reports:
        bench.store.alarms.report(one)


async def issue(client: httpx.AsyncClient, tenant: str = "alfa", form: str = "json", **body: str) -> httpx.Response:
    path = f"/v1/statements/sla/{tenant}/{MONTH}"
    answer = await client.post(path, json=body, params={"format": form})
    assert answer.status_code == 200, answer.text
    return answer


def sheet(answer: httpx.Response, name: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = answer.json()["sheets"][name]["rows"]
    return rows


async def test_a_statement_says_what_was_lost_to_the_second_and_why_the_rest_is_not_owed(bench: ApiBench) -> None:
    power = mains(station="S2").model_copy(update={"at": AT})
    report(bench, off_air(0), off_air(30.5, over=True), power, off_air(1, "S2/L1"), off_air(61, "S2/L1", over=True))
    report(bench, power.model_copy(update={"severity": CLEARED, "at": AT + timedelta(minutes=61)}))
    said = await issue(bench.client)
    (agreement,) = sheet(said, "agreements")
    assert (agreement["lost"], agreement["outside"], agreement["planned"], agreement["unseen"]) == (30.5, 60, 0, 0)
    assert agreement["kept"] == "yes"
    assert agreement["left"] == pytest.approx(agreement["allowed"] - 30.5, abs=0.01)
    assert agreement["availability"] == pytest.approx(100 * (1 - 30.5 / (60 * agreement["shared"])), abs=0.0001)
    cells = {row["cell"]: (row["lost"], row["outside"]) for row in sheet(said, "cells")}
    assert cells == {"S1/L1": (1830, 0), "S1/N1": (0, 0), "S2/L1": (0, 3600), "S2/N1": (0, 0)}
    since = f"{AT:%Y-%m-%d}T07:00:00-05:00"
    first = sheet(said, "outages")[0]
    assert (first["part"], first["since"], first["seconds"]) == ("lost", since, 1830)
    assert {(row["cause"], row["lost"], row["outside"]) for row in sheet(said, "incidents")} == {
        ("cell-off-air", 30.5, 0),
        ("mains-lost", 0, 60),
    }


async def test_a_month_below_its_promise_names_the_penalty_and_what_was_restored_late(bench: ApiBench) -> None:
    report(bench, off_air(0), off_air(60 * 48, over=True))
    (agreement,) = sheet(await issue(bench.client), "agreements")
    assert (agreement["kept"], agreement["restored_late"], agreement["credit"]) == ("no", 1, 5)
    assert agreement["left"] < 0 < agreement["burn_rate"]


async def test_a_cell_that_was_locked_outside_of_a_window_counts_as_lost(bench: ApiBench) -> None:
    """Alfa's contract has a window from seven to ten, in which most of it is; beta's has none."""

    def look(minute: float, *locked: str, reachable: bool = True) -> None:
        at = AT + timedelta(minutes=minute)
        bench.store.healths.save([Health(station="S1", at=at, reachable=reachable, locked=locked)])

    for minute, *locked in ((-1,), (30, "L1"), (200, "L1"), (270,), (280, "L1"), (290, "L1")):
        look(minute, *locked)
    look(295, reachable=False)  # what nobody can see stays as it was
    look(300)
    # From ten (minute 180) on 110 minutes count, less ten in which it is off air for another reason.
    report(bench, off_air(200), off_air(210, over=True))
    (agreement,) = sheet(await issue(bench.client), "agreements")
    assert (agreement["locked"], agreement["lost"]) == (100, 10)
    assert agreement["left"] == pytest.approx(agreement["allowed"] - 110, abs=0.01)
    assert agreement["availability"] == pytest.approx(100 * (1 - 110 / (60 * agreement["shared"])), abs=0.0001)
    cells = {row["cell"]: row["locked"] for row in sheet(await issue(bench.client), "cells")}
    assert cells == {"S1/L1": 6000, "S1/N1": 0, "S2/L1": 0, "S2/N1": 0}
    (other,) = sheet(await issue(bench.client, "beta"), "agreements")
    assert (other["locked"], other["lost"]) == (0, 10), "without windows the host may lock at any time"


async def test_a_correction_is_a_version_of_its_own_and_the_first_stays(bench: ApiBench) -> None:
    report(bench, off_air(0), off_air(30, over=True))
    first = await issue(bench.client)
    report(bench, off_air(60, "S1/N1"), off_air(70, "S1/N1", over=True))
    assert (await issue(bench.client)).content == first.content, "what was issued stays, whatever came since"
    second = await issue(bench.client, reason="an alarm came late")
    assert (second.json()["version"], second.json()["reason"]) == (2, "an alarm came late")
    assert sheet(second, "agreements")[0]["lost"] == 40
    assert (await issue(bench.client, reason="look again")).content == second.content, "nothing differs"
    path = f"/v1/statements/sla/alfa/{MONTH}"
    assert (await bench.client.get(path, params={"version": 1})).content == first.content
    assert (await bench.client.get(path)).content == second.content
    proof = (await bench.client.get(f"/v1/statements/proofs/{sha256(first.content).hexdigest()}")).json()
    assert (proof["statement"]["version"], proof["statement"]["latest"], proof["wrong"]) == (1, 2, "")


@pytest.mark.parametrize("form", ["json", "csv", "html"])
async def test_each_file_is_proved_by_the_audit_trail_and_a_changed_one_is_not(bench: ApiBench, form: str) -> None:
    content = (await issue(bench.client, form=form)).content
    proof = (await bench.client.get(f"/v1/statements/proofs/{sha256(content).hexdigest()}")).json()
    assert (proof["statement"]["id"], proof["form"], proof["wrong"]) == (f"sla-alfa-{MONTH}-v1", form, "")
    (row,) = (await bench.client.get("/v1/audit", params={"action": "statement.issued"})).json()["results"]
    assert (row["id"], row["detail"][form]) == (proof["row"], sha256(content).hexdigest())
    changed = await bench.client.get(f"/v1/statements/proofs/{sha256(content + b' ').hexdigest()}")
    assert changed.status_code == 404
    assert bench.store.audit.verify() is None


async def test_csv_has_all_sheets_under_one_header_and_html_has_no_markup_of_others(bench: ApiBench) -> None:
    report(bench, off_air(0), off_air(30, over=True))
    rows = list(csv.DictReader(io.StringIO((await issue(bench.client, form="csv")).text)))
    assert {row["sheet"] for row in rows} == {"statement", "agreements", "cells", "outages", "incidents"}
    assert sum(float(row["lost"]) for row in rows if row["sheet"] == "cells") == 1800
    page = (await issue(bench.client, form="html")).text
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "http" not in page, "it loads nothing"
    assert sha256((await issue(bench.client)).content).hexdigest() in page
    assert "DRAFT" not in page


async def test_reading_issues_nothing_and_a_month_that_is_not_over_is_a_draft_for_its_tenant_too(
    bench: ApiBench,
) -> None:
    report(bench, off_air(0), off_air(30, over=True))
    alfa, beta = (bench.with_token(f"token-of-{side}") for side in ("alfa", "beta"))
    month = f"{datetime.now(UTC) - timedelta(hours=5):%Y-%m}"
    for path in (f"/v1/statements/sla/alfa/{MONTH}", f"/v1/statements/sla/alfa/{month}"):
        assert (await bench.client.get(path)).status_code == 404
        draft = await bench.client.get(f"{path}/draft", params={"format": "html"})
        assert (draft.status_code, "DRAFT of 20" in draft.text) == (200, True)
        own = await alfa.get(f"{path}/draft")
        assert (own.json()["version"], own.json()["issued"], own.json()["drafted"] is not None) == (0, None, True)
        assert (await beta.get(f"{path}/draft")).status_code == 404
        assert (await bench.client.get(path)).status_code == 404, "a draft is on no record"
        proof = await bench.client.get(f"/v1/statements/proofs/{sha256(draft.content).hexdigest()}")
        assert proof.status_code == 404
    refused = await bench.client.post(f"/v1/statements/sla/alfa/{month}", json={})
    assert (refused.status_code, "can be issued from" in refused.text) == (409, True)
    assert (await bench.client.get("/v1/statements")).json()["count"] == 0
    capacity = f"/v1/statements/capacity/alfa/{MONTH}/draft"
    assert [(await who.get(capacity)).status_code for who in (bench.client, alfa)] == [200, 404]
    early = await bench.client.post("/v1/statements/sla/alfa/2099-12", json={})
    assert (early.status_code, "2099-12 has not begun in America/Lima" in early.text) == (422, True)
    issued = (await issue(bench.client)).json()
    draft_now = (await alfa.get(f"/v1/statements/sla/alfa/{MONTH}/draft")).json()
    assert issued["sheets"] == draft_now["sheets"]


async def test_a_tenant_is_denied_what_is_another_ones_and_not_what_there_is_not_yet(bench: ApiBench) -> None:
    alfa = bench.with_token("token-of-alfa")
    mine, theirs = f"/v1/statements/sla/alfa/{MONTH}", f"/v1/statements/sla/beta/{MONTH}"
    digest = sha256(b"a changed file").hexdigest()
    own = (mine, f"{mine}/note", f"{mine}?version=7", f"/v1/statements/proofs/{digest}")
    for path, code in [*((path, "absent") for path in own), (theirs, "not-found"), (f"{theirs}/draft", "not-found")]:
        answer = await alfa.get(path)
        assert (answer.status_code, answer.json()["type"]) == (404, f"urn:minka:error:{code}"), path
    await issue(bench.client)
    assert (await alfa.get(f"{mine}/note")).json()["type"] == "urn:minka:error:absent", "it was not signed"
    denied = [row.object for row in bench.store.audit.page(Page(limit=1000))[1] if row.action == "access.denied"]
    assert sorted(denied) == [f"GET {theirs}", f"GET {theirs}/draft"]


async def test_tenants_get_their_own_and_issue_none(bench: ApiBench) -> None:
    alfa, beta = (bench.with_token(f"token-of-{side}") for side in ("alfa", "beta"))
    path = f"/v1/statements/sla/alfa/{MONTH}"
    assert (await alfa.post(path, json={})).status_code == 404
    assert (await alfa.get(path)).status_code == 404
    content = (await issue(bench.client)).content
    assert (await alfa.get(path)).content == content
    (own,) = (await alfa.get("/v1/statements")).json()["results"]
    assert (own["id"], own["by"]) == (f"sla-alfa-{MONTH}-v1", "host")
    proof = f"/v1/statements/proofs/{sha256(content).hexdigest()}"
    told, whole = (await alfa.get(proof)).json(), (await bench.client.get(proof)).json()
    assert (told["statement"]["by"], told["wrong"]) == ("host", "")
    assert (told["row"], told["hash"]) == (0, ""), "they are about what the host did for all"
    assert (whole["row"] > 0, len(whole["hash"])) == (True, 64)
    assert [(await beta.get(asked)).status_code for asked in (path, proof)] == [404, 404]
    for asked in ({}, {"tenant": "alfa"}):
        assert (await beta.get("/v1/statements", params=asked)).json()["count"] == 0


async def test_a_tenants_statement_is_the_same_whatever_happens_to_others(bench: ApiBench) -> None:
    report(bench, off_air(0), off_air(30, over=True))
    before = (await issue(bench.client)).json()
    links = "/ManagedElement[S1]/ENBFunction[1]/EP_S1C[beta-mme]"
    of_beta = off_air(5).model_copy(
        update={
            "object": links,
            "object_class": ObjectClass.CORE_LINK,
            "tenant": "beta",
            "probable_cause": "core-link-down",
        }
    )
    report(bench, of_beta, of_beta.model_copy(update={"severity": CLEARED, "at": AT + timedelta(hours=9)}))
    assert (await issue(bench.client, reason="look again")).json() == before
    assert sheet(await issue(bench.client, "beta"), "agreements")[0]["lost"] == 540


async def test_capacity_is_the_hosts_alone_since_it_draws_on_what_others_used(bench: ApiBench) -> None:
    path = f"/v1/statements/capacity/alfa/{MONTH}"
    issued = await bench.client.post(path, json={})
    assert issued.status_code == 200
    assert {"shares", "carriers", "congested", "expand", "backhaul"} == set(issued.json()["sheets"])
    alfa = bench.with_token("token-of-alfa")
    proof = f"/v1/statements/proofs/{sha256(issued.content).hexdigest()}"
    assert [(await alfa.get(asked)).status_code for asked in (path, proof)] == [404, 404]
    for asked in ({}, {"kind": "capacity"}):
        assert (await alfa.get("/v1/statements", params=asked)).json()["count"] == 0
    assert (await bench.client.get(proof)).status_code == 200


async def test_a_tenant_that_left_still_reads_its_statements_and_gets_those_of_its_time(bench: ApiBench) -> None:
    content = (await issue(bench.client)).content
    _, made = bench.store.networks.get()
    gone = made.model_copy(
        update={
            "tenants": tuple(one for one in made.tenants if one.id != "alfa"),
            "agreements": tuple(one for one in made.agreements if one.tenant != "alfa"),
        }
    )
    bench.store.networks.save(gone, network_digest(gone), "ana")
    alfa = bench.with_token("token-of-alfa")
    path = f"/v1/statements/sla/alfa/{MONTH}"
    assert (await alfa.get(path)).content == content
    assert [one["id"] for one in (await alfa.get("/v1/statements")).json()["results"]] == [f"sla-alfa-{MONTH}-v1"]
    quality = await alfa.get(f"/v1/statements/quality/alfa/{_THIS_MONTH:%Y-%m}/draft")
    assert quality.status_code == 200, quality.text


async def test_a_tenant_gets_the_signed_note_of_its_own_statements_and_what_is_published_to_all(
    bench: ApiBench, tmp_path: Path
) -> None:
    path = f"/v1/statements/sla/alfa/{MONTH}"
    content = (await issue(bench.client)).content
    assert (await bench.client.get(f"{path}/note")).status_code == 404, "nothing was signed then"
    sign_with(bench.store, tmp_path)
    report(bench, off_air(0), off_air(30, over=True))
    content = (await issue(bench.client, reason="late")).content
    alfa, beta = (bench.with_token(f"token-of-{side}") for side in ("alfa", "beta"))
    keys = [PublicKey.parsed(line) for line in (await alfa.get("/v1/evidence/keys")).json()["keys"]]
    note, _ = StatementNote.read((await alfa.get(f"{path}/note")).text, keys)
    assert (note.id, note.form_of(content)) == (f"sla-alfa-{MONTH}-v2", "json")
    assert (await beta.get(f"{path}/note")).status_code == 404
    assert (await alfa.get("/v1/evidence/heads")).json()["count"] == 0
    published = bench.store.trail.publish()
    assert published is not None
    (head,) = (await beta.get("/v1/evidence/heads")).json()["results"]
    assert head["note"] == published.note
    proof = await beta.get("/v1/evidence/extension", params={"since": published.size})
    assert Extension.parsed(proof.text).check(TrailHead.read(head["note"], keys)[0], keys)
    assert (await beta.get("/v1/evidence/extension", params={"since": 7})).status_code == 409
    kept = {"json_file": content.decode(), "note": (await alfa.get(f"{path}/note")).text}
    assert (await alfa.post("/v1/statements/taken-back", json=kept)).status_code == 404
    refused = await bench.client.post("/v1/statements/taken-back", json=kept)
    assert (refused.status_code, "nothing of it was lost" in refused.text) == (409, True)
    draft = (await bench.client.get(f"{path}/draft")).json()
    report(bench, off_air(50), off_air(60, over=True))
    refused = await bench.client.post(path, json={"reason": "again", "figures": draft["figures"]})
    assert (refused.status_code, "the figures are others by now" in refused.text) == (409, True)
    seen = {"reason": "again", "figures": (await issue(bench.client)).json()["figures"]}
    assert (await bench.client.post(path, json=seen)).status_code == 409, "those of version 2"
