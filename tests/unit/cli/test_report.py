"""``minka report``: files as they were issued, text for people, and the proof of a file."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from controller.models.evidence import StatementNote
from controller.models.signed_note import SigningKey
from controller.models.statement import Column, Sheet, Statement, StatementForm, StatementKind
from controller.performance.statements import files_of
from tests.support.minka import minka

_AT: Any = "2026-11-01T05:00:00Z"
STATEMENT = Statement(
    kind=StatementKind.SLA,
    tenant="bitel",
    tenant_name="Bitel",
    network="peru",
    network_name="Perú",
    month="2026-10",
    timezone="America/Lima",
    begin="2026-10-01T05:00:00Z",
    end=_AT,
    version=1,
    issued=_AT,
    sheets=(
        Sheet(
            name="agreements",
            title="Agreements",
            columns=(Column(name="agreement"), Column(name="restored_late", unit="min")),
            rows=(("bitel-sierra", 12.5), ("=cmd()", -3)),
        ),
    ),
)
FILES = files_of(STATEMENT)
KEY = SigningKey("host.example", bytes(range(32)))
NOTE = KEY.sign(
    StatementNote(
        STATEMENT.id,
        datetime(2026, 11, 1, 5, tzinfo=UTC),
        {form: hashlib.sha256(content).hexdigest() for form, content in FILES.items()},
    ).text
)
ISSUED = STATEMENT.model_dump(mode="json", include={"kind", "tenant", "month", "version", "issued", "reason"})
ABSENT = "urn:minka:error:absent"
ISSUED |= {"id": STATEMENT.id, "latest": 2, "by": "ana", "digests": {}}


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """An API that has issued the statement of October, and none of November; what it was asked."""
    asked = []

    def answer(_: Any, request: httpx.Request) -> httpx.Response:
        asked.append((request.method, request.url.path))
        if request.url.path.endswith("/bitel/2026-11"):
            return httpx.Response(404, json={"type": ABSENT, "detail": "there is no sla statement"})
        if request.url.path.endswith("/note"):
            return httpx.Response(200, text=NOTE)
        if "/proofs/" not in request.url.path:
            return httpx.Response(200, content=FILES[StatementForm(request.url.params["format"])])
        known = {hashlib.sha256(content).hexdigest(): form for form, content in FILES.items()}
        form = known.get(request.url.path.rpartition("/")[2])
        if form is None:
            return httpx.Response(404, json={"type": ABSENT, "detail": "it is no file of a statement"})
        return httpx.Response(200, json={"statement": ISSUED, "form": form, "row": 7, "hash": "ab", "wrong": ""})

    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", answer)
    return asked


@pytest.mark.parametrize("form", StatementForm)
def test_a_file_is_byte_for_byte_what_was_issued_and_verify_proves_it(
    api: list[tuple[str, str]], tmp_path: Path, form: StatementForm
) -> None:
    file = tmp_path / f"statement.{form}"
    said = minka("report", "sla", "bitel", "--month", "2026-10", "--format", form, "--to", str(file))
    assert (said.status, said.err, file.read_bytes()) == (0, "", FILES[form])
    path = "/v1/statements/sla/bitel/2026-10"
    assert api == [("GET", path), ("GET", f"{path}/note")], "reading never issues"
    keys = tmp_path / "host.keys"
    keys.write_text(KEY.public.line + "\n")
    offline = minka("evidence", "verify", str(file), "--keys", str(keys))
    assert (offline.status, f"is sla-bitel-2026-10-v1 as {form}, issued" in offline.out) == (0, True), offline.err
    assert len(api) == 2, "nobody was asked"
    said = minka("report", "verify", str(file))
    assert said.status == 0
    assert f"is sla-bitel-2026-10-v1 as {form}" in said.out
    assert "audit row 7 has its digest, with the hash ab" in said.out
    assert "version 2 has corrected it since" in said.out
    file.write_bytes(FILES[form].replace(b"12.5", b"11.5"))
    offline = minka("evidence", "verify", str(file), "--keys", str(keys))
    assert (offline.status, "is not sla-bitel-2026-10-v1 as it was issued" in " ".join(offline.err.split())) == (
        10,
        True,
    )
    said = minka("report", "verify", str(file))
    assert said.status == 10
    assert "it claims to be sla-bitel-2026-10-v1; it was changed, or issued on a record that was lost" in " ".join(
        said.err.split()
    )


def test_text_has_the_sheets_and_json_the_file(api: list[tuple[str, str]]) -> None:
    said = minka("report", "sla", "bitel", "--month", "2026-10")
    assert (said.status, "restored late [min]" in said.out, "bitel-sierra" in said.out) == (0, True, True)
    assert orjson.loads(minka("report", "sla", "bitel", "--month", "2026-10", "--json").out)["version"] == 1


def test_what_is_not_issued_is_read_as_a_draft_and_says_so(api: list[tuple[str, str]]) -> None:
    said = minka("report", "sla", "bitel", "--month", "2026-11")
    assert (said.status, "restored late [min]" in said.out) == (0, True)
    assert "not issued: this is a draft, which is on no record" in said.err
    path = "/v1/statements/sla/bitel/2026-11"
    assert api == [("GET", path), ("GET", f"{path}/draft")]
    assert minka("report", "sla", "bitel", "--month", "2026-11", "--version", "1").status != 0, "a version is issued"


def test_what_is_not_the_askers_is_asked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each time is a denial on record, and a draft of it would be another one."""
    asked = []

    def answer(_: Any, request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        return httpx.Response(404, json={"type": "urn:minka:error:not-found", "status": 404, "detail": "no statement"})

    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", answer)
    said = minka("report", "sla", "claro", "--month", "2026-11")
    assert (said.status, asked) == (2, ["/v1/statements/sla/claro/2026-11"])


def test_issue_is_a_verb_that_issues_what_is_not_on_record_or_is_corrected(api: list[tuple[str, str]]) -> None:
    said = minka("report", "issue", "sla", "bitel", "--month", "2026-10")
    assert (said.status, "is on record since" in said.out) == (0, True)
    path = "/v1/statements/sla/bitel/2026-10"
    assert api == [("GET", path)], "it is on record already"
    api.clear()
    asked = ("report", "issue", "sla", "bitel", "--month", "2026-10", "--correct", "a late file")
    said = minka(*asked)
    assert (said.status, "it can't be taken away again" in said.err) == (2, True), "nobody sees a question here"
    assert not [one for one in api if one[0] == "POST"]
    api.clear()
    said = minka(*asked, "--yes")
    assert (said.status, "is on record since" in said.out) == (0, True)
    assert api == [("GET", path), ("GET", f"{path}/draft"), ("POST", path)]


def test_no_field_of_csv_is_a_formula_and_numbers_stay_numbers() -> None:
    last = FILES[StatementForm.CSV].decode().splitlines()[-1]
    assert last.startswith("agreements")
    assert last.endswith(",'=cmd(),-3")
