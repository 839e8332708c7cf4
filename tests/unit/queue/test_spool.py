"""The spool: messages appear whole, go to one reader, and garbage harms nobody."""

from __future__ import annotations

import base64
import bz2
import json
import threading
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from queue import Empty

import pytest
from kombu import Connection, Message

from controller.queue.app import QUEUE, WAKE, make_app
from controller.queue.wakeups import CeleryWakeups


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture
def connection(folder: Path) -> Iterator[Connection]:
    with make_app("minka-spool://", folder).connection_for_read() as opened:
        yield opened


def wake_workers(folder: Path, run: str) -> None:
    make_app("minka-spool://", folder).send_task(WAKE, args=(run,), ignore_result=True)


def messages(folder: Path) -> list[Path]:
    return sorted(folder.joinpath("messages").glob("*.msg"))


def test_messages_come_in_order_and_once(folder: Path, connection: Connection) -> None:
    for run in ("r-1", "r-2", "r-3"):
        wake_workers(folder, run)
    channel = connection.channel()
    got = [channel._get(QUEUE)["headers"]["argsrepr"] for _ in range(3)]
    assert got == ["('r-1',)", "('r-2',)", "('r-3',)"]
    with pytest.raises(Empty):
        channel._get(QUEUE)
    assert not list(folder.joinpath("messages").iterdir())


def test_a_message_that_is_being_written_is_not_seen(folder: Path, connection: Connection) -> None:
    folder.joinpath("messages", ".half.part").write_text("{")
    with pytest.raises(Empty):
        connection.channel()._get(QUEUE)


def message(content: str) -> bytes:
    """A message of the right shape with some content."""
    return json.dumps({"body": base64.b64encode(content.encode()).decode(), "properties": {}}).encode()


GARBAGE = [
    b"",
    b"not-json",
    b"[1, 2]",
    b'{"wrong": "shape"}',
    b"\xff\xfe\x00",
    b"[" * 30_000,
    b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
    b'{"properties": {"deep": ' + b"[" * 100 + b"]" * 100 + b'}, "body": "W10="}',
    message("[" * 20_000),
    message("[" * 100 + "]" * 100),
    message("not-json"),
    b'{"properties": {}, "body": 5}',
    message('["' + "x" * 70_000 + '"]'),
]


@pytest.mark.parametrize("garbage", GARBAGE, ids=range(len(GARBAGE)))
def test_garbage_is_set_aside_and_the_next_message_read(folder: Path, connection: Connection, garbage: bytes) -> None:
    folder.joinpath("messages", f"00000000000000000000_x.{QUEUE}.msg").write_bytes(garbage)
    wake_workers(folder, "r-1")
    assert "r-1" in connection.channel()._get(QUEUE)["headers"]["argsrepr"]
    (kept,) = folder.joinpath("messages").iterdir()
    assert kept.suffix == ".garbage"
    assert kept.read_bytes() == garbage


@pytest.mark.parametrize("form", ["bzip2", "gzip", "xz", "zlib", "application/x-bz2"])
def test_no_message_is_unpacked(form: str) -> None:
    bomb = base64.b64encode(bz2.compress(b" " * (64 << 20))).decode()
    tracemalloc.start()
    try:
        got = Message(body=base64.b64decode(bomb), headers={"compression": form}, content_type="application/json")
        (_, error, _), *more = got.errors  # for which the consumer sets it aside
        assert (str(error), more) == ("our messages are not compressed", [])
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_many_readers_never_share_a_message(folder: Path) -> None:
    for index in range(60):
        wake_workers(folder, f"r-{index}")
    got: list[str] = []

    def read() -> None:
        with make_app("minka-spool://", folder).connection_for_read() as opened:
            channel = opened.channel()
            while messages(folder):
                try:
                    got.append(channel._get(QUEUE)["headers"]["argsrepr"])
                except Empty:
                    continue

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got) == sorted(f"('r-{index}',)" for index in range(60))


def test_a_broker_that_is_away_delays_nobody(tmp_path: Path) -> None:
    """Rings come from a thread of their own, and what piles up is dropped."""
    wakeups = CeleryWakeups(make_app("redis://127.0.0.1:1/0", tmp_path))
    began = time.monotonic()
    for index in range(1000):
        wakeups.wake_workers(f"r-{index}")
    # One attempt for each would take minutes: the bound is wide, for a machine that does much else.
    assert time.monotonic() - began < 20
    wakeups.close()
