"""One shape for every error.

Every answer that is no success is ``application/problem+json`` with ``type`` (``urn:minka:error:`` and a
stable code), ``title``, ``status`` (the same as the answer's) and ``detail`` (words for people). Those of the VES event
listener alone have the form of its own specification.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from controller.api import routes
from controller.api.app import api_routes, make_app
from controller.api.examples import EXAMPLES
from controller.api.guard import LIMIT, OPEN, WEBHOOK_LIMIT
from controller.api.problems import VES
from controller.models.errors import InputError, StoreError
from tests.security.app_requests import ask
from tests.unit.api.bench import TINY, WEBHOOK_TOKEN, ApiBench, files_of

#: What the VES event listener answers to who is not known (7.2.1, policy exceptions).
VES_401 = {
    "requestError": {
        "policyException": {
            "messageId": "POL1009",
            "text": "User has not been provisioned for service",
            "variables": [],
        }
    }
}


@cache
def operations() -> tuple[tuple[str, str], ...]:
    """Method and path of every operation, parameters filled with an id that nothing has."""
    paths = make_app().openapi()["paths"].items()
    return tuple(
        (method.upper(), path.replace("{", "").replace("}", "")) for path, methods in paths for method in methods
    )


def guarded() -> list[tuple[str, str]]:
    """Operations for which one has to say who one is."""
    return [(method, path) for method, path in operations() if path not in OPEN]


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The problem in an answer, checked for its shape."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    said: dict[str, Any] = answer.json()
    assert {"type", "title", "status", "detail"} <= said.keys()
    assert said["type"] == f"urn:minka:error:{code}"
    assert said["title"] == code.replace("-", " ")
    assert said["status"] == status
    assert said["detail"]
    return said


def test_there_are_routes() -> None:
    assert len(guarded()) >= 25
    assert {path for _, path in operations()} >= {"/healthz", "/readyz", "/metrics"}


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer wrong", "Basic YTpi", "bearer \xe9"])
async def test_without_a_known_token_nothing_is_disclosed(bench: ApiBench, header: str) -> None:
    headers = [(b"Authorization", header.encode("latin-1"))] if header else []
    for method, path in guarded():
        answer = await bench.anonymous.request(method, path, content=b"{not json", headers=headers)
        if path.startswith(VES):
            assert (answer.status_code, answer.json()) == (401, VES_401)
            assert answer.headers["www-authenticate"] == "Basic"
            continue
        problem(answer, 401, "unauthenticated")
        assert answer.headers["www-authenticate"] == "Bearer"


async def test_the_webhook_token_opens_webhooks_only(bench: ApiBench) -> None:
    async with bench.with_token(WEBHOOK_TOKEN) as alertmanager:
        for method, path in guarded():
            answer = await alertmanager.request(method, path, json={"version": "4", "alerts": []})
            if path.startswith("/v1/webhooks/"):
                assert answer.status_code == 200
            elif path.startswith(VES):
                assert answer.status_code == 400  # let in, and no event
                assert answer.json()["requestError"]["serviceException"]["messageId"] == "SVC0002"
            else:
                problem(answer, 403, "forbidden")


async def test_unknown_paths_are_for_those_with_a_token(bench: ApiBench) -> None:
    problem(await bench.anonymous.get("/v1/nothing"), 401, "unauthenticated")
    problem(await bench.client.get("/v1/nothing"), 404, "not-found")
    problem(await bench.client.get("/v1/plans/"), 404, "not-found")


async def test_wrong_methods_name_the_right_ones(bench: ApiBench) -> None:
    answer = await bench.client.delete("/v1/plans")
    problem(answer, 405, "method-not-allowed")
    assert answer.headers["allow"]


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/openapi.json", "/docs"])
async def test_open_paths_need_no_token(bench: ApiBench, path: str) -> None:
    assert (await bench.anonymous.get(path)).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/v1/plans/000000000000",
        "/v1/plans/000000000000/compare/111111111111",
        "/v1/runs/r-0",
        "/v1/runs/r-0/jobs",
        "/v1/runs/r-0/events",
        "/v1/alarms/a-0",
    ],
)
async def test_what_is_not_there_is_not_found(bench: ApiBench, path: str) -> None:
    problem(await bench.client.get(path), 404, "not-found")


@pytest.mark.parametrize(
    "path",
    [
        "/v1/network",
        "/v1/network/stations",
        "/v1/devices",
        "/v1/devices/PE-1",
        "/v1/devices/PE-1/config",
        "/v1/statements/sla/bitel/2026-10",
    ],
)
async def test_what_there_is_none_of_yet_is_absent(bench: ApiBench, path: str) -> None:
    problem(await bench.client.get(path), 404, "absent")


async def test_unknown_things_of_a_loaded_network(bench: ApiBench) -> None:
    await bench.client.put("/v1/network", json={"files": files_of(TINY)})
    assert "PE-9" in problem(await bench.client.get("/v1/devices/PE-9"), 404, "not-found")["detail"]
    assert "kinds are" in problem(await bench.client.get("/v1/network/fruits"), 404, "not-found")["detail"]
    said = problem(await bench.client.get("/v1/devices", params={"selector": "regio=x"}), 422, "invalid-input")
    assert "no such key" in said["detail"]
    for target in ("PE-9", "T-LTE-1/", "T-LTE-1/no-cell", "site:"):
        problem(await bench.client.post("/v1/holds", json={"target": target, "reason": "x"}), 404, "not-found")
    problem(await bench.client.delete("/v1/holds/h-9"), 404, "not-found")
    problem(await bench.client.post("/v1/runs/r-9/cancel"), 404, "not-found")
    problem(await bench.client.post("/v1/runs", json={"plan": "9"}), 404, "not-found")


@pytest.mark.parametrize(
    ("method", "path", "body", "field"),
    [
        ("POST", "/v1/plans", b"{not json", "body"),
        ("POST", "/v1/plans", b'{"selector": 5}', "body.selector"),
        ("POST", "/v1/plans", b'{"colour": "red"}', "body.colour"),
        ("POST", "/v1/plans", b'{"expect_stations": -1}', "body.expect_stations"),
        ("POST", "/v1/runs", b"{}", "body.plan"),
        ("POST", "/v1/runs", b'{"plan": "1", "strategy": {"confirm_timeout": 1}}', "body.strategy.confirm_timeout"),
        ("POST", "/v1/holds", b'{"target": "a", "reason": ""}', "body.reason"),
        ("GET", "/v1/runs?limit=0", b"", "query.limit"),
        ("GET", "/v1/runs?offset=-1", b"", "query.offset"),
        ("GET", "/v1/runs?state=busy", b"", "query.state"),
        ("PUT", "/v1/network", b'{"files": {}}', "body.files"),
        ("POST", "/v1/webhooks/alertmanager", b'{"version": "5", "alerts": []}', "body.version"),
    ],
)
async def test_invalid_requests_name_the_field(
    bench: ApiBench, method: str, path: str, body: bytes, field: str
) -> None:
    answer = await bench.client.request(method, path, content=body, headers={"Content-Type": "application/json"})
    said = problem(answer, 422, "invalid-input")
    assert said["problems"]
    assert any(one["field"].startswith(field) for one in said["problems"])


async def test_a_value_is_not_repeated(bench: ApiBench) -> None:
    body = {"selector": ["canary-in-a-wrong-place"], "password": "canary-in-a-wrong-place"}
    assert "canary" not in (await bench.client.post("/v1/plans", json=body)).text


@pytest.mark.parametrize(
    ("path", "limit"), [("/v1/plans", LIMIT), ("/v1/webhooks/alertmanager", WEBHOOK_LIMIT), ("/v1/holds", LIMIT)]
)
@pytest.mark.parametrize("announced", [True, False])
async def test_large_bodies_are_refused(bench: ApiBench, path: str, limit: int, announced: bool) -> None:
    async def pieces() -> Any:
        for _ in range(limit // 65536 + 1):
            yield b" " * 65536

    content: Any = b" " * (limit + 1) if announced else pieces()
    answer = await bench.client.post(path, content=content, headers={"Content-Type": "application/json"})
    problem(answer, 413, "too-large")


async def test_a_database_that_is_away_is_said_to_be_so(bench: ApiBench, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> None:
        raise StoreError("no connection to canary port 5432")

    monkeypatch.setattr(bench.store.status, "check_writable", away)
    monkeypatch.setattr(bench.store.plans, "page", away)
    for answer in (await bench.anonymous.get("/readyz"), await bench.client.get("/v1/plans")):
        assert "canary" not in str(problem(answer, 503, "store-unavailable"))
        assert answer.headers["retry-after"] == "5"
    monkeypatch.setattr(bench.store.tokens, "bearer", away)
    problem(await bench.client.get("/v1/plans"), 503, "store-unavailable")


async def test_a_bug_is_owned_up_to_and_tells_nothing(bench: ApiBench, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise KeyError("canary")

    monkeypatch.setattr(bench.store.plans, "page", broken)
    said = problem(await bench.client.get("/v1/plans"), 500, "bug")
    assert "canary" not in str(said)


async def test_all_problems_of_network_files_are_listed(bench: ApiBench) -> None:
    answer = await bench.client.put("/v1/network", json={"files": {"sites.csv": "id,nam\n", "network.yaml": "a: 1\n"}})
    said = problem(answer, 422, "invalid-network-files")
    assert {one["file"] for one in said["problems"]} == {"sites.csv", "network.yaml"}
    assert all(one["message"] for one in said["problems"])


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "../x.yaml", "a/../../x.yaml", "", ".", "x\0.yaml", "a" * 300 + ".yaml", "\ud800.yaml"]
)
async def test_file_names_stay_in_their_folder(bench: ApiBench, name: str) -> None:
    content = '{"files": {"' + name.encode("unicode_escape").decode().replace("\\x", "\\u00") + '": "a"}}'
    answer = await bench.client.put("/v1/network", content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


async def test_files_that_are_folders_too_are_refused(bench: ApiBench) -> None:
    answer = await bench.client.put("/v1/network", json={"files": {"a.yaml": "", "a.yaml/b.yaml": ""}})
    problem(answer, 422, "invalid-input")


def test_every_error_of_the_tree_has_a_code_of_its_own() -> None:
    def below(kind: type[InputError]) -> Iterator[type[InputError]]:
        yield kind
        for one in kind.__subclasses__():
            yield from below(one)

    codes = [kind.code for kind in below(InputError) if not kind.__name__.startswith("_")]  # those stay in their module
    assert len(codes) == len(set(codes))


def test_every_route_says_what_it_does() -> None:
    document = make_app().openapi()
    identifiers = [op["operationId"] for ops in document["paths"].values() for op in ops.values()]
    assert len(identifiers) == len(set(identifiers))
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            assert operation["summary"], (method, path)
            assert operation.get("description"), (method, path)
            assert operation["tags"], (method, path)
            form = "application/json" if path.startswith(VES) else "application/problem+json"
            assert [*operation["responses"]["default"]["content"]] == [form], (method, path)
            assert bool(operation.get("security")) == (path not in OPEN), (method, path)
            (good,) = [code for code in operation["responses"] if code[0] in "23"]
            content = operation["responses"][good].get("content", {})
            assert good in ("204", "303") or all("schema" in one for one in content.values()), (method, path)


def test_every_reference_of_the_document_leads_somewhere() -> None:
    document = make_app().openapi()

    def references(node: Any) -> Iterator[str]:
        if isinstance(node, dict):
            if isinstance(node.get("$ref"), str):
                yield node["$ref"]
            for value in node.values():
                yield from references(value)
        elif isinstance(node, list):
            for value in node:
                yield from references(value)

    found = set(references(document))
    assert found
    for reference in found:
        here: Any = document
        for part in reference.removeprefix("#/").split("/"):
            here = here[part]
    assert "HTTPValidationError" not in str(document)


def test_no_route_is_missing_from_the_document() -> None:
    modules = [import_module(f"{routes.__name__}.{module.name}") for module in iter_modules(routes.__path__)]
    paths = {route.path for module in modules for route in module.router.routes}
    assert len(paths) >= 20
    assert paths == set(make_app().openapi()["paths"])


async def test_what_is_misspelt_is_guessed(bench: ApiBench) -> None:
    await bench.client.put("/v1/network", json={"files": files_of(TINY)})
    for path, hint in (
        ("/v1/devices/T-NR-7", "there is no station T-NR-7 in the network; did you mean 'T-NR-1'?"),
        ("/v1/devices?selector=regoin%3Dx", "did you mean 'region'?"),
        ("/v1/network/statoins", "did you mean 'stations'?"),
        ("/v1/runs/r-1", "there is no run r-1; see minka runs"),
        ("/v1/plans/42", "there is no plan 42; see minka plans list"),
    ):
        answer = await bench.client.get(path)
        assert answer.status_code in (404, 422)
        assert hint in answer.json()["detail"], answer.text
    body = {"target": "T-NR-7", "reason": "mast"}
    assert "did you mean 'T-NR-1'?" in (await bench.client.post("/v1/holds", json=body)).json()["detail"]


async def test_what_is_wrong_is_said_in_plain_words(bench: ApiBench) -> None:
    for body, said in (
        ({"plan": "x", "strategy": {"canary": -1}}, "body.strategy.canary: too small, at least 0"),
        (
            {"plan": "x", "strategy": {"policy": "unti"}},
            "body.strategy.policy: not one of the choices, did you mean 'unit'?",
        ),
        ({"plan": 1}, "body.plan: must be text"),
        ({}, "body.plan: missing"),
        ({"plan": "x", "more": 1}, "body.more: no such field"),
    ):
        answer = await bench.client.post("/v1/runs", json=body)
        assert (answer.status_code, answer.json()["detail"]) == (422, said)
    hold = {"target": "x", "reason": "", "until": "2026-12-26T06:00:00"}
    said = (await bench.client.post("/v1/holds", json=hold)).json()["detail"]
    assert said == (
        "body.reason: too short, at least one character; "
        "body.until: a time without its time zone, as in 2026-12-26T06:00:00Z"
    )


async def test_unknown_query_parameters_are_refused_on_every_route(bench: ApiBench) -> None:
    paths = [(way, path) for way, path in operations() if way == "GET" and path not in OPEN and "/events" not in path]
    assert len(paths) > 25
    for _, path in paths:
        answer = await bench.client.get(path, params={"stat": "x"})
        assert (answer.status_code, answer.json()["type"]) == (422, "urn:minka:error:invalid-input"), path
        assert answer.json()["detail"].startswith("unknown query parameter 'stat'; "), path
    said = (await bench.client.get("/v1/runs?stat=x")).json()["detail"]
    assert said == "unknown query parameter 'stat'; did you mean 'state'? known are limit, offset, state"


async def test_every_list_has_the_one_shape_of_a_page() -> None:
    document = make_app().openapi()
    for path, methods in document["paths"].items():
        for way, operation in methods.items():
            for status, answer in operation["responses"].items():
                schema = answer.get("content", {}).get("application/json", {}).get("schema", {})
                assert schema.get("type") != "array", f"{way} {path} {status}"
                assert not any(one.get("type") == "array" for one in schema.get("anyOf", ())), f"{way} {path} {status}"


def test_every_body_has_an_example_that_is_valid() -> None:
    bodies: dict[str, Any] = {}
    for route in api_routes():
        if route.body_field is not None:
            kind: Any = route.body_field.field_info.annotation
            bodies[kind.__name__] = kind
    assert bodies.keys() == EXAMPLES.keys()
    for name, kind in bodies.items():
        kind.model_validate(EXAMPLES[name])
    schemas = make_app().openapi()["components"]["schemas"]
    assert all(schemas[name]["examples"] == [example] for name, example in EXAMPLES.items())


@pytest.mark.parametrize("path", ["/eventListener/v7", "/eventListener/v7/eventBatch", "/v1/plans", "/v1/network"])
async def test_a_body_that_breaks_off_is_no_bug(bench: ApiBench, path: str) -> None:
    method = "PUT" if path == "/v1/network" else "POST"
    token = WEBHOOK_TOKEN if path.startswith(VES) else "token-of-ana"
    with capture_logs() as logs:
        assert (await ask(bench.app, method, path, token, body=None)).status == 400
    assert not [one for one in logs if one["log_level"] in ("error", "critical")]
