"""What the one loop of an API process is not kept busy with, whatever anybody asks for."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import nullcontext
from datetime import UTC, datetime
from functools import partial
from typing import Any, cast

import httpx
from fastapi import FastAPI
from pydantic import BaseModel, field_serializer

from controller.api.auth import OPEN, Router
from controller.api.readings import Readings
from controller.api.routes.alarms import _events
from controller.api.sse import follow
from controller.api.views import AlarmView, View
from controller.models.alarm import AlarmSource, AlarmState, PerceivedSeverity
from controller.ports.clock import VirtualClock
from controller.store import Page

AT = datetime(2026, 1, 1, tzinfo=UTC)


THREADS: list[int] = []


class Answer(BaseModel):
    """Notes where its JSON is made."""

    value: int

    @field_serializer("value")
    def noted(self, value: int) -> int:
        THREADS.append(threading.get_ident())
        return value


async def test_the_json_of_an_answer_is_made_in_a_thread() -> None:
    router = Router()

    @router.post("/answers", status_code=201, dependencies=[OPEN])
    def answer() -> Answer:
        return Answer(value=1)

    app = FastAPI()
    app.include_router(router)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://minka") as client:
        said = await client.post("/answers")
    assert (said.status_code, said.headers["content-type"], said.json()) == (201, "application/json", {"value": 1})
    assert THREADS
    assert threading.get_ident() not in THREADS


async def test_a_reading_that_equals_the_one_before_is_the_one_before() -> None:
    clock, readings = VirtualClock(), Readings[list[int]](0.5)
    found = [[1, 2], [1, 2], [1, 2, 3]]

    async def read() -> list[int]:
        return found.pop(0)

    seen = []
    for _ in range(3):
        seen.append(await readings.get("x", clock, read))
        clock.pause(0.6)
    assert seen[0] is seen[1]
    assert seen[2] == [1, 2, 3]


class _Fleeting(VirtualClock):
    """Sleeps are over at once."""

    async def sleep(self, seconds: float) -> None:
        self.pause(seconds)


class _Alarms:
    """What one caller sees of alarms."""

    def __init__(self, alarms: list[AlarmView]) -> None:
        self.clock = _Fleeting()
        self.found = alarms

    async def shared(self, what: str, look: Callable[[], Any]) -> Any:
        return look()

    def alarms(self, page: Page, newest: bool = False) -> tuple[int, list[AlarmView]]:
        assert newest, "what changed last is sent, however grave the others are"
        return len(self.found), self.found[: page.limit]


def alarm(number: int, note: str = "") -> AlarmView:
    return AlarmView(
        id=f"a-{number}",
        station="S-1",
        tenant="",
        specific_problem="",
        object="station",
        probable_cause="station-unreachable",
        severity=PerceivedSeverity.MAJOR,
        text="",
        source=AlarmSource.CHECK,
        state=AlarmState.RAISED,
        raised=AT,
        changed=AT,
        note=note,
    )


async def test_a_follower_is_sent_all_news_in_one_piece_and_then_only_what_changed() -> None:
    seen = _Alarms([alarm(number) for number in range(1000)])
    events = follow(cast("View", seen), "alarms", partial(_events, cast("View", seen)), nullcontext)
    first = await anext(events)
    assert first.count("event: alarm\n") == 1000
    assert first.index('"a-999"') < first.index('"a-0"')
    seen.found = [alarm(0, "seen to"), *seen.found[1:]]
    second = await anext(events)
    assert second.count("event: alarm\n") == 1
    assert "seen to" in second
    await events.aclose()  # type: ignore[attr-defined]
