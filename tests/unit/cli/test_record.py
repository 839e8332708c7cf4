"""What ``minka record`` and ``minka audit verify`` say after a restore, and what of somebody who tampered."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from controller.models.audit import AuditAnchor
from tests.support.minka import minka

STATE = {"epoch": 0, "doubt": "", "since": None, "settles": None}


def answers(monkeypatch: pytest.MonkeyPatch, **given: Any) -> None:
    """The API answers so, by the last word of the path."""

    def answer(_: object, request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=given[request.url.path.rpartition("/")[2]])

    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", answer)


def said(*words: str) -> str:
    return " ".join(minka(*words).out.split())


def test_whoever_takes_the_record_for_right_learns_what_is_not_repaired(monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, decision={"state": STATE, "taken": [], "on_hold": []})
    told = said("record", "accept", "record", "--reason", "INC-77")
    assert "where stations differ from it, that is drift from now on, and is repaired" in told
    assert "nodes that are not on record stay on the stations, unknown and left alone" in told
    assert "minka network load, then minka device adopt '*'" in told
    assert "adopt" not in said("record", "accept", "devices", "--reason", "INC-77")


WHOLE = {"whole": True, "first_broken": None, "reason": ""}
BROKEN = {"whole": False, "first_broken": 7, "reason": "it is missing, and was anchored"}
IN_DOUBT = STATE | {"doubt": "row 9 is known and the database ends at 6"}


@pytest.mark.parametrize(
    ("chain", "record", "tampered"),
    [(WHOLE, STATE, True), (WHOLE, IN_DOUBT, False), (BROKEN, STATE, True), (BROKEN, IN_DOUBT, True)],
)
def test_a_trail_that_was_restored_is_told_from_one_that_somebody_changed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, chain: Any, record: Any, tampered: bool
) -> None:
    """A doubt excuses that anchored rows are others or missing, and no break of the chain itself; neither is well."""
    file = tmp_path / "anchors"
    file.write_text(AuditAnchor(number=7, hash="0" * 64).text, encoding="utf-8")
    answers(monkeypatch, verify=chain, anchors=BROKEN, record=record)
    words = ("audit", "verify", "--anchor", str(file))
    ended = minka(*words)
    told = " ".join(ended.out.split())
    assert ended.status == 1
    assert "first at row 7: it is missing, and was anchored" in told
    assert ("the audit trail was tampered with, first" in told) is tampered
    assert ("see minka record show" in told) is not tampered
    doubt = "" if tampered else IN_DOUBT["doubt"]
    assert minka(*words, "--json").json == BROKEN | {"anchors": 1, "doubt": doubt}


@pytest.mark.parametrize("anchored", [False, True])
def test_a_trail_that_is_whole_may_end_too_early(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, anchored: bool
) -> None:
    """A trail without its newest rows is whole in itself, and holds older anchors: the doubt alone tells."""
    file = tmp_path / "anchors"
    file.write_text(AuditAnchor(number=7, hash="0" * 64).text, encoding="utf-8")
    words = ("audit", "verify", *(("--anchor", str(file)) if anchored else ()))
    whole = "the audit trail is whole" + ", and holds all 1 anchors" * anchored
    answers(monkeypatch, verify=WHOLE, anchors=WHOLE, record=STATE)
    ended = minka(*words)
    assert (ended.status, ended.out.strip()) == (0, whole)
    answers(monkeypatch, verify=WHOLE, anchors=WHOLE, record=IN_DOUBT)
    ended = minka(*words)
    told = " ".join(ended.out.split())
    assert ended.status == 1
    assert told.startswith(f"{whole} the record is in doubt")
    assert str(IN_DOUBT["doubt"]) in told
    assert "see minka record show" in told
    ended = minka(*words, "--json")
    assert (ended.status, ended.json) == (1, WHOLE | {"anchors": int(anchored), "doubt": IN_DOUBT["doubt"]})


def test_a_row_that_nobody_can_read_is_listed_by_its_id(monkeypatch: pytest.MonkeyPatch) -> None:
    row: dict[str, Any] = {"id": 7, "at": None, "actor": "", "action": "", "object": "", "detail": {}}
    answers(monkeypatch, audit={"results": [row], "total": 1, "next": None})
    told = said("audit")
    assert "7" in told
    assert "unreadable" in told
