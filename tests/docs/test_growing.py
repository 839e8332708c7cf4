"""The tutorial about a network that grows: all that it types, in its order, and what it says comes of it."""

from __future__ import annotations

import csv
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.minka import ROOT, CommandLine, Embedded, embedded, minka, words_of

TEXT = (ROOT / "docs" / "tutorial" / "growing.md").read_text(encoding="utf-8")
STATION = "PE-CUS-0158"
#: Id in the place of that of the newest plan.
_PLAN = "42327bc0ca30"
#: Id in the place of that of the newest run.
_RUN = "r-21748f9c95"
#: Seconds until a first health check, on a busy machine.
_PATIENCE = 90


def _typed() -> Iterator[str]:
    """Commands of the page in their order; one that reads lines as its input has them with it."""
    for block in re.findall(r"^```sh\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE):
        yield from re.findall(r"^(?:cat .*?^END|.+?)$", block, re.DOTALL | re.MULTILINE)


def test_what_the_page_types_is_all_found() -> None:
    typed = list(_typed())
    assert sum(line.startswith("minka ") for line in typed) == 30
    assert sum(line.startswith("cat ") and line.endswith("\nEND") for line in typed) == 7
    assert all(line.startswith(("minka ", "cat ", "cp ", "sed ", "export ")) for line in typed)


def test_a_network_grows_as_the_page_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "deploy").symlink_to(ROOT / "deploy")
    monkeypatch.chdir(tmp_path)
    said: dict[str, list[str]] = {}
    with ExitStack() as stack:
        up: Embedded | None = None
        for line in _typed():
            if line.startswith("minka up"):
                up = stack.enter_context(embedded(tmp_path, tmp_path / ".minka-grown", 25))
            elif line.startswith("minka "):
                said.setdefault(line, []).append(_run(up, line))
            elif not line.startswith("export"):
                subprocess.run(["sh", "-c", line], check=True)
    checks = said["minka network check .minka-grown"]
    (warning,) = re.findall(r"^warning: stations.csv.*$", TEXT, re.MULTILINE)
    assert [warning in one for one in checks] == [True, *[False] * (len(checks) - 1)]
    added, raised, nearer = said[f"minka plan {STATION}"]
    assert "1 station changes for wayra" in added
    assert "only the person who asks for it" in added
    assert "0 cells locked, 3,200 people reached" in added
    (applied,) = said[f"minka apply {_PLAN} --reason CHG-2002"]
    assert added.splitlines()[-1] in applied, "apply says what the plan comes to, as planning does"
    assert len(re.findall(r"B28-\d +wayra +radio share 716-20: minimum % +10 +15", raised)) == 3
    (sharing,) = said[f"minka network sharing {STATION}"]
    assert sharing.count("wayra 716-20") == 3
    assert "not configured" not in sharing
    (share,) = said[f"minka device get {STATION} --filter 'plmnRadioShareList[716,20]'"]
    assert share.count("minRatio=15") == 3
    relation = r"host +neighbour relation \S+ +–"
    assert re.search(relation, nearer)
    (undone,) = said[f"minka undo {_RUN} --remove host=1"]
    assert re.search(r"host +neighbour relation ", undone)
    assert "0 added, 0 changed, 1 removed" in undone
    loads = said["minka network load .minka-grown"]
    assert ["neighbours: 1 removed (PE-CUS-0158/B28-1/PE-CUS-0158/B28-2)" in one for one in loads][-2:] == [False, True]
    assert "no drift on 1 device" in said["minka device drift --exit-code"][0]
    assert "Nothing to do" in said[f"minka plan {STATION} --exit-code"][0]


def _run(up: CommandLine | None, line: str) -> str:
    """What a command of the page writes, which has to end well."""
    words = list(words_of(line))
    if up is None:
        result = minka(*words)
        assert result.status == 0, f"{line}: {result}"
        return result.out
    if words[:2] == ["network", "load"]:
        words += ["--endpoints", str(_endpoints(Path(words[2]), up.home))]
    if _PLAN in words:
        words[words.index(_PLAN)] = up("plans", "list", "--limit", "1", "--json").json[0]["id"]
    if _RUN in words:
        words[words.index(_RUN)] = up("runs", "--limit", "1", "--json").json[0]["id"]
    if words[:2] == ["device", "show"]:
        return _once(lambda: up(*words).out, _serves)
    return up(*words).out


def _serves(show: str) -> bool:
    """Whether the last health check found all cells on air and all core links up, as it does from some moment on."""
    cells = re.findall(r"^B28-\d +yes +no *$", show, re.MULTILINE)
    links = re.findall(r"^(\w+) +S1[CU] .* (\w+) *$", show, re.MULTILINE)
    return len(cells) == 3 and {*links} == {(tenant, "yes") for tenant in ("bitel", "claro", "movistar")}


def _once(ask: Callable[[], str], holds: Callable[[str], bool]) -> str:
    """The first answer that holds: health checks come by themselves."""
    end = time.monotonic() + _PATIENCE
    while not holds(said := ask()):
        assert time.monotonic() < end, said
        time.sleep(0.2)
    return said


def _endpoints(files: Path, home: Path) -> Path:
    """Where the stations of network files answer in this test."""
    with (files / "stations.csv").open(encoding="utf-8", newline="") as rows:
        known = {row["id"] for row in csv.DictReader(rows)}
    head, *lines = (home / "endpoints.csv").read_text(encoding="utf-8").splitlines()
    there = home / "endpoints-now.csv"
    there.write_text("\n".join([head, *(line for line in lines if line.split(",")[0] in known)]) + "\n")
    return there
