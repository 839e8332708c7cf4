"""What ``minka record`` and ``minka audit verify`` say after a restore, and what of somebody who tampered."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

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
