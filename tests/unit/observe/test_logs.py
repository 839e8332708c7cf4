"""Logs never stop anything."""

from __future__ import annotations

import json
import logging
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import structlog

from controller.observe.logs import set_up_logs

FULL = Path("/dev/full")


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    yield
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    logging.captureWarnings(capture=False)


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


@contextmanager
def bare_root() -> Iterator[None]:
    """The root logger without the handlers of pytest, as a process has it."""
    root = logging.getLogger()
    before, root.handlers = root.handlers, []
    try:
        yield
    finally:
        root.handlers = before


@pytest.mark.parametrize("form", ["json", "console"])
def test_nor_does_what_libraries_log(capsys: pytest.CaptureFixture[str], form: str) -> None:
    with bare_root():
        set_up_logs(form, "test")
        logging.getLogger("asyncssh").warning("%s", "\x1b[2J\x9b1m\r\u202e\nforged")
    (line,) = capsys.readouterr().err.splitlines()
    assert line.isprintable()


def test_what_libraries_log_is_json_as_all_else(capsys: pytest.CaptureFixture[str]) -> None:
    """As Celery does where its broker is away: a traceback, blank lines, and a warning of Python."""
    with bare_root(), warnings.catch_warnings():
        warnings.simplefilter("always")
        set_up_logs("json", "worker-7")
        try:
            raise ConnectionError("gone")
        except ConnectionError:
            consumer = logging.getLogger("celery.worker.consumer")
            consumer.warning("consumer: Connection to %s lost...\n", "redis", exc_info=True)
        warnings.warn("as the superuser", RuntimeWarning, stacklevel=1)
    lost, warned = map(json.loads, capsys.readouterr().err.splitlines())
    assert (lost["event"], lost["level"], lost["logger"]) == ("library.logged", "warning", "celery.worker.consumer")
    assert (lost["text"], lost["process"]) == ("consumer: Connection to redis lost...", "worker-7")
    assert "ConnectionError: gone" in lost["exception"]
    assert lost["timestamp"].endswith("Z")
    assert (warned["logger"], "as the superuser" in warned["text"]) == ("py.warnings", True)
