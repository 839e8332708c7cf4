"""What one caller repeats, makes up or nests is bounded, so that it fills no record and stops nobody."""

from __future__ import annotations

import asyncio
import gzip
import json
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from controller.api.guard import HEAD_LIMIT
from controller.api.problems import VES
from controller.api.readings import Readings
from controller.api.services import STATION_SECONDS
from controller.models.alarm import AlarmReport, AlarmSource, PerceivedSeverity
from controller.models.approval import VoteChoice
from controller.models.errors import ConflictError, UnreachableError
from controller.models.people import Person, Role
from controller.models.untrusted_json import DEEPEST, has_more, is_deeper
from controller.nrm.tree import Observed
from controller.ports.clock import SystemClock, VirtualClock
from controller.store import Page, open_store
from controller.store.across.status import MOST_CAUSES, OTHER_CAUSE
from controller.store.runs import votes
from tests.security.app_requests import ask
from tests.security.test_parsers import EACH_KB
from tests.support.callers import admit
from tests.unit.api.bench import TINY, WEBHOOK_TOKEN, ApiBench, files_of, open_bench

SEEN = Observed(tree={}, state={}, unknown=())


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[ApiBench]:
    async with open_bench(tmp_path) as made:
        await made.client.put("/v1/network", json={"files": files_of(TINY)})
        admit(made.store, "token-of-rosa", "rosa", Role.TENANT_VIEWER, "andes")
        admit(made.store, "token-of-tom", "tom", Role.TENANT_VIEWER, "condor")
        yield made


# ------------------------------------------------------------------------- heads

#: Headers that we or the framework read, and parts of values that are costly to read badly.
HEADERS = (
    *("accept", "accept-encoding", "authorization", "content-encoding", "content-length", "content-type", "cookie"),
    *("host", "if-none-match", "last-event-id", "origin", "range", "x-forwarded-for"),
)
PARTS = (
    *("\\", '"', ";", "; a=", 'a="\\";', "=", ",", "a=b,", "1-2,", "bytes=0-", ".", " ", "%41", "a", "[", "{", "://"),
    *('minka_login="\\', 'minka_session="\\";', "a,b;q=0.1,", "form-data; boundary="),
)
OPENINGS = ("", 'a="', 'minka_login="', 'minka_session="', "bytes=", "Bearer ", "Basic ", "multipart/form-data; x=")


def values(size: int) -> Iterator[bytes]:
    for opening, part in product(OPENINGS, PARTS):
        yield (opening + (part * size)[: size - len(opening) - 1] + '"').encode()


@pytest.mark.parametrize("name", HEADERS)
async def test_a_head_costs_what_its_length_allows(bench: ApiBench, name: str) -> None:
    """Also where it comes in one piece, so that the HTTP server takes more than the 16 KiB that it keeps."""
    for method, path in (("GET", "/docs/start.js"), ("DELETE", "/v1/login"), ("POST", "/eventListener/v7")):
        await ask(bench.app, method, path, "")
        for value in (b"", *(one for size in (HEAD_LIMIT - 200, 60_000) for one in values(size))):
            began = time.thread_time()
            answer = await ask(bench.app, method, path, "", headers=[(name.encode(), value)])
            took, most = time.thread_time() - began, 0.1 + EACH_KB * len(value) / 1024
            assert took <= most, f"{took:.1f} s for {method} {path}, {len(value)} bytes that begin with {value[:30]!r}"
            assert answer.status < 500
            if len(value) > HEAD_LIMIT and name != "cookie":
                assert answer.status == (400 if path.startswith(VES) else 431)


async def test_a_browser_has_cookies_of_others_and_gets_its_answers(bench: ApiBench) -> None:
    """Those of other applications on the same host are not read, whatever they hold."""
    others = b'theme="dark\\"; long=' + b"x" * 2 * HEAD_LIMIT
    for cookies in (others, others + b"; minka_session=a.b.c", b"minka_session=a.b.c;" + others):
        answer = await ask(bench.app, "DELETE", "/v1/login", "", headers=[(b"cookie", cookies)])
        assert answer.status == 204
        assert (b"set-cookie" in dict(answer.headers)) is (b"minka_session" in cookies)


# ----------------------------------------------------------------------- nesting


def nested(levels: int) -> bytes:
    return b'{"selector":' + b"[" * levels + b"]" * levels + b"}"


@pytest.mark.parametrize("levels", [DEEPEST + 1, 1_000, 100_000])
@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/v1/plans"), ("POST", "/v1/webhooks/alertmanager"), ("PUT", "/v1/network"), ("POST", "/v1/tokens")],
)
async def test_a_deep_body_is_refused_as_such(bench: ApiBench, method: str, path: str, levels: int) -> None:
    answer = await ask(bench.app, method, path, "token-of-ana", body=nested(levels))
    assert (answer.status, answer.problem["detail"]) == (
        422,
        f"the JSON of the body is nested deeper than {DEEPEST} levels",
    )


