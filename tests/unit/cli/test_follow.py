"""Following a run goes on where its stream breaks off, and gives up in the end."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
import typer

from controller.cli import follow as follow_module
from controller.cli.client import FAILED, UNREACHABLE, WRONG_INPUT, Client, CliError, refused
from controller.cli.follow import _events, _news
from controller.cli.output import err, out
from controller.cli.waits import show_waits
from controller.models.settings import Settings
from controller.ports.clock import VirtualClock
from tests.support.minka import environment, minka

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
    return list(_events(cast("Client", api), "/v1/runs/r-1/events", clock))


GONE = CliError("gone", UNREACHABLE)


def test_a_stream_that_breaks_off_is_taken_up_again() -> None:
    clock = Clock()
    api = Api(([RUNNING], GONE), ([], GONE), ([RUNNING], None), ([RUNNING, DONE], None))
    assert follow(api, clock) == [RUNNING, RUNNING, RUNNING, DONE]
    assert clock.pauses == 3


def test_who_follows_alarms_survives_a_restart_of_the_api_and_is_told_all_once() -> None:
    raised, cleared = ({"id": "a-1", "state": state} for state in ("raised", "cleared"))
    other = {"id": "a-2", "state": "raised"}
    first, again = [("alarm", raised), ("alarm", other)], [("alarm", other), ("alarm", cleared)]
    api = Api((first, GONE), ([], GONE), (again, None), (again, None), ([], CliError("no", WRONG_INPUT)))
    news = _news(_events(cast("Client", api), "/v1/alarms/events", Clock()))
    assert [next(news) for _ in range(3)] == [raised, other, cleared]
    with pytest.raises(CliError, match="no"):
        next(news)


@pytest.mark.parametrize(("status", "exits"), [(503, UNREACHABLE), (502, FAILED), (404, WRONG_INPUT)])
def test_what_the_api_refuses_has_a_status_of_its_own(status: int, exits: int) -> None:
    """A database that is away (503) is waited for, as an API that is."""
    assert refused(httpx.Response(status, json={"detail": "no"})).status == exits


def test_a_token_that_is_not_accepted_and_what_is_not_open_are_reported() -> None:
    wrong = httpx.Response(401, json={"detail": "a bearer token is needed"})
    assert str(refused(wrong, "MINKA_TOKEN")).startswith("the token of MINKA_TOKEN is not accepted: it is unknown")
    assert str(refused(wrong)).startswith("a token is needed: set MINKA_HOME")
    request = httpx.Request("GET", "http://x/v1/holds")
    absent = httpx.Response(404, json={"detail": "Not Found"}, request=request)
    assert str(refused(absent)).startswith("/v1/holds is not there: it is not open to your side or your role,")


def test_who_looks_in_a_wrong_home_is_told_which_one_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("MINKA_HOME", ".minka-wrong")
    monkeypatch.delenv("MINKA_TOKEN", raising=False)
    monkeypatch.chdir(tmp_path)
    home, answer = tmp_path / ".minka-wrong", httpx.Response(401, json={"detail": "a bearer token is needed"})
    assert str(Client(Settings())._refused(answer)) == (
        f"a token is needed, and {home} (MINKA_HOME) holds none: set MINKA_HOME to the folder of the controller, "
        "MINKA_TOKEN, or minka login"
    )
    home.mkdir()
    (home / "token").write_text("of-another\n")
    said = str(Client(Settings())._refused(answer))
    assert said.startswith(f"the token of the file {home / 'token'} is not accepted")
    assert said.endswith(f"; if another controller answers here, set MINKA_HOME to its folder in place of {home}")
    monkeypatch.setenv("MINKA_TOKEN", "of-somebody")
    assert "MINKA_HOME" not in str(Client(Settings())._refused(answer))


def test_nobody_waits_for_ever() -> None:
    clock = Clock()
    with pytest.raises(CliError, match="gone"):
        follow(Api(([], GONE)), clock)
    assert clock.pauses == 30


def test_a_refusal_is_no_broken_stream() -> None:
    with pytest.raises(CliError, match="no run"):
        follow(Api(([], CliError("no run", WRONG_INPUT))), Clock())


def test_fields_are_named_as_they_were_typed() -> None:
    detail = "body.strategy.canary: too small; query.state.0: wrong body.x"
    said = refused(httpx.Response(422, json={"detail": detail, "problems": [{}]}))
    assert str(said) == "strategy.canary: too small; state.0: wrong body.x"


def test_what_was_not_proved_of_good_ends_is_said_once_for_all(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also without a terminal, where bars are not shown."""
    kept = "not kept over a restart: PE-1 refused copy-config"
    jobs = [
        {"station": f"PE-{n}", "wave": 0, "outcome": outcome, "detail": detail}
        for n, (outcome, detail) in enumerate(
            [("succeeded", kept)] * 7 + [("succeeded", ""), ("unchanged", "as it is")]
        )
    ]
    end = {"state": "succeeded", "wave": 0, "counts": {"succeeded": 8, "unchanged": 1}}
    api = Api(([*(("job", job) for job in jobs), ("run", end)], None))
    api.all = lambda path: jobs  # type: ignore[attr-defined]
    api.get = lambda path: end  # type: ignore[attr-defined]
    monkeypatch.setattr(follow_module, "client", lambda: api)
    follow_module.follow("r-1")
    said = capsys.readouterr().out
    assert said.count(kept) == 1
    assert f"7 devices: {kept} (PE-0, PE-1, PE-2, PE-3, PE-4 and 2 more)" in said
    assert "as it is" not in said


