"""A worker's consumer of wake-ups outlives whatever its broker says."""

from __future__ import annotations

from pathlib import Path

import pytest
from celery.utils.imports import symbol_by_name
from structlog.testing import capture_logs

from controller.queue import consumer
from controller.queue.app import make_app
from controller.queue.consumer import LastingConsumer


class Broken:
    """A connection that can't even be given up in order."""

    def collect(self) -> None:
        raise OSError("it is gone")


def test_workers_consume_with_it(tmp_path: Path) -> None:
    app = make_app("minka-spool://", tmp_path)
    assert symbol_by_name(app.conf.worker_consumer) is LastingConsumer


@pytest.mark.parametrize("connection", [None, Broken()])
def test_an_error_costs_a_moment(monkeypatch: pytest.MonkeyPatch, connection: Broken | None) -> None:
    monkeypatch.setattr(consumer, "_RETRY", 0.001)
    one = LastingConsumer.__new__(LastingConsumer)
    one.connection = connection
    with capture_logs() as said:
        for tell in (one.on_connection_error_before_connected, one.on_connection_error_after_connected):
            tell(ValueError("not a message"))
    assert [(line["event"], line["reason"]) for line in said] == [("consumer.silent", "ValueError")] * 2
