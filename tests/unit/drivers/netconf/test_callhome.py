"""Which stations may call, by which identity, as targets come, change and go."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Hashable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from itertools import pairwise

from controller.drivers.netconf import callhome
from controller.drivers.netconf.callhome import CallHome, Visit
from controller.drivers.netconf.target import NetconfTarget
from tests.support.waiting import until

PATIENCE = 120.0


class _Door:
    """Notes who may call at the begin of each call, and breaks it off."""

    we_begin = True

    def __init__(self) -> None:
        self.noted: list[dict[Hashable, str]] = []

    def expect(self, target: NetconfTarget) -> Hashable:
        return target.host_key

    def visit(self, expected: Mapping[Hashable, NetconfTarget], peer: str) -> Visit:
        self.noted.append({identity: target.device for identity, target in expected.items()})
        raise OSError("that is all")


class _Bench:
    """Our side of calls home, and a caller."""

    def __init__(self) -> None:
        self.door = _Door()
        self.calls = CallHome({"ssh": lambda: self.door}, PATIENCE, lambda *_: None)
        self.port = self.calls.listen("127.0.0.1", 0)

    async def may_call(self) -> dict[Hashable, str]:
        """Stations by the identity under which a caller is let in now."""
        before = len(self.door.noted)
        _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        await until(lambda: len(self.door.noted) > before)
        writer.close()
        return self.door.noted[-1]


def station(name: str, key: str) -> NetconfTarget:
    return NetconfTarget(name, ("lte-28658",), "", 830, key, "minka", "device", call_home=True)


async def test_a_station_with_a_new_key_is_known_by_that_alone_and_others_as_before() -> None:
    bench = _Bench()
    try:
        for one in (station("S1", "old"), station("S2", "other")):
            bench.calls.expect(one)
        assert await bench.may_call() == {"old": "S1", "other": "S2"}
        bench.calls.expect(station("S1", "new"))
        assert await bench.may_call() == {"new": "S1", "other": "S2"}, "its old key is nobody's"
        bench.calls.expect(replace(station("S1", "new"), port=831))
        assert await bench.may_call() == {"new": "S1", "other": "S2"}
        await bench.calls.expect_in_force(station("S2", "last"))
        assert await bench.may_call() == {"new": "S1", "last": "S2"}
    finally:
        await bench.calls.close()


async def test_files_in_force_leave_nobody_else_and_no_earlier_key() -> None:
    bench = _Bench()
    try:
        bench.calls.expect_only([station("S1", "old"), station("S2", "other"), station("S3", "third")])
        bench.calls.expect_only([station("S1", "other"), station("S2", "old")])
        assert await bench.may_call() == {"other": "S1", "old": "S2"}, "they changed keys, and S3 is gone"
    finally:
        await bench.calls.close()


async def test_stations_that_change_keys_with_each_other_one_after_the_other_are_both_known() -> None:
    bench = _Bench()
    try:
        for one in (station("S1", "old"), station("S2", "other"), station("S1", "other"), station("S2", "old")):
            bench.calls.expect(one)
        assert await bench.may_call() == {"other": "S1", "old": "S2"}
    finally:
        await bench.calls.close()


async def test_callers_that_wait_in_great_numbers_leave_others_their_turns() -> None:
    bench = _Bench()
    with ExitStack() as callers:
        for _ in range(200):
            callers.enter_context(socket.create_connection(("127.0.0.1", bench.port)))
        taken = [len(bench.door.noted)]
        while taken[-1] < 200:
            await asyncio.sleep(0)
            taken.append(len(bench.door.noted))
        assert max(now - before for before, now in pairwise(taken)) <= callhome._ACCEPTED
        await bench.calls.close()
