"""Odd values in every parameter and field of every operation: refused or taken, and never an error of ours."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from structlog.testing import capture_logs

from controller.api.examples import EXAMPLES
from tests.docs.reference import DOCS
from tests.security.app_requests import ask
from tests.support.postgres import PostgresServer, shared_postgres
from tests.unit.api.bench import TOKEN, ApiBench, open_bench
from tests.unit.api.test_routes import load_and_adopt, plan

#: What ``tests/docs/test_cli_docs.py`` holds to be that of the API; to make it takes a second.
DOCUMENT: dict[str, Any] = json.loads((DOCS / "openapi.json").read_text(encoding="utf-8"))
#: By JSON type. Whatever a database, a file system or a calendar has no room for.
ODD: dict[str, list[Any]] = {
    "string": ["a\0b", "\u202e\ufeff\n\r\t", "x" * 5000, "", "%00", "'\"\\;--", "٣", "🛰"],
    "date-time": ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2031-01-01T00:00:00"],
    "integer": [-1, 2**31, 2**63, 10**30],
    "number": [-1, 1e308, 10**400],
    "boolean": [2],
    "null": [None],
}
PLANS = ("plan_id", "other_id")
AHEAD = "2031-01-01T00:00:00Z"
#: Values that fit, where the schema alone does not say so.
KNOWN: dict[str, dict[str, Any]] = {
    "/v1/rules/backtest": {"files": EXAMPLES["BacktestRequest"]["files"]},
    "/v1/freezes": {"target": "network"},
    "/v1/kpis/{kpi}": {"kpi": "availability"},
    "/v1/users": {"name": "rosa"},
    "/v1/users/{name}": {"name": "noc"},
    "/v1/playbooks/{name}/dry-run": {"name": "lock-cell"},
    "/v1/playbooks/{name}/runs": {"name": "lock-cell"},
}


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    with shared_postgres(tmp_path_factory) as server:
        yield server


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema of its own."""
    name = schema.get("$ref", "").rpartition("/")[2]
    found: dict[str, Any] = DOCUMENT["components"]["schemas"][name] if name else schema
    return found


def odd(schema: dict[str, Any], known: Mapping[str, Any]) -> Iterator[Any]:
    """Values of a schema with one odd part each."""
    schema = resolved(schema)
    for one in schema.get("anyOf", []):
        yield from odd(one, known)
    kind = schema.get("type", "")
    yield from ODD.get(schema.get("format") or kind, ODD.get(kind, []))
    if kind == "array":
        yield from ([value] for value in odd(schema.get("items", {}), known))
    if kind == "object":
        usual = plain("", schema, known)
        for name, below in schema.get("properties", {}).items():
            yield from (usual | {name: value} for value in odd(below, known))
        more = schema.get("additionalProperties")
        if isinstance(more, dict):
            yield from ({"a": value} for value in odd(more, known))
            yield from ({key: plain("", more, known)} for key in ODD["string"])


def plain(name: str, schema: dict[str, Any], known: Mapping[str, Any]) -> Any:
    """A value that fits a schema, as far as it is easily seen."""
    schema = resolved(schema)
    if name in known:
        return known[name]
    if "enum" in schema:
        return schema["enum"][0]
    if schema.get("type") == "object":
        return {one: plain(one, schema["properties"][one], known) for one in schema.get("required", ())} or {"a": "b"}
    usual = {"date-time": AHEAD, "integer": 1, "number": 1, "boolean": True}
    usual["array"] = [plain("", schema["items"], known)] if "items" in schema else []
    return usual.get(schema.get("format") or schema.get("type", ""), "T-LTE-1")


def requests(known: Mapping[str, Any]) -> Iterator[tuple[str, str, str, bytes]]:
    """Method, path, query and body of requests with one odd value each; ``known`` are values that there are."""
    for template, operations in DOCUMENT["paths"].items():
        own = {**known, **KNOWN.get(template, {})}
        for method, operation in operations.items():
            asked = operation.get("parameters", [])
            path = re.sub(r"{(\w+)}", lambda found, own=own: own.get(found[1], "T-LTE-1"), template)  # type: ignore[misc]
            body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
            usual = json.dumps(plain("", body, own)).encode() if body else b""
            yield method, path, "", usual
            for one in asked:
                for value in odd(one["schema"], own):
                    if one["in"] == "path":
                        odd_path = template.replace(f"{{{one['name']}}}", str(value))
                        yield method, re.sub(r"{(\w+)}", "T-LTE-1", odd_path), "", usual
                    elif one["in"] == "query":
                        yield method, path, f"{one['name']}={quote(str(value))}", usual
            for value in odd(body, own) if body else ():
                yield method, path, "", json.dumps(value).encode()


@pytest.mark.parametrize("database", ["sqlite", pytest.param("postgres", marks=pytest.mark.needs("initdb"))])
async def test_no_value_is_an_error_of_ours(request: pytest.FixtureRequest, tmp_path: Path, database: str) -> None:
    if database == "sqlite":
        await _ask_all(tmp_path, "")
    else:
        with request.getfixturevalue("postgres").database() as url:
            await _ask_all(tmp_path, url)


async def _ask_all(folder: Path, url: str) -> None:
    async with open_bench(folder, url) as bench:
        await load_and_adopt(bench)
        made = await plan(bench, expect_stations=4)
        run = (await bench.client.post("/v1/runs", json={"plan": made["id"]})).json()["id"]
        ids = {"run_id": run, "run": run, "plan": made["id"], "kind": "cells"} | dict.fromkeys(PLANS, made["id"])
        taken, wrong = await _asked(bench, ids)
        assert not wrong, "\n".join(wrong)
        # What most operations were asked also had nothing odd about it.
        assert len(taken) > 40, taken
        assert bench.store.audit.verify() is None


async def _asked(bench: ApiBench, ids: Mapping[str, Any]) -> tuple[set[str], list[str]]:
    """Operations that took something, and what was an error of ours."""
    taken, wrong = set(), []
    for method, path, query, body in requests(ids):
        said = ""
        try:
            with capture_logs():
                answer = await ask(bench.app, method.upper(), path, TOKEN, query=query, body=body)
            if answer.status < 400:
                taken.add(f"{method} {path}")
            elif answer.status >= 500:
                said = str(answer.problem["detail"])
        except Exception as error:
            said = f"{type(error).__name__}: {error}"
        if said:
            wrong.append(f"{method} {path[:60]!r} {query[:60]} {body[:120]!r}: {said[:200]}")
    return taken, wrong