def test_devices_that_end_alike_are_one_line_with_their_number(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first is said at once, all of them at the end; who ends otherwise has a line of its own."""
    names = [f"PE-{n}" for n in range(24)]
    jobs = [
        {"station": name, "wave": 0, "outcome": "failed-safe", "detail": f"{name} (10.0.0.{n} port {4000 + n}): denied"}
        for n, name in enumerate(names)
    ]
    jobs.append({"station": "PE-X", "wave": 0, "outcome": "refused", "detail": "PE-X changed since"})
    end = {"state": "failed", "wave": 0, "counts": {"failed-safe": 24, "refused": 1}}
    api = Api(([*(("job", job) for job in jobs), ("run", end)], None))
    api.all = lambda path: jobs  # type: ignore[attr-defined]
    api.get = lambda path: end  # type: ignore[attr-defined]
    monkeypatch.setattr(follow_module, "client", lambda: api)
    with pytest.raises(typer.Exit):
        follow_module.follow("r-1")
    assert capsys.readouterr().out.splitlines() == [
        "PE-0: failed-safe PE-0 (10.0.0.0 port 4000): denied",
        "PE-X: refused PE-X changed since",
        "wave 0: 25 done",
        "failed-safe 24 devices: denied (PE-0, PE-1, PE-2, PE-3, PE-4 and 19 more)",
        "run r-1 failed: 24 failed-safe, 1 refused",
    ]


def test_the_end_of_a_run_that_stopped_itself_says_why(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    jobs = [{"station": "PE-0", "wave": 0, "outcome": "refused", "detail": "PE-0 changed since"}]
    jobs += [{"station": f"PE-{n}", "wave": 1, "outcome": "cancelled", "detail": ""} for n in (1, 2)]
    why = "1 failures reached the threshold of 1: PE-0 ended refused"
    end = {"state": "stopped", "wave": 1, "counts": {"refused": 1, "cancelled": 2}, "halted": why}
    api = Api(([*(("job", job) for job in jobs), ("run", end)], None))
    api.all = lambda path: jobs  # type: ignore[attr-defined]
    api.get = lambda path: end  # type: ignore[attr-defined]
    monkeypatch.setattr(follow_module, "client", lambda: api)
    with pytest.raises(typer.Exit):
        follow_module.follow("r-1")
    last = ["run r-1 stopped: 2 cancelled, 1 refused", f"stopped: {why}"]
    printed = capsys.readouterr().out.splitlines()
    assert printed[-2:] == last
    assert [line for line in printed if line.startswith("PE-1:")] == ["PE-1: cancelled"], "no blank for no reason"


def test_a_wave_says_for_which_devices_it_waits(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    jobs = [{"station": f"PE-{n}", "wave": 0, "outcome": "succeeded", "detail": ""} for n in range(3)]
    monkeypatch.setattr(out, "_force_terminal", True)
    bars = follow_module._Bars({}, jobs, silent=False)
    (task,) = bars.progress.tasks
    awaited = [task.fields["awaited"]]
    bars.run({"state": "running", "wave": 0, "counts": {}})
    awaited.append(task.fields["awaited"])
    for job in jobs:
        bars.job(job)
        awaited.append(task.fields["awaited"])
    assert awaited == ["", "waits for PE-0 and 2 more", "waits for PE-1 and 1 more", "waits for PE-2", ""]
    assert (task.completed, task.total) == (3, 3)


def test_adopting_shows_at_a_terminal_how_far_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    said = [("progress", {"done": 1200, "total": 3100}), ("progress", {"done": 3100, "total": 3100})]
    text = "".join(f"event: {name}\ndata: {json.dumps(data)}\n\n" for name, data in said)
    made = {"S1": ("adopted", "7 nodes"), "S2": ("unread", "no answer"), "S3": ("empty", "nothing yet")}
    outcomes = {name: {"code": code, "words": words} for name, (code, words) in made.items()}
    text += f"event: adopted\ndata: {json.dumps(outcomes)}\n\n"
    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", lambda *_: httpx.Response(200, text=text))
    monkeypatch.setattr(err, "_force_terminal", True)
    monkeypatch.setattr(err, "is_interactive", True)
    monkeypatch.setenv("TERM", "xterm")
    shown = minka("device", "adopt", "*", "--beside", "ran1", env=environment(tmp_path, 1))
    assert (shown.status, shown.out.splitlines()) == (1, ["not adopted S2: no answer", "2 of 3 adopted"])
    assert "reading and adopting devices" in shown.err
    assert "1200/3100" in shown.err
    assert "putting them on record" in shown.err


def test_only_the_wave_of_the_canary_is_called_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    jobs = [{"station": f"PE-{wave}", "wave": wave, "outcome": "succeeded", "detail": ""} for wave in range(3)]
    run = {"state": "running", "wave": 0, "counts": {}}
    for strategy, named in (
        ({"canary": 1, "canary_wave": 1}, "wave 0: 1 done\ncanary: 1 done\nwave 2: 1 done\n"),
        ({"canary": 0, "canary_wave": 0}, "wave 0: 1 done\nwave 1: 1 done\nwave 2: 1 done\n"),
        (None, "wave 0: 1 done\nwave 1: 1 done\nwave 2: 1 done\n"),
    ):
        now = run if strategy is None else {**run, "strategy": strategy}
        # What is watched may be over: then the events of its jobs come first.
        api = Api(([*(("job", job) for job in jobs), ("run", {**now, "state": "succeeded"})], None))
        api.all = lambda path: jobs  # type: ignore[attr-defined]
        api.get = lambda path, now=now: now  # type: ignore[attr-defined]
        monkeypatch.setattr(follow_module, "client", lambda api=api: api)
        follow_module.follow("r-1")
        assert named in capsys.readouterr().out


def test_planning_shows_at_a_terminal_how_far_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[str] = []

    made: dict[str, Any] = {"id": "42327bc0ca30", "changes": [], "unplanned": {}, "unchanged": ["S"]}
    made |= {"findings": [], "selector": "*"}

    def answer(_: object, request: httpx.Request) -> httpx.Response:
        asked.append(request.url.query.decode())
        said = [("progress", {"done": 1200, "total": 3100}), ("plan", made)]
        allow = {"remove": {"bitel": 7}, "expect_stations": 9}
        if "refused" in request.content.decode():
            said[1] = ("problem", {"status": 409, "detail": "in whatever words", "allow": allow})
        text = "".join(f"event: {name}\ndata: {json.dumps(data)}\n\n" for name, data in said)
        return httpx.Response(200, text=text) if "progress" in asked[-1] else httpx.Response(201, json=made)

    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", answer)
    env = environment(tmp_path, 1)
    assert minka("plan", env=env).out.startswith("Nothing to do: 1 device carries")
    monkeypatch.setattr(err, "_force_terminal", True)
    monkeypatch.setattr(err, "is_interactive", True)
    monkeypatch.setenv("TERM", "xterm")
    said = minka("plan", env=env)
    assert said.out.startswith("Nothing to do: 1 device carries")
    assert "reading devices" in said.err
    assert "1200/3100" in said.err
    left = {"nodes": {"bitel": 395}, "devices": 24, "remove": {"bitel": 395}, "expect_stations": 24}
    made |= {"orphans": left | {"identities": False, "afterwards": False}}
    orphaned = minka("plan", "--exit-code", env=env)
    assert (orphaned.status, minka("plan", env=env).status) == (11, 0)
    assert orphaned.out.endswith("\nRemove the orphaned nodes with: minka plan --remove bitel=395 --expect 24\n")
    refused = minka("plan", "refused", env=env)
    assert refused.status == 2
    assert "(--remove bitel=7 --expect 9)" in " ".join(refused.err.split())
    assert "1200/3100" in minka("undo", "r-21748f9c95", env=env).err
    assert asked == ["", *["progress=true"] * 5]


def test_a_wait_that_is_over_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    approval, window = "approval by 1 of bitel to reduce", "waits for the window at 22:00"
    waits = [{"what": what, "since": "2026-11-26T02:14:07Z", "stations": 1, "who": ""} for what in (approval, window)]
    shown = show_waits({"state": "running", "waits_for": waits})
    capsys.readouterr()
    shown = show_waits({"state": "running", "waits_for": waits[1:]}, shown)
    assert capsys.readouterr().out.split() == f"over {approval}".split()
    shown = show_waits({"state": "running", "waits_for": []}, shown)
    assert capsys.readouterr().out.split() == f"over {window}: it is at work".split()
    assert show_waits({"state": "running", "waits_for": []}, shown) == set()
    show_waits({"state": "cancelled", "waits_for": []}, {approval})
    assert capsys.readouterr().out == "", "its end is told otherwise"
