"""The mutation run counts what tests kill and names what survives."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mutation import mutate

CODE = "def clamp(number: int) -> int:\n    return 9 if number > 9 else number\n"
WEAK = "from toy.code import clamp\n\n\ndef test_it() -> None:\n    assert clamp(3) == 3\n"
STRONG = WEAK + "    assert [clamp(n) for n in (8, 9, 10, 11)] == [8, 9, 9, 9]\n"


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy" / "__init__.py").touch()
    (tmp_path / "toy" / "code.py").write_text(CODE)
    return tmp_path


def test_survivors_are_named(toy: Path) -> None:
    (toy / "test_toy.py").write_text(WEAK)
    weak = mutate(toy, "toy", ["test_toy.py"], sample=4, seed=7)
    assert weak.survivors
    assert all("-    return 9" in survivor and "+    return" in survivor for survivor in weak.survivors)
    assert weak.killed + len(weak.survivors) == 4
    assert (toy / "toy" / "code.py").read_text() == CODE
    (toy / "test_toy.py").write_text(STRONG)
    strong = mutate(toy, "toy", ["test_toy.py"], sample=4, seed=7)
    assert strong.killed > weak.killed
    assert str(strong).startswith(f"toy: {strong.killed} of 4 mutants killed")


def test_tests_that_fail_anyway_judge_nobody(toy: Path) -> None:
    (toy / "test_toy.py").write_text(WEAK.replace("== 3", "== 4"))
    with pytest.raises(RuntimeError, match="baseline"):
        mutate(toy, "toy", ["test_toy.py"], sample=1, seed=7)
