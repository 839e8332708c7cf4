"""Following a run goes on where its stream breaks off, and gives up in the end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import pytest

from controller.cli.client import UNREACHABLE, WRONG_INPUT, Client, CliError
from controller.cli.follow import _events
from controller.ports.clock import VirtualClock

Events = list[tuple[str, dict[str, Any]]]
RUNNING: tuple[str, dict[str, Any]] = ("run", {"state": "running"})
DONE: tuple[str, dict[str, Any]] = ("run", {"state": "succeeded"})


class Clock(VirtualClock):
    """Time in which pauses are counted and take none."""

    pauses = 0

    def pause(self, seconds: float) -> None:
        self.pauses += 1


class Api:
    """Streams as scripted: events, then an error or a plain end."""

    def __init__(self, *streams: tuple[Events, CliError | None]) -> None:
        self.streams = list(streams)

    def events(self, path: str) -> Iterator[tuple[str, Any]]:
        events, error = self.streams.pop(0) if len(self.streams) > 1 else self.streams[0]
        yield from events
        if error:
            raise error


def follow(api: Api, clock: Clock) -> Events:
    return list(_events(cast("Client", api), "r-1", clock))


GONE = CliError("gone", UNREACHABLE)


def test_a_stream_that_breaks_off_is_taken_up_again() -> None:
    clock = Clock()
    api = Api(([RUNNING], GONE), ([], GONE), ([RUNNING], None), ([RUNNING, DONE], None))
    assert follow(api, clock) == [RUNNING, RUNNING, RUNNING, DONE]
    assert clock.pauses == 3


def test_nobody_waits_for_ever() -> None:
    clock = Clock()
    with pytest.raises(CliError, match="gone"):
        follow(Api(([], GONE)), clock)
    assert clock.pauses == 30


def test_a_refusal_is_no_broken_stream() -> None:
    with pytest.raises(CliError, match="no run"):
        follow(Api(([], CliError("no run", WRONG_INPUT))), Clock())
