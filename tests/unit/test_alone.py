"""The second look of ``make test`` lets a failure pass only where it is gone alone, each time."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.alone import LAST_FAILED, MOST, TESTS_FAILED, TIMES, main

if TYPE_CHECKING:
    from pathlib import Path

PASSES = "def test_it(): pass\n"
FAILS = "def test_it(): assert False\n"
#: It passes but for the last time.
RARELY = f"""from pathlib import Path
def test_it():
    with open(__file__ + ".times", "a") as times:
        times.write("x")
    assert len(Path(__file__ + ".times").read_text()) < {TIMES}
"""


def _failed(folder: Path, *texts: str) -> Path:
    """Record of a run in which a test of each text failed."""
    ids = []
    for number, text in enumerate(texts):
        (folder / f"test_{number}.py").write_text(text)
        ids.append(f"{folder}/test_{number}.py::test_it")
    record = folder / "lastfailed"
    record.write_text(json.dumps(dict.fromkeys(ids, True)))
    return record


@pytest.mark.parametrize(
    ("status", "texts", "ends"),
    [
        (1, [PASSES], 0),
        (1, [PASSES, PASSES], 0),
        (1, [FAILS], 1),
        (1, [PASSES, FAILS], 1),
        (1, [RARELY], 1),
        (1, [PASSES] * (MOST + 1), 1),
        (1, [], 1),
        (2, [PASSES], 2),
        (3, [PASSES], 3),
    ],
    ids=["passes", "two", "fails", "fails-in-part", "fails-once", "too-many", "none", "interrupted", "broken"],
)
def test_a_failure_is_gone_only_where_few_tests_pass_alone_each_time(
    tmp_path: Path, status: int, texts: list[str], ends: int, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(status, _failed(tmp_path, *texts)) == ends
    assert ("SENSITIVE TO LOAD" in capfd.readouterr().out) is (ends == 0)


def test_without_a_record_the_status_stands(tmp_path: Path) -> None:
    assert main(1, tmp_path / "none") == 1


def test_the_record_is_the_one_that_pytest_writes(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(FAILS)
    run = [sys.executable, "-m", "pytest", "-q", "-n", "2", "--rootdir", str(tmp_path), "--cache-clear", "test_it.py"]
    assert subprocess.run(run, cwd=tmp_path, check=False).returncode == TESTS_FAILED
    assert list(json.loads((tmp_path / LAST_FAILED).read_text())) == ["test_it.py::test_it"]
