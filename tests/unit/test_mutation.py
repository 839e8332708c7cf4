"""The mutation run counts what tests kill and names what survives."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from cosmic_ray.work_item import MutationSpec

from tests.mutation import Reach, Score, mutate, mutations

CODE = "def clamp(number: int) -> int:\n    return 9 if number > 9 else number\n"
WEAK = "from toy.code import clamp\n\n\ndef test_it() -> None:\n    assert clamp(3) == 3\n"
STRONG = WEAK + "    assert [clamp(n) for n in (8, 9, 10, 11)] == [8, 9, 9, 9]\n"
REST = "\n\nLIMIT = 1 + 1\n\n\ndef double(number: int) -> int:\n    return 2 * number\n"
IDLE = """
from dataclasses import dataclass


@dataclass(frozen=True)
class Toy:
    size: int | None = None

    def grows(self, by: int | None) -> bool | None:
        log.info(
            "toy.grows", by=1 + 1
        )
        return by is not None or by is None


length = lru_cache(maxsize=4096)(lambda text: len(text) + 1)
"""
ELSEWHERE = "\n\ndef test_elsewhere() -> None:\n    assert True\n"


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    # Its tests need no more plugins than these, which a process loads in half the time.
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTEST_PLUGINS", "pytest_timeout,pytest_cov.plugin")
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy" / "__init__.py").touch()
    (tmp_path / "toy" / "code.py").write_text(CODE)
    return tmp_path


def test_survivors_are_named(toy: Path) -> None:
    (toy / "test_toy.py").write_text(WEAK)
    weak = play(toy)
    assert weak.survivors
    assert all("-    return 9" in survivor and "+    return" in survivor for survivor in weak.survivors)
    assert weak.killed + len(weak.survivors) == 4
    assert (toy / "toy" / "code.py").read_text() == CODE
    (toy / "test_toy.py").write_text(STRONG)
    strong = play(toy)
    assert strong.killed > weak.killed
    assert str(strong).startswith(f"toy: {strong.killed} of 4 mutants killed")


def test_what_changes_nothing_is_left_out(toy: Path) -> None:
    (toy / "toy" / "code.py").write_text(IDLE)
    found = {(each.start_pos[0], each.operator_name) for each in mutations(toy, "toy")}
    assert {line for line, _ in found} == {13, 16}
    numbers = [each for each in mutations(toy, "toy") if each.operator_name == "core/NumberReplacer"]
    assert {each.start_pos for each in numbers} == {(16, 58)}, "not the size of the cache"
    assert not any(operator == "core/NumberReplacer" for line, operator in found if line == 13)
    assert (13, "core/ReplaceComparisonOperator_Is_IsNot") in found
    assert (13, "core/ReplaceComparisonOperator_Is_Eq") not in found


def test_tests_that_fail_anyway_judge_nobody(toy: Path) -> None:
    (toy / "test_toy.py").write_text(WEAK.replace("== 3", "== 4"))
    with pytest.raises(RuntimeError, match="1 failed"):
        play(toy)


def test_only_tests_that_reach_a_mutant_judge_it(toy: Path) -> None:
    (toy / "toy" / "code.py").write_text(CODE + REST)
    (toy / "test_toy.py").write_text(WEAK + ELSEWHERE)
    reach = Reach.measure(toy, ["toy"], ["test_toy.py"])

    def judges(line: int) -> Sequence[str]:
        return reach.judges(toy, MutationSpec("toy/code.py", "core/NumberReplacer", 0, (line, 4), (line, 5)))

    assert judges(2) == ["test_toy.py::test_it"]
    assert judges(5) == ["test_toy.py"]  # it runs when the module is imported
    assert judges(9) == []


def test_what_no_test_reaches_survives(toy: Path) -> None:
    (toy / "test_toy.py").write_text(ELSEWHERE)
    assert mutate(toy, "toy", Reach((), {}, {}), sample=1, seed=7).survivors


def play(toy: Path) -> Score:
    return mutate(toy, "toy", Reach.measure(toy, ["toy"], ["test_toy.py"]), sample=4, seed=7)
