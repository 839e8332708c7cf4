"""What browsers may do with our answers, where people are signed in by a cookie."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from controller.api.pages import PATHS
from tests.security.app_requests import ask
from tests.unit.api.bench import ApiBench, open_bench

NOTHING = {"default-src": "'none'", "base-uri": "'none'", "form-action": "'none'", "frame-ancestors": "'none'"}
OURS = {"script-src": "'self'", "style-src": "'self'", "img-src": "'self' data:", "connect-src": "'self'"}


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[ApiBench]:
    async with open_bench(tmp_path) as made:
        yield made


def policy(headers: dict[str, str]) -> dict[str, str]:
    return dict(one.strip().split(" ", 1) for one in headers["content-security-policy"].split(";"))


async def test_the_page_loads_nothing_from_elsewhere(bench: ApiBench) -> None:
    page = await bench.anonymous.get("/docs")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert policy(dict(page.headers)) == NOTHING | OURS
    named = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert {f"/{name}" for name in named} == PATHS - {"/docs"}
    assert not re.search(r"<script(?! src)|<style| on\w+=|https?:", page.text), "nothing inline, nothing of others"
    for name in named:
        part = await bench.anonymous.get(f"/{name}")
        assert part.status_code == 200
        kinds = ("text/css", "text/javascript", "application/javascript")
        assert part.headers["content-type"].startswith(kinds)
    assert "SwaggerUIBundle" in (await bench.anonymous.get("/docs/swagger-ui-bundle.js")).text
    start = (await bench.anonymous.get("/docs/start.js")).text
    assert 'url: "openapi.json"' in start
    assert "validatorUrl: null" in start, "the description would be sent to somebody else's validator"


async def test_every_answer_says_what_a_browser_may_do_with_it(
    bench: ApiBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(bench.store.holds, "find", broken)
    for method, path, status in (
        ("GET", "/healthz", 200),
        ("GET", "/openapi.json", 200),
        ("GET", "/docs/start.js", 200),
        ("GET", "/docs/nothing", 404),
        ("GET", "/v1/me", 200),
        ("GET", "/v1/nothing", 404),
        ("PUT", "/v1/network", 422),
        ("DELETE", "/v1/plans", 405),
        ("GET", "/v1/holds", 500),
    ):
        answer = await bench.client.request(method, path)
        assert answer.status_code == status, path
        assert policy(dict(answer.headers)) == NOTHING, path
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
    assert "content-security-policy" in (await bench.anonymous.get("/v1/me")).headers
    stream = await ask(bench.app, "GET", "/v1/alarms/events", "token-of-ana")
    assert (b"x-content-type-options", b"nosniff") in stream.headers
