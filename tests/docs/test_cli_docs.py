"""What the pages of the command line and the API say is true: generated parts are current, commands and calls work."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from importlib import import_module

import pytest

from controller.api import guard
from controller.models.errors import MinkaError
from tests.docs.reference import DOCS, commands, current
from tests.support import http
from tests.support.minka import ROOT, CommandLine, words_of
from tests.support.process_system import ProcessSystem, process_system, temporary_folder

CLI, API = ((DOCS / name).read_text(encoding="utf-8") for name in ("cli.md", "api.md"))
TUTORIAL = (ROOT / "docs" / "tutorial" / "first-network.md").read_text(encoding="utf-8")
PERU_MINI = ROOT / "deploy" / "networks" / "peru-mini"
#: Ids that the examples use, and the list where the true ones are.
IDS = {"42327bc0ca30": ("plans", "list"), "r-21748f9c95": ("runs",), "h-1f2e3d4c": ("hold", "list")}


@pytest.fixture(scope="module")
def system() -> Iterator[ProcessSystem]:
    with temporary_folder() as folder, process_system(folder, "embedded", PERU_MINI, listener=True) as made:
        yield made


@pytest.fixture
def up(system: ProcessSystem) -> CommandLine:
    return system.command_line()


@pytest.mark.parametrize("name", ["cli.md", "api.md", "metrics.md", "openapi.json"])
def test_generated_parts_are_current(name: str) -> None:
    kept = (DOCS / name).read_text(encoding="utf-8")
    assert kept == current()[name], "run: python -m tests.docs.reference"


def test_the_commands_of_the_tour_work_in_their_order(system: ProcessSystem, up: CommandLine) -> None:
    lines = re.findall(r"^\$ (minka .*)$", TUTORIAL, re.MULTILINE)
    assert len(lines) > 15
    for line in lines:
        words = list(words_of(line))
        if words[0] == "up":
            continue
        if words[:2] == ["network", "load"]:
            words += ["--endpoints", str(system.endpoints)]
        up(*(_true(up, word) for word in words))


def _true(up: CommandLine, word: str) -> str:
    """A word of an example, an id replaced by the newest that there is."""
    return str(up(*IDS[word], "--json").json[0]["id"]) if word in IDS else word


def test_the_call_of_the_api_page_works(up: CommandLine) -> None:
    (path,) = re.findall(r"http://127.0.0.1:8470(/\S+)", API)
    assert http.get(up.url + path, headers={"Authorization": f"Bearer {up.token}"}).is_success


def test_every_command_that_is_named_exists() -> None:
    import typer

    from controller.cli.main import app

    known = {words for words, _ in commands(typer.main.get_command(app))}
    groups = {words.rpartition(" ")[0] for words in known}
    named = set(re.findall(r"(?<![/\w])minka(?:\s[a-z]+)+", CLI + API + TUTORIAL))
    for words in named:
        parts = words.split()
        assert any(" ".join(parts[: n + 1]) in known | groups - {"minka"} for n in range(1, len(parts))), words


def test_every_error_code_is_in_its_row() -> None:
    def below(kind: type[MinkaError]) -> Iterator[type[MinkaError]]:
        yield kind
        for one in kind.__subclasses__():
            yield from below(one)

    from controller.api.problems import problem_of

    import_module("controller.drivers.kubernetes.api")  # it has kinds of its own
    rows = dict(re.findall(r"^\| (\d{3}) \| (.*) \|$", API, re.MULTILINE))
    for kind in (one for one in below(MinkaError) if not one.__name__.startswith("_")):  # those stay in their module
        error = kind(()) if kind.__name__ == "NetworkFilesError" else kind("x")  # type: ignore[arg-type]
        assert f"`{kind.code}`" in rows[str(problem_of(error).status_code)], kind


def test_limits_are_as_documented() -> None:
    mib = [limit // 2**20 for limit in (guard.LIMIT, guard.WEBHOOK_LIMIT, guard.NETWORK_LIMIT)]
    assert f"more than {mib[0]} MiB; {mib[1]} MiB for webhooks, {mib[2]} MiB for network files" in API


def test_every_path_that_is_named_exists() -> None:
    known = set(json.loads(current()["openapi.json"])["paths"])
    for path in set(re.findall(r"`(?:GET|POST|PUT|DELETE) (/v1/[^`?]+)`", API)):
        assert path.replace("ID", "{run_id}") in known, path
