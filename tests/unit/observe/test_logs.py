"""Logs never stop anything."""

from __future__ import annotations

import json
import logging
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from controller.observe.logs import _Formatter, set_up_logs

FULL = Path("/dev/full")


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    yield
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


@pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("form", ["json", "console"])
def test_a_disk_that_is_full_loses_records_and_stops_nobody(monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    full = FULL.open("w", encoding="utf-8")
    monkeypatch.setattr(sys, "stderr", full)
    set_up_logs(form, "test")
    with pytest.raises(OSError, match="No space left"):
        print("not even this", file=full, flush=True)
    try:
        raise ZeroDivisionError
    except ZeroDivisionError:
        structlog.get_logger().exception("it.broke", detail="x" * 100_000)
    with pytest.raises(OSError, match="No space left"):
        full.close()


def test_records_of_other_threads_name_the_process_too(capfd: pytest.CaptureFixture[str]) -> None:
    set_up_logs("json", "worker-7")
    thread = threading.Thread(target=structlog.get_logger().warning, args=("it.works",))
    thread.start()
    thread.join()
    assert json.loads(capfd.readouterr().err)["process"] == "worker-7"


@pytest.mark.parametrize("form", ["json", "console"])
def test_no_text_acts_on_the_terminal_that_shows_a_log(capsys: pytest.CaptureFixture[str], form: str) -> None:
    hostile = "\x1b[2J\x9b1m\r\u202e\nforged"
    set_up_logs(form, "test")
    structlog.get_logger().warning(hostile, detail=hostile)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.isprintable()
    try:
        raise ValueError(hostile)
    except ValueError:
        structlog.get_logger().exception("it.broke")
    assert capsys.readouterr().err.replace("\n", "").isprintable()


def test_nor_does_what_libraries_log() -> None:
    record = logging.LogRecord("asyncssh", logging.WARNING, "", 0, "%s", ("\x1b[2J",), None)
    assert _Formatter("%(name)s %(message)s").format(record) == r"asyncssh \x1b[2J"
