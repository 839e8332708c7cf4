"""Every module has tests that a reader finds by a rule."""

from __future__ import annotations

import pytest

from tests import tests_of


def test_every_module_leads_to_its_tests() -> None:
    lonely = [module for module in tests_of.modules() if not tests_of.tests_of(module)]
    assert not lonely, "no test bears their names, imports them, or imports what uses them"


def test_a_module_that_nothing_uses_has_none() -> None:
    assert tests_of.tests_of("controller/plan/forgotten.py") == []
    assert tests_of.tests_of("controller/runs/loop.py")[0] == "tests/unit/runs/test_loop.py"


@pytest.mark.parametrize("module", tests_of.THROUGH)
def test_only_modules_and_tests_that_there_are_stand_in_the_table(module: str) -> None:
    assert module in tests_of.modules()
    assert tests_of.tests_of(module) == list(tests_of.THROUGH[module]), "the rule leads to its tests: leave it out"
    assert all((tests_of.ROOT / test).is_file() for test in tests_of.THROUGH[module])