@pytest.mark.parametrize("body", [gzip.compress(b"[0]" * 100_000), '{"selector":"Ñ"}'.encode("latin-1")])
async def test_a_body_that_is_no_text_is_refused_as_such(bench: ApiBench, body: bytes) -> None:
    """Nothing is decompressed, so that nothing grows here."""
    answer = await ask(bench.app, "POST", "/v1/plans", "token-of-ana", body=body)
    assert (answer.status, answer.problem["detail"]) == (
        422,
        "the body is not text in UTF-8; compressed bodies are not accepted",
    )


async def test_a_string_that_is_no_text_is_refused_as_such(bench: ApiBench) -> None:
    """No database, log or answer could have it."""

    async def told(name: bytes) -> tuple[int, bool]:
        labels = b'{"station":"T-LTE-1","object":"%s"}' % name
        alert = b'{"status":"firing","labels":%s,"startsAt":"2026-01-01T00:00:00Z"}' % labels
        body = b'{"version":"4","alerts":[%s]}' % alert
        answer = await ask(bench.app, "POST", "/v1/webhooks/alertmanager", WEBHOOK_TOKEN, body=body)
        return answer.status, b"half of a surrogate pair" in answer.body

    for half in (rb"\ud800", rb"\udc00", b"\xed\xa0\x80"):
        assert await told(half) == (422, True)
    assert await told(rb"\ud83d\ude00") == (200, False)
    body = rb'{"selector":"\ud800"}'
    answer = await ask(bench.app, "POST", "/v1/plans", "token-of-ana", body=body)
    assert (answer.status, b"half of a surrogate pair" in answer.body) == (422, True)


async def test_parameters_of_playbooks_are_no_deeper_either(bench: ApiBench) -> None:
    """Whatever is in them goes on record, and into expressions."""
    body = b'{"parameters":{"a":' + b'{"a":' * 200 + b"1" + b"}" * 200 + b'},"reason":"x"}'
    answer = await ask(bench.app, "POST", "/v1/playbooks/nothing/runs", "token-of-ana", body=body)
    assert (answer.status, "nested deeper" in answer.problem["detail"]) == (422, True)


async def test_a_body_as_deep_as_may_be_is_read(bench: ApiBench) -> None:
    answer = await ask(bench.app, "POST", "/v1/plans", "token-of-ana", body=nested(DEEPEST - 1))
    assert "nested" not in answer.problem["detail"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/tokens", b'{"label":"x","scopes":[' + b"0," * 200_000 + b"0]}"),
        ("/v1/webhooks/alertmanager", b'{"version":"4","alerts":[' + b"{}," * 200_000 + b"{}]}"),
        ("/v1/audit/anchors", b'{"anchors":[' + b"[]," * 200_000 + b"[]]}"),
    ],
)
async def test_a_body_of_very_many_values_is_refused_before_each_is_judged(
    bench: ApiBench, path: str, body: bytes
) -> None:
    token = WEBHOOK_TOKEN if "webhooks" in path else "token-of-ana"
    answer = await ask(bench.app, "POST", path, token, body=body)
    assert (answer.status, "more than 100,000 values" in answer.problem["detail"]) == (422, True)


async def test_an_answer_names_the_first_of_very_many_errors(bench: ApiBench) -> None:
    body = b'{"label":"x","scopes":[' + b"0," * 5000 + b"0]}"
    answer = await ask(bench.app, "POST", "/v1/tokens", "token-of-ana", body=body)
    assert (answer.status, len(answer.problem["problems"])) == (422, 50)
    assert answer.problem["detail"].endswith(f"; and {5001 - 50} more")
    assert len(json.dumps(answer.problem)) < 50_000


def test_values_are_counted_at_any_depth() -> None:
    assert not has_more(1, 0)
    assert not has_more([], 0)
    for value, count in (([1, 2], 2), ({"a": [1, {"b": 2}]}, 4), ([[[[]]]], 3)):
        assert has_more(value, count - 1) is True
        assert has_more(value, count) is False


@pytest.mark.parametrize("route", ["/v1/network", "/v1/network/import"])
async def test_a_file_in_very_many_folders_is_refused(bench: ApiBench, route: str) -> None:
    files = json.dumps({"files": {"a/" * 2000 + "sites.yaml": ""}, "endpoints": ""}).encode()
    method = "PUT" if route == "/v1/network" else "POST"
    answer = await ask(bench.app, method, route, "token-of-ana", body=files)
    assert (answer.status, "more than 32 folders deep" in answer.problem["detail"]) == (422, True)


def test_depth_is_counted_in_levels() -> None:
    assert not is_deeper(1, 0)
    for most in (0, 1, 5):
        deep: Any = 1
        for _ in range(most):
            deep = {"a": [], "b": deep} if isinstance(deep, list) else [1, deep]
        assert not is_deeper(deep, most)
        assert is_deeper([deep], most)


# ------------------------------------------------------------------------- votes


