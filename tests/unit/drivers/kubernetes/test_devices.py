"""The devices of pools: one watch for all functions of a pool: what is passed on to whom, and where it goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from pydantic import SecretStr

from controller.drivers.kubernetes.codec import NF_DEPLOYMENT, NODE
from controller.drivers.kubernetes.devices import PoolWatch
from controller.ports.clock import SystemClock
from controller.ports.secrets import FakeSecrets
from tests.unit.drivers.kubernetes.server import SECRETS, Answering, ReceivedRequest, serving, status, wire

DU_1, DU_2 = ("minka-host", "du-1"), ("minka-host", "du-2")
GONE = {"type": "ERROR", "object": status(410, "Expired", "too old resource version")}


class Quick(SystemClock):
    async def sleep(self, seconds: float) -> None:
        await super().sleep(min(seconds, 0.01))


def event(kind: str, name: str, version: str) -> dict[str, Any]:
    return {"type": kind, "object": {"metadata": {"namespace": "minka-host", "name": name, "resourceVersion": version}}}


def script(*watches: list[dict[str, Any]], done: Callable[[], object]) -> Answering:
    """Lists are of version 7; watches end after these events, and the last one hangs."""
    left = list(watches)

    async def answer(asked: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
        if "watch" not in asked.query:
            writer.write(wire(200, {"metadata": {"resourceVersion": "7"}, "items": []}))
        elif left:
            writer.write(wire(200, b"".join(orjson.dumps(one) + b"\n" for one in left.pop(0))))
        else:
            done()
            await asyncio.Event().wait()

    return answer


async def follow(*watches: list[dict[str, Any]]) -> tuple[list[ReceivedRequest], dict[tuple[str, str], bool]]:
    """What was asked until all watches had ended, and who was told."""
    over = asyncio.Event()
    told = {one: asyncio.Event() for one in (DU_1, DU_2)}
    async with serving(script(*watches, done=over.set)) as server:
        watch = PoolWatch(server.api(), NF_DEPLOYMENT, Quick())
        for one, changed in told.items():
            watch.join(one, changed)
        async with asyncio.timeout(60):
            await over.wait()
        for one, changed in told.items():
            watch.leave(one, changed)
        assert watch.ended
    return server.asked, {one: changed.is_set() for one, changed in told.items()}


def versions(asked: list[ReceivedRequest]) -> list[str]:
    """From which versions was watched; ``list`` for a list."""
    return [one.query["resourceVersion"] if "watch" in one.query else "list" for one in asked]


async def test_a_change_is_told_to_who_follows_that_function() -> None:
    asked, told = await follow([event("MODIFIED", "du-1", "8")])
    assert told == {DU_1: True, DU_2: False}
    assert versions(asked) == ["list", "7", "8"]


async def test_a_bookmark_is_no_change_and_where_the_next_watch_begins() -> None:
    asked, told = await follow([event("BOOKMARK", "", "90")])
    assert not any(told.values())
    assert versions(asked) == ["list", "7", "90"]


async def node_told(*nodes: dict[str, Any]) -> list[bool]:
    """After which events of a node, each in a watch of its own, its pool is told."""
    over, changed, told = asyncio.Event(), asyncio.Event(), []
    left = [{"type": "MODIFIED", "object": one} for one in nodes]

    async def answer(asked: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
        told.append(changed.is_set())
        changed.clear()
        if "watch" not in asked.query:
            writer.write(wire(200, {"metadata": {"resourceVersion": "7"}, "items": []}))
        elif left:
            writer.write(wire(200, orjson.dumps(left.pop(0)) + b"\n"))
        else:
            over.set()
            await asyncio.Event().wait()

    async with serving(answer) as server:
        watch = PoolWatch(server.api(), NODE, Quick())
        watch.join(("", ""), changed)
        async with asyncio.timeout(60):
            await over.wait()
        watch.leave(("", ""), changed)
    return told[2:]


def node(version: int, ready: str = "True", heard: str = "09:00", **spec: object) -> dict[str, Any]:
    condition = {"type": "Ready", "status": ready, "lastHeartbeatTime": heard}
    metadata = {"name": "n1", "resourceVersion": str(version), "managedFields": [{"time": heard}]}
    return {"metadata": metadata, "spec": spec, "status": {"conditions": [condition], "images": [{"n": version}]}}


async def test_a_node_that_is_only_heard_of_again_is_no_change() -> None:
    told = await node_told(
        node(8),
        node(9, heard="09:05"),
        node(10, "False", heard="09:10"),
        node(11, "False", heard="09:15"),
        node(12, "False", unschedulable=True),
    )
    assert told == [True, False, True, False, True]


@pytest.mark.parametrize(
    "odd", [{"metadata": []}, {"status": 7, "metadata": {"name": "n1"}}, {"status": {"conditions": 1}}]
)
async def test_an_odd_node_is_told_of_and_does_no_harm(odd: dict[str, Any]) -> None:
    assert await node_told(odd) == [True]


async def test_a_watch_whose_version_is_forgotten_is_begun_anew_and_all_are_told() -> None:
    asked, told = await follow([event("BOOKMARK", "", "8"), GONE])
    assert all(told.values())
    assert versions(asked) == ["list", "7", "list", "7"]


async def test_a_watch_that_breaks_is_begun_anew_and_all_are_told() -> None:
    asked, told = await follow([event("MODIFIED", "du-1", "800"), {"type": "ERROR"}])
    assert all(told.values())
    # The pool may have been restored from a backup meanwhile, and is at version 7.
    assert versions(asked) == ["list", "7", "list", "7"]


async def test_what_changed_before_a_watch_was_begun_anew_is_told() -> None:
    over, changed, lists = asyncio.Event(), asyncio.Event(), 0

    async def answer(asked: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
        nonlocal lists
        if "watch" not in asked.query:
            lists += 1
            changed.clear()  # whoever follows has read, and now something changes
            writer.write(wire(200, {"metadata": {"resourceVersion": "7"}, "items": []}))
        elif lists == 1:
            writer.write(wire(410, status(410, "Expired", "too old")))
        else:
            over.set()
            await asyncio.Event().wait()

    async with serving(answer) as server:
        watch = PoolWatch(server.api(), NF_DEPLOYMENT, Quick())
        watch.join(DU_1, changed)
        async with asyncio.timeout(60):
            await over.wait()
        assert changed.is_set()
        watch.leave(DU_1, changed)


async def test_a_server_that_is_busy_is_asked_again_when_it_says_and_nobody_is_told() -> None:
    over, changed, slept = asyncio.Event(), asyncio.Event(), []
    refusals = [wire(429, b"Too many requests, please try again later.\n", Retry_After="9")] * 2

    class Counting(Quick):
        async def sleep(self, seconds: float) -> None:
            slept.append(seconds)
            await super().sleep(seconds)

    async def answer(asked: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
        if "watch" not in asked.query:
            writer.write(wire(200, {"metadata": {"resourceVersion": "7"}, "items": []}))
        elif refusals:
            writer.write(refusals.pop())
        else:
            over.set()
            await asyncio.Event().wait()

    async with serving(answer) as server:
        watch = PoolWatch(server.api(), NF_DEPLOYMENT, Counting())
        watch.join(DU_1, changed)
        async with asyncio.timeout(60):
            await over.wait()
        watch.leave(DU_1, changed)
    assert versions(server.asked) == ["list", "7", "7", "7"]
    assert (changed.is_set(), slept) == (False, [9.0, 9.0])


async def test_what_is_no_event_ends_no_watch_for_good() -> None:
    asked, told = await follow([{"type": "ADDED", "object": [1]}], [{"type": "ADDED", "object": {"metadata": 1}}])
    assert all(told.values())
    assert versions(asked) == ["list", "7", "list", "7", "7"]


async def test_a_watch_that_the_server_throttles_goes_on_where_it_was_and_nobody_is_told() -> None:
    busy = {"type": "ERROR", "object": status(429, "TooManyRequests", "too many requests")}
    asked, told = await follow([event("BOOKMARK", "", "8"), busy])
    assert not any(told.values())
    assert versions(asked) == ["list", "7", "8"]


async def test_a_watch_goes_on_with_a_token_that_was_replaced_and_nobody_is_told() -> None:
    over, changed, tokens = asyncio.Event(), asyncio.Event(), ["the-first", "the-second"]

    class Replaced(FakeSecrets):
        def resolve(self, name: str, address: str) -> SecretStr:
            return SecretStr(tokens[0]) if name == "token" else SECRETS.resolve(name, address)

    async def answer(asked: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
        if "watch" not in asked.query:
            writer.write(wire(200, {"metadata": {"resourceVersion": "7"}, "items": []}))
        elif asked.headers["authorization"] == "Bearer the-first":
            tokens[:] = ["the-second"]
            writer.write(wire(401, status(401, "Unauthorized", "Unauthorized")))
        else:
            over.set()
            await asyncio.Event().wait()

    async with serving(answer) as server:
        watch = PoolWatch(server.api(secrets=Replaced({"token": "", "ca": ""})), NF_DEPLOYMENT, Quick())
        watch.join(DU_1, changed)
        async with asyncio.timeout(60):
            await over.wait()
        watch.leave(DU_1, changed)
    assert versions(server.asked) == ["list", "7", "7"]
    assert not changed.is_set()


class Counted(SystemClock):
    """A clock whose time passes only where somebody sleeps, or a watch stands."""

    def __init__(self) -> None:
        self.at = 0.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.at

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.at += seconds
        await super().sleep(0)


async def pauses(watches: int, stands: float, *, cut: bool) -> list[float]:
    """How long was waited between watches that stand for so long and say nothing, until they end or are cut."""
    clock, over, left = Counted(), asyncio.Event(), watches

    async def answer(asked: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
        nonlocal left
        if "watch" not in asked.query:
            writer.write(wire(200, {"metadata": {"resourceVersion": "7"}, "items": []}))
        elif left:
            left -= 1
            clock.at += stands
            writer.write(wire(200, b""))
        else:
            over.set()
            await asyncio.Event().wait()

    async def cut_off(asked: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
        nonlocal left
        if "watch" in asked.query and left:
            left -= 1
            clock.at += stands
            writer.write(b"HTTP/1.1 200 X\r\nContent-Length: 100\r\n\r\n")
            writer.close()
        else:
            await answer(asked, writer)

    async with serving(cut_off if cut else answer) as server:
        watch = PoolWatch(server.api(clock), NF_DEPLOYMENT, clock)
        changed = asyncio.Event()
        watch.join(DU_1, changed)
        async with asyncio.timeout(60):
            await over.wait()
        watch.leave(DU_1, changed)
    return clock.slept


async def test_a_proxy_that_ends_each_watch_at_once_is_not_asked_without_a_pause() -> None:
    assert await pauses(8, 0.0, cut=False) == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]
    assert await pauses(3, 240.0, cut=False) == []


async def test_a_proxy_that_cuts_silent_watches_lets_none_be_away_for_long() -> None:
    assert await pauses(4, 35.0, cut=True) == [1.0] * 4
    assert await pauses(4, 1.0, cut=True) == [1.0, 2.0, 4.0, 8.0]
