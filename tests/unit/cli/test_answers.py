"""Answers of a server of another version: programs get them whole, and tables say which field they lack."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from controller.cli.answers import Answer, read
from controller.cli.errors import CliError
from controller.models.outage import Outage
from tests.support.minka import minka

WORK: dict[str, Any] = {"id": "w-1", "tenant": "entel", "nodes": ["m-1"], "by": "eva", "reason": "release 9"}
WORK |= {"begins": "2026-11-26T02:14:07Z", "ends": "2026-11-26T03:14:07Z", "cancelled": None}
#: A number that no other form of it is equal to, and a name that no version has.
NEWER = WORK | {"weather": {"rain": 1.50, "of": [{"day": "today"}]}}


def listed(monkeypatch: pytest.MonkeyPatch, work: dict[str, Any]) -> None:
    page = {"count": 1, "next": None, "results": [work]}
    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", lambda *_: httpx.Response(200, json=page))


def test_programs_get_fields_that_only_a_newer_server_has(monkeypatch: pytest.MonkeyPatch) -> None:
    listed(monkeypatch, NEWER)
    assert minka("works", "list", "--json").json == [NEWER]
    assert minka("works", "list").status == 0


def test_a_table_names_the_field_that_an_older_server_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    older = {name: value for name, value in WORK.items() if name != "cancelled"}
    listed(monkeypatch, older)
    said = minka("works", "list")
    assert said.status == 1
    assert "the answer of the API has no field 'cancelled': another version of Minka answers there" in said.err
    assert json.loads(minka("works", "list", "--json").out) == [older]


def test_a_model_is_read_of_what_another_server_says_or_the_field_is_named() -> None:
    said = Outage().model_dump(mode="json")
    assert read(Outage, said | {"weather": "rain"}) == Outage()
    with pytest.raises(CliError, match="the answer of the API has another kind of field 'kind'"):
        read(Outage, said | {"kind": "of another planet"})


def test_an_answer_with_fields_of_ours_is_an_answer() -> None:
    with pytest.raises(CliError, match="has no field 'wave'"):
        (Answer({"id": 1}) | {"state": "on"})["wave"]
    assert Answer({"id": 1}) | {"id": 2} == {"id": 2}
