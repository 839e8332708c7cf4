"""``minka wait`` says what it waits for, and at its end how far that was."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from unittest.mock import patch

import pytest

from controller.cli.processes import _claim, _say_progress
from controller.ports.clock import SystemClock
from tests.support.minka import CommandResult, minka


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MINKA_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def started(home: Path) -> Iterator[Path]:
    """A folder in which `minka up` runs."""
    with _claim(home):
        yield home


def _wait(home: Path, *states: str, words: tuple[str, ...] = ()) -> CommandResult:
    """Wait while `minka up` comes through states, one at each look, the last of them up."""
    left = list(states)

    def go_on(_: SystemClock, __: float) -> None:
        if not left:
            (home / "up.txt").write_text("Minka is up\n", encoding="utf-8")
        else:
            _say_progress(home, left.pop(0))

    with patch.object(SystemClock, "pause", go_on):
        return minka("wait", *words)


def test_each_state_is_told_once(started: Path) -> None:
    one, two = "1 of 2 processes are ready, not yet worker-0", "the database is prepared"
    said = _wait(started, two, two, one, one)
    begin = f"waits for Minka in {started}, for 180 s at most: it is still starting: "
    assert said.err.splitlines() == [f"{begin}{state}" for state in ("it began just now", two, one)]
    assert (said.status, said.out) == (0, "Minka is up\n")


def test_json_is_alone(started: Path) -> None:
    said = _wait(started, "the database is prepared", words=("--json",))
    assert (said.status, said.err) == (0, "")
    assert json.loads(said.out)["home"] == str(started)


def test_at_its_end_it_says_how_far_that_was(started: Path) -> None:
    _say_progress(started, "3 of 4 processes are ready, not yet listener (ended 2×)")
    said = minka("wait", "--timeout", "0.3")
    assert said.status == 1
    assert "is not up after 0.3 s: it is still starting: 3 of 4 processes are ready, not yet listener" in said.err


def test_that_nobody_started_it_is_told(home: Path) -> None:
    _say_progress(home, "of one that was killed")
    said = minka("wait", "--timeout", "0.3")
    assert (said.status, said.err.count("no minka up runs there; if you did not start one just now: minka up")) == (
        1,
        2,
    )
    assert "killed" not in said.err
    assert "logs" not in said.err, "nothing wrote any"


def test_who_waits_before_it_begins_is_told_so_and_then_how_far_it_is(home: Path) -> None:
    """Who starts both at once waits some seconds before `minka up` has begun: that is no mistake."""
    with ExitStack() as begun:

        def go_on(_: SystemClock, __: float) -> None:
            if (home / "begun").exists():
                (home / "up.txt").write_text("Minka is up\n", encoding="utf-8")
            else:
                (home / "begun").touch()
                begun.enter_context(_claim(home))

        with patch.object(SystemClock, "pause", go_on):
            said = minka("wait")
    prefix = f"waits for Minka in {home}, for 180 s at most: "
    assert said.err.splitlines() == [
        f"{prefix}no minka up runs there; if you did not start one just now: minka up",
        f"{prefix}it is still starting: it began just now",
    ]
    assert (said.status, said.out) == (0, "Minka is up\n")
