"""What README and docs say exists: pages, commands and their options, settings, make targets."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from functools import cache
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml

from controller.cli.main import app
from controller.models.settings import Settings

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob(".github/**/*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "simulators/README.md"]
)
_BLOCK = re.compile(r"```sh\n(.*?)```", re.DOTALL)


def _commands(page: Path, program: str) -> Iterator[list[str]]:
    """Words of each command of a program in the shell blocks of a page."""
    for block in _BLOCK.findall(page.read_text(encoding="utf-8")):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if program in words[:1]:
                yield [word for word in words[1:] if word != "&"]


@cache
def _minka() -> Any:
    """The whole command line, built."""
    return typer.main.get_command(app)


def _resolve(words: list[str]) -> None:
    """Find the command and its options without running anything."""
    command = _minka()
    while hasattr(command, "commands") and words and not words[0].startswith("-"):
        assert words[0] in command.commands, f"No such command: {words[0]}"
        command, words = command.commands[words[0]], words[1:]
    known = {"--help"} | {name for parameter in command.params for name in parameter.opts}
    if command.context_settings.get("ignore_unknown_options"):
        return
    for word in words:
        assert not word.startswith("--") or word.partition("=")[0] in known, f"No such option: {word}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_exist_with_their_options(page: Path) -> None:
    for words in _commands(page, "minka"):
        _resolve(list(words))


def _named(text: str) -> Iterator[list[str]]:
    """Words of the names of commands within sentences, also where a line ends inside them.

    The changelog is not asked: it tells of commands that are gone.
    """
    for code in re.findall(
        r"(?<!`)`minka\s+([^`]+)`", re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
    ):
        words = list(takewhile(re.compile(r"[a-z][a-z-]*").fullmatch, code.split()))
        options = [word for word in code.split() if re.fullmatch(r"--[a-z][a-z-]*", word)]
        yield [*words, *(options if "…" not in code and "|" not in code else ())]


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "CHANGELOG.md"], ids=lambda page: page.name)
def test_commands_that_sentences_name_exist_with_their_options(page: Path) -> None:
    for words in _named(page.read_text(encoding="utf-8")):
        _resolve(words)


@pytest.mark.parametrize("text", ["`minka helth`", "its alarm, `minka\nhelth` and", "`minka plan\n  --expct 3`"])
def test_a_wrong_command_in_a_sentence_would_be_found(text: str) -> None:
    (words,) = _named(text)
    with pytest.raises(AssertionError, match="No such"):
        _resolve(words)


def test_a_wrong_command_would_be_found() -> None:
    for words in (["plan", "--expct", "1"], ["netwrk", "load", "."]):
        with pytest.raises(AssertionError, match="No such"):
            _resolve(words)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_make_targets_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    text = page.read_text(encoding="utf-8")
    assert set(re.findall(r"`(?:KEEP=1 )?make ([a-z]+)`", text)) <= targets


def test_every_setting_is_described() -> None:
    text = (ROOT / "docs" / "how-to" / "deploy.md").read_text(encoding="utf-8")
    named = set(re.findall(r"^\| `(MINKA_[A-Z_]+)`", text, re.MULTILINE))
    assert named == {f"MINKA_{name.upper()}" for name in Settings.model_fields}


def _rules(kind: str) -> Iterator[dict[str, Any]]:
    """Shipped rules of a kind: ``alert`` or ``record``."""
    text = (ROOT / "deploy" / "prometheus" / "rules" / "minka.yml").read_text(encoding="utf-8")
    for group in yaml.safe_load(text)["groups"]:
        yield from (rule for rule in group["rules"] if kind in rule)


def _anchors(page: str) -> set[str]:
    """What links can point at on a page: its headings as GitHub writes them."""
    headings = re.findall(r"^#+ (.+)$", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_shipped_alert_has_a_runbook_and_no_other_is_there() -> None:
    links = {rule["alert"]: rule["annotations"]["runbook_url"] for rule in _rules("alert")}
    page = "docs/how-to/runbooks.md"
    assert links == {name: f"{page}#{name.lower()}" for name in links}
    assert {link.partition("#")[2] for link in links.values()} <= _anchors(page)
    described = re.findall(r"^### (\w+)$", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(described) == sorted(links)


def test_runbooks_say_how_grave_an_alert_is_and_when_it_comes() -> None:
    text = (ROOT / "docs" / "how-to" / "runbooks.md").read_text(encoding="utf-8")
    sections = dict(re.findall(r"^### (\w+)\n\n\*([^*]+)\*", text, re.MULTILINE))
    for rule in _rules("alert"):
        labels = rule.get("labels", {})
        said = (
            f"{labels.get('severity', 'none').capitalize()}, {'after ' + rule['for'] if 'for' in rule else 'at once'}"
        )
        cause = f", probable cause `{labels['probable_cause']}`" if "probable_cause" in labels else ""
        assert " ".join(sections[rule["alert"]].split()) == f"{said}{cause}."


def test_commands_of_runbooks_exist() -> None:
    text = (ROOT / "docs" / "how-to" / "runbooks.md").read_text(encoding="utf-8")
    commands = re.findall(r"`minka ([^`]+)`", " ".join(text.split()))
    assert len(commands) > 10
    for command in commands:
        _resolve(shlex.split(command))


def test_every_alert_has_a_unit_test_in_which_it_fires() -> None:
    tested = set()
    for file in (ROOT / "deploy" / "prometheus" / "tests").glob("*.yml"):
        for case in yaml.safe_load(file.read_text(encoding="utf-8"))["tests"]:
            tested |= {one["alertname"] for one in case["alert_rule_test"] if one["exp_alerts"]}
    assert tested == {rule["alert"] for rule in _rules("alert")}


def test_benchmarks_named_exist() -> None:
    for page in PAGES:
        for name in re.findall(r"python -m tests\.benchmarks ([a-z_]+)", page.read_text(encoding="utf-8")):
            assert (ROOT / "tests" / "benchmarks" / f"bench_{name}.py").is_file(), f"{page.name}: {name}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_paths_that_are_named_exist(page: Path) -> None:
    """Files and folders of the checkout in backticks; ``controller/shipped`` is in the wheel only."""
    named = re.findall(r"`((?:controller|simulators|tests|docs)/[\w./-]+)`", page.read_text(encoding="utf-8"))
    missing = [name for name in named if not name.startswith("controller/shipped") and not (ROOT / name).exists()]
    assert not missing


def test_no_walk_of_the_architecture_enters_a_module_twice() -> None:
    sections = re.split(r"^#+ ", (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    walks = [section for section in sections if section.partition("\n")[0].endswith("file by file")]
    assert len(walks) == 4
    for walk in walks:
        entered = re.findall(r"`([\w/]+(?:\.py|/))`", walk)
        assert len(entered) >= 8
        assert len(set(entered)) == len(entered)
