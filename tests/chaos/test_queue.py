"""The queue only wakes: lost, wiped, refusing, full of garbage, it costs latency, never a worker or its work."""

from __future__ import annotations

import bz2
import json
import time
from base64 import b64encode
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from kombu import Connection

from controller.models.run import JournalStep
from controller.queue.app import QUEUE
from tests.chaos.attempts import STATION, assert_right, begin, change, reached
from tests.support.process_system import ProcessSystem

pytestmark = pytest.mark.needs("initdb", "redis-server")


@pytest.fixture(autouse=True)
def _whole(system: ProcessSystem) -> None:
    assert system.redis is not None
    system.clear_faults(STATION)


@pytest.mark.parametrize("how", ["restarted", "wiped", "wiped and away for a while"])
def test_redis_is_lost_in_mid_run(system: ProcessSystem, how: str) -> None:
    assert system.redis is not None
    plan = change(system, "*")
    for each in plan.changes:
        system.fault(each.station, "delay", "commit", seconds=2)
    attempt = begin(system, plan)
    reached(system, attempt, JournalStep.COMMITTING)
    if how == "restarted":
        system.redis.restart()
    elif how == "wiped":
        system.redis.wipe()
    else:
        system.redis.kill()
    assert_right(system, attempt)
    if how == "wiped and away for a while":
        # Accepted while there is no broker at all: the database is the record.
        assert_right(system, begin(system, change(system)))
        system.redis.wipe()
    # And it rings again.
    assert_right(system, begin(system, change(system)))


@pytest.mark.parametrize(
    ("refuse", "take"),
    [
        (("config", "set", "maxmemory", "1"), ("config", "set", "maxmemory", "0")),
        (("replicaof", "127.0.0.1", "1"), ("replicaof", "no", "one")),
        (("acl", "setuser", "default", "-sadd", "-lpush", "-brpop"), ("acl", "setuser", "default", "+@all")),
    ],
    ids=["full", "replica", "forbids"],
)
def test_redis_answers_and_refuses_what_is_written(
    system: ProcessSystem, refuse: Sequence[str], take: Sequence[str]
) -> None:
    """It costs no worker, and no run that is accepted meanwhile."""
    assert system.redis is not None
    workers = {name: system.processes[name].pid for name in ("worker-1", "worker-2")}

    def refused(name: str) -> int:
        return system.log(name).count("consumer.silent")

    seen = {name: refused(name) for name in workers}
    attempt = begin(system, change(system))
    system.redis.tell(*refuse)
    system.redis.tell("client", "kill", "type", "normal", "skipme", "yes")
    try:
        assert_right(system, attempt)
        assert_right(system, begin(system, change(system)))
        system.until("all were refused", lambda: all(refused(name) > seen[name] for name in workers))
    finally:
        system.redis.tell(*take)
    assert_right(system, begin(system, change(system)))
    assert {name: system.processes[name].pid for name in workers} == workers


def _put(system: ProcessSystem, text: bytes) -> None:
    """Put raw bytes where Celery's workers read."""
    assert system.redis is not None
    with Connection(system.redis.url) as connection:
        connection.channel().client.lpush(QUEUE, text)


def _message(task: str, body: str, more: Mapping[str, str] | None = None, **properties: object) -> bytes:
    headers = {
        **(more or {}),
        "lang": "py",
        "task": task,
        "id": "x-1",
        "root_id": "x-1",
        "parent_id": None,
        "group": None,
    }
    delivery = {
        "delivery_info": {"exchange": "", "routing_key": QUEUE},
        "delivery_tag": "t-1",
        "body_encoding": "utf-8",
    }
    content = {"body": body, "headers": headers, "properties": {**delivery, **properties},
               "content-type": "application/json", "content-encoding": "utf-8"}  # fmt: skip
    return json.dumps(content).encode()


GARBAGE = {
    "no JSON": b"not-json",
    "another shape": b'{"some": "thing"}',
    "a list": b"[1, 2, 3]",
    "an unknown task": _message("minka.from-the-future", "[[], {}, {}]"),
    "arguments that don't fit": _message("minka.wake", "[[1, 2, 3], {}, {}]"),
    "a body that is no JSON": _message("minka.wake", "]["),
}


@pytest.mark.parametrize("what", GARBAGE)
def test_garbage_on_the_queue(system: ProcessSystem, what: str) -> None:
    """A poison message ends no worker."""
    workers = {name: system.processes[name].pid for name in ("worker-1", "worker-2")}
    plan = change(system)
    system.fault(STATION, "delay", "commit", seconds=2)
    attempt = begin(system, plan)
    reached(system, attempt, JournalStep.COMMITTING)
    _put(system, GARBAGE[what])
    assert_right(system, attempt)
    began = time.monotonic()
    second = begin(system, change(system))
    assert_right(system, second)
    assert time.monotonic() - began < 30
    assert {name: system.processes[name].pid for name in workers} == workers
    assert workers.keys() <= {one.name for one in system.store.processes.alive()}


def test_what_unpacks_to_a_gigabyte_is_never_unpacked(system: ProcessSystem) -> None:
    """2 kB of bzip2 by anybody who can write to Redis."""
    assert system.redis is not None
    bomb = bz2.compress(bytes(64 << 20)) * 16
    assert len(bomb) < 2048
    headers = {"compression": "application/x-bz2"}
    for _ in range(4):
        _put(system, _message("minka.wake", b64encode(bomb).decode(), headers, body_encoding="base64"))
    system.until("all messages are read", lambda: not _waiting(system))
    assert_right(system, begin(system, change(system)))
    for name in ("worker-1", "worker-2"):
        kept = Path(f"/proc/{system.processes[name].pid}/status").read_text(encoding="ascii")
        peak = int(kept.partition("VmHWM:")[2].split()[0]) * 1024
        assert peak < 600 << 20, name


def _waiting(system: ProcessSystem) -> int:
    assert system.redis is not None
    with Connection(system.redis.url) as connection:
        number: int = connection.channel().client.llen(QUEUE)
    return number


def test_doubled_and_foreign_rings(system: ProcessSystem) -> None:
    plan = change(system, "*")
    for _ in range(50):
        _put(system, _message("minka.wake", '[["r-nobody"], {}, {}]'))
    attempt = begin(system, plan)
    for _ in range(50):
        _put(system, _message("minka.wake", json.dumps([[attempt.run], {}, {}])))
    assert_right(system, attempt)
