"""From the wakeups to the wake of a worker, over both brokers."""

from __future__ import annotations

import contextlib
import os
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.queue.app import make_app
from controller.queue.wakeups import CeleryWakeups, SchedulerWakeups
from tests.support.forks import ForkedProcess
from tests.support.redis import redis_server

REDIS = pytest.param("redis", marks=pytest.mark.needs("redis-server"))


@pytest.fixture(params=["spool", REDIS])
def broker(request: pytest.FixtureRequest) -> Iterator[str]:
    with contextlib.ExitStack() as stack:
        yield "minka-spool://" if request.param == "spool" else stack.enter_context(redis_server()).url


def heard(notes: Path, count: int, seconds: float = 30) -> dict[str, float]:
    """When which ring was heard, once ``count`` of them were."""
    end = time.monotonic() + seconds
    while True:
        lines = notes.read_text(encoding="utf-8").splitlines() if notes.exists() else []
        if len(lines) >= count:
            return {run: float(at) for run, at in (line.split() for line in lines)}
        assert time.monotonic() < end, f"{len(lines)} of {count} rings were heard"
        time.sleep(0.02)


def test_a_ring_for_the_scheduler_reaches_it_and_no_worker(broker: str, tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    wakeups = CeleryWakeups(make_app(broker, spool))
    heard_at: list[float] = []
    rings = SchedulerWakeups(make_app(broker, spool), lambda: heard_at.append(time.monotonic()))
    try:
        for number in (1, 2):
            wakeups.wake_workers("a run")
            began = time.monotonic()
            wakeups.wake_scheduler()
            while len(heard_at) < number:
                assert time.monotonic() < began + 20, "the ring was not heard"
                time.sleep(0.02)
            time.sleep(0.3)
            assert len(heard_at) == number
    finally:
        rings.close()
        wakeups.close()


@pytest.mark.needs("redis-server")
@pytest.mark.parametrize(
    ("refuse", "take"),
    [
        ("config set maxmemory 1", "config set maxmemory 0"),
        ("replicaof 127.0.0.1 1", "replicaof no one"),
        ("acl setuser default -lpush", "acl setuser default +@all"),
    ],
    ids=["full", "replica", "forbids"],
)
def test_a_broker_that_gives_and_takes_nothing_is_down(refuse: str, take: str, tmp_path: Path) -> None:
    """Sessions go on, so nobody would notice by reading."""
    found: list[bool] = []

    def until_found(up: bool) -> None:
        end = time.monotonic() + 60
        while not found or found[-1] is not up:
            assert time.monotonic() < end, found
            time.sleep(0.02)

    with redis_server() as server:
        rung: list[float] = []
        rings = SchedulerWakeups(make_app(server.url, tmp_path), lambda: rung.append(time.monotonic()), found.append)
        try:
            until_found(True)
            server.tell(*refuse.split())
            until_found(False)
            server.tell(*take.split())
            until_found(True)
            assert rung == [], "what is written to find that out wakes nobody"
        finally:
            rings.close()


def test_wakeups_are_heard_at_once_one_by_one_and_in_bursts(broker: str, tmp_path: Path) -> None:
    notes, spool = tmp_path / "notes", tmp_path / "spool"
    words = ["tests.integration.shapes.ringing", broker, str(spool), str(notes)]
    with (tmp_path / "log").open("wb") as log:
        process = ForkedProcess(words, os.environ, log, log)
    wakeups = CeleryWakeups(make_app(broker, spool))
    try:
        wakeups.wake_workers("first")
        heard(notes, 1)
        sent = {}
        for index in range(15):
            time.sleep(0.1)
            sent[str(index)] = time.monotonic()
            wakeups.wake_workers(str(index))
        at = heard(notes, 16)
        # Tens of milliseconds here (docs/explanation/queue.md); a machine that does much else gets a second.
        assert statistics.median(at[run] - began for run, began in sent.items()) < 1
        began = time.monotonic()
        for index in range(60):
            wakeups.wake_workers(f"burst-{index}")
        heard(notes, 76)
        assert time.monotonic() - began < 10
    finally:
        wakeups.close()
        process.terminate()
        assert process.wait(60) == 0