def test_a_person_changes_their_mind_so_often_and_no_more() -> None:
    store = open_store("sqlite://", VirtualClock())
    ana = Person(name="ana", role=Role.APPROVER)
    admit(store, "token", "ana", Role.APPROVER)

    def vote(choice: VoteChoice, reason: str = "") -> None:
        store.approvals.vote("s", ana, choice, reason, "p")

    for number in range(votes.MOST):
        vote(VoteChoice.APPROVE, str(number))
    for _ in range(100):
        vote(VoteChoice.APPROVE, str(votes.MOST - 1))  # the same again is nothing new
    with pytest.raises(ConflictError, match="which is the most"):
        vote(VoteChoice.APPROVE, "once more")
    vote(VoteChoice.REJECT, "no")
    for choice in VoteChoice:
        with pytest.raises(ConflictError, match="which is the most"):
            vote(choice, "again")
    assert [(one.choice, one.reason) for one in store.approvals.votes("s")] == [(VoteChoice.REJECT, "no")]
    said = [row for row in store.audit.page(Page(limit=1000))[1] if row.action.startswith("approval.")]
    assert len(said) == votes.MOST + 1
    store.approvals.vote("s", Person(name="eva", role=Role.APPROVER), VoteChoice.APPROVE, "", "p")
    store.approvals.vote("another", ana, VoteChoice.APPROVE, "", "p")
    store.close()


# ------------------------------------------------------------------------ labels


def test_causes_that_somebody_makes_up_make_no_series_without_end() -> None:
    clock = VirtualClock()
    store = open_store("sqlite://", clock)

    def report(cause: str) -> AlarmReport:
        return AlarmReport(
            station="S1",
            object="station",
            probable_cause=cause,
            severity=PerceivedSeverity.MAJOR,
            source=AlarmSource.ALERTMANAGER,
            at=clock.now(),
        )

    store.alarms.report_all([report("station-unreachable")])
    for number in range(0, 1000, 100):
        store.alarms.report_all([report(f"made-up-{number + more}") for more in range(100)])
    found = store.status.figures()["minka_alarms"]
    causes = {cause for _, _, cause in found}
    assert len(found) == len(causes) == MOST_CAUSES + 1
    assert "station-unreachable" in causes, "nobody takes its name from a series that was there before"
    assert found["raised", "MAJOR", OTHER_CAUSE] == 1001 - MOST_CAUSES
    store.close()


# -------------------------------------------------------------------- live reads


async def test_a_station_is_read_for_a_tenant_once_however_often_it_is_asked_for(
    bench: ApiBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    clock = VirtualClock(SystemClock().now())  # its agreements are in force
    bench.app.state.services = replace(bench.app.state.services, clock=clock)

    async def reading(_: object, __: object, station: str, **_more: object) -> Observed:
        read.append(station)
        await asyncio.sleep(0)
        return SEEN

    monkeypatch.setattr(type(bench.app.state.services.planner), "read", reading)

    async def config(token: str) -> int:
        return (await ask(bench.app, "GET", "/v1/devices/T-LTE-1/config", token)).status

    assert set(await asyncio.gather(*(config("token-of-rosa") for _ in range(20)))) == {200}
    assert await config("token-of-rosa") == 200
    assert len(read) == 1
    assert await config("token-of-tom") == 200
    assert len(read) == 2, "nobody learns from an answer's speed what another tenant reads"
    for _ in range(2):
        assert await config("token-of-ana") == 200
    assert len(read) == 4, "the host reads as often as it likes"
    clock.pause(STATION_SECONDS)
    assert await config("token-of-rosa") == 200
    assert len(read) == 5


async def test_a_station_that_does_not_answer_is_not_asked_again_at_once() -> None:
    readings, clock, tried = Readings[Observed](STATION_SECONDS), VirtualClock(), 0

    async def fails() -> Observed:
        nonlocal tried
        tried += 1
        raise UnreachableError

    for _ in range(3):
        with pytest.raises(UnreachableError):
            await readings.get(("andes", "S"), clock, fails)
    assert tried == 1
    clock.pause(STATION_SECONDS)
    with pytest.raises(UnreachableError):
        await readings.get(("andes", "S"), clock, fails)
    assert tried == 2


async def test_who_goes_away_takes_the_reading_from_nobody() -> None:
    readings, clock, go = Readings[Observed](STATION_SECONDS), VirtualClock(), asyncio.Event()

    async def slow() -> Observed:
        await go.wait()
        return SEEN

    first, second = (asyncio.create_task(readings.get(("andes", "S"), clock, slow)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    clock.pause(timedelta(minutes=1).total_seconds())
    third = asyncio.create_task(readings.get(("andes", "S"), clock, slow))
    await asyncio.sleep(0)
    go.set()
    assert await second is await third is SEEN


async def test_a_costly_reading_rests_for_as_long_as_it_was_costly() -> None:
    readings, clock, tried = Readings[int](1, rest=10), VirtualClock(), 0

    async def costly() -> int:
        nonlocal tried
        tried += 1
        clock.pause(2)
        return tried

    assert await readings.get("alarms", clock, costly) == 1
    clock.pause(15)
    assert await readings.get("alarms", clock, costly) == 1
    clock.pause(4)
    assert await readings.get("alarms", clock, costly) == 2
